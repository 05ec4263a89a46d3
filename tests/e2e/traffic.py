"""Customers and phones of a whole site in one process each, lean enough for thousands of calls at a time: what SIPp would do, but every
call can be asked for afterwards, and hung up from either end.

Both repeat what is not answered as RFC 3261 says (T1 0.5 s, T2 4 s). Times are CLOCK_MONOTONIC, which all processes share.
"""

import collections
import hashlib
import heapq
import multiprocessing
import os
import random
import re
import select
import socket
import time
import traceback

# Linux, <asm-generic/socket.h>; Python has no name for it.
SO_RCVBUFFORCE = 33
T1, T2, GIVE_UP = 0.5, 4.0, 32.0
# A caller who hears nothing for so long hangs up and has lost his attempt.
PATIENCE = 10.0
RING, SHORT = 0.1, 2.0
CALL_ID = re.compile(rb"\r\nCall-ID: *([^\r]+)", re.I)
CSEQ = re.compile(rb"\r\nCSeq: *(\d+) +(\w+)", re.I)
COPIED = re.compile(rb"\r\n((?:Via|Record-Route): [^\r]+)", re.I)
TO, FROM, CONTACT = (re.compile(rb"\r\n" + name + rb": *([^\r]+)", re.I) for name in (b"To", b"From", b"Contact"))
ROUTE = re.compile(rb"\r\nRecord-Route: *([^\r]+)", re.I)
URI = re.compile(rb"<([^>]+)>")
SDP = b"v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"


def branch():
    return b"z9hG4bK%x" % random.getrandbits(64)


class Repeat:
    """A message that is sent again until it is answered."""

    __slots__ = ("data", "every", "end", "call", "what")

    def __init__(self, data, end, call, what):
        self.data, self.every, self.end, self.call, self.what = data, T1, end, call, what


