"""What the Dockerfile does, done without a container: the builder's own steps, with the image's folder put elsewhere.

So the lock must suffice without what the tests need, the package must bring its words and its connectors along, and
the health check must tell a healthy daemon from a sick one.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from syncd.app import systems

ROOT = Path(__file__).parents[2]
_, BUILDER, IMAGE = re.split(r"^FROM .*$", (ROOT / "Dockerfile").read_text().replace("\\\n", " "), flags=re.MULTILINE)


def steps(stage, word):
    return re.findall(rf"^{word}\s+(.*)$", stage, re.MULTILINE)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The folder that the builder makes as `/opt/syncd`."""
    build, opt = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("opt") / "syncd"
    for step in steps(BUILDER, "COPY"):
        *sources, target = step.split()
        for source in sources:
            copy(ROOT / source, build / target)
    for step in steps(BUILDER, "RUN"):
        command = step.replace("python -m venv", f"{sys.executable} -m venv").replace("/opt/syncd", str(opt))
        subprocess.run(["sh", "-c", command], cwd=build, check=True)
    shutil.rmtree(build)
    return opt


def copy(source, target):
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def run(image, *command, **environment):
    pairs = (pair.split("=", 1) for line in steps(IMAGE, "ENV") for pair in shlex.split(line))
    settings = dict(pairs) | {"PATH": f"{image}/bin:{os.environ['PATH']}"} | environment
    return subprocess.run(command, env=settings, cwd="/", capture_output=True, text=True, check=False)


def test_the_command_speaks(image):
    told = run(image, "syncd", "--help")
    assert told.returncode == 0, told.stderr
    assert "serve" in told.stdout


def test_the_connectors_and_their_words_came_along(image):
    told = run(
        image,
        "python",
        "-c",
        "from importlib.metadata import entry_points\n"
        "from importlib.resources import files\n"
        "for entry in entry_points(group='syncd.connectors'):\n"
        "    print(entry.load().facts.system, files('mappings').joinpath(entry.name + '.toml').is_file())",
    )
    assert told.returncode == 0, told.stderr
    assert set(told.stdout.splitlines()) == {f"{system} True" for system in systems()}


def test_nothing_to_build_with_is_left(image):
    packages = {path.name for path in image.glob("lib/python*/site-packages/*")}
    assert "syncd" in packages
    assert packages & {"pip", "setuptools", "wheel"} == set()


@contextmanager
def daemon_answering(status):
    """A server on loopback that answers each GET with this status; its port."""

    class Daemon(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_):
            """Keep the tests' output quiet."""

    with HTTPServer(("127.0.0.1", 0), Daemon) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_tells_a_healthy_daemon_from_a_sick_one(image, status, healthy):
    check = json.loads(steps(IMAGE, "HEALTHCHECK")[0].partition("CMD")[2])
    with daemon_answering(status) as port:
        told = run(image, *check, SYNCD_SERVER__LISTEN=f"0.0.0.0:{port}")
    assert (told.returncode == 0) is healthy, told.stderr
