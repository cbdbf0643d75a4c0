"""Tools for a model whose chat template knows none: told in the system message, called and answered in plain words.

The form is the one that most models have seen (NousResearch's Hermes, and Qwen's). A model that was never trained to
call may still do so where it is made to by a grammar.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from creuset.text.chat import TOOLS_HEAD, TOOLS_TAIL
from creuset.types.messages import ChatMessage


def tools_in_words(messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]]) -> list[ChatMessage]:
    """The conversation without tools, calls and results of tools: all of them told in what is said."""
    told: list[ChatMessage] = []
    for at, message in enumerate(messages):
        if message.role == "tool":
            answer = f"<tool_response>\n{message.content}\n</tool_response>"
            if at and messages[at - 1].role == "tool":  # results of calls made together go into one turn
                told[-1] = msgspec.structs.replace(told[-1], content=f"{told[-1].content}\n{answer}")
            else:
                told.append(ChatMessage(role="user", content=answer))
        elif message.tool_calls:
            calls = [
                f'<tool_call>\n{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}\n</tool_call>'
                for call in message.tool_calls
            ]
            said = "\n".join([message.content, *calls] if message.content else calls)
            told.append(msgspec.structs.replace(message, content=said, tool_calls=()))
        else:
            told.append(message)
    if not tools:
        return told
    shown = "".join(f"\n{json.dumps(tool, ensure_ascii=False)}" for tool in tools)
    section = f"{TOOLS_HEAD}{shown}{TOOLS_TAIL}"
    if told and told[0].role == "system":
        first = msgspec.structs.replace(told[0], content=f"{told[0].content}\n\n{section}")
        return [first, *told[1:]]
    return [ChatMessage(role="system", content=section), *told]
