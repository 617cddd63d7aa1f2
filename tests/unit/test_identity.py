"""A name of the config that comes to mean something else: another account, or a pair of others."""

from dataclasses import replace

import pytest

from syncd import decide, schema
from syncd.app import _account_of
from syncd.connector import Plugin
from syncd.decide import Refused
from syncd.errors import ConfigInvalid
from syncd.identity import refuse_other_ends
from syncd.settings import Connection as Settings
from tests.unit.small_world import APPLICATION, JOB

OLD, NEW = "plain at https://acme.example", "plain at https://umbrella.example"


def as_account(world, account):
    """The config names this address from now on."""
    plain = replace(world.world.connections["plain"], account=account)
    (pair,) = world.world.pairs
    world.world = replace(
        world.world, connections={**world.world.connections, "plain": plain}, pairs=(replace(pair, right=plain),)
    )


@pytest.fixture
def moved(quick):
    """Two systems in step, one of which has another address now; somebody has applied since."""
    world = quick("rows", "plain")
    as_account(world, OLD)
    world.job = world.systems["rows"].add(JOB, {"title": "Baker", "code": "B", "status": "open"})
    world.live(400.0, learn=True)
    as_account(world, NEW)
    fields = {"name": "Ann", "email": "ann@example.com", "phone": None, "stage": "New"}
    world.systems["rows"].add(APPLICATION, fields, parents={JOB: world.job})
    world.live(400.0)
    return world


def made(world):
    return len(world.systems["plain"].of(APPLICATION))


def test_another_account_under_an_old_name_is_stopped_and_nothing_goes_there(moved):
    (switch,) = moved.select(schema.switches)
    assert (switch.scope, switch.reason) == ("connection/plain", f"account: the address was {OLD}, and is {NEW}")
    assert made(moved) == 0


def test_only_a_person_says_that_it_is_the_same_account(moved):
    with pytest.raises(Refused, match="syncd resume plain --same-account"):
        moved.do(decide.resume, "plain")
    moved.do(decide.resume, "plain", same_account=True)
    moved.live(400.0)
    assert made(moved) == 1
    assert moved.select(schema.switches) == []


def test_an_address_where_nothing_was_ever_read_is_mended_without_a_word(quick):
    world = quick("rows", "plain")
    as_account(world, OLD)
    world.live(10.0)
    as_account(world, NEW)
    world.live(400.0, learn=True)
    assert world.select(schema.switches) == []


def test_with_the_old_address_back_it_goes_on_by_itself(moved):
    as_account(moved, OLD)
    moved.live(400.0)
    assert made(moved) == 1


def test_a_pair_that_joins_others_than_before_is_refused(quick):
    world = quick("rows", "plain")
    world.live(10.0, learn=True)
    (pair,) = world.world.pairs
    with world.store.engine.connect() as connection:
        refuse_other_ends(connection, world.world)
        turned = replace(world.world, pairs=(replace(pair, left=pair.right, right=pair.left),))
        with pytest.raises(ConfigInvalid, match=r"pairs\.rows-plain: joined rows \(left\) and plain \(right\) so far"):
            refuse_other_ends(connection, turned)


@pytest.mark.parametrize(
    ("base_url", "known"),
    [
        (None, "sound at https://api.sound.example"),
        ("https://acme.example/", "sound at https://acme.example"),
        ("https://ACME.example:8443/hiring?x=1", "sound at https://acme.example:8443/hiring"),
        ("https://somebody:secret@acme.example", "sound at https://acme.example"),
    ],
)
def test_an_account_is_known_by_its_address_and_by_nothing_secret(base_url, known):
    plugin = Plugin(facts=None, connect=None, base_url="https://api.sound.example")
    settings = Settings.model_validate({"system": "sound", "token": "x", "base_url": base_url})
    assert _account_of(settings, plugin) == known