class Party:
    """One socket, timers, and the calls on it; told what to do through a pipe."""

    def __init__(self, host, site, pipe):
        self.host, self.site, self.pipe = host.encode(), site, pipe
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self.socket.bind((host, 5060))
        self.socket.setblocking(False)
        self.timers, self.count = [], 0
        self.calls = {}
        self.poll, self.watched = select.poll(), {}
        self.sdp = SDP % (self.host, self.host)

    def after(self, seconds, act, *words):
        self.count += 1
        heapq.heappush(self.timers, (time.monotonic() + seconds, self.count, act, words))

    def put(self, data):
        try:
            self.socket.sendto(data, self.site)
        except OSError:
            # Nobody has the address at this moment: lost, as on any cable.
            pass

    def repeated(self, repeat):
        """Sends it until its call says that it need not be, or its time is over."""
        if repeat.call.pending is not repeat:
            return
        if time.monotonic() > repeat.end:
            repeat.call.pending = None
            self.unanswered(repeat)
            return
        self.put(repeat.data)
        self.after(repeat.every, self.repeated, repeat)
        repeat.every = min(repeat.every * 2, T2)

    def send(self, call, data, what, seconds=GIVE_UP):
        call.pending = Repeat(data, time.monotonic() + seconds, call, what)
        self.repeated(call.pending)

    def request(self, call, method, cseq, body=b""):
        routes = b"".join(b"Route: %s\r\n" % route for route in call.routes)
        kind = b"Content-Type: application/sdp\r\n" if body else b""
        return (b"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:5060;branch=%s\r\n%sFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n"
                b"Contact: <sip:x@%s:5060>\r\nMax-Forwards: 70\r\n%sContent-Length: %d\r\n\r\n%s"
                % (method, call.target, self.host, branch(), routes, call.local, call.remote, call.id, cseq, method, self.host, kind,
                   len(body), body))

    def response(self, data, status, to, body=b""):
        kind = b"Content-Type: application/sdp\r\n" if body else b""
        copied = b"".join(line + b"\r\n" for line in COPIED.findall(data.split(b"\r\n\r\n", 1)[0]))
        cseq = CSEQ.search(data)
        return (b"SIP/2.0 %s\r\n%sFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s %s\r\nContact: <sip:x@%s:5060>\r\n%sContent-Length: %d\r\n\r\n%s"
                % (status, copied, FROM.search(data)[1], to, CALL_ID.search(data)[1], cseq[1], cseq[2], self.host, kind, len(body), body))

    def run(self):
        self.poll.register(self.socket, select.POLLIN)
        self.poll.register(self.pipe, select.POLLIN)
        while True:
            wait = self.timers[0][0] - time.monotonic() if self.timers else 1
            for handle, event in self.poll.poll(max(0, wait * 1000)):
                if handle in self.watched:
                    self.watched[handle](event)
                elif handle == self.pipe.fileno():
                    words = self.pipe.recv()
                    if words is None:
                        return
                    self.pipe.send(getattr(self, words[0])(*words[1:]))
            for _ in range(64):
                try:
                    data = self.socket.recv(65535)
                except BlockingIOError:
                    break
                self.received(data)
            now = time.monotonic()
            while self.timers and self.timers[0][0] <= now:
                _, _, act, words = heapq.heappop(self.timers)
                act(*words)

    def watch(self, connection, events, ready):
        """`ready` is called with what has happened to a connection."""
        self.poll.register(connection, events)
        self.watched[connection.fileno()] = ready

    def unwatch(self, connection):
        self.poll.unregister(connection)
        del self.watched[connection.fileno()]

    def received(self, data):
        if len(data) < 16:
            return
        key, cseq = CALL_ID.search(data), CSEQ.search(data)
        call = self.calls.get(key[1])
        if data.startswith(b"SIP/2.0 "):
            if call:
                self.answered(call, int(data[8:11]), int(cseq[1]), cseq[2], data)
        else:
            self.asked(call, data.split(b" ", 1)[0], int(cseq[1]), data)

    def hang_up(self, call):
        """Hangs up from this end."""
        call.state = "leaving"
        call.cseq += 1
        self.send(call, self.request(call, b"BYE", call.cseq), "BYE")

    def left(self, call, status):
        """A BYE is answered. 481 is the answer to a repeated one whose first was carried out by a server that died before it said so: the
        call is over at both ends (RFC 3261 15.1.1). The answer to a first one it must not be: then the call was lost."""
        if status == 200 or status == 481 and call.pending and call.pending.every > 2 * T1:
            call.state, call.ended_by, call.why = "ended", "self", None if status == 200 else "481 to a repeated BYE"
        else:
            call.state, call.why = "lost", f"BYE: {status}"
        call.pending = None

    def lost(self, call, why):
        call.state, call.why, call.pending = "lost", why, None

    def unanswered(self, repeat):
        self.lost(repeat.call, f"no answer to {repeat.what}, {repeat.call.heard} heard")

    def told_goodbye(self, call, data):
        if call and call.state in ("talking", "leaving", "ended"):
            self.put(self.response(data, b"200 OK", TO.search(data)[1]))
            call.pending = None
            if call.state == "talking":
                call.ended_by = "other"
            call.state = "ended"
        else:
            self.put(self.response(data, b"481 No Such Call", TO.search(data)[1]))

    def states(self, kind=None):
        """How many calls are in which state."""
        return dict(collections.Counter(call.state for call in self.calls.values() if kind in (None, call.kind)))

    def forget(self, *states):
        """Calls that are over, or those in these states."""
        self.calls = {key: call for key, call in self.calls.items() if call.state not in (states or ("ended", "lost"))}


class Call:
    __slots__ = ("id", "kind", "number", "state", "began", "answered", "heard", "local", "remote", "target", "routes", "cseq", "pending",
                 "ack", "ok", "why", "ended_by", "invite")

    def __init__(self, key, kind, number):
        self.id, self.kind, self.number = key, kind, number
        self.state, self.began, self.answered, self.heard = "calling", time.monotonic(), None, 0
        self.routes, self.cseq, self.pending, self.why, self.ended_by = [], 1, None, None, None


