"""The command line: ``syncd [--config FILE] COMMAND``.

Exit codes: 0 done, 1 something is held, failed or left, 2 the configuration or the command line is wrong. Answers go to
stdout, as text or with ``--json`` for programs; progress, the log and errors go to stderr. This is the outermost edge:
here alone the wall clock, the system's entropy and the terminal come in.
"""

import asyncio
import contextlib
import os
import random
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import sqlalchemy as sa
import typer
import typer.core
from rich.console import Console

from syncd import audit_text, copies, decide, figures, handover, logs, look, memory, pushgateway, tell, textfile
from syncd import config as configs
from syncd import forget as forgetting
from syncd.app import (
    VERSION,
    App,
    Network,
    build,
    build_world,
    load_plugins,
    open_for_reading,
    open_store,
    ownership_of,
    prove_key,
    sealer_of,
    store_url,
    systems,
)
from syncd.clock import Clock, WallClock
from syncd.commands import run_command
from syncd.connector import Plugin
from syncd.crosscheck import examine
from syncd.demo import demo as run_demo
from syncd.errors import ConfigInvalid, SyncdError
from syncd.init import Given, Means, Wishes
from syncd.init import init as make_config
from syncd.metrics import Figures
from syncd.outage import outage_of
from syncd.play import play
from syncd.sealing import Sealer
from syncd.serve import serve as serve_daemon
from syncd.settings import Config, did_you_mean, parse_interval
from syncd.setup import World
from syncd.store import Store, open_engine

T = TypeVar("T")
DONE, NOT_ALL, WRONG = 0, 1, 2
INTERRUPTED = 130  # what Typer makes of Ctrl-C
log = logs.logger("syncd")


def _rng() -> random.Random:
    return random.Random(os.urandom(32))  # noqa: S311  # ids and jitter; keys and nonces come from os.urandom itself


@dataclass
class Outside:
    """All that comes from outside the program; tests bring their own. ``run`` runs a coroutine to its end."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = field(default_factory=WallClock)
    rng: random.Random = field(default_factory=_rng)
    entropy: Callable[[int], bytes] = os.urandom
    network: Network = lambda name: None
    run: Callable[[Coroutine[Any, Any, Any]], Any] = asyncio.run
    asking: Callable[[], tell.Asks | None] = tell.asking
    file: Path | None = None

    def out(self) -> Console:
        """Where answers go."""
        return tell.console_on(sys.stdout, self.environ)

    def err(self) -> Console:
        """Where progress and errors go."""
        return tell.console_on(sys.stderr, self.environ)


app = typer.Typer(
    name="syncd",
    help="Keeps jobs, candidates and stage moves in step between hiring systems.",
    epilog="Exit codes: 0 done; 1 something is held, failed or left; 2 the configuration or the command line is wrong.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": tell.WIDTH},
)


class LinksGroup(typer.core.TyperGroup):
    """``syncd links ID`` means ``syncd links show ID``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the word in where it was left out."""
        is_named = bool(args) and (args[0] in self.commands or args[0] in {"-h", "--help"})
        return super().parse_args(ctx, args if is_named or not args else ["show", *args])


links_app = typer.Typer(
    cls=LinksGroup,
    help="Look up which records are the same thing (`syncd links ID`), or say so by hand.",
    short_help="What is linked with what; link or cut by hand.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(links_app, name="links")

webhooks_app = typer.Typer(
    help="The webhook addresses that the pairs need, registered at the systems.",
    short_help="Register webhook addresses, or withdraw them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(webhooks_app, name="webhooks")

Json = Annotated[
    bool, typer.Option("--json", help="Answer with JSON for programs. Times are seconds since 1970 (UTC).")
]
Id = Annotated[str, typer.Argument(help="Any id of any system (or an e-mail address).", metavar="ID")]


def main() -> None:
    """What the installed command runs."""
    memory.keep_private()
    sys.exit(run(sys.argv[1:], Outside()))


def run(arguments: list[str], outside: Outside) -> int:
    """Do one command line; the exit code. Every error ends as a sentence on stderr."""
    logs.configure(sys.stderr, outside.clock, level="warning")
    try:
        app(arguments, prog_name="syncd", obj=outside)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else NOT_ALL
        return _failed(outside, _STOPPED) if code == INTERRUPTED else code
    except ConfigInvalid as error:
        return _failed(outside, str(error), WRONG)
    except SyncdError as error:
        return _failed(outside, str(error))
    except Exception as error:
        if (why := outage_of(error)) is not None:
            return _failed(outside, f"store.url: the database cannot be used now: {why}")
        log.exception("This is a bug in syncd.", action="bug")  # told by type and place, without any value
        return _failed(outside, f"syncd failed ({type(error).__name__}): this is a bug; the lines above say where.")
    return DONE


_STOPPED = "Stopped. What was written is kept; run it again to go on."


def _failed(outside: Outside, text: str, code: int = NOT_ALL) -> int:
    tell.sentence(outside.err(), text, good=False)
    return code


@app.callback()
def root(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="The configuration [default: $SYNCD_CONFIG, else config.toml]."
        ),
    ] = None,
) -> None:
    """Keep jobs, candidates and stage moves in step between hiring systems."""
    ctx.obj = ctx.obj or Outside()
    ctx.obj.file = config


# --- what all commands share ----------------------------------------------------------------------------------------


def _load(outside: Outside, *, is_quiet: bool = True) -> tuple[Config, dict[str, Plugin]]:
    """The configuration, judged; and the log, which in a one-shot command tells nothing but trouble."""
    config, plugins = configs.load(outside.file, outside.environ), load_plugins()
    level = "warning" if is_quiet and config.log.level == "info" else config.log.level
    logs.configure(sys.stderr, outside.clock, secrets=config.secrets(), level=level, form=config.log.form)
    examine(config, plugins).refuse()
    return config, plugins


def _do(outside: Outside, command: str, arguments: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Do a command that changes something: as the store's owner, or by asking the owner."""
    config, plugins = _load(outside)
    with tell.progress(outside.err(), what) as heard:
        done: dict[str, Any] = outside.run(_done(outside, config, plugins, command, arguments, heard))
    return done


