"""Circuits, the budget of retries, leases that expire, and why another target may be asked: each against its rule."""

import asyncio
import random

import pytest

from creuset.core.errors import EngineError, Overloaded, PromptTooLong, RequestError
from creuset.server.database import Database
from creuset.server.engines.upstream import PolicyRefused, UpstreamDown, UpstreamRefused
from creuset.server.protect.guards.hooks import GuardRefused
from creuset.server.routes.failures import reason_of
from creuset.server.routes.health import Circuit, RetryBudget, backoff
from creuset.server.routes.leases import TargetLeases
from creuset.server.tenants.money.refusals import LedgerUnavailable, QuotaSpent, RateLimited


def test_a_circuit_opens_after_failures_in_a_row_and_one_request_tries_it() -> None:
    now = [0.0]
    one = Circuit(lambda: now[0], failures=3, rest_s=10.0)
    for ends in (one.failed, one.failed, one.worked, one.failed, one.failed):
        one.begin()
        ends()
    assert one.admits(), "a success between them begins the count anew"
    one.begin()
    one.failed()
    assert not one.admits() and one.state == "open"
    now[0] = 10.0
    assert one.state == "half_open" and one.admits()
    one.begin()
    assert not one.admits(), "one at a time tries it"
    one.failed()
    now[0] = 29.9
    assert not one.admits(), "the second rest is twice as long"
    now[0] = 30.0
    one.begin()
    one.left()
    assert one.admits(), "a client that left says nothing of the target"
    one.begin()
    one.worked()
    assert one.state == "closed" and one.admits()
    one.pause(5.0)
    assert not one.admits()
    now[0] = 35.0
    assert one.state == "closed"


@pytest.mark.parametrize("seed", range(5))
def test_retries_stay_within_a_fifth_of_the_requests_and_one_a_second(seed: int) -> None:
    rng, now = random.Random(seed), [0.0]
    budget = RetryBudget(lambda: now[0])
    retries = requests = 0
    for _ in range(3000):
        now[0] += rng.expovariate(50)
        budget.request()
        requests += 1
        retries += sum(budget.take() for _ in range(rng.randint(0, 4)))
        assert retries <= 10 + 0.2 * requests + now[0] + 1e-6
    assert retries > 0.15 * requests, "and they are made"


def test_backoff_is_anywhere_below_twice_as_much_each_time() -> None:
    rng = random.Random(1)
    for turn, most in ((1, 0.2), (2, 0.4), (3, 0.8), (9, 5.0)):
        waits = [backoff(turn, rng) for _ in range(300)]
        assert 0 <= min(waits) < 0.1 * most and 0.9 * most < max(waits) <= most


def test_what_a_server_that_was_killed_had_running_is_gone_when_its_lease_expires(tmp_path) -> None:
    database, now = Database(f"sqlite:///{tmp_path}/one.db"), [1_000_000]

    async def run() -> None:
        a, b, dead = (TargetLeases(name, database, now=lambda _: now[0], live_s=4.0) for name in ("a", "b", "dead"))
        for one, count in ((a, 1), (b, 2), (dead, 5)):
            for _ in range(count):
                one.take("t")
            await one.exchange()
        await a.exchange()
        assert (a.running("t"), b.running("t"), a.running("other")) == (8, 3, 0), "b asked before `dead` said"
        b.drop("t")
        now[0] += 3_000_000
        await b.exchange()
        await a.exchange()
        assert a.running("t") == 1 + 1 + 5
        now[0] += 2_000_000  # `dead` says nothing any more
        await b.exchange()
        await a.exchange()
        assert a.running("t") == 1 + 1
        b.drop("t")
        await b.exchange()
        await a.exchange()
        assert a.running("t") == 1
        await b.stop()

    asyncio.run(run())
    database.close()


@pytest.mark.parametrize(("error", "reason"), [
    (UpstreamDown("x"), "failure"), (EngineError("x"), "failure"), (Overloaded("x"), "overload"),
    (PromptTooLong("x"), "context"), (UpstreamRefused("prompt is too long: 9 > 8"), "context"),
    (UpstreamRefused("x", code="content_filter"), "policy"), (PolicyRefused("x"), "policy"),
    (UpstreamRefused("`temperature` is 9"), None), (RequestError("x"), None), (GuardRefused("content policy"), None),
    (RateLimited("x"), None), (QuotaSpent("x"), None), (LedgerUnavailable("x"), None),
])  # fmt: skip
def test_only_what_another_target_would_mend_has_a_reason(error: Exception, reason: str | None) -> None:
    assert reason_of(error) == reason
