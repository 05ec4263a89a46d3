#!/usr/bin/env python3
"""Kamailio before a carrier, as a gateway is: calls both ways through it, and its loss; and Kamailio before the phones, as an
edge proxy: phones behind it register, are called, call, and are reached by way of it alone.
"""

import os
import shutil
from types import SimpleNamespace

from bed import CONFIG, Site, Skipped, configuration, expect, main, until
from ua import Agent

SITE, CARRIER, PHONE, EDGE_PHONE = "127.0.0.71", "127.0.0.74", "127.0.0.75", "127.0.0.76"
BORDER, EDGE = "127.0.0.72", "127.0.0.73"
MODULES = ("/usr/lib/x86_64-linux-gnu/kamailio/modules", "/usr/lib/aarch64-linux-gnu/kamailio/modules", "/usr/lib/kamailio/modules")


def kamailio_at(bed, name, listen, forward, back):
    path = os.path.join(bed.folder, f"{name}.cfg")
    modules = next((path for path in MODULES if os.path.isdir(path)), MODULES[0])
    with open(path, "w") as file:
        file.write(configuration("kamailio.cfg").replace("LISTEN", listen).replace("NEXT_IP", forward.split(":")[0])
                   .replace("NEXT", forward).replace("BACK", back).replace("MODULES", modules))
    return bed.run(name, ["kamailio", "-f", path, "-DD", "-E", "-w", bed.folder, "-Y", bed.folder, "-P", f"{bed.folder}/{name}.pid"])


def talk(bed, caller, callee_line):
    callee_line.hears("ACK")
    expect(callee_line.told[0] == caller.ua.host, f"they agree on media, but {callee_line.told}")


def kamailio(bed):
    if not shutil.which("kamailio"):
        raise Skipped("kamailio is not installed")
    path = os.path.join(bed.folder, "site.toml")
    with open(path, "w") as file:
        file.write(configuration("kamailio.toml"))
    site = Site(bed, "site", SITE, 5060, f"{SITE}:8070", ["--config", path, "--log", "info"])
    # From the site to the carrier, and from everybody else to the site.
    border = kamailio_at(bed, "border", BORDER, f"{SITE}:5060", f"{CARRIER}:5060")
    edge = kamailio_at(bed, "edge", EDGE, f"{SITE}:5060", f"{SITE}:5060")
    site.start()
    until(10, "the trunk behind Kamailio is in service", lambda: site.trunk("carrier")["state"] == "in-service")
    print("    Kamailio answers the trunk's OPTIONS: in service", flush=True)

    phone = Agent(bed, "phone", PHONE, site, manner="answer").register("1001")
    carrier = Agent(bed, "carrier", CARRIER, SimpleNamespace(host=BORDER, port=5060), manner="answer")
    call = phone.call("90301234", caller="1001")
    line = carrier.fresh_line(10)
    talk(bed, call, line)
    line.bye()
    call.ends()
    line.ends()
    call = carrier.call("1001")
    line = phone.line(1, 10)
    talk(bed, call, line)
    line.bye()
    call.ends()
    print("    calls to the carrier and from it through Kamailio, each ended by the called party", flush=True)

    behind = Agent(bed, "behind", EDGE_PHONE, SimpleNamespace(host=EDGE, port=5060), manner="answer").register("1002")
    until(5, "it is registered", lambda: "1002" in {binding["dn"] for binding in site.ask("reg", "list")})
    call = phone.call("1002", caller="1001")
    line = behind.line(1, 10)
    talk(bed, call, line)
    expect(len(line.invite.all("via")) == 2 and EDGE in line.invite.header("via"), f"it came by the edge proxy, but {line.invite.all('via')}")
    line.bye()
    call.ends()
    call = behind.call("1001", caller="1002")
    line = phone.line(2, 10)
    talk(bed, call, line)
    call.bye()
    line.ends()
    print("    a phone behind an edge proxy registers with Path, is called by way of it, calls, and hangs up", flush=True)

    border.terminate()
    border.wait(15)
    until(20, "the trunk is out of service", lambda: site.trunk("carrier")["state"] != "in-service")
    call = phone.call("90301234", caller="1001")
    phone.wait("the call out is refused", 5, lambda: call.over)
    print(f"    Kamailio before the carrier is gone: trunk out of service, a call out gets {call.inbox[-1].start}", flush=True)
    edge.terminate()
    edge.wait(15)
    site.stop()


if __name__ == "__main__":
    main("kamailio", kamailio)
