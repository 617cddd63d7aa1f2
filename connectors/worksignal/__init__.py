"""WorkSignal: a hiring system with AI voice screens, whose free plan takes 100 calls a day.

Source: the vendor's API reference (https://worksignal.com/docs/api, /docs/authentication, /docs/webhooks). What it
forces on us:

* no list has a change filter, so every pull is a full walk;
* moves (``advance``, ``reject``, ``hire``) name the candidate and no application, so none is made for a person with
  two active applications, nor for an application that has ended, because another one would be hit;
* an application is made only together with its person, so a second one for the same person cannot be made;
* nothing is kept of ours and no key is taken: a lost create is looked for by reading lists (e-mail and role, or title);
* a voice screen names its person and role and no application; what it found out is told by its own answer alone;
* a résumé is an address on the candidate: none can be uploaded (see ``papers``);
* publishing a role shows it to the world: it is done only where the operator's options say ``publish = "true"``.

Voice screens are read; to invite to one, to post to X and quick posts are never asked for: they phone or publish.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import orjson

from connectors.worksignal import papers, wire
from connectors.worksignal.api import BASE_URL, PER_PAGE, Api, Read
from connectors.worksignal.papers import Resumes
from connectors.worksignal.sandbox import WorkSignalSandbox
from connectors.worksignal.wire import ENDED, SEVERAL_ACTIVE, Json
from syncd.clock import Clock
from syncd.connector import (
    Account,
    Delivery,
    Facts,
    Hooks,
    KindFacts,
    Notice,
    Plugin,
    Subscription,
    Walk,
    Wish,
    understood,
)
from syncd.errors import Gone, OutcomeUnknown, Rejected
from syncd.model import Cursor, Draft, Fields, Kind, Page, Record, Ref

ROLES = Walk("roles", (Kind.JOB,), "the pages it says it has were all read, or a page brought nothing new")
CANDIDATES = Walk("candidates", (Kind.CANDIDATE, Kind.APPLICATION), ROLES.end)
SCREENS = Walk("voice_screens", (Kind.SCREENING,), ROLES.end)

_ROLE_FIELDS = ("title", "department", "description", "location", "remote_policy", "salary_min", "salary_max")
_DETAILS = frozenset({"description", "salary_min", "salary_max"})
_PERSON_FIELDS = ("name", "email", "phone")
_SKEW_S = 300.0  # how far the server's clock may be from ours when a job is looked for by when it was made
_REASON = "Not selected"

FACTS = Facts(
    system="worksignal",
    walks=(ROLES, CANDIDATES, SCREENS),
    limits=("100/day@UTC",),
    words=("applied", "screening", "interview", "offer", *wire.EXITS),
    page=PER_PAGE,
    kinds={
        Kind.JOB: KindFacts(
            lists=frozenset({*_ROLE_FIELDS, "status"}) - _DETAILS,
            details=_DETAILS,
            writes={**dict.fromkeys(_ROLE_FIELDS, "patch"), "status": "status"},
            creates=frozenset(_ROLE_FIELDS),
            demands=frozenset({"title"}),
            may_empty=frozenset(_ROLE_FIELDS) - {"title"},
            reopens=False,
            status="status",
            born={"status": "draft"},
        ),
        Kind.CANDIDATE: KindFacts(
            lists=frozenset(_PERSON_FIELDS),
            writes=dict.fromkeys(_PERSON_FIELDS, "patch"),
            creates=frozenset({"name", "email"}),
            demands=frozenset({"name", "email"}),
            may_empty=frozenset({"phone"}),
        ),
        Kind.APPLICATION: KindFacts(
            lists=frozenset({"stage", "resume"}),
            writes={"stage": "move", "start_date": "move"},
            untold=frozenset({"start_date"}),
            creates=frozenset(),
            demands=frozenset({"person.name", "person.email"}),
            bears_person=True,
            only_newborn=True,
            reopens=False,
            stage="stage",
            born={"stage": "applied"},
        ),
        Kind.SCREENING: KindFacts(
            lists=frozenset({"status", "overall_score"}), details=frozenset({"highlights", "red_flags", "scores"})
        ),
    },
    hooks=Hooks("secret", tells=wire.EVENTS),
    attaches=papers.LIMITS,
)


class WorkSignal(Resumes):
    """One WorkSignal account. Options: ``publish`` ("true" lets roles be opened), ``reject_reason``."""

    facts = FACTS

    def __init__(self, account: Account, client: httpx.AsyncClient, clock: Clock) -> None:
        self._account = account
        self._api = Api(account, client)

    async def check(self) -> None:
        """Read the organization."""
        await self._api.read("/organization")

    def pull(self, walk: Walk, since: Cursor | None) -> AsyncIterator[Page]:
        """Walk all roles, candidates or voice screens; there is no change filter."""
        reads = {ROLES.name: _role_alone, CANDIDATES.name: wire.person, SCREENS.name: _screen_alone}
        return self._api.pages(f"/{walk.name}", reads[walk.name], since.token if since else None)

    async def get(self, ref: Ref) -> tuple[Record, ...]:
        """A role; a voice screen; or a candidate with all applications, the asked-for record first."""
        try:
            if ref.kind is Kind.JOB:
                return await self._get_one(ref, "/roles", "role", _role_alone)
            if ref.kind is Kind.SCREENING:
                return await self._get_one(ref, "/voice_screens", "voice_screen", _screen_alone)
            return await self._get_person(ref)
        except Gone:
            return ()

    async def create(self, draft: Draft, key: str) -> tuple[Record, ...]:
        """Make a draft role, a candidate, or a candidate who applies; the key has nowhere to go."""
        if draft.kind is Kind.SCREENING:
            raise Rejected("to ask for a voice screen phones a person, so none is made")
        if draft.kind is Kind.JOB:
            chosen = {name: value for name, value in draft.fields.items() if name in _ROLE_FIELDS}
            answer = await self._api.create("/roles", wire.role_body(chosen))
            made: Record = understood("POST", lambda: wire.role(wire.one_of(answer, "role")))
            return (made,)
        answer = await self._api.create("/candidates", _newborn(draft))
        told: tuple[Record, ...] = understood("POST", lambda: wire.person(wire.one_of(answer, "candidate")))
        born = _born(draft, told)
        if not born:
            raise OutcomeUnknown("POST answered with something else than what was to be made")
        return born

    async def update(self, record: Record, fields: Fields) -> Record | None:
        """Patch a role or a candidate, change a role's status, or move an application."""
        if record.ref.kind is Kind.SCREENING:
            raise Rejected("what a voice screen found out is not changed")
        path, name = _place_of(record.ref)
        method, tail, body = _write_of(record, fields, self._account.options)
        answer = await self._api.write(method, path + tail, body)
        if answer is None or not understood(method, lambda: wire.tells_one(answer, name)):
            return None
        read = wire.person if name == "candidate" else _role_alone
        told: tuple[Record, ...] = understood(method, lambda: read(wire.one_of(answer, name)))
        return next((again for again in told if again.ref == record.ref), None)

    async def find(self, draft: Draft, since: float) -> tuple[Record, ...]:
        """Look through the roles by title, or through the candidates (of the role) by e-mail."""
        job = draft.parents.get(Kind.JOB)
        pages = self._roles(None)
        if draft.kind is not Kind.JOB:
            filters = {"role_id": job.id} if job else {}
            pages = self._api.pages("/candidates", wire.person, None, **filters)
        found: tuple[Record, ...] = ()
        async for page in pages:
            found += _made(draft, page.records, since) if draft.kind is Kind.JOB else _born(draft, page.records)
        return found

    def verify(self, delivery: Delivery) -> Notice | None:
        """Judge a delivery by ``X-WorkSignal-Signature``: hex HMAC-SHA256 of the raw body with the webhook's secret."""
        given = delivery.headers.get("x-worksignal-signature", "").removeprefix("sha256=").encode(errors="replace")
        good = [
            hmac.compare_digest(hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest().encode(), given)
            for secret in (*self._account.webhook_secrets, *delivery.secrets)
        ]
        return _notice(delivery.body) if any(good) else None

    async def subscriptions(self) -> tuple[Subscription, ...]:
        """All of the organization."""
        rows = await self._api.rows("/webhooks")
        return tuple(understood("GET", lambda: [wire.subscription(row) for row in rows]))

    async def subscribe(self, wish: Wish, known: Subscription | None) -> Subscription | None:
        """Register an address; what stands there is changed or switched on, or withdrawn where its secret is unknown.

        A secret is told by the answer that makes a webhook and never again.
        """
        body = {"url": wish.url, "events": sorted(wish.events)}
        if known is None:
            answer = await self._api.write("POST", "/webhooks", body)
            made: Subscription = understood("POST", lambda: wire.subscription(wire.one_of(answer, "webhook")))
            return made
        if wish.secret is None:
            await self.unsubscribe(known)
        elif known.events != wish.events:
            await self._api.write("PATCH", f"/webhooks/{known.id}", body)
        else:
            await self._api.write("POST", f"/webhooks/{known.id}/activate")
        return None

    async def unsubscribe(self, known: Subscription) -> None:
        """Withdraw one."""
        await self._api.write("DELETE", f"/webhooks/{known.id}")

    def _roles(self, token: str | None) -> AsyncIterator[Page]:
        return self._api.pages("/roles", _role_alone, token)

    async def _get_one(self, ref: Ref, path: str, name: str, read: Read) -> tuple[Record, ...]:
        if wire.role_id(ref.id) is None:
            return ()
        answer = await self._api.read(f"{path}/{ref.id}")
        told: tuple[Record, ...] = understood("GET", lambda: _own_first(ref, read(wire.one_of(answer, name))))
        return told

    async def _get_person(self, ref: Ref) -> tuple[Record, ...]:
        candidate = wire.candidate_of(ref)
        if candidate is None:
            return ()
        answer = await self._api.read(f"/candidates/{candidate}")
        told: tuple[Record, ...] = understood(
            "GET", lambda: _own_first(Ref(Kind.CANDIDATE, candidate), wire.person(wire.one_of(answer, "candidate")))
        )
        own = tuple(record for record in told if record.ref == ref)
        return own + tuple(record for record in told if record.ref != ref) if own else ()