async def _done(
    outside: Outside,
    config: Config,
    plugins: dict[str, Plugin],
    command: str,
    arguments: Mapping[str, Any],
    heard: Callable[[Mapping[str, Any]], None],
) -> dict[str, Any]:
    engine = open_engine(store_url(config))
    lock = ownership_of(config, engine)
    try:
        if not _taken(lock.take):
            return await handover.ask_owner(config, command, arguments, heard)
        made = _app(outside, config, plugins)
        try:
            await forgetting.replay(made)
            return await run_command(made, command, arguments, heard)
        finally:
            await made.close()
    finally:
        lock.release()
        engine.dispose()


def _taken(take: Callable[[], bool]) -> bool:
    try:
        return take()
    except OSError as error:
        raise ConfigInvalid(f"store.url: the store's folder cannot be used: {error.strerror}") from error
    except sa.exc.SQLAlchemyError as error:
        raise ConfigInvalid("store.url: the database does not answer") from error


def _app(outside: Outside, config: Config, plugins: dict[str, Plugin]) -> App:
    sealer = sealer_of(config, outside.entropy)
    store = open_store(config, outside.clock, sealer)
    return build(config, plugins, store, sealer, rng=outside.rng, network=outside.network)


def _ask(outside: Outside, question: Callable[..., T], *arguments: Any) -> T:
    """Answer a question from the store without changing anything; raises ``SyncdError`` where there is none yet."""
    config, plugins = _load(outside)
    store = open_for_reading(config, outside.clock)
    if store is None:
        raise SyncdError(_nothing_to_see(config))
    try:
        return store.run_now(question, _world(outside, config, plugins, store), *arguments)
    finally:
        store.close()


def _nothing_to_see(config: Config) -> str:
    path = config.store.sqlite_file
    if path is not None and path.exists():
        return f"{path} was made by another version of syncd; `syncd backfill` or `syncd serve` brings it up to date"
    return "there is nothing to look at yet; `syncd backfill` or `syncd serve` makes the store"


