"""The referee's side of parity: lm-evaluation-harness on the committed sample files, its own task files untouched.

`write` makes task files that include the harness's own and replace only where data comes from; `PROGRAM` runs them in
the harness's Python: `hf` on a folder, `local-completions` on a server, and `scripted`, a model that says prepared
replies, by which extraction is compared. Run as a script it writes tests/evals/data/parity/golden.json:

    LM_EVAL_PYTHON=/path/to/python python -m tests.evals.parity
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.evals.parity_rows import (
    Rows,
    bbh,
    boolq,
    commonsense,
    jsonl,
    mgsm,
    mmlu,
    openbook,
    piqa,
    pro,
    query,
    social,
    table,
    truthful,
    whole,
    winogrande,
)

DATA = Path(__file__).parent / "data" / "parity"
BENCH, MODEL, GOLDEN = DATA / "bench", DATA / "model", DATA / "golden.json"
PYTHON = os.environ.get("LM_EVAL_PYTHON", sys.executable)
NEW_TOKENS = 16  # a random model says nothing worth more


# Our name: the harness's task file, its test rows, its rows for worked examples, what else its file must be told.
Made = Callable[[Path], Rows]
Told = tuple[str, Made, Made | None, dict[str, Any]]
FIRST = {"fewshot_config": {"sampler": "first_n"}}


def of_mmlu(subject: str) -> Told:
    return (
        f"mmlu/default/mmlu_{subject}.yaml",
        lambda bench: mmlu(bench, subject, "test"),
        lambda bench: mmlu(bench, subject, "dev"),
        {"num_fewshot": 5},
    )


def of_chinese(task: str, subject: str) -> Told:
    """C-Eval's file of `subject` or CMMLU's, from files that the caller brings: none is committed."""
    asked, worked, file = {
        "ceval": (f"val/{subject}_val.csv", f"dev/{subject}_dev.csv", f"ceval/ceval-valid_{subject}.yaml"),
        "cmmlu": (f"test/{subject}.csv", f"dev/{subject}.csv", f"cmmlu/cmmlu_{subject}.yaml"),
    }[task]
    return (
        file,
        lambda bench: table(bench, f"{task}/{asked}"),
        lambda bench: table(bench, f"{task}/{worked}"),
        {"num_fewshot": 5},
    )


def of_bbh(kind: str, way: str = "cot_fewshot") -> Told:
    return f"bbh/{way}/{kind}.yaml", lambda bench: bbh(bench, kind), None, {}


def of_mgsm(language: str, way: str = "native_cot") -> Told:
    return f"mgsm/{way}/mgsm_{way}_{language}.yaml", lambda bench: mgsm(bench, language), None, {}


def of_pro(category: str) -> Told:
    return (
        f"mmlu_pro/mmlu_pro_{category.replace(' ', '_')}.yaml",
        lambda bench: pro(bench, category),
        None,
        {"num_fewshot": 0, "fewshot_split": "test"},
    )


def of_gsm8k(file: str, worked: bool) -> Told:
    def train(bench: Path) -> Rows:
        return jsonl(bench, "gsm8k/train.jsonl")

    return (
        f"gsm8k/{file}.yaml",
        lambda bench: jsonl(bench, "gsm8k/test.jsonl"),
        train if worked else None,
        FIRST if worked else {},
    )


TASKS: dict[str, Told] = {
    "arc_easy": ("arc/arc_easy.yaml", lambda b: query(b, "arc/arc_easy.jsonl", "Question: "), None, {}),
    "arc_challenge": ("arc/arc_challenge.yaml", lambda b: query(b, "arc/arc_challenge.jsonl", "Question: "), None, {}),
    "hellaswag": ("hellaswag/hellaswag.yaml", lambda b: jsonl(b, "hellaswag/hellaswag_val_subset.jsonl"), None, {}),
    "piqa": ("piqa/piqa.yaml", piqa, None, {}),
    "winogrande": ("winogrande/default.yaml", winogrande, None, {}),
    "openbookqa": ("openbookqa/openbookqa.yaml", openbook, None, {}),
    "boolq": ("super_glue/boolq/default.yaml", boolq, None, {}),
    "commonsense_qa": ("commonsense_qa/default.yaml", commonsense, None, {}),
    # Our file has two of the three options.
    "siqa": ("siqa/siqa.yaml", social, None, {"doc_to_choice": "{{[answerA, answerB]}}"}),
    "lambada_openai": (
        "lambada/lambada_openai.yaml",
        lambda b: [whole(r) for r in jsonl(b, "lambada_openai/lambada_openai.jsonl")],
        None,
        {},
    ),
    "truthfulqa_mc1": ("truthfulqa/truthfulqa_mc1.yaml", truthful, None, {}),
    "truthfulqa_mc2": ("truthfulqa/truthfulqa_mc2.yaml", truthful, None, {}),
    "mmlu_anatomy": of_mmlu("anatomy"),
    "mmlu_global_facts": of_mmlu("global_facts"),
    "gsm8k": of_gsm8k("gsm8k", worked=True),
    "gsm8k_cot": of_gsm8k("gsm8k-cot", worked=False),
    "bbh_navigate": of_bbh("navigate"),
    "bbh_date_understanding": of_bbh("date_understanding"),
    "bbh_direct_navigate": of_bbh("navigate", "fewshot"),
    "mgsm_fr": of_mgsm("fr"),
    "mgsm_en": of_mgsm("en"),
    "mgsm_direct_fr": of_mgsm("fr", "direct"),
    "mmlu_pro_business": of_pro("business"),
}
GENERATED = ("gsm8k", "bbh", "mgsm", "mmlu_pro_")  # mmlu_professional_law is none of them
# What scripted replies look like; {gold} is the right answer, {other} a wrong one.
SAID = [
    " {gold}",
    " The answer is {gold}.",
    " It is 3 + 4. So the answer is {gold}.",
    "#### {gold}",
    " #### {gold}\n#### 1",
    " The answer is ({gold}).",
    " the answer is {other}. No, the answer is {gold}.",
    "Answer: {gold}",
    "I do not know.",
    " La réponse est {gold}.",
    " The answer is ${gold}.00.",
    "",
    " {other}, or {gold}",
    " So 12, then {gold}\n\nQ: 5",
]

PROGRAM = """
import json, sys
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

