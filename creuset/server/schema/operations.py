"""What is asked and answered at each address, for /openapi.json."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from creuset.server.schema import anthropic, chat, files, replies, responses, retrieval

Struct = type[msgspec.Struct]
_TEXT = {"type": "string"}
_PAGE: dict[str, dict[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    "order": {"enum": ["asc", "desc"]},
    "after": _TEXT,
}
_FOLLOW: dict[str, dict[str, Any]] = {
    "stream": {"enum": ["true", "false"]},
    "starting_after": {"type": "integer", "minimum": -1},
}


@dataclass(frozen=True, slots=True)
class Operation:
    """`media`: of a reply that is no JSON. `chunk`: the data of an event, where the reply can be a stream."""

    reply: Struct | None = None
    body: Struct | None = None
    chunk: Struct | None = None
    media: str = ""
    query: dict[str, dict[str, Any]] = field(default_factory=dict)
    needs_body: bool = True
    form: bool = False  # the body is multipart/form-data


_CHAT = Operation(replies.ChatReply, chat.ChatBody, replies.ChatChunk)
_COMPLETION = Operation(replies.CompletionReply, chat.CompletionBody, replies.CompletionReply)
_MODELS, _MODEL = Operation(replies.ModelsReply), Operation(replies.ModelReply)
_RERANK = Operation(replies.RerankReply, retrieval.RerankBody)
_FILE, _BATCH = Operation(files.FileReply), Operation(files.BatchReply)
_CONVERSATION = Operation(replies.ConversationReply)

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/v1/chat/completions"): _CHAT,
    ("POST", "/chat/completions"): _CHAT,
    ("POST", "/v1/completions"): _COMPLETION,
    ("POST", "/completions"): _COMPLETION,
    ("GET", "/v1/models"): _MODELS,
    ("GET", "/models"): _MODELS,
    ("GET", "/v1/models/{name}"): _MODEL,
    ("GET", "/models/{name}"): _MODEL,
    ("GET", "/v1/creuset/model"): Operation(replies.CardReply, query={"model": _TEXT}),
    ("POST", "/v1/watermark/detect"): Operation(replies.DetectionReply, chat.DetectBody),
    ("POST", "/tokenize"): Operation(replies.TokensReply, chat.TokenizeBody),
    ("POST", "/detokenize"): Operation(replies.PromptReply, chat.DetokenizeBody),
    ("GET", "/tokenizer_info"): Operation(replies.TokenizerReply),
    ("POST", "/v1/responses"): Operation(replies.ResponseObject, responses.ResponseBody, replies.ResponseStreamEvent),
    ("POST", "/v1/responses/compact"): Operation(replies.CompactionReply, responses.CompactBody),
    ("POST", "/v1/responses/input_tokens"): Operation(replies.InputTokensReply, responses.InputTokensBody),
    ("GET", "/v1/responses/{id}"): Operation(replies.ResponseObject, chunk=replies.ResponseStreamEvent, query=_FOLLOW),
    ("DELETE", "/v1/responses/{id}"): Operation(replies.DeletedReply),
    ("POST", "/v1/responses/{id}/cancel"): Operation(replies.ResponseObject, needs_body=False),
    ("GET", "/v1/responses/{id}/input_items"): Operation(replies.ItemsReply, query=_PAGE),
    ("POST", "/v1/conversations"): Operation(replies.ConversationReply, responses.ConversationBody),
    ("GET", "/v1/conversations/{id}"): _CONVERSATION,
    ("POST", "/v1/conversations/{id}"): Operation(replies.ConversationReply, responses.ConversationChange),
    ("DELETE", "/v1/conversations/{id}"): Operation(replies.DeletedReply),
    ("POST", "/v1/conversations/{id}/items"): Operation(replies.ItemsReply, responses.ItemsBody),
    ("GET", "/v1/conversations/{id}/items"): Operation(replies.ItemsReply, query=_PAGE),
    ("GET", "/v1/conversations/{id}/items/{item}"): Operation(),
    ("DELETE", "/v1/conversations/{id}/items/{item}"): _CONVERSATION,
    ("POST", "/v1/messages"): Operation(replies.AnthropicMessage, anthropic.MessagesBody, replies.AnthropicEvent),
    ("POST", "/v1/messages/count_tokens"): Operation(replies.CountReply, anthropic.CountBody),
    ("POST", "/v1/embeddings"): Operation(replies.EmbeddingsReply, retrieval.EmbeddingsBody),
    ("POST", "/v1/rerank"): _RERANK,
    ("POST", "/v2/rerank"): _RERANK,
    ("POST", "/rerank"): _RERANK,
    ("POST", "/v1/moderations"): Operation(replies.ModerationReply, retrieval.ModerationBody),
    ("POST", "/v1/files"): Operation(files.FileReply, files.FileForm, form=True),
    ("GET", "/v1/files"): Operation(files.FilesReply, query=_PAGE | {"purpose": _TEXT}),
    ("GET", "/v1/files/{file_id}"): _FILE,
    ("DELETE", "/v1/files/{file_id}"): Operation(replies.DeletedReply),
    ("GET", "/v1/files/{file_id}/content"): Operation(media="application/octet-stream"),
    ("POST", "/v1/uploads"): Operation(files.UploadReply, files.UploadBody),
    ("POST", "/v1/uploads/{upload_id}/parts"): Operation(files.UploadPartReply, files.PartForm, form=True),
    ("POST", "/v1/uploads/{upload_id}/complete"): Operation(files.UploadReply, files.CompleteBody),
    ("POST", "/v1/uploads/{upload_id}/cancel"): Operation(files.UploadReply, needs_body=False),
    ("POST", "/v1/batches"): Operation(files.BatchReply, files.BatchBody),
    ("GET", "/v1/batches"): Operation(files.BatchesReply, query={name: _PAGE[name] for name in ("limit", "after")}),
    ("GET", "/v1/batches/{batch_id}"): _BATCH,
    ("POST", "/v1/batches/{batch_id}/cancel"): Operation(files.BatchReply, needs_body=False),
    ("GET", "/health"): Operation(replies.HealthReply, query={"model": _TEXT}),
    ("GET", "/metrics"): Operation(media="text/plain"),
    ("GET", "/"): Operation(media="text/html"),
    ("GET", "/admin"): Operation(media="text/html"),
    ("GET", "/admin/{file}"): Operation(media="application/octet-stream"),
    ("GET", "/assets/{file}"): Operation(media="application/octet-stream"),
    ("GET", "/favicon.svg"): Operation(media="image/svg+xml"),
}


def structs() -> list[Struct]:
    """All of them, each once."""
    found = [one for op in OPERATIONS.values() for one in (op.reply, op.body, op.chunk) if one is not None]
    return list(dict.fromkeys([*found, replies.ErrorReply, replies.AnthropicErrorReply]))
