#!/usr/bin/env python3
"""A site's virtual addresses: two machines, each a network namespace with one cable to a bridge, that take them over from one
another; a phone on the bridge that asks there every millisecond; processes that are killed and stopped.

address.py          the play
address.py echo X   (for itself) answers datagrams at the virtual addresses with X
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time

from bed import Failed, Skipped, expect, main, tandem, until

V4, V6, PORT = "10.78.0.100", "2001:db8:78::100", 7000
HOSTS = {"a": 1, "b": 2}
# The kernel keeps an address 2 s after its last renewal and looks a quarter of a second late; this machine may be busy.
GONE_WITHIN = 3.0
IP_FREEBIND, IPV6_FREEBIND = 15, 78
SITE = f"""[application]
name = "site"
switch = "site"
listen = ["udp:{V4}:5060", "tcp:{V4}:5060", "udp:[{V6}]:5060"]
realm = "tandem"
cti-listen = "off"
[TServer]
sip-address = "{V4}"
[[person]]
user = "admin"
role = "administrator"
password-hash = "@hash@"
[[trunk]]
name = "gateway"
contact = "sip:10.78.0.254:5060"
oos-check = 1
oos-force = 1
[ha]
virtual-address = ["{V4}", "{V6}"]
"""


def sh(*words, **options):
    return subprocess.run([str(word) for word in words], check=True, **options)


def sockets(bind):
    for family, address, level, free in ((socket.AF_INET, V4, socket.IPPROTO_IP, IP_FREEBIND),
                                         (socket.AF_INET6, V6, socket.IPPROTO_IPV6, IPV6_FREEBIND)):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if bind:
            sock.setsockopt(level, free, 1)
            sock.bind((address, PORT))
        else:
            sock.connect((address, PORT))
        yield sock


def echo(name):
    """Answers at the virtual addresses; a send that finds no address is lost, as any datagram may be."""
    looked = selectors.DefaultSelector()
    for sock in sockets(bind=True):
        looked.register(sock, selectors.EVENT_READ)
    while True:
        for key, _ in looked.select():
            try:
                _, remote = key.fileobj.recvfrom(64)
                key.fileobj.sendto(name.encode(), remote)
            except OSError:
                pass


class Phone(threading.Thread):
    """Asks every millisecond, and notes who answers when."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.answers, self.on = sock, [], True

    def run(self):
        self.sock.settimeout(0.001)
        while self.on:
            began = time.monotonic()
            try:
                self.sock.send(b"?")
                while True:
                    self.answers.append((time.monotonic(), self.sock.recv(64).decode()))
            except OSError:
                pass
            time.sleep(max(0, began + 0.001 - time.monotonic()))

    def last(self):
        return self.answers[-1][1] if self.answers and time.monotonic() - self.answers[-1][0] < 0.2 else None

    def gap_ms(self, since):
        """The longest silence since then."""
        times = [at for at, _ in self.answers if at >= since]
        return max((b - a for a, b in zip(times, times[1:])), default=float("inf")) * 1000


class Machine:
    def __init__(self, bed, name):
        self.bed, self.name = bed, name
        self.holder = bed.run(f"network-{name}", ["unshare", "--net", "sleep", "infinity"])
        until(5, f"machine {name} has a network of its own",
              lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
        sh("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", self.holder.pid)
        sh("ip", "link", "set", f"to-{name}", "master", "br0", "up")
        for device in ("lo", "eth0"):
            sh(*self.inside("ip", "link", "set", device, "up"))
        sh(*self.inside("ip", "addr", "add", f"10.78.0.{HOSTS[name]}/24", "dev", "eth0"))
        self.own_ipv6()
        self.process = None
        self.echo = self.run("echo", [sys.executable, os.path.abspath(__file__), "echo", name])

    def own_ipv6(self):
        sh(*self.inside("ip", "addr", "add", f"2001:db8:78::{HOSTS[self.name]}/64", "dev", "eth0", "nodad"))

    def inside(self, *words):
        return ["nsenter", "-t", str(self.holder.pid), "-n", *map(str, words)]

    def run(self, name, words, **options):
        return self.bed.run(f"{name}-{self.name}", self.inside(*words), cwd=self.bed.folder, **options)

    def log(self, name):
        with open(os.path.join(self.bed.folder, f"{name}-{self.name}.log")) as log:
            return log.read()

    def has(self, address=None):
        listed = subprocess.run(self.inside("ip", "-j", "addr", "show", "dev", "eth0"), capture_output=True, text=True, check=True)
        found = [info["local"] for info in json.loads(listed.stdout)[0]["addr_info"]]
        return address in found if address else V4 in found or V6 in found

    def ready(self):
        """A `tandem ha hold` that waits for its word."""
        self.process = self.run("hold", [tandem(), "ha", "hold", "--config", "site.toml", "--wait"], stdin=subprocess.PIPE)

    def say(self, word):
        self.process.stdin.write(f"{word}\n".encode())
        self.process.stdin.flush()

    def signal(self, number):
        self.process.send_signal(number)

    def once(self, *words):
        return subprocess.run(self.inside(tandem(), *words), cwd=self.bed.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, "TANDEM_CTI_PASSWORD": "secret-admin"}, timeout=30)


