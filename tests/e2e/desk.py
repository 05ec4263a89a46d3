"""Desktops for the floor: `tandem cti` on a pipe, a bare WebSocket for what no desktop would send, and the record of
what was said, for docs/cti.md.
"""

import base64
import json
import os
import queue
import re
import socket
import struct
import subprocess
import threading

from bed import HERE, expect, tandem, Failed

PATIENCE_S = 5
PAGE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "docs", "cti.md")


class Desktop:
    """One person at one `tandem cti`. Events are heard in the order in which they were told, none left out."""

    def __init__(self, bed, site, user, session=None, after=None, tape=None):
        self.user, self.tape, self.reference, self.last = user, tape, 0, 0
        command = [tandem(), "cti", "--user", user, *site.cti_options, "--wait", "0"]
        opening = {"request": "TOpenServer", "ReferenceID": 0, "UserName": user, "Password": f"secret-{user}",
                   "ApplicationName": "tandem cti"}
        if session:
            command += ["--session", session, "--after", str(after)]
            opening.update(Session=session, After=after)
        with open(os.path.join(bed.folder, f"desktop-{user}.log"), "a") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                            env={**os.environ, "TANDEM_CTI_PASSWORD": f"secret-{user}"})
        bed.processes.append(self.process)
        self.events = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()
        self.note(">", opening)
        self.link = self.hear("EventLinkConnected", Resumed="Continued" if session else "New")
        self.session = self.link["Session"]
        self.last = self.link["EventSequenceNumber"]

    def listen(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def note(self, arrow, message):
        if self.tape is not None:
            self.tape.append((self.user, arrow, message))

    def send(self, request, **attributes):
        self.reference += 1
        message = {"request": request, "ReferenceID": self.reference, **attributes}
        self.note(">", message)
        self.process.stdin.write(compact(message) + "\n")
        self.process.stdin.flush()
        return self.reference

    def ask(self, request, event, told=None, **attributes):
        """Sends the request; the next event must be its answer, with what `told` has."""
        return self.hear(event, ReferenceID=self.send(request, **attributes), **(told or {}))

    def ask_in_steps(self, request, first, answer, **attributes):
        """Sends a request of two steps, each with a name and what it has: the event of the first, then that of the second,
        which answers."""
        reference = self.send(request, **attributes)
        self.hear(first[0], **first[1])
        return self.hear(answer[0], ReferenceID=reference, **answer[1])

    def consult(self, request, dn, call, other, **attributes):
        """Holds the call and calls somebody about it; gives the ConnID of that call."""
        dialing = {"CallType": "Consult", "OtherDN": other, "PreviousConnID": call}
        steps = ("EventHeld", {"ConnID": call}), ("EventDialing", dialing)
        return self.ask_in_steps(request, *steps, ThisDN=dn, ConnID=call, OtherDN=other, **attributes)["ConnID"]

    def next(self, what="event", seconds=PATIENCE_S):
        """The next event, whichever it is, numbered one higher than the last."""
        try:
            event = self.events.get(timeout=seconds)
        except queue.Empty:
            raise Failed(f"{self.user} hears no {what} within {seconds} s")
        self.note("<", event)
        if event["event"] != "EventLinkConnected":
            number = event["EventSequenceNumber"]
            expect(number == self.last + 1, f"event {self.last + 1} of {self.user}, but {number} came: {event}")
            self.last = number
        return event

    def hear(self, name, seconds=PATIENCE_S, **attributes):
        """The next event, which must be this one."""
        event = self.next(name, seconds)
        wrong = [key for key, value in attributes.items() if event.get(key) != value]
        expect(event["event"] == name and not wrong, f"{self.user} hears {name} {attributes}, but heard {event}")
        return event

    def hear_until(self, name, **attributes):
        """All events up to this one."""
        events = [self.next(name)]
        while events[-1]["event"] != name or any(events[-1].get(key) != value for key, value in attributes.items()):
            events.append(self.next(name))
        return events

    def silent(self):
        """Nothing more has been told."""
        expect(self.events.empty(), f"{self.user} has heard everything, but there is {list(self.events.queue)}")

    def log_in(self, dn, agent_id, mode="ManualIn", queue=None):
        self.ask("TRegisterAddress", "EventRegistered", ThisDN=dn)
        self.ask("TAgentLogin", "EventAgentLogin", ThisDN=dn, AgentID=agent_id, WorkMode=mode,
                 **({"ThisQueue": queue} if queue else {}))
        self.hear("EventAgentReady" if mode == "AutoIn" else "EventAgentNotReady", ThisDN=dn)

    def leave(self, dn):
        """The agent logs out and goes; nothing else has been told."""
        self.ask("TAgentLogout", "EventAgentLogout", ThisDN=dn)
        self.silent()
        self.close()

    def kill(self):
        """The desktop is lost: no word of farewell."""
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE_S)


