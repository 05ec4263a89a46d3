#!/usr/bin/env python3
"""The contact-centre floor as its users meet it: SIPp phones, a baresip, a SIPp gateway, desktops by `tandem cti`.

`floor.py --record` also writes the exchanges into docs/cti.md; without it a run fails when the page shows others.
"""

import os
import re
import subprocess
import sys

from bed import CONFIG, SCENARIOS, Site, expect, is_busy, main, tandem, until
from desk import Desktop, Tapes, Wire
from softphone import Baresip

GATEWAY = "127.0.0.28"
# number: address of the phone
PHONES = {"1001": "127.0.0.51", "1002": "127.0.0.52", "1003": "127.0.0.53"}
SOFTPHONE = ("1004", "127.0.0.54")
AT_ONCE, NEVER = 100, 60000


class Floor:
    def __init__(self, bed, config=f"{CONFIG}/floor.toml"):
        self.bed = bed
        self.site = Site(bed, "floor", "127.0.0.27", 5070, "127.0.0.27:8070",
                         ["--config", config, "--log", "info"])
        self.site.start()
        self.tapes = Tapes()
        self.phones, self.callers = {}, 0

    def desktop(self, user, **options):
        return Desktop(self.bed, self.site, user, **options)

    def written(self, scenario, **times):
        """A scenario with its times filled in, in milliseconds."""
        with open(os.path.join(SCENARIOS, scenario)) as file:
            text = file.read()
        for place, ms in times.items():
            expect(place in text, f"{scenario} has a place for {place}")
            text = re.sub(rf"\b{place}(?=\")", str(ms), text)
        name = f"{scenario}-{'-'.join(map(str, times.values()))}.xml"
        with open(os.path.join(self.bed.folder, name), "w") as file:
            file.write(text)
        return os.path.join(self.bed.folder, name)

    def phone(self, number, rings_ms):
        """The phone of `number` rings that long, then answers by itself. It registers at its first use."""
        name = f"phone-{number}-{rings_ms}"
        old = self.phones.pop(number, None)
        if old:
            old.process.terminate()
            old.process.wait()
        phone = self.bed.sipp(name, self.written("agent.xml", ANSWER_MS=rings_ms), PHONES[number], 5070,
                              options=["-trace_msg", "-message_file", os.path.join(self.bed.folder, f"{name}.msgs")])
        until(5, f"{name} listens", lambda: is_busy(PHONES[number], 5070))
        if not old:
            expect(self.bed.register(self.site, [number], PHONES[number], 5070, f"register-{number}"), f"{number} registers")
        self.phones[number] = phone
        return Ear(self, name)

    def call(self, number, talk_ms=NEVER):
        """The gateway calls `number`, and hangs up after that long unless somebody else does."""
        self.callers += 1
        name = f"caller-{self.callers}"
        sipp = self.bed.sipp(name, self.written("caller.xml", TALK_MS=talk_ms), GATEWAY, 5070 + self.callers,
                             remote=f"{self.site.host}:{self.site.port}", rows=[(number,)],
                             options=["-m", 1, "-trace_msg", "-message_file", os.path.join(self.bed.folder, f"{name}.msgs")])
        return Ear(self, name, sipp)

    def no_calls(self):
        until(5, "`tandem call list` is empty", lambda: self.site.ask("call", "list") == [])


