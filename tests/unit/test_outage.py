"""A database that fails is no bug: senders are told to come again, lanes begin again, nothing is lost."""

import asyncio

import httpx
import psycopg
import pysqlite3.dbapi2 as sqlite
import pytest
import sqlalchemy as sa
import structlog

from syncd import schema
from syncd.clock import run_stepped
from syncd.outage import outage_of
from tests.simulation.failing import FAILURES, Failing, KeptUp
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.stage import Stage, differences, in_memory
from tests.unit.small_app import signed_by_workable, workable_event
from tests.unit.test_webhooks import Door

LOCKED = sqlite.OperationalError("database is locked")
KILLED = psycopg.errors.AdminShutdown("terminating connection due to administrator command\nmore of it")
TAKEN = psycopg.errors.UniqueViolation("duplicate key\nDETAIL: Key (email)=(pat@example.com) already exists.")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (sa.exc.OperationalError("BEGIN", None, LOCKED), "database is locked"),
        (sa.exc.OperationalError("COMMIT", None, KILLED), "terminating connection due to administrator command"),
        (
            sa.exc.DatabaseError("SELECT", None, sqlite.DatabaseError("file is not a database")),
            "file is not a database",
        ),
        (sa.exc.OperationalError("SELECT", None, sqlite.OperationalError()), "OperationalError"),
        (sa.exc.IntegrityError("INSERT", None, TAKEN), None),
        (sa.exc.ProgrammingError("SELECT", None, sqlite.ProgrammingError("no such column")), None),
        (LOCKED, None),
        (MemoryError(), None),
        (None, None),
    ],
)
def test_a_database_that_fails_is_told_from_a_bug(error, why):
    assert outage_of(error) == why


@pytest.fixture
def _quiet():
    """Traces are not drawn on a terminal: that takes longer than all the rest."""
    with structlog.testing.capture_logs():
        yield


# --- webhooks -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_quiet")
@pytest.mark.parametrize("kind", ["busy", "commit unknown"])
def test_a_webhook_whose_keeping_fails_is_sent_again_and_kept_once(kind):
    body = workable_event()
    at, hit = 1, True
    while hit:
        door = Door()
        failing = Failing(door.app.store.engine, FAILURES[kind], at)
        with failing.installed():
            failing.counts = True
            answer = door.post("/webhooks/acme", body, signed_by_workable(body))
            failing.counts = False
        hit = bool(failing.failed)
        assert answer.status_code == (503 if hit else 200)
        if hit:
            assert int(answer.headers["Retry-After"]) > 0
            assert door.post("/webhooks/acme", body, signed_by_workable(body)).status_code == 200
        assert len(door.rows(schema.inbox)) == 1
        assert door.marks == {("acme", "application", "abc123")}
        at += 1
    assert at > (2 if FAILURES[kind].only_commits else 5)


@pytest.mark.usefixtures("_quiet")
def test_a_handler_without_memory_answers_no_2xx_and_the_next_is_heard(monkeypatch):
    door, body = Door(), workable_event()

    async def post():
        transport = httpx.ASGITransport(app=door.asgi, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://syncd.example.test") as client:
            return await client.post("/webhooks/acme", content=body, headers=signed_by_workable(body))

    async def none_left(*arguments):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(door.app.engine, "do", none_left)
        assert run_stepped(door.clock, post()).status_code == 500
    assert run_stepped(door.clock, post()).status_code == 200


# --- the daemon -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [MemoryError, asyncio.CancelledError, RecursionError])
def test_a_lane_that_dies_of_anything_is_told_and_begun_again(error):
    scenario = SCENARIOS["born together"]
    calm = Stage(scenario).play().ended()

    def die():
        raise error

    with Failing(in_memory(), FAILURES["busy"], None).installed() as failing:
        stage = KeptUp(scenario, failing)
        stage.when("spoke", "POST", "application", die)
        stage.play()
        del stage.store.run_now
    assert differences(stage, calm) == []
    (line,) = [line for line in stage.lines if line.get("action") == "died"]
    assert line["part"] == "lane spoke"
    assert line["trace"][-1] == error.__name__
