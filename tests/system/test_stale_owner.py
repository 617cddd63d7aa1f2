"""A daemon whose hold on a PostgreSQL store is cut off while it lives, paused or not, does nothing there any more."""

import hashlib
import hmac
import signal

import httpx
import orjson
import psycopg
import pytest
import sqlalchemy as sa

from syncd import schema
from tests.integration.played import TOKEN, place, systems, until

LOCKS = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"


def told(daemon, number):
    """What a daemon answers to a webhook; nothing once its port is closed."""
    body = orjson.dumps({"id": f"e{number}", "event_type": "candidate_moved", "data": {"id": "1"}})
    signature = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
    try:
        return daemon.post("/webhooks/acme", body, {"X-Workable-Signature": signature}).status_code
    except httpx.TransportError:
        return None


@pytest.mark.parametrize("paused", [False, True], ids=["alive", "paused"])
def test_who_has_lost_the_store_takes_no_webhook_and_ends(tmp_path, postgresql_url, paused):
    with systems(people=2) as played, place(tmp_path, played, postgresql_url) as here:
        first = here.start().wait_ready()
        assert told(first, 0) == 200
        second = here.start()
        until(lambda: '"action":"waiting"' in second.told(), 40, second.told)
        if paused:
            first.process.send_signal(signal.SIGSTOP)
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute(LOCKS)
        second.wait_ready(40)
        if paused:
            first.process.send_signal(signal.SIGCONT)
        answers = {told(first, number) for number in range(1, 20)}
        assert answers <= {None, 503}
        assert first.process.wait(30) == 1
        assert '"action":"lost_store"' in first.told()
        assert told(second, 20) == 200
        kept = {row.event for row in here.rows(sa.select(schema.inbox.c.event))}
        assert kept == {"id e0", "id e20"}
        assert second.stop() == 0
