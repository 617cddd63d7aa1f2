"""Time as an argument: the stepped clock jumps when all is idle, and never while something is in flight."""

import asyncio
import time

import pytest
import sqlalchemy as sa

from syncd import schema
from syncd.clock import SteppedClock, WallClock, run_stepped
from syncd.store import Store, open_engine, told_last

START = 1_800_000_000.0


@pytest.fixture
def clock():
    return SteppedClock(START, frozen=True)


def test_a_day_of_sleep_takes_no_time(clock):
    async def sleep():
        await clock.sleep_until(START + 86_400.0)
        return clock.now()

    began = time.monotonic()
    assert run_stepped(clock, sleep()) == START + 86_400.0
    assert time.monotonic() - began < 5.0


def test_sleepers_wake_in_the_order_of_their_times(clock):
    woken = []

    async def sleeper(name, at):
        await clock.sleep_until(START + at)
        woken.append((name, clock.now() - START))

    async def main():
        await asyncio.gather(sleeper("late", 30.0), sleeper("early", 10.0), sleeper("middle", 20.0))

    run_stepped(clock, main())
    assert woken == [("early", 10.0), ("middle", 20.0), ("late", 30.0)]


def test_sleepers_of_one_time_wake_in_the_order_in_which_they_lay_down(clock):
    woken = []

    async def sleeper(name):
        await clock.sleep_until(START + 5.0)
        woken.append(name)

    async def main():
        await asyncio.gather(*(sleeper(name) for name in "abc"))

    run_stepped(clock, main())
    assert woken == ["a", "b", "c"]


def test_what_is_due_already_only_lets_others_have_a_turn(clock):
    turns = []

    async def other():
        turns.append("other")

    async def main():
        task = asyncio.ensure_future(other())
        await clock.sleep_until(START - 1.0)
        turns.append("main")
        await task

    run_stepped(clock, main())
    assert turns == ["other", "main"]
    assert clock.now() == START


def test_ready_work_goes_before_any_jump(clock):
    seen = []

    async def worker():
        for _ in range(100):
            await asyncio.sleep(0)
            seen.append(clock.now())

    async def main():
        await asyncio.gather(worker(), clock.sleep_until(START + 10.0))

    run_stepped(clock, main())
    assert set(seen) == {START}


