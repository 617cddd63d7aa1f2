"""The connector against the played Workable: each verb, each quirk of the lists, and who is told what when it fails."""

import base64
import hashlib
import hmac

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.workable import plugin
from connectors.workable.sandbox_rows import TECH_PIPELINE
from syncd.clock import SteppedClock
from syncd.connector import Account, Delivery, Finds, Notice, Pipelines, Webhooks
from syncd.errors import AuthFailed, Gone, OutcomeUnknown, Rejected, Stale, Taken, Unavailable
from syncd.model import Cursor, Draft, Kind, Parent, Record, Ref
from syncd.sandbox import Fault
from tests.workable.account import ADA, BASE, START, TOKEN, play


def application(row):
    return Ref(Kind.APPLICATION, row)


def candidate(row):
    return Ref(Kind.CANDIDATE, row)


def told(body, status=200):
    return lambda request: httpx.Response(status, content=orjson.dumps(body))


def on(method, part, answer):
    """Answer requests of a method whose path has a part; the others reach the sandbox."""
    return lambda request: answer(request) if request.method == method and part in request.url.path else None


def in_turn(bodies):
    served = iter(bodies)

    def answer(request):
        return told(next(served))(request)

    return answer


# --- walks


def test_a_walk_since_a_time_asks_for_what_changed_then():
    async def scene(s):
        old = s.sandbox.apply(s.job, **ADA)
        await s.clock.sleep_until(START + 60)
        new = s.sandbox.apply(s.job, name="Bea Test", email="bea@example.com")
        assert {ref.id for ref in await s.told("candidates", Cursor(since=START + 60))} == {new}
        assert s.wire.requests[-1].url.params["updated_after"] == "20260921T141425Z"
        assert {ref.id for ref in await s.told("candidates", Cursor(since=START))} == {old, new}
        assert await s.told("jobs", Cursor(since=START + 60)) == {}

    play(scene)


@pytest.mark.parametrize("keeps", [True, False])
def test_links_may_lose_the_filters_and_lose_no_row(keeps):
    async def scene(s):
        s.sandbox.fill(jobs=2, people=230, again=0.0)
        await s.clock.sleep_until(START + 3600)
        rows = sorted(s.sandbox.snapshot()["candidate"])
        changed = {candidate(row) for row in rows[::2]}
        for ref in changed:
            s.sandbox.comment(ref.id)
        assert changed <= set(await s.told("candidates", Cursor(since=START + 3600)))

    play(scene, keeps_filters=keeps)


def test_a_page_knows_when_it_was_served_and_is_read_when_asked():
    async def scene(s):
        s.sandbox.apply(s.job, **ADA)
        (page,) = await s.pages("candidates")
        assert page.served_at == START
        assert "records" not in vars(page)
        assert [record.ref.kind for record in page.records] == [Kind.CANDIDATE, Kind.APPLICATION]

    play(scene)


def test_an_empty_account_is_one_page_without_a_next():
    async def scene(s):
        (page,) = await s.pages("candidates")
        assert page.records == ()
        assert page.next is None

    play(scene)


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example.test/spi/v3/candidates?since_id=1",
        "http://acme.workable.com/spi/v3/candidates?since_id=1",
        "https://acme.workable.com:8443/spi/v3/candidates?since_id=1",
        "https://acme.workable.com@elsewhere.example.test/spi/v3/candidates",
        "https://token:x@acme.workable.com/spi/v3/candidates",
        "https://acme.workable.com/other/place",
        "https://acme.workable.com/spi/v3/../../other",
        "https://acme.workable.com.elsewhere.example.test/spi/v3/candidates",
        "//elsewhere.example.test/spi/v3/candidates",
        "/spi/v3/candidates?since_id=1",
        "candidates",
        "https://[::1",
        "javascript:alert(1)",
    ],
)
def test_the_token_goes_nowhere_but_to_the_account(link):
    async def scene(s):
        body = {"candidates": [{"id": "27280001", "email": "x@example.com"}], "paging": {"next": link}}
        s.wire.instead = told(body)
        with pytest.raises(Unavailable, match="another place"):
            await s.pages("candidates")
        with pytest.raises(Unavailable, match="another place"):
            await s.pages("candidates", Cursor(token=link))
        assert {(request.url.scheme, request.url.host) for request in s.wire.requests} == {
            ("https", "acme.workable.com")
        }
        assert len(s.wire.requests) == 1

    play(scene)


