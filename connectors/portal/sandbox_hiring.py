"""What else the played portal does: hiring figures, intakes, segments, and what costs money or mails people.

Source: https://sprint-mode-docs.pages.dev/api/jobs and /api/hiring. Whatever is spent or sent stands in the log as an
effect ``spent`` or ``mailed``, so that a test can prove that a sync never does it.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from connectors.portal.sandbox_papers import Routed
from connectors.portal.sandbox_rows import Refused, Row, Rows, answer, body_of, matching, whole

MOST_ENRICHED = 50
Bear = Callable[..., Row]


class Hiring:
    """The routes beside the three tables. ``bear`` makes a candidate as the portal does."""

    def __init__(self, table: Rows, note: Callable[..., None], bear: Bear) -> None:
        self.table = table
        self.note = note
        self.bear = bear
        self.segments: dict[str, Row] = {}

    def routes(self) -> Routed:
        """The documented routes."""
        yield "POST", "/hiring/intake", self._intake
        yield "POST", "/hiring/chrome", self._intake
        yield "GET", "/hiring/analytics", self._analytics
        yield "POST", "/hiring/email", self._mail
        yield "GET", "/hiring/placements", self._placements
        yield "POST", "/jobs/{id}/recommend-candidates", self._recommend
        yield "POST", "/candidates/enrich-batch", self._enrich_batch
        yield "POST", "/enrich/{id}", self._enrich
        yield "POST", "/enrich-company/{id}", self._enrich
        yield "POST", "/candidate-segments/preview", self._preview
        yield "GET", "/candidate-segments", self._list_segments
        yield "POST", "/candidate-segments", self._post_segment
        yield "GET", "/candidate-segments/{id}", self._get_segment
        yield "PATCH", "/candidate-segments/{id}", self._patch_segment
        yield "DELETE", "/candidate-segments/{id}", self._delete_segment

    # what costs money, or is felt by people

    async def _recommend(self, request: Request) -> Response:
        job = self.table.one("job", request.path_params["id"])
        self.note("api", "spent", "job", job["id"], {}, {"on": "recommendations"})
        told = [
            {"candidate_id": row["id"], "name": row["name"], "score": 50, "reasoning": "simulated"}
            for row in self.table.newest("candidate")[:5]
        ]
        return answer({"recommendations": told})

    async def _enrich_batch(self, request: Request) -> Response:
        ids = (await body_of(request)).get("candidate_ids")
        if not isinstance(ids, list) or not 0 < len(ids) <= MOST_ENRICHED:
            raise Refused(400, "candidate_ids must be 1 to 50")
        for id_ in ids:
            self.note("api", "spent", "candidate", str(id_), {}, {"on": "enriching"})
        return answer({"enriched": len(ids)})

    async def _enrich(self, request: Request) -> Response:
        self.note("api", "spent", "contact", request.path_params["id"], {}, {"on": "enriching"})
        return answer({"id": request.path_params["id"]})

    async def _mail(self, request: Request) -> Response:
        body = await body_of(request)
        row = self.table.one("candidate", str(body.get("candidate_id")))
        self.note("api", "mailed", "candidate", row["id"], {}, {"template": body.get("template")})
        return answer({"sent": 1})

    async def _intake(self, request: Request) -> Response:
        body = await body_of(request)
        row = self.bear("api", {"source": "linkedin_chrome", **body})
        return answer({"id": row["id"], "name": row["name"]}, 201)

    # figures

    async def _analytics(self, request: Request) -> Response:
        rows = self.table.newest("candidate")
        told = {
            "total_candidates": len(rows),
            "by_stage": dict(Counter(row["stage"] for row in rows)),
            "by_source": dict(Counter(row["source"] for row in rows)),
            "avg_time_to_hire_days": None,
        }
        return answer(told)

    async def _placements(self, request: Request) -> Response:
        hired = [row for row in self.table.newest("assignment") if row["stage"] == "hired"]
        told = [
            {
                "candidate_name": self.table.one("candidate", row["candidate_id"])["name"],
                "job_title": self.table.one("job", row["job_id"])["title"],
                "company_name": None,
                "start_date": row["start_date"],
            }
            for row in hired
        ]
        return answer(told[: whole(request, "limit", 50)])

    # segments

    async def _preview(self, request: Request) -> Response:
        filters = (await body_of(request)).get("filters") or {}
        chosen = [row for row in self.table.newest("candidate") if filters.get("stage") in (None, row["stage"])]
        return answer({"count": len(chosen), "candidates": [{"id": row["id"], "name": row["name"]} for row in chosen]})

    async def _list_segments(self, request: Request) -> Response:
        return answer(matching(self.segments.values(), request))

    async def _post_segment(self, request: Request) -> Response:
        body = await body_of(request)
        if not isinstance(body.get("name"), str):
            raise Refused(400, "name is required")
        row: Row = {"id": self.table.new_id("seg"), **{name: body.get(name) for name in _SEGMENT}}
        self.segments[row["id"]] = row
        return answer({"id": row["id"], "name": row["name"]}, 201)

    async def _get_segment(self, request: Request) -> Response:
        return answer(self._segment(request))

    async def _patch_segment(self, request: Request) -> Response:
        row, body = self._segment(request), await body_of(request)
        row.update({name: body[name] for name in _SEGMENT if name in body})
        return answer({"id": row["id"]})

    async def _delete_segment(self, request: Request) -> Response:
        del self.segments[self._segment(request)["id"]]
        return answer(None)

    def _segment(self, request: Request) -> dict[str, Any]:
        row = self.segments.get(request.path_params["id"])
        if row is None:
            raise Refused(404, "Segment not found")
        return row


_SEGMENT = ("name", "description", "filters")
