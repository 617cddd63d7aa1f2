"""`syncd init`: asks about two systems, proves each token, and writes a config that `syncd check` takes.

All calls go the way of every other call, through limits and the one road out, and only GETs can. They are counted in
the store that the config names, so that the plan made next spends no call twice. Nothing is written before all is
proven; then the file appears whole, and never over another one. A token is only ever kept where it is asked to be: in a
file of its own for its owner's eyes.
"""

import os
import tempfile
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from syncd import config as configs
from syncd.app import App, Network, build, carry_budgets, load_plugins, mapping_of, open_store, sealer_of
from syncd.check import Acts, demands
from syncd.clock import Clock
from syncd.connector import Pipelines, Plugin
from syncd.crosscheck import examine
from syncd.cycle import Lane
from syncd.errors import AuthFailed, ConfigInvalid, Rejected, SyncdError
from syncd.init_text import Joint, Side, config_text, secret_file_of, variable_of
from syncd.init_words import Proposal, lexicon_of, propose
from syncd.limits import Priority
from syncd.model import Kind
from syncd.reconcile import End
from syncd.sentences import spelled
from syncd.settings import Config, did_you_mean, revealed, shown
from syncd.setup import Pair
from syncd.tell import Asks

TRIES = 3  # how often somebody is asked again for what did not work
PREFERRED: Mapping[str, tuple[str, ...]] = {
    "jobs": ("->", "<-", "off"),
    "candidates": ("->", "<-", "off"),
    "applications": ("<->", "->", "<-", "off"),
}
OFFERED: Mapping[str, tuple[str, ...]] = {"screenings": ("<-", "->"), "resumes": ("->", "<-")}


@dataclass(frozen=True)
class Means:
    """What comes from outside. ``ask`` None: there is nobody to be asked, and what is missing is told."""

    environ: Mapping[str, str]
    clock: Clock
    rng: Random
    entropy: Callable[[int], bytes]
    network: Network
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    say: Callable[[str], None]
    ask: Asks | None = None


@dataclass(frozen=True)
class Given:
    """What is said of one side beforehand."""

    system: str | None = None
    name: str | None = None
    base_url: str | None = None
    member: str | None = None


@dataclass(frozen=True)
class Wishes:
    """What is said beforehand. ``flows``: key -> direction; ``defaults``: (connection, field) -> value."""

    left: Given = Given()
    right: Given = Given()
    pair: str | None = None
    flows: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[tuple[str, str], str] = field(default_factory=dict)
    secrets: Path | None = None


@dataclass(frozen=True)
class Written:
    """What came of it: the environment in which the config works now, and sentences for whoever asked."""

    environ: Mapping[str, str]
    told: tuple[str, ...]


def init(means: Means, wishes: Wishes, file: Path) -> Written:
    """Write a config; raises ``ConfigInvalid`` or another ``SyncdError`` with a sentence, and has written nothing."""
    _refuse_existing(file)
    desk = _Desk(means, load_plugins())
    try:
        left = desk.side(wishes.left, "left")
        right = desk.side(wishes.right, "right", other=left)
        sides, joint = desk.joined((left, right), wishes)
        text = config_text(sides, joint)
        environ = {**means.environ, **desk.kept(sides, wishes.secrets)}
        config = _loaded(text, environ)
        examine(config, desk.plugins).refuse()
        _write(file, text)
        carry_budgets(desk.store, config, means.clock, means.entropy)
    finally:
        desk.store.close()
    return Written(environ, (f"{file} is written.", *_notes(sides), *_tokens(desk, wishes.secrets)))


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise ConfigInvalid(
            f"{file}: is there already and is left alone; name another file: `syncd --config FILE init`"
        )
    if not file.parent.is_dir():
        raise ConfigInvalid(f"{file}: there is no folder {file.parent}; make it, then run `syncd init` again")


def _notes(sides: tuple[Side, ...]) -> Iterator[str]:
    for side in sides:
        proposal, name = side.proposal, side.name
        if proposal.read:
            yield f"Stages of {name} that were matched by their spelling: {', '.join(proposal.read)}. Read them there."
        if proposal.unmatched:
            yield f"Stages of {name} for you to fill in: {', '.join(proposal.unmatched)}."


