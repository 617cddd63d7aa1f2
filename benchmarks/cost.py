"""Remote calls: how many a stage move costs until the other side shows it, and how many a first sync costs.

Everything runs in this process, on a clock that stands still but for its jumps, and nothing is limited: what is counted
is what arrived at the played systems. A move is told by the system's own signed webhook, or is found by one poll of all
lists of the side where it was made. "shown" counts the calls up to the write; "in all" goes on until nothing is left to
do, confirming reads and their echoes included. WorkSignal's webhooks are not signed: they only let its lists be walked.

    .venv/bin/python benchmarks/cost.py [1000]
"""

import asyncio
import random
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx
import structlog
from starlette.applications import Starlette
from starlette.routing import Route

from syncd import app as joined
from syncd.app import App
from syncd.backfill import backfill
from syncd.clock import SteppedClock, run_stepped
from syncd.metrics import Metrics
from syncd.sealing import Sealer
from syncd.settings import Config
from syncd.store import Store, open_engine
from syncd.webhooks import METHODS, Receiver, ears_of

START = 1_800_000_000.0
TOKEN, SECRET, MEMBER = "sandbox-token", "whsec_made_up", "ops@acme.example"
DEFAULTS = {
    "industry": "Software", "state": "CA", "country": "United States", "description": "See Workable.",
    "recruiter_name": "Talent team", "recruiter_email": "talent@example.com", "recruiter_phone": "+12025550100",
    "source": "Workable", "phone": "+12025550199",
}  # fmt: skip
SPOKES = {"ninjahire": {"webhook_secret": SECRET, "defaults": DEFAULTS}, "worksignal": {}}
MOVES = {
    "workable": ("Interview", "Phone Screen"),
    "ninjahire": ("Offer", "Interview"),
    "worksignal": ("offer", "interview"),
}


def config_of(spoke: str) -> Config:
    """Workable and one spoke, without limits, polled by nobody but us."""
    each = {"token": TOKEN, "limits": [], "poll": "30d", "sweep": "30d"}
    return Config.model_validate({
        "store": {"url": "sqlite:///:memory:", "key": "0" * 64},
        "connections": {
            "workable": {**each, "system": "workable", "base_url": "https://workable.test", "member": MEMBER},
            spoke: {**each, "system": spoke, "base_url": f"https://{spoke}.test", **SPOKES[spoke]},
        },
        "pairs": {
            "both": {"left": "workable", "right": spoke, "jobs": "->", "candidates": "->", "applications": "<->"},
        },
    })  # fmt: skip


@dataclass
class Scene:
    """One pair of systems and syncd between them."""

    app: App
    boxes: dict[str, Any]
    spoke: str
    people: int

    def calls(self) -> Counter[str]:
        """Calls so far, by system and method."""
        return Counter(f"{name} {one.method}" for name, box in self.boxes.items() for one in box.arrivals)


def scene(clock: SteppedClock, spoke: str, people: int) -> Scene:
    """A full Workable beside an empty spoke."""
    config, plugins = config_of(spoke), joined.load_plugins()
    boxes: dict[str, Any] = {}
    for name in ("workable", spoke):
        made = plugins[name].sandbox
        assert made is not None
        boxes[name] = made(clock=clock, rng=random.Random(7), limits=())
    boxes["workable"].fill(jobs=5, people=people, again=0.0)
    store = Store(open_engine("sqlite://"), clock, threaded=False)
    store.run_now(joined.migrate)
    transports = {name: httpx.ASGITransport(app=box) for name, box in boxes.items()}
    numbers = random.Random(3)
    app = joined.build(
        config, plugins, store, Sealer(b"0" * 32, numbers.randbytes), rng=numbers, network=transports.get
    )
    return Scene(app, boxes, spoke, people)


# --- a move ---------------------------------------------------------------------------------------------------------


def ears(played: Scene) -> None:
    """Let both systems send their webhooks to syncd."""
    receiver = Receiver(played.app.engine, ears_of(played.app.engine, {}), Metrics(version="benchmark"))
    app = Starlette(routes=[Route("/webhooks/{connection}/{event}", receiver.receive, methods=list(METHODS))])
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app))
    for name, box in played.boxes.items():
        box.client = client
        if name == "workable" and not box.hooks:
            box.subscribe("https://syncd.test/webhooks/workable/candidate_moved", "candidate_moved")
        if name == "ninjahire" and not box.hooks:
            box.subscribe("https://syncd.test/webhooks/ninjahire/changed", secret=SECRET)


