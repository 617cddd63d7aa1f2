"""The HireSquire connector at work: batches from sending to reporting back, and what an odd server may do to it."""

import base64

import httpx
import orjson
import pytest

from connectors.hiresquire import CANDIDATES, LIMITS, HireSquire, connect, marked, plugin
from syncd.connector import (
    Account,
    Batch,
    Batches,
    BatchFile,
    BatchState,
    CreditsSpent,
    Delivery,
    FilesRejected,
    Webhooks,
)
from syncd.errors import (
    AuthFailed,
    ConfigInvalid,
    Gone,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unavailable,
)
from syncd.model import Draft, Kind, Record, Ref
from syncd.sandbox import Fault, Limit
from tests.hiresquire.examples import (
    ACCEPTED,
    CANDIDATE,
    CLI_JOBS,
    CLI_RESULTS,
    PAGINATED,
    RATE_LIMIT,
    RESULTS,
    STATUS,
    enveloped,
)
from tests.hiresquire.world import (
    ACCOUNT,
    BASE,
    DESCRIPTION,
    KEY,
    SECRET,
    START,
    done,
    draft,
    new_sandbox,
    play,
    resume,
)

SHAPES = ("flat", "enveloped", "paginator")


@pytest.fixture(params=SHAPES)
def sandbox(request):
    return new_sandbox(shape=request.param)


def answering(scene, *answers, account=ACCOUNT):
    """Run a scene against canned answers (status, body), each told once, the last one again and again."""
    asked = []
    waiting = list(answers)

    def answer(request):
        asked.append(request)
        status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return httpx.Response(status, content=body if isinstance(body, bytes) else orjson.dumps(body))

    async def run(connector, bare):
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(transport=transport) as client:
            return await scene(connect(account, client, None))

    return play(new_sandbox(), run), asked


def test_the_plugin_is_found_and_has_its_abilities():
    connector = plugin.connect(ACCOUNT, httpx.AsyncClient(), None)
    assert isinstance(connector, HireSquire)
    assert isinstance(connector, Batches)
    assert isinstance(connector, Webhooks)
    assert plugin.facts.system == "hiresquire"


# --- a batch from beginning to end ----------------------------------------------------------------------------------


def test_a_batch_is_sent_ripens_and_tells_a_result_for_each_file(sandbox):
    async def scene(connector, bare):
        wanted = draft("Ana Ruiz", "Ben Okafor")
        made = await connector.submit(wanted, KEY)
        assert made.state is BatchState.PROCESSING
        told = await connector.batch(made.id)
        assert (told.state, told.files, told.created_at) == (BatchState.PROCESSING, 2, START)
        with pytest.raises(Unavailable) as early:
            await anext(connector.results(made.id))
        assert "425" in str(early.value)
        await done(connector, sandbox, made.id)
        (page,) = [page async for page in connector.results(made.id)]
        assert (page.next, page.state) == (None, BatchState.COMPLETED)
        assert {result.file for result in page.results} == {"1001.txt", "1002.txt"}
        best, second = page.results
        assert best.score >= second.score
        assert (best.status, best.made_by, best.url) == (
            "new",
            "HireSquire",
            "https://hiresquire.example.test/dashboard",
        )
        assert best.summary
        assert best.verdict in {"Qualified", "Not qualified"}
        assert best.strengths
        assert best.made_at == sandbox.batches[int(made.id)].due
        walked = [record async for told in connector.pull(CANDIDATES, None) for record in told.records]
        assert sorted(page.records, key=lambda record: record.ref) == sorted(walked, key=lambda record: record.ref)

    play(sandbox, scene)
    assert sandbox.billed() == {"1001.txt": 1, "1002.txt": 1}


