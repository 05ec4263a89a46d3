#!/usr/bin/env python3
"""linphonec, driven by its console: see interop.py. It registers over UDP, TCP or TLS, as named on the command line."""

import os
import re
import shutil
import subprocess
import sys
import time

from bed import Skipped, expect, main, until
from interop import A, B, CLIENT, Estate, Rounds, standard

# Another linphone, which is transferred to.
OTHER = "1005"

CONFIG = """[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls}
default_proxy=0
register_only_when_network_is_up=0
auto_net_state_mon=0
use_ipv6=0
inc_timeout=30
root_ca={ca}
verify_server_certs=1
verify_server_cn=0
[net]
[rtp]
audio_rtp_port={rtp}
[sound]
playback_dev_id=ALSA: none
capture_dev_id=ALSA: none
[proxy_0]
reg_proxy=<sip:{site}:{port};transport={transport}>
reg_identity=sip:{number}@{site}
reg_expires=60
reg_sendregister=1
publish=0
[proxy_1]
reg_proxy=<sip:{other}:{port};transport={transport}>
reg_identity=sip:{number}@{other}
reg_expires=60
reg_sendregister=1
publish=0
[auth_info_0]
username={number}
userid={number}
passwd=secret-{number}
realm=tandem
"""


class Linphone:
    """Registered at both sites at once, by an account for each."""

    no_transfer = ""

    def __init__(self, bed, name, transport, ca, number=CLIENT, rtp=17076):
        self.name, self.bed = name, bed
        self.folder = os.path.join(bed.folder, name)
        os.makedirs(os.path.join(self.folder, ".local/share/linphone"))
        path = os.path.join(self.folder, "linphonerc")
        ports = {**dict.fromkeys(("udp", "tcp", "tls"), 0), transport: -1}
        with open(path, "w") as config:
            config.write(CONFIG.format(ca=ca, site=A, other=B, number=number, rtp=rtp, transport=transport,
                                       port=5061 if transport == "tls" else 5060, **ports))
        self.process = bed.run(name, ["stdbuf", "-oL", "linphonec", "-a", "-c", path, "-d", "5", "-l", os.path.join(self.folder, "trace")],
                               cwd=self.folder, stdin=subprocess.PIPE, env={**os.environ, "HOME": self.folder, "XDG_DATA_HOME": ""})
        self.site = A

    def say(self, text):
        self.process.stdin.write(f"{text}\n".encode())
        self.process.stdin.flush()

    def dial(self, number):
        self.say(f"call sip:{number}@{self.site}")

    def hangup(self):
        self.say("terminate all")

    def hold(self):
        before = self.log().count("is now paused")
        self.say("pause")
        until(6, "linphonec has put its call on hold", lambda: self.log().count("is now paused") > before)
        return True

    def resume(self):
        self.say("resume")

    def calls(self):
        """Numbers of its calls, in its own counting."""
        before = self.log()
        self.say("calls")
        shown, _ = until(5, "linphonec lists its calls", lambda: re.findall(r"^(\d+)\s*\|", self.log()[len(before):], re.M))
        return [int(number) for number in shown]

    def log(self):
        with open(os.path.join(self.bed.folder, f"{self.name}.log"), errors="replace") as log:
            return log.read()

    def transfer(self, number):
        self.say(f"transfer sip:{number}@{self.site}")
        return True

    def consult(self, number):
        self.hold()
        self.first, self.before = self.calls()[0], self.log().count(" connected.")
        self.dial(number)

    def join(self):
        # The server knows of the answer before it is told on.
        until(5, "linphonec hears the answer", lambda: self.log().count(" connected.") > self.before)
        second = next(call for call in self.calls() if call != self.first)
        self.say(f"transfer {self.first} --to-call {second}")

    def settle(self):
        time.sleep(0.5)


def transfers_a_gateway(estate, client, other, rounds):
    """A SIPp gateway calls one linphone, who consults another and joins the two."""
    until(15, "the other linphone registers", lambda: estate.registered(estate.a, OTHER))
    gateway = estate.bed.sipp("sipp-gateway", "transferred.xml", "127.0.0.63", 5060, remote=f"{A}:5060", rows=[(CLIENT,)],
                              options=["-m", 1, "-timeout", 60])
    until(10, "the gateway talks to the client", lambda: estate.calls() == ["established"])
    client.consult(OTHER)
    until(10, "the client consults", lambda: estate.calls() == ["established", "established"])
    client.join()
    until(10, "one call is left", lambda: estate.calls() == ["established"])
    left = estate.a.ask("call", "list")[0]
    expect(left["from"] == "0301234" and left["devices"] == [OTHER], f"the gateway talks to the other linphone, but {left}")
    other.settle()
    other.hangup()
    until(10, "the gateway's call is over", lambda: gateway.calls() == (1, 0))
    estate.quiet()
    rounds.note("transfers a SIPp gateway's call to another linphone after a consultation")


def linphone(bed):
    if not shutil.which("linphonec"):
        raise Skipped("linphonec is not installed")
    transport = (sys.argv[1:] or ["udp"])[0]
    estate = Estate(bed)
    client = Linphone(bed, f"linphone-{transport}", transport, estate.ca)
    rounds = Rounds(client.name)
    standard(estate, client, rounds)
    other = Linphone(bed, f"other-{transport}", transport, estate.ca, OTHER, rtp=17276)
    transfers_a_gateway(estate, client, other, rounds)
    estate.lose_site_a(rounds, lambda: True)
    client.settle()
    client.site = B
    estate.calls_after(rounds, client, "calls after the loss of its site, when its user takes the other account", 40, "no")


if __name__ == "__main__":
    main("linphone", linphone)
