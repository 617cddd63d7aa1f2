"""Webhooks in: judged on their raw bytes, kept before the 2xx, and then only "look at this again".

A body is never believed and never stored: the inbox keeps whose it was, its id or keyed digest, what it named and when.
What it named is marked to be read, or a list is set due, in the same transaction; the answer follows the commit. Who
sends what is not genuine, or to a name that is not there, always gets the same answer. Limits as the OWASP API Security
Top 10 (2023, API4) asks for: of the body, of the headers, and of the time that both may take.
"""

import asyncio
import contextlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from syncd import batches, plan, schema, tombstones
from syncd.connector import Delivery, Notice, Webhooks, with_ability
from syncd.cycle import Engine
from syncd.facts import Walk
from syncd.limits import Priority, parse_rules
from syncd.mapping import Digest
from syncd.metrics import OTHER, Metrics
from syncd.model import Kind, Ref
from syncd.setup import Connection, World
from syncd.work import Work, mark

LONGEST_BODY = 1024 * 1024  # bytes
SMALL_BODY = 64 * 1024  # bytes; no event that we know of is longer
MOST_LARGE = 32  # bodies beyond that are read at once, for each takes memory while its sender is slow
MOST_AT_WORK = 100  # whole deliveries wait for the store at once; further ones are asked to come again
MOST_HEADERS = 64
READ_S = 10.0
RETRY_AFTER_S = 30  # while the store does not answer
BUSY_S = 2  # while there is more than can be kept in a moment
EVENT_HORIZON_S = 14 * 86400.0  # no system sends an event again after that
BODY_HORIZON_S = 600.0  # equal bodies without an id are one event only for so long
RING_GAP_S = 30.0  # a list is walked no oftener than this, however often the bell rings
LONGEST_NAME = 200  # characters of an id that an event may name
MOST_REFS = 100  # of one event
FEW = 50
METHODS = ("POST", "PUT", "PATCH")  # Ninjahire's subscriptions choose among them

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Heard:
    """A genuine delivery: what it says, and whether it is a bare doorbell, whose body nobody signed."""

    notice: Notice
    is_bell: bool = False


@dataclass(frozen=True)
class Ear:
    """How one connection hears: its connector's judgement, if it judges, and the secret part of its address, if any."""

    connection: Connection
    connector: Webhooks | None
    path_secret: str | None = field(default=None, repr=False)

    def judge(self, delivery: Delivery) -> Heard | None:
        """What a genuine delivery says; None: it is not genuine."""
        if self.path_secret and hmac.compare_digest(self.path_secret.encode(), _bytes(delivery.event)):
            walks = tuple(walk.name for walk in self.connection.facts.walks)
            return Heard(Notice(walks=walks), is_bell=True)
        notice = self.connector.verify(delivery) if self.connector else None
        return None if notice is None else Heard(notice)


@dataclass
class Hearing:
    """What this process knows of the subscriptions, by connection; the truth stands in the store and in the systems.

    ``secrets`` were agreed on when addresses were registered, the old ones of a change among them for a while.
    ``is_up`` has the connections that need subscriptions: True, all were there when last looked for. ``silent`` are
    those of which changes are found and nothing is heard. ``turn`` is held by whoever looks or registers.
    """

    secrets: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    is_up: dict[str, bool] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


def ears_of(engine: Engine, path_secrets: Mapping[str, str | None]) -> dict[str, Ear]:
    """The ears of all connections that are enabled; ``path_secrets`` by connection."""
    return {
        name: Ear(lane.connection, with_ability(lane.connector, Webhooks), path_secrets.get(name))
        for name, lane in engine.lanes.items()
    }


