"""Arguments with which several verbs reach a model or an endpoint, and what they mean."""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from creuset.cli.numbers import integer, number
from creuset.core.errors import ConfigError, EngineError
from creuset.core.log import say
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
    add(
        "--header", action="append", default=[], metavar="NAME=VALUE",
        help="sent with each call; `env:VAR` as VALUE takes it from the environment, as a key should be "
        "(Azure: api-key=env:AZURE_KEY)",
    )  # fmt: skip
    add(
        "--query",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="behind each address (Azure: api-version=...)",
    )
    add("--extra-body", default="", metavar="JSON", help="an object whose fields go into each request for text")
    add("--temperature", type=number("[0, 10]"), metavar="T", help="in the place of each task's own")
    add(
        "--max-tokens", type=integer("[1, inf)"), metavar="N",
        help="of a reply, in the place of each task's own: a model that thinks needs more",
    )  # fmt: skip
    add("--system", default="", metavar="TEXT", help="a system prompt before each task's own")
    for name, what in helpers.items():
        add(f"--{name}", default="", metavar="URL", help=what)
        add(f"--{name}-model", default="", metavar="NAME")
        add(f"--{name}-dialect", choices=("openai", "anthropic"), default="openai")
        add(f"--{name}-key-env", default="", metavar="VAR")


def reach_of(args: argparse.Namespace, helper: str = "", **more: Any) -> ClientSettings:
    """How the model, or the helper of that name, is reached."""
    own = f"{helper}_" if helper else ""
    if not helper:
        more |= {
            "headers": pairs(args.header, "--header"), "query": pairs(args.query, "--query"),
            "extra_body": _object(args.extra_body), "temperature": args.temperature, "max_tokens": args.max_tokens,
            "system": args.system,
        }  # fmt: skip
    return ClientSettings(
        model=getattr(args, f"{own}model"), dialect=getattr(args, f"{own}dialect"),
        key_env=getattr(args, f"{own}key_env"), concurrency=args.concurrency, timeout_s=args.timeout,
        retries=args.retries, prices=args.prices, price_cap=args.price_cap, **more,
    )  # fmt: skip


def nothing_answered(usage: Mapping[str, Any]) -> int:
    """The exit code of a run: 5 where every call failed, so that its scores are of nothing."""
    if not usage["calls"] or usage["failed"] < usage["calls"]:
        return 0
    say(f"error: none of {usage['calls']:,} calls was answered, so nothing was measured")
    return EngineError.exit_code


def pairs(given: list[str], option: str) -> dict[str, str]:
    """`NAME=VALUE`, or `NAME: VALUE` as headers are written. ConfigError names no value: it may be a key."""
    found = {}
    for text in given:
        name, mark, value = re.match(r"([^=:]*)([=:]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        if not mark or not name.strip() or not value.strip():
            raise ConfigError(f"{option} must be NAME=VALUE; of `{name.strip()[:40]}` there is no value")
        found[name.strip()] = value.strip()
    return found


def _object(text: str) -> dict[str, Any]:
    """The JSON object of --extra-body."""
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise ConfigError(f"--extra-body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"--extra-body must be a JSON object, got {text[:80]}")
    return found
