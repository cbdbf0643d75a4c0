"""The routes of OpenAI's dialect, and those beside it that vLLM has or that are ours.

A route does four things in this order: read what is asked (400), find the model (404), turn the text into tokens
(400 when too long), hand it to the engine (429, 503) and carry the reply. Who asks was settled in the middleware.
"""

from secrets import token_hex
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from creuset.server.carry import Answer, Handler, Prepared, answer_chat, carry, chat_ids
from creuset.server.chat.guarded import text_around
from creuset.server.chat.request import ChatRequest
from creuset.server.chat.sampling import fit, for_choice
from creuset.server.engines.pool import AnyEngine, ServedEngine
from creuset.server.engines.relay import Relay
from creuset.server.engines.upstream import UpstreamEngine
from creuset.server.model import ServedModel
from creuset.server.openai.chat import parse_chat
from creuset.server.openai.completions import DEFAULT_MAX_TOKENS, CompletionRequest, fitted, parse_completion
from creuset.server.openai.models import model_card, model_object
from creuset.server.openai.reply import ChatResponse, CompletionResponse
from creuset.server.openai.tokens import parse_detokenize, parse_tokenize, tokenized, tokenizer_info
from creuset.server.openai.watermark import detected, examine, parse_detect, the_key
from creuset.server.protect.guards.body import guard_body, guard_parts, relay_guard
from creuset.server.routes.choose import answered, first, listed, named, with_tokens
from creuset.server.schema.chat import ChatBody, CompletionBody, DetectBody, DetokenizeBody, TokenizeBody
from creuset.server.state import ServerState, context_of, json_response, off_loop, salt_of
from creuset.server.stream import ResponseBuilder
from creuset.text.calls.forced import Thought
from creuset.types.fields import Fields, checked_fields, parse_object
from creuset.types.generation import GenerationRequest
from creuset.types.served import OPENAI_TIERS


