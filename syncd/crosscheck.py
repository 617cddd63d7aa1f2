"""What makes a config wrong though each of its keys is right: judged against the facts of the systems it names.

Pure: config and plugins in, sentences out. Errors end the start (exit 2); warnings are told by ``syncd check``.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from syncd.addresses import address_mistake
from syncd.connector import Facts, Plugin, is_local
from syncd.errors import ConfigInvalid
from syncd.limits import parse_rules
from syncd.mapping import FIELDS, STAGES, STATUSES
from syncd.model import Kind
from syncd.settings import Config, Connection, Direction, Pair, did_you_mean, revealed, shown

SHORTEST_TOKEN = 16  # characters of a token that we let people choose; 32 hex digits are usual

Sentences = Iterator[str]


@dataclass(frozen=True, slots=True)
class Findings:
    """Sentences, each with its place: what must be mended, and what is worth a look."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def refuse(self) -> None:
        """Raise ``ConfigInvalid`` with all errors, one a line, if there are any."""
        if self.errors:
            raise ConfigInvalid("\n".join(self.errors))


def examine(config: Config, plugins: Mapping[str, Plugin]) -> Findings:
    """Judge a config; ``plugins`` are the systems that are installed, by name."""
    errors = [
        *_server_errors(config),
        *_store_errors(config),
        *(mistake for name in config.connections for mistake in _connection_errors(config, name, plugins)),
        *(mistake for name in config.pairs for mistake in _pair_errors(config, name, plugins)),
        *_rings(config),
    ]
    return Findings(tuple(dict.fromkeys(errors)), tuple(_warnings(config, plugins)))


# --- the server and the store ---------------------------------------------------------------------------------------


def _server_errors(config: Config) -> Sentences:
    server = config.server
    if not is_local(server.host) and server.page_token is None and server.proxy_header is None:
        yield "server.page_token: is needed when server.listen is not on loopback; `openssl rand -hex 32` makes one"
    if server.proxy_header is not None and not server.proxies:
        yield "server.proxies: is needed with proxy_header; name the addresses of the reverse proxy that sets it"
    if server.proxies and server.proxy_header is None:
        yield "server.proxy_header: is needed with proxies; name the header in which they say who is signed in"
    if server.public_url is not None and (wrong := address_mistake(server.public_url, allow_private=True)):
        yield f"server.public_url: {wrong}"


def _store_errors(config: Config) -> Sentences:
    if config.store.key is not None and config.store.key_file is not None:
        yield "store.key_file: the key is given by store.key already; take one of them out"
    if config.store.key is None and config.store.key_path is None:
        yield "store.key_file: a store that is no SQLite file needs a key or a key_file; syncd makes the file"


# --- connections ----------------------------------------------------------------------------------------------------


def _connection_errors(config: Config, name: str, plugins: Mapping[str, Plugin]) -> Sentences:
    place, connection = f"connections.{name}", config.connections[name]
    plugin = plugins.get(connection.system)
    if plugin is None:
        hint = did_you_mean(connection.system, [*plugins])
        yield f"{place}.system: {shown(connection.system)} is not a known system{hint}"
        return
    yield from _needs(config, name, plugin)
    for key in connection.options:
        if key not in plugin.options:
            known = sorted({*Connection.model_fields, *plugin.options})
            yield f"{place}.{key}: neither syncd nor {connection.system} knows this key{did_you_mean(key, known)}"
    yield from (f"{place}.limits: {wrong}" for wrong in _limit_mistakes(connection.limits or ()))
    yield from (f"{place}.{wrong}" for wrong in _word_mistakes(connection))
    address = connection.base_url or plugin.base_url
    if address is None:
        yield f"{place}.base_url: is needed; {connection.system} has an address for each account"
    elif wrong := address_mistake(address, allow_private=connection.allow_private):
        yield f"{place}.base_url: {wrong}"


def _needs(config: Config, name: str, plugin: Plugin) -> Sentences:
    connection = config.connections[name]
    place, variable = f"connections.{name}", f"SYNCD_CONNECTIONS__{name.upper()}__"
    if not connection.enabled:
        return
    has_service_token = connection.access_client_id and connection.access_client_secret
    if connection.token is None and not has_service_token:
        yield f"{place}.token: is needed; write it here, or better in {variable}TOKEN or a file of the secrets folder"
    for key in plugin.needs:
        if key not in ("token", "base_url", "member") and not _has(connection, key):
            yield f"{place}.{key}: is needed by {connection.system}"
    if "member" in (*plugin.needs, *plugin.options) and connection.member is None and _is_written(config, name):
        yield f"{place}.member: is needed, because a pair writes there; name the member in whose name that happens"


