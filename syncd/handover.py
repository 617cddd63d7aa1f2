"""Commands beside a running daemon: whoever does not own the store asks the owner, and hears how it goes.

Beside an SQLite file the owner listens on a Unix socket (mode 0600): one JSON object a line, the request in, progress
and the end out; who hangs up cancels. On PostgreSQL the caller writes a row of ``runs`` and reads it until it has
ended; the owner looks for such rows every second. Either way the row tells later what was asked and what came of it.
Arguments may name a person: in the table they are sealed until the owner has them, and struck out afterwards. What a
result shows of people goes to the caller's socket and never into the table; the receipt of an erasure passes through it
sealed.
"""

import asyncio
import base64
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson
import sqlalchemy as sa
import structlog

from syncd import app as joined
from syncd import errors, schema
from syncd.app import App
from syncd.clock import Clock, WallClock
from syncd.errors import SyncdError, Unavailable
from syncd.logs import striker, trace_of
from syncd.outage import outage_of
from syncd.sealing import Entropy, Sealer
from syncd.settings import Config
from syncd.store import Store, open_engine

Told = Mapping[str, Any]
Progress = Callable[[Told], None]
RunCommand = Callable[[App, str, Told, Progress], Awaitable[Told]]

LONGEST_LINE = 4 * 1024 * 1024  # bytes of one line on the socket: the longest result
LONGEST_PATH = 100  # bytes; the system takes 107 as the path of a socket
MOST_RUNS = 8
LOOK_S = 1.0  # between two looks into the table of runs
DEAF_S = 10.0  # an owner that has not begun by then takes no commands
KEPT_S = 30 * 86400.0  # how long ended runs are remembered
ENDED = ("done", "failed", "cancelled")
SHOWN = "values"  # the part of a result that is people's data
RECEIPT = "receipt"  # the part that names records of somebody who was erased; through the table only ...
SEALED = "sealed_receipt"  # ... so, and struck out once it was read
WALL = WallClock()

log = structlog.get_logger()


# --- the caller's side ----------------------------------------------------------------------------------------------


async def ask_owner(
    config: Config,
    command: str,
    arguments: Told,
    on_progress: Progress,
    *,
    clock: Clock = WALL,
    entropy: Entropy = os.urandom,
) -> dict[str, Any]:
    """Let the process that owns the store run a command; its result. A cancelled call cancels the run.

    Raises the run's own error where it failed, and ``Unavailable`` where no owner answers or it ended meanwhile.
    """
    file = config.store.sqlite_file
    if file is not None:
        return await _ask_by_socket(socket_path(file), command, arguments, on_progress)
    store = Store(open_engine(joined.store_url(config)), clock, threaded=True)
    try:
        return await _ask_by_row(store, config, joined.sealer_of(config, entropy), command, arguments, on_progress)
    finally:
        store.close()


def socket_path(database: Path) -> Path:
    """Where the owner of an SQLite file listens."""
    return database.with_name(f"{database.name}.sock")


async def _ask_by_socket(path: Path, command: str, arguments: Told, on_progress: Progress) -> dict[str, Any]:
    try:
        with _reachable(path) as short:
            reader, writer = await asyncio.open_unix_connection(short, limit=LONGEST_LINE)
    except OSError as error:
        raise _unheard() from error
    try:
        writer.write(_line({"command": command, "arguments": dict(arguments)}))
        await writer.drain()
        async for told in _lines(reader):
            if "state" in told:
                return _ended(told)
            on_progress(told["progress"])
    except ConnectionError as error:
        raise _lost() from error
    finally:
        writer.close()
    raise _lost()


def _unheard() -> Unavailable:
    return Unavailable(
        "another syncd has this store and takes no commands: a one-shot command, or a daemon that starts or stops; "
        "try again when it is done"
    )


def _lost() -> Unavailable:
    return Unavailable("the daemon ended before the command did; what was written is kept, so run it again")


