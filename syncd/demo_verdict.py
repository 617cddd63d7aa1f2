"""What the demo came to, judged by the sandboxes' own logs and by what they hold; our tables only say what is held.

Nobody may be there twice, nobody may have been phoned, mailed or invited, nothing may have been posted, no call may
have been refused for a limit, and every field has to agree on all sides or wait for a person.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from syncd.mapping import Vocabulary, canonical, key_text, mean_the_same
from syncd.model import Kind
from syncd.sandbox import Limit, Sandbox

FELT = ("phoned", "mail", "mailed", "invited", "posted", "published", "spent", "purchase")  # somebody notices, or pays
HUB = "acme"
Told = Mapping[str, Mapping[str, Any]]  # kind -> id -> fields, as a sandbox's snapshot tells them
Key = tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """What one system holds, with its words. ``rows``: a person is there once for each application."""

    name: str
    told: Told
    vocabulary: Vocabulary
    rows: bool = False

    def applications(self) -> dict[Key, list[str]]:
        """E-mail and job's title -> ids."""
        found: dict[Key, list[str]] = {}
        for id_ in self.told["application"]:
            found.setdefault(self.key_of(id_), []).append(id_)
        return found

    def key_of(self, application: str) -> Key:
        """Whose application it is and for what, whatever the system."""
        about = self.told["application"][application]
        return (self.email_of(about["candidate"]), key_text(str(self.told["job"][about["job"]]["title"])))

    def email_of(self, candidate: str) -> str:
        """A person's e-mail, folded."""
        return str(self.told["candidate"][candidate]["email"] or candidate).casefold()

    def stage_of(self, application: str) -> str:
        """The stage in the system's own word."""
        return str(self.told["application"][application]["stage"])

    def person_of(self, application: str) -> str:
        """The id of the person."""
        return str(self.told["application"][application]["candidate"])

    def field(self, candidate: str, name: str) -> str:
        """A person's field, cleaned so that systems' spellings compare."""
        theirs = self.vocabulary.fields[Kind.CANDIDATE].get(name, name)
        return canonical(name, self.told["candidate"][candidate].get(theirs))


def duplicates(kept: Kept) -> list[str]:
    """Who or what is there twice: jobs by title, people by e-mail, applications by both."""
    jobs = Counter(key_text(str(job["title"])) for job in kept.told["job"].values())
    people: Counter[str] = Counter() if kept.rows else Counter(map(kept.email_of, kept.told["candidate"]))
    twice: dict[str, Counter[Any]] = {
        "job": jobs,
        "candidate": people,
        "application": Counter(map(kept.key_of, kept.told["application"])),
    }
    return [f"{kept.name} {kind}" for kind, counts in twice.items() for count in counts.values() if count > 1]


def felt(systems: Mapping[str, Sandbox]) -> list[str]:
    """What the sync made anybody outside notice."""
    return [
        f"{name} {effect.action}"
        for name, sandbox in systems.items()
        for effect in sandbox.effects
        if effect.action in FELT and effect.by != "human"
    ]


def refused(systems: Mapping[str, Sandbox]) -> int:
    """How many calls were refused for a limit."""
    return sum(arrival.status == 429 for sandbox in systems.values() for arrival in sandbox.arrivals)


def writes(sandbox: Sandbox) -> dict[str, int]:
    """What the sync did in a system, by action and kind."""
    return dict(sorted(Counter(f"{e.action} {e.kind}" for e in sandbox.effects if e.by.startswith("api")).items()))


def calls(sandbox: Sandbox) -> dict[str, Any]:
    """How many calls came in, and for each limit of the token the most that ever fell into one of its windows."""
    times = [
        arrival.at for arrival in sandbox.arrivals if arrival.token.startswith("token ")
    ]  # signed addresses take none
    limits = dict.fromkeys(limit for hits in sandbox.hits.values() for limit in hits.limits)
    return {"all": len(times), "rules": [{"rule": _said(limit), "most": _most(times, limit)} for limit in limits]}


def _said(limit: Limit) -> str:
    if limit.window_s == 86_400:
        return f"{limit.calls} a day"
    return f"{limit.calls} in {'one window of' if limit.fixed else 'any'} {limit.window_s:g} s"


def _most(times: list[float], limit: Limit) -> int:
    if limit.fixed:
        return max(Counter(int(at // limit.window_s) for at in times).values(), default=0)
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - limit.window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


# --- do the two ends of a pair agree? -------------------------------------------------------------------------------


def differences(
    hub: Kept, spoke: Kept, jobs: frozenset[str], fields: Iterable[str], *, one_way: bool = False
) -> Iterator[tuple[str, set[str]]]:
    """What differs about applications for these jobs (folded titles): (a sentence, the ids of both ends).

    ``fields`` are the person's that the pair carries; ``one_way``: people of the spoke are not made at the hub, so
    that who applied there alone has to be missing here.
    """
    ours, theirs = hub.applications(), spoke.applications()
    known = {hub.email_of(id_) for id_ in hub.told["candidate"]}
    for key in sorted(ours.keys() | theirs.keys()):
        if key[1] not in jobs:
            continue
        ids = [*ours.get(key, ()), *theirs.get(key, ())]
        if key not in ours and one_way and key[0] not in known:
            continue
        if key not in ours or key not in theirs:
            where = spoke.name if key in ours else hub.name
            yield f"application {ids[0]} is missing in {where}", _both(hub, spoke, ours.get(key), theirs.get(key))
            continue
        yield from _compared(hub, spoke, ours[key][0], theirs[key][0], fields)


def _compared(hub: Kept, spoke: Kept, ours: str, theirs: str, fields: Iterable[str]) -> Iterator[tuple[str, set[str]]]:
    ids = _both(hub, spoke, [ours], [theirs])
    words = (hub.vocabulary.words["stage"], spoke.vocabulary.words["stage"])
    if not mean_the_same(words[0], hub.stage_of(ours), words[1], spoke.stage_of(theirs)):
        yield f"stage of application {ours}: {hub.stage_of(ours)} / {spoke.stage_of(theirs)}", ids
    for name in fields:
        if hub.field(ours, name) != spoke.field(spoke.person_of(theirs), name):
            yield f"{name} of candidate {ours}", ids


def _both(hub: Kept, spoke: Kept, ours: list[str] | None, theirs: list[str] | None) -> set[str]:
    """Every id under which a hold may name this application or its person."""
    people = {hub.email_of(id_) for id_ in ours or ()}
    rows = {id_ for id_ in hub.told["candidate"] if hub.email_of(id_) in people}
    return {*rows, *(theirs or ()), *(spoke.person_of(id_) for id_ in theirs or ())}
