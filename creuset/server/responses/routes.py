"""The routes of the Responses dialect."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from secrets import token_hex
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from creuset.core.errors import NotFound, RequestError
from creuset.server.carry import Answer, Handler, answer_chat, chat_prompt, fitting, started
from creuset.server.chat.request import ChatRequest
from creuset.server.chat.upstream import model_of, reader_for
from creuset.server.engines.pool import AnyEngine
from creuset.server.engines.upstream import UpstreamEngine
from creuset.server.protect.guards.body import guard_body
from creuset.server.protect.privacy.rules import refuse_keeping
from creuset.server.responses.background import Running
from creuset.server.responses.items import Item, parse_input
from creuset.server.responses.reply import Numbered, ResponseReply, encode
from creuset.server.responses.request import PastItems, ResponseAsk, parse_response
from creuset.server.responses.store import ItemStore, Kept
from creuset.server.routes.choose import answered, with_tokens
from creuset.server.schema.responses import InputTokensBody, ResponseBody
from creuset.server.state import ServerState, context_of, json_response, salt_of
from creuset.server.stream import EVENT_STREAM, KEEP_ALIVE
from creuset.text.calls.forced import Thought
from creuset.types.fields import Fields, checked_fields, parse_object, show
from creuset.types.served import OPENAI_TIERS
from creuset.types.tenants import Caller

MAX_PAGE = 100
SSE = {name.decode(): value.decode() for name, value in EVENT_STREAM}


def response_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of each route."""
    pads = not state.settings.loopback
    store = state.items
    running: dict[str, Running] = {}
    tasks: set[asyncio.Task[None]] = set()

    async def create(request: Request) -> Answer:
        body = await guard_body(state.protection, context_of(request), parse_object(await request.body()))

        async def once(fields: Fields, name: str, engine: AnyEngine) -> Answer:
            return await create_once(request, fields, name, engine)

        return await answered(state, request, body, ResponseBody, once, optional=True, tiers=OPENAI_TIERS)

    async def create_once(request: Request, fields: Fields, name: str, engine: AnyEngine) -> Answer:
        salt, owner = salt_of(request, fields, state.settings), owner_of(request)
        turns = context_of(request).turns
        known = await read_known(fields, store, owner, turns)
        ask = parse_response(fields, name, model_of(engine), known)
        context_of(request).ignored = ask.chat.ignored
        ask.echo["service_tier"] = context_of(request).served.tier
        ask = keeping(context_of(request).who, ask)
        id, created, numbered = f"resp_{token_hex(24)}", int(state.clock()), Numbered()
        chat = ask.chat
        if ask.truncates and not isinstance(engine, UpstreamEngine):
            chat = await fitting(engine, chat)

        def finished(body: dict[str, Any]) -> None:
            kept = Kept(body, ask.input, known.before, [])
            if turns is not None:
                turns.keep(body["id"], kept)
            if ask.store and not ask.background:
                store.keep(owner, kept, ask.conversation)

        def respond(chat: ChatRequest, prompt: list[int], thought: Thought) -> ResponseReply:
            reader, read = (
                reader_for(engine, chat, thought),
                None if isinstance(engine, UpstreamEngine) else len(prompt),
            )
            return ResponseReply(ask, chat, reader, read, id, created, numbered, finished, pads)

        if ask.background:
            return await in_background(request, engine, ask, chat, known, id, salt, respond)
        return await answer_chat(state, request, engine, chat, id, salt, respond, frames=numbered.frames())

    async def in_background(
        request: Request, engine: AnyEngine, ask: ResponseAsk, chat: ChatRequest, known: PastItems, id: str,
        salt: str, respond: Callable[[ChatRequest, list[int], Thought], ResponseReply],
    ) -> Answer:  # fmt: skip
        owner = owner_of(request)
        generation, reply = await started(state, request, engine, chat, id, salt, respond)
        one = running[id] = Running(owner, reply, generation)
        store.keep(owner, Kept(reply.as_json("in_progress"), ask.input, known.before, []))
        task = asyncio.create_task(one.run())
        tasks.add(task)

        def over(done: "asyncio.Task[None]") -> None:
            tasks.discard(done)
            if not one.forgotten:
                store.keep(owner, Kept(one.final, ask.input, known.before, one.events), ask.conversation)
            del running[id]

        task.add_done_callback(over)
        return follow(one, -1) if chat.stream else json_response(reply.as_json("queued"))

    def follow(one: Running, after: int) -> Response:
        async def body() -> Any:
            async for events in one.follow(after, state.settings.heartbeat_s):
                yield encode(events) or KEEP_ALIVE

        return StreamingResponse(body(), headers=SSE)

    def live(request: Request) -> Running | None:
        """The response while it is being written. Once it is not, it is kept: what is read after this is its end."""
        found = running.get(request.path_params["id"])
        return found if found is not None and found.owner == owner_of(request) else None

    async def kept_by(request: Request) -> Kept:
        id = request.path_params["id"]
        found = await store.response(owner_of(request), id)
        if found is None:
            raise NotFound(f"Response with id '{id}' not found.", param="response_id")
        return found

    async def retrieve(request: Request) -> Answer:
        pass_over(request, "include", "include_obfuscation")
        query = request.query_params
        after, streamed = _number(query.get("starting_after"), "starting_after", -1), query.get("stream")
        if streamed not in (None, "true", "false"):
            raise RequestError(f'`stream` must be "true" or "false", got {show(streamed)}', param="stream")
        if after < -1:
            raise RequestError(f"`starting_after` must not be negative, got {after}", param="starting_after")
        one = live(request)
        if one is not None:
            return follow(one, after) if streamed == "true" else json_response(one.as_json())
        kept = await kept_by(request)
        if streamed == "true":
            if not kept.events:
                raise RequestError("`stream` needs a response that was made with `background: true`", param="stream")
            if after >= (last := kept.events[-1]["sequence_number"]):
                words = f"`starting_after` is {after}, and the last event of this response is {last}"
                raise RequestError(words, param="starting_after")
            events = [event for event in kept.events if event["sequence_number"] > after]
            return Response(encode(events), headers=SSE)
        return json_response(_as_it_ended(kept.body))

    async def delete(request: Request) -> Answer:
        one, id = live(request), request.path_params["id"]
        await kept_by(request)
        if one is not None:
            one.forgotten = True
            one.cancel()
        await store.forget(owner_of(request), id)
        return json_response({"id": id, "object": "response", "deleted": True})

    async def cancel(request: Request) -> Answer:
        one = live(request)
        if one is None:
            kept = await kept_by(request)
            if not kept.body["background"]:
                words = "Cannot cancel a synchronous response."  # OpenAI's
                raise RequestError(
                    words,
                    hint="only one that was made with `background: true`",
                    param="response_id",
                    code="invalid_request",
                )
            return json_response(_as_it_ended(kept.body))
        one.cancel()
        while not one.ended:
            await one.news.wait()
        return json_response(one.final)

    async def input_items(request: Request) -> Answer:
        kept = await kept_by(request)
        return json_response(listed([*kept.before, *kept.input], request))

    async def input_tokens(request: Request) -> Answer:
        fields = checked_fields(parse_object(await request.body()), InputTokensBody)
        engine = with_tokens(state, request, fields, optional=True)
        known = await read_known(fields, store, owner_of(request))
        ask = parse_response(fields, engine.name, engine.model, known, counting=True)
        context_of(request).ignored = ask.chat.ignored
        tokens = len(await chat_prompt(engine.model, ask.chat))
        return json_response({"object": "response.input_tokens", "input_tokens": tokens})

    return [
        ("POST", "/v1/responses", create),
        ("POST", "/v1/responses/input_tokens", input_tokens),
        ("GET", "/v1/responses/{id}", retrieve),
        ("DELETE", "/v1/responses/{id}", delete),
        ("POST", "/v1/responses/{id}/cancel", cancel),
        ("GET", "/v1/responses/{id}/input_items", input_items),
    ]


