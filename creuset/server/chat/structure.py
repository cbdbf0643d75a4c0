"""What the answer must look like: OpenAI's `response_format`, vLLM's `structured_outputs` and its older `guided_*`.

All of them become one grammar (creuset/text/grammar.py), which the engine enforces token by token. What cannot be
enforced is refused by its path, never ignored.
"""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from creuset.core.errors import RequestError
from creuset.text import grammar
from creuset.text.calls.forced import closed
from creuset.types.fields import Fields, show

MAX_CHOICES = 1000  # texts of one `choice`
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Structure:
    """What one request asks for; compiled by `write`, which may take as long as the largest grammar served."""

    path: str  # of the field
    write: Callable[[], str]  # the grammar. Raises RequestError
    form: dict[str, Any] | None = None  # as `response_format` says it, where it can

    @property
    def schema(self) -> Any:
        """The JSON schema of the answer; None where the form is another."""
        match self.form:
            case {"type": "json_object"}:
                return {"type": "object"}
            case {"json_schema": {"schema": schema}}:
                return schema
        return None

    async def grammar(self) -> str:
        """The grammar, made in a thread, beside everybody's streams."""
        return await asyncio.to_thread(self.write)


def take_structure(fields: Fields) -> Structure | None:
    """The one form that the request asks for. Raises RequestError for two of them."""
    found = [one for one in (_response_format(fields), _structured_outputs(fields), *_guided(fields)) if one]
    if len(found) > 1:
        raise RequestError(
            f"`{found[1].path}` cannot stand beside `{found[0].path}`: an answer has one form", param=found[1].path
        )
    return found[0] if found else None


def _response_format(fields: Fields) -> Structure | None:
    form = fields.object("response_format")
    if form is None:
        return None
    kind = form.text("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise form.refuse("type", f'must be "text", "json_object" or "json_schema", got {show(kind)}')
    found = None
    if kind == "json_object":
        schema = form.take("schema")  # llama.cpp's and others' way to send one
        found = schema_structure(schema, form.path("schema")) if schema is not None else any_object(form.path("type"))
    elif kind == "json_schema":
        found = _named_schema(form)
    form.refuse_rest()
    return found


def _named_schema(form: Fields) -> Structure:
    inner = form.object("json_schema")
    if inner is None:
        raise form.refuse("json_schema", 'is required where `type` is "json_schema"')
    take_name(inner)
    inner.text("description")
    schema, strict = inner.take("schema"), inner.flag("strict") or False
    if schema is None:
        raise inner.refuse("schema", "is required: a JSON Schema")
    inner.refuse_rest()
    return schema_structure(schema, inner.path("schema"), strict=strict)


def take_name(form: Fields) -> str:
    """The name of a schema."""
    name = form.text("name")
    if name is None or not _NAME.fullmatch(name):
        words = "is required" if name is None else f"must have 1 to 64 letters, digits, _ or -, got {show(name)}"
        raise form.refuse("name", words)
    return name


def _structured_outputs(fields: Fields) -> Structure | None:
    form = fields.object("structured_outputs")
    if form is None:
        return None
    found = _forms(form, "")
    if form.flag("json_object"):
        found.append(any_object(form.path("json_object")))
    form.refuse_rest()
    if len(found) != 1:
        told = "one of json, regex, choice, grammar and json_object"
        got = ", ".join(f"`{one.path}`" for one in found) or "none"
        raise RequestError(f"`structured_outputs` must have {told}, got {got}", param="structured_outputs")
    return found[0]


def _guided(fields: Fields) -> list[Structure]:
    fields.ignore("guided_decoding_backend")
    fields.text("guided_decoding_backend")
    return _forms(fields, "guided_")


def _forms(form: Fields, prefix: str) -> list[Structure]:
    found = []
    names = {one: form.path(f"{prefix}{one}") for one in ("json", "regex", "choice", "grammar")}
    if (schema := form.take(f"{prefix}json")) is not None:
        found.append(schema_structure(_parsed(schema, names["json"]), names["json"]))
    if (pattern := form.text(f"{prefix}regex")) is not None:
        found.append(Structure(names["regex"], lambda: grammar.regex(pattern, param=names["regex"])))
    if (options := form.items(f"{prefix}choice")) is not None:
        if len(options) > MAX_CHOICES:
            raise form.refuse(f"{prefix}choice", f"takes at most {MAX_CHOICES} texts, got {len(options)}")
        found.append(Structure(names["choice"], lambda: grammar.choice(options, param=names["choice"])))
    if (text := form.text(f"{prefix}grammar")) is not None:
        found.append(Structure(names["grammar"], lambda: grammar.lark(text, param=names["grammar"])))
    return found


def _parsed(schema: Any, path: str) -> Any:
    """A schema may come as the text of one."""
    if not isinstance(schema, str):
        return schema
    try:
        return json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"`{path}` is a text that is not JSON: {error}", param=path) from None


def schema_structure(schema: Any, path: str, *, strict: bool = False) -> Structure:
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": strict}}
    return Structure(
        path, lambda: grammar.json_schema(schema if strict else closed(schema), param=path, strict=strict), form
    )


def any_object(path: str) -> Structure:
    return Structure(path, lambda: grammar.json_object(param=path), {"type": "json_object"})
