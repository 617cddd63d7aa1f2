"""Whether each system lets us in, and all else that a daemon measures while it runs.

A call that was answered and let in proves that a connection is up. Where nothing has been called for a while, or a call
has failed, the connection's own check is made, which bears the token: that is what ``syncd_connection_up`` tells. The
checks wait for their turn like all calls, and take at most a fiftieth of a budget.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from syncd import figures, schema
from syncd.app import VERSION, App
from syncd.clock import Clock
from syncd.cycle import Lane
from syncd.errors import Parked, SyncdError
from syncd.figures import Journal, hears
from syncd.limits import Priority, parse_rules
from syncd.metrics import Figures, Metrics, Values
from syncd.store import upsert
from syncd.switches import is_stopped

PROBE_S = 300.0  # without a call that was let in, before a connection is asked whether it still lets us in
AGAIN_S = 30.0  # between two probes of a connection that is not up
PROBE_SHARE = 0.02  # of the tightest budget
TICK_S = 15.0

_AWAY = {
    "server_error": "answers with errors of its own",
    "lost": "does not answer",
    "not_sent": "cannot be connected to",
}
_UNREACHED: dict[str, Any] = {"reached_at": None, "error": None, "error_at": None}


class ReachMetrics(Metrics):
    """All metrics; besides, when each system last answered, which is kept in the table of connections.

    Use ``begin`` once, then ``keep`` every few seconds, and ``measured`` for the body of ``/metrics``.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(version=VERSION)
        self._clock = clock
        self._reach: dict[str, dict[str, Any]] = {}
        self._kept_rows: dict[str, dict[str, Any]] = {}
        self._is_up: dict[str, bool] = {}
        self._let_in_at: dict[str, float] = {}
        self._probed_at: dict[str, float] = {}
        self._doubted: set[str] = set()
        self._journal = Journal()
        self._counts_missed = False
        self.show({"syncd_start_timestamp_seconds": {(): clock.now()}})

    # what the road out tells

    def called(self, connection: str, method: str, outcome: str, seconds: float) -> None:
        """A call has come to its end, retries included."""
        super().called(connection, method, outcome, seconds)
        now, known = self._clock.now(), self._reach.get(connection, {})
        if outcome == "ok":
            self._let_in(connection)
        if outcome in ("ok", "client_error", "refused_rate"):
            self._reach[connection] = {"reached_at": now, "error": None, "error_at": known.get("error_at")}
        elif outcome in _AWAY:
            at = known.get("error_at") if known.get("error") else now
            self._reach[connection] = {"reached_at": known.get("reached_at"), "error": _AWAY[outcome], "error_at": at}
            self._doubted.add(connection)

    def _let_in(self, connection: str) -> None:
        self._is_up[connection], self._let_in_at[connection] = True, self._clock.now()
        self._doubted.discard(connection)

    # what the engine tells

    def listen(self, action: str, facts: Mapping[str, Any]) -> None:
        """Count what an engine tells (a listener)."""
        super().listen(action, facts)
        if action == "page" and facts["mode"] == "sweep" and self._counts_missed:
            self.count("syncd_missed_changes_total", facts["connection"], by=facts["wanted"])
        elif action == "told_nothing_new":
            self.count("syncd_changes_total", facts["connection"], facts["kind"], "update", "echo")

    # what the store tells

    async def begin(self, app: App) -> None:
        """Let every series be there, with what was known of these connections."""
        self.expect(*figures.expected(app.world))
        rows = await app.store.run(_connections)
        self._reach = {name: row for name, row in rows.items() if name in app.world.connections}
        self._kept_rows = {}
        await self._follow(app)

    async def keep(self, app: App) -> None:
        """Write down who was reached, and count what has become of changes."""
        rows = [
            {"name": name, "system": connection.facts.system, **(self._reach.get(name) or _UNREACHED)}
            for name, connection in app.world.connections.items()
        ]
        changed = [row for row in rows if self._kept_rows.get(row["name"]) != row]
        if changed:
            await app.store.run(upsert, schema.connections, changed)
            self._kept_rows |= {row["name"]: row for row in changed}
        await self._follow(app)

    async def _follow(self, app: App) -> None:
        happened = await app.store.run(self._journal.follow, self._clock.now())
        for labels, number in happened.changes.items():
            self.count("syncd_changes_total", *labels, by=number)
        for connection, kind, seconds in happened.delays:
            self.observe("syncd_propagation_seconds", seconds, connection, kind)
        rewritten: Values = {(name,): float(happened.rewritten.get(name, 0)) for name in app.world.connections}
        self.show({"syncd_pingpong_records": rewritten})

    async def measured(self, app: App) -> bytes:
        """The body of ``/metrics``, as things stand now."""
        await self._follow(app)
        self._counts_missed = self._counts_missed or await app.store.run(figures.is_first_sync_over, app.world)
        standing = await app.store.run(figures.standing, app.world, self._clock.now())
        self.show(standing)
        self.show(self._reached(app, standing))
        self.show(_heard(app))
        return self.render()

    def _reached(self, app: App, standing: Figures) -> Figures:
        refused = standing["syncd_connection_stopped"]
        up: Values = {
            (name,): float(self._is_up.get(name, False) and not refused[name, "auth"]) for name in app.world.connections
        }
        known = {name: self._reach.get(name, {}).get("reached_at") or 0.0 for name in app.world.connections}
        reached: Values = {(name,): self._let_in_at.get(name, known[name]) for name in app.world.connections}
        return {"syncd_connection_up": up, "syncd_connection_reached_timestamp_seconds": reached}

    # probing

    async def probe(self, app: App) -> None:
        """For ever: ask every system that was not called for a while, or that failed, whether it lets us in."""
        while True:
            await self._clock.sleep_until(self._clock.now() + TICK_S)
            for name, lane in app.engine.lanes.items():
                if self._is_due(lane) and not await app.store.run(is_stopped, name):
                    await self._ask(lane)

    def _is_due(self, lane: Lane) -> bool:
        name, rules = lane.connection.name, parse_rules(lane.connection.limits)
        since = max(self._probed_at.get(name, 0.0), self._let_in_at.get(name, 0.0))
        is_fine = self._is_up.get(name, False) and name not in self._doubted
        slowest_s = max((rule.window_s / (rule.calls * PROBE_SHARE) for rule in rules), default=0.0)
        return self._clock.now() - since >= max(slowest_s, PROBE_S if is_fine else AGAIN_S)

    async def _ask(self, lane: Lane) -> None:
        name = lane.connection.name
        self._probed_at[name] = self._clock.now()
        try:
            with lane.road.calling(Priority.BULK):
                await lane.connector.check()
        except Parked:
            return  # the budget is spent, which tells nothing about the system
        except SyncdError:
            self._is_up[name] = False
        else:
            self._let_in(name)


def _heard(app: App) -> Figures:
    """Where webhooks can be believed, where their addresses are registered, and where none come though they should."""
    names, hearing = app.world.connections, app.hearing
    return {
        "syncd_webhook_expected": {(name,): _hears(app, name) for name in names},
        "syncd_webhook_subscriptions_up": {(name,): float(is_up) for name, is_up in hearing.is_up.items()},
        "syncd_webhooks_silent": {(name,): float(name in hearing.silent) for name in names},
    }


def _hears(app: App, name: str) -> float:
    settings = app.config.connections[name]
    return float(
        hears(
            app.world.connections[name],
            has_secret=bool(settings.webhook_secret or app.hearing.secrets.get(name)),
            has_path_secret=settings.webhook_path_secret is not None,
        )
    )


def _connections(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    rows = connection.execute(sa.select(schema.connections)).mappings().all()
    return {row["name"]: {key: row[key] for key in _UNREACHED} for row in rows}
