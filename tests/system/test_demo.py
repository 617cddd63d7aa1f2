"""The demo, judged by what the played systems hold and by their logs: in one process on a frozen clock, and real."""

import base64
import io
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from syncd import demo
from syncd.app import build_world, load_plugins, sealer_of
from syncd.clock import SteppedClock, run_stepped
from syncd.demo_papers import verdict
from syncd.demo_people import DRIVERS, NAMES, Company
from syncd.demo_play import DAY_BEGINS, START, SYSTEMS, Play, company_of, settings
from syncd.demo_tell import Teller
from syncd.demo_verdict import Kept, calls, differences, duplicates, felt
from syncd.errors import ConfigInvalid
from syncd.mapping import Vocabulary, Words
from syncd.model import Kind
from syncd.sandbox import Effect, Fault
from syncd.settings import Server, Store
from syncd.tell import console_on

ADDRESSES = {name: f"http://127.0.0.1:{9101 + number}" for number, name in enumerate(SYSTEMS)}
PAGE = "http://127.0.0.1:8080"
MEMORY = Store.model_validate({"url": "sqlite:///:memory:", "key": base64.b64encode(bytes(32)).decode()})


@dataclass
class Played:
    """One day, as it went."""

    company: Company
    summary: dict[str, Any]
    said: list[tuple[float, str]]
    page: str
    backfilled_at: float = 0.0
    before: dict[str, Any] = field(default_factory=dict)

    def sentence(self, part: str) -> tuple[float, str]:
        return next((at, text) for at, text in self.said if part in text)

    def effects(self, connection: str, **about: Any) -> list[Effect]:
        found = self.company.systems[connection].effects
        return [e for e in found if all(getattr(e, name) == value for name, value in about.items())]


def play_a_day(seed: int, folder: Path) -> Played:
    clock, rng, plugins = SteppedClock(START, frozen=True), random.Random(seed), load_plugins()
    company = company_of(plugins, clock, rng)
    said: list[tuple[float, str]] = []

    def network(name: str) -> httpx.AsyncBaseTransport:
        return httpx.ASGITransport(app=company.systems[name])

    async def run() -> Played:
        config = settings(ADDRESSES, folder, Server()).model_copy(update={"store": MEMORY})
        play = Play(company, plugins, config, clock, rng, say=lambda at, text: said.append((at, text)),
                    network=network, threaded=False)  # fmt: skip
        before = play.records()
        await play.backfill(lambda told: None)
        backfilled_at = clock.now()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=play.site), base_url=PAGE) as client:
            play.subscribe(PAGE, client)
            async with play.serving():
                await play.day().play(DAY_BEGINS)
                await play.until_in_step(clock.now())
            page = (await client.get("/")).text
        summary = await play.summary()
        await play.close()
        return Played(company, summary, said, page, backfilled_at, before)

    return run_stepped(clock, run())


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play_a_day(1, tmp_path_factory.mktemp("demo"))


# --- the whole ------------------------------------------------------------------------------------------------------


def test_the_systems_begin_full_and_partly_filled(day: Played) -> None:
    assert day.before["acme"] == {"job": 9, "candidate": 90, "application": 90}
    assert 10 < day.before["screener"]["candidate"] < 60
    assert 0 < day.before["voice"]["candidate"] < 10
    assert day.before["house"] == {"job": 1, "candidate": 0, "application": 0}
    assert not any(day.before["papers"].values())


def test_only_scripted_holds_remain(day: Played) -> None:
    assert day.summary["troubles"] == []
    assert sorted(hold["reason"] for hold in day.summary["held"]) == [
        "conflict", "other_name", "second_application", "second_application",
    ]  # fmt: skip


def test_another_day_goes_as_well(tmp_path: Path) -> None:
    """On which somebody hands in a new résumé for one of three applications, two of which the portal has."""
    assert play_a_day(6, tmp_path).summary["troubles"] == []


def test_no_call_was_refused_and_no_window_was_overdrawn(day: Played) -> None:
    assert day.summary["refused"] == 0
    for connection, sandbox in day.company.systems.items():
        for limit in next(iter(sandbox.hits.values())).limits:
            times = [arrival.at for arrival in sandbox.arrivals if arrival.token != "unknown"]  # no signed addresses
            for at in times:
                start = at - at % limit.window_s if limit.fixed else at
                assert sum(start <= other < start + limit.window_s for other in times) <= limit.calls, connection


def test_nobody_is_there_twice(day: Played) -> None:
    screener, voice = day.company.ninjahire.snapshot(), day.company.worksignal.snapshot()
    for told in (screener, voice):
        emails = [person["email"].casefold() for person in told["candidate"].values()]
        titles = [job["title"].casefold() for job in told["job"].values()]
        both = [(one["candidate"], one["job"]) for one in told["application"].values()]
        for names in (emails, titles, both):
            assert len(set(names)) == len(names)
    rows = day.company.workable.snapshot()
    on_jobs = [(rows["candidate"][one["candidate"]]["email"], one["job"]) for one in rows["application"].values()]
    assert len(set(on_jobs)) == len(on_jobs)


