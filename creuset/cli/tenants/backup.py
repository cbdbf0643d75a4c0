"""`creuset backup`: a server's database in one file, and back into an empty one.

stdout gets what was written, as JSON with --json. Exit codes: 0 done, 2 what was asked cannot be, 3 a damaged file.
"""

import argparse
import json
from pathlib import Path

from creuset.cli.tenants.directory import add_place, url_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", required=True, metavar="what")
    for name, words in (("create", "write a backup"), ("restore", "fill an empty database from a backup")):
        sub = what.add_parser(name, help=words)
        sub.add_argument("file", type=Path, metavar="FILE")
        add_place(sub)


def main(args: argparse.Namespace) -> int:
    from creuset.server.database import Database
    from creuset.server.database.backup import back_up, restore

    database = Database(url_of(args))
    try:
        foot = (back_up if args.what == "create" else restore)(database, args.file)
    finally:
        database.close()
    if args.json:
        print(json.dumps(foot))
    else:
        rows = sum(foot["rows"].values())
        done = "written to" if args.what == "create" else "restored from"
        print(f"{rows} rows {done} {args.file}; the ledger has {len(foot['ledger'])} accounts")
    return 0
