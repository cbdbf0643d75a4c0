"""`creuset tune sft | ship`: training on dialogues, rounding to what ships."""

import argparse
import json
from pathlib import Path

from creuset.cli.training.train import add_run_arguments, needed, report, seconds, settings_of
from creuset.core.config import as_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    sft = commands.add_parser("sft", help="train a model on dialogues", description="Train a model on dialogues.")
    sft.add_argument("recipe", help="`mini:sft`, `nano:sft`, or `module:function`")
    sft.add_argument("--model", type=Path, help="model artifact to start from")
    sft.add_argument(
        "--dialogues", type=Path, nargs="+", default=[],
        help="dialogues artifacts, or jsonl files of `messages` (plain, .gz, .xz, .zst)",
    )  # fmt: skip
    sft.add_argument(
        "--shards", type=Path, help="shards: their held-out split is scored at the end, rows of `prose` come from them"
    )
    sft.add_argument("--out", type=Path, help="run folder; the finished model is OUT/model")
    add_run_arguments(sft)
    ship = commands.add_parser("ship", help="round the weights", description="Round a model's weights to what ships.")
    ship.add_argument("model", type=Path, help="model artifact")
    ship.add_argument("--out", type=Path, required=True, help="artifact to write")
    ship.add_argument("--bits", choices=["q8", "q4"], default="q8", help="q8: 8 bits; q4: experts 4 bits, the rest 8")
    ship.add_argument(
        "--sampling", nargs="*", default=[], metavar="KEY=VALUE",
        help="what a request that says nothing gets, kept in generation_config.json: temperature, top_p, top_k, ...",
    )  # fmt: skip
    ship.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    return _ship(args) if args.command == "ship" else _sft(args)


def _sft(args: argparse.Namespace) -> int:
    from creuset.train.settings import Finetune

    settings = settings_of(args, Finetune, "tune sft")
    if args.dry_run:
        print(as_json(settings))
        return 0
    needed(args, "model", "dialogues", "out")
    from creuset.train.finetune import finetune

    outcome = finetune(
        settings,
        model=args.model,
        dialogues=args.dialogues,
        out=args.out,
        shards=args.shards,
        stop_after_s=seconds(args),
        choose_again=args.choose_again,
        log=tuple(args.log),
    )
    report(args, outcome)
    return 0


def _ship(args: argparse.Namespace) -> int:
    from creuset.core.artifact import read_manifest
    from creuset.model.ship import ship

    out = ship(args.model, args.out, bits=args.bits, sampling=args.sampling)
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    if args.json:
        print(json.dumps({"model": str(out), "bytes": size, "sha256": read_manifest(out)["sha256"]}))
    else:
        print(f"{out}: {size / 1e6:.1f} MB")
    return 0
