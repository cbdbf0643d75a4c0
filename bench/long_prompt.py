"""What a long prompt does to those who write: the gaps between their tokens, before it comes and while it is read.

    python bench/long_prompt.py --threads 1 --keep

Four requests write; then a prompt of 2,000 tokens arrives. A gap is what one step of the engine takes, since each
request that writes gets one token a step. Gaps without the prompt are measured before it and after it, since answers
grow. By default gaps are processor time of this one process, which says more on a
machine that others use; the engine paces itself by the same clock. Printed are the 95th percentile of the gaps without
and with the prompt, and their ratio, of each turn.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import common
import numpy as np

WRITERS, DEPTH, BEFORE = 4, 256, 60  # requests; tokens of each; steps measured before the prompt comes and after it


def p95(values: list[float]) -> float:
    return float(np.percentile(values, 95))


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--model", default=None, help="a name or folder (default: the shipped model)")
    parser.add_argument("--prompt", type=int, default=2000, help="tokens (default: %(default)s)")
    parser.add_argument("--clock", choices=("processor", "wall"), default="processor")
    args = parser.parse_args()

    from creuset.engine.engine import Engine
    from creuset.engine.settings import EngineSettings
    from creuset.model.hub import find_model
    from creuset.types.generation import GenerationRequest, Sampling

    clock: Callable[[], float] = time.process_time if args.clock == "processor" else time.perf_counter
    settings = EngineSettings(threads=args.threads, prefix_cache=False, kv_tokens=16384, seed=1, max_running=8)
    engine = Engine.load(find_model(args.model) if args.model else find_model(), settings=settings)
    engine._clock = clock
    random = np.random.default_rng(1)

    def ask(id: str, prompt: int, tokens: int) -> None:
        ids = random.integers(0, engine.tokenizer.vocab_size, prompt).tolist()
        engine.add(GenerationRequest(id=id, prompt=ids, sampling=drawn(tokens)))

    def drawn(tokens: int) -> Sampling:  # as the shipped model recommends
        return Sampling(max_tokens=tokens, temperature=0.7, top_p=0.8, top_k=20, ignore_eos=True, seed=1)

    def step() -> tuple[float, set[str]]:
        begun = clock()
        events = engine.step()
        return clock() - begun, {event.id for event in events}

    turns: list[dict[str, float]] = []
    for turn in range(args.repeat + 1):
        for writer in range(WRITERS):
            ask(f"{turn}-{writer}", DEPTH, engine.context - DEPTH)
        for _ in range(8):
            step()
        before = [step()[0] for _ in range(BEFORE)]
        ask("long", args.prompt, 1)
        during: list[float] = []
        while True:
            seconds, told = step()
            during.append(seconds)
            if "long" in told:
                break
        after = [step()[0] for _ in range(BEFORE)]
        for writer in range(WRITERS):
            engine.cancel(f"{turn}-{writer}")
        while engine.busy:
            engine.step()
        if turn:  # the first one warms up
            alone = before + after
            turns.append({
                "alone_ms": 1000 * p95(alone), "during_ms": 1000 * p95(during), "ratio": p95(during) / p95(alone),
                "median_ratio": statistics.median(during) / statistics.median(alone), "steps": len(during),
            })  # fmt: skip
    figures: dict[str, Any] = {
        name: {
            "median": round(statistics.median(t[name] for t in turns), 3),
            "most": round(max(t[name] for t in turns), 3),
        }
        for name in turns[0]
    }
    rows = [(name, found["median"], found["most"]) for name, found in figures.items()]
    print(common.table((f"p95 of gaps, a prompt of {args.prompt} beside {WRITERS}", "median", "most"), rows))
    common.keep("long_prompt", args, figures)


if __name__ == "__main__":
    main()
