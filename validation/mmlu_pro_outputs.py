"""Published MMLU-Pro replies scored again: how much of a score is the way the answer is read.

    python validation/mmlu_pro_outputs.py model_outputs_*.zip

Each zip is one of TIGER-AI-Lab/MMLU-Pro's eval_results. A table for people, one JSON document as the last line.
tests/evals/data/mmlu_pro_outputs.jsonl holds a few replies of twelve of them: short ones (under 520 characters), two
or three a model of each kind: read right, read wrong, read by the three stages only, not read at all.
"""

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from creuset.core.errors import DataError
from creuset.evals.extract import mmlu_pro_single, mmlu_pro_three_stage


def replies(path: Path) -> list[dict[str, Any]]:
    """Rows of the file; one model's file also holds bare strings, which are no rows."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".json") and not name.startswith("__")]
        if len(names) != 1:
            raise DataError(f"`{path}` has {len(names)} JSON files, not one")
        return [row for row in json.loads(archive.read(names[0])) if isinstance(row, dict)]


def figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    texts = [row.get("model_outputs", row.get("generated_text")) or "" for row in rows]
    single, three = ([read(text) for text in texts] for read in (mmlu_pro_single, mmlu_pro_three_stage))
    right = [row["answer"] for row in rows]

    def share(said: list[str | None]) -> float:
        return sum(a == b for a, b in zip(said, right, strict=True)) / len(rows)

    return {
        "n": len(rows),
        "acc_pred_field": share([row["pred"] for row in rows]),
        "acc_lm_eval_regex": share(single),
        "acc_three_stage": share(three),
        "unextracted": three.count(None),
        "unextracted_single": single.count(None),
    }


def main() -> None:
    found = {}
    for path in map(Path, sys.argv[1:]):
        name = path.stem.removeprefix("model_outputs_")
        found[name] = figures(replies(path))
        row = found[name]
        print(
            f"{name:38} n {row['n']:6,}  published {row['acc_pred_field']:.4f}  one pattern "
            f"{row['acc_lm_eval_regex']:.4f}  three stages {row['acc_three_stage']:.4f}  "
            f"not read {row['unextracted']:,}"
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
