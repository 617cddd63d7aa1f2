"""Who has lost a PostgreSQL store to another process commits nothing any more."""

import threading
import time

import pytest
import sqlalchemy as sa

from syncd import schema
from syncd.clock import WallClock
from syncd.migrate import migrate
from syncd.owner import begin_term
from syncd.store import Store, open_engine, recalled, remember


@pytest.fixture
def stores(postgresql_url):
    """The store as two owners have it, one after the other."""
    made = [Store(open_engine(postgresql_url), WallClock(), threaded=False) for _ in range(2)]
    made[0].run_now(migrate)
    yield made
    for store in made:
        store.close()


def test_an_earlier_owner_can_neither_write_nor_read(stores):
    first, second = stores
    begin_term(first)
    first.run_now(remember, "word", "first")
    begin_term(second)
    with pytest.raises(sa.exc.OperationalError, match="another process has the store now"):
        first.run_now(remember, "word", "late")
    with pytest.raises(sa.exc.OperationalError, match="another process"):
        first.run_now(recalled, "word")
    second.run_now(remember, "other", "second")
    assert second.run_now(recalled, "word") == "first"


def test_a_term_begins_after_the_transactions_of_the_last_one(stores):
    first, second = stores
    begin_term(first)
    told, inside, goes_on = [], threading.Event(), threading.Event()

    def slow(connection):
        inside.set()
        goes_on.wait(10)
        remember(connection, "word", "in time")
        told.append("first wrote")

    def take_over():
        begin_term(second)
        told.append("second began")

    threads = [threading.Thread(target=first.run_now, args=(slow,)), threading.Thread(target=take_over)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    time.sleep(0.1)
    assert told == []
    goes_on.set()
    for thread in threads:
        thread.join(10)
    assert told == ["first wrote", "second began"]
    assert second.run_now(recalled, "word") == "in time"


def test_a_transaction_that_was_left_in_the_middle_is_ended_by_the_server(stores):
    asked = sa.text("SHOW idle_in_transaction_session_timeout")
    shown = stores[0].run_now(lambda connection: connection.execute(asked).scalar())
    assert shown == "30s"


def test_an_sqlite_store_needs_no_terms(sqlite_url):
    store = Store(open_engine(sqlite_url), WallClock(), threaded=False)
    store.run_now(migrate)
    begin_term(store)
    assert store.run_now(lambda connection: connection.execute(sa.select(schema.meta)).all()) == []
    store.close()
