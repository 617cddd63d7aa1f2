"""What the operator may set: the tables of the config, their keys, and what each key takes.

Each wrong value is refused with a sentence that shows no secret; ``syncd.config`` puts the place before it. What needs
the systems' facts to be judged stands in ``syncd.crosscheck``.
"""

import difflib
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr

from syncd.connector import Account, Plugin
from syncd.errors import ConfigInvalid
from syncd.model import Kind
from syncd.sealing import parse_key

# --- intervals ------------------------------------------------------------------------------------------------------

_UNITS_S: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_INTERVAL = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_PART = r"(?:\*|[0-9A-Za-z]+(?:-[0-9A-Za-z]+)?)(?:/[1-9][0-9]*)?"
_CRON = re.compile(rf"{_PART}(?:,{_PART})*(?:[ \t]+{_PART}(?:,{_PART})*){{4}}")
LONGEST_INTERVAL_S = 366 * 86400


@dataclass(frozen=True, slots=True)
class Every:
    """An interval, written as "90s", "5m", "24h" or "7d"."""

    seconds: int

    def __str__(self) -> str:
        unit = next(unit for unit in ("d", "h", "m", "s") if self.seconds % _UNITS_S[unit] == 0)
        return f"{self.seconds // _UNITS_S[unit]}{unit}"


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron line of five fields: minute, hour, day of the month, month, day of the week."""

    line: str

    def __str__(self) -> str:
        return self.line


When = Every | Cron


def parse_interval(value: object) -> Every:
    """Read "90s", "5m", "24h" or "7d"; raises ``ValueError`` with a sentence."""
    if isinstance(value, Every):
        return value
    found = _INTERVAL.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'{shown(value)} is not an interval; write for example "5m" or "24h"')
    seconds = int(found[1]) * _UNITS_S[found[2]]
    if seconds > LONGEST_INTERVAL_S:
        raise ValueError(f"{shown(value)} is longer than a year")
    return Every(seconds)


def parse_when(value: object) -> When:
    """Read an interval or a five-field cron line; raises ``ValueError`` with a sentence."""
    if isinstance(value, Cron):
        return value
    if isinstance(value, str) and _CRON.fullmatch(value.strip()):
        return Cron(value.strip())
    if isinstance(value, str) and len(value.split()) > 1:
        raise ValueError(f'{shown(value)} is not a cron line of five fields; write for example "*/5 * * * *"')
    try:
        return parse_interval(value)
    except ValueError as error:
        raise ValueError(str(error).replace('or "24h"', "or a cron line")) from None


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long something is kept, written as "90 days", "24 months" or "2 years"; without days: for ever, "off"."""

    days: int | None
    text: str

    @property
    def seconds(self) -> float | None:
        """The same in seconds; None: for ever."""
        return None if self.days is None else self.days * 86_400.0

    def __str__(self) -> str:
        return self.text


_KEEPING = re.compile(r"([1-9][0-9]{0,3}) (day|month|year)s?")
_DAYS: Mapping[str, float] = {"day": 1.0, "month": 365.25 / 12, "year": 365.25}


def parse_keeping(value: object) -> Keeping:
    """Read "90 days", "24 months", "2 years" or "off"; raises ``ValueError`` with a sentence."""
    if isinstance(value, Keeping):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if text == "off":
        return Keeping(None, text)
    found = _KEEPING.fullmatch(text)
    if found is None:
        raise ValueError(f'{shown(value)} is not how long; write for example "24 months", "90 days" or "off"')
    return Keeping(round(int(found[1]) * _DAYS[found[2]]), text)


