"""`creuset train RECIPE`: from token shards to a model artifact, resumable at any moment."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from creuset.cli.numbers import integer, number
from creuset.core.config import as_json, recipe, with_overrides
from creuset.core.errors import ConfigError

if TYPE_CHECKING:
    from creuset.train.loop import Outcome

S = TypeVar("S")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", help="`mini`, `nano`, `module:function`, or `file.py:function`")
    parser.add_argument("--shards", type=Path, help="shards artifact (`creuset corpus tokenize`)")
    parser.add_argument("--from", type=Path, dest="start", metavar="MODEL", help="begin with the weights of a model")
    parser.add_argument("--out", type=Path, help="run folder; the finished model is OUT/model")
    add_run_arguments(parser)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--set", action="append", default=[], metavar="path=value", help="replace one setting")
    parser.add_argument("--dry-run", action="store_true", help="print the settings and stop")
    parser.add_argument("--device", help="cpu, cuda or auto: short for --set device=...")
    parser.add_argument("--threads", type=integer("[1, 1024]"), help="CPU threads: short for --set threads=...")
    parser.add_argument(
        "--minutes", type=number("(0, inf)"), help="pause after so many minutes; the same command goes on"
    )
    parser.add_argument(
        "--choose-again", action="store_true",
        help="let this machine choose anew what an earlier one chose: device, precision, kernel, threads",
    )  # fmt: skip
    parser.add_argument(
        "--log", action="append", default=[], choices=("tensorboard", "wandb"), help="send the numbers there too"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")


def settings_of(args: argparse.Namespace, kind: type[S], verb: str) -> S:
    """The recipe's settings with the changes of the command line; refused when they are of another kind."""
    short = [f"{name}={value}" for name in ("device", "threads") if (value := getattr(args, name)) is not None]
    settings = with_overrides(recipe(args.recipe), [*args.set, *short])
    if not isinstance(settings, kind):
        raise ConfigError(
            f"`{args.recipe}` is a {type(settings).__name__} recipe, `{verb}` wants a {kind.__name__} one"
        )
    return settings


def needed(args: argparse.Namespace, *names: str) -> None:
    for name in names:
        if not getattr(args, name):
            raise ConfigError(f"--{name} is needed to train", hint="--dry-run prints the settings without it")


def main(args: argparse.Namespace) -> int:
    from creuset.train.settings import Pretrain

    settings = settings_of(args, Pretrain, "creuset train")
    if args.dry_run:
        print(as_json(settings))
        return 0
    needed(args, "shards", "out")
    from creuset.train.run import train

    outcome = train(
        settings,
        shards=args.shards,
        out=args.out,
        start=args.start,
        stop_after_s=seconds(args),
        choose_again=args.choose_again,
        log=tuple(args.log),
    )
    report(args, outcome)
    return 0


def seconds(args: argparse.Namespace) -> float | None:
    return args.minutes * 60 if args.minutes else None


def report(args: argparse.Namespace, outcome: "Outcome") -> None:
    """With --json: how the run ended, printed once however many ranks there are."""
    from creuset.parallel import ranks

    if args.json and ranks.rank() == 0:
        print(
            json.dumps(
                {
                    "finished": outcome.finished,
                    "step": outcome.step,
                    "bits_per_byte": outcome.bits_per_byte,
                    "model": str(outcome.model) if outcome.model else None,
                }
            )
        )
