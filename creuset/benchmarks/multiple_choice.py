"""Multiple-choice benchmarks that are rows of a table: multiple_choice.toml says for each how a row becomes an item.

    NAMES               the benchmarks of the table
    task_class("piqa")  -> a ChoiceTask, as if somebody had written a module for it

A new benchmark of this kind is a new table there and no code. No torch.
"""

import functools
import re
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from statistics import mean
from typing import Any, ClassVar, Literal

import jinja2

from creuset.benchmarks.choices import ChoiceItem, ChoiceTask, options
from creuset.benchmarks.fewshot import Group
from creuset.benchmarks.files import Row, csv_rows, find, json_rows, made, parquet_rows
from creuset.core.errors import DataError
from creuset.core.sentences import sentence
from creuset.evals.extract import LETTERS
from creuset.evals.task import Row as Scored
from creuset.types.measure import Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One table of multiple_choice.toml; its first lines explain the fields."""

    about: str
    data: str
    metric: str
    licence: str
    asked: tuple[str, ...]
    question: str
    options: str
    answer: str
    context: str = ""
    choices: Literal["text", "letters"] = "text"
    contexts: str = ""
    continuation: str = ""
    id: str = "{{ task }}/{{ line }}"
    generate: str = ""
    description: str = ""
    instruction: str = ChoiceTask.instruction
    examples: tuple[str, ...] = ()
    labels: str = ""
    files: tuple[str, ...] = ()  # what is hashed; (): all of the above, for every part
    columns: tuple[str, ...] = ()
    lower: bool = False
    parts: Mapping[str, Sequence[str]]  # name: title, areas
    shots: int = 0
    norm: bool = True
    version: int = 1
    reference: str = ""
    caveat: str = ""
    note: str = ""


def _spec(said: dict[str, Any]) -> Spec:
    parts = said.pop("parts", {})
    lists = {name: tuple([value] if isinstance(value, str) else value) for name, value in said.items()
             if name in ("asked", "examples", "files", "columns")}  # fmt: skip
    return Spec(**{**said, **lists, "parts": parts if isinstance(parts, dict) else {name: [name] for name in parts}})


_TABLES = tomllib.loads(package_files("creuset.benchmarks").joinpath("multiple_choice.toml").read_text("utf-8"))
_SPECS = {name: _spec(said) for name, said in _TABLES.items()}
NAMES = tuple(_SPECS)
_HEADER = ("licence", "shots", "norm", "version", "reference", "caveat", "instruction")


@functools.cache
def task_class(name: str) -> type["TableTask"]:
    made = types.new_class(name, (TableTask,), {"table": name})
    made.__doc__ = _SPECS[name].about
    return made


def _files(s: Spec) -> tuple[str, ...]:
    ways = (*s.examples, *s.asked, s.labels) if s.parts else (*s.asked, *s.examples, s.labels)
    return s.files or tuple(way.format(part=part) for part in s.parts or ("",) for way in ways if way)


class TableTask(ChoiceTask):
    """A benchmark whose `spec` says it all. `class MyTask(TableTask, table="piqa")` is PIQA with a difference."""

    spec: ClassVar[Spec]
    parts: ClassVar[tuple[str, ...]]
    part: ClassVar[tuple[str, ...]]  # the parts that are asked

    def __init_subclass__(cls, table: str = "") -> None:
        super().__init_subclass__()
        if table:
            spec = _SPECS[table]
            header = {name: getattr(spec, name) for name in _HEADER}
            header["caveat"] = sentence(spec.caveat) if spec.caveat else ""
            parts = tuple(spec.parts)
            header |= {"name": table, "spec": spec, "parts": parts, "part": parts or ("",), "files": _files(spec)}
            for name, value in header.items():
                if name not in cls.__dict__:
                    setattr(cls, name, value)

    def groups(self, folder: Path) -> Iterator[Group[ChoiceItem]]:
        s = self.spec
        for part in self.part:
            yield Group(
                questions=self._read(folder, s.asked, part),
                examples=self._read(folder, s.examples, part) if s.examples and self.fewshot else (),
                description=_text(s.description, self._about(part)),
            )

    def _about(self, part: str) -> Row:
        return {"task": self.name, "part": part, "title": self.spec.parts[part][0] if part else ""}

    def _read(self, folder: Path, ways: Sequence[str], part: str) -> list[ChoiceItem]:
        named = [way.format(part=part) for way in ways]
        there = [path for way in named for path in sorted(folder.glob(way))]
        path = there[0] if there else find(folder, named[0], self.name)
        rows = self._labelled(path) if self.spec.labels else _rows(path, self.spec.columns)
        return list(made(path, rows, lambda line, row: self._question(line, row, part), self.name))

    def _labelled(self, path: Path) -> Iterator[tuple[int, Row]]:
        beside = path.with_name(Path(self.spec.labels).name)
        if not beside.is_file():
            raise DataError(f"`{beside}` is missing: the answers of {self.name} are in a file of their own")
        labels, rows = beside.read_text(encoding="utf-8").split(), list(_rows(path, self.spec.columns))
        if len(labels) != len(rows):
            raise DataError(f"`{beside}` has {len(labels)} answers, `{path}` has {len(rows)} questions")
        return ((line, {**row, "label": label}) for (line, row), label in zip(rows, labels, strict=True))

    def _question(self, line: int, row: Row, part: str) -> ChoiceItem:
        s = self.spec
        said = {key.lower(): value for key, value in row.items()} if s.lower else dict(row)
        said |= {**self._about(part), "line": line}
        try:
            shown = _value(s.options, said)
            if not isinstance(shown, list) or not all(isinstance(text, str) for text in shown):
                raise ValueError(f"its options are {shown!r}, they must be texts")
            gold = int(_value(s.answer, said))
            said |= {"question": _text(s.question, said), "options": shown, "lettered": options(shown)}
            contexts = tuple(_value(s.contexts, said)) if s.contexts else ()
            choices = [f" {letter}" for letter in LETTERS[: len(shown)]]
            if s.choices == "text":
                choices = [_text(s.continuation, said) if contexts else f" {text}" for text in shown]
            return ChoiceItem(
                id=_text(s.id, said),
                context=_text(s.context, said),
                choices=tuple(choices),
                gold=gold,
                stem=said["question"],
                options=tuple(shown),
                contexts=contexts,
                cluster=part,
                asked=_text(s.generate, said),
            )
        except jinja2.TemplateError as error:
            raise ValueError(str(error)) from error

    def measures(self, rows: Sequence[Scored]) -> list[Measure]:
        """Where parts belong to areas: also the mean of the parts' shares, over all and by area."""
        found = super().measures(rows)
        if any(len(known) > 1 for known in self.spec.parts.values()):
            for measure in found:
                _add_areas(measure, self.spec.parts)
        return found


