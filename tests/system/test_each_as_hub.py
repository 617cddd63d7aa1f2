"""All five systems over real sockets, each that can be one as the hub: the others agree with it, whatever happens.

People work everywhere, calls go wrong, systems go away, and the daemon is killed; then all comes to rest, and the
judges read the systems' own logs. What is impossible, and why, stands in ``tests.integration.city``. `SYNCD_SEEDS=5,6`
runs other seeds, `SYNCD_WORK_S=60` longer ones.
"""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from tests.integration.city import NINJAHIRE, PORTAL, WORKABLE, WORKSIGNAL, Star, StarScene
from tests.integration.scene import ACT_S, Flavour
from tests.integration.town import ended, systems


@pytest.fixture(autouse=True)
def _quiet_servers(caplog):
    """A connection that the sandbox cuts on purpose is no error to tell of."""
    caplog.set_level(logging.CRITICAL, "uvicorn.error")


async def play(seed: int, star: Star, folder: Path) -> None:
    """Run one seed; raise with its story if anything happened that should not have."""
    async with systems(seed, which=star.systems) as played:
        scene = StarScene(seed, Flavour(), folder, played, star)
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
STARS = [WORKABLE, PORTAL, NINJAHIRE, WORKSIGNAL]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("star", STARS, ids=["workable", "portal", "ninjahire", "worksignal"])
def test_around_each_hub_all_agree_after_edits_faults_and_kills(seed, star, tmp_path):
    asyncio.run(play(seed, star, tmp_path))
