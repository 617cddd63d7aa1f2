"""The merge of one field, exhausted: each state there is, against the table of the rules written down once more.

What a merge may know of two texts is which are told, which are empty and which are equal: 151 patterns of the four
digests (two ends, two bases) stand for all values there are. Stages are a small vocabulary with all its difficulties.
`make test` looks at each n-th state, `make prove` (EACH=1, CASES=1000000) at all of them, and at a million links of
many fields.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice, product

import pytest

from syncd.mapping import EMPTY, Words
from syncd.reconcile import NOTHING, Do, End, Side, Verdict, merge, merge_field

EACH = int(os.environ.get("EACH", "41"))
CASES = int(os.environ.get("CASES", "2000"))
LEFT, RIGHT = End.LEFT, End.RIGHT
OWNERS = (None, LEFT, RIGHT)
RULES = ("hold", "left", "right", "newest")
CLOCKS = ((None, None), (None, 1.0), (1.0, None), (1.0, 1.0), (1.0, 2.0), (2.0, 1.0))
FLAGS = (True, False)
Case = tuple[str, Side, Side, End | None, str]

# What the left system's words mean and the right's; None: nobody mapped it. The left has no word for an offer, and says
# "Out" for who was rejected and for who withdrew.
HUB: dict[str, str | None] = {
    "Applied": "applied", "Phone": "screening", "Video": "screening", "Out": "rejected", "Coffee": None,
}  # fmt: skip
SPOKE: dict[str, str | None] = {
    "new": "applied", "screen": "screening", "offer": "offer", "lost": "rejected", "left": "withdrawn", "ghosted": None,
}  # fmt: skip
AGREEING = {("Applied", "new"), ("Phone", "screen"), ("Video", "screen"), ("Out", "lost"), ("Out", "left")}
OVER = {"Out", "lost", "left"}
NO_WORD_ACROSS = {"offer"}
MAPS = {
    LEFT: Words(
        {word: ours for word, ours in HUB.items() if ours},
        {"applied": ("Applied",), "screening": ("Phone", "Video"), "rejected": ("Out",), "withdrawn": ("Out",)},
    ),
    RIGHT: Words(
        {word: ours for word, ours in SPOKE.items() if ours},
        {"applied": ("new",), "screening": ("screen",), "offer": ("offer",), "rejected": ("lost",),
         "withdrawn": ("left",)},
    ),
}  # fmt: skip


# --- the rules, written down once more ------------------------------------------------------------------------------


def word(side: Side) -> str:
    """The word that an end tells; empty where it tells none."""
    return side.now[1:] if side.now else ""


def agree(name: str, left: Side, right: Side) -> bool:
    """Whether two ends tell the same; neither is silent."""
    if left.now is None or right.now is None:
        return False
    return (word(left), word(right)) in AGREEING or left.now == right.now == EMPTY if name == "stage" else (
        left.now == right.now
    )  # fmt: skip


def expected(name: str, left: Side, right: Side, owner: End | None, rule: str) -> Verdict:
    """The verdict by the table of the rules: which row, and what the row says."""
    if left.unread or right.unread or (left.now is None and right.now is None):
        return NOTHING
    if agree(name, left, right):
        return NOTHING if (left.now, right.now) == (left.base, right.base) else Verdict(Do.AGREE)
    if None in (left.base, right.base):
        return first_sight(name, left, right, owner, rule)
    happened = tuple(side.now not in (None, side.base) for side in (left, right))
    return {
        (False, False): lambda: NOTHING,
        (True, False): lambda: carried(name, LEFT, left, right),
        (False, True): lambda: carried(name, RIGHT, right, left),
        (True, True): lambda: contest(name, left, right, owner, rule),
    }[happened]()


def carried(name: str, source: End, changed: Side, target: Side) -> Verdict:
    """Changed | same: written if the pair carries it that way; a silent end is not chased by an emptied one."""
    chased = changed.now == EMPTY and target.now is None
    if chased or not target.writable:
        return Verdict(Do.DRIFT, source, "not_carried")
    return borne(name, source, changed, target) or Verdict(Do.WRITE, source)


def contest(name: str, left: Side, right: Side, owner: End | None, rule: str) -> Verdict:
    """Changed | changed: a terminal stage is held unless an owner is named."""
    if name == "stage" and owner is None and {word(left), word(right)} & OVER:
        return Verdict(Do.HOLD, reason="terminal_conflict")
    return chosen(name, left, right, owner, rule)


def first_sight(name: str, left: Side, right: Side, owner: End | None, rule: str) -> Verdict:
    """No base | no base: an empty or silent end is filled; unlike ones are judged with care."""
    if not (left.now and right.now):
        source, full, bare = (LEFT, left, right) if left.now else (RIGHT, right, left)
        fills = full.now and bare.writable
        return (borne(name, source, full, bare) or Verdict(Do.WRITE, source)) if fills else NOTHING
    targets = [side for side in (left, right) if side.writable]
    if not targets:
        return NOTHING
    if name == "name":
        return Verdict(Do.HOLD, reason="other_name")
    if name == "stage" and any(word(side) in OVER for side in targets):
        return Verdict(Do.HOLD, reason="terminal_differs")
    return chosen(name, left, right, owner, rule)


def chosen(name: str, left: Side, right: Side, owner: End | None, rule: str) -> Verdict:
    """The source of a one-way pair, else the owner's, else as the rule says; what cannot be borne leaves both be."""
    ways = {(True, True): winner(left, right, owner, rule), (False, True): LEFT, (True, False): RIGHT}
    if not (left.writable or right.writable):
        return Verdict(Do.DRIFT, reason="not_carried")
    source = ways[left.writable, right.writable]
    if source is None:
        return Verdict(Do.HOLD, reason="conflict")
    ends = (left, right) if source is LEFT else (right, left)
    stopped = borne(name, source, *ends)
    if stopped is not None and stopped.do is Do.DRIFT:
        return replace(stopped, source=None)
    return stopped or Verdict(Do.WRITE, source)


