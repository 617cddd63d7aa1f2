"""The whole over real sockets: three systems on loopback, `syncd serve` in a process that is killed, people, faults.

Wall time with scaled limits: twenty calls a second where the vendors allow ten in ten seconds, sixty a minute or a
hundred a day; a call counts as lost after seconds and not after a minute. A seed draws what people do and when, which
calls go wrong and when the process dies; the judges read the systems' own logs (``judges``). `SYNCD_SEEDS=5,6,7` runs
other seeds.
"""

import asyncio
import logging
import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from syncd import schema
from tests.integration.judges import Run, holds_of, over_budget, violations
from tests.integration.scene import ACT_S, Flavour, Scene
from tests.integration.town import SYSTEMS, ended, systems


@pytest.fixture(autouse=True)
def _quiet_servers(caplog):
    """A connection that the sandbox cuts on purpose is no error to tell of."""
    caplog.set_level(logging.CRITICAL, "uvicorn.error")


POLLS = Flavour()
WEBHOOKS = Flavour(poll="5s", sweep="6s", webhooks=True)
HUB_RULES = Flavour(rules=True, people="->")


async def play(seed: int, flavour: Flavour, folder: Path) -> None:
    """Run one seed; raise with its story if anything happened that should not have."""
    async with systems(seed) as played:
        scene = Scene(seed, flavour, folder, played)
        try:
            await scene.begin()
            await asyncio.gather(scene.people.work(ACT_S), scene.misfortune())
            await scene.rest()
            found = await scene.judge()
        finally:
            await ended(scene.syncd)
        assert not found, scene.story(found)
        assert len(scene.syncd.deaths) == 3
        assert sum(len(one.box.faults.fired) for one in played.values()) > 0


SEEDS = [int(seed) for seed in os.environ.get("SYNCD_SEEDS", "1").split(",")]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("flavour", [POLLS, WEBHOOKS, HUB_RULES], ids=["polls", "webhooks", "hub_rules"])
def test_after_edits_faults_and_kills_everything_agrees_or_is_held(seed, flavour, tmp_path):
    asyncio.run(play(seed, flavour, tmp_path))


async def backfill_beside(folder: Path) -> None:
    """Ask for a backfill while the daemon runs and people work; it is the daemon that does it, within its budgets."""
    async with systems(7) as played:
        scene = Scene(7, POLLS, folder, played)
        try:
            await scene.begin()
            working = asyncio.ensure_future(scene.people.work(5.0))
            code, told = await scene.syncd.ask("backfill")
            await working
            await scene.rest()
            runs = scene.syncd.rows(sa.select(schema.runs.c.command, schema.runs.c.state))
            _, held = await scene.syncd.ask("held")
            assert await scene.syncd.stop() == 0
        finally:
            await ended(scene.syncd)
    assert [tuple(run) for run in runs] == [("backfill", "done")]
    assert code == (1 if told["held"] or told["left"] else 0)
    assert told["pages"].keys() == set(SYSTEMS)
    kept = scene.kept()
    assert [line for one in kept.values() for line in over_budget(one)] == []
    run = Run(kept, holds_of(held), scene.journal(), [])
    assert violations(run) == [], scene.story(violations(run))


def test_a_backfill_beside_the_daemon_is_handed_over_and_draws_no_429(tmp_path):
    asyncio.run(backfill_beside(tmp_path))
