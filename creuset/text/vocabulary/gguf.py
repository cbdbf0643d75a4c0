"""The vocabulary inside a GGUF file -> the `tokenizer.json` that it was made from.

`tokenizer.ggml.model` says the kind: `gpt2` a byte-level BPE, `llama` a sentencepiece BPE with scores, `t5` a
Unigram, `gemma4` a BPE with merges over metaspace. For `gpt2`, `tokenizer.ggml.pre` names how a text is cut into
words; the patterns are those of the tokenizers that llama.cpp gave the names to. A name that is not in the table is
refused: a guess would give other ids, and worse answers without a word.
"""

import json
from collections.abc import Mapping
from typing import Any

from creuset.core.errors import ArtifactError
from creuset.text.vocabulary.pieces import METASPACE
from creuset.text.vocabulary.sentencepiece import (
    BYTE,
    CONTROL_PIECE,
    UNKNOWN,
    USER_DEFINED,
    PieceList,
    sentencepiece_spec,
)

_CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_TAIL_SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_GPT4 = rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_TAIL}"
_QWEN = rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{_TAIL}"
_QWEN35 = (
    rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CASED = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{{0}}|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{{0}}"
_TEKKEN = rf"{_CASED.replace('{0}', '')}|\p{{N}}|{_TAIL_SLASH}"
_GPT4O = rf"{_CASED.replace('{0}', _CONTRACTION + '?')}|\p{{N}}{{1,3}}|{_TAIL_SLASH}"
_DEEPSEEK = (
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
_DIGIT = r"\p{N}"
_HAN = "[一-龥ࠀ-一가-퟿]+"
_DEEPSEEK_LLM = (
    r"[\r\n]", r"\s?[\p{Lu}\p{Ll}\p{Lt}]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", _HAN, r"\p{N}+",
)  # fmt: skip
_DEEPSEEK_CODER = (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _HAN, _DIGIT)
GPT2 = ""  # the pattern that the ByteLevel step has built in

# `tokenizer.ggml.pre` -> patterns, applied one after the other.
PATTERNS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("gpt-2", "olmo", "phi-2", "mpt", "jais", "exaone4", "trillion", "modern-bert"), (GPT2,)),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "dbrx", "smaug-bpe", "falcon3", "lfm2", "pixtral",
                     "glm4", "chatglm-bpe"), (_GPT4,)),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez", "solar-open"), (_QWEN,)),
    "qwen35": (_QWEN35,),
    "tekken": (_TEKKEN,),
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2", "minimax-m2"), (_GPT4O,)),
    **dict.fromkeys(("deepseek-v3", "hunyuan-dense"), _DEEPSEEK),
    "deepseek-llm": _DEEPSEEK_LLM,
    "deepseek-coder": _DEEPSEEK_CODER,
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"),
                    (_DIGIT, GPT2)),
}  # fmt: skip
WHOLE_WORDS = {
    "llama-bpe",
    "llama3",
    "llama-v3",
    "falcon3",
    "lfm2",
    "pixtral",
    "tekken",
}  # a known word needs no merges
COMPOSED = {"qwen2", "qwen35", "deepseek-r1-qwen", "megrez"}  # Unicode's NFC before anything else

HF_JSON = "tokenizer.huggingface.json"  # a whole tokenizer.json; few files have it

_IDS = {
    "bos": "bos_token",
    "eos": "eos_token",
    "unknown": "unk_token",
    "padding": "pad_token",
    "seperator": "sep_token",
}