def network(bed):
    sh("ip", "link", "add", "br0", "type", "bridge")
    sh("ip", "link", "set", "br0", "up")
    sh("ip", "addr", "add", "10.78.0.254/24", "dev", "br0")
    sh("ip", "addr", "add", "2001:db8:78::254/64", "dev", "br0", "nodad")
    hashed = subprocess.run([tandem(), "hash-password", "--memory", "256", "--iterations", "1"], check=True, input="secret-admin\n",
                            capture_output=True, text=True).stdout.strip()
    for name, by in (("site.toml", 'virtual-interface = "eth0"\n'), ("notify.toml", 'virtual-address-by = "notify"\n')):
        with open(os.path.join(bed.folder, name), "w") as file:
            file.write(SITE.replace("@hash@", hashed) + by)
    return [Machine(bed, name) for name in HOSTS]


def switches(a, b, phones):
    """Asked to, they hand the addresses to and fro."""
    gaps = {phone: [] for phone in phones}
    for turn in range(8):
        old, new = (a, b) if turn % 2 == 0 else (b, a)
        time.sleep(0.3)
        began = time.monotonic()
        old.say("drop")
        new.say("hold")
        for phone in phones:
            until(3, f"{new.name} answers at {phone.sock.getpeername()[0]}", lambda: phone.last() == new.name)
        time.sleep(0.2)
        for phone in phones:
            gaps[phone].append(phone.gap_ms(began - 0.05))
    for phone in phones:
        print(f"    handed over 8 times: {phone.sock.getpeername()[0]} is silent for "
              + ", ".join(f"{gap:.1f}" for gap in gaps[phone]) + " ms", flush=True)


def lost(old, new, phones, number, what):
    """The holder is killed or stopped, and its kernel lets go by itself."""
    began = time.monotonic()
    old.signal(number)
    old.echo.send_signal(number)
    new.say("hold")
    for phone in phones:
        until(3, f"{new.name} answers at {phone.sock.getpeername()[0]}", lambda: phone.last() == new.name)
    gaps = [phone.gap_ms(began - 0.05) for phone in phones]
    until(GONE_WITHIN, f"the kernel of {old.name} takes the addresses", lambda: not old.has())
    gone = time.monotonic() - began
    # Until the last announcement nobody who has none may be believed.
    time.sleep(max(0, began + 5.5 - time.monotonic()))
    for phone in phones:
        stray = sum(1 for at, who in phone.answers if at > began + 1 and who != new.name)
        expect(stray == 0 and phone.last() == new.name, f"{stray} answers came from {old.name} after the takeover")
    expect("another machine still answers for it" in new.log("hold"), "the new holder says that the old kernel still answered")
    expect("too: find it by this MAC" not in new.log("hold"), "nobody claims the address in the end")
    print(f"    {what}: IPv4 and IPv6 are silent for {gaps[0]:.1f} and {gaps[1]:.1f} ms; the old kernel had them {gone:.2f} s", flush=True)


def killed_and_stopped(a, b, phones):
    lost(a, b, phones, signal.SIGKILL, "kill -9")
    a.process.wait()
    a.echo = a.run("echo", [sys.executable, os.path.abspath(__file__), "echo", a.name])
    a.ready()
    time.sleep(0.3)
    lost(b, a, phones, signal.SIGSTOP, "kill -STOP")
    for process in (b.process, b.echo):
        process.send_signal(signal.SIGCONT)
    expect(b.process.wait(5) == 1 and "the lease ran out" in b.log("hold"), "who was stopped too long does not take the addresses again")
    expect(not b.has(), "who was stopped too long has no address when it goes on")


