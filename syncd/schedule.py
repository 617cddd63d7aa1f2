"""When lists are walked: at an interval or on a cron line, and no oftener than the token's budget can bear.

Due times stand in the table of cursors, and a lane sleeps until the next of them: that is how demo and simulation run.
In the daemon APScheduler wakes the lanes besides, each connection at seconds of its own, so that not all of them call
at once. Where a list has no change filter, a poll reads all of it; its interval is stretched until bulk reads take at
most half of each budget rule. Cron lines are in UTC; where a line names days of the month and of the week, both must
fit.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from syncd import plan, schema
from syncd.cycle import Engine
from syncd.errors import ConfigInvalid
from syncd.limits import parse_rules
from syncd.settings import Cron, When
from syncd.setup import Connection, World

NextPoll = Callable[[Connection, float], float]
Pages = Mapping[tuple[str, str], int]  # (connection, walk) -> pages of its last whole walk

_LAST_PAGES = sa.select(schema.cursors.c.connection, schema.cursors.c.walk, schema.cursors.c.last_pages)
_WEEK = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def last_pages(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """How many pages each walk had when it was last walked whole."""
    return {(row.connection, row.walk): row.last_pages for row in connection.execute(_LAST_PAGES)}


def bulk_s(world: World, connection: Connection, pages: Pages) -> float:
    """Seconds between two polls at which bulk reads take half of the tightest rule; 0: polls are cheap here."""
    whole = [walk for walk in world.walks_of(connection.name) if not walk.since]
    calls = sum(pages.get((connection.name, walk.name), 0) for walk in whole)
    return plan.stretched(0.0, calls, [(rule.calls, rule.window_s) for rule in parse_rules(connection.limits)])


def interval_in_force(world: World, connection: Connection, pages: Pages) -> float:
    """Seconds between two polls of a connection as things stand; a cron line may lengthen it further."""
    return max(connection.poll_s, bulk_s(world, connection, pages))


class Pace:
    """How far apart polls are: what is configured, and what the budgets bear. An ``Engine.next_poll``.

    ``polls``: what the config says, by connection. ``pages`` are those of the walks so far; the engine's own telling
    keeps them up to date (see ``listen``).
    """

    def __init__(self, world: World, polls: Mapping[str, When], pages: Pages) -> None:
        self._world = world
        self._crons = {name: cron_of(name, poll) for name, poll in polls.items() if isinstance(poll, Cron)}
        self._pages = dict(pages)
        self._walking: dict[tuple[str, str], int] = {}

    def __call__(self, connection: Connection, now: float) -> float:
        """When a connection is to be polled next (seconds since the epoch)."""
        cron = self._crons.get(connection.name)
        if cron is None:
            return now + interval_in_force(self._world, connection, self._pages)
        return next_fire(cron, now + bulk_s(self._world, connection, self._pages)) + offset_s(connection.name, 30.0)

    def listen(self, action: str, facts: Mapping[str, Any]) -> None:
        """Count the pages of the walks under way (an engine's listener)."""
        if action not in ("page", "walked"):
            return
        at = (facts["connection"], facts["walk"])
        self._walking[at] = 0 if action == "walked" else self._walking.get(at, 0) + 1
        self._pages[at] = max(self._pages.get(at, 0), self._walking[at])


def next_poll(world: World, polls: Mapping[str, When], pages: Pages | None = None) -> Pace:
    """The polling of all connections, for ``Engine.next_poll``; ``pages`` as from ``last_pages``."""
    return Pace(world, polls, pages or {})


# --- cron lines -----------------------------------------------------------------------------------------------------


def cron_of(name: str, poll: Cron) -> CronTrigger:
    """The trigger of a connection's cron line; raises ``ConfigInvalid`` where it names no time."""
    minute, hour, day, month, weekday = poll.line.lower().split()
    try:
        return CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=_weekdays(weekday), timezone=UTC)
    except ValueError as error:
        raise ConfigInvalid(f'connections.{name}.poll: the cron line "{poll.line}" names no time: {error}') from error


def _weekdays(field: str) -> str:
    """Days by name: in cron 0 and 7 are Sunday, while APScheduler counts from Monday and knows no range over Sunday."""
    days = [day for part in field.split(",") for day in _days(part)]
    return ",".join(dict.fromkeys(_WEEK[day % 7] for day in days))


def _days(part: str) -> range:
    span, _, step = part.partition("/")
    first, _, last = ("0", "-", "6") if span == "*" else span.partition("-")
    low = _day(first)
    high = _day(last) if last else 6 if step else low
    if low > high:
        raise ValueError(f"{span} runs backwards")
    return range(low, high + 1, int(step or 1))


def _day(word: str) -> int:
    number = int(word) if word.isdigit() else _WEEK.index(word) if word in _WEEK else 8
    if number > 7:
        raise ValueError(f"{word} is no day of the week")
    return number


def next_fire(trigger: CronTrigger, at: float) -> float:
    """The first time after ``at`` that a cron line names (seconds since the epoch)."""
    found = trigger.get_next_fire_time(None, datetime.fromtimestamp(int(at) + 1, UTC))
    assert found is not None  # a line without a year goes on for ever
    return float(found.timestamp())


def offset_s(name: str, within_s: float) -> float:
    """A connection's own place in a stretch of time: always the same, unlike others'."""
    drawn = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest())
    return within_s * drawn / 2**32


# --- the scheduler --------------------------------------------------------------------------------------------------


@contextmanager
def waking(engine: Engine, polls: Mapping[str, When]) -> Iterator[AsyncIOScheduler]:
    """While held, each connection's lane is woken when its poll may be due. Needs a running loop."""
    scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None})
    now = datetime.fromtimestamp(engine.clock.now(), UTC)

    async def wake(name: str) -> None:
        engine.wake(name)  # in the loop: a plain function would be run in a thread, where no lane may be woken

    for name, poll in polls.items():
        if name in engine.lanes:
            scheduler.add_job(wake, _trigger(name, poll, now), args=[name], id=name)
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown(wait=False)


def _trigger(name: str, poll: When, now: datetime) -> BaseTrigger:
    if isinstance(poll, Cron):
        return cron_of(name, poll)
    return IntervalTrigger(
        seconds=poll.seconds, start_date=now + timedelta(seconds=offset_s(name, poll.seconds)), timezone=UTC
    )
