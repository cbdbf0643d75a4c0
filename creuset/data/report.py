"""What a build says of itself: report.json, a table, Markdown; the page is in `page`."""

import platform
from collections import Counter
from pathlib import Path
from typing import Any

from creuset.core.config import resolved
from creuset.data.page import page
from creuset.data.parts import read_json, write_json
from creuset.data.settings import Corpus
from creuset.data.sources import Plan
from creuset.data.tally import merge

STAGES = ("read", "repair", "words", "language", "quality", "leakage", "signatures", "privacy", "write", "route")


def write_report(
    folder: Path,
    plan: Plan,
    settings: Corpus,
    sources: list[dict[str, Any]],
    *,
    decided: dict[str, Any],
    content: str,
    workers: int,
    seconds: float,
    resumed: bool,
    benchmarks: int,
) -> dict[str, Any]:
    """Write report.json and report.html into `folder`; returns the report."""
    total = merge("all", sources)
    rows = {}
    for row, one in zip(plan.sources, sources, strict=True):
        rows[row.name] = _counts(one) | {
            "licence": row.licence,
            "kind": row.kind or settings.kind,
            "speed": _speeds(one["seconds"], one["stage_bytes"]),
            "samples": {
                reason: [{"id": i, "detail": d, "text": t} for _, i, d, t in shown]
                for reason, shown in sorted(one["shown"].items())
            },
        }
    seconds_by, volume = Counter[str](), Counter[str]()
    for one in sources:
        seconds_by.update(one["seconds"])
        volume.update(one["stage_bytes"])
    report = {
        "total": {k: v for k, v in _counts(total.plain()).items() if k != "broken"},
        "sources": rows,
        "duplicates": {k: decided[k] for k in ("documents", "candidates", "memory_bound_bytes")},
        "benchmark_texts": benchmarks,
        "skipped_files": list(plan.skipped),
        "content_sha256": content,
        "settings": resolved(settings),
        "speed": _speeds(dict(seconds_by), dict(volume))
        | {
            "decide_seconds": round(decided["seconds"], 2),
            "wall_seconds": round(seconds, 1),
            "workers": workers,
            "resumed": resumed,
            "machine": platform.machine(),
            "note": "MB of input (decompressed) for each CPU second of one core; other work on the machine lowers it",
        },
    }
    write_json(folder / "report.json", report)
    (folder / "report.html").write_text(page(report), encoding="utf-8")
    return report


def _counts(one: dict[str, Any]) -> dict[str, Any]:
    dropped = Counter(one["dropped"])
    return {
        "read": {
            "documents": one["read_documents"],
            "characters": one["read_characters"],
            "raw_bytes": one["raw_bytes"],
        },
        "kept": {"documents": one["kept_documents"], "characters": one["kept_characters"]},
        "heldout": {"documents": one["heldout_documents"], "characters": one["heldout_characters"]},
        "dropped": {"documents": sum(dropped.values()), "characters": sum(one["dropped_characters"].values())},
        "reasons": {
            r: {"documents": n, "characters": one["dropped_characters"][r]} for r, n in sorted(dropped.items())
        },
        "removed_lines": one["removed_lines"],
        "masked": dict(sorted(one["masked"].items())),
        "languages": dict(sorted(one["languages"].items())),
        "lengths": dict(sorted(one["lengths"].items(), key=lambda kv: int(kv[0]))),
        "lengths_dropped": dict(sorted(one["lengths_dropped"].items(), key=lambda kv: int(kv[0]))),
        "broken": one["broken"],
    }


def _speeds(seconds: dict[str, float], volume: dict[str, int]) -> dict[str, Any]:
    stages = {
        s: {
            "seconds": round(seconds[s], 3),
            "mb_s": round(volume.get(s, 0) / 1e6 / seconds[s], 2) if seconds[s] > 0 else None,
        }
        for s in STAGES
        if s in seconds
    }
    spent = sum(seconds.values())
    return {
        "stages": stages,
        "core_seconds": round(spent, 2),
        "mb_s_per_core": round(volume.get("write", 0) / 1e6 / max(spent, 1e-9), 2),
    }


def read_report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = read_json(folder / "report.json")
    return report


def table(report: dict[str, Any], *, markdown: bool = False) -> str:
    """Per source: read, kept, held out, dropped with the main reasons, speed."""
    head = [
        "source",
        "licence",
        "read",
        "kept",
        "held out",
        "dropped",
        "why (documents)",
        "M characters kept",
        "MB/s/core",
    ]
    rows = []
    for name, one in [*report["sources"].items(), ("all", report["total"] | {"licence": "", "speed": report["speed"]})]:
        why = sorted(one["reasons"].items(), key=lambda kv: -kv[1]["documents"])
        limit = None if markdown else 3
        rows.append(
            [
                name,
                one["licence"],
                f"{one['read']['documents']:,}",
                f"{one['kept']['documents']:,}",
                f"{one['heldout']['documents']:,}",
                f"{one['dropped']['documents']:,}",
                ", ".join(f"{r} {n['documents']:,}" for r, n in why[:limit]),
                f"{one['kept']['characters'] / 1e6:,.2f}",
                f"{one['speed']['mb_s_per_core']:.2f}",
            ]
        )
    if markdown:
        lines = ["| " + " | ".join(head) + " |", "|---|---|" + "--:|" * 4 + "---|--:|--:|"]
        return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    widths[1], widths[6] = min(widths[1], 24), min(widths[6], 70)
    left = {0, 1, 6}
    return "\n".join(
        "  ".join(
            c[: widths[i]].ljust(widths[i]) if i in left else c.rjust(widths[i]) for i, c in enumerate(row)
        ).rstrip()
        for row in [head, *rows]
    )
