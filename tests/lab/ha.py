#!/usr/bin/env python3
"""A pair under load: primary, backup and witness on machines of their own (network namespaces), thousands of established calls, short
calls all the time, agents at their desktops, a peer site that watches, and the primary killed, stopped, cut off, or told to go.

ha.py FOLDER [RUN...]   writes ha.md and ha.json there; the runs are kill, stop, cut, deaf, mute, switchover

Environment: N established calls (5000), CALLS short calls a second (100), PHONES (1000), AGENTS (10), TCP: so many of a hundred phones with
established calls speak over TCP (20). The exit code is 1 if a goal is missed.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "e2e")]

from bed import Failed, Site, expect, main, tandem, until  # noqa: E402
from desk import Desktop  # noqa: E402
from group import CTI, Group, HTTP, SIP, VIRTUAL, get, prepare  # noqa: E402
from traffic import PATIENCE, SHORT, Customers, Phones, Probe, Told  # noqa: E402
from wired import Wired  # noqa: E402

N, CALLS, PHONES, AGENTS, TCP = (int(os.environ.get(name) or usual) for name, usual in
                                 (("N", 5000), ("CALLS", 100), ("PHONES", 1000), ("AGENTS", 10), ("TCP", 20)))
CUSTOMERS, TELEPHONES, PROBE, WIRED, PEER = "10.79.2.1", "10.79.2.2", "10.79.2.3", "10.79.2.4", "10.79.0.20"
FIRST_PHONE, FIRST_WIRED, FIRST_AGENT = 20000, 40000, 7001
# From the fault to the first answered OPTIONS; lost attempts for each 100 ms of silence.
GOAL_MS, WISH_MS, LOST_PER_100_MS = 2000, 1000, 1
BEFORE_S, AFTER_S = 3, PATIENCE + SHORT + 1
SITE = """[application]
name = "{name}"
switch = "{switch}"
listen = ["udp:{host}:{sip}", "tcp:{host}:{sip}"]
realm = "lab"
cti-listen = "{host}:{cti}"
cdr-file = "cdr-{name}.jsonl"
[TServer]
sip-address = "{host}"
sip-port = {sip}
dr-peer-trunk = "peer"
dr-forward = "oos"
authenticate-requests = []
[http]
listen = "{own}:{http}"
[[trunk]]
name = "peer"
contact = "sip:{peer}:{sip}"
oos-check = 2
oos-force = 2
[[trunk]]
name = "customers"
contact = "sip:{customers}:5060"
"""
RUNS = {
    "kill": ("`kill -9`", lambda primary: primary.kill(), lambda primary: primary.start()),
    "stop": ("`kill -STOP`", lambda primary: primary.signal(signal.SIGSTOP), lambda primary: primary.signal(signal.SIGCONT)),
    "cut": ("its cable cut", lambda primary: primary.lose("in", "out"), lambda primary: primary.mend()),
    "deaf": ("nothing comes in", lambda primary: primary.lose("in"), lambda primary: primary.mend()),
    "mute": ("nothing goes out", lambda primary: primary.lose("out"), lambda primary: primary.mend()),
    "switchover": ("`tandem ha switchover`", lambda primary: switchover(primary), lambda primary: None),
}


def switchover(primary):
    """The moment before; the command itself returns when the other serves."""
    moment = time.monotonic()
    threading.Thread(target=primary.run, args=("ha", "switchover"), daemon=True).start()
    return moment


class Watch(threading.Thread):
    """Whether the peer site ever believed that this one is lost."""

    def __init__(self, peer):
        super().__init__(daemon=True)
        self.peer, self.seen, self.on = peer, [], True

    def run(self):
        while self.on:
            answer = get(PEER, "/api/status")
            mode = json.loads(answer[1])["mode"] if answer and answer[0] == 200 else None
            if mode and (not self.seen or self.seen[-1][1] != mode):
                self.seen.append((time.monotonic(), mode))
            time.sleep(0.1)

    def noticed(self, since):
        return any(at > since and mode != "peered" for at, mode in self.seen)


class Lab:
    def __init__(self, bed):
        self.bed = bed
        office = self.office()
        fields = {"sip": SIP, "cti": CTI, "http": HTTP, "customers": CUSTOMERS}
        site = SITE.format(name="@name@", switch="lab", host=VIRTUAL, own="@own@", peer=PEER, **fields) + office
        self.group = Group(bed, site, [CUSTOMERS, TELEPHONES, PROBE, WIRED, PEER])
        with open(os.path.join(bed.folder, "peer.toml"), "w") as file:
            file.write(SITE.format(name="peer", switch="other", host=PEER, own=PEER, peer=VIRTUAL, **fields) + office)
        self.group.begin()
        self.group.truth(self.group.north)
        peer = Site(bed, "peer", PEER, SIP, f"{PEER}:{HTTP}", ["--config", "peer.toml", "--log", "info"])
        peer.start()
        until(15, "both sites are peered", lambda: peer.mode() == "peered" and self.group.ask("status")["mode"] == "peered")
        self.watch = Watch(peer)
        self.watch.start()
        bed.closers.append(lambda: setattr(self.watch, "on", False))
        self.people()

    def office(self):
        hashed = subprocess.run([tandem(), "hash-password", "--memory", "256", "--iterations", "1"], check=True, text=True,
                                input="secret-admin\n", capture_output=True).stdout.strip()
        office = f'[[person]]\nuser = "admin"\nrole = "administrator"\npassword-hash = "{hashed}"\n'
        office += f'[[extension]]\nnumbers = "{FIRST_PHONE}-{FIRST_PHONE + PHONES - 1}"\npassword = "x"\n'
        if TCP:
            office += f'[[extension]]\nnumbers = "{FIRST_WIRED}-{FIRST_WIRED + PHONES - 1}"\npassword = "x"\n'
        office += f'[[extension]]\nnumbers = "{FIRST_AGENT}-{FIRST_AGENT + AGENTS - 1}"\npassword = "x"\n[[agent-login]]\nids = "8001-{8000 + AGENTS}"\n'
        for number in range(1, AGENTS + 1):
            user = f"agent{number:03}"
            hashed = subprocess.run([tandem(), "hash-password", "--memory", "256", "--iterations", "1"], check=True, text=True,
                                    input=f"secret-{user}\n", capture_output=True).stdout.strip()
            office += f'[[person]]\nuser = "{user}"\nrole = "agent"\npassword-hash = "{hashed}"\nagent-logins = ["{8000 + number}"]\n'
        return office

    def people(self):
        site = (VIRTUAL, SIP)
        called = list(range(FIRST_PHONE, FIRST_PHONE + PHONES))
        everybody = called + list(range(FIRST_AGENT, FIRST_AGENT + AGENTS))
        # Short calls are those of phones over UDP: one to a phone that is on its way back would measure the phone.
        wired = range(FIRST_WIRED, FIRST_WIRED + PHONES * TCP // 100)
        self.customers = Told(Customers, CUSTOMERS, site, called, [*wired, *called[len(wired):]])
        self.phones = [Told(Phones, TELEPHONES, site, everybody), Told(Wired, WIRED, site, list(wired))]
        self.probe = Told(Probe, PROBE, site, nice=-10)
        self.bed.closers += [self.customers.close, *(phones.close for phones in self.phones), self.probe.close]
        expected = len(everybody) + len(wired)
        for phones in self.phones:
            phones.register()
        until(60 + expected / 100, "all phones are registered", lambda: sum(phones.registrations() for phones in self.phones) == expected)
        self.desktops = []
        for number in range(AGENTS):
            desk = Desktop(self.bed, self.group, f"agent{number + 1:03}")
            desk.log_in(str(FIRST_AGENT + number), str(8001 + number), mode="AutoIn" if number % 2 else "ManualIn")
            self.desktops.append(desk)

    def talking(self):
        there = sum(phones.states("long").get("talking", 0) for phones in self.phones)
        return self.customers.states("long").get("talking", 0), there

    def establish(self):
        """As many long calls as there are to be; those that came to nothing are made again."""
        end = time.monotonic() + 60 + N / 25
        while self.talking()[0] < N:
            expect(time.monotonic() < end, f"{N} calls are established, but (callers, phones) have {self.talking()}")
            self.customers.establish(N - self.talking()[0], max(CALLS, 20))
            until(30 + N / 10, "attempts have their outcome", lambda: self.customers.states("long").get("calling", 0) == 0
                  and sum(self.customers.states("long").values()) >= N)
            self.customers.forget("lost")
        try:
            until(10, "phones and callers have the same calls", lambda: self.talking() == (N, N))
        except Failed as failed:
            raise Failed(f"{failed}: (callers, phones) have {self.talking()}; phones on their way back: {self.phones[1].adrift()}") from failed

    def picture(self):
        """Registrations and agents, as an operator sees them."""
        agents = {(row["dn"], row["agent_id"], row["state"], row["work_mode"]) for row in self.group.ask("agent", "list")}
        registrations = {(row["dn"], str(row["contact"])) for row in self.group.ask("reg", "list")}
        return registrations, agents

    def run(self, name):
        """One fault under load; what came of it."""
        told, fault, mend = RUNS[name]
        primary = self.group.primary()
        other = self.group.other(primary)
        self.establish()
        self.customers.short(CALLS)
        before = self.picture()
        began = time.monotonic()
        until(BEFORE_S + 1, "the load runs", lambda: time.monotonic() > began + BEFORE_S)
        moment = fault(primary)
        try:
            self.group.takes_over(other, moment, seconds=30)
            until(30, "the site answers", lambda: len(self.probe.answers(time.monotonic() - 0.5)) > 25)
            serving = time.monotonic()
            result = {"run": name, "told": told, **self.silence(moment, name == "switchover"), **self.desks(), "serving_seen_ms": round((serving - moment) * 1000)}
            until(AFTER_S + 1, "attempts of the gap have their outcome", lambda: time.monotonic() > serving + AFTER_S)
            after = self.picture()
            self.customers.short(0)
            result.update(self.hung_up(), registrations=len(before[0]), registrations_lost=len(before[0] - after[0]),
                          agents=len(before[1]), agents_changed=len(before[1] - after[1]))
            result.update(self.attempts(began, result.pop("gap_end"), result["first_answer_ms"]), peer_noticed=self.watch.noticed(moment))
        finally:
            mend(primary)
        self.group.is_whole(other, seconds=60)
        result["calls_left"] = self.left()
        result.update(self.counted(began))
        result["missed"] = missed(result)
        for party in (self.customers, *self.phones):
            party.forget()
        return result

    def silence(self, moment, planned):
        """From the fault to the answer that ended the longest silence after it."""
        times = [moment, *self.probe.answers(moment)]
        length, end = max((b - a, b) for a, b in zip(times, times[1:]))
        # A command takes its time before it comes to the switchover itself.
        gap = length if planned else end - moment
        return {"first_answer_ms": round(gap * 1000), "gap_end": end}

    def desks(self):
        """Desktops connect again, and go on where they were: no event is missing."""
        continued = 0
        for index, old in enumerate(self.desktops):
            old.kill()
            try:
                self.desktops[index] = Desktop(self.bed, self.group, old.user, session=old.session, after=old.last)
                self.desktops[index].reference = old.reference
                continued += 1
            except Failed as reason:
                print(f"    {reason}", flush=True)
                self.desktops[index] = Desktop(self.bed, self.group, old.user)
        return {"desktops": len(self.desktops), "desktops_continued": continued}

    def hung_up(self):
        """Every established call is hung up, half from either end; who got no 200 to his BYE, or never heard of it, has lost it."""
        here, there = self.talking()
        self.customers.hang_up_half(200)
        for phones in self.phones:
            phones.hang_up_half(200)
        over = lambda: not sum(self.talking()) and not any(party.states("long").get("leaving") for party in (self.customers, *self.phones))
        try:
            until(45 + N / 200, "every established call is hung up", over)
        except Failed:
            pass
        rows = self.customers.long(), [row for phones in self.phones for row in phones.long()]
        lost = [max(0, N - sum(1 for row in side if row[1] == "ended")) for side in rows]
        reasons = [f"{end}: {row[0]} {row[1]}, {row[2]}" for end, side in zip(("caller", "phone"), rows) for row in side if row[1] != "ended"]
        return {"established": N, "established_after": min(here, there), "established_lost": max(lost), "established_why": reasons[:10],
                "hung_up_by_callers": sum(1 for row in rows[0] if row[3] == "self"), "hung_up_by_phones": sum(1 for row in rows[1] if row[3] == "self")}

    def attempts(self, began, end, first_answer_ms):
        until(40, "short calls are over", lambda: not any(self.customers.states("short").get(state) for state in ("calling", "talking", "leaving")))
        all_of_them = self.customers.attempts(began)
        moment = end - first_answer_ms / 1000
        gap = [one for one in all_of_them if moment <= one[0] < end]
        lost = [one for one in all_of_them if one[2] != "ended" and one[1] is None]
        cut = [one for one in all_of_them if one[2] != "ended" and one[1] is not None]
        waited = sorted((one[1] - one[0]) * 1000 for one in gap if one[1])
        return {"attempts": len(all_of_them), "attempts_in_gap": len(gap), "attempts_lost": len(lost),
                "attempts_lost_per_100_ms": round(len(lost) / max(1, first_answer_ms) * 100, 2),
                "attempts_why": sorted({f"{one[3]}, {round((one[0] - moment) * 1000)} ms after the fault" for one in lost})[:10],
                "short_established_lost": len(cut), "short_why": [f"{one[3]}, {round((one[0] - moment) * 1000)} ms after the fault" for one in cut][:10],
                "answered_in_gap_p50_ms": round(waited[len(waited) // 2]) if waited else None}

    def left(self):
        """Calls that the site still has when all are over."""
        try:
            until(40, "no call is left", lambda: self.group.ask("call", "list") == [])
        except Failed:
            pass
        return len(self.group.ask("call", "list"))

    def counted(self, began):
        """Each call that was answered has one record: the union of both servers' files by CallUUID."""
        wanted = {one[4] for one in self.customers.attempts(began) if one[1]} | {row[0] for row in self.customers.long()}
        def known():
            found = {}
            for record in self.group.records():
                for leg in record["legs"]:
                    found.setdefault(leg["sip_call_id"], []).append(record["call_uuid"])
            return found
        try:
            until(10, "all records are written", lambda: wanted <= known().keys())
        except Failed:
            pass
        found = known()
        return {"calls_answered": len(wanted), "records_missing": sum(1 for one in wanted if one not in found),
                "records_of_two_calls": sum(1 for one in wanted if len(set(found.get(one, []))) > 1),
                "records_in_both_files": sum(1 for one in wanted if len(found.get(one, [])) > len(set(found.get(one, []))))}