def test_a_sleeper_that_was_cancelled_does_not_draw_the_clock_on(clock):
    async def main():
        task = asyncio.ensure_future(clock.sleep_until(START + 1000.0))
        await clock.sleep_until(START + 1.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await clock.sleep_until(START + 2.0)
        return clock.until_next()

    assert run_stepped(clock, main()) is None
    assert clock.now() == START + 2.0


def test_two_runs_of_one_program_are_the_same():
    def run():
        clock = SteppedClock(START, frozen=True)
        trace = []

        async def worker(number):
            for step in range(20):
                await clock.sleep_until(clock.now() + (number * 7 + step * 3) % 5 + 0.5)
                trace.append((number, step, clock.now()))

        async def main():
            await asyncio.gather(*(worker(number) for number in range(5)))

        run_stepped(clock, main())
        return trace

    assert run() == run()


def test_the_clock_does_not_jump_while_something_is_in_flight():
    """A call of 50 ms of wall time lasts 50 ms: the sleeper of an hour waits for its end, and then not an hour."""
    clock = SteppedClock(START)
    seen = []

    async def call():
        with clock.busy():
            await asyncio.sleep(0.05)
            seen.append(clock.now())

    async def main():
        await asyncio.gather(call(), clock.sleep_until(START + 3600.0))
        return clock.now()

    ended = run_stepped(clock, main())
    assert seen[0] < START + 60.0
    assert START + 3600.0 <= ended < START + 3700.0


def test_a_sleeper_is_woken_in_time_while_a_call_is_in_flight():
    clock = SteppedClock(START)
    order = []

    async def call():
        with clock.busy():
            await asyncio.sleep(0.2)
            order.append("call")

    async def sleeper():
        await clock.sleep_until(clock.now() + 0.02)
        order.append("sleeper")

    async def main():
        await asyncio.gather(call(), sleeper())

    run_stepped(clock, main())
    assert order == ["sleeper", "call"]


def test_calls_in_flight_are_counted():
    clock = SteppedClock(START)
    with clock.busy():
        with clock.busy():
            assert not clock.idle
        assert not clock.idle
    assert clock.idle


def test_a_call_that_fails_is_in_flight_no_more():
    clock = SteppedClock(START)
    with pytest.raises(LookupError), clock.busy():
        raise LookupError
    assert clock.idle


def test_the_wall_clock_sleeps_and_never_jumps():
    clock = WallClock()

    async def sleep():
        began = clock.now()
        with clock.busy():
            await clock.sleep_until(began + 0.02)
        await clock.sleep_until(began)
        return clock.now() - began

    assert 0.02 <= asyncio.run(sleep()) < 10.0
    assert abs(clock.now() - time.time()) < 10.0


class Machine:
    """A machine's clock, which somebody sets, and the ticks since it was switched on."""

    def __init__(self):
        self.told = START
        self.ticked = 0.0
        self.clock = WallClock(lambda: self.told, lambda: self.ticked)

    def passes(self, seconds):
        self.told += seconds
        self.ticked += seconds

    async def nap(self, seconds):
        self.passes(seconds)


def test_a_long_sleep_outlives_a_clock_that_is_set_forward(monkeypatch):
    """Sleeps are cut into minutes: if the clock is set forward meanwhile, the sleeper notices."""
    naps, machine = [], Machine()

    async def nap(seconds):
        naps.append(seconds)
        machine.passes(seconds if len(naps) > 1 else seconds + 1000.0)

    monkeypatch.setattr(asyncio, "sleep", nap)
    asyncio.run(machine.clock.sleep_until(START + 1150.0))
    assert naps == [60.0, 60.0, 30.0]


def test_a_clock_that_is_set_back_goes_on_at_half_its_pace_until_the_machines_has_come_up():
    machine = Machine()
    machine.passes(100.0)
    assert machine.clock.now() == START + 100.0
    machine.told -= 3600.0
    seen = []
    for _ in range(9):
        machine.passes(1000.0)
        seen.append(machine.clock.now() - START)
    assert seen == [600.0, 1100.0, 1600.0, 2100.0, 2600.0, 3100.0, 3600.0, 4500.0, 5500.0]


def test_who_sleeps_while_the_clock_is_behind_wakes_in_the_end(monkeypatch):
    machine = Machine()
    monkeypatch.setattr(asyncio, "sleep", machine.nap)
    machine.told -= 300.0
    asyncio.run(machine.clock.sleep_until(START + 30.0))
    assert 60.0 <= machine.ticked < 60.1


def test_no_earlier_time_is_told_than_by_an_earlier_run_unless_that_was_nonsense():
    machine = Machine()
    machine.clock.not_before(START + 50.0)
    assert machine.clock.now() == START + 50.0
    machine.clock.not_before(0.0)
    assert machine.clock.now() == START + 50.0
    machine.clock.not_before(START + 10 * 86_400.0)
    assert machine.clock.now() == START


@pytest.fixture
def store():
    engine = open_engine("sqlite:///:memory:")
    schema.metadata.create_all(engine)
    return Store(engine, SteppedClock(START, frozen=True), threaded=False)


def keep(store, table, **values):
    with store.engine.begin() as connection:
        connection.execute(sa.insert(table).values(values))


LINE = {"connection": "", "kind": "", "ref": "", "what": "", "fields": []}


def test_a_start_goes_on_at_the_latest_time_that_stands_in_the_store(store):
    assert store.run_now(told_last) == 0.0
    keep(store, schema.journal, **LINE, at=START + 60.0)
    assert store.run_now(told_last) == START + 60.0
    keep(store, schema.records, connection="acme", kind="job", id="1", seen={}, told_at=START + 80.0)
    keep(store, schema.cursors, connection="acme", walk="jobs", polled_at=START + 70.0)
    assert store.run_now(told_last) == START + 80.0


def test_what_a_hand_has_made_no_time_counts_as_none(store):
    keep(store, schema.journal, **LINE, at=START)
    store.run_now(lambda connection: connection.execute(sa.text("UPDATE journal SET at = 'soon'")))
    assert store.run_now(told_last) == 0.0
