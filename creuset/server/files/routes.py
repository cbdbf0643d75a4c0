"""The routes of files and of uploads in parts, in OpenAI's schema.

A client's name for a file is kept as text and told again. What the server calls it is an id that it made itself.
"""

import re
from typing import Any
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from creuset.core.errors import NotFound, RequestError
from creuset.server.carry import Handler
from creuset.server.files.multipart import FormReader
from creuset.server.files.store import MOST_A_FILE, FileRow, FileStore, Owner
from creuset.server.files.uploads import UploadRow, UploadStore
from creuset.server.protect.privacy.rules import refuse_keeping
from creuset.server.schema.files import CompleteBody, UploadBody
from creuset.server.state import ServerState, context_of, json_response
from creuset.types.fields import Fields, checked_fields, parse_object, show

PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")
BATCH_LIFE_S = 30 * 86400  # as OpenAI keeps the input of a batch
TAKES_FILES = re.compile(r"/v1/files|/v1/uploads/[^/]+/parts")
MOST_PAGE = 10_000
MOST_NAME = 255


def file_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of each route."""
    files = FileStore(state.database, clock=state.clock, vault=state.protection.vault if state.protection else None)
    uploads = UploadStore(files)

    async def create(request: Request) -> Response:
        refuse_keeping(context_of(request).who, "a file")
        writing = await files.begin(owner_of(request))
        try:
            form = await received(request, writing.add, "file")
            fields = Fields(form.fields)
            purpose, seconds = _purpose(fields), expiry(fields, "expires_after", written=True)
            fields.refuse_rest()
            if seconds is None and purpose == "batch":
                seconds = BATCH_LIFE_S
            return json_response(file_json(await files.finish(writing, _name(form.filename), purpose, seconds)))
        except BaseException:
            await files.give_up(writing.id)
            raise

    async def listing(request: Request) -> Response:
        query = request.query_params
        limit = page_limit(request, MOST_PAGE, MOST_PAGE)
        if (order := query.get("order", "desc")) not in ("asc", "desc"):
            raise RequestError(f'`order` must be "asc" or "desc", got {show(order)}', param="order")
        owner, after = owner_of(request), query.get("after")
        found = await files.listed(
            owner.name, purpose=query.get("purpose"), after=after, limit=limit, newest=order == "desc"
        )
        if found is None:
            raise RequestError(f"`after` names no file: {show(after)}", param="after")
        return json_response(as_list([file_json(one) for one in found], limit))

    async def found(request: Request) -> FileRow:
        id = request.path_params["file_id"]
        one = await files.find(owner_of(request).name, id)
        if one is None:
            raise no_file(id)
        return one

    async def one(request: Request) -> Response:
        return json_response(file_json(await found(request)))

    async def drop(request: Request) -> Response:
        id = request.path_params["file_id"]
        if not await files.drop(owner_of(request).name, id):
            raise no_file(id)
        return json_response({"id": id, "object": "file", "deleted": True})

    async def content(request: Request) -> Response:
        row = await found(request)
        # Always as something to save: no browser may show what somebody has uploaded.
        headers = {
            "content-disposition": f"attachment; filename*=UTF-8''{quote(row.name, safe='')}",
            "content-length": str(row.bytes), "cache-control": "no-store",
        }  # fmt: skip
        return StreamingResponse(files.content(row.id), headers=headers, media_type="application/octet-stream")

    # -- uploads

    async def upload(request: Request) -> Response:
        refuse_keeping(context_of(request).who, "an upload")
        fields = checked_fields(parse_object(await request.body()), UploadBody)
        size = fields.integer("bytes", 0, MOST_A_FILE)
        if size is None:
            raise fields.refuse("bytes", "is required: how many bytes the file has")
        name = fields.text("filename", max_chars=MOST_NAME)
        if name is None:
            raise fields.refuse("filename", "is required")
        if fields.text("mime_type", max_chars=MOST_NAME) is None:
            raise fields.refuse("mime_type", "is required")
        purpose, seconds = _purpose(fields), expiry(fields, "expires_after")
        fields.refuse_rest()
        made = await uploads.create(owner_of(request), size=size, name=name, purpose=purpose, seconds=seconds)
        return json_response(upload_json(made))

    async def pending(request: Request) -> UploadRow:
        return await uploads.pending(owner_of(request).name, request.path_params["upload_id"])

    async def part(request: Request) -> Response:
        of = await pending(request)
        writing = await uploads.part(of)
        try:
            form = await received(request, writing.add, "data")
            Fields(form.fields).refuse_rest()
            created = await uploads.add_part(of, writing)
        except BaseException:
            await files.give_up(writing.id)
            raise
        return json_response(
            {"id": writing.id, "object": "upload.part", "created_at": created, "upload_id": of.id}
        )  # fmt: skip

    async def complete(request: Request) -> Response:
        of = await pending(request)
        fields = checked_fields(parse_object(await request.body()), CompleteBody)
        parts = fields.items("part_ids")
        if not parts or not all(type(one) is str for one in parts):
            raise fields.refuse("part_ids", f"must be a list of ids of parts, got {show(parts)}")
        md5 = fields.text("md5", max_chars=32)
        fields.refuse_rest()
        file = await uploads.complete(of, parts, md5)
        return json_response(upload_json(await uploads.find(of.owner, of.id), file))

    async def cancel(request: Request) -> Response:
        return json_response(upload_json(await uploads.cancel(await pending(request))))

    return [
        ("POST", "/v1/files", create), ("GET", "/v1/files", listing), ("GET", "/v1/files/{file_id}", one),
        ("DELETE", "/v1/files/{file_id}", drop), ("GET", "/v1/files/{file_id}/content", content),
        ("POST", "/v1/uploads", upload), ("POST", "/v1/uploads/{upload_id}/parts", part),
        ("POST", "/v1/uploads/{upload_id}/complete", complete), ("POST", "/v1/uploads/{upload_id}/cancel", cancel),
    ]  # fmt: skip


def owner_of(request: Request) -> Owner:
    context = context_of(request)
    who = context.who
    return Owner(context.caller or "", "" if who is None else who.organization, "" if who is None else who.project)


async def received(request: Request, sink: Any, file_field: str) -> FormReader:
    """The form of a request, its file handed to `sink` as it comes."""
    form = FormReader(request.headers.get("content-type", ""), sink, file_field=file_field)
    try:
        await form.read(request.stream())
    except ClientDisconnect:
        raise RequestError("the client left before its file was complete") from None
    return form


def no_file(id: str, param: str = "id") -> NotFound:
    return NotFound(f"No such File object: {id[:64]}", param=param)


def page_limit(request: Request, default: int, most: int) -> int:
    text = request.query_params.get("limit", str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise RequestError(f"`limit` must be a whole number between 1 and {most}, got {show(text)}", param="limit")
    return int(text)


def as_list(data: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A page of `data`, which may have one more than `limit`."""
    page = data[:limit]
    return {"object": "list", "data": page, "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None, "has_more": len(data) > limit}  # fmt: skip


def file_json(row: FileRow) -> dict[str, Any]:
    found = {"id": row.id, "object": "file", "bytes": row.bytes, "created_at": row.created, "filename": row.name,
             "purpose": row.purpose, "status": row.status, "status_details": None}  # fmt: skip
    return found if row.expires is None else found | {"expires_at": row.expires}


def upload_json(row: UploadRow, file: FileRow | None = None) -> dict[str, Any]:
    return {"id": row.id, "object": "upload", "bytes": row.bytes, "created_at": row.created, "filename": row.name,
            "purpose": row.purpose, "status": row.status, "expires_at": row.expires,
            "file": None if file is None else file_json(file)}  # fmt: skip


def _purpose(fields: Fields) -> str:
    purpose = fields.text("purpose")
    if purpose not in PURPOSES:
        raise fields.refuse("purpose", f"must be one of {', '.join(PURPOSES)}, got {show(purpose)}")
    return str(purpose)


def expiry(fields: Fields, name: str, *, written: bool = False) -> int | None:
    """Seconds from the creation of a file on. `written`: numbers of a form are text."""
    inner = fields.object(name)
    if inner is None:
        return None
    if inner.text("anchor") != "created_at":
        raise inner.refuse("anchor", 'must be "created_at"')
    if written:
        text = inner.text("seconds") or ""
        inner = fields.inside({"seconds": int(text) if text.isdecimal() and len(text) < 10 else text or None}, name)
    seconds = inner.integer("seconds", 3600, 2_592_000)
    if seconds is None:
        raise inner.refuse("seconds", "is required: between 3600 and 2592000")
    inner.refuse_rest()
    return seconds


def _name(given: str | None) -> str:
    """What a client calls its file. It is text, and never a path here."""
    name = given or "upload"
    if len(name) > MOST_NAME or not name.isprintable():
        raise RequestError(
            f"the name of a file has 1 to {MOST_NAME} visible characters, got {show(name)}", param="file"
        )
    return name
