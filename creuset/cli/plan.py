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
from creuset.plan.facts import PublicRun, gpu, public_runs, thresholds
from creuset.plan.report import page
from creuset.plan.workload import of_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shape", help=f"a named size ({', '.join(SIZES)}), a public run ({', '.join(public_runs())}), "
                        "a recipe, a config.json or the folder of one, or a GGUF file")  # fmt: skip
    parser.add_argument(
        "--tokens", help="trained on: 20T, 1.5B, 3e9 (default: the recipe's or the public run's, else 20 a parameter)"
    )
    parser.add_argument(
        "--context", type=integer("[1, inf)"), help="tokens of a sequence (default: the recipe's, run's or shape's)"
    )
    parser.add_argument("--gpus", type=integer("[1, inf)"), help="how many (default: the public run's, else 8)")
    parser.add_argument("--gpu", help="a100, h100, h800, h200, b200 or mi300x (default: the public run's, else h100)")
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
    run = settings if isinstance(settings, PublicRun) else None
    context = args.context or getattr(settings, "context", None) or config.context
    own = run.tokens if run else getattr(settings, "total_tokens", None)
    count = parameters(config)
    tokens = amount(args.tokens) if args.tokens else float(own or 20 * count.active)
    ask = PlanRequest(
        tokens=tokens,
        context=context,
        gpu=gpu(args.gpu or (run and run.gpu) or "h100"),
        gpus=args.gpus or (run and run.gpus) or 8,
        mfu=args.mfu,
        price=args.price,
        pue=args.pue,
        streams=args.streams,
    )
    found = estimate(of_config(config), ask)
    note = run.source if run else SIZES[name].note if name in SIZES else ""
    if not (args.tokens or own):
        note = "; ".join(filter(None, (note, "tokens: 20 a parameter that a token uses, an assumption")))
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
    """Name, shape, and the recipe's settings or the public run where there are any (else None)."""
    folder = Path(text)
    if folder.name == "config.json" and folder.is_file():
        folder = folder.parent
    elif text.lower() in public_runs() and not folder.is_dir():
        from creuset.model.formats.hf_config import from_hf

        run = public_runs()[text.lower()]
        return text.lower(), from_hf(run.config), run
    if text in SIZES and not (folder / "config.json").is_file():
        return text, SIZES[text].build(), None
    if folder.is_dir() or is_gguf(folder):
        from creuset.model.formats.hf_config import config_of

        return folder.resolve().name, config_of(folder), None
    try:
        settings = recipe(text)
    except ConfigError as refused:
        near = difflib.get_close_matches(text.lower(), [*SIZES, *public_runs()], n=1)
        hint = f"did you mean `{near[0]}`?" if near else refused.hint
        raise ConfigError(
            f"`{text}` is not a named size, a public run, a recipe, a config.json, a folder or a GGUF file", hint=hint
        ) from refused
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
