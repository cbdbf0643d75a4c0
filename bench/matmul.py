"""Matrix products per second, bf16 and fp32: the peak that MFU is measured against.

python bench/matmul.py --size 2048 --threads 2 --keep
"""

import common
import torch

from creuset.core.device import has_bf16


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--size", type=int, default=2048)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    figures, rows = {}, []
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        # Emulated bf16 is a hundred times slower: a smaller product says the same in seconds.
        emulated = dtype == torch.bfloat16 and not has_bf16(torch.device(device))
        size = args.size // 4 if emulated else args.size
        a = torch.randn(size, size, device=device).to(dtype)
        b = torch.randn(size, size, device=device).to(dtype)
        times = common.seconds(lambda a=a, b=b: a @ b, repeat=args.repeat)
        work = 2 * size**3 / 1e9
        rates = {k.replace("_s", "_gflop_s"): work / t for k, t in common.spread(times).items()}
        name += " (emulated)" if emulated else ""
        figures[name] = {k: round(v, 1) for k, v in rates.items()}
        rows.append((name, *(f"{rates[k]:,.0f}" for k in ("median_gflop_s", "best_gflop_s", "worst_gflop_s"))))
    print(common.table(("type", "median GFLOP/s", "best", "worst"), rows))
    common.keep("matmul", args, figures)


if __name__ == "__main__":
    main()
