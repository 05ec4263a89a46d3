#!/usr/bin/env python3
"""How long a server that is killed takes to be there again, with all it had: from the start of its process to the first answered OPTIONS.

restart.py [REGISTRATIONS, default 100000] [ESTABLISHED CALLS, default 5000] [TIMES, default 5]

Everybody registers, and some call each other; then the server is killed (SIGKILL) and started again, TIMES times. TANDEM names the
binary, as in the end-to-end tests.
"""

import os
import re
import select
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from bed import Bed, Site, expect, main, until  # noqa: E402

HOST, PHONES, PORT = "127.0.0.96", "127.0.3.96", 5060
FIRST = 1_000_000
WINDOW = 48
CONFIG = f"""
[application]
name = "bench"
switch = "bench"
listen = ["udp:{HOST}:5060"]
realm = "tandem"
[TServer]
sip-address = "{HOST}"
sip-port = 5060
authenticate-requests = []
register-rate = 100000
[http]
listen = "{HOST}:8070"
[[extension]]
numbers = "{FIRST}-{FIRST + 199_999}"
"""
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"


class Phones:
    """All phones, behind one address."""

    def __init__(self):
        self.wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.wire.bind((PHONES, PORT))
        self.serial = time.time_ns()

    def put(self, method, number, call, cseq, to, target, extra="", body=""):
        self.serial += 1
        self.wire.sendto(
            f"{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {PHONES}:{PORT};branch=z9hG4bK{self.serial}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:{number}@{HOST}>;tag=f{call}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\n"
            f"Contact: <sip:{number}@{PHONES}:{PORT}>\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}".encode(), (HOST, 5060))

    def get(self, seconds):
        """The next message, or None: its start line, and its headers."""
        if not select.select([self.wire], [], [], seconds)[0]:
            return None, {}
        head = self.wire.recv(65536).decode().split("\r\n\r\n")[0].split("\r\n")
        headers = {}
        for line in head[1:]:
            name, value = line.split(":", 1)
            headers.setdefault(name.lower(), value.strip())
        headers["lines"] = head[1:]
        return head[0], headers

    def accept(self, headers):
        keep = [line for line in headers["lines"] if line.split(":")[0].lower() in ("via", "from", "call-id", "cseq", "record-route")]
        number = re.search(r"<sip:(\d+)@", headers["to"]).group(1)
        text = "\r\n".join(["SIP/2.0 200 OK", *keep, f"To: {headers['to']};tag=c", f"Contact: <sip:{number}@{PHONES}:{PORT}>",
                            "Content-Type: application/sdp", f"Content-Length: {len(SDP)}", "", SDP])
        self.wire.sendto(text.encode(), (HOST, 5060))

    def register(self, count):
        waiting, sent = set(), 0
        while sent < count or waiting:
            while sent < count and len(waiting) < WINDOW:
                number, call = FIRST + sent, f"r{sent}"
                self.put("REGISTER", number, call, 1, f"<sip:{number}@{HOST}>", f"sip:{HOST}", "Expires: 36000\r\n")
                waiting.add(call)
                sent += 1
            start, headers = self.get(5)
            expect(start, f"{sent} registrations were sent, {len(waiting)} are not answered")
            if "REGISTER" in headers["cseq"]:
                expect(start.startswith("SIP/2.0 200"), start)
                waiting.discard(headers["call-id"])

    def call(self, count):
        waiting, sent = set(), 0
        while sent < count or waiting:
            while sent < count and len(waiting) < WINDOW // 4:
                caller, callee, call = FIRST + 2 * sent, FIRST + 2 * sent + 1, f"c{sent}"
                to = f"<sip:{callee}@{HOST}>"
                self.put("INVITE", caller, call, 1, to, f"sip:{callee}@{HOST}", "Content-Type: application/sdp\r\n", SDP)
                waiting.add(call)
                sent += 1
            start, headers = self.get(5)
            expect(start, f"{sent} calls were made, {len(waiting)} are not answered")
            if start.startswith("INVITE "):
                self.accept(headers)
            elif start.startswith("SIP/2.0 2") and "INVITE" in headers["cseq"]:
                call = headers["call-id"]
                caller = FIRST + 2 * int(call[1:])
                self.put("ACK", caller, call, 1, headers["to"], headers["contact"].strip("<>"))
                waiting.discard(call)
            elif start.startswith("SIP/2.0 ") and "INVITE" in headers["cseq"]:
                expect(start.startswith("SIP/2.0 1"), start)

    def first_answer(self, patience):
        """Seconds until an OPTIONS is answered, asked every 5 ms."""
        begin, mark = time.monotonic(), f"o{self.serial}"
        while time.monotonic() - begin < patience:
            call = f"{mark}-{self.serial}"
            self.put("OPTIONS", FIRST, call, 1, f"<sip:{HOST}>", f"sip:{HOST}")
            try:
                start, headers = self.get(0.005)
                while start and not headers["call-id"].startswith(mark):
                    start, headers = self.get(0.005)
            except ConnectionError:
                start = None
                time.sleep(0.005)
            if start:
                return time.monotonic() - begin
        return None


def bench(bed: Bed):
    registrations, calls, times = [int(word) for word in sys.argv[1:4] + ["100000", "5000", "5"][len(sys.argv) - 1:]]
    path = os.path.join(bed.folder, "bench.toml")
    with open(path, "w") as file:
        file.write(CONFIG)
    site = Site(bed, "bench", HOST, 5060, f"{HOST}:8070", ["--config", path, "--log", "info"])
    site.start()
    phones = Phones()
    begin = time.monotonic()
    phones.register(registrations)
    phones.call(calls)
    print(f"    {registrations} registrations and {calls} calls in {time.monotonic() - begin:.0f} s; {site.resident_kb() / 1024:.0f} MiB",
          flush=True)
    took = []
    for _ in range(times):
        site.kill()
        site.process = bed.run(site.name, [os.environ["TANDEM"], "serve", *site.serve], cwd=bed.folder, env=bed.environment())
        took.append(phones.first_answer(60))
        expect(took[-1], "the server is there again")
        status, _ = until(10, "its administration interface answers", site.is_up)
        expect((status["bindings"], status["calls"]) == (registrations, calls), f"everything is there again, but {status}")
    listed = ", ".join(f"{1000 * one:.0f}" for one in took)
    print(f"    ms from the start of the process to the first answered OPTIONS: {listed}; then {site.resident_kb() / 1024:.0f} MiB")
    print("    " + "    ".join(line for line in bed.tail(site.name, 8).splitlines(True) if "journal read" in line or "serves" in line))
    site.stop()


if __name__ == "__main__":
    main("restart", bench)
