"""Each system's words <-> ours, and what two values have in common: cleaning, digests, agreement. Pure.

The data stands in ``mappings/<system>.toml`` and may be overruled per connection. A stage or a job's status keeps the
system's own word until it is compared or written, because several of their words may mean one of ours and writing
chooses among the words that a job's pipeline has. All other fields are turned into ours at once.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import phonenumbers

from syncd.errors import ConfigInvalid
from syncd.facts import Facts, KindFacts
from syncd.model import Fields, Kind, Record, Value

STAGES = (
    "sourced", "applied", "shortlisted", "screening", "assessment", "interview", "offer", "hired", "rejected",
    "withdrawn",
)  # fmt: skip
TERMINAL = frozenset({"hired", "rejected", "withdrawn"})
STATUSES = ("draft", "open", "paused", "closed")
MIRROR = "person_stage"  # a stage that stands on the person as well, see syncd.places
WORDED = frozenset({"stage", "status", MIRROR})  # kept in the system's own word; what they say is about no person
FILES = frozenset({"resume"})  # told as a version; what changes with it is a file, which goes a way of its own
FIRST_NAME, LAST_NAME = PARTS = ("first_name", "last_name")
NAMES = frozenset({"name", *PARTS})
FIELDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.JOB: (
        "title", "code", "status", "description", "department", "industry", "city", "state", "country", "zip",
        "address", "employment_type", "workplace_type", "client", "salary_min", "salary_max", "salary_currency",
        "start_date", "end_date", "recruiter_name", "recruiter_email", "recruiter_phone",
    ),
    Kind.CANDIDATE: (
        "name", "first_name", "last_name", "email", "phone", "city", "state", "country", "address", "headline",
        "source",
    ),
    Kind.APPLICATION: ("stage", MIRROR, "resume", "placement_date", "start_date", "salary"),
    Kind.SCREENING: ("result", "score", "verdict", "summary", "strengths", "weaknesses"),
}  # fmt: skip

EMPTY = ""  # the digest of what is told empty
Digest = Callable[[str, str], str]  # (field, canonical text) -> keyed digest


@dataclass(frozen=True)
class Words:
    """One worded field: ``read`` theirs -> ours (case does not matter), ``write`` ours -> theirs, best first."""

    read: Mapping[str, str] = field(default_factory=dict)
    write: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def ours(self, word: str) -> str | None:
        """What their word means; None: it is not mapped."""
        return self._folded.get(word.casefold())

    def theirs(self, word: str) -> tuple[str, ...]:
        """Their words for one of ours, best first; none where the system has no such word."""
        return self.write.get(word, ())

    @cached_property
    def _folded(self) -> Mapping[str, str]:
        return {word.casefold(): ours for word, ours in self.read.items()}


def mean_the_same(left: Words, left_word: str, right: Words, right_word: str) -> bool:
    """Whether two systems' words agree by either's read map or by the other's write list."""
    ours_left, ours_right = left.ours(left_word), right.ours(right_word)
    if ours_left is not None and ours_left == ours_right:
        return True
    into_right = right.theirs(ours_left) if ours_left else ()
    into_left = left.theirs(ours_right) if ours_right else ()
    return _is_among(right_word, into_right) or _is_among(left_word, into_left)


def _is_among(word: str, words: Iterable[str]) -> bool:
    return word.casefold() in {other.casefold() for other in words}


