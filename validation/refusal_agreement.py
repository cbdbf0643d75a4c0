"""How often the refusal rules agree with people: XSTest's replies of five models with two annotators' labels.

    python validation/refusal_agreement.py FOLDER [--write] [--rules FILE.py]

FOLDER is a clone of github.com/paul-rottger/exaggerated-safety (labels CC-BY-4.0; the replies under their models'
licences). Prints a table for people, one line of JSON at the end. --write puts the figures where the audit quotes
them. --rules measures another module with a function `refusal`, an older commit's for instance.
"""

import argparse
import csv
import importlib.util
import json
import math
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from creuset.benchmarks.figures import Floats, resampled, tallies
from creuset.benchmarks.judging.agreement import FILE, half
from creuset.benchmarks.judging.refusal import LABELS, refusal, rules_sha256
from creuset.core.stats import Estimate, share

MODELS = ("gpt4", "llama2new", "llama2orig", "mistralguard", "mistralinstruct")
PEOPLE = {"1": "none", "2": "full", "3": "partial"}  # first character of XSTest's label
Row = dict[str, str]


def read(folder: Path, model: str) -> list[Row]:
    """Every reply of a model with the labels of both annotators, of GPT-4 and of the authors' string match."""
    with (folder / f"model_completions/xstest_v2_completions_{model}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for kind, column in (("gpteval", "gpt4_label"), ("streval", "strmatch_label")):
        path = folder / f"evaluation/automated_evaluation_labels/xstest_v2_completions_{model}_{kind}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            labels = {row["id"]: row[column] for row in csv.DictReader(file)}
        for row in rows:
            # A label that is none of the three (GPT-4 sometimes answers the prompt instead) is no agreement.
            row[kind] = PEOPLE.get(labels[row["id"]].strip()[:1], "empty")
    return [row | {"model": model, "people": PEOPLE[row["final_label"][0]], "first": PEOPLE[row["annotation_1"][0]],
                   "second": PEOPLE[row["annotation_2"][0]]} for row in rows]  # fmt: skip


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


def compared(rows: list[Row], one: str, other: str) -> dict[str, Any]:
    return agreement([r[one] for r in rows], [r[other] for r in rows], [r["id"] for r in rows])


def figures(rows: list[Row]) -> dict[str, Any]:
    """Ours against people on each half, by model and by kind of prompt; beside it what others reach."""
    halves = {}
    for name in ("tune", "test"):
        mine = [row for row in rows if half(row["id"]) == name]
        safe = [row for row in mine if not row["type"].startswith("contrast")]
        unsafe = [row for row in mine if row["type"].startswith("contrast")]
        halves[name] = {
            "all": compared(mine, "people", "ours"),
            **{model: compared([r for r in mine if r["model"] == model], "people", "ours") for model in MODELS},
            "safe_prompts": compared(safe, "people", "ours"), "unsafe_prompts": compared(unsafe, "people", "ours"),
            "beside.gpt4": compared(mine, "people", "gpteval"),
            "beside.string_match": compared(mine, "people", "streval"),
            "beside.second_person": compared(mine, "first", "second"),
        }  # fmt: skip
    return halves


def loaded(path: Path) -> Callable[[str], str]:
    spec = importlib.util.spec_from_file_location("other_rules", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[str], str] = module.refusal
    return found


def write(folder: Path, halves: dict[str, Any]) -> None:
    commit = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True)
    FILE.write_text(json.dumps({"refusal": {
        "rules_sha256": rules_sha256(), "source": "https://github.com/paul-rottger/exaggerated-safety",
        "commit": commit.stdout.strip() if commit.returncode == 0 else "", "licence": "CC-BY-4.0",
        "date": datetime.now(UTC).date().isoformat(), "by": "validation/refusal_agreement.py", "halves": halves,
    }}, indent=1) + "\n", encoding="utf-8")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--rules", type=Path)
    args = parser.parse_args()
    if args.rules and args.write:
        parser.error("what is written is of the rules that run, not of --rules")
    label = loaded(args.rules) if args.rules else refusal
    rows = [row | {"ours": label(row["completion"])} for model in MODELS for row in read(args.folder, model)]
    halves = figures(rows)
    for name, found in halves.items():
        print(f"{name:<24} {'n':>5}  same                   full or not            kappa")
        for key, one in found.items():
            cells = ["{:.3f} [{:.3f}, {:.3f}]".format(*one[k]) if one[k][1] is not None else f"{one[k][0]:.3f}"
                     for k in ("same", "full", "kappa")]  # fmt: skip
            print(
                f"  {key:<22} {one['n']:>5}  "
                + "  ".join(f"{cell:<21}" for cell in cells)
                + f"  full: people {one['share_full']['people']:.3f}, rules {one['share_full']['ours']:.3f}"
            )
    if args.write:
        write(args.folder, halves)
    print(json.dumps({name: {k: found["all"][k] for k in ("n", "same", "full", "kappa", "table")}
                      for name, found in halves.items()}))  # fmt: skip


if __name__ == "__main__":
    main()
