"""The gate before one token: who may send the next call, and who waits.

All clients of a token share one gate. Callers wait in a queue, more urgent classes first, first come first served
inside a class, and no class is passed over for ever. The log of calls lives behind the ``Budget`` port, changed in one
transaction per change, so a restart or a second process finds the same slots taken. A token without rules pays nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from syncd import limits
from syncd.clock import Clock
from syncd.errors import Parked
from syncd.headers import Heard
from syncd.limits import Log, Priority, Rule, Ticket, Turns, Usage, Wait
from syncd.metrics import Meter, Unmeasured

CALL_S = 40.0  # by then a call has its answer's head, or has failed
SLACK_S = 5.0  # between taking a slot and sending
PARK_AFTER_S = 60.0

T = TypeVar("T")
Step = Callable[[Log, float], tuple[Log, T]]


class Budget(Protocol):
    """Where the log of one token's calls is kept."""

    async def change(self, step: Step[T]) -> T:
        """Run ``step(log, now)`` on the kept log, keep the log that it returns, and return the rest.

        One change sees what the one before it kept. ``step`` is pure; a log that comes back as it was need not be kept.
        """
        ...


class MemoryBudget:
    """A budget that lives as long as its process, for tokens of a sandbox and for tests. ``text``: the log as JSON."""

    def __init__(self, clock: Clock, text: str = "") -> None:
        self.text = text
        self._clock = clock

    async def change(self, step: Step[T]) -> T:
        """Change the log."""
        log, told = step(Log.from_json(self.text), self._clock.now())
        self.text = log.to_json()
        return told


@dataclass(eq=False, slots=True)
class _Waiter:
    priority: Priority
    calls: int
    look: asyncio.Event = field(default_factory=asyncio.Event)


