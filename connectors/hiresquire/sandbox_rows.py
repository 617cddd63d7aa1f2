"""What the played HireSquire keeps of batches and candidates, and how its answers and events tell it. Pure.

Source: the vendor's REST reference and llms-full.txt; where they and the vendor's own clients disagree about a shape,
the answer holds what each of them reads.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

STATUSES = (
    "new", "pending", "reviewing", "shortlisted", "interviewing", "offered", "hired", "declined", "rejected",
    "withdrawn",
)  # fmt: skip
ALIASES = {"interviewed": "interviewing"}
STATES = ("processing", "completed", "failed", "cancelled")
QUALIFIED = 70  # not documented: the score from which a candidate counts as qualified
RESULTS_PER_PAGE = 50
ADDRESS = "https://hiresquireai.com/api/v1"

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_PRINTED = re.compile(rb"[\x09\x0a\x0d\x20-\x7e\xc2-\xf4\x80-\xbf]{4,}")


@dataclass(frozen=True)
class Resume:
    """One résumé as it was sent: its name, its text as far as it can be read, and its size in bytes."""

    filename: str
    text: str
    size: int


@dataclass
class Candidate:
    """A person as found in a résumé, with what was made of it."""

    id: int
    job_id: int
    filename: str
    name: str
    email: str | None
    phone: str | None
    score: int
    summary: str
    strengths: tuple[str, ...]
    weaknesses: tuple[str, ...]
    processed_at: float
    status: str = "new"
    user_notes: str | None = None
    outcome: str | None = None


@dataclass
class Batch:
    """A screening job."""

    id: int
    title: str
    description: str
    resumes: tuple[Resume, ...]
    leniency_level: int
    created_at: float
    due: float
    by: str
    token: str
    conditions: Json = field(default_factory=dict)
    status: str = "processing"
    completed_at: float | None = None
    message: str | None = None
    candidates: list[Candidate] = field(default_factory=list)

    @property
    def ranked(self) -> list[Candidate]:
        """The candidates, best first."""
        return sorted(self.candidates, key=lambda one: (-one.score, one.id))


# --- reading a résumé -----------------------------------------------------------------------------------------------


def text_of(content: bytes) -> str:
    """The text of a file: whole where it is text, else what of it can be printed."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return b"\n".join(_PRINTED.findall(content)).decode(errors="replace")


def person_of(resume: Resume) -> Json:
    """Name, mail and phone, as an extractor finds them: the first line of words, the first mail, the first phone."""
    lines = [line.strip() for line in resume.text.splitlines()]
    named = next((line for line in lines if line and "@" not in line and "%" not in line), resume.filename)
    email, phone = _EMAIL.search(resume.text), _PHONE.search(resume.text)
    return {"name": named[:120], "email": email and email[0], "phone": phone and phone[0]}


# --- how answers tell it --------------------------------------------------------------------------------------------


def accepted_json(batch: Batch) -> Json:
    """The answer to a new job."""
    own = f"{ADDRESS}/jobs/{batch.id}"
    links = {"job_id": batch.id, "status_url": own, "results_url": f"{own}/results"}
    return {"message": "Job accepted for processing.", **links, "status": "processing"}


def batch_json(batch: Batch, now: float) -> Json:
    """A job's state."""
    share = (now - batch.created_at) / max(batch.due - batch.created_at, 1e-9)
    done = batch.status == "completed"
    return {
        "job_id": batch.id,
        "title": batch.title,
        "status": batch.status,
        "leniency_level": batch.leniency_level,
        "created_at": iso(batch.created_at),
        "estimated_completion": iso(batch.due),
        "candidate_count": len(batch.resumes),
        "summary": summary_json(batch),
        "results_url": f"{ADDRESS}/jobs/{batch.id}/results" if done else None,
        "progress": min(99, int(share * 100)) if batch.status == "processing" else 100,
        "message": batch.message,
        "completed_at": iso(batch.completed_at),
    }


def batch_row(batch: Batch) -> Json:
    """A job in the list."""
    return {
        "id": batch.id,
        "title": batch.title,
        "status": batch.status,
        "total_candidates": len(batch.resumes),
        "created_at": iso(batch.created_at),
        "completed_at": iso(batch.completed_at),
    }


