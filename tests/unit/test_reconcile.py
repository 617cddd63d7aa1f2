"""The merge: its table row by row, each with the accident that it prevents, and its three laws.

A side is written ``side(now, base)``; digests are single letters, a stage's word stands behind ``=``.
"""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.mapping import EMPTY, Words
from syncd.reconcile import CONFLICTS, NOTHING, Do, End, Side, Verdict, agree, merge, merge_field
from tests.laws import examples

LEFT, RIGHT = End.LEFT, End.RIGHT
HUB = Words(
    read={
        "Applied": "applied", "Phone Screen": "screening", "Video Screen": "screening", "Onsite": "interview",
        "Hired": "hired", "Disqualified": "rejected",
    },
    write={
        "applied": ("Applied",), "screening": ("Phone Screen", "Video Screen"), "interview": ("Onsite",),
        "hired": ("Hired",), "rejected": ("Disqualified",), "withdrawn": ("Disqualified",),
    },
)  # fmt: skip
SPOKE = Words(
    read={
        "new": "applied", "screen": "screening", "talk": "interview", "offer": "offer", "won": "hired",
        "lost": "rejected", "left": "withdrawn",
    },
    write={
        "applied": ("new",), "screening": ("screen",), "interview": ("talk",), "offer": ("offer",), "hired": ("won",),
        "rejected": ("lost",), "withdrawn": ("left",), "assessment": ("screen",),
    },
)  # fmt: skip


def side(now=None, base=None, **more):
    return Side(now, base, **more)


def hub(now=None, base=None, **more):
    return Side(now and f"={now}", base and f"={base}", words=HUB, **more)


def spoke(now=None, base=None, **more):
    return Side(now and f"={now}", base and f"={base}", words=SPOKE, **more)


def judged(left, right, name="phone", owner=None, rule="hold"):
    return merge_field(name, left, right, owner=owner, rule=rule)


def write(source):
    return Verdict(Do.WRITE, source)


def drift(source, reason):
    return Verdict(Do.DRIFT, source, reason)


def hold(reason):
    return Verdict(Do.HOLD, reason=reason)


AGREE = Verdict(Do.AGREE)

# --- the table ------------------------------------------------------------------------------------------------------

TABLE = {
    # both have a base
    "two ends in step are left alone": (side("a", "a"), side("b", "b"), NOTHING),
    "a phone corrected on the left reaches the right": (side("b", "a"), side("a", "a"), write(LEFT)),
    "a phone corrected on the right reaches the left": (side("a", "a"), side("b", "a"), write(RIGHT)),
    "the same correction typed on both sides is written nowhere": (side("b", "a"), side("b", "a"), AGREE),
    "our own write coming back is no change": (side("b", "a"), side("b", "b"), AGREE),
    "a re-spelled value that became the base is no change": (side("b", "b"), side("B", "B"), NOTHING),
    "a correction that is taken back before it was written is none": (
        side("a", "a", stirred=True), side("a", "a"), NOTHING,
    ),
    "who takes a correction back has spoken, too": (
        side("a", "a", stirred=True), side("b", "a"), hold("conflict"),
    ),
    "two unlike corrections are held, none is lost": (side("b", "a"), side("c", "a"), hold("conflict")),
    "a correction on the side that is only written to is drift": (
        side("a", "a", writable=False), side("b", "a"), drift(RIGHT, "not_carried"),
    ),
    "the next change at the source overwrites drift": (side("b", "a", writable=False), side("d", "d"), write(LEFT)),
    "drift and a change at the source at once: the source's": (
        side("b", "a", writable=False), side("c", "a"), write(LEFT),
    ),
    "a field that flows nowhere drifts on both sides": (
        side("b", "a", writable=False), side("c", "a", writable=False), Verdict(Do.DRIFT, None, "not_carried"),
    ),
    "a phone deleted on the left is deleted on the right": (side(EMPTY, "a"), side("a", "a"), write(LEFT)),
    "a phone is not deleted where the system demands one": (
        side(EMPTY, "a"), side("a", "a", may_empty=False), drift(LEFT, "may_not_be_empty"),
    ),
    "a deletion does not chase a field that the other end does not tell": (
        side(EMPTY, "a"), side(None, "a"), drift(LEFT, "not_carried"),
    ),
    "a view that does not tell the field changes nothing": (side(None, "a"), side("a", "a"), NOTHING),
    "a field that no end tells is nothing": (side(None), side(None), NOTHING),
    "nothing is decided before both ends were read": (side("b", "a"), side(None, "a", unread=True), NOTHING),
    "a first value waits for the end that was not read yet": (side("b"), side(None, unread=True), NOTHING),
    # no base yet
    "an empty field is filled at first sight": (side("a"), side(EMPTY), write(LEFT)),
    "a silent field is filled at first sight": (side(None), side("a"), write(RIGHT)),
    "an empty field is not filled against the direction": (side(EMPTY, writable=False), side("a"), NOTHING),
    "two that agree at first sight get bases": (side("a"), side("a"), AGREE),
    "two empty ones get bases": (side(EMPTY), side(EMPTY), AGREE),
    "unlike values at first sight are held": (side("a"), side("b"), hold("conflict")),
    "unlike values at first sight in a one-way pair: the source's": (side("a", writable=False), side("b"), write(LEFT)),
    "unlike values that flow nowhere are let be": (side("a", writable=False), side("b", writable=False), NOTHING),
    "half a base is no base": (side("a", "a"), side("b"), hold("conflict")),
}  # fmt: skip