def _has(connection: Connection, key: str) -> bool:
    return bool(getattr(connection, key, None) or connection.options.get(key))


def _is_written(config: Config, name: str) -> bool:
    return any(name in pair.writes_to(kind) for pair in config.pairs.values() for kind in Kind)


def _limit_mistakes(limits: Iterable[str]) -> Sentences:
    for limit in limits:
        try:
            parse_rules([limit])
        except ConfigInvalid as error:
            yield str(error)


def _word_mistakes(connection: Connection) -> Sentences:
    for section, known in (("stages", STAGES), ("statuses", STATUSES)):
        words = getattr(connection, section)
        for way, ours in (("read", words.read.values()), ("write", words.write)):
            yield from (f"{section}.{way}: {wrong}" for wrong in _unknown(ours, known, "words"))
    for kind, names in connection.fields.items():
        yield from (f"fields.{kind}: {wrong}" for wrong in _unknown(names, FIELDS[kind], "fields"))
    for section in ("words", "defaults"):
        yield from (f"{section}: {wrong}" for wrong in _unknown(getattr(connection, section), _all_fields(), "fields"))


def _unknown(words: Iterable[str], known: Sequence[str], what: str) -> Sentences:
    for word in words:
        if word not in known:
            yield f"{shown(word)} is not one of our {what}{did_you_mean(word, known)}"


def _all_fields() -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in FIELDS.values() for name in names))


# --- pairs ----------------------------------------------------------------------------------------------------------


def _pair_errors(config: Config, name: str, plugins: Mapping[str, Plugin]) -> Sentences:
    place, pair = f"pairs.{name}", config.pairs[name]
    unknown = [end for end in ("left", "right") if getattr(pair, end) not in config.connections]
    for end in unknown:
        named = getattr(pair, end)
        yield f"{place}.{end}: there is no connection {shown(named)}{did_you_mean(named, [*config.connections])}"
    if pair.left == pair.right:
        yield f"{place}.right: is the same connection as left; a pair needs two"
    elif not unknown:
        systems = {end: config.connections[end].system for end in (pair.left, pair.right)}
        facts = {end: plugins[system].facts for end, system in systems.items() if system in plugins}
        if len(facts) == 2:
            yield from (f"{place}.{wrong}" for kind in Kind for wrong in _direction_mistakes(pair, kind, facts))
            if facts[pair.right].screens_by != "batch":
                yield from (f"{place}.applications: {wrong}" for wrong in _missing_parents(config, pair))
            yield from (f"{place}.{wrong}" for wrong in _paper_mistakes(pair, facts))
    yield from (f"{place}.{wrong}" for wrong in _rule_mistakes(pair))


def _direction_mistakes(pair: Pair, kind: Kind, facts: Mapping[str, Facts]) -> Sentences:
    way, key = pair.direction(kind), f"{kind}s"
    if kind is Kind.SCREENING:
        yield from _screening_mistakes(pair, facts)
        return
    untold = [end for end in (pair.left, pair.right) if way is not Direction.OFF and not _tells(facts[end], kind)]
    if untold:
        yield f'{key}: {facts[untold[0]].system} tells no {key}; write "off"'
        return
    for target in pair.writes_to(kind):
        if not _takes(facts[target], kind):
            possible = [
                shown(other.value)
                for other, targets in _TARGETS.items()
                if all(_takes(facts[getattr(pair, end)], kind) for end in targets)
            ]
            yield f"{key}: {facts[target].system} cannot be written {key}; write {' or '.join(possible)}"


def _screening_mistakes(pair: Pair, facts: Mapping[str, Facts]) -> Sentences:
    """What screenings tell becomes remarks, and moves by rule: neither end keeps the other's screenings."""
    for target in pair.writes_to(Kind.SCREENING):
        source = pair.left if target == pair.right else pair.right
        if not _tells(facts[source], Kind.SCREENING):
            yield f'screenings: {facts[source].system} tells no screenings; write "off"'
        elif not facts[target].remarks:
            yield f"screenings: {facts[target].system} takes no remarks on an application; write the other way"
    if pair.screenings is not Direction.OFF and pair.applications is Direction.OFF:
        yield "screenings: need linked applications; let the pair carry applications too"


