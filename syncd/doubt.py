"""What is done with an older copy of the database before anything is written anywhere: it is believed less.

The systems have moved on since. What stood there is looked at anew as before a first sync, every list whole, while
nothing is written; and what the copy wants is asked about first, because most of it was done after the copy was made:

* a create that had not gone out is forgotten: the first look finds what was made of it, else it is wanted anew;
* a batch of résumés is looked up at the service by the mark in its title before it may go out; no new one goes out for
  some hours, until those that nobody remembers are done and tell for whom they were, nor before the next day where a
  day's credits are limited;
* what phones somebody or cannot be taken back (a move by rule, an outcome, a leave to phone) is held for a person; who
  stands where such a thing is due is taken to have had it;
* where both ends are written to and one of them changed since, by us or by somebody, which nobody can tell, what they
  agreed on last is forgotten (``syncd.merging``): of ends that do not agree the pair's rule decides.

So nothing is made twice and nothing felt or paid happens twice, even if that means never; the price is questions.
"""

import sqlalchemy as sa
import structlog

from syncd import copies, schema
from syncd.intents import drop_creation, hold_intent, save_intent
from syncd.rows import IntentRow
from syncd.setup import World
from syncd.store import Store, Tx, remember
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
    work.tx.flush()
    linked = set(work.sql.execute(sa.select(schema.links.c.pair).distinct()).scalars())
    copies.let_doubt(work.sql, sorted({*linked, *(pair.name for pair in work.world.pairs)}), work.tx.now)
    remember(work.sql, copies.DOUBTED, repr(work.tx.now))
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
