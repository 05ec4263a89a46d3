#!/usr/bin/env python3
"""Queues and routing points: overflow, priorities, skills, routing applications that are lost or late, treatments."""

from bed import expect, main
from stage import CALLER, Stage, play


def waits(stage, number, caller=None):
    """A caller who waits at a queue."""
    line = stage.gateway.call(number, **({"caller": caller} if caller else {}))
    line.hears("182 INVITE")
    return line


def overflows(stage, desk, boss, queue, caller, number):
    """The call left the queue for the DN of the desktop."""
    left = boss.hear("EventDiverted", ThisDN=queue, ThisQueue=queue, ThirdPartyDN=number, OtherDN=caller)["Time"]
    call = desk.hear("EventRinging", ThisDN=number, OtherDN=caller, DNIS=queue)["ConnID"]
    desk.hear("EventEstablished", ConnID=call)
    desk.ask("TReleaseCall", "EventReleased", ThisDN=number, ConnID=call)
    return left


def overflow_by_time(stage):
    """Nobody is ready within max-wait."""
    desk, boss = stage.watch("agent03", "1003"), stage.watch("supervisor", "7001")
    stage.phone("1003", "answer")
    caller = waits(stage, "7001")
    queued = boss.hear("EventQueued", ThisDN="7001", ThisQueue="7001", OtherDN=CALLER, CallType="Inbound")["Time"]
    waited = overflows(stage, desk, boss, "7001", CALLER, "1003") - queued
    caller.ends()
    expect(1000 <= waited < 2000, f"after max-wait, 1 s, but {waited} ms")
    stage.over(desk, boss)
    return f"EventQueued, {waited} ms later EventDiverted to 1003"


def overflow_by_length(stage):
    """The queue is full; who waits there already waits on."""
    desk, boss = stage.watch("agent03", "1003"), stage.watch("supervisor", "7002")
    stage.phone("1003", "answer")
    first = waits(stage, "7002")
    boss.hear("EventQueued", ThisDN="7002")
    second = stage.gateway.call("7002", caller="0305678")
    boss.hear("EventQueued", ThisDN="7002", OtherDN="0305678")
    overflows(stage, desk, boss, "7002", "0305678", "1003")
    second.ends()
    first.cancel()
    first.hears("487 INVITE")
    boss.hear("EventAbandoned", ThisDN="7002", OtherDN=CALLER)
    stage.over(desk, boss)
    return "the second caller to 1003, the first one waits on and gives up: EventAbandoned"


def overflow_without_agents(stage):
    """Nobody is logged in; when somebody is, callers wait."""
    desk, boss = stage.watch("agent03", "1003"), stage.watch("supervisor", "7003")
    stage.phone("1003", "answer")
    caller = stage.gateway.call("7003")
    boss.hear("EventQueued", ThisDN="7003")
    overflows(stage, desk, boss, "7003", CALLER, "1003")
    caller.ends()
    one = stage.agent(1, "ManualIn")
    caller = waits(stage, "7003")
    boss.hear("EventQueued", ThisDN="7003")
    waiting = next(line for line in stage.site.ask("queue", "list") if line["queue"] == "7003")
    expect(waiting["waiting"] == 1 and waiting["agents"] == 1, f"one waits, one agent, but {waiting}")
    caller.cancel()
    boss.hear("EventAbandoned", ThisDN="7003")
    stage.over(desk, boss, logout=[(one, "1001")])
    return "at once to 1003; with an agent who is not ready the call waits"


