"""The database fails once, at any statement: the lane begins again, whoever asked is told, nothing is lost or doubled.

SQLite is busy, full, or its disk fails, at each statement and each commit of small scenarios, and a commit fails after
it took effect; PostgreSQL refuses a transaction that it cannot serialize, and its connection is killed in a commit,
before and after that took effect.
"""

import os
import re
from collections.abc import Iterator
from functools import cache

import pytest
import sqlalchemy as sa

from syncd import schema
from syncd.store import open_engine
from tests.postgres import PostgresServer
from tests.simulation.failing import COMMIT, FAILURES, ON_POSTGRESQL, Failure, KeptUp, play_failing
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.stage import Told, differences, in_memory

SHORT = int(os.environ.get("CRASHES_EACH", "1")) >= 9  # `make test` has time for little
EACH = int(os.environ.get("STATEMENTS_EACH", "100" if SHORT else "20"))
ANYWHERE = [kind for kind, failure in FAILURES.items() if not failure.only_commits]
LISTS = re.compile(r"\(\?(, \?)*\)(, \(\?(, \?)*\))*|\(SELECT 1 FROM \(SELECT 1\) WHERE 1!=1\)")  # of any length
NAMES = ["born together", "move without an answer", "resolved", "event"][: 1 if SHORT else 4]
LONG = ["batch", "screened"] if EACH == 1 else []  # `make prove` fails every statement of these too


@pytest.fixture(scope="module")
def postgres(postgres_server: PostgresServer) -> Iterator[sa.Engine]:
    with postgres_server.database() as url:
        engine = open_engine(url)
        schema.metadata.create_all(engine)
        yield engine
        engine.dispose()


def calm(name: str, engine: sa.Engine, failure: Failure) -> tuple[KeptUp, Told]:
    """A scenario without a failure: how many statements there are, and how it ends."""
    stage = play_failing(SCENARIOS[name], engine, failure, None)
    assert stage.problems == []
    return stage, stage.ended()


def is_survived(name: str, engine: sa.Engine, failure: Failure, at: int, end: Told) -> None:
    """A scenario with a failure must end as the calm one."""
    stage = play_failing(SCENARIOS[name], engine, failure, at)
    assert stage.failing.failed == 1
    assert differences(stage, end) == [], (
        f"{SCENARIOS[name].sentence} Statement {at}: {stage.failing.statements[at - 1]}"
    )
    told = [line for line in stage.lines if line.get("action") == "store_failed"]
    assert stage.told_off + len(told) == 1, "whoever needed the store was told, once"


@pytest.mark.parametrize("name", NAMES + LONG)
@pytest.mark.parametrize("kind", FAILURES)
def test_a_statement_that_fails_changes_nothing(kind: str, name: str) -> None:
    failure = FAILURES[kind]
    stage, end = calm(name, in_memory(), failure)
    step = 1 if EACH == 1 else EACH * (3 if failure.only_commits else 9)
    for at in range(1 + len(name + kind) % step, len(stage.failing.statements) + 1, step):
        is_survived(name, in_memory(), failure, at, end)


@cache
def firsts(name: str) -> dict[str, int]:
    """Each statement of a scenario, and the number of its first time."""
    stage, _ = calm(name, in_memory(), FAILURES["busy"])
    numbered = [(LISTS.sub("(?)", each), at) for at, each in enumerate(stage.failing.statements, 1)]
    return dict(reversed(numbered))


@pytest.mark.parametrize("name", list(SCENARIOS)[: 2 if SHORT else None])
def test_every_statement_fails_once_and_what_no_scenario_before_asks_fails_in_each_way(name: str) -> None:
    known = set[str]().union(*map(firsts, list(SCENARIOS)[: list(SCENARIOS).index(name)]))
    _, end = calm(name, in_memory(), FAILURES["busy"])
    for number, (statement, at) in enumerate(firsts(name).items()):
        for kind in ways(number, is_new=statement not in known):
            is_survived(name, in_memory(), FAILURES[kind], at, end)


def ways(number: int, *, is_new: bool) -> list[str]:
    """How a statement fails; `make test` has time for few."""
    if EACH == 1:
        return ANYWHERE if is_new else [ANYWHERE[number % len(ANYWHERE)]]
    return ANYWHERE[number % EACH :][:1] if is_new else []


@pytest.mark.parametrize("kind", list(ON_POSTGRESQL)[: 1 if SHORT else 3])
def test_postgresql_may_fail_as_well(kind: str, postgres: sa.Engine) -> None:
    failure, name = ON_POSTGRESQL[kind], "born together"
    stage, end = calm(name, postgres, failure)
    step = EACH if EACH == 1 or failure.only_commits else EACH * 9
    for at in range(1 + len(kind) % step, len(stage.failing.statements) + 1, step):
        is_survived(name, postgres, failure, at, end)


def test_commits_are_among_the_statements_that_fail() -> None:
    stage, _ = calm("born together", in_memory(), FAILURES["busy"])
    assert stage.failing.statements.count(COMMIT) > 20
