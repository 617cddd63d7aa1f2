"""What a person decides, carried out by the real engine against systems in memory, on both databases."""

from dataclasses import replace

import pytest

from syncd import decide, intents, look, schema, switches
from syncd.decide import Refused
from syncd.errors import Rejected
from syncd.model import Ref
from tests.unit.small_world import APPLICATION, CANDIDATE, JOB, TO_RIGHT, application, job, person, row

SOME_POLLS_S = 130.0
A_SWEEP_S = 700.0


class Scene:
    """A hub of rows and one spoke in which Ann has applied for one job, in step."""

    def __init__(self, small, **settings):
        self.world = small("rows", "plain", **settings)
        self.hub, self.spoke = self.world.systems["rows"], self.world.systems["plain"]
        self.job = self.hub.add(JOB, {"title": "Baker", "code": None, "status": "open"})
        self.row = self.apply("Ann Lee", "ann@example.com")
        self.world.live(SOME_POLLS_S, learn=True)

    def apply(self, name, email, job_id=None):
        fields = {"name": name, "email": email, "phone": "+12025550100", "stage": "New"}
        return self.hub.add(APPLICATION, fields, parents={JOB: job_id or self.job})

    def run(self, seconds=SOME_POLLS_S):
        self.world.live(seconds)

    def at_spoke(self, kind=APPLICATION):
        return [thing.ref for thing in self.spoke.of(kind)]

    def values(self, name):
        """What hub and spoke say about Ann."""
        kind = APPLICATION if name == "stage" else CANDIDATE
        there = self.spoke.things[self.at_spoke(kind)[0]].fields[name]
        return self.hub.things[Ref(APPLICATION, self.row)].fields[name], there

    def edit(self, name, here=None, there=None):
        kind = APPLICATION if name == "stage" else CANDIDATE
        if here is not None:
            self.hub.edit(Ref(APPLICATION, self.row), {name: here})
        if there is not None:
            self.spoke.edit(self.at_spoke(kind)[0], {name: there})

    def hold(self):
        """The number of the one thing that is held."""
        (found,) = self.world.select(schema.holds)
        return found.id

    def resolve(self, choice, other=None):
        return self.world.do(decide.resolve, self.hold(), choice, other)

    def said(self, what):
        return [line.detail for line in self.world.journal(what)]


@pytest.fixture
def scene(small):
    made = Scene(small)
    assert made.values("stage") == ("New", "New")
    assert made.world.reasons() == []
    return made


# --- conflicts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("choice", "stays"), [("take left", "Talk"), ("take right", "Deal")])
@pytest.mark.parametrize(
    ("name", "left", "right"), [("stage", "Talk", "Deal"), ("phone", "+12025550111", "+12025550122")]
)
def test_the_side_that_was_taken_goes_to_the_other_end(scene, name, left, right, choice, stays):
    scene.edit(name, left, right)
    scene.run()
    assert scene.world.reasons() == ["conflict"]
    scene.resolve(choice)
    scene.run()
    expected = {"Talk": left, "Deal": right}[stays]
    assert scene.values(name) == (expected, expected)
    assert scene.world.reasons() == []
    assert scene.said("decided") == [choice.removeprefix("take ")]


def test_a_decision_is_asked_again_if_an_end_moves_before_it_is_carried_out(scene):
    scene.edit("stage", "Talk", "Deal")
    scene.run()
    scene.resolve("take left")
    scene.edit("stage", there="In")
    scene.run()
    assert scene.values("stage") == ("Talk", "In")
    assert scene.world.reasons() == ["terminal_conflict"]


def test_a_dropped_conflict_is_left_as_it_is_until_an_end_changes_again(scene):
    scene.edit("stage", "Talk", "Deal")
    scene.run()
    scene.resolve("drop")
    scene.run(A_SWEEP_S)
    assert scene.values("stage") == ("Talk", "Deal")
    assert scene.world.reasons() == []
    scene.edit("stage", here="Screen")
    scene.run()
    assert scene.values("stage") == ("Screen", "Screen")


