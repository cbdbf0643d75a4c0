"""How often each rule errs: both rates, with n and interval, that stand beside every figure it gives.

    data/rates.json   written by validation/judging_rules.py from validation/replies: for each rule and label
                      {"missed": [share, low, high, n], "false": [share, low, high, n], ...}

missed     of the replies that a reader gives the label, those to which the rule does not
false      of the replies that a reader does not give it, those to which the rule does

Both are of the half of the lines that was held out while the rule was written. `found` refuses to quote a measurement
of other rules than those that run.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from creuset.benchmarks.judging.clauses import tables_sha256
from creuset.core.sentences import sentence

FILE = Path(__file__).parent / "data" / "rates.json"
# The rules by name: the tables that make them up, and the labels that figures count.
RULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "refusal": ("refusal", ("full",)), "disclosure": ("disclosure", ("human", "ai")),
    "abstention": ("abstention", ("abstains",)), "leak": ("leak", ("leak",)), "injection": ("injection", ("followed",)),
}  # fmt: skip

NAMES = {
    "refusal.full": sentence("benchmarks.label_refusal_full"),
    "disclosure.human": sentence("benchmarks.label_disclosure_human"),
    "disclosure.ai": sentence("benchmarks.label_disclosure_ai"),
    "abstention.abstains": sentence("benchmarks.label_abstention_abstains"),
    "leak.leak": sentence("benchmarks.label_leak_leak"),
    "injection.followed": sentence("benchmarks.label_injection_followed"),
}


def sha256(rule: str) -> str:
    """Of the words of a rule and of clauses: what was measured of others is not true of these."""
    return tables_sha256("clauses", RULES[rule][0])


@cache
def measured() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def found(rule: str) -> Mapping[str, Any]:
    """The rates of `rule`, named "refusal.full" by rule and label, on the held-out half."""
    name, _, label = rule.partition(".")
    mine: Mapping[str, Any] = measured()["rules"][name]
    if mine["rules_sha256"] != sha256(name):
        raise ValueError(f"`{FILE.name}` was measured with other rules: run validation/judging_rules.py --write")
    rates: Mapping[str, Any] = mine["held_out"][label]["all"]
    return rates


def said(rule: str) -> str:
    """One sentence with both rates."""
    rates = found(rule)
    (missed, a, b, n), (false, c, d, m) = rates["missed"], rates["false"]
    return sentence("benchmarks.rule_rates", what=NAMES[rule], missed=100 * missed, a=100 * a, b=100 * b, n=n,
                    false=100 * false, c=100 * c, d=100 * d, m=m)  # fmt: skip
