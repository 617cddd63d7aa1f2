"""The played WorkSignal keeps to the reference: who may ask, how often, what is refused, what is sent out."""

import asyncio
import hashlib
import hmac

import httpx
import pytest

from syncd.connector import Delivery
from syncd.sandbox import Limit
from tests.worksignal.world import ACCOUNT, SECRET, START, new_sandbox, play

ANA = {"name": "Ana Ruiz", "email": "ana@example.test"}
BOB = {"name": "Bob Stone", "email": "bob@example.test"}
MIDNIGHT = START - START % 86_400 + 86_400
HOOK = "https://sync.example.test/webhooks/signal"


def served(sandbox, scene):
    """Run a scene with a bare client of a good token."""
    return play(sandbox, lambda connector, client: scene(client))


def ask(sandbox, method, path, **request):
    """One request; status and JSON."""

    async def scene(client):
        answer = await client.request(method, path, **request)
        return answer.status_code, (answer.json() if answer.content else None)

    return served(sandbox, scene)


# --- who may ask, and how often -------------------------------------------------------------------------------------


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Basic sandbox-token", "sandbox-token"])
def test_without_a_good_key_nothing_is_told(authorization):
    answer = ask(new_sandbox(), "GET", "/roles", headers={"Authorization": authorization})
    assert answer == (401, {"error": "Invalid or missing API key"})


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/roles/1"), ("GET", "/roles/x"), ("PUT", "/roles"), ("DELETE", "/candidates/1"), ("GET", "/nowhere"),
     ("PATCH", "/candidates/1"), ("POST", "/roles/1/publish"), ("GET", "/voice_screens/1"), ("DELETE", "/webhooks/x")],
)  # fmt: skip
def test_what_is_not_there_is_not_found(method, path):
    assert ask(new_sandbox(), method, path) == (404, {"error": "Not found"})


def test_the_hundred_and_first_call_of_a_day_is_refused_until_midnight():
    async def scene(client):
        answers = [(await client.get("/organization")).status_code for _ in range(101)]
        assert answers == [200] * 100 + [429]
        await sandbox.clock.sleep_until(MIDNIGHT - 60)
        refused = await client.get("/roles")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        assert refused.json() == {"error": "Rate limit exceeded"}
        await sandbox.clock.sleep_until(MIDNIGHT)
        assert (await client.get("/roles")).status_code == 200

    sandbox = new_sandbox(limits=None)
    served(sandbox, scene)


def test_each_key_has_a_day_of_its_own():
    async def scene(client):
        await client.get("/roles")
        assert (await client.get("/roles")).status_code == 429
        other = {"Authorization": "Bearer second-token"}
        assert (await client.get("/roles", headers=other)).status_code == 200

    served(new_sandbox(limits=(Limit(1, 86_400, fixed=True),), tokens=("sandbox-token", "second-token")), scene)


def test_the_organization_tells_what_is_used():
    async def scene(client):
        await client.get("/roles")
        told = (await client.get("/organization")).json()["organization"]
        assert told["plan"] == "free"
        assert (told["limits"], told["usage"]) == ({"api_requests_per_day": 100}, {"api_requests_today": 2})

    served(new_sandbox(limits=None), scene)
    assert ask(new_sandbox(), "GET", "/organization")[1]["organization"]["plan"] == "pro"


# --- roles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda fields: fields, lambda fields: {"role": fields}])
def test_a_role_is_made_as_a_draft_from_wrapped_and_flat_bodies(wrap):
    status, body = ask(new_sandbox(), "POST", "/roles", json=wrap({"title": "Nurse", "made_up": 1}))
    assert (status, body["role"]["status"], body["role"]["title"]) == (201, "draft", "Nurse")
    assert "made_up" not in body["role"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Title can't be blank"),
        ({"title": " "}, "Title can't be blank"),
        ({"title": 7}, "Title is invalid"),
        ({"title": "Nurse", "remote_policy": "moon"}, "Remote policy is not included in the list"),
        ({"title": "Nurse", "remote_policy": []}, "Remote policy is not included in the list"),
        ({"title": "Nurse", "salary_min": "much"}, "Salary min is not a number"),
    ],
)
def test_a_role_that_cannot_be_is_refused_with_its_message(fields, message):
    answer = ask(new_sandbox(), "POST", "/roles", json={"role": fields})
    assert answer == (422, {"error": "Validation failed", "messages": [message]})


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff"])
def test_a_body_that_is_no_object_is_refused(body):
    assert ask(new_sandbox(), "POST", "/roles", content=body)[0] == 422


