"""`creuset bench`: how fast a model answers on this machine, and which kernels compute it.

Prompts are random and distinct; the whole engine is timed, with scheduler and sampler. Each figure is the median over
turns, and within a turn all loads run one after the other, so that a busy moment of the machine hits all alike.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.cli.numbers import integer, number
from creuset.core.errors import ConfigError
from creuset.core.host import cpu_model
from creuset.core.log import say
from creuset.core.memory import peak_memory, show_size
from creuset.engine.settings import EngineSettings
from creuset.model.hub import find_model

if TYPE_CHECKING:
    from creuset.engine.engine import Engine

PROMPTS, STREAMS = [512, 2048], [1, 8, 32]
DEPTH = 16  # tokens of the prompts of the streams


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a model artifact, a Hugging Face folder, a GGUF file or a name")
    parser.add_argument("--prompt", type=counts, metavar="N,N", help="tokens of the prompts that are read (512,2048)")
    parser.add_argument("--tokens", type=integer("[4, inf)"), default=64, help="of each answer (default: %(default)s)")
    parser.add_argument("--streams", type=counts, default=STREAMS, metavar="N,N", help="answers at once (1,8,32)")
    parser.add_argument(
        "--depth", type=integer("[1, inf)"), default=DEPTH, help="tokens before each answer (default: %(default)s)"
    )
    parser.add_argument("--quant", choices=("q8", "q4"), default="", help="round plain weights to 8 or 4 bits before")
    parser.add_argument("--backend", choices=("auto", "native", "torch"), default="auto", help="who computes")
    parser.add_argument("--dtype", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--threads", type=integer("[0, inf)"), default=0, help="default: what the engine chooses")
    parser.add_argument("--temperature", type=number("[0, 100]"), default=0.0, help="0: the likeliest token (default)")
    parser.add_argument("--repeat", type=integer("[1, inf)"), default=3, help="turns (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the prompts")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def counts(text: str) -> list[int]:
    """`1,8,32` as numbers, each once."""
    return list(dict.fromkeys(integer("[1, inf)")(word.strip()) for word in text.split(",")))


def main(args: argparse.Namespace) -> int:
    path = find_model(args.model)
    say(f"loading {path.name}")
    engine, prompts = load(path, args)
    found = measure(engine, args, prompts)
    found = {"model": path.stem if path.is_file() else path.name, "cpu": cpu_model()} | found
    print(json.dumps(found) if args.json else page(found))
    return 0


def load(path: Path, args: argparse.Namespace) -> "tuple[Engine, list[int]]":
    """The engine, with a cache for the largest load, and the lengths of prompts that fit into the model's context."""
    from creuset.engine.engine import Engine

    wanted, streams = args.prompt or PROMPTS, args.streams
    largest = max(max(streams) * (args.depth + args.tokens), max(wanted) + 1)
    if args.quant and args.dtype == "fp32":
        raise ConfigError("--quant rounds weights, and --dtype fp32 computes in plain ones: name one of the two")
    settings = EngineSettings(
        dtype=args.dtype,
        quant=args.quant,
        backend=args.backend,
        threads=args.threads,
        max_running=max(streams),
        max_batch_tokens=max(512, *streams),
        prefix_cache=False,
        speculation="off",
        seed=args.seed,
        kv_tokens=largest + 64 * max(streams),
    )
    engine = Engine.load(path, settings=settings)
    most = engine.context - 1
    if args.depth + args.tokens > engine.context:
        raise ConfigError(
            f"`--depth` {args.depth} and `--tokens` {args.tokens} are more than the context of {engine.context} tokens"
        )
    if args.prompt and max(wanted) > most:
        raise ConfigError(f"a prompt of {max(wanted)} tokens and an answer do not fit into {engine.context} tokens")
    return engine, [length for length in wanted if length <= most] or [most]


def measure(engine: "Engine", args: argparse.Namespace, prompts: list[int]) -> dict[str, Any]:
    from creuset.cli.speed.bandwidth import read_rate, step_bytes, weight_bytes
    from creuset.cli.speed.loads import Rate, TimedRequests

    load = TimedRequests(engine, seed=args.seed, temperature=args.temperature)
    decode: dict[int, list[float]] = {n: [] for n in args.streams}
    first: dict[int, list[float]] = {n: [] for n in prompts}
    threads = engine.choices["threads"]
    for turn in range(args.repeat + 1):
        say(f"turn {turn} of {args.repeat}" if turn else "a first turn, which does not count")
        for n in args.streams:
            decode[n].append(load.decode(n, args.tokens, prompt=args.depth))
        for n in prompts:
            first[n].append(load.prefill(n))
    peak = peak_memory()  # before the probe, which needs memory of its own
    rate = max(read_rate(threads) for _ in range(args.repeat))
    decoded = {n: Rate.of(values[1:]) for n, values in decode.items()}
    times = {n: Rate.of([1000 * t for t in values[1:]]) for n, values in first.items()}
    read = {n: Rate.of([n / t for t in values[1:]]) for n, values in first.items()}
    middle = args.depth + args.tokens // 2
    return {
        "decode": {str(n): one.median for n, one in decoded.items()},
        "prefill": {str(n): one.median for n, one in read.items()},
        "first_token_ms": {str(n): one.median for n, one in times.items()},
        "spread": {
            "decode": {str(n): [one.least, one.most] for n, one in decoded.items()},
            "prefill": {str(n): [one.least, one.most] for n, one in read.items()},
        },
        "bandwidth": {
            "measured_gb_s": round(rate / 1e9, 2),
            "share": {
                str(n): round(step_bytes(engine, n, middle) * one.median / n / rate, 3) for n, one in decoded.items()
            },
        },
        "memory": {
            "peak": peak, "weights": weight_bytes(engine), "kv_cache": engine.choices["kv_cache"]["bytes"],
        },
        "quant": args.quant or None,
        "choices": engine.choices,
        "tokens": args.tokens, "depth": args.depth, "repeat": args.repeat,
    }  # fmt: skip


def page(found: dict[str, Any]) -> str:
    """What was measured, as a table for people."""
    choices, spread, bandwidth, memory = (found[name] for name in ("choices", "spread", "bandwidth", "memory"))
    kernels = choices.get("kernels", {})
    how = f", kernels {kernels['isa']}" if "isa" in kernels else ""
    threads = f"{choices['threads']} thread{'s' * (choices['threads'] != 1)}"
    lines = [
        f"{found['model']} on {found['cpu']}: {choices['backend']}, {choices['dtype']}{how}, {threads}",
        f"{'':24}{'tokens/s':>12}{'from':>12}{'to':>12}{'of bandwidth':>14}",
    ]
    for n, rate in found["decode"].items():
        low, high = spread["decode"][n]
        name = f"{n} stream{'s' * (n != '1')}"
        lines.append(f"{name:24}{rate:>12,.1f}{low:>12,.1f}{high:>12,.1f}{bandwidth['share'][n]:>14.0%}")
    for n, rate in found["prefill"].items():
        low, high = spread["prefill"][n]
        lines.append(f"{f'prompt of {n}':24}{rate:>12,.1f}{low:>12,.1f}{high:>12,.1f}"
                     f"   first token after {found['first_token_ms'][n]:,.1f} ms")  # fmt: skip
    lines.append(f"memory reads {bandwidth['measured_gb_s']} GB/s; used at most {show_size(memory['peak'])}: weights "
                 f"{show_size(memory['weights'])}, cache up to {show_size(memory['kv_cache'])}")  # fmt: skip
    return "\n".join(lines)
