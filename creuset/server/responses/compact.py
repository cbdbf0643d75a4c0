"""POST /v1/responses/compact: a conversation made short, so that it can go on where it no longer fits.

The model writes notes of the conversation. The reply is one `compaction` item, which holds the system's messages, the
last message of the user and the notes; it is the beginning of the next request's input. OpenAI encrypts what such an
item holds. Ours packs it only: it belongs to whoever holds it, and says nothing that was not sent to them or by them.
"""

from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any

from starlette.requests import Request

from creuset.server.carry import Answer, Handler, answer_chat, chat_prompt
from creuset.server.chat.answer import PieceReader
from creuset.server.chat.request import ChatRequest
from creuset.server.chat.upstream import model_of, reader_for
from creuset.server.engines.pool import AnyEngine
from creuset.server.engines.upstream import UpstreamEngine
from creuset.server.responses.items import Item, compaction_item, message_item, messages_of, text_of
from creuset.server.responses.notes import Note, pack, unpack
from creuset.server.responses.request import PastItems, parse_response
from creuset.server.responses.routes import owner_of, read_known
from creuset.server.routes.choose import answered
from creuset.server.schema.responses import CompactBody
from creuset.server.state import ServerState, context_of, salt_of
from creuset.text.calls.forced import Thought
from creuset.text.output import Content
from creuset.types.fields import Fields, parse_object
from creuset.types.generation import Event

MOST_NOTES = 600  # tokens
ASK = (
    "Here is a conversation between a user and an assistant:\n\n{said}\n\n"
    "Write short notes of it, so that another assistant can go on: what the user wants, what was found or decided, "
    "names, numbers and file paths that matter, and what is still to be done. Answer with the notes only."
)


def compact_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of the route."""

    async def compact(request: Request) -> Answer:
        body = parse_object(await request.body())

        async def once(fields: Fields, name: str, engine: AnyEngine) -> Answer:
            return await compact_once(request, fields, name, engine)

        return await answered(state, request, body, CompactBody, once)

    async def compact_once(request: Request, fields: Fields, name: str, engine: AnyEngine) -> Answer:
        salt, owner = salt_of(request, fields, state.settings), owner_of(request)
        known = await read_known(fields, state.items, owner)
        instructions = fields.text("instructions")
        items = [*known.before, *known.input]
        if not items:
            raise fields.refuse("input", "is required: a text or a list of items")
        fields.ignore("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "service_tier")
        for passed in ("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "service_tier"):
            fields.take(passed)
        fields.refuse_rest()
        context_of(request).ignored = tuple(fields.ignored)
        chat = await _asked(engine, name, lines_of(items), instructions)
        id, created = f"resp_{token_hex(24)}", int(state.clock())

        def respond(chat: ChatRequest, prompt: list[int], thought: Thought) -> CompactReply:
            read = None if isinstance(engine, UpstreamEngine) else len(prompt)
            return CompactReply(items, reader_for(engine, chat, thought), read, id, created)

        return await answer_chat(state, request, engine, chat, id, salt, respond, capped=True)

    return [("POST", "/v1/responses/compact", compact)]


async def _asked(engine: AnyEngine, name: str, lines: list[str], instructions: str | None) -> ChatRequest:
    """The request for notes of `lines`. The oldest are left out where the model cannot read them all at once."""
    model = model_of(engine)

    def request(lines: list[str]) -> ChatRequest:
        item = message_item("user", [{"type": "input_text", "text": ASK.format(said="\n".join(lines))}])
        fields = Fields({"instructions": instructions, "max_output_tokens": MOST_NOTES})
        return parse_response(fields, name, model, PastItems([], [item], None, None)).chat

    chat = request(lines)
    if isinstance(engine, UpstreamEngine):
        return chat
    most = min(MOST_NOTES, max(1, engine.window // 4))
    while len(await chat_prompt(engine.model, chat)) > engine.window - most:
        if len(lines) > 1:
            lines = lines[1 + len(lines) // 8 :] or lines[-1:]
        elif len(lines[0]) > 1:
            lines = [lines[0][len(lines[0]) // 4 + 1 :]]
        else:
            break
        chat = request(lines)
    return replace(chat, max_tokens=most)


def lines_of(items: list[Item]) -> list[str]:
    """What each item says, as notes are to be made of it."""
    found = []
    for item in items:
        match item["type"]:
            case "message":
                found.append(f"{item['role'].capitalize()}: {text_of(item['content'])}")
            case "function_call":
                found.append(f"Assistant calls {item['name']}({item['arguments']})")
            case "custom_tool_call":
                found.append(f"Assistant calls {item['name']}({item['input']})")
            case "function_call_output" | "custom_tool_call_output":
                found.append(f"Result: {item['output']}")
            case "compaction":
                found += [f"{note.role.capitalize()}: {note.text}" for note in unpack(item["encrypted_content"])]
    return found


@dataclass(slots=True)
class CompactReply:
    """The object that stands for the conversation, made of what the model writes."""

    items: list[Item]
    reader: PieceReader
    prompt_tokens: int | None
    id: str
    created: int
    _written: str = ""
    _last: Event | None = None

    def opening(self) -> list[dict[str, Any]]:
        return []

    def feed(self, index: int, event: Event) -> list[dict[str, Any]]:
        self._last = event
        self._written += "".join(piece.text for piece in self.reader.pieces(event) if isinstance(piece, Content))
        return []

    def closing(self) -> list[dict[str, Any]]:
        return []

    def whole(self) -> dict[str, Any]:
        assert self._last is not None
        read = self._last.prompt_tokens if self.prompt_tokens is None else self.prompt_tokens
        written = self._last.completion_tokens
        return {
            "id": self.id, "object": "response.compaction", "created_at": self.created,
            "output": [compaction_item(pack(self._notes()))],
            "usage": {
                "input_tokens": read,
                "input_tokens_details": {"cached_tokens": self._last.cached_tokens, "cache_write_tokens": 0},
                "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": self._last.reasoning_tokens},
                "total_tokens": read + written,
            },
        }  # fmt: skip

    def _notes(self) -> list[Note]:
        said = [message for message in messages_of(self.items) if message.role in ("system", "user")]
        kept = [Note("system", message.content) for message in said if message.role == "system"]
        asked = [Note("user", message.content) for message in said if message.role == "user"]
        return [*kept, *asked[-1:], Note("assistant", f"Notes of our conversation so far:\n{self._written.strip()}")]
