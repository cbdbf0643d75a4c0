"""Whether a request may go on: its limits looked at together, and all of them reserved, or none.

`decide` and `settle` are the one definition of that. One process runs them on counters in its memory; where several
share PostgreSQL, `lock` reads the counters of a batch of requests under a lock, in one order for everybody, and
`store` writes them back in the same transaction. So N servers count as one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import BigInteger, cast, func, select, tuple_, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql import bindparam

from creuset.core.errors import RequestError
from creuset.server.tenants.money.dialects import insert_new, upsert
from creuset.server.tenants.money.ledger import Closing, LimitClaim
from creuset.server.tenants.money.limits import Limit, LimitCounter, give_back, spend, take, wait_for
from creuset.server.tenants.money.refusals import LedgerUnavailable, refused
from creuset.server.tenants.money.tables import COUNTERS, USAGE
from creuset.server.tenants.money.windows import Calendar

Place = tuple[Limit, LimitCounter]
Key = tuple[str, str]  # limit, subject


def begin_of(limit: Limit, calendar: Calendar, at: int) -> tuple[int, int]:
    """Begin and end of the window in which `limit` counts at `at`; zeros where it slides, or has none."""
    return (0, 0) if limit.sliding or not limit.window else calendar.window(limit.window, limit.zone, at)


def decide(
    places: Sequence[Place], *, tokens: int, amount: int, currency: str, model: str, at: int, calendar: Calendar,
    granted: bool = False,
) -> list[LimitClaim]:  # fmt: skip
    """Reserve one request of so many tokens that costs up to `amount`. Raises the refusal that lasts longest.

    `granted`: its limits were decided elsewhere, and are only counted here; its budgets are decided.
    """
    needs: list[tuple[Limit, LimitCounter, int]] = []
    worst: tuple[tuple[bool, float], RequestError] | None = None
    for limit, counter in places:
        what = limit.what
        need = tokens if what == "tokens" else amount if what == "money" else 1
        if what == "money" and amount and currency != limit.currency and limit.amount is not None:
            raise LedgerUnavailable(
                f"the budget of {limit.kind} {counter.subject} is in {limit.currency} and the price of {model} in "
                f"{currency}: one of them has to be set anew"
            )
        begin, end = begin_of(limit, calendar, at)
        counter.enter(begin)
        wait = 0.0 if granted and what != "money" else wait_for(limit, counter, need, at, end)
        if wait:
            rank = (what == "money", wait)
            if worst is None or rank > worst[0]:
                worst = rank, refused(limit, counter, need, at, wait, model)
        elif what != "money" or not currency or currency == limit.currency:
            needs.append((limit, counter, need))
    if worst is not None:
        raise worst[1]
    for limit, counter, need in needs:
        take(limit, counter, need, at)
    return [LimitClaim(limit.id, counter.subject, need, counter.period) for limit, counter, need in needs]


def settle(
    limits: Mapping[str, Limit], counters: Mapping[Key, LimitCounter], closing: Closing, *, opened: bool, new: bool
) -> list[Place]:
    """Put what was used in the place of what was reserved. Returns the counters that this changed.

    `opened`: the reservation stood until now. `new`: the usage was not counted before.
    """
    usage, cost, changed = closing.usage, closing.cost, []
    for claim in closing.opening.claims:
        limit, counter = limits.get(claim.limit), counters.get((claim.limit, claim.subject))
        if limit is None or counter is None:
            continue  # it was taken away meanwhile
        used, counts = claim.amount, opened  # requests count when they were let in, whatever became of them
        if limit.what in ("tokens", "money"):
            used = 0 if usage is None else usage.total if limit.what == "tokens" else cost
            counts = new
        if opened:
            give_back(limit, counter, claim.amount, claim.period)
        if counts:
            spend(limit, counter, used, claim.period)
        changed.append((limit, counter))
    return changed


def unhold(limits: Mapping[str, Limit], counters: Mapping[Key, LimitCounter], claims: Iterable[LimitClaim]) -> None:
    """End reservations of a server that died. What was let in stays counted as let in."""
    for claim in claims:
        limit, counter = limits.get(claim.limit), counters.get((claim.limit, claim.subject))
        if limit is not None and counter is not None and not (limit.sliding and limit.what == "requests"):
            give_back(limit, counter, claim.amount, claim.period)


# -- counters in the database

_FIELDS = ("period", "full", "spent", "held")


def read_counters(connection: Connection) -> dict[Key, LimitCounter]:
    rows = connection.execute(select(COUNTERS)).mappings()
    return {(row["limit"], row["subject"]): LimitCounter(**row) for row in rows}


def save_counters(connection: Connection, counters: Collection[LimitCounter]) -> None:
    """Write counters as they are, where no other process counts."""
    if counters:
        upsert(connection, COUNTERS, [_row(one) for one in counters], keys=("limit", "subject"))


def add_counters(connection: Connection, counters: Collection[LimitCounter]) -> None:
    """Write counters that are not there."""
    if counters:
        insert_new(connection, COUNTERS, [_row(one) for one in counters])


def begin_counters(connection: Connection, pairs: Sequence[tuple[Limit, str]], at: int) -> list[LimitCounter]:
    """Counters of limits that begin to count, as the ledger has it so far."""
    found: list[LimitCounter] = []
    for limit, subject in pairs:
        begin, _ = begin_of(limit, Calendar(), at)
        spent = spent_before(connection, limit, subject, begin)
        found.append(LimitCounter(limit.id, subject, period=begin, spent=spent))
    add_counters(connection, found)
    return found


def lock(connection: Connection, keys: Collection[Key]) -> tuple[dict[Key, LimitCounter], int]:
    """The counters of these keys, locked until the transaction ends, and the database's time (microseconds)."""
    found: dict[Key, LimitCounter] = {}
    if keys:
        wanted = tuple_(COUNTERS.c.limit, COUNTERS.c.subject).in_(sorted(keys))
        query = select(COUNTERS).where(wanted).order_by(COUNTERS.c.limit, COUNTERS.c.subject).with_for_update()
        rows = connection.execute(query).mappings()
        found = {(row["limit"], row["subject"]): LimitCounter(**row) for row in rows}
    return found, now_of(connection)


