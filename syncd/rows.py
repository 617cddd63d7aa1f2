"""Rows of the store as plain objects. Pure: the tables themselves are ``syncd.schema``'s."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any

Digests = dict[str, str]


@dataclass(slots=True)
class RecordRow:
    """A row of ``records``."""

    connection: str
    kind: str
    id: str
    told_at: float
    job: str | None = None
    candidate: str | None = None
    application: str | None = None
    source_id: str | None = None
    key: str | None = None
    title_key: str | None = None
    seen: Digests = field(default_factory=dict)
    speakers: dict[str, str] | None = None
    spoken_at: dict[str, float] | None = None
    places: dict[str, str] | None = None
    version: str | None = None
    created_at: float | None = None
    updated_at: float | None = None
    written_at: float | None = None
    replaced: dict[str, list[str]] | None = None
    read_at: float | None = None
    walk: str | None = None
    walk_no: int = 0
    page: str | None = None
    gone: bool = False
    settled: str | None = None
    defaulted: list[str] | None = None
    traits: list[str] | None = None
    department: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        """What somebody's hand has emptied in the database is nothing told."""
        if not isinstance(self.seen, dict):
            self.seen = {}


@dataclass(slots=True)
class MemberRow:
    """A row of ``members``: one candidate row of a person."""

    connection: str
    row: str
    person: str
    seen: Digests = field(default_factory=dict)
    base: Digests = field(default_factory=dict)
    created_at: float | None = None
    gone: bool = False
    frozen: bool = False

    def __post_init__(self) -> None:
        """What somebody's hand has emptied in the database is nothing told."""
        if not (isinstance(self.seen, dict) and isinstance(self.base, dict)):
            self.seen, self.base = {}, {}


@dataclass(slots=True)
class LinkRow:
    """A row of ``links``: these two records are the same thing; an empty end is being created."""

    id: int
    pair: str
    kind: str
    left: str | None
    right: str | None
    left_base: Digests
    right_base: Digests
    decided: dict[str, list[str | None]] | None
    how: str
    made_at: float

    def __post_init__(self) -> None:
        """Bases that somebody's hand has emptied in the database: nothing was agreed on yet."""
        if not (isinstance(self.left_base, dict) and isinstance(self.right_base, dict)):
            self.left_base, self.right_base = {}, {}


@dataclass(slots=True)
class IntentRow:
    """A row of ``intents``: one call that is to be made. See ``syncd.schema``."""

    id: str
    connection: str
    kind: str
    ref: str | None
    call: str
    state: str
    link: int | None
    wants: dict[str, dict[str, list[str]]]
    sealed: bytes | None
    source: str | None
    told_at: float
    priority: int
    made_at: float
    due: float
    sent_values: bytes | None = None
    expected: Digests | None = None
    expected_version: str | None = None
    tries: int = 0
    looks: int = 0
    sent_at: float | None = None
    reason: str | None = None
    origin: str | None = None


@cache
def columns_of(row_type: type) -> tuple[str, ...]:
    """The columns of a row object, in its own order."""
    return tuple(item.name for item in fields(row_type))


def as_row(row: Any) -> dict[str, Any]:
    """A row object as a mapping of columns."""
    row_type: type = type(row)
    return dict(zip(columns_of(row_type), _values_of(row_type)(row), strict=True))


@cache
def _values_of(row_type: type) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*columns_of(row_type))