def test_nobody_was_phoned_mailed_or_invited_and_nothing_was_posted(day: Played) -> None:
    actions = {e.action for sandbox in day.company.systems.values() for e in sandbox.effects if e.by != "human"}
    assert not actions & {"phoned", "mail", "mailed", "invited", "posted", "published", "spent", "purchase"}
    assert {row["application_stage"] for row in day.company.ninjahire.rows["application"].values()} == {"PASSIVE"}
    assert not day.company.worksignal.posts
    assert [screen.status for screen in day.company.worksignal.screens.values()] == ["completed"]  # by a recruiter


def test_every_applicant_of_an_open_job_is_in_ninjahire_at_the_same_stage(day: Played) -> None:
    also = {"!disqualified": "Rejected", "Tech Chat": "Interview", "Phone Screen": "Screening"}
    stages = day.company.stages()
    for row, word in stages.items():
        person = day.company.person_of.get(row)
        there = day.company.elsewhere("screener", row) if person else None
        if there is not None:
            told = day.company.ninjahire.rows["application"][there]["source_application_status"]
            assert told in {word, also.get(word)}, row
    assert sum(day.company.elsewhere("screener", row) is None for row in day.company.person_of) == 0


def test_no_sentence_bears_a_name_a_mail_or_a_number(day: Played) -> None:
    text = " ".join([*(sentence for _, sentence in day.said), day.page, orjson.dumps(day.summary).decode()])
    for person in set(day.company.person_of.values()):
        for marked in (person.name, person.email, person.phone):
            assert marked not in text


def test_the_page_shows_the_day_while_and_after_it_happens(day: Played) -> None:
    assert "acme" in day.page
    assert "screening" in day.page


# --- its scenes -----------------------------------------------------------------------------------------------------


def test_a_token_that_is_spent_waits_until_midnight(day: Played) -> None:
    at, _ = day.sentence("WorkSignal's calls for today are spent")
    midnight = START - START % 86_400 + 86_400
    arrivals = [arrival.at for arrival in day.company.worksignal.arrivals]
    assert at < midnight
    assert not [one for one in arrivals if at + 3600 < one < midnight]
    assert [one for one in arrivals if one > midnight]


def test_a_lost_answer_is_looked_up_and_nothing_is_made_twice(day: Played) -> None:
    lost = [arrival for arrival in day.company.ninjahire.arrivals if arrival.fault is Fault.LOST_AFTER]
    assert [(arrival.method, arrival.status) for arrival in lost] == [("POST", 0)]
    at, _ = day.sentence("its answer will be lost")
    made = [e for e in day.effects("screener", by="api", action="create", kind="application") if at <= e.at < at + 600]
    assert len(made) == 1


def test_a_lost_webhook_is_made_good_by_the_next_poll(day: Played) -> None:
    at, text = day.sentence("the webhook is lost")
    row = text.split("candidate ")[1].split(" ")[0]
    there = day.company.elsewhere("screener", row)
    moved = [e.at for e in day.effects("screener", by="api", action="move", id=there) if e.at >= at]
    assert moved
    assert moved[0] <= at + 700


def test_a_corrected_number_reaches_the_other_row_and_ninjahire_and_stays(day: Played) -> None:
    _, text = day.sentence("A phone number is corrected")
    person = day.company.person_of[text.split("candidate ")[1].split(",")[0]]
    people = day.company.workable.snapshot()["candidate"]
    assert {people[row]["phone"] for row in day.company.rows_of(person)} == {"+12025559000"}
    there = [one for one in day.company.ninjahire.rows["candidate"].values() if one["email"] == person.email]
    assert [one["phone_no"] for one in there] == ["+12025559000"]


def test_whoever_corrected_a_number_gives_the_new_one_when_they_apply_once_more(day: Played) -> None:
    """Else their newest application would bring the old one back, as it should."""
    row = day.sentence("A phone number is corrected on candidate ")[1].split("candidate ")[1].split(",")[0]
    assert day.company.person_of[row].phone == "+12025559000"
    assert row in day.company.rows_of(day.company.person_of[row])


def test_the_owner_of_a_field_settles_a_conflict(day: Played) -> None:
    _, text = day.sentence("stages are Workable's")
    row = text.split("candidate ")[1].split(",")[0]
    there = day.company.elsewhere("screener", row)
    assert day.company.stage_of(row) == "Offer"
    assert day.company.ninjahire.rows["application"][there]["source_application_status"] == "Offer"


