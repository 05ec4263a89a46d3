#!/usr/bin/env python3
"""SIP over TLS and WebSocket: phones, a softphone of another make, a gateway by UDP, and two sites that prove to each other
who they are.
"""

import os
import signal
import socket
import ssl

from bed import Bed, Site, configuration, expect, main, until
from certificates import authority, certificate
from softphone import Baresip
from streams import Connected, shake_hands
from ua import Agent

A, B, GATEWAY = "127.0.0.81", "127.0.0.82", "127.0.0.84"


def site(bed, name, host, peer):
    path = os.path.join(bed.folder, f"{name}.toml")
    with open(path, "w") as file:
        file.write(configuration("secure.toml").replace("NAME", name).replace("HOST", host).replace("PEER", peer))
    return Site(bed, name, host, 5070, f"{host}:8070", ["--config", path, "--log", "info"])


def talks_and_ends(caller, callee):
    callee.ua.wait(f"{callee} talks", 5, lambda: callee.got("ACK"))
    expect(callee.told and callee.told[0] == caller.ua.host, f"they agree on media, but {callee.told}")
    caller.bye()
    callee.ends()
    caller.ends()


def secure(bed: Bed):
    ca = os.path.join(bed.folder, "ca.pem")
    authority(bed.folder, "ca")
    authority(bed.folder, "stranger")
    certificate(bed.folder, "site-a", A)
    certificate(bed.folder, "site-b", B)
    a, b = site(bed, "site-a", A, B), site(bed, "site-b", B, A)
    a.start()
    b.start()
    until(6, "the sites know each other by their certificates", lambda: a.mode() == b.mode() == "peered")
    print("    two sites are peered over TLS, each by the other's certificate", flush=True)

    phones = {}
    for number, transport, port in (("1001", "TLS", 5071), ("1002", "WS", 5080), ("1003", "WSS", 5443)):
        phones[transport] = Connected(bed, f"phone-{transport}", f"127.0.0.9{number[3]}", a, transport, port, ca).register(number)
    gateway = Agent(bed, "gateway", GATEWAY, a, manner="answer")
    for number, phone in zip(("1001", "1002", "1003"), phones.values()):
        call = gateway.call(number)
        talks_and_ends(call, phone.fresh_line())
    print(f"    a gateway by UDP calls phones over TLS ({phones['TLS'].version()}), WS and WSS, and hangs up", flush=True)
    contact = phones["WSS"].lines[0].got("INVITE")[0].header("contact")
    expect(contact == f"<sip:{A}:5443;transport=ws>", f"the server can be reached where it listens, but: {contact}")
    other = Connected(bed, "phone-at-b", "127.0.0.95", b, "TLS", 5071, ca).register("1004")
    call = gateway.call("1004")
    talks_and_ends(call, other.fresh_line())
    print("    a call for a phone at the other site goes there over TLS", flush=True)

    baresip = Baresip(bed, a, "1005", "127.0.0.96", answers="auto", tls=(5071, ca))
    until(10, "baresip registers over TLS", lambda: "1005" in {binding["dn"] for binding in a.ask("reg", "list")})
    call = gateway.call("1005")
    gateway.wait("baresip answers", 10, lambda: call.answered)
    call.bye()
    call.ends()
    baresip.quit()
    print("    baresip registers over TLS, is called and hung up on", flush=True)

    with socket.create_connection((A, 5080), timeout=5) as wire:
        head = shake_hands(wire, A, protocol=None)
        expect(" 400 " in head, f"a WebSocket without the subprotocol sip gets 400, but: {head}")
    with socket.create_connection((A, 5071), timeout=5) as wire:
        wire.sendall(b"OPTIONS sip:a SIP/2.0\r\n\r\n")
        expect(b"SIP/2.0" not in wire.recv(100), "plain SIP at a TLS port is no SIP")
    until(3, "the log says why", lambda: "no handshake" in bed.tail("site-a", 400))
    try:
        trust = ssl.create_default_context(cafile=os.path.join(bed.folder, "stranger.pem"))
        with socket.create_connection((A, 5071), timeout=5) as bare, trust.wrap_socket(bare, server_hostname=A):
            expect(False, "a client that trusts another authority does not talk to this server")
    except ssl.SSLError:
        pass
    print("    what is no TLS, or no WebSocket for SIP, is refused, and the log says why", flush=True)

    before = phones["TLS"].certificate()
    certificate(bed.folder, "site-a", A)
    a.process.send_signal(signal.SIGHUP)
    until(3, "the certificates are read anew", lambda: "read anew" in bed.tail("site-a", 400))
    late = Connected(bed, "phone-late", "127.0.0.97", a, "TLS", 5071, ca).register("1006")
    expect(late.certificate() != before, "new connections are shown the new certificate")
    call = gateway.call("1001")
    talks_and_ends(call, phones["TLS"].fresh_line())
    print("    a new certificate is shown from SIGHUP on; connections that are open go on", flush=True)

    b.stop()
    until(6, "the peer is lost", lambda: a.mode() == "single-site")
    certificate(bed.folder, "site-b", "127.0.0.83")
    b.start()
    until(3, "the other site answers", b.is_up)
    until(4, "its certificate is refused", lambda: "not valid for name" in bed.tail("site-a", 600) or "does not name" in bed.tail("site-a", 600))
    expect(a.mode() == "single-site", "a peer whose certificate names another host is no peer")
    print("    a peer whose certificate names another host is not believed", flush=True)
    a.stop()
    b.stop()


if __name__ == "__main__":
    main("sip_tls", secure)
