"""Which record of the other system is the same thing? Pure: the store looks up, this page judges.

The order is: the id that one system keeps of the other; then the natural key (job: code, then title; person: e-mail;
application: person and job). What is not certain is held with the choices; nothing is created beside its likeness.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from syncd.model import Kind


class How(StrEnum):
    """What is to be done with a record that has no link yet."""

    LINK = "link"
    CREATE = "create"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Likeness:
    """A record that might be the same thing: its keys as digests, and whether it is linked already.

    ``cut``: a person has said that it is another thing; it counts as linked. ``made``: it is linked because we made it,
    and within a minute the one in question came to stand beside it.
    """

    id: str
    key: str | None = None
    title: str | None = None
    linked: bool = False
    cut: bool = False
    made: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """The judgement; ``by`` names the rule for the journal, ``choices`` the ids that a person may choose from."""

    how: How
    id: str | None = None
    by: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What was looked up about one record: who names it by id, who is like it there, who is like it at its own end.

    ``there`` and ``here`` hold the records of an equal key or title, ``here`` without the record itself.
    """

    by_id: Sequence[Likeness] = ()
    there: Sequence[Likeness] = ()
    here: Sequence[Likeness] = ()


def judge(kind: Kind, subject: Likeness, found: Found) -> Match:
    """Judge one unlinked record. Several of one likeness are held; ids outrank keys."""
    named = [other for other in found.by_id if not other.linked]
    if len(named) == 1:
        return Match(How.LINK, named[0].id, "source_id")
    if len(named) > 1:
        return Match(How.HOLD, by="duplicate", choices=_ids(named))
    match = _by_likeness(kind, subject, found)
    if match.how is How.CREATE and found.by_id:
        return Match(How.HOLD, by="duplicate", choices=_ids(found.by_id))
    return match


def _by_likeness(kind: Kind, subject: Likeness, found: Found) -> Match:
    if kind is Kind.JOB:
        return _job(subject, found)
    if kind is Kind.CANDIDATE and subject.key is None:
        return Match(How.HOLD, by="no_email")
    return _by_key("email" if kind is Kind.CANDIDATE else "person_and_job", kind, found)


def _by_key(rule: str, kind: Kind, found: Found) -> Match:
    free = [other for other in found.there if not other.linked]
    twins = [other for other in found.here if not other.linked]
    if len(free) == 1 == len(found.there) and not found.here:
        return Match(How.LINK, free[0].id, rule)
    if free or twins:
        return Match(How.HOLD, by="duplicate", choices=_ids([*free, *twins]))
    if found.there or found.here:
        taken = "email_taken" if kind is Kind.CANDIDATE else "duplicate"
        return Match(How.HOLD, by=taken, choices=_ids([*found.there, *found.here]))
    return Match(How.CREATE)


def _job(subject: Likeness, found: Found) -> Match:
    if subject.key is not None:
        same_code = [other for other in found.there if other.key == subject.key and not other.linked]
        twins = [other for other in found.here if other.key == subject.key and not other.linked]
        if len(same_code) == 1 and not twins:
            return Match(How.LINK, same_code[0].id, "code")
        if same_code:
            return Match(How.HOLD, by="ambiguous_job", choices=_ids(same_code))
    if subject.title is None:
        return Match(How.CREATE)
    same_title = [other for other in found.there if other.title == subject.title and not other.linked]
    twins = [other for other in found.here if other.title == subject.title and not other.linked]
    unlike = [other for other in same_title if subject.key and other.key and other.key != subject.key]
    if len(same_title) == 1 and not twins and not unlike:
        return Match(How.LINK, same_title[0].id, "title")
    stands = same_title or [other for other in found.there if other.cut]
    if any(other.made and other.title == subject.title and other.key == subject.key for other in found.here):
        stands = [*found.there]  # something on the way may have sent our create twice
    return Match(How.HOLD, by="ambiguous_job", choices=_ids(stands)) if stands else Match(How.CREATE)


def _ids(records: Sequence[Likeness]) -> tuple[str, ...]:
    return tuple(sorted(record.id for record in records))
