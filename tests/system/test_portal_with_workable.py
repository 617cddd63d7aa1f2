"""The portal beside Workable, kept in step by the engine, all in one process and in virtual time."""

import asyncio
import random
from typing import Any

import pytest
import sqlalchemy as sa

from syncd import schema
from syncd.app import App, load_plugins
from syncd.backfill import backfill
from syncd.clock import SteppedClock, run_stepped
from syncd.sandbox import Fault
from syncd.settings import Config
from tests.unit.small_app import START, TOKEN, app_of

HOUR_S = 3600.0
MONEY = {"spent", "mailed"}


def config_of(applications: str) -> Config:
    connection = {"token": TOKEN, "poll": "1h", "sweep": "6h", "limits": ["500/1s"]}
    return Config.model_validate({
        "store": {"url": "sqlite:///:memory:", "key": "0" * 64},
        "connections": {
            "acme": {**connection, "system": "workable", "base_url": "https://acme.example.test",
                     "member": "ops@acme.example"},
            "home": {**connection, "system": "portal"},
        },
        "pairs": {"house": {"left": "acme", "right": "home", "jobs": "->", "candidates": "<->",
                            "applications": applications}},
    })  # fmt: skip


class Town:
    """Workable and the portal, with syncd between them."""

    def __init__(self, applications: str = "<->") -> None:
        self.clock = SteppedClock(START, frozen=True)
        plugins, self.boxes = load_plugins(), {}
        for number, (name, system) in enumerate({"acme": "workable", "home": "portal"}.items()):
            sandbox = plugins[system].sandbox
            assert sandbox is not None
            self.boxes[name] = sandbox(clock=self.clock, rng=random.Random(number), limits=())
        self.acme, self.home = self.boxes["acme"], self.boxes["home"]
        self.job = self.acme.add_job(title="Night Nurse", department="Care")
        self.rows = [
            self.acme.apply(self.job, name=f"Ada Test{number}", email=f"p{number}@example.com", phone="+12025550111")
            for number in range(4)
        ]
        self.app: App = app_of(config_of(applications), clock=self.clock, boxes=self.boxes)

    async def work_on(self, hours: float) -> None:
        """Let syncd poll and push for some hours."""
        self.app.engine.scheduled = True
        drives = [asyncio.ensure_future(self.app.engine.drive(lane)) for lane in self.app.engine.lanes.values()]
        await self.clock.sleep_until(self.clock.now() + hours * HOUR_S)
        for drive in drives:
            drive.cancel()
        for ended in await asyncio.gather(*drives, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended

    def stages(self) -> dict[str, str]:
        """E-mail -> stage at the portal."""
        seen = self.home.snapshot()
        return {seen["candidate"][row["candidate"]]["email"]: row["stage"] for row in seen["application"].values()}

    def stage_at_acme(self, number: int) -> str:
        """Where one of the four stands in Workable."""
        return str(self.acme.snapshot()["application"][self.rows[number]]["stage"])

    def application(self, email: str) -> str:
        """The portal's application of an e-mail."""
        seen = self.home.snapshot()
        return next(
            id_ for id_, row in seen["application"].items() if seen["candidate"][row["candidate"]]["email"] == email
        )

    def play(self, scene: Any) -> None:
        """Backfill, then the scene."""

        async def whole() -> None:
            told = await backfill(self.app)
            assert told["left"] == 0, told
            await scene()
            await self.app.close()

        run_stepped(self.clock, whole())
        assert not [effect for effect in self.home.effects if effect.action in MONEY]


def test_a_backfill_makes_job_people_and_assignments_once():
    town = Town()
    town.acme.move(town.rows[0], "Interview")

    async def scene():
        await town.work_on(8)

    town.play(scene)
    seen = town.home.snapshot()
    assert [job["title"] for job in seen["job"].values()] == ["Night Nurse"]
    assert town.stages() == {
        "p0@example.com": "interview",
        **{f"p{number}@example.com": "applied" for number in (1, 2, 3)},
    }
    made = [effect for effect in town.home.effects if effect.action == "create"]
    assert len(made) == 1 + 4 + 4


def test_moves_travel_both_ways():
    town = Town()

    async def scene():
        town.acme.move(town.rows[1], "Offer")
        town.home.move(town.application("p2@example.com"), "interview")
        await town.work_on(3)

    town.play(scene)
    assert town.stages()["p1@example.com"] == "offer"
    assert town.acme.snapshot()["application"][town.rows[2]]["stage"] == "Interview"


@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.LOST_BEFORE, None])
@pytest.mark.parametrize(("stage", "asked"), [("Offer", "conflict"), ("!withdrew", "terminal_conflict")])
def test_a_move_made_while_our_lifting_of_a_disqualification_is_out_is_not_undone(fault, stage, asked):
    """Workable's answer to the revert is lost (or tells nothing, as always), and a recruiter moves her meanwhile."""
    town = Town()
    town.acme.disqualify(town.rows[1])
    made: list[asyncio.Task[None]] = []
    reasons: list[str] = []

    async def moves_on():
        await town.clock.sleep_until(town.clock.now() + 1.0)
        town.acme.move(town.rows[1], stage)

    def faults(method, path):
        if made or not path.endswith("/revert"):
            return None
        made.append(asyncio.create_task(moves_on()))
        return fault

    async def scene():
        await town.work_on(3)
        town.acme.faults = faults
        town.home.move(town.application("p1@example.com"), "interview")
        await town.work_on(8)
        with town.app.store.engine.connect() as connection:
            reasons.extend(connection.execute(sa.select(schema.holds.c.reason)).scalars())

    town.play(scene)
    assert made
    assert (town.stages()["p1@example.com"], town.stage_at_acme(1), reasons) == ("interview", stage, [asked])


