import json
import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.config import load
from syncd.crosscheck import Findings, examine
from syncd.errors import ConfigInvalid
from syncd.mapping import build, terms_of
from syncd.model import Kind
from syncd.settings import (
    Config,
    Cron,
    Direction,
    Every,
    account,
    did_you_mean,
    parse_interval,
    parse_when,
    shown,
)

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.toml"
TOKEN = "canary-0a1b2c3d4e5f"
NAMES = "a name has lower-case letters, digits and single underscores, as variables' names need it"
NO_POLL = '"5x" is not an interval; write for example "5m" or a cron line'
NO_SWEEP = '"5x" is not an interval; write for example "5m" or "24h"'
SMALL = """
[connections.acme]
system = "workable"
"""


@pytest.fixture
def read(tmp_path):
    """Loads a text as a config file, with no secrets folder but the one given."""

    def read(text=SMALL, secrets=None, **environ):
        (tmp_path / "config.toml").write_text(text)
        folder = tmp_path / "secrets"
        folder.mkdir(exist_ok=True)
        for name, value in (secrets or {}).items():
            (folder / name).write_text(value)
        return load(tmp_path / "config.toml", {"SYNCD_SECRETS": str(folder), **environ})

    return read


@pytest.fixture
def mistakes(read):
    """The sentences with which a config is refused."""

    def mistakes(*args, **kwargs):
        with pytest.raises(ConfigInvalid) as refused:
            read(*args, **kwargs)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__ or refused.value.__context__ is None
        return str(refused.value).split("\n")

    return mistakes


# --- the example


@pytest.fixture
def example(tmp_path):
    return load(EXAMPLE, {"SYNCD_SECRETS": str(tmp_path)})


@pytest.fixture(scope="module")
def plugins():
    return {entry.name: entry.load() for entry in entry_points(group="syncd.connectors")}


def test_the_example_has_no_mistakes(example, plugins):
    assert examine(example, plugins) == Findings()


def test_no_name_of_the_example_means_two_things(example):
    assert not set(example.connections) & set(example.pairs)


def test_the_example_gives_each_field_that_a_target_demands(example, plugins):
    def terms(name):
        connection = example.connections[name]
        data = tomllib.loads((ROOT / "mappings" / f"{connection.system}.toml").read_text())
        vocabulary = build(data, connection.overrides, name, connection.region)
        return {kind: terms_of(plugins[connection.system].facts, vocabulary, kind) for kind in Kind}

    for pair in example.pairs.values():
        left, right = terms(pair.left), terms(pair.right)
        for kind in (kind for kind in Kind if pair.direction(kind).to_right):
            given = left[kind].tells | left[Kind.CANDIDATE].tells | {*example.connections[pair.right].defaults}
            assert (right[kind].demands | right[kind].person_demands) - given == set()


def test_the_example_is_for_loopback_with_made_up_people(example):
    assert all(connection.base_url.startswith("http://127.0.0.1:") for connection in example.connections.values())
    for mail in re.findall(r"[\w.]+@[\w.]+", EXAMPLE.read_text()):
        assert mail.endswith((".example", "@example.com", "@host"))  # names that nobody can have, RFC 2606


