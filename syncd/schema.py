"""The tables. They hold ids, versions, times and keyed digests; a person's values only sealed, while a write waits.

``seen`` and the bases are JSON objects field -> digest in our field names; a stage or a job's status stands in clear
behind ``=`` (``syncd.mapping.digest_value``). All times are seconds since the epoch.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()
SUBSCRIPTION_PLACE = "subscriptions/{connection}/{remote}"  # the place to which a sealed column is bound, by its row
_Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite gives rising numbers to INTEGER keys alone

# What is true of the store as a whole: the check value of the key that its digests were made with.
meta = Table("meta", metadata, Column("name", String, primary_key=True), Column("value", Text, nullable=False))

connections = Table(
    "connections",
    metadata,
    Column("name", String, primary_key=True),
    Column("system", String, nullable=False),
    Column("reached_at", Float),
    Column("error", Text),
    Column("error_at", Float),
)

# What an operator or syncd itself has stopped: "*", "connection/NAME" or "pair/NAME". A row means: stopped.
switches = Table(
    "switches",
    metadata,
    Column("scope", String, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
)

# One row a walk: where it stands (token, walk_no), how far it is proven (cursor, polled_at, swept_at), when it is due.
cursors = Table(
    "cursors",
    metadata,
    Column("connection", String, primary_key=True),
    Column("walk", String, primary_key=True),
    Column("mode", String, nullable=False, default="idle"),  # idle, poll, sweep
    Column("walk_no", Integer, nullable=False, default=0),
    Column("token", Text),
    Column("since", Float),
    Column("started_at", Float),
    Column("high", Float),
    Column("first_served_at", Float),
    Column("pages", Integer, nullable=False, default=0),
    Column("last_pages", Integer, nullable=False, default=0),
    Column("cursor", Float),
    Column("polled_at", Float),
    Column("swept_at", Float),
    Column("poll_due", Float, nullable=False, default=0.0),
    Column("sweep_due", Float, nullable=False, default=0.0),
    Column("error", Text),
)

# A page that is byte for byte as it was stands for the presence of its records, and is skipped while all are settled.
pages = Table(
    "pages",
    metadata,
    Column("connection", String, primary_key=True),
    Column("walk", String, primary_key=True),
    Column("position", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("walk_no", Integer, nullable=False),  # when it was last seen
    Column("told_no", Integer, nullable=False),  # when its rows were last taken in: only those stand on it
    Column("settled", String),
)

records = Table(
    "records",
    metadata,
    Column("connection", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("job", String),
    Column("candidate", String),
    Column("application", String),  # whose screening it is
    Column("source_id", String),
    Column("key", String),  # digest of e-mail or job code
    Column("title_key", String),  # digest of a job's title
    Column("seen", JSON, nullable=False),
    Column("speakers", JSON),  # where a person is a set of rows: field -> the row that speaks
    Column("spoken_at", JSON),  # and since when what it says is known
    Column("places", JSON),  # where a stage stands in two places: what each meant when they were last looked at
    Column("version", String),
    Column("created_at", Float),
    Column("updated_at", Float),
    Column("told_at", Float, nullable=False),
    Column("written_at", Float),
    Column("replaced", JSON),  # by what was written within seconds of that: field -> digests of what stood there before
    Column("walk", String),
    Column("walk_no", Integer, nullable=False, default=0),
    Column("page", String),
    Column("gone", Boolean, nullable=False, default=False),
    Column("settled", String),
    Column("defaulted", JSON),  # fields that hold a configured default which we wrote
    Column("traits", JSON),
    Column("department", String),
    Column("url", String),
    Column("read_at", Float),  # last told by a get
    Index("records_by_key", "connection", "kind", "key"),
    Index("records_by_title", "connection", "kind", "title_key"),
    Index("records_by_source", "connection", "kind", "source_id"),
    Index("records_by_job", "connection", "job"),
    Index("records_by_candidate", "connection", "candidate"),
    Index("records_by_application", "connection", "application"),
    Index("records_by_page", "connection", "walk", "page"),
)

members = Table(
    "members",
    metadata,
    Column("connection", String, primary_key=True),
    Column("row", String, primary_key=True),
    Column("person", String, nullable=False),
    Column("seen", JSON, nullable=False),
    Column("base", JSON, nullable=False),
    Column("created_at", Float),
    Column("gone", Boolean, nullable=False, default=False),
    Column("frozen", Boolean, nullable=False, default=False),
    Index("members_by_person", "connection", "person"),
)

links = Table(
    "links",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("pair", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("left", String),
    Column("right", String),
    Column("left_base", JSON, nullable=False),
    Column("right_base", JSON, nullable=False),
    Column("decided", JSON),  # field -> [end a person took, left digest, right digest]
    Column("how", String, nullable=False),
    Column("made_at", Float, nullable=False),
    UniqueConstraint("pair", "kind", "left"),
    UniqueConstraint("pair", "kind", "right"),
    sqlite_autoincrement=True,  # a number is never given twice: people and the journal remember it
)

# Two records that a person has said are not the same; they are not linked again by themselves. ``apart``: nor is one
# of them made anew beside the other; false where the person said that it is a new thing.
cuts = Table(
    "cuts",
    metadata,
    Column("pair", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("left", String, primary_key=True),
    Column("right", String, primary_key=True),
    Column("apart", Boolean, nullable=False),
    Column("at", Float, nullable=False),
)

# One call that is to be made, durable before any byte leaves. ``wants``: link id -> field -> [wanted, source digest].
intents = Table(
    "intents",
    metadata,
    Column("id", String, primary_key=True),
    Column("connection", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("ref", String),  # the record to be changed; none: to be created
    Column("call", String, nullable=False),
    Column("state", String, nullable=False),  # open, sent, unknown, held; done ones are deleted, the journal keeps them
    Column("link", _Number, ForeignKey("links.id")),  # whose empty end a create fills
    Column("wants", JSON, nullable=False),
    Column("sealed", LargeBinary, info={"bound_to": "{id}"}),
    Column("sent_values", LargeBinary, info={"bound_to": "{id}/sent"}),
    Column("source", String),  # connection whose values are written
    Column("told_at", Float, nullable=False),
    Column("expected", JSON),
    Column("expected_version", String),
    Column("priority", Integer, nullable=False),
    Column("made_at", Float, nullable=False),
    Column("due", Float, nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("looks", Integer, nullable=False, default=0),
    Column("sent_at", Float),
    Column("reason", Text),
    Column("origin", String),  # the webhook it goes back to: w and the inbox row's id; so in marks and journal
    Index("intents_by_due", "connection", "state", "due"),
    Index("intents_by_ref", "connection", "kind", "ref"),
    Index("intents_by_link", "link"),
)

holds = Table(
    "holds",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("pair", String),
    Column("connection", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("ref", String, nullable=False),
    Column("link", _Number),
    Column("intent", String),
    Column("field", String, nullable=False, default=""),
    Column("reason", String, nullable=False),
    Column("detail", Text, nullable=False, default=""),
    Column("left_digest", String),
    Column("right_digest", String),
    Column("agreed_at", Float),  # since when both ends seem to agree; believed once both were told since
    Column("opened_at", Float, nullable=False),
    Index("holds_by_ref", "connection", "kind", "ref"),
    Index("holds_by_link", "link"),
    sqlite_autoincrement=True,
)

# Records that are to be read again by id. ``priority``: as of the calls (syncd.limits).
marks = Table(
    "marks",
    metadata,
    Column("connection", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("ref", String, primary_key=True),
    Column("why", String, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("due", Float, nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("origin", String),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("connection", String, nullable=False),
    Column("event", String, nullable=False),  # the sender's event id, or the body's digest
    Column("refs", JSON, nullable=False),
    Column("received_at", Float, nullable=False),
    UniqueConstraint("connection", "event"),
)

journal = Table(
    "journal",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("connection", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("ref", String, nullable=False),
    Column("link", _Number),
    Column("what", String, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("detail", Text, nullable=False, default=""),
    Column("origin", String),
    Index("journal_by_ref", "connection", "kind", "ref"),
    Index("journal_by_link", "link"),
    sqlite_autoincrement=True,
)

runs = Table(
    "runs",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("command", String, nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("state", String, nullable=False),  # asked, running, done, failed, cancelled
    Column("asked_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("progress", JSON),
    Column("result", JSON),
)

budgets = Table(
    "budgets",
    metadata,
    Column("connection", String, primary_key=True),
    Column("log", Text, nullable=False),
)

# What was done once and for all beside the fields (``syncd.errands``): a remark made, a file sent. ``source``: the
# record at the other end for which it was done, ``version``: as of which, ``content``: the keyed digest of a file.
deeds = Table(
    "deeds",
    metadata,
    Column("pair", String, primary_key=True),
    Column("end", String, primary_key=True),
    Column("what", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("version", String, nullable=False),
    Column("content", String),
    Column("at", Float, nullable=False),
)

# Résumés that go out together to be screened. Its id is that of the intent that sends it, and its idempotency key.
batches = Table(
    "batches",
    metadata,
    Column("id", String, primary_key=True),
    Column("pair", String, nullable=False),
    Column("job", String, nullable=False),
    Column("state", String, nullable=False),  # collecting, sent, processing, done, failed
    Column("title", Text, nullable=False, default=""),  # the job's
    Column("remote", String),
    Column("made_at", Float, nullable=False),
    Column("sent_at", Float),  # for the first time
    Index("batches_by_remote", "remote"),
)

batch_items = Table(
    "batch_items",
    metadata,
    Column("pair", String, primary_key=True),
    Column("application", String, primary_key=True),
    Column("batch", String, nullable=False),
    Column("state", String, nullable=False),  # waiting, sent, done, held
    Column("name", String),  # under which it was sent
    Column("content", String),  # keyed digest of what was sent
    Column("credits", Float, nullable=False, default=0.0),
    Column("sent_at", Float),
    Column("reason", String),
    Column("detail", Text, nullable=False, default=""),
    Index("batch_items_by_batch", "batch"),
)

# Keyed digests of every default ever sent: such a value is no value where we wrote it.
defaults = Table(
    "defaults",
    metadata,
    Column("connection", String, primary_key=True),
    Column("field", String, primary_key=True),
    Column("digest", String, primary_key=True),
)

# Webhook addresses that were registered for us, each with the secret that was agreed on: sealed, believed for a while
# after its end. ``remote``: its id in the system.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("connection", String, nullable=False),
    Column("remote", String, nullable=False),
    Column("url", String, nullable=False),
    Column("events", JSON, nullable=False),
    Column("secret", LargeBinary, info={"bound_to": SUBSCRIPTION_PLACE}),
    Column("made_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("ended_at", Float),
    Index("subscriptions_by_connection", "connection"),
    sqlite_autoincrement=True,
)

# The last values that were carried across a link where both ends are written to: [when, from which end, digest].
swings = Table(
    "swings",
    metadata,
    Column("link", _Number, primary_key=True, autoincrement=False),
    Column("field", String, primary_key=True),
    Column("turns", JSON, nullable=False),
    Column("frozen_at", Float),
)

# Who was erased, as keyed digests (of a subkey of their own) of all that names her: an e-mail address, a record of a
# connection. ``grave``: a number drawn at the erasure, the same for all of hers. ``allowed_at``: since when her return
# is allowed; her old applications stay known so that nothing irreversible is done about them a second time.
tombstones = Table(
    "tombstones",
    metadata,
    Column("digest", String, primary_key=True),
    Column("grave", String, nullable=False),
    Column("what", String, nullable=False),  # email, or a record's kind
    Column("at", Float, nullable=False),
    Column("allowed_at", Float),
    Index("tombstones_by_grave", "grave"),
)
