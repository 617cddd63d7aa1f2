"""How much, how fast, and whether at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.memory import FACTS, MAPPING
from syncd.mapping import build
from syncd.plan import Emptied, Guard, backlog, counted, in_scope, is_recent, stretched
from syncd.rows import RecordRow
from syncd.setup import Connection, Pair

HUB, SPOKE = (Connection(name, FACTS[name], build(MAPPING, {}, name)) for name in ("rows", "plain"))


def pair(**only):
    return Pair("p", HUB, SPOKE, {}, only={name: tuple(values) for name, values in only.items()})


def job(id_="J1", **more):
    return RecordRow("rows", "job", id_, 0.0, **more)


# --- scope ----------------------------------------------------------------------------------------------------------

SCOPE = {
    "an open job": (pair(), job(), "open", True),
    "a closed job, where nothing is said about status": (pair(), job(), "closed", True),
    "a draft stays at home": (pair(), job(), "draft", False),
    "a draft that was named": (pair(job_status=["draft"]), job(), "draft", True),
    "a sample job made by the vendor": (pair(), job(traits=["sample"]), "open", False),
    "a confidential search": (pair(), job(traits=["confidential"]), "open", False),
    "a confidential search that was named": (
        pair(confidential=["true"]), job(traits=["confidential"]), "open", True,
    ),
    "a job that is both needs both names": (
        pair(confidential=["true"]), job(traits=["confidential", "sample"]), "open", False,
    ),
    "a trait that says nothing about scope": (pair(), job(traits=["archived"]), "open", True),
    "a pilot's job": (pair(job=["J1"]), job(), "open", True),
    "a job that is not the pilot's": (pair(job=["J2"]), job(), "open", False),
    "a department": (pair(department=["Bakery"]), job(department="Bakery"), "open", True),
    "another department": (pair(department=["Bakery"]), job(department="Sales"), "open", False),
    "no department": (pair(department=["Bakery"]), job(), "open", False),
    "a status that was named": (pair(job_status=["open"]), job(), "open", True),
    "a status that was not named": (pair(job_status=["open"]), job(), "paused", False),
    "a status that nobody mapped, where one was named": (pair(job_status=["open"]), job(), None, False),
    "all rules hold at once": (pair(job=["J1"], job_status=["open"]), job(), "closed", False),
}  # fmt: skip


@pytest.mark.parametrize(("pair_", "job_", "status", "inside"), SCOPE.values(), ids=SCOPE.keys())
def test_scope(pair_, job_, status, inside):
    assert in_scope(pair_, job_, status) is inside


@pytest.mark.parametrize(
    ("row", "recent"),
    [
        (job(updated_at=200.0, created_at=1.0), True),
        (job(updated_at=100.0), True),
        (job(updated_at=99.0, created_at=99.0), False),
        (job(created_at=99.0), False),
        (job(), True),
    ],
    ids=["changed since", "changed at that second", "before", "made before, no change time", "no time is told"],
)
def test_a_backfill_since_a_time_takes_what_was_changed_since(row, recent):
    assert is_recent(pair(since=["100.0"]), row) is recent
    assert is_recent(pair(), row) is True


# --- guards ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "links", "refused"),
    [(50, 60, False), (51, 60, True), (51, 102, False), (51, 101, True), (500, 10_000, False), (0, 0, False)],
    ids=["few", "many and most", "many, but just half", "more than half", "a busy morning", "nothing"],
)
def test_a_plan_far_larger_than_usual_is_refused(changes, links, refused):
    """A broken map that turns every stage into "applied" must not move three thousand people overnight."""
    assert Guard().refuses(changes, links) is refused


@pytest.mark.parametrize(
    ("vanished", "linked", "refused"),
    [(9, 9, False), (10, 10, True), (10, 20, False), (11, 20, True), (0, 100, False)],
    ids=["a small account is really emptied", "all of ten", "just half", "more than half", "none"],
)
def test_a_side_that_is_suddenly_empty_is_not_believed(vanished, linked, refused):
    """A token whose rights were cut tells empty lists; nobody deleted five hundred people."""
    assert Emptied().refuses(vanished, linked) is refused


# --- speed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calls", "rates", "interval"),
    [
        (3, [(10, 10.0)], 60.0),
        (30, [(10, 10.0)], 60.0),
        (60, [(10, 10.0)], 120.0),
        (10, [(100, 86400.0)], 17280.0),
        (10, [(10, 10.0), (100, 86400.0)], 17280.0),
        (1000, [], 60.0),
        (5, [(0, 60.0)], 60.0),
    ],
    ids=[
        "few pages", "just half of the budget", "twice as many", "a day's quota", "the tightest rule counts",
        "no limits", "a limit of none is not divided by",
    ],
)  # fmt: skip
def test_polls_are_stretched_until_reading_takes_half_of_the_budget(calls, rates, interval):
    assert stretched(60.0, calls, rates) == pytest.approx(interval)


rates = st.lists(st.tuples(st.integers(1, 1000), st.floats(1.0, 86400.0)), min_size=1, max_size=3)


@given(st.floats(1.0, 86400.0), st.integers(0, 10_000), rates)
def test_reading_never_takes_more_than_half_of_any_rule(poll_s, calls, rules):
    interval = stretched(poll_s, calls, rules)
    assert interval >= poll_s
    for allowed, window_s in rules:
        assert calls <= allowed * interval / window_s / 2 + 1e-6


@pytest.mark.parametrize(
    ("poll_s", "rules", "count"),
    [
        (300.0, [(10, 10.0)], 150),
        (300.0, [(10, 10.0), (100, 86400.0)], 10),
        (60.0, [(1, 60.0)], 10),
        (86400.0, [(50, 10.0)], 500),
        (300.0, [], 500),
    ],
    ids=["one poll's worth", "the tightest rule counts", "at least ten", "at most five hundred", "no limits"],
)
def test_source_lists_wait_behind_one_polls_worth_of_writes(poll_s, rules, count):
    assert backlog(poll_s, rules) == count


def test_actions_are_counted_in_the_order_of_their_appearance():
    actions = [("b", "create", "job"), ("a", "patch", "job"), ("b", "create", "job")]
    assert list(counted(actions).items()) == [(("b", "create", "job"), 2), (("a", "patch", "job"), 1)]
