"""What the dialects share: the way of a chat from a checked request to the reply that carries its answer.

A dialect reads its fields into a `ChatRequest` and says how its replies are built. Behind that, nobody knows which
dialect was spoken.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from creuset.core.errors import CreusetError, RequestError
from creuset.server.chat.answer import PieceReader
from creuset.server.chat.guarded import GuardedAnswer, guard_chat
from creuset.server.chat.request import ChatRequest, chat_grammar, visible_ids
from creuset.server.chat.sampling import fit, for_choice, truncated
from creuset.server.chat.thinking import bounded
from creuset.server.chat.upstream import UpstreamAnswer, reader_for, upstream_body
from creuset.server.engines.client import ClientDisconnected, Generation
from creuset.server.engines.pool import AnyEngine, ServedEngine
from creuset.server.engines.relay import Relay
from creuset.server.engines.upstream import UpstreamEngine
from creuset.server.middleware import CLIENT_GONE
from creuset.server.model import ServedModel
from creuset.server.protect.guards.body import chain_of
from creuset.server.routes.answer import RoutedAnswer
from creuset.server.state import ServerState, context_of, off_loop
from creuset.server.stream import OPENAI, EventSource, EventStream, Frames, ResponseBuilder, disconnected, whole
from creuset.server.tenants.admission import admission
from creuset.server.tenants.gate import Hold
from creuset.server.tenants.metered import UNSAID, GenerationMeter
from creuset.text.calls.forced import Thought
from creuset.types.generation import GenerationRequest
from creuset.types.messages import ChatMessage
from creuset.types.served import DEFAULT_TIER

R = TypeVar("R", bound=ResponseBuilder)
Answer = Response | EventStream | Relay | RoutedAnswer
Handler = Callable[[Request], Awaitable[Answer]]
Prepared = tuple[list[GenerationRequest], ResponseBuilder]
Respond = Callable[[ChatRequest, list[int], Thought], ResponseBuilder]
Around = Callable[[EventSource], EventSource]


async def chat_prompt(model: ServedModel, ask: ChatRequest) -> list[int]:
    """The prompt of a checked request, in tokens."""
    return await chat_ids(
        model, ask.messages, ask.use.tools, ask.generates, ask.thinking.kwargs, continues=ask.continues,
        form=ask.structure.schema if ask.structure is not None and ask.use.choice == "auto" else None,
    )  # fmt: skip


async def chat_ids(
    model: ServedModel,
    messages: list[ChatMessage],
    tools: Sequence[dict[str, Any]],
    generate: bool,
    kwargs: dict[str, Any],
    *,
    continues: bool = False,
    form: Any = None,
) -> list[int]:
    """The prompt as the model's own template has it. `form`: the JSON schema of an answer that is no call."""

    def encode() -> list[int]:
        return model.template.encode(
            messages, tools=tools or None, add_generation_prompt=generate, continue_final_message=continues,
            form=form, **kwargs,
        ).ids  # fmt: skip

    return await off_loop(sum(len(message.content) for message in messages), encode)


async def answer_chat(
    state: ServerState,
    request: Request,
    engine: AnyEngine,
    ask: ChatRequest,
    reply_id: str,
    salt: str,
    respond: Respond,
    *,
    frames: Frames = OPENAI,
    capped: bool = False,
) -> Answer:
    """`capped`: `max_tokens` is a most, and no more is asked for than the context has room for."""
    ask, respond, around = await guarded(state, request, engine, ask, respond)
    if isinstance(engine, UpstreamEngine):
        generation = around(await asked_there(state, request, engine, ask, reply_id, capped=capped))
        return await _carried(state, request, generation, respond(ask, [], "none"), ask.stream, frames)
    prepare = await _preparation(engine, ask, reply_id, salt, respond, capped=capped)
    return await carry(
        state, request, engine, reply_id, prepare, completions=ask.choices, choices=ask.choices, streamed=ask.stream,
        frames=frames, around=around,
    )  # fmt: skip