class Ear:
    """What a SIPp has received."""

    def __init__(self, floor, name, sipp=None):
        self.path, self.sipp, self.name = os.path.join(floor.bed.folder, f"{name}.msgs"), sipp, name

    def received(self):
        try:
            with open(self.path, errors="replace") as file:
                parts = re.split(r"^-{40,} .*$\n", file.read(), flags=re.M)
        except FileNotFoundError:
            return []
        return [part.split("\n\n", 1)[1] for part in parts if " message received" in part.split("\n", 1)[0]]

    def media(self):
        """The last description received: (address, direction)."""
        last = next((message for message in reversed(self.received()) if "\nm=audio" in message), "")
        address = re.search(r"^c=IN IP4 (\S+)", last, re.M)
        direction = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)\r?$", last, re.M)
        return address and address.group(1), direction.group(1) if direction else "sendrecv"

    def hears(self, address, direction="sendrecv"):
        until(3, f"{self.name} is told media {direction} at {address}, but {self.media()}",
              lambda: self.media()[1] == direction and (direction == "inactive" or self.media()[0] == address))

    def was_told(self, status):
        until(3, f"{self.name} is told {status}", lambda: any(m.startswith(f"SIP/2.0 {status} ") for m in self.received()))

    def done(self):
        expect(self.sipp.wait(5) == 0, f"{self.name} ends well: {self.sipp.calls()} calls (done, failed)")


def connect_and_login(floor):
    """A desktop opens its session, registers its phone's number, logs its agent in, ready and out."""
    floor.phone("1001", AT_ONCE)
    agent = floor.desktop("agent01", tape=floor.tapes.new("connect-and-login"))
    registered = agent.ask("TRegisterAddress", "EventRegistered", ThisDN="1001")
    expect(registered["InService"] and "AgentID" not in registered, f"1001 is in service with no agent, but {registered}")
    agent.ask("TAgentLogin", "EventAgentLogin", ThisDN="1001", AgentID="2001", WorkMode="ManualIn")
    agent.hear("EventAgentNotReady", ThisDN="1001", AgentID="2001")
    agent.ask("TAgentSetReady", "EventAgentReady", ThisDN="1001")
    agent.ask("TAgentSetNotReady", "EventAgentNotReady", ThisDN="1001", WorkMode="AuxWork", Reasons={"Break": "coffee"})
    agent.ask("TAgentLogout", "EventAgentLogout", ThisDN="1001")
    agent.silent()
    agent.close()
    return "agent 2001 logs in at 1001, ready, not ready for coffee, out"


def inbound_call(floor):
    """A call from outside; the desktop answers (NOTIFY talk), holds, retrieves, releases."""
    phone = floor.phone("1001", NEVER)
    agent = floor.desktop("agent01", tape=floor.tapes.new("inbound-call"))
    agent.log_in("1001", "2001")
    caller = floor.call("1001")
    call = agent.hear("EventRinging", ThisDN="1001", CallType="Inbound", ANI="0301234", DNIS="1001")["ConnID"]
    at = {"ThisDN": "1001", "ConnID": call}
    agent.ask("TAnswerCall", "EventEstablished", **at)
    phone.hears(GATEWAY)
    caller.hears(PHONES["1001"])
    agent.ask("THoldCall", "EventHeld", **at)
    phone.hears(None, "inactive")
    caller.hears(None, "inactive")
    agent.ask("TRetrieveCall", "EventRetrieved", **at)
    phone.hears(GATEWAY)
    caller.hears(PHONES["1001"])
    agent.ask("TReleaseCall", "EventReleased", **at)
    caller.done()
    agent.leave("1001")
    floor.no_calls()
    return f"answered by NOTIFY talk; media {GATEWAY} to {PHONES['1001']}, inactive on hold, back after it"


def inbound_by_hand(floor):
    """A call from outside that the phone answers and the caller ends: the desktop is told."""
    floor.phone("1001", AT_ONCE)
    agent = floor.desktop("agent01")
    agent.ask("TRegisterAddress", "EventRegistered", ThisDN="1001")
    caller = floor.call("1001", talk_ms=200)
    call = agent.hear("EventRinging", CallType="Inbound", OtherDN="0301234")["ConnID"]
    agent.hear("EventEstablished", ConnID=call)
    agent.hear("EventReleased", ConnID=call)
    caller.done()
    agent.close()
    floor.no_calls()
    return "ringing, established, released"


