"""Rows of what was tried: which parts of the API an endpoint answers, and what the audit could test at all.

Both are evidence, shown and never weighed; the share of the API that is answered rightly is a row of "competition".
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from creuset.core.artifact import read_manifest
from creuset.core.errors import ArtifactError
from creuset.governance.compare.card import Cell, Row, unknown
from creuset.governance.compare.portable import PROBES, Portability, Tried
from creuset.report.language import Text

Probed = Sequence[Mapping[str, Any] | None]     # a portability.json for each system, or nothing
SAID = {
    "right": Text("right", "juste"), "wrong": Text("wrong", "faux"), "refused": Text("refused", "refusé"),
    "failed": Text("failed", "en échec"), "untried": Text("could not be tried", "non vérifiable"),
}  # fmt: skip
COUNTED = {
    "measured": Text("measured", "mesurés"), "reported": Text("reported", "rapportés"),
    "not_applicable": Text("not applicable", "sans objet"),
    "not_testable": Text("not testable from outside", "non vérifiables de l'extérieur"),
    "not_tested": Text("not tested", "non testés"),
}  # fmt: skip


def read_portability(folder: Path) -> dict[str, Any]:
    """portability.json of an artifact of `creuset compare portability`."""
    if read_manifest(folder)["kind"] != "portability":
        raise ArtifactError(f"`{folder}` is not what `creuset compare portability` leaves")
    file = folder / "portability.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        known = Portability(**{**found, "probes": tuple(Tried(**p) for p in found["probes"])})
        if any(p.status not in SAID for p in known.probes):
            raise ValueError("a probe has a status that there is not")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArtifactError(f"`{file}` is not a measured portability: {error!r}") from error
    return known.as_json()


def portability_rows(probed: Probed) -> list[Row]:
    """The share answered rightly, and a row a probe; none where nothing was tried."""
    if all(p is None for p in probed):
        return []
    rows = [Row(
        id="api.right", group="competition", scale="share", unit="share", cells=tuple(_right(p) for p in probed),
        label=Text("OpenAI's API, parts answered rightly", "API d'OpenAI, parties bien servies"),
    )]
    for id, label, _ in PROBES:
        rows.append(Row(id=f"api.{id}", group="api", label=label, scale="", unit="words",
                        cells=tuple(_probe(p, id) for p in probed)))
    return rows


def _right(found: Mapping[str, Any] | None) -> Cell:
    if found is None:
        return unknown("not tried", "non essayé")
    if not found["tried"]:
        return unknown("nothing could be tried", "rien n'a pu être essayé")
    bad = [p for p in found["probes"] if p["status"] not in ("right", "untried")]
    none = ("none", "aucune")
    lost, perdus = (
        ", ".join(f"{p['id']} ({getattr(SAID[p['status']], lang)})" for p in bad) or none[lang == "fr"]
        for lang in ("en", "fr")
    )
    return Cell(
        kind="measured", value=found["right"] / found["tried"], n=found["tried"], source=found["url"],
        date=found["date"], note=f"{found['right']} of {found['tried']} probes; not right: {lost}",
        note_fr=f"{found['right']} essais sur {found['tried']} ; manquent : {perdus}",
    )


def _probe(found: Mapping[str, Any] | None, id: str) -> Cell:
    mine = next((p for p in found["probes"] if p["id"] == id), None) if found else None
    if found is None or mine is None:
        return unknown("not tried", "non essayé")
    words = SAID[mine["status"]]
    if mine["status"] == "untried":
        return Cell(kind="unknown", words=words, source=found["url"], date=found["date"], note=mine["said"])
    return Cell(kind="measured", value=float(mine["status"] == "right"), words=words, n=1, source=found["url"],
                date=found["date"], note=mine["said"])


def coverage_rows(audits: Sequence[Sequence[Path]]) -> list[Row]:
    """For each requirement that an audit of some system names: how many of its measures have which status."""
    columns = [{i["row"]: (i, source) for folder in folders for i, source in _items(folder)} for folders in audits]
    numbers = sorted({n for c in columns for n in c}, key=int)
    rows = []
    for number in numbers:
        title = next(c[number][0]["title"] for c in columns if number in c)
        rows.append(Row(
            id=f"coverage.{number}", group="coverage", scale="", unit="words",
            label=Text(f"{number}. {title['en']}", f"{number}. {title['fr']}"),
            cells=tuple(_covered(c.get(number)) for c in columns),
        ))
    return rows


def _items(folder: Path) -> list[tuple[dict[str, Any], str]]:
    file, manifest = folder / "items.json", read_manifest(folder)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        for item in found:
            int(item["row"]), item["title"]["en"], item["title"]["fr"], item["status"], item["parts"]
    except FileNotFoundError:
        return []                       # an audit of before there were items
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArtifactError(f"`{file}` is not what an audit leaves: {error!r}") from error
    return [(item, f"audit {folder.name}, sha256 {manifest['sha256'][:12]}") for item in found]


def _covered(found: tuple[dict[str, Any], str] | None) -> Cell:
    if found is None:
        return unknown("not audited", "non audité")
    item, source = found
    counts: dict[str, int] = {}
    for part in item["parts"]:
        for status, count in part["counts"].items():
            counts[status] = counts.get(status, 0) + count
    order = [s for s in COUNTED if counts.get(s)] or [item["status"]]
    said = [
        ", ".join(" ".join(filter(None, [str(counts.get(s, "")), getattr(COUNTED[s], lang)])) for s in order)
        for lang in ("en", "fr")
    ]
    why = "; ".join(f"{p['name']}: {p['why']}" for p in item["parts"] if p.get("why")) or str(item.get("untested", ""))
    if not counts.get("measured"):
        return Cell(kind="unknown", words=Text(*said), source=source, note=why)
    return Cell(kind="measured", value=float(counts["measured"]), words=Text(*said), n=sum(counts.values()),
                source=source, note=why)
