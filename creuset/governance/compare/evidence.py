"""Rows of what was tried: which parts of the API an endpoint answers, and what the audit could test at all.

Both are evidence, shown and never weighed; the share of the API that is answered rightly is a row of "competition".
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from creuset.core.artifact import read_manifest
from creuset.core.errors import ArtifactError
from creuset.core.sentences import from_json, joined, keyed, sentence
from creuset.governance.compare.card import Cell, Row, unknown
from creuset.report.language import LANGS, Text

Probed = Sequence[Mapping[str, Any] | None]  # a portability.json for each system, or nothing
COUNTED = ("measured", "reported", "not_applicable", "not_testable", "not_tested")


def portability_rows(probed: Probed) -> list[Row]:
    """The share answered rightly, and a row a probe; none where nothing was tried."""
    if all(p is None for p in probed):
        return []
    rows = [
        Row(
            id="api.right",
            group="competition",
            scale="share",
            unit="share",
            cells=tuple(_right(p) for p in probed),
            label=sentence("compare.openais_api_parts_answered_rightly"),
        )
    ]
    ids = dict.fromkeys(probe["id"] for found in probed if found for probe in found["probes"])
    return rows + [
        Row(id=f"api.{id}", group="api", label=sentence(f"compare.probe_{id}"), scale="", unit="words",
            cells=tuple(_probe(p, id) for p in probed))
        for id in ids
    ]  # fmt: skip


def _right(found: Mapping[str, Any] | None) -> Cell:
    if found is None:
        return unknown(sentence("compare.not_tried"))
    if not found["tried"]:
        return unknown(sentence("compare.nothing_tried"))
    bad = [p for p in found["probes"] if p["status"] not in ("right", "untried")]
    lost = [sentence("compare.probe", id=p["id"], status=sentence(f"compare.tried_{p['status']}")) for p in bad]
    return Cell(
        kind="measured", value=found["right"] / found["tried"], n=found["tried"], source=found["url"],
        date=found["date"], note=sentence("compare.probes_right", right=found["right"], tried=found["tried"],
                                          lost=lost or [sentence("compare.none")]),
    )  # fmt: skip


def _probe(found: Mapping[str, Any] | None, id: str) -> Cell:
    mine = next((p for p in found["probes"] if p["id"] == id), None) if found else None
    if found is None or mine is None:
        return unknown(sentence("compare.not_tried"))
    words = sentence(f"compare.tried_{mine['status']}")
    if mine["status"] == "untried":
        return Cell(kind="unknown", words=words, source=found["url"], date=found["date"], note=mine["said"])
    return Cell(
        kind="measured",
        value=float(mine["status"] == "right"),
        words=words,
        n=1,
        source=found["url"],
        date=found["date"],
        note=mine["said"],
    )


def coverage_rows(audits: Sequence[Sequence[Path]]) -> list[Row]:
    """For each requirement that an audit of some system names: how many of its measures have which status."""
    columns = [_by_row(folders) for folders in audits]
    numbers = sorted({n for c in columns for n in c}, key=int)
    rows = []
    for number in numbers:
        title = next(c[number][0]["title"] for c in columns if number in c)
        rows.append(
            Row(
                id=f"coverage.{number}",
                group="coverage",
                scale="",
                unit="words",
                label=Text(*(f"{number}. {title[lang]}" for lang in LANGS)),
                cells=tuple(_covered(c.get(number)) for c in columns),
            )
        )
    return rows


def _by_row(folders: Sequence[Path]) -> dict[str, tuple[dict[str, Any], str]]:
    """Of several audits of a system, for each requirement the one that measured the most; the last of equals."""
    found: dict[str, tuple[dict[str, Any], str]] = {}
    for item, source in (pair for folder in folders for pair in _items(folder)):
        known = found.get(item["row"])
        if known is None or _measured(item) >= _measured(known[0]):
            found[item["row"]] = (item, source)
    return found


def _measured(item: Mapping[str, Any]) -> int:
    return sum(part["counts"].get("measured", 0) for part in item["parts"])


def _items(folder: Path) -> list[tuple[dict[str, Any], str]]:
    file, manifest = folder / "items.json", read_manifest(folder)
    try:
        found = from_json(json.loads(file.read_text(encoding="utf-8")))
        for item in found:
            int(item["row"]), item["title"]["en"], item["title"]["fr"], item["status"], item["parts"]
    except FileNotFoundError:
        return []  # an audit of before there were items
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArtifactError(f"`{file}` is not what an audit leaves: {error!r}") from error
    return [(item, f"audit {folder.name}, sha256 {manifest['sha256'][:12]}") for item in found]


def _covered(found: tuple[dict[str, Any], str] | None) -> Cell:
    if found is None:
        return unknown(sentence("compare.not_audited"))
    item, source = found
    counts: dict[str, int] = {}
    for part in item["parts"]:
        for status, count in part["counts"].items():
            counts[status] = counts.get(status, 0) + count
    known = [sentence("compare.counted", n=counts[s], status=sentence(f"compare.counted_{s}"))
             for s in COUNTED if counts.get(s)]  # fmt: skip
    words = sentence("compare.list", items=known or [sentence(f"compare.counted_{item['status']}")])
    reasons = [sentence("compare.why_of", name=p["name"], why=keyed(p["why"])) for p in item["parts"] if p.get("why")]
    why = joined(*reasons) or item.get("untested") or ""
    if not counts.get("measured"):
        return Cell(kind="unknown", words=words, source=source, note=why)
    return Cell(
        kind="measured", value=float(counts["measured"]), words=words, n=sum(counts.values()), source=source, note=why
    )
