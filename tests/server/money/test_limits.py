"""The arithmetic of limits: sliding windows, the calendar, concurrent requests; and what a refusal says."""

import math
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from creuset.core.errors import ConfigError, RequestError
from creuset.server.tenants.money.counting import decide
from creuset.server.tenants.money.limits import Limit, LimitCounter, left, rescale, take, wait_for
from creuset.server.tenants.money.refusals import duration
from creuset.server.tenants.money.windows import US, Calendar, calendar_window

from .conftest import NOW, limit

AT = NOW * US


def flow(amount: int, window: str = "minute", what: str = "requests", burst: int | None = None) -> Limit:
    return limit(id="l", what=what, window=window, amount=amount, burst=burst)


@seed(12)
@settings(max_examples=60, deadline=None)
@given(
    amount=st.integers(1, 40), burst=st.integers(1, 40) | st.none(),
    arrivals=st.lists(st.tuples(st.integers(0, 20_000_000), st.integers(1, 12)), max_size=80),
)  # fmt: skip
def test_in_any_window_no_more_passes_than_the_limit_and_one_burst(amount, burst, arrivals):
    rule, counter, at, passed = flow(amount, burst=burst), LimitCounter("l", "proj"), AT, []
    for pause, units in arrivals:
        at += pause
        wait = wait_for(rule, counter, units, at, 0)
        room = left(rule, counter, at)
        assert (wait == 0) == (units <= room), "what is left is told as it is"
        if wait == 0:
            take(rule, counter, units, at)
            passed.append((at, units))
        elif wait < math.inf:
            soon = at + math.ceil(wait * US)
            assert wait_for(rule, counter, units, soon, 0) == 0, "who comes when told is let in"
            assert wait_for(rule, counter, units, soon - 2, 0) > 0, "and not sooner"
    for begin, _ in passed:
        inside = sum(units for moment, units in passed if begin <= moment < begin + 60 * US)
        assert inside <= amount + rule.at_once


@pytest.mark.parametrize(("amount", "room"), [(100, 98), (2, 0), (3, 1), (1, 0)])
def test_what_was_used_stays_used_when_a_limit_changes(amount, room):
    old, counter = flow(2), LimitCounter("l", "proj")
    take(old, counter, 2, AT)
    rescale(old, new := flow(amount), counter, AT)
    assert left(new, counter, AT) == room


def test_a_clock_that_is_put_back_locks_nobody_out():
    rule, counter = flow(2), LimitCounter("l", "proj")
    take(rule, counter, 2, AT + 3600 * US)
    assert wait_for(rule, counter, 1, AT, 0) == 30.0, "not an hour"


