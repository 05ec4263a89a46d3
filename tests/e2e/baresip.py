#!/usr/bin/env python3
"""baresip, driven by its control connection: see interop.py."""

import json
import shutil
import socket
import time

from bed import Skipped, expect, main
from interop import A, B, CLIENT, CLIENT_HOST, Estate, Rounds, standard
from softphone import set_up


class Control:
    """Its ctrl_tcp: netstrings of JSON."""

    def __init__(self, host, port):
        deadline = time.monotonic() + 10
        while True:
            try:
                self.wire = socket.create_connection((host, port), timeout=5)
                return
            except OSError:
                expect(time.monotonic() < deadline, "baresip listens for its control connection")
                time.sleep(0.05)

    def say(self, command, params=""):
        text = json.dumps({"command": command, "params": params, "token": "t"})
        self.wire.sendall(f"{len(text)}:{text},".encode())


class Baresip:
    """Registered at both sites at once (RFC 5626): an outbound proxy for each."""

    no_transfer = ""

    def __init__(self, bed, name, host, sites, more=""):
        self.name, self.bed = name, bed
        proxies = "".join(f';outbound{n}="sip:{site};transport=udp"' for n, site in enumerate(sites, 1))
        folder = set_up(bed, name, host, f"ctrl_tcp_listen {host}:4444\nmodule_tmp uuid.so\nmodule_tmp account.so\n"
                        "module_app menu.so\nmodule_app ctrl_tcp.so\n",
                        f"<sip:{CLIENT}@tandem>;auth_user={CLIENT};auth_pass=secret-{CLIENT};regint=60;answermode=auto;sipnat=outbound{proxies}{more}")
        self.process = bed.run(name, ["baresip", "-f", folder], cwd=folder)
        self.control = Control(host, 4444)

    def dial(self, number):
        self.control.say("dial", f"sip:{number}@tandem")

    def hangup(self):
        self.control.say("hangup")

    def hold(self):
        self.control.say("hold")
        return True

    def resume(self):
        self.control.say("resume")

    def transfer(self, number):
        self.control.say("transfer", f"sip:{number}@tandem")
        return True

    def consult(self, _number):
        return "baresip 1.0 has blind transfer only"

    def settle(self):
        time.sleep(0.5)


def baresip(bed):
    if not shutil.which("baresip"):
        raise Skipped("baresip is not installed")
    estate = Estate(bed)
    client = Baresip(bed, "baresip", CLIENT_HOST, [A, B])
    rounds = Rounds("baresip")
    standard(estate, client, rounds)
    estate.lose_site_a(rounds, lambda: True)
    estate.calls_after(rounds, client, "calls after the loss of its site", 5, "no: it sends every call to its first outbound proxy")


if __name__ == "__main__":
    main("baresip", baresip)