def _paper_mistakes(pair: Pair, facts: Mapping[str, Facts]) -> Sentences:
    targets = (pair.right,) * pair.resumes.to_right + (pair.left,) * pair.resumes.to_left
    for target in targets:
        source = pair.left if target == pair.right else pair.right
        if facts[target].attaches is None:
            yield f'resumes: {facts[target].system} takes no résumés; write "off"'
        elif not _has_resumes(facts[source]):
            yield f'resumes: {facts[source].system} gives no résumés; write "off"'
    screens_by = facts[pair.right].screens_by
    if pair.screen_at is not None and screens_by is None:
        yield f"screen_at: {facts[pair.right].system} screens nobody; take it out"
    if pair.screen_at is not None and screens_by == "batch" and not _has_resumes(facts[pair.left]):
        yield f"screen_at: {facts[pair.left].system} gives no résumés, and {facts[pair.right].system} screens by them"
    if screens_by == "batch" and pair.screen_at is not None and pair.applications is Direction.OFF:
        yield "screen_at: needs applications to be carried; what is screened is linked to them"
    if facts[pair.left].screens_by == "batch":
        yield f"left: {facts[pair.left].system} is a screening service; make it the right of the pair"
    if pair.max_credits_per_day is not None and screens_by != "batch":
        yield f"max_credits_per_day: {facts[pair.right].system} spends no credits here; take it out"


def _has_resumes(facts: Facts) -> bool:
    application = facts.kinds.get(Kind.APPLICATION)
    return application is not None and "resume" in application.lists | application.details


_TARGETS: Mapping[Direction, tuple[str, ...]] = {
    Direction.RIGHT: ("right",),
    Direction.LEFT: ("left",),
    Direction.BOTH: ("left", "right"),
    Direction.OFF: (),
}


def _tells(facts: Facts, kind: Kind) -> bool:
    return kind in facts.kinds and any(kind in walk.kinds for walk in facts.walks)


def _takes(facts: Facts, kind: Kind) -> bool:
    known = facts.kinds.get(kind)
    if known is None:
        return False
    application = facts.kinds.get(Kind.APPLICATION)
    is_born = kind is Kind.CANDIDATE and application is not None and application.bears_person
    return known.creates is not None or bool(known.writes) or is_born


def _missing_parents(config: Config, pair: Pair) -> Sentences:
    if pair.applications is Direction.OFF:
        return
    for kind in (Kind.JOB, Kind.CANDIDATE):
        if pair.direction(kind) is Direction.OFF and not _is_linked_otherwise(config, pair, kind):
            yield f'need linked {kind}s; let the pair carry {kind}s too, or write "off"'


def _is_linked_otherwise(config: Config, pair: Pair, kind: Kind) -> bool:
    others = [other for other in config.pairs.values() if other.direction(kind) is not Direction.OFF]
    reached = {pair.left}
    while grown := {end for other in others if reached & (ends := {other.left, other.right}) for end in ends} - reached:
        reached |= grown
    return pair.right in reached


def _rule_mistakes(pair: Pair) -> Sentences:
    yield from (f"owner: {wrong}" for wrong in _unknown(pair.owner, _all_fields(), "fields"))
    if pair.screen_at is not None:
        yield from (f"screen_at: {wrong}" for wrong in _unknown([pair.screen_at], STAGES, "stages"))
    goals = [rule.move_to for rule in pair.on_screening]
    yield from (f"on_screening: {wrong}" for wrong in _unknown(goals, STAGES, "stages"))
    if pair.on_screening and pair.screenings is Direction.OFF:
        yield 'on_screening: needs screenings to be carried; write for example screenings = "<-"'


# --- rings ----------------------------------------------------------------------------------------------------------


def _rings(config: Config) -> Sentences:
    """Pairs of one kind must make stars or trees: in a ring a change would come back to where it began."""
    for kind in Kind:
        roads: dict[str, dict[str, str]] = defaultdict(dict)
        for name, pair in config.pairs.items():
            if pair.direction(kind) is Direction.OFF or pair.left == pair.right:
                continue
            if around := _road(roads, pair.left, pair.right):
                names = " and ".join([", ".join(around), name])
                yield f'pairs.{name}.{kind}s: the pairs {names} make a ring; write "off" in one of them'
            else:
                roads[pair.left][pair.right] = roads[pair.right][pair.left] = name


