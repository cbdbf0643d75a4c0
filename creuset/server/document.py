"""/openapi.json: what this server has at which address, made from the table of its routes.

Bodies are read field by field (types/fields.py), not by a schema, so the document says of a body that it is a JSON
object, and no more. Errors have their whole schema.
"""

import re
from collections.abc import Iterable
from typing import Any

import creuset

_PLACE = re.compile(r"\{(\w+)(?::\w+)?\}")
_TEXT = {"type": "string"}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": _TEXT,
                "type": _TEXT,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_REFUSALS = {
    "400": "the request is refused; `param` names the field",
    "401": "the key is missing or not known",
    "404": "there is no such model or thing",
    "429": "all places are taken; `Retry-After` says when to come again",
    "503": "nothing can be generated now; `Retry-After` says when to come again",
}


def openapi(table: Iterable[tuple[str, str]], *, keys: bool) -> dict[str, Any]:
    """An OpenAPI 3.1 document of (method, path) of each route. `keys`: whether requests need one."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path in table:
        address = _PLACE.sub(r"{\1}", path)
        paths.setdefault(address, {})[method.lower()] = _operation(method, path)
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "creuset", "version": creuset.__version__},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}},
    }
    if keys:
        found["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        }
        found["security"] = [{"bearer": []}, {"header": []}]
    return found


def _operation(method: str, path: str) -> dict[str, Any]:
    words = re.findall(r"[A-Za-z0-9]+", _PLACE.sub(r"\1", path)) or ["page"]
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    found: dict[str, Any] = {
        "operationId": "_".join([method.lower(), *words]),
        "responses": {"200": {"description": "the answer"}}
        | {status: {"description": said, "content": error} for status, said in _REFUSALS.items()},
    }
    places = _PLACE.findall(path)
    if places:
        found["parameters"] = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in places]
    if method == "POST":
        found["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
    return found
