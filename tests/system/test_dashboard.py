"""A real Prometheus scrapes a running demo, and every panel of the dashboard has something to show."""

import json
import runpy
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.system.prometheus import program

ROOT = Path(__file__).parents[2]
GRAFANA = runpy.run_path(str(ROOT / "deploy" / "grafana" / "write.py"))
QUERIES = [(f"{row}: {panel.title}", query) for row, panels in GRAFANA["ROWS"].items() for panel in panels
           for query in panel.queries]  # fmt: skip
ALL = {"$job": "syncd", "$connection": ".*", "$pair": ".*"}
LONGEST_S = 180.0


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


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
def asked(tmp_path_factory):
    """Asks a Prometheus that has watched a demo for a while: (path, parameters) → data."""
    folder, page, port = tmp_path_factory.mktemp("prometheus"), free_port(), free_port()
    config = {"scrape_configs": [{"job_name": "syncd", "scrape_interval": "1s",
                                  "static_configs": [{"targets": [f"127.0.0.1:{page}"]}]}],
              "rule_files": [str(ROOT / "deploy" / "prometheus" / "alerts.yaml")]}  # fmt: skip
    (folder / "prometheus.yml").write_text(json.dumps(config))
    commands = [
        [sys.executable, "-m", "syncd", "demo", "--listen", f"127.0.0.1:{page}"],
        [program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
         f"--web.listen-address=127.0.0.1:{port}"],
    ]  # fmt: skip
    processes = [
        subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in commands
    ]

    def ask(path, **parameters):
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/{path}", params=parameters, timeout=10.0).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    try:
        # It listens before it can answer, and says 503 until then.
        until(lambda: httpx.get(f"http://127.0.0.1:{port}/-/ready").is_success, "a ready Prometheus")
        until(lambda: ask("query", query="sum(syncd_pair_links) > 0")["result"], "a linked record")
        until(lambda: ask("query", query="min(count_over_time(syncd_pair_in_step[1h])) > 5")["result"], "five scrapes")
        yield ask
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30.0)


@pytest.mark.parametrize(("panel", "query"), QUERIES)
def test_a_panel_has_data(asked, panel, query):
    for name, value in ALL.items():
        query = query.replace(name, value)
    assert asked("query", query=query)["result"], panel


def test_the_alerts_are_judged_over_the_demo(asked):
    (group,) = asked("rules")["groups"]
    wrong = {rule["name"]: rule.get("lastError") for rule in group["rules"] if rule["health"] == "err"}
    assert wrong == {}
