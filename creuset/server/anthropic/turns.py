"""What is said in a request of the Messages dialect: its system prompt and its turns, as our messages."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from creuset.core.errors import RequestError
from creuset.types.fields import Fields, show
from creuset.types.messages import ChatMessage, ToolCall

_IGNORED = ("cache_control", "citations", "id", "caller", "toolset_name")  # of blocks: they change nothing here


def parse_system(fields: Fields) -> list[ChatMessage]:
    value = fields.take("system")
    if value is None:
        return []
    text = value if isinstance(value, str) else _texts(fields, value, "system")
    return [ChatMessage(role="system", content=text)] if text else []


def parse_turns(fields: Fields) -> list[ChatMessage]:
    listed = fields.items("messages")
    if not listed:
        raise fields.refuse("messages", "is required: a list with at least one message")
    found: list[ChatMessage] = []
    for at, one in enumerate(listed):
        path = f"messages[{at}]"
        if not isinstance(one, Mapping):
            raise RequestError(f"`{path}` must be an object, got {show(one)}", param=path)
        message = fields.inside(one, path)
        role, content = message.take("role"), message.take("content")
        if role not in ("user", "assistant", "system"):
            raise message.refuse("role", f'must be "user" or "assistant", got {show(role)}')
        blocks = _blocks(message, content)
        message.refuse_rest(empty=True)
        if role == "assistant":
            new = [_assistant(blocks)]
        elif role == "system":
            new = [ChatMessage(role="system", content=_joined(b for b in blocks))]
        else:
            new = list(_user(blocks))
        for one_more in new:
            if found and _one_turn(found[-1], one_more):
                found[-1] = _together(found[-1], one_more)
            else:
                found.append(one_more)
    return found


def _blocks(message: Fields, content: Any) -> list[Fields]:
    """The blocks of a message, each an object with a type; a plain text is one block."""
    if isinstance(content, str):
        return [message.inside({"type": "text", "text": content}, message.path("content"))]
    if content == []:
        raise message.refuse("content", "must be a text or a list of blocks, got []")
    return message.objects("content", content, "blocks")


def _user(blocks: list[Fields]) -> Iterable[ChatMessage]:
    """Results of tools come first: they answer the turn before."""
    texts: list[str] = []
    for block in blocks:
        if block.peek("type") == "tool_result":
            yield _result(block)
        else:
            texts.append(_text(block))
    if texts:
        yield ChatMessage(role="user", content="".join(texts))


def _result(block: Fields) -> ChatMessage:
    block.take("type")
    id, content = block.text("tool_use_id"), block.take("content")
    if not id:
        raise block.refuse("tool_use_id", "is required: the id of the call that this answers")
    text = content if isinstance(content, str) else "" if content is None else _texts(block, content, "content")
    if block.flag("is_error"):
        text = f"Error: {text}" if text else "Error"
    _finish(block)
    return ChatMessage(role="tool", content=text, tool_call_id=id)


def _assistant(blocks: list[Fields]) -> ChatMessage:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    for block in blocks:
        kind = block.peek("type")
        if kind == "tool_use":
            calls.append(_call(block))
        elif kind == "thinking":
            block.take("type")
            thoughts.append(block.text("thinking") or "")
            block.text("signature")
            _finish(block)
        elif kind == "redacted_thinking":
            block.take("type")
            block.ignore("data")
            block.take("data")
            _finish(block)
        else:
            texts.append(_text(block))
    return ChatMessage(
        role="assistant", content="".join(texts), reasoning="".join(thoughts) or None, tool_calls=tuple(calls)
    )


def _call(block: Fields) -> ToolCall:
    block.take("type")
    id, name, given = block.text("id"), block.text("name"), block.take("input")
    if not id or not name:
        raise block.refuse("name" if id else "id", "is required")
    if given is not None and not isinstance(given, dict):
        raise block.refuse("input", f"must be an object, got {show(given)}")
    _finish(block)
    return ToolCall(name, json.dumps(given or {}, ensure_ascii=False), id)


def _text(block: Fields) -> str:
    """What a block of text says; a document that is given as text is its text."""
    kind = block.take("type")
    if kind == "document":
        return _document(block)
    if kind != "text":
        raise block.refuse("type", f"is {show(kind)}, which is not served: this model reads text",
                           code="unsupported_value")  # fmt: skip
    text = block.text("text")
    if text is None:
        raise block.refuse("text", "is required")
    _finish(block)
    return text


def _document(block: Fields) -> str:
    source = block.object("source")
    if source is None:
        raise block.refuse("source", "is required")
    kind = source.text("type")
    if kind != "text":
        raise source.refuse("type", f'is served as "text" only, got {show(kind)}', code="unsupported_value")
    text = source.text("data")
    if text is None:
        raise source.refuse("data", "is required")
    source.text("media_type")
    source.refuse_rest()
    heading = [said for name in ("title", "context") if (said := block.text(name))]
    _finish(block)
    return "\n\n".join([*heading, text]) + "\n\n"


def _texts(fields: Fields, value: Any, name: str) -> str:
    return _joined(fields.objects(name, value, "blocks of text"))


def _joined(blocks: Iterable[Fields]) -> str:
    return "".join(_text(block) for block in blocks)


def _finish(block: Fields) -> None:
    """Note what changes nothing here, refuse the rest by its name."""
    for name in _IGNORED:
        if block.take(name) not in (None, [], {}):
            block.ignored[f"messages.content.{name}"] = None
    block.refuse_rest(empty=True)


def _one_turn(before: ChatMessage, now: ChatMessage) -> bool:
    return before.role == now.role and before.role in ("user", "assistant", "system")


def _together(before: ChatMessage, now: ChatMessage) -> ChatMessage:
    said = "\n\n".join(text for text in (before.content, now.content) if text)
    thought = "\n\n".join(text for text in (before.reasoning, now.reasoning) if text)
    return msgspec.structs.replace(
        before, content=said, reasoning=thought or None, tool_calls=(*before.tool_calls, *now.tool_calls)
    )
