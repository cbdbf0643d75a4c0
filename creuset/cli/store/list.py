"""`creuset list`: the models that a name stands for, here and in the catalogue."""

import argparse
import json

from creuset.cli.store.pull import add_store
from creuset.model.hub import SHIPPED
from creuset.model.store.listing import Listed, listed
from creuset.model.store.plan import human


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_store(parser)
    parser.add_argument("--here", action="store_true", help="only what is on this machine")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    models = [one for one in listed(SHIPPED, args.store) if not args.here or one.state != "available"]
    if args.json:
        print(json.dumps([one.as_json() for one in models], indent=2))
        return 0
    rows = [("name", "state", "size", "parameters", "context", "licence"), *(_row(one) for one in models)]
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    for row in rows:
        print(
            "  ".join(
                _pad(cell, width, right=2 <= i <= 4) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
        )
    return 0


def _row(one: Listed) -> tuple[str, ...]:
    return (
        one.name,
        one.state,
        human(one.bytes) if one.bytes else "",
        count(one.parameters, one.active_parameters),
        f"{one.context:,}" if one.context else "",
        one.licence + ("" if one.open or not one.licence else " (limits)"),
    )


def count(parameters: int, active: int = 0) -> str:
    """135 M, 30.5 B (3.3 B)."""
    if not parameters:
        return ""
    short = f"{parameters / 1e6:.0f} M" if parameters < 1e9 else f"{parameters / 1e9:.3g} B"
    return f"{short} ({count(active)})" if active else short


def _pad(cell: str, width: int, *, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)
