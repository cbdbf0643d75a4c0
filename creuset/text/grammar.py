"""Grammars: what an answer may look like, written in one form that the engine enforces token by token.

A grammar is a text in llguidance's dialect of Lark (https://github.com/guidance-ai/llguidance, docs/syntax.md). It can
hold JSON Schemas (`%json {...}`), regular expressions, special tokens (`<|im_end|>`) and rules that call each other.
The functions here write such texts, and refuse with RequestError what could not be enforced: `param` is the path of
the field, down to the keyword of a schema.

    json_schema, json_object, regex, choice, lark -> a grammar that begins with its rule `start`
"""

import functools
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from creuset.core.errors import RequestError
from creuset.text.schema.read import Schema, below, children, read_schema, refusal
from creuset.types.fields import show

MAX_GRAMMAR_CHARS = 1 << 20
MAX_LINE_CHARS = 10_000  # of a grammar that a caller wrote: errors in longer ones take the compiler seconds
MAX_SEARCHED = 1 << 22  # characters of grammars that are compiled to find what is wrong with one
REMEMBERED_CHARS = 1 << 16  # of grammars whose check is remembered
MAX_MESSAGE = 300
STACK_BYTES = 512 << 20  # of address space; what is not used costs nothing
T = TypeVar("T")
# JSON may be written on one line or indented. A weak model that may write any space writes nothing but spaces.
WHITESPACE = r"[ ]|[ ]?\n[ ]{0,40}|[ ]?\n\t{0,10}"


def json_schema(schema: Any, *, param: str = "schema", strict: bool = False) -> str:
    """JSON that `schema` accepts (text/schema/read.py). Names in `properties` come in the order of the schema."""
    found = read_schema(schema, param=param, strict=strict)
    grammar = f"start: {_json(found.document(found.root))}"
    _bounded(grammar, param)
    if why := why_not(grammar):
        path, words = locate(found, why)
        raise RequestError(f"`{path}` cannot be enforced: {words}", param=path)
    return grammar


def _json(schema: dict[str, Any]) -> str:
    options = {"whitespace_pattern": WHITESPACE}
    return f"%json {json.dumps({'x-guidance': options, **schema}, ensure_ascii=False)}"


def locate(schema: Schema, why: str) -> tuple[str, str]:
    """Path and reason of the deepest part of a schema that cannot be enforced, by compiling parts of it."""
    left = MAX_SEARCHED

    def fails(node: Any) -> str:
        nonlocal left
        grammar = f"start: {_json(schema.document(node))}"
        left -= len(grammar)
        found = _compiled(grammar) if left > 0 else ""
        return found if found.partition(":")[0] == why.partition(":")[0] else ""

    def inside(node: Any, path: str) -> Iterator[tuple[Any, str]]:
        yield from children(node, path)
        name = node.get("$ref", "").rpartition("/")[2] if isinstance(node, dict) else ""
        if name in schema.places and name not in followed:
            followed.add(name)
            yield schema.defs[name], schema.places[name]

    followed: set[str] = set()
    node, path = schema.root, schema.param
    while inner := next(((child, place) for child, place in inside(node, path) if fails(child)), None):
        node, path = inner
    why = fails(node) or why
    keys = sorted(node, key=lambda key: key == "type") if isinstance(node, dict) else []
    for key in keys:  # without its type almost any schema can be satisfied, so that is tried last
        if not fails({name: value for name, value in node.items() if name != key}) and left > 0:
            path = below(path, key)
            break
    return path, _ONE_OF if why.startswith("oneOf") else why


_ONE_OF = (
    "its alternatives are not known to exclude each other; use `anyOf`, or give each a required property "
    "with a `const` of its own"
)


def json_object(*, param: str = "response_format") -> str:
    """Any JSON object."""
    return json_schema({"type": "object"}, param=param)


