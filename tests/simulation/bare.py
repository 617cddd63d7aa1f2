"""The engine in hard worlds with its safety nets off, for the hunt of planted bugs (``tests.simulation.planted``).

A safety net hides a broken layer: a cursor that runs ahead is mended by the next sweep, a second create is refused by a
server that knows the mail. So each hunt names its conditions: which nets are off, and what the systems do that makes
the layer matter. The judges are those of the core, and some that look closer; none knows what was planted.
"""

import contextlib
import gc
import random
from collections import Counter
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest

from connectors.memory import MemoryConnector, MemorySystem, Thing
from syncd import settle
from syncd.connector import Walk
from syncd.cycle import Engine, Lane
from syncd.errors import NotSent, OutcomeUnknown, Unavailable
from syncd.model import Cursor, Draft, Fields, Kind, Page, Record, Ref
from syncd.setup import World
from tests.simulation.core import POLL_S, SWEEP_S, NoRoad, Options, Simulation
from tests.simulation.verdicts import MADE_UP_PHONE

T = TypeVar("T")

CONDITIONS = {
    "no sweep": "no list is walked whole again after the first look",
    "no overlap": "a poll begins exactly at the cursor",
    "careless": "servers refuse no second record of a mail, and nothing is looked up before it is made",
    "late": "the hub's list shows some changes up to three seconds late",
    "coarse": "the hub tells change times in whole seconds",
    "behind": "the hub's clock is a minute behind ours",
    "zombies": "a create whose answer is lost may take effect up to four seconds later",
    "respelled": "one spoke keeps names in capitals",
    "unmapped": "people also use a stage that no map has",
    "left wins": "where both ends changed, the left one wins",
    "leaves out": "lists leave out records now and then",
    "defaults": "one spoke demands a phone, and a made-up one is configured for who has none",
    "crashes": "the process dies often",
    "quiet": "a further while without anybody's doing is judged",
    "restless": "people go there and back again, and say the same on both sides at once",
    "lost": "answers of writes and reads are often lost, after the effect and before it",
    "one after another": "people do things seconds apart, so that one poll finds many changes",
    "crowded": "many people at the hub, whose list has several pages",
    "slow": "an answer takes a second and a half",
    "undone": "people undo some of our moves a moment after they see them",
    "polled often": "the hub's list is read every eight seconds, and people do things all the time",
    "no second look": "a page that is unchanged is never looked at again for what its records wait for",
}
BEHIND_S = 60.0
LATE_S = 3.0
ZOMBIE_S = 4.0
NO_SWEEP_S = 1e6
UNMAPPED = "Limbo"
_POLLED = "SELECT polled_at FROM cursors WHERE connection = 'hub' AND walk = 'rows'"
_KNOWN = "SELECT id, version, updated_at FROM records WHERE connection = 'hub' AND kind = 'application'"
_WAITING = "SELECT (SELECT count(*) FROM intents WHERE state <> 'held') + (SELECT count(*) FROM marks)"


@dataclass
class Shown:
    """One state of a record, and from when lists show it."""

    thing: Thing
    at: float


