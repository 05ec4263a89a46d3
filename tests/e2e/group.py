"""Primary, backup and witness, set up as docs/ha.md says: three machines, each a network namespace with one cable to a bridge, and the
world on the bridge: phones, gateways, desktops. Cables can be cut, each way by itself.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import time

from bed import Failed, Skipped, configuration, expect, tandem, until

VIRTUAL, SIP, CTI, HTTP, MEMBERS = "10.79.0.10", 5070, 8071, 8060, 5071
ADDRESSES = {"north": "10.79.0.11", "south": "10.79.0.12", "witness": "10.79.0.13"}
WORLD = "10.79.0.254"
ADMIN = {"TANDEM_CTI_USER": "admin", "TANDEM_CTI_PASSWORD": "secret-admin"}
WITNESS = """[witness]
name = "witness"
member-listen = "{address}:{members}"
member-certificate = "{folder}/members/witness.pem"
member-key = "{folder}/members/witness.key"
member-ca-file = "{folder}/members/ca.pem"
state-directory = "{folder}/state-witness"
[http]
listen = "{address}:{http}"
"""
HA = """
[ha]
virtual-address = ["{virtual}"]
virtual-interface = "eth0"
member-listen = "{address}:{members}"
member-certificate = "{folder}/members/{name}.pem"
member-key = "{folder}/members/{name}.key"
member-ca-file = "{folder}/members/ca.pem"
role = "{role}"
state-directory = "{folder}/state-{name}"
"""


def sh(*words, **options):
    return subprocess.run([str(word) for word in words], check=True, **options)


def prepare(*tools):
    """Runs the script anew in a network namespace of its own: the world."""
    apart = ["sh", os.path.join(os.path.dirname(os.path.abspath(__file__)), "apart.sh")]
    probe = "ip link add br9 type bridge && nft add table netdev probe && unshare --net true"
    if subprocess.run([*apart, "unshare", "--net", "sh", "-c", probe], capture_output=True).returncode:
        raise Skipped("this machine gives no network namespaces, bridges and nftables of one's own (not root, or in a container)")
    for tool in tools:
        if subprocess.run(["which", tool], capture_output=True).returncode:
            raise Skipped(f"{tool} is not installed")
    if not os.environ.get("TANDEM_E2E_APART"):
        os.execvp(apart[0], [*apart, sys.executable, *sys.argv])


def get(address, path, seconds=2):
    """(status, text) of the administration interface; None when nobody answers."""
    connection = http.client.HTTPConnection(address, HTTP, timeout=seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return None
    finally:
        connection.close()


def drop(device, name):
    """Rules that lose what comes in there."""
    table = f"netdev cut_{name}"
    return f"add table {table}; add chain {table} lost {{ type filter hook ingress device {device} priority 0; policy drop; }}"


class Machine:
    def __init__(self, bed, name):
        self.bed, self.name, self.address = bed, name, ADDRESSES[name]
        self.process, self.cut = None, set()
        self.holder = bed.run(f"network-{name}", ["unshare", "--net", "sleep", "infinity"])
        until(5, f"machine {name} has a network of its own",
              lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
        sh("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", self.holder.pid)
        sh("ip", "link", "set", f"to-{name}", "master", "br0", "up")
        for device in ("lo", "eth0"):
            sh(*self.inside("ip", "link", "set", device, "up"))
        sh(*self.inside("ip", "addr", "add", f"{self.address}/16", "dev", "eth0"))
        # What it says in the name of the site: signalling over UDP, and what is pushed to desktops and phones over TCP.
        self.nft("add table inet watch; add counter inet watch spoken; "
                 "add chain inet watch out { type filter hook output priority 0; }; "
                 f"add rule inet watch out ip saddr {VIRTUAL} udp sport {SIP} counter name spoken; "
                 f"add rule inet watch out ip saddr {VIRTUAL} tcp sport {{ {SIP}, {CTI} }} tcp flags & psh == psh counter name spoken")

    def inside(self, *words):
        return ["nsenter", "-t", str(self.holder.pid), "-n", *map(str, words)]

    def nft(self, rules):
        sh(*self.inside("nft", rules))

    # The cable.

    def lose(self, *ways):
        """What comes in, or goes out, or both, is lost."""
        self.cut = set(ways)
        moment = time.monotonic()
        if "in" in ways:
            self.nft(drop("eth0", self.name))
        if "out" in ways:
            sh("nft", drop(f"to-{self.name}", self.name))
        return moment

    def mend(self):
        if "in" in self.cut:
            self.nft(f"delete table netdev cut_{self.name}")
        if "out" in self.cut:
            sh("nft", f"delete table netdev cut_{self.name}")
        self.cut = set()

    def spoken(self):
        """Messages that left this machine in the name of the site."""
        told = sh(*self.inside("nft", "-j", "list", "counter", "inet", "watch", "spoken"), capture_output=True, text=True)
        return next(one["counter"]["packets"] for one in json.loads(told.stdout)["nftables"] if "counter" in one)

    def has_address(self):
        told = sh(*self.inside("ip", "-j", "addr", "show", "dev", "eth0"), capture_output=True, text=True)
        return any(info.get("local") == VIRTUAL for info in json.loads(told.stdout)[0]["addr_info"])

    def leftovers(self):
        """Connections of the site's address that the kernel of this machine has, but for those that are over."""
        told = sh(*self.inside("ss", "-Hant", "src", VIRTUAL), capture_output=True, text=True).stdout
        return [line for line in told.splitlines() if line.split()[0] not in ("LISTEN", "TIME-WAIT")]

    # The process.

    @property
    def config(self):
        return os.path.join(self.bed.folder, f"{self.name}.toml")

    def start(self):
        word = "witness" if self.name == "witness" else "serve"
        self.process = self.bed.run(self.name, self.inside(tandem(), word, "--config", self.config), cwd=self.bed.folder)
        until(10, f"{self.name} answers its administration interface", self.is_up)

    def is_up(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended at once:\n{self.bed.tail(self.name)}")
        return get(self.address, "/health")

    def signal(self, number):
        self.process.send_signal(number)
        return time.monotonic()

    def kill(self):
        """No word of farewell; the moment."""
        moment = self.signal(signal.SIGKILL)
        self.process.wait()
        return moment

    def log(self):
        with open(os.path.join(self.bed.folder, f"{self.name}.log")) as log:
            return log.read()

    # What it says of itself.

    def run(self, *words, seconds=60):
        """`tandem WORDS` on this machine."""
        return subprocess.run(self.inside(tandem(), "--server", f"http://{self.address}:{HTTP}", *words), cwd=self.bed.folder, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, env={**os.environ, **ADMIN}, timeout=seconds)

    def order(self, *words):
        """A command that must succeed; what it printed."""
        done = self.run(*words)
        expect(done.returncode == 0, f"tandem {' '.join(words)} at {self.name}: exit code {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def ask(self, *words):
        return json.loads(self.order(*words, "--json"))

    def status(self):
        """What `tandem ha status` shows, or nothing."""
        if self.cut:
            done = self.run("ha", "status", "--json")
            return json.loads(done.stdout) if done.returncode == 0 else {}
        answer = get(self.address, "/api/ha")
        return json.loads(answer[1]) if answer and answer[0] == 200 else {}

    def serves(self):
        return self.status().get("serving") is True

    def stands_by(self):
        """A backup that could take over."""
        status = self.status()
        return status.get("role") == "backup" and status.get("ready") is True

    def gauge(self, name):
        answer = get(self.address, "/metrics")
        lines = answer[1].splitlines() if answer else []
        return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), None)


