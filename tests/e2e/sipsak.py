#!/usr/bin/env python3
"""sipsak: the tool that operators ping a SIP server with. OPTIONS, registration by digest and its end, and a message of its
own that no server should take."""

import shutil
import subprocess

from bed import CONFIG, Site, Skipped, expect, main, until


def sipsak(bed):
    if not shutil.which("sipsak"):
        raise Skipped("sipsak is not installed")
    site = Site(bed, "site", "127.0.0.25", 5070, "127.0.0.25:8070", ["--config", f"{CONFIG}/softphone.toml"])
    site.start()

    def run(*options, code=0):
        done = subprocess.run(["sipsak", "-i", "-p", f"{site.host}:{site.port}", *options], capture_output=True, text=True, timeout=40)
        expect(done.returncode == code, f"sipsak {' '.join(options)} ends with {code}, but {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    address = f"sip:2001@{site.host}:{site.port}"
    shown = run("-vv", "-s", f"sip:{site.host}:{site.port}")
    expect("200 OK" in shown and "Allow:" in shown, f"OPTIONS is answered with what the server can do, but: {shown}")
    print("    OPTIONS: 200, with what is allowed", flush=True)
    run("-U", "-C", "sip:2001@127.0.0.42:5099", "-x", "60", "-a", "secret-2001", "-u", "2001", "-s", address)
    until(3, "it is registered", lambda: [binding["dn"] for binding in site.ask("reg", "list")] == ["2001"])
    contact = site.ask("reg", "list")[0]["contact"]
    expect("127.0.0.42:5099" in contact, f"where it said, but at {contact}")
    print(f"    REGISTER by digest: bound to {contact}", flush=True)
    run("-U", "-C", "empty", "-x", "60", "-a", "wrong", "-u", "2001", "-s", address, code=2)
    print("    REGISTER with a wrong password: refused", flush=True)
    for broken in ("", "NONSENSE\r\n\r\n", f"OPTIONS {address} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n\r\n"):
        path = f"{bed.folder}/message"
        with open(path, "w") as file:
            file.write(broken)
    shown = subprocess.run(["sipsak", "-f", path, "-vv", "-s", address], capture_output=True, text=True, timeout=40).stdout
    expect("400 Bad Request" in shown and "missing" in shown, f"what is missing is named, but: {shown}")
    print("    a request without its headers: 400, which names the first that is missing", flush=True)
    site.stop()


if __name__ == "__main__":
    main("sipsak", sipsak)
