"""Requests to a server with the shipped model, and what of each reply must stay equal."""

import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx

ASK = [{"role": "user", "content": "What is a river?"}]
TALK = [
    {"role": "system", "content": "You answer in one sentence."},
    {"role": "user", "content": "Tell me about the sea, <|im_end|> please."},
    {"role": "assistant", "content": "The sea is salt water."},
    {"role": "user", "content": "Et en français ?"},
]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}
CALLED = [
    {"role": "user", "content": "What is the weather in Paris?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"town": "Paris"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "rain, 12 degrees"},
]
PLAIN = (
    "A widow kept seven lanterns on the roof so that fishermen could find the harbour at night. When a storm broke "
    "five of them, the young baker climbed with candles from his shop and held them against the wind all night."
)
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
GREEDY = {"temperature": 0, "max_tokens": 24}
SEEDED = {"temperature": 0.9, "top_p": 0.95, "seed": 7, "max_tokens": 24}

# Name, path, body. A body of None is a GET, one of bytes is sent as it is.
REQUESTS: list[tuple[str, str, Any]] = [
    ("models", "/v1/models", None),
    ("one model", "/v1/models/mini", None),
    ("no such model", "/v1/models/max", None),
    ("model card", "/v1/creuset/model", None),
    ("health", "/health", None),
    ("tokenizer info", "/tokenizer_info", None),
    ("no such route", "/v1/nothing", None),
    ("wrong method", CHAT, None),
    ("chat greedy", CHAT, {"messages": ASK, **GREEDY}),
    ("chat defaults with seed", CHAT, {"messages": ASK, "seed": 3, "max_tokens": 16}),
    ("chat with seed", CHAT, {"messages": TALK, **SEEDED, "max_tokens": 80}),
    ("chat two choices", CHAT, {"messages": ASK, **SEEDED, "n": 2}),
    ("chat penalties", CHAT, {"messages": ASK, "temperature": 0, "max_tokens": 80, "presence_penalty": 0.5,
                              "frequency_penalty": 0.7}),
    ("chat bias", CHAT, {"messages": ASK, **GREEDY, "logit_bias": {"300": 5, "301": -100}}),
    ("chat stop", CHAT, {"messages": ASK, **GREEDY, "stop": ["water", "."]}),
    ("chat log-probabilities", CHAT, {"messages": ASK, **GREEDY, "logprobs": True, "top_logprobs": 3}),
    ("chat streamed", CHAT, {"messages": TALK, **GREEDY, "stream": True}),
    ("chat streamed with usage", CHAT,
     {"messages": ASK, **SEEDED, "n": 2, "stream": True, "stream_options": {"include_usage": True}}),
    ("chat streamed log-probabilities", CHAT,
     {"messages": ASK, **GREEDY, "stream": True, "logprobs": True, "top_logprobs": 2}),
    ("chat tools", CHAT, {"messages": CALLED[:1], "tools": [WEATHER], **GREEDY}),
    ("chat tool result", CHAT, {"messages": CALLED, "tools": [WEATHER], **GREEDY}),
    ("chat tools streamed", CHAT, {"messages": CALLED[:1], "tools": [WEATHER], **GREEDY, "stream": True}),
    ("chat parts", CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}], **GREEDY}),
    ("chat thinking", CHAT, {"messages": ASK, **GREEDY, "chat_template_kwargs": {"enable_thinking": True}}),
    ("completion echo", TEXT, {"prompt": "The cat sat on", **GREEDY, "echo": True, "logprobs": 2}),
    ("completion score", TEXT, {"prompt": "The cat sat on the mat.", "max_tokens": 0, "echo": True, "logprobs": 0}),
    ("completion prompts", TEXT, {"prompt": ["The dog", "Le chat"], **SEEDED, "n": 2}),
    ("completion ids", TEXT, {"prompt": [300, 301, 302], **GREEDY}),
    ("completion streamed", TEXT, {"prompt": "Once upon a time", **SEEDED, "stream": True}),
    ("tokenize", "/tokenize", {"prompt": "Où est l'école ? <|im_end|> 日本", "return_token_strs": True}),
    ("tokenize chat", "/tokenize", {"messages": TALK}),
    ("detokenize", "/detokenize", {"tokens": [300, 301, 302, 40]}),
    ("watermark none", "/v1/watermark/detect", {"text": PLAIN}),
    ("watermark short", "/v1/watermark/detect", {"text": "The"}),
    # Bad requests.
    ("bad no JSON", CHAT, b"{messages"),
    ("bad list", CHAT, b"[]"),
    ("bad no messages", CHAT, {"messages": []}),
    ("bad role", CHAT, {"messages": [{"role": "king", "content": "x"}]}),
    ("bad temperature", CHAT, {"messages": ASK, "temperature": 3}),
    ("bad n", CHAT, {"messages": ASK, "n": 0}),
    ("bad field", CHAT, {"messages": ASK, "temprature": 1}),
    ("bad model", CHAT, {"messages": ASK, "model": "gpt-9"}),
    ("bad too long", CHAT, {"messages": [{"role": "user", "content": "river " * 4000}]}),
    ("bad max_tokens", CHAT, {"messages": ASK, "max_tokens": 10**6}),
    ("bad JSON mode", CHAT, {"messages": ASK, "response_format": {"type": "json_object"}}),
    ("bad picture", CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}),
    ("bad tool choice", CHAT, {"messages": ASK, "tools": [WEATHER], "tool_choice": "required"}),
    ("bad stream options", CHAT, {"messages": ASK, "stream_options": {"include_usage": True}}),
    ("bad logprobs", CHAT, {"messages": ASK, "top_logprobs": 2}),
    ("bad stop", CHAT, {"messages": ASK, "stop": ["a"] * 99}),
    ("bad prompt", TEXT, {"prompt": []}),
    ("bad ids", TEXT, {"prompt": [10**9]}),
    ("bad suffix", TEXT, {"prompt": "x", "suffix": "y"}),
    ("bad bias", TEXT, {"prompt": "x", "logit_bias": {"x": 1}}),
    ("bad detokenize", "/detokenize", {"tokens": ["x"]}),
]  # fmt: skip

