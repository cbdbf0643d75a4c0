"""Bodies of the Responses dialect and of conversations."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from creuset.server.schema.base import Count, Effort, Id, Metadata, Part, RequestBody, Schema, StreamChoices


class ItemBody(Part, kw_only=True):
    """A message, a call of a function, its output, a thought, notes, or a reference to an item that is kept."""

    type: (
        Literal["message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
                "reasoning", "compaction", "item_reference"] | None
    ) = None  # fmt: skip
    id: str | None = None
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: str | list[dict[str, Any]] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    output: str | list[dict[str, Any]] | None = None
    summary: list[dict[str, Any]] | None = None
    encrypted_content: str | None = None


class InputForm(RequestBody, kw_only=True):
    """What the input of a custom tool may be."""

    type: Literal["text", "grammar"]
    syntax: Literal["lark", "regex"] | None = None
    definition: str | None = None


class ResponseTool(Part, kw_only=True):
    type: Literal["function", "custom", "namespace"]
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    tools: list[dict[str, Any]] | None = None
    format: InputForm | None = None


class TextForm(RequestBody, kw_only=True):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: Schema = None
    strict: bool | None = None


class TextBody(RequestBody, kw_only=True):
    format: TextForm | None = None
    verbosity: Literal["medium"] | None = None


class ReasoningBody(RequestBody, kw_only=True):
    effort: Effort | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: Any = None


class PromptBody(RequestBody, kw_only=True):
    """What a prompt is made of, and the form of the answer."""

    model: str | None = None  # none: the first that is served
    input: str | list[ItemBody] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningBody | None = None
    text: TextBody | None = None
    truncation: Literal["auto", "disabled"] | None = None
    enable_thinking: bool | None = None
    thinking_budget: Annotated[int, Meta(ge=0)] | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class InputTokensBody(PromptBody, kw_only=True):
    """POST /v1/responses/input_tokens"""

    personality: str | None = None


class CompactBody(RequestBody, kw_only=True):
    """POST /v1/responses/compact"""

    model: str
    input: str | list[ItemBody] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    service_tier: str | None = None
    cache_salt: Annotated[str, Meta(max_length=1024)] | None = None
    allow_fallbacks: bool | None = None


class ResponseBody(PromptBody, kw_only=True):
    """POST /v1/responses"""

    max_output_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    stop: str | Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=16)] | None = None
    stop_token_ids: list[Id] | None = None
    min_tokens: Annotated[int, Meta(ge=0)] | None = None
    ignore_eos: bool | None = None
    allowed_token_ids: Annotated[list[Id], Meta(min_length=1)] | None = None
    bad_words: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=1000)] | None = None
    include_stop_str_in_output: bool | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    include: list[str] | None = None
    stream: bool | None = None
    stream_options: StreamChoices | None = None
    store: bool | None = None
    background: bool | None = None
    metadata: Metadata | None = None
    max_tool_calls: Count | None = None
    context_management: list[Any] | None = None
    client_metadata: dict[str, Any] | None = None
    user: str | None = None
    safety_identifier: Annotated[str, Meta(max_length=64)] | None = None
    prompt_cache_key: Annotated[str, Meta(max_length=1024)] | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    service_tier: Literal["auto", "default", "flex", "priority", "fast"] | None = None
    skip_special_tokens: Literal[True] | None = None
    spaces_between_special_tokens: Literal[True] | None = None
    priority: int | None = None
    cache_salt: Annotated[str, Meta(max_length=1024)] | None = None
    allow_fallbacks: bool | None = None
    prompt: None = None
    moderation: None = None


class ConversationBody(RequestBody, kw_only=True):
    """POST /v1/conversations"""

    items: Annotated[list[ItemBody], Meta(max_length=20)] | None = None
    metadata: Metadata | None = None


class ConversationChange(RequestBody, kw_only=True):
    """POST /v1/conversations/{id}"""

    metadata: Metadata | None = None


class ItemsBody(RequestBody, kw_only=True):
    """POST /v1/conversations/{id}/items"""

    items: Annotated[list[ItemBody], Meta(min_length=1, max_length=20)]
