#!/usr/bin/env python3
"""Music and announcements by a real rtpengine: RTP reaches a waiting caller, ends when an agent answers, comes while he is
held, and gives way to ringback when the engine is lost.
"""

import math
import os
import shutil
import socket
import struct
import threading
import time
import urllib.request
import wave

from bed import Bed, configuration, expect, main, until, Failed
from floor import AT_ONCE, GATEWAY, Floor

HOST = "127.0.0.27"
NG = f"{HOST}:22222"
# What caller.xml puts into its SDP.
RTP = (GATEWAY, 40002)


class Listener:
    """Counts the RTP packets that reach the caller, and those with sound in them."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(RTP)
        self.packets = self.loud = 0
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            packet = self.socket.recv(2048)
            self.packets += 1
            self.loud += len(set(packet[12:])) > 8

    def hears(self, what):
        """A second of sound."""
        before = self.loud
        until(5, f"the caller hears {what}", lambda: self.loud - before >= 50)

    def silence(self, what):
        """What is under way arrives; then there is nothing."""
        time.sleep(0.2)
        before = self.packets
        time.sleep(0.5)
        expect(self.packets == before, f"{what}, but {self.packets - before} packets came in 0.5 s")


def tone(path, hertz, seconds):
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(struct.pack("<h", int(8000 * math.sin(i * hertz * math.tau / 8000)))
                                  for i in range(int(8000 * seconds))))


def config(bed, folder):
    """The floor's configuration, with music in its queue."""
    text = configuration("floor.toml")
    queue = 'agent-groups = ["support"]\ntreatment = "queued"'
    expect(text.count(queue) == 1, "floor.toml has the queue that this test gives music to")
    path = os.path.join(bed.folder, "treatment.toml")
    with open(path, "w") as file:
        text = text.replace(queue, queue.replace("queued", "music:hold.wav"))
        text = text.replace("[TServer]\n", '[TServer]\ndefault-music = "held.wav"\n')
        file.write(text.replace('name = "gateway"\n', 'name = "gateway"\nmedia = "anchor"\n')
                   + f'\n[media]\nrtpengine = ["{NG}"]\ndirectory = "{folder}"\n')
    return path


def rtpengine(bed):
    if not shutil.which("rtpengine"):
        raise Failed("rtpengine is not installed: sh tests/e2e/tools.sh rtpengine")
    return bed.run("rtpengine", ["rtpengine", "--table=-1", f"--interface={HOST}", f"--listen-ng={NG}", "--foreground",
                                 "--log-stderr", "--port-min=36000", "--port-max=36400",
                                 f"--pidfile={bed.folder}/rtpengine.pid"])


def works(floor, engines):
    with urllib.request.urlopen(f"{floor.site.url}/metrics") as page:
        return f"\ntandem_media_engines_up {engines}\n" in page.read().decode()


def treatment(bed: Bed):
    folder = os.path.join(bed.folder, "media")
    os.mkdir(folder)
    tone(f"{folder}/hold.wav", 440, 1)
    tone(f"{folder}/hello.wav", 880, 2)
    tone(f"{folder}/held.wav", 660, 1)
    engine = rtpengine(bed)
    floor = Floor(bed, config(bed, folder))
    until(10, f"the media server works\n{bed.tail('rtpengine')}", lambda: works(floor, 1))
    ear = Listener()
    router = floor.desktop("router")
    router.ask("TRegisterAddress", "EventRegistered", ThisDN="7900")
    floor.phone("1001", AT_ONCE)
    agent = floor.desktop("agent01")
    agent.log_in("1001", "2001")

    caller = floor.call("7000")
    caller.was_told(183)
    expect(caller.media() == (HOST, "sendrecv"), f"the media are the engine's, but {caller.media()}")
    ear.hears("music, longer than the file")
    ear.hears("the music again")
    print("    a waiting caller hears music", flush=True)
    agent.ask("TAgentSetReady", "EventAgentReady", ThisDN="1001")
    call = agent.hear("EventRinging", ThisQueue="7000")["ConnID"]
    agent.hear("EventEstablished", ConnID=call)
    caller.was_told(200)
    ear.silence("the music ends when the agent answers")
    agent.ask("THoldCall", "EventHeld", ThisDN="1001", ConnID=call)
    ear.hears("music while he is held, longer than the file")
    ear.hears("the music again")
    agent.ask("TRetrieveCall", "EventRetrieved", ThisDN="1001", ConnID=call)
    ear.silence("the music ends when the agent takes him back")
    print("    a held caller hears music until he is taken back", flush=True)
    agent.send("TReleaseCall", ThisDN="1001", ConnID=call)
    agent.hear("EventAgentNotReady", WorkMode="AfterCallWork")
    agent.hear("EventReleased", ConnID=call)
    caller.done()
    print("    it ends when an agent answers", flush=True)

    caller = floor.call("7900")
    call = router.hear("EventRouteRequest", ThisDN="7900")["ConnID"]
    at = {"ThisDN": "7900", "ConnID": call}
    router.ask("TApplyTreatment", "EventTreatmentApplied", **at, TreatmentType="PlayAnnouncement",
               TreatmentParms={"PROMPT": "hello.wav"})
    ear.hears("the announcement")
    router.hear("EventTreatmentEnd", ConnID=call)
    ear.silence("the announcement is over")
    caller.was_told(180)
    router.ask("TApplyTreatment", "EventTreatmentApplied", **at, TreatmentType="Music",
               TreatmentParms={"MUSIC_DN": "hold.wav"})
    ear.hears("music in the same dialog")
    print("    a routing application plays an announcement, then music", flush=True)

    engine.kill()
    engine.wait()
    router.hear("EventTreatmentNotApplied", ConnID=call)
    until(5, "the metrics say that no engine works", lambda: works(floor, 0))
    uuid = floor.site.ask("call", "list")[0]["call_uuid"]
    why = str(floor.site.ask("why", uuid))
    expect("ringback instead: the media server was lost" in why, f"why says what happened, but: {why}")
    print("    ringback when the engine is lost, and `tandem why` says so", flush=True)
    floor.site.stop()


if __name__ == "__main__":
    main("treatment", treatment)
