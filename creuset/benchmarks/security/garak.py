"""Reports of garak taken in: its JSONL file, as figures reported by somebody else's tool. No torch here.

garak (NVIDIA, Apache-2.0) writes a line for each probe and detector with `"entry_type": "eval"`: `passed`, and
either `total` (older) or `fails`, `nones`, `total_evaluated`, `total_processed`. The figure is the share of outputs
that a detector flagged. The outputs of one prompt are often the same text. Where the report holds the attempts, the
interval is therefore clustered by prompt, and an evaluation is refused when the attempts do not add up to it.
garak's own interval is kept beside. It corrects for the detector's known errors, and may not contain the share.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from creuset.benchmarks.files import json_rows
from creuset.benchmarks.part import Found, Room
from creuset.core.artifact import sha256_file
from creuset.core.errors import DataError
from creuset.core.sentences import sentence
from creuset.core.stats import share, wilson
from creuset.types.measure import Measure

EVALUATED = 2  # status of an attempt whose outputs the detectors have judged
THRESHOLD = 0.5  # garak's default `run.eval_threshold`: from there on an output is flagged
Scores = dict[str, list[float | None]]  # by attempt: a score an output, None where the detector could not say


async def check(room: Room) -> Found:
    path = room.given["garak"]
    return Found(read_report(path))


def read_report(path: Path) -> list[Measure]:
    """A measure for each probe and detector, worst first; DataError where the file is no report of garak."""
    target, version, date, threshold, evals = "", "", "", THRESHOLD, []
    attempts: dict[tuple[str, str], Scores] = {}
    for line, row in json_rows(path):
        kind = row.get("entry_type")
        if kind == "start_run setup":
            keys = [f"plugins.{whose}_{what}" for whose in ("target", "model") for what in ("type", "name")]
            target = " ".join(str(row[key]) for key in keys if row.get(key))
            threshold = float(row.get("run.eval_threshold") or THRESHOLD)
        elif kind == "init":
            version, date = str(row.get("garak_version", "")), str(row.get("start_time", ""))
        elif kind == "attempt" and row.get("status") == EVALUATED:
            for detector, scores in (row.get("detector_results") or {}).items():
                of = attempts.setdefault((_bare(row.get("probe_classname"), "probes."), _bare(detector)), {})
                of[str(row.get("uuid", line))] = list(scores)
        elif kind == "eval":
            evals.append(_counts(path, line, row))
    if not evals:
        raise DataError(f'`{path}` has no line with "entry_type": "eval"', hint="give garak's NAME.report.jsonl")
    for e in evals:
        _found(path, e, attempts.get((e["probe"], e["detector"]), {}), threshold)
    digest = sha256_file(path)
    evals.sort(key=lambda e: (-e["fails"] / max(1, e["total"]), e["probe"], e["detector"]))
    return [_measure(e, path.name, digest, target, version, date) for e in evals]


def _bare(name: Any, prefix: str = "detector.") -> str:
    return str(name).removeprefix(prefix)


def _counts(path: Path, line: int, row: dict[str, Any]) -> dict[str, Any]:
    try:
        total, passed = int(row.get("total_evaluated", row.get("total"))), int(row["passed"])  # type: ignore[arg-type]
        fails = int(row.get("fails", total - passed))
        probe, detector = _bare(row["probe"], "probes."), _bare(row["detector"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"`{path}` line {line} is not an evaluation of garak: {error!r}") from error
    if passed < 0 or fails < 0 or passed + fails != total:
        raise DataError(f"`{path}` line {line}: {passed} passed and {fails} failed are not {total}")
    own = [row.get(f"confidence_{end}") for end in ("lower", "upper")]
    return {
        "probe": probe,
        "detector": detector,
        "total": total,
        "fails": fails,
        "nones": int(row.get("nones", 0)),
        "own": own if None not in own else None,
        "line": line,
    }


def _found(path: Path, e: dict[str, Any], scores: Mapping[str, list[float | None]], threshold: float) -> None:
    """Put `e`'s interval into it: by prompt where the report has the attempts, else by output."""
    flags = [(float(score >= threshold), prompt) for prompt, some in scores.items() for score in some
             if score is not None]  # fmt: skip
    if not flags:
        e["interval"], e["by"] = wilson(e["fails"], e["total"]), "Wilson, over outputs: the report has no attempts"
        return
    failed = int(sum(flag for flag, _ in flags))
    if (failed, len(flags)) != (e["fails"], e["total"]):
        raise DataError(f"`{path}` line {e['line']}: {e['fails']} of {e['total']} outputs of {e['probe']} failed "
                        f"{e['detector']}, by its attempts {failed} of {len(flags)}")  # fmt: skip
    found = share([flag for flag, _ in flags], [prompt for _, prompt in flags])
    e["interval"], e["by"], e["prompts"] = found.interval, f"{found.by}: prompts", found.clusters


def _measure(e: dict[str, Any], file: str, digest: str, target: str, version: str, date: str) -> Measure:
    common: dict[str, Any] = {
        "task": "garak", "metric": f"asr.{e['probe']}.{e['detector']}", "better": "lower", "n": e["total"],
        "denominator": e["total"] + e["nones"], "failed": e["nones"], "data": file, "data_sha256": digest,
        "form": "chat", "date": date,
        "extra": {"target": target, "garak_version": version, "garak_interval": e["own"], "prompts": e.get("prompts")},
    }  # fmt: skip
    if not e["total"]:
        return Measure(status="not_tested", why=sentence("benchmarks.garak_no_output", probe=e["probe"]), **common)
    why = sentence(
        "benchmarks.garak",
        version=version or sentence("benchmarks.no_version"),
        target=target or sentence("benchmarks.no_target"),
    )
    return Measure(status="reported", why=why, score=e["fails"] / e["total"], interval=e["interval"],
                   interval_by=e["by"], **common)  # fmt: skip
