"""What operators see is counted from closed sets of words."""

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from syncd.metrics import CONTENT_TYPE, Meter, Metrics, Unmeasured


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


def test_counted_intents_that_are_gone_are_no_longer_told():
    metrics = made()
    metrics.intents({("acme", "open"): 4, ("acme", "unknown"): 1})
    metrics.intents({("acme", "open"): 3})
    metrics.held({("acme", "no_email"): 2})
    seen = told(metrics)
    assert [(key, value) for key, value in seen.items() if key[0] == "syncd_intents"] == [
        (("syncd_intents", ("connection", "acme"), ("state", "open")), 3)
    ]
    assert seen["syncd_held", ("connection", "acme"), ("reason", "no_email")] == 2


def test_budgets_waits_walks_and_the_build_are_told():
    metrics = made()
    metrics.budget("acme", "10/10s", 7, 10)
    metrics.waited("acme", "bulk", 1.5)
    metrics.walked("acme", "candidates", 1_700_000_000.0)
    seen = told(metrics)
    assert seen["syncd_budget_used", ("connection", "acme"), ("rule", "10/10s")] == 7
    assert seen["syncd_budget_limit", ("connection", "acme"), ("rule", "10/10s")] == 10
    assert seen["syncd_wait_seconds_sum", ("connection", "acme"), ("priority", "bulk")] == 1.5
    walk = ("syncd_walk_last_success_timestamp_seconds", ("connection", "acme"), ("walk", "candidates"))
    assert seen[walk] == 1_700_000_000.0
    assert seen["syncd_build_info", ("version", "1.2.3")] == 1
    assert CONTENT_TYPE.startswith("text/plain")


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
