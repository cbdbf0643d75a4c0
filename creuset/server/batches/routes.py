"""The routes of batches, in OpenAI's schema. `dry_run` is ours: it says what a batch would cost, and asks no model."""

from secrets import token_hex
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from creuset.core.errors import Forbidden, NotFound, RequestError
from creuset.server.batches.batch import WINDOW_S, BatchRecord, BatchTally, batch_json
from creuset.server.batches.lines import ENDPOINTS
from creuset.server.carry import Handler
from creuset.server.files.routes import as_list, expiry, no_file, owner_of, page_limit
from creuset.server.protect.privacy.rules import refuse_keeping
from creuset.server.schema.files import BatchBody
from creuset.server.state import ServerState, context_of, json_response
from creuset.types.fields import Fields, checked_fields, parse_object, show


def batch_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of each route."""
    runner = state.batches
    if runner is None:
        return []
    store = runner.store

    async def create(request: Request) -> Response:
        refuse_keeping(context_of(request).who, "a batch")
        fields = checked_fields(parse_object(await request.body()), BatchBody)
        file, endpoint = fields.text("input_file_id", max_chars=64), fields.text("endpoint")
        if endpoint not in ENDPOINTS:
            raise fields.refuse("endpoint", f"must be one of {', '.join(ENDPOINTS)}, got {show(endpoint)}")
        if (window := fields.text("completion_window")) != "24h":
            raise fields.refuse("completion_window", f'must be "24h", got {show(window)}')
        metadata = _metadata(fields)
        seconds, dry = expiry(fields, "output_expires_after"), fields.flag("dry_run") or False
        if file is None:
            raise fields.refuse("input_file_id", "is required: the id of a file with the purpose `batch`")
        fields.refuse_rest()
        context, owner = context_of(request), owner_of(request)
        who = context.who
        if who is not None and who.key.startswith("session_"):
            raise Forbidden("a batch goes on longer than a session: make it with an API key", code="key_required")
        found = await runner.files.find(owner.name, file)
        if found is None:
            raise no_file(file, "input_file_id")
        if found.purpose != "batch":
            words = f"the file has the purpose `{found.purpose}`; the input of a batch needs `batch`"
            raise RequestError(words, param="input_file_id", code="invalid_file_purpose")
        now = int(state.clock())
        batch = BatchRecord(
            id=f"batch_{token_hex(16)}", owner=owner.name, organization=owner.organization, project=owner.project,
            key="" if who is None else who.key, created_at=now, endpoint=endpoint, input_file_id=file,
            expires_at=now + WINDOW_S, metadata=metadata, output_seconds=seconds, dry_run=dry,
        )  # fmt: skip
        await store.add(batch)
        runner.wake()
        return json_response(batch_json(batch, BatchTally()))

    async def found(request: Request) -> Response:
        id = request.path_params["batch_id"]
        one = await store.find(owner_of(request).name, id)
        if one is None:
            raise NotFound(f"No batch found with id '{id[:64]}'.", param="batch_id")
        return json_response(batch_json(*one))

    async def cancel(request: Request) -> Response:
        await store.cancel(owner_of(request).name, request.path_params["batch_id"], int(state.clock()))
        runner.wake()
        return await found(request)

    async def listing(request: Request) -> Response:
        limit, after = page_limit(request, 20, 100), request.query_params.get("after")
        rows = await store.listed(owner_of(request).name, after, limit)
        if rows is None:
            raise RequestError(f"`after` names no batch: {show(after)}", param="after")
        return json_response(as_list([batch_json(*row) for row in rows], limit))

    return [
        ("POST", "/v1/batches", create), ("GET", "/v1/batches", listing), ("GET", "/v1/batches/{batch_id}", found),
        ("POST", "/v1/batches/{batch_id}/cancel", cancel),
    ]  # fmt: skip


def _metadata(fields: Fields) -> dict[str, str] | None:
    value: Any = fields.take("metadata")
    if value is None:
        return None
    if not isinstance(value, dict) or len(value) > 16:
        raise fields.refuse("metadata", f"must be an object of at most 16 texts, got {show(value)}")
    for name, text in value.items():
        if type(text) is not str or len(name) > 64 or len(text) > 512:
            raise fields.refuse("metadata", f"has texts of at most 512 characters, got {show(text)}")
    return value
