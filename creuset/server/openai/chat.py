"""POST /v1/chat/completions: the request checked field by field, the reply put together from events.

A reply is made of deltas either way. Streamed they are sent one by one, whole they are joined, so the two
cannot say different things.
"""

import secrets
from dataclasses import dataclass, field
from typing import Any

import msgspec

from creuset.server.chat.answer import AnswerReader, PieceReader
from creuset.server.chat.logprobs import chat_logprobs
from creuset.server.chat.request import ChatRequest
from creuset.server.chat.sampling import (
    MAX_CHOICES,
    MAX_TOKENS,
    refuse_streamed,
    take_harmless,
    take_sampling,
    take_stop,
    take_stream,
    take_truncation,
)
from creuset.server.chat.structure import take_structure
from creuset.server.chat.thinking import take_thinking
from creuset.server.chat.tools import take_tools
from creuset.server.chat.upstream import RelayedReader
from creuset.server.model import ServedModel
from creuset.text.calls.forced import Thought
from creuset.text.output import CallArguments, CallBegun, Content, OutputPiece, Reasoning
from creuset.types.fields import Fields
from creuset.types.generation import Event
from creuset.types.messages import parse_messages

MAX_STOPS = 4


def parse_chat(fields: Fields, name: str, model: ServedModel) -> ChatRequest:
    messages = parse_messages(fields.take("messages"), "strict", ignored=fields.ignored)
    if model.template.shows_names:
        fields.ignored.pop("messages.name", None)
    use = take_tools(fields)
    shows = fields.flag("skip_special_tokens") is False
    take_harmless(fields)
    _refuse_other_kinds(fields)
    sampling = take_sampling(fields, model)
    stream, options = take_stream(fields)
    refuse_streamed(fields, sampling, stream)
    continues = fields.flag("continue_final_message") or False
    begins = fields.flag("add_generation_prompt")
    if continues and begins:
        raise fields.refuse("continue_final_message", "goes on where a message is; `add_generation_prompt` begins one")
    ask = ChatRequest(
        model=name,
        messages=messages,
        use=use,
        thinking=take_thinking(fields, model),
        generates=not continues if begins is None else begins,
        continues=continues,
        sampling=msgspec.structs.replace(sampling, stop=take_stop(fields, MAX_STOPS), logprobs=_logprobs(fields)),
        limit="max_completion_tokens" if fields.peek("max_completion_tokens") is not None else "max_tokens",
        max_tokens=_max_tokens(fields),
        choices=fields.integer("n", 1, MAX_CHOICES) or 1,
        stream=stream,
        options=options,
        structure=take_structure(fields),
        keep=take_truncation(fields),
        shows_special=shows,
        ignored=tuple(fields.ignored),
    )
    fields.refuse_rest()
    return ask


def _refuse_other_kinds(fields: Fields) -> None:
    """What OpenAI's API has and this server does not do, each by its name."""
    modalities = fields.items("modalities")
    if modalities is not None and modalities != ["text"]:
        raise fields.refuse("modalities", 'is served as ["text"] only', code="unsupported_value")
    fields.only("verbosity", "medium")
    fields.not_served("audio", "prediction", "web_search_options", "moderation")


def _logprobs(fields: Fields) -> int | None:
    wanted, top = fields.flag("logprobs"), fields.integer("top_logprobs", 0, 20)
    if top is not None and not wanted:
        raise fields.refuse("top_logprobs", "is allowed only with `logprobs: true`")
    return (top or 0) if wanted else None


def _max_tokens(fields: Fields) -> int | None:
    new, old = (fields.integer(name, 1, MAX_TOKENS) for name in ("max_completion_tokens", "max_tokens"))
    if new is not None and old is not None and new != old:
        raise fields.refuse("max_tokens", f"is the old name of `max_completion_tokens`, which says {new}; got {old}")
    return new if new is not None else old