def _world(outside: Outside, config: Config, plugins: dict[str, Plugin], store: Store) -> World:
    path = config.store.key_path
    if path is not None and not path.exists():
        raise ConfigInvalid(f"store.key_file: {path} is missing; put back the file that the store was made with")
    sealer = sealer_of(config, outside.entropy)
    store.run_now(prove_key, sealer)
    return build_world(config, plugins, sealer)


def _answer(outside: Outside, facts: Any, show: Callable[[Console], None], *, as_json: bool, good: bool) -> None:
    """Print an answer and end with its exit code."""
    if as_json:
        sys.stdout.write(tell.as_json(facts) + "\n")
    else:
        show(outside.out())
    raise typer.Exit(DONE if good else NOT_ALL)


def _told(outside: Outside, facts: Mapping[str, Any], *, as_json: bool) -> None:
    _answer(outside, facts, lambda console: tell.sentence(console, facts["told"]), as_json=as_json, good=True)


# --- before and at the first run ------------------------------------------------------------------------------------

Text = str | None
Way = Annotated[Text, typer.Option(metavar="WAY", help='"->", "<-", "<->" or "off" [default: what is possible].')]
Left = Annotated[Text, typer.Option(metavar="SYSTEM", help="The system of record, often workable.")]
LeftName = Annotated[Text, typer.Option(metavar="NAME", help="What to call it here [default: the system].")]
LeftUrl = Annotated[Text, typer.Option(metavar="URL", help="Its address [default: the system's, if it has one].")]
LeftMember = Annotated[Text, typer.Option(metavar="WHO", help="In whose name to write there: an e-mail or id.")]
Right = Annotated[Text, typer.Option(metavar="SYSTEM", help="The other system.")]
RightName = Annotated[Text, typer.Option(metavar="NAME", help="As --left-name.")]
RightUrl = Annotated[Text, typer.Option(metavar="URL", help="As --left-url.")]
RightMember = Annotated[Text, typer.Option(metavar="WHO", help="As --left-member.")]
PairName = Annotated[Text, typer.Option(metavar="NAME", help="What to call the pair [default: both names].")]
Defaults = Annotated[
    list[str] | None,
    typer.Option("--default", metavar="NAME.FIELD=VALUE", help="What a system demands and the other lacks."),
]
SecretsDir = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Keep the tokens there, a file each, for your eyes only.")
]


@app.command(short_help="Write a configuration by asking.")
def init(
    ctx: typer.Context,
    *,
    left: Left = None,
    left_name: LeftName = None,
    left_url: LeftUrl = None,
    left_member: LeftMember = None,
    right: Right = None,
    right_name: RightName = None,
    right_url: RightUrl = None,
    right_member: RightMember = None,
    pair: PairName = None,
    jobs: Way = None,
    candidates: Way = None,
    applications: Way = None,
    default: Defaults = None,
    secrets_dir: SecretsDir = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; what is missing is told.")] = False,
) -> None:
    """Write a configuration by asking: prove both tokens, propose the stage map, and end with `syncd plan`.

    Tokens are typed unseen, or come from the environment (SYNCD_CONNECTIONS__NAME__TOKEN). None stands in the file.
    """
    ways = {"jobs": jobs, "candidates": candidates, "applications": applications}
    ends = Given(left, left_name, left_url, left_member), Given(right, right_name, right_url, right_member)
    flows = {key: way for key, way in ways.items() if way is not None}
    _init(ctx.obj, Wishes(*ends, pair, flows, dict(map(_default, default or ())), secrets_dir), asks=not yes)


def _init(outside: Outside, wishes: Wishes, *, asks: bool) -> None:
    file = outside.file or Path(outside.environ.get("SYNCD_CONFIG") or "config.toml")
    made = make_config(_means(outside, asks=asks), wishes, file)
    for sentence in made.told:
        tell.sentence(outside.out(), sentence)
    tell.sentence(outside.out(), "This is what `syncd backfill` would write (`syncd plan` tells it again):")
    _plan(replace(outside, environ=made.environ, file=file), {}, as_json=False)


def _means(outside: Outside, *, asks: bool) -> Means:
    say = partial(tell.sentence, outside.err())
    ask = outside.asking() if asks else None
    return Means(outside.environ, outside.clock, outside.rng, outside.entropy, outside.network, outside.run, say, ask)


