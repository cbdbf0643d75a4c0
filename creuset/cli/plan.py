"""`creuset plan`: parameters, FLOPs, memory, time, energy and cost of a shape, by arithmetic."""

import argparse
import dataclasses
import difflib
import json
from pathlib import Path
from typing import Any, get_args

from creuset.cli.numbers import integer, number
from creuset.core.config import recipe, resolved
from creuset.core.errors import ConfigError
from creuset.core.gguf import is_gguf
from creuset.model.config import SIZES, ModelConfig
from creuset.model.count import forward_flops, parameters
from creuset.plan.estimate import PlanEstimate, PlanRequest, at, estimate
from creuset.plan.facts import PublicRun, gpu, gpu_names, public_runs, thresholds
from creuset.plan.layout import Layout, Recompute, Schedule, Shard
from creuset.plan.memory import GIB
from creuset.plan.offers import grid, offers
from creuset.plan.report import text
from creuset.plan.trust import verdicts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shape", help=f"a named size ({', '.join(SIZES)}), a public run ({', '.join(public_runs())}), "
                        "a recipe, a config.json or the folder of one, or a GGUF file")  # fmt: skip
    parser.add_argument(
        "--tokens", help="trained on: 20T, 1.5B, 3e9 (default: the recipe's or the public run's, else 20 a parameter)"
    )
    parser.add_argument(
        "--context", type=integer("[1, inf)"), help="tokens of a sequence (default: the recipe's, run's or shape's)"
    )
    parser.add_argument("--cluster", metavar="2048xH800", help="how many GPUs of which kind, for --gpus and --gpu")
    parser.add_argument(
        "--gpus", type=integer("[1, inf)"), help="how many (default: the run's, else the fewest that fit)"
    )
    parser.add_argument("--gpu", help=f"{', '.join(gpu_names())} (default: the public run's, else h100)")
    parser.add_argument("--batch", type=integer("[1, inf)"), help="sequences a step (default: by the run's tokens)")
    parser.add_argument("--fp8", action="store_true", help="products of the blocks in 8 bits")
    parser.add_argument("--plain", action="store_true", help="PyTorch's own sharding, not a tuned program")
    parser.add_argument("--layout", metavar="data=128,pipeline=16,expert=64", help="instead of the fastest")
    parser.add_argument(
        "--mfu", type=number("(0, 1]"), help="share of the bf16 peak, restarts included (default: predicted)"
    )
    parser.add_argument("--price", type=number("[0, inf)"), help="US dollars a GPU hour")
    parser.add_argument("--prices", type=Path, metavar="FILE", help="TOML of [[offer]] rows: provider, gpu, usd, ...")
    parser.add_argument(
        "--pue", type=number("[1, inf)"), default=1.0, help="energy of the hall over energy of the machines"
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--country", help="two letters: carbon by the electricity of that country")
    place.add_argument("--grid", type=number("[0, inf)"), metavar="GRAMS", help="of CO2 a kilowatt-hour")
    parser.add_argument("--streams", type=integer("[1, inf)"), default=1, help="served at once, for the KV cache")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write a page with plots")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    name, config, settings = find_shape(args.shape)
    run = settings if isinstance(settings, PublicRun) else None
    context = args.context or getattr(settings, "context", None) or config.context
    own = run.tokens if run else getattr(settings, "total_tokens", None)
    count = parameters(config)
    tokens = amount(args.tokens) if args.tokens else float(own or 20 * count.active)
    gpus, kind = cluster(args)
    ask = PlanRequest(
        tokens=tokens,
        context=context,
        gpu=gpu(kind or (run and run.gpu) or "h100"),
        gpus=gpus or (run and run.gpus) or FEWEST,
        batch=args.batch,
        fp8=args.fp8,
        plain=args.plain,
        layout=args.layout and layout(args.layout),
        mfu=args.mfu,
        price=args.price,
        pue=args.pue,
        grid=args.grid if args.country is None else grid(args.country),
        streams=args.streams,
        offers=offers(args.prices) if args.prices else (),
    )
    if gpus is None and not (run and run.gpus) and ask.layout is None:
        ask = with_enough(config, ask)
    found = estimate(config, ask)
    note = run.source if run else SIZES[name].note if name in SIZES else ""
    if not (args.tokens or own):
        note = "; ".join(filter(None, (note, "tokens: 20 a parameter that a token uses, an assumption")))
    if args.page:
        from creuset.plan.page import page

        args.page.write_text(page(name, note, config, ask, found), encoding="utf-8")
    print(json.dumps(document(name, note, config, ask, found), indent=2) if args.json
          else text(name, note, config, ask, found))  # fmt: skip
    return 0


FEWEST, MOST = 8, 65_536


def with_enough(config: ModelConfig, ask: PlanRequest) -> PlanRequest:
    """The fewest GPUs on which the model can be trained: 8, 16, 32, ..."""
    while ask.gpus < MOST and at(config, ask, ask.gpus) is None:
        ask = dataclasses.replace(ask, gpus=2 * ask.gpus)
    return ask


def document(name: str, note: str, config: ModelConfig, ask: PlanRequest, found: PlanEstimate) -> dict[str, Any]:
    """The plan for machines to read."""
    count, best = parameters(config), found.chosen
    law, as_of = thresholds()
    others = [] if found.found is None else found.found.ranked[:10]
    return {
        "shape": name,
        "note": note,
        "parameters": count.total,
        "active_parameters": count.active,
        "tokens": ask.tokens,
        "flops": found.flops,
        "flops_by_rule": found.flops_rule,
        "gpu_hours": found.gpu_hours,
        "wall_days": found.wall_days,
        "mfu": found.mfu,
        "usd": found.usd,
        "usd_an_hour": found.price,
        "price_is_assumed": ask.price is None,
        "mwh": found.mwh,
        "tonnes_co2": found.tonnes_co2,
        "memory_gib_per_gpu": found.memory_gib_per_gpu,
        "memory": {part: size / GIB for part, size in dataclasses.asdict(best.memory).items()},
        "batch": found.batch,
        "layout": dataclasses.asdict(best.layout),
        "step": {**dataclasses.asdict(best.time), "seconds": best.time.seconds},
        "losses": {**dataclasses.asdict(found.losses), "goodput": found.losses.goodput},
        "layouts": [
            {"layout": dataclasses.asdict(one.layout), "seconds": one.time.seconds, "gib": one.memory.total / GIB}
            for one in others
        ],
        "left_out": {} if found.found is None else dict(found.found.refused.most_common()),
        "offers": [
            {**dataclasses.asdict(one.offer), "usd_in_all": one.usd, "enough": one.enough} for one in found.offered
        ],
        "count": dataclasses.asdict(count),
        "forward_flops_per_token": forward_flops(config, context=ask.context),
        "serving": {
            "weight_bytes": found.weight_bytes,
            "kv_bytes_per_token": found.kv_bytes_per_token,
            "kv_bytes": found.kv_bytes,
        },
        "config": resolved(config),
        "gpu": dataclasses.asdict(ask.gpu),
        "gpus": ask.gpus,
        "context": ask.context,
        "thresholds": {"as_of": as_of, "lines": resolved(law), "crossed": found.crossed},
        "published_runs": [
            {"name": one.run.name, "use": one.run.use, "unseen": one.run.unseen, "gpu_hours": one.hours,
             "gpu_hours_published": one.published, "error": one.error, "source": one.run.source}
            for one in verdicts()
        ],
    }  # fmt: skip


def cluster(args: argparse.Namespace) -> tuple[int | None, str | None]:
    """GPUs and their kind, as `--cluster` or `--gpus` and `--gpu` say them."""
    if args.cluster is None:
        return args.gpus, args.gpu
    if args.gpus is not None or args.gpu is not None:
        raise ConfigError("`--cluster` says both the number and the kind: leave --gpus and --gpu out")
    number_, cross, kind = args.cluster.lower().partition("x")
    if not cross or not number_.isdecimal() or not int(number_):
        raise ConfigError(f"`{args.cluster}` is not a cluster", hint="write the number, an x and the GPU: 2048xH800")
    return int(number_), kind


def layout(given: str) -> Layout:
    """`data=128,pipeline=16` -> a layout. ConfigError names the part that is wrong."""
    known = {field.name: field for field in dataclasses.fields(Layout)}
    values: dict[str, Any] = {}
    for part in given.split(","):
        name, _, value = part.strip().partition("=")
        if name not in known:
            raise ConfigError(f"`{name}` is not a part of a layout", hint=f"they are {', '.join(known)}")
        words = {"shard": get_args(Shard), "recompute": get_args(Recompute), "schedule": get_args(Schedule)}.get(name)
        if words is None and not value.isdecimal():
            raise ConfigError(f"`{name}` of a layout must be a number, got `{value}`")
        if words is not None and value not in words:
            raise ConfigError(f"`{name}` of a layout must be {', '.join(words)}, got `{value}`")
        values[name] = value if words is not None else int(value)
    return Layout(**values)


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
