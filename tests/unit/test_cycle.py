"""What happens and in which order: lanes, walks, guards and stops, with the real engine in virtual time."""

import asyncio
import itertools
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from connectors.memory import FACTS, MemorySystem
from syncd import decide, push, schema, switches
from syncd.agenda import agenda_of, left_to_do
from syncd.clock import run_stepped
from syncd.errors import AuthFailed, Gone, NotSent, OutcomeUnknown, Parked, Rejected, Unavailable
from syncd.limits import Priority
from syncd.model import Kind, Ref
from syncd.plan import Emptied, Guard
from syncd.work import mark
from tests.unit.small_world import APPLICATION, CANDIDATE, JOB, application, at_home, job, person, row

OLD, NEW = "+12025550100", "+12025550199"
HUB = (job("h1"), *row("1", "h1"))
SPOKE = (job("p1"), person("q1"), application("a1", "p1", "q1"))
HOUR = 3600.0
FIRST_S = 30.0  # a first look and what it wants to be written, in virtual time


def ann(world, where="rows", stage="New", title="Baker", name="Ann Lee", email="ann@example.com"):
    """One person on one job, put into a system by people."""
    system = world.systems[where]
    jobs = [thing.ref.id for thing in system.of(JOB) if thing.fields["title"] == title]
    job_id = jobs[0] if jobs else system.add(JOB, {"title": title, "code": None, "status": "open"})
    fields = {"name": name, "email": email, "phone": OLD}
    if system.facts.rows:
        return system.add(APPLICATION, {**fields, "stage": stage}, parents={JOB: job_id})
    person_id = system.add(CANDIDATE, fields)
    return system.add(APPLICATION, {"stage": stage}, parents={JOB: job_id, CANDIDATE: person_id})


def stage_of(world, where):
    return {thing.fields["stage"] for thing in world.systems[where].of(APPLICATION)}


def phones_of(world, where):
    kind = APPLICATION if world.systems[where].facts.rows else CANDIDATE
    return {thing.fields["phone"] for thing in world.systems[where].of(kind)}


def counts(world, where):
    return {kind.value: len(world.systems[where].of(kind)) for kind in (JOB, CANDIDATE, APPLICATION)}


def play(world, coroutine, seconds=24 * HOUR):
    """Run something in virtual time; it must end within so many seconds of it."""

    async def main():
        task = asyncio.ensure_future(coroutine)
        over = asyncio.ensure_future(world.clock.sleep_until(world.clock.now() + seconds))
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise AssertionError(f"still under way after {seconds} s")
        return task.result()

    return run_stepped(world.clock, main())


# --- the whole ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoke", ["plain", "newborn"])
def test_what_stands_in_the_hub_comes_to_the_spoke_once(small, spoke):
    world = small("rows", spoke)
    ann(world, stage="Talk")
    world.live(FIRST_S, learn=True)
    assert counts(world, spoke) == {"job": 1, "candidate": 1, "application": 1}
    assert stage_of(world, spoke) == {"Talk"}
    assert (world.intents(), world.holds()) == ([], set())


def test_what_is_in_step_stays_untouched(small):
    world = small("rows", "plain", sweep_s=200.0)
    ann(world)
    engine = world.live(FIRST_S, learn=True)
    before = {name: len(world.writes(name)) for name in world.systems}
    world.live(450.0, engine)
    assert {name: len(world.writes(name)) for name in world.systems} == before


def test_who_is_known_on_both_sides_is_linked_and_not_made_again(quick):
    world = quick("rows", "plain")
    ann(world)
    ann(world, "plain", email="Ann@Example.com")
    world.live(FIRST_S, learn=True)
    assert counts(world, "plain") == {"job": 1, "candidate": 1, "application": 1}
    assert world.writes("plain") == world.writes("rows") == []


def test_a_move_at_one_spoke_reaches_the_other_through_the_hub_by_polls_alone(quick):
    world = quick("rows", "plain", "newborn")
    ann(world)
    engine = world.live(FIRST_S, learn=True)
    (thing,) = world.systems["plain"].of(APPLICATION)
    world.systems["plain"].edit(thing.ref, {"stage": "Screen"})
    world.live(160.0, engine)
    assert [stage_of(world, name) for name in world.systems] == [{"Screen"}] * 3
    assert len([entry for name in world.systems for entry in world.writes(name) if entry.action == "update"]) == 2


def test_a_move_reaches_the_other_side_by_a_webhook_alone(small):
    """An event only says "look again": the mark is read, and the polls are far away."""
    world = small("rows", "plain", poll_s=HOUR, sweep_s=24 * HOUR)
    id_ = ann(world)
    engine = world.live(FIRST_S, learn=True)
    world.systems["rows"].edit(Ref(APPLICATION, id_), {"stage": "Screen"})
    world.do(mark, "rows", APPLICATION, id_, "webhook", Priority.READ)
    world.live(10.0, engine)
    assert stage_of(world, "plain") == {"Screen"}


