"""POST /v1/completions: raw text in, text on; what evaluation harnesses use for log-probabilities.

The prompt is trusted text: a control token written in it is a control token, as in /tokenize, so that
text and ids say the same. (In chat messages it stays text.) An empty prompt begins a new document:
the model sees the token that its documents begin with.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from creuset.core.errors import RequestError
from creuset.server.chat.logprobs import Cursor, Entry, completion_logprobs, prompt_logprobs
from creuset.server.chat.sampling import (
    MAX_CHOICES,
    MAX_STOPS,
    MAX_TOKENS,
    StreamOptions,
    check_ids,
    refuse_streamed,
    take_harmless,
    take_sampling,
    take_stop,
    take_stream,
    take_truncation,
    truncated,
)
from creuset.server.chat.structure import Structure, take_structure
from creuset.server.model import ServedModel
from creuset.text.infill import infill
from creuset.types.fields import Fields, show
from creuset.types.generation import Event, Sampling

MAX_PROMPTS = 1024
MAX_BEST_OF = 20
DEFAULT_MAX_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Prompt:
    text: str
    ids: list[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class CompletionRequest:
    model: str
    prompts: list[Prompt]
    sampling: Sampling
    max_tokens: int | None
    choices: int
    best_of: int  # answers that are generated for each prompt; the likeliest `choices` of them are told
    echo: bool
    logprobs: int | None  # alternatives that are told; `best_of` needs log-probabilities without
    stream: bool
    options: StreamOptions
    structure: Structure | None
    keep: int | None  # `truncate_prompt_tokens`
    visible_ids: tuple[int, ...]  # special tokens whose text is shown
    scores: bool  # echo, log-probabilities and one token more: a harness reads the prompt's probabilities
    ignored: tuple[str, ...]  # fields that were given and change nothing


def parse_completion(fields: Fields, name: str, model: ServedModel) -> CompletionRequest:
    suffix = fields.text("suffix")
    prompts = _prompts(fields, model) if not suffix else [_filled(fields, suffix, model)]
    shows = fields.flag("skip_special_tokens") is False
    take_harmless(fields)
    sampling = take_sampling(fields, model)
    stream, options = take_stream(fields)
    refuse_streamed(fields, sampling, stream)
    logprobs = fields.integer("logprobs", 0, 5)
    echo = fields.flag("echo") or False
    choices = fields.integer("n", 1, MAX_CHOICES) or 1
    best_of = fields.integer("best_of", 0, MAX_BEST_OF)
    if best_of is None or best_of == 1:  # 1 is the default of clients
        best_of = choices
    if best_of < choices:
        raise fields.refuse("best_of", f"must be at least `n` ({choices}), got {best_of}")
    if best_of > choices and stream:
        raise fields.refuse("best_of", f"must be `n` ({choices}) with `stream: true`, got {best_of}")
    if echo and logprobs is not None and sampling.prompt_logprobs is not None:
        raise fields.refuse("prompt_logprobs", "cannot stand beside `echo` with `logprobs`, which tells the same")
    fields.flag("add_special_tokens")  # there is no token that it would add
    max_tokens = fields.integer("max_tokens", 0, MAX_TOKENS)
    # A harness drops the last entry of the lists, which must therefore be there: even an end token is told.
    scores = echo and logprobs is not None and max_tokens == 1
    ask = CompletionRequest(
        model=name,
        prompts=prompts,
        sampling=msgspec.structs.replace(
            sampling,
            stop=take_stop(fields, MAX_STOPS),
            logprobs=0 if logprobs is None and best_of > choices else logprobs,
            prompt_logprobs=logprobs if echo and logprobs is not None else sampling.prompt_logprobs,
            ignore_eos=sampling.ignore_eos or scores,
        ),
        max_tokens=max_tokens,
        choices=choices,
        best_of=best_of,
        echo=echo,
        logprobs=logprobs,
        stream=stream,
        options=options,
        structure=take_structure(fields),
        keep=take_truncation(fields),
        visible_ids=tuple(sorted(model.tokenizer.hidden)) if shows else (),
        scores=scores,
        ignored=tuple(fields.ignored),
    )
    if ask.max_tokens == 0 and not echo:
        raise fields.refuse("max_tokens", "must be at least 1 without `echo`, got 0")
    fields.refuse_rest()
    return ask


def _prompts(fields: Fields, model: ServedModel) -> list[Prompt]:
    value = fields.take("prompt")
    if value is None or value == "":
        return [Prompt("", model.tokenizer.encode_prompt(""))]
    if type(value) is str:
        return [_prompt(value, "prompt", model)]
    if type(value) is not list:
        raise fields.refuse("prompt", f"must be a string, a list of strings, or lists of token ids, got {show(value)}")
    if not value:
        raise fields.refuse("prompt", "must not be an empty list")
    if type(value[0]) is int:
        return [_prompt(value, "prompt", model)]
    if len(value) > MAX_PROMPTS:
        raise fields.refuse("prompt", f"takes at most {MAX_PROMPTS} prompts, got {len(value)}")
    return [_prompt(one, f"prompt[{at}]", model) for at, one in enumerate(value)]


def _filled(fields: Fields, suffix: str, model: ServedModel) -> Prompt:
    """A prompt that asks for what stands between `prompt` and `suffix`."""
    prefix = fields.take("prompt")
    if prefix is not None and type(prefix) is not str:
        raise fields.refuse("prompt", f"must be a string beside `suffix`, got {show(prefix)}")
    if fields.peek("echo"):
        raise fields.refuse("echo", "cannot stand beside `suffix`: the prompt is in two parts")
    ids = infill(model.tokenizer, prefix or "", suffix)
    if ids is None:
        words = "is not served for this model: its tokenizer has no tokens to fill in the middle"
        raise fields.refuse("suffix", words, code="unsupported_parameter")
    return Prompt(prefix or "", ids)


def _prompt(value: Any, path: str, model: ServedModel) -> Prompt:
    if type(value) is str:
        return Prompt(value, model.tokenizer.encode_prompt(value, trusted=True))
    if type(value) is list and value:
        ids = check_ids(value, model.tokenizer.vocab_size, path)
        return Prompt(model.tokenizer.decode(ids), ids)
    raise RequestError(f"`{path}` must be a string or a non-empty list of token ids, got {show(value)}", param=path)


def fitted(ask: CompletionRequest, window: int, model: ServedModel) -> CompletionRequest:
    """`ask` with its prompts cut as `truncate_prompt_tokens` says."""
    if ask.keep is None:
        return ask
    asked = DEFAULT_MAX_TOKENS if ask.max_tokens is None else ask.max_tokens
    cut = [truncated(prompt.ids, ask.keep, window, asked) for prompt in ask.prompts]
    return replace(ask, prompts=[Prompt(model.tokenizer.decode(ids), ids) for ids in cut])


@dataclass(slots=True)
class CompletionChoice:
    """One choice of a reply: events in, chunks of text and log-probabilities out."""

    ask: CompletionRequest
    model: ServedModel
    prompt: Prompt
    cursor: Cursor = field(default_factory=Cursor)
    begun: bool = False
    scored: list[float] = field(default_factory=list)  # log-probability of each token

    def chunk(self, event: Event) -> dict[str, Any] | None:
        """What `event` adds: text, logprobs, finish_reason. None when that is nothing yet."""
        text = event.text
        entries: list[Entry] = [(one.token, one) for one in event.logprobs or ()]
        self.scored += (one.logprob for one in event.logprobs or ())
        if self.ask.echo and not self.begun:
            text, entries = self.prompt.text + text, [*self._prompt_entries(event), *entries]
        more = self._ids(event)
        self.begun = True
        finish = event.finish
        if self.ask.scores and finish == "length" and event.tokens and event.tokens[-1] in self.model.stop_ids:
            finish = "stop"
        if not text and not entries and not more and finish is None:
            return None
        logprobs = None
        if self.ask.logprobs is not None:
            logprobs = completion_logprobs(entries, self.model.tokenizer, self.cursor)
        return {"text": text, "logprobs": logprobs, "finish_reason": finish, **more}

    def _ids(self, event: Event) -> dict[str, Any]:
        """What vLLM tells besides: token ids, and the prompt's log-probabilities in its own shape."""
        found: dict[str, Any] = {}
        if self.ask.sampling.return_ids:
            found = {"token_ids": list(event.emitted)} if event.emitted else {}
            if not self.begun:
                found["prompt_token_ids"] = self.prompt.ids
        asked = self.ask.sampling.prompt_logprobs is not None and not (self.ask.echo and self.ask.logprobs is not None)
        if asked and event.prompt_logprobs is not None:
            found["prompt_logprobs"] = prompt_logprobs(event.prompt_logprobs, self.model.tokenizer)
        return found

    def _prompt_entries(self, event: Event) -> list[Entry]:
        """The prompt's tokens. The first follows nothing, so it has no log-probability."""
        return list(zip(self.prompt.ids, event.prompt_logprobs or (), strict=False))


def best(choices: list[CompletionChoice], ask: CompletionRequest) -> list[int]:
    """Places of the answers that are told: of each prompt's, those with the highest log-probability per token."""
    kept: list[int] = []
    for start in range(0, len(choices), ask.best_of):
        places = list(range(start, start + ask.best_of))
        if ask.best_of > ask.choices:
            places.sort(key=lambda at: -sum(choices[at].scored) / max(1, len(choices[at].scored)))
        kept += places[: ask.choices]
    return kept


def join(index: int, chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Join the chunks of one choice."""
    logprobs = None
    if chunks and chunks[0]["logprobs"] is not None:
        logprobs = {key: [v for c in chunks for v in c["logprobs"][key]] for key in chunks[0]["logprobs"]}
    more: dict[str, Any] = {}
    for chunk in chunks:
        more |= {key: chunk[key] for key in ("prompt_token_ids", "prompt_logprobs") if key in chunk}
        if "token_ids" in chunk:
            more["token_ids"] = more.get("token_ids", []) + chunk["token_ids"]
    return {
        "index": index,
        "text": "".join(c["text"] for c in chunks),
        "logprobs": logprobs,
        "finish_reason": chunks[-1]["finish_reason"] if chunks else None,
        **more,
    }
