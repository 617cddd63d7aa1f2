"""What is done once beside the fields, by the real engine over memory systems: files, remarks, moves by rule, leave."""

import os
from dataclasses import replace

import pytest

from syncd import decide, schema, switches
from syncd.model import Kind, Ref
from syncd.reconcile import End
from tests.unit.papers_world import PDF, WORDS, PaperConnector, with_papers
from tests.unit.small_world import APPLICATION, BOTH, JOB, TO_LEFT, TO_RIGHT, worlds_on

EACH = int(os.environ.get("CRASHES_EACH", "1")) * 2 - 1  # `make test` has time for a few
FLOWS = {JOB: TO_RIGHT, Kind.CANDIDATE: BOTH, APPLICATION: BOTH, Kind.SCREENING: TO_LEFT}
FOUND = {
    "result": "done",
    "score": 84,
    "verdict": "fits",
    "summary": "Bakes well.",
    "strengths": None,
    "weaknesses": "x",
}


class Town:
    """A hub of rows and a plain spoke with papers: one job, one person on it, in step."""

    def __init__(self, make, **settings):
        facts = {"rows": with_papers("rows"), "plain": with_papers("plain")}
        self.world = make(facts=facts, words=dict.fromkeys(facts, WORDS), flows=FLOWS, **settings)
        for name, system in self.world.systems.items():
            self.world.connectors[name] = PaperConnector(system)
        self.hub, self.spoke = self.world.systems["rows"], self.world.systems["plain"]
        self.hub_desk, self.desk = (self.world.connectors[name].desk for name in ("rows", "plain"))
        self.job = self.hub.add(JOB, {"title": "Baker", "code": "B1", "status": "open"})
        self.engine = None

    def apply(self, stage="New", resume=None, name="Ann Lee", email="ann@example.com", phone="+12025550100"):
        fields = {"name": name, "email": email, "phone": phone, "stage": stage, "resume": "1" if resume else None}
        id_ = self.hub.add(APPLICATION, fields, parents={JOB: self.job})
        if resume:
            self.hub_desk.files[id_] = resume
        return id_

    def run(self, seconds=300.0, *, learn=False):
        self.engine = self.world.live(seconds, self.engine, learn=learn)

    def begin(self):
        self.run(600.0, learn=True)

    @property
    def across(self):
        """The spoke's only application."""
        (thing,) = self.spoke.of(APPLICATION)
        return thing

    def found(self, **changed):
        """The spoke has screened its only application."""
        return self.spoke.add(Kind.SCREENING, {**FOUND, **changed}, "system", parents={APPLICATION: self.across.ref.id})


class ByPerson(PaperConnector):
    """Keeps files with the person, whichever application they came for."""

    async def has_attached(self, record, name):
        return any(known == name for _, known, _ in self.desk.attached)


class Hidden:
    """Loses one errand's answer, and hides the spoke's applications from the next call on."""

    def __init__(self, system, what):
        self.system, self.what, self.is_lost, self.things = system, what, False, {}

    def __call__(self, method, what):
        if self.is_lost and not self.things:
            self.things = {ref: one for ref, one in self.system.things.items() if ref.kind is APPLICATION}
            for ref in self.things:
                del self.system.things[ref]
        if what == self.what and not self.is_lost:
            self.is_lost = True
            return "lost_after"
        return None

    def show(self):
        self.system.things |= self.things


@pytest.fixture
def town(quick):
    return lambda **settings: Town(quick, **settings)


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_resume_travels_once_and_again_when_it_was_changed(town):
    town = town(resumes=TO_RIGHT)
    id_ = town.apply(resume=PDF)
    town.begin()
    assert [(at, content) for at, _, content in town.desk.attached] == [(town.across.ref.id, PDF)]
    town.hub_desk.files[id_] = PDF + b" and more"
    town.hub.edit(Ref(APPLICATION, id_), {"resume": "2"})
    town.run()
    town.run()
    assert [content for *_, content in town.desk.attached] == [PDF, PDF + b" and more"]


