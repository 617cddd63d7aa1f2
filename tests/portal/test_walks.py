"""How the end of each list is proven, and when it is not."""

import pytest

from connectors.portal import CANDIDATES, FACTS, JOBS
from connectors.portal.walks import MOST_ROUNDS, Sweep, is_whole
from connectors.portal.wire import Listing
from syncd.connector import digest_of
from syncd.errors import Unavailable
from syncd.model import Cursor, Kind, Ref
from tests.portal.world import answering, new_sandbox, play, wait

ASSIGNMENTS = {"ok": True, "data": []}


def ids_of(pages, kind=Kind.CANDIDATE):
    return [record.ref.id for page in pages for record in page.records if record.ref.kind is kind]


async def walked(connector, walk, since=None):
    return [page async for page in connector.pull(walk, since)]


async def keep(pages, walk):
    """Keep what a walk tells until it ends or fails."""
    async for page in walk:
        pages.append(page)  # an extension would lose them all where the walk fails


def swept(sandbox, walk=CANDIDATES):
    return play(sandbox, lambda connector, _: walked(connector, walk))


def calls(sandbox, path):
    return sum(arrival.path == f"/api{path}" for arrival in sandbox.arrivals)


def people(*ids, total):
    return {"ok": True, "data": [{"id": id_} for id_ in ids], "total": total}


# --- lists that cannot be paged


@pytest.mark.parametrize(
    ("rows", "total", "whole"),
    [(0, None, True), (49, None, True), (50, None, False), (51, None, True), (100, None, False), (199, None, True),
     (200, None, False), (250, None, False), (50, 50, True), (50, 51, False), (200, 200, True), (3, 4, False)],
)  # fmt: skip
def test_a_list_is_whole_unless_it_may_have_been_cut(rows, total, whole):
    assert is_whole(Listing(({"id": "x"},) * rows, total)) is whole


def jobs_of(*counts, **switches):
    sandbox = new_sandbox(**switches)
    for status, count in zip(("open", "on_hold", "closed"), counts, strict=True):
        for number in range(count):
            sandbox.add_job(title=f"{status} {number}", status=status)
    return sandbox


def test_a_short_list_of_jobs_is_one_call():
    sandbox = jobs_of(30, 0, 9)
    assert len(ids_of(swept(sandbox, JOBS), Kind.JOB)) == 39
    assert calls(sandbox, "/jobs") == 1


def test_a_full_list_of_jobs_is_split_by_status_and_each_job_is_told_once():
    sandbox = jobs_of(150, 60, 45)
    told = ids_of(swept(sandbox, JOBS), Kind.JOB)
    assert sorted(told) == sorted(sandbox.rows["job"])
    assert calls(sandbox, "/jobs") == 4


def test_a_status_that_is_not_documented_is_asked_for_where_a_row_tells_it():
    sandbox = jobs_of(150, 60, 0)
    for row in list(sandbox.rows["job"].values())[-3:]:
        row["status"] = "draft"
    assert len(ids_of(swept(sandbox, JOBS), Kind.JOB)) == 210
    assert calls(sandbox, "/jobs") == 5


@pytest.mark.parametrize("largest", [50, 100, 200])
def test_a_part_that_is_full_as_well_is_told_but_proves_nothing(largest):
    sandbox = jobs_of(largest + 1, 3, 3, largest=largest)
    pages = []

    async def scene(connector, _):
        await keep(pages, connector.pull(JOBS, None))

    with pytest.raises(Unavailable, match=r"may be capped: .* full for open"):
        play(sandbox, scene)
    assert len(ids_of(pages, Kind.JOB)) == largest + 6
    assert all(page.next is not None for page in pages)


def test_a_walk_of_jobs_that_was_cut_short_begins_anew():
    sandbox = jobs_of(150, 60, 0)
    pages = play(sandbox, lambda connector, _: walked(connector, JOBS, Cursor(token="on_hold")))
    assert len(ids_of(pages, Kind.JOB)) == 210


