"""The fields that chat and raw completions share: how to sample, how many choices, how to stream."""

from dataclasses import dataclass
from typing import Any

import msgspec

from creuset.core.errors import PromptTooLong, RequestError
from creuset.server.chat.model import AskedModel
from creuset.types.fields import Fields, show
from creuset.types.generation import MAX_ALTERNATIVES, LogprobsMode, Sampling
from creuset.types.served import OPENAI_TIERS

INT64 = 2**63 - 1
MAX_TOKENS = 2**31
MAX_CHOICES = 128
MAX_STOPS = 16  # more than OpenAI's 4 in chat completions: harnesses send every stop of a task
MAX_BAD_WORDS = 1000


@dataclass(frozen=True, slots=True)
class StreamOptions:
    include_usage: bool = False
    obfuscate: bool | None = None  # None: the client did not say


def take_sampling(fields: Fields, model: AskedModel) -> Sampling:
    """Everything but `max_tokens` and log-probabilities, which the two routes name differently.

    `max_tokens` is MAX_TOKENS until `fit` has said how many tokens the context leaves.
    What is not given comes from the model's `generation_config.json`, then from OpenAI's defaults.
    """
    preset = model.defaults

    def pick(value: float | None, name: str, default: float) -> float:
        return value if value is not None else float(preset.get(name, default))

    return Sampling(
        max_tokens=MAX_TOKENS,
        temperature=pick(fields.number("temperature", 0, 2), "temperature", 1.0),
        top_p=pick(fields.number("top_p", 0, 1, above=True), "top_p", 1.0),
        top_k=max(0, int(pick(fields.integer("top_k", -1, model.vocab_size), "top_k", 0))),
        min_p=pick(fields.number("min_p", 0, 1), "min_p", 0.0),
        frequency_penalty=fields.number("frequency_penalty", -2, 2) or 0.0,
        presence_penalty=fields.number("presence_penalty", -2, 2) or 0.0,
        repetition_penalty=pick(fields.number("repetition_penalty", 0, 10, above=True), "repetition_penalty", 1.0),
        logit_bias=_logit_bias(fields, model.vocab_size),
        seed=fields.integer("seed", -INT64 - 1, INT64),
        min_tokens=fields.integer("min_tokens", 0, model.context) or 0,
        stop_ids=_stop_ids(fields, model),
        ignore_eos=fields.flag("ignore_eos") or False,
        prompt_logprobs=fields.integer("prompt_logprobs", 0, MAX_ALTERNATIVES),
        logprobs_mode=_logprobs_mode(fields),
        allowed_ids=_allowed_ids(fields, model),
        bad_words=_bad_words(fields, model),
        include_stop=fields.flag("include_stop_str_in_output") or False,
        return_ids=fields.flag("return_token_ids") or False,
    )


def take_stop(fields: Fields, at_most: int) -> tuple[str, ...]:
    value = fields.take("stop")
    if value is None:
        return ()
    stops = [value] if type(value) is str else value
    if type(stops) is not list or not all(type(s) is str for s in stops):
        raise fields.refuse("stop", f"must be a string or a list of strings, got {show(value)}")
    if len(stops) > at_most:
        raise fields.refuse("stop", f"takes at most {at_most} strings, got {len(stops)}")
    if "" in stops:
        raise fields.refuse("stop", "must not contain an empty string")
    return tuple(stops)


def take_stream(fields: Fields) -> tuple[bool, StreamOptions]:
    stream = fields.flag("stream") or False
    options = fields.object("stream_options")
    if options is None:
        return stream, StreamOptions()
    if not stream:
        raise fields.refuse("stream_options", "is allowed only with `stream: true`")
    found = StreamOptions(options.flag("include_usage") or False, options.flag("include_obfuscation"))
    options.refuse_rest()
    return stream, found


def take_harmless(fields: Fields) -> None:
    """Fields that change nothing in the reply: bookkeeping on the client's side, checked, ignored and named as such."""
    fields.ignore(
        "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
        "service_tier", "store", "metadata", "priority",
    )  # fmt: skip
    fields.only("skip_special_tokens", True)
    fields.only("spaces_between_special_tokens", True)
    fields.text("user")
    fields.text("safety_identifier", max_chars=64)
    fields.text("prompt_cache_key", max_chars=1024)
    fields.text("prompt_cache_retention")
    fields.object("prompt_cache_options")
    fields.integer("priority", -(2**31), 2**31 - 1)
    fields.only("service_tier", *OPENAI_TIERS)
    fields.only("store", False)
    metadata = fields.take("metadata")
    if metadata is None:
        return
    if type(metadata) is not dict or not all(type(v) is str for v in metadata.values()):
        raise fields.refuse("metadata", f"must be an object of strings, got {show(metadata)}")
    if len(metadata) > 16 or any(len(k) > 64 or len(v) > 512 for k, v in metadata.items()):
        raise fields.refuse("metadata", "takes at most 16 pairs, keys of 64 characters, values of 512")