def test_a_conflict_without_an_owner_leaves_both_ends_as_people_left_them(day: Played) -> None:
    _, text = day.sentence("nobody owns stages there")
    row = text.split("candidate ")[1].split(" ")[0]
    there = day.company.elsewhere("voice", row)
    assert day.company.stage_of(row) == "Interview"
    assert day.company.worksignal.snapshot()["application"][there]["stage"] == "offer"


def test_a_disqualification_is_seen_though_no_list_and_no_webhook_tells_it(day: Played) -> None:
    _, text = day.sentence("disqualifies")
    row = text.split("candidate ")[1].split(" ")[0]
    there = day.company.elsewhere("screener", row)
    assert day.company.ninjahire.rows["application"][there]["source_application_status"] == "Rejected"


def test_who_applies_at_a_spoke_reaches_the_hub_and_the_other_spoke(day: Played) -> None:
    for at, _ in [one for one in day.said if "career page" in one[1]]:
        born = next(e for e in day.effects("voice", by="human", kind="candidate", action="create") if e.at == at)
        email = born.after["email"]
        rows = [one for one in day.company.workable.snapshot()["candidate"].values() if one["email"] == email]
        there = [one for one in day.company.ninjahire.rows["candidate"].values() if one["email"] == email]
        assert (len(rows), len(there)) == (1, 1)


def test_a_rewritten_description_reaches_ninjahire(day: Played) -> None:
    told = [row["desc"] for row in day.company.ninjahire.rows["job"].values() if row["title"] == "Delivery Driver"]
    job = day.company.workable.snapshot()["job"][day.company.jobs["acme"][DRIVERS]]
    assert len(told) == 1
    assert "at night" in told[0]
    assert "at night" in job["description"]


def test_no_human_move_was_undone(day: Played) -> None:
    """After a person's move of an application only that value, or a later person's elsewhere, is ever written."""
    for connection in ("acme", "screener"):
        moves = [e for e in day.company.systems[connection].effects if e.action == "move" and e.at > day.backfilled_at]
        for index, effect in enumerate(moves):
            if effect.by != "human":
                continue
            later = [e for e in moves[index + 1 :] if e.id == effect.id]
            if later and later[0].by == "api":
                assert later[0].after != effect.before, (connection, effect.id)


def test_each_screening_is_one_comment_and_each_resume_costs_once(day: Played) -> None:
    assert day.summary["comments"] > 5
    comments = [effect.id for effect in day.effects("acme", by="api", action="comment")]
    assert len(comments) == day.summary["comments"]
    assert set(day.company.hiresquire.billed().values()) == {1}
    assert day.summary["credits"] == len(day.company.hiresquire.billed())


def test_a_resume_that_was_replaced_is_replaced_everywhere(day: Played) -> None:
    _, text = day.sentence("hands in a new")
    row = text.split("andidate ")[1].split(" ")[0]
    content = day.company.workable.resume_of(row)
    assert b"certificate" in content
    for name in ("screener", "house"):
        assert day.company.systems[name].resume_of(day.company.elsewhere(name, row)) == content, name


def test_a_move_of_a_person_in_the_portal_reaches_the_hub_and_the_other_spokes(day: Played) -> None:
    at, text = day.sentence("on the person's own page")
    row = text.split("candidate ")[1].split(" ")[0]
    moved = [e for e in day.effects("acme", by="api", action="move", id=row) if at <= e.at <= at + 1800]
    assert len(moved) == 1


def test_the_verdict_finds_comments_too_many_and_credits_spent_twice() -> None:
    clock, plugins = SteppedClock(START, frozen=True), load_plugins()
    company = company_of(plugins, clock, random.Random(1))
    row = next(iter(company.person_of))
    company.workable.note("api", "comment", "application", row, {}, {})
    files = {"files": [f"{row}.pdf"]}
    for _ in range(2):
        company.hiresquire.note("api", "charge", "credit", "1", {}, files)
    config = settings(ADDRESSES, Path(), Server()).model_copy(update={"store": MEMORY})
    connections = build_world(config, plugins, sealer_of(config, random.Random(1).randbytes)).connections
    links: dict[str, dict[str, str]] = {"screener": {}, "voice": {}, "house": {}}
    assert verdict(company.systems, links, connections).troubles == (
        f"Workable row {row} has 1 comments for 0 screenings", f"HireSquire was paid 2 times for {row}.pdf",
    )  # fmt: skip


# --- the same again -------------------------------------------------------------------------------------------------


def test_no_name_of_the_demo_means_two_things(tmp_path: Path) -> None:
    config = settings(ADDRESSES, tmp_path, Server())
    assert not set(config.connections) & set(config.pairs)


