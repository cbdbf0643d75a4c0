"""Bodies of embeddings, reranking and moderation."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from creuset.server.schema.base import Part, RequestBody


class EmbeddingsBody(RequestBody, kw_only=True):
    """POST /v1/embeddings"""

    model: str
    input: Annotated[str, Meta(min_length=1)] | Annotated[list[str | int | list[int]], Meta(min_length=1)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    truncate_prompt_tokens: Annotated[int, Meta(ge=-1)] | None = None
    user: str | None = None
    cache_salt: Annotated[str, Meta(max_length=1024)] | None = None
    allow_fallbacks: bool | None = None


class DocumentBody(Part, kw_only=True):
    text: Annotated[str, Meta(min_length=1)]


class RerankBody(RequestBody, kw_only=True):
    """POST /v1/rerank"""

    model: str
    query: Annotated[str, Meta(min_length=1)]
    documents: Annotated[list[str | DocumentBody], Meta(min_length=1, max_length=1000)]
    top_n: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    return_documents: bool | None = None
    max_tokens_per_doc: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    user: Any = None
    priority: Any = None
    cache_salt: Annotated[str, Meta(max_length=1024)] | None = None
    allow_fallbacks: bool | None = None


class ModeratedPart(RequestBody, kw_only=True):
    type: Literal["text"]
    text: str


class ModerationBody(RequestBody, kw_only=True):
    """POST /v1/moderations"""

    input: str | Annotated[list[str | ModeratedPart], Meta(min_length=1, max_length=2048)]
    model: str | None = None
