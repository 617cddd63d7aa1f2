"""The vendor's own examples, as printed, with made-up contacts where the page hides them.

From https://hiresquireai.com/resources/rest-api-complete-reference and https://hiresquireai.com/llms-full.txt; the
``CLI_`` ones are made from the types of https://github.com/bp46/hiresquire-cli (src/types.ts).
"""

ACCEPTED = {
    "message": "Job accepted for processing.",
    "job_id": 123,
    "status_url": "https://hiresquireai.com/api/v1/jobs/123",
    "results_url": "https://hiresquireai.com/api/v1/jobs/123/results",
    "status": "processing",
}
STATUS = {
    "job_id": 123,
    "title": "Senior Software Engineer",
    "status": "processing",
    "leniency_level": 5,
    "created_at": "2026-03-28T10:00:00Z",
    "estimated_completion": "2026-03-28T10:02:00Z",
    "candidate_count": 10,
    "summary": {"total_candidates": 10, "qualified_count": 3, "top_score": 92, "average_score": 68.5},
    "results_url": None,
}
CANDIDATE = {
    "id": 1,
    "name": "John Doe",
    "score": 92,
    "summary": "Excellent match with 5 years Python experience...",
    "status": "new",
    "email": "john.doe@example.com",
    "phone": "+1234567890",
    "linkedin_url": "https://linkedin.com/in/johndoe",
    "interview_questions": ["Describe your Python architecture...", "How do you handle database migrations?"],
    "strengths": ["Python", "Django", "PostgreSQL"],
    "weaknesses": ["Limited AWS experience"],
    "contact_info": {
        "email": "john.doe@example.com",
        "phone": "+1234567890",
        "linkedin_url": "https://linkedin.com/in/johndoe",
    },
    "generated_outreach": {
        "interview_questions": [{"question": "Describe your Python architecture...", "seeking": "Technical depth"}],
        "icebreaker": "I noticed your impressive work on Open Source...",
    },
    "raw_analysis": {
        "filename": "john_doe_resume.pdf",
        "strengths": ["Python", "Django", "PostgreSQL"],
        "weaknesses": ["Limited AWS experience"],
    },
    "user_notes": "Great candidate, schedule ASAP",
    "processed_at": "2026-03-28T10:05:00Z",
}
RESULTS = {
    "job_id": 123,
    "title": "Senior Software Engineer",
    "status": "completed",
    "total_candidates": 10,
    "per_page": 50,
    "current_page": 1,
    "last_page": 1,
    "candidates": [CANDIDATE],
}
CANCELLED = {"job_id": 123, "status": "cancelled", "message": "Job has been cancelled."}
RATE_LIMIT = {"limit": 60, "remaining": 45, "reset_at": "2026-03-28T11:00:00Z", "reset_in_seconds": 1800}
VALIDATED = {
    "valid": True,
    "user": {"id": 123, "name": "Alex Agent", "email": "alex.agent@example.com"},
    "credits": {"balance": 25.50, "formatted_balance": "$25.50", "is_low": False, "auto_reload_enabled": True},
}
COMPLETED_EVENT = {
    "event": "job.completed",
    "job_id": 123,
    "job_title": "Senior PHP Developer",
    "status": "completed",
    "summary": {"total_candidates": 10, "qualified_count": 3, "top_score": 92, "average_score": 65},
    "top_candidates": [{"candidate_id": 1, "name": "John Doe", "score": 92, "summary": "Excellent fit..."}],
    "results_url": "https://hiresquireai.com/api/v1/jobs/123/results",
}
USAGE_EVENT = {
    "event": "agent.usage_threshold_reached",
    "timestamp": "2026-05-12T10:00:00Z",
    "data": {
        "agent_key_id": 1,
        "agent_key_name": "My Agent",
        "spent_amount": 0.01,
        "current_balance": 25.49,
        "period_spend": 4.00,
        "threshold": 5.00,
        "current_spend": 4.00,
        "currency": "USD",
    },
}
INVALID = {"errors": {"title": ["The title field is required."], "resumes": ["The resumes field is required."]}}
CLI_STATUS = {"job_id": 123, "status": "pending", "progress": 10, "message": "Queued"}
CLI_RESULTS = {
    "job_id": 123,
    "job_title": "Senior Software Engineer",
    "status": "completed",
    "total_candidates": 1,
    "candidates": [
        {
            "id": 1, "name": "John Doe", "score": 92, "summary": "Excellent match", "strengths": ["Python"],
            "weaknesses": [], "interview_questions": [], "match_explanation": "Meets all of it", "status": "new",
        }
    ],
    "agent_summary": "One candidate.",
    "screened_at": "2026-03-28T10:05:00Z",
}  # fmt: skip
CLI_JOBS = {
    "jobs": [
        {"id": 123, "title": "Senior Software Engineer", "status": "completed", "total_candidates": 10,
         "created_at": "2026-03-28T10:00:00Z", "completed_at": "2026-03-28T10:05:00Z"}
    ],
    "total": 1,
    "page": 1,
    "per_page": 20,
}  # fmt: skip
PAGINATED = {"data": CLI_JOBS["jobs"], "current_page": 1, "last_page": 3, "per_page": 20, "total": 41}
CLI_BALANCE = {
    "balance": 25.5, "formatted_balance": "$25.50", "total_purchased": 30, "total_spent": 4.5,
    "auto_reload_enabled": False,
}  # fmt: skip
CLI_ESTIMATE = {"candidate_count": 12, "cost_per_candidate": 0.01, "total_cost": 0.12, "currency": "USD"}


def enveloped(answer):
    """As the reference's "Base Response Format" says of all answers."""
    return {"success": True, "data": answer, "message": "Optional message"}
