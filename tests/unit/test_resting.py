"""A pair that is taken out of the config, or left out of a run: what it wanted is no burden, and comes back with it."""

from dataclasses import replace

import pytest

from syncd import schema, switches
from syncd.agenda import left_to_do
from syncd.backfill import Scope, narrowed
from syncd.model import Ref
from syncd.reconcile import End
from tests.unit.papers_world import PDF
from tests.unit.small_world import APPLICATION, CANDIDATE, JOB, TO_RIGHT
from tests.unit.test_errands import Town


class Trio:
    """A hub and two spokes in step, and a change at the hub that the second spoke cannot take now."""

    def __init__(self, make, fault):
        self.world = make("rows", "plain", "other=plain")
        self.hub, self.other = self.world.systems["rows"], self.world.systems["other"]
        job = self.hub.add(JOB, {"title": "Baker", "code": "B", "status": "open"})
        fields = {"name": "Ann", "email": "ann@example.com", "phone": None, "stage": "New"}
        self.row = Ref(APPLICATION, self.hub.add(APPLICATION, fields, parents={JOB: job}))
        self.world.live(400.0, learn=True)
        self.whole = self.world.world
        self.other.fault = self._goes_wrong
        self._fault = fault
        self.hub.edit(self.row, {"stage": "Talk"})
        self.world.live(100.0)
        self.other.fault = lambda method, what: None

    def _goes_wrong(self, method, what):
        """What was sent cannot be looked up either."""
        is_out = any(intent.state != "open" for intent in self.world.intents("other"))
        return self._fault if method != "GET" else "refused" if is_out else None

    def without(self):
        """Go on without the second pair."""
        self.world.world = replace(self.whole, pairs=self.whole.pairs[:1], stamp="without")
        self.world.live(400.0)

    def with_all(self):
        self.world.world = self.whole
        self.world.live(900.0)

    def left(self):
        return self.world.store.run_now(left_to_do)

    @property
    def stage(self):
        (thing,) = self.other.of(APPLICATION)
        return thing.fields["stage"]


@pytest.fixture
def trio(quick):
    return lambda fault: Trio(quick, fault)


@pytest.mark.parametrize("fault", ["refused", "lost_before", "lost_after"])
def test_what_a_pair_wanted_rests_without_it_and_is_done_when_it_is_back(trio, fault):
    trio = trio(fault)
    assert trio.world.intents("other")
    trio.without()
    assert trio.left() == 0
    assert not trio.world.intents("other", state="open")
    trio.with_all()
    assert trio.stage == "Talk"
    assert trio.world.intents() == []
    assert sum(entry.after.get("stage") == "Talk" for entry in trio.world.writes("other")) == 1


def test_what_waits_for_a_connection_that_is_gone_keeps_no_run_waiting(trio):
    trio = trio("refused")
    gone = {"connection": "gone", "walk": "jobs", "mode": "sweep"}
    mark = {"connection": "gone", "kind": "job", "ref": "1", "why": "x", "priority": 1, "due": 0.0}
    with trio.world.store.engine.begin() as connection:
        connection.execute(schema.cursors.insert().values(gone))
        connection.execute(schema.marks.insert().values(mark))
    trio.without()
    assert trio.left() == 0


def test_a_resume_that_waited_is_sent_when_its_pair_is_back(quick):
    town = Town(quick, resumes=TO_RIGHT)
    town.spoke.fault = lambda method, what: "refused" if what == "attach" else None
    town.apply(resume=PDF)
    town.begin()
    whole, town.spoke.fault = town.world.world, lambda method, what: None
    town.world.world, town.engine = replace(whole, pairs=(), stamp="without"), None
    town.run(10.0)
    assert (town.world.intents(), town.desk.attached) == ([], [])
    town.world.world, town.engine = whole, None
    town.run(900.0)
    assert len(town.desk.attached) == 1


NARROWER = {
    "off": {"flows": {JOB: TO_RIGHT}},
    "turned": {"flows": {JOB: TO_RIGHT, CANDIDATE: frozenset({End.LEFT}), APPLICATION: frozenset({End.LEFT})}},
    "another job": {"only": {"job": ("another",)}},
}


