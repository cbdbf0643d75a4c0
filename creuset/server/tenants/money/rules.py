"""Limits, budgets, alerts and prices as they are set: read as a whole, changed one by one, in the database.

Each change raises the version, by which running servers notice it.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from secrets import token_hex
from typing import Any

import msgspec
from sqlalchemy import and_, delete, select, update
from sqlalchemy.engine import Connection

from creuset.core.errors import ConfigError
from creuset.server.tenants.money.dialects import insert_new, upsert
from creuset.server.tenants.money.limits import Limit, LimitCounter, rescale
from creuset.server.tenants.money.prices import Tariff
from creuset.server.tenants.money.tables import ALERTS, COUNTERS, LIMITS, PRICES, STATE


class Channel(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where an alert goes."""

    webhook: str = ""
    mail: tuple[str, ...] = ()
    subject_prefix: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpendAlert:
    """Tells when `threshold` was spent of what `limit` counts, or `share` percent of its amount."""

    id: str
    organization: str
    limit: str
    threshold: int = 0
    share: int | None = None
    channel: Channel
    created: int = 0

    def due(self, limit: Limit) -> int | None:
        """Millionths from which on it tells; None: never."""
        if self.share is None:
            return self.threshold
        return None if limit.amount is None else -(-limit.amount * self.share // 100)


@dataclass(frozen=True, kw_only=True, slots=True)
class MoneySettings:
    """All that is set."""

    version: int = 0
    limits: tuple[Limit, ...] = ()
    alerts: tuple[SpendAlert, ...] = ()
    prices: tuple[Tariff, ...] = ()  # an administrator's own


def version_of(connection: Connection) -> int:
    return int(connection.execute(select(STATE.c.version)).scalar() or 0)


def read_settings(connection: Connection) -> MoneySettings:
    version = version_of(connection)
    limits = tuple(Limit(**row) for row in connection.execute(select(LIMITS)).mappings())
    alerts = tuple(_alert(row) for row in connection.execute(select(ALERTS)).mappings())
    bodies = connection.execute(select(PRICES.c.body).where(PRICES.c.set)).scalars()
    prices = tuple(msgspec.json.decode(body, type=Tariff) for body in bodies)
    return MoneySettings(version=version, limits=limits, alerts=alerts, prices=prices)


def _alert(row: Any) -> SpendAlert:
    return SpendAlert(**{**row, "channel": msgspec.json.decode(row["channel"], type=Channel)})


def changed(connection: Connection) -> None:
    """Something was set: servers read it anew."""
    if not connection.execute(update(STATE).values(version=STATE.c.version + 1)).rowcount:
        insert_new(connection, STATE, [{"id": 1, "version": 1}])


def set_limit(connection: Connection, limit: Limit) -> Limit:
    """Set a limit, in the place of one on the same thing for the same subject. Returns it as it is kept."""
    same = ("organization", "kind", "subject", "model", "what", "window", "zone", "currency")
    mine = select(LIMITS).where(*(LIMITS.c[name] == getattr(limit, name) for name in same))
    found = connection.execute(mine).mappings().first()
    if found is not None:
        _rescale(connection, Limit(**found), limit)
    id = found["id"] if found is not None else limit.id or f"limit_{token_hex(12)}"
    values = limit.row() | {"id": id, "created": limit.created or _now()}
    upsert(connection, LIMITS, [values], keys=("id",))
    changed(connection)
    return Limit(**values)


def _rescale(connection: Connection, old: Limit, new: Limit) -> None:
    if not old.sliding:
        return
    for row in connection.execute(select(COUNTERS).where(COUNTERS.c.limit == old.id)).mappings().all():
        counter = LimitCounter(**row)
        rescale(old, new, counter, _now())
        mine = (COUNTERS.c.limit == old.id, COUNTERS.c.subject == counter.subject)
        connection.execute(update(COUNTERS).where(*mine).values(full=counter.full))


def drop_limit(connection: Connection, organization: str, id: str) -> bool:
    """Take a limit away, with its alerts. False: there is none with this id."""
    gone = connection.execute(delete(LIMITS).where(LIMITS.c.id == id, LIMITS.c.organization == organization)).rowcount
    if gone:
        connection.execute(delete(ALERTS).where(ALERTS.c.limit == id))
        connection.execute(delete(COUNTERS).where(COUNTERS.c.limit == id))
        changed(connection)
    return gone > 0


def find_limits(connection: Connection, organization: str, **where: str) -> list[Limit]:
    """The limits of an organization that agree with `where`, oldest first."""
    query = select(LIMITS).where(LIMITS.c.organization == organization, *(LIMITS.c[k] == v for k, v in where.items()))
    return [Limit(**row) for row in connection.execute(query.order_by(LIMITS.c.created, LIMITS.c.id)).mappings()]


def add_alert(connection: Connection, alert: SpendAlert) -> SpendAlert:
    if not alert.channel.webhook and not alert.channel.mail:
        raise ConfigError("an alert needs somewhere to go: a webhook or a mail address")
    if alert.channel.webhook and not alert.channel.webhook.startswith(("http://", "https://")):
        raise ConfigError(f"a webhook is an http or https address, got `{alert.channel.webhook}`")
    if alert.share is not None and not 1 <= alert.share <= 1000:
        raise ConfigError(f"the share of an alert must be between 1 and 1000 percent, got {alert.share}")
    values = asdict(alert) | {"id": alert.id or f"alert_{token_hex(12)}", "created": alert.created or _now()}
    row = values | {"channel": msgspec.json.encode(alert.channel).decode()}
    upsert(connection, ALERTS, [row], keys=("id",))
    changed(connection)
    return _alert(row)


def find_alerts(connection: Connection, organization: str) -> list[SpendAlert]:
    query = select(ALERTS).where(ALERTS.c.organization == organization).order_by(ALERTS.c.created, ALERTS.c.id)
    return [_alert(row) for row in connection.execute(query).mappings()]


def drop_alert(connection: Connection, organization: str, id: str) -> bool:
    mine = and_(ALERTS.c.id == id, ALERTS.c.organization == organization)
    gone = connection.execute(delete(ALERTS).where(mine)).rowcount
    if gone:
        changed(connection)
    return gone > 0


def set_prices(connection: Connection, prices: Sequence[Tariff]) -> None:
    """The administrator's own prices are these, and no others. Versions that were used stay known."""
    connection.execute(update(PRICES).values(set=False))
    if prices:
        upsert(connection, PRICES, [_price(one, True) for one in prices], keys=("version",))
    changed(connection)


def know_price(connection: Connection, price: Tariff) -> None:
    """Keep what a version of a price says, which lines of the ledger name."""
    insert_new(connection, PRICES, [_price(price, False)])


def _price(price: Tariff, set: bool) -> dict[str, Any]:
    return {"version": price.version, "since": _now(), "set": set, "body": msgspec.json.encode(price).decode()}


def _now() -> int:
    return time.time_ns() // 1000
