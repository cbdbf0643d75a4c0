"""Replies of the Responses dialect: events of the engine -> its events with a number each, or one object."""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import msgspec

from creuset.server.chat.answer import PieceReader
from creuset.server.chat.request import ChatRequest
from creuset.server.errors import error_object
from creuset.server.responses.items import Item, new_id
from creuset.server.responses.request import ResponseAsk
from creuset.server.stream import KEEP_ALIVE, Frames
from creuset.text.output import CallArguments, CallBegun, Content, OutputPiece, Reasoning
from creuset.types.generation import Event

PAD_TO = 16  # characters: a padded delta tells an observer of its length only this coarsely
_encode = msgspec.json.Encoder().encode


def encode(events: list[dict[str, Any]]) -> bytes:
    return b"".join(b"event: " + e["type"].encode() + b"\ndata: " + _encode(e) + b"\n\n" for e in events)


@dataclass(slots=True)
class Numbered:
    """Gives each event its number, and keeps what tells an error of a stream."""

    next: int = 0

    def event(self, kind: str, **facts: Any) -> dict[str, Any]:
        found = {"type": kind, "sequence_number": self.next, **facts}
        self.next += 1
        return found

    def error(self, error: Exception) -> dict[str, Any]:
        said = error_object(error)["error"]
        return self.event("error", code=said["code"], message=said["message"], param=said["param"])

    def frames(self) -> Frames:
        return Frames(encode=encode, error=self.error, keep_alive=KEEP_ALIVE, done=b"")