class Duo:
    """A hub and a spoke in step, and a person who applied at the hub while the pair was stopped."""

    def __init__(self, make, **settings):
        self.world = make("rows", "plain", **settings)
        hub, self.spoke = self.world.systems["rows"], self.world.systems["plain"]
        job = hub.add(JOB, {"title": "Baker", "code": "B", "status": "open"})
        self.world.live(400.0, learn=True)
        self.whole = self.world.world
        fields = {"name": "Ann", "email": "ann@example.com", "phone": None, "stage": "New"}
        hub.add(APPLICATION, fields, parents={JOB: job})
        self.stop()

    def stop(self):
        self.world.store.run_now(switches.stop, "pair/rows-plain", "paused", self.world.clock.now())

    def go_on(self):
        self.world.store.run_now(switches.start, "pair/rows-plain")

    def with_pair(self, **changes):
        (pair,) = self.whole.pairs
        self.world.world = replace(self.whole, pairs=(replace(pair, **changes),), stamp="narrower")

    @property
    def made(self):
        return [*self.spoke.of(CANDIDATE), *self.spoke.of(APPLICATION)]


@pytest.mark.parametrize("changes", NARROWER.values(), ids=NARROWER)
def test_what_waits_to_be_created_is_not_when_the_pair_carries_less_and_is_when_it_carries_it_again(quick, changes):
    duo = Duo(quick)
    duo.world.live(300.0)
    assert duo.world.intents("plain", state="open")
    duo.with_pair(**changes)
    duo.go_on()
    duo.world.live(900.0)
    assert (duo.made, duo.world.intents()) == ([], [])
    duo.world.world = duo.whole
    duo.world.live(900.0)
    assert len(duo.made) == 2


def test_a_create_whose_answer_was_lost_is_looked_up_though_its_kind_is_off_now(quick):
    duo = Duo(quick)
    duo.go_on()
    duo.spoke.fault = lambda method, what: "lost_after" if method != "GET" else "refused" if duo.made else None
    duo.world.live(300.0)
    assert [intent.call for intent in duo.world.intents("plain")] == ["create"]
    duo.spoke.fault = lambda method, what: None
    duo.with_pair(**NARROWER["off"])
    duo.world.live(900.0)
    assert (len(duo.made), duo.world.intents()) == (1, [])
    assert duo.world.link(CANDIDATE).right is not None


def test_a_run_narrowed_to_people_asks_the_scope_of_their_applications(quick):
    duo = Duo(quick, only={"job": ("another",)})
    duo.go_on()
    duo.world.world = narrowed(duo.whole, Scope(kinds=(CANDIDATE,)))
    duo.world.live(900.0)
    assert duo.made == []


@pytest.fixture
def siblings(quick):
    """A person of two rows, of which one was changed; the other cannot be written now."""
    world = quick("rows", "plain")
    hub = world.systems["rows"]
    for code in ("B", "C"):
        job = hub.add(JOB, {"title": f"Job {code}", "code": code, "status": "open"})
        fields = {"name": "Ann", "email": "ann@example.com", "phone": "+12025550100", "stage": "New"}
        row = hub.add(APPLICATION, fields, parents={JOB: job})
    world.live(400.0, learn=True)
    hub.fault = lambda method, what: "refused" if method != "GET" else None
    hub.edit(Ref(APPLICATION, row), {"phone": "+12025550199"})
    world.live(100.0)
    hub.fault = lambda method, what: None
    assert [list(intent.wants) for intent in world.intents("rows")] == [["rows"]]
    return world


def test_what_a_connection_wants_of_its_own_rows_rests_without_it_and_is_done_when_it_is_back(siblings):
    whole = siblings.world
    only_plain = {"plain": whole.connections["plain"]}
    siblings.world = replace(whole, connections=only_plain, pairs=(), stamp="without")
    rows = siblings.connectors.pop("rows")
    siblings.live(100.0)
    assert siblings.store.run_now(left_to_do) == 0
    siblings.world, siblings.connectors["rows"] = whole, rows
    siblings.live(900.0)
    assert siblings.intents() == []
    assert {thing.fields["phone"] for thing in siblings.systems["rows"].of(APPLICATION)} == {"+12025550199"}


def test_what_waits_to_be_created_under_the_old_name_of_a_connection_is_made_once_under_the_new_one(quick):
    duo = Duo(quick)
    duo.world.live(300.0)
    (pair,) = duo.whole.pairs
    new = replace(pair.right, name="new")
    connections = {"rows": pair.left, "new": new}
    duo.world.world = replace(duo.whole, connections=connections, pairs=(replace(pair, right=new),), stamp="renamed")
    duo.world.connectors["new"], duo.world.systems["new"] = duo.world.connectors.pop("plain"), duo.spoke
    duo.go_on()
    duo.world.live(3000.0, learn=True)
    assert (len(duo.made), duo.world.store.run_now(left_to_do)) == (2, 0)
