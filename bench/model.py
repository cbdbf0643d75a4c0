"""Tokens per second of a named size against transformers: forward and backward through body and head.

    python bench/model.py --size mini --tokens 4096 --lengths 512 300 77 --keep

Both have the same weights and the same sequences; ours are packed into one row, theirs are a batch a length.
Seconds are those of the process, divided by the threads: a busy machine disturbs these less than wall time.
"""

import tempfile
import time
from collections.abc import Callable
from itertools import cycle, groupby
from pathlib import Path
from statistics import median

import common
import torch
import torch.nn.functional as F

from creuset.model import config as shapes
from creuset.model.attention import Packed
from creuset.model.formats.weights import save_model
from creuset.model.transformer import Transformer


def process_seconds(call: Callable[[], None], *, repeat: int) -> float:
    """Median of `repeat` calls after one unmeasured, for each thread."""
    times = []
    for _ in range(repeat + 1):
        start = time.process_time()
        call()
        times.append((time.process_time() - start) / torch.get_num_threads())
    return median(times[1:])


def packed(total: int, lengths: list[int]) -> list[int]:
    """`lengths` in turn, the last one cut, until they are `total` tokens; shortest first."""
    out: list[int] = []
    for length in cycle(lengths):
        if sum(out) == total:
            break
        out.append(min(length, total - sum(out)))
    return sorted(out)


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--size", choices=["nano", "mini", "small"], default="mini")
    parser.add_argument("--tokens", type=int, default=4096, help="of a micro-batch")
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 300, 77], help="of its sequences, in turn")
    parser.set_defaults(repeat=3, threads=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    lengths = packed(args.tokens, args.lengths)
    model = Transformer(getattr(shapes, args.size)())
    model.init_weights(torch.Generator().manual_seed(0))
    tokens = torch.randint(0, model.config.vocab_size, (args.tokens,), generator=torch.Generator().manual_seed(1))
    positions = torch.cat([torch.arange(n) for n in lengths])

    def ours() -> None:
        model.zero_grad()
        hidden = model(tokens, positions, Packed(lengths), routers=[])
        F.cross_entropy(model.logits(hidden), tokens).backward()

    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder), dtype="fp32")
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    runs = [(length, len(list(same))) for length, same in groupby(lengths)]

    def reference() -> None:
        theirs.zero_grad()
        for rows, (length, _) in zip(tokens.split([n * count for n, count in runs]), runs, strict=True):
            logits = theirs(rows.view(-1, length)).logits.flatten(0, 1)
            (F.cross_entropy(logits, rows) * len(rows) / args.tokens).backward()

    rates = {name: args.tokens / process_seconds(f, repeat=args.repeat) for name, f in
             (("creuset", ours), ("transformers", reference))}  # fmt: skip
    print(common.table(("model", "tokens/s"), [(name, f"{rate:,.0f}") for name, rate in rates.items()]))
    what = f"`{args.size}` forward and backward, fp32, a thread"
    figures = {
        "tokens_per_second": {name: round(rate) for name, rate in rates.items()},
        "table": [[f"{what}, {name}", f"{rate:,.0f} tokens/s"] for name, rate in rates.items()],
    }
    common.keep("model", args, figures)


if __name__ == "__main__":
    main()
