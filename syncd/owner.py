"""One process owns the store: a lock beside an SQLite file, an advisory lock on PostgreSQL.

The lock goes with its process, whatever that dies of. On PostgreSQL it goes with its session, which may end while its
process lives: that was paused, or the network or an operator cut it off. So there each owner has a *term*, which every
transaction of its store checks: who has lost the store can commit nothing any more. A transaction holds a second lock,
shared, before it looks whose term it is; whoever begins a term holds that lock alone, and so waits for the transactions
of earlier owners. One that its process has left in the middle is ended by the server (``store.IDLE_S``).
"""

import fcntl
import os
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from syncd import schema
from syncd.store import Store, upsert

_LOCK = 7_396_245_001  # any number that no other program of the database uses
_TURN = _LOCK + 1
_TERM = sa.select(schema.meta.c.value).where(schema.meta.c.name == "term")


class Ownership(Protocol):
    """The right to write to a store."""

    def take(self) -> bool:
        """Try to become the owner; tells whether this process is it."""
        ...

    def release(self) -> None:
        """Let others have it."""
        ...


class FileLock:
    """Ownership of an SQLite file, by a lock on a file beside it (mode 0600)."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.lock")
        self._handle: int | None = None

    def take(self) -> bool:
        """Try to lock."""
        if self._handle is not None:
            return True
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        """Unlock; the file stays, or two processes could lock two files of one name."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class AdvisoryLock:
    """Ownership of a PostgreSQL database, by a lock that lives as long as one connection."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._connection: sa.Connection | None = None

    def take(self) -> bool:
        """Try to lock."""
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        taken = self._connection.execute(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}).scalar_one()
        if not taken:
            self.release()
        return bool(taken)

    def release(self) -> None:
        """Close the connection, and the lock with it."""
        if self._connection is not None:
            self._connection.invalidate()  # the lock lives as long as the session, and a pool would keep that
            self._connection.close()
            self._connection = None


def begin_term(store: Store) -> None:
    """Let this store's transactions count, and those of earlier owners' stores fail. For who owns the database."""
    if store.engine.dialect.name == "postgresql":
        term = store.run_now(_next_term)
        store.first = lambda connection: require_term(connection, term)


def _next_term(connection: sa.Connection) -> str:
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN)))
    term = str(int(connection.execute(_TERM).scalar() or 0) + 1)
    upsert(connection, schema.meta, [{"name": "term", "value": term}])
    return term


def require_term(connection: sa.Connection, term: str) -> None:
    """Raise ``OperationalError`` where another owner's term has begun."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_TURN)))
    if connection.execute(_TERM).scalar() != term:
        raise sa.exc.OperationalError("another process has the store now", None, PermissionError())


class Nobodys:
    """A store in memory has no second process."""

    def take(self) -> bool:
        """Always."""
        return True

    def release(self) -> None:
        """Nothing to do."""