def test_a_phone_corrected_on_one_row_reaches_the_other_rows_and_the_spoke(quick):
    world = quick("rows", "plain")
    ids = [ann(world), ann(world, title="Cook")]
    engine = world.live(FIRST_S, learn=True)
    world.systems["rows"].edit(Ref(APPLICATION, ids[1]), {"phone": NEW})
    world.live(90.0, engine)
    assert (phones_of(world, "rows"), phones_of(world, "plain")) == ({NEW}, {NEW})
    world.systems["rows"].touch(Ref(APPLICATION, ids[0]))
    world.live(90.0, engine)
    assert (phones_of(world, "rows"), phones_of(world, "plain")) == ({NEW}, {NEW})


def test_a_phone_from_the_spoke_reaches_every_row(small):
    world = small("rows", "plain")
    ann(world)
    ann(world, title="Cook")
    engine = world.live(FIRST_S, learn=True)
    (thing,) = world.systems["plain"].of(CANDIDATE)
    world.systems["plain"].edit(thing.ref, {"phone": NEW})
    world.live(90.0, engine)
    assert phones_of(world, "rows") == {NEW}


def test_a_correction_that_is_taken_back_before_it_was_written_stays_taken_back(quick):
    world = quick("rows", "plain", poll_s=20.0)
    ids = [ann(world), ann(world, title="Cook")]
    engine = world.live(FIRST_S, learn=True)
    ref = Ref(APPLICATION, ids[1])
    world.systems["rows"].edit(ref, {"phone": NEW})
    world.do(mark, "rows", CANDIDATE, ids[1], "webhook", Priority.READ)
    refused = itertools.count()
    world.systems["rows"].fault = lambda method, what: "refused" if method == "PATCH" and next(refused) < 3 else None
    world.live(1.0, engine)
    world.systems["rows"].edit(ref, {"phone": OLD})
    world.live(100.0, engine)
    assert phones_of(world, "rows") == {OLD}


@pytest.mark.parametrize("fault", MemorySystem.FAULTS)
@pytest.mark.parametrize("spoke", ["plain", "newborn"])
def test_one_is_made_whatever_becomes_of_the_answer(quick, spoke, fault):
    world = quick("rows", spoke)
    ann(world, stage="Talk")
    first = set()

    def fail(method, what):
        """Each kind of write fails once."""
        if method == "GET" or (method, what) in first:
            return None
        first.add((method, what))
        return fault

    world.systems[spoke].fault = fail
    world.live(100.0, learn=True)
    assert counts(world, spoke) == {"job": 1, "candidate": 1, "application": 1}
    assert stage_of(world, spoke) == {"Talk"}
    assert (world.intents(), world.reasons()) == ([], [])
    assert first


@pytest.mark.parametrize("fault", MemorySystem.FAULTS)
def test_a_move_is_made_whatever_becomes_of_the_answer(small, fault):
    world = small("rows", "plain")
    id_ = ann(world)
    engine = world.live(FIRST_S, learn=True)
    left = itertools.count()
    world.systems["plain"].fault = lambda method, what: fault if method == "PATCH" and next(left) < 1 else None
    world.systems["rows"].edit(Ref(APPLICATION, id_), {"stage": "Screen"})
    world.live(100.0, engine)
    assert stage_of(world, "plain") == {"Screen"}
    assert (world.intents(), world.reasons()) == ([], [])


def test_the_first_look_goes_on_after_a_lost_answer(quick):
    world = quick("rows", "plain")
    ann(world)
    lost = itertools.count()
    world.systems["plain"].fault = lambda method, what: "lost_before" if next(lost) < 3 else None
    engine = world.engine()
    play(world, engine.learn(), HOUR)
    assert play(world, engine.has_learnt())


def test_a_changed_configuration_is_learnt_anew(small):
    world = small("rows", "plain")
    engine = world.engine()
    play(world, engine.learn(), HOUR)
    engine.world = replace(world.world, stamp="another")
    assert not play(world, engine.has_learnt())


def test_a_one_shot_run_ends_when_nothing_is_left(small):
    world = small("rows", "plain")
    ann(world)
    engine = world.engine()
    play(world, engine.learn(), HOUR)
    at_home(engine)
    assert play(world, engine.run_until_quiet(), HOUR) is None
    assert counts(world, "plain") == {"job": 1, "candidate": 1, "application": 1}
    assert world.store.run_now(left_to_do) == 0


def test_a_one_shot_run_tells_when_a_closed_lane_opens_again(quick):
    """A day's quota is spent: the command ends with what is left and when to go on."""
    world = quick("rows", "plain")
    ann(world)
    engine = world.engine()
    play(world, engine.learn(), HOUR)
    at_home(engine)
    opens = world.clock.now() + 5 * HOUR
    engine.lanes["plain"].road.refuse = parked_until(opens)
    assert play(world, engine.run_until_quiet(longest_rest_s=600.0), 2 * HOUR) == opens
    assert world.store.run_now(left_to_do) > 0