def make_call(floor):
    """A desktop makes a call between two phones; each is told the other's media address."""
    origin, target = floor.phone("1001", NEVER), floor.phone("1002", AT_ONCE)
    one, two = floor.desktop("agent01"), floor.desktop("agent02")
    one.ask("TRegisterAddress", "EventRegistered", ThisDN="1001")
    two.ask("TRegisterAddress", "EventRegistered", ThisDN="1002")
    call = one.ask("TMakeCall", "EventDialing", ThisDN="1001", OtherDN="1002", UserData={"Order": "4711"})["ConnID"]
    two.hear("EventRinging", ConnID=call, OtherDN="1001", CallType="Internal", UserData={"Order": "4711"})
    two.hear("EventEstablished", ConnID=call)
    one.hear("EventEstablished", ConnID=call)
    origin.hears(PHONES["1002"])
    target.hears(PHONES["1001"])
    two.ask("TReleaseCall", "EventReleased", ThisDN="1002", ConnID=call)
    one.hear("EventReleased", ConnID=call)
    one.close()
    two.close()
    floor.no_calls()
    return f"both phones answer; {PHONES['1001']} and {PHONES['1002']} know each other's media"


def two_step_transfer(floor):
    """An agent consults another and transfers his call to him."""
    phone, target = floor.phone("1001", NEVER), floor.phone("1002", AT_ONCE)
    tape = floor.tapes.new("transfer")
    one, two = floor.desktop("agent01", tape=tape), floor.desktop("agent02", tape=tape)
    one.log_in("1001", "2001")
    two.log_in("1002", "2002")
    caller = floor.call("1001")
    call = one.hear("EventRinging")["ConnID"]
    one.ask("TAnswerCall", "EventEstablished", ThisDN="1001", ConnID=call)
    consult = one.consult("TInitiateTransfer", "1001", call, "1002")
    two.hear("EventRinging", ConnID=consult, CallType="Consult", OtherDN="1001")
    two.hear("EventEstablished", ConnID=consult)
    one.hear("EventEstablished", ConnID=consult)
    caller.hears(None, "inactive")
    one.send("TCompleteTransfer", ThisDN="1001", ConnID=call, ConsultConnID=consult)
    one.hear("EventReleased", CallState="Transferred")
    one.hear("EventReleased", CallState="Transferred")
    two.hear("EventPartyChanged", OtherDN="0301234", ConnID=call)
    caller.hears(PHONES["1002"])
    target.hears(GATEWAY)
    two.ask("TReleaseCall", "EventReleased", ThisDN="1002", ConnID=call)
    caller.done()
    one.leave("1001")
    two.leave("1002")
    floor.no_calls()
    return "consulted, joined: the caller's media go to 1002"


def single_step_transfer(floor):
    """An agent sends his call on without asking."""
    phone, target = floor.phone("1001", AT_ONCE), floor.phone("1002", AT_ONCE)
    one, two = floor.desktop("agent01"), floor.desktop("agent02")
    one.ask("TRegisterAddress", "EventRegistered", ThisDN="1001")
    two.ask("TRegisterAddress", "EventRegistered", ThisDN="1002")
    caller = floor.call("1001")
    call = one.hear("EventRinging")["ConnID"]
    one.hear("EventEstablished", ConnID=call)
    one.ask("TSingleStepTransfer", "EventReleased", ThisDN="1001", ConnID=call, OtherDN="1002")
    two.hear("EventRinging", ConnID=call, OtherDN="0301234")
    two.hear("EventEstablished", ConnID=call)
    caller.hears(PHONES["1002"])
    target.hears(GATEWAY)
    two.ask("TReleaseCall", "EventReleased", ThisDN="1002", ConnID=call)
    caller.done()
    one.close()
    two.close()
    floor.no_calls()
    return "the caller's media go to 1002"


