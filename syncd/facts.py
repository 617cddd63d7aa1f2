"""Facts about a system, as data: what its lists tell, what its calls take. Connectors get them from the seam."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from syncd.model import Kind


@dataclass(frozen=True, slots=True)
class Walk:
    """One list of a system. ``since``: it has a change filter. ``end`` says how its end is proven, for people."""

    name: str
    kinds: tuple[Kind, ...]
    end: str
    since: bool = False


@dataclass(frozen=True, slots=True)
class KindFacts:
    """What a system tells of a kind and takes for it. All fields are in the system's own words.

    ``lists`` and ``details``: the fields that a list row tells, and those that only a get tells. ``writes``: field →
    the call that bears it; fields of one call go out in one request. ``creates``: the fields that a create bears
    (``None``: this kind cannot be created by itself). ``demands``: what a create must not lack; ``person.x`` is a
    field of the person that a create bears. ``bears_person``: an application's create makes its person too, and
    ``only_newborn``: it cannot be made for a person who is there already. ``may_empty``: what may be written empty.
    ``reopens``: a terminal stage can be left. ``keeps_source_id``: a create keeps the id that we give. ``stage`` and
    ``status`` name the field that carries a word of the stage or status map; ``mirror``: the one that tells the stage a
    second time, on the person. ``untold``: written but never told back.
    ``flags``: stage words that lie over a stage; taking one off is a call of its own that shows the stage beneath,
    which a get tells beforehand (``Record.beneath``): a stage shown unlike it is somebody's move.
    ``born``: what a field holds at birth that the create does not bear (the first stage); others are born empty.
    ``exact``: ``find`` is one call with an exact filter, cheap enough to be made before each create.
    """

    lists: frozenset[str]
    details: frozenset[str] = frozenset()
    writes: Mapping[str, str] = field(default_factory=dict)
    creates: frozenset[str] | None = None
    demands: frozenset[str] = frozenset()
    bears_person: bool = False
    only_newborn: bool = False
    may_empty: frozenset[str] = frozenset()
    reopens: bool = True
    keeps_source_id: bool = False
    stage: str | None = None
    mirror: str | None = None
    status: str | None = None
    untold: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    born: Mapping[str, str] = field(default_factory=dict)
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Hooks:
    """How a system's webhooks are proven and addressed.

    ``key``: what they are signed with, the API ``token`` or a ``secret`` of their own. ``events``: those that each want
    an address of their own; empty: one address takes all. ``tells``: the events that an address can be subscribed to,
    each with the kinds of which it tells. ``one_each``: an event has one subscription, and who subscribes takes it from
    whoever had it.
    """

    key: Literal["token", "secret"]
    events: tuple[str, ...] = ()
    tells: Mapping[str, tuple[Kind, ...]] = field(default_factory=dict)
    one_each: bool = False


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What a system takes as a résumé: at most so many bytes; extensions in lower case, with the dot."""

    bytes: int
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of a system whatever the account.

    ``limits`` as in the config (``10/10s``, ``100/day@UTC``). ``rows``: a person is a set of candidate rows, joined by
    e-mail; an application's row is the person's row. ``visible_s``: how long a write may take until each read tells it.
    ``words``: stage words that exist without any pipeline being asked. ``page``: records per list call, for estimates.
    ``hooks``: its webhooks; None: it sends none. ``attaches``: what it takes as an application's résumé; None: nothing.
    ``schedules``: it makes appointments for open jobs by itself. ``screens_by``: how it comes to screen a person: by a
    ``batch`` of résumés (jobs and people are not linked then), or by our ``leave`` to phone; None: it does not.
    ``remarks``: the forms in which it takes a remark on an application -> the option that asks for it; None: none does.
    ``wanting``: what it does only where one of its options is set -> that option: ``resumes`` (tells of them) and
    ``screenings`` (takes remarks on them).
    """

    system: str
    walks: tuple[Walk, ...]
    kinds: Mapping[Kind, KindFacts]
    limits: tuple[str, ...] = ()
    rows: bool = False
    visible_s: float = 5.0
    words: tuple[str, ...] = ()
    page: int = 50
    hooks: Hooks | None = None
    attaches: FileLimits | None = None
    schedules: bool = False
    screens_by: Literal["batch", "leave"] | None = None
    remarks: Mapping[str, str | None] = field(default_factory=dict)
    wanting: Mapping[str, str] = field(default_factory=dict)
