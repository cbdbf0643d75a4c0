"""Chat messages and tools as clients send them -> the plain dicts that the template renders.

What the template has no place for (pictures, sound, names) is refused by its path, such as
`messages[2].content[0].type`.
"""

from typing import Any

import msgspec

from creuset.core.errors import RequestError
from creuset.server.openai.fields import Fields, show

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
MAX_TOOLS = 128


def take_messages(fields: Fields) -> list[dict[str, Any]]:
    listed = fields.items("messages")
    if not listed:
        raise fields.refuse("messages", "is required: a list with at least one message")
    return [_message(value, f"messages[{at}]") for at, value in enumerate(listed)]


def _message(value: Any, path: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise RequestError(f"`{path}` must be an object, got {show(value)}", param=path)
    fields = Fields(value, where=f"{path}.")
    role = fields.text("role")
    if role not in ROLES:
        raise fields.refuse("role", f"must be one of {', '.join(ROLES)}, got {show(role)}")
    content = _content(fields, f"{path}.content", "refusal" if role == "assistant" else "")
    if role == "assistant":
        message = _assistant(fields, content)
    elif content is None:
        raise fields.refuse("content", "is required")
    elif role == "tool":
        if fields.text("tool_call_id") is None:
            raise fields.refuse("tool_call_id", "is required: the id of the call that this answers")
        fields.text("name")  # repeats the call's name, which the template does not show
        message = {"role": "tool", "content": content}
    elif role == "function":
        if fields.text("name") is None:
            raise fields.refuse("name", "is required: the function whose result this is")
        message = {"role": "tool", "content": content}
    else:
        fields.not_served("name")
        message = {"role": "system" if role == "developer" else role, "content": content}
    fields.refuse_rest()
    return message


def _content(fields: Fields, path: str, also: str) -> str | None:
    value = fields.take("content")
    if value is None or type(value) is str:
        return value
    if type(value) is not list or not value:
        raise fields.refuse("content", f"must be a string or a list of text parts, got {show(value)}")
    parts = []
    for at, part in enumerate(value):
        if type(part) is not dict:
            raise RequestError(f"`{path}[{at}]` must be an object, got {show(part)}", param=f"{path}[{at}]")
        inner = Fields(part, where=f"{path}[{at}].")
        kind = inner.text("type")
        if kind not in ("text", also) or not kind:
            raise inner.refuse("type", f'is served as "text" only, got {show(kind)}', code="unsupported_value")
        text = inner.text(kind)
        if text is None:
            raise inner.refuse(kind, "is required")
        inner.refuse_rest()
        parts.append(text)
    return "".join(parts)


def _assistant(fields: Fields, content: str | None) -> dict[str, Any]:
    """An earlier reply, often exactly the object that this server gave."""
    message: dict[str, Any] = {"role": "assistant", "content": content or ""}
    refusal = fields.text("refusal")
    calls = [_call(c, fields.path(f"tool_calls[{i}]")) for i, c in enumerate(fields.items("tool_calls") or [])]
    legacy = fields.take("function_call")
    if legacy is not None:
        calls.append({"type": "function", "function": _function(legacy, fields.path("function_call"))})
    if fields.items("annotations"):
        raise fields.refuse("annotations", "is not served here", code="unsupported_parameter")
    thought = fields.text("reasoning_content")
    fields.not_served("audio", "name")
    if calls:
        message["tool_calls"] = calls
    if thought:
        message["reasoning_content"] = thought
    if content is None and not calls and refusal is None:
        raise fields.refuse("content", "is required unless there are tool calls")
    if refusal and not content:
        message["content"] = refusal
    return message


def _call(value: Any, path: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise RequestError(f"`{path}` must be an object, got {show(value)}", param=path)
    fields = Fields(value, where=f"{path}.")
    fields.text("id")
    fields.only("type", "function")
    fields.take("index")  # left by clients that put streamed deltas together
    function = _function(fields.take("function"), f"{path}.function")
    fields.refuse_rest()
    return {"type": "function", "function": function}


def _function(value: Any, path: str) -> dict[str, Any]:
    """Name and arguments. These stay the JSON text that came, which is the text that the model once wrote."""
    if type(value) is not dict:
        raise RequestError(f"`{path}` must be an object, got {show(value)}", param=path)
    fields = Fields(value, where=f"{path}.")
    name, text = fields.text("name"), fields.take("arguments")
    if not name:
        raise fields.refuse("name", "is required")
    if type(text) is not str:
        raise fields.refuse("arguments", f"must be a string that holds JSON, got {show(text)}")
    try:
        arguments = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError as error:
        raise fields.refuse("arguments", f"must hold JSON: {error}") from None
    if type(arguments) is not dict:
        raise fields.refuse("arguments", f"must hold a JSON object, got {show(arguments)}")
    fields.refuse_rest()
    return {"name": name, "arguments": text or "{}"}


def take_tools(fields: Fields) -> tuple[list[dict[str, Any]], bool]:
    """The tools that the template shows, and whether replies use the deprecated `function_call` form."""
    tools, functions = fields.items("tools"), fields.items("functions")
    if tools and functions:
        raise fields.refuse("functions", "is the old name of `tools`: give one of the two")
    legacy = bool(functions)
    if functions:
        tools = [{"type": "function", "function": f} for f in functions]
    tools = tools or []
    if len(tools) > MAX_TOOLS:
        raise fields.refuse("tools", f"takes at most {MAX_TOOLS} tools, got {len(tools)}")
    checked = [_tool(t, f"tools[{at}]") for at, t in enumerate(tools)]
    offered = _choice(fields, "function_call" if legacy else "tool_choice", bool(tools))
    fields.not_served("tool_choice" if legacy else "function_call")
    return (checked if offered else []), legacy


def _tool(value: Any, path: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise RequestError(f"`{path}` must be an object, got {show(value)}", param=path)
    fields = Fields(value, where=f"{path}.")
    if fields.take("type") != "function":
        raise fields.refuse("type", f'is served as "function" only, got {show(value.get("type"))}')
    function = fields.take("function")
    if type(function) is not dict:
        raise fields.refuse("function", f"must be an object, got {show(function)}")
    fields.refuse_rest()
    inner = Fields(function, where=f"{path}.function.")
    name = inner.text("name", max_chars=64)
    if not name or not all(c.isascii() and (c.isalnum() or c in "_-") for c in name):
        raise inner.refuse("name", f"must have 1 to 64 letters, digits, `_` or `-`, got {show(name)}")
    inner.text("description")
    parameters = inner.take("parameters")
    if parameters is not None and type(parameters) is not dict:
        raise inner.refuse("parameters", f"must be a JSON schema, got {show(parameters)}")
    inner.only("strict", False)
    inner.refuse_rest()
    return {"type": "function", "function": {k: v for k, v in function.items() if k != "strict" and v is not None}}


def _choice(fields: Fields, name: str, has_tools: bool) -> bool:
    """Whether the model is shown the tools."""
    value = fields.take(name)
    if value is None:
        return True
    if value in ("required",) or type(value) is dict:
        raise fields.refuse(name, f'is served as "none" or "auto" only, got {show(value)}', code="unsupported_value")
    if value not in ("none", "auto"):
        raise fields.refuse(name, f'must be "none" or "auto", got {show(value)}')
    if not has_tools and value == "auto":
        raise fields.refuse(name, "is allowed only with tools")
    return bool(value == "auto")
