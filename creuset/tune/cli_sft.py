"""The subcommands of `creuset tune` that touch weights: `sft` and `ship`."""

import argparse
from typing import Any

from creuset.tune.finetune import add_sft_arguments, run_sft
from creuset.tune.ship import add_ship_arguments, run_ship


def add_arguments(commands: "argparse._SubParsersAction[Any]") -> None:
    add_sft_arguments(commands.add_parser("sft", help="fine-tune a model on dialogues", description=run_sft.__doc__))
    add_ship_arguments(commands.add_parser("ship", help="round a model's weights and publish it"))


def main(args: argparse.Namespace) -> int:
    return run_sft(args) if args.command == "sft" else run_ship(args)