def winner(left: Side, right: Side, owner: End | None, rule: str) -> End | None:
    """Of a two-way pair; None: a person must say."""
    if owner is not None or rule in ("left", "right"):
        return owner or End(rule)
    times = (left.updated_at, right.updated_at)
    if rule == "hold" or None in times or times[0] == times[1]:
        return None
    return LEFT if times[0] > times[1] else RIGHT


def borne(name: str, source: End, changed: Side, target: Side) -> Verdict | None:
    """Why the target cannot bear a value; None: it can."""
    if changed.now == EMPTY and not target.may_empty:
        return Verdict(Do.DRIFT, source, "may_not_be_empty")
    if name == "stage" and changed.now:
        if "Coffee" in (word(changed), word(target)) or "ghosted" in (word(changed), word(target)):
            return Verdict(Do.HOLD, reason="unmapped_stage")
        if source is RIGHT and word(changed) in NO_WORD_ACROSS:
            return Verdict(Do.HOLD, reason="no_word_for_stage")
    if name == "stage" and word(target) in OVER and not target.reopens:
        return Verdict(Do.HOLD, reason="cannot_reopen")
    return None


# --- all states -----------------------------------------------------------------------------------------------------


def patterns() -> list[tuple[str | None, ...]]:
    """What the two ends tell and their two bases, up to the names of the values."""
    found = []
    for told in product((None, EMPTY, "a", "b", "c", "d"), repeat=4):
        named = [value for value in dict.fromkeys(told) if value]
        if named == ["a", "b", "c", "d"][: len(named)]:
            found.append(told)
    return found


def arbiters() -> Iterator[tuple[End | None, str, tuple[float | None, float | None]]]:
    """Owners, rules and clocks; only the rule that asks the clocks sees them."""
    for owner, rule in product(OWNERS, RULES):
        for clocks in CLOCKS if rule == "newest" else CLOCKS[:1]:
            yield owner, rule, clocks


