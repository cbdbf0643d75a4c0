"""creuset's engine as it serves: scheduler, model and sampler. `ours.py MODEL THREADS DTYPE STREAMS CONTEXT`."""

import sys
from pathlib import Path
from typing import Any

from protocol import answer, clock

from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.types.generation import GenerationRequest, Sampling


class Ours:
    def __init__(self, model: str, threads: int, dtype: str, streams: int, context: int) -> None:
        settings = EngineSettings(
            dtype=dtype, threads=threads, max_running=streams, prefix_cache=False, speculation="off", seed=1,
            kv_tokens=streams * (context + 16),
        )  # type: ignore[arg-type]  # fmt: skip
        self.engine, self.count = Engine.load(Path(model), settings=settings), 0

    def about(self) -> dict[str, Any]:
        import creuset

        return {"version": creuset.__version__, "choices": self.engine.choices}

    def _add(self, prompt: list[int], tokens: int) -> str:
        self.count += 1
        sampling = Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True, return_ids=True)
        self.engine.add(GenerationRequest(id=str(self.count), prompt=prompt, sampling=sampling))
        return str(self.count)

    def _step(self) -> list[tuple[str, int]]:
        events = self.engine.step()
        assert not any(event.error for event in events), [event.error for event in events]
        return [(event.id, len(event.tokens)) for event in events]

    def decode(self, prompts: list[list[int]], tokens: int) -> tuple[int, float]:
        written = {self._add(prompt, tokens): 0 for prompt in prompts}
        begun = ended = 0.0
        first = last = 0
        while self.engine.busy:
            for name, count in self._step():
                written[name] += count
            if not begun and all(written.values()):
                begun, first = clock(), sum(written.values())
            if not ended and max(written.values()) >= tokens:
                ended, last = clock(), sum(written.values())
        assert begun and last > first, "the streams were never written at the same time"
        return last - first, ended - begun

    def prefill(self, prompt: list[int]) -> float:
        begun = clock()
        self._add(prompt, 1)
        while self.engine.busy:
            self._step()
        return clock() - begun


if __name__ == "__main__":
    path, threads, dtype, streams, context = sys.argv[1:]
    answer(lambda: Ours(path, int(threads), dtype, int(streams), int(context)))
