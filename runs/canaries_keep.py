"""What docs/runs/canaries keeps of a twin (runs/canaries.sh): figures by level, and their curves.

    python runs/canaries_keep.py WORK OUT

Figures of WORK/memory are taken as the audit wrote them; those of membership are computed again from its evidence, one
row a document, by the code of the audit.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

from creuset.benchmarks.privacy import membership
from creuset.core.artifact import read_manifest
from creuset.governance.audit.curves import CURVES, curve_file

SEED = 1234
KEPT = (
    "task", "metric", "score", "interval", "interval_by", "unit", "n", "denominator", "status", "why", "caveat", "form",
    "seed", "repetitions", "points", "by_chance", "most_possible", "fully_exposed", "levels", "asks", "occurrences",
    "prefix", "attack", "read", "members", "non_members", "chance", "sources", "method",
)  # fmt: skip
WHAT = "a twin of the shipped model in which canaries and repeated pages were planted; the shipped model has none"


def members(work: Path) -> list[dict[str, Any]]:
    lines = (work / "members/samples/membership.jsonl").read_text(encoding="utf-8").splitlines()
    found = []
    for row in map(json.loads, lines):
        values = {k: v for k, v in row.items() if k in ("loss", "zlib", "blind") or k.startswith("mink")}
        read = math.nan if row["read"] is None else row["read"]
        found.append(membership.Scores(row["cluster"], row["member"], 0, row["tokens"], values, read))
    return [m.row() for m in membership.measures(found, parent=True, seed=SEED)]


def main(work: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    memory = json.loads((work / "memory/results.json").read_text(encoding="utf-8"))["results"]
    rows = [*(r for r in memory if r["task"] in ("canaries", "extraction")), *members(work)]
    model, shards = read_manifest(work / "run/model"), read_manifest(work / "shards")
    about = {
        "what": WHAT,
        "made_by": "runs/canaries.sh, runs/canaries_keep.py",
        "training": {k: model["settings"][k] for k in ("name", "steps", "tokens_per_step", "context", "seed")}
        | {"tokens": model["facts"]["tokens"], "bits_per_byte": model["facts"]["bits_per_byte"]},
        "shards": {name: s["train"] for name, s in shards["facts"]["sources"].items()},
        "canaries": read_manifest(work / "canaries")["settings"],
        "model_sha256": model["sha256"], "shards_sha256": shards["sha256"],
    }  # fmt: skip
    kept = [{k: row[k] for k in KEPT if row.get(k) not in (None, "", [])} for row in rows]
    body = {"about": about, "results": kept}
    (out / "results.json").write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for curve in CURVES:
        if drawn := curve_file(curve, rows):
            (out / f"{curve.task}-{curve.level}{'-' + curve.series if curve.series else ''}.svg").write_text(drawn)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
