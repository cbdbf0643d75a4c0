"""/openapi.json lists every route, and the validator of such documents accepts it."""

from openapi_spec_validator import OpenAPIV31SpecValidator

from creuset.server.document import openapi

from .conftest import Running


def test_every_route_is_listed_and_the_document_is_valid(server: Running) -> None:
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


def test_places_in_an_address_are_parameters_and_keys_are_told() -> None:
    found = openapi([("GET", "/v1/models/{name:path}"), ("POST", "/v1/x")], keys=True)
    OpenAPIV31SpecValidator(found).validate()
    assert found["paths"]["/v1/models/{name}"]["get"]["parameters"][0]["name"] == "name"
    assert "requestBody" in found["paths"]["/v1/x"]["post"] and found["security"]
    assert "security" not in openapi([], keys=False)
