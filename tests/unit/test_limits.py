"""The budget's laws: whatever happens, no window of the server's ever holds more arrivals than its limit."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd import limits
from syncd.errors import ConfigInvalid
from syncd.limits import Log, Priority, Rule, Ticket, Turns, Wait, parse_rules, reserve
from tests.laws import examples

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC).timestamp()
DAY = 86400.0
TEN = parse_rules(["10/10s"])
HUNDRED = parse_rules(["100/day@UTC"])
TIMEOUT = 30.0


def taken(log, rules, now, **more):
    log, tickets = reserve(log, rules, now, timeout_s=TIMEOUT, **more)
    assert not isinstance(tickets, Wait), tickets
    return log, tickets


def used_up(log, rules, now, calls, **more):
    """So many calls sent and answered at once."""
    for _ in range(calls):
        log, (ticket,) = taken(log, rules, now, **more)
        log = limits.answered(log, ticket, now)
    return log


def waits(log, rules, now, **more):
    _, wait = reserve(log, rules, now, timeout_s=TIMEOUT, **more)
    assert isinstance(wait, Wait), "a slot was given"
    return wait


def room(log, rules, now, priority=Priority.LOOKUP):
    """How many single calls could be made now."""
    for count in range(1000):
        log, outcome = reserve(log, rules, now, timeout_s=TIMEOUT, priority=priority)
        if isinstance(outcome, Wait):
            return count
    raise AssertionError


# --- rules in the config --------------------------------------------------------------------------------------------


def test_rules_are_read_from_their_texts():
    rules = parse_rules(["10/10s", "100/day@UTC", "60/1m", "5/500ms", "7/day@Europe/Berlin"])
    assert rules == (
        Rule(10, 10.0),
        Rule(100, DAY, "UTC"),
        Rule(60, 60.0),
        Rule(5, 0.5),
        Rule(7, DAY, "Europe/Berlin"),
    )
    assert [str(rule) for rule in rules] == ["10/10s", "100/day@UTC", "60/1m", "5/500ms", "7/day@Europe/Berlin"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "10", "10/10", "10 per 10s", "0/10s", "10/0s", "-1/10s", "99999/1h", "10/10s\n10/10s"),
        *("100/day", "100/day@", "1/day@Nowhere/Town", "1/day@../etc/passwd", "1/day@Europe"),
    ],
)
def test_a_wrong_rule_is_told_in_one_sentence(text):
    with pytest.raises(ConfigInvalid) as told:
        parse_rules([text])
    assert str(told.value).startswith("the limit ")
    assert f'"{text}"' in str(told.value)


# --- slots ----------------------------------------------------------------------------------------------------------


def test_a_slot_counts_until_a_window_after_the_answer():
    log = Log()
    log, tickets = taken(log, TEN, NOON, calls=10)
    for ticket in tickets:
        log = limits.answered(log, ticket, NOON + 0.6)
    wait = waits(log, TEN, NOON + 1, priority=Priority.WRITE)
    assert NOON + 10.6 < wait.until < NOON + 10.61
    assert wait.rule == TEN[0]
    assert room(log, TEN, wait.until) == 10


def test_without_an_answer_a_slot_counts_until_its_timeout_and_a_window():
    log, _ = taken(Log(), TEN, NOON, calls=10)
    assert room(log, TEN, NOON + TIMEOUT + 9.9) == 0
    assert room(log, TEN, NOON + TIMEOUT + 10.1) == 10


def test_calls_in_flight_do_not_park_the_lane():
    log, _ = taken(Log(), TEN, NOON, calls=10)
    assert waits(log, TEN, NOON + 0.1, priority=Priority.WRITE).until < NOON + 10.2


def test_a_call_never_sent_gives_its_slot_back_at_once():
    log, tickets = taken(Log(), (*TEN, *HUNDRED), NOON, calls=10, priority=Priority.WRITE)
    back = limits.given_back(log, tickets[:4])
    assert room(back, TEN, NOON) == 4
    assert [used.used for used in limits.usage(back, (*TEN, *HUNDRED), NOON)] == [6, 6]
    assert limits.given_back(back, tickets[:4]) == back, "giving back twice changes nothing"


def test_two_calls_are_reserved_together_or_not_at_all():
    log, _ = taken(Log(), TEN, NOON, calls=9)
    after, outcome = reserve(log, TEN, NOON, calls=2, priority=Priority.WRITE, timeout_s=TIMEOUT)
    assert isinstance(outcome, Wait)
    assert len(after.entries) == 9


def test_all_rules_hold_at_once():
    rules = parse_rules(["10/10s", "15/1m"])
    log = used_up(Log(), rules, NOON, 10)
    log = used_up(log, rules, NOON + 11, 5)
    wait = waits(log, rules, NOON + 25)
    assert wait.rule == rules[1]
    assert wait.until == pytest.approx(NOON + 60, abs=0.1)


def test_walks_leave_the_last_slots_to_writes():
    log, count = Log(), room(Log(), TEN, NOON, Priority.BULK)
    assert count == 8
    log = used_up(log, TEN, NOON, count, priority=Priority.BULK)
    log, tickets = taken(log, TEN, NOON + 0.5, calls=2, priority=Priority.WRITE)
    assert len(tickets) == 2


def test_the_kept_slots_are_used_where_others_will_be_free_in_time():
    """The reserve costs walks no throughput: once slots come free at an even pace, it is only a matter of order."""
    log, now, sent = Log(), NOON, []
    while now < NOON + 600:
        log, outcome = reserve(log, TEN, now, priority=Priority.BULK, timeout_s=TIMEOUT)
        if isinstance(outcome, Wait):
            now = outcome.until
            continue
        sent.append(now)
        log = limits.answered(log, outcome[0], now)
    assert len(sent) >= 595


def test_a_walk_that_was_passed_over_long_enough_may_take_a_kept_slot():
    log = used_up(Log(), TEN, NOON, 8, priority=Priority.BULK)
    assert waits(log, TEN, NOON, priority=Priority.BULK)
    taken(log, TEN, NOON, priority=Priority.BULK, owed=True)


# --- days -----------------------------------------------------------------------------------------------------------


def test_writes_leave_a_tenth_of_the_day_to_look_ups_and_a_tenth_to_walks():
    log = used_up(Log(), HUNDRED, NOON, room(Log(), HUNDRED, NOON, Priority.WRITE), priority=Priority.WRITE)
    assert len(log.entries) == 80
    assert room(log, HUNDRED, NOON, Priority.BULK) == 10
    assert room(log, HUNDRED, NOON, Priority.LOOKUP) == 20


def test_walks_take_half_of_their_share_at_once_and_the_rest_over_the_day():
    start = MIDNIGHT + 2 * limits.SKEW_S
    log = used_up(Log(), HUNDRED, start, room(Log(), HUNDRED, start, Priority.BULK), priority=Priority.BULK)
    assert 35 <= len(log.entries) <= 37
    assert waits(log, HUNDRED, start, priority=Priority.BULK).until < start + DAY / 35
    evening = MIDNIGHT + DAY - 2 * limits.SKEW_S
    assert 69 <= len(log.entries) + room(log, HUNDRED, evening, Priority.BULK) <= 70
    log = used_up(log, HUNDRED, evening, room(log, HUNDRED, evening, Priority.BULK), priority=Priority.BULK)
    assert room(log, HUNDRED, evening, Priority.WRITE) >= 20


def test_a_day_is_over_when_it_is_surely_over_at_the_server():
    log = used_up(Log(), HUNDRED, NOON, 100, priority=Priority.LOOKUP)
    wait = waits(log, HUNDRED, NOON, priority=Priority.LOOKUP)
    assert wait.until == MIDNIGHT + DAY + limits.SKEW_S
    assert room(log, HUNDRED, wait.until) == 100


def test_a_call_near_midnight_counts_for_both_days():
    log = used_up(Log(), HUNDRED, MIDNIGHT - 1, 30, priority=Priority.WRITE)
    assert limits.usage(log, HUNDRED, MIDNIGHT - 1)[0].used == 30
    assert limits.usage(log, HUNDRED, MIDNIGHT + 1)[0].used == 30


def test_days_are_those_of_the_named_zone():
    rules = parse_rules(["10/day@Asia/Tokyo"])
    log = used_up(Log(), rules, NOON, 10, priority=Priority.LOOKUP)
    # Tokyo is nine hours ahead and knows no summer time: its midnight is 15:00 UTC.
    assert waits(log, rules, NOON, priority=Priority.LOOKUP).until == MIDNIGHT + 15 * 3600 + limits.SKEW_S


# --- what servers tell ----------------------------------------------------------------------------------------------


def test_headers_that_tell_our_own_calls_change_nothing():
    log = used_up(Log(), TEN, NOON, 4)
    after = limits.told(log, TEN, NOON, remaining=6, limit=10, reset_at=NOON + 10)
    assert room(after, TEN, NOON) == 6


def test_calls_of_others_on_the_token_take_their_slots():
    log = used_up(Log(), TEN, NOON, 2)
    log = limits.told(log, TEN, NOON, remaining=3, limit=10, reset_at=NOON + 10)
    assert room(log, TEN, NOON) == 3
    assert room(log, TEN, NOON + 10.1) == 10


def test_a_reset_in_the_past_or_absurdly_far_is_clamped():
    for reset_at in (NOON - 3600, NOON + 1e9):
        log = limits.told(Log(), TEN, NOON, remaining=0, limit=5, reset_at=reset_at)
        assert waits(log, TEN, NOON).until <= NOON + 20.1


def test_a_lower_limit_is_believed_and_forgotten_after_an_hour():
    log = limits.told(Log(), TEN, NOON, remaining=5, limit=5)
    assert room(log, TEN, NOON) == 5
    for higher in (7, 10, 20):
        log = limits.told(log, TEN, NOON + 1, remaining=higher, limit=higher)
        assert room(log, TEN, NOON + 1) == 5, "a header never raises"
    assert room(log, TEN, NOON + limits.LEARNT_S + 1) == 10


def test_headers_about_a_shorter_window_do_not_shrink_a_longer_one():
    rules = parse_rules(["60/1m"])
    log = used_up(Log(), rules, NOON, 3)
    log = limits.told(log, rules, NOON, remaining=7, limit=10, reset_at=NOON + 10)
    assert room(log, rules, NOON) == 57


def test_day_headers_are_told_from_those_of_a_short_window():
    rules = (*TEN, *HUNDRED)
    log = limits.told(Log(), rules, NOON, remaining=40, limit=100, reset_at=MIDNIGHT + DAY)
    assert [used.used for used in limits.usage(log, rules, NOON)] == [0, 60]


def test_yesterdays_spent_quota_told_after_midnight_does_not_spend_today():
    log = limits.told(Log(), HUNDRED, MIDNIGHT + 60, remaining=0)
    assert room(log, HUNDRED, MIDNIGHT + 3600) == 100


def test_a_429_blocks_for_retry_after_and_lowers_what_is_assumed_for_a_while():
    log = limits.refused(Log(), TEN, NOON, 30.0)
    assert waits(log, TEN, NOON).until == NOON + 30
    assert waits(log, TEN, NOON, priority=Priority.LOOKUP).rule is None
    assert room(log, TEN, NOON + 31) == 7
    assert room(log, TEN, NOON + 31 + limits.RAISE_S) == 10


def test_refusals_of_one_burst_lower_once():
    log = Log()
    for retry_after_s in (5.0, 3.0, None):
        log = limits.refused(log, TEN, NOON, retry_after_s)
    assert limits.blocked_until(log, NOON) == NOON + 5
    assert room(log, TEN, NOON + 6) == 7


def test_without_retry_after_each_refusal_doubles_the_block():
    log = limits.refused(Log(), TEN, NOON)
    assert limits.blocked_until(log, NOON) == NOON + 10
    log = limits.refused(log, TEN, NOON + 11)
    assert limits.blocked_until(log, NOON + 11) == NOON + 11 + 20


def test_an_absurd_retry_after_is_obeyed_for_a_day():
    log = limits.refused(Log(), TEN, NOON, 1e9)
    assert limits.blocked_until(log, NOON) == NOON + DAY


# --- time -----------------------------------------------------------------------------------------------------------


def test_a_clock_set_back_frees_no_slot_and_stops_no_lane():
    log = used_up(Log(), TEN, NOON, 10)
    wait = waits(log, TEN, NOON - 3600, priority=Priority.WRITE)
    assert wait.until == pytest.approx(NOON - 3600 + 10, abs=0.1), "ten seconds by the new clock, not an hour more"


def test_the_log_outlives_a_restart():
    rules = (*TEN, *HUNDRED)
    log = used_up(Log(), rules, NOON, 7)
    log, _ = taken(log, rules, NOON, priority=Priority.WRITE)
    log = limits.told(log, rules, NOON, remaining=1, limit=9)
    log = limits.refused(log, rules, NOON, 3.0)
    assert Log.from_json(log.to_json()) == log
    assert Log.from_json("") == Log()


# --- forecast -------------------------------------------------------------------------------------------------------


def test_a_forecast_counts_windows():
    assert limits.forecast(Log(), TEN, NOON, 0) == 0
    assert limits.forecast(Log(), TEN, NOON, 10) == 0
    assert limits.forecast(Log(), TEN, NOON, 11) == pytest.approx(10.2, abs=0.05)
    assert limits.forecast(Log(), TEN, NOON, 1000) == pytest.approx(99 * 10.2, rel=0.01)
    log = used_up(Log(), TEN, NOON, 10)
    assert limits.forecast(log, TEN, NOON, 1) == pytest.approx(10, abs=0.05)


def test_a_forecast_counts_days():
    assert limits.forecast(Log(), HUNDRED, NOON, 80) == 0
    assert limits.forecast(Log(), HUNDRED, NOON, 81) == DAY / 2
    assert limits.forecast(Log(), HUNDRED, NOON, 80 + 80 * 3) == 2.5 * DAY
    assert 2 * DAY < limits.forecast(Log(), HUNDRED, NOON, 3 * 70, priority=Priority.BULK) < 2.5 * DAY


def test_a_forecast_begins_after_a_block():
    log = limits.refused(Log(), HUNDRED, NOON, 3600.0)
    assert limits.forecast(log, HUNDRED, NOON, 1) == 3600


# --- whose turn -----------------------------------------------------------------------------------------------------


def served(waiting, calls):
    """Who was served when these classes always have somebody waiting."""
    turns, who = Turns(), Counter()
    while sum(who.values()) < calls:
        next_ = turns.whose(waiting)
        who[next_] += waiting[next_]
        turns = turns.after(next_, waiting[next_], waiting)
    return who


def test_more_urgent_classes_come_first():
    assert Turns().whose({Priority.BULK: 1, Priority.WRITE: 2}) is Priority.WRITE
    assert Turns().whose({Priority.BULK: 1, Priority.READ: 1, Priority.LOOKUP: 1}) is Priority.LOOKUP


@pytest.mark.parametrize("write", [1, 2])
def test_walks_get_a_tenth_under_a_flood_of_writes(write):
    who = served({Priority.WRITE: write, Priority.BULK: 1}, 1000)
    assert 100 <= who[Priority.BULK] <= 120


def test_walks_get_a_tenth_when_all_classes_push():
    who = served({Priority.LOOKUP: 1, Priority.WRITE: 2, Priority.READ: 1, Priority.BULK: 1}, 2000)
    assert who[Priority.BULK] >= 200
    assert min(who.values()) >= 150


# --- the law --------------------------------------------------------------------------------------------------------


class Strict:
    """A server that knows when each call really arrived, and a daemon that does not."""

    def __init__(self, rules, rng):
        self.rules, self.rng, self.now, self.log = rules, rng, NOON, Log()
        self.flying: list[tuple[float, float, Ticket]] = []  # sent, answer due, ticket
        self.arrivals: list[float] = []

    def settle(self):
        for sent, due, ticket in [call for call in self.flying if call[1] <= self.now]:
            self.flying.remove((sent, due, ticket))
            self.log = limits.answered(self.log, ticket, due)

    def call(self, calls, priority, owed):
        self.log, outcome = reserve(
            self.log, self.rules, self.now, calls=calls, priority=priority, timeout_s=TIMEOUT, owed=owed
        )
        if isinstance(outcome, Wait):
            assert outcome.until > self.now
            return
        for ticket in outcome:
            self.send(ticket)

    def send(self, ticket):
        fate = self.rng.choice(["answer", "answer", "answer", "slow", "lost", "cancelled"])
        if fate == "cancelled":
            before = len(self.log.entries)
            self.log = limits.given_back(self.log, [ticket])
            assert len(self.log.entries) == before - 1
        elif fate == "lost":
            self.arrivals.append(self.now + self.rng.uniform(0, TIMEOUT))
        else:
            latency = self.rng.uniform(0.0, TIMEOUT if fate == "slow" else 0.6)
            self.arrivals.append(self.now + latency * self.rng.choice([0.0, 0.5, 1.0]))
            self.flying.append((self.now, self.now + latency, ticket))

    def check(self, rule):
        times = sorted(self.arrivals)
        for first, last in zip(times, times[rule.calls :], strict=False):
            assert last - first >= rule.window_s, "more than the limit in a rolling window"
        fixed = Counter(at // rule.window_s for at in times)
        assert max(fixed.values(), default=0) <= rule.calls, "more than the limit in a fixed window"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["call", "call", "call", "pass", "pass", "tell", "refuse", "restart", "clock"]),
        st.floats(0, 15),
        st.integers(1, 3),
        st.sampled_from(Priority),
    ),
    max_size=120,
)


@given(STEPS, st.sampled_from([("3/5s",), ("5/10s", "8/1m"), ("10/10s",)]), st.randoms(use_true_random=False))
@examples(120)
def test_no_window_ever_holds_more_arrivals_than_the_limit(steps, texts, rng):
    strict = Strict(parse_rules(texts), rng)
    for what, number, calls, priority in steps:
        strict.settle()
        match what:
            case "call":
                strict.call(min(calls, 3), priority, owed=calls == 1)
            case "pass":
                strict.now += number
            case "tell":
                before = room(strict.log, strict.rules, strict.now)
                strict.log = limits.told(
                    strict.log, strict.rules, strict.now, remaining=int(number), limit=calls * 4, reset_at=None
                )
                assert room(strict.log, strict.rules, strict.now) <= before, "a header raised what may be done"
            case "refuse":
                strict.log = limits.refused(strict.log, strict.rules, strict.now, number)
            case "restart":
                assert Log.from_json(strict.log.to_json()) == strict.log
                strict.log = Log.from_json(strict.log.to_json())
            case "clock":
                # The clock is set back while nothing is in flight; the arrivals are told on the new clock.
                if not strict.flying and max(strict.arrivals, default=0.0) <= strict.now:
                    strict.now -= number * 100
                    strict.arrivals = [at - number * 100 for at in strict.arrivals]
    for rule in strict.rules:
        strict.check(rule)


@given(st.lists(st.tuples(st.floats(0, 4000), st.sampled_from(Priority)), max_size=250), st.floats(-300, 300))
@examples(60)
def test_no_day_ever_holds_more_arrivals_than_its_quota(gaps, skew_s):
    rules = parse_rules(["20/day@UTC"])
    log, now, arrivals = Log(), NOON, []
    for gap, priority in gaps:
        now += gap
        log, outcome = reserve(log, rules, now, priority=priority, timeout_s=TIMEOUT)
        if isinstance(outcome, tuple):
            arrivals.append(now + gap % TIMEOUT)
    by_day = Counter((at + skew_s) // DAY for at in arrivals)
    assert max(by_day.values(), default=0) <= 20


@given(st.integers(1, 12), st.sampled_from(Priority), st.randoms(use_true_random=False))
@examples(60)
def test_who_waits_as_told_is_served_in_the_end(limit, priority, rng):
    rules = parse_rules([f"{limit}/10s", f"{limit * 5}/day@UTC"])
    log, now = Log(), NOON + rng.uniform(0, DAY)
    for _ in range(limit * 8):
        for _ in range(60):
            log, outcome = reserve(log, rules, now, priority=priority, timeout_s=TIMEOUT)
            if not isinstance(outcome, Wait):
                break
            now = outcome.until
        else:
            pytest.fail("waited sixty times and got no slot")
        if rng.random() < 0.8:
            log = limits.answered(log, outcome[0], now)


def test_an_answer_to_a_forgotten_call_still_counts():
    log = limits.answered(Log(), Ticket(7, Priority.READ, NOON), NOON)
    assert room(log, TEN, NOON) == 9
    assert replace(log, entries=()) != log
