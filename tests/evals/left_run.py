"""A folder as an evaluation leaves it, for tests of what reads it."""

import json
from pathlib import Path
from typing import Any

from creuset.core.stats import share
from creuset.types.measure import Measure

HOSTILE = '</script><img src=x onerror="window.hacked=1"><svg onload=window.hacked=1>\'"&\u2028--><!-- \ud800'


def row(number: int, correct: float, **more: Any) -> dict[str, Any]:
    """A sample of multiple choice by generation."""
    return {
        "id": f"demo/{number}", "cluster": "", "prompt": f"Question {number}\nAnswer:", "gold": "A", "correct": correct,
        "answer": "A" if correct else "B", "extracted": True, "failed": False,
        "outcomes": [{"kind": "reply", "text": f"I say {'A' if correct else 'B'}, {number}", "finish": "stop",
                      "prompt_tokens": 7, "completion_tokens": 5, "seconds": 0.5}],
    } | more  # fmt: skip


def leave(folder: Path, tasks: dict[str, list[dict[str, Any]]], *, name: str = "demo model", **fields: Any) -> Path:
    """results.json and NAME.jsonl; `fields` go into each measure."""
    folder.mkdir(parents=True)
    results = []
    for task, rows in tasks.items():
        found = share([r["correct"] for r in rows])
        given = {"data_sha256": "d" * 64, "data": f"{task}.jsonl", "form": "generate", "extractor": "letter",
                 "date": "2026-11-25T10:00:00+00:00", "seed": 1234, "interval_by": found.by,
                 "extra": {"chance": 0.25}} | fields  # fmt: skip
        measure = Measure(
            task=task,
            metric="acc",
            score=found.value,
            interval=found.interval,
            n=len(rows),
            denominator=len(rows),
            failed=sum(r["failed"] for r in rows),
            unextracted=sum(not r["extracted"] for r in rows),
            **given,
        )
        results.append(measure.row())
        lines = "".join(json.dumps(r) + "\n" for r in rows)
        (folder / f"{task}.jsonl").write_text(lines)
    usage = {"calls": 9, "failed": 1, "retried": 2, "prompt_tokens": 63, "completion_tokens": 45, "cost": 0.5,
             "currency": "EUR", "warnings": {}}  # fmt: skip
    said = {"model": {"name": name, "kind": "endpoint", "url": "http://127.0.0.1:1/v1"}, "results": results,
            "settings": {"seed": 1234}, "usage": usage, "wall_s": 61.0}  # fmt: skip
    (folder / "results.json").write_text(json.dumps(said))
    return folder
