"""Proves a configuration before anything is written: tokens, members, stage words, clocks, and what targets demand.

Each finding is a sentence with its place. What a system cannot tell without being read whole (how many records would be
held) is counted by the same dry run that ``syncd plan`` makes.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import httpx

from syncd import backfill, crosscheck, subscriptions
from syncd.app import App
from syncd.connector import Pipelines, served_at
from syncd.cycle import Lane
from syncd.errors import SyncdError
from syncd.limits import Priority
from syncd.mapping import NAMES, WORDED, Terms, Words
from syncd.model import Kind, Ref
from syncd.reconcile import End
from syncd.sentences import spelled
from syncd.setup import Connection, Pair

Facts = dict[str, Any]
CLOCKS_APART_S = 60.0  # a Date has whole seconds and an answer takes its time; beyond this a clock is wrong


@runtime_checkable
class Acts(Protocol):
    """A connector that writes in the name of a member of the account."""

    async def member_id(self) -> str:
        """The member's id; raises ``Rejected`` where there is no such member."""
        ...


async def check(app: App, *, counts: bool, progress: backfill.Progress) -> Facts:
    """``connections`` (each with ``problems``), ``pairs`` (what would be held, always or sometimes), ``held`` (counts).

    ``counts``: also read all lists and count what would be held; left out where a connection has a problem.
    """
    app.hearing.secrets = await app.store.run(subscriptions.secrets_of, app.world, app.store.clock.now())
    connections = []
    for name, lane in app.engine.lanes.items():
        progress({"action": "check", "connection": name})
        connections.append(await _connection(app, lane))
    wrong = any(each["problems"] for each in connections)
    planned = await backfill.plan(app, progress=progress) if counts and not wrong else None
    return {
        "warnings": [*crosscheck.examine(app.config, app.plugins).warnings, *_clock_warnings(connections)],
        "connections": connections,
        "pairs": [_pair(pair) for pair in app.world.pairs],
        "held": planned["held"] if planned is not None else None,
        "counted": planned is not None,
        "until": planned["until"] if planned is not None else None,
    }


# --- connections ----------------------------------------------------------------------------------------------------


async def _connection(app: App, lane: Lane) -> Facts:
    problems: list[str] = []
    unmapped: list[Facts] = []
    proven = []
    with lane.road.calling(Priority.READ), _dates_heard(app, lane.connection.name) as ahead:
        try:
            await lane.connector.check()
            proven.append("token")
            if isinstance(lane.connector, Acts) and _is_written(app, lane.connection.name):
                await lane.connector.member_id()
                proven.append("member")
            unmapped = await _unmapped_stages(lane)
            proven.append("stages")
        except SyncdError as error:
            problems.append(f"connections.{lane.connection.name}: {error}")
    hooks = _webhooks(app, lane.connection)
    hooks["subscriptions"] = None if problems else await subscriptions.told(app, "list", lane.connection.name)
    problems += [_sentence(lane.connection.name, each) for each in unmapped]
    system = lane.connection.facts.system
    ahead_s = min(ahead, key=abs, default=None)
    proven += ["clock"] if ahead_s is not None and abs(ahead_s) <= CLOCKS_APART_S else []
    return {"name": lane.connection.name, "system": system, "proven": proven, "problems": problems,
            "unmapped": unmapped, "clock_ahead_s": ahead_s, "webhooks": hooks}  # fmt: skip


def _is_written(app: App, name: str) -> bool:
    return any(pair.flows_to(kind, pair.end_of(name)) for kind in Kind for pair in app.world.pairs_of(name, kind))


async def _unmapped_stages(lane: Lane) -> list[Facts]:
    """Stage words that no mapping knows, each with the jobs whose pipelines have it."""
    words, connector = lane.connection.vocabulary.words["stage"], lane.connector
    if not isinstance(connector, Pipelines):
        return [{"stage": word, "jobs": []} for word in lane.connection.facts.words if words.ours(word) is None]
    unknown = [word for word in await connector.stages(None) if words.ours(word) is None]
    return await _where(lane, connector, unknown) if unknown else []


