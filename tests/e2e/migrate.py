#!/usr/bin/env python3
"""Graceful migration in shares as its operator does it: half of the agents and calls go to the other site, everything goes,
it comes back; and what is not possible is refused with its reason.
"""

import os
import subprocess

from bed import Bed, Site, expect, main, tandem, until
from drain import A, B, configured, is_logged_out
from floor import AT_ONCE, Floor, NEVER, PHONES


def migrate(site, *words, user="admin", password="secret-admin"):
    """`tandem migrate WORDS`: exit code and what it says."""
    done = subprocess.run([tandem(), "migrate", *words, "--server", site.url, *(["--user", user] if user else [])],
                          capture_output=True, text=True, env={**os.environ, "TANDEM_CTI_PASSWORD": password})
    return done.returncode, done.stdout + done.stderr


def asking(bed, path, peer):
    """The configuration of a server that asks its peer how ready it is."""
    secret = os.path.join(bed.folder, "peer-password")
    with open(secret, "w") as file:
        file.write("secret-admin\n")
    with open(path, "a") as file:
        file.write(f'\n[peer-http]\nurl = "http://{peer}:8070"\nuser = "admin"\npassword-file = "{secret}"\n')
    return path


def refused(site, words, why, **who):
    ended, said = migrate(site, *words, **who)
    expect(ended != 0 and why in said, f"`tandem migrate {' '.join(words)}` says \"{why}\", but: {ended} {said}")


def in_shares(bed: Bed):
    floor = Floor(bed, asking(bed, configured(bed, A, B, "floor"), B))
    site = floor.site
    to = ("--to", "peer", "--percent")
    refused(site, (*to, "50"), "peer-not-asked")
    refused(site, (*to, "50", "--force"), "out of service")
    other = Site(bed, "site-b", B, 5070, f"{B}:8070", ["--config", configured(bed, B, A, "site-b"), "--log", "info"])
    other.start()
    until(5, "both sites are peered", lambda: site.mode() == other.mode() == "peered")
    refused(site, ("--to", "nowhere", "--percent", "50"), "no site is called nowhere")
    refused(site, (*to, "50", "--group", "nobody"), "no agent group is called nobody")
    refused(site, ("--pause",), "no migration is under way")
    refused(site, (*to, "50"), "401", password="wrong")
    refused(site, (*to, "50"), "403", user="supervisor", password="secret-supervisor")
    refused(site, ("--to", "floor", "--percent", "50"), "nothing was moved away")
    print("    what cannot be done is refused with its reason", flush=True)

    floor.phone("1001", NEVER)
    floor.phone("1002", AT_ONCE)
    idle, busy = floor.desktop("agent01"), floor.desktop("agent02")
    busy.log_in("1002", "2002")
    busy.ask("TAgentSetReady", "EventAgentReady", ThisDN="1002")
    talk = floor.call("7000")
    call = busy.hear("EventRinging")["ConnID"]
    busy.hear("EventEstablished")
    idle.log_in("1001", "2001")
    refused(site, (*to, "50"), "phones-stay: 2 agents")
    for number in ("1001", "1002"):
        expect(bed.register(other, [number], PHONES[number], 5070, f"register-{number}-at-b"), f"{number} registers at both")
    print("    agents whose phones would stay behind are not moved", flush=True)
    ended, said = migrate(site, *to, "50")
    expect(ended == 0 and "50 % of new calls and agents" in said, f"half of it goes: {ended} {said}")
    is_logged_out(idle)
    answer = idle.ask("TAgentLogin", "EventError", ThisDN="1001", AgentID="2001")
    expect(answer["ErrorCode"] == 156 and "peer" in answer["ErrorMessage"], f"he belongs there, but: {answer}")
    until(2, "the status says so", lambda: "50 %" in (site.ask("status")["migration"] or ""))
    print("    of two agents the idle one is logged out with graceful_shutdown_logout, and belongs at the other site", flush=True)

    ended, said = migrate(site, *to, "100")
    expect(ended == 0 and "2002" in said and "a call at his DN" in said, f"it says who is waited for: {ended} {said}")
    sent = floor.call("7000")
    sent.was_told(302)
    expect(any(f"Contact: <sip:7000@{B}:5070;x-tandem-forwarded=floor>" in m for m in sent.received()), "marked, to the peer")
    asked = busy.send("TReleaseCall", ThisDN="1002", ConnID=call)
    busy.hear("EventAgentNotReady", WorkMode="AfterCallWork")
    busy.hear("EventReleased", ConnID=call, ReferenceID=asked)
    talk.done()
    busy.hear("EventAgentReady")
    is_logged_out(busy)
    status = site.ask("migrate", "--status")
    expect((status["state"], status["agents_gone"], status["agents_here"]) == ("standing", 2, 0), f"all are gone: {status}")
    print("    the other one follows after his call and his after-call work; new calls are sent by 302, marked", flush=True)

    ended, said = migrate(site, "--to", "floor", "--percent", "100")
    expect(ended == 0 and "no migration" in said, f"by its own name it comes back: {ended} {said}")
    busy.ask("TAgentLogin", "EventAgentLogin", ThisDN="1002", AgentID="2002", WorkMode="AutoIn")
    busy.hear("EventAgentReady")
    floor.call("7000")
    busy.hear("EventRinging")
    busy.hear("EventEstablished")
    migrate(site, *to, "100")
    other.kill()
    until(5, "the peer is lost", lambda: site.mode() == "single-site")
    expect(site.ask("migrate", "--status")["state"] == "waits for the peer", "it waits")
    idle.ask("TAgentLogin", "EventAgentLogin", ThisDN="1001", AgentID="2001")
    print("    and back; while the other site is lost, everybody may log in", flush=True)


if __name__ == "__main__":
    main("migrate", in_shares)