def _tokens(desk: "_Desk", secrets: Path | None) -> Iterator[str]:
    if secrets is not None:
        folder = secrets.resolve()
        yield f"The tokens are in {folder}, for your eyes only: set SYNCD_SECRETS={folder} wherever syncd runs."
    elif desk.tokens:
        yield f"Set {' and '.join(map(variable_of, desk.tokens))} wherever syncd runs; no token stands in the file."


# --- asking and proving ---------------------------------------------------------------------------------------------


class _Desk:
    """Where the answers are gathered and tried. ``tokens`` are those that were typed, ``words`` each side's stages."""

    def __init__(self, means: Means, plugins: Mapping[str, Plugin]) -> None:
        self.means = means
        self.plugins = plugins
        self.tokens: dict[str, str] = {}
        self.words: dict[str, tuple[str, ...]] = {}
        self._trial = {"SYNCD_STORE__URL": "sqlite:///:memory:", "SYNCD_STORE__KEY": means.entropy(32).hex()}
        blank = self._config(())
        self.sealer = sealer_of(blank, means.entropy)
        self.store = open_store(blank, means.clock, self.sealer, threaded=False)

    # one side

    def side(self, given: Given, which: str, other: Side | None = None) -> Side:
        """A connection whose token works; its stage words are known then."""
        given = replace(given, system=self._system(given, which))
        for left in reversed(range(TRIES)):
            side = self._described(given, which, other)
            try:
                self.words[side.name] = self.means.run(self._proven(side))
            except SyncdError as error:
                if self.means.ask is None or not left:
                    is_wrong = isinstance(error, AuthFailed | Rejected | ConfigInvalid)
                    told = f"{_placed(side, error)}; mend it, then run `syncd init` again"
                    raise (ConfigInvalid(told) if is_wrong else SyncdError(told)) from error
                self.means.say(_placed(side, error))
                given = self._mended(given, side, error)
            else:
                self.means.say(f"{side.name}: the token works.")
                return side
        raise AssertionError("the last try ends above")

    def _mended(self, given: Given, side: Side, error: SyncdError) -> Given:
        """What is said of a side after it did not work: another member, or another address and token."""
        address = side.base_url or self.plugins[side.system].base_url
        if isinstance(error, Rejected):
            return replace(given, name=side.name, base_url=address, member=self._member(side.name, side.member))
        address = self._asked(f"Address of {side.name}", "", address)
        self.tokens[side.name] = self._token(side)
        return replace(given, name=side.name, base_url=address, member=side.member or "")

    def _system(self, given: Given, which: str) -> str:
        named = given.system or self._asked(f"Which system stands {which} ({', '.join(self.plugins)})?", f"--{which}")
        if named not in self.plugins:
            raise ConfigInvalid(
                f"--{which}: {shown(named)} is not a known system{did_you_mean(named, [*self.plugins])}"
            )
        return named

    def _described(self, given: Given, which: str, other: Side | None) -> Side:
        system = str(given.system)
        usual = system if other is None or other.name != system else f"{system}_{which}"
        name = given.name or self._asked("Its name here (letters, digits, underscores)", f"--{which}-name", usual)
        if other is not None and other.name == name:
            raise ConfigInvalid(f"--{which}-name: {shown(name)} is the name of the other side; take another one")
        known = self.plugins[system].base_url
        address = given.base_url or self._asked(f"Address of {name}", f"--{which}-url", known)
        member = given.member
        if member is None and "member" in self.plugins[system].options:
            member = self._member(name)
        side = Side(name, system, None if address == known else address, member or None)
        if self._loaded_token(side) is None:
            self.tokens[name] = self._token(side)
        return side

    def _loaded_token(self, side: Side) -> str | None:
        return revealed(self._config((side,)).connections[side.name].token)

    def _member(self, name: str, usual: str | None = None) -> str:
        question = (
            f"In whose name does syncd write in {name} (the e-mail or id of a member; empty: nothing is written)?"
        )
        return self.means.ask(question, usual or "") if self.means.ask else ""

    def _token(self, side: Side) -> str:
        if self.means.ask is None:
            raise ConfigInvalid(f"{variable_of(side.name)}: is not set; set it to the token of {side.name}, then run "
                                "`syncd init` again")  # fmt: skip
        return self.means.ask(f"Token of {side.name} (it is not shown)", hidden=True)

    def _asked(self, question: str, flag: str, usual: str | None = None) -> str:
        if self.means.ask is not None:
            return self.means.ask(question, usual)
        if usual is None:
            raise ConfigInvalid(f"{flag}: is needed; add it to `syncd init`")
        return usual

    async def _proven(self, side: Side) -> tuple[str, ...]:
        app = self._app((side,))
        lane = app.engine.lanes[side.name]
        try:
            with lane.road.calling(Priority.READ):
                await lane.connector.check()
                if side.member is not None and isinstance(lane.connector, Acts):
                    await lane.connector.member_id()
                return await _stage_words(lane)
        finally:
            for client in app.clients.values():
                await client.aclose()

    # both sides

    def joined(self, sides: tuple[Side, Side], wishes: Wishes) -> tuple[tuple[Side, ...], Joint]:
        """Both sides with their defaults and stage maps, and the pair between them."""
        joint = Joint(wishes.pair or f"{sides[0].name}_{sides[1].name}", sides[0].name, sides[1].name, {})
        joint = replace(joint, flows=self._flows(sides, joint, wishes.flows))
        screens = self.plugins[sides[1].system].facts.screens_by is not None
        joint = replace(joint, offered=self._offered(sides, joint), screens=screens)
        pair = self._app(sides, joint).world.pairs[0]
        mapped = [replace(side, proposal=self._proposal(pair, end)) for side, end in zip(sides, End, strict=True)]
        return tuple(self._with_defaults(mapped, pair, wishes.defaults)), joint

    def _flows(self, sides: tuple[Side, ...], joint: Joint, wished: Mapping[str, str]) -> dict[str, str]:
        flows = dict.fromkeys(PREFERRED, "off")
        for key, ways in PREFERRED.items():
            joint = replace(joint, flows=flows)
            before = self._mistakes(sides, joint)
            usual = next(way for way in ways if self._mistakes(sides, _with(joint, key, way)) <= before)
            flows[key] = wished.get(key) or self._asked(
                f"Which way do {key} flow (->, <-, <->, off)?", f"--{key}", usual
            )
        if set(flows.values()) == {"off"}:
            nothing = f"{joint.left} and {joint.right} have nothing to keep in step"
            raise ConfigInvalid(f"pairs.{joint.name}: {nothing}; run `syncd init` again with other systems")
        return flows

    def _offered(self, sides: tuple[Side, ...], joint: Joint) -> dict[str, str]:
        """What could flow besides, and is felt: remarks are made for people to read, files are sent."""
        offered = {}
        before = self._mistakes(sides, joint)
        for key, ways in OFFERED.items():
            possible = (way for way in ways if self._mistakes(sides, _with(joint, key, way)) <= before)
            if (way := next(possible, None)) is not None:
                offered[key] = way
        return offered

    def _mistakes(self, sides: tuple[Side, ...], joint: Joint) -> set[str]:
        return set(examine(self._config(sides, joint), self.plugins).errors)

    def _proposal(self, pair: Pair, end: End) -> Proposal:
        here, there = pair.at(end), pair.at(end.other)
        said = there.vocabulary.words["stage"].read.values() if pair.flows_to(Kind.APPLICATION, end) else ()
        lexicon = lexicon_of(mapping_of(system).get("stages", {}).get("read", {}) for system in self.plugins)
        return propose(self.words[here.name], here.vocabulary.words["stage"], said, lexicon)

    def _with_defaults(self, sides: list[Side], pair: Pair, wished: Mapping[tuple[str, str], str]) -> Iterator[Side]:
        missing = []
        for side in sides:
            given = {name: value for (connection, name), value in wished.items() if connection == side.name}
            further = []
            for kind, name, is_told in demands(pair, pair.end_of(side.name)):
                if name in given or name in further:
                    continue
                if answer := self._default(side, kind, name, is_told=is_told):
                    given[name] = answer
                elif is_told:
                    further.append(name)
                else:
                    why = f"{side.name} demands the {spelled(name)} of each {kind}, which the other side never tells"
                    missing.append(f"--default {side.name}.{name}=…: is needed; {why}")
            yield replace(side, defaults=given, further=tuple(further))
        if missing:
            raise ConfigInvalid("\n".join(missing))

    def _default(self, side: Side, kind: Kind, name: str, *, is_told: bool) -> str:
        if self.means.ask is None:
            return ""
        why = "where the other side tells none (empty: such records are held)" if is_told else "for all"
        return self.means.ask(f"{side.name} demands the {spelled(name)} of each {kind}; what to write {why}?", "")

    # trying

    def _app(self, sides: tuple[Side, ...], joint: Joint | None = None) -> App:
        """The program on these: it can only read, and counts its calls in memory."""
        config, means = self._config(sides, joint), self.means
        return build(
            config, self.plugins, self.store, self.sealer, rng=means.rng, network=means.network, read_only=True
        )

    def _config(self, sides: tuple[Side, ...], joint: Joint | None = None) -> Config:
        """The config as far as it is known, with a store in memory; of connections that come later nothing is heard."""
        names = tuple(f"SYNCD_CONNECTIONS__{side.name.upper()}__" for side in sides)
        later = ("SYNCD_CONNECTIONS__", "SYNCD_PAIRS__", "SYNCD_SECRETS")
        environ = {
            name: value
            for name, value in self.means.environ.items()
            if name.startswith(names) or not name.startswith(later)
        }
        kept = {variable_of(side.name): token for side in sides if (token := self._kept_token(side)) is not None}
        return _loaded(config_text(sides, joint), {**kept, **environ, **self._overlay(sides), **self._trial})

    def _kept_token(self, side: Side) -> str | None:
        folder = Path(self.means.environ.get(f"{configs.PREFIX}SECRETS") or configs.SECRETS_FOLDER)
        file = folder / secret_file_of(side.name)
        return configs.secret_file(file) if file.is_file() else None

    def _overlay(self, sides: Iterable[Side]) -> dict[str, str]:
        return {variable_of(side.name): self.tokens[side.name] for side in sides if side.name in self.tokens}

    # keeping

    def kept(self, sides: Iterable[Side], secrets: Path | None) -> dict[str, str]:
        """Put the tokens where they shall be; the variables that lead there."""
        if secrets is None:
            return self._overlay(sides)
        for side in sides:
            token = revealed(self._config((side,)).connections[side.name].token)
            _keep(secrets, secret_file_of(side.name), token or "")
        return {"SYNCD_SECRETS": str(secrets)}


