#!/usr/bin/env python3
"""A server whose process is killed and started again has its registrations, established calls, agents and queues back."""

import collections
import json
import os
import random
import time

from bed import configuration, expect, main, until
from desk import Desktop
from stage import GATEWAY, Stage, play
from ua import branch

KILLS = 50


def again(stage):
    """kill -9, and up again; the seconds until its administration interface answers."""
    stage.site.kill()
    begun = time.monotonic()
    stage.site.start()
    return time.monotonic() - begun


def resumed(stage, desk):
    """The desktop goes on where it was."""
    back = Desktop(stage.bed, stage.site, desk.user, session=desk.session, after=desk.last)
    back.reference = desk.reference
    return back


def records(stage):
    """The call records so far."""
    try:
        with open(os.path.join(stage.bed.folder, "cdr-desks.jsonl")) as lines:
            return [json.loads(line) for line in lines if line.endswith("\n")]
    except FileNotFoundError:
        return []


def recorded(stage):
    """How many records each answered call has, by the caller's Call-ID."""
    callers = [record["legs"][0] for record in records(stage)]
    return collections.Counter(leg["sip_call_id"] for leg in callers if "answered_unix_ms" in leg)


def picture(stage):
    """What its operator sees of it, without what only time changes."""
    def known(rows, *keys):
        return [{key: row.get(key) for key in keys} for row in rows]
    return {
        "registrations": known(stage.site.ask("reg", "list"), "dn", "contact"),
        "calls": known(stage.site.ask("call", "list"), "call_id", "state", "from", "devices"),
        "agents": known(stage.site.ask("agent", "list"), "dn", "agent_id", "state", "work_mode", "reasons"),
    }


def everything_is_back(stage):
    """An established call, a held one, agents ready, busy and on a break, desktops: as they were."""
    one, two, three = stage.agent(1), stage.agent(2, mode="ManualIn"), stage.agent(3)
    phone = stage.phone("1001", "answer")
    caller = stage.gateway.call("1001")
    call = one.hear("EventRinging")["ConnID"]
    one.hear("EventEstablished", ConnID=call)
    line = phone.fresh_line()
    line.has_media(GATEWAY, caller.port)
    two.ask("TAgentSetNotReady", "EventAgentNotReady", ThisDN="1002", Reasons={"why": "lunch"})
    before = picture(stage)
    took = again(stage)
    for desk in (one, two, three):
        desk.kill()
    after = picture(stage)
    for what, was in before.items():
        expect(after[what] == was, f"{what} are as they were, {was}, but {after[what]}")
    back = [resumed(stage, desk) for desk in (one, two, three)]
    line.request("INVITE", f"{line.describe()}a=sendonly\r\n")
    line.hears("200 INVITE")
    caller.has_media(phone.host, line.port, "sendonly")
    back[0].hear("EventHeld", ConnID=call)
    caller.bye()
    line.ends()
    back[0].hear("EventReleased", ConnID=call)
    stage.over(*back, logout=[(back[0], "1001"), (back[1], "1002"), (back[2], "1003")])
    until(5, "the call's record is written", lambda: records(stage))
    expect(len(records(stage)) == 1, f"one call record, but {records(stage)}")
    return f"up again after {took:.2f} s, with all of it; the call was held and ended after that, with one record"


def given_up(phone):
    """A phone whose answer no ACK came to for 64 * T1 hangs up (RFC 3261 13.3.1.4): two kills within one call's life may leave one."""
    for line in phone.lines:
        if line.answered and not line.over and not line.got("ACK"):
            line.request("BYE")


def repeated(phone):
    """Answers that no ACK came to are repeated, as RFC 3261 13.3.1.4 has it."""
    for line in phone.lines:
        # One that comes at this moment has no answer yet that could be repeated.
        answer = phone.answers.get((line.call_id, line.invite.header("cseq"), branch(line.invite)))
        if answer and line.answered and not line.over and not line.got("ACK"):
            phone.send(phone.source(line.invite), *answer)


