"""Words and values: what two systems' spellings have in common, and mistakes in the data named with their place."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd import app
from syncd.errors import ConfigInvalid
from syncd.facts import Facts, KindFacts, Walk
from syncd.mapping import (
    EMPTY,
    FIELDS,
    STAGES,
    STATUSES,
    TERMINAL,
    Words,
    build,
    canonical,
    carried,
    clean,
    digest_value,
    digests,
    key_text,
    mean_the_same,
    split_name,
    terms_of,
    word_of,
)
from syncd.model import Kind, Record, Ref

JOB, CANDIDATE, APPLICATION = Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION


def keyed(name, text):
    return f"<{name}:{text}>"


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "cleaned"),
    [
        ("name", "  Ann ", "Ann"),
        ("name", "", None),
        ("name", " \t\n", None),
        ("name", None, None),
        ("salary_min", 0, 0),
        ("salary_min", 0.5, 0.5),
        ("headline", "Ann  Lee", "Ann  Lee"),
        ("phone", " +1 202-555-0100 ", "+12025550100"),
        ("recruiter_phone", "+44 20 7946 0000", "+442079460000"),
    ],
)
def test_values_are_cleaned(name, value, cleaned):
    assert clean(name, value) == cleaned


@pytest.mark.parametrize(
    ("text", "region", "phone"),
    [
        ("+12025550100", None, "+12025550100"),
        ("+1 (202) 555-0100", None, "+12025550100"),
        ("(202) 555-0100", "US", "+12025550100"),
        ("020 7946 0000", "GB", "+442079460000"),
        ("(202) 555-0100", None, "(202) 555-0100"),
        ("+1 202 555 0100 ext. 7", None, "+1 202 555 0100 ext. 7"),
        ("call me", "US", "call me"),
        ("+1 2", "US", "+1 2"),
    ],
    ids=[
        "already E.164", "with its country", "of the connection's region", "of another region", "no region: as it is",
        "an extension is not thrown away", "no number at all", "too short to be one",
    ],
)  # fmt: skip
def test_phones_are_compared_in_one_form_where_they_can_be_read(text, region, phone):
    assert clean("phone", text, region) == phone


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("email", "Ann.Lee@Example.com", "ann.lee@example.COM"),
        ("email", "STRASSE@example.com", "straße@example.com"),
        ("name", "Ann  Lee", "Ann Lee"),
        ("name", "Ann\u00a0Lee", "Ann Lee"),
        ("name", "Rene\u0301", "René"),
        ("salary_min", 50000.0, 50000),
        ("salary_min", 50000, "50000"),
        ("salary_min", 1.5, 1.5),
    ],
)
def test_values_that_mean_the_same_have_one_digest(name, one, other):
    assert digest_value(name, one, keyed) == digest_value(name, other, keyed)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("name", "ann lee", "Ann Lee"),
        ("phone", "+12025550100", "+12025550101"),
        ("salary_min", 1.5, 1),
        ("name", "0", ""),
    ],
)
def test_values_that_differ_have_two(name, one, other):
    assert canonical(name, one) != canonical(name, other)


def test_what_is_told_empty_has_an_empty_digest():
    assert digests({"name": "Ann", "phone": None}, keyed) == {"name": "<name:Ann>", "phone": EMPTY}


def test_a_stage_and_a_status_stand_in_clear_and_nothing_else_does():
    told = digests({"stage": "Phone Screen", "status": "open", "email": "a@example.com"}, keyed)
    assert told == {"stage": "=Phone Screen", "status": "=open", "email": "<email:a@example.com>"}
    assert [word_of(digest) for digest in told.values()] == ["Phone Screen", "open", None]
    assert word_of(EMPTY) is None


@given(st.text(), st.sampled_from(["name", "email", "phone"]))
def test_cleaning_twice_is_cleaning_once(text, name):
    once = clean(name, text, "US")
    assert clean(name, once, "US") == once


@given(st.text(), st.sampled_from(["name", "email"]))
def test_a_value_that_comes_back_cleaned_is_the_same_value(text, name):
    cleaned = clean(name, text)
    if cleaned is not None:
        assert canonical(name, cleaned) == canonical(name, text)


@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.text()))
def test_every_value_has_a_canonical_text(value):
    assert isinstance(canonical("name", value), str)


@pytest.mark.parametrize(
    ("one", "other"), [(" Head  Baker", "head baker"), ("\uff22aker", "baker"), ("Straße", "STRASSE")]
)
def test_titles_and_codes_are_folded_for_matching(one, other):
    assert key_text(one) == key_text(other)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Ann Lee", ("Ann", "Lee")),
        ("Ann Mary Lee", ("Ann Mary", "Lee")),
        ("Cher", ("Cher", "")),
        (" Ann Lee ", ("Ann", "Lee")),
    ],
)
def test_a_full_name_is_split_before_its_last_word(name, parts):
    assert split_name(name) == parts


# --- words ----------------------------------------------------------------------------------------------------------

HUB = Words(
    read={"Applied": "applied", "Phone Screen": "screening", "Video Screen": "screening"},
    write={"applied": ("Applied",), "screening": ("Phone Screen", "Video Screen"), "assessment": ("Phone Screen",)},
)
SPOKE = Words(read={"new": "applied", "screen": "screening", "test": "assessment"}, write={"screening": ("screen",)})


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("Phone Screen", "screen", True),
        ("Video Screen", "screen", True),
        ("phone screen", "SCREEN", True),
        ("Phone Screen", "test", True),
        ("phone screen", "test", True),
        ("Video Screen", "test", False),
        ("Applied", "screen", False),
        ("Coffee", "screen", False),
        ("Coffee", "Coffee", False),
    ],
    ids=[
        "one meaning", "the second word of it", "case does not matter", "a word of the write list",
        "a word of the write list in another case", "not in the write list", "two meanings", "unmapped",
        "both unmapped",
    ],
)  # fmt: skip
def test_stages_agree_by_both_maps(left, right, same):
    """``test`` reads as assessment, which the hub can only write as ``Phone Screen``: told so, it is in step."""
    assert mean_the_same(HUB, left, SPOKE, right) is same
    assert mean_the_same(SPOKE, right, HUB, left) is same


def test_a_word_without_a_meaning_has_none():
    assert HUB.ours("Coffee") is None
    assert HUB.theirs("offer") == ()


# --- vocabularies ---------------------------------------------------------------------------------------------------

DATA = {
    "fields": {
        "job": {"title": "name", "status": "state", "employment_type": "type"},
        "candidate": {"name": "full_name", "phone": "tel"},
        "application": {"stage": "step"},
    },
    "stages": {"read": {"Applied": "applied"}, "write": {"applied": "Applied", "rejected": ["Out", "Gone"]}},
    "statuses": {"read": {"live": "open"}, "write": {"open": ["live"]}},
    "words": {"employment_type": {"read": {"FT": "full_time"}, "write": {"full_time": "FT"}}},
}  # fmt: skip


def test_a_record_is_read_in_our_names():
    told = build(DATA, {}, "x", "US").read(Record(Ref(CANDIDATE, "1"), {"full_name": " Ann ", "tel": "(202) 555-0100"}))
    assert told == {"name": "Ann", "phone": "+12025550100"}


def test_a_field_that_this_view_does_not_tell_is_not_told():
    assert build(DATA, {}, "x").read(Record(Ref(CANDIDATE, "1"), {"tel": ""})) == {"phone": None}


def test_a_stage_and_a_status_keep_their_word_and_other_words_are_turned_into_ours():
    vocabulary = build(DATA, {}, "x")
    job = Record(Ref(JOB, "1"), {"name": "Baker", "state": "live", "type": "ft"})
    assert vocabulary.read(job) == {"title": "Baker", "status": "live", "employment_type": "full_time"}


def test_an_unmapped_word_of_another_field_is_not_told_and_not_written():
    vocabulary = build(DATA, {}, "x")
    assert vocabulary.read(Record(Ref(JOB, "1"), {"type": "freelance"})) == {}
    assert vocabulary.write(JOB, {"employment_type": "part_time"}) == {}


def test_what_was_read_is_written_back_in_their_names():
    vocabulary = build(DATA, {}, "x")
    job = {"name": "Baker", "state": "live", "type": "FT"}
    assert vocabulary.write(JOB, vocabulary.read(Record(Ref(JOB, "1"), job))) == job
    assert vocabulary.write(CANDIDATE, {"phone": None}) == {"tel": None}


def test_their_names_are_found_back():
    assert build(DATA, {}, "x").ours(CANDIDATE, ["tel", "shoe_size"]) == {"phone"}


def test_a_connection_overrides_single_words_and_fields():
    overrides = {
        "stages": {"read": {"Tech Chat": "interview"}, "write": {"rejected": "Out"}},
        "fields": {"candidate": {"email": "mail"}},
    }
    vocabulary = build(DATA, overrides, "connections.x")
    assert vocabulary.words["stage"].ours("tech chat") == "interview"
    assert vocabulary.words["stage"].ours("Applied") == "applied"
    assert vocabulary.words["stage"].theirs("rejected") == ("Out",)
    assert vocabulary.fields[CANDIDATE] == {"name": "full_name", "phone": "tel", "email": "mail"}


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ({"fields": {"job": {"colour": "color"}}}, "connections.x: fields.job.colour is not one of our fields"),
        ({"stages": {"read": {"Chat": "talking"}}}, "connections.x: 'talking' is not one of our words for a stage"),
        ({"stages": {"write": {"talking": "Chat"}}}, "connections.x: 'talking' is not one of our words for a stage"),
        ({"statuses": {"read": {"Live": "alive"}}}, "connections.x: 'alive' is not one of our words for a status"),
        ({"statuses": {"write": {"alive": "Live"}}}, "connections.x: 'alive' is not one of our words for a status"),
    ],
)
def test_a_mistake_in_the_words_is_named_with_its_place(mistake, says):
    for data, overrides in ((mistake, {}), ({}, mistake)):
        with pytest.raises(ConfigInvalid) as caught:
            build(data, overrides, "connections.x")
        assert str(caught.value).startswith(says)


TABLE, TEXT, LIST = "must be a table of keys and values", "must be text, in quotes", "must be a text or a list of texts"


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ([], f"x: {TABLE}"),
        ({"stages": ["read"]}, f"x: stages: {TABLE}"),
        ({"stages": {"read": "applied"}}, f"x: stages.read: {TABLE}"),
        ({"stages": {"read": {"Applied": 3}}}, f"x: stages.read.Applied: {TEXT}"),
        ({"stages": {"write": {"rejected": 3}}}, f"x: stages.write.rejected: {LIST}"),
        ({"stages": {"write": {"rejected": ["Out", 3]}}}, f"x: stages.write.rejected: {LIST}"),
        ({"stages": {"write": {"rejected": {"Out": 1}}}}, f"x: stages.write.rejected: {LIST}"),
        ({"statuses": {"read": {"Live": None}}}, f"x: statuses.read.Live: {TEXT}"),
        ({"fields": 1}, f"x: fields: {TABLE}"),
        ({"fields": {"job": 1}}, f"x: fields.job: {TABLE}"),
        ({"fields": {"job": {"title": ["name"]}}}, f"x: fields.job.title: {TEXT}"),
        ({"words": True}, f"x: words: {TABLE}"),
        ({"words": {"source": 2.5}}, f"x: words.source: {TABLE}"),
        ({"words": {"source": {"read": {"web": False}}}}, f"x: words.source.read.web: {TEXT}"),
    ],
)
def test_a_value_of_a_wrong_type_is_named_with_its_place(mistake, says):
    for data, overrides in ((mistake, {}), ({}, mistake)):
        with pytest.raises(ConfigInvalid) as caught:
            build(data, overrides, "x")
        assert str(caught.value).startswith(says)
        assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = st.sampled_from(
    [(), *((top,) for top in ("fields", "stages", "statuses", "words"))]
    + [("fields", kind.value) for kind in Kind]
    + [("fields", "job", "title"), ("words", "source"), ("words", "source", "read"), ("words", "source", "write")]
    + [(top, way) for top in ("stages", "statuses") for way in ("read", "write")]
    + [
        ("stages", "read", "Chat"),
        ("stages", "write", "offer"),
        ("statuses", "read", "Live"),
        ("words", "x", "read", "y"),
    ]
)


@given(PLACES, JSON)
def test_any_value_at_any_place_loads_or_is_refused_with_a_sentence(place, value):
    for step in reversed(place):
        value = {step: value}
    for data, overrides in ((value, {}), (DATA, value)):
        try:
            vocabulary = build(data, overrides, "connections.x")
        except ConfigInvalid as error:
            assert str(error).startswith("connections.x: ")  # noqa: PT017  # either way is right
        else:
            written = [
                theirs for words in vocabulary.words.values() for each in words.write.values() for theirs in each
            ]
            assert all(isinstance(theirs, str) for theirs in written)
            assert vocabulary.words["stage"].ours("Applied") in (None, *STAGES)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'[stages.read\n"Chat" = 1', "mappings/acme.toml: this is not TOML: Expected ']'"),
        (b'[stages.read]\n"Chat\xe9" = "offer"', "mappings/acme.toml: this is not TOML: the file is not in UTF-8"),
    ],
)
def test_a_mapping_file_that_cannot_be_read_is_a_mistake_of_the_configuration(tmp_path, monkeypatch, content, says):
    (tmp_path / "acme.toml").write_bytes(content)
    monkeypatch.setattr(app, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[tmp_path]))
    with pytest.raises(ConfigInvalid) as caught:
        app.mapping_of("acme")
    assert str(caught.value).startswith(says)


def test_a_wrong_word_is_told_with_the_right_ones():
    with pytest.raises(ConfigInvalid, match=", ".join(STATUSES)):
        build({}, {"statuses": {"read": {"Live": "alive"}}}, "connections.x")


def test_our_words_hold_together():
    assert set(STAGES) > TERMINAL
    assert all(FIELDS[kind] for kind in Kind)


# --- terms ----------------------------------------------------------------------------------------------------------

PERSON = KindFacts(
    lists=frozenset({"full_name"}),
    details=frozenset({"tel"}),
    writes={"tel": "patch", "shoe_size": "patch"},
    creates=frozenset({"full_name", "tel"}),
    demands=frozenset({"full_name"}),
    may_empty=frozenset({"tel"}),
    untold=frozenset({"tel"}),
)
STEP = KindFacts(lists=frozenset({"step"}), demands=frozenset({"step", "person.tel"}), stage="step")
FACTS = Facts("x", (Walk("all", (CANDIDATE, APPLICATION), "x"),), {CANDIDATE: PERSON, APPLICATION: STEP})


def test_facts_are_turned_into_our_words():
    terms = terms_of(FACTS, build(DATA, {}, "x"), CANDIDATE)
    assert (terms.lists, terms.details, terms.tells) == ({"name"}, {"phone"}, {"name", "phone"})
    assert terms.calls == {"phone": "patch"}
    assert (terms.creates, terms.demands) == ({"name", "phone"}, {"name"})
    assert (terms.may_empty, terms.untold) == ({"phone"}, {"phone"})


def test_what_an_application_demands_of_its_person_is_named_apart():
    terms = terms_of(FACTS, build(DATA, {}, "x"), APPLICATION)
    assert (terms.demands, terms.person_demands, terms.creates) == ({"stage"}, {"phone"}, None)


def test_a_kind_that_a_system_does_not_know_has_no_terms():
    assert terms_of(FACTS, build(DATA, {}, "x"), JOB) is None


def test_a_full_name_is_left_out_where_both_tell_its_parts():
    """Else one edit of a first name would be two changes, which may disagree."""
    parts = {"first_name": "first", "last_name": "last", "name": "full_name"}
    vocabulary = build({"fields": {"candidate": parts}}, {}, "x")
    both = Facts("x", (), {CANDIDATE: KindFacts(lists=frozenset({"first", "last", "full_name"}))})
    full = Facts("x", (), {CANDIDATE: KindFacts(lists=frozenset({"full_name"}))})
    terms = [terms_of(facts, vocabulary, CANDIDATE) for facts in (both, full)]
    assert carried(terms[0], terms[0]) == {"first_name", "last_name"}
    assert carried(terms[0], terms[1]) == {"name"}
