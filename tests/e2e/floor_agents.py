#!/usr/bin/env python3
"""Agents: logins and who may have them, work modes, after-call work, and everything that logs an agent out."""

from bed import expect, main, until
from stage import CALLER, Stage, play


def conflicts(stage):
    """One agent at one DN, one DN for an agent."""
    one, two = stage.agent(1), stage.desktop("agent02")
    two.ask("TRegisterAddress", "EventRegistered", ThisDN="1002")
    boss = stage.watch("supervisor", "1001")
    boss.ask("TRegisterAddress", "EventRegistered", ThisDN="1002")
    stage.refused(boss, 527, "TAgentLogin", ThisDN="1002", AgentID="2001")
    stage.refused(boss, 550, "TAgentLogin", ThisDN="1001", AgentID="2002")
    stage.refused(two, 55, "TAgentLogin", ThisDN="1002", AgentID="2001")
    stage.refused(two, 55, "TRegisterAddress", ThisDN="1001")
    stage.refused(two, 187, "TAgentSetReady", ThisDN="1002")
    stage.refused(two, 551, "TAgentLogout", ThisDN="1002")
    one.ask("TAgentLogin", "EventAgentLogin", {"AgentID": "2001"}, ThisDN="1001", AgentID="2001")
    boss.hear("EventAgentLogin", ThisDN="1001")
    stage.refused(one, 43, "TAgentSetReady", ThisDN="1001")
    one.ask("TAgentLogout", "EventAgentLogout", ThisDN="1001")
    boss.hear("EventAgentLogout", ThisDN="1001")
    stage.over(one, two, boss)
    return "527 elsewhere, 550 occupied, 55 somebody else's, 187 and 551 logged out; the same login again is told, no more"


def work_modes(stage):
    """Not ready for every reason, during a call too; what follows the call is what was said last."""
    one, phone = stage.agent(1, "ManualIn"), stage.phone("1001", "answer")
    for mode in ("AuxWork", "WalkAway", "ReturnBack", "NoCallDisconnect"):
        one.ask("TAgentSetNotReady", "EventAgentNotReady", {"WorkMode": mode}, ThisDN="1001", WorkMode=mode)
    one.ask("TAgentSetNotReady", "EventAgentNotReady", {"WorkMode": "AuxWork", "Reasons": {"Break": "lunch"}}, ThisDN="1001",
            WorkMode="AuxWork", Reasons={"Break": "lunch"})
    stage.refused(one, 53, "TAgentSetNotReady", ThisDN="1001", WorkMode="LegalGuard")
    stage.refused(one, 53, "TAgentSetReady", ThisDN="1001", WorkMode="AuxWork")
    one.ask("TAgentSetReady", "EventAgentReady", {"WorkMode": "AutoIn"}, ThisDN="1001", WorkMode="AutoIn")
    caller = stage.gateway.call("7000")
    call = one.hear("EventRinging", ThisQueue="7000")["ConnID"]
    one.hear("EventEstablished", ConnID=call)
    one.ask("TAgentSetNotReady", "EventAgentNotReady", {"WorkMode": "AuxWork"}, ThisDN="1001", WorkMode="AuxWork")
    caller.bye()
    one.hear("EventReleased", ConnID=call)
    phone.fresh_line().ends()
    second = stage.gateway.call("7000")
    second.hears("182 INVITE")
    shown = next(line for line in stage.site.ask("agent", "list") if line["agent_id"] == "2001")
    expect(shown["work_mode"] == "AuxWork" and shown["state"] == "NotReady", f"2001 is not ready, but {shown}")
    one.ask("TAgentSetReady", "EventAgentReady", ThisDN="1001")
    call = one.hear("EventRinging", ThisQueue="7000")["ConnID"]
    one.hear("EventEstablished", ConnID=call)
    second.bye()
    one.hear("EventReleased", ConnID=call)
    stage.over(logout=[(one, "1001")])
    return "AuxWork asked for in a call holds after it; the next caller waited for Ready"