async def _ask_by_row(
    store: Store, config: Config, sealer: Sealer, command: str, arguments: Told, on_progress: Progress
) -> dict[str, Any]:
    if arguments.get("show_values"):
        raise SyncdError(
            "--show-values: another process has this store, and on PostgreSQL its answer would have to pass through "
            "the database, where nobody's data may lie; leave the option out, or stop that process first"
        )
    sealed = sealer.seal(orjson.dumps(dict(arguments)), _about(command))
    asked = {"sealed": base64.b64encode(sealed).decode()}
    id_ = await store.run(ask, command, asked, store.clock.now())
    shown: object = None
    try:
        while True:
            told = await store.run(run_of, id_)
            if told["progress"] not in (None, shown):
                shown = told["progress"]
                on_progress(told["progress"])
            if told["state"] in ENDED:
                return await _unpacked(store, sealer, id_, command, told)
            await _require_owner(store, config)
            if told["state"] == "asked" and store.clock.now() > told["asked_at"] + DEAF_S:
                await store.run(end, id_, "failed", _told_of(_unheard()), store.clock.now())
            await store.clock.sleep_until(store.clock.now() + LOOK_S / 2)
    except asyncio.CancelledError:
        await store.run(end, id_, "cancelled", _told_of(SyncdError("cancelled")), store.clock.now())
        raise


async def _unpacked(store: Store, sealer: Sealer, id_: int, command: str, told: Told) -> dict[str, Any]:
    """A run's result, with what came sealed; that is struck out of the table."""
    result = _ended(told)
    if SEALED not in result:
        return result
    receipt = orjson.loads(sealer.unseal(base64.b64decode(result.pop(SEALED)), _about(command)))
    await store.run(_strike_result, id_, result)
    return {**result, RECEIPT: receipt}


def _strike_result(connection: sa.Connection, id_: int, result: Told) -> None:
    connection.execute(sa.update(schema.runs).where(_runs.id == id_).values(result=dict(result)))


async def _require_owner(store: Store, config: Config) -> None:
    """Raise where nobody owns the store any more."""
    lock = joined.ownership_of(config, store.engine)
    if await asyncio.to_thread(lock.take):
        lock.release()
        raise _lost()


def _about(command: str) -> str:
    return f"runs/{command}"


def _ended(told: Told) -> dict[str, Any]:
    """The result of a run that is done, or its error raised as it would have been here."""
    result = dict(told["result"] or {})
    if told["state"] == "done":
        return result
    known = getattr(errors, str(result.get("error")), SyncdError)
    kind = known if isinstance(known, type) and issubclass(known, SyncdError) else SyncdError
    raise (SyncdError if kind is errors.Parked else kind)(str(result.get("message", told["state"])))


def _line(told: Told) -> bytes:
    return orjson.dumps(told, default=str) + b"\n"


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """The objects of a stream, until it ends; one that is cut off, no object or too long ends it too."""
    with contextlib.suppress(ValueError):  # too long, or no JSON
        while (line := await reader.readline()).endswith(b"\n"):
            told = orjson.loads(line)
            if not isinstance(told, dict):
                return
            yield told


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A path short enough for a socket: a long one goes through a handle of its folder."""
    if len(os.fsencode(path)) <= LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


# --- the table of runs ----------------------------------------------------------------------------------------------

_runs = schema.runs.c


def ask(connection: sa.Connection, command: str, arguments: Told, now: float) -> int:
    """Write down that a command is asked for; the run's number."""
    row = {"command": command, "arguments": dict(arguments), "state": "asked", "asked_at": now}
    return int(connection.execute(sa.insert(schema.runs).values(row).returning(_runs.id)).scalar_one())


def run_of(connection: sa.Connection, id_: int) -> dict[str, Any]:
    """A run's row."""
    return dict(connection.execute(sa.select(schema.runs).where(_runs.id == id_)).mappings().one())


def asked_for(connection: sa.Connection, most: int) -> list[dict[str, Any]]:
    """Runs that wait for the owner, oldest first."""
    found = sa.select(schema.runs).where(_runs.state == "asked").order_by(_runs.id).limit(most)
    return [dict(row) for row in connection.execute(found).mappings()]


def begun(connection: sa.Connection, id_: int, arguments: Told, now: float) -> None:
    """The owner has taken a run; of its arguments only what may stay is kept."""
    values = {"state": "running", "arguments": dict(arguments), "started_at": now}
    connection.execute(sa.update(schema.runs).where(_runs.id == id_, _runs.state == "asked").values(values))