def missed(result):
    """The goals that were not met."""
    allowed = LOST_PER_100_MS * max(1, -(-result["first_answer_ms"] // 100))
    checks = (
        (result["first_answer_ms"] <= GOAL_MS, f"first answer after {result['first_answer_ms']} ms, not {GOAL_MS}"),
        (result["attempts_lost"] <= allowed, f"{result['attempts_lost']} attempts lost, {allowed} allowed for the gap"),
        (result["established_lost"] == 0, f"{result['established_lost']} established calls lost"),
        (result["short_established_lost"] == 0, f"{result['short_established_lost']} answered short calls lost"),
        (result["calls_left"] == 0, f"{result['calls_left']} calls left at the site when all were over"),
        (result["registrations_lost"] == 0, f"{result['registrations_lost']} registrations lost"),
        (result["agents_changed"] == 0, f"{result['agents_changed']} agents are not as they were"),
        (result["desktops_continued"] == result["desktops"], "desktops missed events"),
        (result["records_missing"] == 0, f"{result['records_missing']} calls without a record"),
        (result["records_of_two_calls"] == 0, f"{result['records_of_two_calls']} calls with two records"),
        (not result["peer_noticed"], "the peer site noticed"),
    )
    return [text for met, text in checks if not met]


HEADS = (("first answer, ms", "first_answer_ms"), ("attempts", "attempts"), ("of them in the gap", "attempts_in_gap"), ("lost", "attempts_lost"),
         ("lost for each 100 ms", "attempts_lost_per_100_ms"), ("established", "established"), ("lost", "established_lost"),
         ("registrations lost", "registrations_lost"), ("agents changed", "agents_changed"), ("desktops that went on", "desktops_continued"),
         ("answered calls", "calls_answered"), ("without a record", "records_missing"), ("told twice (same CallUUID)", "records_in_both_files"))


def report(out, results, machine):
    with open(os.path.join(out, "ha.json"), "w") as file:
        json.dump({"n": N, "calls_per_second": CALLS, "phones": PHONES, "agents": AGENTS, "tcp_percent": TCP, "machine": machine, "runs": results}, file, indent=1)
    lines = ["# A pair under load", "", f"{N} established calls, {CALLS} short calls a second, {PHONES} phones, {TCP} % of those with established calls "
             f"over TCP, {AGENTS} agents; {machine}.", "",
             "| | " + " | ".join(result["told"] for result in results) + " |", "|---" * (len(results) + 1) + "|"]
    for head, key in HEADS:
        lines.append(f"| {head} | " + " | ".join(str(result[key]) for result in results) + " |")
    lines.append("| the peer site noticed | " + " | ".join("yes" if result["peer_noticed"] else "no" for result in results) + " |")
    lines.append("| missed | " + " | ".join("; ".join(result["missed"]) or "none" for result in results) + " |")
    for result in results:
        for key in ("attempts_why", "established_why", "short_why"):
            if result[key]:
                lines += ["", f"{result['told']}, {key.split('_')[0]}: " + "; ".join(result[key])]
    with open(os.path.join(out, "ha.md"), "w") as file:
        file.write("\n".join(lines) + "\n")


def described(folder):
    disk = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True).stdout.strip()
    return f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the start, journals on {disk}, synced (durability = \"committed\")"


def play(bed):
    machine = described(bed.folder)
    lab = Lab(bed)
    results = []
    for name in chosen:
        result = lab.run(name)
        results.append(result)
        report(out, results, machine)
        wish = "" if result["first_answer_ms"] > WISH_MS else f" (within {WISH_MS})"
        print(f"    {name}: first answer after {result['first_answer_ms']} ms{wish}; {result['attempts_lost']} of {result['attempts']} attempts lost; "
              f"{result['established_lost']} of {N} established calls lost; {result['records_missing']} of {result['calls_answered']} records missing; "
              f"{'missed: ' + '; '.join(result['missed']) if result['missed'] else 'all goals met'}", flush=True)
        for key in ("attempts_why", "established_why", "short_why"):
            for line in result[key][:3]:
                print(f"        {key.split('_')[0]}: {line}", flush=True)
    missing = [f"{result['run']}: {text}" for result in results for text in result["missed"]]
    expect(not missing, "; ".join(missing))


if __name__ == "__main__":
    if len(sys.argv) < 2 or any(name not in RUNS for name in sys.argv[2:]):
        sys.exit(__doc__)
    out, chosen = os.path.abspath(sys.argv[1]), sys.argv[2:] or list(RUNS)
    os.makedirs(out, exist_ok=True)
    main("lab-ha", play, lambda: prepare("nft"))
