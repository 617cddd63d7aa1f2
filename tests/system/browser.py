"""A real headless Chromium, driven through a pipe with the DevTools protocol: no driver and no library between.

It is Debian's package ``chromium`` (``make test-system`` installs it where it may). Each call is
https://chromedevtools.github.io/devtools-protocol/.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-sandbox", "--disable-gpu",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--force-color-profile=srgb", "--password-store=basic",
)  # fmt: skip
PATIENCE_S = 30.0


class Browser:
    """One tab. What it logs as an error (a broken policy, a script that died) is in ``errors``."""

    def __init__(self, into: int, out: int) -> None:
        self._into, self._out, self._left, self._number = into, out, b"", 0
        self.errors: list[str] = []
        target = self.call("Target.createTarget", session=None, url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", session=None, targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, session: str | None = "", **params: Any) -> dict[str, Any]:
        """One command, and its result."""
        self._number += 1
        asked: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session is not None:
            asked["sessionId"] = session or self._session
        os.write(self._into, json.dumps(asked).encode() + b"\0")
        until = time.monotonic() + PATIENCE_S
        while True:
            told = self._next(until)
            if told.get("id") == self._number:
                assert "error" not in told, (method, told["error"])
                return told["result"]

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._out], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self._out, 65536)
            assert part, "the browser has ended"
            self._left += part
        line, _, self._left = self._left.partition(b"\0")
        told: dict[str, Any] = json.loads(line)
        self._note(told.get("method"), told.get("params", {}))
        return told

    def _note(self, event: str | None, params: dict[str, Any]) -> None:
        if event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif event == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"]))

    # what a person does

    def look_like(self, *, width: int, height: int = 900, dark: bool = False, script: bool = True) -> None:
        """Be a screen of this size that prefers light or dark, with or without scripts."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.call("Emulation.setEmulatedMedia", features=[scheme, motion])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)

    def open(self, address: str) -> None:
        """Go to an address, and wait for the whole page."""
        self.tell("window.isOld = true")
        told = self.call("Page.navigate", url=address)
        assert "errorText" not in told, told
        self.until("!window.isOld && document.readyState === 'complete'")

    def tell(self, expression: str) -> Any:
        """The value of an expression on the page (scripts of the page may be off all the same)."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, (expression, found["exceptionDetails"])
        return found["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait until an expression is true."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if found := self._told_or_none(expression):
                return found
            time.sleep(0.1)
        raise AssertionError(f"never true: {expression}; {self.tell('document.body.innerText')}")

    def _told_or_none(self, expression: str) -> Any:
        try:
            return self.tell(expression)
        except AssertionError:  # the page goes away under the question
            return None

    def press(self, selector: str) -> None:
        """Press the mouse on something, as a person does."""
        self.tell(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        box = self.tell(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
                        f"(document.querySelector({selector!r}).getBoundingClientRect())")  # fmt: skip
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def key(self, name: str, code: int, text: str = "") -> None:
        """Press a key."""
        down = {"type": "keyDown", "key": name, "code": name, "windowsVirtualKeyCode": code, "text": text}
        self.call("Input.dispatchKeyEvent", **down)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, code=name, windowsVirtualKeyCode=code)

    def picture(self, file: Path, *, whole: bool = True) -> None:
        """Keep what is to be seen as a PNG."""
        file.parent.mkdir(parents=True, exist_ok=True)
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser, for as long as this is held; ``profile``: an empty folder of its own."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    assert program, "no Chromium is here; on Debian and Ubuntu: apt-get install chromium"
    theirs_in, into = os.pipe()
    out, theirs_out = os.pipe()
    command = [program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    redirected = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'  # it reads commands at 3 and answers at 4
    process = subprocess.Popen(
        ["bash", "-c", redirected, "chromium", str(theirs_in), str(theirs_out), *command],
        pass_fds=(theirs_in, theirs_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(into, out)
    finally:
        os.close(into)  # a closed pipe ends it
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(out)
