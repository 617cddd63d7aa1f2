"""What is configured, as the engine asks about it."""

import pytest

from connectors.memory import FACTS, MAPPING
from syncd.mapping import build
from syncd.model import Kind
from syncd.reconcile import End
from syncd.setup import Connection, Pair, World, stamp_of

JOB, CANDIDATE, APPLICATION = Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION
LEFT, RIGHT = End.LEFT, End.RIGHT
HUB, PLAIN, NEWBORN = (Connection(name, FACTS[name], build(MAPPING, {}, name)) for name in ("rows", "plain", "newborn"))
FLOWS = {JOB: frozenset({RIGHT}), CANDIDATE: frozenset(End), APPLICATION: frozenset()}
PAIR = Pair("one", HUB, PLAIN, FLOWS)


def world(*pairs):
    made = {connection.name: connection for connection in (HUB, PLAIN, NEWBORN)}
    return World(made, pairs, lambda name, text: text, lambda fields, about: b"", lambda sealed, about: {})


def test_a_pair_knows_its_ends():
    assert (PAIR.at(LEFT), PAIR.at(RIGHT)) == (HUB, PLAIN)
    assert (PAIR.end_of("rows"), PAIR.end_of("plain")) == (LEFT, RIGHT)
    assert LEFT.other is RIGHT
    assert RIGHT.other is LEFT


def test_a_kind_that_flows_nowhere_is_not_kept_in_step():
    assert [kind for kind in Kind if PAIR.syncs(kind)] == [JOB, CANDIDATE]
    assert set(PAIR.fields) == {JOB, CANDIDATE}


def test_only_fields_that_both_tell_are_compared():
    assert PAIR.fields[JOB] == {"title", "code", "status"}
    assert PAIR.fields[CANDIDATE] == {"name", "email", "phone"}


def test_a_kind_that_one_system_does_not_know_has_no_fields():
    assert Pair("one", HUB, PLAIN, {Kind.SCREENING: frozenset({LEFT})}).fields[Kind.SCREENING] == frozenset()


@pytest.mark.parametrize(
    ("kind", "end", "name", "writable"),
    [
        (JOB, RIGHT, "title", True),
        (JOB, LEFT, "title", False),
        (CANDIDATE, LEFT, "phone", True),
        (CANDIDATE, RIGHT, "headline", False),
        (APPLICATION, RIGHT, "stage", False),
    ],
    ids=["carried and taken", "not carried that way", "two ways", "the system takes no such field", "off"],
)
def test_a_field_is_written_where_the_pair_carries_it_and_the_system_takes_it(kind, end, name, writable):
    assert PAIR.writable(kind, end, name) is writable


def test_a_system_that_takes_no_write_is_never_written_to():
    both = Pair("one", HUB, PLAIN, {JOB: frozenset(End)})
    assert not both.writable(JOB, LEFT, "title")


def test_only_where_rows_are_kept_is_a_person_a_set_of_rows():
    assert HUB.is_rows(CANDIDATE)
    assert not HUB.is_rows(APPLICATION)
    assert not PLAIN.is_rows(CANDIDATE)


def test_the_walk_that_tells_a_kind():
    assert HUB.walk_of(APPLICATION).name == "rows"
    assert PLAIN.walk_of(APPLICATION).name == "applications"
    assert PLAIN.walk_of(Kind.SCREENING) is None


def test_only_walks_that_some_pair_needs_are_walked():
    assert [walk.name for walk in world(PAIR).walks_of("plain")] == ["jobs", "candidates"]
    assert world(PAIR).walks_of("newborn") == ()


def test_a_connection_is_walked_once_though_it_stands_in_two_pairs():
    both = world(PAIR, Pair("two", HUB, NEWBORN, {JOB: frozenset({RIGHT})}))
    assert [walk.name for walk in both.walks_of("rows")] == ["jobs", "rows"]
    assert [pair.name for pair in both.pairs_of("rows", JOB)] == ["one", "two"]
    assert [pair.name for pair in both.pairs_of("newborn", JOB)] == ["two"]
    assert [pair.name for pair in both.pairs_of("rows", APPLICATION)] == []


def test_a_pair_is_found_by_its_name():
    assert world(PAIR).pair("one") is PAIR
    with pytest.raises(LookupError, match="no pair two"):
        world(PAIR).pair("two")


def test_a_stamp_tells_configurations_apart():
    assert stamp_of("a", 1) == stamp_of("a", 1)
    assert len({stamp_of("a", 1), stamp_of("a", 2), stamp_of("a1")}) == 3