@pytest.mark.parametrize(("left", "right", "verdict"), TABLE.values(), ids=TABLE.keys())
def test_the_table(left, right, verdict):
    assert judged(left, right) == verdict


@pytest.mark.parametrize("name", ["name", "first_name", "last_name"])
@pytest.mark.parametrize("rule", ["hold", "left", "right", "newest"])
def test_another_name_under_the_same_mail_is_held_whoever_owns_it(name, rule):
    """A mother applies with her daughter's mail address: no rule may rename one into the other."""
    left, right = side("a", updated_at=1.0), side("b", updated_at=2.0)
    assert judged(left, right, name, owner=LEFT, rule=rule) == hold("other_name")
    one_way = replace(left, writable=False)
    assert judged(one_way, right, name, rule=rule) == hold("other_name")


def test_a_name_that_was_in_step_is_corrected_like_any_field():
    assert judged(side("b", "a"), side("a", "a"), "last_name") == write(LEFT)


# --- who wins -------------------------------------------------------------------------------------------------------

DIFFER = (side("b", "a", updated_at=2.0), side("c", "a", updated_at=1.0))
WINNERS = {
    "the owner wins over the pair's rule": (*DIFFER, RIGHT, "left", write(RIGHT)),
    "the owner wins though the other is newer": (*DIFFER, RIGHT, "newest", write(RIGHT)),
    "rule left": (*DIFFER, None, "left", write(LEFT)),
    "rule right": (*DIFFER, None, "right", write(RIGHT)),
    "rule hold": (*DIFFER, None, "hold", hold("conflict")),
    "rule newest takes the later edit": (*DIFFER, None, "newest", write(LEFT)),
    "rule newest asks a person where one clock is unknown": (
        DIFFER[0], side("c", "a"), None, "newest", hold("conflict"),
    ),
    "rule newest asks a person where both clocks say the same": (
        DIFFER[0], side("c", "a", updated_at=2.0), None, "newest", hold("conflict"),
    ),
    "at first sight the owner is asked too": (side("a"), side("b"), RIGHT, "hold", write(RIGHT)),
    "at first sight the rule is asked after the owner": (side("a"), side("b"), None, "left", write(LEFT)),
}  # fmt: skip


@pytest.mark.parametrize(("left", "right", "owner", "rule", "verdict"), WINNERS.values(), ids=WINNERS.keys())
def test_who_wins(left, right, owner, rule, verdict):
    assert judged(left, right, owner=owner, rule=rule) == verdict


# --- stages ---------------------------------------------------------------------------------------------------------

