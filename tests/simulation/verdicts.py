"""What a run of the core is condemned for, as the servers' own logs tell it; beside that it reads what is held.

Each judge adds to ``violations`` what should not have happened; ``conditions`` are those of a hunt (``bare``), and none
in the core's own seeds.
"""

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connectors.memory import MemorySystem
from syncd import schema
from syncd.mapping import TERMINAL, canonical
from syncd.model import Kind, Ref

if TYPE_CHECKING:
    from tests.simulation.core import Simulation

READ_BEFORE_S = 0.1  # between the effect of a read and that of the write that follows it at once, on an empty road
MADE_UP_PHONE = "+12025559999"


def judge_safety(simulation: "Simulation") -> None:
    """I1 and I5 from the servers' logs."""
    for name, system in simulation.systems.items():
        for kind in (Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION):
            if system.facts.rows and kind is Kind.CANDIDATE:
                continue
            for who, refs in simulation.by_identity(system, kind).items():
                made = {entry.ref for entry in system.log if entry.action == "create" and entry.by == "api"}
                if len(refs) > 1 and made & set(refs):
                    simulation.violations.append(f"I1 {len(refs)} of {kind} {who} at {name}")
    for name, system in simulation.systems.items():
        for index, entry in enumerate(system.log):
            if entry.by == "api" and entry.action == "update":
                _judge_write(simulation, name, system, index)


def _judge_write(simulation: "Simulation", name: str, system: MemorySystem, index: int) -> None:
    entry = system.log[index]
    for field_, value in entry.after.items():
        last = _last_human(system, entry.ref, field_, index)
        if last is None or last.after[field_] == value:
            continue
        if canonical(field_, system_value_before(entry, field_)) != canonical(field_, last.after[field_]):
            continue  # what stood there was ours already
        if _in_window(system, last.no, index) or _never_seen(system, last, field_) or _before_sight(system, last):
            continue
        if _brought_into_step(simulation, system, last, field_) or _was_out(system, last, field_):
            continue
        if not _is_wanted(simulation, system, entry, field_, value, last.at):
            told = f"{last.after[field_]} (by a human) became {value} by us, no later edit says so"
            simulation.violations.append(f"I5 {name} {entry.ref} {field_}: {told}")


def system_value_before(entry: Any, name: str) -> Any:
    return entry.before.get(name)


def _last_human(system: MemorySystem, ref: Ref, name: str, before: int) -> Any:
    for entry in reversed(system.log[:before]):
        if entry.ref == ref and entry.by == "human" and entry.action == "update" and name in entry.after:
            return entry
    return None


def _in_window(system: MemorySystem, edit: int, write: int) -> bool:
    """Whether the edit fell between our read and our write: the one window that nobody can close."""
    ref = system.log[write].ref
    return not any(entry.ref == ref and entry.action == "read" for entry in system.log[edit:write])


def _never_seen(system: MemorySystem, last: Any, name: str) -> bool:
    """Whether people went away and came back between two of our reads: nobody can see that."""
    first = last
    for entry in reversed(system.log[: last.no]):
        if entry.ref == last.ref and entry.by == "api" and entry.action != "lost":
            break
        if entry.ref == last.ref and name in entry.after:
            first = entry
    return canonical(name, first.before.get(name)) == canonical(name, last.after[name])


def _before_sight(system: MemorySystem, last: Any) -> bool:
    """Whether a row of a person was edited before we ever read it: at first sight the latest row speaks for all."""
    return system.facts.rows and not any(
        entry.ref == last.ref and entry.by == "api" and entry.action != "lost" for entry in system.log[: last.no]
    )


def _was_out(system: MemorySystem, last: Any, name: str) -> bool:
    """Whether a write of ours of the very same value was out, its answer unknown: nobody can tell the two apart."""
    earlier = _last_human(system, last.ref, name, last.no)
    sights = (each.at for each in reversed(system.log[: last.no]) if each.ref == last.ref and each.by == "api")
    since = min(earlier.at if earlier is not None else 0.0, next(sights, 0.0))
    return any(
        since <= at <= last.at
        and ref == last.ref
        and canonical(name, fields.get(name)) == canonical(name, last.after[name])
        for at, ref, fields in system.begun
        if name in fields
    )


def _brought_into_step(simulation: "Simulation", system: MemorySystem, last: Any, name: str) -> bool:
    """Whether the edit said what another system told already: that was a step into agreement, not a change to carry.

    So it is where we brought that word there while the edit stood and we had not seen it.
    """
    kind = Kind.CANDIDATE if name in ("name", "phone") else last.ref.kind
    who = simulation.identity(system, last.ref)[: 1 if kind is Kind.CANDIDATE else 2]
    sights = (entry.at for entry in system.log[last.no :] if (entry.ref, entry.action) == (last.ref, "read"))
    seen_at = next(sights, last.at)
    for other in simulation.systems.values():
        told: dict[Ref, list[Any]] = {}
        for entry in other.log:
            until = seen_at if entry.by == "api" else last.at
            if entry.at <= until and name in entry.after and (other is not system or entry.ref != last.ref):
                at_once = told.get(entry.ref, []) if entry.at == last.at else []  # who was first then, nobody can say
                told[entry.ref] = [*at_once, entry.after[name]]
        for ref, values in told.items():
            same = simulation.identity(other, ref)[: len(who)] == who
            if same and canonical(name, last.after[name]) in {canonical(name, value) for value in values}:
                return True
    return False


