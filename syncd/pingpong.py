"""Stops a field that two sides fight about: carried to and fro between the same two values, it is frozen.

An automation in one system, or a second sync beside ours, may put back what we write as often as we write it. Where
both ends of a link are written to, the last values that were carried are remembered, as digests. Once a value would be
carried for the fifth time within a day, in turn with the same other one, the field is held with the reason
``ping_pong`` until a person decides; where both values come from one end, at the ninth. What people do in earnest goes
on to new values, and is not stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from syncd import schema
from syncd.holds import holds_of
from syncd.reconcile import Do, End, Side, Verdict
from syncd.rows import LinkRow
from syncd.store import upsert
from syncd.work import Work

REASON = "ping_pong"
WITHIN_S = 86_400.0
MOST_TURNS = 4  # that are carried, in turn from both ends
MOST_OF_ONE_END = 8
KEPT = MOST_OF_ONE_END + 1


@dataclass(frozen=True, slots=True)
class Turn:
    """A value that was carried: when, from which end, and its digest."""

    at: float
    end: str
    digest: str

    @property
    def what(self) -> tuple[str, str]:
        """What makes two turns the same."""
        return self.end, self.digest


def is_fight(turns: Sequence[Turn], now: float) -> bool:
    """Whether the last turns, the one that is wanted now among them, only go to and fro, and too often."""
    recent = [turn for turn in turns if turn.at > now - WITHIN_S]
    run = _to_and_fro(recent)
    ends = {turn.end for turn in run}
    return len(run) > (MOST_TURNS if len(ends) > 1 else MOST_OF_ONE_END)


def _to_and_fro(turns: Sequence[Turn]) -> list[Turn]:
    """The longest tail in which the same two take turns."""
    run: list[Turn] = []
    for turn in reversed(turns):
        if (run and turn.what == run[-1].what) or (len(run) > 1 and turn.what != run[-2].what):
            break
        run.append(turn)
    return run


def frozen(
    work: Work, link: LinkRow, sides: Mapping[str, tuple[Side, Side]], verdicts: Mapping[str, Verdict]
) -> dict[str, Verdict]:
    """The verdicts that become a hold, because two sides fight about the field; what else is carried is remembered."""
    carried = {name: verdict for name, verdict in verdicts.items() if _could_come_back(sides[name], verdict)}
    if work.learning or not carried:
        return {}
    known, held = _known(work, link), _held(work, link)
    found: dict[str, Verdict] = {}
    for name, verdict in carried.items():
        turns, was_frozen = known.get(name, ([], False))
        if name in (link.decided or {}) or (was_frozen and name not in held):
            turns, was_frozen = [], False  # a person has decided, or the ends came to agree: it begins anew
        turn = _turn(work, sides[name], verdict)
        if not was_frozen and (not turns or turns[-1].what != turn.what):
            turns = [*turns, turn][-KEPT:]
            was_frozen = is_fight(turns, work.tx.now)
            _keep(work, link, name, turns, is_frozen=was_frozen)
        if was_frozen:
            found[name] = Verdict(Do.HOLD, reason=REASON)
    return found


def _could_come_back(sides: tuple[Side, Side], verdict: Verdict) -> bool:
    """Whether a value is carried, and could be carried the other way too."""
    return verdict.do is Do.WRITE and verdict.source is not None and all(side.writable for side in sides)


def _held(work: Work, link: LinkRow) -> set[str]:
    return {name for hold in holds_of(work, link) if hold.reason == REASON for name in hold.field.split()}


def _turn(work: Work, sides: tuple[Side, Side], verdict: Verdict) -> Turn:
    source = sides[0] if verdict.source is End.LEFT else sides[1]
    return Turn(work.tx.now, str(verdict.source), source.now or "")


_rows = schema.swings.c


def _known(work: Work, link: LinkRow) -> dict[str, tuple[list[Turn], bool]]:
    found = work.sql.execute(_SWINGS, {"of": link.id})
    return {row.field: ([Turn(*turn) for turn in row.turns], row.frozen_at is not None) for row in found}


_SWINGS = sa.select(schema.swings).where(_rows.link == sa.bindparam("of"))


def _keep(work: Work, link: LinkRow, name: str, turns: Sequence[Turn], *, is_frozen: bool) -> None:
    told = [[turn.at, turn.end, turn.digest] for turn in turns]
    row = {"link": link.id, "field": name, "turns": told, "frozen_at": work.tx.now if is_frozen else None}
    upsert(work.sql, schema.swings, [row])


def prune(connection: sa.Connection) -> int:
    """Forget the turns of links that are no more; how many fields' there were."""
    gone = _rows.link.not_in(sa.select(schema.links.c.id))
    return connection.execute(sa.delete(schema.swings).where(gone)).rowcount
