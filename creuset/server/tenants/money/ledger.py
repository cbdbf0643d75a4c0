"""The ledger: double entry, only ever added to, in whole millionths of a stated currency.

A request passes three steps. `reserve` moves what it may cost from what is available to what is reserved; `release`
moves that back, once; `charge` moves what it did cost from the accounts of income to those of spending, once. The
lines of a step add up to 0. A request is charged by its id, so it does not matter how often somebody says that it
ended, nor whether its reservation still stands: a hold that expired was released, and what was used is charged still.

    reserved/ORGANIZATION/PROJECT    what requests that run may cost; 0 when none runs
    available/ORGANIZATION/PROJECT   its other side
    spent/ORGANIZATION/PROJECT       what was charged
    income/MODEL                     its other side, one line for each kind of token
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from creuset.server.tenants.money.dialects import delete_rows, insert_rows
from creuset.server.tenants.money.tables import HOLDS, LEDGER, USAGE
from creuset.types.usage import TokenUsage

if TYPE_CHECKING:
    from creuset.server.tenants.money.counting import Place

MANY = 400  # ids in one statement


class LimitClaim(msgspec.Struct, array_like=True):
    """What a request has reserved of one limit."""

    limit: str
    subject: str
    amount: int
    period: int


class Opening(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A request that was let in. `amount`: what it may cost at most."""

    request: str
    at: int
    organization: str = ""
    project: str = ""
    user: str = ""
    service_account: str = ""
    key: str = ""
    groups: tuple[str, ...] = ()
    model: str
    kind: str = "completions"
    tier: str = "default"
    amount: int = 0
    currency: str = ""
    price: str = ""
    asked: str = ""  # the public name, where it is another than the model's
    target: str = ""
    country: str = ""
    operator: str = ""
    law: str = ""  # laws with commas between them
    claims: list[LimitClaim] = []
    charge_as: str = ""  # several requests with this name are attempts at one thing, which is charged once

    @property
    def charged_as(self) -> str:
        return self.charge_as or self.request

    def counted(self, places: "tuple[Place, ...]") -> "tuple[Place, ...]":
        """What it counts against: another attempt, `request#2`, was let in before and is no second request."""
        if "#" not in self.request:
            return places
        return tuple(one for one in places if one[0].what != "requests")


