"""Authorities and certificates for plays that speak TLS, by openssl."""

import os
import subprocess

from bed import expect

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(folder, *words):
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True)
    expect(done.returncode == 0, f"openssl {' '.join(words)}: {done.stderr}")


def authority(folder, name):
    openssl(folder, "req", "-x509", *EC, "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def certificate(folder, name, host, ca="ca"):
    """A certificate of `ca` for the server `name` at `host`."""
    openssl(folder, "req", *EC, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    with open(os.path.join(folder, "names"), "w") as names:
        names.write(f"subjectAltName=IP:{host}\nbasicConstraints=CA:FALSE\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", f"{name}.pem")