STAGES = {
    "a move is carried": (hub("Onsite", "Applied"), spoke("new", "new"), write(LEFT)),
    "a rejection is carried": (hub("Disqualified", "Applied"), spoke("new", "new"), write(LEFT)),
    "a reopened application is carried": (hub("Onsite", "Disqualified"), spoke("lost", "lost"), write(LEFT)),
    "a rejected person is not revived where the system cannot": (
        hub("Onsite", "Disqualified"), spoke("lost", "lost", reopens=False), hold("cannot_reopen"),
    ),
    "two of their words that mean one of ours agree": (hub("Video Screen", "Applied"), spoke("screen", "new"), AGREE),
    "a word from the write list agrees though it reads otherwise": (
        hub("Disqualified", "Applied"), spoke("left", "new"), AGREE,
    ),
    "a move within one of our words is carried as no move": (
        hub("Video Screen", "Phone Screen"), spoke("screen", "screen"), AGREE,
    ),
    "moved unlike each other: held": (hub("Onsite", "Applied"), spoke("screen", "new"), hold("conflict")),
    "one hired, the other moved on: held": (hub("Hired", "Onsite"), spoke("offer", "talk"), hold("terminal_conflict")),
    "one rejected, the other moved on: held": (
        hub("Onsite", "Applied"), spoke("lost", "new"), hold("terminal_conflict"),
    ),
    "one withdrawn, the other moved on: held": (
        hub("Onsite", "Applied"), spoke("left", "new"), hold("terminal_conflict"),
    ),
    "a word of theirs that nobody mapped is held": (
        hub("Coffee", "Applied"), spoke("new", "new"), hold("unmapped_stage"),
    ),
    "a stage that the other system has no word for is held": (
        hub("Applied", "Applied"), spoke("offer", "new"), hold("no_word_for_stage"),
    ),
    "at first sight a rejected application is not revived": (
        hub("Onsite"), spoke("lost"), hold("terminal_differs"),
    ),
    "at first sight a rejection does not overwrite": (hub("Disqualified"), spoke("talk"), hold("terminal_differs")),
    "at first sight a rejection at the source of a one-way pair is carried": (
        hub("Disqualified", writable=False), spoke("talk"), write(LEFT),
    ),
    "at first sight a rejection at the target of a one-way pair is held": (
        hub("Onsite", writable=False), spoke("lost"), hold("terminal_differs"),
    ),
    "at first sight two words of one meaning agree": (hub("Phone Screen"), spoke("screen"), AGREE),
    "at first sight an unmapped word at the source is held": (
        hub("Coffee", writable=False), spoke("new"), hold("unmapped_stage"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("left", "right", "verdict"), STAGES.values(), ids=STAGES.keys())
def test_stages(left, right, verdict):
    assert judged(left, right, "stage") == verdict


@pytest.mark.parametrize("rule", ["left", "right", "newest"])
def test_no_rule_decides_about_a_terminal_stage_that_both_moved(rule):
    left, right = hub("Hired", "Onsite", updated_at=1.0), spoke("offer", "talk", updated_at=2.0)
    assert judged(left, right, "stage", rule=rule) == hold("terminal_conflict")


def test_a_named_owner_decides_about_a_terminal_stage_that_both_moved():
    assert judged(hub("Hired", "Onsite"), spoke("screen", "talk"), "stage", owner=LEFT) == write(LEFT)


def test_a_named_owner_does_not_decide_about_a_terminal_stage_at_first_sight():
    """Two years of rejections stand in the spoke when the pair is set up; the owner's stages are not for them."""
    assert judged(hub("Onsite"), spoke("lost"), "stage", owner=LEFT) == hold("terminal_differs")


def test_a_rejection_at_the_target_of_a_one_way_pair_is_not_overwritten_by_a_move_at_the_same_time():
    left = hub("Onsite", "Applied", writable=False)
    assert judged(left, spoke("lost", "new"), "stage") == hold("terminal_conflict")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (hub("Onsite", writable=False), spoke("ghosted")),
        (hub("Onsite", "Applied"), spoke("ghosted", "ghosted")),
        (hub("Onsite", "Applied", writable=False), spoke("ghosted", "new")),
    ],
    ids=["at first sight", "where only the source moved", "where both moved"],
)
def test_a_stage_that_nobody_mapped_is_not_overwritten(left, right):
    """ "ghosted" may mean that the person is out; a move written over it would bring her back."""
    assert judged(left, right, "stage") == hold("unmapped_stage")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (hub("phone screen"), spoke("SCREEN"), True),
        (hub("Onsite"), spoke("new"), False),
        (hub("Coffee"), hub("Coffee"), False),
        (side(EMPTY, words=HUB), side(EMPTY, words=SPOKE), True),
        (side(EMPTY, words=HUB), spoke("new"), False),
        (side(None, words=HUB), spoke("new"), False),
    ],
    ids=["case does not matter", "unlike", "an unmapped word has no meaning", "both empty", "one empty", "one silent"],
)
def test_when_stages_agree(left, right, same):
    assert agree("stage", left, right) is same


# --- a whole link ---------------------------------------------------------------------------------------------------


def merged(fields, *, owners=None, rule="hold", decided=None, contested=None):
    return merge(fields, owners=owners or {}, rule=rule, decided=decided or {}, contested=contested or {})


def test_only_what_is_to_be_done_is_told():
    fields = {"phone": (side("b", "a"), side("a", "a")), "city": (side("x", "x"), side("x", "x"))}
    assert merged(fields) == {"phone": write(LEFT)}


