"""The engine against transformers' `generate`: the same exported random model, the same process, turn by turn.

    python bench/engine.py --shape mini --threads 2 --keep

Three loads: one stream, eight streams, and a prompt of 512 tokens. Each turn runs all of them with both, so that a
busy moment of a shared machine hits both alike; medians and spread are over the turns. Greedy, fp32, no end token.
`time to first token` is that of a new process: `creuset chat` from its start to its first answer's first token.
CPU seconds are given beside wall seconds: on a machine that others use they say more.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import torch

from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.model.config import ModelConfig, mini, nano, small
from creuset.model.formats.weights import save_model
from creuset.model.transformer import Transformer
from creuset.types.generation import GenerationRequest, Sampling

SHAPES: dict[str, Callable[[], ModelConfig]] = {"nano": nano, "mini": mini, "small": small}
Tokens = list[list[int]]


def export(config: ModelConfig, folder: Path) -> None:
    """A random model of this shape as a Hugging Face folder, with a tokenizer that has all its ids."""
    from creuset.text.tokenizer import train

    model = Transformer(config)
    model.init_weights(torch.Generator().manual_seed(0))
    save_model(model, folder, dtype="fp32")
    train(["The cat sat on the mat. Le chat est sur la table."], vocab_size=config.vocab_size).save(folder)


def prompts(config: ModelConfig, streams: int, length: int) -> Tokens:
    generator = torch.Generator().manual_seed(length)
    return torch.randint(0, config.vocab_size, (streams, length), generator=generator).tolist()


def ours(engine: Engine, asked: Tokens, tokens: int) -> Tokens:
    for i, prompt in enumerate(asked):
        engine.add(
            GenerationRequest(
                id=str(i), prompt=prompt, sampling=Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True)
            )
        )
    said: dict[str, list[int]] = {str(i): [] for i in range(len(asked))}
    while engine.busy:
        for event in engine.step():
            assert event.error is None, event.error
            said[event.id] += event.tokens
    return list(said.values())


def theirs(model: Any, asked: Tokens, tokens: int) -> Tokens:
    ids = torch.tensor(asked)
    with torch.inference_mode():
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens,
            pad_token_id=0,
        )  # fmt: skip
    found: Tokens = out[:, ids.shape[1] :].tolist()
    return found


def timed(call: Callable[[], Tokens]) -> tuple[float, float, Tokens]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def first_token_s(folder: Path, threads: int) -> tuple[float, float]:
    """Wall and CPU seconds of a new process that answers with one token by `creuset chat`."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", "from creuset.cli import entry; entry()", "chat", "--model", str(folder),
         "--max-tokens", "1", "--json"],
        input=b"What is a river?\n", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )  # fmt: skip
    assert json.loads(done.stdout)["completion_tokens"] == 1
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="mini")
    parser.add_argument("--tokens", type=int, default=64, help="of each answer")
    args: argparse.Namespace = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    import transformers

    transformers.logging.set_verbosity_error()
    config = SHAPES[args.shape]()
    loads = {
        "one stream": (prompts(config, 1, 16), args.tokens),
        "eight streams": (prompts(config, 8, 16), args.tokens),
        "prompt of 512": (prompts(config, 1, 512), 1),
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        export(config, folder)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        engine = Engine.load(folder, settings=EngineSettings(dtype="fp32", prefix_cache=False, threads=args.threads))
        times: dict[str, dict[str, list[tuple[float, float]]]] = {name: {"ours": [], "theirs": []} for name in loads}
        same = dict.fromkeys(loads, True)
        load_before = os.getloadavg()[0]
        for turn in range(args.repeat + 1):
            for name, (asked, tokens) in loads.items():
                *spent_ours, said_ours = timed(lambda a=asked, n=tokens: ours(engine, a, n))
                *spent_theirs, said_theirs = timed(lambda a=asked, n=tokens: theirs(model, a, n))
                same[name] = same[name] and said_ours == said_theirs
                if turn:  # the first warms up
                    times[name]["ours"].append((spent_ours[0], spent_ours[1]))
                    times[name]["theirs"].append((spent_theirs[0], spent_theirs[1]))
        starts = [first_token_s(folder, args.threads) for _ in range(max(1, args.repeat // 2))]

    figures: dict[str, Any] = {"load_before": load_before, "load_after": os.getloadavg()[0], "loads": {}}
    rows = []
    for name, (asked, tokens) in loads.items():
        count = len(asked) * tokens if tokens > 1 else len(asked[0])
        figures["loads"][name] = one = {"same_tokens": same[name], "tokens": count}
        for who, spent in times[name].items():
            one[who] = {
                "wall": {k: round(v, 4) for k, v in common.spread([w for w, _ in spent]).items()},
                "cpu_s": round(statistics.median(c for _, c in spent), 4),
                "tokens_s": round(count / statistics.median(w for w, _ in spent), 1),
            }
        one["ratio"] = round(
            statistics.median(t[0] / o[0] for o, t in zip(times[name]["ours"], times[name]["theirs"], strict=True)), 2
        )
        one["cpu_ratio"] = round(one["theirs"]["cpu_s"] / one["ours"]["cpu_s"], 2)
        rows.append((
            name, one["ours"]["tokens_s"], one["theirs"]["tokens_s"], one["ratio"], one["cpu_ratio"],
            f"{one['ours']['wall']['best_s']:.3f}-{one['ours']['wall']['worst_s']:.3f}",
            f"{one['theirs']['wall']['best_s']:.3f}-{one['theirs']['wall']['worst_s']:.3f}", same[name],
        ))  # fmt: skip
    walls, cpus = zip(*starts, strict=True)
    figures["first_token_s"] = common.spread(walls) | {"cpu_s": round(min(cpus), 2)}
    figures["table"] = [
        [f"engine, {args.shape} shape, {name}", f"{r['ours']['tokens_s']:,.0f} tokens/s, {r['ratio']} x transformers"]
        for name, r in figures["loads"].items()
    ] + [[f"first token after the start of `creuset chat`, {args.shape} shape", f"{min(walls):.1f} s"]]
    print(f"{args.shape}, {args.threads} threads; load average {load_before:.1f}, then {figures['load_after']:.1f}")
    print(common.table(("", "ours tok/s", "theirs", "ratio", "CPU ratio", "ours s", "theirs s", "same tokens"), rows))
    print(f"first token of a new process: {min(walls):.2f} to {max(walls):.2f} s, {min(cpus):.2f} s of CPU at least")
    common.keep("engine", args, figures)


if __name__ == "__main__":
    main()
