"""`creuset budgets`: how much money keys, people, groups, projects and organizations may spend, and who is told.

A request is let in when what it may cost at most fits in every budget it counts against. Exit codes: 0 done, 2 what
was asked cannot be.
"""

import argparse
from collections.abc import Sequence

from creuset.cli.tenants.directory import Row, add_place, tell
from creuset.cli.tenants.limits import WINDOWS, remove, shown
from creuset.cli.tenants.money import add_subject, opened_books, subject_of
from creuset.core.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="action")
    change = verbs.add_parser("set", help="a budget, in the place of one for the same window")
    add_subject(change)
    change.add_argument("--amount", required=True, metavar="MONEY", help="such as 50 or 12.50")
    change.add_argument("--currency", default="USD", metavar="CODE", help="that of the prices (default: %(default)s)")
    change.add_argument(
        "--per", choices=WINDOWS, default="month", help="of the calendar; total is never renewed (default: %(default)s)"
    )
    change.add_argument("--zone", default="UTC", metavar="NAME", help="of the calendar, such as Europe/Paris")
    change.add_argument(
        "--alert", action="append", type=int, default=[], metavar="PERCENT", help="tell when so much is spent; repeated"
    )
    change.add_argument("--webhook", default="", metavar="URL", help="where alerts are sent, as JSON")
    change.add_argument(
        "--mail-to", action="append", default=[], metavar="ADDRESS", help="who gets alerts by mail (see serve --mail)"
    )
    listed = verbs.add_parser("list", help="budgets, what is spent of them, and their alerts")
    gone = verbs.add_parser("remove", help="a budget and its alerts")
    gone.add_argument("id", metavar="ID")
    for one in (listed, gone):
        add_place(one)


def main(args: argparse.Namespace) -> int:
    return {"set": _set, "list": _list, "remove": remove}[args.action](args)


def _set(args: argparse.Namespace) -> int:
    from sqlalchemy import delete

    from creuset.server.tenants.audited import MoneyAudit
    from creuset.server.tenants.money.limits import Limit
    from creuset.server.tenants.money.prices import parse_money
    from creuset.server.tenants.money.rules import Channel, SpendAlert, add_alert, set_limit
    from creuset.server.tenants.money.tables import ALERTS

    try:
        amount = parse_money(args.amount)
    except ValueError as error:
        raise ConfigError(f"--amount: {error}") from None
    channel = Channel(webhook=args.webhook, mail=tuple(args.mail_to))
    if args.alert and not (args.webhook or args.mail_to):
        raise ConfigError("an alert needs somewhere to go", hint="give --webhook or --mail-to")
    with opened_books(args) as (database, organization):
        kind, subject = subject_of(args, database, organization)
        limit = Limit(
            id="", organization=organization, kind=kind, subject=subject, model=args.model, what="money",
            window=args.per, zone=args.zone, amount=amount, currency=args.currency.upper(),
        )  # fmt: skip
        with database.transaction() as connection:
            made, audit = set_limit(connection, limit), MoneyAudit(organization)
            audit.limit(connection, made)
            if args.alert:
                connection.execute(delete(ALERTS).where(ALERTS.c.limit == made.id))
            for share in args.alert:
                alert = SpendAlert(id="", organization=organization, limit=made.id, share=share, channel=channel)
                audit.alert(connection, add_alert(connection, alert), made)
            tell(args, _shown(made, 0, args.alert))
    return 0


def _list(args: argparse.Namespace) -> int:
    from sqlalchemy import select

    from creuset.server.tenants.money.rules import find_alerts, find_limits
    from creuset.server.tenants.money.tables import COUNTERS
    from creuset.server.tenants.money.windows import calendar_window, now_us

    rows: list[Row] = []
    with opened_books(args) as (database, organization), database.reading() as connection:
        alerts = find_alerts(connection, organization)
        for limit in find_limits(connection, organization, what="money"):
            begin, _ = calendar_window(limit.window, limit.zone, now_us())
            mine = select(COUNTERS).where(COUNTERS.c.limit == limit.id, COUNTERS.c.period >= begin)
            told = [one.share or f"at {one.threshold}" for one in alerts if one.limit == limit.id]
            found = connection.execute(mine).all()
            rows += [_shown(limit, row.spent, told) | {"subject": row.subject} for row in found] or [
                _shown(limit, 0, told)
            ]
    tell(args, rows)
    return 0


def _shown(limit: object, spent: int, alerts: Sequence[object]) -> Row:
    from creuset.server.tenants.money.prices import as_money

    row = shown(limit)
    del row["burst"]
    money = {} if row["amount"] is None else {"budget": as_money(row["amount"], row["currency"])}
    return row | money | {"spent": as_money(spent, row["currency"]), "alerts": ", ".join(f"{one} %" for one in alerts)}