def test_a_flag_that_is_lifted_unseen_is_followed_by_the_move():
    """Workable's answer to the revert is lost and nobody else was there: the stage beneath shows, and she goes on."""
    town = Town()
    town.acme.disqualify(town.rows[1])
    lost: list[str] = []

    def faults(method, path):
        if lost or not path.endswith("/revert"):
            return None
        lost.append(path)
        return Fault.LOST_AFTER

    async def scene():
        await town.work_on(3)
        town.acme.faults = faults
        town.home.move(town.application("p1@example.com"), "interview")
        await town.work_on(8)

    town.play(scene)
    assert lost
    assert (town.stages()["p1@example.com"], town.stage_at_acme(1)) == ("interview", "Interview")


def test_who_applies_at_the_portal_gets_her_assignment_by_her_first_move():
    town = Town()

    async def scene():
        job = next(iter(town.home.snapshot()["job"]))
        id_ = town.home.apply(job, name="Nadia New", email="nadia@example.com", phone="+12025550122")
        await town.work_on(3)
        born = [row for row, about in town.acme.snapshot()["application"].items() if row not in town.rows]
        assert len(born) == 1
        assert not town.home.rows["assignment"] or town.home.table.assignment(*id_.split(":")) is None
        town.acme.move(born[0], "Interview")
        await town.work_on(3)
        assert town.home.table.assignment(*id_.split(":"))["stage"] == "interview"

    town.play(scene)
    assert town.stages()["nadia@example.com"] == "interview"


def test_who_is_hired_in_workable_is_placed_in_the_portal_on_that_day():
    town = Town()

    async def scene():
        job = next(iter(town.home.snapshot()["job"]))
        town.home.apply(job, name="Nadia New", email="nadia@example.com", phone="+12025550122")
        await town.work_on(3)
        born = next(row for row in town.acme.snapshot()["application"] if row not in town.rows)
        for row in (town.rows[0], born):
            town.acme.move(row, "Hired")
        await town.work_on(4)

    town.play(scene)
    hired = {email for email, stage in town.stages().items() if stage == "hired"}
    assert hired == {"p0@example.com", "nadia@example.com"}
    days = [row["placement_date"] for row in town.home.rows["assignment"].values() if row["placement_date"]]
    assert days == ["2027-01-15"] * 2
