"""The two sites of the load and failure tests: phones 2000 to 2099 at site A, 3000 to 3099 at site B, gateway calls in."""

import os

from bed import CONFIG, Site, expect, until

OOS_CHECK_S, OOS_FORCE_S = 2, 1
GATEWAY = "127.0.0.23"
AT_A = [str(number) for number in range(2000, 2100)]
AT_B = [str(number) for number in range(3000, 3100)]


class Pair:
    def __init__(self, bed):
        self.bed = bed
        self.a, self.b = (
            Site(bed, f"site-{site}", host, 5070, f"{host}:8070", ["--config", f"{CONFIG}/site-{site}.toml", "--log", "warn"])
            for site, host in (("a", "127.0.0.21"), ("b", "127.0.0.22")))
        self.a.start()
        self.b.start()
        until(5, "both sites are peered", self.is_peered)
        bed.phones("phones-a", "127.0.0.31", 5070)
        bed.phones("phones-b", "127.0.0.32", 5070)
        expect(bed.register(self.a, AT_A, "127.0.0.31", 5070), "site A takes 100 registrations")
        self.register_at_b()

    def is_peered(self):
        return self.a.mode() == "peered" and self.b.mode() == "peered"

    def register_at_b(self):
        expect(self.bed.register(self.b, AT_B, "127.0.0.32", 5070), "site B takes 100 registrations")

    def call(self, name, numbers, rate, count, talk_ms):
        """The gateway calls `numbers` in turn, through site A."""
        return self.bed.sipp(name, "call.xml", GATEWAY, self.port(), remote="127.0.0.21:5070",
                             rows=[(number,) for number in numbers],
                             options=["-r", rate, "-m", count, "-d", talk_ms, "-l", 10000])

    def port(self):
        """Every SIPp of the gateway has a port of its own."""
        self.ports = getattr(self, "ports", 5070) + 1
        return self.ports

    def expect_no_calls(self, seconds=5):
        for site in (self.a, self.b):
            until(seconds, f"`tandem call list` at {site.name} is empty", lambda: site.ask("call", "list") == [])

    def records(self, site):
        """Call records that `site` has written."""
        with open(os.path.join(self.bed.folder, f"cdr-{site}.jsonl")) as lines:
            return sum(1 for _ in lines)
