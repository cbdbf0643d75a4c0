"""The chat template of a model: a conversation in, the prompt out, as the model was trained to read it.

A model of ours has our template, which `text/chat.py` writes with a training mask. Any other model brings its own,
in Jinja; it runs in a sandbox (`text/sandbox.py`). Nothing is silently replaced: a model without a template
completes texts and does not chat.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from creuset.core.errors import RequestError
from creuset.text import chat
from creuset.text.calls.formats import CallFormat, call_format
from creuset.text.calls.words import tools_in_words
from creuset.text.chat import Encoded
from creuset.text.sandbox import JinjaTemplate
from creuset.text.sources import read_templates
from creuset.text.tokenizer import Tokenizer
from creuset.types.messages import ChatMessage, parse_messages, parse_tools

Messages = Sequence[Mapping[str, Any] | ChatMessage]


class ChatTemplate:
    def __init__(self, tokenizer: Tokenizer, templates: Mapping[str, str], *, where: str = "the model") -> None:
        """`templates`: Jinja text by name: `default`, and perhaps others such as `tool_use`. `where` is for errors."""
        self.tokenizer = tokenizer
        self._where = where
        self._templates = dict(templates)
        self.is_ours = self.source == chat.chat_template()
        self._jinja: dict[str, JinjaTemplate] = {}

    @classmethod
    def load(cls, path: Path, tokenizer: Tokenizer) -> "ChatTemplate":
        """The template of a model's folder. ArtifactError where its file is damaged."""
        return cls(tokenizer, read_templates(path), where=f"`{path.name}`")

    @property
    def source(self) -> str:
        """Jinja text; "" when the model has no template."""
        return self._templates.get("default", "")

    @functools.cached_property
    def calls(self) -> CallFormat:
        """The form in which the model writes tool calls and thoughts."""
        return call_format(" ".join(self._templates.values()), self.tokenizer.special)

    @functools.cached_property
    def variables(self) -> frozenset[str]:
        """What the template reads: of the arguments that a caller gives by name, the others change nothing."""
        return frozenset(re.findall(r"\w+", " ".join(self._templates.values())))

    def render(
        self,
        messages: Messages,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        **kwargs: Any,
    ) -> str:
        """The prompt as text. RequestError where the template refuses, in its own words."""
        if self.is_ours:
            return chat.render(messages, tools=tools, add_generation_prompt=add_generation_prompt, **_ours(kwargs))
        return self._rendered(messages, tools, add_generation_prompt, kwargs)

    def encode(
        self,
        messages: Messages,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        **kwargs: Any,
    ) -> Encoded:
        """Ids of the prompt. `kwargs` are the template's own variables, such as `enable_thinking`."""
        if self.is_ours:
            given = _ours(kwargs)
            return chat.encode_chat(
                self.tokenizer, messages, tools=tools, add_generation_prompt=add_generation_prompt, **given
            )
        ids = self.tokenizer.encode_special(self._rendered(messages, tools, add_generation_prompt, kwargs))
        return Encoded(ids, [0] * len(ids))

    def _rendered(self, messages: Messages, tools: Any, generate: bool, kwargs: Mapping[str, Any]) -> str:
        parsed, shown = parse_messages(messages, "lenient"), parse_tools(tools, "lenient")
        if not self.calls.shows_tools:
            parsed, shown = tools_in_words(parsed, shown), []
        name = "tool_use" if shown and "tool_use" in self._templates else "default"
        if name not in self._templates:
            raise RequestError(
                f"{self._where} has no chat template, so it cannot chat",
                hint="use /v1/completions, or give a template with --chat-template FILE",
            )
        if name not in self._jinja:
            self._jinja[name] = JinjaTemplate(self._templates[name])
        rows = [_row(message) for message in parsed]
        return self._jinja[name].render(
            messages=rows, tools=shown or None, add_generation_prompt=generate, **self.tokenizer.named_tokens, **kwargs
        )


def _row(message: ChatMessage) -> dict[str, Any]:
    return {"role": message.role, "content": message.content}


def _ours(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What our template understands of the variables that were given."""
    given: dict[str, Any] = {"thinking": kwargs.get("enable_thinking")}
    if "default_system" in kwargs:
        given["default_system"] = kwargs["default_system"]
    return given
