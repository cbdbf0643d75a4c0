"""`creuset limits`: how many requests and tokens keys, people, groups, projects and organizations may use.

A running server has a change within half a second. Exit codes: 0 done, 2 what was asked cannot be.
"""

import argparse

from creuset.cli.numbers import integer
from creuset.cli.tenants.directory import Row, add_place, tell
from creuset.cli.tenants.money import add_subject, opened_books, subject_of
from creuset.core.errors import ConfigError

WINDOWS = ("minute", "hour", "day", "month", "total")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="action")
    change = verbs.add_parser("set", help="a limit, in the place of one on the same thing in the same window")
    add_subject(change)
    number = integer("[0, inf)")
    change.add_argument("--requests", type=number, metavar="N", help="requests in one window")
    change.add_argument("--tokens", type=number, metavar="N", help="tokens read and written in one window")
    change.add_argument("--at-a-time", type=number, metavar="N", help="requests that run at the same time")
    change.add_argument(
        "--per", choices=WINDOWS, default="minute",
        help="minute, hour and day slide; month and total count in the calendar of --zone (default: %(default)s)",
    )  # fmt: skip
    change.add_argument("--burst", type=number, metavar="N", help="what may come at once (default: a whole window's)")
    change.add_argument("--zone", default="UTC", metavar="NAME", help="of the calendar, such as Europe/Paris")
    listed = verbs.add_parser("list", help="limits that are set")
    remove = verbs.add_parser("remove", help="a limit or a budget")
    remove.add_argument("id", metavar="ID")
    for one in (listed, remove):
        add_place(one)


def main(args: argparse.Namespace) -> int:
    return {"set": _set, "list": _list, "remove": remove}[args.action](args)


def _set(args: argparse.Namespace) -> int:
    from creuset.server.tenants.audited import MoneyAudit
    from creuset.server.tenants.money.limits import Limit
    from creuset.server.tenants.money.rules import set_limit

    asked = {"requests": args.requests, "tokens": args.tokens, "concurrent": args.at_a_time}
    if all(value is None for value in asked.values()):
        raise ConfigError("a limit on what?", hint="give --requests, --tokens or --at-a-time")
    with opened_books(args) as (database, organization):
        kind, subject = subject_of(args, database, organization)
        made = [
            Limit(
                id="", organization=organization, kind=kind, subject=subject, model=args.model, what=what,
                window="" if what == "concurrent" else args.per, amount=value,
                zone="UTC" if what == "concurrent" else args.zone, burst=None if what == "concurrent" else args.burst,
            )
            for what, value in asked.items()
            if value is not None
        ]  # fmt: skip
        with database.transaction() as connection:
            kept = [set_limit(connection, one) for one in made]
            for one in kept:
                MoneyAudit(organization).limit(connection, one)
            tell(args, [shown(one) for one in kept])
    return 0


def _list(args: argparse.Namespace) -> int:
    from creuset.server.tenants.money.rules import find_limits

    with opened_books(args) as (database, organization), database.reading() as connection:
        tell(args, [shown(one) for one in find_limits(connection, organization) if one.what != "money"])
    return 0


def remove(args: argparse.Namespace) -> int:
    from creuset.server.tenants.audited import MoneyAudit
    from creuset.server.tenants.money.rules import drop_limit, find_limits

    with opened_books(args) as (database, organization), database.transaction() as connection:
        found = find_limits(connection, organization, id=args.id)
        if not found or not drop_limit(connection, organization, args.id):
            raise ConfigError(f"there is no limit `{args.id}`", hint="see `creuset limits list`")
        MoneyAudit(organization).limit(connection, found[0], gone=True)
        tell(args, {"id": args.id, "removed": True}, f"removed {args.id}")
    return 0


def shown(limit: object) -> Row:
    from creuset.server.tenants.money.limits import Limit

    names = ("id", "kind", "subject", "model", "what", "window", "amount", "burst", "currency", "zone")
    assert isinstance(limit, Limit)
    values = limit.row()
    return {name: values[name] for name in names}
