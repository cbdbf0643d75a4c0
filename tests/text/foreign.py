"""Tokenizers of the kinds that other models bring, small and real: trained by `tokenizers` in milliseconds."""

import functools
import json
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from creuset.testing import TINY_TEXTS
from creuset.text.vocabulary.gguf import PATTERNS

NASTY: list[str] = json.loads((Path(__file__).parent / "data" / "nasty.json").read_text(encoding="utf-8"))
SOUND = [text for text in NASTY if not any("\ud800" <= c <= "\udfff" for c in text)]
BROKEN = [text for text in NASTY if text not in SOUND]
TEXTS = [*TINY_TEXTS * 2, *(t for t in SOUND if "<" not in t and "[" not in t and len(t) < 200)]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

# Names of control tokens, as the families have them; the first begins a text, the second ends it.
CONTROLS: dict[str, list[str]] = {
    "llama3": ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>"],
    "qwen3": ["<|endoftext|>", "<|im_end|>", "<|im_start|>"],
    "smollm2": ["<|im_start|>", "<|im_end|>", "<|endoftext|>"],
    "gpt_oss": ["<|startoftext|>", "<|return|>", "<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|call|>"],
    "olmo": ["<|endoftext|>", "<|endoftext|>"],
    "deepseek": ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>",
                 "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>",
 "<｜tool▁sep｜>",
                 "<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>", "<｜tool▁output▁begin｜>",
                 "<｜tool▁output▁end｜>"],
    "llama2": ["<s>", "</s>", "<unk>"],
    "mistral": ["<s>", "</s>", "<unk>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
                "[TOOL_RESULTS]", "[/TOOL_RESULTS]"],
    "phi": ["<s>", "<|endoftext|>", "<unk>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>", "<|tool|>",
            "<|/tool|>"],
    "gemma": ["<bos>", "<eos>", "<unk>", "<pad>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>"],
    "t5": ["<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_1>"],
    "eurollm": ["<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>"],
}  # fmt: skip
# Tokens beside the vocabulary that are not flagged as special: marks that a program reads, and pieces of text.
VISIBLE: dict[str, list[str]] = {
    "qwen3": ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"],
    "deepseek": ["<think>", "</think>"],
    "olmo": ["  ", "    ", "        "],
    "gemma": ["\n\n", "\n\n\n", "▁▁", "<h1>", "<table>"],
}
_SPLITS = {"llama3": "llama-bpe", "qwen3": "qwen2", "smollm2": "smollm", "gpt_oss": "gpt-4o", "olmo": "olmo",
           "deepseek": "deepseek-v3"}  # fmt: skip
FAMILIES = tuple(CONTROLS)


def flags(family: str, text: str) -> dict[str, bool]:
    strips = family == "phi" and text.startswith("<|")
    both = text.startswith("<extra_id")
    normal = family == "olmo" and text.isspace()
    return {"single_word": False, "lstrip": both, "rstrip": strips or both, "normalized": normal}


@functools.cache
def spec_text(family: str) -> str:
    """A `tokenizer.json` in the writing of the family."""
    spec = (
        _byte_level(family) if family in _SPLITS else _unigram(family) if family in ("t5", "eurollm") else _bpe(family)
    )
    bos, eos = CONTROLS[family][:2]
    vocab = spec["model"]["vocab"]
    ids = dict(vocab) if isinstance(vocab, dict) else {row[0]: at for at, row in enumerate(vocab)}
    added = []
    for text in dict.fromkeys([*CONTROLS[family], *VISIBLE.get(family, ())]):
        id = ids.setdefault(text, len(ids))
        special = text in CONTROLS[family]
        added.append({"id": id, "content": text, **flags(family, text), "special": special})
    spec["added_tokens"] = sorted(added, key=lambda token: token["id"])
    backend = Tokenizer.from_str(json.dumps(spec))
    if family == "t5":
        backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[(eos, ids[eos])])
    elif family in ("llama3", "llama2", "mistral", "gemma"):
        backend.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, ids[bos])])
    return str(backend.to_str())


