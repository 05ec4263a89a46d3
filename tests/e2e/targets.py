#!/usr/bin/env python3
"""Trunks that are names (RFC 3263): two SIPp gateways behind NAPTR and SRV, one of them killed, silent, back; the name server
changes its mind, and falls silent.
"""

import os
import signal
import time

from bed import CONFIG, Bed, Site, expect, main, until
from names import NameServer, address, naptr, srv
from ua import Agent

SITE, FIRST, SECOND = "127.0.0.85", "127.0.0.86", "127.0.0.87"
ZONE = {
    "carrier.test": [naptr(10, 10, "SIPS+D2T", "_sips._tcp.carrier.test"), naptr(20, 10, "SIP+D2U", "_sip._udp.carrier.test")],
    "_sip._udp.carrier.test": [srv(10, 0, 5060, "one.carrier.test"), srv(20, 0, 5060, "two.carrier.test")],
    "one.carrier.test": [address(FIRST)],
    "two.carrier.test": [address(SECOND)],
    "watched.test": [address(FIRST)],
}


def states(site, trunk):
    return {target["addr"].split(":")[0]: target["state"] for target in site.trunk(trunk)["targets"]}


def dial(phone, number="9555"):
    """A call that is answered, and ended; how long the answer took, s."""
    begin = time.monotonic()
    call = phone.call(number, caller="2001")
    phone.wait(f"{number} answers", 10, lambda: [m for m in call.inbox if m.status and m.status >= 200])
    took = time.monotonic() - begin
    answer = next(m for m in call.inbox if m.status and m.status >= 200)
    expect(answer.status == 200, f"{number} answers, but {answer.start}")
    call.bye()
    call.ends()
    return took


def targets(bed: Bed):
    names = NameServer(SITE, 5353, ZONE)
    bed.closers.append(names.close)
    site = Site(bed, "site", SITE, 5070, f"{SITE}:8070", ["--config", os.path.join(CONFIG, "targets.toml"), "--log", "info"])
    one, two = bed.phones("one", FIRST, 5060), bed.phones("two", SECOND, 5060)
    site.start()
    until(5, "the name has been located", lambda: len(states(site, "carrier")) == 2)
    expect(site.trunk("carrier")["targets"][0]["transport"] == "UDP", "no listen for TLS: the second service of NAPTR is taken")
    phone = Agent(bed, "phone", "127.0.0.88", site)
    for _ in range(5):
        dial(phone)
    until(5, "all calls went to the preferred gateway", lambda: (one.calls()[0], two.calls()[0]) == (5, 0))
    print("    five calls went to the gateway of the lower SRV priority", flush=True)

    one.process.send_signal(signal.SIGSTOP)
    took = dial(phone)
    expect(0.9 < took < 2, f"a silent gateway is left after trunk-target-timeout (1 s), but the call took {took:.2f} s")
    expect(states(site, "carrier")[FIRST] == "out-of-service", f"it is passed over now: {states(site, 'carrier')}")
    quick = dial(phone)
    expect(quick < 0.5, f"the next call does not try it, but took {quick:.2f} s")
    print(f"    it fell silent: that call was answered by the other after {took:.1f} s, the next at once", flush=True)
    one.process.send_signal(signal.SIGCONT)
    one.process.kill()
    one.process.wait()
    until(5, "recovery-timeout is over", lambda: states(site, "carrier")[FIRST] == "in-service")
    took = dial(phone)
    expect(took < 0.5, f"a killed gateway is left at once, but the call took {took:.2f} s")
    print(f"    it was killed: the call went to the other within {took * 1000:.0f} ms", flush=True)
    again = bed.phones("one-again", FIRST, 5060)
    until(5, "recovery-timeout is over", lambda: states(site, "carrier")[FIRST] == "in-service")
    dial(phone)
    # SIPp counts a call 4 s after its end, and says so once a second.
    until(15, "it takes calls again", lambda: again.calls()[0] == 1)
    print("    it came back, and took the next call", flush=True)

    ZONE["watched.test"] = [address(SECOND), address("127.0.0.89")]
    again.process.kill()
    two.process.kill()
    again.process.wait()
    two.process.wait()
    watched = [Agent(bed, f"watched-{host}", host, site, manner="answer") for host in (SECOND, "127.0.0.89")]
    until(12, "the name leads elsewhere once its time to live is over", lambda: set(states(site, "watched").values()) == {"in-service"}
          and len(states(site, "watched")) == 2)
    dial(phone, "8555")
    watched[0].close()
    until(5, "the probe finds the dead target", lambda: states(site, "watched")[SECOND] == "out-of-service")
    expect(site.trunk("watched")["state"] != "out-of-service", "the trunk is in service while one target is")
    dial(phone, "8555")
    print("    the name led elsewhere, and a target found dead by its probe is passed over", flush=True)

    names.silent = True
    until(25, "the server says that the name cannot be located", lambda: "cannot be located" in bed.tail("site", 200))
    dial(phone, "8555")
    metrics = bed.folder + "/metrics"
    os.system(f"curl -s {site.url}/metrics > {metrics}")
    with open(metrics) as file:
        text = file.read()
    expect(f'tandem_trunk_target_in_service{{trunk="watched",transport="UDP",target="{SECOND}:5060"}} 0' in text, text)
    print("    the name server fell silent: the trunk keeps what it had, and the log says so", flush=True)
    site.stop()


if __name__ == "__main__":
    main("targets", targets)
