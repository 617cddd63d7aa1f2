"""Workable: the hiring system that is most often the system of record.

Oddities, each with a test:

* A candidate row is an application: one person on two jobs is two rows with two ids. Each row is told as two records.
* Jobs are read-only in the API.
* Rows tell a stage by its name, moves and filters want its slug, and stages belong to each job's own pipeline.
* "Disqualified" is a flag over the stage, not a stage: its words here are ``!disqualified`` and ``!withdrew``. A row
  of the list does not know which of the two it is. To leave it, revert first (one update), then move (another).
* A list ends where ``paging`` is missing; ``since_id`` is inclusive; ids are hexadecimal numbers of unlike length.
* A move is answered with 202 and nothing: what it did is known from the next read.
* After a create, values fill in by themselves within seconds (headline, location).
* ``sourced: false`` makes Workable mail the person, so every create here says ``sourced: true``.
* The list tells a résumé's name and time, the detail where it lies; that address is another at each read.
* Why somebody is disqualified is one of the account's own reasons: options ``disqualify_reason``, ``withdraw_reason``.
* Webhooks are signed with the API token itself and bear no time: whoever has one can forge the other.
"""

import httpx

from connectors.workable import hooks, papers, wire
from connectors.workable.api import PAGE
from connectors.workable.sandbox import WorkableSandbox
from syncd.clock import Clock
from syncd.connector import Account, Connector, Facts, Hooks, KindFacts, Plugin, Walk
from syncd.model import Kind

_JOB_LISTS = {
    *wire.JOB,
    *(f"location.{name}" for name in wire.JOB_LOCATION),
    *(f"salary.{name}" for name in wire.SALARY),
    "salary_usd_from",
    "salary_usd_to",
}

FACTS = Facts(
    system="workable",
    walks=(
        Walk("jobs", (Kind.JOB,), "a page without paging", since=True),
        Walk("candidates", (Kind.CANDIDATE, Kind.APPLICATION), "a page without paging", since=True),
    ),
    kinds={
        Kind.JOB: KindFacts(lists=frozenset(_JOB_LISTS), details=frozenset(wire.JOB_DETAILS), status="state"),
        Kind.CANDIDATE: KindFacts(
            lists=frozenset({*wire.PERSON, "name"}),
            details=frozenset(f"location.{name}" for name in wire.LOCATION),
            writes=dict.fromkeys((*wire.PERSON, "name"), "patch"),
            may_empty=frozenset({"phone", "headline", "address"}),
        ),
        Kind.APPLICATION: KindFacts(
            lists=frozenset({"stage", "hired_on", "resume"}),
            writes={"stage": "move"},
            creates=frozenset({"stage"}),
            demands=frozenset({"person.email", "person.name"}),
            bears_person=True,
            stage="stage",
            flags=frozenset({wire.DISQUALIFIED, wire.WITHDREW}),
            exact=True,
        ),
    },
    limits=("10/10s",),
    rows=True,
    words=(wire.DISQUALIFIED, wire.WITHDREW),
    page=PAGE,
    hooks=Hooks("token", tuple(hooks.TELLS), tells=hooks.TELLS),
    attaches=papers.LIMITS,
    remarks={"comment": None, "rating": "rating_scale"},
)


def connect(account: Account, client: httpx.AsyncClient, clock: Clock) -> Connector:
    """Join an account, a client and a clock."""
    return papers.WorkableWithPapers(account, client, clock, FACTS)


plugin = Plugin(
    facts=FACTS, connect=connect, needs=("base_url",), options=("member", *papers.OPTIONS), sandbox=WorkableSandbox
)
