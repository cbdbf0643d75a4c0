"""Folders without a `tokenizer.json`: sentencepiece's `tokenizer.model`, or `vocab.json` with `merges.txt`.

They do not say everything. How a text is cut into words before a BPE, and whether a control token is followed by a
space, is in the Python class that transformers takes for the folder. Read are the classes of which that is known;
any other folder is refused with the command that converts it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from creuset.core.errors import ArtifactError
from creuset.text.vocabulary.gguf import byte_level_parts, frame
from creuset.text.vocabulary.sentencepiece import read_model_file, sentencepiece_spec

# Class in tokenizer_config.json -> how its BPE over bytes cuts a text, by llama.cpp's name.
_BYTE_LEVEL = {"GPT2Tokenizer": "gpt-2", "Qwen2Tokenizer": "qwen2"}
# Classes over sentencepiece, and whether a text begins with the first control token that the folder names.
_SENTENCEPIECE = {"LlamaTokenizer": True, "GemmaTokenizer": True, "T5Tokenizer": False, "": False}


def older_spec(folder: Path, config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """What a `tokenizer.json` and the configuration would be, and the file that says it.

    ArtifactError says how a folder is converted that cannot be read here.
    """
    kind = str(config.get("tokenizer_class") or "").removesuffix("Fast")
    model, vocab, merges = (folder / name for name in ("tokenizer.model", "vocab.json", "merges.txt"))
    if model.is_file() and kind in _SENTENCEPIECE:
        found = read_model_file(model, whole_text_prefix=config.get("legacy") is False)
        spec = sentencepiece_spec(found, str(model))
        ids = {token["content"]: token["id"] for token in spec["added_tokens"]}
        wanted = {"bos_token": _SENTENCEPIECE[kind], "eos_token": kind == "T5Tokenizer"}
        texts = [_text(config, name) if config.get(f"add_{name}", yes) else None for name, yes in wanted.items()]
        before, after = (None if text is None or text not in ids else (text, ids[text]) for text in texts)
        return spec | {"post_processor": frame(before, after)}, dict(config), model
    if vocab.is_file() and merges.is_file() and kind in _BYTE_LEVEL:
        return _byte_level(vocab, merges, config, _BYTE_LEVEL[kind]), dict(config), vocab
    if not folder.is_dir():
        raise ArtifactError(f"`{folder}` is not a tokenizer: there is no such folder")
    if not (model.is_file() or vocab.is_file()):
        raise ArtifactError(f"`{folder}` is not a tokenizer: it has no tokenizer.json")
    raise ArtifactError(
        f"`{folder}` has no tokenizer.json, and what its class `{kind or 'not named'}` does is not known here",
        hint=f'python -c "from transformers import AutoTokenizer as A; '
        f"A.from_pretrained('{folder}').save_pretrained('{folder}')\"",
    )


def _byte_level(vocab: Path, merges: Path, config: Mapping[str, Any], pre: str) -> dict[str, Any]:
    try:
        words = json.loads(vocab.read_text(encoding="utf-8"))
        lines = merges.read_text(encoding="utf-8").splitlines()
    except ValueError as error:
        raise ArtifactError(f"`{vocab.parent}` is damaged: {vocab.name} or {merges.name}: {error}") from error
    if not isinstance(words, dict):
        raise ArtifactError(f"`{vocab}` is damaged: it must hold a JSON object")
    pairs = [line.split(" ") for line in lines if line.count(" ") == 1 and not line.startswith("#version")]
    texts = dict.fromkeys(_text(config, name) for name in ("bos_token", "eos_token", "unk_token", "pad_token"))
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": words[text], "content": text, **flags} for text in texts if text in words]
    model = {
        "type": "BPE", "vocab": words, "merges": pairs, "dropout": None, "unk_token": None,
        "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
        "ignore_merges": False,
    }  # fmt: skip
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "post_processor": None,
        **byte_level_parts(pre), "model": model,
    }  # fmt: skip


def _text(config: Mapping[str, Any], name: str) -> str | None:
    said = config.get(name)
    text = said.get("content") if isinstance(said, dict) else said
    return text if isinstance(text, str) else None