def queue_call(floor):
    """A caller waits, an agent becomes ready and gets him; after-call work; the next caller."""
    phone = floor.phone("1001", AT_ONCE)
    agent = floor.desktop("agent01", tape=floor.tapes.new("queue-call"))
    agent.log_in("1001", "2001")
    first = floor.call("7000")
    first.was_told(182)
    waiting = [line for line in floor.site.ask("queue", "list") if line["queue"] == "7000"]
    expect(waiting[0]["waiting"] == 1, f"`tandem queue list` shows a call at 7000, but {waiting}")
    agent.ask("TAgentSetReady", "EventAgentReady", ThisDN="1001", WorkMode="AutoIn")
    call = agent.hear("EventRinging", ThisDN="1001", ThisQueue="7000")["ConnID"]
    agent.hear("EventEstablished", ConnID=call)
    first.hears(PHONES["1001"])
    phone.hears(GATEWAY)
    second = floor.call("7000")
    second.was_told(182)
    agent.send("TReleaseCall", ThisDN="1001", ConnID=call)
    agent.hear("EventAgentNotReady", WorkMode="AfterCallWork")
    agent.hear("EventReleased", ConnID=call)
    first.done()
    agent.hear("EventAgentReady", ThisDN="1001")
    call = agent.hear("EventRinging", ThisDN="1001", ThisQueue="7000")["ConnID"]
    agent.hear("EventEstablished", ConnID=call)
    second.hears(PHONES["1001"])
    agent.send("TReleaseCall", ThisDN="1001", ConnID=call)
    agent.hear("EventAgentNotReady", WorkMode="AfterCallWork")
    agent.hear("EventReleased", ConnID=call)
    second.done()
    agent.hear("EventAgentReady")
    agent.leave("1001")
    floor.no_calls()
    return "182 while waiting, offered, 1 s of after-call work, the next caller"


def no_answer(floor):
    """An agent does not answer: the caller goes to the head of the queue and to another agent."""
    floor.phone("1001", NEVER)
    floor.phone("1002", AT_ONCE)
    one, two = floor.desktop("agent01"), floor.desktop("agent02")
    one.log_in("1001", "2001", mode="AutoIn")
    caller = floor.call("7000")
    call = one.hear("EventRinging", ThisQueue="7000")["ConnID"]
    later = floor.call("7000")
    later.was_told(182)
    one.hear("EventAgentNotReady", ThisDN="1001", Reasons={"Cause": "agent-no-answer-action"})
    one.hear("EventReleased", ConnID=call, CallState="Redirected")
    shown = floor.site.ask("agent", "list")
    expect([line["agent_id"] for line in shown] == ["2001"] and "agent-no-answer-action" in shown[0]["reason"],
           f"`tandem agent list` says why 2001 is not ready, but {shown}")
    two.log_in("1002", "2002", mode="AutoIn")
    two.hear("EventRinging", ConnID=call, ThisQueue="7000")
    two.hear("EventEstablished", ConnID=call)
    caller.hears(PHONES["1002"])
    for served in (caller, later):
        two.send("TReleaseCall", ThisDN="1002", ConnID=call)
        two.hear("EventAgentNotReady", WorkMode="AfterCallWork")
        two.hear("EventReleased", ConnID=call)
        served.done()
        two.hear("EventAgentReady")
        if served is caller:
            call = two.hear("EventRinging", ThisQueue="7000")["ConnID"]
            two.hear("EventEstablished", ConnID=call)
    one.leave("1001")
    two.leave("1002")
    floor.no_calls()
    return "not taken for 2 s: agent 2001 not ready, the same call to agent 2002, before a later one"


def routing_point(floor):
    """A routing application says where a call goes."""
    floor.phone("1001", AT_ONCE)
    tape = floor.tapes.new("routing-point")
    router, agent = floor.desktop("router", tape=tape), floor.desktop("agent01", tape=tape)
    router.ask("TRegisterAddress", "EventRegistered", ThisDN="7900")
    agent.ask("TRegisterAddress", "EventRegistered", ThisDN="1001")
    caller = floor.call("7900")
    call = router.hear("EventRouteRequest", ThisDN="7900", ANI="0301234", DNIS="7900", CallType="Inbound")["ConnID"]
    router.ask("TRouteCall", "EventRouteUsed", ThisDN="7900", ConnID=call, OtherDN="1001", UserData={"Segment": "gold"})
    router.hear("EventDiverted", ThisDN="7900", ConnID=call)
    agent.hear("EventRinging", ThisDN="1001", ConnID=call, UserData={"Segment": "gold"})
    agent.hear("EventEstablished", ConnID=call)
    caller.hears(PHONES["1001"])
    agent.ask("TReleaseCall", "EventReleased", ThisDN="1001", ConnID=call)
    caller.done()
    for desk in (router, agent):
        desk.silent()
        desk.close()
    floor.no_calls()
    return "asked, routed to 1001 with user data"