class BareSystem(MemorySystem):
    """A memory system under a hunt's conditions."""

    def __init__(self, flavour: str, clock: Any, *, prefix: str, versions: bool, conditions: frozenset[str]) -> None:
        super().__init__(flavour, clock, prefix=prefix, versions=versions)
        self.conditions = conditions
        self.chance = random.Random(prefix)
        self.shown: dict[Ref, list[Shown]] = {}
        self.listing = False
        self.changed_at: dict[Ref, float] = {}
        if "careless" in conditions:
            self.facts = replace(
                self.facts, kinds={kind: replace(known, exact=False) for kind, known in self.facts.kinds.items()}
            )
        if "defaults" in conditions and flavour == "plain":
            person = self.facts.kinds[Kind.CANDIDATE]
            kinds = {**self.facts.kinds, Kind.CANDIDATE: replace(person, demands=person.demands | {"phone"})}
            self.facts = replace(self.facts, kinds=kinds)

    def add(self, kind: Kind, fields: Fields, by: str = "human", **more: Any) -> str:
        fields = self._spelled(fields, by)
        id_ = super().add(kind, fields, by, **more)
        self._stamp(Ref(kind, id_), is_new=True)
        return id_

    def edit(self, ref: Ref, fields: Fields, by: str = "human") -> None:
        super().edit(ref, self._spelled(fields, by), by)
        self._stamp(ref)

    def touch(self, ref: Ref) -> None:
        super().touch(ref)
        self._stamp(ref)

    def of(self, kind: Kind) -> list[Thing]:
        things = super().of(kind)
        if not self.listing:
            return things
        things = [shown for thing in things if (shown := self._as_listed(thing)) is not None]
        if "leaves out" in self.conditions and self.chance.random() < 0.2:
            things = [thing for thing in things if self.chance.random() < 0.8]
        return things

    def note_read(self, ref: Ref) -> None:
        """A list that shows an older state is no reading of what stands there now."""
        if not self.listing or self._as_listed(self.things[ref]) is self.things[ref]:
            super().note_read(ref)

    @property
    def is_hub(self) -> bool:
        return self.flavour == "rows"

    def time_told(self) -> float:
        """The time by this server's clock, as it tells it."""
        now = self.clock.now() - (BEHIND_S if "behind" in self.conditions and self.is_hub else 0.0)
        return float(int(now)) if "coarse" in self.conditions and self.is_hub else now

    def _spelled(self, fields: Fields, by: str) -> Fields:
        respells = "respelled" in self.conditions and self.flavour == "plain" and by == "api" and "name" in fields
        return {**fields, "name": str(fields["name"]).upper()} if respells else fields

    def _stamp(self, ref: Ref, *, is_new: bool = False) -> None:
        thing = self.things[ref]
        thing.updated_at = self.time_told()
        self.changed_at[ref] = self.clock.now()
        if is_new:
            thing.created_at = self.time_told()
        if "late" in self.conditions and self.is_hub:
            late_s = self.chance.choice((0.0, 0.0, LATE_S * self.chance.random()))
            known = self.shown.setdefault(ref, [])
            known.append(Shown(replace(copy(thing), fields={**thing.fields}), self.clock.now() + late_s))

    def _as_listed(self, thing: Thing) -> Thing | None:
        """A record as lists show it now; None: not yet."""
        if not ("late" in self.conditions and self.is_hub):
            return thing
        seen = [shown.thing for shown in self.shown[thing.ref] if shown.at <= self.clock.now()]
        latest = max(seen, key=lambda shown: shown.version, default=None)
        return thing if latest is not None and latest.version == thing.version else latest


class BareConnector(MemoryConnector):
    """The client side; tells a witness of each write that arrives and of each that takes effect."""

    system: BareSystem

    def __init__(self, system: BareSystem, witness: "Hunt") -> None:
        super().__init__(system)
        self.witness = witness
        self._sends: tuple[str, str, str] = ("", "", "")  # what goes out: create or update, kind, key or id

    def _page(self, walk: Walk, start: int, after: float | None) -> Page:
        self.system.listing = True
        try:
            page = super()._page(walk, start, after)
        finally:
            self.system.listing = False
        return replace(page, served_at=self.system.time_told())

    async def create(self, draft: Draft, key: str) -> tuple[Record, ...]:
        self._sends = ("create", draft.kind.value, key)
        return await super().create(draft, key)

    async def update(self, record: Record, fields: Fields) -> Record | None:
        self._sends = ("update", record.ref.kind.value, record.ref.id)
        return await super().update(record, fields)

    def _of_email(self, email: Any) -> list[Thing]:
        return [] if "careless" in self.system.conditions else super()._of_email(email)

    async def _travel(self, method: str, what: str, effect: Callable[[], T]) -> T:
        system, sends = self.system, self._sends
        system.crash("before_call")
        fault = system.fault(method, what)
        lost: type[Exception] = Unavailable if method == "GET" else OutcomeUnknown
        slow_s = 0.75 if "slow" in system.conditions else 0.05
        await system.clock.sleep_until(system.clock.now() + slow_s)
        if fault == "refused":
            raise NotSent("no connection (simulated)")
        if method != "GET":
            self.witness.arrives(system, *sends)
            effect = self.witness.counted(sends, effect)
        if fault in ("lost_before", "error_before"):
            if "zombies" in system.conditions and method == "POST":
                self.witness.later(ZOMBIE_S * system.chance.random(), lambda: self._too_late(effect))
            raise lost("the answer was lost (simulated)")
        before = len(system.log)
        answer = effect()
        await system.clock.sleep_until(system.clock.now() + slow_s)
        system.crash("after_call")
        if fault is not None:
            system.lose_reads(before)
            raise lost("the answer was lost (simulated)")
        return answer

    def _too_late(self, effect: Callable[[], Any]) -> None:
        """A request that its caller has given up takes effect after all."""
        effect()