def now_of(connection: Connection) -> int:
    """PostgreSQL's own time, so that the clocks of servers need not agree."""
    now = func.extract("epoch", func.clock_timestamp()) * 1_000_000
    return int(connection.execute(select(cast(now, BigInteger))).scalar_one())


def store(connection: Connection, counters: Collection[LimitCounter]) -> None:
    """Write locked counters back."""
    if counters:
        query = (
            update(COUNTERS)
            .where(COUNTERS.c.limit == bindparam("b_limit"), COUNTERS.c.subject == bindparam("b_subject"))
            .values({name: bindparam(f"b_{name}") for name in _FIELDS})
        )
        connection.execute(query, [{f"b_{name}": value for name, value in _row(one).items()} for one in counters])


def _row(one: LimitCounter) -> dict[str, str | int]:
    return {
        "limit": one.limit, "subject": one.subject, "period": one.period, "full": one.full, "spent": one.spent,
        "held": one.held,
    }  # fmt: skip


def spent_before(connection: Connection, limit: Limit, subject: str, begin: int) -> int:
    """What the ledger already has of a limit that begins to count: its window may have begun before it was set."""
    if limit.sliding or limit.what == "concurrent":
        return 0
    sums = {"money": func.sum(USAGE.c.cost), "tokens": func.sum(USAGE.c.input + USAGE.c.output)}
    query = select(sums.get(limit.what, func.count())).where(
        USAGE.c.organization == limit.organization, USAGE.c.at >= begin
    )
    if limit.kind == "group":
        query = query.where(("," + USAGE.c.groups).contains(f",{subject},", autoescape=True))
    elif limit.kind != "organization":
        query = query.where(USAGE.c[limit.kind] == subject)
    if limit.model:
        query = query.where((USAGE.c.model == limit.model) | (USAGE.c.asked == limit.model))
    if limit.currency:
        query = query.where(USAGE.c.currency == limit.currency)
    return int(connection.execute(query).scalar() or 0)
