"""One run of the demo: the sandboxes, syncd beside them, a first backfill, a working day, and the verdict.

It is the same program with sockets and a clock that jumps when all is idle (``syncd demo``), and in one process with a
frozen one (the tests): both come in as arguments.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from starlette.types import ASGIApp

from syncd import demo_papers, demo_verdict, page, schedule, schema, webhooks
from syncd.agenda import left_to_do
from syncd.app import App, Network, build, open_store, sealer_of
from syncd.backfill import backfill
from syncd.clock import SteppedClock
from syncd.commands import run_command
from syncd.connector import Plugin
from syncd.demo_day import Day
from syncd.demo_people import CARE, NAMES, OPENINGS, OWN_WORDS, SUPPORT, Company
from syncd.demo_verdict import Kept
from syncd.limits import Priority
from syncd.mapping import key_text
from syncd.reach import ReachMetrics
from syncd.server import build_app
from syncd.settings import Config, Server
from syncd.site import Source

START = 1_772_438_400.0  # 2026-03-02, a Monday, 08:00 UTC
DAY_BEGINS = START + 3600.0
SYSTEMS = {
    "acme": "workable", "screener": "ninjahire", "voice": "worksignal", "house": "portal", "papers": "hiresquire",
}  # fmt: skip
HOOK_SECRET = "demo-webhook-secret"  # noqa: S105  # of sandboxes on this machine, for as long as the demo runs
LONGEST_S = 2 * 86_400.0  # after the day; what has not come into step by then never will

HOLD = ("pair", "connection", "kind", "ref", "field", "reason", "detail")

Say = Callable[[float, str], None]


PAIRS: Mapping[str, Any] = {
    "screening": {
        "left": "acme", "right": "screener", "jobs": "->", "candidates": "->", "applications": "<->",
        "conflicts": "hold", "owner": {"stage": "left"}, "only": {"job_status": ["open"]},
        "screenings": "<-", "resumes": "->",
    },
    "voices": {
        "left": "acme", "right": "voice", "jobs": "->", "candidates": "<->", "applications": "<->",
        "conflicts": "hold", "only": {"job_status": ["open"], "department": ["Support"]}, "screenings": "<-",
    },
    "inhouse": {
        "left": "acme", "right": "house", "jobs": "->", "candidates": "->", "applications": "<->",
        "resumes": "->", "owner": {"stage": "left"}, "only": {"job_status": ["open"], "department": ["Care"]},
    },
    "paper": {
        "left": "acme", "right": "papers", "applications": "<->", "screenings": "<-",
        "screen_at": "assessment", "collect": "5m", "max_credits_per_day": 200,
        "only": {"job_status": ["open"], "department": ["Engineering", "Care", "Operations"]},
    },
}  # fmt: skip
DEFAULTS = {
    "industry": "Software", "state": "CA", "country": "United States", "recruiter_name": "Talent team",
    "recruiter_email": "talent@example.com", "recruiter_phone": "+12025550100", "source": "Workable",
    "phone": "+12025550199",
}  # fmt: skip


def settings(addresses: Mapping[str, str], folder: Path, server: Server) -> Config:
    """A config as in config.example.toml: Workable is the hub, all others are its spokes."""
    hooked = {"webhook_secret": HOOK_SECRET}
    own: Mapping[str, Mapping[str, Any]] = {
        "acme": {"member": "ops@acme.example", "poll": "10m", "stages": {"read": OWN_WORDS}},
        "screener": {**hooked, "poll": "30m", "region": "US", "defaults": DEFAULTS},
        "voice": {**hooked, "poll": "15m"},
        "house": {"author": "ops@acme.example", "poll": "15m"},
        "papers": {**hooked, "poll": "30m"},
    }
    connections = {
        name: {"token": "sandbox-token", "system": system, "base_url": addresses[name], "sweep": "12h", **own[name]}
        for name, system in SYSTEMS.items()
    }
    return Config.model_validate({
        "store": {"url": f"sqlite:///{folder}/demo.db"},
        "server": server.model_dump(),
        "connections": connections,
        "pairs": PAIRS,
    })  # fmt: skip


def drawn(rng: random.Random) -> random.Random:
    """A source of chance of its own, so that one part's draws do not shift another's."""
    return random.Random(rng.random())  # noqa: S311  # made-up people and jitter


def company_of(plugins: Mapping[str, Plugin], clock: SteppedClock, rng: random.Random) -> Company:
    """The systems, filled."""
    systems = {}
    for name, system in SYSTEMS.items():
        sandbox = plugins[system].sandbox
        assert sandbox is not None
        systems[name] = sandbox(clock=clock, rng=drawn(rng))
    company = Company(**{SYSTEMS[name]: sandbox for name, sandbox in systems.items()}, rng=drawn(rng))
    company.begin(clock.now())
    return company


@dataclass
class Tally:
    """What syncd wrote since it was last asked."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def listen(self, action: str, facts: Mapping[str, Any]) -> None:
        """Count writes (an engine's listener)."""
        if action == "written":
            self.counts[facts["connection"], facts["call"], facts["kind"]] += 1

    def taken(self) -> str:
        """The counts as a sentence, and begin anew."""
        words = [_counted(count, call, kind, NAMES[name]) for (name, call, kind), count in sorted(self.counts.items())]
        self.counts.clear()
        return f"syncd: {', '.join(words)}." if words else ""