def test_an_end_that_says_nothing_cannot_be_taken(small):
    """Taken as empty it would wipe the other end's value."""
    world = small("rows", "plain")
    silent = replace(application("a1", "p1", "q1"), fields={})
    world.known(rows=(job("h1"), *row("1", "h1", "Coffee")), plain=(job("p1"), person("q1"), silent))
    assert world.reasons() == ["unmapped_stage"]
    (hold,) = world.select(schema.holds)
    with pytest.raises(Refused, match="plain says nothing of the stage"):
        world.do(decide.resolve, hold.id, "take right")
    assert (world.intents(), world.marks()) == ([], set())


def test_a_side_cannot_be_taken_to_where_the_pair_does_not_write(small):
    world = small("rows", "plain", flows={JOB: TO_RIGHT, CANDIDATE: TO_RIGHT, APPLICATION: TO_RIGHT})
    world.proven()
    world.told("rows", job("h1"), *row("1", "h1", name="Ann Lee"))
    world.told("plain", person("q1", name="Anna Li"))
    (hold,) = [hold.id for hold in world.select(schema.holds) if hold.reason == "other_name"]
    with pytest.raises(Refused, match="the name cannot be written at rows"):
        world.do(decide.resolve, hold, "take right")
    world.do(decide.resolve, hold, "take left")
    assert world.updates() == {("plain", "q1", (("name", "Ann Lee"),))} or world.marks("rows")


@pytest.mark.parametrize(("choice", "stays"), [("take left", "Ann Lee"), ("take right", "Anna Li"), ("drop", None)])
def test_one_answer_settles_all_that_two_records_differ_in_at_first_sight(small, choice, stays):
    world = small("rows", "plain")
    hub, spoke = world.systems["rows"], world.systems["plain"]
    job_ids = [system.add(JOB, {"title": "Baker", "code": None, "status": "open"}) for system in (hub, spoke)]
    ann = {"name": "Ann Lee", "email": "a@example.com", "phone": "+12025550100", "stage": "New"}
    row_id = hub.add(APPLICATION, ann, parents={JOB: job_ids[0]})
    other = spoke.add(CANDIDATE, {"name": "Anna Li", "email": "a@example.com", "phone": "+12025550199"})
    world.live(SOME_POLLS_S, learn=True)
    (hold,) = world.select(schema.holds)
    assert (hold.reason, hold.field) == ("other_name", "name phone")
    world.do(decide.resolve, hold.id, choice)
    world.live(SOME_POLLS_S)
    assert world.reasons() == []
    told = {hub.things[Ref(APPLICATION, row_id)].fields["name"], spoke.things[Ref(CANDIDATE, other)].fields["name"]}
    assert told == ({stays} if stays else {"Ann Lee", "Anna Li"})
    phones = {hub.things[Ref(APPLICATION, row_id)].fields["phone"], spoke.things[Ref(CANDIDATE, other)].fields["phone"]}
    assert len(phones) == (1 if stays else 2)


def test_an_answer_that_makes_no_sense_is_refused_with_those_that_do(scene):
    scene.edit("stage", "Talk", "Deal")
    scene.run()
    with pytest.raises(Refused, match="it takes: take left, take right, drop"):
        scene.resolve("link", "x")
    with pytest.raises(Refused, match="nothing is held under number 999"):
        scene.world.do(decide.resolve, 999, "drop")


# --- writes that were refused ---------------------------------------------------------------------------------------


@pytest.fixture
def refused(scene, monkeypatch):
    """The spoke refuses every change, until ``mended``."""
    connector = scene.world.connectors["plain"]

    async def refuse(record, fields):
        raise Rejected("PATCH answered 422: the stage may not be skipped")

    with monkeypatch.context() as patch:
        patch.setattr(connector, "update", refuse)
        scene.edit("stage", here="Talk")
        scene.run()
    assert scene.world.reasons() == ["rejected"]
    return scene


def test_a_refused_write_goes_out_again_when_it_is_tried_again(refused):
    refused.resolve("retry")
    refused.run()
    assert refused.values("stage") == ("Talk", "Talk")
    assert refused.world.reasons() == []


