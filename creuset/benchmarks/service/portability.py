"""Which parts of OpenAI's API an endpoint answers rightly, tried one request at a time: lock-in tested, not declared.

Each probe asks what a client written for that API would ask, and looks whether the answer has the shape and the effect
that the API's description gives it: a `stop` that does not stop is wrong, though the reply is a 200.

    right       shape and effect as described
    wrong       answered, but not so: a parameter without effect, a field that is missing
    refused     4xx: the endpoint says that it does not do this
    failed      no answer, 5xx, something that is no JSON
    untried     the model's replies do not let it be said (too short to be cut)

The score is right / (all but untried). No interval: the probes are a list, not a sample. Tiny models suffice: what is
judged is the server, never the quality of the words.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from creuset.core.artifact import new_artifact, read_manifest
from creuset.core.errors import ArtifactError, EngineError
from creuset.evals.clients.http import CallSettings, HttpClient, Json
from creuset.evals.clients.openai import bearer
from creuset.evals.model import Failure

FILE = "portability.json"
Status = Literal["right", "wrong", "refused", "failed", "untried"]
LONG = "Write the numbers from one to thirty in words, one after the other, and nothing else."
TOOL = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Lyon"]}},
                   "required": ["city"], "additionalProperties": False},
}}  # fmt: skip
SCHEMA = {"type": "object", "properties": {"colour": {"type": "string", "enum": ["red", "green"]},
                                           "ripe": {"type": "boolean"}},
          "required": ["colour", "ripe"], "additionalProperties": False}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tried:
    """One probe of one endpoint."""

    id: str
    status: Status
    said: str  # what came, in a few words


@dataclass(frozen=True, slots=True, kw_only=True)
class Portability:
    """What `try_all` found."""

    url: str
    model: str
    date: str
    right: int
    tried: int
    probes: tuple[Tried, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def keep(self, out: Path) -> None:
        """Publish what was tried, and what came of each probe."""
        facts = {"url": self.url, "model": self.model, "right": self.right, "tried": self.tried}
        with new_artifact(out, kind="portability", settings={}, facts=facts) as folder:
            (folder / FILE).write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """What `keep` left. Raises ArtifactError naming what is wrong with it."""
    if read_manifest(folder)["kind"] != "portability":
        raise ArtifactError(f"`{folder}` is not what `creuset compare portability` leaves")
    file = folder / FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        known = Portability(**{**found, "probes": tuple(Tried(**p) for p in found["probes"])})
        if any(p.status not in get_args(Status) for p in known.probes):
            raise ValueError("a probe has a status that there is not")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArtifactError(f"`{file}` is not a measured portability: {error!r}") from error
    return known.as_json()


class _WrongError(Exception):
    """Answered, but not as the API's description says."""