def page_of(*ids, since=None):
    rows = [{"id": id_, "email": "x@example.com", "disqualified": False, "stage": "Applied"} for id_ in ids]
    link = {"paging": {"next": f"{BASE}/spi/v3/candidates?since_id={since}"}} if since else {}
    return {"candidates": rows, **link}


@pytest.mark.parametrize(
    "pages",
    [
        [page_of("27280001", "27280002", since="27280003"), page_of("27280001", "27280002", since="27280009")],
        [page_of("27280001", since="27280002"), page_of("d686952", since="27280009")],
        [page_of("27280001", since="27280002"), page_of(since="27280009")],
        [page_of("27280001", "27280005", since="27280002"), page_of("27280002", "27280003", since="27280009")],
        [page_of("27280001", "27280002", since="27280003"), page_of("27280001", "27280002")],
    ],
)
def test_a_list_that_repeats_itself_has_no_end(pages):
    async def scene(s):
        s.wire.instead = in_turn(pages)
        with pytest.raises(Unavailable, match="repeats"):
            await s.pages("candidates")

    play(scene)


def test_filtered_rows_may_come_in_any_order_but_not_again():
    async def scene(s):
        s.wire.instead = in_turn([page_of("27280005", since="27280002"), page_of("27280002"), page_of("27280001")])
        assert len(await s.told("candidates", Cursor(since=START))) == 2
        s.wire.instead = in_turn([page_of("27280005", since="27280002"), page_of("27280005", since="27280003")])
        with pytest.raises(Unavailable, match="repeats"):
            await s.pages("candidates", Cursor(since=START))

    play(scene)


def test_ids_that_grow_by_a_digit_are_no_repetition():
    async def scene(s):
        s.wire.instead = in_turn([page_of("d686952", "d686953", since="27270275"), page_of("27270275")])
        assert len(await s.told("candidates")) == 3

    play(scene)


def test_a_row_in_another_shape_is_told_when_the_page_is_read():
    async def scene(s):
        s.wire.instead = told({"candidates": [{"email": "x@example.com"}]})
        (page,) = await s.pages("candidates")
        with pytest.raises(Unavailable):
            _ = page.records

    play(scene)


# --- get


def test_a_get_of_a_row_tells_person_and_application_the_asked_one_first():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA, city="Lyon")
        as_person = await s.connector.get(candidate(row))
        as_application = await s.connector.get(application(row))
        assert [record.ref for record in as_person] == [candidate(row), application(row)]
        assert as_application == as_person[::-1]
        assert as_person[0].fields["location.city"] == "Lyon"

    play(scene)


def test_only_a_get_tells_which_flag_lies_over_the_stage():
    async def scene(s):
        rejected = s.sandbox.apply(s.job, **ADA, stage="!disqualified")
        withdrawn = s.sandbox.apply(s.job, name="Bea Test", email="bea@example.com", stage="!withdrew")
        listed = await s.told("candidates")
        assert "stage" not in {*listed[application(rejected)].fields, *listed[application(withdrawn)].fields}
        assert (await s.connector.get(application(rejected)))[0].fields["stage"] == "!disqualified"
        assert (await s.connector.get(application(withdrawn)))[0].fields["stage"] == "!withdrew"

    play(scene)


def test_what_is_deleted_or_nonsense_is_gone():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        s.sandbox.delete(row)
        refs = [
            candidate(row),
            application("zz"),
            Ref(Kind.JOB, "NOPE"),
            candidate(""),
            Ref(Kind.JOB, ".."),
            candidate("a/b"),
        ]
        for ref in [*refs, Ref(Kind.SCREENING, "1")]:
            assert await s.connector.get(ref) == ()

    play(scene)


