"""The played Workable is as honest as its documentation: each quirk that the connector must live with."""

import asyncio
import hashlib
import hmac
from itertools import pairwise
from types import SimpleNamespace

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from connectors.workable.sandbox_rows import TECH_PIPELINE, PlayedMember, hexed, located, number_of
from syncd.connector import Delivery
from tests.workable.account import ADA, BASE, START, TOKEN, play

OPS = hexed(2_044_001)
FORMER = hexed(2_044_019)
DETAIL_KEYS = [
    *("id", "name", "firstname", "lastname", "headline", "image_url", "account", "job", "stage", "stage_kind"),
    *("disqualified", "disqualified_at", "withdrew", "anonymized", "disqualification_reason", "hired_at"),
    *("moved_to_offer_at", "sourced", "profile_url", "address", "phone", "email", "outbound_mailbox", "domain"),
    *("outlet", "common_source", "common_source_category", "uploader_id", "created_at", "updated_at", "cover_letter"),
    *("summary", "education_entries", "experience_entries", "skills", "answers", "resume_url", "tags", "location"),
    "originating_candidate_id",
]
JOB_KEYS_AT_THE_END = [
    *("updated_at", "full_description", "description", "requirements", "benefits", "employment_type", "industry"),
    *("function", "experience", "education", "keywords", "salary"),
]
NEW = {"sourced": True, "candidate": ADA}


async def walk(client, path):
    """The pages of a list along its own links."""
    pages = [(await client.get(path)).json()]
    while "paging" in pages[-1]:
        pages.append((await client.get(pages[-1]["paging"]["next"])).json())
    return pages


# --- who may ask, and how errors are worded


def test_a_bad_token_draws_the_nested_401_of_the_live_system():
    async def scene(s):
        for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": ""}):
            answer = await s.client.get("/jobs", headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"]["error"]["error"]["name"] == "invalid_token"
            assert not [name for name in answer.headers if name.startswith("x-rate")]

    play(scene)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs/NOSUCHJOB1"),
        ("GET", "/jobs/NOSUCHJOB1/stages"),
        ("GET", "/candidates/3fffffff"),
        ("GET", "/candidates/not-hex"),
        ("GET", "/candidates?shortcode=NOSUCHJOB1"),
        ("GET", "/nowhere"),
        ("DELETE", "/jobs"),
        ("PATCH", "/candidates/3fffffff"),
        ("DELETE", "/subscriptions/1"),
    ],
)
def test_the_unknown_is_not_found(method, path):
    async def scene(s):
        answer = await s.client.request(method, path, json={})
        assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})

    play(scene)


# --- the limit


async def burst(s, times):
    """Ask at each of the times (seconds after the next full ten seconds); the statuses."""
    begin = START - START % 10 + 10
    statuses = []
    for at in times:
        await s.clock.sleep_until(begin + at)
        statuses.append((await s.client.get("/stages")).status_code)
    return statuses


@pytest.mark.parametrize(
    ("window", "over_the_edge", "rolling"),
    [
        ("fixed", [200] * 20, [200] * 5),
        ("rolling", [200] * 10 + [429] * 10, [200] * 5),
        ("both", [200] * 10 + [429] * 10, [200] * 5),
    ],
)
def test_the_window_is_aligned_to_the_epoch_or_rolling_by_switch(window, over_the_edge, rolling):
    async def scene(s):
        assert await burst(s, [9.0] * 10 + [10.5] * 10) == over_the_edge
        assert await burst(s, [30.0] * 5) == rolling

    play(scene, limits=None, window=window)