def leftovers(a, b):
    a.signal(signal.SIGKILL)
    a.process.wait()
    expect(a.has(V4), "an address outlives a killed holder for a moment")
    swept = a.once("ha", "sweep", "--config", "site.toml")
    expect(swept.returncode == 0 and f"{V4} removed" in swept.stdout and not a.has(), f"a sweep removes it: {swept}")
    a.ready()
    a.say("hold")
    until(3, "a holds", lambda: a.has(V4) and a.has(V6))
    a.signal(signal.SIGKILL)
    a.process.wait()
    a.ready()
    until(3, "the next start removes it", lambda: "an earlier process had left it" in a.log("hold") and not a.has())
    # Somebody else's address, for good: on this machine, and on another.
    sh(*b.inside("ip", "addr", "add", f"{V4}/24", "dev", "eth0"))
    refused = b.once("ha", "hold", "--config", "site.toml")
    expect(refused.returncode == 1 and "somebody else put it there" in refused.stderr, f"a foreign address is refused: {refused}")
    swept = b.once("ha", "sweep", "--config", "site.toml")
    expect("is somebody else's, and stays" in swept.stdout and b.has(V4), f"a sweep leaves it alone: {swept}")
    a.say("hold")
    until(8, "two machines with the address is an error in the log", lambda: "too: find it by this MAC" in a.log("hold"))
    sh(*b.inside("ip", "addr", "del", f"{V4}/24", "dev", "eth0"))
    # The cable of the holder is pulled, and plugged in again: IPv6 addresses do not survive that by themselves.
    sh(*a.inside("ip", "link", "set", "eth0", "down"))
    until(3, "the holder sees that", lambda: "link=false" in a.log("hold"))
    sh(*a.inside("ip", "link", "set", "eth0", "up"))
    a.own_ipv6()
    until(3, "both addresses are there again", lambda: a.has(V4) and a.has(V6))
    a.say("drop")
    until(1, "they are dropped", lambda: not a.has())
    a.process.stdin.close()
    expect(a.process.wait(5) == 0, "the holder ends with its input")


OPTIONS = ("OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{n}\r\nFrom: <sip:x@{me}>;tag=1\r\nTo: <sip:{to}>\r\n"
           "Call-ID: {n}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")


