"""The weights of a model's folder, for the parts of the audit that need more than answers. Torch is loaded when asked.

Nobody else in the audit imports model or engine: the benchmarks find here what they need of them, and the watermark's
key and detector. Everything is computed in fp32, so that an answer does not depend on who else is asked.

Reading order: `Weights.surprises` (what the model says of texts), `Weights.sample` (what it writes).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from creuset.model.config import ModelConfig
from creuset.model.count import decode_flops, training_flops
from creuset.model.formats.hf_config import config_of
from creuset.text.tokenizer import Tokenizer
from creuset.text.watermark import DECISION_P, MIN_SCORED, TooShort, Watermark, binomial_tail, detect, load_watermark
from creuset.types.generation import GenerationRequest, Sampling

if TYPE_CHECKING:
    from creuset.engine.engine import Engine
    from creuset.evals.clients.scoring import Surprise
    from creuset.model.transformer import Transformer

__all__ = [
    "DECISION_P", "MIN_SCORED", "Continuation", "Tokenizer", "TooShort", "Watermark", "Weights", "binomial_tail",
    "detect", "load_watermark",
]  # fmt: skip

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
Progress = Callable[[int], None]


def _nobody(done: int) -> None:
    """Told of progress where the caller does not want to know."""


@dataclass(slots=True)
class Continuation:
    """What the model wrote behind a prompt: its tokens, and -ln p of each, in nats, by the model without a mark."""

    ids: list[int] = field(default_factory=list)
    surprise: list[float] = field(default_factory=list)


class Weights:
    """A folder with a model and its tokenizer. Each is loaded once, when it is first asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer.load(self.path)

    @cached_property
    def config(self) -> ModelConfig:
        return config_of(self.path)

    @property
    def context(self) -> int:
        """Tokens that the model reads at once, at most."""
        return self.config.context

    @cached_property
    def _model(self) -> "Transformer":
        from creuset.model.formats.weights import load_model

        return load_model(self.path)

    @cached_property
    def _engine(self) -> "Engine":
        return self._load(None)

    def _load(self, mark: Watermark | None) -> "Engine":
        from creuset.engine.engine import Engine
        from creuset.engine.settings import EngineSettings

        return Engine.load(self.path, settings=EngineSettings(dtype="fp32", seed=0), watermark=mark)

    def ids(self, text: str) -> Ids:
        """(n) the tokens of `text` behind the one that begins a document (ours: <|endoftext|>)."""
        return np.array([self.tokenizer.start, *self.tokenizer.encode(text)], dtype=np.int64)

    def decode_flops(self, context: int) -> float:
        """FLOPs of one generated token that sees `context` tokens."""
        return float(decode_flops(self.config, context=context))

    def training_flops(self) -> float:
        """FLOPs of one token in training, at the model's own context."""
        return float(training_flops(self.config, context=self.context))

    # Likelihoods.

    def surprises(self, sequences: Sequence[Ids], *, progress: Progress = _nobody) -> "list[Surprise]":
        """Per-token statistics of each sequence, read from its own beginning."""
        from creuset.evals.clients.scoring import surprises

        return surprises(self._model, sequences, progress=progress)

    def last_rows(self, ids: Sequence[int], rows: int) -> Floats:
        """(rows, V) ln p of what follows each of the last `rows` tokens of `ids`."""
        from creuset.evals.clients.scoring import last_rows

        ((_, found),) = last_rows(self._model, [np.array(ids)], rows)
        return found

    def sequence_logprobs(self, sequences: Sequence[Ids]) -> Floats:
        """ln p of each sequence's tokens behind the beginning that all of them share."""
        from creuset.evals.clients.scoring import sequence_logprobs

        return sequence_logprobs(self._model, sequences)

    # Generation.

    def prepared(self, prompts: Sequence[Sequence[int]], tokens: int) -> Callable[[], int]:
        """A call that writes `tokens` greedy tokens behind every prompt, all at once, and says how many it wrote."""
        engine = self._engine
        for number, prompt in enumerate(prompts):
            sampling = Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True)
            engine.add(GenerationRequest(id=str(number), prompt=list(prompt), sampling=sampling))

        def write() -> int:
            made = 0
            while engine.busy:
                made += sum(event.completion_tokens for event in engine.step() if event.finish)
            return made

        return write

    @property
    def threads(self) -> int:
        """Processor threads that generation uses."""
        return int(self._engine.choices["threads"])

    def greedy(self, prompts: Sequence[Ids], tokens: int, *, progress: Progress = _nobody) -> list[list[int]]:
        """The `tokens` likeliest tokens behind each prompt, one at a time; no token ends it."""
        sampling = Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True)
        found = self._write(self._engine, [([int(i) for i in prompt], sampling) for prompt in prompts], progress)
        return [one.ids for one in found]

    def sample(
        self, prompts: Sequence[list[int]], mark: Watermark | None, *, tokens: int, seed: int, temperature: float = 1.0,
        progress: Progress = _nobody,
    ) -> list[Continuation]:  # fmt: skip
        """`tokens` sampled tokens behind each prompt, with the mark or without; no token ends it."""
        asked = [
            (prompt, Sampling(max_tokens=tokens, seed=seed + at, ignore_eos=True, logprobs=0, temperature=temperature))
            for at, prompt in enumerate(prompts)
        ]
        return self._write(self._load(mark), asked, progress)

    @staticmethod
    def _write(engine: "Engine", asked: Sequence[tuple[list[int], Sampling]], progress: Progress) -> list[Continuation]:
        found = [Continuation() for _ in asked]
        for number, (prompt, sampling) in enumerate(asked):
            engine.add(GenerationRequest(id=str(number), prompt=prompt, sampling=sampling))
        while engine.busy:
            for event in engine.step():
                one = found[int(event.id)]
                one.ids += event.tokens
                one.surprise += [-entry.logprob for entry in event.logprobs or ()]
                if event.finish:
                    progress(1)
        return found

    def sample_between_signs(
        self, prompts: Sequence[list[int]], mark: Watermark, *, tokens: int, seed: int, progress: Progress = _nobody
    ) -> list[list[int]]:
        """The tokens of a model that writes a sign behind each of them; the signs are left out."""
        engine = self._load(mark)
        sign = self.tokenizer.encode(" *")
        written, kept = [list(prompt) for prompt in prompts], [list[int]() for _ in prompts]
        for at in range(tokens):
            asked = [(ids, Sampling(max_tokens=1, seed=seed + number * tokens + at, ignore_eos=True))
                     for number, ids in enumerate(written)]  # fmt: skip
            for number, one in enumerate(self._write(engine, asked, _nobody)):
                kept[number] += one.ids
                written[number] += [*one.ids, *sign]
            progress(1)
        return kept
