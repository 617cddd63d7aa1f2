"""The database is gone, or an old copy is put back: nothing is made twice, and what is felt or paid is not repeated.

Five systems around one hub, in one process and in virtual time, with the store in a file as in production. The judge
reads the systems' own logs.
"""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from syncd import app as joined
from syncd import copies, schema
from syncd.app import App
from syncd.audit import audit
from syncd.backfill import backfill
from syncd.clock import run_stepped
from syncd.store import open_engine
from tests.system.test_five_systems import City, config_of, resume

ALL = ("acme", "screener", "voice", "home")
HARMLESS = {("screener", "attach")}  # the résumé in the place of the same one: nobody tells that it is there


class Place(City):
    """The five systems, and a syncd whose store is a file; ``start`` begins a process, ``stop`` ends it."""

    def __init__(self, folder: Path, **papers: Any) -> None:
        super().__init__(**papers)
        self.database = folder / "syncd.db"
        config = config_of(**papers)
        store = config.store.model_copy(update={"url": SecretStr(f"sqlite:///{self.database}"), "key": None})
        self.config = config.model_copy(update={"store": store})
        self.numbers = random.Random(11)

    def start(self) -> App:
        sealer = joined.sealer_of(self.config, self.numbers.randbytes)
        store = joined.open_store(self.config, self.clock, sealer, threaded=False)
        transports = {name: httpx.ASGITransport(app=box) for name, box in self.boxes.items()}
        plugins = joined.load_plugins()
        self.app = joined.build(self.config, plugins, store, sealer, rng=self.numbers, network=transports.get)
        return self.app

    async def serve(self, hours: float) -> None:
        """What the daemon does: the first look where there was none under this config, then all lanes."""
        engine = self.app.engine
        await engine.begin()
        if not await engine.has_learnt():
            await engine.learn()
        await self.work_on(hours)

    def put_back(self, copy: Path) -> None:
        for each in (self.database, *self.database.parent.glob("syncd.db-*")):
            each.unlink()
        copy.replace(self.database)

    # what judges read

    def effects_of(self) -> Counter[tuple[str, str]]:
        """(system, action) of all that our token has caused."""
        return Counter(
            (name, effect.action) for name, box in self.boxes.items() for effect in box.effects if effect.by == "api"
        )

    def emails(self, name: str) -> list[str]:
        return sorted(one["email"] for one in self.boxes[name].snapshot()["candidate"].values())

    def links(self) -> list[tuple[Any, ...]]:
        """What is linked with what, as the file says."""
        table, engine = schema.links.c, open_engine(f"sqlite:///{self.database}", read_only=True)
        with engine.connect() as connection:
            found = connection.execute(sa.select(table.pair, table.kind, table.left, table.right))
            told = sorted(map(tuple, found))
        engine.dispose()
        return told

    # scenes

    async def begin(self) -> None:
        """Everybody is everywhere; somebody was phoned, a batch was paid for, a call was remarked."""
        await backfill(self.app)
        await self.serve(1)
        self.screener.call(self.at("screener", self.rows[0]), score=91, digest="Could start in two weeks.")
        self.acme.move(self.rows[3], "Phone Screen")
        await self.serve(3)

    def play_on(self, *scenes: Any) -> None:
        """Each scene is another process over the same file."""
        for scene in scenes:
            self.start()
            run_stepped(self.clock, self._whole(scene))

    async def _whole(self, scene: Any) -> None:
        await scene()
        await self.app.close()


RULE = {"on_screening": [{"score_min": 0, "move_to": "interview"}]}


@pytest.mark.parametrize("with_key", [True, False], ids=["the key too", "the key stays"])
def test_with_the_database_gone_all_is_linked_again_without_one_create(tmp_path, with_key):
    place = Place(tmp_path)
    place.play_on(place.begin)
    before, links = place.effects_of(), place.links()
    for each in tmp_path.glob("syncd.db*"):
        if with_key or not each.name.endswith(".key"):
            each.unlink()

    async def again() -> None:
        told = await backfill(place.app)
        assert (told["left"], told["held"]) == (0, {})
        await place.serve(8)
        assert (await audit(place.app))["findings"] == []

    place.play_on(again)
    assert set(place.effects_of() - before) <= HARMLESS
    assert place.links() == links