def test_a_new_version_with_the_same_bytes_is_not_sent_again(town):
    town = town(resumes=TO_RIGHT)
    id_ = town.apply(resume=PDF)
    town.begin()
    town.hub.edit(Ref(APPLICATION, id_), {"resume": "2"})
    town.run()
    assert len(town.desk.attached) == 1
    (deed,) = town.world.select(schema.deeds, schema.deeds.c.what == "attach")
    assert deed.version == town.world.row("rows", APPLICATION, id_).seen["resume"]


def test_one_file_for_two_applications_is_sent_once_to_who_keeps_it_with_the_person(town):
    town = town(resumes=TO_RIGHT)
    town.world.connectors["plain"] = shelf = ByPerson(town.spoke)
    ids = [town.apply(resume=PDF)]
    town.job = town.hub.add(JOB, {"title": "Cook", "code": "C1", "status": "open"})
    ids.append(town.apply(resume=PDF))
    town.begin()
    for id_ in ids:
        town.hub_desk.files[id_] = PDF + b" and more"
        town.hub.edit(Ref(APPLICATION, id_), {"resume": "2"})
    town.run(900.0)
    assert [content for *_, content in shelf.desk.attached] == [PDF, PDF + b" and more"]


@pytest.mark.parametrize("content", [b"MZ a program", b"<html>no resume</html>", b"x" * 1_000_001, b""])
def test_a_file_that_is_no_resume_is_held_by_itself(town, content):
    town = town(resumes=TO_RIGHT)
    town.apply(resume=PDF)
    town.hub_desk.files = dict.fromkeys(town.hub_desk.files, content)
    town.begin()
    assert town.desk.attached == []
    assert town.world.reasons() == ["file_refused"]
    assert town.across.fields["stage"] == "New"  # the record itself is not kept waiting


def test_a_lost_answer_is_looked_up_and_nothing_is_sent_twice(town):
    town = town(resumes=TO_RIGHT)
    town.apply(resume=PDF)
    lost = iter(["lost_after"])
    town.spoke.fault = lambda method, what: next(lost, None) if what == "attach" else None
    town.begin()
    assert len(town.desk.attached) == 1
    assert town.world.intents() == []


@pytest.mark.parametrize("what", ["attach", "screen"])
def test_what_was_out_when_its_target_vanished_is_done_once_though_it_comes_back(town, what):
    town = town(resumes=TO_RIGHT, screen_at="screening")
    id_ = town.apply(resume=PDF if what == "attach" else None)
    hidden = Hidden(town.spoke, what)
    if what == "attach":
        town.spoke.fault = hidden
    town.begin()
    if what == "screen":
        town.spoke.fault = hidden
        town.hub.edit(Ref(APPLICATION, id_), {"stage": "Screen"})
        town.run(900.0)
    assert "vanished" in town.world.reasons()
    hidden.show()
    town.run(900.0)
    assert len(town.desk.attached if what == "attach" else town.desk.leaves) == 1
    assert town.world.reasons() == ([] if what == "attach" else ["unknown_outcome"])


def test_an_answer_lost_before_the_effect_is_sent_again(town):
    town = town(resumes=TO_RIGHT)
    town.apply(resume=PDF)
    lost = iter(["lost_before"])
    town.spoke.fault = lambda method, what: next(lost, None) if what == "attach" else None
    town.begin()
    assert len(town.desk.attached) == 1


def test_a_source_that_is_away_does_not_rest_the_targets_lane(town):
    town = town(resumes=TO_RIGHT)
    town.apply(resume=PDF)
    town.hub.fault = lambda method, what: "lost_before" if what == "resume" else None
    town.begin()
    assert town.desk.attached == []
    assert town.engine.lanes["plain"].failures == 0
    town.hub.fault = lambda method, what: None
    town.run()
    assert len(town.desk.attached) == 1


def test_nobodys_resume_is_sent_whose_application_is_over(town):
    town = town(resumes=TO_RIGHT)
    town.apply(stage="Out", resume=PDF)
    town.begin()
    assert town.desk.attached == []


def test_no_bytes_of_a_file_are_in_the_store(town):
    town = town(resumes=TO_RIGHT)
    town.apply(resume=PDF)
    town.begin()
    rows = [str(row) for table in schema.metadata.sorted_tables for row in town.world.select(table)]
    assert not any("curriculum" in row for row in rows)


# --- screenings -----------------------------------------------------------------------------------------------------


