#!/usr/bin/env python3
"""200 agents with desktops and phones lose their site: its process is stopped, so that nothing answers any more. How soon each
of the three who find out does so, and how soon after the last of them every agent takes a call of the queue at the other site.

Half of the phones are registered at both sites; the others at site A, and at B when a refresh is not answered.
"""

import base64
import hashlib
import heapq
import json
import os
import random
import re
import selectors
import signal
import socket
import sys
import time

from bed import Bed, Site, expect, main, until
from ua import Message, fresh, tag_of

AGENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
HOSTS = {"a": "127.0.0.71", "b": "127.0.0.72"}
PHONES, GATEWAY = "127.0.1.1", "127.0.0.60"
OOS_CHECK_S, OOS_FORCE_S = 2, 1
SITE_TIMEOUT_S = OOS_CHECK_S + OOS_FORCE_S
SILENCE_S = 2
REFRESH_S = 4
GOAL_S = 10
FIRST = 3001


def config(bed, name, other):
    """One of two sites with all the agents; they share one password."""
    with open(os.path.join(os.path.dirname(__file__), "config", "persons.toml")) as file:
        cheap = re.search(r'user = "agent01"\npassword-hash = "(.*)"', file.read()).group(1)
    people = "".join(f'[[person]]\nuser = "u{dn}"\npassword-hash = "{cheap}"\nrole = "agent"\nagent-logins = ["{dn}"]\n'
                     for dn in range(FIRST, FIRST + AGENTS))
    text = f"""
[application]
name = "agents-{name}"
switch = "agents-{name}"
listen = ["udp:{HOSTS[name]}:5070"]
realm = "tandem"
cti-listen = "{HOSTS[name]}:8071"
[TServer]
sip-address = "{HOSTS[name]}"
sip-port = 5070
authenticate-algorithms = ["MD5"]
dr-peer-trunk = "peer"
dr-forward = "oos"
[http]
listen = "{HOSTS[name]}:8070"
[desktop]
site-timeout = {SITE_TIMEOUT_S}
[[trunk]]
name = "peer"
contact = "sip:{HOSTS[other]}:5070"
oos-check = {OOS_CHECK_S}
oos-force = {OOS_FORCE_S}
[[trunk]]
name = "gateway"
contact = "sip:{GATEWAY}:5060"
[[extension]]
numbers = "{FIRST}-{FIRST + AGENTS - 1}"
password = "secret-{{number}}"
[[agent-login]]
ids = "{FIRST}-{FIRST + AGENTS - 1}"
[[acd-queue]]
number = "7000"
agents = ["{FIRST}-{FIRST + AGENTS - 1}"]
[[person]]
user = "boss"
password-hash = "{cheap}"
role = "supervisor"
{people}"""
    path = os.path.join(bed.folder, f"agents-{name}.toml")
    with open(path, "w") as file:
        file.write(text)
    return path


