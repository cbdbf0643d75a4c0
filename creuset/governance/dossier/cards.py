"""The front matter of Hugging Face cards: YAML that the hub reads, from records and answers only.

JSON strings are YAML strings, so that nothing in a name can break out.
"""

import json
from collections.abc import Mapping
from typing import Any

from creuset.governance.dossier.facts import Facts
from creuset.governance.dossier.facts_scores import rows_of
from creuset.governance.dossier.form import Filler


def front_matter(kind: str, filler: Filler) -> str:
    facts = filler.facts
    body: dict[str, Any] = {"language": codes(facts) or ["en"]}
    licence = filler.answers.get("distribution.licence")
    if kind == "model":
        if licence:
            body["license"] = licence.words["en"].strip().lower()
        family = facts.value("shape.family")
        body |= {"library_name": "transformers", "pipeline_tag": "text-generation",
                 "tags": ["creuset", *([str(family)] if family else []), *(["moe"] * ("shape.is_moe" in facts.texts))]}
        if results := _index(facts):
            body["model-index"] = [{"name": facts.shelf.model.name, "results": results}]
    else:
        body |= {"license": "other", "license_name": "by-source", "task_categories": ["text-generation"],
                 "tags": ["creuset", "croissant"]}
    return "---\n" + "\n".join(_yaml(body)) + "\n---"


def codes(facts: Facts) -> list[str]:
    return sorted({key.rsplit(".", 1)[1] for key in facts.figures
                   if key.startswith("language.") or (".in." in key and key.startswith("dialogues"))})


def _index(facts: Facts) -> list[dict[str, Any]]:
    """Results of the model itself; those of an ancestor are in the text, not in the index."""
    found = []
    for row in rows_of(facts, "evaluation"):
        score = row.body.get("score")
        if row.status == "measured" and not row.record.of and isinstance(score, int | float):
            found.append({
                "task": {"type": "text-generation"},
                "dataset": {"name": str(row.body["task"]), "type": str(row.body["task"])},
                "metrics": [{"type": row.metric, "value": score, "args": _args(row.body)}],
            })
    return found


def _args(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader of the index needs beside a score: over how many samples, and how sure."""
    found: dict[str, Any] = {"n": body.get("n", 0)}
    if interval := body.get("interval"):
        found |= {"low_95": interval[0], "high_95": interval[1]}
    return found


def _yaml(value: Any, indent: str = "") -> list[str]:
    """Block style for mappings and lists, JSON for what is in them."""
    lines = []
    for key, inner in value.items() if isinstance(value, Mapping) else ():
        if isinstance(inner, Mapping | list):
            lines += [f"{indent}{key}:", *_yaml(inner, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {json.dumps(inner, ensure_ascii=False)}")
    for inner in value if isinstance(value, list) else ():
        if isinstance(inner, Mapping):
            first, *rest = _yaml(inner, indent + "  ")
            lines += [f"{indent}- {first.strip()}", *rest]
        else:
            lines.append(f"{indent}- {json.dumps(inner, ensure_ascii=False)}")
    return lines
