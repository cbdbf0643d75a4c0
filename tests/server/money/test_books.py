"""The books against a plain definition: random requests, retries, crashes; a nearly spent budget; a database gone."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from creuset.core.errors import ConfigError
from creuset.server.database import Database
from creuset.server.tenants.gate import Hold, MoneyGate
from creuset.server.tenants.money.books import Books
from creuset.server.tenants.money.journal import UsageJournal
from creuset.server.tenants.money.ledger import Closing, Opening, record
from creuset.server.tenants.money.refusals import LedgerUnavailable, QuotaSpent, RateLimited
from creuset.server.tenants.money.tables import COUNTERS, USAGE
from creuset.types.usage import TokenUsage

from .conftest import MODEL, NOW, caller, limit, proven, set_limits

KEYS = ("k1", "k2", "k3")
BUDGETS = {("project", "proj"): 9_000, ("key", "k1"): 4_000, ("group", "g"): 6_000}


async def admit(gate: MoneyGate, id: str, *, prompt: int = 100, output: int = 50, **who: Any) -> Hold:
    return await gate.admit(caller(**who), MODEL, request=id, prompt_tokens=prompt, max_tokens=output)


def opened(database: Database, clock: Callable[[], float] = lambda: NOW, journal: Path | None = None) -> MoneyGate:
    kept = UsageJournal(journal, f"srv{len(list(journal.glob('*.jsonl')))}") if journal else None
    return MoneyGate(Books(database, clock=clock, journal=kept), clock=clock)


def seen(database: Database, ids: list[str]) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).where(USAGE.c.request.in_(ids))).scalar() or 0


# -- random requests, retries and crashes


@dataclass
class Definition:
    """What should be, worked out anew for each question: nothing is carried along."""

    open: dict[str, tuple[str, int]] = field(default_factory=dict)  # request -> key, what it may cost
    done: dict[str, tuple[str, int]] = field(default_factory=dict)  # request -> key, cost

    def total(self, of: dict[str, tuple[str, int]], kind: str, id: str) -> int:
        mine = {"project": KEYS, "key": (id,), "group": ("k2", "k3")}[kind]
        return sum(cost for key, cost in of.values() if key in mine)

    def fits(self, key: str, cost: int) -> bool:
        mine = [one for one in BUDGETS if one[0] == "project" or one[1] == key or (one[0] == "group" and key != "k1")]
        return all(self.total(self.done, *one) + self.total(self.open, *one) + cost <= BUDGETS[one] for one in mine)


def price(prompt: int, cached: int, output: int) -> int:
    """gpt-4o: 2.50, 1.25 and 10.00 for a million, half up."""
    exact = 250 * (prompt - cached) + 125 * cached + 1000 * output  # hundredths of a millionth
    return (exact + 50) // 100


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "ask", "ask", "settle", "settle", "release", "again", "crash", "pause"]),
              st.integers(0, 10**6), st.integers(1, 400), st.integers(0, 120)),
    min_size=15, max_size=45,
)  # fmt: skip


@seed(12)
@settings(max_examples=12, deadline=None)
@given(steps=STEPS)
def test_random_requests_retries_and_crashes_leave_books_that_agree_with_their_definition(steps):
    asyncio.run(walk(steps))


async def walk(steps: list[tuple[str, int, int, int]]) -> None:
    database = Database()
    set_limits(database, *(limit(kind=kind, subject=id, amount=most) for (kind, id), most in BUDGETS.items()))
    truth, gate, holds, ended = Definition(), opened(database), {}, []
    await gate.start()
    for at, (what, pick, prompt, output) in enumerate(steps):
        if what == "ask":
            key, id = KEYS[pick % 3], f"r{at}"
            who = {"key": key, "groups": () if key == "k1" else ("g",)}
            cost = -(-(250 * prompt + 1000 * output) // 100)
            try:
                holds[id] = await admit(gate, id, prompt=prompt, output=output, **who), prompt, output
                assert truth.fits(key, cost), "let in above a budget"
                truth.open[id] = key, cost
            except QuotaSpent:
                assert not truth.fits(key, cost), "refused within all budgets"
        elif what in ("settle", "release") and holds:
            id = sorted(holds)[pick % len(holds)]
            hold, read, most = holds.pop(id)
            key, _ = truth.open.pop(id)
            ended.append(hold)
            if what == "settle":
                used = TokenUsage(input=read, output=pick % (most + 1), cached=pick % (read + 1))
                hold.settle(used)
                truth.done[id] = key, price(read, used.cached, used.output)
            else:
                hold.release()
        elif what == "again" and ended:
            ended[pick % len(ended)].settle(TokenUsage(input=10**6))  # it is over: nothing more is charged
            ended[pick % len(ended)].release()
        elif what == "pause":
            await asyncio.sleep(0)
        elif what == "crash":  # with all that was told, and what runs lost
            await gate.stop()
            holds.clear()
            truth.open.clear()
            gate = opened(database)
            await gate.start()
    for id, (hold, read, _) in holds.items():
        hold.settle(TokenUsage(input=read))
        truth.done[id] = truth.open.pop(id)[0], price(read, 0, 0)
    await gate.stop()
    found = proven(database)
    assert found == {"spent": sum(cost for _, cost in truth.done.values()), "rows": len(truth.done), "held": 0}
    with database.reading() as connection:
        counted = {row.subject: row.spent for row in connection.execute(select(COUNTERS.c.subject, COUNTERS.c.spent))}
    for (kind, id), most in BUDGETS.items():
        assert counted.get(id, 0) == truth.total(truth.done, kind, id) <= most
    database.close()


# -- many at once


def test_200_callers_at_once_spend_no_more_than_is_left():
    async def run() -> tuple[int, int]:
        database = Database()
        set_limits(database, limit(amount=10_000), limit(kind="organization", subject="org", amount=12_345))
        gate = opened(database)
        await gate.start()
        let_in = 0

        async def one(at: int) -> None:
            nonlocal let_in
            try:
                hold = await admit(gate, f"r{at}", key=f"k{at}")  # up to 750
            except QuotaSpent as refused:
                assert "budget of project proj for one month is 0.01 USD" in str(refused)
                return
            let_in += 1
            await asyncio.sleep(0)
            hold.settle(TokenUsage(input=100, output=50))

        for _ in range(2):
            await asyncio.gather(*(one(at + 1000 * _) for at in range(200)))
        await gate.stop()
        spent = proven(database)["spent"]
        database.close()
        return let_in, spent

    assert asyncio.run(run()) == (13, 9750)


def test_requests_tokens_and_places_are_given_back_and_counted():
    async def run() -> None:
        database, now = Database(), [float(NOW)]
        set_limits(
            database, limit(what="requests", window="minute", amount=6, kind="key", subject="*"),
            limit(what="tokens", window="hour", amount=1000),
            limit(what="concurrent", amount=2, kind="user", subject="ann"),
        )  # fmt: skip
        gate = opened(database, lambda: now[0])
        await gate.start()
        first, second = await admit(gate, "a", output=300), await admit(gate, "b", output=300)
        told = dict(second.headers)
        assert told[b"x-ratelimit-limit-requests"] == b"6" and told[b"x-ratelimit-remaining-requests"] == b"4"
        assert told[b"x-ratelimit-reset-requests"] == b"20s" and told[b"x-ratelimit-remaining-tokens"] == b"200"
        with pytest.raises(RateLimited, match=r"user ann on requests at a time: Limit 2, Used 2"):
            await admit(gate, "c", prompt=1, output=1)
        first.settle(TokenUsage(input=100, output=50))  # 250 tokens come back
        second.release()  # 400 tokens come back, the request does not
        with pytest.raises(RateLimited, match="tokens per hour: Limit 1000, Used 150, Requested 900"):
            await admit(gate, "d", output=800)
        for id in "efgh":
            (await admit(gate, id, prompt=1, output=1)).settle(TokenUsage(input=1, output=1))
        for check in (lambda: admit(gate, "i", prompt=1, output=1), lambda: prechecked(gate)):
            with pytest.raises(RateLimited, match="key k1 on requests per minute: Limit 6, Used 6") as found:
                await check()
            assert found.value.retry_after == 10.0
        (await admit(gate, "j", prompt=1, output=1, key="k2")).release()  # another key has its own
        now[0] += 10
        (await admit(gate, "k", prompt=1, output=1)).release()
        await gate.stop()
        database.close()

    asyncio.run(run())


async def prechecked(gate: MoneyGate) -> None:
    gate.precheck(caller())


def test_a_budget_that_is_set_in_the_middle_of_a_month_counts_what_was_spent_before():
    async def run() -> None:
        database = Database()
        gate = opened(database)
        await gate.start()
        (await admit(gate, "a", groups=("g",))).settle(TokenUsage(input=100, output=50))  # 750
        await asyncio.sleep(0.02)
        running = await admit(gate, "b", groups=("g",))
        (await admit(gate, "c")).settle(TokenUsage(input=100, output=0))  # 250, not in the database yet
        set_limits(database, limit(amount=1800), limit(kind="group", subject="g", amount=1500))
        await gate.books.reload()
        with pytest.raises(QuotaSpent, match=r"0.001 USD are spent, 0.00075 USD are reserved"):
            await admit(gate, "d")
        running.settle(TokenUsage(input=100, output=40))  # 650
        with pytest.raises(QuotaSpent, match=r"group g for one month is 0.0015 USD, 0.0014 USD are spent"):
            await admit(gate, "e", prompt=60, groups=("g",), project="other")
        with pytest.raises(QuotaSpent):
            gate.precheck(caller()) or await admit(gate, "f", prompt=70)
        await gate.stop()
        assert proven(database)["spent"] == 750 + 250 + 650
        database.close()

    asyncio.run(run())


# -- faults

BREAK = "CREATE TRIGGER gone BEFORE INSERT ON ledger BEGIN SELECT RAISE(FAIL, 'the disk is gone'); END"


def test_while_usage_cannot_be_written_nothing_begins_and_nothing_is_lost(tmp_path):
    async def run() -> None:
        database = Database(f"sqlite:///{tmp_path}/one.db")
        gate = opened(database, journal=tmp_path / "usage")
        await gate.start()
        before = await admit(gate, "a")
        with database.transaction() as connection:
            connection.execute(text(BREAK))
        before.settle(TokenUsage(input=100, output=50))
        while not gate.books.down:
            await asyncio.sleep(0.001)
        with pytest.raises(LedgerUnavailable, match="nothing new is begun"):
            await admit(gate, "b")
        with pytest.raises(LedgerUnavailable):
            gate.precheck(caller())
        assert seen(database, ["a"]) == 0 and gate.books.journal.size > 0
        with database.transaction() as connection:
            connection.execute(text("DROP TRIGGER gone"))
        while gate.books.down:
            await asyncio.sleep(0.001)
        (await admit(gate, "c")).settle(TokenUsage(input=100))
        last = await admit(gate, "d")
        with database.transaction() as connection:
            connection.execute(text(BREAK))
        last.settle(TokenUsage(input=100))
        await gate.stop()  # with a database that is gone still
        assert list((tmp_path / "usage").glob("*.jsonl")), "the journal keeps it"
        with database.transaction() as connection:
            connection.execute(text("DROP TRIGGER gone"))
        gate = opened(database, journal=tmp_path / "usage")
        await gate.start()
        await gate.stop()
        assert proven(database) == {"spent": 750 + 250 + 250, "rows": 3, "held": 0}
        assert not list((tmp_path / "usage").glob("*.jsonl"))
        database.close()

    asyncio.run(run())


def test_one_server_at_a_time_counts_in_a_sqlite_file(tmp_path, monkeypatch):
    monkeypatch.setattr("creuset.server.tenants.money.books.ALONE_S", 0.0)

    async def run() -> None:
        database = Database(f"sqlite:///{tmp_path}/one.db")
        first, second = (opened(database, journal=tmp_path / "usage") for _ in range(2))
        await first.start()
        with pytest.raises(ConfigError, match="another server counts requests and money"):
            await second.start()
        second.books.journal.close()
        await first.stop()
        second = opened(database, journal=tmp_path / "usage")
        await second.start()
        await second.stop()
        database.close()

    asyncio.run(run())


@pytest.mark.parametrize("written", [True, False])
def test_a_batch_is_written_once_though_nobody_knows_whether_it_was(written):
    """The connection broke while the transaction was being committed."""
    database = Database()
    openings = [
        Opening(
            request=f"r{at}", at=NOW * 10**6, organization="org", project="proj", model="m", amount=9, currency="USD"
        )
        for at in range(3)
    ]
    usage = TokenUsage(input=3, output=1)
    closings = [Closing(opening=one, status="completed", usage=usage, lines=[("input", 3, 5)]) for one in openings[:2]]
    if written:
        with database.transaction() as connection:
            record(connection, openings, closings, "srv", sure=True)
    with database.transaction() as connection:
        opened_now, new = record(connection, openings, closings, "srv", sure=False)
    assert (opened_now, new) == ((set(), set()) if written else ({"r0", "r1"}, {"r0", "r1"}))
    with database.transaction() as connection:
        last = [Closing(opening=openings[2], status="left")]
        assert record(connection, [], last, "srv", sure=False) == ({"r2"}, set())
    assert proven(database) == {"spent": 10, "rows": 2, "held": 0}
    database.close()


KILLED = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from creuset.server.database import Database
from tests.server.money.test_books import admit, opened
from creuset.types.usage import TokenUsage
async def main():
    database = Database(f"sqlite:///{sys.argv[1]}/one.db")
    gate = opened(database, journal=Path(sys.argv[1]) / "usage")
    await gate.start()
    held = [await admit(gate, f"held{at}") for at in range(5)]
    for at in range(10**9):
        hold = await admit(gate, f"r{at}")
        if at % 7:
            hold.settle(TokenUsage(input=100, output=at % 50))
            print(at, flush=True)
        await asyncio.sleep(0)
asyncio.run(main())
"""


