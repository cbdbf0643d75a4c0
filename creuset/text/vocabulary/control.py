"""Which tokens of a vocabulary steer the model, and how they are kept apart from text that looks like them.

A control token opens a turn, ends an answer, or marks a call or a thought. What a user writes must never become one.
A tokenizer of ours therefore has two names for each: the one that people know (`<|im_end|>`), and a *stand-in*, a
string that is drawn at random when the process starts. The encoder for text knows the stand-ins only. Whoever writes a
prompt puts a stand-in where the template wrote a control token, and leaves alone what came from outside.
"""

import re
import secrets
from collections.abc import Iterable
from typing import Any

# Text of a token, and whether decoding may hide it (transformers' `skip_special_tokens`): marks that carry
# meaning for a program that reads the reply (tool calls, thinking, fill in the middle) stay visible, as in Qwen.
CONTROL: dict[str, bool] = {
    "<|endoftext|>": True,
    "<|im_start|>": True,
    "<|im_end|>": True,
    "<|object_ref_start|>": True,
    "<|object_ref_end|>": True,
    "<|box_start|>": True,
    "<|box_end|>": True,
    "<|quad_start|>": True,
    "<|quad_end|>": True,
    "<|vision_start|>": True,
    "<|vision_end|>": True,
    "<|vision_pad|>": True,
    "<|image_pad|>": True,
    "<|video_pad|>": True,
    "<tool_call>": False,
    "</tool_call>": False,
    "<|fim_prefix|>": False,
    "<|fim_middle|>": False,
    "<|fim_suffix|>": False,
    "<|fim_pad|>": False,
    "<|repo_name|>": False,
    "<|file_sep|>": False,
    "<tool_response>": False,
    "</tool_response>": False,
    "<think>": False,
    "</think>": False,
}

# How marks look that a vocabulary does not flag as special: <|x|>, <｜x｜>, [INST], <start_of_turn>, <TOOLCALL>. Tags
# of HTML, which Gemma has as tokens, do not look like this: they are text.
_MARK = re.compile(r"<[|｜].+[|｜]>|\[/?[A-Z_]{2,}(_?\d+)?\]|</?[a-z]+(_[a-z0-9]+)+>|</?[A-Z_]{4,}>")

_SECRET = "".join(chr(0xF0000 + secrets.randbelow(0xFFFE)) for _ in range(8))  # one of 2^127
_END = "\U0010fffd"


def stand_in(id: int) -> str:
    """The string that `Tokenizer.encode` reads as the control token `id`. Nobody outside the process can write it."""
    return f"{_SECRET}{id}{_END}"


def is_control(token: dict[str, Any], named: Iterable[str] = ()) -> bool:
    """Whether an entry of `added_tokens` steers the model. `named`: texts that the model's template writes."""
    text: str = token["content"]
    if len(text) < 2 or text.isspace():
        return False
    if token["special"] or text in CONTROL or _MARK.fullmatch(text):
        return True
    return not text.isalnum() and any(text in one for one in named)


def matcher(names: Iterable[str], flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """Finds the longest of `names` at the leftmost place. A tree of prefixes: some vocabularies have thousands."""
    tree: dict[str, Any] = {}
    for name in names:
        node = tree
        for character in name:
            node = node.setdefault(character, {})
        node[""] = {}
    return re.compile(_expression(tree) if tree else r"(?!)", flags)


def _expression(tree: dict[str, Any]) -> str:
    branches = [re.escape(character) + _expression(node) for character, node in sorted(tree.items()) if character]
    if not branches:
        return ""
    inner = branches[0] if len(branches) == 1 and "" not in tree else f"(?:{'|'.join(branches)})"
    return inner + ("?" if "" in tree else "")