def test_a_screening_makes_one_remark_of_each_form(town):
    town = town()
    id_ = town.apply()
    town.begin()
    town.found()
    town.run()
    town.run()
    assert sorted((at, form) for at, form, _ in town.hub_desk.remarks) == [(id_, "comment"), (id_, "rating")]
    text = town.hub_desk.remarks[0][2]
    assert "84 of 100" in text
    assert "Bakes well." in text
    assert "[sync:" in text


@pytest.mark.parametrize("fault", ["lost_after", "lost_before", "error_after", "refused"])
def test_whatever_becomes_of_the_answer_there_is_one_comment(town, fault):
    town = town()
    town.apply()
    town.begin()
    town.found()
    faults = iter([fault, fault])
    town.hub.fault = lambda method, what: next(faults, None) if what == "remark" else None
    town.run(900.0)
    assert sorted(form for _, form, _ in town.hub_desk.remarks) == ["comment", "rating"]


def test_a_lost_store_finds_its_remarks_again(town):
    town = town()
    town.apply()
    town.begin()
    town.found()
    town.run()
    with town.world.store.engine.begin() as connection:
        connection.execute(schema.deeds.delete())
        connection.execute(schema.records.update().values(settled=None))
        connection.execute(schema.pages.delete())
    town.run(1500.0)
    assert len(town.hub_desk.remarks) == 2


@pytest.mark.parametrize(
    "told", [{"result": "running"}, {"result": "broken"}, {"score": None, "verdict": None, "summary": None}]
)
def test_what_found_nothing_out_is_not_remarked(town, told):
    town = town()
    town.apply()
    town.begin()
    town.found(**told)
    town.run()
    assert town.hub_desk.remarks == []


def test_a_screening_that_ends_later_is_remarked_then(town):
    town = town()
    town.apply()
    town.begin()
    screening = town.found(result="running")
    town.run()
    town.spoke.edit(Ref(Kind.SCREENING, screening), {"result": "done"}, "system")
    town.run(900.0)
    assert len(town.hub_desk.remarks) == 2


def test_a_screening_that_names_only_person_and_job_finds_its_application(town):
    town = town()
    town.apply()
    town.begin()
    parents = {kind: town.across.parents[kind] for kind in (JOB, Kind.CANDIDATE)}
    town.spoke.add(Kind.SCREENING, FOUND, "system", parents=parents)
    town.run(900.0)
    assert len(town.hub_desk.remarks) == 2


def test_a_good_score_moves_an_application_if_the_pair_says_so(town):
    town = town(advances=((80.0, "interview"), (50.0, "screening")))
    id_ = town.apply()
    town.begin()
    town.found()
    town.run(900.0)
    assert town.hub.things[Ref(APPLICATION, id_)].fields["stage"] == "Talk"
    assert town.across.fields["stage"] == "Talk"


@pytest.mark.parametrize(("score", "stage"), [(79, "Screen"), (49, "New")])
def test_the_score_decides(town, score, stage):
    town = town(advances=((80.0, "interview"), (50.0, "screening")))
    id_ = town.apply()
    town.begin()
    town.found(score=score)
    town.run(900.0)
    assert town.hub.things[Ref(APPLICATION, id_)].fields["stage"] == stage


def test_a_rule_never_moves_back_nor_twice(town):
    town = town(advances=((80.0, "screening"),))
    id_ = town.apply(stage="Talk")
    town.begin()
    town.found()
    town.run(900.0)
    assert town.hub.things[Ref(APPLICATION, id_)].fields["stage"] == "Talk"
    town.hub.edit(Ref(APPLICATION, id_), {"stage": "New"})
    town.run(900.0)
    assert town.hub.things[Ref(APPLICATION, id_)].fields["stage"] == "New"


def test_a_humans_move_in_between_stays(town):
    town = town(advances=((80.0, "interview"),))
    id_ = town.apply()
    town.begin()
    town.found()
    ref = Ref(APPLICATION, id_)
    town.hub.fault = lambda method, what: town.hub.edit(ref, {"stage": "Out"}) if what == "remark" else None
    town.run(900.0)
    assert town.hub.things[ref].fields["stage"] == "Out"


