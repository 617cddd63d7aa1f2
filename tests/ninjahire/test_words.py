import tomllib
from pathlib import Path

import pytest

from connectors.ninjahire import FACTS
from syncd.mapping import STAGES, STATUSES, build
from syncd.model import Kind

DATA = tomllib.loads((Path(__file__).parents[2] / "mappings" / "ninjahire.toml").read_text())
WORDS = build(DATA, {}, "mappings/ninjahire.toml")


@pytest.mark.parametrize("kind", [Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION])
def test_each_mapped_field_is_told_and_each_demanded_one_is_mapped(kind):
    named = set(WORDS.fields[kind].values())
    assert named <= FACTS.kinds[kind].lists
    assert FACTS.kinds[kind].demands <= named


@pytest.mark.parametrize(("name", "ours"), [("stage", STAGES), ("status", STATUSES)])
def test_each_of_our_words_can_be_written(name, ours):
    assert set(WORDS.words[name].write) == set(ours)


def test_a_written_stage_is_a_word_of_the_facts_and_read_back_as_it_was_meant():
    for ours, theirs in WORDS.words["stage"].write.items():
        assert set(theirs) <= set(FACTS.words)
        assert {WORDS.words["stage"].ours(word) for word in theirs} == {ours}


def test_each_written_status_can_be_read():
    stage = WORDS.words["status"]
    assert all(stage.ours(word) for words in stage.write.values() for word in words)


@pytest.mark.parametrize(
    ("word", "ours"),
    [("Applied", "applied"), ("hired", "hired"), ("Interviewing", "interview"), ("Tech Chat", None)],
)
def test_the_vendors_stage_words_are_read_in_any_case(word, ours):
    assert WORDS.words["stage"].ours(word) == ours


def test_terminal_words_of_the_connector_are_those_of_the_map():
    terminal = {word for ours in ("hired", "rejected", "withdrawn") for word in WORDS.words["stage"].write[ours]}
    assert {word.lower() for word in terminal} == {"hired", "rejected", "withdrawn"}
