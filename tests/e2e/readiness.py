#!/usr/bin/env python3
"""Whether a site may be lost, as an operator asks it: phones register here, there and at both sites, agents work, a call
runs, objects and trunks are missing at one site; then the peer does not let itself be asked, or is gone.
"""

import http.server
import json
import os
import ssl
import subprocess
import threading
import urllib.request

from bed import Bed, Site, configuration, expect, main, tandem, until
from desk import Desktop
from floor_tls import certificates
from ua import Agent

HOSTS = {"a": "127.0.0.71", "b": "127.0.0.72"}
GATEWAY = "127.0.0.60"
SUPERVISOR = "secret-supervisor"


def configured(bed, name, more="", peer="http://{host}:8070", expires=40, options=""):
    """One of the two sites of the floor plays, which asks the other one as the supervisor."""
    other = "b" if name == "a" else "a"
    options = f"[TServer]\nmax-expires = {expires}\ndefault-expires = {expires}\n{options}"
    text = configuration(f"floor-{name}.toml").replace("[TServer]\n", options)
    text += f"""
[peer-http]
url = "{peer.format(host=HOSTS[other])}"
user = "supervisor"
password-file = "{bed.folder}/password"
ca-file = "{bed.folder}/ca.pem"

[readiness]
recovery-goal = 60
{more}"""
    path = os.path.join(bed.folder, f"floor-{name}.toml")
    with open(path, "w") as file:
        file.write(text)
    return path


def secret(bed, password):
    with open(os.path.join(bed.folder, "password"), "w") as file:
        file.write(password + "\n")


def ask(site, *words, user="supervisor", password=SUPERVISOR):
    """`tandem readiness WORDS`: exit code and what it says."""
    done = subprocess.run([tandem(), "readiness", "--server", site.url, "--user", user, *words],
                          capture_output=True, text=True, env={**os.environ, "TANDEM_CTI_PASSWORD": password})
    return done.returncode, done.stdout + done.stderr


def report(site, code):
    """The report as JSON, and what was found: id, severity and which loss it is about."""
    ended, said = ask(site, "--json")
    expect(ended == code, f"`tandem readiness` at {site.name} ends with {code}, but {ended}: {said}")
    told = json.loads(said)
    return told, {(reason["id"], reason["severity"], reason["lost"]) for reason in told["reasons"]}


def expect_found(site, code, *wanted):
    told, found = report(site, code)
    expect(found == set(wanted), f"{site.name} finds {sorted(wanted)}, but {sorted(found)}: {told}")
    return told


def outlook(told, lost, **wanted):
    found = next(outlook for outlook in told["outlooks"] if outlook["lost"] == lost)
    wrong = {key: found[key] for key, value in wanted.items() if found[key] != value}
    expect(not wrong, f"the loss of {lost} means {wanted}, but {wrong}")


def metrics(site):
    with urllib.request.urlopen(f"{site.url}/metrics") as page:
        return page.read().decode()


class Sites:
    def __init__(self, bed, **change):
        self.bed = bed
        secret(bed, SUPERVISOR)
        for name, host in HOSTS.items():
            site = Site(bed, f"floor-{name}", host, 5070, f"{host}:8070", ["--config", configured(bed, name, **change), "--log", "info"])
            setattr(self, name, site)
            site.start()
        self.peered()
        self.gateway = Agent(bed, "gateway", GATEWAY, self.a, manner="silent")

    def peered(self):
        until(10, "both sites are peered", lambda: self.a.mode() == self.b.mode() == "peered")

    def again(self, name, **change):
        """The site is started anew with another configuration."""
        site = getattr(self, name)
        site.stop()
        configured(self.bed, name, **change)
        site.start()


