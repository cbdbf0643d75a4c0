"""A scorecard of four local endpoints and five published systems, from nothing: `make compare-example`.

The four: the shipped model, a random one, and two small ones trained here in a minute on dialogues that this package
writes by rule. Each is served by `creuset serve` and timed by `creuset compare speed`; `creuset eval` scores it on
dialogues held out of the training of the two small ones (the shipped model learned from dialogues by the same rules),
`creuset audit` says the energy of an answer. Everything stays in one folder; two cores and a few minutes are enough.

    python runs/compare_example.py OUT
"""

import argparse
import contextlib
import datetime
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import zstandard

CREUSET = [sys.executable, "-m", "creuset"]
TREE = Path(__file__).resolve().parents[1]
SMALL = ("--set", "context=256", "--set", "tokens_per_step=2048", "--set", "tokens_per_microbatch=2048",
         "--set", "evaluate_every=0", "--set", "precision=fp32")  # fmt: skip
LOAD = {"requests": 12, "concurrency": 2, "max_tokens": 32, "prompt_words": 60}


def creuset(*words: object) -> None:
    print("creuset", *words, file=sys.stderr, flush=True)
    subprocess.run([*CREUSET, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def texts(work: Path) -> None:
    """Dialogues by rule as plain texts: what the small models are trained on, and what all are scored on."""
    creuset("tune", "data", "--out", work / "dialogues", "--size", "small", "--limit", "400")
    for name, folder in (("dialogues", work / "texts"), ("heldout", work / "held")):
        folder.mkdir()
        with zstandard.open(work / "dialogues" / f"{name}.jsonl.zst", "rt", encoding="utf-8") as stream:
            rows = [json.loads(line) for line in stream]
        said = ["\n".join(m["content"] for m in row["messages"]) for row in rows]
        said = said if name == "dialogues" else said[:60]
        (folder / "talks.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in said), encoding="utf-8")


def models(work: Path) -> dict[str, Path]:
    """Name and folder of the four."""
    creuset("corpus", "build", work / "texts", "--licence", "Apache-2.0", "--out", work / "corpus", "--set", "kind=any")
    creuset("tokenizer", "train", "--corpus", work / "corpus", "--vocab-size", "1200", "--out", work / "tokenizer")
    creuset("corpus", "tokenize", work / "corpus", "--tokenizer", work / "tokenizer", "--out", work / "shards")
    shape = ("--set", "model.vocab_size=1200", *SMALL)
    creuset("train", "nano", *shape, "--set", "steps=60", "--shards", work / "shards", "--out", work / "nano")
    creuset("tune", "sft", "nano:sft", *SMALL, "--set", "steps=40", "--model", work / "nano/model",
            "--dialogues", work / "dialogues", "--out", work / "nano-talk")
    random_model(work)
    return {"creuset mini": TREE / "creuset/models/mini", "nano, 60 steps": work / "nano/model",
            "nano, tuned": work / "nano-talk/model", "random": work / "random"}


def random_model(work: Path) -> None:
    """nano's shape as it is before the first step."""
    import torch

    from creuset.model.convert import config_of
    from creuset.model.transformer import Transformer
    from creuset.model.weights import save_model
    from creuset.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(work / "nano/model")
    model = Transformer(config_of(work / "nano/model"))
    model.init_weights(torch.Generator().manual_seed(0))
    (work / "random").mkdir()
    save_model(model, work / "random", dtype="fp32")
    tokenizer.save(work / "random")


@contextlib.contextmanager
def served(model: Path, name: str) -> Any:
    """The address of the model's API."""
    words = [*CREUSET, "serve", "--model", str(model), "--served-name", name, "--port", "0", "--threads", "1", "--json",
             "--log-level", "error"]  # fmt: skip
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["api"]
        ready(url.removesuffix("/v1") + "/health", server)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def ready(health: str, server: "subprocess.Popen[str]") -> None:
    """Wait until the model is loaded, a minute at most."""
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(health).status_code == 200:
                return
        assert server.poll() is None, f"the server ended with {server.returncode}"
        time.sleep(0.1)
    raise TimeoutError(f"{health} is not well after a minute")


def quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)     # a TOML basic string is a JSON string


def comparison(names: list[str], date: str) -> str:
    """The TOML file of the comparison."""
    lines = ['title = "Four local endpoints, and five systems as published"', "", "[volume]", "requests = 100_000",
             "input_tokens = 800", "output_tokens = 250"]
    facts = {"weights": "yes", "training_known": "yes", "own_hardware": "yes", "runs_offline": "yes",
             "fine_tuning": "yes", "pinned": "yes", "exit": "yes", "api_portable": "yes"}
    for at, name in enumerate(names):
        lines += ["", "[[system]]", f"name = {quote(name)}", 'provider = "this machine"',
                  f'evaluations = ["eval-{at}"]', f'audits = ["audit-{at}"]', f'speed = "speed-{at}"']
        said = {**facts, "licence": "Apache-2.0", "runs_where": "anywhere, on two processor cores"}
        for key, value in said.items():
            french = ', fr = "partout, sur deux cœurs"' if key == "runs_where" else ""
            lines.append(f"declared.{key} = {{ value = {quote(value)}, source = \"README.md and LICENSE of this "
                         f'project", date = "{date}"{french} }}')
    for name in ("Qwen2.5-Max", "GPT-4o", "Claude 3.5 Sonnet", "DeepSeek V3", "Llama-3.1-405B"):
        lines += ["", "[[system]]", f"name = {quote(name)}", f"reported = {quote(name)}"]
    return "\n".join(lines) + "\n"


def main(out: Path) -> None:
    begun = time.monotonic()
    work = out.with_name(out.name + "-work")
    work.mkdir(parents=True)
    texts(work)
    found = models(work)
    for at, model in enumerate(found.values()):
        creuset("eval", model, "--task", "bpb", "--data", work / "held/talks.jsonl", "--out", work / f"eval-{at}")
        creuset("audit", model, "--items", "energy", "--out", work / f"audit-{at}")
        with served(model, f"system-{at}") as url:
            load = [w for key, value in LOAD.items() for w in (f"--{key.replace('_', '-')}", value)]
            creuset("compare", "speed", url, "--model", f"system-{at}", *load, "--out", work / f"speed-{at}")
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    (work / "comparison.toml").write_text(comparison(list(found), today), encoding="utf-8")
    creuset("compare", "run", work / "comparison.toml", "--out", out)
    print(f"{out / 'index.html'} ({time.monotonic() - begun:.0f} s)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the scorecard; a folder OUT-work is made beside it")
    main(parser.parse_args().out)
