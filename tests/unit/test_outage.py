"""A database that fails is no bug: senders are told to come again, commands say so in a sentence; nothing is lost."""

import asyncio
import contextlib

import httpx
import psycopg
import pysqlite3.dbapi2 as sqlite
import pytest
import sqlalchemy as sa
import structlog

from syncd import cli, schema
from syncd.clock import run_stepped
from syncd.outage import outage_of
from syncd.store import open_engine
from tests.simulation.failing import FAILURES, Failing, KeptUp
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.stage import Stage, differences, in_memory
from tests.unit.small_app import signed_by_workable, workable_event
from tests.unit.test_cli import outside
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
@pytest.mark.parametrize("kind", FAILURES)
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


# --- commands -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def any_engine_failing(failure, at):
    """Let the statement of a number fail, whatever engine a command opens."""
    dialect = open_engine("sqlite://").dialect.__class__
    failing = Failing(sa.Engine, failure, at, dialect=dialect)
    with failing.installed():
        failing.counts = True
        yield failing


def told(words, tmp_path, failure, at, capsys):
    tmp_path.mkdir(exist_ok=True)
    with any_engine_failing(failure, at) as failing:
        code = cli.run(words, outside(tmp_path))
    return failing, code, capsys.readouterr()


@pytest.mark.parametrize("kind", ["busy", "full", "commit unknown"])
@pytest.mark.parametrize("words", [["pause"], ["status"], ["held"]], ids=" ".join)
def test_a_command_says_in_a_sentence_that_the_database_failed(words, kind, tmp_path, capsys):
    assert cli.run(["pause"], outside(tmp_path)) == 0
    at = failed = 0
    while at == failed:
        at += 1
        failing, code, said = told(words, tmp_path, FAILURES[kind], at, capsys)
        failed += failing.failed
        if failing.failed:
            assert code in (1, 2)
            assert "store.url: the database " in said.err
            assert not {"Traceback", "bug"} & set(said.err.replace(":", " ").split())
    assert failed >= (1 if kind == "commit unknown" else 4)
    assert cli.run(["resume"], outside(tmp_path)) == 0


@pytest.mark.parametrize("kind", ["full", "commit unknown"])
def test_a_first_start_that_fails_anywhere_is_begun_again(kind, tmp_path, capsys):
    counting, _, _ = told(["pause"], tmp_path / "calm", FAILURES[kind], None, capsys)
    count = len(counting.statements)
    for at in {*range(1, count + 1, max(1, count // 5)), count}:
        place = tmp_path / f"{at}"
        failing, code, said = told(["pause"], place, FAILURES[kind], at, capsys)
        assert (failing.failed, code) == (1, 1)
        assert "store.url: the database cannot be used now: " in said.err
        assert cli.run(["pause"], outside(place)) == 0


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
