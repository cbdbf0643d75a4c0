"""`creuset list`: the models that a name stands for, here and in the catalogue."""

import argparse
import json

from creuset.cli.store.pull import add_store
from creuset.core.log import say
from creuset.model.hub import SHIPPED
from creuset.model.store.listing import Listed, listed
from creuset.model.store.plan import human

HEAD = ("name", "state", "size", "parameters (active)", "context", "languages", "licence")
LIMITS = " (limits)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_store(parser)
    parser.add_argument("--here", action="store_true", help="only what is on this machine")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    models = [one for one in listed(SHIPPED, args.store) if not args.here or one.state != "available"]
    if args.json:
        print(json.dumps([one.as_json() for one in models], indent=2))
        return 0
    rows = [HEAD, *(_row(one) for one in models)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    for row in rows:
        print(
            "  ".join(
                _pad(cell, width, right=2 <= i <= 4) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
        )
    if any(row[-1].endswith(LIMITS) for row in rows):
        say(f"{LIMITS.strip()}: its licence does not allow every use; `creuset show NAME` says more")
    return 0


def _row(one: Listed) -> tuple[str, ...]:
    return (
        one.name,
        one.state,
        human(one.bytes) if one.bytes else "",
        count(one.parameters, one.active_parameters),
        f"{one.context:,}" if one.context else "",
        _languages(one.languages),
        one.licence + ("" if one.open or not one.licence else LIMITS),
    )


def _languages(codes: tuple[str, ...]) -> str:
    """The first three, and how many more there are."""
    return " ".join(codes[:3]) + (f" +{len(codes) - 3}" if len(codes) > 3 else "")


def count(parameters: int, active: int = 0) -> str:
    """5.9 M, 135 M, 30.5 B (3.3 B)."""
    if not parameters:
        return ""
    millions = parameters / 1e6
    if millions >= 1e3:
        short = f"{millions / 1e3:.3g} B"
    else:
        short = f"{millions:.0f} M" if millions >= 10 else f"{millions:.1f} M"
    return f"{short} ({count(active)})" if active else short


def _pad(cell: str, width: int, *, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)
