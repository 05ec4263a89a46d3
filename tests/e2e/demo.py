#!/usr/bin/env python3
"""The demonstration: a call, the loss of a site, a call; nobody touches anything in between.

Three SIPp phones register at site A and, when A is silent, at site B (active-backup). A SIPp gateway calls four
times a second, at A first and at B when A does not answer. Site A is killed, and comes back.
"""

import os
import sys
import threading
import time

from bed import Site, expect, is_busy, main, until

PHONES = {"1001": "127.0.0.11", "1002": "127.0.0.12", "1003": "127.0.0.13"}
REFRESH_S = 1.0
RATE = 4


class Timeline:
    def __init__(self):
        self.begin = time.monotonic()

    def say(self, what):
        print(f"  {time.monotonic() - self.begin:6.2f} s  {what}", flush=True)


class Phone(threading.Thread):
    """Refreshes its registration at the first site that answers, in the order of its list."""

    def __init__(self, bed, timeline, number, host, sites):
        super().__init__(daemon=True)
        self.bed, self.timeline, self.number, self.host, self.sites = bed, timeline, number, host, sites
        self.at, self.since = None, 0.0
        self.stopped = threading.Event()
        bed.phones(f"phone-{number}", host, 5060)

    def run(self):
        while not self.stopped.is_set():
            begin = time.monotonic()
            took = next((site for site in self.sites if self.bed.register(
                site, [self.number], self.host, 5060, f"register-{self.number}", expires=60)), None)
            if took is not self.at and not self.stopped.is_set():
                self.at, self.since = took, time.monotonic()
                self.timeline.say(f"phone {self.number} registered at {took.name}" if took
                                  else f"phone {self.number} finds no site")
            self.stopped.wait(max(0.0, REFRESH_S - (time.monotonic() - begin)))

    def stop(self):
        self.stopped.set()
        self.join()


class Gateway:
    """Reads, as they appear, the lines that the gateway writes about its calls."""

    def __init__(self, bed):
        self.sipp = bed.sipp("gateway", "failover.xml", "127.0.0.3", 5060, remote="127.0.0.1:5060",
                             rows=[(number,) for number in PHONES], options=["-r", RATE])
        self.calls = []
        self.path = os.path.join(bed.folder, "gateway.calls")
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        while not os.path.exists(self.path):
            time.sleep(0.01)
        with open(self.path) as lines:
            part = ""
            while self.sipp.process.poll() is None:
                part += lines.readline()
                if part.endswith("\n"):
                    verdict, site, number = part.split()
                    self.calls.append((time.monotonic(), site if verdict == "answered" else None, number))
                    part = ""
                else:
                    time.sleep(0.005)

    def since(self, when, site):
        return [call for call in list(self.calls) if call[0] > when and call[1] == site]


class Noticed(threading.Thread):
    """Watches until `site` works alone; `after` is how long that took since `lost`."""

    def __init__(self, site, lost):
        super().__init__(daemon=True)
        self.site, self.lost, self.after = site, lost, None

    def run(self):
        while time.monotonic() < self.lost + 10:
            if self.site.mode() == "single-site":
                self.after = time.monotonic() - self.lost
                return


def call_the_other_site(bed, site):
    """One call in at `site`, where the phone is not; returns the rule by which it found the phone."""
    call_id = "demo-forwarded"
    sipp = bed.sipp("forwarded", "call.xml", "127.0.0.3", 5060, remote=f"{site.host}:{site.port}", rows=[("1001",)],
                    options=["-m", 1, "-d", 100, "-cid_str", call_id])
    expect(sipp.wait(15) == 0, "a call in at site B reaches the phone at site A")
    steps = [step["text"] for step in site.ask("why", call_id)["steps"]]
    rule = next((step for step in steps if step.startswith("sent over the peer trunk")), None)
    expect(rule is not None, f"`tandem why` names the rule, but it says {steps}")
    return rule.partition(": ")[2]


