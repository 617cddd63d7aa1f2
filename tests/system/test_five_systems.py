"""All five systems around one hub, in one process and in virtual time: screenings come back, résumés travel."""

import asyncio
import random
from typing import Any

import pytest
import sqlalchemy as sa

from syncd import schema
from syncd.app import App, load_plugins
from syncd.backfill import backfill, plan
from syncd.clock import SteppedClock, run_stepped
from syncd.settings import Config
from tests.unit.small_app import START, TOKEN, app_of

HOUR_S = 3600.0
SYSTEMS = {"acme": "workable", "screener": "ninjahire", "voice": "worksignal", "home": "portal", "cv": "hiresquire"}
DESCRIPTION = "<p>Looks after people at night, with <b>patience</b> and a driving licence.</p>"
ALL = {"jobs": "->", "candidates": "<->", "applications": "<->"}


def resume(number: int, more: str = "") -> bytes:
    """A made-up résumé as a PDF that hides nothing."""
    text = f"Ada Test{number}\np{number}@example.com\nTen years of nights in a hospital, and never late once. {more}"
    return b"%PDF-1.4\n" + text.encode()


def config_of(**more: Any) -> Config:
    connection = {"token": TOKEN, "poll": "1h", "sweep": "6h", "limits": ["500/1s"]}
    defaults = {
        "industry": "Care", "state": "CA", "country": "United States", "description": "See Workable.",
        "recruiter_name": "Talent team", "recruiter_email": "talent@example.com", "recruiter_phone": "+12025550100",
        "source": "Workable", "phone": "+12025550199",
    }  # fmt: skip
    return Config.model_validate({
        "store": {"url": "sqlite:///:memory:", "key": "0" * 64},
        "connections": {
            "acme": {**connection, "system": "workable", "base_url": "https://acme.example.test",
                     "member": "ops@acme.example", "rating_scale": "stars"},
            "screener": {**connection, "system": "ninjahire", "defaults": defaults},
            "voice": {**connection, "system": "worksignal"},
            "home": {**connection, "system": "portal", "author": "ops@acme.example"},
            "cv": {**connection, "system": "hiresquire"},
        },
        "pairs": {
            "calls": {"left": "acme", "right": "screener", **ALL, "candidates": "->", "screenings": "<-",
                      "resumes": "->", "screen_at": "screening"},
            "voices": {"left": "acme", "right": "voice", **ALL, "screenings": "<-"},
            "house": {"left": "acme", "right": "home", **ALL, "resumes": "->"},
            "papers": {"left": "acme", "right": "cv", "applications": "<->", "screenings": "<-",
                       "screen_at": "assessment", "collect": "5m", **more},
        },
    })  # fmt: skip


