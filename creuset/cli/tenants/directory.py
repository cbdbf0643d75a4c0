"""The arguments that name the database of people and keys, and how verbs open it."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.core.errors import ConfigError, RequestError
from creuset.model.store.shelf import store_folder

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from creuset.server.database import Database
    from creuset.server.settings import ServeSettings
    from creuset.server.tenants.directory.directory import Directory
    from creuset.server.tenants.keys import KeyRing

Row = dict[str, Any]


def add_database(add: Callable[..., Any]) -> None:
    add(
        "--database", metavar="FILE",
        help="where people, keys, responses and conversations are kept: a file, the address of a database, or "
        "`memory` (default: server.db in $CREUSET_HOME, or in your folder of data)",
    )  # fmt: skip
    add(
        "--pepper", type=Path, metavar="FILE",
        help="the secret that digests of keys are made with (default: beside the database's file, with .pepper behind "
        "its name)",
    )  # fmt: skip


def add_place(parser: argparse.ArgumentParser) -> None:
    """`--database`, `--pepper`, `--organization` and `--json`."""
    add_database(parser.add_argument)
    parser.add_argument("--organization", metavar="NAME", help="its name or id, where there are several")
    parser.add_argument("--json", action="store_true", help="print JSON")


def url_of(args: argparse.Namespace) -> str:
    from creuset.server.settings import MEMORY, database_url

    url = database_url(args.database, store_folder().parent)
    if url == MEMORY:
        raise ConfigError("`memory` is gone with its process: name a file, or the address of a database")
    return url


def pepper_of(args: argparse.Namespace, url: str) -> Path:
    from creuset.server.tenants.directory.pepper import pepper_file

    return pepper_file(url, args.pepper, store_folder().parent)


def directory_of(args: argparse.Namespace, database: "Database") -> "Directory":
    from creuset.server.tenants.directory.directory import Directory

    return Directory(database, pepper_of(args, database.url))


def has_people(url: str) -> bool:
    """Whether the database at `url` has a directory. A file that is not there is not made."""
    from creuset.server.database import Database
    from creuset.server.settings import MEMORY
    from creuset.server.tenants.directory.directory import is_set_up

    if url == MEMORY or (url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file()):
        return False
    database = Database(url)
    try:
        return is_set_up(database)
    finally:
        database.close()


def refuse_open_door(args: argparse.Namespace, settings: "ServeSettings") -> None:
    """ConfigError for a server that other machines can reach and that asks for no key."""
    if not settings.loopback and args.keys is None and not has_people(settings.database):
        raise ConfigError(
            f"`--host {settings.host}` can be reached from other machines, and there are no keys",
            hint="make one with `creuset serve --new-key NAME --keys FILE`, then serve with `--keys FILE`; or make a "
            "directory of people and their keys with `creuset people setup`",
        )


def sources_of_keys(args: argparse.Namespace, url: str) -> "tuple[Database, KeyRing | None, Directory | None]":
    """The server's database, and who is let in: the keys of `--keys`, or those of the directory in it, or anybody."""
    from creuset.server.database import Database
    from creuset.server.tenants.directory.directory import is_set_up
    from creuset.server.tenants.keys import KeyRing

    keys = KeyRing(args.keys) if args.keys else None
    database = Database(url)
    if not is_set_up(database):
        return database, keys, None
    if keys is not None:
        raise ConfigError(
            f"there are two sources of keys: `--keys {args.keys}` and the directory in `{database.shown}`",
            hint="leave out --keys, or choose another database with --database",
        )
    return database, None, directory_of(args, database)


@contextmanager
def opened(args: argparse.Namespace, *, make: bool = False) -> "Iterator[Directory]":
    """The directory that `args` name; `make`: where there is none, it is made. What is wrong is a ConfigError."""
    from creuset.server.database import Database
    from creuset.server.tenants.directory.directory import Directory

    url = url_of(args)
    database = Database(url)
    try:
        yield Directory.create(database, pepper_of(args, url)) if make else directory_of(args, database)
    except RequestError as error:
        raise ConfigError(str(error), hint=error.hint) from None
    finally:
        database.close()


def organization_of(connection: "Connection", given: str | None) -> str:
    """The id of the organization that `given` names; of the only one where nothing is given."""
    from sqlalchemy import select

    from creuset.server.tenants.directory.tables import ORGANIZATIONS

    rows = connection.execute(select(ORGANIZATIONS.c.id, ORGANIZATIONS.c.name)).all()
    found = [id for id, name in rows if given is None or given in (id, name)]
    if len(found) == 1:
        return str(found[0])
    names = ", ".join(sorted(name for _, name in rows)) or "none"
    what = "which organization?" if given is None else f"`--organization {given}` names {len(found)} of them."
    raise ConfigError(f"{what} There are: {names}", hint="name it with --organization")


def named(rows: Sequence[Row], given: str, what: str, *columns: str) -> Row:
    """The row that `given` names by its id or by one of `columns`."""
    found = [row for row in rows if given == row["id"] or any(given == row[column] for column in columns)]
    if len(found) == 1:
        return found[0]
    raise ConfigError(f"{'no' if not found else 'more than one'} {what} is called `{given}`")


def tell(args: argparse.Namespace, rows: Row | list[Row], words: str = "") -> None:
    """`rows` as JSON, or `words`, or a line for each."""
    if args.json:
        print(json.dumps(rows, indent=2, default=str))
    elif words:
        print(words)
    else:
        for row in rows if isinstance(rows, list) else [rows]:
            print("  ".join(str(value) for value in row.values() if value not in (None, "")))


def once(what: str) -> None:
    print(f"this is the only time this {what} is shown", file=sys.stderr)