def priority(stage):
    """The call's own priority, then its queue's, then the longest wait."""
    one = stage.agent(1, "ManualIn")
    stage.phone("1001", "answer")
    router = stage.watch("router", "7901")
    callers = {"plain": waits(stage, "7000", "03010")}
    routed = stage.gateway.call("7901", caller="03020")
    call = router.hear("EventRouteRequest", OtherDN="03020")["ConnID"]
    router.ask("TRouteCall", "EventRouteUsed", ThisDN="7901", ConnID=call, OtherDN="7000", UserData={"Priority": 5})
    router.hear("EventDiverted", ThisDN="7901", ThirdPartyDN="7000")
    routed.hears("182 INVITE")
    callers["routed"] = routed
    callers["urgent queue"] = waits(stage, "7005", "03030")
    one.ask("TAgentSetReady", "EventAgentReady", ThisDN="1001", WorkMode="AutoIn")
    order = []
    for _ in range(3):
        call = one.hear("EventRinging", ThisDN="1001")
        order.append(call["OtherDN"])
        one.hear("EventEstablished", ConnID=call["ConnID"])
        one.send("TReleaseCall", ThisDN="1001", ConnID=call["ConnID"])
        one.hear("EventReleased", ConnID=call["ConnID"])
    expect(order == ["03020", "03030", "03010"], f"Priority 5, queue 7005, the longest wait, but {order}")
    for line in callers.values():
        line.ends()
    told = [step["text"] for step in stage.site.ask("why", call["ConnID"])["steps"]]
    for wanted in ("came to 7000, priority 0", "waits for an agent: 1 logged in, 0 available", "offered by 7000 to the agent at 1001", "answered at 1001"):
        expect(any(text.startswith(wanted) for text in told), f"`tandem why` of a call that is over, by its ConnID, says {wanted}, but {told}")
    stage.over(router, logout=[(one, "1001")])
    return "the call with Priority 5, then queue 7005 (priority 10), then the one that waited longest"


def skills(stage):
    """The best of those who have the skill; a call's own skills narrow it; longest idle among equals."""
    boss = stage.watch("supervisor", "7004")
    one, two, best = stage.agent(1), stage.agent(2), stage.desktop("agent03")
    for dn in ("1001", "1002", "1003"):
        stage.phone(dn, "answer")
    expert = stage.desktop("supervisor")
    expert.log_in("1003", "2009", mode="AutoIn")
    caller = stage.gateway.call("7004")
    boss.hear("EventQueued", ThisDN="7004")
    boss.hear("EventDiverted", ThisDN="7004", ThirdPartyDN="1003")
    call = expert.hear("EventRinging", ThisQueue="7004", AgentID="2009")["ConnID"]
    expert.hear("EventEstablished", ConnID=call)
    second = stage.gateway.call("7004", caller="03050")
    boss.hear("EventQueued", ThisDN="7004")
    boss.hear("EventDiverted", ThisDN="7004", ThirdPartyDN="1001")
    other = one.hear("EventRinging", ThisQueue="7004", AgentID="2001", OtherDN="03050")["ConnID"]
    one.hear("EventEstablished", ConnID=other)
    # Nobody who is free speaks English.
    router = stage.watch("router", "7901")
    third = stage.gateway.call("7901", caller="03060")
    route = router.hear("EventRouteRequest")["ConnID"]
    router.ask("TRouteCall", "EventRouteUsed", ThisDN="7901", ConnID=route, OtherDN="7004", UserData={"Skills": {"english": 1}})
    router.hear("EventDiverted")
    boss.hear("EventQueued", ThisDN="7004", ConnID=route)
    second.bye()
    one.hear("EventReleased", ConnID=other)
    caller.bye()
    expert.hear("EventReleased", ConnID=call)
    boss.hear("EventDiverted", ThisDN="7004", ThirdPartyDN="1003", ConnID=route)
    expert.hear("EventRinging", ConnID=route, OtherDN="03060")
    expert.hear("EventEstablished", ConnID=route)
    third.bye()
    expert.hear("EventReleased", ConnID=route)
    stage.over(boss, router, best, logout=[(one, "1001"), (two, "1002"), (expert, "1003")])
    return "2009 (sales 9) first, then 2001; English is waited for, though 2001 and 2002 are free"


