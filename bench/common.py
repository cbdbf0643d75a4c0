"""What every benchmark shares: timing, a probe of the machine, and where results go.

A benchmark is a script: it prints a table for people, its last line is one JSON document, and `keep` appends that
document to `bench/results/<bench>.jsonl`, from which the README's table is made (`bench/all.py`). Figures of a shared
machine move within minutes: compare medians of one run, and look at the probe beside them.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PROBE_MB = 256


def seconds(call: Callable[[], object], *, warmup: int = 2, repeat: int = 5) -> list[float]:
    """Wall times of `repeat` calls after `warmup` unmeasured ones (allocator, caches, autotuning)."""
    import torch

    times = []
    for i in range(warmup + repeat):
        start = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if i >= warmup:
            times.append(time.perf_counter() - start)
    return times


def spread(times: Sequence[float]) -> dict[str, float]:
    """Median, best and worst, in seconds."""
    return {"median_s": statistics.median(times), "best_s": min(times), "worst_s": max(times)}


def bandwidth(threads: int | None = None) -> float:
    """Bytes a second that this machine reads from memory right now: the best of a few sums over 256 MB."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    block = torch.ones(PROBE_MB * 2**20 // 4)
    try:
        return PROBE_MB * 2**20 / min(seconds(block.sum, warmup=1, repeat=5))
    finally:
        torch.set_num_threads(before)


def host(threads: int) -> dict[str, Any]:
    """The machine, its load, the code and the libraries."""
    import torch

    from creuset.core.host import commit, hardware, versions

    return {
        "hardware": hardware(gpus=torch.cuda.device_count() if torch.cuda.is_available() else 0),
        "threads": threads,
        "load_1min": os.getloadavg()[0],
        "commit": commit(),
        "versions": versions(),
    }


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """A parser with what all benchmarks take."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="append the result to bench/results")
    return parser


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns lined up; numbers to the right."""
    cells = [[str(c) for c in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join(
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    )


def keep(bench: str, args: argparse.Namespace, figures: dict[str, Any]) -> None:
    """Print the result as one JSON line, the last; with `--keep` append it to the bench's file."""
    line = json.dumps(
        {
            "bench": bench,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            # Of a path only the name: where a model lies on this machine is nobody else's business.
            "arguments": {k: Path(v).name if "/" in str(v) else v for k, v in vars(args).items() if k != "keep"},
            "host": host(args.threads),
            "bandwidth_gb_s": round(bandwidth(args.threads) / 1e9, 1),
            "figures": figures,
        }
    )
    if args.keep:
        RESULTS.mkdir(exist_ok=True)
        with (RESULTS / f"{bench}.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
    sys.stdout.flush()
    print(line)


def latest(bench: str) -> dict[str, Any] | None:
    """The newest kept result of a bench, or None."""
    file = RESULTS / f"{bench}.jsonl"
    lines = [text for text in file.read_text(encoding="utf-8").splitlines() if text.strip()] if file.is_file() else []
    found: dict[str, Any] | None = json.loads(lines[-1]) if lines else None
    return found