def test_a_row_leaves_out_what_only_a_get_tells():
    sandbox = new_sandbox()
    job = sandbox.add_job(title="Nurse", description="Nurses.", salary_min=50_000)
    (row,) = ask(sandbox, "GET", "/roles")[1]["roles"]
    detail = ask(sandbox, "GET", f"/roles/{job}")[1]["role"]
    assert detail.keys() - row.keys() == {"description", "salary_min", "salary_max", "job_posting"}
    assert row.items() <= detail.items()


@pytest.mark.parametrize(
    ("present", "call", "status", "after"),
    [
        ("draft", "publish", 200, "open"),
        ("paused", "publish", 200, "open"),
        ("open", "publish", 422, "open"),
        ("closed", "publish", 422, "closed"),
        ("open", "pause", 200, "paused"),
        ("draft", "pause", 422, "draft"),
        ("paused", "pause", 422, "paused"),
        ("closed", "pause", 422, "closed"),
        ("open", "", 200, "closed"),
        ("draft", "", 200, "closed"),
        ("closed", "", 200, "closed"),
    ],
)
def test_a_role_goes_only_the_documented_ways(present, call, status, after):
    sandbox = new_sandbox()
    job = sandbox.add_job(title="Nurse", status=present)
    method, path = ("POST", f"/roles/{job}/{call}") if call else ("DELETE", f"/roles/{job}")
    assert ask(sandbox, method, path)[0] == status
    assert sandbox.snapshot()["job"][job]["status"] == after


def test_a_patch_cannot_open_a_role():
    sandbox = new_sandbox()
    job = sandbox.add_job(title="Nurse", status="draft")
    ask(sandbox, "PATCH", f"/roles/{job}", json={"status": "open", "title": "Head nurse"})
    assert sandbox.snapshot()["job"][job]["status"] == "draft"
    assert sandbox.snapshot()["job"][job]["title"] == "Head nurse"


@pytest.mark.parametrize(("publish", "actions"), [({}, {"published"}), ({"publish": False}, set())])
def test_a_quick_post_publishes_unless_told_not_to(publish, actions):
    sandbox = new_sandbox()
    status, body = ask(sandbox, "POST", "/quick_post", json={"role": {"title": "Senior Nurse"}, **publish})
    assert (status, body["role"]["status"]) == (201, "open" if actions else "draft")
    assert body["job_posting"]["public_url"].endswith("/careers/acme/jobs/senior-nurse")
    assert {effect.action for effect in sandbox.effects} >= actions
    assert ("published" in {effect.action for effect in sandbox.effects}) is bool(actions)


def test_a_posting_is_made_once_and_shown_and_hidden():
    async def scene(client):
        made = await client.post("/job_postings", json={"role_id": int(job), "job_posting": {"title": "Join us"}})
        number = made.json()["job_posting"]["id"]
        assert (made.status_code, made.json()["job_posting"]["published"]) == (201, False)
        assert (await client.post("/job_postings", json={"role_id": int(job)})).status_code == 422
        assert (await client.post("/job_postings", json={"role_id": 1})).status_code == 422
        await client.patch(f"/job_postings/{number}", json={"job_posting": {"requirements": "Two hands"}})
        await client.post(f"/job_postings/{number}/publish")
        (shown,) = (await client.get("/job_postings", params={"published": "true"})).json()["job_postings"]
        assert (shown["title"], shown["requirements"]) == ("Join us", "Two hands")
        await client.post(f"/job_postings/{number}/unpublish")
        assert (await client.get("/job_postings", params={"published": "true"})).json()["job_postings"] == []

    sandbox = new_sandbox()
    job = sandbox.add_job(title="Nurse")
    served(sandbox, scene)
    assert [effect.action for effect in sandbox.effects] == ["create", "create", "published", "unpublished"]


