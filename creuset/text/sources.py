"""Where a model's folder keeps its chat templates."""

import json
from pathlib import Path
from typing import Any

from creuset.core.errors import ArtifactError

TEMPLATE_HINT = "use /v1/completions, or give a template's file with --chat-template"


def read_templates(path: Path) -> dict[str, str]:
    """Jinja text by name, `default` first; empty when the model has none. ArtifactError for a damaged file."""
    found: dict[str, str] = {}
    file = path / "tokenizer_config.json"
    given = _json(file).get("chat_template") if file.is_file() else None
    if isinstance(given, str):
        found["default"] = given
    if (path / "chat_template.jinja").is_file():
        found["default"] = (path / "chat_template.jinja").read_text(encoding="utf-8")
    return found


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"`{file}` is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"`{file}` must hold a JSON object")
    return value
