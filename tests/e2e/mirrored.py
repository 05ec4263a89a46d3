#!/usr/bin/env python3
"""BCA-04: each site has a SIP server, a media server and a statistics service of its own. Those of site A are killed one
after the other, and after each one site B is looked at: its callers hear music, its agent takes calls, its statistics count.
"""

import json
import os
import shutil
import urllib.request

from bed import CONFIG, Bed, Failed, Site, configuration, expect, main, tandem, until
from desk import Desktop
from stage import GATEWAY
from treatment import tone
from ua import Agent

HOSTS = {"a": "127.0.0.71", "b": "127.0.0.72"}
STAT = {"a": "127.0.0.73", "b": "127.0.0.74"}
MEDIA = {"a": "127.0.0.75", "b": "127.0.0.76"}


class Own:
    """Everything that one site runs."""

    def __init__(self, bed, name, folder):
        self.bed, self.name = bed, name
        with open(f"{CONFIG}/floor-{name}.toml") as file:
            text = file.read()
        for included in ("floor-both.toml", "persons.toml"):
            text = text.replace(f'"{included}"', f'"{bed.folder}/{included}"')
        path = os.path.join(bed.folder, f"site-{name}.toml")
        with open(path, "w") as file:
            file.write(text + f'\n[media]\nrtpengine = ["{MEDIA[name]}:22222"]\ndirectory = "{folder}"\n')
        self.media = bed.run(f"media-{name}", [
            "rtpengine", "--config-file=none", "--table=-1", f"--interface={MEDIA[name]}", f"--listen-ng={MEDIA[name]}:22222", "--foreground",
            f"--listen-cli={MEDIA[name]}:2224", "--log-stderr", "--port-min=36000", "--port-max=36400", f"--pidfile={bed.folder}/media-{name}.pid"])
        self.site = Site(bed, f"floor-{name}", HOSTS[name], 5070, f"{HOSTS[name]}:8070", ["--config", path, "--log", "info"])
        self.site.start()
        until(10, f"the media server of {name} works", self.has_media)
        number = {"a": 1, "b": 2}[name]
        self.dn, self.agent, self.user = f"100{number}", f"200{number}", f"agent0{number}"
        self.phone = Agent(bed, f"phone-{name}", f"127.0.1.{number}", self.site, manner="answer").register(self.dn)
        self.stat = None

    def has_media(self):
        with urllib.request.urlopen(f"{self.site.url}/metrics") as page:
            return "\ntandem_media_engines_up 1\n" in page.read().decode()

    def count(self):
        """Starts the statistics service of this site, which watches both."""
        path = os.path.join(self.bed.folder, f"stat-{self.name}.toml")
        sites = "".join(f'[[stat.site]]\nswitch = "floor-{name}"\nurl = "ws://{host}:8071/cti"\nuser = "supervisor"\n'
                        f'password-file = "{self.bed.folder}/password"\n' for name, host in HOSTS.items())
        with open(path, "w") as file:
            file.write(f'include = ["{self.bed.folder}/floor-both.toml"]\n[stat]\nlisten = "{STAT[self.name]}:8090"\n'
                       f'database = "{self.bed.folder}/stat-{self.name}.db"\n{sites}')
        self.stat = self.bed.run(f"stat-{self.name}", [tandem(), "stat", "--config", path])
        until(10, f"the statistics of {self.name} are connected", lambda: (self.counted("site:floor-b") or {}).get("connected"))

    def counted(self, name):
        """An object of this site's own statistics."""
        try:
            with urllib.request.urlopen(f"http://{STAT[self.name]}:8090/stat.json") as page:
                objects = json.load(page)["objects"]
        except OSError:
            return None
        return next((found for found in objects if found["object"] == name), None)

    def serves(self):
        """A caller hears the music of this site's own media server, the agent takes his call, and it is counted."""
        handled = lambda: ((self.counted(f"queue:floor-{self.name}:7000") or {}).get("today") or {}).get("handled")
        before = handled()
        expect(before is not None, f"the statistics of {self.name} answer")
        self.gateway.server = (self.site.host, self.site.port)
        caller = self.gateway.call("7000")
        told = caller.hears("183 INVITE")
        expect(told.media()[0] == MEDIA[self.name], f"music comes from {MEDIA[self.name]}, but {told.media()}")
        desk = Desktop(self.bed, self.site, self.user)
        desk.log_in(self.dn, self.agent, mode="AutoIn")
        call = desk.hear("EventRinging", ThisQueue="7000")["ConnID"]
        desk.hear("EventEstablished", ConnID=call)
        caller.hears("200 INVITE")
        caller.bye()
        desk.hear("EventReleased", ConnID=call)
        desk.leave(self.dn)
        until(5, f"the statistics of {self.name} have counted it", lambda: handled() == before + 1)

    def kill(self, what):
        process = {"statistics service": self.stat, "media server": self.media}.get(what)
        if process:
            process.kill()
            process.wait()
        else:
            self.site.kill()


def mirrored(bed: Bed):
    if not shutil.which("rtpengine"):
        raise Failed("rtpengine is not installed: sh tests/e2e/tools.sh rtpengine")
    folder = os.path.join(bed.folder, "media")
    os.mkdir(folder)
    tone(f"{folder}/hold.wav", 440, 1)
    shared = configuration("floor-both.toml").replace(
        'treatment = "queued"\noverflow = "1001"\noverflow-without-agents = true', 'treatment = "music:hold.wav"')
    expect("music:hold.wav" in shared, "floor-both.toml has the queue that this test gives music to")
    for name, text in (("floor-both.toml", shared), ("persons.toml", configuration("persons.toml")),
                       ("password", "secret-supervisor\n")):
        with open(os.path.join(bed.folder, name), "w") as file:
            file.write(text)
    a, b = (Own(bed, name, folder) for name in HOSTS)
    until(10, "both sites are peered", lambda: a.site.mode() == b.site.mode() == "peered")
    gateway = Agent(bed, "gateway", GATEWAY, a.site, manner="silent")
    for own in (a, b):
        own.gateway = gateway
        own.count()
        own.serves()
    print("    both sites serve, each with servers of its own", flush=True)
    for what in ("statistics service", "media server", "SIP server"):
        a.kill(what)
        b.serves()
        print(f"    the {what} of A is killed: callers at B hear music, an agent takes them, and B's statistics count",
              flush=True)
    until(10, "B works alone", lambda: b.site.mode() == "single-site")
    b.serves()
    b.site.stop()


if __name__ == "__main__":
    main("mirrored", mirrored)