def test_the_strict_default_holds_both_windows_at_once():
    async def scene(s):
        assert await burst(s, [5.0] * 11) == [200] * 10 + [429]
        assert await burst(s, [14.9]) == [429]
        assert await burst(s, [15.0] * 10) == [200] * 10
        assert await burst(s, [20.0]) == [429]
        taken = [arrival.at for arrival in s.sandbox.arrivals if arrival.status != 429]
        for at in taken:
            assert sum(at - 10 < other <= at for other in taken) <= 10
            assert sum(other // 10 == at // 10 for other in taken) <= 10

    play(scene, limits=None)


def test_good_answers_tell_the_limit_as_recorded_and_errors_do_not():
    async def scene(s):
        good = [await s.client.get("/jobs") for _ in range(3)]
        assert [answer.headers["x-rate-limit-remaining"] for answer in good] == ["9", "8", "7"]
        assert {answer.headers["x-rate-limit-limit"] for answer in good} == {"10"}
        assert {answer.headers["x-rate-limit-reset"] for answer in good} == {str(int(START) + 10)}
        assert "x-rate-limit-limit" not in (await s.client.get("/jobs/NOPE")).headers
        refused = [await s.client.get("/jobs") for _ in range(8)][-1]
        assert refused.status_code == 429
        assert isinstance(refused.json()["error"], str)
        assert "retry-after" not in refused.headers

    play(scene, limits=None)


def test_retry_after_comes_by_switch():
    async def scene(s):
        answers = [await s.client.get("/jobs") for _ in range(11)]
        assert int(answers[-1].headers["retry-after"]) >= 5

    play(scene, limits=None, retry_after=True)


# --- lists


def test_the_last_page_has_no_paging_and_since_id_is_inclusive():
    async def scene(s):
        s.sandbox.fill(jobs=2, people=120, again=0.0)
        pages = await walk(s.client, "/candidates")
        assert [len(page["candidates"]) for page in pages] == [50, 50, 20]
        assert list(pages[-1]) == ["candidates"]
        for before, after in pairwise(pages):
            link = httpx.URL(before["paging"]["next"])
            assert (link.scheme, link.host) == ("https", "acme.workable.com")
            assert link.params["limit"] == "50"
            assert link.params["since_id"] == after["candidates"][0]["id"]
        ids = [row["id"] for page in pages for row in page["candidates"]]
        assert len(set(ids)) == 120
        again = (await s.client.get("/candidates", params={"since_id": ids[7], "limit": 1})).json()
        assert again["candidates"][0]["id"] == ids[7]

    play(scene)


def test_ids_go_on_in_order_when_they_grow_a_digit():
    async def scene(s):
        s.sandbox.next_row = 0xFFFFFFF - 1234 - 1
        s.sandbox.fill(jobs=1, people=5, again=0.0)
        pages = await walk(s.client, "/candidates?limit=2")
        ids = [row["id"] for page in pages for row in page["candidates"]]
        assert {len(id_) for id_ in ids} == {7, 8}
        assert ids != sorted(ids)
        assert ids == sorted(ids, key=number_of)

    play(scene)


@pytest.mark.parametrize(("limit", "rows"), [("", 50), ("100", 100), ("500", 100), ("0", 1), ("x", 50)])
def test_a_page_has_fifty_rows_or_up_to_a_hundred(limit, rows):
    async def scene(s):
        s.sandbox.fill(jobs=1, people=110, again=0.0)
        answer = (await s.client.get("/candidates", params={"limit": limit})).json()
        assert len(answer["candidates"]) == rows

    play(scene)


def test_a_walk_looks_at_each_row_a_few_times_however_many_pages_there_are():
    class Counted(dict):
        looks = 0

        def __getitem__(self, key):
            self.looks += 1
            return super().__getitem__(key)

    async def scene(s):
        s.sandbox.fill(jobs=1, people=2000, again=0.0)
        for path in ("/candidates?limit=10", f"/candidates?limit=10&updated_after={int(START)}"):
            s.sandbox.rows = Counted(s.sandbox.rows)
            assert len(await walk(s.client, path)) == 200
            assert s.sandbox.rows.looks < 3 * 2000

    play(scene)


def test_a_jobs_filter_is_followed_along_the_jobs_own_path():
    async def scene(s):
        s.sandbox.fill(jobs=1, people=3, again=0.0)
        for number in range(3):
            s.sandbox.apply(s.job, name="Ada Test", email=f"ada{number}@example.com")
        pages = await walk(s.client, f"/candidates?shortcode={s.job}&limit=2")
        assert httpx.URL(pages[0]["paging"]["next"]).path == f"/spi/v3/jobs/{s.job}/candidates"
        assert [len(page["candidates"]) for page in pages] == [2, 1]

    play(scene)


def test_candidates_are_filtered_by_mail_job_stage_and_times():
    async def scene(s):
        own = s.sandbox.add_job(title="Engineer", pipeline=TECH_PIPELINE)
        one = s.sandbox.apply(s.job, **ADA)
        await s.clock.sleep_until(START + 100)
        two = s.sandbox.apply(own, **ADA, stage="Tech Chat")

        async def ids(**query):
            answer = await s.client.get("/candidates", params=query)
            assert answer.status_code == 200
            return [row["id"] for row in answer.json()["candidates"]]

        assert await ids(email="ADA@example.com") == [one, two]
        assert await ids(email="ada@example") == []
        assert await ids(email="ada@example.com", shortcode=own) == [two]
        assert await ids(stage="tech-chat") == [two]
        assert await ids(stage="Tech Chat") == []
        assert await ids(created_after=str(int(START) + 100)) == [two]
        s.sandbox.comment(one)
        assert await ids(updated_after="20260921T141505Z") == [one, two]
        assert await ids(created_after="2026-09-21T14:15:06Z") == []
        assert await ids(max_id=one) == [one]
        assert await ids(include_fields="summary") == [one, two]
        assert (await s.client.get("/candidates", params={"updated_after": "soon"})).status_code == 422
        assert (await s.client.get("/candidates", params={"since_id": "zz"})).status_code == 422

    play(scene)


@pytest.mark.parametrize("strict", [True, False])
def test_whether_a_filters_own_second_counts_is_a_switch(strict):
    async def scene(s):
        s.sandbox.apply(s.job, **ADA)
        rows = (await s.client.get("/candidates", params={"updated_after": str(int(START))})).json()["candidates"]
        assert len(rows) == (0 if strict else 1)

    play(scene, strict_after=strict)


def test_a_list_row_is_reduced_and_names_the_stage():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA, stage="Phone Screen", city="Lyon")
        listed = (await s.client.get("/candidates")).json()["candidates"][0]
        detail = (await s.client.get(f"/candidates/{row}")).json()["candidate"]
        assert listed["stage"] == detail["stage"] == "Phone Screen"
        assert listed["stage_kind"] == "phone-screen"
        assert set(detail) - set(listed) >= {"withdrew", "disqualified_at", "location", "summary", "skills", "tags"}
        assert set(listed) <= set(detail)
        assert detail["location"]["city"] == "Lyon"

    play(scene)


