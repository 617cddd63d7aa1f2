"""The store over both databases: nothing is lost, nothing half done, and one process owns it."""

import asyncio
import os
import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from syncd import schema
from syncd.app import open_for_reading, open_store, ownership_of, prove_key
from syncd.clock import SteppedClock
from syncd.errors import ConfigInvalid
from syncd.migrate import is_current, migrate
from syncd.model import Kind
from syncd.owner import Nobodys
from syncd.rows import MemberRow, RecordRow
from syncd.sealing import Sealer
from syncd.settings import Config
from syncd.store import Store, Tx, open_engine, recalled, remember, rows_of, upsert

NOW = 1_800_000_000.0
KEY = "0" * 64
ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock():
    return SteppedClock(NOW, frozen=True)


@pytest.fixture
def store(store_url, clock):
    """A store with its tables; functions run inline."""
    opened = Store(open_engine(store_url), clock, threaded=False)
    opened.run_now(migrate)
    yield opened
    opened.close()


@pytest.fixture
def kept(emptied, clock):
    """A store that other tests use as well, empty."""
    return Store(emptied, clock, threaded=False)


def config_of(url, key=KEY):
    return Config.model_validate({"store": {"url": url, "key": key}})


def sealer_of(byte=0):
    return Sealer(bytes([byte]) * 32, random.Random(1).randbytes)


# --- migrations -----------------------------------------------------------------------------------------------------


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(store):
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []
        assert is_current(connection)


def test_migrating_what_is_current_changes_nothing(store):
    store.run_now(remember, "learnt", "yes")
    store.run_now(migrate)
    assert store.run_now(recalled, "learnt") == "yes"


def test_a_migration_that_dies_leaves_nothing_half_made(store_url, clock):
    opened = Store(open_engine(store_url), clock, threaded=False)

    def die(moment):
        raise KeyboardInterrupt(moment)

    opened.around = die
    with pytest.raises(KeyboardInterrupt):
        opened.run_now(migrate)
    assert sa.inspect(opened.engine).get_table_names() == []
    opened.around = lambda moment: None
    opened.run_now(migrate)
    with opened.engine.connect() as connection:
        assert is_current(connection)
    opened.close()


def test_a_database_of_a_newer_syncd_is_refused(store):
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigInvalid, match=r"store\.url: .* newer syncd"):
        store.run_now(migrate)


# --- transactions ---------------------------------------------------------------------------------------------------


def count_up(connection):
    """Reads, then writes: where a transaction is not alone, one of two such steps is lost."""
    number = int(recalled(connection, "number") or 0) + 1
    remember(connection, "number", str(number))
    return number


def test_no_update_is_lost_when_many_tasks_write_at_once(store_url, clock):
    opened = Store(open_engine(store_url), clock, threaded=True)
    opened.run_now(migrate)

    async def all_at_once():
        return await asyncio.gather(*(opened.run(count_up) for _ in range(50)))

    assert sorted(asyncio.run(all_at_once())) == list(range(1, 51))
    assert opened.run_now(recalled, "number") == "50"
    opened.close()


COUNT_UP = """
    import sys
    from syncd.clock import SteppedClock
    from syncd.store import recalled, remember
    from syncd.store import Store, open_engine

    def count_up(connection):
        remember(connection, "number", str(int(recalled(connection, "number") or 0) + 1))

    store = Store(open_engine(sys.argv[1]), SteppedClock(0.0, frozen=True), threaded=False)
    print("ready", flush=True)
    for _ in range(60):
        store.run_now(count_up)
"""