@dataclass(slots=True)
class ResponseReply:
    """`finished` gets the response when it has ended, however it did."""

    ask: ResponseAsk
    chat: ChatRequest
    reader: PieceReader
    prompt_tokens: int | None  # None: only the last event tells them
    id: str
    created: int
    numbered: Numbered
    finished: Callable[[dict[str, Any]], None]
    obfuscate: bool = False
    output: list[Item] = field(default_factory=list)
    _last: Event | None = None
    _open: bool = False
    _logprobs: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        wanted = self.chat.options.obfuscate
        self.obfuscate = self.obfuscate if wanted is None else wanted

    # -- the protocol of a stream

    def opening(self) -> list[dict[str, Any]]:
        begun = self.as_json("in_progress")
        return [self.numbered.event(f"response.{kind}", response=begun) for kind in ("created", "in_progress")]

    def feed(self, index: int, event: Event) -> list[dict[str, Any]]:
        self._last = event
        if event.logprobs:
            self._logprobs += self.reader.logprobs(event)
        events = [made for piece in self.reader.pieces(event) for made in self._piece(piece)]
        if event.finish is not None:
            events += self._closed("incomplete" if event.finish == "length" else "completed")
        return events if self.chat.stream or self.ask.background else []

    def closing(self) -> list[dict[str, Any]]:
        ended = self.whole()
        return [self.numbered.event(f"response.{ended['status']}", response=ended)]

    def whole(self) -> dict[str, Any]:
        assert self._last is not None
        ended = self.as_json("incomplete" if self._last.finish == "length" else "completed")
        self.finished(ended)
        return ended

    def failed(self, error: Exception, status: str = "failed") -> dict[str, Any]:
        """The response of an answer that could not be ended."""
        self._closed("incomplete")
        ended = self.as_json(status)
        if status == "failed":
            ended["error"] = {"code": "server_error", "message": error_object(error)["error"]["message"]}
        self.finished(ended)
        return ended

    # -- items

    def _piece(self, piece: OutputPiece) -> list[dict[str, Any]]:
        match piece:
            case Content():
                begun = self._begin("message", {"role": "assistant", "content": []}, "content")
                return begun + self._text("output_text", "content", piece.text) if piece.text else begun
            case Reasoning():
                begun = self._begin("reasoning", {"summary": [], "content": []}, "content")
                return begun + self._text("reasoning_text", "content", piece.text) if piece.text else begun
            case CallBegun():
                call = {"call_id": f"call_{token_hex(12)}", "name": piece.name}
                if piece.name in self.chat.use.custom:
                    return [*self._closed("completed"), *self._begin("custom_tool_call", call | {"input": ""})]
                call["arguments"] = ""
                if piece.name in self.ask.spaces:
                    call["namespace"] = self.ask.spaces[piece.name]
                return [*self._closed("completed"), *self._begin("function_call", call)]
            case CallArguments():
                custom = self.output[-1]["type"] == "custom_tool_call"
                self.output[-1]["input" if custom else "arguments"] += piece.text
                kind = "custom_tool_call_input" if custom else "function_call_arguments"
                return [self._of_item(f"response.{kind}.delta", delta=piece.text, pads=True)]

    def _begin(self, kind: str, facts: dict[str, Any], part: str = "") -> list[dict[str, Any]]:
        """A new item of output, unless one of this kind is open."""
        if self._open and self.output[-1]["type"] == kind:
            return []
        events = self._closed("completed")
        self.output.append({"id": new_id(kind), "type": kind, "status": "in_progress", **facts})
        self._open = True
        at = len(self.output) - 1
        item = {**self.output[-1], **({part: []} if part else {})}
        events.append(self.numbered.event("response.output_item.added", output_index=at, item=item))
        if kind == "message":
            self.output[-1]["content"].append({"type": "output_text", "text": "", "annotations": [], "logprobs": []})
        elif kind == "reasoning":
            self.output[-1]["content"].append({"type": "reasoning_text", "text": ""})
        if part:
            empty = dict(self.output[-1]["content"][0])
            events.append(self._of_item("response.content_part.added", content_index=0, part=empty))
        return events

    def _text(self, kind: str, field: str, text: str) -> list[dict[str, Any]]:
        part = self.output[-1][field][0]
        part["text"] += text
        facts: dict[str, Any] = {"content_index": 0, "delta": text}
        if kind == "output_text":
            part["logprobs"] += self._logprobs
            facts["logprobs"], self._logprobs = self._logprobs, []
        return [self._of_item(f"response.{kind}.delta", pads=True, **facts)]

    def _closed(self, status: str) -> list[dict[str, Any]]:
        if not self._open:
            return []
        self._open = False
        item = self.output[-1]
        item["status"] = status
        events = []
        if item["type"] == "function_call":
            events.append(self._of_item("response.function_call_arguments.done", arguments=item["arguments"],
                                        name=item["name"]))  # fmt: skip
        elif item["type"] == "custom_tool_call":
            events.append(self._of_item("response.custom_tool_call_input.done", input=item["input"]))
        else:
            part = item["content"][0]
            facts = {"logprobs": part["logprobs"]} if item["type"] == "message" else {}
            events.append(self._of_item(f"response.{part['type']}.done", content_index=0, text=part["text"], **facts))
            events.append(self._of_item("response.content_part.done", content_index=0, part=dict(part)))
        at = len(self.output) - 1
        return [*events, self.numbered.event("response.output_item.done", output_index=at, item=dict(item))]

    def _of_item(self, kind: str, *, pads: bool = False, **facts: Any) -> dict[str, Any]:
        event = self.numbered.event(kind, item_id=self.output[-1]["id"], output_index=len(self.output) - 1, **facts)
        if pads and self.obfuscate:
            length = PAD_TO - len(str(facts.get("delta", "")).encode()) % PAD_TO
            event["obfuscation"] = "".join(random.choices(string.ascii_letters, k=length))
        return event

    # -- the response

    def as_json(self, status: str) -> dict[str, Any]:
        ended = status in ("completed", "incomplete", "failed", "cancelled")
        return {
            "id": self.id, "object": "response", "created_at": self.created, "status": status,
            "completed_at": self.created if status == "completed" else None,
            "error": None, "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "model": self.chat.model, "output": [dict(item) for item in self.output],
            "usage": self._usage() if ended and self._last is not None else None, **self.ask.echo,
        }  # fmt: skip

    def _usage(self) -> dict[str, Any]:
        assert self._last is not None
        last = self._last
        read = last.prompt_tokens if self.prompt_tokens is None else self.prompt_tokens
        written = last.completion_tokens
        return {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": self._last.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": self._last.reasoning_tokens},
            "total_tokens": read + written,
        }
