"""The service's own Python client (``hiresquire`` on the package index) at work on our sandbox, over real sockets.

We did not write it, so it is the witness that the sandbox is a HireSquire: all of its tools and all of its namespaces
are called. It is installed without its declared dependency ``langchain-core``, with which its ``wait`` fails.
"""

import contextlib
import hashlib
import hmac
import time
import zipfile

import hiresquire as vendor
import pytest
import requests
from hiresquire import tools

from syncd.sandbox import Fault, Limit
from tests.hiresquire.served import Served
from tests.hiresquire.world import DESCRIPTION, KEY, SECRET, resume

TOKEN = "sandbox-token"
RESUMES = [
    {"filename": f"{number}.txt", "content": resume(name).decode()}
    for number, name in ((1001, "Ana Ruiz"), (1002, "Ben Okafor"), (1003, "Cleo Marin"))
]


class Played(Served):
    def use(self, name, /, *args, **kwargs):
        """Call one of the client's tools against this server."""
        return getattr(tools, name)(*args, api_token=TOKEN, base_url=self.base_url, **kwargs)


@pytest.fixture
def played():
    with Played(limits=()) as server:
        yield server


@contextlib.contextmanager
def refused(status):
    with pytest.raises(requests.HTTPError) as caught:
        yield
    assert caught.value.response.status_code == status


def screened(played, **more):
    """A batch that is done, and its results."""
    job = played.use("create_screening_job", "Backend Engineer", DESCRIPTION, RESUMES, **more)
    return job["job_id"], played.use("wait_for_screening_completion", job["job_id"], poll_interval=0.1)


def test_each_tool_of_the_client_works(played, tmp_path):
    used = set()

    def use(name, /, *args, **kwargs):
        used.add(name)
        return played.use(name, *args, **kwargs)

    job_id, done = use_batches(use, tmp_path)
    use_candidates(use, job_id, done["candidates"][0])
    use_credits(use)
    use_calendars(use, job_id, done["candidates"][0])
    use_account(use, f"{played.address}/hook")
    used |= use_what_asks_nobody(done, tmp_path)
    assert used == {tool.__name__ for tool in vendor.get_hiresquire_tools()}


def use_batches(use, folder):
    job = use(
        "create_screening_job", "Engineer", DESCRIPTION, RESUMES, leniency_level=7, custom_instructions="Be kind."
    )
    assert job["status"] == use("get_screening_status", job["job_id"])["status"] == "processing"
    archive = folder / "resumes.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("folder/1004.txt", resume("Dana Fox"))
        packed.writestr("notes.csv", "not a resume")
    zipped = use("create_screening_job_from_zip", "Engineer", DESCRIPTION, str(archive), leniency_level=3)
    done = use("wait_for_screening_completion", job["job_id"], poll_interval=0.1)
    assert done == use("get_screening_results", job["job_id"])
    assert {one["raw_analysis"]["filename"] for one in done["candidates"]} == {"1001.txt", "1002.txt", "1003.txt"}
    scores = [one["score"] for one in done["candidates"]]
    assert scores == sorted(scores, reverse=True)
    few = use("get_candidates_by_score", job["job_id"], min_score=scores[1], max_score=100, only_top_n=1)
    assert [one["score"] for one in few["candidates"]] == scores[:1]
    (packed,) = use("wait_for_screening_completion", zipped["job_id"], poll_interval=0.1)["candidates"]
    assert packed["raw_analysis"]["filename"] == "1004.txt"
    late = use("create_screening_job", "Engineer", DESCRIPTION, RESUMES)
    assert use("cancel_screening_job", late["job_id"])["status"] == "cancelled"
    return job["job_id"], done


def use_candidates(use, job_id, one):
    mail = use(
        "generate_candidate_email", job_id, one["id"], email_type="keep-warm", tone="friendly", custom_notes="Hi."
    )
    assert mail["email"]["type"] == "keep-warm"
    assert one["name"] in mail["email"]["body"]
    assert use("report_hiring_outcome", job_id, one["id"], "hired")["success"] is True
    assert use("update_candidate_status", one["id"], "interviewed")["candidate"]["status"] == "interviewing"
    assert use("get_candidate", one["id"])["status"] == "interviewing"