def gguf_spec(metadata: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The content of a `tokenizer.json`. ArtifactError names the field that is missing or unknown."""
    if isinstance(whole := metadata.get(HF_JSON), str):
        try:
            found: dict[str, Any] = json.loads(whole)
        except ValueError as error:
            raise ArtifactError(f"`{where}`: `{HF_JSON}` is not JSON: {error}") from error
        return found
    kind = metadata.get("tokenizer.ggml.model")
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not tokens:
        raise ArtifactError(f"`{where}` has no vocabulary: `tokenizer.ggml.tokens` is missing")
    kinds = metadata.get("tokenizer.ggml.token_type") or [1] * len(tokens)
    if kind in ("gpt2", "gemma4"):
        spec = _bpe(metadata, tokens, kinds, where, byte_level=kind == "gpt2")
    elif kind in ("llama", "t5"):
        pieces = PieceList(
            tokens, metadata.get("tokenizer.ggml.scores") or [0.0] * len(tokens), kinds, unigram=kind == "t5",
            prefix_space=bool(metadata.get("tokenizer.ggml.add_space_prefix", True)),
            squeeze=bool(metadata.get("tokenizer.ggml.remove_extra_whitespaces", False)),
            charsmap=bytes(b & 0xFF for b in metadata.get("tokenizer.ggml.precompiled_charsmap") or ()),
        )  # fmt: skip
        spec = sentencepiece_spec(pieces, where)
    else:
        raise ArtifactError(
            f"`{where}`: `tokenizer.ggml.model` is {kind!r}; read are gpt2, llama, t5 and gemma4",
            hint="use the model's Hugging Face folder",
        )
    return spec | {"post_processor": _frame(metadata, tokens, str(kind))}


def gguf_config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a `tokenizer_config.json` would say."""
    tokens = metadata.get("tokenizer.ggml.tokens") or []
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    for key, name in _IDS.items():
        id = metadata.get(f"tokenizer.ggml.{key}_token_id")
        if isinstance(id, int) and 0 <= id < len(tokens):
            config[name] = tokens[id]
    if isinstance(template := metadata.get("tokenizer.chat_template"), str):
        config["chat_template"] = template
    return config


def _bpe(
    metadata: Mapping[str, Any], tokens: list[str], kinds: list[int], where: str, *, byte_level: bool
) -> dict[str, Any]:
    pre = str(metadata.get("tokenizer.ggml.pre") or ("" if byte_level else "gemma4"))
    if byte_level and pre not in PATTERNS:
        said = f"is {pre!r}" if pre and pre != "default" else "does not say how a text is cut into words"
        raise ArtifactError(f"`{where}`: `tokenizer.ggml.pre` {said}", hint=f"known are {', '.join(sorted(PATTERNS))}")
    if len(kinds) != len(tokens):
        raise ArtifactError(f"`{where}` is damaged: its vocabulary has {len(tokens)} tokens and {len(kinds)} types")
    merges = metadata.get("tokenizer.ggml.merges")
    if not merges:
        raise ArtifactError(f"`{where}` has no `tokenizer.ggml.merges`: its vocabulary cannot be used")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": id, "content": text, **flags, "special": kind != USER_DEFINED}
        for id, (text, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind in (UNKNOWN, CONTROL_PIECE, USER_DEFINED) and text
    ]
    model = {
        "type": "BPE", "vocab": {text: id for id, text in enumerate(tokens)},
        "merges": merges, "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": not byte_level and BYTE in kinds,
        "ignore_merges": pre in WHOLE_WORDS,
    }  # fmt: skip
    parts = byte_level_parts(pre) if byte_level else _metaspace_parts()
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, **parts, "model": model}


def byte_level_parts(pre: str) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        for pattern in PATTERNS[pre]
        if pattern != GPT2
    ]
    built_in = GPT2 in PATTERNS[pre]
    steps.append({"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": built_in})
    return {
        "normalizer": {"type": "NFC"} if pre in COMPOSED else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    }


def _metaspace_parts() -> dict[str, Any]:
    return {
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": METASPACE},
        "pre_tokenizer": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": METASPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
    }


def _frame(metadata: Mapping[str, Any], tokens: list[str], kind: str) -> dict[str, Any] | None:
    """The tokens that go around a text: as the file says, else as llama.cpp takes the kind."""
    pre = metadata.get("tokenizer.ggml.pre")
    wanted = {
        "bos": metadata.get("tokenizer.ggml.add_bos_token", kind == "llama" or pre in WHOLE_WORDS),
        "eos": metadata.get("tokenizer.ggml.add_eos_token", kind == "t5"),
    }
    around = {name: metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos") if wanted[name]}
    named = {name: (tokens[id], id) for name, id in around.items() if isinstance(id, int) and 0 <= id < len(tokens)}
    return frame(named.get("bos"), named.get("eos"))


def frame(before: tuple[str, int] | None, after: tuple[str, int] | None) -> dict[str, Any] | None:
    """The `post_processor` that puts tokens, each a text and an id, around a text."""
    rows: list[dict[str, Any]] = [{"Sequence": {"id": "A", "type_id": 0}}]
    used: dict[str, Any] = {}
    for at, token in ((0, before), (2, after)):
        if token is not None:
            rows.insert(at, {"SpecialToken": {"id": token[0], "type_id": 0}})
            used[token[0]] = {"id": token[0], "ids": [token[1]], "tokens": [token[0]]}
    if not used:
        return None
    return {"type": "TemplateProcessing", "single": rows, "pair": rows, "special_tokens": used}
