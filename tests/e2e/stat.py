#!/usr/bin/env python3
"""The statistics service with the servers of two sites: its figures are what happened, its history holds every row once, one
status follows an agent's login to the other site, and nobody on the telephone notices when it is lost.
"""

import json
import os
import sqlite3
import subprocess
import time
import types
import urllib.request

from bed import CONFIG, Bed, Site, expect, main, tandem, until
from browser import Browser
from desk import Desktop, Wire
from stage import GATEWAY
from ua import Agent

HOSTS = {"a": "127.0.0.71", "b": "127.0.0.72"}
OBJECTS = """
[[extension]]
numbers = ["1001-1003", "1011"]
password = "secret-{number}"

[[agent-login]]
ids = "2001-2008"
agent-no-answer-timeout = 1

[[place]]
name = "desk-11"
dns = ["floor-a:1011", "floor-b:1011"]

[[place]]
name = "desk-2"
dns = ["floor-a:1002", "floor-b:1002"]

[[agent-group]]
name = "support"
agents = ["2001-2003"]

[[acd-queue]]
number = "7000"
agent-groups = ["support"]
treatment = "queued"
service-level = 20

[[routing-point]]
number = "7900"
default-dn = "7000"
router-timeout = 1
treatment = "queued"
"""


class Service:
    """One `tandem stat`."""

    def __init__(self, bed, name, host, config):
        self.bed, self.name, self.url, self.host = bed, name, f"http://{host}:8090", host
        self.config = os.path.join(bed.folder, f"{name}.toml")
        with open(self.config, "w") as file:
            file.write(f'include = ["{bed.folder}/objects.toml"]\n[stat]\nlisten = "{host}:8090"\n{config}')

    def start(self):
        self.process = self.bed.run(self.name, [tandem(), "stat", "--config", self.config])
        until(10, f"{self.name} is connected to both sites\n{self.bed.tail(self.name)}",
              lambda: all((self.object(f"site:floor-{site}") or {}).get("connected") for site in HOSTS))

    def all(self):
        try:
            with urllib.request.urlopen(f"{self.url}/stat.json") as page:
                return json.load(page)
        except OSError:
            return {"objects": []}

    def object(self, name):
        return next((found for found in self.all()["objects"] if found["object"] == name), None)

    def shows(self, name, **wanted):
        """Waits until an object has these attributes; `today` is compared figure by figure."""
        def probe():
            found = self.object(name) or {}
            today = all(found.get("today", {}).get(key) == value for key, value in wanted.get("today", {}).items())
            return today and all(found.get(key) == value for key, value in wanted.items() if key != "today") and found
        try:
            return until(5, name, probe)[0]
        except Exception:
            expect(False, f"{name} shows {wanted}, but {self.object(name)}")

    def kill(self):
        self.process.kill()
        self.process.wait()


class Place:
    """Two sites, their phones, a gateway at A, and the service."""

    def __init__(self, bed):
        self.bed = bed
        with open(os.path.join(bed.folder, "objects.toml"), "w") as file:
            file.write(OBJECTS)
        with open(os.path.join(bed.folder, "password"), "w") as file:
            file.write("secret-supervisor\n")
        for name, host in HOSTS.items():
            with open(f"{CONFIG}/floor-{name}.toml") as file:
                text = file.read().replace('"floor-both.toml"', f'"{bed.folder}/objects.toml"')
            path = os.path.join(bed.folder, f"floor-{name}.toml")
            with open(path, "w") as file:
                file.write(text.replace('"persons.toml"', f'"{CONFIG}/persons.toml"'))
            setattr(self, name, Site(bed, f"floor-{name}", host, 5070, f"{host}:8070", ["--config", path, "--log", "info"]))
            getattr(self, name).start()
        until(10, "both sites are peered", lambda: self.a.mode() == self.b.mode() == "peered")
        self.gateway = Agent(bed, "gateway", GATEWAY, self.a, manner="silent")
        self.phone = Agent(bed, "phone-1002", "127.0.1.2", self.a).register("1002")
        self.both = [Agent(bed, f"phone-1011-{site.name}", host, site).register("1011")
                     for site, host in ((self.a, "127.0.1.11"), (self.b, "127.0.1.12"))]
        sites = "".join(f'[[stat.site]]\nswitch = "floor-{name}"\nurl = "ws://{host}:8071/cti"\nuser = "supervisor"\n'
                        f'password-file = "{bed.folder}/password"\n' for name, host in HOSTS.items())
        files = f'database = "{bed.folder}/stat.db"\njson-file = "{bed.folder}/history.jsonl"\n'
        self.primary = Service(bed, "stat-1", "127.0.0.73", files + sites)
        self.backup = Service(bed, "stat-2", "127.0.0.74", files + sites)

    def rows(self):
        """Every row of the database, by its id; no id may be there twice."""
        with sqlite3.connect(f"file:{self.bed.folder}/stat.db?mode=ro", uri=True) as database:
            rows = database.execute("select id, kind, json from history order by n").fetchall()
        expect(len({row[0] for row in rows}) == len(rows), "no row is in the database twice")
        return {row[0]: json.loads(row[2]) for row in rows}

    def lines(self):
        """Every JSON line; no id may be there twice."""
        with open(os.path.join(self.bed.folder, "history.jsonl")) as file:
            lines = [json.loads(line) for line in file]
        expect(len({line["id"] for line in lines}) == len(lines), "no row is in the JSON lines twice")
        return {line["id"]: line for line in lines}

    def segments(self, outcome, dn):
        return [row for row in self.rows().values() if row.get("outcome") == outcome and row.get("dn") == dn]