def test_no_update_is_lost_when_two_processes_write_one_file(sqlite_url, clock):
    """With the driver's own transactions two of three such updates were lost without an error."""
    opened = Store(open_engine(sqlite_url), clock, threaded=False)
    opened.run_now(migrate)
    command = [sys.executable, "-c", textwrap.dedent(COUNT_UP), sqlite_url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        for _ in range(60):
            opened.run_now(count_up)
        assert other.wait(timeout=60) == 0
    assert opened.run_now(recalled, "number") == "120"
    opened.close()


def test_what_fails_changes_nothing(kept):
    def fail(connection):
        remember(connection, "number", "1")
        raise LookupError

    with pytest.raises(LookupError):
        kept.run_now(fail)
    assert kept.run_now(recalled, "number") is None


def test_an_end_of_an_iteration_is_an_error_and_nobody_waits_for_ever(sqlite_url, clock):
    threaded = Store(open_engine(sqlite_url), clock)

    async def waits():
        await asyncio.wait_for(threaded.run(lambda connection: next(iter(()))), 5.0)

    with pytest.raises(RuntimeError, match="is not"):
        asyncio.run(waits())
    threaded.close()


def test_a_death_before_the_commit_changes_nothing_and_one_after_it_loses_nothing(kept):
    moments = []

    def die_at(fatal):
        def around(moment):
            moments.append(moment)
            if moment == fatal:
                raise KeyboardInterrupt

        return around

    for fatal in ("before", "after"):
        kept.around = die_at(fatal)
        with pytest.raises(KeyboardInterrupt):
            kept.run_now(remember, fatal, "kept")
    kept.around = lambda moment: None
    assert [kept.run_now(recalled, name) for name in ("before", "after")] == [None, "kept"]
    assert moments == ["before", "before", "after"]


def test_sqlite_syncs_each_commit_and_keeps_foreign_keys(sqlite_url, clock):
    opened = Store(open_engine(sqlite_url), clock, threaded=False)
    with opened.engine.connect() as connection:
        told = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
        version = tuple(int(part) for part in connection.exec_driver_sql("SELECT sqlite_version()").scalar().split("."))
    opened.close()
    assert told == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    assert version >= (3, 51, 3), "older ones can corrupt a WAL that two connections checkpoint at once"


# --- upsert ---------------------------------------------------------------------------------------------------------


def switches(kept):
    return {row["scope"]: row["reason"] for row in kept.run_now(rows_of, sa.select(schema.switches))}


def test_a_new_database_is_its_users_alone(sqlite_url, clock):
    before = os.umask(0o022)
    try:
        Store(open_engine(sqlite_url), clock, threaded=False).run_now(migrate)
    finally:
        os.umask(before)
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    assert {file.stat().st_mode & 0o777 for file in path.parent.glob(f"{path.name}*")} == {0o600}


def test_upsert_inserts_and_overwrites(kept):
    row = {"scope": "*", "reason": "first", "at": NOW}
    kept.run_now(upsert, schema.switches, [row])
    kept.run_now(upsert, schema.switches, [{**row, "reason": "second"}, {**row, "scope": "pair/p"}])
    assert switches(kept) == {"*": "second", "pair/p": "first"}


def test_upsert_of_nothing_is_nothing(kept):
    kept.run_now(upsert, schema.switches, [])
    assert switches(kept) == {}


def test_upsert_of_rows_that_are_all_key_leaves_the_known_ones(kept):
    row = {"connection": "c", "field": "industry", "digest": "d"}
    kept.run_now(upsert, schema.defaults, [row])
    kept.run_now(upsert, schema.defaults, [row, {**row, "digest": "e"}])
    assert len(kept.run_now(rows_of, sa.select(schema.defaults))) == 2


def test_json_comes_back_as_it_went_in(kept):
    seen = {"name": "ü", "phone": "", "stage": "=Neu"}

    def keep(connection):
        tx = Tx(connection, NOW)
        tx.put_record(RecordRow("c", "candidate", "1", NOW, seen=seen, traits=["sample"], defaulted=None))
        tx.flush()

    kept.run_now(keep)
    (row,) = kept.run_now(rows_of, sa.select(schema.records))
    assert (row["seen"], row["traits"]) == (seen, ["sample"])


# --- one transaction's view -----------------------------------------------------------------------------------------


def within(kept, function):
    """Run over ``Tx``, flushed at the end."""

    def run(connection):
        tx = Tx(connection, NOW)
        result = function(tx)
        tx.flush()
        return result

    return kept.run_now(run)


def test_a_row_is_one_object_within_a_transaction(kept):
    within(kept, lambda tx: tx.put_record(RecordRow("c", "job", "1", NOW)))

    def twice(tx):
        one = tx.record("c", Kind.JOB, "1")
        (other,) = tx.records_where(schema.records.c.id == "1")
        return one is other

    assert within(kept, twice)


def test_what_was_changed_is_found_by_a_question_to_the_database(kept):
    def change(tx):
        tx.put_record(RecordRow("c", "job", "1", NOW, title_key="baker"))
        return [row.id for row in tx.records_where(schema.records.c.title_key == "baker")]

    assert within(kept, change) == ["1"]


def test_a_person_is_found_by_her_mail_unless_she_is_gone(kept):
    def people(tx):
        tx.put_record(RecordRow("c", "candidate", "1", NOW, key="ann@", gone=True))
        tx.put_record(RecordRow("c", "candidate", "2", NOW, key="ann@"))
        tx.put_record(RecordRow("other", "candidate", "0", NOW, key="ann@"))
        asked = (("ann@", False), ("ann@", True), ("bob@", False))
        return [[row.id for row in tx.alike("c", Kind.CANDIDATE, "key", key, gone=gone)] for key, gone in asked]

    assert within(kept, people) == [["2"], ["1"], []]


def test_a_persons_rows_come_by_number(kept):
    def rows(tx):
        for row in ("10", "9", "100"):
            tx.put_member(MemberRow("c", row, "9"))
        tx.put_member(MemberRow("c", "5", "5"))

    within(kept, rows)
    assert within(kept, lambda tx: [member.row for member in tx.members_of("c", "9")]) == ["9", "10", "100"]


def test_a_link_is_found_from_both_ends(kept):
    made = within(kept, lambda tx: tx.new_link("p", Kind.JOB, "code", "l1", "r1").id)
    assert within(kept, lambda tx: tx.link_at("p", Kind.JOB, "left", "l1").id) == made
    assert within(kept, lambda tx: tx.link_at("p", Kind.JOB, "right", "r1").id) == made
    assert within(kept, lambda tx: tx.link_at("p", Kind.JOB, "left", "r1")) is None
    assert within(kept, lambda tx: tx.link_at("q", Kind.JOB, "left", "l1")) is None


def test_a_record_is_linked_once_in_a_pair(kept):
    """Two links of one record would be two people in one."""
    within(kept, lambda tx: tx.new_link("p", Kind.JOB, "code", "l1", "r1"))
    with pytest.raises(sa.exc.IntegrityError):
        within(kept, lambda tx: tx.new_link("p", Kind.JOB, "code", "l1", "r2"))
    with pytest.raises(sa.exc.IntegrityError):
        within(kept, lambda tx: tx.new_link("p", Kind.JOB, "code", "l2", "r1"))
    within(kept, lambda tx: tx.new_link("q", Kind.JOB, "code", "l1", "r2"))


def test_many_links_may_wait_for_their_other_end(kept):
    within(kept, lambda tx: [tx.new_link("p", Kind.JOB, "created", name, None) for name in ("l1", "l2")])
    assert within(kept, lambda tx: tx.link_at("p", Kind.JOB, "left", "l2").right) is None


def test_a_filled_end_is_kept(kept):
    def fill(tx):
        link = tx.new_link("p", Kind.JOB, "created", "l1", None)
        link.right, link.right_base = "r1", {"title": "t"}
        tx.put_link(link)

    within(kept, fill)
    assert within(kept, lambda tx: tx.link_at("p", Kind.JOB, "right", "r1").right_base) == {"title": "t"}


def test_a_dropped_link_takes_its_holds_and_intents_along(kept):
    def make(tx):
        link = tx.new_link("p", Kind.JOB, "created", "l1", None)
        tx.sql.execute(
            sa.insert(schema.holds).values(
                pair="p", connection="c", kind="job", ref="l1", link=link.id, reason="conflict", opened_at=NOW
            )
        )
        tx.sql.execute(sa.insert(schema.intents).values(
            id="i", connection="c", kind="job", call="create", state="open", link=link.id, wants={}, told_at=NOW,
            priority=2, made_at=NOW, due=NOW))  # fmt: skip
        return link.id

    made = within(kept, make)
    within(kept, lambda tx: tx.drop_link(tx.link(made)))
    left = [kept.run_now(rows_of, sa.select(table)) for table in (schema.links, schema.holds, schema.intents)]
    assert left == [[], [], []]
    assert within(kept, lambda tx: tx.link_at("p", Kind.JOB, "left", "l1")) is None


def test_more_records_than_one_statement_takes_are_read(kept):
    ids = [str(number) for number in range(1200)]
    within(kept, lambda tx: [tx.put_record(RecordRow("c", "job", id_, NOW)) for id_ in ids])

    def read(tx):
        tx.load_records("c", Kind.JOB, ids)
        return sum(tx.record("c", Kind.JOB, id_) is not None for id_ in ids)

    assert within(kept, read) == 1200


# --- the key --------------------------------------------------------------------------------------------------------


def test_the_key_that_a_store_was_made_with_is_accepted_again(kept):
    kept.run_now(prove_key, sealer_of())
    kept.run_now(prove_key, sealer_of())


def test_another_key_is_refused(kept):
    """Under another key every digest differs: each record would look changed, on both ends at once."""
    kept.run_now(prove_key, sealer_of())
    with pytest.raises(ConfigInvalid, match=r"store\.key"):
        kept.run_now(prove_key, sealer_of(1))


# --- opening --------------------------------------------------------------------------------------------------------


def test_an_opened_store_has_its_tables_and_knows_its_key(store_url, clock):
    opened = open_store(config_of(store_url), clock, sealer_of(), threaded=False)
    assert opened.run_now(recalled, "key_check") == sealer_of().key_check
    opened.close()


def test_there_is_nothing_to_read_before_the_first_start(store_url, clock, tmp_path):
    assert open_for_reading(config_of(store_url), clock) is None
    assert list(tmp_path.iterdir()) == [], "looking makes no database"


def test_a_store_of_an_older_syncd_is_not_read(store, store_url, clock):
    with store.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM alembic_version"))
    assert open_for_reading(config_of(store_url), clock) is None


def test_reading_beside_the_owner_sees_what_was_committed(store, store_url, clock):
    reader = open_for_reading(config_of(store_url), clock)
    store.run_now(remember, "number", "1")
    assert reader.run_now(recalled, "number") == "1"
    reader.close()


def test_a_reader_cannot_write(sqlite_url, clock):
    open_store(config_of(sqlite_url), clock, sealer_of(), threaded=False).close()
    reader = open_for_reading(config_of(sqlite_url), clock)
    with pytest.raises(sa.exc.OperationalError, match="readonly"):
        reader.run_now(remember, "number", "1")
    reader.close()


def test_a_reader_does_not_wait_for_a_writer(store, store_url, clock):
    reader = open_for_reading(config_of(store_url), clock)

    def read_meanwhile(connection):
        remember(connection, "number", "1")
        return reader.run_now(recalled, "number")

    assert store.run_now(read_meanwhile) is None
    reader.close()


def test_a_database_that_is_locked_by_somebody_else_is_an_error_of_the_database(sqlite_url, clock):
    store = open_store(config_of(sqlite_url), clock, sealer_of(), threaded=False)
    other = open_engine(sqlite_url)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
    with other.begin(), pytest.raises(sa.exc.OperationalError, match="database is locked"):
        store.run_now(remember, "number", "1")
    store.run_now(remember, "number", "2")
    assert store.run_now(recalled, "number") == "2"
    store.close()
    other.dispose()


def test_a_commit_that_fails_leaves_no_transaction_open(store, monkeypatch):
    def locked(connection):
        raise store.engine.dialect.loaded_dbapi.OperationalError("database is locked")

    monkeypatch.setattr(store.engine.dialect, "do_commit", locked)
    with pytest.raises(sa.exc.OperationalError):
        store.run_now(remember, "number", "1")
    monkeypatch.undo()
    assert store.run_now(recalled, "number") is None


# --- who owns it ----------------------------------------------------------------------------------------------------


@pytest.fixture
def owners(store_url):
    """Two that want the same store, as two processes would."""
    engines = [open_engine(store_url), open_engine(store_url)]
    yield [ownership_of(config_of(store_url), engine) for engine in engines]
    for engine in engines:
        engine.dispose()


def test_a_second_owner_is_refused_while_there_is_one(owners):
    first, second = owners
    assert first.take()
    assert first.take(), "to take what one has is no harm"
    assert not second.take()
    first.release()


def test_an_owner_that_lets_go_leaves_the_store_to_the_next(owners):
    first, second = owners
    assert first.take()
    first.release()
    first.release()
    assert second.take()
    second.release()


HOLD = """
    import sys
    from pathlib import Path
    from syncd.owner import AdvisoryLock, FileLock
    from syncd.store import open_engine
    url = sys.argv[1]
    first = FileLock(Path(url[10:])) if url.startswith("sqlite") else AdvisoryLock(open_engine(url))
    print(first.take(), flush=True)
    sys.stdin.read()
"""


def test_a_killed_owner_leaves_the_store_free(owners, store_url):
    ours, _ = owners
    command = [sys.executable, "-c", textwrap.dedent(HOLD), store_url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        assert not ours.take()
        process.kill()
        process.wait(timeout=60)
    for _ in range(200):  # PostgreSQL notices a dead client in its own time
        if ours.take():
            break
        time.sleep(0.02)
    assert ours.take()
    ours.release()


def test_the_lock_file_is_for_nobody_else(sqlite_url, tmp_path):
    first = ownership_of(config_of(sqlite_url), open_engine(sqlite_url))
    first.take()
    (lock,) = [path for path in tmp_path.iterdir() if path.name.endswith(".lock")]
    assert lock.stat().st_mode & 0o777 == 0o600
    first.release()


def test_a_store_in_memory_is_everybodys_own():
    ownership = ownership_of(config_of("sqlite:///:memory:"), open_engine("sqlite:///:memory:"))
    assert isinstance(ownership, Nobodys)
    assert ownership.take()
    ownership.release()
