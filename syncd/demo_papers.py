"""What became of résumés, comments and credits in the demo, judged by the sandboxes' own logs and by what they hold."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from syncd.mapping import TERMINAL, mean_the_same
from syncd.setup import Connection

HUB, PAPERS = "acme", "papers"


@dataclass(frozen=True)
class Verdict:
    """How many résumés arrived, comments were made and credits spent; ``troubles``: what is not as it should be."""

    resumes: int
    comments: int
    credits: int
    troubles: tuple[str, ...]


def verdict(
    systems: Mapping[str, Any], links: Mapping[str, Mapping[str, str]], connections: Mapping[str, Connection]
) -> Verdict:
    """Judge a run. ``links``: spoke -> Workable row -> the application there."""
    comments, screened = _comments(systems[HUB]), _screenings(systems, links)
    bills = systems[PAPERS].billed()
    troubles = [
        *(f"Workable row {row} has {comments[row]} comments for {screened[row]} screenings"
          for row in sorted({*comments, *screened}) if comments[row] != screened[row]),
        *(f"HireSquire was paid {paid} times for {name}" for name, paid in sorted(bills.items()) if paid > 1),
        *_unlike_stages(systems, connections),
        *_missing(systems, links, connections),
    ]  # fmt: skip
    sent = sum(
        effect.action in {"attach", "file"} for box in systems.values() for effect in box.effects if _ours(effect)
    )
    return Verdict(sent, sum(comments.values()), sum(bills.values()), tuple(troubles))


def _ours(effect: Any) -> bool:
    return str(effect.by).startswith("api")


def _comments(workable: Any) -> Counter[str]:
    """Workable row -> comments that syncd made there."""
    return Counter(effect.id for effect in workable.effects if effect.action == "comment" and _ours(effect))


def _screenings(systems: Mapping[str, Any], links: Mapping[str, Mapping[str, str]]) -> Counter[str]:
    """Workable row -> screenings that have found something out about it, in all systems."""
    found: Counter[str] = Counter()
    for one in systems[PAPERS].snapshot()["screening"].values():
        found[one["file"].rpartition(".")[0]] += 1
    rows = {application: row for row, application in links["screener"].items()}
    for call in systems["screener"].calls.values():
        if call["call_status"] == "call_completed" and call["application_id"] in rows:
            found[rows[call["application_id"]]] += 1
    for application, count in _voice_screens(systems["voice"]).items():
        row = next((row for row, there in links["voice"].items() if there == application), None)
        if row is not None:
            found[row] += count
    return found


def _voice_screens(voice: Any) -> Counter[str]:
    told = voice.snapshot()["application"]
    ids = {(str(one["candidate"]), str(one["job"])): id_ for id_, one in told.items()}
    return Counter(
        ids[str(screen.person.id), str(screen.role.id)]
        for screen in voice.screens.values()
        if screen.status == "completed"
    )


def _unlike_stages(systems: Mapping[str, Any], connections: Mapping[str, Connection]) -> Iterator[str]:
    """Who stands elsewhere at HireSquire than at Workable."""
    stages = {row: one["stage"] for row, one in systems[HUB].snapshot()["application"].items()}
    words = [connections[name].vocabulary.words["stage"] for name in (HUB, PAPERS)]
    told = systems[PAPERS].snapshot()
    for id_, one in told["application"].items():
        row = told["screening"][id_]["file"].rpartition(".")[0]
        if not mean_the_same(words[0], stages[row], words[1], one["stage"]):
            yield f"Workable row {row} and HireSquire {id_} stand at {stages[row]} and {one['stage']}"


def _missing(
    systems: Mapping[str, Any], links: Mapping[str, Mapping[str, str]], connections: Mapping[str, Connection]
) -> Iterator[str]:
    """Whose résumé is another one there than in Workable; who is out of the running is not sent any more."""
    hub = systems[HUB]
    stages = {row: one["stage"] for row, one in hub.snapshot()["application"].items()}
    words = connections[HUB].vocabulary.words["stage"]
    for name in ("screener", "house"):
        for row, application in sorted(links[name].items()):
            is_over = words.ours(stages[row]) in TERMINAL
            # The portal keeps one file of a person, whose applications at Workable may each have their own.
            person = application.partition(":")[0]
            contents = {hub.resume_of(other) for other, at in links[name].items() if at.partition(":")[0] == person}
            if hub.resume_of(row) is not None and not is_over and systems[name].resume_of(application) not in contents:
                yield f"the résumé of Workable row {row} is not what {name} has"
