"""Matrix products per second, bf16 and fp32: the peak that MFU is measured against.

    python bench/matmul.py --size 2048 --threads 2 --keep
"""

import common
import torch


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--size", type=int, default=2048)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    figures, rows = {}, []
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        a = torch.randn(args.size, args.size, device=device).to(dtype)
        b = torch.randn(args.size, args.size, device=device).to(dtype)
        times = common.seconds(lambda a=a, b=b: a @ b, repeat=args.repeat)
        rates = {k.replace("_s", "_gflop_s"): 2 * args.size**3 / t / 1e9 for k, t in common.spread(times).items()}
        figures[name] = {k: round(v, 1) for k, v in rates.items()}
        rows.append((name, *(f"{rates[k]:,.0f}" for k in ("median_gflop_s", "best_gflop_s", "worst_gflop_s"))))
    print(common.table(("type", "median GFLOP/s", "best", "worst"), rows))
    common.keep("matmul", args, figures)


if __name__ == "__main__":
    main()
