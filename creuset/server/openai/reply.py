"""Replies: events of several requests -> the chunks of a stream, or one object. Same pieces either way."""

import random
import string
from dataclasses import dataclass, field
from typing import Any

from creuset.server.chat.logprobs import prompt_logprobs
from creuset.server.chat.request import ChatRequest
from creuset.server.chat.sampling import StreamOptions
from creuset.server.engines.pool import ServedEngine
from creuset.server.openai import chat, completions
from creuset.text.calls.forced import Thought
from creuset.types.generation import Event

PAD_TO = 16  # characters: a padded chunk tells an observer of its length only this coarsely


@dataclass(slots=True)
class UsageCount:
    prompt_tokens: int
    per_prompt: int  # choices of each prompt: the first reports its cache hits
    completion: dict[int, int] = field(default_factory=dict)
    cached: dict[int, int] = field(default_factory=dict)
    reasoning: dict[int, int] | None = None  # of completions that may think

    def count(self, index: int, event: Event) -> None:
        self.completion[index] = event.completion_tokens
        if self.reasoning is not None:
            self.reasoning[index] = event.reasoning_tokens
        if index % self.per_prompt == 0:
            self.cached[index] = event.cached_tokens

    def as_json(self) -> dict[str, Any]:
        generated = sum(self.completion.values())
        usage: dict[str, Any] = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": generated,
            "total_tokens": self.prompt_tokens + generated,
            "prompt_tokens_details": {"cached_tokens": sum(self.cached.values())},
        }
        if self.reasoning is not None:
            usage["completion_tokens_details"] = {"reasoning_tokens": sum(self.reasoning.values())}
        return usage


@dataclass(slots=True)
class _Head:
    """What all chunks of a reply share."""

    id: str
    object: str
    created: int
    model: str
    fingerprint: str
    options: StreamOptions
    obfuscate: bool

    def chunk(
        self, choices: list[dict[str, Any]], text: str = "", usage: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        }
        if self.options.include_usage:
            found["usage"] = usage
        if self.obfuscate:
            # Not a secret, only a length: no cryptographic generator is needed.
            found["obfuscation"] = "".join(random.choices(string.ascii_letters, k=PAD_TO - len(text.encode()) % PAD_TO))
        return found

    def whole(self, choices: list[dict[str, Any]], usage: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": self.object.removesuffix(".chunk"),
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
            "usage": usage,
        }


class ChatResponse:
    def __init__(
        self,
        ask: ChatRequest,
        engine: ServedEngine,
        prompt: list[int],
        thought: Thought = "none",
        *,
        id: str,
        created: int,
        obfuscate: bool = False,
        tier: str = "default",
    ) -> None:
        """`obfuscate`: whether to pad chunks where the client does not say. `tier`: the class that it is served in."""
        kind = "chat.completion.chunk" if ask.stream else "chat.completion"
        self._head = _Head(id, kind, created, ask.model, engine.fingerprint, ask.options, _pads(ask.options, obfuscate))
        self._choices = [chat.ChatChoice(ask, engine.model, thought) for _ in range(ask.choices)]
        self._deltas: list[list[dict[str, Any]]] = [[] for _ in self._choices]
        self._stream = ask.stream
        self._tier = {"service_tier": tier}
        self._usage = UsageCount(len(prompt), ask.choices, reasoning={})
        self._model = engine.model
        self._about_prompt: dict[str, Any] = {"prompt_token_ids": prompt} if ask.sampling.return_ids else {}

    def opening(self) -> list[dict[str, Any]]:
        start = {"role": "assistant", "content": "", "refusal": None}
        chunks = [self._head.chunk([chat.chunk_choice(i, dict(start))]) for i in range(len(self._choices))]
        chunks[0] |= self._about_prompt
        return chunks

    def feed(self, index: int, event: Event) -> list[dict[str, Any]]:
        choice = self._choices[index]
        self._usage.count(index, event)
        deltas = choice.deltas(event)
        if event.prompt_logprobs is not None:  # never in a stream
            self._about_prompt["prompt_logprobs"] = prompt_logprobs(event.prompt_logprobs, self._model.tokenizer)
        if not self._stream:
            self._deltas[index] += deltas
            return []
        chunks = [self._head.chunk([chat.chunk_choice(index, d)], d.get("content", "")) for d in deltas]
        if choice.finish is not None:
            chunks.append(self._head.chunk([chat.chunk_choice(index, {}, choice.finish)]))
        return chunks

    def closing(self) -> list[dict[str, Any]]:
        return [self._head.chunk([], usage=self._usage.as_json())] if self._head.options.include_usage else []

    def whole(self) -> dict[str, Any]:
        choices = [chat.whole_choice(i, self._deltas[i], c) for i, c in enumerate(self._choices)]
        return self._head.whole(choices, self._usage.as_json()) | self._tier | self._about_prompt


class CompletionResponse:
    def __init__(
        self,
        ask: completions.CompletionRequest,
        engine: ServedEngine,
        *,
        id: str,
        created: int,
        obfuscate: bool = False,
    ) -> None:
        pads = _pads(ask.options, obfuscate)
        self._head = _Head(id, "text_completion", created, ask.model, engine.fingerprint, ask.options, pads)
        prompts = [prompt for prompt in ask.prompts for _ in range(ask.best_of)]
        self._choices = [completions.CompletionChoice(ask, engine.model, prompt) for prompt in prompts]
        self._chunks: list[list[dict[str, Any]]] = [[] for _ in self._choices]
        self._stream = ask.stream
        self._usage = UsageCount(sum(len(p.ids) for p in ask.prompts), ask.best_of)
        self._ask = ask

    def opening(self) -> list[dict[str, Any]]:
        return []

    def feed(self, index: int, event: Event) -> list[dict[str, Any]]:
        self._usage.count(index, event)
        chunk = self._choices[index].chunk(event)
        if chunk is None:
            return []
        if not self._stream:
            self._chunks[index].append(chunk)
            return []
        return [self._head.chunk([{"index": index, **chunk}], chunk["text"])]

    def closing(self) -> list[dict[str, Any]]:
        return [self._head.chunk([], usage=self._usage.as_json())] if self._head.options.include_usage else []

    def whole(self) -> dict[str, Any]:
        kept = completions.best(self._choices, self._ask)
        choices = [completions.join(i, self._chunks[at]) for i, at in enumerate(kept)]
        return self._head.whole(choices, self._usage.as_json())


def _pads(options: StreamOptions, default: bool) -> bool:
    return default if options.obfuscate is None else options.obfuscate
