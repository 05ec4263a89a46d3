#!/usr/bin/env python3
"""Site dead or link dead: two sites lose each other's SIP, then every packet, then one dies; what is said of it, with signals
and without. Needs a network namespace of its own, because it drops packets.
"""

import json

from bed import Bed, Failed, expect, main, until
from losing_b import enter_namespace, net
from readiness import Proxy, Sites, metrics
from ua import Agent

SIGNALS = 'dr-failure-signals = ["control", "gateways", "phones"]\n'
DETECTED_S = 4


def dropped(sites):
    """SIP from one site to the other is dropped where it arrives."""
    net("nft", "add table ip tandem")
    net("nft", "add chain ip tandem input { type filter hook input priority 0; }")
    for source, target in ((sites.a, sites.b), (sites.b, sites.a)):
        net("nft", f"add rule ip tandem input ip saddr {source.host} ip daddr {target.host} udp dport 5070 drop")


def restored(sites):
    net("nft", "delete table ip tandem")
    sites.peered()
    expect(failure(sites.a) is None and failure(sites.b) is None, "nothing is thought of a loss that is over")


def failure(site):
    return site.ask("status")["peer_failure"]


def is_thought(site, text, *because):
    """`tandem status` says it within a few seconds, with what it is judged from."""
    def seen():
        thought = failure(site)
        return thought and thought["text"] == text and all(part in thought["because"] for part in because)
    try:
        until(10, text, seen)
    except Failed:
        raise Failed(f"{site.name} thinks: {text} {because}, but {json.dumps(failure(site))}")
    until(3, f"the log of {site.name} says {text}", lambda: f"why the peer seems to be lost: {text}" in site.bed.tail(site.name, 200))


def explained(bed: Bed):
    # Status pages are asked through these, so that they can be cut off beside SIP.
    sites = Sites(bed, options=SIGNALS, peer="http://{host}:8443")
    proxies = [Proxy(bed, site, site.host, 8443, tls=False) for site in (sites.a, sites.b)]
    phones = [Agent(bed, f"phone-{n}", f"127.0.1.{n}", sites.a).register(f"100{n}") for n in (1, 2, 3)]
    expect(failure(sites.b) is None and "tandem_peer_failure" not in metrics(sites.b), "nothing is thought while nothing is lost")

    dropped(sites)
    until(DETECTED_S, "both sites are alone", lambda: sites.a.mode() == sites.b.mode() == "single-site")
    for site in (sites.a, sites.b):
        is_thought(site, "link dead: certain", "the peer's status interface answers", "0 phones moved here")
    expect('tandem_peer_failure{cause="link-dead"} 3' in metrics(sites.b), "/metrics says it")
    restored(sites)
    print("    SIP is cut between the sites and the interface answers: link dead, certain", flush=True)

    dropped(sites)
    for proxy in proxies:
        proxy.close()
    is_thought(sites.b, "site dead: possible", "control link silent", "0 phones moved here")
    restored(sites)
    print("    everything is cut: site dead, possible", flush=True)

    sites.a.kill()
    for phone, number in zip(phones, ("1001", "1002", "1003")):
        phone.server = (sites.b.host, sites.b.port)
        until(DETECTED_S, "site B is alone", lambda: sites.b.mode() == "single-site")
        phone.register(number)
    is_thought(sites.b, "site dead: likely", "control link silent", "3 phones moved here")
    status = sites.b.ask("status")
    expect((status["mode"], status["peer_failure"]["cause"], status["peer_failure"]["confidence"])
           == ("single-site", "site-dead", "likely"), f"{status}")
    sites.a.start()
    sites.peered()
    expect(failure(sites.b) is None, "nothing is thought of a loss that is over")
    print("    a site is killed and its phones come over: site dead, likely", flush=True)

    sites.again("b")
    sites.peered()
    sites.a.kill()
    until(DETECTED_S, "site B is alone", lambda: sites.b.mode() == "single-site")
    expect(failure(sites.b) is None, "without the option nothing is thought")
    sites.b.stop()


if __name__ == "__main__":
    main("failure", explained, enter_namespace)
