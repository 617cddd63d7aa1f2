"""What lies beside a row in Workable: résumés, comments and ratings, reasons, and who moved whom."""

import httpx
import pytest

from connectors.workable import connect
from connectors.workable.papers import LIMITS, grade
from syncd.connector import Account, File, Form, Remark
from syncd.errors import ConfigInvalid, Gone, Rejected
from syncd.model import Kind, Record, Ref
from tests.workable.account import ADA, BASE, MEMBER, START, TOKEN, play

REASONS = {"disqualify_reason": "not enough EXPERIENCE", "withdraw_reason": "Candidate withdrew"}


def application(row):
    return Ref(Kind.APPLICATION, row)


def comment(marker="[sync:1]", form=Form.COMMENT, score=70.0):
    return Remark(form, "Screening", f"Screening\n{marker}", marker, score)


def with_options(s, **options):
    account = Account("acme", BASE, TOKEN, member=MEMBER, options=options)
    return connect(account, httpx.AsyncClient(transport=s.wire), s.clock)


async def whole(file):
    return b"".join([piece async for piece in file.read()])


# --- résumés


def test_a_row_tells_another_version_once_the_resume_was_changed():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA, resume=b"%PDF one")
        other = s.sandbox.apply(s.job, name="Bea Test", email="bea@example.com")
        first = await s.told("candidates")
        assert first == await s.told("candidates")
        assert first[application(other)].fields["resume"] is None
        await s.clock.sleep_until(START + 60)
        s.sandbox.put_resume(row, b"%PDF two")
        second = await s.told("candidates")
        assert first[application(row)].fields["resume"] != second[application(row)].fields["resume"]
        assert (await s.connector.get(application(other)))[0].fields["resume"] is None
        assert "resume" not in (await s.connector.get(application(row)))[0].fields, "a detail does not tell when"

    play(scene)


def test_the_address_of_a_resume_is_another_at_each_read_and_expires():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA, resume=b"%PDF one")
        first, second = await s.connector.resume(application(row)), await s.connector.resume(application(row))
        assert first.link != second.link
        assert first.name == "resume.pdf"
        assert (await s.client.get(first.link)).status_code == 403, "the store of files refuses a token"
        assert await whole(first) == await whole(second) == b"%PDF one"
        await s.clock.sleep_until(START + 60_001)
        with pytest.raises(Gone):
            await whole(first)
        assert await whole(await s.connector.resume(application(row))) == b"%PDF one"

    play(scene)


def test_who_has_no_resume_has_no_file():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        assert await s.connector.resume(application(row)) is None

    play(scene)


def test_a_file_whose_address_tells_no_type_is_named_as_the_list_does():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        s.sandbox.put_resume(row, b"words", "cv.docx")
        detail = (await s.client.get(f"/candidates/{row}")).json()["candidate"]
        bare = {**detail, "resume_url": "https://files.example.test/3f2a?signature=x.pdf"}
        s.wire.instead = lambda request: (
            httpx.Response(200, json={"candidate": bare}) if request.url.path.endswith(row) else None
        )
        assert (await s.connector.resume(application(row))).name == "resume.docx"

    play(scene)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.exe"])
def test_a_resume_of_another_type_is_not_sent(name):
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        with pytest.raises(Rejected, match=r"\.pdf, \.doc"):
            await s.connector.attach(Record(application(row), {}), File.of(name, b"x"), "key")
        assert not s.wire.requests

    play(scene)


def test_a_resume_of_unknown_or_excessive_size_is_not_sent():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        for size in (None, LIMITS.bytes + 1):
            with pytest.raises(Rejected, match="at most 5 MB"):
                await s.connector.attach(Record(application(row), {}), File("a.pdf", lambda: None, size), "key")
        assert not s.wire.requests

    play(scene)


# --- comments, ratings, moves


@pytest.mark.parametrize(
    ("scale", "grades"), [("thumbs", [0, 0, 1, 2, 2]), ("stars", [0, 1, 2, 4, 4]), ("numbers", [0, 2, 5, 9, 9])]
)
def test_a_score_is_a_grade_of_the_scale(scale, grades):
    assert [grade(scale, score) for score in (0, 25, 50, 99, 100)] == grades


def test_a_rating_is_made_on_the_accounts_scale():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        with pytest.raises(Rejected, match="rating_scale"):
            await s.connector.remark(Record(application(row), {}), comment(form=Form.RATING))
        connector = with_options(s, rating_scale="numbers")
        with pytest.raises(Rejected, match="a score"):
            await connector.remark(Record(application(row), {}), comment(form=Form.RATING, score=None))
        await connector.remark(Record(application(row), {}), comment(form=Form.RATING))
        (line,) = (await s.client.get(f"/candidates/{row}/activities")).json()["activities"]
        assert (line["action"], line["rating"]["scale"], line["rating"]["grade"]) == ("rating", "numbers", 7)
        assert not await connector.has_remarked(Record(application(row), {}), comment()), "a rating is no comment"

    play(scene)


def test_a_scale_that_is_none_of_workables_is_a_mistake_of_the_config():
    with pytest.raises(ConfigInvalid, match="thumbs, stars, numbers"):
        connect(Account("acme", BASE, TOKEN, options={"rating_scale": "ten"}), httpx.AsyncClient(), None)


def test_a_marker_is_found_behind_many_other_activities():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        for number in range(120):
            s.sandbox.comment(row, f"talk {number}")
        assert not await s.connector.has_remarked(Record(application(row), {}), comment())
        await s.connector.remark(Record(application(row), {}), comment())
        assert await s.connector.has_remarked(Record(application(row), {}), comment())

    play(scene)


def test_the_last_move_tells_who_made_it():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        assert await s.connector.moved_by(application(row)) is None
        await s.move(row, "Interview")
        (member,) = [one["id"] for one in (await s.client.get("/members", params={"email": MEMBER})).json()["members"]]
        assert await s.connector.moved_by(application(row)) == member
        await s.clock.sleep_until(START + 60)
        s.sandbox.move(row, "Offer")
        assert await s.connector.moved_by(application(row)) is None, "the played people are no members"

    play(scene)


# --- reasons, days


@pytest.mark.parametrize(
    ("word", "reason"), [("!disqualified", "Not enough experience"), ("!withdrew", "Candidate withdrew")]
)
def test_a_disqualification_bears_the_accounts_reason(word, reason):
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        connector = with_options(s, **REASONS)
        record = (await connector.get(application(row)))[0]
        asked = len(s.wire.requests)
        await connector.update(record, {"stage": word})
        assert len(s.wire.requests) == asked + 1, "the reasons were read along with the record"
        told = (await s.client.get(f"/candidates/{row}")).json()["candidate"]
        assert told["disqualification_reason"] == reason

    play(scene)


@pytest.mark.parametrize("wrong", ["Too tall", "Candidate withdrew"])
def test_a_reason_that_the_account_does_not_have_for_this_is_refused(wrong):
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        connector = with_options(s, disqualify_reason=wrong)
        record = (await connector.get(application(row)))[0]
        with pytest.raises(Rejected, match="disqualify_reason"):
            await connector.update(record, {"stage": "!disqualified"})
        assert s.stage(row) == "Applied"

    play(scene)


def test_who_is_hired_has_a_day_of_it():
    async def scene(s):
        row = s.sandbox.apply(s.job, **ADA)
        assert (await s.told("candidates"))[application(row)].fields["hired_on"] is None
        s.sandbox.move(row, "Hired")
        assert (await s.told("candidates"))[application(row)].fields["hired_on"] == "2026-09-21"

    play(scene)
