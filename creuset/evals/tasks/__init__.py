"""Multiple-choice tasks answered by likelihood: how each file is read and what the model is shown. No torch.

Prompts are those of lm-evaluation-harness, so that scores can be compared: the context, then a blank and the choice
(BoolQ has `Passage: ` before its passage, as its file does). The files are the published ones, brought by the reader;
nothing is downloaded.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True)
class Item:
    context: str
    choices: tuple[str, ...]        # as written after the context, the blank before them included
    gold: int


Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    file: str                       # where a folder of benchmark files has it
    licence: str
    make: Callable[[Row], Item]
    labels: str = ""                # a file beside it with one answer a line; it becomes the row's `label`


def read(task: Task, path: Path) -> Iterator[Item]:
    """Items of the file; DataError names the line that is not one."""
    rows = list(_rows(path))
    if task.labels:
        file = path.with_name(task.labels)
        if not file.is_file():
            raise DataError(f"`{file}` is missing: the answers of {task.name} are in a file of their own")
        answers = file.read_text(encoding="utf-8").split()
        if len(answers) != len(rows):
            raise DataError(f"`{file}` has {len(answers)} answers, `{path}` has {len(rows)} questions")
        rows = [(number, {**row, "label": label}) for (number, row), label in zip(rows, answers, strict=True)]
    for number, row in rows:
        try:
            item = task.make(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"`{path}` line {number} is not an item of {task.name}: {error!r}") from error
        if not 0 <= item.gold < len(item.choices):
            raise DataError(f"`{path}` line {number}: the answer is {item.gold}, there are {len(item.choices)} choices")
        yield item


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise DataError(f"`{path}` line {number} is not JSON: {error}") from error
                if not isinstance(row, dict):
                    raise DataError(f"`{path}` line {number} is a JSON {type(row).__name__}, not an object")
                yield number, row


def _query(row: Row) -> Item:
    return Item(f"{row['query'].strip()}\nAnswer:", tuple(f" {c}" for c in row["choices"]), int(row["gold"]))


def _piqa(row: Row) -> Item:
    return Item(f"Question: {row['goal']}\nAnswer:", (f" {row['sol1']}", f" {row['sol2']}"), int(row["label"]))


def _hellaswag(row: Row) -> Item:
    context = _plain(f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}")
    return Item(context, tuple(f" {_plain(e)}" for e in row["endings"]), int(row["label"]))


def _plain(text: str) -> str:
    """WikiHow's markup out, as lm-evaluation-harness does it."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


TASKS = {task.name: task for task in (
    Task("arc_easy", "arc/arc_easy.jsonl", "CC-BY-SA-4.0", _query),
    Task("arc_challenge", "arc/arc_challenge.jsonl", "CC-BY-SA-4.0", _query),
    Task("hellaswag", "hellaswag/hellaswag_val_subset.jsonl", "MIT", _hellaswag),
    Task("piqa", "piqa/valid.jsonl", "AFL-3.0", _piqa, labels="valid-labels.lst"),
    Task("boolq", "boolq/boolq.jsonl", "CC-BY-SA-3.0", _query),
)}


def find(task: Task, path: Path) -> Path:
    """The task's file: `path` itself, or where a folder of benchmarks has it."""
    file = path / task.file if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(f"`{file}` does not exist: {task.name} needs it", hint="give the file, or a folder of them")
    return file
