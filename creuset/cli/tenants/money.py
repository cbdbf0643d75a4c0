"""What the verbs of limits, budgets, prices, usage and costs share: the database, the organization, who is meant."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from creuset.cli.tenants.directory import add_place, named, organization_of, url_of
from creuset.core.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from creuset.server.database import Database

SUBJECTS = ("key", "user", "account", "group", "project", "organization")


def add_replicas(add: Callable[..., Any]) -> None:
    add(
        "--drain", type=float, default=20.0, metavar="SECONDS",
        help="after SIGTERM nothing new is taken, and what runs has so long to end (default: %(default)g)",
    )  # fmt: skip
    add(
        "--redis", default="", metavar="URL",
        help="where servers that share a PostgreSQL database count limits: redis://HOST, or unix:///SOCKET of Redis or "
        "Valkey (default: in the database)",
    )  # fmt: skip


def add_mail(add: Callable[..., Any]) -> None:
    add(
        "--mail", default="", metavar="URL",
        help="the mail server that gets alerts about budgets: smtp://user@mail.example.org:587; its password is "
        "taken from $CREUSET_MAIL_PASSWORD",
    )  # fmt: skip
    add(
        "--mail-sender", default="creuset@localhost", metavar="ADDRESS", help="who they are from (default: %(default)s)"
    )


def add_subject(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind", choices=SUBJECTS, help="of whom; a user by the mail address, the others by their names or ids"
    )
    parser.add_argument(
        "subject", metavar="NAME", nargs="?", default="",
        help="which one; `each` is every one of its kind, by itself; none for the organization",
    )  # fmt: skip
    parser.add_argument("--model", default="", metavar="NAME", help="counted for this model alone (default: for all)")
    add_place(parser)


@contextmanager
def opened_books(args: argparse.Namespace) -> "Iterator[tuple[Database, str]]":
    """The database that `args` name, and the organization in it. What is wrong is a ConfigError."""
    from creuset.server.database import Database
    from creuset.server.tenants.directory.directory import is_set_up
    from creuset.server.tenants.keys import ORGANIZATION

    database = Database(url_of(args))
    try:
        if is_set_up(database):
            with database.reading() as connection:
                organization = organization_of(connection, args.organization)
        else:
            organization = ORGANIZATION  # of a file of keys
        yield database, organization
    except RequestError as error:
        raise ConfigError(str(error), hint=error.hint) from None
    finally:
        database.close()


def subject_of(args: argparse.Namespace, database: "Database", organization: str) -> tuple[str, str]:
    """(kind, id) of whom `args` name, as callers have them."""
    from creuset.server.tenants.directory import tables
    from creuset.server.tenants.directory.directory import is_set_up
    from creuset.server.tenants.directory.rows import every
    from creuset.server.tenants.money.limits import EACH

    kind, given = args.kind.replace("account", "service_account"), args.subject
    if kind == "organization":
        if given not in ("", organization):
            raise ConfigError("limits of the organization name nobody else", hint="choose it with --organization")
        return kind, organization
    if not given:
        raise ConfigError(f"which {args.kind}?", hint="give its name, or `each`")
    if given == "each":
        return kind, EACH
    if not is_set_up(database):
        if kind != "key":
            raise ConfigError(
                f"a file of keys knows no {args.kind}s",
                hint="set limits of its keys by their names, or use a directory",
            )
        return kind, given
    table, column = {
        "key": (tables.KEYS, "name"), "user": (tables.USERS, "email"), "group": (tables.GROUPS, "name"),
        "service_account": (tables.SERVICE_ACCOUNTS, "name"), "project": (tables.PROJECTS, "name"),
    }[kind]  # fmt: skip
    with database.reading() as connection:
        rows = every(connection, table, organization)
    return kind, str(named(rows, given.lower() if kind == "user" else given, args.kind, column)["id"])