def test_an_answer_about_another_record_is_no_answer():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        s.wire.instead = told({"candidate": {"id": "27280001", "email": "x@example.com"}})
        with pytest.raises(Unavailable):
            await s.connector.get(candidate(row))
        s.wire.instead = told({"shortcode": "OTHERJOB01", "id": "2ba8f2"})
        with pytest.raises(Unavailable):
            await s.connector.get(Ref(Kind.JOB, s.job))

    play(scene)


def test_a_job_tells_its_text_and_that_it_is_a_sample():
    async def scene(s):
        sample = s.sandbox.add_job(title="Nurse", sample=True, confidential=True, description="<p>Care</p>")
        record = (await s.connector.get(Ref(Kind.JOB, sample)))[0]
        assert record.fields["description"] == "<p>Care</p>"
        assert record.traits == {"sample", "confidential"}
        assert (await s.connector.get(Ref(Kind.JOB, s.job)))[0].traits == frozenset()

    play(scene)


def test_whether_a_job_is_a_sample_is_asked_once_and_read_along_by_a_walk():
    async def scene(s):
        await s.connector.get(Ref(Kind.JOB, s.job))
        assert s.wire.paths == [f"GET /spi/v3/jobs/{s.job}", "GET /spi/v3/jobs"]
        await s.connector.get(Ref(Kind.JOB, s.job))
        assert len(s.wire.paths) == 3
        other = s.sandbox.add_job(title="Nurse", sample=True)
        await s.pages("jobs")
        assert "sample" in (await s.connector.get(Ref(Kind.JOB, other)))[0].traits
        assert len(s.wire.paths) == 5

    play(scene)


def test_a_connection_that_names_no_member_reads_nothing_along():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        await s.connector.get(application(row))
        assert s.wire.paths == [f"GET /spi/v3/candidates/{row}"]

    play(scene, member=None)


def test_a_read_is_told_though_what_is_read_along_fails():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        s.wire.instead = on("GET", "/members", told({"error": "Forbidden"}, 403))
        assert (await s.connector.get(application(row)))[0].fields["stage"] == "Applied"

    play(scene)


# --- check


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_a_token_of_another_account_fails_the_check(status):
    async def scene(s):
        s.wire.instead = told({"error": "Request subdomain does not match account subdomain"}, status)
        with pytest.raises(AuthFailed, match="account subdomain"):
            await s.connector.check()

    play(scene)


# --- moves


def test_a_move_names_the_stage_and_sends_the_slug_of_that_jobs_pipeline():
    async def scene(s):
        own = s.sandbox.add_job(title="Engineer", pipeline=TECH_PIPELINE)
        row = s.sandbox.apply(own, **ADA)
        assert await s.move(row, "Tech Chat") is None
        assert s.stage(row) == "Tech Chat"
        sent = orjson.loads(s.wire.requests[-1].content)
        assert sent["target_stage"] == "tech-chat"

    play(scene)


def test_a_stage_that_the_jobs_pipeline_lacks_is_refused_before_a_write():
    async def scene(s):
        s.sandbox.add_job(title="Engineer", pipeline=TECH_PIPELINE)
        row = s.sandbox.apply(s.job, **ADA)
        with pytest.raises(Rejected, match="no stage 'Tech Chat'"):
            await s.move(row, "Tech Chat")
        assert not [path for path in s.wire.paths if path.startswith("POST")]

    play(scene)


@pytest.mark.parametrize(("word", "withdrew"), [("!disqualified", False), ("!withdrew", True)])
def test_the_flags_words_disqualify(word, withdrew):
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        await s.move(row, word)
        assert s.stage(row) == word
        assert s.wire.paths[-1].endswith("/disqualify")
        assert orjson.loads(s.wire.requests[-1].content)["withdrew"] is withdrew

    play(scene)


def test_the_one_flag_becomes_the_other_with_one_request():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA, stage="!withdrew")
        await s.move(row, "!disqualified")
        assert s.stage(row) == "!disqualified"

    play(scene)


