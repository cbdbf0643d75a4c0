"""Tools for a model whose chat template knows none: told in the system message, their results in the user's turn.

The form of a call is the one that most models have seen (NousResearch's Hermes, and Qwen's). A model that was never
trained to call goes on with any pattern that it sees: where its own turns are calls, it calls again and again. So a
call that was answered is not shown as a turn of the assistant. Its result is told in words, in the user's turn
(docs/log.md has the figures).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from creuset.text.chat import TOOLS_HEAD, TOOLS_TAIL
from creuset.types.messages import ChatMessage, ToolCall

FORM_HEAD = "Answer with JSON that follows this schema:"


def tools_in_words(
    messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]], form: Any = None
) -> list[ChatMessage]:
    """The conversation without tools, calls and results of tools: all of them told in what is said.

    `form`: the JSON schema of an answer that is no call, told behind the tools.
    """
    told: list[ChatMessage] = []
    calls: list[ToolCall] = []  # of the last message that called, as far as they are not answered
    for at, message in enumerate(messages):
        if message.role == "tool":
            _tell(told, message.content, _answered(calls, message.tool_call_id))
        elif message.tool_calls:
            calls = list(message.tool_calls)
            open_calls = _without_result(message, messages[at + 1 :])
            lines = [message.content] if message.content else []
            if lines or open_calls:
                told.append(msgspec.structs.replace(message, content="\n".join(lines + open_calls), tool_calls=()))
        else:
            told.append(message)
    if not tools:
        return told
    shown = "".join(f"\n{json.dumps(tool, ensure_ascii=False)}" for tool in tools)
    section = f"{TOOLS_HEAD}{shown}{TOOLS_TAIL}"
    if form is not None:
        section += f"\n\n{FORM_HEAD}\n{json.dumps(form, ensure_ascii=False)}"
    if told and told[0].role == "system":
        first = msgspec.structs.replace(told[0], content=f"{told[0].content}\n\n{section}")
        return [first, *told[1:]]
    return [ChatMessage(role="system", content=section), *told]


def _answered(calls: list[ToolCall], id: str | None) -> ToolCall | None:
    """The call that a result belongs to, taken out of `calls`: the one with its id, or else the first."""
    found = next((call for call in calls if id is not None and call.id == id), calls[0] if calls else None)
    if found is not None:
        calls.remove(found)
    return found


def _tell(told: list[ChatMessage], result: str, call: ToolCall | None) -> None:
    """A result, in the user's turn."""
    who = "A function" if call is None else f"The function {call.name} was called with {call.arguments} and"
    words = f"{who} returned:\n{result}"
    if told and told[-1].role == "user":
        told[-1] = msgspec.structs.replace(told[-1], content=f"{told[-1].content}\n\n{words}")
    else:
        told.append(ChatMessage(role="user", content=words))


def _without_result(message: ChatMessage, behind: Sequence[ChatMessage]) -> list[str]:
    """The calls of `message` that no result comes for, as the model writes them."""
    calls = list(message.tool_calls)
    for result in behind:
        if result.role != "tool":
            break
        _answered(calls, result.tool_call_id)
    return [
        f'<tool_call>\n{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}\n</tool_call>'
        for call in calls
    ]
