"""Ninjahire, played from its public API reference: an ASGI app for demos, tests and a user's own trials. Simulated.

Sources as in the package's docstring. What they leave open is assumed here, harsh rather than kind: sizes above 100
are clamped without a word, lists tell the newest first, ``count`` means the total or the page's length by switch, a
``source_id`` that is there already is a 409, and an ACTIVE application has its person phoned some minutes later.
Whoever is phoned stands in the log as an effect ``phoned``, by whom the call was caused.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import httpx
import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from connectors.ninjahire import sandbox_forms as forms
from connectors.ninjahire.sandbox_hooks import DEFAULT_FIELDS, JSON, Subscriptions, delivery_headers
from connectors.ninjahire.sandbox_interviews import Interviews
from connectors.ninjahire.sandbox_rows import (
    APPLICATION_BLANK,
    JOB_BLANK,
    PERSON_BLANK,
    Refused,
    RefusedAtTheDoor,
    Row,
    Rows,
    answer,
    body_of,
    file_of,
    iso,
)
from syncd.clock import Clock
from syncd.sandbox import Hook, Limit, Sandbox

LARGEST_SIZE = 100
PHONES_AFTER_S = 300.0  # how long an application is ACTIVE before its person is phoned
CALL_LASTS_S = 120.0
APPLICATION_EVENT, CALL_EVENT = "application_activty", "call_activity"
SCREENING_STATUSES = ("pending", "completed")
HTTP_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    429: "Too Many Requests",
}

FIRST_NAMES = ("Ada", "Bruno", "Chidi", "Dolores", "Emre", "Fatima", "Goran", "Hana", "Ivo", "Jun", "Keiko", "Lena")
LAST_NAMES = ("Abara", "Brandt", "Castillo", "Dimitrova", "Eklund", "Ferrante", "Grahovac", "Hosseini", "Ito", "Jansen")
TITLES = ("Welder", "Forklift driver", "Night nurse", "Line cook", "Field technician", "Payroll clerk", "Tiler")
STAGES = ("Applied", "Screening", "Interview", "Offer", "Hired", "Rejected")


class NinjahireSandbox(Sandbox):
    """One tenant's Ninjahire.

    ``count``: ``total`` or ``page``, what a list's ``count`` means. ``filters``: ``exact``, ``prefix`` or ``ignored``,
    how the source-id filters match. ``first_page`` and ``largest_size`` bound the lists; ``phones_after_s`` is how
    long an application is ACTIVE before its person is phoned.
    """

    system = "ninjahire"
    limits = (Limit(60, 60.0),)

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        tokens: Sequence[str] = ("sandbox-token",),
        client: httpx.AsyncClient | None = None,
        limits: Sequence[Limit] | None = None,
        count: str = "total",
        filters: str = "exact",
        first_page: int = 1,
        largest_size: int = LARGEST_SIZE,
        phones_after_s: float = PHONES_AFTER_S,
    ) -> None:
        self.count = count
        self.first_page = first_page
        self.largest_size = largest_size
        self.phones_after_s = phones_after_s
        self.table = Rows(clock, rng, filters)
        self.rows = self.table.of
        self.interviews = Interviews(self.table, self.note)
        self.subscriptions = Subscriptions(self.table)
        self.calls: dict[str, Row] = {}
        self._resumes: dict[str, bytes] = {}
        self._active_since: dict[str, int] = {}
        self._agenda: list[tuple[float, Callable[[], None]]] = []
        super().__init__(clock=clock, rng=rng, tokens=tokens, client=client, limits=limits)

    # what the system says in its own way

    def routes(self) -> Sequence[Route]:
        """The routes of the reference."""
        one_job, one_application = "/v1/jobs/{id}", "/v1/applications/{id}"
        table = (
            ("GET", "/v1/jobs", self._list_jobs),
            ("POST", "/v1/jobs", self._post_job),
            ("GET", one_job, self._get_job),
            ("PATCH", one_job, self._patch_job),
            *self.interviews.routes(),
            ("GET", "/v1/candidates", self._list_candidates),
            ("POST", "/v1/candidates", self._post_candidate),
            ("GET", "/v1/candidates/{id}", self._get_candidate),
            ("PATCH", "/v1/candidates/{id}", self._patch_candidate),
            ("GET", "/v1/applications", self._list_applications),
            ("POST", "/v1/applications", self._post_application),
            ("POST", "/v1/applications/with-questions", self._post_with_questions),
            ("GET", one_application, self._get_application),
            ("PATCH", one_application, self._patch_application),
            ("POST", f"{one_application}/instant-call", self._instant_call),
            ("GET", "/v1/calls", self._list_calls),
            ("GET", "/v1/calls/{id}", self._get_call),
            ("GET", "/v1/tenant-webhook", self._get_webhook),
            ("POST", "/v1/tenant-webhook", self._post_webhook),
            ("POST", "/v1/tenant-webhook/subscribe/{id}", self._subscribe),
            ("POST", "/v1/tenant-webhook/unsubscribe/{id}", self._unsubscribe),
        )
        return [Route(path, handler, methods=[method]) for method, path, handler in table]

    def exception_handlers(self) -> Mapping[Any, Callable[[Request, Exception], Response]]:
        """The backend's own form, and the gateway's."""

        def backend(request: Request, error: Exception) -> Response:
            assert isinstance(error, Refused)
            title = HTTP_TITLES[error.status]
            return answer({"message": error.message, "statusCode": error.status, "error": title}, error.status)

        def gateway(request: Request, error: Exception) -> Response:
            assert isinstance(error, RefusedAtTheDoor | HTTPException)
            status = error.status if isinstance(error, RefusedAtTheDoor) else error.status_code
            return self._problem(status, error.detail, request.url.path)

        return {Refused: backend, RefusedAtTheDoor: gateway, HTTPException: gateway}

    def refuse_token(self, request: Request) -> Response:
        """The gateway's 401."""
        return self._problem(401, "No authorization header, or its API key is not known", request.url.path)

    def refuse_rate(self, limit: Limit, wait_s: float) -> Response:
        """The gateway's 429 with ``Retry-After``."""
        response = self._problem(429, f"Rate limit of {limit.calls} exceeded", "")
        response.headers["Retry-After"] = str(max(1, -int(-wait_s // 1)))
        return response

    def _problem(self, status: int, detail: str, path: str) -> Response:
        trace = {"timestamp": iso(self.clock.now()), "requestId": f"simulated-{self.number()}", "buildId": "simulated"}
        body = {
            "type": f"https://httpproblems.com/http-status/{status}",
            "title": HTTP_TITLES.get(status, "Error"),
            "status": status,
            "detail": detail,
            "instance": path,
            "trace": trace,
        }
        return Response(orjson.dumps(body), status, media_type="application/problem+json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI app; what was put on the agenda before a loop ran starts now."""
        self._start_agenda()
        await super().__call__(scope, receive, send)

    # lists

    def _page_of(self, request: Request, rows: Iterable[Row]) -> Response:
        page, size = self._asked(request, "page"), self._asked(request, "size")
        if page < self.first_page or size < 1:
            raise RefusedAtTheDoor(400, "page or size is below its least value")
        ordered, size = list(rows), min(size, self.largest_size)
        start = (page - self.first_page) * size
        part = ordered[start : start + size]
        return answer({"data": part, "count": len(ordered) if self.count == "total" else len(part)})

    def _asked(self, request: Request, name: str) -> int:
        try:
            return int(request.query_params[name])
        except (KeyError, ValueError):
            raise RefusedAtTheDoor(400, f"Query parameter {name} is required and must be an integer") from None

    def _found(self, request: Request, kind: str, *names: str) -> list[Row]:
        return self.table.filtered(self.table.newest(kind), request.query_params, *names)

    async def _list_jobs(self, request: Request) -> Response:
        return self._page_of(request, self._found(request, "job", "source_id"))

    async def _list_candidates(self, request: Request) -> Response:
        return self._page_of(request, self._found(request, "candidate", "source_id"))

    async def _list_applications(self, request: Request) -> Response:
        rows = self._found(request, "application", "source_id", "job_source_id", "candidate_source_id")
        asked = request.query_params
        if (job_id := asked.get("job_id")) is None:
            return self._page_of(request, rows)
        statuses = [word for word in asked.get("filter_screening_status", "").split(",") if word]
        rows = [
            row
            for row in rows
            if row["job_id"] == job_id and row["screening_status"] in (statuses or SCREENING_STATUSES)
        ]
        if asked.get("sort_column") == "score":
            rows.sort(key=lambda row: row["score"] or -1, reverse=asked.get("sort_direction") == "DESC")
        return self._page_of(request, rows)

    async def _list_calls(self, request: Request) -> Response:
        names = ("job_id", "candidate_id", "application_id")
        sources = ("application_source_id", "job_source_id", "candidate_source_id")
        rows = [{**call, **self._sources(call)} for call in reversed(self.calls.values())]
        asked = request.query_params
        rows = [row for row in rows if all(asked.get(name) in (None, row[name]) for name in names)]
        return self._page_of(request, self.table.filtered(rows, asked, *sources))

    def _sources(self, call: Row) -> Row:
        kinds = ("application", "job", "candidate")
        return {f"{kind}_source_id": self.rows[kind].get(call[f"{kind}_id"], {}).get("source_id") for kind in kinds}

    # jobs

    async def _post_job(self, request: Request) -> Response:
        fields = await body_of(request, forms.JOB)
        self.table.refuse_taken("job", fields["source_id"])
        return answer(self._bear("job", {**JOB_BLANK, **fields}, "api"), 201)

    async def _get_job(self, request: Request) -> Response:
        return answer(self.table.one("job", request))

    async def _patch_job(self, request: Request) -> Response:
        row = self.table.one("job", request)
        return answer(self._change("job", row, await body_of(request, forms.JOB_PATCH), "api"))

    # candidates

    async def _post_candidate(self, request: Request) -> Response:
        fields = await body_of(request, forms.CANDIDATE)
        self.table.refuse_taken("candidate", fields["source_id"])
        return answer(self._bear("candidate", {**PERSON_BLANK, "status": "Applied", **fields}, "api"), 201)

    async def _get_candidate(self, request: Request) -> Response:
        return answer(self.table.one("candidate", request))

    async def _patch_candidate(self, request: Request) -> Response:
        row = self.table.one("candidate", request)
        fields = await body_of(request, forms.CANDIDATE_PATCH)
        if fields["source_id"] != row["source_id"]:
            self.table.refuse_taken("candidate", fields["source_id"])
        return answer(self._change("candidate", row, fields, "api"))

    # applications

    async def _post_application(self, request: Request) -> Response:
        row = self._take_application(await body_of(request, forms.APPLICATION))
        self._keep(row, await file_of(request))
        return answer(row, 201)

    async def _post_with_questions(self, request: Request) -> Response:
        fields = await body_of(request, forms.WITH_QUESTIONS)
        questions = fields.pop("questions", None) or []
        row = self._take_application(fields)
        asked = [
            self.interviews.ask(row["job_id"], {**forms.QUESTION.taken(question), "application_id": row["id"]})
            for question in questions
        ]
        return answer({**row, "questions": asked}, 201)

    def _take_application(self, fields: Row) -> Row:
        """An application belongs to the records that its ids name, else to those of its source ids."""
        if "source_id" in fields:
            self.table.refuse_taken("application", fields["source_id"])
        parents = {f"{kind}_id": self.table.parent(kind, fields)["id"] for kind in ("job", "candidate")}
        stage = fields["application_stage"].upper()
        return self._bear("application", {**APPLICATION_BLANK, **fields, **parents, "application_stage": stage}, "api")

    async def _get_application(self, request: Request) -> Response:
        row = self.table.one("application", request)
        beside = {kind: self.rows[kind].get(row[f"{kind}_id"]) for kind in ("candidate", "job")}
        return answer({**row, **beside})

    async def _patch_application(self, request: Request) -> Response:
        row = self.table.one("application", request)
        fields = await body_of(request, forms.APPLICATION_PATCH)
        fields["application_stage"] = fields["application_stage"].upper()
        file = await file_of(request)
        self._change("application", row, fields, "api")
        self._keep(row, file)
        return answer(row)

    def _keep(self, row: Row, file: bytes | None) -> None:
        """A new résumé takes the place of the old one, and is never told."""
        if file is not None:
            self._resumes[row["id"]] = file
            self.note("api", "attach", "application", row["id"], after={"bytes": len(file)})

    def resume_of(self, application_id: str) -> bytes | None:
        """The content of an application's résumé, for judges."""
        return self._resumes.get(application_id)

    # calls

    async def _instant_call(self, request: Request) -> Response:
        call = self._phone(self.table.one("application", request), "api")
        return answer({"status": "call_initiated", "call_id": call["call_id"]}, 201)

    async def _get_call(self, request: Request) -> Response:
        call = self.calls.get(request.path_params["id"])
        if call is None:
            raise Refused(404, "Call not found")
        return answer(call)

    def _phone_later(self, row: Row, by: str) -> None:
        """An application that became ACTIVE has its person phoned, unless it became PASSIVE in the meantime."""
        turn = self._active_since[row["id"]] = self.number()

        def ring() -> None:
            if self._active_since.get(row["id"]) == turn and row["id"] in self.rows["application"]:
                self._phone(row, by)

        self._later(self.phones_after_s, ring)

    def _phone(self, row: Row, by: str) -> Row:
        call = self._call(row, by)
        self._later(CALL_LASTS_S, lambda: self._hang_up(call, self.rng.randrange(40, 100)))
        return call

    def _call(self, row: Row, by: str) -> Row:
        call: Row = {
            "call_id": self.table.new_id(),
            "call_status": "call_in_progress",
            "ninjahire_intelligence": "call_inconclusive",
            "call_direction": "outgoing",
            "recording_url": None,
            "call_score": None,
            "call_summary": None,
            "call_digest": None,
            "transcript": None,
            "application_id": row["id"],
            "candidate_id": row["candidate_id"],
            "job_id": row["job_id"],
        }
        self.calls[call["call_id"]] = call
        self.note(by, "phoned", "application", row["id"], after={"call_id": call["call_id"]})
        return call

    def call(self, application_id: str, *, score: int = 72, digest: str = "Could start in two weeks.") -> str:
        """Somebody lets an applicant be phoned, and the call is over at once; its id."""
        call = self._call(self.rows["application"][application_id], "human")
        self._hang_up(call, score, digest)
        call_id: str = call["call_id"]
        return call_id

    def _hang_up(self, call: Row, score: int, digest: str = "Could start in two weeks.") -> None:
        said = "BOT: When could you start?\nHUMAN: In two weeks."
        call.update(
            call_status="call_completed",
            ninjahire_intelligence="call_success",
            call_score=score,
            call_summary={"availability": "two weeks"},
            call_digest=digest,
            transcript=said,
        )
        row = self.rows["application"].get(call["application_id"])
        if row is not None:
            self._change("application", row, {"screening_status": "completed", "score": score}, "system")
        self._tell(CALL_EVENT, {**call, "id": call["call_id"], "status": call["call_status"]})

    def _later(self, wait_s: float, act: Callable[[], None]) -> None:
        self._agenda.append((self.clock.now() + wait_s, act))
        self._start_agenda()

    def _start_agenda(self) -> None:
        """Let each thing on the agenda wait for its time; before a loop runs, it stays on the agenda."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        for at, act in self._agenda:
            task = loop.create_task(self._act_at(at, act))
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)
        self._agenda.clear()

    async def _act_at(self, at: float, act: Callable[[], None]) -> None:
        await self.clock.sleep_until(at)
        act()

    # webhooks: their subscriptions

    async def _get_webhook(self, request: Request) -> Response:
        return answer(self.subscriptions.told())

    async def _post_webhook(self, request: Request) -> Response:
        """Create, or update the tenant's one subscription of that event."""
        fields = await body_of(request, forms.TENANT_WEBHOOK)
        known = self.subscriptions.of_event(fields["triggered_event"])
        return answer(self._hooked(self.subscriptions.keep({**known, **fields})), 200 if known else 201)

    async def _subscribe(self, request: Request) -> Response:
        return answer(self._hooked(self.subscriptions.switch(request.path_params["id"], is_deleted=False)))

    async def _unsubscribe(self, request: Request) -> Response:
        return answer(self._hooked(self.subscriptions.switch(request.path_params["id"], is_deleted=True)))

    def _hooked(self, row: Row) -> Row:
        active = bool(row["is_active"]) and not row["is_deleted"]
        self.hooks[row["id"]] = Hook(row["id"], row["url"], (row["triggered_event"],), row["secret"] or "", active)
        return row

    def subscribe(
        self,
        url: str,
        *,
        secret: str = "",
        event: str = APPLICATION_EVENT,
        fields: Sequence[str] = DEFAULT_FIELDS,
        http_method: str = "POST",
        content_type: str = JSON,
    ) -> str:
        """Subscribe an address to an event, as the tenant's settings page would; the subscription's id."""
        row = {"tenant_id": self.subscriptions.tenant_id, "triggered_event": event, "type": "post_call_screening"}
        sent = {"fields": list(fields), "url": url, "http_method": http_method, "content_type": content_type}
        id_: str = self._hooked(self.subscriptions.keep({**row, **sent, "secret": secret or None}))["id"]
        return id_

    # webhooks: their deliveries

    def _tell(self, event: str, told: Row) -> None:
        """Deliver to each subscription the fields that it names."""
        for hook in list(self.hooks.values()):
            self.emit(event, self.subscriptions.payload(hook.id, told), self._headers, partial(_is, hook))

    def _headers(self, hook: Hook, body: bytes) -> dict[str, str]:
        return delivery_headers(hook.secret, body, self.clock.now())

    async def _taken(self, hook: Hook, body: bytes, headers: Mapping[str, str]) -> bool:
        """Deliver once, by the method and in the form that the subscription names."""
        assert self.client is not None
        method, kind, content = self.subscriptions.request(hook.id, body)
        try:
            with self.clock.busy():
                named = {**headers, "Content-Type": kind}
                taken = await self.client.request(method, hook.url, content=content, headers=named)
        except httpx.HTTPError:
            return False
        return self.is_taken(taken.status_code)

    # the rows

    def _bear(self, kind: str, fields: Row, by: str, created_at: float | None = None) -> Row:
        row = self.table.bear(kind, fields, created_at)
        self.note(by, "create", kind, row["id"], after=fields)
        if kind == "application":
            self._act_on_application(row, {}, by)
        return row

    def _change(self, kind: str, row: Row, fields: Row, by: str) -> Row:
        before, after = self.table.change(row, fields)
        if after:
            action = "move" if "source_application_status" in after else "update"
            self.note(by, action, kind, row["id"], before, after)
            if kind == "application":
                self._act_on_application(row, before, by)
        return row

    def _act_on_application(self, row: Row, before: Row, by: str) -> None:
        """What follows an application's birth or change: a call where it became ACTIVE, and the webhook."""
        if row["application_stage"] != "ACTIVE":
            self._active_since.pop(row["id"], None)
        elif not before or "application_stage" in before:
            self._phone_later(row, by)
        status = row["source_application_status"]
        self._tell(APPLICATION_EVENT, {**row, "application_id": row["id"], "status": status})

    # what people do, and what judges read

    def add_job(self, *, title: str, code: str | None = None, created_at: float | None = None, **fields: Any) -> str:
        """Somebody opens a job by hand; its id."""
        made_up = {
            "title": title,
            "job_code": code,
            "status": "Active",
            "industry": "Staffing",
            "state_name": "TX",
            "country": "United States",
            "desc": f"{title} wanted.",
            "recruiter_name": "Robin Vale",
            "recruiter_email": "robin.vale@example.test",
            "recruiter_work_phone_no": "+12025550199",
        }
        job_id: str = self._bear("job", {**JOB_BLANK, **made_up, **fields}, "human", created_at)["id"]
        return job_id

    def apply(
        self,
        job_id: str,
        *,
        email: str,
        name: str | None = None,
        phone: str | None = None,
        stage: str = "Applied",
        application_stage: str = "PASSIVE",
        created_at: float | None = None,
        **person: Any,
    ) -> str:
        """A person applies: the candidate of that e-mail, or a new one, and an application; its id.

        ``person`` holds further fields in the system's words. PASSIVE unless said otherwise, so nobody is phoned.
        """
        known = [row for row in self.rows["candidate"].values() if row["email"].casefold() == email.casefold()]
        candidate = known[0] if known else self._meet(email, name, phone, created_at, person)
        job = self.rows["job"][job_id]
        fields = {
            **APPLICATION_BLANK,
            "candidate_id": candidate["id"],
            "job_id": job_id,
            "candidate_source_id": candidate["source_id"],
            "job_source_id": job["source_id"],
            "source_application_status": stage,
            "application_stage": application_stage,
        }
        application_id: str = self._bear("application", fields, "human", created_at)["id"]
        return application_id

    def _meet(
        self, email: str, name: str | None, phone: str | None, created_at: float | None, person: Mapping[str, Any]
    ) -> Row:
        first, _, last = (name or email.partition("@")[0]).partition(" ")
        told = {"first_name": first, "last_name": last or None, "email": email, "phone_no": phone}
        blank = {**PERSON_BLANK, "source": "Ninjahire", "status": "Applied"}
        return self._bear("candidate", {**blank, **told, **person}, "human", created_at)

    def edit(self, kind: str, id: str, **fields: Any) -> None:  # noqa: A002  # the word of all five systems
        """Somebody changes fields of a record by hand."""
        self._change(kind, self.rows[kind][id], fields, "human")

    def move(self, application_id: str, stage_word: str) -> None:
        """Somebody moves an application."""
        self.edit("application", application_id, source_application_status=stage_word)

    def vanish(self, kind: str, id: str) -> None:  # noqa: A002  # the word of all five systems
        """A record is not there any more, as after a merge or a lost permission (the API has no delete)."""
        gone = self.rows[kind].pop(id)
        self.note("human", "delete", kind, id, before=gone)

    def fill(self, *, jobs: int, people: int) -> None:
        """Fill with made-up jobs and people, each person with one application, spread over the last month."""
        now = self.clock.now()
        for number in range(jobs):
            at = now - self.rng.randrange(86_400 * 15, 86_400 * 30)
            self.add_job(title=self.rng.choice(TITLES), code=f"NH-{number + 1}", created_at=at)
        job_ids = list(self.rows["job"])
        for number in range(people):
            first, last = self.rng.choice(FIRST_NAMES), self.rng.choice(LAST_NAMES)
            self.apply(
                self.rng.choice(job_ids),
                name=f"{first} {last}",
                email=f"{first}.{last}.{number + 1}@example.com".lower(),
                phone=f"+1202555{self.rng.randrange(100, 200):04d}",
                stage=self.rng.choice(STAGES),
                created_at=now - self.rng.randrange(86_400 * 15),
            )

    def snapshot(self) -> dict[str, dict[str, Row]]:
        """All records as they are, for judges: kind -> id -> fields; an application with its job, candidate, stage."""
        told = {kind: {id_: dict(row) for id_, row in rows.items()} for kind, rows in self.rows.items()}
        told["screening"] = {id_: dict(call) for id_, call in self.calls.items()}
        for row in told["application"].values():
            row.update(job=row["job_id"], candidate=row["candidate_id"], stage=row["source_application_status"])
        return told


def _is(wanted: Hook, hook: Hook) -> bool:
    return hook is wanted
