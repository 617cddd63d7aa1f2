"""What is to be kept in step: connections with their words and facts, and pairs. Pure; made once at start.

``World`` is handed to everything that decides. Nothing in it changes while syncd runs, and its ``stamp`` names it: a
record that was found settled under one stamp is looked at again under another.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from syncd.facts import Facts, Walk
from syncd.mapping import Digest, Terms, Vocabulary, carried, terms_of
from syncd.model import Fields, Kind
from syncd.reconcile import End


@dataclass(frozen=True)
class Connection:
    """One configured connection as the engine knows it. Durations in seconds; ``defaults``: our field -> value.

    ``remarks``: the forms in which the results of screenings are written there. ``account``: the system and the address
    of the account; empty: nobody says.
    """

    name: str
    facts: Facts
    vocabulary: Vocabulary
    defaults: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    poll_s: float = 300.0
    sweep_s: float = 86_400.0
    overlap_s: float = 120.0
    remarks: tuple[str, ...] = ()
    account: str = ""

    @cached_property
    def terms(self) -> Mapping[Kind, Terms]:
        """What the system tells and takes, in our words."""
        known = {kind: terms_of(self.facts, self.vocabulary, kind) for kind in Kind}
        return {kind: terms for kind, terms in known.items() if terms is not None}

    def walk_of(self, kind: Kind) -> Walk | None:
        """The walk that tells a kind."""
        return next((walk for walk in self.facts.walks if kind in walk.kinds), None)

    def is_rows(self, kind: Kind) -> bool:
        """Whether a record of the kind is a set of rows here."""
        return self.facts.rows and kind is Kind.CANDIDATE


@dataclass(frozen=True)
class Pair:
    """Two connections kept in step. ``flows``: kind -> the ends that are written to.

    ``resumes``: the ends that files are sent to. ``screen_at``: the stage at which the right end screens a person;
    ``advances``: (least score, stage) of the moves that a result causes; ``credits_a_day``: what may be spent.
    ``configured``: the flows of the config, where a run is narrowed to fewer.
    """

    name: str
    left: Connection
    right: Connection
    flows: Mapping[Kind, frozenset[End]]
    rule: str = "hold"
    owners: Mapping[str, End] = field(default_factory=dict)
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    publish: bool = False
    resumes: frozenset[End] = frozenset()
    screen_at: str | None = None
    advances: tuple[tuple[float, str], ...] = ()
    credits_a_day: int | None = None
    collect_s: float = 600.0
    configured: Mapping[Kind, frozenset[End]] | None = None

    @property
    def batches(self) -> bool:
        """Whether applications at the right end are born of batches of résumés."""
        return self.right.facts.screens_by == "batch"

    def at(self, end: End) -> Connection:
        """The connection at an end."""
        return self.left if end is End.LEFT else self.right

    def end_of(self, connection: str) -> End:
        """The end at which a connection stands."""
        return End.LEFT if self.left.name == connection else End.RIGHT

    def syncs(self, kind: Kind) -> bool:
        """Whether the kind is kept in step at all."""
        return bool(self.flows.get(kind))

    def flows_to(self, kind: Kind, end: End) -> bool:
        """Whether the kind is written at an end."""
        return end in self.flows.get(kind, frozenset())

    def carried_to(self, kind: Kind) -> frozenset[End]:
        """The ends that the config has the kind written to, whatever a run is narrowed to: what scopes go by."""
        return (self.flows if self.configured is None else self.configured).get(kind, frozenset())

    @cached_property
    def fields(self) -> Mapping[Kind, frozenset[str]]:
        """The fields that are compared, by kind."""
        return {kind: self._fields(kind) for kind in Kind if self.syncs(kind)}

    def _fields(self, kind: Kind) -> frozenset[str]:
        left, right = self.left.terms.get(kind), self.right.terms.get(kind)
        return carried(left, right) if left and right else frozenset()

    def writable(self, kind: Kind, end: End, name: str) -> bool:
        """Whether the pair carries a field to an end and the system there takes it."""
        return self.flows_to(kind, end) and name in self.at(end).terms[kind].calls


def _no_tombstone(what: str, text: str) -> str:
    raise LookupError("this world erases nobody")


@dataclass(frozen=True)
class World:
    """All that is configured, with the keyed digest and the sealing that the store's rows are made with.

    ``tombstone``: the keyed digest of what names an erased person.
    """

    connections: Mapping[str, Connection]
    pairs: tuple[Pair, ...]
    digest: Digest
    seal: Callable[[Fields, str], bytes]
    unseal: Callable[[bytes, str], dict[str, object]]
    stamp: str = ""
    tombstone: Digest = _no_tombstone

    def pairs_of(self, connection: str, kind: Kind) -> Iterator[Pair]:
        """The pairs that keep a connection's records of a kind in step."""
        for pair in self.pairs:
            if connection in (pair.left.name, pair.right.name) and pair.syncs(kind):
                yield pair

    def kinds_of(self, connection: str) -> set[Kind]:
        """The kinds of a connection's records that some pair needs."""
        wanted = {kind for kind in Kind for _ in self.pairs_of(connection, kind)}
        if any(pair.batches and pair.left.name == connection for pair in self.pairs):
            wanted.add(Kind.JOB)  # a batch is one job's
        return wanted

    def walks_of(self, connection: str) -> tuple[Walk, ...]:
        """The walks of a connection that some pair needs."""
        wanted = self.kinds_of(connection)
        return tuple(walk for walk in self.connections[connection].facts.walks if wanted & set(walk.kinds))

    def pair(self, name: str) -> Pair:
        """A pair by name; raises ``LookupError``."""
        for pair in self.pairs:
            if pair.name == name:
                return pair
        raise LookupError(f"this run has no pair {name}")


def stamp_of(*parts: object) -> str:
    """A short digest of configuration."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()
