"""What replies look like. A reply may have more than is listed here: fields of vLLM, and those that are new in ours."""

from typing import Any, Literal

import msgspec


class ReplyBody(msgspec.Struct, kw_only=True):
    pass


class ErrorObject(ReplyBody, kw_only=True):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorReply(ReplyBody, kw_only=True):
    error: ErrorObject


class AnthropicErrorObject(ReplyBody, kw_only=True):
    type: str
    message: str


class AnthropicErrorReply(ReplyBody, kw_only=True):
    type: Literal["error"]
    error: AnthropicErrorObject
    request_id: str


class UsageReply(ReplyBody, kw_only=True):
    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: dict[str, int] = {}
    completion_tokens_details: dict[str, int] = {}


class ReplyMessage(ReplyBody, kw_only=True):
    role: Literal["assistant"]
    content: str | None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[dict[str, Any]] = []
    function_call: dict[str, str] | None = None


class ChatChoiceReply(ReplyBody, kw_only=True):
    index: int
    message: ReplyMessage
    finish_reason: Literal["stop", "length", "tool_calls", "function_call", "content_filter"]
    logprobs: dict[str, Any] | None


class ChatReply(ReplyBody, kw_only=True):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoiceReply]
    usage: UsageReply
    system_fingerprint: str
    service_tier: str


class ChunkChoice(ReplyBody, kw_only=True):
    index: int
    delta: dict[str, Any]
    finish_reason: str | None
    logprobs: dict[str, Any] | None


class ChatChunk(ReplyBody, kw_only=True):
    """The data of an event of a stream; `[DONE]` is behind the last of them."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    system_fingerprint: str
    usage: UsageReply | None = None
    obfuscation: str = ""


class TextChoice(ReplyBody, kw_only=True):
    index: int
    text: str
    finish_reason: Literal["stop", "length", "content_filter"] | None
    logprobs: dict[str, list[Any]] | None


class CompletionReply(ReplyBody, kw_only=True):
    """Whole, and of each event of a stream, where `finish_reason` is null before the last."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    system_fingerprint: str
    usage: UsageReply | None = None


class ModelReply(ReplyBody, kw_only=True):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    alias_of: str | None
    root: str
    max_model_len: int | None
    state: str


class ModelsReply(ReplyBody, kw_only=True):
    object: Literal["list"]
    data: list[ModelReply]


class CardReply(ReplyBody, kw_only=True):
    name: str
    names: list[str]
    context: int | None
    license: str | None
    engine: str


class TokensReply(ReplyBody, kw_only=True):
    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


class PromptReply(ReplyBody, kw_only=True):
    prompt: str


class TokenizerReply(ReplyBody, kw_only=True):
    tokenizer_class: str
    vocab_size: int
    model_max_length: int
    chat_template: str | None


class DetectionReply(ReplyBody, kw_only=True):
    object: Literal["watermark.detection"]
    model: str
    p_value: float
    z_score: float
    watermarked: bool


class ResponseUsage(ReplyBody, kw_only=True):
    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class ResponseObject(ReplyBody, kw_only=True):
    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    error: dict[str, Any] | None
    incomplete_details: dict[str, Any] | None
    model: str
    output: list[dict[str, Any]]
    usage: ResponseUsage | None
    instructions: str | None
    metadata: dict[str, str]
    tools: list[dict[str, Any]]
    tool_choice: str | dict[str, Any]
    parallel_tool_calls: bool
    temperature: float
    top_p: float
    store: bool
    background: bool
    truncation: str
    previous_response_id: str | None


class CompactionReply(ReplyBody, kw_only=True):
    id: str
    object: Literal["response.compaction"]
    created_at: int
    output: list[dict[str, Any]]
    usage: ResponseUsage


class ResponseStreamEvent(ReplyBody, kw_only=True):
    """The data of an event of a stream. Its other fields depend on `type`."""

    type: str
    sequence_number: int


class InputTokensReply(ReplyBody, kw_only=True):
    object: Literal["response.input_tokens"]
    input_tokens: int


class DeletedReply(ReplyBody, kw_only=True):
    id: str
    object: str
    deleted: Literal[True]


class ItemsReply(ReplyBody, kw_only=True):
    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ConversationReply(ReplyBody, kw_only=True):
    id: str
    object: Literal["conversation"]
    created_at: int
    metadata: dict[str, str]


class MessageUsage(ReplyBody, kw_only=True):
    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int


class AnthropicMessage(ReplyBody, kw_only=True):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None
    stop_sequence: str | None
    usage: MessageUsage


class AnthropicEvent(ReplyBody, kw_only=True):
    """The data of an event of a stream. Its other fields depend on `type`."""

    type: str


class CountReply(ReplyBody, kw_only=True):
    input_tokens: int


class EmbeddingRow(ReplyBody, kw_only=True):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsReply(ReplyBody, kw_only=True):
    object: Literal["list"]
    data: list[EmbeddingRow]
    model: str
    usage: UsageReply


class RerankRow(ReplyBody, kw_only=True):
    index: int
    relevance_score: float
    document: dict[str, Any] | None = None


class RerankReply(ReplyBody, kw_only=True):
    id: str
    model: str
    results: list[RerankRow]
    usage: UsageReply


class ModerationRow(ReplyBody, kw_only=True):
    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]]


class ModerationReply(ReplyBody, kw_only=True):
    id: str
    model: str
    results: list[ModerationRow]


class HealthReply(ReplyBody, kw_only=True):
    status: Literal["ok", "unavailable"]
    engine: str
    engines: list[dict[str, Any]]
