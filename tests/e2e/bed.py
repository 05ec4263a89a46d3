"""The test bed: real servers, SIPp phones and gateways, all on loopback.

Whatever a bed starts, it ends, by process id. Everything it writes lies in one temporary folder, which stays when
something failed.
"""

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SCENARIOS = os.path.join(HERE, "scenarios")
CONFIG = os.path.join(HERE, "config")


class Failed(Exception):
    """A step did not do what it must; the text says what was expected and what was seen."""


class Skipped(Exception):
    """This machine cannot run the test; the text says why."""


def expect(holds, what):
    if not holds:
        raise Failed(what)


def until(seconds, what, probe):
    """Polls `probe` until it returns something true, and returns that with the time it took."""
    begin = time.monotonic()
    while True:
        seen = probe()
        took = time.monotonic() - begin
        if seen:
            return seen, took
        if took > seconds:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def end_on_signals():
    """SIGTERM and SIGINT end the script through its clean-up."""
    def stop(number, _frame):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def tandem():
    """The server's binary: TANDEM, or what `make` built."""
    path = os.environ.get("TANDEM")
    if not path:
        root = os.path.dirname(os.path.dirname(HERE))
        path = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(root, "target")), "release", "tandem")
    if not os.access(path, os.X_OK):
        raise SystemExit(f"{path} is not there: run `make build` first, or set TANDEM to the binary")
    return path


class Site:
    """One `tandem serve`, and what its command line says about it."""

    def __init__(self, bed, name, host, port, http, serve):
        self.bed, self.name, self.host, self.port, self.serve = bed, name, host, port, serve
        self.url = f"http://{http}"
        # Where a `tandem cti` connects to.
        self.cti_options = ["--connect", f"ws://{host}:8071/cti"]
        self.process = None

    def start(self):
        self.process = self.bed.run(self.name, [tandem(), "serve", *self.serve], cwd=self.bed.folder, env=self.bed.environment())
        until(10, f"{self.name} answers its administration interface", self.is_up)

    def is_up(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended at once:\n{self.bed.tail(self.name)}")
        return self.ask("status", quiet=True)

    def ask(self, *words, quiet=False):
        """What `tandem WORDS --json` prints, parsed; None when `quiet` and no server answers."""
        done = subprocess.run([tandem(), *words, "--json", "--server", self.url], capture_output=True, text=True)
        if done.returncode == 0:
            return json.loads(done.stdout)
        if quiet:
            return None
        raise Failed(f"tandem {' '.join(words)} at {self.name}: exit code {done.returncode}: {done.stderr.strip()}")

    def trunk(self, name):
        return next(trunk for trunk in self.ask("trunk", "list") if trunk["name"] == name)

    def mode(self):
        return self.ask("status")["mode"]

    def resident_kb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def kill(self):
        """The site is lost: no word of farewell."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """A clean end must be one: exit code 0."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        expect(code == 0, f"{self.name} ended with exit code {code} on SIGTERM:\n{self.bed.tail(self.name)}")


class Sipp:
    """One running SIPp."""

    def __init__(self, bed, name, process):
        self.bed, self.name, self.process = bed, name, process

    def counts(self):
        """The last line of its statistics, by column."""
        try:
            with open(os.path.join(self.bed.folder, f"{self.name}.stat")) as file:
                rows = list(csv.DictReader(file, delimiter=";"))
        except FileNotFoundError:
            return {}
        return rows[-1] if rows else {}

    def calls(self):
        """(answered and ended, failed)"""
        counts = self.counts()
        return int(counts.get("SuccessfulCall(C)") or 0), int(counts.get("FailedCall(C)") or 0)

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} is still not done after {seconds} s: {self.calls()} calls (done, failed)")

    def summary(self):
        """What SIPp itself says it did."""
        done, failed = self.calls()
        again = self.counts().get("Retransmissions(C)", "?")
        return f"SIPp {self.name}: {done} successful calls, {failed} failed, {again} retransmissions"


