#!/usr/bin/env python3
"""Busy lamps and mailbox lamps: one phone watches another's calls by SUBSCRIBE (RFC 4235), and a mailbox behind a trunk
tells phones what waits (RFC 3842), asked and unasked.
"""

import hashlib
import os
import random
import re

from bed import Bed, Site, expect, main
from ua import PATIENCE_S, Agent, fresh, uri_of

HOST, WATCHER, BUSY, OUTSIDE, MAILBOX = "127.0.0.41", "127.0.0.42", "127.0.0.43", "127.0.0.44", "127.0.0.45"

CONFIG = f"""
[application]
name = "lamps"
switch = "lamps"
listen = ["udp:{HOST}:5060"]
realm = "tandem"

[TServer]
sip-address = "{HOST}"
authenticate-algorithms = ["MD5"]
mwi-source = "voicemail"

[http]
listen = "{HOST}:8060"

[[extension]]
numbers = "1001-1003"
password = "secret-{{number}}"

[[extension]]
number = "1009"
password = "secret-{{number}}"
dialog-watchers = "own"

[[trunk]]
name = "gateway"
contact = "sip:{OUTSIDE}"

[[trunk]]
name = "voicemail"
contact = "sip:{MAILBOX}"
"""

SUMMARY = "Messages-Waiting: yes\r\nVoice-Message: 2/0 (0/0)\r\n"


class Watch:
    """A subscription of a phone, and what it was told."""

    def __init__(self, phone, number, watched, package, expires=600):
        self.phone, self.number, self.watched, self.package, self.expires = phone, number, watched, package, expires
        self.call_id, self.tag, self.cseq, self.heard = f"{random.getrandbits(48):x}@{phone.host}", fresh()[7:], 0, 0
        self.to, self.target = f"<sip:{watched}@{HOST}>", f"sip:{watched}@{HOST}"

    def ask(self, expires=None, extra=()):
        """Sends a SUBSCRIBE, and returns its answer."""
        self.cseq += 1
        lines = [f"SUBSCRIBE {self.target} SIP/2.0", f"Via: SIP/2.0/UDP {self.phone.host}:5060;branch={fresh()}",
                 f"From: <sip:{self.number}@{HOST}>;tag={self.tag}", f"To: {self.to}", f"Call-ID: {self.call_id}",
                 f"CSeq: {self.cseq} SUBSCRIBE", "Max-Forwards: 70", f"Contact: <sip:{self.number}@{self.phone.host}:5060>",
                 f"Event: {self.package}", f"Expires: {self.expires if expires is None else expires}", *extra]
        with self.phone.changed:
            self.phone.send(self.phone.server, lines, "")
        mine = lambda m: m.status and m.status >= 200 and m.header("call-id") == self.call_id and m.cseq == self.cseq
        return self.phone.wait(f"{self.number} hears of its SUBSCRIBE", PATIENCE_S,
                               lambda: next((m for m in self.phone.others if mine(m)), None))

    def proven(self):
        """The same with digest credentials."""
        challenge = self.ask()
        expect(challenge.status == 401, f"SUBSCRIBE is challenged, but {challenge.start}")
        nonce = re.search(r'nonce="([^"]*)"', challenge.header("www-authenticate")).group(1)
        md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
        response = md5(f"{md5(f'{self.number}:tandem:secret-{self.number}')}:{nonce}:00000001:abc:auth:"
                       f"{md5(f'SUBSCRIBE:{self.target}')}")
        return self.ask(extra=[f'Authorization: Digest username="{self.number}", realm="tandem", nonce="{nonce}", '
                               f'uri="{self.target}", response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="abc"'])

    def begin(self):
        answer = self.proven()
        expect(answer.status == 200, f"{self.number} may watch {self.package} of {self.watched}, but {answer.start}")
        self.to, self.target = answer.header("to"), uri_of(answer.header("contact"))
        return self

    def told(self):
        """The next NOTIFY, each once."""
        def seen():
            mine = {m.cseq: m for m in self.phone.others if m.name() == "NOTIFY" and m.header("call-id") == self.call_id}
            later = sorted(cseq for cseq in mine if cseq > self.heard)
            return mine[later[0]] if later else None
        notify = self.phone.wait(f"{self.number} is told of {self.watched}", PATIENCE_S, seen)
        self.heard = notify.cseq
        return notify

    def shows(self, *words):
        """What it is told next holds these words."""
        body = self.told().body
        for word in words:
            expect(word in body, f"the lamp of {self.watched} shows {word}, but:\n{body}")
        return body