class Wire:
    """A WebSocket without a library: sends any frame, reads frames and the close code."""

    TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9

    def __init__(self, site, port=8071, path="/cti"):
        self.socket = socket.create_connection((site.host, port), timeout=PATIENCE_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {site.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.buffer = self.socket.makefile("rb")
        expect(b" 101 " in self.buffer.readline(), "the server upgrades to a WebSocket")
        while self.buffer.readline().strip():
            pass

    def send(self, kind, payload):
        length = len(payload)
        size = bytes([128 | length]) if length < 126 else bytes([254]) + struct.pack("!H", length) if length < 65536 \
            else bytes([255]) + struct.pack("!Q", length)
        # A mask of zeros leaves the payload as it is.
        self.socket.sendall(bytes([128 | kind]) + size + bytes(4) + payload)

    def open(self, user):
        self.send(self.TEXT, json.dumps({"request": "TOpenServer", "UserName": user, "Password": f"secret-{user}"}).encode())
        expect(self.read().get("event") == "EventLinkConnected", "the session opens")

    def read(self):
        """The next event, or the close code."""
        while True:
            kind, length = self.buffer.read(2)
            length &= 127
            if length > 125:
                length = int.from_bytes(self.buffer.read(2 if length == 126 else 8), "big")
            payload = self.buffer.read(length)
            if kind & 15 == self.CLOSE:
                return int.from_bytes(payload[:2], "big")
            if kind & 15 == self.TEXT:
                return json.loads(payload)


def masked(message):
    """Without what is secret."""
    message = dict(message)
    if "Session" in message:
        message["Session"] = "…"
    if "Password" in message:
        message["Password"] = "…"
    return message


def compact(message):
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def shape(lines):
    """Who sent and heard which requests and events, in order, for each desktop."""
    shapes = {}
    for user, arrow, name in lines:
        shapes.setdefault(user, []).append(f"{arrow} {name}")
    return shapes


def name_of(message):
    """The request or event with its attributes, without their values."""
    return " ".join([message.get("request") or message.get("event"), *sorted(message)])


class Tapes:
    """The exchanges that docs/cti.md shows."""

    MARK = r"<!-- recorded: {} -->\n(?:```text\n(.*?)```\n<!-- end of the record -->\n)?"

    def __init__(self):
        self.tapes = {}

    def new(self, name):
        return self.tapes.setdefault(name, [])

    def record(self):
        """Writes them into the page."""
        with open(PAGE) as file:
            page = file.read()
        for name, tape in self.tapes.items():
            text = "".join(f"{user} {arrow} {compact(masked(message))}\n" for user, arrow, message in tape)
            block = f"<!-- recorded: {name} -->\n```text\n{text}```\n<!-- end of the record -->\n"
            page, count = re.subn(self.MARK.format(name), lambda _: block, page, flags=re.S)
            expect(count == 1, f"docs/cti.md has one place for the record {name}")
        with open(PAGE, "w") as file:
            file.write(page)

    def compare(self):
        """What the page shows must be what has just happened."""
        with open(PAGE) as file:
            page = file.read()
        shown = set(re.findall(r"<!-- recorded: ([a-z-]+) -->", page))
        expect(shown == set(self.tapes), f"docs/cti.md shows the records {sorted(self.tapes)}, but has places for {sorted(shown)}")
        for name, tape in self.tapes.items():
            text = re.search(self.MARK.format(name), page, flags=re.S).group(1) or ""
            lines = [line.split(" ", 2) for line in text.splitlines()]
            page_shape = shape((user, arrow, name_of(json.loads(message))) for user, arrow, message in lines)
            run_shape = shape((user, arrow, name_of(message)) for user, arrow, message in tape)
            expect(page_shape == run_shape, f"docs/cti.md shows {name} as it happens (floor.py --record writes it):\n"
                   f"    page {page_shape}\n    run  {run_shape}")
