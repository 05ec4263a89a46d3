#!/usr/bin/env python3
"""A pair whose calls' media a real rtpengine carries loses its primary: media flow all the time, calls are held, taken back, transferred
and ended by the new primary; callers who wait keep their places and hear music again, and nothing is left at the engine.

takeover_media.py [PLAY...]   all of it, or the plays of that name
"""

import os
import sys
import threading
import time

from bed import expect, main, until
from desk import Desktop
from group import Group, desks, prepare
from rtp import FRAME_S, End, Engine, both_ways
from treatment import tone
from ua import Agent

GATEWAY, ENGINE = "10.79.0.60", "10.79.0.90"
PHONES = {number: f"10.79.1.{int(number) - 1000}" for number in ("1001", "1002", "1003")}
# A machine that builds and tests beside this play is slow.
PATIENCE = 15
# Packets pass the engine alone, which the takeover does not touch.
LONGEST_SILENCE_S = 1


def configured(folder):
    """The desks at both servers: the gateway is anchored, 7000 has music, and who is held hears some."""
    text = desks()
    for was, now in (('name = "gateway"\n', 'name = "gateway"\nmedia = "anchor"\n'),
                     ("[TServer]\n", '[TServer]\ndefault-music = "held.wav"\n'),
                     ('agents = ["2001-2009"]\ntreatment = "queued"', 'agents = ["2001-2009"]\ntreatment = "music:hold.wav"')):
        expect(text.count(was) == 1, f"the desks have {was!r} once")
        text = text.replace(was, now)
    return f'{text}\n[media]\nrtpengine = ["{ENGINE}:22222"]\ndirectory = "{folder}"\n'


class Talk:
    """A call of the gateway to an agent's phone, both of which send and hear media."""

    def __init__(self, cast, dn):
        desk, phone = cast.desktops[dn], cast.phones[dn]
        self.caller = cast.gateway.call(dn)
        self.ear = End((GATEWAY, self.caller.port))
        self.call = desk.hear("EventRinging", ThisDN=dn)["ConnID"]
        desk.hear("EventEstablished", ConnID=self.call)
        self.line = phone.fresh_line()
        self.line.hears("ACK")
        self.mouth = End((phone.host, self.line.port))
        self.flows("before")

    def flows(self, what):
        both_ways((self.ear, self.caller), (self.mouth, self.line), what)

    def addresses(self):
        """Where either end was told to send."""
        return self.caller.told[:2], self.line.told[:2]


class Flow(threading.Thread):
    """Each end of a talk says something all the time, and it is noted how long either heard nothing."""

    MARKS = (130, 131)

    def __init__(self, talk):
        super().__init__(daemon=True)
        self.talk, self.stopped, self.silent = talk, threading.Event(), 0
        self.start()

    def run(self):
        ends, told = (self.talk.ear, self.talk.mouth), self.talk.addresses()
        heard, since = [0, 0], [time.monotonic()] * 2
        while not self.stopped.wait(FRAME_S):
            for number, end in enumerate(ends):
                end.say(told[number], self.MARKS[number])
                count = end.marks.get(self.MARKS[1 - number], 0)
                now = time.monotonic()
                if count > heard[number]:
                    heard[number], since[number] = count, now
                self.silent = max(self.silent, now - since[number])

    def ends(self):
        self.stopped.set()
        self.join()
        expect(self.silent < LONGEST_SILENCE_S, f"media flowed all the time, but for {self.silent:.2f} s")
        return f"{self.silent * 1000:.0f} ms"


