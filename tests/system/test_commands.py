"""Each command as a person types it, against the three played systems, from an empty folder to all in step."""

import io
import re
import sys

import orjson
import pytest

from syncd import backfill, cli, commands
from syncd.owner import FileLock
from tests.integration.company import Company

WRITES = ("POST", "PATCH", "PUT", "DELETE")
PILOT = """
[store]
url = "sqlite:///unused.db"

[connections.acme]
system = "workable"
base_url = "http://127.0.0.1:9101"
token = "sandbox-token"
member = "ops@acme.example"

[connections.screener]
system = "ninjahire"
base_url = "http://127.0.0.1:9102"
token = "sandbox-token"

[connections.screener.defaults]
industry = "Software"
state = "CA"
country = "United States"
description = "See the job in Workable."
recruiter_name = "Talent team"
recruiter_email = "talent@example.com"
recruiter_phone = "+12025550100"
source = "Workable"
phone = "+12025550199"

[pairs.screening]
left = "acme"
right = "screener"
jobs = "->"
candidates = "->"
applications = "<->"
"""


@pytest.fixture
def company(tmp_path, capsys):
    return Company(tmp_path, capsys, text=PILOT)


@pytest.fixture
def in_step(company):
    code, _, err = company.run("backfill")
    assert (code, err) == (0, "")
    return company


def facts(company, *words, code=0):
    got, out, err = company.run(*words, "--json")
    assert (got, err) == (code, ""), err
    return orjson.loads(out)


# --- before the first write -----------------------------------------------------------------------------------------


def test_there_is_nothing_to_look_at_before_the_first_run(company, tmp_path):
    code, out, err = company.run("status")
    assert (code, out) == (1, "")
    assert err == "there is nothing to look at yet; `syncd backfill` or `syncd serve` makes the store\n"
    assert not list(tmp_path.glob("syncd.db*"))


def test_check_proves_a_good_configuration_and_writes_nothing(company):
    told = facts(company, "check")
    proven = [["token", "member", "stages", "clock"], ["token", "stages", "clock"]]
    assert [each["proven"] for each in told["connections"]] == proven
    assert told["pairs"] == [{"name": "screening", "always": [], "sometimes": []}]
    assert (told["counted"], told["held"]) == (True, {})
    assert [company.calls(name, *WRITES) for name in company.played] == [[], [], []]


def test_check_names_a_bad_token_a_missing_member_and_what_is_demanded(tmp_path, capsys):
    text = PILOT.replace('token = "sandbox-token"\nmember', 'token = "wrong-token"\nmember').replace("industry", "city")
    company = Company(tmp_path, capsys, text=text)
    told = facts(company, "check", code=1)
    (acme, screener) = told["connections"]
    assert acme["problems"][0].startswith("connections.acme: GET answered 401")
    assert screener["problems"] == []
    assert told["counted"] is False
    company = Company(tmp_path, capsys, text=PILOT.replace("ops@acme.example", "nobody@example.com"))
    (acme, _) = facts(company, "check", "--quick", code=1)["connections"]
    assert acme["problems"] == [
        "connections.acme: the config key member names no active member of this Workable account"
    ]


def test_check_names_an_unmapped_stage_with_its_jobs_and_the_field_nobody_tells(tmp_path, capsys):
    company = Company(tmp_path, capsys, text=PILOT.replace('recruiter_phone = "+12025550100"\n', ""))
    job = company.hub.add_job(title="Engineer", pipeline=[("Applied", "applied"), ("Tech Chat", "interview")])
    told = facts(company, "check", "--quick", code=1)
    assert told["connections"][0]["unmapped"] == [{"stage": "Tech Chat", "jobs": [job]}]
    (sentence,) = told["pairs"][0]["always"]
    assert sentence.startswith("screener demands the recruiter phone of each job and acme never tells it: set")
    _, out, _ = company.run("check", "--quick")
    assert f'the stage "Tech Chat" (job {job}) is in no mapping' in " ".join(out.split())


class Shifted:
    """A system's clock that goes wrong by some seconds."""

    def __init__(self, clock, by_s):
        self._clock, self._by_s = clock, by_s
        self.busy = clock.busy

    def now(self):
        return self._clock.now() + self._by_s

    async def sleep_until(self, at):
        await self._clock.sleep_until(at - self._by_s)


