"""The routes of conversations: items that are kept under one name, and that responses go on from."""

from secrets import token_hex
from typing import Any

from starlette.requests import Request

from creuset.core.errors import NotFound, RequestError
from creuset.server.carry import Answer, Handler
from creuset.server.protect.guards.body import guard_body
from creuset.server.protect.privacy.rules import refuse_keeping
from creuset.server.responses.items import parse_input
from creuset.server.responses.request import take_metadata
from creuset.server.responses.routes import listed, owner_of, pass_over
from creuset.server.schema.responses import ConversationBody, ConversationChange, ItemsBody
from creuset.server.state import ServerState, context_of, json_response
from creuset.types.fields import Fields, checked_fields, parse_object, show

MAX_ITEMS = 20  # of one call


def conversation_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    store = state.items

    async def guarded(request: Request) -> dict[str, Any]:
        return await guard_body(state.protection, context_of(request), parse_object(await request.body()))

    def as_json(id: str, created: int, metadata: dict[str, str]) -> dict[str, Any]:
        return {"id": id, "object": "conversation", "created_at": created, "metadata": metadata}

    async def found(request: Request) -> tuple[str, int, dict[str, str]]:
        id = request.path_params["id"]
        kept = await store.conversation(owner_of(request), id)
        if kept is None:
            raise NotFound(f"Conversation with id '{id}' not found.", param="conversation_id")
        return id, *kept

    def items_in(fields: Fields) -> list[dict[str, Any]]:
        if isinstance(fields.peek("items"), str):
            raise fields.refuse("items", f"must be a list of items, got {show(fields.peek('items'))}")
        items = parse_input(fields, "items", lambda _id: None)
        if len(items) > MAX_ITEMS:
            raise fields.refuse("items", f"takes at most {MAX_ITEMS} items in one call, got {len(items)}")
        return items

    async def create(request: Request) -> Answer:
        refuse_keeping(context_of(request).who, "a conversation")
        fields = checked_fields(await guarded(request), ConversationBody)
        items, metadata = items_in(fields), take_metadata(fields)
        fields.refuse_rest()
        id, created = f"conv_{token_hex(24)}", int(state.clock())
        await store.converse(owner_of(request), id, created, metadata, items)
        return json_response(as_json(id, created, metadata))

    async def retrieve(request: Request) -> Answer:
        return json_response(as_json(*await found(request)))

    async def change(request: Request) -> Answer:
        id, created, _ = await found(request)
        fields = checked_fields(parse_object(await request.body()), ConversationChange)
        metadata = take_metadata(fields)
        fields.refuse_rest()
        await store.rename(owner_of(request), id, metadata)
        return json_response(as_json(id, created, metadata))

    async def delete(request: Request) -> Answer:
        id, _, _ = await found(request)
        await store.drop_conversation(owner_of(request), id)
        return json_response({"id": id, "object": "conversation.deleted", "deleted": True})

    async def add(request: Request) -> Answer:
        pass_over(request, "include")
        id, _, _ = await found(request)
        fields = checked_fields(await guarded(request), ItemsBody)
        items = items_in(fields)
        fields.refuse_rest()
        if not items:
            raise RequestError("`items` is required: a list with at least one item", param="items")
        await store.add_items(owner_of(request), id, items)
        made = {"object": "list", "data": items, "first_id": items[0]["id"], "last_id": items[-1]["id"]}
        return json_response(made | {"has_more": False})

    async def items(request: Request) -> Answer:
        id, _, _ = await found(request)
        return json_response(listed(await store.items_of(owner_of(request), id), request))

    async def item_of(request: Request, id: str) -> dict[str, Any]:
        name = request.path_params["item"]
        for one in await store.items_of(owner_of(request), id):
            if one["id"] == name:
                return one
        raise NotFound(f"Item with id '{name}' not found.", param="item_id")

    async def one_item(request: Request) -> Answer:
        id, _, _ = await found(request)
        return json_response(await item_of(request, id))

    async def delete_item(request: Request) -> Answer:
        id, created, metadata = await found(request)
        gone = await item_of(request, id)
        await store.drop_item(owner_of(request), id, gone["id"])
        return json_response(as_json(id, created, metadata))

    return [
        ("POST", "/v1/conversations", create),
        ("GET", "/v1/conversations/{id}", retrieve),
        ("POST", "/v1/conversations/{id}", change),
        ("DELETE", "/v1/conversations/{id}", delete),
        ("POST", "/v1/conversations/{id}/items", add),
        ("GET", "/v1/conversations/{id}/items", items),
        ("GET", "/v1/conversations/{id}/items/{item}", one_item),
        ("DELETE", "/v1/conversations/{id}/items/{item}", delete_item),
    ]
