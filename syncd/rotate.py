"""Another master key for a store, without a moment at which a stop would lock anybody out.

First the new key is on the disk, beside the old one; then one transaction seals everything anew and leaves a bridge
(``syncd.keys``), so that the old key opens the store still; then the key file is replaced, and the bridge goes. Where
the key stands in the configuration, that is the operator's to change, and the bridge goes at the first start with it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from syncd import graves, keys
from syncd.errors import SyncdError
from syncd.sealing import Sealer, key_from_file, parse_key, replace_synced
from syncd.settings import Store as Settings
from syncd.store import Store, recalled

log = structlog.get_logger()


def rotate(store: Store, sealer: Sealer, settings: Settings, new_key_file: Path | None) -> Mapping[str, Any]:
    """Put another master key into force; what was done, and what is left to do. Raises ``SyncdError``."""
    if store.run_now(recalled, keys.BRIDGE) is not None:
        raise SyncdError("the last change of the key is not over: start the daemon with the new key first")
    master = key_from_file(_new_file(settings, new_key_file), sealer.entropy)
    if sealer.knows(Sealer(master, sealer.entropy).key_check):
        raise SyncdError("this key is known to the store already; name a file that is not there yet")
    try:
        count = store.run_now(keys.change, sealer, master)
    finally:
        store.run_now(keys.prove, sealer)  # whatever became of the commit: what the database says is in force
    finish(store, sealer, settings)
    store.squeeze()
    log.info("The store has another key.", action="key_changed", values=count)
    return {"told": _told(settings, new_key_file), "sealed_anew": count}


def _new_file(settings: Settings, given: Path | None) -> Path:
    path = settings.key_path
    if path is None and given is None:
        raise SyncdError(
            "store.key: the key stands in the configuration; name the file that the new one is, or shall be, kept in: "
            "syncd rotate-key --new-key-file FILE"
        )
    if path is not None and given is not None:
        raise SyncdError(f"the key is kept in {path}, which is replaced by itself; leave --new-key-file out")
    return given or beside(path or Path())


def beside(path: Path) -> Path:
    """Where a new key waits until it takes the old one's place."""
    return path.with_name(path.name + ".new")


def finish(store: Store, sealer: Sealer, settings: Settings) -> None:
    """Go on where a change of the key stands; also after a stop in between. For the store's owner."""
    bridge = store.run_now(recalled, keys.BRIDGE)
    if bridge is None:
        return
    knows_old = sealer.knows(bridge.partition(" ")[0])
    path = settings.key_path
    if path is not None and knows_old:
        _put_in_place(path, keys.master_over(sealer, bridge))
    graves.rewrap(settings.tombstones_path, sealer)
    if path is None and knows_old:
        log.warning("The store has another key than the configuration; give it the new one.", action="key_is_old")
        return
    store.run_now(keys.burn_bridge)


def _put_in_place(path: Path, master: bytes) -> None:
    text = path.read_text("ascii") if path.exists() else ""
    if not text or parse_key(text) != master:
        replace_synced(path, master.hex() + "\n")
    beside(path).unlink(missing_ok=True)


def _told(settings: Settings, given: Path | None) -> str:
    if given is None:
        return f"The store has another key; {settings.key_path} holds it. Put it where you keep the old one's copy."
    return (
        f"The store has another key; {given} holds it. Put it into store.key (SYNCD_STORE__KEY) before the next start, "
        "or leave store.key out and name the file in store.key_file. Until the first start with it the old one opens "
        "the store too."
    )