def test_leaving_the_flag_is_a_revert_and_then_a_move():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA, stage="!disqualified")
        assert await s.move(row, "Offer") is None
        assert s.stage(row) == "Applied"
        await s.move(row, "Offer")
        assert s.stage(row) == "Offer"
        assert [path.rpartition("/")[2] for path in s.wire.paths if path.startswith("POST")] == ["revert", "move"]

    play(scene)


def test_a_view_that_does_not_tell_the_stage_is_read_again_first():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA, stage="!disqualified")
        listed = (await s.told("candidates"))[application(row)]
        with pytest.raises(Stale):
            await s.connector.update(listed, {"stage": "Offer"})

    play(scene)


@pytest.mark.parametrize("member", ["recruiter@acme.example", "RECRUITER@acme.example", f"{2_044_007 + 1234:x}"])
def test_moves_are_made_in_the_name_of_the_member_of_the_config(member):
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        await s.move(row, "Offer")
        activities = (await s.client.get(f"/candidates/{row}/activities")).json()["activities"]
        assert activities[-1]["member"]["name"] == "Rita Recruiter"
        await s.move(row, "Hired")
        assert s.wire.paths.count("GET /spi/v3/members") == 1

    play(scene, member=member)


@pytest.mark.parametrize("member", [None, "nobody@acme.example", "former@acme.example", "ffff"])
def test_without_an_active_member_no_write_goes_out_and_the_config_key_is_named(member):
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        with pytest.raises(Rejected, match="config key member") as caught:
            await s.move(row, "Offer")
        assert not member or member not in str(caught.value)
        assert not [path for path in s.wire.paths if path.startswith("POST")]

    play(scene, member=member)


def test_members_and_pipelines_are_kept_for_an_hour():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)

        async def looked_up():
            before = len(s.wire.requests)
            await s.connector.get(application(row))
            return len(s.wire.requests) - before - 1

        assert await looked_up() == 2
        await s.clock.sleep_until(START + 3599)
        assert await looked_up() == 0
        await s.clock.sleep_until(START + 3601)
        assert await looked_up() == 2

    play(scene)


def test_a_refused_move_lets_the_next_one_look_again():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        await s.move(row, "Offer")
        for number, member in s.sandbox.members.items():
            if member.email == "ops@acme.example":
                del s.sandbox.members[number]
                break
        with pytest.raises(Gone):
            await s.move(row, "Hired")
        with pytest.raises(Rejected, match="config key member"):
            await s.move(row, "Hired")

    play(scene)


def test_a_move_that_takes_a_while_is_told_by_a_later_read():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        assert await s.move(row, "Offer") is None
        assert (await s.connector.get(application(row)))[0].fields["stage"] == "Applied"
        await s.clock.sleep_until(START + 3)
        assert (await s.connector.get(application(row)))[0].fields["stage"] == "Offer"

    play(scene, move_lag_s=3.0)


def test_an_archived_job_refuses_the_write_and_not_the_token():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        s.sandbox.edit("job", s.job, state="archived")
        with pytest.raises(Rejected, match="archived"):
            await s.move(row, "Offer")
        person = (await s.connector.get(candidate(row)))[0]
        with pytest.raises(Rejected, match="archived"):
            await s.connector.update(person, {"phone": "+12025550102"})
        with pytest.raises(Rejected, match="archived"):
            await s.connector.create(s.draft(email="bea@example.com"), "key")

    play(scene)


def test_jobs_are_not_written():
    async def scene(s):
        job = (await s.connector.get(Ref(Kind.JOB, s.job)))[0]
        with pytest.raises(Rejected, match="title of a job"):
            await s.connector.update(job, {"title": "Other"})
        with pytest.raises(Rejected):
            await s.connector.create(Draft(Kind.JOB, {"title": "Other"}), "key")
        with pytest.raises(Rejected):
            await s.connector.create(Draft(Kind.CANDIDATE, dict(ADA)), "key")

    play(scene)