def supervisor(floor):
    """A supervisor logs an agent out, with a reason of his own."""
    floor.phone("1001", AT_ONCE)
    agent, boss = floor.desktop("agent01"), floor.desktop("supervisor")
    agent.log_in("1001", "2001")
    registered = boss.ask("TRegisterAddress", "EventRegistered", ThisDN="1001")
    expect(registered["AgentID"] == "2001", f"the supervisor sees the agent at 1001, but {registered}")
    boss.ask("TAgentLogout", "EventAgentLogout", ThisDN="1001", Reasons={"ReasonCode": "shift-over"})
    told = agent.hear("EventAgentLogout", ThisDN="1001", AgentID="2001")
    expect(told["Reasons"] == {"ReasonCode": "shift-over"}, f"the agent is told the reason, but {told}")
    agent.close()
    boss.close()
    return "logged out with ReasonCode shift-over"


def desktop_killed(floor):
    """A desktop dies in a call: the call goes on, the agent is logged out."""
    floor.phone("1001", AT_ONCE)
    agent, boss = floor.desktop("agent01"), floor.desktop("supervisor")
    agent.log_in("1001", "2001", mode="AutoIn")
    boss.ask("TRegisterAddress", "EventRegistered", ThisDN="1001")
    caller = floor.call("7000", talk_ms=3000)
    for desk in (agent, boss):
        call = desk.hear("EventRinging", ThisQueue="7000")["ConnID"]
        desk.hear("EventEstablished", ConnID=call)
    agent.kill()
    told = boss.hear("EventAgentLogout", ThisDN="1001", AgentID="2001")
    expect([call["state"] for call in floor.site.ask("call", "list")] == ["established"], "the call goes on")
    back = floor.desktop("agent01")
    parties = back.ask("TRegisterAddress", "EventRegistered", ThisDN="1001").get("Parties")
    expect(parties and parties[0]["ConnID"] == call, f"who comes back sees the call, but {parties}")
    back.close()
    boss.hear("EventReleased", ConnID=call)
    caller.done()
    boss.silent()
    boss.close()
    floor.no_calls()
    return f"kill -9: agent logged out ({told.get('Reasons')}), the call goes on until the caller ends it"


def resume(floor):
    """A cut connection is resumed: exactly what was missed, in order."""
    floor.phone("1001", AT_ONCE)
    tape = floor.tapes.new("resume")
    agent = floor.desktop("agent01", tape=tape)
    registered = agent.ask("TRegisterAddress", "EventRegistered", ThisDN="1001")
    agent.kill()
    caller = floor.call("1001", talk_ms=200)
    caller.done()
    floor.no_calls()
    back = floor.desktop("agent01", session=agent.session, after=agent.last, tape=tape)
    expect(back.session == agent.session and back.last == agent.last, f"the session goes on, but {back.link}")
    call = back.hear("EventRinging", CallType="Inbound")["ConnID"]
    back.hear("EventEstablished", ConnID=call)
    back.hear("EventReleased", ConnID=call)
    missed = f"{agent.last + 1} to {back.last}"
    back.reference = agent.reference - 1
    back.send("TRegisterAddress", ThisDN="1001")
    again = back.events.get(timeout=5)
    back.note("<", again)
    expect(again == registered, f"a repeated request gets the answer that it had, but {again}")
    back.ask("TQueryAddress", "EventAddressInfo", ThisDN="1001")
    back.silent()
    back.close()
    return f"events {missed} missed and told, in order, once"