@pytest.mark.parametrize(
    ("by_s", "told"), [(180.0, "180 s ahead of"), (-61.5, "62 s behind"), (55.0, None), (0.0, None)]
)
def test_check_tells_a_clock_that_is_far_from_ours(company, by_s, told):
    company.hub.clock = Shifted(company.clock, by_s)
    found = facts(company, "check", "--quick", code=1 if told else 0)
    acme, screener = found["connections"]
    assert acme["clock_ahead_s"] == pytest.approx(by_s, abs=1.0)
    assert screener["clock_ahead_s"] == pytest.approx(0.0, abs=1.0)
    assert ("clock" in acme["proven"]) == (told is None)
    assert [told in warning for warning in found["warnings"]] == ([True] if told else [])


def test_check_tells_the_clock_though_the_token_is_refused(tmp_path, capsys):
    text = PILOT.replace('token = "sandbox-token"\nmember', 'token = "wrong-token"\nmember')
    (acme, _) = facts(Company(tmp_path, capsys, text=text), "check", "--quick", code=1)["connections"]
    assert acme["clock_ahead_s"] == pytest.approx(0.0, abs=1.0)


HEARING = PILOT.replace(
    "[connections.acme]", '[server]\npublic_url = "https://sync.example.com/"\n\n[connections.acme]'
)
HOOKS = "https://sync.example.com/webhooks/"
BY_HAND = HOOKS.replace("https", "http")  # what may be read on its way is not registered by syncd itself
WORKABLE_EVENTS = ["candidate_created", "candidate_deleted", "candidate_moved", "job_deleted"]


@pytest.mark.parametrize(
    ("extra", "judged", "heard", "urls", "sentence"),
    [
        ("", False, False, [], "none is believed until connections.screener.webhook_secret holds the secret"),
        (
            'webhook_secret = "made-up-secret-0123456789"\n', True, True,
            [f"{BY_HAND}screener/application_activty", f"{BY_HAND}screener/call_activity"],
            "proven by a secret that both sides know; enter at ninjahire:",
        ),
        (
            'webhook_path_secret = "made-up-path-0123456789"\n', False, True,
            [f"{BY_HAND}screener/<webhook_path_secret>"],
            "not signed, so their address is the secret; enter at ninjahire:",
        ),
    ],
)  # fmt: skip
def test_check_tells_which_webhooks_are_believed_and_where_they_are_to_be_sent(
    tmp_path, capsys, extra, judged, heard, urls, sentence
):
    text = HEARING.replace("https://sync", "http://sync").replace(
        "[connections.screener.defaults]", f"{extra}\n[connections.screener.defaults]"
    )
    company = Company(tmp_path, capsys, text=text)
    acme, screener = (each["webhooks"] for each in facts(company, "check", "--quick")["connections"])
    assert (acme["signed_with"], acme["judged"], acme["heard"]) == ("token", True, True)
    assert acme["urls"] == [f"{BY_HAND}acme/{event}" for event in WORKABLE_EVENTS]
    assert (screener["signed_with"], screener["judged"], screener["heard"]) == ("secret", judged, heard)
    assert (screener["secret"], screener["path_secret"]) == ("webhook_secret" in extra, "path" in extra)
    assert screener["urls"] == urls
    _, out, _ = company.run("check", "--quick")
    assert f"webhooks: {sentence}" in " ".join(out.split())
    assert all(f"      {url}\n" in out for url in [*acme["urls"], *urls])
    assert "made-up" not in out


def test_check_tells_whether_the_addresses_that_syncd_registers_are_there(tmp_path, capsys):
    company = Company(tmp_path, capsys, text=HEARING)
    acme, screener = (each["webhooks"] for each in facts(company, "check", "--quick")["connections"])
    missing = [(each["url"], each["state"]) for each in acme["subscriptions"]["subscriptions"]]
    assert missing == [(f"{HOOKS}acme/{event}", "missing") for event in WORKABLE_EVENTS]
    assert (acme["registers"], screener["registers"]) == (True, True)
    assert not acme["urls"] + screener["urls"]
    _, out, _ = company.run("check", "--quick")
    told = "proven by the API token; of their addresses 0 of 4 needed are registered; `syncd webhooks list` tells more"
    assert f"webhooks: {told}" in " ".join(out.split())
    assert not company.calls("acme", *WRITES)


