"""Tokens per second of whole training steps, by precision and by how the experts are computed.

    python bench/train_step.py --size mini --threads 2 --keep

Every way takes one step in turn, so that all of them meet the same neighbours; the median and the spread are those of
the rounds. `exact` is what training did before: one product an expert, with as many rows as it got. Random tokens
give each expert another number of rows at each step, as real batches do. With ONEDNN_VERBOSE=2 the library says each
kernel that it builds (`create:cache_miss`).
"""

import argparse
import time

import common
import torch

from creuset.core.device import has_bf16, synchronize
from creuset.data.shards.batches import Batch
from creuset.model import config as shapes
from creuset.model.config import ModelConfig
from creuset.model.transformer import Transformer
from creuset.train.objectives import pretrain
from creuset.train.settings import Optim, Pretrain
from creuset.train.state import TrainState
from creuset.train.step import train_step

WAYS = ("fp32-exact", "fp32-padded", "bf16-exact", "bf16-padded")


def settings(way: str, model: ModelConfig, args: argparse.Namespace) -> Pretrain:
    precision, kernel = way.split("-")
    return Pretrain(
        name=way, model=model, steps=10**6, tokens_per_step=args.tokens, tokens_per_microbatch=args.tokens,
        context=args.context, precision=precision, expert_kernel=kernel, threads=args.threads,
        optim=Optim(muon_precision=args.muon or precision),
    )  # fmt: skip


def batch(tokens: int, context: int, vocab: int, seed: int) -> Batch:
    """Random tokens in sequences of `context`."""
    ids_T = torch.randint(0, vocab, (tokens + 1,), generator=torch.Generator().manual_seed(seed))
    rows = tokens // context
    return Batch(ids_T[:-1], ids_T[1:], torch.ones(tokens), torch.arange(context).repeat(rows), [context] * rows)


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--size", choices=["nano", "mini", "small"], default="mini")
    parser.add_argument("--tokens", type=int, default=8192, help="of a step")
    parser.add_argument("--context", type=int, default=512, help="tokens of a sequence")
    parser.add_argument("--ways", nargs="+", choices=WAYS, help="default: all, and fp32 alone where bf16 is emulated")
    parser.add_argument("--muon", choices=["bf16", "fp32"], help="precision of Muon (default: that of the model)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.set_defaults(repeat=9)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    ways = args.ways or [way for way in WAYS if way.startswith("fp32") or has_bf16(device)]
    config = getattr(shapes, args.size)()
    states = {}
    for way in ways:
        model = Transformer(config)
        model.init_weights(torch.Generator().manual_seed(0))
        states[way] = TrainState.begin(model, settings(way, config, args), device)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for round_ in range(2 + args.repeat):
        data = batch(args.tokens, args.context, config.vocab_size, round_)
        for way, state in states.items():
            synchronize(device)
            begun = time.perf_counter()
            train_step(state, [data], pretrain)
            synchronize(device)
            if round_ >= 2:  # the first two fill caches
                times[way].append(time.perf_counter() - begun)
    figures, rows = {}, []
    for way, taken in times.items():
        rates = {k.replace("_s", "_tokens_per_s"): args.tokens / s for k, s in common.spread(taken).items()}
        figures[way] = {k: round(v) for k, v in rates.items()}
        rows.append((way, *(f"{v:,.0f}" for v in rates.values())))
    print(common.table(("way", "median tokens/s", "best", "worst"), rows))
    for precision in ("fp32", "bf16"):
        before, after = figures.get(f"{precision}-exact"), figures.get(f"{precision}-padded")
        if before and after:
            gain = after["median_tokens_per_s"] / before["median_tokens_per_s"] - 1
            print(f"{precision}: padding the rows of experts changes the rate by {100 * gain:+.0f} %")
    what = f"training step of `{args.size}`, {args.tokens:,} tokens"
    rates = {way.replace("-", ", experts "): f"{figures[way]['median_tokens_per_s']:,} tokens/s" for way in ways}
    figures["table"] = [[f"{what}, {way}", rate] for way, rate in rates.items()]
    common.keep("train_step", args, figures)


if __name__ == "__main__":
    main()
