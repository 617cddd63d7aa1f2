import httpx
import pytest

from connectors.ninjahire import FACTS, plugin
from connectors.ninjahire.api import SIZE, Place, place_of
from syncd.connector import Finds, Webhooks
from syncd.errors import AuthFailed, ConfigInvalid, OutcomeUnknown, RateLimited, Rejected, Taken, Unavailable
from syncd.model import Cursor, Draft, Kind, Parent, Ref
from syncd.sandbox import Fault
from tests.ninjahire import examples
from tests.ninjahire.world import account, answering, played, run, wait

JOBS, CANDIDATES, APPLICATIONS, CALLS = FACTS.walks
STAGE, ACTIVITY = "source_application_status", "application_stage"


def rows(*ids):
    return [{"id": str(id_)} for id_ in ids]


def listed(*ids, count=None):
    return httpx.Response(200, json={"data": rows(*ids)} | ({} if count is None else {"count": count}))


async def walked(connector, walk=JOBS, since=None):
    return [page async for page in connector.pull(walk, since)]


def ids_of(pages):
    return [record.ref.id for page in pages for record in page.records]


def filled(jobs=1, people=0, **switches):
    sandbox = played(**switches)
    sandbox.fill(jobs=jobs, people=people)
    return sandbox


def person(**changes):
    given = {"first_name": "Ana", "last_name": "Ruiz", "email": "ana@example.com", "phone_no": "+12025550100"}
    return {**given, "source": "Referral", **changes}


# joining


def test_it_has_the_abilities_that_the_engine_asks_for():
    connector, _ = answering()
    assert isinstance(connector, Finds)
    assert isinstance(connector, Webhooks)


@pytest.mark.parametrize("first_page", ["2", "one", "-1", ""])
def test_a_first_page_that_makes_no_sense_is_a_mistake_in_the_config(first_page):
    with pytest.raises(ConfigInvalid, match="first_page"):
        plugin.connect(account(options={"first_page": first_page}), httpx.AsyncClient(), None)


def test_check_asks_for_one_job_and_raises_on_a_bad_key():
    connector, requests = answering(listed(), httpx.Response(401, json={"title": "Unauthorized"}))
    wait(connector.check())
    assert str(requests[0].url) == "https://api.ninjahire.example.test/v1/jobs?page=1&size=1"
    assert requests[0].headers["Authorization"] == "Bearer sandbox-token"
    with pytest.raises(AuthFailed):
        wait(connector.check())


# walking


def test_a_walk_ends_with_an_empty_page_and_not_with_a_short_one():
    connector, requests = answering(listed(1, 2), listed(3), listed())
    pages = wait(walked(connector))
    assert ids_of(pages) == ["1", "2", "3"]
    assert [page.next is None for page in pages] == [False, False, True]
    assert [request.url.params["page"] for request in requests] == ["1", "2", "3"]


@pytest.mark.parametrize("count", ["total", "page"])
@pytest.mark.parametrize("largest", [7, 100])
@pytest.mark.parametrize("first_page", [0, 1])
def test_a_server_that_clamps_sizes_is_walked_whole_whatever_count_means(count, largest, first_page):
    sandbox = filled(jobs=2, people=60, count=count, largest_size=largest, first_page=first_page)
    options = {"first_page": str(first_page)}
    pages = run(sandbox, lambda connector: walked(connector, CANDIDATES), options=options)
    assert sorted(ids_of(pages)) == sorted(sandbox.rows["candidate"])


def test_rows_that_shift_into_a_later_page_are_told_once():
    connector, _ = answering(listed(3, 2, count=3), listed(2, 1, count=4), listed(count=4))
    assert ids_of(wait(walked(connector))) == ["3", "2", "1"]


def test_a_job_opened_while_the_list_is_walked_does_no_harm():
    sandbox = filled(jobs=9, largest_size=3)

    async def scene(connector):
        pages = []
        async for page in connector.pull(JOBS, None):
            pages.append(page)
            if len(pages) == 2:
                sandbox.add_job(title="Latecomer")
        return pages

    told = ids_of(run(sandbox, scene))
    assert len(told) == len(set(told)) == 9


