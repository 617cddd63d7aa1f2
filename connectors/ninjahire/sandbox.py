"""Ninjahire, played from its public API reference: an ASGI app for demos, tests and a user's own trials. Simulated.

Sources as in the package's docstring. What they leave open is assumed here, harsh rather than kind: sizes above 100
are clamped without a word, lists tell the newest first, ``count`` means the total or the page's length by switch, a
``source_id`` that is there already is a 409, and an ACTIVE application has its person phoned some minutes later.
Whoever is phoned stands in the log as an effect ``phoned``, by whom the call was caused.
"""

import asyncio
import hashlib
import hmac
import random
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from connectors.ninjahire import sandbox_forms as forms
from syncd.clock import Clock
from syncd.sandbox import Hook, Limit, Sandbox

LARGEST_SIZE = 100
PHONES_AFTER_S = 300.0  # how long an application is ACTIVE before its person is phoned
CALL_LASTS_S = 120.0
APPLICATION_EVENT, CALL_EVENT = "application_activty", "call_activity"
DEFAULT_FIELDS = ("id", "status", "candidate_id", "job_id")  # the reference's example

Row = dict[str, Any]

JOB_BLANK: Row = dict.fromkeys(
    (
        "client_name", "job_code", "address", "workplace_type", "city", "zip_code", "employment_type", "duration",
        "start_date", "end_date", "posting_date", "pay_frequency", "min_pay_rate", "max_pay_rate", "pay_rate_currency",
        "source_id",
    )
)  # fmt: skip
PERSON_BLANK: Row = dict.fromkeys(
    (
        "last_name", "phone_no", "city", "state_name", "country", "source", "source_id", "recruiter_name",
        "recruiter_email", "recruiter_work_phone_no",
    )
)  # fmt: skip
APPLICATION_BLANK: Row = {"source_id": None, "screening_status": "pending", "score": None}

FIRST_NAMES = ("Ada", "Bruno", "Chidi", "Dolores", "Emre", "Fatima", "Goran", "Hana", "Ivo", "Jun", "Keiko", "Lena")
LAST_NAMES = ("Abara", "Brandt", "Castillo", "Dimitrova", "Eklund", "Ferrante", "Grahovac", "Hosseini", "Ito", "Jansen")
TITLES = ("Welder", "Forklift driver", "Night nurse", "Line cook", "Field technician", "Payroll clerk", "Tiler")
STAGES = ("Applied", "Screening", "Interview", "Offer", "Hired", "Rejected")


