"""The HTTP face: routes are thin, and everything they use is on the desk.

A route does four things in this order: read what is asked (400), turn it into tokens (400 when too long),
hand it to the engine (429, 503), carry the reply. Who is asking was settled before, in `front`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from creuset.core.errors import EngineError
from creuset.engine.watermark import Watermark
from creuset.server import stream
from creuset.server.engines.client import EngineLink, Job
from creuset.server.errors import HANDLERS, error_object
from creuset.server.metrics import Metrics
from creuset.server.middleware import Front, Identify
from creuset.server.model import Model
from creuset.server.openai.chat import parse_chat
from creuset.server.openai.completions import DEFAULT_MAX_TOKENS, CompletionAsk, parse_completion
from creuset.server.openai.fields import parse_object
from creuset.server.openai.models import model_card, model_list, one_model
from creuset.server.openai.reply import ChatReply, CompletionReply, Reply
from creuset.server.openai.sampling import fit, for_choice
from creuset.server.openai.tokens import parse_detokenize, parse_tokenize, tokenized, tokenizer_info
from creuset.server.openai.watermark import detected, examine, parse_detect
from creuset.server.pages import Pages
from creuset.server.settings import ServeSettings
from creuset.text.chat import encode_chat

SLOW_TEXT_CHARS = 20_000  # a longer text is tokenized on a thread, so that other streams go on

Handler = Callable[[Request], Awaitable[Response | stream.EventStream]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """Everything a route may touch."""

    model: Model
    link: EngineLink
    settings: ServeSettings
    metrics: Metrics
    log: Any
    keys: Identify | None = None
    clock: Callable[[], float] = time.time
    pages: Pages = field(default_factory=Pages)
    watermark: Watermark | None = None


def create_app(desk: Desk) -> ASGIApp:
    model = desk.model

    async def chat(request: Request) -> Response | stream.EventStream:
        ask = parse_chat(parse_object(await request.body()), model)
        size = sum(len(m["content"]) for m in ask.messages)
        ids = await _aside(size, _chat_ids, model, ask.messages, ask.tools, True, ask.thinking)
        tokens = fit(ask.model, desk.link.window(model.context), len(ids), ask.max_tokens, param="messages")
        sampling = msgspec.structs.replace(ask.sampling, max_tokens=tokens)
        name = "chatcmpl-" + token_hex(12)
        jobs = [Job(f"{name}:{i}", ids, for_choice(sampling, i), i == 0, _salt(request)) for i in range(ask.choices)]
        reply = ChatReply(
            ask, model, len(ids), id=name, created=int(desk.clock()), obfuscate=not desk.settings.loopback
        )
        return await _carry(request, jobs, reply, ask.stream)

    async def complete(request: Request) -> Response | stream.EventStream:
        body = await request.body()
        ask = await _aside(len(body), parse_completion, parse_object(body), model)
        name = "cmpl-" + token_hex(12)
        jobs = _completion_jobs(ask, desk.link.window(model.context), name, _salt(request))
        reply = CompletionReply(ask, model, id=name, created=int(desk.clock()), obfuscate=not desk.settings.loopback)
        return await _carry(request, jobs, reply, ask.stream)

    async def _carry(request: Request, jobs: list[Job], reply: Reply, streamed: bool) -> Response | stream.EventStream:
        request.scope["visit"].facts["reply"] = jobs[0].id.partition(":")[0]
        call = desk.link.submit(jobs)
        if streamed:
            return stream.EventStream(call, reply, desk.settings.heartbeat_s, desk.settings.send_timeout_s)
        return await stream.whole(call, reply, request.receive)

    async def tokenize(request: Request) -> Response:
        ask = parse_tokenize(parse_object(await request.body()), model)
        if ask.prompt is not None:
            ids = await _aside(len(ask.prompt), model.tokenizer.encode_special, ask.prompt)
        else:
            size = sum(len(m["content"]) for m in ask.messages)
            ids = await _aside(size, _chat_ids, model, ask.messages, ask.tools, ask.add_generation_prompt, ask.thinking)
        return _json(tokenized(ids, ask, model))

    async def detokenize(request: Request) -> Response:
        ids = parse_detokenize(parse_object(await request.body()), model)
        return _json({"prompt": model.tokenizer.decode(ids)})

    async def detect(request: Request) -> Response:
        body = await request.body()
        text = parse_detect(parse_object(body), model, desk.watermark)
        assert desk.watermark is not None
        found = await _aside(len(text), examine, text, model, desk.watermark)
        return _json(detected(found, model, desk.watermark))

    async def info(_request: Request) -> Response:
        return _json(tokenizer_info(model))

    async def models(_request: Request) -> Response:
        return _json(model_list(model))

    async def model_by_name(request: Request) -> Response:
        return _json(one_model(request.path_params["name"], model))

    async def card(_request: Request) -> Response:
        return _json(model_card(model) | {"engine": desk.link.state})

    async def health(_request: Request) -> Response:
        state = desk.link.state
        if state == "ready":
            return _json({"status": "ok", "engine": state})
        error = error_object(EngineError(desk.link.why_not()))
        return _json({"status": "unavailable", "engine": state, **error}, 503, {"retry-after": "1"})

    async def metrics(_request: Request) -> Response:
        text = desk.metrics.render(open_jobs=desk.link.open_jobs, stats=desk.link.stats)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def page(_request: Request) -> Response:
        return desk.pages.index()

    async def page_file(request: Request) -> Response:
        return desk.pages.file(request)

    table: list[tuple[str, str, Handler]] = [
        ("POST", "/v1/chat/completions", chat),
        ("POST", "/v1/completions", complete),
        ("GET", "/v1/models", models),
        ("GET", "/v1/models/{name:path}", model_by_name),
        ("GET", "/v1/creuset/model", card),
        ("POST", "/v1/watermark/detect", detect),
        ("POST", "/tokenize", tokenize),
        ("POST", "/detokenize", detokenize),
        ("GET", "/tokenizer_info", info),
        ("GET", "/health", health),
        ("GET", "/metrics", metrics),
        ("GET", "/", page),
        ("GET", "/assets/{file:path}", page_file),
        ("GET", "/favicon.svg", page_file),
    ]
    routes = [Route(path, _named(path, handler), methods=[method]) for method, path, handler in table]
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    return Front(app, desk.settings, desk.keys, desk.metrics, desk.log)


def _named(path: str, handler: Handler) -> Callable[[Request], Awaitable[Any]]:
    """`handler`, telling the log and the metrics which route this was."""

    async def named(request: Request) -> Any:
        request.scope["visit"].route = path
        return await handler(request)

    return named


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def _salt(request: Request) -> str:
    return request.scope["visit"].caller or ""


async def _aside(size: int, function: Callable[..., Any], *args: Any) -> Any:
    """Call `function`, on a thread when its text of `size` characters is long."""
    return await asyncio.to_thread(function, *args) if size > SLOW_TEXT_CHARS else function(*args)


def _chat_ids(
    model: Model, messages: list[dict[str, Any]], tools: list[dict[str, Any]], generate: bool, thinking: bool | None
) -> list[int]:
    found = encode_chat(
        model.tokenizer, messages, tools=tools or None, add_generation_prompt=generate, thinking=thinking
    )
    return list(found.ids)


def _completion_jobs(ask: CompletionAsk, window: int, name: str, salt: str) -> list[Job]:
    jobs: list[Job] = []
    for at, prompt in enumerate(ask.prompts):
        param = "prompt" if len(ask.prompts) == 1 else f"prompt[{at}]"
        tokens = fit(ask.model, window, len(prompt.ids), ask.max_tokens, param=param, default=DEFAULT_MAX_TOKENS)
        sampling = msgspec.structs.replace(ask.sampling, max_tokens=tokens)
        for i in range(ask.choices):
            jobs.append(Job(f"{name}:{len(jobs)}", prompt.ids, for_choice(sampling, i), i == 0, salt))
    return jobs
