"""What each request to the played Ninjahire must look like: required and optional fields and their types, as data.

From the tables of the vendor's API reference. Not documented and assumed: optional fields may be null, unknown ones
are ignored, mails and phones must look like some (phones in E.164, as all examples are).
"""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Check = Callable[[Any], str | None]  # what is wrong with a value; None: nothing

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]")


def text(value: Any) -> str | None:
    """Any text."""
    return None if isinstance(value, str) else "must be a string"


def filled(value: Any) -> str | None:
    """Text that is not blank."""
    return None if isinstance(value, str) and value.strip() else "should not be empty"


def matching(pattern: re.Pattern[str], complaint: str) -> Check:
    """Text of a form."""
    return lambda value: None if isinstance(value, str) and pattern.fullmatch(value) else complaint


email = matching(_EMAIL, "must be an email")
phone = matching(_E164, "must be a valid phone number")
time_of_day = matching(_TIME_OF_DAY, "must be a time as HH:MM:SS")


def moment(value: Any) -> str | None:
    """An ISO 8601 time."""
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return "must be a valid ISO 8601 date string"
    return None


def identifier(value: Any) -> str | None:
    """A UUID."""
    try:
        uuid.UUID(value)
    except (AttributeError, TypeError, ValueError):
        return "must be a UUID"
    return None


def number(value: Any) -> str | None:
    """A number."""
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return None if good else "must be a number"


def boolean(value: Any) -> str | None:
    """True or false."""
    return None if isinstance(value, bool) else "must be a boolean"


def whole(most: int | None = None) -> Check:
    """An integer from 0."""

    def check(value: Any) -> str | None:
        good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return None if good and (most is None or value <= most) else "must be an integer in its range"

    return check


def one_of(*words: str, folded: bool = False) -> Check:
    """One of some words; ``folded``: in any case."""

    def check(value: Any) -> str | None:
        said = value.upper() if folded and isinstance(value, str) else value
        return None if said in words else f"must be one of {', '.join(words)}"

    return check


def each(check: Check) -> Check:
    """A list of things."""
    return lambda value: (
        None if isinstance(value, list) and not any(check(item) for item in value) else "must be a list of its kind"
    )


def question(value: Any) -> str | None:
    """A question with its source id."""
    return None if isinstance(value, dict) and not QUESTION.complaints(value) else "must be a question"


@dataclass(frozen=True)
class Form:
    """What a body must and may hold."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check] = field(default_factory=dict)

    def complaints(self, body: Mapping[str, Any]) -> list[str]:
        """What is wrong with a body, in the order of the form."""
        wrong = []
        for name, check in {**self.required, **self.optional}.items():
            value = body.get(name)
            if value is not None:
                wrong += [f"{name} {complaint}"] if (complaint := check(value)) else []
            elif name in self.required:
                wrong.append(f"{name} is required")
        return wrong

    def taken(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a body that the form knows."""
        return {name: body[name] for name in (*self.required, *self.optional) if name in body}


_JOB_DETAILS: Mapping[str, Check] = {
    "client_name": text, "address": text, "workplace_type": text, "city": text, "zip_code": text,
    "employment_type": text, "duration": text, "start_date": moment, "end_date": moment, "posting_date": moment,
    "pay_frequency": text, "min_pay_rate": number, "max_pay_rate": number, "pay_rate_currency": text,
}  # fmt: skip
_JOB_DEMANDS: Mapping[str, Check] = {
    "industry": filled, "state_name": filled, "country": filled, "recruiter_name": filled, "recruiter_email": email,
    "recruiter_work_phone_no": phone, "status": filled, "desc": filled,
}  # fmt: skip

JOB = Form({"title": filled, **_JOB_DEMANDS, "source_id": filled}, {"job_code": text, **_JOB_DETAILS})
JOB_PATCH = Form({"title": filled}, {**_JOB_DEMANDS, **_JOB_DETAILS})

_PERSON = {"first_name": filled, "email": email, "phone_no": phone, "source": filled, "source_id": filled}
_PERSON_DETAILS = {"last_name": text, "city": text, "state_name": text, "country": text}
# The example of the PATCH sends these four, which its table omits.
_RECRUITER = {"recruiter_name": text, "recruiter_email": email, "recruiter_work_phone_no": phone, "status": text}
CANDIDATE = Form(_PERSON, {**_PERSON_DETAILS, "file": text})
CANDIDATE_PATCH = Form(_PERSON, {**_PERSON_DETAILS, **_RECRUITER})

_STAGES = {"source_application_status": filled, "application_stage": one_of("ACTIVE", "PASSIVE", folded=True)}
# An own source_id is in no table of the POST, though lists filter by it: assumed to be taken and told back.
_APPLICATION_DETAILS = {
    "candidate_id": identifier, "job_id": identifier, "source_id": filled, "file": text, "base64file": text,
}  # fmt: skip
APPLICATION = Form({"candidate_source_id": filled, "job_source_id": filled, **_STAGES}, _APPLICATION_DETAILS)
# The table of the PATCH knows ``file`` alone; base64 as in the POST is assumed.
APPLICATION_PATCH = Form(_STAGES, {"file": text, "base64file": text})

QUESTION = Form({"question_text": filled, "source_id": filled}, {"application_id": text})
WITH_QUESTIONS = Form(APPLICATION.required, {**APPLICATION.optional, "questions": each(question)})

SCHEDULING = Form({"scheduling": boolean})
SCHEDULE = Form(
    {"window_start_time": time_of_day, "window_end_time": time_of_day},
    {
        "daily_attempts": whole(5), "total_attempts": whole(), "retry_interval": whole(),
        "days_of_week": each(whole(7)), "email_enabled": boolean, "email_notify_minutes": whole(),
        "email_repeat": boolean, "sms_enabled": boolean, "sms_notify_minutes": whole(), "sms_repeat": boolean,
        "voicemail_enabled": boolean, "repeat_calling": boolean, "call_schedule_minutes": whole(),
        "default": boolean, "name": text,
    },
)  # fmt: skip

EVENTS = ("call_activity", "application_activty")  # the second one is the vendor's spelling
TENANT_WEBHOOK = Form(
    {
        "tenant_id": identifier, "triggered_event": one_of(*EVENTS), "type": one_of("post_call_screening"),
        "fields": each(filled), "url": filled, "http_method": one_of("POST", "PUT", "PATCH"),
        "content_type": one_of("application/json", "application/x-www-form-urlencoded"),
    },
    {"secret": text, "is_active": boolean},
)  # fmt: skip