class Refused(Exception):
    """A request that the backend refuses, in its own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class RefusedAtTheDoor(Exception):
    """A request that the gateway in front of the backend refuses."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def answer(body: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(body), status, media_type="application/json")


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
        super().__init__(clock=clock, rng=rng, tokens=tokens, client=client, limits=limits)
        self.count = count
        self.filters = filters
        self.first_page = first_page
        self.largest_size = largest_size
        self.phones_after_s = phones_after_s
        self.tenant_id = self._new_id()
        self.rows: dict[str, dict[str, Row]] = {"job": {}, "candidate": {}, "application": {}}
        self.calls: dict[str, Row] = {}
        self.questions: dict[str, Row] = {}
        self.schedules: dict[str, Row] = {}
        self.scheduling: dict[str, bool] = {}
        self.subscriptions: dict[str, Row] = {}
        self._born: dict[str, tuple[float, int]] = {}
        self._touched_ms: dict[str, int] = {}
        self._active_since: dict[str, int] = {}
        self._agenda: list[tuple[float, Callable[[], None]]] = []

    # what the system says in its own way

    def routes(self) -> Sequence[Route]:
        """The routes of the reference."""
        one_job, one_application = "/v1/jobs/{id}", "/v1/applications/{id}"
        table = (
            ("GET", "/v1/jobs", self._list_jobs),
            ("POST", "/v1/jobs", self._post_job),
            ("GET", one_job, self._get_job),
            ("PATCH", one_job, self._patch_job),
            ("GET", f"{one_job}/scheduling", self._get_scheduling),
            ("PATCH", f"{one_job}/scheduling", self._patch_scheduling),
            ("GET", f"{one_job}/schedule-setting", self._get_schedule),
            ("PUT", f"{one_job}/schedule-setting", self._put_schedule),
            ("GET", f"{one_job}/questions", self._list_questions),
            ("POST", f"{one_job}/questions", self._post_question),
            ("POST", f"{one_job}/questions/generate", self._generate_questions),
            ("PATCH", f"{one_job}/questions/{{question_id}}", self._patch_question),
            ("DELETE", f"{one_job}/questions/{{question_id}}", self._delete_question),
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

    def _newest(self, kind: str) -> list[Row]:
        return sorted(self.rows[kind].values(), key=lambda row: self._born[row["id"]], reverse=True)

    def _matches(self, told: str | None, asked: str | None) -> bool:
        if asked is None or self.filters == "ignored":
            return True
        return told is not None and (told.startswith(asked) if self.filters == "prefix" else told == asked)

    def _filtered(self, request: Request, rows: list[Row], *names: str) -> list[Row]:
        asked = request.query_params
        return [row for row in rows if all(self._matches(row.get(name), asked.get(name)) for name in names)]

    async def _list_jobs(self, request: Request) -> Response:
        return self._page_of(request, self._filtered(request, self._newest("job"), "source_id"))

    async def _list_candidates(self, request: Request) -> Response:
        return self._page_of(request, self._filtered(request, self._newest("candidate"), "source_id"))

    async def _list_applications(self, request: Request) -> Response:
        rows = self._filtered(request, self._newest("application"), "source_id", "job_source_id", "candidate_source_id")
        asked = request.query_params
        if (job_id := asked.get("job_id")) is None:
            return self._page_of(request, rows)
        statuses = [word for word in asked.get("filter_screening_status", "").split(",") if word]
        rows = [row for row in rows if row["job_id"] == job_id and row["screening_status"] in (statuses or ANY_STATUS)]
        if asked.get("sort_column") == "score":
            rows.sort(key=lambda row: row["score"] or -1, reverse=asked.get("sort_direction") == "DESC")
        return self._page_of(request, rows)

    async def _list_calls(self, request: Request) -> Response:
        names = ("job_id", "candidate_id", "application_id")
        sources = ("application_source_id", "job_source_id", "candidate_source_id")
        rows = [{**call, **self._sources(call)} for call in reversed(self.calls.values())]
        asked = request.query_params
        rows = [row for row in rows if all(asked.get(name) in (None, row[name]) for name in names)]
        return self._page_of(request, self._filtered(request, rows, *sources))

    def _sources(self, call: Row) -> Row:
        kinds = ("application", "job", "candidate")
        return {f"{kind}_source_id": self.rows[kind].get(call[f"{kind}_id"], {}).get("source_id") for kind in kinds}

    # jobs

    async def _post_job(self, request: Request) -> Response:
        fields = await self._body(request, forms.JOB)
        self._refuse_taken("job", fields["source_id"])
        return answer(self._bear("job", {**JOB_BLANK, **fields}, "api"), 201)

    async def _get_job(self, request: Request) -> Response:
        return answer(self._one("job", request))

    async def _patch_job(self, request: Request) -> Response:
        row = self._one("job", request)
        return answer(self._change("job", row, await self._body(request, forms.JOB_PATCH), "api"))

    async def _get_scheduling(self, request: Request) -> Response:
        job_id = self._one("job", request)["id"]
        return answer({"job_id": job_id, "scheduling": self.scheduling.get(job_id, False)})

    async def _patch_scheduling(self, request: Request) -> Response:
        job_id = self._one("job", request)["id"]
        self.scheduling[job_id] = (await self._body(request, forms.SCHEDULING))["scheduling"]
        self.note("api", "scheduling", "job", job_id, after={"scheduling": self.scheduling[job_id]})
        return answer({"job_id": job_id, "scheduling": self.scheduling[job_id]})

    async def _get_schedule(self, request: Request) -> Response:
        job_id = self._one("job", request)["id"]
        if job_id not in self.schedules:
            raise Refused(404, "Schedule setting not found")
        return answer(self.schedules[job_id])

    async def _put_schedule(self, request: Request) -> Response:
        job_id = self._one("job", request)["id"]
        fields = await self._body(request, forms.SCHEDULE)
        known = self.schedules.get(job_id, {"id": self._new_id(), "job_id": job_id})
        self.schedules[job_id] = {"id": known["id"], "job_id": job_id, **fields}
        self.note("api", "schedule", "job", job_id, after=fields)
        return answer(self.schedules[job_id])

    # questions

    async def _list_questions(self, request: Request) -> Response:
        job_id = self._one("job", request)["id"]
        return answer([question for question in self.questions.values() if question["job_id"] == job_id])

    async def _post_question(self, request: Request) -> Response:
        job_id = self._one("job", request)["id"]
        return answer(self._ask_question(job_id, await self._body(request, forms.QUESTION)), 201)

    async def _generate_questions(self, request: Request) -> Response:
        job = self._one("job", request)
        texts = (f"What draws you to work as {job['title']}?", "When could you start?", "Which shifts suit you?")
        made = [{"question_text": text, "source_id": f"generated-{self.number()}"} for text in texts]
        return answer([self._ask_question(job["id"], question) for question in made], 201)

    def _ask_question(self, job_id: str, fields: Row) -> Row:
        now = iso(self.clock.now())
        question = {"id": self._new_id(), "job_id": job_id, "application_id": None, **fields}
        self.questions[question["id"]] = {**question, "created_at": now, "updated_at": now}
        self.note("api", "question", "job", job_id, after=fields)
        return self.questions[question["id"]]

    async def _patch_question(self, request: Request) -> Response:
        question = self._one_question(request)
        if "source_id" not in request.query_params:
            raise RefusedAtTheDoor(400, "Query parameter source_id is required")
        fields = await self._body(request, forms.QUESTION)
        question.update(fields, updated_at=iso(self.clock.now()))
        self.note("api", "question", "job", question["job_id"], after=fields)
        return answer(question)

    async def _delete_question(self, request: Request) -> Response:
        question = self._one_question(request)
        del self.questions[question["id"]]
        self.note("api", "question_deleted", "job", question["job_id"])
        return answer({"message": "Question deleted"})

    def _one_question(self, request: Request) -> Row:
        job_id = self._one("job", request)["id"]
        question = self.questions.get(request.path_params["question_id"])
        if question is None or question["job_id"] != job_id:
            raise Refused(404, "Question not found")
        return question

    # candidates

    async def _post_candidate(self, request: Request) -> Response:
        fields = await self._body(request, forms.CANDIDATE)
        self._refuse_taken("candidate", fields["source_id"])
        return answer(self._bear("candidate", {**PERSON_BLANK, "status": "Applied", **fields}, "api"), 201)

    async def _get_candidate(self, request: Request) -> Response:
        return answer(self._one("candidate", request))

    async def _patch_candidate(self, request: Request) -> Response:
        row = self._one("candidate", request)
        fields = await self._body(request, forms.CANDIDATE_PATCH)
        if fields["source_id"] != row["source_id"]:
            self._refuse_taken("candidate", fields["source_id"])
        return answer(self._change("candidate", row, fields, "api"))

    # applications

    async def _post_application(self, request: Request) -> Response:
        return answer(self._take_application(await self._body(request, forms.APPLICATION)), 201)

    async def _post_with_questions(self, request: Request) -> Response:
        fields = await self._body(request, forms.WITH_QUESTIONS)
        questions = fields.pop("questions", None) or []
        row = self._take_application(fields)
        asked = [
            self._ask_question(row["job_id"], {**forms.QUESTION.taken(question), "application_id": row["id"]})
            for question in questions
        ]
        return answer({**row, "questions": asked}, 201)

    def _take_application(self, fields: Row) -> Row:
        """An application belongs to the records that its ids name, else to those of its source ids."""
        if "source_id" in fields:
            self._refuse_taken("application", fields["source_id"])
        parents = {f"{kind}_id": self._parent(kind, fields)["id"] for kind in ("job", "candidate")}
        stage = fields["application_stage"].upper()
        return self._bear("application", {**APPLICATION_BLANK, **fields, **parents, "application_stage": stage}, "api")

    def _parent(self, kind: str, fields: Row) -> Row:
        if (named := fields.get(f"{kind}_id")) is not None:
            rows = [self.rows[kind][named]] if named in self.rows[kind] else []
        else:
            source_id = fields[f"{kind}_source_id"]
            rows = [row for row in self.rows[kind].values() if row["source_id"] == source_id]
        if not rows:
            raise Refused(404, f"{kind.capitalize()} not found")
        return rows[0]

    async def _get_application(self, request: Request) -> Response:
        row = self._one("application", request)
        beside = {kind: self.rows[kind].get(row[f"{kind}_id"]) for kind in ("candidate", "job")}
        return answer({**row, **beside})

    async def _patch_application(self, request: Request) -> Response:
        row = self._one("application", request)
        fields = await self._body(request, forms.APPLICATION_PATCH)
        fields["application_stage"] = fields["application_stage"].upper()
        return answer(self._change("application", row, fields, "api"))

    # calls

    async def _instant_call(self, request: Request) -> Response:
        call = self._phone(self._one("application", request), "api")
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
        call = {
            "call_id": self._new_id(),
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
        self._later(CALL_LASTS_S, lambda: self._hang_up(call))
        return call

    def _hang_up(self, call: Row) -> None:
        score = self.rng.randrange(40, 100)
        said = "BOT: When could you start?\nHUMAN: In two weeks."
        call.update(
            call_status="call_completed",
            ninjahire_intelligence="call_success",
            call_score=score,
            call_summary={"availability": "two weeks"},
            call_digest="Could start in two weeks.",
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
        known = list(self.subscriptions.values())
        if not known:
            raise Refused(404, "Webhook configuration not found")
        return answer(known[0] if len(known) == 1 else known)

    async def _post_webhook(self, request: Request) -> Response:
        """Create, or update the tenant's one subscription of that event."""
        fields = await self._body(request, forms.TENANT_WEBHOOK)
        same = [old for old in self.subscriptions.values() if old["triggered_event"] == fields["triggered_event"]]
        return answer(self._subscribed({**(same[0] if same else {}), **fields}), 200 if same else 201)

    async def _subscribe(self, request: Request) -> Response:
        return self._switch(request, is_deleted=False)

    async def _unsubscribe(self, request: Request) -> Response:
        return self._switch(request, is_deleted=True)

    def _switch(self, request: Request, *, is_deleted: bool) -> Response:
        known = self.subscriptions.get(request.path_params["id"])
        if known is None:
            raise Refused(404, "Webhook configuration not found")
        return answer(self._subscribed({**known, "is_deleted": is_deleted}))

    def subscribe(
        self,
        url: str,
        *,
        secret: str = "",
        event: str = APPLICATION_EVENT,
        fields: Sequence[str] = DEFAULT_FIELDS,
        http_method: str = "POST",
        content_type: str = "application/json",
    ) -> str:
        """Subscribe an address to an event, as the tenant's settings page would; the subscription's id."""
        row = {"tenant_id": self.tenant_id, "triggered_event": event, "type": "post_call_screening"}
        sent = {"fields": list(fields), "url": url, "http_method": http_method, "content_type": content_type}
        subscription: str = self._subscribed({**row, **sent, "secret": secret or None})["id"]
        return subscription

    def _subscribed(self, fields: Row) -> Row:
        now = iso(self.clock.now())
        row = {
            "id": fields.get("id") or self._new_id(),
            "secret": None,
            "is_active": True,
            "is_deleted": False,
            "created_at": now,
            **fields,
            "updated_at": now,
        }
        self.subscriptions[row["id"]] = row
        active = bool(row["is_active"]) and not row["is_deleted"]
        self.hooks[row["id"]] = Hook(row["id"], row["url"], (row["triggered_event"],), row["secret"] or "", active)
        return row

    # webhooks: their deliveries

    def _tell(self, event: str, payload: Row) -> None:
        """Deliver to each subscription the fields that it names."""
        for hook in list(self.hooks.values()):
            named = self.subscriptions.get(hook.id, {}).get("fields", DEFAULT_FIELDS)
            body = orjson.dumps({name: payload[name] for name in named if name in payload})
            self.emit(event, body, self._headers, lambda other, hook=hook: other is hook)  # type: ignore[misc]

    def _headers(self, hook: Hook, body: bytes) -> dict[str, str]:
        """The delivery's time, and where a secret is known the signature of the payload alone."""
        headers = {"X-NINJAHIRE-Timestamp": str(int(self.clock.now()))}
        if hook.secret:
            headers["X-NINJAHIRE-Signature"] = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
        return headers

    async def _taken(self, hook: Hook, body: bytes, headers: Mapping[str, str]) -> bool:
        """Deliver once, by the method and in the form that the subscription names."""
        assert self.client is not None
        asked = self.subscriptions.get(hook.id, {})
        kind = asked.get("content_type", "application/json")
        content = body if kind == "application/json" else urlencode(orjson.loads(body)).encode()
        try:
            with self.clock.busy():
                taken = await self.client.request(
                    asked.get("http_method", "POST"),
                    hook.url,
                    content=content,
                    headers={**headers, "Content-Type": kind},
                )
        except httpx.HTTPError:
            return False
        return self.is_taken(taken.status_code)

    # the rows

    async def _body(self, request: Request, form: forms.Form) -> Row:
        try:
            body = orjson.loads(await request.body())
        except orjson.JSONDecodeError:
            raise Refused(400, "The body is not JSON") from None
        if not isinstance(body, dict):
            raise Refused(400, "The body is not an object")
        if complaints := form.complaints(body):
            raise Refused(400, "; ".join(complaints))
        return {name: value for name, value in form.taken(body).items() if name not in {"file", "base64file"}}

    def _one(self, kind: str, request: Request) -> Row:
        row = self.rows[kind].get(request.path_params["id"])
        if row is None:
            raise Refused(404, f"{kind.capitalize()} not found")
        return row

    def _refuse_taken(self, kind: str, source_id: str) -> None:
        if any(row["source_id"] == source_id for row in self.rows[kind].values()):
            raise Refused(409, f"{kind.capitalize()} with this source_id already exists")

    def _bear(self, kind: str, fields: Row, by: str, created_at: float | None = None) -> Row:
        at = self.clock.now() if created_at is None else created_at
        row = {"id": self._new_id(), **fields, "created_at": iso(at), "updated_at": iso(at)}
        self.rows[kind][row["id"]] = row
        self._born[row["id"]] = (at, self.number())
        self._touched_ms[row["id"]] = int(at * 1000)
        self.note(by, "create", kind, row["id"], after=fields)
        if kind == "application":
            self._act_on_application(row, {}, by)
        return row

    def _change(self, kind: str, row: Row, fields: Row, by: str) -> Row:
        """Set fields; a change moves ``updated_at``, and nothing else does."""
        after = {name: value for name, value in fields.items() if row.get(name) != value}
        before = {name: row.get(name) for name in after}
        if after:
            touched = max(int(self.clock.now() * 1000), self._touched_ms[row["id"]] + 1)
            self._touched_ms[row["id"]] = touched
            row.update(after, updated_at=iso(touched / 1000))
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

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

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
        for row in told["application"].values():
            row.update(job=row["job_id"], candidate=row["candidate_id"], stage=row["source_application_status"])
        return told


ANY_STATUS = ("pending", "completed")
HTTP_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    429: "Too Many Requests",
}


def iso(at: float) -> str:
    """A time as the API writes it."""
    return datetime.fromtimestamp(round(at, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