def keeping(who: Caller | None, ask: ResponseAsk) -> ResponseAsk:
    """`ask`, not stored where nothing of `who` may be kept. ZeroRetention for what cannot do without."""
    if who is None or who.policy.keeps:
        return ask
    for given, name in ((ask.background, "background"), (ask.conversation is not None, "conversation")):
        if given:
            refuse_keeping(who, f"a response with `{name}`")
    return replace(ask, store=False, echo=ask.echo | {"store": False})


def _as_it_ended(body: dict[str, Any]) -> dict[str, Any]:
    """A kept response; one that nobody writes any more failed, since the server was started anew."""
    if body["status"] not in ("queued", "in_progress"):
        return body
    error = {"code": "server_error", "message": "the server ended before this response did"}
    return body | {"status": "failed", "error": error}


def owner_of(request: Request) -> str:
    return context_of(request).caller or ""


async def read_known(
    fields: Fields, store: ItemStore, owner: str, turns: Mapping[str, Kept] | None = None
) -> PastItems:
    """What the request goes on from, and its own items. `turns`: earlier responses of the same WebSocket."""
    previous, conversation = fields.text("previous_response_id"), _conversation(fields)
    if previous is not None and conversation is not None:
        raise fields.refuse("previous_response_id", "cannot stand beside `conversation`")
    before: list[Item] = []
    if previous is not None:
        kept = (turns or {}).get(previous) or await store.response(owner, previous)
        if kept is None:
            words = f"Previous response with id '{previous}' not found."
            raise NotFound(words, param="previous_response_id", code="previous_response_not_found")
        before = kept.items
    if conversation is not None:
        if await store.conversation(owner, conversation) is None:
            raise NotFound(f"Conversation with id '{conversation}' not found.", param="conversation")
        before = await store.items_of(owner, conversation)
    references = {}
    for one in fields.peek("input") if isinstance(fields.peek("input"), list) else []:
        if isinstance(one, dict) and isinstance(one.get("id"), str) and one.get("type") in (None, "item_reference"):
            references[one["id"]] = await store.item(owner, one["id"])
    return PastItems(before, parse_input(fields, "input", references.get), previous, conversation)


