"""What light weights cost a model: bytes, bits per byte, and how often it would choose another word.

    python bench/quantization.py mini SmolLM2-135M-Instruct.Q4_1.gguf --keep

Each way of `creuset quantize` is tried. The calibration text is the guides of this repository (docs/guides), the text
that is measured is docs/architecture.md, docs/tour.md and the text of `creuset quantize`: another one, so a cost is a
measurement and not a fit. Bits per byte and choices are computed by torch in fp32 on the weights as they are read back;
"in the core" are the bits per byte of the native core, which rounds activations to 8 bits. Prints a table for people;
the last line is JSON.
"""

import tempfile
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch

from creuset.cli import main as creuset
from creuset.cli.weights.quantize import TEXT
from creuset.engine.backend.native.runner import NativeRunner
from creuset.model.attention import Packed
from creuset.model.formats.weights import load_model, open_weights
from creuset.model.hub import find_model
from creuset.model.score import Reading
from creuset.model.windows import windows
from creuset.text.tokenizer import Tokenizer

TREE = Path(__file__).resolve().parent.parent
MEASURED = [TREE / "docs/architecture.md", TREE / "docs/tour.md", TEXT]
WAYS: dict[str, list[str]] = {
    "q8_0": ["--to", "q8_0"],
    "q4_0": ["--to", "q4_0"],
    "q4_0, searched": ["--to", "q4_0", "--search"],
    "q4_0, calibrated": ["--to", "q4_0", "--calibrate", "TEXT"],
    "q4_0, calibrated, a tenth kept": ["--to", "q4_0", "--calibrate", "TEXT", "--keep", "0.1"],
    "q4_0, calibrated, a quarter kept": ["--to", "q4_0", "--calibrate", "TEXT", "--keep", "0.25"],
    "q4_1": ["--to", "q4_1"],
    "q4_1, calibrated": ["--to", "q4_1", "--calibrate", "TEXT"],
    "q4_1, calibrated, a tenth kept": ["--to", "q4_1", "--calibrate", "TEXT", "--keep", "0.1"],
    "q4_k": ["--to", "q4_k"],
    "q4_k, calibrated": ["--to", "q4_k", "--calibrate", "TEXT"],
}


@torch.inference_mode()
def read(path: Path, ids: np.ndarray, context: int) -> tuple[np.ndarray, np.ndarray]:
    """ln p of each next token, and the token that the model would choose."""
    model = load_model(path)
    values, best = [], []
    for window in windows(len(ids) - 1, context=context):
        tokens = torch.from_numpy(ids[window.start : window.end + 1])
        count = len(tokens) - 1
        logits = model.logits(model(tokens[:-1], torch.arange(count), Packed([count])))
        values.append(logits.log_softmax(-1).gather(1, tokens[1:, None])[:, 0].double().numpy())
        best.append(logits.argmax(-1).numpy())
    return np.concatenate(values), np.concatenate(best)


def core(path: Path, ids: np.ndarray, context: int) -> float:
    """ln p of the text by the native core."""
    runner = NativeRunner(open_weights(path), threads=1)
    readings = [Reading(ids[window.start : window.end + 1]) for window in windows(len(ids) - 1, context=context)]
    return sum(float(values.sum()) for _, values, _ in runner.score(readings, tokens_per_batch=context))


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--ways", default="", help="some of them, with `;` between; empty: all")
    parser.add_argument("--tokens", type=int, default=6000, help="of the measured text, at most")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    text = "\n".join(file.read_text(encoding="utf-8") for file in MEASURED)
    figures: dict[str, Any] = {}
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        guides = Path(scratch) / "guides.txt"
        guides.write_text("\n".join(f.read_text(encoding="utf-8") for f in sorted((TREE / "docs/guides").glob("*.md"))))
        for name in args.models:
            path = find_model(name)
            tokenizer = Tokenizer.load(path)
            ids = np.array([tokenizer.start, *tokenizer.encode(text)][: args.tokens], dtype=np.int64)
            size = len(tokenizer.decode(ids[1:].tolist()).encode())
            before, chosen = read(path, ids, 512)
            base = -before.sum() / np.log(2) / size
            inside = -core(path, ids, 512) / np.log(2) / size
            before_it = {"bits_per_byte": round(base, 5), "in_core": round(inside, 5)}
            found = figures.setdefault(path.stem if path.is_file() else path.name, {"as it is": before_it})
            rows.append((Path(name).stem, "as it is", "", f"{base:.4f}", "", "", f"{inside:.4f}"))
            for way, words in WAYS.items():
                if args.ways and way not in args.ways.split(";"):
                    continue
                file = Path(scratch) / "light.gguf"
                file.unlink(missing_ok=True)
                words = [str(guides) if word == "TEXT" else word for word in words]
                assert creuset(["quantize", str(path), str(file), *words]) == 0
                after, now = read(file, ids, 512)
                bits = -after.sum() / np.log(2) / size
                inside = -core(file, ids, 512) / np.log(2) / size
                same = float((now == chosen).mean())
                more = 100 * (bits / base - 1)
                found[way] = {
                    "bytes": file.stat().st_size, "bits_per_byte": round(bits, 5), "other_choice": round(1 - same, 4),
                    "in_core": round(inside, 5),
                }  # fmt: skip
                other = f"{100 * (1 - same):.1f} %"
                size_told = f"{file.stat().st_size:,}"
                rows.append(("", way, size_told, f"{bits:.4f}", f"{more:+.2f} %", other, f"{inside:.4f}"))
    print(common.table(("model", "way", "bytes", "bits per byte", "cost", "another word", "in the core"), rows))
    common.keep("quantization", args, figures)


if __name__ == "__main__":
    main()
