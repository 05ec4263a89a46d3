"""A headless Chromium, spoken to by its DevTools protocol."""

import json
import types
import urllib.request

from bed import Failed, until
from desk import Wire

PORT = 9333
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]


class Browser:
    def __init__(self, bed, url, flags=()):
        self.process = bed.run("chromium", ["chromium", *QUIET, *flags, f"--user-data-dir={bed.folder}/chromium", f"--remote-debugging-port={PORT}", "about:blank"])
        page, _ = until(20, "chromium answers", self.page)
        self.wire = Wire(types.SimpleNamespace(host="127.0.0.1"), port=PORT, path=f"/devtools/page/{page['id']}")
        self.number, self.complaints = 0, []
        for domain in ("Runtime", "Log", "Page"):
            self.ask(f"{domain}.enable")
        self.ask("Page.navigate", url=url)

    @staticmethod
    def page():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/json/list") as answer:
                return next((page for page in json.load(answer) if page["type"] == "page"), None)
        except OSError:
            return None

    def ask(self, method, **parameters):
        self.number += 1
        self.wire.send(Wire.TEXT, json.dumps({"id": self.number, "method": method, "params": parameters}).encode())
        while True:
            message = self.wire.read()
            if not isinstance(message, dict):
                raise Failed(f"chromium closes: {message}")
            if message.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                self.complaints.append(message["params"])
            if message.get("id") == self.number:
                return message.get("result", {})

    def value(self, expression, wait=False):
        """`wait`: the expression is a promise, and its outcome is wanted."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=wait)["result"].get("value")

    def close(self):
        self.process.terminate()
        self.process.wait(10)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" and len(key) == 1 else "")