def test_the_stages_of_a_job_and_of_the_account():
    async def scene(s):
        own = s.sandbox.add_job(title="Engineer", pipeline=TECH_PIPELINE)
        assert await s.connector.stages(Ref(Kind.JOB, own)) == tuple(name for name, _ in TECH_PIPELINE)
        assert "Tech Chat" not in await s.connector.stages(Ref(Kind.JOB, s.job))
        everywhere = await s.connector.stages(None)
        assert set(everywhere) == {name for name, _ in TECH_PIPELINE}
        assert len(everywhere) == len(set(everywhere))
        with pytest.raises(Gone):
            await s.connector.stages(Ref(Kind.JOB, "NOSUCHJOB1"))

    play(scene)


# --- people


def test_a_patch_tells_the_person_as_changed():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        person = (await s.connector.get(candidate(row)))[0]
        told = await s.connector.update(person, {"phone": None, "headline": "Glassblower"})
        assert told == (await s.connector.get(candidate(row)))[0]
        assert (told.fields["phone"], told.fields["headline"]) == (None, "Glassblower")

    play(scene)


def test_a_new_full_name_keeps_the_present_last_name():
    async def scene(s):
        row = s.sandbox.apply(s.job, firstname="Ada", lastname="van Test", email="ada@example.com")
        person = (await s.connector.get(candidate(row)))[0]
        told = await s.connector.update(person, {"name": "Eva van Test"})
        assert (told.fields["firstname"], told.fields["lastname"]) == ("Eva", "van Test")

    play(scene)


def test_a_mail_that_another_row_of_the_job_has_is_refused_with_the_field_named():
    async def scene(s):
        s.sandbox.apply(s.job, **ADA)
        row = s.sandbox.apply(s.job, name="Bea Test", email="bea@example.com")
        person = (await s.connector.get(candidate(row)))[0]
        with pytest.raises(Rejected, match="fields: email") as caught:
            await s.connector.update(person, {"email": ADA["email"]})
        assert "ada" not in str(caught.value).casefold()

    play(scene)


def test_a_patch_of_nothing_that_workable_takes_is_refused():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        person = (await s.connector.get(candidate(row)))[0]
        with pytest.raises(Rejected, match=r"location\.city"):
            await s.connector.update(person, {"location.city": "Lyon"})

    play(scene)


def test_a_patch_answered_with_another_record_is_unknown():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        person = (await s.connector.get(candidate(row)))[0]
        s.wire.instead = told({"candidate": {"id": "27280001", "email": "x@example.com"}})
        with pytest.raises(OutcomeUnknown):
            await s.connector.update(person, {"phone": "+12025550102"})

    play(scene)


# --- creates


def test_a_create_puts_the_person_in_the_right_stage_and_mails_nobody():
    async def scene(s):
        born = await s.connector.create(s.draft("Interview"), "key")
        assert [record.ref.kind for record in born] == [Kind.APPLICATION, Kind.CANDIDATE]
        assert born[0].fields["stage"] == "Interview"
        assert born[0].parents == {Kind.JOB: s.job, Kind.CANDIDATE: born[0].ref.id}
        assert "mail" not in {effect.action for effect in s.sandbox.effects}

    play(scene)


def test_a_create_without_a_stage_is_sourced():
    async def scene(s):
        draft = Draft(Kind.APPLICATION, {}, {Kind.JOB: Parent(s.job)}, person=ADA)
        born = await s.connector.create(draft, "key")
        assert born[0].fields["stage"] == "Sourced"

    play(scene)


def test_a_rejected_person_is_created_disqualified_and_a_withdrawn_one_not_at_all():
    async def scene(s):
        born = await s.connector.create(s.draft("!disqualified"), "key")
        assert born[0].fields["stage"] == "!disqualified"
        with pytest.raises(Rejected, match="by hand"):
            await s.connector.create(s.draft("!withdrew", email="bea@example.com"), "key")
        assert len(s.sandbox.rows) == 1

    play(scene)


