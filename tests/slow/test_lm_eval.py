"""lm-evaluation-harness talks to a real server, without tokenizer files, and gets the model's own log-probabilities.

The harness is not among this project's dependencies: `pip install -c constraints.txt -e '.[harness]'`, or name
the Python of another environment in LM_EVAL_PYTHON. Without it these tests are skipped.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from creuset.testing import tiny_model_folder, tiny_tokenizer
from tests.peers import needs

pytestmark = pytest.mark.slow

PYTHON = os.environ.get("LM_EVAL_PYTHON", sys.executable)

PAIRS = [
    ("What is the capital of France? It is", " Paris."),
    ("What is the capital of France? It is", " water that flows."),
    ("Le chat est sur la", " table là-bas"),
    ("", "The cat sat on the mat."),
]
TASK = """
task: tiny_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{q}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{gold}}}}"
metric_list: [{{metric: acc}}]
"""
DOCS = [
    {"q": "What is the capital of France? It is", "choices": ["Paris.", "water."], "gold": 0},
    {"q": "What is a river? It is", "choices": ["the mountain.", "water that flows."], "gold": 1},
    {"q": "The dog ran to the", "choices": ["river", "sea"], "gold": 0},
]

PROGRAM = """
import json, sys
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.tasks import TaskManager

url, folder, pairs = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
lm = LocalCompletionsAPI(
    model="tiny", base_url=url + "/v1/completions", tokenizer_backend="remote", max_length=256, batch_size=2
)
def ask(kind, arguments):
    return [Instance(request_type=kind, doc={}, arguments=tuple(a), idx=i) for i, a in enumerate(arguments)]
tasks = TaskManager(include_path=folder, include_defaults=False)
found = simple_evaluate(model=lm, tasks=["tiny_choice"], task_manager=tasks, log_samples=True)
print(json.dumps({
    "pairs": lm.loglikelihood(ask("loglikelihood", pairs)),
    "rolling": lm.loglikelihood_rolling(ask("loglikelihood_rolling", [["The cat sat on the mat. " * 20]])),
    "generated": lm.generate_until(ask("generate_until", [["The cat", {"until": ["\\n"], "max_gen_toks": 6}]])),
    "acc": found["results"]["tiny_choice"]["acc,none"],
    "choices": [[r[0][0] for r in s["resps"]] for s in found["samples"]["tiny_choice"]],
}))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("model") / "tiny", context=256)


@pytest.fixture(scope="module")
def url(model: Path) -> Iterator[str]:
    arguments = ["serve", "--model", str(model), "--port", "0", "--json", "--dtype", "fp32", "--log-level", "warning"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from creuset.cli import entry; entry()", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())["url"]
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def harness(url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the harness found, run in its own process."""
    import time

    import httpx

    needs(PYTHON, "lm_eval, tenacity", "pip install -c constraints.txt -e '.[harness]', or set LM_EVAL_PYTHON")
    end = time.monotonic() + 120
    while httpx.get(f"{url}/health", trust_env=False).status_code != 200:
        assert time.monotonic() < end, "the engine did not start"
        time.sleep(0.2)
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "docs.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in DOCS))
    (folder / "task.yaml").write_text(TASK.format(data=folder / "docs.jsonl"))
    run = subprocess.run(
        [PYTHON, "-c", PROGRAM, url, str(folder), json.dumps(PAIRS)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache"), "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    value: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return value


@pytest.fixture(scope="module")
def score(model: Path) -> Any:
    """(ids, first) -> log-probability of ids[first:], and whether each is the likeliest: the model alone, no engine."""
    import torch

    from creuset.model.attention import Packed
    from creuset.model.formats.weights import load_model

    network = load_model(model, dtype=torch.float32)

    def run(ids: list[int], first: int) -> tuple[float, bool]:
        with torch.inference_mode():
            hidden = network(torch.tensor(ids), torch.arange(len(ids)), Packed([len(ids)]))
            logprobs = network.logits(hidden).float().log_softmax(-1)
        picked = [float(logprobs[i - 1, ids[i]]) for i in range(first, len(ids))]
        greedy = all(int(logprobs[i - 1].argmax()) == ids[i] for i in range(first, len(ids)))
        return sum(picked), greedy

    return run


def split(context: str, continuation: str) -> tuple[list[int], int]:
    """The harness's rule: the whole is tokenized, and the continuation is what comes after the context's tokens."""
    words = tiny_tokenizer()
    if not context:
        return [words.endoftext, *words.encode(continuation)], 1
    return words.encode(context + continuation), len(words.encode(context))


def test_loglikelihoods_are_the_models_own(harness: dict[str, Any], score: Any) -> None:
    for (context, continuation), (found, greedy) in zip(PAIRS, harness["pairs"], strict=True):
        wanted, likeliest = score(*split(context, continuation))
        assert found == pytest.approx(wanted, abs=1e-3) and greedy == likeliest, (context, continuation)


def test_a_long_text_is_scored_in_windows(harness: dict[str, Any], score: Any) -> None:
    ids = tiny_tokenizer().encode("The cat sat on the mat. " * 20)
    assert len(ids) < 255, "one window: the prefix token and the whole text"
    wanted, _ = score([tiny_tokenizer().endoftext, *ids], 1)
    assert harness["rolling"][0] == pytest.approx(wanted, abs=1e-2)


def test_a_task_is_scored_as_by_hand(harness: dict[str, Any], score: Any) -> None:
    right = 0
    for doc, found in zip(DOCS, harness["choices"], strict=True):
        wanted = [score(*split(doc["q"], " " + choice))[0] for choice in doc["choices"]]
        assert found == pytest.approx(wanted, abs=1e-3)
        right += wanted.index(max(wanted)) == doc["gold"]
    assert harness["acc"] == pytest.approx(right / len(DOCS))


def test_generation_is_greedy_and_ends(harness: dict[str, Any], model: Path) -> None:
    from creuset.engine.engine import Engine
    from creuset.engine.settings import EngineSettings
    from creuset.types.generation import GenerationRequest, Sampling

    engine = Engine.load(model, settings=EngineSettings(dtype="fp32"))
    stops = ("\n", "<|endoftext|>")
    sampling = Sampling(max_tokens=6, temperature=0.0, stop=stops)
    engine.add(GenerationRequest(id="a", prompt=tiny_tokenizer().encode("The cat"), sampling=sampling))
    text = ""
    while engine.busy:
        text += "".join(event.text for event in engine.step())
    assert harness["generated"] == [text]