def test_each_line_that_is_commented_out_in_the_example_works_too(tmp_path):
    text = re.sub(r"^# ([a-z_]+ = |\[|\"Tech|interview)", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    text = text.replace('"…"', '"0123456789abcdef0123456789abcdef"')
    (tmp_path / "config.toml").write_text(text)
    config = load(tmp_path / "config.toml", {"SYNCD_SECRETS": str(tmp_path)})
    assert config.connections["screener"].stages.read == {"Tech Chat": "interview"}
    assert config.connections["acme"].enabled is False
    assert config.store.key_file == Path("/etc/syncd/key")


# --- the sources and their order


def test_a_file_alone_is_enough(read):
    config = read(SMALL + f'token = "{TOKEN}"\npoll = "90s"')
    assert config.connections["acme"].token.get_secret_value() == TOKEN
    assert config.connections["acme"].poll == Every(90)


def test_the_environment_wins_over_the_folder_and_the_folder_over_the_file(read):
    text = SMALL + 'token = "file"\nmember = "file"\nbase_url = "file"'
    files = {"connections__acme__token": "folder\n", "connections__acme__member": "folder"}
    acme = read(text, files, SYNCD_CONNECTIONS__ACME__TOKEN="variable").connections["acme"]
    assert (acme.token.get_secret_value(), acme.member, acme.base_url) == ("variable", "folder", "file")


def test_a_value_deep_inside_can_come_from_the_environment(read):
    config = read(
        SYNCD_SERVER__LISTEN="0.0.0.0:80",
        SYNCD_CONNECTIONS__ACME__DEFAULTS__INDUSTRY="Software",
        SYNCD_CONNECTIONS__ACME__LIMITS='["10/10s", "100/day@UTC"]',
        SYNCD_CONNECTIONS__ACME__WEBHOOK_SECRET='["old", "new"]',
        SYNCD_PAIRS__VOICE__LEFT="acme",
        SYNCD_PAIRS__VOICE__RIGHT="voice",
        SYNCD_PAIRS__VOICE__PUBLISH="true",
        SYNCD_PAIRS__VOICE__JOBS="->",
        SYNCD_PAIRS__VOICE__ONLY='{"job_status": ["open"], "sample": true}',
        SYNCD_PAIRS__VOICE__MAX_CREDITS_PER_DAY="500",
    )
    acme, voice = config.connections["acme"], config.pairs["voice"]
    assert (config.server.host, config.server.port) == ("0.0.0.0", 80)
    assert acme.defaults == {"industry": "Software"}
    assert acme.limits == ("10/10s", "100/day@UTC")
    assert [secret.get_secret_value() for secret in acme.webhook_secret] == ["old", "new"]
    assert (voice.publish, voice.jobs, voice.max_credits_per_day) == (True, Direction.RIGHT, 500)
    assert voice.only.rules() == {"job_status": ("open",), "sample": ("true",)}


@pytest.mark.parametrize("token", ["[brackets", "{braces}", "12345678", "true", "null"])
def test_a_token_is_text_whatever_it_looks_like(read, token):
    config = read(SYNCD_CONNECTIONS__ACME__TOKEN=token)
    assert config.connections["acme"].token.get_secret_value() == token


def test_one_value_is_a_list_of_one(read):
    acme = read(SYNCD_CONNECTIONS__ACME__LIMITS="10/10s", SYNCD_CONNECTIONS__ACME__WEBHOOK_SECRET="one")
    assert acme.connections["acme"].limits == ("10/10s",)
    assert [secret.get_secret_value() for secret in acme.connections["acme"].webhook_secret] == ["one"]


def test_variables_and_files_of_others_are_left_alone(read):
    read(secrets={"db_password": "x", ".hidden__x": "y"}, SYNCD_PORT="tcp://10.0.0.1:80", SYNCD_CONFIG="x", PATH="/bin")


def test_folders_in_the_secrets_folder_are_left_alone(read, tmp_path):
    (tmp_path / "secrets" / "connections__acme").mkdir(parents=True)
    (tmp_path / "secrets" / "..data").symlink_to("connections__acme")
    read()


def test_the_file_is_named_by_the_environment_or_stands_in_the_folder(tmp_path, monkeypatch):
    (tmp_path / "config.toml").write_text('[server]\nlisten = "127.0.0.1:1"')
    (tmp_path / "other.toml").write_text('[server]\nlisten = "127.0.0.1:2"')
    monkeypatch.chdir(tmp_path)
    environ = {"SYNCD_SECRETS": str(tmp_path)}
    assert load(None, environ).server.port == 1
    assert load(None, {**environ, "SYNCD_CONFIG": "other.toml"}).server.port == 2
    assert load(Path("config.toml"), {**environ, "SYNCD_CONFIG": "other.toml"}).server.port == 1


def test_the_process_environment_is_not_read_behind_the_callers_back(read, monkeypatch):
    monkeypatch.setenv("SYNCD_SERVER__LISTEN", "127.0.0.1:9")
    monkeypatch.setenv("server", '{"listen": "127.0.0.1:9"}')
    assert read().server.port == 8080


def test_two_loads_are_equal(read):
    assert read() == read()


# --- mistakes


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('poll = "5x"', 'poll: "5x" is not an interval; write for example "5m" or a cron line'),
        ("poll = 300", 'poll: 300 is not an interval; write for example "5m" or a cron line'),
        ('poll = "* * *"', 'poll: "* * *" is not a cron line of five fields; write for example "*/5 * * * *"'),
        ('sweep = "* * * * *"', 'sweep: "* * * * *" is not an interval; write for example "5m" or "24h"'),
        ('sweep = "367d"', 'sweep: "367d" is longer than a year'),
        ('tokn = ["x"]', 'tokn: syncd does not know this key; did you mean "token"?'),
        ('default.industry = "x"', 'default: syncd does not know this key; did you mean "defaults"?'),
        ("member = 7", "member: must be text, in quotes"),
        ('enabled = "perhaps"', "enabled: must be true or false"),
        ("limits = 10", "limits: must be a list"),
        ('token = ""', "token: is empty"),
        ('token = "canary one"', "token: holds white space or control characters; a secret is one word"),
        ('token = "canary\\none"', "token: holds white space or control characters; a secret is one word"),
        ("token = 12345", "token: must be text, in quotes"),
        ('webhook_secret = ["a", "b", "c"]', "webhook_secret: takes one secret, or two during a rotation"),
        ('region = "USA"', 'region: "USA" is not a region of phone numbers; write for example "US" or "GR"'),
        ('stages.red = { a = "b" }', 'stages.red: syncd does not know this key; did you mean "read"?'),
        ('stages = "x"', "stages: must be a table of keys and values"),
        (
            'fields.jobs.title = "x"',
            'fields.jobs: "jobs" is none of "job", "candidate", "application" or "screening"',
        ),
    ],
)
def test_each_mistake_of_a_connection_is_one_sentence_with_its_place(mistakes, line, sentence):
    assert mistakes(SMALL + line) == [f"connections.acme.{sentence}"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[pairs.x]\nleft = 'a'", "pairs.x.right: this key is needed"),
        (
            "[pairs.x]\nleft = 'a'\nright = 'b'\njobs = '=>'",
            'pairs.x.jobs: "=>" is none of "->", "<-", "<->" or "off"',
        ),
        (
            "[pairs.x]\nleft = 'a'\nright = 'b'\nconflicts = 'ask'",
            'pairs.x.conflicts: "ask" is none of "hold", "left", "right" or "newest"',
        ),
        (
            "[pairs.x]\nleft = 'a'\nright = 'b'\nowner.stage = 'acme'",
            'pairs.x.owner.stage: "acme" is none of "left" or "right"',
        ),
        (
            "[pairs.x]\nleft = 'a'\nright = 'b'\nonly.job_status = ['opn']",
            'pairs.x.only.job_status.0: "opn" is none of "draft", "open", "paused" or "closed"',
        ),
        (
            "[pairs.x]\nleft = 'a'\nright = 'b'\nonly.jobs = ['A1']",
            'pairs.x.only.jobs: syncd does not know this key; did you mean "job"?',
        ),
        (
            "[pairs.x]\nleft = 'a'\nright = 'b'\nmax_credits_per_day = -1",
            "pairs.x.max_credits_per_day: must be at least 0",
        ),
        (
            "[pairs.x]\nleft = 'a'\nright = 'b'\non_screening = [{ score_min = 'high', move_to = 'offer' }]",
            "pairs.x.on_screening.0.score_min: must be a number",
        ),
        ("[pears.x]\nleft = 'a'", 'pears: syncd does not know this key; did you mean "pairs"?'),
        ("[guard]\nchanged_share = 2", "guard.changed_share: must be at most 1.0"),
        ("[guard]\nchanged_least = 1.5", "guard.changed_least: must be a whole number"),
        (
            "[server]\nlisten = '8080'",
            'server.listen: "8080" is not an address and a port; write for example "127.0.0.1:8080"',
        ),
        (
            "[server]\nlisten = 'localhost:99999'",
            'server.listen: "localhost:99999" is not an address and a port; write for example "127.0.0.1:8080"',
        ),
        ("[store]\nurl = 'mysql://x'", 'store.url: must begin with "sqlite:///" or "postgresql://"'),
        (
            "[store]\nkey = 'password'",
            "store.key: a key is 32 bytes, as 64 hex digits or as base64; `openssl rand -base64 32` makes one",
        ),
        ("[store]\nkey_file = 3", "store.key_file: must be text, in quotes"),
        (
            "[connections.Acme-EU]\nsystem = 'workable'",
            f"connections.Acme-EU: {NAMES}",
        ),
        ("connections = 3", "connections: must be a table of keys and values"),
    ],
)
def test_each_mistake_elsewhere_is_one_sentence_with_its_place(mistakes, text, sentence):
    assert mistakes(text) == [sentence]