def check_free():
    busy = [f"{host}:5060" for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3", *PHONES.values()) if is_busy(host, 5060)]
    if busy:
        sys.exit(f"{', '.join(busy)}: in use (UDP). Is `make run` still running? End it with Ctrl-C, then try again.")


def registrations(site):
    return {binding["dn"] for binding in site.ask("reg", "list")}


def demo(bed):
    timeline = Timeline()
    say = timeline.say
    a = Site(bed, "site A", "127.0.0.1", 5060, "127.0.0.1:8060", ["--demo", "site-a"])
    b = Site(bed, "site B", "127.0.0.2", 5060, "127.0.0.2:8060", ["--demo", "site-b"])

    def both_peered():
        return a.mode() == "peered" and b.mode() == "peered"

    a.start()
    b.start()
    until(5, "both sites see each other", both_peered)
    say("site A on 127.0.0.1 and site B on 127.0.0.2 see each other: both peered")

    phones = [Phone(bed, timeline, number, host, [a, b]) for number, host in PHONES.items()]
    for phone in phones:
        phone.start()
    until(10, "three registrations at site A", lambda: registrations(a) == set(PHONES))
    expect(not registrations(b), f"nobody is registered at site B, but {registrations(b)} are")

    rule = call_the_other_site(bed, b)
    say("a call for 1001 that comes in at site B is answered too: B sends it over the peer trunk to A,")
    print(f"            for (tandem why) {rule}", flush=True)

    begin = time.monotonic()
    gateway = Gateway(bed)
    until(10, "eight calls answered through site A", lambda: len(gateway.since(begin, "A")) >= 8)
    expect(not gateway.since(begin, "B") and not gateway.since(begin, None), "every call goes through site A")
    say(f"the gateway calls {RATE} times a second: {len(gateway.since(begin, 'A'))} calls in, all answered through site A")

    killed = time.monotonic()
    a.kill()
    say("site A is killed (kill -9)")
    noticed = Noticed(b, killed)
    noticed.start()
    until(15, "three registrations at site B", lambda: registrations(b) == set(PHONES))
    settled = max(phone.since for phone in phones)
    until(15, "a call answered through site B", lambda: gateway.since(killed, "B"))
    noticed.join(10)
    expect(noticed.after is not None, "site B sees that its peer is gone")
    until(10, "eight more calls answered through site B", lambda: len(gateway.since(settled, "B")) >= 8)
    last = max(call[0] for call in gateway.calls if call[1] == "A")
    first = gateway.since(killed, "B")[0][0]
    lost = [call for call in gateway.calls if call[0] > last and call[1] is None]
    late = [call for call in lost if call[0] > settled + 0.6]
    expect(not late, f"no call fails once the phones are at site B, but {len(late)} did")
    say(f"site B takes the calls: {len(gateway.since(killed, 'B'))} answered through it; it works alone (single-site)")

    back = time.monotonic()
    a.start()
    until(10, "both sites see each other again", both_peered)
    peered = time.monotonic() - back
    say("site A is back: the peer trunk is in service at both sites")
    until(10, "three registrations at site A again", lambda: registrations(a) == set(PHONES))
    returned = time.monotonic()
    until(10, "eight calls answered through site A again", lambda: len(gateway.since(returned, "A")) >= 8)
    again = [call for call in gateway.calls if call[0] > back and call[1] is None]
    expect(not again, f"no call fails while site A comes back, but {len(again)} did")
    say("the gateway calls through site A as before")

    for phone in phones:
        phone.stop()
    a.stop()
    b.stop()
    say("both sites end cleanly (SIGTERM, exit code 0)")
    total, answered = len(gateway.calls), sum(call[1] is not None for call in gateway.calls)
    print(f"""
  gap            {first - last:.2f} s  from the last answer through A to the first through B
                 (the phones ask every {REFRESH_S:.0f} s, the gateway waits 0.5 s for A)
  all phones     {settled - killed:.2f} s  from the kill until all three were registered at B
  loss noticed   {noticed.after:.2f} s  from the kill until B worked alone (oos-check 2 + oos-force 1)
  return         {peered:.2f} s  from the start of A until both sites were peered
  calls          {answered} answered of {total}; {len(lost)} found no phone during the gap
""")


if __name__ == "__main__":
    try:
        check_free()
        print("Two sites, three phones, one gateway, all SIP on loopback.\n", flush=True)
        main("demo", demo)
    except FileNotFoundError as missing:
        sys.exit(f"{missing.filename} is not installed; `make demo` does that")
