"""The played Workable's reads: lists in pages along ``since_id``, details, timelines, résumés."""

import hashlib
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from connectors.workable.sandbox_answers import Answers, Refused, number_in, time_in
from connectors.workable.sandbox_rows import REASONS, Json, PlayedJob, PlayedMember, PlayedRow, hexed, number_of
from connectors.workable.sandbox_state import WorkableState

EXPIRES_S = 60_000  # recorded
RESUMES = "/resumes/"
SIGNED = "&X-Amz-Signature="
T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]
FILTERS = ("email", "shortcode", "stage", "state", "created_after", "updated_after", "status")


class WorkableLists(Answers, WorkableState):
    """All GETs but those about webhooks."""

    keeps_filters = True
    strict_after = False
    ignores_filters = False

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
        last = number_in(query["max_id"]) if "max_id" in query else None
        picked: list[int] = []
        for at in range(bisect_left(order, number_in(query["since_id"])) if "since_id" in query else 0, len(order)):
            if len(picked) > limit or (last is not None and order[at] > last):
                break
            if wanted(item(order[at])):
                picked.append(order[at])
        body: Json = {name: [render(item(number)) for number in picked[:limit]]}
        if len(picked) > limit:
            body["paging"] = {"next": self._link(request, path or request.url.path, limit, picked[limit])}
        return self.answer(body)

    def _link(self, request: Request, path: str, limit: int, since: int) -> str:
        kept = {name: request.query_params[name] for name in FILTERS if name in request.query_params}
        if path.endswith("/candidates") and "/jobs/" in path:
            kept.pop("shortcode", None)
        query = {"limit": limit, "since_id": hexed(since), **(kept if self.keeps_filters else {})}
        return f"{request.url.scheme}://{request.url.netloc}{path}?{urlencode(query)}"

    def _after(self, request: Request) -> Callable[[PlayedJob | PlayedRow], bool]:
        """The time filters: whole seconds, and whether the named second itself counts is a switch."""
        bounds = [
            (name.replace("_after", "_at"), time_in(request.query_params[name]))
            for name in ("created_after", "updated_after")
            if name in request.query_params
        ]
        margin = 1 if self.strict_after else 0
        return lambda thing: all(int(getattr(thing, name)) >= bound + margin for name, bound in bounds)

    # jobs, stages, members

    async def _accounts(self, request: Request) -> Response:
        return self.answer({"accounts": [self._this_account()]})

    async def _account(self, request: Request) -> Response:
        if request.path_params["subdomain"] != self.subdomain:
            raise Refused(404, "Not found")
        return self.answer(self._this_account())

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
        return self.answer(self.asked_job(request).detail(self.subdomain))

    def asked_job(self, request: Request) -> PlayedJob:
        """The job of the path; raises a 404."""
        return self.named_job(request.path_params["shortcode"])

    def named_job(self, shortcode: Any) -> PlayedJob:
        """The job of a shortcode; raises a 404."""
        if shortcode not in self.shortcodes:
            raise Refused(404, "Not found")
        return self.shortcodes[shortcode]

    async def _stages(self, request: Request) -> Response:
        pipelines = (
            [self.asked_job(request).pipeline] if "shortcode" in request.path_params else [*self.pipelines.values()]
        )
        return self.answer({"stages": [stage.json() for pipeline in pipelines for stage in pipeline]})

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
            return self.answer({name: []})

        return nothing

    async def _reasons(self, request: Request) -> Response:
        reasons = [
            {"id": hexed(77_000 + at), "description": text, "candidate_withdrew": withdrew, "position": at}
            for at, (text, withdrew) in enumerate(REASONS)
        ]
        return self.answer(reasons)

    # candidates

    async def _candidates(self, request: Request) -> Response:
        self.settle()
        query = request.query_params
        shortcode = request.path_params.get("shortcode") or query.get("shortcode")
        job = self.named_job(shortcode) if shortcode else None
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
        return self.answer({"candidate": self.told(request, self.asked_row(request))})

    def told(self, request: Request, row: PlayedRow) -> Json:
        """The detail, with an address for the résumé that is this reader's own and serves for hours."""
        link = None
        if row.resume is not None:
            query = urlencode({"X-Amz-Expires": EXPIRES_S, "X-Amz-Date": int(self.clock.now()), "n": self.number()})
            path = f"{RESUMES}{hexed(row.number)}/{quote(row.resume.name)}?{query}"
            signature = _signature(hexed(row.number), query)
            link = f"{request.url.scheme}://{request.url.netloc}{path}{SIGNED}{signature}"
        return row.detail(self.subdomain, link)

    async def _resume(self, request: Request) -> Response:
        """The store of files: it refuses a token, a changed address, and one that has expired."""
        query, _, signature = request.url.query.partition(SIGNED)
        is_signed = signature == _signature(request.path_params["id"], query)
        until = int(request.query_params.get("X-Amz-Date", "0")) + EXPIRES_S if is_signed else 0
        if "authorization" in request.headers or self.clock.now() > until:
            return Response(b"<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml")
        row = self.asked_row(request)
        if row.resume is None:
            raise Refused(404, "Not found")
        return Response(row.resume.content, media_type="application/octet-stream")

    def asked_row(self, request: Request) -> PlayedRow:
        """The row of the path; raises a 404."""
        self.settle()
        try:
            return self.rows[number_of(request.path_params["id"])]
        except (KeyError, ValueError):
            raise Refused(404, "Not found") from None

    # activities

    async def _activities(self, request: Request) -> Response:
        row = self.asked_row(request)
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
        job = self.asked_job(request)
        lines = {line.number: (self.rows[at], line) for at in job.rows for line in self.rows[at].activities}
        return self._list(
            request,
            "activities",
            sorted(lines),
            lines.__getitem__,
            lambda pair: True,
            lambda pair: pair[1].of_job(pair[0]),
        )


def _signature(id_: str, query: str) -> str:
    return hashlib.blake2b(f"{id_}?{query}".encode(), key=b"the store of files", digest_size=16).hexdigest()
