"""The words file of the portal fits its facts and ours."""

import tomllib
from pathlib import Path

import mappings
from connectors.portal import FACTS
from connectors.portal.wire import STATUSES as THEIRS
from syncd.mapping import STAGES, STATUSES, build
from syncd.model import Kind

DATA = tomllib.loads((Path(mappings.__file__).parent / "portal.toml").read_text())
VOCABULARY = build(DATA, {}, "mappings/portal.toml")


def test_each_field_that_is_named_is_known_to_the_facts():
    for kind, names in VOCABULARY.fields.items():
        assert not names or set(names.values()) <= FACTS.kinds[kind].lists | FACTS.kinds[kind].details


def test_each_stage_there_means_one_of_ours_and_each_of_ours_can_be_said_there():
    stage = VOCABULARY.words["stage"]
    assert all(stage.ours(word) for word in FACTS.words)
    assert all(set(stage.theirs(ours)) <= set(FACTS.words) and stage.theirs(ours) for ours in STAGES)


def test_each_status_there_means_one_of_ours_and_each_of_ours_can_be_said_there():
    status = VOCABULARY.words["status"]
    assert {status.ours(word) for word in THEIRS} == {"open", "paused", "closed"}
    assert all(set(status.theirs(ours)) <= set(THEIRS) and status.theirs(ours) for ours in STATUSES)


def test_each_employment_type_there_can_be_read_and_written():
    words = VOCABULARY.words["employment_type"]
    for theirs, ours in words.read.items():
        assert words.theirs(ours) == (theirs,)


def test_what_a_create_demands_has_a_word_of_ours():
    for kind, facts in FACTS.kinds.items():
        assert facts.demands <= set(VOCABULARY.fields[kind].values())


def test_the_two_places_of_a_stage_are_written_by_calls_of_their_own():
    writes = FACTS.kinds[Kind.APPLICATION].writes
    assert writes["stage"] != writes["candidate.stage"]
