"""Every refusal: its status, the field it names, words that say the value. And OpenAI's error object on each."""

from typing import Any

import httpx
import pytest

from .conftest import NAME, Running, start

CHAT = {"model": NAME, "messages": [{"role": "user", "content": "say hi"}]}
RAW = {"model": NAME, "prompt": "say hi"}


def refused(reply: httpx.Response, status: int, param: str | None, words: str) -> None:
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (reply.status_code, error["param"]) == (status, param), error
    assert words in error["message"], error["message"]
    assert reply.headers["x-request-id"].startswith("req_")


BIG = {str(i): "v" for i in range(17)}

CHAT_REFUSALS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"model": "gpt-4o"}, 404, "model", '"gpt-4o" is not served here'),
    ({"model": None}, 400, "model", "is required"),
    ({"messages": []}, 400, "messages", "at least one message"),
    ({"messages": "hi"}, 400, "messages", 'must be a list, got "hi"'),
    ({"messages": [{"role": "king", "content": "x"}]}, 400, "messages[0].role", '"king"'),
    ({"messages": [{"role": "user"}]}, 400, "messages[0].content", "is required"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
     400, "messages[0].content[0].type", '"image_url"'),
    ({"messages": [{"role": "user", "content": "x", "mood": 1}]}, 400, "messages[0].mood", "not a field"),
    ({"messages": [{"role": "tool", "content": "x"}]}, 400, "messages[0].tool_call_id", "is required"),
    ({"messages": [{"role": "user", "content": "\ud800"}]}, 400, "", "the body is not JSON"),
    ({"temperature": 2.5}, 400, "temperature", "between 0 and 2, got 2.5"),
    ({"temperature": "hot"}, 400, "temperature", 'must be a number, got "hot"'),
    ({"temperature": True}, 400, "temperature", "must be a number, got true"),
    ({"top_p": 0}, 400, "top_p", "above 0 and at most 1, got 0"),
    ({"top_k": -2}, 400, "top_k", "got -2"),
    ({"min_p": 1.5}, 400, "min_p", "got 1.5"),
    ({"n": 0}, 400, "n", "between 1 and 128, got 0"),
    ({"n": 129}, 400, "n", "between 1 and 128, got 129"),
    ({"n": 1.5}, 400, "n", "must be an integer, got 1.5"),
    ({"max_tokens": 0}, 400, "max_tokens", "got 0"),
    ({"max_tokens": "many"}, 400, "max_tokens", 'got "many"'),
    ({"max_tokens": 5, "max_completion_tokens": 6}, 400, "max_tokens", "old name"),
    ({"max_tokens": 5000}, 400, "max_tokens", "and 5000 to generate"),
    ({"presence_penalty": -2.1}, 400, "presence_penalty", "got -2.1"),
    ({"frequency_penalty": 3}, 400, "frequency_penalty", "got 3"),
    ({"repetition_penalty": 0}, 400, "repetition_penalty", "above 0"),
    ({"logit_bias": {"x": 1}}, 400, "logit_bias", '"x"'),
    ({"logit_bias": {"99999": 1}}, 400, "logit_bias", "99999"),
    ({"logit_bias": {"5": 101}}, 400, "logit_bias", "got 101"),
    ({"seed": 1.5}, 400, "seed", "integer"),
    ({"stop": ["a"] * 5}, 400, "stop", "at most 4 strings, got 5"),
    ({"stop": ""}, 400, "stop", "empty"),
    ({"stop": [1]}, 400, "stop", "list of strings"),
    ({"stop_token_ids": [99999]}, 400, "stop_token_ids", "99999"),
    ({"logprobs": 3}, 400, "logprobs", "true or false, got 3"),
    ({"logprobs": True, "top_logprobs": 21}, 400, "top_logprobs", "got 21"),
    ({"top_logprobs": 2}, 400, "top_logprobs", "only with `logprobs: true`"),
    ({"stream": "yes"}, 400, "stream", 'got "yes"'),
    ({"stream_options": {"include_usage": True}}, 400, "stream_options", "only with `stream: true`"),
    ({"stream": True, "stream_options": {"usage": True}}, 400, "stream_options.usage", "not a field"),
    ({"tools": [{"type": "file"}]}, 400, "tools[0].type", '"file"'),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, 400, "tools[0].function.name", '"a b"'),
    ({"tool_choice": "auto"}, 400, "tool_choice", "only with tools"),
    ({"tool_choice": "required"}, 400, "tool_choice", "only with tools"),
    ({"modalities": ["text", "audio"]}, 400, "modalities", '["text"]'),
    ({"audio": {"voice": "v", "format": "wav"}}, 400, "audio", "is not served"),
    ({"prediction": {"type": "content", "content": "x"}}, 400, "prediction", "is not served"),
    ({"web_search_options": {}}, 400, "web_search_options", "is not served"),
    ({"moderation": {}}, 400, "moderation", "is not served"),
    ({"reasoning_effort": "huge"}, 400, "reasoning_effort", "none, minimal, low, medium, high, xhigh, max"),
    ({"prompt_cache_options": []}, 400, "prompt_cache_options", "must be an object"),
    ({"prompt_cache_retention": 24}, 400, "prompt_cache_retention", "must be a string"),
    ({"priority": "high"}, 400, "priority", '"high"'),
    ({"verbosity": "low"}, 400, "verbosity", '"low"'),
    ({"store": True}, 400, "store", "got true"),
    ({"service_tier": "batch"}, 400, "service_tier", '"batch"'),
    ({"metadata": BIG}, 400, "metadata", "at most 16"),
    ({"metadata": {"a": 1}}, 400, "metadata", "strings"),
    ({"safety_identifier": "x" * 65}, 400, "safety_identifier", "at most 64 characters, got 65"),
    ({"user": 7}, 400, "user", "must be a string"),
    ({"chat_template_kwargs": 1}, 400, "chat_template_kwargs", "must be an object"),
    ({"chat_template_kwargs": {"messages": []}}, 400, "chat_template_kwargs.messages", "other fields"),
    ({"enable_search": True}, 400, "enable_search", "not a field"),
    ({"temprature": 1}, 400, "temprature", "did you mean `temperature`?"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "status", "param", "words"), CHAT_REFUSALS, ids=lambda v: str(v)[:40])