@pytest.mark.parametrize(
    ("window", "zone", "at", "begin", "end"),
    [
        ("month", "Europe/Paris", "2026-03-31T23:30", "2026-03-01T00:00", "2026-04-01T00:00"),
        ("month", "Europe/Paris", "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("day", "Europe/Paris", "2026-03-29T12:00", "2026-03-29T00:00", "2026-03-30T00:00"),  # of 23 hours
        ("day", "America/New_York", "2026-11-01T12:00", "2026-11-01T00:00", "2026-11-02T00:00"),  # of 25 hours
        ("hour", "Asia/Kolkata", "2026-05-05T10:40", "2026-05-05T10:00", "2026-05-05T11:00"),
        ("minute", "UTC", "2026-05-05T10:40:59", "2026-05-05T10:40", "2026-05-05T10:41"),
    ],
)
def test_a_window_of_the_calendar_is_that_of_its_zone(window, zone, at, begin, end):
    found = calendar_window(window, zone, micro(at, zone))
    assert found == (micro(begin, zone), micro(end, zone))


def micro(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * US


def test_a_month_begins_anew_and_what_ran_over_its_end_is_the_old_ones():
    from creuset.server.tenants.money.limits import give_back, spend

    rule, counter, calendar = limit(id="l", amount=100, zone="Europe/Paris"), LimitCounter("l", "proj"), Calendar()
    last = micro("2026-05-31T23:59:59", "Europe/Paris")
    claims = decide([(rule, counter)], tokens=0, amount=60, currency="USD", model="m", at=last, calendar=calendar)
    first = last + 2 * US
    decide([(rule, counter)], tokens=0, amount=100, currency="USD", model="m", at=first, calendar=calendar)
    give_back(rule, counter, 60, claims[0].period)
    spend(rule, counter, 50, claims[0].period)
    assert (counter.spent, counter.held) == (0, 100)
    with pytest.raises(RequestError):  # a clock that is put back opens no window again
        decide([(rule, counter)], tokens=0, amount=1, currency="USD", model="m", at=last, calendar=calendar)


def refusal(*rules: tuple[Limit, int], tokens: int = 10, amount: int = 50) -> RequestError:
    places = [(one, LimitCounter("l", one.subject)) for one, _ in rules]
    for (one, taken), (_, counter) in zip(rules, places, strict=True):
        counter.period = calendar_window("month", "UTC", AT)[0] if one.window == "month" else 0
        take(one, counter, taken, AT)
    with pytest.raises(RequestError) as found:
        decide(places, tokens=tokens, amount=amount, currency="USD", model="gpt-4o", at=AT, calendar=Calendar())
    return found.value


@pytest.mark.parametrize(
    ("rule", "taken", "words", "code", "kind", "after"),
    [
        (flow(3), 3, "Rate limit reached in project proj on requests per minute: Limit 3, Used 3, Requested 1. Please "
         "try again in 20s.", "rate_limit_exceeded", "requests", 20.0),
        (flow(600, what="tokens"), 595, "Rate limit reached in project proj on tokens per minute: Limit 600, Used 595, "
         "Requested 10. Please try again in 500ms.", "rate_limit_exceeded", "tokens", 0.5),
        (flow(5, what="tokens"), 0, "Request too large in project proj on tokens per minute: Limit 5, Requested 10. "
         "The input or the longest output must be shorter to run.", "rate_limit_exceeded", "tokens", None),
        (limit(id="l", what="concurrent", amount=2, model="gpt-4o"), 2, "Rate limit reached for gpt-4o in project proj "
         "on requests at a time: Limit 2, Used 2, Requested 1. Please try again in 1s.", "rate_limit_exceeded",
         "requests", 1.0),
        (limit(id="l", amount=100), 60, "You exceeded your current quota: the budget of project proj for one month is "
         "0.0001 USD, 0.00 USD are spent, 0.00006 USD are reserved by requests that run; this request may cost up to "
         "0.00005 USD. Please try again in 1s.", "insufficient_quota", "insufficient_quota", 1.0),
        (limit(id="l", amount=40), 0, "You exceeded your current quota: the budget of project proj for one month is "
         "0.00004 USD, 0.00 USD are spent; this request may cost up to 0.00005 USD.", "insufficient_quota",
         "insufficient_quota", None),
    ],
)  # fmt: skip
def test_a_refusal_says_what_who_how_much_and_when(rule, taken, words, code, kind, after):
    error = refusal((rule, taken))
    assert (str(error), error.code, error.kind, error.status) == (words, code, kind, 429)
    assert error.retry_after == after


def test_of_several_refusals_the_budget_is_told_and_nothing_is_taken():
    rules = [(flow(3), 3), (limit(id="m", amount=40), 0), (flow(100, what="tokens"), 0)]
    places = [(one, LimitCounter("l", one.subject)) for one, _ in rules]
    take(rules[0][0], places[0][1], 3, AT)
    with pytest.raises(RequestError, match="current quota"):
        decide(places, tokens=10, amount=50, currency="USD", model="m", at=AT, calendar=Calendar())
    assert places[2][1].full == 0 and places[1][1].held == 0
    with pytest.raises(Exception, match="budget of project proj is in USD and the price of m in EUR"):
        decide(places[1:], tokens=10, amount=50, currency="EUR", model="m", at=AT, calendar=Calendar())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "planet"}, "`kind` must be one of key, user"),
        ({"what": "joules", "currency": ""}, "`what` must be one of requests"),
        ({"window": "fortnight"}, "must be one of minute, hour, day, month, total, got `fortnight`"),
        ({"zone": "Mars/Olympus"}, "`Mars/Olympus` is not a time zone"),
        ({"amount": -1}, "`amount` must be between 0"),
        ({"currency": ""}, "a limit on money has a currency"),
        ({"burst": 3}, "`burst` belongs to requests or tokens"),
        ({"what": "concurrent", "currency": ""}, "window of a limit on concurrent must be none"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_by_name(change, words):
    with pytest.raises(ConfigError, match=words):
        limit(**{"what": "money", "window": "month", "currency": "USD"} | change)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.0121, "13ms"), (1.5, "1.5s"), (59.9999, "1m0s"), (360, "6m0s"), (7501, "2h5m1s")],
)
def test_durations_are_written_as_openai_does(seconds, text):
    assert duration(seconds) == text
