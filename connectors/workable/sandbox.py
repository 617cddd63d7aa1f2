"""Workable, played from its documentation: the HTTP side. Everything here is simulated and says so.

Where the documentation is silent the sandbox takes the strict reading, and switches show the other one: ``window``
(both windows of the rate limit at once, or one), ``keeps_filters`` (whether next links bear the filters),
``strict_after`` (whether ``updated_after`` excludes its own second), ``move_lag_s`` (a 202 that takes a while),
``retry_after`` (a header that nobody has seen there), ``ignores_filters``.
"""

import hashlib
import hmac
import random
import zlib
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.workable.sandbox_rows import (
    REASONS,
    SOCIAL,
    TEXTS,
    Json,
    PlayedJob,
    PlayedMember,
    PlayedRow,
    PlayedStage,
    hexed,
    millis,
    number_of,
)
from connectors.workable.sandbox_state import Subscription, WorkableState, named
from syncd.clock import Clock
from syncd.sandbox import Handler, Hits, Hook, Limit

T = TypeVar("T")
Window = Literal["both", "fixed", "rolling"]
FIXED, ROLLING = Limit(10, 10.0, fixed=True), Limit(10, 10.0)
WINDOWS: Mapping[str, tuple[Limit, ...]] = {"both": (FIXED, ROLLING), "fixed": (FIXED,), "rolling": (ROLLING,)}
EVENTS = ("candidate_created", "candidate_moved", "candidate_deleted", "job_deleted")
FILTERS = ("email", "shortcode", "stage", "state", "created_after", "updated_after", "status")
BLANK = "param is missing or the value is empty: "