def test_stats_count_applicants_and_screens():
    sandbox = new_sandbox()
    job = sandbox.add_job(title="Nurse")
    for person, score in ((ANA, 80), (BOB, 40)):
        candidate = sandbox.apply(job, **person).split(":")[0]
        screen = ask(sandbox, "POST", f"/candidates/{candidate}/invite_screen", json={"role_id": int(job)})[1]
        sandbox.complete_screen(str(screen["voice_screen"]["id"]), score)
    told = ask(sandbox, "GET", f"/roles/{job}/stats")[1]["stats"]
    assert told == {"applicants": 2, "screens": 2, "pass_rate": 0.5, "average_score": 60}


# --- lists ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "shown", "first"),
    [
        ({}, 25, 0),
        ({"per_page": 10}, 10, 0),
        ({"per_page": 1000}, 100, 0),
        ({"per_page": 100, "page": 2}, 5, 100),
        ({"page": "x", "per_page": "-1"}, 25, 0),
        ({"page": 99}, 0, None),
    ],
)
def test_lists_come_newest_first_in_pages_of_at_most_a_hundred(params, shown, first):
    sandbox = new_sandbox()
    sandbox.fill(jobs=1, people=105)
    ids = sorted(map(int, sandbox.snapshot()["candidate"]), reverse=True)
    body = ask(sandbox, "GET", "/candidates", params=params)[1]
    assert [row["id"] for row in body["candidates"]] == (ids[first : first + shown] if first is not None else [])
    assert (body["meta"]["total"], len(body["candidates"])) == (105, shown)


def test_filters_keep_what_fits():
    sandbox = new_sandbox()
    nurse, cook = sandbox.add_job(title="Nurse"), sandbox.add_job(title="Cook", status="paused")
    ana, bob = sandbox.apply(nurse, **ANA), sandbox.apply(cook, **BOB)
    sandbox.move(bob, "screening")

    def listed(plural, **params):
        return [str(row["id"]) for row in ask(sandbox, "GET", f"/{plural}", params=params)[1][plural]]

    assert listed("roles", status="paused") == [cook]
    assert listed("candidates", role_id=nurse) == [ana.split(":")[0]]
    assert listed("candidates", role_id=cook, stage="screening") == [bob.split(":")[0]]
    assert listed("candidates", role_id=nurse, stage="screening") == []


# --- candidates -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"email": "ana@example.test"}, "Name can't be blank"),
        ({"name": "Ana"}, "Email can't be blank"),
        ({"name": "Ana", "email": "nowhere"}, "Email is invalid"),
        ({"name": "Ana", "email": 7}, "Email is invalid"),
        ({"name": "Ana", "email": "BOB@example.test"}, "Email has already been taken"),
        ({"name": "Ana", "email": "ana@example.test", "role_id": 1}, "Role must exist"),
        ({"name": "Ana", "email": "ana@example.test", "role_id": "x"}, "Role must exist"),
    ],
)
def test_a_candidate_that_cannot_be_is_refused_with_its_message(fields, message):
    sandbox = new_sandbox()
    sandbox.apply(sandbox.add_job(title="Nurse"), **BOB)
    answer = ask(sandbox, "POST", "/candidates", json=fields)
    assert answer == (422, {"error": "Validation failed", "messages": [message]})
    assert len(sandbox.snapshot()["candidate"]) == 1


def test_a_candidate_added_with_a_role_applies_at_once_and_bears_no_phone():
    sandbox = new_sandbox()
    job = sandbox.add_job(title="Nurse", status="draft")
    body = ask(sandbox, "POST", "/candidates", json={**ANA, "role_id": int(job), "phone": "+12025550100"})[1]
    (application,) = body["candidate"]["applications"]
    assert (application["role_id"], application["stage"], application["status"]) == (int(job), "applied", "active")
    assert body["candidate"]["phone"] is None
    assert body["candidate"]["created_at"] == "2026-04-12T13:20:00.000Z"


