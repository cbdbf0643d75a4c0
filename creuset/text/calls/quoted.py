"""A grammar of texts, as the grammar of these texts inside a JSON string.

In JSON a quote, a backslash and a line end are written as escapes. Each character becomes one text, whatever is around
it; so replacing the characters in every literal and pattern of a grammar gives the grammar of the quoted texts. A
pattern that looks around itself, or a directive that brings texts of its own, has no such reading and is refused.

`text`: Lark in llguidance's dialect (text/grammar.py). Control characters other than tab and line ends cannot come.
"""

import json
import re
import warnings
from collections.abc import Iterable
from re import _constants as sre
from re import _parser as sre_parser
from typing import Any

from creuset.core.errors import RequestError
from creuset.types.fields import show

# Characters that JSON writes in another way.
_QUOTED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_CONTROL = tuple(chr(code) for code in range(0x20) if chr(code) not in _QUOTED)
_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)  # are no characters
Ranges = list[tuple[int, int]]


def _others(ranges: Ranges) -> Ranges:
    """All characters but those of `ranges`, which are in order."""
    found, low = [], 0
    for first, last in sorted([*ranges, _SURROGATES]):
        if low < first:
            found.append((low, first - 1))
        low = max(low, last + 1)
    return [*found, (low, _LAST)] if low <= _LAST else found


_DIGIT: Ranges = [(48, 57)]
_WORD: Ranges = [(48, 57), (65, 90), (95, 95), (97, 122)]
_SPACE: Ranges = [(9, 13), (32, 32)]
_CLASSES: dict[Any, Ranges] = {
    sre.CATEGORY_DIGIT: _DIGIT, sre.CATEGORY_NOT_DIGIT: _others(_DIGIT),
    sre.CATEGORY_WORD: _WORD, sre.CATEGORY_NOT_WORD: _others(_WORD),
    sre.CATEGORY_SPACE: _SPACE, sre.CATEGORY_NOT_SPACE: _others(_SPACE),
}  # fmt: skip
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|\#[^\n]*)
    |(?P<range>"(?:[^"\\\n]|\\.)*"\s*\.\.\s*"(?:[^"\\\n]|\\.)*")
    |(?P<string>"(?:[^"\\\n]|\\.)*")(?P<case>i?)
    |(?P<regex>/(?![*/])(?:[^/\\\n]|\\.)+/)(?P<flags>[a-z]*)
    |(?P<ignore>%ignore\b)|(?P<refused>%\w+|<[^>\n]*>|~|&)
    |(?P<other>[^\s"/%<~&]+|.)""",
    re.VERBOSE,
)


def quoted_lark(text: str, *, param: str) -> str:
    """The grammar `text` for texts inside a JSON string, without the quotes around it. RequestError by `param`."""
    made = []
    for token in _TOKEN.finditer(text):
        kind, said = token.lastgroup, token.group()
        try:
            if token["range"]:
                first, last = (json.loads(end) for end in re.findall(r'"(?:[^"\\]|\\.)*"', said))
                said = f"/{_set([(ord(first), ord(last))], negated=False)}/"
            elif token["string"]:
                inner = json.loads(token["string"])
                said = json.dumps(quoted(inner), ensure_ascii=False) + token["case"]
                if token["case"] and quoted(inner) != inner:
                    raise ValueError("a quote, a backslash or a line end in a text whose case is free")
            elif token["regex"]:
                if token["flags"]:
                    raise ValueError(f"the flags {show(token['flags'])}")
                said = f"/{quoted_regex(said[1:-1].replace(chr(92) + '/', '/'))}/"
            elif token["refused"]:
                raise ValueError(f"`{said}`")
        except (ValueError, TypeError, re.error, OverflowError, RecursionError) as error:
            words = f"has {show(token.group())}, which cannot be enforced inside a tool's input: {error}"
            raise RequestError(f"`{param}` {words}", param=param) from None
        made.append(" " if kind == "space" and "\n" not in said else said if kind != "space" else "\n")
    return "".join(made)


def quoted(text: str) -> str:
    """`text` as it stands between the quotes of a JSON string."""
    return "".join(_QUOTED.get(character, character) for character in text)


def quoted_regex(pattern: str) -> str:
    """The pattern of what `pattern` matches, inside a JSON string, as it stands between two slashes. ValueError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return "".join(map(_node, sre_parser.parse(pattern)))


def _node(node: tuple[Any, Any]) -> str:
    kind, value = node
    if kind is sre.LITERAL:
        return _set([(value, value)], negated=False)
    if kind is sre.NOT_LITERAL:
        return _set([(value, value)], negated=True)
    if kind is sre.ANY:
        return _set([(10, 10)], negated=True)
    if kind is sre.IN:
        return _class(value)
    if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        low, high, inner = value
        most = "" if high == sre.MAXREPEAT else int(high)
        return f"(?:{''.join(map(_node, inner))}){{{low},{most}}}"
    if kind is sre.SUBPATTERN:
        _, added, taken, inner = value
        if not (added or taken):
            return f"(?:{''.join(map(_node, inner))})"
    if kind is sre.BRANCH:
        return f"(?:{'|'.join(''.join(map(_node, one)) for one in value[1])})"
    raise ValueError(f"{str(kind).lower()} has no reading there")


def _class(items: Iterable[tuple[Any, Any]]) -> str:
    ranges: Ranges = []
    negated = False
    for kind, value in items:
        if kind is sre.NEGATE:
            negated = True
        elif kind is sre.LITERAL:
            ranges.append((value, value))
        elif kind is sre.RANGE:
            ranges.append(value)
        else:
            ranges += _CLASSES[value]
    return _set(ranges, negated=negated)


def _set(ranges: Ranges, *, negated: bool) -> str:
    """One character of a set: the plain ones as a class, those that JSON writes in another way one by one."""

    def holds(character: str) -> bool:
        return any(low <= ord(character) <= high for low, high in ranges) != negated

    others = [re.escape(_QUOTED[one]) for one in _QUOTED if holds(one)]
    if negated:
        left_out = [*ranges, *((ord(one), ord(one)) for one in (*_QUOTED, *_CONTROL))]
        plain = f"[^{''.join(map(_range, left_out))}]"
    else:
        kept = [piece for one in ranges for piece in _without_special(one)]
        plain = f"[{''.join(map(_range, kept))}]" if kept else ""
    found = [*([plain] if plain else []), *others]
    if not found:
        raise ValueError("a set of control characters only")
    return found[0] if len(found) == 1 else f"(?:{'|'.join(found)})"


def _without_special(one: tuple[int, int]) -> Ranges:
    low, high = one
    found = []
    for code in sorted(ord(character) for character in (*_QUOTED, *_CONTROL)):
        if low <= code <= high:
            if low < code:
                found.append((low, code - 1))
            low = code + 1
    return [*found, (low, high)] if low <= high else found


def _range(one: tuple[int, int]) -> str:
    low, high = (f"\\x{{{code:x}}}" for code in one)
    return low if low == high else f"{low}-{high}"
