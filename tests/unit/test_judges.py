"""The judges of whole runs can condemn: for each of them a run that is in order, and the same with one thing wrong."""

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest

from syncd import config
from syncd.app import build_world, load_plugins, sealer_of
from syncd.clock import SteppedClock
from syncd.sandbox import Arrival, Effect
from tests.integration.judges import NETWORK, Held, Kept, Line, Look, Run, violations
from tests.integration.town import LIMITS, SYSTEMS, configure

START = 1_800_000_000.0
ANN = {"name": "Ann Example", "email": "p1@example.com", "phone": "+12025550123"}


class Played:
    """The systems, with one job and one person in step, and a run that is told by hand."""

    def __init__(self, folder):
        plugins = load_plugins()
        self.clock = SteppedClock(START, frozen=True)
        self.boxes = {
            name: plugins[system].sandbox(clock=self.clock, rng=random.Random(7), limits=LIMITS[name])
            for name, system in SYSTEMS.items()
        }
        jobs = {
            n: box.add_job(title="Tiler", **({} if n == "voice" else {"code": "J1"})) for n, box in self.boxes.items()
        }
        self.ids = {name: box.apply(jobs[name], **ANN) for name, box in self.boxes.items()}
        self.jobs = jobs
        addresses = {name: SimpleNamespace(address=f"http://127.0.0.1:{9000 + at}") for at, name in enumerate(SYSTEMS)}
        configure(folder, 1, addresses)
        settings = config.load(folder / "config.toml", {})
        self.known = build_world(settings, plugins, sealer_of(settings, random.randbytes)).connections
        self.looks, self.journal, self.holds = [], [], []
        self.acme = self.boxes["acme"]

    def later(self, seconds):
        self.clock._offset += seconds
        return self.clock.now()

    def ours(self):
        """The last thing that happened at acme was done by syncd."""
        self.acme.effects[-1] = replace(self.acme.effects[-1], by="api")

    def looked(self):
        self.looks.append(Look(self.clock.now(), f"/spi/v3/candidates/{self.ids['acme']}", ""))

    def found(self):
        kept = {
            name: Kept(name, box, self.known[name].vocabulary, self.known[name].defaults, LIMITS[name],
                       self.looks if name == "acme" else [])
            for name, box in self.boxes.items()
        }  # fmt: skip
        told = violations(Run(kept, self.holds, self.journal, []))
        return {line.partition(":")[0] for line in told if not line.startswith("unlike")}


@pytest.fixture
def played(tmp_path):
    made = Played(tmp_path)
    assert made.found() == set()
    return made


def moved_over(played, *, is_looked_at):
    """A human's move, and after an hour one of ours over it."""
    played.later(10.0)
    played.looked()
    played.later(10.0)
    played.acme.move(played.ids["acme"], "Interview")
    played.later(3600.0)
    if is_looked_at:
        played.looked()
    played.later(1.0)
    played.acme.move(played.ids["acme"], "Applied")
    played.ours()


def test_a_move_that_is_undone_is_condemned(played):
    moved_over(played, is_looked_at=True)
    assert played.found() == {"undone"}


def test_a_write_without_a_look_at_its_target_is_condemned(played):
    moved_over(played, is_looked_at=False)
    assert played.found() == {"blind"}


def test_somebody_made_twice_is_condemned(played):
    played.later(10.0)
    played.acme.apply(played.acme.add_job(title="Tiler", code="J2"), **ANN)
    assert played.found() == set(), "what humans do is their own affair"
    played.ours()
    assert "twice" in played.found()


def test_what_the_network_made_twice_is_to_be_asked_about(played):
    played.later(10.0)
    voice = played.boxes["voice"]
    voice.add_job(title="Tiler")
    voice.effects[-1] = replace(voice.effects[-1], by=NETWORK)
    assert played.found() == {"silent"}
    played.holds = [Held(frozenset({("voice", "job", played.jobs["voice"])}), frozenset({""}), "ambiguous_job")]
    assert played.found() == set()


def test_a_call_over_the_budget_and_a_refusal_are_condemned(played):
    window = LIMITS["acme"][0]
    at = played.later(60.0)
    calls = [Arrival(at + n * 0.001, "GET", "/spi/v3/jobs", "t", 200) for n in range(window.calls)]
    played.acme.arrivals.extend(calls)
    assert played.found() == set()
    played.acme.arrivals.append(replace(calls[-1], at=at + 0.5))
    assert played.found() == {"over budget"}
    played.acme.arrivals[-1] = replace(calls[0], at=at + 600.0, status=429)
    assert played.found() == {"over budget"}


def test_a_write_that_nobody_claimed_is_condemned(played):
    at = played.later(60.0)
    played.acme.arrivals.append(Arrival(at, "POST", "/spi/v3/candidates", "t", 201))
    assert played.found() == {"unclaimed"}
    played.journal.append(Line(at - 0.1, "acme", "application", "1", "sent", ()))
    assert played.found() == set()


def test_what_somebody_outside_noticed_is_condemned(played):
    played.acme.effects.append(Effect(played.clock.now(), "human", "mailed", "application", played.ids["acme"]))
    assert played.found() == set()
    played.ours()
    assert played.found() == {"felt"}


def test_a_conflict_of_which_one_alone_has_spoken_is_condemned(played):
    played.acme.effects = [effect for effect in played.acme.effects if effect.by == "human"]
    played.holds = [Held(frozenset({("acme", "application", played.ids["acme"])}), frozenset({"stage"}), "conflict")]
    assert played.found() == set(), "where it was made on all sides, all have spoken"
    for name, box in played.boxes.items():
        if name != "acme":
            box.effects = [replace(effect, by="api") for effect in box.effects]
    assert "unearned" in played.found()
