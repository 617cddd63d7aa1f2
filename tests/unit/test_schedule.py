"""When lists are walked."""

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd import schedule
from syncd.clock import WallClock
from syncd.errors import ConfigInvalid
from syncd.settings import Cron, Every, parse_when
from tests.unit.small_app import START, app_of

APP = app_of()
WORLD = APP.world
ACME, SCREENER, VOICE = (WORLD.connections[name] for name in ("acme", "screener", "voice"))
DAY_S = 86400.0


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def fire(line, after):
    found = schedule.next_fire(schedule.cron_of("acme", Cron(line)), at(after))
    return datetime.fromtimestamp(found, UTC).strftime("%a %Y-%m-%d %H:%M")


# --- intervals and budgets


def test_an_interval_is_kept_where_polls_are_cheap():
    pages = {("acme", "jobs"): 40, ("acme", "candidates"): 400}
    assert schedule.interval_in_force(WORLD, ACME, pages) == 300.0


def test_whole_reads_take_at_most_half_of_each_rule():
    # 10 pages of 100 calls a day: five polls a day take half
    pages = {("voice", "roles"): 2, ("voice", "candidates"): 8}
    assert schedule.interval_in_force(WORLD, VOICE, pages) == DAY_S / 5


@given(st.integers(0, 500), st.sampled_from([("60/1m",), ("10/10s", "100/day@UTC"), ("1/1s", "1000/1h")]))
def test_no_rule_is_more_than_half_used_by_polls(pages, limits):
    connection = replace(VOICE, limits=limits, poll_s=1.0)
    interval_s = schedule.interval_in_force(WORLD, connection, {("voice", "candidates"): pages})
    for rule in schedule.parse_rules(limits):
        assert pages / interval_s <= rule.calls / rule.window_s / 2 + 1e-9


def test_pages_that_are_walked_now_stretch_the_next_poll():
    pace = schedule.next_poll(WORLD, {"voice": Every(300)})
    assert pace(VOICE, START) == START + 300.0
    for _ in range(10):
        pace.listen("page", {"connection": "voice", "walk": "candidates"})
    assert pace(VOICE, START) == START + DAY_S / 5
    pace.listen("walked", {"connection": "voice", "walk": "candidates"})
    assert pace(VOICE, START) == START + DAY_S / 5


def test_a_restart_knows_the_pages_of_the_last_walk():
    pace = schedule.next_poll(WORLD, {"voice": Every(300)}, {("voice", "candidates"): 10})
    assert pace(VOICE, START) == START + DAY_S / 5


def test_other_tellings_are_no_pages():
    pace = schedule.next_poll(WORLD, {"voice": Every(300)})
    pace.listen("written", {"connection": "voice", "kind": "job", "call": "create"})
    assert pace(VOICE, START) == START + 300.0


# --- cron lines


@pytest.mark.parametrize(
    ("line", "after", "expected"),
    [
        ("*/5 * * * *", "2026-01-01T00:00:00", "Thu 2026-01-01 00:05"),
        ("*/5 * * * *", "2026-01-01T00:04:59", "Thu 2026-01-01 00:05"),
        ("0 2 * * *", "2026-01-01T02:00:00", "Fri 2026-01-02 02:00"),
        ("30 6 1 * *", "2026-01-15T00:00:00", "Sun 2026-02-01 06:30"),
        ("0 9 * * 1", "2026-01-01T00:00:00", "Mon 2026-01-05 09:00"),
        ("0 9 * * 0", "2026-01-01T00:00:00", "Sun 2026-01-04 09:00"),
        ("0 9 * * 7", "2026-01-01T00:00:00", "Sun 2026-01-04 09:00"),
        ("0 9 * * 1-5", "2026-01-03T00:00:00", "Mon 2026-01-05 09:00"),
        ("0 9 * * 0-2", "2026-01-06T10:00:00", "Sun 2026-01-11 09:00"),
        ("0 9 * * 5-7", "2026-01-03T10:00:00", "Sun 2026-01-04 09:00"),
        ("0 9 * * */3", "2026-01-01T00:00:00", "Sat 2026-01-03 09:00"),
        ("0 9 * * MON,fri", "2026-01-02T10:00:00", "Mon 2026-01-05 09:00"),
        ("0 0 * JAN,jul *", "2026-01-31T01:00:00", "Wed 2026-07-01 00:00"),
        ("0 0 29 2 *", "2026-03-01T00:00:00", "Tue 2028-02-29 00:00"),
    ],
)
def test_cron_lines_fire_as_cron_does(line, after, expected):
    assert fire(line, after) == expected


