"""The judges of what lies beside the records: résumés, screenings and their remarks, credits.

As the others (``judges``) they read the systems' own logs, and believe of syncd only what it says is held.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from syncd.mapping import TERMINAL
from syncd.screenings import marker_of
from tests.integration.judges import NETWORK, Kept, Run, Who

FORMS = {"workable": ("comment", "rating"), "portal": ("note", "activity")}  # what a screening is told as, by system
Ways = Iterable[tuple[str, str]]  # (source, target), by connection


def paper_violations(run: Run, resumes: Ways, remarks: Ways, screen_at: str) -> list[str]:
    """Everything beside the records that should not have happened, a line each."""
    found = [line for source, target in resumes for line in _files(run, run.kept[source], run.kept[target])]
    found += [line for source, target in remarks for line in _remarks(run, run.kept[source], run.kept[target])]
    found += _places(run)
    return found + ([*_credits(run, run.kept["cv"], screen_at)] if "cv" in run.kept else [])


def our_stage(kept: Kept, id_: str) -> str | None:
    """An application's stage in our word."""
    return kept.vocabulary.words["stage"].ours(str(kept.told["application"][id_]["stage"]))


def _is_held(run: Run, *ends: tuple[Kept, Iterable[str]]) -> bool:
    """Whether anything about one of these applications waits for a person."""
    known = {(kept.name, "application", id_) for kept, ids in ends for id_ in ids}
    return any(known & hold.ends for hold in run.holds)


# --- résumés --------------------------------------------------------------------------------------------------------


def _files(run: Run, source: Kept, target: Kept) -> Iterator[str]:
    """Each application's latest résumé is there, byte for byte, unless it is held or the application is over."""
    theirs = target.by_who("application")
    for who, ids in source.by_who("application").items():
        for id_ in ids:
            sent = source.box.resume_of(id_)  # type: ignore[attr-defined]
            if sent is None or who not in theirs or our_stage(source, id_) in TERMINAL:
                continue
            if not _has(target, theirs[who][0], sent, source, id_) and not _is_held(
                run, (source, [id_]), (target, theirs[who])
            ):
                yield f"résumé: of {who} at {source.name} is not at {target.name}"
    yield from _twice_sent(target)


def _has(target: Kept, id_: str, content: bytes, source: Kept, origin: str) -> bool:
    """Whether a target keeps a content for an application; WorkSignal keeps an address, the portal all files."""
    box: Any = target.box
    if target.box.system == "portal":
        return any(box.papers.contents[file["id"]] == content for file in _files_of(box, id_))
    if target.box.system == "worksignal":
        return _was_given_after(target, id_, source, origin)
    kept: bytes | None = box.resume_of(id_)
    return kept == content


def _files_of(box: Any, application: str) -> list[Any]:
    files: list[Any] = box.papers.files.get(application.partition(":")[0], [])
    return files


def _was_given_after(target: Kept, id_: str, source: Kept, origin: str) -> bool:
    """Whether an address was given since the file there was changed for the last time."""
    changed = max((effect.at for effect in source.box.effects if effect.action == "attach" and effect.id == origin),
                  default=0.0)  # fmt: skip
    person = target.told["application"][id_]["candidate"]
    return any(
        effect.at >= changed and effect.id == str(person) and "resume_url" in effect.after
        for effect in target.box.effects
        if effect.kind == "candidate" and effect.by.startswith("api")
    )


def _twice_sent(target: Kept) -> Iterator[str]:
    """The portal keeps all that it was ever sent: nothing may lie there twice but what the network sent again."""
    if target.box.system != "portal":
        return
    box: Any = target.box
    copies = Counter(effect.id for effect in box.effects if effect.action == "file" and effect.by == NETWORK)
    for person, files in box.papers.files.items():
        counted = Counter((file["filename"], box.papers.contents[file["id"]]) for file in files)
        counted = Counter() if sum(counted.values()) - len(counted) <= copies[person] else counted
        yield from (
            f"résumé: {name} lies {count} times at {person}" for (name, _), count in counted.items() if count > 1
        )