def test_check_says_what_webhooks_want_before_they_can_come(company):
    _, out, _ = company.run("check", "--quick")
    assert "webhooks: proven by the API token; none can come before server.public_url is set" in " ".join(out.split())


def test_check_counts_what_would_be_held(tmp_path, capsys):
    company = Company(tmp_path, capsys, text=PILOT.replace('description = "See the job in Workable."\n', ""))
    company.hub.edit("job", company.jobs[0], description=None)
    company.hub.edit("job", company.jobs[1], description="A job.")
    told = facts(company, "check", code=1)
    assert told["held"]["missing_description"] == 1
    (sentence,) = told["pairs"][0]["sometimes"]
    assert sentence.startswith("each job for which acme tells no description is held: screener demands it")


def test_a_plan_tells_what_a_backfill_then_does(company, monkeypatch):
    monkeypatch.setattr(commands, "MOST_DETAILS", 3)
    planned = facts(company, "plan")
    assert (len(planned["details"]), planned["more"]) == (3, 11)
    assert company.calls("screener", *WRITES) == []
    done = facts(company, "backfill")
    counts = {(each["call"], each["kind"]): each["count"] for each in planned["actions"]}
    assert counts == {("create", "job"): 2, ("create", "candidate"): 6, ("create", "application"): 6}
    assert done["writes"] == {f"screener {call} {kind}": count for (call, kind), count in counts.items()}
    assert len(company.calls("screener", *WRITES)) == 14
    assert planned["calls"] == {"screener": 14}


def on_a_terminal(company, monkeypatch, *words):
    """What a person reads, without colours."""
    stream = io.StringIO()
    stream.isatty = lambda: True
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        code = cli.run(list(words), company.outside())
    return code, re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())


def kept(folder):
    """All that the store's files hold."""
    return b"".join(path.read_bytes() for path in folder.glob("syncd.db*"))


def test_values_are_shown_on_demand_on_a_terminal_and_stay_nowhere(company, monkeypatch, tmp_path):
    row = company.rows()[0]
    person = company.hub.snapshot()["candidate"][row]
    code, out = on_a_terminal(company, monkeypatch, "plan", "--show-values")
    assert code == 0
    assert f"screener: create candidate for {row}\n" in out
    assert f"   email: {person['email']}\n" in out
    assert "14 writes would be made; nothing was written." in out
    assert person["email"].encode() not in kept(tmp_path)
    assert person["email"] not in on_a_terminal(company, monkeypatch, "plan")[1]
    code, out = on_a_terminal(company, monkeypatch, "plan", "--show-values", "--json")
    told = orjson.loads(out)
    assert len(told["values"]) == len(told["details"]) == 14
    assert [None, person["email"]] in [fields.get("email") for fields in told["values"]]
    assert company.calls("screener", *WRITES) == []


def test_values_are_not_shown_where_the_output_goes_elsewhere(company):
    for more in ((), ("--json",)):
        code, out, err = company.run("plan", "--show-values", *more)
        assert (code, out) == (2, "")
        assert "people's data is shown on a terminal only" in " ".join(err.split())
    assert company.calls("acme", "GET") == []


def test_a_changed_value_is_shown_with_the_one_that_is_there(in_step, monkeypatch):
    row = in_step.rows()[0]
    before = in_step.hub.snapshot()["candidate"][row]["phone"]
    in_step.hub.edit("candidate", row, phone="+12025550171")
    in_step.later(60)
    _, out = on_a_terminal(in_step, monkeypatch, "plan", "--show-values")
    assert f"   phone_no: {before} -> +12025550171\n" in out
    assert "1 write would be made" in out


def test_of_many_writes_some_are_shown_with_short_values(company, monkeypatch):
    monkeypatch.setattr(backfill, "MOST_VALUED", 3)
    monkeypatch.setattr(backfill, "LONGEST_VALUE", 5)
    _, out = on_a_terminal(company, monkeypatch, "plan", "--show-values")
    assert "... and 11 writes more; --pair, --kind or --job choose fewer." in out
    assert "   source: Worka…\n" in out


