"""LiveBench's tables: columns joined (F1), a table written in another format (all or nothing), a column's kind.

LiveBench reads tables with pandas; here they are read by the standard library to the same values: a column whose
cells are all numbers is numbers, empty cells equal each other, texts are compared without blanks at their ends.
"""

import ast
import csv
import io
import json
import math
import re
import warnings
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from creuset.benchmarks.livebench.marks import Read, bare, boxed

Table = dict[str, list[Any]]  # column -> cells: numbers, texts, None for an empty one; JSON may hold others
SEPARATOR = {"csv": ",", "tsv": "\t"}
EMPTY = frozenset((
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
))  # fmt: skip
CLOSE = 1e-6


def column_kind(truth: str, text: str, question: str) -> Read:
    """cta: the reply, or its box, is the kind or ends with it; letters and digits only, no case."""
    box = boxed(text) if "\\boxed{" in text else text
    said = re.sub(r"\W", "", bare(box) if box is not None and box is not text else box or "").lower()
    wanted = re.sub(r"\W", "", truth).lower()
    return float(said.endswith(wanted)), said or None


def join(truth: str, text: str, question: str) -> Read:
    """tablejoin: F1 of the pairs of columns, to two decimals; a wrong pair counts against both precision and recall."""
    wanted, said = ast.literal_eval(truth), mapping(text)
    if not said:
        return 0.0, None
    right = sum(bool(wanted.get(k)) and wanted[k] == v for k, v in said.items())
    extra = len(said) - right
    missed = sum(bool(wanted.get(k)) and wanted[k] != v for k, v in said.items()) + sum(not said.get(k) for k in wanted)
    return round(2 * right / (2 * right + extra + missed), 2), json.dumps(said, ensure_ascii=False, default=str)


def mapping(text: str) -> dict[Any, Any]:
    """The Python dictionary of a reply: in the tags, alone, in the last fenced block, in a box. {}: none is there."""
    while marked := re.findall(r"<solution>(.*?)</solution>", text, re.DOTALL):
        text = marked[-1].strip()
    found = _literal(text)
    if found is None:
        flat, spans = text.replace("\n", ""), [text]
        for fence in ("```python", "```json", "```"):
            if blocks := re.findall(f"{fence}(.*?)```", flat):
                spans = blocks
                break
        else:
            if (box := boxed(flat)) is not None:
                spans = [re.sub(r"\\text\{['|\"](.*?)['|\"]\}", r"'\1'", box).replace("\\", "")]
        found = _literal(spans[-1].replace("null", "None"))
    return {k: v for k, v in found.items() if v is not None} if isinstance(found, dict) else {}


def _literal(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of backslashes in the reply's strings
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def formats(question: str) -> tuple[str, str]:
    """From and to, as the question names them. ValueError where it does not, or there is no reader of the second."""
    asked = re.search(r"Please convert the Input Table from (\w+) format to (\w+) format", question)
    if asked is None:
        raise ValueError("the question does not say which format is asked for")
    source, target = asked[1].lower(), asked[2].lower()
    if target not in ("csv", "tsv", "json", "jsonl", "html"):
        raise ValueError(f"tables in {target} are not read")
    return source, target


def reformat(truth: str, text: str, question: str) -> Read:
    """tablereformat: the same columns in any order, the same rows in theirs. Extra text around the table may stand."""
    _, target = formats(question)
    wanted = read(target, truth)
    said = re.sub(r"^\s*(Here|Input)\b.*?\b(format|table)\s*[:)]\s*", "", unfenced(text), flags=re.IGNORECASE).strip()
    first = _read_or_none(target, said)
    if first is not None and alike(first, wanted):
        return 1.0, said
    # TSV is searched for only where the reply as a whole is no table: as published.
    again = None if target == "tsv" and first is not None else search(target, said, wanted)
    return float(again is not None and alike(again, wanted)), said if first is not None or again is not None else None


def unfenced(text: str) -> str:
    while marked := re.findall(r"<solution>(.*?)</solution>", text, re.DOTALL):
        text = marked[-1].strip()
    for kind in ("json", "html"):
        if blocks := re.findall(f"```{kind}\n(.*?)```", text, re.DOTALL):
            return str(blocks[-1]).strip()
    return re.sub(r"^```.*\n", "", text).replace("&amp;", "&").replace("```", "").strip()


def search(target: str, text: str, wanted: Table) -> Table | None:
    """The table in a longer reply: from its header on (CSV, TSV), or all lines that are its objects (JSONL)."""
    lines = text.strip().split("\n")
    if target in SEPARATOR:
        header = SEPARATOR[target].join(wanted)
        start = next((i for i, line in enumerate(lines) if line.strip() == header.strip()), None)
        for end in range(len(lines), start, -1) if start is not None else ():
            if (found := _read_or_none(target, "\n".join(lines[start:end]))) is not None:
                return found
    if target == "jsonl":
        kept = [line for line in lines if line[:1] == "{" and line[-1:] == "}" and all(key in line for key in wanted)]
        return _read_or_none(target, "\n".join(line for line in kept if _is_json(line)))
    return None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def alike(one: Table, other: Table) -> bool:
    one, other = ({k.strip(): v for k, v in t.items() if k.strip() != "index"} for t in (one, other))
    return one.keys() == other.keys() and all(
        len(one[k]) == len(other[k]) and all(map(_same, one[k], other[k])) for k in one
    )


def _same(a: Any, b: Any) -> bool:
    numbers = [isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b)]
    if all(numbers):
        return bool(abs(a - b) < CLOSE or a == b)  # two infinities differ by nothing that is a number
    return bool((a.strip() if isinstance(a, str) else a) == (b.strip() if isinstance(b, str) else b))