def test_after_a_loss_nobody_is_moved_again_by_a_rule_whom_a_human_moved_back(tmp_path):
    place = Place(tmp_path, **RULE)
    place.play_on(place.begin)
    assert place.stage("acme", place.rows[0]) == "Interview"

    async def moved_back() -> None:
        place.acme.move(place.rows[0], "Assessment")
        await place.serve(5)

    place.play_on(moved_back)
    before = place.effects_of()
    place.database.unlink()

    async def again() -> None:
        await backfill(place.app)
        await place.serve(12)

    place.play_on(again)
    assert place.stage("acme", place.rows[0]) == "Assessment"
    assert set(place.effects_of() - before) <= HARMLESS


def _ours(place: Place, target: Path) -> None:
    copies.copy_to(place.database, target, place.clock.now())


def _by_hand(place: Place, target: Path) -> None:
    copies._copy(place.database, target)  # as a tool would that knows nothing of syncd: no word that it is a copy


@pytest.mark.parametrize("copied", [_ours, _by_hand], ids=["syncd backup", "another tool"])
def test_with_an_old_copy_put_back_nothing_is_made_twice_and_nothing_felt_is_repeated(tmp_path, copied):
    place = Place(tmp_path)
    copy = tmp_path / "copy"

    async def whole() -> None:
        await place.begin()
        _news(place)
        await place.serve(0.03)  # in the middle: some of it is open, some is out
        copied(place, copy)
        await place.serve(3)
        _more_news(place)
        await place.serve(4)

    place.play_on(whole)
    before = place.effects_of()
    felt = {key: count for key, count in before.items() if key[1] in FELT and key not in HARMLESS}
    place.put_back(copy)
    place.acme.move(place.rows[1], "Offer")  # while nothing ran
    place.acme.move(place.rows[0], "Assessment")  # back to where the copy knows her; the others were told of the move

    async def again() -> None:
        assert await place.app.store.run(copies.doubted_at) == place.clock.now()
        await place.serve(8)
        told = await audit(place.app)
        assert told["findings"] == []

    place.play_on(again)
    after = place.effects_of()
    assert {key: after[key] for key in felt} == felt
    assert set(after - before) <= {(name, action) for name in place.boxes for action in ("move", "update")} | HARMLESS
    assert [place.stage("acme", row) for row in place.rows[:2]] == ["Assessment", "Offer"]  # no human's move is undone
    for name in ALL[1:]:
        assert place.emails(name) == sorted(set(place.emails("acme"))), name
    assert place.cv.billed() == {f"{row}.pdf": 1 for row in (*place.rows[:3],)}


FELT = {"create", "comment", "rating", "attach", "file", "phoned", "charge", "note"}


def _news(place: Place) -> None:
    """What is on its way when the copy is made."""
    place.rows.append(place.acme.apply(place.job, name="Eve New", email="eve@example.com", phone="+12025550177",
                                       resume=resume(8)))  # fmt: skip
    place.acme.move(place.rows[2], "Assessment")
    place.acme.move(place.rows[4], "Phone Screen")


def _more_news(place: Place) -> None:
    """What the copy knows nothing of."""
    place.rows.append(place.acme.apply(place.job, name="Flo Newer", email="flo@example.com", phone="+12025550178",
                                       resume=resume(9)))  # fmt: skip
    place.acme.move(place.rows[5], "Phone Screen")
    place.screener.call(place.at("screener", place.rows[1]), score=70, digest="Speaks three languages.")
    place.acme.put_resume(place.rows[0], resume(0, "And a cook."))
    place.acme.move(place.rows[0], "Interview")
