"""The commands that the pages show do what a reader expects: each is typed in a played company.

What runs on, plays a system or wants a container is tested elsewhere (``ELSEWHERE``).
"""

import io

import orjson
import pytest
import sqlalchemy as sa

from tests.docs.pages import PAGES, ROOT, commands_in, syncd_words
from tests.integration.company import Company

ELSEWHERE = {
    "serve": "tests/system/test_serve.py",
    "sandbox": "tests/system/test_connector_guide.py",
    "demo": "tests/system/test_demo.py",
}
OWN = {page.name for page in PAGES} - {"connector.md"}  # that page's are typed with its own systems


def typed(page):
    """The words that a page tells a reader to type behind `syncd`."""
    found = [syncd_words(command) for command in commands_in(page)]
    return [words for words in found if words]


SHOWN = {words: page for page in PAGES if page.name in OWN for words in map(tuple, typed(page))
         if words[0] not in ELSEWHERE}  # fmt: skip


@pytest.fixture
def company(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Company(tmp_path, capsys, jobs=1, people=2)


def concrete(company, words):
    """With what stands in the place of ID and NUMBER."""
    holds = orjson.loads(company.run("held", "--json")[1]) if "NUMBER" in words else []
    known = {"ID": company.rows()[0], "NUMBER": str(holds[0]["id"]) if holds else "1"}
    return [known.get(word, word) for word in words]


def test_what_the_pages_show_can_be_typed(company, monkeypatch):
    company.run("backfill", "--pair", "screening")
    for words, page in SHOWN.items():
        monkeypatch.setattr("sys.stdin", io.StringIO("nobody.here@example.com\n"))  # whom `forget` asks for
        code, out, err = company.run(*concrete(company, words))
        assert code in (0, 1), (page, words, err)
        assert "bug" not in err, (page, words, err)
        assert out or err, (page, words)


@pytest.mark.parametrize("file", ELSEWHERE.values())
def test_elsewhere_is_somewhere(file):
    assert (ROOT / file).is_file()


def test_the_first_steps_lead_somewhere(company):
    """As the quick start goes: look, plan, write one pair, ask."""
    page = ROOT / "docs" / "quickstart.md"
    first = [words for words in typed(page) if words[0] not in ELSEWHERE][:5]
    assert [words[0] for words in first] == ["check", "plan", "backfill", "status", "held"]
    told = [company.run(*words) for words in first]
    assert "create" in told[1][1]
    assert company.calls("screener", "POST")
    assert company.calls("voice", "POST") == []


def test_the_backup_is_the_whole_database(company, tmp_path):
    company.run("backfill", "--pair", "screening")
    (words,) = (words for words in SHOWN if words[0] == "backup")
    assert company.run(*words)[0] == 0
    counts = []
    for name in ("syncd.db", "backup.db"):
        engine = sa.create_engine(f"sqlite:///{tmp_path / name}")
        with engine.connect() as connection:
            counts.append([connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar()
                           for table in ("records", "links", "journal")])  # fmt: skip
        engine.dispose()
    assert counts[0] == counts[1]
    assert min(counts[0]) > 0