def shown(value: object) -> str:
    """A value as a sentence may quote it: short, and on one line."""
    text = value if isinstance(value, str) else type(value).__name__ if isinstance(value, dict | list) else str(value)
    short = text if len(text) <= 40 else text[:37] + "..."
    return orjson.dumps(short.encode("utf-8", "replace").decode()).decode() if isinstance(value, str) else short


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The end of a sentence about an unknown word: the nearest known one, else all if they are few."""
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known are {', '.join(sorted(known))}" if 0 < len(known) <= 12 else ""


# --- the values of one key ------------------------------------------------------------------------------------------


def _one_word(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()
    if not text:
        raise ValueError("is empty")
    if not text.isprintable() or " " in text:
        raise ValueError("holds white space or control characters; a secret is one word")
    return SecretStr(text)


def _one_or_two(value: object) -> object:
    found = (value,) if isinstance(value, str | SecretStr) else value
    if isinstance(found, list | tuple) and len(found) > 2:
        raise ValueError("takes one secret, or two during a rotation")
    return found


def _key(secret: SecretStr) -> SecretStr:
    try:
        parse_key(secret.get_secret_value())
    except ConfigInvalid as error:
        raise ValueError(str(error)) from None
    return secret


def _list_or_one(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name):
        raise ValueError("a name has lower-case letters, digits and single underscores, as variables' names need it")
    return name


def _option(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _is_secret_name(name: str) -> bool:
    return any(word in name for word in ("secret", "token", "password", "key"))


def _listen(text: str) -> str:
    if not _LISTEN.fullmatch(text) or not 0 <= int(text.rpartition(":")[2]) <= 65535:
        raise ValueError(f'{shown(text)} is not an address and a port; write for example "127.0.0.1:8080"')
    return text


def _header(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
        raise ValueError(f'{shown(name)} is not the name of a header; write for example "X-Forwarded-User"')
    return name


def _networks(addresses: tuple[str, ...]) -> tuple[str, ...]:
    for address in addresses:
        try:
            ipaddress.ip_network(address)
        except ValueError:
            raise ValueError(f'{shown(address)} is not an address or a network; write for example "10.0.0.5"') from None
    return addresses


def _proxy(secret: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(secret.get_secret_value())
        is_proxy = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_proxy = False
    if not is_proxy or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError('is not the address of a proxy; write for example "http://proxy.example.com:3128"')
    return secret


def _region(text: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}", text):
        raise ValueError(f'{shown(text)} is not a region of phone numbers; write for example "US" or "GR"')
    return text


def _store_url(secret: SecretStr) -> SecretStr:
    scheme = secret.get_secret_value().partition(":")[0]
    if scheme.partition("+")[0] not in ("sqlite", "postgresql"):
        raise ValueError('must begin with "sqlite:///" or "postgresql://"')
    return secret


_LISTEN = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):[0-9]{1,5}")

Secret = Annotated[SecretStr, AfterValidator(_one_word)]
Interval = Annotated[Every, BeforeValidator(parse_interval), PlainSerializer(str)]
Kept = Annotated[Keeping, BeforeValidator(parse_keeping), PlainSerializer(str)]
Schedule = Annotated[When, BeforeValidator(parse_when), PlainSerializer(str)]
Name = Annotated[str, AfterValidator(_name)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_list_or_one)]

# --- the sections ---------------------------------------------------------------------------------------------------


class Section(BaseModel):
    """What all tables of the config share: unknown keys are mistakes, and nothing changes after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


