"""The portal's connector at work against its sandbox."""

import httpx
import pytest

from connectors.portal import Portal, plugin
from connectors.portal.papers import LARGEST, Upload
from connectors.portal.sandbox import ACCESS
from syncd.connector import Account, Finds, Webhooks
from syncd.errors import AuthFailed, ConfigInvalid, OutcomeUnknown, Rejected, Stale, Taken, Unavailable
from syncd.model import Draft, Kind, Parent, Record, Ref
from tests.portal.world import BASE_URL, TOKEN, answering, new_sandbox, play, wait

CLIENT, SECRET = next(iter(ACCESS.items()))
SPENDS = {"spent", "mailed"}


def job_and(sandbox, **person):
    """A job, and somebody who applied for it; the application's ref."""
    job = sandbox.add_job(title="Welder")
    id_ = sandbox.apply(job, **{"name": "Ana Ruiz", "email": "ana@example.com", **person})
    return job, Ref(Kind.APPLICATION, id_)


def candidate_of(ref):
    return Ref(Kind.CANDIDATE, ref.id.partition(":")[0])


async def changed(connector, ref, fields):
    return await connector.update((await connector.get(ref))[0], fields)


# --- joining and authentication


def test_it_has_the_abilities_that_the_engine_asks_for():
    connector, _ = answering()
    assert isinstance(connector, Finds)
    assert not isinstance(connector, Webhooks)


@pytest.mark.parametrize(
    ("account", "headers"),
    [
        (Account("p", BASE_URL, TOKEN), {"x-sm-key": TOKEN}),
        (Account("p", BASE_URL, TOKEN, options={"auth": "bearer"}), {"authorization": f"Bearer {TOKEN}"}),
        (
            Account("p", BASE_URL, "", options={"access_client_id": CLIENT, "access_client_secret": SECRET}),
            {"cf-access-client-id": CLIENT, "cf-access-client-secret": SECRET},
        ),
    ],
)
def test_each_of_the_three_ways_to_authenticate_works_alone(account, headers):
    sandbox = new_sandbox()
    play(sandbox, lambda connector, _: connector.check(), account)
    connector, requests = answering({"ok": True, "data": []}, account=account)
    wait(connector.check())
    ways = {"x-sm-key", "authorization", "cf-access-client-id", "cf-access-client-secret"}
    assert {name: value for name, value in requests[0].headers.items() if name in ways} == headers


@pytest.mark.parametrize("options", [{}, {"auth": "bearer"}, {"access_client_id": CLIENT, "access_client_secret": "x"}])
def test_a_wrong_key_or_service_token_is_refused(options):
    token = "" if "access_client_id" in options else "wrong"
    with pytest.raises(AuthFailed):
        play(new_sandbox(), lambda connector, _: connector.check(), Account("p", BASE_URL, token, options=options))


@pytest.mark.parametrize("options", [{"auth": "cookie"}, {"access_client_id": "x"}, {"access_client_secret": "x"}])
def test_options_that_make_no_sense_are_a_mistake_in_the_config(options):
    with pytest.raises(ConfigInvalid, match=r"connections\.p"):
        Portal(Account("p", BASE_URL, TOKEN, options=options), httpx.AsyncClient(), None)


@pytest.mark.parametrize("base", [BASE_URL, f"{BASE_URL}/", f"{BASE_URL}/api", f"{BASE_URL}/api/"])
def test_the_address_may_be_given_with_its_path_or_without(base):
    connector, requests = answering({"ok": True, "data": []}, account=Account("p", base, TOKEN))
    wait(connector.check())
    assert str(requests[0].url) == f"{BASE_URL}/api/jobs?limit=1"


def test_the_plugin_knows_its_options():
    assert set(plugin.options) == {"auth", "access_client_id", "access_client_secret", "author", "read_files"}


# --- both places of a stage


def test_a_move_of_the_unassigned_on_the_person_is_a_move_of_the_application():
    sandbox = new_sandbox()
    _, ref = job_and(sandbox)

    async def scene(connector, _):
        sandbox.move(ref.id, "interview")
        return (await connector.get(ref))[0]

    record = play(sandbox, scene)
    assert (record.fields["stage"], record.fields["assignment"]) == ("interview", None)
    assert not sandbox.rows["assignment"]


