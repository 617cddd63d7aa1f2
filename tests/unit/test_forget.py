import asyncio
import os
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from syncd import backfill, batches, decide, forget, graves, identity, schema, soundness, tombstones, webhooks
from syncd.connector import BatchLimits, Notice
from syncd.errors import ConfigInvalid, SyncdError
from syncd.intents import hold_intent
from syncd.model import Kind, Ref
from syncd.sealing import Sealer
from syncd.work import CREATE, ERASED
from tests.unit.erasure import EMAIL, FIRST_S, SWEPT_S, Scene
from tests.unit.papers_world import PDF
from tests.unit.small_world import TO_RIGHT, application, job, person, row
from tests.unit.test_batches import Bakery
from tests.unit.test_errands import Town

STEPS = int(os.environ.get("FORGET_STEPS", "50"))
INTENTS = schema.intents.c


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """One job; she and two others have applied, and all is in step."""
    made = Scene(tmp_path_factory.mktemp("store"))
    job = made.job()
    made.job_id = job
    made.row = made.apply(job)
    for number in (1, 2):
        made.apply(job, number)
    made.live(FIRST_S, learn=True)
    assert len(made.world.links(Kind.APPLICATION)) == 3
    yield made
    made.close()


@pytest.fixture
def scene(prepared, tmp_path):
    """The same, to be changed."""
    made = prepared.copied(tmp_path)
    yield made
    made.close()


def people_at(scene, name):
    return sorted(t.fields["email"] for t in scene.world.systems[name].of(Kind.CANDIDATE))


def test_no_byte_of_an_erased_person_is_left_in_any_file(scene):
    marks = scene.marks()
    assert scene.found(marks) != set()
    receipt = scene.forget()
    assert receipt["squeezed"]
    assert receipt["erased"]["records"] >= 4
    assert scene.found(marks) == set()
    assert len(scene.world.links(Kind.APPLICATION)) == 2


def test_the_receipt_names_no_person_and_what_is_to_be_erased_where(scene):
    receipt = scene.forget()
    stands = {(each["connection"], each["kind"], each["id"]) for each in receipt["by_hand"]}
    assert ("rows", "candidate", scene.row) in stands
    assert {("plain", ref.kind.value, ref.id) for name, ref in scene.hers() if name == "plain"} <= stands
    assert "qxmail" not in str(receipt).lower()
    assert receipt["under_way"] == receipt["unknown"] == 0


def test_who_was_erased_is_told_again_for_ever_and_never_taken_in(scene):
    marks = scene.marks()
    scene.forget()
    heard = []
    scene.engine.listeners.append(lambda action, facts: heard.append((action, dict(facts))))
    scene.world.systems["rows"].edit(Ref(Kind.APPLICATION, scene.row), {"stage": "Interview"})
    scene.live(SWEPT_S)
    counted = {facts["kind"] for action, facts in heard if action == "erased_seen"}
    assert counted == {"candidate", "application"}
    scene.world.store.squeeze()
    assert scene.found(marks) == set()
    assert scene.world.holds() == set()


def test_no_digest_is_kept_of_a_page_that_tells_her(scene):
    """It covers her row, and nobody keys it."""

    def told():
        return {row.digest for row in scene.world.select(schema.pages) if row.walk != "jobs"} - {""}

    before = told()
    assert before
    scene.forget()
    assert told() & before == set()
    scene.live(SWEPT_S)
    assert told() & before == set()


def test_a_webhook_about_an_erased_person_leaves_nothing(scene):
    scene.forget()
    connection = scene.world.world.connections["rows"]
    refs = (Ref(Kind.APPLICATION, scene.row), Ref(Kind.CANDIDATE, scene.row))
    assert scene.world.do(webhooks.keep, connection, Notice(refs=refs), "id e1") is None
    assert scene.world.select(schema.inbox) == []
    assert scene.world.marks() == set()


def test_a_person_who_applies_again_is_a_question_without_her_name(scene):
    receipt = scene.forget()
    scene.live(10.0)
    scene.apply(scene.job_id)
    scene.live(SWEPT_S)
    (hold,) = scene.world.holds()
    assert (hold.reason, hold.ref) == (tombstones.RETURNED, receipt["erasure"])
    assert len(scene.world.links(Kind.APPLICATION)) == 2
    assert len(scene.world.systems["plain"].of(Kind.APPLICATION)) == 3


