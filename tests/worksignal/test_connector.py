"""The WorkSignal connector against its sandbox: lists of all forms, what is written, what is refused, webhooks."""

import hashlib
import hmac
from dataclasses import replace

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.worksignal import CANDIDATES, FACTS, ROLES, WorkSignal
from syncd.connector import Delivery
from syncd.errors import AuthFailed, OutcomeUnknown, RateLimited, Rejected, Taken, Unavailable
from syncd.model import Cursor, Draft, Kind, Parent, Ref
from syncd.sandbox import Limit
from tests.laws import examples
from tests.worksignal.world import ACCOUNT, SECRET, START, new_sandbox, play

ANA = {"name": "Ana Ruiz", "email": "ana@example.test"}
BOB = {"name": "Bob Stone", "email": "bob@example.test"}
UNPUBLISHED = replace(ACCOUNT, options={})


def role_rows(*ids):
    return [{"id": number, "title": f"Role {number}", "status": "open"} for number in ids]


def answering(*bodies):
    """A connector over canned answers, one per request; the last one is told again and again. With its requests."""
    requests = []

    def answer(request):
        requests.append(request)
        return httpx.Response(200, json=bodies[min(len(requests), len(bodies)) - 1])

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return WorkSignal(ACCOUNT, client, new_sandbox().clock), requests


async def read_all(connector, walk, since=None):
    return [page async for page in connector.pull(walk, since)]


def walk_over(*bodies, since=None):
    connector, requests = answering(*bodies)
    pages = play(new_sandbox(), lambda *_: read_all(connector, ROLES, since))
    return [[record.ref.id for record in page.records] for page in pages], pages, requests


def meta(page, total, pages, **more):
    return {"page": page, "per_page": 2, "total": total, "total_pages": pages, **more}


# --- lists ----------------------------------------------------------------------------------------------------------


def test_pages_told_are_read_to_the_last():
    told, _, requests = walk_over(
        {"roles": role_rows(5, 4), "meta": meta(1, 3, 2)}, {"roles": role_rows(3), "meta": meta(2, 3, 2)}
    )
    assert told == [["5", "4"], ["3"]]
    assert [request.url.params["page"] for request in requests] == ["1", "2"]
    assert {request.url.params["per_page"] for request in requests} == {"100"}


def test_next_page_is_followed_where_it_is_told():
    told, *_ = walk_over(
        {"roles": role_rows(5, 4), "meta": {"next_page": 2}}, {"roles": role_rows(3), "meta": {"next_page": None}}
    )
    assert told == [["5", "4"], ["3"]]


@pytest.mark.parametrize("envelope", [lambda rows: rows, lambda rows: {"roles": rows}, lambda rows: {"data": rows}])
def test_without_meta_the_walk_ends_with_a_page_that_brings_nothing_new(envelope):
    told, pages, requests = walk_over(envelope(role_rows(5, 4)), envelope(role_rows(3)), envelope([]))
    assert told == [["5", "4"], ["3"], []]
    assert [page.next is None for page in pages] == [False, False, True]
    assert len(requests) == 3


def test_a_server_that_ignores_the_page_ends_the_walk_with_its_second_answer():
    told, _, requests = walk_over(role_rows(5, 4))
    assert told == [["5", "4"], []]
    assert len(requests) == 2


def test_a_row_that_slid_to_the_next_page_is_told_once():
    told, *_ = walk_over(
        {"roles": role_rows(5, 4), "meta": meta(1, 3, 2)}, {"roles": role_rows(4, 3), "meta": meta(2, 4, 2)}
    )
    assert told == [["5", "4"], ["3"]]


@pytest.mark.parametrize(
    "second",
    [
        {"roles": role_rows(5, 4), "meta": meta(1, 5, 3)},
        {"roles": role_rows(5, 4), "meta": meta(2, 5, 3)},
        {"roles": [], "meta": meta(2, 5, 3)},
        {"roles": role_rows(3, 2), "meta": meta(2, 4, 3)},
        {"roles": role_rows(3), "meta": meta(2, 5, 2)},
        {"roles": role_rows(3), "meta": meta(2, 5, 3, next_page=2)},
        {"roles": role_rows(3), "meta": meta(2, "many", 3)},
        {"error": "Not found"},
    ],
    ids=["page 1 again", "same rows", "empty amid", "shrank", "too few", "next is here", "no number", "no list"],
)
def test_pages_that_contradict_each_other_end_the_walk_unproven(second):
    with pytest.raises(Unavailable):
        walk_over({"roles": role_rows(5, 4), "meta": meta(1, 5, 3)}, second)


