"""Which tools the model may call, must call, or may not: `tools`, `tool_choice`, `parallel_tool_calls`, and the
deprecated `functions` and `function_call`.

What must be called is enforced by a grammar: the arguments then follow the schema of the tool, `strict` or not. A tool
that may be called is held to its schema where it is `strict`, from the mark on that opens the call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from creuset.core.errors import RequestError
from creuset.server.chat.custom import CustomTool, take_custom
from creuset.text.calls.forced import ForcedTool, GrammarWriter, Thought
from creuset.text.calls.formats import schemas_of
from creuset.types.fields import Fields, show
from creuset.types.messages import parse_tools

_NOUN = {"function": "function", "custom": "custom tool"}
Choice = Literal["none", "auto", "required", "named"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolUse:
    """What the request says of tools, checked."""

    tools: tuple[dict[str, Any], ...] = ()  # that the model is shown: those it may call
    paths: tuple[str, ...] = ()  # of their functions in the request
    strict: tuple[bool, ...] = ()
    choice: Choice = "none"
    chosen: bool = False  # `allowed_tools` chose among them
    parallel: bool | None = None  # None: the request does not say
    legacy: bool = False  # the reply uses `function_call`
    schema_field: str = "parameters"  # of a tool, in the dialect that was spoken
    custom: Mapping[str, CustomTool] = field(default_factory=dict)  # tools whose input is a text, by name

    @property
    def forced(self) -> bool:
        return self.choice in ("required", "named")

    @property
    def one(self) -> bool:
        """Whether an answer has at most one call."""
        return self.choice == "named" or self.legacy or self.parallel is False

    @property
    def constrained(self) -> bool:
        """Whether a call that begins must be one of these tools, by its schema."""
        return self.forced or self.chosen or any(self.strict) or bool(self.custom)

    def grammar(self, writer: GrammarWriter, thought: Thought, answer: str | None) -> str | None:
        """What the answer must look like; `answer`: the grammar of an answer that is no call. None: it is free.

        A model whose template knows no tools writes one call where several were not asked for: it was never shown how
        to stop behind one. RequestError names the part of a schema that cannot be enforced.
        """
        one = self.one or (self.parallel is None and not writer.taught)
        if self.forced:
            return writer.calls(self._held(all_of_them=True), one=one, thought=thought)
        if answer is not None:
            if not self.tools:
                return writer.answer(answer, thought=thought)
            return writer.calls(self._held(all_of_them=True), one=one, thought=thought, answer=answer)
        return writer.free_calls(self._held(all_of_them=False), thought=thought) if self.constrained else None

    def _held(self, *, all_of_them: bool) -> list[ForcedTool]:
        """The tools with the schemas that are enforced: any object, where a tool need not be held to its schema."""
        schemas = schemas_of(self.tools)
        return [
            self.custom[name].forced()
            if name in self.custom
            else ForcedTool(
                name, schema if strict or all_of_them else {"type": "object"}, f"{path}.{self.schema_field}", strict
            )
            for (name, schema), path, strict in zip(schemas.items(), self.paths, self.strict, strict=True)
        ]


def take_tools(fields: Fields) -> ToolUse:
    tools, functions = fields.items("tools"), fields.items("functions")
    if tools and functions:
        raise fields.refuse("functions", "is the old name of `tools`: give one of the two")
    legacy = bool(functions)
    where = "functions" if legacy else "tools"
    listed = [{"type": "function", "function": function} for function in functions] if functions else tools or []
    custom = {} if legacy else {at: _custom(fields, at, one) for at, one in enumerate(listed) if is_custom(one)}
    listed = [custom[at].shown if at in custom else one for at, one in enumerate(listed)]
    paths = tuple(f"{where}[{at}]" + ("" if legacy else ".function") for at in range(len(listed)))
    shown = parse_tools(listed, "strict", where=where)
    strict = tuple(tool["function"].get("strict") is True for tool in listed)
    parallel = fields.flag("parallel_tool_calls")
    use = ToolUse(
        tools=tuple(shown), paths=paths, strict=strict, choice="auto" if shown else "none", parallel=parallel,
        legacy=legacy, custom={one.name: one for one in custom.values()},
    )  # fmt: skip
    use = _chosen(fields, "function_call" if legacy else "tool_choice", use)
    fields.not_served("tool_choice" if legacy else "function_call")
    return use


def is_custom(tool: Any) -> bool:
    return isinstance(tool, Mapping) and tool.get("type") == "custom"


def _custom(fields: Fields, at: int, tool: Mapping[str, Any]) -> CustomTool:
    whole = fields.inside(tool, f"tools[{at}]")
    whole.take("type")
    inner = whole.object("custom")
    if inner is None:
        raise whole.refuse("custom", "is required: an object with the name of the tool")
    whole.refuse_rest()
    return take_custom(inner, flat=False)


def _chosen(fields: Fields, name: str, use: ToolUse) -> ToolUse:
    """`use` as `tool_choice`, or its old name, has it."""
    value = fields.take(name)
    if value is None:
        return use
    if type(value) is dict:
        return _by_object(fields.inside(value, fields.path(name)), use)
    words = ("none", "auto") if use.legacy else ("none", "auto", "required")
    if value not in words:
        said = ", ".join(f'"{word}"' for word in words)
        raise fields.refuse(name, f"must be one of {said}, or an object, got {show(value)}")
    if not use.tools and value != "none":
        raise fields.refuse(name, "is allowed only with tools")
    if value == "none":
        return ToolUse(legacy=use.legacy)
    return replace(use, choice="required" if value == "required" else "auto")


def _by_object(value: Fields, use: ToolUse) -> ToolUse:
    """One function by its name, or OpenAI's `allowed_tools`."""
    if use.legacy:
        found = only_tools(use, [value.text("name")], value.path("name"))
        value.refuse_rest()
        return replace(found, choice="named")
    kind = value.text("type")
    if kind in ("function", "custom"):
        named = value.object(kind)
        if named is None:
            raise value.refuse(kind, f"is required: an object with the name of the {_NOUN[kind]}")
        found = replace(only_tools(use, [named.text("name")], named.path("name"), kind=kind), choice="named")
        named.refuse_rest()
    elif kind == "allowed_tools":
        allowed = value.object("allowed_tools")
        if allowed is None:
            raise value.refuse("allowed_tools", "is required: an object with `mode` and `tools`")
        found = _allowed(allowed, use)
    else:
        served = '"function", "custom" or "allowed_tools"'
        raise value.refuse("type", f"is served as {served} only, got {show(kind)}", code="unsupported_value")
    value.refuse_rest()
    return found


