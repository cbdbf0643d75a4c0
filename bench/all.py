"""Run every benchmark and write the README's table from the newest kept results.

    python bench/all.py                 run each that needs nothing else with --keep, then write the table
    python bench/all.py --only-table    write the table from what is kept
    python bench/all.py --check         exit 1 when the README's table is not what the results say

The table stands between `<!-- bench:begin -->` and `<!-- bench:end -->`; everything in it comes from bench/results.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

Row = tuple[str, str]


def matmul(figures: dict[str, Any]) -> list[Row]:
    return [(f"matrix products, {name}", f"{f['median_gflop_s']:,.0f} GFLOP/s") for name, f in figures.items()]


def plan(figures: dict[str, Any]) -> list[Row]:
    """The planner's difference to published hours stays out: its one constant was chosen from those same runs."""
    return [("`creuset --help`", f"{figures['help']['median_s']:.2f} s")]


def listed(figures: dict[str, Any]) -> list[Row]:
    """Any other bench says itself what belongs into the table: a list `table` of [what, figure]."""
    return [(str(what), str(figure)) for what, figure in figures.get("table", [])]


READERS: dict[str, Callable[[dict[str, Any]], list[Row]]] = {"matmul": matmul, "plan": plan}


# Run by hand: they need other programs, another checkout, or a GPU.
BY_HAND = ("engine_peers", "gpu", "http_peers", "versions")


def scripts() -> list[Path]:
    return sorted(f for f in HERE.glob("*.py") if f.stem not in ("all", "common"))


def table() -> str:
    """Markdown of the newest results, each with the machine and the day it is from."""
    lines = ["| what | measured | machine | memory read then | date |", "|---|--:|---|--:|---|"]
    for name in sorted(f.stem for f in common.RESULTS.glob("*.jsonl")):
        result = common.latest(name)
        if result is None:
            continue
        at = result["host"]["hardware"]
        machine = f"{at['cpu']}, {result['host']['threads']} threads" + "".join(f", {g}" for g in at["gpus"])
        probe = f"{result['bandwidth_gb_s']:.0f} GB/s"
        for what, figure in READERS.get(name, listed)(result["figures"]):
            lines.append(f"| {what} | {figure} | {machine} | {probe} | {result['date'][:10]} |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """`text` with what stands between the markers replaced; unchanged when it has none."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}" if begin and end else text


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only-table", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    failed = []
    if not args.only_table and not args.check:
        for script in (one for one in scripts() if one.stem not in BY_HAND):
            print(f"== {script.stem}", flush=True)
            if subprocess.run([sys.executable, str(script), "--keep"], check=False).returncode:
                failed.append(script.stem)
    text = README.read_text(encoding="utf-8") if README.is_file() else ""
    new = with_table(text)
    if args.check:
        if new != text:
            print("README.md: the table is not what bench/results says; run `python bench/all.py --only-table`")
        return int(new != text)
    if new != text:
        README.write_text(new, encoding="utf-8")
    if BEGIN not in text:
        print(table())
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
