"""The words file of WorkSignal fits its facts and ours."""

import tomllib
from pathlib import Path

import mappings
from connectors.worksignal import FACTS
from syncd.mapping import STAGES, STATUSES, build
from syncd.model import Kind

DATA = tomllib.loads((Path(mappings.__file__).parent / "worksignal.toml").read_text())
VOCABULARY = build(DATA, {}, "mappings/worksignal.toml")


def test_each_field_that_is_named_is_known_to_the_facts():
    for kind, names in VOCABULARY.fields.items():
        known = FACTS.kinds[kind] if names else None
        assert known is None or set(names.values()) <= known.lists | known.details | known.untold


def test_each_stage_there_means_one_of_ours_and_each_of_ours_can_be_said_there():
    stage = VOCABULARY.words["stage"]
    assert all(stage.ours(word) for word in FACTS.words)
    assert all(set(stage.theirs(ours)) <= set(FACTS.words) and stage.theirs(ours) for ours in STAGES)


def test_job_statuses_are_the_same_words():
    status = VOCABULARY.words["status"]
    assert {ours: status.theirs(ours) for ours in STATUSES} == {ours: (ours,) for ours in STATUSES}


def test_what_a_create_demands_has_a_word_of_ours():
    for kind, facts in FACTS.kinds.items():
        own = {name for name in facts.demands if not name.startswith("person.")}
        person = {name.removeprefix("person.") for name in facts.demands - own}
        assert own <= set(VOCABULARY.fields[kind].values())
        assert person <= set(VOCABULARY.fields[Kind.CANDIDATE].values())
