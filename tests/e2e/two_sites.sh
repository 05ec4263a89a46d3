#!/bin/sh
# Site A and site B with the built-in demonstration, until Ctrl-C. `make run` builds and starts this.
set -u
tandem=$1

# What they must not forget is forgotten with them: each `make run` begins with nothing.
STATE_DIRECTORY=$(mktemp -d) || exit 1
export STATE_DIRECTORY

"$tandem" serve --demo site-a --log warn &
a=$!
"$tandem" serve --demo site-b --log warn &
b=$!
stop() {
    trap '' INT TERM
    kill "$a" "$b" 2>/dev/null
    wait "$a" "$b"
    rm -rf "$STATE_DIRECTORY"
}
trap 'stop; echo; echo "Both sites have ended."; exit 0' INT TERM

tries=0
until "$tandem" status >/dev/null 2>&1 && "$tandem" --server http://127.0.0.2:8060 status >/dev/null 2>&1; do
    tries=$((tries + 1))
    if ! kill -0 "$a" 2>/dev/null || ! kill -0 "$b" 2>/dev/null || [ "$tries" -gt 50 ]; then
        stop
        echo "The two sites did not start. Is another \`make run\`, \`make demo\` or SIP server running?" >&2
        exit 1
    fi
    sleep 0.1
done

cat <<END

            SIP (UDP, TCP)    administration          log level: warnings
  site A    127.0.0.1:5060    http://127.0.0.1:8060
  site B    127.0.0.2:5060    http://127.0.0.2:8060

  extensions 1001 to 1020     password secret-1001 to secret-1020, at either site
  agents 2001 to 2020         persons agent01 to agent20, password secret-agent01 and so on
  queues 7000 and 7001        desktops connect to ws://127.0.0.1:8061/cti
  9 and a number              out by the gateway, which is expected at 127.0.0.3:5060

  Try next
    register softphones       users 1001 and 1002, domain 127.0.0.1; call one from the other
    be an agent               TANDEM_CTI_PASSWORD=secret-agent01 $tandem cti --user agent01
                              {"request":"TRegisterAddress","ReferenceID":1,"ThisDN":"1001"}
                              {"request":"TAgentLogin","ReferenceID":2,"ThisDN":"1001","AgentID":"2001","WorkMode":"AutoIn"}
                              then call 7000 from 1002; it rings at 1001 (README.md, "Try an agent")
    see what a site believes  $tandem status
                              $tandem --server http://127.0.0.2:8060 trunk list
    lose a site               kill -9 $a   (site A; B is $b)
    all of it, by itself      Ctrl-C, then: make demo

Ctrl-C ends both.
END
# One site may be lost: that is what the other is for.
wait "$a"
echo "Site A has ended (exit code $?)."
wait "$b"
echo "Site B has ended (exit code $?)."
rm -rf "$STATE_DIRECTORY"
