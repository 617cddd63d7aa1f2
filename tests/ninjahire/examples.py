"""The example bodies of the vendor's API reference (https://api.ninjahire.co/docs/routes), and made-up full rows.

The reference prints bodies of requests only; the rows are those bodies with the members that its text names.
"""

JOB_BODY = {
    "address": "130 Bayech Drive",
    "city": "San Jose",
    "source_id": "abc123",
    "client_name": "Pippedpipper",
    "country": "United States",
    "desc": "job",
    "pay_rate_currency": "USD",
    "workplace_type": "remote",
    "industry": "Reasearch Scientist",
    "duration": "2",
    "employment_type": "Contract",
    "end_date": "2025-01-25T05:00:00Z",
    "job_code": "123",
    "max_pay_rate": 38.45,
    "min_pay_rate": 48.45,
    "pay_frequency": "Per Hour",
    "posting_date": "2024-06-21T18:29:21Z",
    "recruiter_email": "John@ninjahire.co",
    "recruiter_name": "John",
    "recruiter_work_phone_no": "+19179991111",
    "start_date": "2024-07-22T04:00:00Z",
    "state_name": "CA",
    "status": "Active",
    "title": "LLM Engineer",
    "zip_code": "95134",
}
JOB_PATCH = {name: value for name, value in JOB_BODY.items() if name != "source_id"} | {
    "client_name": "Pipedpipper",
    "desc": "updated -- We are seeking a skilled LLM Engineer.",
    "min_pay_rate": 38.45,
    "recruiter_email": "john@ninjahire.co",
}
CANDIDATE_BODY = {
    "city": "Dallas",
    "country": "United States",
    "email": "candidate@Ninjahire.ai",
    "first_name": "firstname",
    "last_name": "lastname",
    "phone_no": "+919803879562",
    "source_id": "194897",
    "source": "LinkedIn",
    "state_name": "Minnesota",
}
CANDIDATE_PATCH = {
    "first_name": "John",
    "last_name": "Doe",
    "email": "john.doe@Ninjahire.ai",
    "phone_no": "+11234567890",
    "city": "Dallas",
    "state_name": "Minnesota",
    "country": "United States",
    "source": "LinkedIn",
    "source_id": "194897",
    "recruiter_name": "Jane Smith",
    "recruiter_email": "jane.smith@Ninjahire.ai",
    "recruiter_work_phone_no": "+12125551234",
    "status": "Interviewing",
}
APPLICATION_BODY = {
    "base64file": "JVBERi0xLjcK",  # shortened
    "candidate_source_id": "candidate123",
    "job_source_id": "job456",
    "candidate_id": "550e8400-e29b-41d4-a716-446655440000",
    "job_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "source_application_status": "Applied",
    "application_stage": "ACTIVE",
}
APPLICATION_PATCH = {"source_application_status": "hired", "application_stage": "active"}
QUESTIONS = [
    {"question_text": "What is your experience with JavaScript?", "source_id": "q1"},
    {"question_text": "Describe your previous project experience.", "source_id": "q2"},
]
QUESTION_BODY = {"question_text": "sample question for the job", "source_id": "sample source id"}
SCHEDULE_BODY = {
    "window_start_time": "08:00:00",
    "window_end_time": "18:00:00",
    "daily_attempts": 3,
    "total_attempts": 10,
    "retry_interval": 15,
    "days_of_week": [1, 2, 3, 4, 5],
    "email_enabled": True,
    "email_notify_minutes": 10,
    "email_repeat": False,
    "sms_enabled": True,
    "sms_notify_minutes": 5,
    "sms_repeat": True,
    "voicemail_enabled": False,
    "repeat_calling": True,
    "call_schedule_minutes": 30,
    "name": "Default Schedule",
}
WEBHOOK_BODY = {
    "tenant_id": "550e8400-e29b-41d4-a716-446655440000",
    "triggered_event": "call_activity",
    "type": "post_call_screening",
    "fields": ["id", "status", "candidate_id", "job_id"],
    "url": "https://api.example.com/webhooks/tenant",
    "http_method": "POST",
    "content_type": "application/json",
    "secret": "whsec_1234567890abcdef",
    "is_active": True,
}

JOB_ID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
CANDIDATE_ID = "550e8400-e29b-41d4-a716-446655440000"
APPLICATION_ID = "3e0c5f0e-8a55-4a58-9a39-7c7f1d1f9a10"
TIMES = {"created_at": "2026-01-10T09:00:00Z", "updated_at": "2026-01-11T10:00:00Z"}
JOB_ROW = {"id": JOB_ID, **JOB_BODY, **TIMES}
CANDIDATE_ROW = {"id": CANDIDATE_ID, **CANDIDATE_PATCH, **TIMES}
APPLICATION_ROW = {
    "id": APPLICATION_ID,
    **{name: value for name, value in APPLICATION_BODY.items() if name != "base64file"},
    **TIMES,
}
