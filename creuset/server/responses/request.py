"""POST /v1/responses: the request checked field by field, as a `ChatRequest` and what a response says of itself."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from creuset.core.errors import RequestError
from creuset.server.chat.custom import CustomTool, take_custom
from creuset.server.chat.model import AskedModel
from creuset.server.chat.request import ChatRequest
from creuset.server.chat.sampling import (
    MAX_STOPS,
    MAX_TOKENS,
    StreamOptions,
    take_harmless,
    take_sampling,
    take_stop,
    take_stream,
)
from creuset.server.chat.structure import Structure, any_object, schema_structure, take_name
from creuset.server.chat.thinking import ThinkingChoice, take_thinking
from creuset.server.chat.tools import ToolUse, only_tools
from creuset.server.responses.items import CALL_OUTPUTS, CALLS, Item, messages_of
from creuset.types.fields import Fields, show
from creuset.types.messages import ChatMessage, parse_tools

# OpenAI has the first two here. The others are those of chat completions, as in vLLM.
_SAMPLING = (
    "temperature", "top_p", "top_k", "min_p", "seed", "frequency_penalty", "presence_penalty", "repetition_penalty",
    "logit_bias", "min_tokens", "stop_token_ids", "ignore_eos", "allowed_token_ids", "bad_words",
    "include_stop_str_in_output",
)  # fmt: skip
_INCLUDES = ("message.output_text.logprobs", "reasoning.encrypted_content")
MAX_PAIRS, MAX_KEY, MAX_VALUE = 16, 64, 512


@dataclass(frozen=True, kw_only=True, slots=True)
class ResponseAsk:
    """A checked request. `echo` is what the response repeats of it."""

    chat: ChatRequest
    input: list[Item]
    store: bool
    background: bool
    truncates: bool
    previous: str | None
    conversation: str | None
    echo: dict[str, Any]
    spaces: dict[str, str]  # the namespace of a function that has one


@dataclass(frozen=True, slots=True)
class PastItems:
    """What the request goes on from: the items before, and where they are from."""

    before: list[Item]
    input: list[Item]
    previous: str | None
    conversation: str | None


def parse_response(
    fields: Fields, name: str, model: AskedModel, known: PastItems, *, counting: bool = False
) -> ResponseAsk:
    """`counting`: only the prompt is asked for. RequestError names the field that is wrong or not served."""
    instructions = fields.text("instructions")
    items = [*known.before, *known.input]
    if not items and instructions is None:
        raise fields.refuse("input", "is required: a text or a list of items")
    _refuse_orphans(items)
    system = [ChatMessage(role="system", content=instructions)] if instructions else []
    use, tools, choice, spaces = _tools(fields)
    effort, thinking = _reasoning(fields, model)
    structure, form = _text(fields)
    chat = ChatRequest(
        model=name, messages=[*system, *messages_of(items)], use=use, thinking=thinking, generates=True,
        continues=False, sampling=take_sampling(Fields({}), model), max_tokens=None, limit="max_output_tokens",
        choices=1, stream=False, options=StreamOptions(), structure=structure, keep=None, ignored=(),
    )  # fmt: skip
    if counting:
        fields.ignore("truncation", "personality")
        for other in ("truncation", "personality"):
            fields.text(other)
        fields.refuse_rest()
        return ResponseAsk(
            chat=replace(chat, ignored=tuple(fields.ignored)), input=known.input, store=False, background=False,
            truncates=False, previous=known.previous, conversation=known.conversation, echo={}, spaces=spaces,
        )  # fmt: skip
    given = {one: value for one in _SAMPLING if (value := fields.take(one)) is not None}
    sampling = take_sampling(Fields(given), model)
    stops = take_stop(fields, MAX_STOPS)
    logprobs, top = _logprobs(fields)
    max_tokens = fields.integer("max_output_tokens", 1, MAX_TOKENS)
    stream, options = take_stream(fields)
    store, background = fields.flag("store") is not False, fields.flag("background") or False
    if background and not store:
        raise fields.refuse("background", "needs `store: true`: its answer is fetched later")
    truncation = fields.text("truncation") or "disabled"
    if truncation not in ("auto", "disabled"):
        raise fields.refuse("truncation", f'must be "auto" or "disabled", got {show(truncation)}')
    metadata = take_metadata(fields)
    fields.not_served("prompt", "moderation")
    harmless = {one: fields.peek(one) for one in ("max_tool_calls", "prompt_cache_key", "safety_identifier", "user")}
    fields.ignore("max_tool_calls", "context_management", "client_metadata")
    fields.integer("max_tool_calls", 1, MAX_TOKENS)
    fields.items("context_management")
    fields.object("client_metadata")
    take_harmless(fields)
    fields.refuse_rest()
    echo = {
        "instructions": instructions, "max_output_tokens": max_tokens, "metadata": metadata,
        "parallel_tool_calls": use.parallel is not False, "previous_response_id": known.previous,
        "reasoning": {"effort": effort, "summary": None}, "service_tier": "default", "store": store,
        "background": background,
        "presence_penalty": sampling.presence_penalty, "frequency_penalty": sampling.frequency_penalty,
        "temperature": sampling.temperature, "top_p": sampling.top_p, "text": form,
        "tool_choice": choice, "tools": tools, "top_logprobs": top, "truncation": truncation,
        "max_tool_calls": harmless["max_tool_calls"], "prompt_cache_key": harmless["prompt_cache_key"],
        "safety_identifier": harmless["safety_identifier"], "user": harmless["user"],
    }  # fmt: skip
    if known.conversation is not None:
        echo["conversation"] = {"id": known.conversation}
    sampling = msgspec.structs.replace(sampling, logprobs=logprobs, stop=stops)
    if effort is not None:
        given["reasoning_effort"] = effort
    chat = replace(
        chat, sampling=sampling, max_tokens=max_tokens, stream=stream, options=options, given=given,
        ignored=tuple(fields.ignored),
    )  # fmt: skip
    return ResponseAsk(
        chat=chat, input=known.input, store=store, background=background, truncates=truncation == "auto",
        previous=known.previous, conversation=known.conversation, echo=echo, spaces=spaces,
    )  # fmt: skip


def _refuse_orphans(items: Sequence[Item]) -> None:
    """A call's output must stand behind its call, as OpenAI wants it."""
    calls: set[str] = set()
    for item in items:
        if item["type"] in CALLS:
            calls.add(item["call_id"])
        elif item["type"] in CALL_OUTPUTS and item["call_id"] not in calls:
            words = f"No tool call found for function call output with call_id {show(item['call_id'])}."
            raise RequestError(words, param="input")