def test_what_is_sent_is_one_request_with_the_key_and_each_file_whole(sandbox):
    async def scene(connector, bare):
        content = bytes(range(256)) * 900 + resume("Ana Ruiz")

        async def read():
            for start in range(0, len(content), 1000):
                yield content[start : start + 1000]

        files = (BatchFile("1001.pdf", read), BatchFile.of("1002.txt", resume("Ben Okafor")))
        wanted = draft(files=files, webhook_url="https://sync.example.test/webhooks/screens")
        await connector.submit(wanted, KEY)
        (batch,) = sandbox.batches.values()
        assert [(one.filename, one.size) for one in batch.resumes] == [
            ("1001.pdf", len(content)), ("1002.txt", len(resume("Ben Okafor"))),
        ]  # fmt: skip
        assert batch.title == marked("Backend Engineer", KEY)
        assert batch.leniency_level == 8
        assert sandbox.hooks[str(batch.id)].url == wanted.webhook_url

    play(sandbox, scene, Account("screens", BASE, "sandbox-token", options={"leniency_level": "8"}))
    assert [arrival.method for arrival in sandbox.arrivals] == ["POST"]


def test_the_request_tells_its_length_where_the_sizes_are_known():
    async def scene(connector):
        return await connector.submit(draft(), KEY)

    made, (request,) = answering(scene, (202, ACCEPTED))
    assert made == Batch("123", BatchState.PROCESSING)
    assert request.headers["idempotency-key"] == KEY
    assert int(request.headers["content-length"]) == len(request.content)
    body = orjson.loads(request.content)
    assert base64.b64decode(body["resumes"][0]["base64"]) == resume("Ana Ruiz")
    assert set(body) == {"title", "description", "resumes"}


@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.ERROR_AFTER])
def test_a_batch_whose_answer_was_lost_is_found_and_sent_again_without_being_billed_again(sandbox, fault):
    async def scene(connector, bare):
        faults = iter([fault])
        sandbox.faults = lambda method, path: next(faults, None) if method == "POST" else None
        with pytest.raises(OutcomeUnknown):
            await connector.submit(draft(), KEY)
        (found,) = await connector.find_batch(draft(), KEY, START)
        again = await connector.submit(draft(), KEY)
        assert again.id == found.id
        assert not await connector.find_batch(draft(), "another key", START)
        await sandbox.clock.sleep_until(START + LIMITS.key_s - 60)
        assert (await connector.submit(draft(), KEY)).id == found.id
        await sandbox.clock.sleep_until(START + LIMITS.key_s + 60)
        assert (await connector.submit(draft(), KEY)).id != found.id  # the key is forgotten: this one costs money
        assert len(await connector.find_batch(draft(), KEY, START)) == 2

    play(sandbox, scene)
    assert sandbox.billed() == {"1001.txt": 2}


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.ERROR_BEFORE])
def test_a_batch_that_never_arrived_is_unknown_and_not_found(sandbox, fault):
    async def scene(connector, bare):
        sandbox.faults = lambda method, path: fault if method == "POST" else None
        with pytest.raises(OutcomeUnknown):
            await connector.submit(draft(), KEY)
        assert await connector.find_batch(draft(), KEY, START) == ()

    play(sandbox, scene)
    assert not sandbox.billed()


def test_a_batch_is_found_among_many_of_the_same_title(sandbox):
    for number in range(130):
        sandbox.add_batch(title="Backend Engineer", people=[{"name": f"Person {number}"}])

    async def scene(connector, bare):
        made = await connector.submit(draft(), KEY)
        (found,) = await connector.find_batch(draft(), KEY, START)
        assert found.id == made.id
        assert found.files == 1

    play(sandbox, scene)


def test_a_long_title_keeps_its_mark():
    title = marked("x" * 400, KEY)
    assert len(title) == 255
    assert title.endswith(marked("", KEY))
    assert marked("x", KEY) != marked("x", "another key")