def not_taken(stage):
    """An offer that is not taken: refused at the phone, by request, abandoned, sent elsewhere. The call keeps its place."""
    one, boss = stage.agent(1), stage.watch("supervisor", "7000")
    back = {"AttributeExtensions": {"ReturnedToQueue": 1}}
    stage.phone("1001", 486)
    caller = stage.gateway.call("7000")
    call = boss.hear("EventQueued")["ConnID"]
    boss.hear("EventDiverted", ThirdPartyDN="1001")
    boss.hear("EventQueued", ConnID=call, **back)
    phone = stage.phone("1001", "ring")
    # The agent keeps his state; the same call comes again after a pause.
    boss.hear("EventDiverted", seconds=8, ConnID=call, ThirdPartyDN="1001")
    one.hear("EventRinging", ConnID=call, ThisQueue="7000")
    one.ask("TReleaseCall", "EventReleased", {"CallState": "Redirected"}, ThisDN="1001", ConnID=call)
    phone.fresh_line().hears("CANCEL")
    boss.hear("EventQueued", ConnID=call, **back)
    caller.cancel()
    boss.hear("EventAbandoned", ConnID=call)
    caller = stage.gateway.call("7000")
    call = boss.hear("EventQueued")["ConnID"]
    boss.hear("EventDiverted", ConnID=call)
    one.hear("EventRinging", ConnID=call)
    caller.cancel()
    one.hear("EventAbandoned", ConnID=call, ThisQueue="7000")
    boss.hear("EventAbandoned", ConnID=call)
    three, other = stage.watch("agent03", "1003"), stage.phone("1003", "answer")
    caller = stage.gateway.call("7000")
    call = boss.hear("EventQueued")["ConnID"]
    boss.hear("EventDiverted", ConnID=call)
    one.hear("EventRinging", ConnID=call)
    one.ask("TRedirectCall", "EventReleased", {"CallState": "Redirected"}, ThisDN="1001", ConnID=call, OtherDN="1003")
    boss.hear("EventQueued", ConnID=call, **back)
    boss.hear("EventDiverted", ConnID=call, ThirdPartyDN="1003", CallState="Redirected")
    three.hear("EventRinging", ConnID=call, OtherDN=CALLER)
    three.hear("EventEstablished", ConnID=call)
    caller.has_media(other.host)
    caller.bye()
    three.hear("EventReleased", ConnID=call)
    stage.over(boss, three, logout=[(one, "1001")])
    return "486 and TReleaseCall: back in the queue; CANCEL: EventAbandoned; redirected to 1003"


def work_after_transfer(stage):
    """Who transfers a queue's call has his after-call work, told before he is released; who gets it has his own."""
    one, two = stage.agent(1, dn="1012"), stage.agent(2)
    target = stage.phone("1012", "answer"), stage.phone("1002", "answer")
    two.ask("TAgentSetNotReady", "EventAgentNotReady", ThisDN="1002")
    caller = stage.gateway.call("7000")
    call = one.hear("EventRinging", ThisDN="1012")["ConnID"]
    one.hear("EventEstablished", AttributeExtensions={"WrapUpTime": 1})
    asked = one.send("TSingleStepTransfer", ThisDN="1012", ConnID=call, OtherDN="1002")
    one.hear("EventAgentNotReady", WorkMode="AfterCallWork")
    one.hear("EventReleased", ConnID=call, CallState="Transferred", ReferenceID=asked)
    two.hear("EventRinging", ConnID=call, OtherDN=CALLER)
    two.hear("EventEstablished", ConnID=call)
    caller.has_media(target[1].host)
    one.hear("EventAgentNotReady", WorkMode="LegalGuard")
    one.hear("EventAgentReady")
    caller.bye()
    two.hear("EventReleased", ConnID=call)
    stage.over(logout=[(one, "1012"), (two, "1002")])
    return "AfterCallWork before EventReleased (Transferred)"


def router_lost(stage):
    """The routing application dies: the call goes to the default DN, at once when nobody else listens."""
    desk, boss = stage.watch("agent03", "1003"), stage.watch("supervisor", "7900")
    stage.phone("1003", "answer")
    router = stage.watch("router", "7900")
    caller = stage.gateway.call("7900")
    call = router.hear("EventRouteRequest", ThisDN="7900")["ConnID"]
    boss.hear("EventRouteRequest", ThisDN="7900")
    router.kill()
    boss.hear("EventDiverted", ThisDN="7900", ConnID=call, ThirdPartyDN="1003")
    desk.hear("EventRinging", ConnID=call)
    desk.hear("EventEstablished", ConnID=call)
    caller.bye()
    desk.hear("EventReleased", ConnID=call)
    stage.over(desk, boss)
    return "to default-dn 1003"


