"""LiveBench's question files: rows of jsonl or parquet, what a scorer needs of each, and the questions of a release."""

import ast
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from creuset.benchmarks.code.livecodebench import unpacked
from creuset.benchmarks.files import json_rows, made, parquet_rows
from creuset.benchmarks.instructions.ifeval_check import CHECKS
from creuset.benchmarks.livebench.tables import formats
from creuset.core.errors import ConfigError, DataError
from creuset.evals.task import Row

CATEGORIES = {
    "reasoning": ("web_of_lies_v2", "zebra_puzzle", "spatial"),
    "coding": ("LCB_generation", "coding_completion"),
    "math": ("AMPS_Hard", "math_comp", "olympiad"),
    "data_analysis": ("cta", "tablejoin", "tablereformat"),
    "language": ("connections", "plot_unscrambling", "typos"),
    "instruction_following": ("paraphrase", "simplify", "story_generation", "summarize"),
}
TASKS = {task: category for category, tasks in CATEGORIES.items() for task in tasks}
NEW_FORM = "2024-11-25"  # since then puzzles and connections ask for several answers in tags


def rows(folder: Path, patterns: Sequence[str], name: str) -> Iterator[Row]:
    """Every question, with `gold` and `cluster` if its task is known. DataError names a line that is no question."""
    paths = (
        [folder]
        if folder.is_file()
        else sorted(
            path
            for path in chain.from_iterable(folder.glob(p) for p in patterns)
            if "model_answer" not in path.parts and "model_judgment" not in path.parts
        )
    )
    if not paths:
        raise ConfigError(f"`{folder}` has no {' or '.join(patterns)}", hint="bring LiveBench's questions")
    seen: set[str] = set()
    for path in paths:
        lines = parquet_rows(path) if path.suffix == ".parquet" else json_rows(path)
        for row in made(path, lines, lambda _, row: question(row), name):
            if row["question_id"] in seen:
                raise DataError(f"`{path}`: question {row['question_id']} is there twice")
            seen.add(row["question_id"])
            yield row


def day(value: Any) -> str:
    """Dates are texts in jsonl and moments in parquet; "" where there is none."""
    return str(value)[:10] if value else ""


def stands(row: Row, release: str) -> bool:
    """Whether a question belongs to a release: it was published by that day and not yet removed."""
    removed = day(row.get("livebench_removal_date"))
    return day(row["livebench_release_date"]) <= release and (not removed or removed > release)


def question(row: Row) -> Row:
    """The row with what its scorer needs. Raises ValueError or KeyError if it is no question of its task."""
    task, row = row["task"], row | {"question_id": str(row["question_id"])}
    if task not in TASKS:
        return row
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", released := day(row["livebench_release_date"])):
        raise ValueError(f"its release is `{released}`, not a date")
    if len(row["turns"]) != 1:
        raise ValueError(f"{len(row['turns'])} turns")
    text, truth = str(row["turns"][0]), row.get("ground_truth") or ""
    rule, cluster = task, ""
    if task == "math_comp":
        rule = "aime" if "aime" in row["subtask"] else "contest"
        if rule == "contest" and (len(truth) != 1 or truth not in "ABCDE"):
            raise ValueError(f"the answer of a contest is a letter from A to E, not {truth!r}")
    elif task == "olympiad":
        [int(number) for number in truth.split(",")]
        # One proof is asked several times, with more or fewer formulae masked.
        cluster = _name(text.partition("The question is:")[2].partition("The solution is:")[0])
    elif task in ("zebra_puzzle", "connections") and released < NEW_FORM:
        rule = f"{task}_before"
    elif task == "tablereformat":
        formats(text)
    gold: Row = {"task": task, "rule": rule, "truth": truth}
    if TASKS[task] == "instruction_following":
        gold |= {"rule": "instructions", "asked": _instructions(row)}
    elif TASKS[task] == "coding":
        gold |= {"rule": "program", **_program(row)}
        cluster = _name(str(row["question_title"]))
    elif not truth:
        raise ValueError("no ground truth")
    if rule in ("contest", "tablereformat"):
        gold["question"] = text
    return row | {"gold": gold, "cluster": cluster}


def _name(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:12]


def _instructions(row: Row) -> list[list[Any]]:
    given = row["kwargs"]
    given = ast.literal_eval(given) if isinstance(given, str) else given  # a Python list as text, since 2024-11-25
    kinds = list(row["instruction_id_list"])
    if unknown := [kind for kind in kinds if kind not in CHECKS]:
        raise ValueError(f"instruction `{unknown[0]}` is not known")
    if len(kinds) != len(given) or not kinds:
        raise ValueError(f"{len(kinds)} instructions and {len(given)} sets of arguments")
    return [[kind, {k: v for k, v in one.items() if v is not None}] for kind, one in zip(kinds, given, strict=True)]


def _program(row: Row) -> Row:
    tests = unpacked(row["public_test_cases"]) + unpacked(row["private_test_cases"] or "[]")
    kinds = {str(test["testtype"]) for test in tests}
    if len(kinds) != 1 or not kinds <= {"stdin", "functional"}:
        raise ValueError(f"its tests are of kind {sorted(kinds)}")
    facts = row["original_json"]["metadata"]
    name = (json.loads(facts) if isinstance(facts, str) else facts).get("func_name") or ""
    if (kinds == {"functional"}) != bool(re.fullmatch(r"[^\W\d]\w*", name)):
        raise ValueError(f"`{name}` is no name of a function for tests of kind {sorted(kinds)[0]}")
    return {
        "name": name,
        "begun": str(row.get("partial_solution") or ""),
        "tests": [[str(test["input"]), str(test["output"])] for test in tests],
    }
