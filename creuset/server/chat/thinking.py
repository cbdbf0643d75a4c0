"""Whether and how long the model thinks before it answers: `enable_thinking`, `reasoning_effort`, `thinking_budget`,
`chat_template_kwargs`.

Models differ in what they understand. Some have a switch in their chat template, some know degrees of effort, some
always think, some never. What a model understands is passed to its template; what it cannot do is refused.
"""

from dataclasses import dataclass
from typing import Any

from creuset.core.errors import RequestError
from creuset.server.chat.model import AskedModel
from creuset.server.model import ServedModel
from creuset.text.calls.forced import Thought
from creuset.text.calls.formats import CHANNEL, END, MESSAGE, START
from creuset.types.fields import Fields, show
from creuset.types.generation import Thinking

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# Degrees that a template knows which knows degrees: gpt-oss has three.
_DEGREE = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_SWITCHES = ("enable_thinking", "thinking")  # what templates call the switch
_RESERVED = ("messages", "tools", "add_generation_prompt", "continue_final_message")
MAX_BUDGET = 2**31
ANSWER_SHARE = 4  # of the room that a context leaves, a thought leaves one in so many tokens to the answer


@dataclass(frozen=True, kw_only=True, slots=True)
class ThinkingChoice:
    """What the request says of thinking, in what this model understands."""

    kwargs: dict[str, Any]  # variables of the chat template
    switched: bool | None = None  # on or off, where the request says so
    budget: int | None = None  # tokens
    budget_field: str = ""  # that gave it
    shown: bool = True  # whether the reply has the thought


def take_thinking(fields: Fields, model: AskedModel) -> ThinkingChoice:
    kwargs = _template_kwargs(fields, model)
    switch = next((name for name in _SWITCHES if name in model.variables), None)
    wanted = _wanted(fields, kwargs)
    effort = fields.text("reasoning_effort")
    if effort is not None and effort not in EFFORTS:
        raise fields.refuse("reasoning_effort", f"must be one of {', '.join(EFFORTS)}, got {show(effort)}")
    budget, field = _budget(fields)
    shown = fields.flag("include_reasoning") is not False
    if effort is not None and wanted is None and "reasoning_effort" not in model.variables:
        wanted = effort not in ("none", "minimal")
    elif effort is not None and effort in _DEGREE:
        kwargs.setdefault("reasoning_effort", _DEGREE[effort])
    elif effort == "none":
        wanted = False
    if wanted and not model.thinks and switch is None:
        given = "reasoning_effort" if effort else "enable_thinking"
        raise fields.refuse(given, "asks to think aloud, which this model does not do", code="unsupported_value")
    if budget is not None and not model.thinks:
        raise fields.refuse(field, "limits the thoughts of a model that has none", code="unsupported_parameter")
    if wanted is not None and switch is not None:
        kwargs[switch] = wanted
    elif wanted is False and model.thinks:
        budget, field = 0, ""  # no switch: the thought is closed as soon as it is opened
    return ThinkingChoice(kwargs=kwargs, switched=wanted, budget=budget, budget_field=field, shown=shown)


def _template_kwargs(fields: Fields, model: AskedModel) -> dict[str, Any]:
    """What the template reads of `chat_template_kwargs`. The rest changes nothing, and is named in the reply."""
    given = fields.take("chat_template_kwargs")
    if given is None:
        return {}
    if type(given) is not dict:
        raise fields.refuse("chat_template_kwargs", f"must be an object, got {show(given)}")
    for name in given:
        path = f"chat_template_kwargs.{name}"
        if name in _RESERVED:
            raise fields.refuse(path, "is what the other fields of the request say", code="unsupported_parameter")
        if name not in model.variables and name not in _SWITCHES:
            fields.ignored[path] = None
    read = model.variables | set(_SWITCHES)
    return {name: value for name, value in given.items() if value is not None and name in read}


def _wanted(fields: Fields, kwargs: dict[str, Any]) -> bool | None:
    """On or off, by the field or by the template's variable; either name of the switch will do."""
    said: list[tuple[str, Any]] = [("enable_thinking", fields.flag("enable_thinking"))]
    said += [(f"chat_template_kwargs.{name}", kwargs.pop(name, None)) for name in _SWITCHES]
    wanted = None
    for path, value in said:
        if value is not None and type(value) is not bool:
            raise fields.refuse(path, f"must be true or false, got {show(value)}")
        if value is not None and wanted is not None and value != wanted:
            raise fields.refuse("enable_thinking", "is given twice, with different values")
        wanted = value if value is not None else wanted
    return wanted


def _budget(fields: Fields) -> tuple[int | None, str]:
    """Qwen's name and vLLM's."""
    found: int | None = None
    field = ""
    for name in ("thinking_budget", "thinking_token_budget"):
        value = fields.integer(name, 0, MAX_BUDGET)
        if value is not None and found is not None and value != found:
            raise fields.refuse(name, f"is another name of `{field}`, which says {found}; got {value}")
        if value is not None:
            found, field = value, name
    return found, field


def bounded(
    choice: ThinkingChoice, model: ServedModel, thought: Thought, *, asked: int | None, room: int, tools: bool
) -> Thinking | None:
    """What the engine must know of thoughts. `asked`: tokens that the request asks for; `room`: that there are.

    RequestError where the budget leaves nothing of what was asked for to the answer.
    """
    marks, budget = model.calls.thinking, choice.budget
    if thought == "none" or marks is None:
        return None
    closing = _closing(model, tools)
    if budget and asked is not None and budget + len(closing) >= asked:
        raise RequestError(
            f"`{choice.budget_field}` is {budget} and leaves no token to the answer: `max_completion_tokens` is "
            f"{asked}, and the mark that closes the thought takes {len(closing)}",
            param=choice.budget_field,
        )
    if budget is not None:
        budget = min(budget, max(0, room - len(closing) - room // ANSWER_SHARE))
    return Thinking(
        open=marks.open, close=marks.close, opened=thought == "opened", repeats=marks.repeats, budget=budget,
        closing=closing if budget is not None else (), calls=model.calls.opening if tools else (),
    )  # fmt: skip


def _closing(model: ServedModel, tools: bool) -> tuple[int, ...]:
    """Ids of what closes a thought and leads on to the answer."""
    marks = model.calls.thinking
    assert marks is not None
    if model.calls.name == "harmony":
        text = f"{END}{START}assistant{CHANNEL}" + ("commentary" if tools else f"final{MESSAGE}")
    else:
        text = marks.close + ("\n\n" if marks.close == "</think>" else "")
    return tuple(model.tokenizer.encode_special(text))