def texts(name: str) -> Iterator[Case]:
    """All states of a text field."""
    sides = {}
    for (now_l, now_r, base_l, base_r), *flags in product(patterns(), *[FLAGS] * 4):
        left_writable, right_writable, left_may_empty, right_may_empty = flags
        for owner, rule, (left_clock, right_clock) in arbiters():
            one = (now_l, base_l, left_writable, left_may_empty, left_clock)
            other = (now_r, base_r, right_writable, right_may_empty, right_clock)
            for key in (one, other):
                if key not in sides:
                    sides[key] = Side(*key[:4], updated_at=key[4])
            yield name, sides[one], sides[other], owner, rule


def stage_sides(end: End) -> list[Side]:
    """All that one end may tell of a stage: each word, silence and nothing, against no base, this one and another."""
    found = []
    for told in (None, EMPTY, *(f"={each}" for each in (HUB if end is LEFT else SPOKE))):
        bases = dict.fromkeys((None, told, "=another"))
        for base, (writable, may_empty, reopens) in product(bases, product(FLAGS, repeat=3)):
            found.append(Side(told, base, writable, may_empty, reopens, words=MAPS[end]))
    return found


def stages() -> Iterator[Case]:
    """All states of a stage."""
    lefts, rights = ([{at: replace(side, updated_at=at) for at in (None, 1.0, 2.0)} for side in stage_sides(end)]
                     for end in End)  # fmt: skip
    for left, right in product(lefts, rights):
        for owner, rule, (left_clock, right_clock) in arbiters():
            yield "stage", left[left_clock], right[right_clock], owner, rule


def judged(case: Case) -> Verdict:
    name, left, right, owner, rule = case
    return merge_field(name, left, right, owner=owner, rule=rule)


def each(cases: Iterator[Case]) -> Iterator[Case]:
    """Each n-th state; how many there are of each owner, rule and flag has no divisor in common with n."""
    return islice(cases, 0, None, EACH)


@pytest.mark.parametrize("name", ["phone", "name"])
def test_each_state_of_a_text_is_judged_as_the_table_says(name: str) -> None:
    count = 0
    for case in texts(name):
        assert judged(case) == expected(*case), case
        count += 1
    assert count == 151 * 2**4 * 27


def test_each_state_of_a_stage_is_judged_as_the_table_says() -> None:
    verdicts = set()
    for case in each(stages()):
        verdict = judged(case)
        assert verdict == expected(*case), case
        verdicts.add((verdict.do, verdict.reason))
    assert len(verdicts) == 11, "each outcome of the table was met"


def test_nothing_is_decided_while_an_end_was_not_read() -> None:
    for name, left, right, owner, rule in islice(chain(texts("phone"), stages()), 0, None, 211 * EACH):
        for unread_left, unread_right in ((True, False), (False, True), (True, True)):
            ends = replace(left, unread=unread_left), replace(right, unread=unread_right)
            assert merge_field(name, *ends, owner=owner, rule=rule) == NOTHING


# --- the laws, on the same states -----------------------------------------------------------------------------------


def after(verdict: Verdict, left: Side, right: Side) -> tuple[Side, Side]:
    """Both ends when the systems did what a verdict says."""
    ends = {LEFT: left, RIGHT: right}
    if verdict.do is Do.WRITE and verdict.source is not None:
        source, target = ends[verdict.source], ends[verdict.source.other]
        told = source.now or EMPTY
        if told and source.words is not None and target.words is not None:
            told = f"={target.words.theirs(source.meaning or '')[0]}"
        ends[verdict.source] = replace(source, base=source.now if source.now is not None else EMPTY)
        ends[verdict.source.other] = replace(target, now=told, base=told)
    elif verdict.do in (Do.AGREE, Do.DRIFT):
        moved = [verdict.source] if verdict.source else [LEFT, RIGHT]
        ends.update({end: replace(ends[end], base=ends[end].now) for end in moved})
    return ends[LEFT], ends[RIGHT]


def some_states() -> Iterator[Case]:
    """What the laws are tried on: they take longer."""
    return islice(chain(texts("phone"), texts("name"), stages()), 0, None, 5 * EACH if EACH > 1 else 1)


