"""How much memory does the search for duplicates hold? Invented signatures of many documents, a bound, and the peak.

    python bench/dedup_memory.py [--documents 300000] [--memory-mb 32]

A tenth of the documents are copies of others. Counted is what numpy and Python hold (tracemalloc), without the pages of
mapped files, which the system may take back. The last line is one JSON document.
"""

import tempfile
import time
import tracemalloc
from pathlib import Path

import common
import numpy as np

from creuset.data.build.tasks import TaskFiles
from creuset.data.dedup.decide import NEAR, SAME, Decide
from creuset.data.ledger import LedgerRow
from creuset.data.read.sources import ReadTask
from creuset.data.settings import Corpus, Dedup


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--documents", type=int, default=300_000)
    parser.add_argument("--memory-mb", type=int, default=32)
    args = parser.parse_args()
    settings = Corpus(dedup=Dedup(memory_mb=args.memory_mb))
    width = settings.dedup.bands * settings.dedup.rows
    tasks = max(1, args.documents // 20_000)
    with tempfile.TemporaryDirectory() as name:
        files = TaskFiles(Path(name), tuple(f"task{i}" for i in range(tasks)))
        (files.work / "signatures").mkdir()
        random = np.random.default_rng(17)
        copied = random.integers(0, 1 << 32, (1000, width), dtype=np.uint32)
        for i in range(tasks):
            rows = args.documents // tasks
            signatures = random.integers(0, 1 << 32, (rows, width), dtype=np.uint32)
            facts = random.integers(0, 1 << 63, (rows, 4), dtype=np.uint64)
            facts[:, 2] = 3000
            signatures[::20] = copied[random.integers(0, 1000, len(signatures[::20]))]
            facts[10::20, :2] = 7
            np.save(files.signatures(i), signatures)
            np.save(files.facts(i), facts)
        step = Decide(settings, (ReadTask("a", ()),) * tasks, {"a": LedgerRow(name="a")}, files)
        tracemalloc.start()
        began = time.process_time()
        list(step.run())
        seconds, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
        verdicts = np.concatenate([np.load(files.verdicts(i))[0] for i in range(tasks)])
    row = {
        "documents": len(verdicts), "memory_mb": args.memory_mb, "peak_mb": round(peak / 1e6, 1),
        "same": int((verdicts == SAME).sum()), "near": int((verdicts == NEAR).sum()), "cpu_seconds": round(seconds, 1),
    }  # fmt: skip
    print(f"{row['documents']:,} documents, {args.memory_mb} MB allowed: {row['peak_mb']} MB held at most")
    common.keep("dedup_memory", args, row)


if __name__ == "__main__":
    main()