@pytest.mark.parametrize("again", [listed(1, 2), listed(2, 1), listed(1)])
def test_a_page_that_is_served_again_is_a_contradiction(again):
    connector, _ = answering(listed(1, 2), again)
    with pytest.raises(Unavailable, match="served a page again"):
        wait(walked(connector))


def test_an_empty_page_before_the_count_is_reached_is_a_contradiction():
    connector, _ = answering(listed(1, 2, count=5), listed(count=5))
    with pytest.raises(Unavailable, match="before its count"):
        wait(walked(connector))


def test_a_count_that_shrinks_while_rows_vanish_is_none():
    connector, _ = answering(listed(1, 2, count=3), listed(count=2))
    assert ids_of(wait(walked(connector))) == ["1", "2"]


def test_a_resumed_walk_goes_on_where_it_was():
    connector, requests = answering(listed(5, 6, count=6), listed(count=6))
    pages = wait(walked(connector, since=Cursor(token="3.4.6")))
    assert ids_of(pages) == ["5", "6"]
    assert requests[0].url.params["page"] == "3"


def test_a_resumed_walk_whose_end_does_not_add_up_begins_anew():
    connector, requests = answering(listed(count=4), listed(1, 2, 3, 4, count=4), listed(count=4))
    pages = wait(walked(connector, since=Cursor(token="3.2.4")))
    assert ids_of(pages) == ["1", "2", "3", "4"]
    assert [request.url.params["page"] for request in requests] == ["3", "1", "2"]


@pytest.mark.parametrize("token", ["", "x", "1.2", "a.b.c", "1.2.3.4"])
def test_a_token_that_makes_no_sense_begins_at_the_beginning(token):
    assert place_of(token, 1) == Place(1)


@pytest.mark.parametrize("place", [Place(1), Place(7, 300, 412), Place(0, 0, 0)])
def test_a_token_names_its_place(place):
    assert place_of(place.token, 1) == place


@pytest.mark.parametrize("status", [400, 404, 410, 422, 500])
def test_a_list_that_is_refused_is_asked_again_later(status):
    connector, _ = answering(httpx.Response(status, json={"message": "no"}))
    with pytest.raises(Unavailable):
        wait(walked(connector))


def test_a_page_is_digested_dated_and_parsed_only_when_read():
    headers = {"Date": "Mon, 05 Jan 2026 08:00:00 GMT"}
    connector, _ = answering(httpx.Response(200, json={"data": [{"id": "1", "city": {}}]}, headers=headers), listed())
    page = wait(walked(connector))[0]
    assert page.served_at == 1_767_600_000.0
    assert len(page.digest) == 32
    assert "records" not in vars(page)
    assert ids_of([page]) == ["1"]


# reading one


def test_an_applications_get_tells_its_candidate_and_job_too():
    sandbox = filled(jobs=1, people=1)
    ref = Ref(Kind.APPLICATION, next(iter(sandbox.rows["application"])))
    told = run(sandbox, lambda connector: connector.get(ref))
    assert [record.ref.kind for record in told] == [Kind.APPLICATION, Kind.CANDIDATE, Kind.JOB]
    assert told[0].parents == {Kind.CANDIDATE: told[1].ref.id, Kind.JOB: told[2].ref.id}


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_gone(status):
    connector, _ = answering(httpx.Response(status, json={"message": "Job not found"}))
    assert wait(connector.get(Ref(Kind.JOB, "x"))) == ()


def test_an_id_cannot_lead_a_get_astray():
    connector, requests = answering(httpx.Response(404))
    assert wait(connector.get(Ref(Kind.JOB, "../candidates?x=/#"))) == ()
    assert requests[0].url.raw_path == b"/v1/jobs/..%2Fcandidates%3Fx%3D%2F%23"


def test_a_get_that_tells_another_record_tells_nothing():
    connector, _ = answering(httpx.Response(200, json=examples.JOB_ROW))
    with pytest.raises(Unavailable, match="another"):
        wait(connector.get(Ref(Kind.JOB, "x")))


