"""What adapters cost in one batch: steps of requests that have none, one between them, or one each.

    python bench/adapters.py --threads 1 --keep

Random LoRA adapters of the shipped model (or of --model) are written as PEFT writes them. The same requests are
answered three times, in turns; figures are processor time of this one process a token, medians and spread of the turns.
`share` is what adapters add to the time of a token without any.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import common
import numpy as np

MODULES = {
    "query and value": ("self_attn.q_proj", "self_attn.v_proj"),  # PEFT's default for these families
    "attention and dense layers": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                                   "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
}  # fmt: skip


def write(folder: Path, shapes: dict[str, tuple[int, int]], rank: int, seed: int) -> str:
    from safetensors.numpy import save_file

    random, folder = np.random.default_rng(seed), folder / f"adapter-{seed}"
    folder.mkdir(parents=True)
    tensors = {}
    for module, (outs, ins) in shapes.items():
        for part, shape in (("A", (rank, ins)), ("B", (outs, rank))):
            tensors[f"base_model.model.{module}.lora_{part}.weight"] = (random.normal(size=shape) * 0.02).astype("f4")
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank, "lora_alpha": rank}))
    return str(folder)


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--model", default=None, help="a name or folder (default: the shipped model)")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    args = parser.parse_args()

    from creuset.engine.engine import Engine
    from creuset.engine.settings import EngineSettings
    from creuset.model.formats.weights import open_weights
    from creuset.model.hub import find_model
    from creuset.types.generation import GenerationRequest, Sampling

    path = find_model(args.model) if args.model else find_model()
    every = {one.name.removesuffix(".weight"): one.fp32().shape for one in open_weights(path).tensors()}
    rows, found = [], {}
    with tempfile.TemporaryDirectory() as place:
        for name, modules in MODULES.items():
            shapes = {module: shape for module, shape in every.items() if module.endswith(modules)}
            folders = tuple(write(Path(place) / modules[-1], shapes, args.rank, seed) for seed in range(args.streams))
            settings = EngineSettings(threads=args.threads, seed=1, kv_tokens=args.streams * 256, prefix_cache=False,
                                      adapters=folders, backend="native")  # fmt: skip
            engine = Engine.load(path, settings=settings)
            ways = {"none": [0] * args.streams, "one": [1] * args.streams, "one each": list(range(1, args.streams + 1))}
            times: dict[str, list[float]] = {way: [] for way in ways}
            for turn in range(args.repeat + 1):
                for way, numbers in ways.items():
                    for at, number in enumerate(numbers):
                        engine.add(GenerationRequest(
                            id=f"{turn}{way}{at}", prompt=[5, 6, 7, 8 + at], adapter=number,
                            sampling=Sampling(max_tokens=args.tokens, temperature=0.0, ignore_eos=True),
                        ))  # fmt: skip
                    begun = time.process_time()
                    while engine.busy:
                        engine.step()
                    if turn:
                        times[way].append((time.process_time() - begun) / args.tokens / args.streams * 1e3)
            plain = statistics.median(times["none"])
            for way, each in times.items():
                share = statistics.median(each) / plain - 1
                median, ends = statistics.median(each), f"{min(each):.3f}-{max(each):.3f}"
                rows.append((name, way, f"{median:.3f}", ends, f"{share:+.1%}"))
                found[f"{name}, {way}"] = {"median_ms": statistics.median(each), "share": share, "all_ms": each}
    print(common.table(("matrices", "adapters", "ms a token", "spread", "share"), rows))
    common.keep("adapters", args, found)


if __name__ == "__main__":
    main()
