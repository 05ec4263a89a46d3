"""Two sites and phones of ours, for a client of another make: it registers, is called, calls, holds, transfers and hangs
up at site A; then that site is lost, and its client is called at site B as soon as it can be. What is printed is what
docs/interop.md says of the client.
"""

import os
import time

from bed import Failed, Site, configuration, expect, until
from certificates import authority, certificate
from ua import Agent

A, B = "127.0.0.61", "127.0.0.62"
# The client's number, and those of the phones it meets: two at site A, one at site B.
CLIENT, FIRST, SECOND, THIRD = "1001", "1002", "1003", "1004"
CLIENT_HOST = "127.0.0.64"


class Rounds:
    """What one client was seen to do, and how long it took."""

    def __init__(self, client):
        self.client, self.seen = client, []

    def note(self, what, seen="yes"):
        self.seen.append((what, seen))
        print(f"    {self.client}: {what}: {seen}", flush=True)


class Estate:
    """The two sites, peered, their phones, and a gateway at each."""

    def __init__(self, bed):
        self.bed = bed
        authority(bed.folder, "ca")
        self.ca = os.path.join(bed.folder, "ca.pem")
        self.a, self.b = self.site("site-a", A, B), self.site("site-b", B, A)
        self.a.start()
        self.b.start()
        until(6, "the sites are peered", lambda: self.a.mode() == self.b.mode() == "peered")
        self.first = Agent(bed, "first", "127.0.0.65", self.a, manner="answer").register(FIRST)
        self.second = Agent(bed, "second", "127.0.0.66", self.a, manner="answer").register(SECOND)
        self.third = Agent(bed, "third", "127.0.0.67", self.b, manner="answer").register(THIRD)
        self.gateway = Agent(bed, "gateway", "127.0.0.68", self.a)
        self.other_gateway = Agent(bed, "other-gateway", "127.0.0.69", self.b)

    def site(self, name, host, peer):
        certificate(self.bed.folder, name, host)
        path = os.path.join(self.bed.folder, f"{name}.toml")
        with open(path, "w") as file:
            file.write(configuration("interop.toml").replace("NAME", name).replace("HOST", host).replace("PEER", peer))
        return Site(self.bed, name, host, 5060, f"{host}:8070", ["--config", path, "--log", "info"])

    @staticmethod
    def registered(site, number=CLIENT):
        return any(binding["dn"] == number for binding in site.ask("reg", "list", quiet=True) or [])

    def calls(self, site=None):
        return [call["state"] for call in (site or self.a).ask("call", "list")]

    def quiet(self, site=None):
        until(8, "no call is left", lambda: self.calls(site) == [])

    def lose_site_a(self, rounds, client_is_at_b):
        """Kills site A and measures how long it takes until the client takes a call at site B, which then ends."""
        self.a.kill()
        lost = time.monotonic()
        until(120, "the client is registered at site B", lambda: client_is_at_b() and self.registered(self.b))
        back = time.monotonic() - lost
        call = answered(self.other_gateway, CLIENT, 20)
        rounds.note("its site is lost: registered at the other site after", f"{back:.1f} s, and called there")
        call.bye()
        call.ends()

    def calls_after(self, rounds, client, what, seconds, otherwise):
        """Whether the client, whose site is lost, calls the third phone within `seconds`; else `otherwise` is noted."""
        client.dial(THIRD)
        try:
            line = self.third.fresh_line(seconds)
        except Failed:
            rounds.note(what, otherwise)
            return
        rounds.note(what)
        line.bye()


def answered(agent, number, seconds=10):
    """A call of ours to the client, who answers: tries again while it is not there yet."""
    deadline = time.monotonic() + seconds
    while True:
        call = agent.call(number)
        try:
            agent.wait(f"{number} answers {agent.name}", 6, lambda: call.answered or call.over)
        except Failed:
            pass
        if call.answered:
            return call
        expect(time.monotonic() < deadline, f"{number} answers {agent.name} within {seconds} s: {[m.start for m in call.inbox]}")


def standard(estate, client, rounds):
    """What every client is asked to do at its site: a call each way, hold, blind and attended transfer, hang up."""
    first, second = estate.first, estate.second
    until(15, f"{client.name} registers", lambda: estate.registered(estate.a))
    rounds.note("registers by digest")

    call = answered(estate.gateway, CLIENT)
    call.bye()
    call.ends()
    estate.quiet()
    rounds.note("is called, answers, is hung up on")

    client.dial(FIRST)
    line = next_line(first)
    line.hears("ACK")
    rounds.note("calls, and has ringback and answer")
    if client.hold():
        estate.first.wait("the held party is told so", 6, lambda: line.told and line.told[2] in ("sendonly", "inactive"),
                          lambda: f"; it has {line.told}")
        way = line.told[2]
        client.resume()
        estate.first.wait("the held party is resumed", 6, lambda: line.told[2] == "sendrecv", lambda: f"; it has {line.told}")
        rounds.note("holds and resumes", f"yes ({way})")
    client.hangup()
    line.ends(8)
    estate.quiet()
    rounds.note("hangs up")

    client.dial(FIRST)
    line = next_line(first)
    line.hears("ACK")
    if client.transfer(SECOND):
        target = next_line(second, 10)
        target.hears("ACK", seconds=8)
        first.wait("the transferred party hears the target", 8, lambda: line.told and line.told[0] == second.host,
                   lambda: f"; it has {line.told}")
        until(8, "one call of two parties is left", lambda: estate.calls() == ["established"])
        rounds.note("transfers blind")
        line.bye()
        target.ends(8)
    else:
        rounds.note("transfers blind", "no: " + client.no_transfer)
        client.hangup()
    line.ends(8)
    client.settle()
    estate.quiet()

    client.dial(FIRST)
    line = next_line(first)
    line.hears("ACK")
    reason = client.consult(SECOND)
    if reason is None:
        target = next_line(second, 10)
        target.hears("ACK", seconds=8)
        client.join()
        first.wait("the parties hear each other", 10, lambda: line.told and line.told[0] == second.host, lambda: f"; {line.told}")
        until(8, "one call of two parties is left", lambda: estate.calls() == ["established"])
        rounds.note("transfers after a consultation")
        line.bye()
        target.ends(8)
    else:
        rounds.note("transfers after a consultation", f"no: {reason}")
        client.hangup()
    line.ends(8)
    client.settle()
    estate.quiet()


def next_line(agent, seconds=10):
    """The next call that an agent gets: not one of its own."""
    agent.seen = getattr(agent, "seen", 0) + 1
    return agent.line(agent.seen, seconds)