def test_who_is_allowed_again_is_taken_in_and_not_made_twice(scene):
    scene.forget()
    scene.apply(scene.job())
    scene.live(SWEPT_S)
    scene.allow()
    scene.live(SWEPT_S)
    assert people_at(scene, "plain").count(EMAIL) == 1
    assert len(scene.world.links(Kind.APPLICATION)) == 4
    assert scene.world.holds() == set()
    with pytest.raises(SyncdError, match="nobody with this address was erased"):
        scene.allow()


def test_what_was_done_once_for_an_old_application_is_not_done_again_for_whom_we_allow(scene):
    scene.forget()
    scene.allow()
    scene.live(SWEPT_S)
    deeds = scene.world.select(schema.deeds)
    hers = {(row.what, row.source) for row in deeds if row.version == "before"}
    assert ("screen", scene.row) in hers
    assert scene.world.select(schema.tombstones) == []


@pytest.mark.parametrize("moment", ["lost_before", "lost_after"])
def test_a_create_that_was_out_is_looked_up_and_never_sent_again(scene, moment):
    plain = scene.world.systems["plain"]
    plain.fault = lambda method, what: moment if method == "POST" else None
    other = scene.apply(scene.job_id, 7)
    scene.world.systems["rows"].edit(Ref(Kind.APPLICATION, other), {"email": "other7@example.com"})
    for _ in range(100):
        scene.live(2.0)
        if any(i.state == "unknown" for i in scene.world.intents("plain")):
            break
    sent = sum(method == "POST" for _, method, _ in plain.arrivals)
    receipt = scene.forget("other7@example.com")
    assert receipt["under_way"] == 1
    assert [i.call for i in scene.world.intents("plain")] == [ERASED]
    assert [*scene.world.store.run_now(soundness.examine, scene.world.world, scene.world.clock.now())] == []
    plain.fault = lambda method, what: None
    scene.live(SWEPT_S)
    assert sum(method == "POST" for _, method, _ in plain.arrivals) == sent
    assert scene.world.intents("plain") == []
    left = [hold for hold in scene.world.holds() if hold.reason == tombstones.LEFT]
    assert len(left) == (1 if moment == "lost_after" else 0)


def test_what_a_create_that_was_out_made_may_be_told_of_before_it_is_looked_up(scene):
    """The event is kept, for nobody knows yet whose it is, and goes once that is known."""
    _create_while_she_goes(scene)
    marks = scene.marks()
    receipt = scene.forget()
    assert receipt["under_way"] == 1
    made = max(ref for name, ref in scene.hers() if name == "plain" and ref.kind is Kind.APPLICATION)
    connection = scene.world.world.connections["plain"]
    assert scene.world.do(webhooks.keep, connection, Notice(refs=(made,)), "id e1") is not None
    scene.world.systems["plain"].fault = lambda method, what: None
    scene.live(SWEPT_S)
    assert scene.world.select(schema.inbox) == []
    _all_erased_by_hand(scene)
    assert scene.found(marks) == set()


def test_a_write_that_waits_is_cancelled(scene):
    scene.world.systems["plain"].fault = lambda method, what: "refused" if method == "PATCH" else None
    scene.world.systems["rows"].edit(Ref(Kind.APPLICATION, scene.row), {"phone": "+12025557399"})
    scene.live(40.0)
    assert scene.world.intents("plain") != []
    assert scene.forget()["erased"]["intents"] >= 1
    assert scene.world.intents("plain") == []
    assert scene.world.holds() == set()


def test_an_older_backup_brings_nobody_back(scene, tmp_path):
    marks = scene.marks()
    scene.world.store.squeeze()
    backup = (tmp_path / "syncd.db").read_bytes()
    scene.forget()
    scene.close()
    (tmp_path / "syncd.db").write_bytes(backup)
    for rest in ("syncd.db-wal", "syncd.db-shm"):
        (tmp_path / rest).unlink(missing_ok=True)
    assert {name for name, _ in scene.found(marks)} == {"syncd.db"}
    scene.reopen()
    assert scene.found(marks) == set()
    scene.live(SWEPT_S, learn=True)
    scene.world.store.squeeze()
    assert scene.found(marks) == set()


