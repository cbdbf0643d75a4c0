"""What drafts by lookup save: forward passes and processor time of one stream, with drafts and without.

    python bench/speculation.py --keep

Prompts of three kinds: texts that the answer repeats, code, and prose in which nothing comes back. Both engines say the
same tokens (it is checked); each prompt is answered in turn by one and by the other.
"""

import statistics
import time
from typing import Any

import common

FERRY = "The ferry to the island leaves at nine, at noon and at six; on Sundays it leaves at ten. "
ROWS = "".join(f"| {name} | {name.lower()}.txt | text |\n" for name in ("Apple", "Pear", "Plum", "Cherry", "Grape"))
REPEATS = (FERRY * 4, "| name | file | kind |\n" + ROWS * 2, "All work and no play makes Jack a dull boy.\n" * 5)
CODE = (
    "Write a Python class for a bank account with deposit, withdraw and transfer, and a test for each.",
    "Write Python functions add, subtract, multiply and divide of two numbers, each with a docstring.",
    "Continue: def area_of_square(side):\n    return side * side\n\ndef area_of_rectangle(width, height):\n",
)
PROSE = (
    "Why is the sky blue?",
    "Tell me a story about a fox who moves to the city.",
    "What should I think about before I buy a used bicycle?",
)


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--model", default=None, help="a name or folder (default: the shipped model)")
    parser.add_argument("--backend", default="auto", choices=("auto", "native", "torch"))
    parser.add_argument("--tokens", type=int, default=160)
    args = parser.parse_args()

    from creuset.engine.engine import Engine
    from creuset.engine.generate import generate
    from creuset.engine.settings import EngineSettings
    from creuset.model.hub import find_model
    from creuset.text.template import ChatTemplate
    from creuset.text.tokenizer import Tokenizer
    from creuset.types.generation import GenerationRequest, Sampling
    from creuset.types.messages import ChatMessage

    path = find_model(args.model) if args.model else find_model()
    tokenizer = Tokenizer.load(path)
    template = ChatTemplate.load(path, tokenizer)

    def engine(kind: str) -> Engine:
        settings = EngineSettings(
            threads=args.threads, speculation=kind, prefix_cache=False, backend=args.backend, kv_tokens=4096, seed=1
        )
        return Engine.load(path, settings=settings)

    engines = {"plain": engine("off"), "drafts": engine("lookup")}
    figures: dict[str, Any] = {}
    for kind, prompts in (("repetition", REPEATS), ("code", CODE), ("prose", PROSE)):
        ratios: dict[str, list[float]] = {"passes": [], "cpu": []}
        for words in prompts:
            if kind == "repetition":  # the text itself goes on
                ids = tokenizer.encode(words)
            else:
                ids = template.encode([ChatMessage(role="user", content=words)], add_generation_prompt=True).ids
            request = GenerationRequest(
                id="a", prompt=ids, sampling=Sampling(max_tokens=args.tokens, temperature=0.0, ignore_eos=True)
            )
            cost: dict[str, list[float]] = {"plain": [], "drafts": []}
            passes, said = {}, {}
            for _ in range(args.repeat):
                for name, one in engines.items():
                    before, begun = one.stats()["steps_total"], time.process_time()
                    said[name] = generate(one, [request])[0].tokens
                    cost[name].append(time.process_time() - begun)
                    passes[name] = one.stats()["steps_total"] - before
            assert said["plain"] == said["drafts"], "drafts changed an answer"
            ratios["passes"].append(passes["plain"] / passes["drafts"])
            ratios["cpu"].append(statistics.median(cost["plain"]) / statistics.median(cost["drafts"]))
        figures[kind] = {
            name: {"least": round(min(found), 3), "median": round(statistics.median(found), 3)}
            for name, found in ratios.items()
        }
    rows = [(kind, *(f"{f[of][what]:.2f}" for of in ("passes", "cpu") for what in ("median", "least")))
            for kind, f in figures.items()]  # fmt: skip
    head = ("prompts", "passes saved, times", "least", "processor time, times", "least")
    print(common.table(head, rows))
    common.keep("speculation", args, figures)


if __name__ == "__main__":
    main()
