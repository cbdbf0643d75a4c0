"""Where a model keeps its tokenizer and its chat templates: a folder's files, or the metadata of a GGUF file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile

TOKENIZER_JSON, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
TEMPLATE_FILE = "chat_template.jinja"


@dataclass(frozen=True, slots=True)
class TokenizerSource:
    spec: dict[str, Any]  # as a tokenizer.json has it
    where: str  # for errors
    config: dict[str, Any] | None  # tokenizer_config.json; None where the folder has none
    templates: dict[str, str]  # Jinja text by name


def read_tokenizer(path: Path) -> TokenizerSource:
    """What `path` says of its tokenizer. ArtifactError names what is missing, damaged or of an unknown kind."""
    if path.is_file():
        from creuset.text.vocabulary.gguf import gguf_config, gguf_spec

        metadata = _gguf(path).metadata
        return TokenizerSource(
            gguf_spec(metadata, str(path)), str(path), gguf_config(metadata), _gguf_templates(metadata)
        )
    folder = next((f for f in (path, path / "tokenizer") if (f / TOKENIZER_JSON).is_file()), path)
    file = folder / TOKENIZER_JSON
    config = read_object(folder / TOKENIZER_CONFIG) if (folder / TOKENIZER_CONFIG).is_file() else None
    if file.is_file():
        spec = _json(file)
    else:
        from creuset.text.vocabulary.older import older_spec

        spec, config, file = older_spec(folder, config or {})
    spec = _with_config(spec, config)
    if config is not None and (folder / "special_tokens_map.json").is_file():
        config = read_object(folder / "special_tokens_map.json") | {k: v for k, v in config.items() if v is not None}
    return TokenizerSource(spec, str(file), config, read_templates(folder))


def _with_config(spec: Any, config: dict[str, Any] | None) -> Any:
    """Tokens that a fine-tuning added stand in the configuration alone, in some folders."""
    if not isinstance(spec, dict) or not isinstance(spec.get("added_tokens"), list) or not config:
        return spec
    listed = config.get("added_tokens_decoder")
    known = {t.get(key) for t in spec["added_tokens"] if isinstance(t, dict) for key in ("id", "content")}
    more = [
        {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False, **t,
         "id": int(id)}
        for id, t in (listed.items() if isinstance(listed, dict) else ())
        if id.isdecimal() and isinstance(t, dict) and isinstance(t.get("content"), str)
        and not {int(id), t["content"]} & known
    ]  # fmt: skip
    if not more:
        return spec
    return {**spec, "added_tokens": [*spec["added_tokens"], *sorted(more, key=lambda token: token["id"])]}


def read_templates(path: Path) -> dict[str, str]:
    """Jinja text by name, such as `default` and `tool_use`; empty when the model has none.

    As in transformers: chat_template.jinja and additional_chat_templates/NAME.jinja, else chat_template.json, else
    what tokenizer_config.json says, as a text or as a list of named ones. Of a GGUF file, its metadata.
    Raises ArtifactError for a damaged file.
    """
    if path.is_file():
        return _gguf_templates(_gguf(path).metadata)
    file = path / TEMPLATE_FILE
    named = sorted((path / "additional_chat_templates").glob("*.jinja"))
    if file.is_file() or named:
        files = {one.stem: one for one in named} | ({"default": file} if file.is_file() else {})
        return {name: _text(one) for name, one in files.items()}
    for name in ("chat_template.json", TOKENIZER_CONFIG):
        if (path / name).is_file() and (said := read_object(path / name).get("chat_template")) is not None:
            return _as_named(said, path / name)
    return {}


def _as_named(said: Any, file: Path) -> dict[str, str]:
    if isinstance(said, str):
        return {"default": said}
    rows = said.items() if isinstance(said, dict) else [
        (row.get("name"), row.get("template")) for row in said if isinstance(row, dict)
    ] if isinstance(said, list) else []  # fmt: skip
    found = dict(rows)
    if not found or not all(isinstance(part, str) for pair in found.items() for part in pair):
        raise ArtifactError(f"`{file}`: `chat_template` is neither a text nor a list of `name` and `template`")
    return found


def _gguf(path: Path) -> GgufFile:
    return GgufFile(path)


def _gguf_templates(metadata: dict[str, Any]) -> dict[str, str]:
    """`tokenizer.chat_template` is the default; `tokenizer.chat_template.NAME` are others."""
    key = "tokenizer.chat_template"
    found = {k.removeprefix(key + "."): v for k, v in metadata.items() if k.startswith(key + ".")}
    if isinstance(metadata.get(key), str):
        found["default"] = metadata[key]
    return {name: text for name, text in found.items() if isinstance(text, str)}


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in `file`. ArtifactError when it is none."""
    value = _json(file)
    if not isinstance(value, dict):
        raise ArtifactError(f"`{file}` must hold a JSON object")
    return value


def _json(file: Path) -> Any:
    try:
        return json.loads(_text(file))
    except ValueError as error:
        raise ArtifactError(f"`{file}` is damaged: it is not JSON ({error})") from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"`{file}` is damaged: it is not UTF-8 ({error})") from error
