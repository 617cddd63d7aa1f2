"""Résumés go out together to be screened, each once: collecting, cost, lost answers, results, refusals."""

import pytest

from syncd import batches, decide, schema
from syncd.connector import BatchState
from syncd.errors import OutcomeUnknown, Rejected, Stale
from syncd.model import Kind, Ref
from tests.unit.papers_world import PDF, SCREENER, WORDS, PaperConnector, ScreenerConnector, with_papers
from tests.unit.small_world import APPLICATION, BOTH, JOB, TO_LEFT

FLOWS = {APPLICATION: BOTH, Kind.SCREENING: TO_LEFT}
DESCRIPTION = "Bakes bread and cakes for the whole town."


class Bakery:
    """A hub of rows, whose people are screened at the stage "Screen"."""

    def __init__(self, make, **settings):
        settings = {"screen_at": "screening", "collect_s": 60.0, **settings}
        facts = {"rows": with_papers("rows"), "plain": SCREENER}
        words = {"rows": {**WORDS, "fields": {**WORDS["fields"], "job": {"description": "code"}}}, "plain": WORDS}
        self.world = make(facts=facts, words=words, flows=FLOWS, **settings)
        self.hub, self.service = self.world.systems["rows"], self.world.systems["plain"]
        self.world.connectors["rows"] = PaperConnector(self.hub)
        self.screener = self.world.connectors["plain"] = ScreenerConnector(self.service)
        self.desk = self.world.connectors["rows"].desk
        self.job = self.hub.add(JOB, {"title": "Baker", "code": DESCRIPTION, "status": "open"})
        self.engine = None

    def apply(self, stage="Screen", content=None, resume="1"):
        at = len(self.hub.of(APPLICATION))
        fields = {"name": f"Ann {at}", "email": f"ann{at}@example.com", "phone": None, "stage": stage, "resume": resume}
        id_ = self.hub.add(APPLICATION, fields, parents={JOB: self.job})
        if resume:
            self.desk.files[id_] = content or PDF + str(at).encode()
        return id_

    def run(self, seconds=900.0, *, learn=False):
        self.engine = self.world.live(seconds, self.engine, learn=learn)

    def begin(self):
        self.run(900.0, learn=True)

    def sent(self):
        """The names of all files that were sent, batch by batch."""
        return [sorted(made.files) for made in self.screener.batches.values()]

    def stage(self, id_):
        return self.hub.things[Ref(APPLICATION, id_)].fields["stage"]


@pytest.fixture
def bakery(quick):
    return lambda **settings: Bakery(quick, **settings)


def test_who_reaches_the_stage_is_sent_with_others_of_the_job_and_linked_by_the_file(bakery):
    bakery = bakery()
    ids = [bakery.apply(), bakery.apply(), bakery.apply(stage="New")]
    bakery.begin()
    assert bakery.sent() == [[f"{ids[0]}.pdf", f"{ids[1]}.pdf"]]
    links = bakery.world.links(APPLICATION)
    assert {(link.left, link.right) for link in links} == {(id_, f"b1-{id_}.pdf") for id_ in ids[:2]}
    assert {link.right_base["stage"] for link in links} == {"=New"}
    assert [bakery.stage(id_) for id_ in ids] == ["Screen", "Screen", "New"]  # the first status there is no change
    assert bakery.world.holds() == set()


def test_results_come_back_as_remarks(bakery):
    bakery = bakery()
    id_ = bakery.apply()
    bakery.begin()
    assert sorted((at, form) for at, form, _ in bakery.desk.remarks) == [(id_, "comment"), (id_, "rating")]


def test_results_that_a_webhook_announced_are_followed_back_to_it(bakery):
    bakery = bakery()
    id_ = bakery.apply()
    bakery.screener.state = BatchState.PROCESSING
    bakery.begin()
    bakery.screener.state = BatchState.COMPLETED

    def ring(work):
        work.origin = "w9"
        batches.told(work, ["b1"])

    bakery.world.do(ring)
    bakery.run(600.0)
    assert sorted(form for at, form, _ in bakery.desk.remarks if at == id_) == ["comment", "rating"]
    done = bakery.world.journal("errand_done")
    assert {(line.connection, line.origin) for line in done} == {("rows", "w9")}