def test_results_are_read_by_pages_of_fifty(sandbox):
    async def scene(connector, bare):
        files = tuple(BatchFile.of(f"{number}.txt", resume(f"Person {number}")) for number in range(100))
        made = await connector.submit(draft(files=files), KEY)
        await done(connector, sandbox, made.id)
        pages = [page async for page in connector.results(made.id)]
        assert [(len(page.results), page.next) for page in pages] == [(50, 2), (50, None)]
        told = [result for page in pages for result in page.results]
        assert {result.file for result in told} == {file.name for file in files}
        assert [result.score for result in told] == sorted((result.score for result in told), reverse=True)
        rest = [page async for page in connector.results(made.id, 2)]
        assert rest == pages[1:]

    play(sandbox, scene)


# --- what goes wrong with a batch -----------------------------------------------------------------------------------


def test_a_batch_that_fails_says_so_has_no_results_and_is_paid_back(sandbox):
    sandbox.fails = lambda title: "The screening failed."

    async def scene(connector, bare):
        made = await connector.submit(draft(), KEY)
        await done(connector, sandbox, made.id)
        told = await connector.batch(made.id)
        assert (told.state, told.reason) == (BatchState.FAILED, "The screening failed.")
        (page,) = [page async for page in connector.results(made.id)]
        assert (page.results, page.state) == ((), BatchState.FAILED)

    play(sandbox, scene)
    assert not sandbox.billed()


def test_a_batch_is_cancelled_while_it_is_processed_and_not_later(sandbox):
    async def scene(connector, bare):
        made = await connector.submit(draft(), KEY)
        assert (await connector.cancel(made.id)).state is BatchState.CANCELLED
        assert (await connector.batch(made.id)).state is BatchState.CANCELLED
        with pytest.raises(Rejected):
            await connector.cancel(made.id)
        (page,) = [page async for page in connector.results(made.id)]
        assert (page.results, page.state) == ((), BatchState.CANCELLED)
        with pytest.raises(Gone):
            await connector.cancel("99999999")

    play(sandbox, scene)
    assert not sandbox.billed()


def test_too_short_resumes_are_named_with_the_services_reason_and_cost_nothing(sandbox):
    async def scene(connector, bare):
        files = (
            BatchFile.of("1001.txt", resume("Ana Ruiz")),
            BatchFile.of("1002.txt", b"Too short"),
            BatchFile.of("1003.pdf", b"\xff\xfe\x00\x01"),
        )
        with pytest.raises(FilesRejected) as refused:
            await connector.submit(draft(files=files), KEY)
        reason = "must hold a resume with at least 50 characters of text."
        assert refused.value.reasons == {
            "1002.txt": f"The resumes.1.base64 field {reason}",
            "1003.pdf": f"The resumes.2.base64 field {reason}",
        }
        kept = await connector.submit(draft(files=files[:1]), KEY)  # a refusal leaves the key free
        assert (await connector.batch(kept.id)).files == 1

    play(sandbox, scene)
    assert sandbox.billed() == {"1001.txt": 1}


def test_a_resume_that_cannot_be_read_has_no_result_and_is_paid_back(sandbox):
    sandbox.reads = lambda name, text: name != "1001.txt"

    async def scene(connector, bare):
        made = await connector.submit(draft("Ana Ruiz", "Ben Okafor"), KEY)
        await done(connector, sandbox, made.id)
        (page,) = [page async for page in connector.results(made.id)]
        assert [result.file for result in page.results] == ["1002.txt"]

    play(sandbox, scene)
    assert sandbox.billed() == {"1002.txt": 1}


def test_without_credits_nothing_is_made(sandbox):
    sandbox.account.credits = 1

    async def scene(connector, bare):
        with pytest.raises(CreditsSpent):
            await connector.submit(draft("Ana Ruiz", "Ben Okafor"), KEY)
        assert (await connector.submit(draft(), KEY)).state is BatchState.PROCESSING
        assert await connector.credits() == 0

    play(sandbox, scene)


