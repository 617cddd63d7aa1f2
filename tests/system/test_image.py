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
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from syncd.app import systems
from tests.ports import free_port

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


def test_what_is_installed_is_what_the_lock_names(image):
    told = {path.name.partition("-")[0] for path in image.glob("lib/python*/site-packages/*.dist-info")}
    lock = (ROOT / "requirements.lock").read_text()
    named = {name.replace("-", "_") for name in re.findall(r"^([a-z0-9-]+)==(?!.*win32)", lock, re.MULTILINE)}
    assert {name.lower().replace("-", "_") for name in told} == named - {"setuptools"} | {"syncd"}
    assert len(told) == 37


EVERYTHING = """
import importlib, pkgutil
import connectors, psycopg, psycopg_binary, pysqlite3, syncd, typer
from syncd import cli

for package in (syncd, connectors):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.startswith(("syncd.contract", "syncd.migrations.env", "syncd.__main__")):
            importlib.import_module(module.name)
names = sorted(typer.main.get_command(cli.app).commands)
for name in names:
    cli.app([name, "--help"], standalone_mode=False)
print(len(names), "commands spoke")
"""


def test_all_modules_and_commands_need_no_more_than_is_there(image):
    """The lock leaves out what others declare and we never come to (`LEFT_OUT` in the Makefile)."""
    told = run(image, "python", "-c", EVERYTHING)
    assert told.returncode == 0, told.stderr
    assert int(re.search(r"(\d+) commands spoke", told.stdout)[1]) > 15


def test_a_whole_day_is_played_with_no_more_than_is_there(image):
    """Migrations, engine, sandboxes, the page's server, tables and progress."""
    told = run(image, "syncd", "demo", "--once", "--listen", "127.0.0.1:0")
    assert told.returncode == 0, told.stderr
    assert "All else agrees on all sides." in told.stdout


# As deploy/compose.yaml has it run: all is read-only but /data, the user is the image's, and may do nothing special.
CAREFULLY = """
mount --rbind / "$root"; mount -o remount,bind,ro "$root"
mount -t tmpfs none "$root/mnt"; mkdir "$root/mnt/opt" "$root/mnt/data"
mount --bind "$image" "$root/mnt/opt"; mount -o remount,bind,ro "$root/mnt/opt"
mount --bind "$data" "$root/mnt/data"; mount -o remount,ro "$root/mnt"
case "$python" in "$home"/*)  # a Python where nobody else may look
  mount -t tmpfs -o mode=0755 none "$root$home"; mkdir -p "$root$python"; mount --bind "$python" "$root$python";;
esac
exec chroot "$root" setpriv --reuid="$user" --regid="$user" --clear-groups --inh-caps=-all --bounding-set=-all \\
  --no-new-privs sh -c 'cd /mnt/data && exec /mnt/opt/bin/python -m syncd serve'
"""
CONFIG = """
[connections.acme]
system = "workable"
base_url = "http://127.0.0.1:9"
token = "made-up"
member = "ops@acme.example"
[connections.screener]
system = "ninjahire"
base_url = "http://127.0.0.1:9"
token = "made-up"
[pairs.screening]
left = "acme"
right = "screener"
jobs = "->"
"""


@pytest.fixture
def careful(image, tmp_path):
    """The daemon of the image under the restrictions of deploy/compose.yaml: its process, its folder, its address."""
    user = int(steps(IMAGE, "USER")[0].partition(":")[0])
    data, root = tmp_path / "data", tmp_path / "root"
    root.mkdir()
    data.mkdir(mode=0o700)
    (data / "config.toml").write_text(CONFIG)
    os.chown(data, user, user)
    port = free_port()
    settings = {"SYNCD_CONFIG": "/mnt/data/config.toml", "SYNCD_SERVER__LISTEN": f"127.0.0.1:{port}",
                "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"], "user": str(user),
                "image": str(image), "data": str(data), "root": str(root), "python": sys.base_prefix,
                "home": str(Path.home())}  # fmt: skip
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", CAREFULLY]
    daemon = subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield daemon, data, f"http://127.0.0.1:{port}"
    finally:
        daemon.kill()
        daemon.communicate()


def is_up(daemon, address):
    try:
        return httpx.get(f"{address}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        assert daemon.poll() is None, daemon.communicate()[0]
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take a process's rights and make its folders read-only")
def test_the_daemon_needs_no_capability_no_root_and_nothing_to_write_to_but_its_folder(careful):
    daemon, data, address = careful
    for _ in range(300):
        if is_up(daemon, address):
            break
        time.sleep(0.1)
    process = Path(f"/proc/{daemon.pid}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    assert set(status["Uid"].split()) == {"10001"}
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert next(mount for mount in mounts if mount[4] == "/")[5].startswith("ro")
    daemon.terminate()
    told, _ = daemon.communicate(timeout=60)
    assert daemon.returncode == 0, told
    made = {path.name: path.stat() for path in data.iterdir() if path.name != "config.toml"}
    assert {"syncd.db", "syncd.db.key"} <= made.keys()
    assert {one.st_uid for one in made.values()} == {10001}
    assert made["syncd.db.key"].st_mode & 0o777 == 0o600


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
