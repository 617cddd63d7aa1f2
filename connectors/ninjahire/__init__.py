"""Ninjahire: a screening service that phones candidates. Its facts, and where it is odd.

Source of all facts: the vendor's API reference, https://api.ninjahire.co/docs/routes and
https://apidocs.ninjahire.co/api (two published versions that differ). Where both are silent, what is assumed says so.

Oddities:

* Lists are pages of ``page`` and ``size``, both demanded; the first page's number is not documented (option
  ``first_page``, 1 unless told otherwise) and a size may be clamped, so only an empty page ends a list. ``count`` is
  the total in one reading of the reference and the page's length in another: it may only say that rows are missing.
* No list has a change filter. ``source_id``, the id of the record in the other system, is the key that finds.
* A PATCH of a candidate wants each required field again, one of a job its title, one of an application both stages:
  they go out as the record was just read. A candidate without a ``source_id`` gets its own id there.
* ``source_application_status`` is the other system's stage word, free text. ``application_stage`` says whether
  Ninjahire may act: ``ACTIVE`` lets it phone the person. Created PASSIVE, left as it is later, and made PASSIVE by a
  terminal word (option ``terminal_words``, comma separated), so that no sync ever makes a telephone ring.
* The webhook's signature does not cover its timestamp: a body can be replayed, so it only says "look again".
* A tenant has one webhook configuration per event: to register ours where another address stands would take it away.
  Registering wants the tenant's id (option ``tenant_id``), unless a configuration that is there already tells it.
* A call is a screening: its score, digest and categories. Which application it was about is told by its ids.
* There is no delete.
"""

import httpx

from connectors.ninjahire import hooks, papers, wire
from connectors.ninjahire.papers import NinjahireWithPapers
from connectors.ninjahire.sandbox import NinjahireSandbox
from syncd.clock import Clock
from syncd.connector import Account, Facts, Hooks, KindFacts, Plugin, Walk
from syncd.errors import ConfigInvalid
from syncd.model import Kind

END = "an empty page, since a server may clamp the size of any other"
TERMINAL_WORDS = "hired,rejected,withdrawn"
TELLS = {hooks.APPLICATION_EVENT: (Kind.APPLICATION,), hooks.CALL_EVENT: (Kind.SCREENING,)}

FACTS = Facts(
    system="ninjahire",
    walks=(
        Walk("jobs", (Kind.JOB,), END),
        Walk("candidates", (Kind.CANDIDATE,), END),
        Walk("applications", (Kind.APPLICATION,), END),
        Walk("calls", (Kind.SCREENING,), END),
    ),
    kinds={
        Kind.JOB: KindFacts(
            lists=frozenset(wire.JOB_FIELDS),
            writes={name: "patch" for name in wire.JOB_FIELDS if name != "job_code"},
            creates=frozenset(wire.JOB_FIELDS),
            demands=frozenset(wire.JOB_REQUIRED),
            may_empty=frozenset(wire.JOB_OPTIONAL) - {"job_code"},
            keeps_source_id=True,
            status="status",
        ),
        Kind.CANDIDATE: KindFacts(
            lists=frozenset({"name", *wire.PERSON_FIELDS, *wire.PERSON_READ_ONLY}),
            writes=dict.fromkeys(("name", *wire.PERSON_FIELDS), "patch"),
            creates=frozenset({"name", *wire.PERSON_FIELDS}),
            demands=frozenset(wire.PERSON_REQUIRED),
            may_empty=frozenset(wire.PERSON_OPTIONAL),
            keeps_source_id=True,
        ),
        Kind.APPLICATION: KindFacts(
            lists=frozenset(wire.APPLICATION_FIELDS),
            writes={wire.STAGE: "patch"},
            creates=frozenset({wire.STAGE}),
            demands=frozenset({wire.STAGE}),
            keeps_source_id=True,
            stage=wire.STAGE,
        ),
        Kind.SCREENING: KindFacts(lists=frozenset(wire.CALL_FIELDS)),
    },
    limits=("60/1m",),
    words=(
        "Sourced", "Applied", "Shortlisted", "Screening", "Assessment", "Interview", "Offer", "Hired", "Rejected",
        "Withdrawn",
    ),
    hooks=Hooks("secret", tuple(TELLS), tells=TELLS, one_each=True),
    attaches=papers.LIMITS,
    schedules=True,
    screens_by="leave",
)  # fmt: skip


def connect(account: Account, client: httpx.AsyncClient, clock: Clock) -> NinjahireWithPapers:
    """Join an account and a client; raises ``ConfigInvalid`` where an option makes no sense. No call goes out."""
    first_page = account.options.get("first_page", "1")
    if first_page not in {"0", "1"}:
        raise ConfigInvalid(f"connections.{account.name}: first_page is the number of a list's first page, 0 or 1")
    words = account.options.get("terminal_words", TERMINAL_WORDS).split(",")
    terminal = frozenset(word.strip().lower() for word in words if word.strip())
    return NinjahireWithPapers(FACTS, account, client, first_page=int(first_page), terminal_words=terminal)


plugin = Plugin(
    facts=FACTS,
    connect=connect,
    options=("first_page", "tenant_id", "terminal_words"),
    base_url="https://api.ninjahire.co",
    sandbox=NinjahireSandbox,
)
