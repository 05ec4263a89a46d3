#!/usr/bin/env python3
"""A site under attack: scanners hear nothing, who guesses passwords is locked out, the lines about them are what the shipped
filter of fail2ban reads, whatever they wrote, and a flood of strangers' requests harms no call.
"""

import os
import re
import shutil
import socket
import subprocess
import threading
import time

from bed import HERE, Bed, Site, configuration, expect, main, until

SITE, PHONES, GATEWAY = "127.0.0.31", "127.0.0.32", "127.0.0.33"
SCANNER, GUESSER, LIAR, FLOOD = "127.0.0.41", "127.0.0.42", "127.0.0.43", "127.0.0.44"
FILTER = os.path.join(os.path.dirname(os.path.dirname(HERE)), "packaging", "fail2ban", "filter.d", "tandem.conf")
FLOOD_S, RATE = 6, 5000


def request(method, host, number, user="100", call="1", agent="", extra=""):
    """A request of somebody at `host`, port 5060."""
    return (f"{method} sip:{number}@{SITE}:5070 SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;branch=z9hG4bK{call};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{user}@{host}>;tag=t{call}\r\nTo: <sip:{number}@{SITE}>\r\nCall-ID: {call}\r\n"
            f"CSeq: 1 {method}\r\nContact: <sip:{user}@{host}:5060>\r\nUser-Agent: {agent}\r\n{extra}Content-Length: 0\r\n\r\n").encode()


class Stranger:
    """Somebody with a socket."""

    def __init__(self, bed, host):
        self.host = host
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 5060))
        bed.closers.append(self.socket.close)

    def sends(self, message, seconds=1.0):
        """What it is answered with: the status, or None."""
        self.socket.sendto(message, (SITE, 5070))
        self.socket.settimeout(seconds)
        try:
            return int(self.socket.recv(65536).split(b" ")[1])
        except TimeoutError:
            return None

    def nonce(self, number):
        """One that was given to this address."""
        self.socket.sendto(request("REGISTER", self.host, number, user=number, call=f"n{number}"), (SITE, 5070))
        self.socket.settimeout(1.0)
        return re.search(rb'nonce="([^"]+)"', self.socket.recv(65536))[1].decode()

    def guesses(self, number, call, nonce):
        wrong = (f'Authorization: Digest username="{number}", realm="tandem", nonce="{nonce}", uri="sip:{number}@{SITE}:5070", '
                 f'response="{"0" * 32}", algorithm=MD5, cnonce="1", qop=auth, nc=00000001\r\n')
        return self.sends(request("REGISTER", self.host, number, user=number, call=call, extra=wrong))


def failregex(mode):
    """The expressions of the shipped filter as fail2ban makes them: options put in, <HOST> replaced, the time cut out."""
    with open(FILTER) as file:
        text = re.sub(r"^#.*\n", "", file.read(), flags=re.M)
    options = dict(re.findall(r"^([\w-]+) = (.*(?:\n[ ].*)*)", text, re.M))
    def put_in(value):
        before = None
        while before != value:
            before = value
            value = re.sub(r"%\(([\w-]+)\)s", lambda m: options[m[1]], value)
            value = value.replace("<mode>", mode)
            value = re.sub(r"<(_[\w]+)>", lambda m: options[m[1]], value)
        return value
    lines = put_in(options["failregex"]).splitlines()
    return [re.compile(line.strip().replace("<HOST>", r"(?P<host>[0-9a-fA-F.:]+)", 1)) for line in lines]


def banned(log, mode):
    """Hosts that the filter of this mode finds in a log, in order."""
    found = []
    for line in log.splitlines():
        line = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "", line, count=1)
        found += [match["host"] for match in (expression.search(line) for expression in failregex(mode)) if match]
    return found


def attacked(bed, name, options):
    path = os.path.join(bed.folder, "guarded.toml")
    with open(path, "w") as file:
        # Each begins with nothing: a lock-out outlives its server.
        file.write(f'{configuration("guarded.toml")}\n[ha]\nstate-directory = "{bed.folder}/{name}"\n')
    site = Site(bed, name, SITE, 5070, f"{SITE}:8070", ["--config", path, "--log", "info", *options])
    site.start()
    return site


