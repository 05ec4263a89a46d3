"""Media of plays: ends that send and count RTP, and a real rtpengine that can be asked what it has."""

import json
import random
import shutil
import socket
import struct
import threading
import time

from bed import expect, until, Failed

PCMA, FRAME_S = 8, 0.02


class End:
    """Where a party hears: it counts packets, those with sound in them, and those that another End has sent."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.packets = self.loud = self.sequence = 0
        self.marks = {}
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            payload = self.socket.recv(2048)[12:]
            self.packets += 1
            self.loud += len(set(payload)) > 8
            if len(set(payload)) == 1:
                self.marks[payload[0]] = self.marks.get(payload[0], 0) + 1

    def hears(self, what, packets=25):
        """Half a second of sound."""
        before = self.loud
        until(5, f"{what}, but {self.loud - before} packets with sound came", lambda: self.loud - before >= packets)

    def silence(self, what):
        """What is under way arrives; then there is nothing."""
        time.sleep(0.2)
        before = self.packets
        time.sleep(0.3)
        expect(self.packets == before, f"{what}, but {self.packets - before} packets came in 0.3 s")

    def say(self, to, mark):
        """One packet whose payload is that mark."""
        self.sequence += 1
        head = struct.pack("!BBHII", 0x80, PCMA, self.sequence & 0xffff, self.sequence * 160, id(self) & 0xffffffff)
        self.socket.sendto(head + bytes([mark]) * 160, to)


def both_ways(one, other, what):
    """Each of two (End, Line) hears what the other sends to where its line was told."""
    (left, near), (right, far) = one, other
    mark, answer = random.sample(range(1, 128), 2)

    def heard():
        if not near.told or not far.told:
            return False
        left.say(near.told[:2], mark)
        right.say(far.told[:2], answer)
        time.sleep(FRAME_S)
        return right.marks.get(mark, 0) >= 3 and left.marks.get(answer, 0) >= 3
    until(5, f"{what}: media flow both ways, {near.told} and {far.told}", heard)


class Engine:
    """A real rtpengine."""

    def __init__(self, bed, host):
        if not shutil.which("rtpengine"):
            raise Failed("rtpengine is not installed: sh tests/e2e/tools.sh rtpengine")
        self.bed, self.host, self.ng = bed, host, (host, 22222)
        self.lives = 0
        self.start()

    def start(self):
        self.lives += 1
        name = f"rtpengine-{self.lives}"
        self.process = self.bed.run(name, ["rtpengine", "--table=-1", f"--interface={self.host}", f"--listen-ng={self.host}:22222",
                                           "--foreground", "--log-stderr", "--port-min=36000", "--port-max=36400",
                                           f"--pidfile={self.bed.folder}/{name}.pid"])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def sessions(self):
        """The names of its sessions."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ng:
            ng.settimeout(2)
            ng.connect(self.ng)
            ng.send(f"{random.getrandbits(48):x} ".encode() + json.dumps({"command": "list", "limit": 100}).encode())
            return json.loads(ng.recv(65535).split(b" ", 1)[1])["calls"]

    def works(self):
        try:
            return self.sessions() == []
        except OSError:
            return False

    def has(self, count, what):
        until(5, f"{what}: {count} sessions, but {self.sessions()}", lambda: len(self.sessions()) == count)
        return set(self.sessions())
