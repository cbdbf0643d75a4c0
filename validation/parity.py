"""lm-evaluation-harness and we, sample by sample, over whole task files: the same model, the same numbers?

    LM_EVAL_PYTHON=/path/to/python python validation/parity.py --model creuset/models/mini --bench BENCH --work DIR \\
        --out docs/runs/parity.json [--tasks arc_easy,mmlu] [--per-part 40]

The model is exported in fp32; both sides read that folder, on one core, with nothing before a context. Its position
limit is raised to 8,192, so that no few-shot prompt has to be cut (how each cuts is compared at its own limit, by
`--context`). Each part of a task is a file below DIR: a run that was stopped goes on where it was. `--per-part` limits
the items of each part of the tasks that have parts (MMLU's subjects, BIG-Bench Hard's kinds ...) and of GSM8K.

Written: for each task n, the largest |difference of ln p|, how many prompts, greedy flags, replies and scores differ,
and each side's mean score. Differences are listed, five of each kind. No score here says anything of the model.

The harness's side runs in its own Python (LM_EVAL_PYTHON), which needs lm_eval, torch and transformers.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.evals.parity import Told

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME))
LIMIT = 8192  # tokens of context, both sides
NEW_TOKENS = 32  # of a generated answer
SHORT = (
    "arc_easy",
    "arc_challenge",
    "openbookqa",
    "piqa",
    "winogrande",
    "siqa",
    "commonsense_qa",
    "truthfulqa_mc1",
    "truthfulqa_mc2",
    "lambada_openai",
    "boolq",
    "hellaswag",
)
LONG = ("mmlu", "mgsm", "mgsm_direct", "gsm8k", "gsm8k_cot", "bbh", "bbh_direct", "mmlu_pro")
BROUGHT = ("cmmlu", "ceval")  # asked only where --tasks names them: their files are not in everybody's folder
BATCH = 16  # the harness pads shorter rows
SHOWN = 5  # differences of each kind that are written out


def parts(task: str) -> "dict[str, Told]":
    """The harness's files for `task`, by our names."""
    from creuset.benchmarks.catalogue import about
    from tests.evals import parity

    if task in SHORT:
        return {task: parity.TASKS[task]}
    if task in ("gsm8k", "gsm8k_cot"):
        return {task: parity.of_gsm8k(task.replace("_", "-"), worked=task == "gsm8k")}
    make = {
        "mmlu": parity.of_mmlu,
        "mmlu_pro": parity.of_pro,
        "bbh": parity.of_bbh,
        "mgsm": parity.of_mgsm,
        "cmmlu": lambda subject: parity.of_chinese("cmmlu", subject),
        "ceval": lambda subject: parity.of_chinese("ceval", subject),
        "bbh_direct": lambda kind: parity.of_bbh(kind, "fewshot"),
        "mgsm_direct": lambda language: parity.of_mgsm(language, "direct"),
    }[task]
    return {f"{task}_{part.replace(' ', '_')}": make(part) for part in about(task).parts}  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="the table as JSON; it is always printed")
    parser.add_argument("--tasks", default=",".join((*SHORT, *LONG)))
    parser.add_argument("--per-part", type=int, default=40, help=f"items of a part of {', '.join((*LONG, *BROUGHT))}")
    parser.add_argument("--context", type=int, default=LIMIT, help="tokens, both sides (default: %(default)s)")
    parser.add_argument("--compare-only", action="store_true", help="compare what is there; ask nobody")
    args = parser.parse_args()
    from creuset.core.artifact import read_manifest

    folder = _exported(args.model, args.work)
    model = {"name": args.model.name, "sha256": read_manifest(args.model)["sha256"]}
    tasks = args.tasks.split(",")
    files = {name: told for task in tasks for name, told in parts(task).items()}
    key = f"{args.context}"
    theirs, ours = args.work / f"theirs-{key}", args.work / f"ours-{key}"
    limits = {name: None if name in SHORT else args.per_part for name in files}
    if not args.compare_only:
        _ask_harness(files, folder, theirs, args.bench, limits, args.context)
    rows = []
    for task in tasks:
        found = [
            _part(
                name,
                folder,
                args.bench,
                theirs / f"{name}.json",
                ours / f"{name}.jsonl",
                limits[name],
                args.context,
                ask=not args.compare_only,
            )
            for name in parts(task)
        ]
        if any(found):
            rows.append(_sum(task, [f for f in found if f]))
            print(_line(rows[-1]), flush=True)
    if args.out is not None:
        said = {
            "what": "lm-evaluation-harness `hf` on the exported folder, and creuset, sample by sample",
            "command": "validation/parity.py",
            "model": model,
            "dtype": "fp32",
            "context": args.context,
            "new_tokens": NEW_TOKENS,
            "per_part": args.per_part,
            "versions": _versions(),
            "tasks": rows,
        }
        args.out.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _exported(model: Path, work: Path) -> Path:
    from creuset.model.formats.huggingface import export

    folder = work / "exported"
    if not folder.exists():
        work.mkdir(parents=True, exist_ok=True)
        export(model, folder, dtype="fp32")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": LIMIT}))
    return folder