def test_a_move_hits_the_newest_active_application_unless_another_is_named():
    sandbox = new_sandbox()
    jobs = [sandbox.add_job(title=title) for title in ("Nurse", "Cook", "Driver")]
    first, second, third = (sandbox.apply(job, **ANA) for job in jobs)
    sandbox.move(third, "rejected")
    path = f"/candidates/{first.split(':')[0]}/advance"
    ask(sandbox, "POST", path, json={"stage": "screening"})
    ask(sandbox, "POST", path, json={"stage": "offer", "role_id": int(jobs[0])})
    stages = [sandbox.snapshot()["application"][one]["stage"] for one in (first, second, third)]
    assert stages == ["offer", "screening", "rejected"]


@pytest.mark.parametrize(
    ("call", "body", "message"),
    [
        ("advance", {}, "Stage can't be blank"),
        ("advance", {"stage": "nowhere"}, "Stage is not included in the list"),
        ("advance", {"stage": "hired"}, "Stage is not included in the list"),
        ("reject", {}, "Reason can't be blank"),
    ],
)
def test_a_move_that_cannot_be_is_refused(call, body, message):
    sandbox = new_sandbox()
    candidate = sandbox.apply(sandbox.add_job(title="Nurse"), **ANA).split(":")[0]
    answer = ask(sandbox, "POST", f"/candidates/{candidate}/{call}", json=body)
    assert answer == (422, {"error": "Validation failed", "messages": [message]})


@pytest.mark.parametrize("exit_", ["rejected", "hired", "withdrawn"])
def test_who_is_out_cannot_be_moved(exit_):
    sandbox = new_sandbox()
    application = sandbox.apply(sandbox.add_job(title="Nurse"), **ANA)
    sandbox.move(application, exit_)
    answer = ask(sandbox, "POST", f"/candidates/{application.split(':')[0]}/hire", json={})
    assert answer == (422, {"error": "Validation failed", "messages": ["Candidate has no active application"]})


def test_an_invitation_is_noted_and_its_screen_listed():
    sandbox = new_sandbox()
    job = sandbox.add_job(title="Nurse")
    candidate = sandbox.apply(job, **ANA).split(":")[0]
    body = ask(sandbox, "POST", f"/candidates/{candidate}/invite_screen", json={"role_id": int(job)})[1]
    assert (sandbox.effects[-1].action, sandbox.effects[-1].id) == ("invited", candidate)
    screen = body["voice_screen"]["id"]
    sandbox.complete_screen(str(screen), None)
    (row,) = ask(sandbox, "GET", "/voice_screens", params={"role_id": job, "status": "failed"})[1]["voice_screens"]
    detail = ask(sandbox, "GET", f"/voice_screens/{screen}")[1]["voice_screen"]
    assert row.items() <= detail.items()
    assert detail.keys() >= {"transcript", "highlights", "red_flags"}
    assert ask(sandbox, "GET", f"/candidates/{candidate}")[1]["candidate"]["voice_screens"] == [row]


def test_a_post_to_x_is_noted():
    async def scene(client):
        posting = (await client.post("/quick_post", json={"role": {"title": "Nurse"}})).json()["job_posting"]["id"]
        refused = await client.post("/channels/x/post", json={"job_posting_id": posting, "style": "shouting"})
        assert refused.status_code == 422
        assert (await client.post("/channels/x/post", json={"job_posting_id": 1})).status_code == 422
        assert (await client.post("/channels/x/post", json={"job_posting_id": posting})).status_code == 201
        (post,) = (await client.get("/channels/x/posts")).json()["posts"]
        assert (post["job_posting_id"], post["likes"]) == (posting, 0)
        assert (await client.get("/channels")).json()["channels"]["x"]["posts"] == 1

    sandbox = new_sandbox()
    served(sandbox, scene)
    assert sandbox.effects[-1].action == "posted"