def test_a_server_that_is_killed_has_charged_all_that_it_told_and_holds_nothing(tmp_path):
    kill_and_look(tmp_path, 300)


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 17, 500, 3000, 20_000])
def test_a_server_may_be_killed_at_any_moment(tmp_path, at):
    kill_and_look(tmp_path, at)


def kill_and_look(folder: Path, lines: int) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", KILLED, str(folder), str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as server:
        told = [next(server.stdout).strip() for _ in range(lines)]  # type: ignore[arg-type]
        server.send_signal(signal.SIGKILL)
        told += [line.strip() for line in server.stdout if line.endswith("\n")]  # type: ignore[union-attr]

    async def after() -> None:
        database = Database(f"sqlite:///{folder}/one.db")
        gate = opened(database, journal=folder / "usage")
        await gate.start()
        await gate.stop()
        found = proven(database)
        assert found["held"] == 0 and found["rows"] in (len(told), len(told) + 1), (
            "killed before it could tell the last"
        )
        with database.reading() as connection:
            charged = dict(connection.execute(select(USAGE.c.request, USAGE.c.cost)).all())
        assert {f"r{at}" for at in told} <= charged.keys()
        assert all(charged[f"r{at}"] == price(100, 0, int(at) % 50) for at in told)
        database.close()

    asyncio.run(after())


def test_what_a_caller_may_not_use_is_not_there():
    from creuset.core.errors import NotFound

    async def run() -> None:
        database = Database()
        gate = opened(database)
        await gate.start()
        for rule in ({"models": frozenset({"mini"})}, {"denied": frozenset({"alias"})}):
            with pytest.raises(NotFound, match="`gpt-4o` is not served here, or this key may not use it") as found:
                await gate.admit(caller(**rule), ("gpt-4o", "alias"), request="a", prompt_tokens=1, max_tokens=1)
            assert found.value.code == "model_not_found"
        allowed = caller(models=frozenset({"alias"}))
        (await gate.admit(allowed, ("gpt-4o", "alias"), request="b", prompt_tokens=1, max_tokens=1)).release()
        await gate.stop()
        database.close()

    asyncio.run(run())