def strangers(bed, name, options):
    """What scanners and guessers get, and what is written about them."""
    site = attacked(bed, name, options)
    scanner, guesser, liar = (Stranger(bed, host) for host in (SCANNER, GUESSER, LIAR))
    expect(scanner.sends(request("OPTIONS", SCANNER, "100", agent="friendly-scanner"), 0.5) is None, "a scanner hears nothing")
    nonce = guesser.nonce("1001")
    told = [guesser.guesses("1001", f"g{n}", nonce) for n in range(5)]
    expect(told == [401, 401, 401, 403, 403], f"three guesses, then locked out, but: {told}")
    expect([(lock["source"], lock["user"]) for lock in site.ask("guard", "list")] == [(GUESSER, "1001")], "one lock-out is shown")
    lie = f'x\\"\\n2026-01-01T00:00:00Z  WARN tandem::log: guard: scanner source={SITE} port=1 transport='
    expect(liar.sends(request("OPTIONS", LIAR, "100", call="l", agent=f"{lie} sipvicious"), 0.5) is None, "nor does a liar")
    with open(os.path.join(bed.folder, f"{name}.log")) as file:
        log = file.read()
    hosts = banned(log, "aggressive")
    expect(sorted(set(hosts)) == [SCANNER, GUESSER, LIAR], f"the filter names who misbehaves, and nobody else, but: {hosts}\n{log}")
    hosts = banned(log, "normal")
    expect(set(hosts) == {GUESSER}, f"unless told otherwise nobody for datagrams that anybody can forge, but: {hosts}\n{log}")
    expect(hosts.count(GUESSER) == 4, f"a line for each guess and for the lock-out, but: {hosts}")
    if shutil.which("fail2ban-regex"):
        done = subprocess.run(["fail2ban-regex", os.path.join(bed.folder, f"{name}.log"), FILTER], capture_output=True, text=True)
        expect(f"{len(hosts)} matched" in done.stdout, f"fail2ban-regex finds {len(hosts)} lines:\n{done.stdout}{done.stderr}")
    for stranger in (scanner, guesser, liar):
        stranger.socket.close()
    site.stop()
    print(f"    scanners hear nothing, guesses lock out, and fail2ban's filter reads the lines ({name})", flush=True)


def pours(ended, sent):
    """INVITEs of a stranger, so many a second."""
    begin = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind((FLOOD, 5060))
        while not ended.wait(0.005):
            while sent[0] < RATE * (time.monotonic() - begin):
                sent[0] += 1
                wire.sendto(request("INVITE", FLOOD, "1001", user="1002", call=f"f{sent[0]}"), (SITE, 5070))


def flood(bed):
    site = attacked(bed, "flooded", [])
    phones = bed.phones("phones", PHONES, 5060)
    expect(bed.register(site, ["1001", "1002"], PHONES, 5060), "the phones register")
    calls = bed.sipp("calls", "call.xml", GATEWAY, 5062, remote=f"{SITE}:5070", rows=[("1001",), ("1002",)],
                     options=["-r", 4, "-m", 4 * (FLOOD_S + 4), "-d", 3000])
    time.sleep(2)
    ended, sent = threading.Event(), [0]
    attack = threading.Thread(target=pours, args=(ended, sent))
    attack.start()
    try:
        worst = 0
        end = time.monotonic() + FLOOD_S
        while time.monotonic() < end:
            worst = max(worst, (site.ask("status", quiet=True) or {"guard": {"pressure": 0}})["guard"]["pressure"])
            time.sleep(0.2)
    finally:
        ended.set()
        attack.join()
    calls.wait(60)
    done, failed = calls.calls()
    print(f"    {calls.summary()}; {sent[0]} INVITEs of a stranger in {FLOOD_S} s, pressure up to {worst}", flush=True)
    expect(failed == 0 and done == 4 * (FLOOD_S + 4), f"every call of the gateway succeeds: {done} did, {failed} failed")
    until(10, "the load is over", lambda: site.ask("status")["guard"]["pressure"] == 0)
    until(5, "no call is left", lambda: site.ask("call", "list") == [])
    site.stop()
    phones.process.terminate()


def under_attack(bed: Bed):
    strangers(bed, "text", [])
    strangers(bed, "json", ["--log-format", "json"])
    flood(bed)


if __name__ == "__main__":
    main("guard", under_attack)
