import random

import httpx
import orjson
import pytest

from connectors.ninjahire.sandbox import NinjahireSandbox
from syncd.clock import SteppedClock, run_stepped
from tests.ninjahire import examples
from tests.ninjahire.world import BASE_URL, START, TOKEN, played

STAGE, ACTIVITY = "source_application_status", "application_stage"
HOOK = "https://sync.example.test/webhooks/screener/application_activty"


def play(sandbox, scene, token=TOKEN):
    """Run a scene with a bare HTTP client."""

    async def main():
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(app=sandbox)
        async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers) as client:
            return await scene(client)

    return run_stepped(sandbox.clock, main())


def one(sandbox, method, path, body=None, **more):
    return play(sandbox, lambda client: client.request(method, path, json=body, **more))


def peopled(**switches):
    sandbox = played(**switches)
    sandbox.fill(jobs=2, people=7)
    return sandbox


def first(sandbox, kind):
    return next(iter(sandbox.rows[kind].values()))


def actions(sandbox):
    return [(effect.by, effect.action, effect.kind) for effect in sandbox.effects]


def phoned(sandbox):
    return [effect.by for effect in sandbox.effects if effect.action == "phoned"]


class Receiver:
    """A webhook's receiver that refuses as many deliveries as told."""

    def __init__(self, refuses=0):
        self.refuses = refuses
        self.requests = []
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self.take))

    def take(self, request):
        self.requests.append(request)
        return httpx.Response(503 if len(self.requests) <= self.refuses else 204)

    @property
    def payloads(self):
        return [orjson.loads(request.content) for request in self.requests]


# the gateway


@pytest.mark.parametrize("token", ["", "another"])
def test_the_gateway_refuses_a_bad_key_in_its_own_form(token):
    response = play(peopled(), lambda client: client.get("/v1/jobs?page=1&size=1"), token)
    problem = response.json()
    assert response.status_code == problem["status"] == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "https://httpproblems.com/http-status/401"
    assert (problem["title"], problem["instance"]) == ("Unauthorized", "/v1/jobs")
    assert set(problem["trace"]) == {"timestamp", "requestId", "buildId"}


def test_sixty_calls_a_minute_are_taken_and_not_one_more():
    sandbox = peopled(limits=None)

    async def scene(client):
        statuses = []
        for _ in range(130):
            response = await client.get("/v1/jobs?page=1&size=1")
            statuses.append(response.status_code)
            if response.status_code == 429:
                assert response.json()["title"] == "Too Many Requests"
                await sandbox.clock.sleep_until(sandbox.clock.now() + int(response.headers["Retry-After"]))
        return statuses

    assert play(sandbox, scene).count(429) == 2
    taken = [arrival.at for arrival in sandbox.arrivals if arrival.status == 200]
    assert max(sum(1 for other in taken if at - 60 < other <= at) for at in taken) == 60


@pytest.mark.parametrize(
    "query", ["", "page=1", "size=5", "page=x&size=5", "page=1&size=", "page=0&size=5", "page=1&size=0"]
)
def test_page_and_size_are_demanded(query):
    response = one(peopled(), "GET", f"/v1/jobs?{query}")
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/nothing", 404), ("DELETE", "/v1/jobs", 405)])
def test_what_is_no_route_is_a_problem(method, path, status):
    response = one(peopled(), method, path)
    assert (response.status_code, response.json()["status"]) == (status, status)


# lists


def test_a_large_size_is_clamped_without_a_word():
    sandbox = played()
    sandbox.fill(jobs=1, people=130)
    body = one(sandbox, "GET", "/v1/candidates?page=1&size=500").json()
    assert (len(body["data"]), body["count"]) == (100, 130)
    body = one(sandbox, "GET", "/v1/candidates?page=2&size=500").json()
    assert (len(body["data"]), body["count"]) == (30, 130)
    assert one(sandbox, "GET", "/v1/candidates?page=3&size=500").json() == {"data": [], "count": 130}


