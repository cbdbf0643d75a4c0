"""Do two versions of the package give equal results? Runs a kept set of commands in both and compares what they leave.

    python validation/same_results.py OLD NEW [--only serve eval] [--out FOLDER]

OLD and NEW are checkouts of this repository. Every command runs as `python -m creuset ...` in a process of its own with
PYTHONPATH set to the checkout, in fp32, with one thread and fixed seeds. What may change from run to run (times, paths,
hashes of records, host, versions) is taken out; the rest must be equal, numbers to the last bit. `ALLOWED` and
`REWORDED` name the intended differences, with the reason. Exit code 1 where others are. The last line is JSON.
"""

import argparse
import fnmatch
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from same_material import write_benchmarks, write_dialogues, write_documents
from same_serve import replies

# (pattern of CASE/PATH, reason): differences that are intended.
ALLOWED: list[tuple[str, str]] = [
    ("*/sentences/*", "sentences of records have keys, which stand beside their English"),
    ("train/*/optim/muon_precision", "a new setting; the precision of Muon was chosen by timing, unsaid"),
    *((f"train/*/settings/{name}", "a new setting, filled in with what was chosen")
      for name in ("device", "threads", "expert_kernel", "max_bad_total", "max_rise")),
    *((f"train/???/settings/{name}*", "a run keeps its identity, where its inputs are, what was chosen")
      for name in ("id", "stage", "arguments", "choices")),
    ("train/*/record/*choices/*", "what the machine chose is in the record"),
    *((f"serve/{part}*", "what the machine chose is shown") for part in ("model card/body/choices", "health/body/eng")),
    ("train/sft/settings/inputs/shards", "text that fine-tuning reads is one of its inputs"),
    ("train/sft/record/inputs/talks.jsonl", "a file of dialogues is in the record, as an artifact of them was"),
]
# (words of the old version, words of the new one, reason): sentences that are intended to differ, wherever they stand.
REWORDED: list[tuple[str, str, str]] = [
    ("audit/data/names.toml", "names.toml", "the file moved: its name alone is said"),
]