def test_fields_flow_though_another_is_held():
    fields = {"phone": (side("b", "a"), side("c", "a")), "city": (side("y", "x"), side("x", "x"))}
    assert merged(fields) == {"phone": hold("conflict"), "city": write(LEFT)}


def test_an_owner_owns_one_field():
    fields = {"phone": (side("b", "a"), side("c", "a")), "city": (side("y", "x"), side("z", "x"))}
    assert merged(fields, owners={"city": RIGHT}) == {"phone": hold("conflict"), "city": write(RIGHT)}


def test_an_open_conflict_is_not_ended_by_one_end_going_back_to_its_base():
    """The recruiter puts her end back while the conflict waits: her doing so is no leave to overwrite it."""
    fields = {"phone": (side("b", "a"), side("a", "a"))}
    assert merged(fields, contested={"phone": "conflict"}) == {"phone": hold("conflict")}


def test_an_open_conflict_ends_when_the_ends_agree():
    fields = {"phone": (side("b", "a"), side("b", "a"))}
    assert merged(fields, contested={"phone": "conflict"}) == {"phone": AGREE}


@pytest.mark.parametrize("end", list(End))
def test_a_persons_decision_is_written(end):
    fields = {"phone": (side("b", "a"), side("c", "a"))}
    assert merged(fields, decided={"phone": end}, contested={"phone": "conflict"}) == {"phone": write(end)}


def test_a_persons_decision_outranks_the_owner():
    fields = {"phone": (side("b", "a"), side("c", "a"))}
    assert merged(fields, owners={"phone": LEFT}, decided={"phone": RIGHT}) == {"phone": write(RIGHT)}


def test_a_decision_that_has_come_true_is_agreement():
    fields = {"phone": (side("b", "a"), side("b", "a"))}
    assert merged(fields, decided={"phone": LEFT}) == {"phone": AGREE}


def test_a_decision_about_another_name_is_written():
    fields = {"name": (side("a"), side("b"))}
    assert merged(fields, decided={"name": RIGHT}, contested={"name": "other_name"}) == {"name": write(RIGHT)}


def test_even_a_decision_does_not_reopen_where_the_system_cannot():
    fields = {"stage": (hub("Onsite", "Applied"), spoke("lost", "new", reopens=False))}
    assert merged(fields, decided={"stage": LEFT}) == {"stage": hold("cannot_reopen")}


def test_a_decision_is_not_written_against_the_direction():
    """Taking the right side's name in a pair that never writes to the left: the difference is accepted, not written."""
    fields = {"name": (side("a", writable=False), side("b"))}
    assert merged(fields, decided={"name": RIGHT}, contested={"name": "other_name"})["name"].do is not Do.WRITE


def test_each_reason_that_keeps_a_conflict_open_is_one_that_a_merge_gives():
    given_ = {v.reason for *_, v in [*TABLE.values(), *STAGES.values(), *WINNERS.values()] if v.do is Do.HOLD}
    assert given_ | {"other_name"} >= CONFLICTS


# --- the three laws -------------------------------------------------------------------------------------------------

TEXT_NAMES = ["phone", "first_name"]
texts = st.sampled_from([None, EMPTY, "a", "b", "c"])
flags = st.booleans()
thoroughly = examples(200)
clocks = st.sampled_from([None, 1.0, 2.0])
owners = st.sampled_from([None, LEFT, RIGHT])
rules = st.sampled_from(["hold", "left", "right", "newest"])
text_sides = st.builds(Side, now=texts, base=texts, writable=flags, may_empty=flags, unread=st.just(value=False),
                       updated_at=clocks)  # fmt: skip


def stage_sides(words):
    known = st.sampled_from([None, *(f"={word}" for word in words.read), "=nobody mapped this"])
    return st.builds(Side, now=known, base=known, writable=flags, reopens=flags, updated_at=clocks,
                     words=st.just(words))  # fmt: skip


@st.composite
def cases(draw):
    """(field, left, right, owner, rule): a text field or a stage, anything that may stand in a store."""
    if draw(flags):
        name, left, right = "stage", draw(stage_sides(HUB)), draw(stage_sides(SPOKE))
    else:
        name, left, right = draw(st.sampled_from(TEXT_NAMES)), draw(text_sides), draw(text_sides)
    if draw(flags) and left.now is not None:
        left = replace(left, base=left.now)  # a random base is hardly ever what is told
    return name, left, right, draw(owners), draw(rules)


def mirrored(verdict):
    return replace(verdict, source=verdict.source and verdict.source.other)