def _road(roads: Mapping[str, Mapping[str, str]], start: str, goal: str) -> list[str] | None:
    """The pairs that join two connections already."""
    ways: dict[str, list[str]] = {start: []}
    waiting = [start]
    for at in waiting:
        for neighbour, pair in roads.get(at, {}).items():
            if neighbour not in ways:
                ways[neighbour] = [*ways[at], pair]
                waiting.append(neighbour)
    return ways.get(goal)


# --- warnings -------------------------------------------------------------------------------------------------------


def _warnings(config: Config, plugins: Mapping[str, Plugin]) -> Sentences:
    token = revealed(config.server.page_token)
    if token is not None and len(token) < SHORTEST_TOKEN:
        yield "server.page_token: is short enough to be guessed; `openssl rand -hex 32` makes a better one"
    if config.server.show_people and token is None and config.server.proxy_header is None:
        yield "server.show_people: shows nobody, because nobody is signed in without page_token or proxy_header"
    yield from _shared_tokens(config)
    for name, connection in config.connections.items():
        yield from (f"connections.{name}.{worry}" for worry in _connection_worries(config, name, connection))
    for name, pair in config.pairs.items():
        if all(pair.direction(kind) is Direction.OFF for kind in Kind):
            yield f'pairs.{name}: carries nothing; write for example jobs = "->"'
        for end in (pair.left, pair.right):
            if end in config.connections and not config.connections[end].enabled:
                yield f"pairs.{name}: rests, because connections.{end} is not enabled"
        yield from (f"pairs.{name}.{worry}" for worry in _unset_options(config, pair, plugins))


def _unset_options(config: Config, pair: Pair, plugins: Mapping[str, Plugin]) -> Sentences:
    """What a pair wants of a system that does it only where an option is set."""
    for end in dict.fromkeys(_giving_resumes(pair, plugins, config)):
        if option := _unset_option(config, end, "resumes", plugins):
            yield f'resumes: none is found in {end}; write {option} = "true" in connections.{end}'
    for end in pair.writes_to(Kind.SCREENING):
        if option := _unset_option(config, end, "screenings", plugins):
            yield f"screenings: {end} refuses each one and it is held; name an e-mail as connections.{end}.{option}"


def _giving_resumes(pair: Pair, plugins: Mapping[str, Plugin], config: Config) -> Iterator[str]:
    yield from (pair.left,) * pair.resumes.to_right + (pair.right,) * pair.resumes.to_left
    right = config.connections.get(pair.right)
    plugin = plugins.get(right.system) if right else None
    if pair.screen_at is not None and plugin is not None and plugin.facts.screens_by == "batch":
        yield pair.left


def _unset_option(config: Config, name: str, what: str, plugins: Mapping[str, Plugin]) -> str | None:
    """The option without which a connection does not do something; None: it does."""
    connection = config.connections.get(name)
    plugin = plugins.get(connection.system) if connection else None
    option = plugin.facts.wanting.get(what) if plugin else None
    is_set = connection is not None and option is not None and connection.options.get(option) not in (None, "", "false")
    return None if is_set else option


def _connection_worries(config: Config, name: str, connection: Connection) -> Sentences:
    if not any(name in (pair.left, pair.right) for pair in config.pairs.values()):
        yield "system: no pair names this connection, so it is not read"
    path_secret = revealed(connection.webhook_path_secret)
    if path_secret is not None and len(path_secret) < SHORTEST_TOKEN:
        yield "webhook_path_secret: is short enough to be guessed; `openssl rand -hex 32` makes a better one"
    token = revealed(connection.token)
    if token and token in {revealed(secret) for secret in connection.webhook_secret}:
        yield "webhook_secret: is the API token; who sees one can forge the other, so take two if the system allows it"
    if (connection.webhook_secret or path_secret) and config.server.public_url is None:
        yield "webhook_secret: webhooks reach nobody without server.public_url"
    if connection.limits == ():
        yield "limits: an empty list lets calls go out without any limit"
    poll_s = getattr(connection.poll, "seconds", 0)
    if poll_s > connection.sweep.seconds:
        yield "sweep: is shorter than poll, so each poll is a sweep"


def _shared_tokens(config: Config) -> Sentences:
    users: dict[tuple[str, str | None, str], list[str]] = defaultdict(list)
    for name, connection in config.connections.items():
        if (token := revealed(connection.token)) is not None:
            users[connection.system, connection.base_url, token].append(name)
    for names in users.values():
        if len(names) > 1:
            yield f"connections.{names[-1]}.token: is the token of connections.{names[0]} too; they spend one budget"