def test_all_mistakes_are_told_at_once(mistakes):
    told = mistakes(SMALL + 'poll = "5x"\nsweep = "5x"\n[pairs.x]\nleft = "a"\n[pears]\n')
    assert [line.partition(":")[0] for line in told] == [
        "connections.acme.poll",
        "connections.acme.sweep",
        "pairs.x.right",
        "pears",
    ]


def test_a_mistake_from_elsewhere_names_where_it_came_from(mistakes, tmp_path):
    told = mistakes(
        secrets={"connections__acme__sweep": "5x"},
        SYNCD_CONNECTIONS__ACME__POLL="5x",
        SYNCD_CONECTIONS__ACME__TOKEN=TOKEN,
    )
    assert told == [
        f"connections.acme.poll (from SYNCD_CONNECTIONS__ACME__POLL): {NO_POLL}",
        f"connections.acme.sweep (from the file {tmp_path}/secrets/connections__acme__sweep): {NO_SWEEP}",
        'conections (from SYNCD_CONECTIONS__ACME__TOKEN): syncd does not know this key; did you mean "connections"?',
    ]


def test_a_missing_file_names_the_way_out(tmp_path):
    with pytest.raises(ConfigInvalid, match=r"nothing\.toml: there is no such file; `syncd init` makes one") as told:
        load(tmp_path / "nothing.toml", {})
    assert EXAMPLE.is_file()
    assert {"--config", "SYNCD_CONFIG"} <= set(re.findall(r"[\w-]+", str(told.value)))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[connections.acme\n", "this is not TOML: Expected ']'"),
        (b"\xff\xfe", "this is not TOML: the file is not in UTF-8"),
        (b"token = 'canary\n", "this is not TOML: "),
    ],
)
def test_what_is_no_toml_is_told_in_a_sentence(tmp_path, content, sentence):
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(ConfigInvalid, match=re.escape(sentence)) as refused:
        load(tmp_path / "config.toml", {})
    assert "canary" not in str(refused.value)