def mutes(played: Scene) -> None:
    """Let all their webhooks be lost."""
    for box in played.boxes.values():
        box.client = None


async def quiet(played: Scene) -> None:
    """Serve for two minutes of played time: long enough for every bell, confirming read and echo."""
    engine = played.app.engine
    engine.scheduled = True
    drives = [asyncio.ensure_future(engine.drive(lane)) for lane in engine.lanes.values()]
    await engine.clock.sleep_until(engine.clock.now() + 120.0)
    for drive in drives:
        drive.cancel()
    await asyncio.gather(*drives, return_exceptions=True)


async def move(played: Scene, source: str, number: int, *, poll: bool) -> tuple[Counter[str], Counter[str]]:
    """Move one application; the calls until the other side shows it, and all calls until nothing is left to do."""
    target = next(name for name in played.boxes if name != source)
    box, other, engine = played.boxes[source], played.boxes[target], played.app.engine
    id_ = linked(played, source)[number]
    present = box.snapshot()["application"][id_]
    word = next(word for word in MOVES[source] if word not in str(present))
    before, effects = played.calls(), len(other.effects)
    shown: list[Counter[str]] = []

    def look(action: str, facts: Any) -> None:
        if not shown and len(other.effects) > effects:
            shown.append(played.calls() - before)

    engine.listeners.append(look)
    box.move(id_, word)
    for _ in range(10):
        await asyncio.sleep(0)  # the webhook is delivered
    if poll:
        for walk in engine.world.walks_of(source):
            await engine.begin_walk(engine.lanes[source], walk, sweep=False)
    await quiet(played)
    engine.listeners.remove(look)
    assert shown, f"a move in {source} did not reach {target}"
    return shown[0], played.calls() - before


def linked(played: Scene, name: str) -> list[str]:
    """Applications in an early stage that both sides have."""
    end = "left" if name == "workable" else "right"
    with played.app.store.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            f'select {end} from links where kind = \'application\' and "left" is not null and "right" is not null '
            f"order by id"
        )
        ids = [id_ for (id_,) in rows]
    told = played.boxes[name].snapshot()["application"]
    over = ("!", "hired", "Hired", "Rejected", "rejected", "withdrawn")
    return [id_ for id_ in ids if not any(word in str(told[id_]) for word in over)]


# --- the run --------------------------------------------------------------------------------------------------------


def said(calls: Counter[str], names: tuple[str, ...]) -> str:
    """Calls by system, reads and writes apart."""
    parts = []
    for name in names:
        reads = sum(count for key, count in calls.items() if key == f"{name} GET")
        writes = sum(count for key, count in calls.items() if key.startswith(name)) - reads
        parts.append(f"{reads:>5} +{writes:>2}")
    return " ".join(f"{part:>14}" for part in parts) + f"{calls.total():>7}"


async def play(played: Scene, clock: SteppedClock) -> None:
    await backfill(played.app, wait=True, allow_large=True)
    first, links = played.calls(), len(linked(played, "workable"))
    names = ("workable", played.spoke)
    print(f"workable and {played.spoke}, calls as reads + writes {'':10}at workable {'at ' + played.spoke:>14}  total")
    scale = 1000 / played.people
    per_1000 = Counter({key: round(count * scale) for key, count in first.items()})
    print(f"  {'first sync, per 1,000 people':36}{said(per_1000, names)}   ({played.people} people, {links} linked)")
    await quiet(played)
    ways = [(source, poll) for source in names for poll in (False, True) if poll or source != "worksignal"]
    for number, (source, poll) in enumerate(ways):
        mutes(played) if poll else ears(played)
        shown, whole = await move(played, source, number, poll=poll)
        what = f"move in {source}, {'poll' if poll else 'webhook'}"
        print(f"  {what + ': shown':36}{said(shown, names)}")
        print(f"  {' ' * len(what) + '  in all':36}{said(whole, names)}")
    await played.app.close()


def main(arguments: list[str]) -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    for spoke in SPOKES:
        clock = SteppedClock(START, frozen=True)
        run_stepped(clock, play(scene(clock, spoke, int(arguments[0]) if arguments else 1000), clock))


if __name__ == "__main__":
    main(sys.argv[1:])