class Refused(Exception):
    """An error answer in Workable's words."""

    def __init__(self, status: int, error: Any, fields: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(str(status))
        self.status = status
        self.body = {"error": error, **({"validation_errors": fields} if fields else {})}


class WorkableSandbox(WorkableState):
    """A Workable account as an ASGI app, with an in-process API for people's acts (see ``WorkableState``)."""

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        window: Window = "both",
        subdomain: str = "acme",
        limits: Sequence[Limit] | None = None,
        keeps_filters: bool = True,
        strict_after: bool = False,
        ignores_filters: bool = False,
        fills_in: bool = True,
        move_lag_s: float = 0.0,
        retry_after: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(clock=clock, rng=rng, limits=WINDOWS[window] if limits is None else limits, **kwargs)
        self.subdomain = subdomain
        self.keeps_filters = keeps_filters
        self.strict_after = strict_after
        self.ignores_filters = ignores_filters
        self.fills_in = fills_in
        self.move_lag_s = move_lag_s
        self.retry_after = retry_after
        self.begin()

    # what the kit asks

    def routes(self) -> Sequence[Route]:
        """All paths below ``/spi/v3``."""
        rows, jobs = "/candidates", "/jobs/{shortcode}"
        row = f"{rows}/{{id}}"
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/accounts", self._accounts),
            ("GET", "/accounts/{subdomain}", self._account),
            ("GET", "/jobs", self._jobs),
            ("GET", jobs, self._job),
            ("GET", f"{jobs}/stages", self._stages),
            ("GET", f"{jobs}/candidates", self._candidates),
            ("POST", f"{jobs}/candidates", self._create),
            ("GET", f"{jobs}/activities", self._job_activities),
            ("GET", "/stages", self._stages),
            ("GET", "/members", self._members),
            ("GET", "/recruiters", self._none_of("recruiters")),
            ("GET", "/events", self._none_of("events")),
            ("GET", "/disqualification_reasons", self._reasons),
            ("GET", rows, self._candidates),
            ("GET", row, self._candidate),
            ("PATCH", row, self._patch),
            ("GET", f"{row}/activities", self._activities),
            ("POST", f"{row}/move", self._move),
            ("POST", f"{row}/disqualify", self._disqualify),
            ("POST", f"{row}/revert", self._revert),
            ("POST", f"{row}/comments", self._comment),
            ("POST", f"{row}/ratings", self._rate),
            ("PUT", f"{row}/ratings", self._rate),
            ("POST", f"{row}/copy", partial(self._carry, keep=True)),
            ("POST", f"{row}/relocate", partial(self._carry, keep=False)),
            ("GET", "/subscriptions", self._subscriptions),
            ("POST", "/subscriptions", self._subscribe),
            ("DELETE", "/subscriptions/{id}", self._unsubscribe),
        ]
        return [Route(f"/spi/v3{path}", handler, methods=[method]) for method, path, handler in table]

    def exception_handlers(self) -> Mapping[Any, Callable[[Request, Exception], Response]]:
        """Each error is ``{"error": …}``, never ``message``."""
        return {Refused: self._refused, HTTPException: self._refused}

    def _refused(self, request: Request, error: Exception) -> Response:
        if isinstance(error, Refused):
            return self._json(error.body, error.status)
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self._json({"error": "Not found"}, 404 if status == 405 else status)

    def refuse_token(self, request: Request) -> Response:
        """The oddly nested 401 of the live API."""
        inner = {"name": "invalid_token", "state": "unauthorized"}
        told = {"error": inner, "reason": "unknown", "description": "The access token is invalid"}
        return self._json({"error": {"error": told}}, 401)

    def refuse_rate(self, limit: Limit, wait_s: float) -> Response:
        """The 429, whose body nobody has recorded."""
        response = self._json({"error": "Rate limit exceeded"}, 429)
        if self.retry_after:
            response.headers["Retry-After"] = str(int(wait_s) + 1)
        return response

    def rate_headers(self, hits: Hits, now: float) -> Mapping[str, str]:
        """As recorded: the reset is the arrival and ten seconds, whatever the window."""
        if not hits.limits:
            return {}
        left = min(limit.calls - hits.used(limit, now) for limit in hits.limits)
        return {
            "X-Rate-Limit-Limit": str(hits.limits[0].calls),
            "X-Rate-Limit-Remaining": str(max(0, left)),
            "X-Rate-Limit-Reset": str(int(now + hits.limits[0].window_s)),
        }

    def _json(self, body: Any, status: int = 200) -> Response:
        content = orjson.dumps(body)
        headers = {"etag": f'W/"{zlib.crc32(content):08x}"', "x-request-id": f"{self.number():032x}"}
        return Response(content, status, headers, media_type="application/json; charset=utf-8")

    def _empty(self, status: int, media_type: str = "text/plain; charset=utf-8") -> Response:
        return Response(b"", status, {"x-request-id": f"{self.number():032x}"}, media_type=media_type)

    # lists

    def _list(
        self,
        request: Request,
        name: str,
        order: Sequence[int],
        item: Callable[[int], T],
        wanted: Callable[[T], bool],
        render: Callable[[T], Json],
        path: str | None = None,
    ) -> Response:
        """One page of things in the order of their numbers, from ``since_id`` on (itself among them)."""
        query = request.query_params
        limit = min(max(int(text), 1), 100) if (text := query.get("limit", "")).isdigit() else 50
        last = _number(query["max_id"]) if "max_id" in query else None
        picked: list[int] = []
        for at in range(bisect_left(order, _number(query["since_id"])) if "since_id" in query else 0, len(order)):
            if len(picked) > limit or (last is not None and order[at] > last):
                break
            if wanted(item(order[at])):
                picked.append(order[at])
        body: Json = {name: [render(item(number)) for number in picked[:limit]]}
        if len(picked) > limit:
            body["paging"] = {"next": self._link(request, path or request.url.path, limit, picked[limit])}
        return self._json(body)

    def _link(self, request: Request, path: str, limit: int, since: int) -> str:
        kept = {name: request.query_params[name] for name in FILTERS if name in request.query_params}
        if path.endswith("/candidates") and "/jobs/" in path:
            kept.pop("shortcode", None)
        query = {"limit": limit, "since_id": hexed(since), **(kept if self.keeps_filters else {})}
        return f"{request.url.scheme}://{request.url.netloc}{path}?{urlencode(query)}"

    def _after(self, request: Request) -> Callable[[PlayedJob | PlayedRow], bool]:
        """The time filters: whole seconds, and whether the named second itself counts is a switch."""
        bounds = [
            (name.replace("_after", "_at"), _time(request.query_params[name]))
            for name in ("created_after", "updated_after")
            if name in request.query_params
        ]
        margin = 1 if self.strict_after else 0
        return lambda thing: all(int(getattr(thing, name)) >= bound + margin for name, bound in bounds)

    # jobs, stages, members

    async def _accounts(self, request: Request) -> Response:
        return self._json({"accounts": [self._this_account()]})

    async def _account(self, request: Request) -> Response:
        if request.path_params["subdomain"] != self.subdomain:
            raise Refused(404, "Not found")
        return self._json(self._this_account())

    def _this_account(self) -> Json:
        named = {"id": hexed(1_000), "name": self.subdomain.title(), "subdomain": self.subdomain}
        return {**named, "description": "Simulated", "summary": None, "website_url": None}

    async def _jobs(self, request: Request) -> Response:
        state, after = request.query_params.get("state"), self._after(request)
        texts = set(request.query_params.get("include_fields", "").split(",")) & {
            "description",
            "full_description",
            "requirements",
            "benefits",
        }

        def render(job: PlayedJob) -> Json:
            detail = job.detail(self.subdomain) if texts else {}
            return {**job.listed(self.subdomain), **{name: detail[name] for name in sorted(texts)}}

        def wanted(job: PlayedJob) -> bool:
            return state in {None, job.state} and after(job)

        return self._list(request, "jobs", list(self.jobs), self.jobs.__getitem__, wanted, render)

    async def _job(self, request: Request) -> Response:
        return self._json(self._asked_job(request).detail(self.subdomain))

    def _asked_job(self, request: Request) -> PlayedJob:
        return self._named_job(request.path_params["shortcode"])

    def _named_job(self, shortcode: Any) -> PlayedJob:
        if shortcode not in self.shortcodes:
            raise Refused(404, "Not found")
        return self.shortcodes[shortcode]

    async def _stages(self, request: Request) -> Response:
        pipelines = (
            [self._asked_job(request).pipeline] if "shortcode" in request.path_params else [*self.pipelines.values()]
        )
        return self._json({"stages": [stage.json() for pipeline in pipelines for stage in pipeline]})

    async def _members(self, request: Request) -> Response:
        query = request.query_params
        status = query.get("status", "active")

        def wanted(member: PlayedMember) -> bool:
            by_status = status == "all" or member.active is (status == "active")
            return by_status and query.get("email", member.email).casefold() == member.email.casefold()

        return self._list(
            request, "members", sorted(self.members), self.members.__getitem__, wanted, lambda member: member.json()
        )

    def _none_of(self, name: str) -> Handler:
        async def nothing(request: Request) -> Response:
            return self._json({name: []})

        return nothing

    async def _reasons(self, request: Request) -> Response:
        reasons = [
            {"id": hexed(77_000 + at), "description": text, "candidate_withdrew": withdrew, "position": at}
            for at, (text, withdrew) in enumerate(REASONS)
        ]
        return self._json(reasons)

    # candidates

    async def _candidates(self, request: Request) -> Response:
        self.settle()
        query = request.query_params
        shortcode = request.path_params.get("shortcode") or query.get("shortcode")
        job = self._named_job(shortcode) if shortcode else None
        email, stage, after = query.get("email"), query.get("stage"), self._after(request)

        def wanted(row: PlayedRow) -> bool:
            if self.ignores_filters:
                return True
            by_email = email is None or (row.email or "").casefold() == email.casefold()
            return by_email and job in {None, row.job} and stage in {None, row.stage.slug} and after(row)

        path = f"/spi/v3/jobs/{shortcode}/candidates" if shortcode else None
        return self._list(
            request,
            "candidates",
            self._range(email, job),
            self.rows.__getitem__,
            wanted,
            lambda row: row.listed(self.subdomain),
            path,
        )

    def _range(self, email: str | None, job: PlayedJob | None) -> Sequence[int]:
        """The shortest ordered list that holds all rows of a filter."""
        if email is not None and not self.ignores_filters:
            return sorted(self.by_email.get(email.casefold(), []))
        return self.order if job is None or self.ignores_filters else job.rows

    async def _candidate(self, request: Request) -> Response:
        return self._json({"candidate": self._asked_row(request).detail(self.subdomain)})

    def _asked_row(self, request: Request, *, write: bool = False) -> PlayedRow:
        self.settle()
        try:
            row = self.rows[number_of(request.path_params["id"])]
        except (KeyError, ValueError):
            raise Refused(404, "Not found") from None
        if write:
            _must_be_live(row.job)
        return row

    async def _create(self, request: Request) -> Response:
        self.settle()
        job, body = self._asked_job(request), await _body(request)
        _must_be_live(job)
        person = body.get("candidate", body)
        sourced = body.get("sourced", True) is not False
        stage = job.first_of("sourced" if sourced else "applied")
        if "stage" in request.query_params:
            stage = _stage(job, request.query_params["stage"])
        fields = self._judged(named(person), job)
        row = self.add_row("api", job, stage, fields, sourced=sourced, **self._born_flag(person))
        self._enter_lists(row, person)
        if not sourced:
            self.note("system", "mail", "candidate", hexed(row.number))
        if self.fills_in:
            self.later(partial(self.fill_in, row))
        return self._json({"status": "created", "candidate": row.detail(self.subdomain)}, 201)

    def _born_flag(self, person: Json) -> Json:
        if person.get("disqualified") is not True:
            return {"domain": person.get("domain")}
        reason = person.get("disqualification_reason")
        return {"disqualified": True, "disqualified_at": self.clock.now(), "reason": reason}

    def _judged(self, person: Json, job: PlayedJob, row: PlayedRow | None = None) -> Json:
        """The settable texts of a person; raises what Workable answers to a bad one."""
        fields = {name: person[name] for name in TEXTS if name in person}
        for name, value in fields.items():
            if value is not None and not isinstance(value, str):
                raise _invalid(name, "is invalid")
        told = {**({name: getattr(row, name) for name in TEXTS} if row else {}), **fields}
        email = told.get("email")
        if not (told.get("firstname") and (told.get("lastname") or row or person.get("name"))):
            raise _invalid("name", "can't be blank")
        if not email and (row is None or "email" in fields):
            raise _invalid("email", "can't be blank")
        if "email" in fields and not _is_mail(email):
            raise _invalid("email", "is invalid")
        if self.row_on(job, email) not in {None, row}:
            raise _invalid("email", "candidate already exists")
        return fields

    def _enter_lists(self, row: PlayedRow, person: Json) -> None:
        """Arrays replace whole; entries get new ids; skills come as texts; unknown social profiles are dropped."""
        for key, target, must in (
            ("education_entries", row.education, "school"),
            ("experience_entries", row.experience, "title"),
        ):
            if key in person:
                if any(not entry.get(must) for entry in person[key]):
                    raise _invalid(key, f"{must} can't be blank")
                target[:] = [{"id": hexed(283_000_000 + self.number()), **entry} for entry in person[key]]
        row.skills = list(person.get("skills", row.skills))
        row.tags = list(person.get("tags", row.tags))
        profiles = person.get("social_profiles", row.social)
        row.social = [profile for profile in profiles if str(profile.get("type")).lower() in SOCIAL]

    async def _patch(self, request: Request) -> Response:
        row, body = self._asked_row(request, write=True), await _body(request)
        person = body.get("candidate", body)
        fields = self._judged(person, row.job, row)
        self.change(row, "api", fields)
        self._enter_lists(row, person)
        return self._json({"candidate": row.detail(self.subdomain)})

    # actions

    async def _acting(self, request: Request) -> tuple[PlayedRow, Json, PlayedMember]:
        """The row, the body and the active member that an action needs."""
        row, body = self._asked_row(request, write=True), await _body(request)
        if not body.get("member_id"):
            raise Refused(422, f"{BLANK}member_id")
        try:
            member = self.members[number_of(str(body["member_id"]))]
        except (KeyError, ValueError):
            raise Refused(404, "Not found") from None
        if not member.active:
            raise Refused(422, "Member is inactive")
        return row, body, member

    async def _move(self, request: Request) -> Response:
        row, body, member = await self._acting(request)
        if not body.get("target_stage"):
            raise Refused(422, f"{BLANK}target_stage")
        stage = _stage(row.job, body["target_stage"])
        if row.disqualified:
            raise Refused(422, "Candidate is disqualified")
        if self.move_lag_s:
            self.later(partial(self._move_late, row, stage, member), self.move_lag_s)
        else:
            self.put_in(row, stage, "api", member)
        return self._empty(202)

    def _move_late(self, row: PlayedRow, stage: PlayedStage, member: PlayedMember) -> None:
        if row.number in self.rows and not row.disqualified:
            self.put_in(row, stage, "api", member)

    async def _disqualify(self, request: Request) -> Response:
        row, body, member = await self._acting(request)
        reason = self._reason(body.get("disqualify_reason_id")) or body.get("disqualification_reason")
        if len(str(body.get("disqualify_note") or "")) > 256:
            raise _invalid("disqualify_note", "is too long")
        self.flag(row, "api", withdrew=body.get("withdrew") is True, reason=reason, member=member)
        return self._empty(200)

    def _reason(self, id_: Any) -> str | None:
        if id_ is None:
            return None
        known = {hexed(77_000 + at): text for at, (text, _) in enumerate(REASONS)}
        if id_ not in known:
            raise Refused(404, "Not found")
        return known[id_]

    async def _revert(self, request: Request) -> Response:
        row, _, member = await self._acting(request)
        if not row.disqualified:
            raise Refused(422, "Candidate is not disqualified")
        self.lift(row, "api", member)
        return self._empty(200, "application/json; charset=utf-8")

    async def _comment(self, request: Request) -> Response:
        row, body, member = await self._acting(request)
        comment = body.get("comment")
        text = comment.get("body") if isinstance(comment, dict) else None
        if not text:
            raise Refused(422, f"{BLANK}comment")
        line = self.remark(row, "api", "comment", member=member, body=text)
        return self._json({"id": str(line.number)}, 201)

    async def _rate(self, request: Request) -> Response:
        row, body, member = await self._acting(request)
        rating = {"score": body.get("score"), "scale": body.get("scale"), "grade": body.get("grade")}
        self.remark(row, "api", "rating", member=member, body=body.get("comment"), rating=rating)
        return self._empty(201)

    async def _carry(self, request: Request, *, keep: bool) -> Response:
        row, body, _ = await self._acting(request)
        job = self._named_job(body.get("target_job_shortcode"))
        _must_be_live(job)
        if self.row_on(job, row.email) is not None:
            raise _invalid("email", "candidate already exists")
        slug = body.get("target_stage")
        if slug is not None:
            _stage(job, slug)
        new = self.carry(row, job, "api", keep=keep, slug=slug)
        return self._json(
            {"candidate": {"id": hexed(new.number), "url": new.listed(self.subdomain)["profile_url"]}}, 201
        )

    # activities

    async def _activities(self, request: Request) -> Response:
        row = self._asked_row(request)
        lines = {line.number: line for line in row.activities}
        actions = request.query_params.get("actions")
        return self._list(
            request,
            "activities",
            sorted(lines),
            lines.__getitem__,
            lambda line: actions is None or line.action in actions.split(","),
            lambda line: line.json(),
        )

    async def _job_activities(self, request: Request) -> Response:
        self.settle()
        job = self._asked_job(request)
        lines = {line.number: (self.rows[at], line) for at in job.rows for line in self.rows[at].activities}
        return self._list(
            request,
            "activities",
            sorted(lines),
            lines.__getitem__,
            lambda pair: True,
            lambda pair: pair[1].of_job(pair[0]),
        )

    # subscriptions and webhooks

    async def _subscriptions(self, request: Request) -> Response:
        return self._json({"subscriptions": [self._told_hook(hook) for hook in self.hooks.values()]})

    def _told_hook(self, hook: Hook) -> Json:
        wish = self.subscriptions[hook.id]
        return {
            "id": int(hook.id),
            "event": hook.events[0],
            "target": hook.url,
            "valid_until": None,
            "created_at": millis(wish.created_at),
            "stage_slug": wish.stage_slug or None,
            "job_shortcode": wish.job_shortcode or None,
        }

    async def _subscribe(self, request: Request) -> Response:
        body = await _body(request)
        for name in ("target", "event"):
            if not isinstance(body.get(name), str) or not body[name]:
                raise Refused(422, f"{BLANK}{name}")
        args = body.get("args")
        if args is not None and not {"job_shortcode", "stage_slug"} <= set(args):
            raise Refused(422, f"{BLANK}args")
        if body["event"] not in EVENTS:
            raise Refused(422, "Event is unknown")
        filters = {name: args[name] or "" for name in ("job_shortcode", "stage_slug")} if args else {}
        id_ = self.subscribe(body["target"], body["event"], token=self.token_of(request.headers), **filters)
        return self._json({"id": int(id_)}, 201)

    def subscribe(
        self, target: str, event: str, *, token: str | None = None, job_shortcode: str = "", stage_slug: str = ""
    ) -> str:
        """Register one address for one event, signed with the token that asked; addresses are unique."""
        if any(hook.url == target for hook in self.hooks.values()):
            raise Refused(409, "Target has already been taken")
        id_ = str(104_697 + self.number())
        self.subscriptions[id_] = Subscription(id_, self.clock.now(), job_shortcode, stage_slug)
        self.hooks[id_] = Hook(id_, target, (event,), token or self.tokens[0])
        return id_

    async def _unsubscribe(self, request: Request) -> Response:
        if self.hooks.pop(request.path_params["id"], None) is None:
            raise Refused(404, "Not found")
        return self._json({})

    def announce(self, event: str, row: PlayedRow) -> None:
        """Send an event; what it tells of the row is the state at each sending."""
        head = {"event_type": event, "id": f"{self.number():024x}", "fired_at": millis(self.clock.now())}
        wants = partial(self._wants, row.job.shortcode, row.stage.slug)
        self.emit(event, partial(self._event, head, row), self._signed, wants)

    def _event(self, head: Json, row: PlayedRow) -> bytes:
        self.settle()
        data = row.detail(self.subdomain) if row.number in self.rows else {"id": hexed(row.number)}
        return orjson.dumps({**head, "resource_type": "candidate", "data": data})

    def _wants(self, shortcode: str, slug: str, hook: Hook) -> bool:
        wish = self.subscriptions.get(hook.id)
        return wish is None or (wish.job_shortcode in {"", shortcode} and wish.stage_slug in {"", slug})

    def _signed(self, hook: Hook, body: bytes) -> Mapping[str, str]:
        key = (hook.secret or self.tokens[0]).encode()
        return {"X-Workable-Signature": hmac.new(key, body, hashlib.sha256).hexdigest()}

    def is_taken(self, status: int) -> bool:
        """Workable wants exactly 200."""
        return status == 200


async def _body(request: Request) -> Json:
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise Refused(400, "Bad request") from None
    if not isinstance(body, dict) or not isinstance(body.get("candidate", {}), dict):
        raise Refused(422, f"{BLANK}candidate")
    return body


def _must_be_live(job: PlayedJob) -> None:
    if job.state == "archived":
        raise Refused(403, "Forbidden")


def _stage(job: PlayedJob, slug: Any) -> PlayedStage:
    stage = job.stage_by_slug(slug)
    if stage is None:
        raise Refused(422, "Stage is invalid")
    return stage


def _invalid(name: str, complaint: str) -> Refused:
    return Refused(422, f"Validation failed: {name.capitalize()} {complaint}", {name: [complaint]})


def _is_mail(text: Any) -> bool:
    local, _, domain = str(text).partition("@")
    return bool(local) and "." in domain and "@" not in domain and " " not in str(text)


def _number(id_: str) -> int:
    try:
        return number_of(id_)
    except ValueError:
        raise Refused(422, "param is invalid") from None


def _time(text: str) -> float:
    """A time filter: Unix seconds, or ISO 8601 in its basic or extended form."""
    if text.isdigit() and len(text) > 8:
        return float(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(422, "param is invalid") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
