"""Time that cannot be relied upon: what is due at once comes in any order, and our own clock is set forward and back.

The systems' clocks go on as ever, and so does what the judges measure by; only syncd sees the steps (faults F38, F39).
"""

import random
from contextlib import AbstractContextManager

from syncd.clock import LONGEST_S, SHORTEST_S, SteppedClock, WallClock

STEPS_S = (-3600.0, -300.0, -5.0, 5.0, 300.0, 3600.0)
IN_ANY_ORDER = 0.25  # of the seeds
IS_SET = 0.125


class OwnClock(WallClock):
    """Our own clock over the true one, which somebody sets wrong. ``chance`` sets it; None: nobody does."""

    def __init__(self, true: SteppedClock, chance: random.Random | None) -> None:
        self.true, self.chance, self.off_s = true, chance, 0.0
        super().__init__(lambda: true.now() + self.off_s, true.now)
        self.wrong_s = 0.0  # how far it was from the true one at most

    def now(self) -> float:
        now = super().now()
        self.wrong_s = max(self.wrong_s, abs(now - self.true.now()))
        return now

    async def sleep_until(self, at: float) -> None:
        if self.chance is None:
            await self.true.sleep_until(at)
        while (left := at - self.now()) > 0:
            await self.true.sleep_until(self.true.now() + min(max(left, SHORTEST_S), LONGEST_S))

    def busy(self) -> AbstractContextManager[None]:
        return self.true.busy()

    async def wander(self, chance: random.Random, until: float) -> None:
        """Somebody sets it now and then."""
        while (left := until - self.true.now()) > 0:
            await self.true.sleep_until(self.true.now() + chance.uniform(5.0, left + 60.0))
            self.off_s += chance.choice(STEPS_S)

    def begin_again(self, latest: float) -> None:
        """Another process knows the time that was told last from the store alone."""
        super().__init__(self._told, self._ticks)
        self.not_before(latest)

    def set_right(self) -> None:
        """The machine's clock has come up to ours."""
        self.off_s = self.now() - self.true.now()


def clock_of(seed: int, start: float, *, unsteady: bool) -> SteppedClock:
    """The true clock of a seed; timers that are due at once wake in the order in which they were set, or in any."""
    turns = random.Random(f"{seed}:turns")
    in_any_order = unsteady and turns.random() < IN_ANY_ORDER
    return SteppedClock(start, frozen=True, turns=iter(turns.random, None) if in_any_order else None)


def steps_of(seed: int, *, unsteady: bool) -> random.Random | None:
    """What sets our own clock, in the seeds where somebody does."""
    steps = random.Random(f"{seed}:steps")
    return steps if unsteady and steps.random() < IS_SET else None