def figures(place):
    """A call that is answered, one that gives up in the queue, one that rings in vain and then gives up."""
    agent = Desktop(place.bed, place.a, "agent02")
    agent.log_in("1002", "2002", mode="ManualIn")
    first = place.gateway.call("7000")
    place.primary.shows("queue:floor-a:7000", waiting=1, today={"offered": 1, "handled": 0})
    time.sleep(1.2)  # this caller's wait
    place.phone.manner = "answer"
    agent.ask("TAgentSetReady", "EventAgentReady", ThisDN="1002", WorkMode="AutoIn")
    first.hears("200 INVITE")
    place.primary.shows("agent:2002", status="CallInbound", today={"offered": 1, "handled": 1})
    second = place.gateway.call("7000")
    second.hears("182 INVITE")
    place.primary.shows("queue:floor-a:7000", waiting=1, today={"offered": 2, "handled": 1})
    second.cancel()
    second.hears("487 INVITE")
    queue = place.primary.shows("queue:floor-a:7000", waiting=0, today={"offered": 2, "handled": 1, "abandoned": 1})
    wait = queue["today"]["average_wait_ms"]
    expect(1200 <= wait <= 3000, f"the answered caller waited 1.2 s and a little, but {wait} ms")
    expect(queue["today"]["service_level"] == 1.0, f"who was answered was answered in time: {queue['today']}")
    place.phone.manner = "ring"
    first.bye()
    third = place.gateway.call("7000")
    place.primary.shows("agent:2002", today={"offered": 2, "handled": 1, "missed": 1})
    third.cancel()
    third.hears("487 INVITE")
    queue = place.primary.shows("queue:floor-a:7000", waiting=0, today={"offered": 3, "handled": 1, "abandoned": 2, "diverted": 0, "unseen": 0})
    place.primary.shows("site:floor-a", today={"offered": 3, "handled": 1, "abandoned": 2})
    place.primary.shows("group:support", today={"handled": 1, "missed": 1})
    place.primary.shows("queue:floor-b:7000", today={"offered": 0})
    until(3, "the history has both stays of the calls at the agent", lambda: len(place.segments("handled", "1002")) == 1
          and len(place.segments("missed", "1002")) == 1)
    agent.close()
    return "offered, handled, abandoned, missed, waits and service level are what happened"


def live(place):
    """A subscriber hears what changes, once; what cannot be read is said."""
    wire = Wire(types.SimpleNamespace(host=place.primary.host), port=8090, path="/stat")
    wire.send(Wire.TEXT, b'{"subscribe": ["agent:2001", "queue:floor-a:*"]}')
    first = wire.read()
    expect({update["object"] for update in first["updates"]} == {"agent:2001", "queue:floor-a:7000", "queue:floor-a:7900"},
           f"what was asked for comes at once, but {first}")
    caller = place.gateway.call("7900")
    seen = []
    while not any(update["object"] == "queue:floor-a:7000" and update["waiting"] == 1 for update in seen):
        seen += wire.read()["updates"]
    caller.cancel()
    wire.send(Wire.TEXT, b"no json")
    answer = {}
    while "error" not in answer:
        answer = wire.read()
    shown = subprocess.run([tandem(), "stat", "show", "--stat", place.primary.url], capture_output=True, text=True)
    expect(shown.returncode == 0 and "7000" in shown.stdout and "2002" in shown.stdout, f"`tandem stat show`: {shown}")
    return f"subscribed objects come at once, then when they change; nonsense is answered: {answer['error'][:40]}…"