def test_a_page_served_over_and_over_ends_the_walk_at_once():
    connector, requests = answering({"roles": role_rows(5, 4), "meta": {"total_pages": 1_000_000}})
    with pytest.raises(Unavailable, match="nothing new"):
        play(new_sandbox(), lambda *_: read_all(connector, ROLES))
    assert len(requests) == 2


def test_a_resumed_walk_still_counts_what_was_told_before():
    last = {"roles": role_rows(3), "meta": meta(2, 3, 2)}
    assert walk_over(last, since=Cursor(token="2,2,3"))[0] == [["3"]]
    with pytest.raises(Unavailable):
        walk_over(last, since=Cursor(token="2,1,3"))


def test_an_unreadable_resume_token_is_no_traceback():
    with pytest.raises(Unavailable):
        walk_over([], since=Cursor(token="elsewhere"))


def test_an_empty_account_has_proven_ends():
    async def scene(connector, _):
        for walk in FACTS.walks:
            pages = await read_all(connector, walk)
            assert [(page.records, page.next) for page in pages] == [((), None)]

    play(new_sandbox(), scene)


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_a_list_that_cannot_be_read_is_not_an_empty_one(status):
    async def scene(*_):
        client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(status, json={})))
        with pytest.raises(Unavailable):
            await read_all(WorkSignal(ACCOUNT, client, new_sandbox().clock), CANDIDATES)

    play(new_sandbox(), scene)


def test_a_page_tells_when_it_was_served():
    async def scene(connector, _):
        assert [page.served_at for page in await read_all(connector, ROLES)] == [START]

    play(new_sandbox(), scene)


def test_the_base_address_may_leave_out_the_version():
    async def scene(connector, _):
        await connector.check()

    sandbox = new_sandbox()
    play(sandbox, scene, replace(ACCOUNT, base_url="https://worksignal.example.test/"))
    assert [arrival.path for arrival in sandbox.arrivals] == ["/api/v1/organization"]


# --- get ------------------------------------------------------------------------------------------------------------


def test_an_applications_get_tells_it_first_then_the_person_and_the_other_applications():
    async def scene(connector, _):
        told = await connector.get(Ref(Kind.APPLICATION, first))
        assert [record.ref for record in told] == [
            Ref(Kind.APPLICATION, first),
            Ref(Kind.CANDIDATE, first.split(":")[0]),
            Ref(Kind.APPLICATION, second),
        ]

    sandbox = new_sandbox()
    jobs = [sandbox.add_job(title="Nurse"), sandbox.add_job(title="Cook")]
    first, second = (sandbox.apply(job, **ANA) for job in jobs)
    play(sandbox, scene)


def test_an_application_that_its_person_does_not_have_is_gone():
    async def scene(connector, _):
        assert await connector.get(Ref(Kind.APPLICATION, f"{application.split(':')[0]}:1")) == ()

    sandbox = new_sandbox()
    application = sandbox.apply(sandbox.add_job(title="Nurse"), **ANA)
    play(sandbox, scene)


def test_an_id_of_another_form_asks_nothing():
    async def scene(connector, _):
        for kind in (Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION):
            assert await connector.get(Ref(kind, "../organization")) == ()

    sandbox = new_sandbox()
    play(sandbox, scene)
    assert not sandbox.arrivals


@pytest.mark.parametrize("body", [{"candidate": {"id": 2, "applications": []}}, {"candidate": {"id": 1}}])
def test_an_answer_about_somebody_else_or_without_applications_is_refused(body):
    connector, _ = answering(body)
    with pytest.raises(Unavailable):
        play(new_sandbox(), lambda *_: connector.get(Ref(Kind.CANDIDATE, "1")))


# --- create ---------------------------------------------------------------------------------------------------------


def test_a_new_job_stays_a_draft_and_nothing_is_published():
    async def scene(connector, _):
        (record,) = await connector.create(Draft(Kind.JOB, {"title": "Nurse", "salary_min": 50_000.0}), "key")
        assert record.fields["status"] == "draft"
        assert record.fields["salary_min"] == 50_000

    sandbox = new_sandbox()
    play(sandbox, scene)
    assert [(effect.action, effect.kind) for effect in sandbox.effects] == [("create", "job")]


