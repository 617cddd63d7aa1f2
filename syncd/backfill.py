"""One-shot work: a backfill that can be stopped and resumed, and the plan that tells beforehand what it would do."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from syncd import schema
from syncd.agenda import left_to_do, walks_under_way
from syncd.app import App
from syncd.cycle import Engine, Lane
from syncd.errors import PlanRefused
from syncd.large import changes_of
from syncd.limits import Priority
from syncd.merging import merge_link
from syncd.model import Kind, Value
from syncd.plan import counted
from syncd.rehearsal import Action, FreeRoad, Rehearsed, copy_of, rehearse
from syncd.setup import Pair, World, stamp_of
from syncd.store import recalled
from syncd.work import Work

LONGEST_REST_S = 600.0
MOST_VALUED = 200  # writes whose values a plan tells, where it was asked for them
LONGEST_VALUE = 200  # characters of one of them
Progress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Scope:
    """What a run is restricted to; empty: everything. ``since``: epoch seconds."""

    pairs: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    jobs: tuple[str, ...] = ()
    since: float | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return not (self.pairs or self.kinds or self.jobs or self.since is not None)


def narrowed(world: World, scope: Scope) -> World:
    """The world of one run: fewer pairs or kinds, fewer records that may be created."""
    if scope.is_all:
        return world
    pairs = tuple(_narrow(pair, scope) for pair in world.pairs if not scope.pairs or pair.name in scope.pairs)
    if not pairs:
        raise PlanRefused(f"no pair is named {', '.join(scope.pairs)}; the config has: {_names(world)}")
    return replace(world, pairs=pairs, stamp=stamp_of(world.stamp, scope))


def _narrow(pair: Pair, scope: Scope) -> Pair:
    flows = {kind: ends for kind, ends in pair.flows.items() if not scope.kinds or kind in scope.kinds}
    only = dict(pair.only)
    if scope.jobs:
        only["job"] = scope.jobs
    if scope.since is not None:
        only["since"] = (str(scope.since),)
    return replace(pair, flows=flows, configured=pair.flows, only=only)


def _names(world: World) -> str:
    return ", ".join(pair.name for pair in world.pairs)


@dataclass
class Tally:
    """What a run has done so far, for progress and for the result."""

    pages: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)

    def listen(self, action: str, facts: Mapping[str, Any]) -> None:
        """Count what the engine tells."""
        if action == "page":
            self.pages[facts["connection"]] += 1
        elif action == "written":
            self.writes[f"{facts['connection']} {facts['call']} {facts['kind']}"] += 1


async def backfill(
    app: App,
    scope: Scope | None = None,
    *,
    wait: bool = False,
    allow_empty: bool = False,
    allow_large: bool = False,
    progress: Progress = lambda told: None,
) -> dict[str, Any]:
    """Walk every list, match, and push until nothing is left; resumable after any stop.

    Raises ``PlanRefused`` before the first write where the plan looks wrong. Ends with what is left where a lane stays
    closed for more than ten minutes, unless ``wait``.
    """
    engine = app.engine
    engine.world = narrowed(app.world, scope or Scope())
    engine.allow_empty, engine.allow_large = allow_empty, allow_large
    longest = float("inf") if wait else LONGEST_REST_S
    tally = Tally()

    def listen(action: str, facts: Mapping[str, Any]) -> None:
        tally.listen(action, facts)
        progress({"pages": dict(tally.pages), "writes": dict(tally.writes), "action": action})

    engine.listeners.append(listen)
    try:
        await engine.begin()
        until = await _prepare(engine, longest, whole=app.world.stamp)
        if until is None:
            until = await engine.run_until_quiet(longest_rest_s=longest)
    finally:
        engine.listeners.remove(listen)
    result = await engine.store.run(_outcome, engine.world)
    return {**result, "pages": dict(tally.pages), "writes": dict(tally.writes), "until": until}


async def _prepare(engine: Engine, longest: float, *, whole: str) -> float | None:
    """The first look where it is missing, else sweeps; then the guard speaks.

    What was looked at under the ``whole`` configuration (its stamp) is known for any part of it, too.
    """
    until = None
    if not await engine.has_learnt() and await engine.store.run(recalled, "learnt") != whole:
        until = await engine.learn(longest_rest_s=longest)
    elif not await engine.store.run(walks_under_way):
        await engine.begin_sweeps()
    if until is None and not engine.allow_large:
        await _refuse_large(engine)
    stopped = await engine.store.run(_stopped, engine.world)
    if stopped and not engine.allow_empty:
        raise PlanRefused(f"{stopped}; look into it, then `syncd resume` it, or allow it with --allow-empty")
    return until


async def _refuse_large(engine: Engine) -> None:
    """Count what the links would change, before anything is written."""
    for pair in engine.world.pairs:
        engine.learning = True
        try:
            wanted = await engine.do(_wanted_changes, pair)
        finally:
            engine.learning = False
        for kind, changes, links in wanted:
            if engine.guard.refuses(changes, links):
                raise PlanRefused(
                    f"pair {pair.name} would change {changes} of {links} linked {kind}s, far more than usual; "
                    f"look at it with `syncd plan --pair {pair.name}`, then allow it with --allow-large"
                )


def _wanted_changes(work: Work, pair: Pair) -> list[tuple[Kind, int, int]]:
    table = schema.links.c
    where = (table.pair == pair.name, table.left.is_not(None), table.right.is_not(None))
    ids = list(work.sql.execute(sa.select(table.id).where(*where).order_by(table.id)).scalars())
    for id_ in ids:
        link = work.tx.link(id_)
        if link is not None and pair.syncs(Kind(link.kind)):
            merge_link(work, pair, link)
    return changes_of(work, pair.name, work.changed)


def _stopped(connection: sa.Connection, world: World) -> str | None:
    """Why something of this world is stopped; what the configuration does not have any more stops nothing."""
    scopes = [
        "*",
        *(f"connection/{name}" for name in world.connections),
        *(f"pair/{pair.name}" for pair in world.pairs),
    ]
    table = schema.switches.c
    stopped = sa.select(table.scope, table.reason).where(table.scope.in_(scopes)).order_by(table.scope)
    found = connection.execute(stopped).first()
    return None if found is None else f"{found.scope.replace('/', ' ')} is stopped ({found.reason})"


def _outcome(connection: sa.Connection, world: World) -> dict[str, Any]:
    """What stands in the store after a run: links, holds by reason, what is left."""
    links, holds = schema.links.c, schema.holds.c
    by_kind = connection.execute(sa.select(links.pair, links.kind, sa.func.count()).group_by(links.pair, links.kind))
    by_reason = connection.execute(sa.select(holds.reason, sa.func.count()).group_by(holds.reason))
    return {
        "links": {f"{pair} {kind}": count for pair, kind, count in sorted(map(tuple, by_kind))},
        "held": dict(sorted(map(tuple, by_reason))),
        "left": left_to_do(connection),
        "pairs": [pair.name for pair in world.pairs],
    }


async def plan(
    app: App, scope: Scope | None = None, *, show_values: bool = False, progress: Progress = lambda told: None
) -> dict[str, Any]:
    """What ``backfill`` would write now; nothing is written anywhere, and the store stays as it is.

    ``show_values``: also ``values``, for each of the first ``details`` field -> [before, after]. That is people's data
    as this run has read it: whoever gets it must show it and not keep it.
    """
    engine, rehearsed = rehearsal_of(app, scope or Scope())
    tally = Tally()

    def listen(action: str, facts: Mapping[str, Any]) -> None:
        tally.listen(action, facts)
        progress({"pages": dict(tally.pages), "writes": dict(tally.writes), "action": action})

    engine.listeners.append(listen)
    try:
        until = await _prepare_plan(engine)
        result = await engine.store.run(_outcome, engine.world)
    finally:
        engine.store.close()
    values = {"values": [_values(action) for action in rehearsed.actions[:MOST_VALUED]]} if show_values else {}
    return {**result, **await _forecast(app, rehearsed), **values, "pages": dict(tally.pages), "until": until}


def _values(action: Action) -> dict[str, list[Value]]:
    """What a write would put in the place of what; a create finds nothing there."""
    return {name: [_short(action.before.get(name)), _short(action.after[name])] for name in action.fields}


def _short(value: Value) -> Value:
    return f"{value[:LONGEST_VALUE]}…" if isinstance(value, str) and len(value) > LONGEST_VALUE else value


async def _prepare_plan(engine: Engine) -> float | None:
    until = await engine.learn(longest_rest_s=LONGEST_REST_S)
    return until if until is not None else await engine.run_until_quiet(longest_rest_s=LONGEST_REST_S)


def rehearsal_of(app: App, scope: Scope) -> tuple[Engine, Rehearsed]:
    """The engine of a dry run, over a copy of the store."""
    rehearsed = Rehearsed()
    store = copy_of(app.store)
    lanes = {
        name: Lane(
            lane.connection,
            rehearse(lane.connector, lane.connection, app.store.clock, rehearsed),
            FreeRoad(lane.road),
        )
        for name, lane in app.engine.lanes.items()
    }
    world = narrowed(app.world, scope)
    world = replace(world, pairs=tuple(replace(pair, collect_s=0.0) for pair in world.pairs))
    engine = Engine(world, store, app.store.clock, app.engine.rng, lanes)
    engine.allow_empty = engine.allow_large = True
    return engine, rehearsed


async def _forecast(app: App, rehearsed: Rehearsed) -> dict[str, Any]:
    """The actions counted, the calls that they need per token, and how long the budgets make them last."""
    counts = counted((action.connection, action.call, action.kind.value) for action in rehearsed.actions)
    calls: Counter[str] = Counter()
    for action in rehearsed.actions:
        calls[action.connection] += action.calls
    seconds = {name: await app.gates[name].forecast(count, Priority.WRITE) for name, count in calls.items()}
    return {
        "actions": [
            {"connection": connection, "call": call, "kind": kind, "count": count}
            for (connection, call, kind), count in counts.items()
        ],
        "calls": dict(calls),
        "credits": rehearsed.credits,
        "seconds": seconds,
        "details": [
            {"connection": a.connection, "call": a.call, "kind": a.kind.value, "ref": a.ref, "fields": list(a.fields)}
            for a in rehearsed.actions
        ],
    }
