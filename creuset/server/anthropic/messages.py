"""POST /v1/messages: the request checked field by field, as a `ChatRequest` that says the same.

Sources: Anthropic's API reference and the types of anthropic-sdk-python 2.14. Where its words and ours differ:

    a user's `tool_result` block      a message of the role `tool`, before what else the user says
    an assistant's `tool_use` block   a tool call
    turns of one role in a row        one turn, as Anthropic's API joins them
    a last turn of the assistant      the answer goes on where it ends
    `max_tokens`                      a most: what the context does not have room for is not refused
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from creuset.core.errors import RequestError
from creuset.server.anthropic.turns import parse_system, parse_turns
from creuset.server.chat.model import AskedModel
from creuset.server.chat.request import ChatRequest
from creuset.server.chat.sampling import MAX_STOPS, MAX_TOKENS, StreamOptions, take_sampling
from creuset.server.chat.structure import Structure, schema_structure
from creuset.server.chat.thinking import ThinkingChoice, take_thinking
from creuset.server.chat.tools import ToolUse, only_tools
from creuset.types.fields import Fields, show
from creuset.types.messages import parse_tools

EFFORTS = ("low", "medium", "high", "xhigh", "max")


def parse_request(fields: Fields, name: str, model: AskedModel) -> ChatRequest:
    """RequestError names the field that is missing, wrong or not served."""
    max_tokens = fields.integer("max_tokens", 1, MAX_TOKENS)
    if max_tokens is None:
        raise fields.refuse("max_tokens", "is required: how many tokens the answer may have at most")
    parsed = parse_prompt(fields, model, max_tokens)
    stops = _stops(fields)
    given = _sampling_fields(fields)
    sampling = take_sampling(Fields(given), model)
    stream = fields.flag("stream") or False
    _take_harmless(fields)
    fields.refuse_rest()
    return replace(
        parsed,
        model=name,
        sampling=msgspec.structs.replace(sampling, stop=stops),
        max_tokens=max_tokens,
        stream=stream,
        given={**parsed.given, **given},
        ignored=tuple(fields.ignored),
    )


def parse_count(fields: Fields, model: AskedModel) -> ChatRequest:
    """The request of /v1/messages/count_tokens: a prompt, and nothing on how to answer it."""
    parsed = parse_prompt(fields, model, None)
    _take_harmless(fields)
    fields.refuse_rest()
    return replace(parsed, ignored=tuple(fields.ignored))


def parse_prompt(fields: Fields, model: AskedModel, max_tokens: int | None) -> ChatRequest:
    """What the prompt is made of: system, messages, tools, thinking, the form of the answer."""
    system = parse_system(fields)
    messages = parse_turns(fields)
    use = _tools(fields)
    effort, structure = _output(fields)
    thinking = _thinking(fields, model, effort, max_tokens)
    continues = messages[-1].role == "assistant"
    if continues and messages[-1].tool_calls:
        raise RequestError(
            "`messages` ends with a call of a tool: its result is missing", param=f"messages[{len(messages) - 1}]"
        )
    return ChatRequest(
        model="",
        messages=[*system, *messages],
        use=use,
        thinking=thinking,
        generates=not continues,
        continues=continues,
        sampling=take_sampling(Fields({}), model),
        max_tokens=max_tokens,
        limit="max_tokens",
        choices=1,
        stream=False,
        options=StreamOptions(),
        structure=structure,
        keep=None,
        given={} if effort is None else {"reasoning_effort": effort},
        ignored=(),
    )


# -- tools, thinking, form --------------------------------------------------------------------------------------------


def _tools(fields: Fields) -> ToolUse:
    listed = fields.items("tools") or []
    shown, strict, paths = [], [], []
    for at, one in enumerate(listed):
        path = f"tools[{at}]"
        if not isinstance(one, Mapping):
            raise RequestError(f"`{path}` must be an object, got {show(one)}", param=path)
        tool = fields.inside(one, path)
        kind = tool.take("type")
        if kind not in (None, "custom"):
            words = f'is served as "custom" only, got {show(kind)}, which Anthropic runs or defines'
            raise tool.refuse("type", words, code="unsupported_value")
        name, said, schema = tool.text("name"), tool.text("description"), tool.take("input_schema")
        if not isinstance(schema, dict):
            raise tool.refuse("input_schema", f"must be a JSON schema, got {show(schema)}")
        strict.append(tool.flag("strict") is True)
        for other in ("cache_control", "input_examples", "eager_input_streaming", "defer_loading", "allowed_callers"):
            if tool.take(other) not in (None, [], {}, False):
                fields.ignored[f"tools.{other}"] = None
        tool.refuse_rest(empty=True)
        function = {"name": name, "description": said, "parameters": schema}
        shown.append({"type": "function", "function": {k: v for k, v in function.items() if v is not None}})
        paths.append(path)
    tools = _checked(shown)
    use = ToolUse(
        tools=tuple(tools), paths=tuple(paths), strict=tuple(strict), choice="auto" if tools else "none",
        schema_field="input_schema",
    )  # fmt: skip
    return _chosen(fields, use)


def _checked(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tools, by the rules for those of OpenAI's dialect; a refusal says what this dialect calls the part."""
    try:
        return parse_tools(shown, "strict")
    except RequestError as error:
        words = str(error).replace(".function.parameters", ".input_schema").replace(".function", "")
        param = (error.param or "").replace(".function.parameters", ".input_schema").replace(".function", "")
        raise RequestError(words, param=param, code=error.code) from None


