"""The text of a new config, with what a person must still say as lines to fill in. Pure.

No token stands in it: the text says where syncd looks for one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from syncd.init_words import Proposal
from syncd.mapping import STAGES

Lines = Iterator[str]


@dataclass(frozen=True)
class Side:
    """One connection as it is written down. ``further``: fields that may want a default, for people to fill in."""

    name: str
    system: str
    base_url: str | None = None
    member: str | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    further: tuple[str, ...] = ()
    proposal: Proposal = field(default_factory=Proposal)


@dataclass(frozen=True)
class Joint:
    """The pair as it is written down. ``flows``: key -> direction; ``offered``: likewise, for people to switch on.

    ``screens``: the right side can come to screen people where the pair says from which stage on.
    """

    name: str
    left: str
    right: str
    flows: Mapping[str, str]
    offered: Mapping[str, str] = field(default_factory=dict)
    screens: bool = False


def config_text(sides: tuple[Side, ...], joint: Joint | None = None) -> str:
    """A config file of one or two connections and their pair."""
    lines = [*_head(), *(line for side in sides for line in _connection(side)), *(_pair(joint) if joint else ())]
    return "\n".join(lines) + "\n"


def variable_of(name: str) -> str:
    """The environment variable that holds a connection's token."""
    return f"SYNCD_CONNECTIONS__{name.upper()}__TOKEN"


def secret_file_of(name: str) -> str:
    """The name of the file that holds a connection's token, in the folder of secrets."""
    return f"connections__{name}__token"


def quoted(text: str) -> str:
    """A text as TOML writes it."""
    return orjson.dumps(text).decode().replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    """A name as a part of a table's name; one that is no name at all is for the config's own judgement."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)


def _head() -> Lines:
    yield "# Made by `syncd init`. What each key means, and all that may stand here besides: config.example.toml."
    yield "# Tokens come from the environment or from a folder of secrets (SYNCD_SECRETS), not from here."
    yield ""
    yield "[store]"
    yield 'url = "sqlite:///syncd.db"'
    yield ""
    yield "[server]"
    yield 'listen = "127.0.0.1:8080"'
    yield '# public_url = "https://sync.example.com"   # where webhooks reach syncd'


def _connection(side: Side) -> Lines:
    yield ""
    yield f"[connections.{_key(side.name)}]"
    yield f"system = {quoted(side.system)}"
    if side.base_url is not None:
        yield f"base_url = {quoted(side.base_url)}"
    if side.member is not None:
        yield f"member = {quoted(side.member)}"
    yield f"# token: in {variable_of(side.name)}, or in the file {secret_file_of(side.name)} of the folder of secrets"
    yield from _defaults(side)
    yield from _read(side)
    yield from _write(side)


def _defaults(side: Side) -> Lines:
    if side.defaults or side.further:
        yield ""
        yield "# Written where the other side tells nothing; never read back as if somebody had said so."
        yield f"[connections.{_key(side.name)}.defaults]"
        yield from (f"{name} = {quoted(value)}" for name, value in side.defaults.items())
        for name in side.further:
            yield f'# {name} = ""   # without it, records that tell none are held'


def _read(side: Side) -> Lines:
    proposal = side.proposal
    if proposal.read or proposal.unmatched:
        yield ""
        yield f"# Stage words that mappings/{side.system}.toml lacks: theirs = ours. These are proposals."
        yield f"[connections.{_key(side.name)}.stages.read]"
        yield from (f"{quoted(theirs)} = {quoted(ours)}" for theirs, ours in proposal.read.items())
    if proposal.unmatched:
        yield f"# Not matched; applications there are held until you say. One of: {', '.join(STAGES)}"
        yield from (f'# {quoted(theirs)} = ""' for theirs in proposal.unmatched)


def _write(side: Side) -> Lines:
    proposal = side.proposal
    if proposal.write or proposal.unsayable:
        yield ""
        yield "# Our stages that this account has no usual word for: ours = theirs, best first."
        yield f"[connections.{_key(side.name)}.stages.write]"
        for ours, theirs in proposal.write.items():
            yield f"{ours} = [{', '.join(map(quoted, theirs))}]"
    if proposal.unsayable:
        yield "# Without a word; applications that reach these elsewhere are held until you give one."
        yield from (f'# {ours} = [""]' for ours in proposal.unsayable)


def _pair(joint: Joint) -> Lines:
    yield ""
    yield '# "->" carries from left to right, "<-" from right to left, "<->" both ways, "off" not at all.'
    yield f"[pairs.{_key(joint.name)}]"
    yield f"left = {quoted(joint.left)}"
    yield f"right = {quoted(joint.right)}"
    yield from (f"{key} = {quoted(way)}" for key, way in joint.flows.items())
    yield from (f"# {key} = {quoted(way)}   # possible; off until you say so" for key, way in joint.offered.items())
    if joint.screens:
        yield '# screen_at = "screening"   # who reaches this stage is screened there, and may be phoned or cost money'
    yield 'conflicts = "hold"   # both ends changed: ask a person'
    yield '# only = { job = ["SHORTCODE"] }   # a pilot: create only what belongs to this job'
