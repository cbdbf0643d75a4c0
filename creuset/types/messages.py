"""Chat messages and tools: one parser for the server, the chat template and the training data.

`parse_messages` and `parse_tools` read OpenAI's shapes. Every refusal is a RequestError whose `param` is the path of
the part, such as `messages[2].tool_calls[0].function.name`.

strict    what an API takes: the answer depends on each field, so each is obeyed or refused by its name.
lenient   what people keep in files, and what Python callers write. Accepted besides: `weight` (0: an assistant message
          that is shown and not trained on), a tool result without `tool_call_id`, calls and tools without their
          `function` wrapper, arguments as an object, an empty list of parts, other keys in a part, any tool name.

In both, a field that nobody knows may be there as long as it is empty: clients send back what they were given, with
empty fields of newer API versions in it. A message's `name` is shown to a model whose chat template asks for it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

import msgspec

from creuset.core.errors import RequestError
from creuset.types.fields import Fields, show

Mode = Literal["strict", "lenient"]
Role = Literal["system", "user", "assistant", "tool"]

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
MAX_TOOLS = 128
# What clients send back of earlier replies, or note for other providers. It changes nothing, and is named as ignored.
HARMLESS = (
    "id", "status", "annotations", "parsed", "parsed_arguments", "reasoning_details", "thinking_blocks",
    "provider_specific_fields", "extra_content", "cache_control", "created_at",
)  # fmt: skip


CUSTOM_INPUT = "input"  # the one argument of a custom tool, as models are shown it


class ToolCall(msgspec.Struct, frozen=True):
    name: str
    arguments: str  # JSON text of an object, to the letter as the model wrote it
    id: str = ""


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    role: Role  # `developer` is read as `system`, `function` as `tool`
    content: str
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    weight: float = 1.0  # 0: an assistant message that is shown and not trained on
    name: str | None = None  # who speaks, or the tool whose result this is; some models' templates show it
    tool_call_id: str | None = None  # the call that a tool's result answers


def parse_messages(messages: Any, mode: Mode, *, ignored: dict[str, None] | None = None) -> list[ChatMessage]:
    """A conversation as it was sent; messages that are parsed already stay as they are.

    `ignored` gets the names of fields that were given and change nothing.
    """
    if messages is None or (isinstance(messages, Sequence) and len(messages) == 0):
        raise RequestError("`messages` is required: a list with at least one message", param="messages")
    if not _is_list(messages):
        raise RequestError(f"`messages` must be a list, got {show(messages)}", param="messages")
    ignored = {} if ignored is None else ignored
    return [
        one if isinstance(one, ChatMessage) else _message(one, f"messages[{at}]", mode == "lenient", ignored)
        for at, one in enumerate(messages)
    ]


def parse_tools(tools: Any, mode: Mode, *, where: str = "tools") -> list[dict[str, Any]]:
    """The tools as the template shows them. Parsed strictly they are without `strict` and without null fields.

    `where`: the field they came in; the deprecated `functions` has them without their `function` wrapper.
    """
    if tools is None:
        return []
    if not _is_list(tools):
        raise RequestError(f"`{where}` must be a list, got {show(tools)}", param=where)
    if mode == "lenient":
        return [_any_tool(tool, f"{where}[{at}]") for at, tool in enumerate(tools)]
    if len(tools) > MAX_TOOLS:
        raise RequestError(f"`{where}` takes at most {MAX_TOOLS} tools, got {len(tools)}", param=where)
    inside = ".function" if where == "tools" else ""
    found = [_tool(tool, f"{where}[{at}]", inside) for at, tool in enumerate(tools)]
    first: dict[str, int] = {}
    for at, tool in enumerate(found):
        name = tool["function"]["name"]
        if first.setdefault(name, at) != at:
            path = f"{where}[{at}]{inside}.name"
            raise RequestError(f"`{path}` is {show(name)}, which `{where}[{first[name]}]` has already", param=path)
    return found


def is_tool_name(name: str | None) -> TypeGuard[str]:
    return bool(name) and all(c.isascii() and (c.isalnum() or c in "_-") for c in name or "")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _object(value: Any, path: str, ignored: dict[str, None] | None = None) -> Fields:
    if not isinstance(value, Mapping):
        raise RequestError(f"`{path}` must be an object, got {show(value)}", param=path)
    return Fields(value, where=f"{path}.", ignored=ignored)


def _message(value: Any, path: str, lenient: bool, ignored: dict[str, None]) -> ChatMessage:
    fields = _object(value, path, ignored)
    role = fields.take("role")
    if not isinstance(role, str) or role not in ROLES:
        raise fields.refuse("role", f"must be one of {', '.join(ROLES)}, got {show(role)}")
    for name in ("tool_calls", "reasoning_content", "reasoning"):
        if role != "assistant" and fields.peek(name) not in (None, "", [], ()):
            raise fields.refuse(name, f"belongs to the assistant, not to {role}", code="unknown_parameter")
    weight = fields.take("weight") if lenient else None
    if isinstance(weight, bool) or weight not in (None, 0, 1):
        raise fields.refuse("weight", f"must be 0 or 1, got {show(weight)}")
    content = _content(fields, path, "refusal" if role == "assistant" else "", lenient)
    if role == "assistant":
        message = _assistant(fields, content, path, lenient, 1.0 if weight is None else float(weight))
        fields.not_served("audio")
        answers = None
    elif content is None:
        raise fields.refuse("content", "is required")
    else:
        answers = fields.text("tool_call_id") if role == "tool" else None
        if role == "tool" and answers is None and not lenient:
            raise fields.refuse("tool_call_id", "is required: the id of the call that this answers")
        if role == "function" and fields.peek("name") is None:
            raise fields.refuse("name", "is required: the function whose result this is")
        read: dict[str, Role] = {"developer": "system", "system": "system", "user": "user"}
        message = ChatMessage(role=read.get(role, "tool"), content=content)
    if (speaker := fields.text("name")) is not None:
        ignored["messages.name"] = None
    _pass_over(fields, "messages")
    fields.refuse_rest(empty=True)
    if speaker is None and answers is None:
        return message
    return msgspec.structs.replace(message, name=speaker, tool_call_id=answers)


def _content(fields: Fields, path: str, also: str, lenient: bool) -> str | None:
    """Text, or text parts joined. `also` names another kind of part that holds text."""
    value = fields.take("content")
    if value is None or isinstance(value, str):
        return value
    if not _is_list(value) or not (value or lenient):
        raise fields.refuse("content", f"must be a string or a list of text parts, got {show(value)}")
    parts = []
    for at, part in enumerate(value):
        inner = _object(part, f"{path}.content[{at}]", fields.ignored)
        kind = inner.text("type")
        if kind not in ("text", also) or not kind:
            raise inner.refuse("type", f'is served as "text" only, got {show(kind)}', code="unsupported_value")
        text = inner.text(kind)
        if text is None:
            raise inner.refuse(kind, "is required")
        if not lenient:
            _pass_over(inner, "messages.content")
            inner.refuse_rest(empty=True)
        parts.append(text)
    return "".join(parts)


def _pass_over(fields: Fields, where: str) -> None:
    """Take what changes nothing, and note what of it was given."""
    for name in HARMLESS:
        if fields.take(name) not in (None, [], {}):
            fields.ignored[f"{where}.{name}"] = None


def _assistant(fields: Fields, content: str | None, path: str, lenient: bool, weight: float) -> ChatMessage:
    """An earlier reply, often exactly the object that this server gave."""
    refusal = fields.text("refusal")
    listed = fields.take("tool_calls")
    if listed is not None and not _is_list(listed):
        raise fields.refuse("tool_calls", f"must be a list, got {show(listed)}")
    calls = [_call(call, f"{path}.tool_calls[{at}]", lenient, fields.ignored) for at, call in enumerate(listed or [])]
    legacy = fields.take("function_call")
    if legacy is not None:
        calls.append(_function(legacy, f"{path}.function_call", lenient, fields.ignored))
    if lenient and content is None and not calls and refusal is None:  # an API takes back an answer of no words
        raise fields.refuse("content", "is required unless there are tool calls")
    reasoning, other = fields.text("reasoning_content"), fields.text("reasoning")  # vLLM has two names for it
    return ChatMessage(
        role="assistant",
        content=content or refusal or "",
        reasoning=other if reasoning is None else reasoning,
        tool_calls=tuple(calls),
        weight=weight,
    )


def _call(value: Any, path: str, lenient: bool, ignored: dict[str, None]) -> ToolCall:
    fields = _object(value, path, ignored)
    id = fields.text("id") or ""
    if fields.peek("type") == "custom":
        return _custom_call(fields, id)
    fields.only("type", "function")
    fields.take("index")  # left by clients that put streamed deltas together
    if lenient and fields.peek("function") is None:
        call = _function(value, f"{path}.function", lenient, ignored)
        return msgspec.structs.replace(call, id=id) if id else call
    call = _function(fields.take("function"), f"{path}.function", lenient, ignored)
    _pass_over(fields, "messages.tool_calls")
    fields.refuse_rest(empty=True)
    return msgspec.structs.replace(call, id=id) if id else call


def _custom_call(fields: Fields, id: str) -> ToolCall:
    """A call of a custom tool, whose input is a text."""
    fields.take("type")
    fields.take("index")
    custom = fields.object("custom")
    if custom is None:
        raise fields.refuse("custom", "is required: an object with `name` and `input`")
    name, text = custom.text("name"), custom.text("input")
    if not name or text is None:
        raise custom.refuse("input" if name else "name", "is required")
    _pass_over(custom, "messages.tool_calls.custom")
    custom.refuse_rest(empty=True)
    _pass_over(fields, "messages.tool_calls")
    fields.refuse_rest(empty=True)
    return custom_call(name, text, id)


def custom_call(name: str, text: str, id: str) -> ToolCall:
    """A call of a custom tool as the model writes it: a function with one argument."""
    return ToolCall(name, json.dumps({CUSTOM_INPUT: text}, ensure_ascii=False), id)


def _function(value: Any, path: str, lenient: bool, ignored: dict[str, None]) -> ToolCall:
    """Name and arguments. These stay the JSON text that came, which is the text that the model once wrote.

    An answer may end in the middle of a call. Its arguments are no JSON then, and an API takes back what it sent.
    """
    fields = _object(value, path, ignored)
    name, text = fields.text("name"), fields.take("arguments")
    if not name:
        raise fields.refuse("name", "is required")
    if lenient and isinstance(text, Mapping):
        return ToolCall(name, _json(text, fields.path("arguments")))
    if not isinstance(text, str):
        raise fields.refuse("arguments", f"must be a string that holds JSON, got {show(text)}")
    try:
        arguments = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        if lenient or not text.lstrip().startswith("{"):
            raise fields.refuse("arguments", f"must hold JSON: {error}") from None
        arguments = {}
    if type(arguments) is not dict:
        raise fields.refuse("arguments", f"must hold a JSON object, got {show(arguments)}")
    if not lenient:
        _pass_over(fields, "messages.tool_calls.function")
        fields.refuse_rest(empty=True)
    return ToolCall(name, text or "{}")


def _tool(value: Any, path: str, inside: str) -> dict[str, Any]:
    fields = _object(value, path)
    kind = fields.take("type")
    if kind != "function":
        raise fields.refuse("type", f'is served as "function" only, got {show(kind)}')
    function = fields.take("function")
    inner = _object(function, f"{path}{inside}")
    fields.refuse_rest()
    name = inner.text("name", max_chars=64)
    if not is_tool_name(name):
        raise inner.refuse("name", f"must have 1 to 64 letters, digits, `_` or `-`, got {show(name)}")
    inner.text("description")
    parameters = inner.take("parameters")
    if parameters is not None and type(parameters) is not dict:
        raise inner.refuse("parameters", f"must be a JSON schema, got {show(parameters)}")
    if parameters and parameters.get("type", "object") != "object":
        words = f'must be "object": arguments are given by name, got {show(parameters["type"])}'
        raise RequestError(f"`{inner.path('parameters.type')}` {words}", param=inner.path("parameters.type"))
    inner.flag("strict")
    inner.refuse_rest()
    return {"type": "function", "function": {k: v for k, v in function.items() if k != "strict" and v is not None}}


def _any_tool(value: Any, path: str) -> dict[str, Any]:
    """The tool as it came: the template shows it whole."""
    fields = _object(value, path)
    function = value if fields.peek("function") is None else fields.take("function")
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str) or not name:
        raise RequestError(f"`{path}.function.name` must be a non-empty string", param=f"{path}.function.name")
    _json(value, path)
    return dict(value)


def _json(value: Any, path: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise RequestError(f"`{path}` is not JSON: {error}", param=path) from None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation that was held: what was asked, what was answered, how the answer ended, turn by turn."""

    language: str
    turns: tuple[tuple[str, str, str], ...]
    max_tokens: int  # of a reply

    @property
    def stopped(self) -> bool:
        """Whether every answer ended by itself."""
        return all(end == "stop" for _, _, end in self.turns)