def test_a_chat_refusal_names_the_field_and_the_value(
    http: httpx.Client, change: dict[str, Any], status: int, param: str, words: str
) -> None:
    import json

    body = json.dumps(CHAT | change)
    reply = http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    refused(reply, status, param or None, words)


@pytest.mark.parametrize(
    ("change", "param", "words"),
    [
        ({"best_of": 21}, "best_of", "got 21"),
        ({"logprobs": 6}, "logprobs", "between 0 and 5, got 6"),
        ({"max_tokens": 0}, "max_tokens", "at least 1 without `echo`"),
        ({"prompt": []}, "prompt", "empty list"),
        ({"prompt": {}}, "prompt", "must be a string"),
        ({"prompt": [1, 99999]}, "prompt", "99999"),
        ({"prompt": ["a", 1]}, "prompt[1]", "got 1"),
        ({"prompt": [[]]}, "prompt[0]", "non-empty"),
        ({"prompt": [1] * 5000}, "prompt", "the prompt has 5000 tokens"),
        ({"prompt": ["a", "b " * 5000]}, "prompt[1]", "tokens"),
        ({"messages": []}, "messages", "not a field"),
        ({"stop": ["a"] * 17}, "stop", "at most 16"),
        ({"n": 128, "prompt": ["a", "b"]}, "n", "256 completions at once; this server runs or queues 128"),
    ],
    ids=lambda v: str(v)[:30],
)
def test_a_completion_refusal_names_the_field_and_the_value(
    http: httpx.Client, change: dict[str, Any], param: str, words: str
) -> None:
    refused(http.post("/v1/completions", json=RAW | change), 400, param, words)


