#!/usr/bin/env python3
"""What a pair costs: the CPU of primary, backup and witness when nothing happens, and for a registration that all three keep.

pair.py [SECONDS of nothing, default 10] [REGISTRATIONS, default 1000]

Three machines in network namespaces, as in the end-to-end tests (it must be root); one REGISTER after the other. TANDEM names the binary.
"""

import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from bed import Bed, expect, main, tandem  # noqa: E402
from group import CTI, HTTP, SIP, VIRTUAL, WORLD, Group, prepare  # noqa: E402

SITE = f"""[application]
name = "@name@"
switch = "bench"
listen = ["udp:{VIRTUAL}:{SIP}"]
realm = "bench"
cti-listen = "{VIRTUAL}:{CTI}"
[TServer]
sip-address = "{VIRTUAL}"
sip-port = {SIP}
authenticate-requests = []
[http]
listen = "@own@:{HTTP}"
[[extension]]
numbers = "1001-1100"
"""


def cpu_s(machine):
    """What its threads have run, as the scheduler counts it."""
    folder = f"/proc/{machine.process.pid}/task"
    return sum(int(open(f"{folder}/{task}/schedstat").read().split()[0]) for task in os.listdir(folder)) / 1e9


def used(group, act):
    before = [cpu_s(machine) for machine in group.machines]
    act()
    return [cpu_s(machine) - was for machine, was in zip(group.machines, before)]


def registrations(count, took):
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind((WORLD, 5060))
    wire.settimeout(5)
    for number in range(1, count + 1):
        dn = 1001 + number % 100
        begin = time.monotonic()
        wire.sendto(
            f"REGISTER sip:{VIRTUAL} SIP/2.0\r\nVia: SIP/2.0/UDP {WORLD}:5060;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:{dn}@{VIRTUAL}>;tag=f\r\nTo: <sip:{dn}@{VIRTUAL}>\r\nCall-ID: {dn}\r\nCSeq: {number} REGISTER\r\n"
            f"Contact: <sip:{dn}@{WORLD}:5060>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n".encode(), (VIRTUAL, SIP))
        expect(wire.recv(65536).startswith(b"SIP/2.0 200"), "it is registered")
        took.append(time.monotonic() - begin)


def bench(bed: Bed):
    seconds, count = [int(word) for word in sys.argv[1:3] + ["10", "1000"][len(sys.argv) - 1:]]
    hashed = subprocess.run([tandem(), "hash-password", "--memory", "256", "--iterations", "1"], check=True, text=True,
                            input="secret-admin\n", capture_output=True).stdout.strip()
    group = Group(bed, SITE + f'[[person]]\nuser = "admin"\nrole = "administrator"\npassword-hash = "{hashed}"\n', [])
    group.begin()
    time.sleep(2)
    idle = used(group, lambda: time.sleep(seconds))
    took = []
    busy = used(group, lambda: registrations(count, took))
    took.sort()
    whole = sum(took)
    for machine, rest, work in zip(group.machines, idle, busy):
        share = rest / seconds
        print(f"    {machine.name:8} idle: {100 * share:.2f} % of a core; CPU-us a registration beyond that: {(work - share * whole) / count * 1e6:.0f}")
    print(f"    REGISTER to 200: p50 {1000 * took[count // 2]:.1f} ms, p99 {1000 * took[count * 99 // 100]:.1f} ms", flush=True)


if __name__ == "__main__":
    prepare()
    main("pair", bench)
