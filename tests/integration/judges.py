"""The judges of a whole run: what happened, as the systems' own logs tell it, and whether any of it should not have.

They read the sandboxes' arrivals, effects and snapshots. Of syncd they believe two things only: what it says is held,
and its journal's lines about what went out and about drift, which are compared with what arrived.

Words: a person is known by her e-mail, a job by its title, an application by both, whatever the system. A *look* is a
good answer to syncd that showed a record. What no client can see is nobody's fault: an edit between the read and the
write of one update, and an edit that was taken back before the next look.
"""

import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from syncd.mapping import Vocabulary, canonical, clean, key_text, mean_the_same
from syncd.sandbox import Arrival, Hits, Limit, Sandbox

Who = tuple[str, ...]
FELT = ("phoned", "mail", "mailed", "invited", "posted", "published", "spent", "purchase")  # somebody notices, or pays
EDITED = {"phone": "candidate", "stage": "application"}  # the fields that people edit on all sides -> their kind
NETWORK = "network"  # who does what a request does that something on its way has sent a second time
HUB = "acme"
LOOKED_UP_BY = ("email", "shortcode", "source_id", "search")  # a list that is asked for so shows some, and maybe none
RESULTS, EVERYBODY = "results", "/candidates"  # in which whom a screening service made is seen first
FILES = "/resumes/"  # what lies there is fetched without a token, and counts against no limit
LONGEST_WINDOW_S = 30.0  # between the read and the write of one update, waiting for the budget included
SAME_INSTANT_S = 0.002  # two clocks reads of one process; a look so shortly before an edit cannot be ordered
SETTLES_S = 1.0  # from a look to its place in the store
DEATH_S = 3.0  # a look that came so shortly before a kill may have been forgotten with the process


@dataclass(frozen=True)
class Held:
    """One hold, as `syncd held --json` tells it: (connection, kind, id) of both ends, people's rows among them."""

    ends: frozenset[tuple[str, str, str]]
    names: frozenset[str]
    reason: str


def holds_of(told: Iterable[Mapping[str, Any]]) -> list[Held]:
    """What `syncd held --json` printed."""
    found = []
    for hold in told:
        ends = set()
        for end in (hold["left"], hold["right"]):
            for id_ in [end["id"], *end["rows"]] if end else ():
                ends.add((end["connection"], end["kind"], id_))
        found.append(Held(frozenset(ends), frozenset(hold["field"].split() or [""]), hold["reason"]))
    return found


