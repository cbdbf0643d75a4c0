"""Arguments with which several verbs reach a model or an endpoint, and what they mean."""

import argparse
from pathlib import Path
from typing import Any

from creuset.cli.numbers import integer, number
from creuset.evals.clients.open import ClientSettings


def add_endpoint(parser: argparse.ArgumentParser, helpers: dict[str, str]) -> None:
    """`--model`, `--key-env` and the like, and the same for each helper: `--judge URL`, `--judge-model` ..."""
    add = parser.add_argument_group("endpoints").add_argument
    add("--model", default="", metavar="NAME", help="its name there (default: the only one listed)")
    add("--dialect", choices=("openai", "anthropic"), default="openai")
    add("--key-env", default="", metavar="VAR", help="environment variable that holds the key")
    add("--concurrency", type=integer("[1, 1024]"), default=8, help="calls open at a time (default: %(default)s)")
    add("--timeout", type=number("(0, inf)"), default=120.0, metavar="S", help="of a call (default: %(default)s)")
    add("--retries", type=integer("[0, 100]"), default=5, help="after the first attempt (default: %(default)s)")
    add("--prices", type=Path, metavar="FILE", help="a price file of your own (default: the one shipped)")
    add("--price-cap", type=number("[0, inf)"), metavar="SUM", help="begin no call once so much is spent")
    for name, what in helpers.items():
        add(f"--{name}", default="", metavar="URL", help=what)
        add(f"--{name}-model", default="", metavar="NAME")
        add(f"--{name}-dialect", choices=("openai", "anthropic"), default="openai")
        add(f"--{name}-key-env", default="", metavar="VAR")


def reach_of(args: argparse.Namespace, helper: str = "", **more: Any) -> ClientSettings:
    """How the model, or the helper of that name, is reached."""
    own = f"{helper}_" if helper else ""
    return ClientSettings(
        model=getattr(args, f"{own}model"), dialect=getattr(args, f"{own}dialect"),
        key_env=getattr(args, f"{own}key_env"), concurrency=args.concurrency, timeout_s=args.timeout,
        retries=args.retries, prices=args.prices, price_cap=args.price_cap, **more,
    )  # fmt: skip
