"""Reading one JSON object field by field. A wrong value is refused with the value, an unknown field by its name.

`null` stands for "not given" everywhere, as in OpenAI's specification. A field that cannot change the answer is
checked and then named in `ignored`, so that the server can tell its client.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from creuset.core.errors import RequestError

SHOWN = 60  # characters of a refused value that a message repeats


BOM = b"\xef\xbb\xbf"  # some programs on Windows write it before any UTF-8


def parse_object(raw: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(raw.removeprefix(BOM))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {error}", code="invalid_json") from None
    if not isinstance(body, dict):
        raise RequestError(f"the body must be a JSON object, got {kind_of(body)}")
    return body


def checked_fields(body: Mapping[str, Any], kind: type[msgspec.Struct]) -> "Fields":
    """The fields of `body`, which must be a `kind`: what is not one is refused by `refuse_rest`, unless whoever reads
    the fields refuses it before, in words of its own."""
    fields = Fields(body)
    try:
        msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        words, _, place = str(error).partition(" - at `$")
        param = place.rstrip("`").lstrip(".").replace("[...]", "")
        said = (
            f"`{param}` is not what the API takes: {words}" if param else f"the body is not what the API takes: {words}"
        )
        fields.fault = RequestError(said, param=param or None)
    return fields


def kind_of(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a number",
    }
    return names.get(type(value), "null")


def show(value: Any) -> str:
    """`value` as JSON, cut to `SHOWN` characters: what was refused, without repeating a whole prompt."""
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError):  # not JSON: only callers in Python can give such a value
        text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


class Fields:
    """The members of one object, taken one by one; `refuse_rest` then refuses what nobody took.

    `ignored` collects the fields that were given and change nothing; objects inside share it.
    """

    def __init__(self, body: Mapping[str, Any], *, where: str = "", ignored: dict[str, None] | None = None) -> None:
        self._left = dict(body)
        self._where = where
        self._asked: list[str] = []
        self.fault: RequestError | None = None  # that nobody who reads the fields may have seen
        self.ignored: dict[str, None] = {} if ignored is None else ignored  # a set that keeps its order

    def path(self, name: str) -> str:
        return f"{self._where}{name}"

    def take(self, name: str) -> Any:
        """The value, or None when absent or null."""
        self._asked.append(name)
        return self._left.pop(name, None)

    def refuse(self, name: str, words: str, *, code: str | None = None) -> RequestError:
        return RequestError(f"`{self.path(name)}` {words}", param=self.path(name), code=code)

    def integer(self, name: str, low: int, high: int) -> int | None:
        value = self.take(name)
        if value is None:
            return None
        if type(value) is not int:
            raise self.refuse(name, f"must be an integer, got {show(value)}")
        if not low <= value <= high:
            raise self.refuse(name, f"must be between {low} and {high}, got {value}")
        return value

    def number(self, name: str, low: float, high: float, *, above: bool = False) -> float | None:
        """`above`: `low` itself is refused."""
        value = self.take(name)
        if value is None:
            return None
        if type(value) not in (int, float):
            raise self.refuse(name, f"must be a number, got {show(value)}")
        if not low <= value <= high or (above and value == low):
            span = f"above {low:g} and at most {high:g}" if above else f"between {low:g} and {high:g}"
            raise self.refuse(name, f"must be {span}, got {show(value)}")
        return float(value)

    def flag(self, name: str) -> bool | None:
        value = self.take(name)
        if value is not None and type(value) is not bool:
            raise self.refuse(name, f"must be true or false, got {show(value)}")
        return value

    def text(self, name: str, *, max_chars: int | None = None) -> str | None:
        value = self.take(name)
        if value is None:
            return None
        if type(value) is not str:
            raise self.refuse(name, f"must be a string, got {show(value)}")
        if max_chars is not None and len(value) > max_chars:
            raise self.refuse(name, f"must have at most {max_chars} characters, got {len(value)}")
        return value

    def object(self, name: str) -> "Fields | None":
        value = self.take(name)
        if value is None:
            return None
        if type(value) is not dict:
            raise self.refuse(name, f"must be an object, got {show(value)}")
        return self.inside(value, self.path(name))

    def inside(self, value: Mapping[str, Any], path: str) -> "Fields":
        """The members of an object within this one."""
        return Fields(value, where=f"{path}.", ignored=self.ignored)

    def has(self, name: str) -> bool:
        """Whether the object has the field, null or not, and nobody took it."""
        return name in self._left

    def peek(self, name: str) -> Any:
        """The value without taking it; None when absent, null or taken."""
        return self._left.get(name)

    def ignore(self, *names: str) -> None:
        """Note that these fields, where they are given, change nothing. They are still to be taken."""
        self.ignored.update(dict.fromkeys(name for name in names if self.peek(name) is not None))

    def items(self, name: str) -> list[Any] | None:
        value = self.take(name)
        if value is not None and type(value) is not list:
            raise self.refuse(name, f"must be a list, got {show(value)}")
        return value

    def objects(self, name: str, value: Any, kind: str = "objects") -> list["Fields"]:
        """The members of each object of the list `value`, which is what the field `name` holds."""
        if not isinstance(value, list):
            raise self.refuse(name, f"must be a text or a list of {kind}, got {show(value)}")
        found = []
        for at, one in enumerate(value):
            path = f"{self.path(name)}[{at}]"
            if not isinstance(one, Mapping):
                raise RequestError(f"`{path}` must be an object, got {show(one)}", param=path)
            found.append(self.inside(one, path))
        return found

    def only(self, name: str, *served: Any) -> None:
        """A field of which we serve some values; the others are refused by name, never ignored."""
        value = self.take(name)
        if value is not None and not any(type(value) is type(s) and value == s for s in served):
            words = " or ".join(show(s) for s in served)
            raise self.refuse(name, f"is served as {words} only, got {show(value)}", code="unsupported_value")

    def not_served(self, *names: str) -> None:
        for name in names:
            if self.take(name) is not None:
                raise self.refuse(name, "is not served here", code="unsupported_parameter")

    def refuse_rest(self, known: Iterable[str] = (), *, empty: bool = False) -> None:
        """Refuse the first field that nobody took. With `empty`, null, [] and {} pass under any name."""
        for name, value in self._left.items():
            if (value is None and name in known) or (empty and value in (None, [], {})):
                continue
            near = difflib.get_close_matches(name, self._asked, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            raise RequestError(
                f"`{self.path(name)}` is not a field that this server knows{hint}",
                param=self.path(name),
                code="unknown_parameter",
            )
        if self.fault is not None:
            raise self.fault
