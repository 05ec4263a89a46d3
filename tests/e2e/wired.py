"""Phones over TCP for thousands of calls at a time: those of traffic.py, each by a connection of its own, which it makes anew when that is
closed. Every second each says that it is there (RFC 5626 3.5.1), so that it learns of a server that is gone without a word.
"""

import re
import select
import socket
import time

from traffic import CALL_ID, Call, Phones

KEEP_ALIVE, AGAIN, AGAIN_REGISTERED = 1.0, 0.2, 1.0
LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.I)


class Wire:
    """The connection of one phone."""

    def __init__(self, phones, number):
        self.phones, self.number = phones, number
        self.connected, self.registered, self.tries = 0.0, 0.0, 0
        phones.wires[number] = self
        self.open()
        self.keep_alive()

    def open(self):
        self.up, self.data, self.tries = False, b"", self.tries + 1
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.bind((self.phones.host.decode(), 0))
        self.socket.connect_ex(self.phones.site)
        self.phones.watch(self.socket, select.POLLIN | select.POLLOUT, self.ready)

    def close(self):
        self.up = False
        self.phones.unwatch(self.socket)
        self.socket.close()
        self.phones.after(AGAIN, self.open)

    def keep_alive(self):
        self.put(b"\r\n\r\n")
        self.phones.after(KEEP_ALIVE, self.keep_alive)

    def put(self, data):
        if self.up:
            try:
                self.socket.send(data)
            except OSError:
                self.close()

    def ready(self, event):
        if not self.up:
            if event & (select.POLLERR | select.POLLHUP):
                return self.close()
            self.up, self.connected = True, time.monotonic()
            self.phones.watch(self.socket, select.POLLIN, self.ready)
            return self.phones.register_one(self.number)
        try:
            more = self.socket.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            more = b""
        if not more:
            return self.close()
        self.data = (self.data + more).lstrip(b"\r\n")
        while b"\r\n\r\n" in self.data:
            head = self.data.index(b"\r\n\r\n") + 4
            end = head + int(LENGTH.search(self.data[:head])[1])
            if len(self.data) < end:
                return None
            message, self.data = self.data[:end], self.data[end:].lstrip(b"\r\n")
            self.phones.owner.setdefault(CALL_ID.search(message)[1], self)
            self.phones.received(message)
        return None


class Wired(Phones):
    """See the module. `owner`: by which phone's connection a call goes."""

    def __init__(self, host, site, pipe, numbers):
        super().__init__(host, site, pipe, numbers)
        self.wires, self.owner, self.rounds = {}, {}, 0

    def register(self, rate=200):
        for index, number in enumerate(self.numbers):
            self.after(index / rate, Wire, self, number)

    def register_one(self, number):
        self.rounds += 1
        before = self.calls.get(b"r%d@%s" % (number, self.host))
        if before:
            before.pending = None
        call = Call(b"r%d@%s" % (number, self.host), "registration", number)
        self.calls[call.id] = call
        self.send(call, self.registration(number, self.rounds + 1), "REGISTER")

    def lost(self, call, why):
        """As a phone does: it registers until it is registered."""
        super().lost(call, why)
        if call.kind == "registration":
            self.after(AGAIN_REGISTERED, self.register_one, call.number)

    def answered(self, call, status, cseq, method, data):
        super().answered(call, status, cseq, method, data)
        if method == b"REGISTER" and status == 200:
            self.wires[call.number].registered = time.monotonic()

    def adrift(self):
        """Of each phone that has not registered by the connection that it has, or has none: its number and how far it came."""
        now, rows = time.monotonic(), []
        for number, wire in self.wires.items():
            if wire.up and wire.registered >= wire.connected:
                continue
            call = self.calls.get(b"r%d@%s" % (number, self.host))
            state = None if wire.socket.fileno() < 0 else wire.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
            rows.append({"number": number, "up": wire.up, "tcp_state": state, "tries": wire.tries, "connected_s_ago": round(now - wire.connected, 2),
                         "registered_s_ago": round(now - wire.registered, 2), "registration": call and (call.state, call.why, bool(call.pending))})
        return rows

    def registration(self, number, cseq, credentials=b""):
        plain = super().registration(number, cseq, credentials)
        return plain.replace(b":5060>\r\nExpires", b':5060;transport=tcp>;+sip.instance="<urn:uuid:%d>"\r\nExpires' % number)

    def put(self, data):
        key = CALL_ID.search(data)[1]
        number = re.match(rb"r(\d+)@", key)
        wire = self.wires.get(int(number[1])) if number else self.owner.get(key)
        if wire:
            wire.put(data.replace(b"SIP/2.0/UDP %s:5060" % self.host, b"SIP/2.0/TCP %s:5060" % self.host, 1))
