"""One comparison: the reader's file in, a scorecard and the folder that holds it out."""

import csv
import json
from dataclasses import asdict
from pathlib import Path

from creuset.core.artifact import new_artifact, read_manifest, sha256_file
from creuset.evals.prices import Prices
from creuset.governance.compare.ask import HERE, AskedSystem, Comparison
from creuset.governance.compare.card import GROUPS, Scorecard, System, english
from creuset.governance.compare.evidence import Probed, coverage_rows, portability_rows
from creuset.governance.compare.gather import declared_rows, measured_rows, published_rows
from creuset.governance.compare.page import render
from creuset.governance.compare.rank import weighable
from creuset.governance.compare.usage import Speeds, price_rows, speed_rows


def scorecard(
    asked: Comparison, speeds: Speeds, probed: Probed, prices: Prices, *, date: str, price_file: Path
) -> Scorecard:
    """All rows, in the order of the groups; `speeds` and `probed` have one entry for each system."""
    paid, offers = price_rows(asked.systems, speeds, asked.volume, prices)
    rows = [
        *measured_rows(asked),
        *published_rows(asked.systems),
        *portability_rows(probed),
        *declared_rows(asked.systems),
        *speed_rows(speeds),
        *paid,
        *coverage_rows([s.audits for s in asked.systems]),
    ]
    return Scorecard(
        title=asked.title,
        made=date,
        systems=tuple(_system(s) for s in asked.systems),
        rows=tuple(sorted(rows, key=lambda r: GROUPS.index(r.group))),
        volume=asdict(asked.volume),
        offers=tuple(None if o is None else asdict(o) for o in offers),
        remark=asked.remark,
        sources=(
            *(
                f"{f.name}, sha256 {sha256_file(f)}"
                for f in (
                    asked.file,
                    price_file,
                    *(HERE / f"{name}.toml" for name in ("reported", "facts", "criteria")),
                )
            ),
            *_sources(asked),
        ),
    )


def _system(asked: AskedSystem) -> System:
    return System(name=asked.name, provider=asked.provider, model=asked.model, endpoint=asked.endpoint, note=asked.note)


def _folders(asked: Comparison) -> list[Path]:
    """The artifacts that the reader's file names, each once."""
    return list(
        dict.fromkeys(
            f for s in asked.systems for f in (*s.evaluations, *s.audits, s.speed, s.portability) if f is not None
        )
    )


def _sources(asked: Comparison) -> list[str]:
    return [f"{m['kind']} {f.name}, sha256 {m['sha256']}" for f in _folders(asked) for m in [read_manifest(f)]]


def keep(out: Path, card: Scorecard, asked: Comparison, speeds: Speeds, probed: Probed) -> None:
    """Publish scorecard.json, scorecard.csv and index.html; the artifacts read are the parents."""
    facts = {"systems": [s.name for s in card.systems], "rows": len(card.rows)}
    with new_artifact(
        out, kind="scorecard", settings={"volume": card.volume}, parents=_folders(asked), facts=facts
    ) as folder:
        (folder / "comparison.toml").write_bytes(asked.file.read_bytes())
        (folder / "scorecard.json").write_text(
            json.dumps(card.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        for name, found in (("speeds", speeds), ("portability", probed)):
            (folder / f"{name}.json").write_text(json.dumps(list(found), indent=1) + "\n", encoding="utf-8")
        write_csv(folder / "scorecard.csv", card)
        (folder / "index.html").write_text(render(card), encoding="utf-8")


COLUMNS = (
    "group",
    "row",
    "label",
    "unit",
    "system",
    "kind",
    "value",
    "low",
    "high",
    "n",
    "words",
    "source",
    "date",
    "note",
    "weighed",
)


def write_csv(file: Path, card: Scorecard) -> None:
    """One line a cell, so that any table program can turn it around."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(COLUMNS)
        for row in card.rows:
            weighed = "yes" if weighable(row) else english(row.why_unranked) or "no"
            for system, cell in zip(card.systems, row.cells, strict=True):
                out.writerow([_plain(v) for v in (
                    row.group, row.id, english(row.label), row.unit, system.name, cell.kind, cell.value, cell.low,
                    cell.high, cell.n or "", english(cell.words), cell.source, cell.date, english(cell.note), weighed,
                )])  # fmt: skip


def _plain(value: object) -> object:
    """Text that a table program would run as a formula is made text again."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return f"'{value}"
    return "" if value is None else value
