"""JSON Schemas as a grammar can enforce them: read, checked, and written anew for the compiler.

A schema of a client is read keyword by keyword (JSON Schema 2020-12, and what differs in drafts 4 to 2019-09). What
says nothing about the answer (titles, defaults, keywords that the standard does not know) is dropped. What cannot be
enforced is refused by its path. Some keywords are put in words that the compiler knows: alternatives of `oneOf` that
exclude each other, `propertyNames`, references of any kind. The schema that comes out accepts nothing that the
client's would not, so an answer that fits it fits the client's.

Reading order: `Schema` (what comes out), `read_schema` (the check), `_Reader` (keyword by keyword).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from creuset.core.errors import RequestError
from creuset.text.schema.alternatives import endless, exclusive
from creuset.types.fields import show

MAX_SCHEMAS = 20_000  # schemas within one, itself included
MAX_LEVELS = 100  # brackets within brackets
MAX_OPTIONAL = 1000  # properties of one object that may be absent: the parser keeps all of them in mind at once
MAX_MULTIPLE = 20_000  # all `multipleOf` together, in digits without zeros at the end: remainders are counted
MAX_EXACT = 2**53  # the compiler keeps numbers as fp64

Json = Any
_Node = dict[str, Json]

_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "patternProperties")
_SINGLE = ("additionalProperties", "additionalItems")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

_LEAP = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
# Days that exist: the compiler's own `date` takes the 29th of February of any year, and the year 0000.
_DAY = rf"(?:[0-9]{{4}}-(?:02-(?:[01][0-9]|2[0-8])|(?:0[13-9]|1[0-2])-[0-9]{{2}})|{_LEAP}-02-29)"
_YEAR = r"(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-"
# Formats that are enforced, with patterns that make the compiler's meaning the standard's.
_FORMATS: dict[str, tuple[str, ...]] = {
    "date": (f"^{_DAY}$", f"^{_YEAR}"),
    "date-time": (f"^{_DAY}[tT]", f"^{_YEAR}", r"^.{17}[0-5]"),  # leap seconds are left out
    "time": (r"^.{6}[0-5]",),
    "hostname": (r"^.{1,253}$", r"^[^-]*(?:-[^-]+)*$"),  # names in Punycode (xn--...) have rules of their own
    "duration": (), "email": (), "ipv4": (), "ipv6": (), "uuid": (), "uri": (),
}  # fmt: skip
# The standard gives these a meaning that no grammar here has. Any other name of a format has none.
_OTHER_FORMATS = (
    "idn-email", "idn-hostname", "uri-reference", "iri", "iri-reference", "uri-template", "json-pointer",
    "relative-json-pointer", "regex",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that was read. References in `root` and `defs` have the form `#/$defs/NUMBER`."""

    root: Json
    defs: dict[str, Json]
    places: dict[str, str]  # of each definition: its path in what the client wrote
    param: str
    ignored: tuple[str, ...]  # paths of formats that say nothing

    def document(self, node: Json) -> _Node:
        """`node` with all definitions beside it: a schema of its own."""
        node = {"not": {}} if node is False else {} if node is True else node
        return {**node, "$defs": self.defs} if self.defs else node


def read_schema(schema: Json, *, param: str, strict: bool = False) -> Schema:
    """Check `schema`. Raises RequestError that names the path, below `param`, of what cannot be enforced.

    `strict`: OpenAI's rules of that name hold too: each object lists all its properties as required and allows no
    others.
    """
    reader = _Reader(schema, param, strict)
    root = reader.read(schema, param, 1)
    while reader.waiting:
        name, target, path = reader.waiting.pop()
        reader.defs[name] = reader.read(target, path, 3)
    for node in [root, *reader.defs.values()]:
        _part(node, reader.defs)
    if (unending := endless(root, reader.defs)) is not None:
        path = reader.places.get(unending, param)
        raise refusal(path, "demands itself without end: no finite JSON fits it")
    return Schema(root, reader.defs, reader.places, param, tuple(reader.ignored))


def _part(node: Json, defs: dict[str, Json]) -> None:
    """Write `anyOf` for each `oneOf` within `node` whose alternatives exclude each other."""
    for child, _ in children(node, ""):
        _part(child, defs)
    if isinstance(node, dict) and "oneOf" in node and "anyOf" not in node:
        options = exclusive(node["oneOf"], defs)
        if options is not None:
            members = [("anyOf", options) if key == "oneOf" else (key, value) for key, value in node.items()]
            node.clear()  # the order stays: it decides the order of properties in the answer
            node.update(members)


