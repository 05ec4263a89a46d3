#!/usr/bin/env python3
"""The floor of two sites: an agent who is logged in at the other one is reached from here, his data go along, and the rules
of logins hold while both sites are there.
"""

from bed import CONFIG, Site, expect, main, until
from desk import Desktop
from stage import CALLER, GATEWAY, play
from ua import Agent

HOSTS = {"a": "127.0.0.71", "b": "127.0.0.72"}


class Sites:
    def __init__(self, bed):
        self.bed = bed
        for name, host in HOSTS.items():
            site = Site(bed, f"floor-{name}", host, 5070, f"{host}:8070", ["--config", f"{CONFIG}/floor-{name}.toml", "--log", "info"])
            setattr(self, name, site)
            site.start()
        until(10, "both sites are peered", lambda: self.a.mode() == self.b.mode() == "peered")
        self.gateway = Agent(bed, "gateway", GATEWAY, self.a, manner="silent")
        self.phones = {"1001": self.registered("1001", self.b, "127.0.1.1"), "1002": self.registered("1002", self.a, "127.0.1.2"),
                       "1011": self.registered("1011", self.b, "127.0.1.11"), "1011 at A": self.registered("1011", self.a, "127.0.1.21")}

    def registered(self, number, site, host):
        return Agent(self.bed, f"phone-{number}-{site.name}", host, site).register(number)

    def phone(self, number, manner="ring"):
        phone = self.phones[number]
        phone.manner = manner
        phone.taken = len([line for line in phone.lines if line.invite])
        return phone

    def watch(self, site, user, dn):
        desk = Desktop(self.bed, site, user)
        desk.ask("TRegisterAddress", "EventRegistered", ThisDN=dn)
        return desk

    def over(self, *desks):
        for site in (self.a, self.b):
            until(5, f"`tandem call list` at {site.name} is empty", lambda site=site: site.ask("call", "list") == [])
        for desk in desks:
            desk.silent()
            desk.close()


def refused(desk, code, request, **attributes):
    error = desk.ask(request, "EventError", **attributes)
    expect(error["ErrorCode"] == code, f"{request} gets {code}, but {error}")


def why_forwarded(stage, line, reason):
    """`tandem why` at site A says why the call went to the peer."""
    told = stage.a.ask("why", line.call_id)
    expect(reason in str(told), f"`tandem why` says {reason}, but {told}")


def login(stage):
    """While both sites are there an agent logs in where his phone is registered; he is logged out when it is not any more."""
    at_a, at_b = stage.watch(stage.a, "agent01", "1001"), stage.watch(stage.b, "agent01", "1001")
    refused(at_a, 58, "TAgentLogin", ThisDN="1001", AgentID="2001")
    at_b.ask("TAgentLogin", "EventAgentLogin", ThisDN="1001", AgentID="2001", WorkMode="AutoIn")
    at_b.hear("EventAgentReady")
    stage.phones["1001"].register("1001", expires=0)
    at_b.hear("EventDNOutOfService", ThisDN="1001")
    at_b.hear("EventAgentLogout", ThisDN="1001", AttributeExtensions={"ReasonCode": "dr-force_logout"})
    stage.phones["1001"].register("1001")
    at_b.hear("EventDNBackInService", ThisDN="1001")
    stage.over(at_a, at_b)
    return "58 at site A; at site B until the phone's registration ends: dr-force_logout"


def inbound(stage):
    """A call from outside for an agent at the other site."""
    at_b = stage.watch(stage.b, "agent01", "1001")
    stage.phone("1001", "answer")
    uui = "4d7920646174610a;encoding=hex"
    caller = stage.gateway.call("1001", extra=[f"User-to-User: {uui}"])
    call = at_b.hear("EventRinging", OtherDN=CALLER, CallType="Inbound", ANI=CALLER, UserData={"User-to-User": uui})["ConnID"]
    at_b.hear("EventEstablished", ConnID=call)
    line = stage.phones["1001"].fresh_line()
    line.has_media(GATEWAY, caller.port)
    caller.has_media("127.0.1.1", line.port)
    why_forwarded(stage, caller, "the endpoint is out of service here")
    at_b.ask("TReleaseCall", "EventReleased", ThisDN="1001", ConnID=call)
    caller.ends()
    stage.over(at_b)
    return "oos: forwarded to site B, with User-to-User"


def made(stage):
    """A desktop at site A calls the agent at site B: one ConnID, and the data."""
    at_a, at_b = stage.watch(stage.a, "agent02", "1002"), stage.watch(stage.b, "agent01", "1001")
    stage.phone("1001", "answer")
    data = {"Order": "47,11 %", "Näme": "Müller", "Deep": {"n": 7}}
    stage.phone("1002", "answer")
    call = at_a.ask("TMakeCall", "EventDialing", ThisDN="1002", OtherDN="1001", UserData=data)["ConnID"]
    at_b.hear("EventRinging", ConnID=call, OtherDN="1002", UserData=data)
    at_b.hear("EventEstablished", ConnID=call, UserData=data)
    at_a.hear("EventEstablished", ConnID=call, OtherDN="1001")
    line, own = stage.phones["1001"].fresh_line(), stage.phones["1002"].fresh_line()
    line.has_media("127.0.1.2", own.port)
    own.has_media("127.0.1.1", line.port)
    at_b.ask("TReleaseCall", "EventReleased", ThisDN="1001", ConnID=call)
    at_a.hear("EventReleased", ConnID=call)
    stage.over(at_a, at_b)
    return f"ConnID {call} at both sites, nested and non-ASCII data arrive"