# creating


def test_a_person_and_her_application_are_created_and_nobody_is_phoned():
    sandbox = filled(jobs=1)
    job = Parent(next(iter(sandbox.rows["job"])))

    async def scene(connector):
        (born,) = await connector.create(Draft(Kind.CANDIDATE, person(), source_id="W-1"), "key")
        parents = {Kind.JOB: job, Kind.CANDIDATE: Parent(born.ref.id, born.source_id)}
        draft = Draft(Kind.APPLICATION, {STAGE: "Screening"}, parents, source_id="W-1")
        (application,) = await connector.create(draft, "key")
        await sandbox.clock.sleep_until(sandbox.clock.now() + 86_400)
        return application

    application = run(sandbox, scene)
    row = sandbox.rows["application"][application.ref.id]
    assert (row[ACTIVITY], row["candidate_source_id"], row["job_source_id"]) == ("PASSIVE", "W-1", job.id)
    assert application.source_id == "W-1"
    assert "phoned" not in {effect.action for effect in sandbox.effects}


def test_a_source_id_that_is_there_already_is_taken_and_the_record_is_found():
    sandbox = played()
    draft = Draft(Kind.CANDIDATE, person(), source_id="W-1")

    async def scene(connector):
        first = await connector.create(draft, "key")
        with pytest.raises(Taken):
            await connector.create(draft, "key")
        assert await connector.find(draft, 0.0) == first

    run(sandbox, scene)
    assert len(sandbox.rows["candidate"]) == 1


def test_an_application_whose_parent_is_not_there_is_refused():
    sandbox = filled(jobs=1)
    parents = {Kind.JOB: Parent(next(iter(sandbox.rows["job"]))), Kind.CANDIDATE: Parent(examples.CANDIDATE_ID)}

    async def scene(connector):
        with pytest.raises(Rejected):
            await connector.create(Draft(Kind.APPLICATION, {STAGE: "Applied"}, parents), "key")

    run(sandbox, scene)


def test_an_answer_that_is_cut_short_is_filled_with_what_was_sent():
    connector, _ = answering(httpx.Response(201, json={"data": {"id": examples.APPLICATION_ID}}))
    parents = {Kind.JOB: Parent("j", "J-1"), Kind.CANDIDATE: Parent("c", "C-1")}
    (record,) = wait(connector.create(Draft(Kind.APPLICATION, {STAGE: "Applied"}, parents, source_id="A-1"), "key"))
    assert record.parents == {Kind.JOB: "j", Kind.CANDIDATE: "c"}
    assert record.fields == {}


def test_an_answer_about_another_record_leaves_the_create_unknown():
    connector, _ = answering(httpx.Response(201, json=examples.CANDIDATE_ROW))
    with pytest.raises(OutcomeUnknown, match="another"):
        wait(connector.create(Draft(Kind.CANDIDATE, person(), source_id="W-1"), "key"))


# finding


def identity(sandbox):
    """A draft of each kind whose record is there, with ids that begin alike beside it."""
    job, other = (sandbox.add_job(title="Welder", source_id=source_id) for source_id in ("J-1", "J-12"))
    people = {"A-1": "ana@example.com", "A-12": "bo@example.com"}
    for job_id in (job, other):
        for source_id, email in people.items():
            sandbox.apply(job_id, name="Ana Ruiz", email=email, source_id=source_id)
    ana = next(row["id"] for row in sandbox.rows["candidate"].values() if row["source_id"] == "A-1")
    parents = {Kind.JOB: Parent(job, "J-1"), Kind.CANDIDATE: Parent(ana, "A-1")}
    return (
        Draft(Kind.JOB, {}, source_id="J-1"),
        Draft(Kind.CANDIDATE, {}, source_id="A-1"),
        Draft(Kind.APPLICATION, {}, parents),
    )


