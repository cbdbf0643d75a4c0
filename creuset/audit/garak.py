"""Reports of garak taken in: its JSONL file, as figures reported by somebody else's tool. No torch here.

garak (NVIDIA, Apache-2.0) writes a line a probe and detector with `"entry_type": "eval"`: `passed`, and either
`total` (older) or `fails`, `nones`, `total_evaluated`, `total_processed`. What counts here is the share of outputs
that a detector flagged, with Wilson's interval over outputs; garak's own interval, where it has one, is kept beside.
"""

from pathlib import Path
from typing import Any

from creuset.audit.part import Found, Room
from creuset.core.artifact import sha256_file
from creuset.core.errors import DataError
from creuset.evals.measure import Measure
from creuset.evals.stats import wilson
from creuset.evals.tasks.files import json_rows


async def garak(room: Room) -> Found:
    path = room.given["garak"]
    return Found(read_report(path))


def read_report(path: Path) -> list[Measure]:
    """A measure for each probe and detector, worst first; DataError where the file is no report of garak."""
    target, version, date, evals = "", "", "", []
    for line, row in json_rows(path):
        kind = row.get("entry_type")
        if kind == "start_run setup":
            keys = [f"plugins.{whose}_{what}" for whose in ("target", "model") for what in ("type", "name")]
            target = " ".join(str(row[key]) for key in keys if row.get(key))
        elif kind == "init":
            version, date = str(row.get("garak_version", "")), str(row.get("start_time", ""))
        elif kind == "eval":
            evals.append(_counts(path, line, row))
    if not evals:
        raise DataError(f"`{path}` has no line with \"entry_type\": \"eval\"", hint="give garak's NAME.report.jsonl")
    digest = sha256_file(path)
    evals.sort(key=lambda e: (-e["fails"] / max(1, e["total"]), e["probe"], e["detector"]))
    return [_measure(e, path.name, digest, target, version, date) for e in evals]


def _counts(path: Path, line: int, row: dict[str, Any]) -> dict[str, Any]:
    try:
        total, passed = int(row.get("total_evaluated", row.get("total"))), int(row["passed"])  # type: ignore[arg-type]
        fails = int(row.get("fails", total - passed))
        probe, detector = str(row["probe"]), str(row["detector"]).removeprefix("detector.")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"`{path}` line {line} is not an evaluation of garak: {error!r}") from error
    if passed < 0 or fails < 0 or passed + fails != total:
        raise DataError(f"`{path}` line {line}: {passed} passed and {fails} failed are not {total}")
    own = [row.get(f"confidence_{end}") for end in ("lower", "upper")]
    return {"probe": probe, "detector": detector, "total": total, "fails": fails, "nones": int(row.get("nones", 0)),
            "own": own if None not in own else None}


def _measure(e: dict[str, Any], file: str, digest: str, target: str, version: str, date: str) -> Measure:
    common: dict[str, Any] = {
        "task": "garak", "metric": f"asr.{e['probe']}.{e['detector']}", "better": "lower", "n": e["total"],
        "denominator": e["total"], "failed": e["nones"], "data": file, "data_sha256": digest, "form": "chat",
        "date": date, "extra": {"target": target, "garak_version": version, "garak_interval": e["own"]},
    }  # fmt: skip
    if not e["total"]:
        return Measure(status="not_tested", why=f"garak evaluated no output of {e['probe']}", **common)
    why = f"measured by garak {version or '(version not said)'} on {target or 'a target not said'}"
    return Measure(
        status="reported", why=why,
        score=e["fails"] / e["total"], interval=wilson(e["fails"], e["total"]), interval_by="Wilson, over outputs",
        **common,
    )  # fmt: skip
