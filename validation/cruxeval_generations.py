"""Our reading and scoring of CRUXEval on the generations that its authors published, beside their own scores.

    python validation/cruxeval_generations.py --bench BENCH --samples CRUXEVAL/samples/evaluation_results

BENCH has cruxeval/cruxeval.jsonl; the other folder is the authors' (facebookresearch/cruxeval), whose files end in
`_input.json` or `_output.json`. Every different generation is scored once. Printed for each file: the authors' pass@1,
the same by their rule from our verdicts, and ours, which leaves no generation out of the denominator; they leave out
those without a call of f (input), or that say the call again (output), unless none of a sample is right. Generations
on which we and they differ are counted, and five are shown.
"""

import argparse
import json
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--samples", type=Path, required=True)
    args = parser.parse_args()
    for path in sorted(args.samples.glob("*put.json")):
        mode = path.stem.rpartition("_")[2]
        print(json.dumps({"file": path.name, **compared(args.bench, path, mode)}, ensure_ascii=False), flush=True)


def compared(bench: Path, path: Path, mode: str) -> dict[str, object]:
    from creuset.benchmarks.catalogue import make
    from creuset.evals.model import Reply

    task = make("cruxeval_i" if mode == "input" else "cruxeval_o", fewshot=0)
    published = json.loads(path.read_text(encoding="utf-8"))
    rows = {
        json.loads(line)["id"]: json.loads(line)
        for line in (bench / "cruxeval/cruxeval.jsonl").read_text(encoding="utf-8").splitlines()
    }
    theirs, ours, same_rule, differ = [], [], [], []
    for sample in task.samples(bench):
        id = sample.id.removeprefix("cruxeval/")
        said, verdicts = published["raw_generations"][id], published["raw_scored_generations"][id]
        mine = {
            text: bool(task.score(sample, [Reply(text=f" {text}", finish="stop")])["correct"]) for text in set(said)
        }
        again = f"f({rows[id]['input']})"
        kept = [t for t in said if ("f(" in t if mode == "input" else again not in t)]
        right = [mine[t] for t in kept]
        same_rule.append(sum(right) / len(right) if any(right) else 0.0)
        ours.append(sum(mine[t] for t in said) / len(said))
        theirs.append(sum(verdicts) / len(verdicts))
        if len(kept) == len(verdicts):
            differ += [(id, t, theirs_of) for t, theirs_of in zip(kept, verdicts, strict=True) if mine[t] != theirs_of]
    n = len(theirs)
    return {
        "n": n,
        "published": round(published["pass_at_1"], 4),
        "recomputed": round(100 * sum(theirs) / n, 4),
        "our_verdicts_their_rule": round(100 * sum(same_rule) / n, 4),
        "ours": round(100 * sum(ours) / n, 4),
        "differ": len(differ),
        "different": differ[:5],
    }


if __name__ == "__main__":
    main()
