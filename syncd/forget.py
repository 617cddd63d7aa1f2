"""Erasing a person: here everything, at the systems by hand, and nobody who was erased comes back by herself.

The erasure is one transaction; what remembers it apart from the database is on the disk before it is committed. Then
the files are squeezed, so that no byte of the deleted rows is left in them. The receipt names no person: it counts what
was erased here, and says which records stand at which systems, for their erasure there, which syncd cannot do.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from syncd import graves, schema
from syncd.app import App
from syncd.erasing import Person, Place, erase, gather, of_key
from syncd.errors import ConfigInvalid, SyncdError
from syncd.keys import OWN
from syncd.mapping import canonical
from syncd.model import Kind
from syncd.sealing import TOMBSTONES, Sealer
from syncd.setup import World
from syncd.store import Store, remember, upsert
from syncd.tombstones import allow, bury, grave_of
from syncd.work import ERASED, Work

SEALED_FOR = "forget"  # to what an address is bound on its way to the process that owns the store
Facts = dict[str, Any]
_stones = schema.tombstones.c


def sealed(sealer: Sealer, email: str) -> str:
    """An address as it may pass through tables and sockets."""
    return base64.b64encode(sealer.seal(orjson.dumps({"email": email}), SEALED_FOR)).decode()


def address_in(app: App, arguments: Mapping[str, Any]) -> str:
    """The address that was passed so."""
    text = str(app.world.unseal(base64.b64decode(str(arguments["sealed"])), SEALED_FOR)["email"])
    if "@" not in text:
        raise SyncdError("this is no e-mail address; a person is erased by hers")
    return text


async def forget(app: App, email: str) -> Facts:
    """Erase whoever has this address; the receipt."""
    receipt = await app.engine.do(_forget, app, email)
    receipt["squeezed"] = await app.store.alone(Store.squeeze)
    return receipt


def _forget(work: Work, app: App, email: str) -> Facts:
    known = of_key(work, work.world.digest("email", canonical("email", email)))
    person = gather(work, known)
    grave = grave_of(work, email) or work.new_id()[:12]
    rows = bury(work, grave, person.places, email)
    by_hand = _by_hand(work, person)
    if (path := app.config.store.tombstones_path) is not None:
        graves.append(path, app.sealer, rows)
    erased = dict(erase(work, person, grave))
    work.sql.execute(sa.update(schema.runs).where(schema.runs.c.command == "forget").values(arguments={}))
    return {
        "erasure": grave,
        "at": work.tx.now,
        "under_way": erased.pop("under_way", 0),
        "unknown": erased.pop("unknown", 0),
        "erased": erased,
        "by_hand": by_hand,
        "remembered": path is not None,
    }


def _by_hand(work: Work, person: Person) -> list[Facts]:
    """What stands at the systems, also those that the config has no more: what was not gone when last told of."""
    found = []
    for name, system in _systems(work, person).items():
        has_rows = any(work.tx.member(name, id_) for id_ in person.ids(name, Kind.CANDIDATE))
        for id_ in person.ids(name, Kind.CANDIDATE):
            row = work.tx.record(name, Kind.CANDIDATE, id_)
            member = work.tx.member(name, id_)
            if member is not None if has_rows else row is not None:
                told = work.tx.record(name, Kind.APPLICATION, id_) if has_rows else row
                is_gone = member.gone if member is not None else row is not None and row.gone
                url = told.url if told is not None else None
                found += [] if is_gone else [_stands(name, system, Kind.CANDIDATE, id_, url)]
        for id_ in person.ids(name, Kind.APPLICATION) if not has_rows else []:
            row = work.tx.record(name, Kind.APPLICATION, id_)
            if row is not None and not row.gone:
                found.append(_stands(name, system, Kind.APPLICATION, id_, row.url))
    return found


def _systems(work: Work, person: Person) -> dict[str, str]:
    """The connections with records of hers, and their systems; of one that never was in touch, only its name."""
    told = work.sql.execute(sa.select(schema.connections.c.name, schema.connections.c.system))
    known = {row.name: row.system for row in told}
    known |= {name: connection.facts.system for name, connection in work.world.connections.items()}
    return {name: known.get(name, name) for name in sorted({name for name, *_ in person.places})}


def _stands(name: str, system: str, kind: Kind, id_: str, url: str | None) -> Facts:
    return {"connection": name, "system": system, "kind": kind.value, "id": id_, "url": url}


# --- allowing, listing ----------------------------------------------------------------------------------------------


async def allow_again(app: App, email: str) -> Facts:
    """Let an erased person be told of again; her old applications are not screened, told or phoned about anew."""
    return await app.engine.do(_allow, app, email)


def _allow(work: Work, app: App, email: str) -> Facts:
    grave = grave_of(work, email)
    if grave is None:
        raise SyncdError("nobody with this address was erased, or her return is allowed already")
    if (path := app.config.store.tombstones_path) is not None:
        graves.append(path, app.sealer, [{"allow": grave, "at": work.tx.now}])
    allow(work, grave)
    work.sql.execute(sa.update(schema.runs).where(schema.runs.c.command == "forget").values(arguments={}))
    return {
        "erasure": grave,
        "told": f"Erasure {grave} blocks nobody any more; what is told from now on is taken in.",
    }


def erasures(connection: sa.Connection, world: World) -> list[Facts]:
    """All erasures, oldest first: number, when, how many tombstones, and since when a return is allowed."""
    counted = sa.select(
        _stones.grave.label("erasure"), sa.func.min(_stones.at).label("at"), sa.func.count().label("tombstones"),
        sa.func.max(_stones.allowed_at).label("allowed_at"),
    )  # fmt: skip
    rows = connection.execute(counted.group_by(_stones.grave).order_by(sa.text("at"), _stones.grave)).mappings()
    return [dict(row) for row in rows]


# --- at a start -----------------------------------------------------------------------------------------------------


async def replay(app: App) -> int:
    """Before anything runs: erase again whoever the file names and the database (an older backup) still has.

    How many people that were. Raises ``ConfigInvalid`` where the file is another store's.
    """
    path = app.config.store.tombstones_path
    if path is None:
        return 0
    other, lines = graves.read(path, app.sealer)
    if other is not None:
        await app.store.run(_take_key, app.sealer, path, other)
    count = await app.engine.do(_replay, lines)
    missing = await app.store.run(_unlisted, {line["digest"] for line in lines if "digest" in line})
    if missing:
        graves.append(path, app.sealer, missing)
    if count:
        await app.store.alone(Store.squeeze)
    return count


def _take_key(connection: sa.Connection, sealer: Sealer, path: Path, wrapped: str) -> None:
    if connection.execute(sa.select(_stones.digest).limit(1)).first() is not None:
        raise ConfigInvalid(f"store.tombstones: {path} belongs to another store; put back the right file")
    graves.take_key(sealer, path, wrapped)
    remember(connection, OWN[TOMBSTONES], sealer.wrapped(TOMBSTONES))


def _unlisted(connection: sa.Connection, listed: set[str]) -> list[Facts]:
    """Tombstones that only the database has: the file was lost, or they were added when more of somebody was told."""
    rows = connection.execute(sa.select(schema.tombstones).where(_stones.allowed_at.is_(None))).mappings()
    return [dict(row) for row in rows if row["digest"] not in listed]


def _replay(work: Work, lines: list[Facts]) -> int:
    known = set(work.sql.execute(sa.select(_stones.digest)).scalars())
    allowed = {line["allow"]: line["at"] for line in lines if "allow" in line}
    stones = [
        line
        for line in lines
        if "digest" in line and line["digest"] not in known and line["at"] > allowed.get(line["grave"], 0.0)
    ]
    upsert(work.sql, schema.tombstones, [{**stone, "allowed_at": None} for stone in stones])
    graves_of = {stone["digest"]: stone["grave"] for stone in stones}
    people: dict[str, list[Place]] = {}
    for place in _all_places(work) if graves_of else ():
        if (grave := graves_of.get(work.world.tombstone("record", "/".join(place)))) is not None:
            people.setdefault(grave, []).append(place)
    for grave, places in people.items():
        person = gather(work, places)
        bury(work, grave, person.places)
        erase(work, person, grave)
    return len(people)


def _all_places(work: Work) -> list[Place]:
    records, members = schema.records.c, schema.members.c
    kinds = [kind.value for kind in Kind if kind is not Kind.JOB]
    rows = work.sql.execute(sa.select(records.connection, records.kind, records.id).where(records.kind.in_(kinds)))
    places = [(name, Kind(kind), id_) for name, kind, id_ in rows]
    own = work.sql.execute(sa.select(members.connection, members.row))
    return places + [(name, Kind.CANDIDATE, row) for name, row in own]


def waiting(connection: sa.Connection) -> int:
    """Writes that were out when somebody was erased, and are looked up still."""
    table = schema.intents.c
    return int(connection.execute(sa.select(sa.func.count()).where(table.call == ERASED)).scalar_one())
