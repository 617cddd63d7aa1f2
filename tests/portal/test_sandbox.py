"""The portal as played: an honest server, by its answers and by its log."""

import httpx
import pytest

from connectors.portal.sandbox import ACCESS
from syncd import demo_verdict
from syncd.sandbox import Limit
from tests.integration import judges
from tests.portal.world import BASE_URL, START, new_sandbox, play

CLIENT, SECRET = next(iter(ACCESS.items()))
PERSON = {"name": "Ana Ruiz", "email": "ana@example.com"}


def ask(sandbox, method, path, *, headers=None, **request):
    """One request with the key; its answer."""

    async def scene(_, bare):
        if headers is None:
            return await bare.request(method, path, **request)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox), base_url=f"{BASE_URL}/api") as client:
            return await client.request(method, path, headers=headers, **request)

    return play(sandbox, scene)


def filled(**switches):
    sandbox = new_sandbox(**switches)
    job = sandbox.add_job(title="Welder")
    return sandbox, job, sandbox.apply(job, **PERSON)


def candidate(id_):
    return id_.partition(":")[0]


# --- who may ask


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-SM-Key": "sandbox-token"}, 200),
        ({"Authorization": "Bearer sandbox-token"}, 200),
        ({"CF-Access-Client-Id": CLIENT, "CF-Access-Client-Secret": SECRET}, 200),
        ({}, 401),
        ({"X-SM-Key": "other"}, 401),
        ({"Authorization": "sandbox-token"}, 401),
        ({"CF-Access-Client-Id": CLIENT}, 401),
        ({"CF-Access-Client-Id": CLIENT, "CF-Access-Client-Secret": "other"}, 401),
        ({"CF-Access-Client-Id": "other", "CF-Access-Client-Secret": SECRET}, 401),
    ],
)
def test_only_a_known_key_or_service_token_is_let_in(headers, status):
    answer = ask(new_sandbox(), "GET", "/jobs", headers=headers)
    assert answer.status_code == status
    assert answer.json()["ok"] is (status == 200)


def test_open_jobs_are_public_with_few_fields():
    sandbox, job, _ = filled()
    closed = sandbox.add_job(title="Cook", status="closed")
    (row,) = ask(sandbox, "GET", "/jobs/public", headers={}).json()["data"]
    assert (row["id"], "salary_range" in row, "status" in row) == (job, False, False)
    assert ask(sandbox, "GET", f"/jobs/public/{closed}", headers={}).status_code == 404
    assert ask(sandbox, "GET", f"/jobs/{job}", headers={}).status_code == 401


def test_no_limit_is_played_unless_one_is_set():
    sandbox = new_sandbox()
    assert not sandbox.limits
    sandbox = new_sandbox(limits=(Limit(1, 60.0),))
    ask(sandbox, "GET", "/jobs")
    refused = ask(sandbox, "GET", "/jobs")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert refused.json() == {"ok": False, "error": "Rate limit exceeded"}


# --- lists


@pytest.mark.parametrize(
    ("query", "length"), [({}, 50), ({"limit": 7}, 7), ({"limit": 500}, 200), ({"limit": "x"}, 50)]
)
def test_candidates_are_paged_and_counted(query, length):
    sandbox = new_sandbox()
    sandbox.fill(jobs=1, people=230)
    answer = ask(sandbox, "GET", "/candidates", params=query).json()
    assert (len(answer["data"]), answer["total"]) == (length, 230)


def test_candidates_are_told_newest_first_from_an_offset():
    sandbox = new_sandbox()
    sandbox.fill(jobs=1, people=5)
    told = [row["id"] for row in ask(sandbox, "GET", "/candidates", params={"offset": 2}).json()["data"]]
    assert told == list(sandbox.rows["candidate"])[::-1][2:]


