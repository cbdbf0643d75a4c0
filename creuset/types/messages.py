"""What a conversation may look like: OpenAI's messages and tools, checked and named when they are not.

Every refusal is a RequestError whose `param` is the path of the part, such as `messages[2].tool_calls[0].function`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from creuset.core.errors import RequestError

ROLES = ("system", "developer", "user", "assistant", "tool")
# `name` is taken and, as in Qwen's template, not shown to the model.
FIELDS = {"role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content", "weight"}


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: str              # JSON text


@dataclass(frozen=True, slots=True)
class Message:
    role: str                   # `developer` is read as `system`
    content: str
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    weight: float = 1.0         # 0: an assistant message that is shown and not trained on


def checked_messages(messages: Any) -> list[Message]:
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes) or not messages:
        raise RequestError("`messages` must be a non-empty list", param="messages")
    return [_message(message, f"messages[{at}]") for at, message in enumerate(messages)]


def checked_tools(tools: Any) -> list[Any]:
    """The tools as they came: the template shows them whole."""
    if tools is None:
        return []
    if not isinstance(tools, Sequence) or isinstance(tools, str | bytes):
        raise RequestError("`tools` must be a list", param="tools")
    for at, tool in enumerate(tools):
        where = f"tools[{at}]"
        if not isinstance(tool, Mapping):
            _refuse(where, "must be an object", tool)
        function = tool.get("function", tool)
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
            _refuse(f"{where}.function.name", "must be a non-empty string", None)
        _as_json(tool, where)
    return list(tools)


def _message(message: Any, where: str) -> Message:
    if not isinstance(message, Mapping):
        _refuse(where, "must be an object", message)
    role = message.get("role")
    if role not in ROLES:
        _refuse(f"{where}.role", f"must be one of {', '.join(ROLES)}", role)
    for key, value in message.items():
        # Clients send back what they were given, with empty fields of newer API versions in it.
        if key not in FIELDS and value not in (None, [], {}):
            raise RequestError(f"`{where}.{key}` is not supported by this server", param=f"{where}.{key}")
    calls = message.get("tool_calls") or ()
    reasoning = message.get("reasoning_content")
    for key, value in (("tool_calls", calls), ("reasoning_content", reasoning)):
        if value and role != "assistant":
            raise RequestError(f"`{where}.{key}` belongs to the assistant, not to {role}", param=f"{where}.{key}")
    if not isinstance(calls, Sequence) or isinstance(calls, str | bytes):
        _refuse(f"{where}.tool_calls", "must be a list", calls)
    if reasoning is not None and not isinstance(reasoning, str):
        _refuse(f"{where}.reasoning_content", "must be a string", reasoning)
    weight = message.get("weight", 1)
    if isinstance(weight, bool) or weight not in (0, 1):
        _refuse(f"{where}.weight", "must be 0 or 1", weight)
    return Message(
        role="system" if role == "developer" else str(role),
        content=_content(message.get("content"), f"{where}.content", optional=bool(calls)),
        reasoning=reasoning,
        tool_calls=tuple(_call(call, f"{where}.tool_calls[{at}]") for at, call in enumerate(calls)),
        weight=float(weight),
    )


def _content(content: Any, where: str, *, optional: bool) -> str:
    if isinstance(content, str):
        return content
    if content is None and optional:
        return ""
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        _refuse(where, "must be a string or a list of text parts", content)
    for at, part in enumerate(content):
        if not isinstance(part, Mapping):
            _refuse(f"{where}[{at}]", "must be an object", part)
        if part.get("type") != "text":
            _refuse(f"{where}[{at}].type", "must be `text`: this model reads text only", part.get("type"))
        if not isinstance(part.get("text"), str):
            _refuse(f"{where}[{at}].text", "must be a string", part.get("text"))
    return "".join(part["text"] for part in content)


def _call(call: Any, where: str) -> ToolCall:
    if not isinstance(call, Mapping):
        _refuse(where, "must be an object", call)
    if call.get("type", "function") != "function":
        _refuse(f"{where}.type", "must be `function`", call.get("type"))
    function = call.get("function") or call
    if not isinstance(function, Mapping):
        _refuse(f"{where}.function", "must be an object", function)
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(name, str) or not name:
        _refuse(f"{where}.function.name", "must be a non-empty string", name)
    if isinstance(arguments, Mapping):
        return ToolCall(name, _as_json(arguments, f"{where}.function.arguments"))
    if not isinstance(arguments, str):
        _refuse(f"{where}.function.arguments", "must be JSON in a string, or an object", arguments)
    return ToolCall(name, arguments)


def _as_json(value: Any, where: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise RequestError(f"`{where}` is not JSON: {error}", param=where) from None


def _refuse(where: str, must: str, value: Any) -> NoReturn:
    got = "" if value is None else f", got {str(value)[:60]!r}"
    raise RequestError(f"`{where}` {must}{got}", param=where)
