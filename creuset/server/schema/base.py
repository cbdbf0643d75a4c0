"""Pieces that several bodies share. Null stands for "not given" everywhere, as in OpenAI's specification."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Id = Annotated[int, Meta(ge=0, le=2**31)]
Count = Annotated[int, Meta(ge=1, le=2**31)]
Positive = Annotated[float, Meta(ge=0)]
Schema = Any  # a JSON Schema: the compiler of grammars checks it, and names the part that is wrong
Metadata = Annotated[dict[str, str], Meta(max_length=16)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class RequestBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An object all of whose fields are known: another one is refused by its name."""


class Part(msgspec.Struct, kw_only=True):
    """An object that may have more fields: clients send back what they were given. What is unknown there is checked
    by the reader of the body, and refused by its name unless it is empty."""


class Sampled(RequestBody, kw_only=True):
    """How tokens are chosen, and the bookkeeping that changes nothing."""

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    min_tokens: Annotated[int, Meta(ge=0)] | None = None
    stop_token_ids: list[Id] | None = None
    ignore_eos: bool | None = None
    prompt_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    logprobs_mode: Literal["raw_logprobs", "processed_logprobs"] | None = None
    allowed_token_ids: Annotated[list[Id], Meta(min_length=1)] | None = None
    bad_words: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=1000)] | None = None
    include_stop_str_in_output: bool | None = None
    return_token_ids: bool | None = None
    skip_special_tokens: bool | None = None
    spaces_between_special_tokens: Literal[True] | None = None
    truncate_prompt_tokens: Annotated[int, Meta(ge=-1)] | None = None
    structured_outputs: "StructuredOutputs | None" = None
    response_format: "ResponseFormat | None" = None
    guided_json: Schema = None
    guided_regex: str | None = None
    guided_choice: Annotated[list[Any], Meta(max_length=1000)] | None = None
    guided_grammar: str | None = None
    guided_decoding_backend: str | None = None
    stream: bool | None = None
    stream_options: "StreamChoices | None" = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    user: str | None = None
    safety_identifier: Annotated[str, Meta(max_length=64)] | None = None
    prompt_cache_key: Annotated[str, Meta(max_length=1024)] | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    service_tier: Literal["auto", "default", "flex", "priority", "fast"] | None = None
    store: Literal[False] | None = None
    metadata: Metadata | None = None
    priority: int | None = None
    cache_salt: Annotated[str, Meta(max_length=1024)] | None = None
    allow_fallbacks: bool | None = None


class StreamChoices(RequestBody, kw_only=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class StructuredOutputs(RequestBody, kw_only=True):
    """vLLM's: one of these."""

    json: Schema = None
    regex: str | None = None
    choice: Annotated[list[Any], Meta(max_length=1000)] | None = None
    grammar: str | None = None
    json_object: bool | None = None


class NamedSchema(RequestBody, kw_only=True):
    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    schema: Schema
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(RequestBody, kw_only=True):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None
    schema: Schema = None
