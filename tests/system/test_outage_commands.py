"""Each statement of a command fails once: it ends with a sentence about the database, and works when asked again."""

import contextlib

import pytest
import sqlalchemy as sa

from syncd import cli
from syncd.store import open_engine
from tests.simulation.failing import FAILURES, Failing
from tests.unit.test_cli import outside


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
