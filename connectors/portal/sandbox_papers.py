"""Notes, activities and files of the played portal. Files are kept as name, type, size and content digest, and content.

Source: https://sprint-mode-docs.pages.dev/api/jobs. The rows' shapes are not documented: what they are here is assumed.
"""

from collections.abc import Callable, Iterator
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from connectors.portal.sandbox_rows import Refused, Row, Rows, answer, body_of, iso

LARGEST = 10 * 1024 * 1024
Kept = dict[str, list[Row]]
Say = Callable[..., None]
Routed = Iterator[tuple[str, str, Any]]


class Papers:
    """What lies beside jobs and candidates, by the id of the job or candidate."""

    def __init__(self, table: Rows, note: Say) -> None:
        self.table = table
        self.note = note
        self.notes: Kept = {}
        self.activities: Kept = {}
        self.files: Kept = {}
        self.contents: dict[str, bytes] = {}

    def routes(self) -> Routed:
        """The documented routes, and one by which a file's ``url`` leads to its content."""
        for kind, plural in (("job", "jobs"), ("candidate", "candidates")):
            base = f"/{plural}/{{id}}"
            yield "GET", f"{base}/notes", self._listing(kind, self.notes)
            yield "POST", f"{base}/notes", self._add_note(kind)
            yield "DELETE", f"{base}/notes/{{inner}}", self._delete(kind, self.notes, "Note")
            yield "GET", f"{base}/files", self._listing(kind, self.files)
            yield "POST", f"{base}/files", self._add_file(kind)
            yield "DELETE", f"{base}/files/{{inner}}", self._delete(kind, self.files, "File")
        yield "GET", "/jobs/{id}/activities", self._listing("job", self.activities)
        yield "POST", "/candidates/{id}/activity", self._add_activity
        yield "PATCH", "/candidates/{id}/notes/{inner}", self._edit_note
        yield "GET", "/files/{id}", self._content

    def _listing(self, kind: str, kept: Kept) -> Any:
        async def listing(request: Request) -> Response:
            row = self.table.one(kind, request.path_params["id"])
            rows = kept.get(row["id"], [])
            return answer([self._with_url(request, one) for one in rows] if kept is self.files else rows)

        return listing

    @staticmethod
    def _with_url(request: Request, file: Row) -> Row:
        return {**file, "url": f"{str(request.base_url).rstrip('/')}/api/files/{file['id']}"}

    def _add_note(self, kind: str) -> Any:
        async def add(request: Request) -> Response:
            row, body = self.table.one(kind, request.path_params["id"]), await body_of(request)
            for name in ("body", "author"):
                if not isinstance(body.get(name), str) or not body[name].strip():
                    raise Refused(400, f"{name} is required")
            at = iso(self.table.clock.now())
            made = {**self._new("note"), "body": body["body"], "author": body["author"], "updated_at": at}
            self.notes.setdefault(row["id"], []).append(made)
            self.note("api", "note", kind, row["id"], {}, {"body": body["body"]})
            return answer({"id": made["id"]}, 201)

        return add

    async def _edit_note(self, request: Request) -> Response:
        row, body = self.table.one("candidate", request.path_params["id"]), await body_of(request)
        note = self._inner(request, self.notes.get(row["id"], []), "Note")
        note.update(body=body.get("body", note["body"]), updated_at=iso(self.table.clock.now()))
        self.note("api", "edit_note", "candidate", row["id"], {}, {"body": note["body"]})
        return answer({"id": note["id"]})

    async def _add_activity(self, request: Request) -> Response:
        row, body = self.table.one("candidate", request.path_params["id"]), await body_of(request)
        if not isinstance(body.get("activity_type"), str):
            raise Refused(400, "activity_type is required")
        told = {name: body.get(name) for name in ("activity_type", "title", "body")}
        made = {**self._new("act"), "candidate_id": row["id"], **told}
        self.activities.setdefault(row["id"], []).append(made)
        self.note("api", "activity", "candidate", row["id"], {}, told)
        return answer({"id": made["id"]}, 201)

    def _add_file(self, kind: str) -> Any:
        async def add(request: Request) -> Response:
            row = self.table.one(kind, request.path_params["id"])
            part = _part(request.headers.get("content-type", ""), await request.body())
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            if len(content) > LARGEST:
                raise Refused(400, "File too large")
            name = part.get_filename() or "file"
            made = self.keep("api", kind, row["id"], name, content, part.get_content_type())
            return answer({"id": made["id"], "filename": made["filename"]}, 201)

        return add

    def keep(
        self, by: str, kind: str, id_: str, name: str, content: bytes, type_: str = "application/octet-stream"
    ) -> Row:
        """Keep a file of a job or candidate, beside those that are there."""
        made = {**self._new("file"), "filename": name, "content_type": type_, "size": len(content)}
        made["r2_key"] = f"{kind}s/{id_}/{made['id']}"
        self.files.setdefault(id_, []).append(made)
        self.contents[made["id"]] = content
        self.note(by, "file", kind, id_, {}, {"filename": name, "size": len(content)})
        return made

    async def _content(self, request: Request) -> Response:
        content = self.contents.get(request.path_params["id"])
        if content is None:
            raise Refused(404, "File not found")
        return Response(content, media_type="application/octet-stream")

    def _delete(self, kind: str, kept: Kept, thing: str) -> Any:
        async def delete(request: Request) -> Response:
            row = self.table.one(kind, request.path_params["id"])
            rows = kept.get(row["id"], [])
            rows.remove(self._inner(request, rows, thing))
            self.note("api", f"delete_{thing.lower()}", kind, row["id"])
            return answer({"id": request.path_params["inner"]})

        return delete

    @staticmethod
    def _inner(request: Request, rows: list[Row], thing: str) -> Row:
        found = next((row for row in rows if row["id"] == request.path_params["inner"]), None)
        if found is None:
            raise Refused(404, f"{thing} not found")
        return found

    def _new(self, prefix: str) -> Row:
        return {"id": self.table.new_id(prefix), "created_at": iso(self.table.clock.now())}


def _part(content_type: str, body: bytes) -> Message:
    """The part named ``file`` of a form."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    form = BytesParser(policy=HTTP).parsebytes(head + body)
    parts = form.get_payload() if form.is_multipart() else []
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, Message) and part.get_param("name", header="content-disposition") == "file":
            return part
    raise Refused(400, "file is required")