def test_a_folder_in_the_files_place_is_told_in_a_sentence(tmp_path):
    with pytest.raises(ConfigInvalid, match="this is not a file"):
        load(tmp_path, {})


def test_a_secrets_folder_that_was_named_must_be_there(tmp_path):
    (tmp_path / "config.toml").write_text("")
    with pytest.raises(ConfigInvalid, match="SYNCD_SECRETS: there is no folder"):
        load(tmp_path / "config.toml", {"SYNCD_SECRETS": str(tmp_path / "nowhere")})


@pytest.mark.parametrize("content", [b"\xff", b"x" * 70_000])
def test_a_secret_file_that_is_no_value_is_told_in_a_sentence(read, tmp_path, content):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "connections__acme__token").write_bytes(content)
    with pytest.raises(ConfigInvalid, match="connections__acme__token: the file is"):
        read()


def test_a_variable_inside_a_value_is_told_in_a_sentence(mistakes):
    told = mistakes(SYNCD_CONNECTIONS__ACME__TOKEN=TOKEN, SYNCD_CONNECTIONS__ACME__TOKEN__X="y")
    assert told == ["SYNCD_CONNECTIONS__ACME__TOKEN__X: connections.acme.token has a value already and is no table"]


SECRET_PLACES = [
    ("STORE", "URL"),
    ("STORE", "KEY"),
    ("SERVER", "PAGE_TOKEN"),
    ("CONNECTIONS", "ACME", "TOKEN"),
    ("CONNECTIONS", "ACME", "WEBHOOK_SECRET"),
    ("CONNECTIONS", "ACME", "WEBHOOK_PATH_SECRET"),
    ("CONNECTIONS", "ACME", "ACCESS_CLIENT_SECRET"),
]