def _versions() -> dict[str, str]:
    code = (
        "import json, importlib.metadata as m; "
        "print(json.dumps({n: m.version(n) for n in ('lm_eval', 'transformers', 'torch')}))"
    )
    said = subprocess.run([_python(), "-c", code], capture_output=True, text=True, check=True).stdout
    versions: dict[str, str] = json.loads(said)
    return versions


def _python() -> str:
    from tests.evals.parity import PYTHON

    return PYTHON


def _ask_harness(
    files: "dict[str, Told]", folder: Path, out: Path, bench: Path, limits: dict[str, int | None], context: int
) -> None:
    """One process of the harness for everything that is missing; what it has done is there when it is stopped."""
    from tests.evals.parity import write

    missing = {name: told for name, told in files.items() if not (out / f"{name}.json").is_file()}
    if not missing:
        return
    out.mkdir(parents=True, exist_ok=True)
    tasks = out / "tasks"
    tasks.mkdir(exist_ok=True)
    write(tasks, bench=bench, tasks=missing)
    order = json.dumps([[name, limits[name]] for name in missing])
    subprocess.run(
        [_python(), str(Path(__file__).resolve()), "harness", str(folder), str(out), order, str(context)], check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(out / "cache"),
             "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"},
    )  # fmt: skip


def harness(folder: str, out: str, order: str, context: str) -> None:
    """In the harness's Python."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from tests.evals.parity import digest

    lm = HFLM(pretrained=folder, dtype="float32", device="cpu", batch_size=BATCH, max_length=int(context))
    manager = TaskManager(include_path=str(Path(out) / "tasks"), include_defaults=False)
    tasks = json.loads(order)
    for number, (name, limit) in enumerate(tasks, 1):
        begun = time.monotonic()
        found = simple_evaluate(
            model=lm,
            tasks=[f"ours_{name}"],
            task_manager=manager,
            log_samples=True,
            bootstrap_iters=0,
            limit=limit,
            gen_kwargs={"max_gen_toks": NEW_TOKENS},
        )
        samples = [
            {
                "doc": s["doc_id"],
                "filter": s["filter"],
                "arguments": [list(a) for a in s["arguments"]],
                "resps": [r[0] for r in s["resps"]],
                "measured": {m: s[m] for m in s["metrics"]},
            }
            for s in found["samples"][f"ours_{name}"]
        ]
        said = digest({name: {"samples": samples}})[name]
        partial = Path(out) / f"{name}.partial"
        partial.write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
        partial.rename(Path(out) / f"{name}.json")
        print(
            f"harness {number}/{len(tasks)} {name}: {len(said):,} items, {time.monotonic() - begun:.0f} s",
            file=sys.stderr,
            flush=True,
        )


def _part(
    name: str, folder: Path, bench: Path, theirs: Path, journal: Path, limit: int | None, context: int, *, ask: bool
) -> dict[str, Any] | None:
    """What was compared of one part; None where one side has not been asked."""
    import asyncio

    from creuset.evals.clients.local import LocalClient
    from creuset.evals.journal import read
    from creuset.evals.runner import PlaySettings, play, read_samples
    from tests.evals.compare_referee import our_task

    if not theirs.is_file():
        return None
    task: Any = our_task(name)
    task.max_tokens = NEW_TOKENS

    async def played() -> None:
        subject = LocalClient(folder, prefix=False, context=context)
        try:
            await play(task, subject, bench, journal=journal, playing=PlaySettings(limit=limit))
        finally:
            await subject.close()

    if ask:
        asyncio.run(played())
    found = read(journal) if journal.is_file() else None
    samples = read_samples(task, bench, limit)
    if found is None or any(s.id not in found[1] for s in samples):
        return None
    outcomes = [list(found[1][s.id].outcomes) for s in samples]
    return compare(task, samples, outcomes, json.loads(theirs.read_text(encoding="utf-8")))


def compare(
    task: Any, samples: list[Any], outcomes: list[list[Any]], documents: list[dict[str, Any]]
) -> dict[str, Any]:
    """Differences by kind. `theirs` and `ours`: sums of each score."""
    from creuset.evals.model import Failure, Likelihood, Reply
    from tests.evals.compare_referee import SCORES
    from tests.evals.parity import mark

    if len(samples) != len(documents):
        raise SystemExit(
            f"{task.name}: {len(samples)} of ours, {len(documents)} of the harness's: "
            "kept from a run with another --per-part; give another --work"
        )
    out: dict[str, Any] = {
        "n": len(samples),
        "max_delta_ln_p": None,
        "likelihoods": 0,
        "above_1e-4": 0,
        "theirs": {},
        "ours": {},
    }
    kinds: dict[str, list[Any]] = {k: [] for k in ("prompts", "greedy", "replies", "scores", "failed")}
    for sample, said, document in zip(samples, outcomes, documents, strict=True):
        wanted = {(asked[0], json.dumps(asked[1])): asked[2:] for asked in document["asked"]}
        questions = [((mark(p.context), json.dumps(p.continuation)), p.continuation) for p in sample.pairs] or [
            ((mark(a.prompt), json.dumps(sorted(a.stop))), "") for a in sample.asks
        ]
        for (key, shown), outcome in zip(questions, said, strict=False):
            if key not in wanted:
                kinds["prompts"].append([sample.id, shown])
            elif isinstance(outcome, Failure):
                kinds["failed"].append([sample.id, outcome.reason, outcome.detail])
            elif isinstance(outcome, Likelihood):
                delta = abs(outcome.total - wanted[key][0])
                out["max_delta_ln_p"] = max(out["max_delta_ln_p"] or 0.0, delta)
                out["likelihoods"] += 1
                out["above_1e-4"] += delta > 1e-4
                if outcome.greedy != wanted[key][1]:
                    kinds["greedy"].append([sample.id, shown, delta])
            elif isinstance(outcome, Reply) and outcome.text != wanted[key][0]:
                kinds["replies"].append([sample.id, outcome.text, wanted[key][0]])
        row = task.score(sample, said)
        for name, value in document["scores"].items():
            ours = row.get(_key(name, SCORES, row))
            if not isinstance(value, int | float) or ours is None:
                continue
            out["theirs"][name] = out["theirs"].get(name, 0.0) + value
            out["ours"][name] = out["ours"].get(name, 0.0) + ours
            if abs(ours - value) > (1e-3 if name.startswith("perplexity") else 1e-5):
                kinds["scores"].append([sample.id, name, ours, value])
    return out | {k: len(v) for k, v in kinds.items()} | {"examples": {k: v[:SHOWN] for k, v in kinds.items() if v}}


def _key(name: str, scores: dict[str, str], row: dict[str, Any]) -> str:
    if name.startswith("perplexity"):
        return "log_likelihood"
    return scores.get(name, "correct" if name == "exact_match,none" else "")


def _sum(task: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """One row a task; scores are means over its items."""
    n = sum(f["n"] for f in found)
    deltas = [f["max_delta_ln_p"] for f in found if f["max_delta_ln_p"] is not None]
    examples: dict[str, list[Any]] = {}
    for f in found:
        for kind, some in f["examples"].items():
            examples[kind] = [*examples.get(kind, []), *some][:SHOWN]
    sides = {
        side: {m: sum(f[side].get(m, 0.0) for f in found) / n for m in found[0][side]} for side in ("ours", "theirs")
    }
    return {
        "task": task,
        "parts": len(found),
        "n": n,
        "max_delta_ln_p": max(deltas) if deltas else None,
        **{k: sum(f[k] for f in found) for k in ("likelihoods", "above_1e-4")},
        **{k: sum(f[k] for f in found) for k in ("prompts", "greedy", "replies", "scores", "failed")},
        **sides,
        "examples": examples,
    }


def _line(row: dict[str, Any]) -> str:
    delta = f"{row['max_delta_ln_p']:.1e}" if row["max_delta_ln_p"] is not None else "      -"
    said = "  ".join(f"{m} {row['ours'][m]:.4f} {row['theirs'][m]:.4f}" for m in row["ours"])
    return (
        f"{row['task']:<16} n {row['n']:>6,}  ln p {delta}  different: prompts {row['prompts']} greedy "
        f"{row['greedy']} replies {row['replies']} scores {row['scores']} failed {row['failed']}  {said}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["harness"]:
        harness(*sys.argv[2:])
    else:
        main()
