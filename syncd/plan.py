"""How much, how fast, and whether at all: scope, guards, polling intervals. Pure.

Nothing here knows a database or a clock. The actions themselves are intents; ``syncd plan`` prints the intents that a
backfill would make.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from syncd.rows import RecordRow
from syncd.setup import Pair

OUT_BY_DEFAULT = frozenset({"sample", "confidential"})


def in_scope(pair: Pair, job: RecordRow, status: str | None) -> bool:
    """Whether a job (and what belongs to it) may be created at the other end.

    ``only`` restricts by status, by shortcode or id, by department; sample, confidential and draft jobs stay out
    unless they are named.
    """
    only = pair.only
    traits = set(job.traits or ())
    if traits & OUT_BY_DEFAULT - {name for name in OUT_BY_DEFAULT if only.get(name)}:
        return False
    if "job" in only and job.id not in only["job"]:
        return False
    if "department" in only and (job.department or "") not in only["department"]:
        return False
    return status in only["job_status"] if "job_status" in only else status != "draft"


def is_recent(pair: Pair, row: RecordRow) -> bool:
    """Whether a record was made or changed since the time that a backfill was told (``only.since``, epoch seconds)."""
    since = max((float(text) for text in pair.only.get("since", ())), default=None)
    changed = row.updated_at if row.updated_at is not None else row.created_at
    return since is None or changed is None or changed >= since


@dataclass(frozen=True, slots=True)
class Guard:
    """When a plan is far larger than usual: more changes than ``least`` and than ``share`` of a pair's links."""

    least: int = 50
    share: float = 0.5

    def refuses(self, changes: int, links: int) -> bool:
        """Whether so many changes of what is linked already look wrong."""
        return changes > self.least and changes > self.share * links


@dataclass(frozen=True, slots=True)
class Emptied:
    """When one side is suddenly empty: at least ``least`` linked records vanished, and ``share`` of them."""

    least: int = 10
    share: float = 0.5

    def refuses(self, vanished: int, linked: int) -> bool:
        """Whether so many absences look like a broken list rather than like deletions."""
        return vanished >= self.least and vanished > self.share * linked


def stretched(poll_s: float, calls: int, rates: Iterable[tuple[int, float]]) -> float:
    """The polling interval in force, in seconds: bulk reads take at most half of each rule (calls, window_s)."""
    needed = [2.0 * calls * window_s / allowed for allowed, window_s in rates if allowed]
    return max([poll_s, *needed])


def backlog(poll_s: float, rates: Iterable[tuple[int, float]], *, calls_each: int = 2) -> int:
    """How many open intents a lane may have before source lists wait: one poll's worth of calls, at least ten."""
    worth = [int(poll_s / window_s * allowed / calls_each) for allowed, window_s in rates]
    return max(10, min([500, *worth]))


def counted(actions: Iterable[tuple[str, str, str]]) -> Mapping[tuple[str, str, str], int]:
    """How often each (connection, call, kind) occurs, in order of appearance."""
    counts: dict[tuple[str, str, str], int] = {}
    for action in actions:
        counts[action] = counts.get(action, 0) + 1
    return counts