def _loaded(text: str, environ: Mapping[str, str]) -> Config:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.toml"
        file.write_text(text, "utf-8")
        nowhere = {} if "SYNCD_SECRETS" in environ else {"SYNCD_SECRETS": folder}
        return configs.load(file, {**environ, **nowhere})


def _with(joint: Joint, key: str, way: str) -> Joint:
    return replace(joint, flows={**joint.flows, key: way})


def _placed(side: Side, error: SyncdError) -> str:
    told, place = str(error), f"connections.{side.name}"
    return told if told.startswith(place) else f"{place}: {told}"


async def _stage_words(lane: Lane) -> tuple[str, ...]:
    words = await lane.connector.stages(None) if isinstance(lane.connector, Pipelines) else ()
    return tuple(dict.fromkeys((*words, *lane.connection.facts.words)))


# --- writing --------------------------------------------------------------------------------------------------------


def _write(file: Path, text: str) -> None:
    """Let the file appear whole, and never over another one."""
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as made:
        made.write(text.encode())
        made.flush()
        os.fsync(made.fileno())
    whole = Path(made.name)
    try:
        whole.chmod(0o644)
        os.link(whole, file)
    except FileExistsError:
        _refuse_existing(file)
    except OSError as error:
        raise ConfigInvalid(f"{file}: the file cannot be written: {error.strerror}") from error
    finally:
        whole.unlink()


def _keep(folder: Path, name: str, token: str) -> None:
    file = folder / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(token + "\n")
    except FileExistsError:
        if file.read_text("utf-8").strip() != token:
            raise ConfigInvalid(f"{file}: holds another token; remove the file, then run `syncd init` again") from None
    except OSError as error:
        raise ConfigInvalid(f"{file}: the token cannot be kept there: {error.strerror}") from error
