"""`creuset plan`: parameters, FLOPs, memory, time, energy and cost of a shape, by arithmetic."""

import argparse
import dataclasses
import difflib
import json
from pathlib import Path
from typing import Any

from creuset.cli.numbers import integer, number
from creuset.core.config import recipe, resolved
from creuset.core.errors import ConfigError
from creuset.core.gguf import is_gguf
from creuset.model.config import SIZES, ModelConfig
from creuset.model.count import forward_flops, parameters
from creuset.plan.estimate import MFU, PlanRequest, estimate, trust
from creuset.plan.facts import gpu, thresholds
from creuset.plan.report import page
from creuset.plan.workload import of_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shape", help=f"a named size ({', '.join(SIZES)}), a recipe, or a folder with config.json")
    parser.add_argument("--tokens", help="trained on: 20T, 1.5B, 3e9 (default: the recipe's, else 20 a parameter)")
    parser.add_argument(
        "--context", type=integer("[1, inf)"), help="tokens of a sequence (default: the recipe's or the shape's)"
    )
    parser.add_argument("--gpus", type=integer("[1, inf)"), default=8)
    parser.add_argument("--gpu", default="h100", help="a100, h100, h800, h200, b200 or mi300x")
    parser.add_argument(
        "--mfu", type=number("(0, 1]"), default=MFU, help="share of the bf16 peak reached, restarts included"
    )
    parser.add_argument("--price", type=number("[0, inf)"), help="of one GPU hour")
    parser.add_argument(
        "--pue", type=number("[1, inf)"), default=1.0, help="energy of the hall over energy of the machines"
    )
    parser.add_argument("--streams", type=integer("[1, inf)"), default=1, help="served at once, for the KV cache")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    name, config, settings = find_shape(args.shape)
    context = args.context or getattr(settings, "context", config.context)
    own = getattr(settings, "total_tokens", None)
    count = parameters(config)
    tokens = amount(args.tokens) if args.tokens else float(own or 20 * count.active)
    ask = PlanRequest(
        tokens=tokens,
        context=context,
        gpu=gpu(args.gpu),
        gpus=args.gpus,
        mfu=args.mfu,
        price=args.price,
        pue=args.pue,
        streams=args.streams,
    )
    found = estimate(of_config(config), ask)
    note = SIZES[name].note if name in SIZES else ""
    if args.json:
        lines, as_of = thresholds()
        print(
            json.dumps(
                {
                    "shape": name,
                    "note": note,
                    "config": resolved(config),
                    "ask": resolved(ask),
                    "parameters": {**dataclasses.asdict(count), "total": count.total, "active": count.active},
                    "forward_flops_per_token": forward_flops(config, context=context),
                    "estimate": resolved(found),
                    "thresholds": {"as_of": as_of, "lines": resolved(lines)},
                    "published_runs": trust(),
                },
                indent=2,
            )
        )
    else:
        print(page(name, note, config, count, ask, found))
    return 0


def find_shape(text: str) -> tuple[str, ModelConfig, Any]:
    """Name, shape, and the recipe's settings where there are any (else None)."""
    folder = Path(text)
    if text in SIZES and not (folder / "config.json").is_file():
        return text, SIZES[text].build(), None
    if folder.is_dir() or is_gguf(folder):
        from creuset.model.formats.hf_config import config_of

        return folder.resolve().name, config_of(folder), None
    try:
        settings = recipe(text)
    except ConfigError as refused:
        near = difflib.get_close_matches(text, SIZES, n=1)
        hint = f"did you mean `{near[0]}`?" if near else refused.hint
        raise ConfigError(f"`{text}` is not a named size, a recipe, a folder or a GGUF file", hint=hint) from refused
    config = getattr(settings, "model", None)
    if isinstance(settings, ModelConfig):
        return text, settings, None
    if not isinstance(config, ModelConfig):
        raise ConfigError(f"`{text}` has no model shape to plan for", hint="name a pre-training recipe or a size")
    return text, config, settings


def amount(text: str) -> float:
    """`20T`, `1.5B`, `300M`, `4k`, `3e9` -> a number."""
    scale = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}.get(text[-1:].lower())
    try:
        value = float(text[:-1]) * scale if scale else float(text)
    except ValueError:
        raise ConfigError(f"`{text}` is not a number of tokens", hint="write 20T, 1.5B, 300M or 3e9") from None
    if not 0 < value < float("inf"):
        raise ConfigError(f"`{text}` is not a number of tokens: it must be positive")
    return value
