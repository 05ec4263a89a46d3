#!/bin/sh
# Every end-to-end test, one after the other, and their verdicts. The binary must be built (`make build`).
# Real programs play in real time, on machines that may stand still for a second: what failed is played once more at the end,
# unless that is more than two plays, and the summary says so.
cd "$(dirname "$0")" || exit 1
PATH="$PATH:/usr/sbin:/sbin"
export PATH PYTHONDONTWRITEBYTECODE=1
failed=0 repeats=0 verdicts=""
# Where the machine allows it, each test has a loopback of its own, and meets no other SIP server.
apart="sh apart.sh"
$apart true 2>/dev/null || apart=""
note() {
    verdicts="$verdicts
  $1  $2"
}
play() {
    echo "--- e2e: $*"
    $apart python3 "$@"
}
run() {
    play "$@"
    case $? in
    0) note passed "$*" ;;
    77) note SKIPPED "$*" ;;
    *)
        repeats=$((repeats + 1))
        eval "again_$repeats=\$*"
        ;;
    esac
}
repeat() {
    echo "--- e2e: once more, what failed above"
    if play "$@"; then note "passed, the SECOND time," "$*"; else
        note FAILED "$*"
        failed=1
    fi
}
run demo.py
run load.py 20
run losing_b.py kill
run losing_b.py stop
run losing_b.py drop
run softphone.py
run sipsak.py
run kamailio.py
run baresip.py
run linphone.py udp
run linphone.py tcp
run linphone.py tls
run lamps.py
run floor.py
run floor_calls.py
run floor_agents.py
run floor_queues.py
run floor_edges.py
run floor_sites.py
run floor_tls.py
run transfers.py
run sip_tls.py
run guard.py
run targets.py
run crowd.py
run families.py
run address.py
run treatment.py
run restart.py
run restart_media.py
run takeover.py
run takeover_phones.py
run members.py
run ha_drill.py
run drain.py
run drill.py
run readiness.py
run failure.py
run migrate.py
run stat.py
run shipped.py
run mirrored.py
run site_agents.py
# Without npm and its registry there is no bundle, and the play says so.
sh webphone/build.sh || true
run webphone.py
if [ $repeats -gt 2 ]; then
    failed=1
    number=0
    while [ $number -lt $repeats ]; do
        number=$((number + 1))
        eval "note FAILED \"\$again_$number\""
    done
else
    # The names of plays hold no blanks but those between their arguments.
    # shellcheck disable=SC2086,SC2154
    if [ $repeats -ge 1 ]; then repeat $again_1; fi
    # shellcheck disable=SC2086,SC2154
    if [ $repeats -ge 2 ]; then repeat $again_2; fi
fi
echo "--- e2e: summary$verdicts"
exit $failed
