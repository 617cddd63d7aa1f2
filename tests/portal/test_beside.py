"""What goes to a person of the portal beside her application: remarks and résumés."""

from dataclasses import replace

import httpx
import pytest

from connectors.portal.beside import is_resume
from syncd.connector import File, Form, Remark
from syncd.errors import Rejected, Unavailable
from syncd.model import Kind, Record, Ref
from tests.portal.world import ACCOUNT, BASE_URL, TOKEN, answering, new_sandbox, play, wait

REF = Ref(Kind.APPLICATION, "cand_1:job_1")
READING = replace(ACCOUNT, options={"read_files": "true"})
NOTE = Remark(Form.NOTE, "Screening", "Screening\n[sync:1]", "[sync:1]")
OK = {"ok": True, "data": []}


def listed(**file):
    row = {"id": "file_1", "filename": "cv.pdf", "size": 4, "created_at": "2026-04-12T10:00:00Z", **file}
    return {"ok": True, "data": [row]}


async def whole(file):
    return b"".join([piece async for piece in file.read()])


@pytest.mark.parametrize("name", ["cv.pdf", "CV_Ada.docx", "Ada résumé (2).pdf", "my-resume.RTF", "Lebenslauf.odt"])
def test_a_file_that_says_so_is_a_resume(name):
    assert is_resume(name)


@pytest.mark.parametrize("name", ["offer.pdf", "cvs.pdf", "passport.pdf", "cv.jpg", "cv", "", "resumed work.pdf"])
def test_any_other_file_is_none(name):
    assert not is_resume(name)


def test_the_newest_resume_among_a_persons_files_is_hers():
    sandbox = new_sandbox()
    job = sandbox.add_job(title="Pilot")
    applied = sandbox.apply(job, name="Ada Test", email="ada@example.com", resume=b"%PDF old")
    ref = Ref(Kind.APPLICATION, applied)

    async def scene(connector, _):
        assert await whole(await connector.resume(ref)) == b"%PDF old"
        (before, *_) = await connector.get(ref)
        await sandbox.clock.sleep_until(sandbox.clock.now() + 60)
        sandbox.put_resume(applied, b"an offer", "offer.pdf")
        assert (await connector.get(ref))[0] == before
        sandbox.put_resume(applied, b"%PDF new", "resume.docx")
        file = await connector.resume(ref)
        assert (file.name, file.size, await whole(file)) == ("resume.docx", 8, b"%PDF new")
        (after, *_) = await connector.get(ref)
        assert after.fields["resume"] != before.fields["resume"]

    play(sandbox, scene, READING)


def test_a_read_of_one_application_tells_the_resume_of_all_of_hers():
    sandbox = new_sandbox()
    person = {"name": "Ada Test", "email": "ada@example.com"}
    first = sandbox.apply(sandbox.add_job(title="Pilot"), **person, resume=b"%PDF")
    sandbox.apply(sandbox.add_job(title="Navigator"), **person)

    async def scene(connector, _):
        return await connector.get(Ref(Kind.APPLICATION, first))

    told = play(sandbox, scene, READING)
    versions = {record.ref: record.fields["resume"] for record in told if record.ref.kind is Kind.APPLICATION}
    assert len(versions) == 2
    assert len(set(versions.values())) == 1


def test_files_are_asked_for_only_where_the_option_says_so():
    sandbox = new_sandbox()
    applied = sandbox.apply(sandbox.add_job(title="Pilot"), name="Ada Test", email="ada@example.com")

    async def scene(connector, _):
        (record, *_) = await connector.get(Ref(Kind.APPLICATION, applied))
        return record.fields

    assert "resume" not in play(sandbox, scene)
    assert play(sandbox, scene, READING)["resume"] is None


def test_a_file_elsewhere_is_fetched_without_the_key_and_the_portals_own_with_it():
    for url, with_key in (("https://r2.example.test/x?sig=1", False), (f"{BASE_URL}/f/1", True), ("/f/1", True)):
        connector, requests = answering(listed(url=url), httpx.Response(200, content=b"%PDF"))
        assert wait(fetched(connector)) == b"%PDF"
        assert (TOKEN in str(requests[1].headers.values())) is with_key
        assert requests[1].url.is_absolute_url


async def fetched(connector):
    return await whole(await connector.resume(REF))


def test_a_file_without_an_address_is_refused():
    connector, _ = answering(listed())
    with pytest.raises(Rejected, match="where the résumé can be fetched"):
        wait(connector.resume(REF))


def test_a_file_goes_out_under_its_name_and_type():
    connector, requests = answering({"ok": True, "data": {"id": "file_9"}})
    wait(connector.attach(Record(REF, {}), File.of("1001-a.docx", b"words"), "k3y"))
    body = requests[0].content
    assert b'name="file"; filename="1001-a.docx"' in body
    assert b"wordprocessingml" in body


@pytest.mark.parametrize("size", [None, 10_000_001])
def test_a_file_of_unknown_or_excessive_size_is_not_sent(size):
    connector, requests = answering()
    with pytest.raises(Rejected, match="at most 10 MB"):
        wait(connector.attach(Record(REF, {}), File("a.pdf", lambda: None, size), "key"))
    assert not requests


def test_a_note_wants_an_author():
    connector, requests = answering()
    with pytest.raises(Rejected, match="config key author"):
        wait(connector.remark(Record(REF, {}), NOTE))
    assert not requests


@pytest.mark.parametrize(
    ("form", "answer"),
    [(Form.NOTE, {**OK, "total": 3}), (Form.ACTIVITY, {"ok": True, "data": {"id": "cand_1"}})],
)
def test_a_list_that_is_not_whole_does_not_prove_that_nothing_was_remarked(form, answer):
    connector, _ = answering(answer)
    with pytest.raises(Unavailable):
        wait(connector.has_remarked(Record(REF, {}), replace(NOTE, form=form)))