def untimed(stage):
    """After-call work that the agent ends himself."""
    one, phone = stage.agent(1, dn="1011"), stage.phone("1011", "answer")
    caller = stage.gateway.call("7000")
    call = one.hear("EventRinging", ThisQueue="7000")["ConnID"]
    established = one.hear("EventEstablished", ConnID=call)
    expect(established["AttributeExtensions"]["WrapUpTime"] == "untimed", f"WrapUpTime is untimed, but {established}")
    caller.bye()
    one.hear("EventAgentNotReady", WorkMode="AfterCallWork", AttributeExtensions={"WrapUpTime": "untimed"})
    one.hear("EventReleased", ConnID=call)
    phone.fresh_line().ends()
    second = stage.gateway.call("7000")
    second.hears("182 INVITE")
    one.ask("TAgentSetReady", "EventAgentReady", ThisDN="1011")
    call = one.hear("EventRinging", ThisQueue="7000")["ConnID"]
    one.hear("EventEstablished", ConnID=call)
    one.ask("TAttachUserData", "EventAttachedDataChanged", ThisDN="1011", ConnID=call, UserData={"WrapUpTime": 1})
    second.bye()
    one.hear("EventAgentNotReady", WorkMode="AfterCallWork", AttributeExtensions={"WrapUpTime": 1})
    one.hear("EventReleased", ConnID=call)
    one.hear("EventAgentReady")
    stage.over(logout=[(one, "1011")])
    return "untimed until Ready is asked for; 1 s when the call's user data say so"


def legal_guard(stage):
    """A pause after each call and its after-call work, which nobody can end."""
    one, phone = stage.agent(1, dn="1012"), stage.phone("1012", "answer")
    caller = stage.gateway.call("7000")
    call = one.hear("EventRinging", ThisQueue="7000")["ConnID"]
    one.hear("EventEstablished", ConnID=call)
    caller.bye()
    one.hear("EventAgentNotReady", WorkMode="AfterCallWork")
    one.hear("EventReleased", ConnID=call)
    work = one.hear("EventAgentNotReady", WorkMode="LegalGuard")["Time"]
    stage.refused(one, 506, "TAgentSetReady", ThisDN="1012")
    guard = one.hear("EventAgentReady")["Time"] - work
    expect(1000 <= guard < 2000, f"a guard of 1 s, but {guard} ms")
    phone.fresh_line().ends()
    stage.over(logout=[(one, "1012")])
    return f"after-call work, then LegalGuard for {guard} ms, Ready refused meanwhile"


def strict_id(stage):
    """AgentIDs that are configured, with their password."""
    one = stage.watch("agent01", "1013")
    stage.refused(one, 119, "TAgentLogin", ThisDN="1013", AgentID="2001")
    stage.refused(one, 119, "TAgentLogin", ThisDN="1013", AgentID="2001", Password="pin-2002")
    boss = stage.watch("supervisor", "1013")
    stage.refused(boss, 192, "TAgentLogin", ThisDN="1013", AgentID="4242", Password="pin-4242")
    one.ask("TAgentLogin", "EventAgentLogin", ThisDN="1013", AgentID="2001", Password="pin-2001")
    one.hear("EventAgentNotReady")
    one.ask("TAgentLogout", "EventAgentLogout", ThisDN="1013")
    for name in ("EventAgentLogin", "EventAgentNotReady", "EventAgentLogout"):
        boss.hear(name, AgentID="2001")
    stage.over(one, boss)
    return "119 without the password or with another one, 192 for an unknown AgentID"


