"""The merge: what should become of one link, field by field. Pure; ``merge_field`` has the table.

A side is what one end tells now and what it told when both last agreed, as digests. The merge yields verdicts; other
rooms make intents of them. Three laws hold (tests/unit/test_reconcile.py): *mirror* (left and right are alike),
*settles* (carrying a verdict out leaves nothing to do), *quiet* (two ends that agree are left alone).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from syncd.mapping import NAMES, TERMINAL, WORDED, Words, mean_the_same, word_of


class End(StrEnum):
    """One end of a link."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def other(self) -> "End":
        """The end across."""
        return End.RIGHT if self is End.LEFT else End.LEFT


class Do(StrEnum):
    """What is to be done about one field."""

    NOTHING = "nothing"
    AGREE = "agree"  # the ends agree: what they tell becomes the bases, no write
    WRITE = "write"  # write the source end's value to the other end
    DRIFT = "drift"  # the change is not carried: only the changed end's base moves, and the journal says so
    HOLD = "hold"  # a person must decide


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about one field. ``source``: the end whose value is written, or whose base moves."""

    do: Do
    source: End | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """One end's view of one field: the digest told now and the base; None: not told, or no base yet.

    ``writable``: the pair carries the field to this end and the system takes it; ``may_empty``: also written empty.
    ``reopens``: a terminal stage can be left here. ``unread``: the end would tell the field, but has not been read yet.
    ``stirred``: something of this end still waits to be written to the other, even if the end was set back meanwhile.
    """

    now: str | None
    base: str | None
    writable: bool = True
    may_empty: bool = True
    reopens: bool = True
    unread: bool = False
    stirred: bool = False
    updated_at: float | None = None
    words: Words | None = None

    @property
    def changed(self) -> bool:
        """Whether this end tells something else than when both last agreed, or did since the other end was heard."""
        return self.now is not None and self.base is not None and (self.now != self.base or self.stirred)

    @property
    def meaning(self) -> str | None:
        """Our word for what a worded field tells."""
        word = word_of(self.now) if self.now else None
        return self.words.ours(word) if self.words and word is not None else None

    @property
    def terminal(self) -> bool:
        """Whether this end stands in a terminal stage."""
        return self.meaning in TERMINAL


NOTHING = Verdict(Do.NOTHING)
CONFLICTS = frozenset({"conflict", "terminal_conflict", "terminal_differs", "other_name"})


def merge_field(name: str, left: Side, right: Side, *, owner: End | None, rule: str) -> Verdict:
    """The verdict about one field.

    First of all: ends that agree in meaning get new bases and no write.

    | left    | right   | do                                                                                   |
    |---------|---------|--------------------------------------------------------------------------------------|
    | same    | same    | nothing                                                                              |
    | changed | same    | write it to the other end if carried that way, else move the base (drift)             |
    | changed | changed | the owner's; else the pair's rule; a terminal stage is held unless an owner is named   |
    | no base | no base | fill an empty or silent end; a name and a target's terminal stage are held; else as above |
    """
    if left.unread or right.unread or (left.now is None and right.now is None):
        return NOTHING  # an unread end will be read; nothing is decided on half the facts
    if agree(name, left, right):
        settled = left.now == left.base and right.now == right.base
        return NOTHING if settled else Verdict(Do.AGREE)
    if left.base is None or right.base is None:
        return _first(name, left, right, owner, rule)
    if left.changed and right.changed:
        return _both(name, left, right, owner, rule)
    if left.changed or right.changed:
        return _carry(name, End.LEFT, left, right) if left.changed else _carry(name, End.RIGHT, right, left)
    return NOTHING


def agree(name: str, left: Side, right: Side) -> bool:
    """Whether both ends tell the same, worded fields by both maps."""
    if left.now is None or right.now is None:
        return False
    if left.now == right.now and name not in WORDED:
        return True
    left_word, right_word = word_of(left.now), word_of(right.now)
    if left_word is None or right_word is None or left.words is None or right.words is None:
        return left.now == right.now
    return mean_the_same(left.words, left_word, right.words, right_word)


def _first(name: str, left: Side, right: Side, owner: End | None, rule: str) -> Verdict:
    """No base yet: fill what is empty; where both say something, choose with care."""
    if not left.now or not right.now:
        source, target = (End.LEFT, right) if left.now else (End.RIGHT, left)
        if not (left.now or right.now) or not target.writable:
            return NOTHING
        return _write(name, source, left if source is End.LEFT else right, target)
    if not left.writable and not right.writable:
        return NOTHING
    if name in NAMES:
        return Verdict(Do.HOLD, reason="other_name")
    if any(side.terminal for side in (left, right) if side.writable):
        return Verdict(Do.HOLD, reason="terminal_differs")
    return _choose(name, left, right, owner, rule)


def _both(name: str, left: Side, right: Side, owner: End | None, rule: str) -> Verdict:
    if name == "stage" and owner is None and (left.terminal or right.terminal):
        return Verdict(Do.HOLD, reason="terminal_conflict")
    return _choose(name, left, right, owner, rule)


def _choose(name: str, left: Side, right: Side, owner: End | None, rule: str) -> Verdict:
    """Both ends say something unlike: a one-way pair writes its source, else the owner's, else as the rule says."""
    if left.writable != right.writable:
        source = End.LEFT if right.writable else End.RIGHT
    elif not left.writable:
        return Verdict(Do.DRIFT, reason="not_carried")
    elif owner is not None:
        source = owner
    elif (ruled := _ruled(left, right, rule)) is not None:
        source = ruled
    else:
        return Verdict(Do.HOLD, reason="conflict")
    return _settled(_write(name, source, left, right) if source is End.LEFT else _write(name, source, right, left))


