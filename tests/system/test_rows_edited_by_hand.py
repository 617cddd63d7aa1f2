"""Each row that a hand may have edited: the engine goes on without an audit, and after a repair all is in step."""

import pytest

from syncd import schema
from syncd.store import open_engine
from tests.unit.small_world import APPLICATION, worlds_on
from tests.unit.test_audit import HANDS, NEWS, SWEPT_S, audited, lost_all_told, named, synced
from tests.unit.test_cycle import counts, phones_of, stage_of


@pytest.fixture(scope="module")
def memory():
    engine = open_engine("sqlite:///:memory:")
    schema.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def quick(memory):
    return worlds_on(memory)


ONE_EACH = {"job": 1, "candidate": 2, "application": 2}


@pytest.mark.parametrize("hand", HANDS, **named)
def test_a_row_edited_by_hand_is_mended(quick, hand):
    world, engine = synced(quick, "rows", "plain")
    hand(world)
    audited(world, repair=True)
    world.live(SWEPT_S, engine)
    assert audited(world)["findings"] == []
    assert counts(world, "plain") == ONE_EACH
    assert stage_of(world, "rows") == stage_of(world, "plain")
    assert phones_of(world, "rows") == phones_of(world, "plain")


@pytest.mark.parametrize("hand", [*HANDS, lost_all_told], **named)
def test_the_engine_goes_on_whatever_a_hand_has_done(quick, hand):
    world, engine = synced(quick, "rows", "plain")
    hand(world)
    bob = next(thing for thing in world.systems["rows"].of(APPLICATION) if thing.fields["email"] == "bob@example.com")
    world.systems["rows"].edit(bob.ref, {"stage": "Deal", "phone": NEWS})
    world.live(SWEPT_S, engine)  # it raises what a lane died of
    assert "Deal" in stage_of(world, "plain")
    assert NEWS in phones_of(world, "plain")
    assert counts(world, "plain") == ONE_EACH
