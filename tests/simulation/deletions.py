"""People delete records, at one end or at both, also while something about them is under way.

What is drawn here comes from a stream of its own, and only where ``Options.deletes`` asks for it: the seeds that were
kept before anybody deleted anything are the runs that they were. What was removed stays known to the judges.
"""

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connectors.memory import MemorySystem, Thing
from syncd import schema
from syncd.model import Kind, Ref

if TYPE_CHECKING:
    from tests.simulation.core import Simulation

SHARE = 0.2  # of the acts, in a seed whose people delete at all
MOST = 4  # a seed; far fewer than what looks like a list that is suddenly empty
KINDS = (Kind.APPLICATION,) * 4 + (Kind.CANDIDATE,) * 4 + (Kind.JOB,)
WAITS_S = (0.0, 0.03, 0.07, 0.2, 2.0, 30.0)  # after an act: while it is read, written, looked up, or long done


class Deletions:
    """Who deletes what in a run; ``removed``: all that was, by its reference (no two systems share an id)."""

    def __init__(self, simulation: "Simulation") -> None:
        self.simulation = simulation
        self.rng = random.Random(f"deletions {simulation.seed}")
        self.left = MOST if self.rng.random() < 0.5 else 0
        self.removed: dict[Ref, Thing] = {}

    def follow(self) -> None:
        """Somebody has just done something; now and then somebody deletes something soon after."""
        if self.left and self.rng.random() < SHARE:
            self.left -= 1
            self.simulation.later(self.rng.choice(WAITS_S), self._delete)

    def _delete(self) -> None:
        found = self._last_touched() if self.rng.random() < 0.5 else self._anything()
        if found is None:
            return
        system, ref = found
        ends = self._ends(system, ref)
        chosen = ends if self.rng.random() < 0.25 else [self.rng.choice(ends)]
        for where, one in chosen:
            self.remove(where, one)

    def _anything(self) -> tuple[MemorySystem, Ref] | None:
        system = self.rng.choice([*self.simulation.systems.values()])
        things = system.of(self.rng.choice(KINDS))
        return (system, self.rng.choice(things).ref) if things else None

    def _last_touched(self) -> tuple[MemorySystem, Ref] | None:
        """What was changed last, by people or by us: about it something may be under way."""
        changed = [
            (entry.at, name, entry.no, entry.ref)
            for name, system in self.simulation.systems.items()
            for entry in system.log[-40:]
            if entry.action in ("create", "update") and entry.ref in system.things and entry.ref.kind is not Kind.JOB
        ]
        _, name, _, ref = max(changed, default=(0.0, "", 0, None))
        return (self.simulation.systems[name], ref) if ref is not None else None

    def _ends(self, system: MemorySystem, ref: Ref) -> list[tuple[MemorySystem, Ref]]:
        """The same thing wherever it stands."""
        who = self.simulation.identity(system, ref)
        return [
            (other, one) for other in self.simulation.systems.values()
            for one in self.simulation.by_identity(other, ref.kind).get(who, [])
        ]  # fmt: skip

    def remove(self, system: MemorySystem, ref: Ref) -> None:
        """Delete a record; whoever and whatever is deleted takes its applications along."""
        own = [thing.ref for thing in system.of(Kind.APPLICATION) if thing.parents.get(ref.kind) == ref.id]
        for each in (*own, ref):
            self.removed[each] = system.things[each]
            system.remove(each)

    def at(self, name: str, kind: Kind) -> set[tuple[str, ...]]:
        """Who or what was deleted at a system, of a kind; a deleted row is a person as well."""
        system = self.simulation.systems[name]
        listed = Kind.APPLICATION if system.facts.rows and kind is Kind.CANDIDATE else kind
        whos = (
            self.simulation.identity(system, ref)
            for ref in self.removed
            if ref.kind is listed and ref.id.startswith(system.prefix)
        )
        return {who[:1] if kind is Kind.CANDIDATE else who for who in whos}

    def excuse(self, name: str, kind: Kind, who: tuple[str, ...]) -> bool:
        """Whether nobody may demand a record at a system: it was deleted there, or what it hangs on was."""
        if who in self.at(name, kind):
            return True
        is_application = kind is Kind.APPLICATION
        return is_application and (who[:1] in self.at(name, Kind.CANDIDATE) or who[1:] in self.at(name, Kind.JOB))


