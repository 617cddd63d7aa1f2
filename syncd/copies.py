"""Copies of the database: how one is made while syncd runs, and how a start notices that it was given an older one.

An older copy knows less than was done since, and must not be believed (``syncd.doubt`` says how). Two things tell one:
a copy that `syncd backup` made says so itself, and beside the SQLite file stands a small one (``.epoch``) with the
number of the journal's last line. It is no part of a backup; a database that has fewer lines than it tells is an older
copy, however it came here. On PostgreSQL, and where the file was put back together with the database, nobody can tell:
`syncd restored` says it by hand.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from syncd import schema
from syncd.clock import Clock
from syncd.errors import SyncdError
from syncd.store import open_engine, recalled, remember, upsert

# Facts in ``meta``: this is a copy; what it knows is still to be doubted; when it was.
COPY, OLDER, DOUBTED = "copy", "older_copy", "doubted_at"
IN_DOUBT = "in_doubt/"  # and a pair's name: it was not looked at anew since
EVERY_S = 1.0  # how often the file beside is brought up to date, at most

_LAST_LINE = "SELECT seq FROM sqlite_sequence WHERE name = 'journal'"  # never goes back, whatever is deleted


class Beside:
    """The small file beside an SQLite file. What cannot be read or written there is done without."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.epoch")

    def read(self) -> int:
        """The number of the journal's last line, as far as it was written down; 0: nothing is known."""
        try:
            return int(self._path.read_text("ascii"))
        except (OSError, ValueError):
            return 0

    def write(self, line: int) -> None:
        """Put another number in its place, whole or not at all."""
        fresh = self._path.with_name(f"{self._path.name}.new")
        with contextlib.suppress(OSError):
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(f"{line}\n")
            fresh.replace(self._path)


def recognise(connection: sa.Connection, beside: Beside | None, now: float) -> bool:
    """Note that this database is an older copy, if it is one; whether it was noted now. ``beside``: of an SQLite file.

    An empty database in the place of one that was lost is the oldest of all.
    """
    marked = recalled(connection, COPY) is not None
    behind = beside is not None and beside.read() > _last_line(connection)
    if marked:
        connection.execute(sa.delete(schema.meta).where(schema.meta.c.name == COPY))
    if not (marked or behind):
        return False
    remember(connection, OLDER, repr(now))
    return True


def follow(engine: sa.Engine, beside: Beside, clock: Clock) -> None:
    """Keep the file beside in step with what is committed; a second late at most."""
    known, due = beside.read(), 0.0

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        nonlocal known, due
        now = clock.now()
        if now < due:
            return
        due = now + EVERY_S
        line = _last_line(connection)
        if line != known:
            beside.write(line)
            known = line


def is_to_be_doubted(connection: sa.Connection) -> bool:
    """Whether this is an older copy, and nobody has drawn the consequences yet."""
    return recalled(connection, OLDER) is not None


def doubted_at(connection: sa.Connection) -> float:
    """When this was found to be an older copy (or a lost one begun anew) for the last time; 0: never."""
    return float(recalled(connection, DOUBTED) or 0.0)


def in_doubt(connection: sa.Connection, pair: str) -> bool:
    """Whether this is an older copy, and a pair's records were not looked at anew since that was found."""
    return recalled(connection, f"{IN_DOUBT}{pair}") is not None


def let_doubt(connection: sa.Connection, pairs: Iterable[str], now: float) -> None:
    """Let pairs be in doubt, until all of their records were looked at anew."""
    upsert(connection, schema.meta, [{"name": f"{IN_DOUBT}{pair}", "value": repr(now)} for pair in pairs])


def believe(connection: sa.Connection, pairs: Iterable[str]) -> None:
    """These pairs were looked at anew."""
    table = schema.meta
    connection.execute(sa.delete(table).where(table.c.name.in_([f"{IN_DOUBT}{pair}" for pair in pairs])))


def _last_line(connection: sa.Connection) -> int:
    driven: Any = connection.connection.driver_connection  # a statement of ours would begin a transaction, and so on
    found = driven.execute(_LAST_LINE).fetchone()
    return int(found[0]) if found is not None else 0


# --- making one -----------------------------------------------------------------------------------------------------


def copy_to(database: Path, target: Path, now: float) -> dict[str, Any]:
    """Copy an SQLite file while others use it, prove the copy sound, and let it say that it is one.

    Answers with its ``bytes``. Raises ``SyncdError`` where the target is there already, or the copy is not sound.
    """
    if target.exists():
        raise SyncdError(f"{target} is there already; name another file")
    part = target.with_name(f"{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _copy(database, part)
        _prove(part, now)
        part.replace(target)
    except OSError as error:
        raise SyncdError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return {"file": str(target), "bytes": target.stat().st_size, "at": now}


def _copy(database: Path, part: Path) -> None:
    """SQLite's own online backup: what was committed when it ends, though others write meanwhile."""
    source, target = open_engine(f"sqlite:///{database}", read_only=True), open_engine(f"sqlite:///{part}")
    try:
        with source.connect() as reading, target.connect() as writing:
            reader: Any = reading.connection.driver_connection
            writer: Any = writing.connection.driver_connection
            reader.backup(writer)
    finally:
        source.dispose()
        target.dispose()


def _prove(part: Path, now: float) -> None:
    engine = open_engine(f"sqlite:///{part}")
    try:
        with engine.begin() as connection:
            told = list(connection.exec_driver_sql("PRAGMA integrity_check(5)").scalars())
            if told != ["ok"]:
                raise SyncdError(f"the copy is not sound, so the database may not be: {told[0]}")
            remember(connection, COPY, repr(now))
        with engine.connect() as connection:
            driven: Any = connection.connection.driver_connection
            driven.execute("PRAGMA journal_mode=DELETE")  # one file, and nothing beside it
    finally:
        engine.dispose()
