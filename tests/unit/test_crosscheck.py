from dataclasses import replace

import pytest

from syncd.connector import Facts, FileLimits, KindFacts, Plugin, Walk
from syncd.crosscheck import Findings, examine
from syncd.errors import ConfigInvalid
from syncd.model import Kind
from syncd.settings import Config

LISTS = frozenset({"name"})
WRITTEN = KindFacts(lists=LISTS, writes={"name": "patch"}, creates=LISTS)
READ_ONLY = KindFacts(lists=LISTS)
BORN = KindFacts(lists=LISTS, creates=LISTS, bears_person=True)

NO_LIMIT = 'the limit "10 a minute" is not understood: write calls per window, as in "10/10s", "60/1m" or "100/day@UTC"'
NO_TOKEN = "is needed; write it here, or better in SYNCD_CONNECTIONS__VOICE__TOKEN or a file of the secrets folder"
ONE_FOR_BOTH = "is the API token; who sees one can forge the other, so take two if the system allows it"
GUESSABLE = "is short enough to be guessed; `openssl rand -hex 32` makes a better one"


def plugin(system, *, needs=(), options=(), base_url="https://api.example.com", **kinds):
    facts = {Kind(name): known for name, known in kinds.items()}
    walks = tuple(Walk(f"{kind}s", (kind,), "a last page") for kind in facts)
    return Plugin(Facts(system, walks, facts), connect=None, needs=needs, options=options, base_url=base_url)


PLUGINS = {
    "hub": plugin(
        "hub",
        needs=("base_url",),
        options=("member",),
        base_url=None,
        job=READ_ONLY,
        candidate=READ_ONLY,
        application=BORN,
    ),
    "spoke": plugin("spoke", options=("first_page",), job=WRITTEN, candidate=WRITTEN, application=WRITTEN),
    "scorer": plugin("scorer", needs=("tenant_id", "plan"), options=("plan",), job=WRITTEN, screening=READ_ONLY),
}
HUB = {"system": "hub", "base_url": "https://acme.example.com", "token": "hub-token", "member": "ops@example.com"}
SPOKE = {"system": "spoke", "token": "spoke-token"}
ALL = {"jobs": "->", "candidates": "<->", "applications": "<->"}


def found(hub=(), spoke=(), pair=(), **sections):
    """The findings about a small right config in which some keys are changed; None takes a key out."""

    def changed(right, changes):
        return {key: value for key, value in {**right, **dict(changes)}.items() if value is not None}

    connections = {"acme": changed(HUB, hub), "voice": changed(SPOKE, spoke), **sections.pop("connections", {})}
    pairs = {"x": changed({"left": "acme", "right": "voice", **ALL}, pair), **sections.pop("pairs", {})}
    return examine(Config(connections=connections, pairs=pairs, **sections), PLUGINS)


def errors(*args, **kwargs):
    return list(found(*args, **kwargs).errors)


def test_a_right_config_has_no_findings():
    assert found() == Findings()
    found().refuse()


def test_all_errors_are_raised_together():
    with pytest.raises(ConfigInvalid) as refused:
        found({"token": None}, {"token": None}).refuse()
    assert [line.partition(":")[0] for line in str(refused.value).split("\n")] == [
        "connections.acme.token",
        "connections.voice.token",
    ]


