"""Canaries over the whole test run: what tests give syncd in confidence must turn up in nothing that it says.

The tests' tokens and secrets, and the mail addresses and phone numbers of their made-up people, are looked for in

* what is captured of each test's standard output and error, where commands that run in the test's process speak,
* what the processes that a test starts print (`syncd` itself, and the daemon of the tests), and their log files,
* each record of our loggers and of the libraries beneath us as it is logged, before the log strikes anything out,
* each line that syncd's log writes, each body of ``/metrics``, and each page.

A test in which one is seen fails. Where values are asked for on purpose, it says so and why:
``@pytest.mark.shows_values("…")``.
"""

import asyncio
import logging
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import HTMLResponse

from syncd import logs, metrics

TOKENS = (
    b"0dd/t0ken", b"a-page-token", b"a-secret-token", b"a-token-of-the", b"a_page_token", b"a_path_that_nobody",
    b"canary-0a1b", b"canary-token", b"demo-webhook-secret", b"hub-token", b"made-up-path", b"made-up-secret",
    b"sandbox-token", b"spoke-token", b"tokforget1", b"tokqxtoken", b"whsec_",
)  # fmt: skip
PEOPLE = {  # a sign that is cheap to look for -> what it may be part of: all people of the tests live and answer there
    b"@": re.compile(rb"(?<![a-z0-9.+-])[a-z0-9.+-]+@(?:[a-z0-9-]+\.)*example\.(?:com|org|net|test)\b"),
    b"555": re.compile(rb"\b1?[ (.-]{0,2}202[). -]{0,2}555[ .-]?[0-9]{4}\b"),
}
LOGGERS = frozenset({
    "alembic", "apscheduler", "asyncio", "connectors", "httpcore", "httpx", "py", "sqlalchemy", "syncd", "uvicorn",
})  # fmt: skip
PROGRAMS = ("syncd", "tests.integration.daemon")
MARKER = "shows_values"


def is_syncd(words: Sequence[str]) -> bool:
    """Whether a command runs syncd; a folder of that name, with a Python in it, does not."""
    return any(Path(word).name in PROGRAMS or re.search(r"(from|import) syncd", word) for word in words)


def marks_in(content: str | bytes) -> list[str]:
    """What of a text nobody may read."""
    raw = (content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content).lower()
    found = {token for token in TOKENS if token in raw}
    for sign, pattern in PEOPLE.items():
        if sign in raw:
            found |= set(pattern.findall(raw))
    return sorted(mark.decode() for mark in found)


class Canaries:
    """The plugin. ``seen``: what was seen since the present test began, and where."""

    def __init__(self) -> None:
        self.seen: dict[str, None] = {}
        self._patched = pytest.MonkeyPatch()

    def look(self, where: str, content: str | bytes | None) -> None:
        """Look at something that was said."""
        for mark in marks_in(content or b""):
            self.seen[f"{mark!r} in {where}"] = None

    # what is watched

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", f"{MARKER}(why): values are shown here on purpose, no canary is looked for")
        self._watch(logging.Logger, "handle", before=self._logged)
        self._watch(logs._Handler, "format", after=lambda line: self.look("a line of the log", line))
        self._watch(metrics.Metrics, "render", after=lambda body: self.look("/metrics", body))
        self._watch(HTMLResponse, "render", after=lambda body: self.look("a page", body))
        self._watch(pytest.CaptureFixture, "readouterr", after=self._read)
        self._watch_processes()

    def pytest_unconfigure(self) -> None:
        self._patched.undo()

    def _watch(self, owner: type, name: str, **told: Callable[[Any], None]) -> None:
        """Let a method tell what it is given or what it gives."""
        made = getattr(owner, name)
        before, after = told.get("before", _nothing), told.get("after", _nothing)

        def watched(itself: Any, *given: Any) -> Any:
            before(*given[:1]) if given else None
            result = made(itself, *given)
            after(result)
            return result

        self._patched.setattr(owner, name, watched)

    def _logged(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in LOGGERS:
            self.look(f"a record of {record.name}", f"{record.msg} {record.args}")

    def _read(self, captured: Any) -> None:
        self.look("standard output", captured.out)
        self.look("standard error", captured.err)

    def _watch_processes(self) -> None:
        run, asked = subprocess.Popen.communicate, asyncio.subprocess.Process.communicate

        def communicate(process: Any, *given: Any, **named: Any) -> Any:
            result = run(process, *given, **named)
            self._printed(process.args, result)
            return result

        async def communicate_later(process: Any, *given: Any) -> Any:
            result = await asked(process, *given)
            self._printed([*PROGRAMS], result)
            return result

        self._patched.setattr(subprocess.Popen, "communicate", communicate)
        self._patched.setattr(asyncio.subprocess.Process, "communicate", communicate_later)

    def _printed(self, command: Any, streams: tuple[Any, Any]) -> None:
        if is_syncd([command] if isinstance(command, str) else [str(word) for word in command]):
            for stream in streams:
                self.look("what a process printed", stream)

    # a test's end

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[Any]:
        self.seen.clear()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if call.when == "teardown" and report.passed:
            self._look_back(item, report)
            if told := self._verdict(item):
                report.outcome, report.longrepr = "failed", told
        return report

    def _look_back(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """At what was captured, and at the log files of the processes that the test started."""
        for name, content in report.sections:
            if "stdout" in name or "stderr" in name:
                self.look(name.lower(), content)
        for path in sorted({path for folder in _folders_of(item) for path in folder.glob("log*")}):
            self.look(f"the file {path.name}", path.read_bytes())

    def _verdict(self, item: pytest.Item) -> str:
        if (marker := item.get_closest_marker(MARKER)) is not None:
            return "" if marker.args else f"{MARKER} needs a reason"
        return "Seen, and nobody may see it:\n" + "\n".join(self.seen) if self.seen else ""


def _folders_of(item: pytest.Item) -> Iterator[Path]:
    """Where the processes of a test may log: its own folder, and those of places that it shares with other tests."""
    for given in getattr(item, "funcargs", {}).values():
        folder = given if isinstance(given, Path) else getattr(given, "folder", None)
        if isinstance(folder, Path):
            yield folder


def _nothing(_: Any) -> None:
    """Nobody asks."""
