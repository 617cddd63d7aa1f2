"""The words file of HireSquire fits its facts and ours."""

import tomllib
from pathlib import Path

import mappings
from connectors.hiresquire import FACTS
from syncd.mapping import STAGES, build
from syncd.model import Kind

DATA = tomllib.loads((Path(mappings.__file__).parent / "hiresquire.toml").read_text())
VOCABULARY = build(DATA, {}, "mappings/hiresquire.toml")
STAGE = VOCABULARY.words["stage"]


def test_the_stage_is_the_only_field_of_an_application_and_a_screening_tells_what_was_found_out():
    told = ("score", "verdict", "summary", "strengths", "weaknesses")
    assert {kind: dict(names) for kind, names in VOCABULARY.fields.items() if names} == {
        Kind.APPLICATION: {"stage": "status"},
        Kind.SCREENING: {name: name for name in told},
    }
    assert set(told) <= FACTS.kinds[Kind.SCREENING].lists
    assert FACTS.kinds[Kind.APPLICATION].stage == "status"


def test_each_status_there_means_one_of_our_stages_and_each_of_ours_can_be_said_there():
    assert all(STAGE.ours(word) for word in (*FACTS.words, "interviewed"))
    assert all(set(STAGE.theirs(ours)) <= set(FACTS.words) and STAGE.theirs(ours) for ours in STAGES)


def test_what_is_written_is_read_as_what_was_meant_or_agrees_with_it():
    for ours in STAGES:
        assert STAGE.ours(STAGE.theirs(ours)[0]) in {ours, "applied", "screening"}


def test_somebody_who_was_just_sent_there_agrees_with_being_looked_at():
    assert all("new" in STAGE.theirs(ours) for ours in ("sourced", "applied", "screening", "assessment"))
