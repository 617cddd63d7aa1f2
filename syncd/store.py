"""The only door to the database: engines for SQLite and PostgreSQL, transactions, and rows as plain objects.

Store functions are plain functions over one transaction, run by ``await store.run(fn, …)``: in one worker thread in
production, inline in the simulation. So nothing can be awaited inside a transaction, and runs are deterministic.
SQLite needs ``BEGIN IMMEDIATE`` and no driver-made transactions: with the driver's defaults, updates are lost silently.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import StaticPool

from syncd import schema
from syncd.clock import Clock
from syncd.model import Kind
from syncd.rows import LinkRow, MemberRow, RecordRow, as_row, columns_of

IDLE_S = 30  # nothing is awaited inside a transaction: who is idle in one is paused or gone
P = ParamSpec("P")
T = TypeVar("T")
STATEMENTS = 1000  # kept ready by SQLite: a list of each length is a statement of its own


def open_engine(url: str, *, read_only: bool = False) -> sa.Engine:
    """An engine over SQLite (WAL, every commit synced, foreign keys, immediate transactions) or PostgreSQL."""
    options: dict[str, Any] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        "json_deserializer": orjson.loads,
    }
    if not url.startswith("sqlite"):
        engine = sa.create_engine(url, pool_size=1, max_overflow=2, pool_pre_ping=True, **options)
        sa.event.listen(engine, "connect", _let_nobody_wait)
        return engine
    import pysqlite3.dbapi2 as sqlite_module  # noqa: PLC0415  # only where SQLite is used: a wheel for Linux

    if read_only:
        path = url.removeprefix("sqlite:///")
        url = f"sqlite:///file:{path}?mode=ro&uri=true"
    engine = sa.create_engine(
        url,
        module=sqlite_module,
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": 30.0, "cached_statements": STATEMENTS},
        **options,
    )
    _make_strict(engine, read_only=read_only)
    if not read_only:
        _make_private(engine)
    return engine


def _make_private(engine: sa.Engine) -> None:
    """A database that is made is its user's alone; SQLite makes the files beside it as it finds this one."""
    path = Path(engine.url.database or ":memory:")

    @sa.event.listens_for(engine, "do_connect")
    def before_it_is_made(*_about: Any) -> None:
        if path.parent.is_dir() and str(path) != ":memory:":
            with contextlib.suppress(FileExistsError, PermissionError):
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _let_nobody_wait(connection: Any, _record: Any) -> None:
    """A transaction that a paused or lost process has left in the middle is ended by the server."""
    connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'")
    connection.commit()


def _make_strict(engine: sa.Engine, *, read_only: bool) -> None:
    pragmas: tuple[str, ...] = ("foreign_keys=ON", "busy_timeout=30000", "secure_delete=ON")
    if not read_only:
        pragmas = ("journal_mode=WAL", "synchronous=FULL", *pragmas)

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    statement = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    def do_begin(connection: Any) -> None:
        connection.driver_connection.execute(statement)

    # An event would do as well, but where an engine has one, each of its statements is told to all listeners.
    engine.dialect.do_begin = do_begin  # type: ignore[method-assign, assignment]  # the hook that a dialect has for it