_DONE = {
    "attach": "résumé{s} sent to {where}", "comment": "comment{s} made in {where}",
    "submit": "batch{es} of résumés sent to {where}", "outcome": "outcome{s} told to {where}",
}  # fmt: skip


def _counted(count: int, call: str, kind: str, where: str) -> str:
    """What was done so many times, in words."""
    usual = f"{kind}{{s}} {'made' if call == 'create' else 'changed'} in {{where}}"
    words = _DONE.get(call, usual)
    return f"{count} {words.format(s='s' * (count > 1), es='es' * (count > 1), where=where)}"


class Play:
    """One run. ``say`` is told each sentence with its stepped time."""

    def __init__(
        self,
        company: Company,
        plugins: Mapping[str, Plugin],
        config: Config,
        clock: SteppedClock,
        rng: random.Random,
        *,
        say: Say,
        network: Network = lambda name: None,
        threaded: bool = True,
    ) -> None:
        self.company, self.clock, self._rng, self._say = company, clock, rng, say
        sealer = sealer_of(config, rng.randbytes)
        store = open_store(config, clock, sealer, threaded=threaded)
        self.metrics = ReachMetrics(clock)
        self.app: App = build(config, plugins, store, sealer, rng=drawn(rng), network=network, meter=self.metrics)
        pace = schedule.next_poll(self.app.world, {name: one.poll for name, one in config.connections.items()})
        self.tally = Tally()
        self.engine = self.app.engine
        self.engine.next_poll = pace
        self.engine.listeners += [pace.listen, self.metrics.listen, self.tally.listen]
        self.site = self._site(config)
        self._spent: set[str] = set()

    # what is served

    def _site(self, config: Config) -> ASGIApp:
        receiver = webhooks.Receiver(self.engine, webhooks.ears_of(self.engine, {}), self.metrics)
        return build_app(
            config.server, pages=self._pages(), measured=self._measured, troubles=list, receive=receiver.receive
        )

    def _pages(self) -> Source:
        async def ask(question: Callable[..., Any], *arguments: Any) -> Any:
            return await self.app.store.run(question, self.app.world, *arguments)

        async def act(command: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
            return await run_command(self.app, command, arguments, lambda told: None)

        return Source(facts=self._facts, ask=ask, troubles=list, act=act)

    async def _measured(self) -> bytes:
        await self.metrics.keep(self.app)
        return await self.metrics.measured(self.app)

    async def _facts(self) -> dict[str, Any]:
        await self.metrics.keep(self.app)
        return await self.app.store.run(page.facts_of, self.app.world, self.clock.now())

    def subscribe(self, address: str, client: httpx.AsyncClient) -> None:
        """Let the systems tell the address what happens, as their administrators would set it up."""
        for sandbox in self.company.systems.values():
            sandbox.client = client
        for event in ("candidate_created", "candidate_moved", "candidate_deleted"):
            self.company.workable.subscribe(f"{address}/webhooks/acme/{event}", event)
        self.company.ninjahire.subscribe(f"{address}/webhooks/screener", secret=HOOK_SECRET)
        self.company.worksignal.subscribe(f"{address}/webhooks/voice", secret=HOOK_SECRET)
        self.company.hiresquire.webhook_secret = HOOK_SECRET
        self.engine.lanes["papers"].webhook_url = f"{address}/webhooks/papers"

    # what happens

    async def backfill(self, progress: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
        """The first backfill."""
        await self.metrics.begin(self.app)
        return await backfill(self.app, wait=True, progress=progress)

    @asynccontextmanager
    async def serving(self) -> Any:
        """While held, polls and pushes go on, as in the daemon; a lane that dies ends the demo."""
        self.engine.scheduled = True
        drives = [asyncio.ensure_future(self.engine.drive(lane)) for lane in self.engine.lanes.values()]
        try:
            yield drives
        finally:
            for drive in drives:
                drive.cancel()
            ended = await asyncio.gather(*drives, return_exceptions=True)
            for error in ended:
                if isinstance(error, Exception):
                    raise error

    def day(self) -> Day:
        """The working day."""
        return Day(self.company, self.clock, drawn(self._rng), self._tell)

    def _tell(self, sentence: str) -> None:
        self.tell_writes()
        self._say(self.clock.now(), sentence)

    def tell_writes(self) -> None:
        """Say what was written since the last time, and which token is spent."""
        for name, lane in self.engine.lanes.items():
            until = lane.parked.get(Priority.WRITE, 0.0)
            if until > self.clock.now() and name not in self._spent:
                self._spent.add(name)
                when = datetime.fromtimestamp(until, UTC).strftime("%H:%M")
                self._say(self.clock.now(), f"{NAMES[name]}'s calls for today are spent; its lane waits until {when}.")
        if sentence := self.tally.taken():
            self._say(self.clock.now(), sentence)

    async def until_in_step(self, since: float) -> None:
        """Wait until every list was walked since a time and nothing waits for a call, or for two days at most."""
        while self.clock.now() < since + LONGEST_S and not await self.app.store.run(_is_in_step, since):
            await self.clock.sleep_until(self.clock.now() + 60.0)
            self.tell_writes()

    # what it came to

    def records(self) -> dict[str, dict[str, int]]:
        """How many records each system holds, by kind."""
        told = {name: sandbox.snapshot() for name, sandbox in self.company.systems.items()}
        return {name: {str(kind): len(rows) for kind, rows in kinds.items()} for name, kinds in told.items()}

    async def summary(self) -> dict[str, Any]:
        """What the run came to, in closed words, ids and numbers; ``troubles`` is empty where all went as it should."""
        links, holds, left = await self.app.store.run(_what_stands)
        kept = self._kept()
        differing = [text for text, ids in self._differences(kept) if not ids & {hold["ref"] for hold in holds}]
        unscripted, missing = self._against_script(holds)
        twice = [line for one in kept.values() for line in demo_verdict.duplicates(one)]
        felt = demo_verdict.felt(self.company.systems)
        refused = demo_verdict.refused(self.company.systems)
        papers = self._papers(kept)
        troubles = [
            *(f"there twice: {line}" for line in twice),
            *(f"felt by people: {line}" for line in felt),
            *([f"{refused} calls were refused for a limit"] if refused else []),
            *(f"not in step: {line}" for line in differing),
            *papers.troubles,
            *(
                f"held, which was not in the script: {hold['kind']} {hold['ref']} ({hold['reason']})"
                for hold in unscripted
            ),
            *(f"not held, which was in the script: {one.kind} ({one.reason})" for one in missing),
            *([f"{left} things wait for a call"] if left else []),
        ]
        return {
            "records": self.records(),
            "links": links,
            "writes": {name: demo_verdict.writes(one) for name, one in self.company.systems.items()},
            "calls": {name: demo_verdict.calls(one) for name, one in self.company.systems.items()},
            "refused": refused,
            "duplicates": len(twice),
            "felt": len(felt),
            "resumes": papers.resumes,
            "comments": papers.comments,
            "credits": papers.credits,
            "held": holds,
            "troubles": troubles,
        }

    def _kept(self) -> dict[str, Kept]:
        world = self.app.world.connections
        return {
            name: Kept(name, sandbox.snapshot(), world[name].vocabulary, rows=name == demo_verdict.HUB)
            for name, sandbox in self.company.systems.items()
            if name != "papers"  # what it knows of people it has read in their résumés
        }

    def _differences(self, kept: Mapping[str, Kept]) -> Iterator[tuple[str, set[str]]]:
        open_jobs = {key_text(one.title) for one in OPENINGS if one.state == "published"}
        support = {key_text(OPENINGS[number].title) for number in SUPPORT}
        hub = kept[demo_verdict.HUB]
        yield from demo_verdict.differences(
            hub, kept["screener"], frozenset(open_jobs), ("first_name", "last_name", "phone"), one_way=True
        )
        yield from demo_verdict.differences(hub, kept["voice"], frozenset(support), ("name", "phone"))
        care = frozenset(key_text(OPENINGS[number].title) for number in CARE)
        yield from demo_verdict.differences(hub, kept["house"], care, ("name", "phone"))

    def _papers(self, kept: Mapping[str, Kept]) -> demo_papers.Verdict:
        """Résumés, comments and credits, by the sandboxes' own logs."""
        links = {name: self._elsewhere(kept[demo_verdict.HUB], kept[name]) for name in ("screener", "voice", "house")}
        return demo_papers.verdict(self.company.systems, links, self.app.world.connections)

    def _elsewhere(self, hub: Kept, spoke: Kept) -> dict[str, str]:
        """Workable row -> the application there."""
        theirs = spoke.applications()
        return {ours[0]: theirs[key][0] for key, ours in hub.applications().items() if key in theirs}

    def _against_script(self, holds: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Any]]:
        """Holds that nobody wrote into the script, and scripted ones that are not there."""
        found, unscripted = set(), []
        for hold in holds:
            hit = next(
                (
                    at
                    for at, one in enumerate(self.company.scripted)
                    if one.kind == hold["kind"] and one.reason == hold["reason"] and hold["ref"] in one.refs
                ),
                None,
            )
            found.add(hit)
            unscripted += [hold] if hit is None else []
        missing = [one for at, one in enumerate(self.company.scripted) if at not in found]
        return unscripted, missing

    async def close(self) -> None:
        """Let go of everything."""
        await self.app.close()


# --- what is asked of the store -------------------------------------------------------------------------------------


def _is_in_step(connection: sa.Connection, since: float) -> bool:
    late = sa.select(sa.func.count()).where(sa.func.coalesce(schema.cursors.c.polled_at, 0.0) < since)
    return left_to_do(connection) == 0 and connection.execute(late).scalar_one() == 0


def _what_stands(connection: sa.Connection) -> tuple[dict[str, int], list[dict[str, Any]], int]:
    """Links by pair and kind, what is held, and how much is left to do."""
    links, holds = schema.links.c, schema.holds.c
    counted = connection.execute(
        sa.select(links.pair, links.kind, sa.func.count())
        .group_by(links.pair, links.kind)
        .order_by(links.pair, links.kind)
    )
    held = connection.execute(sa.select(*(holds[name] for name in HOLD)).order_by(holds.id))
    return (
        {f"{pair} {kind}": count for pair, kind, count in counted},
        [dict(zip(HOLD, row, strict=True)) for row in held],
        left_to_do(connection),
    )
