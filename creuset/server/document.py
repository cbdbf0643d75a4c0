"""/openapi.json: what this server has at which address, made from the table of its routes and of the structs that
requests are validated by (creuset/server/schema)."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

import creuset
from creuset.server.schema.operations import OPERATIONS, Operation, Struct, structs

_PLACE = re.compile(r"\{(\w+)(?::\w+)?\}")
_TEXT = {"type": "string"}
_REFUSALS = {
    "400": "the request is refused; `param` names the field",
    "401": "the key is missing or not known",
    "403": "the key may not do this, or the request comes from a place that may not ask",
    "404": "there is no such model or thing",
    "405": "this address does not take this method",
    "409": "it is there already, or is not in a state for this",
    "413": "the body is larger than this server takes",
    "415": "the body is not sent as application/json, or is compressed in a way that is not served",
    "422": "the `Idempotency-Key` was used for another request",
    "429": "all places are taken, or a limit is reached; `Retry-After` says when to come again",
    "500": "the server had an error of its own",
    "502": "the server behind the model failed",
    "503": "nothing can be generated now; `Retry-After` says when to come again",
    "504": "the server behind the model did not answer in time",
}


def openapi(table: Iterable[tuple[str, str]], *, keys: bool) -> dict[str, Any]:
    """An OpenAPI 3.1 document of (method, path) of each route. `keys`: whether requests need one."""
    _, components = msgspec.json.schema_components(structs(), ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for method, path in table:
        address = _PLACE.sub(r"{\1}", path)
        paths.setdefault(address, {})[method.lower()] = _operation(method, address)
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "creuset", "version": creuset.__version__},
        "paths": paths,
        "components": {"schemas": components},
    }
    if keys:
        found["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        }
        found["security"] = [{"bearer": []}, {"header": []}]
    return found


def _operation(method: str, path: str) -> dict[str, Any]:
    known = OPERATIONS.get((method, path), Operation())
    words = re.findall(r"[A-Za-z0-9]+", path) or ["page"]
    error = "AnthropicErrorReply" if path.startswith("/v1/messages") else "ErrorReply"
    said = {"application/json": {"schema": {"$ref": f"#/components/schemas/{error}"}}}
    found: dict[str, Any] = {
        "operationId": "_".join([method.lower(), *words]),
        "responses": {"200": {"description": "the answer", "content": _answer(known)}}
        | {status: {"description": words, "content": said} for status, words in _REFUSALS.items()},
    }
    if path == "/health":  # says what it says of a server that is well, and why this one is not
        found["responses"]["503"]["content"] = _answer(known)
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in _PLACE.findall(path)]
    parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in known.query.items()]
    if parameters:
        found["parameters"] = parameters
    if method in ("POST", "PUT", "PATCH"):
        schema = {"type": "object"} if known.body is None else _ref(known.body)
        required, media = known.body is not None, "multipart/form-data" if known.form else "application/json"
        found["requestBody"] = {"required": required, "content": {media: {"schema": schema}}}
    return found


def _answer(known: Operation) -> dict[str, Any]:
    if known.media:
        return {known.media: {"schema": _TEXT}}
    schema = {"type": "object"} if known.reply is None else _ref(known.reply)
    found: dict[str, Any] = {"application/json": {"schema": schema}}
    if known.chunk is not None:
        words = f"server-sent events; the data of each is {known.chunk.__name__}"
        found["text/event-stream"] = {"schema": _TEXT | {"description": words}}
    return found


def _ref(struct: Struct) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}