# --- connections


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"system": "spook"}, 'system: "spook" is not a known system; did you mean "spoke"?'),
        ({"system": "taleo"}, 'system: "taleo" is not a known system; known are hub, scorer, spoke'),
        ({"tokn": "x"}, 'tokn: neither syncd nor spoke knows this key; did you mean "token"?'),
        ({"first_pge": 0}, 'first_pge: neither syncd nor spoke knows this key; did you mean "first_page"?'),
        (
            {"limits": ["10 a minute"]},
            f"limits: {NO_LIMIT}",
        ),
        (
            {"limits": ["10/day@Nowhere/City"]},
            'limits: the limit "10/day@Nowhere/City" names no known time zone: write one such as UTC',
        ),
        (
            {"stages": {"read": {"Tech Chat": "intervew"}}},
            'stages.read: "intervew" is not one of our words; did you mean "interview"?',
        ),
        (
            {"statuses": {"write": {"opened": "live"}}},
            'statuses.write: "opened" is not one of our words; did you mean "open"?',
        ),
        (
            {"fields": {"job": {"titel": "x"}}},
            'fields.job: "titel" is not one of our fields; did you mean "title"?',
        ),
        (
            {"defaults": {"industri": "Software"}},
            'defaults: "industri" is not one of our fields; did you mean "industry"?',
        ),
        ({"words": {"workplace": {}}}, 'words: "workplace" is not one of our fields; did you mean "workplace_type"?'),
    ],
)
def test_each_mistake_of_a_connection_is_one_sentence_with_its_place(changes, sentence):
    assert errors(spoke=changes, pair=dict.fromkeys(ALL)) == [f"connections.voice.{sentence}"]


def test_an_option_of_the_system_is_taken():
    assert errors(spoke={"first_page": 0}) == []


def test_a_token_is_needed_and_its_variable_named():
    assert errors(spoke={"token": None}) == [
        f"connections.voice.token: {NO_TOKEN}",
    ]


def test_a_service_token_is_as_good_as_a_token():
    assert errors(spoke={"token": None, "access_client_id": "id", "access_client_secret": "secret"}) == []


def test_a_connection_that_rests_needs_no_token():
    assert errors(spoke={"token": None, "enabled": False}) == []


def test_a_member_is_needed_only_where_something_is_written():
    assert errors({"member": None}) == [
        "connections.acme.member: is needed, because a pair writes there; name the member in whose name that happens"
    ]
    assert errors({"member": None}, pair={"candidates": "->", "applications": "->"}) == []


def test_what_a_system_cannot_do_without_is_named():
    scorer = {"system": "scorer", "token": "t"}
    assert errors(connections={"score": scorer}) == [
        "connections.score.tenant_id: is needed by scorer",
        "connections.score.plan: is needed by scorer",
    ]
    assert errors(connections={"score": {**scorer, "tenant_id": "7", "plan": "free"}}) == []


def test_a_system_with_an_address_per_account_needs_it():
    assert errors({"base_url": None}) == ["connections.acme.base_url: is needed; hub has an address for each account"]


# --- addresses


def test_an_address_is_judged_with_its_place():
    assert errors({"base_url": "http://user:hidden@acme.example.com"}) == [
        "connections.acme.base_url: must not hold a name or password; use the token"
    ]
    assert errors({"base_url": "http://sandbox:9101", "allow_private": True}) == []


# --- the server and the store


def test_off_loopback_the_page_needs_a_token():
    assert errors(server={"listen": "0.0.0.0:8080"}) == [
        "server.page_token: is needed when server.listen is not on loopback; `openssl rand -hex 32` makes one"
    ]
    assert errors(server={"listen": "[::1]:8080"}) == []
    assert found(server={"listen": "0.0.0.0:8080", "page_token": "0123456789abcdef"}) == Findings()


def test_a_public_url_is_an_address():
    assert errors(server={"public_url": "sync.acme.example"}) == [
        'server.public_url: is not an address; write for example "https://api.example.com"'
    ]


def test_a_store_that_is_no_file_needs_a_key():
    url = "postgresql://db/syncd"
    assert errors(store={"url": url}) == [
        "store.key_file: a store that is no SQLite file needs a key or a key_file; syncd makes the file"
    ]
    assert errors(store={"url": url, "key_file": "/etc/key"}) == errors(store={"url": url, "key": "0" * 64}) == []
    assert errors(store={"key_file": "/etc/key", "key": "0" * 64}) == [
        "store.key_file: the key is given by store.key already; take one of them out"
    ]


