"""How long it takes to open a GGUF file with a large vocabulary: our reader and the `gguf` library's.

python bench/gguf_header.py --keep
"""

import itertools
import random
import tempfile
from pathlib import Path

import common
import numpy as np
from gguf import GGUFReader, GGUFWriter

from creuset.core.gguf import GgufFile

TOKENS = 250_000


def vocabulary(file: Path) -> Path:
    chance = random.Random(0)
    tokens = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyzĠ", k=chance.randint(1, 12))) for _ in range(TOKENS)]
    writer = GGUFWriter(file, "llama")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * TOKENS)
    writer.add_token_merges([f"{a} {b}" for a, b in itertools.pairwise(tokens)])
    writer.add_tensor("x", np.zeros(4, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def main() -> None:
    args = common.arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = vocabulary(Path(folder) / "m.gguf")
        ours = common.spread(common.seconds(lambda: GgufFile(file), repeat=args.repeat))
        theirs = common.spread(common.seconds(lambda: GGUFReader(file), warmup=0, repeat=1))
    rows = [(name, f"{found['median_s']:.2f} s") for name, found in (("creuset", ours), ("gguf library", theirs))]
    print(common.table((f"a header of {TOKENS:,} tokens", "median"), rows))
    common.keep("gguf_header", args, {"tokens": TOKENS, "creuset": ours, "gguf": theirs})


if __name__ == "__main__":
    main()