plugin = Plugin(
    facts=FACTS,
    connect=WorkSignal,
    options=("publish", "reject_reason"),
    base_url=BASE_URL,
    sandbox=WorkSignalSandbox,
)


# --- creating -------------------------------------------------------------------------------------------------------


def _newborn(draft: Draft) -> dict[str, Any]:
    """The body that makes a candidate, who applies at once where the draft is an application."""
    person = draft.fields if draft.kind is Kind.CANDIDATE else draft.person
    body: dict[str, Any] = {"name": person["name"], "email": person["email"]}
    if draft.kind is Kind.CANDIDATE:
        return body
    if Kind.CANDIDATE in draft.parents:
        raise Rejected("WorkSignal's API cannot make an application for a person who is there already")
    role = wire.role_id(draft.parents[Kind.JOB].id)
    if role is None:
        raise Rejected("the job's id is not one of WorkSignal's")
    return {**body, "role_id": role}


def _made(draft: Draft, told: tuple[Record, ...], since: float) -> tuple[Record, ...]:
    """The roles of the draft's very title. Titles may repeat, so one that says it was made before does not count."""
    return tuple(
        record
        for record in told
        if record.fields.get("title") == draft.fields["title"]
        and (record.created_at is None or record.created_at >= since - _SKEW_S)
    )


