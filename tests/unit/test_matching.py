"""Which record is the same thing: each rule with the accident that it prevents."""

import pytest

from syncd.matching import Found, How, Likeness, Match, judge
from syncd.model import Kind

LINK, CREATE, HOLD = How.LINK, How.CREATE, How.HOLD


def like(id_, key=None, title=None, *, linked=False, made=False):
    return Likeness(id_, key, title, linked, made=made)


def link(id_, by):
    return Match(LINK, id_, by)


def hold(by, *choices):
    return Match(HOLD, by=by, choices=choices)


BAKER = like("J1", "code 7", "baker")
NO_CODE = like("J1", None, "baker")
JOBS = {
    "the id that the other system keeps of ours outranks every key": (
        BAKER, Found(by_id=[like("r9", "other", "cook")], there=[like("r1", "code 7", "baker")]),
        link("r9", "source_id"),
    ),
    "two that both keep our id are held with the choices": (
        BAKER, Found(by_id=[like("r2"), like("r1")]), hold("duplicate", "r1", "r2"),
    ),
    "an equal code is the same job though it was renamed": (
        BAKER, Found(there=[like("r1", "code 7", "head baker")]), link("r1", "code"),
    ),
    "two of an equal code are held": (
        BAKER, Found(there=[like("r2", "code 7", "a"), like("r1", "code 7", "b")]), hold("ambiguous_job", "r1", "r2"),
    ),
    "a code that stands twice at our own end is held": (
        BAKER, Found(there=[like("r1", "code 7", "baker")], here=[like("J2", "code 7", "cook")]),
        hold("ambiguous_job", "r1"),
    ),
    "an equal code outranks an equal title": (
        BAKER, Found(there=[like("r1", None, "baker"), like("r2", "code 7", "cook")]), link("r2", "code"),
    ),
    "an equal title is the same job where one end has no code": (
        BAKER, Found(there=[like("r1", None, "baker")]), link("r1", "title"),
    ),
    "an equal title is the same job where we have no code": (
        NO_CODE, Found(there=[like("r1", "code 3", "baker")]), link("r1", "title"),
    ),
    "equal titles of unlike codes are two jobs, and a person says which": (
        BAKER, Found(there=[like("r1", "code 3", "baker")]), hold("ambiguous_job", "r1"),
    ),
    "the same title twice over there is held: applicants must not land in the wrong town": (
        NO_CODE, Found(there=[like("r2", None, "baker"), like("r1", None, "baker")]),
        hold("ambiguous_job", "r1", "r2"),
    ),
    "the same title twice at our end is held: no job is made beside its likeness": (
        NO_CODE, Found(there=[like("r1", None, "baker")], here=[like("J2", None, "baker")]),
        hold("ambiguous_job", "r1"),
    ),
    "a likeness that is linked to another job is not taken from it": (
        NO_CODE, Found(there=[like("r1", None, "baker", linked=True)], here=[like("J0", None, "baker", linked=True)]),
        Match(CREATE),
    ),
    "of two of one title, one linked, the free one is ours": (
        NO_CODE, Found(there=[like("r1", None, "baker", linked=True), like("r2", None, "baker")]), link("r2", "title"),
    ),
    "beside one that we made in the same minute it may be the same create, sent twice": (
        NO_CODE,
        Found(there=[like("r1", None, "baker", linked=True)], here=[like("J0", None, "baker", linked=True, made=True)]),
        hold("ambiguous_job", "r1"),
    ),
    "another code than that of what we made is another job": (
        BAKER,
        Found(there=[like("r1", "c", "baker", linked=True)], here=[like("J0", "c", "baker", linked=True, made=True)]),
        Match(CREATE),
    ),
    "nothing like it: it is to be created": (BAKER, Found(), Match(CREATE)),
}  # fmt: skip


@pytest.mark.parametrize(("job", "found", "match"), JOBS.values(), ids=JOBS.keys())
def test_jobs(job, found, match):
    assert judge(Kind.JOB, job, found) == match


