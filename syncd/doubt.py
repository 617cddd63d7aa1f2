"""What is done with an older copy of the database before anything is written anywhere: it is believed less.

The systems have moved on since. What stood there is looked at anew as before a first sync, every list whole, while
nothing is written; and what the copy wants is asked about first, because most of it was done after the copy was made:

* a create that had not gone out is forgotten: the first look finds what was made of it, else it is wanted anew;
* a batch of résumés is looked up at the service by the mark in its title before it may go out; no new one goes out for
  some hours, until those that nobody remembers are done and tell for whom they were, nor before the next day where a
  day's credits are limited;
* what phones somebody or cannot be taken back (a move by rule, an outcome, a leave to phone) is held for a person; who
  stands where such a thing is due is taken to have had it;
* where both ends are written to, what they agreed on last is forgotten. An end that changed since may have been changed
  by us or by somebody, and nobody can tell; ends that agree agree, and of ends that do not the pair's rule decides.

So nothing is made twice and nothing felt or paid happens twice, even if that means never; the price is questions.
"""

import sqlalchemy as sa
import structlog

from syncd import copies, schema
from syncd.intents import drop_creation, hold_intent, save_intent
from syncd.merging import side
from syncd.model import Kind
from syncd.reconcile import End, agree
from syncd.rows import IntentRow, LinkRow
from syncd.setup import Pair, World
from syncd.store import Store, Tx, upsert
from syncd.work import CREATE, OUTCOME, RULE, SCREEN, SUBMIT, Work

log = structlog.get_logger()

ASKED_FIRST = frozenset({RULE, OUTCOME, SCREEN})
_LOOKED = ("learnt", "learnt_at", "learning")  # facts about the first look


def doubt_an_older_copy(store: Store, world: World) -> bool:
    """Draw the consequences, if this is an older copy, in one transaction before anything happens; whether it was."""

    def within(connection: sa.Connection) -> bool:
        if not copies.is_to_be_doubted(connection):
            return False
        work = Work(Tx(connection, store.clock.now()), world, _no_new_ids)
        doubt(work)
        work.tx.flush()
        return True

    was = store.run_now(within)
    if was:
        log.warning("This database is an older copy: all is looked at anew before anything is written.", action="doubt")
    return was


def _no_new_ids() -> str:
    raise AssertionError("doubting makes no intents")


def doubt(work: Work) -> None:
    """Believe a store less: see above."""
    work.sql.execute(sa.delete(schema.meta).where(schema.meta.c.name.in_((*_LOOKED, copies.OLDER, copies.COPY))))
    for found in list(work.sql.execute(sa.select(schema.intents).order_by(schema.intents.c.id)).mappings()):
        _doubt_intent(work, IntentRow(**found))
    for id_ in list(work.sql.execute(sa.select(schema.links.c.id).order_by(schema.links.c.id)).scalars()):
        link = work.tx.link(id_)
        if link is not None:
            _doubt_bases(work, link)
    work.tx.flush()
    upsert(work.sql, schema.meta, [{"name": copies.DOUBTED, "value": repr(work.tx.now)}])
    work.sql.execute(sa.update(schema.cursors).values(_UNREAD))
    work.sql.execute(sa.delete(schema.pages))
    work.sql.execute(sa.update(schema.records).values(settled=None))


_UNREAD = {"mode": "idle", "token": None, "swept_at": None, "polled_at": None, "poll_due": 0.0, "sweep_due": 0.0}


def _doubt_intent(work: Work, intent: IntentRow) -> None:
    """What had not gone out when the copy was made. What had is looked up in any case; an update reads first."""
    if intent.state != "open":
        return
    if intent.call == CREATE:
        drop_creation(work, intent)
    elif intent.call in ASKED_FIRST:
        hold_intent(work, intent, "unknown_outcome")
    elif intent.call == SUBMIT:
        intent.state, intent.due, intent.looks = "unknown", work.tx.now, 0
        save_intent(work, intent)


def _doubt_bases(work: Work, link: LinkRow) -> None:
    """Forget what two ends agreed on last, where both are written to and they did agree, or one was on its way."""
    pair = next((pair for pair in work.world.pairs if pair.name == link.pair), None)
    names = set(link.left_base) & set(link.right_base)
    doubted = names if pair is None else {name for name in names if _is_doubtful(work, pair, link, name)}
    for base in (link.left_base, link.right_base) if doubted else ():
        for name in doubted:
            del base[name]
        work.tx.put_link(link)


def _is_doubtful(work: Work, pair: Pair, link: LinkRow, name: str) -> bool:
    kind = Kind(link.kind)
    if name not in pair.fields.get(kind, ()) or not all(pair.writable(kind, end, name) for end in End):
        return False
    rows = {end: work.tx.record(pair.at(end).name, kind, getattr(link, end) or "") for end in End}
    left, right = (side(work, pair, end, row, link, name) if row else None for end, row in rows.items())
    if left is None or right is None or agree(name, left, right):
        return True
    return left.changed or right.changed  # else somebody wants them unlike
