#!/usr/bin/env python3
"""`tandem drill ha-loss` on a pair with its witness and a peer site: the server that serves ends as by kill -9, and the drill's parties
and a real call and agent go on; then back again; and refused while nobody is ready to take over.

ha_drill.py [FOLDER]   with a folder the first drill takes the time that its plan gives it, and leaves its report there
"""

import base64
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

import group as pairs
from bed import HERE, Site, expect, main, tandem, until
from desk import Desktop
from group import CTI, Group, HTTP, SIP, VIRTUAL, prepare
from ua import Agent

CONFIG = os.path.join(os.path.dirname(os.path.dirname(HERE)), "config")
PEER, GATEWAY, PARTIES, PSTN, PHONE = "10.79.0.20", "10.79.0.63", "10.79.0.69", "10.79.0.64", "10.79.1.1"
FOLDER = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
QUICK = ["--before", "2s", "--hold", "1s", "--after", "1s"]


def site(name, own, http):
    """The demonstration's site, at the addresses of this network."""
    with open(f"{CONFIG}/site-{name}.toml") as file:
        text = file.read()
    text = re.sub(r"\[peer-http\]\n(.+\n)+", "", text)
    for port, moved in (("5060", SIP), ("8061", CTI), ("8060", HTTP)):
        text = re.sub(rf"127\.0\.0\.([12]):{port}", lambda found: f"@{found.group(1)}@:{moved}", text)
    text = re.sub(r'sip-address = ".+"\nsip-port = .+', f'sip-address = "{own}"\nsip-port = {SIP}', text)
    text = text.replace("127.0.0.3", GATEWAY).replace('["office.toml"]', f'["{CONFIG}/office.toml"]')
    text = re.sub(r'(\[http\]\nlisten = )".+"', rf'\1"{http}:{HTTP}"', text)
    text = text.replace("@1@", VIRTUAL).replace("@2@", PEER)
    return f'{text}\n[[trunk]]\nname = "pstn"\ncontact = "sip:{PSTN}:5060"\n'