# --- screenings -----------------------------------------------------------------------------------------------------


def _remarks(run: Run, source: Kept, target: Kept) -> Iterator[str]:
    """Each screening of an application that both ends know is told once in each form, and nothing else is told."""
    said = Counter(
        (effect.action, word)
        for effect in target.box.effects
        if effect.by.startswith("api") and effect.action in FORMS[target.box.system]
        for word in str(effect.after.get("body")).split()
        if word.startswith("[sync:")
    )
    theirs = target.by_who("application")
    for screening, who in _screened(source):
        for form in FORMS[target.box.system]:
            times = said[form, marker_of(source.box.system, screening, form)]
            if times > 1:
                yield f"remark: screening {screening} of {who} was told {times} times at {target.name} as a {form}"
            mine = source.by_who("application").get(who, [])
            if not times and mine and who in theirs and not _is_held(run, (source, mine), (target, theirs[who])):
                yield f"remark: screening {screening} of {who} at {source.name} is missing at {target.name} as a {form}"


def _screened(source: Kept) -> Iterator[tuple[str, Who]]:
    """The screenings that ended, and whose application each is about."""
    for id_, one in source.told["screening"].items():
        if source.box.system == "ninjahire":
            who = source.who("application", one["application_id"]) if one["call_score"] is not None else None
        elif source.box.system == "worksignal":
            person, job = str(one["candidate"]["id"]), str(one["role"]["id"])
            who = (source.email_of(person), source.title_of(job)) if one["status"] == "completed" else None
        else:
            who = source.who("application", id_)
        if who is not None:
            yield id_, who


# --- credits --------------------------------------------------------------------------------------------------------


def _credits(run: Run, cv: Kept, screen_at: str) -> Iterator[str]:
    """No credit is spent twice, none for somebody who never came to the stage, and nobody there is forgotten."""
    box: Any = cv.box
    charged = Counter(name for effect in box.effects if effect.action == "charge" for name in effect.after["files"])
    yield from (f"credits: {name} was paid for {times} times" for name, times in charged.items() if times > 1)
    paid = {name.rpartition(".")[0] for name in charged}
    yield from (
        f"credits: {id_} was paid for and never came to {screen_at}" for id_ in sorted(paid - _came(run, screen_at))
    )
    for id_, about in run.hub.told["application"].items():
        job = run.hub.vocabulary.words["status"].ours(str(run.hub.value("job", str(about["job"]), "status")))
        has_file = run.hub.box.resume_of(id_) is not None  # type: ignore[attr-defined]
        is_due = our_stage(run.hub, id_) == screen_at and job == "open" and has_file and id_ not in paid
        if is_due and not run.hub.is_nobodys(id_) and not _is_held(run, (run.hub, [id_])):
            yield f"credits: {run.hub.who('application', id_)} is at {screen_at} and was not screened"


def _came(run: Run, screen_at: str) -> set[str]:
    """The hub's applications that ever stood at a stage."""
    words = run.hub.vocabulary.words["stage"]
    return {entry.id for entry in run.hub.entries("stage") if words.ours(str(entry.after)) == screen_at}


# --- the portal's two places ----------------------------------------------------------------------------------------


def _places(run: Run) -> Iterator[str]:
    """Who has one assignment in the portal has one stage, on the person and on the assignment, unless that is held."""
    for kept in (kept for kept in run.kept.values() if kept.box.system == "portal"):
        for id_, person in kept.told["candidate"].items():
            own = [one for one, about in kept.told["application"].items() if about["candidate"] == id_]
            if len(own) == 1 and not _is_held(run, (kept, own)):
                stage = kept.told["application"][own[0]]["stage"]
                if stage != person["stage"]:
                    yield f"places: {kept.who('candidate', id_)} is at {stage} and, as a person, at {person['stage']}"
