"""What a token may still do: the log of its calls against several limits at once. Pure: time comes in.

A call reaches its server at an instant that nobody here knows, somewhere between sending and answer. So a slot counts
until *answered + window*, or until *sent + timeout + window* when no answer came. A later call that takes a freed slot
is sent, and so arrives, more than a window after the earlier one arrived. Were there ever more than N arrivals in one
half-open stretch of a window's length, then the one reserved last would have found N slots counted. Hence no stretch
holds more than N: neither a rolling window, nor a fixed one however it is aligned, and it matters not which of the two
a server counts (Workable's documents say rolling, recordings of it show windows aligned to the epoch).

Days are counted by the calendar of a named zone. A call near midnight counts for both days, since the server's clock
may be ahead of ours or behind.

Times that come in and go out are seconds since the epoch by the caller's clock. Inside, the log keeps a *store time*
that runs along with that clock but never moves back, so a clock that is set back frees no slot twice.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import IntEnum
from zoneinfo import ZoneInfo

import orjson

from syncd.errors import ConfigInvalid

MOST_CALLS = 10_000  # in one rolling window: the log holds an entry for each
LONG_WINDOW_S = 600.0  # from here on a spent window is a lost afternoon: a tenth is kept for look-ups
SKEW_S = 300.0  # how far a server's midnight may lie from ours
DRIFT = 1e-4  # of a window: how much a server's clock may run slower than ours
GRAIN_S = 0.001  # servers count in milliseconds
LONGEST_BLOCK_S = 86_400.0  # a Retry-After beyond a day is not believed: ask once more after a day
SHORTEST_BLOCK_S = 0.5
UNTOLD_BLOCK_S = 10.0  # the first block after a 429 without Retry-After where no window says better
RAISE_S = 1_200.0  # seconds in which what is assumed rises from nothing to the whole limit
LEARNT_S = 3_600.0  # how long a lower limit is believed after a header last told it
DAYS_KEPT = 3
EVEN_PACE = (
    1.1  # of the time in which an even pace frees the kept slots; more makes writes wait, less leaves calls unused
)


class Priority(IntEnum):
    """Whose turn it is, from first to last."""

    LOOKUP = 0  # after a lost answer: did the write take effect?
    WRITE = 1  # writes, and the reads that belong to them
    READ = 2  # records that are marked to be read again
    BULK = 3  # walks


FOREIGN = len(Priority)  # where calls of others on the same token are counted
_NOTHING = (0,) * (FOREIGN + 1)
_A_DAY = timedelta(days=1)


# --- rules ----------------------------------------------------------------------------------------------------------

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ROLLING = re.compile(r"([0-9]{1,9})/([0-9]{1,6})(ms|s|m|h|d)")
_DAILY = re.compile(r"([0-9]{1,9})/day@(\S+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """``calls`` in any ``window_s`` seconds; with a ``zone``, on each calendar day there. ``text``: as configured."""

    calls: int
    window_s: float
    zone: str | None = None
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.text or (f"{self.calls}/day@{self.zone}" if self.zone else f"{self.calls}/{self.window_s:g}s")


def parse_rules(texts: Iterable[str]) -> tuple[Rule, ...]:
    """Rules from texts such as ``10/10s``, ``60/1m``, ``100/day@UTC``; raises ``ConfigInvalid`` with one sentence."""
    return tuple(_parse(text.strip()) for text in texts)


def _parse(text: str) -> Rule:
    if match := _ROLLING.fullmatch(text):
        rule = Rule(int(match[1]), int(match[2]) * _UNITS[match[3]], text=text)
    elif match := _DAILY.fullmatch(text):
        rule = Rule(int(match[1]), 86400.0, match[2], text)
        _known_zone(rule)
    else:
        raise ConfigInvalid(
            f'the limit "{text}" is not understood: write calls per window, as in "10/10s", "60/1m" or "100/day@UTC"'
        )
    if rule.calls < 1 or rule.window_s <= 0:
        raise ConfigInvalid(f'the limit "{text}" allows nothing: calls and window must be at least 1')
    if rule.zone is None and rule.calls > MOST_CALLS:
        raise ConfigInvalid(f'the limit "{text}" is too large: at most {MOST_CALLS} calls fit one rolling window')
    return rule


def _known_zone(rule: Rule) -> None:
    try:
        _zone(rule.zone)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigInvalid(f'the limit "{rule}" names no known time zone: write one such as UTC') from error


def _zone(name: str | None) -> tzinfo:
    # UTC must not need the machine's zone files, which slim images lack.
    return UTC if name in (None, "UTC") else ZoneInfo(name)


def most_at_once(rules: Sequence[Rule]) -> int:
    """How many calls can be reserved together at all; 0: no rule, any number."""
    return min((rule.calls for rule in rules), default=0)


# --- the log --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One call in the log, in store time. ``answered_at`` None: no answer yet, or never. ``kind``: whose call."""

    id: int
    sent_at: float
    answered_at: float | None
    timeout_s: float
    kind: int