def test_the_first_move_makes_the_assignment_and_the_next_one_moves_it():
    sandbox = new_sandbox()
    job, ref = job_and(sandbox)

    async def scene(connector, _):
        assert await changed(connector, ref, {"stage": "screening"}) is None
        await changed(connector, ref, {"stage": "interview"})
        return await connector.get(ref)

    told = play(sandbox, scene)
    assert told[0].ref == ref
    assert (told[0].fields["stage"], told[0].fields["candidate.stage"]) == ("interview", "applied")
    assert [effect.action for effect in sandbox.effects if effect.by == "api"] == ["assign", "move"]
    assert told[1].ref == candidate_of(ref)
    assert told[0].parents[Kind.JOB] == job


def test_an_assignment_that_somebody_made_meanwhile_is_read_again():
    sandbox = new_sandbox()
    job, ref = job_and(sandbox)

    async def scene(connector, _):
        record = (await connector.get(ref))[0]
        sandbox.assign(job, candidate_of(ref).id, "offer")
        with pytest.raises(Stale):
            await connector.update(record, {"stage": "screening"})

    play(sandbox, scene)
    assert [row["stage"] for row in sandbox.rows["assignment"].values()] == ["offer"]


def test_a_move_on_the_person_alone_is_told_beside_the_assignments_stage():
    sandbox = new_sandbox()
    _, ref = job_and(sandbox, assigned=True)

    async def scene(connector, _):
        sandbox.move_person(candidate_of(ref).id, "offer")
        before = (await connector.get(ref))[0]
        await connector.update(before, {"stage": "offer"})
        return before, (await connector.get(ref))[0]

    before, after = play(sandbox, scene)
    assert (before.fields["stage"], before.fields["candidate.stage"]) == ("applied", "offer")
    assert before.traits == {"stages_differ"}
    assert (after.fields["stage"], after.traits) == ("offer", frozenset())
    assert before.version != after.version


def test_the_second_place_is_written_by_a_call_of_its_own():
    sandbox = new_sandbox()
    _, ref = job_and(sandbox, assigned=True)

    async def scene(connector, _):
        await changed(connector, ref, {"stage": "offer"})
        await changed(connector, ref, {"candidate.stage": "offer"})
        return (await connector.get(ref))[0]

    record = play(sandbox, scene)
    assert not record.traits
    assert sandbox.rows["candidate"][candidate_of(ref).id]["stage"] == "offer"


def test_a_person_on_two_jobs_has_two_applications():
    sandbox = new_sandbox()
    _, first = job_and(sandbox, assigned=True)
    second = Ref(Kind.APPLICATION, sandbox.apply(sandbox.add_job(title="Cook"), name="A", email="ana@example.com"))

    async def scene(connector, _):
        await changed(connector, second, {"stage": "rejected"})
        return await connector.get(first)

    told = {record.ref: record for record in play(sandbox, scene)}
    assert set(told) == {first, second, candidate_of(first)}
    assert (told[first].fields["stage"], told[second].fields["stage"]) == ("applied", "rejected")


def test_a_placement_is_written_when_somebody_is_hired():
    sandbox = new_sandbox()
    _, ref = job_and(sandbox)

    async def scene(connector, _):
        await changed(connector, ref, {"stage": "hired"})
        await changed(connector, ref, {"start_date": "2026-06-01", "placement_date": "2026-05-20", "salary": 90_000})
        return (await connector.get(ref))[0]

    record = play(sandbox, scene)
    assert (
        record.fields.items() >= {"start_date": "2026-06-01", "placement_date": "2026-05-20", "salary": 90_000}.items()
    )


# --- reading


@pytest.mark.parametrize(
    "ref",
    [
        Ref(Kind.JOB, ".."), Ref(Kind.JOB, "../candidates"), Ref(Kind.CANDIDATE, ""), Ref(Kind.CANDIDATE, "a?b"),
        Ref(Kind.APPLICATION, "cand_1"), Ref(Kind.APPLICATION, "../jobs:x"), Ref(Kind.SCREENING, "x"),
    ],
)  # fmt: skip
def test_an_id_that_cannot_be_is_nothing_and_asks_nobody(ref):
    connector, requests = answering()
    assert wait(connector.get(ref)) == ()
    assert not requests


def test_a_pair_without_an_application_is_nothing():
    sandbox = new_sandbox()
    _, ref = job_and(sandbox)
    other = sandbox.add_job(title="Cook")
    gone = Ref(Kind.APPLICATION, f"{candidate_of(ref).id}:{other}")
    assert play(sandbox, lambda connector, _: connector.get(gone)) == ()


def test_a_get_that_tells_another_record_tells_nothing():
    connector, _ = answering({"ok": True, "data": {"id": "job_2", "title": "x"}})
    with pytest.raises(Unavailable, match="another"):
        wait(connector.get(Ref(Kind.JOB, "job_1")))


