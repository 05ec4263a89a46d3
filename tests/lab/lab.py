#!/usr/bin/env python3
"""The lab: two sites, each in a network namespace of its own with one cable to the world, SIPp phones and a SIPp gateway
that stand for customers, and three drills in which the lab itself cuts what is to be lost.

lab.py FOLDER   writes link-loss, slow-link and site-loss there, as .json and .html
"""

import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

from bed import Site, Skipped, expect, main, tandem, until  # noqa: E402

HOSTS = {"a": "10.77.1.1", "b": "10.77.2.1"}
WORLD = {"a": "10.77.1.254", "b": "10.77.2.254"}
# Addresses in the world: the drill's phones and gateway; SIPp's gateway, phones of site A, phones of site B.
OTHERS = ["10.77.9.1", "10.77.9.2", "10.77.8.2", "10.77.8.11", "10.77.8.12"]
SIPP = {"a": [str(n) for n in range(2000, 2050)], "b": [str(n) for n in range(3000, 3050)]}
# What a drill adds to `tandem drill KIND --plan drill.toml`.
TIMES = ["--before", "8s", "--hold", "8s", "--after", "5s"]
DRILLS = [("link-loss", []), ("slow-link", ["--delay", "400ms", "--for", "15s"]), ("site-loss", ["--goal", "15s"])]
RATE, TALK_MS, LOAD_S = 10, 2000, 240


def sh(*words, **options):
    subprocess.run([str(word) for word in words], check=True, **options)


def prepare():
    """Runs this script anew in a network namespace of its own: the world of the lab."""
    missing = [tool for tool in ("unshare", "nsenter", "ip", "nft", "sipp") if not shutil.which(tool)]
    if missing:
        raise Skipped(f"{', '.join(missing)} not installed")
    apart = ["sh", os.path.join(os.path.dirname(HERE), "e2e", "apart.sh")]
    if subprocess.run([*apart, "nft", "add table ip probe"], capture_output=True).returncode:
        raise Skipped("this machine gives no network namespace of one's own (not root, or in a container)")
    if not os.environ.get("TANDEM_E2E_APART"):
        os.execvp(apart[0], [*apart, sys.executable, *sys.argv])


