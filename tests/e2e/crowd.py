#!/usr/bin/env python3
"""Ten thousand connections that say nothing, a sender that never finishes, a message that is too long: phones notice none of
them.
"""

import os
import re
import resource
import select
import socket
import time
import urllib.request

from bed import CONFIG, Bed, Site, expect, main, until

SITE, PORT, GATEWAY = "127.0.0.89", 5070, "127.0.0.90"
MAX, UNPROVEN_PER_SOURCE, MESSAGE_WITHIN_S = 5000, 256, 20


def connect(source):
    wire = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    wire.bind((source, 0))
    wire.connect((SITE, PORT))
    return wire


def request(method, source, number, extra="", body=b""):
    return (f"{method} sip:{SITE}:{PORT} SIP/2.0\r\nVia: SIP/2.0/TCP {source}:5060;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:2001@{SITE}>;tag=t{number}\r\nTo: <sip:2001@{SITE}>\r\nCall-ID: c{number}@{source}\r\n"
            f"CSeq: 1 {method}\r\nContact: <sip:2001@{source}:5060;transport=tcp>\r\n{extra}"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def asks(wire, source, number):
    """Status of the answer to OPTIONS, and how long it took, s."""
    begin = time.monotonic()
    wire.settimeout(5)
    wire.sendall(request("OPTIONS", source, number))
    head = b""
    while b"\r\n\r\n" not in head:
        more = wire.recv(4096)
        expect(more, "the connection stays open")
        head += more
    return int(head.split()[1]), time.monotonic() - begin


def closed(wires):
    """How many of these the server has closed."""
    count = 0
    poll = select.poll()
    for wire in wires:
        poll.register(wire, select.POLLIN)
    for _, _ in poll.poll(0):
        count += 1
    return count


def metric(site, name):
    with urllib.request.urlopen(f"{site.url}/metrics") as page:
        text = page.read().decode()
    return int(re.search(rf"^{name} (\d+)", text, re.M).group(1))


def crowd(bed: Bed):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    site = Site(bed, "site", SITE, PORT, f"{SITE}:8070", ["--config", os.path.join(CONFIG, "crowd.toml"), "--log", "info"])
    site.start()
    phone = connect("127.0.0.91")
    expect(asks(phone, "127.0.0.91", 1)[0] == 200, "a phone is answered")
    slow = connect("127.0.0.92")
    # It has proven itself, so that its place is not needed for others.
    expect(asks(slow, "127.0.0.92", 5)[0] == 200, "the slow sender is answered")
    begun = time.monotonic()
    slow.sendall(b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.92;branch=z9hG4bKslow\r\n")

    large = connect("127.0.0.93")
    large.sendall(request("MESSAGE", "127.0.0.93", 2).replace(b"Content-Length: 0", b"Content-Length: 900000"))
    answer = b""
    large.settimeout(5)
    while more := large.recv(4096):
        answer += more
    expect(answer.startswith(b"SIP/2.0 413 "), f"a body too long gets 413 and the connection ends, but: {answer[:60]}")
    print("    a message too long got 413, and its connection was closed", flush=True)

    large = connect("127.0.0.93")
    large.sendall(b"\r\n\r\n")
    large.settimeout(5)
    expect(large.recv(16) == b"\r\n", "a ping of RFC 5626 is answered")

    wires, gateway = [], []
    for n in range(10_000):
        wires.append(connect(f"127.0.{1 + n // UNPROVEN_PER_SOURCE}.1"))
        if n % 1000 == 999:
            status, took = asks(phone, "127.0.0.91", 10 + n)
            expect(status == 200 and took < 0.2, f"the phone is answered meanwhile, but {status} after {took:.3f} s")
    until(1, f"at most {MAX} are open", lambda: metric(site, "tandem_tcp_connections") <= MAX)
    late = connect("127.0.0.94")
    status, took = asks(late, "127.0.0.94", 3)
    expect(status == 200 and took < 0.2, f"a new phone finds its place, but {status} after {took:.3f} s")
    until(5, "the oldest have made room", lambda: closed(wires) > 10_000 - MAX)
    made = metric(site, "tandem_tcp_made_room_total")
    print(f"    of 10000 idle connections {MAX} had a place ({made} made room); a new phone was answered in {took * 1000:.1f} ms",
          flush=True)

    many = [connect("127.0.0.95") for _ in range(UNPROVEN_PER_SOURCE + 50)]
    until(5, "one source has its share", lambda: closed(many) == 50)
    gateway = [connect(GATEWAY) for _ in range(UNPROVEN_PER_SOURCE + 50)]
    time.sleep(0.3)
    expect(closed(gateway) == 0, "a trunk may open any number")
    print(f"    a source with {len(many)} silent connections lost 50 of them, a trunk none", flush=True)

    slow.settimeout(MESSAGE_WITHIN_S + 5)
    expect(slow.recv(16) == b"", "a message that is never whole ends its connection")
    took = time.monotonic() - begun
    expect(MESSAGE_WITHIN_S - 1 < took < MESSAGE_WITHIN_S + 3, f"after {MESSAGE_WITHIN_S} s, not {took:.1f}")
    expect(metric(site, "tandem_tcp_slow_sender_total") == 1, "and is counted")
    print(f"    a sender that never finished its message was cut off after {took:.1f} s", flush=True)
    expect(asks(phone, "127.0.0.91", 4)[0] == 200, "the phone's connection has seen it all")
    site.stop()


if __name__ == "__main__":
    main("crowd", crowd)
