#!/usr/bin/env python3
"""What a call costs the server over each transport once the phones are connected: CPU seconds of the process, by /proc.

transports.py [CALLS of each, default 1500] [ROUNDS, default 3]

One caller and one callee, one call after the other, so that the server wakes up for each message whatever the transport. Rounds
are interleaved; the least of each transport is compared with that of UDP. TANDEM names the binary, as in the end-to-end tests.
"""

import os
import socket
import ssl
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from bed import Bed, Site, expect, main  # noqa: E402
from certificates import authority, certificate  # noqa: E402
from streams import shake_hands  # noqa: E402

HOST = "127.0.0.97"
PORTS = {"UDP": 5070, "TCP": 5070, "TLS": 5071, "WS": 5080, "WSS": 5443}
GOAL = 3.0
CONFIG = """
[application]
name = "bench"
switch = "bench"
listen = ["udp:HOST:5070", "tcp:HOST:5070", "tls:HOST:5071", "ws:HOST:5080", "wss:HOST:5443"]
realm = "tandem"
[TServer]
sip-address = "HOST"
sip-port = 5070
authenticate-requests = []
[sip-tls]
certificate = "FOLDER/site.pem"
key = "FOLDER/site.key"
[http]
listen = "HOST:8070"
[[extension]]
numbers = "1001-1020"
password = "x"
"""


class Phone:
    def __init__(self, transport, number, ca):
        self.transport, self.number, self.buffer = transport, number, b""
        host = f"127.0.3.{int(number) % 100}"
        if transport == "UDP":
            self.wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.wire.bind((host, 5060))
            self.wire.connect((HOST, PORTS["UDP"]))
        else:
            self.wire = socket.create_connection((HOST, PORTS[transport]), source_address=(host, 0))
            self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if transport in ("TLS", "WSS"):
                self.wire = ssl.create_default_context(cafile=ca).wrap_socket(self.wire, server_hostname=HOST)
            if transport in ("WS", "WSS"):
                expect(" 101 " in shake_hands(self.wire, HOST), "upgraded")
        self.host, self.port = self.wire.getsockname()[:2]
        token = {"UDP": "udp", "TCP": "tcp", "TLS": "tls"}.get(transport, "ws")
        self.contact = f"<sip:{number}@{self.host}:{self.port};transport={token}>"

    def put(self, text):
        data = text.encode()
        if self.transport in ("WS", "WSS"):
            size = bytes([128 | len(data)]) if len(data) < 126 else bytes([254]) + struct.pack("!H", len(data))
            data = bytes([129]) + size + bytes(4) + data
        self.wire.sendall(data)

    def get(self):
        """The next message: its start line, and its headers."""
        while True:
            whole = self.cut()
            if whole:
                head = whole.decode().split("\r\n\r\n")[0].split("\r\n")
                return head[0], head[1:]
            more = self.wire.recv(65536)
            expect(more, f"{self.transport}: the connection stays")
            self.buffer += more

    def cut(self):
        buffer = self.buffer
        if self.transport == "UDP":
            self.buffer = b""
            return buffer
        if self.transport in ("WS", "WSS"):
            if len(buffer) < 2 or (start := 4 if buffer[1] == 126 else 2) > len(buffer):
                return None
            end = start + (struct.unpack("!H", buffer[2:4])[0] if start == 4 else buffer[1])
            if len(buffer) < end:
                return None
            self.buffer = buffer[end:]
            if buffer[0] & 15 == 9:
                self.wire.sendall(bytes([138, 128 | end - start]) + bytes(4) + buffer[start:end])
                return self.cut()
            return buffer[start:end]
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = next(int(line.split(b":")[1]) for line in buffer[:end].split(b"\r\n") if line.lower().startswith(b"content-length"))
        if len(buffer) < end + 4 + length:
            return None
        self.buffer = buffer[end + 4 + length:]
        return buffer[:end + 4 + length]

    def until(self, what):
        while True:
            start, head = self.get()
            if start.startswith(what):
                return head

    def request(self, method, target, call, cseq, to, extra=(), body=""):
        self.put("\r\n".join([
            f"{method} {target} SIP/2.0", f"Via: SIP/2.0/{self.transport} {self.host}:{self.port};rport;branch=z9hG4bK{call}{method}{cseq}",
            "Max-Forwards: 70", f"From: <sip:{self.number}@{HOST}>;tag=f{call}", f"To: {to}", f"Call-ID: {call}@{self.number}",
            f"CSeq: {cseq} {method}", f"Contact: {self.contact}", *extra, f"Content-Length: {len(body)}", "", body]))

    def respond(self, head, status, extra=(), body=""):
        keep = [line for line in head if line.split(":")[0].lower() in ("via", "from", "call-id", "cseq", "record-route")]
        to = next(line for line in head if line.lower().startswith("to:"))
        tag = "" if ";tag=" in to else ";tag=c"
        self.put("\r\n".join([f"SIP/2.0 {status}", *keep, to + tag, f"Contact: {self.contact}", *extra, f"Content-Length: {len(body)}",
                              "", body]))


SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
KIND = ("Content-Type: application/sdp",)


def header(head, name):
    return next(line.split(":", 1)[1].strip() for line in head if line.lower().startswith(name + ":"))


def call(caller, callee, number):
    target = f"sip:{callee.number}@{HOST}:{PORTS[caller.transport]}"
    to = f"<sip:{callee.number}@{HOST}>"
    caller.request("INVITE", target, number, 1, to, KIND, SDP)
    offered = callee.until("INVITE")
    callee.respond(offered, "180 Ringing")
    callee.respond(offered, "200 OK", KIND, SDP)
    ok = caller.until("SIP/2.0 200")
    to, target = header(ok, "to"), header(ok, "contact").strip("<>")
    caller.request("ACK", target, number, 1, to)
    callee.until("ACK")
    caller.request("BYE", target, number, 2, to)
    callee.respond(callee.until("BYE"), "200 OK")
    caller.until("SIP/2.0 200")


def cpu_s(site):
    """What its threads have run, as the scheduler counts it: ticks of the clock are too coarse for a call."""
    total = 0
    for task in os.listdir(f"/proc/{site.process.pid}/task"):
        with open(f"/proc/{site.process.pid}/task/{task}/schedstat") as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def bench(bed: Bed):
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    authority(bed.folder, "ca")
    certificate(bed.folder, "site", HOST)
    path = os.path.join(bed.folder, "bench.toml")
    with open(path, "w") as file:
        file.write(CONFIG.replace("HOST", HOST).replace("FOLDER", bed.folder))
    site = Site(bed, "bench", HOST, 5070, f"{HOST}:8070", ["--config", path, "--log", "warn"])
    site.start()
    pairs = {}
    for place, transport in enumerate(PORTS):
        pair = [Phone(transport, str(1001 + 2 * place + side), os.path.join(bed.folder, "ca.pem")) for side in (0, 1)]
        for phone in pair:
            to = f"<sip:{phone.number}@{HOST}>"
            phone.request("REGISTER", f"sip:{HOST}", f"r{phone.number}", 1, to, ("Expires: 3600",))
            phone.until("SIP/2.0 200")
        pairs[transport] = pair
    cost = {transport: [] for transport in PORTS}
    number = 0
    for _ in range(rounds):
        for transport, (caller, callee) in pairs.items():
            before = cpu_s(site)
            for _ in range(calls):
                number += 1
                call(caller, callee, number)
            cost[transport].append((cpu_s(site) - before) / calls * 1e6)
    least = {transport: min(values) for transport, values in cost.items()}
    for transport, values in cost.items():
        listed = ", ".join(f"{value:.0f}" for value in values)
        print(f"    {transport:4} CPU-us a call: {listed}; least {least[transport]:.0f}, {least[transport] / least['UDP']:.2f} times UDP",
              flush=True)
    for transport in ("TLS", "WS", "WSS"):
        expect(least[transport] <= GOAL * least["UDP"], f"{transport} costs at most {GOAL} times UDP")
    site.stop()


if __name__ == "__main__":
    main("transports", bench)