def use_credits(use):
    assert use("estimate_screening_cost", 10)["total_cost"] == 0.1
    assert use("get_credit_balance")["balance"] == 25.46  # four résumés were screened, three of a stopped batch not
    packs = use("list_credit_packs")["packs"].items()  # read as its docstring does
    assert ("pouch", 5, 500) in [(name, pack["price"], pack["credits"]) for name, pack in packs]
    assert use("purchase_credits", pack="satchel", payment_method_id="pm_made_up")["balance"] == 52.96
    assert use("create_payment_intent", 25, payment_method_id="pm_made_up")["client_secret"]
    assert use("enable_auto_reload", 10, 25, "pm_made_up")["auto_reload_enabled"] is True
    assert use("disable_auto_reload")["auto_reload_enabled"] is False
    kinds = [entry["type"] for entry in use("get_credit_transactions", limit=50)["transactions"]]
    assert kinds == ["purchase", "refund", "usage", "usage", "usage"]


def use_calendars(use, job_id, one):
    assert use("create_calendar_connection", "calcom", "made-up-key")["data"]["provider"] == "calcom"
    assert len(use("list_calendar_connections")["data"]) == 1
    assert use("get_available_slots", "calcom", "2026-05-01")["data"][0]["start"].startswith("2026-05-01")
    assert use("create_interview", job_id, one["id"], "2026-05-01T09:00:00Z")["data"]["candidate_id"] == one["id"]
    assert use("generate_meeting_link", "calendly", "Talk")["data"]["link"]


def use_account(use, hook):
    assert use("whoami")["valid"] is True
    assert use("test_webhook", hook) == {"success": True, "message": "The test was sent.", "response_code": 204}
    key = use("create_agent_key", "Robot", daily_spend_limit=5.0, permissions=["read", "screen"])["key"]
    assert use("update_agent_key", key["id"], name="Better robot")["key"]["name"] == "Better robot"
    assert use("get_agent_key", key["id"])["key"]["key_prefix"] == key["key"][:8]
    assert use("regenerate_agent_key", key["id"])["key"]["key"] != key["key"]
    assert use("get_agent_key_usage", key["id"])["usage"]["remaining_daily"] == 5.0
    assert [each["id"] for each in use("list_agent_keys")["keys"]] == [key["id"]]
    assert use("revoke_agent_key", key["id"])["success"] is True
    assert use("get_rate_limit")["limit"] == 60


def use_what_asks_nobody(done, folder):
    ids = [each["id"] for each in done["candidates"]]
    assert tools.compare_candidates(done["candidates"], ids)["compared_count"] == 3
    (folder / "1005.md").write_bytes(resume("Eve Long"))
    assert tools.read_resume_from_file(str(folder / "1005.md"))["filename"] == "1005.md"
    return {"compare_candidates", "read_resume_from_file"}


