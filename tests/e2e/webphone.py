#!/usr/bin/env python3
"""Browser softphones of two makes, JsSIP and SIP.js, in a real browser over secure WebSocket: they call and are called by a
phone that speaks plain RTP, hold, and hang up, their media carried by rtpengine; an engine is killed during a call; and a
site is.
"""

import base64
import functools
import hashlib
import http.server
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
import urllib.request

from bed import HERE, Bed, Failed, Site, Skipped, configuration, expect, main, until
from browser import Browser
from certificates import authority, certificate
from ua import Agent

A, B, PHONE, OTHER = "127.0.0.111", "127.0.0.112", "127.0.0.114", "127.0.0.115"
ENGINES = ("127.0.0.117", "127.0.0.118")
FLAGS = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--allow-loopback-in-peer-connection",
         "--disable-features=WebRtcHideLocalIpsWithMdns", "--autoplay-policy=no-user-gesture-required"]
BUNDLE = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(os.path.dirname(os.path.dirname(HERE)), "target")), "webphone")


class Ear:
    """The RTP of a phone: it sends 50 packets a second to where it is told, and counts what comes."""

    def __init__(self, line):
        self.line, self.heard, self.number = line, 0, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((line.ua.host, line.port))
        self.socket.settimeout(0.02)
        self.stopped = False
        threading.Thread(target=self.talk, daemon=True).start()

    def talk(self):
        due = time.monotonic()
        while not self.stopped:
            try:
                self.socket.recv(2048)
                self.heard += 1
            except TimeoutError:
                pass
            except OSError:
                return
            if time.monotonic() >= due and self.line.told:
                due += 0.02
                self.number += 1
                head = struct.pack("!BBHII", 0x80, 8, self.number & 0xFFFF, self.number * 160 & 0xFFFFFFFF, 77)
                try:
                    self.socket.sendto(head + bytes(i * 7 & 0xFF for i in range(160)), self.line.told[:2])
                except OSError:
                    pass

    def close(self):
        self.stopped = True
        self.socket.close()


def fingerprint(bed, site):
    """Of a site's key, by which the browser is told to trust it."""
    with open(os.path.join(bed.folder, f"{site.name}.pem")) as file:
        pem = subprocess.run(["openssl", "x509", "-pubkey", "-noout"], input=file.read(), capture_output=True, text=True, check=True).stdout
    body = base64.b64decode("".join(pem.splitlines()[1:-1]))
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


class Webphone:
    """One page with one softphone."""

    def __init__(self, bed, kind, user, sites, page):
        trusted = f"--ignore-certificate-errors-spki-list={','.join(fingerprint(bed, site) for site in sites)}"
        self.browser = Browser(bed, page, flags=[*FLAGS, trusted])
        until(10, "the page is there", lambda: self.browser.value("!!window.phone"))
        options = {"sites": [f"wss://{site.host}:5443/" for site in sites], "user": user, "password": f"secret-{user}",
                   "host": sites[0].host}
        self.browser.value(f"phone.start({json.dumps(kind)}, {json.dumps(options)})")
        self.kind = kind

    def state(self):
        return json.loads(self.browser.value("phone.state()"))

    def do(self, *words):
        self.browser.value(f"phone.do({', '.join(map(json.dumps, words))})")

    def is_in(self, **wanted):
        def fits():
            now = self.state()
            return all(now[key] == value for key, value in wanted.items())
        try:
            return until(15, f"{self.kind} is {wanted}", fits)[1]
        except Failed as why:
            raise Failed(f"{why}; it is {self.state()}") from None

    def is_at(self, site):
        begin = time.monotonic()
        try:
            until(15, f"{self.kind} registers at {site.name}", lambda: (self.state()["registered"] or "").startswith(f"wss://{site.host}:"))
        except Failed as why:
            raise Failed(f"{why}; {self.state()['log']} {[str(c)[:400] for c in self.browser.complaints[-5:]]}") from None
        return time.monotonic() - begin

    def media(self):
        return json.loads(self.browser.value("phone.media()", wait=True))

    def forget(self):
        self.browser.value("phone.forget()")


