"""Each command beside a daemon in a process of its own, which has the store: looked at directly, handed over else."""

import contextlib
import os
import subprocess
import sys

import httpx
import orjson

from syncd import cli
from tests.integration.company import ROOT
from tests.integration.played import place, systems, until


@contextlib.contextmanager
def serving(folder):
    """``syncd serve`` in a process of its own, once it is ready."""
    log = folder / "serve.log"
    with log.open("w") as stream:
        command = [sys.executable, "-m", "syncd", "--config", str(folder / "config.toml"), "serve"]
        process = subprocess.Popen(command, cwd=ROOT, stderr=stream, env={**os.environ, "PYTHONWARNINGS": "error"})
    try:
        until(lambda: "its page: " in log.read_text() or process.poll() is not None, told=log.read_text)
        assert process.poll() is None, log.read_text()
        address = log.read_text().partition("its page: ")[2].split()[0]
        until(lambda: httpx.get(f"{address}readyz", trust_env=False).status_code == 200, told=log.read_text)
        yield process
    finally:
        process.kill()
        process.wait(10)


def _linked(run):
    """How many applications the first pair has linked."""
    return orjson.loads(run("status", "--json")[1])["pairs"][0]["links"].get("application", 0)


def test_all_commands_work_beside_a_running_daemon(tmp_path, store_url, capsys):
    def run(*words):
        code = cli.run(list(words), cli.Outside(environ={"SYNCD_CONFIG": str(tmp_path / "config.toml")}))
        told = capsys.readouterr()
        assert told.err == "", (tmp_path / "serve.log").read_text()
        return code, told.out

    with systems(people=3) as played, place(tmp_path, played, store_url), serving(tmp_path) as process:
        until(lambda: run("status")[0] == 0 and _linked(run) == 3, told=lambda: run("status")[1])
        assert "proven: token, member, stages" in run("check", "--quick")[1]
        assert run("plan") == (0, "Nothing would be written.\n\n")
        assert orjson.loads(run("backfill", "--json")[1])["left"] == 0
        row = next(iter(played.workable.snapshot()["candidate"]))
        assert run("pause", "acme")[0] == 0
        assert "stopped: paused" in " ".join(run("status")[1].split())
        assert run("resume", "acme")[0] == 0
        (link, *_) = orjson.loads(run("links", row, "--json")[1])
        assert run("links", "cut", str(link["link"]))[0] == 0
        assert run("explain", row)[0] == 0
        (hold, *_) = orjson.loads(run("held", "--json")[1])
        assert run("resolve", str(hold["id"]), "retry")[0] == 0
        process.terminate()
        assert process.wait(30) == 0