def _allowed(value: Fields, use: ToolUse) -> ToolUse:
    mode, listed = value.text("mode"), value.items("tools")
    if mode not in ("auto", "required"):
        raise value.refuse("mode", f'must be "auto" or "required", got {show(mode)}')
    if not listed:
        raise value.refuse("tools", "is required: a list with at least one tool")
    names = []
    for at, tool in enumerate(listed):
        path = f"{value.path('tools')}[{at}]"
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        function = tool.get(kind) if kind in ("function", "custom") else None
        if not isinstance(function, Mapping):
            words = f'must be {{"type": "function", "function": {{"name": ...}}}}, got {show(tool)}'
            raise RequestError(f"`{path}` {words}", param=path)
        names.append(function.get("name"))
    value.refuse_rest()
    found = only_tools(use, names, value.path("tools"))
    return replace(found, choice="required" if mode == "required" else "auto", chosen=True)


def only_tools(use: ToolUse, names: list[Any], path: str, *, kind: str | None = None) -> ToolUse:
    """The tools of these names alone; all of them of one `kind`, where it is given."""
    known = [tool["function"]["name"] for tool in use.tools]
    for name in names:
        if name not in known:
            said = f"no tool has the name {show(name)}" if known else "no tools were given"
            raise RequestError(f"`{path}` must name one of the tools: {said}", param=path)
        if kind is not None and (name in use.custom) != (kind == "custom"):
            words = f"names a {_NOUN['function' if kind == 'custom' else 'custom']}, got the type {show(kind)}"
            raise RequestError(f"`{path}` {words}", param=path)
    kept = [at for at, name in enumerate(known) if name in names]
    return replace(
        use,
        tools=tuple(use.tools[at] for at in kept),
        paths=tuple(use.paths[at] for at in kept),
        strict=tuple(use.strict[at] for at in kept),
        custom={name: one for name, one in use.custom.items() if name in names},
    )
