"""GGUF by llama.cpp's own converter, told which pre-tokenizer ours is.

The converter recognises a BPE by the hash of what it makes of one test string, and refuses any
vocabulary it has not seen: a tokenizer trained here is unknown by construction. llama.cpp's way is
to add the hash to the converter's table (convert_hf_to_gguf_update.py). `convert` does that for one run,
in a process of its own and without touching the files: the hash of this folder's tokenizer is answered with
`qwen2`, and only after its pre-token pattern was found equal to Qwen2's.
"""

import json
import subprocess
import sys
from pathlib import Path

from creuset.core.errors import ArtifactError, ConfigError

SCRIPT = "convert_hf_to_gguf.py"
HINT = "git clone https://github.com/ggml-org/llama.cpp, and pass --llama-cpp llama.cpp"

# Qwen2's, Qwen2.5's and Qwen3's; llama.cpp calls it `qwen2`.
QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Older converters keep their classes in the script itself, newer ones in the package `conversion`.
_RUN = """
import runpy, sys
from pathlib import Path
root, script = sys.argv[1], sys.argv[1] + "/" + sys.argv[2]
sys.path[:0] = [root, root + "/gguf-py"]
from conversion.base import TextModel
known = TextModel.get_vocab_base_pre
def named(self, tokenizer):
    try:
        return known(self, tokenizer)
    except NotImplementedError:
        return "qwen2"
TextModel.get_vocab_base_pre = named
sys.argv = [script, *sys.argv[3:]]
runpy.run_path(script, run_name="__main__")
"""


def check_converter(folder: Path | None) -> Path:
    if folder is None:
        raise ConfigError("--gguf needs --llama-cpp, the folder of llama.cpp's sources", hint=HINT)
    for name in (SCRIPT, "conversion/base.py", "gguf-py/gguf/__init__.py"):
        if not (folder / name).is_file():
            raise ConfigError(f"`{folder}` has no {name}", hint=HINT)
    return folder


def check_pattern(folder: Path) -> None:
    """Refuse a tokenizer that does not cut text as Qwen2's does: llama.cpp would give it other ids."""
    spec = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    steps = (spec.get("pre_tokenizer") or {}).get("pretokenizers", [])
    patterns = [step["pattern"].get("Regex") for step in steps if step.get("type") == "Split"]
    if patterns != [QWEN_PATTERN]:
        raise ArtifactError(f"`{folder}/tokenizer.json`: its pre-token pattern is not Qwen2's: {patterns}")


def convert(folder: Path, file: Path, llama_cpp: Path, *, outtype: str) -> None:
    """Write the Hugging Face folder `folder` as the GGUF `file`; `outtype` is the converter's, such as f32 or bf16."""
    root = check_converter(llama_cpp).resolve()
    check_pattern(folder)
    arguments = [str(folder.resolve()), "--outfile", str(file.resolve()), "--outtype", outtype]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(root), SCRIPT, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode or not file.is_file():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ArtifactError(f"llama.cpp's converter refused `{folder}`: {last}")