class Receiver:
    """The endpoint of ``/webhooks/{connection}`` and ``/webhooks/{connection}/{event}``."""

    def __init__(
        self, engine: Engine, ears: Mapping[str, Ear], metrics: Metrics, hearing: Hearing | None = None
    ) -> None:
        self._engine = engine
        self._ears = ears
        self._metrics = metrics
        self._hearing = hearing or Hearing()
        self._large = Room(MOST_LARGE)
        self._at_work = Room(MOST_AT_WORK)

    async def receive(self, request: Request) -> Response:
        """Judge, keep, answer: exactly 200 if it is kept (Workable sends again until then)."""
        name = request.path_params["connection"]
        with contextlib.ExitStack() as rooms:
            body = await _read(request, self._large, rooms)
            if not isinstance(body, Unread) and not self._at_work.taken(rooms):
                body = _BUSY
            if isinstance(body, Unread):
                self._count(name, body.result)
                return _unread(body)
            return await self._heard(request, name, body)

    async def _heard(self, request: Request, name: str, body: bytes) -> Response:
        delivery = Delivery(
            body, dict(request.headers), request.path_params.get("event"), received_at=self._engine.clock.now()
        )
        heard = self._judged(name, delivery)
        if heard is None:
            self._count(name, "forged" if name in self._ears else "unknown")
            return PlainTextResponse("not accepted\n", 401)
        return await self._kept(name, delivery, heard)

    def _judged(self, name: str, delivery: Delivery) -> Heard | None:
        # An unknown name takes the time of a known one: any ear judges its delivery, which is refused in any case.
        ear = self._ears.get(name) or next(iter(self._ears.values()), None)
        agreed = self._hearing.secrets.get(ear.connection.name, ()) if ear else ()
        heard = ear.judge(replace(delivery, secrets=agreed)) if ear else None
        return heard if name in self._ears else None

    async def _kept(self, name: str, delivery: Delivery, heard: Heard) -> Response:
        key = "bell" if heard.is_bell else event_key(heard.notice, delivery, self._engine.world.digest)
        try:
            origin = await self._engine.do(keep, self._ears[name].connection, heard.notice, key)
        except sa.exc.SQLAlchemyError:
            log.exception("A webhook could not be kept.", action="webhook.store", connection=name)
            self._count(name, "unavailable")
            return PlainTextResponse("try again later\n", 503, headers={"Retry-After": str(RETRY_AFTER_S)})
        if origin is not None:
            log.info("A webhook was kept.", action="webhook.kept", connection=name, origin=origin)
        self._count(name, "duplicate" if origin is None else "kept")
        return PlainTextResponse("kept\n")

    def _count(self, name: str, result: str) -> None:
        self._metrics.webhook(name if name in self._ears else OTHER, result)


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a delivery was not taken in whole: what is counted, and what is answered."""

    result: str
    status: int
    why: str


_BUSY = Unread("busy", 503, "too busy, try again later")


def _unread(why: Unread) -> Response:
    again = {"Retry-After": str(BUSY_S)} if why is _BUSY else {}
    return PlainTextResponse(f"{why.why}\n", why.status, headers={"Connection": "close", **again})


class Room:
    """So many places, which nobody waits for: they are taken now, or not at all."""

    def __init__(self, places: int) -> None:
        self._free = places

    def taken(self, until: contextlib.ExitStack) -> bool:
        """Take a place until then, if one is free."""
        if self._free > 0:
            until.enter_context(self._place())
            return True
        return False

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


async def _read(request: Request, large: Room, rooms: contextlib.ExitStack) -> bytes | Unread:
    """The raw body, or why there is none."""
    if len(request.headers.raw) > MOST_HEADERS:
        return Unread("too_long", 431, "too many headers")
    try:
        async with asyncio.timeout(READ_S):
            return await _body(request, large, rooms)
    except TimeoutError:
        return Unread("slow", 408, "too slow")
    except ClientDisconnect:
        return Unread("gone", 400, "gone")


_TOO_LONG = Unread("too_long", 413, "too long")


async def _body(request: Request, large: Room, rooms: contextlib.ExitStack) -> bytes | Unread:
    """The raw body, or why its rest was not read."""
    claimed = request.headers.get("content-length", "0")
    if not claimed.isascii() or not claimed.isdigit() or len(claimed) > 9 or int(claimed) > LONGEST_BODY:
        return _TOO_LONG
    body, is_large = bytearray(), False
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            return _TOO_LONG
        if len(body) > SMALL_BODY and not is_large:
            is_large = large.taken(rooms)
            if not is_large:
                return _BUSY
    return bytes(body)


def _bytes(text: str | None) -> bytes:
    return (text or "").encode("utf-8", "surrogateescape")


# --- what is kept ---------------------------------------------------------------------------------------------------


def event_key(notice: Notice, delivery: Delivery, digest: Digest) -> str:
    """What makes two deliveries one event: the sender's id, else the keyed digest of address and body."""
    if notice.event_id is None:
        text = delivery.body.decode("latin-1")
        return f"body {digest('webhook', f'{delivery.event} {text}')}"
    return f"id {notice.event_id if _is_plain(notice.event_id) else digest('webhook', notice.event_id)}"


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= LONGEST_NAME and text.isprintable()


