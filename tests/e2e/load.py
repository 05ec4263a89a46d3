#!/usr/bin/env python3
"""Two sites at 200 calls a second: no call is lost, none is left behind, and memory stays flat.

Half of the calls stay at site A, half cross the peer trunk to phones at site B. A first wave fills the tables to what
this rate needs; memory after it, when every transaction has run out, is compared with memory after the second.

load.py [SECONDS of the second wave, default 20]
"""

import sys
import time

from bed import expect, main, until
from pair import AT_A, AT_B, OOS_CHECK_S, Pair

RATE = 200
TALK_MS = 2000
# Transactions live for 32 s after a call: a longer wave needs no larger tables.
WARM_UP_S = 36
# From the first full segment on, the journal's threads keep two buffers of 1 MiB.
SLACK_KB = 3072
# Answers to the peer's OPTIONS are kept for 64 * T1 = 32 s (RFC 3261 timer J); two of our own may be on their way.
PROBES = 32 // OOS_CHECK_S + 2


def wave(pair, name, seconds):
    """Calls for `seconds`, and what is left of them when they have ended; returns RSS of both sites in kB."""
    count = RATE // 2 * seconds
    begin = time.monotonic()
    gateways = [pair.call(f"{name}-at-a", AT_A, RATE // 2, count, TALK_MS),
                pair.call(f"{name}-to-b", AT_B, RATE // 2, count, TALK_MS)]
    for gateway in gateways:
        gateway.wait(seconds + 60)
    took = time.monotonic() - begin
    for gateway in gateways:
        print(f"    {gateway.summary()}", flush=True)
        done, failed = gateway.calls()
        expect((done, failed) == (count, 0), f"{gateway.name}: {count} calls succeed, but {done} did and {failed} failed")
    peak = [site.resident_kb() for site in (pair.a, pair.b)]
    pair.expect_no_calls()
    for site in (pair.a, pair.b):
        until(45, f"no transaction is left at {site.name}, probes apart", lambda: site.ask("status")["transactions"] <= PROBES)
    rest = [site.resident_kb() for site in (pair.a, pair.b)]
    print(f"    {2 * count} calls in {took:.0f} s; resident kB at A {peak[0]} then {rest[0]}, at B {peak[1]} then {rest[1]}", flush=True)
    return rest


def load(bed):
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    warm_up = min(seconds, WARM_UP_S)
    pair = Pair(bed)
    before = wave(pair, "warm-up", warm_up)
    after = wave(pair, "load", seconds)
    calls_a = RATE * warm_up, RATE * (warm_up + seconds)
    calls_b = calls_a[0] // 2, calls_a[1] // 2
    for site, was, now in zip((pair.a, pair.b), before, after):
        limit = was + SLACK_KB
        expect(now <= limit, f"memory of {site.name} is flat: {was} kB after the first wave, at most {limit} kB after the second, "
                             f"but it is {now} kB")
    pair.a.stop()
    pair.b.stop()
    for site, (_, count) in (("a", calls_a), ("b", calls_b)):
        expect(pair.records(site) == count, f"site {site} writes {count} call records, but wrote {pair.records(site)}")
    print(f"    {calls_a[1]} call records at A, {calls_b[1]} at B; call lists empty")


if __name__ == "__main__":
    main("load", load)
