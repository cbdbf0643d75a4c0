"""Messages <-> token ids with a training mask: the only place a template lives.

A conversation becomes pieces. What the template says is trusted: its control tokens become ids. What messages,
tools and tool results say is not: it is encoded as bytes, so that nobody can end a message or open one from inside
it. `render` joins the pieces to the text that `chat_template.jinja` gives; the tests hold the two together.

With `thinking=None` (a model that does not think aloud) the result is Qwen2.5's; with True or False it is Qwen3's
with `enable_thinking`. Two things are not Qwen2.5's: no system prompt is put in unless `default_system` says so, and
a tool call's arguments given as a string, as OpenAI's API does, are taken as the JSON they are.

Reading order: `encode_chat`, `_parts`. `types/messages.py` checks what comes in.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.errors import RequestError
from creuset.text.tokenizer import Tokenizer
from creuset.types.messages import ChatMessage, parse_messages, parse_tools

_RESPONSE = ("<tool_response>", "</tool_response>")
TOOLS_HEAD = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
TOOLS_TAIL = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)


def chat_template() -> str:
    """The Jinja template that is saved with every tokenizer."""
    return (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Encoded:
    ids: list[int]
    mask: list[int]  # 1 where the id is the assistant's own: what is trained on


@dataclass(frozen=True, slots=True)
class TemplatePart:
    text: str
    trusted: bool = True  # the template's: control tokens in it are recognised
    trained: bool = False  # the assistant's
    cut: bool = False  # ids never join it with what came before: generation begins here


def render(
    messages: Sequence[Mapping[str, Any] | ChatMessage],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = False,
    continue_final_message: bool = False,
    thinking: bool | None = None,
    default_system: str | None = None,
) -> str:
    """The prompt as text. RequestError names the part of `messages` or `tools` that is not as OpenAI's API has it."""
    parsed, shown = parse_messages(messages, "lenient"), parse_tools(tools, "lenient")
    parts = _parts(parsed, shown, add_generation_prompt, thinking, default_system, continue_final_message)
    return "".join(part.text for part in parts)


def encode_chat(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, Any] | ChatMessage],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = False,
    continue_final_message: bool = False,
    thinking: bool | None = None,
    default_system: str | None = None,
) -> Encoded:
    """Ids of the prompt, equal to those of the rendered text where no message names a control token.

    The mask is 1 on what the assistant says, thoughts, tool calls and <|im_end|> included, and 0 on role headers and
    everybody else; an assistant message with `weight` 0 is not trained on (as in OpenAI's fine-tuning files).
    """
    parsed, shown = parse_messages(messages, "lenient"), parse_tools(tools, "lenient")
    parts = _parts(parsed, shown, add_generation_prompt, thinking, default_system, continue_final_message)
    control = re.compile("|".join(re.escape(name) for name in sorted(tokenizer.special, key=len, reverse=True)))
    ids: list[int] = []
    mask: list[int] = []
    run: list[str] = []  # text since the last control token: cut into words as one, like the rendered text
    trained = False

    def flush() -> None:
        found = tokenizer.encode("".join(run)) if run else []
        ids.extend(found)
        mask.extend([int(trained)] * len(found))
        run.clear()

    for part in parts:
        if part.cut or part.trained != trained:
            flush()
        trained = part.trained
        if not part.trusted:
            run.append(part.text)
            continue
        start = 0
        for match in control.finditer(part.text):
            run.append(part.text[start : match.start()])
            flush()
            ids.append(tokenizer.special[match.group()])
            mask.append(int(trained))
            start = match.end()
        run.append(part.text[start:])
    flush()
    return Encoded(ids, mask)


def _parts(
    messages: list[ChatMessage],
    tools: list[Any],
    generate: bool,
    thinking: bool | None,
    default_system: str | None,
    go_on: bool = False,
) -> Iterator[TemplatePart]:
    if go_on:
        check_continues(messages, generate)
    yield from _system(messages, tools, default_system)
    asked = _last_question(messages)
    for at, message in enumerate(messages):
        if message.role == "assistant":
            last = at == len(messages) - 1
            yield from _assistant(message, thinking, may_think=at > asked, last=last, open_end=last and go_on)
        elif message.role == "tool":
            yield from _tool(messages, at)
        elif message.role == "user" or at:
            yield TemplatePart(f"<|im_start|>{message.role}\n")
            yield TemplatePart(message.content, trusted=False)
            yield TemplatePart("<|im_end|>\n")
    if generate:
        yield TemplatePart("<|im_start|>assistant\n")
        if thinking is False:
            yield TemplatePart("<think>\n\n</think>\n\n", cut=True)