@pytest.mark.parametrize(
    "wrong",
    [
        {"files": ()},
        {"files": tuple(BatchFile.of(f"{number}.txt", b"x") for number in range(101))},
        {"files": (BatchFile.of("1.txt", b"x"), BatchFile.of("1.txt", b"y"))},
        {"files": (BatchFile.of("", b"x"),)},
        {"files": (BatchFile.of("x" * 256, b"x"),)},
        {"files": (BatchFile("1.txt", lambda: None, 20_000_001),)},
        {"description": "x" * 49},
        {"title": " "},
    ],
    ids=["none", "too many", "one name twice", "no name", "long name", "too large", "short description", "no title"],
)
def test_what_would_be_refused_is_not_sent(wrong):
    sandbox = new_sandbox()

    async def scene(connector, bare):
        with pytest.raises(Rejected):
            await connector.submit(draft(**wrong), KEY)

    play(sandbox, scene)
    assert not sandbox.arrivals


def test_a_source_that_breaks_off_ends_the_request_and_nothing_is_made():
    sandbox = new_sandbox()

    async def broken():
        yield resume("Ana Ruiz")
        raise Unavailable("the source is away")

    async def scene(connector, bare):
        with pytest.raises(Unavailable, match="the source is away"):
            await connector.submit(draft(files=(BatchFile("1001.txt", broken),)), KEY)

    play(sandbox, scene)
    assert not sandbox.batches
    assert not sandbox.billed()


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b"<html>", {"message": "Job accepted", "status": "processing"}]
)
def test_an_acceptance_without_a_job_leaves_the_outcome_unknown(body):
    async def scene(connector):
        with pytest.raises(OutcomeUnknown):
            await connector.submit(draft(), KEY)

    answering(scene, (202, body))


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Rejected), (401, AuthFailed), (402, CreditsSpent), (403, AuthFailed), (413, Rejected), (422, Rejected),
     (429, RateLimited), (500, OutcomeUnknown), (503, OutcomeUnknown)],
)  # fmt: skip
def test_a_refused_batch_says_what_to_do_next_and_nobodys_name(status, error):
    async def scene(connector):
        with pytest.raises(error) as refused:
            await connector.submit(draft("Ana Ruiz"), KEY)
        assert "Ana" not in str(refused.value)
        assert "sandbox-token" not in str(refused.value)

    answering(scene, (status, {"message": "Ana Ruiz", "error": "Ana Ruiz", "errors": {"title": ["Ana Ruiz"]}}))


# --- results that contradict each other -----------------------------------------------------------------------------


def page_of(page, last, *ids, total=3, shape=RESULTS):
    rows = [{**CANDIDATE, "id": id_} for id_ in ids]
    return {**shape, "current_page": page, "last_page": last, "total_candidates": total, "candidates": rows}


async def all_results(connector):
    return [result.id async for page in connector.results("123") for result in page.results]


@pytest.mark.parametrize("wrap", [lambda answer: answer, enveloped])
def test_results_in_the_references_shape_end_with_the_last_page(wrap):
    told, asked = answering(all_results, (200, wrap(page_of(1, 2, 1, 2))), (200, wrap(page_of(2, 2, 3))))
    assert told == ["1", "2", "3"]
    assert [request.url.params["page"] for request in asked] == ["1", "2"]


@pytest.mark.parametrize("wrap", [lambda answer: answer, enveloped])
def test_results_in_the_clients_shape_end_with_their_number(wrap):
    told, asked = answering(all_results, (200, wrap(CLI_RESULTS)))
    assert told == ["1"]
    assert len(asked) == 1


def test_results_in_the_clients_shape_go_on_until_a_page_is_empty():
    more = {**CLI_RESULTS, "total_candidates": 3}
    told, asked = answering(all_results, (200, more), (200, {**more, "candidates": []}))
    assert told == ["1"]  # of three résumés one could be read
    assert len(asked) == 2