def asked_again(agent, lines):
    """What a killed server has not answered is asked again: INVITEs that nothing was heard of, BYEs without their answer."""
    for line in lines:
        if not line.inbox:
            agent.send(agent.server, line.sent, line.describe())
        elif line.answered and not line.over and line.cseq > 1:
            line.request("BYE", cseq=line.cseq)


def ended(agent, line):
    """Hangs up once it is answered, however late that is."""
    if line.answered and not line.over and line.cseq == 1:
        line.request("BYE")
    else:
        asked_again(agent, [line])
    return line.over


def reinvited(line):
    """Asks anew in a call that is there; once more if the server was about to do so itself (RFC 3261 14.1)."""
    line.request("INVITE", line.describe())
    cseq = f"{line.cseq} INVITE"
    final = lambda: next((heard for heard in line.inbox if heard.header("cseq") == cseq and (heard.status or 0) >= 200), None)
    return line.ua.wait(f"{line} hears of its INVITE {line.cseq}", 5, final).status == 200


def killed_again_and_again(stage):
    """kill -9 at any moment, fifty times, while calls come and go; one call and one agent are there all the time."""
    dice = random.Random(1)
    one = stage.agent(1)
    phone, busy = stage.phone("1001", "answer"), stage.phone("1002", "answer")
    caller = stage.gateway.call("1001")
    call = one.hear("EventRinging")["ConnID"]
    one.hear("EventEstablished", ConnID=call)
    line = phone.fresh_line()
    lines, slowest = [], 0.0
    for kill in range(KILLS):
        for _ in range(3):
            lines.append(stage.gateway.call("1002"))
        # Anywhere in the life of these calls, from their INVITE to their BYE.
        time.sleep(dice.uniform(0, 0.05))
        for short in lines[-3:-1]:
            if short.answered:
                short.request("BYE")
        time.sleep(dice.uniform(0, 0.01))
        slowest = max(slowest, again(stage))
        repeated(busy)
        asked_again(stage.gateway, lines)
        agents = {row["dn"]: row["agent_id"] for row in stage.site.ask("agent", "list")}
        expect(agents == {"1001": "2001"}, f"after kill {kill + 1} the agent is logged in at 1001, and nobody else is, but {agents}")
        there = {row["dn"] for row in stage.site.ask("reg", "list")}
        expect({"1001", "1002"} <= there, f"after kill {kill + 1} phones are registered, but only {there}")
        expect(not caller.over and not line.over, f"after kill {kill + 1} the long call is there")
        until(10, f"after kill {kill + 1} the long call is described anew", lambda: reinvited(caller))
    for short in lines:
        until(40, f"{short} is over", lambda: ended(stage.gateway, short))
    answered = sum(1 for short in lines if short.answered)
    deadline = time.monotonic() + 32
    until(40, "the phone's calls are over", lambda: (given_up if time.monotonic() > deadline else repeated)(busy)
          or all(other.over for other in busy.lines))
    caller.bye()
    line.ends()
    back = resumed(stage, one)
    back.hear_until("EventReleased", ConnID=call)
    until(10, "`tandem call list` is empty", lambda: stage.site.ask("call", "list") == [])
    talked = {short.call_id for short in (*lines, caller) if short.answered}
    until(40, "each answered call has its record", lambda: talked <= set(recorded(stage)))
    twice = [call_id for call_id, count in recorded(stage).items() if count > 1]
    expect(not twice, f"no call has two records, but {twice} have")
    ids = [record["call_uuid"] for record in records(stage)]
    expect(len(ids) == len(set(ids)), f"no record is written twice, but {len(ids) - len(set(ids))} are")
    back.close()
    return f"{KILLS} times, {slowest:.2f} s at most until it answered; {answered} of {len(lines)} short calls were answered, each with one record"


def restart(bed):
    path = os.path.join(bed.folder, "desks.toml")
    with open(path, "w") as file:
        file.write(configuration("desks.toml").replace("realm =", "cdr-file = \"cdr-desks.jsonl\"\nrealm ="))
    stage = Stage(bed, ("1001", "1002", "1003"), path=path)
    play(stage, (everything_is_back, killed_again_and_again))


if __name__ == "__main__":
    main("restart", restart)
