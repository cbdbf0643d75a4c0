"""`creuset tune data | sft | ship`: instruction data by rule, training on dialogues, rounding to what ships."""

import argparse
import json
from pathlib import Path

from creuset.tune.finetune import add_sft_arguments, run_sft
from creuset.tune.ship import add_ship_arguments, run_ship


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    data = commands.add_parser(
        "data", help="write instruction data by rule, with provenance", description="Write instruction data by rule."
    )
    data.add_argument("--out", type=Path, required=True, help="artifact to write")
    data.add_argument("--pretrain", type=Path, help="folder of texts: simple-wiki, factbook, stories, OneStop")
    data.add_argument("--instruct", type=Path, help="folder of ready-made dialogues (`messages`)")
    data.add_argument("--reasoning", type=Path, help="folder of word problems (`prompt`, `solution`, `answer`)")
    data.add_argument("--seed", type=int, default=1)
    data.add_argument(
        "--size", choices=("full", "medium", "small"), default="full",
        help="small and medium: for a model that sees some ten or twenty-five million tokens"
    )
    data.add_argument("--limit", type=int, help="at most this many dialogues for each rule")
    data.add_argument("--json", action="store_true", help="print the report as JSON")
    sft = commands.add_parser("sft", help="train a model on dialogues", description="Train a model on dialogues.")
    add_sft_arguments(sft)
    ship = commands.add_parser("ship", help="round the weights", description="Round a model's weights to what ships.")
    add_ship_arguments(ship)


def main(args: argparse.Namespace) -> int:
    if args.command == "ship":
        return run_ship(args)
    return _data(args) if args.command == "data" else run_sft(args)


def _data(args: argparse.Namespace) -> int:
    from creuset.core.errors import ConfigError
    from creuset.tune.data import build, to_stderr
    from creuset.tune.rules.shelf import Shelf

    for name in ("pretrain", "instruct", "reasoning"):
        folder: Path | None = getattr(args, name)
        if folder is not None and not folder.is_dir():
            raise ConfigError(f"--{name} `{folder}` is not a folder")
    shelf = Shelf(args.pretrain, args.instruct, args.reasoning)
    report = build(args.out, shelf, seed=args.seed, size=args.size, limit=args.limit, say=to_stderr)
    if args.json:
        print(json.dumps(report, ensure_ascii=False))
        return 0
    totals = report["totals"]
    print(f"{'rule':24} {'read':>8} {'written':>8} {'held out':>8} {'words':>9}")
    for name, row in report["rules"].items():
        print(f"{name:24} {row['read']:8} {row['written']:8} {row['heldout']:8} {row['words']:9}")
    print(f"{'all':24} {'':8} {totals['dialogues'] + totals['heldout']:8} {totals['heldout']:8} {totals['words']:9}")
    return 0
