"""The played HireSquire is an honest server: what its documentation says, by its answers and by its log."""

import random

import httpx
import orjson
import pytest

from connectors.hiresquire.sandbox import HireSquireSandbox
from connectors.hiresquire.signature import judge
from syncd.clock import SteppedClock
from syncd.connector import Delivery
from syncd.sandbox import Limit
from tests.hiresquire.world import DESCRIPTION, KEY, SECRET, START, new_sandbox, play, resume

TEXT = resume("Ana Ruiz").decode()
JOB = {"title": "Backend Engineer", "description": DESCRIPTION, "resumes": [{"filename": "1001.txt", "content": TEXT}]}


def ask(sandbox, method, path, body=None, **headers):
    """One call with the account's token; status, JSON and headers."""

    async def scene(connector, bare):
        response = await bare.request(method, path.removeprefix("/"), json=body, headers=headers)
        return response.status_code, orjson.loads(response.content), response.headers

    return play(sandbox, scene)


def filled(jobs=1, people=3, **kwargs):
    sandbox = new_sandbox(**kwargs)
    sandbox.fill(jobs=jobs, people=people)
    return sandbox


def first(sandbox, kind):
    return next(iter(sandbox.snapshot()[kind]))


# --- who may ask, and how much --------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "Bearer another", "Basic sandbox-token", "sandbox-token"])
def test_without_a_good_token_nothing_is_told(header):
    status, body, _ = ask(new_sandbox(), "GET", "/jobs", Authorization=header)
    assert (status, body) == (401, {"error": "Unauthenticated", "message": "Your API token is invalid or expired."})


def test_a_full_minute_is_refused_with_the_time_to_wait_and_all_good_answers_tell_what_is_left():
    sandbox = new_sandbox(limits=None)

    async def scene(connector, bare):
        answers = [await bare.get("schema/health") for _ in range(61)]
        await sandbox.clock.sleep_until(sandbox.clock.now() + 60)
        return [*answers, await bare.get("schema/health")]

    *good, refused, later = play(sandbox, scene)
    assert [answer.status_code for answer in good] == [200] * 60
    left = [(answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) for answer in good]
    assert left == [("60", str(59 - number)) for number in range(60)]
    assert refused.status_code == 429
    told = {name: refused.headers[name] for name in ("retry-after", "x-ratelimit-remaining", "x-ratelimit-reset")}
    assert told == {"retry-after": "60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(START) + 60)}
    assert refused.json()["error"] == "Too Many Requests"
    assert later.status_code == 200


def test_an_agent_key_may_do_what_its_scopes_say_and_shares_the_users_limit():
    sandbox = new_sandbox(limits=(Limit(100, 60.0),))

    async def scene(connector, bare):
        body = {"name": "Robot", "permissions": ["read", "screen"]}
        key = (await bare.post("agent-keys", json=body)).json()["key"]
        own = {"Authorization": f"Bearer {key['key']}"}
        assert (await bare.get("jobs", headers=own)).status_code == 200
        assert (await bare.post("jobs", json=JOB, headers=own)).status_code == 403
        assert (await bare.get("rate-limit", headers=own)).json()["remaining"] == 96
        await bare.delete(f"agent-keys/{key['id']}")
        assert (await bare.get("jobs", headers=own)).status_code == 401

    play(sandbox, scene)


def test_an_agent_key_spends_no_more_than_its_limit():
    sandbox = new_sandbox()

    async def scene(connector, bare):
        body = {"name": "Robot", "daily_spend_limit": 0.01, "permissions": ["read", "write", "screen"]}
        key = (await bare.post("agent-keys", json=body)).json()["key"]
        own = {"Authorization": f"Bearer {key['key']}"}
        assert (await bare.post("jobs", json=JOB, headers=own)).status_code == 202
        refused = await bare.post("jobs", json=JOB, headers=own)
        assert (refused.status_code, refused.json()["error"]) == (402, "Payment Required")
        usage = (await bare.get(f"agent-keys/{key['id']}/usage")).json()["usage"]
        assert (usage["day_spent"], usage["remaining_daily"]) == (0.01, 0.0)
        await sandbox.clock.sleep_until(sandbox.clock.now() + 86_401)
        assert (await bare.post("jobs", json=JOB, headers=own)).status_code == 202

    play(sandbox, scene)


# --- jobs: what is taken, what is refused, once under one key -------------------------------------------------------


def test_an_accepted_job_answers_as_documented():
    status, body, _ = ask(new_sandbox(), "POST", "/jobs", JOB)
    own = f"https://hiresquireai.com/api/v1/jobs/{body['job_id']}"
    assert status == 202
    assert body == {
        "message": "Job accepted for processing.", "job_id": body["job_id"], "status_url": own,
        "results_url": f"{own}/results", "status": "processing",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "errors"),
    [
        ({"title": None}, {"title": ["The title field is required."]}),
        ({"title": "x" * 256}, {"title": ["The title field must not be greater than 255 characters."]}),
        ({"description": "short"}, {"description": ["The description field must be at least 50 characters."]}),
        ({"resumes": []}, {"resumes": ["The resumes field is required."]}),
        ({"resumes": JOB["resumes"] * 101}, {"resumes": ["The resumes field must not have more than 100 items."]}),
        ({"leniency_level": 11}, {"leniency_level": ["The leniency_level field must be between 1 and 10."]}),
        ({"webhook_url": "nowhere"}, {"webhook_url": ["The webhook_url field must be a valid URL."]}),
        (
            {"resumes": [{"filename": "1.txt", "content": "short"}]},
            {"resumes.0.content": ["The resumes.0.content field must be at least 50 characters."]},
        ),
        (
            {"resumes": [{"filename": "1.txt"}]},
            {"resumes.0.content": ["The resumes.0.content field is required."]},
        ),
        (
            {"resumes": [{"content": TEXT}]},
            {"resumes.0.filename": ["The resumes.0.filename field is required."]},
        ),
        (
            {"resumes": [{"filename": "1.pdf", "base64": "no base64!"}]},
            {"resumes.0.base64": ["The resumes.0.base64 field must be valid base64."]},
        ),
    ],
)
def test_what_is_not_valid_is_refused_in_laravels_sentences_and_costs_nothing(wrong, errors):
    sandbox = new_sandbox()
    status, body, _ = ask(sandbox, "POST", "/jobs", {**JOB, **wrong})
    assert (status, body["errors"]) == (422, errors)
    assert body["message"] == next(iter(errors.values()))[0]
    assert not sandbox.effects