@dataclass(frozen=True)
class Vocabulary:
    """One connection's words: which of their fields is which of ours, and the worded fields."""

    fields: Mapping[Kind, Mapping[str, str]]
    words: Mapping[str, Words]
    region: str | None = None

    def read(self, record: Record) -> dict[str, Value]:
        """A record's fields in our names, cleaned; stage and status stay in their words."""
        told: dict[str, Value] = {}
        for ours, theirs in self.fields.get(record.ref.kind, {}).items():
            if theirs in record.fields:
                value = clean(ours, record.fields[theirs], self.region)
                if ours in WORDED or ours not in self.words or value is None:
                    told[ours] = value
                elif (meaning := self.words[ours].ours(str(value))) is not None:
                    told[ours] = meaning
        return told

    def write(self, kind: Kind, fields: Fields) -> dict[str, Value]:
        """Our fields in their names; stage and status are given in their words already."""
        theirs: dict[str, Value] = {}
        for ours, name in self.fields.get(kind, {}).items():
            if ours not in fields:
                continue
            value = fields[ours]
            if ours in WORDED or ours not in self.words or value is None:
                theirs[name] = value
            elif chosen := self.words[ours].theirs(str(value)):
                theirs[name] = chosen[0]
        return theirs

    def ours(self, kind: Kind, names: Iterable[str]) -> frozenset[str]:
        """Our names of their fields."""
        back = {theirs: ours for ours, theirs in self.fields.get(kind, {}).items()}
        return frozenset(back[name] for name in names if name in back)


@dataclass(frozen=True)
class Terms:
    """What a system tells of a kind and takes for it, in our words (see ``KindFacts``)."""

    lists: frozenset[str]
    details: frozenset[str]
    calls: Mapping[str, str]
    creates: frozenset[str] | None
    demands: frozenset[str]
    person_demands: frozenset[str]
    may_empty: frozenset[str]
    untold: frozenset[str]
    facts: KindFacts

    @property
    def tells(self) -> frozenset[str]:
        """All fields that are ever told back."""
        return self.lists | self.details


def terms_of(facts: Facts, vocabulary: Vocabulary, kind: Kind) -> Terms | None:
    """A system's facts about a kind in our words; None: the system does not know the kind."""
    known = facts.kinds.get(kind)
    if known is None:
        return None

    def ours(names: Iterable[str]) -> frozenset[str]:
        return vocabulary.ours(kind, names)

    person = [name.removeprefix("person.") for name in known.demands if name.startswith("person.")]
    back = {theirs: our for our, theirs in vocabulary.fields.get(kind, {}).items()}
    return Terms(
        lists=ours(known.lists),
        details=ours(known.details),
        calls={back[name]: call for name, call in known.writes.items() if name in back},
        creates=None if known.creates is None else ours(known.creates),
        demands=ours(known.demands),
        person_demands=vocabulary.ours(Kind.CANDIDATE, person),
        may_empty=ours(known.may_empty),
        untold=ours(known.untold),
        facts=known,
    )


def carried(left: Terms, right: Terms) -> frozenset[str]:
    """The fields that a pair compares: told by both; a full name is left out where both tell its parts."""
    both = (left.tells & right.tells) - FILES - {MIRROR}
    return both - {"name"} if {"first_name", "last_name"} <= both else both


# --- values ---------------------------------------------------------------------------------------------------------

_SPACE = re.compile(r"\s+")
_E164 = re.compile(r"\+[1-9]\d{6,14}")


def clean(name: str, value: Value, region: str | None = None) -> Value:
    """A value as it is compared and written: stripped, empty text None, phones in E.164 if they can be read."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text:
        return None
    return e164(text, region) if name.endswith("phone") else text


@lru_cache(maxsize=10_000)
def e164(text: str, region: str | None = None) -> str:
    """A phone number in E.164; unchanged where it cannot be read (an extension, no region)."""
    if _E164.fullmatch(text):
        return text
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return text
    if number.extension or not phonenumbers.is_possible_number(number):
        return text
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def canonical(name: str, value: Value) -> str:
    """The text whose digest stands for a value: what differs only in case of a mail or in white space is the same."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = " ".join(str(value).split())
        text = text if text.isascii() else unicodedata.normalize("NFC", text)
        return text.casefold() if name == "email" else text
    return repr(int(value)) if float(value).is_integer() else repr(value)


def digest_value(name: str, value: Value, digest: Digest) -> str:
    """The digest of one field; a stage or status stands in clear behind ``=``, empty is empty."""
    if value is None:
        return EMPTY
    return f"={value}" if name in WORDED else digest(name, canonical(name, value))


def digests(fields: Fields, digest: Digest) -> dict[str, str]:
    """The digests of a record's told fields, in our names."""
    return {name: digest_value(name, value, digest) for name, value in fields.items()}


