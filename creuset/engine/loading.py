"""What an engine is built from: a model's weights, under the context that was asked for, and room for its cache."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from creuset.core.errors import ConfigError
from creuset.engine.backend.base import Runner
from creuset.engine.backend.choose import choose
from creuset.engine.draft_model import refuse_other_words
from creuset.engine.settings import EngineSettings
from creuset.model.config import ModelConfig
from creuset.model.context import with_context
from creuset.model.formats.adapter import AdaptedWeights
from creuset.model.formats.stored.numbers import array_of
from creuset.model.formats.weights import ModelWeights, StoredTensor, WeightSource, open_weights, parts
from creuset.model.hub import find_model
from creuset.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from creuset.model.transformer import Transformer


def weights_of(path: Path, settings: EngineSettings, model: "Transformer | None") -> WeightSource:
    """The weights in `path`, or those of `model`. Raises ArtifactError, ConfigError."""
    if model is not None:
        if settings.lora:
            raise ConfigError("an adapter is added to weights of a folder, not to a model in memory")
        if settings.context:
            raise ConfigError(f"a model in memory keeps its own context; `context` is {settings.context}")
        return ModelWeights(model)
    source = open_weights(path, guess=settings.speculation in ("auto", "model"))
    if settings.lora:
        source = AdaptedWeights(source, Path(settings.lora))
    config = with_context(source.config, settings.context)
    return source if config == source.config else _Stretched(source, config)


def runner_for(source: WeightSource, settings: EngineSettings, device: str) -> Runner:
    runner = choose(
        source, backend=settings.backend, dtype=settings.dtype, threads=settings.threads,
        max_batch_tokens=settings.max_batch_tokens, device=device, quant=settings.quant,
    )  # fmt: skip
    for folder in settings.adapters:
        runner.adapt(Path(folder))
    return runner


def draft_runner(settings: EngineSettings, tokenizer: Tokenizer, device: str) -> Runner | None:
    """The draft model of the settings, where there is one. ConfigError: its tokens are others."""
    if not settings.draft:
        return None
    path = find_model(settings.draft)
    refuse_other_words(Tokenizer.load(path), tokenizer)
    return runner_for(open_weights(path), replace(settings, adapters=()), device)


@dataclass(frozen=True, slots=True)
class _Stretched:
    """Weights under a config with another context."""

    source: WeightSource
    config: ModelConfig

    def tensors(self) -> Iterator[StoredTensor]:
        return self.source.tensors()


class LiveWeights:
    """The weights of a model that goes on to be trained: who builds from them copies them."""

    def __init__(self, model: "Transformer") -> None:
        self.config, self._model = model.config, model

    def tensors(self) -> Iterator[StoredTensor]:
        return (StoredTensor(name, array_of(value), None) for name, value in parts(self._model).items())


def refuse_other_shape(found: ModelConfig, wanted: ModelConfig) -> None:
    """ConfigError: weights of a model `found` cannot take the place of those of `wanted`."""
    for one in fields(ModelConfig):
        theirs, ours = getattr(found, one.name), getattr(wanted, one.name)
        if theirs != ours:
            raise ConfigError(f"the weights are of a model with {one.name} {theirs}; this engine's has {ours}")


def room(runner: Runner, settings: EngineSettings) -> tuple[int, str]:
    """Tokens that the cache shall hold, and what bounds them.

    More than `max_running` full contexts cannot be used at once. Memory is taken as it is written, not at the start.
    """
    if settings.kv_tokens:
        return settings.kv_tokens, "kv_tokens"
    limit = settings.kv_mib * 2**20 or runner.free_memory() // 2
    useful, possible = settings.max_running * runner.config.context, limit // runner.kv_bytes_per_token
    if useful <= possible:
        return useful, "context"
    return possible, "kv_mib" if settings.kv_mib else "memory"
