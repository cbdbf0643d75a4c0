"""One of the two checkouts that `same_results.py` compares: runs its commands, and reads what they leave.

What may change from run to run (times, paths, hashes of records, host, versions) is taken out here.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

# (words of the old version, words of the new one, reason): sentences that are intended to differ, wherever they stand.
REWORDED: list[tuple[str, str, str]] = [
    ("audit/data/names.toml", "names.toml", "the file moved: its name alone is said")
]

# Fields that change from run to run, or that tell of the machine, the code or the clock.
CHANGING = {
    "t", "date", "started", "finished", "created", "seconds", "core_seconds", "mb_s", "mb_s_per_core", "tokens_per_s",
    "mfu", "seconds_left", "first_token_s", "wall_s", "cpu_s", "joules", "commit", "versions", "version", "code",
    "hardware", "host", "speed", "bytes_per_s", "load_ms", "obfuscation", "attempts", "time", "energy",
    "memory_bound_bytes",
}  # fmt: skip
# Hashes of content that does not hold a time or a version: these are compared.
KEPT_HASHES = {"data_sha256", "prompt_sha256", "content_sha256"}
PATTERNS = [
    (re.compile(r"\b(chatcmpl|cmpl|call|req)[-_][0-9A-Za-z]{8,}"), r"<\1>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?)?"), "<time>"),
    (re.compile(r"(?<![\w.])(?=[0-9]*[a-f])[0-9a-f]{12,64}\b"), "<hash>"),
    (re.compile(r"urn:uuid:[0-9a-f-]{36}"), "<uuid>"),
    (re.compile(r"\bcreuset[ /@](\d+\.\d+\.\d+)"), "creuset <version>"),
    (re.compile(r"Made on .*? by creuset|Établi le .*? par creuset"), "Made on <time> by creuset"),
]


class Failed(Exception):
    """A command that should have worked did not."""


@dataclass(frozen=True, slots=True)
class Side:
    """One checkout and the folder its commands work in."""

    name: str
    tree: Path
    folder: Path

    def env(self) -> dict[str, str]:
        one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CREUSET", "PYTHON"))}
        fixed = {"PYTHONPATH": str(self.tree), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        # Without bf16 instructions nothing is chosen by timing: versions before 0.2 chose Muon's precision so.
        return kept | one | fixed | {"HF_HUB_OFFLINE": "1", "COLUMNS": "120", "ONEDNN_MAX_CPU_ISA": "AVX2"}

    def model(self) -> str:
        return str(self.tree / "creuset/models/mini")

    def creuset(self, *words: str, new: tuple[str, ...] | None = None, fails: int = 0, stdin: str = "") -> str:
        """stdout of `creuset WORDS`; `new` are the words of the newer version where they differ."""
        words = new if new is not None and self.name == "new" else words
        ran = subprocess.run(
            [sys.executable, "-m", "creuset", *words], cwd=self.folder, env=self.env(), input=stdin,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode != fails:
            raise Failed(f"{self.name}: `creuset {' '.join(words)}` left with {ran.returncode}: {ran.stderr[-2000:]}")
        return ran.stdout if not fails else ran.stderr

    def says(self, *words: str, new: tuple[str, ...] | None = None, fails: int = 0, stdin: str = "") -> list[str]:
        """The cleaned lines of what `creuset WORDS` prints; of stderr where it must fail."""
        return self.text(self.creuset(*words, new=new, fails=fails, stdin=stdin)).splitlines()

    def json(self, *words: str, new: tuple[str, ...] | None = None) -> Any:
        return self.clean(json.loads(self.creuset(*words, new=new)))

    def text(self, text: str) -> str:
        for path, shown in ((self.folder, "<work>"), (self.tree, "<tree>")):
            text = text.replace(str(path), shown)
        for pattern, shown in PATTERNS:
            text = pattern.sub(shown, text)
        for before, after, _ in REWORDED if self.name == "old" else []:
            text = text.replace(before, after)
        return text

    def clean(self, value: Any, key: str = "") -> Any:
        """`value` without what may differ between two runs."""
        if isinstance(value, dict):
            return {self.text(k): self.clean(v, k) for k, v in value.items() if k not in CHANGING}
        if isinstance(value, list):
            return [self.clean(inner, key) for inner in value]
        return self.text(value) if isinstance(value, str) and key not in KEPT_HASHES else value

    def read(self, name: str) -> Any:
        """A JSON or JSONL file (also .zst) of this side's folder, cleaned."""
        file = self.folder / name
        raw = file.read_bytes()
        if file.suffix == ".zst":
            raw = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read()
        if ".jsonl" in file.name:
            return [self.clean(json.loads(line)) for line in raw.splitlines()]
        return self.clean(json.loads(raw))

    def digest(self, pattern: str) -> dict[str, str]:
        """sha256 of the files that match, by name."""
        files = sorted(f for f in self.folder.glob(pattern) if f.is_file())
        assert files, f"{self.name} has no {pattern}"
        return {self.text(str(f)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    def files(self, name: str) -> list[str]:
        """Names of the files in a folder, but for the lineage, which is named by hashes of records."""
        root = self.folder / name
        found = [f.relative_to(root) for f in root.rglob("*") if f.is_file()]
        return sorted({self.text(f.as_posix()) for f in found if "lineage" not in f.parts})