def test_nothing_is_sent_without_a_stage(bakery):
    bakery = bakery(screen_at=None)
    bakery.apply()
    bakery.begin()
    assert bakery.sent() == []


def test_a_full_batch_does_not_wait_and_another_follows(bakery):
    bakery = bakery()
    for _ in range(5):
        bakery.apply()
    bakery.begin()
    assert sorted(len(names) for names in bakery.sent()) == [2, 3]
    assert bakery.screener.billed == 5


def test_who_leaves_the_stage_before_the_batch_goes_out_is_not_sent(bakery):
    bakery = bakery(collect_s=1500.0)
    id_ = bakery.apply()
    bakery.begin()
    bakery.hub.edit(Ref(APPLICATION, id_), {"stage": "Out"})
    bakery.run(1500.0)
    assert bakery.sent() == []
    assert bakery.world.intents() == []


@pytest.mark.parametrize("fault", ["lost_after", "error_after"])
def test_a_lost_answer_is_found_and_billed_once(bakery, fault):
    bakery = bakery()
    bakery.apply()
    faults = iter([fault])
    bakery.service.fault = lambda method, what: next(faults, None) if what == "submit" else None
    bakery.begin()
    assert bakery.screener.billed == 1
    assert len(bakery.world.links(APPLICATION)) == 1


@pytest.mark.parametrize("fault", ["lost_before", "error_before", "refused"])
def test_a_batch_that_never_arrived_is_sent_again_under_its_key(bakery, fault):
    bakery = bakery()
    bakery.apply()
    faults = iter([fault])
    bakery.service.fault = lambda method, what: next(faults, None) if what == "submit" else None
    bakery.begin()
    assert bakery.screener.billed == 1
    (made,) = bakery.screener.batches.values()
    assert [row.id for row in bakery.world.select(schema.batches)] == [made.key]


def test_a_file_that_was_changed_meanwhile_stops_the_repeat(bakery):
    bakery = bakery()
    id_ = bakery.apply()
    faults = iter(["lost_before"])

    def fault(method, what):
        told = next(faults, None) if what == "submit" else None
        if told:
            bakery.desk.files[id_] = PDF + b"another"
        return told

    bakery.service.fault = fault
    bakery.begin()
    assert bakery.screener.billed == 0
    assert bakery.world.reasons() == ["files_changed"]


def test_a_key_that_has_lapsed_stops_the_repeat(bakery):
    bakery = bakery()
    bakery.apply()
    bakery.service.fault = lambda method, what: "lost_before" if what in {"submit", "batches"} else None
    bakery.begin()
    bakery.world.later(2 * 86_400.0)
    bakery.service.fault = lambda method, what: None
    bakery.run(1500.0)
    assert bakery.screener.billed == 0
    assert bakery.world.reasons() == ["key_expired"]


def test_a_kill_while_a_batch_is_out_bills_nobody_twice(bakery):
    bakery = bakery()
    bakery.apply()
    died = iter([True])

    def die(moment):
        if moment == "after_call" and bakery.screener.batches and next(died, False):
            raise KeyboardInterrupt

    bakery.service.crash = die
    with pytest.raises(KeyboardInterrupt):
        bakery.begin()
    bakery.engine = None
    bakery.run(1500.0)
    assert bakery.screener.billed == 1
    assert len(bakery.world.links(APPLICATION)) == 1


def test_a_bad_resume_is_held_and_the_others_go_out_without_it(bakery):
    bakery = bakery()
    bad = bakery.apply(content=PDF + b"scan")
    good = bakery.apply()
    bakery.screener.bad = {PDF + b"scan"}
    bakery.begin()
    assert bakery.sent() == [[f"{good}.pdf"]]
    (hold,) = bakery.world.select(schema.holds)
    assert (hold.ref, hold.reason, hold.detail) == (bad, "file_refused", "cannot be read")


@pytest.mark.parametrize(("content", "resume", "reason"), [(b"MZ", "1", "file_refused"), (None, None, "no_file")])
def test_what_is_no_resume_is_held_before_anything_is_paid(bakery, content, resume, reason):
    bakery = bakery()
    bakery.apply(content=content, resume=resume)
    bakery.begin()
    assert bakery.sent() == []
    assert bakery.world.reasons() == [reason]