ANN = like("7", "ann@")
PEOPLE = {
    "the other system keeps our id: the same person though her mail is another": (
        ANN, Found(by_id=[like("r9", "annie@")]), link("r9", "source_id"),
    ),
    "an equal mail is the same person": (ANN, Found(there=[like("r1", "ann@")]), link("r1", "email")),
    "without a mail nobody is created: two of one name are two people": (
        like("7"), Found(), hold("no_email"),
    ),
    "without a mail the kept id still tells": (like("7"), Found(by_id=[like("r9")]), link("r9", "source_id")),
    "two people of one mail over there are held": (
        ANN, Found(there=[like("r2", "ann@"), like("r1", "ann@")]), hold("duplicate", "r1", "r2"),
    ),
    "two people of one mail at our end are held": (
        ANN, Found(there=[like("r1", "ann@")], here=[like("8", "ann@")]), hold("duplicate", "8", "r1"),
    ),
    "a mail that belongs to another linked person is held": (
        ANN, Found(there=[like("r1", "ann@", linked=True)]), hold("email_taken", "r1"),
    ),
    "a mail that belongs to another linked person at our end is held": (
        ANN, Found(here=[like("8", "ann@", linked=True)]), hold("email_taken", "8"),
    ),
    "twins at our end and nobody over there: not both are created": (
        ANN, Found(here=[like("8", "ann@")]), hold("duplicate", "8"),
    ),
    "a stranger is to be created": (ANN, Found(), Match(CREATE)),
}  # fmt: skip


@pytest.mark.parametrize(("person", "found", "match"), PEOPLE.values(), ids=PEOPLE.keys())
def test_people(person, found, match):
    assert judge(Kind.CANDIDATE, person, found) == match


@pytest.mark.parametrize(
    "found",
    [
        Found(there=[like("r1", "ann@", linked=True), like("r2", "ann@")]),
        Found(there=[like("r2", "ann@")], here=[like("8", "ann@", linked=True)]),
    ],
    ids=["linked over there", "linked at our end"],
)
def test_a_free_person_of_a_mail_that_a_linked_one_has_as_well_is_held(found):
    """Two of one mail are a duplicate that a person must judge; linking the second joins two half people."""
    assert judge(Kind.CANDIDATE, ANN, found).how is HOLD


APPLICATIONS = {
    "the same person on the same job is the same application": (
        Found(there=[like("r1")]), link("r1", "person_and_job"),
    ),
    "the kept id tells": (Found(by_id=[like("r9")]), link("r9", "source_id")),
    "two of one person on one job are held": (
        Found(there=[like("r1"), like("r2")]), hold("duplicate", "r1", "r2"),
    ),
    "a second one beside a linked one is held, not linked over it": (
        Found(here=[like("a8", linked=True)], there=[like("r1", linked=True)]), hold("duplicate", "a8", "r1"),
    ),
    "none yet: it is to be created": (Found(), Match(CREATE)),
}  # fmt: skip


@pytest.mark.parametrize(("found", "match"), APPLICATIONS.values(), ids=APPLICATIONS.keys())
def test_applications(found, match):
    assert judge(Kind.APPLICATION, like("a7"), found) == match


def test_a_kept_id_of_a_linked_record_does_not_take_it_away():
    found = Found(by_id=[like("r9", linked=True)], there=[like("r1", "ann@")])
    assert judge(Kind.CANDIDATE, ANN, found) == link("r1", "email")


@pytest.mark.parametrize("kind", [Kind.JOB, Kind.CANDIDATE, Kind.APPLICATION])
def test_nothing_that_is_linked_is_ever_linked_again(kind):
    taken = [like("r1", "ann@", "baker", linked=True), like("r2", "ann@", "baker", linked=True)]
    match = judge(kind, like("7", "ann@", "baker"), Found(by_id=taken, there=taken))
    assert match.how is not LINK


def test_a_job_without_a_title_is_like_no_other():
    match = judge(Kind.JOB, like("J1", "code 7", None), Found(there=[like("r1", "code 3", None)]))
    assert match == Match(CREATE)
