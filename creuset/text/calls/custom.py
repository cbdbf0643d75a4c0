"""OpenAI's custom tools: their input is a text, and not an object of arguments.

Models were trained to call functions. So a custom tool is shown as a function with one argument, `input`, and a call of
it has that argument taken out while it is written. The grammar makes sure that there is nothing else in it.
"""

import re
from collections.abc import Mapping
from typing import Any

from creuset.types.messages import CUSTOM_INPUT as INPUT

_OPENING = re.compile(rf'\s*\{{\s*"{INPUT}"\s*:\s*"')
_PLAIN = re.compile(r'[^"\\]+')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def function_of(name: str, description: str | None, text: Mapping[str, Any]) -> dict[str, Any]:
    """The tool as models are shown it. `text`: the JSON schema of its input."""
    parameters = {
        "type": "object", "properties": {INPUT: dict(text)}, "required": [INPUT], "additionalProperties": False,
    }  # fmt: skip
    said = {"description": description} if description else {}
    return {"type": "function", "function": {"name": name, **said, "parameters": parameters}}


class InputReader:
    """Takes the input out of the arguments of one call, piece by piece, wherever they are cut.

    Arguments that are no object with an `input` come out as they are: nothing is lost.
    """

    def __init__(self) -> None:
        self._held, self._state, self._high = "", "before", ""

    def push(self, text: str) -> str:
        """What `text` adds to the input."""
        self._held += text
        if self._state == "before":
            if (found := _OPENING.match(self._held)) is not None:
                self._held, self._state = self._held[found.end() :], "inside"
            elif not _may_open(self._held):
                self._state = "other"
        if self._state == "other":
            said, self._held = self._held, ""
            return said
        return self._read() if self._state == "inside" else ""

    def finish(self) -> str:
        """What was held back when the arguments end: those of a call that was cut before its input, or none."""
        said, self._held = ("" if self._state in ("inside", "behind") else self._held), ""
        return said + self._lone()

    def _read(self) -> str:
        said, text, at = "", self._held, 0
        while at < len(text):
            if (plain := _PLAIN.match(text, at)) is not None:
                said, at = said + self._lone() + plain.group(), plain.end()
            elif text[at] == '"':
                self._held, self._state = "", "behind"
                return said + self._lone()
            elif at + 1 < len(text) and text[at + 1] != "u":
                said, at = said + self._lone() + _ESCAPES.get(text[at + 1], text[at + 1]), at + 2
            elif at + 6 <= len(text):
                said, at = said + self._unit(text[at + 2 : at + 6]), at + 6
            else:  # the rest of the escape is still to come
                break
        self._held = text[at:]
        return said

    def _unit(self, digits: str) -> str:
        """A character of `\\uXXXX`; the first half of a pair waits for the second."""
        try:
            unit = chr(int(digits, 16))
        except ValueError:
            return self._lone() + f"\\u{digits}"
        if self._high and "\udc00" <= unit <= "\udfff":
            pair, self._high = self._high + unit, ""
            return pair.encode("utf-16", "surrogatepass").decode("utf-16")
        said = self._lone()
        if "\ud800" <= unit <= "\udbff":
            self._high = unit
            return said
        return said + ("\ufffd" if "\udc00" <= unit <= "\udfff" else unit)

    def _lone(self) -> str:
        """A first half that no second one came for."""
        lone, self._high = ("\ufffd" if self._high else ""), ""
        return lone


def _may_open(text: str) -> bool:
    """Whether more text could make it the beginning of an object with `input`."""
    rest = text.lstrip()
    for part in ("{", f'"{INPUT}"', ":", '"'):
        if len(rest) < len(part):
            return part.startswith(rest)
        if not rest.startswith(part):
            return False
        rest = rest[len(part) :].lstrip()
    return True