def test_jobs_have_a_limit_and_no_offset_and_no_total():
    sandbox = new_sandbox()
    for number in range(60):
        sandbox.add_job(title=f"Job {number}")
    answer = ask(sandbox, "GET", "/jobs", params={"offset": 55}).json()
    assert (len(answer["data"]), "total" in answer) == (50, False)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, {"Ana", "Bea"}),
        ({"show_archived": "1"}, {"Ana", "Bea", "Cleo"}),
        ({"show_archived": "true"}, {"Ana", "Bea"}),
        ({"stage": "offer"}, {"Bea"}),
        ({"has_email": "1"}, {"Ana"}),
        ({"search": "WELD"}, {"Bea"}),
        ({"search": "ana@"}, {"Ana"}),
        ({"location": "reno"}, {"Ana"}),
        ({"source": "referral"}, {"Bea"}),
        ({"date_from": "2026-04-12"}, {"Ana", "Bea"}),
        ({"date_to": "2026-04-12"}, set()),
    ],
)
def test_the_filters_of_candidates(query, names):
    sandbox = new_sandbox()
    for fields in (
        {"name": "Ana", "email": "ana@example.com", "location": "Reno, NV"},
        {"name": "Bea", "stage": "offer", "current_title": "Welder", "source": "referral"},
        {"name": "Cleo"},
    ):
        ask(sandbox, "POST", "/candidates", json=fields)
    sandbox.archive(list(sandbox.rows["candidate"])[2])
    told = {row["name"] for row in ask(sandbox, "GET", "/candidates", params=query).json()["data"]}
    assert told == names


def test_times_come_in_both_forms():
    sandbox, _, id_ = filled()
    sandbox.assign(sandbox.add_job(title="Cook"), candidate(id_))
    assert ask(sandbox, "GET", "/candidates").json()["data"][0]["created_at"] == "2026-04-12T13:20:00Z"
    assert ask(sandbox, "GET", "/job-candidates").json()["data"][0]["created_at"] == "2026-04-12 13:20:00"


def test_a_parsed_resume_is_a_text_in_lists_and_an_object_in_the_detail():
    sandbox = new_sandbox()
    ask(sandbox, "POST", "/candidates", json={**PERSON, "resume_parsed": {"skills": ["tig"]}})
    (row,) = ask(sandbox, "GET", "/candidates").json()["data"]
    detail = ask(sandbox, "GET", f"/candidates/{row['id']}").json()["data"]
    assert row["resume_parsed"] == '{"skills":["tig"]}'
    assert (detail["resume_parsed"], detail["activities"]) == ({"skills": ["tig"]}, [])


# --- writing


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/jobs", {}, "title is required"),
        ("/jobs", {"title": " "}, "title is required"),
        ("/jobs", {"title": "x", "status": "draft"}, "Invalid status"),
        ("/jobs", {"title": "x", "job_type": "internship"}, "Invalid job_type"),
        ("/candidates", {"email": "x"}, "name is required"),
        ("/candidates", {"name": "x", "stage": "moon"}, "Invalid stage"),
        ("/candidates", {"name": "x", "phone": []}, "Invalid phone"),
        ("/job-candidates", {"stage": "applied"}, "job_id is required"),
    ],
)
def test_what_cannot_be_is_refused(path, body, error):
    answer = ask(new_sandbox(), "POST", path, json=body)
    assert (answer.status_code, answer.json()) == (400, {"ok": False, "error": error})


def test_a_body_that_is_no_object_is_refused():
    for content in (b"", b"[]", b"{"):
        assert ask(new_sandbox(), "POST", "/jobs", content=content).status_code == 400


@pytest.mark.parametrize("path", ["/jobs/job_0", "/candidates/cand_0", "/nowhere", "/candidates/cand_0/files"])
def test_what_is_not_there_is_not_found(path):
    answer = ask(new_sandbox(), "GET", path)
    assert (answer.status_code, answer.json()["ok"]) == (404, False)


def test_there_is_no_delete_of_jobs_and_candidates():
    sandbox, job, id_ = filled()
    assert ask(sandbox, "DELETE", f"/jobs/{job}").status_code == 405
    assert ask(sandbox, "DELETE", f"/candidates/{candidate(id_)}").status_code == 405


def test_a_create_tells_little_and_an_update_less():
    sandbox = new_sandbox()
    made = ask(sandbox, "POST", "/candidates", json=PERSON)
    id_ = made.json()["data"]["id"]
    assert (made.status_code, made.json()) == (201, {"ok": True, "data": {"id": id_, "name": "Ana Ruiz"}})
    patched = ask(sandbox, "PATCH", f"/candidates/{id_}", json={"phone": "+12025550100", "source": "manatal"})
    assert patched.json() == {"ok": True, "data": {"id": id_}}
    row = sandbox.rows["candidate"][id_]
    assert (row["phone"], row["source"], row["stage"]) == ("+12025550100", "direct", "applied")