def test_an_application_is_made_with_its_person_in_one_request():
    async def scene(connector, _):
        draft = Draft(Kind.APPLICATION, {}, {Kind.JOB: Parent(job)}, person={**ANA, "phone": "+12025550100"})
        application, person = await connector.create(draft, "key")
        assert application.ref.kind is Kind.APPLICATION
        assert application.parents == {Kind.JOB: job, Kind.CANDIDATE: person.ref.id}
        assert person.fields == {**ANA, "phone": None}

    sandbox = new_sandbox()
    job = sandbox.add_job(title="Nurse")
    play(sandbox, scene)
    assert [arrival.path for arrival in sandbox.arrivals] == ["/api/v1/candidates"]


@pytest.mark.parametrize(
    "born",
    [
        {"id": 55, **ANA, "applications": []},
        {"id": 55, **ANA, "applications": [{"id": 901, "role_id": 43, "stage": "applied"}]},
        {"id": 55, **BOB, "applications": [{"id": 901, "role_id": 42, "stage": "applied"}]},
    ],
    ids=["no application", "on another role", "somebody else"],
)
def test_an_answer_that_tells_something_else_than_what_was_to_be_made_leaves_it_unknown(born):
    connector, _ = answering({"candidate": born})
    draft = Draft(Kind.APPLICATION, {}, {Kind.JOB: Parent("42")}, person=ANA)
    with pytest.raises(OutcomeUnknown):
        play(new_sandbox(), lambda *_: connector.create(draft, "key"))


def test_a_second_application_of_a_person_is_refused_without_a_request():
    async def scene(connector, _):
        parents = {Kind.JOB: Parent("41"), Kind.CANDIDATE: Parent("42")}
        with pytest.raises(Rejected, match="already"):
            await connector.create(Draft(Kind.APPLICATION, {}, parents, person=ANA), "key")

    sandbox = new_sandbox()
    play(sandbox, scene)
    assert not sandbox.arrivals


def test_an_email_that_is_there_already_is_taken_whatever_its_case():
    async def scene(connector, _):
        with pytest.raises(Taken):
            await connector.create(Draft(Kind.CANDIDATE, {**ANA, "email": "ANA@example.test"}), "key")
        (found,) = await connector.find(Draft(Kind.CANDIDATE, ANA), START + 86_400)
        assert found.fields["email"] == ANA["email"]

    sandbox = new_sandbox()
    sandbox.apply(sandbox.add_job(title="Nurse"), **ANA)
    play(sandbox, scene)


@pytest.mark.parametrize("status", ["paused", "closed"])
def test_a_role_that_takes_no_applications_refuses_them(status):
    async def scene(connector, _):
        with pytest.raises(Rejected, match="Role is not accepting applications"):
            await connector.create(Draft(Kind.APPLICATION, {}, {Kind.JOB: Parent(job)}, person=ANA), "key")

    sandbox = new_sandbox()
    job = sandbox.add_job(title="Nurse", status=status)
    play(sandbox, scene)
    assert not sandbox.snapshot()["candidate"]


# --- find -----------------------------------------------------------------------------------------------------------


def test_find_does_not_trust_the_servers_filter():
    """A server that ignores ``role_id`` lists everybody: the application on another role is not the one sought."""
    rows = [
        {"id": 1, "email": "ANA@example.test", "applications": [{"id": 8, "role_id": 41, "stage": "applied"}]},
        {"id": 2, "email": "bob@example.test", "applications": [{"id": 9, "role_id": 42, "stage": "applied"}]},
    ]
    connector, requests = answering({"candidates": rows, "meta": meta(1, 2, 1)})
    draft = Draft(Kind.APPLICATION, {}, {Kind.JOB: Parent("42")}, person=ANA)
    assert play(new_sandbox(), lambda *_: connector.find(draft, START)) == ()
    assert requests[0].url.params["role_id"] == "42"
    draft = replace(draft, parents={Kind.JOB: Parent("41")})
    found = play(new_sandbox(), lambda *_: connector.find(draft, START))
    assert [record.ref.id for record in found] == ["1:8", "1"]


