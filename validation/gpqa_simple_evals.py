"""Is `gpqa_diamond_simple_evals` what OpenAI's simple-evals asks? Its own template and rule, on the real file.

    python validation/gpqa_simple_evals.py --bench BENCH --simple-evals CHECKOUT

Both are yours to bring: BENCH/gpqa/gpqa_diamond.csv, and a checkout of openai/simple-evals, of whose common.py only the
template, the pattern and the function that fills the template are run. Compared: prompts and right letters, to the
character, and what both rules read in a few replies. Questions are never printed, as their authors ask: counts and
hashes only.
"""

import argparse
import ast
import csv
import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

WANTED = ("QUERY_TEMPLATE_MULTICHOICE", "ANSWER_PATTERN_MULTICHOICE", "format_multichoice_question")
SAID = (
    "So it is so.\nAnswer: B", "Answer: $C$", "answer: d", "Answer : A.", "ANSWER:\tB", "**Answer:** C", "Answer: (A)",
    "Answer: E", "Answer: A\nNo.\nAnswer: D", "The answer is B.", "Answer:\nC", "",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--simple-evals", type=Path, required=True)
    args = parser.parse_args()
    from creuset.benchmarks.catalogue import make
    from creuset.evals.extract import letter_simple_evals

    theirs = their_names(args.simple_evals / "common.py")
    ours = [
        (s.asks[0].messages[0]["content"], "ABCD"[s.gold["gold"]])
        for s in make("gpqa_diamond_simple_evals").samples(args.bench)
    ]
    asked = their_questions(args.bench / "gpqa/gpqa_diamond.csv", theirs["format_multichoice_question"])
    pattern = re.compile(theirs["ANSWER_PATTERN_MULTICHOICE"])
    read = [(match[1] if (match := pattern.search(text)) else None, letter_simple_evals(text)) for text in SAID]
    print(json.dumps({
        "ours": len(ours), "theirs": len(asked), "different": sum(a != b for a, b in zip(ours, asked, strict=True)),
        "replies": len(SAID), "read_differently": sum(a != b for a, b in read),
        "prompts_sha256": hashlib.sha256("\0".join(prompt for prompt, _ in ours).encode()).hexdigest(),
    }))  # fmt: skip


def their_names(common: Path) -> dict[str, Any]:
    """WANTED of their file, without what it imports."""
    tree = ast.parse(common.read_text(encoding="utf-8"))
    kept = [
        node
        for node in tree.body
        if (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in WANTED)
        or (isinstance(node, ast.FunctionDef) and node.name in WANTED)
    ]
    names: dict[str, Any] = {}
    exec(compile(ast.Module(kept, []), str(common), "exec"), names)
    return names


def their_questions(path: Path, fill: Any) -> list[tuple[str, str]]:
    """The order of the options as their GPQAEval draws it: seed 0, four passes over the file."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    draw, found = random.Random(0), []
    for row in rows * 4:
        answers = [row["Correct Answer"], *(row[f"Incorrect Answer {i}"] for i in (1, 2, 3))]
        shown = [answers[i] for i in draw.sample(range(4), 4)]
        letter = "ABCD"[shown.index(row["Correct Answer"])]
        found.append((fill(dict(zip("ABCD", shown, strict=True)) | {"Question": row["Question"]}), letter))
    return found


if __name__ == "__main__":
    main()