def test_a_total_that_is_told_spares_the_split():
    sandbox = jobs_of(100, 0, 0, tells_totals=True)
    swept(sandbox, JOBS)
    assert calls(sandbox, "/jobs") == 1


# --- assignments


def crowd(count, jobs=2, *, assigned=True, **switches):
    sandbox = new_sandbox(**switches)
    made = [sandbox.add_job(title=f"Job {number}") for number in range(jobs)]
    for number in range(count):
        sandbox.apply(made[number % jobs], name=f"P {number}", email=f"p{number}@example.com", assigned=assigned)
    return sandbox


def test_few_assignments_are_one_call():
    sandbox = crowd(30)
    assert len(ids_of(swept(sandbox), Kind.APPLICATION)) == 30
    assert calls(sandbox, "/job-candidates") == 1


def test_many_assignments_are_read_job_by_job():
    sandbox = crowd(230)
    assert len(ids_of(swept(sandbox), Kind.APPLICATION)) == 230
    assert calls(sandbox, "/job-candidates") == 3


def test_a_job_of_many_is_read_stage_by_stage():
    sandbox = crowd(120, jobs=1, largest=100)
    for number, row in enumerate(sandbox.rows["assignment"].values()):
        row["stage"] = ("applied", "interview", "on the moon")[number % 3]
    assert len(ids_of(swept(sandbox), Kind.APPLICATION)) == 120
    assert calls(sandbox, "/job-candidates") == 1 + 1 + 6 + 1  # all, the job, six stages, and the one that a row told


def test_a_person_whose_assignment_may_have_been_kept_back_is_told_without_the_application():
    sandbox = crowd(60, jobs=1, largest=50)
    pages = []

    async def scene(connector, _):
        await keep(pages, connector.pull(CANDIDATES, None))

    with pytest.raises(Unavailable, match="1 of the jobs"):
        play(sandbox, scene)
    assert len(ids_of(pages)) == 60
    assert len(ids_of(pages, Kind.APPLICATION)) == 50
    assert pages[-1].next is not None


def test_a_filter_that_is_not_heeded_is_seen():
    row = {"id": "jc_1", "job_id": "job_2", "candidate_id": "cand_2", "stage": "applied"}
    answers = {"ok": True, "data": {"id": "cand_1"}}, {"ok": True, "data": [row]}
    connector, _ = answering(*answers)
    with pytest.raises(Unavailable, match="not documented"):
        wait(connector.get(Ref(Kind.APPLICATION, "cand_1:job_1")))


# --- candidates


def test_the_archived_are_told_too():
    sandbox = crowd(3)
    candidate = next(iter(sandbox.rows["candidate"]))
    sandbox.archive(candidate)
    records = [record for page in swept(sandbox) for record in page.records]
    assert {record.ref.id for record in records if "archived" in record.traits} == {
        candidate, f"{candidate}:{sandbox.rows['candidate'][candidate]['job_id']}",
    }  # fmt: skip


def test_a_page_bears_the_digest_of_its_assignments_too():
    sandbox = crowd(3)

    async def scene(connector, bare):
        before = await walked(connector, CANDIDATES)
        sandbox.move(f"{_first(sandbox)}", "offer", mirrored=False)
        after = await walked(connector, CANDIDATES)
        answer = await bare.get("/candidates", params={"limit": 200, "offset": 0, "show_archived": 1})
        return before, after, answer.content

    before, after, content = play(sandbox, scene)
    assert before[0].digest != after[0].digest
    assert digest_of(content) not in {before[0].digest, after[0].digest}


def _first(sandbox):
    row = next(iter(sandbox.rows["assignment"].values()))
    return f"{row['candidate_id']}:{row['job_id']}"


def test_pages_are_parsed_only_when_they_are_read():
    connector, _ = answering(ASSIGNMENTS, people("cand_1", total=1))
    (page,) = wait(walked(connector, CANDIDATES))
    assert "records" not in vars(page)