def test_a_resume_without_a_result_is_held(bakery):
    bakery = bakery()
    bakery.apply(content=PDF + b"short")
    bakery.apply()
    bakery.screener.unread = {PDF + b"short"}
    bakery.begin()
    assert bakery.world.reasons() == ["no_result"]
    assert len(bakery.world.links(APPLICATION)) == 1


@pytest.mark.parametrize("state", [BatchState.FAILED, BatchState.CANCELLED])
def test_a_batch_that_came_to_nothing_is_held_and_sent_again_if_a_person_says_so(bakery, state):
    bakery = bakery()
    bakery.apply()
    bakery.screener.state = state
    bakery.begin()
    assert bakery.world.reasons() == [f"batch_{state.value}"]
    (hold,) = bakery.world.select(schema.holds)
    bakery.screener.state = BatchState.COMPLETED
    assert "next batch" in bakery.world.do(decide.resolve, hold.id, "retry")
    bakery.run()
    assert bakery.world.reasons() == []
    assert len(bakery.world.links(APPLICATION)) == 1


def test_a_person_may_say_that_nobody_is_screened(bakery):
    bakery = bakery()
    bakery.apply(resume=None)
    bakery.begin()
    (hold,) = bakery.world.select(schema.holds)
    bakery.world.do(decide.resolve, hold.id, "drop")
    bakery.run()
    assert bakery.world.reasons() == []


def test_a_day_costs_no_more_than_it_may(bakery):
    bakery = bakery(credits_a_day=2)
    for _ in range(5):
        bakery.apply()
    bakery.begin()
    assert bakery.screener.billed == 2
    assert bakery.world.reasons() == ["credits_per_day"] * 3
    bakery.world.later(86_400.0)
    bakery.run(1500.0)
    assert bakery.screener.billed == 4
    bakery.world.later(86_400.0)
    bakery.run(1500.0)
    assert bakery.screener.billed == 5
    assert bakery.world.reasons() == []


def test_a_job_without_a_description_is_held(bakery):
    bakery = bakery()
    bakery.hub.edit(Ref(JOB, bakery.job), {"code": "B1"})
    bakery.apply()
    bakery.begin()
    assert bakery.world.reasons() == ["job_unclear"]


def test_how_it_ended_is_told_once(bakery):
    bakery = bakery()
    id_ = bakery.apply()
    bakery.begin()
    bakery.hub.edit(Ref(APPLICATION, id_), {"stage": "In"})
    bakery.run(1500.0)
    assert bakery.screener.desk.outcomes == [("b1", f"b1-{id_}.pdf", "hired")]
    assert bakery.service.things[Ref(APPLICATION, f"b1-{id_}.pdf")].fields["stage"] == "In"


def test_a_move_there_comes_back(bakery):
    bakery = bakery()
    id_ = bakery.apply()
    bakery.begin()
    bakery.service.edit(Ref(APPLICATION, f"b1-{id_}.pdf"), {"stage": "Talk"})
    bakery.run(1500.0)
    assert bakery.stage(id_) == "Talk"


def test_who_was_moved_at_both_ends_before_the_results_came_is_asked_about(bakery):
    bakery = bakery()
    id_ = bakery.apply()
    bakery.screener.state = BatchState.PROCESSING
    bakery.begin()
    bakery.hub.edit(Ref(APPLICATION, id_), {"stage": "Talk"})
    (made,) = bakery.screener.batches.values()
    there = bakery.screener._born(made, f"{id_}.pdf")[0].ref
    bakery.service.edit(there, {"stage": "Deal"})
    bakery.screener.state = BatchState.COMPLETED
    bakery.run(7200.0)
    assert bakery.world.reasons() == ["conflict"]
    assert (bakery.stage(id_), bakery.service.things[there].fields["stage"]) == ("Talk", "Deal")


def test_a_lost_store_finds_who_was_screened_and_pays_for_nobody_again(bakery):
    bakery = bakery()
    id_ = bakery.apply()
    bakery.begin()
    with bakery.world.store.engine.begin() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            connection.execute(table.delete())
    bakery.engine = None
    bakery.begin()
    assert bakery.screener.billed == 1
    assert [(link.left, link.how) for link in bakery.world.links(APPLICATION)] == [(id_, "source_id")]
    assert len(bakery.desk.remarks) == 2


