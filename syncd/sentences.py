"""What syncd says to people about records that wait, in whole sentences that end with what to do. Pure.

A hold keeps a reason in one word; here stand the sentence for it and the answers that a person may give. So does what
the journal's words mean. Nothing here knows a value of a person's record: only names of fields, ids and stage words.
"""

from collections.abc import Mapping
from dataclasses import dataclass

SCREENED = frozenset({
    "file_refused", "no_file", "no_result", "credits_per_day", "no_credits", "job_unclear", "batch_refused",
    "batch_failed", "batch_cancelled", "batch_late", "batch_gone", "key_expired", "files_changed",
})  # fmt: skip
ERASURES = frozenset({"erasure", "erased_left", "erased_returned"})
TAKE_LEFT, TAKE_RIGHT, RETRY, DROP, LINK, NEW = "take left", "take right", "retry", "drop", "link", "new"


@dataclass(frozen=True)
class Case:
    """One hold as its sentence needs it.

    ``here``: the connection that the hold is about, ``there``: the one across, ``left`` and ``right``: those of the
    pair, ``target``: the one that is written. ``choices``: ids that look like the record. ``is_write``: a write waits.
    ``is_linked``: two records are linked. ``ref``: the record, or the number of an erasure.
    """

    reason: str
    kind: str
    field: str = ""
    detail: str = ""
    here: str = ""
    there: str = ""
    left: str = ""
    right: str = ""
    target: str = ""
    choices: tuple[str, ...] = ()
    is_write: bool = False
    is_linked: bool = False
    ref: str = ""


# --- reasons --------------------------------------------------------------------------------------------------------

_REASONS: Mapping[str, str] = {
    "conflict": "Both ends changed the {field} since they last agreed{said}. Choose whose value stays.",
    "terminal_conflict": "Both ends were moved, at least one of them to a final stage{said}. Choose which one stays.",
    "terminal_differs": "The ends stood in different stages when they were linked, one of them final{said}. "
    "Choose which one stays.",
    "other_name": "The e-mail is the same and the {field} is not. Choose whose name stays.",
    "cannot_reopen": "The other end was moved{said}, but a final stage cannot be left by syncd there. "
    "Move it back by hand at one end, or leave it as it is.",
    "spokes_disagree": "Two connections want unlike values of the {field} for this {kind}. Settle it at one of them.",
    "ping_pong": "The {field} goes to and fro between the ends{said}, so it is frozen. Find what puts it back (often "
    "an automation in one system), then choose whose value stays.",
    "vanished": "The {kind} is no longer there at {gone}. Look for it there; to let it rest, drop this.",
    "no_email": "Nobody is created at {there} without an e-mail address. Add one at {here}.",
    "email_taken": "The e-mail belongs to somebody at {there} who is linked with another person{among}.",
    "duplicate": "Several records look like the same {kind}{among}. Say which one it is, or merge them by hand.",
    "ambiguous_job": "Jobs of this title or code are there already at {there}{among}. Say which one it is, or that it "
    "is a new one.",
    "second_application": "{there} cannot take a second application of one person. Make it there by hand.",
    "rejected": "{target} refused the write: {detail}. Mend the cause, then try again.",
    "not_taken": "{target} said yes to the write and still tells the value before it.",
    "unknown_outcome": "Nobody knows whether the write to {target} took effect{because}. Look there first.",
    "reached_meanwhile": "The person came to the stage at which {target} phones while syncd was not looking, so nobody "
    "was phoned. Try again to have it phone now, or drop this.",
    "taken_but_not_found": "{target} says that this {kind} is there already, but it cannot be found there.",
    "parent_gone": "The job or person that it belongs to is no longer there at {target}: {detail}.",
    "parent_vanished": "The {detail} that it belongs to is no longer there at {there}, so it is not made there either. "
    "It goes on by itself when that is back, or linked with another.",
    "rows_differ": "Two rows of this person were given unlike values of the {field} (the other row: {detail}). "
    "Make them alike at {here}, or leave them.",
    "file_refused": "The résumé was refused: {detail}. Put another one in its place, then try again.",
    "no_file": "There is no résumé at {here}, and without one nobody is screened.",
    "no_result": "{there} told no result for this résumé: it could not be read there, or is too short.",
    "credits_per_day": "Screening it would cost more than max_credits_per_day ({detail}); it goes out tomorrow (UTC).",
    "no_credits": "The account at {there} has no credits left, or the token may spend no more: {detail}.",
    "job_unclear": "{there} wants a job description of at least {detail} characters. Write one at {here}.",
    "batch_refused": "{there} refused the batch: {detail}.",
    "batch_failed": "{there} could not screen the batch{because}.",
    "batch_cancelled": "The batch was cancelled at {there}.",
    "batch_late": "{there} is not done with the batch after two days. Ask there; results that still come are taken in.",
    "batch_gone": "The batch is no longer there at {there}.",
    "key_expired": "Nobody knows whether {there} took the batch, and sending it again could cost twice. "
    "Look there first.",
    "files_changed": "Nobody knows whether {there} took the batch, and a résumé was changed since, so that sending it "
    "again could cost twice. Look there first.",
    "several_active": "The person was moved at {here}, which does not say on which of several open applications. Move "
    "the right one there.",
    "places_differ": "The application and its person were moved to unlike stages at {here}. Make them alike there.",
    "erased_left": "A write that was under way when a person was erased made this {kind} at {here}. Erase it there, "
    "then drop this.",
    "erased_returned": "Somebody whom `syncd forget` erased (erasure {ref}) seems to have applied again at {here}; it "
    "is not taken in. To allow it: syncd forget --allow. To leave it so, drop this.",
    "erasure": "This person was made anonymous at {here} (row {detail}). Erase what stands elsewhere, then drop this.",
}