@dataclass(frozen=True, slots=True)
class Log:
    """All that is known about a token's calls; a value, made anew by each change, and kept as JSON.

    ``days``: calls counted per ``date@zone``, by kind. ``high`` is the store time of the last change and ``ahead_s``
    what is added to the caller's clock to get store time. ``lowered``: by rule, the lower limit that headers told and
    when it was last told. ``share`` of each limit was assumed safe at ``share_at`` (see ``refused``).
    """

    entries: tuple[Entry, ...] = ()
    days: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    blocked_until: float = 0.0
    lowered: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    share: float = 1.0
    share_at: float = 0.0
    refusals: int = 0
    high: float = 0.0
    ahead_s: float = 0.0
    next_id: int = 1

    def to_json(self) -> str:
        """The log as one line of JSON."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values["entries"] = [(e.id, e.sent_at, e.answered_at, e.timeout_s, e.kind) for e in self.entries]
        return orjson.dumps(values).decode()

    @classmethod
    def from_json(cls, text: str) -> "Log":
        """The log from ``to_json``; from an empty text an empty log."""
        if not text:
            return cls()
        values = orjson.loads(text)
        values["entries"] = tuple(Entry(*entry) for entry in values["entries"])
        values["days"] = {key: tuple(counts) for key, counts in values["days"].items()}
        values["lowered"] = {rule: (told[0], told[1]) for rule, told in values["lowered"].items()}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to one call. It must be sent and answered, or have failed, before ``expires_at`` (caller's clock)."""

    id: int
    kind: Priority
    expires_at: float
    days: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """No slot now. ``until``: the earliest time at which to ask again. ``rule`` None: the token is blocked."""

    until: float
    rule: Rule | None


def _ticked(log: Log, now: float) -> Log:
    """The log at a later store time, never an earlier one: if the clock was set back, store time runs on from here."""
    at = now + log.ahead_s
    return replace(log, high=at) if at >= log.high else replace(log, ahead_s=log.high - now)


def _frees_at(entry: Entry, rule: Rule) -> float:
    """Store time from which the call surely counts no more in the rule's window at the server."""
    over = entry.sent_at + entry.timeout_s if entry.answered_at is None else entry.answered_at
    return over + _spell(rule)


def _spell(rule: Rule) -> float:
    return rule.window_s * (1 + DRIFT) + GRAIN_S


FreesAt = Callable[[Entry, Rule], float]


def _pruned(log: Log, rules: Sequence[Rule]) -> Log:
    longest = max((rule for rule in rules if rule.zone is None), key=lambda rule: rule.window_s, default=Rule(1, 0.0))
    entries = tuple(entry for entry in log.entries if _frees_at(entry, longest) > log.high)
    days = dict(sorted(log.days.items())[-DAYS_KEPT * max(1, len(rules)) :])
    return replace(log, entries=entries, days=days)


def _limit(log: Log, rule: Rule) -> int:
    """What is assumed of the rule now: never more than configured."""
    told, told_at = log.lowered.get(str(rule), (rule.calls, 0.0))
    limit = min(rule.calls, told) if log.high < told_at + LEARNT_S else rule.calls
    return limit if rule.zone else max(1, math.floor(limit * _share(log)))


def _share(log: Log) -> float:
    return min(1.0, log.share + max(0.0, log.high - log.share_at) / RAISE_S)


# --- reserving ------------------------------------------------------------------------------------------------------


