"""What the hub reads of the dossier's model card and data card, from records and answers only."""

import re
from collections.abc import Mapping
from typing import Any

from creuset.governance.card.front_matter import front_matter as yaml_of
from creuset.governance.card.front_matter import of_model
from creuset.governance.dossier.facts import Facts
from creuset.governance.dossier.facts_scores import rows_of
from creuset.governance.dossier.form import Filler


def front_matter(kind: str, filler: Filler) -> str:
    facts = filler.facts
    languages = codes(facts) or ["en"]
    if kind != "model":
        return yaml_of(
            {
                "language": languages,
                "license": "other",
                "license_name": "by-source",
                "license_link": "LICENSE",
                "task_categories": ["text-generation"],
                "tags": ["creuset", "croissant"],
            }
        )
    licence = filler.answers.get("distribution.licence")
    said = filler.answers.get("distribution.licence_link")
    link = re.search(r"https?://\S+", said.words["en"]) if said else None
    results = _index(facts)
    return of_model(
        languages,
        licence=licence.words["en"].strip() if licence else "",
        link=link.group() if link else "",
        family=str(facts.value("shape.family") or ""),
        moe="shape.is_moe" in facts.texts,
        index=[{"name": facts.shelf.model.name, "results": results}] if results else None,
    )


def codes(facts: Facts) -> list[str]:
    return sorted(
        {
            key.rsplit(".", 1)[1]
            for key in facts.figures
            if key.startswith("language.") or (".in." in key and key.startswith("dialogues"))
        }
    )


def _index(facts: Facts) -> list[dict[str, Any]]:
    """Results of the model itself; those of an ancestor are in the text, not in the index."""
    found = []
    for row in rows_of(facts, "evaluation"):
        score = row.body.get("score")
        if row.status == "measured" and not row.record.of and isinstance(score, int | float):
            found.append(
                {
                    "task": {"type": "text-generation"},
                    "dataset": {"name": str(row.body["task"]), "type": str(row.body["task"])},
                    "metrics": [{"type": row.metric, "value": score, "args": _args(row.body)}],
                }
            )
    return found


def _args(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader of the index needs beside a score: over how many samples, and how sure."""
    found: dict[str, Any] = {"n": body.get("n", 0)}
    if interval := body.get("interval"):
        found |= {"low_95": interval[0], "high_95": interval[1]}
    return found