def summary_json(batch: Batch) -> Json:
    """The numbers of a job."""
    scores = [one.score for one in batch.candidates]
    return {
        "total_candidates": len(batch.candidates) or len(batch.resumes),
        "qualified_count": sum(score >= QUALIFIED for score in scores),
        "top_score": max(scores, default=None),
        "average_score": round(sum(scores) / len(scores), 1) if scores else None,
    }


def results_json(batch: Batch, chosen: Sequence[Candidate], page: int) -> Json:
    """One page of the results that were asked for."""
    last = max(1, -(-len(chosen) // RESULTS_PER_PAGE))
    start = (page - 1) * RESULTS_PER_PAGE
    numbers = {"total_candidates": len(chosen), "per_page": RESULTS_PER_PAGE, "current_page": page, "last_page": last}
    best = f"; the best of them reached {chosen[0].score}" if chosen else ""
    return {
        "job_id": batch.id,
        "title": batch.title,
        "job_title": batch.title,
        "status": batch.status,
        "screened_at": iso(batch.completed_at),
        "agent_summary": f"{len(chosen)} candidates were screened{best}.",
        **numbers,
        "candidates": [candidate_json(one) for one in chosen[start : start + RESULTS_PER_PAGE]],
    }


def candidate_json(one: Candidate) -> Json:
    """A candidate as the reference and the vendor's clients read it."""
    asked = [f"How did you come to work with {topic}?" for topic in one.strengths]
    contact = {"email": one.email, "phone": one.phone, "linkedin_url": None}
    found = {"strengths": list(one.strengths), "weaknesses": list(one.weaknesses)}
    icebreaker = f"I noticed your experience with {one.strengths[0]}." if one.strengths else None
    questions = [{"question": question, "seeking": "Depth"} for question in asked]
    return {
        "id": one.id,
        "job_id": one.job_id,
        "name": one.name,
        **contact,
        "score": one.score,
        "summary": one.summary,
        "status": one.status,
        "user_notes": one.user_notes,
        "icebreaker": icebreaker,
        "interview_questions": asked,
        **found,
        "match_explanation": one.summary,
        "decision_rationale": "Qualified" if one.score >= QUALIFIED else "Not qualified",
        "experience_years": None,
        "education": None,
        "skills": list(one.strengths),
        "contact_info": contact,
        "generated_outreach": {"interview_questions": questions, "icebreaker": icebreaker},
        "raw_analysis": {"filename": one.filename, **found},
        "processed_at": iso(one.processed_at),
    }


def short_json(one: Candidate) -> Json:
    """A candidate among others that it is compared with."""
    return {"id": one.id, "name": one.name, "score": one.score, "summary": one.summary[:100]}


def compared_json(batch: Batch, chosen: Sequence[Candidate]) -> Json:
    """Candidates side by side."""
    top, reach = chosen[0], chosen[0].score - chosen[-1].score
    return {
        "job_id": batch.id,
        "compared_count": len(chosen),
        "top_candidate": top.name,
        "top_score": top.score,
        "score_range": reach,
        "candidates": [short_json(one) for one in chosen],
        "comparison": {"top_candidate": top.name, "score_diff": reach},
    }


# --- what webhooks say ----------------------------------------------------------------------------------------------


def batch_event(event: str, batch: Batch) -> Json:
    """The flat payload about a job."""
    top = batch.ranked[: batch.conditions.get("only_top_n") or 5]
    least = batch.conditions.get("min_score") or 0
    return {
        "event": event,
        "job_id": batch.id,
        "job_title": batch.title,
        "status": batch.status,
        "summary": summary_json(batch),
        "top_candidates": [
            {"candidate_id": one.id, "name": one.name, "score": one.score, "summary": one.summary}
            for one in top
            if one.score >= least
        ],
        "results_url": f"{ADDRESS}/jobs/{batch.id}/results",
    }


def candidate_event(event: str, batch: Batch, one: Candidate, now: float) -> Json:
    """The payload about a candidate; not documented."""
    told = {"id": one.id, "name": one.name, "email": one.email, "score": one.score, "status": one.status}
    return {"event": event, "job_id": batch.id, "job_title": batch.title, "candidate": told, "timestamp": iso(now)}


def signed(secret: str, body: bytes, now: float) -> dict[str, str]:
    """The documented signature with its time; none where the account has no webhook secret."""
    if not secret:
        return {}
    at = str(int(now))
    told = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Webhook-Signature": f"t={at},v1={told}"}


def iso(at: float | None) -> str | None:
    """Seconds since the epoch as these answers write them; None stays None."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