def test_details_have_their_keys_in_the_recorded_order():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        detail = list((await s.client.get(f"/candidates/{row}")).json()["candidate"])
        assert detail == DETAIL_KEYS
        job = list((await s.client.get(f"/jobs/{s.job}")).json())
        assert job[-len(JOB_KEYS_AT_THE_END) :] == JOB_KEYS_AT_THE_END
        assert "sample" not in job

    play(scene)


def test_jobs_are_listed_by_state_with_texts_on_request():
    async def scene(s):
        s.sandbox.add_job(title="Nurse", state="closed", description="<p>Care</p>")
        everything = (await s.client.get("/jobs")).json()["jobs"]
        assert [job["state"] for job in everything] == ["published", "closed"]
        assert "description" not in everything[1]
        answer = await s.client.get("/jobs", params={"state": "closed", "include_fields": "description,benefits"})
        assert [job["description"] for job in answer.json()["jobs"]] == ["<p>Care</p>"]

    play(scene)


def test_stages_belong_to_the_pipeline_and_jobs_may_have_their_own():
    async def scene(s):
        twin, own = s.sandbox.add_job(title="Twin"), s.sandbox.add_job(title="Own", pipeline=TECH_PIPELINE)
        told = {code: (await s.client.get(f"/jobs/{code}/stages")).json()["stages"] for code in (s.job, twin, own)}
        assert told[s.job] == told[twin]
        assert [stage["slug"] for stage in told[s.job]] == (
            ["sourced", "applied", "phone-screen", "assessment", "interview", "offer", "hired"]
        )
        tech = next(stage for stage in told[own] if stage["name"] == "Tech Chat")
        assert (tech["slug"], tech["kind"], tech["position"]) == ("tech-chat", "interview", 5)
        assert tech["identifier"] == f"{tech['id'] + 1234:x}"

    play(scene)


def test_an_account_has_the_members_that_it_is_made_with():
    async def scene(s):
        rows = (await s.client.get("/members", params={"status": "all"})).json()["members"]
        assert [(row["email"], row["active"]) for row in rows] == [
            ("one@acme.example", True),
            ("two@acme.example", False),
        ]

    play(
        scene,
        members=(
            PlayedMember(2_044_001, "One", "one@acme.example"),
            PlayedMember(2_044_002, "Two", "two@acme.example", active=False),
        ),
    )


def test_members_are_active_unless_asked_otherwise():
    async def scene(s):
        async def mails(**query):
            return [row["email"] for row in (await s.client.get("/members", params=query)).json()["members"]]

        assert await mails() == ["ops@acme.example", "recruiter@acme.example"]
        assert await mails(status="inactive") == ["former@acme.example"]
        assert len(await mails(status="all")) == 3
        assert await mails(email="OPS@acme.example") == ["ops@acme.example"]

    play(scene)


def test_the_small_endpoints_answer():
    async def scene(s):
        assert (await s.client.get("/accounts")).json()["accounts"][0]["subdomain"] == "acme"
        assert (await s.client.get("/accounts/acme")).json()["subdomain"] == "acme"
        assert (await s.client.get("/accounts/other")).status_code == 404
        assert (await s.client.get("/recruiters")).json() == {"recruiters": []}
        assert (await s.client.get("/events")).json() == {"events": []}
        reasons = (await s.client.get("/disqualification_reasons")).json()
        assert [reason["candidate_withdrew"] for reason in reasons] == [False, False, True]

    play(scene)


