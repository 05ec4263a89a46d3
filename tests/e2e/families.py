#!/usr/bin/env python3
"""A site with several addresses: a phone over IPv6 and phones over IPv4 call each other and a gateway over IPv6, and each hears of
the address that it can reach.
"""

import os
import re
import socket
import struct

from bed import CONFIG, Bed, Site, expect, main, until
from ua import Agent

FOUR, OTHER, SIX = "127.0.0.97", "127.0.0.98", "[::1]"


class Place:
    """One of the site's addresses."""

    def __init__(self, host, port):
        self.host, self.port = host, port


class Agent6(Agent):
    """An Agent at ::1."""

    def __init__(self, bed, name, site, port, **options):
        super().__init__(bed, name, SIX, site, port=port, **options)

    def open(self):
        self.socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.socket.bind(("::1", self.port))

    def put(self, data, to):
        self.socket.sendto(data, (to[0].strip("[]"), to[1]))

    def source(self, request):
        sent_by = re.match(r"SIP/2\.0/\w+ (\[[^\]]*\])(?::(\d+))?", request.header("via"))
        expect(sent_by, f"an IPv6 phone is told an IPv6 address, but {request.header('via')}")
        return sent_by.group(1), int(sent_by.group(2) or 5060)


def talk(caller, number, callee, user, place):
    """A call that is answered and ended by the callee; `place` is what the callee must be told of the site."""
    call = caller.call(number, caller=user)
    line = callee.fresh_line()
    invite = line.got("INVITE")[0]
    expect(f" {place};" in invite.header("via"), f"{callee.name} is told {place} in Via, but {invite.header('via')}")
    expect(f"@{place}" in invite.header("contact") or f":{place}" in invite.header("contact"),
           f"{callee.name} is told {place} in Contact, but {invite.header('contact')}")
    callee.wait(f"{line} talks", 5, lambda: line.got("ACK"))
    line.bye()
    line.ends()
    call.ends()


def stun(family, host, port):
    """The address that the site sees."""
    with socket.socket(family, socket.SOCK_DGRAM) as wire:
        wire.settimeout(2)
        transaction = os.urandom(12)
        wire.sendto(b"\0\1\0\0\x21\x12\xa4\x42" + transaction, (host, port))
        answer = wire.recv(100)
        expect(answer[:2] == b"\1\1" and answer[8:20] == transaction, f"a binding response, but {answer}")
        seen = struct.unpack("!H", answer[26:28])[0] ^ 0x2112
        expect(seen == wire.getsockname()[1], f"it says where the request came from, but {seen}")


def families(bed: Bed):
    site = Site(bed, "site", FOUR, 5070, f"{FOUR}:8070", ["--config", os.path.join(CONFIG, "families.toml"), "--log", "info"])
    gateway = Agent6(bed, "gateway", Place(SIX, 5070), 5090, manner="answer")
    site.start()
    until(5, "the gateway is probed over IPv6", lambda: site.trunk("six")["reason"].startswith("OPTIONS was answered")
          or site.trunk("six")["state"] == "in-service" and gateway.others)
    six = Agent6(bed, "phone-6", Place(SIX, 5070), 5080, manner="answer").register("2001")
    four = Agent(bed, "phone-4", "127.0.0.99", Place(FOUR, 5070), manner="answer").register("2002")
    other = Agent(bed, "phone-other", "127.0.0.100", Place(OTHER, 5072), manner="answer").register("2003")
    talk(six, "2002", four, "2001", f"{FOUR}:5070")
    talk(four, "2001", six, "2002", f"{SIX}:5070")
    talk(four, "2003", other, "2002", f"{OTHER}:5072")
    talk(other, "9555", gateway, "2003", f"{SIX}:5070")
    print("    phones over IPv6 and over two IPv4 addresses call each other, and each is told the address that it knows", flush=True)
    stun(socket.AF_INET, FOUR, 5070)
    stun(socket.AF_INET6, "::1", 5070)
    print("    STUN keep-alives are answered over both families", flush=True)
    site.stop()


if __name__ == "__main__":
    main("families", families)