class Customers(Party):
    """They call numbers of the site: long calls that last until they are hung up, to the numbers `long`, short ones at a rate."""

    def __init__(self, host, site, pipe, numbers, long=None):
        super().__init__(host, site, pipe)
        self.numbers, self.long_numbers, self.placed, self.rate, self.generation = numbers, long or numbers, 0, 0, 0

    def place(self, kind):
        self.placed += 1
        numbers = self.long_numbers if kind == "long" else self.numbers
        number = numbers[self.placed % len(numbers)]
        call = Call(b"%x@%s" % (random.getrandbits(64), self.host), kind, number)
        call.target = b"sip:%d@%s:%d" % (number, self.site[0].encode(), self.site[1])
        # The caller's number tells the other end which call it is, and who is to hang up.
        call.local = b"<sip:%s%d@%s>;tag=%x" % (b"1" if kind == "long" else b"2", 10_000_000 + self.placed, self.host, random.getrandbits(32))
        call.remote = b"<sip:%d@%s>" % (number, self.site[0].encode())
        self.calls[call.id] = call
        call.invite = self.request(call, b"INVITE", 1, self.sdp)
        self.send(call, call.invite, "INVITE", PATIENCE)
        # A provisional answer ends the repetitions, not the patience.
        self.after(PATIENCE, self.impatient, call)

    def impatient(self, call):
        if call.state == "calling":
            self.lost(call, f"no answer, {call.heard} heard")

    def answered(self, call, status, cseq, method, data):
        if method == b"INVITE":
            call.heard = max(call.heard, status)
            if status < 200:
                if call.pending and call.pending.what == "INVITE":
                    call.pending = None
            elif status < 300:
                self.established(call, data)
            else:
                via = COPIED.search(call.invite)[1]
                self.put(b"ACK %s SIP/2.0\r\n%s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
                         % (call.target, via, call.local, TO.search(data)[1], call.id))
                if call.state == "calling":
                    self.lost(call, data.split(b"\r\n", 1)[0].decode())
        elif method == b"BYE" and status >= 200 and call.state == "leaving":
            self.left(call, status)

    def established(self, call, data):
        if call.state == "calling":
            call.remote, call.target = TO.search(data)[1], URI.search(CONTACT.search(data)[1])[1]
            call.routes = list(reversed(ROUTE.findall(data)))
            call.state, call.answered, call.pending = "talking", time.monotonic(), None
            call.ack = self.request(call, b"ACK", 1)
            if call.kind == "short":
                self.after(SHORT, self.enough, call)
        if call.answered:
            self.put(call.ack)
        else:
            # Answered after its caller had given up: acknowledged and ended, as a phone does.
            call.remote, call.target = TO.search(data)[1], URI.search(CONTACT.search(data)[1])[1]
            self.put(self.request(call, b"ACK", 1))
            self.put(self.request(call, b"BYE", 2))

    def enough(self, call):
        if call.state == "talking":
            self.hang_up(call)

    def asked(self, call, method, _cseq, data):
        if method == b"BYE":
            self.told_goodbye(call, data)
        elif method == b"INVITE":
            self.put(self.response(data, b"200 OK" if call else b"481 No Such Call", TO.search(data)[1], self.sdp if call else b""))
        elif method != b"ACK":
            self.put(self.response(data, b"200 OK", TO.search(data)[1]))

    # What they are told to do.

    def establish(self, count, rate):
        """So many long calls, so many of them a second."""
        self.generation += 1
        self.step("long", rate, time.monotonic(), 0, count, self.generation)

    def short(self, rate):
        """Short calls from now on; 0 ends it."""
        self.rate = rate
        if rate:
            self.step("short", rate, time.monotonic(), 0, None, None)

    def step(self, kind, rate, began, done, count, generation):
        if kind == "short" and rate != self.rate or kind == "long" and generation != self.generation:
            return
        due = int((time.monotonic() - began) * rate) + 1
        while done < (due if count is None else min(due, count)):
            self.place(kind)
            done += 1
        if count is None or done < count:
            self.after(0.005, self.step, kind, rate, began, done, count, generation)

    def hang_up_half(self, rate):
        """The callers of every other long call hang up; those calls are the customers' even ones."""
        calls = [call for call in self.calls.values() if call.kind == "long" and call.state == "talking" and number_of(call.local) % 2 == 0]
        for index, call in enumerate(calls):
            self.after(index / rate, self.hang_up_if, call)
        return len(calls)

    def hang_up_if(self, call):
        if call.state == "talking":
            self.hang_up(call)

    def attempts(self, since):
        """Of each short call placed since: when, when answered, what became of it and why, and its Call-ID."""
        return [(call.began, call.answered, call.state, call.why, call.id.decode(), call.heard) for call in self.calls.values()
                if call.kind == "short" and call.began >= since]

    def long(self):
        """Of each long call: its Call-ID, what became of it, why, and who hung up."""
        return [(call.id.decode(), call.state, call.why, call.ended_by) for call in self.calls.values() if call.kind == "long"]