# --- creates and patches


def test_a_create_answers_201_and_values_fill_in_by_themselves_later():
    async def scene(s):
        answer = await s.client.post(
            f"/jobs/{s.job}/candidates", json={**NEW, "candidate": {**ADA, "address": "1 Rue, Lyon, Rhone, France"}}
        )
        assert answer.status_code == 201
        assert answer.json()["status"] == "created"
        born = answer.json()["candidate"]
        assert (born["headline"], born["location"]["city"], born["stage"]) == (None, None, "Sourced")
        assert (born["outlet"], born["common_source"], born["sourced"]) == ("SPI", "Unknown", True)
        await s.clock.sleep_until(START + 20)
        assert (await s.client.get(f"/candidates/{born['id']}")).json()["candidate"] == born
        await s.clock.sleep_until(START + 21)
        later = (await s.client.get(f"/candidates/{born['id']}")).json()["candidate"]
        assert later["headline"]
        assert (later["location"]["city"], later["location"]["country"]) == ("Lyon", "France")
        assert later["updated_at"] > born["updated_at"]
        assert {effect.by for effect in s.sandbox.effects if effect.action == "fill_in"} == {"system"}

    play(scene)


@pytest.mark.parametrize(
    ("sourced", "query", "stage", "told", "mailed"),
    [
        (True, "", "Sourced", True, False),
        (None, "", "Sourced", True, False),
        (None, "?stage=applied", "Applied", True, False),
        (False, "", "Applied", False, True),
        (True, "?stage=offer", "Offer", True, False),
    ],
)
def test_where_a_create_puts_a_person_and_whom_it_mails(sourced, query, stage, told, mailed):
    async def scene(s):
        body = {"candidate": ADA, **({} if sourced is None else {"sourced": sourced})}
        row = (await s.client.post(f"/jobs/{s.job}/candidates{query}", json=body)).json()["candidate"]
        assert (row["stage"], row["sourced"]) == (stage, told)
        assert ("mail" in {effect.action for effect in s.sandbox.effects}) is mailed

    play(scene)


def test_a_create_takes_lists_and_a_flat_body():
    async def scene(s):
        lists = {
            "skills": ["SQL"],
            "tags": ["night shift"],
            "education_entries": [{"school": "Example College"}],
            "social_profiles": [{"type": "github", "url": "https://example.com"}, {"type": "Portfolio", "url": "x"}],
            "disqualified": True,
            "disqualification_reason": "Other",
        }
        row = (await s.client.post(f"/jobs/{s.job}/candidates", json={**ADA, **lists})).json()["candidate"]
        assert row["skills"] == [{"name": "SQL"}]
        assert row["education_entries"][0]["id"]
        assert [profile["type"] for profile in row["social_profiles"]] == ["github"]
        assert (row["disqualified"], row["withdrew"], row["disqualification_reason"]) == (True, False, "Other")
        told = (await s.client.patch(f"/candidates/{row['id']}", json={"candidate": {"skills": []}})).json()[
            "candidate"
        ]
        assert (told["skills"], told["tags"]) == ([], ["night shift"])

    play(scene)


@pytest.mark.parametrize(
    ("person", "field"),
    [
        ({"email": "ada@example.com"}, "name"),
        ({"firstname": "Ada", "email": "ada@example.com"}, "name"),
        ({"name": "Ada Test"}, "email"),
        ({"name": "Ada Test", "email": ""}, "email"),
        ({"name": "Ada Test", "email": "nonsense"}, "email"),
        ({"name": "Ada Test", "email": ["ada@example.com"]}, "email"),
        ({"name": "Ada Test", "email": "TAKEN@example.com"}, "email"),
        ({**ADA, "education_entries": [{"degree": "BSc"}]}, "education_entries"),
    ],
)
def test_a_bad_create_is_refused_with_its_field(person, field):
    async def scene(s):
        s.sandbox.apply(s.job, name="Taken Test", email="taken@example.com")
        answer = await s.client.post(f"/jobs/{s.job}/candidates", json={"candidate": person})
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("Validation failed: ")
        assert list(answer.json()["validation_errors"]) == [field]
        assert len(s.sandbox.rows) == 1

    play(scene)


@pytest.mark.parametrize(("content", "status"), [(b"{", 400), (b"[]", 422), (b'{"candidate": "Ada"}', 422)])
def test_a_body_in_another_shape_is_refused(content, status):
    async def scene(s):
        answer = await s.client.post(f"/jobs/{s.job}/candidates", content=content)
        assert answer.status_code == status
        assert isinstance(answer.json()["error"], str)

    play(scene)