def answered(family, address):
    """Whether an OPTIONS to the virtual address is answered."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.3)
        sock.connect((address, 5060))
        host, port = sock.getsockname()[:2]
        to, me = (f"[{address}]", f"[{host}]:{port}") if family == socket.AF_INET6 else (address, f"{host}:{port}")
        try:
            sock.send(OPTIONS.format(to=to, me=me, n=time.monotonic_ns()).encode())
            return sock.recv(4096).startswith(b"SIP/2.0 ")
        except OSError:
            return False


class Gateway(threading.Thread):
    """A trunk's other end: it answers OPTIONS."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("10.78.0.254", 5060))

    def run(self):
        while True:
            request, remote = self.sock.recvfrom(4096)
            kept = [line for line in request.decode().split("\r\n")
                    if line.split(":")[0].lower() in ("via", "from", "to", "call-id", "cseq")]
            self.sock.sendto("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""]).encode(), remote)


def trunk(machine):
    return json.loads(machine.once("trunk", "list", "--json").stdout)[0]["state"]


def both_answer():
    return answered(socket.AF_INET, V4) and answered(socket.AF_INET6, V6)


def serving(bed, a):
    """A whole server: its sockets are there before the address, and after it."""
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.bind(os.path.join(bed.folder, "notify"))
    notices.setblocking(False)
    said = []

    def heard(word):
        try:
            while True:
                said.append(notices.recv(256).decode())
        except BlockingIOError:
            return sum(word in line for line in said)

    environment = {**os.environ, "NOTIFY_SOCKET": os.path.join(bed.folder, "notify"), "WATCHDOG_USEC": "600000"}
    server = a.run("serve", [tandem(), "serve", "--config", "site.toml"], env=environment)
    until(10, "the server answers at both virtual addresses", both_answer)
    # The socket holds some ten words; then systemd is one that does not read.
    time.sleep(3)
    expect(both_answer() and a.has(V4), "a systemd that does not read holds nobody up")
    until(3, "systemd is told that it is ready, and that its loop comes round", lambda: heard("READY=1") == 1 and heard("WATCHDOG=1") > 2)
    expect(a.once("ha", "check").returncode == 0, "keepalived's check succeeds")
    expect("EventDNOutOfService" not in a.log("serve") and trunk(a) == "in-service", "nothing is sent before the address is there")
    stopped = time.monotonic()
    server.send_signal(signal.SIGSTOP)
    expect(a.once("ha", "check", "--within", "300").returncode == 4, "keepalived's check fails while the server is stopped")
    until(GONE_WITHIN, "a stopped server loses its addresses", lambda: not a.has())
    # Its loop's lease is over, too.
    time.sleep(max(0, stopped + 2.5 - time.monotonic()))
    server.send_signal(signal.SIGCONT)
    until(3, "they are back, and the same sockets answer", both_answer)
    status = json.loads(a.once("ha", "address", "--json").stdout)
    expect(all(one["held"] for one in status["addresses"]) and (status["lapses"], status["takeovers"]) == (1, 2), f"its status says so: {status}")
    heard("")
    server.send_signal(signal.SIGTERM)
    expect(server.wait(10) == 0 and not a.has() and heard("STOPPING=1") == 1, "a server that is stopped takes its addresses with it")


def unprivileged(a):
    """What it may not do is said at the start."""
    for lacks, wanted in (("net_raw", "it needs CAP_NET_RAW"), ("net_admin", "it needs CAP_NET_ADMIN")):
        less = ["setpriv", f"--bounding-set=-{lacks}", f"--inh-caps=-{lacks}"]
        done = subprocess.run(a.inside(*less, tandem(), "serve", "--config", "site.toml"), cwd=a.bed.folder, capture_output=True,
                              text=True, timeout=20)
        expect(done.returncode == 1 and wanted in done.stderr and not a.has(), f"without {lacks}: {done}")


def notified(a):
    """Another program moves the addresses."""
    server = a.run("notify", [tandem(), "serve", "--config", "notify.toml"])
    until(10, "a server starts without its address", lambda: a.once("ha", "check").returncode == 0)
    # The OPTIONS that ask after the trunk find no address to leave by.
    until(5, "the trunk is out of service", lambda: trunk(a) == "out-of-service")
    sh(*a.inside("ip", "addr", "add", f"{V4}/32", "dev", "eth0"))
    until(3, "the server answers as soon as it comes", lambda: answered(socket.AF_INET, V4))
    until(5, "and its trunk is in service", lambda: trunk(a) == "in-service")
    told = a.once("ha", "notify", "master", "--user", "admin")
    shown = a.once("ha", "address")
    expect(told.returncode == 0 and "keepalived said master" in shown.stdout, f"keepalived's word is shown: {told} {shown}")
    sh(*a.inside("ip", "addr", "del", f"{V4}/32", "dev", "eth0"))
    time.sleep(1.5)
    expect(a.once("ha", "check").returncode == 0, "a server whose address has gone goes on")
    server.send_signal(signal.SIGTERM)
    expect(server.wait(10) == 0, "and ends cleanly")


def play(bed):
    a, b = network(bed)
    phones = [Phone(sock) for sock in sockets(bind=False)]
    bed.closers.append(lambda: [setattr(phone, "on", False) for phone in phones])
    for machine in (a, b):
        machine.ready()
    a.say("hold")
    for phone in phones:
        phone.start()
    until(5, "a answers", lambda: all(phone.last() == "a" for phone in phones))
    switches(a, b, phones)
    killed_and_stopped(a, b, phones)
    for phone in phones:
        phone.on = False
    leftovers(a, b)
    Gateway().start()
    unprivileged(a)
    serving(bed, a)
    notified(a)


def prepare():
    apart = ["sh", os.path.join(os.path.dirname(os.path.abspath(__file__)), "apart.sh")]
    probe = "ip link add br9 type bridge && unshare --net true"
    if subprocess.run([*apart, "unshare", "--net", "sh", "-c", probe], capture_output=True).returncode:
        raise Skipped("this machine gives no network namespaces and bridges of one's own (not root, or in a container)")
    if not os.environ.get("TANDEM_E2E_APART"):
        os.execvp(apart[0], [*apart, sys.executable, *sys.argv])


if __name__ == "__main__":
    if sys.argv[1:2] == ["echo"]:
        echo(sys.argv[2])
    main("address", play, prepare)