def test_a_one_shot_run_ends_though_a_connection_was_stopped(small):
    world = small("rows", "plain")
    ann(world)
    engine = world.engine()
    play(world, engine.learn(), HOUR)
    world.store.run_now(switches.stop, "connection/plain", "auth", world.clock.now())
    at_home(engine)
    play(world, engine.run_until_quiet(longest_rest_s=600.0), 2 * HOUR)


def parked_until(until, *priorities):
    def refuse(priority):
        if not priorities or priority in priorities:
            raise Parked("spent", until=until)

    return refuse


# --- the order in a lane --------------------------------------------------------------------------------------------


class Recorder:
    """Stands before a connector and writes down what it is asked."""

    def __init__(self, connector):
        self.connector = connector
        self.facts = connector.facts
        self.calls = []

    def pull(self, walk, since):
        return self._pages(walk, since)

    async def _pages(self, walk, since):
        async for page in self.connector.pull(walk, since):
            self.calls.append(f"page of {walk.name}")
            yield page

    async def get(self, ref):
        self.calls.append(f"get {ref.id}")
        return await self.connector.get(ref)

    async def create(self, draft, key):
        self.calls.append(f"create {draft.kind}")
        return await self.connector.create(draft, key)

    async def update(self, record, fields):
        self.calls.append(f"update {record.ref.id}")
        return await self.connector.update(record, fields)

    async def find(self, draft, since):
        self.calls.append(f"find {draft.kind}")
        return await self.connector.find(draft, since)


@pytest.fixture
def busy(quick):
    """The spoke's lane has everything to do at once; (world, engine, what was asked of the spoke)."""
    world = quick("rows", "plain")
    for number in range(3):
        ann(world, name=f"P{number}", email=f"p{number}@example.com")
    engine = world.live(FIRST_S, learn=True)
    engine.scheduled = False
    things = {thing.ref.kind: thing.ref.id for thing in world.systems["plain"].things.values()}
    hub = world.systems["rows"].of(APPLICATION)[0].ref.id
    world.systems["rows"].edit(Ref(APPLICATION, hub), {"stage": "Screen", "phone": NEW})
    world.told("rows", *world.systems["rows"].told(world.systems["rows"].things[Ref(APPLICATION, hub)]))
    unknown = next(i for i in world.intents() if i.kind == "candidate")
    world.send(unknown, *world.systems["plain"].told(world.systems["plain"].things[Ref(CANDIDATE, unknown.ref)]))
    world.do(push.failed, unknown.id, OutcomeUnknown("lost"), 0.5)
    world.later(10.0)
    world.do(mark, "plain", CANDIDATE, things[CANDIDATE], "webhook", Priority.READ)
    world.do(mark, "plain", JOB, things[JOB], "details", Priority.BULK)
    world.begin("plain", "jobs")
    recorder = engine.lanes["plain"].connector = Recorder(world.connectors["plain"])
    return world, engine, recorder.calls


async def steps(engine, name, count):
    at_home(engine)
    return [await engine.step(engine.lanes[name]) for _ in range(count)]


def test_look_ups_come_first_then_writes_then_marks_then_lists_then_details(busy):
    world, engine, calls = busy
    marked, detail = (next(iter(r for c, r, why in world.marks() if why == w)) for w in ("webhook", "details"))
    unknown, open_ = (world.intent(state=state).ref for state in ("unknown", "open"))
    play(world, steps(engine, "plain", 5))
    assert calls == [
        f"get {unknown}", f"get {open_}", f"update {open_}", f"get {marked}", "page of jobs", f"get {detail}",
    ]  # fmt: skip


def test_bulk_work_gets_every_tenth_turn(quick):
    """A storm of webhooks must not keep the sweep away for ever."""
    world = quick("rows", "plain")
    world.known(rows=HUB, plain=SPOKE)
    for number in range(40):
        world.do(mark, "plain", CANDIDATE, f"x{number}", "webhook", Priority.READ)
    world.begin("plain", "jobs")
    world.begin("plain", "candidates")
    engine = world.engine()
    recorder = engine.lanes["plain"].connector = Recorder(world.connectors["plain"])
    play(world, steps(engine, "plain", 20))
    pages = [index for index, call in enumerate(recorder.calls) if call.startswith("page")]
    assert pages == [9, 19]


def test_a_look_up_does_not_wait_behind_forty_writes(quick):
    world = quick("rows", "plain")
    world.known(rows=(job("h1"),))
    create = world.intent()
    world.send(create)
    world.do(push.failed, create.id, OutcomeUnknown("lost"), 0.5)
    world.later(10.0)
    world.do(many_moves, 50)
    engine = world.engine()
    recorder = engine.lanes["plain"].connector = Recorder(world.connectors["plain"])
    play(world, steps(engine, "plain", 1))
    assert recorder.calls == ["find job"]