def word_of(told: str) -> str | None:
    """The word that a worded field's digest holds in clear; None: told empty."""
    return told[1:] if told.startswith("=") else None


def key_text(text: str) -> str:
    """A title, code or e-mail folded for matching."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()


# --- building -------------------------------------------------------------------------------------------------------


def build(data: Mapping[str, Any], overrides: Mapping[str, Any], where: str, region: str | None = None) -> Vocabulary:
    """A vocabulary from a mapping file's data and a connection's overrides; raises ``ConfigInvalid`` with the place.

    Both are as TOML or JSON gives them, of any types.
    """
    sources = Sources((data, overrides), where)
    fields = {kind: sources.texts("fields", kind.value) for kind in Kind}
    names = {
        "stage": ("stages",),
        "status": ("statuses",),
        **{name: ("words", name) for name in sources.table("words")},
    }
    words = {
        name: Words(sources.texts(*place, "read"), sources.lists(*place, "write")) for name, place in names.items()
    }
    _prove(fields, words, where)
    words[MIRROR] = words["stage"]
    return Vocabulary(fields, words, region)


@dataclass(frozen=True)
class Sources:
    """The tables that words come from, later ones over earlier ones; a value of a wrong type is ``ConfigInvalid``."""

    tables: tuple[Any, ...]
    where: str

    def table(self, *place: str) -> dict[str, Any]:
        """What all of them say at a place."""
        told: dict[str, Any] = {}
        for table in self.tables:
            told.update(self._at(table, place))
        return told

    def texts(self, *place: str) -> dict[str, str]:
        """A table of texts."""
        told = self.table(*place)
        for name, value in told.items():
            if not isinstance(value, str):
                raise self._mistake((*place, name), "must be text, in quotes")
        return told

    def lists(self, *place: str) -> dict[str, tuple[str, ...]]:
        """A table of lists of texts; one text alone is a list of one."""
        return {name: self._list((*place, name), value) for name, value in self.table(*place).items()}

    def _list(self, place: tuple[str, ...], value: Any) -> tuple[str, ...]:
        found = (value,) if isinstance(value, str) else value
        if not isinstance(found, list | tuple) or not all(isinstance(one, str) for one in found):
            raise self._mistake(place, "must be a text or a list of texts, in quotes")
        return tuple(found)

    def _at(self, table: Any, place: tuple[str, ...]) -> Mapping[str, Any]:
        for depth, step in enumerate(place):
            table = self._proven(table, place[:depth]).get(step, {})
        return self._proven(table, place)

    def _proven(self, table: Any, place: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(table, Mapping):
            raise self._mistake(place, "must be a table of keys and values")
        return table

    def _mistake(self, place: tuple[str, ...], wrong: str) -> ConfigInvalid:
        return ConfigInvalid(": ".join(part for part in (self.where, ".".join(place), wrong) if part))


def _prove(fields: Mapping[Kind, Mapping[str, str]], words: Mapping[str, Words], where: str) -> None:
    for kind, names in fields.items():
        for name in names:
            if name not in FIELDS[kind]:
                raise ConfigInvalid(f"{where}: fields.{kind}.{name} is not one of our fields of a {kind}")
    for name, ours in (("stage", STAGES), ("status", STATUSES)):
        for word in sorted({*words[name].read.values(), *words[name].write}):
            if word not in ours:
                raise ConfigInvalid(f"{where}: {word!r} is not one of our words for a {name}: {', '.join(ours)}")


def bears_part(name: str, part: str, text: str) -> bool:
    """Whether a full name begins with a first name, or ends with a last one, in whatever capitals."""
    whole, text = (" ".join(each.split()).casefold() for each in (name, text))
    return f"{whole} ".startswith(f"{text} ") if part == FIRST_NAME else f" {whole}".endswith(f" {text}")


def split_name(name: str) -> tuple[str, str]:
    """First and last name of a full name that is all we know: the last word is the last name."""
    first, _, last = name.strip().rpartition(" ")
    return (first, last) if first else (last, "")
