"""`creuset doctor`: what is wrong with a server's database: content that cannot be read, logs that were changed.

Exit codes: 0 nothing is wrong, 1 something is, 2 the database or a key cannot be used.
"""

import argparse
import time

from creuset.cli.tenants.directory import add_database, directory_of, url_of
from creuset.cli.tenants.protect import add_master


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_database(parser.add_argument)
    add_master(parser.add_argument)


def main(args: argparse.Namespace) -> int:
    from sqlalchemy import select

    from creuset.server.database import Database
    from creuset.server.protect.privacy.erase import due
    from creuset.server.protect.vault.master import read_master
    from creuset.server.protect.vault.rotate import unreadable
    from creuset.server.protect.vault.vault import Vault
    from creuset.server.tenants.directory.audit import problems
    from creuset.server.tenants.directory.directory import is_set_up
    from creuset.server.tenants.directory.tables import ORGANIZATIONS

    master = read_master(args.master_key) if args.master_key else None
    database = Database(url_of(args))
    try:
        people = is_set_up(database)
        organization_of = directory_of(args, database).organization_of if people else lambda _owner: ""
        found = unreadable(Vault(database, master), organization_of)
        with database.reading() as connection:
            for organization in connection.execute(select(ORGANIZATIONS.c.id)).scalars().all():
                found += [f"audit log of {organization}: {one}" for one in problems(connection, organization)]
            found += [f"{one} is closed and should be erased by now" for one in due(connection, int(time.time()))]
    finally:
        database.close()
    for one in found:
        print(one)
    if not found:
        print("nothing is wrong: all content can be read, and every audit log is whole")
    return 1 if found else 0
