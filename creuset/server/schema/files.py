"""Files, uploads and batches: bodies and replies."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from creuset.server.schema.base import RequestBody

Purpose = Literal["assistants", "batch", "evals", "fine-tune", "user_data", "vision"]


class FileExpiry(RequestBody, kw_only=True):
    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=3600, le=2_592_000)]


class FileForm(RequestBody, kw_only=True):
    """POST /v1/files, as multipart/form-data"""

    file: str
    purpose: Purpose
    expires_after: FileExpiry | None = None


class PartForm(RequestBody, kw_only=True):
    """POST /v1/uploads/{upload_id}/parts, as multipart/form-data"""

    data: str


class UploadBody(RequestBody, kw_only=True):
    """POST /v1/uploads"""

    bytes: Annotated[int, Meta(ge=0, le=512 << 20)]
    filename: Annotated[str, Meta(min_length=1, max_length=255)]
    mime_type: Annotated[str, Meta(max_length=255)]
    purpose: Purpose
    expires_after: FileExpiry | None = None


class CompleteBody(RequestBody, kw_only=True):
    """POST /v1/uploads/{upload_id}/complete"""

    part_ids: Annotated[list[str], Meta(min_length=1)]
    md5: Annotated[str, Meta(max_length=32)] | None = None


class BatchBody(RequestBody, kw_only=True):
    """POST /v1/batches"""

    input_file_id: Annotated[str, Meta(max_length=64)]
    endpoint: Literal["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"]
    completion_window: Literal["24h"]
    metadata: Annotated[dict[str, str], Meta(max_length=16)] | None = None
    output_expires_after: FileExpiry | None = None
    dry_run: bool | None = None


class FileReply(msgspec.Struct, kw_only=True):
    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["processed"]
    status_details: str | None = None
    expires_at: int | None = None


class UploadReply(msgspec.Struct, kw_only=True):
    id: str
    object: Literal["upload"]
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    expires_at: int
    file: FileReply | None = None


class UploadPartReply(msgspec.Struct, kw_only=True):
    id: str
    object: Literal["upload.part"]
    created_at: int
    upload_id: str


class BatchReply(msgspec.Struct, kw_only=True):
    id: str
    object: Literal["batch"]
    endpoint: str
    completion_window: str
    input_file_id: str
    status: str
    created_at: int
    expires_at: int
    request_counts: dict[str, int]
    usage: dict[str, Any]
    model: str | None = None
    errors: dict[str, Any] | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    metadata: dict[str, str] | None = None
    dry_run: bool = False
    estimate: dict[str, Any] | None = None


class FilesReply(msgspec.Struct, kw_only=True):
    object: Literal["list"]
    data: list[FileReply]
    has_more: bool
    first_id: str | None = None
    last_id: str | None = None


class BatchesReply(msgspec.Struct, kw_only=True):
    object: Literal["list"]
    data: list[BatchReply]
    has_more: bool
    first_id: str | None = None
    last_id: str | None = None