def below(path: str, key: str | int) -> str:
    """The path of a member: `schema.properties.a`, `schema.anyOf[1]`, `schema.properties["a b"]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if key.replace("$", "").replace("-", "").isidentifier() else f"{path}[{show(key)}]"


def refusal(path: str, words: str, *, hint: str = "") -> RequestError:
    return RequestError(f"`{path}` {words}", param=path, hint=hint)


def children(node: Json, path: str) -> Iterator[tuple[Json, str]]:
    """The schemas right inside one that was read, with their paths. References are not followed."""
    if not isinstance(node, dict):
        return
    for key in _MAPS:
        for name, child in node.get(key, {}).items():
            yield child, below(f"{path}.{key}", name)
    for key in (*_LISTS, "items", *_SINGLE):
        value = node.get(key)
        if isinstance(value, list):
            yield from ((child, f"{path}.{key}[{at}]") for at, child in enumerate(value))
        elif value is not None:
            yield value, f"{path}.{key}"


@dataclass(slots=True)
class _Reader:
    document: Json
    param: str
    strict: bool
    defs: dict[str, Json] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    waiting: list[tuple[str, Json, str]] = field(default_factory=list)  # definitions that are used and not read yet
    ignored: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # of definitions, by their pointer
    divisors: list[Decimal] = field(default_factory=list)  # every `multipleOf`
    schemas: int = 0

    def read(self, node: Json, path: str, level: int) -> Json:
        self.schemas += 1
        if self.schemas > MAX_SCHEMAS:
            raise refusal(self.param, f"holds more than {MAX_SCHEMAS} schemas")
        if isinstance(node, bool):
            return node
        if not isinstance(node, dict):
            raise refusal(path, f"must be a JSON Schema (an object, true or false), got {show(node)}")
        if level > MAX_LEVELS:
            raise refusal(path, f"is nested deeper than {MAX_LEVELS} levels")
        if self.strict:
            _refuse_loose(node, path)
        found: _Node = {}
        for key, value in node.items():
            place = below(path, key)
            if read := _KEYWORDS.get(key):
                read(self, found, key, value, place, level)
            elif key in _OTHERS and not _OTHERS[key](node):
                raise refusal(place, "cannot be enforced: this keyword is not served here")
        if isinstance(found.get("items"), list):  # drafts before 2020-12
            found["prefixItems"], rest = found.pop("items"), found.get("additionalItems")
            if rest is not None:
                found["items"] = rest
        found.pop("additionalItems", None)  # beside one schema for all items it says nothing
        if "propertyNames" in node:
            self._name(found, node["propertyNames"], below(path, "propertyNames"))
        if node.get("unevaluatedProperties") is False:
            found["additionalProperties"] = False
        optional = len(set(found.get("properties", ())) - set(found.get("required", ())))
        if optional > MAX_OPTIONAL:
            raise refusal(below(path, "properties"), f"has {optional} properties that are not in `required`; "
                          f"at most {MAX_OPTIONAL} are served")  # fmt: skip
        free = found.get("minProperties", 0) - len(found.get("properties", {}))
        if free > 1:  # a model may write one name twice
            raise refusal(below(path, "minProperties"), f"cannot be enforced: it asks for {free} names that are not in "
                          "`properties`")  # fmt: skip
        return found

    def _name(self, found: _Node, names: Json, path: str) -> None:
        """`propertyNames` in keywords that the compiler knows."""
        if isinstance(names, dict) and isinstance(names.get("$ref"), str):
            names, path = self._at(names["$ref"], path)
        if names is False:
            names = {"enum": []}
        said = {key: one for key, one in names.items() if key in _SAYS} if isinstance(names, dict) else {}
        if set(said) <= {"type"}:
            return
        patterns, known = found.get("patternProperties"), found.get("properties", {})
        value = found.pop("additionalProperties", True)
        if set(said) <= {"type", "enum", "const"} and not patterns:
            allowed = said.get("enum", [said.get("const")])
            found["properties"] = {name: known.get(name, value) for name in allowed if isinstance(name, str)}
        elif set(said) <= {"type", "pattern"} and not patterns and not known:
            found["patternProperties"] = {said["pattern"]: value}
        else:
            raise refusal(path, "cannot be enforced: only `enum`, `const` or `pattern` are served here")
        found["additionalProperties"] = False

    # One method for each kind of keyword: (what comes out, keyword, value, its path, level).

    def schema(self, found: _Node, key: str, value: Json, path: str, level: int) -> None:
        if key == "items" and isinstance(value, list):  # drafts before 2020-12
            self.schemas_of(found, key, value, path, level)
        else:
            found[key] = self.read(value, path, level + 1)

    def schemas_of(self, found: _Node, key: str, value: Json, path: str, level: int) -> None:
        if not isinstance(value, list) or (not value and key != "items"):
            raise refusal(path, f"must be a list of schemas that is not empty, got {show(value)}")
        read = [self.read(one, f"{path}[{at}]", level + 2) for at, one in enumerate(value)]
        found[key] = found.get(key, []) + read  # `format` may have put something into `allOf`

    def named_schemas(self, found: _Node, key: str, value: Json, path: str, level: int) -> None:
        if not isinstance(value, dict):
            raise refusal(path, f"must be an object of schemas, got {show(value)}")
        found[key] = {name: self.read(one, below(path, name), level + 2) for name, one in value.items()}

    def reference(self, found: _Node, key: str, value: Json, path: str, level: int) -> None:
        if not isinstance(value, str):
            raise refusal(path, f"must be a string, got {show(value)}")
        if value != "#" and not value.startswith("#/"):
            raise refusal(path, f"must point into this schema (`#/$defs/...`), got {show(value)}")
        if value not in self.names:
            target, place = self._at(value, path)
            name = self.names[value] = str(len(self.names))
            self.places[name] = place
            self.waiting.append((name, target, place))
        found[key] = f"#/$defs/{self.names[value]}"

    def _at(self, pointer: str, path: str) -> tuple[Json, str]:
        """What a JSON Pointer (RFC 6901) in a URI fragment points to, and the path of that."""
        target, place = self.document, self.param
        for part in pointer.removeprefix("#").removeprefix("/").split("/") if pointer not in ("#", "#/") else ():
            step: str | int = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(target, list) and str(step).isdecimal():
                step = int(step)
            try:
                target, place = target[step], below(place, step)
            except (KeyError, IndexError, TypeError):
                raise refusal(path, f"points to {show(pointer)}, which is not in this schema") from None
        return target, place

    def type(self, found: _Node, key: str, value: Json, path: str, level: int) -> None:
        for one in value if isinstance(value, list) else [value]:
            if one not in _TYPES:
                raise refusal(path, f"must be one of {', '.join(_TYPES)}, or a list of them, got {show(value)}")
        if value == []:
            raise refusal(path, "must not be an empty list")
        found[key] = value

    def values(self, found: _Node, key: str, value: Json, path: str, level: int) -> None:
        if key == "enum" and (not isinstance(value, list) or not value):
            raise refusal(path, f"must be a list that is not empty, got {show(value)}")
        _refuse_inexact(value, path, level)
        found[key] = value

    def names_of(self, found: _Node, key: str, value: Json, path: str, level: int) -> None:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise refusal(path, f"must be a list of names, got {show(value)}")
        found[key] = list(dict.fromkeys(value))

    def count(self, found: _Node, key: str, value: Json, path: str, level: int) -> None:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or not 0 <= value <= MAX_EXACT:
            raise refusal(path, f"must be a whole number that is not negative, got {show(value)}")
        found[key] = value

    def number(self, found: _Node, key: str, value: Json, path: str, level: int) -> None:
        if isinstance(value, bool) and key.startswith("exclusive"):  # draft 4
            found[key] = value
            return
        if type(value) not in (int, float) or (key == "multipleOf" and value <= 0):
            raise refusal(path, f"must be a number{' above 0' if key == 'multipleOf' else ''}, got {show(value)}")
        _refuse_inexact(value, path, level)
        if key == "multipleOf":
            self._refuse_fine(value, path)
        found[key] = value

    def _refuse_fine(self, value: float, path: str) -> None:
        """How long compiling takes depends on the digits of the least number that all divide, without its zeros."""
        self.divisors.append(Decimal(str(value)))
        unit = Decimal(1).scaleb(min(0, *(int(one.as_tuple().exponent) for one in self.divisors)))
        common = math.lcm(*(int(one / unit) for one in self.divisors))
        while common and common % 10 == 0:
            common //= 10
        if common > MAX_MULTIPLE:
            raise refusal(path, f"cannot be enforced: {show(value)} has too many digits, alone or with others")

    def pattern(self, found: _Node, key: str, value: Json, path: str, level: int) -> None:
        if not isinstance(value, str):
            raise refusal(path, f"must be a string, got {show(value)}")
        found[key] = value

    def format(self, found: _Node, key: str, value: Json, path: str, level: int) -> None:
        if not isinstance(value, str):
            raise refusal(path, f"must be a string, got {show(value)}")
        if value in _OTHER_FORMATS:
            raise refusal(path, f"cannot be enforced: the format {show(value)} is not served here; "
                          f"served are {', '.join(_FORMATS)}")  # fmt: skip
        if value not in _FORMATS:
            self.ignored.append(path)
            return
        found[key] = value
        if patterns := _FORMATS[value]:
            found["allOf"] = [*found.get("allOf", ()), *({"pattern": one} for one in patterns)]


_Read = Callable[[_Reader, _Node, str, Json, str, int], None]
_KEYWORDS: Mapping[str, _Read] = {
    **dict.fromkeys(_LISTS, _Reader.schemas_of),
    **dict.fromkeys(_MAPS, _Reader.named_schemas),
    **dict.fromkeys((*_SINGLE, "items"), _Reader.schema),
    **dict.fromkeys(_COUNTS, _Reader.count),
    **dict.fromkeys(_NUMBERS, _Reader.number),
    **dict.fromkeys(("enum", "const"), _Reader.values),
    "$ref": _Reader.reference,
    "type": _Reader.type,
    "required": _Reader.names_of,
    "pattern": _Reader.pattern,
    "format": _Reader.format,
}


def _never(_node: _Node) -> bool:
    return False


# Keywords that say something that is not enforced, and when they say nothing.
_OTHERS: Mapping[str, Callable[[_Node], bool]] = {
    "not": lambda node: node["not"] is False,
    "if": lambda node: "then" not in node and "else" not in node,
    "then": lambda node: "if" not in node,
    "else": lambda node: "if" not in node,
    "uniqueItems": lambda node: node["uniqueItems"] is False or node.get("maxItems") in (0, 1),
    "contains": lambda node: node.get("minContains") == 0 and "maxContains" not in node,
    "minContains": lambda node: "contains" not in node,
    "maxContains": lambda node: "contains" not in node,
    "dependencies": lambda node: node["dependencies"] == {},
    "dependentRequired": lambda node: node["dependentRequired"] == {},
    "dependentSchemas": lambda node: node["dependentSchemas"] == {},
    "unevaluatedItems": lambda node: node["unevaluatedItems"] is True,
    "unevaluatedProperties": lambda node: (
        node["unevaluatedProperties"] is True
        or (node["unevaluatedProperties"] is False and not {"$ref", "allOf", "anyOf", "oneOf", "if"} & set(node))
    ),
    "$dynamicRef": _never,
    "$recursiveRef": _never,
    "x-guidance": _never,  # options of the compiler, by which keywords could be switched off
}

_SAYS = frozenset(_KEYWORDS) | frozenset(_OTHERS)


def _refuse_loose(node: _Node, path: str) -> None:
    """OpenAI's rules of `strict`."""
    properties = node.get("properties")
    if "object" not in (node.get("type") or ()) and not isinstance(properties, dict):
        return
    if node.get("additionalProperties") is not False:
        raise refusal(below(path, "additionalProperties"), "must be false where `strict` is true")
    required = node.get("required")
    for name in properties if isinstance(properties, dict) else ():
        if name not in (required if isinstance(required, list) else ()):
            raise refusal(
                below(path, "required"),
                f"must list every property where `strict` is true; {show(name)} is missing",
                hint='a value that may be absent is written as `"type": [..., "null"]`',
            )


def _refuse_inexact(value: Json, path: str, level: int) -> None:
    """Refuse numbers that fp64 does not hold, anywhere in a constant."""
    if level > MAX_LEVELS:
        raise refusal(path, f"is nested deeper than {MAX_LEVELS} levels")
    if isinstance(value, list | dict):
        for key, one in enumerate(value) if isinstance(value, list) else value.items():
            _refuse_inexact(one, below(path, key), level + 1)
    elif type(value) is int and abs(value) > MAX_EXACT:
        raise refusal(path, f"cannot be enforced: {show(value)} is beyond 2^53, where integers are no longer exact")
