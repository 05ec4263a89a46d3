#!/usr/bin/env python3
"""The primary of a pair is lost under phones over TCP, TLS and WebSocket, and under baresips: calls that are held, ended and answered
while their phones are still on their way back, and after.

takeover_phones.py [PLAY...]   all of it, or the plays of that name
"""

import os
import shutil
import signal
import sys
import threading
import time
import uuid

from baresip import Control
from bed import Skipped, expect, main, until
from certificates import authority, certificate
from group import Group, SIP, VIRTUAL, desks, prepare
from softphone import set_up
from streams import Connected
from takeover import counted
from traffic import Probe, Told
from ua import Agent

GATEWAY, PROBE = "10.79.0.60", "10.79.0.80"
TLS, WSS = 5061, 5443
# Number, transport, port, and what the phone's Contact says of where it is: most name the port that their connection comes from, at which
# nobody listens; browsers name no address at all.
PHONES = (("1001", "TCP", SIP, None), ("1002", "TLS", TLS, None), ("1003", "WSS", WSS, "browser.invalid"))
RINGS = "1011"
# Baresip connects anew when it renews its registration: after nine tenths of this.
RENEWS = 5
NAMED = {"TCP": "tcp", "TLS": "tls", "WSS": "ws"}
SOFTPHONES = (("1005", "udp", SIP), ("1006", "tcp", SIP), ("1007", "tls", TLS))
# A machine that builds and tests beside this play is slow. A request within a call waits for a phone for 20 s.
PATIENCE, WAITS = 15, 25


class Phone(Connected):
    """Comes back by another connection when it is told to, and is known by its instance."""

    def __init__(self, bed, number, host, group, transport, port, names, ca, manner="answer"):
        self.number, self.names, self.instance = number, names, uuid.uuid4()
        super().__init__(bed, f"phone-{number}", host, group, transport, port, ca, manner=manner)
        self.register(number)

    def contact(self, number):
        at = self.names or f"{self.host}:{self.port}"
        return f'<sip:{number}@{at};transport={NAMED[self.transport]}>;+sip.instance="<urn:uuid:{self.instance}>"'

    def come_back(self, closed):
        """Once its connection is closed by the other end; or by itself."""
        if not closed:
            self.close()
        self.wait(f"the connection of {self.name} is closed", PATIENCE, lambda: self.gone)
        self.close()
        self.gone = False
        self.open()
        threading.Thread(target=self.listen, daemon=True).start()
        return self.register(self.number)


class Softphone:
    """A baresip with one account over one transport."""

    def __init__(self, bed, number, host, transport, port, ca):
        self.number, self.transport, self.name = number, transport, f"baresip-{transport}"
        secure = f"sip_cafile {ca}\n" if transport == "tls" else ""
        folder = set_up(bed, self.name, host, f"{secure}sip_transports {transport}\nctrl_tcp_listen {host}:4444\nmodule_tmp uuid.so\n"
                        "module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n",
                        f"<sip:{number}@{VIRTUAL}:{port};transport={transport}>;auth_user={number};auth_pass=secret-{number};"
                        f"regint={RENEWS};answermode=auto", seconds=600)
        bed.run(self.name, ["baresip", "-f", folder], cwd=folder)
        self.control = Control(host, 4444)


def configured():
    """The desks, reached over every transport."""
    text = desks()
    plain = f'listen = ["udp:{VIRTUAL}:{SIP}"]'
    expect(plain in text, f"{plain} stands in the configuration")
    listen = [f"{kind}:{VIRTUAL}:{port}" for kind, port in (("udp", SIP), ("tcp", SIP), ("tls", TLS), ("wss", WSS))]
    text = text.replace(plain, f"listen = {listen}").replace("[TServer]\n", f"[TServer]\nmin-expires = {RENEWS}\n")
    return text + '\n[sip-tls]\ncertificate = "site.pem"\nkey = "site.key"\n'


