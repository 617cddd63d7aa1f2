"""What waits for a person: the open holds of links and of records, one a question and none twice."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from syncd import schema
from syncd.reconcile import CONFLICTS, End, Side
from syncd.rows import IntentRow, LinkRow, RecordRow
from syncd.setup import Pair
from syncd.work import Work, note

CHOOSING = frozenset({"duplicate", "ambiguous_job", "email_taken"})  # these tell from whom a person may choose


def sync_holds(
    work: Work,
    pair: Pair,
    link: LinkRow,
    holds: Mapping[str, tuple[str, str]],
    sides: Mapping[str, tuple[Side, Side]],
) -> None:
    """Make the open holds of a link's merge exactly these: one a field (at first sight one for all), none twice."""
    end = End.LEFT if link.left is not None else End.RIGHT
    ref = getattr(link, end)
    if not holds and not holds_of(work, link):
        return
    holds, digests = _at_first_sight_together(holds, sides)
    work.holds.pop(link.id, None)
    _sync(work, work.sql.execute(_OF_LINK, {"of": link.id}), holds, {
        "pair": pair.name, "connection": pair.at(end).name, "kind": link.kind, "ref": ref, "link": link.id,
    }, digests)  # fmt: skip


def _at_first_sight_together(
    holds: Mapping[str, tuple[str, str]], sides: Mapping[str, tuple[Side, Side]]
) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str | None, str | None]]]:
    """(holds, digests of both ends); two records that differ in several fields at first sight are one question."""
    digests = {name: (both[0].now, both[1].now) for name, both in sides.items()}
    first = sorted(n for n in holds if n in sides and holds[n][0] in CONFLICTS and None in {s.base for s in sides[n]})
    if len(first) < 2:
        return dict(holds), digests
    together, reasons = " ".join(first), {holds[name][0] for name in first}
    left, right = (" ".join(digests[name][index] or "" for name in first) for index in (0, 1))
    kept = {name: hold for name, hold in holds.items() if name not in first}
    reason = "other_name" if "other_name" in reasons else min(reasons)
    return {**kept, together: (reason, "")}, {**digests, together: (left, right)}


def hold_record(work: Work, pair: Pair, row: RecordRow, holds: Mapping[str, tuple[str, str]]) -> None:
    """Make the open holds of an unlinked record in a pair exactly these."""
    if work.learning:
        return
    open_ = work.sql.execute(_OF_RECORD, {"of": row.connection, "what": row.kind, "id_": row.id, "in_": pair.name})
    what = {"pair": pair.name, "connection": row.connection, "kind": row.kind, "ref": row.id, "link": None}
    _sync(work, open_, holds, what, {})


_holds = schema.holds.c
_OF_LINK = sa.select(schema.holds).where(_holds.link == sa.bindparam("of"), _holds.intent.is_(None))
_OF_RECORD = sa.select(schema.holds).where(
    _holds.connection == sa.bindparam("of"),
    _holds.kind == sa.bindparam("what"),
    _holds.ref == sa.bindparam("id_"),
    _holds.pair == sa.bindparam("in_"),
    _holds.link.is_(None),
    _holds.intent.is_(None),
)


def _sync(
    work: Work,
    found: Iterable[Any],
    holds: Mapping[str, tuple[str, str]],
    what: Mapping[str, Any],
    digests: Mapping[str, tuple[str | None, str | None]],
) -> None:
    table = schema.holds
    open_ = {hold.field: hold for hold in found}
    for name, hold in open_.items():
        if name not in holds or hold.reason != holds[name][0]:
            work.sql.execute(sa.delete(table).where(table.c.id == hold.id))
        elif (told := digests.get(name)) is not None and told != (hold.left_digest, hold.right_digest):
            now = {"left_digest": told[0], "right_digest": told[1], "detail": holds[name][1], "agreed_at": None}
            work.sql.execute(sa.update(table).where(table.c.id == hold.id).values(now))
    for name, (reason, detail) in holds.items():
        if name in open_ and open_[name].reason == reason:
            continue
        left, right = digests.get(name, (None, None))
        row = {"intent": None, "field": name, "reason": reason, "detail": detail, "left_digest": left,
               "right_digest": right, "opened_at": work.tx.now}  # fmt: skip
        work.sql.execute(sa.insert(table).values({**what, **row}))
        note(work, what["connection"], what["kind"], what["ref"], "held", link=what["link"], fields=name.split(),
             detail=reason)  # fmt: skip


def hold_alone(work: Work, row: RecordRow, name: str, reason: str, detail: str) -> None:
    """Let a person decide about one system's own record, whatever pairs it belongs to."""
    values = {
        "pair": None, "connection": row.connection, "kind": row.kind, "ref": row.id, "link": None, "intent": None,
        "field": name, "reason": reason, "detail": detail, "left_digest": None, "right_digest": None,
        "opened_at": work.tx.now,
    }  # fmt: skip
    work.sql.execute(sa.insert(schema.holds).values(values))
    note(work, row.connection, row.kind, row.id, "held", fields=name.split(), detail=reason)


def drop_intent_holds(work: Work, intent: IntentRow) -> None:
    """Close the holds of an intent."""
    work.sql.execute(_DROP_OF_INTENT, {"of": intent.id})


_DROP_OF_INTENT = sa.delete(schema.holds).where(schema.holds.c.intent == sa.bindparam("of"))


_OF_LINKS = sa.select(schema.holds).where(
    schema.holds.c.link.in_(sa.bindparam("links", expanding=True)), schema.holds.c.intent.is_(None)
)


def load_holds(work: Work, links: Iterable[int]) -> None:
    """Read the open holds of many links' merges at once."""
    wanted = [link for link in dict.fromkeys(links) if link not in work.holds]
    work.holds.update({link: [] for link in wanted})
    for hold in work.sql.execute(_OF_LINKS, {"links": wanted}) if wanted else ():
        work.holds[hold.link].append(hold)


def holds_of(work: Work, link: LinkRow) -> list[Any]:
    """The open holds of a link's merge, read once in a transaction."""
    load_holds(work, [link.id])
    return work.holds[link.id]
