"""One process owns the store: a lock beside an SQLite file, an advisory lock on PostgreSQL.

The lock goes with its process, whatever that dies of.
"""

import fcntl
import os
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

_LOCK = 7_396_245_001  # any number that no other program of the database uses


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


class Nobodys:
    """A store in memory has no second process."""

    def take(self) -> bool:
        """Always."""
        return True

    def release(self) -> None:
        """Nothing to do."""
