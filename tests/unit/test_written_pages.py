"""What is made from the code and kept beside it is current, and the dashboard asks only for what is measured."""

import re
import runpy
from pathlib import Path

import orjson
import pytest

from syncd import measures

ROOT = Path(__file__).parents[2]
DOCS = runpy.run_path(str(ROOT / "docs" / "write.py"))
GRAFANA = runpy.run_path(str(ROOT / "deploy" / "grafana" / "write.py"))
QUERIES = [query for panels in GRAFANA["ROWS"].values() for panel in panels for query in panel.queries]
SUFFIX = re.compile(r"_(bucket|sum|count)$")


@pytest.mark.parametrize("name", DOCS["PAGES"])
def test_a_page_is_as_the_code_makes_it(name):
    assert (ROOT / "docs" / name).read_text() == DOCS["PAGES"][name](), "run `make docs`"


def test_the_dashboard_is_as_its_source_makes_it():
    assert GRAFANA["FILE"].read_bytes() == GRAFANA["as_json"](), "run `make docs`"


def test_every_metric_is_on_its_page():
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert all(f"| `{name}` |" in page for name in measures.ALL)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_is_measured_by_labels_that_it_has(query):
    names = re.findall(r"\bsyncd_\w+", query)
    known = {name: measures.ALL[SUFFIX.sub("", name) if name not in measures.ALL else name] for name in names}
    assert known
    grouped = {label for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(", ")}
    labels = {label for measure in known.values() for label in measure.labels} | {"le"}
    assert grouped <= labels


@pytest.mark.parametrize("panel", [panel for panels in GRAFANA["ROWS"].values() for panel in panels])
def test_a_legend_names_labels_that_its_series_have(panel):
    for query, legend in panel.queries.items():
        asked = set(re.findall(r"{{(\w+)}}", legend))
        names = {SUFFIX.sub("", name) if name not in measures.ALL else name for name in re.findall(r"syncd_\w+", query)}
        assert asked <= {label for name in names for label in measures.ALL[name].labels}


def test_panels_do_not_lie_over_each_other():
    taken = set()
    for panel in orjson.loads(GRAFANA["as_json"]())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
