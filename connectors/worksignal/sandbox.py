"""WorkSignal as played: an honest server written from its public documentation, for demos and tests.

Source: https://worksignal.com/docs/api, /docs/authentication, /docs/webhooks. Where they are silent, what most Rails
applications do is assumed: ``page`` and ``per_page`` with ``meta``, newest first; bodies with or without the name
around them; 422 with one sentence for a change that the state forbids; a move goes to the candidate's newest active
application; an e-mail is there once; a webhook's secret is told in the answer that made it and never again, and a
webhook that took none of six deliveries of an event is paused. A candidate may be added to a draft or an open role.

In-process, ids are texts as the connector's refs bear them: an application's is ``<candidate id>:<application id>``.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.worksignal import played
from connectors.worksignal.played import (
    EVENTS,
    EXITS,
    ORGANIZATION,
    PERSON_FIELDS,
    PORTAL,
    POSTING_FIELDS,
    ROLE_FIELDS,
    STAGES,
    STATUSES,
    Application,
    Invalid,
    Json,
    Missing,
    Person,
    Posting,
    Role,
    Screen,
)
from syncd.clock import Clock
from syncd.sandbox import Hits, Hook, Limit, Sandbox

PASS_SCORE = 70
RESUMES = "/resumes/"
T = TypeVar("T")

_TITLES = ("Backend Engineer", "Account Manager", "Data Analyst", "Nurse", "Warehouse Lead", "Product Designer")
_DEPARTMENTS = ("Engineering", "Sales", "Operations", "Care")
_FIRST_NAMES = ("Ada", "Bela", "Chidi", "Dina", "Emeka", "Farah", "Goran", "Hana", "Ines", "Jonas")
_LAST_NAMES = ("Abara", "Berg", "Castro", "Dahl", "Egan", "Fonseca", "Grant", "Huber", "Ito", "Jensen")


class WorkSignalSandbox(Sandbox):
    """A WorkSignal organization on its free plan: 100 calls a day, reset at 00:00 UTC.

    What people do in its pages is called in-process: ``add_job``, ``apply``, ``edit``, ``move``, ``complete_screen``,
    ``subscribe``. ``snapshot`` is for judges.
    """

    system = "worksignal"
    limits = (Limit(100, 86_400, fixed=True),)
    resend_after_s = (60.0, 300.0, 1800.0, 7200.0, 43_200.0)

    def __init__(self, *, clock: Clock, rng: random.Random, **kwargs: Any) -> None:
        super().__init__(clock=clock, rng=rng, **kwargs)
        self.roles: dict[int, Role] = {}
        self.people: dict[int, Person] = {}
        self.screens: dict[int, Screen] = {}
        self.posts: list[Json] = []

    # what people do in its pages

    def add_job(self, *, status: str = "open", created_at: float | None = None, **fields: Any) -> str:
        """Somebody makes a role; its id."""
        return str(self._make_role("human", fields, status, created_at).id)

    def apply(
        self,
        job_id: str,
        *,
        name: str,
        email: str,
        created_at: float | None = None,
        phone: str | None = None,
        resume: bytes | None = None,
    ) -> str:
        """Somebody applies on the career page, as the person that her e-mail is known for; the application's id.

        Applying again for the same role while it lasts changes nothing. ``resume`` is the content of a PDF.
        """
        typed = {"name": name, "email": email, "phone": phone}
        person = self._by_email(email) or self._make_person("human", typed, created_at)
        role = self.roles[int(job_id)]
        present = next((one for one in person.applications if one.role_id == role.id and one.is_active), None)
        applied = played.ref_of(person, present or self._make_application("human", person, role, created_at))
        if resume is not None:
            self.put_resume(applied, resume)
        return applied

    def put_resume(self, application_id: str, content: bytes) -> None:
        """Somebody uploads a résumé in the pages; it has an address of its own."""
        person, _ = self._located(application_id)
        self._change_person("human", person, {"resume_url": f"{RESUMES}{person.id}/{self.number()}/cv.pdf"})
        person.resume = content

    def resume_of(self, application_id: str) -> bytes | None:
        """The content of the résumé that somebody uploaded."""
        return self._located(application_id)[0].resume

    def screen(self, application_id: str, score: int | None = None) -> str:
        """Somebody holds a voice screen about an application; its id. Without a score it goes on."""
        person, application = self._located(application_id)
        screen = Screen(self._new_id(), person, self.roles[application.role_id], "in_progress")
        self.screens[screen.id] = screen
        if score is not None:
            self.complete_screen(str(screen.id), score)
        return str(screen.id)

    def edit(self, kind: str, id: str, **fields: Any) -> None:  # noqa: A002  # the word of all sandboxes
        """Somebody edits a job (its status too), a candidate, or an application's stage."""
        if kind == "application":
            self.move(id, fields["stage"])
        elif kind == "candidate":
            self._change_person("human", self.people[int(id)], fields)
        else:
            self._change_role("human", self.roles[int(id)], fields)

    def move(self, application_id: str, stage: str) -> None:
        """Somebody moves, rejects or hires; or the person withdraws. In the pages, an ended one can be reopened."""
        person, application = self._located(application_id)
        self._move("human", person, application, stage)

    def complete_screen(self, screen_id: str, score: int | None) -> None:
        """The system finishes a voice screen; without a score it failed."""
        screen = self.screens[int(screen_id)]
        screen.status, screen.overall_score = ("failed", None) if score is None else ("completed", score)
        if score is not None:
            screen.highlights, screen.red_flags = ["Speaks of made-up work"], ["Has no made-up licence"]
        self.note("system", screen.status, "voice_screen", screen_id, {}, {"overall_score": score})
        self._announce(f"voice_screen.{screen.status}", {"voice_screen": played.screen_json(screen)})
        if score is not None and score >= PASS_SCORE:
            told = {**played.named(screen.person), "role": played.titled(screen.role)}
            self._announce("candidate.passed", {"candidate": told})

    def subscribe(self, url: str, *, secret: str, events: Sequence[str] = ()) -> str:
        """An administrator registers a webhook in the dashboard; its id. No events: all of them."""
        hook = Hook(str(self.number()), url, tuple(events), secret)
        self.hooks[hook.id] = hook
        return hook.id

    def fill(self, *, jobs: int, people: int) -> None:
        """Seed with made-up roles and people."""
        for at in range(jobs):
            self.add_job(title=f"{self.rng.choice(_TITLES)} {at + 1}", department=self.rng.choice(_DEPARTMENTS))
        for at in range(people):
            name = f"{self.rng.choice(_FIRST_NAMES)} {self.rng.choice(_LAST_NAMES)}"
            email = f"{name.replace(' ', '.').lower()}.{at + 1}@example.com"
            phone = f"+1202555{self.rng.randrange(10_000):04d}"
            self.apply(str(self.rng.choice(list(self.roles))), name=name, email=email, phone=phone)

    def snapshot(self) -> dict[str, dict[str, Json]]:
        """All that is kept, by kind and id, in this system's words."""
        return {
            "job": {str(role.id): {**role.fields, "status": role.status} for role in self.roles.values()},
            "candidate": {str(person.id): dict(person.fields) for person in self.people.values()},
            "application": {
                played.ref_of(person, application): played.application_fields(person, application)
                for person in self.people.values()
                for application in person.applications
            },
            "screening": {str(screen.id): played.screen_json(screen) for screen in self.screens.values()},
        }

    # the rules, whoever acts

    def _make_role(self, by: str, fields: Json, status: str = "draft", created_at: float | None = None) -> Role:
        chosen = {name: fields.get(name) for name in ROLE_FIELDS}
        played.check_role(chosen)
        at = self._at(created_at)
        role = Role(self._new_id(), chosen, status, at, at)
        self.roles[role.id] = role
        self.note(by, "create", "job", str(role.id), {}, {**chosen, "status": status})
        return role

    def _change_role(self, by: str, role: Role, fields: Json) -> None:
        after = _only(ROLE_FIELDS, fields)
        played.check_role({**role.fields, **after})
        if fields.get("status", role.status) not in STATUSES:
            raise Invalid("Status is not included in the list")
        before = {name: role.fields[name] for name in after}
        if "status" in fields and by == "human":
            self._turn(by, role, fields["status"])
        if before != after:
            role.fields.update(after)
            role.updated_at = self.clock.now()
            self.note(by, "update", "job", str(role.id), before, after)

    def _turn(self, by: str, role: Role, status: str) -> None:
        if role.status != status:
            self.note(by, "status", "job", str(role.id), {"status": role.status}, {"status": status})
            role.status, role.updated_at = status, self.clock.now()

    def _make_person(self, by: str, fields: Json, created_at: float | None = None) -> Person:
        chosen = {name: fields.get(name) for name in PERSON_FIELDS}
        played.check_person(chosen)
        self._check_unique(str(chosen["email"]), None)
        at = self._at(created_at)
        person = Person(self._new_id(), chosen, at, at)
        self.people[person.id] = person
        self.note(by, "create", "candidate", str(person.id), {}, dict(chosen))
        return person

    def _change_person(self, by: str, person: Person, fields: Json) -> None:
        after = _only(PERSON_FIELDS, fields)
        before = {name: person.fields[name] for name in after}
        played.check_person({**person.fields, **after})
        self._check_unique(after.get("email", ""), person)
        if before != after:
            person.fields.update(after)
            person.updated_at = self.clock.now()
            if "resume_url" in after:
                person.resume = None
            self.note(by, "update", "candidate", str(person.id), before, after)

    def _make_application(self, by: str, person: Person, role: Role, created_at: float | None = None) -> Application:
        at = self._at(created_at)
        application = Application(self._new_id(), role.id, at, at)
        person.applications.append(application)
        kept = played.application_fields(person, application)
        self.note(by, "create", "application", played.ref_of(person, application), {}, kept)
        self._announce("application.created", {"application": played.application_event(person, application, role)})
        return application

    def _move(self, by: str, person: Person, application: Application, stage: str, reason: str | None = None) -> None:
        before = application.stage
        if stage not in (*STAGES, *EXITS):
            raise Invalid("Stage is not included in the list")
        if before == stage:
            return
        role = self.roles[application.role_id]
        application.stage, application.updated_at = stage, self.clock.now()
        self.note(by, "move", "application", played.ref_of(person, application), {"stage": before}, {"stage": stage})
        if stage in EXITS:
            told = {**played.named(person), "stage": stage, "role": played.titled(role), "reason": reason}
            self._announce(f"candidate.{stage}", {"candidate": told})
        else:
            told = {**played.application_event(person, application, role), "previous_stage": before}
            self._announce("application.stage_changed", {"application": told})

    def _check_unique(self, email: str, own: Person | None) -> None:
        known = self._by_email(email)
        if known is not None and known is not own:
            raise Invalid("Email has already been taken")

    def _by_email(self, email: str) -> Person | None:
        folded = email.casefold()
        return next((person for person in self.people.values() if person.fields["email"].casefold() == folded), None)

    def _located(self, application_id: str) -> tuple[Person, Application]:
        candidate, _, number = application_id.partition(":")
        person = self.people[int(candidate)]
        return person, next(one for one in person.applications if one.id == int(number))

    def _new_id(self) -> int:
        return 40 + self.number()

    def _at(self, created_at: float | None) -> float:
        return self.clock.now() if created_at is None else created_at

    async def _deliver(
        self, hook: Hook, body: bytes | Callable[[], bytes], headers: Callable[[Hook, bytes], Mapping[str, str]]
    ) -> None:
        """Deliver as planned; a webhook that took none of the tries is paused."""
        content = body() if callable(body) else body
        for wait_s in (0.0, *self.resend_after_s):
            await self.clock.sleep_until(self.clock.now() + wait_s)
            if await self._taken(hook, content, headers(hook, content)):
                return
        if hook.id in self.hooks:
            self._keep(replace(self.hooks[hook.id], active=False))

    # the API: who may ask, and how much

    def exception_handlers(self) -> Mapping[Any, Callable[[Request, Exception], Response]]:
        """Errors as documented: ``error`` always, ``messages`` where validation failed."""
        return {
            Invalid: lambda request, error: _refusal(422, "Validation failed", [str(error)]),
            Missing: lambda request, error: _refusal(404, "Not found"),
            404: lambda request, error: _refusal(404, "Not found"),
            405: lambda request, error: _refusal(404, "Not found"),
        }

    def refuse_token(self, request: Request) -> Response:
        """Without a good key nothing is told."""
        return _refusal(401, "Invalid or missing API key")

    def refuse_rate(self, limit: Limit, wait_s: float) -> Response:
        """The day's calls are spent; Retry-After says how long the day still lasts."""
        return _refusal(429, "Rate limit exceeded", headers={"Retry-After": str(max(1, math.ceil(wait_s)))})

    def rate_headers(self, hits: Hits, now: float) -> Mapping[str, str]:
        """None are documented."""
        return {}

    def routes(self) -> Sequence[Route]:
        """All documented routes below ``/api/v1``."""
        calls = [
            Route(f"/api/v1{path}", handler, methods=[method])
            for method, path, handler in (
                *self._role_routes(),
                *self._candidate_routes(),
                *self._other_routes(),
                *self._webhook_routes(),
            )
        ]
        return [*calls, Route(f"{RESUMES}{{id:int}}/{{upload}}/{{name}}", self._resume)]

    def is_open(self, request: Request) -> bool:
        """A résumé's address is all that one needs."""
        return request.url.path.startswith(RESUMES)

    async def _resume(self, request: Request) -> Response:
        if "authorization" in request.headers:
            return _refusal(403, "Forbidden")
        person = self._person(request)
        if person.resume is None or person.fields["resume_url"] != request.url.path:
            raise Missing
        return Response(person.resume, media_type="application/pdf")

    @staticmethod
    def _told(request: Request, person: Person) -> Json:
        """A candidate; what is kept here has its address here."""
        told = played.person_json(person)
        here = f"{request.url.scheme}://{request.url.netloc}{person.fields['resume_url']}"
        return told if person.resume is None else {**told, "resume_url": here}

    # roles and their postings

    def _role_routes(self) -> Iterator[tuple[str, str, Any]]:
        yield "POST", "/quick_post", self._quick_post
        yield "GET", "/roles", self._list_roles
        yield "POST", "/roles", self._post_role
        yield "GET", "/roles/{id:int}", self._get_role
        yield "PATCH", "/roles/{id:int}", self._patch_role
        yield "DELETE", "/roles/{id:int}", self._close_role
        yield "POST", "/roles/{id:int}/publish", self._publish_role
        yield "POST", "/roles/{id:int}/pause", self._pause_role
        yield "GET", "/roles/{id:int}/stats", self._stats
        yield "GET", "/job_postings", self._list_postings
        yield "POST", "/job_postings", self._post_posting
        yield "PATCH", "/job_postings/{id:int}", self._patch_posting
        yield "POST", "/job_postings/{id:int}/publish", self._publish_posting
        yield "POST", "/job_postings/{id:int}/unpublish", self._unpublish_posting

    async def _quick_post(self, request: Request) -> Response:
        body = await _body(request)
        publish = body.get("publish", True)
        role = self._make_role("api", _inner(body, "role"))
        described = body.get("job_posting")
        posting = self._make_posting("api", role, described if isinstance(described, dict) else {})
        if publish:
            self._turn("api", role, "open")
            self._show("api", posting, published=True)
        short = {name: played.role_json(role)[name] for name in ("id", "title", "status", "department")}
        answer = {"role": short, "job_posting": played.posting_json(posting), "career_portal_url": PORTAL}
        return JSONResponse(answer, 201)

    async def _list_roles(self, request: Request) -> Response:
        status = request.query_params.get("status")
        chosen = [role for role in self.roles.values() if status in {None, role.status}]
        return _listed(request, "roles", chosen, played.role_row)

    async def _post_role(self, request: Request) -> Response:
        role = self._make_role("api", _inner(await _body(request), "role"))
        return JSONResponse({"role": played.role_json(role)}, 201)

    async def _get_role(self, request: Request) -> Response:
        return JSONResponse({"role": played.role_json(self._role(request))})

    async def _patch_role(self, request: Request) -> Response:
        role = self._role(request)
        self._change_role("api", role, _inner(await _body(request), "role"))
        return JSONResponse({"role": played.role_json(role)})

    async def _close_role(self, request: Request) -> Response:
        role = self._role(request)
        self._turn("api", role, "closed")
        return JSONResponse({"role": played.role_json(role)})

    async def _publish_role(self, request: Request) -> Response:
        role = self._role(request)
        if role.status not in {"draft", "paused"}:
            raise Invalid("Role is already open" if role.status == "open" else "Role is closed")
        self._turn("api", role, "open")
        return JSONResponse({"role": played.role_json(role)})

    async def _pause_role(self, request: Request) -> Response:
        role = self._role(request)
        if role.status != "open":
            raise Invalid("Role is not open")
        self._turn("api", role, "paused")
        return JSONResponse({"role": played.role_json(role)})

    async def _stats(self, request: Request) -> Response:
        role = self._role(request)
        scores = [screen.overall_score for screen in self.screens.values() if screen.role is role]
        known = [score for score in scores if score is not None]
        passed = sum(score >= PASS_SCORE for score in known)
        stats = {
            "applicants": sum(one.role_id == role.id for person in self.people.values() for one in person.applications),
            "screens": len(scores),
            "pass_rate": passed / len(known) if known else None,
            "average_score": sum(known) / len(known) if known else None,
        }
        return JSONResponse({"stats": stats})

    async def _list_postings(self, request: Request) -> Response:
        wanted = request.query_params.get("published")
        chosen = [one for one in self._postings().values() if wanted in {None, str(one.published).lower()}]
        return _listed(request, "job_postings", chosen, played.posting_json)

    async def _post_posting(self, request: Request) -> Response:
        body = await _body(request)
        role = self._role_of(body)
        if role.posting is not None:
            raise Invalid("Role has already been taken")
        posting = self._make_posting("api", role, _inner(body, "job_posting"))
        return JSONResponse({"job_posting": played.posting_json(posting)}, 201)

    async def _patch_posting(self, request: Request) -> Response:
        posting = self._posting(request)
        posting.fields.update(_only(POSTING_FIELDS, _inner(await _body(request), "job_posting")))
        return JSONResponse({"job_posting": played.posting_json(posting)})

    async def _publish_posting(self, request: Request) -> Response:
        return self._show("api", self._posting(request), published=True)

    async def _unpublish_posting(self, request: Request) -> Response:
        return self._show("api", self._posting(request), published=False)

    def _make_posting(self, by: str, role: Role, fields: Json) -> Posting:
        described = {"title": role.fields["title"], "public_description": role.fields["description"]}
        role.posting = Posting(self._new_id(), {**described, **_only(POSTING_FIELDS, fields)})
        self.note(by, "create", "job_posting", str(role.posting.id), {}, {"job": str(role.id)})
        return role.posting

    def _show(self, by: str, posting: Posting, *, published: bool) -> Response:
        if posting.published != published:
            posting.published = published
            self.note(by, "published" if published else "unpublished", "job_posting", str(posting.id))
        return JSONResponse({"job_posting": played.posting_json(posting)})

    def _role(self, request: Request) -> Role:
        return _there(self.roles, request.path_params["id"])

    def _role_of(self, body: Json) -> Role:
        """The role that a body names."""
        named = body.get("role_id")
        if not isinstance(named, int) or named not in self.roles:
            raise Invalid("Role must exist")
        return self.roles[named]

    def _postings(self) -> dict[int, Posting]:
        return {role.posting.id: role.posting for role in self.roles.values() if role.posting}

    def _posting(self, request: Request) -> Posting:
        return _there(self._postings(), request.path_params["id"])

    # candidates

    def _candidate_routes(self) -> Iterator[tuple[str, str, Any]]:
        yield "GET", "/candidates", self._list_candidates
        yield "POST", "/candidates", self._post_candidate
        yield "GET", "/candidates/{id:int}", self._get_candidate
        yield "PATCH", "/candidates/{id:int}", self._patch_candidate
        yield "POST", "/candidates/{id:int}/advance", self._advance
        yield "POST", "/candidates/{id:int}/reject", self._reject
        yield "POST", "/candidates/{id:int}/hire", self._hire
        yield "POST", "/candidates/{id:int}/invite_screen", self._invite_screen

    async def _list_candidates(self, request: Request) -> Response:
        role, stage = request.query_params.get("role_id"), request.query_params.get("stage")

        def is_wanted(person: Person) -> bool:
            return (role is None and stage is None) or any(
                role in {None, str(one.role_id)} and stage in {None, one.stage} for one in person.applications
            )

        chosen = [person for person in self.people.values() if is_wanted(person)]
        return _listed(request, "candidates", chosen, partial(self._told, request))

    async def _post_candidate(self, request: Request) -> Response:
        body = _inner(await _body(request), "candidate")
        role = None if body.get("role_id") is None else self._role_of(body)
        if role is not None and role.status in {"paused", "closed"}:
            raise Invalid("Role is not accepting applications")
        person = self._make_person("api", {name: body.get(name) for name in ("name", "email")})
        if role is not None:
            self._make_application("api", person, role)
        return JSONResponse({"candidate": self._told(request, person)}, 201)

    async def _get_candidate(self, request: Request) -> Response:
        person = self._person(request)
        screens = [played.screen_json(screen) for screen in self.screens.values() if screen.person is person]
        return JSONResponse({"candidate": {**self._told(request, person), "voice_screens": screens, "touchpoints": []}})

    async def _patch_candidate(self, request: Request) -> Response:
        person = self._person(request)
        self._change_person("api", person, _inner(await _body(request), "candidate"))
        return JSONResponse({"candidate": self._told(request, person)})

    async def _advance(self, request: Request) -> Response:
        body = await _body(request)
        if body.get("stage") not in STAGES:
            raise Invalid("Stage is not included in the list" if body.get("stage") else "Stage can't be blank")
        return self._moved(request, body, body["stage"])

    async def _reject(self, request: Request) -> Response:
        body = await _body(request)
        if not body.get("reason"):
            raise Invalid("Reason can't be blank")
        return self._moved(request, body, "rejected", str(body["reason"]))

    async def _hire(self, request: Request) -> Response:
        body = await _body(request)
        answer = self._moved(request, body, "hired")
        if body.get("start_date"):
            person = str(request.path_params["id"])
            self.note("api", "begin", "candidate", person, {}, {"start_date": body["start_date"]})
        return answer

    def _moved(self, request: Request, body: Json, stage: str, reason: str | None = None) -> Response:
        """Move the newest active application, or the one that the body names (which is not documented)."""
        person = self._person(request)
        named = (("id", body.get("application_id")), ("role_id", body.get("role_id")))
        chosen = [
            one
            for one in person.applications
            if one.is_active and all(value in (None, getattr(one, name)) for name, value in named)
        ]
        if not chosen:
            raise Invalid("Candidate has no active application")
        self._move("api", person, chosen[-1], stage, reason)
        return JSONResponse({"candidate": self._told(request, person)})

    async def _invite_screen(self, request: Request) -> Response:
        person, body = self._person(request), await _body(request)
        role = self._role_of(body)
        screen = Screen(self._new_id(), person, role)
        self.screens[screen.id] = screen
        self.note("api", "invited", "candidate", str(person.id), {}, {"voice_screen": str(screen.id)})
        return JSONResponse({"voice_screen": played.screen_json(screen)}, 201)

    def _person(self, request: Request) -> Person:
        return _there(self.people, request.path_params["id"])

    # voice screens, channels, organization

    def _other_routes(self) -> Iterator[tuple[str, str, Any]]:
        yield "GET", "/voice_screens", self._list_screens
        yield "GET", "/voice_screens/{id:int}", self._get_screen
        yield "GET", "/channels", self._channels
        yield "POST", "/channels/x/post", self._post_to_x
        yield "GET", "/channels/x/posts", self._list_posts
        yield "GET", "/organization", self._organization

    async def _list_screens(self, request: Request) -> Response:
        role, status = request.query_params.get("role_id"), request.query_params.get("status")
        chosen = [
            screen
            for screen in self.screens.values()
            if role in {None, str(screen.role.id)} and status in {None, screen.status}
        ]
        return _listed(request, "voice_screens", chosen, played.screen_json)

    async def _get_screen(self, request: Request) -> Response:
        screen = _there(self.screens, request.path_params["id"])
        told: Json = {"transcript": [], "highlights": screen.highlights, "red_flags": screen.red_flags}
        return JSONResponse({"voice_screen": {**played.screen_json(screen), **told}})

    async def _channels(self, request: Request) -> Response:
        x = {"connected": True, "posts": len(self.posts)}
        return JSONResponse({"channels": {"x": x, "whatsapp": {"connected": False}}})

    async def _post_to_x(self, request: Request) -> Response:
        body = await _body(request)
        named = body.get("job_posting_id")
        if not isinstance(named, int) or named not in self._postings():
            raise Invalid("Job posting must exist")
        posting = self._postings()[named]
        if body.get("style") not in (None, "professional", "casual", "bold"):
            raise Invalid("Style is not included in the list")
        counts = dict.fromkeys(("likes", "retweets", "replies", "link_clicks"), 0)
        post = {"id": self._new_id(), "job_posting_id": posting.id, **counts}
        self.posts.append(post)
        self.note("api", "posted", "job_posting", str(posting.id))
        return JSONResponse({"post": post}, 201)

    async def _list_posts(self, request: Request) -> Response:
        return JSONResponse({"posts": self.posts[::-1]})

    async def _organization(self, request: Request) -> Response:
        hits = self.hits[self.token_of(request.headers)]
        day = next(iter(hits.limits), None)
        told = {
            "id": ORGANIZATION,
            "name": "Acme",
            "plan": "free" if day else "pro",
            "limits": {"api_requests_per_day": day.calls if day else None},
            "usage": {"api_requests_today": hits.used(day, self.clock.now()) if day else None},
            "career_portal_url": PORTAL,
        }
        return JSONResponse({"organization": told})

    # webhooks: their management, and what they say

    def _webhook_routes(self) -> Iterator[tuple[str, str, Any]]:
        yield "GET", "/webhooks/events", self._list_events
        yield "GET", "/webhooks", self._list_hooks
        yield "POST", "/webhooks", self._post_hook
        yield "PATCH", "/webhooks/{id}", self._patch_hook
        yield "DELETE", "/webhooks/{id}", self._delete_hook
        yield "POST", "/webhooks/{id}/test", self._test_hook
        yield "POST", "/webhooks/{id}/pause", self._pause_hook
        yield "POST", "/webhooks/{id}/activate", self._activate_hook

    async def _list_events(self, request: Request) -> Response:
        return JSONResponse({"events": list(EVENTS)})

    async def _list_hooks(self, request: Request) -> Response:
        return JSONResponse({"webhooks": [played.hook_json(hook) for hook in self.hooks.values()]})

    async def _post_hook(self, request: Request) -> Response:
        body = await _body(request)
        played.check_hook(body)
        secret = f"whsec_{self.rng.getrandbits(128):032x}"
        hook = self.hooks[self.subscribe(body["url"], secret=secret, events=body["events"])]
        return JSONResponse({"webhook": {**played.hook_json(hook), "secret": secret}}, 201)

    async def _patch_hook(self, request: Request) -> Response:
        hook = _there(self.hooks, request.path_params["id"])
        body = {"url": hook.url, "events": list(hook.events), **await _body(request)}
        played.check_hook(body)
        return self._keep(replace(hook, url=body["url"], events=tuple(body["events"])))

    async def _delete_hook(self, request: Request) -> Response:
        del self.hooks[_there(self.hooks, request.path_params["id"]).id]
        return Response(status_code=204)

    async def _test_hook(self, request: Request) -> Response:
        hook = _there(self.hooks, request.path_params["id"])
        # Sent under a name that the webhook wants: a test comes whatever the webhook is for.
        wanted = hook.events[0] if hook.events else "test"
        body = played.envelope("test", self.clock.now(), {})
        self.emit(wanted, body, played.signed, lambda other: other.id == hook.id)
        return JSONResponse({"webhook": played.hook_json(hook)})

    async def _pause_hook(self, request: Request) -> Response:
        return self._keep(replace(_there(self.hooks, request.path_params["id"]), active=False))

    async def _activate_hook(self, request: Request) -> Response:
        return self._keep(replace(_there(self.hooks, request.path_params["id"]), active=True))

    def _keep(self, hook: Hook) -> Response:
        self.hooks[hook.id] = hook
        return JSONResponse({"webhook": played.hook_json(hook)})

    def _announce(self, event: str, data: Json) -> None:
        self.emit(event, played.envelope(event, self.clock.now(), data), played.signed)


