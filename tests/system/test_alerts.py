"""Each alert fires when it should and stays silent when it should, judged by Prometheus's own promtool."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from syncd import measures
from tests.system.prometheus import program

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
ALERTS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
DAY = 86_400
HERE = 'job="syncd", instance="syncd:8080"'
AT = 'connection="acme"'
KIND = f'{AT}, kind="candidate"'
PAIR = 'pair="screening"'
RULE = f'{AT}, rule="100/day@UTC"'

# A period of 300 s: 2 x 300 + 600 s, and 5 minutes more, before it fires. The time of a test begins at 0.
POLLED = {f"syncd_poll_interval_seconds{{{AT}}}": "300x1000", "syncd_start_timestamp_seconds": "0x1000"}
SWEPT = {f"syncd_sweep_interval_seconds{{{AT}}}": "3600x1000", "syncd_start_timestamp_seconds": "0x1000"}
STOPPED = f"syncd_connection_stopped{{{AT}, reason=%s}}"
WEBHOOKS = {f"syncd_webhook_expected{{{AT}}}": "1x2000"}
FOUND = {f"syncd_missed_changes_total{{{AT}}}": "0+1x2000"}

# alert -> (seconds after which it is looked at, series that let it fire, series under which it is silent, each a case)
CASES = {
    "SyncdMetricsAbsent": (600, {"up": "0x100"}, [{"up": "1x100"}]),
    "SyncdConnectionDown": (
        1200,
        {f"syncd_connection_up{{{AT}}}": "0x100"},
        [
            {f"syncd_connection_up{{{AT}}}": "1x100"},
            {f"syncd_connection_up{{{AT}}}": "1x15 0x100"},  # only for the last five minutes
            {f"syncd_connection_up{{{AT}}}": "0x100", STOPPED % '"person"': "1x100"},
        ],
    ),
    "SyncdTokenRefused": (60, {STOPPED % '"auth"': "1x100"}, [{STOPPED % '"person"': "1x100"}]),
    "SyncdNoSuccess": (
        2400,
        {f"syncd_poll_last_success_timestamp_seconds{{{KIND}}}": "60x1000", **POLLED},
        [
            {f"syncd_poll_last_success_timestamp_seconds{{{KIND}}}": "0+60x1000", **POLLED},
            {f"syncd_poll_last_success_timestamp_seconds{{{KIND}}}": "0x1000", **POLLED,
             "syncd_start_timestamp_seconds": "2000x1000"},  # begun just now
            {f"syncd_poll_last_success_timestamp_seconds{{{KIND}}}": "60x1000", **POLLED,
             STOPPED % '"person"': "1x1000"},
        ],
    ),
    "SyncdSweepNotProven": (
        12_000,
        {f"syncd_sweep_last_success_timestamp_seconds{{{KIND}}}": "60x1000", **SWEPT},
        [{f"syncd_sweep_last_success_timestamp_seconds{{{KIND}}}": "0+60x1000", **SWEPT}],
    ),
    "SyncdBudgetWillNotLast": (
        DAY // 4,
        {f"syncd_budget_used_ratio{{{RULE}}}": "0.6x2000",
         f"syncd_budget_resets_timestamp_seconds{{{RULE}}}": f"{DAY}x2000"},
        [
            {f"syncd_budget_used_ratio{{{RULE}}}": "0.2x2000",
             f"syncd_budget_resets_timestamp_seconds{{{RULE}}}": f"{DAY}x2000"},
            # 0.6 are used, but three quarters of the day are over
            {f"syncd_budget_used_ratio{{{RULE}}}": "0.6x2000",
             f"syncd_budget_resets_timestamp_seconds{{{RULE}}}": f"{DAY // 2}x2000"},
            {f'syncd_budget_used_ratio{{{AT}, rule="10/10s"}}': "1x2000"},
        ],
    ),
    "SyncdRefusedForRate": (
        900,
        {f"syncd_refused_for_rate_total{{{AT}}}": "0x5 1x100"},
        [{f"syncd_refused_for_rate_total{{{AT}}}": "7x100"}],
    ),
    "SyncdUnknownOutcomes": (
        1200,
        {f"syncd_unknown_outcomes{{{AT}}}": "1x100"},
        [{f"syncd_unknown_outcomes{{{AT}}}": "1x10 0x100"}],
    ),
    "SyncdWritesStuck": (
        DAY + 3600,
        {f"syncd_oldest_waiting_timestamp_seconds{{{AT}}}": "60x2000"},
        [
            {f"syncd_oldest_waiting_timestamp_seconds{{{AT}}}": "0x2000"},
            {f"syncd_oldest_waiting_timestamp_seconds{{{AT}}}": "0+60x2000"},
            {f"syncd_oldest_waiting_timestamp_seconds{{{AT}}}": "60x2000", STOPPED % '"auth"': "1x2000"},
        ],
    ),
    "SyncdHeldGrowing": (
        30_000,
        {f'syncd_held{{{AT}, reason="no_email"}}': "0+0.1x2000"},
        [
            {f'syncd_held{{{AT}, reason="no_email"}}': "500x2000"},
            # one cause goes while another comes
            {f'syncd_held{{{AT}, reason="no_email"}}': "0+0.1x2000",
             f'syncd_held{{{AT}, reason="conflict"}}': "500-0.1x2000"},
        ],
    ),
    "SyncdStageUnmapped": (
        900,
        {f"syncd_stages_unmapped{{{AT}}}": "2x100"},
        [{f"syncd_stages_unmapped{{{AT}}}": "0x100"}],
    ),
    "SyncdWebhooksSilent": (
        DAY + 3600,
        {**WEBHOOKS, **FOUND, f"syncd_webhook_last_arrival_timestamp_seconds{{{AT}}}": "60x2000"},
        [
            {**WEBHOOKS, **FOUND, f"syncd_webhook_last_arrival_timestamp_seconds{{{AT}}}": "0+60x2000"},
            {**WEBHOOKS, f"syncd_missed_changes_total{{{AT}}}": "9x2000",
             f"syncd_webhook_last_arrival_timestamp_seconds{{{AT}}}": "60x2000"},  # nothing happened
            {f"syncd_webhook_expected{{{AT}}}": "0x2000", **FOUND,
             f"syncd_webhook_last_arrival_timestamp_seconds{{{AT}}}": "0x2000",
             f"syncd_webhooks_silent{{{AT}}}": "0x2000"},
        ],
    ),
    "SyncdSubscriptionsMissing": (
        2400,
        {f"syncd_webhook_subscriptions_up{{{AT}}}": "0x100"},
        [
            {f"syncd_webhook_subscriptions_up{{{AT}}}": "1x100"},
            {f"syncd_webhook_subscriptions_up{{{AT}}}": "1x20 0x100"},  # only for the last twenty minutes
            {f"syncd_webhook_subscriptions_up{{{AT}}}": "0x100", STOPPED % '"person"': "1x100"},
        ],
    ),
    "SyncdPingPong": (
        600,
        {f"syncd_pingpong_records{{{AT}}}": "1x100"},
        [{f"syncd_pingpong_records{{{AT}}}": "0x100"}],
    ),
    "SyncdPingPongFrozen": (
        600,
        {f'syncd_held{{{AT}, reason="ping_pong"}}': "1x100"},
        [{f'syncd_held{{{AT}, reason="{reason}"}}': value
          for reason, value in (("ping_pong", "0x100"), ("conflict", "5x100"))}],
    ),
    "SyncdMassDeleteBlocked": (60, {STOPPED % '"emptied"': "1x100"}, [{STOPPED % '"emptied"': "0x100"}]),
    "SyncdPlanTooLarge": (
        60,
        {f'syncd_pair_stopped{{{PAIR}, reason="large"}}': "1x100"},
        [{f'syncd_pair_stopped{{{PAIR}, reason="{reason}"}}': value
          for reason, value in (("person", "1x100"), ("large", "0x100"))}],
    ),
    "SyncdErasureOverdue": (
        8 * DAY,
        {f"syncd_erasure_oldest_timestamp_seconds{{{AT}}}": "60x20000"},
        [
            {f"syncd_erasure_oldest_timestamp_seconds{{{AT}}}": "0x20000"},
            {f"syncd_erasure_oldest_timestamp_seconds{{{AT}}}": f"{2 * DAY}x20000"},
        ],
    ),
    "SyncdBackfillFailed": (
        60,
        {"syncd_backfill_succeeded": "0x100"},
        [{"syncd_backfill_succeeded": "1x100"}],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def promtool():
    return program("promtool")


def told_by(promtool, *arguments):
    return subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)


def judged(promtool, tmp_path, name, *, at, series, fires):
    """What promtool says of one case: whether the alert stands firing at a time, under these series."""
    query = f'count(ALERTS{{alertname="{name}", alertstate="firing"}})'
    samples = [{"labels": "{}", "value": 1}] if fires else []
    inputs = [{"series": named(each), "values": values} for each, values in series.items()]
    case = {
        "interval": "1m",
        "input_series": inputs,
        "promql_expr_test": [{"expr": query, "eval_time": f"{at}s", "exp_samples": samples}],
    }
    file = tmp_path / "test.yaml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [case]}))
    return told_by(promtool, "test", "rules", str(file))


def named(series):
    """A series as Prometheus stores it: with the job and the instance that it was scraped from."""
    name, _, labels = series.partition("{")
    return f"{name}{{{HERE}{', ' + labels.removesuffix('}') if labels else ''}}}"


def test_every_alert_has_cases_for_both():
    assert CASES.keys() == ALERTS.keys()
    assert all(fires and silent for _, fires, silent in CASES.values())


@pytest.mark.parametrize("name", CASES)
def test_it_fires(promtool, tmp_path, name):
    at, series, _ = CASES[name]
    told = judged(promtool, tmp_path, name, at=at, series=series, fires=True)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize(("name", "number"), [(name, n) for name, case in CASES.items() for n in range(len(case[2]))])
def test_it_stays_silent(promtool, tmp_path, name, number):
    at, _, silent = CASES[name]
    told = judged(promtool, tmp_path, name, at=at, series=silent[number], fires=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_a_silence_that_syncd_itself_has_noticed_fires_too(promtool, tmp_path):
    series = {f"syncd_webhooks_silent{{{AT}}}": "0x5 1x100"}
    told = judged(promtool, tmp_path, "SyncdWebhooksSilent", at=600, series=series, fires=True)
    assert told.returncode == 0, told.stdout + told.stderr


def test_a_wrong_expectation_is_noticed(promtool, tmp_path):
    at, series, _ = CASES["SyncdPingPong"]
    assert judged(promtool, tmp_path, "SyncdPingPong", at=at, series=series, fires=False).returncode != 0


def test_rules_and_configuration_are_as_prometheus_wants_them(promtool):
    for arguments in (("rules", str(RULES)), ("config", "--syntax-only", str(RULES.with_name("prometheus.yml")))):
        told = told_by(promtool, "check", *arguments)
        assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_says_how_bad_what_and_where_to_read_on(name):
    rule, runbook = ALERTS[name], (ROOT / "docs" / "runbook.md").read_text()
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
    paragraph = runbook.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert len(paragraph.split()) > 30


@pytest.mark.parametrize("name", ALERTS)
def test_alerts_ask_only_for_what_is_measured(name):
    assert set(re.findall(r"\bsyncd_\w+", ALERTS[name]["expr"])) <= measures.ALL.keys()


def test_the_runbook_has_no_paragraph_too_many():
    titles = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert titles == list(ALERTS)
