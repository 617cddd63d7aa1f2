"""docs/connector.md names all that a connector may be; its code is proven by make test-system."""

import inspect
import re
from pathlib import Path

import pytest

from syncd import connector, papers

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "connector.md").read_text()
ABILITIES = [
    name
    for seam in (connector, papers)
    for name, found in inspect.getmembers(seam, inspect.isclass)
    if getattr(found, "_is_runtime_protocol", False) and found.__module__ == seam.__name__
]


@pytest.mark.parametrize("ability", ABILITIES)
def test_each_ability_is_in_the_guide(ability):
    assert f"| `{ability}` |" in GUIDE


def test_the_guide_names_no_ability_that_is_not_there():
    table = GUIDE.split("## What else a connector may be")[1]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(ABILITIES)


@pytest.mark.parametrize("fact", ["lists", "details", "writes", "creates", "demands", "born", "bears_person", "exact"])
def test_the_questions_name_facts_that_exist(fact):
    assert f"`.{fact}`" in GUIDE or f"`KindFacts.{fact}`" in GUIDE
    assert fact in connector.KindFacts.__slots__
