"""A stage that stands in two places of one system: on the application, and on the person as its mirror.

The application's is the one that is compared with other systems. A move that a person made on the mirror alone is
brought to the application, and goes on from there as anybody's move; what was moved on the application is brought to
the mirror. What both places told when they were last looked at is kept with the record, each for itself.
"""

from collections.abc import Mapping
from enum import StrEnum

import sqlalchemy as sa

from syncd import schema
from syncd.holds import hold_alone
from syncd.intents import delete_intent, intents_on, save_intent
from syncd.mapping import MIRROR, word_of
from syncd.model import Kind
from syncd.rows import IntentRow, RecordRow
from syncd.setup import Connection
from syncd.work import IN_FLIGHT, ROWS, UNSENT, Work, note

STAGE = "stage"
FIRST = "applied"  # where a system puts a person of whom it is told no stage
SEVERAL = "several_active"  # a connector's trait: the mirror stands for more than one application
REASONS = frozenset({SEVERAL, "places_differ"})


class Bring(StrEnum):
    """What is to be done about two places."""

    NOTHING = "nothing"
    TO_STAGE = "to stage"
    TO_MIRROR = "to mirror"
    DIFFER = "differ"


def judge(stage: str, mirror: str, was_stage: str | None, was_mirror: str | None) -> Bring:
    """Which place moved since both were last looked at; at first sight they may differ, and are left."""
    if stage == mirror or was_stage is None or was_mirror is None:
        return Bring.NOTHING
    if mirror == was_mirror:
        return Bring.NOTHING if stage == was_stage else Bring.TO_MIRROR
    return Bring.TO_STAGE if stage == was_stage else Bring.DIFFER


def bring_together(work: Work, connection: Connection, row: RecordRow) -> bool:
    """Let both places of an application's stage tell the same; True: nothing is left to do about them."""
    terms = connection.terms[Kind.APPLICATION]
    told = {name: _meaning(connection, row, name) for name in (STAGE, MIRROR)}
    stage, mirror = told[STAGE], told[MIRROR]
    if terms.facts.mirror is None or stage is None or mirror is None:
        return True
    was = row.places or _at_birth(work, row, mirror)
    todo = judge(stage, mirror, was.get(STAGE), was.get(MIRROR))
    if SEVERAL in (row.traits or ()):
        todo = _among_several(work, connection, row, mirror, todo)
    if _is_being_written(work, connection, row, _wanted(todo, told)):
        if stage == mirror:  # whatever is still out, from here on it can be told which of the two moved
            _remember(work, row, stage, mirror)
        return False
    if todo is Bring.DIFFER:
        _hold(work, row)
        return False
    _release(work, row)
    if todo is Bring.NOTHING or work.learning:
        _remember(work, row, stage, mirror)
        return True
    _bring(work, connection, row, _wanted(todo, told))
    return False


def _wanted(todo: Bring, told: Mapping[str, str | None]) -> dict[str, str]:
    """The place that is to be written, and our word for it."""
    ways = {Bring.TO_STAGE: (STAGE, MIRROR), Bring.TO_MIRROR: (MIRROR, STAGE)}
    target, source = ways.get(todo, (None, STAGE))
    return {target: str(told[source])} if target is not None else {}


def _at_birth(work: Work, row: RecordRow, mirror: str) -> dict[str, str]:
    """Where both places of an application that we made began; nothing where the mirror may be about another one."""
    is_hers = mirror == FIRST or len(work.tx.alike(row.connection, Kind.APPLICATION, "candidate", row.candidate)) == 1
    return {STAGE: FIRST, MIRROR: FIRST} if row.written_at is not None and is_hers else {}


def accept(work: Work, connection: Connection, row: RecordRow) -> None:
    """A person says that both places may stay as they are."""
    stage, mirror = (_meaning(connection, row, name) for name in (STAGE, MIRROR))
    if stage is not None and mirror is not None:
        _remember(work, row, stage, mirror)
    _release(work, row)


def _meaning(connection: Connection, row: RecordRow, name: str) -> str | None:
    told = row.seen.get(name)
    word = word_of(told) if told else None
    return connection.vocabulary.words[STAGE].ours(word) if word else None


def _is_being_written(work: Work, connection: Connection, row: RecordRow, wanted: Mapping[str, str]) -> bool:
    """Whether a write of ours to either place waits or is out: only its end tells who moved what.

    One that would bring the places together goes only as long as it is what is wanted: either may have moved since.
    """
    states, part = (*IN_FLIGHT, *UNSENT), {name: [f"={ours}", f"={ours}"] for name, ours in wanted.items()}
    writes = [
        intent for intent in intents_on(work, connection.name, Kind.APPLICATION, [row.id], states)
        if any({STAGE, MIRROR} & set(names) for names in intent.wants.values())
    ]  # fmt: skip
    outdated = [one for one in writes if one.state == "open" and one.wants.keys() == {ROWS} and one.wants[ROWS] != part]
    for intent in outdated:
        delete_intent(work, intent)
    return len(writes) > len(outdated)


def _among_several(work: Work, connection: Connection, row: RecordRow, mirror: str, todo: Bring) -> Bring:
    """A mirror of several applications is none of any: it is not written, and what moved it is asked for."""
    if todo is Bring.TO_MIRROR or (todo is Bring.TO_STAGE and _is_anothers(work, connection, row, mirror)):
        return Bring.NOTHING
    return Bring.DIFFER if todo is Bring.TO_STAGE else todo


def _is_anothers(work: Work, connection: Connection, row: RecordRow, mirror: str) -> bool:
    """Whether the mirror tells the stage of another application of the person: then that one was moved."""
    others = work.tx.alike(connection.name, Kind.APPLICATION, "candidate", row.candidate)
    return any(other.id != row.id and _meaning(connection, other, STAGE) == mirror for other in others)


def _remember(work: Work, row: RecordRow, stage: str, mirror: str) -> None:
    now = {STAGE: stage, MIRROR: mirror}
    if row.places != now:
        row.places = now
        work.tx.put_record(row)


def _bring(work: Work, connection: Connection, row: RecordRow, wanted: Mapping[str, str]) -> None:
    ((name, ours),) = wanted.items()
    intent = IntentRow(
        id=work.new_id(), connection=connection.name, kind=Kind.APPLICATION.value, ref=row.id,
        call=connection.terms[Kind.APPLICATION].calls[name], state="open", link=None,
        wants={ROWS: {name: [f"={ours}", f"={ours}"]}}, sealed=None, source=connection.name, told_at=row.told_at,
        priority=0, made_at=work.tx.now, due=work.tx.now, origin=work.origin,
    )  # fmt: skip
    save_intent(work, intent, {name: ours})
    note(work, connection.name, Kind.APPLICATION.value, row.id, "rows_planned", fields=[name])


def _hold(work: Work, row: RecordRow) -> None:
    reason = SEVERAL if SEVERAL in (row.traits or ()) else "places_differ"
    known = {hold.reason for hold in work.sql.execute(sa.select(schema.holds.c.reason).where(*_of(row)))}
    if known != {reason}:
        _release(work, row)
        hold_alone(work, row, STAGE, reason, "")


def _release(work: Work, row: RecordRow) -> None:
    work.sql.execute(sa.delete(schema.holds).where(*_of(row)))


def _of(row: RecordRow) -> tuple[sa.ColumnElement[bool], ...]:
    holds = schema.holds.c
    return (
        holds.connection == row.connection,
        holds.kind == row.kind,
        holds.ref == row.id,
        holds.reason.in_(sorted(REASONS)),
    )