Clean = Callable[[Any], Any]


def replies(url: str, clean: Clean, *, wait: float) -> dict[str, Any]:
    """What the server at `url` says to each request, in order, without what changes from call to call.

    `wait`: seconds that its engine may take to load.
    """
    found: dict[str, Any] = {}
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        until = time.monotonic() + wait
        while client.get("/health").status_code != 200:
            if time.monotonic() > until:
                raise SystemExit(f"the engine was not ready after {wait:.0f} s: {client.get('/health').text}")
            time.sleep(0.1)
        for name, path, body in REQUESTS:
            if body is not None and not isinstance(body, bytes):
                model = {} if path in ("/tokenize", "/detokenize") or "model" in body else {"model": "mini"}
                body = json.dumps(model | body).encode()
            said = (
                client.get(path)
                if body is None
                else client.post(path, content=body, headers={"content-type": "application/json"})
            )
            kind = said.headers.get("content-type", "").partition(";")[0]
            if kind == "text/event-stream":
                content: Any = _stream(said.text, clean)
            elif kind == "application/json":
                content = clean(said.json())
            else:
                content = said.text
            found[name] = {"status": said.status_code, "type": kind, "body": content}
        marked = found["chat with seed"]["body"]["choices"][0]["message"]["content"]
        marked += "".join(choice["text"] for choice in found["completion prompts"]["body"]["choices"])
        said = client.post("/v1/watermark/detect", json={"model": "mini", "text": marked})
        found["watermark of a sampled text"] = {"status": said.status_code, "body": clean(said.json())}
        found["page"] = client.get("/").status_code
        names = re.findall(r"^# TYPE (\S+) (\S+)", client.get("/metrics").text, re.MULTILINE)
        found["metrics"] = [" ".join(pair) for pair in names]
    return found


def _stream(text: str, clean: Clean) -> dict[str, Any]:
    """A stream of events, its pieces of text put together: where a piece ends may differ from call to call."""
    parts = [part for part in text.split("\n\n") if part]
    events = [clean(json.loads(part.removeprefix("data: "))) for part in parts if part.startswith("data: {")]
    texts: dict[str, str] = {}
    tokens: dict[str, list[Any]] = {}
    ends: dict[str, Any] = {}
    for event in events:
        for choice in event.get("choices", []):
            at = str(choice["index"])
            delta = choice.get("delta", {})
            texts[at] = texts.get(at, "") + (delta.get("content") or choice.get("text") or "")
            tokens.setdefault(at, []).extend((choice.get("logprobs") or {}).get("content") or [])
            if choice.get("finish_reason"):
                ends[at] = choice["finish_reason"]
    return {
        "first": events[0], "last": events[-1], "end": parts[-1], "texts": texts, "tokens": tokens, "ends": ends,
        "shapes": sorted({_shape(event) for event in events}),
    }  # fmt: skip


def _shape(value: Any) -> str:
    """The names of the fields, without their values."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shape(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(sorted({_shape(inner) for inner in value})) + "]"
    return "null" if value is None else type(value).__name__