def test_rules_are_off_unless_asked_for(town):
    town = town()
    id_ = town.apply()
    town.begin()
    town.found()
    town.run()
    assert town.hub.things[Ref(APPLICATION, id_)].fields["stage"] == "New"


# --- leave to phone, and scheduling ---------------------------------------------------------------------------------


def test_who_reaches_the_stage_afterwards_is_phoned_once(town):
    town = town(screen_at="screening")
    id_ = town.apply()
    town.begin()
    town.hub.edit(Ref(APPLICATION, id_), {"stage": "Screen"})
    town.run(900.0)
    assert town.desk.leaves == [town.across.ref.id]


def test_who_stood_there_before_is_not_phoned(town):
    town = town(screen_at="screening")
    town.apply(stage="Screen")
    town.begin()
    town.run(900.0)
    assert town.desk.leaves == []


@pytest.mark.parametrize("scope", ["*", "connection/rows"])
def test_a_first_look_that_found_a_system_stopped_is_made_when_it_goes_on(quick, scope):
    """Who stood there is not phoned then, and who comes there afterwards is."""
    town = Town(quick, screen_at="screening")
    town.apply(stage="Screen")
    town.world.store.run_now(switches.stop, scope, "paused", town.world.clock.now())
    town.begin()
    town.world.store.run_now(switches.start, scope)
    town.run(900.0)
    assert (len(town.spoke.of(APPLICATION)), town.desk.leaves) == (1, [])
    late = town.apply(name="Bob Lee", email="bob@example.com", phone="+12025550101")
    town.run(900.0)
    town.hub.edit(Ref(APPLICATION, late), {"stage": "Screen"})
    town.run(900.0)
    assert len(town.desk.leaves) == 1


@pytest.mark.parametrize(("answer", "phoned"), [(decide.RETRY, 1), (decide.DROP, 0)])
def test_a_person_says_whether_who_reached_the_stage_while_nothing_ran_and_the_config_changed_is_phoned(
    town, answer, phoned
):
    town = town(screen_at="screening")
    id_ = town.apply()
    town.apply(stage="Screen", name="Bo", email="bo@example.com")  # stood there before, and is no question
    town.begin()
    town.hub.edit(Ref(APPLICATION, id_), {"stage": "Screen"})
    for stamp in ("upgraded", "and again"):
        town.world.world = replace(town.world.world, stamp=stamp)
        town.engine = None
        town.run(900.0, learn=True)
    (hold,) = town.world.select(schema.holds)
    assert (hold.reason, town.desk.leaves) == ("reached_meanwhile", [])
    town.world.do(decide.resolve, hold.id, answer)
    town.run(900.0)
    town.run(900.0)
    assert (len(town.desk.leaves), town.world.reasons()) == (phoned, [])


def test_nobody_is_phoned_at_a_default_number(quick):
    facts = {"rows": with_papers("rows"), "plain": with_papers("plain")}
    world = Town(quick, screen_at="screening", defaults={"plain": {"phone": "+12025550199"}})
    assert facts
    id_ = world.apply(phone=None)
    world.begin()
    world.hub.edit(Ref(APPLICATION, id_), {"stage": "Screen"})
    world.run(900.0)
    assert world.desk.leaves == []


def test_nobody_is_phoned_who_left_the_stage_before_the_call_went_out(town):
    town = town(screen_at="screening")
    id_ = town.apply()
    town.begin()
    town.spoke.fault = lambda method, what: "refused" if what == "screen" else None
    town.hub.edit(Ref(APPLICATION, id_), {"stage": "Screen"})
    town.run(900.0)
    assert [intent.call for intent in town.world.select(schema.intents)] == ["screen"]
    town.hub.edit(Ref(APPLICATION, id_), {"stage": "Out"})
    town.run(900.0)
    town.spoke.fault = lambda method, what: None
    town.run(900.0)
    assert town.desk.leaves == []
    assert [intent.call for intent in town.world.select(schema.intents)] == []


def test_a_job_that_was_opened_again_before_the_call_went_out_keeps_its_appointments(town):
    town = town()
    town.apply()
    town.begin()
    (job,) = town.spoke.of(JOB)
    town.desk.scheduling.add(job.ref.id)
    town.spoke.fault = lambda method, what: "refused" if what == "unschedule" else None
    town.hub.edit(Ref(JOB, town.job), {"status": "closed"})
    town.run(900.0)
    town.hub.edit(Ref(JOB, town.job), {"status": "open"})
    town.run(900.0)
    town.spoke.fault = lambda method, what: None
    town.run(900.0)
    assert town.desk.scheduling == {job.ref.id}