def test_text_comes_before_base64_and_base64_before_an_address():
    sandbox = new_sandbox()
    ways = {"content": TEXT, "base64": "not base64!", "file_url": "https://files.example.test/1.pdf"}
    assert ask(sandbox, "POST", "/jobs", {**JOB, "resumes": [{"filename": "1.pdf", **ways}]})[0] == 202
    assert (
        ask(new_sandbox(), "POST", "/jobs", {**JOB, "resumes": [{"filename": "1.pdf", "file_url": "https://x.test"}]})[
            0
        ]
        == 202
    )


def test_more_than_twenty_megabytes_are_too_much():
    large = [{"filename": f"{at}.txt", "content": "x" * (7 * 1024 * 1024)} for at in range(3)]
    status, body, _ = ask(new_sandbox(), "POST", "/jobs", {**JOB, "resumes": large})
    assert (status, body["error"]) == (413, "Payload Too Large")


def test_a_key_replays_its_first_success_for_a_day_whatever_the_body_says():
    sandbox = new_sandbox()

    async def scene(connector, bare):
        async def send(**change):
            return await bare.post("jobs", json={**JOB, **change}, headers={"Idempotency-Key": KEY})

        assert (await send(title=None)).status_code == 422  # no success, so the key is free
        made = await send()
        again = await send(title="Another title")
        assert (again.status_code, again.content) == (202, made.content)
        await sandbox.clock.sleep_until(sandbox.clock.now() + 24 * 3600)
        assert (await send()).json()["job_id"] != made.json()["job_id"]

    play(sandbox, scene)
    assert sandbox.billed() == {"1001.txt": 2}
    assert [effect.after["credits"] for effect in sandbox.effects if effect.action == "charge"] == [1, 1]


def test_without_a_key_each_repeat_is_billed():
    sandbox = new_sandbox()
    for _ in range(2):
        ask(sandbox, "POST", "/jobs", JOB)
    assert sandbox.billed() == {"1001.txt": 2}


