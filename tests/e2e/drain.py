#!/usr/bin/env python3
"""A graceful migration as its operator does it: one of two sites is drained while agents talk, work and wait, and ends by
itself; then a drain that is called off.
"""

import os
import re
import signal
import subprocess
import time

from bed import CONFIG, Bed, Site, configuration, expect, main, tandem, until
from floor import AT_ONCE, Floor, NEVER

A, B = "127.0.0.27", "127.0.0.29"
SHUTDOWN_S = 2


def configured(bed, own, peer, name):
    """The floor's configuration as one of two peers, with an administrator."""
    text = configuration("floor.toml")
    with open(os.path.join(os.path.dirname(CONFIG), "..", "..", "config", "office.toml")) as file:
        admin = re.search(r'\[\[person\]\]\nuser = "admin"\npassword-hash = ".*"\nrole = "administrator"\n', file.read())
    expect(admin, "config/office.toml has the person admin")
    text = text.replace("127.0.0.27", own).replace('"floor"', f'"{name}"')
    options = f'dr-peer-trunk = "peer"\nshutdown-sip-reject-code = 302\ngraceful-shutdown-sip-timeout = {SHUTDOWN_S}\n'
    text = text.replace("[TServer]\n", "[TServer]\n" + options)
    text = text.replace('sources = ["127.0.0.28"]\n', 'sources = ["127.0.0.28"]\noosp-transfer-enabled = true\n')
    text += f'\n[[trunk]]\nname = "peer"\ncontact = "sip:{peer}:5070"\noos-check = 1\noos-force = 1\n\n{admin.group(0)}'
    path = os.path.join(bed.folder, f"{name}.toml")
    with open(path, "w") as file:
        file.write(text)
    return path


def drain(site, *words, user="admin", password="secret-admin"):
    """`tandem drain WORDS`: exit code and what it says."""
    done = subprocess.run([tandem(), "drain", *words, "--server", site.url, *(["--user", user] if user else [])],
                          capture_output=True, text=True, env={**os.environ, "TANDEM_CTI_PASSWORD": password})
    return done.returncode, done.stdout + done.stderr


def is_logged_out(agent):
    logout = agent.hear("EventAgentLogout")
    code = logout.get("AttributeExtensions", {}).get("ReasonCode")
    expect(code == "graceful_shutdown_logout", f"the logout says why, but: {logout}")


def migration(bed: Bed):
    floor = Floor(bed, configured(bed, A, B, "floor"))
    other = Site(bed, "site-b", B, 5070, f"{B}:8070", ["--config", configured(bed, B, A, "site-b"), "--log", "info"])
    other.start()
    until(5, "both sites are peered", lambda: floor.site.mode() == other.mode() == "peered")
    floor.phone("1001", NEVER)
    floor.phone("1002", AT_ONCE)
    idle, busy = floor.desktop("agent01"), floor.desktop("agent02")
    busy.log_in("1002", "2002")
    busy.ask("TAgentSetReady", "EventAgentReady", ThisDN="1002")
    caller = floor.call("7000")
    call = busy.hear("EventRinging", ThisQueue="7000")["ConnID"]
    busy.hear("EventEstablished", ConnID=call)
    waiting = floor.call("7000")
    waiting.was_told(182)
    idle.log_in("1001", "2001")

    for user, password, code in (("admin", "wrong", "401"), ("supervisor", "secret-supervisor", "403")):
        ended, said = drain(floor.site, user=user, password=password)
        expect(ended == 1 and code in said, f"{user} may not drain: {ended} {said}")
    ended, said = drain(floor.site)
    expect(ended == 0 and "draining" in said and "by admin" in said, f"the drain starts: {ended} {said}")
    is_logged_out(idle)
    print("    an idle agent is logged out at once, with graceful_shutdown_logout", flush=True)
    waiting.was_told(302)
    expect(any(f"Contact: <sip:7000@{B}:5070" in m for m in waiting.received()), "the caller who waits is sent to the peer")
    refused = floor.call("1001")
    refused.was_told(302)
    print("    new and waiting callers are sent to the peer by 302", flush=True)
    answer = busy.ask("TMakeCall", "EventError", ThisDN="1002", OtherDN="1001")
    expect(answer["ErrorCode"] == 156, f"a call by request is refused, but: {answer}")
    until(4, "the peer turns away", lambda: other.mode() == "single-site")
    busy.ask("THoldCall", "EventHeld", ThisDN="1002", ConnID=call)
    busy.ask("TRetrieveCall", "EventRetrieved", ThisDN="1002", ConnID=call)
    status = floor.site.ask("drain", "--status")
    expect((status["calls_left"], status["agents_left"]) == (1, 1), f"one call, one agent, but: {status}")
    expect(status["agents"][0]["agent_id"] == "2002", f"and it says who: {status}")
    expect(floor.site.process.poll() is None, "a call keeps the process")
    print("    the call that is there goes on, and the status says who is waited for", flush=True)

    asked = busy.send("TReleaseCall", ThisDN="1002", ConnID=call)
    busy.hear("EventAgentNotReady", WorkMode="AfterCallWork")
    busy.hear("EventReleased", ConnID=call, ReferenceID=asked)
    caller.done()
    released = time.monotonic()
    busy.hear("EventAgentReady")
    is_logged_out(busy)
    until(SHUTDOWN_S + 2, "the process ends by itself", lambda: floor.site.process.poll() is not None)
    took = time.monotonic() - released
    expect(floor.site.process.poll() == 0, f"with exit code 0, but {floor.site.process.poll()}")
    expect(took >= SHUTDOWN_S - 0.2, f"not before graceful-shutdown-sip-timeout, but after {took:.1f} s")
    print(f"    after-call work, logout, and the process ends {took:.1f} s after the last call", flush=True)

    other.process.send_signal(signal.SIGUSR1)
    until(2, "SIGUSR1 drains, too", lambda: other.ask("drain", "--status")["state"] == "draining")
    ended, said = drain(other, "--abort")
    expect(ended == 0 and "in-service" in said, f"a drain can be called off: {ended} {said}")
    time.sleep(SHUTDOWN_S + 0.5)
    expect(other.ask("status")["draining"] is False, "and the server serves on")
    other.stop()


if __name__ == "__main__":
    main("drain", migration)