def reserve(
    log: Log,
    rules: Sequence[Rule],
    now: float,
    *,
    calls: int = 1,
    priority: Priority = Priority.READ,
    timeout_s: float,
    owed: bool = False,
) -> tuple[Log, tuple[Ticket, ...] | Wait]:
    """Take ``calls`` slots together under all rules, or say until when to wait.

    ``timeout_s``: seconds from now within which the calls will have been answered or have failed. ``owed``: the class
    was passed over long enough (see ``whose_turn``) to take slots of a rolling window that are kept for others.
    """
    assert 1 <= calls <= most_at_once(rules), "more calls than a rule allows can never be reserved together"
    log = _pruned(_ticked(log, now), rules)
    ask = _Ask(calls, priority, timeout_s, owed)
    if wait := _refusal(log, rules, now, ask):
        return log, wait
    return _taken(log, rules, now, ask)


@dataclass(frozen=True, slots=True)
class _Ask:
    calls: int
    priority: Priority
    timeout_s: float
    owed: bool


def _refusal(log: Log, rules: Sequence[Rule], now: float, ask: _Ask) -> Wait | None:
    if log.blocked_until > log.high:
        return _wait(log, now, log.blocked_until, None)
    if all(_opens(log, rule, now, ask, _frees_at) <= log.high for rule in rules):
        return None
    # A call in flight counts till its timeout, but its answer may come any moment: look again when it could be free.
    until, rule = max(
        ((_opens(log, rule, now, ask, _could_free_at(log)), rule) for rule in rules), key=lambda found: found[0]
    )
    return _wait(log, now, until, rule)


def _wait(log: Log, now: float, until: float, rule: Rule | None) -> Wait:
    return Wait(max(until - log.ahead_s, now + GRAIN_S), rule)


def _could_free_at(log: Log) -> FreesAt:
    """As ``_frees_at``, were all calls in flight answered now."""
    return lambda entry, rule: _frees_at(
        entry if entry.answered_at is not None else replace(entry, answered_at=log.high), rule
    )


def _taken(log: Log, rules: Sequence[Rule], now: float, ask: _Ask) -> tuple[Log, tuple[Ticket, ...]]:
    ids = range(log.next_id, log.next_id + ask.calls)
    days = tuple(_key(rule, day) for rule, day in _days_touched(rules, now, ask.timeout_s))
    entries = tuple(Entry(id_, log.high, None, ask.timeout_s, ask.priority) for id_ in ids)
    log = replace(log, entries=log.entries + entries, next_id=ids.stop)
    tickets = tuple(Ticket(id_, ask.priority, now + ask.timeout_s, days) for id_ in ids)
    return _counted(log, days, ask.priority, ask.calls), tickets


def _opens(log: Log, rule: Rule, now: float, ask: _Ask, frees_at: FreesAt) -> float:
    """The store time from which the rule lets the calls through; 0: at once."""
    if rule.zone is not None:
        at = _day_opens(log, rule, now, ask)
        return at + log.ahead_s if at > now else 0.0
    frees = _busy_until(log, rule, frees_at)
    kept = 0 if ask.owed else _kept(rule, ask.priority)
    patience_s = EVEN_PACE * kept * rule.window_s / rule.calls
    limit = max(_limit(log, rule), ask.calls)
    # Slots kept for others may be taken where as many will be free again as soon as an even pace would bring them:
    # so a burst of walks holds back, and yet nothing is lost in the long run.
    spare = _free_slots_at(frees, limit, min(limit, ask.calls + kept)) - patience_s
    return max(_free_slots_at(frees, limit, ask.calls), spare)


def _busy_until(log: Log, rule: Rule, frees_at: FreesAt) -> list[float]:
    return sorted(at for entry in log.entries if (at := frees_at(entry, rule)) > log.high)


def _free_slots_at(frees: Sequence[float], limit: int, slots: int) -> float:
    """When so many slots are free, given when each of those in use gets free (sorted)."""
    busy = len(frees) - (limit - slots)
    return frees[busy - 1] if busy > 0 else 0.0