@pytest.mark.parametrize("status", [400, 422])
def test_who_is_on_the_job_already_is_taken(status):
    async def scene(s):
        s.sandbox.apply(s.job, name="Ada Test", email="ADA@example.com")
        with pytest.raises(Taken) as caught:
            await s.connector.create(s.draft(), "key")
        assert "ada" not in str(caught.value).casefold()
        errors = {"error": "Validation failed: Email candidate already exists"}
        body = {**errors, "validation_errors": {"email": ["candidate already exists"]}}
        s.wire.instead = on("POST", "/candidates", told(body, status))
        with pytest.raises(Taken):
            await s.connector.create(s.draft(email="bea@example.com"), "key")

    play(scene)


def test_the_same_person_on_another_job_is_another_row():
    async def scene(s):
        other = s.sandbox.add_job(title="Nurse")
        first = await s.connector.create(s.draft(), "key")
        second = await s.connector.create(s.draft(job=other), "key")
        assert first[0].ref != second[0].ref

    play(scene)


def test_a_bad_mail_is_rejected_with_the_field_named():
    async def scene(s):
        with pytest.raises(Rejected, match="fields: email"):
            await s.connector.create(s.draft(email="nonsense"), "key")

    play(scene)


def test_a_create_on_an_unknown_job_is_gone():
    async def scene(s):
        with pytest.raises(Gone):
            await s.connector.create(s.draft(job="NOSUCHJOB1"), "key")

    play(scene)


@pytest.mark.parametrize(
    "body",
    [
        {"status": "created"},
        {"status": "created", "candidate": {"id": None}},
        {"status": "created", "candidate": {"id": "27280001"}},
        {"status": "created", "candidate": {"id": "27280001", "job": {"shortcode": "OTHERJOB01"}}},
    ],
)
def test_a_create_whose_answer_lacks_what_it_must_have_is_unknown(body):
    async def scene(s):
        s.wire.instead = on("POST", "/candidates", told(body, 201))
        with pytest.raises(OutcomeUnknown):
            await s.connector.create(s.draft(), "key")

    play(scene)


# --- looking a create up


def test_a_lost_create_is_found_by_mail_and_job_alone():
    async def scene(s):
        other = s.sandbox.add_job(title="Nurse")
        s.sandbox.apply(other, **ADA)
        s.sandbox.faults = lambda method, path: Fault.LOST_AFTER if method == "POST" else None
        with pytest.raises(OutcomeUnknown):
            await s.connector.create(s.draft("Offer"), "key")
        found = await s.connector.find(s.draft("Offer", email="ADA@Example.com"), START)
        assert [record.ref.kind for record in found] == [Kind.APPLICATION, Kind.CANDIDATE]
        assert found[0].parents[Kind.JOB] == s.job

    play(scene)


def test_filters_that_are_ignored_find_nobody_else():
    async def scene(s):
        s.sandbox.fill(jobs=2, people=150)
        s.sandbox.apply(s.job, name="Ada Prefix", email="ada@example.com.test")
        assert await s.connector.find(s.draft(), START) == ()
        row = s.sandbox.apply(s.job, **ADA)
        assert {record.ref.id for record in await s.connector.find(s.draft(), START)} == {row}

    play(scene, ignores_filters=True)


def test_there_is_nobody_to_find_without_a_mail_or_on_an_unknown_job():
    async def scene(s):
        assert await s.connector.find(s.draft(email=None), START) == ()
        assert await s.connector.find(s.draft(job="NOSUCHJOB1"), START) == ()
        assert await s.connector.find(Draft(Kind.CANDIDATE, dict(ADA)), START) == ()

    play(scene)


def test_the_connector_has_its_abilities():
    async def scene(s):
        for ability in (Finds, Pipelines, Webhooks):
            assert isinstance(s.connector, ability)

    play(scene)


# --- webhooks

EVENT = orjson.dumps(
    {"event_type": "candidate_moved", "id": "delivery-1", "resource_type": "candidate", "data": {"id": "27280001"}}
)
ROW_REFS = (Ref(Kind.CANDIDATE, "27280001"), Ref(Kind.APPLICATION, "27280001"))
OLD = "the-token-before"
NOBODY = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(500)))