def check_continues(messages: list[ChatMessage], generate: bool) -> None:
    """Refuse to continue the final message where there is nothing of the assistant's to go on with."""
    if generate or messages[-1].role != "assistant" or messages[-1].tool_calls:
        reason = "no new one may begin" if generate else "the last message must be the assistant's, without calls"
        raise RequestError(f"to continue the final message, {reason}", param="continue_final_message")


def _system(messages: list[ChatMessage], tools: list[Any], default_system: str | None) -> Iterator[TemplatePart]:
    said = messages[0].content if messages[0].role == "system" else default_system
    if said is None and not tools:
        return
    yield TemplatePart("<|im_start|>system\n")
    if said is not None:
        yield TemplatePart(said, trusted=False)
    if tools:
        yield TemplatePart(("\n\n" if said is not None else "") + TOOLS_HEAD)
        for tool in tools:
            yield TemplatePart("\n")
            yield TemplatePart(json.dumps(tool, ensure_ascii=False), trusted=False)
        yield TemplatePart(TOOLS_TAIL)
    yield TemplatePart("<|im_end|>\n")


def _last_question(messages: list[ChatMessage]) -> int:
    """Place of the last user message that is not a tool's answer: thoughts are shown after it only."""
    for at in range(len(messages) - 1, -1, -1):
        content = messages[at].content
        if messages[at].role == "user" and not (content.startswith(_RESPONSE[0]) and content.endswith(_RESPONSE[1])):
            return at
    return len(messages) - 1


def _assistant(
    message: ChatMessage, thinking: bool | None, *, may_think: bool, last: bool, open_end: bool
) -> Iterator[TemplatePart]:
    yield TemplatePart("<|im_start|>assistant\n")
    trained, cut = message.weight > 0, True
    shown = content = message.content
    if thinking is not None:
        reasoning, content = _split_reasoning(message)
        shown = content
        if may_think and (last or reasoning):
            shown = content.lstrip("\n")
            # Without thinking the empty block is part of the prompt, so the model need not learn to write it.
            own = trained and bool(reasoning or thinking)
            yield TemplatePart("<think>\n", trained=own, cut=True)
            yield TemplatePart(reasoning.strip("\n"), trusted=False, trained=own)
            yield TemplatePart("\n</think>\n\n", trained=own)
            cut = not own
    yield TemplatePart(shown, trusted=False, trained=trained, cut=cut)
    if open_end:
        return
    for at, call in enumerate(message.tool_calls):
        yield TemplatePart(("\n" if content or at else "") + '<tool_call>\n{"name": "', trained=trained)
        yield TemplatePart(f'{call.name}", "arguments": {call.arguments}', trusted=False, trained=trained)
        yield TemplatePart("}\n</tool_call>", trained=trained)
    yield TemplatePart("<|im_end|>", trained=trained)
    yield TemplatePart("\n")


def _split_reasoning(message: ChatMessage) -> tuple[str, str]:
    """Thoughts and reply: from `reasoning_content`, else from a <think> block that a client left in the content."""
    content = message.content
    if message.reasoning is not None:
        return message.reasoning, content
    if "</think>" not in content:
        return "", content
    reasoning = content.split("</think>")[0].rstrip("\n").split("<think>")[-1].lstrip("\n")
    return reasoning, content.split("</think>")[-1].lstrip("\n")


def _tool(messages: list[ChatMessage], at: int) -> Iterator[TemplatePart]:
    """Results of calls made together go into one user turn."""
    if at == 0 or messages[at - 1].role != "tool":
        yield TemplatePart("<|im_start|>user")
    yield TemplatePart("\n<tool_response>\n")
    yield TemplatePart(messages[at].content, trusted=False)
    yield TemplatePart("\n</tool_response>")
    if at == len(messages) - 1 or messages[at + 1].role != "tool":
        yield TemplatePart("<|im_end|>\n")
