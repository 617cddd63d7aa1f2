"""The hiring portal, played from its public reference: an ASGI app for demos, tests and a user's own trials. Simulated.

Source: https://sprint-mode-docs.pages.dev/api/jobs, /api/hiring, /api/authentication. Where they are silent, what is
assumed is: limits above 200 are clamped without a word; lists tell the newest first; ``total`` counts what the filters
match; an e-mail may be there twice, a pair of person and job may not (409); a PATCH answers with the id alone; nothing
logs an activity by itself; no stage is mirrored from one place to the other by the server (switch ``mirrors``), but
people who move an application in the portal's pages move both.

In-process, an application's id is ``<candidate id>:<job id>``, as the connector's refs bear it.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.portal.sandbox_hiring import Hiring
from connectors.portal.sandbox_papers import Papers
from connectors.portal.sandbox_rows import (
    ASSIGNMENT_BLANK,
    DEFAULT_LIMIT,
    JOB_BLANK,
    LARGEST_LIMIT,
    PERSON_BLANK,
    PERSON_LATER,
    PERSON_PATCHED,
    PUBLIC,
    STAGES,
    Refused,
    Row,
    Rows,
    answer,
    body_of,
    demanded,
    iso,
    matching,
    refusal,
    taken,
    whole,
)
from syncd.clock import Clock
from syncd.sandbox import Limit, Sandbox

ACCESS = {"sandbox.access": "sandbox-access-secret"}  # the service token that is known: client id -> secret
_FIRST_NAMES = ("Ada", "Bela", "Chidi", "Dina", "Emeka", "Farah", "Goran", "Hana", "Ines", "Jonas")
_LAST_NAMES = ("Abara", "Berg", "Castro", "Dahl", "Egan", "Fonseca", "Grant", "Huber", "Ito", "Jensen")
_TITLES = ("Welder", "Night nurse", "Line cook", "Field technician", "Payroll clerk", "Tiler")


class PortalSandbox(Sandbox):
    """One hiring portal.

    ``mirrors``: a PATCH of an assignment's stage sets the person's too. ``largest``: rows that a list of jobs or
    assignments gives at most. ``tells_totals``: lists other than that of candidates tell a total as well.
    """

    system = "portal"
    limits: tuple[Limit, ...] = ()

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        tokens: Sequence[str] = ("sandbox-token",),
        client: httpx.AsyncClient | None = None,
        limits: Sequence[Limit] | None = None,
        mirrors: bool = False,
        largest: int = LARGEST_LIMIT,
        tells_totals: bool = False,
    ) -> None:
        self.mirrors = mirrors
        self.largest = largest
        self.tells_totals = tells_totals
        self.table = Rows(clock, rng)
        self.rows = self.table.of
        self.papers = Papers(self.table, self.note)
        self.hiring = Hiring(self.table, self.note, self._bear_person)
        super().__init__(clock=clock, rng=rng, tokens=tokens, client=client, limits=limits)

    # what people do in its pages

    def add_job(self, *, created_at: float | None = None, **fields: Any) -> str:
        """Somebody opens a job; its id."""
        return str(self._bear_job("human", fields, created_at)["id"])

    def apply(
        self,
        job_id: str,
        *,
        name: str,
        email: str,
        created_at: float | None = None,
        assigned: bool = False,
        resume: bytes | None = None,
        **more: Any,
    ) -> str:
        """Somebody applies for a job; the application's id.

        Whoever is new has the job and no assignment, unless ``assigned``; whoever is known gets an assignment.
        ``resume`` is the content of a PDF.
        """
        known = next((row for row in self.rows["candidate"].values() if row["email"] == email), None)
        fields = {"name": name, "email": email, **more, "job_id": job_id}
        row = known or self._bear_person("human", fields, created_at)
        if (assigned or row["job_id"] != job_id) and self.table.assignment(row["id"], job_id) is None:
            self._assign("human", row, job_id, {"stage": more.get("stage", "applied")}, created_at)
        if resume is not None:
            self.papers.keep("human", "candidate", row["id"], "cv.pdf", resume)
        return f"{row['id']}:{job_id}"

    def put_resume(self, application_id: str, content: bytes, name: str = "cv.pdf") -> None:
        """Somebody uploads a file to the person of an application, beside those that are there."""
        self.papers.keep("human", "candidate", application_id.partition(":")[0], name, content)

    def resume_of(self, application_id: str) -> bytes | None:
        """The content of the last file of an application's person."""
        files = self.papers.files.get(application_id.partition(":")[0])
        return self.papers.contents[files[-1]["id"]] if files else None

    def assign(self, job_id: str, candidate_id: str, stage: str = "applied") -> str:
        """Somebody assigns a candidate to a job; the application's id."""
        self._assign("human", self.rows["candidate"][candidate_id], job_id, {"stage": stage}, None)
        return f"{candidate_id}:{job_id}"

    def edit(self, kind: str, id: str, **fields: Any) -> None:  # noqa: A002  # the word of all sandboxes
        """Somebody edits a job, a candidate, or an application (its stage, or what its placement says)."""
        if kind != "application":
            self._change("human", kind, self.rows[kind][id], fields)
            return
        if "stage" in fields:
            self.move(id, fields.pop("stage"))
        assignment = self.table.assignment(*id.split(":"))
        if fields and assignment is not None:
            self._change("human", "assignment", assignment, fields)

    def move(self, application_id: str, stage: str, *, mirrored: bool = True) -> None:
        """Somebody moves an application: its assignment, and the person's stage with it unless not ``mirrored``."""
        candidate, _, job = application_id.partition(":")
        assignment = self.table.assignment(candidate, job)
        if assignment is not None:
            self._change("human", "assignment", assignment, {"stage": stage})
        if assignment is None or mirrored:
            self.move_person(candidate, stage)

    def move_person(self, candidate_id: str, stage: str) -> None:
        """Somebody moves a candidate alone, whatever her assignments are."""
        self._change("human", "candidate", self.rows["candidate"][candidate_id], {"stage": stage})

    def archive(self, candidate_id: str) -> None:
        """Somebody puts a candidate away."""
        self.edit("candidate", candidate_id, archived_at=iso(self.clock.now()))

    def vanish(self, candidate_id: str) -> None:
        """Somebody takes a candidate out of the database, which no page and no call of the portal can."""
        for row in self.table.assignments(candidate_id):
            del self.rows["assignment"][row["id"]]
        del self.rows["candidate"][candidate_id]
        self.note("human", "delete", "candidate", candidate_id)

    def fill(self, *, jobs: int, people: int) -> None:
        """Seed with made-up jobs and people; every other person is assigned to her job."""
        made = [self.add_job(title=f"{self.rng.choice(_TITLES)} {at + 1}") for at in range(jobs)]
        for at in range(people):
            name = f"{self.rng.choice(_FIRST_NAMES)} {self.rng.choice(_LAST_NAMES)}"
            email = f"{name.replace(' ', '.').lower()}.{at + 1}@example.com"
            phone = f"+1202555{self.rng.randrange(10_000):04d}"
            stage = self.rng.choice(STAGES[:4])
            self.apply(made[at % jobs], name=name, email=email, phone=phone, stage=stage, assigned=at % 2 == 0)

    def snapshot(self) -> dict[str, dict[str, Row]]:
        """All that is kept, by kind and id, in this system's words."""
        people = self.rows["candidate"]
        applications = {f"{id_}:{row['job_id']}": _unassigned(row) for id_, row in people.items() if row["job_id"]}
        for row in self.rows["assignment"].values():
            applications[_pair(row)] = {
                "job": row["job_id"],
                "candidate": row["candidate_id"],
                **{name: row[name] for name in ("stage", *ASSIGNMENT_BLANK)},
            }
        return {
            "job": {id_: dict(row) for id_, row in self.rows["job"].items()},
            "candidate": {id_: dict(row) for id_, row in people.items()},
            "application": applications,
        }

    # the rules, whoever acts

    def _bear_job(self, by: str, fields: Row, created_at: float | None = None) -> Row:
        chosen = {name: value for name, value in taken(JOB_BLANK, fields).items() if value is not None}
        demanded("title", chosen)
        row = self.table.bear("job", {**JOB_BLANK, **chosen}, created_at)
        self.note(by, "create", "job", row["id"], {}, {name: row[name] for name in JOB_BLANK})
        return row

    def _bear_person(self, by: str, fields: Row, created_at: float | None = None) -> Row:
        chosen = {name: value for name, value in taken(PERSON_BLANK, fields).items() if value is not None}
        demanded("name", chosen)
        job = self.table.one("job", chosen["job_id"]) if "job_id" in chosen else None
        born = {**PERSON_BLANK, **PERSON_LATER, "product": job["product"] if job else None, **chosen}
        row = self.table.bear("candidate", born, created_at)
        self.note(by, "create", "candidate", row["id"], {}, {name: row[name] for name in PERSON_BLANK})
        if job:
            self.note(by, "create", "application", f"{row['id']}:{job['id']}", {}, _unassigned(row))
        return row

    def _assign(self, by: str, person: Row, job_id: str, fields: Row, created_at: float | None) -> Row:
        job = self.table.one("job", job_id)
        if self.table.assignment(person["id"], job_id) is not None:
            raise Refused(409, "Candidate already assigned")
        pair = {"job_id": job["id"], "candidate_id": person["id"]}
        row = self.table.bear("assignment", {**pair, "stage": "applied", **ASSIGNMENT_BLANK, **fields}, created_at)
        had = person["job_id"] == job_id
        before = {"stage": person["stage"]} if had else {}
        told = {"job": job_id, "candidate": person["id"], "stage": row["stage"]}
        self.note(by, "assign" if had else "create", "application", _pair(row), before, told)
        return row

    def _change(self, by: str, kind: str, row: Row, fields: Row) -> None:
        names = {"job": (*JOB_BLANK,), "candidate": PERSON_PATCHED, "assignment": ("stage", *ASSIGNMENT_BLANK)}[kind]
        before, after = self.table.change(kind, row, taken(names, fields))
        if not after:
            return
        action = "move" if "stage" in after else "status" if "status" in after else "update"
        if kind == "assignment":
            self.note(by, action, "application", _pair(row), before, after)
            if self.mirrors and "stage" in after:
                self._change(
                    "system", "candidate", self.rows["candidate"][row["candidate_id"]], {"stage": row["stage"]}
                )
        else:
            self.note(by, action, kind, row["id"], before, after)
        if kind == "candidate" and "stage" in after and row["job_id"] and not self.table.assignments(row["id"]):
            stages = {"stage": before["stage"]}, {"stage": after["stage"]}
            self.note(by, "move", "application", f"{row['id']}:{row['job_id']}", *stages)

    # the API: who may ask

    def token_of(self, headers: Mapping[str, str]) -> str:
        """The key, in either of its headers; a service token that is known stands for the first key."""
        if key := headers.get("x-sm-key") or super().token_of(headers):
            return key
        secret = ACCESS.get(headers.get("cf-access-client-id", ""))
        return self.tokens[0] if secret and headers.get("cf-access-client-secret") == secret else ""

    def _gated(self, request: Request) -> Any:
        if request.method == "GET" and request.url.path.startswith("/api/jobs/public"):
            return self.app
        return super()._gated(request)

    def refuse_token(self, request: Request) -> Response:
        """Without a good key nothing is told."""
        return refusal(401, "Unauthorized")

    def refuse_rate(self, limit: Limit, wait_s: float) -> Response:
        """No limit is documented; where a test sets one, it is refused like this."""
        return refusal(429, "Rate limit exceeded", {"Retry-After": str(max(1, -int(-wait_s // 1)))})

    def exception_handlers(self) -> Mapping[Any, Callable[[Request, Exception], Response]]:
        """Errors are one text each."""

        def refused(request: Request, error: Exception) -> Response:
            assert isinstance(error, Refused)
            return refusal(error.status, error.message)

        return {
            Refused: refused,
            404: lambda request, error: refusal(404, "Not found"),
            405: lambda request, error: refusal(405, "Method not allowed"),
        }

    def routes(self) -> Sequence[Route]:
        """All documented routes below ``/api``."""
        table = [*self._own(), *self.papers.routes(), *self.hiring.routes()]
        table.sort(key=lambda one: "{" in one[1])  # plain paths before those with an id: enrich-batch is no candidate
        return [Route(f"/api{path}", handler, methods=[method]) for method, path, handler in table]

    def _own(self) -> Iterator[tuple[str, str, Any]]:
        yield "GET", "/jobs", self._list_jobs
        yield "GET", "/jobs/public", self._list_public
        yield "GET", "/jobs/public/{id}", self._get_public
        yield "GET", "/jobs/{id}", self._get_job
        yield "POST", "/jobs", self._post_job
        yield "PATCH", "/jobs/{id}", self._patch_job
        yield "GET", "/candidates", self._list_candidates
        yield "GET", "/candidates/{id}", self._get_candidate
        yield "POST", "/candidates", self._post_candidate
        yield "PATCH", "/candidates/{id}", self._patch_candidate
        yield "GET", "/job-candidates", self._list_assignments
        yield "POST", "/job-candidates", self._post_assignment
        yield "PATCH", "/job-candidates/{id}", self._patch_assignment

    # jobs

    async def _list_jobs(self, request: Request) -> Response:
        return self._limited(request, matching(self.table.newest("job"), request, "status", "product"))

    async def _list_public(self, request: Request) -> Response:
        rows = [row for row in self.table.newest("job") if row["status"] == "open"]
        return answer([{name: row[name] for name in PUBLIC} for row in rows])

    async def _get_public(self, request: Request) -> Response:
        row = self.table.one("job", request.path_params["id"])
        if row["status"] != "open":
            raise Refused(404, "Job not found")
        return answer({name: row[name] for name in PUBLIC})

    async def _get_job(self, request: Request) -> Response:
        row = self.table.one("job", request.path_params["id"])
        people = self.rows["candidate"]
        beside = {id_: _told(one) for id_, one in people.items() if one["job_id"] == row["id"]}
        for assignment in self.rows["assignment"].values():
            if assignment["job_id"] == row["id"]:
                one = people[assignment["candidate_id"]]
                beside[one["id"]] = {**_told(one), "stage": assignment["stage"]}
        return answer({**row, "candidates": list(beside.values())})

    async def _post_job(self, request: Request) -> Response:
        row = self._bear_job("api", await body_of(request))
        return answer({"id": row["id"], "title": row["title"]}, 201)

    async def _patch_job(self, request: Request) -> Response:
        row = self.table.one("job", request.path_params["id"])
        self._change("api", "job", row, await body_of(request))
        return answer({"id": row["id"]})

    def _limited(self, request: Request, rows: list[Row]) -> Response:
        limit = min(whole(request, "limit", DEFAULT_LIMIT), self.largest)
        return answer(rows[:limit], **({"total": len(rows)} if self.tells_totals else {}))

    # candidates

    async def _list_candidates(self, request: Request) -> Response:
        rows = [
            row
            for row in matching(self.table.newest("candidate"), request, "job_id", "stage", "product", "source")
            if self._is_asked_for(row, request.query_params)
        ]
        limit = min(whole(request, "limit", DEFAULT_LIMIT), LARGEST_LIMIT)
        offset = whole(request, "offset", 0)
        return answer([_told(row) for row in rows[offset : offset + limit]], total=len(rows))

    def _is_asked_for(self, row: Row, asked: Mapping[str, str]) -> bool:
        found = " ".join(str(row[name] or "") for name in ("name", "email", "current_company", "current_title"))
        born = iso(self.table.born_at(row))
        return (
            (row["archived_at"] is None or asked.get("show_archived") == "1")
            and (asked.get("has_email") != "1" or bool(row["email"]))
            and asked.get("location", "").casefold() in str(row["location"] or "").casefold()
            and asked.get("search", "").casefold() in found.casefold()
            and asked.get("date_from", "") <= born
            and born <= (asked.get("date_to") or "9999")
        )

    async def _get_candidate(self, request: Request) -> Response:
        row = self.table.one("candidate", request.path_params["id"])
        return answer({**row, "activities": self.papers.activities.get(row["id"], [])})

    async def _post_candidate(self, request: Request) -> Response:
        row = self._bear_person("api", await body_of(request))
        return answer({"id": row["id"], "name": row["name"]}, 201)

    async def _patch_candidate(self, request: Request) -> Response:
        row = self.table.one("candidate", request.path_params["id"])
        self._change("api", "candidate", row, await body_of(request))
        return answer({"id": row["id"]})

    # assignments

    async def _list_assignments(self, request: Request) -> Response:
        rows = matching(self.table.newest("assignment"), request, "job_id", "stage", "candidate_id")
        return self._limited(request, [self._named(row) for row in rows])

    def _named(self, row: Row) -> Row:
        names = {"candidate_name": self.rows["candidate"][row["candidate_id"]]["name"]}
        return {**row, **names, "job_title": self.rows["job"][row["job_id"]]["title"]}

    async def _post_assignment(self, request: Request) -> Response:
        body = await body_of(request)
        for name in ("job_id", "candidate_id"):
            demanded(name, body)
        person = self.table.one("candidate", str(body["candidate_id"]))
        fields = taken(("stage", "notes"), body)
        return answer({"id": self._assign("api", person, str(body["job_id"]), fields, None)["id"]}, 201)

    async def _patch_assignment(self, request: Request) -> Response:
        row = self.table.one("assignment", request.path_params["id"])
        self._change("api", "assignment", row, await body_of(request))
        return answer({"id": row["id"]})


def _told(row: Row) -> Row:
    """A candidate as lists tell her: a résumé's parsed form is a text of JSON there."""
    parsed = row["resume_parsed"]
    return {**row, "resume_parsed": None if parsed is None else orjson.dumps(parsed).decode()}


def _unassigned(row: Row) -> Row:
    return {"job": row["job_id"], "candidate": row["id"], "stage": row["stage"]}


def _pair(assignment: Row) -> str:
    return f"{assignment['candidate_id']}:{assignment['job_id']}"