@thoroughly
@given(cases())
def test_law_mirror_left_and_right_are_alike(case):
    name, left, right, owner, rule = case
    other_rule = {"left": "right", "right": "left"}.get(rule, rule)
    swapped = merge_field(name, right, left, owner=owner and owner.other, rule=other_rule)
    assert swapped == mirrored(merge_field(name, left, right, owner=owner, rule=rule))


def as_written(source, target):
    """What the target tells after the write: its own word for a stage."""
    if source.words is None or not source.now:
        return source.now or EMPTY
    return f"={target.words.theirs(source.meaning)[0]}"


def carried_out(verdict, left, right):
    """Both ends after the system did what the verdict says."""
    ends = {LEFT: left, RIGHT: right}
    if verdict.do is Do.WRITE:
        source, target = ends[verdict.source], ends[verdict.source.other]
        told = as_written(source, target)
        ends[verdict.source] = replace(source, base=source.now if source.now is not None else EMPTY)
        ends[verdict.source.other] = replace(target, now=told, base=told)
    elif verdict.do in (Do.AGREE, Do.DRIFT):
        for end in [verdict.source] if verdict.source else list(End):
            ends[end] = replace(ends[end], base=ends[end].now)
    return ends[LEFT], ends[RIGHT]


def settles(case):
    name, left, right, owner, rule = case
    first = merge_field(name, left, right, owner=owner, rule=rule)
    left, right = carried_out(first, left, right)
    second = merge_field(name, left, right, owner=owner, rule=rule)
    if first.do is Do.HOLD:
        return second == first
    left, right = carried_out(second, left, right)
    third = merge_field(name, left, right, owner=owner, rule=rule)
    return second.do in (Do.NOTHING, Do.AGREE) and third == NOTHING


@thoroughly
@given(cases().filter(lambda case: EMPTY not in (case[1].now, case[2].now)))
def test_law_settles_what_was_carried_out_leaves_nothing_to_do(case):
    assert settles(case), case


@thoroughly
@example(("phone", side(EMPTY, "a"), side("b", "a", may_empty=False), LEFT, "hold"))
@given(cases())
def test_law_settles_with_empty_values(case):
    assert settles(case), case


def test_an_owners_deletion_that_cannot_be_carried_is_not_undone():
    left, right = side(EMPTY, "a"), side("b", "a", may_empty=False)
    first = judged(left, right, owner=LEFT)
    assert judged(*carried_out(first, left, right), owner=LEFT).do is not Do.WRITE


@thoroughly
@given(cases())
def test_law_quiet_ends_that_agree_with_their_bases_are_left_alone(case):
    name, left, right, owner, rule = case
    left, right = replace(left, base=left.now), replace(right, base=right.now)
    verdict = merge_field(name, left, right, owner=owner, rule=rule)
    if left.now is not None and right.now is not None:
        assert verdict == NOTHING


@thoroughly
@given(cases(), flags)
def test_law_quiet_a_view_that_tells_less_plans_nothing(case, left_is_silent):
    """list, get, list of an unchanged record: what the shorter view leaves out is as it was."""
    name, left, right, owner, rule = case
    left, right = replace(left, base=left.now), replace(right, base=right.now)
    left, right = (replace(left, now=None), right) if left_is_silent else (left, replace(right, now=None))
    if left.base is not None and right.base is not None:
        assert merge_field(name, left, right, owner=owner, rule=rule) == NOTHING


@thoroughly
@given(cases())
def test_no_write_goes_where_the_pair_does_not_carry(case):
    name, left, right, owner, rule = case
    verdict = merge_field(name, left, right, owner=owner, rule=rule)
    if verdict.do is Do.WRITE:
        target, source = (right, left) if verdict.source is LEFT else (left, right)
        assert target.writable
        assert source.now or target.may_empty
        assert not target.terminal or target.reopens


@thoroughly
@given(cases())
def test_a_terminal_stage_is_left_only_by_a_change_at_the_other_end(case):
    _, left, right, owner, rule = case
    if left.words is None:
        return
    verdict = merge_field("stage", left, right, owner=owner, rule=rule)
    if verdict.do is Do.WRITE:
        source, target = (left, right) if verdict.source is LEFT else (right, left)
        assert not target.terminal or source.changed


@thoroughly
@given(cases())
def test_nothing_is_decided_while_an_end_is_unread(case):
    name, left, right, owner, rule = case
    assert merge_field(name, replace(left, unread=True), right, owner=owner, rule=rule) == NOTHING
    assert merge_field(name, left, replace(right, unread=True), owner=owner, rule=rule) == NOTHING