class Broken(BaseException):
    """A promise is broken before everybody's eyes: nothing more need be played."""


class Hunt(Simulation):
    """One seed of the core's world, under a hunt's conditions."""

    def __init__(self, seed: int, conditions: frozenset[str]) -> None:
        assert conditions <= CONDITIONS.keys(), f"no such condition: {sorted(conditions - CONDITIONS.keys())}"
        self.conditions = conditions
        self.effects: Counter[tuple[str, str, str]] = Counter()
        self.polled_at: float | None = None
        crashes = 0.01 if "crashes" in conditions else 0.0
        faults = ("lost_before", "lost_after") if "lost" in conditions else None
        # After a lost answer a text that is spelled anew cannot be told from somebody's edit: known, and not hunted.
        faults = () if "respelled" in conditions else faults
        super().__init__(
            seed,
            Options(
                crash_share=crashes,
                faults=faults,
                minutes=1.0 if "polled often" in conditions else 2.0,
            ),
        )
        if "lost" in conditions:
            self.faults.share = 0.3

    def _world(self) -> World:
        """Put the bare systems in the place of the core's, which nobody has used yet, and take the nets away."""
        made = {
            name: BareSystem(
                known.flavour, self.clock, prefix=known.prefix, versions=known.versions, conditions=self.conditions
            )
            for name, known in self.systems.items()
        }
        self.systems = dict(made)
        self.hub, self.plain, self.newborn = made["hub"], made["plain"], made["newborn"]
        world = super()._world()
        off: dict[str, Any] = {"sweep_s": NO_SWEEP_S} if "no sweep" in self.conditions else {}
        off |= {"overlap_s": 0.0} if "no overlap" in self.conditions else {}
        connections = {name: replace(known, **off) for name, known in world.connections.items()}
        if "polled often" in self.conditions:
            connections["hub"] = replace(connections["hub"], poll_s=8.0)
        if "defaults" in self.conditions:
            connections["plain"] = replace(connections["plain"], defaults={"phone": MADE_UP_PHONE})
        rule = "left" if "left wins" in self.conditions else "hold"
        pairs = tuple(
            replace(pair, left=connections[pair.left.name], right=connections[pair.right.name], rule=rule)
            for pair in world.pairs
        )
        return replace(world, connections=connections, pairs=pairs)

    def engine(self) -> Engine:
        lanes = {
            name: Lane(self.world.connections[name], BareConnector(system, self), NoRoad())
            for name, system in self.systems.items()
        }
        return Engine(self.world, self.store, self.clock, random.Random(self.chance.random()), lanes)

    # people

    def _population(self) -> None:
        super()._population()
        for number in range(5 if "crowded" in self.conditions else 0):
            self.apply(f"Guest {number}", f"g{number}@example.com", "hub")

    def act(self) -> None:
        if "unmapped" in self.conditions and self.rng.random() < 0.2:
            found = self._any(Kind.APPLICATION)
            if found is not None:
                found[0].edit(found[1], {"stage": UNMAPPED})
        elif "restless" in self.conditions and self.rng.random() < 0.5:
            self.rng.choice([self._aba, self._both_sides])()
        else:
            super().act()

    async def _people(self) -> None:
        if not {"one after another", "polled often"} & self.conditions:
            await super()._people()
            return
        waits_s = [0.2, 0.7, 2.0] if "polled often" in self.conditions else [1.0, 4.0, 9.0]
        end = self.clock.now() + self.options.minutes * 60
        while self.clock.now() < end:
            await self.clock.sleep_until(self.clock.now() + self.rng.choice(waits_s))
            self.act()

    # witnesses

    def run(self) -> "Hunt":
        """Play the seed, to its end or until a promise is seen to be broken."""
        with contextlib.suppress(Broken):
            super().run()
        return self

    def _break(self, said: str) -> None:
        self.violations.append(said)
        raise Broken(said)

    def _moment(self, moment: str) -> None:
        if moment == "after":
            self._judge_cursor()
        super()._moment(moment)

    def _judge_cursor(self) -> None:
        """I7: when a walk of the hub's list has ended, whatever had changed before it began is committed."""
        polled_at = self.database.execute(_POLLED).fetchone()
        if polled_at is None or polled_at[0] == self.polled_at or "leaves out" in self.conditions:
            return
        self.polled_at = polled_at[0]
        shown_by = (self.polled_at or 0.0) - (LATE_S if "late" in self.conditions else 0.0)
        known = {ref: (version, at) for ref, version, at in self.database.execute(_KNOWN)}
        for thing in self.hub.of(Kind.APPLICATION):
            version, at = known.get(thing.ref.id, (None, None))
            is_known = version == str(thing.version) if self.hub.versions else (at or 0.0) >= thing.updated_at
            if self.hub.changed_at[thing.ref] < shown_by and not is_known:
                self._break(f"I7 {thing.ref} had changed before a list was read to its end, and is not known")

    def arrives(self, system: BareSystem, call: str, kind: str, about: str) -> None:
        """A write reaches a server: what is committed must say so already (I3)."""
        column = "id" if call == "create" else "ref"
        name = next(name for name, known in self.systems.items() if known is system)
        sql = f"SELECT 1 FROM intents WHERE connection = ? AND kind = ? AND {column} = ? AND state = 'sent'"
        if self.database.execute(sql, (name, kind, about)).fetchone() is None:
            self._break(f"I3 a {call} of {kind} {about} reached {name}, and no committed intent was sent")

    def counted(self, sends: tuple[str, str, str], effect: Callable[[], T]) -> Callable[[], T]:
        """The same effect; a create takes effect at most once for each intent (I2)."""

        def once_more() -> T:
            answer = effect()
            if "undone" in self.conditions and sends[:2] == ("update", "application"):
                self._undo(sends[2])
            if sends[0] == "create":
                self.effects[sends] += 1
                if self.effects[sends] == 2:
                    self._break(f"I2 the create {sends[2]} of a {sends[1]} took effect twice")
            return answer

        return once_more

    def _undo(self, id_: str) -> None:
        """Somebody sees a move of ours, and takes it back."""
        ref = Ref(Kind.APPLICATION, id_)
        system = next(known for known in self.systems.values() if ref in known.things)
        moved = system.log[-1]
        if self.faults.on and moved.ref == ref and "stage" in moved.after and self.chance.random() < 0.3:
            wait_s = 0.2 + 2.0 * self.chance.random()
            self.later(wait_s, lambda: system.edit(ref, {"stage": moved.before["stage"]}))

    async def _heal(self) -> None:
        """Time in which nobody does anything: two polls, and until nothing waits, but not for ever."""
        latest = self.clock.now() + SWEEP_S + 2 * POLL_S + 30.0
        await self._serve_until(self.clock.now() + 2 * self.options.poll_s + 10.0)
        while self.clock.now() < latest and self.database.execute(_WAITING).fetchone()[0]:
            await self._serve_until(self.clock.now() + 10.0)

    # judging

    async def _judge_convergence(self) -> None:
        await super()._judge_convergence()
        if "quiet" in self.conditions and not self.violations:
            await self._judge_quiet()
        if "polled often" in self.conditions:  # some list is always being read
            self.violations = [v for v in self.violations if not v.startswith("I22 ")]
        spelled = "respelled" in self.conditions
        self.violations = [v for v in self.violations if not (spelled and v.startswith("I20") and " name: " in v)]
        if "defaults" in self.conditions:  # a default is no value, so its ends agree
            self.violations = [v for v in self.violations if not (v.startswith("I20 ") and MADE_UP_PHONE in v)]
        if "left wins" in self.conditions:  # an older word of the left end may win there
            self.violations = [v for v in self.violations if not v.startswith("I5 ")]


def hunt(conditions: frozenset[str]) -> Callable[[int], list[str]]:
    """A world by its conditions: seed -> what was broken."""

    def play(seed: int) -> list[str]:
        gc.disable()
        try:
            with pytest.MonkeyPatch.context() as patch:
                if "no second look" in conditions:
                    patch.setattr(settle, "_unsettle_page", lambda work, row: None)
                return Hunt(seed, conditions).run().violations
        finally:
            gc.enable()

    return play


__all__ = ["CONDITIONS", "Cursor", "Hunt", "hunt"]
