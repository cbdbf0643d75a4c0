"""The planner against hours that others published; and how long `creuset --help` takes.

python bench/plan.py --keep
"""

import subprocess
import sys

import common

from creuset.plan.trust import median_error, verdicts


def main() -> None:
    args = common.arguments(__doc__).parse_args()
    found = verdicts()
    rows = [(v.run.use, v.run.name, f"{v.hours:,.4g}", f"{v.published:,.4g}", f"{100 * v.error:+.1f} %") for v in found]
    print(common.table(("use", "run", "GPU hours planned", "published", "error"), rows))
    medians = {use: median_error(found, use) for use in ("fit", "held out")}
    print(", ".join(f"{use}: median error {100 * error:.1f} %" for use, error in medians.items()))
    help_ = [sys.executable, "-m", "creuset", "--help"]
    times = common.seconds(lambda: subprocess.run(help_, capture_output=True, check=True), repeat=args.repeat)
    figures = common.spread(times)
    print(f"creuset --help: {figures['median_s']:.3f} s")
    common.keep("plan", args, {"errors": {v.run.name: v.error for v in found}, "medians": medians, "help": figures})


if __name__ == "__main__":
    main()
