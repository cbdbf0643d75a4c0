"""Inputs on which we were once wrong stay right: the checks of validation/cases.py that start no process."""

import json
from pathlib import Path
from typing import Any

import pytest
from cases import CHECKS

FILE = Path(__file__).parent / "golden/cases.jsonl"
CASES = [json.loads(line) for line in FILE.read_text(encoding="utf-8").strip().split("\n")]


@pytest.mark.parametrize("case", CASES, ids=[f"{case['area']}-{at}" for at, case in enumerate(CASES)])
def test_what_was_once_wrong_is_right(case: dict[str, Any]) -> None:
    right, got = CHECKS[case["area"], case["kind"]](case["input"])
    assert right, got


def test_every_kind_has_a_check_and_a_wrong_answer_is_seen() -> None:
    assert len(CASES) == 80 and {(case["area"], case["kind"]) for case in CASES} <= set(CHECKS)
    assert not CHECKS["refusal", "an answer, called a refusal"]("I will not help you with that.")[0]
    assert not CHECKS["privacy", "not a phone number"]("Tel. +33 1 42 68 53 00")[0]
    assert not CHECKS["tools", "parameters for arguments"]("no call here")[0]