def route_late(stage):
    """The routing application answers when the call has gone to the default DN already."""
    desk, router = stage.watch("agent03", "1003"), stage.watch("router", "7900")
    stage.phone("1003", "answer")
    caller = stage.gateway.call("7900")
    call = router.hear("EventRouteRequest", ThisDN="7900")["ConnID"]
    router.hear("EventDiverted", ThisDN="7900", ConnID=call, ThirdPartyDN="1003")
    why = stage.refused(router, 496, "TRouteCall", ThisDN="7900", ConnID=call, OtherDN="1001")
    desk.hear("EventRinging", ConnID=call)
    desk.hear("EventEstablished", ConnID=call)
    caller.bye()
    desk.hear("EventReleased", ConnID=call)
    stage.refused(router, 56, "TRouteCall", ThisDN="7900", ConnID=call, OtherDN="1001")
    stage.over(desk, router)
    return f"496: {why}; 56 when it is over"


def rejected(stage):
    """A routing application refuses a call; one sends it to a number outside; one to nowhere."""
    router = stage.watch("router", "7901")
    caller = stage.gateway.call("7901")
    call = router.hear("EventRouteRequest")["ConnID"]
    stage.refused(router, 53, "TRouteCall", ThisDN="7901", ConnID=call)
    error = router.ask("TRouteCall", "EventError", ThisDN="7901", ConnID=call, OtherDN="4242")
    expect(error["ErrorCode"] in (71, 177), f"4242 is no destination, but {error}")
    router.ask("TRouteCall", "EventRouteUsed", ThisDN="7901", ConnID=call, RouteType="Reject")
    router.hear("EventDiverted", ConnID=call)
    caller.hears("603 INVITE")
    caller = stage.gateway.call("7901")
    call = router.hear("EventRouteRequest")["ConnID"]
    stage.gateway.taken = len([line for line in stage.gateway.lines if line.invite])
    router.ask("TRouteCall", "EventRouteUsed", {"ThirdPartyDN": "90305555"}, ThisDN="7901", ConnID=call, OtherDN="90305555")
    router.hear("EventDiverted", ConnID=call)
    out = stage.gateway.fresh_line()
    out.answer()
    caller.hears("200 INVITE")
    caller.bye()
    out.ends()
    stage.over(router)
    return "603 to the caller; 4242 is nowhere; 90305555 answers behind the gateway"


def treatments(stage):
    """Without a media server ringback and silence can be applied, music and announcements not."""
    router = stage.watch("router", "7901")
    caller = stage.gateway.call("7901")
    call = router.hear("EventRouteRequest")["ConnID"]
    at = {"ThisDN": "7901", "ConnID": call}
    stage.refused(router, 53, "TApplyTreatment", **at, TreatmentType="Music")
    stage.refused(router, 53, "TApplyTreatment", **at, TreatmentType="Music", TreatmentParms={"MUSIC_DN": "../secret"})
    for kind, parameters in (("Music", {"MUSIC_DN": "waiting.wav"}), ("PlayAnnouncement", {"PROMPT": "hello.wav"})):
        told = router.ask("TApplyTreatment", "EventTreatmentNotApplied", {"ConnID": call}, **at, TreatmentType=kind, TreatmentParms=parameters)
        expect(told.get("ErrorCode") and told.get("ErrorMessage"), f"says why, but {told}")
    router.ask("TApplyTreatment", "EventTreatmentApplied", {"ConnID": call}, **at, TreatmentType="RingBack")
    caller.hears("180 INVITE")
    caller.cancel()
    router.hear("EventAbandoned", ThisDN="7901", ConnID=call)
    stage.over(router)
    return f"NotApplied: {told['ErrorMessage']} ({told['ErrorCode']}); RingBack is 180"


PLAYS = (overflow_by_time, overflow_by_length, overflow_without_agents, priority, skills, not_taken, work_after_transfer, router_lost, route_late, rejected, treatments)


def queues(bed):
    stage = Stage(bed, ["1001", "1002", "1003", "1012"])
    play(stage, PLAYS)
    stage.site.stop()


if __name__ == "__main__":
    main("floor_queues", queues)
