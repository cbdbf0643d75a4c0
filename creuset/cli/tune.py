"""`creuset tune sft | ship`: training on dialogues, rounding to what ships."""

import argparse

from creuset.train.finetune import add_sft_arguments, run_sft
from creuset.train.ship import add_ship_arguments, run_ship


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    sft = commands.add_parser("sft", help="train a model on dialogues", description="Train a model on dialogues.")
    add_sft_arguments(sft)
    ship = commands.add_parser("ship", help="round the weights", description="Round a model's weights to what ships.")
    add_ship_arguments(ship)


def main(args: argparse.Namespace) -> int:
    return run_ship(args) if args.command == "ship" else run_sft(args)