def progressed(connection: sa.Connection, id_: int, progress: Told) -> None:
    """Keep how far a run is."""
    connection.execute(sa.update(schema.runs).where(_runs.id == id_).values(progress=dict(progress)))


def end(connection: sa.Connection, id_: int, state: str, result: Told, now: float) -> bool:
    """A run is over; tells whether it was not so before."""
    open_ = (_runs.id == id_, _runs.state.not_in(ENDED))
    values = {"state": state, "result": dict(result), "ended_at": now}
    return connection.execute(sa.update(schema.runs).where(*open_).values(values)).rowcount > 0


def cancelled_of(connection: sa.Connection, ids: list[int]) -> list[int]:
    """Which of these runs their callers have given up."""
    where = (_runs.id.in_(ids), _runs.state == "cancelled")
    return list(connection.execute(sa.select(_runs.id).where(*where)).scalars())


def clear_leftovers(connection: sa.Connection, now: float) -> int:
    """At an owner's start: what a dead owner left has failed, and what ended long ago is forgotten."""
    connection.execute(sa.delete(schema.runs).where(_runs.state.in_(ENDED), _runs.asked_at < now - KEPT_S))
    values = {"state": "failed", "ended_at": now, "result": _told_of(_lost()), "arguments": {}}
    return connection.execute(sa.update(schema.runs).where(_runs.state.not_in(ENDED)).values(values)).rowcount


def _told_of(error: SyncdError) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": str(error)}


# --- the owner's side -----------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Run:
    """One command under way for somebody else. ``tell`` sends lines to the caller, where one listens."""

    id: int
    task: asyncio.Task[None] | None = None
    progress: Told | None = None
    is_kept: bool = True
    tell: Callable[[Told], None] = field(default=lambda told: None)


