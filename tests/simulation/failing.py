"""A database that fails once: at any statement or commit, in every way in which SQLite and PostgreSQL fail.

Where SQLite is full or its disk fails, it rolls the transaction back by itself; a commit may fail after it took effect.
PostgreSQL's connections are really killed. What runs is the daemon's own keeping up: a lane that the failure ends is
begun again.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import psycopg
import pysqlite3.dbapi2 as sqlite
import sqlalchemy as sa

from syncd.owner import Nobodys
from syncd.serve import Daemon
from tests.simulation.stage import Scenario, Stage

BEGIN, COMMIT = "BEGIN", "COMMIT"


@dataclass(frozen=True)
class Failure:
    """A way to fail: the driver's error; whether the transaction is rolled back by then, or, at a commit, was kept."""

    error: Callable[[], Exception]
    rolls_back: bool = False
    only_commits: bool = False
    keeps: bool = False
    kills: bool = False


FAILURES = {
    "busy": Failure(lambda: sqlite.OperationalError("database is locked")),
    "full": Failure(lambda: sqlite.OperationalError("database or disk is full"), rolls_back=True),
    "I/O error": Failure(lambda: sqlite.OperationalError("disk I/O error"), rolls_back=True),
    "commit unknown": Failure(lambda: sqlite.OperationalError("disk I/O error"), only_commits=True, keeps=True),
}
ON_POSTGRESQL = {
    "serialization": Failure(lambda: psycopg.errors.SerializationFailure("could not serialize access")),
    "killed in commit": Failure(lambda: AssertionError("never raised"), only_commits=True, kills=True),
    "killed after commit": Failure(lambda: AssertionError("never raised"), only_commits=True, keeps=True, kills=True),
}


class Failing:
    """Counts statements while ``counts``, and lets the one of a number fail. ``statements``: what each of them was.

    ``engine`` may be the class of all engines; then ``dialect`` is the class of theirs.
    """

    def __init__(self, engine: Any, failure: Failure, at: int | None, *, dialect: Any = None) -> None:
        self.engine, self.failure, self.at = engine, failure, at
        self._dialect = dialect or engine.dialect
        self.statements: list[str] = []
        self.failed = 0
        self.counts = False

    def _is_hit(self, statement: str) -> bool:
        if not self.counts or (self.failure.only_commits and statement != COMMIT):
            return False
        self.statements.append(statement)
        hit = len(self.statements) == self.at
        self.failed += hit
        return hit

    @contextlib.contextmanager
    def installed(self) -> Iterator["Failing"]:
        """While held, statements are counted and one fails."""
        commit = self._dialect.do_commit

        def committing(*arguments: Any) -> None:
            is_hit = self._is_hit(COMMIT)
            if not is_hit or self.failure.keeps:
                commit(*arguments)
            if is_hit:
                self._fail(arguments[-1].driver_connection)

        listeners = [("do_execute", self._executing), ("do_executemany", self._executing), ("begin", self._beginning)]
        for name, listener in listeners:
            sa.event.listen(self.engine, name, listener)
        self._dialect.do_commit = committing
        try:
            yield self
        finally:
            del self._dialect.do_commit
            for name, listener in listeners:
                sa.event.remove(self.engine, name, listener)

    def _executing(self, cursor: Any, statement: str, parameters: Any, context: Any) -> None:
        if self._is_hit(statement):
            self._fail(cursor.connection)

    def _beginning(self, connection: sa.Connection) -> None:
        if self._is_hit(BEGIN):
            raise sa.exc.OperationalError(BEGIN, None, self.failure.error())

    def _fail(self, driven: Any) -> None:
        if self.failure.kills:
            driven.execute("SELECT pg_terminate_backend(pg_backend_pid())")  # raises what the driver then says
        if self.failure.rolls_back and driven.in_transaction:
            driven.execute("ROLLBACK")
        raise self.failure.error()


class KeptUp(Stage):
    """A play under the daemon's keeping up, whose store fails once; who asks meanwhile asks again."""

    def __init__(self, scenario: Scenario, failing: Failing) -> None:
        super().__init__(scenario, database=failing.engine)
        self.failing = failing
        self.is_calm = failing.at is None
        self.told_off = 0  # how often somebody who asked was told to come again
        run_now = self.store.run_now

        def counted(*arguments: Any, **options: Any) -> Any:
            failing.counts = True
            try:
                return run_now(*arguments, **options)
            finally:
                failing.counts = False

        self.store.run_now = counted  # type: ignore[method-assign]

    async def _main(self) -> None:
        engine = self.world.engine(seed=0)
        app: Any = SimpleNamespace(engine=engine, store=self.store, config=SimpleNamespace(connections={}))
        unused: Any = None
        self.daemon = Daemon(app, unused, Nobodys(), asyncio.Event(), None)
        keeping = asyncio.ensure_future(self.daemon._kept_up("work", self.daemon._work_on))
        acting = asyncio.ensure_future(self._people(engine, self.clock.now() + self.patience_s))
        try:
            await asyncio.wait([keeping, acting], return_when=asyncio.FIRST_COMPLETED)
            if acting.done():
                acting.result()
        finally:
            for task in (keeping, acting):
                task.cancel()
            await asyncio.gather(keeping, acting, return_exceptions=True)

    def _is_at_rest(self) -> bool:
        return super()._is_at_rest() and not self.daemon.down

    async def _act(self, engine: Any) -> bool:
        try:
            return await super()._act(engine)
        except sa.exc.SQLAlchemyError:
            self.told_off += 1
            return False


def play_failing(scenario: Scenario, engine: sa.Engine, failure: Failure, at: int | None) -> KeptUp:
    """A scenario with one failure; ``at`` None: none, to count the statements."""
    with Failing(engine, failure, at).installed() as failing:
        stage = KeptUp(scenario, failing)
        try:
            return stage.play()
        finally:
            del stage.store.run_now


__all__ = ["FAILURES", "ON_POSTGRESQL", "KeptUp", "play_failing"]
