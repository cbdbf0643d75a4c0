"""Do the published solutions of the code benchmarks pass in our sandbox, and does a broken one fail? Whole files.

    python validation/code_solutions.py --bench BENCH [--tasks humaneval,mbpp,bigcodebench_hard] [--out solutions.json]

Each problem is scored with its published solution, as a model would write it in each form of the task, and with a
function that does nothing (`pass`). One line a task and form; what does not go as it should is listed by problem, with
the reason; progress goes to stderr. Items that need a library that this Python lacks are counted apart, by library.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--tasks", default="humaneval,mbpp,bigcodebench_hard")
    parser.add_argument("--forms", default="", help="generate, chat (default: all that a task has)")
    parser.add_argument("--solutions-only", action="store_true", help="leave out the functions that do nothing")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    forms = [form for form in args.forms.split(",") if form]
    found = [
        row
        for task in args.tasks.split(",")
        for row in solutions(task, args.bench, forms, broken=not args.solutions_only)
    ]
    if args.out is not None:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def reply(task: Any, sample: Any, broken: bool) -> str:
    """What a model would write that knows the solution, or nothing."""
    gold, solution = sample.gold, sample.meta["solution"]
    if broken:
        solution = f"def {gold['entry']}(*a, **k):\n    pass" if "prompt" not in gold else "    pass\n"
    if task.form == "generate":
        return f"\n{solution}" if "prompt" in gold else f"{solution}\n[DONE]"
    whole = gold["prompt"] + "\n" + solution if "prompt" in gold else solution
    return f"```python\n{whole}\n```"


def solutions(name: str, bench: Path, forms: list[str], *, broken: bool) -> list[dict[str, Any]]:
    from creuset.benchmarks import catalogue
    from creuset.evals.model import Reply

    rows = []
    for form in forms or catalogue.forms(name):
        task: Any = catalogue.make(name, form=form)
        out: dict[str, Any] = {
            "task": name,
            "form": form,
            "n": 0,
            "solutions_pass": 0,
            "broken_fail": 0,
            "not_testable": Counter(),
            "not_tested": {},
            "solutions_that_fail": {},
            "broken_that_pass": [],
        }
        for sample in task.samples(bench):
            out["n"] += 1
            row = task.score(sample, [Reply(text=reply(task, sample, broken=False), finish="stop")])
            said = row.get("untestable") or ("passes" if row["correct"] and row["correct_lenient"] else "fails")
            print(f"{form} {sample.id}: {said}  {row['why']}", file=sys.stderr, flush=True)
            if why := row.get("untestable"):
                out["not_testable"][why] += 1
                out["not_tested"][sample.id] = row["why"]
                continue
            out["solutions_pass"] += bool(row["correct"] and row["correct_lenient"])
            if not row["correct"]:
                out["solutions_that_fail"][sample.id] = row["why"]
            if broken:
                row = task.score(sample, [Reply(text=reply(task, sample, broken=True), finish="stop")])
                out["broken_fail"] += not row["correct"]
                if row["correct"]:
                    out["broken_that_pass"].append(sample.id)
        print(json.dumps(out), flush=True)
        rows.append(out)
    return rows


if __name__ == "__main__":
    main()