class Store(Section):
    """Where syncd remembers what is linked with what."""

    url: Annotated[SecretStr, AfterValidator(_store_url)] = SecretStr("sqlite:///syncd.db")
    """A file (``sqlite:///syncd.db``, relative to where syncd runs) or ``postgresql://user:password@host/database``."""
    key: Annotated[Secret, AfterValidator(_key)] | None = None
    """32 bytes in base64, under which people's data is sealed while it waits to be written."""
    key_file: Path | None = None
    """The file that holds the key. Left out: beside the SQLite file, made at the first start."""
    tombstones: Path | None = None
    """The file that remembers who was erased, apart from the database. Left out: beside the SQLite file."""
    keep_people: Kept = Keeping(730, "24 months")
    """How long is kept what is known of people whom no system tells any more; ``off``: for ever."""
    keep_journal: Kept = Keeping(730, "24 months")
    """How long the story of each record is kept; ``off``: for ever."""

    @property
    def tombstones_path(self) -> Path | None:
        """The file that remembers who was erased: named, or beside the SQLite file; None: there is none."""
        beside = self.sqlite_file
        return self.tombstones or (beside and beside.with_name(beside.name + ".tombstones"))

    @property
    def sqlite_file(self) -> Path | None:
        """The SQLite file; None for PostgreSQL and for a database in memory."""
        scheme, _, path = self.url.get_secret_value().partition(":///")
        file = path.partition("?")[0]
        return Path(file) if scheme.startswith("sqlite") and file not in ("", ":memory:") else None

    @property
    def key_path(self) -> Path | None:
        """The file that holds the key where the config holds none: named, or beside the SQLite file."""
        if self.key is not None:
            return None
        beside = self.sqlite_file
        return self.key_file or (beside and beside.with_name(beside.name + ".key"))


class Server(Section):
    """The port that syncd itself serves."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8080"
    """Address and port of the page, the metrics, the health checks and the webhooks."""
    public_url: str | None = None
    """Where the systems reach that port from outside; webhook addresses begin with it."""
    page_token: Secret | None = None
    """Who has it may see the page and the metrics; needed off loopback."""
    proxy_header: Annotated[str, AfterValidator(_header)] | None = None
    """Where a reverse proxy says who is signed in there."""
    proxies: Annotated[Strings, AfterValidator(_networks)] = ()
    """The addresses of such proxies; from elsewhere the header is not believed."""
    show_people: bool = False
    """Who is signed in may see on the page who a record is about: asked of its system at each press, kept nowhere."""

    @property
    def host(self) -> str:
        """The address to listen on, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on; 0: any free one."""
        return int(self.listen.rpartition(":")[2])


class Guard(Section):
    """When a plan is too large, or a side too empty, to go on until ``--allow-large`` or ``--allow-empty`` is given."""

    changed_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of a pair's linked records of a kind that one plan may change."""
    changed_least: Annotated[int, Field(ge=0)] = 50
    """So few changes are never too many."""
    vanished_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of the linked records of one side that may be missing in one sweep."""
    vanished_least: Annotated[int, Field(ge=1)] = 10
    """So few absences are never too many."""


class Log(Section):
    """What is told while syncd runs."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is told."""
    form: Literal["auto", "human", "json"] = "auto"
    """``auto``: for people on a terminal, JSON elsewhere."""


class WordMap(Section):
    """Words of a system that differ from ``mappings/<system>.toml``: theirs to ours, and ours to theirs, best first."""

    read: dict[str, str] = Field(default_factory=dict)
    """Their word to ours."""
    write: dict[str, Strings] = Field(default_factory=dict)
    """Our word to theirs; of several the first that a job's pipeline has."""


