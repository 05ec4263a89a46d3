#!/usr/bin/env python3
"""Drills on two real sites: a lost site with the drill's own parties while a real call and agent notice nothing, a guard
that ends a drill because a real call was lost, drills that are killed and interrupted, and a share of real parties.
"""

import base64
import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request

from bed import HERE, Site, expect, main, tandem, until
from desk import Desktop
from ua import Agent

CONFIG = os.path.join(os.path.dirname(os.path.dirname(HERE)), "config")
HOSTS = {"127.0.0.1": "127.0.0.81", "127.0.0.2": "127.0.0.82", "127.0.0.3": "127.0.0.83", "127.0.0.9": "127.0.0.89"}
PSTN = "127.0.0.84"
QUICK = ["--before", "2s", "--hold", "2s", "--after", "1s"]


def moved(text):
    """The demonstration's addresses are those of `make run`; these are nobody's."""
    return re.sub(r"127\.0\.0\.[1239]\b", lambda found: HOSTS[found.group()], text)


class Stage:
    def __init__(self, bed):
        self.bed = bed
        for name in ("a", "b"):
            with open(f"{CONFIG}/site-{name}.toml") as file:
                text = moved(file.read()).replace('["office.toml"]', f'["{CONFIG}/office.toml"]')
            text += f'\n[[trunk]]\nname = "pstn"\ncontact = "sip:{PSTN}:5060"\n'
            path = os.path.join(bed.folder, f"site-{name}.toml")
            with open(path, "w") as file:
                file.write(text)
            host = HOSTS["127.0.0.1" if name == "a" else "127.0.0.2"]
            site = Site(bed, f"site-{name}", host, 5060, f"{host}:8060", ["--config", path, "--log", "info"])
            site.cti_options = ["--connect", f"ws://{host}:8061/cti"]
            setattr(self, name, site)
            site.start()
        with open(f"{CONFIG}/drill.toml") as file:
            text = moved(file.read())
        self.plan = os.path.join(bed.folder, "drill.toml")
        with open(self.plan, "w") as file:
            file.write(text)
        self.is_peered()
        self.pstn = Agent(bed, "pstn", PSTN, self.a, manner="silent")
        self.at_a = Agent(bed, "phone-1001", "127.0.1.1", self.a, manner="answer").register("1001")
        self.at_b = Agent(bed, "phone-1002", "127.0.1.2", self.b, manner="answer").register("1002")

    def is_peered(self):
        until(6, "both sites are peered", lambda: self.a.mode() == self.b.mode() == "peered")

    def command(self, *words, user="admin"):
        return [tandem(), "drill", *words, *(["--plan", self.plan, "--user", user] if "--plan" not in words else [])]

    def environment(self, password="secret-admin"):
        return {**os.environ, "TANDEM_CTI_PASSWORD": password, "XDG_STATE_HOME": os.path.join(self.bed.folder, "state")}

    def drill(self, *words, password="secret-admin", user="admin"):
        """Exit code, what it said, and the report."""
        name = os.path.join(self.bed.folder, f"report-{len(os.listdir(self.bed.folder))}")
        done = subprocess.run(self.command(*words, "--report", name, user=user), capture_output=True, text=True,
                              env=self.environment(password), cwd=self.bed.folder)
        said = done.stdout + done.stderr
        try:
            with open(f"{name}.json") as file:
                return done.returncode, said, json.load(file)["report"], name
        except FileNotFoundError:
            return done.returncode, said, None, name

    def order(self, body, user="admin", password="secret-admin"):
        """POST /api/drill at site A: status and answer."""
        proof = base64.b64encode(f"{user}:{password}".encode()).decode()
        request = urllib.request.Request(f"{self.a.url}/api/drill", json.dumps(body).encode(),
                                         {"Authorization": f"Basic {proof}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def verify(self, file):
        done = subprocess.run([tandem(), "drill", "verify", file], capture_output=True, text=True, env=self.environment())
        return done.returncode, done.stdout + done.stderr

    def cut_off(self):
        return self.a.ask("drill", "status")["on"]


def site_loss(stage):
    """Five phones and five agents lose site A and come back; a real call and a real agent at A notice nothing."""
    desk = Desktop(stage.bed, stage.a, "agent01")
    desk.log_in("1001", "2001")
    line = stage.pstn.call("1001")
    line.hears("200 INVITE")
    code, said, report, name = stage.drill("site-loss", *QUICK, "--guard", "calls-lost=0", "--guard", "agents-down=0", "--goal", "10s")
    expect(code == 0, f"the drill passes, but {code}:\n{said}")
    expect(report["moves"]["phones_moved"] == [str(n) for n in range(1011, 1016)], f"phones move: {report['moves']}")
    expect(report["moves"]["agents_moved"] == [str(n) for n in range(2011, 2016)], f"agents move: {report['moves']}")
    steps = {step["what"]: step for step in report["recovery"]["steps"]}
    for what in ("phones: registered at site-b", "desktops: logged in at site-b", "site-b worked alone (server's detection)"):
        expect(steps[what]["count"] == steps[what]["of"] > 0, f"everybody is counted: {steps[what]}")
    expect(report["real"]["agents_before"] == 1 and not report["real"]["agents_down_afterwards"], f"the agent stays: {report['real']}")
    expect(report["calls"]["lost_because"], "calls that were up through the lost site are lost, and the report says so")
    for ending in ("json", "html"):
        code, said = stage.verify(f"{name}.{ending}")
        expect(code == 0 and "this machine's key" in said, f"the signature holds: {said}")
    with open(f"{name}.json") as file:
        forged = file.read().replace('"verdict": "passed"', '"verdict": "pasted"')
    with open(f"{name}.forged", "w") as file:
        file.write(forged)
    code, said = stage.verify(f"{name}.forged")
    expect(code == 1 and "not as it was signed" in said, f"a forgery is noticed: {code} {said}")
    line.bye()
    line.ends()
    desk.close()
    return f"everybody served again after {steps['everybody served again']['max_ms'] / 1000:.1f} s; the real call went on"


def guard(stage):
    """A real call over the link is lost with it: the guard ends the drill at once, and the link is back."""
    line = stage.pstn.call("1002")
    line.hears("200 INVITE")
    code, said, report, _ = stage.drill("link-loss", "--before", "2s", "--hold", "60s", "--after", "1s", "--guard", "calls-lost=0")
    expect(code == 3 and "guard calls-lost=0" in report["aborted"], f"the guard ends it: {code}\n{said}")
    expect(report["verdict"] == "aborted" and report["real"]["established_calls_lost"] > 0, f"and says why: {report['real']}")
    expect(stage.cut_off() is None, "the isolation is taken back")
    stage.is_peered()
    lasted = next(phase["to_ms"] - phase["from_ms"] for phase in report["phases"] if phase["name"] in ("alone", "loss to service"))
    expect(lasted < 30_000, f"at once, but after {lasted} ms")
    return report["aborted"]


def killed(stage):
    """A drill that is killed leaves an isolation that ends by itself; meanwhile no other one can begin."""
    drill = stage.bed.run("killed", stage.command("link-loss", "--before", "1s", "--hold", "60s"), env=stage.environment(),
                          cwd=stage.bed.folder)
    until(10, "the drill is on", stage.cut_off)
    expect("link-loss" in stage.a.ask("status")["drill"], "`tandem status` says so")
    code, said, _, _ = stage.drill("site-loss", *QUICK)
    expect(code == 2 and "a drill is on" in said, f"there is one drill at a time: {code} {said}")
    drill.kill()
    drill.wait()
    _, took = until(7, "the isolation ends by itself", lambda: stage.cut_off() is None)
    last = stage.a.ask("drill", "status")["last"]
    expect(last["ended"] == "not-renewed", f"because nobody renews it: {last}")
    stage.is_peered()
    # One that rang when both its ends died rings until its ring-timeout.
    left = lambda: [call for site in (stage.a, stage.b) for call in site.ask("call", "list")
                    if call["from"].startswith("drill-") and call["state"] == "established"]
    # An answer that nobody acknowledges any more is repeated for 64 * T1 = 32 s.
    until(45, "no established call of the killed drill is left", lambda: not left())
    return f"over {took:.1f} s after the kill, and both sites are peered"


def interrupted(stage):
    """Ctrl-C takes the failure back at once."""
    drill = stage.bed.run("interrupted", stage.command("link-loss", "--before", "1s", "--hold", "60s", "--after", "0s"),
                          env=stage.environment(), cwd=stage.bed.folder)
    until(10, "the drill is on", stage.cut_off)
    drill.send_signal(signal.SIGINT)
    _, took = until(2, "the isolation is taken back", lambda: stage.cut_off() is None)
    until(20, "the drill ends", lambda: drill.poll() is not None)
    expect(drill.poll() == 3 and "aborted: interrupted" in stage.bed.tail("interrupted", 40), f"with exit code 3, but {drill.poll()}")
    return f"taken back within {took:.1f} s"


def share(stage):
    """A real phone and desktop of the share lose their site, and have it again afterwards; who may order that."""
    for user, password, code in (("admin", "wrong", 401), ("supervisor", "secret-supervisor", 403)):
        status, answer = stage.order({"action": "end"}, user, password)
        expect(status == code, f"{user} may not: {status} {answer}")
    status, answer = stage.order({"action": "start", "kind": "site-loss", "for_s": 60})
    expect(status == 400 and "parties or a share" in answer["error"], f"an order for nobody is refused: {answer}")
    ask = lambda: stage.at_a.register("1001")
    ask()
    desk = Desktop(stage.bed, stage.a, "agent01")
    desk.log_in("1001", "2001")
    status, answer = stage.order({"action": "start", "kind": "site-loss", "for_s": 60, "share": 100})
    expect(status == 200 and "1001" in answer["on"]["devices"], f"the phone is of the share: {answer}")
    try:
        ask()
        heard = True
    except Exception:
        heard = False
    expect(not heard, "the phone finds nobody")
    until(3, "the agent's desktop is cut off", lambda: desk.process.poll() is not None)
    # Nobody has renewed it meanwhile.
    until(3, "the isolation is over", lambda: stage.cut_off() is None)
    ask()
    return "silent while it lasted, heard afterwards"


def play(bed):
    stage = Stage(bed)
    for act in (site_loss, guard, killed, interrupted, share):
        print(f"    {act.__name__}: {act(stage)}", flush=True)
    for site in (stage.a, stage.b):
        site.stop()


if __name__ == "__main__":
    main("drill", play)