class City:
    """A Workable with a job and six people, and four empty systems around it."""

    def __init__(self, **papers: Any) -> None:
        self.clock = SteppedClock(START, frozen=True)
        plugins, self.boxes = load_plugins(), {}
        for number, (name, system) in enumerate(SYSTEMS.items()):
            sandbox: Any = plugins[system].sandbox
            self.boxes[name] = sandbox(clock=self.clock, rng=random.Random(number), limits=())
        self.acme, self.screener, self.voice, self.home, self.cv = self.boxes.values()
        self.job = self.acme.add_job(title="Night Nurse", department="Care", description=DESCRIPTION)
        self.rows = [
            self.acme.apply(
                self.job, name=f"Ada Test{number}", email=f"p{number}@example.com", phone=f"+1202555010{number}",
                stage="Assessment" if number < 2 else None, resume=resume(number) if number < 4 else None,
            )
            for number in range(6)
        ]  # fmt: skip
        self.app: App = app_of(config_of(**papers), clock=self.clock, boxes=self.boxes)

    async def work_on(self, hours: float) -> None:
        """Let syncd poll and push for some hours."""
        self.app.engine.scheduled = True
        drives = [asyncio.ensure_future(self.app.engine.drive(lane)) for lane in self.app.engine.lanes.values()]
        await self.clock.sleep_until(self.clock.now() + hours * HOUR_S)
        for drive in drives:
            drive.cancel()
        for ended in await asyncio.gather(*drives, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended

    def play(self, scene: Any, *, fill: bool = True) -> None:
        """Backfill, then the scene."""

        async def whole() -> None:
            if fill:
                self.told = await backfill(self.app)
                assert self.told["left"] == 0, self.told
            await scene()
            await self.app.close()

        run_stepped(self.clock, whole())

    # what judges read

    def at(self, name: str, row: str) -> str:
        """The application of a Workable row elsewhere, by e-mail."""
        seen, email = self.boxes[name].snapshot(), self.acme.snapshot()["candidate"][row]["email"]
        return next(id_ for id_, one in seen["application"].items()
                    if seen["candidate"][one["candidate"]]["email"] == email)  # fmt: skip

    def stage(self, name: str, row: str) -> str:
        return str(self.boxes[name].snapshot()["application"][self.at(name, row)]["stage"])

    def effects(self, name: str, action: str) -> list[Any]:
        return [effect for effect in self.boxes[name].effects if effect.action == action and effect.by == "api"]


def test_everybody_is_everywhere_once_and_nobody_was_disturbed():
    city = City()

    async def scene() -> None:
        await city.work_on(8)

    city.play(scene)
    for name in ("screener", "voice", "home"):
        emails = [one["email"] for one in city.boxes[name].snapshot()["candidate"].values()]
        assert sorted(emails) == [f"p{number}@example.com" for number in range(6)], name
    assert city.told["held"] == {}
    felt = {"phoned", "mailed", "invited", "posted", "published"}
    assert [effect for box in city.boxes.values() for effect in box.effects if effect.action in felt] == []


def test_resumes_travel_byte_by_byte_and_again_after_a_change():
    city = City()

    async def scene() -> None:
        await city.work_on(2)
        city.acme.put_resume(city.rows[0], resume(0, "And a cook."))
        await city.work_on(8)

    city.play(scene)
    assert len(city.effects("screener", "attach")) == 5  # four of them, and one again
    assert len(city.effects("home", "file")) == 5
    assert city.screener.resume_of(city.at("screener", city.rows[0])) == resume(0, "And a cook.")


def test_who_reaches_the_stage_is_screened_and_what_was_found_comes_back():
    city = City()

    async def scene() -> None:
        await city.work_on(4)
        assert sorted(city.cv.billed().values()) == [1, 1]
        assert set(city.cv.billed()) == {f"{row}.pdf" for row in city.rows[:2]}
        city.acme.move(city.rows[2], "Assessment")
        await city.work_on(8)

    city.play(scene)
    assert city.cv.billed() == {f"{row}.pdf": 1 for row in city.rows[:3]}
    assert len(city.effects("acme", "comment")) == 3
    assert len(city.effects("acme", "rating")) == 3


def test_who_has_no_resume_is_held_and_costs_nothing():
    city = City()

    async def scene() -> None:
        city.acme.move(city.rows[5], "Assessment")
        await city.work_on(8)
        held = await city.app.store.run(reasons)
        assert held == ["no_file"]

    city.play(scene)


def reasons(connection: sa.Connection) -> list[str]:
    return [str(reason) for reason in connection.execute(sa.select(schema.holds.c.reason)).scalars()]


def test_calls_and_voice_screens_come_back_as_comments():
    city = City()

    async def scene() -> None:
        await city.work_on(1)
        city.screener.call(city.at("screener", city.rows[0]), score=91, digest="Could start in two weeks.")
        await city.work_on(8)

    city.play(scene)
    assert len(city.effects("acme", "comment")) == 3  # two résumés, one call


def test_a_move_on_the_portals_person_reaches_all():
    city = City()

    async def scene() -> None:
        await city.work_on(1)
        seen = city.home.snapshot()
        person = seen["application"][city.at("home", city.rows[4])]["candidate"]
        city.home.edit("candidate", person, stage="interview")
        await city.work_on(8)

    city.play(scene)
    assert city.acme.snapshot()["application"][city.rows[4]]["stage"] == "Interview"
    assert city.stage("home", city.rows[4]) == "interview"
    assert city.stage("screener", city.rows[4]) == "Interview"


def test_who_is_let_be_phoned_was_moved_there_afterwards():
    city = City()

    async def scene() -> None:
        await city.work_on(1)
        city.acme.move(city.rows[3], "Phone Screen")
        await city.work_on(8)

    city.play(scene)
    phoned = [effect for effect in city.screener.effects if effect.action == "phoned"]
    assert [effect.id for effect in phoned] == [city.at("screener", city.rows[3])]


def test_a_plan_tells_what_screening_would_cost_and_spends_nothing():
    city = City(max_credits_per_day=50)

    async def scene() -> None:
        told = await plan(city.app)
        assert told["credits"] == 2
        calls = {(each["connection"], each["call"]): each["count"] for each in told["actions"]}
        assert calls["cv", "submit"] == 1
        assert calls["screener", "attach"] == 4

    city.play(scene, fill=False)
    assert city.cv.billed() == {}
    assert all(arrival.method == "GET" for box in city.boxes.values() for arrival in box.arrivals)


def test_a_day_costs_no_more_than_it_may():
    city = City(max_credits_per_day=1)

    async def scene() -> None:
        await city.work_on(2)
        assert sum(city.cv.billed().values()) == 1
        await city.work_on(26)
        assert sum(city.cv.billed().values()) == 2

    city.play(scene)


def test_how_it_ended_is_told_to_the_screener():
    city = City()

    async def scene() -> None:
        await city.work_on(2)
        city.acme.move(city.rows[0], "Hired")
        await city.work_on(8)

    city.play(scene)
    told = city.cv.snapshot()["application"].values()
    assert sorted((one["status"], one["outcome"]) for one in told if one["outcome"]) == [("hired", "hired")]


@pytest.mark.parametrize("hours", [30.0])
def test_afterwards_all_is_quiet(hours):
    city = City()

    async def scene() -> None:
        await city.work_on(8)
        before = [len(box.effects) for box in city.boxes.values()]
        await city.work_on(hours)
        assert [len(box.effects) for box in city.boxes.values()] == before

    city.play(scene)
