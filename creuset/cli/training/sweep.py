"""`creuset sweep RECIPE --vary path=a,b,c`: one run for each combination of values, and a table at the end."""

import argparse
import itertools
from pathlib import Path

from creuset.cli.training import runs
from creuset.cli.training.train import add_run_arguments, needed, seconds
from creuset.core.config import as_json, recipe, with_overrides
from creuset.core.errors import ConfigError, TrainingError
from creuset.core.log import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", help="a pre-training recipe, as for `creuset train`")
    parser.add_argument("--vary", action="append", default=[], metavar="path=a,b,c", help="values of one setting")
    parser.add_argument("--shards", type=Path, help="shards artifact")
    parser.add_argument("--out", type=Path, help="folder: one run folder for each combination, and compare.html")
    add_run_arguments(parser)


def main(args: argparse.Namespace) -> int:
    from creuset.train.run import train
    from creuset.train.settings import Pretrain

    plans = combinations(args.vary)
    base = with_overrides(recipe(args.recipe), args.set)
    if not isinstance(base, Pretrain):
        raise ConfigError(f"`{args.recipe}` is a {type(base).__name__} recipe, `creuset sweep` wants a Pretrain one")
    every = {name: with_overrides(base, values) for name, values in plans.items()}  # all are checked before the first
    if args.dry_run:
        for name, settings in every.items():
            print(f"# {name}\n{as_json(settings)}")
        return 0
    needed(args, "shards", "out")
    failed = []
    for name, settings in every.items():
        say(f"== {name}")
        try:
            train(settings, shards=args.shards, out=args.out / name, stop_after_s=seconds(args), log=tuple(args.log),
                  choose_again=args.choose_again)  # fmt: skip
        except TrainingError as error:  # it diverged; the others go on
            say(f"{name} cannot go on: {error}")
            failed.append(name)
    begun = [args.out / name for name in every if (args.out / name / "settings.json").is_file()]
    shown = argparse.Namespace(folders=begun, page=args.out / "compare.html", json=args.json)
    return runs.main(shown) or (1 if failed else 0)


def combinations(vary: list[str]) -> dict[str, list[str]]:
    """`["a=1,2", "b=3"]` -> a name for each run, and the assignments that make it."""
    axes: list[list[tuple[str, str]]] = []
    for given in vary:
        path, equals, values = given.partition("=")
        listed = [value.strip() for value in values.split(",") if value.strip()]
        if not equals or not path or len(listed) < 1:
            raise ConfigError(f"`--vary {given}` names no values", hint="write optim.lr=1e-3,3e-3")
        if len(set(listed)) < len(listed):
            raise ConfigError(f"`--vary {given}` names a value twice")
        axes.append([(path.strip(), value) for value in listed])
    if not axes:
        raise ConfigError("nothing is varied", hint="--vary optim.lr=1e-3,3e-3")
    found = {}
    for chosen in itertools.product(*axes):
        name = "_".join(f"{path.rpartition('.')[2]}-{value}" for path, value in chosen).replace("/", "-")
        found[name] = [f"{path}={value}" for path, value in chosen]
    if len(found) < len(list(itertools.product(*axes))):
        raise ConfigError("two of the runs would have one name", hint="vary settings with different last names")
    return found