def read(kind: str, text: str) -> Table:
    """ValueError where `text` is no table of this kind."""
    if kind in SEPARATOR:
        return _separated(text, SEPARATOR[kind])
    if kind == "html":
        return _html(text)
    if kind == "jsonl":
        return _records([json.loads(line) for line in text.strip().split("\n") if line.strip()])
    found = json.loads(text)
    if isinstance(found, dict) and all(isinstance(v, dict) for v in found.values()):
        found = list(found.values())  # {"0": {"column": cell}}: rows by their names
    return _records(found)


def _read_or_none(kind: str, text: str) -> Table | None:
    try:
        return read(kind, text)
    except (ValueError, RecursionError, csv.Error):
        return None


def _records(rows: Any) -> Table:
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ValueError("not a list of objects")
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _column([row.get(name) for row in rows]) for name in names}  # "" is a text in JSON, not empty


def _separated(text: str, separator: str) -> Table:
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row]
    if not rows:
        raise ValueError("no line")
    return _cells(rows[0], rows[1:])


def _cells(header: list[str], rows: list[list[str]]) -> Table:
    if rows and len(rows[0]) == len(header) + 1:
        rows = [row[1:] for row in rows]  # an unnamed first column is the rows' names
    if any(len(row) > len(header) for row in rows):
        raise ValueError("a row is longer than the header")
    names = list(_names(header))
    padded = [row + [""] * (len(header) - len(row)) for row in rows]
    return {name: _column([None if row[i] in EMPTY else row[i] for row in padded]) for i, name in enumerate(names)}


def _names(header: list[str]) -> Iterator[str]:
    """`a`, `a.1` where a name comes twice; a number where one is empty."""
    seen: dict[str, int] = {}
    for i, name in enumerate(header):
        name = name or f"Unnamed: {i}"
        yield f"{name}.{seen[name]}" if name in seen else name
        seen[name] = seen.get(name, 0) + 1


def _column(cells: list[Any]) -> list[Any]:
    """Numbers where every cell that is not empty is one."""
    known = [None if isinstance(c, float) and math.isnan(c) else c for c in cells]
    numbers = [None if c is None else _number(c) for c in known]
    return numbers if all((c is None) == (n is None) for c, n in zip(known, numbers, strict=True)) else known


def _number(cell: Any) -> float | None:
    if isinstance(cell, str):
        try:
            return float(cell) if "_" not in cell else None
        except ValueError:
            return None
    return float(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else None


class _Rows(HTMLParser):
    """The rows of all tables of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.heads: list[bool] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
            self.heads.append(False)
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self.heads[-1] |= tag == "th"
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag not in ("td", "th", "tr", "table")

    def handle_data(self, data: str) -> None:
        if self._open:
            self.rows[-1][-1] += data


def _html(text: str) -> Table:
    page = _Rows()
    page.feed(text)
    page.close()
    rows = [[re.sub(r"\s+", " ", cell).strip() for cell in row] for row in page.rows if row]
    if not rows:
        raise ValueError("no table")
    return _cells(rows[0], rows[1:])
