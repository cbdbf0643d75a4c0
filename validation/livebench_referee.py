"""LiveBench's own scorers against ours, on answers that it published.

    python validation/livebench_referee.py SCORERS CHECKOUT [CHECKOUT ...] [--rule NAME ...] [--most N]

SCORERS is a checkout of LiveBench with its code (`livebench/process_results`; it imports pandas and lxml), CHECKOUT
one with questions and answers (validation/livebench_judgments.py). Where questions are published, both score each
answer. Of connections, plot_unscrambling and typos they are not: there the answer that one model marked is the truth
for another model's answer, and any two scorers of one rule must agree on it too. Programs: the code that both find in
a reply.
--most: of each rule, for plot_unscrambling takes seconds a pair.
Prints each difference, then a table; one JSON document at the end.
"""

import argparse
import contextlib
import io
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from livebench_judgments import DATA, SAME, jsonl, reply

from creuset.benchmarks.livebench import questions
from creuset.benchmarks.livebench.score import RULES, code, scored
from creuset.evals.extract import without_thinking

PLACES = {  # rule: module below livebench.process_results, function, arguments
    "contest": ("math.math_competitions.utils", "mathcontest_process_results", "tcq"),
    "aime": ("math.math_competitions.utils", "aime_process_results", "tc"),
    "olympiad": ("math.olympiad.utils", "proof_rearrangement_process_results", "tce"),
    "web_of_lies_v2": ("reasoning.web_of_lies_v2.utils", "web_of_lies_process_results", "tc"),
    "zebra_puzzle": ("reasoning.zebra_puzzle.utils", "zebra_puzzle_process_results", "tc"),
    "zebra_puzzle_before": ("reasoning.zebra_puzzle.utils", "zebra_puzzle_process_results_old", "tc"),
    "spatial": ("reasoning.spatial.utils", "spatial_process_results", "tc"),
    "connections": ("writing.connections.utils", "connections_process_results", "tc"),
    "connections_before": ("writing.connections.utils", "connections_process_results_old", "tc"),
    "plot_unscrambling": ("writing.plot_unscrambling.utils", "plot_unscrambling_process_results", "tc"),
    "typos": ("writing.typos.utils", "typos_process_results", "tc"),
    "cta": ("data_analysis.cta.utils", "cta_process_results", "tc"),
    "tablejoin": ("data_analysis.tablejoin.utils", "joinmap_process_results", "qtc"),
    "tablereformat": ("data_analysis.tablereformat.utils", "table_process_results", "qtc"),
}
TOLD = {"connections": ("connections_before", "connections"), "plot_unscrambling": ("plot_unscrambling",),
        "typos": ("typos",)}  # fmt: skip


def theirs(rule: str) -> Callable[[str, str, str], float]:
    module, name, order = PLACES[rule]
    function = getattr(import_module(f"livebench.process_results.{module}"), name)

    def score(truth: str, text: str, question: str) -> float:
        given = {"t": truth, "c": text, "q": question, "e": True}
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                return float(function(*(given[letter] for letter in order)))
            except Exception:  # LiveBench counts what its scorer cannot read as nothing
                return 0.0

    return score


def answers(checkouts: list[Path], task: str) -> Iterator[tuple[str, str, str]]:
    """(question, model, reply)."""
    for checkout in checkouts:
        for path in sorted((checkout / DATA).glob(f"*/{task}/model_answer/*.jsonl")):
            for answer in jsonl(path):
                yield answer["question_id"], answer["model_id"], without_thinking(reply(answer))


def cases(checkouts: list[Path]) -> Iterator[tuple[str, str, str, str]]:
    """(rule, truth, reply, question)."""
    rows: dict[str, dict[str, Any]] = {}
    for checkout in checkouts:
        for path in sorted((checkout / DATA).glob("*/*/question.jsonl")):
            rows |= {row["question_id"]: row for row in questions.rows(path, (), "livebench")}
    for task in sorted({row["task"] for row in rows.values()}):
        for asked, _, text in answers(checkouts, task):
            if asked in rows and rows[asked]["gold"]["rule"] in PLACES:
                gold = rows[asked]["gold"]
                yield gold["rule"], gold["truth"], text, str(rows[asked]["turns"][0])
    for task, rules in TOLD.items():
        by_question: dict[str, list[str]] = defaultdict(list)
        for asked, _, text in answers(checkouts, task):
            by_question[asked].append(text)
        for texts in by_question.values():
            for i, text in enumerate(texts):
                other = texts[i - 1]
                for rule in rules:
                    if rule == "connections":  # no published reply is in the new form: bold becomes tags
                        text, other = (re.sub(r"\*\*(.*?)\*\*", r"<solution>\1</solution>", t) for t in (text, other))
                    _, truth = RULES[rule]("a,b,c,d", other, "")
                    if truth:
                        # LiveBench's truths are one line.
                        yield rule, re.sub(r"\s*\n\s*", " ", truth), text, ""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scorers", type=Path)
    parser.add_argument("checkouts", nargs="+", type=Path)
    parser.add_argument("--rule", nargs="+", default=list(PLACES))
    parser.add_argument("--most", type=int, default=1_000_000)
    args = parser.parse_args()
    sys.path.insert(0, str(args.scorers))
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for rule, truth, text, question in cases(args.checkouts):
        if rule not in args.rule or table[rule].total() - table[rule]["above 0"] >= args.most:
            continue
        own = float(scored({"task": rule, "rule": rule, "truth": truth, "question": question}, text)["correct"])
        other = theirs(rule)(truth, text, question)
        equal = abs(own - other) < SAME
        table[rule]["equal" if equal else "different"] += 1
        table[rule]["above 0"] += own > 0
        if not equal:
            print(f"{rule}: theirs {other}, ours {own}: {truth[:60]!r} {text[-80:]!r}", flush=True)
    extract = import_module("livebench.lcb_runner.utils.extraction_utils").extract_code
    for task in questions.CATEGORIES["coding"]:
        for _, _, text in answers(args.checkouts, task):
            table[f"{task}: the program"]["equal" if code(text) == extract(text, None) else "different"] += 1
    for name, count in table.items():
        print(f"{name:30} " + ", ".join(f"{n} {what}" for what, n in sorted(count.items())))
    print(json.dumps(table))


if __name__ == "__main__":
    main()
