#!/usr/bin/env python3
"""Desktops over TLS: who they talk to is proved by a certificate that the desktop verifies."""

import json
import os
import socket
import ssl
import subprocess

from bed import Site, configuration, expect, main, tandem
from certificates import authority, certificate
from desk import Desktop

HOST = "127.0.0.73"


def certificates(folder, host=HOST):
    """An authority, a certificate of it for the server at `host`, and another authority."""
    authority(folder, "ca")
    authority(folder, "other")
    certificate(folder, "server", host)


def refused(folder, *options):
    """`tandem cti` does not talk to this server; what it says."""
    done = subprocess.run([tandem(), "cti", "--user", "agent01", *options], cwd=folder, capture_output=True, text=True, input="", timeout=10,
                          env={**os.environ, "TANDEM_CTI_PASSWORD": "secret-agent01"})
    expect(done.returncode != 0 and not done.stdout, f"tandem cti {options} is refused, but {done}")
    return done.stderr.strip()


def python_client(folder):
    """A client of another make, which verifies too; the protocol it came to."""
    trust = ssl.create_default_context(cafile=os.path.join(folder, "ca.pem"))
    with socket.create_connection((HOST, 8071), timeout=5) as bare, trust.wrap_socket(bare, server_hostname=HOST) as wire:
        wire.sendall(f"GET /cti HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        expect(b" 101 " in wire.recv(4096), "upgraded to a WebSocket")
        text = json.dumps({"request": "TOpenServer", "UserName": "agent01", "Password": "secret-agent01"}).encode()
        wire.sendall(bytes([129, 128 | len(text)]) + bytes(4) + text)
        expect(b"EventLinkConnected" in wire.recv(4096), "the session opens")
        return wire.version()


def tls(bed):
    certificates(bed.folder)
    with open(os.path.join(bed.folder, "tls.toml"), "w") as file:
        file.write(configuration("tls.toml"))
    site = Site(bed, "tls", HOST, 5070, f"{HOST}:8070", ["--config", os.path.join(bed.folder, "tls.toml"), "--log", "info"])
    site.start()
    url = f"wss://{HOST}:8071/cti"
    site.cti_options = ["--connect", url, "--ca", os.path.join(bed.folder, "ca.pem")]
    desk = Desktop(bed, site, "agent01")
    desk.ask("TRegisterAddress", "EventRegistered", {"InService": False}, ThisDN="1001")
    desk.log_in("1001", "2001")
    desk.leave("1001")
    print("    tandem cti verifies the certificate, registers 1001 and logs 2001 in", flush=True)
    print(f"    another client does too, over {python_client(bed.folder)}", flush=True)
    for options, reason in ((["--connect", url, "--ca", "other.pem"], "UnknownIssuer"),
                            (["--connect", url.replace(HOST, "127.0.0.74"), "--ca", "ca.pem"], "not valid for name"),
                            (["--connect", url], "needs --ca"),
                            (["--connect", url.replace("wss", "ws")], "does it speak wss://")):
        said = refused(bed.folder, *options)
        expect(reason in said, f"{options} is refused for {reason}, but {said}")
        print(f"    {said}", flush=True)
    site.stop()


if __name__ == "__main__":
    main("floor_tls", tls)
