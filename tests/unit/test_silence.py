"""Syncing is silent: nobody is phoned, mailed or invited, and nothing is posted or published, whatever is moved where.

The three systems and the engine in one process and in virtual time; what was felt outside is read from the sandboxes'
own logs. Ninjahire phones the person of each ACTIVE application after a while; an application becomes ACTIVE by
people's doing alone.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from syncd import app as joined
from syncd.app import load_plugins
from syncd.backfill import backfill
from syncd.clock import SteppedClock, run_stepped
from syncd.sandbox import Sandbox
from syncd.settings import Config
from tests.integration.judges import felt
from tests.unit.small_app import START, TOKEN, app_of

HOUR_S = 3600.0
SYSTEMS = {"acme": "workable", "screener": "ninjahire", "voice": "worksignal"}
DEFAULTS = {
    "industry": "Software",
    "state": "CA",
    "country": "United States",
    "description": "See the job in Workable.",
    "recruiter_name": "Talent team",
    "recruiter_email": "talent@example.com",
    "recruiter_phone": "+12025550100",
    "source": "Workable",
    "phone": "+12025550199",
}


def config_of() -> Config:
    connection = {"token": TOKEN, "poll": "1h", "sweep": "6h", "limits": ["500/1s"]}
    pair = {"left": "acme", "jobs": "->", "candidates": "<->", "applications": "<->"}
    return Config.model_validate({
        "store": {"url": "sqlite:///:memory:", "key": "0" * 64},
        "connections": {
            "acme": {**connection, "system": "workable", "base_url": "https://acme.example.test",
                     "member": "ops@acme.example"},
            "screener": {**connection, "system": "ninjahire", "defaults": DEFAULTS},
            "voice": {**connection, "system": "worksignal"},
        },
        "pairs": {"screening": {**pair, "right": "screener"}, "voices": {**pair, "right": "voice"}},
    })  # fmt: skip


@dataclass
class Office:
    """Three systems, syncd beside them, and a clock."""

    clock: SteppedClock
    boxes: dict[str, Any]
    app: joined.App

    @property
    def acme(self) -> Any:
        return self.boxes["acme"]

    @property
    def screener(self) -> Any:
        return self.boxes["screener"]

    async def work_on(self, hours: float) -> None:
        """Let syncd poll and push for some hours."""
        self.app.engine.scheduled = True
        drives = [asyncio.ensure_future(self.app.engine.drive(lane)) for lane in self.app.engine.lanes.values()]
        await self.clock.sleep_until(self.clock.now() + hours * HOUR_S)
        for drive in drives:
            drive.cancel()
        for ended in await asyncio.gather(*drives, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended

    def at_screener(self, row: str) -> str:
        """The application at Ninjahire that was made of a Workable row."""
        rows = self.screener.snapshot()["application"].items()
        return next(id_ for id_, about in rows if about["source_id"] == row)


@pytest.fixture
def office() -> Office:
    clock, plugins, boxes = SteppedClock(START, frozen=True), load_plugins(), {}
    for number, (name, system) in enumerate(SYSTEMS.items()):
        sandbox = plugins[system].sandbox
        assert sandbox is not None
        boxes[name] = sandbox(clock=clock, rng=random.Random(number), limits=())
    job = boxes["acme"].add_job(title="Night Nurse", code="J1", department="Care")
    for number in range(6):
        boxes["acme"].apply(job, name=f"Ada Test{number}", email=f"p{number}@example.com", phone="+12025550111")
    return Office(clock, boxes, app_of(config_of(), clock=clock, boxes=boxes))


def play(office: Office, scene: Any) -> None:
    async def whole() -> None:
        told = await backfill(office.app)
        assert told["left"] == 0
        await scene()
        await office.app.close()

    run_stepped(office.clock, whole())


def test_a_backfill_and_moves_on_all_sides_are_felt_by_nobody(office):
    stages = ("Phone Screen", "Assessment", "Interview", "Offer", "Hired", "!disqualified")

    async def scene():
        rows = [*office.acme.snapshot()["application"]]
        for row, stage in zip(rows, stages, strict=True):
            office.acme.move(row, stage)
        await office.work_on(3)
        voices = [*office.boxes["voice"].snapshot()["application"]]
        for about in (office.at_screener(row) for row in rows[:3]):
            office.screener.move(about, "Offer")
        office.boxes["voice"].move(voices[3], "interview")
        job = next(iter(office.screener.snapshot()["job"]))
        office.screener.apply(job, email="new@example.com", name="Nadia Known", phone="+12025550122")
        role = next(iter(office.boxes["voice"].snapshot()["job"]))
        office.boxes["voice"].apply(role, email="other@example.com", name="Olga Other", phone="+12025550123")
        await office.work_on(3)

    play(office, scene)
    assert felt(office.boxes) == []
    moves = [effect for box in office.boxes.values() for effect in box.effects if effect.by == "api"]
    assert {("move", "application"), ("create", "application")} <= {(effect.action, effect.kind) for effect in moves}
    assert {job["status"] for job in office.boxes["voice"].snapshot()["job"].values()} == {"draft"}
    assert len(office.acme.snapshot()["application"]) == 8


def test_applications_are_made_passive_and_stay_so(office):
    async def scene():
        for row in office.acme.snapshot()["application"]:
            office.acme.move(row, "Interview")
        await office.work_on(3)

    play(office, scene)
    rows = office.screener.snapshot()["application"].values()
    assert [row["stage"] for row in rows] == ["Interview"] * 6
    assert {row["application_stage"] for row in rows} == {"PASSIVE"}
    ours = [effect for effect in office.screener.effects if effect.by == "api" and effect.kind == "application"]
    assert {effect.after["application_stage"] for effect in ours if "application_stage" in effect.after} == {"PASSIVE"}


def test_who_was_made_active_by_hand_is_phoned_by_that_hand_alone(office):
    async def scene():
        row = next(iter(office.acme.snapshot()["application"]))
        office.screener.edit("application", office.at_screener(row), application_stage="ACTIVE")
        office.acme.move(row, "Assessment")
        await office.work_on(3)
        assert office.screener.snapshot()["application"][office.at_screener(row)]["application_stage"] == "ACTIVE"

    play(office, scene)
    phoned = [effect for effect in office.screener.effects if effect.action == "phoned"]
    assert [effect.by for effect in phoned] == ["human"]
    assert felt(office.boxes) == []


@pytest.mark.parametrize("stage", ["!disqualified", "Hired", "!withdrew"])
def test_nobody_is_phoned_whose_application_has_ended(office, stage):
    async def scene():
        office.screener.phones_after_s = 1.5 * HOUR_S
        row = next(iter(office.acme.snapshot()["application"]))
        office.screener.edit("application", office.at_screener(row), application_stage="ACTIVE")
        office.acme.move(row, stage)
        await office.work_on(3)
        assert office.screener.snapshot()["application"][office.at_screener(row)]["application_stage"] == "PASSIVE"

    play(office, scene)
    assert [effect for effect in office.screener.effects if effect.action == "phoned"] == []


@pytest.mark.parametrize(
    ("name", "path", "body", "action"),
    [
        ("acme", "/spi/v3/jobs/{job}/candidates",
         {"sourced": False, "candidate": {"name": "A B", "email": "a@example.com"}}, "mail"),
        ("screener", "/v1/applications/{application}/instant-call", {}, "phoned"),
        ("voice", "/api/v1/quick_post", {"title": "Tiler"}, "published"),
        ("voice", "/api/v1/candidates/{candidate}/invite_screen", {"role_id": 0}, "invited"),
    ],
)  # fmt: skip
def test_the_systems_would_have_told_had_anybody_felt_it(office, name, path, body, action):
    async def scene():
        box: Sandbox = office.boxes[name]
        first = {kind: next(iter(rows)) for kind, rows in office.boxes[name].snapshot().items() if rows}
        asked = {**body, "role_id": int(first["job"])} if "role_id" in body else body
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=box), base_url="https://x.example.test"
        ) as client:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            answer = await client.post(path.format(**first), json=asked, headers=headers)
            assert answer.status_code < 300, answer.text

    play(office, scene)
    assert any(line.startswith(f"felt: {action} ") for line in felt(office.boxes))