class Store:
    """Runs store functions, one transaction each. ``around`` is told "begin", "before" and "after" each commit.

    ``first`` begins each transaction: where the store may be lost to another process, a look whether it is (``owner``).
    """

    def __init__(self, engine: sa.Engine, clock: Clock, *, threaded: bool = True) -> None:
        self.engine = engine
        self.clock = clock
        self.around: Callable[[str], None] = lambda moment: None
        self.first: Callable[[sa.Connection], None] = lambda connection: None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="store") if threaded else None

    async def run(self, function: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a store function in a transaction of its own."""
        with self.clock.busy():
            if self._worker is None:
                return self.run_now(function, *args, **kwargs)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._worker, lambda: self.run_now(function, *args, **kwargs))

    def run_now(self, function: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same without a loop. A ``StopIteration``, which no future takes, is raised as ``RuntimeError``."""
        with self.engine.connect() as connection:
            with connection.begin() as transaction:
                self.first(connection)
                try:
                    result = function(connection, *args, **kwargs)
                except StopIteration as error:
                    raise RuntimeError("something that must be there was looked for, and is not") from error
                self.around("before")
                try:
                    transaction.commit()
                except sa.exc.DBAPIError:
                    self._roll_back(connection)
                    raise
            self.around("after")
        return result

    def _roll_back(self, connection: sa.Connection) -> None:
        """End a transaction whose commit failed: SQLite may keep it open, and SQLAlchemy counts it as over."""
        with contextlib.suppress(self.engine.dialect.loaded_dbapi.Error):
            if not connection.invalidated:
                connection.connection.rollback()

    async def alone(self, function: Callable[Concatenate["Store", P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what makes its own transactions, or needs none, while nothing else is done in the store."""
        with self.clock.busy():
            if self._worker is None:
                return function(self, *args, **kwargs)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._worker, lambda: function(self, *args, **kwargs))

    def squeeze(self) -> bool:
        """Leave no byte of deleted rows in the files; False: others hold them open, or it is not ours to do."""
        try:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                if connection.dialect.name == "postgresql":
                    for table in schema.metadata.sorted_tables:
                        connection.exec_driver_sql(f"VACUUM (FULL) {table.name}")
                    return True
                driven: Any = connection.connection.driver_connection  # straight: none of it is in a transaction
                driven.execute("VACUUM")
                return not driven.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sa.exc.OperationalError:
            return False

    def close(self) -> None:
        """Let go of the database."""
        if self._worker is not None:
            self._worker.shutdown(wait=True)
        self.engine.dispose()


def upsert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, all of the same columns, or overwrite those of the same primary key."""
    if rows:
        made = _upserting(table, tuple(rows[0]), connection.dialect)
        connection.exec_driver_sql(made.text, [made.bound(row) for row in rows])


def remember(connection: sa.Connection, name: str, value: str) -> None:
    """Keep a fact about the store as a whole."""
    upsert(connection, schema.meta, [{"name": name, "value": value}])


def recalled(connection: sa.Connection, name: str) -> str | None:
    """A fact about the store as a whole."""
    value: str | None = connection.execute(_RECALLED, {"of": name}).scalar()
    return value


def told_last(connection: sa.Connection) -> float:
    """The latest time that stands in the store; 0 where there is none. What a hand has made no time counts as none."""
    told = [connection.execute(statement).scalar() for statement in _TOLD_LAST]
    return max([0.0, *(at for at in told if isinstance(at, float))])


_KEPT_TIMES = (
    *(schema.cursors.c[name] for name in ("started_at", "polled_at", "swept_at")),
    *(schema.intents.c[name] for name in ("made_at", "sent_at")),
    schema.records.c.told_at,
    schema.inbox.c.received_at,
)
_TOLD_LAST = (
    sa.select(schema.journal.c.at).order_by(schema.journal.c.id.desc()).limit(1),  # long, and without an index by time
    *(sa.select(sa.func.max(column)) for column in _KEPT_TIMES),
)
_RECALLED = sa.select(schema.meta.c.value).where(schema.meta.c.name == sa.bindparam("of"))


@dataclass(frozen=True)
class _Upserting:
    """A statement as its driver takes it. To let SQLAlchemy bind row by row costs more than the database's own work."""

    text: str
    binds: tuple[tuple[str, Callable[[Any], Any] | None], ...]  # each column, with what makes its values the driver's
    by_place: bool  # whether the driver takes values by place; the others take them by name

    def bound(self, row: Mapping[str, Any]) -> Any:
        """A row's values as the driver takes them."""
        if self.by_place:
            return tuple([row[name] if bind is None else bind(row[name]) for name, bind in self.binds])
        return {name: row[name] if bind is None else bind(row[name]) for name, bind in self.binds}


@lru_cache(maxsize=100)
def _upserting(table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect) -> _Upserting:
    statement = (postgresql if dialect.name == "postgresql" else sqlite).insert(table)
    keys = [column.name for column in table.primary_key]
    rest = {name: statement.excluded[name] for name in names if name not in keys}
    if rest:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=rest)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    order = compiled.positiontup or names
    binds = tuple((name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in order)
    return _Upserting(str(compiled), binds, by_place=compiled.positiontup is not None)


def _select(table: sa.Table, row_type: type) -> sa.Select[Any]:
    """All columns, in the order of the row object that is made of them."""
    return sa.select(*(table.c[name] for name in columns_of(row_type)))


def _where(table: sa.Table, *names: str) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == sa.bindparam(name) for name in names]


def _among(table: sa.Table, name: str) -> sa.ColumnElement[bool]:
    return table.c[name].in_(sa.bindparam("ids", expanding=True))


# Made once: building a statement costs more than running it.
_ALL_RECORDS = _select(schema.records, RecordRow)
_RECORDS = _ALL_RECORDS.where(*_where(schema.records, "connection", "kind"), _among(schema.records, "id"))
# No index has both a parent and the kind: were the kind compared as it is, SQLite would read all records of the kind.
_KINDS = dict.fromkeys(("key", "title_key", "source_id"), schema.records.c.kind) | dict.fromkeys(
    ("job", "candidate", "application"), schema.records.c.kind.concat("")
)
_ALIKE = {
    name: _ALL_RECORDS.where(
        *_where(schema.records, "connection"),
        kind == sa.bindparam("kind"),
        _among(schema.records, name),
    )
    for name, kind in _KINDS.items()
}
_ANY_RECORD = (
    sa.select(schema.records.c.id)
    .where(schema.records.c.connection == sa.bindparam("of"), schema.records.c.kind == sa.bindparam("kind"))
    .limit(1)
)
_ANY_LINK = (
    sa.select(schema.links.c.id)
    .where(schema.links.c.pair == sa.bindparam("of"), schema.links.c.kind == sa.bindparam("kind"))
    .limit(1)
)
_ALL_MEMBERS = _select(schema.members, MemberRow)
_MEMBERS = _ALL_MEMBERS.where(*_where(schema.members, "connection"), _among(schema.members, "row"))
_OF_PEOPLE = _ALL_MEMBERS.where(*_where(schema.members, "connection"), _among(schema.members, "person"))
_ALL_LINKS = _select(schema.links, LinkRow)
_LINKS = {
    end: _ALL_LINKS.where(*_where(schema.links, "pair", "kind"), _among(schema.links, end)) for end in ("left", "right")
}
_LINK = _ALL_LINKS.where(*_where(schema.links, "id"))
_NEW_LINK = sa.insert(schema.links).returning(schema.links.c.id)
_DROPS = (
    sa.delete(schema.intents).where(schema.intents.c.link == sa.bindparam("id_")),
    sa.delete(schema.holds).where(schema.holds.c.link == sa.bindparam("id_")),
    sa.delete(schema.links).where(schema.links.c.id == sa.bindparam("id_")),
)


class Tx:
    """One transaction's view of records, members and links: read once, changed in memory, flushed together.

    Only the rooms that hold a transaction have one; it is flushed before the commit by whoever made it.
    """

    def __init__(self, connection: sa.Connection, now: float) -> None:
        self.sql = connection
        self.now = now
        self._records: dict[tuple[str, str, str], RecordRow | None] = {}
        self._members: dict[tuple[str, str], MemberRow | None] = {}
        self._people: dict[tuple[str, str], dict[str, MemberRow]] = {}
        self._links: dict[int, LinkRow] = {}
        self._by_end: dict[tuple[str, str, str, str], LinkRow | None] = {}
        self._alike: dict[tuple[str, str, str, str], dict[str, None]] = {}
        self._alike_loaded: set[tuple[str, str, str, str]] = set()
        self._unindexed: dict[tuple[str, str, str], RecordRow] = {}
        self._none: set[tuple[sa.Select[Any], str, str]] = set()
        self._dirty: dict[tuple[str, ...], Any] = {}
        self._dirty_links: set[int] = set()

    # records

    def load_records(self, connection: str, kind: Kind, ids: Iterable[str]) -> None:
        """Read many records at once."""
        wanted = [id_ for id_ in dict.fromkeys(ids) if (connection, kind, id_) not in self._records]
        for id_ in wanted:
            self._records[connection, kind, id_] = None
        for chunk in _chunks(wanted) if wanted and self._has_any(_ANY_RECORD, connection, kind) else ():
            self._keep(_RECORDS, {"connection": connection, "kind": kind.value, "ids": chunk})

    def _keep(self, statement: sa.Select[Any], values: Mapping[str, Any] | None = None) -> list[RecordRow]:
        kept = []
        for found in self.sql.execute(statement, values or {}):
            key = (found[0], found[1], found[2])
            row = self._records.get(key) or RecordRow(*found)
            self._records[key] = row
            kept.append(row)
        return kept

    def _has_any(self, statement: sa.Select[Any], of: str, kind: Kind) -> bool:
        """Whether the database holds anything of the kind: before a first sync there is nothing to be looked up."""
        key = (statement, of, kind)
        known: set[tuple[sa.Select[Any], str, str]] = self.sql.info.setdefault("kinds that are there", set())
        if key in known or key in self._none:
            return key in known
        found = self.sql.execute(statement, {"of": of, "kind": kind.value}).first() is not None
        (known if found else self._none).add(key)
        return found

    def record(self, connection: str, kind: Kind, id_: str) -> RecordRow | None:
        """One record."""
        key = (connection, kind, id_)
        if key not in self._records:
            self.load_records(connection, kind, [id_])
        return self._records[key]

    def put_record(self, row: RecordRow) -> None:
        """Keep a new or changed record."""
        key = (row.connection, row.kind, row.id)
        self._records[key] = row
        self._unindexed[key] = row
        self._dirty["record", *key] = row

    def records_where(self, *where: sa.ColumnElement[bool]) -> list[RecordRow]:
        """Records by any condition, in the order of their ids."""
        self.flush()
        table = schema.records
        order = (table.c.connection, table.c.kind, table.c.id)
        return self._keep(_ALL_RECORDS.where(*where).order_by(*order))

    def load_alike(self, connection: str, kind: Kind, name: str, values: Iterable[str | None]) -> None:
        """Read at once all records that bear one of many values in a column: key, title_key, source_id, a parent."""
        asked = [value for value in dict.fromkeys(values) if value]
        wanted = [value for value in asked if (connection, kind, name, value) not in self._alike_loaded]
        self._alike_loaded.update((connection, kind, name, value) for value in wanted)
        for chunk in _chunks(wanted) if wanted and self._has_any(_ANY_RECORD, connection, kind) else ():
            for row in self._keep(_ALIKE[name], {"connection": connection, "kind": kind.value, "ids": chunk}):
                self._index_record(row)

    def alike(
        self, connection: str, kind: Kind, name: str, value: str | None, *, gone: bool = False
    ) -> list[RecordRow]:
        """The records that bear a value in a column, in the order of their ids: those that are there, or are gone."""
        if not value:
            return []
        key = (connection, kind, name, value)
        if key not in self._alike_loaded:
            self.load_alike(connection, kind, name, [value])
        for row in self._unindexed.values():
            self._index_record(row)
        self._unindexed.clear()
        rows = [self._records[connection, kind, id_] for id_ in sorted(self._alike.get(key, ()))]
        return [row for row in rows if row is not None and row.gone == gone and getattr(row, name) == value]

    def _index_record(self, row: RecordRow) -> None:
        """Let a record be found by what it bears now; what it bore before is passed over when it is found by that."""
        for name in _ALIKE:
            if value := getattr(row, name):
                self._alike.setdefault((row.connection, row.kind, name, value), {})[row.id] = None

    # members

    def load_members(self, connection: str, rows: Iterable[str]) -> None:
        """Read many candidate rows at once."""
        wanted = [row for row in dict.fromkeys(rows) if (connection, row) not in self._members]
        for row in wanted:
            self._members[connection, row] = None
        for chunk in _chunks(wanted):
            for found in self.sql.execute(_MEMBERS, {"connection": connection, "ids": chunk}):
                member = MemberRow(*found)
                self._members[connection, member.row] = member

    def member(self, connection: str, row: str) -> MemberRow | None:
        """One candidate row."""
        if (connection, row) not in self._members:
            self.load_members(connection, [row])
        return self._members[connection, row]

    def load_people(self, connection: str, people: Iterable[str]) -> None:
        """Read all rows of many people at once."""
        wanted = [person for person in dict.fromkeys(people) if (connection, person) not in self._people]
        for person in wanted:
            self._people[connection, person] = {}
        for chunk in _chunks(wanted):
            for found in self.sql.execute(_OF_PEOPLE, {"connection": connection, "ids": chunk}):
                told = MemberRow(*found)
                member = self._members.get((connection, told.row)) or told
                self._members[connection, member.row] = member
                self._people[connection, member.person][member.row] = member

    def members_of(self, connection: str, person: str) -> list[MemberRow]:
        """A person's rows, by number."""
        if (connection, person) not in self._people:
            self.load_people(connection, [person])
        return sorted(self._people[connection, person].values(), key=lambda member: (len(member.row), member.row))

    def put_member(self, row: MemberRow) -> None:
        """Keep a new or changed candidate row."""
        self._members[row.connection, row.row] = row
        if (row.connection, row.person) not in self._people:
            self.load_people(row.connection, [row.person])
        self._people[row.connection, row.person][row.row] = row
        self._dirty["member", row.connection, row.row] = row

    # links

    def load_links(self, pair: str, kind: Kind, end: str, ids: Iterable[str]) -> None:
        """Read the links of many records at once."""
        wanted = [id_ for id_ in dict.fromkeys(ids) if (pair, kind, end, id_) not in self._by_end]
        for id_ in wanted:
            self._by_end[pair, kind, end, id_] = None
        for chunk in _chunks(wanted) if wanted and self._has_any(_ANY_LINK, pair, kind) else ():
            values = {"pair": pair, "kind": kind.value, "ids": chunk}
            for found in self.sql.execute(_LINKS[str(end)], values):
                link = LinkRow(*found)
                self._index(self._links.get(link.id) or link)

    def _index(self, link: LinkRow) -> None:
        self._links[link.id] = link
        for end, id_ in (("left", link.left), ("right", link.right)):
            if id_ is not None:
                self._by_end[link.pair, link.kind, end, id_] = link

    def link_at(self, pair: str, kind: Kind, end: str, id_: str) -> LinkRow | None:
        """The link of a record in a pair."""
        key = (pair, kind, end, id_)
        if key not in self._by_end:
            self.load_links(pair, kind, end, [id_])
        return self._by_end[key]

    def link(self, id_: int) -> LinkRow | None:
        """A link by its number."""
        if id_ not in self._links:
            found = self.sql.execute(_LINK, {"id": id_}).one_or_none()
            if found is None:
                return None
            self._index(LinkRow(*found))
        return self._links[id_]

    def new_link(self, pair: str, kind: Kind, how: str, left: str | None, right: str | None) -> LinkRow:
        """Make a link; one end may be empty while it is being created."""
        values: dict[str, Any] = {
            "pair": pair, "kind": kind.value, "left": left, "right": right, "left_base": {}, "right_base": {},
            "decided": None, "how": how, "made_at": self.now,
        }  # fmt: skip
        id_ = self.sql.execute(_NEW_LINK, values).scalar_one()
        link = LinkRow(id=id_, **values)
        self._index(link)
        return link

    def put_link(self, link: LinkRow) -> None:
        """Keep a changed link."""
        self._index(link)
        self._dirty_links.add(link.id)

    def drop_link(self, link: LinkRow) -> None:
        """Forget a link, and all that was to be done about it."""
        for end, id_ in (("left", link.left), ("right", link.right)):
            if id_ is not None:
                self._by_end[link.pair, link.kind, end, id_] = None
        self._links.pop(link.id, None)
        self._dirty_links.discard(link.id)
        for drop in _DROPS:
            self.sql.execute(drop, {"id_": link.id})

    # the rest

    def clear(self) -> None:
        """Forget what was read, since rows were changed past this view; what was changed here is written first."""
        self.flush()
        for known in (self._records, self._members, self._people, self._links, self._by_end, self._alike):
            known.clear()
        self._alike_loaded.clear()
        self._unindexed.clear()

    def flush(self) -> None:
        """Write what was changed."""
        by_table: dict[str, list[dict[str, Any]]] = {"record": [], "member": []}
        for (table, *_), row in self._dirty.items():
            by_table[table].append(as_row(row))
        upsert(self.sql, schema.records, by_table["record"])
        upsert(self.sql, schema.members, by_table["member"])
        self._dirty.clear()
        changed = [as_row(self._links[id_]) for id_ in sorted(self._dirty_links)]
        upsert(self.sql, schema.links, changed)
        self._dirty_links.clear()


def _chunks(items: list[str], size: int = 500) -> Iterable[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def rows_of(connection: sa.Connection, statement: sa.Select[Any]) -> list[dict[str, Any]]:
    """A select's rows as mappings."""
    return [dict(found) for found in connection.execute(statement).mappings()]
