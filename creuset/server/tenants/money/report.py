"""What was used and what it cost, added up: in buckets of time, by project, person, key, model; and as FOCUS rows.

FOCUS is the FinOps Foundation's form for bills of clouds (focus.finops.org, 1.0); the columns that it requires are all
there, and empty where they do not apply.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, func, literal, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql import ColumnElement

from creuset.server.tenants.money.prices import MICRO
from creuset.server.tenants.money.tables import LEDGER, USAGE
from creuset.server.tenants.money.windows import SECONDS, US, as_iso, calendar_window

WIDTHS = {"1m": SECONDS["minute"], "1h": SECONDS["hour"], "1d": SECONDS["day"]}
BATCH = USAGE.c.tier == "batch"
LINE_ITEM = USAGE.c.model + ", " + LEDGER.c.item
FIELDS: Mapping[str, Any] = {
    "project_id": USAGE.c.project, "user_id": USAGE.c.user, "api_key_id": USAGE.c.key, "model": USAGE.c.model,
    "batch": BATCH, "service_tier": USAGE.c.tier, "line_item": LINE_ITEM, "service_account_id": USAGE.c.service_account,
}  # fmt: skip
COUNTS = ("input", "cached", "cache_write", "output", "reasoning")
FOCUS = (
    "AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
    "ChargePeriodStart", "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName",
    "CommitmentDiscountStatus", "CommitmentDiscountType", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
    "ContractedUnitPrice", "EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory",
    "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId",
    "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "SkuId", "SkuPriceId", "SubAccountId",
    "SubAccountName", "Tags",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageQuery:
    """Which requests: of one organization, that came from `start` to before `end` (microseconds)."""

    organization: str
    start: int
    end: int
    width: int = SECONDS["day"]  # seconds of a bucket; 0: all in one
    by: tuple[str, ...] = ()  # names of FIELDS
    kinds: tuple[str, ...] = ()
    only: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # name of FIELDS -> values

    @property
    def bucket(self) -> ColumnElement[int]:
        return (USAGE.c.at - self.start) // literal(self.width * US) if self.width else literal(0)

    def where(self) -> ColumnElement[bool]:
        found = [USAGE.c.organization == self.organization, USAGE.c.at >= self.start, USAGE.c.at < self.end]
        if self.kinds:
            found.append(USAGE.c.kind.in_(self.kinds))
        found += [FIELDS[name].in_(values) for name, values in self.only.items()]
        return and_(*found)


Row = dict[str, Any]


def usage(connection: Connection, query: UsageQuery) -> list[Row]:
    """Sums of tokens, of requests and of costs. Each row has its `bucket`, from 0 on, and what it is grouped by."""
    groups = [query.bucket.label("bucket"), *(FIELDS[name].label(name) for name in query.by)]
    sums = [func.sum(USAGE.c[name]).label(name) for name in (*COUNTS, "cost")]
    asked = select(*groups, USAGE.c.currency, func.count().label("requests"), *sums).where(query.where())
    rows = connection.execute(asked.group_by(*groups, USAGE.c.currency).order_by(*groups)).mappings()
    return [_whole(row) for row in rows]


def costs(connection: Connection, query: UsageQuery) -> list[Row]:
    """Sums of the ledger's charges: `amount` in millionths, and `quantity` in tokens."""
    groups = [query.bucket.label("bucket"), *(FIELDS[name].label(name) for name in query.by)]
    sums = [func.sum(-LEDGER.c.amount).label("amount"), func.sum(LEDGER.c.quantity).label("quantity")]
    source = LEDGER.join(USAGE, USAGE.c.request == LEDGER.c.request)
    asked = select(*groups, LEDGER.c.currency, *sums).select_from(source)
    asked = asked.where(query.where(), LEDGER.c.step == "charge", LEDGER.c.item != "")
    rows = connection.execute(asked.group_by(*groups, LEDGER.c.currency).order_by(*groups)).mappings()
    return [_whole(row) for row in rows]


def _whole(row: Any) -> Row:
    """Sums of PostgreSQL are decimals."""
    numbers = {*COUNTS, "cost", "amount", "quantity", "requests", "bucket"}
    return {name: int(value or 0) if name in numbers else value for name, value in row.items()}


def focus(connection: Connection, query: UsageQuery, provider: str) -> list[Row]:
    """One row for each day, project, person, key, model, kind of token and version of a price."""
    columns = {
        "project": USAGE.c.project, "user": USAGE.c.user, "account": USAGE.c.service_account, "key": USAGE.c.key,
        "model": USAGE.c.model, "tier": USAGE.c.tier, "item": LEDGER.c.item, "price": LEDGER.c.price,
    }  # fmt: skip
    groups = [query.bucket.label("bucket"), *(column.label(name) for name, column in columns.items())]
    sums = [func.sum(-LEDGER.c.amount).label("amount"), func.sum(LEDGER.c.quantity).label("quantity")]
    source = LEDGER.join(USAGE, USAGE.c.request == LEDGER.c.request)
    asked = select(*groups, LEDGER.c.currency.label("currency"), *sums).select_from(source)
    asked = asked.where(query.where(), LEDGER.c.step == "charge", LEDGER.c.item != "")
    rows = connection.execute(asked.group_by(*groups, LEDGER.c.currency).order_by(*groups)).mappings()
    return [_focus_row(query, provider, _whole(row)) for row in rows]


def _focus_row(query: UsageQuery, provider: str, row: Row) -> Row:
    begin = query.start + row["bucket"] * query.width * US
    month = calendar_window("month", "UTC", begin)
    cost = decimal(row["amount"])
    unit = f"{row['amount'] / row['quantity']:.6f}" if row["quantity"] else ""
    told = {
        "BilledCost": cost, "EffectiveCost": cost, "ListCost": cost, "ContractedCost": cost,
        "BillingAccountId": query.organization, "BillingAccountName": query.organization,
        "BillingCurrency": row["currency"], "BillingPeriodStart": as_iso(month[0]),
        "BillingPeriodEnd": as_iso(month[1]),
        "ChargeCategory": "Usage", "ChargeDescription": f"{row['model']}, {row['item']} tokens",
        "ChargeFrequency": "Usage-Based", "ChargePeriodStart": as_iso(begin),
        "ChargePeriodEnd": as_iso(begin + query.width * US), "ConsumedQuantity": row["quantity"],
        "ConsumedUnit": "Tokens", "PricingQuantity": decimal(row["quantity"]), "PricingUnit": "1000000 Tokens",
        "ListUnitPrice": unit, "ContractedUnitPrice": unit, "PricingCategory": "Standard", "ProviderName": provider,
        "PublisherName": provider, "InvoiceIssuerName": provider, "ResourceId": row["model"],
        "ResourceName": row["model"], "ResourceType": "Model", "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "Inference", "SkuId": f"{row['model']}/{row['tier']}/{row['item']}", "SkuPriceId": row["price"],
        "SubAccountId": row["project"], "SubAccountName": row["project"],
        "Tags": json.dumps({"key": row["key"], "user": row["user"], "service_account": row["account"]}),
    }  # fmt: skip
    return {name: told.get(name, "") for name in FOCUS}


def decimal(amount: int) -> str:
    """Millionths as a decimal number, exactly."""
    whole, rest = divmod(abs(amount), MICRO)
    return f"{'-' if amount < 0 else ''}{whole}.{rest:06}"