def test_jobs_in_bulk_are_told_by_their_ids():
    sandbox = new_sandbox()
    status, body, _ = ask(sandbox, "POST", "/jobs/bulk", {"jobs": [JOB, JOB]})
    assert status == 202
    assert [str(job["job_id"]) for job in body["jobs"]] == list(sandbox.snapshot()["job"])
    assert ask(sandbox, "POST", "/jobs/bulk", {"jobs": [JOB] * 11})[0] == 422
    refused = ask(sandbox, "POST", "/jobs/bulk", {"jobs": [JOB, {**JOB, "title": ""}]})
    assert (refused[0], list(refused[1]["errors"])) == (422, ["jobs.1.title"])


# --- ripening -------------------------------------------------------------------------------------------------------


def test_a_job_ripens_by_the_clock():
    sandbox = new_sandbox(screening_s=30.0, each_s=10.0)

    async def scene(connector, bare):
        job = (await bare.post("jobs", json=JOB)).json()["job_id"]
        for wait_s, progress in ((0, 0), (20, 50), (19, 97)):
            await sandbox.clock.sleep_until(sandbox.clock.now() + wait_s)
            told = (await bare.get(f"jobs/{job}")).json()
            early = await bare.get(f"jobs/{job}/results")
            assert (told["status"], told["progress"], told["results_url"]) == ("processing", progress, None)
            assert (early.status_code, early.json()["error"], early.json()["status"]) == (
                425,
                "Too Early",
                "processing",
            )
        await sandbox.clock.sleep_until(sandbox.clock.now() + 1)
        told = (await bare.get(f"jobs/{job}")).json()
        assert (told["status"], told["completed_at"]) == ("completed", told["estimated_completion"])
        results = (await bare.get(f"jobs/{job}/results")).json()
        assert results["title"] == results["job_title"] == JOB["title"]
        assert told["summary"]["top_score"] == results["candidates"][0]["score"]

    play(sandbox, scene)
    assert [effect.action for effect in sandbox.effects] == ["charge", "create", "create", "finish"]


def test_a_person_is_read_from_the_resume():
    sandbox = new_sandbox()

    async def scene(connector, bare):
        job = (await bare.post("jobs", json=JOB)).json()["job_id"]
        await sandbox.clock.sleep_until(sandbox.clock.now() + 60)
        (one,) = (await bare.get(f"jobs/{job}/results")).json()["candidates"]
        return one

    one = play(sandbox, scene)
    assert (one["name"], one["email"], one["phone"]) == ("Ana Ruiz", "ana.ruiz@example.com", "+12025550123")
    assert one["contact_info"]["email"] == one["email"]
    assert one["raw_analysis"]["filename"] == "1001.txt"


def test_results_are_filtered_and_paged_by_fifty():
    sandbox = filled(people=120)
    job = first(sandbox, "job")
    whole = [ask(sandbox, "GET", f"/jobs/{job}/results?page={page}")[1] for page in (1, 2, 3, 4)]
    assert [len(page["candidates"]) for page in whole] == [50, 50, 20, 0]
    assert {(page["last_page"], page["per_page"], page["total_candidates"]) for page in whole} == {(3, 50, 120)}
    few = ask(sandbox, "GET", f"/jobs/{job}/results?min_score=60&max_score=80&only_top_n=4")[1]["candidates"]
    assert len(few) == 4
    assert all(60 <= one["score"] <= 80 for one in few)


def test_a_seed_plays_the_same_again():
    def run():
        sandbox = HireSquireSandbox(clock=SteppedClock(START, frozen=True), rng=random.Random(3))
        sandbox.fill(jobs=2, people=9)
        return sandbox.snapshot(), sandbox.effects

    assert run() == run()


# --- lists, moves, and the shapes they come in ----------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "name"), [("flat", "jobs"), ("paginator", "data")])
def test_jobs_are_listed_newest_first(shape, name):
    sandbox = filled(jobs=3, people=3, shape=shape)
    status, body, _ = ask(sandbox, "GET", "/jobs?limit=2")
    assert (status, len(body[name]), body["total"], body["per_page"]) == (200, 2, 3, 2)
    made = [job["created_at"] for job in body[name]]
    assert made == sorted(made, reverse=True)
    assert len(ask(sandbox, "GET", "/jobs?per_page=2&page=2")[1][name]) == 1
    assert ask(sandbox, "GET", "/jobs?status=processing")[1][name] == []
    assert len(ask(sandbox, "GET", f"/jobs?since={made[0][:10]}")[1][name]) == 1
    assert ask(sandbox, "GET", "/jobs?status=asleep")[0] == 422