class Cast:
    def __init__(self, bed, group):
        self.bed, self.group, self.placed = bed, group, []
        ca = os.path.join(bed.folder, "ca.pem")
        self.gateway = Agent(bed, "gateway", GATEWAY, group, manner="silent")
        self.phones = [Phone(bed, number, address(number), group, transport, port, names, ca)
                       for number, transport, port, names in PHONES]
        self.rings = Phone(bed, RINGS, address(RINGS), group, "TCP", SIP, None, ca, manner="ring")
        self.softphones = [Softphone(bed, number, address(number), transport, port, ca) for number, transport, port in SOFTPHONES]
        for one in self.softphones:
            until(20, f"{one.name} registers", lambda: self.is_registered(one.number))

    def is_registered(self, number):
        return any(row["dn"] == number for row in self.group.ask("reg", "list"))

    def call(self, number):
        self.placed.append(self.gateway.call(number))
        return self.placed[-1]

    def talk(self, phone):
        """Both ends of a call from the gateway to a phone that answers."""
        caller = self.call(phone.number)
        caller.hears("200 INVITE", seconds=PATIENCE)
        line = phone.fresh_line(PATIENCE)
        line.hears("ACK", seconds=PATIENCE)
        return caller, line

    def begin(self, softphones=None):
        self.held, self.ended = ([self.talk(phone) for phone in self.phones] for _ in range(2))
        self.ringing = self.call(RINGS)
        self.rung = self.rings.fresh_line(PATIENCE)
        self.ringing.hears("180 INVITE", seconds=PATIENCE)
        self.soft = [(one, self.call(one.number)) for one in softphones or self.softphones]
        for _, caller in self.soft:
            caller.hears("200 INVITE", seconds=PATIENCE)

    def while_away(self):
        """The other party holds one call and ends another, of phones that are not back yet."""
        for caller, _ in self.held:
            hold(caller)
        for caller, _ in self.ended:
            caller.bye()
            caller.hears("200 BYE", seconds=PATIENCE)
            caller.ends()
        for caller, line in self.held:
            expect(not answers(caller) and len(line.got("INVITE")) == 1, f"the request of {caller} waits for {line.ua.name}")

    def when_back(self, closed):
        """What waited reaches them; then they resume, and hang up; and are called anew."""
        for phone, (caller, line), (_, other) in zip(self.phones, self.held, self.ended):
            phone.come_back(closed)
            line.hears("INVITE", 2, seconds=PATIENCE)
            is_answered(caller, PATIENCE)
            phone.wait(f"{line} hears that its answer came", PATIENCE, lambda: line.got("ACK")[-1].cseq == line.got("INVITE")[-1].cseq)
            line.has_media(GATEWAY, caller.port, "sendonly")
            other.ends(PATIENCE)
            expect(len(other.got("BYE")) == 1, f"{other} is hung up on once")
            line.request("INVITE", line.describe())
            is_answered(line, PATIENCE)
            caller.hears("INVITE", seconds=PATIENCE)
            line.request("BYE")
            line.hears("200 BYE", seconds=PATIENCE)
            caller.ends(PATIENCE)
            caller, line = self.talk(phone)
            caller.bye()
            line.ends(PATIENCE)

    def rang(self, closed):
        """The phone that rang when the primary was lost rings no more, and its caller, who waited, is put through to it anew."""
        self.rings.come_back(closed)
        self.rung.hears("CANCEL", seconds=PATIENCE)
        self.rung.hears("ACK", seconds=PATIENCE)
        line = self.rings.fresh_line(PATIENCE)
        line.answer()
        self.ringing.hears("200 INVITE", seconds=PATIENCE)
        line.hears("ACK", seconds=PATIENCE)
        line.request("BYE")
        self.ringing.ends(PATIENCE)

    def softphones_go_on(self, moment):
        """Each is held by the other party, which may have to wait for it, holds that, and hangs up."""
        told = []
        for _, caller in self.soft:
            hold(caller)
        for one, caller in self.soft:
            is_answered(caller, WAITS)
            told.append(f"{one.name} answered after {time.monotonic() - moment:.1f} s")
        for one, caller in self.soft:
            before = len(caller.got("INVITE"))
            one.control.say("hold")
            caller.hears("INVITE", before + 1, seconds=PATIENCE)
            one.control.say("hangup")
            caller.ends(PATIENCE)
        return ", ".join(told)

    def nothing_is_left(self):
        until(PATIENCE, "no call is left", lambda: self.group.ask("call", "list") == [])
        for line in (*self.placed, *(line for phone in (*self.phones, self.rings) for line in phone.lines)):
            numbers = [message.cseq for message in line.inbox if message.status is None and message.method not in ("ACK", "CANCEL")]
            expect(numbers == sorted(numbers), f"CSeq never goes backwards at {line}, but {numbers}")


def hold(line):
    line.request("INVITE", f"{line.describe()}a=sendonly\r\n")


