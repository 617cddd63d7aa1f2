"""What the store keeps of its keys, and how another master key comes into force.

The master key stands outside the database. Inside stand its check value and, sealed under it, the store's own keys,
with which digests are made. While the master is changed, the new one stands here too, sealed under the old one (the
*bridge*): until the new one was used at a start, the old one opens the store as well, so no stop at any moment locks
anybody out.
"""

import base64

import sqlalchemy as sa

from syncd import schema
from syncd.sealing import DIGESTS, TOMBSTONES, Sealer
from syncd.store import recalled, remember, rows_of

CHECK, BRIDGE = "key_check", "key_bridge"
OWN = {DIGESTS: "digest_key", TOMBSTONES: "tombstone_key"}  # the store's own keys: what each is for -> its name in meta
_BRIDGED = "keys/bridge"


def prove(connection: sa.Connection, sealer: Sealer) -> None:
    """Refuse a key other than the store's, and take up the store's own keys; a new store is given them."""
    known = recalled(connection, CHECK)
    if known is None:
        _begin(connection, sealer)
        return
    bridge = recalled(connection, BRIDGE)
    if bridge is not None and not sealer.knows(known):
        sealer.require(bridge.partition(" ")[0])
        sealer.learn(master_over(sealer, bridge))
    sealer.require(known)
    for purpose, name in OWN.items():
        wrapped = recalled(connection, name)
        if wrapped is not None:
            sealer.unwrap(purpose, wrapped)


def _begin(connection: sa.Connection, sealer: Sealer) -> None:
    remember(connection, CHECK, sealer.key_check)
    for purpose, name in OWN.items():
        sealer.make_own(purpose)
        remember(connection, name, sealer.wrapped(purpose))


def complete(connection: sa.Connection, sealer: Sealer) -> None:
    """A store of an older syncd keeps the digest key that followed from its first master, as a key of its own."""
    for purpose, name in OWN.items():
        if recalled(connection, name) is None:
            remember(connection, name, sealer.wrapped(purpose))


def master_over(sealer: Sealer, bridge: str) -> bytes:
    """The new master that a bridge holds, for who knows the old one."""
    return sealer.unseal(base64.b64decode(bridge.partition(" ")[2]), _BRIDGED)


def bridge_to(sealer: Sealer, master: bytes) -> str:
    """A new master sealed under the one in force, and that one's check value."""
    return f"{sealer.key_check} {base64.b64encode(sealer.seal(master, _BRIDGED)).decode()}"


def change(connection: sa.Connection, sealer: Sealer, master: bytes) -> int:
    """Seal everything anew under another master, in one transaction; how many values that were.

    Afterwards (whether it was committed or not) ``prove`` tells the sealer which master is in force.
    """
    bridge = bridge_to(sealer, master)
    sealer.require(sealer.learn(master))
    count = sum(_seal_anew(connection, sealer, column) for column in sealed_columns())
    remember(connection, CHECK, sealer.key_check)
    remember(connection, BRIDGE, bridge)
    for purpose, name in OWN.items():
        remember(connection, name, sealer.wrapped(purpose))
    return count


def sealed_columns() -> list[sa.Column[bytes]]:
    """The columns that hold sealed values; each says by which text of its row they are bound to their place."""
    columns = [column for table in schema.metadata.sorted_tables for column in table.columns]
    return [column for column in columns if "bound_to" in column.info]


def _seal_anew(connection: sa.Connection, sealer: Sealer, column: sa.Column[bytes]) -> int:
    table = column.table
    rows = rows_of(connection, sa.select(table).where(column.is_not(None)))
    for row in rows:
        about = column.info["bound_to"].format(**row)
        anew = {column.name: sealer.seal(sealer.unseal(row[column.name], about), about)}
        where = [key == row[key.name] for key in table.primary_key]
        connection.execute(sa.update(table).where(*where).values(anew))
    return len(rows)


def burn_bridge(connection: sa.Connection) -> None:
    """The new master was used at a start: the old one opens nothing any more."""
    connection.execute(sa.delete(schema.meta).where(schema.meta.c.name == BRIDGE))