def openai_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of each route."""
    pads = not state.settings.loopback  # on loopback nobody watches the lengths of packets

    async def chat(request: Request) -> Answer:
        body = guard_parts(state.protection, context_of(request), parse_object(await request.body()))

        async def once(fields: Fields, name: str, engine: AnyEngine) -> Answer:
            return await chat_once(request, body, fields, name, engine)

        return await answered(state, request, body, ChatBody, once, tiers=OPENAI_TIERS)

    async def chat_once(
        request: Request, body: dict[str, Any], fields: Fields, name: str, engine: AnyEngine
    ) -> Answer:  # fmt: skip
        if isinstance(engine, UpstreamEngine):
            return await _relay(request, engine, "/chat/completions", body | {"model": name})
        salt = salt_of(request, fields, state.settings)
        ask = parse_chat(fields, name, engine.model)
        context_of(request).ignored = ask.ignored
        reply_id, tier = "chatcmpl-" + token_hex(12), context_of(request).served.tier

        def respond(ask: ChatRequest, prompt: list[int], thought: Thought) -> ResponseBuilder:
            created = int(state.clock())
            return ChatResponse(
                ask, engine, prompt, thought, id=reply_id, created=created, obfuscate=pads, tier=tier
            )  # fmt: skip

        return await answer_chat(state, request, engine, ask, reply_id, salt, respond)

    async def complete(request: Request) -> Answer:
        raw = await request.body()
        body = await guard_body(state.protection, context_of(request), parse_object(raw), answered=True)

        async def once(fields: Fields, name: str, engine: AnyEngine) -> Answer:
            return await complete_once(request, len(raw), body, fields, name, engine)

        return await answered(state, request, body, CompletionBody, once, tiers=OPENAI_TIERS)

    async def complete_once(
        request: Request, size: int, body: dict[str, Any], fields: Fields, name: str, engine: AnyEngine
    ) -> Answer:
        if isinstance(engine, UpstreamEngine):
            return await _relay(request, engine, "/completions", body | {"model": name})
        salt = salt_of(request, fields, state.settings)
        ask = await off_loop(size, parse_completion, fields, name, engine.model)
        context_of(request).ignored = ask.ignored
        grammar = await ask.structure.grammar() if ask.structure else None
        reply_id = "cmpl-" + token_hex(12)

        def prepare() -> Prepared:
            cut = fitted(ask, engine.window, engine.model)
            requests = _completion_requests(cut, engine, reply_id, salt, grammar)
            return requests, CompletionResponse(cut, engine, id=reply_id, created=int(state.clock()), obfuscate=pads)

        count = len(ask.prompts) * ask.best_of
        return await carry(
            state, request, engine, reply_id, prepare, completions=count, choices=ask.best_of, streamed=ask.stream,
            around=text_around(state.protection, context_of(request)),
        )  # fmt: skip

    async def _relay(request: Request, engine: UpstreamEngine, path: str, body: dict[str, Any]) -> Relay:
        context = context_of(request)
        body = await guard_body(state.protection, context, body, answered=True, relayed=True)
        guard = relay_guard(state.protection, context)
        reply_id = ("cmpl-" if path == "/completions" else "chatcmpl-") + token_hex(12)
        context.facts |= {"reply": reply_id, "model": engine.name}
        created = int(state.clock())
        return Relay(
            engine, path, body, reply_id=reply_id, created=created, settings=state.settings, context=context,
            gate=state.gate, guard=guard,
        )  # fmt: skip

    def _model(request: Request, fields: Fields) -> ServedModel:
        """The model whose tokens are asked for."""
        return with_tokens(state, request, fields, optional=True).model

    async def tokenize(request: Request) -> Response:
        fields = checked_fields(parse_object(await request.body()), TokenizeBody)
        model = _model(request, fields)
        ask = parse_tokenize(fields, model)
        if ask.prompt is not None:
            words = model.tokenizer
            ids = await off_loop(len(ask.prompt), words.encode_special, ask.prompt)
            ids = [*(words.frame[0] if ask.framed else ()), *ids]
        else:
            ids = await chat_ids(model, ask.messages, ask.tools, ask.add_generation_prompt, ask.kwargs)
        return json_response(tokenized(ids, ask, model))

    async def detokenize(request: Request) -> Response:
        fields = checked_fields(parse_object(await request.body()), DetokenizeBody)
        model = _model(request, fields)
        return json_response({"prompt": model.tokenizer.decode(parse_detokenize(fields, model))})

    async def detect(request: Request) -> Response:
        fields, mark = checked_fields(parse_object(await request.body()), DetectBody), the_key(state.watermark)
        model = _model(request, fields)
        text = parse_detect(fields)
        return json_response(detected(await off_loop(len(text), examine, text, model, mark), model, mark))

    async def info(request: Request) -> Response:
        return json_response(tokenizer_info(_model(request, Fields({}))))

    async def models(request: Request) -> Response:
        data = [model_object(name, found) | life for name, found, life in listed(state, request)]
        return json_response({"object": "list", "data": data})

    async def one_model(request: Request) -> Response:
        name = request.path_params["name"]
        found, life = named(state, request, name), state.router.life(name)
        return json_response(model_object(name, found) | ({} if life is None else life.as_json(state.clock())))

    async def card(request: Request) -> Response:
        name = request.query_params.get("model")
        return json_response(model_card(first(state, request) if name is None else named(state, request, name)))

    return [
        ("POST", "/v1/chat/completions", chat),
        ("POST", "/v1/completions", complete),
        ("GET", "/v1/models", models),
        ("GET", "/v1/models/{name:path}", one_model),
        ("GET", "/v1/creuset/model", card),
        ("POST", "/v1/watermark/detect", detect),
        ("POST", "/tokenize", tokenize),
        ("POST", "/detokenize", detokenize),
        ("GET", "/tokenizer_info", info),
    ]


def _completion_requests(
    ask: CompletionRequest, engine: ServedEngine, reply_id: str, salt: str, grammar: str | None
) -> list[GenerationRequest]:
    requests: list[GenerationRequest] = []
    for at, prompt in enumerate(ask.prompts):
        param = "prompt" if len(ask.prompts) == 1 else f"prompt[{at}]"
        tokens = fit(
            ask.model, engine.window, len(prompt.ids), ask.max_tokens, param=param, default=DEFAULT_MAX_TOKENS,
            context=engine.model.context,
        )  # fmt: skip
        sampling = msgspec.structs.replace(ask.sampling, max_tokens=tokens)
        requests += [
            GenerationRequest(
                id=f"{reply_id}:{len(requests) + i}",
                prompt=prompt.ids,
                sampling=for_choice(sampling, i),
                salt=salt,
                whole=not ask.stream,
                grammar=grammar,
                visible_ids=ask.visible_ids,
            )
            for i in range(ask.best_of)
        ]
    return requests
