"""Copies of the database: made while it is used, and noticed when one is put back."""

from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from syncd import copies, schema
from syncd.clock import SteppedClock
from syncd.errors import SyncdError
from syncd.store import Store, open_engine

NOW = 1_800_000_000.0


@pytest.fixture
def kept(tmp_path):
    """A store in a file, and the small file beside it."""
    clock = SteppedClock(NOW, frozen=True)
    database = tmp_path / "syncd.db"
    store = Store(open_engine(f"sqlite:///{database}"), clock, threaded=False)
    schema.metadata.create_all(store.engine)
    beside = copies.Beside(database)
    copies.follow(store.engine, beside, clock)
    yield SimpleNamespace(store=store, clock=clock, database=database, beside=beside, folder=tmp_path)
    store.close()


def write(kept, lines=1):
    """So many lines of the journal, a while later."""
    row = {"at": NOW, "connection": "a", "kind": "job", "ref": "1", "what": "sent", "fields": []}
    kept.clock._offset += 5.0
    kept.store.run_now(lambda sql: sql.execute(sa.insert(schema.journal), [row] * lines))
    kept.clock._offset += 5.0
    kept.store.run_now(lambda sql: sql.execute(sa.select(schema.journal.c.id)).all())


def recognised(kept, database):
    engine = open_engine(f"sqlite:///{database}")
    try:
        with engine.begin() as connection:
            return copies.recognise(connection, kept.beside, NOW), copies.is_to_be_doubted(connection)
    finally:
        engine.dispose()


def test_the_database_itself_is_no_copy_however_often_it_is_opened(kept):
    write(kept, 3)
    assert kept.beside.read() == 3
    assert [recognised(kept, kept.database) for _ in range(2)] == [(False, False)] * 2


def test_a_copy_made_with_our_command_says_so_though_nothing_was_done_since(kept):
    write(kept)
    target = kept.folder / "copy"
    told = copies.copy_to(kept.database, target, NOW)
    assert told["bytes"] == target.stat().st_size
    assert (target.stat().st_mode & 0o777, list(kept.folder.glob("copy?*"))) == (0o600, [])
    assert recognised(kept, target) == (True, True)
    assert recognised(kept, target) == (False, True)  # it is noted until the consequences are drawn


def test_a_copy_of_another_tool_is_told_by_the_lines_that_it_lacks(kept):
    write(kept)
    target = kept.folder / "copy"
    copies._copy(kept.database, target)
    assert recognised(kept, target) == (False, False)
    write(kept)
    assert recognised(kept, target) == (True, True)


def test_lines_that_were_deleted_are_not_taken_for_lines_that_are_missing(kept):
    write(kept, 5)
    kept.store.run_now(lambda sql: sql.execute(sa.delete(schema.journal)))
    assert recognised(kept, kept.database) == (False, False)


def test_without_the_file_beside_it_nothing_is_noticed_and_nothing_fails(kept):
    write(kept)
    (kept.folder / "syncd.db.epoch").write_text("what?")
    assert recognised(kept, kept.database) == (False, False)


def test_a_copy_never_takes_the_place_of_another_file(kept):
    (kept.folder / "copy").write_text("mine")
    with pytest.raises(SyncdError, match="there already"):
        copies.copy_to(kept.database, kept.folder / "copy", NOW)
    with pytest.raises(SyncdError, match="cannot be written"):
        copies.copy_to(kept.database, kept.folder / "nowhere" / "copy", NOW)