_inbox, _cursors = schema.inbox.c, schema.cursors.c
_KNOWN = sa.select(_inbox.id, _inbox.received_at).where(
    _inbox.connection == sa.bindparam("of"), _inbox.event == sa.bindparam("key")
)
_SINCE = (
    sa.select(_inbox.refs).where(_inbox.connection == sa.bindparam("of"), _inbox.id > sa.bindparam("after")).limit(FEW)
)
_FORGET = sa.delete(schema.inbox).where(_inbox.id == sa.bindparam("row"))
_KEEP = sa.insert(schema.inbox)
_CURSOR = sa.select(schema.cursors).where(
    _cursors.connection == sa.bindparam("of"), _cursors.walk == sa.bindparam("name")
)
_SET_DUE = (
    sa.update(schema.cursors)
    .where(_cursors.connection == sa.bindparam("of"), _cursors.walk == sa.bindparam("name"))
    .values(poll_due=sa.bindparam("due"))
)


def keep(work: Work, connection: Connection, notice: Notice, key: str) -> str | None:
    """Keep an event, and let what it names be looked at again.

    Returns what all that follows from it will name as its origin; None: the event was known.
    """
    named = _fewest(work.world, connection, notice.refs)
    refs = tombstones.still_wanted(work, connection, named)
    if named and not refs:
        return None  # of an erased person nothing is kept, not even that something was told
    names = [str(ref) for ref in refs]
    for known, received_at in work.sql.execute(_KNOWN, {"of": connection.name, "key": key}).all():
        if _is_repeat(work, connection.name, key, known, work.tx.now - received_at, names):
            return None
        work.sql.execute(_FORGET, {"row": known})
    row = {"connection": connection.name, "event": key, "refs": names, "received_at": work.tx.now}
    kept = work.sql.execute(_KEEP, row).inserted_primary_key
    work.origin = f"w{kept[0]}" if kept else None
    for ref in refs:
        mark(work, connection.name, ref.kind, ref.id, "webhook", Priority.READ)
    if notice.batches:
        batches.told(work, notice.batches)
    for walk in connection.facts.walks:
        if walk.name in notice.walks:
            ring(work, connection, walk)
    work.woken.add(connection.name)
    return work.origin


def _fewest(world: World, connection: Connection, refs: Iterable[Ref]) -> tuple[Ref, ...]:
    """The records to be read: kinds that a pair needs, sane ids, and where a person is a set of rows each row once."""
    kinds = world.kinds_of(connection.name) & set(connection.terms)
    wanted = dict.fromkeys(ref for ref in refs if ref.kind in kinds and _is_plain(ref.id))
    if connection.facts.rows:
        rows = {ref.id for ref in wanted if ref.kind is Kind.APPLICATION}
        wanted = dict.fromkeys(ref for ref in wanted if ref.kind is not Kind.CANDIDATE or ref.id not in rows)
    return tuple(wanted)[:MOST_REFS]


def _is_repeat(work: Work, connection: str, key: str, known: int, age_s: float, names: list[str]) -> bool:
    """Whether an event is the one that is known.

    A stage that goes there and back is told by equal bodies without an id: if anything else named the same records in
    between, it is news. What names no record only rings, and rings are rare anyway.
    """
    if key.startswith("id "):
        return age_s < EVENT_HORIZON_S
    if not names or age_s >= BODY_HORIZON_S:
        return False
    since = work.sql.execute(_SINCE, {"of": connection, "after": known}).scalars().all()
    return len(since) < FEW and not any(set(names) & set(told) for told in since)


def ring(work: Work, connection: Connection, walk: Walk) -> None:
    """Let a list be walked soon: at once, or as soon as bulk reads would still take no more than half the budget."""
    cursor = work.sql.execute(_CURSOR, {"of": connection.name, "name": walk.name}).mappings().first()
    if cursor is None:
        return  # it was never walked, and so it is due
    calls = 1 if walk.since and cursor["swept_at"] is not None else max(1, cursor["last_pages"])
    rates = [(rule.calls, rule.window_s) for rule in parse_rules(connection.limits)]
    began = cursor["polled_at"] if cursor["mode"] == "idle" else cursor["started_at"]
    due = max(work.tx.now, (began or 0.0) + plan.stretched(RING_GAP_S, calls, rates))
    if cursor["poll_due"] > due or cursor["mode"] != "idle":
        work.sql.execute(_SET_DUE, {"of": connection.name, "name": walk.name, "due": due})


def prune(connection: sa.Connection, now: float) -> int:
    """Forget events that nobody sends again; how many there were."""
    old = sa.delete(schema.inbox).where(_inbox.received_at < now - EVENT_HORIZON_S)
    return connection.execute(old).rowcount