def test_count_can_mean_the_pages_length():
    body = one(peopled(count="page"), "GET", "/v1/candidates?page=2&size=5").json()
    assert (len(body["data"]), body["count"]) == (2, 2)


def test_the_newest_comes_first():
    sandbox = peopled()
    sandbox.add_job(title="Newest")
    rows = one(sandbox, "GET", "/v1/jobs?page=1&size=5").json()["data"]
    assert rows[0]["title"] == "Newest"
    assert [row["created_at"] for row in rows] == sorted((row["created_at"] for row in rows), reverse=True)


def test_applications_are_filtered_by_job_and_sorted_by_score():
    sandbox = peopled()
    job = sandbox.add_job(title="Tiler")
    ids = [sandbox.apply(job, email=f"p{number}@example.com") for number in range(3)]
    for id_, score in zip(ids[:2], (55, 80), strict=True):
        sandbox.edit("application", id_, score=score, screening_status="completed")
    query = f"/v1/applications?page=1&size=5&job_id={job}"
    assert len(one(sandbox, "GET", query).json()["data"]) == 3
    assert len(one(sandbox, "GET", f"{query}&filter_screening_status=pending").json()["data"]) == 1
    rows = one(sandbox, "GET", f"{query}&sort_column=score&sort_direction=DESC").json()["data"]
    assert [row["score"] for row in rows] == [80, 55, None]


# writing


def without(body, *names):
    return {name: value for name, value in body.items() if name not in names}


def test_the_vendors_examples_are_taken():
    sandbox = played()
    job = one(sandbox, "POST", "/v1/jobs", examples.JOB_BODY)
    assert job.status_code == 201
    assert {name: job.json()[name] for name in examples.JOB_BODY} == examples.JOB_BODY
    patched = one(sandbox, "PATCH", f"/v1/jobs/{job.json()['id']}", examples.JOB_PATCH)
    assert (patched.status_code, patched.json()["desc"]) == (200, examples.JOB_PATCH["desc"])
    candidate = one(sandbox, "POST", "/v1/candidates", examples.CANDIDATE_BODY).json()
    assert one(sandbox, "PATCH", f"/v1/candidates/{candidate['id']}", examples.CANDIDATE_PATCH).status_code == 200
    ids = {"candidate_id": candidate["id"], "job_id": job.json()["id"]}
    application = one(sandbox, "POST", "/v1/applications", {**examples.APPLICATION_BODY, **ids})
    assert application.status_code == 201
    assert "base64file" not in application.json()
    moved = one(sandbox, "PATCH", f"/v1/applications/{application.json()['id']}", examples.APPLICATION_PATCH).json()
    assert (moved[STAGE], moved[ACTIVITY]) == ("hired", "ACTIVE")
    body = {**examples.APPLICATION_BODY, **ids, "questions": examples.QUESTIONS}
    asked = one(sandbox, "POST", "/v1/applications/with-questions", body).json()["questions"]
    assert [question["source_id"] for question in asked] == ["q1", "q2"]


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        ("/v1/jobs", examples.JOB_BODY, ("title", "industry", "state_name", "country", "recruiter_name",
         "recruiter_email", "recruiter_work_phone_no", "status", "desc", "source_id")),
        ("/v1/candidates", examples.CANDIDATE_BODY, ("first_name", "email", "phone_no", "source", "source_id")),
        ("/v1/applications", examples.APPLICATION_BODY, ("candidate_source_id", "job_source_id", STAGE, ACTIVITY)),
    ],
)  # fmt: skip
def test_each_required_field_is_missed(path, body, names):
    sandbox = played()
    for name in names:
        response = one(sandbox, "POST", path, without(body, name))
        assert response.status_code == 400
        assert response.json() == {"message": f"{name} is required", "statusCode": 400, "error": "Bad Request"}
    assert not sandbox.effects


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("job", {"title": "Welder"}),
        ("candidate", without(examples.CANDIDATE_BODY, "last_name", "city", "state_name", "country")),
        ("application", {STAGE: "Offer", ACTIVITY: "PASSIVE"}),
    ],
)
def test_a_patch_wants_every_required_field(kind, names):
    sandbox = peopled()
    path = f"/v1/{kind}s/{first(sandbox, kind)['id']}"
    assert one(sandbox, "PATCH", path, names).status_code == 200
    for name in names:
        assert one(sandbox, "PATCH", path, without(names, name)).json()["message"] == f"{name} is required"


