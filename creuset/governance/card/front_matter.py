"""The front matter of cards: YAML that the Hugging Face hub reads. The model card and the dossier's cards share it.

JSON strings are YAML strings, so that nothing in a name can break out.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from creuset.governance.card.licences import hub_licence


def of_model(
    languages: Sequence[str], *, licence: str, family: str, moe: bool, index: Any = None, link: str = ""
) -> str:
    """The metadata of a model; `index` are the results that the hub lists, `link` leads to the licence's text."""
    body: dict[str, Any] = {"language": list(languages)}
    if licence:
        body |= hub_licence(licence, link)
    body |= {"library_name": "transformers", "pipeline_tag": "text-generation",
             "tags": ["creuset", *([family] if family else []), *(["moe"] if moe else [])]}  # fmt: skip
    return front_matter(body | ({"model-index": index} if index else {}))


def front_matter(body: Mapping[str, Any]) -> str:
    return "---\n" + "\n".join(_yaml(body)) + "\n---"


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