# --- people, and the log --------------------------------------------------------------------------------------------


def test_who_applies_twice_is_one_person():
    sandbox = new_sandbox()
    nurse, cook = sandbox.add_job(title="Nurse"), sandbox.add_job(title="Cook")
    first = sandbox.apply(nurse, **ANA)
    assert sandbox.apply(nurse, **ANA) == first
    sandbox.apply(cook, **{**ANA, "email": "ANA@example.test"})
    assert len(sandbox.snapshot()["candidate"]) == 1
    assert len(sandbox.snapshot()["application"]) == 2


def test_the_log_tells_who_changed_what_from_what():
    sandbox = new_sandbox()
    application = sandbox.apply(sandbox.add_job(title="Nurse"), **ANA)
    sandbox.edit("candidate", application.split(":")[0], phone="+12025550100")
    sandbox.edit("job", next(iter(sandbox.snapshot()["job"])), status="paused")
    sandbox.edit("application", application, stage="offer")
    ask(sandbox, "POST", f"/candidates/{application.split(':')[0]}/hire", json={})
    told = [(effect.by, effect.action, dict(effect.before), dict(effect.after)) for effect in sandbox.effects[3:]]
    assert told == [
        ("human", "update", {"phone": None}, {"phone": "+12025550100"}),
        ("human", "status", {"status": "open"}, {"status": "paused"}),
        ("human", "move", {"stage": "applied"}, {"stage": "offer"}),
        ("api", "move", {"stage": "offer"}, {"stage": "hired"}),
    ]


def test_writing_what_is_there_already_is_no_effect():
    sandbox = new_sandbox()
    application = sandbox.apply(sandbox.add_job(title="Nurse"), **ANA)
    before = len(sandbox.effects)
    ask(sandbox, "PATCH", f"/candidates/{application.split(':')[0]}", json={"name": ANA["name"]})
    sandbox.move(application, "applied")
    assert len(sandbox.effects) == before


def test_equal_seeds_make_equal_worlds():
    def filled():
        sandbox = new_sandbox()
        sandbox.fill(jobs=3, people=20)
        return sandbox.snapshot()

    assert filled() == filled()
    assert len(filled()["candidate"]) == 20


# --- webhooks -------------------------------------------------------------------------------------------------------


class Receiver:
    """Takes deliveries as told by a list of statuses, the last one for ever."""

    def __init__(self, sandbox, *statuses):
        self.sandbox, self.statuses, self.got = sandbox, statuses or (200,), []
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self.take))

    def take(self, request):
        self.got.append((self.sandbox.clock.now(), request))
        return httpx.Response(self.statuses[min(len(self.got), len(self.statuses)) - 1])

    @property
    def events(self):
        return [httpx.Response(200, content=request.content).json()["event"] for _, request in self.got]


def receiving(*statuses):
    sandbox = new_sandbox()
    receiver = Receiver(sandbox, *statuses)
    sandbox.client = receiver.client
    return sandbox, receiver


async def settled(sandbox, seconds=1.0):
    await sandbox.clock.sleep_until(sandbox.clock.now() + seconds)
    await asyncio.sleep(0)


def test_people_and_the_api_alike_are_announced_signed():
    async def scene(client):
        application = sandbox.apply(job, **ANA)
        candidate = application.split(":")[0]
        sandbox.move(application, "screening")
        screen = await client.post(f"/candidates/{candidate}/invite_screen", json={"role_id": int(job)})
        sandbox.complete_screen(str(screen.json()["voice_screen"]["id"]), 90)
        await client.post(f"/candidates/{candidate}/reject", json={"reason": "No"})
        await settled(sandbox)

    sandbox, receiver = receiving()
    job = sandbox.add_job(title="Nurse")
    sandbox.subscribe(HOOK, secret=SECRET)
    served(sandbox, scene)
    assert receiver.events == [
        "application.created",
        "application.stage_changed",
        "voice_screen.completed",
        "candidate.passed",
        "candidate.rejected",
    ]
    for _, request in receiver.got:
        signature = hmac.new(SECRET.encode(), request.content, hashlib.sha256).hexdigest()
        assert request.headers["X-WorkSignal-Signature"] == signature