def test_no_bytes_of_a_resume_are_in_the_store(bakery):
    bakery = bakery()
    bakery.apply()
    bakery.begin()
    rows = [str(row) for table in schema.metadata.sorted_tables for row in bakery.world.select(table)]
    assert not any("curriculum" in row for row in rows)


def test_who_a_person_leaves_out_while_the_batch_waits_for_tomorrow_is_never_paid_for(bakery):
    bakery = bakery(credits_a_day=0)
    bakery.apply()
    bakery.begin()
    (hold,) = bakery.world.select(schema.holds)
    bakery.world.do(decide.resolve, hold.id, "drop")
    bakery.engine.world.pairs[0].__dict__["credits_a_day"] = 10.0  # tomorrow there are credits
    bakery.world.later(86_400.0)
    bakery.run(1500.0)
    assert bakery.screener.billed == 0
    assert bakery.world.reasons() == []
    assert bakery.world.select(schema.intents) == []


def test_a_batch_without_a_bad_file_is_sent_again_under_its_key(bakery):
    bakery = bakery()
    bakery.apply(content=b"MZ")
    good = bakery.apply()
    faults = iter(["lost_before"])
    bakery.service.fault = lambda method, what: next(faults, None) if what == "submit" else None
    bakery.begin()
    assert bakery.sent() == [[f"{good}.pdf"]]
    assert bakery.world.reasons() == ["file_refused"]


def test_a_service_that_refuses_to_tell_of_a_batch_is_asked_a_few_times_only(bakery):
    bakery = bakery()
    bakery.apply()
    asked = []

    async def batch(_):
        asked.append(1)
        assert len(asked) < 20
        raise Rejected("no")

    bakery.screener.batch = batch
    bakery.begin()
    assert bakery.screener.billed == 1
    assert len(asked) < 10


def test_a_file_that_changes_while_it_is_sent_again_under_its_key_stops_the_repeat(bakery):
    bakery = bakery()
    bakery.apply()
    kept, tries = bakery.screener.submit, []

    async def submit(draft, key):
        tries.append(key)
        if len(tries) == 1:
            raise OutcomeUnknown("no answer")
        raise Stale("the file was changed while it was being sent")

    bakery.screener.submit = submit
    bakery.begin()
    bakery.screener.submit = kept
    bakery.run(1500.0)
    assert len(tries) == 2
    assert bakery.screener.billed == 0
    assert bakery.world.reasons() == ["files_changed"]


def test_who_is_screened_anew_counts_towards_what_a_day_may_cost(bakery):
    bakery = bakery(credits_a_day=1)
    bakery.apply()
    bakery.screener.state = BatchState.FAILED
    bakery.begin()
    (hold,) = bakery.world.select(schema.holds)
    bakery.world.do(decide.resolve, hold.id, "retry")
    bakery.run(1500.0)
    assert bakery.screener.billed == 1
    assert bakery.world.reasons() == ["credits_per_day"]


def test_what_was_refused_whole_costs_nothing_of_the_day(bakery):
    bakery = bakery(credits_a_day=2)
    bakery.apply(content=PDF + b"scan")
    good = bakery.apply()
    bakery.screener.bad = {PDF + b"scan"}
    bakery.begin()
    assert bakery.sent() == [[f"{good}.pdf"]]
    assert bakery.world.reasons() == ["file_refused"]


def test_a_batch_that_is_never_done_is_asked_about_after_two_days(bakery):
    bakery = bakery()
    id_ = bakery.apply()
    bakery.screener.state = BatchState.PROCESSING
    bakery.begin()
    bakery.world.later(2 * 86_400.0)
    bakery.run()
    assert bakery.world.reasons() == ["batch_late"]
    assert bakery.world.intents() == []
    (made,) = bakery.screener.batches.values()
    bakery.screener._born(made, f"{id_}.pdf")  # it is done at last, and its list tells so
    bakery.world.later(3600.0)
    bakery.run()
    assert bakery.world.reasons() == []
    assert len(bakery.world.links(APPLICATION)) == 1