# --- creating and finding


def test_a_second_assignment_of_a_pair_is_taken():
    sandbox = new_sandbox()
    job, ref = job_and(sandbox, assigned=True)
    parents = {Kind.JOB: Parent(job), Kind.CANDIDATE: Parent(candidate_of(ref).id)}
    draft = Draft(Kind.APPLICATION, {"stage": "applied"}, parents)

    async def scene(connector, _):
        with pytest.raises(Taken):
            await connector.create(draft, "key")
        return await connector.find(draft, 0.0)

    assert [record.ref for record in play(sandbox, scene)] == [ref, candidate_of(ref)]


def test_an_assignment_whose_parent_is_not_there_is_refused():
    sandbox = new_sandbox()
    _, ref = job_and(sandbox)
    parents = {Kind.JOB: Parent("job_00000000"), Kind.CANDIDATE: Parent(candidate_of(ref).id)}
    with pytest.raises(Rejected):
        play(sandbox, lambda c, _: c.create(Draft(Kind.APPLICATION, {"stage": "applied"}, parents), "key"))


def test_a_person_is_found_by_her_very_email_the_archived_too():
    sandbox = new_sandbox()
    _, ref = job_and(sandbox)
    sandbox.archive(candidate_of(ref).id)
    job_and(sandbox, name="ana@example.com", email="other@example.com", current_title="x-ana@example.com")
    draft = Draft(Kind.CANDIDATE, {"name": "Ana", "email": "ANA@example.com"})
    found = play(sandbox, lambda connector, _: connector.find(draft, 0.0))
    assert [record.ref for record in found] == [candidate_of(ref)]


def test_two_people_of_one_email_are_both_found_however_many_the_search_lets_through():
    row = {"name": "x", "email": "else@example.com"}
    first = {"ok": True, "total": 201, "data": [{"id": f"c{number}", **row} for number in range(200)]}
    first["data"][7]["email"] = "ana@example.com"
    second = {"ok": True, "total": 201, "data": [{"id": "d", "email": "Ana@example.com"}]}
    connector, requests = answering(first, second)
    found = wait(connector.find(Draft(Kind.CANDIDATE, {"name": "x", "email": "ana@example.com"}), 0.0))
    assert [record.ref.id for record in found] == ["c7", "d"]
    assert [request.url.params["offset"] for request in requests] == ["0", "200"]


def test_a_person_without_an_email_is_never_found():
    connector, requests = answering()
    assert wait(connector.find(Draft(Kind.CANDIDATE, {"name": "x"}), 0.0)) == ()
    assert not requests


def test_a_job_is_found_among_those_made_since():
    sandbox = new_sandbox()
    now = sandbox.clock.now()
    sandbox.add_job(title="Welder", created_at=now - 86_400)
    sandbox.add_job(title="Welder II")
    draft = Draft(Kind.JOB, {"title": "Welder"})

    async def scene(connector, _):
        assert await connector.find(draft, now) == ()
        born = await connector.create(draft, "key")
        return born, await connector.find(draft, now)

    born, found = play(sandbox, scene)
    assert [record.ref for record in found] == [record.ref for record in born]


def test_where_the_list_of_jobs_is_capped_a_job_that_is_not_seen_is_not_said_to_be_missing():
    sandbox = new_sandbox(largest=50)
    for number in range(60):
        sandbox.add_job(title=f"Job {number}")
    with pytest.raises(Unavailable, match="capped"):
        play(sandbox, lambda connector, _: connector.find(Draft(Kind.JOB, {"title": "Welder"}), 0.0))


def test_an_answer_about_another_thing_leaves_an_update_unknown():
    connector, _ = answering({"ok": True, "data": {"id": "cand_2"}})
    with pytest.raises(OutcomeUnknown):
        wait(connector.update(Record(Ref(Kind.CANDIDATE, "cand_1"), {}), {"phone": "+12025550100"}))


# --- notes, activities, files


def test_a_note_and_an_activity_are_added_and_told():
    sandbox = new_sandbox()
    _, ref = job_and(sandbox)
    person = candidate_of(ref)

    async def scene(connector, _):
        papers = connector.papers
        note = await papers.add_note(person, "Score 87 [sync:abc]", "sync@example.com")
        act = await papers.log(person, "stage_change", "Moved", "applied to interview")
        return note, await papers.notes(person), act, await papers.activities(person)

    note, notes, act, activities = play(sandbox, scene)
    assert [(one.id, one.body, one.author) for one in notes] == [(note, "Score 87 [sync:abc]", "sync@example.com")]
    assert [(one.id, one.type, one.title) for one in activities] == [(act, "stage_change", "Moved")]
    assert notes[0].created_at == sandbox.clock.now()
    assert "Score" not in repr(notes)


