"""Joins the configuration, the plugins, the store and the network to an engine.

Time, chance and the network come in from outside, so that the daemon, the demo, a one-shot command and the simulation
are the same program.
"""

import random
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import orjson
import sqlalchemy as sa

from syncd import copies, crosscheck, keys, mapping, rotate, schema
from syncd.clock import Clock
from syncd.connector import Connector, Plugin
from syncd.cycle import Engine, Lane
from syncd.doubt import doubt_an_older_copy
from syncd.errors import ConfigInvalid
from syncd.gate import Gate, Step, T
from syncd.http import build_client
from syncd.identity import refuse_other_ends
from syncd.limits import Log, parse_rules
from syncd.metrics import Meter, Unmeasured
from syncd.migrate import is_current, migrate
from syncd.model import Kind
from syncd.owner import AdvisoryLock, FileLock, Nobodys, Ownership, begin_term
from syncd.plan import Emptied, Guard
from syncd.reconcile import End
from syncd.sealing import Sealer, key_from_file, parse_key
from syncd.settings import Config, Direction, Every, account, revealed
from syncd.settings import Connection as ConnectionSettings
from syncd.setup import Connection, Pair, World, stamp_of
from syncd.store import Store, open_engine, told_last, upsert
from syncd.webhooks import Hearing

GROUP = "syncd.connectors"
VERSION = "0.1.0"
Network = Callable[[str], httpx.AsyncBaseTransport | None]


def systems() -> list[str]:
    """The systems that are installed, by name; none of their code is loaded."""
    return sorted(entry.name for entry in entry_points(group=GROUP))


