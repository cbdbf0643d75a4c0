"""`creuset usage` and `creuset costs`: what was used, and what it cost, from the ledger.

stdout gets a table, JSON, or CSV in the form of FOCUS 1.0. Exit codes: 0 done, 2 what was asked cannot be.
"""

import argparse
import csv
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from creuset.cli.tenants.directory import Row, add_place, tell
from creuset.cli.tenants.money import opened_books
from creuset.core.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from creuset.server.tenants.money.report import UsageQuery

BY = {
    "project": "project_id", "user": "user_id", "account": "service_account_id", "key": "api_key_id", "model": "model",
    "tier": "service_tier", "item": "line_item",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    costs = parser.prog.endswith("costs")
    parser.add_argument(
        "--since", metavar="DAY", help="the first day, in UTC: 2026-05-01 (default: the first of this month)"
    )
    parser.add_argument("--until", metavar="DAY", help="the last day (default: today)")
    parser.add_argument(
        "--by", action="append", metavar="WHAT", choices=[one for one in BY if costs or one != "item"],
        help=f"add up for each {', '.join(one for one in BY if costs or one != 'item')}; repeated (default: model)",
    )  # fmt: skip
    parser.add_argument("--daily", action="store_true", help="a row for each day")
    if not costs:
        parser.add_argument(
            "--deprecated", action="store_true",
            help="who still asks for names that are deprecated or have ended, by key and day, since --since",
        )  # fmt: skip
    if costs:
        parser.add_argument("--csv", action="store_true", help="FOCUS 1.0: a row for each day and kind of token")
        parser.add_argument(
            "--provider", default="creuset", metavar="NAME", help="who sells, in the CSV (default: %(default)s)"
        )
        party = "NAME|STREET|POSTCODE|CITY|COUNTRY, and perhaps |VAT NUMBER|SIRET"
        parser.add_argument("--invoice", metavar="NUMBER", help="the XML of a Factur-X invoice (BASIC) of these days")
        parser.add_argument("--seller", metavar="PARTY", help=f"who sells: {party}")
        parser.add_argument("--buyer", metavar="PARTY", help=f"who buys: {party}")
        parser.add_argument("--vat", metavar="PERCENT", help="the rate of VAT: 20")
        parser.add_argument("--due-days", type=int, default=30, metavar="N", help="days to pay (default: %(default)s)")
    add_place(parser)


def main(args: argparse.Namespace) -> int:
    from creuset.server.tenants.money.prices import as_money
    from creuset.server.tenants.money.report import costs, focus, usage

    with opened_books(args) as (database, organization), database.reading() as connection:
        query = _query(args, organization)
        if args.verb == "usage" and args.deprecated:
            _deprecated(args, connection, organization, query)
            return 0
        if args.verb == "usage":
            rows = usage(connection, query)
        elif args.invoice is not None:
            sys.stdout.write(_invoice(args, connection, query))
            return 0
        elif args.csv:
            _csv(focus(connection, query, args.provider))
            return 0
        else:
            rows = costs(connection, query)
    found = []
    for row in rows:
        day = {"day": _day(query.start, row["bucket"])} if args.daily else {}
        amount = row.pop("cost", row.pop("amount", 0))
        money = {"cost": as_money(amount, row["currency"] or "-"), "millionths": amount}
        rest = {name: value for name, value in row.items() if name not in ("bucket", "currency")}
        found.append(day | rest | (money if args.json else {"cost": money["cost"]}))
    if args.json:
        tell(args, found)
    else:
        _table(found)
    return 0


def _deprecated(args: argparse.Namespace, connection: "Connection", organization: str, query: "UsageQuery") -> None:
    from creuset.server.routes.callers import read_calls

    first = int(_day(query.start, 0).replace("-", ""))
    names = ("name", "day", "project", "user", "service_account", "key", "calls", "refused")
    rows = [{name: row[name] for name in names} for row in read_calls(connection, organization, first)]
    if args.json:
        tell(args, rows)
    else:
        _table(rows)


def _invoice(args: argparse.Namespace, connection: "Connection", query: "UsageQuery") -> str:
    from creuset.server.accounting.invoice import Invoice, TradeParty, as_xml, lines_of
    from creuset.server.tenants.money.report import costs

    for name in ("seller", "buyer", "vat"):
        if getattr(args, name) is None:
            raise ConfigError(f"--invoice needs --{name}")
    parties = []
    for name in ("seller", "buyer"):
        parts = [part.strip() for part in getattr(args, name).split("|")]
        if not 5 <= len(parts) <= 7:
            raise ConfigError(f"--{name} has five to seven parts with | between them, got {len(parts)}")
        parties.append(TradeParty(*parts))
    rows = costs(connection, replace(query, width=0, by=("line_item",)))
    first = datetime.fromtimestamp(query.start // 1_000_000, UTC).date()
    last = datetime.fromtimestamp(query.end // 1_000_000, UTC).date() - timedelta(days=1)
    today = datetime.now(UTC).date()
    currency = next((row["currency"] for row in rows if row["amount"]), "")
    return as_xml(
        Invoice(
            number=args.invoice, day=today, first=first, last=last, due=today + timedelta(days=args.due_days),
            currency=currency, seller=parties[0], buyer=parties[1], vat_percent=args.vat, lines=lines_of(rows),
        )
    ).decode()  # fmt: skip


def _query(args: argparse.Namespace, organization: str) -> "UsageQuery":
    from creuset.server.tenants.money.report import UsageQuery

    today = datetime.now(UTC).date()
    first, last = _date(args.since, "--since", today.replace(day=1)), _date(args.until, "--until", today)
    if last < first:
        raise ConfigError(f"--until {last} is before --since {first}")
    start, end = (int(datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp()) * 1_000_000
                  for d in (first, last + timedelta(days=1)))  # fmt: skip
    daily = args.daily or (args.verb == "costs" and args.csv)
    by = tuple(dict.fromkeys(BY[one] for one in (args.by or ["model"])))
    return UsageQuery(organization=organization, start=start, end=end, width=86_400 if daily else 0, by=by)


def _date(given: str | None, name: str, plain: date) -> date:
    try:
        return plain if given is None else date.fromisoformat(given)
    except ValueError:
        raise ConfigError(f"{name} must be a day such as 2026-05-01, got `{given}`") from None


def _day(start: int, bucket: int) -> str:
    return (datetime.fromtimestamp(start // 1_000_000, UTC) + timedelta(days=bucket)).date().isoformat()


def _csv(rows: list[Row]) -> None:
    from creuset.server.tenants.money.report import FOCUS

    writer = csv.DictWriter(sys.stdout, FOCUS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _table(rows: list[Row]) -> None:
    if not rows:
        print("nothing was used")
        return
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    left = [not isinstance(value, int) for value in rows[0].values()]
    for row in cells:
        line = (
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(row, widths, left, strict=True)
        )
        print("  ".join(line).rstrip())
