"""Structured output over HTTP: the fields of OpenAI and vLLM, their refusals, and streams that go on meanwhile."""

import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from creuset.testing import tiny_tokenizer
from tests.lazy import lazily

from .conftest import NAME, Running

if TYPE_CHECKING:
    import jsonschema
else:
    jsonschema = lazily("jsonschema")

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Zürich"]}, "n": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["city", "n"],
    "additionalProperties": False,
}
# A random model writes as many spaces as it may: these answers are to be short.
NO_SPACES = {str(tiny_tokenizer().encode(space)[0]): -100 for space in (" ", "\n", "\t")}
CHAT: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Say anything."}],
    "temperature": 1.5,
    "max_tokens": 150,
    "logit_bias": NO_SPACES,
}


@pytest.fixture(scope="module")
def server(with_random_model: Running) -> Running:
    return with_random_model


@pytest.fixture(scope="module")
def http(server: Running) -> httpx.Client:
    return server.client()


def named(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **more}}


def choices(http: httpx.Client, body: dict[str, Any], path: str = "/v1/chat/completions") -> list[str]:
    reply = http.post(path, json={"model": "random", **body})
    assert reply.status_code == 200, reply.text
    found = reply.json()["choices"]
    assert {choice["finish_reason"] for choice in found} == {"stop"}, found
    return [choice["message"]["content"] if "message" in choice else choice["text"] for choice in found]


FORMS = [
    ({"response_format": named(SCHEMA, strict=True, description="d")}, SCHEMA),
    ({"response_format": named(SCHEMA, strict=False)}, SCHEMA),
    ({"response_format": {"type": "json_object", "schema": SCHEMA}}, SCHEMA),
    ({"structured_outputs": {"json": SCHEMA}}, SCHEMA),
    ({"structured_outputs": {"json": json.dumps(SCHEMA)}}, SCHEMA),
    ({"guided_json": SCHEMA, "guided_decoding_backend": "xgrammar"}, SCHEMA),
    ({"structured_outputs": {"regex": r"\[[1-9]\d{2}\]"}}, {"type": "array", "items": {"type": "integer"}}),
    ({"guided_regex": r"^\d$"}, {"type": "integer", "maximum": 9}),
    ({"structured_outputs": {"choice": ['"yes"', '"no"']}}, {"enum": ["yes", "no"]}),
    ({"guided_choice": ["1", "2"]}, {"enum": [1, 2]}),
    ({"structured_outputs": {"grammar": 'root ::= "[" ("1" | "2") "]"'}}, {"items": {"enum": [1, 2]}}),
    ({"guided_grammar": 'start: "true" | "false"'}, {"type": "boolean"}),
]


@pytest.mark.parametrize(("form", "schema"), FORMS, ids=lambda value: str(value)[:50])
def test_every_form_is_kept_in_chat_and_in_completions(http: httpx.Client, form: dict[str, Any], schema: Any) -> None:
    raw = {"prompt": "x", "temperature": 1.5, "max_tokens": 160, "logit_bias": NO_SPACES}
    for text in choices(http, CHAT | form | {"n": 2}) + choices(http, raw | form, "/v1/completions"):
        jsonschema.validate(json.loads(text), schema)


def test_any_object(http: httpx.Client) -> None:
    # Left to chance an object may be long: the shortest one is likelier when `}` is.
    token = http.post("/tokenize", json={"model": "random", "prompt": "}"}).json()["tokens"][0]
    for form in ({"response_format": {"type": "json_object"}}, {"structured_outputs": {"json_object": True}}):
        for text in choices(http, CHAT | form | {"logit_bias": NO_SPACES | {str(token): 30}}):
            assert isinstance(json.loads(text), dict)


def test_a_stream_says_the_same(server: Running) -> None:
    client = server.openai()
    ask: dict[str, Any] = {"model": "random", **CHAT, "seed": 5, "response_format": named(SCHEMA)}
    whole = client.chat.completions.create(**ask).choices[0].message.content
    pieces = [c.choices[0].delta.content or "" for c in client.chat.completions.create(**ask, stream=True) if c.choices]
    assert "".join(pieces) == whole and len(pieces) > 3
    jsonschema.validate(json.loads(whole or ""), SCHEMA)


