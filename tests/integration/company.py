"""A company as ``config.example.toml`` describes it: the three systems played in-process, in virtual time.

Commands are run through the command line itself, as a person types them; only clock, chance and network are played.
"""

import random
from pathlib import Path

import httpx

from syncd import cli
from syncd.app import load_plugins
from syncd.clock import SteppedClock, run_stepped

START = 1_790_000_000.0
ROOT = Path(__file__).parents[2]
SYSTEMS = {"acme": "workable", "screener": "ninjahire", "voice": "worksignal"}


class Company:
    """``files``: where the store is. ``text``: another configuration. ``run`` is what a person types."""

    def __init__(self, files, capsys, *, text=None, jobs=2, people=6, environ=None):
        self.clock = SteppedClock(START, frozen=True)
        plugins = load_plugins()
        self.played = {
            name: plugins[system].sandbox(clock=self.clock, rng=random.Random(3)) for name, system in SYSTEMS.items()
        }
        self.jobs = self.hub.fill(jobs=jobs, people=people, again=0.0)
        self.reached = dict.fromkeys(SYSTEMS, True)
        (files / "config.toml").write_text((ROOT / "config.example.toml").read_text() if text is None else text)
        self.environ = {
            "SYNCD_CONFIG": str(files / "config.toml"),
            "SYNCD_STORE__URL": f"sqlite:///{files}/syncd.db",
            **(environ or {}),
        }
        self.rng = random.Random(1)
        self._capsys = capsys

    @property
    def hub(self):
        return self.played["acme"]

    def outside(self):
        return cli.Outside(
            environ=self.environ,
            clock=self.clock,
            rng=self.rng,
            entropy=self.rng.randbytes,
            network=lambda name: httpx.ASGITransport(app=self.played[name]),
            run=lambda coroutine: run_stepped(self.clock, coroutine),
        )

    def run(self, *words):
        """A command's exit code, and what it wrote to stdout and to stderr."""
        code = cli.run(list(words), self.outside())
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def rows(self):
        """The hub's candidate rows, by id."""
        return list(self.hub.snapshot()["candidate"])

    def calls(self, name, *methods):
        return [arrival for arrival in self.played[name].arrivals if arrival.method in methods]

    def later(self, seconds):
        self.clock._offset += seconds