@pytest.mark.parametrize("place", SECRET_PLACES, ids="__".join)
@pytest.mark.parametrize("value", [f"{TOKEN} {TOKEN}", f"{TOKEN}\x00", f'["{TOKEN}", "a b"]', f'{{"a": "{TOKEN}"}}'])
def test_no_mistake_shows_a_secret(mistakes, place, value):
    for told in mistakes(**{"SYNCD_" + "__".join(place): value}):
        assert TOKEN not in told
        assert told.startswith(".".join(place).lower())


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_in_a_files_place_is_a_config_or_a_sentence(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(text)
    try:
        load(folder / "config.toml", {"SYNCD_SECRETS": str(folder)})
    except ConfigInvalid as refused:
        assert ": " in str(refused)  # noqa: PT017  # it may also be a config


KEYS = st.sampled_from(
    ["connections", "acme", "pairs", "x", "store", "url", "token", "stages", "read", "only", "[key]"]
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(tree=st.dictionaries(KEYS, TREES, max_size=4))
def test_any_tree_is_a_config_or_sentences(tmp_path_factory, tree):
    folder = tmp_path_factory.getbasetemp() / "tree"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text("")
    environ = {f"SYNCD_{key.upper()}__ACME": json.dumps(value) for key, value in tree.items()}
    try:
        load(folder / "config.toml", {"SYNCD_SECRETS": str(folder), **environ})
    except ConfigInvalid as refused:
        assert all(": " in line for line in str(refused).split("\n"))  # noqa: PT017  # it may also be a config


# --- secrets stay hidden


FULL = f"""
[store]
url = "postgresql://syncd:{TOKEN}%2Fdb@db.example.com/syncd"
key = "{"0" * 64}"
[server]
page_token = "{TOKEN}-page"
[connections.acme]
system = "workable"
token = "{TOKEN}"
webhook_secret = ["{TOKEN}-old", "{TOKEN}-new"]
webhook_path_secret = "{TOKEN}-path"
access_client_secret = "{TOKEN}-access"
further_secret = "{TOKEN}-further"
plan = "free"
"""


def test_no_way_of_showing_a_config_shows_a_secret(read):
    config = read(FULL)
    for text in (repr(config), str(config), f"{config}", config.model_dump_json(), str(config.model_dump())):
        assert TOKEN not in text
        assert "0" * 64 not in text


def test_all_secrets_are_known_to_the_log(read):
    assert set(read(FULL).secrets()) == {
        f"{TOKEN}{ending}" for ending in ("", "-page", "-old", "-new", "-path", "-access", "-further", "%2Fdb", "/db")
    } | {"0" * 64}


def test_a_store_without_a_password_adds_no_secret():
    assert Config().secrets() == ()


def test_nothing_changes_after_the_start():
    with pytest.raises(ValueError, match="frozen"):
        Config().server.listen = "0.0.0.0:80"


# --- what is made of a config


@pytest.mark.parametrize(
    ("url", "file", "key"),
    [
        ("sqlite:///syncd.db", "syncd.db", "syncd.db.key"),
        ("sqlite:////var/lib/syncd.db?timeout=5", "/var/lib/syncd.db", "/var/lib/syncd.db.key"),
        ("sqlite+pysqlite:///a/b.db", "a/b.db", "a/b.db.key"),
        ("sqlite://", None, None),
        ("sqlite:///:memory:", None, None),
        ("postgresql://db/syncd", None, None),
    ],
)
def test_the_key_stands_beside_the_file(url, file, key):
    store = Config(store={"url": url}).store
    assert store.sqlite_file == (file and Path(file))
    assert store.key_path == (key and Path(key))


def test_a_named_key_file_or_a_key_wins_over_the_files_neighbour():
    assert Config(store={"key_file": "/etc/key"}).store.key_path == Path("/etc/key")
    assert Config(store={"key": "00" * 32}).store.key_path is None


@pytest.mark.parametrize(
    ("listen", "host", "port"), [("[::1]:80", "::1", 80), ("0.0.0.0:0", "0.0.0.0", 0), ("a.example:1", "a.example", 1)]
)
def test_an_address_has_a_host_and_a_port(listen, host, port):
    server = Config(server={"listen": listen}).server
    assert (server.host, server.port) == (host, port)


def test_overrides_have_the_shape_of_a_mapping_file(read):
    acme = read(
        SMALL + 'stages.read."Tech Chat" = "interview"\nstages.write.interview = "Tech Chat"\n'
        'statuses.write.open = ["live", "on"]\nfields.job.code = "ref"\nwords.workplace_type.read.home = "remote"'
    ).connections["acme"]
    assert acme.overrides == {
        "stages": {"read": {"Tech Chat": "interview"}, "write": {"interview": ["Tech Chat"]}},
        "statuses": {"read": {}, "write": {"open": ["live", "on"]}},
        "fields": {"job": {"code": "ref"}},
        "words": {"workplace_type": {"read": {"home": "remote"}, "write": {}}},
    }
    vocabulary = build({}, acme.overrides, "connections.acme")
    assert vocabulary.words["stage"].ours("tech chat") == "interview"
    assert vocabulary.words["status"].theirs("open") == ("live", "on")
    assert vocabulary.fields[Kind.JOB] == {"code": "ref"}


def test_a_connector_gets_its_account_with_the_options_it_knows(example, plugins):
    config = Config(
        connections={
            "voice": {
                "system": "worksignal",
                "base_url": "https://voice.example.com/",
                "token": TOKEN,
                "webhook_secret": "one",
                "tenant_id": "7",
                "reject_reason": "other",
            }
        },
        pairs={"x": {"left": "acme", "right": "voice", "publish": True}},
    )
    made = account(config, "voice", plugins["worksignal"])
    assert (made.name, made.base_url, made.token) == ("voice", "https://voice.example.com", TOKEN)
    assert made.webhook_secrets == ("one",)
    assert made.options == {"publish": "true", "reject_reason": "other"}
    assert TOKEN not in repr(made)


def test_an_account_has_its_systems_address_where_the_config_names_none(plugins):
    config = Config(connections={"screener": {"system": "ninjahire", "first_page": 0}})
    made = account(config, "screener", plugins["ninjahire"])
    assert made.base_url == plugins["ninjahire"].base_url
    assert made.options == {"first_page": "0"}


@pytest.mark.parametrize(
    ("way", "right", "left"), [("->", True, False), ("<-", False, True), ("<->", True, True), ("off", False, False)]
)
def test_a_direction_tells_who_is_written(way, right, left):
    direction = Direction(way)
    assert (direction.to_right, direction.to_left) == (right, left)
    pair = Config(pairs={"x": {"left": "a", "right": "b", "jobs": way}}).pairs["x"]
    assert pair.writes_to(Kind.JOB) == ("b",) * right + ("a",) * left
    assert pair.writes_to(Kind.CANDIDATE) == ()


# --- intervals


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("24h", 86_400), ("1d", 86_400), (" 7d ", 604_800)]
)
def test_an_interval_has_seconds(text, seconds):
    assert parse_interval(text) == Every(seconds)


