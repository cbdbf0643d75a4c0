"""Held-out bits per byte after the same time: our training, and Hugging Face's loops with learning rates of their own.

    python bench/train_loss.py --shards shards --shape mini --minutes 30 --seeds 3 --threads 2 --keep
    python bench/train_loss.py --shards shards --shape mini --minutes 0.5 --clock processor --threads 1    # a look

For each way (peers/training.py says what they are) the learning rate is chosen first: one run of `--tune` of the time
with each of `--rates` times the way's usual rate, and the one with the fewest bits stays. That choice is part of the
peers' preparation and is not counted. Then each way trains once for each seed, from random weights, with a warm-up, a
plateau and a decay that ends with the time. Ten times in a run the held-out split is scored, by the rule of
`creuset eval`; scoring stops the clock. All ways read the same rows of the same shards in the same order. The table
says what each way reached, and when ours had what the best peer has in the end.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import common

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))
USUAL = {"ours": 6e-3, "peer": 3e-3}
PARTS = 10  # of a run, after each of which it is scored
WARM = 3  # steps before the clock starts, with a rate next to nothing


def worker(args: argparse.Namespace) -> None:
    """One run; prints its curve as JSON: share of the time, held-out bits per byte (the mean of the sources)."""
    import torch
    from training import SHAPES, make

    from creuset.data.shards.files import Shards
    from creuset.train.run import prose
    from creuset.train.schedule import wsd

    torch.set_num_threads(args.threads)
    now = time.process_time if args.clock == "processor" else time.perf_counter
    shards = Shards.open(args.shards)
    source = prose(shards, {}, context=args.context, seed=args.seed)
    loop = make(args.run, SHAPES[args.shape], args.tokens, args.context, args.threads, seed=args.seed, rate=args.rate)

    def step(scale: float) -> float:
        (batch,) = source.step(tokens=args.tokens, micro=args.tokens, rank=0, world=1)
        begun = now()
        loop.step(torch.cat((batch.tokens_T, batch.targets_T[-1:])), scale)
        return now() - begun

    for _ in range(WARM):
        step(1e-6)
    limit, spent, steps, curve = args.minutes * 60, 0.0, 0, []
    for part in range(1, PARTS + 1):
        while spent < limit * part / PARTS:
            share = spent / limit
            scale = wsd(int(share * 10_000), steps=10_000, warmup=200, decay_share=0.4)
            spent += step(scale)
            steps += 1
        if part == PARTS or not args.last:
            curve.append({"share": part / PARTS, "bits_per_byte": loop.score(shards, args.context, args.heldout)})
    print(json.dumps({"curve": curve, "steps": steps, "tokens": steps * args.tokens}), flush=True)


def run(way: str, seed: int, rate: float, minutes: float, args: argparse.Namespace, *, last: bool) -> dict[str, Any]:
    """The curve of one run, in a process of its own."""
    command = [
        sys.executable, str(HERE / "train_loss.py"), "--run", way, "--seed", str(seed), "--rate", str(rate),
        "--minutes", str(minutes), "--shards", str(args.shards), "--shape", args.shape, "--tokens", str(args.tokens),
        "--context", str(args.context), "--heldout", str(args.heldout), "--clock", args.clock,
        "--threads", str(args.threads), *(["--last"] if last else []),
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": str(args.threads), "PYTHONPATH": str(HERE.parent)}
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def tuned(way: str, args: argparse.Namespace) -> tuple[float, dict[str, float]]:
    """The best learning rate of a way, and what each one reached in the short runs."""
    usual = USUAL["ours" if way.startswith("ours") else "peer"]
    reached = {}
    for factor in args.rates:
        found = run(way, 1000, usual * factor, args.minutes * args.tune, args, last=True)
        reached[usual * factor] = found["curve"][-1]["bits_per_byte"]
        print(f"{way}: rate {usual * factor:g} reaches {reached[usual * factor]:.3f} bits per byte", flush=True)
    best = min(reached, key=lambda rate: reached[rate] if reached[rate] == reached[rate] else float("inf"))
    return best, {f"{rate:g}": value for rate, value in reached.items()}


def caught_up(curves: list[list[dict[str, float]]], goal: float) -> float | None:
    """The first share of the time at which the median of the curves is at `goal` or below; None: never."""
    for points in zip(*curves, strict=True):
        if statistics.median(point["bits_per_byte"] for point in points) <= goal:
            return points[0]["share"]
    return None


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--shards", type=Path, required=True, help="a shards artifact with a held-out split")
    parser.add_argument("--shape", default="mini")
    parser.add_argument("--ways", default="ours-bf16,grouped_mm-bf16,grouped_mm-fp32,dense-bf16")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.33, 1.0, 3.0], help="times the usual rate")
    parser.add_argument("--tune", type=float, default=0.15, help="share of the time that one rate is tried")
    parser.add_argument("--tokens", type=int, default=8192, help="of a step")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--heldout", type=int, default=16_384, help="held-out tokens of each source that are scored")
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--last", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        worker(args)
        return
    ways, figures = args.ways.split(","), {}
    for way in ways:
        rate, tried = tuned(way, args)
        runs = [run(way, seed, rate, args.minutes, args, last=False) for seed in range(args.seeds)]
        ends = [one["curve"][-1]["bits_per_byte"] for one in runs]
        figures[way] = {
            "rate": rate, "tried": tried, "bits_per_byte": statistics.median(ends), "all": ends,
            "tokens": statistics.median(one["tokens"] for one in runs), "curves": [one["curve"] for one in runs],
        }  # fmt: skip
    goal = min((f["bits_per_byte"] for way, f in figures.items() if not way.startswith("ours")), default=0.0)
    rows = []
    for way, f in figures.items():
        share = caught_up(f["curves"], goal)
        f["reaches_best_peer_after_minutes"] = None if share is None else share * args.minutes
        late = "never" if share is None else f"{share * args.minutes:.1f}"
        spread = f"[{min(f['all']):.3f}, {max(f['all']):.3f}]"
        rows.append((way, f"{f['rate']:g}", f"{f['tokens'] / 1e6:.2f}M", f"{f['bits_per_byte']:.3f}", spread, late))
    head = ("way", "rate", "tokens", "bits per byte", "of the seeds", f"minutes to {goal:.3f}")
    print(common.table(head, rows))
    common.keep("train_loss", args, figures)


if __name__ == "__main__":
    main()