# Fields that change from run to run, or that tell of the machine, the code or the clock.
CHANGING = {
    "t", "date", "started", "finished", "created", "seconds", "core_seconds", "mb_s", "mb_s_per_core", "tokens_per_s",
    "mfu", "seconds_left", "first_token_s", "wall_s", "cpu_s", "joules", "commit", "versions", "version", "code",
    "hardware", "speed", "bytes_per_s", "load_ms", "obfuscation", "attempts", "time", "energy", "memory_bound_bytes",
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
TRAIN = {
    "precision": "fp32", "steps": "6", "tokens_per_step": "1024", "tokens_per_microbatch": "512", "context": "128",
    "save_every": "3",
}  # fmt: skip


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


def corpus(side: Side) -> dict[str, Any]:
    write_documents(side.folder / "texts")
    write_benchmarks(side.folder / "bench")
    licences = [word for name in ("texts", "tales", "french", "pages") for word in ("--licence", f"{name}=CC0-1.0")]
    said = side.creuset("corpus", "build", "texts", *licences, "--out", "corpus", "--benchmarks", "bench",
                        "--set", "heldout.share=0.1", "--json")  # fmt: skip
    side.creuset("tokenizer", "train", "--corpus", "corpus", "--vocab-size", "600", "--out", "tokenizer")
    side.creuset("corpus", "tokenize", "corpus", "--tokenizer", "tokenizer", "--out", "shards", "--workers", "1")
    encode = ["tokenizer", "encode", "--tokenizer", "tokenizer", "--json", "Où est le chien ? The river <|im_end|> 12"]
    documents = {
        f.relative_to(side.folder).as_posix(): side.read(str(f))
        for part in ("docs", "heldout", "dropped") for f in sorted((side.folder / "corpus" / part).iterdir())
    }  # fmt: skip
    return {
        "said": side.clean(json.loads(said)), "report": side.read("corpus/report.json"), "documents": documents,
        "ledger": side.read("corpus/ledger.json"), "manifest": side.read("corpus/manifest.json"),
        "files": side.files("corpus"), "tokenizer": side.digest("tokenizer/tokenizer*.json"),
        "shards": side.digest("shards/[ht]*/*"), "table": side.read("shards/shards.json"),
        "encoded": side.json(*encode), "special": side.json(*encode[:2], "--special", "--pieces", *encode[2:]),
    }  # fmt: skip


def train(side: Side) -> dict[str, Any]:
    write_dialogues(side.folder / "talks.jsonl")
    settings = [word for key, value in TRAIN.items() for word in ("--set", f"{key}={value}")]
    if side.name == "new":  # versions before 0.2 had one way to compute experts, and chose nothing else
        settings += ["--set", "expert_kernel=exact"]
    side.creuset("train", "nano", "--shards", "shards", "--out", "pre", *settings, "--set", "model.vocab_size=600",
                 "--set", "evaluate_every=3", "--set", "evaluate_tokens=1024")  # fmt: skip
    side.creuset("tune", "sft", "nano:sft", "--model", "pre/model", "--dialogues", "talks.jsonl", "--shards", "shards",
                 "--out", "sft", *settings, "--set", "prose=0.25")  # fmt: skip
    side.creuset("tune", "ship", "sft/model", "--out", "shipped", "--bits", "q4", "--sampling", "temperature=0.5")
    side.creuset("tune", "ship", "sft/model", "--out", "shipped8")
    side.creuset("export", "shipped", "exported", "--dtype", "fp32")
    side.creuset("verify", "shipped")
    found: dict[str, Any] = {}
    for run in ("pre", "sft"):
        found[run] = {
            "events": side.read(f"{run}/events.jsonl"), "settings": side.read(f"{run}/settings.json"),
            "weights": side.digest(f"{run}/model/*.safetensors"), "record": side.read(f"{run}/model/record.json"),
            "manifest": side.read(f"{run}/model/manifest.json"), "files": side.files(f"{run}/model"),
            "optimizer": side.digest(f"{run}/checkpoints/*/*.safetensors"),
        }  # fmt: skip
    for name in ("shipped", "shipped8", "exported"):
        found[name] = {
            "weights": side.digest(f"{name}/*.safetensors"), "config": side.read(f"{name}/config.json"),
            "sampling": side.read(f"{name}/generation_config.json"), "files": side.files(name),
        }  # fmt: skip
    return found


def chat(side: Side) -> dict[str, Any]:
    words = ("chat", "--model", side.model(), "--seed", "5", "--max-tokens", "24", "--threads", "1", "--dtype", "fp32")
    turns = "What is a river?\nEt la mer ?\n"
    said = side.creuset(*words, "--json", stdin=turns).splitlines()
    return {"turns": [side.clean(json.loads(line)) for line in said], "text": side.says(*words, stdin=turns)}


def serve(side: Side) -> dict[str, Any]:
    mark = {"key": "07" * 32, "gamma": 0.25, "delta": 2.0, "width": 1, "greedy": False}
    (side.folder / "watermark.json").write_text(json.dumps(mark))
    words = ["serve", "--model", side.model(), "--port", "0", "--dtype", "fp32", "--threads", "1", "--json",
             "--watermark", "watermark.json", "--max-concurrency", "4", "--kv-tokens", "8192"]  # fmt: skip
    with (side.folder / "serve.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "creuset", *words], cwd=side.folder, env=side.env(), stdout=subprocess.PIPE,
            stderr=log, text=True,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                raise Failed(f"{side.name}: the server did not start: {(side.folder / 'serve.log').read_text()}")
            said = json.loads(line)
            url = said.pop("url")
            found = replies(url, side.clean, wait=60)
        finally:
            server.terminate()
            server.wait(20)
    said.pop("api")
    return found | {"said": said, "settings": side.json("serve", "--dry-run", "--model", side.model())}


def evaluation(side: Side) -> dict[str, Any]:
    write_benchmarks(side.folder / "bench")
    found: dict[str, Any] = {"tasks": side.json("eval", "--list", "--json")}
    held = [json.dumps({"text": f"The sea is salt water {n}."}) for n in range(4)]
    (side.folder / "held.jsonl").write_text("\n".join(held) + "\n")
    asked = {"scored": ["--task", "arc_easy,boolq,gsm8k"], "bpb": ["--data", "held.jsonl", "--context", "64"]}
    asked |= {form: ["--task", "arc_easy,gsm8k", "--form", form] for form in ("generate", "chat")}
    asked |= {"ifeval": ["--task", "ifeval_fr"]}
    for name, words in asked.items():
        bench = [] if name in ("bpb", "ifeval") else ["--bench", "bench"]
        fixed = ["--limit", "3", "--dtype", "fp32", "--out", name, "--json"]
        said = side.json("eval", side.model(), *words, *bench, *fixed)
        found[name] = {
            "said": said, "results": side.read(f"{name}/results.json"), "files": side.files(name),
            "samples": {f.name: side.read(str(f)) for f in sorted((side.folder / name).glob("*.jsonl"))},
            "csv": side.text((side.folder / name / "report.csv").read_text()).splitlines(),
        }  # fmt: skip
    return found


def audit(side: Side) -> dict[str, Any]:
    items = "prompt_leak,disclosure,abstention,counterfactual_en,counterfactual_fr,tool_injection,calibration_arc_easy"
    write_benchmarks(side.folder / "bench")
    words = ["--items", items, "--bench", "bench", "--limit", "3", "--out", "audited", "--json"]
    said = side.json("audit", side.model(), *words)
    samples = sorted((side.folder / "audited/samples").iterdir())
    return {
        "said": said, "results": side.read("audited/results.json"), "items": side.read("audited/items.json"),
        "samples": {f.name: side.read(str(f)) for f in samples}, "files": side.files("audited"),
        "list": side.says("audit", "--list"),
    }  # fmt: skip


def dossier(side: Side) -> dict[str, Any]:
    side.creuset("dossier", "template", "--out", "operator.toml")
    template = (side.folder / "operator.toml").read_text().splitlines()
    words = ["--evaluation", "scored", "--audit", "audited", "--out", "dossier", "--json"]
    said = side.json("dossier", side.model(), *words)
    side.creuset("dossier", "shipped8", "--data", "corpus", "--lang", "en", "--out", "trained",
                 "--forms", "annex-xi,data-card,training-summary,model-card")  # fmt: skip
    pages = {f.relative_to(side.folder).as_posix(): side.text(f.read_text()) for f in side.folder.glob("*/??/*.md")}
    # Time and energy of a run of seconds: very small numbers, other ones each time.
    pages = {n: re.sub(r"0\.0\d|[\d.]+ × 10⁻\S+", "<small>", t) if "trained" in n else t for n, t in pages.items()}
    return {
        "said": said, "template": template, "figures": side.read("dossier/figures.json"),
        "files": side.files("dossier"),
        "pages": {name: text.splitlines() for name, text in sorted(pages.items())},
        "bom": side.read("dossier/bom.cdx.json"), "croissant": side.read("dossier/croissant.json"),
        "verified": side.says("verify", "dossier"),
    }  # fmt: skip


def compare(side: Side) -> dict[str, Any]:
    (side.folder / "systems.toml").write_text(
        'title = "Two"\n[volume]\nrequests = 1000\ninput_tokens = 800\noutput_tokens = 250\ncached_share = 0.3\n'
        '[[system]]\nname = "ours"\nevaluations = ["scored"]\naudits = ["audited"]\n[[system]]\nname = "other"\n'
    )
    said = side.json("compare", "run", "systems.toml", "--no-measure", "--out", "card", "--json")
    return {
        "said": said, "scorecard": side.read("card/scorecard.json"), "files": side.files("card"),
        "csv": side.text((side.folder / "card/scorecard.csv").read_text()).splitlines(),
        "published": side.says("compare", "published"),
    }  # fmt: skip


def plan(side: Side) -> dict[str, Any]:
    shapes = ("nano", "mini", "small", "plus", "max")
    return {"json": {s: side.json("plan", s, "--json") for s in shapes}, "text": side.says("plan", "max")}


def export(side: Side) -> dict[str, Any]:
    found = {}
    for dtype in ("bf16", "fp32"):
        side.creuset("export", side.model(), f"out-{dtype}", "--dtype", dtype)
        found[dtype] = {
            "weights": side.digest(f"out-{dtype}/*.safetensors"), "config": side.read(f"out-{dtype}/config.json"),
            "files": side.files(f"out-{dtype}"), "tokenizer": side.digest(f"out-{dtype}/tokenizer*.json"),
        }  # fmt: skip
    return found


def verify(side: Side) -> dict[str, Any]:
    (side.folder / "damaged").mkdir()
    return {
        "whole": side.says("verify", side.model()), "json": side.json("verify", side.model(), "--json"),
        "refused": side.says("verify", "damaged", fails=3),
    }  # fmt: skip


CASES: dict[str, Callable[[Side], dict[str, Any]]] = {
    "plan": plan, "verify": verify, "export": export, "corpus": corpus, "train": train, "chat": chat, "serve": serve,
    "eval": evaluation, "audit": audit, "dossier": dossier, "compare": compare,
}  # fmt: skip
NEEDS = {"train": ["corpus"], "dossier": ["corpus", "train", "eval", "audit"], "compare": ["eval", "audit"]}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of everything that is no container; an empty container is a value."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}/{key}")
    elif isinstance(value, list) and value:
        for at, inner in enumerate(value):
            yield from leaves(inner, f"{path}/{at}")
    else:
        yield path, value


def differences(case: str, old: dict[str, Any], new: dict[str, Any]) -> tuple[int, list[tuple[str, Any, Any]]]:
    """How many values were compared, and (path, old, new) where they are not equal."""
    nothing = "(nothing)"
    before, after = dict(leaves(old, case)), dict(leaves(new, case))
    found = [
        (path, before.get(path, nothing), after.get(path, nothing))
        for path in before | after
        # repr tells 1 from 1.0 and 0.0 from -0.0, and finds nan equal to nan.
        if repr(before.get(path, nothing)) != repr(after.get(path, nothing))
    ]
    return len(before), found


def check(side: Side) -> None:
    probe = "import creuset, sys; print(creuset.__file__)"
    ran = subprocess.run([sys.executable, "-c", probe], cwd=side.folder, env=side.env(), capture_output=True, text=True)
    if not ran.stdout.startswith(str(side.tree)):
        raise SystemExit(f"{side.tree} is not what `import creuset` finds: {ran.stdout or ran.stderr}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, metavar="OLD")
    parser.add_argument("new", type=Path, metavar="NEW")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--out", type=Path, help="a folder to keep what the commands left, and all differences")
    parser.add_argument("--show", type=int, default=12, help="differences printed of each case (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = (args.out or Path(scratch)).resolve()
        sides = [Side(n, t.resolve(), root / n) for n, t in (("old", args.old), ("new", args.new))]
        for side in sides:
            side.folder.mkdir(parents=True)
            check(side)
        wanted = {need for name in args.only for need in (*NEEDS.get(name, []), name)}
        rows: dict[str, dict[str, Any]] = {}
        print(f"{'case':10} {'values':>8} {'differ':>8} {'allowed':>8} {'seconds':>8}")
        for name in (case for case in CASES if case in wanted):
            begun = time.monotonic()
            try:
                count, found = differences(name, *(CASES[name](side) for side in sides))
            except Failed as failed:
                count, found = 0, [(f"{name}/failed", "", failed)]
            intended = [d for d in found if any(fnmatch.fnmatchcase(d[0], pattern) for pattern, _ in ALLOWED)]
            wrong = [d for d in found if d not in intended]
            rows[name] = {"values": count, "differ": len(wrong), "allowed": len(intended)}
            print(f"{name:10} {count:8} {len(wrong):8} {len(intended):8} {time.monotonic() - begun:8.1f}", flush=True)
            for path, before, after in wrong[: args.show]:
                print(f"    {path}\n      - {str(before)[:200]}\n      + {str(after)[:200]}")
            if args.out:
                (root / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False, default=str))
    equal = not any(row["differ"] for row in rows.values())
    reasons = [reason for *_, reason in (*ALLOWED, *REWORDED)]
    print(json.dumps({"equal": equal, "cases": rows, "intended": reasons}))
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