def test_a_job_is_found_by_its_very_title_and_only_if_made_since():
    async def scene(connector, _):
        assert len(await connector.find(Draft(Kind.JOB, {"title": "Nurse"}), START)) == 1
        assert len(await connector.find(Draft(Kind.JOB, {"title": "Nurse"}), START - 9_000)) == 2
        assert await connector.find(Draft(Kind.JOB, {"title": "Nurs"}), START) == ()

    sandbox = new_sandbox()
    sandbox.add_job(title="Nurse", created_at=START - 9_000)
    sandbox.add_job(title="Nurse")
    sandbox.add_job(title="Nurse II")
    play(sandbox, scene)


# --- update ---------------------------------------------------------------------------------------------------------


async def write(connector, ref, **fields):
    return await connector.update((await connector.get(ref))[0], fields)


@pytest.mark.parametrize(
    ("stage", "path", "body"),
    [
        ("interview", "advance", {"stage": "interview"}),
        ("Tech Chat", "advance", {"stage": "Tech Chat"}),
        ("rejected", "reject", {"reason": "Not selected"}),
        ("hired", "hire", {}),
    ],
)
def test_a_move_goes_out_by_its_own_call_with_the_documented_keys_only(stage, path, body):
    connector, requests = answering(
        {"candidate": {"id": 55, "applications": [{"id": 901, "role_id": 42, "stage": "applied", "status": "active"}]}}
    )
    play(new_sandbox(), lambda *_: write(connector, Ref(Kind.APPLICATION, "55:901"), stage=stage))
    assert (requests[1].method, requests[1].url.path) == ("POST", f"/api/v1/candidates/55/{path}")
    assert orjson.loads(requests[1].content) == body


def test_who_is_hired_begins_on_a_day():
    connector, requests = answering(
        {"candidate": {"id": 55, "applications": [{"id": 901, "role_id": 42, "stage": "offer", "status": "active"}]}}
    )
    begins = {"stage": "hired", "start_date": "2026-06-01T00:00:00Z"}
    play(new_sandbox(), lambda *_: write(connector, Ref(Kind.APPLICATION, "55:901"), **begins))
    assert orjson.loads(requests[1].content) == {"start_date": "2026-06-01"}


def test_a_day_alone_is_nothing_to_be_written():
    connector, _ = answering(
        {"candidate": {"id": 55, "applications": [{"id": 901, "role_id": 42, "stage": "offer", "status": "active"}]}}
    )
    with pytest.raises(Rejected):
        play(new_sandbox(), lambda *_: write(connector, Ref(Kind.APPLICATION, "55:901"), start_date="2026-06-01"))


def test_the_operator_words_the_reason_of_a_rejection():
    bodies = []

    async def scene(connector, _):
        connector._api.write = keep
        await write(connector, Ref(Kind.APPLICATION, application), stage="rejected")

    async def keep(method, path, body=None):
        bodies.append(body)

    sandbox = new_sandbox()
    application = sandbox.apply(sandbox.add_job(title="Nurse"), **ANA)
    play(sandbox, scene, replace(ACCOUNT, options={"reject_reason": "The position is filled"}))
    assert bodies == [{"reason": "The position is filled"}]


def test_no_move_is_made_for_a_person_with_two_active_applications():
    async def scene(connector, _):
        for application in applications:
            with pytest.raises(Rejected, match="two active applications"):
                await write(connector, Ref(Kind.APPLICATION, application), stage="interview")

    sandbox = new_sandbox()
    applications = [sandbox.apply(sandbox.add_job(title=title), **ANA) for title in ("Nurse", "Cook")]
    play(sandbox, scene)
    assert {arrival.method for arrival in sandbox.arrivals} == {"GET"}


def test_an_ended_application_is_not_moved_because_the_active_one_would_be():
    async def scene(connector, _):
        with pytest.raises(Rejected, match="cannot reopen"):
            await write(connector, Ref(Kind.APPLICATION, ended), stage="interview")
        await write(connector, Ref(Kind.APPLICATION, active), stage="offer")

    sandbox = new_sandbox()
    ended, active = (sandbox.apply(sandbox.add_job(title=title), **ANA) for title in ("Nurse", "Cook"))
    sandbox.move(ended, "rejected")
    play(sandbox, scene)
    stages = {key: row["stage"] for key, row in sandbox.snapshot()["application"].items()}
    assert stages == {ended: "rejected", active: "offer"}


def test_nobody_is_withdrawn_by_a_sync():
    async def scene(connector, _):
        with pytest.raises(Rejected, match="withdrawn"):
            await write(connector, Ref(Kind.APPLICATION, application), stage="withdrawn")

    sandbox = new_sandbox()
    application = sandbox.apply(sandbox.add_job(title="Nurse"), **ANA)
    play(sandbox, scene)
    assert {arrival.method for arrival in sandbox.arrivals} == {"GET"}


