"""`creuset vault`: the master key of a server's database, and sealing everything anew.

Exit codes: 0 done, 2 what was asked cannot be.
"""

import argparse
import sys
from pathlib import Path

from creuset.cli.tenants.directory import add_database, directory_of, tell, url_of
from creuset.cli.tenants.protect import add_master
from creuset.core.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="action")
    new = verbs.add_parser("new-key", help="make a master key in a file")
    new.add_argument("file", type=Path, metavar="FILE")
    rotate = verbs.add_parser("rotate", help="seal everything anew, under new data keys: all of it, or nothing")
    rotate.add_argument("--to", metavar="SPEC", help="the next master key; `none` leaves content unsealed")
    add_database(rotate.add_argument)
    add_master(rotate.add_argument)
    rotate.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    from creuset.server.protect.vault.master import make_master, read_master

    if args.action == "new-key":
        make_master(args.file)
        print(f"back `{args.file}` up apart from the database: without it no content can be read", file=sys.stderr)
        return 0
    from creuset.server.database import Database
    from creuset.server.protect.vault.rotate import rotate
    from creuset.server.protect.vault.vault import Vault
    from creuset.server.tenants.directory.directory import is_set_up

    if not args.master_key and not args.to:
        raise ConfigError(
            "there is nothing to rotate", hint="name the master key with --master-key, or a new one with --to"
        )
    before = read_master(args.master_key) if args.master_key else None
    after = None if args.to == "none" else read_master(args.to) if args.to else before
    database = Database(url_of(args))
    try:
        vault = Vault(database, before)
        vault.check()
        organization_of = directory_of(args, database).organization_of if is_set_up(database) else lambda _owner: ""
        done = rotate(vault, Vault(database, after), organization_of)
    finally:
        database.close()
    rows = [{"organization": name or "this server", "values": count} for name, count in sorted(done.items())]
    tell(args, rows, "" if rows else "there was no content to seal")
    return 0
