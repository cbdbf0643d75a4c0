"""How long it takes to open a GGUF file with a large vocabulary: ours and the `gguf` library's reader, processor time.

python bench/gguf_header.py
"""

import itertools
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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


def seconds(open_file: Callable[[Path], object], file: Path) -> float:
    begun = time.process_time()
    open_file(file)
    return time.process_time() - begun


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = vocabulary(Path(folder) / "m.gguf")
        found = {"creuset": min(seconds(GgufFile, file) for _ in range(3)), "gguf library": seconds(GGUFReader, file)}
    for name, value in found.items():
        print(f"{name:<14} {value:8.2f} s")
    print(json.dumps({"tokens": TOKENS, "seconds": found}))


if __name__ == "__main__":
    main()
