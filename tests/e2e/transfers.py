#!/usr/bin/env python3
"""Transfers by REFER between two phones and a SIPp gateway: attended and blind, over UDP, TCP and TLS; one that fails, and
a phone that hangs up at once.
"""

import os
import urllib.parse

from bed import Bed, Site, configuration, expect, main, until
from certificates import authority, certificate
from streams import Connected
from ua import Agent, tag_of

SITE, GATEWAY = "127.0.0.61", "127.0.0.62"
FIRST, SECOND = "127.0.0.63", "127.0.0.64"
PORTS = {"TCP": 5070, "TLS": 5071}


def phone(bed, site, number, host, transport, manner):
    name = f"phone-{number}-{transport}"
    if transport == "UDP":
        return Agent(bed, name, host, site, manner=manner).register(number)
    ca = os.path.join(bed.folder, "ca.pem")
    return Connected(bed, name, host, site, transport, PORTS[transport], ca, manner=manner).register(number)


def gateway(bed, number, name, transport):
    """SIPp behind the gateway calls `number`, takes re-INVITEs, and lets the other side hang up."""
    with open(os.path.join(os.path.dirname(__file__), "scenarios", "caller.xml")) as file:
        scenario = os.path.join(bed.folder, "caller.xml")
        with open(scenario, "w") as written:
            written.write(file.read().replace("TALK_MS", "600000"))
    port = 5072 + len([f for f in os.listdir(bed.folder) if f.endswith(".msgs")])
    return bed.sipp(name, scenario, GATEWAY, port, remote=f"{SITE}:5070", rows=[(number,)],
                    options=["-m", 1, "-t", "t1" if transport == "TCP" else "u1", "-trace_msg", "-message_file", os.path.join(bed.folder, f"{name}.msgs")])


def replaces(line):
    """`Refer-To` of a dialog, as its phone sees it."""
    dialog = f"{line.call_id};to-tag={tag_of(line.remote)};from-tag={tag_of(line.local)}"
    return f"Refer-To: <sip:1002@{SITE}?Replaces={urllib.parse.quote(dialog, safe='')}>"


def progress(line):
    return [message.body.strip() for message in line.got("NOTIFY")]


def refers(line, refer_to):
    line.request("REFER", extra=[refer_to])
    line.hears("202 REFER")


def told(line, status):
    line.ua.wait(f"{line} is told {status}", 5, lambda: any(f" {status} " in text for text in progress(line)), lambda: f"; {progress(line)}")


def joined(bed, caller, name, second):
    """The gateway talks with the second phone: each sends its media to the other; they hang up."""
    second.has_media(GATEWAY, 40002)
    heard = lambda: open(os.path.join(bed.folder, f"{name}.msgs"), errors="replace").read()
    until(5, "SIPp is told where the second phone's media are", lambda: f"m=audio {second.port} " in heard())
    second.bye()
    second.ends()
    expect(caller.wait(10) == 0, f"the gateway's call ends well: {caller.summary()}")


def attended(bed, site, transport, one, two):
    name = f"attended-{transport}"
    caller = gateway(bed, "1001", name, transport)
    first = one.fresh_line()
    one.wait("the first phone talks with the gateway", 5, lambda: first.got("ACK"))
    first.request("INVITE", first.describe() + "a=sendonly\r\n")
    first.hears("200 INVITE")
    consult = one.call("1002", caller="1001")
    second = two.fresh_line()
    one.wait("the first phone talks with the second", 5, lambda: consult.answered)
    refers(first, replaces(consult))
    told(first, 200)
    consult.ends()
    joined(bed, caller, name, second)
    first.ends()
    until(5, "nothing is left", lambda: site.ask("call", "list") == [])


def blind(bed, site, transport, one, two, at_once):
    name = f"blind-{transport}-{at_once}"
    caller = gateway(bed, "1001", name, transport)
    first = one.fresh_line()
    one.wait("the first phone talks with the gateway", 5, lambda: first.got("ACK"))
    refers(first, f"Refer-To: <sip:1002@{SITE}>")
    if at_once:
        first.bye()
    second = two.fresh_line()
    told(first, 200)
    joined(bed, caller, name, second)
    until(5, "nothing is left", lambda: site.ask("call", "list") == [])


def busy(bed, site, transport, one, two):
    """Nobody takes it: the two go on talking."""
    two.manner = 486
    caller = gateway(bed, "1001", f"busy-{transport}", transport)
    first = one.fresh_line()
    one.wait("the first phone talks with the gateway", 5, lambda: first.got("ACK"))
    refers(first, f"Refer-To: <sip:1002@{SITE}>")
    two.fresh_line()
    told(first, 486)
    expect(not first.over and site.ask("call", "list")[0]["state"] == "established", "the call goes on as it was")
    first.bye()
    first.ends()
    expect(caller.wait(10) == 0, f"the gateway's call ends well: {caller.summary()}")
    two.manner = "answer"


def transfers(bed: Bed):
    authority(bed.folder, "ca")
    certificate(bed.folder, "site", SITE)
    path = os.path.join(bed.folder, "site.toml")
    with open(path, "w") as file:
        file.write(configuration("transfers.toml"))
    site = Site(bed, "site", SITE, 5070, f"{SITE}:8070", ["--config", path, "--log", "info"])
    site.start()
    for transport in ("UDP", "TCP", "TLS"):
        one = phone(bed, site, "1001", FIRST, transport, "answer")
        two = phone(bed, site, "1002", SECOND, transport, "answer")
        attended(bed, site, transport, one, two)
        blind(bed, site, transport, one, two, at_once=False)
        blind(bed, site, transport, one, two, at_once=True)
        busy(bed, site, transport, one, two)
        one.register("1001", expires=0)
        two.register("1002", expires=0)
        print(f"    phones over {transport} transfer a call of the gateway: attended, blind, hanging up at once, in vain", flush=True)
    site.stop()


if __name__ == "__main__":
    main("transfers", transfers)
