"""An audit as an artifact: results.json (measures), items.json (requirements), samples/, the page. No torch here."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from creuset import __version__
from creuset.core import jsonl
from creuset.core.artifact import MANIFEST, artifact_of, new_artifact
from creuset.core.errors import CreusetError
from creuset.core.host import commit, hardware, versions
from creuset.core.sentences import to_json
from creuset.governance.audit.page import write_page
from creuset.governance.audit.run import AuditPlan, Result, item_rows, spent

DEFINITIONS = {
    "statuses": "measured here; reported by others (its maker, or a tool); not_applicable; not_testable from outside; "
                "not_tested. There is no overall verdict: a requirement has evidence, not a grade.",
    "intervals": "95 %; how each was made is in interval_by",
    "harmful": "prompts and replies of harmful sets are neither in this folder nor on its page",
}  # fmt: skip


def results_json(results: Sequence[Result], subject: dict[str, Any], asked: AuditPlan, *, date: str) -> dict[str, Any]:
    return {
        "kind": "audit",
        "model": subject,
        "date": date,
        "settings": {
            **asdict(asked), "items": list(asked.items), "bench": asked.bench and asked.bench.name,
            "given": {name: path.name for name, path in asked.given.items()},
        },
        "definitions": DEFINITIONS,
        "results": [m.row() | {"part": r.part} for r in results for m in r.measures],
        "usage": asdict(spent(results)),
        "host": {**hardware(), "versions": versions(), "commit": commit(), "creuset": __version__},
    }  # fmt: skip


def keep(path: Path, results: Sequence[Result], said: dict[str, Any], *, model: Path | None, lang: str) -> None:
    """Publish at `path`. The model is its parent where it is an artifact itself."""
    named = [artifact_of(model)] if model is not None else []
    parents = [p for p in named if (p / MANIFEST).is_file()]
    with new_artifact(path, kind="audit", settings=said["settings"], parents=parents) as scratch:
        fill(scratch, results, said, lang=lang)


def fill(folder: Path, results: Sequence[Result], said: dict[str, Any], *, lang: str) -> None:
    items = item_rows(results)
    (folder / "results.json").write_text(_json(said), encoding="utf-8")
    (folder / "items.json").write_text(_json(items), encoding="utf-8")
    for result in results:
        if result.samples:
            jsonl.write(folder / "samples" / f"{result.part}.jsonl", result.samples)
    document = {"subject": said["model"], "date": said["date"], "items": items, "rows": said["results"],
                "limit": said["settings"].get("limit")}  # fmt: skip
    write_page(folder / "audit.html", document, samples={r.part: r.samples for r in results}, lang=lang)


def _json(value: Any) -> str:
    return json.dumps(to_json(value), indent=2, ensure_ascii=False) + "\n"


def free(path: Path | None) -> None:
    """Raise where an audit could not be published, before anything is asked."""
    if path is not None and path.exists():
        raise CreusetError(f"`{path}` already exists", hint="artifacts are never overwritten; choose another name")
