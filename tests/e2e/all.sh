#!/bin/sh
# Every end-to-end test, one after the other, and their verdicts. The binary must be built (`make build`).
cd "$(dirname "$0")" || exit 1
PATH="$PATH:/usr/sbin:/sbin"
export PATH PYTHONDONTWRITEBYTECODE=1
failed=0 verdicts=""
# Where the machine allows it, each test has a loopback of its own, and meets no other SIP server.
apart="sh apart.sh"
$apart true 2>/dev/null || apart=""
run() {
    echo "--- e2e: $*"
    $apart python3 "$@"
    code=$?
    case $code in
    0) verdict=passed ;;
    77) verdict=SKIPPED ;;
    *) verdict=FAILED failed=1 ;;
    esac
    verdicts="$verdicts
  $verdict  $*"
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
run takeover.py
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
echo "--- e2e: summary$verdicts"
exit $failed