def page(place):
    """The page in a real browser: the figures of the service, by keyboard, and no complaint of the browser."""
    browser = Browser(place.bed, f"{place.primary.url}/")
    until(10, "the page is live", lambda: browser.value("document.getElementById('link').dataset.state") == "live")
    table = "JSON.stringify([...document.querySelectorAll('#{} tbody tr')].map(row => [...row.cells].map(cell => cell.textContent)))"

    def same():
        today = place.primary.object("queue:floor-a:7000")["today"]
        figures = [str(today[key]) for key in ("offered", "handled", "abandoned")]
        rows = json.loads(browser.value(table.format("queues")))
        return next((figures for row in rows if row[:2] == ["7000", "floor-a"] and row[7:10] == figures), None)
    figures, _ = until(5, "the page shows the service's figures of queue 7000 at floor-a", same)
    browser.press("/")
    expect(browser.value("document.activeElement.id") == "filter", "/ leads to the filter")
    for key in "2002":
        browser.press(key)
    until(2, "the filter leaves one agent", lambda: [row[0] for row in json.loads(browser.value(table.format("agents")))] == ["2002"])
    browser.press("Escape")
    until(2, "Escape shows all", lambda: len(json.loads(browser.value(table.format("agents")))) == 8)
    expect(not browser.complaints, f"nothing on the console, but {browser.complaints}")
    with urllib.request.urlopen(f"{place.primary.url}/") as answer:
        expect("default-src 'none'" in answer.headers["Content-Security-Policy"], "it may load nothing else")
    place.browser = browser
    return f"offered, handled, abandoned {', '.join(figures)} in Chromium, as the service says; filtered by keyboard"


def killed(place):
    """The service is killed during a call: nobody notices, and nothing is missing or doubled when it is back."""
    until(5, "the lost desktop has logged its agent out", lambda: place.a.ask("agent", "list") == [])
    agent = Desktop(place.bed, place.a, "agent02")
    agent.log_in("1002", "2002", mode="AutoIn")
    place.phone.manner = "answer"
    before = len(place.segments("handled", "7000"))
    caller = place.gateway.call("7000")
    caller.hears("200 INVITE")
    place.primary.shows("agent:2002", status="CallInbound")
    place.primary.kill()
    state = "document.getElementById('link').dataset.state"
    until(5, "the page says that it is not up to date", lambda: place.browser.value(state) == "lost")
    other = place.gateway.call("7000")
    other.hears("182 INVITE")
    expect(not caller.over, "the call goes on without statistics")
    caller.bye()
    other.hears("200 INVITE", seconds=5)
    other.bye()
    place.primary.start()
    until(15, "the page is live again", lambda: place.browser.value(state) == "live")
    place.primary.shows("queue:floor-a:7000", waiting=0)
    until(5, "both calls are in the history, once", lambda: len(place.segments("handled", "7000")) == before + 2)
    until(5, "the JSON lines are the rows of the database", lambda: place.lines().keys() == place.rows().keys())
    today = place.primary.object("queue:floor-a:7000")["today"]
    kept = sum(today[key] for key in ("handled", "abandoned", "diverted", "unseen"))
    expect(today["offered"] == kept, f"offered is the sum of what became of them: {today}")
    agent.close()
    return f"{len(place.rows())} rows, each once, in both files; two calls were not touched"


def backup(place):
    """A second process with the same files takes over when the first is killed."""
    place.backup.start()
    expect(place.backup.all()["role"].lower() == "backup", f"the second is the backup: {place.backup.all()['role']}")
    place.primary.kill()
    until(5, "the backup is the primary", lambda: place.backup.all()["role"].lower() == "primary")
    before = len(place.segments("abandoned", "7000"))
    until(5, "nobody is logged in", lambda: place.a.ask("agent", "list") == [])
    caller = place.gateway.call("7000")
    caller.hears("182 INVITE")
    place.backup.shows("queue:floor-a:7000", waiting=1)
    caller.cancel()
    until(5, "the call is in the history", lambda: len(place.segments("abandoned", "7000")) == before + 1)
    until(5, "the JSON lines are the rows of the database", lambda: place.lines().keys() == place.rows().keys())
    return "the backup writes on where the primary was killed"


def one_status(place):
    """BCA-19: one status for a place with both Extensions; it follows the login from the site that is lost."""
    desk = Desktop(place.bed, place.a, "agent03")
    desk.log_in("1011", "2003", mode="AutoIn")
    place.backup.shows("place:desk-11", status="WaitForNextCall", site="floor-a")
    place.a.kill()
    place.backup.shows("site:floor-a", connected=False)
    stale = place.backup.shows("place:desk-11", stale=True)
    until(10, "B is alone", lambda: place.b.mode() == "single-site")
    desk = Desktop(place.bed, place.b, "agent03")
    desk.log_in("1011", "2003", mode="ManualIn")
    now = place.backup.shows("place:desk-11", status="NotReadyForNextCall", site="floor-b")
    expect(not now.get("stale"), f"the status is B's, and fresh: {now}")
    expect(sum(found["object"] == "agent:2003" for found in place.backup.all()["objects"]) == 1, "one status")
    return f"{stale['status']} at A, lost with it; then {now['status']} at B"


def statistics(bed: Bed):
    place = Place(bed)
    place.primary.start()
    for play in (figures, live, page, killed, backup, one_status):
        print(f"    {play.__name__.replace('_', ' ')}: {play(place)}", flush=True)


if __name__ == "__main__":
    main("stat", statistics)
