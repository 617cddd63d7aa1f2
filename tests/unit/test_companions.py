"""What a call takes along and never tells back: a start date goes with the move that hires somebody, never alone."""

from dataclasses import replace

import pytest

from connectors.memory import FACTS
from syncd.model import Kind, Ref
from tests.unit.small_world import APPLICATION, BOTH, JOB, TO_RIGHT

FLOWS = {JOB: TO_RIGHT, Kind.CANDIDATE: BOTH, APPLICATION: BOTH}
WORDS = {"fields": {"application": {"start_date": "begin"}}}


@pytest.fixture
def office(quick):
    """A hub that tells when somebody begins, and a spoke that takes it with a move: (world, the hub's row)."""
    hub, spoke = FACTS["rows"], FACTS["plain"]
    tells = replace(hub.kinds[APPLICATION], lists=hub.kinds[APPLICATION].lists | {"begin"})
    takes = spoke.kinds[APPLICATION]
    takes = replace(takes, writes={**takes.writes, "begin": "move"}, untold=frozenset({"begin"}))
    facts = {
        "rows": replace(hub, kinds={**hub.kinds, APPLICATION: tells}),
        "plain": replace(spoke, kinds={**spoke.kinds, APPLICATION: takes}),
    }
    world = quick(facts=facts, words=dict.fromkeys(facts, WORDS), flows=FLOWS)
    system = world.systems["rows"]
    job = system.add(JOB, {"title": "Baker", "code": "B1", "status": "open"})
    fields = {"name": "Ann", "email": "ann@example.com", "phone": None, "stage": "New", "begin": None}
    row = Ref(APPLICATION, system.add(APPLICATION, fields, parents={JOB: job}))
    world.live(400.0, learn=True)
    return world, row


def written(world):
    return [dict(entry.after) for entry in world.writes("plain") if entry.action == "update"]


def test_it_goes_along_with_the_move(office):
    world, row = office
    world.systems["rows"].edit(row, {"stage": "In", "begin": "2026-06-01"})
    world.live(400.0)
    assert written(world) == [{"stage": "In", "begin": "2026-06-01"}]
    assert world.intents() == []


def test_alone_it_is_no_reason_to_write(office):
    world, row = office
    world.systems["rows"].edit(row, {"begin": "2026-06-01"})
    world.live(400.0)
    assert written(world) == []
    assert world.intents() == []


@pytest.mark.parametrize("fault", ["lost_before", "error_before", "lost_after", "refused"])
def test_it_goes_along_once_more_if_the_move_did_not_happen(office, fault):
    world, row = office
    faults = iter([fault])
    world.systems["plain"].fault = lambda method, what: next(faults, None) if method == "PATCH" else None
    world.systems["rows"].edit(row, {"stage": "In", "begin": "2026-06-01"})
    world.live(400.0)
    assert written(world) == [{"stage": "In", "begin": "2026-06-01"}]
    assert world.intents() == []