async def guarded(
    state: ServerState, request: Request, engine: AnyEngine, ask: ChatRequest, respond: Callable[..., R]
) -> tuple[ChatRequest, Callable[..., R], Around]:
    """`ask` as the model may read it, and what stands between its answer and the dialect. GuardRefused, GuardFailed."""
    chain = chain_of(state.protection, context_of(request))
    ask = await guard_chat(chain, ask)
    if not ask.guarded:
        return ask, respond, lambda source: source
    thoughts: list[Thought] = ["none"]

    def noted(ask: ChatRequest, prompt: list[int], thought: Thought) -> R:
        thoughts[0] = thought
        return respond(ask, prompt, thought)

    def reader() -> PieceReader:
        return reader_for(engine, replace(ask, guarded=False), thoughts[0])

    return ask, noted, lambda source: GuardedAnswer(source, chain, reader)


async def started(
    state: ServerState,
    request: Request,
    engine: AnyEngine,
    ask: ChatRequest,
    reply_id: str,
    salt: str,
    respond: Callable[[ChatRequest, list[int], Thought], R],
) -> tuple[EventSource, R]:
    """The generation of an answer that goes on without its client."""
    ask, respond, around = await guarded(state, request, engine, ask, respond)
    if isinstance(engine, UpstreamEngine):
        return around(await asked_there(state, request, engine, ask, reply_id)), respond(ask, [], "none")
    made: list[R] = []

    def keeping(ask: ChatRequest, prompt: list[int], thought: Thought) -> R:
        made.append(respond(ask, prompt, thought))
        return made[0]

    prepare = await _preparation(engine, ask, reply_id, salt, keeping)
    context_of(request).facts["reply"] = reply_id
    async with state.engines.hold(engine, ask.choices, unless=lambda: disconnected(request.receive)):
        requests, _ = prepare()
        return around(await submitted(state, request, engine, requests, choices=ask.choices)), made[0]


async def fitting(engine: ServedEngine, ask: ChatRequest) -> ChatRequest:
    """`ask` with its oldest messages left out, until prompt and answer fit; system messages and the last one stay."""
    wanted = engine.window - (ask.max_tokens or 1)
    while len(await chat_prompt(engine.model, ask)) > wanted:
        old = [at for at, message in enumerate(ask.messages[:-1]) if message.role != "system"]
        if not old:
            break
        kept = ask.messages[: old[0]] + ask.messages[old[0] + 1 :]
        while len(kept) > 1 and kept[old[0]].role == "tool":  # the result of a call that is gone
            del kept[old[0]]
        ask = replace(ask, messages=kept)
    return ask


async def _preparation(
    engine: ServedEngine, ask: ChatRequest, reply_id: str, salt: str, respond: Respond, *, capped: bool = False
) -> Callable[[], Prepared]:
    """What says what the engine is asked, once its window is known. A full engine is told before a prompt is read."""
    engine.client.refuse(ask.choices, promised=engine.promised)
    model = engine.model
    ids = await chat_prompt(model, ask)
    thought = model.template.thought(ids, asked=ask.thinking.switched)
    grammar = await asyncio.to_thread(chat_grammar, ask, model, thought) if ask.constrained else None

    def prepare() -> Prepared:
        prompt = truncated(ids, ask.keep, engine.window, ask.max_tokens)
        room = engine.window - len(prompt)
        asked = ask.max_tokens if not capped or ask.max_tokens is None or room < 1 else min(ask.max_tokens, room)
        tokens = fit(
            ask.model, engine.window, len(prompt), asked, param="messages", limit=ask.limit, context=model.context
        )
        sampling = msgspec.structs.replace(ask.sampling, max_tokens=tokens)
        first = GenerationRequest(
            id="", prompt=prompt, sampling=sampling, salt=salt, grammar=grammar, whole=not ask.stream,
            visible_ids=visible_ids(ask, model),
            thinking=bounded(ask.thinking, model, thought, asked=asked, room=tokens, tools=bool(ask.use.tools)),
        )  # fmt: skip
        others = msgspec.structs.replace(sampling, prompt_logprobs=None)  # those are told once
        requests = [
            msgspec.structs.replace(first, id=f"{reply_id}:{i}", sampling=for_choice(others if i else sampling, i))
            for i in range(ask.choices)
        ]
        return requests, respond(ask, prompt, thought)

    return prepare