class Gate:
    """The queue of one token's calls. ``name`` is the connection's, for metrics and messages.

    Whoever would wait longer than ``park_after_s`` gets ``Parked`` instead.
    """

    def __init__(
        self,
        name: str,
        rules: Sequence[Rule],
        budget: Budget,
        clock: Clock,
        *,
        park_after_s: float = PARK_AFTER_S,
        meter: Meter | None = None,
    ) -> None:
        self.name = name
        self.rules = tuple(rules)
        self.clock = clock
        self.meter: Meter = meter or Unmeasured()
        self._budget = budget
        self._park_after_s = park_after_s
        self._waiting: list[_Waiter] = []
        self._turns = Turns()
        self._unruled = Log()

    # whose calls, and how many together

    def calling(self, priority: Priority) -> AbstractContextManager[None]:
        """Calls made inside are of this class, as with ``calling``."""
        return calling(priority)

    @asynccontextmanager
    async def reserved(self, calls: int = 2, priority: Priority = Priority.WRITE) -> AsyncIterator[None]:
        """Take slots for several calls together, so that no wait falls between a read and the write that rests on it.

        Slots that the block did not use are given back. Further calls, and repeats of a GET, take slots of their own,
        in the same class. Raises ``Parked``.
        """
        held = _Held(self, list(await self.acquire(calls, priority, (calls + 1) * CALL_S + SLACK_S)))
        before = _held.set(held)
        try:
            with calling(priority):
                yield
        finally:
            _held.reset(before)
            left, held.tickets = held.tickets, []
            await self.give_back(left)

    # taking slots

    async def ticket(self, method: str, *, again: bool = False) -> Ticket | None:
        """The right to send one call now: a slot reserved before (but not for a repeat), or the next free one."""
        held = _held.get()
        if held is not None and held.gate is self and not again and (ticket := held.take(self.clock.now())):
            return ticket
        priority = _priority.get()
        if priority is None:
            priority = Priority.READ if method in ("GET", "HEAD") else Priority.WRITE
        return next(iter(await self.acquire(1, priority, CALL_S + SLACK_S)), None)

    async def acquire(self, calls: int, priority: Priority, timeout_s: float) -> tuple[Ticket, ...]:
        """Wait for so many slots at once (no more than the rules allow together); raises ``Parked``."""
        if not self.rules:
            await self._unblocked()
            return ()
        began = self.clock.now()
        waiter = _Waiter(priority, min(calls, limits.most_at_once(self.rules)))
        self._waiting.append(waiter)
        try:
            tickets = await self._served(waiter, timeout_s)
        finally:
            self._waiting.remove(waiter)
            self._wake()
        self.meter.waited(self.name, priority.name.lower(), self.clock.now() - began)
        return tickets

    async def _served(self, waiter: _Waiter, timeout_s: float) -> tuple[Ticket, ...]:
        while True:
            waiter.look.clear()
            if self._next() is not waiter:
                await waiter.look.wait()
                continue
            outcome = await self._reserve(waiter, timeout_s)
            if not isinstance(outcome, Wait):
                others = {other.priority for other in self._waiting if other is not waiter}
                self._turns = self._turns.after(waiter.priority, waiter.calls, others)
                return outcome
            self._not_longer_than_parked(outcome.until)
            await self._until(waiter, outcome.until)

    def _next(self) -> _Waiter:
        heads: dict[Priority, _Waiter] = {}
        for waiter in self._waiting:
            heads.setdefault(waiter.priority, waiter)
        return heads[self._turns.whose({priority: head.calls for priority, head in heads.items()})]

    async def _reserve(self, waiter: _Waiter, timeout_s: float) -> tuple[Ticket, ...] | Wait:
        owed = waiter.priority > min(other.priority for other in self._waiting)

        def step(log: Log, now: float) -> tuple[Log, tuple[Ticket, ...] | Wait]:
            return limits.reserve(
                log, self.rules, now, calls=waiter.calls, priority=waiter.priority, timeout_s=timeout_s, owed=owed
            )

        taking = asyncio.ensure_future(self._budget.change(step))
        cancelled = await _cancelled_before(taking)
        outcome = taking.result()
        if cancelled:
            await self.give_back(() if isinstance(outcome, Wait) else outcome)
            raise asyncio.CancelledError
        return outcome

    def _not_longer_than_parked(self, until: float) -> None:
        if until - self.clock.now() > self._park_after_s:
            raise Parked(f"the budget of connection {self.name} is spent for now", until=until)

    async def _until(self, waiter: _Waiter, at: float) -> None:
        """Sleep until then, or until something changed that this waiter should look at."""
        alarm = asyncio.ensure_future(self._alarm(waiter, at))
        try:
            await waiter.look.wait()
        finally:
            alarm.cancel()

    async def _alarm(self, waiter: _Waiter, at: float) -> None:
        await self.clock.sleep_until(at)
        waiter.look.set()

    def _wake(self) -> None:
        if self._waiting:
            self._next().look.set()

    async def _unblocked(self) -> None:
        """Without rules only a 429 makes anybody wait."""
        while until := limits.blocked_until(self._unruled, self.clock.now()):
            self._not_longer_than_parked(until)
            await self.clock.sleep_until(until)

    # what came of it

    async def give_back(self, tickets: Sequence[Ticket]) -> None:
        """These calls were never sent."""
        if tickets:
            await _to_its_end(self._budget.change(lambda log, now: (limits.given_back(log, tickets), None)))
            self._wake()

    async def settle(self, ticket: Ticket | None, heard: Heard) -> None:
        """The call's answer has come, and its headers said this."""
        if heard.refused:
            self.meter.drew_429(self.name)
        if ticket is None:
            if heard.refused:
                self._unruled = limits.refused(self._unruled, (), self.clock.now(), heard.retry_after_s)
            return
        used = await _to_its_end(self._budget.change(lambda log, now: self._settled(log, now, ticket, heard)))
        self._tell(used)

    def _settled(self, log: Log, now: float, ticket: Ticket, heard: Heard) -> tuple[Log, tuple[Usage, ...]]:
        log = limits.answered(log, ticket, now)
        if heard.refused:
            log = limits.refused(log, self.rules, now, heard.retry_after_s)
        elif heard.remaining is not None:
            log = limits.told(
                log, self.rules, now, remaining=heard.remaining, limit=heard.limit, reset_at=heard.reset_at
            )
        return log, limits.usage(log, self.rules, now)

    def _tell(self, used: Sequence[Usage]) -> None:
        for usage in used:
            self.meter.budget(self.name, str(usage.rule), usage.used, usage.limit)

    # telling

    async def usage(self) -> tuple[Usage, ...]:
        """What each rule has used and allows now."""
        return await self._budget.change(lambda log, now: (log, limits.usage(log, self.rules, now)))

    async def blocked_until(self) -> float | None:
        """Until when the token is blocked after a 429."""
        if not self.rules:
            return limits.blocked_until(self._unruled, self.clock.now())
        return await self._budget.change(lambda log, now: (log, limits.blocked_until(log, now)))

    async def forecast(self, calls: int, priority: Priority = Priority.WRITE) -> float:
        """Seconds that so many calls will take."""
        if not self.rules:
            return 0.0
        return await self._budget.change(
            lambda log, now: (log, limits.forecast(log, self.rules, now, calls, priority=priority))
        )


async def _cancelled_before(task: asyncio.Future[Any]) -> bool:
    """Wait for a change of the log to end, whatever happens; tells whether we were cancelled meanwhile."""
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


async def _to_its_end(change: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(change)
    if await _cancelled_before(task):
        raise asyncio.CancelledError
    return task.result()


# --- whose call it is -----------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class _Held:
    """Slots reserved beforehand for the calls of one block."""

    gate: Gate
    tickets: list[Ticket]

    def take(self, now: float) -> Ticket | None:
        """A slot that still lasts for a whole call."""
        if self.tickets and now + CALL_S <= self.tickets[0].expires_at:
            return self.tickets.pop(0)
        return None


_priority: ContextVar[Priority | None] = ContextVar("priority", default=None)
_held: ContextVar[_Held | None] = ContextVar("held", default=None)


@contextmanager
def calling(priority: Priority) -> Iterator[None]:
    """All calls made inside are of this class. Without it GETs are READ and all else is WRITE."""
    before = _priority.set(priority)
    try:
        yield
    finally:
        _priority.reset(before)