class Bed:
    def __init__(self, name):
        self.folder = tempfile.mkdtemp(prefix=f"tandem-{name}-")
        self.processes = []
        self.closers = []

    def __enter__(self):
        return self

    def __exit__(self, kind, _value, _trace):
        for close in self.closers:
            close()
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if kind is None or kind is Skipped:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self.tell_why()

    def tell_why(self):
        """What servers and media servers warned of, for whoever sees only this output."""
        for name in sorted(name for name in os.listdir(self.folder) if name.endswith(".log")):
            with open(os.path.join(self.folder, name), errors="replace") as log:
                told = [line.rstrip()[:400] for line in log if re.search(r"\b(WARN|ERROR|ERR|CRIT)\b|panicked", line)]
            print(*(f"    {name}: {line}" for line in told[-12:]), sep="\n", end="\n" if told else "", flush=True)
        print(f"    logs and SIPp's files are in {self.folder}", flush=True)

    def run(self, name, command, **options):
        """Starts a process whose output goes to NAME.log, appended."""
        with open(os.path.join(self.folder, f"{name}.log"), "a") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, **{"stdin": subprocess.DEVNULL, **options})
        self.processes.append(process)
        return process

    def environment(self):
        """That of a server: what it must not forget lies in the bed's folder, in a directory of its name."""
        return {**os.environ, "STATE_DIRECTORY": os.path.join(self.folder, "state")}

    def tail(self, name, lines=15):
        with open(os.path.join(self.folder, f"{name}.log")) as log:
            return "".join(log.readlines()[-lines:])

    def write(self, name, rows):
        """A CSV for SIPp."""
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write("SEQUENTIAL\n" + "".join(";".join(map(str, row)) + "\n" for row in rows))
        return path

    def sipp(self, name, scenario, host, port, remote=None, rows=None, options=()):
        """Starts a SIPp on host:port; `remote` for one that calls, `rows` for its CSV."""
        command = ["sipp", *([remote] if remote else []), "-sf", os.path.join(SCENARIOS, scenario),
                   "-i", host, "-p", str(port), "-nostdin",
                   "-trace_stat", "-stf", os.path.join(self.folder, f"{name}.stat"), "-fd", "1",
                   "-trace_err", "-error_file", os.path.join(self.folder, f"{name}.err"),
                   "-trace_logs", "-log_file", os.path.join(self.folder, f"{name}.calls")]
        if rows:
            command += ["-inf", self.write(f"{name}.csv", rows)]
        return Sipp(self, name, self.run(name, command + [str(option) for option in options], cwd=self.folder))

    def phones(self, name, host, port):
        """A SIPp that answers every call."""
        phones = self.sipp(name, "phone.xml", host, port)
        until(5, f"{name} listens on {host}:{port}", lambda: is_busy(host, port))
        return phones

    def register(self, site, numbers, host, contact_port, name="register", expires=300, rate=200):
        """Registers `numbers` at `site`; true if it took them all."""
        rows = [(number, f"sip:{number}@{host}:{contact_port}", expires,
                 f"[authentication username={number} password=secret-{number}]") for number in numbers]
        sipp = self.sipp(name, "register.xml", host, free_port(host), remote=f"{site.host}:{site.port}",
                         rows=rows, options=["-m", len(rows), "-r", rate])
        return sipp.wait(30) == 0


def configuration(name):
    """Text of a configuration, to be changed and written elsewhere: what it includes is named in full."""
    with open(os.path.join(CONFIG, name)) as file:
        return re.sub(r'^include = .*$', lambda line: line.group().replace('"', f'"{CONFIG}/', 1).replace(', "', f', "{CONFIG}/'),
                      file.read(), flags=re.M)


def is_busy(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def free_port(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def main(name, test, prepare=None):
    """Runs `prepare()` and `test(bed)` and ends the process with its verdict: 0 passed, 1 failed, 77 skipped."""
    end_on_signals()
    begin = time.monotonic()
    try:
        if prepare:
            prepare()
        with Bed(name) as bed:
            test(bed)
    except Skipped as reason:
        print(f"SKIPPED {name}: {reason}")
        sys.exit(77)
    except Failed as reason:
        print(f"FAILED  {name}: {reason}")
        sys.exit(1)
    print(f"PASSED  {name} in {time.monotonic() - begin:.0f} s")