def number_of(value):
    return int(re.search(rb"sip:(\d+)@", value)[1])


class Phones(Party):
    """They register, answer after 0.1 s, and hang up the odd long calls when they are told to."""

    def __init__(self, host, site, pipe, numbers):
        super().__init__(host, site, pipe)
        self.numbers, self.registered = numbers, set()

    def register(self, rate=200):
        for index, number in enumerate(self.numbers):
            self.after(index / rate, self.register_one, number)

    def register_one(self, number):
        call = Call(b"r%d@%s" % (number, self.host), "registration", number)
        self.calls[call.id] = call
        self.send(call, self.registration(number, 1), "REGISTER")

    def registration(self, number, cseq, credentials=b""):
        aor = b"<sip:%d@%s>" % (number, self.site[0].encode())
        return (b"REGISTER sip:%s:%d SIP/2.0\r\nVia: SIP/2.0/UDP %s:5060;branch=%s\r\nFrom: %s;tag=r\r\nTo: %s\r\nCall-ID: r%d@%s\r\n"
                b"CSeq: %d REGISTER\r\nContact: <sip:%d@%s:5060>\r\nExpires: 3600\r\n%sMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
                % (self.site[0].encode(), self.site[1], self.host, branch(), aor, aor, number, self.host, cseq, number, self.host, credentials))

    def challenged(self, call, data):
        """Digest with MD5; the password of 1001 is secret-1001."""
        realm, nonce = (re.search(name + rb'="([^"]*)"', data)[1].decode() for name in (b"realm", b"nonce"))
        uri, user = f"sip:{self.site[0]}:{self.site[1]}", str(call.number)
        md5 = lambda *parts: hashlib.md5(":".join(parts).encode()).hexdigest()
        response = md5(md5(user, realm, f"secret-{user}"), nonce, "00000001", "c", "auth", md5("REGISTER", uri))
        credentials = (f'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}", '
                       'algorithm=MD5, qop=auth, nc=00000001, cnonce="c"\r\n')
        self.send(call, self.registration(call.number, 2, credentials.encode()), "REGISTER")

    def registrations(self):
        return len(self.registered)

    def answered(self, call, status, cseq, method, data):
        if method == b"REGISTER":
            call.pending = None
            if status == 401 and cseq == 1:
                self.challenged(call, data)
            elif status == 200:
                self.registered.add(call.number)
                call.state = "ended"
            else:
                self.lost(call, data.split(b"\r\n", 1)[0].decode())
        elif method == b"BYE" and status >= 200 and call.state == "leaving":
            self.left(call, status)

    def asked(self, call, method, cseq, data):
        if method == b"INVITE":
            self.invited(call, cseq, data)
        elif method == b"ACK":
            if call and call.state == "calling":
                call.state, call.pending, call.answered = "talking", None, time.monotonic()
        elif method == b"BYE":
            self.told_goodbye(call, data)
        elif method == b"CANCEL":
            self.put(self.response(data, b"200 OK", TO.search(data)[1]))
            if call and call.state == "calling" and not call.ok:
                call.state, call.why = "ended", "cancelled"
                self.put(self.response(call.invite, b"487 Request Terminated", call.local))
        else:
            self.put(self.response(data, b"200 OK", TO.search(data)[1]))

    def invited(self, call, cseq, data):
        if call and b";tag=" in TO.search(data)[1]:
            return self.put(self.response(data, b"200 OK", TO.search(data)[1], self.sdp))
        if call:
            return None
        remote = FROM.search(data)[1]
        number = number_of(remote) if re.search(rb"sip:\d+@", remote) else 0
        call = Call(CALL_ID.search(data)[1], "long" if str(number).startswith("1") else "short", number)
        call.invite, call.remote, call.ok, call.cseq = data, remote, None, 1
        call.local = b"%s;tag=%x" % (TO.search(data)[1], random.getrandbits(32))
        call.target, call.routes = URI.search(CONTACT.search(data)[1])[1], ROUTE.findall(data)
        self.calls[call.id] = call
        self.put(self.response(data, b"180 Ringing", call.local))
        self.after(RING, self.pick_up, call)
        return None

    def pick_up(self, call):
        if call.state == "calling":
            call.ok = self.response(call.invite, b"200 OK", call.local, self.sdp)
            self.send(call, call.ok, "200")

    def hang_up_half(self, rate):
        """The odd long calls, from the phones' end."""
        calls = [call for call in self.calls.values() if call.kind == "long" and call.state == "talking" and call.number % 2 == 1]
        for index, call in enumerate(calls):
            self.after(index / rate, self.hang_up_if, call)
        return len(calls)

    def hang_up_if(self, call):
        if call.state == "talking":
            self.hang_up(call)

    def long(self):
        return [(call.number, call.state, call.why, call.ended_by) for call in self.calls.values() if call.kind == "long"]


