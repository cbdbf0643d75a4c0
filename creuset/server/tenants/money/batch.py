"""What goes to the database together, and the small questions that the books ask of limits and of other servers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from creuset.server.tenants.money import counting
from creuset.server.tenants.money.counting import Place
from creuset.server.tenants.money.dialects import upsert
from creuset.server.tenants.money.ledger import Closing, LimitClaim, Opening, expire
from creuset.server.tenants.money.limits import EACH, Limit, LimitCounter, take
from creuset.server.tenants.money.tables import HOLDS, REPLICAS
from creuset.types.tenants import Caller

REDIS_LOST = "redis-lost"  # among the servers that were seen: not one of them, but when one could not reach Redis


@dataclass(slots=True, eq=False)
class Ask:
    """A request that waits to be decided in the shared database."""

    opening: Opening
    places: tuple[Place, ...]
    tokens: int
    told: "asyncio.Future[None]"
    granted: bool = False  # its limits were decided elsewhere: only its budgets are decided here
    waits: bool = True  # somebody waits to be told; else it is let in, and this only counts it


@dataclass(slots=True)
class WriteBatch:
    openings: list[Opening] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    counters: list[LimitCounter] = field(default_factory=list)  # as they are to be written by who counts alone
    again: bool = False  # a part of it may have been written

    def __bool__(self) -> bool:
        return bool(self.openings or self.closings or self.asks)


def matching(limits: Sequence[Limit], who: Caller, names: tuple[str, ...]) -> list[tuple[Limit, str]]:
    """The limits that a request of `who` for the model with these names counts against, each with its subject."""
    return [
        (limit, id)
        for kind, id in who.subjects()
        for limit in limits
        if limit.organization == who.organization
        and limit.kind == kind
        and limit.subject in (EACH, id)
        and (not limit.model or limit.model in names)
    ]


def counts(limit: Limit, subject: str, opening: Opening) -> bool:
    """Whether a request counts for `subject` of `limit`, whatever its model."""
    if limit.organization != opening.organization:
        return False
    return subject in opening.groups if limit.kind == "group" else getattr(opening, limit.kind) == subject


def claims_of(places: Sequence[Place], tokens: int) -> list[LimitClaim]:
    """What a request has reserved of its limits, budgets left aside."""
    return [
        LimitClaim(limit.id, counter.subject, tokens if limit.what == "tokens" else 1, counter.period)
        for limit, counter in places
        if limit.what != "money"
    ]


def catch_up(
    limit: Limit, counter: LimitCounter, late: Sequence[Closing], running: Sequence[tuple[Opening, tuple[str, ...]]],
    at: int,
) -> None:  # fmt: skip
    """Count for a limit that begins now what runs, each with the names of its model, and what ended and is not in the
    database yet."""
    for closing in late:
        if closing.usage is not None and counts(limit, counter.subject, closing.opening):
            cost = closing.cost if closing.opening.currency == limit.currency else 0
            known = {"money": cost, "tokens": closing.usage.total, "requests": 1}
            counter.spent += 0 if limit.sliding else known.get(limit.what, 0)
    for opening, names in running:
        if counts(limit, counter.subject, opening) and (not limit.model or limit.model in names):
            amount = {"money": opening.amount, "tokens": 0}.get(limit.what, 1)
            if limit.what != "money" or opening.currency == limit.currency:
                take(limit, counter, amount, at)
                opening.claims.append(LimitClaim(limit.id, counter.subject, amount, counter.period))


def seen(connection: Connection, replica: str) -> None:
    """Say that this server lives."""
    row = {"id": replica, "seen": counting.now_of(connection)}
    upsert(connection, REPLICAS, [row], keys=("id",))


def end_dead(connection: Connection, limits: Mapping[str, Limit], lease_s: float) -> list[Opening]:
    """End the holds of servers that were not seen for `lease_s` seconds. Returns the requests that held them."""
    limit = counting.now_of(connection) - int(lease_s * 1_000_000)
    living = select(REPLICAS.c.id).where(REPLICAS.c.seen >= limit)
    bodies = connection.execute(select(HOLDS.c.body).where(HOLDS.c.replica.not_in(living))).scalars()
    dead = [msgspec.json.decode(body, type=Opening) for body in bodies]
    ended: list[Opening] = []
    if dead:
        keys = {(claim.limit, claim.subject) for one in dead for claim in one.claims}
        rows, _ = counting.lock(connection, keys)
        ended = expire(connection, dead)
        for one in ended:
            counting.unhold(limits, rows, one.claims)
        counting.store(connection, list(rows.values()))
    connection.execute(delete(REPLICAS).where(REPLICAS.c.seen < limit, REPLICAS.c.id != REDIS_LOST))
    return ended


def copied(one: LimitCounter) -> LimitCounter:
    return LimitCounter(one.limit, one.subject, one.period, one.full, one.spent, one.held)
