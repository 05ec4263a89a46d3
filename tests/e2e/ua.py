"""A SIP user agent of a few lines, for what a SIPp scenario cannot do: a phone, gateway or mixer that does one thing at a
time as a test tells it to, and shows what it has received. UDP only; it repeats nothing, but answers what is repeated.
"""

import hashlib
import random
import re
import socket
import threading
import time

from bed import Failed, expect

PATIENCE_S = 5


class Message:
    """One SIP message, taken apart."""

    def __init__(self, text):
        head, _, self.body = text.partition("\r\n\r\n")
        self.start, *lines = head.split("\r\n")
        self.headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        first = self.start.split(" ", 2)
        self.status = int(first[1]) if first[0] == "SIP/2.0" else None
        self.uri = None if self.status else first[1]
        number, self.method = self.header("cseq").split()
        self.cseq = int(number)

    def header(self, name):
        return next((value for known, value in self.headers if known == name), "")

    def all(self, name):
        return [value for known, value in self.headers if known == name]

    def name(self):
        return f"{self.status} {self.method}" if self.status else self.method

    def media(self):
        """(address, port, direction) of the description, or None."""
        port = re.search(r"^m=audio (\d+)", self.body, re.M)
        if not port:
            return None
        address = re.search(r"^c=IN IP4 (\S+)", self.body, re.M)
        direction = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", self.body, re.M)
        return address and address.group(1), int(port.group(1)), direction.group(1) if direction else "sendrecv"


def tag_of(value):
    found = re.search(r";tag=([^;>\s]+)", value)
    return found and found.group(1)


def uri_of(value):
    found = re.search(r"<([^>]*)>", value)
    return found.group(1) if found else value.split(";")[0]