def test_a_new_store_knows_from_the_file_who_was_erased(scene, tmp_path):
    marks = scene.marks()
    scene.forget()
    scene.close()
    for path in tmp_path.glob("syncd.db*"):
        if not path.name.endswith((".key", ".tombstones")):
            path.unlink()
    scene.reopen()
    scene.live(SWEPT_S, learn=True)
    assert {mark for _, mark in scene.found(marks)} & {m for m in marks if m.isalpha()} == set()
    assert len(scene.world.links(Kind.APPLICATION)) == 2


def test_the_file_of_another_store_is_refused(scene, tmp_path):
    scene.forget()
    file = scene.settings.tombstones_path
    lines = file.read_text().splitlines()
    file.write_text("\n".join(['{"check":"00","key":"00"}', *lines[1:]]))
    with pytest.raises(ConfigInvalid, match="belongs to another store"):
        asyncio.run(forget.replay(scene.app))
    file.write_text("no list")
    with pytest.raises(ConfigInvalid, match="is no list of erased people"):
        asyncio.run(forget.replay(scene.app))


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_that_a_power_cut_tore_does_no_harm_to_the_next(scene, cut):
    file, line = scene.settings.tombstones_path, {"digest": "d", "grave": "g", "at": 1.0}
    graves.append(file, scene.sealer, [line, line])
    file.write_bytes(file.read_bytes()[:-cut])
    graves.append(file, scene.sealer, [line | {"grave": "h"}])
    known = [told["grave"] for told in graves.read(file, scene.sealer)[1]]
    assert known == ["g", *(["g"] if cut == 1 else []), "h"]


def test_a_lost_file_is_written_anew_from_the_database(scene):
    scene.forget()
    file = scene.settings.tombstones_path
    known = sorted(file.read_text().splitlines()[1:])
    file.unlink()
    asyncio.run(forget.replay(scene.app))
    assert len(file.read_text().splitlines()[1:]) == len(known)
    assert graves.read(file, scene.sealer)[0] is None


def test_tombstones_hold_nothing_but_digests_of_a_key_of_their_own(scene):
    marks = scene.marks()
    scene.forget()
    content = scene.settings.tombstones_path.read_bytes()
    assert not any(mark in content for mark in marks)
    assert scene.sealer.digest("email", EMAIL).encode() not in content
    assert oct(scene.settings.tombstones_path.stat().st_mode & 0o777) == "0o600"


def test_where_others_rows_name_her_they_do_so_no_more(scene):
    """The result of a command, a webhook's list, a choice in a question about somebody else."""
    marks = scene.marks()
    other = next(t.ref.id for t in scene.world.systems["rows"].of(Kind.APPLICATION) if t.ref.id != scene.row)
    connection = scene.world.world.connections["rows"]
    scene.world.do(webhooks.keep, connection, Notice(refs=(Ref(Kind.APPLICATION, scene.row),)), "id e1")
    scene.world.do(webhooks.keep, connection, Notice(refs=(Ref(Kind.APPLICATION, other),)), "id e2")
    plan = {"command": "plan", "arguments": {}, "state": "done", "asked_at": 1.0, "result": {"details": [scene.row]}}
    choice = {"connection": "rows", "kind": "candidate", "ref": other, "reason": "duplicate",
              "detail": f"{scene.row} x", "opened_at": 1.0}  # fmt: skip
    line = {"at": 1.0, "connection": "rows", "kind": "application", "ref": scene.row, "what": "vanished", "fields": []}
    scene.world.store.run_now(lambda sql: sql.execute(sa.insert(schema.journal).values(line)))
    scene.world.store.run_now(lambda sql: sql.execute(sa.insert(schema.runs).values(plan)))
    scene.world.store.run_now(lambda sql: sql.execute(sa.insert(schema.holds).values(choice)))
    scene.forget()
    assert scene.found(marks) == set()
    assert [row.event for row in scene.world.select(schema.inbox)] == ["id e2"]