@pytest.mark.parametrize(
    ("present", "wanted", "account", "outcome"),
    [
        ("draft", "open", ACCOUNT, "open"),
        ("paused", "open", ACCOUNT, "open"),
        ("open", "paused", ACCOUNT, "paused"),
        ("open", "closed", ACCOUNT, "closed"),
        ("draft", "closed", UNPUBLISHED, "closed"),
        ("open", "paused", UNPUBLISHED, "paused"),
        ("draft", "open", UNPUBLISHED, "publish"),
        ("draft", "open", replace(ACCOUNT, options={"publish": "false"}), "publish"),
        ("closed", "open", ACCOUNT, "cannot be opened again"),
        ("closed", "paused", ACCOUNT, "cannot be opened again"),
        ("open", "draft", ACCOUNT, "no call"),
        ("draft", "paused", ACCOUNT, "Role is not open"),
    ],
)
def test_a_roles_status_is_written_by_its_own_call_or_refused(present, wanted, account, outcome):
    async def scene(connector, _):
        if outcome in {"open", "paused", "closed"}:
            told = await write(connector, Ref(Kind.JOB, job), status=wanted)
            assert told.fields["status"] == outcome
        else:
            with pytest.raises(Rejected, match=outcome):
                await write(connector, Ref(Kind.JOB, job), status=wanted)

    sandbox = new_sandbox()
    job = sandbox.add_job(title="Nurse", status=present)
    play(sandbox, scene, account)
    kept = sandbox.snapshot()["job"][job]["status"]
    assert kept == (outcome if outcome in {"open", "paused", "closed"} else present)


@pytest.mark.parametrize("answer", [{"status_code": 204}, {"json": {"role": {"status": "closed"}}}, {"json": {}}])
def test_a_close_may_answer_with_nothing(answer):
    def serve(request):
        role = {"role": {"id": 42, "status": "open"}}
        return (
            httpx.Response(**{"status_code": 200, **answer})
            if request.method == "DELETE"
            else httpx.Response(200, json=role)
        )

    async def scene(*_):
        client = httpx.AsyncClient(transport=httpx.MockTransport(serve))
        connector = WorkSignal(ACCOUNT, client, new_sandbox().clock)
        assert await write(connector, Ref(Kind.JOB, "42"), status="closed") is None

    play(new_sandbox(), scene)


def test_an_email_of_somebody_else_is_refused_and_nothing_is_adopted():
    async def scene(connector, _):
        with pytest.raises(Rejected, match="Email has already been taken"):
            await write(connector, Ref(Kind.CANDIDATE, bob), email=ANA["email"])

    sandbox = new_sandbox()
    job = sandbox.add_job(title="Nurse")
    sandbox.apply(job, **ANA)
    bob = sandbox.apply(job, **BOB).split(":")[0]
    play(sandbox, scene)


def test_a_phone_may_be_emptied():
    async def scene(connector, _):
        told = await write(connector, Ref(Kind.CANDIDATE, ana), phone=None)
        assert told.fields == {**ANA, "phone": None}

    sandbox = new_sandbox()
    ana = sandbox.apply(sandbox.add_job(title="Nurse"), **ANA, phone="+12025550100").split(":")[0]
    play(sandbox, scene)


def test_no_verb_publishes_posts_or_invites():
    async def scene(connector, _):
        await connector.create(Draft(Kind.JOB, {"title": "Cook"}), "key")
        await connector.create(Draft(Kind.APPLICATION, {}, {Kind.JOB: Parent(job)}, person=ANA), "key")
        for walk in FACTS.walks:
            await read_all(connector, walk)
        for stage in ("screening", "interview", "rejected"):
            (application,) = sandbox.snapshot()["application"]
            await write(connector, Ref(Kind.APPLICATION, application), stage=stage)

    sandbox = new_sandbox()
    job = sandbox.add_job(title="Nurse")
    play(sandbox, scene, UNPUBLISHED)
    assert {effect.action for effect in sandbox.effects} == {"create", "move"}
    assert sandbox.snapshot()["job"].keys() > {job}


# --- errors ---------------------------------------------------------------------------------------------------------