def routed(stage):
    """A routing application at site A sends a call to the agent at site B."""
    router, at_b = stage.watch(stage.a, "router", "7900"), stage.watch(stage.b, "agent01", "1001")
    stage.phone("1001", "answer")
    caller = stage.gateway.call("7900")
    call = router.hear("EventRouteRequest", ThisDN="7900")["ConnID"]
    router.ask("TRouteCall", "EventRouteUsed", ThisDN="7900", ConnID=call, OtherDN="1001", UserData={"Segment": "gold"})
    router.hear("EventDiverted", ThirdPartyDN="1001")
    at_b.hear("EventRinging", ConnID=call, OtherDN=CALLER, UserData={"Segment": "gold"})
    at_b.hear("EventEstablished", ConnID=call)
    why_forwarded(stage, caller, "sent over the peer trunk")
    caller.bye()
    at_b.hear("EventReleased", ConnID=call)
    stage.over(router, at_b)
    return "TRouteCall to a DN without an agent here: ConnID and data at site B"


def queued(stage):
    """A queue at site A without agents overflows to the agent at site B."""
    boss, at_b = stage.watch(stage.a, "supervisor", "7000"), stage.watch(stage.b, "agent01", "1001")
    stage.phone("1001", "answer")
    caller = stage.gateway.call("7000")
    call = boss.hear("EventQueued", ThisDN="7000")["ConnID"]
    boss.hear("EventDiverted", ThisDN="7000", ThirdPartyDN="1001")
    at_b.hear("EventRinging", ConnID=call, OtherDN=CALLER)
    at_b.hear("EventEstablished", ConnID=call)
    caller.bye()
    at_b.hear("EventReleased", ConnID=call)
    stage.over(boss, at_b)
    return "overflow to 1001: the same ConnID at site B"


def consulted(stage):
    """An agent at site A consults the one at site B, and transfers his caller to him."""
    at_a, at_b = stage.watch(stage.a, "agent02", "1002"), stage.watch(stage.b, "agent01", "1001")
    stage.phone("1001", "answer")
    stage.phone("1002", "answer")
    caller = stage.gateway.call("1002")
    call = at_a.hear("EventRinging")["ConnID"]
    at_a.hear("EventEstablished", ConnID=call)
    stage.phones["1002"].fresh_line()
    consult = at_a.consult("TInitiateTransfer", "1002", call, "1001", UserData={"Why": "expert"})
    at_b.hear("EventRinging", ConnID=consult, OtherDN="1002", UserData={"Why": "expert"})
    at_b.hear("EventEstablished", ConnID=consult)
    at_a.hear("EventEstablished", ConnID=consult)
    theirs = stage.phones["1001"].fresh_line()
    # No mixer is configured.
    refused(at_a, 166, "TCompleteConference", ThisDN="1002", ConnID=call, ConsultConnID=consult)
    at_a.ask("TCompleteTransfer", "EventReleased", {"CallState": "Transferred"}, ThisDN="1002", ConnID=call, ConsultConnID=consult)
    at_a.hear("EventReleased", CallState="Transferred")
    caller.has_media("127.0.1.1", theirs.port)
    theirs.has_media(GATEWAY, caller.port)
    caller.bye()
    at_b.hear("EventReleased", ConnID=consult)
    stage.over(at_a, at_b)
    return "consultation with ConnID and data; the caller's media go to site B's phone"


def no_agent(stage):
    """A phone that is registered at both sites: the agent's login decides."""
    at_a, at_b = stage.watch(stage.a, "agent03", "1011"), stage.watch(stage.b, "agent03", "1011")
    at_b.ask("TAgentLogin", "EventAgentLogin", ThisDN="1011", AgentID="2003", WorkMode="AutoIn")
    at_b.hear("EventAgentReady")
    here, there = stage.phone("1011 at A", "answer"), stage.phone("1011", "answer")
    caller = stage.gateway.call("1011")
    call = at_b.hear("EventRinging", OtherDN=CALLER)["ConnID"]
    at_b.hear("EventEstablished", ConnID=call)
    there.fresh_line()
    why_forwarded(stage, caller, "no-agent")
    caller.bye()
    at_b.hear("EventReleased", ConnID=call)
    at_b.ask("TAgentLogout", "EventAgentLogout", ThisDN="1011")
    at_a.ask("TAgentLogin", "EventAgentLogin", ThisDN="1011", AgentID="2003", WorkMode="AutoIn")
    at_a.hear("EventAgentReady")
    caller = stage.gateway.call("1011")
    call = at_a.hear("EventRinging", OtherDN=CALLER)["ConnID"]
    at_a.hear("EventEstablished", ConnID=call)
    here.fresh_line()
    caller.bye()
    at_a.hear("EventReleased", ConnID=call)
    at_a.ask("TAgentLogout", "EventAgentLogout", ThisDN="1011")
    stage.over(at_a, at_b)
    return "to site B while he is logged in there, delivered at site A while he is here"


def site_lost(stage):
    """Site A is killed: site B works alone, and lets agents log in whose phones have not arrived yet."""
    at_b = stage.watch(stage.b, "agent02", "1002")
    refused(at_b, 58, "TAgentLogin", ThisDN="1002", AgentID="2002")
    stage.a.kill()
    until(5, "site B works alone", lambda: stage.b.mode() == "single-site")
    at_b.ask("TAgentLogin", "EventAgentLogin", ThisDN="1002", AgentID="2002", WorkMode="AutoIn")
    at_b.hear("EventAgentReady")
    at_b.ask("TAgentLogout", "EventAgentLogout", ThisDN="1002")
    at_b.silent()
    at_b.close()
    return "58 before, logged in after"


PLAYS = (login, inbound, made, routed, queued, consulted, no_agent, site_lost)


def sites(bed):
    stage = Sites(bed)
    play(stage, PLAYS)
    stage.b.stop()


if __name__ == "__main__":
    main("floor_sites", sites)
