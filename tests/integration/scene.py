"""One run over real sockets: people who work in the systems, misfortunes, kills, and the end that judges look at.

A seed draws what people do and when, which calls go wrong and when the process dies.
"""

import asyncio
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from syncd import config, schema
from syncd.app import build_world, load_plugins, sealer_of
from syncd.clock import Clock, WallClock
from syncd.work import SUBMIT
from tests.integration.judges import Kept, Line, Run, holds_of, violations
from tests.integration.town import LIMITS, SYSTEMS, USUAL_LIMITS, Played, Syncd, configure, subscribe, until
from tests.ports import free_port

ACT_S = float(os.environ.get("SYNCD_WORK_S", "10"))  # how long people work
BUGS = ('"died"', '"bug"', '"handover.bug"', '"exception":', "Traceback")  # what a log tells of none of our own
QUIET_S = 60.0  # within that all must have come to rest


@dataclass(frozen=True)
class Flavour:
    """How a run is set up. ``rules``: the hub wins conflicts; ``people``: which way screening carries people."""

    poll: str = "1s"
    sweep: str = "4s"
    webhooks: bool = False
    rules: bool = False
    people: str = "<->"


# --- people ---------------------------------------------------------------------------------------------------------

TITLES = ("Night Nurse", "Tiler", "Data Engineer")
NOBODYS = 199  # the last digits of the number that stands for none where one is demanded (``defaults`` of the configs)
WORDS = {  # each system's stages, and how many of them end nothing
    "acme": (("Applied", "Phone Screen", "Assessment", "Interview", "Offer", "Hired", "!disqualified"), 5),
    "screener": (("Applied", "Screening", "Assessment", "Interview", "Offer", "Hired", "Rejected"), 5),
    "voice": (("applied", "screening", "interview", "offer", "hired", "rejected"), 4),
    "home": (("applied", "screening", "interview", "offer", "hired", "rejected"), 4),
    "cv": (("reviewing", "shortlisted", "interviewing", "offered", "hired", "rejected"), 4),
}