@pytest.mark.parametrize(
    ("path", "body", "wrong"),
    [
        ("/v1/candidates", examples.CANDIDATE_BODY, {"email": "nobody"}),
        ("/v1/candidates", examples.CANDIDATE_BODY, {"phone_no": "555-0100"}),
        ("/v1/candidates", examples.CANDIDATE_BODY, {"first_name": " "}),
        ("/v1/candidates", examples.CANDIDATE_BODY, {"city": 7}),
        ("/v1/jobs", examples.JOB_BODY, {"min_pay_rate": "much"}),
        ("/v1/jobs", examples.JOB_BODY, {"start_date": "soon"}),
        ("/v1/applications", examples.APPLICATION_BODY, {ACTIVITY: "ASLEEP"}),
        ("/v1/applications", examples.APPLICATION_BODY, {"job_id": "7"}),
    ],
)
def test_a_value_of_the_wrong_form_is_refused_by_its_name(path, body, wrong):
    response = one(played(), "POST", path, {**body, **wrong})
    assert response.status_code == 400
    assert response.json()["message"].startswith(next(iter(wrong)))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null"])
def test_a_body_that_is_no_object_is_refused(content):
    response = play(played(), lambda client: client.post("/v1/jobs", content=content))
    assert response.status_code == 400


def test_a_source_id_is_unique_within_its_kind():
    sandbox = played()
    assert one(sandbox, "POST", "/v1/candidates", examples.CANDIDATE_BODY).status_code == 201
    again = one(sandbox, "POST", "/v1/candidates", examples.CANDIDATE_BODY)
    assert (again.status_code, again.json()["error"]) == (409, "Conflict")
    assert one(sandbox, "POST", "/v1/jobs", {**examples.JOB_BODY, "source_id": "194897"}).status_code == 201


def test_an_application_finds_its_parents_by_their_source_ids():
    sandbox = played()
    one(sandbox, "POST", "/v1/jobs", {**examples.JOB_BODY, "source_id": "job456"})
    body = without(examples.APPLICATION_BODY, "job_id", "candidate_id")
    assert one(sandbox, "POST", "/v1/applications", body).json()["message"] == "Candidate not found"
    one(sandbox, "POST", "/v1/candidates", {**examples.CANDIDATE_BODY, "source_id": "candidate123"})
    row = one(sandbox, "POST", "/v1/applications", body).json()
    assert row["candidate_id"] == first(sandbox, "candidate")["id"]
    shown = one(sandbox, "GET", f"/v1/applications/{row['id']}").json()
    assert (shown["candidate"]["source_id"], shown["job"]["source_id"]) == ("candidate123", "job456")


def test_a_write_that_changes_nothing_moves_no_time_and_is_no_effect():
    sandbox = peopled()
    row = first(sandbox, "application")
    told, known = dict(row), len(sandbox.effects)
    one(sandbox, "PATCH", f"/v1/applications/{row['id']}", {STAGE: row[STAGE], ACTIVITY: "passive"})
    assert row == told
    assert len(sandbox.effects) == known


def test_two_changes_at_one_instant_are_two_versions():
    sandbox = peopled()
    row = first(sandbox, "application")
    versions = [row["updated_at"]]
    for word in ("A", "B"):
        sandbox.move(row["id"], word)
        versions.append(row["updated_at"])
    assert versions == sorted(set(versions))


def test_what_vanished_is_not_found_in_the_backends_words():
    sandbox = peopled()
    id_ = first(sandbox, "candidate")["id"]
    sandbox.vanish("candidate", id_)
    response = one(sandbox, "GET", f"/v1/candidates/{id_}")
    assert response.status_code == 404
    assert response.json() == {"message": "Candidate not found", "statusCode": 404, "error": "Not Found"}


