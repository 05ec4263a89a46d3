"""User agents over connections that they open: TCP and WebSocket, with and without TLS."""

import base64
import os
import re
import select
import socket
import ssl
import struct
import threading

from bed import expect
from ua import PATIENCE_S, Agent


def shake_hands(wire, host, protocol="sip"):
    """Upgrades to a WebSocket; the answer's head."""
    key = base64.b64encode(os.urandom(16)).decode()
    offer = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
    wire.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = wire.recv(1)
        if not byte:
            break
        head += byte
    return head.decode()


class Connected(Agent):
    """An Agent that keeps one connection to its server. `transport`: TCP, TLS, WS or WSS; `ca`: what it trusts."""

    def __init__(self, bed, name, host, site, transport, port, ca=None, manner="answer"):
        self.transport, self.to, self.ca = transport, (site.host, port), ca
        # A TLS connection must not be read and written by two threads at once.
        self.wire = threading.Lock()
        super().__init__(bed, name, host, site, manner=manner)

    def open(self):
        self.socket = socket.create_connection(self.to, timeout=PATIENCE_S, source_address=(self.host, 0))
        if self.transport in ("TLS", "WSS"):
            trust = ssl.create_default_context(cafile=self.ca)
            self.socket = trust.wrap_socket(self.socket, server_hostname=self.to[0])
        self.port = self.socket.getsockname()[1]
        if self.transport in ("WS", "WSS"):
            head = shake_hands(self.socket, self.to[0])
            expect(" 101 " in head and re.search(r"sec-websocket-protocol: sip\r", head, re.I), f"upgraded to sip, but: {head}")
        self.socket.settimeout(None)

    def version(self):
        return self.socket.version()

    def certificate(self):
        """Serial number of the server's certificate."""
        return self.socket.getpeercert()["serialNumber"]

    def put(self, data, to):
        if self.transport in ("WS", "WSS"):
            size = bytes([128 | len(data)]) if len(data) < 126 else bytes([254]) + struct.pack("!H", len(data))
            data = bytes([129]) + size + bytes(4) + data
        self.write(data)

    def write(self, data):
        with self.wire:
            self.socket.sendall(data)

    def receive_some(self, length):
        tls = isinstance(self.socket, ssl.SSLSocket)
        while True:
            if self.socket.fileno() < 0:
                raise OSError("closed")
            if not (tls and self.socket.pending()):
                select.select([self.socket], [], [])
            with self.wire:
                if not tls:
                    return self.socket.recv(length)
                self.socket.settimeout(0)
                try:
                    return self.socket.recv(length)
                except ssl.SSLWantReadError:
                    continue
                finally:
                    self.socket.settimeout(None)

    def read(self, length):
        data = b""
        while len(data) < length:
            more = self.receive_some(length - len(data))
            if not more:
                raise OSError("closed")
            data += more
        return data

    def message(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read(1)
            head = head.lstrip(b"\r\n")
        length = re.search(rb"^(?:content-length|l)\s*:\s*(\d+)", head, re.I | re.M)
        return head + self.read(int(length.group(1)) if length else 0)

    def frame(self):
        while True:
            kind, length = self.read(2)
            if length > 125:
                length = int.from_bytes(self.read(2 if length == 126 else 8), "big")
            payload = self.read(length)
            if kind & 15 == 9:
                self.write(bytes([138, 128 | length]) + bytes(4) + payload)
            elif kind & 15 in (1, 2):
                return payload
            elif kind & 15 == 8:
                raise OSError("closed")

    def listen(self):
        try:
            while True:
                data = self.message() if self.transport in ("TCP", "TLS") else self.frame()
                self.take(data.decode(errors="replace"), self.to)
        except OSError:
            with self.changed:
                self.gone = True
                self.changed.notify_all()

    gone = False