class Line:
    """One dialog of an Agent, or one that is about to be."""

    def __init__(self, ua, call_id, invite=None):
        self.ua, self.call_id, self.invite = ua, call_id, invite
        self.port = ua.next_port()
        self.tag = f"{random.getrandbits(48):x}"
        self.cseq, self.version = 0, 0
        self.inbox = []
        self.remote = self.local = self.target = None
        self.route, self.answered, self.over, self.told, self.silent = [], False, False, None, False
        if invite:
            self.local = f"{invite.header('to')};tag={self.tag}"
            self.remote = invite.header("from")
            self.target = uri_of(invite.header("contact"))
            self.route = invite.all("record-route")
            self.told = invite.media()

    # What it has received.

    def got(self, name):
        """Messages of that name ("INVITE", "200 INVITE") so far, in order."""
        return [message for message in self.inbox if message.name() == name]

    def hears(self, name, count=1, seconds=PATIENCE_S):
        """Waits for the `count`th message of that name."""
        return self.ua.wait(f"{self} hears {name} ({count})", seconds,
                            lambda: self.got(name)[count - 1] if len(self.got(name)) >= count else None)

    def has_media(self, address, port=None, direction="sendrecv"):
        """It was last told to send there."""
        fits = lambda: self.told and (direction == "inactive" or self.told[0] == address) and self.told[2] == direction \
            and (port is None or self.told[1] == port)
        self.ua.wait(f"{self} has media {direction} with {address}:{port}", 3, fits, lambda: f"; it has {self.told}")

    def ends(self, seconds=PATIENCE_S):
        self.ua.wait(f"{self} is over", seconds, lambda: self.over)

    def __str__(self):
        return f"{self.ua.name}, call {self.call_id}"

    # What it does.

    def describe(self):
        self.version += 1
        return (f"v=0\r\no=ua {self.port} {self.version} IN IP4 {self.ua.host}\r\ns=-\r\nc=IN IP4 {self.ua.host}\r\nt=0 0\r\n"
                f"m=audio {self.port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n")

    def mirrored(self):
        """The direction of an answer to what it was told last (RFC 3264 6.1); browsers insist on it."""
        ways = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
        way = ways.get(self.told[2]) if self.ua.mirrors and self.told else None
        return f"a={way}\r\n" if way else ""

    def respond(self, request, status, reason, body="", extra=()):
        lines = [f"SIP/2.0 {status} {reason}", *(f"Via: {via}" for via in request.all("via")), f"From: {request.header('from')}"]
        to = request.header("to")
        lines += [f"To: {to if tag_of(to) or status == 100 else f'{to};tag={self.tag}'}", f"Call-ID: {self.call_id}",
                  f"CSeq: {request.header('cseq')}", *(f"Record-Route: {route}" for route in request.all("record-route"))]
        if request.method == "INVITE":
            lines.append(f"Contact: <sip:ua@{self.ua.host}:{self.ua.port}>")
        self.ua.send(self.ua.source(request), [*lines, *extra], body)
        self.ua.answers[(self.call_id, request.header("cseq"), branch(request))] = ([*lines, *extra], body)

    def ring(self):
        self.respond(self.invite, 180, "Ringing")

    def answer(self):
        self.answered = True
        self.respond(self.invite, 200, "OK", self.describe())

    def refuse(self, status, reason="No"):
        self.over = True
        self.respond(self.invite, status, reason)

    def request(self, method, body="", extra=(), cseq=None, via=None):
        """A request within the dialog."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        lines = [f"{method} {self.target} SIP/2.0", f"Via: SIP/2.0/{self.ua.transport} {self.ua.host}:{self.ua.port};branch={via or fresh()}",
                 f"From: {self.local}", f"To: {self.remote}", f"Call-ID: {self.call_id}", f"CSeq: {cseq} {method}",
                 "Max-Forwards: 70", f"Contact: <sip:ua@{self.ua.host}:{self.ua.port}>",
                 *(f"Route: {route}" for route in self.route), *extra]
        self.ua.send(self.ua.server, lines, body)

    def bye(self):
        """Hangs up, once it has been answered."""
        self.ua.wait(f"{self} talks", PATIENCE_S, lambda: self.answered)
        self.request("BYE")

    def cancel(self):
        """Takes its own first INVITE back."""
        lines = [line for line in self.sent if not line.startswith(("Contact", "Content", "CSeq", "INVITE", "User-to-User"))]
        self.ua.send(self.ua.server, [self.sent[0].replace("INVITE", "CANCEL", 1), *lines, f"CSeq: {self.first} CANCEL"], "")

    # What becomes of what it receives. Runs on the agent's thread.

    def receive(self, message):
        if message.status is None:
            self.requested(message)
        elif message.method == "INVITE" and message.status >= 200:
            self.final(message)
        elif message.method == "BYE":
            self.over = True

    def final(self, message):
        if message.status >= 300:
            via = branch(message)
            first = self.target if self.answered else self.sent[0].split(" ")[1]
            lines = [f"ACK {first} SIP/2.0", f"Via: SIP/2.0/{self.ua.transport} {self.ua.host}:{self.ua.port};branch={via}",
                     f"From: {message.header('from')}", f"To: {message.header('to')}", f"Call-ID: {self.call_id}",
                     f"CSeq: {message.cseq} ACK", "Max-Forwards: 70"]
            self.over = not self.answered
            return self.ua.send(self.ua.server, lines, "")
        self.answered = True
        self.remote, self.target = message.header("to"), uri_of(message.header("contact"))
        self.route = list(reversed(message.all("record-route")))
        self.told = message.media() or self.told
        self.request("ACK", cseq=message.cseq)

    def requested(self, message):
        if message.method == "ACK":
            self.told = message.media() or self.told
        elif message.method == "BYE":
            self.over = True
            self.respond(message, 200, "OK")
            for open_invite in self.got("INVITE") if self.silent else ():
                if open_invite is not self.invite:
                    self.respond(open_invite, 487, "Request Terminated")
        elif message.method == "CANCEL":
            self.respond(message, 200, "OK")
            if not self.answered:
                self.over = True
                self.respond(self.invite, 487, "Request Terminated")
        elif message.method == "INVITE" and message is not self.invite:
            self.told = message.media() or self.told
            if not self.silent:
                self.respond(message, 200, "OK", self.describe() + self.mirrored())
        elif message.method == "NOTIFY":
            self.respond(message, 200, "OK")
            if message.header("event") == "talk" and not self.answered:
                self.answer()
            elif message.header("event") in ("talk", "hold"):
                direction = "sendonly" if message.header("event") == "hold" else "sendrecv"
                self.request("INVITE", f"{self.describe()}a={direction}\r\n")
        elif message.method != "INVITE":
            self.respond(message, 200, "OK")


def branch(message):
    found = re.search(r";branch=([^;,\s]+)", message.header("via"))
    return found and found.group(1)


def fresh():
    return f"z9hG4bK{random.getrandbits(64):x}"


class Agent:
    """A SIP user agent on host:port, over UDP. `manner`: what it does when it is called: "answer", "ring" (and answer when told to),
    "silent" (the test does everything), or a final status."""

    def __init__(self, bed, name, host, site, port=5060, manner="ring"):
        self.bed, self.name, self.host, self.port, self.manner = bed, name, host, port, manner
        self.server = (site.host, site.port)
        self.changed = threading.Condition()
        self.lines, self.answers, self.ports = [], {}, 20000
        self.others = []
        self.broken = None
        self.open()
        bed.closers.append(self.close)
        threading.Thread(target=self.listen, daemon=True).start()

    transport = "UDP"
    # Whether it answers an offer of one direction as it should.
    mirrors = False

    def open(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.host, self.port))

    def next_port(self):
        self.ports += 2
        return self.ports

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def send(self, to, lines, body):
        kind = ["Content-Type: application/sdp"] if body.startswith("v=0") else []
        text = "\r\n".join([*lines, *kind, f"Content-Length: {len(body)}", "", body])
        self.note(">", to, text)
        self.put(text.encode(), to)

    def put(self, data, to):
        self.socket.sendto(data, to)

    def note(self, arrow, address, text):
        with open(f"{self.bed.folder}/{self.name}.sip", "a") as log:
            log.write(f"--- {time.time():.3f} {arrow} {address[0]}:{address[1]}\n{text}\n")

    @staticmethod
    def source(request):
        sent_by = re.match(r"SIP/2\.0/\w+ ([^;:\s]+)(?::(\d+))?", request.header("via"))
        return sent_by.group(1), int(sent_by.group(2) or 5060)

    def listen(self):
        while True:
            try:
                data, address = self.socket.recvfrom(65535)
            except OSError:
                return
            if not data:
                return
            self.take(data.decode(errors="replace"), address)

    def take(self, text, address):
        self.note("<", address, text)
        with self.changed:
            try:
                self.receive(Message(text))
            except Exception as error:  # the test, not this thread, is to fail
                self.broken = f"{self.name} cannot take {text.splitlines()[:1]}: {error!r}"
            self.changed.notify_all()

    def receive(self, message):
        if message.status is None and message.method != "ACK":
            old = self.answers.get((message.header("call-id"), message.header("cseq"), branch(message)))
            if old:
                return self.send(self.source(message), *old)
        line = next((line for line in self.lines if line.call_id == message.header("call-id")), None)
        if line:
            if message.method == "INVITE" and message.status is None and message.cseq in {m.cseq for m in line.got("INVITE")}:
                return None
            line.inbox.append(message)
            return line.receive(message)
        if message.method == "INVITE" and message.status is None:
            return self.called(message)
        self.others.append(message)
        if message.status is None and message.method != "ACK":
            line = Line(self, message.header("call-id"))
            status = (200, "OK") if message.method == "OPTIONS" else (481, "No Such Call")
            line.respond(message, *status)
        return None

    def called(self, invite):
        line = Line(self, invite.header("call-id"), invite)
        line.inbox.append(invite)
        self.lines.append(line)
        told = "autoanswer" in invite.header("alert-info")
        if self.manner == "silent":
            return
        if isinstance(self.manner, int):
            return line.refuse(self.manner)
        if self.manner == "answer" or told:
            return line.answer()
        line.ring()

    def wait(self, what, seconds, probe, seen=lambda: ""):
        """Waits until `probe` is true, and returns what it returned."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                found = probe()
                expect(not self.broken, self.broken)
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    if not probe():
                        raise Failed(f"not within {seconds} s: {what}{seen()}")

    def line(self, count=1, seconds=PATIENCE_S):
        """The `count`th call that it got."""
        mine = lambda: [line for line in self.lines if line.invite]
        return self.wait(f"{self.name} is called ({count})", seconds, lambda: mine()[count - 1] if len(mine()) >= count else None)

    def fresh_line(self, seconds=PATIENCE_S):
        """The next call that it gets, which no test has asked for yet."""
        self.taken = getattr(self, "taken", 0) + 1
        return self.line(self.taken, seconds)

    def call(self, number, caller="0301234", extra=()):
        """Calls a number."""
        line = Line(self, f"{random.getrandbits(48):x}@{self.host}")
        line.local = f"<sip:{caller}@{self.host}>;tag={line.tag}"
        line.remote, line.target = f"<sip:{number}@{self.server[0]}>", f"sip:{number}@{self.server[0]}:{self.server[1]}"
        line.cseq = line.first = 1
        line.sent = [f"INVITE {line.target} SIP/2.0", f"Via: SIP/2.0/{self.transport} {self.host}:{self.port};branch={fresh()}",
                     f"From: {line.local}", f"To: {line.remote}", f"Call-ID: {line.call_id}", "CSeq: 1 INVITE",
                     "Max-Forwards: 70", f"Contact: <sip:ua@{self.host}:{self.port}>", *extra]
        with self.changed:
            self.lines.append(line)
            self.send(self.server, line.sent, line.describe())
        return line

    def contact(self, number):
        """What it registers."""
        return f"<sip:{number}@{self.host}:{self.port}>"

    def register(self, number, expires=300):
        """Registers by digest (MD5); 0 ends it."""
        call_id = f"{random.getrandbits(48):x}@{self.host}"

        def ask(cseq, extra=()):
            uri = f"sip:{self.server[0]}:{self.server[1]}"
            self.send(self.server, [f"REGISTER {uri} SIP/2.0", f"Via: SIP/2.0/{self.transport} {self.host}:{self.port};branch={fresh()}",
                                    f"From: <sip:{number}@{self.server[0]}>;tag={call_id[:8]}", f"To: <sip:{number}@{self.server[0]}>",
                                    f"Call-ID: {call_id}", f"CSeq: {cseq} REGISTER", "Max-Forwards: 70",
                                    f"Contact: {self.contact(number)}", f"Expires: {expires}", *extra], "")
            return self.wait(f"{number} hears of its REGISTER", PATIENCE_S, lambda: next(
                (m for m in self.others if m.header("call-id") == call_id and m.cseq == cseq), None)), uri

        challenge, uri = ask(1)
        expect(challenge.status == 401, f"REGISTER is challenged, but {challenge.start}")
        field = lambda name: re.search(rf'{name}="([^"]*)"', challenge.header("www-authenticate")).group(1)
        md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
        realm, nonce = field("realm"), field("nonce")
        response = md5(f"{md5(f'{number}:{realm}:secret-{number}')}:{nonce}:00000001:abc:auth:{md5(f'REGISTER:{uri}')}")
        answer, _ = ask(2, [f'Authorization: Digest username="{number}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
                            f'response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="abc"'])
        expect(answer.status == 200, f"{number} registers, but {answer.start}")
        return self