def regex(pattern: str, *, param: str = "regex") -> str:
    r"""Text that `pattern` matches from its beginning to its end. The syntax is that of Rust's `regex` crate.

    `\d` and `\w` mean ASCII, as in JavaScript and JSON Schema.
    """
    if not pattern:
        raise RequestError(f"`{param}` must not be empty", param=param)
    if len(pattern) > MAX_LINE_CHARS:
        words = f"has {len(pattern)} characters; a pattern may have {MAX_LINE_CHARS}"
        raise RequestError(f"`{param}` {words}", param=param)
    return _checked(f"start: /{_slashes(pattern)}/", param)


def choice(options: Sequence[str], *, param: str = "choice") -> str:
    """One of `options`, and nothing else."""
    if not options:
        raise RequestError(f"`{param}` must have at least one text", param=param)
    for at, text in enumerate(options):
        if type(text) is not str or not text:
            raise refusal(below(param, at), f"must be a text that is not empty, got {show(text)}")
    return _checked("start: " + " | ".join(json.dumps(text, ensure_ascii=False) for text in options), param)


def lark(text: str, *, param: str = "grammar") -> str:
    """A grammar that the caller wrote: in this form already, or in GBNF, llama.cpp's form (`root ::= ...`)."""
    if re.search(r"^\s*[\w-]+\s*::=", text, re.MULTILINE):
        from llguidance.gbnf_to_lark import gbnf_to_lark

        try:
            text = gbnf_to_lark(text)
        except Exception as error:  # the converter raises bare Exceptions
            raise RequestError(f"`{param}` is not a GBNF grammar: {error}", param=param) from None
    for at, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE_CHARS:
            words = f"has {len(line)} characters in line {at}; a line may have {MAX_LINE_CHARS}: break it before a `|`"
            raise RequestError(f"`{param}` {words}", param=param)
    return _checked(text, param)


def _slashes(pattern: str) -> str:
    """`pattern` as it stands between two slashes."""
    from llguidance import regex_to_lark

    return str(regex_to_lark(pattern, "dw"))


def _checked(grammar: str, param: str) -> str:
    _bounded(grammar, param)
    if why := why_not(grammar):
        raise RequestError(f"`{param}` cannot be enforced: {why}", param=param)
    return grammar


def _bounded(grammar: str, param: str) -> None:
    if len(grammar) > MAX_GRAMMAR_CHARS:
        raise RequestError(
            f"`{param}` makes a grammar of {len(grammar)} characters; at most {MAX_GRAMMAR_CHARS} are served",
            param=param,
        )


def why_not(grammar: str) -> str:
    """What is wrong with `grammar`, as the compiler says it; "" when nothing is. Special tokens are not looked up."""
    return _compiled_before(grammar) if len(grammar) <= REMEMBERED_CHARS else _compiled(grammar)


def _compiled(grammar: str) -> str:
    from llguidance import LLMatcher

    failed, messages = on_large_stack(LLMatcher.validate_grammar_with_warnings, grammar)
    return plain(messages[0]) if failed else ""


_compiled_before = functools.lru_cache(maxsize=256)(_compiled)


def on_large_stack(call: Callable[..., T], *arguments: Any) -> T:
    """`call(*arguments)` in a thread whose stack is large: the compiler follows references by calling itself."""
    found: list[T] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            found.append(call(*arguments))
        except BaseException as error:
            failed.append(error)

    with _starting:  # the size is a setting of the whole process
        before = threading.stack_size(STACK_BYTES)
        thread = threading.Thread(target=work, name="grammar-compile", daemon=True)
        thread.start()
        threading.stack_size(before)
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


_starting = threading.Lock()


def plain(message: str) -> str:
    """The compiler's message in one line, without the copy of the grammar that it shows."""
    lines = [line for line in message.splitlines() if not re.match(r"\s*\d* *\|", line) and line.strip(" ^")]
    text = " ".join(" ".join(lines).split())
    text = re.sub(r"^at \d+\(\d+\): (failed to compile JSON schema: )?", "", text)
    text = re.sub(r"Regex is empty: .*", "no text fits it", text)
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…"