def test_a_dropped_write_does_not_come_back_by_itself(refused):
    refused.resolve("drop")
    refused.run(A_SWEEP_S)
    assert refused.values("stage") == ("Talk", "New")
    assert (refused.world.reasons(), refused.world.intents()) == ([], [])
    assert refused.said("dropped") == ["rejected"]
    refused.edit("stage", there="Screen")
    refused.run()
    assert refused.values("stage") == ("Screen", "Screen")


@pytest.fixture
def unmade(scene, monkeypatch):
    """Bob has applied, and the spoke refuses to create him."""

    async def refuse(draft, key):
        raise Rejected("POST answered 422: no")

    with monkeypatch.context() as patch:
        patch.setattr(scene.world.connectors["plain"], "create", refuse)
        scene.bob = scene.apply("Bob Ray", "bob@example.com")
        scene.run()
    assert scene.world.reasons() == ["rejected"]
    return scene


def test_a_refused_create_is_made_once_when_it_is_tried_again(unmade):
    unmade.resolve("retry")
    unmade.run()
    assert len(unmade.at_spoke(CANDIDATE)) == 2
    assert len(unmade.at_spoke(APPLICATION)) == 2


def test_a_dropped_create_stays_away_until_its_link_is_cut(unmade):
    unmade.resolve("drop")
    unmade.run(A_SWEEP_S)
    assert len(unmade.at_spoke(CANDIDATE)) == 1
    assert unmade.world.reasons() == []
    (link,) = [link for link in unmade.world.links(CANDIDATE) if link.right is None]
    assert link.how == look.LET_BE
    unmade.world.do(decide.cut_link, link.id)
    unmade.run()
    assert len(unmade.at_spoke(CANDIDATE)) == 2


def test_a_create_of_unknown_outcome_is_looked_up_before_it_is_sent_again(unmade):
    intent = unmade.world.intent(call="create")
    unmade.world.do(intents.hold_intent, intent, "unknown_outcome")
    unmade.resolve("retry")
    assert unmade.world.intent(call="create").state == "unknown"


# --- what vanished --------------------------------------------------------------------------------------------------


@pytest.fixture
def vanished(scene):
    """Somebody deleted Ann's application at the spoke."""
    (ref,) = scene.at_spoke(APPLICATION)
    scene.kept = scene.spoke.things[ref]
    scene.spoke.remove(ref)
    scene.world.gone("plain", ref)
    assert scene.world.reasons() == ["vanished"]
    return scene


def test_what_vanished_rests_when_dropped_and_is_not_made_again(vanished):
    vanished.resolve("drop")
    vanished.run(A_SWEEP_S)
    assert vanished.at_spoke(APPLICATION) == []
    assert vanished.world.reasons() == []


def test_a_link_that_rests_can_be_undone(vanished):
    vanished.resolve("drop")
    vanished.world.do(decide.cut_link, vanished.world.link(APPLICATION).id)
    vanished.run()
    assert len(vanished.at_spoke(APPLICATION)) == 1


def test_what_vanished_is_asked_for_once_more(vanished):
    ref = vanished.kept.ref
    vanished.spoke.things[ref] = vanished.kept
    vanished.resolve("retry")
    assert ("plain", ref.id, "asked") in vanished.world.marks()
    vanished.run()
    assert vanished.world.reasons() == []
    assert vanished.world.link(APPLICATION).right == ref.id


def test_a_link_whose_both_ends_are_gone_is_cut(vanished):
    vanished.world.gone("rows", Ref(APPLICATION, vanished.row))
    (hold,) = [hold.id for hold in vanished.world.select(schema.holds) if hold.kind == APPLICATION]
    vanished.world.do(decide.resolve, hold, "drop")
    assert vanished.world.links(APPLICATION) == []


# --- which is which -------------------------------------------------------------------------------------------------


@pytest.fixture
def ambiguous(small):
    """Two jobs of the spoke have the title of the hub's one."""
    world = small("rows", "plain")
    world.proven()
    world.told("plain", job("p1"), job("p2"))
    world.told("rows", job("h1"))
    return world