def _logit_bias(fields: Fields, vocab_size: int) -> dict[int, float]:
    value = fields.take("logit_bias")
    if value is None:
        return {}
    if type(value) is not dict:
        raise fields.refuse("logit_bias", f"must be an object, got {show(value)}")
    found: dict[int, float] = {}
    for key, bias in value.items():
        if not key.isdecimal() or not key.isascii() or int(key) >= vocab_size:
            raise fields.refuse("logit_bias", f"has the key {show(key)}: keys are token ids below {vocab_size}")
        if type(bias) not in (int, float) or not -100 <= bias <= 100:
            raise fields.refuse("logit_bias", f"must be between -100 and 100 for token {key}, got {show(bias)}")
        found[int(key)] = float(bias)
    return found


def _stop_ids(fields: Fields, model: AskedModel) -> tuple[int, ...]:
    """Only what the client asks for: the model's own end tokens are known to the engine, for `ignore_eos`."""
    listed = fields.items("stop_token_ids") or []
    return tuple(check_ids(listed, model.vocab_size, fields.path("stop_token_ids")))


def _logprobs_mode(fields: Fields) -> LogprobsMode:
    value = fields.text("logprobs_mode")
    if value is None or value == "raw_logprobs":
        return "raw_logprobs"
    if value != "processed_logprobs":
        raise fields.refuse("logprobs_mode", f'must be "raw_logprobs" or "processed_logprobs", got {show(value)}')
    return "processed_logprobs"


def _allowed_ids(fields: Fields, model: AskedModel) -> tuple[int, ...] | None:
    listed = fields.items("allowed_token_ids")
    if listed is None:
        return None
    if not listed:
        raise fields.refuse("allowed_token_ids", "must not be an empty list")
    return tuple(check_ids(listed, model.vocab_size, fields.path("allowed_token_ids")))


def _bad_words(fields: Fields, model: AskedModel) -> tuple[tuple[int, ...], ...]:
    """Each word as it is written at the beginning of a text and inside one."""
    words = fields.items("bad_words") or []
    if len(words) > MAX_BAD_WORDS:
        raise fields.refuse("bad_words", f"takes at most {MAX_BAD_WORDS} words, got {len(words)}")
    found: dict[tuple[int, ...], None] = {}
    for at, word in enumerate(words):
        if type(word) is not str or not word:
            path = f"{fields.path('bad_words')}[{at}]"
            raise RequestError(f"`{path}` must be a text that is not empty, got {show(word)}", param=path)
        for written in (word, " " + word.lstrip(" ")):
            found[tuple(model.encode(written))] = None
    return tuple(found)


def refuse_streamed(fields: Fields, sampling: Sampling, stream: bool) -> None:
    if stream and sampling.prompt_logprobs is not None:
        raise fields.refuse("prompt_logprobs", "is not served with `stream: true`")


def take_truncation(fields: Fields) -> int | None:
    """How many tokens of a prompt are kept, its last ones; -1: as many as the context has room for. None: all."""
    value = fields.integer("truncate_prompt_tokens", -1, MAX_TOKENS)
    if value == 0:
        raise fields.refuse("truncate_prompt_tokens", "must be at least 1, or -1 for what the context has room for")
    return value


def truncated(ids: list[int], keep: int | None, window: int, asked: int | None) -> list[int]:
    """The last tokens of a prompt. With -1 the tokens that are asked for, or one, still fit behind it."""
    if keep is None:
        return ids
    room = max(1, window - max(1, asked or 1)) if keep == -1 else keep
    return ids[-room:]


def check_ids(ids: list[Any], vocab_size: int, path: str) -> list[int]:
    for at, id in enumerate(ids):
        if type(id) is not int or not 0 <= id < vocab_size:
            raise RequestError(
                f"`{path}[{at}]` must be a token id between 0 and {vocab_size - 1}, got {show(id)}", param=path
            )
    return ids


def fit(
    name: str,
    window: int,
    prompt_tokens: int,
    asked: int | None,
    *,
    param: str,
    default: int | None = None,
    limit: str = "max_tokens",
    context: int = 0,
) -> int:
    """How many tokens may be generated in a window of `window`. What does not fit is refused, never cut.

    `param` is the field of the prompt, `limit` that of `asked`. `context`: the model's own, where the window may be
    smaller because the cache is: that is told then. Clients know the refusal by its first words.
    """
    room = window - prompt_tokens
    known, raised = f"This model's maximum context length is {window} tokens", "--context"
    if window < context:
        known += f", since the key-value cache of {name} holds fewer than its context of {context}"
        raised = "--kv-memory or --kv-tokens"
    hint = f"whoever runs the server can raise that with {raised}"
    if room < 1 and not (room == 0 and asked == 0):
        raise PromptTooLong(
            f"{known}, prompt and reply together; the prompt has {prompt_tokens} tokens as {name} reads it",
            param=param,
            hint=f"send less, or truncate_prompt_tokens; {hint}",
        )
    if asked is not None and asked > room:
        raise PromptTooLong(
            f"{known}; {prompt_tokens} prompt tokens and {asked} to generate make {prompt_tokens + asked} for {name}",
            param=limit,
            hint=f"`{limit}` can be at most {room} here; {hint}",
        )
    if asked is not None:
        return asked
    return min(room, default) if default is not None else room


def for_choice(sampling: Sampling, choice: int) -> Sampling:
    """The sampling of one of n choices: with a seed each gets its own, so that n choices differ and repeat."""
    if choice == 0 or sampling.seed is None:
        return sampling
    return msgspec.structs.replace(sampling, seed=(sampling.seed + choice + INT64 + 1) % 2**64 - INT64 - 1)