# --- pairs


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"left": "acne"}, 'left: there is no connection "acne"; did you mean "acme"?'),
        ({"right": "acme"}, "right: is the same connection as left; a pair needs two"),
        ({"jobs": "<-"}, 'jobs: hub cannot be written jobs; write "->" or "off"'),
        ({"jobs": "<->"}, 'jobs: hub cannot be written jobs; write "->" or "off"'),
        ({"screenings": "<-"}, 'screenings: spoke tells no screenings; write "off"'),
        ({"jobs": "off"}, 'applications: need linked jobs; let the pair carry jobs too, or write "off"'),
        (
            {"candidates": None},
            'applications: need linked candidates; let the pair carry candidates too, or write "off"',
        ),
        ({"owner": {"stag": "left"}}, 'owner: "stag" is not one of our fields; did you mean "stage"?'),
        (
            {"on_screening": [{"score_min": 80, "move_to": "offer"}]},
            'on_screening: needs screenings to be carried; write for example screenings = "<-"',
        ),
    ],
)
def test_each_mistake_of_a_pair_is_one_sentence_with_its_place(changes, sentence):
    assert errors(pair=changes) == [f"pairs.x.{sentence}"]


def test_a_person_who_is_born_with_an_application_can_be_written():
    assert errors(pair={"candidates": "<-", "applications": "<-"}) == []


def test_an_unknown_systems_directions_are_not_judged():
    assert [line.partition(":")[0] for line in errors(spoke={"system": "taleo"})] == ["connections.voice.system"]


def test_parents_may_be_linked_by_another_pair():
    other = {"left": "acme", "right": "voice", "jobs": "->", "candidates": "->"}
    assert errors(pair={"jobs": "off", "candidates": "off"}, pairs={"people": other}) == []


# --- rings


def spokes(*names):
    return {name: {**SPOKE, "token": f"{name}-token"} for name in names}


def pairs(kind, **ends):
    return {name: {"left": left, "right": right, kind: "->"} for name, (left, right) in ends.items()}


def test_a_star_and_a_tree_are_fine():
    more = pairs("jobs", y=("acme", "b"), z=("b", "c"), w=("d", "c"))
    assert errors(connections=spokes("b", "c", "d"), pairs=more) == []


def test_a_ring_is_refused_for_its_kind():
    more = pairs("jobs", y=("voice", "b"), z=("acme", "b"))
    assert errors(connections=spokes("b"), pairs=more) == [
        'pairs.z.jobs: the pairs x, y and z make a ring; write "off" in one of them'
    ]


def test_a_pair_that_is_there_twice_is_a_ring_too():
    assert errors(pairs=pairs("jobs", y=("voice", "acme")), pair=dict.fromkeys(ALL) | {"jobs": "->"})[-1] == (
        'pairs.y.jobs: the pairs x and y make a ring; write "off" in one of them'
    )


def test_pairs_of_unlike_kinds_make_no_ring():
    more = pairs("jobs", y=("voice", "b")) | pairs("candidates", z=("acme", "b"))
    assert errors(connections=spokes("b"), pairs=more) == []


# --- warnings


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        (
            {"connections": spokes("b")},
            "connections.b.system: no pair names this connection, so it is not read",
        ),
        (
            {"spoke": {"enabled": False}},
            "pairs.x: rests, because connections.voice is not enabled",
        ),
        (
            {"spoke": {"limits": []}},
            "connections.voice.limits: an empty list lets calls go out without any limit",
        ),
        (
            {"spoke": {"poll": "2h", "sweep": "1h"}},
            "connections.voice.sweep: is shorter than poll, so each poll is a sweep",
        ),
        (
            {"spoke": {"webhook_secret": "a-secret-of-many-letters"}},
            "connections.voice.webhook_secret: webhooks reach nobody without server.public_url",
        ),
        (
            {"spoke": {"webhook_secret": "spoke-token"}, "server": {"public_url": "https://sync.example.com"}},
            f"connections.voice.webhook_secret: {ONE_FOR_BOTH}",
        ),
        (
            {"spoke": {"webhook_path_secret": "short"}, "server": {"public_url": "https://sync.example.com"}},
            f"connections.voice.webhook_path_secret: {GUESSABLE}",
        ),
        (
            {"server": {"page_token": "short"}},
            f"server.page_token: {GUESSABLE}",
        ),
        (
            {"pairs": {"y": {"left": "acme", "right": "voice"}}},
            'pairs.y: carries nothing; write for example jobs = "->"',
        ),
    ],
)
def test_each_worry_is_one_sentence_with_its_place(changes, warning):
    assert found(**changes) == Findings(warnings=(warning,))


