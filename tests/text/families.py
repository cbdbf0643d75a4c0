"""The templates in `templates/`, each with a tokenizer of its family, and the text that transformers gives."""

import copy
import functools
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from creuset.text.calls.words import tools_in_words
from creuset.text.template import ChatTemplate
from creuset.text.tokenizer import Tokenizer
from creuset.types.messages import ChatMessage, parse_messages, parse_tools
from tests.text.foreign import TEMPLATES, config, spec_text

FOLDER = Path(__file__).parent / "templates"
NOON = datetime(2026, 2, 3, 12)


@functools.cache
def tokenizer(family: str) -> Tokenizer:
    source = (FOLDER / f"{TEMPLATES[family]}.jinja").read_text(encoding="utf-8")
    return Tokenizer(json.loads(spec_text(family)), where=family, config=config(family), templates=[source])


@functools.cache
def ours(family: str) -> ChatTemplate:
    source = (FOLDER / f"{TEMPLATES[family]}.jinja").read_text(encoding="utf-8")
    return ChatTemplate(tokenizer(family), {"default": source}, where=family, now=lambda: NOON)


def of(source: str, **more: Any) -> ChatTemplate:
    return ChatTemplate(tokenizer("qwen3"), {"default": source, **more}, now=lambda: NOON)


def as_templates_take_it(messages: list[dict[str, Any]], family: str) -> list[dict[str, Any]]:
    """The conversation in the form in which the family's template shows all of it."""
    rows = copy.deepcopy(messages)
    for row in rows:
        calls = row.get("tool_calls", [])
        for at, one in enumerate(calls):
            one = one if "function" in one else {"type": "function", "function": one}
            arguments = one["function"]["arguments"]
            one["function"]["arguments"] = (
                json.dumps(arguments, ensure_ascii=False) if family == "deepseek" else arguments
            )
            calls[at] = one
        if family == "deepseek" and calls and not row["content"]:
            row["content"] = None
    return rows


def by_transformers(family: str, messages: list[dict[str, Any]], **given: Any) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    rows = as_templates_take_it(messages, family)
    if not ours(family).calls.shows_tools:  # then tools are told in words (text/calls/words.py has its own tests)
        told = tools_in_words(parse_messages(rows, "lenient"), parse_tools(given.pop("tools", None), "lenient"))
        rows = [_said(message) for message in told]
    names = tokenizer(family).named_tokens
    texts, _ = render_jinja_template([rows], chat_template=ours(family).source, **names, **copy.deepcopy(given))
    return str(texts[0])


def _said(message: ChatMessage) -> dict[str, Any]:
    thought = {} if message.reasoning is None else {"reasoning_content": message.reasoning}
    return {"role": message.role, "content": message.content, **thought}