def bad_input(floor):
    """Whatever a client sends gets an answer; what is no request ends the connection and nothing else."""
    agent = floor.desktop("agent01", tape=floor.tapes.new("error"))
    for request, code in (("TAgentSetReady", 41), ("TAgentSetRedy", 51)):
        error = agent.ask(request, "EventError", ThisDN="1001")
        expect(error["ErrorCode"] == code, f"{request} gets {code}, but {error}")
    error = agent.ask("TRegisterAddress", "EventError", ThisDN="1001", RegisterMod="Share")
    expect(error["ErrorCode"] == 53 and "RegisterMod" in error["ErrorMessage"], f"53 names the attribute, but {error}")
    agent.ask("TRegisterAddress", "EventRegistered", ThisDN="1001")
    agent.close()
    codes = []
    for kind, payload, code in ((Wire.BINARY, b"\x00\x01", 1003), (Wire.TEXT, b"{nonsense", 1007), (Wire.TEXT, b"\xff", 1007),
                                (Wire.TEXT, b" " * 262145, 1009)):
        wire = Wire(floor.site)
        wire.open("agent01")
        wire.send(kind, payload)
        answer = wire.read()
        expect(isinstance(answer, dict) and answer["event"] == "EventError" and answer["ErrorCode"] == 53, f"53 before {code}, but {answer}")
        codes.append(wire.read())
        expect(codes[-1] == code, f"close code {code}, but {codes[-1]}")
    stranger = subprocess.run([tandem(), "cti", "--user", "nobody", *floor.site.cti_options, "--wait", "0"], input="", capture_output=True,
                              text=True, timeout=10, env={**os.environ, "TANDEM_CTI_PASSWORD": "guess"})
    expect(stranger.returncode == 1 and '"ErrorCode":259' in stranger.stdout, f"a stranger is told 259, but {stranger}")
    wire = Wire(floor.site)
    wire.send(Wire.TEXT, b'{"request":"TQueryServer","ReferenceID":1}')
    expect(wire.read()["event"] == "EventError", "nothing before TOpenServer")
    wire.read()
    return f"refused by name; close codes {codes}"


def softphone_agent(floor):
    """A baresip takes a queue call and is held and retrieved by request."""
    number, host = SOFTPHONE
    phone = Baresip(floor.bed, floor.site, number, host, answers="auto")
    agent = floor.desktop("agent04")
    until(10, "the baresip registers", lambda: number in {binding["dn"] for binding in floor.site.ask("reg", "list")})
    agent.log_in(number, "2004", mode="AutoIn")
    caller = floor.call("7000")
    call = agent.hear("EventRinging", ThisQueue="7000")["ConnID"]
    agent.hear("EventEstablished", ConnID=call)
    until(3, "the caller has the baresip's media", lambda: caller.media()[0])
    media = caller.media()
    agent.ask("THoldCall", "EventHeld", ThisDN=number, ConnID=call)
    caller.hears(None, "inactive")
    agent.ask("TRetrieveCall", "EventRetrieved", ThisDN=number, ConnID=call)
    caller.hears(*media)
    agent.send("TReleaseCall", ThisDN=number, ConnID=call)
    agent.hear("EventAgentNotReady", WorkMode="AfterCallWork")
    agent.hear("EventReleased", ConnID=call)
    caller.done()
    agent.hear("EventAgentReady")
    agent.leave(number)
    phone.quit()
    return f"baresip with media at {media[0]} held and retrieved"


PLAYS = (connect_and_login, inbound_by_hand, inbound_call, make_call, single_step_transfer, two_step_transfer, queue_call, no_answer,
         routing_point, supervisor, desktop_killed, resume, bad_input, softphone_agent)


def floor(bed):
    stage = Floor(bed)
    chosen = [play for play in PLAYS if not only or play.__name__ in only]
    for play in chosen:
        print(f"    {play.__name__.replace('_', ' ')}: {play(stage)}", flush=True)
    stage.site.stop()
    if not only:
        stage.tapes.record() if "--record" in sys.argv else stage.tapes.compare()


if __name__ == "__main__":
    only = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    main("floor", floor)
