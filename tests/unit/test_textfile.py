"""What a one-shot backfill leaves for a collector: whole, and never without the time of its last success."""

import pytest

from syncd.clock import SteppedClock
from syncd.errors import PlanRefused, SyncdError
from syncd.metrics import sample_in
from syncd.textfile import reporting

START = 1_800_000_000.0
DONE = {"left": 0, "until": None, "held": {"no_email": 1}, "pages": {"acme": 4},
        "writes": {"screener create job": 2}}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "syncd.prom"


def run(path, result=None, *, at=START, error=None, standing=dict):
    clock = SteppedClock(at, frozen=True)
    with reporting(path, clock, version="1", standing=standing) as report:
        if error is not None:
            raise error
        report(result)
    return path.read_text()


def told(path, name):
    return sample_in(path.read_text(), f"syncd_backfill_{name}")


def test_a_run_that_did_all_is_a_success(path):
    text = run(path, DONE)
    assert told(path, "succeeded") == 1
    assert told(path, "last_run_timestamp_seconds") == told(path, "last_success_timestamp_seconds") == START
    assert 'syncd_backfill_pages{connection="acme"} 4.0' in text
    assert 'syncd_backfill_writes{call="create",connection="screener",kind="job"} 2.0' in text


@pytest.mark.parametrize("result", [{**DONE, "left": 3}, {**DONE, "until": START + 600.0}])
def test_a_run_that_left_something_does_not_hide_the_last_success(path, result):
    run(path, DONE)
    run(path, result, at=START + 100.0)
    assert (told(path, "succeeded"), told(path, "last_success_timestamp_seconds")) == (0, START)
    assert told(path, "last_run_timestamp_seconds") == START + 100.0


@pytest.mark.parametrize("error", [PlanRefused("far too large"), KeyboardInterrupt()])
def test_a_run_that_failed_does_not_hide_the_last_success_and_fails_as_it_did(path, error):
    run(path, DONE)
    for _ in range(2):
        with pytest.raises(type(error)):
            run(path, at=START + 100.0, error=error)
    assert (told(path, "succeeded"), told(path, "last_success_timestamp_seconds")) == (0, START)


def test_a_first_run_that_failed_was_never_a_success(path):
    with pytest.raises(PlanRefused):
        run(path, error=PlanRefused("far too large"))
    assert told(path, "last_success_timestamp_seconds") == 0


def test_a_file_that_makes_no_sense_is_replaced(path):
    path.write_text("{{{ what")
    run(path, DONE)
    assert told(path, "succeeded") == 1


def test_what_stands_is_in_the_file_too(path):
    assert 'syncd_pair_in_step{pair="a"} 1.0' in run(path, DONE, standing=lambda: {"syncd_pair_in_step": {("a",): 1.0}})


def test_nothing_else_is_left_in_the_folder_and_others_may_read_it(path):
    run(path, DONE)
    assert [each.name for each in path.parent.iterdir()] == ["syncd.prom"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_missing_folder_is_told_before_anything_is_done(tmp_path):
    with pytest.raises(SyncdError, match="there is no folder"):
        run(tmp_path / "nowhere" / "syncd.prom", DONE)
