"""Replies of the Messages dialect: events -> content blocks, as a stream of its events or as one message."""

import hashlib
import json
import secrets
from typing import Any

from creuset.server.chat.answer import PieceReader
from creuset.server.chat.request import ChatRequest
from creuset.text.output import CallArguments, CallBegun, Content, OutputPiece, Reasoning
from creuset.types.generation import Event

_REASONS = {"length": "max_tokens", "tool_calls": "tool_use"}


class MessageResponse:
    def __init__(
        self, ask: ChatRequest, reader: PieceReader, prompt_tokens: int | None, *, id: str, bounded: bool = False
    ) -> None:
        """`prompt_tokens`: None where only the last event tells them.

        `bounded`: the context has less room than `max_tokens`, so an answer that is cut was cut by the context.
        """
        self._reader = reader
        self._id, self._model, self._prompt = id, ask.model, prompt_tokens
        self._stream, self._bounded = ask.stream, bounded
        self._blocks: list[dict[str, Any]] = []
        self._open = self._started = False
        self._last: Event | None = None
        self._arguments: list[str] = []  # of the call that is being written

    def opening(self) -> list[dict[str, Any]]:
        return []  # the first event tells how much of the prompt was cached

    def feed(self, index: int, event: Event) -> list[dict[str, Any]]:
        self._last = event
        events: list[dict[str, Any]] = []
        if not self._started:
            self._started = True
            head = self._message([], None, None, self._usage(event, output=0))
            events = [{"type": "message_start", "message": head}, {"type": "ping"}]
        for piece in self._reader.pieces(event):
            events += self._piece(piece)
        if event.finish is not None:
            events += self._closed()
        return events if self._stream else []

    def closing(self) -> list[dict[str, Any]]:
        assert self._last is not None
        reason, sequence = self._reason(self._last)
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        return [{"type": "message_delta", "delta": delta, "usage": self._usage(self._last)}, {"type": "message_stop"}]

    def whole(self) -> dict[str, Any]:
        assert self._last is not None
        return self._message(self._blocks, *self._reason(self._last), self._usage(self._last))

    # -- blocks

    def _piece(self, piece: OutputPiece) -> list[dict[str, Any]]:
        match piece:
            case Content():
                return [*self._block("text", {"text": ""}), *self._delta("text", "text_delta", piece.text)]
            case Reasoning():
                begun = self._block("thinking", {"thinking": "", "signature": ""})
                return [*begun, *self._delta("thinking", "thinking_delta", piece.text)]
            case CallBegun():
                call = {"id": f"toolu_{secrets.token_hex(12)}", "name": piece.name, "input": {}}
                return [*self._closed(), *self._block("tool_use", call)]
            case CallArguments():
                self._arguments.append(piece.text)
                return [self._of_block({"type": "input_json_delta", "partial_json": piece.text})]

    def _block(self, kind: str, start: dict[str, Any]) -> list[dict[str, Any]]:
        """A new block, unless one of this kind is open."""
        if self._open and self._blocks[-1]["type"] == kind:
            return []
        closed = self._closed()
        self._blocks.append({"type": kind, **start})
        self._open, self._arguments = True, []
        begun = {
            "type": "content_block_start",
            "index": len(self._blocks) - 1,
            "content_block": {"type": kind, **start},
        }
        return [*closed, begun]

    def _delta(self, field: str, kind: str, text: str) -> list[dict[str, Any]]:
        self._blocks[-1][field] += text
        return [self._of_block({"type": kind, field: text})] if text else []

    def _of_block(self, delta: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": len(self._blocks) - 1, "delta": delta}

    def _closed(self) -> list[dict[str, Any]]:
        if not self._open:
            return []
        self._open, block = False, self._blocks[-1]
        events = []
        if block["type"] == "tool_use":
            block["input"] = _object("".join(self._arguments))
        elif block["type"] == "thinking":
            # Clients drop thoughts without one. It is a digest: we take thoughts back without asking for proof.
            block["signature"] = hashlib.sha256(block["thinking"].encode()).hexdigest()
            events.append(self._of_block({"type": "signature_delta", "signature": block["signature"]}))
        return [*events, {"type": "content_block_stop", "index": len(self._blocks) - 1}]

    # -- the message

    def _message(self, content: list[dict[str, Any]], reason: str | None, sequence: str | None,
                 usage: dict[str, Any]) -> dict[str, Any]:  # fmt: skip
        return {
            "id": self._id, "type": "message", "role": "assistant", "model": self._model, "content": content,
            "stop_reason": reason, "stop_sequence": sequence, "usage": usage,
        }  # fmt: skip

    def _reason(self, event: Event) -> tuple[str, str | None]:
        if event.finish == "length":
            return ("model_context_window_exceeded" if self._bounded else "max_tokens"), None
        if self._reader.calls:
            return "tool_use", None
        if event.stop_match is not None:
            return "stop_sequence", event.stop_match
        return "end_turn", None

    def _usage(self, event: Event, output: int | None = None) -> dict[str, Any]:
        """Tokens read from the cache are not among `input_tokens`."""
        return {
            "input_tokens": (event.prompt_tokens if self._prompt is None else self._prompt) - event.cached_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": event.cached_tokens,
            "output_tokens": event.completion_tokens if output is None else output,
        }


def _object(text: str) -> dict[str, Any]:
    """The arguments of a call; of one that was cut in the middle nothing can be told."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
