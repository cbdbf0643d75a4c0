"""Custom tools of a request: what their input may be, and how it is enforced (creuset/text/calls/custom.py)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from creuset.text import grammar
from creuset.text.calls.custom import InputReader, function_of
from creuset.text.calls.forced import ForcedTool
from creuset.text.calls.quoted import quoted_lark
from creuset.text.output import CallArguments, CallBegun, OutputPiece
from creuset.types.fields import Fields, show
from creuset.types.messages import is_tool_name

Syntax = Literal["text", "regex", "lark"]
MAX_DEFINITION = 1 << 16  # characters


@dataclass(frozen=True, slots=True)
class CustomTool:
    name: str
    path: str  # of what defines its input
    description: str | None
    syntax: Syntax = "text"
    definition: str = ""

    @property
    def shown(self) -> dict[str, Any]:
        """The tool as the model is told of it."""
        said = self.description or ""
        if self.syntax != "text":
            kind = "Lark grammar" if self.syntax == "lark" else "regular expression"
            said = f"{said}\n\nThe input must fit this {kind}:\n{self.definition}".strip()
        return function_of(self.name, said, {"type": "string"})

    def forced(self) -> ForcedTool:
        """The tool with what is enforced. RequestError names the definition that cannot be."""
        schema: dict[str, Any] = {"type": "string"}
        lark = ""
        if self.syntax == "regex":
            grammar.regex(self.definition, param=self.path)
            schema["pattern"] = f"^(?:{self.definition})$"
        elif self.syntax == "lark":
            grammar.lark(self.definition, param=self.path)
            lark = grammar.lark(quoted_lark(self.definition, param=self.path), param=self.path)
        shown = function_of(self.name, None, schema)
        return ForcedTool(self.name, shown["function"]["parameters"], self.path, input=lark)


def take_custom(tool: Fields, *, flat: bool) -> CustomTool:
    """A custom tool as it was sent; `flat`: its grammar as the Responses API has it."""
    name = tool.text("name", max_chars=64)
    if not is_tool_name(name):
        raise tool.refuse("name", f"must have 1 to 64 letters, digits, `_` or `-`, got {show(name)}")
    said, form = tool.text("description"), tool.object("format")
    tool.refuse_rest()
    if form is None:
        return CustomTool(name, tool.path("format"), said)
    kind = form.text("type")
    if kind not in ("text", "grammar"):
        raise form.refuse("type", f'must be "text" or "grammar", got {show(kind)}')
    if kind == "text":
        form.refuse_rest()
        return CustomTool(name, tool.path("format"), said)
    inner = form if flat else form.object("grammar")
    if inner is None:
        raise form.refuse("grammar", "is required: an object with `syntax` and `definition`")
    syntax, definition = inner.text("syntax"), inner.text("definition", max_chars=MAX_DEFINITION)
    if syntax not in ("lark", "regex"):
        raise inner.refuse("syntax", f'must be "lark" or "regex", got {show(syntax)}')
    if not definition:
        raise inner.refuse("definition", "is required: the text of the grammar")
    inner.refuse_rest()
    form.refuse_rest()
    return CustomTool(name, inner.path("definition"), said, syntax, definition)  # type: ignore[arg-type]


class CustomCalls:
    """Takes the input out of the calls of custom tools, among the pieces of an answer."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._reader: InputReader | None = None

    def read(self, pieces: list[OutputPiece], *, ended: bool) -> list[OutputPiece]:
        if not self._names:
            return pieces
        found: list[OutputPiece] = []
        for piece in pieces:
            match piece:
                case CallBegun():
                    found += self._rest()
                    self._reader = InputReader() if piece.name in self._names else None
                    found.append(piece)
                case CallArguments() if self._reader is not None:
                    if text := self._reader.push(piece.text):
                        found.append(CallArguments(text))
                case _:
                    found.append(piece)
        return found + self._rest() if ended else found

    def _rest(self) -> list[OutputPiece]:
        said = self._reader.finish() if self._reader is not None else ""
        self._reader = None
        return [CallArguments(said)] if said else []