class Loop:
    """Sockets and timers on one thread."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.timers, self.turn = [], 0

    def reads(self, sock, act):
        sock.setblocking(False)
        self.selector.register(sock, selectors.EVENT_READ, act)

    def after(self, seconds, act):
        self.turn += 1
        heapq.heappush(self.timers, (time.monotonic() + seconds, self.turn, act))

    def run(self, seconds, what, done):
        """Until `done`, which must be within so many seconds."""
        end = time.monotonic() + seconds
        while not done():
            now = time.monotonic()
            expect(now < end, f"not within {seconds} s: {what()}")
            while self.timers and self.timers[0][0] <= now:
                heapq.heappop(self.timers)[2]()
            wait = min(0.05, max(0.0, self.timers[0][0] - now)) if self.timers else 0.05
            for key, _ in self.selector.select(wait):
                key.data()


class Sip:
    """A UDP socket that speaks SIP."""

    def __init__(self, loop, host):
        self.loop, self.host = loop, host
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind((host, 5060))
        loop.reads(self.socket, self.read)

    def read(self):
        for _ in range(50):
            try:
                data, source = self.socket.recvfrom(65535)
            except OSError:
                return
            message = Message(data.decode(errors="replace"))
            self.answered(message) if message.status else self.asked(message, source)

    def send(self, to, lines, body=""):
        kind = ["Content-Type: application/sdp"] if body else []
        text = "\r\n".join([*lines, *kind, f"Content-Length: {len(body)}", "", body])
        self.socket.sendto(text.encode(), to)

    def respond(self, request, to, status, body=""):
        tag = request.header("to")
        tag += "" if tag_of(tag) or status == "100 Trying" else f";tag={abs(hash(request.header('call-id')))}"
        lines = [f"SIP/2.0 {status}", *(f"Via: {via}" for via in request.all("via")), f"From: {request.header('from')}", f"To: {tag}",
                 f"Call-ID: {request.header('call-id')}", f"CSeq: {request.header('cseq')}"]
        if request.method == "INVITE":
            lines.append(f"Contact: <sip:ua@{self.host}:5060>")
        self.send(to, lines, body)

    def describe(self):
        return (f"v=0\r\no=ua 1 1 IN IP4 {self.host}\r\ns=-\r\nc=IN IP4 {self.host}\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8\r\n")

    def asked(self, request, source):
        if request.method == "INVITE":
            self.respond(request, source, "180 Ringing")
            self.loop.after(1, lambda: self.respond(request, source, "200 OK", self.describe()))
        elif request.method != "ACK":
            self.respond(request, source, "200 OK")


class Phones(Sip):
    """All phones behind one address; each registers for itself."""

    def __init__(self, loop, sites):
        super().__init__(loop, PHONES)
        self.sites, self.pending = sites, {}
        self.registered, self.noticed = {}, {}
        self.cseq = 0

    def switch_on(self, dn, both):
        self.register(dn, "a", refresh=not both)
        if both:
            self.register(dn, "b")

    def register(self, dn, site, refresh=False, challenge=None):
        self.cseq += 1
        host = (self.sites[site].host, self.sites[site].port)
        uri, call_id = f"sip:{host[0]}:{host[1]}", f"{dn}-{site}-{self.cseq}"
        lines = [f"REGISTER {uri} SIP/2.0", f"Via: SIP/2.0/UDP {PHONES}:5060;branch={fresh()}",
                 f"From: <sip:{dn}@{host[0]}>;tag={call_id}", f"To: <sip:{dn}@{host[0]}>", f"Call-ID: {call_id}",
                 f"CSeq: {self.cseq} REGISTER", "Max-Forwards: 70", f"Contact: <sip:{dn}@{PHONES}:5060>", "Expires: 300"]
        if challenge:
            field = lambda name: re.search(rf'{name}="([^"]*)"', challenge).group(1)
            md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
            realm, nonce = field("realm"), field("nonce")
            proof = md5(f"{md5(f'{dn}:{realm}:secret-{dn}')}:{nonce}:00000001:abc:auth:{md5(f'REGISTER:{uri}')}")
            lines.append(f'Authorization: Digest username="{dn}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
                         f'response="{proof}", algorithm=MD5, qop=auth, nc=00000001, cnonce="abc"')
        self.pending[call_id] = (dn, site, refresh)
        self.send(host, lines)
        if refresh and not challenge:
            self.loop.after(1, lambda: self.silent(call_id))

    def silent(self, call_id):
        """A refresh was not answered within a second."""
        found = self.pending.pop(call_id, None)
        if found and found[1] == "a":
            self.noticed[found[0]] = time.monotonic()
            self.register(found[0], "b")

    def answered(self, message):
        found = self.pending.pop(message.header("call-id"), None)
        if not found:
            return
        dn, site, refresh = found
        if message.status == 401:
            return self.register(dn, site, refresh, message.header("www-authenticate"))
        expect(message.status == 200, f"{dn} registers at {site}, but {message.start}")
        self.registered[dn, site] = time.monotonic()
        if refresh:
            self.loop.after(REFRESH_S, lambda: self.register(dn, site, True))


class Gateway(Sip):
    """Customers who call and wait as long as it takes."""

    def call(self, site, number, name):
        target = f"sip:{number}@{site.host}:{site.port}"
        self.send((site.host, site.port), [
            f"INVITE {target} SIP/2.0", f"Via: SIP/2.0/UDP {GATEWAY}:5060;branch={fresh()}", f"From: <sip:030{name}@{GATEWAY}>;tag={name}",
            f"To: <{target}>", f"Call-ID: customer-{name}", "CSeq: 1 INVITE", "Max-Forwards: 70", f"Contact: <sip:gw@{GATEWAY}:5060>"],
            self.describe())

    def answered(self, message):
        if message.method == "INVITE" and message.status == 200:
            target = re.search(r"<([^>]*)>", message.header("contact")).group(1)
            host, _, port = target.removeprefix("sip:").split("@")[-1].partition(":")
            self.send((host, int(port)), [
                f"ACK {target} SIP/2.0", f"Via: SIP/2.0/UDP {GATEWAY}:5060;branch={fresh()}", f"From: {message.header('from')}",
                f"To: {message.header('to')}", f"Call-ID: {message.header('call-id')}", f"CSeq: {message.cseq} ACK", "Max-Forwards: 70"])
        elif message.method == "INVITE" and message.status >= 300:
            expect(False, f"a customer is refused: {message.start}")


class Link:
    """A WebSocket to one site's CTI interface, which is lost when it is silent for SILENCE_S."""

    def __init__(self, loop, site, user, hears, lost):
        self.loop, self.hears, self.lost = loop, hears, lost
        self.socket = socket.create_connection((site.host, 8071), timeout=5)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET /cti HTTP/1.1\r\nHost: {site.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.buffer, self.up, self.reference, self.heard = b"", False, 0, time.monotonic()
        loop.reads(self.socket, self.read)
        self.user = user

    def read(self):
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            return self.gone()
        self.heard = time.monotonic()
        self.buffer += data
        if not self.up:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            expect(b" 101 " in head, f"the server upgrades to a WebSocket, but {head!r}")
            self.buffer, self.up = rest, True
            self.ask("TOpenServer", UserName=self.user, Password="secret-agent01")
            self.ping()
        while self.frame():
            pass

    def frame(self):
        if len(self.buffer) < 2:
            return False
        kind, length, at = self.buffer[0] & 15, self.buffer[1] & 127, 2
        if length > 125:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(self.buffer[2:2 + size], "big"), 2 + size
        if len(self.buffer) < at + length:
            return False
        payload, self.buffer = self.buffer[at:at + length], self.buffer[at + length:]
        if kind == 1:
            self.hears(self, json.loads(payload))
        elif kind == 9:
            self.send(10, payload)
        return True

    def send(self, kind, payload):
        size = bytes([128 | len(payload)]) if len(payload) < 126 else bytes([254]) + len(payload).to_bytes(2, "big")
        try:
            self.socket.send(bytes([128 | kind]) + size + bytes(4) + payload)
        except OSError:
            self.gone()

    def ask(self, request, **attributes):
        self.reference += 1
        self.send(1, json.dumps({"request": request, "ReferenceID": self.reference, **attributes}).encode())
        return self.reference

    def ping(self):
        if not self.up:
            return
        if time.monotonic() - self.heard > SILENCE_S:
            return self.gone()
        self.send(9, b"")
        self.loop.after(0.5, self.ping)

    def gone(self):
        if self.up:
            self.up = False
            self.loop.selector.unregister(self.socket)
            self.socket.close()
            self.lost(self)


class Desk:
    """Logged in at one site, connected to both; it leaves the one that it has not reached for SITE_TIMEOUT_S."""

    def __init__(self, loop, sites, dn):
        self.loop, self.dn, self.at, self.asked = loop, dn, None, None
        self.aims, self.decided, self.login, self.called, self.refused = "a", None, None, None, 0
        self.links = {name: Link(loop, site, f"u{dn}", self.hears, self.lost) for name, site in sites.items()}

    def log_in(self):
        if self.at is None and self.links[self.aims].up:
            self.asked = self.links[self.aims].ask("TAgentLogin", ThisDN=self.dn, AgentID=self.dn, WorkMode="AutoIn")

    def hears(self, link, event):
        name = event["event"]
        if name == "EventLinkConnected":
            link.ask("TRegisterAddress", ThisDN=self.dn)
        elif name == "EventRegistered" and link is self.links[self.aims]:
            self.log_in()
        elif name == "EventAgentLogin":
            self.at, self.login = self.aims, time.monotonic()
        elif name == "EventError" and event.get("ReferenceID") == self.asked and link is self.links[self.aims]:
            self.refused += 1
            self.loop.after(0.5, self.log_in)
        elif name == "EventRinging" and self.decided and not self.called:
            self.called = time.monotonic()

    def lost(self, link):
        if link is self.links[self.aims]:
            self.at = None
            self.loop.after(SITE_TIMEOUT_S, self.leaves)

    def leaves(self):
        self.aims, self.decided = "b", time.monotonic()
        self.log_in()


def percentiles(times):
    ordered = sorted(times)
    return [ordered[max(0, -(-len(ordered) * percent // 100) - 1)] for percent in (50, 95, 100)]


def site_agents(bed: Bed):
    sites = {name: Site(bed, f"agents-{name}", host, 5070, f"{host}:8070", ["--config", config(bed, name, "b" if name == "a" else "a"),
                                                                          "--log", "warn"]) for name, host in HOSTS.items()}
    for site in sites.values():
        site.start()
    until(10, "both sites are peered", lambda: all(site.mode() == "peered" for site in sites.values()))
    loop = Loop()
    phones, gateway = Phones(loop, sites), Gateway(loop, GATEWAY)
    dns = [str(dn) for dn in range(FIRST, FIRST + AGENTS)]
    both = set(dns[::2])
    for number, dn in enumerate(dns):
        loop.after(REFRESH_S * number / AGENTS, lambda dn=dn: phones.switch_on(dn, dn in both))
    wanted = AGENTS + len(both)
    loop.run(20, lambda: f"{len(phones.registered)} of {wanted} registrations", lambda: len(phones.registered) == wanted)
    desks = [Desk(loop, sites, dn) for dn in dns]
    loop.run(20, lambda: f"{sum(desk.at == 'a' for desk in desks)} logins", lambda: all(desk.at == "a" for desk in desks))
    trunk = {}
    def watches(link, event):
        if event["event"] == "EventLinkConnected":
            link.ask("TRegisterAddress", ThisDN="peer")
        trunk.setdefault(event["event"], time.monotonic())
    Link(loop, sites["b"], "boss", watches, lambda link: None)
    loop.run(5, lambda: f"the trunk is watched: {trunk}", lambda: "EventRegistered" in trunk)
    moment = time.monotonic() + 1 + random.random()
    loop.run(5, lambda: "a pause", lambda: time.monotonic() > moment)

    lost = time.monotonic()
    sites["a"].process.send_signal(signal.SIGSTOP)
    for number in range(AGENTS):
        loop.after(3 * number / AGENTS, lambda number=number: gateway.call(sites["b"], "7000", number))
    loop.run(60, lambda: f"{sum(desk.called is not None for desk in desks)} of {AGENTS} agents are called at B",
             lambda: all(desk.called for desk in desks))
    server = trunk["EventDNOutOfService"] - lost
    rows = {"server: single-site": [server],
            "desktop: goes to B": [desk.decided - lost for desk in desks],
            "phone: A is silent": [phones.noticed[desk.dn] - lost for desk in desks if desk.dn not in both],
            "phone: registered at B": [phones.registered[desk.dn, "b"] - lost for desk in desks if desk.dn not in both],
            "logged in at B": [desk.login - lost for desk in desks],
            "called at B": [desk.called - lost for desk in desks]}
    detected = [max(server, desk.decided - lost, phones.noticed.get(desk.dn, lost) - lost if desk.dn not in both else 0) for desk in desks]
    rows["called, after the last of the three had noticed"] = [desk.called - lost - seen for desk, seen in zip(desks, detected)]
    print(f"    {AGENTS} agents lose site A; seconds, p50 / p95 / max")
    for name, times in rows.items():
        print(f"    {name}: " + " / ".join(f"{value:.2f}" for value in percentiles(times)))
    expect(server <= OOS_CHECK_S + OOS_FORCE_S + 0.5, f"B notices within oos-check + oos-force, but after {server:.2f} s")
    p95 = percentiles(rows["called, after the last of the three had noticed"])[1]
    expect(p95 <= GOAL_S, f"called within {GOAL_S} s of the last detection at p95, but {p95:.2f} s")
    expect(sites["b"].mode() == "single-site", "B is in single-site mode")
    agents = sites["b"].ask("agent", "list")
    expect(len(agents) == AGENTS, f"{AGENTS} agents at B, but {len(agents)}")


if __name__ == "__main__":
    main("site_agents", site_agents)
