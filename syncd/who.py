"""Who a record is about: asked of its system at the moment somebody signed in wants to see it, and kept nowhere.

It is one read through the token's own lane, so budgets, stops and rests hold. What comes of it goes to the asking
browser alone: not into the store, the journal, the log or a metric. The log says only that somebody looked.
"""

from collections.abc import Iterable
from typing import Any

import structlog

from syncd import look
from syncd.cycle import Engine, Lane
from syncd.errors import Gone, Parked, Rejected, SyncdError
from syncd.limits import Priority
from syncd.mapping import Vocabulary
from syncd.model import Kind, Record, Ref
from syncd.switches import is_stopped

ABOUT_PEOPLE = (Kind.CANDIDATE, Kind.APPLICATION)

log = structlog.get_logger()


async def who(engine: Engine, connection: str, ref: Ref) -> dict[str, Any]:
    """``name``, ``email``, ``stage`` (each None where that is not told), ``url``, and ``candidate``, her own id there.

    Only records that are known can be asked for. Raises ``SyncdError`` whose message is a sentence for the page.
    """
    lane = engine.lanes.get(connection)
    if lane is None or ref.kind not in ABOUT_PEOPLE or not await engine.store.run(look.knows, connection, ref):
        raise Rejected("syncd knows no such record.")
    if await engine.store.run(is_stopped, connection):
        raise Rejected(f"{connection} is stopped, so it is not asked.")
    if not lane.is_open(Priority.READ, engine.clock.now()):
        raise Rejected(f"{connection} takes no calls for a while. Try again later.")
    records = await _asked(lane, ref)
    log.info("Somebody looked at who a record is about.", action="who_shown", connection=connection, ref=str(ref))
    return _told(lane.connection.vocabulary, ref, records)


async def _asked(lane: Lane, ref: Ref) -> tuple[Record, ...]:
    name = lane.connection.name
    try:
        with lane.road.calling(Priority.READ):
            records = await lane.connector.get(ref)
    except Parked as error:
        raise Rejected(f"The budget of {name} is spent for now. Try again later.") from error
    except Gone:
        records = ()
    except SyncdError as error:
        raise Rejected(f"{name} does not tell now. Try again later; `syncd status` says how it stands.") from error
    if not any(record.ref == ref for record in records):
        raise Rejected(f"{name} no longer has this record.")
    return records


def _told(vocabulary: Vocabulary, ref: Ref, records: Iterable[Record]) -> dict[str, Any]:
    """What is shown, of the record that was asked for and of its own person or its one application."""
    found = {record.ref: record for record in records}
    candidate = ref.id if ref.kind is Kind.CANDIDATE else found[ref].parents.get(Kind.CANDIDATE)
    person = found.get(Ref(Kind.CANDIDATE, candidate or ""))
    own = [record for record in found.values() if record.ref.kind is Kind.APPLICATION and ref in _bearers(record)]
    told = vocabulary.read(person) if person else {}
    names = [str(part) for part in (told.get("first_name"), told.get("last_name")) if part]
    stages = [vocabulary.read(record).get("stage") for record in own]
    return {
        "name": told.get("name") or " ".join(names) or None,
        "email": told.get("email"),
        "stage": stages[0] if len(stages) == 1 else None,
        "url": found[ref].url or (person.url if person else None),
        "candidate": candidate,
    }


def _bearers(application: Record) -> tuple[Ref, ...]:
    """The records whose page tells an application's stage: itself, and its person's."""
    return application.ref, Ref(Kind.CANDIDATE, application.parents.get(Kind.CANDIDATE, ""))