def judge(body, signature, event="candidate_moved", secrets=(OLD,)):
    account = Account("acme", BASE, TOKEN, webhook_secrets=secrets)
    connector = plugin.connect(account, NOBODY, SteppedClock(START))
    headers = {} if signature is None else {"x-workable-signature": signature}
    return connector.verify(Delivery(body, headers, event))


def digest(body, key=TOKEN):
    return hmac.new(key.encode(), body, hashlib.sha256)


@pytest.mark.parametrize(
    "signature",
    [
        digest(EVENT).hexdigest(),
        digest(EVENT).hexdigest().upper(),
        base64.b64encode(digest(EVENT).digest()).decode(),
        digest(EVENT, OLD).hexdigest(),
    ],
)
def test_a_genuine_delivery_names_both_records_of_its_row(signature):
    assert judge(EVENT, signature) == Notice(ROW_REFS, "delivery-1")


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "0" * 64,
        digest(EVENT, "another-key").hexdigest(),
        digest(EVENT, "").hexdigest(),
        digest(EVENT).hexdigest()[:-1],
        digest(EVENT).hexdigest() + "0",
        "sha256=" + digest(EVENT).hexdigest(),
        digest(b"").hexdigest(),
        "é" * 64,
        "\ud800",
    ],
)
def test_anything_else_is_not_genuine(signature):
    assert judge(EVENT, signature) is None


def test_an_empty_secret_signs_nothing():
    assert judge(EVENT, digest(EVENT, "").hexdigest(), secrets=("",)) is None


@given(st.integers(0, 63), st.integers(1, 127))
def test_a_signature_with_any_letter_changed_is_refused(at, by):
    letters = list(digest(EVENT).hexdigest())
    letters[at] = chr(ord(letters[at]) ^ by)
    assert judge(EVENT, "".join(letters)) is None


@settings(deadline=None)
@given(st.binary(max_size=300), st.text(max_size=20))
def test_any_signed_bytes_say_where_to_look(body, event):
    notice = judge(body, digest(body).hexdigest(), event)
    assert isinstance(notice, Notice)


@pytest.mark.parametrize(
    ("event", "notice"),
    [
        ({"event_type": "candidate_deleted", "id": "d2", "data": {"id": "27280001"}}, Notice(ROW_REFS, "d2")),
        ({"event_type": "candidate_created", "data": {"id": "27280001"}}, Notice(ROW_REFS, None)),
        ({"id": "d3", "data": {"id": "27280001"}}, Notice(ROW_REFS, "d3")),
        ({"event_type": "candidate_moved", "id": "d4", "data": {}}, Notice((), "d4", ("candidates",))),
        ({"event_type": "candidate_moved", "id": "d5", "data": {"id": 7}}, Notice((), "d5", ("candidates",))),
        ({"event_type": "job_deleted", "id": "d6", "data": {"shortcode": "X1"}}, Notice((Ref(Kind.JOB, "X1"),), "d6")),
        ({"event_type": "job_deleted", "id": "d7", "data": {"id": "2ba8f2"}}, Notice((), "d7", ("jobs",))),
        ({"event_type": "employee_updated", "id": "d8", "data": {"id": "5"}}, Notice((), "d8")),
        ([], Notice(walks=("jobs", "candidates"))),
        ({"event_type": "candidate_moved", "data": []}, Notice((), None, ("candidates",))),
        ({"event_type": "candidate_moved", "data": "x"}, Notice(walks=("jobs", "candidates"))),
    ],
)
def test_a_genuine_event_says_what_to_look_at(event, notice):
    body = orjson.dumps(event)
    assert judge(body, digest(body).hexdigest()) == notice


def test_an_update_of_a_stage_by_a_record_of_no_stage_is_stale_whatever_the_word():
    async def scene(s):
        bare = Record(application("27280001"), {}, {Kind.JOB: s.job, Kind.CANDIDATE: "27280001"})
        for word in ("Offer", "!disqualified"):
            with pytest.raises(Stale):
                await s.connector.update(bare, {"stage": word})

    play(scene)
