"""`creuset privacy`: retention, legal holds, export and erasure of people, and their signed receipts.

Exit codes: 0 done, 2 what was asked cannot be, 3 a receipt that does not hold.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from creuset.cli.numbers import integer
from creuset.cli.tenants.directory import Row, add_place, named, opened, organization_of, tell
from creuset.cli.tenants.protect import add_master, protect_settings
from creuset.core.errors import ConfigError, DataError
from creuset.server.protect.privacy import erase, holds
from creuset.server.protect.privacy.export import export_user
from creuset.server.protect.privacy.receipts import make_signing_key, public_of, verify
from creuset.server.protect.privacy.retention import MONEY_FLOOR_DAYS, drop_old_money, wipe
from creuset.server.protect.privacy.rules import WHOLE, rules_of, set_rules
from creuset.server.protect.tables import ERASURES
from creuset.server.tenants.directory import tables
from creuset.server.tenants.directory.audit import COMMAND_LINE
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.rows import every

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from creuset.server.protect.protection import Protection

KINDS = {"user": (tables.USERS, "email"), "project": (tables.PROJECTS, "name")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="action")
    add = verbs.add_parser
    rules = add("rules", help="show or set how long content is kept, and where requests may be answered")
    rules.add_argument("project", nargs="?", metavar="PROJECT", help="(default: the whole organization)")
    rules.add_argument("--days", type=integer("[1, 36500]"), metavar="N", help="delete content after so many days")
    rules.add_argument("--for-ever", action="store_true", help="delete nothing by age")
    rules.add_argument("--keep", choices=("nothing", "something"), help="`nothing`: zero retention")
    for name, what in (("country", "FR"), ("operator", "NAME"), ("law", "EU")):
        rules.add_argument(
            f"--{name}", action="append", default=[], metavar=what,
            help=f"answer only where the {name} is this; repeated; `any` takes it back",
        )  # fmt: skip
    rules.add_argument("--guards", type=Path, metavar="FILE", help="guards of this project (docs/guides/officer.md)")
    hold = add("hold", help="place a legal hold: nothing of it is deleted until it is lifted")
    hold.add_argument("kind", choices=("user", "project", "organization"))
    hold.add_argument("subject", nargs="?", metavar="NAME", help="an address, a project, or the id of either")
    hold.add_argument("--reason", required=True, metavar="TEXT")
    lift = add("lift", help="lift a legal hold; what was deleted under it is deleted now")
    lift.add_argument("hold", metavar="ID")
    shown = add("holds", help="legal holds")
    export = add("export", help="everything that is kept of a person, as JSON on stdout")
    export.add_argument("user", metavar="ADDRESS")
    erased = add("erase", help="erase a person, or what was said in a project; prints a signed receipt")
    erased.add_argument("kind", choices=("user", "project"))
    erased.add_argument("subject", metavar="NAME")
    erased.add_argument("--yes", action="store_true", help="do it: it cannot be undone")
    close = add("close", help="close the organization: its keys stop, and it is erased within 21 days")
    close.add_argument("--days", type=integer("[0, 21]"), default=erase.MOST_DAYS, metavar="N")
    close.add_argument("--reopen", action="store_true", help="take it back, before it was erased")
    swept = add("sweep", help="delete what is too old now, and erase what is due (a server does it every hour)")
    receipt = add("receipt", help="list, print or verify receipts of erasures")
    receipt.add_argument("receipt", nargs="?", metavar="ID|FILE", help="an id to print, a file to verify")
    receipt.add_argument("--key", metavar="HEX", help="the public key that must have signed the file")
    receipt.add_argument("--public", action="store_true", help="print the public key of this server's receipts")
    money = add("drop-money", help=f"delete lines of usage and money older than {MONEY_FLOOR_DAYS} days or more")
    money.add_argument("--days", type=integer("[1, 36500]"), required=True, metavar="N")
    for one in (rules, hold, lift, shown, export, erased, close, swept, receipt, money):
        add_place(one)
        add_master(one.add_argument)


def main(args: argparse.Namespace) -> int:
    return {
        "rules": _rules, "hold": _hold, "lift": _lift, "holds": _holds, "export": _export, "erase": _erase,
        "close": _close, "sweep": _sweep, "receipt": _receipt, "drop-money": _money,
    }[args.action](args)  # fmt: skip


@contextmanager
def protected(args: argparse.Namespace) -> "Iterator[Protection]":
    """The directory that `args` name, and what protects it."""
    from creuset.server.protect.protection import protection_of

    with opened(args) as directory:
        database = directory.database
        yield protection_of(protect_settings(args, database.url), database, directory)


def _change(protection: "Protection", work: object) -> Row:
    assert protection.directory is not None
    return protection.directory.change(COMMAND_LINE, work)  # type: ignore[arg-type]


def _subject(connection: "Connection", organization: str, kind: str, given: str | None) -> str:
    if kind == "organization":
        return organization
    if given is None:
        raise ConfigError(f"which {kind}? name it")
    table, column = KINDS[kind]
    return str(named(every(connection, table, organization), given, kind, column)["id"])


def _rules(args: argparse.Namespace) -> int:
    values: Row = {}
    if args.days is not None or args.for_ever:
        values["days"] = args.days
    if args.keep is not None:
        values["keeps"] = args.keep == "something"
    if args.guards is not None:
        from creuset.server.protect.guards.settings import read_guards

        values["guards"] = read_guards(args.guards)
    asked = {"countries": args.country, "operators": args.operator, "laws": args.law}

    def work(change: Change) -> Row:
        organization = organization_of(change.connection, args.organization)
        project = WHOLE if args.project is None else _subject(change.connection, organization, "project", args.project)
        found = rules_of(change.connection, organization, project)
        if any(asked.values()):
            before = {} if found.demand is None else {n: getattr(found.demand, n) for n in asked}
            after = before | {n: None if "any" in v else v for n, v in asked.items() if v}
            values["demand"] = after if any(after.values()) else None
        if values:
            found = set_rules(change, organization, project, **values)
        import msgspec

        shown: Row = msgspec.to_builtins(found)
        return shown or {"rules": "none"}

    with protected(args) as protection:
        tell(args, _change(protection, work))
    return 0


def _hold(args: argparse.Namespace) -> int:
    def work(change: Change) -> Row:
        organization = organization_of(change.connection, args.organization)
        subject = _subject(change.connection, organization, args.kind, args.subject)
        return holds.place_hold(change, organization, args.kind, subject, args.reason)

    with protected(args) as protection:
        tell(args, _change(protection, work))
    return 0


def _lift(args: argparse.Namespace) -> int:
    def work(change: Change) -> Row:
        return holds.lift_hold(change, organization_of(change.connection, args.organization), args.hold)

    with protected(args) as protection:
        tell(args, _change(protection, work))
        wipe(protection.database.engine)
    return 0


def _holds(args: argparse.Namespace) -> int:
    with protected(args) as protection, protection.database.reading() as connection:
        tell(args, holds.holds_of(connection, organization_of(connection, args.organization)))
    return 0


def _export(args: argparse.Namespace) -> int:
    def work(change: Change) -> Row:
        organization = organization_of(change.connection, args.organization)
        user = _subject(change.connection, organization, "user", args.user.lower())
        change.audit(organization, "user.exported", {"id": user})
        return {"organization": organization, "user": user}

    with protected(args) as protection:
        found = _change(protection, work)
        with protection.database.reading() as connection:
            print(json.dumps(export_user(connection, protection.vault, **found), indent=2, default=str))
    return 0


def _erase(args: argparse.Namespace) -> int:
    if not args.yes:
        raise ConfigError(f"erasing {args.subject} cannot be undone", hint="say --yes to do it")

    with protected(args) as protection:
        key = protection.signing_key

        def work(change: Change) -> Row:
            organization = organization_of(change.connection, args.organization)
            subject = _subject(change.connection, organization, args.kind, args.subject)
            how = erase.erase_user if args.kind == "user" else erase.erase_project
            return how(change, organization, subject, key)

        receipt = _change(protection, work)
        wipe(protection.database.engine)
    print(json.dumps(receipt, indent=2))
    return 0


def _close(args: argparse.Namespace) -> int:
    def work(change: Change) -> Row:
        organization = organization_of(change.connection, args.organization)
        if args.reopen:
            erase.reopen_organization(change, organization)
            return {"organization": organization, "closed": False}
        row = erase.close_organization(change, organization, args.days)
        return {"organization": organization, "closed": True, "erased_by": row["due"], "receipt": row["id"]}

    with protected(args) as protection:
        tell(args, _change(protection, work))
    return 0


def _sweep(args: argparse.Namespace) -> int:
    with protected(args) as protection:
        print(json.dumps(protection.sweep(), indent=2))
    return 0


def _receipt(args: argparse.Namespace) -> int:
    if args.receipt is not None and Path(args.receipt).is_file():
        try:
            found = json.loads(Path(args.receipt).read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"`{args.receipt}` is no JSON: {error}") from None
        verify(found, args.key)
        print(f"the receipt holds: {found['what']} {found['subject']} was erased, signed by {found['public_key']}")
        if args.key is None:
            print("compare that key with the one of the server: creuset privacy receipt --public", file=sys.stderr)
        return 0
    with protected(args) as protection, protection.database.reading() as connection:
        if args.public:
            assert protection.settings.signing is not None
            print(public_of(make_signing_key(protection.settings.signing)))
        elif args.receipt is not None:
            print(json.dumps(_one_receipt(connection, args.receipt), indent=2))
        else:
            rows = connection.execute(ERASURES.select().order_by(ERASURES.c.asked)).mappings()
            tell(args, [{n: row[n] for n in ("id", "kind", "subject", "asked", "due", "done")} for row in rows])
    return 0


def _one_receipt(connection: "Connection", id: str) -> Row:
    """By its id alone: the organization may be gone."""
    from creuset.server.tenants.directory.rows import from_json

    row = connection.execute(ERASURES.select().where(ERASURES.c.id == id)).mappings().first()
    found: Row | None = None if row is None else from_json(row["receipt"])
    if found is None:
        raise ConfigError(f"there is no receipt `{id}`" if row is None else f"`{id}` is not erased yet")
    return found


def _money(args: argparse.Namespace) -> int:
    def work(change: Change) -> Row:
        organization = organization_of(change.connection, args.organization)
        found = dict(drop_old_money(change.connection, organization, args.days, change.now))
        change.audit(organization, "organization.updated", {"id": organization, "changes_requested": {"money": found}})
        return found

    with protected(args) as protection:
        tell(args, _change(protection, work))
    return 0