@dataclass
class People:
    """All who work in the systems, and those who apply there. ``hub``: the system that the others are joined with."""

    played: dict[str, Played]
    rng: random.Random
    done: list[str] = field(default_factory=list)
    later: list[asyncio.Task[None]] = field(default_factory=list)
    numbers: int = 0
    hub: str = "acme"
    clock: Clock = field(default_factory=WallClock)
    pauses: tuple[float, ...] = (0.02, 0.1, 0.3, 0.6, 1.0)
    returns: tuple[float, ...] = (0.02, 0.2, 1.0, 2.5)

    def box(self, name: str) -> Any:
        return self.played[name].box

    def any(self, name: str, kind: str) -> str | None:
        known = list(self.box(name).snapshot()[kind])
        return self.rng.choice(known) if known else None

    def phone(self) -> str:
        """Anybody's number, but not the one that stands for none where a system demands one (``defaults``)."""
        drawn = self.rng.randrange(10_000)
        return f"+1202555{drawn + (drawn == NOBODYS):04d}"

    def somebody(self) -> dict[str, Any]:
        self.numbers += 1
        name = f"{self.rng.choice(('Ada', 'Bruno', 'Chidi', 'Dana'))} Test{self.numbers}"
        return {"name": name, "email": f"p{self.numbers}@example.com", "phone": self.phone()}

    # before the first sync

    def fill(self) -> None:
        """Some of the same jobs and people are known on several sides."""
        hub, screener, voice = (self.box(name) for name in SYSTEMS)
        jobs = [hub.add_job(title=title, code=f"J{at}", department="Care") for at, title in enumerate(TITLES)]
        there = {screener: screener.add_job(title=TITLES[0], code="J0"), voice: voice.add_job(title=TITLES[1])}
        for number in range(8):
            person = self.somebody()
            first = number % len(jobs)
            hub.apply(jobs[first], **person)
            if number % 4 == 0:
                hub.apply(jobs[(first + 2) % len(jobs)], **person)
            if first == 0 and number:
                screener.apply(there[screener], **{**person, "email": person["email"].upper()})
            if number == 1:
                voice.apply(there[voice], **person)
        screener.apply(there[screener], **self.somebody())
        voice.apply(there[voice], **self.somebody())

    # what they do

    def acts(self) -> list[Callable[[], None]]:
        """What happens, as often as it stands here."""
        return [self.move, self.move, self.move, self.correct, self.correct, self.comment, self.apply, self.apply_again,
                self.go_and_come_back, self.both_sides, self.rename]  # fmt: skip

    async def work(self, seconds: float) -> None:
        acts = self.acts()
        begun = self.clock.now()
        closing = begun + seconds * self.rng.uniform(0.4, 0.8)
        while self.clock.now() < begun + seconds:
            await self.pause(self.rng.choice(self.pauses))
            act = self.rng.choice(acts)
            if closing and self.clock.now() > closing:
                act, closing = self.close_job, 0.0
            act()
            self.done.append(act.__name__)
        await asyncio.gather(*self.later)

    async def pause(self, seconds: float) -> None:
        await self.clock.sleep_until(self.clock.now() + seconds)

    def word(self, name: str) -> str:
        words, usual = WORDS[name]
        return self.rng.choice(words if self.rng.random() < 0.15 else words[:usual])

    def put(self, name: str, id_: str, word: str) -> None:
        if self.box(name).snapshot()["application"][id_]["stage"] != word:
            self.box(name).move(id_, word)

    def move(self) -> None:
        name = self.rng.choice([*self.played])
        if (id_ := self.any(name, "application")) is not None:
            self.put(name, id_, self.word(name))

    def correct(self) -> None:
        """A phone number; at the hub on one of a person's rows."""
        name = self.rng.choice([self.hub, *self.hirers()])
        if (id_ := self.any(name, "candidate")) is not None:
            self.box(name).edit("candidate", id_, **{"phone_no" if name == "screener" else "phone": self.phone()})

    def rename(self) -> None:
        if (id_ := self.any(self.hub, "candidate")) is not None:
            self.box(self.hub).edit("candidate", id_, **self.named(f"Nadia Named{self.rng.randrange(1000)}"))

    def named(self, name: str) -> dict[str, str]:
        """A name as the hub has it."""
        first, _, last = name.partition(" ")
        return {"first_name": first, "last_name": last} if self.hub == "screener" else {"name": name}

    def comment(self) -> None:
        if (id_ := self.any("acme", "application")) is not None:
            self.box("acme").comment(id_)

    def apply(self) -> None:
        name = self.rng.choice(self.hirers())
        if (job := self.open_job(name)) is not None:
            self.box(name).apply(job, **self.somebody())

    def hirers(self) -> list[str]:
        """The systems in which people apply, and have names and numbers of their own."""
        return [name for name in self.played if name != "cv"]

    def open_job(self, name: str) -> str | None:
        jobs = self.box(name).snapshot()["job"]
        known = [id_ for id_, job in jobs.items() if str(job.get("state") or job.get("status")).lower() != "closed"]
        return self.rng.choice(known) if known else None

    def apply_again(self) -> None:
        """Somebody known applies at the hub for one job more."""
        hub = self.box(self.hub)
        if (id_ := self.any(self.hub, "candidate")) is None or (job := self.open_job(self.hub)) is None:
            return
        told = hub.snapshot()
        person = told["candidate"][id_]
        people = told["candidate"]
        jobs = {about["job"] for about in told["application"].values()
                if str(people[about["candidate"]]["email"]).lower() == str(person["email"]).lower()}  # fmt: skip
        if job not in jobs:
            hub.apply(job, email=person["email"], phone=person.get("phone"), **self.as_known(person))

    def as_known(self, person: Mapping[str, Any]) -> dict[str, Any]:
        """The name under which the hub knows a person."""
        if self.hub == "acme":
            return {"firstname": person["firstname"], "lastname": person["lastname"]}
        return {"name": person.get("name") or f"{person['first_name']} {person['last_name']}"}

    def go_and_come_back(self) -> None:
        """A move, and back again after a while that may be shorter or longer than a look."""
        name = self.rng.choice([*self.played])
        if (id_ := self.any(name, "application")) is None:
            return
        before = self.box(name).snapshot()["application"][id_]["stage"]
        self.put(name, id_, self.word(name))

        async def back(wait_s: float) -> None:
            await self.pause(wait_s)
            self.put(name, id_, before)

        self.later.append(asyncio.ensure_future(back(self.rng.choice(self.returns))))

    def both_sides(self) -> None:
        """The same application is moved on several sides at once."""
        kept = {name: self.box(name).snapshot() for name in self.hirers()}
        if (id_ := self.any(self.hub, "application")) is None:
            return
        who = _who(kept[self.hub], id_)
        for name, told in kept.items():
            for other in told["application"]:
                if _who(told, other) == who and (name == self.hub or self.rng.random() < 0.7):
                    self.put(name, other, self.word(name))

    def close_job(self) -> None:
        job = self.rng.choice([*self.box("acme").snapshot()["job"]])
        self.box("acme").edit("job", job, state="closed")


def _who(told: Any, id_: str) -> tuple[str, str]:
    about = told["application"][id_]
    return str(told["candidate"][about["candidate"]]["email"]).lower(), str(told["job"][about["job"]]["title"])


# --- a run ----------------------------------------------------------------------------------------------------------


