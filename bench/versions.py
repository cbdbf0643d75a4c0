"""Two checkouts of the project side by side: tokens a second of the shipped model, one stream and eight, turn by turn.

    python bench/versions.py --old ../creuset-before --threads 1 --repeat 8 --keep

Each turn starts one process in each checkout, in an order that alternates, and writes greedy tokens in fp32.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import common

NEW = Path(__file__).parent.parent
TOKENS = 128
PROGRAM = """
import json, sys, time
from pathlib import Path
import creuset
from creuset.engine.engine import Engine
from creuset.engine.generate import generate
from creuset.engine.settings import EngineSettings
from creuset.types.generation import GenerationRequest, Sampling

tokens, threads = int(sys.argv[1]), int(sys.argv[2])
settings = EngineSettings(dtype="fp32", threads=threads, seed=1, prefix_cache=False)
engine = Engine.load(Path(creuset.__file__).parent / "models" / "mini", settings=settings)
sampling = Sampling(temperature=0.0, max_tokens=tokens, ignore_eos=True)

def rate(streams):
    asked = [GenerationRequest(id=str(i), prompt=list(range(5, 37)), sampling=sampling) for i in range(streams)]
    begun = time.perf_counter()
    generate(engine, asked)
    return tokens * streams / (time.perf_counter() - begun)

rate(1)
print(json.dumps({str(n): sorted(rate(n) for _ in range(3))[1] for n in (1, 8)}))
"""


def rates(checkout: Path, threads: int) -> dict[str, float]:
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-P", "-c", PROGRAM, str(TOKENS), str(threads)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--old", type=Path, required=True, help="the checkout to compare with")
    args = parser.parse_args()
    args.old = str(args.old)
    places = {"old": Path(args.old).resolve(), "new": NEW.resolve()}
    found: dict[str, dict[str, list[float]]] = {who: {"1": [], "8": []} for who in places}
    for turn in range(args.repeat):
        for who in (("old", "new"), ("new", "old"))[turn % 2]:
            for streams, rate in rates(places[who], args.threads).items():
                found[who][streams].append(rate)
    figures = {
        who: {
            n: {
                "median": round(statistics.median(values), 1),
                "least": round(min(values), 1),
                "most": round(max(values), 1),
            }
            for n, values in by.items()
        }
        for who, by in found.items()
    }
    rows = [(f"{who}, {n} stream{'s' * (n != '1')}", *(f"{v:.0f}" for v in sorted(found[who][n])))
            for n in ("1", "8") for who in places]  # fmt: skip
    print(common.table(["tokens/s", *map(str, range(1, args.repeat + 1))], rows))
    common.keep("versions", args, figures)


if __name__ == "__main__":
    main()