@pytest.mark.parametrize("flavours", [("rows", "plain"), ("plain", "rows")])
def test_on_both_databases_all_rows_about_her_go(small, flavours, tmp_path):
    """Of either kind of system first; PostgreSQL is squeezed by rewriting its tables."""
    world = small(*flavours)
    world.world = replace(world.world, tombstone=world.world.digest)
    told = {"rows": (job("r1"), *row("r2", "r1")), "plain": (job("p1"), person("p2"), application("p3", "p1", "p2"))}
    world.known(**told)
    assert len(world.links()) == 3
    settings = SimpleNamespace(tombstones_path=tmp_path / "stones")
    app = SimpleNamespace(engine=world.engine(), store=world.store, config=SimpleNamespace(store=settings),
                          sealer=Sealer(bytes(32), os.urandom))  # fmt: skip
    receipt = asyncio.run(forget.forget(app, "Ann@Example.com"))
    assert receipt["squeezed"]
    assert [each["id"] for each in receipt["by_hand"] if each["connection"] == "rows"] == ["r2"]
    assert [link.kind for link in world.links()] == ["job"]
    assert {row.id for row in world.select(schema.records)} == {"r1", "p1"}
    for name, records in told.items():
        world.told(name, *records)
    assert {row.id for row in world.select(schema.records)} == {"r1", "p1"}


def test_somebody_unknown_is_kept_out_from_the_start(scene):
    receipt = scene.forget("nobody@example.com")
    assert (receipt["erased"], receipt["by_hand"]) == ({}, [])
    rows = scene.world.systems["rows"]
    rows.add(
        Kind.APPLICATION,
        {"name": "No Body", "email": "NoBody@example.com", "phone": None, "stage": "New"},
        parents={Kind.JOB: scene.job_id},
    )
    scene.live(SWEPT_S)
    assert len(scene.world.links(Kind.APPLICATION)) == 3


def test_a_list_of_erasures_tells_numbers_and_times(scene):
    receipt = scene.forget()
    (one,) = scene.world.store.run_now(forget.erasures, scene.world.world)
    assert one["erasure"] == receipt["erasure"]
    assert one["tombstones"] >= 4


# --- for ever -------------------------------------------------------------------------------------------------------


def test_after_many_further_steps_the_bytes_of_the_erased_are_nowhere(scene):
    """``FORGET_STEPS`` chooses how many: edits, webhooks, arrivals and lost answers at both ends, while writes wait."""
    chance = random.Random(11)
    plain, rows = scene.world.systems["plain"], scene.world.systems["rows"]
    _create_while_she_goes(scene)
    marks = scene.marks()
    assert scene.forget()["under_way"] == 1
    plain.fault = lambda method, what: "lost_after" if method != "GET" and chance.random() < 0.1 else None
    for number in range(STEPS):
        _step(scene, chance, number)
        if number % 25 == 24:
            scene.live(chance.choice([5.0, 20.0, 70.0]))
    plain.fault = lambda method, what: None
    scene.live(SWEPT_S)
    _all_erased_by_hand(scene)
    assert scene.found(marks) == set()
    assert rows.log
    assert scene.world.store.run_now(forget.waiting) == 0


def _create_while_she_goes(scene):
    """She applies for another job, and the answer to the create of that is lost though it took effect."""
    plain = scene.world.systems["plain"]
    plain.fault = lambda method, what: "lost_after" if method == "POST" else None
    scene.apply(scene.job(), None)
    for _ in range(200):
        scene.live(2.0)
        if any(i.state == "unknown" and i.kind == "application" for i in scene.world.intents("plain")):
            return
    raise AssertionError("no create of hers was ever under way")


def _all_erased_by_hand(scene):
    """A person says of each question about what was made meanwhile that it is done; till then it names the record."""
    left = [row.id for row in scene.world.select(schema.holds) if row.reason == tombstones.LEFT]
    assert left != []
    for hold in left:
        scene.world.do(decide.resolve, hold, "drop")
    scene.world.store.squeeze()


def _step(scene, chance, number):
    name = chance.choice(["plain", "rows"])
    system = scene.world.systems[name]
    ref = chance.choice([ref for ref in system.things if ref.kind is not Kind.JOB])
    connection = scene.world.world.connections[name]
    match chance.randrange(6):
        case 0 | 1 if "phone" in system.things[ref].fields:
            system.edit(ref, {"phone": f"+1202556{chance.randrange(10000):04d}"})
        case 2:
            if ref.kind is Kind.APPLICATION:
                system.edit(ref, {"stage": chance.choice(["New", "Interview"])})
        case 3 | 4:
            scene.world.do(webhooks.keep, connection, Notice(refs=(ref,)), f"id {number}")
        case 5 if number % 40 == 0:
            scene.apply(scene.job_id, 100 + number)


# --- whose pair is not there ----------------------------------------------------------------------------------------


def forgotten(world, email):
    """Erase somebody where tombstones are kept in the store alone."""
    app = SimpleNamespace(config=SimpleNamespace(store=SimpleNamespace(tombstones_path=None)))
    return world.do(forget._forget, app, email)


