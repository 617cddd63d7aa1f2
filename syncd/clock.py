"""Time as an argument: the wall clock, and a stepped one for the demo and the simulation.

The stepped clock runs 1:1 while a call, a transaction or a task is in flight and jumps to the next due time when all
is idle. Limits, Retry-After, polls and resends read it; transport timeouts stay on wall time.
"""

import asyncio
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
FARTHEST_S = 86_400.0
SHORTEST_S, LONGEST_S = 0.001, 60.0  # to sleep at a stretch


class Clock(Protocol):
    """What every part of syncd knows about time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep_until(self, at: float) -> None:
        """Return when ``now()`` has reached ``at``."""
        ...

    def not_before(self, at: float) -> None:
        """Tell no earlier time than this, which an earlier run has told."""
        ...

    def busy(self) -> AbstractContextManager[None]:
        """While held, something is in flight and a stepped clock does not jump."""
        ...


class WallClock:
    """The real time, but that it never goes back.

    What was read first and what later, which window a call falls into: all of it is told by the times that stand in the
    store. So where the machine's clock is set back, ours goes on at half its pace until the machine's has come up to
    it. An error of more than a day is none of a clock that was set: then the machine's is believed.
    """

    def __init__(self, told: Callable[[], float] = time.time, ticks: Callable[[], float] = time.monotonic) -> None:
        self._told, self._ticks = told, ticks
        self._at, self._ticked = told(), ticks()
        self._turn = threading.Lock()  # the store asks from a thread of its own

    def now(self) -> float:
        """Seconds since the epoch."""
        with self._turn:
            told, ticks = self._told(), self._ticks()
            ahead = self._at + (ticks - self._ticked) / 2
            self._at, self._ticked = (max(told, ahead) if ahead - told < FARTHEST_S else told), ticks
            return self._at

    def not_before(self, at: float) -> None:
        """Tell no earlier time than this, which an earlier run has told."""
        self._at = max(self.now(), at)

    async def sleep_until(self, at: float) -> None:
        """Sleep; a clock that is set meanwhile changes how long, so long sleeps are cut into minutes."""
        while (left := at - self.now()) > 0:
            await asyncio.sleep(min(max(left, SHORTEST_S), LONGEST_S))

    def busy(self) -> AbstractContextManager[None]:
        """The wall clock never jumps."""
        return nullcontext()


class SteppedClock:
    """A clock that jumps to the next due time whenever nothing is in flight. Needs a ``SteppedLoop``.

    ``frozen``: time stands still but for the jumps, so that a run depends on its seed alone. ``turns``: numbers, the
    lowest of which wakes first of those who are due at once; by default that is who came first.
    """

    def __init__(self, start: float, *, frozen: bool = False, turns: Iterator[float] | None = None) -> None:
        self._offset = start if frozen else start - time.monotonic()
        self._frozen = frozen
        self._in_flight = 0
        self._turns = turns or itertools.count()
        self._sleepers: list[tuple[float, float, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Seconds since the epoch, as played."""
        return self._offset if self._frozen else self._offset + time.monotonic()

    async def sleep_until(self, at: float) -> None:
        """Wait until the clock has been moved to ``at``."""
        if at <= self.now():
            await asyncio.sleep(0)
            return
        sleeper = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (at, next(self._turns), sleeper))
        await sleeper

    def not_before(self, at: float) -> None:
        """Its time is played and needs no care."""

    def until_next(self) -> float | None:
        """Seconds until the next sleeper is due; None: nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return max(0.0, self._sleepers[0][0] - self.now()) if self._sleepers else None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Hold the clock to real time. A frozen clock has none: all is in one process there, and idle is idle."""
        self._in_flight += 0 if self._frozen else 1
        try:
            yield
        finally:
            self._in_flight -= 0 if self._frozen else 1

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight."""
        return self._in_flight == 0

    def wake_due(self, *, jump: bool) -> bool:
        """Wake the sleepers that are due; with ``jump``, first move to the earliest. Tells whether anybody woke."""
        left = self.until_next()
        if left is None:
            return False
        if jump:
            self._offset += left
        due = self.now() + 1e-6
        woken = False
        while self._sleepers and self._sleepers[0][0] <= due:
            sleeper = heapq.heappop(self._sleepers)[2]
            if not sleeper.done():
                sleeper.set_result(None)
                woken = True
        return woken


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop that lets a stepped clock jump whenever no callback is ready and nothing is in flight."""

    _ready: list[object]

    def __init__(self, clock: SteppedClock) -> None:
        super().__init__()
        self._clock = clock
        self._alarm: asyncio.TimerHandle | None = None

    def _run_once(self) -> None:
        # asyncio has no idle hook; every CPython since 3.4 runs one turn of the loop in this method.
        if not self._ready and not self.is_stopping():
            self._clock.wake_due(jump=self._clock.idle)
            self._set_alarm()
        super()._run_once()  # type: ignore[misc]  # private to asyncio, see above

    def _set_alarm(self) -> None:
        """See to it that the loop turns again when the next sleeper is due, though a call be in flight till then."""
        if self._alarm is not None:
            self._alarm.cancel()
        left = self._clock.until_next()
        self._alarm = None if left is None else self.call_later(left, lambda: None)

    def is_stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return bool(getattr(self, "_stopping", False))


def run_stepped(clock: SteppedClock, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of its own under the stepped clock."""
    with asyncio.Runner(loop_factory=lambda: SteppedLoop(clock)) as runner:
        return runner.run(main)