def many_moves(work, count):
    for number in range(count):
        work.sql.execute(schema.intents.insert().values(
            id=f"move{number}", connection="plain", kind="application", ref=f"a{number}", call="move", state="open",
            wants={}, told_at=work.tx.now, priority=0, made_at=work.tx.now, due=work.tx.now))  # fmt: skip


def test_lists_of_a_source_wait_while_its_targets_have_enough_before_them(small):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=SPOKE)
    world.do(many_moves, 5)
    world.begin("rows", "rows")
    engine = world.engine()
    engine.backlog = 5
    assert play(world, steps(engine, "rows", 1)) == [False]
    engine.backlog = 6
    assert play(world, steps(engine, "rows", 1)) == [True]


@pytest.mark.parametrize("name", ["plain", "newborn"])
def test_what_somebody_entered_while_its_create_waited_is_linked(quick, name):
    world = quick("rows", name)
    ann(world)
    engine = world.live(FIRST_S, learn=True)
    world.store.run_now(switches.stop, f"connection/{name}", "person", world.clock.now())
    ann(world, title="Cook", name="Bo", email="bo@example.com")
    world.live(HOUR / 4, engine)
    assert world.intents(name, call="create")
    ann(world, name, title="Cook", name="Bo", email="bo@example.com")
    entered = counts(world, name)
    world.store.run_now(switches.start, f"connection/{name}")
    world.live(600.0, engine)
    assert (counts(world, name), world.intents(), world.holds()) == (entered, [], set())


def test_creates_that_wait_for_lists_keep_no_list_waiting(quick):
    world = quick("rows", "spoke=rows")
    for name in world.systems:
        ann(world, name)
    engine = world.live(FIRST_S, learn=True)
    for name, other in (("rows", "Bo"), ("spoke", "Cy")):
        id_ = ann(world, name, name=other, email=f"{other}@example.com")
        system = world.systems[name]
        world.told(name, *system.told(system.things[Ref(APPLICATION, id_)]))
    assert {intent.connection for intent in world.intents(call="create")} == set(world.systems)
    world.later(HOUR)
    engine.backlog = 1
    world.live(600.0, engine)
    assert (counts(world, "rows")["application"], counts(world, "spoke")["application"]) == (3, 3)
    assert world.intents() == []


def test_a_run_that_reads_no_list_again_creates_all_the_same(small):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=SPOKE)
    world.told("rows", job("h2", "Cook"))
    world.later(24 * HOUR)
    world.told("rows", job("h2", "Cook"))
    engine = world.engine()
    play(world, engine.run_until_quiet())
    assert len(world.writes("plain")) == 1


def test_moves_go_before_other_writes_and_those_before_creates(small):
    world = small("rows", "plain")
    world.known(rows=HUB, plain=SPOKE)
    world.told("rows", job("h2", "Cook"), *row("1", "h1", "Screen", phone=NEW))
    agenda = world.store.run_now(agenda_of, "plain", world.clock.now(), [])
    by_id = {intent.id: intent for intent in world.intents()}
    assert [by_id[id_].call for id_ in agenda.opens] == ["move", "patch", "create"]


@pytest.mark.parametrize(
    ("exact", "slots"), [(True, 2), (False, 1)], ids=["looked up before it is made", "made without a look"]
)
def test_a_look_and_its_write_are_reserved_together(quick, exact, slots):
    """A wait between reading and writing is the window in which an edit gets lost."""
    kinds = FACTS["plain"].kinds
    facts = replace(FACTS["plain"], kinds={**kinds, JOB: replace(kinds[JOB], exact=exact)})
    world = quick("rows", "plain", facts={"plain": facts})
    world.known(rows=(job("h1"),))
    engine = world.engine()
    play(world, steps(engine, "plain", 1))
    assert engine.lanes["plain"].road.reservations == [slots]


def test_a_read_and_its_update_are_reserved_together(quick):
    world = quick("rows", "plain")
    id_ = ann(world)
    engine = world.live(FIRST_S, learn=True)
    engine.lanes["plain"].road.reservations.clear()
    world.systems["rows"].edit(Ref(APPLICATION, id_), {"stage": "Screen"})
    world.live(100.0, engine)
    assert engine.lanes["plain"].road.reservations == [2]


def test_what_is_looked_up_before_it_is_made_and_found_is_adopted(quick):
    world = quick("rows", "plain")
    world.known(rows=(job("h1"),))
    world.systems["plain"].add(JOB, {"title": "Baker", "code": None, "status": "open"}, source_id="h1")
    play(world, steps(world.engine(), "plain", 1))
    assert world.writes("plain") == []
    assert world.link(JOB).right is not None


