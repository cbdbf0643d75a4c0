"""A task made from a CSV file of the user's, without code: `creuset eval MODEL --csv FILE`.

    question, answer                    -> short answers: generated, extracted, compared (`QuestionsCsv`)
    question, choices, answer           -> multiple choice (`ChoicesCsv`); choices are a JSON list in one column, or
                                           columns A, B, C, D ...

Columns are found by their names, in English or French, in any case; `columns` says otherwise. Also read where they
are: `id`, and `group` (intervals are clustered by it). The encoding may be UTF-8 with or without a byte order mark,
UTF-16 with one, or Windows-1252; fields are parted by commas, semicolons, tabs or bars. Rows that cannot be used are
refused together, each with its line: a score over the rest would be of another file.

An answer to a multiple-choice question is the text of a choice, its letter, or its number; the whole file must have
one way of it. Several good answers to a question are a JSON list. No torch.
"""

import contextlib
import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from creuset.benchmarks.answers import AnswerItem, AnswerTask
from creuset.benchmarks.choices import ChoiceItem, ChoiceTask, options
from creuset.benchmarks.fewshot import Group
from creuset.core.errors import ConfigError, DataError
from creuset.core.sentences import sentence
from creuset.evals import extract
from creuset.evals.extract import LETTERS
from creuset.evals.task import Task

NAMES = {
    "question": ("question", "prompt", "query", "input", "instruction", "enonce"),
    "answer": ("answer", "target", "gold", "label", "solution", "expected", "output", "reponse"),
    "choices": ("choices", "options", "choix"),
    "id": ("id", "identifier", "identifiant"),
    "group": ("group", "category", "subject", "topic", "groupe", "categorie", "sujet"),
}
SHOWN = 20  # bad rows that an error names
Cells = dict[str, str]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFile:
    """A file and how its columns are understood."""

    path: Path
    encoding: str
    rows: list[tuple[int, Cells]]  # line, cells by the names of the file
    columns: dict[str, str]  # "question", "answer", "choices", "id", "group" -> the file's name
    letters: tuple[str, ...]  # names of the columns A, B, C ...; (): there are none


def csv_task(path: Path, columns: Mapping[str, str] | None = None, taken: Sequence[str] = ()) -> type[Task]:
    """The task that a CSV file is. `columns`: "question", "answer", "choices", "id", "group" -> a name of the file.

    `taken`: names that the task must not have. Raises ConfigError for a file without the columns, DataError naming
    the rows that cannot be used.
    """
    file = read_csv(path, columns or {})
    name = re.sub(r"[^\w-]+", "_", path.stem).strip("_") or "csv"
    chosen: type[Task] = ChoicesCsv if file.letters or "choices" in file.columns else QuestionsCsv
    name = f"{name}_csv" if name in taken else name
    caveat = "" if file.encoding.startswith("utf") else sentence("benchmarks.not_utf8", encoding=file.encoding)
    header = {"name": name, "folder": path, "files": (path.name,), "file": file, "caveat": caveat}
    made = type(name, (chosen,), {**header, "__doc__": f"The rows of {path.name}.", "__module__": __name__})
    next(made().samples(path))  # every row is looked at before anybody is asked
    return made


def read_csv(path: Path, columns: Mapping[str, str]) -> CsvFile:
    if not path.is_file():
        raise ConfigError(f"`{path}` does not exist: it should be a CSV file")
    text, encoding = _decoded(path)
    first = text.lstrip("\r\n").splitlines()[0] if text.strip() else ""
    if not first:
        raise DataError(f"`{path}` is empty")
    # The sign between fields is the one that makes the most columns of the line of names.
    delimiter = max(",;\t|", key=lambda sign: len(next(csv.reader([first], delimiter=sign))))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    rows: list[tuple[int, Cells]] = []
    bad: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip() for cell in cells]
            elif len(cells) != len(names):
                bad.append(f"line {reader.line_num}: {len(cells)} fields, not {len(names)}")
            else:
                rows.append((reader.line_num, dict(zip(names, cells, strict=True))))
    except csv.Error as error:
        bad.append(f"line {reader.line_num}: {error}")
    if twice := {name for name in names if names.count(name) > 1}:
        raise DataError(f"`{path}` has two columns named `{sorted(twice)[0]}`")
    found, letters = _columns(path, names, columns)
    _refuse(path, bad, len(rows) + len(bad))
    if not rows:
        raise DataError(f"`{path}` has a line of names and no rows")
    return CsvFile(path=path, encoding=encoding, rows=rows, columns=found, letters=letters)