async def carry(
    state: ServerState,
    request: Request,
    engine: ServedEngine,
    reply_id: str,
    prepare: Callable[[], Prepared],
    *,
    completions: int,
    choices: int,
    streamed: bool,
    frames: Frames = OPENAI,
    around: Around = lambda source: source,
) -> Answer:
    """Wait for the model, which may have to be loaded; `prepare` then says what to ask, for the window it has."""
    facts: dict[str, Any] = context_of(request).facts
    facts["reply"] = reply_id
    if not state.engines.alone:
        facts["model"] = engine.name
    try:
        async with state.engines.hold(engine, completions, unless=lambda: disconnected(request.receive)):
            requests, reply = prepare()
            generation = await submitted(state, request, engine, requests, choices=choices)
    except ClientDisconnected:
        return Response(status_code=CLIENT_GONE)
    return await _carried(state, request, around(generation), reply, streamed, frames)


async def _carried(
    state: ServerState,
    request: Request,
    generation: EventSource,
    reply: ResponseBuilder,
    streamed: bool,
    frames: Frames,
) -> Answer:
    if streamed:
        return EventStream(generation, reply, state.settings.heartbeat_s, state.settings.send_timeout_s, frames)
    return await whole(generation, reply, request.receive)


async def asked_there(
    state: ServerState, request: Request, engine: UpstreamEngine, ask: ChatRequest, reply_id: str, *,
    capped: bool = False,
) -> UpstreamAnswer:  # fmt: skip
    """The answer of a model of another server. RequestError for what cannot be asked there."""
    most = engine.context
    if most is not None and ask.max_tokens is not None and ask.max_tokens > most:
        if not capped:
            words = f"is {ask.max_tokens}; the context of {engine.name} is {most} tokens"
            raise RequestError(f"`{ask.limit}` {words}", param=ask.limit)
        ask = replace(ask, max_tokens=most)
    context_of(request).facts |= {"reply": reply_id, "model": engine.name}
    body = await chain_of(state.protection, context_of(request)).relayed(upstream_body(ask, engine))
    size = len(msgspec.json.encode(body))  # no token is shorter than a byte
    longest = ask.max_tokens or engine.context or UNSAID
    hold = await admitted(state, request, engine.names, prompt_tokens=size, max_tokens=longest)
    return UpstreamAnswer(engine, ask, body, reply_id, hold, size, context_of(request).served.tier)


async def submitted(
    state: ServerState, request: Request, engine: ServedEngine, requests: list[GenerationRequest], *, choices: int
) -> Generation:
    """The generation of `requests`, once the limits and budgets of the caller let them in. What it uses is charged."""
    context = context_of(request)
    tier = context.errand.tier if context.errand is not None else context.served.tier
    if tier != DEFAULT_TIER:
        requests = [msgspec.structs.replace(one, tier=tier) for one in requests]
    if context.who is None and context.errand is None:
        return engine.submit(requests, choices=choices)
    prompts = [len(one.prompt) for one in requests]
    written = sum(one.sampling.max_tokens for one in requests)
    hold = await admitted(state, request, engine.names, prompt_tokens=sum(prompts[::choices]), max_tokens=written)
    try:
        return engine.submit(requests, choices=choices, meter=GenerationMeter(hold, prompts, choices))
    except Exception:
        hold.release("refused")
        raise


async def admitted(
    state: ServerState, request: Request, names: Sequence[str], *, prompt_tokens: int, max_tokens: int,
    kind: str = "completions",
) -> Hold:  # fmt: skip
    """A hold for this request, its limits told in the reply's headers. Raises what the caller is to be told."""
    context = context_of(request)
    try:
        hold = await admission(
            state.gate, context, names, prompt_tokens=prompt_tokens, max_tokens=max_tokens, kind=kind
        )
    except CreusetError:
        context.limits = state.gate.headers(context.who, names)
        raise
    context.limits = hold.headers
    return hold