# --- lanes that cannot go on ----------------------------------------------------------------------------------------


def fails_with(*errors):
    """A connector's call that fails so; afterwards it does not."""
    left = list(errors)

    def wrap(call):
        async def failing(*args):
            if left:
                raise left.pop(0)
            return await call(*args)

        return failing

    return wrap


def test_a_token_that_is_not_accepted_pauses_its_connection(quick):
    world = quick("rows", "plain")
    ann(world)
    engine = world.live(FIRST_S, learn=True)
    ann(world, name="Bob", email="bob@example.com")
    connector = world.connectors["plain"]
    connector.find = fails_with(AuthFailed("GET answered 401"))(connector.find)
    world.live(90.0, engine)
    (switch,) = world.select(schema.switches)
    assert (switch.scope, switch.reason) == ("connection/plain", "auth: GET answered 401")
    assert counts(world, "plain")["candidate"] == 1
    assert [intent.state for intent in world.intents()] == ["open"]
    world.store.run_now(switches.start, "connection/plain")
    engine.wake("plain")
    world.live(90.0, engine)
    assert counts(world, "plain")["candidate"] == 2


def test_other_connections_go_on_while_one_is_paused(quick):
    world = quick("rows", "plain", "newborn")
    world.store.run_now(switches.stop, "connection/plain", "by hand", world.clock.now())
    ann(world)
    world.live(30.0)
    arrived = {name: len(system.arrivals) for name, system in world.systems.items()}
    assert arrived["plain"] == 0
    assert min(arrived["rows"], arrived["newborn"]) > 0


def test_all_stop_means_that_nothing_is_called(small):
    world = small("rows", "plain")
    ann(world)
    world.store.run_now(switches.stop, "*", "by hand", world.clock.now())
    world.live(100.0)
    assert [system.arrivals for system in world.systems.values()] == [[], []]
    assert world.store.run_now(switches.start, "*") is True
    assert world.store.run_now(switches.start, "*") is False


def test_a_stopped_pair_writes_nothing_while_its_lists_are_read(quick):
    world = quick("rows", "plain", "newborn")
    ann(world)
    world.store.run_now(switches.stop, "pair/rows-plain", "by hand", world.clock.now())
    world.live(60.0, learn=True)
    assert world.writes("plain") == []
    assert counts(world, "newborn")["application"] == 1
    assert world.systems["plain"].arrivals


def test_a_parked_lane_keeps_what_it_has_and_goes_on_when_it_opens(quick):
    world = quick("rows", "plain")
    ann(world)
    engine = world.engine()
    opens = world.clock.now() + 100.0
    engine.lanes["plain"].road.refuse = parked_until(opens, Priority.WRITE)
    world.live(90.0, engine, learn=True)
    assert world.writes("plain") == []
    assert [intent.state for intent in world.intents()] == ["open"]
    engine.lanes["plain"].road.refuse = lambda priority: None
    world.live(60.0, engine)
    assert counts(world, "plain") == {"job": 1, "candidate": 1, "application": 1}


def test_a_lane_whose_writes_are_parked_reads_no_lists_but_looks_up(quick):
    """What is less urgent than what is parked waits with it; what is more urgent has a reserve."""
    world = quick("rows", "plain")
    lane = world.engine().lanes["plain"]
    lane.parked[Priority.WRITE] = world.clock.now() + 100.0
    now = world.clock.now()
    assert lane.is_open(Priority.LOOKUP, now)
    assert not lane.is_open(Priority.WRITE, now)
    assert not lane.is_open(Priority.BULK, now)
    assert lane.is_open(Priority.BULK, now + 100.0)
    assert lane.opens_at() == now + 100.0


def test_a_system_that_is_away_rests_as_long_as_it_says(quick):
    world = quick("rows", "plain")
    world.known(rows=HUB, plain=SPOKE)
    world.do(mark, "plain", CANDIDATE, "q1", "webhook", Priority.READ)
    connector = world.connectors["plain"]
    connector.get = fails_with(Unavailable("503", retry_after_s=77.0), NotSent("x"))(connector.get)
    engine = world.engine()
    lane = engine.lanes["plain"]
    assert play(world, steps(engine, "plain", 2)) == [True, False]
    assert (lane.rest_until, lane.failures) == (world.clock.now() + 77.0, 1)
    world.later(77.0)
    play(world, steps(engine, "plain", 1))
    assert lane.failures == 2
    assert world.marks() == {("plain", "q1", "webhook")}
    world.later(HOUR)
    with capture_logs() as lines:
        play(world, steps(engine, "plain", 1))
        play(world, steps(engine, "plain", 1))
    assert (lane.failures, world.marks()) == (0, set())
    assert [(line["action"], line["connection"]) for line in lines] == [("back", "plain")]


