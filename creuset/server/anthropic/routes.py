"""The routes of Anthropic's dialect: messages, and how many tokens a prompt has."""

from secrets import token_hex

from starlette.requests import Request

from creuset.server.anthropic.errors import FRAMES
from creuset.server.anthropic.messages import parse_count, parse_request
from creuset.server.anthropic.reply import MessageResponse
from creuset.server.carry import Answer, Handler, answer_chat, chat_prompt
from creuset.server.chat.request import ChatRequest
from creuset.server.chat.upstream import model_of, reader_for
from creuset.server.engines.pool import AnyEngine
from creuset.server.engines.upstream import UpstreamEngine
from creuset.server.protect.guards.body import guard_parts
from creuset.server.routes.choose import answered, with_tokens
from creuset.server.schema.anthropic import CountBody, MessagesBody
from creuset.server.state import ServerState, context_of, json_response, salt_of
from creuset.server.stream import ResponseBuilder
from creuset.text.calls.forced import Thought
from creuset.types.fields import Fields, checked_fields, parse_object
from creuset.types.served import ANTHROPIC_TIERS


def anthropic_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of each route."""

    async def create(request: Request) -> Answer:
        body = guard_parts(state.protection, context_of(request), parse_object(await request.body()))

        async def once(fields: Fields, name: str, engine: AnyEngine) -> Answer:
            return await create_once(request, fields, name, engine)

        return await answered(state, request, body, MessagesBody, once, tiers=ANTHROPIC_TIERS)

    async def create_once(request: Request, fields: Fields, name: str, engine: AnyEngine) -> Answer:
        salt = salt_of(request, fields, state.settings)
        ask = parse_request(fields, name, model_of(engine))
        context_of(request).ignored = ask.ignored
        reply_id = "msg_" + token_hex(12)

        def respond(ask: ChatRequest, prompt: list[int], thought: Thought) -> ResponseBuilder:
            reader = reader_for(engine, ask, thought)
            if isinstance(engine, UpstreamEngine):
                return MessageResponse(ask, reader, None, id=reply_id)
            room = engine.window - len(prompt)
            return MessageResponse(ask, reader, len(prompt), id=reply_id, bounded=(ask.max_tokens or 0) > room)

        return await answer_chat(state, request, engine, ask, reply_id, salt, respond, frames=FRAMES, capped=True)

    async def count(request: Request) -> Answer:
        fields = checked_fields(parse_object(await request.body()), CountBody)
        engine = with_tokens(state, request, fields)
        ask = parse_count(fields, engine.model)
        context_of(request).ignored = ask.ignored
        return json_response({"input_tokens": len(await chat_prompt(engine.model, ask))})

    return [("POST", "/v1/messages", create), ("POST", "/v1/messages/count_tokens", count)]