def _chosen(fields: Fields, use: ToolUse) -> ToolUse:
    choice = fields.object("tool_choice")
    if choice is None:
        return use
    kind = choice.text("type")
    if (alone := choice.flag("disable_parallel_tool_use")) is not None:
        use = replace(use, parallel=not alone)
    if kind not in ("auto", "any", "tool", "none"):
        raise choice.refuse("type", f'must be "auto", "any", "tool" or "none", got {show(kind)}')
    if kind in ("any", "tool") and not use.tools:
        raise choice.refuse("type", f"is {show(kind)}, but no tools were given")
    if kind == "tool":
        use = replace(only_tools(use, [choice.text("name")], choice.path("name")), choice="named")
    elif kind == "any":
        use = replace(use, choice="required")
    elif kind == "none":
        use = ToolUse()
    choice.refuse_rest()
    return use


def _thinking(fields: Fields, model: AskedModel, effort: str | None, max_tokens: int | None) -> ThinkingChoice:
    """`enabled` allows thoughts up to a budget: a model that has none answers without, and the field is ignored."""
    given = fields.object("thinking")
    kind = given.text("type") if given is not None else None
    budget, shown = None, True
    if given is not None:
        if kind not in ("enabled", "disabled", "adaptive", "between_tools"):
            raise given.refuse("type", f'must be "enabled", "disabled" or "adaptive", got {show(kind)}')
        budget = given.integer("budget_tokens", 0, MAX_TOKENS)
        if kind == "enabled" and budget is None:
            raise given.refuse("budget_tokens", 'is required where `type` is "enabled"')
        if budget is not None and max_tokens is not None and budget >= max_tokens:
            raise given.refuse("budget_tokens", f"must be less than `max_tokens` ({max_tokens}), got {budget}")
        shown = given.text("display") != "omitted"
        given.refuse_rest()
    asked: dict[str, Any] = {}
    thinks = model.thinks
    if kind == "disabled":
        asked["enable_thinking"] = False
    elif kind == "enabled" and thinks:
        asked |= {"enable_thinking": True, "thinking_budget": budget}
    elif kind is not None and not thinks:
        fields.ignored["thinking"] = None
    if effort is not None and "reasoning_effort" in model.variables:
        asked["reasoning_effort"] = effort
    elif effort is not None:
        fields.ignored["output_config.effort"] = None
    found = take_thinking(Fields(asked), model)
    return replace(found, shown=shown, budget_field="thinking.budget_tokens" if found.budget_field else "")


def _output(fields: Fields) -> tuple[str | None, Structure | None]:
    config = fields.object("output_config")
    if config is None:
        return None, None
    effort, form = config.text("effort"), config.object("format")
    if effort is not None and effort not in EFFORTS:
        raise config.refuse("effort", f"must be one of {', '.join(EFFORTS)}, got {show(effort)}")
    config.refuse_rest()
    if form is None:
        return effort, None
    kind, schema = form.text("type"), form.take("schema")
    if kind != "json_schema":
        raise form.refuse("type", f'must be "json_schema", got {show(kind)}')
    if schema is None:
        raise form.refuse("schema", "is required: a JSON Schema")
    form.refuse_rest()
    return effort, schema_structure(schema, form.path("schema"))


def _stops(fields: Fields) -> tuple[str, ...]:
    listed = fields.items("stop_sequences") or []
    if len(listed) > MAX_STOPS:
        raise fields.refuse("stop_sequences", f"takes at most {MAX_STOPS} texts, got {len(listed)}")
    if not all(isinstance(stop, str) and stop for stop in listed):
        raise fields.refuse("stop_sequences", f"must be texts that are not empty, got {show(listed)}")
    return tuple(listed)


def _sampling_fields(fields: Fields) -> dict[str, Any]:
    """The three that this dialect has; the names are ours as well."""
    return {name: value for name in ("temperature", "top_p", "top_k") if (value := fields.take(name)) is not None}


def _take_harmless(fields: Fields) -> None:
    """What is bookkeeping of the client or of Anthropic's machines, and what is not served, by its name."""
    # `context_management` would leave old parts of a long prompt out: here the prompt stays whole.
    names = (
        "metadata", "service_tier", "cache_control", "diagnostics", "inference_geo", "speed", "user_profile_id",
        "context_management",
    )  # fmt: skip
    fields.ignore(*names)
    for name in ("metadata", "cache_control", "diagnostics", "context_management"):
        fields.object(name)
    for name in ("inference_geo", "user_profile_id"):
        fields.text(name)
    fields.only("service_tier", "auto", "standard_only")
    fields.only("speed", "standard", "fast")
    for name in ("container", "mcp_servers", "workspace_id"):
        if fields.peek(name) not in (None, [], {}):
            fields.not_served(name)
        fields.take(name)
