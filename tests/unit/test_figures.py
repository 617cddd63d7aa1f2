"""What the store tells of itself at a look: all series, and what became of changes since the last look."""

import pytest
import sqlalchemy as sa

from syncd import figures, measures, schema, switches
from syncd.figures import AGAIN, AGAIN_S, Journal
from tests.unit.small_world import START, application, job, row

HUB = (job("h1"), *row("1", "h1"))


def standing(world):
    return world.store.run_now(figures.standing, world.world, world.clock.now())


def told(world, journal):
    return world.store.run_now(journal.follow, world.clock.now())


def noted(world, what, *, connection="plain", kind="application", ref="a1", link=None, detail=""):
    row = {"at": world.clock.now(), "connection": connection, "kind": kind, "ref": ref, "link": link, "what": what,
           "fields": [], "detail": detail}  # fmt: skip
    world.do(lambda work: work.sql.execute(sa.insert(schema.journal).values(row)))


def following(world):
    """A journal that was read to its end."""
    journal = Journal()
    told(world, journal)
    return journal


# --- what stands ----------------------------------------------------------------------------------------------------


def test_every_gauge_of_the_store_is_there_at_zero_before_anything_is_known(small):
    shown = standing(small("rows", "plain"))
    apart = {"syncd_build_info", "syncd_start_timestamp_seconds", "syncd_connection_up", "syncd_webhook_expected",
             "syncd_connection_reached_timestamp_seconds", "syncd_pingpong_records", "syncd_webhook_subscriptions_up",
             "syncd_webhooks_silent"}  # fmt: skip
    budgets = {name for name in measures.MEASURES if name.startswith("syncd_budget_")}  # nothing is limited here
    gauges = {each.name for each in measures.MEASURES.values() if each.shape == "gauge"}
    assert set(shown) == gauges - apart - budgets
    intervals = {"syncd_poll_interval_seconds", "syncd_sweep_interval_seconds"}
    assert {value for name, values in shown.items() if name not in intervals for value in values.values()} == {0.0}


def test_labels_are_as_many_as_the_list_says(small):
    for name, values in standing(small("rows", "plain")).items():
        measure = measures.MEASURES[name]
        assert {len(labels) for labels in values} == {len(measure.labels)}, name
        for labels in values:
            for label, word in zip(measure.labels, labels, strict=True):
                assert measure.said(label) is None or word in measure.said(label), (name, label, word)


def test_what_waits_and_since_when(small):
    world = small("rows", "plain")
    world.proven("rows", "plain")
    world.told("rows", *HUB)
    world.later(30.0)
    shown = standing(world)
    (made_at,) = {intent.made_at for intent in world.intents("plain")}
    assert shown["syncd_oldest_waiting_timestamp_seconds"] == {("rows",): 0.0, ("plain",): made_at}
    assert shown["syncd_intents"]["plain", "open"] == shown["syncd_lane_depth"]["plain", "write"] == 1
    assert shown["syncd_pair_in_step"] == {("rows-plain",): 0.0}


@pytest.mark.parametrize(
    ("reason", "shown_as", "metric"),
    [
        ("conflict", "conflict", "conflicts_open"),
        ("unmapped_stage", "unmapped_stage", "stages_unmapped"),
        ("vanished", "vanished", "blocked_deletes"),
        ("erasure", "erasure", "erasures_open"),
        ("unknown_outcome", "unknown_outcome", "unknown_outcomes"),
        ("missing_industry", "missing", None),
        ("what nobody knows", "other", None),
    ],
)
def test_what_is_held_is_told_by_reason(small, reason, shown_as, metric):
    world = small("rows", "plain")
    held = {"connection": "plain", "kind": "job", "ref": "p1", "reason": reason, "opened_at": START}
    world.do(lambda work: work.sql.execute(sa.insert(schema.holds).values(held)))
    shown = standing(world)
    assert {labels for labels, number in shown["syncd_held"].items() if number} == {("plain", shown_as)}
    assert shown["syncd_held_oldest_timestamp_seconds"]["plain",] == START
    assert shown["syncd_erasure_oldest_timestamp_seconds"]["plain",] == (START if reason == "erasure" else 0.0)
    for name in ("conflicts_open", "stages_unmapped", "blocked_deletes", "erasures_open", "unknown_outcomes"):
        assert shown[f"syncd_{name}"]["plain",] == (name == metric)