def _is_wanted(simulation: "Simulation", system: MemorySystem, entry: Any, name: str, value: Any, since: float) -> bool:
    """Whether some human said this value after ``since`` about the same thing.

    Whether somebody applied before or after a change, a clock of ours that was wrong cannot tell.
    """
    kind = Kind.CANDIDATE if name in ("name", "phone") else entry.ref.kind
    who = simulation.identity(system, entry.ref)
    who = who[:1] if kind is Kind.CANDIDATE else who
    for other in simulation.systems.values():
        for said in other.log:
            if said.by != "human" or name not in said.after:
                continue
            wrong_s = simulation.ours.wrong_s if said.action == "create" else 0.0
            if (other is system and said.ref == entry.ref) or said.at <= since - wrong_s:
                continue
            his = simulation.identity(other, said.ref)
            his = his[:1] if kind is Kind.CANDIDATE else his
            if his == who and canonical(name, said.after[name]) == canonical(name, value):
                return True
    return False


def judge_reads(simulation: "Simulation") -> None:
    """I6: whoever writes has read that record just before, with nothing in between."""
    for name, system in simulation.systems.items():
        reads: dict[Ref, float] = {}
        bound = READ_BEFORE_S * (15 if "slow" in simulation.conditions else 1) + 1e-6
        for entry in system.log:
            if entry.action in ("read", "lost"):
                reads[entry.ref] = entry.at
            elif entry.by == "api" and entry.action == "update" and entry.at - reads.get(entry.ref, 0.0) > bound:
                simulation.violations.append(f"I6 {name} {entry.ref} was written without a look at it just before")


def judge_words(simulation: "Simulation") -> None:
    """I5: what we write, somebody has said."""
    said: set[tuple[str, str]] = {("stage", "New"), ("status", "open")}
    for system in simulation.systems.values():
        for entry in system.log:
            if entry.by == "human":
                said |= {(field, canonical(field, value)) for field, value in entry.after.items()}
    if "respelled" in simulation.conditions:
        said |= {(field, value.upper()) for field, value in said if field == "name"}
    for name, system in simulation.systems.items():
        made_up = {("phone", MADE_UP_PHONE)} if "defaults" in simulation.conditions and name == "plain" else set()
        upper = name == "plain"
        for entry in system.log:
            for field, value in entry.after.items() if entry.by == "api" and entry.action != "read" else ():
                word = (field, canonical(field, value))
                is_capitals = field == "name" and "respelled" in simulation.conditions and word[1].isupper()
                if (value is not None and word not in said | made_up) or (is_capitals and not upper):
                    simulation.violations.append(f"I5 {name} {entry.ref} {field}: {value} was written, nobody said it")


def judge_endings(simulation: "Simulation") -> None:
    """I15: nobody who was hired or turned down is moved on by us, unless somebody said so afterwards elsewhere."""
    words = simulation.world.connections["hub"].vocabulary.words["stage"]
    for name, system in simulation.systems.items():
        ended: dict[Ref, Any] = {}
        seen: set[Ref] = set()  # read since, so that the write did not just cross the ending
        for entry in system.log:
            if entry.action == "read" and entry.ref in ended:
                seen.add(entry.ref)
            if "stage" not in entry.after:
                continue
            terminal = words.ours(str(entry.after["stage"])) in TERMINAL
            if entry.by == "human":
                ended.pop(entry.ref, None)
                seen.discard(entry.ref)
                if terminal:
                    ended[entry.ref] = entry
            elif (
                entry.ref in ended
                and entry.ref in seen
                and not _never_seen(system, ended[entry.ref], "stage")
                and not _brought_into_step(simulation, system, ended[entry.ref], "stage")
                and not _moved_elsewhere(simulation, system, entry, ended[entry.ref].at)
            ):
                simulation.violations.append(f"I15 {name} {entry.ref}: an ending was left, and nobody said so since")


def _moved_elsewhere(simulation: "Simulation", system: MemorySystem, entry: Any, since: float) -> bool:
    who = simulation.identity(system, entry.ref)
    return any(
        said.by == "human" and "stage" in said.after and said.at >= since - 0.2
        for other in simulation.systems.values()
        for said in other.log
        if (other is not system or said.ref != entry.ref)
        and said.ref.kind is Kind.APPLICATION
        and simulation.identity(other, said.ref) == who
    )


def judge_holds(simulation: "Simulation") -> None:
    """I20: a conflict is held where two have spoken; of what one alone has said there is nothing to ask."""
    with simulation.store.engine.connect() as connection:
        rows = {member.person: member.row for member in connection.execute(sa.select(schema.members))}
    for hold in simulation.holds() if not simulation.conditions else ():
        if hold.reason not in ("conflict", "terminal_conflict"):
            continue
        kind, system = Kind(hold.kind), simulation.systems[hold.connection]
        is_set = system.facts.rows and kind is Kind.CANDIDATE
        ref = Ref(Kind.APPLICATION, rows[hold.ref]) if is_set else Ref(kind, hold.ref)
        who = simulation.identity(system, ref)[: 1 if kind is Kind.CANDIDATE else 2]
        said = {
            (name, entry.ref)
            for name, other in simulation.systems.items()
            for entry in other.log
            if entry.by == "human" and hold.field in entry.after
            if entry.ref.kind is not Kind.JOB and simulation.identity(other, entry.ref)[: len(who)] == who
        }
        if len(said) < 2:
            told = f"{hold.field} is held, and people spoke at {sorted(said)} alone"
            simulation.violations.append(f"I20 {kind} {who} {told}")