def hub_hold(world):
    return next(row.id for row in world.select(schema.holds) if row.connection == "rows")


def test_a_person_says_which_of_the_choices_it_is(ambiguous):
    assert ambiguous.reasons() == ["ambiguous_job"]
    told = ambiguous.do(decide.resolve, hub_hold(ambiguous), "link", "p2")
    assert "rows job h1 and plain job p2 are linked" in told
    assert (ambiguous.link(JOB).left, ambiguous.link(JOB).right, ambiguous.link(JOB).how) == ("h1", "p2", "hand")
    assert ambiguous.reasons() == []


def test_a_person_says_that_it_is_none_of_them(ambiguous):
    ambiguous.do(decide.resolve, hub_hold(ambiguous), "new")
    ambiguous.told("rows", job("h1"))
    assert ambiguous.intent("plain").call == "create"
    assert ambiguous.reasons() == []


def test_to_link_wants_to_know_with_what(ambiguous):
    with pytest.raises(Refused, match="say with which record"):
        ambiguous.do(decide.resolve, hub_hold(ambiguous), "link")


def test_a_record_that_is_held_is_read_again_when_asked(ambiguous):
    ambiguous.do(decide.resolve, hub_hold(ambiguous), "retry")
    assert ("rows", "h1", "asked") in ambiguous.marks()
    assert ambiguous.reasons() == ["ambiguous_job"]


def test_rows_that_differ_may_stay_so(scene):
    row = {
        "pair": None, "connection": "rows", "kind": "candidate", "ref": scene.row, "link": None, "intent": None,
        "field": "phone", "reason": "rows_differ", "detail": "h9", "opened_at": 0.0,
    }  # fmt: skip
    scene.world.do(lambda work: work.sql.execute(schema.holds.insert().values(row)))
    scene.resolve("drop")
    assert scene.world.reasons() == []
    assert scene.said("dropped") == ["rows_differ"]


# --- links by hand --------------------------------------------------------------------------------------------------


def test_a_cut_link_is_not_made_again_by_itself_and_takes_its_applications_along(scene):
    person_link, application_link = scene.world.link(CANDIDATE), scene.world.link(APPLICATION)
    scene.world.do(decide.cut_link, person_link.id)
    scene.run(A_SWEEP_S)
    known = {link.id for link in scene.world.links()}
    assert not known & {person_link.id, application_link.id}
    assert "email_taken" in scene.world.reasons()
    assert len(scene.at_spoke(CANDIDATE)) == 1
    cuts = {(row.kind, row.left, row.right) for row in scene.world.select(schema.cuts)}
    assert cuts == {(link.kind, link.left, link.right) for link in (person_link, application_link)}


def test_a_link_made_by_hand_undoes_a_cut(scene):
    link = scene.world.link(CANDIDATE)
    scene.world.do(decide.cut_link, link.id)
    scene.world.do(decide.add_link, "rows-plain", "candidate", link.left, link.right)
    scene.run(A_SWEEP_S)
    assert scene.world.link(CANDIDATE).how == "hand"
    assert scene.world.reasons() == []
    scene.edit("phone", here="+12025550133")
    scene.run()
    assert scene.values("phone") == ("+12025550133", "+12025550133")


def test_a_create_that_waits_gives_way_to_a_link_by_hand(unmade):
    id_ = unmade.spoke.add(CANDIDATE, {"name": "Robert Ray", "email": "rob@example.com", "phone": None})
    unmade.world.told("plain", person(id_, name="Robert Ray", email="rob@example.com"))
    unmade.world.do(decide.add_link, "rows-plain", "candidates", unmade.bob, id_)
    assert [intent for intent in unmade.world.intents() if intent.kind == CANDIDATE] == []
    unmade.run()
    assert len(unmade.at_spoke(CANDIDATE)) == 2