def _decoded(path: Path) -> tuple[str, str]:
    raw = path.read_bytes()
    marked = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    for encoding in (marked, "cp1252"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError as error:
            at, refused = error.start, error
            continue
        if "\0" in text:
            line = text[: text.index("\0")].count("\n") + 1
            raise DataError(f"`{path}` line {line} has a null byte: it is no text")
        return text, encoding
    raise DataError(f"`{path}` line {raw[:at].count(10) + 1} is neither UTF-8 nor Windows-1252: {refused.reason}")


def _columns(path: Path, names: Sequence[str], given: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    plain = {_plain(name): name for name in names}
    found: dict[str, str] = {}
    for role, usual in NAMES.items():
        if role in given:
            if given[role] not in names:
                raise ConfigError(f"`{path}` has no column `{given[role]}`", hint=f"it has {', '.join(names)}")
            found[role] = given[role]
        elif known := next((plain[name] for name in usual if name in plain), None):
            found[role] = known
    if strange := sorted(set(given) - set(NAMES)):
        raise ConfigError(f"`{strange[0]}` is not a part of a question", hint=f"there are {', '.join(NAMES)}")
    lettered = []
    for letter in LETTERS if "choices" not in found else "":
        small = letter.lower()
        ways = (small, f"option_{small}", f"choice_{small}", f"choix_{small}")
        if (name := next((plain[w] for w in ways if w in plain), None)) is None:
            break
        lettered.append(name)
    letters = tuple(lettered) if len(lettered) > 1 else ()
    for role in ("question", "answer"):
        if role not in found:
            raise ConfigError(
                f"`{path}` has no column that is the {role}; it has {', '.join(names)}",
                hint=f"name it {' or '.join(NAMES[role][:3])}, or say which it is: --columns {role}=NAME",
            )
    return found, letters


def _plain(name: str) -> str:
    """Without accents, case, and signs between words."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "_", bare.strip().lower()).strip("_")


def _refuse(path: Path, bad: Sequence[str], of: int) -> None:
    if bad:
        more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise DataError(f"`{path}`: {len(bad)} of {of} rows cannot be used: {'; '.join(bad[:SHOWN])}{more}")


def _by_role(file: CsvFile, cells: Cells) -> Cells:
    """The cells by what they are: question, answer, choices, id, group, A, B ..."""
    row = {role: cells[name].strip() for role, name in file.columns.items()}
    return row | {letter: cells[name].strip() for letter, name in zip(LETTERS, file.letters, strict=False)}


def _each(file: CsvFile, make: Callable[[str, Cells], Item]) -> list[Item]:
    """`make(id, row by role)` of every row; DataError names all rows of which it raises a ValueError."""
    found: list[Item] = []
    bad: list[str] = []
    seen: dict[str, int] = {}
    for line, cells in file.rows:
        row = _by_role(file, cells)
        id = row.get("id") or f"line {line}"
        try:
            if not row["question"]:
                raise ValueError("no question")
            if not row["answer"]:
                raise ValueError("no answer")
            if id in seen:
                raise ValueError(f"the id `{id}` is that of line {seen[id]}")
            seen[id] = line
            found.append(make(id, row))
        except ValueError as error:
            bad.append(f"line {line}: {error}")
    _refuse(file.path, bad, len(file.rows))
    return found


class ChoicesCsv(ChoiceTask):
    """Multiple choice."""

    form = "chat"
    needs = frozenset({"chat"})
    forms = ("chat", "generate", "loglikelihood")
    norm = False  # in the loglikelihood form the choices are letters
    file: ClassVar[CsvFile]

    def groups(self, folder: Path) -> Iterator[Group[ChoiceItem]]:
        known = []
        for _, cells in self.file.rows:
            row = _by_role(self.file, cells)
            with contextlib.suppress(ValueError):  # which is said below, with the line
                known.append((row["answer"], self._choices(row)))
        answer_of = _way(known)

        def question(id: str, row: Cells) -> ChoiceItem:
            shown = self._choices(row)
            gold = answer_of(row["answer"], shown)
            if gold is None:
                raise ValueError(f"the answer `{row['answer']}` is none of the {len(shown)} choices")
            return ChoiceItem(
                id=id,
                context=f"Question: {row['question']}\n{options(shown)}\nAnswer:",
                choices=tuple(f" {letter}" for letter in LETTERS[: len(shown)]),
                gold=gold,
                stem=row["question"],
                options=shown,
                cluster=row.get("group", ""),
            )

        yield Group(questions=_each(self.file, question))

    def _choices(self, row: Cells) -> tuple[str, ...]:
        if "choices" in row:
            try:
                said = json.loads(row["choices"])
            except ValueError:
                raise ValueError(f"its choices are not a JSON list: {row['choices'][:60]}") from None
            if not isinstance(said, list) or not all(isinstance(text, str | int | float) for text in said):
                raise ValueError("its choices are not a JSON list of texts")
            shown = tuple(str(text).strip() for text in said)
        else:
            texts = [row[letter] for letter in LETTERS[: len(self.file.letters)]]
            while texts and not texts[-1]:  # a question may have fewer choices than others
                texts.pop()
            shown = tuple(texts)
        if len(shown) < 2 or len(shown) > len(LETTERS):
            raise ValueError(f"it has {len(shown)} choices, there must be 2 to {len(LETTERS)}")
        if not all(shown):
            raise ValueError(f"choice {LETTERS[shown.index('')]} is empty")
        if len(set(shown)) < len(shown):
            raise ValueError("two of its choices are the same")
        return shown


Find = Callable[[str, tuple[str, ...]], int | None]


def _way(known: Sequence[tuple[str, tuple[str, ...]]]) -> Find:
    """How this file writes its answers: the first way in which all rows have one, else that of most rows."""

    def text(answer: str, shown: tuple[str, ...]) -> int | None:
        return shown.index(answer) if answer in shown else None

    def letter(answer: str, shown: tuple[str, ...]) -> int | None:
        found = re.fullmatch(r"\(?([A-Za-z])[).]?", answer)
        at = LETTERS.index(found[1].upper()) if found else len(shown)
        return at if at < len(shown) else None

    def number_from(first: int) -> Find:
        def number(answer: str, shown: tuple[str, ...]) -> int | None:
            at = int(answer) - first if re.fullmatch(r"\d{1,2}", answer) else -1
            return at if 0 <= at < len(shown) else None

        return number

    ways: list[Find] = [text, letter, number_from(0), number_from(1)]
    hits = [sum(way(answer, shown) is not None for answer, shown in known) for way in ways]
    if max(hits) > max(hits[:2]) and hits[2] == hits[3]:  # both ways would do
        raise DataError(
            "the answers are numbers, and it cannot be told whether the first choice is 0 or 1: write letters instead"
        )
    return ways[hits.index(max(hits))]


class QuestionsCsv(AnswerTask):
    """Short answers. A reply is right when its answer is the file's, but for case, accents, marks and articles."""

    form = "chat"
    needs = frozenset({"chat"})
    forms = ("chat", "generate")
    file: ClassVar[CsvFile]
    max_tokens = 256
    stop = ("\n",)
    strict_name, lenient_name = "answer_line", "answer_lenient"

    def groups(self, folder: Path) -> Iterator[Group[AnswerItem]]:
        yield Group(questions=_each(self.file, self._problem))

    def _problem(self, id: str, row: Cells) -> AnswerItem:
        good = _good(row["answer"])
        return AnswerItem(
            id=id, prompt=f"Question: {row['question']}\nAnswer:", gold=row["answer"], worked=f" {good[0]}",
            message=f"{row['question']}\n\nYou may reason first. Your last line must be `Answer: X`, where X is the "
            "answer and nothing else.",
            cluster=row.get("group", ""),
        )  # fmt: skip

    def strict(self, text: str, language: str) -> str | None:
        """What stands behind "Answer:" on the last line; of a plain completion, and of one line, the line itself."""
        lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
        if not lines:
            return None
        said = re.fullmatch(r"\W*answer\W*:\s*(.+)", lines[-1], re.IGNORECASE)
        return said[1] if said else lines[0] if len(lines) == 1 else None

    def lenient(self, text: str, language: str) -> str | None:
        return extract.answer_lenient(text)

    def same(self, answer: str, gold: str) -> bool:
        return any(comparable(answer) == comparable(good) for good in _good(gold))


def _good(answer: str) -> list[str]:
    """The good answers of a cell. ValueError where a JSON list has none."""
    if not answer.startswith("["):
        return [answer]
    try:
        said: Any = json.loads(answer)
    except ValueError:
        return [answer]  # a text that begins with a bracket
    good = [str(text).strip() for text in said]
    if not good or not all(good):
        raise ValueError("its list of answers has an empty one" if good else "its list of answers is empty")
    return good


def comparable(text: str) -> str:
    """What is compared: small letters without accents, punctuation and a first article; numbers in one writing."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    bare = re.sub(r"(?<=\d),(?=\d{3}\b)", "", bare)
    words = re.findall(r"-?\d+(?:\.\d+)?|[^\W\d_]+|[+#%=<>/*^-]", bare)
    if len(words) > 1 and words[0] in ("the", "a", "an"):
        del words[0]
    return " ".join(_number(word) for word in words) or bare.strip()


def _number(word: str) -> str:
    """`18.0` -> `18`; anything else as it is."""
    known = re.fullmatch(r"-?\d{1,15}(?:\.\d{1,15})?", word)
    return str(Decimal(word).normalize() + 0).replace("E+", "e") if known else word