def test_the_same_seed_begins_with_the_same_company_and_another_does_not() -> None:
    def told(seed: int) -> list[Any]:
        clock = SteppedClock(START, frozen=True)
        company = company_of(load_plugins(), clock, random.Random(seed))
        return [sandbox.snapshot() for sandbox in company.systems.values()]

    assert told(1) == told(1)
    assert told(1) != told(2)


# --- the verdict can find fault -------------------------------------------------------------------------------------


def kept(name: str, people: dict[str, str], stages: dict[str, str], *, rows: bool = False) -> Kept:
    vocabulary = Vocabulary({Kind.CANDIDATE: {"email": "email"}}, load_words())
    told = {
        "job": {"j": {"title": "Welder"}},
        "candidate": {id_: {"email": email, "phone": None} for id_, email in people.items()},
        "application": {id_: {"job": "j", "candidate": id_, "stage": stage} for id_, stage in stages.items()},
    }
    return Kept(name, told, vocabulary, rows=rows)


def load_words() -> Any:
    return {"stage": Words({"New": "applied", "Talk": "interview"}, {"applied": ("New",), "interview": ("Talk",)})}


def test_the_verdict_finds_a_person_who_is_there_twice() -> None:
    twice = kept("screener", {"1": "a@example.com", "2": "A@example.com"}, {"1": "New"})
    assert duplicates(twice) == ["screener candidate"]


def test_the_verdict_finds_two_rows_of_one_person_on_one_job() -> None:
    twice = kept("acme", {"1": "a@example.com", "2": "a@example.com"}, {"1": "New", "2": "New"}, rows=True)
    assert duplicates(twice) == ["acme application"]


def test_the_verdict_finds_stages_that_differ_and_people_who_are_missing() -> None:
    hub = kept("acme", {"1": "a@example.com", "2": "b@example.com"}, {"1": "New", "2": "New"}, rows=True)
    spoke = kept("screener", {"7": "a@example.com"}, {"7": "Talk"})
    found = dict(differences(hub, spoke, frozenset({"welder"}), ()))
    assert set(found) == {"stage of application 1: New / Talk", "application 2 is missing in screener"}
    assert found["stage of application 1: New / Talk"] == {"1", "7"}


def test_the_verdict_finds_a_telephone_that_rang() -> None:
    sandbox: Any = type("Loud", (), {"effects": [Effect(0.0, "api", "phoned", "application", "1")]})()
    assert felt({"screener": sandbox}) == ["screener phoned"]


def test_the_verdict_counts_the_fullest_window() -> None:
    clock = SteppedClock(START, frozen=True)
    sandbox = load_plugins()["ninjahire"].sandbox(clock=clock, rng=random.Random(1))
    for at in (0.0, 30.0, 59.0, 61.0, 200.0):
        sandbox.arrivals.append(type("Call", (), {"at": at, "token": "token 1"})())
    assert calls(sandbox) == {"all": 5, "rules": [{"rule": "60 in any 60 s", "most": 3}]}


# --- what people read -----------------------------------------------------------------------------------------------


def test_the_summary_names_every_figure_in_plain_text(day: Played) -> None:
    out = io.StringIO()
    Teller(console_on(out, {})).end(day.summary)
    text = out.getvalue()
    assert "0  429s drawn" in text
    assert "0  duplicates made" in text
    assert "4  held for a person" in text
    assert "All else agrees on all sides." in text
    assert all(name in text for name in NAMES.values())
    assert "\x1b" not in text


def test_a_run_that_went_wrong_says_so(day: Played) -> None:
    out = io.StringIO()
    Teller(console_on(out, {})).end({**day.summary, "troubles": ["there twice: voice job"]})
    assert "there twice: voice job" in out.getvalue()
    assert "Not all went as it should." in out.getvalue()
    assert demo.Outcome({"troubles": ["there twice: voice job"]}).exit_code == 1
    assert demo.Outcome().exit_code == 1


# --- over sockets ---------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_told_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigInvalid, match="cannot listen"):
            demo.demo(once=True, console=console_on(io.StringIO(), {}), listen=listen)


def test_a_demo_that_is_told_to_end_leaves_nothing_lying_around(tmp_path: Path) -> None:
    """Ctrl-C may be switched off, as it is for what a script starts in the background."""
    command = [sys.executable, "-m", "syncd", "demo", "--listen", "127.0.0.1:0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    no_ctrl_c = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, preexec_fn=no_ctrl_c) as demo_run:  # noqa: PLW1509  # no thread here holds a lock that it needs
        try:
            while not any(tmp_path.glob("syncd-demo-*/demo.db")):
                assert demo_run.poll() is None
                time.sleep(0.05)
            demo_run.terminate()
            assert demo_run.wait(timeout=60) == 1
        finally:
            demo_run.kill()
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_nothing_can_be_written_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ConfigInvalid, match="--tmpfs /tmp"):
        demo.demo(once=True, console=console_on(io.StringIO(), {}), listen="127.0.0.1:0")
