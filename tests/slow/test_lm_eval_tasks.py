"""The referee asked live: lm-evaluation-harness `hf` on a folder, its `local-completions` on our server, and we.

Per sample of 23 tasks: the same prompts, ln p within 1e-4, the same greedy replies, the same scores. The harness is no
dependency: LM_EVAL_PYTHON names the Python that has it, with transformers and torch. Without it these tests
are skipped. What it says here of the committed model is also what tests/evals/test_parity.py compares with.
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from creuset.evals.clients.local import LocalClient
from tests.evals.compare_referee import ask, equal_answers, equal_questions, equal_scores, our_samples, our_task
from tests.evals.parity import GOLDEN, MODEL, PYTHON, TASKS, referee
from tests.peers import needs

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def lm_eval() -> None:
    needs(PYTHON, "lm_eval", "pip install -c constraints.txt -e '.[harness]', or set LM_EVAL_PYTHON")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    arguments = ["serve", "--model", str(MODEL), "--port", "0", "--json", "--dtype", "fp32", "--log-level", "warning"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from creuset.cli import entry; entry()", *arguments],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    found = json.loads(process.stdout.readline())["url"]
    end = time.monotonic() + 120
    while httpx.get(f"{found}/health", trust_env=False).status_code != 200:
        assert time.monotonic() < end, "the engine did not start"
        time.sleep(0.2)
    yield found
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def said(url: str) -> dict[str, dict[str, Any]]:
    return {"hf": referee("hf", str(MODEL)), "server": referee("server", url)}


@pytest.fixture(scope="module")
def subject() -> Iterator[LocalClient]:
    subject = LocalClient(MODEL, prefix=False)
    yield subject
    asyncio.run(subject.close())


@pytest.mark.parametrize("name", TASKS)
def test_folder_server_and_we_say_the_same(name: str, said: dict[str, dict[str, Any]], subject: LocalClient) -> None:
    task = our_task(name)
    samples = our_samples(task)
    outcomes = asyncio.run(ask(task, samples, subject))
    for referees in said.values():
        equal_questions(samples, referees[name])
        equal_answers(samples, outcomes, referees[name])
        equal_scores(task, samples, outcomes, referees[name])


def test_the_committed_answers_are_those_of_today(said: dict[str, dict[str, Any]]) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for name, documents in golden["hf"].items():
        for then, now in zip(documents, said["hf"][name], strict=True):
            for (*asked, value), (*again, value_now) in zip(
                [q[:3] for q in then["asked"]], [q[:3] for q in now["asked"]], strict=True
            ):
                assert asked == again and (value == value_now or value == pytest.approx(value_now, abs=1e-4)), name


def test_prepared_replies_are_scored_as_committed() -> None:
    assert referee("scripted", "") == json.loads(GOLDEN.read_text(encoding="utf-8"))["scripted"]
