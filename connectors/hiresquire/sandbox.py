"""HireSquire as played: an honest server written from its public documentation, for demos and tests. Simulated.

Source: https://hiresquireai.com/resources/rest-api-complete-reference, llms.txt, llms-full.txt, and what the vendor's
own clients send and read. Where they are silent, this is assumed: a key replays its first success for 24 hours whatever
the new body says; a batch is billed when it is accepted, what was not screened is given back; lists of jobs come newest
first, lists of candidates as Laravel's paginator; any status follows any other; without a list of events a batch's
address is told all of them; a webhook is tried four times. A batch ripens by the sandbox's clock.

In-process, ids are texts: a batch's is its ``job_id``, an application's and a screening's is the candidate's.
"""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from connectors.hiresquire import sandbox_forms as forms
from connectors.hiresquire import sandbox_rows as rows
from connectors.hiresquire.sandbox_account import PACKS, Account, AgentKey
from connectors.hiresquire.sandbox_desk import Desk, mail_json, questions_json
from connectors.hiresquire.sandbox_forms import Refused, body_of, invalid
from connectors.hiresquire.sandbox_rows import ALIASES, STATES, STATUSES, Batch, Candidate, Json, Resume, iso
from syncd.clock import Clock
from syncd.sandbox import Hits, Hook, Limit, Sandbox

KEY_LIFE_S = 24 * 3600.0
LARGEST_PAGE = 100
HIGH_SCORE = 85
SHAPES = ("flat", "enveloped", "paginator")
OUTCOMES = ("hired", "rejected", "withdrawn")
USAGE = "usage"

_FIRST_NAMES = ("Ada", "Bela", "Chidi", "Dina", "Emeka", "Farah", "Goran", "Hana", "Ines", "Jonas")
_LAST_NAMES = ("Abara", "Berg", "Castro", "Dahl", "Egan", "Fonseca", "Grant", "Huber", "Ito", "Jensen")
_TITLES = ("Backend Engineer", "Account Manager", "Data Analyst", "Nurse", "Warehouse Lead", "Product Designer")
_TOPICS = ("planning", "statistics", "writing", "customer care", "logistics", "testing", "leadership")

Act = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Kept:
    """The first success under an idempotency key."""

    at: float
    status: int
    body: bytes