def test_an_unknown_outcome_is_looked_up_and_never_repeated(town):
    town = town(screen_at="screening")
    id_ = town.apply()
    town.begin()
    lost = iter(["lost_before"])
    town.spoke.fault = lambda method, what: next(lost, None) if what == "screen" else None
    town.hub.edit(Ref(APPLICATION, id_), {"stage": "Screen"})
    town.run(900.0)
    assert town.desk.leaves == []
    assert town.world.reasons() == ["unknown_outcome"]


def test_a_job_that_is_closed_makes_no_more_appointments(town):
    town = town()
    town.apply()
    town.begin()
    (job,) = town.spoke.of(JOB)
    town.desk.scheduling.add(job.ref.id)
    town.hub.edit(Ref(JOB, town.job), {"status": "closed"})
    town.run(900.0)
    assert town.desk.scheduling == set()


def test_what_a_person_drops_is_not_asked_for_again(town):
    town = town(resumes=TO_RIGHT)
    town.apply(resume=b"MZ")
    town.begin()
    (hold,) = town.world.select(schema.holds)
    told = town.world.do(decide.resolve, hold.id, "drop")
    assert "not done" in told
    town.run(1500.0)
    assert town.world.reasons() == []


def test_a_file_is_not_sent_back_to_where_it_came_from(town):
    town = town(resumes=frozenset(End))
    town.apply(resume=PDF)
    town.begin()
    (at, _, content) = town.desk.attached[0]
    town.desk.files[at] = content
    town.spoke.edit(Ref(APPLICATION, at), {"resume": "9"}, "system")
    town.run(900.0)
    assert town.hub_desk.attached == []


# --- deaths ---------------------------------------------------------------------------------------------------------


class Mortal:
    """Dies before or after the write of a number, or the reading that leads to it; counts them all."""

    def __init__(self, town, at=None):
        self.at, self.count, self.counts = at, 0, False
        for system in (town.hub, town.spoke):
            system.fault, system.crash = self.before, self.after

    def before(self, method, what):
        self.counts = method != "GET" or what in {"resume", "remarks", "attached", "may_screen", "scheduling"}
        self._passes(self.counts)

    def after(self, moment):
        self._passes(self.counts and moment == "after_call")

    def _passes(self, counts):
        self.count += counts
        if counts and self.count == self.at:
            raise KeyboardInterrupt


def a_day(memory, at=None):
    """A day in which a résumé travels, a screening ends, somebody is let be phoned and a job closes; with one death."""
    town = Town(worlds_on(memory), resumes=TO_RIGHT, screen_at="screening", advances=((80.0, "interview"),))
    id_ = town.apply(resume=PDF)
    town.begin()
    mortal = Mortal(town, at)
    town.found()
    town.hub.edit(Ref(APPLICATION, id_), {"stage": "Screen", "resume": "2"})
    town.hub_desk.files[id_] = PDF + b" again"
    for _ in range(2):
        try:
            town.run(500.0)
        except KeyboardInterrupt:
            town.engine = None
    return town, mortal.count, id_


@pytest.mark.parametrize("lane", range(2))
def test_a_death_at_any_errands_call_changes_nothing(memory, lane):
    _, moments, _ = a_day(memory)
    assert moments >= 20
    for at in range(1 + lane, moments + 1, 2 * EACH):
        played, _, id_ = a_day(memory, at)
        forms = sorted(form for _, form, _ in played.hub_desk.remarks)
        assert forms == ["comment", "rating"], at
        assert [content for *_, content in played.desk.attached][-1] == PDF + b" again", at
        assert len(played.desk.leaves) <= 1, at
        held = {hold.reason for hold in played.world.holds()}
        has_moved_on = "wanted_no_more" in {line.detail for line in played.world.select(schema.journal)}
        assert played.desk.leaves or held == {"unknown_outcome"} or has_moved_on, at
        assert played.hub.things[Ref(APPLICATION, id_)].fields["stage"] == "Talk", at