def test_one_system_that_is_away_delays_no_other(quick):
    world = quick("rows", "plain", "newborn")
    ann(world)
    engine = world.live(FIRST_S, learn=True)
    travel = world.connectors["plain"]._travel

    async def hangs(method, what, effect):
        await world.clock.sleep_until(world.clock.now() + 3600.0)
        return await travel(method, what, effect)

    world.connectors["plain"]._travel = hangs
    ann(world, name="Bob", email="bob@example.com")
    world.live(90.0, engine)
    assert counts(world, "newborn")["candidate"] == 2


def test_a_record_that_cannot_be_read_does_not_stop_its_lane(quick):
    world = quick("rows", "plain")
    world.known(rows=HUB, plain=SPOKE)
    world.do(mark, "plain", CANDIDATE, "odd", "webhook", Priority.READ)
    connector = world.connectors["plain"]
    connector.get = fails_with(Rejected("GET answered 422"))(connector.get)
    assert play(world, steps(world.engine(), "plain", 2)) == [True, False]
    assert world.marks() == set()


# --- walks ----------------------------------------------------------------------------------------------------------


def pages_read(world, name, walk):
    return [what for _, method, what in world.systems[name].arrivals if method == "GET" and what == walk]


def many_jobs(world, count):
    for number in range(count):
        world.systems["plain"].add(JOB, {"title": f"Job {number}", "code": None, "status": "open"})


def test_a_walk_goes_on_at_its_token_after_a_restart(small):
    """A backfill of an hour does not begin anew because somebody restarted the container."""
    world = small("rows", "plain")
    many_jobs(world, 20)
    world.begin("plain", "jobs")
    play(world, steps(world.engine(), "plain", 3))
    assert world.cursor("plain", "jobs").token == "12"
    play(world, steps(world.engine(seed=2), "plain", 3))
    assert len(pages_read(world, "plain", "jobs")) == 5
    assert world.cursor("plain", "jobs").mode == "idle"
    assert len(world.select(schema.records)) == 20


def test_a_walk_counts_its_pages_across_a_restart(quick):
    world = quick("rows", "plain")
    many_jobs(world, 20)
    world.begin("plain", "jobs")
    play(world, steps(world.engine(), "plain", 3))
    play(world, steps(world.engine(seed=2), "plain", 3))
    assert world.cursor("plain", "jobs").last_pages == 5


def test_a_walk_that_breaks_off_goes_on_where_it_was(quick):
    world = quick("rows", "plain")
    many_jobs(world, 20)
    fault = itertools.count()
    world.systems["plain"].fault = lambda method, what: "lost_before" if what == "jobs" and next(fault) == 2 else None
    world.live(30.0)
    assert len(pages_read(world, "plain", "jobs")) == 6, "five pages, one of them twice"


@pytest.mark.parametrize("error", [Rejected("GET answered 400"), Gone("GET answered 404")])
def test_a_list_that_is_refused_is_asked_for_anew_and_not_at_once_for_ever(quick, error):
    """The token of its next page has expired, or another account's token is refused as no such thing."""
    world = quick("rows", "plain")
    many_jobs(world, 20)
    engine = world.live(FIRST_S, learn=True)
    calls, honest = [], world.connectors["plain"].pull

    async def refused(walk, since):
        calls.append((world.clock.now(), since.token))
        raise error
        yield

    world.connectors["plain"].pull = refused
    with capture_logs() as lines:
        world.live(600.0, engine)
    assert 3 < len(calls) < 60
    assert {line["why"] for line in lines if line.get("action") == "away"} == {str(error)}
    assert all(token is None for _, token in calls)
    assert world.cursor("plain", "jobs").error == str(error)
    world.connectors["plain"].pull = honest
    world.live(600.0, engine)
    assert world.cursor("plain", "jobs").error is None


def test_a_walk_that_breaks_off_again_and_again_begins_anew_later(quick):
    world = quick("rows", "plain")
    many_jobs(world, 20)
    broken = [True]
    world.systems["plain"].fault = lambda method, what: "lost_before" if what == "jobs" and broken[0] else None
    engine = world.live(100.0)
    cursor = world.cursor("plain", "jobs")
    assert (cursor.swept_at, cursor.cursor) == (None, None)
    assert cursor.error
    broken[0] = False
    world.live(200.0, engine)
    cursor = world.cursor("plain", "jobs")
    assert cursor.swept_at is not None
    assert cursor.error is None


def test_a_list_that_ends_without_a_proof_of_its_end_proves_nothing(quick):
    world = quick("rows", "plain")
    world.known(rows=HUB, plain=SPOKE)
    before = world.cursor("plain", "jobs").swept_at
    connector = world.connectors["plain"]

    async def no_pages(walk, since):
        return
        yield

    connector.pull = no_pages
    world.later(100.0)
    world.begin("plain", "jobs")
    play(world, steps(world.engine(), "plain", 1))
    cursor = world.cursor("plain", "jobs")
    assert (cursor.swept_at, cursor.mode) == (before, "idle")
    assert "without a proof" in cursor.error


