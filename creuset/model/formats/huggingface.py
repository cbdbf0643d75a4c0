"""A model folder of ours -> a plain Hugging Face folder that transformers, vLLM and llama.cpp's converter load."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

from creuset.core.errors import ArtifactError
from creuset.model.formats.weights import load_model, save_model, write_json

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json")
IM_END, ENDOFTEXT = "<|im_end|>", "<|endoftext|>"


def export(source: Path, out: Path, *, dtype: Literal["bf16", "fp32"] = "bf16") -> dict[str, Any]:
    """Write `out`, complete or not at all, and say what is in it."""
    if out.exists():
        raise ArtifactError(f"`{out}` already exists", hint="an export never overwrites; choose another name")
    model = load_model(source)
    scratch = out.with_name(out.name + ".partial")
    shutil.rmtree(scratch, ignore_errors=True)
    save_model(model, scratch, dtype=dtype)
    ids = _copy_tokenizer(source, scratch)
    for name in ("config.json", "generation_config.json"):
        merged = json.loads((scratch / name).read_text()) | _stops(ids, many=name.startswith("generation"))
        write_json(scratch / name, merged)
    for card in ("card.md", "README.md"):
        if (source / card).is_file():
            shutil.copyfile(source / card, scratch / "README.md")
            break
    os.rename(scratch, out)
    return {
        "out": str(out),
        "family": model.config.family,
        "parameters": sum(p.numel() for p in model.parameters()),
        "dtype": dtype,
        "files": {f.name: f.stat().st_size for f in sorted(out.iterdir())},
    }


def _copy_tokenizer(source: Path, scratch: Path) -> dict[str, int]:
    """Copy the tokenizer with its chat template; returns the ids of its control tokens."""
    if not (source / "tokenizer.json").is_file():
        raise ArtifactError(f"`{source}` has no tokenizer.json: the exported folder could not be talked to")
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, scratch / name)
    config = _json(source / "tokenizer_config.json")
    template = source / "chat_template.jinja"
    if "chat_template" not in config and template.is_file():
        config["chat_template"] = template.read_text()
    write_json(scratch / "tokenizer_config.json", config)
    added = _json(source / "tokenizer.json").get("added_tokens", [])
    return {token["content"]: token["id"] for token in added}


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise ArtifactError(f"`{file}` is missing")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"`{file}` is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ArtifactError(f"`{file}` is not a JSON object")
    return found


def _stops(ids: dict[str, int], *, many: bool) -> dict[str, Any]:
    """Where generation ends, as Qwen2.5 writes it: a reply ends with <|im_end|>, a document with <|endoftext|>."""
    ends = [ids[name] for name in (IM_END, ENDOFTEXT) if name in ids]
    if not ends:
        return {}
    return {"eos_token_id": ends if many else ends[0], "pad_token_id": ends[-1], "bos_token_id": ends[-1]}
