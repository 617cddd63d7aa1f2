"""A small world on files, as an operator's is: a database, its key, and what remembers who was erased."""

import asyncio
import copy
import random
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from connectors.memory import MemoryConnector
from syncd import app as joined
from syncd import forget, keys, rotate
from syncd.clock import SteppedClock
from syncd.model import Kind, Ref
from syncd.sealing import Sealer
from syncd.settings import Store as Settings
from tests.unit.small_world import START, SmallWorld

FIRST_S = 30.0  # the first look and the first sync
SWEPT_S = 80.0  # another sweep at least
TIMES = {"poll_s": 60.0, "sweep_s": 60.0}
MARKS = ("Qxvornamark", "Wzeltmark", "qxmailmark", "2025557391")
EMAIL = "qxmailmark@example.com"


class Scene:
    """Systems (``names`` as of ``SmallWorld``), an engine over them, and the files of a store in a folder."""

    def __init__(self, folder: Path, *names: str, key: str | None = None, **pair: Any) -> None:
        self.folder = folder
        url = f"sqlite:///{folder / 'syncd.db'}"
        self.settings = Settings.model_validate({"url": url} | ({"key": key} if key else {}))
        self.names, self.pair = names, pair
        self.seed = 5
        self.open()
        self.engine = self.world.engine()

    def copied(self, folder: Path) -> "Scene":
        """The same files, systems and time once more: what took long to come about is made once for many tests."""
        self.world.store.squeeze()
        for path in self.folder.iterdir():
            if path.suffix in {".db", ".key", ".tombstones"}:
                shutil.copy(path, folder / path.name)
        twin = copy.copy(self)
        twin.folder, twin.seed = folder, self.seed + 1
        key = self.settings.key.get_secret_value() if self.settings.key else None
        twin.settings = Settings.model_validate(
            {"url": f"sqlite:///{folder / 'syncd.db'}"} | ({"key": key} if key else {})
        )
        del twin.world
        twin.open()
        clock = twin.world.clock
        clock._offset = self.world.clock._offset
        twin.world.systems = copy.deepcopy(self.world.systems, {id(self.world.clock): clock})
        twin.world.connectors = {name: MemoryConnector(system) for name, system in twin.world.systems.items()}
        twin.engine = twin.world.engine(seed=twin.seed)
        return twin

    @property
    def config(self) -> Any:
        return SimpleNamespace(store=self.settings)

    def open(self, settings: Settings | None = None) -> None:
        """As a start does; the systems, and the time, stay what they are."""
        self.settings = settings or self.settings
        self.seed += 1  # another process draws other numbers
        self.entropy = random.Random(self.seed).randbytes
        self.sealer: Sealer = joined.sealer_of(self.config, self.entropy)
        old = getattr(self, "world", None)
        store = joined.open_store(self.config, SteppedClock(START, frozen=True), self.sealer, threaded=False)
        self.world = SmallWorld(store.engine, *self.names, **TIMES, **self.pair)
        if old is not None:
            self.world.systems, self.world.connectors = old.systems, old.connectors
            self.world.clock, self.world.store.clock = old.clock, old.clock
        self.world.world = replace(
            self.world.world, digest=self.sealer.digest, seal=joined._sealing(self.sealer),
            unseal=joined._unsealing(self.sealer), tombstone=self.sealer.tombstone,
        )  # fmt: skip

    def reopen(self, settings: Settings | None = None) -> None:
        """The process ends, and another one starts."""
        self.close()
        self.open(settings)
        self.engine = self.world.engine(seed=self.seed)
        asyncio.run(forget.replay(self.app))

    def close(self) -> None:
        self.world.store.close()

    @property
    def app(self) -> Any:
        return SimpleNamespace(
            engine=self.engine, store=self.world.store, config=self.config, sealer=self.sealer, world=self.world.world
        )

    def live(self, seconds: float, *, learn: bool = False) -> None:
        self.world.live(seconds, self.engine, learn=learn)

    def forget(self, email: str = EMAIL) -> dict[str, Any]:
        return asyncio.run(forget.forget(self.app, email))

    def allow(self, email: str = EMAIL) -> dict[str, Any]:
        return asyncio.run(forget.allow_again(self.app, email))

    def rotate(self, new_key_file: Path | None = None) -> dict[str, Any]:
        return dict(rotate.rotate(self.world.store, self.sealer, self.settings, new_key_file))

    # people at the first (rows) system

    def job(self) -> str:
        return self.world.systems["rows"].add(Kind.JOB, {"title": "Baker", "code": None, "status": "open"})

    def apply(self, job: str, number: int | None = None, stage: str = "New") -> str:
        """Somebody applies; without a number it is she who is to be erased."""
        who = {"name": f"{MARKS[0]} {MARKS[1]}", "email": EMAIL, "phone": f"+1{MARKS[3]}"}
        if number is not None:
            who = {"name": f"Ann{number} Lee", "email": f"ann{number}@example.com", "phone": f"+1202555{number:04d}"}
        fields = {**who, "stage": stage}
        return self.world.systems["rows"].add(Kind.APPLICATION, fields, parents={Kind.JOB: job})

    def hers(self) -> set[tuple[str, Ref]]:
        """All that stands of her at the systems."""
        found = set()
        for name, system in self.world.systems.items():
            own = {t.ref for t in system.things.values() if t.fields.get("email") == EMAIL}
            people = {ref.id for ref in own}
            own |= {t.ref for t in system.things.values() if t.parents.get(Kind.CANDIDATE) in people}
            found |= {(name, ref) for ref in own}
        return found

    def marks(self) -> set[bytes]:
        """All bytes that would tell of her: values, their digests, and the ids of her records."""
        values = {"name": f"{MARKS[0]} {MARKS[1]}", "email": EMAIL, "phone": f"+1{MARKS[3]}",
                  "first_name": MARKS[0], "last_name": MARKS[1]}  # fmt: skip
        digests = {self.sealer.digest(name, value).encode() for name, value in values.items()}
        plain = {spelt.encode() for mark in MARKS for spelt in (mark, mark.lower(), mark.upper())}
        return plain | digests | {ref.id.encode() for _, ref in self.hers()}

    def found(self, marks: set[bytes]) -> set[tuple[str, bytes]]:
        """Which of these bytes stand in which file."""
        files = {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}
        return {(name, mark) for name, content in files.items() for mark in marks if mark in content}


__all__ = ["EMAIL", "FIRST_S", "MARKS", "SWEPT_S", "Scene", "keys"]