def test_each_list_is_polled_and_swept_in_its_time(quick):
    world = quick("rows", "plain", poll_s=60.0, sweep_s=300.0)
    ann(world)
    world.live(650.0)
    walks = world.cursor("rows", "rows")
    assert 10 <= walks.walk_no <= 13
    assert walks.swept_at >= world.clock.now() - 400.0
    assert walks.polled_at >= world.clock.now() - 61.0


def test_what_people_deleted_is_held_after_a_sweep_and_a_look(quick):
    """Gone from the list, and gone when asked for by id: only then it counts, and it only holds."""
    world = quick("rows", "plain", sweep_s=200.0)
    ids = [ann(world, name=f"P{number}", email=f"p{number}@example.com") for number in range(5)]
    engine = world.live(FIRST_S, learn=True)
    world.systems["rows"].remove(Ref(APPLICATION, ids[4]))
    world.live(450.0, engine)
    assert ("rows", "application", ids[4], "vanished") in {
        (h.connection, h.kind, h.ref, h.reason) for h in world.holds()
    }
    assert counts(world, "plain")["application"] == 5


# --- guards ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def crowd(quick):
    """Six people on both sides, in step, on two pages."""
    world = quick("rows", "plain", sweep_s=200.0)
    for number in range(6):
        ann(world, name=f"P{number}", email=f"p{number}@example.com")
    engine = world.live(FIRST_S, learn=True)
    assert counts(world, "plain")["application"] == 6
    return world, engine


def empty(world):
    for thing in list(world.systems["rows"].of(APPLICATION)):
        del world.systems["rows"].things[thing.ref]


def test_a_side_that_is_suddenly_empty_is_stopped_before_anything_is_held(crowd):
    world, engine = crowd
    engine.emptied = Emptied(least=2, share=0.2)
    empty(world)
    world.live(450.0, engine)
    (switch,) = world.select(schema.switches)
    assert (switch.scope, switch.reason.partition(":")[0]) == ("connection/rows", "emptied")
    assert world.holds() == set()
    assert counts(world, "plain")["application"] == 6


def test_a_side_that_was_really_emptied_is_believed_on_demand(crowd):
    world, engine = crowd
    engine.allow_empty = True
    empty(world)
    world.live(450.0, engine)
    assert world.select(schema.switches) == []
    assert set(world.reasons()) == {"vanished"}
    assert counts(world, "plain")["application"] == 6, "nothing is ever deleted"


def test_a_quiet_account_is_not_taken_for_an_emptied_one(quick):
    world = quick("rows", "plain", overlap_s=120.0, sweep_s=200.0)
    for number in range(4):
        ann(world, name=f"P{number}", email=f"p{number}@example.com")
    engine = world.engine()
    engine.emptied = Emptied(least=3)
    world.live(700.0, engine, learn=True)
    assert world.select(schema.switches) == []


def all_change(world, area="202"):
    for number, thing in enumerate(world.systems["rows"].of(APPLICATION)):
        world.systems["rows"].edit(thing.ref, {"phone": f"+1{area}555{number:04d}"})


def test_a_plan_far_larger_than_usual_stops_its_pair_before_the_first_write(crowd):
    world, engine = crowd
    engine.guard = Guard(least=3, share=0.3)
    all_change(world)
    before = len(world.writes("plain"))
    engine.lanes["plain"].road.refuse = parked_until(world.clock.now() + 90.0, Priority.WRITE)
    world.live(100.0, engine)
    (switch,) = world.select(schema.switches)
    assert (switch.scope, switch.reason.partition(":")[0]) == ("pair/rows-plain", "large")
    assert len(world.writes("plain")) == before


def test_a_large_plan_is_seen_while_its_pages_arrive_though_its_target_takes_each_write_at_once(quick):
    world = quick("rows", "plain", poll_s=60.0, sweep_s=600.0)
    spoke = world.systems["plain"]
    for number in range(30):
        ann(world, name=f"P{number}", email=f"p{number}@example.com")
    engine = world.live(150.0, learn=True)
    engine.guard, before = Guard(least=5, share=0.5), len(world.writes("rows"))
    for thing in spoke.of(APPLICATION):
        spoke.edit(thing.ref, {"stage": "Talk"})
    world.live(100.0, engine)
    (switch,) = world.select(schema.switches)
    assert switch.reason.startswith("large: ")
    assert switch.reason.endswith(" changes to 30 linked applications"), (
        "of one kind, though it is not half of all links"
    )
    assert len(world.writes("rows")) - before < 25


def test_a_large_plan_goes_through_on_demand(crowd):
    world, engine = crowd
    engine.guard, engine.allow_large = Guard(least=3, share=0.3), True
    all_change(world)
    world.live(120.0, engine)
    assert phones_of(world, "plain") == phones_of(world, "rows")