def config(family: str) -> dict[str, Any]:
    bos, eos = CONTROLS[family][:2]
    unknown = "<unk>" if "<unk>" in CONTROLS[family] else None
    template = Path(__file__).parent / "templates" / f"{TEMPLATES.get(family, '-')}.jinja"
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": eos, "unk_token": unknown,
        "clean_up_tokenization_spaces": False,
        **({"chat_template": template.read_text(encoding="utf-8")} if template.is_file() else {}),
    }  # fmt: skip


TEMPLATES = {
    "llama3": "llama3", "llama2": "llama2", "mistral": "mistral", "gemma": "gemma", "deepseek": "deepseek",
    "phi": "phi", "qwen3": "qwen3", "gpt_oss": "harmony", "olmo": "olmo", "smollm2": "smollm2", "eurollm": "generation",
}  # fmt: skip


def write(folder: Path, family: str) -> Path:
    """A folder with the tokenizer, as a model's has it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(spec_text(family), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config(family), ensure_ascii=False), encoding="utf-8")
    return folder


def _byte_level(family: str) -> dict[str, Any]:
    backend = Tokenizer(models.BPE(ignore_merges=family == "llama3"))
    patterns = PATTERNS[_SPLITS[family]]
    steps: list[Any] = [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns if p]
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex="" in patterns))
    backend.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if family in ("qwen3", "olmo"):
        backend.normalizer = normalizers.NFC()
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=700, show_progress=False, special_tokens=[], initial_alphabet=alphabet)
    backend.train_from_iterator(TEXTS, trainer)
    spec: dict[str, Any] = json.loads(backend.to_str())
    return spec


def _bpe(family: str) -> dict[str, Any]:
    """Metaspace with byte fallback; the control tokens first, then the bytes, as sentencepiece does."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    space = normalizers.Replace(" ", "▁")
    if family in ("llama2", "phi"):
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), space])
    elif family == "gemma":
        backend.normalizer = space
    else:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    steps: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if family != "gemma":
        steps.append(decoders.Strip(" ", 1, 0))
    backend.decoder = decoders.Sequence(steps)
    words = [w for text in TEXTS for w in text.split()]
    trainer = trainers.BpeTrainer(vocab_size=300, show_progress=False, special_tokens=[], limit_alphabet=90)
    backend.train_from_iterator(words, trainer)
    spec: dict[str, Any] = json.loads(backend.to_str())
    learned = sorted(spec["model"]["vocab"], key=spec["model"]["vocab"].get)
    pieces = dict.fromkeys([*CONTROLS[family], *BYTES, *learned, "▁", "▁▁", "▁▁▁▁"])
    spec["model"]["vocab"] = {piece: id for id, piece in enumerate(pieces)}
    spec["model"]["merges"] += [["▁", "▁"], ["▁▁", "▁▁"]]
    return spec


def _unigram(family: str) -> dict[str, Any]:
    backend = Tokenizer(models.Unigram())
    if family == "t5":
        steps = [normalizers.NFKC(), normalizers.Strip(left=False), normalizers.Replace(Regex(" {2,}"), "▁")]
        backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(vocab_size=400, show_progress=False, special_tokens=[], unk_token="<unk>")
    backend.train_from_iterator(TEXTS, trainer)
    spec: dict[str, Any] = json.loads(backend.to_str())
    fallback = BYTES if family == "eurollm" else []
    first = [[text, 0.0] for text in [*CONTROLS[family], *fallback]]
    known = {row[0] for row in first}
    spec["model"]["vocab"] = [*first, *(row for row in spec["model"]["vocab"] if row[0] not in known)]
    spec["model"]["unk_id"] = CONTROLS[family].index("<unk>")
    spec["model"]["byte_fallback"] = family == "eurollm"
    if family == "t5":
        spec["decoder"] = json.loads(decoders.Metaspace(prepend_scheme="always").__getstate__())
    else:
        steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        spec["decoder"] = json.loads(decoders.Sequence(steps).__getstate__())
    return spec