async def _where(lane: Lane, connector: Pipelines, unknown: list[str]) -> list[Facts]:
    """In which jobs' pipelines the words stand; jobs that are over are not asked."""
    jobs: dict[str, list[str]] = {word: [] for word in unknown}
    walk = lane.connection.walk_of(Kind.JOB)
    if walk is not None:
        async for page in lane.connector.pull(walk, None):
            for record in page.records:
                if record.ref.kind is Kind.JOB and _is_going_on(lane.connection, record.fields):
                    for word in set(unknown) & set(await connector.stages(Ref(Kind.JOB, record.ref.id))):
                        jobs[word].append(record.ref.id)
    return [{"stage": word, "jobs": sorted(ids)} for word, ids in jobs.items()]


def _is_going_on(connection: Connection, fields: Mapping[str, Any]) -> bool:
    name = connection.vocabulary.fields[Kind.JOB].get("status", "")
    return connection.vocabulary.words["status"].ours(str(fields.get(name))) != "closed"


def _sentence(name: str, unmapped: Mapping[str, Any]) -> str:
    jobs = unmapped["jobs"]
    named = ", ".join(jobs[:5]) + (f" and {len(jobs) - 5} more" if len(jobs) > 5 else "")
    where = f" (job{'s' if len(jobs) > 1 else ''} {named})" if jobs else ""
    return (
        f'connections.{name}: the stage "{unmapped["stage"]}"{where} is in no mapping; applications there are held '
        f"until [connections.{name}.stages.read] says what it means"
    )


# --- clocks and webhooks --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _dates_heard(app: App, name: str) -> Iterator[list[float]]:
    """Collects, while held, by how many seconds the Date of each answer of a system is ahead of our clock."""
    ahead: list[float] = []

    async def note(response: httpx.Response) -> None:
        served = served_at(response)
        if served is not None:
            ahead.append(served - app.store.clock.now())

    heard = app.clients[name].event_hooks["response"]
    heard.append(note)
    try:
        yield ahead
    finally:
        heard.remove(note)


def _clock_warnings(connections: list[Facts]) -> Iterator[str]:
    for each in connections:
        ahead_s = each["clock_ahead_s"] or 0.0
        if abs(ahead_s) > CLOCKS_APART_S:
            yield (
                f"connections.{each['name']}: the clock of {each['system']} is {abs(ahead_s):.0f} s "
                f"{'ahead of' if ahead_s > 0 else 'behind'} this machine's; keep this one right with NTP, because "
                "fresh webhooks are told from old copies by it, and the newer of two changes from the older"
            )


def _webhooks(app: App, connection: Connection) -> Facts:
    """What is configured: ``signed_with`` (None: the system sends none), ``heard`` (some are believed), ``urls``.

    ``urls`` are to be entered at the system, where syncd does not register them itself (``registers``); there are none
    before ``server.public_url`` is set. Where the address itself is the proof, its secret part is named and not shown.
    """
    hooks, settings = connection.facts.hooks, app.config.connections[connection.name]
    has_path_secret = settings.webhook_path_secret is not None
    has_secret = bool(settings.webhook_secret or app.hearing.secrets.get(connection.name))
    registers = subscriptions.need_of(app, connection.name).why_not is None
    is_judged = hooks is not None and (hooks.key == "token" or has_secret)
    is_heard = hooks is not None and (is_judged or has_path_secret)
    ends = [f"/{event}" for event in hooks.events] or [""] if hooks is not None else []
    ends = ends if is_judged else ["/<webhook_path_secret>"]
    public = app.config.server.public_url
    return {
        "signed_with": hooks.key if hooks is not None else None,
        "secret": has_secret,
        "path_secret": has_path_secret,
        "judged": is_judged,
        "heard": is_heard,
        "registers": registers,
        "urls": [f"{public.rstrip('/')}/webhooks/{connection.name}{end}" for end in ends]
        if public and is_heard and not registers
        else [],
    }


