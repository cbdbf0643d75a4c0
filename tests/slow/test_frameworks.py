"""The first programs of four frameworks against SmolLM2: tools and schemas, a valid answer every time.

Needs a package index, for the model and the frameworks; their environments stay under .cache/frameworks.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
FRAMEWORKS = ("langchain", "instructor", "pydantic-ai", "openai-agents")


@pytest.mark.slow
def test_the_first_programs_of_four_frameworks_get_valid_answers():
    command = [sys.executable, "bench/frameworks/run.py", "--repeat", "3", "--only", *FRAMEWORKS]
    ran = subprocess.run(command, cwd=TREE, capture_output=True, text=True)
    last = (ran.stderr.strip().splitlines() or [""])[-1]
    if not ran.stdout.strip() and "CalledProcessError" in last and "pip" in last:
        pytest.skip(f"the model or the frameworks cannot be installed here: {last}")
    found = json.loads(ran.stdout.splitlines()[-1])
    wrong = [one for one in found["results"] if one["passed"] < one["of"]]
    assert not wrong and ran.returncode == 0
    assert {one["framework"] for one in found["results"]} == {
        "LangChain", "instructor", "pydantic-ai", "OpenAI Agents SDK",
    }  # fmt: skip
