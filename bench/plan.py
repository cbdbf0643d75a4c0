"""The planner against hours that others published; and how long `creuset --help` takes.

python bench/plan.py --keep
"""

import subprocess
import sys

import common

from creuset.plan.estimate import trust


def main() -> None:
    args = common.arguments(__doc__).parse_args()
    runs = trust()
    rows = [
        (r["name"], f"{r['gpu_hours']:,.4g}", f"{r['gpu_hours_published']:,.4g}", f"{100 * r['difference']:+.1f} %")
        for r in runs
    ]
    print(common.table(("run", "GPU hours planned", "published", "difference"), rows))
    help_ = [sys.executable, "-m", "creuset", "--help"]
    times = common.seconds(lambda: subprocess.run(help_, capture_output=True, check=True), repeat=args.repeat)
    figures = common.spread(times)
    print(f"creuset --help: {figures['median_s']:.3f} s")
    common.keep("plan", args, {"published": runs, "help": figures})


if __name__ == "__main__":
    main()