def _conversation(fields: Fields) -> str | None:
    value = fields.take("conversation")
    if isinstance(value, dict):
        inner = fields.inside(value, "conversation")
        value = inner.text("id")
        if value is None:
            raise inner.refuse("id", "is required: the id of a conversation")
        inner.refuse_rest()
    if value is not None and not isinstance(value, str):
        raise fields.refuse("conversation", f"must be the id of a conversation, got {show(value)}")
    return value


def listed(items: list[Item], request: Request) -> dict[str, Any]:
    """A page of `items`, oldest first in the list: `limit`, `order` and `after` say which."""
    pass_over(request, "include")
    query = request.query_params
    limit = _number(query.get("limit"), "limit", 20)
    if not 1 <= limit <= MAX_PAGE:
        raise RequestError(f"`limit` must be between 1 and {MAX_PAGE}, got {limit}", param="limit")
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise RequestError(f'`order` must be "asc" or "desc", got {show(order)}', param="order")
    found = list(items) if order == "asc" else items[::-1]
    if after := query.get("after"):
        ids = [item["id"] for item in found]
        if after not in ids:
            raise RequestError(f"`after` names no item of this list: {show(after)}", param="after")
        found = found[ids.index(after) + 1 :]
    page = found[:limit]
    return {"object": "list", "data": page, "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None, "has_more": len(found) > limit}  # fmt: skip


def pass_over(request: Request, *names: str) -> None:
    """Note what of these is asked for in the address: it changes nothing."""
    context = context_of(request)
    context.ignored = (*context.ignored, *(name for name in names if name in request.query_params))


def _number(text: str | None, name: str, default: int) -> int:
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise RequestError(f"`{name}` must be an integer, got {show(text)}", param=name) from None
