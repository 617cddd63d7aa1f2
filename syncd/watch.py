"""Looks at the lists of subscriptions again and again, and notices when changes are found and nothing is heard.

Many systems switch an address off after failed deliveries, or lose it, and say nothing. So the lists are read hourly,
or as often as a tight budget lets them; and where lists of records show change after change and no webhook has come
for long, the addresses are registered anew, once for each such silence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog

from syncd import figures, schema, switches
from syncd.app import App
from syncd.errors import SyncdError
from syncd.limits import parse_rules
from syncd.setup import Connection
from syncd.store import recalled, remember
from syncd.subscriptions import Need, kept_of, need_of, register, secrets_of, switched_off

LOOK_S = 3600.0  # between two looks at a list
LOOK_SHARE = 0.04  # of the tightest budget, at most
AGAIN_SHARE = 0.25  # of that time, after a look that failed
TICK_S = 60.0
SILENT_S = 86_400.0  # without any delivery, while changes are found
SILENT_GAPS = 3.0  # ... or so many times the usual gap between two, if that is longer
LEAST_FOUND = 5  # changes
SETTLED_S = 3600.0  # after a start, changes of the time before it are found

log = structlog.get_logger()


@dataclass
class Heard:
    """What was found without webhooks since one last came: how many changes, since when, and whether it was told."""

    found: int = 0
    since: float = 0.0
    is_told: bool = False


class Watch:
    """Looks at the lists again and again, and notices when changes are found and nothing is heard."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._clock = app.store.clock
        self._began_at = app.store.clock.now()
        self._due: dict[str, float] = {}
        self._heard: dict[str, Heard] = {}

    async def begin(self) -> None:
        """Know the secrets before the first webhook comes, and what is needed before the first look."""
        hearing = self._app.hearing
        hearing.secrets = await self._app.store.run(secrets_of, self._app.world, self._clock.now())
        off = await self._app.store.run(switched_off, self._app.world)
        hearing.is_up = {name: False for name in self._app.world.connections if need_of(self._app, name).wishes}
        for name in off:
            hearing.is_up.pop(name, None)

    def listen(self, action: str, facts: Mapping[str, Any]) -> None:
        """Count what lists show that no webhook had told (a listener)."""
        now = self._clock.now()
        if action != "page" or not facts["wanted"] or now - self._began_at < SETTLED_S:
            return
        heard = self._heard.setdefault(facts["connection"], Heard())
        heard.since = heard.since or now
        heard.found += int(facts["wanted"])

    async def run(self) -> None:
        """For ever."""
        while True:
            off = await self._app.store.run(switched_off, self._app.world)
            for name in self._app.world.connections:
                if name not in off and not await self._app.store.run(switches.is_stopped, name):
                    await self._tend(name)
            await self._clock.sleep_until(self._clock.now() + TICK_S)

    async def _tend(self, name: str) -> None:
        gap_s, now = interval_s(self._app.world.connections[name]), self._clock.now()
        if name not in self._due:
            self._due[name] = await self._first_due(name)
        anew = name in self._heard and await self._app.store.run(self._is_silent, name)
        if not anew and now < self._due[name]:
            return
        fine = not await self._app.store.run(self._is_concerned, name) or await self._attempt(name, anew=anew)
        self._due[name] = self._clock.now() + gap_s * (1.0 if fine else AGAIN_SHARE)

    def _is_concerned(self, connection: sa.Connection, name: str) -> bool:
        """Whether a connection needs subscriptions, or has some that it needs no more."""
        configured = self._app.config.connections
        return bool(need_of(self._app, name).wishes or kept_of(connection, self._app.world, name, configured))

    async def _first_due(self, name: str) -> float:
        """At once after a start; where calls are dear, not before the last look has aged."""
        gap_s = interval_s(self._app.world.connections[name])
        told = await self._app.store.run(recalled, _looked_at(name))
        at, _, stamp = (told or "0 ").partition(" ")
        if gap_s <= LOOK_S or stamp != _stamp(need_of(self._app, name)):
            return 0.0
        if self._clock.now() < float(at) + gap_s:
            self._app.hearing.is_up[name] = True
        return float(at) + gap_s

    async def _attempt(self, name: str, *, anew: bool = False) -> bool:
        """Register what is needed; whether all is there. A problem is told once, and its end."""
        was_up = self._app.hearing.is_up.get(name)
        try:
            outcome = await register(self._app, name, anew=anew)
        except SyncdError as error:
            log.info("Subscriptions could not be looked at; they are later.", action="webhooks_later",
                     connection=name, why=str(error))  # fmt: skip
            return False
        if outcome.problems and was_up is not False:
            log.warning("Webhooks are not registered as they should be.", action="webhooks_down", connection=name,
                        why=outcome.problems[0])  # fmt: skip
        fine = not outcome.problems
        if fine:
            note = f"{self._clock.now()!r} {_stamp(outcome.need)}"
            await self._app.store.run(remember, _looked_at(name), note)
        return fine

    def _is_silent(self, connection: sa.Connection, name: str) -> bool:
        """Whether a silence is new. It ends with the first delivery."""
        heard, now = self._heard.get(name), self._clock.now()
        first, last, count = arrivals_of(connection, name)
        if heard is None or name not in self._app.hearing.is_up or (last or 0.0) > heard.since:
            self._heard.pop(name, None)
            self._app.hearing.silent.discard(name)
            return False
        gap_s = (last - first) / (count - 1) if first is not None and last is not None and count > 1 else 0.0
        if heard.is_told or not is_silent(heard.found, now - max(heard.since, last or 0.0), gap_s):
            return False
        if not figures.is_first_sync_over(connection, self._app.world):
            return False
        heard.is_told = True
        self._app.hearing.silent.add(name)
        log.warning(
            "Changes are found and no webhook comes; the addresses are registered anew.",
            action="webhooks_silent", connection=name, found=heard.found,
        )  # fmt: skip
        return True


def is_silent(found: int, quiet_s: float, gap_s: float) -> bool:
    """Whether nothing was heard for longer than chance explains, though so many changes were found.

    ``gap_s``: the usual time between two deliveries.
    """
    return found >= LEAST_FOUND and quiet_s >= max(SILENT_S, SILENT_GAPS * gap_s)


def interval_s(connection: Connection) -> float:
    """Seconds between two looks: an hour, or as long as they take no more than their share of a tight budget."""
    rules = parse_rules(connection.limits)
    return max([LOOK_S, *(rule.window_s / (rule.calls * LOOK_SHARE) for rule in rules)])


_inbox = schema.inbox.c


def arrivals_of(connection: sa.Connection, name: str) -> tuple[float | None, float | None, int]:
    """When the first and the last delivery came that are remembered, and how many are."""
    at = _inbox.received_at
    asked = sa.select(sa.func.min(at), sa.func.max(at), sa.func.count()).where(_inbox.connection == name)
    first, last, count = connection.execute(asked).one()
    return first, last, int(count)


def _looked_at(name: str) -> str:
    return f"subscriptions/{name}"


def _stamp(need: Need) -> str:
    return ",".join(f"{wish.url}={'+'.join(sorted(wish.events))}" for wish in need.wishes)
