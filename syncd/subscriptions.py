"""Webhook subscriptions: what the pairs need is registered at the systems, and stays so.

A subscription is looked for before it is made: the list of the system is read, what is wrong or missing is mended with
one request after the other, and wherever an answer told nothing the list is read again. So a lost answer makes no
second one. An address is ours if it lies below this connection's own, or if the table of subscriptions knows that we
registered it, perhaps below an earlier ``server.public_url``; no other is ever touched. Only events that a pair needs
are asked for. Secrets that are agreed on at registration are kept sealed; after a change the old one is believed for a
day, for deliveries that are still under way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import httpx
import sqlalchemy as sa
import structlog

from syncd import schema
from syncd.app import App
from syncd.connector import Batches, Hooks, Subscribes, Subscription, Wish, is_local
from syncd.errors import ConfigInvalid, Gone, OutcomeUnknown, Rejected, SyncdError, Taken
from syncd.settings import revealed
from syncd.setup import Connection, Pair, World
from syncd.store import recalled, remember

ROUNDS = 4  # looks at a list until all is as it should be
BELIEVED_S = 86_400.0  # how long a secret that is over still proves a delivery

Told = dict[str, Any]
log = structlog.get_logger()


# --- what is needed -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Need:
    """The subscriptions that a connection should have: ``wishes``, their addresses at or below ``base``.

    ``why_not`` is the sentence that says why it should have none. ``let_be`` is an address that an operator enters by
    hand, because it is a secret itself. ``configured`` are the secrets of the configuration.
    """

    connection: Connection
    base: str
    wishes: tuple[Wish, ...] = ()
    why_not: str | None = None
    let_be: str | None = None
    configured: tuple[str, ...] = field(default=(), repr=False)

    def is_below(self, url: str) -> bool:
        """Whether an address lies at this connection's own."""
        return url != self.let_be and (url == self.base or url.startswith(f"{self.base}/"))


def need_of(app: App, name: str) -> Need:
    """What a connection needs, as it is configured and as far as its system takes subscriptions."""
    connection, settings = app.world.connections[name], app.config.connections[name]
    base = f"{(app.config.server.public_url or '').rstrip('/')}/webhooks/{name}"
    path_secret = revealed(settings.webhook_path_secret)
    need = Need(
        connection,
        base,
        let_be=f"{base}/{path_secret}" if path_secret else None,
        configured=tuple(secret.get_secret_value() for secret in settings.webhook_secret),
    )
    if why_not := _why_none_can_be(app, name):
        return replace(need, why_not=why_not)
    wishes = wishes_of(connection, app.world.pairs, base)
    return replace(need, wishes=wishes, why_not=None if wishes else "no pair needs any of its events")


def _why_none_can_be(app: App, name: str) -> str | None:
    """Why nothing is registered for a connection, whatever its pairs need; None: something may be."""
    connector, system = app.engine.lanes[name].connector, app.world.connections[name].facts.system
    if app.world.connections[name].facts.hooks is None:
        return f"{system} sends no webhooks"
    if not isinstance(connector, Subscribes):
        given = "its address goes along with each batch" if isinstance(connector, Batches) else "enter it by hand"
        return f"{system} has no subscriptions: {given}"
    public = app.config.server.public_url
    if public is None:
        return "server.public_url is not set, so no webhook could reach us"
    if httpx.URL(public).scheme != "https" and not is_local(httpx.URL(public).host):
        return "server.public_url is not https, so webhooks could be read and changed on their way"
    return None


def wishes_of(connection: Connection, pairs: Iterable[Pair], base: str) -> tuple[Wish, ...]:
    """One wish for each event where each wants an address of its own, else one for all; only events that a pair needs.

    A pair needs what tells of a kind that flows from here to its other end.
    """
    hooks = connection.facts.hooks
    mine = [pair for pair in pairs if connection.name in (pair.left.name, pair.right.name)]
    kinds = {kind for pair in mine for kind in pair.flows if pair.flows_to(kind, pair.end_of(connection.name).other)}
    needed = [event for event, told in (hooks.tells if hooks else {}).items() if kinds & {*told}]
    if hooks and hooks.events:
        return tuple(Wish(f"{base}/{event}", frozenset({event})) for event in needed)
    return (Wish(base, frozenset(needed)),) if needed else ()


