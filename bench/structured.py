"""What a grammar costs: the same engine, with and without a JSON Schema that its answers must fit, turn by turn.

    python bench/structured.py --threads 2 --keep
    python bench/structured.py --model PATH --tokens 200

Each turn writes as many tokens without a grammar and with one, for one stream and for eight, so that a busy moment of
a shared machine hits both alike. `cost` is the median over the turns of the extra seconds a token, in percent; on a
machine that others use the CPU cost says more. A mask alone is timed too.
"""

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import Any

import common

from creuset.engine.answer.grammar import Grammars
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.text import grammar
from creuset.types.generation import GenerationRequest, Sampling

SHIPPED = Path(__file__).parent.parent / "creuset" / "models" / "mini"
# An answer that is never complete before its tokens are used up.
SCHEMA = {
    "type": "array",
    "minItems": 1000,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 3, "maxLength": 40},
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "kind": {"enum": ["person", "place", "thing"]},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
        },
        "required": ["name", "age", "kind", "tags"],
        "additionalProperties": False,
    },
}
PROMPT = "A list of people and places, as JSON:\n"


def seconds_per_token(
    engine: Engine, streams: int, tokens: int, text: str | None, seed: int, temperature: float = 1.0
) -> tuple[float, float]:
    """Wall and CPU."""
    prompt = engine.tokenizer.encode(PROMPT)
    for at in range(streams):
        sampling = Sampling(max_tokens=tokens, ignore_eos=True, seed=seed + at, temperature=temperature)
        engine.add(GenerationRequest(id=str(at), prompt=prompt, sampling=sampling, grammar=text))
    written, start, before = 0, time.perf_counter(), time.process_time()
    while engine.busy:
        for event in engine.step():
            assert event.finish in (None, "length"), (event.finish, event.error)
            written += len(event.tokens)
    return (time.perf_counter() - start) / written, (time.process_time() - before) / written


def mask_seconds(engine: Engine, text: str, answer: str) -> list[float]:
    """Of each token of `answer`: what one mask takes, with nothing beside it."""
    ids = engine.tokenizer.encode(answer)
    size = min(engine.config.vocab_size, engine.tokenizer.vocab_size)
    grammars = Grammars(engine.tokenizer, end_ids=engine.end_ids, vocab_size=size)
    mask = grammars.mask(grammars.compile(text).result(), Sampling(max_tokens=len(ids) + 1))
    times = []
    mask.allowed()
    for id in ids:
        start = time.perf_counter()
        mask.accept(id)
        mask.allowed()
        times.append(time.perf_counter() - start)
    return times


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--model", default=str(SHIPPED))
    parser.add_argument("--tokens", type=int, default=128, help="of each answer")
    parser.add_argument("--temperature", type=float, default=1.0, help="0: the likeliest token that is allowed")
    args: argparse.Namespace = parser.parse_args()
    settings = EngineSettings(prefix_cache=False, threads=args.threads, seed=0)
    engine = Engine.load(Path(args.model), settings=settings)
    text = grammar.json_schema(SCHEMA)
    figures: dict[str, Any] = {"load_before": os.getloadavg()[0], "vocab": engine.tokenizer.vocab_size, "streams": {}}
    rows = []
    for streams in (1, 8):
        spent: dict[str, list[tuple[float, float]]] = {"free": [], "bound": []}
        for turn in range(args.repeat + 1):
            pair = [
                seconds_per_token(engine, streams, args.tokens, form, turn, args.temperature) for form in (None, text)
            ]
            if turn:  # the first warms up and compiles
                spent["free"].append(pair[0])
                spent["bound"].append(pair[1])
        turns = list(zip(spent["free"], spent["bound"], strict=True))
        cost, cpu_cost = (statistics.median(b[i] / f[i] - 1 for f, b in turns) * 100 for i in (0, 1))
        figures["streams"][streams] = {
            **{who: common.spread([wall for wall, _ in times]) for who, times in spent.items()},
            "cost_percent": round(cost, 1),
            "cpu_cost_percent": round(cpu_cost, 1),
        }
        walls = [f"{statistics.median(wall for wall, _ in times) * 1e3:.3f}" for times in spent.values()]
        rows.append((streams, *walls, f"{cost:.1f}", f"{cpu_cost:.1f}"))
    answer = (
        '[{"name": "Ada Lovelace", "age": 36, "kind": "person", "tags": ["mathematics", "poetry"]}, {"name": "Zürich'
    )
    masks = mask_seconds(engine, text, answer)
    figures["mask_us"] = {"median": round(statistics.median(masks) * 1e6, 1), "worst": round(max(masks) * 1e6, 1)}
    figures["load_after"] = os.getloadavg()[0]
    figures["table"] = [
        [f"a JSON Schema on {streams} stream{'s' if streams > 1 else ''}, {Path(args.model).name}",
         f"{one['cost_percent']:.1f} % more time a token"]
        for streams, one in figures["streams"].items()
    ]  # fmt: skip
    print(common.table(["streams", "free, ms a token", "bound, ms a token", "cost %", "CPU cost %"], rows))
    one_mask = figures["mask_us"]
    print(f"one mask over {figures['vocab']} tokens: {one_mask['median']} us, worst {one_mask['worst']} us")
    common.keep("structured", args, figures)


if __name__ == "__main__":
    main()