def _default(text: str) -> tuple[tuple[str, str], str]:
    """A connection's field and its default, as typed."""
    place, is_said, value = text.partition("=")
    connection, dot, name = place.partition(".")
    if not (is_said and dot and connection and name):
        hint = f"{text!r} is no default; write for example --default screener.industry=Software"
        raise typer.BadParameter(hint, param_hint="--default")
    return (connection, name), value


@app.command(short_help="Prove the configuration; nothing is written.")
def check(
    ctx: typer.Context,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Do not read the lists to count what would be held.")] = False,
    as_json: Json = False,
) -> None:
    """Prove the configuration: tokens, members, stages, and what the systems demand. Writes nothing."""
    facts = _do(ctx.obj, "check", {"counts": not quick}, "checking")
    good = not facts["held"] and not facts["warnings"]
    good = good and not any(each["problems"] for each in facts["connections"])
    good = good and not any(pair["always"] for pair in facts["pairs"])
    _answer(ctx.obj, facts, lambda c: tell.check(c, facts, ctx.obj.clock.now()), as_json=as_json, good=good)


Pairs = Annotated[list[str] | None, typer.Option("--pair", help="Only this pair (again for more).", metavar="PAIR")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help="Only jobs, candidates or applications.", metavar="KIND")
]
Jobs = Annotated[
    list[str] | None,
    typer.Option("--job", help="Create only what belongs to this job: its id or shortcode.", metavar="JOB"),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", help='Create only what changed since: "30d", "2026-01-31", "2026-01-31T08:00Z".', metavar="WHEN"
    ),
]