# phoning


def activated(sandbox):
    return sandbox.apply(sandbox.add_job(title="Tiler"), email="a@example.com", application_stage="ACTIVE")


async def minutes(sandbox, number):
    await sandbox.clock.sleep_until(sandbox.clock.now() + 60 * number)


def test_an_active_application_has_its_person_phoned_some_minutes_later():
    sandbox = peopled()
    id_ = activated(sandbox)

    async def scene(client):
        await client.get("/v1/jobs?page=1&size=1")  # the world begins to move
        await minutes(sandbox, 4)
        assert not phoned(sandbox)
        await minutes(sandbox, 2)
        assert phoned(sandbox) == ["human"]
        await minutes(sandbox, 600)
        return (await client.get("/v1/calls", params={"page": 1, "size": 5, "application_id": id_})).json()

    (call,) = play(sandbox, scene)["data"]
    assert (call["call_status"], call["ninjahire_intelligence"]) == ("call_completed", "call_success")
    assert sandbox.rows["application"][id_]["screening_status"] == "completed"
    assert phoned(sandbox) == ["human"]


def test_nobody_is_phoned_who_became_passive_in_time():
    sandbox = played()
    id_ = activated(sandbox)

    async def scene(client):
        await client.patch(f"/v1/applications/{id_}", json={STAGE: "Rejected", ACTIVITY: "passive"})
        await minutes(sandbox, 60)

    play(sandbox, scene)
    assert not phoned(sandbox)


def test_an_application_that_turns_active_again_is_phoned_once():
    sandbox = played()
    id_ = activated(sandbox)

    async def scene(client):
        for activity in ("PASSIVE", "ACTIVE"):
            await client.patch(f"/v1/applications/{id_}", json={STAGE: "Screening", ACTIVITY: activity})
        await minutes(sandbox, 60)

    play(sandbox, scene)
    assert phoned(sandbox) == ["api"]


def test_an_instant_call_phones_at_once():
    sandbox = peopled()
    id_ = first(sandbox, "application")["id"]

    async def scene(client):
        answer = (await client.post(f"/v1/applications/{id_}/instant-call")).json()
        assert phoned(sandbox) == ["api"]
        path = f"/v1/calls/{answer['call_id']}"
        assert (await client.get(path)).json()["call_status"] == "call_in_progress"
        await minutes(sandbox, 3)
        return (await client.get(path)).json()

    call = play(sandbox, scene)
    assert call["call_status"] == "call_completed"
    assert 0 <= call["call_score"] <= 100


# the rest of the reference


def test_scheduling_is_off_until_it_is_switched_on():
    sandbox = peopled()
    path = f"/v1/jobs/{first(sandbox, 'job')['id']}/scheduling"
    assert one(sandbox, "GET", path).json()["scheduling"] is False
    assert one(sandbox, "PATCH", path, {"scheduling": "yes"}).status_code == 400
    assert one(sandbox, "PATCH", path, {"scheduling": True}).json() == one(sandbox, "GET", path).json()


def test_a_schedule_is_kept_and_its_bounds_are_watched():
    sandbox = peopled()
    path = f"/v1/jobs/{first(sandbox, 'job')['id']}/schedule-setting"
    assert one(sandbox, "GET", path).status_code == 404
    made = one(sandbox, "PUT", path, examples.SCHEDULE_BODY).json()
    assert one(sandbox, "PUT", path, {**examples.SCHEDULE_BODY, "daily_attempts": 6}).status_code == 400
    assert one(sandbox, "PUT", path, {**examples.SCHEDULE_BODY, "window_start_time": "8 am"}).status_code == 400
    assert one(sandbox, "GET", path).json() == made
    assert made["id"] == one(sandbox, "PUT", path, examples.SCHEDULE_BODY).json()["id"]