class Phone(Agent):
    """A phone that accepts what it is told."""

    def receive(self, message):
        if message.name() == "NOTIFY" and not any(line.call_id == message.header("call-id") for line in self.lines):
            self.others.append(message)
            return self.send(self.source(message), [
                "SIP/2.0 200 OK", *(f"Via: {via}" for via in message.all("via")), f"From: {message.header('from')}",
                f"To: {message.header('to')};tag=told" if ";tag=" not in message.header("to") else f"To: {message.header('to')}",
                f"Call-ID: {message.header('call-id')}", f"CSeq: {message.header('cseq')}"], "")
        return super().receive(message)


def says(mailbox, number, summary):
    """The mailbox tells the server what waits for somebody."""
    call_id = f"{random.getrandbits(48):x}@{mailbox.host}"
    with mailbox.changed:
        mailbox.send(mailbox.server, [
            f"NOTIFY sip:{number}@{HOST} SIP/2.0", f"Via: SIP/2.0/UDP {mailbox.host}:5060;branch={fresh()}",
            f"From: <sip:voicemail@{mailbox.host}>;tag=v", f"To: <sip:{number}@{HOST}>", f"Call-ID: {call_id}",
            "CSeq: 1 NOTIFY", "Max-Forwards: 70", f"Contact: <sip:{mailbox.host}>", "Event: message-summary",
            "Subscription-State: active", "Content-Type: application/simple-message-summary"], summary)
    answer = mailbox.wait("the mailbox is answered", PATIENCE_S,
                          lambda: next((m for m in mailbox.others if m.status and m.header("call-id") == call_id), None))
    expect(answer.status == 200, f"the mailbox is believed, but {answer.start}")


def lamps(bed: Bed):
    path = os.path.join(bed.folder, "lamps.toml")
    with open(path, "w") as file:
        file.write(CONFIG)
    site = Site(bed, "lamps", HOST, 5060, f"{HOST}:8060", ["--config", path])
    site.start()
    watcher = Phone(bed, "watcher", WATCHER, site).register("1001")
    busy = Phone(bed, "busy", BUSY, site).register("1002")
    outside = Agent(bed, "outside", OUTSIDE, site)
    mailbox = Agent(bed, "mailbox", MAILBOX, site)

    lamp = Watch(watcher, "1001", "1002", "dialog").begin()
    idle = lamp.shows('state="full"')
    expect("<dialog " not in idle, f"1002 is idle, but:\n{idle}")
    call = outside.call("1002")
    line = busy.line()
    lamp.shows('state="partial"', "<state>early</state>", 'direction="recipient"', "sip:0301234@")
    line.answer()
    lamp.shows("<state>confirmed</state>", 'pval="yes"')
    line.request("INVITE", f"{line.describe()}a=sendonly\r\n")
    lamp.shows("<state>confirmed</state>", 'pval="no"')
    call.bye()
    lamp.shows("<state>terminated</state>")
    print("    a busy lamp follows ring, answer, hold and end", flush=True)

    hidden = outside.call("1002", extra=["Privacy: id"])
    busy.line(2)
    ringing = lamp.shows("<state>early</state>", "anonymous.invalid")
    expect("0301234" not in ringing, f"the caller is not named, but:\n{ringing}")
    hidden.cancel()
    lamp.shows("<state>terminated</state>")
    print("    a caller who withholds himself is not named to watchers", flush=True)

    expect(lamp.ask(expires=600).status == 200, "the subscription is refreshed")
    lamp.shows('state="full"')
    expect(lamp.ask(expires=0).status == 200, "the subscription is ended")
    state = lamp.told().header("subscription-state")
    expect(state == "terminated;reason=timeout", f"it is over, but {state}")
    refused = Watch(watcher, "1001", "1009", "dialog")
    answer = refused.proven()
    expect(answer.start == "SIP/2.0 403 Not Allowed to Watch", f"1009 is nobody else's to watch, but {answer.start}")
    why = site.ask("why", refused.call_id)
    expect("may not subscribe" in why["steps"][0]["text"], f"tandem why explains it, but {why}")
    print("    subscriptions are refreshed, ended and refused, and the refusal explained", flush=True)

    says(mailbox, "1002", SUMMARY)
    unasked = busy.wait("1002's lamp is lit unasked", PATIENCE_S, lambda: next(
        (m for m in busy.others if m.name() == "NOTIFY" and m.header("event") == "message-summary"), None))
    expect(unasked.body == SUMMARY, f"the summary passes as it is, but {unasked.body!r}")
    box = Watch(watcher, "1001", "1001", "message-summary").begin()
    expect(box.told().body == "", "nothing is known of 1001's mailbox yet")
    says(mailbox, "1001", SUMMARY)
    expect(box.told().body == SUMMARY, "1001 is told within its subscription")
    status = site.ask("status")["subscriptions"]
    expect(status == {"dialog": 0, "reg": 0, "message_summary": 1}, f"one subscription is left, but {status}")
    print("    a mailbox lights lamps of those who asked and of those who did not", flush=True)
    site.stop()


if __name__ == "__main__":
    main("lamps", lamps)