def test_each_namespace_of_the_client_works(played, tmp_path):
    client = vendor.HireSquire(TOKEN, played.base_url)
    assert client.whoami()["valid"] is True
    path = tmp_path / "1004.txt"
    path.write_bytes(resume("Dana Fox"))
    job = client.screen("Engineer", DESCRIPTION, [str(path), RESUMES[0]])
    assert client.jobs.get_status(job["job_id"])["candidate_count"] == 2
    done = client.wait_for_completion(job["job_id"], poll_interval=0.1)
    assert done["candidates"] == client.jobs.get_results(job["job_id"])["candidates"]
    first, second = (one["id"] for one in done["candidates"])
    assert client.candidates.generate_email(job["job_id"], first)["candidate_id"] == first
    assert client.candidates.compare(done["candidates"], [first, second])["compared_count"] == 2
    assert client.credits.estimate_cost(2)["candidate_count"] == 2
    assert client.credits.get_balance()["formatted_balance"] == "$25.48"
    assert set(client.credits.list_packs()["packs"]) == {"pouch", "satchel", "chest"}
    assert client.calendar.connect("calendly", "made-up-key")["success"] is True
    assert len(client.calendar.list()["data"]) == 1
    assert client.calendar.get_slots("calendly", "2026-05-01")["data"]
    booked = client.calendar.create_interview(
        job_id=job["job_id"], candidate_id=first, scheduled_at="2026-05-01T09:00:00Z"
    )
    assert booked["data"]["status"] == "scheduled"
    assert client.calendar.generate_link("calendly", "Talk")["success"] is True
    key = client.agent_keys.create("Robot", monthly_spend_limit=1.0)["key"]
    assert client.agent_keys.update(key["id"], daily_spend_limit=0.5)["key"]["daily_spend_limit"] == 0.5
    assert client.agent_keys.get(key["id"])["key"]["monthly_spend_limit"] == 1.0
    assert client.agent_keys.get_usage(key["id"])["usage"]["total_spent"] == 0
    assert client.agent_keys.regenerate(key["id"])["key"]["key"].startswith("hs_")
    assert len(client.agent_keys.list()["keys"]) == 1
    assert client.agent_keys.revoke(key["id"])["success"] is True


def test_the_clients_repeats_after_lost_answers_make_and_bill_one_batch(played):
    faults = iter([Fault.ERROR_AFTER, Fault.ERROR_BEFORE])
    played.sandbox.faults = lambda method, path: next(faults, None) if method == "POST" else None
    job = played.use("create_screening_job", "Engineer", DESCRIPTION, RESUMES)
    assert [str(job["job_id"])] == list(played.sandbox.snapshot()["job"])
    assert played.sandbox.billed() == {"1001.txt": 1, "1002.txt": 1, "1003.txt": 1}
    assert [arrival.status for arrival in played.sandbox.arrivals][:2] == [503, 503]


def test_the_client_waits_as_long_as_a_full_minute_tells_it():
    with Played(limits=(Limit(2, 1.5),)) as played:
        assert [played.use("whoami")["valid"] for _ in range(3)] == [True] * 3
        assert [arrival.status for arrival in played.sandbox.arrivals][:3] == [200, 200, 429]


def test_the_client_meets_the_documented_refusals(played):
    job = played.use("create_screening_job", "Engineer", DESCRIPTION, RESUMES)
    with refused(425):
        played.use("get_screening_results", job["job_id"])
    with refused(404):
        played.use("get_screening_status", 99_999_999)
    with refused(422):
        played.use("create_screening_job", "Engineer", "Too short.", RESUMES)
    with refused(401):
        tools.whoami(api_token="another-token", base_url=played.base_url)
    played.use("cancel_screening_job", job["job_id"])
    with pytest.raises(TimeoutError):  # it does not know that a cancelled batch is over
        played.use("wait_for_screening_completion", job["job_id"], poll_interval=0.1, max_wait_seconds=0.3)


def test_a_batchs_webhooks_are_signed_as_the_vendor_says(played):
    played.sandbox.rates = lambda name, text: 95 if name == "1001.txt" else 40
    hook = {"webhook_url": f"{played.address}/hook"}
    job_id, done = screened(played, idempotency_key=KEY, **hook)
    played.use("update_candidate_status", done["candidates"][0]["id"], "hired")
    told = played.events("job.processing", "job.completed", "high_score_detected", "candidate.hired")
    assert {event["event"] for event in told} == {
        "job.processing", "job.completed", "high_score_detected", "candidate.hired",
    }  # fmt: skip
    assert {event["job_id"] for event in told} == {job_id}
    for headers, body in played.taken:  # the vendor's own recipe, llms-full.txt section "Webhook Security"
        parts = dict(part.split("=") for part in headers["x-webhook-signature"].split(","))
        payload = f"{parts['t']}.{body.decode()}"
        assert hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest() == parts["v1"]
        assert time.time() - int(parts["t"]) < 300