def test_what_the_sandbox_signs_the_connector_believes():
    async def scene(connector, _):
        sandbox.apply(job, **ANA)
        await settled(sandbox)
        ((_, request),) = receiver.got
        headers = {name.lower(): value for name, value in request.headers.items()}
        notice = connector.verify(Delivery(request.content, headers))
        assert [ref.id for ref in notice.refs] == list(sandbox.snapshot()["candidate"])

    sandbox, receiver = receiving()
    job = sandbox.add_job(title="Nurse")
    sandbox.subscribe(HOOK, secret=ACCOUNT.webhook_secrets[0])
    play(sandbox, scene)


def test_a_delivery_is_repeated_as_planned_until_it_is_taken():
    async def scene(client):
        sandbox.apply(job, **ANA)
        await settled(sandbox, 86_400)

    sandbox, receiver = receiving(500, 404, 302, 200)
    job = sandbox.add_job(title="Nurse")
    sandbox.subscribe(HOOK, secret=SECRET)
    served(sandbox, scene)
    assert [at - START for at, _ in receiver.got] == [0, 60, 360, 2160]
    assert len({request.content for _, request in receiver.got}) == 1


def test_a_webhook_that_takes_nothing_is_paused():
    async def scene(client):
        sandbox.apply(job, **ANA)
        await settled(sandbox, 2 * 86_400)
        sandbox.apply(job, **BOB)
        await settled(sandbox, 2 * 86_400)
        assert (await client.get("/webhooks")).json()["webhooks"][0]["active"] is False

    sandbox, receiver = receiving(500)
    job = sandbox.add_job(title="Nurse")
    sandbox.subscribe(HOOK, secret=SECRET)
    served(sandbox, scene)
    assert [round(at - START) / 60 for at, _ in receiver.got] == [0, 1, 6, 36, 156, 876]


def test_a_secret_is_told_once_and_signs_what_comes():
    async def scene(client):
        assert "candidate.hired" in (await client.get("/webhooks/events")).json()["events"]
        body = {"url": HOOK, "events": ["candidate.hired"]}
        made = (await client.post("/webhooks", json=body)).json()["webhook"]
        path = f"/webhooks/{made['id']}"
        assert made["secret"].startswith("whsec_")
        (listed,) = (await client.get("/webhooks")).json()["webhooks"]
        assert "secret" not in listed
        await client.post(f"{path}/test")
        await client.post(f"{path}/pause")
        await client.post(f"{path}/test")
        await client.post(f"{path}/activate")
        application = sandbox.apply(job, **ANA)
        await client.post(f"/candidates/{application.split(':')[0]}/hire", json={})
        await client.patch(path, json={"events": ["application.created"]})
        sandbox.apply(job, **BOB)
        await settled(sandbox)
        assert (await client.delete(path)).status_code == 204
        sandbox.apply(other, **BOB)
        await settled(sandbox)
        return made["secret"]

    sandbox, receiver = receiving()
    job, other = sandbox.add_job(title="Nurse"), sandbox.add_job(title="Cook")
    secret = served(sandbox, scene)
    assert receiver.events == ["test", "candidate.hired", "application.created"]
    _, request = receiver.got[0]
    signature = hmac.new(secret.encode(), request.content, hashlib.sha256).hexdigest()
    assert request.headers["X-WorkSignal-Signature"] == signature


@pytest.mark.parametrize(
    "body", [{}, {"url": "ftp://x", "events": []}, {"url": HOOK}, {"url": HOOK, "events": ["made.up"]}]
)
def test_a_webhook_that_cannot_be_is_refused(body):
    assert ask(new_sandbox(), "POST", "/webhooks", json=body)[0] == 422
