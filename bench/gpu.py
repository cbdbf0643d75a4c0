"""The torch backend on a GPU: what runs, whether it answers as the CPU does, and how fast. Ready for the day.

    python bench/gpu.py --device cuda --keep                # a 0.3B mixture of experts, bf16
    python bench/gpu.py --device cuda --model FOLDER --keep # a model of yours
    python bench/gpu.py --device cpu --tiny                 # a rehearsal: every step of the script, on a toy

This was never run on a GPU: until it was, docs call GPUs untried. In this order: the same tokens and log-probabilities
as on the CPU in fp32; tokens a second for 1, 8, 32 and 128 streams and for prompts; the memory's and the matrix units'
speed, and which share of them was reached. What did not run is told with its error, and what was not tried is listed.
"""

import argparse
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import torch

from creuset.core.device import matmul_rates, synchronize
from creuset.engine.engine import Engine
from creuset.engine.generate import generate
from creuset.engine.settings import EngineSettings
from creuset.model.config import ModelConfig
from creuset.model.count import forward_flops, matmul_weights
from creuset.types.generation import GenerationRequest, Sampling

NOT_TRIED = (
    "CUDA graphs: each step is launched operator by operator",
    "FlashInfer and Triton kernels: pages are read by torch's SDPA, experts are grouped products",
    "quantised weights: codes are made into bf16 when the model is loaded",
    "more than one GPU",
)
STREAMS, PROMPTS, TOKENS = (1, 8, 32, 128), (512, 2048), 64


def shape(tiny: bool) -> ModelConfig:
    if tiny:
        from creuset.testing import tiny_config

        return tiny_config()
    return ModelConfig(
        family="qwen3_moe", vocab_size=32_768, hidden=768, layers=16, heads=12, kv_heads=4, head_dim=64, context=4096,
        experts=32, experts_per_token=4, expert_ffn=512,
    )  # fmt: skip


def random_folder(config: ModelConfig, folder: Path) -> Path:
    from creuset.model.formats.weights import save_model
    from creuset.model.transformer import Transformer
    from creuset.text.tokenizer import train

    model = Transformer(config)
    model.init_weights(torch.Generator().manual_seed(0))
    save_model(model, folder, dtype="bf16")
    train(["The cat sat on the mat. Le chat est sur la table."], vocab_size=config.vocab_size).save(folder)
    return folder


def engine(folder: Path, device: str, dtype: str, streams: int, tokens: int) -> Engine:
    settings = EngineSettings(
        dtype=dtype, backend="torch", max_running=streams, max_batch_tokens=max(512, streams), prefix_cache=False,
        speculation="off", seed=1, kv_tokens=tokens,
    )  # type: ignore[arg-type]  # fmt: skip
    return Engine.load(folder, settings=settings, device=device)


def requests(config: ModelConfig, streams: int, length: int, tokens: int, seed: int) -> list[GenerationRequest]:
    draw = torch.Generator().manual_seed(seed)
    prompts = torch.randint(0, min(config.vocab_size, 256), (streams, length), generator=draw).tolist()
    sampling = Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True, return_ids=True, logprobs=0)
    return [GenerationRequest(id=str(i), prompt=prompt, sampling=sampling) for i, prompt in enumerate(prompts)]


def agreement(folder: Path, device: str) -> dict[str, Any]:
    """Greedy answers in fp32 on both devices: equal tokens, and the largest distance of ln p where they are equal."""
    found = []
    for place in ("cpu", device):
        one = engine(folder, place, "fp32", 4, 4096)
        found.append(generate(one, requests(one.config, 4, 12, 24, seed=1)))
        assert not any(answer.error for answer in found[-1]), [answer.error for answer in found[-1]]
    same = total = 0
    worst = 0.0
    for cpu, other in zip(*found, strict=True):
        total += len(cpu.tokens)
        for token, again, p, q in zip(cpu.tokens, other.tokens, cpu.logprobs, other.logprobs, strict=True):
            if token != again:
                break  # what follows has another history
            same, worst = same + 1, max(worst, abs(p.logprob - q.logprob))
    return {"tokens_equal": same, "of": total, "largest_distance_of_ln_p": worst}


def speed(folder: Path, device: str, args: argparse.Namespace) -> dict[str, Any]:
    place = torch.device(device)
    streams = [n for n in STREAMS if not args.tiny or n <= 8]
    prompts = [n for n in PROMPTS if not args.tiny] or [100]
    tokens = 16 if args.tiny else TOKENS
    one = engine(folder, device, "bf16" if place.type == "cuda" else "fp32", max(streams), max(streams) * 96 + 4096)
    rates: dict[str, list[float]] = {}
    for turn in range(args.repeat + 1):
        for n in streams:
            asked = requests(one.config, n, 16, tokens, seed=turn)
            begun = time.perf_counter()
            answers = generate(one, asked)
            synchronize(place)
            assert not any(answer.error for answer in answers), [answer.error for answer in answers]
            if turn:
                rates.setdefault(f"{n} streams", []).append(n * tokens / (time.perf_counter() - begun))
        for length in prompts:
            asked = requests(one.config, 1, length, 1, seed=100 + turn)
            begun = time.perf_counter()
            generate(one, asked)
            synchronize(place)
            if turn:
                rates.setdefault(f"prompt of {length}", []).append(length / (time.perf_counter() - begun))
    medians = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    config, peak = one.config, max(matmul_rates(place, torch.bfloat16 if place.type == "cuda" else torch.float32,
                                                size=256 if args.tiny else 2048, repeat=3))  # fmt: skip
    longest = prompts[-1]
    return {
        "tokens_s": medians,
        "choices": one.choices,
        "matmul_gflop_s": round(peak / 1e9, 1),
        "share_of_matmul": round(medians[f"prompt of {longest}"] * forward_flops(config, context=longest) / peak, 4),
        "read_gb_s_of_one_stream": round(
            medians[f"{streams[0]} streams"] * 2 * matmul_weights(config) / 1e9, 2
        ),
        "memory_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2) if place.type == "cuda" else None,
    }  # fmt: skip


def tried(name: str, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `call` found, or its error in one line: a part that does not run hides no other."""
    try:
        found = {"ran": True} | call()
    except Exception as error:
        traceback.print_exc()
        found = {"ran": False, "error": f"{type(error).__name__}: {error}".splitlines()[0]}
    print(f"{name}: {found}", flush=True)
    return found


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu for a rehearsal")
    parser.add_argument("--model", type=Path, help="a folder (default: random weights)")
    parser.add_argument("--tiny", action="store_true", help="a toy, in seconds")
    args = parser.parse_args()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("there is no GPU that torch can use; `--device cpu --tiny` rehearses")
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.model or random_folder(shape(args.tiny), Path(scratch) / "model")
        parts = {
            "the same answers as on the CPU": lambda: agreement(folder, args.device),
            "speed": lambda: speed(folder, args.device, args),
        }
        figures: dict[str, Any] = {name: tried(name, call) for name, call in parts.items()}
    figures["not tried"] = list(NOT_TRIED) + (["a GPU: this was a rehearsal"] if args.device == "cpu" else [])
    print("not tried: " + "; ".join(figures["not tried"]))
    args.model = str(args.model) if args.model else None
    common.keep("gpu", args, figures)


if __name__ == "__main__":
    main()
