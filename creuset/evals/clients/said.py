"""What an endpoint of OpenAI's dialect said: text, thought and calls, in each shape that servers give them. No torch.

content     a string, or a list of parts: text, and thinking that is kept apart (Mistral's reasoning models)
tool calls  arguments as JSON text, or as an object; with an id, or without
a stream    the same in pieces
"""

import json
from dataclasses import dataclass, field
from typing import Any

from creuset.evals.clients.http import Broken, Json

THOUGHTS = ("thinking", "reasoning", "reasoning_text", "summary_text")


@dataclass(slots=True)
class ChatAnswer:
    """One choice of a reply."""

    text: str = ""
    reasoning: str = ""
    calls: list[Json] = field(default_factory=list)

    def add(self, message: Json) -> None:
        """A whole message, or the delta of a stream. Raises TypeError, KeyError for what is neither."""
        text, thought = parts_of(message.get("content"))
        self.text += text
        self.reasoning += thought + "".join(
            str(message[name]) for name in ("reasoning_content", "reasoning") if isinstance(message.get(name), str)
        )
        for place, call in enumerate(message.get("tool_calls") or ()):
            self._add_call(call, place)

    def _add_call(self, call: Json, place: int) -> None:
        """Another call, or more of one that has begun: pieces of a stream have the place of their call as `index`."""
        index, function = call.get("index"), call.get("function") or {}
        at = index if isinstance(index, int) else len(self.calls) if function.get("name") else place
        while len(self.calls) <= at:
            self.calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        found, given = self.calls[at], function.get("arguments")
        found["id"] = str(call.get("id") or found["id"])
        found["function"]["name"] += str(function.get("name") or "")
        if isinstance(given, str):
            found["function"]["arguments"] += given
        elif given is not None:
            found["function"]["arguments"] = json.dumps(given, ensure_ascii=False)

    def tool_calls(self) -> tuple[Json, ...]:
        """Raises TypeError for a call without a name. One without an id gets its number as one."""
        for at, call in enumerate(self.calls):
            if not call["function"]["name"]:
                raise TypeError(f"tool call {at} has no name")
            call["id"] = call["id"] or f"call_{at}"
        return tuple(self.calls)


def parts_of(content: Any) -> tuple[str, str]:
    """The text and the thought in what stands as `content`. Raises TypeError for what is neither text nor parts."""
    if content is None or isinstance(content, str):
        return content or "", ""
    if not isinstance(content, list):
        raise TypeError(f"content is a {type(content).__name__}")
    text = thought = ""
    for part in content:
        if isinstance(part, str):
            text += part
        elif not isinstance(part, dict):
            raise TypeError(f"a part of content is a {type(part).__name__}")
        elif part.get("type") in THOUGHTS:
            inner = next((part[name] for name in (*THOUGHTS, "text") if part.get(name)), None)
            thought += "".join(parts_of(inner))
        elif isinstance(part.get("text"), str):
            text += part["text"]
        elif isinstance(part.get("refusal"), str):
            text += part["refusal"]
    return text, thought


def choice_of(body: Json, *, chat: bool) -> tuple[ChatAnswer, str]:
    """The first choice and how it ended. Raises KeyError, IndexError, TypeError, AttributeError."""
    choice, said = body["choices"][0], ChatAnswer()
    said.add(choice["message"] if chat else {"content": choice["text"]})
    return said, str(choice.get("finish_reason") or "")


def has_text(event: Json) -> bool:
    """Whether an event of a stream brings text."""
    for choice in event.get("choices") or []:
        delta = choice.get("delta") or {}
        if choice.get("text") or any(delta.get(name) for name in ("content", "reasoning_content", "reasoning")):
            return True
    return False


def join_stream(events: list[Json]) -> Json:
    """The body that the chunks of a stream stand for. Broken where the stream ended before the reply did."""
    said, finish, chat = ChatAnswer(), None, False
    body: Json = {}
    try:
        for event in events:
            body |= {k: event[k] for k in ("model", "usage") if event.get(k)}
            for choice in event.get("choices") or []:
                delta = choice.get("delta")
                chat = chat or delta is not None
                said.add({"content": choice.get("text")} if delta is None else delta)
                finish = choice.get("finish_reason") or finish
    except (TypeError, AttributeError, KeyError) as error:
        raise Broken("broken_json", f"an event of the stream without text: {error!r}") from None
    if finish is None:
        raise Broken("truncated", f"the stream ended after {len(events)} events without a finish_reason")
    message: Json = {"content": said.text, "reasoning_content": said.reasoning, "tool_calls": said.calls}
    return {**body, "choices": [{"finish_reason": finish} | ({"message": message} if chat else {"text": said.text})]}