@dataclass
class Scene:
    """One seed under one flavour, in one folder."""

    seed: int
    flavour: Flavour
    folder: Path
    played: dict[str, Played]

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.syncd = Syncd(self.folder, free_port())
        self.prepare()

    def prepare(self) -> None:
        """Who works there, and the config."""
        self.people = People(self.played, random.Random(self.seed + 1000))
        rules = 'conflicts = "left"\nowner = { stage = "left" }' if self.flavour.rules else ""
        about = {"poll": self.flavour.poll, "sweep": self.flavour.sweep, "people": self.flavour.people}
        configure(self.folder, self.syncd.port, self.played, rules=rules, **about)

    async def begin(self) -> None:
        """From nothing to a daemon that has seen everything once."""
        self.people.fill()
        if self.flavour.webhooks:
            subscribe(self.played, self.syncd.port)
            for one in self.played.values():
                one.box.lose_hook = lambda event: self.rng.random() < 0.1
        await self.syncd.start()
        await until(self.syncd.is_ready, 30, self.syncd.told)
        await until(self.syncd.has_learnt, 30, self.syncd.told)

    async def misfortune(self) -> None:
        """Calls go wrong, systems go away, the process dies three times: each at a time of its own."""
        for one in self.played.values():
            one.box.faults.on = True
        third = ACT_S / 3  # between two deaths it lives long enough to do something
        times = [third * (at + self.rng.uniform(0.3, 0.8)) for at in range(3)]
        away = asyncio.ensure_future(self.absences())
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for at in times:
            await asyncio.sleep(max(0.0, begin + at - loop.time()))
            await self.syncd.die()
            await self.syncd.start()
        await away

    async def absences(self) -> None:
        for _ in range(2):
            await asyncio.sleep(self.rng.uniform(1.0, ACT_S / 3))
            await self.played[self.rng.choice([*self.played])].go_away(self.rng.uniform(0.5, 2.0))

    async def rest(self, within_s: float = QUIET_S) -> None:
        """Everything heals, people go home, and all comes to rest."""
        for one in self.played.values():
            one.box.faults.on = False
            one.box.lose_hook = lambda event: False
        since = WallClock().now()
        await until(lambda: self.syncd.is_at_rest(since) and self.is_silent(), within_s, self.told)

    def is_silent(self) -> bool:
        """Whether no write came for longer than two polls and a look-up take."""
        writes = [call.at for one in self.played.values() for call in one.box.arrivals if call.method != "GET"]
        return WallClock().now() - max(writes, default=0.0) > 3.0

    def told(self) -> str:
        left = [
            str(dict(row._mapping))
            for question in (sa.select(schema.intents), sa.select(schema.marks), sa.select(schema.cursors))
            for row in self.syncd.rows(question)
        ]
        return "\n".join([*left, self.syncd.told()])

    async def judge(self) -> list[str]:
        """Ask what is held, stop the daemon, and look at everything."""
        _, held = await self.syncd.ask("held")
        code = await self.syncd.stop()
        log = "\n".join(path.read_text() for path in self.syncd.logs)
        bugs = [line for line in log.splitlines() if any(sign in line for sign in BUGS) and '"store_away"' not in line]
        one_way = frozenset({"screener"}) if self.flavour.people == "->" else frozenset()
        run = Run(self.kept(), holds_of(held), self.journal(), self.syncd.deaths, self.flavour.rules, one_way,
                  self.people.hub)  # fmt: skip
        return [*([] if code == 0 else [f"SIGTERM: exit {code}"]), *bugs, *self.verdict(run)]

    def verdict(self, run: Run) -> list[str]:
        """What should not have happened."""
        return violations(run)

    def kept(self) -> dict[str, Kept]:
        settings = config.load(self.folder / "config.toml", {})
        known = build_world(settings, load_plugins(), sealer_of(settings, random.randbytes)).connections
        return {
            name: Kept(name, one.box, known[name].vocabulary, known[name].defaults, LIMITS.get(name, USUAL_LIMITS),
                       one.app.looks)
            for name, one in self.played.items()
        }  # fmt: skip

    def journal(self) -> list[Line]:
        return [
            Line(row.at, row.connection, row.kind, row.ref, row.what, tuple(row.fields))
            for row in self.syncd.rows(sa.select(schema.journal).order_by(schema.journal.c.id))
            if row.detail != SUBMIT  # a batch tells at its source what it holds
        ]

    def story(self, found: list[str]) -> str:
        """All that is needed to look into a red run."""
        effects = sorted(
            (effect.at, name, effect.by, effect.action, effect.kind, effect.id, dict(effect.before), dict(effect.after))
            for name, one in self.played.items()
            for effect in one.box.effects
        )
        fired = [line for one in self.played.values() for line in one.box.faults.fired]
        head = [
            f"seed {self.seed}, {self.flavour}, {len(found)} violations:",
            *found[:8],
            f"deaths {self.syncd.deaths}",
        ]
        return "\n".join([*head, *fired, *map(str, effects[-400:])])