class Probe(Party):
    """Asks the site every 10 ms whether it is there, by OPTIONS, and notes when it is answered."""

    EVERY = 0.01

    def __init__(self, host, site, pipe):
        super().__init__(host, site, pipe)
        self.times = []
        self.next = time.monotonic()
        self.ask()

    def ask(self):
        self.count += 1
        self.put(b"OPTIONS sip:%s:%d SIP/2.0\r\nVia: SIP/2.0/UDP %s:5060;branch=%s\r\nFrom: <sip:probe@%s>;tag=1\r\nTo: <sip:%s>\r\n"
                 b"Call-ID: %d@%s\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
                 % (self.site[0].encode(), self.site[1], self.host, branch(), self.host, self.site[0].encode(), self.count, self.host))
        self.next += self.EVERY
        self.after(max(0, self.next - time.monotonic()), self.ask)

    def received(self, data):
        if data.startswith(b"SIP/2.0 "):
            self.times.append(time.monotonic())

    def answers(self, since):
        """The moments of all answers since then."""
        return [at for at in self.times if at >= since]


class Told:
    """A party in a process of its own: its methods can be called from here."""

    def __init__(self, kind, *words, nice=0):
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=live, args=(kind, other, words, nice), daemon=True)
        self.process.start()

    def __getattr__(self, name):
        def ask(*words):
            self.pipe.send((name, *words))
            if not self.pipe.poll(30):
                raise RuntimeError(f"traffic does not answer {name}")
            return self.pipe.recv()
        return ask

    def close(self):
        if self.process.is_alive():
            self.pipe.send(None)
            self.process.join(5)
        if self.process.is_alive():
            self.process.terminate()


def live(kind, pipe, words, nice):
    try:
        os.nice(nice)
    except OSError:
        pass
    try:
        host, site, *more = words
        kind(host, site, pipe, *more).run()
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        pass
    except Exception:  # the lab sees that nobody answers; this says why
        traceback.print_exc()