class Group:
    """The machines, and the site that they are to the world: what a Site is to phones and desktops."""

    def __init__(self, bed, text, addresses):
        """`text`: the configuration of both servers but for what belongs to the machine, with @own@ for its address."""
        self.bed, self.host, self.port = bed, VIRTUAL, SIP
        self.read, self.found = {}, []
        self.cti_options = ["--connect", f"ws://{VIRTUAL}:{CTI}/cti"]
        sh("ip", "link", "add", "br0", "type", "bridge")
        sh("ip", "link", "set", "br0", "up")
        sh("ip", "addr", "add", f"{WORLD}/16", "dev", "br0")
        for address in addresses:
            sh("ip", "addr", "add", f"{address}/32", "dev", "lo")
        self.machines = [Machine(bed, name) for name in ADDRESSES]
        self.north, self.south, self.witness = self.machines
        self.servers = [self.north, self.south]
        self.configure(text)

    def configure(self, text):
        folder = self.bed.folder
        sh(tandem(), "ha", "certificates", "--out", f"{folder}/members", *(f"{machine.name}={machine.address}" for machine in self.machines),
           stdout=subprocess.DEVNULL)
        for machine in self.machines:
            own = {"address": machine.address, "members": MEMBERS, "folder": folder, "http": HTTP, "name": machine.name,
                   "virtual": VIRTUAL, "role": "primary" if machine is self.north else "backup"}
            whole = text.replace("@own@", machine.address).replace("@name@", machine.name) + HA.format(**own)
            with open(machine.config, "w") as file:
                file.write(WITNESS.format(**own) if machine is self.witness else whole)

    def begin(self):
        """docs/ha.md, "Setting it up", steps 3 to 5."""
        said = self.north.order("ha", "found", "--config", self.north.config)
        expect("a new group of one" in said, f"a group is founded: {said}")
        self.north.start()
        until(10, "the primary serves alone", lambda: self.north.status().get("role") == "alone")
        for machine in (self.south, self.witness):
            machine.start()
            until(10, f"{machine.name} waits to be added", lambda: machine.status().get("members") == [])
            self.north.order("ha", "add", f"{machine.address}:{MEMBERS}")
        self.is_whole(self.north)

    def is_whole(self, primary, seconds=20):
        """All three vote, and the backup could take over."""
        until(seconds, f"{primary.name} serves, {self.other(primary).name} is ready, three vote", lambda: self.shortcoming(primary) is None)

    def shortcoming(self, primary):
        status, other = primary.status(), self.other(primary)
        if not status.get("serving"):
            return f"{primary.name} does not serve"
        rows = status["members"]
        if len(rows) != 3 or not all(row["votes"] for row in rows):
            return "three do not vote yet"
        backup = next(row for row in rows if row["kind"] == "server" and row["id"] != status["id"])
        return None if backup["ready"] and other.stands_by() else f"{other.name} is not ready: {backup['why_not']}"

    def other(self, server):
        return self.south if server is self.north else self.north

    def primary(self):
        return next((server for server in self.servers if server.process.poll() is None and server.serves()), None)

    def takes_over(self, server, since, seconds=10):
        """Waits until it serves; how many ms after `since` that was seen."""
        until(seconds, f"{server.name} serves", server.serves)
        return (time.monotonic() - since) * 1000

    def truth(self, primary):
        """What `tandem ha status` prints at each of the three is so."""
        backup = self.other(primary)
        for machine, role, state in ((primary, "primary", "serves"), (backup, "backup", "ready"), (self.witness, "witness", "ready")):
            printed = until(5, f"{machine.name} says in what role it is", lambda: said(machine, role))[0]
            lines = dict(line.split(None, 1) for line in printed.splitlines() if line and " " in line)
            expect(lines.get("state", "").startswith(state), f"{machine.name} is {state}, but prints:\n{printed}")
            rows = {row["id"]: row for row in machine.status()["members"]}
            leads = [row["id"] for row in rows.values() if row["role"] == "primary"]
            expect(leads == [primary.status()["id"]], f"{machine.name} knows that {primary.name} leads, but {rows}")
        serving = sum(server.gauge("tandem_ha_serving") for server in self.servers)
        expect(serving == 1, f"one serves by /metrics, but {serving}")
        expect(get(backup.address, "/ready")[0] == 503 and get(backup.address, "/health")[0] == 200, "a load balancer sends the backup nothing")

    # What a Site does.

    def ask(self, *words):
        primary = self.primary()
        expect(primary, f"a server serves, to be asked for {' '.join(words)}")
        return primary.ask(*words)

    def records(self):
        """The call records of both servers so far. What was read is not read again."""
        for server in self.servers:
            try:
                with open(os.path.join(self.bed.folder, f"cdr-{server.name}.jsonl"), "rb") as file:
                    file.seek(self.read.get(server, 0))
                    whole = file.read().rpartition(b"\n")[0]
            except FileNotFoundError:
                continue
            if whole:
                self.read[server] = self.read.get(server, 0) + len(whole) + 1
                self.found += [json.loads(line) for line in whole.splitlines()]
        return self.found


def said(machine, role):
    printed = machine.order("ha", "status")
    return printed if f"role         {role}\n" in printed else None


def moved(text):
    """The configuration `desks` of one server, at the virtual address of this network."""
    text = text.replace('listen = "127.0.0.29:8070"', f'listen = "@own@:{HTTP}"').replace("127.0.0.29", VIRTUAL)
    text = text.replace('name = "desks"\n', 'name = "@name@"\ncdr-file = "cdr-@name@.jsonl"\n').replace("127.0.0.", "10.79.0.")
    return text


def desks():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "config", "office.toml")) as file:
        blocks = file.read().split("\n\n")
    admin = next(block for block in blocks if 'user = "admin"' in block)
    admin = "[[person]]" + admin.split("[[person]]", 1)[1]
    return moved(configuration("desks.toml")) + "\n" + admin + "\n"
