"""What `syncd init` proposes for stage words, and how it writes a config down."""

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.app import mapping_of, systems
from syncd.init_text import Joint, Side, config_text, quoted
from syncd.init_words import Proposal, folded_of, lexicon_of, meaning, propose
from syncd.mapping import STAGES, Words
from syncd.settings import Config

LEXICON = lexicon_of(mapping_of(system)["stages"]["read"] for system in systems())


@pytest.mark.parametrize(
    ("word", "stage"),
    [
        ("PHONE  screen", "screening"),
        ("Phone-Screen", "screening"),
        ("Interviewing", "interview"),
        ("Tech Chat", "interview"),
        ("On-site", "interview"),
        ("2nd Interview", "interview"),
        ("Coding challenge", "assessment"),
        ("Application Review", "applied"),
        ("Offer sent", "offer"),
        ("Asessment", "assessment"),
        ("Placed", "hired"),
        ("Candidate withdrew", "withdrawn"),
    ],
)
def test_a_word_is_matched_by_its_parts_and_its_spelling(word, stage):
    assert meaning(word, LEXICON) == stage


@pytest.mark.parametrize("word", ["Culture Fit", "Offer declined", "Phone Interview", "Stage 4", "", "!", "面接"])
def test_what_hints_at_no_stage_or_at_several_is_left_to_a_person(word):
    assert meaning(word, LEXICON) is None


@given(st.text(max_size=40))
def test_any_word_has_a_meaning_of_ours_or_none(word):
    assert meaning(word, LEXICON) in {None, *STAGES}


def test_a_word_that_systems_mean_differently_is_in_no_lexicon():
    lexicon = lexicon_of([{"Pool": "sourced"}, {"pool": "applied"}, {"Talk": "interview"}])
    assert "pool" not in lexicon
    assert lexicon["talk"] == "interview"
    assert folded_of(" (Phone) Screen! ") == "phone screen"


WORDS = Words(
    {"Applied": "applied", "Phone Screen": "screening"}, {"applied": ("Applied",), "screening": ("Phone Screen",)}
)


def test_what_the_mapping_knows_is_not_proposed():
    assert propose(["Applied", "phone screen"], WORDS, ["applied", "screening"], LEXICON) == Proposal(known=2)


def test_an_account_without_the_usual_word_gets_its_own_to_be_written():
    proposal = propose(["Applied", "Recruiter call", "Culture Fit"], WORDS, ["applied", "screening", "offer"], LEXICON)
    assert proposal.read == {"Recruiter call": "screening"}
    assert proposal.write == {"screening": ("Recruiter call",)}
    assert proposal.unmatched == ("Culture Fit",)
    assert proposal.unsayable == ("offer",)


def test_a_system_that_tells_no_words_takes_those_of_its_mapping():
    assert propose([], WORDS, STAGES, LEXICON) == Proposal()


# --- the text -------------------------------------------------------------------------------------------------------

HOSTILE = 'a "word"\\ with\nlines\x7f\x00 # and [tables]'
SIDES = (
    Side(
        "acme",
        "workable",
        "https://acme.workable.com",
        "ops@acme.example",
        proposal=Proposal(1, {HOSTILE: "interview"}, ("Culture Fit", HOSTILE), {"interview": (HOSTILE,)}, ("offer",)),
    ),
    Side("screener", "ninjahire", defaults={"industry": "Soft\nware"}, further=("phone",)),
)


def test_the_text_is_a_config_whatever_the_words():
    text = config_text(SIDES, Joint("both", "acme", "screener", {"jobs": "->", "applications": "<->"}))
    config = Config.model_validate(tomllib.loads(text))
    assert config.connections["acme"].stages.read == {HOSTILE: "interview"}
    assert config.connections["acme"].stages.write == {"interview": (HOSTILE,)}
    assert config.connections["screener"].defaults == {"industry": "Soft\nware"}
    assert config.pairs["both"].applications.value == "<->"


def test_what_is_felt_is_offered_and_off():
    offered = {"screenings": "<-", "resumes": "->"}
    text = config_text(SIDES, Joint("both", "acme", "screener", {"jobs": "->"}, offered, screens=True))
    assert Config.model_validate(tomllib.loads(text)).pairs["both"].screenings.value == "off"
    switched = Config.model_validate(tomllib.loads(re.sub(r"^# (?=screen|resumes)", "", text, flags=re.MULTILINE)))
    assert (switched.pairs["both"].screenings.value, switched.pairs["both"].screen_at) == ("<-", "screening")


def test_what_is_not_matched_stands_there_to_be_filled_in():
    lines = config_text(SIDES).splitlines()
    assert '# "Culture Fit" = ""' in lines
    assert '# offer = [""]' in lines
    assert any(line.startswith('# phone = ""') for line in lines)
    for line in ('# "Culture Fit" = ""', '# offer = [""]'):
        filled = "\n".join(line[2:].replace('""', '"offer"') if each == line else each for each in lines)
        Config.model_validate(tomllib.loads(filled))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_survives_being_quoted(text):
    assert tomllib.loads(f"key = {quoted(text)}")["key"] == text
