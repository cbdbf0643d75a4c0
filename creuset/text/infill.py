"""Filling in the middle: a text before and one behind, and the model writes what stands between them.

Models that learned it have three control tokens for it (arXiv:2207.14255); each family gave them other names. The
prompt is in the order prefix, suffix, middle; Codestral's order is suffix, prefix, and it has no third mark.
"""

from typing import Protocol

_MARKS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen2.5, Qwen3, CodeGemma
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, Granite
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # GLM
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),  # Code Llama
)
_SUFFIX_FIRST = ("[SUFFIX]", "[PREFIX]")  # Codestral


class _Encoder(Protocol):
    special: dict[str, int]

    def encode(self, text: str) -> list[int]: ...


def infill(tokenizer: _Encoder, prefix: str, suffix: str) -> list[int] | None:
    """Ids of the prompt that asks for what stands between. Control tokens written in the texts are text.

    None: the tokenizer has no such marks.
    """
    known = tokenizer.special
    for begin, hole, end in _MARKS:
        if begin in known and hole in known and end in known:
            before, behind = tokenizer.encode(prefix), tokenizer.encode(suffix)
            return [known[begin], *before, known[hole], *behind, known[end]]
    behind_mark, before_mark = _SUFFIX_FIRST
    if behind_mark in known and before_mark in known:
        return [known[behind_mark], *tokenizer.encode(suffix), known[before_mark], *tokenizer.encode(prefix)]
    return None
