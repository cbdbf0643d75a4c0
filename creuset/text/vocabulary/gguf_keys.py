"""A model's vocabulary and template as the metadata of a GGUF file, in llama.cpp's terms.

llama.cpp knows two kinds of BPE: over bytes (`gpt2`), whose way of cutting text into words it knows by a name, and over
characters with `▁` for spaces (`llama`). A way of cutting that has no name there cannot be written: other ids would
come out.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile, is_gguf
from creuset.text.sources import read_tokenizer
from creuset.text.vocabulary.gguf import GPT2, HF_JSON, PATTERNS, WHOLE_WORDS, gguf_spec
from creuset.text.vocabulary.sentencepiece import BYTE, CONTROL_PIECE, NORMAL, UNKNOWN, UNUSED, USER_DEFINED

PREFIX = "tokenizer."


def vocabulary_keys(path: Path, size: int, ends: set[int]) -> dict[str, Any]:
    """The keys `tokenizer.…` of the model at `path`, a folder or a GGUF file, for `size` rows of its embedding.

    `ends`: the ids that end an answer. ArtifactError where llama.cpp has no such tokenizer.
    """
    if is_gguf(path):
        return {key: value for key, value in GgufFile(path).metadata.items() if key.startswith(PREFIX)}
    source = read_tokenizer(path)
    spec, config, file = source.spec, source.config or {}, source.where
    model = spec.get("model") or {}
    if model.get("type") != "BPE":
        raise ArtifactError(f"`{file}` holds a {model.get('type')} model: only BPE can be written as GGUF")
    found = _tokens(spec, size, file)
    merges = [m if isinstance(m, str) else " ".join(m) for m in model.get("merges", [])]
    if '"ByteLevel"' in json.dumps(spec.get("decoder")):
        found |= {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": _pre(spec, file)}
        found["tokenizer.ggml.merges"] = merges
    else:
        found |= {"tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default"}
        found["tokenizer.ggml.scores"] = _scores(found["tokenizer.ggml.tokens"], merges, model["vocab"])
        found["tokenizer.ggml.add_space_prefix"] = _prepends_space(spec)
    found |= _special(spec, config, ends)
    if gguf_spec(found, file)["normalizer"] != spec.get("normalizer"):
        # The name of the pre-tokenizer stands for another one: the file says what llama.cpp has no word for.
        found[HF_JSON] = json.dumps(spec, ensure_ascii=False)
    templates = dict(source.templates)
    if "default" in templates:
        found["tokenizer.chat_template"] = templates.pop("default")
    if templates:
        found["tokenizer.chat_templates"] = sorted(templates)
        found |= {f"tokenizer.chat_template.{name}": text for name, text in templates.items()}
    return found


def _tokens(spec: Mapping[str, Any], size: int, file: str) -> dict[str, Any]:
    """Texts and types of all ids; those that no token has are marked unused."""
    tokens, types = [f"[PAD{id}]" for id in range(size)], [UNUSED] * size
    unknown = spec["model"].get("unk_token")
    bytes_fall_back = bool(spec["model"].get("byte_fallback"))
    for text, id in spec["model"]["vocab"].items():
        _check(id, size, file)
        tokens[id], types[id] = text, UNKNOWN if text == unknown else NORMAL
        if bytes_fall_back and len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
            types[id] = BYTE
    for token in spec.get("added_tokens", []):
        id, text = token["id"], token["content"]
        _check(id, size, file)
        kind = CONTROL_PIECE if token["special"] else USER_DEFINED
        tokens[id], types[id] = text, UNKNOWN if text == unknown else kind
    return {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}


def _check(id: int, size: int, file: str) -> None:
    if id >= size:
        raise ArtifactError(f"`{file}`: token {id} has no row in the embedding, which has {size}")


def _pre(spec: Mapping[str, Any], file: str) -> str:
    """llama.cpp's name for the way in which text is cut into words."""
    steps = spec.get("pre_tokenizer") or {}
    steps = steps.get("pretokenizers", [steps])
    patterns: list[str] = []
    for step in steps:
        if step.get("type") == "Split":
            patterns.append(step["pattern"].get("Regex") or step["pattern"].get("String"))
        elif step.get("type") == "Digits" and step.get("individual_digits"):
            patterns.append(r"\p{N}")
        elif step.get("type") != "ByteLevel":
            patterns.append(f"a step of type {step.get('type')}")
        elif step.get("use_regex", True):
            patterns.append(GPT2)
    whole = bool(spec["model"].get("ignore_merges"))
    for name, known in PATTERNS.items():
        if known == tuple(patterns) and (name in WHOLE_WORDS) == whole:
            return name
    raise ArtifactError(f"`{file}`: llama.cpp has no name for a tokenizer that cuts text by {patterns}")


def _scores(tokens: list[str], merges: list[str], vocab: Mapping[str, int]) -> list[float]:
    """Minus the rank of the merge that makes a token: llama.cpp joins the pair of the highest score first."""
    rank: dict[str, int] = {}
    for at, merge in enumerate(merges):
        first, _, second = merge.partition(" ")
        rank.setdefault(first + second, at)
    return [-float(rank[text]) if text in rank else (0.0 if text not in vocab else -1e6) for text in tokens]


def _prepends_space(spec: Mapping[str, Any]) -> bool:
    shown = json.dumps([spec.get("normalizer"), spec.get("pre_tokenizer")])
    return '"Prepend"' in shown or '"prepend_scheme": "always"' in shown or '"prepend_scheme": "first"' in shown


def _special(spec: Mapping[str, Any], config: Mapping[str, Any], ends: set[int]) -> dict[str, Any]:
    """Ids of the tokens that begin, end and fill, and whether a text begins or ends with them."""
    known = spec["model"]["vocab"] | {token["content"]: token["id"] for token in spec.get("added_tokens", [])}
    found: dict[str, Any] = {}
    for name, key in {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}.items():
        value = config.get(f"{name}_token")
        text = value.get("content") if isinstance(value, dict) else value
        if text in known:
            found[f"tokenizer.ggml.{key}_token_id"] = known[text]
    eos = found.get("tokenizer.ggml.eos_token_id")
    if eos not in ends and ends:
        eos = found["tokenizer.ggml.eos_token_id"] = min(ends)
    for key, id in zip(("eot", "eom"), sorted(ends - {eos}), strict=False):
        found[f"tokenizer.ggml.{key}_token_id"] = id
    begins, ended = _template(spec.get("post_processor") or {})
    if not begins:
        begins = config.get("add_bos_token") is True and not spec.get("post_processor")
    found["tokenizer.ggml.add_bos_token"] = begins
    found["tokenizer.ggml.add_eos_token"] = ended or config.get("add_eos_token") is True
    return found


def _template(step: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether the post-processor puts a token before, and one behind, a text."""
    for one in step.get("processors", [step]):
        if one.get("type") == "TemplateProcessing":
            single = one.get("single", [])
            return bool(single) and "SpecialToken" in single[0], len(single) > 1 and "SpecialToken" in single[-1]
    return False, False
