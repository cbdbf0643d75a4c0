"""Why one likelihood differs between two right programs: how near the router of a mixture of experts came to a tie.

    python validation/routing_margin.py EXPORTED --bench BENCH --task truthfulqa_mc2 --id truthfulqa/41 --choice 4

EXPORTED is a folder that transformers loads (validation/parity.py leaves one below its --work). Prints ln p of the
choice by transformers in fp32 and fp64, and the smallest gap between the last expert chosen and the first one left
out, over tokens and layers. Where the gap is below the rounding of fp32 (6e-8 of a probability near 1), the order of
a sum chooses the expert, and ln p jumps.
"""

import argparse
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from creuset.benchmarks import catalogue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exported")
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--id", required=True)
    parser.add_argument("--choice", type=int, required=True, help="from 0")
    args = parser.parse_args()
    sample = next(s for s in catalogue.make(args.task).samples(args.bench) if s.id == args.id)
    pair = sample.pairs[args.choice]
    tokenizer = AutoTokenizer.from_pretrained(args.exported)
    before, ids = (tokenizer(text, add_special_tokens=False).input_ids
                   for text in (pair.context, pair.context + pair.continuation))  # fmt: skip
    print(f"{pair.continuation!r}, {len(ids) - len(before)} tokens behind {len(before)}")
    for dtype in (torch.float32, torch.float64):
        model = AutoModelForCausalLM.from_pretrained(args.exported, dtype=dtype, experts_implementation="eager").eval()
        with torch.no_grad():
            said = model(torch.tensor([ids]), output_router_logits=True)
        ln_p = said.logits[0].double().log_softmax(-1)
        total = sum(ln_p[at - 1, ids[at]].item() for at in range(len(before), len(ids)))
        k = model.config.num_experts_per_tok
        ranked = [layer.double().softmax(-1).sort(-1, descending=True).values for layer in said.router_logits]
        margin = min(float((p[:, k - 1] - p[:, k]).min()) for p in ranked)
        print(f"{dtype}: ln p {total:.6f}, smallest gap of two experts {margin:.1e}")


if __name__ == "__main__":
    main()