@pytest.mark.parametrize("filters", ["exact", "prefix", "ignored"])
def test_a_record_is_found_exactly_whatever_the_filter_does(filters):
    sandbox = played(filters=filters, largest_size=3)
    drafts = identity(sandbox)
    sandbox.fill(jobs=5, people=9)

    async def scene(connector):
        return [await connector.find(draft, 0.0) for draft in drafts]

    for draft, found in zip(drafts, run(sandbox, scene), strict=True):
        assert len(found) == 1, draft.kind
        assert found[0].source_id == draft.source_id
        assert found[0].parents == {kind: parent.id for kind, parent in draft.parents.items()}


def test_a_good_filter_costs_one_call():
    sandbox = played()
    drafts = identity(sandbox)

    async def scene(connector):
        for draft in drafts:
            await connector.find(draft, 0.0)
        await connector.find(Draft(Kind.JOB, {}, source_id="J-9"), 0.0)

    run(sandbox, scene)
    assert len(sandbox.arrivals) == 4


def test_an_application_made_by_hand_is_found_by_its_parents_ids():
    sandbox = filled(jobs=2, people=120)
    row = next(iter(sandbox.rows["application"].values()))
    parents = {Kind.JOB: Parent(row["job_id"]), Kind.CANDIDATE: Parent(row["candidate_id"])}
    found = run(sandbox, lambda connector: connector.find(Draft(Kind.APPLICATION, {}, parents), 0.0))
    assert [record.ref.id for record in found] == [row["id"]]


def test_an_application_older_than_its_persons_stand_in_source_id_is_found():
    sandbox = filled(jobs=1, people=1)
    (row,), (person_row,) = sandbox.rows["application"].values(), sandbox.rows["candidate"].values()

    async def scene(connector):
        (record,) = await connector.get(Ref(Kind.CANDIDATE, person_row["id"]))
        told = await connector.update(record, {"city": "Reno"})
        parents = {Kind.JOB: Parent(row["job_id"]), Kind.CANDIDATE: Parent(told.ref.id, told.source_id)}
        return await connector.find(Draft(Kind.APPLICATION, {}, parents), 0.0)

    assert [record.ref.id for record in run(sandbox, scene)] == [row["id"]]


def test_two_records_of_one_identity_are_both_told():
    rows_told = [{"id": "1", "source_id": "W-1"}, {"id": "2", "source_id": "W-1"}]
    connector, _ = answering(httpx.Response(200, json={"data": rows_told}))
    assert len(wait(connector.find(Draft(Kind.JOB, {}, source_id="W-1"), 0.0))) == 2


def test_a_full_page_of_hits_is_followed():
    page = [{"id": str(number), "source_id": "W-1"} for number in range(SIZE)]
    connector, requests = answering(httpx.Response(200, json=page), httpx.Response(200, json=[]))
    assert len(wait(connector.find(Draft(Kind.JOB, {}, source_id="W-1"), 0.0))) == SIZE
    assert len(requests) == 2


def test_an_application_is_recognised_by_source_ids_where_no_ids_are_told():
    told = {"job_source_id": "J-1", "candidate_source_id": "C-1"}
    page = [{"id": "1", **told}, {"id": "2", **told, "candidate_source_id": "C-12"}]
    connector, _ = answering(httpx.Response(200, json=page), httpx.Response(200, json=[]))
    parents = {Kind.JOB: Parent("j", "J-1"), Kind.CANDIDATE: Parent("c", "C-1")}
    found = wait(connector.find(Draft(Kind.APPLICATION, {}, parents), 0.0))
    assert [record.ref.id for record in found] == ["1"]


@pytest.mark.parametrize("kind", [Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION])
def test_a_draft_without_an_identity_is_never_found(kind):
    connector, requests = answering()
    assert wait(connector.find(Draft(kind, {}), 0.0)) == ()
    assert not requests


# changing


def changed(sandbox, ref, fields, **settings):
    async def scene(connector):
        (record, *_) = await connector.get(ref)
        return await connector.update(record, fields)

    return run(sandbox, scene, **settings)


