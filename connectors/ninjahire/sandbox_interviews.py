"""What a job asks its people and when it may phone them, as played: questions, scheduling, schedule settings.

A sync switches a closed job's scheduling off and uses nothing else of it; the rest is here because a user may try her
own client against the sandbox.
"""

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from connectors.ninjahire import sandbox_forms as forms
from connectors.ninjahire.sandbox_rows import Refused, RefusedAtTheDoor, Row, Rows, answer, body_of, iso

Handler = Callable[[Request], Awaitable[Response]]


class Interviews:
    """The questions and schedules of all jobs. ``note`` writes down an effect."""

    def __init__(self, rows: Rows, note: Callable[..., Any]) -> None:
        self.rows = rows
        self.note = note
        self.questions: dict[str, Row] = {}
        self.schedules: dict[str, Row] = {}
        self.scheduling: dict[str, bool] = {}
        self._numbers = itertools.count(1)

    def routes(self) -> tuple[tuple[str, str, Handler], ...]:
        """Method, path, handler."""
        job = "/v1/jobs/{id}"
        return (
            ("GET", f"{job}/scheduling", self._get_scheduling),
            ("PATCH", f"{job}/scheduling", self._patch_scheduling),
            ("GET", f"{job}/schedule-setting", self._get_schedule),
            ("PUT", f"{job}/schedule-setting", self._put_schedule),
            ("GET", f"{job}/questions", self._list_questions),
            ("POST", f"{job}/questions", self._post_question),
            ("POST", f"{job}/questions/generate", self._generate_questions),
            ("PATCH", f"{job}/questions/{{question_id}}", self._patch_question),
            ("DELETE", f"{job}/questions/{{question_id}}", self._delete_question),
        )

    async def _get_scheduling(self, request: Request) -> Response:
        job_id = self.rows.one("job", request)["id"]
        return answer({"job_id": job_id, "scheduling": self.scheduling.get(job_id, False)})

    async def _patch_scheduling(self, request: Request) -> Response:
        job_id = self.rows.one("job", request)["id"]
        self.scheduling[job_id] = (await body_of(request, forms.SCHEDULING))["scheduling"]
        self.note("api", "scheduling", "job", job_id, after={"scheduling": self.scheduling[job_id]})
        return answer({"job_id": job_id, "scheduling": self.scheduling[job_id]})

    async def _get_schedule(self, request: Request) -> Response:
        job_id = self.rows.one("job", request)["id"]
        if job_id not in self.schedules:
            raise Refused(404, "Schedule setting not found")
        return answer(self.schedules[job_id])

    async def _put_schedule(self, request: Request) -> Response:
        job_id = self.rows.one("job", request)["id"]
        fields = await body_of(request, forms.SCHEDULE)
        known = self.schedules.get(job_id) or {"id": self.rows.new_id(), "job_id": job_id}
        self.schedules[job_id] = {"id": known["id"], "job_id": job_id, **fields}
        self.note("api", "schedule", "job", job_id, after=fields)
        return answer(self.schedules[job_id])

    async def _list_questions(self, request: Request) -> Response:
        job_id = self.rows.one("job", request)["id"]
        return answer([question for question in self.questions.values() if question["job_id"] == job_id])

    async def _post_question(self, request: Request) -> Response:
        job_id = self.rows.one("job", request)["id"]
        return answer(self.ask(job_id, await body_of(request, forms.QUESTION)), 201)

    async def _generate_questions(self, request: Request) -> Response:
        job = self.rows.one("job", request)
        texts = (f"What draws you to work as {job['title']}?", "When could you start?", "Which shifts suit you?")
        made = [{"question_text": text, "source_id": f"generated-{next(self._numbers)}"} for text in texts]
        return answer([self.ask(job["id"], question) for question in made], 201)

    def ask(self, job_id: str, fields: Row) -> Row:
        """Add a question to a job, or to one of its applications."""
        now = iso(self.rows.clock.now())
        question = {"id": self.rows.new_id(), "job_id": job_id, "application_id": None, **fields}
        self.questions[question["id"]] = {**question, "created_at": now, "updated_at": now}
        self.note("api", "question", "job", job_id, after=fields)
        return self.questions[question["id"]]

    async def _patch_question(self, request: Request) -> Response:
        question = self._one(request)
        if "source_id" not in request.query_params:
            raise RefusedAtTheDoor(400, "Query parameter source_id is required")
        fields = await body_of(request, forms.QUESTION)
        question.update(fields, updated_at=iso(self.rows.clock.now()))
        self.note("api", "question", "job", question["job_id"], after=fields)
        return answer(question)

    async def _delete_question(self, request: Request) -> Response:
        question = self._one(request)
        del self.questions[question["id"]]
        self.note("api", "question_deleted", "job", question["job_id"])
        return answer({"message": "Question deleted"})

    def _one(self, request: Request) -> Row:
        job_id = self.rows.one("job", request)["id"]
        question = self.questions.get(request.path_params["question_id"])
        if question is None or question["job_id"] != job_id:
            raise Refused(404, "Question not found")
        return question
