#!/usr/bin/env python3
"""Softphones of another make: two baresips register by digest, one calls the other, they talk, one hangs up; a third
takes an outside line and calls a number behind the gateway.
"""

import json
import os
import shutil
import signal
import time
import wave

from bed import CONFIG, Site, Skipped, expect, main, until

MODULES = ("/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules", "/usr/lib/aarch64-linux-gnu/baresip/modules")


def set_up(bed, name, host, more, account, seconds=10):
    """The folder of a baresip that speaks from `host`, with a silent microphone; it hangs up when that has been silent for so long."""
    folder = os.path.join(bed.folder, name)
    os.mkdir(folder)
    modules = next((path for path in MODULES if os.path.isdir(path)), MODULES[0])
    with wave.open(os.path.join(folder, "tone.wav"), "wb") as tone:
        tone.setnchannels(1)
        tone.setsampwidth(2)
        tone.setframerate(8000)
        tone.writeframes(bytes(8000 * 2 * seconds))
    with open(os.path.join(folder, "config"), "w") as config:
        config.write(f"sip_listen {host}:5060\nmodule_path {modules}\naudio_source aufile,{folder}/tone.wav\n"
                     f"module g711.so\nmodule aufile.so\n{more}")
    with open(os.path.join(folder, "accounts"), "w") as accounts:
        accounts.write(f"{account}\n")
    return folder


class Baresip:
    def __init__(self, bed, site, number, host, answers="manual", dial=None, tls=None):
        """`tls`: port, and what it trusts."""
        self.name = f"baresip-{number}"
        secure = f"sip_cafile {tls[1]}\nsip_transports tls\n" if tls else ""
        port, transport = (tls[0], ";transport=tls") if tls else (site.port, "")
        folder = set_up(bed, self.name, host, f"module_app account.so\nmodule_app menu.so\n{secure}",
                        f"<sip:{number}@{site.host}:{port}{transport}>;auth_user={number};auth_pass=secret-{number};"
                        f"regint=60;answermode={answers}")
        command = ["baresip", "-f", folder] + (["-e", dial] if dial else [])
        self.process = bed.run(self.name, command, cwd=folder)
        self.bed = bed

    def said(self, what):
        with open(os.path.join(self.bed.folder, f"{self.name}.log"), errors="replace") as log:
            return what in log.read()

    def quit(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)


def softphone(bed):
    if not shutil.which("baresip"):
        raise Skipped("baresip is not installed")
    site = Site(bed, "site", "127.0.0.25", 5070, "127.0.0.25:8070", ["--config", f"{CONFIG}/softphone.toml"])
    site.start()

    def registered():
        return {binding["dn"] for binding in site.ask("reg", "list")}

    callee = Baresip(bed, site, "2001", "127.0.0.42", answers="auto")
    until(10, "the callee registers", lambda: registered() == {"2001"})
    caller = Baresip(bed, site, "2000", "127.0.0.41", dial=f"/dial sip:2001@{site.host}:{site.port}")
    until(10, "the caller registers", lambda: registered() == {"2000", "2001"})
    until(15, "one call is established", lambda: [call["state"] for call in site.ask("call", "list")] == ["established"])
    print(f"    two baresips registered; one call established: {site.ask('call', 'list')[0]['from']} to 2001", flush=True)
    time.sleep(2)
    for phone in (caller, callee):
        expect(phone.said("Call established"), f"{phone.name} says that its call is established:\n{bed.tail(phone.name)}")
    caller.quit()
    until(5, "the call has ended", lambda: site.ask("call", "list") == [])
    until(5, "the caller is no longer registered", lambda: registered() == {"2001"})
    callee.quit()

    gateway = bed.phones("gateway", "127.0.0.26", 5070)
    outward = Baresip(bed, site, "2002", "127.0.0.43", dial=f"/dial sip:90301234@{site.host}:{site.port}")
    until(15, "a call out is established", lambda: [call["state"] for call in site.ask("call", "list")] == ["established"])
    call = site.ask("call", "list")[0]
    expect(call["devices"] == ["gateway"], f"the call goes out by the gateway, but {call}")
    print(f"    one call established from {call['from']} to {call['to']} by the trunk {call['devices'][0]}", flush=True)
    outward.quit()
    until(5, "the call out has ended", lambda: site.ask("call", "list") == [])
    until(8, "the gateway's call has succeeded", lambda: gateway.calls() == (1, 0))
    site.stop()
    with open(os.path.join(bed.folder, "cdr.jsonl")) as lines:
        records = [json.loads(line) for line in lines]
    expect([record["to"] for record in records] == ["2001", "90301234"], f"a record of each call, but {records}")
    expect(all(leg["ended_by"] == "caller" for record in records for leg in record["legs"]), f"the caller ended each, but {records}")
    print("    two call records: ended by the caller")


if __name__ == "__main__":
    main("softphone", softphone)
