"""What can be known of JSON Schemas before they are compiled: which exclude each other, and which no value ends.

`oneOf` asks that exactly one alternative accepts the value. Where no two can accept the same one, it says what `anyOf`
says, which a grammar can enforce. This holds for what programs send: unions whose members have different types, or a
property with a constant of its own. A member need not require that property; here it then does, which accepts less.

A schema that refers to itself without a way out (a node that must have a node) accepts no finite JSON: a model
would write for ever.

Schemas are those that `creuset.text.schema.read` has read: references have the form `#/$defs/NAME`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Any
Defs = Mapping[str, Json]

_ALL = frozenset({"null", "boolean", "number", "string", "array", "object"})
MAX_COMPARED = 100  # alternatives that are compared pair by pair


def exclusive(options: list[Json], defs: dict[str, Json]) -> list[Json] | None:
    """`options` for an `anyOf` that says what `oneOf` would; None when two may accept the same value.

    A definition may be added to `defs`: an alternative that requires one property more.
    """
    found = [resolved(option, defs) for option in options]
    if len(found) <= MAX_COMPARED and _Compared(defs).all_differ(found):
        return options
    objects = [one for one in found if isinstance(one, dict) and _kinds(one, defs) == {"object"}]
    if len(objects) != len(found):
        return None
    for name in objects[0].get("properties", {}):
        told = [_values(resolved(one.get("properties", {}).get(name), defs)) for one in objects]
        known = [values for values in told if values is not None]
        if len(known) == len(told) and len(frozenset().union(*known)) == sum(map(len, known)):
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


class _Compared:
    """Compares pairs of schemas, each pair once: schemas may refer to each other in circles."""

    def __init__(self, defs: Defs) -> None:
        self._defs = defs
        self._known: dict[tuple[int, int], bool] = {}

    def all_differ(self, schemas: list[Json]) -> bool:
        return all(self.disjoint(a, b) for at, a in enumerate(schemas) for b in schemas[at + 1 :])

    def disjoint(self, a: Json, b: Json) -> bool:
        """Whether it is certain that no value fits both."""
        a, b = resolved(a, self._defs), resolved(b, self._defs)
        if a is False or b is False:
            return True
        if not isinstance(a, dict) or not isinstance(b, dict):
            return False
        pair = (id(a), id(b))
        if pair not in self._known:
            self._known[pair] = False  # while it is looked at: a circle proves nothing
            self._known[pair] = self._differ(a, b)
        return self._known[pair]

    def _differ(self, a: dict[str, Json], b: dict[str, Json]) -> bool:
        common = _kinds(a, self._defs) & _kinds(b, self._defs)
        if not common:
            return True
        values = _values(a), _values(b)
        if values[0] is not None and values[1] is not None:
            return not values[0] & values[1]
        if common != {"object"}:
            return False
        for one, other in ((a, b), (b, a)):
            mine, theirs = one.get("properties", {}), other.get("properties", {})
            closed = other.get("additionalProperties") is False and not other.get("patternProperties")
            for name in one.get("required", ()):
                if self.disjoint(mine.get(name, True), theirs[name]) if name in theirs else closed:
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
    users: dict[str, set[str]] = {name: set() for name in defs}  # definitions that refer to a definition
    for name, node in defs.items():
        for used in _references(node):
            users.get(used, set()).add(name)  # a constant may hold what looks like a reference
    ends: set[str] = set()
    looked_at = set(defs)
    while looked_at:
        new = {name for name in looked_at if _ends(defs[name], ends)}
        ends |= new
        looked_at = {user for name in new for user in users[name]} - ends
    if _ends(root, ends):
        return None
    return next((name for name in defs if name not in ends), "")


def _references(node: Json) -> Iterator[str]:
    """Names of the definitions that a schema refers to."""
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            if isinstance(one.get("$ref"), str):
                yield one["$ref"].rpartition("/")[2]
            stack += one.values()
        elif isinstance(one, list):
            stack += one


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