def test_an_envelope_is_round_every_flat_answer():
    sandbox = filled(shape="enveloped")
    for path in ("/jobs", f"/jobs/{first(sandbox, 'job')}", "/candidates", "/rate-limit", "/credits/balance"):
        body = ask(sandbox, "GET", path)[1]
        assert (body["success"], isinstance(body["data"], dict)) == (True, True)


def test_candidates_are_filtered_and_sorted():
    sandbox = filled(jobs=2, people=30)
    job, all_of_it = first(sandbox, "job"), "limit=100"

    def told(query):
        return ask(sandbox, "GET", f"/candidates?{query}")[1]["data"]

    assert {one["job_id"] for one in told(f"job_id={job}&{all_of_it}")} == {int(job)}
    names = [one["name"] for one in told(f"sort_by=name&sort_dir=asc&{all_of_it}")]
    assert names == sorted(names)
    scores = [one["score"] for one in told(f"sort_by=score&{all_of_it}")]
    assert scores == sorted(scores, reverse=True)
    assert all(one["score"] >= 70 for one in told(f"min_score=70&{all_of_it}"))
    assert told("status=hired") == []
    assert {one["name"] for one in told(f"search={names[0].split()[0]}&{all_of_it}")} >= {names[0]}
    assert len(told("")) == 20


@pytest.mark.parametrize(
    ("word", "kept"),
    [(word, word) for word in ("pending", "reviewing", "interviewing", "declined", "withdrawn")]
    + [("interviewed", "interviewing")],
)
def test_a_status_of_the_server_or_of_the_clients_is_taken(word, kept):
    sandbox = filled()
    item = first(sandbox, "application")
    status, body, _ = ask(sandbox, "PATCH", f"/candidates/{item}/status", {"status": word})
    assert (status, body["success"], body["candidate"]["status"]) == (200, True, kept)
    assert sandbox.snapshot()["application"][item]["status"] == kept


@pytest.mark.parametrize("word", ["asleep", None, 5, ""])
def test_another_status_is_not(word):
    sandbox = filled()
    status, body, _ = ask(sandbox, "PATCH", f"/candidates/{first(sandbox, 'application')}/status", {"status": word})
    assert (status, body["errors"]) == (422, {"status": ["The selected status is invalid."]})


def test_candidates_are_compared_in_both_shapes():
    sandbox = filled()
    job, ids = first(sandbox, "job"), ",".join(sandbox.snapshot()["application"])
    body = ask(sandbox, "GET", f"/jobs/{job}/compare?ids={ids}")[1]
    assert (body["compared_count"], body["comparison"]["top_candidate"]) == (3, body["top_candidate"])
    assert body["score_range"] == body["comparison"]["score_diff"]
    assert ask(sandbox, "GET", f"/jobs/{job}/compare?ids=1")[0] == 422


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("generate-email", {"type": "followup", "custom_message": "Hi."}, "email_type"),
        ("generate-questions", {"count": 3}, "questions"),
        ("generate-icebreaker", {}, "icebreaker"),
        ("bulk-generate-emails", {"type": "invite"}, "emails"),
    ],
)
def test_texts_are_written_and_nobody_is_mailed(path, body, told):
    sandbox = filled()
    job, item = first(sandbox, "job"), int(first(sandbox, "application"))
    named = {"candidate_id": item, "candidate_ids": [item]}
    status, answer, _ = ask(sandbox, "POST", f"/jobs/{job}/{path}", {**named, **body})
    assert (status, answer["success"], told in answer) == (200, True, True)
    assert ask(sandbox, "POST", f"/jobs/{job}/{path}", {**body, "candidate_ids": [7]})[0] == 422
    assert not [effect for effect in sandbox.effects if effect.action == "invited"]


def test_an_interview_is_a_row_that_can_be_changed_and_called_off():
    sandbox = filled()
    job, item = int(first(sandbox, "job")), int(first(sandbox, "application"))
    body = {"job_id": job, "candidate_id": item, "scheduled_at": "2026-05-01T09:00:00Z"}
    made = ask(sandbox, "POST", "/interviews", body)[1]["data"]
    assert (
        ask(sandbox, "PUT", f"/interviews/{made['id']}", {"duration_minutes": 30})[1]["data"]["duration_minutes"] == 30
    )
    assert ask(sandbox, "DELETE", f"/interviews/{made['id']}")[1]["data"]["status"] == "cancelled"
    assert [row["id"] for row in ask(sandbox, "GET", f"/interviews?job_id={job}")[1]["data"]] == [made["id"]]
    assert ask(sandbox, "GET", f"/interviews/{made['id']}")[1]["data"]["status"] == "cancelled"
    assert ask(sandbox, "POST", "/interviews", {**body, "candidate_id": 7})[0] == 422