kind, where, folder, said = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])

class Scripted(LM):
    def generate_until(self, requests):
        found = []
        for request in requests:
            doc = request.doc
            gold = str(doc.get("answer_number") or doc.get("target") or doc["answer"].split("#### ")[-1])
            other = "B" if gold in "ACD" else "7"
            reply = said[len(found) % len(said)].replace("{gold}", gold).replace("{other}", other)
            for stop in request.args[1]["until"]:
                reply = reply.partition(stop)[0]
            found.append(reply)
        return found
    def loglikelihood(self, requests): raise NotImplementedError
    def loglikelihood_rolling(self, requests): raise NotImplementedError

if kind == "hf":
    from lm_eval.models.huggingface import HFLM
    lm = HFLM(pretrained=where, dtype="float32", device="cpu", batch_size=1, max_length=4096)
elif kind == "server":
    from lm_eval.models.openai_completions import LocalCompletionsAPI
    lm = LocalCompletionsAPI(model="model", base_url=where + "/v1/completions", tokenizer_backend="remote",
                             max_length=4096, batch_size=4)
else:
    lm = Scripted()
manager = TaskManager(include_path=folder, include_defaults=False)
found = simple_evaluate(model=lm, tasks=manager.all_tasks, task_manager=manager, log_samples=True, bootstrap_iters=0,
                        gen_kwargs={"max_gen_toks": int(sys.argv[5])})
out = {}
for name, samples in found["samples"].items():
    rows = []
    for s in samples:
        arguments = [list(a) for a in s["arguments"]]
        measured = {m: s[m] for m in s["metrics"]}
        rows.append({"doc": s["doc_id"], "filter": s["filter"], "arguments": arguments,
                     "resps": [r[0] for r in s["resps"]], "measured": measured})
    out[name] = {"samples": rows, "results": found["results"][name]}
