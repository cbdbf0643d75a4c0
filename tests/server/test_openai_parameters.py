"""Every parameter that OpenAI's document has for an operation we serve works, is refused by name, or is told ignored.

`openai_parameters.json` holds names and types of the parameters, taken from that document; it says from where.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import NAME, Running, start

OPERATIONS = json.loads((Path(__file__).parent / "openai_parameters.json").read_text())["operations"]
TALK = [{"role": "user", "content": "say hi"}]
FUNCTION = {"name": "look", "parameters": {"type": "object"}}
BASE: dict[str, dict[str, Any]] = {
    "POST /chat/completions": {"model": NAME, "messages": TALK},
    "POST /completions": {"model": NAME, "prompt": "say hi"},
    "POST /embeddings": {"model": NAME, "input": "a"},
    "POST /moderations": {"input": "a"},
    "POST /responses": {"model": NAME, "input": "say hi"},
    "POST /responses/input_tokens": {"model": NAME, "input": "say hi"},
    "POST /conversations": {},
    "POST /conversations/{conversation_id}": {},
    "POST /conversations/{conversation_id}/items": {"items": TALK},
}
# A value for each parameter that is not its default, and what must stand beside it.
VALUES: dict[str, Any] = {
    "audio": {"voice": "alloy", "format": "wav"}, "background": True, "best_of": 2,
    "context_management": [{"type": "x"}],
    "dimensions": 4, "echo": True, "encoding_format": "base64", "frequency_penalty": 0.5, "function_call": "none",
    "functions": [FUNCTION], "include": ["message.output_text.logprobs"], "instructions": "Be brief.", "items": TALK,
    "logit_bias": {"1": 1}, "max_completion_tokens": 5, "max_output_tokens": 5, "max_tokens": 5, "max_tool_calls": 2,
    "metadata": {"a": "b"}, "modalities": ["text", "audio"], "moderation": {"model": "x"}, "n": 2, "input": "say a",
    "parallel_tool_calls": False, "personality": "friendly", "prediction": {"type": "content", "content": "a"},
    "presence_penalty": 0.5, "prompt_cache_key": "k", "prompt_cache_options": {"mode": "x"}, "seed": 3,
    "prompt": "say a",
    "prompt_cache_retention": "24h", "reasoning": {"summary": "auto"}, "reasoning_effort": "none", "messages": TALK,
    "response_format": {"type": "json_object"}, "safety_identifier": "s", "service_tier": "default", "stop": ["x"],
    "store": False, "stream": True, "stream_options": {"include_obfuscation": False}, "suffix": " end", "model": "tiny",
    "temperature": 0.5, "text": {"format": {"type": "json_object"}}, "tool_choice": "none", "tools": [FUNCTION],
    "top_logprobs": 2, "top_p": 0.5, "truncation": "auto", "user": "u", "verbosity": "low",
    "web_search_options": {"search_context_size": "low"}, "logprobs": True,
}  # fmt: skip
FOR: dict[tuple[str, str], Any] = {
    ("POST /chat/completions", "tools"): [{"type": "function", "function": FUNCTION}],
    ("POST /responses", "tools"): [{"type": "function", **FUNCTION}],
    ("POST /responses/input_tokens", "tools"): [{"type": "function", **FUNCTION}],
    ("POST /completions", "logprobs"): 2,
    ("POST /responses", "prompt"): {"id": "pmpt_1"},
    ("POST /moderations", "model"): "omni-moderation-latest",
}
BESIDE = {
    "stream_options": {"stream": True}, "function_call": {"functions": [FUNCTION]}, "top_logprobs": {"logprobs": True},
    "tool_choice": {},
}  # fmt: skip
HARMLESS = {"metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier",
            "store", "user"}  # fmt: skip
IGNORED = {
    "POST /chat/completions": HARMLESS,
    "POST /completions": {"user"},
    "POST /embeddings": {"user"},
    "POST /responses": {"context_management", "max_tool_calls", "prompt_cache_key", "prompt_cache_options",
                        "prompt_cache_retention", "safety_identifier", "user", "reasoning"},
    "POST /responses/input_tokens": {"personality", "truncation", "reasoning"},
    "POST /conversations/{conversation_id}/items": {"include"},
    "GET /responses/{response_id}": {"include", "include_obfuscation"},
    "GET /responses/{response_id}/input_items": {"include"},
    "GET /conversations/{conversation_id}/items": {"include"},
}  # fmt: skip
REFUSED = {
    "POST /chat/completions": {"audio", "modalities", "moderation", "prediction", "verbosity", "web_search_options"},
    "POST /responses": {"moderation", "prompt"},
}


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    running = start(folder)
    yield running
    running.close()


@pytest.fixture(scope="module")
def ids(server: Running) -> dict[str, str]:
    made = server.own.post("/v1/responses", json={"model": NAME, "input": "say a", "background": True})
    talk = server.own.post("/v1/conversations", json={"items": TALK})
    return {"response_id": made.json()["id"], "conversation_id": talk.json()["id"]}


CASES = [(op, where, name) for op, found in OPERATIONS.items() for where in found for name in found[where]]


@pytest.mark.parametrize(("operation", "where", "name"), CASES, ids=lambda value: str(value).replace("/", "."))
def test_each_parameter(server: Running, ids: dict[str, str], operation: str, where: str, name: str) -> None:
    method, _, path = operation.partition(" ")
    value = FOR.get((operation, name), VALUES.get(name))
    if name in ("previous_response_id", "conversation"):
        value = ids["response_id" if name == "previous_response_id" else "conversation_id"]
    body, query = dict(BASE.get(operation, {})), {}
    if where == "query":
        query = {name: {"limit": 1, "order": "asc", "stream": "true", "starting_after": 0}.get(name, "true")}
        if name == "after":
            query = {}  # its value is the id of an item, which other tests have
    else:
        assert value is not None, f"a value for {name}"
        beside = {} if operation == "POST /responses" and name == "top_logprobs" else BESIDE.get(name, {})
        body |= beside | {name: value}
    reply = server.own.request(method, f"/v1{path.format(**ids)}" if "{model}" not in path else f"/v1/models/{NAME}",
                               json=body if method == "POST" else None, params=query)  # fmt: skip
    ignored = reply.headers.get("x-creuset-ignored", "").replace(",", " ").split()
    if reply.status_code == 400:
        error = reply.json()["error"]
        assert (error["param"] or "").startswith(name) and error["code"] != "unknown_parameter", error
        outcome = "refused"
    else:
        assert reply.status_code == 200, reply.text
        told = any(one == name or one.startswith(f"{name}.") for one in ignored)
        outcome = "ignored" if told else "works"
    known = {
        **dict.fromkeys(IGNORED.get(operation, ()), "ignored"),
        **dict.fromkeys(REFUSED.get(operation, ()), "refused"),
    }
    assert outcome == known.get(name, "works"), (outcome, ignored)


def test_the_extract_says_where_it_is_from() -> None:
    found = json.loads((Path(__file__).parent / "openai_parameters.json").read_text())
    assert "2.3.0" in found["source"] and found["licence"].startswith("MIT License, Copyright (c) OpenAI")
    assert {"POST /responses", "POST /chat/completions", "GET /models"} <= set(found["operations"])
