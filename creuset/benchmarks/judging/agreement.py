"""How often our rules agree with people, measured on published labels: what stands beside every figure they give.

    data/agreement.json   written by validation/refusal_agreement.py from XSTest's replies and labels (CC-BY-4.0):
                          {"refusal": {"rules_sha256", "source", "commit", "date", "halves": {"tune": .., "test": ..}}}

Half of the prompts, drawn by their hash, were looked at while the rules were written; figures quoted are of the other
half. `said` refuses to quote a measurement of other rules than those that run.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from creuset.benchmarks.judging.refusal import rules_sha256
from creuset.core.sentences import sentence

FILE = Path(__file__).parent / "data" / "agreement.json"


def half(prompt_id: str) -> str:
    """ "tune" or "test": by the hash of the prompt's id, so that all models' replies to a prompt are in one half."""
    return ("tune", "test")[int(hashlib.sha256(prompt_id.encode()).hexdigest(), 16) % 2]


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