class HireSquireSandbox(Sandbox):
    """One HireSquire account. What people do in its pages: ``add_batch``, ``move``, ``edit``; for judges: ``snapshot``.

    ``shape``: how answers come: ``flat`` as the vendor's clients read them, ``enveloped`` in ``{success, data}`` as the
    reference claims, or with Laravel's ``paginator`` for the list of jobs too. ``webhook_secret``: empty sends webhooks
    unsigned. ``screening_s`` and ``each_s``: how long a batch takes, and each résumé in it. ``fails`` may name why a
    batch of some title fails, ``reads`` whether a file (name, text) can be read, ``rates`` what score it gets.
    """

    system = "hiresquire"
    limits = (Limit(60, 60.0),)

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        tokens: Sequence[str] = ("sandbox-token",),
        client: httpx.AsyncClient | None = None,
        limits: Sequence[Limit] | None = None,
        shape: str = "flat",
        webhook_secret: str = "",
        screening_s: float = 20.0,
        each_s: float = 1.0,
    ) -> None:
        assert shape in SHAPES
        self.shape, self.webhook_secret = shape, webhook_secret
        self.screening_s, self.each_s = screening_s, each_s
        self.fails: Callable[[str], str | None] = lambda title: None
        self.reads: Callable[[str, str], bool] = lambda name, text: True
        self.rates: Callable[[str, str], int] = lambda name, text: self.rng.randrange(35, 99)
        self.batches: dict[int, Batch] = {}
        self.people: dict[int, Candidate] = {}
        self.account = Account(rng, self.number, self._tell_usage)
        self.desk = Desk(self.people, clock.now, self.number)
        self._kept: dict[str, Kept] = {}
        self._ripening: set[asyncio.Task[None]] = set()
        self._waited_for: set[int] = set()
        super().__init__(clock=clock, rng=rng, tokens=tokens, client=client, limits=limits)

    # what people do in its pages

    def add_batch(
        self, *, title: str, people: Sequence[Mapping[str, Any]] = (), created_at: float | None = None
    ) -> str:
        """Somebody uploads résumés by hand; the batch's id.

        ``people``: name, email, phone, optionally ``file`` and ``text``. A batch made in the past is done already.
        """
        resumes = tuple(_resume_of(person, at) for at, person in enumerate(people))
        fields = {"title": title, "description": f"{title} wanted, with experience in what the job needs most.",
                  "leniency_level": 5}  # fmt: skip
        batch = self._accept("human", self.tokens[0], fields, resumes, created_at)
        self._ripen()
        return str(batch.id)

    add_job = add_batch  # the word of all sandboxes: a job here is a batch

    def edit(self, kind: str, id: str, **fields: Any) -> None:  # noqa: A002  # the word of all sandboxes
        """Somebody changes a candidate: her name, mail, phone, notes, or status."""
        one = self.people[int(id)]
        if "status" in fields:
            self._move("human", one, fields.pop("status"))
        before = {name: getattr(one, name) for name in fields}
        if before != fields:
            for name, value in fields.items():
                setattr(one, name, value)
            self.note("human", "update", "candidate", id, before, fields)

    def move(self, application_id: str, stage_word: str) -> None:
        """Somebody sets a candidate's status."""
        self._move("human", self.people[int(application_id)], stage_word)

    def vanish(self, application_id: str) -> None:
        """A person is erased on request."""
        gone = self.people.pop(int(application_id))
        self.batches[gone.job_id].candidates.remove(gone)
        self.note("human", "delete", "candidate", application_id, {"name": gone.name})

    def fill(self, *, jobs: int, people: int) -> None:
        """Seed with batches that are done, and their made-up people."""
        now = self.clock.now()
        for at in range(jobs):
            share = range(at, people, jobs)
            named = [(self.rng.choice(_FIRST_NAMES), self.rng.choice(_LAST_NAMES), number) for number in share]
            told = [
                {
                    "name": f"{first} {last}",
                    "email": f"{first}.{last}.{number + 1}@example.com".lower(),
                    "phone": f"+1202555{number % 10_000:04d}",
                }
                for first, last, number in named
            ]
            since = now - 86_400.0 * (jobs - at + 1)
            self.add_batch(title=f"{self.rng.choice(_TITLES)} {at + 1}", people=told, created_at=since)

    # what judges read

    def snapshot(self) -> dict[str, dict[str, Json]]:
        """All that is kept, by kind and id, in this system's words."""
        self._ripen()
        jobs = {
            str(batch.id): {"title": batch.title, "status": batch.status, "files": [r.filename for r in batch.resumes]}
            for batch in self.batches.values()
        }
        told: dict[str, dict[str, Json]] = {"job": jobs, "candidate": {}, "application": {}, "screening": {}}
        for one in self.people.values():
            own, parents = str(one.id), {"job": str(one.job_id), "candidate": str(one.id)}
            told["candidate"][own] = {"name": one.name, "email": one.email, "phone": one.phone}
            told["application"][own] = {"status": one.status, "stage": one.status, "outcome": one.outcome, **parents}
            told["screening"][own] = {"file": one.filename, "score": one.score, "summary": one.summary, **parents}
        return told

    def billed(self) -> Counter[str]:
        """The credits that each file's name has cost so far, from the log: charged less what was given back."""
        spent: Counter[str] = Counter()
        for effect in self.effects:
            if effect.kind == "credit" and "files" in effect.after:
                sign = 1 if effect.action == "charge" else -1
                spent.update(dict.fromkeys(effect.after["files"], sign))
        return +spent

    # batches: made, ripe, over

    def _accept(
        self, by: str, token: str, fields: Json, resumes: tuple[Resume, ...], created_at: float | None = None
    ) -> Batch:
        now = self.clock.now()
        at = now if created_at is None else created_at
        id_ = 100 + self.number()
        names = [resume.filename for resume in resumes]
        self.account.charge(token, len(resumes), now, f"Screening job {id_}")
        self.note(by, "charge", "credit", str(id_), {}, {"credits": len(resumes), "files": names})
        conditions = fields.get("webhook_conditions") or {}
        due = at + self.screening_s + self.each_s * len(resumes)
        batch = Batch(
            id_,
            fields["title"],
            fields["description"],
            resumes,
            fields["leniency_level"],
            at,
            due,
            by,
            token,
            conditions,
        )
        self.batches[id_] = batch
        self.note(by, "create", "job", str(id_), {}, {"title": batch.title, "files": names, "status": "processing"})
        if fields.get("webhook_url"):
            hook = Hook(str(id_), fields["webhook_url"], tuple(conditions.get("events") or ()), self.webhook_secret)
            self.hooks[hook.id] = hook
        self._announce("job.processing", batch)
        self._wait_for_ripening()
        return batch

    def _wait_for_ripening(self) -> None:
        """Have each batch finished when it is due; one that was added before a loop ran is waited for from now on."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        for batch in self.batches.values():
            if batch.status == "processing" and batch.id not in self._waited_for:
                self._waited_for.add(batch.id)
                task = asyncio.ensure_future(self._ripen_at(batch.due))
                self._ripening.add(task)
                task.add_done_callback(self._ripening.discard)

    async def _ripen_at(self, due: float) -> None:
        await self.clock.sleep_until(due)
        self._ripen()

    def _ripen(self) -> None:
        """Finish what is due."""
        now = self.clock.now() + 1e-6
        for batch in sorted(self.batches.values(), key=lambda one: (one.due, one.id)):
            if batch.status == "processing" and batch.due <= now:
                self._finish(batch)

    def _finish(self, batch: Batch) -> None:
        readable = [resume for resume in batch.resumes if self.reads(resume.filename, resume.text)]
        reason = self.fails(batch.title) or (None if readable else "No resume could be read.")
        if reason is not None:
            self._end(batch, "failed", reason, [resume.filename for resume in batch.resumes])
            return
        for resume in readable:
            self._bear(batch, resume)
        unread = [resume.filename for resume in batch.resumes if resume not in readable]
        self._end(batch, "completed", None, unread)

    def _end(self, batch: Batch, status: str, message: str | None, unscreened: list[str], by: str = "system") -> None:
        before, batch.status, batch.message = batch.status, status, message
        batch.completed_at = min(batch.due, self.clock.now())
        self.note(by, "finish", "job", str(batch.id), {"status": before}, {"status": status})
        if unscreened:
            self.account.refund(batch.token, len(unscreened), self.clock.now(), f"Screening job {batch.id}")
            given = {"credits": len(unscreened), "files": unscreened}
            self.note("system", "refund", "credit", str(batch.id), {}, given)
        if status in {"completed", "failed"}:
            self._announce(f"job.{status}", batch)

    def _bear(self, batch: Batch, resume: Resume) -> None:
        score = self.rates(resume.filename, resume.text)
        strong, weak = self.rng.sample(_TOPICS, 2), self.rng.choice(_TOPICS)
        who = rows.person_of(resume)
        summary = f"A score of {score} for {batch.title}: strong in {' and '.join(strong)}."
        one = Candidate(
            1000 + self.number(), batch.id, resume.filename, who["name"], who["email"], who["phone"], score, summary,
            tuple(strong), (f"Little about {weak}",), batch.due,
        )  # fmt: skip
        self.people[one.id] = one
        batch.candidates.append(one)
        told = {"status": one.status, "file": one.filename, "score": score}
        self.note("system", "create", "application", str(one.id), {}, told)
        if score > (batch.conditions.get("min_score") or HIGH_SCORE):
            self._announce("high_score_detected", batch, one)

    def _move(self, by: str, one: Candidate, status: Any) -> None:
        word = ALIASES.get(status, status) if isinstance(status, str) else status
        if word not in STATUSES:
            raise Refused(422, errors={"status": ["The selected status is invalid."]})
        if one.status == word:
            return
        self.note(by, "move", "application", str(one.id), {"status": one.status}, {"status": word})
        one.status = word
        if word in {"shortlisted", "rejected", "hired"}:
            self._announce(f"candidate.{word}", self.batches[one.job_id], one)

    # webhooks

    def _announce(self, event: str, batch: Batch, one: Candidate | None = None) -> None:
        told = rows.batch_event(event, batch)
        if event.startswith("candidate.") and one is not None:
            told = rows.candidate_event(event, batch, one, self.clock.now())
        elif one is not None:
            told |= {"candidate_id": one.id, "candidate": rows.short_json(one)}
        self.emit(event, orjson.dumps(told), self._signed, lambda hook: hook.id == str(batch.id))

    def _tell_usage(self, kind: str, data: Json) -> None:
        event = f"agent.usage_{kind}"
        body = orjson.dumps({"event": event, "timestamp": iso(self.clock.now()), "data": data})
        self.emit(kind, body, self._signed, lambda hook: hook.id == USAGE)

    def _signed(self, hook: Hook, body: bytes) -> Mapping[str, str]:
        return rows.signed(hook.secret, body, self.clock.now())

    # the API: who may ask, how much, and how it answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI app; what has ripened meanwhile is finished first."""
        self._ripen()
        self._wait_for_ripening()
        await super().__call__(scope, receive, send)

    def exception_handlers(self) -> Mapping[Any, Any]:
        """Errors are never in an envelope. Async, because Starlette runs others on a thread, where no clock is held."""

        async def refused(request: Request, error: Exception) -> Response:
            assert isinstance(error, Refused)
            return _json(error.body, error.status)

        async def strayed(request: Request, error: Exception) -> Response:
            assert isinstance(error, HTTPException)
            return _json(Refused(error.status_code, "The resource was not found.").body, error.status_code)

        return {Refused: refused, HTTPException: strayed}

    def refuse_token(self, request: Request) -> Response:
        """Without a good token nothing is told."""
        return _json(Refused(401, "Your API token is invalid or expired.").body, 401)

    def refuse_rate(self, limit: Limit, wait_s: float) -> Response:
        """The minute's calls are spent."""
        response = _json(Refused(429, "Rate limit exceeded. Please wait before retrying.").body, 429)
        wait = max(1, math.ceil(wait_s))
        response.headers["Retry-After"] = str(wait)
        response.headers["X-RateLimit-Limit"] = str(limit.calls)
        response.headers["X-RateLimit-Remaining"] = "0"
        response.headers["X-RateLimit-Reset"] = str(math.ceil(self.clock.now()) + wait)
        return response

    def rate_headers(self, hits: Hits, now: float) -> Mapping[str, str]:
        """Laravel's two headers."""
        if not hits.limits:
            return {}
        limit = hits.limits[0]
        return {
            "X-RateLimit-Limit": str(limit.calls),
            "X-RateLimit-Remaining": str(limit.calls - hits.used(limit, now)),
        }

    def routes(self) -> Sequence[Route]:
        """All known routes below ``/api/v1``, each with the scopes that an agent key needs for it."""
        table = (
            *self._job_routes(),
            *self._people_routes(),
            *self._account_routes(),
            *self._desk_routes(),
            *self._other_routes(),
        )
        return [
            Route(f"/api/v1{path}", self._scoped(act, method, scopes), methods=[method])
            for method, path, act, *scopes in table
        ]

    def _scoped(self, act: Act, method: str, scopes: Sequence[str]) -> Act:
        async def guarded(request: Request) -> Response:
            needed = ("read" if method == "GET" else "write", *scopes)
            self.account.allow(self.token_of(request.headers), needed, self.clock.now())
            return await act(request)

        return guarded

    def _tell(self, answer: Json, status: int = 200) -> Response:
        """An answer in the shape that this sandbox plays."""
        if self.shape == "enveloped" and "success" not in answer:
            answer = {"success": True, "data": answer, "message": answer.get("message")}
        return _json(answer, status)

    async def _once(self, request: Request, make: Callable[[], Json], status: int = 201) -> Response:
        """Do it, or tell again what was told when it was done under the same key in the last 24 hours."""
        key, now = request.headers.get("idempotency-key"), self.clock.now()
        kept = self._kept.get(key) if key else None
        if kept is not None and now - kept.at < KEY_LIFE_S:
            return Response(kept.body, kept.status, media_type="application/json")
        response = self._tell(make(), status)
        if key:
            self._kept[key] = Kept(now, status, bytes(response.body))
        return response

    def _page(self, request: Request, name: str, told: Sequence[Json], *, laravel: bool) -> Response:
        """One page of a list; ``limit`` and ``per_page`` are both understood."""
        query = request.query_params
        size = min(_positive(query.get("limit") or query.get("per_page"), 20), LARGEST_PAGE)
        page = _positive(query.get("page"), 1)
        part = list(told[(page - 1) * size : page * size])
        if not laravel:
            return self._tell({name: part, "total": len(told), "page": page, "per_page": size})
        last = max(1, -(-len(told) // size))
        numbers = {"current_page": page, "last_page": last, "per_page": size, "total": len(told)}
        return self._tell({"data": part, **numbers})

    # jobs

    def _job_routes(self) -> Iterator[tuple[Any, ...]]:
        yield "GET", "/jobs", self._list_jobs, "screen"
        yield "POST", "/jobs", self._post_job, "screen"
        yield "POST", "/jobs/upload-zip", self._post_zip, "screen"
        yield "POST", "/jobs/bulk", self._post_bulk, "screen", "bulk"
        yield "GET", "/jobs/{id:int}", self._get_job, "screen"
        yield "GET", "/jobs/{id:int}/results", self._get_results, "screen"
        yield "POST", "/jobs/{id:int}/cancel", self._cancel, "screen"
        yield "GET", "/jobs/{id:int}/compare", self._compare, "screen"
        yield "POST", "/jobs/{id:int}/outcome", self._outcome, "screen"
        yield "POST", "/jobs/{id:int}/generate-email", self._mail, "email"
        yield "POST", "/jobs/{id:int}/generate-questions", self._questions, "email"
        yield "POST", "/jobs/{id:int}/generate-icebreaker", self._icebreaker, "email"
        yield "POST", "/jobs/{id:int}/bulk-generate-emails", self._mails, "email", "bulk"

    async def _list_jobs(self, request: Request) -> Response:
        status, since = request.query_params.get("status"), request.query_params.get("since") or ""
        if status is not None and status not in STATES:
            raise Refused(422, errors={"status": ["The selected status is invalid."]})
        newest = sorted(self.batches.values(), key=lambda batch: (-batch.created_at, -batch.id))
        chosen = [
            rows.batch_row(batch)
            for batch in newest
            if status in {None, batch.status} and (iso(batch.created_at) or "") >= since
        ]
        return self._page(request, "jobs", chosen, laravel=self.shape != "flat")

    async def _post_job(self, request: Request) -> Response:
        body, token = await body_of(request), self.token_of(request.headers)

        def make() -> Json:
            return rows.accepted_json(self._accept("api", token, *forms.job_form(body)))

        return await self._once(request, make, 202)

    async def _post_zip(self, request: Request) -> Response:
        body, token = await forms.zip_form(request), self.token_of(request.headers)

        def make() -> Json:
            return rows.accepted_json(self._accept("api", token, *forms.job_form(body)))

        return await self._once(request, make, 202)

    async def _post_bulk(self, request: Request) -> Response:
        body, token = await body_of(request), self.token_of(request.headers)
        wanted = body.get("jobs")
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= 10 or not all(isinstance(j, dict) for j in wanted):
            raise invalid("jobs", "must be between 1 and 10")

        def make() -> Json:
            read = [forms.job_form(job, f"jobs.{at}.") for at, job in enumerate(wanted)]
            made = [self._accept("api", token, *form) for form in read]
            return {"jobs": [{"job_id": batch.id, "status": batch.status} for batch in made]}

        return await self._once(request, make, 202)

    async def _get_job(self, request: Request) -> Response:
        return self._tell(rows.batch_json(self._batch(request), self.clock.now()))

    async def _get_results(self, request: Request) -> Response:
        batch, query = self._batch(request), request.query_params
        if batch.status == "processing":
            raise Refused(425, "Job is still processing.", more={"status": "processing"})
        least, most = _positive(query.get("min_score"), 0), _positive(query.get("max_score"), 100)
        chosen = [one for one in batch.ranked if least <= one.score <= most]
        chosen = chosen[: _positive(query.get("only_top_n"), len(chosen))]
        return self._tell(rows.results_json(batch, chosen, _positive(query.get("page"), 1)))

    async def _cancel(self, request: Request) -> Response:
        batch = self._batch(request)
        if batch.status != "processing":
            raise Refused(422, errors={"status": ["Only a job that is being processed can be cancelled."]})
        self._end(batch, "cancelled", "Job has been cancelled.", [resume.filename for resume in batch.resumes], "api")
        return self._tell({"job_id": batch.id, "status": "cancelled", "message": batch.message})

    async def _compare(self, request: Request) -> Response:
        batch = self._batch(request)
        named = {int(part) for part in (request.query_params.get("ids") or "").split(",") if part.isdigit()}
        chosen = [one for one in batch.ranked if one.id in named]
        if len(chosen) < 2:
            raise invalid("ids", "must have at least 2 items")
        return self._tell(rows.compared_json(batch, chosen))

    async def _outcome(self, request: Request) -> Response:
        batch, body = self._batch(request), await body_of(request)
        one = self._candidate_of(batch, body)
        if body.get("outcome") not in OUTCOMES:
            raise Refused(422, errors={"outcome": ["The selected outcome is invalid."]})
        self.note("api", "outcome", "application", str(one.id), {"outcome": one.outcome}, {"outcome": body["outcome"]})
        one.outcome = body["outcome"]
        return _json({"success": True, "message": "Outcome recorded successfully."})

    async def _mail(self, request: Request) -> Response:
        batch, body = self._batch(request), await body_of(request)
        one = self._candidate_of(batch, body)
        told = mail_json(batch, one, body, self.clock.now())
        self.note("api", "drafted", "candidate", str(one.id), {}, {"mail": told["email_type"]})
        return _json(told)

    async def _mails(self, request: Request) -> Response:
        batch, body = self._batch(request), await body_of(request)
        named = body.get("candidate_ids")
        if not isinstance(named, list) or not 1 <= len(named) <= 50:
            raise invalid("candidate_ids", "must be between 1 and 50")
        people = [self._candidate_of(batch, {"candidate_id": id_}) for id_ in named]
        return _json({"success": True, "emails": [mail_json(batch, one, body, self.clock.now()) for one in people]})

    async def _questions(self, request: Request) -> Response:
        batch, body = self._batch(request), await body_of(request)
        return _json(questions_json(self._candidate_of(batch, body), body))

    async def _icebreaker(self, request: Request) -> Response:
        one = self._candidate_of(self._batch(request), await body_of(request))
        told = rows.candidate_json(one)["icebreaker"]
        return _json({"success": True, "candidate_id": one.id, "icebreaker": told})

    def _batch(self, request: Request) -> Batch:
        found = self.batches.get(request.path_params["id"])
        if found is None:
            raise Refused(404, "The job was not found.")
        return found

    def _candidate_of(self, batch: Batch, body: Json) -> Candidate:
        one = self.people.get(body.get("candidate_id", 0))
        if one is None or one.job_id != batch.id:
            raise Refused(422, errors={"candidate_id": ["The selected candidate_id is invalid."]})
        return one

    # candidates

    def _people_routes(self) -> Iterator[tuple[Any, ...]]:
        yield "GET", "/candidates", self._list_candidates, "screen"
        yield "GET", "/candidates/{id:int}", self._get_candidate, "screen"
        yield "PATCH", "/candidates/{id:int}/status", self._patch_status, "screen"

    async def _list_candidates(self, request: Request) -> Response:
        query = request.query_params
        job, status, text = query.get("job_id"), query.get("status"), (query.get("search") or "").casefold()
        least, most = _positive(query.get("min_score"), 0), _positive(query.get("max_score"), 100)
        chosen = [
            one
            for one in self.people.values()
            if job in {None, str(one.job_id)}
            and status in {None, one.status}
            and least <= one.score <= most
            and text in f"{one.name} {one.summary}".casefold()
        ]
        by = {"score": lambda one: one.score, "name": lambda one: one.name}.get(query.get("sort_by") or "")
        ordered = sorted(chosen, key=lambda one: (by(one) if by else one.processed_at, one.id))
        newest_first = query.get("sort_dir", "desc") != "asc"
        told = [rows.candidate_json(one) for one in (reversed(ordered) if newest_first else ordered)]
        return self._page(request, "candidates", told, laravel=True)

    async def _get_candidate(self, request: Request) -> Response:
        return self._tell(rows.candidate_json(self._person(request)))

    async def _patch_status(self, request: Request) -> Response:
        one, body = self._person(request), await body_of(request)
        if "status" not in body:
            raise invalid("status", "is required")
        self._move("api", one, body["status"])
        return _json({"success": True, "candidate": rows.candidate_json(one)})

    def _person(self, request: Request) -> Candidate:
        one = self.people.get(request.path_params["id"])
        if one is None:
            raise Refused(404, "The candidate was not found.")
        return one

    # account: keys, credits, limits

    def _account_routes(self) -> Iterator[tuple[Any, ...]]:
        yield "GET", "/agent-keys", self._list_keys
        yield "POST", "/agent-keys", self._post_key
        yield "GET", "/agent-keys/{id:int}", self._get_key
        yield "PUT", "/agent-keys/{id:int}", self._put_key
        yield "DELETE", "/agent-keys/{id:int}", self._revoke_key
        yield "POST", "/agent-keys/{id:int}/regenerate", self._renew_key
        yield "GET", "/agent-keys/{id:int}/usage", self._key_usage
        yield "GET", "/credits/balance", self._balance
        yield "GET", "/credits/estimate", self._estimate
        yield "GET", "/credits/packs", self._packs
        yield "GET", "/credits/transactions", self._transactions
        yield "POST", "/credits/purchase", self._purchase
        yield "POST", "/credits/checkout", self._checkout
        yield "POST", "/credits/payment-intent", self._intent
        yield "POST", "/credits/auto-reload/enable", self._auto_reload
        yield "POST", "/credits/auto-reload/disable", self._no_auto_reload
        yield "POST", "/credits/webhook/configure", self._usage_hook
        yield "GET", "/rate-limit", self._rate_limit

    def _key(self, request: Request) -> AgentKey:
        key = self.account.keys.get(request.path_params["id"])
        if key is None:
            raise Refused(404, "The agent key was not found.")
        return key

    def _key_told(self, key: AgentKey, status: int = 200, *, told: bool = False) -> Response:
        return self._tell({"key": self.account.key_json(key, self.clock.now(), told=told)}, status)

    async def _list_keys(self, request: Request) -> Response:
        now = self.clock.now()
        return self._tell({"keys": [self.account.key_json(key, now) for key in self.account.keys.values()]})

    async def _post_key(self, request: Request) -> Response:
        body, now = await body_of(request), self.clock.now()

        def make() -> Json:
            key = self.account.make_key(body, now)
            self._admit(key.key)
            return {"key": self.account.key_json(key, now, told=True)}

        return await self._once(request, make)

    def _admit(self, token: str) -> None:
        """Let a token in; the limit is the user's, whichever of the user's tokens asks."""
        self.tokens = (*self.tokens, token)
        self.hits[token] = self.hits[self.tokens[0]]

    async def _get_key(self, request: Request) -> Response:
        return self._key_told(self._key(request))

    async def _put_key(self, request: Request) -> Response:
        return self._key_told(self.account.change_key(self._key(request), await body_of(request)))

    async def _revoke_key(self, request: Request) -> Response:
        key = self._key(request)
        key.is_active = False
        self.tokens = tuple(token for token in self.tokens if token != key.key)
        return _json({"success": True, "message": "Agent key revoked."})

    async def _renew_key(self, request: Request) -> Response:
        key = self._key(request)
        self.tokens = tuple(token for token in self.tokens if token != key.key)
        self._admit(self.account.renew(key))
        return self._key_told(key, told=True)

    async def _key_usage(self, request: Request) -> Response:
        return self._tell({"usage": self.account.usage_json(self._key(request), self.clock.now())})

    async def _balance(self, request: Request) -> Response:
        return self._tell(self.account.balance_json())

    async def _estimate(self, request: Request) -> Response:
        count = _positive(request.query_params.get("candidate_count"), 0)
        if not count:
            raise invalid("candidate_count", "is required")
        cost = {"candidate_count": count, "cost_per_candidate": 0.01, "total_cost": round(count * 0.01, 2)}
        return self._tell({**cost, "currency": "USD", "can_afford": self.account.credits >= count})

    async def _packs(self, request: Request) -> Response:
        """A map, as the one client reads it, or an array, as the other one does."""
        if self.shape == "flat":
            return self._tell({"packs": PACKS})
        return self._tell({"packs": [{"id": name, **pack} for name, pack in PACKS.items()]})

    async def _transactions(self, request: Request) -> Response:
        query = request.query_params
        start, count = _positive(query.get("offset"), 0), min(_positive(query.get("limit"), 50), 100)
        entries = self.account.ledger[::-1][start : start + count]
        numbers = {"total": len(self.account.ledger), "balance": self.account.credits / 100}
        return self._tell({"transactions": entries, **numbers})

    async def _purchase(self, request: Request) -> Response:
        body = await body_of(request)
        cents, what = _bought(body)
        if not body.get("payment_method_id"):
            raise invalid("payment_method_id", "is required")

        def make() -> Json:
            self.account.buy(cents, self.clock.now(), what)
            self.note("api", "purchase", "credit", what, {}, {"credits": cents})
            return {"success": True, "credits_added": cents, "balance": self.account.credits / 100}

        return await self._once(request, make, 200)

    async def _checkout(self, request: Request) -> Response:
        _, what = _bought(await body_of(request))
        return _json({"success": True, "checkout_url": f"https://checkout.example.test/{self.number()}", "for": what})

    async def _intent(self, request: Request) -> Response:
        cents, _ = _bought(await body_of(request))
        id_ = f"pi_{self.number()}"
        return _json(
            {"success": True, "payment_intent_id": id_, "client_secret": f"{id_}_secret", "amount": cents / 100}
        )

    async def _auto_reload(self, request: Request) -> Response:
        body = await body_of(request)
        for name in ("threshold", "amount", "payment_method_id"):
            if body.get(name) in (None, ""):
                raise invalid(name, "is required")
        self.account.auto_reload = {"enabled": True, "threshold": body["threshold"], "amount": body["amount"]}
        return _json({"success": True, "auto_reload_enabled": True, **self.account.auto_reload})

    async def _no_auto_reload(self, request: Request) -> Response:
        self.account.auto_reload = {"enabled": False, "threshold": None, "amount": None}
        return _json({"success": True, "auto_reload_enabled": False})

    async def _usage_hook(self, request: Request) -> Response:
        body = await body_of(request)
        url = body.get("url") or body.get("webhook_url")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise invalid("url", "must be a valid URL")
        self.hooks[USAGE] = Hook(USAGE, url, tuple(body.get("events") or ()), self.webhook_secret)
        return _json({"success": True, "message": "Webhook configured."})

    async def _rate_limit(self, request: Request) -> Response:
        hits, now = self.hits[self.token_of(request.headers)], self.clock.now()
        limit = hits.limits[0] if hits.limits else Limit(60, 60.0)
        used = hits.used(limit, now) if hits.limits else 0
        left = {"remaining": limit.calls - used, "reset_in_seconds": math.ceil(limit.window_s)}
        return self._tell({"limit": limit.calls, **left, "reset_at": iso(now + limit.window_s)})

    # calendars and interviews: {success, data, message}

    def _desk_routes(self) -> Iterator[tuple[Any, ...]]:
        yield "GET", "/calendar/connections", self._list_calendars
        yield "POST", "/calendar/connections", self._post_calendar
        yield "DELETE", "/calendar/connections/{id:int}", self._delete_calendar
        yield "GET", "/calendar/slots", self._slots
        yield "GET", "/interviews", self._list_interviews
        yield "POST", "/interviews", self._post_interview
        yield "GET", "/interviews/{id:int}", self._get_interview
        yield "PUT", "/interviews/{id:int}", self._put_interview
        yield "DELETE", "/interviews/{id:int}", self._delete_interview
        yield "POST", "/meetings/links", self._meet

    async def _list_calendars(self, request: Request) -> Response:
        return _enveloped(list(self.desk.connections.values()))

    async def _post_calendar(self, request: Request) -> Response:
        body = await body_of(request)
        made = {"success": True, "message": "Calendar connected."}
        return await self._once(request, lambda: {**made, "data": self.desk.connect(body)})

    async def _delete_calendar(self, request: Request) -> Response:
        _there(self.desk.connections, request)
        del self.desk.connections[request.path_params["id"]]
        return _enveloped(None, "Calendar disconnected.")

    async def _slots(self, request: Request) -> Response:
        return _enveloped(self.desk.slots(request.query_params))

    async def _list_interviews(self, request: Request) -> Response:
        job = request.query_params.get("job_id")
        return _enveloped([r for r in self.desk.interviews.values() if job in {None, str(r["job_posting_id"])}])

    async def _post_interview(self, request: Request) -> Response:
        body = await body_of(request)

        def make() -> Json:
            row = self.desk.book(body)
            self.note("api", "invited", "candidate", str(row["candidate_id"]), {}, {"interview": row["id"]})
            return {"success": True, "message": "Interview scheduled.", "data": row}

        return await self._once(request, make)

    async def _get_interview(self, request: Request) -> Response:
        return _enveloped(_there(self.desk.interviews, request))

    async def _put_interview(self, request: Request) -> Response:
        row = self.desk.rebook(_there(self.desk.interviews, request), await body_of(request))
        return _enveloped(row, "Interview updated.")

    async def _delete_interview(self, request: Request) -> Response:
        row = self.desk.rebook(_there(self.desk.interviews, request), {"status": "cancelled"})
        return _enveloped(row, "Interview cancelled.")

    async def _meet(self, request: Request) -> Response:
        return _enveloped(self.desk.meet(await body_of(request)), "Meeting link made.")

    # schema, webhooks, MCP

    def _other_routes(self) -> Iterator[tuple[Any, ...]]:
        yield "GET", "/schema", self._schema
        yield "GET", "/schema/health", self._health
        yield "GET", "/schema/validate", self._validate
        yield "POST", "/webhooks/test", self._test_hook
        yield "POST", "/mcp", self._mcp

    async def _schema(self, request: Request) -> Response:
        methods: dict[str, list[str]] = {}
        for route in self.app.routes:
            if isinstance(route, Route):
                methods.setdefault(route.path.replace(":int", ""), []).extend(
                    sorted((route.methods or set()) - {"HEAD"})
                )
        told = [{"path": path, "methods": ways, "description": ""} for path, ways in methods.items()]
        return self._tell({"version": "1.0", "endpoints": told})

    async def _health(self, request: Request) -> Response:
        return self._tell({"status": "ok"})

    async def _validate(self, request: Request) -> Response:
        return self._tell(self._whoami())

    def _whoami(self) -> Json:
        told = self.account.balance_json()
        names = ("balance", "formatted_balance", "is_low", "auto_reload_enabled")
        user = {"id": 123, "name": "Alex Agent", "email": "alex.agent@example.com"}
        return {"valid": True, "user": user, "credits": {name: told[name] for name in names}}

    async def _test_hook(self, request: Request) -> Response:
        url = (await body_of(request)).get("url")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise invalid("url", "must be a valid URL")
        if self.client is None:
            return _json({"success": False, "message": "The address could not be reached."})
        body = orjson.dumps({"event": "webhook.test", "timestamp": iso(self.clock.now())})
        headers = {"Content-Type": "application/json", **self._signed(Hook("", url, (), self.webhook_secret), body)}
        try:
            code = (await self.client.post(url, content=body, headers=headers)).status_code
        except httpx.HTTPError:
            return _json({"success": False, "message": "The address could not be reached."})
        return _json({"success": code < 300, "message": "The test was sent.", "response_code": code})

    async def _mcp(self, request: Request) -> Response:
        """The tools of llms.txt that only read; what spends or writes to people is not played here."""
        body = await body_of(request)
        reply = {"jsonrpc": "2.0", "id": body.get("id")}
        asked = body.get("params") if isinstance(body.get("params"), dict) else {}
        tools = [{"name": name, "description": "", "inputSchema": {"type": "object"}} for name in ("whoami",)]
        if body.get("method") == "tools/list":
            return _json({**reply, "result": {"tools": tools}})
        if body.get("method") == "tools/call" and asked and asked.get("name") == "whoami":
            content = [{"type": "text", "text": orjson.dumps(self._whoami()).decode()}]
            return _json({**reply, "result": {"content": content}})
        return _json({**reply, "error": {"code": -32601, "message": "Method not found"}})


# --- what an answer is made of --------------------------------------------------------------------------------------


def _json(answer: Json, status: int = 200) -> Response:
    return Response(orjson.dumps(answer), status, media_type="application/json")


def _enveloped(data: Any, message: str | None = None) -> Response:
    return _json({"success": True, "data": data, "message": message})


def _there(table: Mapping[int, Json], request: Request) -> Json:
    row = table.get(request.path_params["id"])
    if row is None:
        raise Refused(404, "The resource was not found.")
    return row


def _positive(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and int(text) else otherwise


def _bought(body: Json) -> tuple[int, str]:
    """How many credits a purchase brings, and what it is."""
    pack = PACKS.get(body.get("pack", ""))
    if pack is not None:
        return pack["credits"], str(body["pack"])
    amount = body.get("amount")
    if isinstance(amount, bool) or not isinstance(amount, int | float) or amount < 5:
        raise invalid("amount", "must be at least 5")
    return int(amount * 100), "custom"


def _resume_of(person: Mapping[str, Any], at: int) -> Resume:
    """A résumé that a person would have written."""
    words = "I have worked in teams of several sizes and would like to go on doing so."
    lines = [person.get("name"), person.get("email"), person.get("phone"), person.get("text") or words]
    text = "\n".join(str(line) for line in lines if line)
    return Resume(str(person.get("file") or f"upload-{at + 1}.pdf"), text, len(text))