# --- what an answer is made of --------------------------------------------------------------------------------------


def _refusal(
    status: int, error: str, messages: list[str] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    return JSONResponse({"error": error} | ({"messages": messages} if messages else {}), status, headers)


def _listed(request: Request, plural: str, rows: Sequence[Any], tell: Callable[[Any], Json]) -> Response:
    """One page of a list, newest first, with what it says of its pages."""
    page = _positive(request.query_params.get("page"), 1)
    size = min(_positive(request.query_params.get("per_page"), 25), 100)
    newest = sorted(rows, key=lambda row: row.id, reverse=True)
    meta = {"page": page, "per_page": size, "total": len(newest), "total_pages": -(-len(newest) // size)}
    return JSONResponse({plural: [tell(row) for row in newest[(page - 1) * size : page * size]], "meta": meta})


def _positive(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and int(text) else otherwise


async def _body(request: Request) -> Json:
    """The JSON object of a request; an empty one where there is none."""
    raw = await request.body()
    try:
        body = orjson.loads(raw) if raw.strip() else {}
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise Invalid("Body is invalid")
    return body


def _inner(body: Json, name: str) -> Json:
    """The object with or without its name around it."""
    inner = body.get(name)
    return inner if isinstance(inner, dict) else body


def _only(names: Sequence[str], fields: Json) -> Json:
    return {name: fields[name] for name in names if name in fields}


def _there(rows: Mapping[Any, T], id_: Any) -> T:
    if id_ not in rows:
        raise Missing
    return rows[id_]