_FAMILIES: Mapping[str, str] = {
    "unmapped": '{here} says "{detail}", and no mapping knows that {rest}. Add it under '
    "[connections.{here}.{section}.read], or take it out there.",
    "no_word_for": '{there} has no word for the {rest} "{detail}". Add one under '
    "[connections.{there}.{section}.write].",
    "missing": "{there} demands the {rest}, and {here} does not tell it. Fill it in there, or set "
    "[connections.{there}.defaults] {raw}.",
}
_FAMILIES_OF_LINKS: Mapping[str, str] = {
    "unmapped": "A {rest} is in no mapping ({detail}). Add it under [connections.NAME.{section}.read] of its end.",
    "no_word_for": "The end that is to be written has no word for this {rest} ({detail}). Add one under "
    "[connections.NAME.{section}.write] of that end.",
}
_SECTIONS: Mapping[str, str] = {"stage": "stages", "status": "statuses"}


def why(case: Case) -> str:
    """The sentence for a hold."""
    words = {
        "field": spelled(case.field) or "record",
        "kind": case.kind,
        "ref": case.ref,
        "detail": case.detail,
        "here": case.here,
        "there": case.there or "the other end",
        "target": case.target or case.there or case.here,
        "gone": {"left": case.left, "right": case.right}.get(case.detail, case.there),
        "said": f" ({case.detail})" if case.detail else "",
        "among": f" ({', '.join(case.choices)})" if case.choices else "",
        "because": f" ({case.detail})" if case.detail else "",
    }
    if case.reason in _REASONS:
        return _REASONS[case.reason].format(**words)
    family, rest = _family(case.reason)
    if family:
        section = _SECTIONS.get(rest, "words")
        known = {**_FAMILIES, **_FAMILIES_OF_LINKS} if case.is_linked else _FAMILIES
        return known[family].format(**{**words, "rest": spelled(rest), "raw": rest, "section": section})
    return f"Held: {spelled(case.reason)}."


def _family(reason: str) -> tuple[str, str]:
    for family in _FAMILIES:
        if reason.startswith(f"{family}_"):
            return family, reason.removeprefix(f"{family}_")
    return "", ""


def spelled(name: str) -> str:
    """A field's or reason's name as a sentence says it; several names are a list."""
    return ", ".join(name.split()).replace("_", " ")


def answers(case: Case) -> tuple[str, ...]:
    """What a person may answer, most useful first."""
    if case.is_write or case.reason in {"vanished", *SCREENED}:
        return (RETRY, DROP)
    if case.reason in {"rows_differ", "several_active", "places_differ", *ERASURES}:
        return (DROP,)
    if case.is_linked:
        return (TAKE_LEFT, TAKE_RIGHT, DROP)
    if case.reason in {"duplicate", "ambiguous_job", "email_taken"}:
        return (LINK, NEW, RETRY) if case.reason == "ambiguous_job" else (LINK, RETRY)
    return (RETRY,)


def next_command(id_: int, case: Case) -> str:
    """The command that answers a hold, as a person may type it."""
    first, *rest = [f"link {case.choices[0]}" if each == LINK and case.choices else each for each in answers(case)]
    others = f"   (or: {', '.join(rest)})" if rest else ""
    return f"syncd resolve {id_} {first}{others}"


# --- the journal ----------------------------------------------------------------------------------------------------

_EVENTS: Mapping[str, str] = {
    "adopted": "found there already and taken over",
    "create_planned": "to be created",
    "created": "created",
    "cut": "unlinked by hand",
    "decided": "decided by a person: {detail}",
    "did_not": "a call had no effect; it is tried again",
    "drift": "changed where this pair does not write",
    "dropped": "let be by a person: {detail}",
    "errand_done": "done: {detail}",
    "errand_dropped": "wanted no more: {detail}",
    "errand_planned": "to be done: {detail}",
    "held": "held: {detail}",
    "id_reused": "another record has this id now; it waits until a person has let this one rest",
    "last_move": "the last move there was made by {detail}",
    "linked": "linked by {detail}",
    "refused": "a call was refused for the token",
    "retried": "tried again at a person's word: {detail}",
    "rows_planned": "to be written to another row of the person",
    "sent": "sent: {detail}",
    "stale": "had changed meanwhile; read again first",
    "target_gone": "no longer there when it was to be written",
    "to_be_screened": "to be screened by {detail}",
    "not_to_be_screened": "not to be screened by {detail} after all",
    "unknown": "the answer was lost; looked up before anything is repeated",
    "update_planned": "to be changed",
    "vanished": "no longer there",
    "written": "changed: {detail}",
}


def told(what: str, detail: str) -> str:
    """What a line of the journal says."""
    return _EVENTS.get(what, spelled(what) + ": {detail}").format(detail=spelled(detail)).removesuffix(": ")


def because(origin: str | None) -> str:
    """Which webhook something goes back to, as the end of a sentence."""
    return f" (because of webhook {origin})" if origin else ""