def without_pairs(world, count):
    """The configuration loses all pairs but the first ``count``."""
    world.world = replace(world.world, pairs=world.world.pairs[:count], stamp="without", tombstone=world.world.digest)


def test_her_file_goes_out_with_no_batch_though_its_pair_was_away_when_she_went(quick):
    bakery = Bakery(quick, collect_s=4000.0)
    bakery.world.world = whole = replace(bakery.world.world, tombstone=bakery.world.world.digest)
    bakery.apply()
    bakery.run(300.0, learn=True)
    assert [item.state for item in bakery.world.select(schema.batch_items)] == ["waiting"]
    without_pairs(bakery.world, 0)
    bakery.engine = None
    bakery.run(10.0)
    forgotten(bakery.world, "ann0@example.com")
    assert bakery.world.select(schema.batch_items) == []
    bakery.world.world, bakery.engine = whole, None
    bakery.run(9000.0)
    assert (bakery.sent(), bakery.screener.billed) == ([], 0)


def test_a_file_goes_out_for_nobody_who_is_not_known(quick):
    bakery = Bakery(quick, collect_s=4000.0)
    bakery.apply()
    bakery.apply()
    bakery.run(300.0, learn=True)
    first = bakery.world.select(schema.batch_items)[0].application
    with bakery.world.store.engine.begin() as connection:
        connection.execute(sa.delete(schema.records).where(schema.records.c.id == first))
    (batch,) = bakery.world.select(schema.batches)
    turn = bakery.world.do(batches.turn_of, batch.id, BatchLimits(50, 10**6, 1000, 86_400.0, 1.0, (".pdf",)))
    assert first not in turn.applications
    assert first not in {item.application for item in bakery.world.select(schema.batch_items)}


def test_what_was_done_for_her_is_forgotten_though_its_pair_is_away(quick):
    town = Town(quick, resumes=TO_RIGHT)
    town.apply(resume=PDF)
    town.begin()
    town.run(900.0)
    assert len(town.world.select(schema.deeds)) == 1
    without_pairs(town.world, 0)
    forgotten(town.world, "ann@example.com")
    assert town.world.select(schema.deeds) == []


def test_a_create_that_was_out_is_looked_up_though_its_pair_is_away(quick):
    world = quick("rows", "plain", "other=plain")
    hub, other = world.systems["rows"], world.systems["other"]
    job_id = hub.add(Kind.JOB, {"title": "Baker", "code": "B", "status": "open"})
    world.live(400.0, learn=True)
    fields = {"name": "Ann", "email": "ann@example.com", "phone": None, "stage": "New"}
    hub.add(Kind.APPLICATION, fields, parents={Kind.JOB: job_id})

    def is_out():
        return any(intent.state != "open" for intent in world.intents("other"))

    other.fault = lambda method, what: "lost_after" if method != "GET" else "refused" if is_out() else None
    world.live(100.0)
    other.fault = lambda method, what: None
    without_pairs(world, 1)
    world.live(10.0)
    assert [intent.state for intent in world.intents("other")] == ["resting"]
    assert forgotten(world, "ann@example.com")["under_way"] == 1
    world.live(2000.0)
    assert world.intents("other") == []
    (made,) = other.of(Kind.CANDIDATE)
    assert [hold.ref for hold in world.holds() if hold.reason == tombstones.LEFT] == [made.ref.id]


def without_other(world):
    """The configuration loses its second pair, and the connection at its end."""
    left = {name: each for name, each in world.world.connections.items() if name != "other"}
    world.do(identity.keep_identity)
    without_pairs(world, 1)
    world.world = replace(world.world, connections=left)


@pytest.fixture
def three(quick):
    """She stands at a hub and, linked with her there, at the second of two spokes; Bob at that one alone."""
    world = quick("rows", "plain", "other=plain")
    bob = person("o4", "Bob Lee", "bob@example.com")
    world.known(
        rows=(job("r1"), *row("r2", "r1")),
        plain=(job("p1"),),
        other=(job("o1"), person("o2"), application("o3", "o1", "o2"), bob, application("o5", "o1", "o4")),
    )
    return world


