"""The chat template of a model: a conversation in, the prompt out, as the model was trained to read it.

A model of ours has our template, which `text/chat.py` writes with a training mask. Any other model brings its own,
in Jinja; it runs in a sandbox (`text/sandbox.py`), and what people wrote stays text (`text/untrusted.py`). Nothing is
silently replaced: a model without a template completes texts and does not chat.

Reading order: `ChatTemplate.load`, `ChatTemplate.encode`, `ChatTemplate._rendered`.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from creuset.core.errors import ArtifactError, RequestError
from creuset.text import chat
from creuset.text.calls.forced import Thought
from creuset.text.calls.formats import CallFormat, call_format
from creuset.text.calls.words import tools_in_words
from creuset.text.chat import Encoded
from creuset.text.sandbox import JinjaTemplate
from creuset.text.sources import read_templates
from creuset.text.tokenizer import IM_END, IM_START, Tokenizer
from creuset.text.untrusted import Breaker
from creuset.text.vocabulary.control import stand_in
from creuset.types.messages import ChatMessage, parse_messages, parse_tools

Messages = Sequence[Mapping[str, Any] | ChatMessage]

# Where the assistant's last message is to go on; the space shows whether the template trims. No text has them.
_HERE = "\U000fff00\U000fff01\U000fff02 "
_SPANS = ("\U000fff03\U000fff00", "\U000fff03\U000fff01")  # around what the assistant says, in training
_PROBE = "probe-of-a-name"
CHATML = "chatml"  # what --chat-template calls our template
_OURS = ("enable_thinking", "default_system")  # the variables of our template


class ChatTemplate:
    def __init__(
        self,
        tokenizer: Tokenizer,
        templates: Mapping[str, str],
        *,
        where: str = "the model",
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """`templates`: Jinja text by name: `default`, and perhaps others such as `tool_use`. `where` is for errors.

        `now`: the time for templates that tell the model what day it is. ArtifactError for a syntax error.
        """
        self.tokenizer = tokenizer
        self._where, self._now = where, now
        self._templates = dict(templates)
        self.is_ours = self.source == chat.chat_template()
        self._jinja = {
            name: JinjaTemplate(text, where=f"the chat template of {where}", now=now)
            for name, text in self._templates.items()
            if not self.is_ours
        }

    @classmethod
    def load(cls, path: Path, tokenizer: Tokenizer, *, file: Path | None = None) -> "ChatTemplate":
        """The template of a model's folder or GGUF file, or the one in `file` instead; `chatml` is ours.

        ArtifactError where a file is missing or damaged. A model that has none is no error: asking it to chat is.
        """
        if file is None:
            return cls(tokenizer, read_templates(path), where=f"`{path.name}`")
        if str(file) == CHATML and not file.exists():
            if not {IM_START, IM_END} <= tokenizer.special.keys():
                raise ArtifactError(f"`{path.name}` has no tokens `{IM_START}` and `{IM_END}`, which chatml needs")
            return cls(tokenizer, {"default": chat.chat_template()}, where=f"`{path.name}`")
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ArtifactError(f"the chat template `{file}` cannot be read: {error}") from error
        return cls(tokenizer, {"default": text}, where=f"`{file.name}`")

    @property
    def source(self) -> str:
        """Jinja text; "" when the model has no template."""
        return self._templates.get("default", "")

    @functools.cached_property
    def calls(self) -> CallFormat:
        """The form in which the model writes tool calls and thoughts."""
        return self.calls_as(None)

    def calls_as(self, name: str | None) -> CallFormat:
        """The same with calls in the form `name`. Raises ConfigError for one that is not known."""
        return call_format(" ".join(self._templates.values()), self.tokenizer.special, name)

    @property
    def tells_tools(self) -> bool:
        """Whether tools are told in words, because the template knows none."""
        return not self.calls.shows_tools and "tool_use" not in self._templates

    @functools.cached_property
    def variables(self) -> frozenset[str]:
        """What the template reads: of the arguments that a caller gives by name, the others change nothing."""
        if self.is_ours:
            return frozenset(("messages", "tools", "add_generation_prompt", *_OURS))
        return frozenset().union(*(jinja.variables for jinja in self._jinja.values()))

    @functools.cached_property
    def shows_names(self) -> bool:
        """Whether a message's `name` reaches the model; True where a question with a name is refused."""
        if self.is_ours or not self.source:
            return False
        try:
            return _PROBE in self.render([{"role": "user", "content": "x", "name": _PROBE}])
        except RequestError:
            return True

    def thought(self, ids: Sequence[int], *, asked: bool | None = None) -> Thought:
        """Whether a thought may come after the prompt `ids`, or was opened by it.

        Models trained here think aloud only where they are `asked` to; others as their template has it.
        """
        marks = self.calls.thinking
        if marks is None or (self.is_ours and asked is not True):
            return "none"
        said = self.tokenizer.decode(ids[-16:]).rstrip()
        if said.endswith(marks.open):
            return "opened"
        return "none" if said.endswith(marks.close) and not marks.repeats else "may"

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
            return chat.render(
                messages, tools=tools, add_generation_prompt=add_generation_prompt,
                continue_final_message=continue_final_message, **_ours(kwargs),
            )  # fmt: skip
        text, breaker = self._rendered(messages, tools, add_generation_prompt, continue_final_message, kwargs)
        return breaker.whole(text)

    def encode(
        self,
        messages: Messages,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        form: Any = None,
        **kwargs: Any,
    ) -> Encoded:
        """Ids of the prompt. `kwargs` are the template's own variables, such as `enable_thinking`.

        `form`: the JSON schema of the answer, told to a model that is told of its tools in words.

        Control tokens that the template writes are ids; those that a message, a tool or a variable names are text.
        The mask is that of our template, and all zero for others.
        """
        if self.is_ours:
            return chat.encode_chat(
                self.tokenizer, messages, tools=tools, add_generation_prompt=add_generation_prompt,
                continue_final_message=continue_final_message, **_ours(kwargs),
            )  # fmt: skip
        text, breaker = self._rendered(
            messages, tools, add_generation_prompt, continue_final_message, kwargs, form=form
        )
        ids = self.tokenizer.encode(breaker.whole(self._with_stand_ins(text)))
        return Encoded(ids, [0] * len(ids))

    def encode_spans(self, messages: Messages) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids of a dialogue, and where the `{% generation %}` blocks of its template begin and end among them.

        RequestError where a token reaches over the edge of a block.
        """
        marking = JinjaTemplate(self.source, where=f"the chat template of {self._where}", now=self._now, spans=_SPANS)
        text, breaker = self._rendered(messages, None, False, False, {}, marking)
        text = breaker.whole(self._with_stand_ins(text))
        parts = re.split(f"({_SPANS[0]}|{_SPANS[1]})", text)
        ids = self.tokenizer.encode("".join(part for part in parts if part not in _SPANS))
        edges: list[int] = []
        before = ""
        for part in parts:
            if part not in _SPANS:
                before += part
                continue
            first = self.tokenizer.encode(before)
            if ids[: len(first)] != first:
                raise RequestError("a token reaches over the edge of what the assistant says", param="messages")
            edges.append(len(first))
        return ids, list(zip(edges[::2], edges[1::2], strict=True))

    def _with_stand_ins(self, text: str) -> str:
        special = self.tokenizer.special
        return self.tokenizer.controls.sub(lambda found: stand_in(special[found.group()]), text)

    def _rendered(
        self,
        messages: Messages,
        tools: Any,
        generate: bool,
        go_on: bool,
        kwargs: Mapping[str, Any],
        jinja: JinjaTemplate | None = None,
        form: Any = None,
    ) -> tuple[str, Breaker]:
        """The prompt with lookalikes of control tokens broken, and what mends them."""
        parsed, shown = parse_messages(messages, "lenient"), parse_tools(tools, "lenient")
        if self.tells_tools:
            parsed, shown = tools_in_words(parsed, shown, form), []
        if go_on:
            chat.check_continues(parsed, generate)
        jinja = jinja or self._chosen(shown)
        given = {"messages": [_row(message) for message in parsed], "tools": shown or None, "documents": None, **kwargs}
        breaker = Breaker(self.tokenizer.lookalikes, self.tokenizer.control_names, given)
        variables = breaker.value(given)
        if go_on:
            variables["messages"][-1]["content"] = breaker.text(parsed[-1].content + _HERE)
        variables = {**self.tokenizer.named_tokens, **variables, "add_generation_prompt": generate}
        size = len(json.dumps(given, ensure_ascii=False, default=str))
        text = _as_it_takes_them(parsed, variables, breaker, lambda: jinja.render(variables, size=size))
        return (_cut_here(text, self._where) if go_on else text), breaker

    def _chosen(self, tools: Sequence[Any]) -> JinjaTemplate:
        name = "tool_use" if tools and "tool_use" in self._jinja else "default"
        if name not in self._jinja:
            raise RequestError(
                f"{self._where} has no chat template, so it cannot chat",
                hint="use /v1/completions, or give a template with --chat-template FILE",
            )
        return self._jinja[name]


class _Arguments(dict[str, Any]):
    """Arguments of a call: an object for templates that write it as JSON, its text for those that add it to text."""

    text: str

    def __radd__(self, before: str) -> str:
        return before + self.text

    def __add__(self, after: str) -> str:
        return self.text + after

    def __str__(self) -> str:
        return self.text


def _row(message: ChatMessage) -> dict[str, Any]:
    """A message as templates read it: what was not said is not there."""
    row: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning is not None:
        row["reasoning_content"] = row["thinking"] = message.reasoning
    if message.tool_calls:
        row["tool_calls"] = [
            {"type": "function", **({"id": call.id} if call.id else {}),
             "function": {"name": call.name, "arguments": _read(call.arguments)}}
            for call in message.tool_calls
        ]  # fmt: skip
    for name in ("name", "tool_call_id"):
        if (said := getattr(message, name)) is not None:
            row[name] = said
    return row


def _read(arguments: str) -> Any:
    """The object that the text holds; the text, where an answer ended in the middle of a call."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _as_it_takes_them(
    messages: Sequence[ChatMessage], variables: dict[str, Any], breaker: Breaker, render: Callable[[], str]
) -> str:
    """The rendered text. Templates differ in two things that they do not say; what is lost shows which.

    Some read a content only as a list of parts, and some show the calls of a message only where its content is null.
    """
    for row in variables["messages"]:
        row["role"] = breaker.whole(row["role"])  # one of four words, and ours
        for call in row.get("tool_calls", ()):
            call["type"] = "function"
            if isinstance(call["function"]["arguments"], dict):
                call["function"]["arguments"] = _arguments(call["function"]["arguments"])
    silent = [at for at, message in enumerate(messages) if message.tool_calls and not message.content]
    said = next((m.content.strip() for m in reversed(messages) if m.role == "user" and m.content.strip()), "")

    def lost_content(text: str) -> bool:
        return bool(said) and said not in breaker.whole(text)

    def lost_calls(text: str) -> bool:
        return any(call.name not in breaker.whole(text) for at in silent for call in messages[at].tool_calls)

    refused: RequestError | None = None
    try:
        text = render()
    except RequestError as error:
        refused, text = error, ""
    for lost, change in ((lost_content, _to_parts), (lost_calls, _to_null(silent))):
        if not lost(text):
            continue
        before = variables["messages"]
        variables["messages"] = change(before)
        try:
            other = render()
        except RequestError:
            other = text
        if not lost(other):
            text, refused = other, None
        else:
            variables["messages"] = before
    if refused is not None:
        raise refused
    return text


def _arguments(value: dict[str, Any]) -> _Arguments:
    made = _Arguments(value)
    made.text = json.dumps(value, ensure_ascii=False)
    return made


def _to_parts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "content": [{"type": "text", "text": row["content"]}]} for row in rows]


def _to_null(places: Sequence[int]) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda rows: [{**row, "content": None} if at in places else row for at, row in enumerate(rows)]


def _cut_here(text: str, where: str) -> str:
    """The text up to the end of the last message; without the spaces there where the template trims them."""
    mark = _HERE.rstrip()
    if mark not in text:
        raise RequestError(
            f"the chat template of {where} does not show the last message to its end, so it cannot be continued",
            param="continue_final_message",
        )
    at = text.rindex(mark)
    return text[:at] if text[at : at + len(_HERE)] == _HERE else text[:at].rstrip()


def _ours(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What our template understands of the variables that were given."""
    given: dict[str, Any] = {"thinking": kwargs.get("enable_thinking")}
    if "default_system" in kwargs:
        given["default_system"] = kwargs["default_system"]
    return given
