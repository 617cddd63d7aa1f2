"""The audit, and rows that somebody edited by hand: each is found and mended, and the engine dies of none of them."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from syncd import audit_text, schema
from syncd.audit import audit
from syncd.clock import run_stepped
from syncd.decide import resolve
from syncd.reconcile import End
from syncd.tell import as_json, console_on
from tests.unit.small_world import APPLICATION, CANDIDATE, JOB, _paste, seal
from tests.unit.test_cycle import ann, counts, phones_of, stage_of

FIRST_S = 30.0
SWEPT_S = 700.0  # a sweep is due every 600 s
LINKS = schema.links.c
NEWS = "+12025550177"


def synced(quick, *names, **settings):
    """Two people on a job, at both ends and linked; the engine that did it, at rest."""
    world = quick(*names, **settings)
    ann(world)
    ann(world, name="Bob Ray", email="bob@example.com", stage="Talk")
    return world, world.live(FIRST_S, learn=True)


def audited(world, *pairs, repair=False):
    app = SimpleNamespace(world=world.world, store=world.store, engine=world.engine())
    return run_stepped(world.clock, audit(app, pairs, repair=repair))


def words(told):
    """(what, kind, field) -> how many."""
    return {(each["what"], each["kind"], each["field"]): each["count"] for each in told["findings"]}


def by_hand(world, *statements):
    def edit(connection):
        for statement in statements:
            connection.execute(statement)

    world.store.run_now(edit)


def link_of(world, kind, email="ann@example.com"):
    """The link of a kind that is somebody's (or the job's)."""
    hub = world.systems["rows"]
    ids = {thing.ref.id for thing in hub.of(APPLICATION) if thing.fields["email"] == email}
    return next(link for link in world.links(kind) if kind is JOB or link.left in ids)


def writes_of(world):
    return {name: len(world.writes(name)) for name in world.systems}


# --- what two ends tell ---------------------------------------------------------------------------------------------


def test_of_what_is_in_step_nothing_is_found_and_nothing_is_touched(quick):
    world, _ = synced(quick, "rows", "plain")
    rows = {table.name: world.select(table) for table in schema.metadata.sorted_tables}
    before = writes_of(world)
    told = audited(world)
    assert (told["findings"], told["links"], told["unread"], told["until"]) == ([], 5, [], None)
    assert {table.name: world.select(table) for table in schema.metadata.sorted_tables} == rows
    assert writes_of(world) == before
    assert audit_text.is_good(told)


def test_an_edit_that_was_not_noticed_is_found_and_after_the_repair_carried(quick):
    world, engine = synced(quick, "rows", "plain")
    (person,) = [thing for thing in world.systems["plain"].of(CANDIDATE) if thing.fields["email"][0] == "a"]
    world.systems["plain"].edit(person.ref, {"phone": NEWS})
    assert words(audited(world)) == {("unlike", "candidate", "phone"): 1}
    before = writes_of(world)
    told = audited(world, repair=True)
    assert told["repaired"] == {"unlike": 1}
    assert writes_of(world) == before  # the engine does it afterwards
    world.live(20.0, engine)  # before any poll is due
    assert NEWS in phones_of(world, "rows")
    assert audited(world)["findings"] == []


def test_drift_at_the_target_of_a_one_way_pair_is_shown_and_overwritten_by_the_repair_alone(quick):
    one_way = dict.fromkeys((JOB, CANDIDATE, APPLICATION), frozenset({End.RIGHT}))
    world, engine = synced(quick, "rows", "plain", flows=one_way)
    thing = world.systems["plain"].of(CANDIDATE)[0]
    old = thing.fields["phone"]
    world.systems["plain"].edit(thing.ref, {"phone": NEWS})
    world.live(70.0, engine)
    assert thing.fields["phone"] == NEWS
    assert words(audited(world)) == {("drift", "candidate", "phone"): 1}
    audited(world, repair=True)
    world.live(20.0, engine)
    assert thing.fields["phone"] == old
    assert audited(world)["findings"] == []


def test_what_a_person_left_unlike_is_no_finding(quick):
    world, engine = synced(quick, "rows", "plain")
    _conflict(world)
    world.live(70.0, engine)
    assert (words(audited(world)), audited(world)["waived"]) == ({}, {"held": 1})
    (hold,) = world.select(schema.holds)
    world.do(resolve, hold.id, "drop")
    told = audited(world, repair=True)
    assert (told["findings"], told["waived"]) == ([], {"let_be": 1})


def _conflict(world):
    hub, spoke = world.systems["rows"], world.systems["plain"]
    row = next(thing for thing in hub.of(APPLICATION) if thing.fields["email"] == "ann@example.com")
    person = next(thing for thing in spoke.of(CANDIDATE) if thing.fields["email"] == "ann@example.com")
    hub.edit(row.ref, {"phone": NEWS})
    spoke.edit(person.ref, {"phone": "+12025550166"})


def test_who_vanished_is_found_and_after_the_repair_held(quick):
    world, engine = synced(quick, "rows", "plain")
    gone = world.systems["plain"].of(APPLICATION)[0]
    world.systems["plain"].remove(gone.ref)
    assert words(audited(world)) == {("vanished", "application", ""): 1}
    audited(world, repair=True)
    world.live(20.0, engine)
    assert world.reasons() == ["vanished"]
    assert audited(world)["findings"] == []
    assert counts(world, "rows") == {"job": 1, "candidate": 0, "application": 2}


def test_a_pair_alone_is_audited_and_a_stopped_list_is_told(quick):
    world, _ = synced(quick, "rows", "plain", "newborn")
    assert audited(world, "rows-plain")["pairs"] == ["rows-plain"]
    by_hand(world, sa.insert(schema.switches).values(scope="connection/newborn", reason="person", at=0.0))
    told = audited(world)
    assert told["unread"] == ["newborn jobs", "newborn people"]
    assert not audit_text.is_good(told)


# --- rows edited by hand --------------------------------------------------------------------------------------------


def _orphan(world):
    link = link_of(world, CANDIDATE)
    by_hand(world, sa.update(schema.links).where(LINKS.id == link.id).values(right="nobody"))


def _orphan_of_nothing(world):
    row = {"pair": "rows-plain", "kind": "candidate", "left": "no1", "right": "no2", "left_base": {}, "right_base": {},
           "how": "hand", "made_at": 0.0}  # fmt: skip
    by_hand(world, sa.insert(schema.links).values(row))


def _null_base(world):
    link = link_of(world, APPLICATION)
    by_hand(world, sa.update(schema.links).where(LINKS.id == link.id).values(left_base=sa.JSON.NULL))


def _no_base(world):
    link = link_of(world, APPLICATION)
    by_hand(world, sa.update(schema.links).where(LINKS.id == link.id).values(left_base={}, right_base={}))


def _half_link(world):
    link = link_of(world, APPLICATION)
    by_hand(world, sa.update(schema.links).where(LINKS.id == link.id).values(right=None))


def _no_parent(world):
    link = link_of(world, CANDIDATE)
    by_hand(world, sa.delete(schema.links).where(LINKS.id == link.id))


def _intent(world, **more):
    person = world.systems["plain"].of(CANDIDATE)[0].ref.id
    row = {"id": "f" * 32, "connection": "plain", "kind": "candidate", "ref": person, "call": "patch", "state": "open",
           "link": None, "wants": {"9999": {"phone": ["x", "x"]}}, "sealed": seal({"phone": NEWS}, "f" * 32),
           "source": "rows", "told_at": world.clock.now(), "priority": 1, "made_at": 0.0, "due": 0.0}  # fmt: skip
    by_hand(world, sa.insert(schema.intents).values({**row, **more}))


def _odd_state(world):
    link = link_of(world, CANDIDATE)
    _intent(world, state="whatever", ref=link.right, wants={str(link.id): {"phone": ["x", "x"]}})


def _finished(world):
    _intent(world, state="done")


def _unseen(world):
    link = link_of(world, CANDIDATE)
    _intent(world, state="held", ref=link.right, wants={str(link.id): {"phone": ["x", "x"]}}, reason="rejected")


def _cursor(world, walk, **more):
    row = {"connection": "rows", "walk": walk, "mode": "idle", "walk_no": 1, "pages": 0, "last_pages": 0,
           "poll_due": 0.0, "sweep_due": 0.0}  # fmt: skip
    by_hand(world, sa.insert(schema.cursors).values({**row, **more}))


def _foreign_cursor(world):
    _cursor(world, "people", cursor=world.clock.now())


def _cursor_ahead(world):
    table = schema.cursors.c
    ahead = world.clock.now() + 1e6
    this = (table.connection == "rows", table.walk == "rows")
    by_hand(world, sa.update(schema.cursors).where(*this).values(cursor=ahead, poll_due=1e12, sweep_due=1e12))


def _marks(world):
    rows = [
        {"connection": "plain", "kind": "nothing", "ref": "1", "why": "hand", "priority": 2, "due": 0.0, "tries": 0},
        {"connection": "plain", "kind": "screening", "ref": "1", "why": "hand", "priority": 2, "due": 0.0, "tries": 0},
        {"connection": "nowhere", "kind": "job", "ref": "1", "why": "hand", "priority": 2, "due": 0.0, "tries": 0},
        {"connection": "plain", "kind": "job", "ref": "no9", "why": "hand", "priority": 2, "due": 0.0, "tries": 0},
    ]
    by_hand(world, sa.insert(schema.marks).values(rows))


def _lone_hold(world):
    row = {"pair": "rows-plain", "connection": "plain", "kind": "candidate", "ref": "1", "link": 9999, "field": "phone",
           "reason": "conflict", "detail": "", "opened_at": 0.0}  # fmt: skip
    by_hand(world, sa.insert(schema.holds).values(row))


def _lost_person(world):
    link = link_of(world, CANDIDATE)
    table = schema.records.c
    by_hand(world, sa.delete(schema.records).where(table.connection == "rows", table.kind == "candidate",
                                                   table.id == link.left))  # fmt: skip


def _erased(world):
    world.world = replace(world.world, tombstone=world.world.digest)
    person = link_of(world, CANDIDATE).right
    stone = {"digest": world.world.tombstone("record", f"plain/candidate/{person}"), "grave": "g1",
             "what": "candidate", "at": 0.0}  # fmt: skip
    by_hand(world, sa.insert(schema.tombstones).values(stone))


def lost_all_told(world):
    by_hand(world, sa.update(schema.records).values(seen=sa.JSON.NULL))


HANDS = {
    _orphan: {"orphan_link"},
    _orphan_of_nothing: {"orphan_link"},
    _null_base: {"no_base"},
    _no_base: {"no_base"},
    _half_link: {"lone_link"},
    _no_parent: {"lone_child", "unlinked"},
    _intent: {"lone_intent"},
    _odd_state: {"odd_intent"},
    _finished: {"unwiped"},
    _unseen: {"unseen_hold"},
    _foreign_cursor: {"foreign_cursor"},
    _cursor_ahead: {"impossible_cursor"},
    _marks: {"foreign_mark"},
    _lone_hold: {"lone_hold"},
    _lost_person: {"orphan_link", "lone_member"},
}
named = {"ids": lambda hand: hand.__name__.strip("_")}


_STOOD = []


@pytest.fixture
def stood(quick):
    """A world in step, made once and put back: an audit writes nothing to its systems."""
    if not _STOOD:
        world, _ = synced(quick, "rows", "plain")
        _STOOD.extend([world, {table: world.select(table) for table in schema.metadata.sorted_tables}])
    world, rows = _STOOD
    world.store.run_now(_paste, rows)
    return world


@pytest.mark.parametrize("hand", HANDS, **named)
def test_a_row_edited_by_hand_is_found_and_mended_once(stood, hand):
    hand(stood)
    told = audited(stood, repair=True)
    assert {each["what"] for each in told["findings"]} == HANDS[hand]
    assert set(told["repaired"]) == HANDS[hand]
    left = {each["what"] for each in audited(stood)["findings"]}
    assert left <= {"no_base", "unlinked", "lone_child", "lone_member", "orphan_link"}  # until they are read again


def test_whoever_was_erased_and_is_known_again_is_erased_again(stood):
    _erased(stood)
    told = audited(stood, repair=True)
    assert words(told)["erased_known", "candidate", ""] == 1
    assert len(stood.links(CANDIDATE)) == 1
    assert "erased_known" not in {each["what"] for each in audited(stood)["findings"]}


def test_the_engine_goes_on_though_many_rows_were_edited_by_hand(small):
    world, engine = synced(small, "rows", "plain")
    for hand in (_orphan_of_nothing, _null_base, _intent, _foreign_cursor, _cursor_ahead, _marks, _lone_hold):
        hand(world)
    bob = next(thing for thing in world.systems["rows"].of(APPLICATION) if thing.fields["email"] == "bob@example.com")
    world.systems["rows"].edit(bob.ref, {"stage": "Deal"})
    audited(world, repair=True)
    world.live(70.0, engine)
    assert "Deal" in stage_of(world, "plain")
    assert audited(world)["findings"] == []


def test_what_was_found_is_named_by_ids_and_fields_and_told_in_sentences(quick, capsys):
    world, _ = synced(quick, "rows", "plain")
    (person, _) = world.systems["plain"].of(CANDIDATE)
    world.systems["plain"].edit(person.ref, {"phone": NEWS})
    told = audited(world)
    audit_text.audit(console_on(sys.stdout, {}), told)
    text = capsys.readouterr().out
    assert f"plain {person.ref.id}" in text
    assert "unlike: rows-plain candidate phone" in text
    assert NEWS not in text + as_json(told)