@dataclass(frozen=True)
class Line:
    """One line of syncd's journal."""

    at: float
    connection: str
    kind: str
    ref: str
    what: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One field of one record as somebody left it. ``by``: human, api, system or network; ``place``: whose it is."""

    no: int
    at: float
    by: str
    action: str
    id: str
    before: Any
    after: Any
    place: str = ""


@dataclass(frozen=True)
class Look:
    """A read that was answered well, as it arrived."""

    at: float
    path: str
    query: str


class Watched:
    """An ASGI app that notes the good looks at a sandbox, whose own log leaves out what a list was asked for."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.looks: list[Look] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        at, status = self.box.clock.now(), 0

        async def noted(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        await self.box(scope, receive, noted)
        if scope["type"] == "http" and scope["method"] == "GET" and status == 200:
            self.looks.append(Look(at, scope["path"], scope["query_string"].decode()))


@dataclass
class Kept:
    """One system: what it holds, what was done to it and what it was asked. ``rows``: a person is a set of rows.

    ``screens``: it keeps neither jobs nor people of its own, only what was sent there to be screened.
    """

    name: str
    box: Sandbox
    vocabulary: Vocabulary
    defaults: Mapping[str, str] = field(default_factory=dict)
    limits: Sequence[Limit] = ()
    looks: Sequence[Look] = ()

    def __post_init__(self) -> None:
        self.told: Mapping[str, Mapping[str, Mapping[str, Any]]] = self.box.snapshot()  # type: ignore[attr-defined]

    @property
    def rows(self) -> bool:
        return self.box.system == "workable"

    @property
    def screens(self) -> bool:
        return self.box.system == "hiresquire"

    @cached_property
    def arrivals(self) -> list[Arrival]:
        """In the order in which they came (they are noted in the order in which they were answered)."""
        return sorted(self.box.arrivals, key=lambda arrival: arrival.at)

    # who and what

    def title_of(self, job: str) -> str:
        return key_text(str(self.told["job"][job]["title"]))

    def email_of(self, candidate: str) -> str:
        return key_text(str(self.told["candidate"][candidate]["email"]))

    def who(self, kind: str, id_: str) -> Who | None:
        """Who or what a record is; None: it is not there any more."""
        if id_ not in self.told[kind]:
            return None
        if kind == "job":
            return (self.title_of(id_),)
        if kind == "candidate":
            return (self.email_of(id_),)
        about = self.told[kind][id_]
        return (self.email_of(str(about["candidate"])), self.title_of(str(about["job"])))

    def by_who(self, kind: str) -> dict[Who, list[str]]:
        found: dict[Who, list[str]] = {}
        for id_ in self.told[kind]:
            found.setdefault(self.who(kind, id_) or (), []).append(id_)
        return found

    def value(self, kind: str, id_: str, name: str) -> Any:
        """A field in our name, cleaned; a worded one stays in the system's word."""
        return self._cleaned(kind, name, self.told[kind][id_])

    def _cleaned(self, kind: str, name: str, fields: Mapping[str, Any]) -> Any:
        own = next(names for key, names in self.vocabulary.fields.items() if key == kind)
        if kind == "application":
            return fields.get("stage", fields.get(own["stage"]))
        return clean(name, fields.get(own[name]), self.vocabulary.region)

    def full_name(self, id_: str) -> str:
        parts = [self.told["candidate"][id_].get(key) for key in ("firstname", "first_name", "lastname", "last_name")]
        return canonical("name", " ".join(filter(None, parts)) or self.told["candidate"][id_].get("name"))

    # what was done

    def entries(self, name: str) -> list[Entry]:
        """Everything that was done to one of the fields that people edit, oldest first."""
        if name not in self._entries:
            self._entries[name] = list(self._read(name))
        return self._entries[name]

    @cached_property
    def _entries(self) -> dict[str, list[Entry]]:
        return {}

    def _read(self, name: str) -> Iterator[Entry]:
        kind = EDITED[name]
        if self.screens and kind == "candidate":
            return
        own = "stage" if kind == "application" else self._own(kind, name)
        other = self._own(kind, name)
        for no, effect in enumerate(self.box.effects):
            if effect.kind == kind and (own in effect.after or other in effect.after):
                before = self._cleaned(kind, name, effect.before)
                yield Entry(no, effect.at, effect.by, effect.action, effect.id, before,
                            self._cleaned(kind, name, effect.after), effect.kind)  # fmt: skip
            elif kind == "application" and effect.kind == "candidate" and "stage" in effect.after:
                for id_ in self._applications_of(effect.id):  # the portal keeps a person's stage of its own
                    yield Entry(no, effect.at, effect.by, effect.action, id_, effect.before.get("stage"),
                                effect.after["stage"], effect.kind)  # fmt: skip

    def _applications_of(self, candidate: str) -> list[str]:
        """Whose stage a person's own tells: her one application's; of several it is nobody's, and is asked about."""
        known = [id_ for id_, about in self.told["application"].items() if str(about["candidate"]) == candidate]
        return known if len(known) == 1 else []

    def is_nobodys(self, application: str) -> bool:
        """Whether a stage may be another application's: of one without an assignment, the portal has the person's."""
        if self.box.system != "portal":
            return False
        rows: Any = self.box.rows["assignment"]  # type: ignore[attr-defined]
        assigned = {f"{row['candidate_id']}:{row['job_id']}" for row in rows.values()}
        return application not in assigned and not self._applications_of(application.partition(":")[0])

    def _own(self, kind: str, name: str) -> str:
        return next(names for key, names in self.vocabulary.fields.items() if key == kind)[name]

    # what was looked at

    def was_read(self, id_: str, after: float, before: float) -> bool:
        """Whether a get of the record itself was answered between two times."""
        times = self._gets.get(id_.partition(":")[0], [])
        at = bisect.bisect_right(times, after)
        return at < len(times) and times[at] < before

    @cached_property
    def _gets(self) -> dict[str, list[float]]:
        """When each record was read; whole lists stand under their names. A list of some (a look-up) shows nothing."""
        found: dict[str, list[float]] = {}
        for look in sorted(self.looks, key=lambda look: look.at):
            if not any(f"{name}=" in look.query for name in LOOKED_UP_BY):
                found.setdefault(look.path.rpartition("/")[2], []).append(look.at)
        return found

    def last_look(self, id_: str, before: float, deaths: Sequence[float]) -> float:
        """When the record was last shown, by itself or in a list, to a process that lived to remember it."""
        return max((at for at in self._looks(id_, deaths) if at < before - SAME_INSTANT_S), default=0.0)

    def first_look(self, id_: str, after: float, deaths: Sequence[float]) -> float:
        """When it was first shown so after a time."""
        return min((at for at in self._looks(id_, deaths) if at > after), default=float("inf"))

    def _looks(self, id_: str, deaths: Sequence[float]) -> list[float]:
        names = (id_.partition(":")[0], "candidates", "applications")
        times = [at for name in names for at in self._gets.get(name, [])]
        return [at for at in times if not any(at <= death <= at + DEATH_S for death in deaths)]


@dataclass
class Run:
    """A run that came to its end. ``rules``: a hub that wins; ``one_way``: spokes whose people's edits stay there.

    ``hub_name``: the connection that all others are joined with.
    """

    kept: Mapping[str, Kept]
    holds: Sequence[Held]
    journal: Sequence[Line]
    deaths: Sequence[float]
    rules: bool = False
    one_way: frozenset[str] = frozenset()
    hub_name: str = HUB

    @property
    def hub(self) -> Kept:
        return self.kept[self.hub_name]

    @property
    def spokes(self) -> list[Kept]:
        return [kept for name, kept in self.kept.items() if name != self.hub_name]

    def is_held(self, where: Kept, kind: str, ids: Iterable[str], name: str = "") -> bool:
        """Whether a field of one of these, or the whole record, waits for a person."""
        ends = {(where.name, kind, id_) for id_ in ids}
        return any(ends & hold.ends and {name, ""} & hold.names for hold in self.holds)

    def same(self, name: str, one: Kept, value: Any, other: Kept, told: Any) -> bool:
        """Whether two systems' values mean the same."""
        if name not in ("stage", "status"):
            return canonical(name, value) == canonical(name, told)
        words, others = one.vocabulary.words[name], other.vocabulary.words[name]
        return mean_the_same(words, str(value), others, str(told))


def violations(run: Run) -> list[str]:
    """Everything that should not have happened, a line each."""
    found = [
        *_twice(run),
        *_undone(run),
        *_out_of_step(run),
        *_unclaimed(run),
        *_unearned(run),
        *felt({name: kept.box for name, kept in run.kept.items()}),
    ]
    return found + [line for kept in run.kept.values() for line in over_budget(kept)]


# --- nobody and nothing is there twice ------------------------------------------------------------------------------


def _twice(run: Run) -> Iterator[str]:
    for kept in run.kept.values():
        for kind in () if kept.screens else ("job", "candidate", "application"):
            if kind == "candidate" and kept.rows:
                continue
            made, copies = (_made(kept, kind, lambda by: by.startswith("api")), _made(kept, kind, NETWORK.__eq__))
            for who, ids in kept.by_who(kind).items():
                own = [id_ for id_ in ids if id_ not in copies]
                if len(own) > 1 and made.intersection(own):
                    yield f"twice: {kind} {who} at {kept.name}: {own}"
                if copies.intersection(ids) and len(ids) > 1 and not _is_asked_about(run, kept, kind, ids):
                    yield f"silent: {kind} {who} at {kept.name} was made twice by the network, and nobody is asked"


def _made(kept: Kept, kind: str, is_by: Callable[[str], bool]) -> set[str]:
    """The records of a kind that somebody made."""
    created = (effect for effect in kept.box.effects if effect.action == "create" and effect.kind == kind)
    return {effect.id for effect in created if is_by(effect.by)}


def _is_asked_about(run: Run, kept: Kept, kind: str, ids: list[str]) -> bool:
    """Whether any of some records of one likeness waits for a person, or whom or what an application belongs to."""
    if kind == "application":
        return _is_application_held(run, kept, [], ids)
    return run.is_held(kept, kind, ids)


def _is_ours(by: str) -> bool:
    return by.startswith("api")


# --- no call over the budget, one arrival a claim, nobody felt it ---------------------------------------------------


def over_budget(kept: Kept) -> Iterator[str]:
    """Every arrival counted strictly, whatever came of it; and the refusals that were really answered."""
    hits = Hits(kept.limits)
    for arrival in kept.arrivals:
        if arrival.path.startswith(FILES):
            continue
        if (broken := hits.refused(arrival.at)) is not None:
            rule = f"{broken.calls}/{broken.window_s}s"
            yield f"over budget: {arrival.method} {arrival.path} at {kept.name} breaks {rule}"
    refused = sum(arrival.status == 429 for arrival in kept.arrivals)
    if refused:
        yield f"over budget: {refused} times 429 at {kept.name}"


def _unclaimed(run: Run) -> Iterator[str]:
    """Before each write that arrives, a claim for it is in the journal; no claim is spent twice."""
    for kept in run.kept.values():
        sent = sorted(line.at for line in run.journal if line.what == "sent" and line.connection == kept.name)
        writes = [arrival for arrival in kept.arrivals if arrival.method != "GET" and not _is_batch(kept, arrival)]
        for count, arrival in enumerate(writes, start=1):
            if bisect.bisect_right(sent, arrival.at) < count:
                yield f"unclaimed: write {count} at {kept.name}, {arrival.method} {arrival.path}"
                return


def _is_batch(kept: Kept, arrival: Arrival) -> bool:
    """Whether a call sends résumés to be screened: its claim stands with each of them, at the other end."""
    return kept.screens and arrival.path.endswith("/jobs")


def felt(systems: Mapping[str, Sandbox]) -> list[str]:
    """What the sync made anybody outside notice."""
    return [
        f"felt: {effect.action} {effect.kind} {effect.id} at {name}"
        for name, box in systems.items()
        for effect in box.effects
        if effect.action in FELT and effect.by != "human"
    ]


# --- nobody is asked about what one alone has said ------------------------------------------------------------------


def _unearned(run: Run) -> Iterator[str]:
    """A conflict is held where two have spoken."""
    for hold in run.holds:
        for name in hold.names & EDITED.keys() if hold.reason in ("conflict", "terminal_conflict") else ():
            kind = EDITED[name]
            whos = {run.kept[of].who(kind, id_) for of, told, id_ in hold.ends if told == kind and of in run.kept}
            said = {
                (kept.name, entry.id)
                for kept in run.kept.values()
                for entry in kept.entries(name)
                if not _is_ours(entry.by) and kept.who(kind, entry.id) in whos
            }
            if len(said) < 2:
                yield f"unearned: {name} of {sorted(map(str, whos))} is held, and people spoke at {sorted(said)} alone"


# --- no move undone, no edit lost -----------------------------------------------------------------------------------


def _undone(run: Run) -> Iterator[str]:
    for kept in run.kept.values():
        for name in EDITED:
            entries = kept.entries(name)
            for at, entry in enumerate(entries):
                if _is_ours(entry.by) and entry.action != "create":
                    yield from _judged(run, kept, name, entries, at)


def _judged(run: Run, kept: Kept, name: str, entries: Sequence[Entry], at: int) -> Iterator[str]:
    """One write of ours over what a human had said there."""
    entry = entries[at]
    last = _last_human(entries, at)
    if last is None or run.same(name, kept, last.after, kept, entry.after):
        return
    if not run.same(name, kept, entry.before, kept, last.after):
        return  # what stood there was ours already
    if not kept.was_read(entry.id, last.at, entry.at):
        if not kept.was_read(entry.id, entry.at - LONGEST_WINDOW_S, entry.at):
            yield f"blind: {name} {entry.id} at {kept.name} at {entry.at:.3f}: written, and not read before"
        return
    if _never_seen(run, kept, name, entries, last):
        return
    who = kept.who(EDITED[name], entry.id)
    if who is None or _was_a_step(run, kept, name, who, last) or _is_wanted(run, kept, name, who, entry, last):
        return
    if _came_back_unheard(run, kept, name, who, entries, last):
        return
    yield (
        f"undone: {name} of {who} at {kept.name}: {last.after} by a human at {last.at:.3f} became {entry.after} by us "
        f"at {entry.at:.3f}, and nobody has said so since"
    )


def _last_human(entries: Sequence[Entry], before: int) -> Entry | None:
    about = entries[before].id
    own = (entry for entry in reversed(entries[:before]) if entry.id == about)
    return next((entry for entry in own if entry.by == "human" and entry.action != "create"), None)


def _never_seen(run: Run, kept: Kept, name: str, entries: Sequence[Entry], last: Entry) -> bool:
    """Whether people went away and came back between two looks."""
    since = kept.last_look(last.id, last.at, run.deaths)
    first = last
    for entry in reversed(entries[: entries.index(last)]):
        if entry.id != last.id:
            continue
        if _is_ours(entry.by) or entry.at <= since:
            break
        first = entry
    return run.same(name, kept, first.before, kept, last.after)


def _came_back_unheard(run: Run, kept: Kept, name: str, who: Who, entries: Sequence[Entry], last: Entry) -> bool:
    """Whether people went away and came back before we had told anybody where they went: so nothing has changed."""
    said: list[Any] = []
    for entry in reversed(entries[: entries.index(last) + 1]):
        if (entry.id, entry.place) != (last.id, last.place):
            continue
        if _is_ours(entry.by) or entry.action == "create":
            return False
        if run.same(name, kept, entry.before, kept, last.after):
            return not _was_told(run, kept, name, who, said, entry.at, last.at)
        said.append(entry.before)
    return False


def _was_told(run: Run, kept: Kept, name: str, who: Who, said: Sequence[Any], since: float, until: float) -> bool:
    """Whether we told another system one of these values in the meantime."""
    return any(
        _is_ours(entry.by) and since <= entry.at <= until and _is_about(run, other, name, entry.id, who)
        and any(run.same(name, kept, value, other, entry.after) for value in said)
        for other in run.kept.values() if other is not kept for entry in other.entries(name)
    )  # fmt: skip


def _was_a_step(run: Run, kept: Kept, name: str, who: Who, last: Entry) -> bool:
    """Whether the edit said what another record of the same told already: a step into agreement, not a change.

    What another told counts as it was when that was last looked at, too: a coarser word there may bear both of ours, so
    nothing had to be written, and nothing was read before.
    """
    for other in run.kept.values():
        about = [
            entry for entry in other.entries(name) if entry.at <= last.at and _is_about(run, other, name, entry.id, who)
        ]
        told = {entry.id: entry.after for entry in about}
        seen = {entry.id: entry.after for entry in about if entry.at <= other.last_look(entry.id, last.at, run.deaths)}
        for id_, value in (*told.items(), *seen.items()):
            if (other is not kept or id_ != last.id) and run.same(name, other, value, kept, last.after):
                return True
    return False


def _is_about(run: Run, kept: Kept, name: str, id_: str, who: Who) -> bool:
    return kept.who(EDITED[name], id_) == who


def _is_wanted(run: Run, kept: Kept, name: str, who: Who, entry: Entry, last: Entry) -> bool:
    """Whether a human has said this of the same person or application elsewhere since; or said it unheard before."""
    for other in run.kept.values():
        for said in other.entries(name):
            if (
                said.by not in ("human", NETWORK)
                or (other is kept and said.id == entry.id)
                or not _is_about(run, other, name, said.id, who)
            ):
                continue
            means = entry.action == "revert" or _means(run, name, who, (other, said), (kept, entry))
            if means and (said.at >= last.at - SAME_INSTANT_S or _hub_wins(run, kept, name, entry, said, last)):
                return True
    return False


def _means(run: Run, name: str, who: Who, said: tuple[Kept, Entry], told: tuple[Kept, Entry]) -> bool:
    """Whether what we told means what was said elsewhere: by itself, or by a coarser word that the hub has for it."""
    (other, one), (kept, entry) = said, told
    if run.same(name, other, one.after, kept, entry.after):
        return True
    return any(
        _is_ours(step.by) and one.at <= step.at <= entry.at and _is_about(run, run.hub, name, step.id, who)
        and run.same(name, other, one.after, run.hub, step.after)
        and run.same(name, run.hub, step.after, kept, entry.after)
        for step in run.hub.entries(name)
    )  # fmt: skip


def _hub_wins(run: Run, kept: Kept, name: str, entry: Entry, said: Entry, last: Entry) -> bool:
    """Whether both ends had changed, and the rule gives it to the hub: its word had not reached this end before."""
    if kept is run.hub or not (run.rules or (kept.name in run.one_way and name == "phone")):
        return False
    own = [
        one for one in kept.entries(name) if one.id == entry.id and said.at <= one.at <= last.at and _is_ours(one.by)
    ]
    return not any(run.same(name, kept, one.after, kept, entry.after) for one in own)


# --- every field agrees, is held, or is drift -----------------------------------------------------------------------


def _out_of_step(run: Run) -> Iterator[str]:
    for spoke in run.spokes:
        yield from _applications(run, spoke)
        if not spoke.screens:
            yield from _jobs(run, spoke)
            yield from _people(run, spoke)


def _jobs(run: Run, spoke: Kept) -> Iterator[str]:
    ours, theirs = run.hub.by_who("job"), spoke.by_who("job")
    for who, ids in ours.items():
        there = theirs.get(who, [])
        if run.is_held(run.hub, "job", ids, "status") or run.is_held(spoke, "job", there, "status"):
            continue
        if not there:
            yield f"missing: job {who} at {spoke.name}"
            continue
        one, other = run.hub.value("job", ids[0], "status"), spoke.value("job", there[0], "status")
        is_unpublished = other == "draft" and run.hub.vocabulary.words["status"].ours(str(one)) == "open"
        if not run.same("status", run.hub, one, spoke, other) and not is_unpublished:
            yield f"unlike: status of job {who}: {one} / {other} at {spoke.name}"


def _applications(run: Run, spoke: Kept) -> Iterator[str]:
    ours, theirs = run.hub.by_who("application"), spoke.by_who("application")
    shared = run.hub.by_who("job").keys() & spoke.by_who("job").keys()
    for who in sorted(ours.keys() | theirs.keys()):
        if who[1:] not in shared or _is_application_held(run, spoke, ours.get(who, []), theirs.get(who, [])):
            continue
        if who not in ours or who not in theirs:
            if (who in ours and not spoke.screens) or (who in theirs and spoke.name not in run.one_way):
                yield f"missing: application {who} at {spoke.name if who in ours else run.hub_name}"
            continue
        one, other = (
            run.hub.value("application", ours[who][0], "stage"),
            spoke.value("application", theirs[who][0], "stage"),
        )
        if run.same("stage", run.hub, one, spoke, other) or _is_first_status(run, spoke, ours[who], theirs[who]):
            continue
        if not (run.hub.is_nobodys(ours[who][0]) or spoke.is_nobodys(theirs[who][0])):
            yield f"unlike: stage of {who}: {one} / {other} at {spoke.name}"


def _is_first_status(run: Run, spoke: Kept, ours: list[str], theirs: list[str]) -> bool:
    """Whether a screening service still tells what it told at first sight, and nobody moved the application since.

    The first status of whom it made is a base and no change, though somebody there may have set it before we looked.
    """
    if not spoke.screens:
        return False
    seen_at = _first_sight(spoke, theirs[0])
    moves = [entry.at for kept, ids in ((run.hub, ours), (spoke, theirs)) for entry in kept.entries("stage")
             if entry.id in ids]  # fmt: skip
    return not any(at > seen_at for at in moves)


def _first_sight(spoke: Kept, id_: str) -> float:
    """When what a screening service made of a résumé was linked: with its batch, or in a list of all after a loss."""
    made = min(effect.at for effect in spoke.box.effects if effect.kind == "application" and effect.id == id_)
    file = spoke.told["screening"][id_]["file"]
    batches = [effect.id for effect in spoke.box.effects if effect.at < made and file in effect.after.get("files", ())]
    looks = [look for look in spoke.looks if look.at > made]
    own = [look.at for look in looks if look.path.endswith(f"/{batches[-1]}/{RESULTS}")]
    return min(own or [look.at for look in looks if look.path.endswith(EVERYBODY)], default=0.0)


def _is_application_held(run: Run, spoke: Kept, ours: list[str], theirs: list[str]) -> bool:
    """Itself, or the person or job without whom it cannot be made."""
    for kept, ids in ((run.hub, ours), (spoke, theirs)):
        people = [str(kept.told["application"][id_]["candidate"]) for id_ in ids]
        jobs = [str(kept.told["application"][id_]["job"]) for id_ in ids]
        if run.is_held(kept, "application", ids, "stage") or run.is_held(kept, "candidate", people):
            return True
        if run.is_held(kept, "job", jobs):
            return True
    return not theirs and _is_person_held(run, spoke, ours)


def _is_person_held(run: Run, spoke: Kept, ours: list[str]) -> bool:
    """Whether the spoke does not know the person yet, because the application that is to bring her there is held."""
    emails = {run.hub.email_of(str(run.hub.told["application"][id_]["candidate"])) for id_ in ours}
    if emails & {email for (email,) in spoke.by_who("candidate")}:
        return False
    told = run.hub.told["application"]
    rows = [id_ for id_, about in told.items() if run.hub.email_of(str(about["candidate"])) in emails]
    return run.is_held(run.hub, "application", rows)


def _people(run: Run, spoke: Kept) -> Iterator[str]:
    ours, theirs = run.hub.by_who("candidate"), spoke.by_who("candidate")
    for who in sorted(ours.keys() & theirs.keys()):
        phones, told = _phones(run.hub, ours[who]), _phones(spoke, theirs[who])
        if len(phones | told) > 1 and not _is_explained(run, spoke, ours[who], theirs[who], "phone"):
            yield f"unlike: phone of {who}: {sorted(phones)} / {sorted(told)} at {spoke.name}"
        names = {run.hub.full_name(row) for row in ours[who]} | {spoke.full_name(id_) for id_ in theirs[who]}
        if len(names) > 1 and not _is_explained(run, spoke, ours[who], theirs[who], "name", "first_name", "last_name"):
            yield f"unlike: name of {who}: {sorted(names)} at {spoke.name}"


def _phones(kept: Kept, ids: Iterable[str]) -> set[str]:
    """The numbers that a person's rows tell; a default is no number."""
    told = [kept.value("candidate", id_, "phone") for id_ in ids]
    return {canonical("phone", None if value == kept.defaults.get("phone") else value) for value in told}


def _is_explained(run: Run, spoke: Kept, ours: list[str], theirs: list[str], *names: str) -> bool:
    for name in names:
        if run.is_held(run.hub, "candidate", ours, name) or run.is_held(spoke, "candidate", theirs, name):
            return True
        if spoke.name in run.one_way and _has_drifted(run, spoke, theirs, name):
            return True
    sides = ((run.hub, ours), (spoke, theirs))
    return any(len(rows) > 1 and _differed_at_first(run, kept, rows, names[0]) for kept, rows in sides)


def _has_drifted(run: Run, spoke: Kept, ids: list[str], name: str) -> bool:
    """Whether the journal says that this end's change stays there."""
    return any(
        line.what == "drift" and line.connection == spoke.name and line.ref in ids and name in line.fields
        for line in run.journal
    )


def _differed_at_first(run: Run, kept: Kept, rows: list[str], name: str) -> bool:
    """Whether a row told something else than its person's other rows when it was first looked at: that is left."""
    values: dict[str, str] = {}
    looked: dict[str, float] = {}
    for effect in kept.box.effects:
        if effect.kind != "candidate" or effect.id not in rows or name not in effect.after:
            continue
        values[effect.id] = canonical(name, effect.after[name])
        looked.setdefault(effect.id, kept.first_look(effect.id, effect.at, run.deaths))
        if any(effect.at <= at + SETTLES_S for at in looked.values()) and len(set(values.values())) > 1:
            return True
    return False