def test_mirror_neither_end_is_favoured() -> None:
    """The left end's words stay its own: what is swapped is which argument comes first, and all that names an end."""
    for name, left, right, owner, rule in some_states():
        other_rule = {"left": "right", "right": "left"}.get(rule, rule)
        swapped = merge_field(name, right, left, owner=owner and owner.other, rule=other_rule)
        verdict = merge_field(name, left, right, owner=owner, rule=rule)
        assert swapped == replace(verdict, source=verdict.source and verdict.source.other)


def test_settles_what_was_carried_out_leaves_nothing_to_write() -> None:
    for name, left, right, owner, rule in some_states():
        first = merge_field(name, left, right, owner=owner, rule=rule)
        ends = after(first, left, right)
        second = merge_field(name, *ends, owner=owner, rule=rule)
        if first.do is Do.HOLD:
            assert second == first
            continue
        assert second.do in (Do.NOTHING, Do.AGREE), (name, left, right, owner, rule)
        assert merge_field(name, *after(second, *ends), owner=owner, rule=rule) == NOTHING


def test_quiet_ends_that_tell_their_bases_are_left_alone() -> None:
    for name, left, right, owner, rule in some_states():
        if left.now is not None and right.now is not None:
            ends = replace(left, base=left.now), replace(right, base=right.now)
            assert merge_field(name, *ends, owner=owner, rule=rule) == NOTHING


# --- links of many fields -------------------------------------------------------------------------------------------

REASONS = ("conflict", "terminal_conflict", "terminal_differs", "other_name")


def whole(
    fields: dict[str, tuple[Side, Side]],
    owners: dict[str, End],
    rule: str,
    decided: dict[str, End],
    contested: dict[str, str],
) -> dict[str, Verdict]:
    """What is to be done about a link: each field for itself; a person's word first, then an open question."""
    verdicts = {}
    for name, (left, right) in fields.items():
        if name in decided and not agree(name, left, right):
            verdicts[name] = as_decided(name, decided[name], left, right)
        elif name in contested and not agree(name, left, right):
            verdicts[name] = Verdict(Do.HOLD, reason=contested[name])
        else:
            verdicts[name] = expected(name, left, right, owners.get(name), rule)
    return {name: verdict for name, verdict in verdicts.items() if verdict != NOTHING}


def as_decided(name: str, taken: End, left: Side, right: Side) -> Verdict:
    """A person took one end's value: written, unless the pair or the target does not bear it."""
    source, target = (left, right) if taken is LEFT else (right, left)
    if not target.writable:
        return Verdict(Do.DRIFT, reason="accepted")
    stopped = borne(name, taken, source, target)
    if stopped is not None and stopped.do is Do.DRIFT:
        return replace(stopped, source=None)
    return stopped or Verdict(Do.WRITE, taken)


def test_many_fields_of_a_link_are_judged_each_for_itself() -> None:
    chance = random.Random(int(os.environ.get("SEED", "20261122")))
    pools = {name: list(islice(texts(name), 0, None, 27)) for name in ("phone", "name")}
    lefts, rights = ([replace(side, updated_at=at) for side in stage_sides(end) for at in (None, 1.0, 2.0)]
                     for end in End)  # fmt: skip
    for _ in range(CASES):
        fields = {name: chance.choice(pools["phone"])[1:3] for name in ("phone", "city", "title")}
        fields |= {"name": chance.choice(pools["name"])[1:3], "stage": (chance.choice(lefts), chance.choice(rights))}
        fields = {name: ends for name, ends in fields.items() if chance.random() < 0.7}
        owners = {name: chance.choice((LEFT, RIGHT)) for name in fields if chance.random() < 0.3}
        ends = ((name, chance.choice((LEFT, RIGHT))) for name in fields if chance.random() < 0.2)
        decided = {
            name: end for name, end in ends if fields[name][end is RIGHT].now is not None
        }  # silence is not taken
        contested = {name: chance.choice(REASONS) for name in fields if chance.random() < 0.2}
        rule = chance.choice(RULES)
        verdicts = merge(fields, owners=owners, rule=rule, decided=decided, contested=contested)
        assert verdicts == whole(fields, owners, rule, decided, contested), fields