@pytest.mark.parametrize(
    "answers",
    [
        [page_of(1, 2, 1, 2), page_of(1, 2, 1, 2)],
        [page_of(1, 2, 1, 2), page_of(2, 3, 1, 2)],
        [{**CLI_RESULTS, "total_candidates": 3}],
        [{**RESULTS, "status": "asleep"}],
        [{**RESULTS, "candidates": [{"id": "x"}]}],
        [{**RESULTS, "candidates": {}}],
    ],
    ids=["another page", "nothing new", "the first page again", "unknown state", "no id", "no list"],
)
def test_results_that_contradict_each_other_are_no_results(answers):
    async def scene(connector):
        with pytest.raises(Unavailable):
            await all_results(connector)

    answering(scene, *((200, answer) for answer in answers))


def test_a_batch_that_is_another_one_than_asked_for_is_no_answer():
    async def scene(connector):
        with pytest.raises(Unavailable):
            await connector.batch("124")

    answering(scene, (200, STATUS))


def test_a_batch_that_is_not_there_is_none():
    async def scene(connector, bare):
        assert await connector.batch("99999999") is None
        assert await connector.batch("../candidates") is None

    play(new_sandbox(), scene)


# --- looking up in lists of each shape ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [CLI_JOBS, {**PAGINATED, "last_page": 1, "total": 1}, enveloped(CLI_JOBS)])
def test_a_batch_is_found_in_a_list_of_each_shape(shape):
    title = marked("Backend Engineer", KEY)
    answer = orjson.loads(orjson.dumps(shape).replace(b"Senior Software Engineer", title.encode()))

    async def scene(connector):
        return await connector.find_batch(draft(), KEY, START)

    (found,), (request,) = answering(scene, (200, answer))
    assert (found.id, found.state, found.files) == ("123", BatchState.COMPLETED, 10)
    assert request.url.params["since"] == "2026-04-11"


@pytest.mark.parametrize(
    "answers",
    [
        [{**PAGINATED, "current_page": 2}],
        [PAGINATED, PAGINATED],
        [{**PAGINATED, "last_page": 1}],
        [{**CLI_JOBS, "total": 7}, {**CLI_JOBS, "total": 7, "jobs": [], "page": 2}],
        [PAGINATED, {**PAGINATED, "current_page": 2, "total": 3, "data": [{**CLI_JOBS["jobs"][0], "id": 5}]}],
        [{"jobs": [{"id": 1, "status": "asleep"}]}],
    ],
    ids=["another page", "the first page again", "rows missing", "rows missing behind", "shrunk", "unknown state"],
)
def test_a_list_that_contradicts_itself_finds_nothing_and_says_so(answers):
    async def scene(connector):
        with pytest.raises(Unavailable):
            await connector.find_batch(draft(), KEY, START)

    answering(scene, *((200, answer) for answer in answers))


def test_a_list_that_tells_no_total_ends_with_an_empty_page():
    rows = CLI_JOBS["jobs"]

    async def scene(connector):
        return await connector.find_batch(draft(title="other"), KEY, START)

    found, asked = answering(scene, (200, {"jobs": rows}), (200, {"jobs": []}))
    assert found == ()
    assert len(asked) == 2


# --- moves, outcomes, records ---------------------------------------------------------------------------------------