def test_a_dry_run_is_a_plan(company):
    _, planned, _ = company.run("plan")
    _, dry, _ = company.run("backfill", "--dry-run")
    assert dry == planned
    assert "14 writes would be made; nothing was written." in dry


# --- a backfill -----------------------------------------------------------------------------------------------------


def test_a_backfill_brings_all_in_step_and_a_second_one_writes_nothing(in_step):
    assert len(in_step.played["screener"].snapshot()["application"]) == 6
    again = facts(in_step, "backfill")
    assert (again["writes"], again["left"], again["until"]) == ({}, 0, None)
    code, out, _ = in_step.run("status")
    assert (code, out.splitlines()[0]) == (0, "All is in step.")


def test_a_pilot_creates_only_what_belongs_to_one_job(company):
    facts(company, "backfill", "--job", company.jobs[0])
    kept = company.played["screener"].snapshot()
    assert len(kept["job"]) == 1
    rows = company.hub.snapshot()["application"].values()
    assert len(kept["application"]) == sum(row["job"] == company.jobs[0] for row in rows)


def test_a_backfill_tells_a_collector_how_it_went(company, tmp_path):
    file = tmp_path / "syncd.prom"
    facts(company, "backfill", "--metrics-file", str(file))
    assert "syncd_backfill_succeeded 1.0" in file.read_text()
    assert 'syncd_pair_in_step{pair="screening"} 1.0' in file.read_text()
    assert company.run("backfill", "--pair", "nowhere", "--metrics-file", str(file))[0] != 0
    told = file.read_text()
    assert "syncd_backfill_succeeded 0.0" in told
    assert "syncd_backfill_last_success_timestamp_seconds 0.0" not in told


def test_a_backfill_of_a_part_needs_no_first_look_of_its_own(in_step):
    """And the whole needs none after it: a first look may cost a good part of a day's calls."""
    part = facts(in_step, "backfill", "--pair", "screening", "--kind", "applications")
    whole = facts(in_step, "backfill")
    assert (part["writes"], whole["writes"]) == ({}, {})
    assert sum(part["pages"].values()) <= sum(whole["pages"].values()), "each list was walked once"
    assert whole["pages"]["acme"] == 2, "jobs and candidates, once"
    assert facts(in_step, "status")["learnt"] is True


def test_an_unknown_pair_is_refused_before_anything_is_read(company):
    code, _, err = company.run("backfill", "--pair", "nowhere")
    assert (code, err) == (1, 'there is no pair "nowhere"; there are: screening\n')
    assert company.calls("acme", "GET") == []


def test_a_backfill_with_something_held_ends_with_one(tmp_path, capsys):
    company = Company(tmp_path, capsys, text=PILOT)
    company.hub.apply(company.jobs[0], name="No Mail", email=None)
    code, out, _ = company.run("backfill")
    assert code == 1
    assert "held:\n   1 x no email" in out or "no email" in out


# --- looking and deciding -------------------------------------------------------------------------------------------


@pytest.fixture
def contested(in_step):
    """A recruiter and a screener moved the same application."""
    row = in_step.rows()[0]
    spoke = in_step.played["screener"]
    (there,) = [id_ for id_, each in spoke.snapshot()["application"].items() if each["source_id"] == row]
    in_step.hub.move(row, "Offer" if in_step.hub.snapshot()["application"][row]["stage"] != "Offer" else "Interview")
    spoke.move(there, "Shortlisted")
    in_step.row, in_step.there = row, there
    in_step.later(60)
    code, _, _ = in_step.run("backfill")
    assert code == 1
    return in_step


def test_a_conflict_is_held_explained_decided_and_carried_out(contested):
    (hold,) = facts(contested, "held", code=1)
    assert (hold["reason"], hold["left"]["id"], hold["right"]["id"]) == ("conflict", contested.row, contested.there)
    _, out, _ = contested.run("held")
    assert f"> syncd resolve {hold['id']} take left   (or: take right, drop)" in out
    code, out, _ = contested.run("resolve", str(hold["id"]), "take", "right")
    assert (code, out) == (0, "The stage of screener goes to acme.\n")
    assert facts(contested, "backfill")["writes"] == {"acme update application": 1}
    assert contested.hub.snapshot()["application"][contested.row]["stage"] == "Applied"
    assert facts(contested, "held") == []