class Connection(Section):
    """A system plus a token. Keys that are not named here are the system's own options."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[SecretStr, BeforeValidator(_option)]]

    system: str
    """Which system it is: see `docs/systems.md`."""
    base_url: str | None = None
    """The account's address. Left out: the system's own."""
    token: Secret | None = None
    """What the system knows us by."""
    member: str | None = None
    """In whose name the system writes (an e-mail or an id), where it asks for that."""
    poll: Schedule = Every(300)
    """How often to look for what changed."""
    sweep: Interval = Every(86400)
    """How often to read every list whole, so that nothing missed stays missed."""
    overlap: Interval = Every(120)
    """How far each walk with a change filter begins before the last one's end."""
    timeout: Interval = Every(30)
    """How long one call may take."""
    enabled: bool = True
    """``false`` leaves the connection alone, with all its pairs."""
    webhook_secret: Annotated[tuple[Secret, ...], BeforeValidator(_one_or_two)] = ()
    """What webhooks are signed with; two while it is changed."""
    webhook_path_secret: Secret | None = None
    """The last part of the webhook's address, for a system that does not sign."""
    tenant_id: str | None = None
    """Ninjahire: the tenant; registering webhooks wants it."""
    access_client_id: str | None = None
    """Portal: the service token's id, in place of ``token``."""
    access_client_secret: Secret | None = None
    """Portal: the service token's secret."""
    limits: Strings | None = None
    """Calls per time, as ``["10/10s", "100/day@UTC"]``. Left out: the system's own."""
    allow_private: bool = False
    """Whether the address may be a private one, or plain http."""
    proxy: Annotated[Secret, AfterValidator(_proxy)] | None = None
    """A proxy that its calls take, as ``http://proxy.example.com:3128``; the environment's proxies are not used."""
    region: Annotated[str, AfterValidator(_region)] | None = None
    """Whose phone numbers are meant where a number has no country code."""
    stages: WordMap = WordMap()
    """Stages: words that this account has of its own."""
    statuses: WordMap = WordMap()
    """Job statuses: words that this account has of its own."""
    fields: dict[Kind, dict[str, str]] = Field(default_factory=dict)
    """Fields by kind: our name to theirs."""
    words: dict[str, WordMap] = Field(default_factory=dict)
    """Words of other fields, by the field's name."""
    defaults: dict[str, str] = Field(default_factory=dict)
    """What to write where the system demands a field and the other side does not have it; never read back."""

    @property
    def options(self) -> dict[str, str]:
        """The keys that are not syncd's but the system's own."""
        return {name: value.get_secret_value() for name, value in (self.__pydantic_extra__ or {}).items()}

    @property
    def overrides(self) -> dict[str, Any]:
        """What the connection changes in its system's mapping, in the shape of ``mappings/<system>.toml``."""
        return self.model_dump(mode="json", include={"stages", "statuses", "fields", "words"})


class Direction(StrEnum):
    """Which way a pair carries a kind."""

    RIGHT = "->"
    LEFT = "<-"
    BOTH = "<->"
    OFF = "off"

    @property
    def to_right(self) -> bool:
        """Whether the right connection is written."""
        return self in (Direction.RIGHT, Direction.BOTH)

    @property
    def to_left(self) -> bool:
        """Whether the left connection is written."""
        return self in (Direction.LEFT, Direction.BOTH)


class Only(Section):
    """What may be created at the other end; what is linked stays linked. An empty list takes all."""

    job_status: tuple[Literal["draft", "open", "paused", "closed"], ...] = ()
    """Empty: all but drafts."""
    job: Strings = ()
    """Shortcodes, codes or ids."""
    department: Strings = ()
    """Departments, by name."""
    sample: bool = False
    """Whether sample jobs are taken too."""
    confidential: bool = False
    """Whether confidential jobs are taken too."""

    def rules(self) -> dict[str, tuple[str, ...]]:
        """What is restricted or let in, by name; a flag that is set stands there with one word."""
        lists: dict[str, tuple[str, ...]] = {
            "job_status": self.job_status,
            "job": self.job,
            "department": self.department,
            "sample": ("true",) * self.sample,
            "confidential": ("true",) * self.confidential,
        }
        return {name: words for name, words in lists.items() if words}


class Advance(Section):
    """A move that a screening's result causes."""

    score_min: Annotated[float, Field(ge=0, le=100)]
    """The least score for it, of 100."""
    move_to: str
    """The stage to move to, in our words."""