def test_a_status_is_set_by_the_ability_and_by_an_update(sandbox):
    sandbox.fill(jobs=1, people=1)

    async def scene(connector, bare):
        (item,) = sandbox.snapshot()["application"]
        moved = await connector.move(item, "interviewed")
        assert (moved.id, moved.status) == (item, "interviewing")
        application, screening = await connector.get(Ref(Kind.APPLICATION, item))
        assert application.fields == {"status": "interviewing"}
        assert (await connector.get(Ref(Kind.SCREENING, item)))[0] == screening
        again = await connector.update(application, {"status": "hired"})
        assert again.fields == {"status": "hired"}
        for wrong in (lambda: connector.move(item, "asleep"), lambda: connector.update(screening, {"score": 99})):
            with pytest.raises(Rejected):
                await wrong()

    play(sandbox, scene)
    moves = [(effect.by, dict(effect.after)) for effect in sandbox.effects if effect.action == "move"]
    assert moves == [("api", {"status": "interviewing"}), ("api", {"status": "hired"})]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"success": True, "candidate": {**CANDIDATE, "status": "hired"}}, "hired"),
        (enveloped({**CANDIDATE, "status": "hired"}), "hired"),
        ({**CANDIDATE, "status": "hired"}, "hired"),
        ({"success": True}, None),
    ],
)
def test_what_a_move_answers_is_read_in_each_shape(answer, told):
    async def scene(connector):
        record = Record(Ref(Kind.APPLICATION, "1"), {"status": "new"})
        return await connector.update(record, {"status": "hired"})

    record, (request,) = answering(scene, (200, answer))
    assert (record and record.fields["status"]) == told
    assert (request.method, request.url.path) == ("PATCH", "/api/v1/candidates/1/status")


def test_a_move_that_answers_with_somebody_else_is_unknown():
    async def scene(connector):
        with pytest.raises(OutcomeUnknown):
            await connector.move("2", "hired")

    answering(scene, (200, {"success": True, "candidate": CANDIDATE}))


def test_outcomes_are_reported(sandbox):
    sandbox.fill(jobs=1, people=1)

    async def scene(connector, bare):
        ((item, row),) = sandbox.snapshot()["application"].items()
        await connector.report(row["job"], item, "hired")
        assert sandbox.snapshot()["application"][item]["outcome"] == "hired"
        with pytest.raises(Rejected):
            await connector.report(row["job"], item, "promoted")
        with pytest.raises(Rejected):
            await connector.report(row["job"], "99999999", "hired")

    play(sandbox, scene)


@pytest.mark.parametrize("answer", [{"success": False}, {}, [], b"<html>"])
def test_an_outcome_that_is_not_confirmed_is_unknown(answer):
    async def scene(connector):
        with pytest.raises(OutcomeUnknown):
            await connector.report("123", "1", "hired")

    answering(scene, (200, answer))


@pytest.mark.parametrize("odd", ["", "../1", "1/status", "one", "²"])
def test_an_id_that_cannot_be_theirs_is_asked_of_nobody(odd):
    sandbox = new_sandbox()

    async def scene(connector, bare):
        calls = (connector.move(odd, "hired"), connector.report(odd, "1", "hired"), connector.report("1", odd, "hired"),
                 connector.cancel(odd), anext(connector.results(odd)))  # fmt: skip
        for call in calls:
            with pytest.raises(Rejected):
                await call

    play(sandbox, scene)
    assert not sandbox.arrivals


def test_nothing_is_made_but_by_a_batch():
    sandbox = new_sandbox()

    async def scene(connector, bare):
        with pytest.raises(Rejected):
            await connector.create(Draft(Kind.APPLICATION, {}), KEY)

    play(sandbox, scene)
    assert not sandbox.arrivals


@pytest.mark.parametrize("answer", [{**CANDIDATE, "id": 2}, {**CANDIDATE, "status": None}, {"id": 1}, []])
def test_a_get_that_tells_something_else_is_no_answer(answer):
    async def scene(connector):
        with pytest.raises(Unavailable):
            await connector.get(Ref(Kind.APPLICATION, "1"))

    answering(scene, (200, answer))