def test_one_token_in_two_connections_is_one_budget():
    again = {"b": SPOKE}
    assert found(connections=again, pairs=pairs("jobs", y=("acme", "b"))).warnings == (
        "connections.b.token: is the token of connections.voice too; they spend one budget",
    )


def test_no_finding_shows_a_secret():
    told = str(
        found(
            {"base_url": "https://canary:canary@acme.example.com", "token": "canary", "webhook_path_secret": "canary"},
            {"token": "canary", "webhook_secret": "canary", "further_secret": "canary"},
            server={"page_token": "canary", "public_url": "https://canary@sync.example.com"},
            store={"url": "postgresql://syncd:canary@db/syncd"},
        )
    )
    assert "canary" not in told


GIVES = KindFacts(lists=LISTS | {"resume"}, writes={"name": "patch"}, creates=LISTS)
ODD = plugin("odd", options=("looks_up", "signed_by"), job=WRITTEN, candidate=WRITTEN, application=GIVES)
ODD = replace(
    ODD, facts=replace(ODD.facts, remarks={"note": None}, wanting={"resumes": "looks_up", "screenings": "signed_by"})
)
TAKER = plugin("taker", job=WRITTEN, candidate=WRITTEN, application=WRITTEN, screening=READ_ONLY)
TAKER = replace(TAKER, facts=replace(TAKER.facts, attaches=FileLimits(1000, (".pdf",))))
BATCHES = replace(TAKER, facts=replace(TAKER.facts, system="batches", screens_by="batch"))


def judged(right="taker", options=(), **pair):
    connections = {
        "home": {"system": "odd", "token": "a-token", **dict(options)},
        "there": {"system": right, "token": "another-token"},
    }
    config = Config(connections=connections, pairs={"x": {"left": "home", "right": "there", **ALL, **pair}})
    return examine(config, {"odd": ODD, "taker": TAKER, "batches": BATCHES})


def worries(*args, **kwargs):
    told = judged(*args, **kwargs)
    assert told.errors == ()
    return list(told.warnings)


def test_people_are_screened_at_one_of_our_stages():
    assert judged("batches", screen_at="assesment").errors == (
        'pairs.x.screen_at: "assesment" is not one of our stages; did you mean "assessment"?',
    )


@pytest.mark.parametrize("wants", [{"resumes": "->"}, {"right": "batches", "screen_at": "screening"}])
@pytest.mark.parametrize("unset", [{}, {"looks_up": "false"}])
def test_resumes_of_a_system_that_was_not_told_to_look_for_them_are_worth_a_look(wants, unset):
    assert worries(options=unset, **wants) == [
        'pairs.x.resumes: none is found in home; write looks_up = "true" in connections.home'
    ]
    assert worries(options={"looks_up": "true"}, **wants) == []


def test_remarks_that_would_be_nobodys_are_worth_a_look():
    assert worries(screenings="<-") == [
        "pairs.x.screenings: home refuses each one and it is held; name an e-mail as connections.home.signed_by"
    ]
    assert worries(screenings="<-", options={"signed_by": "ops@example.com"}) == []


def test_what_no_pair_wants_needs_no_option():
    assert worries() == []
