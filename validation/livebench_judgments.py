"""LiveBench's published judgments against our scores of the same answers, item by item.

    python validation/livebench_judgments.py CHECKOUT [CHECKOUT ...] [--task NAME ...]

Each CHECKOUT holds livebench/data/live_bench/CATEGORY/TASK with question.jsonl, model_answer/*.jsonl and
model_judgment/ground_truth_judgment.jsonl, as a run of LiveBench leaves them; questions may be in any of them, those of
coding and language are rarely published. An answer is compared where it is older than its judgment: forks hold
answers that were asked for again later. Of `connections` the words of an answer that was judged 1 are the truth of the
same question for other models. Prints each difference, then a table by task and checkout with the mean scores; one JSON
document at the end.
"""

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from creuset.benchmarks.livebench import questions
from creuset.benchmarks.livebench.marks import solutions
from creuset.benchmarks.livebench.score import scored

DATA = "livebench/data/live_bench"
NEW_FORM = 1732492800.0  # 2024-11-25
SAME = 1e-6  # scores are written with all their digits; F1 with two


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def judged(checkout: Path, task: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(answer, judgment), the answer the last one before its judgment."""
    for folder in sorted((checkout / DATA).glob(f"*/{task}")):
        answers: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for path in sorted(folder.glob("model_answer/*.jsonl")):
            for answer in jsonl(path):
                answers[answer["question_id"], answer["model_id"]].append(answer)
        for judgment in jsonl(folder / "model_judgment/ground_truth_judgment.jsonl"):
            of = [a for a in answers[judgment["question_id"], judgment["model"]] if a["tstamp"] <= judgment["tstamp"]]
            if of:
                yield of[-1], judgment


def reply(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["turns"][-1])


def words_of_the_right(checkouts: list[Path]) -> dict[str, tuple[str, dict[str, Any]]]:
    """question -> (the answer that says so, gold) of `connections`, where some answer has all groups right."""
    every = [pair for checkout in checkouts for pair in judged(checkout, "connections")]
    # Judged before the new form was made: the old form, whatever day it was judged again.
    old = {judgment["question_id"] for _, judgment in every if judgment["tstamp"] < NEW_FORM}
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for answer, judgment in every:
        if judgment["score"] != 1:
            continue
        text, before = reply(answer), judgment["question_id"] in old
        bold = re.findall(r"\*\*(.*?)\*\*", text.replace("\n", ""))
        spans = bold if before else solutions(text, across_lines=True)[-1:]
        whole = [s for s in spans if len(s.split(",")) in (8, 12, 16)]
        if whole:
            gold = {
                "task": "connections",
                "rule": "connections_before" if before else "connections",
                "truth": max(reversed(whole), key=len),
            }  # the last of the longest
            found.setdefault(judgment["question_id"], (answer["answer_id"], gold))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkouts", nargs="+", type=Path)
    parser.add_argument("--task", nargs="+", default=list(questions.TASKS))
    args = parser.parse_args()
    golds: dict[str, dict[str, Any]] = {}
    for checkout in args.checkouts:
        for path in sorted((checkout / DATA).glob("*/*/question.jsonl")):
            if path.parent.name in args.task:
                golds |= {row["question_id"]: row["gold"] for row in questions.rows(path, (), "livebench")}
    told = words_of_the_right(args.checkouts)
    table: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    means: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for task in args.task:
        for checkout in args.checkouts:
            count = table[task, checkout.name]
            for answer, judgment in judged(checkout, task):
                by, gold = told.get(judgment["question_id"], ("", None))
                gold = golds.get(judgment["question_id"]) or (gold if by != answer["answer_id"] else None)
                if gold is None:
                    count["without a truth"] += 1
                    continue
                row = scored(gold, reply(answer))
                equal = abs(row["correct"] - judgment["score"]) < SAME
                count["equal" if equal else "different"] += 1
                means[task, checkout.name].append((judgment["score"], row["correct"]))
                if not equal:
                    print(
                        f"{task} {judgment['question_id'][:12]} {judgment['model']}: published {judgment['score']}, "
                        f"ours {row['correct']} {row.get('end', '')} {str(row['answer'])[:80]!r}",
                        flush=True,
                    )
    lines = []
    for (task, name), count in table.items():
        both = means[task, name]
        published, ours = (sum(side) / len(both) for side in zip(*both, strict=True)) if both else (None, None)
        print(
            f"{task:20} {name:16} "
            + ", ".join(f"{n} {what}" for what, n in sorted(count.items()))
            + (f"; published {published:.4f}, ours {ours:.4f}" if both else "")
        )
        lines.append({"task": task, "checkout": name, "published": published, "ours": ours, **count})
    print(json.dumps(lines))


if __name__ == "__main__":
    main()