def test_an_unknown_stage_is_refused_at_a_create():
    async def scene(s):
        assert (await s.client.post(f"/jobs/{s.job}/candidates?stage=nowhere", json=NEW)).status_code == 422

    play(scene)


def test_a_patch_changes_what_it_names_and_nothing_that_cannot_be_patched():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        await s.clock.sleep_until(START + 5)
        person = {
            "phone": "",
            "lastname": "Other",
            "name": "X Y",
            "stage": "Hired",
            "disqualified": True,
            "sourced": True,
        }
        answer = await s.client.patch(f"/candidates/{row}", json={"candidate": person})
        told = answer.json()["candidate"]
        assert answer.status_code == 200
        assert (told["phone"], told["name"], told["stage"], told["sourced"]) == (None, "Ada Other", "Applied", False)
        assert told["updated_at"] > told["created_at"]
        effect = s.sandbox.effects[-1]
        assert (effect.by, effect.action, set(effect.after)) == ("api", "update", {"phone", "lastname", "name"})

    play(scene)


@pytest.mark.parametrize("person", [{"email": ""}, {"email": "taken@example.com"}, {"firstname": ""}, {"phone": 5}])
def test_a_bad_patch_is_refused_and_changes_nothing(person):
    async def scene(s):
        s.sandbox.apply(s.job, name="Taken Test", email="taken@example.com")
        row = s.sandbox.apply(s.job, **ADA)
        before = s.sandbox.snapshot()
        assert (await s.client.patch(f"/candidates/{row}", json={"candidate": person})).status_code == 422
        assert s.sandbox.snapshot() == before

    play(scene)


# --- actions


def test_a_move_answers_202_and_nothing():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        answer = await s.client.post(f"/candidates/{row}/move", json={"member_id": OPS, "target_stage": "hired"})
        assert (answer.status_code, answer.content) == (202, b"")
        assert answer.headers["content-type"].startswith("text/plain")
        detail = (await s.client.get(f"/candidates/{row}")).json()["candidate"]
        assert (detail["stage"], detail["hired_at"]) == ("Hired", detail["updated_at"])
        line = (await s.client.get(f"/candidates/{row}/activities")).json()["activities"][0]
        assert (line["action"], line["stage_name"], line["target_stage"]["slug"]) == ("hired", "Applied", "hired")
        of_job = (await s.client.get(f"/jobs/{s.job}/activities")).json()["activities"][0]
        assert of_job["stage_name"] == "Hired"
        assert "target_stage" not in of_job

    play(scene)


@pytest.mark.parametrize(
    ("action", "body", "status"),
    [
        ("move", {"target_stage": "offer"}, 422),
        ("move", {"member_id": OPS}, 422),
        ("move", {"member_id": OPS, "target_stage": "Offer"}, 422),
        ("move", {"member_id": OPS, "target_stage": "tech-chat"}, 422),
        ("move", {"member_id": FORMER, "target_stage": "offer"}, 422),
        ("move", {"member_id": "ffff", "target_stage": "offer"}, 404),
        ("move", {"member_id": OPS, "target_stage": "applied"}, 202),
        ("disqualify", {}, 422),
        ("disqualify", {"member_id": OPS, "disqualify_note": "x" * 257}, 422),
        ("disqualify", {"member_id": OPS, "disqualify_reason_id": "ffff"}, 404),
        ("revert", {"member_id": OPS}, 422),
        ("comments", {"member_id": OPS}, 422),
        ("copy", {"member_id": OPS, "target_job_shortcode": "NOPE"}, 404),
    ],
)
def test_a_bad_action_is_refused_and_moves_nobody(action, body, status):
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        answer = await s.client.post(f"/candidates/{row}/{action}", json=body)
        assert answer.status_code == status
        assert s.stage(row) == "Applied"
        assert not [effect for effect in s.sandbox.effects if effect.by == "api"]

    play(scene)


def test_the_flag_lies_over_the_stage_and_is_lifted():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA, stage="Interview")
        reason = (await s.client.get("/disqualification_reasons")).json()[0]
        body = {"member_id": OPS, "disqualify_reason_id": reason["id"], "withdrew": True}
        answer = await s.client.post(f"/candidates/{row}/disqualify", json=body)
        assert (answer.status_code, answer.content) == (200, b"")
        detail = (await s.client.get(f"/candidates/{row}")).json()["candidate"]
        assert (detail["stage"], detail["disqualified"], detail["withdrew"]) == ("Interview", True, True)
        assert detail["disqualification_reason"] == reason["description"]
        assert detail["disqualified_at"].endswith(".000Z")
        moved = await s.client.post(f"/candidates/{row}/move", json={"member_id": OPS, "target_stage": "offer"})
        assert moved.status_code == 422
        lifted = await s.client.post(f"/candidates/{row}/revert", json={"member_id": OPS})
        assert (lifted.status_code, lifted.content) == (200, b"")
        assert lifted.headers["content-type"].startswith("application/json")
        assert s.stage(row) == "Interview"

    play(scene)