def test_one_record_is_explained_from_any_of_its_ids(contested):
    stories = [facts(contested, "explain", id_) for id_ in (contested.row, contested.there)]
    for story in stories:
        assert {record["id"] for record in story["records"]} >= {contested.row, contested.there}
        assert "held: conflict" in [line["sentence"] for line in story["journal"]]
    code, out, _ = contested.run("explain", contested.there)
    assert code == 0
    assert "changed at the left and the right: stage" in out
    assert "Both ends changed the stage since they last agreed" in out


def test_links_are_found_cut_and_added(in_step):
    row = in_step.rows()[0]
    found = {each["kind"]: each for each in facts(in_step, "links", row)}
    assert set(found) == {"candidate", "application"}
    person = found["candidate"]
    code, out, _ = in_step.run("links", "cut", str(person["link"]))
    assert (code, out) == (0, f"Link {person['link']} is cut; its two records are not linked again by themselves.\n")
    assert all(each["link"] is None for each in facts(in_step, "links", row))
    code, out, _ = in_step.run("links", "add", "screening", "candidate", row, person["right"]["id"])
    assert code == 0
    assert f"acme candidate {row} and screener candidate {person['right']['id']} are linked" in " ".join(out.split())


def test_what_nobody_knows_is_told_so(in_step):
    for words in (("links", "nobody"), ("explain", "nobody")):
        assert in_step.run(*words)[:2] == (1, "No record bears the id nobody.\n")


def test_pause_and_resume_are_kept_in_the_store(in_step):
    code, out, _ = in_step.run("pause", "screener")
    assert (code, out) == (0, "Connection screener rests until `syncd resume screener`.\n")
    assert facts(in_step, "status", code=1)["pairs"][0]["why_not"] == ["screener is stopped"]
    code, _, err = in_step.run("backfill")
    assert code == 1
    assert "connection screener is stopped (paused)" in err
    assert in_step.run("resume", "screener")[:2] == (0, "Connection screener goes on.\n")
    assert facts(in_step, "backfill")["left"] == 0


def test_a_decision_about_nothing_is_a_sentence(in_step):
    code, out, err = in_step.run("resolve", "99", "drop")
    assert (code, out, err) == (1, "", "nothing is held under number 99; `syncd held` shows what is\n")


# --- beside others --------------------------------------------------------------------------------------------------


def test_looking_works_while_another_process_owns_the_store(in_step, tmp_path):
    lock = FileLock(tmp_path / "syncd.db")
    assert lock.take()
    try:
        assert in_step.run("status")[0] == 0
        assert in_step.run("explain", in_step.rows()[0])[0] == 0
    finally:
        lock.release()


def test_changing_asks_the_owner_and_says_so_if_nobody_answers(in_step, tmp_path):
    lock = FileLock(tmp_path / "syncd.db")
    assert lock.take()
    try:
        code, _, err = in_step.run("pause")
    finally:
        lock.release()
    assert code == 1
    assert err.startswith("another syncd has this store and takes no commands")


def test_looking_makes_no_key_and_says_which_one_is_missing(in_step, tmp_path):
    (tmp_path / "syncd.db.key").unlink()
    code, _, err = in_step.run("status")
    assert code == 2
    assert "store.key_file:" in err
    assert "is missing; put back the file" in " ".join(err.split())
    assert not (tmp_path / "syncd.db.key").exists()


def test_no_output_names_a_person_or_a_secret(contested):
    people = [each for row in contested.hub.snapshot()["candidate"].values() for each in row.values() if each]
    names = [str(value) for value in people if len(str(value)) > 3 and str(value) != "None"]
    texts = []
    for words in (("status",), ("held",), ("plan",), ("check",), ("explain", contested.row), ("links", contested.row)):
        for options in ((), ("--json",)):
            code, out, err = contested.run(*words, *options)
            assert code in (0, 1)
            texts += [out, err]
    told = "\n".join(texts)
    assert [name for name in names if name in told] == []
    assert "sandbox-token" not in told
