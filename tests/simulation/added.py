"""Faults that were added when seeds of the whole had been kept already: each is drawn from a stream of its own.

So a seed's world, its people and its older faults stay what they were, and a kept seed is played without these. About
one seed in six has each.

* ``loose``: a system's filters match beginnings, or are ignored (F28).
* ``dropped``: a webhook that something between takes, and that never comes (F33).
* ``overdue``: one that comes hours or weeks later, when all has long been at rest; ``replayed``: it comes again then.
* ``twice``, ``partly``: a write that is executed twice, or not as a whole (``writes``).
"""

import random
from collections.abc import Sequence
from typing import Any

from tests.simulation.liar import Faults

ADDED = ("loose", "dropped", "overdue", "replayed", "twice", "partly")
SHARE = 1 / 6  # of the seeds have a fault
OFTEN = 0.2  # so often does it befall what it can befall
MUCH_LATER_S = (3600.0, 6 * 3600.0, 30 * 86400.0)


class Added:
    """Which of these a seed has, and when they happen; ``faults`` tells whether anything may, and counts what did."""

    def __init__(self, seed: int, faults: Faults, kinds: Sequence[str] = ADDED) -> None:
        self.faults = faults
        self.streams = {kind: random.Random(f"{seed}:{kind}") for kind in kinds}
        self.kinds = tuple(kind for kind, rng in self.streams.items() if rng.random() < SHARE)

    def befalls(self, *kinds: str) -> str | None:
        """Which of some happens now, if any."""
        for kind in kinds if self.faults.on else ():
            if kind in self.kinds and self.streams[kind].random() < OFTEN:
                self.faults.note(kind)
                return kind
        return None

    def loosen(self, box: Any) -> bool:
        """Let a system's filters be what no document promises; whether it has any that can be."""
        if "loose" not in self.kinds or box.system not in ("ninjahire", "workable"):
            return False
        if box.system == "ninjahire":
            box.table.filters = self.streams["loose"].choice(("prefix", "ignored"))
        else:
            box.ignores_filters = True
        return True

    def much_later_s(self) -> float:
        """How long after everything came to rest the last webhooks come."""
        return next(self.streams[kind] for kind in ("overdue", "replayed") if kind in self.kinds).choice(MUCH_LATER_S)
