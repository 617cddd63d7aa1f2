"""What each command does, given an app: the same in a process of its own and inside a running daemon.

Arguments and results are plain values that JSON can bear. What only looks stands in ``syncd.look`` and needs no app.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from syncd import backfill, decide, forget, retention, rotate, schema, subscriptions
from syncd.app import App
from syncd.audit import audit
from syncd.check import check
from syncd.doubt import doubt
from syncd.errors import SyncdError
from syncd.store import Store
from syncd.work import Work

log = structlog.get_logger()
Told = Mapping[str, Any]
Progress = Callable[[Told], None]
MOST_DETAILS = 5000  # single writes that a plan names; the counts are always of all
TICK_S = 1.0  # between two counts of what is left


async def run_command(app: App, command: str, arguments: Told, progress: Progress) -> dict[str, Any]:
    """Do a command; raises ``SyncdError`` with a sentence where it cannot be done."""
    act = _COMMANDS.get(command)
    if act is None:
        raise SyncdError(f"this syncd knows no command {command!r} for a running daemon")
    return await act(app, arguments, progress)


async def _check(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    return await check(app, counts=bool(arguments.get("counts", True)), progress=progress)


async def _plan(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    shown = bool(arguments.get("show_values"))
    planned = await backfill.plan(app, _scope(app, arguments), show_values=shown, progress=progress)
    details = planned["details"]
    return {**planned, "details": details[:MOST_DETAILS], "more": max(0, len(details) - MOST_DETAILS)}


async def _backfill(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    await reap(app)
    async with _counting(app.store, progress) as heard:
        return await backfill.backfill(
            app,
            _scope(app, arguments),
            wait=bool(arguments.get("wait")),
            allow_empty=bool(arguments.get("allow_empty")),
            allow_large=bool(arguments.get("allow_large")),
            progress=heard,
        )


async def reap(app: App) -> None:
    """Once a day: delete what is kept no longer."""
    if await app.store.run(retention.is_due, app.store.clock.now()):
        kept = app.config.store
        count = await app.engine.do(retention.reap, kept.keep_people.seconds, kept.keep_journal.seconds)
        log.info("What is kept no longer was deleted.", action="reaped", people=count)


def _scope(app: App, arguments: Told) -> backfill.Scope:
    """What a run is restricted to; raises ``Refused`` for names that are not there."""
    pairs = [decide.pair_of(app.world, name).name for name in _names(arguments, "pairs")]
    kinds = [decide.kind_of(name) for name in _names(arguments, "kinds")]
    since = arguments.get("since")
    return backfill.Scope(
        tuple(pairs), tuple(kinds), tuple(_names(arguments, "jobs")), None if since is None else float(since)
    )


def _names(arguments: Told, key: str) -> Sequence[str]:
    return [str(name) for name in arguments.get(key) or ()]


@contextlib.asynccontextmanager
async def _counting(store: Store, progress: Progress) -> AsyncIterator[Progress]:
    """Progress with ``left``, the writes that wait, counted anew every second."""
    left = 0

    def heard(told: Told) -> None:
        progress({**told, "left": left})

    async def count() -> None:
        nonlocal left
        while True:
            left = await store.run(_writes_left)
            await store.clock.sleep_until(store.clock.now() + TICK_S)

    counting = asyncio.ensure_future(count())
    try:
        yield heard
    finally:
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)


_WRITES_LEFT = sa.select(sa.func.count()).where(schema.intents.c.state != "held")


def _writes_left(connection: sa.Connection) -> int:
    return int(connection.execute(_WRITES_LEFT).scalar_one())


async def _pause(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    told = await app.engine.do(decide.pause, arguments.get("name"))
    app.engine.wake()
    return {"told": told}


async def _resume(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    allowed = {name: bool(arguments.get(name)) for name in ("allow_empty", "allow_large", "same_account")}
    told = await app.engine.do(decide.resume, arguments.get("name"), **allowed)
    app.engine.wake()
    return {"told": told}


async def _resolve(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    id_, choice, other = int(arguments["id"]), str(arguments["choice"]), arguments.get("other")
    left, told = await app.engine.do(_resolved, id_, choice, other)
    return {"told": told, "held": left}


def _resolved(work: Work, id_: int, choice: str, other: str | None) -> tuple[int, str]:
    told = decide.resolve(work, id_, choice, other)
    return int(work.sql.execute(sa.select(sa.func.count()).select_from(schema.holds)).scalar_one()), told


async def _audit(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    pairs = [decide.pair_of(app.world, name).name for name in _names(arguments, "pairs")]
    return await audit(app, pairs, repair=bool(arguments.get("repair")), progress=progress)


async def _restored(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    await app.engine.do(doubt)
    app.engine.wake()
    return {"told": "All is looked at anew before anything is written; then `syncd held` shows what is in question."}


async def _walk(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    names = (str(arguments["connection"]), str(arguments["walk"]))
    return {"told": await app.engine.do(decide.walk_now, *names, sweep=bool(arguments.get("sweep")))}


async def _add_link(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    ends = (str(arguments["left"]), str(arguments["right"]))
    told = await app.engine.do(decide.add_link, str(arguments["pair"]), str(arguments["kind"]), *ends)
    return {"told": told}


async def _cut_link(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    return {"told": await app.engine.do(decide.cut_link, int(arguments["link"]))}


async def _webhooks(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    only = arguments.get("connection")
    return await subscriptions.webhooks(app, str(arguments["act"]), None if only is None else str(only))


async def _forget(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    """What names records goes to the caller alone, and not into the table of runs."""
    email = forget.address_in(app, arguments)
    act = forget.allow_again if arguments.get("allow") else forget.forget
    return {"receipt": await act(app, email)}


async def _rotate_key(app: App, arguments: Told, progress: Progress) -> dict[str, Any]:
    given = arguments.get("new_key_file")
    path = None if given is None else Path(str(given))
    return dict(await app.store.alone(rotate.rotate, app.sealer, app.config.store, path))


_COMMANDS: Mapping[str, Callable[[App, Told, Progress], Awaitable[dict[str, Any]]]] = {
    "check": _check,
    "plan": _plan,
    "backfill": _backfill,
    "pause": _pause,
    "resume": _resume,
    "resolve": _resolve,
    "audit": _audit,
    "restored": _restored,
    "walk": _walk,
    "links add": _add_link,
    "links cut": _cut_link,
    "webhooks": _webhooks,
    "forget": _forget,
    "rotate-key": _rotate_key,
}
