import asyncio

import pytest
import sqlalchemy as sa

from syncd import commands, retention, schema
from syncd.model import Kind
from syncd.settings import Store as Settings
from syncd.settings import parse_keeping
from tests.unit.erasure import EMAIL, FIRST_S, SWEPT_S, Scene

DAY_S = 86_400.0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """She and another have applied, and all is in step."""
    made = Scene(tmp_path_factory.mktemp("store"))
    made.job_id = made.job()
    made.apply(made.job_id)
    made.apply(made.job_id, 1)
    made.live(FIRST_S, learn=True)
    yield made
    made.close()


@pytest.fixture
def scene(prepared, tmp_path):
    """The same, to be changed."""
    made = prepared.copied(tmp_path)
    yield made
    made.close()


def leave(scene):
    for name, ref in sorted(scene.hers()):
        scene.world.systems[name].remove(ref)
    scene.live(SWEPT_S)


def reap(scene, after_days):
    scene.world.later(after_days * DAY_S)
    asyncio.run(commands.reap(scene.app))


def known(scene, kind):
    return len([row for row in scene.world.select(schema.records) if row.kind == kind])


def test_who_is_gone_everywhere_is_forgotten_after_the_time_and_not_before(scene):
    marks = scene.marks()
    leave(scene)
    reap(scene, 700)
    assert known(scene, "candidate") == 4
    reap(scene, 40)
    assert known(scene, "candidate") == 2
    assert len(scene.world.links(Kind.APPLICATION)) == 1
    scene.world.store.squeeze()
    assert scene.found(marks) == set()
    assert scene.world.select(schema.tombstones) == []


def test_who_is_told_by_any_system_is_kept_however_long_nothing_changes(scene):
    gone = next(ref for name, ref in scene.hers() if name == "rows")
    scene.world.systems["rows"].remove(gone)
    scene.live(SWEPT_S)
    reap(scene, 3000)
    assert known(scene, "candidate") == 4


def test_who_comes_back_after_that_is_matched_anew_and_made_once(scene):
    leave(scene)
    reap(scene, 740)
    scene.apply(scene.job_id)
    scene.live(SWEPT_S)
    emails = [t.fields["email"] for t in scene.world.systems["plain"].of(Kind.CANDIDATE)]
    assert emails.count(EMAIL) == 1
    assert len(scene.world.links(Kind.APPLICATION)) == 2


def test_the_journal_is_kept_as_long_as_the_config_says(scene):
    assert scene.world.select(schema.journal) != []
    reap(scene, 700)
    assert scene.world.select(schema.journal) != []
    reap(scene, 60)
    assert scene.world.select(schema.journal) == []


def test_off_keeps_everything(scene):
    scene.settings = Settings.model_validate(
        {"url": scene.settings.url.get_secret_value(), "keep_people": "off", "keep_journal": "off"}
    )
    leave(scene)
    reap(scene, 3000)
    assert known(scene, "candidate") == 4
    assert scene.world.select(schema.journal) != []


def test_it_is_looked_for_once_a_day(scene):
    reap(scene, 0)
    assert not scene.world.store.run_now(retention.is_due, scene.world.clock.now())
    scene.world.later(DAY_S)
    assert scene.world.store.run_now(retention.is_due, scene.world.clock.now())


@pytest.mark.parametrize(("text", "days"), [("90 days", 90), ("1 day", 1), ("24 months", 730), ("2 years", 730)])
def test_how_long_is_written_in_days_months_or_years(text, days):
    assert parse_keeping(text).days == days


@pytest.mark.parametrize("text", ["24", "0 days", "2 weeks", "24months", 24, None, ""])
def test_what_is_not_how_long_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match='write for example "24 months"'):
        parse_keeping(text)


def test_whose_write_is_out_is_kept_until_its_outcome_is_known(scene):
    leave(scene)
    gone = next(row for row in scene.world.select(schema.records) if row.connection == "plain" and row.gone)
    out = {"id": "out", "connection": "plain", "kind": gone.kind, "ref": gone.id, "call": "update", "state": "unknown",
           "wants": {}, "told_at": 1.0, "priority": 1, "made_at": 1.0, "due": 1e12}  # fmt: skip
    scene.world.store.run_now(lambda connection: connection.execute(sa.insert(schema.intents).values(out)))
    reap(scene, 740)
    assert known(scene, "candidate") == 4