def _kept(rule: Rule, priority: Priority) -> int:
    """Slots of a rule that a class leaves to the classes before it."""
    lookups = 0 if rule.window_s <= LONG_WINDOW_S or priority is Priority.LOOKUP else rule.calls // 10
    if priority is not Priority.BULK:
        return lookups
    # A write needs two calls, the read before it and itself.
    return lookups + (rule.calls // 5 if rule.calls < 10 or rule.zone else max(2, rule.calls // 10))


# --- days -----------------------------------------------------------------------------------------------------------


def _day_opens(log: Log, rule: Rule, now: float, ask: _Ask) -> float:
    """The time (caller's clock) from which the days that the calls count for have room."""
    at = now
    for _ in range(2 * DAYS_KEPT):
        later = _day_refuses(log, rule, at, ask)
        if later is None:
            break
        at = max(later, math.nextafter(at, math.inf))
    return at


def _day_refuses(log: Log, rule: Rule, at: float, ask: _Ask) -> float | None:
    """None: a call sent at ``at`` may go. Else when to look again."""
    for _, day in _days_touched([rule], at, ask.timeout_s):
        counts = log.days.get(_key(rule, day), _NOTHING)
        if sum(counts) + ask.calls + _kept_of_day(rule, ask.priority, counts) > max(_limit(log, rule), ask.calls):
            return _begins(rule, day + _A_DAY) + SKEW_S
    if ask.priority is Priority.BULK and not ask.owed:
        return _pace_opens(log, rule, at, ask.calls)
    return None


def _kept_of_day(rule: Rule, priority: Priority, counts: Sequence[int]) -> int:
    """Calls of the day that the class must leave: the rest of what is set aside for the others."""
    if priority is Priority.LOOKUP:
        return 0
    lookups = max(0, rule.calls // 10 - counts[Priority.LOOKUP])
    if priority is Priority.BULK:
        return lookups + max(0, rule.calls // 5 - counts[Priority.WRITE] - counts[Priority.READ])
    return lookups + max(0, rule.calls // 10 - counts[Priority.BULK])


def _pace_opens(log: Log, rule: Rule, at: float, calls: int) -> float | None:
    """Walks may take half of their day's calls at once, and the other half evenly over the day."""
    day = _day(rule, at)
    due = _pace(rule, day, log.days.get(_key(rule, day), _NOTHING)[Priority.BULK] + calls)
    return due if due > at else None


def _pace(rule: Rule, day: date, number: int) -> float:
    """When the day's walk call of this number (from 1) is due."""
    share = rule.calls - _kept(rule, Priority.BULK)
    begins, ends = _begins(rule, day), _begins(rule, day + _A_DAY)
    return begins + (ends - begins) * max(0.0, 2 * (number - 1) / share - 1)


def _days_touched(rules: Sequence[Rule], at: float, timeout_s: float) -> list[tuple[Rule, date]]:
    """The days, one rule per zone, that a call sent now may count for at the server."""
    zones = {rule.zone: rule for rule in rules if rule.zone is not None}
    spells = ((rule, _day(rule, at - SKEW_S), _day(rule, at + timeout_s + SKEW_S)) for rule in zones.values())
    return [(rule, day) for rule, first, last in spells for day in dict.fromkeys((first, last))]


def _day(rule: Rule, at: float) -> date:
    return datetime.fromtimestamp(at, _zone(rule.zone)).date()


def _begins(rule: Rule, day: date) -> float:
    return datetime.combine(day, time(), _zone(rule.zone)).timestamp()


def _key(rule: Rule, day: date) -> str:
    return f"{day.isoformat()}@{rule.zone}"


def _counted(log: Log, days: Iterable[str], kind: int, calls: int) -> Log:
    """The log with so many calls more (or fewer) on each of the days."""
    counts = {key: list(log.days.get(key, _NOTHING)) for key in days}
    for of_day in counts.values():
        of_day[kind] = max(0, of_day[kind] + calls)
    return replace(log, days={**log.days, **{key: tuple(of_day) for key, of_day in counts.items()}})


# --- what came of it ------------------------------------------------------------------------------------------------


def answered(log: Log, ticket: Ticket, now: float) -> Log:
    """The call's answer has come (any answer: it was counted there)."""
    log = _ticked(log, now)
    known = {entry.id: entry for entry in log.entries}
    entry = known.get(ticket.id, Entry(ticket.id, log.high, None, 0.0, ticket.kind))
    known[ticket.id] = replace(entry, answered_at=log.high)
    return replace(log, entries=tuple(known.values()))


def given_back(log: Log, tickets: Iterable[Ticket]) -> Log:
    """These calls were never sent: their slots are free at once. A call without an answer is no such call."""
    for ticket in tickets:
        left = tuple(entry for entry in log.entries if entry.id != ticket.id)
        if len(left) < len(log.entries):
            log = _counted(replace(log, entries=left), ticket.days, ticket.kind, -1)
    return log


def told(
    log: Log,
    rules: Sequence[Rule],
    now: float,
    *,
    remaining: int,
    limit: int | None = None,
    reset_at: float | None = None,
) -> Log:
    """An answer's headers tell what is left; this only ever lowers what we take.

    Calls that the server counts and we do not are somebody else's on the same token: they are entered as such. A lower
    limit than configured is believed for an hour after it was last told.
    """
    log = _ticked(log, now)
    reset_s = None if reset_at is None else max(0.0, reset_at - now)
    rule = _meant(rules, limit, reset_s)
    if rule is None:
        return log
    used = _used(log, rule, now)
    foreign = _limit(log, rule) - used - max(0, remaining)
    if limit is not None:
        foreign = min(foreign, limit - used - max(0, remaining))
    if limit is not None and 0 < limit < rule.calls and (reset_s is None or reset_s >= rule.window_s / 2):
        log = _lowered(log, rule, limit)
    if limit is not None and limit < rule.calls and remaining <= 0 and reset_s is not None:
        log = _blocked(log, min(reset_s, 2 * rule.window_s))
    return _foreign(log, rule, now, reset_at, max(0, foreign))


def _meant(rules: Sequence[Rule], limit: int | None, reset_s: float | None) -> Rule | None:
    """The rule that a server's headers speak of: the one of that limit, else by how far away its reset is."""
    by_window = sorted(rules, key=lambda rule: rule.window_s)
    exact = [rule for rule in by_window if rule.calls == limit]
    far = [rule for rule in by_window if reset_s is not None and rule.window_s >= reset_s / 2]
    return next(iter(exact or far or by_window), None)


def _lowered(log: Log, rule: Rule, limit: int) -> Log:
    told_before, told_at = log.lowered.get(str(rule), (rule.calls, 0.0))
    lowest = min(limit, told_before) if log.high < told_at + LEARNT_S else limit
    # A higher limit than the one believed neither raises it nor keeps it alive.
    at = log.high if limit <= lowest else told_at
    return replace(log, lowered={**log.lowered, str(rule): (lowest, at)})


def _foreign(log: Log, rule: Rule, now: float, reset_at: float | None, calls: int) -> Log:
    if rule.zone is not None:
        days = [day for _, day in _days_touched([rule], now, 0.0)]
        if len(days) > 1 and reset_at is not None:
            days = [_day(rule, reset_at - 1.0)]
        # Near midnight, who knows which day the server speaks of?
        return _counted(log, [_key(rule, days[0])], FOREIGN, calls) if len(days) == 1 else log
    ids = range(log.next_id, log.next_id + calls)
    entries = tuple(Entry(id_, log.high, log.high, 0.0, FOREIGN) for id_ in ids)
    return replace(log, entries=log.entries + entries, next_id=ids.stop)


def refused(log: Log, rules: Sequence[Rule], now: float, retry_after_s: float | None = None) -> Log:
    """A 429 came: block the token, and where rules should have prevented it, assume less for a while.

    Somebody else uses the token, or the rules are wrong. What is assumed rises again slowly (``RAISE_S``). Refusals of
    one burst count once; without Retry-After each further one doubles the block.
    """
    log = _ticked(log, now)
    if log.blocked_until > log.high:
        return _blocked(log, retry_after_s or 0.0)
    refusals = log.refusals + 1 if log.high - log.share_at < RAISE_S / 2 else 1
    log = replace(log, share=max(0.2, 0.7 * _share(log)), share_at=log.high, refusals=refusals)
    return _blocked(log, _untold_block_s(rules, refusals) if retry_after_s is None else retry_after_s)


def _untold_block_s(rules: Sequence[Rule], refusals: int) -> float:
    shortest = min((rule.window_s for rule in rules if rule.zone is None), default=UNTOLD_BLOCK_S)
    return float(min(shortest * 2 ** min(refusals - 1, 10), 3600.0))


def _blocked(log: Log, seconds: float) -> Log:
    until = log.high + min(max(seconds, SHORTEST_BLOCK_S), LONGEST_BLOCK_S)
    return replace(log, blocked_until=max(log.blocked_until, until))


# --- whose turn -----------------------------------------------------------------------------------------------------

PATIENCE = 9  # calls: so each class gets at least a tenth


@dataclass(frozen=True, slots=True)
class Turns:
    """Per class, how many calls of classes before it were let through while it waited."""

    passed: tuple[int, ...] = (0,) * len(Priority)

    def whose(self, waiting: Mapping[Priority, int]) -> Priority:
        """The class to be served next, of those waiting (class → calls that its first one wants)."""
        return max((late for late in waiting if self._owed(late, waiting)), default=min(waiting))

    def _owed(self, late: Priority, waiting: Mapping[Priority, int]) -> bool:
        before = [calls for priority, calls in waiting.items() if priority < late]
        return bool(before) and self.passed[late] + max(before) > PATIENCE

    def after(self, served: Priority, calls: int, waiting: Iterable[Priority]) -> "Turns":
        """The turns once ``served`` was let through while ``waiting`` still wait."""
        passed = list(self.passed)
        for late in waiting:
            passed[late] += calls if late > served else 0
        passed[served] = 0
        return Turns(tuple(passed))


# --- telling --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a rule is used now. ``frees_at``: when the next slot gets free (caller's clock), if any is in use."""

    rule: Rule
    used: int
    limit: int
    frees_at: float | None

    @property
    def remaining(self) -> int:
        """Calls that the rule still allows."""
        return max(0, self.limit - self.used)


def usage(log: Log, rules: Sequence[Rule], now: float) -> tuple[Usage, ...]:
    """What each rule has used and allows now."""
    log = _ticked(log, now)
    return tuple(Usage(rule, _used(log, rule, now), _limit(log, rule), _next_free(log, rule, now)) for rule in rules)


def _used(log: Log, rule: Rule, now: float) -> int:
    if rule.zone is not None:
        return sum(log.days.get(_key(rule, _day(rule, now)), _NOTHING))
    return len(_busy_until(log, rule, _frees_at))


def _next_free(log: Log, rule: Rule, now: float) -> float | None:
    if _used(log, rule, now) == 0:
        return None
    if rule.zone is not None:
        return _begins(rule, _day(rule, now) + _A_DAY)
    return _busy_until(log, rule, _frees_at)[0] - log.ahead_s


def blocked_until(log: Log, now: float) -> float | None:
    """Until when (caller's clock) the token is blocked; None: it is not."""
    log = _ticked(log, now)
    return log.blocked_until - log.ahead_s if log.blocked_until > log.high else None


def forecast(
    log: Log,
    rules: Sequence[Rule],
    now: float,
    calls: int,
    *,
    priority: Priority = Priority.WRITE,
    latency_s: float = 0.2,
) -> float:
    """Seconds until the last of so many calls can have been sent, if nobody else asks. An estimate for people."""
    if calls < 1:
        return 0.0
    log = _ticked(log, now)
    ends = [_rolling_ends if rule.zone is None else _days_end for rule in rules]
    lasts = [end(log, rule, now, calls, priority, latency_s) for end, rule in zip(ends, rules, strict=True)]
    return max(0.0, log.blocked_until - log.high, *lasts)


def _rolling_ends(log: Log, rule: Rule, now: float, calls: int, priority: Priority, latency_s: float) -> float:
    limit = _limit(log, rule)
    frees = [at - log.high for at in _busy_until(log, rule, _could_free_at(log))]
    slots = sorted([0.0] * (limit - len(frees)) + frees)[-limit:]
    rounds, slot = divmod(calls - 1, limit)
    return slots[slot] + rounds * (_spell(rule) + latency_s)


def _days_end(log: Log, rule: Rule, now: float, calls: int, priority: Priority, latency_s: float) -> float:
    day = _day(rule, now)
    counts = log.days.get(_key(rule, day), _NOTHING)
    room = max(0, rule.calls - sum(counts) - _kept_of_day(rule, priority, counts))
    number = counts[Priority.BULK] + calls
    if calls > room:
        days, number = divmod(calls - room - 1, rule.calls - _kept_of_day(rule, priority, _NOTHING))
        day, number = day + (1 + days) * _A_DAY, number + 1
    last = _pace(rule, day, number) if priority is Priority.BULK else _begins(rule, day)
    return max(0.0, last - now)