# --- judging --------------------------------------------------------------------------------------------------------


def judge_deletions(simulation: "Simulation") -> None:
    """I12: who was deleted is told to be gone, and nobody else; none is made anew, and people are asked."""
    simulation.violations += [*_told_wrongly(simulation), *_not_told(simulation), *_made_anew(simulation)]


def _told_wrongly(simulation: "Simulation") -> Iterator[str]:
    removed = {ref.id for ref in simulation.deletions.removed}
    for connection, ref in simulation.database.execute("SELECT connection, ref FROM journal WHERE what = 'vanished'"):
        if ref not in removed:
            yield f"I12 {ref} of {connection} was told to be gone, and nobody had removed it"


def _not_told(simulation: "Simulation") -> Iterator[str]:
    """After all lists were walked again, what was deleted counts as gone, and its counterpart waits for a person."""
    removed = {(ref.kind.value, ref.id) for ref in simulation.deletions.removed}
    held = simulation.held_refs()
    with simulation.store.engine.connect() as connection:
        records = {(r.kind, r.id): r for r in connection.execute(sa.select(schema.records))}
        links = list(connection.execute(sa.select(schema.links)))
    for key in sorted(removed & records.keys()):
        if not records[key].gone:
            yield f"I12 {key} of {records[key].connection} was deleted, and still counts as there"
    for link in links:
        both = (link.kind, link.left or ""), (link.kind, link.right or "")
        if link.left is None or link.right is None or not removed & {*both}:
            continue
        pair = simulation.world.pair(link.pair)
        if not {(pair.left.name, *both[0], ""), (pair.right.name, *both[1], "")} & held:
            yield f"I12 an end of {link.kind} {link.left}, {link.right} was deleted, and nobody is asked"


def _made_anew(simulation: "Simulation") -> Iterator[str]:
    for name, system in simulation.systems.items():
        deleted: dict[tuple[Kind, tuple[str, ...]], Any] = {}
        for entry in system.log:
            about = (entry.ref.kind, simulation.identity(system, entry.ref))
            if entry.action == "delete" and _was_read(system, entry):
                deleted[about] = entry
            is_ours = entry.action == "create" and entry.by == "api" and about in deleted
            if is_ours and not _came_back(simulation, about, deleted[about]):
                yield f"I12 {about} was deleted at {name} and made anew as {entry.ref} by us"


def _was_read(system: MemorySystem, delete: Any) -> bool:
    """Whether we can have known what was deleted: of what we made and never read the answer may have been lost."""
    return any(entry.ref == delete.ref and entry.action == "read" for entry in system.log[: delete.no])


def _came_back(simulation: "Simulation", about: tuple[Kind, tuple[str, ...]], deleted: Any) -> bool:
    """Whether people have entered the same again somewhere: since it was deleted here, or since it was there.

    What was deleted here was the counterpart of what they deleted there before, and not of what they entered then.
    """
    made = next(
        (entry.at for system in simulation.systems.values() for entry in system.log
         if entry.ref == deleted.ref and entry.action == "create"), 0.0,
    )  # fmt: skip
    for system in simulation.systems.values():
        since = deleted.at
        for entry in system.log:
            if (entry.ref.kind, simulation.identity(system, entry.ref)) != about:
                continue
            if entry.action == "delete" and made <= entry.at:
                since = min(since, entry.at)
            if entry.by == "human" and entry.action == "create" and entry.at >= since:
                return True
    return False