class Lab:
    def __init__(self, bed, out):
        self.bed, self.out, self.folder = bed, out, bed.folder
        self.configure()
        for address in OTHERS:
            sh("ip", "addr", "add", f"{address}/32", "dev", "lo")
        with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
            file.write("1")
        self.inside = {name: self.network(name) for name in HOSTS}
        os.environ["LAB_SITE_A"] = str(self.inside["a"])
        self.sites = {}
        for name, host in HOSTS.items():
            site = Site(bed, f"site-{name}", host, 5060, f"{host}:8060", [])
            self.start(site, name)
            self.sites[name] = site
        self.is_peered(10)

    def network(self, name):
        """A network namespace with one cable, which leads to the world; gives a process that lives in it."""
        holder = self.bed.run(f"network-{name}", ["unshare", "--net", "sleep", "infinity"])
        until(5, f"site {name} has a network of its own",
              lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
        world, host, inside = f"to-{name}", HOSTS[name], ["nsenter", "-t", holder.pid, "-n"]
        sh("ip", "link", "add", world, "type", "veth", "peer", "name", "eth0", "netns", holder.pid)
        sh("ip", "addr", "add", f"{WORLD[name]}/24", "dev", world)
        sh("ip", "link", "set", world, "up")
        sh(*inside, "ip", "addr", "add", f"{host}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            sh(*inside, "ip", "link", "set", device, "up")
        sh(*inside, "ip", "route", "add", "default", "via", WORLD[name])
        return holder.pid

    def start(self, site, name):
        """As Site.start, but in the site's own network."""
        command = ["nsenter", "-t", str(self.inside[name]), "-n", tandem(), "serve", "--config", f"site-{name}.toml", "--log", "info"]
        site.process = self.bed.run(site.name, command, cwd=self.folder, env=self.bed.environment())
        until(10, f"{site.name} answers its administration interface", site.is_up)

    def configure(self):
        with open(os.path.join(HERE, "site.toml.in")) as file:
            text = file.read()
        for name, other in (("a", "b"), ("b", "a")):
            site = text
            for field, value in (("name", name), ("other", other), ("host", HOSTS[name]), ("peer", HOSTS[other])):
                site = site.replace(f"@{field}@", value)
            self.write(f"site-{name}.toml", site)
        hashed = lambda secret: subprocess.run([tandem(), "hash-password", "--memory", "256", "--iterations", "1"], check=True,
                                               input=f"{secret}\n", capture_output=True, text=True).stdout.strip()
        office = ['[[extension]]\nnumbers = "%s"\npassword = "secret-{number}"\n' % numbers
                  for numbers in ("2000-2049", "3000-3049", "7001-7200", "7301-7340")]
        office.append('[[agent-login]]\nids = "8001-8240"\n')
        office.append(f'[[person]]\nuser = "admin"\npassword-hash = "{hashed("secret-admin")}"\nrole = "administrator"\n')
        everybody = hashed("secret-lab")
        for number in range(1, 241):
            office.append(f'[[person]]\nuser = "drill{number:03}"\npassword-hash = "{everybody}"\nrole = "agent"\n'
                          f'agent-logins = ["{8000 + number}"]\n')
        self.write("office.toml", "\n".join(office))
        for name in ("drill.toml", "cut.sh"):
            shutil.copy(os.path.join(HERE, name), self.folder)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    def is_peered(self, seconds):
        until(seconds, "both sites are peered", lambda: all(site.mode() == "peered" for site in self.sites.values()))

    def customers(self, name):
        """SIPp phones of a site, and a SIPp gateway that calls them there, for as long as the lab lasts."""
        host, site, port = {"a": "10.77.8.11", "b": "10.77.8.12"}[name], self.sites[name], {"a": 5061, "b": 5062}[name]
        self.bed.phones(f"phones-{name}", host, 5060)
        expect(self.bed.register(site, SIPP[name], host, 5060, name=f"register-{name}", expires=3600), f"SIPp's phones register at {name}")
        return self.bed.sipp(f"gateway-{name}", "call.xml", "10.77.8.2", port, remote=f"{site.host}:5060",
                             rows=[(number,) for number in SIPP[name]], options=["-r", RATE, "-m", RATE * LOAD_S, "-d", TALK_MS, "-l", 1000])

    def drill(self, kind, words):
        """One drill; the lab's cut does it, or where this kernel cannot delay packets the site itself."""
        outside = kind != "slow-link" or self.can_delay()
        words = [*words, *(["--inject-with", "sh cut.sh"] if outside else ["--user", "admin"])]
        command = ["drill", kind, "--plan", "drill.toml", *TIMES, *words, "--report", kind]
        with open(os.path.join(self.folder, f"{kind}.log"), "w") as log:
            code = subprocess.run([tandem(), *command], stdout=log, stderr=subprocess.STDOUT, cwd=self.folder,
                                  env={**os.environ, "TANDEM_CTI_PASSWORD": "secret-admin", "XDG_STATE_HOME": "state"}).returncode
        with open(os.path.join(self.folder, f"{kind}.log")) as log:
            said = log.read()
        for ending in ("json", "html"):
            if os.path.exists(os.path.join(self.folder, f"{kind}.{ending}")):
                shutil.copy(os.path.join(self.folder, f"{kind}.{ending}"), self.out)
        told = [line for line in said.splitlines() if line[:6] in ("met   ", "MISSED", "lost  ", "verdic", "tandem")]
        print("".join(f"    {line}\n" for line in [kind, *told]), flush=True)
        expect(code == 0, f"the drill {kind} passes, but it ends with {code}:\n{said[-3000:]}")

    def can_delay(self):
        inside = ["nsenter", "-t", str(self.inside["b"]), "-n", "tc", "qdisc"]
        able = subprocess.run([*inside, "add", "dev", "eth0", "root", "netem", "delay", "1ms"], capture_output=True).returncode == 0
        if able:
            subprocess.run([*inside, "del", "dev", "eth0", "root"], check=True)
        return able


def play(bed):
    lab = Lab(bed, out)
    customers = {name: lab.customers(name) for name in HOSTS}
    for kind, words in DRILLS:
        if kind == "site-loss":
            before = customers["a"].calls()
            expect(before[1] == 0, f"SIPp's calls wholly at A lose nobody while the link is lost or slow, but (done, failed) is {before}")
        lab.drill(kind, words)
        lab.is_peered(10)
        done, failed = customers["b"].calls()
        print(f"    SIPp's calls wholly at site B so far: {done} done, {failed} failed", flush=True)
        expect(failed == 0 and done > 0, f"calls wholly at B are untouched, but {failed} of {done} failed")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = os.path.abspath(sys.argv[1])
    os.makedirs(out, exist_ok=True)
    main("lab", play, prepare)