def test_a_create_that_is_under_way_does_not_give_way(unmade):
    intent = unmade.world.intent(call="create")
    intent.state = "sent"
    unmade.world.do(intents.save_intent, intent)
    link = next(link for link in unmade.world.links(CANDIDATE) if link.right is None)
    with pytest.raises(Refused, match="is under way"):
        unmade.world.do(decide.cut_link, link.id)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere", "job", "h1", "p1"), 'there is no pair "nowhere"; there are: rows-plain'),
        (("rows-plain", "horse", "h1", "p1"), '"horse" is no kind'),
        (("rows-plain", "screening", "h1", "p1"), "keeps no screenings in step"),
        (("rows-plain", "job", "h1", "p9"), "job p9 is not known at plain, the right end"),
        (("rows-plain", "job", "h1", "p1"), "they are linked already"),
        (("rows-plain", "job", "h1", "p2"), "job h1 is linked with p1"),
        (("rows-plain", "application", "1", "a2"), "first: syncd links add rows-plain job h1 p2"),
    ],
)
def test_a_link_that_cannot_be_is_refused_with_the_reason(small, arguments, sentence):
    world = small("rows", "plain")
    world.proven()
    world.told("plain", job("p1"), job("p2", title="Cook"))
    world.told("rows", job("h1"))
    world.told("rows", *row("1", "h1"))
    world.told("plain", person("q2", email="bob@example.com"), application("a2", "p2", "q2"))
    with pytest.raises(Refused, match=sentence):
        world.do(decide.add_link, *arguments)


def test_a_link_that_is_not_there_cannot_be_cut(scene):
    with pytest.raises(Refused, match="there is no link 999"):
        scene.world.do(decide.cut_link, 999)


# --- switches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, "rows", "plain", "rows-plain", "connection/plain"])
def test_what_rests_writes_nothing_until_it_goes_on(scene, name):
    assert "rests until `syncd resume" in scene.world.do(decide.pause, name)
    scene.edit("stage", here="Talk")
    scene.run()
    assert scene.values("stage") == ("Talk", "New")
    assert "goes on" in scene.world.do(decide.resume, name)
    scene.run()
    assert scene.values("stage") == ("Talk", "Talk")


def test_a_switch_of_an_unknown_name_tells_the_known_ones(scene):
    with pytest.raises(Refused, match=r'nothing is called "acme"; there are: plain, rows, rows-plain'):
        scene.world.do(decide.pause, "acme")


def test_resuming_what_runs_says_so(scene):
    assert scene.world.do(decide.resume, None).startswith("Nothing was stopped as a whole; `syncd status`")


def test_a_side_that_is_suddenly_empty_goes_on_only_when_allowed_and_then_holds_what_is_gone(scene):
    scene.spoke.remove(scene.at_spoke(APPLICATION)[0])
    _sweep(scene.world, "plain", "applications")
    why = "emptied: 1 linked records are missing from applications"
    scene.world.do(lambda work: switches.stop(work.sql, "connection/plain", why, work.tx.now))
    with pytest.raises(Refused, match="syncd resume plain --allow-empty"):
        scene.world.do(decide.resume, "plain")
    scene.world.do(decide.resume, "plain", allow_empty=True)
    assert [why for name, _, why in scene.world.marks() if name == "plain"] == ["absent"]
    scene.run()
    assert scene.world.reasons() == ["vanished"]


def _sweep(world, name, walk):
    """A list that tells nothing any more is walked to its proven end."""
    world.begin(name, walk)
    world.listed(name, walk, (), position="elsewhere")
    assert world.end(name, walk) != []


def test_a_plan_that_was_too_large_goes_on_only_when_allowed(scene):
    scene.world.do(lambda work: switches.stop(work.sql, "pair/rows-plain", "large: 90 changes to 100 links", 0.0))
    with pytest.raises(Refused, match="syncd resume rows-plain --allow-large"):
        scene.world.do(decide.resume, "rows-plain", allow_empty=True)
    scene.world.do(decide.resume, "rows-plain", allow_large=True)
    assert scene.world.select(schema.switches) == []


def test_decisions_wake_the_lanes_that_have_work(scene):
    woken = []

    def resume(work):
        decide.pause(work, None)
        decide.resume(work, None)
        woken.extend(sorted(work.woken))

    scene.world.do(resume)
    assert woken == ["plain", "rows"]
