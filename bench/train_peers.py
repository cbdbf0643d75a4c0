"""Training of a small mixture of experts beside Hugging Face's, turn by turn in one run.

    python bench/train_peers.py --shapes mini,22m,80m --threads 2 --keep
    python bench/train_peers.py --shapes mini --threads 1 --clock processor    # where others use the machine too

Each loop runs in a process of its own (peers/training.py says what they are) and takes one optimizer step in turn, all
on the same tokens: the text of this repository's guides in the tokens of the shipped model. The share of the peak is
model FLOPs (forward and backward, nothing recomputed) over what a square product of matrices reached in the same
precision in this run. Peak memory is that of the whole process, libraries included. `--clock processor` gives each loop
one thread and counts its processor time.
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

WAYS = (
    "ours-fp32", "ours-bf16", "ours-bf16-adamw", "eager-fp32", "eager-bf16", "grouped_mm-fp32", "grouped_mm-bf16",
    "dense-fp32", "dense-bf16",
)  # fmt: skip
WARM = 1  # steps of each loop that are not counted


def text_ids() -> list[int]:
    """The guides, in the tokens of the shipped model."""
    from creuset.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(HERE.parent / "creuset" / "models" / "mini")
    guides = sorted((HERE.parent / "docs").rglob("*.md"))
    return tokenizer.encode("\n".join(f.read_text(encoding="utf-8") for f in guides))


class Loop:
    """One way to train, in a process that waits without computing while others are timed."""

    def __init__(self, way: str, shape: str, args: argparse.Namespace) -> None:
        command = [
            sys.executable, str(HERE / "peers" / "training.py"), way, shape, str(args.threads),
            str(args.micro or args.tokens), str(args.context),
        ]  # fmt: skip
        environment = os.environ | {"OMP_NUM_THREADS": str(args.threads), "PYTHONPATH": str(HERE.parent)}
        self.way = way
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.about = self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.way} ended")
        found: dict[str, Any] = json.loads(line)
        return found

    def step(self, ids: list[int]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"step": ids}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


def peaks(threads: int, clock: str) -> dict[str, float]:
    """FLOP/s of a product of 2048 x 2048 matrices, by precision: the best of five."""
    import torch

    now = time.process_time if clock == "processor" else time.perf_counter
    torch.set_num_threads(threads)
    found = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = (torch.randn(2048, 2048).to(dtype) for _ in range(2))
        times = []
        for _ in range(6):
            begun = now()
            a @ b
            times.append(now() - begun)
        found[name] = 2 * 2048**3 / min(times[1:])
    return found


def race(shape: str, args: argparse.Namespace, ids: list[int]) -> dict[str, Any]:
    """Figures of each way for one shape."""
    from training import SHAPES

    from creuset.model.count import training_flops

    flops = training_flops(SHAPES[shape], context=args.context)
    peak = peaks(args.threads, args.clock)
    taken: dict[str, list[float]] = {way: [] for way in args.ways}
    loops = [Loop(way, shape, args) for way in args.ways]
    last: dict[str, dict[str, Any]] = {}
    try:
        for round_ in range(WARM + args.repeat):
            begin = round_ * args.tokens % (max(1, len(ids) - args.tokens - 1))
            part = ids[begin : begin + args.tokens + 1]
            for loop in loops:
                last[loop.way] = loop.step(part)
                if round_ >= WARM:
                    taken[loop.way].append(last[loop.way][args.clock])
    finally:
        for loop in loops:
            loop.close()
    figures: dict[str, Any] = {"peak_gflop_s": {k: round(v / 1e9) for k, v in peak.items()}}
    for loop in loops:
        times, precision = taken[loop.way], loop.way.split("-")[1]
        rate = args.tokens / statistics.median(times)
        figures[loop.way] = {
            "tokens_per_s": round(rate), "best": round(args.tokens / min(times)),
            "worst": round(args.tokens / max(times)), "parameters": loop.about["parameters"],
            "share_of_peak": round(rate * flops / peak[precision], 3), "peak_mib": round(last[loop.way]["peak_mib"]),
        }  # fmt: skip
    return figures


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--shapes", default="mini,22m,80m")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--tokens", type=int, default=8192, help="of a step")
    parser.add_argument("--micro", type=int, default=0, help="tokens that are in memory at a time (default: all)")
    parser.add_argument("--context", type=int, default=512, help="tokens of a sequence")
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall")
    args = parser.parse_args()
    args.ways = args.ways.split(",")
    if args.clock == "processor":
        args.threads = 1
    ids, everything = text_ids(), {}
    for shape in args.shapes.split(","):
        figures = everything[shape] = race(shape, args, ids)
        rows = [
            (way, f"{f['tokens_per_s']:,}", f"{f['worst']:,}", f"{f['best']:,}", f"{f['parameters'] / 1e6:.1f}M",
             f"{f['share_of_peak']:.0%}", f"{f['peak_mib']:,}")
            for way, f in figures.items() if way in args.ways
        ]  # fmt: skip
        peak = figures["peak_gflop_s"]
        print(f"{shape}: peak {peak['fp32']} GFLOP/s in fp32, {peak['bf16']} in bf16")
        head = ("way", f"tokens per {args.clock} s", "worst", "best", "parameters", "of peak", "peak MiB")
        print(common.table(head, rows), flush=True)
    common.keep("train_peers", args, everything)


if __name__ == "__main__":
    main()