class Pair(Section):
    """Two connections kept in step."""

    left: str
    """A connection; usually the system of record."""
    right: str
    """Another connection."""
    jobs: Direction = Direction.OFF
    """Which way jobs flow."""
    candidates: Direction = Direction.OFF
    """Which way people flow."""
    applications: Direction = Direction.OFF
    """Which way applications and their stages flow."""
    screenings: Direction = Direction.OFF
    """Which way screening results flow."""
    resumes: Direction = Direction.OFF
    """Which way applications' résumés are sent, after each change."""
    conflicts: Literal["hold", "left", "right", "newest"] = "hold"
    """Both ends changed and differ: ask a person, or let one end win."""
    owner: dict[str, Literal["left", "right"]] = Field(default_factory=dict)
    """Fields for which one end always wins, as in ``{ stage = "left" }``."""
    only: Only = Only()
    """What may be created at the other end."""
    screen_at: str | None = None
    """The stage at which a person is sent to be screened; without it nobody is."""
    on_screening: tuple[Advance, ...] = ()
    """Moves that a screening's score causes; none unless named."""
    max_credits_per_day: Annotated[int, Field(ge=0)] | None = None
    """How much paid screening may cost a day."""
    collect: Interval = Every(600)
    """How long résumés of one job are collected before they are sent to be screened together."""
    publish: bool = False
    """Whether jobs created there are published; otherwise they stay drafts until a person does it."""

    def direction(self, kind: Kind) -> Direction:
        """Which way the pair carries a kind."""
        return {
            Kind.JOB: self.jobs,
            Kind.CANDIDATE: self.candidates,
            Kind.APPLICATION: self.applications,
            Kind.SCREENING: self.screenings,
        }[kind]

    def writes_to(self, kind: Kind) -> tuple[str, ...]:
        """The connections that the pair writes a kind to."""
        way = self.direction(kind)
        return (self.right,) * way.to_right + (self.left,) * way.to_left


class Config(Section):
    """All that the operator sets."""

    store: Store = Store()
    server: Server = Server()
    guard: Guard = Guard()
    log: Log = Log()
    connections: dict[Name, Connection] = Field(default_factory=dict)
    pairs: dict[Name, Pair] = Field(default_factory=dict)

    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for the log to strike out; the database's password is one."""
        tables = (self.server, self.connections, self.store.key)
        found = [secret.get_secret_value() for table in tables for secret in _secrets_in(table)]
        password = urlsplit(self.store.url.get_secret_value()).password
        return tuple(dict.fromkeys([*found, password, unquote(password)] if password else found))


def _secrets_in(value: object) -> Iterator[SecretStr]:
    if isinstance(value, SecretStr):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name))
        for name, option in (value.model_extra or {}).items():
            yield from _secrets_in(option if _is_secret_name(name) else None)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _secrets_in(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _secrets_in(inner)


def account(config: Config, name: str, plugin: Plugin) -> Account:
    """A connection's settings as its connector takes them; here secrets are revealed.

    ``options`` bears the system's own keys, those of syncd's keys that the plugin lists among its options, and
    ``publish``, which a pair says, where the plugin knows it.
    """
    connection = config.connections[name]
    return Account(
        name=name,
        base_url=(connection.base_url or plugin.base_url or "").rstrip("/"),
        token=revealed(connection.token) or "",
        member=connection.member,
        webhook_secrets=tuple(secret.get_secret_value() for secret in connection.webhook_secret),
        webhook_path_secret=revealed(connection.webhook_path_secret),
        options={**_told_options(config, name, plugin), **connection.options},
    )


def _told_options(config: Config, name: str, plugin: Plugin) -> dict[str, str]:
    connection = config.connections[name]
    pairs = [pair for pair in config.pairs.values() if name in (pair.left, pair.right)]
    known = {
        "tenant_id": connection.tenant_id,
        "access_client_id": connection.access_client_id,
        "access_client_secret": revealed(connection.access_client_secret),
        "region": connection.region,
        "publish": "true" if any(pair.publish for pair in pairs) else None,
    }
    return {key: value for key, value in known.items() if value is not None and key in plugin.options}


def revealed(secret: SecretStr | None) -> str | None:
    """A secret's value."""
    return None if secret is None else secret.get_secret_value()