@pytest.mark.parametrize("after", [1, 2])
def test_whoever_applies_while_the_list_is_read_does_no_harm(after):
    sandbox = crowd(500, assigned=False)

    async def scene(connector, _):
        pages = []
        async for page in connector.pull(CANDIDATES, None):
            pages.append(page)
            if len(pages) == after:
                for number in range(3):
                    sandbox.apply(next(iter(sandbox.rows["job"])), name="N", email=f"new{number}@example.com")
        return pages

    told = ids_of(play(sandbox, scene))
    assert len(told) == len(set(told))
    assert set(told) == set(sandbox.rows["candidate"])


def test_rows_that_slide_past_are_read_again():
    sandbox = crowd(500, assigned=False)

    async def scene(connector, _):
        pages = []
        async for page in connector.pull(CANDIDATES, None):
            pages.append(page)
            if len(pages) == 1:
                for id_ in ids_of(pages)[:3]:
                    sandbox.vanish(id_)
        return pages

    told = set(ids_of(play(sandbox, scene)))
    assert set(sandbox.rows["candidate"]) <= told


def test_a_server_that_ignores_the_offset_is_found_out():
    first = [f"c{number}" for number in range(200)]
    connector, _ = answering(ASSIGNMENTS, *[people(*first, total=500) for _ in range(3)])
    with pytest.raises(Unavailable, match="served a page again"):
        wait(walked(connector, CANDIDATES))


def test_a_list_without_a_total_proves_nothing():
    connector, _ = answering(ASSIGNMENTS, {"ok": True, "data": [{"id": "c1"}]})
    with pytest.raises(Unavailable, match="total"):
        wait(walked(connector, CANDIDATES))


# --- the sweep, alone


def run(sweep, rows, total=None, size=4):
    """Read a list that holds still to its end; what was told, and how many pages it took."""
    told, pages, proven = [], 0, False
    while not proven:
        page = rows[sweep.offset : sweep.offset + size]
        fresh, proven = sweep.take(page, len(rows) if total is None else total)
        told += [id_ for id_ in page if id_ in fresh]
        pages += 1
    return told, pages


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 7, 8, 20])
def test_a_list_that_holds_still_is_told_once_in_its_order(count):
    rows = [f"r{number}" for number in range(count)]
    assert run(Sweep(), rows)[0] == rows


def test_pages_overlap_by_one_row():
    assert run(Sweep(), [f"r{number}" for number in range(10)])[1] == 3


@pytest.mark.parametrize("count", [5, 8, 20])
def test_a_resumed_sweep_tells_the_rest(count):
    rows = [f"r{number}" for number in range(count)]
    sweep = Sweep()
    sweep.take(rows[:4], count)
    assert run(Sweep.of(sweep.token), rows)[0][-(count - 4) :] == rows[4:]


def test_a_resumed_sweep_whose_count_does_not_add_up_begins_anew():
    rows = [f"r{number}" for number in range(10)]
    sweep = Sweep()
    sweep.take(rows[:4], 10)
    longer = ["new", *rows]
    assert set(run(Sweep.of(sweep.token), longer)[0]) == set(longer)


def test_a_list_that_never_adds_up_is_given_up():
    with pytest.raises(Unavailable, match="changes while it is read"):
        run(Sweep(), ["a", "b", "c", "b"], size=2)
    assert MOST_ROUNDS == 3


def test_an_end_before_the_total_is_a_contradiction():
    sweep = Sweep()
    with pytest.raises(Unavailable, match="before its total"):
        sweep.take([], 5)


@pytest.mark.parametrize("token", [None, "", "x", "1.2", "a.b.c.d", "3.4.5.", "-1.3.4.r", "3.-4.5.r"])
def test_a_token_that_makes_no_sense_begins_at_the_beginning(token):
    assert Sweep.of(token) == Sweep()


def test_an_id_may_have_dots():
    sweep = Sweep()
    sweep.take(["a.b.c", "d.e"], 9)
    assert Sweep.of(sweep.token).last == "d.e"


def test_the_facts_say_how_each_walk_ends():
    assert [walk.since for walk in FACTS.walks] == [False, False]
    assert "not proven" in JOBS.end