class Stage:
    def __init__(self, bed):
        self.bed = bed
        pairs.HA = pairs.HA.replace('role = ', 'member-name = "{name}"\nrole = ')
        self.group = Group(bed, site("a", VIRTUAL, "@own@"), [PEER, GATEWAY, PARTIES, PSTN, PHONE])
        self.group.begin()
        path = os.path.join(bed.folder, "peer.toml")
        with open(path, "w") as file:
            file.write(site("b", PEER, PEER))
        self.peer = Site(bed, "peer", PEER, SIP, f"{PEER}:{HTTP}", ["--config", path, "--log", "info"])
        self.peer.start()
        with open(f"{CONFIG}/drill.toml") as file:
            plan = file.read()
        servers = json.dumps([f"http://{server.address}:{HTTP}" for server in self.group.servers])
        plan = plan.replace('http = "http://127.0.0.1:8060"', f"http = {servers}")
        for old, new in (("127.0.0.1:5060", f"{VIRTUAL}:{SIP}"), ("127.0.0.1:8061", f"{VIRTUAL}:{CTI}"),
                         ("127.0.0.2:5060", f"{PEER}:{SIP}"), ("127.0.0.2:8061", f"{PEER}:{CTI}"),
                         ("127.0.0.2:8060", f"{PEER}:{HTTP}"), ("127.0.0.3", GATEWAY), ("127.0.0.9", PARTIES)):
            plan = plan.replace(old, new)
        self.plan = os.path.join(bed.folder, "drill.toml")
        with open(self.plan, "w") as file:
            file.write(plan)
        until(15, "both sites are peered", lambda: self.peer.mode() == self.group.ask("status")["mode"] == "peered")

    def drill(self, *words, report=None):
        """Exit code, what it said, and the report."""
        name = report or os.path.join(self.bed.folder, f"report-{len(os.listdir(self.bed.folder))}")
        done = subprocess.run([tandem(), "drill", "ha-loss", "--plan", self.plan, "--user", "admin", *words, "--report", name],
                              capture_output=True, text=True, cwd=self.bed.folder, timeout=240,
                              env={**os.environ, "TANDEM_CTI_PASSWORD": "secret-admin", "XDG_STATE_HOME": os.path.join(self.bed.folder, "keys")})
        said = done.stdout + done.stderr
        try:
            with open(f"{name}.json") as file:
                return done.returncode, said, json.load(file)["report"]
        except FileNotFoundError:
            return done.returncode, said, None

    @staticmethod
    def order(server, user="admin", password="secret-admin"):
        """POST /api/ha {"action": "fail"}: status and answer."""
        proof = base64.b64encode(f"{user}:{password}".encode()).decode()
        request = urllib.request.Request(f"http://{server.address}:{HTTP}/api/ha", b'{"action": "fail"}',
                                         {"Authorization": f"Basic {proof}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def lost(stage):
    """The primary is lost, and its backup has everything; a real call and a real agent go on."""
    primary = stage.group.primary()
    process = primary.process.pid
    pstn = Agent(stage.bed, "pstn", PSTN, stage.group, manner="silent")
    Agent(stage.bed, "phone-1001", PHONE, stage.group, manner="answer").register("1001")
    desk = Desktop(stage.bed, stage.group, "agent01")
    desk.log_in("1001", "2001")
    line = pstn.call("1001")
    line.hears("200 INVITE")
    words = ["--guard", "calls-lost=0", "--guard", "agents-down=0"]
    if FOLDER:
        code, said, report = stage.drill(*words, report=os.path.join(FOLDER, "ha-loss"))
    else:
        code, said, report = stage.drill(*QUICK, *words)
    expect(code == 0, f"the drill passes, but {code}:\n{said}")
    other = stage.group.other(primary)
    pair = report["pair"]
    expect((pair["lost"], pair["took_over"]) == (primary.name, other.name), f"{other.name} takes over from {primary.name}: {pair}")
    expect(f"{primary.name} (http" in said and "took over (epoch" in said, f"the summary says so:\n{said}")
    expect(primary.process.poll() is None and primary.process.pid == process, "the process goes on as another")
    steps = {step["what"]: step for step in report["recovery"]["steps"]}
    went_on = steps["desktops: went on where they were"]
    expect(went_on["count"] == went_on["of"] == 5, f"five desktops resume: {went_on}")
    expect(report["real"]["agents_before"] == 1 and not report["real"]["agents_down_afterwards"], f"the real agent stays: {report['real']}")
    line.bye()
    line.hears("200 BYE")
    desk.kill()
    stage.group.truth(other)
    return f"silent for {pair['silent_ms']} ms; {other.name} serves, {primary.name} was ready again after {pair['whole_ms'] / 1000:.1f} s"


def again(stage):
    """The one that took over is lost in its turn."""
    primary = stage.group.primary()
    code, said, report = stage.drill(*QUICK)
    expect(code == 0, f"the drill passes, but {code}:\n{said}")
    expect(report["pair"]["lost"] == primary.name, f"{primary.name} is lost: {report['pair']}")
    expect(stage.group.primary() is stage.group.other(primary), "the other one serves")
    return f"silent for {report['pair']['silent_ms']} ms"


def silent(primary, machine):
    """A second without a word from it: nobody could take that for a delay."""
    rows = primary.status()["members"]
    row = next(row for row in rows if row["address"].startswith(f"{machine.address}:"))
    return (row["heard_ms"] or 0) > 1000


def refused(stage):
    """Nobody is lost by somebody who may not, at a server that does not serve, or while nobody would take over."""
    primary = stage.group.primary()
    other, witness = stage.group.other(primary), stage.group.witness
    for server, who, code in ((primary, ("admin", "wrong"), 401), (primary, ("supervisor", "secret-supervisor"), 403),
                              (other, ("admin", "secret-admin"), None)):
        status, answer = stage.order(server, *who)
        expect(status == code if code else status >= 400, f"{who} is refused at {server.name}: {status} {answer}")
    for machine in (witness, other):
        machine.kill()
        until(5, f"{primary.name} no longer hears {machine.name}", lambda: silent(primary, machine))
        status, answer = stage.order(primary)
        expect(status == 409 and answer["error"], f"refused without {machine.name}: {status} {answer}")
        code, said, report = stage.drill(*QUICK)
        named = machine.name in said or machine.address in said
        expect(code == 2 and report is None and named, f"no drill without {machine.name}: {code}\n{said}")
        expect(stage.group.primary() is primary, f"{primary.name} goes on")
        machine.start()
        stage.group.is_whole(primary)
    return "with the reason, and nothing was lost"


def play(bed):
    stage = Stage(bed)
    for act in (lost, again, refused):
        print(f"    {act.__name__}: {act(stage)}", flush=True)


if __name__ == "__main__":
    main("ha_drill", play, lambda: prepare("nft"))