@pytest.mark.parametrize(
    ("scope", "reason", "name", "labels"),
    [
        ("connection/plain", "auth: 401", "syncd_connection_stopped", ("plain", "auth")),
        ("connection/plain", "emptied: 9 are missing", "syncd_connection_stopped", ("plain", "emptied")),
        ("connection/plain", "by hand", "syncd_connection_stopped", ("plain", "person")),
        ("pair/rows-plain", "large: 9 changes", "syncd_pair_stopped", ("rows-plain", "large")),
        ("pair/rows-plain", "by hand", "syncd_pair_stopped", ("rows-plain", "person")),
    ],
)
def test_what_is_stopped_is_told_with_the_reason(small, scope, reason, name, labels):
    world = small("rows", "plain")
    world.do(lambda work: switches.stop(work.sql, scope, reason, START))
    assert {each for each, value in standing(world)[name].items() if value} == {labels}


def test_how_far_lists_are_known_is_told_by_kind(small):
    world = small("rows", "plain")
    world.proven("rows")
    at = world.clock.now()
    shown = standing(world)
    assert shown["syncd_sweep_last_success_timestamp_seconds"]["rows", "candidate"] == at
    assert shown["syncd_sweep_last_success_timestamp_seconds"]["plain", "candidate"] == 0.0
    assert shown["syncd_sweep_interval_seconds"]["rows",] == 600.0


# --- what happened --------------------------------------------------------------------------------------------------


def test_what_was_before_the_first_look_is_not_counted(small):
    world = small("rows", "plain")
    noted(world, "written", detail="update")
    assert not told(world, Journal()).changes


@pytest.mark.parametrize(
    ("line", "operation", "outcome"),
    [
        ({"what": "created", "link": 1}, "create", "applied"),
        ({"what": "adopted", "link": 1}, "create", "noop"),
        ({"what": "written", "detail": "update"}, "update", "applied"),
        ({"what": "unknown", "detail": "create"}, "create", "unknown"),
        ({"what": "unknown", "detail": "move"}, "update", "unknown"),
        ({"what": "held", "detail": "conflict"}, "update", "conflict"),
        ({"what": "held", "detail": "rejected", "link": 1}, "update", "rejected"),
    ],
)
def test_changes_are_counted_by_what_became_of_them(small, line, operation, outcome):
    world = small("rows", "plain")
    journal = following(world)
    noted(world, **line)
    assert told(world, journal).changes == {("plain", "application", operation, outcome): 1}
    assert not told(world, journal).changes


def test_a_refused_create_is_told_from_a_refused_update(small):
    world = small("rows", "plain")
    journal = following(world)
    noted(world, "create_planned", ref="", link=7)
    noted(world, "held", connection="rows", detail="rejected", link=7)
    assert told(world, journal).changes == {("rows", "application", "create", "rejected"): 1}


@pytest.mark.parametrize("what", ["sent", "linked", "stale", "did_not", "vanished"])
def test_lines_that_end_nothing_count_nothing(small, what):
    world = small("rows", "plain")
    journal = following(world)
    noted(world, what)
    assert not told(world, journal).changes


def test_a_change_takes_from_its_plan_to_its_confirmation(small):
    world = small("rows", "plain")
    journal = following(world)
    noted(world, "update_planned")
    world.later(10.0)
    noted(world, "update_planned")  # a newer value of the same field
    told(world, journal)
    world.later(32.0)
    noted(world, "written", detail="update")
    assert told(world, journal).delays == [("plain", "application", 42.0)]


def test_writes_under_way_at_the_start_are_measured_from_their_making(small):
    world = small("rows", "plain")
    world.proven("rows", "plain")
    world.told("rows", *HUB)
    (intent,) = world.intents("plain")
    journal = following(world)
    world.later(90.0)
    noted(world, "created", kind=intent.kind, ref="p1", link=intent.link)
    assert told(world, journal).delays == [("plain", intent.kind, 90.0)]


def test_a_record_written_again_and_again_looks_like_ping_pong(small):
    world = small("rows", "plain")
    journal = following(world)
    for number in range(AGAIN):
        noted(world, "written", detail="update")
        noted(world, "written", ref=f"other{number}", detail="update")
        world.later(60.0)
    assert told(world, journal).rewritten == {"plain": 1}
    world.later(AGAIN_S)
    assert told(world, journal).rewritten == {}


def test_ids_stay_out_of_what_is_told(small):
    world = small("rows", "plain")
    journal = following(world)
    noted(world, "update_planned", ref="secret-id")
    noted(world, "written", ref="secret-id")
    assert "secret-id" not in repr(told(world, journal))
    world.told("rows", *HUB, application("secret-id", "h1", "1"))
    assert "secret-id" not in repr(standing(world))
