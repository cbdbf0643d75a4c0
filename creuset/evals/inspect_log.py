"""An evaluation as logs of inspect_ai (format version 2, JSON, as read by inspect_ai 0.3): one file a task, so that
its viewer opens them. No torch here, and no import of inspect_ai.

What that format has no place for (intervals, hashes, likelihoods of choices) is in `metadata`. Questions and answers
of harmful tasks are not in the rows, and so not in the logs.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from creuset import __version__
from creuset.core.artifact import sha256_json
from creuset.core.errors import ArtifactError
from creuset.report.table import STATUS
from creuset.types.measure import Results, Row, read_results

FORMAT = 2
_STOPS = {"stop": "stop", "length": "max_tokens", "tool_calls": "tool_calls", "content_filter": "content_filter"}
_ROLES = ("system", "user", "assistant")
_PARTS = ("id", "cluster", "prompt", "prompts", "choices", "pairs", "gold", "answer", "correct", "outcomes", "text")


def write_logs(path: Path, folder: Path) -> list[Path]:
    """Write a log for each task of the evaluation `path` into `folder`; returns the files.

    Raises ArtifactError where `folder` has something in it: the viewer would show old logs among the new.
    """
    run = read_results(path, samples=True)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtifactError(f"`{folder}` already exists", hint="remove it, or choose another name")
    folder.mkdir(parents=True, exist_ok=True)
    touched = datetime.fromtimestamp((path / "results.json").stat().st_mtime, UTC).isoformat(timespec="seconds")
    written = []
    for task in dict.fromkeys(str(row["task"]) for row in run.rows):
        log = task_log(run, task, touched)
        file = folder / f"{log['eval']['created'].replace(':', '-')}_{_slug(task)}_{log['eval']['task_id']}.json"
        # Half a surrogate pair, which a reply may hold, is no text for inspect's reader: it becomes a question mark.
        said = json.dumps(log, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        file.write_text(said, encoding="utf-8", errors="replace")
        written.append(file)
    return written


def task_log(run: Results, task: str, touched: str) -> Row:
    """The log of one task; `touched` is the date where no measure has one."""
    measures = [row for row in run.rows if row["task"] == task]
    rows = run.samples.get(task, [])
    date = next((str(row["date"]) for row in measures if row.get("date")), touched)
    samples = [_sample(row, i, run.name) for i, row in enumerate(rows)]
    ids = [one["id"] for one in samples]
    usage = _usage([o for row in rows for o in row.get("outcomes") or ()])
    settings = run.about.get("settings") or {}
    return {
        "version": FORMAT,
        "status": "success",
        "eval": {
            "eval_id": _id(run, task, "eval"), "run_id": _id(run, "", "run"), "created": date, "task": task,
            "task_id": _id(run, task, "task"), "task_version": 0,
            # The viewer heads the page with the name: of MMLU the files would be 114.
            "dataset": {"name": task, "location": str(measures[0].get("data") or "") or None, "samples": len(rows),
                        "sample_ids": ids, "shuffled": False},
            "model": run.name, "model_base_url": run.subject.get("url"),
            "config": {"limit": settings.get("limit"), "epochs": 1},
            "packages": {"creuset": __version__},
            "metadata": {"subject": run.subject, "evaluation_sha256": run.sha256, "measures": measures},
        },
        "plan": {"name": "plan", "steps": [], "config": {"seed": measures[0].get("seed")}},
        "results": {
            "total_samples": len(rows),
            "completed_samples": sum(not row.get("failed") for row in rows),
            "scores": _scores(measures),
        },
        "stats": {"started_at": _start(run, task, date), "completed_at": date, "model_usage": {run.name: usage}},
        "samples": samples,
    }  # fmt: skip


def _start(run: Results, task: str, end: str) -> str:
    """When the task was begun: when the one before it was done; of the first, the whole time before the last end."""
    ends = {str(row["task"]): str(row["date"]) for row in run.rows if row.get("date")}
    before = list(ends)[: list(ends).index(task)] if task in ends else []
    wall = run.about.get("wall_s")
    if before:
        start = ends[before[-1]]
    elif isinstance(wall, int | float) and ends:
        last = datetime.fromisoformat(max(ends.values()))
        start = (last - timedelta(seconds=float(wall))).isoformat(timespec="seconds")
    else:
        return end
    return min(start, end)


def _id(run: Results, task: str, kind: str) -> str:
    """Stable: the same evaluation has the same log."""
    return sha256_json([run.sha256, run.subject, task, kind])[:22]


def _slug(task: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in task)


def _scores(measures: Sequence[Row]) -> list[Row]:
    """Each measure that has a number as a metric of one score, its standard facts as parameters."""
    metrics = {}
    for row in measures:
        if not isinstance(row.get("score"), int | float):
            continue
        low, high = row.get("interval") or (None, None)
        params = {"unit": row.get("unit"), "n": row.get("n"), "denominator": row.get("denominator"), "low": low,
                  "high": high, "interval_by": row.get("interval_by")}  # fmt: skip
        metrics[row["metric"]] = {
            "name": row["metric"],
            "value": row["score"],
            "params": {k: v for k, v in params.items() if v not in (None, "")},
        }
    if metrics:
        return [{"name": "correct", "scorer": "correct", "params": {}, "metrics": metrics}]
    said = {str(row["status"]): row.get("why") for row in measures}
    return [{"name": STATUS.get(s, s), "scorer": "none", "params": {"why": why}, "metrics": {}}
            for s, why in said.items()]  # fmt: skip


def _sample(row: Row, index: int, model: str) -> Row:
    outcomes = row.get("outcomes") or []
    asked = _input(row)
    said = _said(row)
    replies = [o for o in outcomes if o.get("kind") == "reply"]
    failures = [o for o in outcomes if o.get("kind") == "failure"]
    message = {"role": "assistant", "content": said, "source": "generate", "model": model}
    stop = _STOPS.get(str(replies[0].get("finish")), "unknown") if replies else "stop"
    chat = asked if isinstance(asked, list) else [{"role": "user", "content": asked}]
    found: Row = {
        "id": str(row.get("id", index)), "epoch": 1, "input": asked, "target": _target(row),
        "messages": [*chat, message],
        "output": {"model": model, "choices": [{"message": message, "stop_reason": stop}], "usage": _usage(outcomes)},
        "scores": {"correct": {"value": _value(row.get("correct")), "answer": _text(row.get("answer")),
                               "metadata": {k: v for k, v in row.items() if k not in _PARTS}}},
        "metadata": {"cluster": row.get("cluster") or "", "outcomes": outcomes},
        "store": {}, "events": [], "model_usage": {model: _usage(outcomes)},
    }  # fmt: skip
    seconds = [float(o["seconds"]) for o in outcomes if isinstance(o.get("seconds"), int | float)]
    if seconds:
        found["total_time"] = found["working_time"] = round(sum(seconds), 3)
    if row.get("choices"):
        found["choices"] = [str(choice) for choice in row["choices"]]
    if failures:
        reason = f"{failures[0].get('reason')}: {failures[0].get('detail', '')}"
        # The viewer's page of the error shows the last of the three alone.
        found["error"] = {"message": reason, "traceback": reason, "traceback_ansi": reason}
    return found


def _input(row: Row) -> str | list[Row]:
    prompt = row.get("prompt")
    if isinstance(prompt, list):
        return [{"role": m["role"] if m.get("role") in _ROLES else "user", "content": _text(m.get("content")) or ""}
                for m in prompt if isinstance(m, dict)]  # fmt: skip
    if isinstance(prompt, str):
        return prompt
    for name in ("prompts", "pairs", "text"):
        if name in row:
            return _text(row[name]) or ""
    return "(hidden: harmful)" if row.get("hidden") else ""


def _said(row: Row) -> str:
    """The replies; of a choice by likelihood, the continuation chosen."""
    replies = [str(o.get("text", "")) for o in row.get("outcomes") or () if o.get("kind") == "reply"]
    if replies:
        return "\n\n".join(replies)
    return _choice(row, row.get("answer")) or _text(row.get("answer")) or ""


def _choice(row: Row, named: Any) -> str | None:
    """The text of a choice that is named by its number or its letter."""
    choices = row.get("choices")
    if isinstance(named, str) and len(named) == 1 and "A" <= named <= "Z":
        named = ord(named) - ord("A")
    inside = isinstance(choices, list) and isinstance(named, int) and 0 <= named < len(choices)
    return str(choices[named]) if inside and choices else None


def _target(row: Row) -> str | list[str]:
    gold = row.get("gold")
    if (chosen := _choice(row, gold)) is not None:
        return chosen
    return [_text(g) or "" for g in gold] if isinstance(gold, list) else _text(gold) or ""


def _value(correct: Any) -> float | str:
    """inspect's C and I for right and wrong; a graded score as its number."""
    if correct is None:
        return "N"
    return {0.0: "I", 1.0: "C"}.get(float(correct), float(correct))


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _usage(outcomes: Sequence[Row]) -> Row:
    read = sum(int(o.get("prompt_tokens", 0)) for o in outcomes)
    written = sum(int(o.get("completion_tokens", 0)) for o in outcomes)
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