def _add_areas(measure: Measure, parts: Mapping[str, Sequence[str]]) -> None:
    shares = {part: group["score"] for part, group in measure.extra.get("groups", {}).items()}
    areas: dict[str, list[float]] = {}
    for part, share in shares.items():
        for area in parts[part][1:]:
            areas.setdefault(area, []).append(share)
    if shares:
        measure.extra["mean_of_subjects"] = mean(shares.values())
        measure.extra["areas"] = {area: mean(of_it) for area, of_it in sorted(areas.items())}


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, Row]]:
    if path.suffix == ".parquet":
        return parquet_rows(path)
    return csv_rows(path, columns) if path.suffix == ".csv" else json_rows(path)


def no_markup(text: str) -> str:
    """WikiHow's markup out, as lm-evaluation-harness does it."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


def after_letter(text: str) -> str:
    """`A. a text` -> `a text`. IndexError where there is no letter."""
    return text.split(". ", 1)[1]


_JINJA = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
_JINJA.filters |= {"no_markup": no_markup, "after_letter": after_letter}
_JINJA.globals |= {"int": int}
_template = functools.cache(_JINJA.from_string)


@functools.cache
def _expression(text: str) -> Any:
    return _JINJA.compile_expression(text, undefined_to_none=False)


def _text(template: str, said: Row) -> str:
    return _template(template).render(said) if template else ""


def _value(expression: str, said: Row) -> Any:
    found = _expression(expression)(said)
    if isinstance(found, jinja2.Undefined):
        str(found)  # raises, with the name of the field that is missing
    return found
