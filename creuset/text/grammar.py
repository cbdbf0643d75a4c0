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
from collections.abc import Sequence
from typing import Any

from creuset.core.errors import RequestError
from creuset.types.fields import show

MAX_GRAMMAR_CHARS = 1 << 20
# JSON may be written on one line or indented. A weak model that may write any space writes nothing but spaces.
WHITESPACE = r"[ ]|[ ]?\n[ ]{0,40}|[ ]?\n\t{0,10}"


def json_schema(schema: Any, *, param: str = "schema") -> str:
    """JSON that `schema` (JSON Schema 2020-12) accepts. Names in `properties` come in the order of the schema."""
    return _checked(f"start: {json_rule(schema, param=param)}", param)


def json_rule(schema: Any, *, param: str = "schema") -> str:
    """The right side of a rule for JSON that `schema` accepts, to be put into a larger grammar. Not compiled yet."""
    if type(schema) is bool:
        schema = {} if schema else {"not": {}}
    if type(schema) is not dict:
        raise RequestError(f"`{param}` must be a JSON Schema (an object), got {show(schema)}", param=param)
    if "x-guidance" in schema:
        raise RequestError(f"`{param}.x-guidance` is not a keyword of JSON Schema", param=f"{param}.x-guidance")
    options = {"whitespace_pattern": WHITESPACE}
    return f"%json {json.dumps({'x-guidance': options, **schema}, ensure_ascii=False)}"


def json_object(*, param: str = "response_format") -> str:
    """Any JSON object."""
    return json_schema({"type": "object"}, param=param)


def regex(pattern: str, *, param: str = "regex") -> str:
    r"""Text that `pattern` matches from its beginning to its end. The syntax is that of Rust's `regex` crate.

    `\d` and `\w` mean ASCII, as in JavaScript and JSON Schema.
    """
    if not pattern:
        raise RequestError(f"`{param}` must not be empty", param=param)
    return _checked(f"start: /{_slashes(pattern)}/", param)


def choice(options: Sequence[str], *, param: str = "choice") -> str:
    """One of `options`, and nothing else."""
    if not options:
        raise RequestError(f"`{param}` must have at least one text", param=param)
    for at, text in enumerate(options):
        if type(text) is not str or not text:
            raise RequestError(f"`{param}[{at}]` must be a text that is not empty, got {show(text)}", param=param)
    return _checked("start: " + " | ".join(json.dumps(text, ensure_ascii=False) for text in options), param)


def lark(text: str, *, param: str = "grammar") -> str:
    """A grammar that the caller wrote: in this form already, or in GBNF, llama.cpp's form (`root ::= ...`)."""
    if re.search(r"^\s*[\w-]+\s*::=", text, re.MULTILINE):
        from llguidance.gbnf_to_lark import gbnf_to_lark

        try:
            text = gbnf_to_lark(text)
        except Exception as error:  # the converter raises bare Exceptions
            raise RequestError(f"`{param}` is not a GBNF grammar: {error}", param=param) from None
    return _checked(text, param)


def _slashes(pattern: str) -> str:
    """`pattern` as it stands between two slashes."""
    from llguidance import regex_to_lark

    return str(regex_to_lark(pattern, "dw"))


def _checked(grammar: str, param: str) -> str:
    if len(grammar) > MAX_GRAMMAR_CHARS:
        raise RequestError(
            f"`{param}` makes a grammar of {len(grammar)} characters; at most {MAX_GRAMMAR_CHARS} are served",
            param=param,
        )
    if why := why_not(grammar):
        raise RequestError(f"`{param}` cannot be enforced: {why}", param=param)
    return grammar


@functools.lru_cache(maxsize=256)
def why_not(grammar: str) -> str:
    """What is wrong with `grammar`, as the compiler says it; "" when nothing is. Special tokens are not looked up."""
    from llguidance import LLMatcher

    failed, messages = LLMatcher.validate_grammar_with_warnings(grammar)
    return plain(messages[0]) if failed else ""


def plain(message: str) -> str:
    """The compiler's message without the copy of the grammar that it shows."""
    lines = [line for line in message.splitlines() if not re.match(r"\s*\d* *\|", line) and line.strip(" ^")]
    return re.sub(r"^at \d+\(\d+\): (failed to compile JSON schema: )?", "", " ".join(lines)).strip()
