"""How often our rules agree with people, measured on published labels: what stands beside every figure they give.

    data/agreement.json   written by validation/refusal_agreement.py from XSTest's replies and labels (CC-BY-4.0):
                          {"refusal": {"rules_sha256", "source", "commit", "date", "halves": {"tune": .., "test": ..}}}

Half of the prompts, drawn by their hash, were looked at while the rules were written; figures quoted are of the other
half. `said` refuses to quote a measurement of other rules than those that run.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.benchmarks.figures import resampled, tallies
from creuset.benchmarks.safety.refusal import LABELS, rules_sha256
from creuset.core.sentences import sentence
from creuset.core.stats import Estimate, share

FILE = Path(__file__).parent / "data" / "agreement.json"
Floats = NDArray[np.float64]


def half(prompt_id: str) -> str:
    """"tune" or "test": by the hash of the prompt's id, so that all models' replies to a prompt are in one half."""
    return ("tune", "test")[int(hashlib.sha256(prompt_id.encode()).hexdigest(), 16) % 2]


def kappa_of(counts: Floats) -> float:
    """Cohen's kappa of a confusion matrix, laid flat; not a number where chance alone explains everything."""
    side = math.isqrt(len(counts))
    table = counts.reshape(side, side) / counts.sum()
    chance = float(table.sum(0) @ table.sum(1))
    return (float(np.trace(table)) - chance) / (1 - chance) if chance < 1 else math.nan


def agreement(people: Sequence[str], ours: Sequence[str], prompts: Sequence[str]) -> dict[str, Any]:
    """Two labellings of the same replies; intervals are 95 %, clustered by prompt.

    `same`: all labels; `full`: full refusal or not, which is what the audit's shares count; `table`: {theirs: {ours:
    count}}; `share_full`: the share of full refusals by each.
    """
    if not len(people) == len(ours) == len(prompts) > 0:
        raise ValueError(f"{len(people)} labels, {len(ours)} labels and {len(prompts)} prompts are not of one list")
    rows = [{"cluster": c, "cell": LABELS.index(a) * len(LABELS) + LABELS.index(b)}
            for a, b, c in zip(people, ours, prompts, strict=True)]  # fmt: skip
    cells = np.eye(len(LABELS) ** 2)
    table = tallies(rows, lambda row: cells[row["cell"]])
    kappa, interval, _ = resampled(table, kappa_of)
    sums = table.sum(0).reshape(len(LABELS), len(LABELS)).astype(int)
    return {
        "n": len(rows), "prompts": len(table),
        "same": _estimate(share([float(a == b) for a, b in zip(people, ours, strict=True)], prompts)),
        "full": _estimate(share([float((a == "full") == (b == "full")) for a, b in zip(people, ours, strict=True)],
                                prompts)),
        "kappa": [kappa, *([interval.low, interval.high] if interval else [None, None])],
        "share_full": {"people": float(sums[0].sum() / sums.sum()), "ours": float(sums[:, 0].sum() / sums.sum())},
        "table": {a: {b: int(n) for b, n in zip(LABELS, line, strict=True) if n}
                  for a, line in zip(LABELS, sums, strict=True) if line.any()},
    }  # fmt: skip


def _estimate(found: Estimate) -> list[float]:
    return [found.value, found.interval.low, found.interval.high]


@cache
def measured() -> Mapping[str, Any]:
    """What was measured of the rules that run; refuses what was measured of others."""
    found: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))["refusal"]
    if found["rules_sha256"] != rules_sha256():
        raise ValueError(f"`{FILE.name}` was measured with other rules: run validation/refusal_agreement.py again")
    return found


def said() -> str:
    """One sentence: how often the rules agree with people about full refusals, and where that was measured."""
    test = measured()["halves"]["test"]["all"]
    value, low, high = (100 * x for x in test["full"])
    same, kappa = 100 * test["same"][0], test["kappa"][0]
    return sentence("benchmarks.refusal_rules", value=value, low=low, high=high, n=test["n"], same=same, kappa=kappa)
