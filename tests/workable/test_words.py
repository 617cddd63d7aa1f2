"""The words file of Workable fits its facts and ours."""

import tomllib
from pathlib import Path

import mappings
from connectors.workable import FACTS
from connectors.workable.sandbox_rows import DEFAULT_PIPELINE
from syncd.mapping import STAGES, build
from syncd.model import Kind

DATA = tomllib.loads((Path(mappings.__file__).parent / "workable.toml").read_text())
VOCABULARY = build(DATA, {}, "mappings/workable.toml")
STAGE = VOCABULARY.words["stage"]
KNOWN = [*(name for name, _ in DEFAULT_PIPELINE), *FACTS.words]


def test_each_field_that_is_named_is_known_to_the_facts():
    for kind, names in VOCABULARY.fields.items():
        assert not names or set(names.values()) <= FACTS.kinds[kind].lists | FACTS.kinds[kind].details


def test_what_a_create_demands_has_a_word_of_ours():
    demands = {name.removeprefix("person.") for name in FACTS.kinds[Kind.APPLICATION].demands}
    assert demands <= set(VOCABULARY.fields[Kind.CANDIDATE].values())


def test_each_word_of_the_default_pipeline_and_each_flag_is_read():
    assert all(STAGE.ours(word) for word in KNOWN)


def test_each_of_our_stages_can_be_said_on_the_default_pipeline():
    assert all(set(STAGE.theirs(ours)) & set(KNOWN) for ours in STAGES)


def test_what_is_said_first_is_read_as_what_was_meant():
    assert {ours: STAGE.ours(STAGE.theirs(ours)[0]) for ours in STAGES} == {ours: ours for ours in STAGES}


def test_a_stage_that_the_default_pipeline_lacks_agrees_with_the_one_before():
    assert STAGE.theirs("shortlisted") == ("Shortlisted", "Applied")


def test_each_state_of_a_job_is_read():
    status = VOCABULARY.words["status"]
    assert {word: status.ours(word) for word in ("draft", "published", "closed", "archived")} == {
        "draft": "draft",
        "published": "open",
        "closed": "closed",
        "archived": "closed",
    }