def test_a_walk_tells_what_was_found_out_and_where_to_see_it():
    sandbox = new_sandbox()
    options = {"page_url": "https://hiresquire.example.test/jobs/{batch}/candidates/{candidate}"}

    async def scene(connector, bare):
        made = await connector.submit(draft(), KEY)
        await done(connector, sandbox, made.id)
        (page,) = [page async for page in connector.pull(CANDIDATES, None)]
        application, screening = page.records
        assert screening.fields["file"] == "1001.txt"
        assert screening.parents == {Kind.APPLICATION: application.ref.id}
        assert screening.url == f"https://hiresquire.example.test/jobs/{made.id}/candidates/{application.ref.id}"
        (results,) = [page async for page in connector.results(made.id)]
        assert results.results[0].url == screening.url

    play(sandbox, scene, Account("screens", BASE, "sandbox-token", options=options))


# --- money, limits, webhooks, options -------------------------------------------------------------------------------


def test_credits_costs_and_limits_are_told(sandbox):
    sandbox.account.credits = 1234

    async def scene(connector, bare):
        assert await connector.credits() == 1234.0
        assert await connector.cost(7) == 7 * LIMITS.credits
        assert (await connector.quota()).limit == 60

    play(sandbox, scene)


def test_the_rate_limit_is_told_and_kept():
    sandbox = new_sandbox(limits=(Limit(3, 60.0),))

    async def scene(connector, bare):
        await connector.check()
        quota = await connector.quota()
        assert (quota.limit, quota.remaining, quota.reset_at) == (3, 1, START + 60)
        await connector.check()
        with pytest.raises(RateLimited) as limited:
            await connector.check()
        assert limited.value.retry_after_s == 60.0

    play(sandbox, scene)
    told, _ = answering(lambda connector: connector.quota(), (200, RATE_LIMIT))
    assert (told.limit, told.remaining) == (60, 45)


def test_a_done_batch_is_announced_and_the_announcement_is_believed():
    sandbox = new_sandbox()
    taken = []

    def take(request):
        taken.append(request)
        return httpx.Response(204)

    async def scene(connector, bare):
        async with httpx.AsyncClient(transport=httpx.MockTransport(take)) as client:
            sandbox.client = client
            made = await connector.submit(draft(webhook_url="https://sync.example.test/webhooks/screens"), KEY)
            await done(connector, sandbox, made.id)
            (item,) = sandbox.people
            sandbox.move(str(item), "rejected")
            await sandbox.clock.sleep_until(sandbox.clock.now() + 5)
        return made

    made = play(sandbox, scene)
    connector = connect(ACCOUNT, httpx.AsyncClient(), None)
    notices = []
    for request in taken:
        headers = {name.lower(): value for name, value in request.headers.items()}
        at = float(headers["x-webhook-signature"].split(",")[0].removeprefix("t="))
        notices.append(connector.verify(Delivery(request.content, headers, None, at)))
    assert [notice.batches for notice in notices if notice] == [(made.id,)] * len(taken)
    assert notices[-1].refs == (Ref(Kind.APPLICATION, str(next(iter(sandbox.people)))),)


@pytest.mark.parametrize("level", ["0", "11", "strict", ""])
def test_a_leniency_that_makes_no_sense_is_refused_at_the_start(level):
    with pytest.raises(ConfigInvalid, match="leniency_level"):
        connect(Account("screens", BASE, "made-up", options={"leniency_level": level}), httpx.AsyncClient(), None)


def test_a_base_url_may_lack_the_version():
    async def scene(connector):
        await connector.check()

    account = Account("screens", "https://hiresquire.example.test/", "made-up", webhook_secrets=(SECRET,))
    _, (request,) = answering(scene, (200, {"valid": True}), account=account)
    assert str(request.url) == "https://hiresquire.example.test/api/v1/schema/validate"


def test_instructions_go_out_with_each_batch():
    async def scene(connector):
        await connector.submit(draft(), KEY)

    account = Account("screens", BASE, "made-up", options={"custom_instructions": "Weigh experience."})
    _, (request,) = answering(scene, (202, ACCEPTED), account=account)
    sent = orjson.loads(request.content)
    assert (sent["custom_instructions"], sent["description"]) == ("Weigh experience.", DESCRIPTION)
