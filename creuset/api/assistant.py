"""The package from Python: load a model and talk with it; train, evaluate and audit.

    import creuset

    model = creuset.load("mini")
    print(model.chat("What is the capital of Kenya?").text)

Each function does what the command of its name does, with the same settings, artifacts and errors. They raise
CreusetError (core/errors.py) and print nothing on stdout; progress goes to stderr.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from creuset.core.errors import ConfigError
from creuset.engine.engine import Engine
from creuset.engine.generate import Completion, stream
from creuset.engine.generate import generate as complete
from creuset.engine.settings import EngineSettings
from creuset.model.hub import find_model, recommended_sampling
from creuset.text.calls.forced import GrammarWriter
from creuset.text.grammar import json_schema
from creuset.text.output import parse_output
from creuset.text.template import ChatTemplate
from creuset.text.tokenizer import Tokenizer
from creuset.types.generation import GenerationRequest, Sampling
from creuset.types.messages import ToolCall

Messages = str | Sequence[Mapping[str, Any]]
DEFAULT_TOKENS = 512  # of an answer, where the caller says nothing


@dataclass(frozen=True, slots=True)
class AssistantReply:
    """What the assistant said: its answer, its thoughts, the tools it calls."""

    text: str
    thought: str
    tool_calls: tuple[ToolCall, ...]
    completion: Completion


class Assistant:
    """A model that answers, by the engine that serves. One thread owns it; `with` lets go of its memory at the end."""

    def __init__(self, path: Path, engine: Engine) -> None:
        self.path, self.engine = path, engine
        self.template = ChatTemplate.load(path, engine.tokenizer)
        self._names = count()
        self._defaults = recommended_sampling(path)

    @property
    def tokenizer(self) -> Tokenizer:
        return self.engine.tokenizer

    @property
    def context(self) -> int:
        """Tokens of prompt and answer together."""
        return self.engine.context

    def generate(
        self,
        prompts: str | Sequence[str],
        *,
        schema: Mapping[str, Any] | None = None,
        grammar: str | None = None,
        **sampling: Any,
    ) -> list[Completion]:
        """Continue each text, all of them computed together.

        `schema`: a JSON Schema; each answer that ends by itself is JSON that fits it. `grammar`: another form, as
        `creuset.text.grammar` writes it. What cannot be enforced is a RequestError that names its path.

        `sampling`: fields of `Sampling` (max_tokens, temperature, top_p, seed, stop, logprobs ...); what is not given
        is the model's own. Control tokens in a text are text. Raises RequestError for a value out of range and for a
        prompt that leaves no room.
        """
        texts = [prompts] if isinstance(prompts, str) else list(prompts)
        form = _form(schema, grammar)
        asked = [self._request(self.tokenizer.encode_prompt(text), sampling, form) for text in texts]
        return complete(self.engine, asked)

    def chat(
        self,
        messages: Messages,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        thinking: bool | None = None,
        schema: Mapping[str, Any] | None = None,
        grammar: str | None = None,
        **sampling: Any,
    ) -> AssistantReply:
        """The assistant's next message. `messages`: OpenAI's, or one text that the user says.

        `schema`, `grammar`: what its text must look like, behind a thought where there is one (see `generate`).
        """
        form = _form(schema, grammar)
        request = self._chat_request(messages, tools, thinking, sampling, form)
        thought = self.template.thought(request.prompt, asked=thinking)
        [completion] = complete(self.engine, [request])
        parsed = parse_output(
            completion.text, self.template.calls, tools=tools or (), thinking=thought != "none",
            opened=thought == "opened",
        )  # fmt: skip
        return AssistantReply(text=parsed.text, thought=parsed.thought, tool_calls=parsed.calls, completion=completion)

    def stream(self, messages: Messages, **sampling: Any) -> Iterator[str]:
        """The text of the assistant's next message as it is written. Closing the iterator ends the answer."""
        for event in stream(self.engine, [self._chat_request(messages, None, None, sampling)]):
            if event.text:
                yield event.text

    def _chat_request(
        self,
        messages: Messages,
        tools: Sequence[Mapping[str, Any]] | None,
        thinking: bool | None,
        sampling: Mapping[str, Any],
        form: str | None = None,
    ) -> GenerationRequest:
        said = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        given = {} if thinking is None else {"enable_thinking": thinking}
        prompt = self.template.encode(said, tools=tools, add_generation_prompt=True, **given).ids
        if form is not None:
            thought = self.template.thought(prompt, asked=thinking)
            form = GrammarWriter(self.template.calls, self.tokenizer.special).answer(form, thought=thought)
        visible = self.template.calls.visible_ids(self.tokenizer.special)
        return msgspec.structs.replace(self._request(prompt, sampling, form), visible_ids=visible)

    def _request(self, prompt: list[int], sampling: Mapping[str, Any], grammar: str | None = None) -> GenerationRequest:
        unknown = sorted(set(sampling) - set(Sampling.__struct_fields__))
        if unknown:
            raise ConfigError(
                f"`{unknown[0]}` is no sampling setting", hint=f"there are {', '.join(Sampling.__struct_fields__)}"
            )
        # At least one: a prompt that leaves no room is refused by the engine, which says so better.
        room = max(1, min(DEFAULT_TOKENS, self.context - len(prompt)))
        settings = Sampling(**{"max_tokens": room, **self._defaults, **sampling})
        return GenerationRequest(id=f"{next(self._names)}", prompt=prompt, sampling=settings, grammar=grammar)

    def close(self) -> None:
        """Let go of the weights and the cache."""
        del self.engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _form(schema: Mapping[str, Any] | None, grammar: str | None) -> str | None:
    if schema is None:
        return grammar
    if grammar is not None:
        raise ConfigError("an answer has one form: give `schema` or `grammar`")
    return json_schema(dict(schema))


def load(
    model: str | Path | None = None,
    *,
    dtype: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int = 0,
    device: str = "cpu",
    seed: int | None = None,
    **engine: Any,
) -> Assistant:
    """A model by its folder or name; the shipped one when nothing is said.

    `dtype`, `threads` (0: chosen for the model), `seed` (of answers that have none) and `engine` are fields of
    EngineSettings. Raises ArtifactError where there is no such model or it is damaged.
    """
    folder = find_model(None if model is None else str(model))
    settings = EngineSettings(dtype=dtype, threads=threads, seed=seed, **engine)
    return Assistant(folder, Engine.load(folder, settings=settings, device=device))


def generate(model: str | Path | None, prompts: str | Sequence[str], **settings: Any) -> list[Completion]:
    """Load a model, continue the texts, let go of it: `Assistant.generate` for one call."""
    with load(model) as loaded:
        return loaded.generate(prompts, **settings)