def take_metadata(fields: Fields) -> dict[str, str]:
    value = fields.take("metadata")
    if value is None:
        return {}
    if type(value) is not dict or not all(type(v) is str for v in value.values()):
        raise fields.refuse("metadata", f"must be an object of strings, got {show(value)}")
    if len(value) > MAX_PAIRS or any(len(k) > MAX_KEY or len(v) > MAX_VALUE for k, v in value.items()):
        words = f"takes at most {MAX_PAIRS} pairs, keys of {MAX_KEY} characters, values of {MAX_VALUE}"
        raise fields.refuse("metadata", words)
    return value


def _tools(fields: Fields) -> tuple[ToolUse, list[dict[str, Any]], Any, dict[str, str]]:
    """What the model may call; the tools and the choice as the response repeats them; namespaces of functions."""
    shown: list[dict[str, Any]] = []
    paths: list[str] = []
    echoed: list[dict[str, Any]] = []
    spaces: dict[str, str] = {}
    custom: dict[str, CustomTool] = {}
    for at, one in enumerate(fields.items("tools") or []):
        path = f"tools[{at}]"
        kind = one.get("type") if isinstance(one, dict) else None
        inner = one.get("tools") if kind == "namespace" else None
        if kind == "custom":
            made = take_custom(_without_type(fields, one, path), flat=True)
            custom[made.name] = made
            shown.append(made.shown)
            paths.append(path)
            echoed.append({name: one.get(name) for name in ("type", "name", "description", "format")})
            continue
        if kind != "function" and not isinstance(inner, list):
            words = f'must be "function", "custom" or "namespace": {show(kind)} is a tool that this server does not run'
            raise RequestError(f"`{path}.type` {words}", param=f"{path}.type", code="unsupported_value")
        group = [(path, one)] if inner is None else [(f"{path}.tools[{n}]", tool) for n, tool in enumerate(inner)]
        for where, tool in group:
            if not isinstance(tool, dict) or tool.get("type") != "function":
                raise RequestError(f'`{where}.type` must be "function", got {show(tool)}', param=f"{where}.type")
            shown.append({"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}})
            paths.append(where)
            if inner is not None:
                spaces[str(tool.get("name"))] = str(one.get("name"))
        echoed.append(one if inner is not None else _echo(one))
    tools = _checked(shown, paths)
    use = ToolUse(
        tools=tuple(tools), paths=tuple(paths), choice="auto" if tools else "none",
        strict=tuple(tool["function"].get("strict") is True for tool in shown),
        parallel=fields.flag("parallel_tool_calls"), custom=custom,
    )  # fmt: skip
    given = fields.take("tool_choice")
    return _chosen(fields, given, use), echoed, given if given is not None else "auto", spaces


def _without_type(fields: Fields, tool: dict[str, Any], path: str) -> Fields:
    found = fields.inside(tool, path)
    found.take("type")
    return found


def _echo(tool: dict[str, Any]) -> dict[str, Any]:
    said = {name: tool.get(name) for name in ("name", "description", "parameters")}
    return {"type": "function", **said, "strict": tool.get("strict") or False}


def _checked(shown: list[dict[str, Any]], paths: list[str]) -> list[dict[str, Any]]:
    """The tools, by the rules of chat completions; a refusal says where the part is in this dialect."""
    try:
        return parse_tools(shown, "strict")
    except RequestError as error:

        def here(text: str) -> str:
            return re.sub(r"tools\[(\d+)\](\.function)?", lambda found: paths[int(found[1])], text)

        raise RequestError(here(str(error)), param=here(error.param or "tools"), code=error.code) from None


def _chosen(fields: Fields, given: Any, use: ToolUse) -> ToolUse:
    if given is None or given == "auto":
        return use
    if given == "none":
        return ToolUse()
    if not use.tools:
        raise fields.refuse("tool_choice", "is allowed only with tools")
    if given == "required":
        return replace(use, choice="required")
    if not isinstance(given, dict):
        raise fields.refuse("tool_choice", f'must be "none", "auto", "required" or an object, got {show(given)}')
    choice = fields.inside(given, "tool_choice")
    kind = choice.text("type")
    if kind in ("function", "custom"):
        found = only_tools(use, [choice.text("name")], choice.path("name"), kind=kind)
        found = replace(found, choice="named")
    elif kind == "allowed_tools":
        mode, names = choice.text("mode"), choice.items("tools") or []
        if mode not in ("auto", "required"):
            raise choice.refuse("mode", f'must be "auto" or "required", got {show(mode)}')
        found = only_tools(use, [n.get("name") if isinstance(n, dict) else n for n in names], choice.path("tools"))
        found = replace(found, choice="required" if mode == "required" else "auto", chosen=True)
    else:
        served = '"function", "custom" or "allowed_tools"'
        raise choice.refuse("type", f"is served as {served} only, got {show(kind)}", code="unsupported_value")
    choice.refuse_rest()
    return found


def _reasoning(fields: Fields, model: AskedModel) -> tuple[str | None, ThinkingChoice]:
    given = fields.object("reasoning")
    effort = None
    if given is not None:
        effort = given.text("effort")
        fields.ignored.update({f"reasoning.{n}": None for n in ("summary", "generate_summary", "context")
                               if given.peek(n) is not None})  # fmt: skip
        for name in ("summary", "generate_summary", "context"):
            given.take(name)
        given.refuse_rest()
    asked = {name: fields.take(name) for name in ("enable_thinking", "thinking_budget", "chat_template_kwargs")}
    try:
        found = take_thinking(Fields({"reasoning_effort": effort} | asked), model)
    except RequestError as error:
        words = str(error).replace("`reasoning_effort`", "`reasoning.effort`")
        param = "reasoning.effort" if error.param == "reasoning_effort" else error.param
        raise RequestError(words, param=param, code=error.code) from None
    return effort, found


def _text(fields: Fields) -> tuple[Structure | None, dict[str, Any]]:
    """The form of the answer, and `text` as the response repeats it."""
    plain = {"format": {"type": "text"}, "verbosity": "medium"}
    text = fields.object("text")
    if text is None:
        return None, plain
    text.only("verbosity", "medium")
    form = text.object("format")
    text.refuse_rest()
    if form is None:
        return None, plain
    kind = form.text("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise form.refuse("type", f'must be "text", "json_object" or "json_schema", got {show(kind)}')
    said: dict[str, Any] = {"type": kind}
    structure = any_object(form.path("type")) if kind == "json_object" else None
    if kind == "json_schema":
        name = take_name(form)
        description, schema, strict = form.text("description"), form.take("schema"), form.flag("strict")
        if schema is None:
            raise form.refuse("schema", "is required: a JSON Schema")
        structure = schema_structure(schema, form.path("schema"), strict=bool(strict))
        said |= {"name": name, "description": description, "schema": schema, "strict": bool(strict)}
    form.refuse_rest()
    return structure, plain | {"format": said}


def _logprobs(fields: Fields) -> tuple[int | None, int]:
    """Log-probabilities that are wanted, and `top_logprobs` as it is repeated."""
    top = fields.integer("top_logprobs", 0, 20)
    listed: Sequence[Any] = fields.items("include") or []
    for at, one in enumerate(listed):
        if one not in _INCLUDES:
            path = f"include[{at}]"
            words = f"is {show(one)}, which is not served here: there are {', '.join(_INCLUDES)}"
            raise RequestError(f"`{path}` {words}", param=path, code="unsupported_value")
    if "reasoning.encrypted_content" in listed:
        fields.ignored["include.reasoning.encrypted_content"] = None
    wanted = _INCLUDES[0] in listed or top
    return (top or 0) if wanted else None, top or 0