class Closing(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A request that ended. `usage` None: nothing is charged."""

    opening: Opening
    status: str
    usage: TokenUsage | None = None
    lines: list[tuple[str, int, int]] = []  # item, tokens, cost
    estimated: bool = False  # the usage was not told, but estimated

    @property
    def cost(self) -> int:
        return sum(amount for *_, amount in self.lines)


USAGE_NAMES = (
    "request", "at", "organization", "project", "user", "service_account", "key", "groups", "model", "kind", "tier",
    "input", "cached", "cache_write", "output", "reasoning", "cost", "currency", "price", "status", "estimated",
    "asked", "target", "country", "operator", "law",
)  # fmt: skip
LEDGER_NAMES = ("request", "step", "account", "item", "at", "amount", "quantity", "currency", "price")
HOLD_NAMES = ("request", "replica", "at", "body")
Values = tuple[Any, ...]


def usage_row(closing: Closing, usage: TokenUsage) -> Values:
    one = closing.opening
    return (
        one.charged_as, one.at, one.organization, one.project, one.user, one.service_account, one.key,
        "".join(f"{group}," for group in one.groups), one.model, one.kind, one.tier, usage.input, usage.cached,
        usage.cache_write, usage.output, usage.reasoning, closing.cost, one.currency, one.price, closing.status,
        closing.estimated, one.asked, one.target, one.country, one.operator, one.law,
    )  # fmt: skip


def _line(one: Opening, step: str, account: str, amount: int, item: str = "", quantity: int = 0) -> Values:
    request = one.charged_as if step == "charge" else one.request
    return request, step, account, item, one.at, amount, quantity, one.currency, one.price


def moved(one: Opening, step: str, amount: int) -> list[Values]:
    """The two lines of `reserve`, or with `-amount` of `release`."""
    if not amount:
        return []
    whose = f"{one.organization}/{one.project}"
    return [_line(one, step, f"reserved/{whose}", amount), _line(one, step, f"available/{whose}", -amount)]


def charged(closing: Closing) -> list[Values]:
    one, cost = closing.opening, closing.cost
    if not cost:
        return []
    income = f"income/{one.model}"
    lines = [_line(one, "charge", f"spent/{one.organization}/{one.project}", cost)]
    return lines + [_line(one, "charge", income, -part, item, count) for item, count, part in closing.lines]


def record(
    connection: Connection, openings: Sequence[Opening], closings: Sequence[Closing], replica: str, *, sure: bool
) -> tuple[set[str], set[str]]:
    """Write what happened, once. Returns the requests whose reservation was released now, and those charged now.

    `sure`: nothing of it can have been written before, and each closing's hold stands; so nothing is looked up. Of an
    attempt at something that was perhaps charged already, nobody can be sure.
    """
    sure = sure and not any(one.opening.charge_as for one in closings)
    begun = {one.request for one in openings}
    ended = {one.opening.request: one for one in closings}
    lines: list[Values] = []
    if sure:
        kept, opened = begun - ended.keys(), set(ended)
        new = {id for id, one in ended.items() if one.usage is not None}
        dropped = ended.keys() - begun
        if dropped:
            delete_rows(connection, HOLDS, "request", sorted(dropped))
    else:
        stale = set(_present(connection, HOLDS.c.request, begun))
        stale |= set(_present(connection, LEDGER.c.request, begun, LEDGER.c.step == "reserve"))
        openings = [one for one in openings if one.request not in stale]
        begun -= stale
        kept = begun - ended.keys()
        opened = (_drop(connection, ended) | begun) & ended.keys()
        spoken = {id for id, one in ended.items() if one.usage is not None}
        names = {ended[id].opening.charged_as: id for id in sorted(spoken)}  # of two attempts, one
        new = {names[name] for name in names.keys() - set(_present(connection, USAGE.c.request, names))}
    for one in openings:
        lines += moved(one, "reserve", one.amount)
    for id in opened:
        lines += moved(ended[id].opening, "release", -ended[id].opening.amount)
    for id in new:
        lines += charged(ended[id])
    if kept:
        encode = msgspec.json.encode
        rows = [(one.request, replica, one.at, encode(one).decode()) for one in openings if one.request in kept]
        insert_rows(connection, HOLDS, HOLD_NAMES, rows)
    if new:
        used = [(one, one.usage) for one in (ended[id] for id in new) if one.usage is not None]
        insert_rows(connection, USAGE, USAGE_NAMES, [usage_row(one, usage) for one, usage in used])
    if lines:
        insert_rows(connection, LEDGER, LEDGER_NAMES, lines)
    return opened, new


def expire(connection: Connection, openings: Sequence[Opening]) -> list[Opening]:
    """Release the holds of requests whose server died. Returns those that stood until now."""
    gone = _drop(connection, [one.request for one in openings])
    found = [one for one in openings if one.request in gone]
    lines = [line for one in found for line in moved(one, "expire", -one.amount)]
    if lines:
        insert_rows(connection, LEDGER, LEDGER_NAMES, lines)
    return found


def _drop(connection: Connection, requests: Iterable[str]) -> set[str]:
    """Delete these holds. Returns those that were there."""
    found: set[str] = set()
    for some in _pieces(requests):
        query = delete(HOLDS).where(HOLDS.c.request.in_(some)).returning(HOLDS.c.request)
        found.update(connection.execute(query).scalars())
    return found


def _present(connection: Connection, column: Any, requests: Iterable[str], *where: Any) -> Iterable[str]:
    for some in _pieces(requests):
        yield from connection.execute(select(column).where(column.in_(some), *where)).scalars()


def _pieces(requests: Iterable[str]) -> Iterable[list[str]]:
    every = sorted(requests)
    for at in range(0, len(every), MANY):
        yield every[at : at + MANY]
