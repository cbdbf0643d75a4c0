"""`creuset keys`: API keys of the people and programs of a directory, on the machine of the server.

stdout gets a new key, once. Exit codes: 0 done, 2 what was asked cannot be.
"""

import argparse
import time

from creuset.cli.numbers import number
from creuset.cli.tenants.directory import Row, add_place, named, once, opened, organization_of, tell
from creuset.cli.tenants.people import project_named, user_named
from creuset.core.errors import ConfigError
from creuset.server.tenants.directory import tables
from creuset.server.tenants.directory.audit import COMMAND_LINE
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.keys import ADMIN, OPERATOR, PROJECT, issue, revoke, rotate
from creuset.server.tenants.directory.rows import every, from_json
from creuset.types.tenants import GRANTABLE, SCIM

DAY_S = 86_400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="action")
    create = verbs.add_parser("create", help="a key, printed once")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--user", metavar="ADDRESS", help="whose it is")
    create.add_argument("--account", metavar="NAME", help="the service account whose it is")
    create.add_argument("--project", metavar="NAME", help="where it works (default: the only one)")
    create.add_argument(
        "--kind", choices=(PROJECT, ADMIN, SCIM, OPERATOR), default=PROJECT,
        help="for models in a project; for administration; for a program that creates people; or for /metrics "
        "(default: %(default)s)",
    )  # fmt: skip
    create.add_argument(
        "--scope", action="append", metavar="SCOPE", choices=sorted(GRANTABLE),
        help=f"leave it no more than this; repeated: {', '.join(sorted(GRANTABLE))} (default: all that its owner may)",
    )  # fmt: skip
    create.add_argument("--only", action="append", metavar="MODEL", help="the models it may ask; repeated")
    create.add_argument("--address", action="append", metavar="CIDR", help="where it may be used from; repeated")
    create.add_argument("--days", type=number("(0, 36500]"), metavar="N", help="until it expires (default: never)")
    listed = verbs.add_parser("list", help="keys: what they may do, when they were used")
    listed.add_argument("--all", action="store_true", help="those that were revoked as well")
    change = verbs.add_parser("rotate", help="a new key in the place of an old one, which goes on for a while")
    change.add_argument("key", metavar="ID")
    change.add_argument(
        "--overlap-hours", type=number("[0, 8760]"), default=24, metavar="N",
        help="for which both work (default: %(default)s)",
    )  # fmt: skip
    stop = verbs.add_parser("revoke", help="stop a key, within a second")
    stop.add_argument("key", metavar="ID")
    for one in (create, listed, change, stop):
        add_place(one)


def main(args: argparse.Namespace) -> int:
    return {"create": _create, "list": _list, "rotate": _rotate, "revoke": _revoke}[args.action](args)


def _create(args: argparse.Namespace) -> int:
    if bool(args.user) == bool(args.account) and args.kind in (PROJECT, ADMIN):
        raise ConfigError("a key belongs to a person or to a service account", hint="give --user or --account")

    def work(change: Change) -> tuple[Row, str]:
        organization = organization_of(change.connection, args.organization)
        of: dict[str, str] = {}
        if args.user:
            of["user"] = user_named(change, organization, args.user)
        if args.account:
            rows = every(change.connection, tables.SERVICE_ACCOUNTS, organization)
            account = named(rows, args.account, "service account", "name")
            of |= {"service_account": account["id"], "project": account["project"]}
        elif args.kind == PROJECT:
            of["project"] = project_named(change, organization, args.project)
        return issue(
            change, organization, args.name, kind=args.kind, scopes=args.scope, addresses=args.address,
            models=args.only, expires=None if args.days is None else change.now + int(args.days * DAY_S), **of,
        )  # fmt: skip

    with opened(args) as directory:
        return _show(args, directory.change(COMMAND_LINE, work))


def _list(args: argparse.Namespace) -> int:
    shown = ("id", "name", "kind", "hint", "project", "user", "service_account")
    with opened(args) as directory, directory.database.reading() as connection:
        organization = organization_of(connection, args.organization)
        where = [] if args.all else [tables.KEYS.c.revoked.is_(None)]
        rows = every(connection, tables.KEYS, organization, *where, order=[tables.KEYS.c.created, tables.KEYS.c.id])
    lists = {name: [from_json(row[name]) for row in rows] for name in ("scopes", "addresses", "models")}
    times = ("created", "expires", "used", "revoked")
    found = [
        {name: row[name] for name in shown}
        | {name: values[at] for name, values in lists.items()}
        | {name: row[name] if args.json else _when(name, row[name]) for name in times}
        for at, row in enumerate(rows)
    ]
    tell(args, found)
    return 0


def _when(name: str, seconds: int | None) -> str:
    return "" if seconds is None else f"{name} {time.strftime('%Y-%m-%d', time.gmtime(seconds))}"


def _rotate(args: argparse.Namespace) -> int:
    def work(change: Change) -> tuple[Row, str]:
        organization = organization_of(change.connection, args.organization)
        return rotate(change, organization, args.key, overlap_s=int(args.overlap_hours * 3600))

    with opened(args) as directory:
        return _show(args, directory.change(COMMAND_LINE, work))


def _revoke(args: argparse.Namespace) -> int:
    def work(change: Change) -> Row:
        return revoke(change, organization_of(change.connection, args.organization), args.key)

    with opened(args) as directory:
        row = directory.change(COMMAND_LINE, work)
    tell(args, {"revoked": row["id"], "name": row["name"]})
    return 0


def _show(args: argparse.Namespace, made: tuple[Row, str]) -> int:
    row, secret = made
    tell(args, {"id": row["id"], "name": row["name"], "key": secret, "expires": row["expires"]}, secret)
    once("key")
    return 0