class Desk:
    """Where the owner of a store takes others' commands. ``run_command(app, command, arguments, progress)`` does them.

    Use as ``async with desk:``, with ``attend`` running meanwhile; what is under way when it is left is cancelled.
    """

    def __init__(self, app: App, run_command: RunCommand) -> None:
        self._app = app
        self._run_command = run_command
        self._store = app.store
        self._strike = striker(app.config.secrets())
        self._runs: dict[int, Run] = {}
        self._socket: asyncio.Server | None = None
        self._path = socket_path(file) if (file := app.config.store.sqlite_file) else None
        self._closing = False

    async def __aenter__(self) -> Self:
        """Begin to take commands."""
        await self._store.run(clear_leftovers, self._store.clock.now())
        if self._path is not None:
            self._socket = await asyncio.start_unix_server(self._serve, sock=_bound(self._path), limit=LONGEST_LINE)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take no more, and cancel what is under way."""
        self._closing = True
        if self._socket is not None and self._path is not None:
            self._socket.close()
            _unlink(self._path)
        tasks = [run.task for run in self._runs.values() if run.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def attend(self) -> None:
        """For ever, once a second: look for rows that ask or give up, and keep how far runs are."""
        clock = self._store.clock
        while True:
            if self._path is None:
                await self._look()
            for run in list(self._runs.values()):
                await self._keep_progress(run)
            await clock.sleep_until(clock.now() + LOOK_S)

    async def _keep_progress(self, run: Run) -> None:
        if run.progress is not None and not run.is_kept:
            run.is_kept = True
            await self._store.run(progressed, run.id, run.progress)

    # by socket

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One caller: a request, then lines until the end; if the caller hangs up, the run is cancelled."""
        request: dict[str, Any] = await anext(_lines(reader), {})
        command, arguments = request.get("command"), request.get("arguments")
        if isinstance(command, str) and isinstance(arguments, dict):
            await self._run_for(command, arguments, reader, writer)
        writer.close()

    async def _run_for(
        self, command: str, arguments: Told, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if len(self._runs) >= MOST_RUNS:
            busy = Unavailable("the daemon is busy with other commands; try again later")
            writer.write(_line({"state": "failed", "result": _told_of(busy)}))
            return
        id_ = await self._store.run(ask, command, self._struck(arguments), self._store.clock.now())
        task = self._start(Run(id_, tell=lambda told: writer.write(_line(told))), command, arguments)
        gone = asyncio.ensure_future(reader.read(1))
        await asyncio.wait([gone, task], return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)

    # by row

    async def _look(self) -> None:
        for row in await self._store.run(asked_for, MOST_RUNS - len(self._runs)):
            if row["id"] not in self._runs:
                await self._take(row)
        for id_ in await self._store.run(cancelled_of, list(self._runs)):
            if (run := self._runs.get(id_)) and run.task:
                run.task.cancel()

    async def _take(self, row: Told) -> None:
        try:
            sealed = base64.b64decode(row["arguments"].get("sealed", ""))
            arguments = self._app.world.unseal(sealed, _about(row["command"]))
        except SyncdError as error:
            await self._store.run(end, row["id"], "failed", _told_of(error), self._store.clock.now())
        else:
            self._start(Run(row["id"]), row["command"], arguments)

    # a run

    def _struck(self, value: Any) -> Any:
        """What the table may keep of arguments: nothing that looks like a person's or a secret."""
        if isinstance(value, Mapping):
            return {str(key): self._struck(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._struck(each) for each in value]
        return value if value is None or isinstance(value, bool | int | float) else self._strike(str(value))

    def _start(self, run: Run, command: str, arguments: Told) -> asyncio.Task[None]:
        self._runs[run.id] = run
        run.task = asyncio.ensure_future(self._ran(run, command, arguments))
        run.task.add_done_callback(lambda _: self._runs.pop(run.id, None))
        return run.task

    async def _ran(self, run: Run, command: str, arguments: Told) -> None:
        """Do a command to its end, and write down and tell what came of it."""
        work = asyncio.ensure_future(self._work(run, command, arguments))
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
        state, result = self._outcome(work, command)
        await self._keep_progress(run)
        kept = {key: value for key, value in result.items() if key not in (SHOWN, RECEIPT)}
        if self._path is None and RECEIPT in result:  # the table is the only way to the caller
            packed = self._app.sealer.seal(orjson.dumps(result[RECEIPT]), _about(command))
            kept[SEALED] = base64.b64encode(packed).decode()
        await self._store.run(end, run.id, state, kept, self._store.clock.now())
        run.tell({"state": state, "result": result})

    async def _work(self, run: Run, command: str, arguments: Told) -> Told:
        await self._store.run(begun, run.id, self._struck(arguments), self._store.clock.now())
        log.info("A command was handed over.", action="handover", run=run.id, command=command)

        def progress(told: Told) -> None:
            run.progress, run.is_kept = _plain(told), False
            run.tell({"progress": run.progress})

        return await self._run_command(self._app, command, arguments, progress)

    def _outcome(self, work: asyncio.Future[Told], command: str) -> tuple[str, dict[str, Any]]:
        if work.cancelled():
            return ("failed", _told_of(_lost())) if self._closing else ("cancelled", _told_of(SyncdError("cancelled")))
        error = work.exception()
        if error is None:
            return "done", _plain(work.result())
        if isinstance(error, SyncdError):
            return "failed", _told_of(error)
        if (why := outage_of(error)) is not None:
            log.error("The database failed under a handed-over command.", action="store_failed", part=command, why=why)
            return "failed", _told_of(Unavailable(f"store.url: the database cannot be used now: {why}"))
        log.error("A handed-over command died.", action="handover.bug", command=command, trace=trace_of(error))
        return "failed", _told_of(SyncdError("the daemon failed at this command; its log says where"))


def _plain(told: Told) -> dict[str, Any]:
    """Facts as JSON bears them."""
    return dict(orjson.loads(orjson.dumps(dict(told), default=str, option=orjson.OPT_NON_STR_KEYS)))


def _bound(path: Path) -> socket.socket:
    """A socket at a path, for this user alone; nobody can connect before it listens."""
    _unlink(path)  # a dead owner's: we own the store
    taking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _reachable(path) as short:
        taking.bind(short)
    path.chmod(0o600)
    return taking


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