def answers(line):
    """To its last request; what a server that takes over says again of earlier ones is not counted."""
    return [message for message in line.inbox if message.status and message.status >= 200 and message.cseq == line.cseq]


def is_answered(line, seconds):
    line.ua.wait(f"the request of {line} is answered", seconds, lambda: answers(line))
    expect(answers(line)[0].status == 200, f"the request of {line} is accepted, but {answers(line)[0].start}")


def address(number):
    return f"10.79.1.{int(number) - 1000}"


class Play:
    def __init__(self, bed, group, cast):
        self.bed, self.group, self.cast = bed, group, cast
        self.probe = Told(Probe, PROBE, (VIRTUAL, SIP), nice=-10)
        bed.closers.append(self.probe.close)

    def roles(self):
        primary = self.group.primary()
        expect(primary, "a server serves")
        return primary, self.group.other(primary)

    def lost_to(self, other, moment, closed=True):
        """The other serves; all that the calls' parties do then works. `closed`: phones hear that their connections are."""
        self.group.takes_over(other, moment)
        until(PATIENCE, "the site answers again", lambda: len(self.probe.answers(time.monotonic() - 0.2)) > 10)
        cast = self.cast
        cast.while_away()
        cast.when_back(closed)
        cast.rang(closed)
        told = cast.softphones_go_on(moment)
        cast.nothing_is_left()
        return told

    def killed(self):
        primary, other = self.roles()
        self.cast.begin()
        told = self.lost_to(other, primary.kill())
        primary.start()
        self.group.is_whole(other)
        return told

    def stopped(self):
        """Nobody closes its connections: a phone notices when it says something. A baresip over TCP or TLS then waits for 30 to 60 s
        before it registers again, and is not waited for."""
        primary, other = self.roles()
        self.cast.begin(self.cast.softphones[:1])
        # The kernel of a machine whose server was killed waits a minute for phones that had not closed their end when the address went.
        before = [line for line in primary.leftovers() if not line.startswith("ESTAB")]
        moment = primary.signal(signal.SIGSTOP)
        try:
            told = self.lost_to(other, moment, closed=False)
            spoken = primary.spoken()
        finally:
            primary.signal(signal.SIGCONT)
        self.group.is_whole(other)
        expect(primary.spoken() == spoken, f"who was replaced says nothing any more, but sent {primary.spoken() - spoken} messages")
        left = [line for line in primary.leftovers() if line not in before]
        expect(not left, f"nothing of a connection stays where the address was, but the kernel has {left}")
        return told

    def upgraded(self):
        """The backup is replaced, told to take over, and the other is replaced, while calls go on."""
        primary, other = self.roles()
        self.cast.begin()
        replace(other, self.group, primary)
        moment = time.monotonic()
        said = primary.order("ha", "switchover")
        expect("serves now; this server stands by" in said, f"a switchover says when it is done, but {said}")
        told = self.lost_to(other, moment)
        calls = [self.cast.talk(phone) for phone in self.cast.phones]
        replace(primary, self.group, other)
        for caller, line in calls:
            caller.bye()
            line.ends(PATIENCE)
        self.cast.nothing_is_left()
        return told


def replace(machine, group, primary):
    """As a new release is installed: the unit stops and starts it."""
    machine.process.terminate()
    until(PATIENCE, f"{machine.name} ends by itself", lambda: machine.process.poll() is not None)
    expect(machine.process.returncode == 0, f"{machine.name} ends with {machine.process.returncode}")
    machine.start()
    group.is_whole(primary)


PLAYS = ("killed", "upgraded", "stopped")


def phones(bed):
    authority(bed.folder, "ca")
    certificate(bed.folder, "site", VIRTUAL)
    group = Group(bed, configured(), [GATEWAY, PROBE, *(address(number) for number, *_ in (*PHONES, *SOFTPHONES)), address(RINGS)])
    group.begin()
    cast = Cast(bed, group)
    print("    phones over TCP, TLS and WSS, and baresips over UDP, TCP and TLS, at a pair with its witness", flush=True)
    play = Play(bed, group, cast)
    for name in (sys.argv[1:] or PLAYS):
        print(f"    {name}: {getattr(play, name)()}", flush=True)
    print(f"    {counted(group, cast)}", flush=True)


def ready():
    if not shutil.which("baresip"):
        raise Skipped("baresip is not installed")
    prepare("nft", "openssl")


if __name__ == "__main__":
    main("takeover_phones", phones, ready)
