#!/bin/sh
# Every end-to-end test and their verdicts. The binary must be built (`make build`).
# They play two at a time, but for those that keep a machine busy: all.sh [LANES].
# Real programs play in real time, on machines that may stand still for a second: what failed is played once more at the end,
# alone, unless that is more than two plays, and the summary says so.
cd "$(dirname "$0")" || exit 1
PATH="$PATH:/usr/sbin:/sbin"
export PATH PYTHONDONTWRITEBYTECODE=1
lanes=${1:-2}
# Where the machine allows it, each test has a loopback of its own, and meets no other SIP server.
apart="sh apart.sh"
$apart true 2>/dev/null || { apart="" lanes=1; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export apart work
cat >"$work/play.sh" <<'EOF'
said=$(mktemp "$work/said.XXXXXX")
began=$(date +%s)
# shellcheck disable=SC2086
$apart python3 "$@" >"$said" 2>&1
code=$?
case $code in
0) verdict="passed" ;;
77) verdict="SKIPPED" ;;
*) verdict="FAILED" ;;
esac
# One play's lines stand together.
exec 9>"$work/printing"
flock 9
echo "--- e2e: $* ($(($(date +%s) - began)) s): $verdict"
cat "$said"
rm "$said"
if [ $code = 0 ] || [ $code = 77 ] || [ -n "${again:-}" ]; then
    echo "  $verdict${again:-}  $*" >>"$work/verdicts"
else
    echo "$*" >>"$work/failed"
fi
EOF
# Plays the lines it reads, so many at a time.
play() { xargs -P "$1" -L 1 sh "$work/play.sh"; }
# Without npm and its registry there is no bundle, and the play says so.
sh webphone/build.sh || true
touch "$work/verdicts" "$work/failed"
play 1 <<'EOF'
load.py 20
crowd.py
EOF
# The longest first.
play "$lanes" <<'EOF'
demo.py
drill.py
losing_b.py kill
floor_agents.py
losing_b.py drop
losing_b.py stop
address.py
takeover_phones.py
takeover_media.py
restart.py
takeover.py
softphone.py
sipsak.py
kamailio.py
baresip.py
linphone.py udp
linphone.py tcp
linphone.py tls
lamps.py
floor.py
floor_calls.py
floor_queues.py
floor_edges.py
floor_sites.py
floor_tls.py
transfers.py
sip_tls.py
guard.py
targets.py
families.py
treatment.py
restart_media.py
members.py
ha_drill.py
drain.py
readiness.py
failure.py
migrate.py
stat.py
shipped.py
mirrored.py
site_agents.py
webphone.py
EOF
code=0
if [ "$(wc -l <"$work/failed")" -gt 2 ]; then
    sed 's/^/  FAILED  /' "$work/failed" >>"$work/verdicts"
    code=1
elif [ -s "$work/failed" ]; then
    echo "--- e2e: once more, what failed above"
    export again=", the SECOND time,"
    play 1 <"$work/failed"
    grep -q "^  FAILED" "$work/verdicts" && code=1
fi
echo "--- e2e: summary"
cat "$work/verdicts"
exit $code
