"""docs/connector.md is true: its code, taken from the page, is a package that installs, keeps the contract, and syncs.

What is sold as "a connector by somebody else" is built here as somebody else would: a folder of its own, pip, the
installed command line. The two systems are played on loopback, Roster by the very command that the page shows.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from syncd.app import load_plugins
from syncd.clock import WallClock
from tests.integration.town import Played, until
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "connector.md").read_text()
FILES = dict(re.findall(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder in which the page's package is installed, with its entry point."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name, content in FILES.items():
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(content)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet")
    alone = ("--no-index", "--no-deps", "--no-build-isolation", "--target", target)
    subprocess.run([*pip, *alone, source], check=True)
    shutil.copy(source / "test_roster.py", target)
    return target


def environment(site):
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "NO_COLOR": "1", "COLUMNS": "200"}


def syncd(site, folder, *arguments):
    command = [sys.executable, "-m", "syncd", "--config", folder / "config.toml", *arguments]
    return subprocess.run(command, env=environment(site), cwd=folder, capture_output=True, text=True, check=False)


async def told(site, folder, *arguments):
    """What a command answered, while the systems are served here."""
    done = await asyncio.to_thread(syncd, site, folder, *arguments)
    assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_page_shows_three_files_one_entry_point_one_toml_and_a_test():
    assert sorted(FILES) == sorted([
        "pyproject.toml", "roster_syncd/__init__.py", "roster_syncd/wire.py", "roster_syncd/sandbox.py",
        "roster_syncd/mapping.toml", "test_roster.py", "config.toml",
    ])  # fmt: skip


def test_the_installed_package_keeps_the_contract(site):
    tests = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_roster.py"]
    done = subprocess.run(tests, env=environment(site), cwd=site, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 80


def test_the_contract_explains_its_failures_to_somebody_else_too(site, tmp_path):
    broken = (site / "test_roster.py").read_text().replace('"Head gardener"', '"Gardener 0"')
    (tmp_path / "test_broken.py").write_text(broken)
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "told_by_the_next_get"]
    done = subprocess.run(
        [*tests, tmp_path], env=environment(site), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the sample edit changes something" in done.stdout
    assert "where True = " in done.stdout, "assertions of the suite are not explained"


@contextlib.asynccontextmanager
async def roster_played(site, port):
    """Roster, empty, as `syncd sandbox` serves it; what it logged can be asked for."""
    command = ("-m", "syncd", "sandbox", "roster", "--port", str(port), "--empty")
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(sys.executable, *command, env=environment(site), stdout=quiet)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            await until(lambda: answers(port), 20.0, lambda: "the sandbox does not answer")
            yield client
    finally:
        process.terminate()
        await process.wait()


def answers(port):
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/_sandbox", trust_env=False).status_code == 200
    return False


def configured(folder, workable, port):
    text = FILES["config.toml"].replace("http://127.0.0.1:9101", workable).replace(":9106", f":{port}")
    assert text.count("127.0.0.1") == 2
    text = text.replace('system = "workable"', 'system = "workable"\nlimits = ["100/1s"]')
    (folder / "config.toml").write_text(text)


async def rows_of(client, name):
    answer = await client.get(f"/api/{name}", headers={"Authorization": "Bearer sandbox-token"})
    return answer.json()["items"]


async def synced(site, folder):
    plugins = load_plugins()
    box = plugins["workable"].sandbox(clock=WallClock(), rng=random.Random(7), limits=())
    job = box.add_job(title="Gardener", code="G-1", department="Parks")
    rows = [box.apply(job, name=f"Fern Sample{n}", email=f"fern{n}@example.test") for n in range(4)]
    workable, port = Played("acme", box), free_port()
    await workable.open()
    configured(folder, workable.address, port)
    async with roster_played(site, port) as roster:
        await told(site, folder, "check")
        plan = json.loads(await told(site, folder, "plan", "--json"))
        await told(site, folder, "backfill")
        people = await rows_of(roster, "people")
        assert sorted(person["email"] for person in people) == [f"fern{n}@example.test" for n in range(4)]
        applications = await rows_of(roster, "applications")
        assert {row["stage"] for row in applications} == {"New"}
        assert len(await rows_of(roster, "jobs")) == 1
        box.move(rows[0], "Interview")
        there = next(row for row in applications if row["external_id"] == rows[1])
        await roster.patch(
            f"/api/applications/{there['id']}",
            json={"stage": "Offer"},
            headers={"Authorization": "Bearer sandbox-token"},
        )
        await told(site, folder, "backfill")
        stages = {row["external_id"]: row["stage"] for row in await rows_of(roster, "applications")}
        assert [stages[row] for row in rows] == ["Interview", "Offer", "New", "New"]
        log = (await roster.get("/_sandbox")).json()["effects"]
    await workable.close()
    assert box.snapshot()["application"][rows[1]]["stage"] == "Offer"
    made = [(effect["kind"], effect["id"]) for effect in log if effect["action"] == "create"]
    assert len(made) == len(set(made)) == 9
    return plan


def test_the_installed_package_syncs_with_workable(site, tmp_path):
    plan = asyncio.run(synced(site, tmp_path))
    assert not plan["held"]