@dataclass(slots=True)
class ChatChoice:
    """One choice of a reply: events in, deltas out."""

    ask: ChatRequest
    model: ServedModel
    thought: Thought = "none"
    finish: str | None = None
    reader: PieceReader = field(init=False)
    _begun: int = 0  # calls whose beginning was told
    _custom: bool = False  # whether the last of them is of a custom tool

    def __post_init__(self) -> None:
        guarded = self.ask.guarded
        self.reader = RelayedReader(self.ask.thinking.shown) if guarded else AnswerReader(
            self.ask, self.model, self.thought
        )  # fmt: skip

    def deltas(self, event: Event) -> list[dict[str, Any]]:
        """What `event` adds: objects of `delta`, the log-probabilities under a key of their own."""
        found = [self._delta(piece) for piece in self.reader.pieces(event)]
        if event.finish is not None:
            self.finish = self._reason(event.finish)
        if event.logprobs:
            found = found or [{}]
            found[0]["logprobs"] = chat_logprobs(event.logprobs, self.model.tokenizer)
        if event.emitted:
            found = found or [{}]
            found[0]["token_ids"] = list(event.emitted)
        return found

    def _delta(self, piece: OutputPiece) -> dict[str, Any]:
        match piece:
            case Content():
                return {"content": piece.text}
            case Reasoning():
                return {"reasoning_content": piece.text}
            case CallBegun():
                self._begun += 1
                function = {"name": piece.name, "arguments": ""}
                if self.ask.use.legacy:
                    return {"function_call": function}
                self._custom = piece.name in self.ask.use.custom
                if self._custom:
                    custom = {"name": piece.name, "input": ""}
                    return self._call({"id": f"call_{secrets.token_hex(12)}", "type": "custom", "custom": custom})
                call = {"id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}
                return self._call(call)
            case CallArguments():
                more = {"arguments": piece.text}
                if self.ask.use.legacy:
                    return {"function_call": more}
                return self._call({"custom": {"input": piece.text}} if self._custom else {"function": more})

    def _call(self, facts: dict[str, Any]) -> dict[str, Any]:
        return {"tool_calls": [{"index": self._begun - 1, **facts}]}

    def _reason(self, finish: str) -> str:
        if finish == "stop" and self.reader.calls and self.ask.use.choice != "named":  # who names a function knows it
            return "function_call" if self.ask.use.legacy else "tool_calls"
        return finish


def whole_choice(index: int, deltas: list[dict[str, Any]], choice: ChatChoice) -> dict[str, Any]:
    """Join the deltas of one choice into its message."""
    said = "".join(d.get("content", "") for d in deltas)
    message: dict[str, Any] = {"role": "assistant", "content": said, "refusal": None}
    thought = "".join(d.get("reasoning_content", "") for d in deltas)
    if thought:
        message["reasoning_content"] = thought
    calls = _joined([call for d in deltas for call in d.get("tool_calls", ())])
    if calls:
        message["tool_calls"] = calls
    legacy = _joined([{"index": 0, "function": d["function_call"]} for d in deltas if "function_call" in d])
    if legacy:
        message["function_call"] = legacy[0]["function"]
    if (choice.reader.calls or choice.ask.use.forced) and not said:
        message["content"] = None
    listed = [entry for d in deltas for entry in d.get("logprobs", ())]
    logprobs = {"content": listed, "refusal": None} if choice.ask.sampling.logprobs is not None else None
    found = {"index": index, "message": message, "logprobs": logprobs, "finish_reason": choice.finish}
    if choice.ask.sampling.return_ids:
        found["token_ids"] = [id for d in deltas for id in d.get("token_ids", ())]
    return found


def _joined(deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Deltas of calls as whole calls: the first delta of each has all but the arguments."""
    calls: list[dict[str, Any]] = []
    for delta in deltas:
        if delta["index"] == len(calls):
            calls.append({k: dict(v) if isinstance(v, dict) else v for k, v in delta.items() if k != "index"})
        elif "custom" in delta:
            calls[delta["index"]]["custom"]["input"] += delta["custom"]["input"]
        else:
            calls[delta["index"]]["function"]["arguments"] += delta["function"]["arguments"]
    return calls


def chunk_choice(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    listed = delta.pop("logprobs", None)
    logprobs = {"content": listed, "refusal": None} if listed else None
    ids = {"token_ids": delta.pop("token_ids")} if "token_ids" in delta else {}
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish, **ids}