@pytest.mark.parametrize(
    "path", ["/nowhere", "/jobs/99999999", "/candidates/99999999", "/agent-keys/7", "/interviews/7"]
)
def test_what_is_not_there_is_not_found(path):
    status, body, _ = ask(new_sandbox(), "GET", path)
    assert (status, body["error"]) == (404, "Not Found")


ENDPOINTS = """
GET /jobs, POST /jobs, POST /jobs/upload-zip, POST /jobs/bulk, GET /jobs/{id}, GET /jobs/{id}/results,
POST /jobs/{id}/cancel, GET /jobs/{id}/compare, POST /jobs/{id}/outcome, POST /jobs/{id}/generate-email,
POST /jobs/{id}/generate-questions, POST /jobs/{id}/generate-icebreaker, POST /jobs/{id}/bulk-generate-emails,
GET /candidates, GET /candidates/{id}, PATCH /candidates/{id}/status,
GET /agent-keys, POST /agent-keys, GET /agent-keys/{id}, PUT /agent-keys/{id}, DELETE /agent-keys/{id},
POST /agent-keys/{id}/regenerate, GET /agent-keys/{id}/usage,
GET /credits/balance, GET /credits/estimate, GET /credits/packs, GET /credits/transactions, POST /credits/checkout,
POST /credits/purchase, POST /credits/payment-intent, POST /credits/auto-reload/enable,
POST /credits/auto-reload/disable, POST /credits/webhook/configure,
GET /calendar/connections, POST /calendar/connections, DELETE /calendar/connections/{id}, GET /calendar/slots,
GET /interviews, POST /interviews, GET /interviews/{id}, PUT /interviews/{id}, DELETE /interviews/{id},
POST /meetings/links, GET /schema, GET /schema/health, GET /schema/validate, POST /webhooks/test, GET /rate-limit,
POST /mcp
"""


def test_every_endpoint_of_the_reference_is_played_and_no_other():
    told = ask(new_sandbox(), "GET", "/schema")[1]["endpoints"]
    played = {f"{method} {entry['path'].removeprefix('/api/v1')}" for entry in told for method in entry["methods"]}
    assert played == {endpoint.strip() for endpoint in ENDPOINTS.split(",")}


def test_mcp_tells_who_asks():
    sandbox = new_sandbox()
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami"}}
    assert "alex.agent@example.com" in ask(sandbox, "POST", "/mcp", call)[1]["result"]["content"][0]["text"]
    assert ask(sandbox, "POST", "/mcp", {**call, "method": "other"})[1]["error"]["code"] == -32601


# --- webhooks -------------------------------------------------------------------------------------------------------


def told_by_webhooks(sandbox, body, *, answers=lambda: 204, acts=lambda sandbox: None):
    """The deliveries of one batch: (time, event, delivery)."""
    taken = []

    def take(request):
        headers = {name.lower(): value for name, value in request.headers.items()}
        delivery = Delivery(request.content, headers, None, sandbox.clock.now())
        taken.append((sandbox.clock.now() - START, orjson.loads(request.content)["event"], delivery))
        return httpx.Response(answers())

    async def scene(connector, bare):
        async with httpx.AsyncClient(transport=httpx.MockTransport(take)) as client:
            sandbox.client = client
            await bare.post("jobs", json={**JOB, "webhook_url": "https://sync.example.test/hook", **body})
            await sandbox.clock.sleep_until(START + 60)
            acts(sandbox)
            await sandbox.clock.sleep_until(START + 1000)

    play(sandbox, scene)
    return taken


def test_a_batch_tells_its_address_what_happens_to_it():
    sandbox = new_sandbox()
    sandbox.rates = lambda name, text: 86
    told = told_by_webhooks(sandbox, {}, acts=lambda box: box.move(first(box, "application"), "shortlisted"))
    assert [(at, event) for at, event, _ in told] == [
        (0, "job.processing"), (21, "high_score_detected"), (21, "job.completed"), (60, "candidate.shortlisted"),
    ]  # fmt: skip
    assert all(judge(delivery, (SECRET,)) for _, _, delivery in told)
    done = orjson.loads(told[2][2].body)
    assert (done["job_title"], done["top_candidates"][0]["score"]) == (JOB["title"], 86)


