"""What the tests of the engine share: small engines, and running them to the end."""

import time

import torch

from creuset.core.native.library import FILE
from creuset.engine.backend.choose import choose
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.model.formats.weights import ModelWeights
from creuset.testing import tiny_config, tiny_model, tiny_tokenizer
from creuset.types.generation import Event, GenerationRequest, Sampling

FAMILIES = (
    "qwen2", "qwen3", "qwen2_moe", "qwen3_moe", "mixtral", "olmoe", "deepseek_v2", "deepseek_v3", "glm4_moe", "gpt_oss",
)  # fmt: skip


BACKENDS = ("native", "torch") if FILE.is_file() else ("torch",)


def engine(family="qwen3_moe", *, seed=0, changes=None, damaged=None, clock=time.perf_counter, **settings):
    """An engine over a new tiny model; a model cannot be used twice, since its engine lays its weights out anew.

    The embedding of the token `damaged` is not finite. The native core computes where it can, unless `backend` says
    otherwise.
    """
    tokenizer = tiny_tokenizer()
    model = tiny_model(tiny_config(family, vocab_size=tokenizer.vocab_size, **(changes or {})), seed=seed)
    if damaged is not None:
        with torch.no_grad():
            model.model.embed_tokens.weight[damaged] = float("nan")
    defaults = {"dtype": "fp32", "seed": 1}
    chosen = EngineSettings(**(defaults | settings))
    return Engine(runner(model, chosen), tokenizer, settings=chosen, end_ids=[tokenizer.im_end], clock=clock)


def runner(model, settings):
    """The backend over a model in memory, which it takes over."""
    source, size = ModelWeights(model), settings.max_batch_tokens
    return choose(
        source, backend=settings.backend, dtype=settings.dtype, threads=settings.threads, max_batch_tokens=size
    )


def ask(id, prompt, max_tokens=8, **sampling):
    ids = tiny_tokenizer().encode(prompt) if isinstance(prompt, str) else list(prompt)
    return GenerationRequest(id=str(id), prompt=ids, sampling=Sampling(max_tokens=max_tokens, **sampling))


def whole(events: list[Event]) -> Event:
    """The events of one request as one: all text, tokens and log-probabilities, and how it ended."""
    last = events[-1]
    assert last.finish and not any(event.finish for event in events[:-1])
    logprobs = None
    if last.logprobs is not None:
        logprobs = tuple(one for event in events for one in event.logprobs)
    prompts = [event.prompt_logprobs for event in events if event.prompt_logprobs is not None]
    assert len(prompts) <= 1
    return Event(
        id=last.id,
        text="".join(event.text for event in events),
        tokens=tuple(token for event in events for token in event.tokens),
        logprobs=logprobs,
        prompt_logprobs=prompts[0] if prompts else None,
        finish=last.finish,
        stop_match=last.stop_match,
        stop_token=last.stop_token,
        prompt_tokens=last.prompt_tokens,
        completion_tokens=last.completion_tokens,
        cached_tokens=last.cached_tokens,
        error=last.error,
        param=last.param,
    )


def run(one: Engine, *requests: GenerationRequest) -> dict[str, Event]:
    """Add all, step to the end, check that nothing is left; each request's events joined."""
    for request in requests:
        one.add(request)
    events: dict[str, list[Event]] = {request.id: [] for request in requests}
    while one.busy:
        for event in one.step():
            events.setdefault(event.id, []).append(event)
        one.check()
    return {id: whole(found) for id, found in events.items()}
