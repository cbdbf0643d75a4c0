"""llama.cpp's own converter, as the peer of our GGUF files: told which pre-tokenizer ours is.

The converter recognises a BPE by the hash of what it makes of one test string, and refuses any vocabulary it has not
seen: a tokenizer trained here is unknown by construction. It is run in a process of its own and none of its files is
touched: the hash is answered with `qwen2`. Its sources come from CREUSET_LLAMA_CPP (a checkout), or else from
llama-cpp-python's source distribution.
"""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.peers import download

SDIST = "llama-cpp-python==0.3.36"

_RUN = """
import runpy, sys
root = sys.argv[1]
sys.path[:0] = [root, root + "/gguf-py"]
from conversion.base import TextModel
known = TextModel.get_vocab_base_pre
def named(self, tokenizer):
    try:
        return known(self, tokenizer)
    except NotImplementedError:
        return "qwen2"
TextModel.get_vocab_base_pre = named
script = root + "/convert_hf_to_gguf.py"
sys.argv = [script, *sys.argv[2:]]
runpy.run_path(script, run_name="__main__")
"""


def sources(folder: Path) -> Path:
    """llama.cpp's converter and its gguf package; fetched into `folder` where no checkout is named, or skipped."""
    if given := os.environ.get("CREUSET_LLAMA_CPP"):
        return Path(given)
    download(["--no-binary", "llama-cpp-python", SDIST], into=folder)
    (archive,) = folder.glob("*.tar.gz")
    wanted = ("convert_hf_to_gguf.py", "conversion/", "gguf-py/gguf/")
    with tarfile.open(archive) as tar:
        members = [m for m in tar if m.name.partition("/vendor/llama.cpp/")[2].startswith(wanted)]
        tar.extractall(folder, members, filter="data")
    return next(folder.glob("*/vendor/llama.cpp"))


def convert(root: Path, folder: Path, file: Path, *, outtype: str = "f32") -> Path:
    """Write the Hugging Face folder `folder` as the GGUF `file`."""
    arguments = [str(folder.resolve()), "--outfile", str(file.resolve()), "--outtype", outtype]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(root), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and file.is_file(), done.stderr[-3000:]
    return file
