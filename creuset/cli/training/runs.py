"""`creuset runs FOLDER ...`: training runs side by side, as a table, JSON, or a page with their losses."""

import argparse
import dataclasses
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folders of runs")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write a page that compares them")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    from creuset.train.pages.compare import differences, number, summaries, write_comparison

    runs = summaries(args.folders)
    different = differences(runs)
    if args.page:
        write_comparison(runs, args.page)
    if args.json:
        rows = [{k: v for k, v in dataclasses.asdict(run).items() if k not in ("settings", "events")} for run in runs]
        print(json.dumps({"runs": rows, "differences": different}, indent=2))
        return 0
    head = ("run", "state", "step", "tokens", "loss", "bits/byte", "tokens/s", "hours")
    lines: list[tuple[str, ...]] = [head]
    for run in runs:
        state = "finished" if run.finished else "not finished"
        measured = (number(run.loss), number(run.bits_per_byte), number(run.tokens_per_s), f"{run.hours:.3g}")
        lines.append((run.name, state, f"{run.steps:,}", f"{run.tokens:,}", *measured))
    print(table(lines))
    for name, values in different.items():
        print(f"{name}: " + ", ".join(f"{run.name} {value}" for run, value in zip(runs, values, strict=True)))
    return 0


def table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
