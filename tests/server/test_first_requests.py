"""Requests that strangers sent first, and that were once refused: served now, or refused in words that clients know."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.lazy import lazily

from .conftest import NAME, Running, start

if TYPE_CHECKING:
    import openai
else:
    openai = lazily("openai")

EMPTY = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    running = start(folder, allow_origins=("localhost",))
    yield running
    running.close()


@pytest.mark.parametrize(
    ("given", "ignored"),
    [
        ({"messages": [{"role": "user", "name": "ann", "content": "Hello"}]}, "messages.name"),
        ({"messages": [{"role": "assistant", "content": None}, {"role": "user", "content": "Hello"}]}, ""),
        (
            {"messages": [{"role": "user", "content": [
                {"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]}]},
            "messages.content.cache_control",
        ),
        (
            {"messages": [{"role": "assistant", "content": "Hi", "reasoning": "x", "id": "1"},
                          {"role": "user", "content": "Hello"}]},
            "messages.id",
        ),
        ({"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": EMPTY}}]}, ""),
    ],
)  # fmt: skip
def test_what_changes_nothing_is_served_and_named(server: Running, given: dict[str, Any], ignored: str) -> None:
    body = {"model": NAME, "messages": [{"role": "user", "content": "say hi"}], **given}
    found = server.own.post("/v1/chat/completions", json=body)
    assert found.status_code == 200 and found.headers.get("x-creuset-ignored", "") == ignored


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_the_official_client_finds_the_server_with_and_without_v1(server: Running, path: str) -> None:
    plain = openai.DefaultHttpxClient(verify=False, trust_env=False)
    with openai.OpenAI(base_url=server.url + path, api_key="none", max_retries=0, http_client=plain) as client:
        assert next(iter(client.models.list())).id == NAME
        assert client.models.retrieve(NAME).id == NAME
        reply = client.chat.completions.create(model=NAME, messages=[{"role": "user", "content": "say hi"}])
        assert reply.choices[0].message.content == "hi"
        assert client.completions.create(model=NAME, prompt="say hi").choices[0].text


def test_an_address_that_is_not_served_tells_what_is_before_anything_else(server: Running) -> None:
    for kind in ("multipart/form-data", "application/json"):
        found = server.own.post("/v1/images/edits", content=b"x", headers={"content-type": kind})
        assert found.status_code == 404 and found.json()["error"]["code"] == "unknown_url"
        assert "this server has POST /v1/chat/completions, POST /v1/completions, GET /v1/models" in found.text


def test_a_browser_may_send_what_the_official_client_sends(server: Running) -> None:
    asked = {
        "origin": "http://localhost:5173", "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, x-stainless-os",
    }  # fmt: skip
    found = server.own.options("/v1/chat/completions", headers=asked)
    assert found.status_code == 204 and "x-stainless-os" in found.headers["access-control-allow-headers"]
    assert found.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert {"origin", "access-control-request-headers"} == set(found.headers["vary"].split(", "))


@pytest.mark.parametrize(
    ("more", "param"),
    [({}, "messages"), ({"max_tokens": 9}, "messages"), ({"content": "Hello", "max_tokens": 4090}, "max_tokens")],
)
def test_a_prompt_that_is_too_long_is_told_in_the_words_that_clients_look_for(
    server: Running, more: dict[str, Any], param: str
) -> None:
    content = more.pop("content", "Hello " * 5000)
    body = {"model": NAME, "messages": [{"role": "user", "content": content}], **more}
    error = server.own.post("/v1/chat/completions", json=body).json()["error"]
    assert "This model's maximum context length is 4096 tokens" in error["message"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", param)


def test_a_body_may_be_compressed(server: Running) -> None:
    body = gzip.compress(json.dumps({"model": NAME, "messages": [{"role": "user", "content": "say hi"}]}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    found = server.own.post("/v1/chat/completions", content=body, headers=headers)
    assert found.json()["choices"][0]["message"]["content"] == "hi"
    assert server.own.post("/v1/chat/completions", content=body, headers=headers | {"content-encoding": "zstd"}
    ).status_code == 415  # fmt: skip


def test_what_ends_a_reply_is_told(server: Running) -> None:
    assert server.own.get("/tokenizer_info").json()["eos_token"] == "<|im_end|>"


def test_an_answer_that_was_sent_is_taken_back(server: Running) -> None:
    """Whatever the model wrote, the message of the reply goes into the next request as it came."""
    written = [
        '<tool_call>\n{"name": "f", "arguments": null}\n</tool_call>',
        '<tool_call>\n{"name": "f", "arguments": [1]}\n</tool_call>',
        '<tool_call>\n{"name": "f", "arguments": {"a": 1}',
        '<tool_call>\n{"name": "f", "arguments": {"a": "cut',
        '<tool_call>\n{"name": "f", "parameters": {"a": 1}}\n</tool_call>',
    ]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    for text in written:
        first = [{"role": "user", "content": f"say {text}"}]
        reply: httpx.Response = server.own.post(
            "/v1/chat/completions", json={"model": NAME, "messages": first, "tools": tools}
        )
        message = reply.json()["choices"][0]["message"]
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in message.get("tool_calls", ())
        ]
        messages = [*first, message, *results, {"role": "user", "content": "say hi"}]
        again = server.own.post("/v1/chat/completions", json={"model": NAME, "messages": messages, "tools": tools})
        assert again.status_code == 200, (text, message, again.text)
