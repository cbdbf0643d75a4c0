"""Items: what goes into a response and comes out of it. Read, kept and shown in one form, and told to the model.

The kinds that a model of text has: messages, calls of functions and their outputs, reasoning, and notes that stand for
a conversation. A reference names an item that is kept. Others (images, files, tools that OpenAI runs) are refused by
name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from secrets import token_hex
from typing import Any

import msgspec

from creuset.server.responses.notes import unpack
from creuset.types.fields import Fields, show
from creuset.types.messages import ChatMessage, Role, ToolCall, custom_call

Item = dict[str, Any]
_PREFIX = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs",
           "compaction": "cmp", "custom_tool_call": "ctc", "custom_tool_call_output": "ctco"}  # fmt: skip
CALLS = ("function_call", "custom_tool_call")
CALL_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_TEXT_PARTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
_PASSED = (
    "id",
    "status",
    "phase",
    "caller",
    "created_by",
    "namespace",
    "annotations",
    "logprobs",
    "prompt_cache_breakpoint",
)


def new_id(kind: str) -> str:
    return f"{_PREFIX[kind]}_{token_hex(24)}"


def parse_input(fields: Fields, name: str, find: Callable[[str], Item | None]) -> list[Item]:
    """The items of the field `name`, in the form they are kept in. `find`: a kept item by its id."""
    value = fields.take(name)
    if value is None:
        return []
    if isinstance(value, str):
        return [message_item("user", [{"type": "input_text", "text": value}])]
    return [_item(item, find) for item in fields.objects(name, value, "items")]


def _item(item: Fields, find: Callable[[str], Item | None]) -> Item:
    kind = item.text("type") or ("message" if item.peek("role") is not None else "item_reference")
    given = item.text("id")
    if kind == "item_reference":
        found = find(given or "")
        if found is None:
            raise item.refuse("id", f"names no item that is kept here: {show(given)}")
        return found
    read = _KINDS.get(kind)
    if read is None:
        raise item.refuse("type", f"is {show(kind)}, which is not served here", code="unsupported_value")
    made = read(item)
    for name in _PASSED:
        item.take(name)
    item.refuse_rest(empty=True)
    return made | {"id": given or new_id(kind)}


def message_item(role: str, content: list[dict[str, Any]]) -> Item:
    return {"id": new_id("message"), "type": "message", "role": role, "status": "completed", "content": content}


def _read_message(item: Fields) -> Item:
    role = item.text("role")
    if role not in ("user", "assistant", "system", "developer"):
        raise item.refuse("role", f'must be "user", "assistant", "system" or "developer", got {show(role)}')
    content = item.take("content")
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else _parts(item, content, "content")
    if role == "assistant":
        parts = [{"type": "output_text", "text": part["text"], "annotations": []} for part in parts]
    return message_item(role, parts)


def _parts(item: Fields, value: Any, name: str) -> list[dict[str, Any]]:
    found = []
    for part in item.objects(name, value, "parts"):
        kind = part.text("type")
        if kind == "refusal":
            found.append({"type": "input_text", "text": part.text("refusal") or ""})
        elif kind in _TEXT_PARTS:
            text = part.text("text")
            if text is None:
                raise part.refuse("text", "is required")
            found.append({"type": "input_text", "text": text})
        else:
            words = f"is {show(kind)}, which is not served: this model reads text"
            raise part.refuse("type", words, code="unsupported_value")
        for passed in _PASSED:
            part.take(passed)
        part.refuse_rest(empty=True)
    return found


def _read_call(item: Fields) -> Item:
    call_id, name, arguments = item.text("call_id"), item.text("name"), item.text("arguments")
    for field, value in (("call_id", call_id), ("name", name), ("arguments", arguments)):
        if value is None:
            raise item.refuse(field, "is required")
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, "status": "completed"}


def _read_custom_call(item: Fields) -> Item:
    call_id, name, text = item.text("call_id"), item.text("name"), item.text("input")
    for field, value in (("call_id", call_id), ("name", name), ("input", text)):
        if value is None:
            raise item.refuse(field, "is required")
    return {"type": "custom_tool_call", "call_id": call_id, "name": name, "input": text, "status": "completed"}


def _read_custom_output(item: Fields) -> Item:
    return _read_output(item) | {"type": "custom_tool_call_output"}


def _read_output(item: Fields) -> Item:
    call_id, output = item.text("call_id"), item.take("output")
    if call_id is None:
        raise item.refuse("call_id", "is required: the call that this answers")
    text = output if isinstance(output, str) else "".join(part["text"] for part in _parts(item, output, "output"))
    item.text("name")
    return {"type": "function_call_output", "call_id": call_id, "output": text, "status": "completed"}


def _read_reasoning(item: Fields) -> Item:
    summary, content = item.take("summary"), item.take("content")
    item.ignore("encrypted_content")
    item.take("encrypted_content")
    said = _parts(item, content, "content") if content is not None else []
    short = _parts(item, summary, "summary") if summary is not None else []
    return {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": part["text"]} for part in short],
        "content": [{"type": "reasoning_text", "text": part["text"]} for part in said],
    }


def compaction_item(content: str) -> Item:
    """Notes of a conversation (responses/compact.py), as they are sent and come back."""
    return {"id": new_id("compaction"), "type": "compaction", "encrypted_content": content}


def _read_compaction(item: Fields) -> Item:
    content = item.text("encrypted_content")
    if content is None:
        raise item.refuse("encrypted_content", "is required: what the compaction gave")
    unpack(content)
    return compaction_item(content)


_KINDS: dict[str, Callable[[Fields], Item]] = {
    "message": _read_message, "function_call": _read_call, "function_call_output": _read_output,
    "reasoning": _read_reasoning, "compaction": _read_compaction, "custom_tool_call": _read_custom_call,
    "custom_tool_call_output": _read_custom_output,
}  # fmt: skip


def messages_of(items: Iterable[Item]) -> list[ChatMessage]:
    """The items as the chat they are. What the assistant thought, said and called in a row is one message."""
    found: list[ChatMessage] = []
    for item in items:
        kind = item["type"]
        if kind in CALL_OUTPUTS:
            found.append(ChatMessage(role="tool", content=item["output"], tool_call_id=item["call_id"]))
        elif kind == "compaction":
            found += [ChatMessage(role=note.role, content=note.text) for note in unpack(item["encrypted_content"])]
        elif kind == "message" and item["role"] != "assistant":
            role: Role = "user" if item["role"] == "user" else "system"
            found.append(ChatMessage(role=role, content=text_of(item["content"])))
        else:
            found.append(_joined(found, item))
    return found


def _joined(found: list[ChatMessage], item: Item) -> ChatMessage:
    """The assistant's message with `item` in it; it is taken out of `found` where it was begun."""
    before = ChatMessage(role="assistant", content="")
    if found and found[-1].role == "assistant" and not (item["type"] == "reasoning" and found[-1].tool_calls):
        before = found.pop()
    if item["type"] == "reasoning":
        thought = text_of(item.get("content") or item["summary"])
        return msgspec.structs.replace(before, reasoning=(before.reasoning or "") + thought or None)
    if item["type"] in CALLS:
        call = (
            custom_call(item["name"], item["input"], item["call_id"])
            if item["type"] == "custom_tool_call"
            else ToolCall(item["name"], item["arguments"] or "{}", item["call_id"])
        )
        return msgspec.structs.replace(before, tool_calls=(*before.tool_calls, call))
    return msgspec.structs.replace(before, content=before.content + text_of(item["content"]))


def text_of(parts: Sequence[Mapping[str, Any]]) -> str:
    return "".join(str(part.get("text") or "") for part in parts)
