#!/usr/bin/env python3
"""Calls whose media a real rtpengine carries go on after their server was killed: they are held, taken back and ended, and callers
who wait hear music again. Nothing is left at the engine.
"""

import os

from bed import configuration, expect, main, until
from desk import Desktop
from rtp import End, Engine, both_ways
from stage import GATEWAY, Stage
from treatment import tone

HOST = "127.0.0.29"


def config(bed, folder):
    """The desks' configuration: the gateway is anchored, 7000 has music, and who is held hears some."""
    text = configuration("desks.toml")
    for was, now in (('name = "gateway"\n', 'name = "gateway"\nmedia = "anchor"\n'),
                     ("[TServer]\n", '[TServer]\ndefault-music = "held.wav"\n'),
                     ('agents = ["2001-2009"]\ntreatment = "queued"', 'agents = ["2001-2009"]\ntreatment = "music:hold.wav"')):
        expect(text.count(was) == 1, f"desks.toml has {was!r} once")
        text = text.replace(was, now)
    path = os.path.join(bed.folder, "media.toml")
    with open(path, "w") as file:
        file.write(f'{text}\n[media]\nrtpengine = ["{HOST}:22222"]\ndirectory = "{folder}"\n')
    return path


def again(stage, desk, meanwhile=lambda: None):
    """kill -9, and up again; the desktop goes on where it was."""
    stage.site.kill()
    desk.kill()
    meanwhile()
    stage.site.start()
    back = Desktop(stage.bed, stage.site, desk.user, session=desk.session, after=desk.last)
    back.reference = desk.reference
    return back


def a_held_call(stage, engine, one):
    """It is held with music when the server dies."""
    phone = stage.phone("1001", "answer")
    caller = stage.gateway.call("1001")
    ear = End((GATEWAY, caller.port))
    call = one.hear("EventRinging")["ConnID"]
    one.hear("EventEstablished", ConnID=call)
    line = phone.fresh_line()
    mouth = End((phone.host, line.port))
    both_ways((ear, caller), (mouth, line), "before")
    one.ask("THoldCall", "EventHeld", ThisDN="1001", ConnID=call)
    ear.hears("music on hold")
    session = engine.has(1, "one anchored leg")
    one = again(stage, one, lambda: ear.hears("the music goes on without the server"))
    ear.hears("music after the restart")
    one.ask("TRetrieveCall", "EventRetrieved", ThisDN="1001", ConnID=call)
    ear.silence("the music ends when he is taken back")
    both_ways((ear, caller), (mouth, line), "after the restart")
    expect(engine.has(1, "the same leg") == session, f"the session is the one of before, {session}, but {engine.sessions()}")
    print("    a held call is taken back after kill -9, and media flow both ways by the session of before", flush=True)
    one.ask("THoldCall", "EventHeld", ThisDN="1001", ConnID=call)
    ear.hears("music on hold, anew")
    return one, call, caller, line, (ear, mouth)


def ended(stage, engine, one, call, caller, line):
    caller.bye()
    line.ends()
    one.hear("EventReleased", ConnID=call)
    engine.has(0, "after the call")
    print("    it ends, and leaves no session", flush=True)


def a_lost_engine(stage, engine, one):
    """The engine dies with the server, and has forgotten everything when both are back."""
    phone = stage.phone("1001", "answer")
    caller = stage.gateway.call("1001")
    ear = End((GATEWAY, caller.port))
    call = one.hear("EventRinging")["ConnID"]
    one.hear("EventEstablished", ConnID=call)
    line = phone.fresh_line()
    mouth = End((phone.host, line.port))
    both_ways((ear, caller), (mouth, line), "before")
    engine.kill()
    engine.start()
    one = again(stage, one)
    engine.has(1, "the leg is made anew")
    both_ways((ear, caller), (mouth, line), "with an engine that had forgotten it")
    print("    an engine that has forgotten a call is given it again", flush=True)
    ended(stage, engine, one, call, caller, line)
    return one


def a_waiting_caller(stage, engine, one):
    """He hears music in a queue when the server dies, and again afterwards."""
    caller = stage.gateway.call("7000")
    ear = End((GATEWAY, caller.port))
    ear.hears("music in the queue")
    before = engine.has(2, "his leg and a player")
    one = again(stage, one)
    leg, _ = until(5, f"a new player, and the old one gone: {before}, {engine.sessions()}",
                lambda: len(now := set(engine.sessions())) == 2 and len(now & before) == 1 and now & before)
    expect(all(name.rsplit("-", 1)[1].startswith("a") for name in leg), f"his leg's session is the one of before, but {leg}")
    ear.hears("music again")
    print("    a waiting caller hears music again, by a new player; the old one is deleted", flush=True)
    caller.cancel()
    caller.hears("487 INVITE")
    engine.has(0, "after he gave up")
    return one


def restart_media(bed):
    folder = os.path.join(bed.folder, "media")
    os.mkdir(folder)
    tone(f"{folder}/hold.wav", 440, 1)
    tone(f"{folder}/held.wav", 660, 1)
    engine = Engine(bed, HOST)
    until(5, "rtpengine answers", engine.works)
    stage = Stage(bed, ["1001"], path=config(bed, folder))
    one = stage.agent(1, mode="ManualIn")
    one, call, caller, line, _ = a_held_call(stage, engine, one)
    ended(stage, engine, one, call, caller, line)
    one = a_lost_engine(stage, engine, one)
    one = a_waiting_caller(stage, engine, one)
    one.kill()
    stage.site.stop()


if __name__ == "__main__":
    main("restart-media", restart_media)