def test_a_phone_is_corrected_and_all_else_of_the_person_stays():
    sandbox = filled(jobs=1, people=1)
    (row,) = sandbox.rows["candidate"].values()
    before = dict(row)
    told = changed(sandbox, Ref(Kind.CANDIDATE, row["id"]), {"phone_no": "+12025550177"})
    assert told.fields["phone_no"] == row["phone_no"] == "+12025550177"
    changed_by_us = {name for name in row if row[name] != before[name]}
    assert changed_by_us == {"phone_no", "source_id", "updated_at"}
    assert row["source_id"] == row["id"]


def test_a_rejection_ends_the_phoning():
    sandbox = filled(jobs=1)
    id_ = sandbox.apply(next(iter(sandbox.rows["job"])), email="a@example.com", application_stage="ACTIVE")

    async def scene(connector):
        (record, *_) = await connector.get(Ref(Kind.APPLICATION, id_))
        told = await connector.update(record, {STAGE: "Rejected"})
        await sandbox.clock.sleep_until(sandbox.clock.now() + 86_400)
        return told

    assert run(sandbox, scene).fields[ACTIVITY] == "PASSIVE"
    assert "phoned" not in {effect.action for effect in sandbox.effects}


def test_a_move_leaves_an_active_application_active():
    sandbox = filled(jobs=1)
    id_ = sandbox.apply(next(iter(sandbox.rows["job"])), email="a@example.com", application_stage="ACTIVE")
    assert changed(sandbox, Ref(Kind.APPLICATION, id_), {STAGE: "Interview"}).fields[ACTIVITY] == "ACTIVE"


def test_terminal_words_come_from_the_options():
    sandbox = filled(jobs=1)
    id_ = sandbox.apply(next(iter(sandbox.rows["job"])), email="a@example.com", application_stage="ACTIVE")
    options = {"terminal_words": "Placed, Hired"}
    told = changed(sandbox, Ref(Kind.APPLICATION, id_), {STAGE: "placed"}, options=options)
    assert told.fields[ACTIVITY] == "PASSIVE"


@pytest.mark.parametrize("content", [b"", b"{}", b'{"message": "Updated"}', b"[]"])
def test_an_answer_that_tells_nothing_is_no_record(content):
    connector, _ = answering(httpx.Response(200, json=examples.JOB_ROW), httpx.Response(200, content=content))

    async def scene():
        (record,) = await connector.get(Ref(Kind.JOB, examples.JOB_ID))
        return await connector.update(record, {"status": "Closed"})

    assert wait(scene()) is None


def test_an_answer_about_another_record_leaves_the_update_unknown():
    connector, _ = answering(
        httpx.Response(200, json=examples.JOB_ROW), httpx.Response(200, json={**examples.JOB_ROW, "id": "x"})
    )

    async def scene():
        (record,) = await connector.get(Ref(Kind.JOB, examples.JOB_ID))
        await connector.update(record, {"status": "Closed"})

    with pytest.raises(OutcomeUnknown, match="another"):
        wait(scene())


def test_a_lost_create_is_found_and_a_lost_move_is_seen():
    sandbox = filled(jobs=1, people=1)
    draft = Draft(Kind.CANDIDATE, person(), source_id="W-1")
    ref = Ref(Kind.APPLICATION, next(iter(sandbox.rows["application"])))

    async def scene(connector):
        (record, *_) = await connector.get(ref)
        sandbox.faults = lambda method, path: None if method == "GET" else Fault.LOST_AFTER
        with pytest.raises(OutcomeUnknown):
            await connector.create(draft, "key")
        with pytest.raises(OutcomeUnknown):
            await connector.update(record, {STAGE: "Offer"})
        return await connector.find(draft, 0.0), (await connector.get(ref))[0]

    found, moved = run(sandbox, scene)
    assert [record.source_id for record in found] == ["W-1"]
    assert moved.fields[STAGE] == "Offer"


def test_a_spent_limit_says_when_to_go_on():
    sandbox = filled(limits=None)

    async def scene(connector):
        for _ in range(60):
            await connector.check()
        await sandbox.clock.sleep_until(sandbox.clock.now() + 15)
        with pytest.raises(RateLimited) as caught:
            await connector.check()
        assert caught.value.retry_after_s == 45.0

    run(sandbox, scene)
