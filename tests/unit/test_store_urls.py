"""The databases that the other tests stand on are there, are new each time, and are both used."""

import psycopg
import pytest
import sqlalchemy


@pytest.mark.parametrize("time", ["first", "second"])
def test_a_store_is_empty_each_time(store_url, time):
    engine = sqlalchemy.create_engine(store_url)
    with engine.begin() as connection:
        assert sqlalchemy.inspect(connection).get_table_names() == []
        connection.execute(sqlalchemy.text("CREATE TABLE marks (time TEXT)"))
    engine.dispose()


def test_postgresql_is_spoken_to_through_psycopg(postgresql_url):
    engine = sqlalchemy.create_engine(postgresql_url)
    with engine.connect() as connection:
        assert engine.driver == "psycopg"
        assert connection.scalar(sqlalchemy.text("SHOW server_encoding")) == "UTF8"
    engine.dispose()


def test_a_forgotten_connection_does_not_keep_a_database(postgres_server):
    with postgres_server.database() as url:
        forgotten = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError):
        forgotten.execute("SELECT 1")
    forgotten.close()
