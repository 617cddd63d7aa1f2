"""A real Prometheus scrapes a running demo, and every panel of the dashboard has something to show.

What its own page shows of the demo is kept as ``build/screenshots/prometheus.png``; docs/prometheus.png is such a one.
"""

import json
import runpy
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from tests.ports import free_port
from tests.system.browser import browsing
from tests.system.prometheus import SITE, program

ROOT = Path(__file__).parents[2]
GRAFANA = runpy.run_path(str(ROOT / "deploy" / "grafana" / "write.py"))
QUERIES = [(f"{row}: {panel.title}", query) for row, panels in GRAFANA["ROWS"].items() for panel in panels
           for query in panel.queries]  # fmt: skip
ALL = {"$job": "syncd", "$connection": ".*", "$pair": ".*"}
LONGEST_S = 180.0
PICTURE = ROOT / "build" / "screenshots" / "prometheus.png"
GRAPHS = ("sum by (pair, kind) (syncd_pair_links)", "sum by (connection, call) (increase(syncd_writes_total[30s]))")
DRAWN_S = 60  # what the graphs show


def until(is_so, what):
    ends = time.monotonic() + LONGEST_S
    while time.monotonic() < ends:
        try:
            if is_so():
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.5)
    pytest.fail(f"{what} did not come about in {LONGEST_S:.0f} s")


@pytest.fixture(scope="module")
def watching(tmp_path_factory):
    """The address of a Prometheus that watches a demo."""
    folder, page, port = tmp_path_factory.mktemp("prometheus"), free_port(), free_port()
    config = {"scrape_configs": [{"job_name": "syncd", "scrape_interval": "1s",
                                  "static_configs": [{"targets": [f"127.0.0.1:{page}"]}]}],
              "rule_files": [str(ROOT / "deploy" / "prometheus" / "alerts.yaml")]}  # fmt: skip
    (folder / "prometheus.yml").write_text(json.dumps(config))
    commands = [
        [sys.executable, "-m", "syncd", "demo", "--listen", f"127.0.0.1:{page}"],
        [program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
         f"--web.listen-address=127.0.0.1:{port}", *SITE],
    ]  # fmt: skip
    processes = [
        subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in commands
    ]

    try:
        # It listens before it can answer, and says 503 until then.
        until(lambda: httpx.get(f"http://127.0.0.1:{port}/-/ready").is_success, "a ready Prometheus")
        yield f"http://127.0.0.1:{port}"
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30.0)


@pytest.fixture(scope="module")
def asked(watching):
    """Asks it when it has watched for a while: (path, parameters) → data."""

    def ask(path, **parameters):
        answer = httpx.get(f"{watching}/api/v1/{path}", params=parameters, timeout=10.0).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    until(lambda: ask("query", query="sum(syncd_pair_links) > 0")["result"], "a linked record")
    until(lambda: ask("query", query="min(count_over_time(syncd_pair_in_step[1h])) > 5")["result"], "five scrapes")
    return ask


@pytest.mark.parametrize(("panel", "query"), QUERIES)
def test_a_panel_has_data(asked, panel, query):
    for name, value in ALL.items():
        query = query.replace(name, value)
    assert asked("query", query=query)["result"], panel


def test_the_alerts_are_judged_over_the_demo(asked):
    (group,) = asked("rules")["groups"]
    wrong = {rule["name"]: rule.get("lastError") for rule in group["rules"] if rule["health"] == "err"}
    assert wrong == {}


def test_prometheus_draws_the_demo(watching, asked, tmp_path):
    if not SITE:
        pytest.skip("Prometheus's own page is not here; `make test-system` fetches it")
    scraped = f"min(count_over_time(syncd_pair_in_step[1h])) > {DRAWN_S}"
    until(lambda: asked("query", query=scraped)["result"], "enough to draw")
    wanted = {"tab": 0, "range_input": f"{DRAWN_S}s", "step_input": 1}
    drawn = {f"g{number}.{key}": value for number, query in enumerate(GRAPHS)
             for key, value in {"expr": query, "stacked": int(not number), **wanted}.items()}  # fmt: skip
    with browsing(tmp_path / "profile") as browser:
        browser.look_like(width=1000)
        browser.open(f"{watching}/classic/graph?{urlencode(drawn)}")
        browser.until(f"document.querySelectorAll('.rickshaw_graph svg').length === {len(GRAPHS)}")
        browser.until("document.querySelectorAll('.legend .line').length > 8")
        # The bar at the top would lie over the middle of a picture that is longer than the window.
        browser.tell("document.querySelector('nav').style.position = 'absolute', document.activeElement.blur(), "
                     "scrollTo(0, 0)")  # fmt: skip
        browser.picture(PICTURE)
        told = browser.tell("[...document.querySelectorAll('.legend .label')].map((each) => each.textContent)")
    assert any('pair="screening"' in each for each in told)
    assert any('connection="acme"' in each for each in told)
