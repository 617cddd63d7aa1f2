"""The played Workable's writes: creates, patches and the actions that need a member."""

import base64
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from connectors.workable.sandbox_answers import BLANK, JSON, Refused, body_of, invalid, is_mail
from connectors.workable.sandbox_lists import WorkableLists
from connectors.workable.sandbox_rows import (
    REASONS,
    SOCIAL,
    TEXTS,
    Json,
    PlayedFile,
    PlayedJob,
    PlayedMember,
    PlayedRow,
    PlayedStage,
    hexed,
    number_of,
)
from connectors.workable.sandbox_state import named

RESUME_TYPES = (".pdf", ".doc", ".docx", ".odt", ".rtf")
RESUME_BYTES = 5 * 1024 * 1024
SCALES = {"thumbs": 3, "stars": 5, "numbers": 10}  # grades from 0
ENTRIES = {"education_entries": "school", "experience_entries": "title"}  # and what each entry must have


class WorkableWrites(WorkableLists):
    """All that changes a row through the API."""

    move_lag_s = 0.0

    def _row_to_write(self, request: Request) -> PlayedRow:
        row = self.asked_row(request)
        _must_be_live(row.job)
        return row

    async def _create(self, request: Request) -> Response:
        self.settle()
        job, body = self.asked_job(request), await body_of(request)
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
        return self.answer({"status": "created", "candidate": row.detail(self.subdomain)}, 201)

    def _born_flag(self, person: Json) -> Json:
        if person.get("disqualified") is not True:
            return {"domain": person.get("domain")}
        reason = person.get("disqualification_reason")
        return {"disqualified": True, "disqualified_at": self.clock.now(), "reason": reason}

    def _judged(self, person: Json, job: PlayedJob, row: PlayedRow | None = None) -> Json:
        """The settable texts of a person; raises what Workable answers to a bad one."""
        fields = {name: person[name] for name in TEXTS if name in person}
        for key, must in ENTRIES.items():
            if any(not entry.get(must) for entry in person.get(key, ())):
                raise invalid(key, f"{must} can't be blank")
        for name, value in fields.items():
            if value is not None and not isinstance(value, str):
                raise invalid(name, "is invalid")
        told = {**({name: getattr(row, name) for name in TEXTS} if row else {}), **fields}
        email = told.get("email")
        if not (told.get("firstname") and (told.get("lastname") or row or person.get("name"))):
            raise invalid("name", "can't be blank")
        if not email and (row is None or "email" in fields):
            raise invalid("email", "can't be blank")
        if "email" in fields and not is_mail(email):
            raise invalid("email", "is invalid")
        if self.row_on(job, email) not in {None, row}:
            raise invalid("email", "candidate already exists")
        return fields

    def _enter_lists(self, row: PlayedRow, person: Json) -> None:
        """Arrays replace whole; entries get new ids; skills come as texts; unknown social profiles are dropped."""
        for key, target in zip(ENTRIES, (row.education, row.experience), strict=True):
            if key in person:
                target[:] = [{"id": hexed(283_000_000 + self.number()), **entry} for entry in person[key]]
        row.skills = list(person.get("skills", row.skills))
        row.tags = list(person.get("tags", row.tags))
        profiles = person.get("social_profiles", row.social)
        row.social = [profile for profile in profiles if str(profile.get("type")).lower() in SOCIAL]

    async def _patch(self, request: Request) -> Response:
        row, body = self._row_to_write(request), await body_of(request)
        person = body.get("candidate", body)
        fields = self._judged(person, row.job, row)
        resume = self._judged_resume(person)
        self.change(row, "api", fields)
        self._enter_lists(row, person)
        if resume is not None:
            self.keep_resume(row, "api", resume)
        return self.answer({"candidate": self.told(request, row)})

    def _judged_resume(self, person: Json) -> PlayedFile | None:
        """A résumé in base64; raises what Workable answers to a bad one."""
        sent = person.get("resume")
        if sent is None:
            return None
        name = sent.get("name") if isinstance(sent, dict) else None
        if not isinstance(name, str) or not name.lower().endswith(RESUME_TYPES):
            raise invalid("resume", "is invalid")
        try:
            content = base64.b64decode(sent.get("data"), validate=True)
        except (TypeError, ValueError):
            raise invalid("resume", "is invalid") from None
        if not 0 < len(content) <= RESUME_BYTES:
            raise invalid("resume", "is too long")
        return PlayedFile(name, content, self.clock.now())

    # actions

    async def _acting(self, request: Request) -> tuple[PlayedRow, Json, PlayedMember]:
        """The row, the body and the active member that an action needs."""
        row, body = self._row_to_write(request), await body_of(request)
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
        return self.nothing(202)

    def _move_late(self, row: PlayedRow, stage: PlayedStage, member: PlayedMember) -> None:
        if row.number in self.rows and not row.disqualified:
            self.put_in(row, stage, "api", member)

    async def _disqualify(self, request: Request) -> Response:
        row, body, member = await self._acting(request)
        reason = self._reason(body.get("disqualify_reason_id")) or body.get("disqualification_reason")
        if len(str(body.get("disqualify_note") or "")) > 256:
            raise invalid("disqualify_note", "is too long")
        self.flag(row, "api", withdrew=body.get("withdrew") is True, reason=reason, member=member)
        return self.nothing(200)

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
        return self.nothing(200, JSON)

    async def _comment(self, request: Request) -> Response:
        row, body, member = await self._acting(request)
        comment = body.get("comment")
        text = comment.get("body") if isinstance(comment, dict) else None
        if not text:
            raise Refused(422, f"{BLANK}comment")
        line = self.remark(row, "api", "comment", member=member, body=text)
        return self.answer({"id": str(line.number)}, 201)

    async def _rate(self, request: Request) -> Response:
        row, body, member = await self._acting(request)
        rating = {"score": body.get("score"), "scale": body.get("scale"), "grade": body.get("grade")}
        if body.get("scale") is not None and body.get("grade") not in range(SCALES.get(body["scale"], 0)):
            raise invalid("grade", "is invalid")
        self.remark(row, "api", "rating", member=member, body=body.get("comment"), rating=rating)
        return self.nothing(201)

    async def _carry(self, request: Request, *, keep: bool) -> Response:
        row, body, _ = await self._acting(request)
        job = self.named_job(body.get("target_job_shortcode"))
        _must_be_live(job)
        if self.row_on(job, row.email) is not None:
            raise invalid("email", "candidate already exists")
        slug = body.get("target_stage")
        if slug is not None:
            _stage(job, slug)
        new = self.carry(row, job, "api", keep=keep, slug=slug)
        return self.answer(
            {"candidate": {"id": hexed(new.number), "url": new.listed(self.subdomain)["profile_url"]}}, 201
        )


def _must_be_live(job: PlayedJob) -> None:
    if job.state == "archived":
        raise Refused(403, "Forbidden")


def _stage(job: PlayedJob, slug: Any) -> PlayedStage:
    stage = job.stage_by_slug(slug)
    if stage is None:
        raise Refused(422, "Stage is invalid")
    return stage
