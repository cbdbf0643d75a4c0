"""Choose the planner's constants on the runs of creuset/plan/runs.toml that are marked `fit`, and print all errors.

    python validation/fit_planner.py            # the constants that fit best, for creuset/plan/facts.toml
    python validation/fit_planner.py --show     # only the errors of the constants that are there

The sum of the squared logarithms of (planned hours / published hours) over the `fit` runs is made least, within bounds
that are physical. Runs marked `held out` are printed, never used.
"""

import argparse
import dataclasses
from math import log

import numpy as np
from scipy.optimize import least_squares

from creuset.plan.facts import Constants, constants
from creuset.plan.trust import judge, measured_runs, median_error, verdicts

BOUNDS = {
    "products": (0.6, 0.9),
    "products_fp8": (0.4, 0.85),
    "experts": (0.15, 1.0),
    "attention": (0.3, 0.75),
    "routing": (0.5, 3.0),
    "launch": (20e-6, 500e-6),
    "launch_moe": (50e-6, 1e-3),
    "plain": (1.0, 2.0),
    "plain_moe": (1.0, 4.0),
    "waited_tensor": (0.1, 1.0),
    "waited_expert": (0.1, 1.0),
}

# Where the search begins, and where a constant stays when runs say nothing of it.
START = {
    "products": 0.8,
    "products_fp8": 0.6,
    "experts": 0.6,
    "attention": 0.45,
    "routing": 1.0,
    "launch": 60e-6,
    "launch_moe": 400e-6,
    "plain": 1.2,
    "plain_moe": 2.0,
    "waited_tensor": 0.5,
    "waited_expert": 0.8,
}


def fit() -> Constants:
    names, start = list(BOUNDS), constants()
    low, high = (np.log([BOUNDS[name][side] for name in names]) for side in (0, 1))
    runs = [run for run in measured_runs() if run.use == "fit"]
    first = np.clip(np.log([START[name] for name in names]), low + 1e-6, high - 1e-6)

    def errors(x: np.ndarray) -> list[float]:
        k = dataclasses.replace(start, **dict(zip(names, np.exp(x), strict=True)))
        pulls = 0.05 * (x - first)  # where runs say nothing, a constant stays
        return [log(1 + judge(run, k).error) for run in runs] + list(pulls)

    found = least_squares(errors, first, bounds=(low, high))
    return dataclasses.replace(start, **{n: float(f"{v:.3g}") for n, v in zip(names, np.exp(found.x), strict=True)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="the errors of the constants that are in facts.toml")
    k = constants() if parser.parse_args().show else fit()
    for name, value in dataclasses.asdict(k).items():
        print(f"{name} = {value:g}")
    found = verdicts(k)
    for one in found:
        print(f"{one.run.use:9} {one.run.name:56} {100 * one.error:+6.1f} %  {one.layout.words()}")
    for use in ("fit", "held out"):
        print(f"median of the errors' sizes, {use}: {100 * median_error(found, use):.1f} %")


if __name__ == "__main__":
    main()