def test_an_email_may_be_there_twice_but_a_pair_may_not():
    sandbox, job, id_ = filled()
    assert ask(sandbox, "POST", "/candidates", json=PERSON).status_code == 201
    pair = {"job_id": job, "candidate_id": candidate(id_), "stage": "interview"}
    assert ask(sandbox, "POST", "/job-candidates", json=pair).status_code == 201
    again = ask(sandbox, "POST", "/job-candidates", json=pair)
    assert (again.status_code, again.json()["error"]) == (409, "Candidate already assigned")


@pytest.mark.parametrize(("mirrors", "stage"), [(False, "applied"), (True, "offer")])
def test_a_stage_is_mirrored_only_by_switch(mirrors, stage):
    sandbox, job, id_ = filled(mirrors=mirrors)
    sandbox.assign(job, candidate(id_))
    (row,) = sandbox.rows["assignment"].values()
    ask(sandbox, "PATCH", f"/job-candidates/{row['id']}", json={"stage": "offer"})
    assert (row["stage"], sandbox.rows["candidate"][candidate(id_)]["stage"]) == ("offer", stage)


def test_a_jobs_detail_tells_its_people_whether_assigned_or_not():
    sandbox, job, id_ = filled()
    other = sandbox.apply(sandbox.add_job(title="Cook"), name="Bea", email="bea@example.com")
    sandbox.assign(job, candidate(other), "offer")
    told = ask(sandbox, "GET", f"/jobs/{job}").json()["data"]["candidates"]
    assert {row["id"]: row["stage"] for row in told} == {candidate(id_): "applied", candidate(other): "offer"}


# --- what costs money or is felt stands in the log


@pytest.mark.parametrize(
    ("path", "body", "action"),
    [
        ("/jobs/{job}/recommend-candidates", {}, "spent"),
        ("/candidates/enrich-batch", {"candidate_ids": ["cand_1"]}, "spent"),
        ("/enrich/ct_1", {}, "spent"),
        ("/enrich-company/co_1", {}, "spent"),
        ("/hiring/email", {"candidate_id": "{candidate}", "template": "t", "subject": "s", "body": "b"}, "mailed"),
    ],
)
def test_what_is_spent_or_mailed_is_logged(path, body, action):
    sandbox, job, id_ = filled()
    names = {"job": job, "candidate": candidate(id_)}
    body = {name: value.format(**names) if isinstance(value, str) else value for name, value in body.items()}
    assert ask(sandbox, "POST", path.format(**names), json=body).status_code == 200
    assert [effect.action for effect in sandbox.effects if effect.by == "api"] == [action]
    for judge in (judges, demo_verdict):
        assert len(judge.felt({"portal": sandbox})) == 1, "what is done for money or to a person is never the sync's"


# --- the rest of the documented surface


def test_figures_and_placements():
    sandbox, _, id_ = filled()
    sandbox.assign(id_.partition(":")[2], candidate(id_))
    sandbox.move(id_, "hired")
    sandbox.edit("application", id_, start_date="2026-06-01")
    figures = ask(sandbox, "GET", "/hiring/analytics").json()["data"]
    assert (figures["total_candidates"], figures["by_stage"]) == (1, {"hired": 1})
    (placed,) = ask(sandbox, "GET", "/hiring/placements").json()["data"]
    assert (placed["candidate_name"], placed["start_date"]) == ("Ana Ruiz", "2026-06-01")


def test_an_intake_makes_a_candidate():
    sandbox, job, _ = filled()
    answer = ask(sandbox, "POST", "/hiring/chrome", json={"name": "Lin", "job_id": job})
    row = sandbox.rows["candidate"][answer.json()["data"]["id"]]
    assert (answer.status_code, row["source"], row["job_id"]) == (201, "linkedin_chrome", job)


