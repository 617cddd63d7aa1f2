"""What the played HireSquire writes and schedules for recruiters: mails, questions, calendars, interviews, links.

Source: llms-full.txt, the REST reference's "Generate Email", and the types of the vendor's own clients. Nothing is
sent: these calls only answer with text, as the service itself does, and an interview is a row.
"""

import itertools
from collections.abc import Mapping
from typing import Any

from connectors.hiresquire.sandbox_forms import invalid
from connectors.hiresquire.sandbox_rows import Batch, Candidate, Json, iso

MAILS = {"invite": "Interview Invitation", "rejection": "Your Application", "keep-warm": "Staying in Touch",
         "followup": "Following Up"}  # fmt: skip
TONES = ("professional", "friendly", "formal")
PROVIDERS = ("calendly", "calcom")
MEETINGS = "https://meet.example.test"


def mail_json(batch: Batch, one: Candidate, body: Mapping[str, Any], now: float) -> Json:
    """A mail's text, in the reference's shape and in the client's."""
    kind, tone = body.get("type", "invite"), body.get("tone", "professional")
    if kind not in MAILS:
        raise invalid("type", "is invalid")
    if tone not in TONES:
        raise invalid("tone", "is invalid")
    notes = body.get("custom_notes") or body.get("custom_message") or ""
    subject = f"{MAILS[kind]}: {batch.title}"
    text = f"Dear {one.name},\n\nThank you for your interest in {batch.title}. {notes}".strip()
    told = {"subject": subject, "body": text}
    return {
        "success": True,
        "candidate_id": one.id,
        "candidate_name": one.name,
        "email": {**told, "type": kind, "tone": tone},
        "email_type": kind,
        **told,
        "generated_at": iso(now),
    }


def questions_json(one: Candidate, body: Mapping[str, Any]) -> Json:
    """Interview questions."""
    count = body.get("count", 5)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 10:
        raise invalid("count", "must be between 1 and 10")
    topics = itertools.islice(itertools.cycle(one.strengths or ("your work",)), count)
    told = [f"Question {at + 1}: what would you improve about {topic}?" for at, topic in enumerate(topics)]
    return {"success": True, "candidate_id": one.id, "questions": told}


class Desk:
    """Calendar connections, interviews and meeting links of one account."""

    def __init__(self, rows: Mapping[int, Candidate], clock_now: Any, number: Any) -> None:
        self.connections: dict[int, Json] = {}
        self.interviews: dict[int, Json] = {}
        self._people = rows
        self._now = clock_now
        self._number = number

    def connect(self, body: Mapping[str, Any]) -> Json:
        """A new calendar connection; its key is never told again."""
        row = {
            "id": self._number(),
            "provider": self._provider(body),
            "status": "active",
            "calendar_id": body.get("calendar_id"),
            "created_at": iso(self._now()),
        }
        self.connections[row["id"]] = row
        return row

    def slots(self, query: Mapping[str, str]) -> list[Json]:
        """Three free slots of a day."""
        self._provider(query)
        day = query.get("date") or (iso(self._now()) or "")[:10]
        return [{"start": f"{day}T{hour:02d}:00:00Z", "end": f"{day}T{hour + 1:02d}:00:00Z"} for hour in (9, 11, 14)]

    def book(self, body: Mapping[str, Any]) -> Json:
        """A new interview."""
        one = self._people.get(body.get("candidate_id", 0))
        if one is None or one.job_id != body.get("job_id"):
            raise invalid("candidate_id", "is invalid")
        if not isinstance(body.get("scheduled_at"), str):
            raise invalid("scheduled_at", "is required")
        id_, now = self._number(), iso(self._now())
        row = {
            "id": id_,
            "job_posting_id": one.job_id,
            "candidate_id": one.id,
            "user_id": 123,
            "scheduled_at": body["scheduled_at"],
            "duration_minutes": body.get("duration_minutes", 60),
            "meeting_link": f"{MEETINGS}/{id_}",
            "calendar_event_id": f"event-{id_}",
            "status": "scheduled",
            "created_at": now,
            "updated_at": now,
        }
        self.interviews[id_] = row
        return row

    def rebook(self, row: Json, body: Mapping[str, Any]) -> Json:
        """A changed interview."""
        if body.get("status", "scheduled") not in {"scheduled", "completed", "cancelled"}:
            raise invalid("status", "is invalid")
        known = ("scheduled_at", "duration_minutes", "status")
        row.update({name: body[name] for name in known if name in body}, updated_at=iso(self._now()))
        return row

    def meet(self, body: Mapping[str, Any]) -> Json:
        """A meeting's link."""
        return {"link": f"{MEETINGS}/{self._number()}", "provider": self._provider(body), "topic": body.get("topic")}

    def _provider(self, told: Mapping[str, Any]) -> str:
        provider = told.get("provider")
        if provider not in PROVIDERS:
            raise invalid("provider", "is invalid")
        return str(provider)