def test_conditions_choose_the_events_and_the_score_that_is_high():
    sandbox = new_sandbox()
    sandbox.rates = lambda name, text: 50
    events = ["high_score_detected", "candidate.hired"]
    conditions = {"webhook_conditions": {"min_score": 40, "events": events}}
    told = told_by_webhooks(sandbox, conditions, acts=lambda box: box.move(first(box, "application"), "rejected"))
    assert [event for _, event, _ in told] == ["high_score_detected"]


def test_a_delivery_that_is_not_taken_is_repeated_with_a_new_time_under_its_signature():
    sandbox = new_sandbox()
    conditions = {"webhook_conditions": {"events": ["job.completed"]}}
    statuses = iter([500, 503, 204])
    told = told_by_webhooks(sandbox, conditions, answers=lambda: next(statuses))
    assert [at for at, _, _ in told] == [21, 31, 91]
    assert len({delivery.body for _, _, delivery in told}) == 1
    assert len({delivery.headers["x-webhook-signature"] for _, _, delivery in told}) == 3
    assert all(judge(delivery, (SECRET,)) for _, _, delivery in told)


def test_without_a_secret_webhooks_are_not_signed():
    sandbox = new_sandbox()
    sandbox.webhook_secret = ""
    assert all("x-webhook-signature" not in delivery.headers for _, _, delivery in told_by_webhooks(sandbox, {}))


def test_spending_is_told_to_its_own_address():
    sandbox = new_sandbox()
    sandbox.account.credits = 100
    taken = []

    def take(request):
        taken.append(orjson.loads(request.content))
        return httpx.Response(204)

    async def scene(connector, bare):
        async with httpx.AsyncClient(transport=httpx.MockTransport(take)) as client:
            sandbox.client = client
            await bare.post("credits/webhook/configure", json={"url": "https://sync.example.test/usage"})
            await bare.post("jobs", json=JOB)
            await bare.post("jobs", json={**JOB, "resumes": JOB["resumes"] * 100})
            await sandbox.clock.sleep_until(START + 5)

    play(sandbox, scene)
    assert [told["event"] for told in taken] == ["agent.usage_low_balance", "agent.usage_credits_exhausted"]
    assert taken[0]["data"]["current_balance"] == 0.99


# --- what people do, and the log ------------------------------------------------------------------------------------


def test_what_people_do_stands_in_the_log_as_theirs():
    sandbox = filled()
    item = first(sandbox, "application")
    start = len(sandbox.effects)
    sandbox.move(item, "reviewing")
    sandbox.edit("candidate", item, name="Renamed Byhand", status="offered")
    sandbox.edit("candidate", item, name="Renamed Byhand")
    sandbox.vanish(item)
    told = [(effect.by, effect.action, effect.kind) for effect in sandbox.effects[start:]]
    assert told == [
        ("human", "move", "application"), ("human", "move", "application"), ("human", "update", "candidate"),
        ("human", "delete", "candidate"),
    ]  # fmt: skip
    assert item not in sandbox.snapshot()["application"]
    assert ask(sandbox, "GET", f"/candidates/{item}")[0] == 404


def test_the_ledger_and_the_log_agree():
    sandbox = new_sandbox()
    sandbox.reads = lambda name, text: "1002" not in name
    resumes = [{"filename": f"{number}.txt", "content": TEXT} for number in (1001, 1002, 1003)]

    async def scene(connector, bare):
        await bare.post("jobs", json={**JOB, "resumes": resumes})
        await sandbox.clock.sleep_until(START + 60)
        return (await bare.get("credits/balance")).json(), (await bare.get("credits/transactions")).json()

    balance, ledger = play(sandbox, scene)
    assert sandbox.billed() == {"1001.txt": 1, "1003.txt": 1}
    assert (balance["credits_available"], balance["total_spent"]) == (2548, 0.02)
    assert [(one["type"], one["amount"], one["balance_after"]) for one in ledger["transactions"]] == [
        ("refund", 0.01, 25.48), ("usage", -0.03, 25.47),
    ]  # fmt: skip


def test_people_who_upload_by_hand_buy_what_they_lack():
    sandbox = filled(jobs=3, people=3000)
    assert len(sandbox.snapshot()["application"]) == 3000
    assert sandbox.account.credits >= 0
