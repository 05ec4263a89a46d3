#!/usr/bin/env python3
"""What crosses on the wire, and connections that are nailed up to a phone in the public network."""

import signal
import threading
import time

from bed import expect, main, until
from stage import CALLER, GATEWAY, Stage, play


def at_once(*acts):
    """All of them as nearly at the same moment as threads can."""
    gate = threading.Barrier(len(acts))
    threads = [threading.Thread(target=lambda act=act: (gate.wait(), act())) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def answer_crosses_abandonment(stage):
    """The phone's 200 and the caller's CANCEL meet in the server: one of them wins, and everybody hears the same."""
    one, phone = stage.watch("agent01", "1001"), stage.phone("1001", "ring")
    ways = []
    for _ in range(10):
        caller = stage.gateway.call("1001")
        call = one.hear("EventRinging", **{"OtherDN": CALLER})["ConnID"]
        line = phone.fresh_line()
        at_once(line.answer, caller.cancel)
        event = one.next()
        if event["event"] == "EventEstablished":
            caller.hears("200 INVITE")
            caller.bye()
            one.hear("EventReleased", ConnID=call)
        else:
            expect(event["event"] == "EventAbandoned" and event["ConnID"] == call, f"EventAbandoned, but {event}")
            caller.hears("487 INVITE")
            # An answer that came too late is acknowledged, and ended.
            if not line.got("CANCEL"):
                line.hears("ACK")
            line.ends()
        until(5, "the phone's call is over", lambda: line.over)
        ways.append(event["event"].removeprefix("Event"))
    stage.over(one)
    return ", ".join(f"{ways.count(way)} {way}" for way in sorted(set(ways)))


def release_crosses_transfer(stage):
    """The caller hangs up while he is transferred: nobody is left behind with nobody."""
    one, two = stage.watch("agent01", "1001"), stage.watch("agent02", "1002")
    phone, target = stage.phone("1001", "answer"), stage.phone("1002", "answer")
    ways = []
    for _ in range(10):
        caller = stage.gateway.call("1001")
        call = one.hear("EventRinging")["ConnID"]
        one.hear("EventEstablished", ConnID=call)
        first = phone.fresh_line()
        consult = one.consult("TInitiateTransfer", "1001", call, "1002")
        two.hear("EventRinging", ConnID=consult)
        two.hear("EventEstablished", ConnID=consult)
        one.hear("EventEstablished", ConnID=consult)
        own, theirs = phone.fresh_line(), target.fresh_line()
        own.has_media(target.host)
        reference = []
        at_once(caller.bye, lambda: reference.append(
            one.send("TCompleteTransfer", ThisDN="1001", ConnID=call, ConsultConnID=consult)))
        caller.ends()
        heard = []
        # The caller's release, and the answer to the transfer, in whatever order.
        while {"EventReleased", "answer"} - {name for name, _ in heard}:
            event = one.next()
            heard.append((event["event"], event))
            if event.get("ReferenceID") == reference[0]:
                heard.append(("answer", event))
        answer = next(event for name, event in heard if name == "answer")
        ways.append(answer["event"].removeprefix("Event"))
        if answer["event"] == "EventError":
            # The consultation goes on, until somebody ends it.
            expect(answer["ErrorCode"] in (56, 496), f"56 or 496, but {answer}")
            one.ask("TReleaseCall", "EventReleased", ThisDN="1001", ConnID=consult)
            two.hear("EventReleased", ConnID=consult)
        else:
            released = [event["ConnID"] for name, event in heard if name == "EventReleased"]
            if len(released) < 2:
                one.hear("EventReleased")
            two.hear("EventPartyChanged", ConnID=call)
            two.hear("EventReleased", ConnID=call)
        for line in (first, own, theirs):
            line.ends()
        until(5, "`tandem call list` is empty", lambda: stage.site.ask("call", "list") == [])
    stage.over(one, two)
    return ", ".join(f"{ways.count(way)} {way}" for way in sorted(set(ways)))


def transfers_in_a_hurry(stage):
    """Two hundred callers consulted about and transferred, each request in the moment in which the event before it is heard."""
    one, two = stage.watch("agent01", "1001"), stage.watch("agent02", "1002")
    stage.phone("1001", "answer")
    target = stage.phone("1002", "answer")
    begun = time.monotonic()
    for _ in range(200):
        caller = stage.gateway.call("1001")
        call = one.hear("EventRinging")["ConnID"]
        one.hear("EventEstablished", ConnID=call)
        consult = one.consult("TInitiateTransfer", "1001", call, "1002")
        one.hear("EventEstablished", ConnID=consult)
        one.ask("TCompleteTransfer", "EventReleased", {"CallState": "Transferred"}, ThisDN="1001", ConnID=call, ConsultConnID=consult)
        one.hear("EventReleased", CallState="Transferred")
        for name in ("EventRinging", "EventEstablished", "EventPartyChanged"):
            two.hear(name)
        there = target.fresh_line()
        caller.has_media(target.host, there.port)
        there.has_media(GATEWAY, caller.port)
        two.ask("TReleaseCall", "EventReleased", ThisDN="1002", ConnID=call)
        caller.ends()
    took = time.monotonic() - begun
    stage.over(one, two)
    return f"200, none refused, {took / 200 * 1000:.0f} ms each"


def logout_crosses_offer(stage):
    """An agent logs out while a call is on its way to him: it is offered to somebody else, or waits; it is not lost."""
    boss, two = stage.watch("supervisor", "7000"), stage.agent(2)
    phone = stage.phone("1001", "ring")
    stage.phone("1002", "answer")
    ways = []
    two.ask("TAgentSetNotReady", "EventAgentNotReady", ThisDN="1002")
    for _ in range(10):
        one = stage.agent(1)
        called = []
        at_once(lambda: called.append(stage.gateway.call("7000")), lambda: one.send("TAgentLogout", ThisDN="1001"))
        call = boss.hear("EventQueued", ThisDN="7000")["ConnID"]
        names = []
        while "EventAgentLogout" not in names and "EventError" not in names:
            event = one.next()
            names.append(event["event"])
        ways.append("offered first" if "EventRinging" in names else "logged out first")
        two.ask("TAgentSetReady", "EventAgentReady", ThisDN="1002")
        if "EventError" in names:
            # The call is there: the logout is refused (agent-emu-login-on-call), the phone rings on.
            ways[-1] = "refused"
            one.send("TReleaseCall", ThisDN="1001", ConnID=call)
        two.hear("EventRinging", ConnID=call, ThisQueue="7000")
        two.hear("EventEstablished", ConnID=call)
        caller = called[0]
        caller.bye()
        two.hear("EventReleased", ConnID=call)
        two.ask("TAgentSetNotReady", "EventAgentNotReady", ThisDN="1002")
        boss.hear_until("EventDiverted", ThirdPartyDN="1002", ConnID=call)
        one.close()
        until(5, "nobody is logged in at 1001",
              lambda: "2001" not in {line["agent_id"] for line in stage.site.ask("agent", "list")})
        for line in phone.lines:
            until(5, "1001 is free", lambda: line.over)
    stage.over(boss, logout=[(two, "1002")])
    return ", ".join(f"{ways.count(way)} {way}" for way in sorted(set(ways)))


def never_at_rest(stage):
    """Both phones fall silent while a call is being held: a further request waits for 5 s and is refused; release is not."""
    one, phone = stage.watch("agent01", "1001"), stage.phone("1001", "answer")
    caller = stage.gateway.call("1001")
    call = one.hear("EventRinging")["ConnID"]
    one.hear("EventEstablished", ConnID=call)
    line = phone.fresh_line()
    line.silent = caller.silent = True
    at = {"ThisDN": "1001", "ConnID": call}
    hold = one.send("THoldCall", **at)
    refused = one.hear("EventError", seconds=8, ReferenceID=one.send("THoldCall", **at), ErrorCode=496)
    release = one.send("TReleaseCall", **at)
    answers = {event["ReferenceID"]: event for event in (one.next(), one.next())}
    expect(answers[hold].get("ErrorCode") == 496 and answers[release]["event"] == "EventReleased", f"the hold failed, but {answers}")
    for each in (line, caller):
        each.ends()
    stage.over(one)
    return f"496: {refused['ErrorMessage']}"


def nailed_up(stage):
    """An agent with a phone in the public network: one leg, set up at login, three calls over it; dropped when idle; set up
    again by the next call; dropped at logout."""
    gateway = stage.gateway
    gateway.manner = "answer"
    gateway.taken = len([line for line in gateway.lines if line.invite])
    two = stage.desktop("agent02")
    two.log_in("1008", "2002", mode="AutoIn")
    leg = gateway.fresh_line()
    expect("0308888" in leg.invite.uri, f"the agent's phone is called, but {leg.invite.uri}")
    leg.has_media(None, direction="inactive")
    for number in range(3):
        caller = gateway.call("7000", caller=f"0301{number}")
        call = two.hear("EventRinging", ThisDN="1008", ThisQueue="7000", OtherDN=f"0301{number}")["ConnID"]
        two.hear("EventEstablished", ConnID=call)
        caller.has_media(GATEWAY, leg.port)
        leg.has_media(GATEWAY, caller.port)
        if number == 1:
            two.ask("TReleaseCall", "EventReleased", ThisDN="1008", ConnID=call)
            caller.ends()
        else:
            caller.bye()
            two.hear("EventReleased", ConnID=call)
        leg.has_media(None, direction="inactive")
        expect(not leg.over, "the leg stays")
    legs = lambda: [line for line in gateway.lines if line.invite]
    expect(len(legs()) == gateway.taken, f"one leg for three calls, but {len(legs())}")
    leg.ends(seconds=4)
    caller = gateway.call("7000")
    call = two.hear("EventRinging", ThisDN="1008", ThisQueue="7000")["ConnID"]
    again = gateway.fresh_line()
    two.hear("EventEstablished", ConnID=call)
    caller.has_media(GATEWAY, again.port)
    caller.bye()
    two.hear("EventReleased", ConnID=call)
    two.ask("TAgentLogout", "EventAgentLogout", ThisDN="1008")
    again.ends()
    gateway.manner = "silent"
    stage.over(two)
    return "INVITE at login; three calls by re-INVITE; BYE after 1 s idle; called anew; BYE at logout"


def drained(stage):
    """The site is shut down gracefully: an idle connection is cut at once, one with a call over it when the call ends."""
    gateway = stage.gateway
    gateway.manner = "answer"
    gateway.taken = len([line for line in gateway.lines if line.invite])
    two, three = stage.desktop("agent02"), stage.desktop("agent03")
    two.log_in("1008", "2002", mode="AutoIn")
    busy = gateway.fresh_line()
    busy.has_media(None, direction="inactive")
    caller = gateway.call("7000")
    call = two.hear("EventRinging", ThisDN="1008", ThisQueue="7000")["ConnID"]
    two.hear("EventEstablished", ConnID=call)
    caller.has_media(GATEWAY, busy.port)
    three.log_in("1009", "2003", mode="AutoIn")
    idle = gateway.fresh_line()
    idle.has_media(None, direction="inactive")
    stage.site.process.send_signal(signal.SIGUSR1)
    three.hear("EventAgentLogout", ThisDN="1009", AttributeExtensions={"ReasonCode": "graceful_shutdown_logout"})
    idle.ends()
    refused = gateway.call("7000")
    refused.hears("603 INVITE")
    expect(not busy.over and not caller.over, "the call goes on")
    caller.bye()
    two.hear("EventReleased", ConnID=call)
    two.hear("EventAgentLogout", ThisDN="1008", AttributeExtensions={"ReasonCode": "graceful_shutdown_logout"})
    busy.ends()
    code = stage.site.process.wait(10)
    expect(code == 0, f"the server ends by itself with 0, but {code}")
    return "1009 idle: BYE at once; 1008 with a call: BYE after it; the server ends"


PLAYS = (answer_crosses_abandonment, release_crosses_transfer, transfers_in_a_hurry, logout_crosses_offer, never_at_rest, nailed_up, drained)


def edges(bed):
    stage = Stage(bed, ["1001", "1002"])
    play(stage, PLAYS)
    if stage.site.process.poll() is None:
        stage.site.stop()


if __name__ == "__main__":
    main("floor_edges", edges)