class _LostError(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class _UntriedError(Exception):
    """Nothing can be said."""


class Api:
    """The endpoint as a client of OpenAI's API sees it."""

    def __init__(self, client: HttpClient, model: str) -> None:
        self.client, self.model = client, model

    async def post(self, path: str, body: Json, *, stream: bool = False) -> Json:
        """The body of a 200; with `stream`, {"events": [...]}."""
        sent = {"model": self.model, **body} | ({"stream": True} if stream else {})
        found = await self.client.post(path, sent, join=(lambda events: {"events": events}) if stream else None)
        if isinstance(found, Failure):
            raise _LostError(found)
        if stream and "events" not in found.body:
            raise _WrongError("a whole reply instead of a stream")
        return found.body

    async def chat(self, words: str = LONG, **more: Any) -> Json:
        body = {"messages": [{"role": "user", "content": words}], "max_tokens": 24, "temperature": 0} | more
        return await self.post("/chat/completions", {k: v for k, v in body.items() if v is not None})


def _content(body: Json) -> str:
    message = body["choices"][0]["message"]
    _check(message["role"] == "assistant", "the message is not the assistant's")
    _check(isinstance(message["content"], str), "the content is no text")
    return str(message["content"])


def _check(good: bool, otherwise: str) -> None:
    if not good:
        raise _WrongError(otherwise)


async def _models(api: Api) -> str:
    found = await api.client.get("/models")
    if isinstance(found, Failure):
        raise _LostError(found)
    names = [m["id"] for m in found.body["data"]]
    _check(api.model in names, f"{api.model} is not among the {len(names)} listed")
    return f"{len(names)} listed"


async def _chat(api: Api) -> str:
    body = await api.chat("Hello")
    text = _content(body)
    _check(body["choices"][0]["finish_reason"] in ("stop", "length"), "no finish_reason")
    return f"{len(text)} characters"


async def _usage(api: Api) -> str:
    told = (await api.chat("Hello"))["usage"]
    parts = [told[k] for k in ("prompt_tokens", "completion_tokens", "total_tokens")]
    _check(all(isinstance(p, int) and p > 0 for p in parts), f"usage is {parts}")
    _check(parts[0] + parts[1] == parts[2], f"{parts[0]} and {parts[1]} tokens do not sum to {parts[2]}")
    return f"{parts[0]} + {parts[1]} tokens"


async def _stream(api: Api) -> str:
    body = {"messages": [{"role": "user", "content": LONG}], "max_tokens": 24, "temperature": 0}
    events = (await api.post("/chat/completions", body, stream=True))["events"]
    choices = [c for e in events for c in e.get("choices") or []]
    text = "".join((c.get("delta") or {}).get("content") or "" for c in choices)
    _check(all(e.get("object") == "chat.completion.chunk" for e in events), "events that are no chunks")
    _check(bool(text), "no text in the stream")
    _check(any(c.get("finish_reason") for c in choices), "the stream ends without a finish_reason")
    return f"{len(events)} events"


async def _stream_usage(api: Api) -> str:
    body = {
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 8,
        "temperature": 0,
        "stream_options": {"include_usage": True},
    }
    last = (await api.post("/chat/completions", body, stream=True))["events"][-1]
    _check(last.get("choices") == [] and bool(last.get("usage")), "the last event is not the usage")
    return f"{last['usage']['completion_tokens']} tokens"


def _limit(name: str) -> Callable[[Api], Awaitable[str]]:
    async def probe(api: Api) -> str:
        limit: dict[str, Any] = {"max_tokens": None, name: 3}
        body = await api.chat(**limit)
        used = body["usage"]["completion_tokens"]
        _check(used <= 3, f"{used} tokens where 3 were allowed")
        _check(used < 3 or body["choices"][0]["finish_reason"] == "length", "cut, but finish_reason is not length")
        return f"{used} tokens"

    return probe


async def _stop(api: Api) -> str:
    whole = _content(await api.chat(max_tokens=48))
    mark = whole[len(whole) // 2 : len(whole) // 2 + 4].strip()
    if len(whole) < 8 or not mark:
        raise _UntriedError(f"a reply of {len(whole)} characters cannot be cut")
    body = await api.chat(max_tokens=48, stop=[mark])
    cut = _content(body)
    if cut != whole and not whole.startswith(cut):
        raise _UntriedError("at temperature 0 two replies differ")
    _check(mark not in cut and cut == whole[: whole.index(mark)], f"the reply goes on after {mark!r}")
    _check(body["choices"][0]["finish_reason"] == "stop", "stopped, but finish_reason is not stop")
    return f"cut at {mark!r}"


async def _n(api: Api) -> str:
    choices = (await api.chat(n=2))["choices"]
    _check(sorted(c["index"] for c in choices) == [0, 1], f"{len(choices)} choice where 2 were asked for")
    return "2 choices"


async def _seed(api: Api) -> str:
    hot: dict[str, Any] = {"temperature": 1.5, "max_tokens": 16}
    again = [_content(await api.chat(seed=seed, **hot)) for seed in (11, 11, 12, 13)]
    _check(again[0] == again[1], "the same seed gave two replies")
    if len(set(again)) == 1:
        raise _UntriedError("three seeds gave the same reply")
    return "the same seed gives the same reply"


async def _logprobs(api: Api) -> str:
    told = (await api.chat(max_tokens=4, logprobs=True, top_logprobs=2))["choices"][0]["logprobs"]["content"]
    _check(bool(told), "no token has a log-probability")
    for token in told:
        _check(isinstance(token["token"], str) and token["logprob"] <= 0, "a log-probability above 0")
        _check(len(token["top_logprobs"]) == 2, f"{len(token['top_logprobs'])} alternatives where 2 were asked for")
    return f"{len(told)} tokens"


async def _json_object(api: Api) -> str:
    body = await api.chat("Answer with a small JSON object.", response_format={"type": "json_object"}, max_tokens=96)
    return _parsed(body, None)


async def _json_schema(api: Api) -> str:
    form = {"type": "json_schema", "json_schema": {"name": "fruit", "strict": True, "schema": SCHEMA}}
    return _parsed(await api.chat("Describe an apple as JSON.", response_format=form, max_tokens=96), SCHEMA)


def _parsed(body: Json, schema: Json | None) -> str:
    text = _content(body)
    try:
        found = json.loads(text)
    except ValueError:
        raise _WrongError(f"no JSON: {text[:40]!r}") from None
    _check(isinstance(found, dict), f"{text[:40]!r} is no object")
    if schema is not None:
        fits = set(found) == {"colour", "ripe"} and found["colour"] in ("red", "green")
        _check(fits and isinstance(found["ripe"], bool), f"{text[:60]!r} does not fit the schema")
    return text[:60]


def _tool(choice: Any) -> Callable[[Api], Awaitable[str]]:
    async def probe(api: Api) -> str:
        body = await api.chat("What is the weather in Paris?", tools=[TOOL], tool_choice=choice, max_tokens=96)
        calls = body["choices"][0]["message"].get("tool_calls") or []
        _check(len(calls) >= 1, "no tool was called")
        called = calls[0]["function"]
        _check(called["name"] == "get_weather" and bool(calls[0]["id"]), f"{called['name']!r} was called")
        found = json.loads(called["arguments"])
        _check(found.get("city") in ("Paris", "Lyon") and set(found) == {"city"}, f"arguments {called['arguments']!r}")
        return str(called["arguments"])

    return probe


async def _completions(api: Api) -> str:
    body = await api.post("/completions", {"prompt": "One, two, three,", "max_tokens": 8, "temperature": 0})
    _check(isinstance(body["choices"][0]["text"], str), "no text")
    return f"{len(body['choices'][0]['text'])} characters"


async def _responses(api: Api) -> str:
    body = await api.post("/responses", {"input": "Hello", "max_output_tokens": 16})
    texts = [p["text"] for o in body["output"] if o.get("type") == "message" for p in o["content"]]
    _check(body["object"] == "response" and bool(texts), "no message in the output")
    return f"{len(texts[0])} characters"


async def _embeddings(api: Api) -> str:
    vector = (await api.post("/embeddings", {"input": "Hello"}))["data"][0]["embedding"]
    _check(bool(vector) and all(isinstance(v, float) for v in vector), "no vector")
    return f"{len(vector)} numbers"


def _error(body: Json) -> Callable[[Api], Awaitable[str]]:
    async def probe(api: Api) -> str:
        try:
            await api.post("/chat/completions", body)
        except _LostError as lost:
            if not lost.failure.reason.startswith("refused_"):
                raise
            _check("no explanation" not in lost.failure.detail, "refused without an explanation")
            return lost.failure.detail[:120]
        raise _WrongError("a 200 where an error was due")

    return probe


HELLO = [{"role": "user", "content": "Hello"}]
PROBES: tuple[tuple[str, Callable[[Api], Awaitable[str]]], ...] = (
    ("models", _models),
    ("chat", _chat),
    ("usage", _usage),
    ("stream", _stream),
    ("stream_usage", _stream_usage),
    ("max_tokens", _limit("max_tokens")),
    ("max_completion_tokens", _limit("max_completion_tokens")),
    ("stop", _stop),
    ("n", _n),
    ("seed", _seed),
    ("logprobs", _logprobs),
    ("json_object", _json_object),
    ("json_schema", _json_schema),
    ("tool_named", _tool({"type": "function", "function": {"name": "get_weather"}})),
    ("tool_required", _tool("required")),
    ("completions", _completions),
    ("responses", _responses),
    ("embeddings", _embeddings),
    ("unknown_model", _error({"model": "no-such-model-here", "messages": HELLO})),
    ("bad_request", _error({"messages": HELLO, "temperature": "hot"})),
)  # fmt: skip


async def _try(id: str, probe: Callable[[Api], Awaitable[str]], api: Api) -> Tried:
    try:
        return Tried(id, "right", await probe(api))
    except _UntriedError as why:
        return Tried(id, "untried", str(why))
    except _WrongError as why:
        return Tried(id, "wrong", str(why))
    except _LostError as lost:
        refused = lost.failure.reason.startswith("refused_")
        return Tried(id, "refused" if refused else "failed", lost.failure.detail[:160])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        return Tried(id, "wrong", f"not the described shape: {error!r}"[:160])


async def try_all(
    url: str,
    model: str,
    *,
    key_env: str = "",
    timeout_s: float = 60.0,
    date: str,
    progress: Callable[[int, int], None] = lambda done, of: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Portability:
    """All probes, one after the other. EngineError where nothing answers, ConfigError where no model is to be had."""
    client = HttpClient(
        url, CallSettings(key_env=key_env, concurrency=1, timeout_s=timeout_s, retries=2), bearer, sleep=sleep
    )
    try:
        api = Api(client, model or await client.first_model())
        found = []
        for number, (id, probe) in enumerate(PROBES, 1):
            found.append(await _try(id, probe, api))
            progress(number, len(PROBES))
    finally:
        await client.close()
    if all(t.status == "failed" for t in found):
        raise EngineError(f"`{url}` does not answer: {found[0].said}", hint="is the address that of the API, …/v1?")
    tried = [t for t in found if t.status != "untried"]
    return Portability(
        url=url,
        model=api.model,
        date=date,
        right=sum(t.status == "right" for t in tried),
        tried=len(tried),
        probes=tuple(found),
    )
