"""A real browser for tests of pages: Chromium without a window, driven through a pipe."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
WHY_NOT = "no Chromium here to open the page in: apt-get install chromium"
_SECONDS = 60.0


class Browser:
    """One page in a browser. `problems` are what it wrote to its console, and what it was refused.

    The protocol is Chromium's own: JSON, each message ended by a zero byte.
    """

    def __init__(self, sent: int, received: int) -> None:
        self._sent, self._received = sent, received
        self._buffer, self._last = b"", 0
        self._session: str | None = None
        self.problems: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._sent, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            found = self._read()
            if found.get("id") == self._last:
                assert "error" not in found, (method, found["error"])
                return dict(found["result"])
        raise TimeoutError(method)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._received, 1 << 16)
            assert part, "the browser has ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = dict(json.loads(text))
        told = message.get("params", {})
        if message.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.problems.append(json.dumps(told))
        if message.get("method") == "Log.entryAdded":
            self.problems.append(told["entry"]["text"])
        if message.get("method") == "Network.requestWillBeSent":
            url = told["request"]["url"]
            if not url.startswith(("file:", "data:", "about:")):
                self.problems.append(f"asked the network for {url}")
        return message

    def open(self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a file, at a size of the window and in a light or dark scheme."""
        phone = width < 500
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.resolve().as_uri())
        end = time.monotonic() + _SECONDS
        while self("document.readyState") != "complete" or self("location.href") == "about:blank":
            assert time.monotonic() < end, "the page does not load"
            time.sleep(0.02)

    def __call__(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, (expression, found["exceptionDetails"])
        return found["result"].get("value")

    def type(self, selector: str, text: str) -> None:
        """Give a field another value, as typing or choosing does."""
        self(
            f"(() => {{ const field = document.querySelector({json.dumps(selector)});"
            f"field.value = {json.dumps(text)};"
            "field.dispatchEvent(new Event('input', { bubbles: true })); })()"
        )

    def press(self, key: str) -> None:
        """Press and release a key that writes a character."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key)


def _pipe() -> tuple[int, int]:
    """A pipe with numbers that are not 3 or 4, which the browser's own ends get."""
    low = os.pipe()
    read, write = (fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 50) for each in low)
    for each in low:
        os.close(each)
    return read, write


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser, and end it."""
    assert CHROMIUM is not None, WHY_NOT
    (command_in, command_out), (answer_in, answer_out) = _pipe(), _pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            f"--user-data-dir={profile}",
            "--remote-debugging-pipe",
        ]
        # Chromium reads commands from file 3 and writes answers to file 4.
        shell = f'exec "$0" "$@" 3<&{command_in} 4>&{answer_out}'
        process = subprocess.Popen(
            ["bash", "-c", shell, CHROMIUM, *options],
            pass_fds=(command_in, answer_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(command_in)
        os.close(answer_out)
        try:
            yield Browser(command_out, answer_in)
        finally:
            process.terminate()
            process.wait(timeout=_SECONDS)
            os.close(command_out)
            os.close(answer_in)
