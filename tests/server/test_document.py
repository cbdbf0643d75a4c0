"""/openapi.json lists every route, and the validator of such documents accepts it."""

from typing import Any

import msgspec
import pytest

from creuset.core.errors import RequestError
from creuset.server.document import openapi
from creuset.server.schema.chat import DetokenizeBody
from creuset.server.schema.operations import OPERATIONS
from creuset.server.schema.replies import AnthropicErrorReply, ErrorReply
from creuset.types.fields import checked_fields

from .conftest import NAME, Running


def test_every_route_is_listed_and_the_document_is_valid(server: Running) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator

    found = server.own.get("/openapi.json").json()
    OpenAPIV31SpecValidator(found).validate()
    for path, operations in found["paths"].items():
        address = path.replace("{", "").replace("}", "")
        for method in operations:
            if method == "post":  # an empty body is refused by the route, and not as an unknown address
                reply = server.own.post(address, content=b"[]", headers={"content-type": "application/json"})
                told = reply.json()["error"]
                assert (told.get("code"), reply.status_code) != ("unknown_url", 404), address
    served = {"/v1/chat/completions", "/v1/embeddings", "/v1/moderations", "/v1/responses", "/v1/messages", "/rerank"}
    assert served | {"/openapi.json", "/health", "/chat/completions", "/v1/models/{name}"} <= set(found["paths"])
    ids = [one["operationId"] for operations in found["paths"].values() for one in operations.values()]
    assert len(ids) == len(set(ids))


def test_bodies_and_replies_are_described_by_the_structs_that_check_them(server: Running) -> None:
    found = server.own.get("/openapi.json").json()
    described = {
        path
        for path, operations in found["paths"].items()
        for one in operations.values()
        if one["responses"]["200"]["content"].get("application/json", {}).get("schema") == {"type": "object"}
    }
    administered = ("/v1/organization", "/auth", "/v1/creuset/", "/openapi.json", "/v1/conversations/{id}/items/{item}")
    assert not [path for path in described if not path.startswith(administered)], described
    body = found["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    chat = found["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert chat["required"] == ["model", "messages"] and chat["additionalProperties"] is False
    assert chat["properties"]["temperature"]["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 2}
    error = found["paths"]["/v1/messages"]["post"]["responses"]["400"]["content"]["application/json"]["schema"]
    assert error["$ref"].endswith("/AnthropicErrorReply")


CALLS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "say a"}], "logprobs": True}),
    ("POST", "/v1/completions", {"prompt": "say a", "logprobs": 2, "echo": True}),
    ("POST", "/v1/responses", {"input": "say a"}),
    ("POST", "/v1/responses/input_tokens", {"input": "say a"}),
    ("POST", "/v1/messages", {"messages": [{"role": "user", "content": "say a"}], "max_tokens": 9}),
    ("POST", "/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "say a"}]}),
    ("POST", "/tokenize", {"prompt": "a"}),
    ("POST", "/detokenize", {"tokens": [1, 2]}),
    ("GET", "/tokenizer_info", None),
    ("GET", "/v1/models", None),
    ("GET", "/v1/creuset/model", None),
    ("GET", "/health", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_replies_are_what_the_document_says(
    server: Running, method: str, path: str, body: dict[str, Any] | None
) -> None:
    reply = server.own.request(method, path, json=None if body is None else {"model": NAME} | body)
    assert reply.status_code == 200, reply.text
    kind = OPERATIONS[method, path].reply
    assert kind is not None
    msgspec.convert(reply.json(), kind)
    if body is not None:
        refused = server.own.request(method, path, json={"model": NAME} | body | {"nobody": 1})
        assert refused.status_code == 400
        msgspec.convert(refused.json(), AnthropicErrorReply if path.startswith("/v1/messages") else ErrorReply)


def test_what_only_a_struct_refuses_is_refused_by_its_path() -> None:
    fields = checked_fields({"model": "x", "tokens": [1, "2"]}, DetokenizeBody)
    fields.take("model")
    fields.take("tokens")
    with pytest.raises(RequestError, match=r"`tokens\[1\]` is not what the API takes: Expected `int`, got `str`"):
        fields.refuse_rest()


def test_places_in_an_address_are_parameters_and_keys_are_told() -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator

    found = openapi([("GET", "/v1/models/{name:path}"), ("POST", "/v1/x")], keys=True)
    OpenAPIV31SpecValidator(found).validate()
    assert found["paths"]["/v1/models/{name}"]["get"]["parameters"][0]["name"] == "name"
    assert "requestBody" in found["paths"]["/v1/x"]["post"] and found["security"]
    assert "security" not in openapi([], keys=False)
