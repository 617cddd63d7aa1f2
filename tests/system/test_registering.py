"""The daemon as a real process registers its addresses at the played systems, and what they then send reaches it.

Lists are read once an hour here, so whatever arrives was told by a webhook, proven by a secret of registration alone.
"""

import asyncio
import re

import httpx
import sqlalchemy as sa

from syncd import schema
from tests.integration.town import SECRET, Syncd, configure, ended, systems, until
from tests.ports import free_port

EXPECTED = {
    "acme": [f"acme/candidate_{what}" for what in ("created", "deleted", "moved")] + ["acme/job_deleted"],
    "screener": ["screener/application_activty"],
    "voice": ["voice"],
}


def set_up(folder, port, played):
    configure(folder, port, played, poll="1h", sweep="1d")
    file = folder / "config.toml"
    tenant = f'tenant_id = "{played["screener"].box.subscriptions.tenant_id}"'
    text = file.read_text().replace(f'webhook_secret = "{SECRET}"', "")
    text = text.replace("[connections.screener]\n", f"[connections.screener]\n{tenant}\n")
    file.write_text(text.replace("[server]\n", f'[server]\npublic_url = "http://127.0.0.1:{port}"\n'))


def registered(played):
    """What is switched on at each system, without the part of the address that is the daemon's own."""
    return {
        name: sorted(
            re.sub(r"^http://[^/]*/webhooks/", "", hook.url) for hook in each.box.hooks.values() if hook.active
        )
        for name, each in played.items()
    }


def made(played):
    """How many registrations the systems took."""
    arrivals = [arrival for each in played.values() for arrival in each.box.arrivals]
    return sum(1 for each in arrivals if each.method == "POST" and re.search(r"webhook|subscriptions", each.path))


async def measured(syncd):
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"http://127.0.0.1:{syncd.port}/metrics")).text


def inbox(syncd, name):
    return syncd.rows(sa.select(schema.inbox.c.id).where(schema.inbox.c.connection == name))


async def up(syncd):
    told = await measured(syncd)
    return all(f'syncd_webhook_subscriptions_up{{connection="{name}"}} 1.0' in told for name in EXPECTED)


def test_serve_registers_everywhere_and_believes_what_the_secrets_of_registration_sign(tmp_path):
    async def main():
        syncd = Syncd(tmp_path, free_port())
        async with systems(5) as played:
            set_up(tmp_path, syncd.port, played)
            played["acme"].box.fill(jobs=1, people=3, again=0.0)
            try:
                await lives(syncd, played)
            finally:
                await ended(syncd)

    asyncio.run(main())


async def lives(syncd, played):
    await syncd.start()
    await until(syncd.is_ready, 30, syncd.told)
    await until(lambda: up(syncd), 30, syncd.told)
    assert registered(played) == EXPECTED
    await until(lambda: len(played["voice"].box.snapshot()["application"]) == 3, 60, syncd.told)
    await until(lambda: len(played["screener"].box.snapshot()["application"]) == 3, 60, syncd.told)
    await hears(syncd, played, "screener", "Interview", "Offer")
    await hears(syncd, played, "voice", "interview", "screening")
    secrets = [hook.secret for name in ("screener", "voice") for hook in played[name].box.hooks.values()]
    assert not any(secret in syncd.told() for secret in secrets)
    assert 'syncd_webhooks_total{connection="voice",result="forged"} 0.0' in await measured(syncd)
    count = made(played)
    await syncd.die()
    await syncd.start()
    await until(syncd.is_ready, 30, syncd.told)
    await hears(syncd, played, "voice", "offer", "applied")
    code, told = await syncd.ask("webhooks", "list")
    assert code == 0, told
    assert (made(played), registered(played)) == (count, EXPECTED)
    code, told = await syncd.ask("webhooks", "remove", "--connection", "voice")
    assert code == 0, told
    assert registered(played) == {**EXPECTED, "voice": []}


async def hears(syncd, played, name, *words):
    """Somebody moves an application there to another stage; the daemon is told, and believes it."""
    before, box = len(inbox(syncd, name)), played[name].box
    id_, stands = next(iter(box.snapshot()["application"].items()))
    box.move(id_, next(word for word in words if word not in stands.values()))
    await until(lambda: len(inbox(syncd, name)) > before, 30, syncd.told)