def login_on_call(stage):
    """A login or logout in a call is refused, unless the DN or the request allows it."""
    one, phone = stage.watch("agent01", "1001"), stage.phone("1001", "answer")
    caller = stage.gateway.call("1001")
    call = one.hear("EventRinging")["ConnID"]
    one.hear("EventEstablished")
    stage.refused(one, 506, "TAgentLogin", ThisDN="1001", AgentID="2001", WorkMode="AutoIn")
    one.ask("TAgentLogin", "EventAgentLogin", ThisDN="1001", AgentID="2001", WorkMode="AutoIn",
            AttributeExtensions={"AgentEmuLoginOnCall": "true"})
    one.hear("EventAgentReady")
    stage.refused(one, 506, "TAgentLogout", ThisDN="1001")
    caller.bye()
    one.hear("EventReleased", ConnID=call)
    one.ask("TAgentLogout", "EventAgentLogout", ThisDN="1001")
    phone.fresh_line().ends()
    two, phone = stage.watch("agent02", "1014"), stage.phone("1014", "answer")
    caller = stage.gateway.call("1014")
    call = two.hear("EventRinging")["ConnID"]
    two.hear("EventEstablished")
    two.ask("TAgentLogin", "EventAgentLogin", ThisDN="1014", AgentID="2002", WorkMode="AutoIn")
    two.hear("EventAgentReady")
    two.ask("TAgentLogout", "EventAgentLogout", ThisDN="1014")
    caller.bye()
    two.hear("EventReleased", ConnID=call)
    phone.fresh_line().ends()
    stage.over(one, two)
    return "506 by default; in and out at a DN that allows it"


def leaves(stage):
    """What logs an agent out when his desktop goes: disconnection, or unregistering the DN."""
    boss = stage.watch("supervisor", "1001")
    boss.ask("TRegisterAddress", "EventRegistered", ThisDN="1015")
    one, two = stage.agent(1), stage.agent(2, dn="1015")
    for name in ("EventAgentLogin", "EventAgentReady"):
        boss.hear(name, ThisDN="1001")
    for name in ("EventAgentLogin", "EventAgentReady"):
        boss.hear(name, ThisDN="1015")
    one.ask("TUnregisterAddress", "EventUnregistered", ThisDN="1001")
    # Nothing came of that: the next thing that is told is what the disconnection does.
    one.kill()
    boss.hear("EventAgentLogout", ThisDN="1001", AgentID="2001", Reasons={"Cause": "logout-on-disconnect"})
    two.send("TUnregisterAddress", ThisDN="1015")
    two.hear("EventUnregistered", ThisDN="1015")
    boss.hear("EventAgentLogout", ThisDN="1015", AgentID="2002", Reasons={"Cause": "agent-logout-on-unreg"})
    stage.over(two, boss)
    return "logout-on-disconnect at 1001, agent-logout-on-unreg at 1015"


def out_of_service(stage):
    """The phone's registration ends: its agent goes where the option says so, and stays where not."""
    boss = stage.watch("supervisor", "1001")
    boss.ask("TRegisterAddress", "EventRegistered", ThisDN="1016")
    one, two = stage.agent(1), stage.agent(2, dn="1016")
    for dn in ("1001", "1016"):
        boss.hear("EventAgentLogin", ThisDN=dn)
        boss.hear("EventAgentReady", ThisDN=dn)
    for dn, desk in (("1001", one), ("1016", two)):
        stage.phones[dn].register(dn, expires=0)
        for each in (desk, boss):
            each.hear("EventDNOutOfService", ThisDN=dn)
    for each in (two, boss):
        each.hear("EventAgentLogout", ThisDN="1016", AgentID="2002", Reasons={"Cause": "logout-on-out-of-service"})
    caller = stage.gateway.call("7000")
    caller.hears("182 INVITE")
    stage.phones["1001"].register("1001")
    for each in (one, boss):
        each.hear("EventDNBackInService", ThisDN="1001")
        call = each.hear("EventRinging", ThisDN="1001")["ConnID"]
    stage.phones["1016"].register("1016")
    for each in (two, boss):
        each.hear("EventDNBackInService", ThisDN="1016")
    caller.cancel()
    caller.hears("487 INVITE")
    for each in (one, boss):
        each.hear("EventAbandoned", ThisDN="1001", ConnID=call)
    one.ask("TAgentLogout", "EventAgentLogout", ThisDN="1001")
    boss.hear("EventAgentLogout", ThisDN="1001")
    stage.over(one, two, boss)
    return "logged out at 1016; 1001 keeps its agent, who is offered nothing until the phone is back"