def test_a_large_plan_that_was_allowed_goes_through_and_the_next_one_is_asked_about_again(crowd):
    world, engine = crowd
    engine.guard = Guard(least=3, share=0.3)
    road = engine.lanes["plain"].road
    for area in ("202", "301"):
        all_change(world, area)
        road.refuse = parked_until(world.clock.now() + 90.0, Priority.WRITE)
        world.live(100.0, engine)
        assert [switch.scope for switch in world.select(schema.switches)] == ["pair/rows-plain"]
        world.do(decide.resume, "rows-plain", allow_large=True)
        road.refuse = lambda priority: None
        world.live(300.0, engine)
        assert world.select(schema.switches) == []
        assert phones_of(world, "plain") == phones_of(world, "rows")


# --- life -----------------------------------------------------------------------------------------------------------


def test_a_start_looks_up_what_was_under_way_at_the_end(small):
    world = small("rows", "plain")
    world.known(rows=(job("h1"),))
    world.send(world.intent())
    play(world, world.engine().begin())
    assert world.intent().state == "unknown"
    world.live(100.0)
    assert counts(world, "plain")["job"] == 1


def test_a_commit_wakes_the_lanes_that_it_made_work_for(quick):
    world = quick("rows", "plain")
    engine = world.engine()
    play(world, engine.do(mark, "plain", CANDIDATE, "q1", "webhook", Priority.READ))
    assert [name for name, lane in engine.lanes.items() if lane.wake.is_set()] == ["plain"]
    engine.wake("nobody")
    engine.wake()
    assert all(lane.wake.is_set() for lane in engine.lanes.values())


def test_an_error_of_ours_is_not_hidden(quick):
    """What nobody foresaw ends the run with its traceback; the intents are looked up at the next start."""
    world = quick("rows", "plain")
    world.known(rows=HUB, plain=SPOKE)
    world.do(mark, "plain", CANDIDATE, "q1", "webhook", Priority.READ)
    connector = world.connectors["plain"]
    connector.get = fails_with(ZeroDivisionError())(connector.get)
    with pytest.raises(ZeroDivisionError):
        play(world, world.engine().run_until_quiet())


def test_listeners_hear_facts_and_nobodys_data(quick):
    world = quick("rows", "plain")
    ann(world)
    engine, heard = world.engine(), []
    engine.listeners.append(lambda action, facts: heard.append((action, dict(facts))))
    world.live(300.0, engine, learn=True)
    assert {action for action, _ in heard} >= {"page", "walked", "written"}
    assert ("written", {"connection": "plain", "kind": "job", "call": "create"}) in heard
    assert "Ann" not in repr(heard)
    assert "example.com" not in repr(heard)


def heard_of(world, seconds=300.0, *, learn=True):
    """What an engine tells while it lives."""
    engine, heard = world.engine(), []
    engine.listeners.append(lambda action, facts: heard.append((action, dict(facts))))
    world.live(seconds, engine, learn=learn)
    return heard


def test_listeners_hear_how_a_list_was_read_and_what_it_made_wanted(quick):
    world = quick("rows", "plain")
    ann(world)
    pages = [facts for action, facts in heard_of(world) if action == "page"]
    assert {facts["mode"] for facts in pages} == {"poll", "sweep"}
    assert sum(facts["wanted"] for facts in pages if facts["mode"] == "sweep") > 0


def test_listeners_hear_that_a_list_broke_off(quick):
    world = quick("rows", "plain")
    world.proven("rows", "plain")
    pull, errors = world.connectors["plain"].pull, [Unavailable("away")]

    def breaks_once(walk, since):
        if errors:
            raise errors.pop()
        return pull(walk, since)

    async def pages(walk, since):
        async for page in breaks_once(walk, since):
            yield page

    world.connectors["plain"].pull = pages
    heard = [facts for action, facts in heard_of(world, learn=False) if action == "broken_off"]
    assert [facts["connection"] for facts in heard] == ["plain"]


def test_a_webhook_that_told_nothing_new_is_heard_of_and_is_no_progress(quick):
    world = quick("rows", "plain")
    world.known(rows=HUB, plain=SPOKE)
    world.do(mark, "plain", CANDIDATE, "q1", "webhook", Priority.READ)
    engine, heard = world.engine(), []
    engine.listeners.append(lambda action, facts: heard.append((action, dict(facts))))
    world.later(60.0)
    before = engine.progressed_at
    play(world, engine.step(engine.lanes["plain"]))
    assert heard == [("told_nothing_new", {"connection": "plain", "kind": "candidate"})]
    assert engine.progressed_at == before


@pytest.mark.parametrize("kind", [Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION])
def test_ids_of_intents_are_drawn_and_never_twice(quick, kind):
    engine = quick("rows", "plain").engine()
    assert len({engine.new_id() for _ in range(1000)}) == 1000
