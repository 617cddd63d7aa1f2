import pytest
import sqlalchemy as sa

from syncd import keys, rotate, schema
from syncd.errors import ConfigInvalid, Rejected, SyncdError
from syncd.model import Kind, Ref
from syncd.sealing import DIGESTS, Sealer, key_from_file
from syncd.settings import Store as Settings
from syncd.store import recalled
from tests.unit.erasure import EMAIL, FIRST_S, SWEPT_S, Scene

OLD, NEW = "11" * 32, "22" * 32


class Stopped(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def with_file(tmp_path_factory):
    """A write waits sealed, and somebody was erased; the key is in a file."""
    made = Scene(tmp_path_factory.mktemp("store"))
    wait_for_a_write(made)
    yield made
    made.close()


@pytest.fixture(scope="module")
def with_config(tmp_path_factory):
    """The same, with the key in the configuration."""
    made = Scene(tmp_path_factory.mktemp("store"), key=OLD)
    wait_for_a_write(made)
    yield made
    made.close()


@pytest.fixture
def scene(with_file, tmp_path):
    made = with_file.copied(tmp_path)
    yield made
    made.close()


@pytest.fixture
def configured(with_config, tmp_path):
    made = with_config.copied(tmp_path)
    yield made
    made.close()


def wait_for_a_write(scene):
    job = scene.job()
    row = scene.apply(job, 1)
    scene.apply(job)
    scene.live(FIRST_S, learn=True)
    scene.forget(EMAIL)
    scene.world.systems["plain"].fault = lambda method, what: "refused" if method == "PATCH" else None
    scene.world.systems["rows"].edit(Ref(Kind.APPLICATION, row), {"phone": "+12025550999"})
    scene.live(40.0)
    assert waiting(scene) == [{"phone": "+12025550999"}]


def waiting(scene):
    return [scene.world.values(intent) for intent in scene.world.intents("plain")]


def goes_on(scene):
    """What waited is written, nothing is made twice, and who was erased is known still."""
    scene.world.systems["plain"].fault = lambda method, what: None
    scene.live(SWEPT_S)
    assert waiting(scene) == []
    people = [(t.fields["email"], t.fields["phone"]) for t in scene.world.systems["plain"].of(Kind.CANDIDATE)]
    assert ("ann1@example.com", "+12025550999") in people
    assert len(people) == 2
    assert len(scene.world.links(Kind.APPLICATION)) == 1
    assert scene.world.holds() == set()


def test_another_key_opens_all_and_the_old_one_nothing(scene):
    old = scene.settings.key_path.read_text()
    told = scene.rotate()
    assert told["sealed_anew"] == 1
    new = scene.settings.key_path.read_text()
    assert new != old
    assert new.strip() not in str(told)
    assert waiting(scene) == [{"phone": "+12025550999"}]
    scene.reopen()
    goes_on(scene)
    scene.settings.key_path.write_text(old)
    with pytest.raises(ConfigInvalid, match="made with another key"):
        scene.reopen()


def test_the_running_process_goes_on_with_the_new_key(scene):
    scene.rotate()
    goes_on(scene)


def test_nothing_in_the_database_is_sealed_under_the_old_key_any_more(scene):
    old = Sealer(key_from_file(scene.settings.key_path, scene.entropy), scene.entropy)
    scene.rotate()
    (intent,) = scene.world.intents("plain")
    with pytest.raises(Rejected):
        old.unseal(intent.sealed, intent.id)
    with pytest.raises(Rejected):
        old.unwrap(DIGESTS, scene.world.store.run_now(recalled, "digest_key"))
    assert scene.world.store.run_now(recalled, keys.BRIDGE) is None


def test_every_sealed_column_says_what_it_is_bound_to():
    columns = {str(column) for table in schema.metadata.sorted_tables for column in table.columns
               if isinstance(column.type, sa.LargeBinary)}  # fmt: skip
    assert columns == {str(column) for column in keys.sealed_columns()}


def test_a_webhooks_secret_is_sealed_anew(scene):
    about = schema.SUBSCRIPTION_PLACE.format(connection="rows", remote="7")
    row = {"connection": "rows", "remote": "7", "url": "u", "events": [], "made_at": 1.0, "seen_at": 1.0,
           "secret": scene.sealer.seal(b"whsec", about)}  # fmt: skip
    scene.world.store.run_now(lambda connection: connection.execute(sa.insert(schema.subscriptions).values(row)))
    assert scene.rotate()["sealed_anew"] == 2
    (kept,) = scene.world.select(schema.subscriptions)
    fresh = Sealer(key_from_file(scene.settings.key_path, scene.entropy), scene.entropy)
    assert fresh.unseal(kept.secret, about) == b"whsec"


MOMENTS = ["before the transaction", "in the transaction", "after the commit", "key in place", "file rewrapped"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_stop_at_any_moment_locks_nobody_out(scene, moment, monkeypatch):
    before = scene.settings.key_path.read_text()
    stop_at(scene, moment, monkeypatch)
    with pytest.raises(Stopped):
        scene.rotate()
    monkeypatch.undo()
    scene.reopen()
    assert waiting(scene) == [{"phone": "+12025550999"}]
    is_changed = scene.settings.key_path.read_text() != before
    assert is_changed == (MOMENTS.index(moment) >= 2)
    assert scene.world.store.run_now(recalled, keys.BRIDGE) is None
    if not is_changed:
        scene.rotate()
        scene.reopen()
    assert not rotate.beside(scene.settings.key_path).exists()
    goes_on(scene)


def stop_at(scene, moment, monkeypatch):
    def stop(*args):
        raise Stopped

    match moment:
        case "before the transaction":
            monkeypatch.setattr(rotate.keys, "change", stop)
        case "in the transaction":
            monkeypatch.setattr(keys, "bridge_to", lambda *args: stop())
        case "after the commit":
            monkeypatch.setattr(rotate, "_put_in_place", stop)
        case "key in place":
            monkeypatch.setattr(rotate.graves, "rewrap", stop)
        case "file rewrapped":
            monkeypatch.setattr(rotate.keys, "burn_bridge", stop)


def test_a_key_in_the_configuration_is_the_operators_to_change(configured, tmp_path):
    with pytest.raises(SyncdError, match="--new-key-file"):
        configured.rotate()
    file = tmp_path / "new.key"
    told = configured.rotate(file)["told"]
    assert "SYNCD_STORE__KEY" in told
    assert file.read_text().strip() not in told
    with pytest.raises(SyncdError, match="is not over"):
        configured.rotate(tmp_path / "newer.key")
    configured.reopen()  # the old key opens it until the new one was used
    assert waiting(configured) == [{"phone": "+12025550999"}]
    url = configured.settings.url.get_secret_value()
    configured.reopen(Settings.model_validate({"url": url, "key": file.read_text().strip()}))
    goes_on(configured)
    with pytest.raises(ConfigInvalid, match="made with another key"):
        configured.reopen(Settings.model_validate({"url": url, "key": OLD}))


def test_a_wrong_key_is_refused_also_while_the_key_is_changed(configured, tmp_path):
    configured.rotate(tmp_path / "new.key")
    url = configured.settings.url.get_secret_value()
    with pytest.raises(ConfigInvalid, match="made with another key"):
        configured.reopen(Settings.model_validate({"url": url, "key": NEW}))


def test_a_store_of_an_older_syncd_keeps_its_digests(scene):
    master = key_from_file(scene.settings.key_path, scene.entropy)
    scene.world.store.run_now(
        lambda connection: connection.execute(sa.delete(schema.meta).where(schema.meta.c.name.in_(keys.OWN.values())))
    )
    followed = Sealer(master, scene.entropy).digest("email", EMAIL)
    scene.settings.tombstones_path.unlink()
    scene.reopen()
    assert scene.sealer.digest("email", EMAIL) == followed
    scene.rotate()
    scene.reopen()
    assert scene.sealer.digest("email", EMAIL) == followed


def test_a_new_stores_digests_do_not_follow_from_its_key(scene):
    master = key_from_file(scene.settings.key_path, scene.entropy)
    assert scene.sealer.digest("email", EMAIL) != Sealer(master, scene.entropy).digest("email", EMAIL)