def test_comments_and_ratings_bump_the_row_and_change_nothing_else():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        before = (await s.client.get(f"/candidates/{row}")).json()["candidate"]
        await s.clock.sleep_until(START + 9)
        comment = {"member_id": OPS, "comment": {"body": "Good talk"}}
        answer = await s.client.post(f"/candidates/{row}/comments", json=comment)
        assert answer.status_code == 201
        assert answer.json()["id"].isdecimal()
        rated = await s.client.put(f"/candidates/{row}/ratings", json={"member_id": OPS, "scale": "stars", "grade": 3})
        assert rated.content == b""
        after = (await s.client.get(f"/candidates/{row}")).json()["candidate"]
        assert {key for key in after if after[key] != before[key]} == {"updated_at"}
        lines = (await s.client.get(f"/candidates/{row}/activities", params={"actions": "rating"})).json()["activities"]
        assert [line["rating"]["grade"] for line in lines] == [3]

    play(scene)


def test_an_archived_job_takes_no_write_and_a_closed_one_does():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        move = {"member_id": OPS, "target_stage": "offer"}
        s.sandbox.edit("job", s.job, state="closed")
        assert (await s.client.post(f"/candidates/{row}/move", json=move)).status_code == 202
        s.sandbox.edit("job", s.job, state="archived")
        for method, path, body in (
            ("POST", f"/candidates/{row}/move", move),
            ("PATCH", f"/candidates/{row}", {"candidate": {"phone": "1"}}),
            ("POST", f"/jobs/{s.job}/candidates", NEW),
        ):
            answer = await s.client.request(method, path, json=body)
            assert (answer.status_code, answer.json()) == (403, {"error": "Forbidden"})
        assert (await s.client.get(f"/candidates/{row}")).status_code == 200

    play(scene)


def test_a_copy_leaves_the_old_row_and_a_relocation_does_not():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        other, third = s.sandbox.add_job(title="Nurse"), s.sandbox.add_job(title="Driver")
        await s.clock.sleep_until(START + 60)
        body = {"member_id": OPS, "target_job_shortcode": other}
        copied = (await s.client.post(f"/candidates/{row}/copy", json=body)).json()["candidate"]["id"]
        assert (await s.client.post(f"/candidates/{row}/copy", json=body)).status_code == 422
        body["target_job_shortcode"] = third
        moved = (await s.client.post(f"/candidates/{row}/relocate", json=body)).json()["candidate"]["id"]
        assert (await s.client.get(f"/candidates/{row}")).status_code == 404
        copied, moved = [(await s.client.get(f"/candidates/{id_}")).json()["candidate"] for id_ in (copied, moved)]
        assert copied["common_source"] == "Copied from another job"
        assert copied["created_at"] > moved["created_at"]
        assert moved["outlet"] == "Jobs Page"
        assert {copied["email"], moved["email"]} == {ADA["email"]}

    play(scene)


# --- people


def test_who_applies_again_is_treated_as_workable_does():
    async def scene(s):
        sourced = (await s.client.post(f"/jobs/{s.job}/candidates", json=NEW)).json()["candidate"]["id"]
        assert s.sandbox.apply(s.job, name="Ada Newname", email="ADA@example.com") == sourced
        assert s.stage(sourced) == "Applied"
        assert s.sandbox.snapshot()["candidate"][sourced]["lastname"] == "Newname"
        s.sandbox.apply(s.job, name="Ada Third", email="ada@example.com")
        assert s.sandbox.snapshot()["candidate"][sourced]["lastname"] == "Newname"
        assert len(s.sandbox.rows) == 1

    play(scene)


