"""What operators see is counted from closed sets of words, and is there from the start."""

import re

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from syncd import measures, sentences
from syncd.measures import ALL, LABELS, MEASURES, Shape, reason_word, stop_word
from syncd.metrics import CONTENT_TYPE, Meter, Metrics, Unmeasured, sample_in


def told(metrics):
    """Sample name and labels → value."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


def made():
    return Metrics(CollectorRegistry(), version="1.2.3")


def test_calls_are_counted_by_how_they_ended():
    metrics = made()
    metrics.called("acme", "GET", "ok", 0.3)
    metrics.called("acme", "GET", "ok", 0.1)
    metrics.drew_429("acme")
    metrics.retried("acme")
    seen = told(metrics)
    assert seen["syncd_calls_total", ("connection", "acme"), ("method", "GET"), ("outcome", "ok")] == 2
    assert seen["syncd_call_seconds_count", ("connection", "acme")] == 2
    assert seen["syncd_refused_for_rate_total", ("connection", "acme")] == 1
    assert seen["syncd_retries_total", ("connection", "acme")] == 1


def test_words_from_outside_the_closed_sets_make_no_new_label():
    metrics = made()
    for number in range(100):
        metrics.called("acme", f"GET{number}", f"/candidates/{number}", 0.1)
        metrics.webhook("acme", f"made up {number}")
    labels = [dict(key[1:]) for key in told(metrics) if key[0] in ("syncd_calls_total", "syncd_webhooks_total")]
    assert labels == [
        {"connection": "acme", "method": "other", "outcome": "other"},
        {"connection": "acme", "result": "other"},
    ]


def test_counters_are_there_at_zero_before_anything_happens():
    metrics = made()
    metrics.expect(["acme", "screener"], [("acme", "jobs")])
    seen = told(metrics)
    walk = (("connection", "acme"), ("mode", "sweep"), ("result", "broken_off"), ("walk", "jobs"))
    assert seen["syncd_runs_total", *walk] == 0
    assert seen["syncd_refused_for_rate_total", ("connection", "screener")] == 0
    assert seen["syncd_wait_seconds_count", ("connection", "screener"), ("priority", "bulk")] == 0
    with_labels = {each.name for each in MEASURES.values() if each.labels and each.shape is not Shape.GAUGE}
    assert with_labels <= {re.sub(r"_(count|sum|bucket)$", "", key[0]) for key in seen}


def test_what_is_expected_does_not_begin_anew_what_was_counted():
    metrics = made()
    metrics.drew_429("acme")
    metrics.expect(["acme"], [])
    assert told(metrics)["syncd_refused_for_rate_total", ("connection", "acme")] == 1


def test_what_is_shown_takes_the_place_of_what_was_shown_before():
    metrics = made()
    metrics.show({"syncd_intents": {("acme", "open"): 4, ("acme", "unknown"): 1}})
    metrics.show({"syncd_intents": {("acme", "open"): 3}})
    assert [(key, value) for key, value in told(metrics).items() if key[0] == "syncd_intents"] == [
        (("syncd_intents", ("connection", "acme"), ("state", "open")), 3)
    ]


def test_budgets_waits_and_the_build_are_told():
    metrics = made()
    metrics.budget("acme", "10/10s", 7, 10)
    metrics.waited("acme", "bulk", 1.5)
    seen = told(metrics)
    assert seen["syncd_budget_used", ("connection", "acme"), ("rule", "10/10s")] == 7
    assert seen["syncd_budget_limit", ("connection", "acme"), ("rule", "10/10s")] == 10
    assert seen["syncd_wait_seconds_sum", ("connection", "acme"), ("priority", "bulk")] == 1.5
    assert seen["syncd_build_info", ("version", "1.2.3")] == 1
    assert CONTENT_TYPE.startswith("text/plain")


@pytest.mark.parametrize(("action", "result"), [("walked", "proven"), ("broken_off", "broken_off")])
def test_runs_are_counted_by_mode_and_result(action, result):
    metrics = made()
    metrics.listen(action, {"connection": "acme", "walk": "jobs", "mode": "poll"})
    labels = (("connection", "acme"), ("mode", "poll"), ("result", result), ("walk", "jobs"))
    assert told(metrics)["syncd_runs_total", *labels] == 1


def test_two_registries_do_not_mix():
    one, other = made(), made()
    one.drew_429("acme")
    assert not any(key[0] == "syncd_refused_for_rate_total" for key in told(other))


def test_both_meters_are_meters():
    meters: list[Meter] = [made(), Unmeasured()]
    for meter in meters:
        meter.called("acme", "GET", "ok", 0.1)
        meter.retried("acme")
        meter.drew_429("acme")
        meter.waited("acme", "read", 0.1)
        meter.budget("acme", "10/10s", 1, 10)


def test_one_value_is_found_in_a_text_and_none_in_nonsense():
    metrics = made()
    metrics.show({"syncd_start_timestamp_seconds": {(): 5.0}})
    assert sample_in(metrics.render().decode(), "syncd_start_timestamp_seconds") == 5.0
    assert sample_in("{{{", "syncd_start_timestamp_seconds") is None
    assert sample_in("", "syncd_start_timestamp_seconds") is None


# --- the list of metrics ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ALL.values(), ids=lambda each: each.name)
def test_names_and_labels_are_as_prometheus_advises(measure):
    assert re.fullmatch(r"syncd_[a-z0-9]+(_[a-z0-9]+)*", measure.name)
    assert measure.name.endswith("_total") == (measure.shape is Shape.COUNTER)
    assert not re.search(r"_(ms|minutes|hours|days|percent|age|mb)(_|$)", measure.name)
    assert set(measure.labels) <= set(LABELS)
    assert all(measure.said(label) or measure.said(label) is None for label in measure.labels), "an open set of words"
    assert bool(measure.buckets) == (measure.shape is Shape.HISTOGRAM)


def test_every_reason_that_has_a_sentence_is_a_word_of_its_own():
    assert set(sentences._REASONS) | {*sentences._FAMILIES, "unmapped_stage", "other"} == set(measures.REASONS)


@pytest.mark.parametrize(
    ("reason", "word"),
    [("conflict", "conflict"), ("unmapped_stage", "unmapped_stage"), ("missing_industry", "missing"), ("x", "other")],
)
def test_names_of_fields_are_left_out_of_reasons(reason, word):
    assert reason_word(reason) == word


@pytest.mark.parametrize(
    ("reason", "word"),
    [("auth: 401", "auth"), ("emptied: 9 linked records", "emptied"), ("paused by a person", "person")],
)
def test_why_something_is_stopped_is_one_word(reason, word):
    assert stop_word(reason) == word