def load_plugins() -> dict[str, Plugin]:
    """The connectors that are installed, by system."""
    return {entry.name: entry.load() for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def mapping_of(system: str) -> Mapping[str, Any]:
    """The words of a system, from its data file: ours stand together, another package's beside its connector."""
    for name, file in _mapping_files(system):
        with suppress(FileNotFoundError):
            return _toml(name, file)
    raise ConfigInvalid(f"mappings/{system}.toml is missing; reinstall syncd or the package that brings {system!r}")


def _mapping_files(system: str) -> Iterator[tuple[str, Path]]:
    yield from ((f"mappings/{system}.toml", folder / f"{system}.toml") for folder in _folders("mappings"))
    for entry in entry_points(group=GROUP, name=system):
        yield from ((f"{entry.module}/mapping.toml", folder / "mapping.toml") for folder in _folders(entry.module))


def _folders(package: str) -> Iterator[Path]:
    found = find_spec(package)
    yield from map(Path, found.submodule_search_locations or () if found else ())


def _toml(name: str, file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except ValueError as error:  # no TOML, or no UTF-8
        why = error if isinstance(error, tomllib.TOMLDecodeError) else "the file is not in UTF-8"
        raise ConfigInvalid(f"{name}: this is not TOML: {why}") from None


# --- the world ------------------------------------------------------------------------------------------------------


def build_world(config: Config, plugins: Mapping[str, Plugin], sealer: Sealer) -> World:
    """What is configured, as the engine knows it: the enabled connections, and the pairs between them."""
    made = {
        name: _connection(name, settings, plugins[settings.system])
        for name, settings in config.connections.items()
        if settings.enabled
    }
    pairs = tuple(
        _pair(name, settings, made)
        for name, settings in config.pairs.items()
        if settings.left in made and settings.right in made
    )
    stamp = _stamp(config, made)
    return World(made, pairs, sealer.digest, _sealing(sealer), _unsealing(sealer), stamp, sealer.tombstone)


def _connection(name: str, settings: ConnectionSettings, plugin: Plugin) -> Connection:
    where = f"connections.{name}"
    vocabulary = mapping.build(mapping_of(settings.system), settings.overrides, where, settings.region)
    return Connection(
        name=name,
        facts=plugin.facts,
        vocabulary=vocabulary,
        defaults=settings.defaults,
        limits=settings.limits if settings.limits is not None else plugin.facts.limits,
        poll_s=float(settings.poll.seconds) if isinstance(settings.poll, Every) else 3600.0,
        sweep_s=float(settings.sweep.seconds),
        overlap_s=float(settings.overlap.seconds),
        remarks=tuple(form for form, key in plugin.facts.remarks.items() if key is None or settings.options.get(key)),
        account=_account_of(settings, plugin),
    )


def _account_of(settings: ConnectionSettings, plugin: Plugin) -> str:
    """Which account it is, as far as its address tells."""
    url = httpx.URL(settings.base_url or plugin.base_url or "")
    return f"{settings.system} at {url.copy_with(userinfo=None, query=None, fragment=None)}".rstrip("/")


def _pair(name: str, settings: Any, made: Mapping[str, Connection]) -> Pair:
    flows = {}
    for kind in Kind:
        flows[kind] = _ends(settings.direction(kind))
    return Pair(
        name=name,
        left=made[settings.left],
        right=made[settings.right],
        flows=flows,
        rule=settings.conflicts,
        owners={field_: End(end) for field_, end in settings.owner.items()},
        only=settings.only.rules(),
        publish=settings.publish,
        resumes=_ends(settings.resumes),
        screen_at=settings.screen_at,
        advances=tuple((rule.score_min, rule.move_to) for rule in settings.on_screening),
        credits_a_day=settings.max_credits_per_day,
        collect_s=float(settings.collect.seconds),
    )


def _ends(direction: Direction) -> frozenset[End]:
    carries = {End.RIGHT: direction.to_right, End.LEFT: direction.to_left}
    return frozenset(end for end, is_so in carries.items() if is_so)


def _sealing(sealer: Sealer) -> Callable[[Any, str], bytes]:
    return lambda values, about: sealer.seal(orjson.dumps(values), about)


def _unsealing(sealer: Sealer) -> Callable[[bytes, str], dict[str, object]]:
    return lambda sealed, about: dict(orjson.loads(sealer.unseal(sealed, about)))


def _stamp(config: Config, made: Mapping[str, Connection]) -> str:
    """Names what was configured: under another stamp each record is looked at again."""
    words = {
        name: [
            {kind.value: dict(sorted(fields.items())) for kind, fields in connection.vocabulary.fields.items()},
            {
                name: [sorted(w.read.items()), sorted(w.write.items())]
                for name, w in connection.vocabulary.words.items()
            },
            sorted(connection.defaults.items()),
        ]
        for name, connection in sorted(made.items())
    }
    pairs = config.model_dump(mode="json")["pairs"]
    return stamp_of(VERSION, orjson.dumps([words, pairs], option=orjson.OPT_SORT_KEYS))


# --- the store ------------------------------------------------------------------------------------------------------


class StoreBudget:
    """The log of one token's calls, kept in the store: a restart or a second process finds the same slots taken."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    async def change(self, step: Step[T]) -> T:
        """Change the log in one transaction."""
        return await self._store.run(self._change, step)

    def _change(self, connection: sa.Connection, step: Step[T]) -> T:
        table = schema.budgets
        where = table.c.connection == self._name
        text = connection.execute(sa.select(table.c.log).where(where)).scalar() or ""
        log, told = step(Log.from_json(text), self._store.clock.now())
        if (new := log.to_json()) != text:
            upsert(connection, table, [{"connection": self._name, "log": new}])
        return told


def sealer_of(config: Config, entropy: Callable[[int], bytes]) -> Sealer:
    """The sealing by the configured key, or by the key file beside the SQLite file."""
    key = revealed(config.store.key)
    if key is not None:
        return Sealer(parse_key(key), entropy)
    path = config.store.key_path
    if path is None:
        raise ConfigInvalid("store.key: a PostgreSQL store needs a key; name it, or a file for it in store.key_file")
    return Sealer(key_from_file(path, entropy), entropy)


def carry_budgets(trial: Store, config: Config, clock: Clock, entropy: Callable[[int], bytes]) -> None:
    """Count calls that were made before there was a store in the store of the config, which is made with this."""
    rows = trial.run_now(_budgets)
    engine = open_engine(store_url(config))
    lock = ownership_of(config, engine)
    try:
        if lock.take():  # else a daemon has the store, and counts for itself
            store = open_store(config, clock, sealer_of(config, entropy), threaded=False)
            store.run_now(upsert, schema.budgets, rows)
            store.close()
    finally:
        lock.release()
        engine.dispose()


def _budgets(connection: sa.Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(sa.select(schema.budgets)).mappings()]


def prove_key(connection: sa.Connection, sealer: Sealer) -> None:
    """Refuse a key other than the one that the store was made with, and take up the store's own keys."""
    keys.prove(connection, sealer)


def ownership_of(config: Config, engine: sa.Engine) -> Ownership:
    """What makes this process the only one that writes."""
    if engine.dialect.name == "postgresql":
        return AdvisoryLock(engine)
    path = config.store.sqlite_file
    return FileLock(path) if path is not None else Nobodys()


# --- the whole ------------------------------------------------------------------------------------------------------


@dataclass
class App:
    """A running syncd, before anything happens: start it with ``engine.begin``."""

    config: Config
    plugins: Mapping[str, Plugin]
    world: World
    store: Store
    engine: Engine
    gates: Mapping[str, Gate]
    sealer: Sealer
    clients: Mapping[str, httpx.AsyncClient] = field(default_factory=dict)
    hearing: Hearing = field(default_factory=Hearing)

    async def close(self) -> None:
        """Close the connections to the systems and the database."""
        for client in self.clients.values():
            await client.aclose()
        self.store.close()


def open_store(config: Config, clock: Clock, sealer: Sealer, *, threaded: bool = True) -> Store:
    """The store, migrated, and proven to be made with this key. The caller owns it (see ``ownership_of``)."""
    store = Store(open_engine(store_url(config)), clock, threaded=threaded)
    store.run_now(migrate)
    begin_term(store)
    clock.not_before(store.run_now(told_last))
    store.run_now(prove_key, sealer)
    store.run_now(keys.complete, sealer)
    rotate.finish(store, sealer, config.store)
    _watch_for_copies(store, config.store.sqlite_file)
    return store


def _watch_for_copies(store: Store, path: Path | None) -> None:
    """Note whether this is an older copy of the database, and keep beside it what tells one."""
    beside = copies.Beside(path) if path is not None else None
    store.run_now(copies.recognise, beside, store.clock.now())
    if beside is not None:
        copies.follow(store.engine, beside, store.clock)


def open_for_reading(config: Config, clock: Clock) -> Store | None:
    """The store for commands that only look; None: there is none yet, or it is an older syncd's."""
    path = config.store.sqlite_file
    if path is not None and not path.exists():
        return None
    store = Store(open_engine(store_url(config), read_only=path is not None), clock, threaded=False)
    with store.engine.connect() as connection:
        current = is_current(connection)
    if not current:
        store.close()
        return None
    return store


def store_url(config: Config) -> str:
    """The address of the database."""
    url = revealed(config.store.url)
    assert url is not None
    return url


def build(
    config: Config,
    plugins: Mapping[str, Plugin],
    store: Store,
    sealer: Sealer,
    *,
    rng: random.Random,
    budgets: Store | None = None,
    network: Network = lambda name: None,
    meter: Meter | None = None,
    read_only: bool = False,
    longest_park_s: float = 60.0,
) -> App:
    """Join everything. ``budgets``: the store that counts calls, where the rows stand in another (a dry run).

    ``network`` replaces sockets by connection name. ``read_only``: anything but a GET is refused below the connectors.
    A store that is an older copy is believed less from now on (``syncd.doubt``).
    """
    crosscheck.examine(config, plugins).refuse()
    world = build_world(config, plugins, sealer)
    gates, clients, lanes = {}, {}, {}
    for name, connection in world.connections.items():
        plugin = plugins[config.connections[name].system]
        gates[name] = Gate(
            name,
            parse_rules(connection.limits),
            StoreBudget(budgets or store, name),
            store.clock,
            meter=meter or Unmeasured(),
            park_after_s=longest_park_s,
        )
        clients[name], connector = _connect(config, name, plugin, gates[name], world, rng, network, read_only=read_only)
        lanes[name] = Lane(connection, connector, gates[name], _webhook_url(config, name))
    store.run_now(refuse_other_ends, world)
    doubt_an_older_copy(store, world)
    engine = Engine(world, store, store.clock, rng, lanes)
    engine.guard = Guard(config.guard.changed_least, config.guard.changed_share)
    engine.emptied = Emptied(config.guard.vanished_least, config.guard.vanished_share)
    return App(config, plugins, world, store, engine, gates, sealer, clients)


def _webhook_url(config: Config, name: str) -> str | None:
    """Where a system that takes an address with each request may tell us something, if it can prove that it is it."""
    base = config.server.public_url
    return f"{base.rstrip('/')}/webhooks/{name}" if base and config.connections[name].webhook_secret else None


def _connect(
    config: Config,
    name: str,
    plugin: Plugin,
    gate: Gate,
    world: World,
    rng: random.Random,
    network: Network,
    *,
    read_only: bool,
) -> tuple[httpx.AsyncClient, Connector]:
    settings = config.connections[name]
    known = account(config, name, plugin)
    terminal = _terminal_words(world.connections[name])
    options = {**known.options, **({"terminal_words": terminal} if "terminal_words" in plugin.options else {})}
    known = replace(known, options=options)
    client = build_client(
        gate,
        known.base_url,
        rng=rng,
        allow_private=settings.allow_private,
        network=network(name),
        read_only=read_only,
        proxy=revealed(settings.proxy),
    )
    return client, plugin.connect(known, client, gate.clock)


def _terminal_words(connection: Connection) -> str:
    """Their words that mean that an application is over; nobody is phoned about those."""
    read = connection.vocabulary.words["stage"].read
    return ",".join(sorted(word for word, ours in read.items() if ours in mapping.TERMINAL))