def test_questions_are_asked_changed_and_dropped():
    sandbox = peopled()
    path = f"/v1/jobs/{first(sandbox, 'job')['id']}/questions"
    made = one(sandbox, "POST", path, examples.QUESTION_BODY).json()
    assert len(one(sandbox, "POST", f"{path}/generate").json()) == 3
    changed = {**examples.QUESTION_BODY, "question_text": "Why?"}
    assert one(sandbox, "PATCH", f"{path}/{made['id']}", changed).status_code == 400
    assert one(sandbox, "PATCH", f"{path}/{made['id']}?source_id=q", changed).json()["question_text"] == "Why?"
    assert one(sandbox, "DELETE", f"{path}/{made['id']}").status_code == 200
    assert one(sandbox, "DELETE", f"{path}/{made['id']}").status_code == 404
    assert len(one(sandbox, "GET", path).json()) == 3


# webhooks


def test_a_subscription_is_made_changed_and_switched():
    sandbox = played()
    assert one(sandbox, "GET", "/v1/tenant-webhook").status_code == 404
    made = one(sandbox, "POST", "/v1/tenant-webhook", examples.WEBHOOK_BODY)
    id_ = made.json()["id"]
    again = one(sandbox, "POST", "/v1/tenant-webhook", {**examples.WEBHOOK_BODY, "url": HOOK})
    assert (made.status_code, again.status_code, again.json()["id"]) == (201, 200, id_)
    assert one(sandbox, "GET", "/v1/tenant-webhook").json()["url"] == sandbox.hooks[id_].url == HOOK
    one(sandbox, "POST", f"/v1/tenant-webhook/unsubscribe/{id_}")
    assert not sandbox.hooks[id_].active
    assert one(sandbox, "POST", f"/v1/tenant-webhook/subscribe/{id_}").json()["is_deleted"] is False
    assert sandbox.hooks[id_].active
    other = {**examples.WEBHOOK_BODY, "triggered_event": "application_activty"}
    one(sandbox, "POST", "/v1/tenant-webhook", other)
    assert len(one(sandbox, "GET", "/v1/tenant-webhook").json()) == 2
    assert one(sandbox, "POST", "/v1/tenant-webhook/subscribe/x").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"triggered_event": "application_activity"}, {"type": "other"}, {"http_method": "GET"},
        {"content_type": "text/xml"}, {"fields": "id"}, {"tenant_id": "7"}, {"is_active": 1},
    ],
)  # fmt: skip
def test_a_subscription_keeps_to_the_vendors_words(wrong):
    assert one(played(), "POST", "/v1/tenant-webhook", {**examples.WEBHOOK_BODY, **wrong}).status_code == 400


def told(sandbox, scene):
    async def main(client):
        await scene()
        await minutes(sandbox, 30)

    play(sandbox, main)


def test_each_change_of_an_application_is_told_with_the_named_fields():
    receiver = Receiver()
    sandbox = peopled(client=receiver.client)
    sandbox.subscribe(HOOK, secret="whsec", fields=("id", "status", "unheard_of"))

    async def scene():
        id_ = first(sandbox, "application")["id"]
        sandbox.move(id_, "Offer")
        sandbox.edit("candidate", first(sandbox, "candidate")["id"], city="Reno")
        sandbox.apply(first(sandbox, "job")["id"], email="new@example.com")

    told(sandbox, scene)
    assert [payload["status"] for payload in receiver.payloads] == ["Offer", "Applied"]
    assert {name for payload in receiver.payloads for name in payload} == {"id", "status"}
    assert {request.headers["x-ninjahire-timestamp"] for request in receiver.requests} == {str(int(START))}


def test_a_refused_delivery_comes_again_with_a_new_timestamp_and_the_same_signature():
    receiver = Receiver(refuses=2)
    sandbox = peopled(client=receiver.client)
    sandbox.subscribe(HOOK, secret="whsec")

    async def scene():
        sandbox.move(first(sandbox, "application")["id"], "Offer")

    told(sandbox, scene)
    times = [int(request.headers["x-ninjahire-timestamp"]) - int(START) for request in receiver.requests]
    assert times == [0, 10, 70]
    assert len({request.headers["x-ninjahire-signature"] for request in receiver.requests}) == 1


