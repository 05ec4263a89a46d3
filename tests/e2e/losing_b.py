#!/usr/bin/env python3
"""Site B is lost under load: every call wholly at site A is untouched, A notices in time, stops forwarding, and
forwards again when B is back.

losing_b.py kill   B is killed: the network says so at once (ICMP)
losing_b.py stop   B is stopped (SIGSTOP): it is silent, and only oos-check and oos-force decide
losing_b.py drop   every packet between the sites is dropped, in a network namespace of this test's own
"""

import os
import shutil
import signal
import subprocess
import sys
import time

from bed import HERE, Skipped, expect, main, until
from pair import AT_A, AT_B, OOS_CHECK_S, OOS_FORCE_S, GATEWAY, Pair

SCHEDULING_S = 1
AUDIT_S = 5
LOCAL_RATE, CROSSING_RATE = 100, 20
LOAD_S, TALK_MS, CROSSING_TALK_MS = 30, 3000, 20000


def net(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


class Kill:
    """B is gone with all it knew; its phones register again when it is back."""

    def lose(self, pair):
        pair.b.kill()

    def restore(self, pair):
        pair.b.start()
        pair.register_at_b()


class Stop:
    def lose(self, pair):
        pair.b.process.send_signal(signal.SIGSTOP)

    def restore(self, pair):
        pair.b.process.send_signal(signal.SIGCONT)


class Drop:
    """Dropped where they arrive, so that nothing tells the sender."""

    def lose(self, pair):
        net("nft", "add table ip tandem")
        net("nft", "add chain ip tandem input { type filter hook input priority 0; }")
        for source, target in ((pair.a, pair.b), (pair.b, pair.a)):
            net("nft", f"add rule ip tandem input ip saddr {source.host} ip daddr {target.host} drop")

    def restore(self, _pair):
        net("nft", "delete table ip tandem")


WAYS = {"kill": Kill, "stop": Stop, "drop": Drop}


def enter_namespace():
    """Runs this script anew in a network namespace of its own, so that no rule of this machine is touched."""
    missing = [tool for tool in ("unshare", "ip", "nft") if not shutil.which(tool)]
    if missing:
        raise Skipped(f"{', '.join(missing)} not installed")
    apart = ["sh", os.path.join(HERE, "apart.sh")]
    if subprocess.run([*apart, "nft", "add table ip probe"], capture_output=True).returncode:
        raise Skipped("this machine gives no network namespace of one's own (not root, or in a container)")
    if not os.environ.get("TANDEM_E2E_APART"):
        os.execvp(apart[0], [*apart, sys.executable, *sys.argv])


def expect_no_forwarding(pair):
    """A call for a phone at B is refused by A itself, and quickly."""
    call_id = "not-forwarded"
    sipp = pair.bed.sipp("not-forwarded", "unavailable.xml", GATEWAY, pair.port(), remote="127.0.0.21:5070",
                         rows=[(AT_B[0],)], options=["-m", 1, "-cid_str", call_id])
    expect(sipp.wait(10) == 0, "site A answers 480 within 1 s to a call for a phone at the lost site")
    steps = [step["text"] for step in pair.a.ask("why", call_id)["steps"]]
    expect(not any("to-site-b" in step for step in steps), f"site A does not try the lost site, but: {steps}")


def losing(bed, way):
    pair = Pair(bed)
    begin = time.monotonic()
    local = pair.call("local", AT_A, LOCAL_RATE, LOCAL_RATE * LOAD_S, TALK_MS)
    crossing = pair.call("crossing", AT_B, CROSSING_RATE, CROSSING_RATE * 8, CROSSING_TALK_MS)
    time.sleep(4)
    over = pair.a.trunk("to-site-b")["calls"]
    expect(over > CROSSING_RATE, f"calls cross the peer trunk before the loss, but {over} do")

    way.lose(pair)
    limit = OOS_CHECK_S + OOS_FORCE_S + SCHEDULING_S
    _, noticed = until(limit, "site A shows the peer trunk out of service", lambda: pair.a.trunk("to-site-b")["state"] == "out-of-service")
    print(f"    noticed after {noticed:.2f} s (oos-check {OOS_CHECK_S} + oos-force {OOS_FORCE_S}), with {over} calls on the trunk: "
          f"{pair.a.trunk('to-site-b')['reason']}", flush=True)
    expect(pair.a.mode() == "single-site", f"site A works alone, but its mode is {pair.a.mode()}")
    if isinstance(way, Drop):
        until(limit, "site B notices too", lambda: pair.b.mode() == "single-site")
    expect_no_forwarding(pair)
    _, ended = until(AUDIT_S + SCHEDULING_S, "answered calls over the lost trunk are audited and ended",
                     lambda: not any(call["to"] in AT_B for call in pair.a.ask("call", "list") if call["state"] == "established"))
    print(f"    every answered call over the trunk ended {noticed + ended:.1f} s after the loss", flush=True)

    way.restore(pair)
    _, returned = until(OOS_CHECK_S + OOS_FORCE_S + SCHEDULING_S, "the peer trunk is in service again at both sites", pair.is_peered)
    again = pair.call("again", AT_B, CROSSING_RATE, CROSSING_RATE, 500)
    again.wait(30)
    expect(again.calls() == (CROSSING_RATE, 0), f"calls cross the peer trunk again, but (done, failed) is {again.calls()}")
    expect(local.process.poll() is None, f"the load at A lasts until after the return ({time.monotonic() - begin:.0f} s)")
    print(f"    peered {returned:.2f} s after the return; calls cross the trunk again", flush=True)

    local.wait(90)
    crossing.wait(60)
    for sipp in (local, crossing, again):
        print(f"    {sipp.summary()}", flush=True)
    want = (LOCAL_RATE * LOAD_S, 0)
    expect(local.calls() == want, f"calls wholly at A are untouched: {want} expected (done, failed), {local.calls()} seen")
    # What was on its way to the lost site, unanswered, is given up after 64 * T1 = 32 s (RFC 3261 timers B and F).
    pair.expect_no_calls(45)
    pair.a.stop()
    pair.b.stop()


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in WAYS:
        sys.exit(__doc__)
    chosen = sys.argv[1]
    main(f"losing-b-{chosen}", lambda bed: losing(bed, WAYS[chosen]()), enter_namespace if chosen == "drop" else None)