@pytest.mark.parametrize(
    "line", ["99 * * * *", "* 24 * * *", "* * * * 8", "* * * * fri-mon", "* * 0 * *", "* * * foo *"]
)
def test_a_cron_line_that_names_no_time_is_a_mistake(line):
    with pytest.raises(ConfigInvalid, match=r"connections\.acme\.poll"):
        schedule.cron_of("acme", Cron(line))


@given(st.integers(0, 10**9), st.sampled_from(["*/5 * * * *", "0 2 * * *", "15 3 * * 1-5"]))
def test_the_next_poll_is_always_ahead(seconds, line):
    pace = schedule.next_poll(WORLD, {"acme": Cron(line)})
    now = START + seconds
    found = pace(ACME, now)
    assert now < found <= now + 4 * DAY_S
    assert (found - schedule.offset_s("acme", 30.0)) % 60 == pytest.approx(0.0, abs=1e-3)


def test_a_cron_line_is_stretched_too():
    # 60 pages of 100 calls a day: at most every 28.8 hours, so every second night
    pace = schedule.next_poll(WORLD, {"voice": Cron("0 2 * * *")}, {("voice", "candidates"): 60})
    found = datetime.fromtimestamp(pace(VOICE, at("2026-01-01T02:00:10")), UTC)
    assert found.strftime("%d %H:%M") == "03 02:00"


def test_connections_have_seconds_of_their_own():
    names = [f"connection_{number}" for number in range(200)]
    offsets = [schedule.offset_s(name, 30.0) for name in names]
    assert all(0 <= offset < 30 for offset in offsets)
    assert offsets == [schedule.offset_s(name, 30.0) for name in names]
    assert max(sum(1 for offset in offsets if start <= offset < start + 3) for start in range(0, 30, 3)) < 45


# --- the scheduler


def test_the_scheduler_wakes_each_enabled_connection():
    made = app_of(clock=WallClock())
    polls = {"acme": parse_when("1s"), "voice": parse_when("0 0 1 1 *"), "resting": parse_when("1s")}
    threads, wake = set(), made.engine.wake
    made.engine.wake = lambda name: (threads.add(threading.current_thread()), wake(name))

    async def main():
        with schedule.waking(made.engine, polls) as scheduler:
            jobs = {job.id: job.next_run_time for job in scheduler.get_jobs()}
            async with asyncio.timeout(5):
                await made.engine.lanes["acme"].wake.wait()
            return jobs, made.engine.lanes["voice"].wake.is_set()

    jobs, voice_woken = asyncio.run(main())
    assert set(jobs) == {"acme", "voice"}
    assert jobs["acme"] - datetime.now(UTC) < timedelta(seconds=2)
    assert not voice_woken
    assert threads == {threading.main_thread()}  # no event of asyncio may be set in another


def test_two_connections_of_one_interval_are_not_woken_together():
    made = app_of(clock=WallClock())
    polls = dict.fromkeys(("acme", "screener", "voice"), Every(3600))

    async def main():
        with schedule.waking(made.engine, polls) as scheduler:
            return {job.next_run_time for job in scheduler.get_jobs()}

    assert len(asyncio.run(main())) == 3