def test_people_edit_move_delete_and_each_act_is_noted():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        s.sandbox.edit("candidate", row, name="Ada Other", city="Lyon")
        s.sandbox.move(row, "!withdrew")
        s.sandbox.move(row, "Offer")
        s.sandbox.disqualify(row, reason="Other")
        s.sandbox.revert(row)
        moved = s.sandbox.relocate(row, s.sandbox.add_job(title="Nurse"))
        s.sandbox.anonymize(moved)
        assert s.sandbox.snapshot()["candidate"][moved]["email"] is None
        s.sandbox.delete(moved)
        assert {effect.by for effect in s.sandbox.effects} == {"human"}
        assert [effect.action for effect in s.sandbox.effects if effect.kind == "application"] == [
            *("create", "disqualify", "revert", "move", "disqualify", "revert", "delete", "create", "delete")
        ]
        assert s.sandbox.snapshot()["application"] == {}
        with pytest.raises(ValueError, match="no stage"):
            s.sandbox.move(s.sandbox.apply(s.job, **ADA), "Nowhere")
        with pytest.raises(ValueError, match="move it"):
            s.sandbox.edit("application", row, stage="Offer")
        with pytest.raises(ValueError, match="no field"):
            s.sandbox.edit("job", s.job, nonsense=1)

    play(scene)


def test_the_snapshot_speaks_the_connectors_words():
    async def scene(s):
        s.sandbox.fill(jobs=2, people=30)
        s.sandbox.apply(s.job, **ADA, stage="!withdrew")
        snapshot = s.sandbox.snapshot()
        for id_, told in snapshot["candidate"].items():
            record = (await s.connector.get(next(ref for ref in await s.told("candidates") if ref.id == id_)))[0]
            assert told == dict(record.fields)
        for shortcode, told in snapshot["job"].items():
            record = (await s.connector.get(next(ref for ref in await s.told("jobs") if ref.id == shortcode)))[0]
            for name, value in told.items():
                assert record.fields.get(name) == value

    play(scene)


def test_the_same_seed_plays_the_same_account():
    def played():
        told = []

        async def scene(s):
            s.sandbox.fill(jobs=3, people=40)
            await s.client.post(f"/jobs/{s.job}/candidates", json=NEW)
            told.extend([s.sandbox.snapshot(), s.sandbox.effects])

        play(scene)
        return told

    assert played() == played()


@pytest.mark.parametrize(
    ("address", "city", "country"),
    [
        ("1 Rue du Test, Lyon, Rhone, France", "Lyon", "France"),
        ("Lyon, Rhone, France", "Lyon", "France"),
        ("Lyon, France", "Lyon", "France"),
        ("somewhere", None, None),
        (None, None, None),
    ],
)
def test_an_address_is_located(address, city, country):
    place = located(address)
    assert (place["city"], place["country"]) == (city, country)


# --- subscriptions and webhooks


def test_a_subscription_is_made_listed_and_removed():
    async def scene(s):
        target = "https://sync.example.test/webhooks/acme/candidate_moved"
        args = {"account_id": "acme", "job_shortcode": "", "stage_slug": ""}
        body = {"target": target, "event": "candidate_moved", "args": args}
        made = await s.client.post("/subscriptions", json=body)
        assert made.status_code == 201
        again = await s.client.post("/subscriptions", json={**body, "event": "candidate_created"})
        assert (again.status_code, list(again.json())) == (409, ["error"])
        (told,) = (await s.client.get("/subscriptions")).json()["subscriptions"]
        assert (told["id"], told["event"], told["target"]) == (made.json()["id"], "candidate_moved", target)
        gone = await s.client.delete(f"/subscriptions/{told['id']}")
        assert (gone.status_code, gone.json()) == (200, {})
        assert (await s.client.get("/subscriptions")).json() == {"subscriptions": []}

    play(scene)


@pytest.mark.parametrize(
    "body",
    [
        {"event": "candidate_moved"},
        {"target": "https://sync.example.test/a"},
        {"target": "https://sync.example.test/a", "event": "candidate_edited"},
        {"target": "https://sync.example.test/a", "event": "candidate_moved", "args": {"job_shortcode": ""}},
        {"subscription": {"target": "https://sync.example.test/a", "event": "candidate_moved"}},
    ],
)
def test_a_bad_subscription_is_refused(body):
    async def scene(s):
        assert (await s.client.post("/subscriptions", json=body)).status_code == 422
        assert not s.sandbox.hooks

    play(scene)


def receiver(statuses):
    """An app that keeps what is delivered and answers the next of the statuses, then 200."""
    got, left = [], list(statuses)

    async def take(request):
        got.append(SimpleNamespace(path=request.url.path, headers=request.headers, body=await request.body()))
        return Response(status_code=left.pop(0) if left else 200)

    return Starlette(routes=[Route("/{path:path}", take, methods=["POST"])]), got


def hooked(scene, *, statuses=(), **switches):
    """Play a scene with a subscription per event; the scene is given what was delivered."""
    app, got = receiver(statuses)

    async def with_hooks(s):
        for event in ("candidate_created", "candidate_moved", "candidate_deleted"):
            s.sandbox.subscribe(f"https://sync.example.test/{event}", event)
        await scene(s, got)
        await s.clock.sleep_until(s.clock.now() + 1000)

    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app))
    play(with_hooks, hook_client=client, **switches)
    return got


