"""The texts in a JSON value, and the value with others in their place. Names of fields stay as they are."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

# What is under these names is no text of anybody where it has the form of a name, but names, ids and forms.
NOT_TEXT = frozenset({
    "id", "type", "role", "name", "status", "call_id", "tool_call_id", "tool_use_id", "model", "detail", "phase",
    "object", "encoding_format", "signature", "encrypted_content", "item_id",
})  # fmt: skip
# Of a body as a whole: its fields of a known form, and those of them that are such a name themselves.
_FORMS = frozenset({
    "messages", "tools", "tool_choice", "functions", "function_call", "input", "response_format", "text", "documents",
    "items", "prompt", "suffix", "instructions", "query",
})  # fmt: skip
_NAMES = frozenset({
    "model", "tool_choice", "function_call", "service_tier", "reasoning_effort", "encoding_format", "verbosity",
    "truncation",
})  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9_.:/+=-]+")
_NUMBER = re.compile(r"[0-9.:/+-]{7,}|(?:\+|00)?\d{7,}")  # may be somebody's
_BASE64 = re.compile(r"data:[\w/+.;=-]*;base64,[A-Za-z0-9+/=_-]*")
_BYTES = re.compile(r"[A-Za-z0-9+/_-]{256,}={0,2}")


class Strings:
    def __init__(self, value: Any, *, whole: bool = False) -> None:
        """`whole`: `value` is a body with all of its fields."""
        self._value, self._whole = value, whole
        self.found: list[str] = []
        self.joined: list[tuple[int, int]] = []  # of `found`: parts of one text

        def note(text: str) -> str:
            self.found.append(text)
            return text

        self._walk(note, self.joined)

    def replaced(self, texts: list[str]) -> Any:
        following = iter(texts)
        return self._walk(lambda _: next(following), [])

    def _walk(self, visit: Callable[[str], str], joined: list[tuple[int, int]]) -> Any:
        if not self._whole:
            return self._inside(self._value, "", visit, joined, free=False)
        return {
            name: value if isinstance(value, str) and name in _NAMES and _is_name(name, value)
            else self._inside(value, name, visit, joined, free=name not in _FORMS)
            for name, value in self._value.items()
        }  # fmt: skip

    def _inside(
        self, value: Any, under: str, visit: Callable[[str], str], joined: list[tuple[int, int]], *, free: bool
    ) -> Any:
        """`under`: the name of its field. `free`: in a field of no known form, where any name may hold a text."""
        if isinstance(value, str):
            if _BASE64.fullmatch(value) or (under == "data" and _BYTES.fullmatch(value)):
                return value
            if not free and under in NOT_TEXT and _is_name(under, value):
                return value
            if under == "arguments" and (call := _parsed(value)) is not None:  # JSON stays JSON
                new = self._inside(call, "", visit, joined, free=True)
                return value if new == call else json.dumps(new, ensure_ascii=False)
            return visit(value)
        if isinstance(value, Mapping):
            return {
                name: self._inside(one, name, visit, joined, free=free or name == "metadata")
                for name, one in value.items()
            }
        if isinstance(value, list | tuple):
            parts = under != "documents" and len(value) > 1 and all(
                isinstance(one, Mapping) and "role" not in one and "function" not in one for one in value
            )  # fmt: skip
            if not parts:
                return [self._inside(one, under, visit, joined, free=free) for one in value]
            return self._parts(value, under, visit, joined, free)
        return value

    def _parts(
        self, value: Any, under: str, visit: Callable[[str], str], joined: list[tuple[int, int]], free: bool
    ) -> Any:
        """The texts of a list of parts come one after the other, so that they can be looked at as one."""
        start = len(self.found)
        texts = [visit(one["text"]) if isinstance(one.get("text"), str) else None for one in value]
        if len(self.found) - start > 1:
            joined.append((start, len(self.found)))
        found = []
        for one, text in zip(value, texts, strict=True):
            rest = {name: inner for name, inner in one.items() if text is None or name != "text"}
            new = self._inside(rest, under, visit, joined, free=free)
            found.append({name: text if name == "text" and text is not None else new[name] for name in one})
        return found


def _parsed(text: str) -> Any:
    """The object or list that `text` is as JSON; None: it is neither."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def _is_name(under: str, value: str) -> bool:
    if not _NAME.fullmatch(value):
        return not value
    return not _NUMBER.fullmatch(value) and not (under == "name" and _NUMBER.search(value))