def hot_seating(stage):
    """A new agent at another one's desk: he hears its events, the one before him no longer."""
    first = stage.agent(1)
    first.ask("TAgentLogout", "EventAgentLogout", ThisDN="1001")
    second = stage.agent(2, dn="1001")
    first.hear("EventUnregistered", ThisDN="1001")
    phone = stage.phone("1001", "answer")
    caller = stage.gateway.call("7000")
    call = second.hear("EventRinging", ThisDN="1001", ThisQueue="7000", AgentID="2002")["ConnID"]
    second.hear("EventEstablished", ConnID=call)
    stage.refused(first, 41, "TReleaseCall", ThisDN="1001", ConnID=call)
    caller.bye()
    second.hear("EventReleased", ConnID=call)
    phone.fresh_line().ends()
    third = stage.agent(1, dn="1002")
    third.leave("1002")
    stage.over(first, logout=[(second, "1001")])
    return "2002 sits down at 2001's desk, 2001 at another"


def sharing(stage):
    """Two desktops at one DN: who hears, who may act, who has it for himself; one session at two connections."""
    one, boss = stage.watch("agent01", "1001"), stage.desktop("supervisor")
    boss.ask("TRegisterAddress", "EventRegistered", ThisDN="1001", RegisterMode="Monitor")
    stage.refused(boss, 41, "TMakeCall", ThisDN="1001", OtherDN="1002")
    stage.refused(boss, 506, "TRegisterAddress", ThisDN="1001", RegisterMode="Private")
    boss.ask("TRegisterAddress", "EventRegistered", ThisDN="1001")
    phone = stage.phone("1001")
    caller = stage.gateway.call("1001")
    for desk in (one, boss):
        call = desk.hear("EventRinging", OtherDN=CALLER)["ConnID"]
    boss.ask("TAnswerCall", "EventEstablished", ThisDN="1001", ConnID=call)
    heard = one.hear("EventEstablished", ConnID=call)
    expect("ReferenceID" not in heard, f"only who asked sees his reference, but {heard}")
    boss.ask("TRegisterAddress", "EventRegistered", ThisDN="1001", RegisterMode="Private", ControlMode="Force")
    one.hear("EventUnregistered", ThisDN="1001")
    stage.refused(one, 41, "TReleaseCall", ThisDN="1001", ConnID=call)
    boss.ask("TReleaseCall", "EventReleased", ThisDN="1001", ConnID=call)
    caller.ends()
    phone.fresh_line().ends()
    again = stage.desktop("supervisor", session=boss.session, after=boss.last)
    again.reference = boss.reference
    again.ask("TUnregisterAddress", "EventUnregistered", ThisDN="1001")
    stage.refused(again, 55, "TPrivateRequest", ServiceID=1)
    boss.silent()
    expect(boss.process.wait(5) == 1, "the connection that is taken over is closed")
    stage.over(one, again)
    return "monitor 41, private 506, force; the session goes on at another connection, the first is closed"


def idle(stage):
    """Who is not ready for a minute is logged out. He has been sitting there since before the first play."""
    desk, since = stage.idler
    out = desk.hear("EventAgentLogout", seconds=70, AgentID="2008", Reasons={"Cause": "auto-logout-timeout"})
    expect(59_000 <= out["Time"] - since < 65_000, f"after a minute, but {out['Time'] - since} ms")
    stage.over(desk)
    return "auto-logout-timeout after a minute"


PLAYS = (conflicts, work_modes, untimed, legal_guard, strict_id, login_on_call, leaves, out_of_service, hot_seating, sharing, idle)


def agents(bed):
    stage = Stage(bed, ["1001", "1002", "1003", "1011", "1012", "1013", "1014", "1015", "1016", "1017"])
    desk = stage.watch("agent08", "1017")
    desk.ask("TAgentLogin", "EventAgentLogin", ThisDN="1017", AgentID="2008", WorkMode="ManualIn")
    stage.idler = desk, desk.hear("EventAgentNotReady")["Time"]
    play(stage, PLAYS)
    stage.site.stop()


if __name__ == "__main__":
    main("floor_agents", agents)