def test_created_moved_and_deleted_are_sent_signed_with_the_token():
    async def scene(s, got):
        row = s.sandbox.apply(s.job, **ADA)
        await s.clock.sleep_until(START + 1)
        await s.client.post(f"/candidates/{row}/move", json={"member_id": OPS, "target_stage": "offer"})
        await s.clock.sleep_until(START + 2)
        s.sandbox.delete(row)

    got = hooked(scene)
    assert [delivery.path for delivery in got] == ["/candidate_created", "/candidate_moved", "/candidate_deleted"]
    events = [orjson.loads(delivery.body) for delivery in got]
    assert [event["event_type"] for event in events] == ["candidate_created", "candidate_moved", "candidate_deleted"]
    assert events[1]["data"]["stage"] == "Offer"
    assert list(events[2]["data"]) == ["id"]
    assert len({event["id"] for event in events}) == 3
    for delivery in got:
        signature = hmac.new(TOKEN.encode(), delivery.body, hashlib.sha256).hexdigest()
        assert delivery.headers["x-workable-signature"] == signature


def test_the_connector_believes_what_the_sandbox_sends():
    async def scene(s, got):
        row = s.sandbox.apply(s.job, **ADA)
        await s.clock.sleep_until(START + 1)
        headers = dict(got[0].headers)
        notice = s.connector.verify(Delivery(got[0].body, headers))
        assert {ref.id for ref in notice.refs} == {row}
        assert notice.event_id == orjson.loads(got[0].body)["id"]

    hooked(scene)


def test_edits_flags_and_comments_send_nothing():
    async def scene(s, got):
        row = s.sandbox.apply(s.job, **ADA)
        await s.clock.sleep_until(START + 1)
        got.clear()
        s.sandbox.edit("candidate", row, phone="+12025550102")
        s.sandbox.disqualify(row)
        s.sandbox.revert(row)
        s.sandbox.comment(row)
        s.sandbox.edit("job", s.job, state="closed")

    assert hooked(scene) == []


def test_a_delivery_is_sent_again_until_the_answer_is_exactly_200():
    async def scene(s, got):
        s.sandbox.apply(s.job, **ADA)

    got = hooked(scene, statuses=[500, 202])
    assert len(got) == 3
    assert len({delivery.body for delivery in got}) == 1


def test_an_event_tells_the_state_at_sending():
    async def scene(s, got):
        row = s.sandbox.apply(s.job, **ADA)
        await s.clock.sleep_until(START + 5)
        s.sandbox.move(row, "Offer")

    created = [delivery for delivery in hooked(scene, statuses=[500]) if delivery.path == "/candidate_created"]
    first, second = (orjson.loads(delivery.body) for delivery in created)
    assert (first["data"]["stage"], second["data"]["stage"]) == ("Applied", "Offer")
    assert first["id"] == second["id"]
    assert first["fired_at"] == second["fired_at"]


def test_a_subscription_may_want_one_job_or_one_target_stage():
    app, got = receiver([])

    async def scene(s):
        other = s.sandbox.add_job(title="Nurse")
        s.sandbox.subscribe("https://sync.example.test/offers", "candidate_moved", stage_slug="offer")
        s.sandbox.subscribe("https://sync.example.test/nurses", "candidate_created", job_shortcode=other)
        first, second = s.sandbox.apply(s.job, **ADA), s.sandbox.apply(other, **ADA)
        s.sandbox.move(first, "Interview")
        s.sandbox.move(second, "Offer")
        await s.clock.sleep_until(START + 1)
        assert {(delivery.path, orjson.loads(delivery.body)["data"]["id"]) for delivery in got} == {
            ("/offers", second),
            ("/nurses", second),
        }

    play(scene, hook_client=httpx.AsyncClient(transport=httpx.ASGITransport(app=app)))


def test_seeding_sends_and_logs_nothing_about_people():
    async def scene(s, got):
        s.sandbox.fill(jobs=1, people=10)
        assert {effect.kind for effect in s.sandbox.effects} == {"job"}

    assert hooked(scene) == []


def test_the_log_can_be_asked_for_over_http():
    async def scene(s):
        await s.client.get("/jobs")
        log = (await s.client.get(f"{BASE}/_sandbox")).json()
        assert log["simulated"] is True
        assert log["arrivals"][0]["path"] == "/spi/v3/jobs"
        await asyncio.sleep(0)

    play(scene)