def test_without_a_secret_a_delivery_is_unsigned():
    receiver = Receiver()
    sandbox = peopled(client=receiver.client)
    sandbox.subscribe(HOOK)

    async def scene():
        sandbox.move(first(sandbox, "application")["id"], "Offer")

    told(sandbox, scene)
    assert "x-ninjahire-signature" not in receiver.requests[0].headers


def test_a_call_that_ended_is_told_to_whoever_subscribed_to_calls():
    receiver = Receiver()
    sandbox = played(client=receiver.client)
    sandbox.subscribe(HOOK, event="call_activity", fields=("id", "status", "application_id", "call_score"))
    ids = []

    async def scene():
        ids.append(activated(sandbox))

    told(sandbox, scene)
    (payload,) = receiver.payloads
    assert payload["application_id"] == ids[0]
    assert payload["status"] == "call_completed"


def test_a_switched_off_subscription_hears_nothing():
    receiver = Receiver()
    sandbox = peopled(client=receiver.client)
    id_ = sandbox.subscribe(HOOK)

    async def scene():
        await minutes(sandbox, 0)
        sandbox.move(first(sandbox, "application")["id"], "Offer")

    one(sandbox, "POST", f"/v1/tenant-webhook/unsubscribe/{id_}")
    told(sandbox, scene)
    assert not receiver.requests


# people, judges, chance


def test_what_people_do_stands_in_the_log_as_theirs():
    sandbox = played()
    job = sandbox.add_job(title="Tiler", code="T-1")
    id_ = sandbox.apply(job, name="Ana Ruiz", email="ana@example.com", phone="+12025550100", city="Reno")
    again = sandbox.apply(job, name="Ana Ruiz", email="ANA@example.com")
    sandbox.move(id_, "Offer")
    sandbox.edit("job", job, status="Closed")
    sandbox.vanish("application", again)
    assert actions(sandbox) == [
        ("human", "create", "job"),
        ("human", "create", "candidate"),
        ("human", "create", "application"),
        ("human", "create", "application"),
        ("human", "move", "application"),
        ("human", "update", "job"),
        ("human", "delete", "application"),
    ]
    move = sandbox.effects[4]
    assert (dict(move.before), dict(move.after)) == ({STAGE: "Applied"}, {STAGE: "Offer"})


def test_what_the_api_does_stands_in_the_log_as_the_apis():
    sandbox = peopled()
    known = len(sandbox.effects)
    id_ = first(sandbox, "application")["id"]
    one(sandbox, "PATCH", f"/v1/applications/{id_}", {STAGE: "Elsewhere", ACTIVITY: "PASSIVE"})
    assert actions(sandbox)[known:] == [("api", "move", "application")]


def test_a_snapshot_tells_an_applications_job_candidate_and_stage():
    sandbox = played()
    job = sandbox.add_job(title="Tiler")
    id_ = sandbox.apply(job, name="Ana Ruiz", email="ana@example.com", stage="Screening")
    snapshot = sandbox.snapshot()
    row = snapshot["application"][id_]
    assert (row["job"], row["candidate"], row["stage"]) == (job, *snapshot["candidate"], "Screening")
    row["stage"] = "altered"
    assert sandbox.snapshot()["application"][id_]["stage"] == "Screening"


def test_the_same_chance_makes_the_same_world():
    def world():
        sandbox = NinjahireSandbox(clock=SteppedClock(START, frozen=True), rng=random.Random(3))
        sandbox.fill(jobs=3, people=20)
        return sandbox.snapshot()

    assert world() == world()


def test_made_up_people_have_mails_and_phones_of_fiction():
    for row in peopled().rows["candidate"].values():
        assert row["email"].endswith("@example.com")
        assert row["phone_no"].startswith("+120255501")
