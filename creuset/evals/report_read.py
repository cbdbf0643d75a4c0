"""Reading what an evaluation left: results.json and the rows of each task. No torch here."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from creuset.core.artifact import MANIFEST, read_manifest
from creuset.core.errors import ArtifactError, DataError

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An evaluation as its folder has it; `results` are `Measure.row()`s, `samples` the rows of each task."""

    path: Path
    results: list[Row]
    about: Row                                  # results.json without its rows: subject, usage, settings, versions ...
    samples: dict[str, list[Row]] = field(default_factory=dict)
    sha256: str = ""                            # of the artifact; empty for a folder without a manifest

    @property
    def subject(self) -> Row:
        found = self.about.get("subject") or self.about.get("model") or {}
        return dict(found) if isinstance(found, dict) else {"name": str(found)}

    @property
    def name(self) -> str:
        return str(self.subject.get("name") or self.subject.get("model") or self.path.name)


def read_run(path: Path, *, samples: bool = True) -> Run:
    """The evaluation in the folder `path`.

    Raises ArtifactError where there is no results.json, DataError naming the file and the line that is broken.
    """
    file = path / "results.json"
    if not file.is_file():
        raise ArtifactError(f"`{path}` is not an evaluation: it has no results.json")
    said = _json(file.read_bytes(), f"`{file}`")
    if not isinstance(said, dict) or not isinstance(said.get("results"), list):
        raise DataError(f"`{file}` has no list of results")
    rows = [row for row in said["results"] if isinstance(row, dict) and "task" in row]
    if len(rows) != len(said["results"]):
        raise DataError(f"`{file}`: a result has no task")
    return Run(
        path=path, results=[measure_row(row) for row in rows],
        about=plain({k: v for k, v in said.items() if k != "results"}),
        samples=read_samples(path) if samples else {},
        sha256=read_manifest(path)["sha256"] if (path / MANIFEST).is_file() else "",
    )


def read_samples(path: Path) -> dict[str, list[Row]]:
    """NAME.jsonl of the folder (and of samples/, where an audit has them), by NAME; journals are no rows."""
    found: dict[str, list[Row]] = {}
    for file in sorted([*path.glob("*.jsonl"), *path.glob("samples/*.jsonl")]):
        rows = []
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            row = _json(line, f"`{file}` line {number}")
            if not isinstance(row, dict):
                raise DataError(f"`{file}` line {number} is not a row")
            if "journal" in row:
                break
            rows.append(plain(row))
        if rows:
            found[file.stem] = rows
    return found


def _json(raw: bytes, where: str) -> Any:
    """Half a surrogate pair, which a reply may hold, is let through."""
    try:
        return json.loads(raw.decode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise DataError(f"{where} is not JSON: {error}") from error


def measure_row(row: Row) -> Row:
    """A result that a page can draw: an interval without two finite ends is none."""
    found: Row = plain(row)
    ends = found.get("interval")
    whole = isinstance(ends, list) and len(ends) == 2 and all(isinstance(v, int | float) for v in ends)
    # Bits per byte are counted a source, and their rows have neither metric nor unit.
    unit = "bits per byte" if found.get("task") == "bpb" else "share"
    given = {"metric": str(found.get("source", "score")), "unit": unit}
    return given | found | {"interval": ends if whole else None}


def plain(value: Any) -> Any:
    """JSON without NaN and infinities, which no browser reads: they become their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value
