"""Bodies of the Messages dialect."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from creuset.server.schema.base import Count, Part, RequestBody, Schema


class BlockBody(Part, kw_only=True):
    """A block of a turn: text, a document, a call of a tool, its result, a thought."""

    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    content: str | list[dict[str, Any]] | None = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    source: dict[str, Any] | None = None


class TurnBody(Part, kw_only=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[BlockBody]


class AnthropicTool(Part, kw_only=True):
    name: str
    input_schema: dict[str, Any]
    description: str | None = None
    type: Literal["custom"] | None = None
    strict: bool | None = None


class AnthropicToolChoice(RequestBody, kw_only=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingBody(RequestBody, kw_only=True):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Annotated[int, Meta(ge=0)] | None = None
    display: str | None = None


class OutputForm(RequestBody, kw_only=True):
    type: Literal["json_schema"]
    schema: Schema


class OutputBody(RequestBody, kw_only=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputForm | None = None


class CountBody(RequestBody, kw_only=True):
    """POST /v1/messages/count_tokens"""

    model: str
    messages: Annotated[list[TurnBody], Meta(min_length=1)]
    system: str | list[BlockBody] | None = None
    tools: list[AnthropicTool] | None = None
    tool_choice: AnthropicToolChoice | None = None
    thinking: ThinkingBody | None = None
    output_config: OutputBody | None = None
    metadata: dict[str, Any] | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    cache_control: dict[str, Any] | None = None
    diagnostics: dict[str, Any] | None = None
    inference_geo: str | None = None
    speed: Literal["standard", "fast"] | None = None
    user_profile_id: str | None = None
    context_management: dict[str, Any] | None = None
    container: Any = None
    mcp_servers: Any = None
    workspace_id: Any = None


class MessagesBody(CountBody, kw_only=True):
    """POST /v1/messages"""

    max_tokens: Count
    stop_sequences: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=16)] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1)] | None = None
    cache_salt: Annotated[str, Meta(max_length=1024)] | None = None
    allow_fallbacks: bool | None = None