def test_a_spent_day_tells_how_long_it_lasts():
    async def scene(connector, _):
        await connector.check()
        with pytest.raises(RateLimited) as caught:
            await connector.check()
        assert caught.value.retry_after_s == 86_400 - START % 86_400

    play(new_sandbox(limits=(Limit(1, 86_400, fixed=True),)), scene)


def test_a_key_that_may_not_is_as_good_as_none():
    async def scene(*_):
        client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(403, json={})))
        with pytest.raises(AuthFailed):
            await WorkSignal(ACCOUNT, client, new_sandbox().clock).check()

    play(new_sandbox(), scene)


# --- webhooks -------------------------------------------------------------------------------------------------------


def connector_of(account=ACCOUNT):
    return WorkSignal(account, httpx.AsyncClient(), new_sandbox().clock)


def delivery(body, secret=SECRET, prefix=""):
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return Delivery(body, {"x-worksignal-signature": prefix + signature})


# https://worksignal.com/docs/webhooks: the only event whose body is printed
SCREENED = orjson.dumps(
    {
        "event": "voice_screen.completed",
        "occurred_at": "2026-04-13T14:32:00Z",
        "organization_id": 7,
        "data": {
            "voice_screen": {
                "id": 301,
                "status": "completed",
                "overall_score": 78,
                "candidate": {"id": 55, "name": "Ana Ruiz", "email": "ana@example.test"},
                "role": {"id": 42, "title": "Senior Backend Engineer"},
            }
        },
    }
)


def test_the_vendors_event_names_its_voice_screen_and_candidate():
    refs = (Ref(Kind.SCREENING, "301"), Ref(Kind.CANDIDATE, "55"))
    assert connector_of().verify(delivery(SCREENED)).refs == refs


@pytest.mark.parametrize(
    "data",
    [
        {"candidate": {"id": 55, "stage": "rejected"}},
        {"application": {"id": 901, "candidate": {"id": 55}}},
    ],
)
def test_each_event_names_the_one_candidate_whose_read_tells_all(data):
    body = orjson.dumps({"event": "made.up", "data": data})
    assert connector_of().verify(delivery(body)).refs == (Ref(Kind.CANDIDATE, "55"),)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"event": "x"}', b'{"event": "x", "data": {}}', b'{"event": "x", "data": 7}',
     b'{"event": "x", "data": {"candidate": []}}', b'{"event": "x", "data": {"candidate": {"id": "../1"}}}', b"\xff"],
)  # fmt: skip
def test_a_genuine_event_that_names_nobody_has_all_candidates_walked(body):
    notice = connector_of().verify(delivery(body))
    assert (notice.refs, notice.walks) == ((), ("candidates",))


def test_a_test_event_is_taken_and_changes_nothing():
    notice = connector_of().verify(delivery(b'{"event": "test", "data": {}}'))
    assert (notice.refs, notice.walks) == ((), ())


def test_both_secrets_are_good_while_they_change():
    connector = connector_of(replace(ACCOUNT, webhook_secrets=("old", "new")))
    assert connector.verify(delivery(SCREENED, "old"))
    assert connector.verify(delivery(SCREENED, "new", prefix="sha256="))
    assert connector.verify(delivery(SCREENED, SECRET)) is None


@pytest.mark.parametrize("at", range(64))
def test_a_signature_with_any_digit_changed_is_refused(at):
    good = delivery(SCREENED).headers["x-worksignal-signature"]
    changed = good[:at] + ("0" if good[at] != "0" else "1") + good[at + 1 :]
    assert connector_of().verify(Delivery(SCREENED, {"x-worksignal-signature": changed})) is None


@pytest.mark.parametrize("signature", ["", "sha256=", "é" * 64, "\udcff", "0" * 100_000])
def test_a_malformed_signature_is_refused(signature):
    assert connector_of().verify(Delivery(SCREENED, {"x-worksignal-signature": signature})) is None


@pytest.mark.parametrize("known", [{}, {"webhook_secrets": ()}])
def test_an_unsigned_delivery_is_never_genuine_whatever_is_configured(known):
    unsigned = Delivery(SCREENED, {}, "door")
    assert connector_of(replace(ACCOUNT, **known)).verify(unsigned) is None
    assert connector_of(replace(ACCOUNT, webhook_path_secret="door", **known)).verify(unsigned) is None


LISTENING = connector_of()


@examples(200)
@given(st.binary(max_size=300))
def test_any_genuine_bytes_get_a_verdict(body):
    assert LISTENING.verify(delivery(body)) is not None
