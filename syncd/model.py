"""The types that stand between the phases: what a system tells, and what it is asked to become.

A connector speaks in its system's own field names and stage words ("theirs"); ``syncd.mapping`` turns them into
ours and back. In a mapping of fields a missing key means *this view does not tell*, ``None`` means *told empty*.
All times are seconds since the epoch, UTC.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property


class Kind(StrEnum):
    """The kinds of records that are kept in step."""

    JOB = "job"
    CANDIDATE = "candidate"
    APPLICATION = "application"
    SCREENING = "screening"

    __hash__ = str.__hash__  # not Enum's, which is written in Python: kinds are part of most keys


Value = str | int | float | bool | None
Fields = Mapping[str, Value]


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Names one record within one connection."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}"


@dataclass(frozen=True, slots=True)
class Record:
    """One thing as one system tells it in one answer.

    ``parents`` names the records that this one belongs to, by their ids in the same system (an application's job and
    candidate; where a person is a set of rows, the candidate is the row). ``source_id`` is the foreign id that the
    system keeps for us, ``version`` a mark that is equal only while nothing about the record was changed. ``traits``
    are flags that scope rules read: ``sample``, ``confidential``, ``anonymized``, ``archived``. ``url`` is where a
    person sees the record. ``beneath``: the stage over which a flag lies, in the system's words; None: no flag does.
    """

    ref: Ref
    fields: Fields
    parents: Mapping[Kind, str] = field(default_factory=dict)
    source_id: str | None = None
    version: str | None = None
    created_at: float | None = None
    updated_at: float | None = None
    traits: frozenset[str] = frozenset()
    url: str | None = None
    beneath: str | None = None


@dataclass(frozen=True)
class Page:
    """One answer of a list: its records (parsed when asked for), the token of the next page, and a digest of it all.

    ``next`` resumes the walk behind this page; ``None`` means that the walk's end is proven, as the facts of the walk
    say. ``digest`` is equal while the page's rows are byte for byte the same. ``served_at`` is the server's Date.
    """

    read: Callable[[], tuple[Record, ...]]
    digest: str
    next: str | None
    served_at: float | None = None

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """The page's records; unchanged pages are never parsed."""
        return self.read()


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a walk begins: with changes since a time (where the list can filter), or at a page's ``next`` token."""

    since: float | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Parent:
    """A parent as the target system knows it: its id there, and the foreign id that it keeps."""

    id: str
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to be created: its fields in the target's words, its parents there, and the id we give it.

    ``person`` bears the candidate's fields where the target makes person and application in one call, or where an
    application's row is the person.
    """

    kind: Kind
    fields: Fields
    parents: Mapping[Kind, Parent] = field(default_factory=dict)
    source_id: str | None = None
    person: Fields = field(default_factory=dict)