def test_an_answer_that_is_cut_says_so(http: httpx.Client) -> None:
    body = {"model": "random", **CHAT, "max_tokens": 3, "response_format": named(SCHEMA)}
    choice = http.post("/v1/chat/completions", json=body).json()["choices"][0]
    assert choice["finish_reason"] == "length" and choice["message"]["content"].startswith("{")


REFUSALS = [
    ({"response_format": {"type": "xml"}}, "response_format.type", '"xml"'),
    ({"response_format": {}}, "response_format.type", "got null"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "is required"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
     "response_format.json_schema.name", "is required"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}},
     "response_format.json_schema.name", '"a b"'),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
     "response_format.json_schema.schema", "is required"),
    ({"response_format": named({}, strict="yes")}, "response_format.json_schema.strict", '"yes"'),
    ({"response_format": named({}, scheme=1)}, "response_format.json_schema.scheme", "not a field"),
    ({"response_format": named([1])}, "response_format.json_schema.schema", "[1]"),
    ({"response_format": named({"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=a)"}}})},
     "response_format.json_schema.schema.properties.a.pattern", "look-around"),
    ({"response_format": named({"type": "object", "properties": {"a": {}}}, strict=True)},
     "response_format.json_schema.schema.additionalProperties", "must be false"),
    ({"response_format": named({"type": "integer", "minimum": 3, "maximum": 2})},
     "response_format.json_schema.schema.minimum", "minimum (3) is greater"),
    ({"structured_outputs": {}}, "structured_outputs", "got none"),
    ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs", "`structured_outputs.choice`"),
    ({"structured_outputs": {"json": "{"}}, "structured_outputs.json", "not JSON"),
    ({"structured_outputs": {"regex": "("}}, "structured_outputs.regex", "unclosed group"),
    ({"structured_outputs": {"choice": []}}, "structured_outputs.choice", "at least one"),
    ({"structured_outputs": {"choice": ["a", 1]}}, "structured_outputs.choice[1]", "got 1"),
    ({"structured_outputs": {"grammar": "start: nowhere"}}, "structured_outputs.grammar", "nowhere"),
    ({"structured_outputs": {"xml": 1}}, "structured_outputs.xml", "not a field"),
    ({"guided_json": {"not": {}}}, "guided_json.not", "not served"),
    ({"guided_regex": "a", "response_format": {"type": "json_object"}}, "guided_regex", "an answer has one form"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "path", "words"), REFUSALS, ids=lambda value: str(value)[:60])
def test_a_form_that_cannot_be_kept_is_refused_by_its_path(
    http: httpx.Client, form: dict[str, Any], path: str, words: str
) -> None:
    reply = http.post("/v1/chat/completions", json={"model": NAME, **CHAT, **form})
    error = reply.json()["error"]
    assert reply.status_code == 400 and error["param"] == path and words in error["message"], error


def test_other_streams_go_on_while_a_large_schema_is_compiled(server: Running) -> None:
    """A schema of thousands of properties is refused or kept; a stream of another engine has no gap meanwhile."""
    names = [f"property_{i}" for i in range(3000)]
    large = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": names}
    replies: list[httpx.Response] = []
    body = {"model": "random", **CHAT, "response_format": named(large), "max_tokens": 2}
    other = threading.Thread(target=lambda: replies.append(server.client().post("/v1/chat/completions", json=body)))
    slow = {"model": NAME, "messages": [{"role": "user", "content": "slowly 60"}], "stream": True}
    seen_after = 0
    with server.own.stream("POST", "/v1/chat/completions", json=slow) as stream:
        for number, _ in enumerate(line for line in stream.iter_lines() if line.startswith("data: {")):
            if number == 1:
                other.start()
            seen_after += number > 1 and not replies
    other.join(30)
    assert replies[0].status_code == 200 and seen_after >= 5