def test_a_prompt_that_is_too_long_has_openais_code(http: httpx.Client) -> None:
    reply = http.post("/v1/chat/completions", json=CHAT | {"messages": [{"role": "user", "content": "a b " * 4000}]})
    assert reply.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"model": NaN}'])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"])
def test_a_body_that_is_no_object_is_refused(http: httpx.Client, path: str, body: bytes) -> None:
    reply = http.post(path, content=body, headers={"content-type": "application/json"})
    refused(reply, 400, None, "the body")


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/nothing", 404, "nothing at this address; this server has POST /v1/chat/completions, POST"),
        ("GET", "/v1/models/", 404, 'the model "" is not served here'),
        ("POST", "/v1/audio/speech", 404, "(the API is under /v1)"),
        ("POST", "/v1/v1/chat/completions", 404, "(did you mean /v1/chat/completions?)"),
        ("GET", "/index.html", 404, "nothing at this address; this server has POST"),
        ("GET", "/assets/../../etc/passwd", 404, "nothing"),
        ("GET", "/assets/%2e%2e/%2e%2e/model.py", 404, "nothing"),
        ("GET", "/v1/chat/completions", 405, "does not take this method"),
        ("DELETE", "/v1/models", 405, "does not take this method"),
        ("PUT", "/health", 405, "does not take this method"),
    ],
)
def test_what_is_not_there_is_an_error_object_too(
    http: httpx.Client, method: str, path: str, status: int, words: str
) -> None:
    reply = http.request(method, path, json={} if method == "POST" else None)
    refused(reply, status, "model" if path.startswith("/v1/models/") else None, words)
    if status == 405:
        assert "allow" in reply.headers


def test_another_media_type_is_refused(http: httpx.Client) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        reply = http.post("/v1/chat/completions", content=b"{}", headers={"content-type": kind})
        refused(reply, 415, None, kind)


def test_a_body_over_the_limit_is_refused_said_or_not(folder: Any) -> None:
    server = start(folder, body_limit_bytes=1000)
    try:
        client = server.client(headers={"content-type": "application/json"})
        refused(client.post("/tokenize", json={"prompt": "a" * 2000}), 413, None, "takes 1000")
        refused(client.post("/tokenize", content=iter([b" " * 600, b" " * 600])), 413, None, "takes 1000")
        assert client.post("/tokenize", json={"prompt": "a"}).status_code == 200
    finally:
        server.close()


def test_a_full_server_says_when_to_come_back(folder: Any) -> None:
    server = start(folder, max_concurrency=1, max_queue=1)
    try:
        client = server.client()
        slow = CHAT | {"messages": [{"role": "user", "content": "slowly 300"}], "stream": True}
        with (
            client.stream("POST", "/v1/chat/completions", json=slow) as first,
            client.stream("POST", "/v1/chat/completions", json=slow) as second,
        ):
            next(first.iter_bytes()), next(second.iter_bytes())
            reply = client.post("/v1/chat/completions", json=CHAT)
            refused(reply, 429, None, "(2)")
            assert reply.headers["retry-after"] == "1" and reply.json()["error"]["type"] == "rate_limit_error"
    finally:
        server.close()


def test_a_fault_of_ours_is_a_500_without_its_words(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    from creuset.server.openai import routes

    def broken(*_: Any) -> None:
        raise KeyError("canary-7f3a")

    monkeypatch.setattr(routes, "parse_detokenize", broken)
    reply = server.own.post("/detokenize", json={"tokens": [1]})
    refused(reply, 500, None, "an error of its own")
    log = server.logged('"fault": "KeyError at test_refusals.py')
    assert "canary-7f3a" not in reply.text and "canary-7f3a" not in log
