"""The report of a build: report.json, a table, Markdown. The HTML page is in `page`."""

import os
import platform
from collections import Counter
from pathlib import Path
from typing import Any

from creuset.core.config import resolved
from creuset.data.build.page import page
from creuset.data.build.parts import read_json, write_json
from creuset.data.build.tally import merge
from creuset.data.read.sources import ReadPlan
from creuset.data.settings import Corpus

STAGES = ("read", "repair", "words", "language", "quality", "leakage", "signatures", "privacy", "write", "route")


def write_report(
    folder: Path,
    plan: ReadPlan,
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
            "machine": _machine(),
            "note": "MB of input (decompressed) for each CPU second of one core; other work on the machine lowers it",
        },
    }
    write_json(folder / "report.json", report)
    (folder / "report.html").write_text(page(report), encoding="utf-8")
    return report


def _machine() -> str:
    """What the numbers were measured on, and how busy it was."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    return f"{platform.machine()}, {cores} cores, load {load:.1f} at the end"


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
        "site_lines": one["site_lines"],
        "kinds": dict(sorted(one["kinds"].items())),
        "converted": dict(sorted(one["converted"].items())),
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


def table(report: dict[str, Any]) -> str:
    """Per source: read, kept, held out, dropped with the main reasons, speed; aligned for a terminal."""
    head, *rows = _rows(report, reasons=3)
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    widths[1], widths[6] = min(widths[1], 24), min(widths[6], 70)
    return "\n".join(
        "  ".join(
            cell[: widths[i]].ljust(widths[i]) if i in (0, 1, 6) else cell.rjust(widths[i])
            for i, cell in enumerate(row)
        ).rstrip()
        for row in [head, *rows]
    )


def _rows(report: dict[str, Any], *, reasons: int | None) -> list[list[str]]:
    head = ["source", "licence", "read", "kept", "held out", "dropped", "why", "M characters kept", "MB/s/core"]
    rows = [head]
    for name, one in [*report["sources"].items(), ("all", report["total"] | {"licence": "", "speed": report["speed"]})]:
        why = sorted(one["reasons"].items(), key=lambda kv: (-kv[1]["documents"], kv[0]))
        rows.append(
            [
                name,
                one["licence"],
                *(f"{one[part]['documents']:,}" for part in ("read", "kept", "heldout", "dropped")),
                ", ".join(f"{r} {n['documents']:,}" for r, n in why[:reasons]),
                f"{one['kept']['characters'] / 1e6:,.2f}",
                f"{one['speed']['mb_s_per_core']:.2f}",
            ]
        )
    return rows


def markdown(report: dict[str, Any]) -> str:
    """The tables of a corpus as a page of the documentation."""
    speed, total = report["speed"], report["total"]
    stages = [stage for stage in STAGES if stage in speed["stages"]]
    per_stage = [["source", *stages, "all"]]
    for name, one in [*report["sources"].items(), ("all", {"speed": speed})]:
        own = one["speed"]["stages"]
        cells = [f"{own[s]['mb_s']:.1f}" if s in own and own[s]["mb_s"] else "-" for s in stages]
        per_stage.append([name, *cells, f"{one['speed']['mb_s_per_core']:.2f}"])
    masked = [["source", *sorted(total["masked"])]]
    masked += [
        [name, *(f"{one['masked'].get(kind, 0):,}" for kind in masked[0][1:])]
        for name, one in [*report["sources"].items(), ("all", total)]
        if one["masked"]
    ]
    bound = report["duplicates"]["memory_bound_bytes"] / 1e6
    return "\n\n".join(
        [
            "# A corpus, in numbers",
            "Written by `creuset corpus report PATH --markdown`; how it is made is in [the guide](guides/corpus.md).",
            f"Documents of corpus `{report['content_sha256'][:16]}`: kept + held out + dropped = read.",
            _markdown_table(_rows(report, reasons=None), left={0, 1, 6}),
            f"{report['benchmark_texts']:,} benchmark texts were looked for. Duplicates: "
            f"{report['duplicates']['documents']:,} signatures compared, {report['duplicates']['candidates']:,} "
            f"candidates, at most {bound:.0f} MB of memory.",
            "## Personal data masked",
            _markdown_table(masked, left={0}) if len(masked) > 1 else "None.",
            "## Speed",
            "MB of input (decompressed) for each CPU second of one core, stage by stage. "
            f"{speed['core_seconds']:,} CPU seconds in all, {speed['wall_seconds']:,} s by the clock in the last "
            f"start with {speed['workers']} worker(s){', resumed' if speed['resumed'] else ''}. "
            f"Other work on the machine lowers these numbers: {speed['machine']}.",
            _markdown_table(per_stage, left={0}),
        ]
    )


def _markdown_table(rows: list[list[str]], *, left: set[int]) -> str:
    head, *body = rows
    rule = "|".join("---" if i in left else "--:" for i in range(len(head)))
    return "\n".join(["| " + " | ".join(head) + " |", f"|{rule}|", *("| " + " | ".join(row) + " |" for row in body)])