@given(seconds=st.integers(1, 366 * 86_400))
def test_an_interval_is_written_as_it_is_read(seconds):
    assert parse_interval(str(Every(seconds))) == Every(seconds)


@pytest.mark.parametrize(
    "text", ["0m", "5", "m", "-5m", "5 m", "5M", "1.5h", "99999999999d", "", "٣m", None, True, 5.0]
)
def test_what_is_no_interval_is_refused(text):
    with pytest.raises(ValueError, match=r"is not an interval|longer than a year"):
        parse_interval(text)


@pytest.mark.parametrize(
    "line", ["*/5 * * * *", "0 9-17 * * mon-fri", "15,45 3 1 */2 0", "0 0 1 jan *", "0  9\t* * *", "5/15 * * * *"]
)
def test_a_cron_line_has_five_fields(line):
    assert parse_when(line) == Cron(line)
    assert str(Cron(line)) == line


@pytest.mark.parametrize(
    "line", ["* * * *", "* * * * * *", "@daily now", "*/0 * * * *", "a;b * * * *", "*\n* * * * x y"]
)
def test_what_is_no_cron_line_is_refused(line):
    with pytest.raises(ValueError, match="five fields"):
        parse_when(line)


def test_a_long_value_is_quoted_short_and_on_one_line():
    assert shown("x" * 100) == '"' + "x" * 37 + '..."'
    assert shown('a\nb"') == '"a\\nb\\""'
    assert shown({"a": 1}) == "dict"


@pytest.mark.parametrize(
    ("word", "known", "end"),
    [
        ("tokn", ["token", "poll"], '; did you mean "token"?'),
        ("x", ["token", "poll"], "; known are poll, token"),
        ("x", [str(number) for number in range(20)], ""),
        ("x", [], ""),
    ],
)
def test_an_unknown_word_gets_a_hint(word, known, end):
    assert did_you_mean(word, known) == end