def _born(draft: Draft, told: tuple[Record, ...]) -> tuple[Record, ...]:
    """What a draft would have made, among records told: its own kind first; nothing where any of it is missing."""
    person = draft.fields if draft.kind is Kind.CANDIDATE else draft.person
    email = str(person["email"]).casefold()
    people = {record.ref.id: record for record in told if _has_email(record, email)}
    if draft.kind is Kind.CANDIDATE:
        return tuple(people.values())
    job = draft.parents[Kind.JOB].id
    pairs = [
        (record, people[record.parents[Kind.CANDIDATE]])
        for record in told
        if record.parents.get(Kind.JOB) == job and record.parents[Kind.CANDIDATE] in people
    ]
    return tuple(record for pair in pairs for record in pair)


def _has_email(record: Record, email: str) -> bool:
    return record.ref.kind is Kind.CANDIDATE and str(record.fields.get("email") or "").casefold() == email


# --- updating -------------------------------------------------------------------------------------------------------

Write = tuple[str, str, Json | None]  # method, the path's tail, body


def _place_of(ref: Ref) -> tuple[str, str]:
    """The path of the thing that a write changes, and the name that its answer bears."""
    if ref.kind is Kind.JOB:
        return f"/roles/{ref.id}", "role"
    return f"/candidates/{wire.candidate_of(ref)}", "candidate"


