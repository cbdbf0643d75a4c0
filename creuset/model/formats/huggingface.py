"""A model of ours, or a GGUF file -> a plain Hugging Face folder that transformers and vLLM load."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from creuset.core.errors import ArtifactError
from creuset.core.gguf import is_gguf
from creuset.model.formats.beside import copy_tokenizer
from creuset.model.formats.weights import load_model, save_model, write_json
from creuset.model.hub import end_ids, stated_sampling

IM_END, ENDOFTEXT = "<|im_end|>", "<|endoftext|>"


def export(
    source: Path,
    out: Path,
    *,
    dtype: Literal["bf16", "fp32"] = "bf16",
    tokenizer: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Write `out`, complete or not at all, and say what is in it.

    `tokenizer`: files by name, for a model that has none: a GGUF file.
    """
    if out.exists():
        raise ArtifactError(f"`{out}` already exists", hint="an export never overwrites; choose another name")
    model = load_model(source)
    scratch = out.with_name(out.name + ".partial")
    shutil.rmtree(scratch, ignore_errors=True)
    save_model(model, scratch, dtype=dtype)
    if tokenizer is not None:
        for name, value in tokenizer.items():
            write_json(scratch / name, value)
    else:
        _copy_tokenizer(source, scratch)
    _write_generation(source, scratch)
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


def _write_generation(source: Path, scratch: Path) -> None:
    """Where an answer ends, and how it is sampled: as `source` says it, or by the names of our control tokens."""
    ids = {token["content"]: token["id"] for token in _json(scratch / "tokenizer.json").get("added_tokens", [])}
    said, config = _said(source), _json(scratch / "tokenizer_config.json")
    ends = sorted(end_ids(source)) or [ids[name] for name in (IM_END, ENDOFTEXT) if name in ids]
    found: dict[str, Any] = {}
    for name in ("bos", "eos", "pad"):
        text = config.get(f"{name}_token")
        id = ids.get(text.get("content") if isinstance(text, dict) else text, said.get(f"{name}_token_id"))
        if id is not None:
            found[f"{name}_token_id"] = id
    ends.sort(key=lambda end: end != found.get("eos_token_id"))  # the one that ends an answer comes first
    if ends:
        found |= {"eos_token_id": ends[0]}
    if IM_END in ids and ENDOFTEXT in ids:  # as Qwen2.5 writes it
        found = {"bos_token_id": ids[ENDOFTEXT], "pad_token_id": ids[ENDOFTEXT]} | found
    many = {"eos_token_id": ends} if ends else {}
    write_json(scratch / "config.json", _json(scratch / "config.json") | found)
    write_json(scratch / "generation_config.json", said | found | many)


def _said(source: Path) -> dict[str, Any]:
    """What the model itself says of generation; of sampling, else what the card said that it was pulled with."""
    file = source / "generation_config.json"
    found = {} if is_gguf(source) or not file.is_file() else _json(file)
    stated = stated_sampling(source)
    return found | {"do_sample": True} | stated if stated else found


def _copy_tokenizer(source: Path, scratch: Path) -> None:
    """Copy the tokenizer with its chat template."""
    if not (source / "tokenizer.json").is_file():
        raise ArtifactError(f"`{source}` has no tokenizer.json: the exported folder could not be talked to")
    copy_tokenizer(source, scratch)
    config = _json(source / "tokenizer_config.json")
    template = source / "chat_template.jinja"
    if template.is_file():  # it counts, whatever the configuration says; some programs read that alone
        config["chat_template"] = template.read_text(encoding="utf-8")
    write_json(scratch / "tokenizer_config.json", config)


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
