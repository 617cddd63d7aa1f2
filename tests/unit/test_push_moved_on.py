"""A stage that is moved on between a write's claim and its sending goes out as it stands then, or not yet.

Found over real sockets: a person was moved twice at a spoke, the hub got the word of the first move with the base of
the second, and the two ends stayed unlike for good, both settled.
"""

import pytest

from syncd import push
from tests.unit.small_world import application, job, person, row

HUB = (job("h1"), *row("1", "h1"))
SPOKE = (job("p1"), person("q1"), application("a1", "p1", "q1"))


@pytest.fixture
def world(small):
    """One person on one job, in step; the spoke moves her to Screen and, after the write's claim, to Talk."""
    world = small("rows", "plain")
    world.known(rows=HUB, plain=SPOKE)
    world.later(100.0)
    world.told("plain", application("a1", "p1", "q1", "Screen"))
    return world


def sent(world, claimed, word):
    answer = row("1", "h1")
    return world.do(push.send_update, claimed.id, answer, word, asked_at=world.clock.now(), stage=claimed.stage)


def test_a_word_that_was_found_for_an_earlier_move_is_not_sent(world):
    claimed = world.claim(world.intent("rows"))
    world.told("plain", application("a1", "p1", "q1", "Talk"))
    assert sent(world, claimed, "Screen") is None
    again = world.claim(world.intent("rows", state="open"))
    assert again.stage != claimed.stage
    assert sent(world, again, "Talk").fields == {"stage": "Talk"}


def test_a_word_that_is_still_wanted_is_sent(world):
    claimed = world.claim(world.intent("rows"))
    assert sent(world, claimed, "Screen").fields == {"stage": "Screen"}
