"""Small worlds and what happens in them, each named with a sentence: what is played with a death at every moment."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from connectors.memory import FACTS
from syncd import decide, schema, webhooks
from syncd.connector import Notice
from syncd.model import Kind
from tests.simulation.stage import Command, Scenario, Script, Stage, Wait
from tests.unit.papers_world import PDF, SCREENER, WORDS, PaperConnector, ScreenerConnector, with_papers
from tests.unit.small_world import APPLICATION, BOTH, CANDIDATE, JOB, TO_LEFT, TO_RIGHT, SmallWorld

POLL_S = 30.0
FLOWS = {JOB: TO_RIGHT, CANDIDATE: BOTH, APPLICATION: BOTH}
PAPERS = {**FLOWS, Kind.SCREENING: TO_LEFT}
FOUND = {
    "result": "done",
    "score": 84,
    "verdict": "fits",
    "summary": "Bakes well.",
    "strengths": None,
    "weaknesses": "x",
}


# --- worlds ---------------------------------------------------------------------------------------------------------


def _in_step(world: SmallWorld) -> SmallWorld:
    world.live(300.0, learn=True)
    return world


def _with_a_job(world: SmallWorld, description: str = "B1") -> str:
    return world.systems["hub"].add(JOB, {"title": "Baker", "code": description, "status": "open"})


def _row(world: SmallWorld, who: str, job: str, stage: str = "New", **more: Any) -> str:
    fields = {"name": who, "email": f"{who.lower()}@example.com", "phone": "+12025550100", "stage": stage, **more}
    return world.systems["hub"].add(APPLICATION, fields, parents={JOB: job})


def _town(*spokes: str, empty: bool = False, **settings: Any) -> Callable[[sa.Engine], SmallWorld]:
    """A hub of rows and spokes: a job and a person at it, in step; or nothing yet."""

    def made(database: sa.Engine) -> SmallWorld:
        world = SmallWorld(database, "hub=rows", *spokes, flows=FLOWS, poll_s=POLL_S, sweep_s=600.0, **settings)
        if empty:
            return world
        _row(world, "Ann", _with_a_job(world))
        return _in_step(world)

    return made


def _office(database: sa.Engine) -> SmallWorld:
    """A hub and a spoke with papers: files, remarks, screenings that it makes, calls, appointments."""
    facts = {"hub": with_papers("rows"), "spoke": with_papers("plain")}
    settings = {"screen_at": "screening", "advances": ((80.0, "interview"),), "resumes": TO_RIGHT}
    world = SmallWorld(database, "hub=rows", "spoke=plain", facts=facts, words=dict.fromkeys(facts, WORDS),
                       flows=PAPERS, poll_s=POLL_S, sweep_s=600.0, **settings)  # fmt: skip
    world.connectors = {name: PaperConnector(system) for name, system in world.systems.items()}
    _row(world, "Ann", _with_a_job(world), resume=None)
    return _in_step(world)


def _bakery(database: sa.Engine) -> SmallWorld:
    """A hub whose people are screened by the batch, for money, when they reach a stage."""
    words = {"hub": {**WORDS, "fields": {**WORDS["fields"], "job": {"description": "code"}}}, "spoke": WORDS}
    world = SmallWorld(database, "hub=rows", "spoke=plain", facts={"hub": with_papers("rows"), "spoke": SCREENER},
                       words=words, flows={APPLICATION: BOTH, Kind.SCREENING: TO_LEFT}, poll_s=POLL_S, sweep_s=600.0,
                       screen_at="screening", collect_s=20.0)  # fmt: skip
    hub, spoke = PaperConnector(world.systems["hub"]), ScreenerConnector(world.systems["spoke"])
    world.connectors = {"hub": hub, "spoke": spoke}
    job = _with_a_job(world, "Bakes bread and cakes for the whole town.")
    for who in ("Ann", "Bob"):
        hub.desk.files[_row(world, who, job, resume="1")] = PDF + who.encode()
    return _in_step(world)


def _two_places(database: sa.Engine) -> SmallWorld:
    """A spoke whose applications tell their stage twice."""
    facts = FACTS["plain"]
    known = facts.kinds[APPLICATION]
    own = replace(known, lists=known.lists | {"mirror"}, writes={**known.writes, "mirror": "mirror"}, mirror="mirror")
    words = {"spoke": {"fields": {"application": {"person_stage": "mirror"}}}}
    facts = replace(facts, kinds={**facts.kinds, APPLICATION: own})
    world = SmallWorld(database, "hub=rows", "spoke=plain", facts={"spoke": facts}, words=words, flows=FLOWS,
                       poll_s=POLL_S, sweep_s=600.0)  # fmt: skip
    _row(world, "Ann", _with_a_job(world))
    _in_step(world)
    (thing,) = world.systems["spoke"].of(APPLICATION)
    world.systems["spoke"].edit(thing.ref, {"mirror": "New"}, "system")
    world.live(120.0)
    return world


def _dated(database: sa.Engine) -> SmallWorld:
    """A hub that tells when somebody begins, and a spoke that takes it along with a move and never tells it."""
    hub, spoke = FACTS["rows"], FACTS["plain"]
    tells = replace(hub.kinds[APPLICATION], lists=hub.kinds[APPLICATION].lists | {"begin"})
    takes = spoke.kinds[APPLICATION]
    takes = replace(takes, writes={**takes.writes, "begin": "move"}, untold=frozenset({"begin"}))
    facts = {
        "hub": replace(hub, kinds={**hub.kinds, APPLICATION: tells}),
        "spoke": replace(spoke, kinds={**spoke.kinds, APPLICATION: takes}),
    }
    words = {name: {"fields": {"application": {"start_date": "begin"}}} for name in facts}
    world = SmallWorld(database, "hub=rows", "spoke=plain", facts=facts, words=words, flows=FLOWS, poll_s=POLL_S,
                       sweep_s=600.0)  # fmt: skip
    _row(world, "Ann", _with_a_job(world), begin=None)
    return _in_step(world)


def _person_with_two_rows(database: sa.Engine) -> SmallWorld:
    """Somebody who applied to two jobs at the hub, and so is two rows there."""
    world = SmallWorld(database, "hub=rows", "spoke=plain", flows=FLOWS, poll_s=POLL_S, sweep_s=600.0)
    _row(world, "Ann", _with_a_job(world))
    _row(world, "Ann", world.systems["hub"].add(JOB, {"title": "Cook", "code": "C1", "status": "open"}))
    return _in_step(world)


# --- scripts --------------------------------------------------------------------------------------------------------


def _first_look(stage: Stage) -> Iterator[Wait]:
    _row(stage.world, "Ann", _with_a_job(stage.world))
    yield stage.told("spoke", APPLICATION)


def _newcomer_at_hub(stage: Stage) -> Iterator[Wait]:
    stage.apply("hub", "Bob", "Talk")
    yield stage.told("spoke", CANDIDATE, name="Bob")


def _new_job(stage: Stage) -> Iterator[Wait]:
    job = stage.hub.add(JOB, {"title": "Cook", "code": "C1", "status": "open"})
    _row(stage.world, "Bob", job)
    yield 60.0


def _answer_lost(fault: str, kind: Kind) -> Script:
    def script(stage: Stage) -> Iterator[Wait]:
        stage.when("spoke", "POST", kind.value, fault)
        stage.apply("hub", "Bob")
        yield stage.told("spoke", CANDIDATE, name="Bob")

    return script


def _taken(stage: Stage) -> Iterator[Wait]:
    """Somebody adds the same person by hand after we looked and before our create arrives."""

    def add() -> None:
        stage.apply("spoke", "Bob")

    stage.when("spoke", "POST", "application", add)
    stage.apply("hub", "Bob")
    yield stage.told("spoke", CANDIDATE, name="Bob")


def _edits(stage: Stage) -> Iterator[Wait]:
    stage.hub.edit(stage.one("hub", APPLICATION).ref, {"phone": "+12025550111", "name": "Ann Lee"})
    yield stage.told("spoke", CANDIDATE, phone="+12025550111", name="Ann Lee")


def _other_field_meanwhile(stage: Stage) -> Iterator[Wait]:
    """While our phone number is on its way, somebody at the spoke corrects the name."""
    ref = stage.one("spoke", CANDIDATE).ref
    stage.when("spoke", "GET", "candidate", lambda: stage.spoke.edit(ref, {"name": "Anna"}))
    stage.hub.edit(stage.one("hub", APPLICATION).ref, {"phone": "+12025550111"})
    yield stage.told("hub", APPLICATION, name="Anna", phone="+12025550111")


def _same_field_meanwhile(stage: Stage) -> Iterator[Wait]:
    """While our stage is on its way, somebody at the spoke moves the application elsewhere: a person is asked."""
    ref = stage.one("spoke", APPLICATION).ref
    stage.when("spoke", "GET", "application", lambda: stage.spoke.edit(ref, {"stage": "Out"}))
    stage.hub.edit(stage.one("hub", APPLICATION).ref, {"stage": "Deal"})
    yield lambda: bool(stage.world.holds())


def _move_without_an_answer(stage: Stage) -> Iterator[Wait]:
    stage.spoke.edit(stage.one("spoke", APPLICATION).ref, {"stage": "Deal"})
    yield stage.told("hub", APPLICATION, stage="Deal")


def _there_and_back(stage: Stage) -> Iterator[Wait]:
    ref = stage.one("hub", APPLICATION).ref
    stage.hub.edit(ref, {"stage": "Talk"})
    yield stage.told("spoke", APPLICATION, stage="Talk")
    stage.hub.edit(ref, {"stage": "New"})
    yield stage.told("spoke", APPLICATION, stage="New")


def _back_while_unknown(stage: Stage) -> Iterator[Wait]:
    """The answer to our move is lost; meanwhile somebody at the spoke moves the application back."""
    ref = stage.one("spoke", APPLICATION).ref
    stage.when("spoke", "PATCH", "application", "lost_after")
    stage.hub.edit(stage.one("hub", APPLICATION).ref, {"stage": "Talk"})
    yield stage.told("spoke", APPLICATION, stage="Talk")
    yield 1.0
    stage.spoke.edit(ref, {"stage": "New"})
    yield 60.0


def _is_not_undone(stage: Stage) -> str | None:
    """I5: whoever moved it back is not overruled; the hub follows, or a person is asked what became of our move."""
    hub, spoke = (stage.one(name, APPLICATION).fields["stage"] for name in ("hub", "spoke"))
    held = {hold.reason for hold in stage.world.holds() if hold.field == "stage"}
    if spoke != "New":
        return f"I5 the spoke was moved to {spoke} again"
    return None if hub == "New" or held else f"I20 {hub} at the hub, not held"


def _two_spokes(stage: Stage) -> Iterator[Wait]:
    stage.spoke.edit(stage.one("spoke", APPLICATION).ref, {"stage": "Talk"})
    stage.other.edit(stage.one("other", APPLICATION).ref, {"stage": "Deal"})
    yield 120.0


def _both_are_kept(stage: Stage) -> str | None:
    """I4 and I20: a person is asked and both moves still stand, or all agree on one of them."""
    told = {name: stage.one(name, APPLICATION).fields["stage"] for name in stage.world.systems}
    if any(hold.field == "stage" for hold in stage.world.holds()):
        return None if (told["spoke"], told["other"]) == ("Talk", "Deal") else f"I4 a move was overwritten: {told}"
    return None if set(told.values()) in ({"Talk"}, {"Deal"}) else f"I20 {told}, not held"


def _resume(stage: Stage) -> Iterator[Wait]:
    row = stage.one("hub", APPLICATION)
    stage.desk("hub").files[row.ref.id] = PDF
    stage.hub.edit(row.ref, {"resume": "1"})
    yield lambda: bool(stage.desk("spoke").attached)
    stage.desk("hub").files[row.ref.id] = PDF + b" and more"
    stage.hub.edit(row.ref, {"resume": "2"})
    yield lambda: len(stage.desk("spoke").attached) > 1


def _screened(stage: Stage) -> Iterator[Wait]:
    stage.spoke.add(Kind.SCREENING, FOUND, "system", parents={APPLICATION: stage.one("spoke", APPLICATION).ref.id})
    yield stage.told("spoke", APPLICATION, stage="Talk")


def _may_be_phoned(stage: Stage) -> Iterator[Wait]:
    stage.hub.edit(stage.one("hub", APPLICATION).ref, {"stage": "Screen"})
    yield stage.told("spoke", APPLICATION, stage="Screen")


def _batch(stage: Stage) -> Iterator[Wait]:
    for row in stage.hub.of(APPLICATION):
        stage.hub.edit(row.ref, {"stage": "Screen"})
    yield lambda: len(stage.desk("hub").remarks) == 4


def _batch_and_outcome(stage: Stage) -> Iterator[Wait]:
    yield from _batch(stage)
    stage.hub.edit(stage.one("hub", APPLICATION, name="Ann").ref, {"stage": "Out"})
    yield 60.0


def _two_rows(stage: Stage) -> Iterator[Wait]:
    first, second = stage.hub.of(APPLICATION)
    stage.hub.edit(second.ref, {"phone": "+12025550111"})
    across = stage.one("spoke", CANDIDATE)
    yield lambda: first.fields["phone"] == across.fields["phone"] == "+12025550111"
    stage.spoke.edit(across.ref, {"phone": "+12025550122"})
    yield lambda: first.fields["phone"] == second.fields["phone"] == "+12025550122"


def _newcomer_at_spoke(stage: Stage) -> Iterator[Wait]:
    stage.apply("spoke", "Bob", "Talk")
    yield stage.told("hub", APPLICATION, name="Bob")
    yield stage.told("other", CANDIDATE, name="Bob")


def _job_closes(stage: Stage) -> Iterator[Wait]:
    stage.desk("spoke").scheduling.add(stage.one("spoke", JOB).ref.id)
    stage.hub.edit(stage.one("hub", JOB).ref, {"status": "closed"})
    yield lambda: not stage.desk("spoke").scheduling


def _hired(stage: Stage) -> Iterator[Wait]:
    stage.hub.edit(stage.one("hub", APPLICATION).ref, {"stage": "In", "begin": "2026-12-01"})
    yield stage.told("spoke", APPLICATION, stage="In", begin="2026-12-01")


def _resolved(stage: Stage) -> Iterator[Wait]:
    yield from _same_field_meanwhile(stage)

    def left(work: Any) -> None:
        (hold,) = work.sql.execute(sa.select(schema.holds.c.id)).scalars()
        decide.resolve(work, hold, "take left")

    yield Command(left, is_done=lambda: not stage.world.holds())
    yield stage.told("spoke", APPLICATION, stage="Deal")


def _paused(stage: Stage) -> Iterator[Wait]:
    yield Command(decide.pause, ("spoke",))
    stage.hub.edit(stage.one("hub", APPLICATION).ref, {"stage": "Deal"})
    stage.apply("hub", "Bob")
    yield 90.0
    if stage.one("spoke", APPLICATION).fields["stage"] != "New" or len(stage.spoke.of(APPLICATION)) > 1:
        stage.problems.append("something was written to what is paused")
    yield Command(decide.resume, ("spoke",))
    yield stage.told("spoke", APPLICATION, stage="Deal")


def _event(stage: Stage) -> Iterator[Wait]:
    ref = stage.one("spoke", APPLICATION).ref
    stage.spoke.edit(ref, {"stage": "Deal"})
    connection = stage.world.world.connections["spoke"]
    yield Command(webhooks.keep, (connection, Notice(refs=(ref,)), "id e1"))
    yield 5.0
    if stage.is_calm and stage.one("hub", APPLICATION).fields["stage"] != "Deal":
        stage.problems.append("I8 what the webhook named was not looked at before the next poll")
    yield stage.told("hub", APPLICATION, stage="Deal")


def _mirrored(stage: Stage) -> Iterator[Wait]:
    thing = stage.one("spoke", APPLICATION)
    stage.spoke.edit(thing.ref, {"mirror": "Talk"})
    yield stage.told("hub", APPLICATION, stage="Talk")
    stage.hub.edit(stage.one("hub", APPLICATION).ref, {"stage": "Deal"})
    yield stage.told("spoke", APPLICATION, stage="Deal", mirror="Deal")


_PLAIN, _NEWBORN = _town("spoke=plain"), _town("spoke=newborn")
_STAR = _town("spoke=plain", "other=newborn")

SCENARIOS: dict[str, Scenario] = {
    "first look": Scenario(
        "All that stands at the hub is made at an empty spoke.",
        _town("spoke=plain", empty=True), _first_look, makes=True,
    ),
    "new job": Scenario(
        "A job and its first applicant are made at a spoke that keeps our id.",
        _PLAIN, _new_job, makes=True,
    ),
    "newcomer": Scenario(
        "A person and her application are made one after the other.",
        _PLAIN, _newcomer_at_hub, makes=True,
    ),
    "born together": Scenario(
        "Application and person are made by one call, which keeps nothing of ours.",
        _NEWBORN, _newcomer_at_hub, makes=True,
    ),
    "answer lost": Scenario(
        "The answer to a create is lost after it was carried out.",
        _PLAIN, _answer_lost("lost_after", CANDIDATE), makes=True,
    ),
    "never arrived": Scenario(
        "A create is lost on its way, and nobody knows.",
        _NEWBORN, _answer_lost("lost_before", APPLICATION), makes=True,
    ),
    "taken": Scenario(
        "A create is answered “taken”: what is there is adopted.",
        _NEWBORN, _taken, makes=True,
    ),
    "newcomer at a spoke": Scenario(
        "Who applies at a spoke is made at the hub, and from there at the other spoke.",
        _STAR, _newcomer_at_spoke, makes=True,
    ),
    "edit": Scenario(
        "A name and a phone number are carried to a spoke.",
        _PLAIN, _edits,
    ),
    "other field meanwhile": Scenario(
        "A person edits another field while ours is on its way: both stay.",
        _PLAIN, _other_field_meanwhile,
    ),
    "same field meanwhile": Scenario(
        "A person moves what we are about to move: nobody is overwritten, a person is asked.",
        _PLAIN, _same_field_meanwhile,
    ),
    "move without an answer": Scenario(
        "A stage move is answered with an empty body (202).",
        _PLAIN, _move_without_an_answer,
    ),
    "there and back": Scenario(
        "A stage goes there and back.",
        _PLAIN, _there_and_back,
    ),
    "back while unknown": Scenario(
        "Our move's answer is lost, and a person moves it back.",
        _PLAIN, _back_while_unknown, race=_is_not_undone,
    ),
    "two spokes": Scenario(
        "Two spokes move the same application at the same time.",
        _STAR, _two_spokes, race=_both_are_kept,
    ),
    "resume": Scenario(
        "A résumé is sent on, and again when it was changed.",
        _office, _resume,
    ),
    "screened": Scenario(
        "A screening is remarked at the hub, and its score moves the application.",
        _office, _screened,
    ),
    "may be phoned": Scenario(
        "A person may be phoned: at most once, even if that means never.",
        _office, _may_be_phoned, felt="screen",
    ),
    "batch": Scenario(
        "Two résumés are screened together, for money, once.",
        _bakery, _batch,
    ),
    "outcome": Scenario(
        "The service that screened is told how it ended: at most once.",
        _bakery, _batch_and_outcome, felt="outcome",
    ),
    "two rows": Scenario(
        "The rows of one person at the hub are brought together.",
        _person_with_two_rows, _two_rows,
    ),
    "job closes": Scenario(
        "A job that closes makes no more appointments.",
        _office, _job_closes,
    ),
    "hired": Scenario(
        "A start date goes along with the move that hires.",
        _dated, _hired,
    ),
    "resolved": Scenario(
        "A person answers a hold.",
        _PLAIN, _resolved,
    ),
    "paused": Scenario(
        "A connection is paused and resumed.",
        _PLAIN, _paused,
    ),
    "event": Scenario(
        "A webhook names an application: it is looked at.",
        _PLAIN, _event,
    ),
    "two places": Scenario(
        "A stage that stands in two places is the same in both.",
        _two_places, _mirrored,
    ),
}  # fmt: skip
