#!/usr/bin/env python3
"""BCA-05: what is shipped does all three: `tandem serve --demo site-a` and `--demo site-b`, the people of `config/office.toml`
and the command line are all that is used. An agent works at either site; a site is lost and he serves at the other; a site
is drained and he goes on at the other.
"""

import os
import subprocess

from bed import Bed, Site, expect, main, tandem, until
from desk import Desktop
from ua import Agent

HOSTS = {"a": "127.0.0.1", "b": "127.0.0.2"}
GATEWAY = "127.0.0.3"
DN, AGENT = "1001", "2001"


class Office:
    def __init__(self, bed):
        self.bed = bed
        for name, host in HOSTS.items():
            site = Site(bed, f"site-{name}", host, 5060, f"{host}:8060", ["--demo", f"site-{name}", "--log", "info"])
            site.cti_options = ["--connect", f"ws://{host}:8061/cti"]
            setattr(self, name, site)
            site.start()
        until(15, "both sites are peered", self.is_peered)
        self.phones = {name: Agent(bed, f"phone-{name}", host, getattr(self, name)).register(DN)
                       for name, host in (("a", "127.0.1.1"), ("b", "127.0.1.2"))}
        self.gateway = Agent(bed, "gateway", GATEWAY, self.a, manner="silent")

    def is_peered(self):
        return self.a.mode() == self.b.mode() == "peered"

    def works(self, name):
        """The agent logs in at a site and takes a call there, which is over then."""
        site = getattr(self, name)
        desk = Desktop(self.bed, site, "agent01")
        desk.log_in(DN, AGENT, mode="AutoIn")
        self.phones[name].manner = "answer"
        self.gateway.server = (site.host, site.port)
        caller = self.gateway.call(DN)
        call = desk.hear("EventRinging", ThisDN=DN)["ConnID"]
        desk.hear("EventEstablished", ConnID=call)
        caller.hears("200 INVITE")
        caller.bye()
        desk.hear("EventReleased", ConnID=call)
        return desk


def either_site(office):
    for name in HOSTS:
        office.works(name).leave(DN)
    return "the same agent with the same DN takes a call at A, then at B"


def site_is_lost(office):
    desk = office.works("a")
    office.a.kill()
    until(10, "B works alone", lambda: office.b.mode() == "single-site")
    desk.close()
    office.works("b").leave(DN)
    office.a.start()
    until(15, "both sites are peered again", office.is_peered)
    office.phones["a"].register(DN)
    # What A had answered for it still has: its agent is logged in there.
    back = Desktop(office.bed, office.a, "agent01")
    back.ask("TRegisterAddress", "EventRegistered", ThisDN=DN)
    back.leave(DN)
    return "A is killed: B turns to single-site, and the agent takes a call there; A comes back"


def site_is_drained(office):
    desk = office.works("b")
    done = subprocess.run([tandem(), "drain", "--server", office.b.url, "--user", "admin"], capture_output=True, text=True,
                          env={**os.environ, "TANDEM_CTI_PASSWORD": "secret-admin"})
    expect(done.returncode == 0, f"tandem drain: {done.returncode} {done.stdout}{done.stderr}")
    logout = desk.hear("EventAgentLogout", ThisDN=DN)
    expect(logout["AttributeExtensions"]["ReasonCode"] == "graceful_shutdown_logout", f"why: {logout}")
    office.works("a").leave(DN)
    code = office.b.process.wait(30)
    expect(code == 0, f"the drained site ends by itself with exit code 0, but {code}")
    return "tandem drain at B: the agent goes on at A, and B ends by itself"


def shipped(bed: Bed):
    office = Office(bed)
    for play in (either_site, site_is_lost, site_is_drained):
        print(f"    {play.__name__.replace('_', ' ')}: {play(office)}", flush=True)
    office.a.stop()


if __name__ == "__main__":
    main("shipped", shipped)