class Cast:
    def __init__(self, bed, group, engine):
        self.bed, self.group, self.engine = bed, group, engine
        self.gateway = Agent(bed, "gateway", GATEWAY, group, manner="silent")
        self.phones = {dn: Agent(bed, f"phone-{dn}", host, group, manner="answer").register(dn) for dn, host in PHONES.items()}
        self.desktops = {}
        for number in (1, 2, 3):
            desk = self.desktops[f"100{number}"] = Desktop(bed, group, f"agent0{number}")
            desk.log_in(f"100{number}", f"200{number}")

    def begin(self):
        """Two talk, one is held, and two wait with music."""
        self.talks, self.held = Talk(self, "1001"), Talk(self, "1003")
        self.desktops["1003"].ask("THoldCall", "EventHeld", ThisDN="1003", ConnID=self.held.call)
        self.held.ear.hears("music on hold")
        self.waiting = [self.waits(), self.waits()]
        self.sessions = self.engine.has(6, "four legs and two players")
        self.told = self.talks.addresses()
        self.flow = Flow(self.talks)

    def waits(self):
        caller = self.gateway.call("7000")
        ear = End((GATEWAY, caller.port))
        caller.hears("183 INVITE")
        ear.hears("music in the queue")
        return caller, ear

    def while_nobody_serves(self):
        self.held.ear.hears("the music of who is held goes on without a server")
        for _, ear in self.waiting:
            ear.hears("so does the music of those who wait")

    def desktops_are_back(self):
        for dn, old in self.desktops.items():
            old.kill()
            self.desktops[dn] = Desktop(self.bed, self.group, old.user, session=old.session, after=old.last)
            self.desktops[dn].reference = old.reference

    def goes_on(self):
        """By the sessions of before; players are new, for an engine cannot say where in a file it is."""
        def moved():
            now = set(self.engine.sessions())
            return len(now) == 6 and len(now & self.sessions) == 4
        until(PATIENCE, f"four legs go on, with new players: {self.sessions}, but {self.engine.sessions()}", moved)
        legs = set(self.engine.sessions()) & self.sessions
        expect(all(name.rsplit("-", 1)[1].startswith("a") for name in legs), f"what goes on is legs, but {legs}")
        self.desktops_are_back()
        silent = self.flow.ends()
        self.talks.flows("by the new primary")
        expect(self.talks.addresses() == self.told, f"by the ports of before, {self.told}, but {self.talks.addresses()}")
        self.held.ear.hears("music on hold")
        for _, ear in self.waiting:
            ear.hears("music again")
        return silent

    def is_held_and_taken_back(self):
        """By the desktop, and by a phone; and who was held before is taken back."""
        one, talk = self.desktops["1001"], self.talks
        one.ask("THoldCall", "EventHeld", ThisDN="1001", ConnID=talk.call)
        talk.ear.hears("music on hold")
        one.ask("TRetrieveCall", "EventRetrieved", ThisDN="1001", ConnID=talk.call)
        talk.ear.silence("the music ends when he is taken back")
        talk.flows("held and taken back")
        talk.line.request("INVITE", f"{talk.line.describe()}a=sendonly\r\n")
        one.hear("EventHeld", ConnID=talk.call)
        talk.ear.hears("music when the phone holds")
        talk.line.request("INVITE", talk.line.describe())
        one.hear("EventRetrieved", ConnID=talk.call)
        talk.flows("held and taken back by the phone")
        three, held = self.desktops["1003"], self.held
        three.ask("TRetrieveCall", "EventRetrieved", ThisDN="1003", ConnID=held.call)
        held.ear.silence("his music ends, too")
        held.flows("who was held before")

    def is_transferred(self):
        """The agent at 1002 has the call of 1001."""
        one, two, talk = self.desktops["1001"], self.desktops["1002"], self.talks
        one.ask("TSingleStepTransfer", "EventReleased", ThisDN="1001", ConnID=talk.call, OtherDN="1002")
        two.hear("EventRinging", ConnID=talk.call)
        two.hear("EventEstablished", ConnID=talk.call)
        line = self.phones["1002"].fresh_line()
        mouth = End((PHONES["1002"], line.port))
        both_ways((talk.ear, talk.caller), (mouth, line), "transferred")
        talk.caller.bye()
        line.ends()
        two.hear("EventReleased", ConnID=talk.call)

    def are_served(self):
        """Those who waited, in the order in which they came."""
        one = self.desktops["1001"]
        for caller, ear in self.waiting:
            one.ask("TAgentSetReady", "EventAgentReady", ThisDN="1001", WorkMode="ManualIn")
            call = one.hear("EventRinging", ThisQueue="7000")["ConnID"]
            one.hear("EventEstablished", ConnID=call)
            caller.hears("200 INVITE")
            ear.silence("the music ends when an agent answers")
            line = self.phones["1001"].fresh_line()
            both_ways((ear, caller), (End((PHONES["1001"], line.port)), line), "who waited talks")
            one.send("TReleaseCall", ThisDN="1001", ConnID=call)
            one.hear_until("EventReleased", ConnID=call)
            caller.ends()

    def end(self):
        self.held.caller.bye()
        self.held.line.ends()
        self.desktops["1003"].hear("EventReleased", ConnID=self.held.call)
        self.engine.has(0, "after the calls")
        until(PATIENCE, "no call is left", lambda: self.group.ask("call", "list") == [])


class Play:
    def __init__(self, group, cast):
        self.group, self.cast = group, cast

    def roles(self):
        primary = self.group.primary()
        expect(primary, "a server serves")
        return primary, self.group.other(primary)

    def lost_to(self, other, moment):
        cast = self.cast
        self.group.takes_over(other, moment)
        silent = cast.goes_on()
        cast.is_held_and_taken_back()
        cast.is_transferred()
        cast.are_served()
        cast.end()
        return f"no end heard nothing for longer than {silent}; held, taken back, transferred, served, ended"

    def killed(self):
        primary, other = self.roles()
        self.cast.begin()
        moment = primary.kill()
        self.cast.while_nobody_serves()
        told = self.lost_to(other, moment)
        primary.start()
        self.group.is_whole(other)
        return told

    def told_to_go(self):
        primary, other = self.roles()
        self.cast.begin()
        moment = time.monotonic()
        primary.order("ha", "switchover")
        return self.lost_to(other, moment)


PLAYS = ("killed", "told_to_go")


def takeover_media(bed):
    folder = os.path.join(bed.folder, "media")
    os.mkdir(folder)
    tone(f"{folder}/hold.wav", 440, 1)
    tone(f"{folder}/held.wav", 660, 1)
    group = Group(bed, configured(folder), [GATEWAY, ENGINE, *PHONES.values()])
    engine = Engine(bed, ENGINE)
    until(5, "rtpengine answers", engine.works)
    group.begin()
    cast = Cast(bed, group, engine)
    play = Play(group, cast)
    for name in (sys.argv[1:] or PLAYS):
        print(f"    {name.replace('_', ' ')}: {getattr(play, name)()}", flush=True)


if __name__ == "__main__":
    main("takeover_media", takeover_media, lambda: prepare("nft"))
