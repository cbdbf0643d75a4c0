"""Bodies of chat completions, completions and the tokenizer's routes."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from creuset.server.schema.base import Count, Effort, Id, Part, RequestBody, Sampled


class MessagePart(Part, kw_only=True):
    type: Literal["text", "refusal"]
    text: str | None = None
    refusal: str | None = None


class CalledFunction(Part, kw_only=True):
    name: str
    arguments: str


class CalledCustom(Part, kw_only=True):
    name: str
    input: str


class MessageCall(Part, kw_only=True):
    function: CalledFunction | None = None
    custom: CalledCustom | None = None
    id: str | None = None
    type: Literal["function", "custom"] | None = None


class MessageBody(Part, kw_only=True):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[MessagePart] | None = None
    name: str | None = None
    tool_calls: list[MessageCall] | None = None
    function_call: CalledFunction | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None


class FunctionBody(RequestBody, kw_only=True):
    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class GrammarBody(RequestBody, kw_only=True):
    syntax: Literal["lark", "regex"]
    definition: str


class InputBody(RequestBody, kw_only=True):
    """What the input of a custom tool may be."""

    type: Literal["text", "grammar"]
    grammar: GrammarBody | None = None


class CustomBody(RequestBody, kw_only=True):
    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    format: InputBody | None = None


class ToolBody(RequestBody, kw_only=True):
    type: Literal["function", "custom"]
    function: FunctionBody | None = None
    custom: CustomBody | None = None


class ChatBody(Sampled, kw_only=True):
    """POST /v1/chat/completions"""

    model: str
    messages: Annotated[list[MessageBody], Meta(min_length=1)]
    tools: Annotated[list[ToolBody], Meta(max_length=128)] | None = None
    functions: Annotated[list[FunctionBody], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    function_call: Literal["none", "auto"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    enable_thinking: bool | None = None
    reasoning_effort: Effort | None = None
    thinking_budget: Annotated[int, Meta(ge=0)] | None = None
    thinking_token_budget: Annotated[int, Meta(ge=0)] | None = None
    include_reasoning: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    stop: str | Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=4)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    modalities: list[Literal["text"]] | None = None
    verbosity: Literal["medium"] | None = None
    audio: None = None
    prediction: None = None
    web_search_options: None = None
    moderation: None = None


class CompletionBody(Sampled, kw_only=True):
    """POST /v1/completions"""

    model: str
    prompt: str | list[str | int | list[int]] | None = None
    suffix: str | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    stop: str | Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=16)] | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    echo: bool | None = None
    best_of: Annotated[int, Meta(ge=0, le=20)] | None = None
    add_special_tokens: bool | None = None


class TokenizeBody(RequestBody, kw_only=True):
    """POST /tokenize: `prompt`, or `messages`."""

    model: str | None = None
    prompt: str | None = None
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None
    messages: Annotated[list[MessageBody], Meta(min_length=1)] | None = None
    tools: Annotated[list[ToolBody], Meta(max_length=128)] | None = None
    functions: Annotated[list[FunctionBody], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    function_call: Literal["none", "auto"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    enable_thinking: bool | None = None
    reasoning_effort: Effort | None = None
    thinking_budget: Annotated[int, Meta(ge=0)] | None = None
    thinking_token_budget: Annotated[int, Meta(ge=0)] | None = None
    include_reasoning: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_generation_prompt: bool | None = None


class DetokenizeBody(RequestBody, kw_only=True):
    """POST /detokenize"""

    tokens: list[Id]
    model: str | None = None


class DetectBody(RequestBody, kw_only=True):
    """POST /v1/watermark/detect"""

    text: Annotated[str, Meta(min_length=1)]
    model: str | None = None