# --- what a list means ----------------------------------------------------------------------------------------------


class State(StrEnum):
    """How a wish stands."""

    THERE = "registered"
    MISSING = "missing"
    WRONG = "wrong"
    TAKEN = "taken"  # the system keeps one for this event, and it is somebody else's
    DEAF = "without a secret"  # it is there, and the system did not tell what it signs with


@dataclass(frozen=True)
class Kept:
    """A row of the table of subscriptions. ``ended_at``: since when it is not there any more."""

    id: int
    connection: str
    remote: str
    url: str
    secret: str | None = field(repr=False)
    ended_at: float | None = None

    def is_of(self, listed: Subscription) -> bool:
        """Whether this is what a list tells."""
        return self.ended_at is None and (self.remote, self.url) == (listed.id, listed.url)


@dataclass(frozen=True)
class Found:
    """A wish, with the secret that is known, and what stands in its place."""

    wish: Wish
    state: State
    known: Subscription | None = None


@dataclass(frozen=True)
class Look:
    """What a system's list means: how each wish stands, and what of ours nobody needs."""

    found: tuple[Found, ...]
    stale: tuple[Subscription, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all that is needed is there."""
        return all(each.state is State.THERE for each in self.found)


def judged(need: Need, listed: Sequence[Subscription], kept: Sequence[Kept]) -> Look:
    """What a list means for a need."""
    found = tuple(_found(need, wish, listed, kept) for wish in need.wishes)
    chosen = {each.known.id for each in found if each.known is not None}
    stale = [each for each in listed if each.id not in chosen and not each.is_withdrawn and _is_ours(need, each, kept)]
    return Look(found, tuple(stale))


def _is_ours(need: Need, listed: Subscription, kept: Sequence[Kept]) -> bool:
    return need.is_below(listed.url) or any(row.is_of(listed) for row in kept)


def _found(need: Need, wish: Wish, listed: Sequence[Subscription], kept: Sequence[Kept]) -> Found:
    by_hand = [each for each in listed if each.url == need.let_be and each.is_sound and wish.events <= each.events]
    if by_hand:
        return Found(wish, State.THERE, by_hand[0])
    here = [each for each in listed if each.url == wish.url]
    known = max(here, key=lambda each: (each.is_sound, each.events == wish.events), default=None)
    hooks = need.connection.facts.hooks or Hooks("secret")
    secret = _secret(known, kept) or next(iter(need.configured), None)
    wish = replace(wish, secret=secret if hooks.key == "secret" else None)
    if known is None:
        return Found(wish, State.TAKEN if _is_taken(need, hooks, wish, listed, kept) else State.MISSING)
    if not known.is_sound or known.events != wish.events:
        return Found(wish, State.WRONG, known)
    if hooks.key == "token" or secret is not None:
        return Found(wish, State.THERE, known)
    was_made_by_us = any(row.is_of(known) for row in kept)
    return Found(wish, State.DEAF if was_made_by_us else State.WRONG, known)


def _is_taken(need: Need, hooks: Hooks, wish: Wish, listed: Sequence[Subscription], kept: Sequence[Kept]) -> bool:
    """Whether to subscribe would take an event away from somebody else."""
    others = [each for each in listed if not each.is_withdrawn and not _is_ours(need, each, kept)]
    return hooks.one_each and any(wish.events & each.events for each in others)


def _secret(known: Subscription | None, kept: Sequence[Kept]) -> str | None:
    if known is None or known.secret is not None:
        return known.secret if known else None
    return next((row.secret for row in kept if row.secret and row.is_of(known)), None)


# --- what is kept ---------------------------------------------------------------------------------------------------

_rows = schema.subscriptions.c


def kept_of(connection: sa.Connection, world: World, name: str, configured: Iterable[str]) -> tuple[Kept, ...]:
    """The rows of a connection that are not over, and those of names that the configuration does not have any more."""
    where = sa.and_(_rows.ended_at.is_(None), sa.or_(_rows.connection == name, _rows.connection.not_in([*configured])))
    found = connection.execute(sa.select(schema.subscriptions).where(where).order_by(_rows.id))
    return tuple(_kept(world, row) for row in found)


def _kept(world: World, row: Any) -> Kept:
    told = world.unseal(row.secret, _about(row.connection, row.remote)) if row.secret is not None else {}
    secret = told.get("secret")
    return Kept(row.id, row.connection, row.remote, row.url, str(secret) if secret else None, row.ended_at)


def _about(connection: str, remote: str) -> str:
    return schema.SUBSCRIPTION_PLACE.format(connection=connection, remote=remote)


def secrets_of(connection: sa.Connection, world: World, now: float) -> dict[str, tuple[str, ...]]:
    """The secrets that prove deliveries now, by connection: what is agreed on, and what was until a while ago."""
    where = sa.and_(_rows.secret.is_not(None), sa.or_(_rows.ended_at.is_(None), _rows.ended_at > now - BELIEVED_S))
    secrets: dict[str, dict[str, None]] = {}
    for row in connection.execute(sa.select(schema.subscriptions).where(where).order_by(_rows.id.desc())):
        if secret := _kept(world, row).secret:
            secrets.setdefault(row.connection, {})[secret] = None
    return {name: tuple(each) for name, each in secrets.items()}


def keep(
    connection: sa.Connection, world: World, name: str, known: Subscription, secret: str | None, now: float
) -> None:
    """Remember one that is registered; what stood there before it, or had another secret, is over."""
    rows = connection.execute(
        sa.select(schema.subscriptions).where(_rows.connection == name, _rows.ended_at.is_(None))
    ).all()
    told = {"events": sorted(known.events), "seen_at": now}
    same = None
    for row in (row for row in rows if known.url == row.url or known.id == row.remote):
        is_same = _kept(world, row).is_of(known) and secret in (None, _kept(world, row).secret)
        same = row.id if is_same else same
        values = told if is_same else {"ended_at": now}
        connection.execute(sa.update(schema.subscriptions).where(_rows.id == row.id).values(values))
    if same is None:
        sealed = world.seal({"secret": secret}, _about(name, known.id)) if secret else None
        made = {"connection": name, "remote": known.id, "url": known.url, "secret": sealed, "made_at": now, **told}
        connection.execute(sa.insert(schema.subscriptions).values(made))


def keep_listed(
    connection: sa.Connection, name: str, kept: Sequence[Kept], listed: Sequence[Subscription], now: float
) -> None:
    """What is not in the list any more is over; secrets that are over and not believed any more are forgotten."""
    there = [each for each in listed if not each.is_withdrawn]
    own = [row for row in kept if row.connection == name]
    gone = [row.id for row in own if not any(row.is_of(each) for each in there)]
    connection.execute(sa.update(schema.subscriptions).where(_rows.id.in_(gone)).values(ended_at=now))
    connection.execute(sa.delete(schema.subscriptions).where(_rows.ended_at <= now - BELIEVED_S))


def end(connection: sa.Connection, known: Subscription, now: float) -> None:
    """One was withdrawn, whatever our name for its connection was."""
    where = (_rows.remote == known.id, _rows.url == known.url, _rows.ended_at.is_(None))
    connection.execute(sa.update(schema.subscriptions).where(*where).values(ended_at=now))


# --- registering ----------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What came of a look: how the wishes stand, what was withdrawn, and what went wrong, in sentences."""

    need: Need
    look: Look
    withdrawn: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


async def look(app: App, name: str) -> Outcome:
    """How the subscriptions of a connection stand; nothing is changed. Raises as a read does."""
    need = need_of(app, name)
    if not _takes_any(app, name):
        return Outcome(need, Look(()))
    return Outcome(need, await Registrar(app, need).look())


def _takes_any(app: App, name: str) -> bool:
    return isinstance(app.engine.lanes[name].connector, Subscribes)


async def register(app: App, name: str, *, anew: bool = False) -> Outcome:
    """Make the subscriptions of a connection what they should be. Raises as a read does.

    ``anew``: what is there is withdrawn and made again.
    """
    need = need_of(app, name)
    outcome = await _made_so(app, name, need, anew=anew)
    if need.wishes:
        app.hearing.is_up[name] = outcome.look.is_whole
    return outcome


async def remove(app: App, name: str) -> Outcome:
    """Withdraw all that is ours at a connection."""
    need = need_of(app, name)
    by_hand = "withdrawn by hand; `syncd webhooks register` brings it back"
    return await _made_so(app, name, replace(need, wishes=(), why_not=need.why_not or by_hand))


async def _made_so(app: App, name: str, need: Need, *, anew: bool = False) -> Outcome:
    if not _takes_any(app, name):
        return Outcome(need, Look(()))
    async with app.hearing.turn:
        outcome = await Registrar(app, need).register(anew=anew)
        app.hearing.secrets = await app.store.run(secrets_of, app.world, app.store.clock.now())
    app.hearing.is_up.pop(name, None)
    return outcome


class Registrar:
    """Brings one connection's subscriptions to what is needed, in rounds of looking and mending."""

    def __init__(self, app: App, need: Need) -> None:
        connector = app.engine.lanes[need.connection.name].connector
        assert isinstance(connector, Subscribes)
        self._app, self._need, self._system = app, need, connector
        self._name = need.connection.name
        self._done: set[str] = set()  # addresses with which nothing more is tried in this run
        self._outcome = Outcome(need, Look(()))

    async def look(self) -> Look:
        """Read the list and keep what it tells."""
        listed = await self._system.subscriptions()
        return await self._app.store.run(self._looked, listed)

    def _looked(self, connection: sa.Connection, listed: Sequence[Subscription]) -> Look:
        world, now = self._app.world, self._app.store.clock.now()
        kept = kept_of(connection, world, self._name, self._app.config.connections)
        keep_listed(connection, self._name, kept, listed, now)
        found = judged(self._need, listed, kept)
        for each in found.found:
            if each.known is not None and each.state is State.THERE and each.known.url != self._need.let_be:
                keep(connection, world, self._name, each.known, each.known.secret, now)
        return found

    async def register(self, *, anew: bool = False) -> Outcome:
        """Look and mend until all is as it should be, or nothing more can be done."""
        self._outcome.look = await self.look()
        if anew:
            there = [each.known for each in self._outcome.look.found if each.state is State.THERE]
            await self._withdraw(each for each in there if each is not None and each.url != self._need.let_be)
            self._outcome.look = await self.look()
        for _ in range(ROUNDS):
            if not await self._mend(self._outcome.look):
                break
            clock = self._app.store.clock
            await clock.sleep_until(clock.now() + self._need.connection.facts.visible_s)
            self._outcome.look = self._with_done(await self.look())
        self._complain()
        return self._outcome

    async def _mend(self, look: Look) -> bool:
        """One request for each that is not as it should be; whether the list has to be read again."""
        await self._withdraw(look.stale)
        again = False
        made: list[Found] = []
        for each in look.found:
            if each.state in (State.MISSING, State.WRONG) and each.wish.url not in self._done:
                registered = await self._subscribe(each)
                again = again or registered is None
                made += [] if registered is None else [registered]
        places = {each.wish.url: each for each in made}
        found = tuple(places.get(each.wish.url, each) for each in look.found)
        self._outcome.look = Look(found)
        return again

    async def _subscribe(self, found: Found) -> Found | None:
        """Ask once; None: only the list tells what came of it."""
        digest, now = self._app.world.digest, self._app.store.clock.now()
        fresh = digest("webhook_secret", f"{found.wish.url} {now!r}")  # keyed: nobody else can work it out
        try:
            known = await self._system.subscribe(replace(found.wish, fresh=fresh), found.known)
        except (Taken, OutcomeUnknown, Gone) as error:
            log.info("What became of a subscription is looked up.", action="webhooks_lookup", connection=self._name,
                     why=type(error).__name__)  # fmt: skip
            return None
        except Rejected as error:
            self._done.add(found.wish.url)
            self._outcome.problems.append(str(error))
            return found
        if known is None:
            return None
        self._done.add(known.url)
        await self._app.store.run(keep, self._app.world, self._name, known, known.secret, now)
        log.info("A webhook address is registered.", action="webhooks_registered", connection=self._name)
        hooks = self._need.connection.facts.hooks
        is_proven = known.secret is not None or found.wish.secret is not None or (hooks and hooks.key == "token")
        return replace(found, state=State.THERE if is_proven else State.DEAF, known=known)

    def _with_done(self, look: Look) -> Look:
        """A list may be slow to tell what was answered with a yes in this very run."""
        before = {each.wish.url: each for each in self._outcome.look.found if each.wish.url in self._done}
        is_late = {url for url, each in before.items() if each.state in (State.THERE, State.DEAF)}
        found = tuple(
            before[each.wish.url] if each.state is State.MISSING and each.wish.url in is_late else each
            for each in look.found
        )
        return replace(look, found=found)

    async def _withdraw(self, listed: Iterable[Subscription]) -> None:
        for each in [each for each in listed if each.id not in self._done]:
            self._done.add(each.id)
            try:
                await self._system.unsubscribe(each)
            except (Gone, OutcomeUnknown):
                pass  # the next look tells
            except Rejected as error:
                self._outcome.problems.append(str(error))
                continue
            await self._app.store.run(end, each, self._app.store.clock.now())
            self._outcome.withdrawn.append(each.url)
            log.info("A webhook address is withdrawn.", action="webhooks_withdrawn", connection=self._name)

    def _complain(self) -> None:
        """Say what stands in the way of what is not there."""
        place, system = f"connections.{self._name}", self._need.connection.facts.system
        for each in self._outcome.look.found:
            events = ", ".join(sorted(each.wish.events))
            if each.state is State.TAKEN:
                self._outcome.problems.append(
                    f"{place}: {system} keeps one address for {events}, and it is not ours; remove it there first"
                )
            elif each.state is State.DEAF:
                self._outcome.problems.append(
                    f"{place}: {system} did not tell what it signs with; set {place}.webhook_secret to what its "
                    "settings show"
                )
            elif each.state is not State.THERE and not self._outcome.problems:
                self._outcome.problems.append(f"{place}: {system} does not list our address for {events}")


# --- commands -------------------------------------------------------------------------------------------------------


def _off(name: str) -> str:
    return f"subscriptions_off/{name}"


def switched_off(connection: sa.Connection, world: World) -> set[str]:
    """The connections whose subscriptions a person has removed."""
    return {name for name in world.connections if recalled(connection, _off(name)) == "yes"}


async def webhooks(app: App, act: str, only: str | None) -> Told:
    """``list``, ``register`` or ``remove`` for one connection or all: ``connections``, each with what came of it."""
    names = [*app.world.connections] if only is None else [only]
    if only is not None and only not in app.world.connections:
        raise ConfigInvalid(f"--connection: there is no enabled connection {only!r}")
    off = await app.store.run(switched_off, app.world)
    each = []
    for name in names:
        if act != "list":
            await app.store.run(remember, _off(name), "yes" if act == "remove" else "no")
        each.append(await told(app, act, name, is_off=act == "remove" or (act == "list" and name in off)))
    return {"act": act, "connections": each}


async def told(app: App, act: str, name: str, *, is_off: bool = False) -> Told:
    """What came of one of these for one connection, as plain values; a system that is away is a problem."""
    acts = {"list": look, "register": register, "remove": remove}
    try:
        outcome = await acts[act](app, name)
    except SyncdError as error:
        outcome = Outcome(need_of(app, name), Look(()), problems=[f"connections.{name}: {error}"])
    return facts_of(outcome, is_off=is_off)


def facts_of(outcome: Outcome, *, is_off: bool = False) -> Told:
    """What came of it, as plain values: no secret, and no address that is not ours."""
    need, look = outcome.need, outcome.look
    found = [
        {"url": each.wish.url, "events": sorted(each.wish.events), "state": each.state.value} for each in look.found
    ]
    return {
        "name": need.connection.name,
        "system": need.connection.facts.system,
        "why_not": need.why_not,
        "removed": is_off,
        "subscriptions": found,
        "stale": [each.url for each in look.stale if each.url not in outcome.withdrawn],
        "withdrawn": outcome.withdrawn,
        "problems": outcome.problems,
    }