def talk(webphone, ear, what, seconds=6):
    """Sound in both directions, counted at both ends; how long until it was there."""
    begin = time.monotonic()
    received, sent = webphone.media()
    heard = ear.heard

    def flows():
        now = webphone.media()
        return now[0] - received > 25 and now[1] - sent > 25 and ear.heard - heard > 25
    try:
        until(seconds, what, flows)
    except Failed as why:
        now = webphone.media()
        raise Failed(f"{why}; the browser received {now[0] - received} and sent {now[1] - sent}, the phone heard "
                     f"{ear.heard - heard}; {webphone.state()}") from None
    return time.monotonic() - begin


def rtpengine(bed, number, host):
    return bed.run(f"rtpengine-{number}", ["rtpengine", "--table=-1", f"--interface={host}", f"--listen-ng={host}:22222", f"--listen-cli={host}:2224", f"--listen-http={host}:2225",
                                           "--foreground",
                                           "--log-stderr", "--port-min=36000", "--port-max=36400",
                                           f"--pidfile={bed.folder}/rtpengine-{number}.pid"])


def metric(site, name):
    with urllib.request.urlopen(f"{site.url}/metrics") as page:
        text = page.read().decode()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def sessions(host):
    """Calls that an engine has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.settimeout(2)
        # A cookie that it knows gets the old answer.
        wire.sendto(f'{time.monotonic_ns()} {{"command": "list", "limit": 100}}'.encode(), (host, 22222))
        return json.loads(wire.recv(65535).split(b" ", 1)[1])["calls"]


def site(bed, name, host, peer):
    text = configuration("secure.toml").replace("NAME", name).replace("HOST", host).replace("PEER", peer)
    # A browser gives up a WebSocket whose server asks for a certificate of its user.
    text = text.replace('client-ca-file = "ca.pem"\n', "").replace("tls-client-certificate = true\n", "")
    text = text.replace("[TServer]\n", '[TServer]\nauthenticate-requests = ["register"]\n')
    path = os.path.join(bed.folder, f"{name}.toml")
    with open(path, "w") as file:
        engines = json.dumps([f"{engine}:22222" for engine in ENGINES])
        file.write(text.replace("127.0.0.84:5060", "127.0.0.119:5060") + f"\n[media]\nrtpengine = {engines}\n")
    return Site(bed, name, host, 5070, f"{host}:8070", ["--config", path, "--log", "info"])


def served(bed):
    """Address of the page."""
    folder = os.path.join(bed.folder, "page")
    os.mkdir(folder)
    shutil.copy(os.path.join(BUNDLE, "phone.js"), folder)
    with open(os.path.join(folder, "index.html"), "w") as page:
        page.write("<!doctype html><meta charset=utf-8><title>webphone</title><script src=phone.js></script>")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_all):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    bed.closers.append(server.shutdown)
    return f"http://127.0.0.1:{server.server_port}/index.html"


def day(bed, kind, a, web, phone, other):
    """What a phone does every day."""
    web.do("call", "1002")
    line = phone.fresh_line()
    web.is_in(call="up")
    ear = Ear(line)
    talk(web, ear, f"{kind} calls a phone, and both hear each other")
    told = line.got("INVITE")[0]
    expect("RTP/AVP" in told.body and "fingerprint" not in told.body, f"the phone is offered plain RTP, but: {told.body}")
    web.do("hold")
    web.is_in(held=True)
    line.has_media(told.media()[0], direction="sendonly")
    # While the answer to its last INVITE is on the way, JsSIP does nothing.
    until(10, f"{kind} takes the call back", lambda: web.do("resume") or time.sleep(0.3) or not web.state()["held"])
    talk(web, ear, f"{kind} takes the call back")
    web.do("hangUp")
    line.ends()
    web.is_in(call="ended")
    ear.close()
    web.forget()

    line = phone.call("1001", caller="1002")
    web.is_in(call="up")
    ear = Ear(line)
    talk(web, ear, f"a phone calls {kind}")
    line.bye()
    web.is_in(call="ended")
    ear.close()
    web.forget()
    until(5, "no session stays at the engines", lambda: not any(sessions(engine) for engine in ENGINES))
    expect(metric(a, "tandem_media_anchored") == 0, "no leg is anchored any more")
    print(f"    {kind} calls, holds, takes back, hangs up, is called; both hear each other each time, and no session stays", flush=True)

    web.do("call", "1002")
    line = phone.fresh_line()
    web.is_in(call="up")
    ear = Ear(line)
    talk(web, ear, f"{kind} calls once more")
    web.do("transfer", "1003")
    moved = other.fresh_line()
    web.is_in(transfer="done")
    ear.close()
    line.has_media(OTHER)
    if web.state()["call"] != "ended":
        web.do("hangUp")
    expect(not line.over, "the phone talks on")
    moved.bye()
    line.ends()
    print(f"    {kind} transfers the call to a third phone, which then has the second's media, not the engine's", flush=True)
    web.forget()
    until(5, "no call stays", lambda: not a.ask("call", "list"))


def engine_lost(bed, kind, a, web, phone, engines):
    """The engine of a call is killed: the call stays, and its sound comes back."""
    web.do("call", "1002")
    line = phone.fresh_line()
    web.is_in(call="up")
    ear = Ear(line)
    talk(web, ear, f"{kind} talks")
    place = next(i for i, host in enumerate(ENGINES) if sessions(host))
    call = a.ask("call", "list")[0]["call_uuid"]
    engines[place].kill()
    engines[place].wait()
    took = talk(web, ear, "sound is back by the other engine", seconds=12)
    now = a.ask("call", "list")
    expect([call] == [c["call_uuid"] for c in now] and not line.over, f"the same call goes on, but {now}")
    why = str(a.ask("why", call))
    expect("was lost: both parties are offered another one" in why, f"`tandem why` says so, but: {why}")
    print(f"    {kind}: the engine is killed during the call; the call stays, and sound is back within {took:.1f} s", flush=True)
    web.do("hangUp")
    line.ends()
    web.is_in(call="ended")
    ear.close()
    web.forget()
    engines[place] = rtpengine(bed, place, ENGINES[place])
    until(10, "the engine is back", lambda: metric(a, "tandem_media_engines_up") == 2)


def site_lost(kind, a, b, web):
    a.kill()
    print(f"    {kind}: its site is killed; registered at the other within {web.is_at(b):.1f} s", flush=True)


def webphones(bed: Bed):
    for command in ("rtpengine", "chromium"):
        if not shutil.which(command):
            raise Skipped(f"{command} is not installed: sh tests/e2e/tools.sh {command}")
    if not os.path.exists(os.path.join(BUNDLE, "phone.js")):
        raise Skipped("the softphones are not bundled: sh tests/e2e/webphone/build.sh")
    authority(bed.folder, "ca")
    certificate(bed.folder, "site-a", A)
    certificate(bed.folder, "site-b", B)
    engines = [rtpengine(bed, number, host) for number, host in enumerate(ENGINES)]
    a, b = site(bed, "site-a", A, B), site(bed, "site-b", B, A)
    a.start()
    b.start()
    until(10, "both engines work", lambda: metric(a, "tandem_media_engines_up") == 2)
    phone = Agent(bed, "phone", PHONE, a, manner="answer").register("1002")
    other = Agent(bed, "other", OTHER, a, manner="answer").register("1003")
    phone.mirrors = True
    page = served(bed)
    for kind in ("jssip", "sipjs"):
        web = Webphone(bed, kind, "1001", [a, b], page)
        web.is_at(a)
        day(bed, kind, a, web, phone, other)
        engine_lost(bed, kind, a, web, phone, engines)
        site_lost(kind, a, b, web)
        web.browser.close()
        a.start()
        until(10, "site A is back, and its engines", lambda: metric(a, "tandem_media_engines_up") == 2)
        phone.register("1002")
        other.register("1003")


if __name__ == "__main__":
    main("webphone", webphones)
