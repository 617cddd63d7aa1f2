"""HireSquire as played: an honest server written from its public documentation, for demos and tests. Simulated.

Source: https://hiresquireai.com/resources/rest-api-complete-reference, llms.txt, llms-full.txt, and what the vendor's
own clients send and read. Where they are silent, this is assumed: a key replays its first success for 24 hours whatever
the new body says; a batch is billed when it is accepted, what was not screened is given back; lists of jobs come newest
first, lists of candidates as Laravel's paginator; any status follows any other; without a list of events a batch's
address is told all of them; a webhook is tried four times. A batch ripens by the sandbox's clock.

In-process, ids are texts: a batch's is its ``job_id``, an application's and a screening's is the candidate's.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connectors.hiresquire import sandbox_forms as forms
from connectors.hiresquire import sandbox_rows as rows
from connectors.hiresquire.sandbox_account import PACKS
from connectors.hiresquire.sandbox_desk import mail_json, questions_json
from connectors.hiresquire.sandbox_forms import Refused, body_of, invalid
from connectors.hiresquire.sandbox_office import Offered, Office, answer, positive
from connectors.hiresquire.sandbox_rows import ALIASES, STATES, STATUSES, Batch, Candidate, Json, Resume, iso
from syncd.clock import Clock
from syncd.sandbox import Hook

HIGH_SCORE = 85
OUTCOMES = ("hired", "rejected", "withdrawn")

_FIRST_NAMES = ("Ada", "Bela", "Chidi", "Dina", "Emeka", "Farah", "Goran", "Hana", "Ines", "Jonas")
_LAST_NAMES = ("Abara", "Berg", "Castro", "Dahl", "Egan", "Fonseca", "Grant", "Huber", "Ito", "Jensen")
_TITLES = ("Backend Engineer", "Account Manager", "Data Analyst", "Nurse", "Warehouse Lead", "Product Designer")
_TOPICS = ("planning", "statistics", "writing", "customer care", "logistics", "testing", "leadership")


class HireSquireSandbox(Office):
    """One HireSquire account. What people do in its pages: ``add_batch``, ``move``, ``edit``; for judges: ``snapshot``.

    ``screening_s`` and ``each_s``: how long a batch takes, and each résumé in it. ``fails`` may name why a batch of
    some title fails, ``reads`` whether a file (name, text) can be read, ``rates`` what score it gets. For ``shape`` and
    ``webhook_secret`` see ``Office``.
    """

    def __init__(
        self, *, clock: Clock, rng: random.Random, screening_s: float = 20.0, each_s: float = 1.0, **office: Any
    ) -> None:
        self.screening_s, self.each_s = screening_s, each_s
        self.fails: Callable[[str], str | None] = lambda title: None
        self.reads: Callable[[str, str], bool] = lambda name, text: True
        self.rates: Callable[[str, str], int] = lambda name, text: self.rng.randrange(35, 99)
        self.batches: dict[int, Batch] = {}
        self._ripening: set[asyncio.Task[None]] = set()
        self._waited_for: set[int] = set()
        super().__init__(clock=clock, rng=rng, **office)

    # what people do in its pages

    def add_batch(
        self, *, title: str, people: Sequence[Mapping[str, Any]] = (), created_at: float | None = None
    ) -> str:
        """Somebody uploads résumés by hand; the batch's id.

        ``people``: name, email, phone, optionally ``file`` and ``text``. A batch made in the past is done already.
        """
        resumes = tuple(_resume_of(person, at) for at, person in enumerate(people))
        if self.account.credits < len(resumes):
            self.account.buy(PACKS["chest"]["credits"] + len(resumes), self.clock.now(), "chest")
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
        self.emit(event, orjson.dumps(told), self.signed, lambda hook: hook.id == str(batch.id))

    # the API

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI app; what has ripened meanwhile is finished first."""
        self._ripen()
        self._wait_for_ripening()
        await super().__call__(scope, receive, send)

    def offered(self) -> Iterator[Offered]:
        """Batches and candidates, and what the office offers."""
        yield from self._job_routes()
        yield from self._people_routes()
        yield from super().offered()

    # jobs

    def _job_routes(self) -> Iterator[Offered]:
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
        return self.page(request, "jobs", chosen, laravel=self.shape != "flat")

    async def _post_job(self, request: Request) -> Response:
        body, token = await body_of(request), self.token_of(request.headers)

        def make() -> Json:
            return rows.accepted_json(self._accept("api", token, *forms.job_form(body)))

        return await self.once(request, make, 202)

    async def _post_zip(self, request: Request) -> Response:
        body, token = await forms.zip_form(request), self.token_of(request.headers)

        def make() -> Json:
            return rows.accepted_json(self._accept("api", token, *forms.job_form(body)))

        return await self.once(request, make, 202)

    async def _post_bulk(self, request: Request) -> Response:
        body, token = await body_of(request), self.token_of(request.headers)
        wanted = body.get("jobs")
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= 10 or not all(isinstance(j, dict) for j in wanted):
            raise invalid("jobs", "must be between 1 and 10")

        def make() -> Json:
            read = [forms.job_form(job, f"jobs.{at}.") for at, job in enumerate(wanted)]
            made = [self._accept("api", token, *form) for form in read]
            return {"jobs": [{"job_id": batch.id, "status": batch.status} for batch in made]}

        return await self.once(request, make, 202)

    async def _get_job(self, request: Request) -> Response:
        return self.tell(rows.batch_json(self._batch(request), self.clock.now()))

    async def _get_results(self, request: Request) -> Response:
        batch, query = self._batch(request), request.query_params
        if batch.status == "processing":
            raise Refused(425, "Job is still processing.", more={"status": "processing"})
        least, most = positive(query.get("min_score"), 0), positive(query.get("max_score"), 100)
        chosen = [one for one in batch.ranked if least <= one.score <= most]
        chosen = chosen[: positive(query.get("only_top_n"), len(chosen))]
        return self.tell(rows.results_json(batch, chosen, positive(query.get("page"), 1)))

    async def _cancel(self, request: Request) -> Response:
        batch = self._batch(request)
        if batch.status != "processing":
            raise Refused(422, errors={"status": ["Only a job that is being processed can be cancelled."]})
        self._end(batch, "cancelled", "Job has been cancelled.", [resume.filename for resume in batch.resumes], "api")
        return self.tell({"job_id": batch.id, "status": "cancelled", "message": batch.message})

    async def _compare(self, request: Request) -> Response:
        batch = self._batch(request)
        named = {int(part) for part in (request.query_params.get("ids") or "").split(",") if part.isdigit()}
        chosen = [one for one in batch.ranked if one.id in named]
        if len(chosen) < 2:
            raise invalid("ids", "must have at least 2 items")
        return self.tell(rows.compared_json(batch, chosen))

    async def _outcome(self, request: Request) -> Response:
        batch, body = self._batch(request), await body_of(request)
        one = self._candidate_of(batch, body)
        if body.get("outcome") not in OUTCOMES:
            raise Refused(422, errors={"outcome": ["The selected outcome is invalid."]})
        self.note("api", "outcome", "application", str(one.id), {"outcome": one.outcome}, {"outcome": body["outcome"]})
        one.outcome = body["outcome"]
        return answer({"success": True, "message": "Outcome recorded successfully."})

    async def _mail(self, request: Request) -> Response:
        batch, body = self._batch(request), await body_of(request)
        one = self._candidate_of(batch, body)
        told = mail_json(batch, one, body, self.clock.now())
        self.note("api", "drafted", "candidate", str(one.id), {}, {"mail": told["email_type"]})
        return answer(told)

    async def _mails(self, request: Request) -> Response:
        batch, body = self._batch(request), await body_of(request)
        named = body.get("candidate_ids")
        if not isinstance(named, list) or not 1 <= len(named) <= 50:
            raise invalid("candidate_ids", "must be between 1 and 50")
        people = [self._candidate_of(batch, {"candidate_id": id_}) for id_ in named]
        return answer({"success": True, "emails": [mail_json(batch, one, body, self.clock.now()) for one in people]})

    async def _questions(self, request: Request) -> Response:
        batch, body = self._batch(request), await body_of(request)
        return answer(questions_json(self._candidate_of(batch, body), body))

    async def _icebreaker(self, request: Request) -> Response:
        one = self._candidate_of(self._batch(request), await body_of(request))
        told = rows.candidate_json(one)["icebreaker"]
        return answer({"success": True, "candidate_id": one.id, "icebreaker": told})

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

    def _people_routes(self) -> Iterator[Offered]:
        yield "GET", "/candidates", self._list_candidates, "screen"
        yield "GET", "/candidates/{id:int}", self._get_candidate, "screen"
        yield "PATCH", "/candidates/{id:int}/status", self._patch_status, "screen"

    async def _list_candidates(self, request: Request) -> Response:
        query = request.query_params
        job, status, text = query.get("job_id"), query.get("status"), (query.get("search") or "").casefold()
        least, most = positive(query.get("min_score"), 0), positive(query.get("max_score"), 100)
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
        return self.page(request, "candidates", told, laravel=True)

    async def _get_candidate(self, request: Request) -> Response:
        return self.tell(rows.candidate_json(self._person(request)))

    async def _patch_status(self, request: Request) -> Response:
        one, body = self._person(request), await body_of(request)
        if "status" not in body:
            raise invalid("status", "is required")
        self._move("api", one, body["status"])
        return answer({"success": True, "candidate": rows.candidate_json(one)})

    def _person(self, request: Request) -> Candidate:
        one = self.people.get(request.path_params["id"])
        if one is None:
            raise Refused(404, "The candidate was not found.")
        return one


# --- résumés made by hand ---------------------------------------------------------------------------------------------


def _resume_of(person: Mapping[str, Any], at: int) -> Resume:
    """A résumé that a person would have written."""
    words = "I have worked in teams of several sizes and would like to go on doing so."
    lines = [person.get("name"), person.get("email"), person.get("phone"), person.get("text") or words]
    text = "\n".join(str(line) for line in lines if line)
    return Resume(str(person.get("file") or f"upload-{at + 1}.pdf"), text, len(text))