def test_what_stands_at_a_system_that_the_config_has_no_more_is_on_the_receipt(three):
    without_other(three)
    receipt = forgotten(three, "ann@example.com")
    assert {("other", "o2"), ("other", "o3")} <= {(each["connection"], each["id"]) for each in receipt["by_hand"]}
    assert {row.id for row in three.select(schema.records)} == {"r1", "p1", "o1", "o4", "o5"}


def test_a_question_at_a_system_that_the_config_has_no_more_names_her_no_longer(three):
    choice = {"connection": "other", "kind": "application", "ref": "o5", "reason": "duplicate", "detail": "r2 x",
              "opened_at": 1.0}  # fmt: skip
    three.store.run_now(lambda sql: sql.execute(sa.insert(schema.holds).values(choice)))
    without_other(three)
    forgotten(three, "ann@example.com")
    assert "duplicate" not in three.reasons()


@pytest.mark.parametrize("is_there", [True, False])
def test_a_create_whose_system_is_away_is_counted_as_unknown(three, is_there):
    three.world = replace(three.world, tombstone=three.world.digest)
    intent = next(one for one in three.intents("plain") if one.call == CREATE)
    with three.store.engine.begin() as sql:
        sent = three.world.seal({"fields": {}}, f"{intent.id}/sent")
        sql.execute(sa.update(schema.intents).where(INTENTS.id == intent.id).values(sent_values=sent, state="unknown"))
    three.do(identity.keep_identity)
    if not is_there:
        left = {name: each for name, each in three.world.connections.items() if name != "plain"}
        three.world = replace(three.world, pairs=three.world.pairs[1:], connections=left)
    receipt = forgotten(three, "ann@example.com")
    assert (receipt["under_way"], receipt["unknown"]) == ((1, 0) if is_there else (0, 1))


def test_who_only_has_her_id_in_a_pair_that_carries_no_people_stays(three):
    """The hub's people are none of that pair: what bears one of their ids there came from somewhere else."""
    first, second = three.world.pairs
    jobs_only = replace(second, flows={Kind.JOB: TO_RIGHT})
    three.world = replace(three.world, pairs=(first, jobs_only), tombstone=three.world.digest)
    with three.store.engine.begin() as sql:
        sql.execute(sa.update(schema.records).where(schema.records.c.id == "o4").values(source_id="r2"))
    forgotten(three, "ann@example.com")
    assert "o4" in {row.id for row in three.select(schema.records)}


def test_a_batch_that_went_out_is_not_sent_again_with_a_file_of_whom_nothing_is_known(quick):
    bakery = Bakery(quick, collect_s=4000.0)
    bakery.apply()
    bakery.apply()
    bakery.run(300.0, learn=True)
    (batch,) = bakery.world.select(schema.batches)
    item, _ = bakery.world.select(schema.batch_items)
    with bakery.world.store.engine.begin() as sql:
        sql.execute(sa.delete(schema.records).where(schema.records.c.id == item.application))
        sql.execute(sa.update(schema.batches).values(sent_at=1.0, state="sent"))
        sql.execute(sa.update(schema.batch_items).values(sent_at=1.0, state="sent", content="x"))
    limits = BatchLimits(50, 10**6, 1000, 86_400.0, 1.0, (".pdf",))
    assert bakery.world.do(batches.turn_of, batch.id, limits) is None
    assert bakery.world.reasons() == ["files_changed"]


@pytest.mark.parametrize("narrow", [True, False])
def test_who_is_let_in_again_while_the_pair_is_away_is_not_phoned_again(scene, narrow):
    whole = scene.world.world
    scene.forget()
    scene.allow()
    less = backfill.narrowed(whole, backfill.Scope(kinds=(Kind.JOB, Kind.CANDIDATE)))
    scene.world.world = less if narrow else replace(whole, pairs=(replace(whole.pairs[0], name="another"),))
    scene.engine = scene.world.engine(seed=scene.seed)
    scene.live(SWEPT_S)
    deeds = {(row.pair, row.what, row.source) for row in scene.world.select(schema.deeds) if row.version == "before"}
    assert ("rows-plain", "screen", scene.row) in deeds


def test_an_answer_to_a_write_of_a_pair_that_is_away_is_refused_with_a_sentence(three):
    three.do(hold_intent, three.intents("plain")[0], "rejected")
    (hold,) = [row for row in three.select(schema.holds) if row.intent is not None]
    three.world = replace(three.world, pairs=three.world.pairs[1:])
    with pytest.raises(decide.Refused, match="does not have"):
        three.do(decide.resolve, hold.id, "drop")
