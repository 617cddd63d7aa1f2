"""Voice screens and résumés of WorkSignal."""

import pytest

from connectors.worksignal import SCREENS, wire
from syncd.connector import File
from syncd.errors import Rejected
from syncd.model import Draft, Kind, Record, Ref
from tests.worksignal.world import new_sandbox, play

ROW = {
    "id": 301,
    "status": "completed",
    "overall_score": 78,
    "candidate": {"id": 55, "name": "Ana Ruiz"},
    "role": {"id": 42, "title": "Engineer"},
}


def someone(**more):
    sandbox = new_sandbox()
    job = sandbox.add_job(title="Pilot")
    return sandbox, job, sandbox.apply(job, name="Ana Ruiz", email="ana@example.test", **more)


# --- voice screens


def test_a_voice_screen_names_its_person_and_role():
    sandbox, job, applied = someone()
    held = sandbox.screen(applied, 81)

    async def scene(connector, _):
        (page,) = [page async for page in connector.pull(SCREENS, None)]
        (told,) = page.records
        assert told.ref == Ref(Kind.SCREENING, held)
        assert told.parents == {Kind.JOB: job, Kind.CANDIDATE: applied.partition(":")[0]}
        assert told.fields == {"status": "completed", "overall_score": 81}
        (whole,) = await connector.get(told.ref)
        assert whole.fields["highlights"] == "Speaks of made-up work"
        assert whole.fields["red_flags"] == "Has no made-up licence"
        assert await connector.get(Ref(Kind.SCREENING, "x")) == ()

    play(sandbox, scene)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (["Calm", " clear "], "Calm; clear"),
        ([{"text": "Calm"}, {"quote": "I did"}, {"other": 1}, 7, ""], "Calm; I did"),
        ({"communication": 80, "team_fit": "good", "deep": {}}, "communication: 80; team fit: good"),
        ("in words", "in words"),
        ([], None),
        (None, None),
    ],
)
def test_what_was_found_out_is_told_in_one_text(told, text):
    assert wire.screen({**ROW, "highlights": told}).fields["highlights"] == text


@pytest.mark.parametrize("score", ["78", None, True, {}])
def test_a_score_that_is_no_number_is_told_empty(score):
    assert wire.screen({**ROW, "overall_score": score}).fields["overall_score"] is None


def test_no_voice_screen_is_asked_for_or_changed():
    sandbox, _, applied = someone()
    held = sandbox.screen(applied)

    async def scene(connector, _):
        (record,) = await connector.get(Ref(Kind.SCREENING, held))
        with pytest.raises(Rejected, match="phones"):
            await connector.create(Draft(Kind.SCREENING, {}), "key")
        with pytest.raises(Rejected):
            await connector.update(record, {"overall_score": 100})

    play(sandbox, scene)
    assert {arrival.method for arrival in sandbox.arrivals} == {"GET"}


# --- résumés


def test_another_resume_is_told_as_another():
    sandbox, _, applied = someone()
    ref = Ref(Kind.APPLICATION, applied)

    async def scene(connector, _):
        told = []
        for content in (None, b"one", b"two"):
            if content is not None:
                sandbox.put_resume(applied, content)
            told.append((await connector.get(ref))[0].fields["resume"])
        assert told[0] is None
        assert len(set(told)) == 3

    play(sandbox, scene)


def test_a_resumes_version_does_not_change_with_a_signature():
    def version(link):
        row = {"id": 5, "applications": [{"id": 1, "role_id": 2, "stage": "applied"}], "resume_url": link}
        return wire.person(row)[1].fields["resume"]

    assert version("https://files.example.test/a?sig=1") == version("https://files.example.test/a?sig=2")
    assert version("https://files.example.test/a") != version("https://files.example.test/b")
    assert version("") is None


def test_the_address_of_a_resume_refuses_the_key():
    sandbox, _, applied = someone(resume=b"%PDF made up")

    async def scene(connector, bare):
        file = await connector.resume(Ref(Kind.APPLICATION, applied))
        assert file.name == "resume.pdf"
        assert (await bare.get(file.link)).status_code == 403

    play(sandbox, scene)


@pytest.mark.parametrize("link", [None, "http://files.example.test/a.pdf", "ftp://x/a", "not an address", "file:///a"])
def test_an_address_that_may_not_be_passed_on_is_not_given(link):
    sandbox, _, applied = someone()

    async def scene(connector, _):
        file = File("1001-a.pdf", lambda: None, 10, link)
        with pytest.raises(Rejected, match="https address"):
            await connector.attach(Record(Ref(Kind.APPLICATION, applied), {}), file, "key")

    play(sandbox, scene)
    assert not sandbox.arrivals


def test_an_address_on_this_machine_is_given_so_that_it_can_be_tried():
    sandbox, _, applied = someone()
    link = "http://127.0.0.1:8001/resumes/1/cv.pdf?signature=1"

    async def scene(connector, _):
        await connector.attach(Record(Ref(Kind.APPLICATION, applied), {}), File("a.pdf", lambda: None, 10, link), "key")

    play(sandbox, scene)
    assert sandbox.people[int(applied.partition(":")[0])].fields["resume_url"] == link