def _settled(verdict: Verdict) -> Verdict:
    """Of two ends that both say something, what cannot be written is left as it is.

    Both bases move, or the loser's value would be the only change left and undo the winner's.
    """
    return Verdict(Do.DRIFT, reason=verdict.reason) if verdict.do is Do.DRIFT else verdict


def _ruled(left: Side, right: Side, rule: str) -> End | None:
    if rule in {End.LEFT, End.RIGHT}:
        return End(rule)
    if rule != "newest" or left.updated_at is None or right.updated_at is None or left.updated_at == right.updated_at:
        return None
    return End.LEFT if left.updated_at > right.updated_at else End.RIGHT


def _carry(name: str, source: End, changed: Side, target: Side) -> Verdict:
    if not target.writable or (target.now is None and not changed.now):
        return Verdict(Do.DRIFT, source, "not_carried")
    return _write(name, source, changed, target)


def _write(name: str, source: End, changed: Side, target: Side) -> Verdict:
    """The write of a value, if the target may bear it."""
    if not changed.now and not target.may_empty:
        return Verdict(Do.DRIFT, source, "may_not_be_empty")
    if name in WORDED and changed.now:
        if changed.meaning is None or (target.now and target.meaning is None):
            return Verdict(Do.HOLD, reason=f"unmapped_{name}")
        if target.words is None or not target.words.theirs(changed.meaning):
            return Verdict(Do.HOLD, reason=f"no_word_for_{name}")
    if name == "stage" and target.terminal and not target.reopens:
        return Verdict(Do.HOLD, reason="cannot_reopen")
    return Verdict(Do.WRITE, source)


def _decided(name: str, chosen: End, left: Side, right: Side) -> Verdict:
    """Carry out what a person took; against the direction of a pair it is only accepted as it is."""
    source, target = (left, right) if chosen is End.LEFT else (right, left)
    if not target.writable:
        return Verdict(Do.DRIFT, reason="accepted")
    return _settled(_write(name, chosen, source, target))


def merge(
    fields: Mapping[str, tuple[Side, Side]],
    *,
    owners: Mapping[str, End],
    rule: str,
    decided: Mapping[str, End],
    contested: Mapping[str, str],
) -> dict[str, Verdict]:
    """The verdicts about one link that are not nothing. ``decided``: fields whose side a person has taken.

    ``contested``: fields about which a conflict is open, with its reason. It ends when the ends agree or a person
    decides; an end that goes back to its base meanwhile was moved by somebody, and must not be overwritten for it.
    """
    verdicts = {}
    for name, (left, right) in fields.items():
        chosen = decided.get(name)
        if chosen is not None and not agree(name, left, right):
            verdict = _decided(name, chosen, left, right)
        elif name in contested and not agree(name, left, right):
            verdict = Verdict(Do.HOLD, reason=contested[name])
        else:
            verdict = merge_field(name, left, right, owner=owners.get(name), rule=rule)
        if verdict.do is not Do.NOTHING:
            verdicts[name] = verdict
    return verdicts
