"""Whether a plan is far larger than usual: then its pair stops and a person is asked.

A walk is judged page by page, by what it has made wanted so far, so that little of a mistake is written before that is
seen: a mapping that was changed, a system that suddenly tells another stage of everybody. What webhooks tell one by one
is judged at the next walk's end, as far as it is not written by then.
"""

from collections import Counter
from collections.abc import Set as AbstractSet

import sqlalchemy as sa

from syncd import schema, switches
from syncd.model import Kind
from syncd.plan import Guard
from syncd.store import recalled
from syncd.work import BESIDE, CREATE, ROWS, Work

ALLOW_LARGE = "allow_large/"  # and the scope: the name of a fact


def refuse_large(work: Work, guard: Guard, changed: AbstractSet[int], since: float) -> list[str]:
    """The pairs that are stopped now because they want to change far more of what is linked than usual.

    ``changed``: the links of which a walk that began at ``since`` made an update wanted, written by now or not; what
    else is open counts as well. What a person has allowed (``resume PAIR --allow-large``) goes through.
    """
    if int(work.sql.execute(_OPEN_UPDATES).scalar_one()) + len(changed) <= guard.least:
        return []
    opens = work.sql.execute(sa.select(schema.intents.c.wants).where(*_IS_UPDATE)).scalars()
    wanted = changed | {int(key) for wants in opens for key in wants if key != ROWS}
    refused = []
    for pair in work.world.pairs:
        scope = f"pair/{pair.name}"
        large = [each for each in changes_of(work, pair.name, wanted) if guard.refuses(*each[1:])]
        if large and not switches.reason_of(work.sql, scope) and not _is_allowed(work, scope, since):
            kind, changes, links = large[0]
            switches.stop(work.sql, scope, f"large: {changes} changes to {links} linked {kind}s", work.tx.now)
            refused.append(pair.name)
    return refused


def _is_allowed(work: Work, scope: str, since: float) -> bool:
    """Whether a person has allowed it since a walk began, or something of what was allowed then is still open."""
    allowed_at = float(recalled(work.sql, ALLOW_LARGE + scope) or 0.0)
    of_then = _OPEN_UPDATES.where(schema.intents.c.made_at <= allowed_at)
    return allowed_at >= since or bool(work.sql.execute(of_then).scalar_one())


_IS_UPDATE = (schema.intents.c.state == "open", schema.intents.c.call.not_in((CREATE, *sorted(BESIDE))))
_OPEN_UPDATES = sa.select(sa.func.count()).where(*_IS_UPDATE)


def changes_of(work: Work, pair: str, changed: AbstractSet[int]) -> list[tuple[Kind, int, int]]:
    """(kind, how many of these links are of it, how many complete links there are of it) of a pair."""
    work.tx.flush()
    links, counted = schema.links.c, sa.func.count()
    complete = (links.pair == pair, links.left.is_not(None), links.right.is_not(None))
    all_ = work.sql.execute(sa.select(links.kind, counted).where(*complete).group_by(links.kind).order_by(links.kind))
    found: Counter[str] = Counter()
    ids = sorted(changed)
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        of_these = sa.select(links.kind, counted).where(*complete, links.id.in_(some)).group_by(links.kind)
        for kind, count in work.sql.execute(of_these):
            found[kind] += count
    return [(Kind(kind), found[kind], links_) for kind, links_ in all_]
