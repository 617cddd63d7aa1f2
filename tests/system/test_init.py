"""`syncd init` at a terminal, over real sockets: somebody types, mistypes a token, and gets a config that works."""

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import time

from tests.ports import free_port

SYNCD = (sys.executable, "-m", "syncd")
ENVIRON = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}


@contextlib.contextmanager
def played(system):
    """A system as `syncd sandbox` plays it, without people, whose details would be read at ten calls in ten seconds."""
    command = [*SYNCD, "sandbox", system, "--port", str(free_port()), "--empty"]
    with subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield re.search(r"http://[\d.:]+", process.stdout.readline())[0]
        finally:
            process.terminate()


def typed(folder, answers):
    """What a terminal showed while somebody answered each question; and the exit code."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe(SYNCD[0], [*SYNCD, "init", "--secrets-dir", "secrets"], ENVIRON)
    shown, end = "", time.monotonic() + 60.0
    with contextlib.suppress(OSError):  # so a terminal ends whose program has ended
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.3)[0]:
                shown += os.read(terminal, 65536).decode()
            elif answers and shown.rstrip().endswith((":", "?", "]")):
                os.write(terminal, answers.pop(0).encode() + b"\n")
    os.close(terminal)
    return shown, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_somebody_types_a_config_that_works(tmp_path):
    with played("workable") as hub, played("portal") as other:
        answers = [
            "workable", "acme", hub, "ops@acme.example", "mistyped-token", "", "sandbox-token",
            "portal", "desk", other, "sandbox-token", "", "", "",
        ]  # fmt: skip
        shown, code = typed(tmp_path, answers)
        assert code == 0, shown
        assert answers == []
        assert "connections.acme: GET answered 401" in shown
        assert "acme: the token works." in shown
        assert "Nothing would be written." in shown
        assert "sandbox-token" not in shown, "what is typed unseen is seen"
        assert "mistyped-token" not in shown
        assert "sandbox-token" not in (tmp_path / "config.toml").read_text()
        there = {**ENVIRON, "SYNCD_SECRETS": "secrets"}
        checked = subprocess.run(
            [*SYNCD, "check"], cwd=tmp_path, env=there, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
