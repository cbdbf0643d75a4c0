"""The forms in which families of models write calls and thoughts, and how to tell a model's from its chat template.

A template shows earlier calls in the form that the model was trained on, so its marks stand in the template's source.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from creuset.core.errors import ConfigError

FormatName = Literal[
    "hermes", "qwen3_xml", "llama3", "mistral", "mistral_args", "deepseek_v3", "deepseek_v31", "harmony"
]


@dataclass(frozen=True, slots=True)
class ThinkMarks:
    """What opens and closes a thought. `repeats`: more than one, anywhere; otherwise one, before any words."""

    open: str
    close: str
    repeats: bool = False


DEEPSEEK_CALLS, DEEPSEEK_CALL = "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>"
DEEPSEEK_SEP, DEEPSEEK_END, DEEPSEEK_CALLS_END = "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"
CHANNEL, START, MESSAGE, END, CALL = "<|channel|>", "<|start|>", "<|message|>", "<|end|>", "<|call|>"
RETURN, CONSTRAIN = "<|return|>", "<|constrain|>"
HARMONY_ENDS = (END, CALL, RETURN, START, CHANNEL)  # what ends a message of gpt-oss, as its parser has it
PYTHON_TAG = "<|python_tag|>"

# Marks of each form; the first of them open a call where they stand in the text.
OPENING: dict[str, tuple[str, ...]] = {
    "hermes": ("<tool_call>",),
    "qwen3_xml": ("<tool_call>", "<function="),
    "llama3": (PYTHON_TAG,),
    "mistral": ("[TOOL_CALLS]",),
    "mistral_args": ("[TOOL_CALLS]",),
    "deepseek_v3": (DEEPSEEK_CALLS, DEEPSEEK_CALL),
    "deepseek_v31": (DEEPSEEK_CALLS, DEEPSEEK_CALL),
    "harmony": (),
}
OTHERS: dict[str, tuple[str, ...]] = {
    "hermes": ("</tool_call>",),
    "qwen3_xml": ("</tool_call>",),
    "mistral_args": ("[ARGS]", "[CALL_ID]"),
    "deepseek_v3": (DEEPSEEK_SEP, DEEPSEEK_END, DEEPSEEK_CALLS_END),
    "deepseek_v31": (DEEPSEEK_SEP, DEEPSEEK_END, DEEPSEEK_CALLS_END),
    "harmony": (CHANNEL, START, MESSAGE, END, CALL, RETURN, CONSTRAIN),
}
FORMATS: tuple[str, ...] = tuple(OPENING)

_THOUGHTS = (ThinkMarks("<think>", "</think>"), ThinkMarks("[THINK]", "[/THINK]"), ThinkMarks("◁think▷", "◁/think▷"))
_HARMONY_THOUGHT = ThinkMarks(f"{CHANNEL}analysis{MESSAGE}", END, repeats=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class CallFormat:
    """How one model writes calls and thoughts."""

    name: FormatName
    thinking: ThinkMarks | None = None  # None: the model has no marks for thoughts
    shows_tools: bool = True  # False: its template knows no tools, so that they are told in words

    @property
    def opening(self) -> tuple[str, ...]:
        """Marks that open a call."""
        return OPENING[self.name]

    @property
    def marks(self) -> tuple[str, ...]:
        """Every mark that the parser must see, though it be a special token."""
        thought = (self.thinking.open, self.thinking.close) if self.thinking else ()
        return (*self.opening, *OTHERS.get(self.name, ()), *thought)

    def visible_ids(self, special: Mapping[str, int]) -> tuple[int, ...]:
        """Ids of the marks that are tokens of their own in a vocabulary with these `special` ones."""
        return tuple(sorted({special[mark] for mark in self.marks if mark in special}))


HERMES = CallFormat(name="hermes", thinking=_THOUGHTS[0])  # of the models trained here


def call_format(template: str, special: Collection[str], name: str | None = None) -> CallFormat:
    """The form of a model with this chat template and these special tokens.

    `name`: the form of the calls, where somebody knows better than the template. Raises ConfigError for one that is
    not known.
    """
    if name is not None and name not in FORMATS:
        raise ConfigError(f"`{name}` is no format of tool calls", hint=f"there are {', '.join(FORMATS)}")
    shows = not template or "tools" in template
    found = name or _calls(template)
    if not shows and name is None and found != "harmony":  # whose channels hold more than calls
        found = "hermes"  # the form in which text/calls/words.py tells of tools
    marks = next((m for m in _THOUGHTS if m.open in template or m.close in template), None)
    if not template:
        marks = next((m for m in _THOUGHTS if m.open in special), None)
    return CallFormat(
        name=found,  # type: ignore[arg-type]  # one of FORMATS
        thinking=_HARMONY_THOUGHT if found == "harmony" else marks,
        shows_tools=shows,
    )


def _calls(template: str) -> FormatName:
    if CHANNEL in template and MESSAGE in template:
        return "harmony"
    if DEEPSEEK_CALLS in template:
        return "deepseek_v3" if "```json" in template else "deepseek_v31"
    if "[TOOL_CALLS]" in template:
        return "mistral_args" if "[ARGS]" in template else "mistral"
    if "<function=" in template and "<parameter=" in template:
        return "qwen3_xml"
    if "<tool_call>" in template:
        return "hermes"
    if PYTHON_TAG in template or ('"parameters": ' in template and "<|eot_id|>" in template):
        return "llama3"
    return "hermes"


def schemas_of(tools: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Each tool's name with the schema of its arguments. A tool without one takes none."""
    functions = [tool.get("function", tool) for tool in tools]
    return {f["name"]: f["parameters"] if f.get("parameters") is not None else dict(NO_PARAMETERS) for f in functions}


NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
