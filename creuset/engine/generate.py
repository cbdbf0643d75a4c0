"""Ask an engine and wait: the loop that every caller outside the server needs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from creuset.core.errors import EngineError
from creuset.engine.engine import Engine
from creuset.types.generation import Event, Finish, GenerationRequest, TokenLogprob


@dataclass(slots=True)
class Completion:
    """A whole answer: the events of one request, joined."""

    text: str = ""
    tokens: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)  # one a token, where the request asked for them
    prompt_logprobs: tuple[TokenLogprob | None, ...] = ()
    finish: Finish = "error"
    error: str | None = None  # with finish "error": what went wrong
    prompt_tokens: int = 0
    completion_tokens: int = 0  # the end token included
    cached_tokens: int = 0  # of the prompt, found in the prefix cache

    def take(self, event: Event) -> None:
        self.text += event.text
        self.tokens += event.tokens
        self.logprobs += event.logprobs or ()
        self.prompt_logprobs = event.prompt_logprobs or self.prompt_logprobs
        if event.finish is not None:
            self.finish, self.error = event.finish, event.error
            self.prompt_tokens, self.cached_tokens = event.prompt_tokens, event.cached_tokens
            self.completion_tokens = event.completion_tokens


def stream(engine: Engine, requests: Iterable[GenerationRequest]) -> Iterator[Event]:
    """Events of `requests`, computed together, as they happen; each request ends with one that has `finish`.

    A caller that stops reading cancels what is still running. Raises RequestError, and then none of them runs;
    EngineError where another answer is being written, since its events would be lost here.
    """
    if engine.busy:
        raise EngineError("the engine is writing another answer", hint="read it to its end, or close its stream")
    waiting: set[str] = set()
    try:
        for request in requests:
            engine.add(request)
            waiting.add(request.id)
        while waiting:
            for event in engine.step():
                if event.finish is not None:
                    waiting.discard(event.id)
                yield event
    finally:
        for name in waiting:
            engine.cancel(name)
        if waiting:
            engine.step()  # ends what was cancelled and gives its blocks back


def generate(engine: Engine, requests: Sequence[GenerationRequest]) -> list[Completion]:
    """The whole answers to `requests`, in their order."""
    found = {request.id: Completion() for request in requests}
    for event in stream(engine, requests):
        found[event.id].take(event)
    return [found[request.id] for request in requests]