class Proxy:
    """Stands before a site's administration interface, and ends TLS."""

    def __init__(self, bed, site, host, port, tls=True):
        class Pass(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                request = urllib.request.Request(site.url + self.path, headers={"Authorization": self.headers.get("Authorization", "")})
                with urllib.request.urlopen(request) as answer:
                    body = answer.read()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((host, port), Pass)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(f"{bed.folder}/server.pem", f"{bed.folder}/server.key")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        bed.closers.append(self.close)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        """Nothing answers there any more."""
        self.server.shutdown()
        self.server.server_close()


def phones_and_agents(sites):
    """Nobody has asked yet; then a phone at one site, at both, and an agent with each; a call."""
    expect("tandem_readiness" not in metrics(sites.a), "no figures before somebody has asked")
    told = expect_found(sites.a, 0)
    expect((told["score"], told["peer"], told["ready"], told["complete"]) == (100, "floor-b", True, True), f"{told}")
    single = Agent(sites.bed, "single", "127.0.1.2", sites.a).register("1002")
    for host, site in (("127.0.1.11", sites.a), ("127.0.1.12", sites.b)):
        Agent(sites.bed, f"dual-{site.name}", host, site, manner="answer").register("1011")
    one, two = Desktop(sites.bed, sites.a, "agent02"), Desktop(sites.bed, sites.a, "agent03")
    one.log_in("1002", "2002")
    two.log_in("1011", "2003")
    call = sites.gateway.call("1011")
    call.hears("200 INVITE")
    told = expect_found(sites.a, 0, ("phones-move", "note", "this-site"), ("calls-lost", "note", "this-site"))
    outlook(told, "this-site", agents=2, phone_there=1, phone_moves=1, moves_within_s=40, phone_lost=0, calls_lost=1, score=100)
    outlook(told, "peer-site", agents=0, calls_lost=0, score=100)
    told = expect_found(sites.b, 0, ("phones-move", "note", "peer-site"), ("calls-lost", "note", "peer-site"))
    outlook(told, "peer-site", server="floor-a", left="floor-b", agents=2, phone_there=1, phone_moves=1)
    ended, said = ask(sites.a)
    expect(ended == 0 and "READY, score 100 of 100" in said and "1 move it within 40 s, 0 have none; 1 calls lost" in said, said)
    page = metrics(sites.a)
    for line in ('tandem_readiness_score{direction="this-site"} 100', 'tandem_readiness_reasons{severity="note"} 2',
                 "tandem_readiness_asked_seconds "):
        expect(line in page, f"/metrics has {line}")
    call.bye()
    call.ends()
    for desk, dn in ((one, "1002"), (two, "1011")):
        desk.hear_until("EventReleased") if desk is two else None
        desk.close()
    return single


def objects_and_trunks(sites):
    """Site B lacks a queue that A has, and A a trunk that B has; registrations last longer than the goal; B's desktops."""
    queue = '[[acd-queue]]\nnumber = "7009"\nagents = ["2001"]\n'
    sites.again("a", more=queue, expires=300)
    carrier = '[[trunk]]\nname = "carrier"\ncontact = "sip:127.0.0.61:5060"\n[desktop]\nsite-timeout = 0\n'
    sites.again("b", more=carrier)
    sites.peered()
    Agent(sites.bed, "slow", "127.0.1.3", sites.a).register("1003")
    desk = Desktop(sites.bed, sites.a, "agent04")
    desk.log_in("1003", "2004")
    told = expect_found(sites.a, 1, ("queues-missing", "blocker", "this-site"), ("phones-move-late", "warning", "this-site"),
                        ("trunks-single-homed", "warning", "peer-site"), ("desktops-stay", "warning", "peer-site"))
    late = next(reason for reason in told["reasons"] if reason["id"] == "phones-move-late")
    expect(late["examples"] == ["2004 at 1003"] and "within 300 s" in late["text"], f"{late}")
    missing = next(reason for reason in told["reasons"] if reason["id"] == "queues-missing")
    expect((missing["count"], missing["of"], missing["examples"]) == (1, 2, ["7009"]), f"{missing}")
    expect(told["score"] < 50, f"a blocker keeps the score below 50: {told}")
    ended, said = ask(sites.a)
    expect(ended == 1 and "NOT READY" in said and "BLOCKER, if floor-a dies  [queues-missing]" in said, said)
    desk.close()
    return said


def unasked(sites):
    """The peer cannot be asked: no verdict, what is known is judged, and the reason says what to do."""
    def refused(text, advice, code=2):
        told, found = report(sites.a, code)
        expect(("peer-not-asked", "blocker", "either") in found and not told["complete"], f"{found}")
        reason = next(reason for reason in told["reasons"] if reason["id"] == "peer-not-asked")
        expect(text in reason["text"] and advice in reason["advice"], f"says {text} and {advice}, but {reason}")
        outlook(told, "peer-site", agents=None)

    secret(sites.bed, "wrong")
    refused('does not accept the user "supervisor"', "password-file")
    os.unlink(os.path.join(sites.bed.folder, "password"))
    refused("the password cannot be read", "password-file")
    secret(sites.bed, SUPERVISOR)
    sites.again("a", peer=f"http://{HOSTS['a']}:8070")
    refused("leads to this server itself", "the other site's")
    sites.again("a", peer="https://{host}:8443")
    sites.peered()
    refused("does not answer at https://127.0.0.72:8443", "is the peer up")
    Proxy(sites.bed, sites.b, HOSTS["b"], 8443)
    told, found = report(sites.a, 0)
    expect(told["complete"] and told["peer"] == "floor-b", f"over TLS the peer answers, but {told}")
    os.replace(f"{sites.bed.folder}/other.pem", f"{sites.bed.folder}/ca.pem")
    refused("no certificate that this server trusts", "ca-file")
    sites.again("a")
    sites.peered()
    sites.b.kill()
    refused("does not answer at http://127.0.0.72:8070", "is the peer up")
    until(5, "site A sees it too", lambda: ("peer-trunk-out", "blocker", "peer-site") in report(sites.a, 2)[1])
    for user, password, said in (("supervisor", "nothing", "401"), ("agent01", "secret-agent01", "403")):
        ended, told = ask(sites.a, user=user, password=password)
        expect(ended == 2 and said in told, f"{user} may not ask: {ended} {told}")
    ended, told = ask(Site(sites.bed, "nowhere", "127.0.0.99", 5070, "127.0.0.99:8070", []))
    expect(ended == 2 and "no server answers" in told, f"{ended} {told}")


def readiness(bed: Bed):
    certificates(bed.folder, HOSTS["b"])
    sites = Sites(bed)
    phones_and_agents(sites)
    print("    phones at one site move, phones at both are there; a call and two agents, the same from both sites", flush=True)
    objects_and_trunks(sites)
    print("    a missing queue, a trunk of one site only, slow registrations and desktops that stay are found", flush=True)
    sites.again("b")
    unasked(sites)
    print("    without the peer (password, TLS, gone) there is no verdict, and it says what to do", flush=True)


if __name__ == "__main__":
    main("readiness", readiness)