def _write_of(record: Record, fields: Fields, options: Mapping[str, str]) -> Write:
    """The one request that makes a change of one call."""
    if record.ref.kind is Kind.APPLICATION:
        return _move(record, fields, options)
    if record.ref.kind is Kind.CANDIDATE:
        return "PATCH", "", dict(fields)
    if "status" in fields:
        return _turn(str(record.fields.get("status")), str(fields["status"]), options)
    return "PATCH", "", wire.role_body(fields)


def _move(record: Record, fields: Fields, options: Mapping[str, str]) -> Write:
    if "stage" not in fields:
        raise Rejected("WorkSignal takes a start date only when somebody is hired")
    stage = str(fields["stage"])
    if SEVERAL_ACTIVE in record.traits:
        raise Rejected("two active applications: WorkSignal's moves name no application, and could move the other one")
    if ENDED in record.traits:
        raise Rejected("the application has ended, and WorkSignal cannot reopen it")
    if stage == "withdrawn":
        raise Rejected("WorkSignal has no call by which an application is withdrawn")
    if stage == "rejected":
        return "POST", "/reject", {"reason": options.get("reject_reason") or _REASON}
    if stage == "hired":
        begins = fields.get("start_date")
        return "POST", "/hire", {"start_date": str(begins)[:10]} if begins else {}
    return "POST", "/advance", {"stage": stage}


def _turn(present: str, status: str, options: Mapping[str, str]) -> Write:
    if status == "closed":
        return "DELETE", "", None  # documented as "Close a role": the role stays, with status closed
    if present == "closed":
        raise Rejected("a closed role cannot be opened again by WorkSignal's API")
    if status == "paused":
        return "POST", "/pause", None
    if status != "open":
        raise Rejected("WorkSignal has no call that gives a role this status")
    if options.get("publish", "").casefold() != "true":
        raise Rejected('the role stays unpublished: opening it publishes it, which needs publish = "true"')
    return "POST", "/publish", None


# --- reading --------------------------------------------------------------------------------------------------------

_LOOK = Notice(walks=(CANDIDATES.name,))


def _role_alone(row: Json) -> tuple[Record, ...]:
    return (wire.role(row),)


def _screen_alone(row: Json) -> tuple[Record, ...]:
    return (wire.screen(row),)


def _own_first(ref: Ref, told: tuple[Record, ...]) -> tuple[Record, ...]:
    if told[0].ref != ref:
        raise ValueError("another record was told than the one asked for")
    return told


def _notice(body: bytes) -> Notice:
    """What a genuine delivery says. One read of the candidate tells each of the applications, so it alone is named."""
    try:
        event = orjson.loads(body)
        if event["event"] == "test":
            return Notice()
        data = event["data"]
        screens = (Ref(Kind.SCREENING, wire.id_of(data["voice_screen"])),) if "voice_screen" in data else ()
        return Notice(refs=(*screens, Ref(Kind.CANDIDATE, _concerned(data))))
    except (KeyError, TypeError, ValueError, AttributeError):
        return _LOOK


def _concerned(data: Json) -> str:
    """The candidate that an event is about, told as such or within an application or a voice screen."""
    if "candidate" in data:
        return wire.id_of(data["candidate"])
    holder = data["application"] if "application" in data else data["voice_screen"]
    return wire.id_of(holder["candidate"])
