"""POST /v1/chat/completions: the request checked field by field, the reply put together from events.

A reply is made of deltas either way: streamed they are sent one by one, whole they are joined, so the
two can not say different things.
"""

import secrets
from dataclasses import dataclass, field
from typing import Any

import msgspec

from creuset.server.engines.wire import Event, Sampling
from creuset.server.model import Model
from creuset.server.openai.fields import Fields
from creuset.server.openai.logprobs import chat_logprobs
from creuset.server.openai.messages import take_messages, take_tools
from creuset.server.openai.sampling import (
    MAX_CHOICES,
    StreamOptions,
    check_model,
    take_harmless,
    take_sampling,
    take_stop,
    take_stream,
)
from creuset.text.output import OutputParser, Piece, Said, Thought

MAX_STOPS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatAsk:
    """A checked request. `max_tokens` None: as many as the context leaves."""

    model: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    thinking: bool | None
    sampling: Sampling
    max_tokens: int | None
    choices: int
    stream: bool
    options: StreamOptions
    legacy_calls: bool
    one_call: bool


def parse_chat(body: dict[str, Any], model: Model) -> ChatAsk:
    fields = Fields(body)
    name = check_model(fields, model)
    messages = take_messages(fields)
    tools, legacy = take_tools(fields)
    take_harmless(fields)
    _refuse_other_kinds(fields)
    sampling = take_sampling(fields, model)
    stream, options = take_stream(fields)
    ask = ChatAsk(
        model=name,
        messages=messages,
        tools=tools,
        thinking=_thinking(fields),
        sampling=msgspec.structs.replace(sampling, stop=take_stop(fields, MAX_STOPS), logprobs=_logprobs(fields)),
        max_tokens=_max_tokens(fields, model),
        choices=fields.integer("n", 1, MAX_CHOICES) or 1,
        stream=stream,
        options=options,
        legacy_calls=legacy,
        one_call=fields.flag("parallel_tool_calls") is False,
    )
    fields.refuse_rest()
    return ask


def _refuse_other_kinds(fields: Fields) -> None:
    """What OpenAI's API has and this server does not do, each by its name."""
    form = fields.object("response_format")
    if form is not None:
        form.only("type", "text")
        form.refuse_rest()
    modalities = fields.items("modalities")
    if modalities is not None and modalities != ["text"]:
        raise fields.refuse("modalities", 'is served as ["text"] only', code="unsupported_value")
    fields.only("verbosity", "medium")
    fields.not_served(
        "audio", "prediction", "web_search_options", "moderation", "reasoning_effort", "prompt_cache_options"
    )


def _logprobs(fields: Fields) -> int | None:
    wanted, top = fields.flag("logprobs"), fields.integer("top_logprobs", 0, 20)
    if top is not None and not wanted:
        raise fields.refuse("top_logprobs", "is allowed only with `logprobs: true`")
    return (top or 0) if wanted else None


def _max_tokens(fields: Fields, model: Model) -> int | None:
    new, old = fields.integer("max_completion_tokens", 1, 2**31), fields.integer("max_tokens", 1, 2**31)
    if new is not None and old is not None and new != old:
        raise fields.refuse("max_tokens", f"is the old name of `max_completion_tokens`, which says {new}; got {old}")
    return new if new is not None else old


def _thinking(fields: Fields) -> bool | None:
    direct, inner = fields.flag("enable_thinking"), fields.object("chat_template_kwargs")
    if inner is None:
        return direct
    nested = inner.flag("enable_thinking")
    inner.refuse_rest()
    if direct is not None and nested is not None and direct != nested:
        raise fields.refuse("enable_thinking", "is given twice, with different values")
    return nested if nested is not None else direct


@dataclass(slots=True)
class Choice:
    """One choice of a reply: events in, deltas out."""

    ask: ChatAsk
    model: Model
    calls: list[dict[str, Any]] = field(default_factory=list)
    finish: str | None = None
    parser: OutputParser = field(init=False)

    def __post_init__(self) -> None:
        self.parser = OutputParser(
            tools=bool(self.ask.tools), thinking=self.ask.thinking is True, one_call=self.ask.one_call
        )

    def deltas(self, event: Event) -> list[dict[str, Any]]:
        """What `event` adds: objects of `delta`, the log-probabilities under a key of their own."""
        pieces = list(self.parser.push(event.text))
        if event.finish is not None:
            pieces += self.parser.finish()
        found = [self._delta(piece) for piece in pieces]
        if event.logprobs:
            found = found or [{}]
            found[0]["logprobs"] = chat_logprobs(event.logprobs, self.model.tokenizer)
        if event.finish is not None:
            self.finish = self._reason(event.finish)
        return found

    def _delta(self, piece: Piece) -> dict[str, Any]:
        if isinstance(piece, Said):
            return {"content": piece.text}
        if isinstance(piece, Thought):
            return {"reasoning_content": piece.text}
        function = {"name": piece.name, "arguments": piece.arguments}
        if self.ask.legacy_calls:
            return {"function_call": function}
        call = {"id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}
        self.calls.append(call)
        return {"tool_calls": [{"index": len(self.calls) - 1, **call}]}

    def _reason(self, finish: str) -> str:
        if finish == "stop" and self.parser.calls:
            return "function_call" if self.ask.legacy_calls else "tool_calls"
        return finish


def whole_choice(index: int, deltas: list[dict[str, Any]], choice: Choice) -> dict[str, Any]:
    """Join the deltas of one choice into its message."""
    said = "".join(d.get("content", "") for d in deltas)
    message: dict[str, Any] = {"role": "assistant", "content": said, "refusal": None}
    thought = "".join(d.get("reasoning_content", "") for d in deltas)
    if thought:
        message["reasoning_content"] = thought
    if choice.calls:
        message["tool_calls"] = choice.calls
    for delta in deltas:
        if "function_call" in delta:
            message.setdefault("function_call", delta["function_call"])
    if choice.parser.calls and not said:
        message["content"] = None
    listed = [entry for d in deltas for entry in d.get("logprobs", ())]
    logprobs = {"content": listed, "refusal": None} if choice.ask.sampling.logprobs is not None else None
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": choice.finish}


def chunk_choice(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    listed = delta.pop("logprobs", None)
    logprobs = {"content": listed, "refusal": None} if listed else None
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