@app.command(short_help="What a backfill would write; nothing is written.")
def plan(
    ctx: typer.Context,
    *,
    pair: Pairs = None,
    kind: Kinds = None,
    job: Jobs = None,
    since: Since = None,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Show people's data too: what would be written. On a terminal only.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell what a backfill would write, with how many calls, and how long that takes. Writes nothing."""
    if show_values and not sys.stdout.isatty():
        hint = "people's data is shown on a terminal only; leave the option out where the output goes elsewhere"
        raise typer.BadParameter(hint, param_hint="--show-values")
    scope = _scope(ctx.obj, pair, kind, job, since)
    _plan(ctx.obj, {**scope, "show_values": True} if show_values else scope, as_json=as_json)


def _plan(outside: Outside, scope: Mapping[str, Any], *, as_json: bool) -> None:
    facts = _do(outside, "plan", scope, "planning")
    good = not facts["held"] and not facts["until"]
    _answer(outside, facts, lambda c: tell.plan(c, facts, outside.clock.now()), as_json=as_json, good=good)


@app.command(short_help="Bring all in step once.")
def backfill(
    ctx: typer.Context,
    *,
    pair: Pairs = None,
    kind: Kinds = None,
    job: Jobs = None,
    since: Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done, as `plan`.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for budgets that open again, however long.")] = False,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Believe a side that is suddenly empty.")] = False,
    allow_large: Annotated[
        bool, typer.Option("--allow-large", help="Carry out a plan that is far larger than usual.")
    ] = False,
    metrics_file: Annotated[
        Path | None,
        typer.Option("--metrics-file", metavar="FILE", help="Write there how it went, for Prometheus's node_exporter."),
    ] = None,
    push_metrics: Annotated[
        str | None,
        typer.Option(
            "--push-metrics",
            metavar="URL",
            help="Push there how it went: a Prometheus Pushgateway, or a group in it [default: $SYNCD_PUSH_METRICS].",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring all in step once: read every list, match, and write until nothing is left. Stop it and go on at will."""
    outside: Outside = ctx.obj
    scope = _scope(outside, pair, kind, job, since)
    if dry_run:
        _plan(outside, scope, as_json=as_json)
    options = {"wait": wait, "allow_empty": allow_empty, "allow_large": allow_large}
    with _reporting(outside, metrics_file, push_metrics) as report:
        facts = _do(outside, "backfill", {**scope, **options}, "backfill")
        report(facts)
    good = not facts["held"] and not facts["left"] and not facts["until"]
    _answer(outside, facts, lambda c: tell.backfill(c, facts, outside.clock.now()), as_json=as_json, good=good)


@contextlib.contextmanager
def _reporting(
    outside: Outside, path: Path | None, gateway: str | None
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """While held, a backfill runs; file and gateway are told in the end how it went, if there are to be any."""

    def standing() -> Figures:
        try:
            return _ask(outside, figures.standing, outside.clock.now())
        except SyncdError:
            return {}  # there is no store yet, and the backfill itself says why

    told = []
    with contextlib.ExitStack() as held:
        if path is not None:
            file = textfile.reporting(path, outside.clock, version=VERSION, standing=standing)
            told.append(held.enter_context(file))
        if address := gateway or outside.environ.get("SYNCD_PUSH_METRICS"):
            warn = partial(tell.sentence, outside.err(), good=False)
            push = pushgateway.reporting(address, outside.clock, version=VERSION, standing=standing, warn=warn)
            told.append(held.enter_context(push))
        yield lambda facts: _each(told, facts)


def _each(told: Sequence[Callable[[Mapping[str, Any]], None]], facts: Mapping[str, Any]) -> None:
    for tell_ in told:
        tell_(facts)


def _scope(
    outside: Outside, pairs: list[str] | None, kinds: list[str] | None, jobs: list[str] | None, since: str | None
) -> dict[str, Any]:
    return {
        "pairs": pairs or [],
        "kinds": [_kind(name) for name in kinds or ()],
        "jobs": jobs or [],
        "since": None if since is None else moment(since, outside.clock.now()),
    }


def _kind(name: str) -> str:
    try:
        return decide.kind_of(name).value
    except SyncdError as error:
        raise typer.BadParameter(str(error), param_hint="--kind") from error


def moment(text: str, now: float) -> float:
    """A time that a person wrote, in seconds since the epoch: a spell before now, a date, or a date and time (UTC)."""
    try:
        return now - timedelta(seconds=parse_interval(text).seconds).total_seconds()
    except ValueError:
        pass
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        hint = f'{text!r} is no time; write for example "30d", "2026-01-31" or "2026-01-31T08:00Z"'
        raise typer.BadParameter(hint, param_hint="--since") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


# --- the daemon -----------------------------------------------------------------------------------------------------


@app.command(short_help="Run the daemon.")
def serve(ctx: typer.Context) -> None:
    """Run the daemon: keep all in step from now on, take webhooks, and serve the page and the metrics."""
    outside: Outside = ctx.obj
    config, plugins = _load(outside, is_quiet=False)
    console = outside.err()
    code = outside.run(
        serve_daemon(
            config,
            plugins,
            clock=outside.clock,
            rng=outside.rng,
            entropy=outside.entropy,
            network=outside.network,
            on_ready=lambda address: tell.sentence(console, f"syncd runs; its page: {address}/"),
            run_command=run_command,
        )
    )
    raise typer.Exit(code)


Name = Annotated[str | None, typer.Argument(help="A connection or a pair; left out: everything.", metavar="[NAME]")]


@app.command(short_help="Stop a connection, a pair or everything.")
def pause(ctx: typer.Context, name: Name = None, *, as_json: Json = False) -> None:
    """Stop a connection, a pair or everything. It stays stopped, over restarts too, until `resume`."""
    _told(ctx.obj, _do(ctx.obj, "pause", {"name": name}, "pausing"), as_json=as_json)


@app.command(short_help="Start it again.")
def resume(
    ctx: typer.Context,
    name: Name = None,
    *,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Believe that what the stopped side no longer lists is gone.")
    ] = False,
    allow_large: Annotated[
        bool, typer.Option("--allow-large", help="Carry out the plan that was far larger than usual.")
    ] = False,
    same_account: Annotated[
        bool, typer.Option("--same-account", help="Its new address is the same account's: ids mean what they meant.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start again what `pause`, a refused token or a guard has stopped."""
    arguments = {
        "name": name, "allow_empty": allow_empty, "allow_large": allow_large, "same_account": same_account
    }  # fmt: skip
    _told(ctx.obj, _do(ctx.obj, "resume", arguments, "resuming"), as_json=as_json)


Only = Annotated[str | None, typer.Option("--connection", help="Only this connection.", metavar="NAME")]


@webhooks_app.command("list", short_help="How they stand; nothing is changed.")
def webhooks_list(ctx: typer.Context, *, connection: Only = None, as_json: Json = False) -> None:
    """Read the systems' lists and tell which addresses are there and which are missing. Changes nothing."""
    _webhooks(ctx.obj, "list", connection, as_json=as_json)


@webhooks_app.command("register", short_help="Register what is missing, mend what is wrong.")
def webhooks_register(ctx: typer.Context, *, connection: Only = None, as_json: Json = False) -> None:
    """Register what is missing, mend what is wrong, withdraw what nobody needs. The daemon does so by itself."""
    _webhooks(ctx.obj, "register", connection, as_json=as_json)


@webhooks_app.command("remove", short_help="Withdraw all that are ours.")
def webhooks_remove(ctx: typer.Context, *, connection: Only = None, as_json: Json = False) -> None:
    """Withdraw all that are ours. The daemon leaves it so until `register`; addresses of others are never touched."""
    _webhooks(ctx.obj, "remove", connection, as_json=as_json)


def _webhooks(outside: Outside, act: str, connection: str | None, *, as_json: bool) -> None:
    facts = _do(outside, "webhooks", {"act": act, "connection": connection}, "asking the systems")
    good = tell.webhooks_are_good(facts)
    _answer(outside, facts, lambda console: tell.webhooks(console, facts), as_json=as_json, good=good)


# --- looking --------------------------------------------------------------------------------------------------------


@app.command(short_help="Is all in step?")
def status(ctx: typer.Context, *, as_json: Json = False) -> None:
    """Tell whether all is in step: links, lag, budgets, what waits and what is stopped."""
    facts = _ask(ctx.obj, look.status, ctx.obj.clock.now())
    _answer(ctx.obj, facts, lambda console: tell.status(console, facts), as_json=as_json, good=facts["in_step"])


@app.command(short_help="What waits for a person, and why.")
def held(
    ctx: typer.Context,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Show all, however many.")] = False,
    as_json: Json = False,
) -> None:
    """Show what waits for a person, why, and which command answers it."""
    holds, now = _ask(ctx.obj, look.held), ctx.obj.clock.now()
    show = partial(tell.held, holds=holds, now=now, everything=everything)
    _answer(ctx.obj, holds, show, as_json=as_json, good=not holds)


@app.command(short_help="Answer one of `held`.")
def resolve(
    ctx: typer.Context,
    hold: Annotated[int, typer.Argument(help="The number that `syncd held` shows.", metavar="NUMBER")],
    words: Annotated[
        list[str],
        typer.Argument(help="take left, take right, retry, drop, new, or link OTHER_ID", metavar="ANSWER"),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Answer one of `syncd held`.

    take left, take right: that end's value goes to the other. retry: try the write, or look at the record, again.
    drop: leave it as it is. link OTHER_ID: they are the same thing. new: it is none of those that look like it.
    """
    choice, other = _choice(words)
    _told(
        ctx.obj, _do(ctx.obj, "resolve", {"id": hold, "choice": choice, "other": other}, "answering"), as_json=as_json
    )


def _choice(words: list[str]) -> tuple[str, str | None]:
    match [word.lower() for word in words]:
        case ["take", "left" | "right"] | ["retry" | "drop" | "new"] as known:
            return " ".join(known), None
        case ["link", _]:
            return "link", words[1]
    hint = "say one of: take left, take right, retry, drop, new, link OTHER_ID"
    raise typer.BadParameter(hint, param_hint="ANSWER")


@links_app.command("show")
def links_show(ctx: typer.Context, id: Id, *, as_json: Json = False) -> None:  # noqa: A002  # the word of all systems
    """Show what a record is linked with, by any id of any system."""
    found = _ask(ctx.obj, look.links, id)
    _answer(ctx.obj, found, lambda console: tell.links(console, found, id), as_json=as_json, good=bool(found))


@links_app.command("add")
def links_add(
    ctx: typer.Context,
    pair: Annotated[str, typer.Argument(help="The pair.")],
    kind: Annotated[str, typer.Argument(help="job, candidate or application.")],
    left: Annotated[str, typer.Argument(help="The record's id at the pair's left.")],
    right: Annotated[str, typer.Argument(help="The record's id at the pair's right.")],
    *,
    as_json: Json = False,
) -> None:
    """Say that two records are the same thing."""
    arguments = {"pair": pair, "kind": _kind(kind), "left": left, "right": right}
    _told(ctx.obj, _do(ctx.obj, "links add", arguments, "linking"), as_json=as_json)


@links_app.command("cut")
def links_cut(
    ctx: typer.Context,
    link: Annotated[int, typer.Argument(help="The link's number, as `syncd links ID` tells it.")],
    *,
    as_json: Json = False,
) -> None:
    """Say that two linked records are not the same thing."""
    _told(ctx.obj, _do(ctx.obj, "links cut", {"link": link}, "cutting"), as_json=as_json)


@app.command(short_help="One record's story across systems.")
def explain(ctx: typer.Context, id: Id, *, as_json: Json = False) -> None:  # noqa: A002  # the word of all systems
    """Tell one record's story across systems: where it stands, what is unlike, what waits, and all that happened."""
    facts, now = _ask(ctx.obj, look.explain, id), ctx.obj.clock.now()
    good = bool(facts["records"])
    _answer(ctx.obj, facts, lambda console: tell.explain(console, facts, now), as_json=as_json, good=good)


@app.command(short_help="Read both ends anew and compare; mend what is wrong.")
def audit(
    ctx: typer.Context,
    *,
    pair: Pairs = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Put the store in order and let be read again what is unlike; see below."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Read both ends anew, compare all that is linked, and examine the store. Writes to no system.

    It finds what is unlike and no hold names, edits where a pair does not listen (drift), links whose records are gone,
    what should be linked and is not, and rows that no run leaves behind. --repair marks what is unlike to be read again
    and forgets what drifted fields had agreed on, so that the pair's rule decides; the daemon, or the next backfill,
    then brings it in step.
    """
    facts = _do(ctx.obj, "audit", {"pairs": pair or [], "repair": repair}, "auditing")
    good = audit_text.is_good(facts)
    _answer(ctx.obj, facts, lambda console: audit_text.audit(console, facts), as_json=as_json, good=good)


# --- people and keys ------------------------------------------------------------------------------------------------


@app.command(short_help="Erase a person here, tell what to erase where.")
def forget(
    ctx: typer.Context,
    email: Annotated[
        str | None,
        typer.Argument(
            help="Her e-mail address. Left out, or -: asked for unseen, or read from standard input. Typed here it "
            "stands in the shell's history and, for a moment, in the list of processes.",
            metavar="[EMAIL]",
        ),
    ] = None,
    *,
    allow: Annotated[bool, typer.Option("--allow", help="Let somebody who was erased be taken in again.")] = False,
    list_all: Annotated[bool, typer.Option("--list", help="List all erasures, by number and time.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a person here, and tell what is to be erased where by hand. She is not taken in again.

    The receipt names no person, so it may be kept as a proof. Exit code 1: something is left to be done by hand.
    """
    outside: Outside = ctx.obj
    if list_all:
        found = _ask(outside, forgetting.erasures)
        _answer(outside, found, lambda console: tell.erasures(console, found), as_json=as_json, good=True)
    config, _ = _load(outside)
    address = forgetting.sealed(_current(outside, config), _address(outside, email))
    facts = _do(outside, "forget", {"sealed": address, "allow": allow}, "erasing")["receipt"]
    if allow:
        _told(outside, facts, as_json=as_json)
    left = facts["by_hand"] or facts["under_way"] or facts["unknown"] or not facts["squeezed"]
    _answer(outside, facts, lambda console: tell.receipt(console, facts), as_json=as_json, good=not left)


def _current(outside: Outside, config: Config) -> Sealer:
    """The sealing by the key that the configuration has."""
    path = config.store.key_path
    if path is not None and not path.exists():
        raise SyncdError(_nothing_to_see(config))
    return sealer_of(config, outside.entropy)


def _address(outside: Outside, given: str | None) -> str:
    if given not in (None, "-"):
        text = str(given)
    elif (ask := outside.asking()) is not None:
        text = ask("Her e-mail address", hidden=True)
    else:
        text = sys.stdin.readline()
    if "@" not in text.strip():
        raise typer.BadParameter("this is no e-mail address", param_hint="EMAIL")
    return text.strip()


@app.command("rotate-key", short_help="Give the store another key.")
def rotate_key(
    ctx: typer.Context,
    *,
    new_key_file: Annotated[
        Path | None,
        typer.Option(
            "--new-key-file",
            metavar="FILE",
            help="Where the key stands in the configuration: the file that holds the new one; made if it is not there.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Give the store another key: all that is sealed is sealed anew. The key itself is never shown."""
    given = None if new_key_file is None else str(new_key_file.absolute())
    _told(ctx.obj, _do(ctx.obj, "rotate-key", {"new_key_file": given}, "sealing anew"), as_json=as_json)


# --- copies of the store --------------------------------------------------------------------------------------------


@app.command(short_help="Copy the database while all goes on.")
def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to; it must not be there yet.", metavar="FILE")],
    *,
    as_json: Json = False,
) -> None:
    """Copy the SQLite database, beside a running daemon too, and prove the copy sound. It says that it is a copy.

    Put it back in the database's place and start: all is then looked at anew before anything is written. The key is not
    in it: keep that elsewhere.
    """
    outside: Outside = ctx.obj
    config, _ = _load(outside)
    path = config.store.sqlite_file
    if path is None:
        raise SyncdError("PostgreSQL has its own tools (pg_dump); after putting a dump back, say `syncd restored`")
    if not path.exists():
        raise SyncdError(_nothing_to_see(config))
    facts = copies.copy_to(path, file, outside.clock.now())
    told = f"{facts['bytes']} bytes are in {facts['file']}, proven sound. The key is not in it."
    _answer(outside, facts, lambda console: tell.sentence(console, told), as_json=as_json, good=True)


@app.command(short_help="Say that the database is an older copy.")
def restored(ctx: typer.Context, *, as_json: Json = False) -> None:
    """Say that the database is an older copy, where syncd cannot notice it: on PostgreSQL, or on a disk put back whole.

    All is looked at anew before anything is written. What the copy wanted is asked about first; what cannot be taken
    back, and what two ends tell unlike, is held or decided by the pair's rule.
    """
    _told(ctx.obj, _do(ctx.obj, "restored", {}, "doubting"), as_json=as_json)


# --- playing --------------------------------------------------------------------------------------------------------


@app.command(short_help="Watch five played systems being kept in step.")
def demo(
    ctx: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="End when all agree, and print what happened.")] = False,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where the page is [default: 127.0.0.1:8080].")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, other people.", metavar="NUMBER")] = 1,
    as_json: Json = False,
) -> None:
    """Play five hiring systems with made-up people on this machine, and keep them in step through a working day.

    Nothing is installed, kept or sent anywhere. Open the printed address to watch.
    """
    logs.configure(sys.stderr, ctx.obj.clock, level="error")
    raise typer.Exit(run_demo(once=once, console=ctx.obj.out(), listen=listen, seed=seed, as_json=as_json))


@app.command(short_help="Play one system for your own tests.")
def sandbox(
    ctx: typer.Context,
    system: Annotated[str, typer.Argument(help=f"Which system to play: {', '.join(systems())}.")],
    *,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port on loopback; 0: any free one.")] = 0,
    empty: Annotated[bool, typer.Option("--empty", help="Begin without jobs and people.")] = False,
) -> None:
    """Play one system on this machine, with made-up jobs and people, for your own tests."""
    outside, plugins = ctx.obj, load_plugins()
    if system not in plugins:
        hint = f"{system!r} is not installed{did_you_mean(system, [*plugins])}"
        raise typer.BadParameter(hint, param_hint="SYSTEM")
    logs.configure(sys.stderr, outside.clock, level="warning")
    console = outside.out()
    say = partial(tell.sentence, console)
    outside.run(play(system, plugins[system], port=port, empty=empty, clock=outside.clock, rng=outside.rng, say=say))
