"""`creuset routes`: check a file of routes, and show what it says.

Exit codes: 0 it is well, 2 something in it is wrong, which is named.
"""

import argparse
import os
from pathlib import Path

from creuset.cli.tenants.directory import Row, tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="action")
    check = verbs.add_parser("check", help="whether a server could be started with this file")
    check.add_argument("file", type=Path, metavar="FILE", help="TOML, or JSON when its name ends so")
    check.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    from creuset.server.routes.config import read_routes

    found = read_routes(args.file)
    rows: list[Row] = []
    for name, route in found.routes.items():
        for target in route.targets:
            place = found.place_of(target)
            rows.append({
                "route": name, "order": target.order, "target": target.id, "weight": target.weight,
                "on": ", ".join(target.on), "country": place.country, "operator": place.operator,
                "law": ", ".join(place.law),
            })  # fmt: skip
    lives: list[Row] = [
        {
            "name": name, "stands for": life.alias_of, "deprecated": str(life.deprecated or ""),
            "ends": str(life.ends or ""), "successor": life.successor,
        }
        for name, life in found.names.items()
    ]  # fmt: skip
    missing = [one.key_env for one in found.upstreams.values() if one.key_env and not os.environ.get(one.key_env)]
    if args.json:
        tell(args, {"routes": rows, "names": lives, "needs_models": found.models(), "missing_variables": missing})
        return 0
    tell(args, [*rows, *lives])
    if needed := found.models():
        print(f"needs these models of the server: {', '.join(needed)}")
    if missing:
        print(f"needs these variables of the environment, which are not set here: {', '.join(missing)}")
    return 0
