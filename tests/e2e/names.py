"""A name server of the tests' own: UDP, one question a datagram, records from a dictionary."""

import socket
import struct
import threading

A, NAPTR, AAAA, SRV = 1, 35, 28, 33


def packed(name):
    labels = [label.encode() for label in name.strip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def text(value):
    return bytes([len(value)]) + value.encode()


def address(ip):
    return (AAAA, socket.inet_pton(socket.AF_INET6, ip)) if ":" in ip else (A, socket.inet_aton(ip))


def srv(priority, weight, port, target):
    return SRV, struct.pack("!HHH", priority, weight, port) + packed(target)


def naptr(order, preference, service, replacement):
    return NAPTR, struct.pack("!HH", order, preference) + text("s") + text(service) + text("") + packed(replacement)


class NameServer(threading.Thread):
    """`zone`: name to a list of what `address`, `srv` and `naptr` make; it may be changed at any time."""

    def __init__(self, host, port, zone, ttl_s=1):
        super().__init__(daemon=True)
        self.zone, self.ttl_s, self.asked = zone, ttl_s, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.silent = False
        self.start()

    def run(self):
        while True:
            try:
                question, source = self.socket.recvfrom(1500)
            except OSError:
                return
            if not self.silent:
                self.socket.sendto(self.answer(question), source)

    def answer(self, question):
        labels, place = [], 12
        while question[place]:
            labels.append(question[place + 1:place + 1 + question[place]].decode().lower())
            place += 1 + question[place]
        kind = struct.unpack("!H", question[place + 1:place + 3])[0]
        name = ".".join(labels)
        self.asked.append((name, kind))
        known = self.zone.get(name)
        found = [data for sort, data in known or [] if sort == kind]
        code = 0 if known is not None else 3
        head = question[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(found), 0, 0)
        records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttl_s, len(data)) + data for data in found)
        return head + question[12:place + 5] + records

    def close(self):
        self.socket.close()
