"""What can be known of JSON Schemas before they are compiled: which exclude each other, and which no value ends.

`oneOf` asks that exactly one alternative accepts the value. Where no two can accept the same one, it says what `anyOf`
says, which a grammar can enforce. This holds for what programs send: unions whose members have different types, or a
property with a constant of its own. A member need not require that property; here it then does, which accepts less.

A schema that refers to itself without a way out (a node that must have a node) accepts no finite JSON: a model
would write for ever.

Schemas are those that `creuset.text.schema.read` has read: references have the form `#/$defs/NAME`.
"""

from collections.abc import Mapping
from typing import Any

Json = Any
Defs = Mapping[str, Json]

_ALL = frozenset({"null", "boolean", "number", "string", "array", "object"})
_DEEPEST = 8  # of objects whose properties are compared


def exclusive(options: list[Json], defs: dict[str, Json]) -> list[Json] | None:
    """`options` for an `anyOf` that says what `oneOf` would; None when two may accept the same value.

    A definition may be added to `defs`: an alternative that requires one property more.
    """
    found = [resolved(option, defs) for option in options]
    pairs = [(a, b) for at, a in enumerate(found) for b in found[at + 1 :]]
    if all(_disjoint(a, b, defs, 0) for a, b in pairs):
        return options
    objects = [one for one in found if isinstance(one, dict) and _kinds(one, defs) == {"object"}]
    if len(objects) != len(found):
        return None
    for name in objects[0].get("properties", {}):
        told = [one.get("properties", {}).get(name) for one in objects]
        if all(one is not None and _values(resolved(one, defs)) is not None for one in told) and all(
            _disjoint(a, b, defs, 0) for at, a in enumerate(told) for b in told[at + 1 :]
        ):
            return [_requiring(name, *pair, defs) for pair in zip(options, objects, strict=True)]
    return None


def resolved(node: Json, defs: Defs) -> Json:
    """What a plain reference stands for."""
    for _ in range(len(defs) + 1):
        if not isinstance(node, dict) or set(node) != {"$ref"}:
            return node
        node = defs[node["$ref"].rpartition("/")[2]]
    return False  # references in a circle


def _requiring(name: str, option: Json, meant: dict[str, Json], defs: dict[str, Json]) -> Json:
    if name in meant.get("required", ()):
        return option
    new = {**meant, "required": [*meant.get("required", ()), name]}
    if option is meant:
        return new
    place = f"{option['$ref'].rpartition('/')[2]}+{len(defs)}"
    defs[place] = new
    return {"$ref": f"#/$defs/{place}"}


def _disjoint(a: Json, b: Json, defs: Defs, depth: int) -> bool:
    """Whether it is certain that no value fits both."""
    a, b = resolved(a, defs), resolved(b, defs)
    if a is False or b is False:
        return True
    if not isinstance(a, dict) or not isinstance(b, dict) or depth > _DEEPEST:
        return False
    kinds = _kinds(a, defs), _kinds(b, defs)
    if not kinds[0] & kinds[1]:
        return True
    values = _values(a), _values(b)
    if values[0] is not None and values[1] is not None:
        return not values[0] & values[1]
    if kinds[0] & kinds[1] != {"object"}:
        return False
    for one, other in ((a, b), (b, a)):
        mine, theirs = one.get("properties", {}), other.get("properties", {})
        for name in one.get("required", ()):
            if name in theirs and _disjoint(mine.get(name, True), theirs[name], defs, depth + 1):
                return True
            closed = other.get("additionalProperties") is False and not other.get("patternProperties")
            if name not in theirs and closed:
                return True
    return False


def _kinds(node: Json, defs: Defs) -> frozenset[str]:
    """The types of value that a schema may accept; an integer is a number."""
    node = resolved(node, defs)
    if not isinstance(node, dict):
        return frozenset() if node is False else _ALL
    found = _ALL
    if "type" in node:
        types = node["type"] if isinstance(node["type"], list) else [node["type"]]
        found &= {"number" if one == "integer" else one for one in types}
    if (values := _values(node)) is not None:
        found &= {kind for kind, _ in values}
    return found


def _values(node: Json) -> frozenset[tuple[str, Json]] | None:
    """(type, value) of each that `const` or `enum` names; None where there is neither, or one is a list or object."""
    if not isinstance(node, dict):
        return None
    listed = [node["const"]] if "const" in node else node.get("enum")
    if listed is None or any(isinstance(one, list | dict) for one in listed):
        return None
    names = {bool: "boolean", int: "number", float: "number", str: "string"}
    return frozenset((names.get(type(one), "null"), one) for one in listed)


def endless(root: Json, defs: Defs) -> str | None:
    """A definition, or "" for the whole, that no finite value fits because it demands itself; None when all is well."""
    ends: set[str] = set()
    while True:
        new = {name for name, node in defs.items() if name not in ends and _ends(node, ends)}
        if not new:
            break
        ends |= new
    if _ends(root, ends):
        return None
    return next((name for name in defs if name not in ends), "")


def _ends(node: Json, ends: set[str]) -> bool:
    """Whether some finite value fits, as far as references go, when the definitions in `ends` have one."""
    if not isinstance(node, dict):
        return True  # `false` is the compiler's to refuse
    types = node.get("type")
    needed: list[Json] = []  # what a value must hold; of a schema that leaves the type open nothing is certain
    if types in ("object", ["object"]):
        needed = [node.get("properties", {}).get(name, True) for name in node.get("required", ())]
    elif types in ("array", ["array"]) and (count := node.get("minItems", 0)):
        items = node.get("items", True)
        first, rest = (items, node.get("additionalItems", True)) if isinstance(items, list) else ([], items)
        first = node.get("prefixItems", first)
        needed = first[:count] + ([rest] if len(first) < count else [])
    if "$ref" in node and node["$ref"].rpartition("/")[2] not in ends:
        return False
    for key in ("anyOf", "oneOf"):
        if key in node and not any(_ends(one, ends) for one in node[key]):
            return False
    return all(_ends(one, ends) for one in (*node.get("allOf", ()), *needed))