def test_segments_are_kept_until_they_are_deleted():
    sandbox, _, _ = filled()
    made = ask(sandbox, "POST", "/candidate-segments", json={"name": "S", "filters": {"stage": "applied"}})
    path = f"/candidate-segments/{made.json()['data']['id']}"
    preview = ask(sandbox, "POST", "/candidate-segments/preview", json={"filters": {"stage": "applied"}})
    assert preview.json()["data"]["count"] == 1
    ask(sandbox, "PATCH", path, json={"name": "T"})
    assert ask(sandbox, "GET", path).json()["data"]["name"] == "T"
    assert len(ask(sandbox, "GET", "/candidate-segments").json()["data"]) == 1
    assert ask(sandbox, "DELETE", path).json()["ok"] is True
    assert ask(sandbox, "GET", path).status_code == 404


def test_notes_are_edited_and_deleted_and_files_deleted():
    sandbox, _, id_ = filled()
    base = f"/candidates/{candidate(id_)}"
    note = ask(sandbox, "POST", f"{base}/notes", json={"body": "x", "author": "a@example.com"}).json()["data"]["id"]
    ask(sandbox, "PATCH", f"{base}/notes/{note}", json={"body": "y"})
    assert [row["body"] for row in ask(sandbox, "GET", f"{base}/notes").json()["data"]] == ["y"]
    assert ask(sandbox, "DELETE", f"{base}/notes/{note}").json()["ok"] is True
    assert ask(sandbox, "DELETE", f"{base}/notes/{note}").status_code == 404
    made = ask(sandbox, "POST", f"{base}/files", files={"file": ("cv.pdf", b"%PDF", "application/pdf")})
    file = made.json()["data"]
    assert (made.status_code, file["filename"]) == (201, "cv.pdf")
    assert ask(sandbox, "POST", f"{base}/files", files={"other": ("x", b"x")}).status_code == 400
    assert ask(sandbox, "DELETE", f"{base}/files/{file['id']}").json()["ok"] is True


# --- what people do, and what judges read


def test_whoever_applies_for_a_second_job_is_assigned_to_it():
    sandbox, _, id_ = filled()
    second = sandbox.apply(sandbox.add_job(title="Cook"), **PERSON)
    assert candidate(second) == candidate(id_)
    assert sandbox.apply(second.partition(":")[2], **PERSON) == second
    assert len(sandbox.rows["assignment"]) == 1
    assert set(sandbox.snapshot()["application"]) == {id_, second}


def test_a_move_in_the_pages_moves_both_places_and_says_who():
    sandbox, job, id_ = filled()
    sandbox.assign(job, candidate(id_))
    sandbox.move(id_, "offer")
    assert sandbox.rows["candidate"][candidate(id_)]["stage"] == "offer"
    sandbox.move(id_, "hired", mirrored=False)
    assert sandbox.rows["candidate"][candidate(id_)]["stage"] == "offer"
    sandbox.move_person(candidate(id_), "rejected")
    snapshot = sandbox.snapshot()["application"][id_]
    assert (snapshot["stage"], snapshot["job"], snapshot["candidate"]) == ("hired", job, candidate(id_))
    moves = [(effect.by, effect.kind, effect.after["stage"]) for effect in sandbox.effects if effect.action == "move"]
    assert moves == [
        ("human", "application", "offer"), ("human", "candidate", "offer"), ("human", "application", "hired"),
        ("human", "candidate", "rejected"),
    ]  # fmt: skip


def test_a_move_of_the_unassigned_is_one_of_the_application_too():
    sandbox, _, id_ = filled()
    sandbox.move(id_, "interview")
    assert [effect.kind for effect in sandbox.effects if effect.action == "move"] == ["candidate", "application"]
    assert sandbox.snapshot()["application"][id_]["stage"] == "interview"


def test_made_up_people_are_made_up():
    sandbox = new_sandbox()
    sandbox.fill(jobs=2, people=9)
    people = sandbox.rows["candidate"].values()
    assert all(row["email"].endswith("@example.com") and row["phone"].startswith("+1202555") for row in people)
    assert {row["job_id"] for row in people} == set(sandbox.rows["job"])
    assert len(sandbox.rows["assignment"]) == 5


def test_a_created_at_may_be_given():
    sandbox = new_sandbox()
    job = sandbox.add_job(title="Welder", created_at=START - 86_400)
    assert sandbox.rows["job"][job]["created_at"] == "2026-04-11T13:20:00Z"