print(json.dumps(out))
"""


def write(folder: Path, *, scripted: bool = False, bench: Path = BENCH, tasks: dict[str, Told] | None = None) -> None:
    """Task files for the harness in `folder`, named ours_NAME; the committed tasks where none are given.

    `scripted`: only those, with as many rows as there are replies in SAID.
    """
    code = "import lm_eval, os; print(os.path.dirname(lm_eval.__file__))"
    home = Path(subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout.strip())
    for name, (included, rows, worked, told) in (tasks or TASKS).items():
        generated = name.startswith(GENERATED)
        if scripted and not generated:
            continue
        asked = rows(bench)
        if scripted:
            asked = [asked[i % len(asked)] for i in range(len(SAID))]
        files = {"test": folder / f"{name}.test.json"}
        files["test"].write_text(json.dumps(asked))
        splits: dict[str, Any] = {
            "training_split": None,
            "validation_split": None,
            "test_split": "test",
            "fewshot_split": "worked" if worked else None,
        }
        if worked:
            files["worked"] = folder / f"{name}.worked.json"
            files["worked"].write_text(json.dumps(worked(bench)))
        path = home / "tasks" / included
        said: dict[str, Any] = {
            "include": str(path),
            "task": f"ours_{name}",
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": {k: str(p) for k, p in files.items()}},
            "tag": None,
            **splits,
            **told,
        }
        (folder / f"{name}.yaml").write_text(json.dumps(said))  # JSON is YAML


def run(kind: str, where: str, folder: Path) -> dict[str, Any]:
    """Our names: the harness's samples and results. Raises AssertionError with what it said last."""
    run = subprocess.run(
        [PYTHON, "-c", PROGRAM, kind, where, str(folder), json.dumps(SAID), str(NEW_TOKENS)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "cache"),
             "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-4000:]
    found = json.loads(run.stdout.splitlines()[-1])
    return {name.removeprefix("ours_"): value for name, value in found.items()}


def mark(text: str) -> str:
    """Enough of a prompt's hash to tell prompts apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest(found: dict[str, Any]) -> dict[str, Any]:
    """Our names: by document, what was asked (as marks), what came back, and the scores by metric and filter.

    A likelihood is [mark of the context, continuation, ln p, greedy]; a generation [mark of the prompt, stops, reply].
    """
    out: dict[str, Any] = {}
    for name, value in sorted(found.items()):
        documents: dict[int, dict[str, Any]] = {}
        for sample in value["samples"]:
            asked = []
            for (context, rest), said in zip(sample["arguments"], sample["resps"], strict=True):
                if isinstance(rest, str):
                    asked.append([mark(context), rest, round(said[0], 6), bool(said[1])])
                else:
                    asked.append([mark(context), sorted(rest["until"]), said])
            document = documents.setdefault(sample["doc"], {"asked": asked, "scores": {}})
            for metric, score in sample["measured"].items():
                document["scores"][f"{metric},{sample['filter']}"] = score
        out[name] = [documents[i] for i in sorted(documents)]
    return out


def referee(kind: str, where: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), scripted=kind == "scripted")
        return digest(run(kind, where, Path(folder)))


def make_model() -> None:
    """The committed model: 36,000 parameters, fitted to a few sentences so that its greedy replies are words."""
    import torch
    from torch.nn.functional import cross_entropy

    from creuset.model.attention import Packed
    from creuset.model.formats.weights import save_model
    from creuset.testing import TINY_TEXTS, tiny_config, tiny_model, tiny_tokenizer

    words = tiny_tokenizer()
    model = tiny_model(tiny_config(vocab_size=words.vocab_size, context=4096, expert_ffn=16, tie_embeddings=True))
    ids = torch.tensor(words.encode(" ".join(TINY_TEXTS)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(120):
        optimizer.zero_grad()
        hidden = model(ids[:-1], torch.arange(len(ids) - 1), Packed([len(ids) - 1]))
        cross_entropy(model.logits(hidden).float(), ids[1:]).backward()
        optimizer.step()
    save_model(model, MODEL, dtype="bf16")
    words.save(MODEL)


if __name__ == "__main__":
    if not MODEL.is_dir():
        make_model()
    golden = {kind: referee(kind, str(MODEL)) for kind in ("hf", "scripted")}
    lines = [
        f"{json.dumps(kind)}: {{\n"
        + ",\n".join(
            f" {json.dumps(name)}: [\n  " + ",\n  ".join(json.dumps(d, ensure_ascii=False) for d in documents) + "\n ]"
            for name, documents in tasks.items()
        )
        + "\n}"
        for kind, tasks in golden.items()
    ]
    GOLDEN.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