def test_a_job_has_notes_and_files_but_takes_no_activities():
    sandbox = new_sandbox()
    job, _ = job_and(sandbox)
    ref = Ref(Kind.JOB, job)

    async def scene(connector, _):
        await connector.papers.add_note(ref, "Urgent", "sync@example.com")
        with pytest.raises(Rejected):
            await connector.papers.log(ref, "note", "x", "y")
        return await connector.papers.notes(ref), await connector.papers.activities(ref)

    notes, activities = play(sandbox, scene)
    assert ([note.body for note in notes], activities) == (["Urgent"], ())


@pytest.mark.parametrize("activities", [7, "x", [7], [{}], {"id": "a"}])
def test_a_log_of_another_shape_is_no_answer(activities):
    connector, _ = answering({"ok": True, "data": {"id": "c", "activities": activities}})
    with pytest.raises(Unavailable, match="not documented"):
        wait(connector.papers.activities(Ref(Kind.CANDIDATE, "c")))


def upload(*pieces, size=None, name="cv.pdf"):
    async def content():
        for piece in pieces:
            yield piece

    return Upload(name, "application/pdf", sum(map(len, pieces)) if size is None else size, content())


@pytest.mark.parametrize("name", ["cv.pdf", 'a "b".pdf', "zwei\r\nZeilen.pdf"])
def test_a_file_is_streamed_and_told(name):
    sandbox = new_sandbox()
    _, ref = job_and(sandbox)
    person = candidate_of(ref)
    pieces = (b"%PDF-1.7\r\n", b"\x00\xff--\r\n\r\n", b"%%EOF\n")

    async def scene(connector, bare):
        id_ = await connector.papers.attach(person, upload(*pieces, name=name), "a1b2c3d4")
        (told,) = await connector.papers.files(person)
        return id_, told, (await bare.get(told.url)).content

    id_, told, content = play(sandbox, scene)
    assert (told.id, told.type, told.size) == (id_, "application/pdf", len(b"".join(pieces)))
    assert content == b"".join(pieces)
    assert "cv" not in repr(told)


@pytest.mark.parametrize("size", [3, 5])
def test_a_file_of_another_size_than_was_said_is_not_sent(size):
    sandbox = new_sandbox()
    _, ref = job_and(sandbox)

    async def scene(connector, _):
        with pytest.raises(Stale):
            await connector.papers.attach(candidate_of(ref), upload(b"ab", b"cd", size=size), "key")

    play(sandbox, scene)
    assert not sandbox.papers.contents


def test_a_file_that_is_too_large_never_leaves():
    connector, requests = answering()
    with pytest.raises(Rejected, match="10 MB"):
        wait(connector.papers.attach(Ref(Kind.CANDIDATE, "c"), upload(size=LARGEST + 1), "key"))
    assert not requests


def test_nothing_lies_beside_an_application():
    connector, requests = answering()
    with pytest.raises(Rejected):
        wait(connector.papers.notes(Ref(Kind.APPLICATION, "c:j")))
    assert not requests


# --- silence


def test_nothing_that_the_connector_does_costs_money_or_mails_anybody():
    sandbox = new_sandbox()
    sandbox.fill(jobs=2, people=8)
    job, ref = job_and(sandbox)

    async def scene(connector, _):
        await connector.check()
        for walk in connector.facts.walks:
            async for page in connector.pull(walk, None):
                assert page.records
        born = await connector.create(Draft(Kind.CANDIDATE, {"name": "B", "email": "b@example.com"}), "key")
        parents = {Kind.JOB: Parent(job), Kind.CANDIDATE: Parent(born[0].ref.id)}
        await connector.create(Draft(Kind.APPLICATION, {"stage": "applied"}, parents), "key")
        for stage in ("screening", "interview", "offer", "hired", "rejected"):
            await changed(connector, ref, {"stage": stage})
            await changed(connector, ref, {"candidate.stage": stage})
        await changed(connector, Ref(Kind.JOB, job), {"status": "closed"})
        await connector.papers.add_note(candidate_of(ref), "x", "a@example.com")

    play(sandbox, scene)
    assert not [effect for effect in sandbox.effects if effect.action in SPENDS]
    asked = {arrival.path.split("/")[2] for arrival in sandbox.arrivals}
    assert asked == {"jobs", "candidates", "job-candidates"}