# --- pairs ----------------------------------------------------------------------------------------------------------


def _pair(pair: Pair) -> Facts:
    """``always``: what is held without exception, ``sometimes``: what is held where the source does not tell."""
    always = [*_words_without(pair)]
    sometimes: list[str] = []
    for kind in (Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION):
        for end in sorted(pair.flows.get(kind, ())):
            found = dict(_uncovered(pair, kind, end))
            always += [_demand(pair, kind, end, name) for name, is_told in found.items() if not is_told]
            if doubtful := [name for name, is_told in found.items() if is_told and name not in _ALWAYS_TOLD]:
                sometimes.append(_doubt(pair, kind, end, doubtful))
    return {"name": pair.name, "always": always, "sometimes": sometimes}


def _uncovered(pair: Pair, kind: Kind, end: End) -> Iterator[tuple[str, bool]]:
    """Fields that a create at an end demands and no default covers; with each, whether the source ever tells it."""
    target, source = pair.at(end), pair.at(end.other)
    terms = target.terms.get(kind)
    if terms is None or (terms.creates is None and not terms.facts.bears_person) or pair.batches:
        return  # nothing is created there; by batches an application is born from what is sent
    for about, demands in ((kind, terms.demands), (Kind.CANDIDATE, terms.person_demands)):
        told = _tells(source.terms.get(about))
        yield from ((name, name in told) for name in sorted(demands) if name not in target.defaults)


def _tells(terms: Terms | None) -> frozenset[str]:
    """What a source tells; the parts of a full name are taken from it."""
    told = terms.tells if terms is not None else frozenset()
    return told | NAMES if "name" in told else told


def demands(pair: Pair, end: End) -> Iterator[tuple[Kind, str, bool]]:
    """What an end demands that the other may lack: the kind, our field, and whether the other tells it at times."""
    for kind in (Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION):
        for name, is_told in _uncovered(pair, kind, end) if pair.flows_to(kind, end) else ():
            if not is_told or name not in _ALWAYS_TOLD:
                yield kind, name, is_told


# What every record has; a default for one of these would make people and jobs up.
_ALWAYS_TOLD = WORDED | NAMES | {"email", "title"}


def _demand(pair: Pair, kind: Kind, end: End, name: str) -> str:
    target, source = pair.at(end).name, pair.at(end.other).name
    return (
        f"{target} demands the {spelled(name)} of each {kind} and {source} never tells it: "
        f"set [connections.{target}.defaults] {name}"
    )


def _doubt(pair: Pair, kind: Kind, end: End, names: list[str]) -> str:
    target, source = pair.at(end).name, pair.at(end.other).name
    several = " or ".join(spelled(name) for name in names)
    return (
        f"each {kind} for which {source} tells no {several} is held: {target} demands it; "
        f"[connections.{target}.defaults] may say what to write then"
    )


def _words_without(pair: Pair) -> Iterator[str]:
    """Words that one end may say and the other has none for."""
    for kind, name in ((Kind.APPLICATION, "stage"), (Kind.JOB, "status")):
        for end in sorted(pair.flows.get(kind, ())):
            source, target = pair.at(end.other).vocabulary.words[name], pair.at(end).vocabulary.words[name]
            if pair.at(end).terms[kind].calls.get(name) is not None:
                for word in _unsayable(source, target):
                    yield (
                        f'{pair.at(end).name} has no word for the {name} "{word}" of {pair.at(end.other).name}: '
                        f"add one under [connections.{pair.at(end).name}.{name}s.write]"
                    )


def _unsayable(source: Words, target: Words) -> list[str]:
    return sorted({ours for ours in source.read.values() if not target.theirs(ours)})
