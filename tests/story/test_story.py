"""The whole path, tiny and real: documents -> tokenizer -> 2-layer MoE -> SFT -> engine -> HTTP -> reply -> verify.

Each stage is the command that a person would type; nothing is shared between them but folders.
"""

import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from creuset.cli import main
from creuset.core.artifact import ancestors, read_manifest
from creuset.testing import tiny_config
from creuset.train.settings import Finetune, Optim, Pretrain

ANIMALS = ["dog", "cat", "horse", "bird", "fish", "goat", "mouse", "bear"]
PLACES = ["garden", "river", "forest", "village", "market", "school", "hill", "kitchen"]


def pretrain() -> Pretrain:
    return Pretrain(
        name="story", model=tiny_config(vocab_size=600), steps=12, tokens_per_step=512, tokens_per_microbatch=512,
        context=128, precision="fp32", evaluate_every=0, save_every=6, optim=Optim(warmup_steps=2),
    )  # fmt: skip


def sft() -> Finetune:
    return Finetune(
        name="story-sft", steps=8, tokens_per_step=512, tokens_per_microbatch=512, context=128, precision="fp32",
        quantize="q8", evaluate_every=0, save_every=4, optim=Optim(warmup_steps=2),
    )  # fmt: skip


def documents(count: int) -> Iterator[str]:
    """Plain English, each different, long enough for the quality filters; one carries an address to be masked."""
    dice = random.Random(7)
    for n in range(count):
        animal, other = dice.sample(ANIMALS, 2)
        first, second = dice.sample(PLACES, 2)
        yield (
            f"The {animal} of story {n} lived in the {first}, and it was happy there with the old {other}. Every "
            f"morning the two of them went to the {second} to look for something good to eat. One day the {other} "
            f"was ill, so the {animal} had to go alone, and on the way it met {dice.randint(2, 90)} children who were "
            f"lost. It showed them the road to the {first} and they thanked the {animal} with bread. When the "
            f"{other} heard of this it was proud, and that night they all ate together and talked until the moon was "
            f"high. Nobody in the {second} ever forgot the day that number {n} on the list of good deeds was done."
            + (" You can write to ada@example.org about it." if n == 3 else "")
        )


def talks() -> list[dict[str, Any]]:
    """A question and an answer about each animal."""
    pairs = [(f"Where does the {a} live?", f"The {a} lives in the garden.") for a in ANIMALS]
    return [{"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]} for q, a in pairs]


def test_documents_become_a_chat_that_can_be_walked_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = "tests.story.test_story"
    (tmp_path / "tales.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in documents(40)) + "{broken\n")
    (tmp_path / "talks.jsonl").write_text("".join(json.dumps(t) + "\n" for t in talks() * 4))
    at = {n: str(tmp_path / n) for n in ("corpus", "tokenizer", "shards", "pre", "sft", "shipped")}
    stages = [
        ["corpus", "build", str(tmp_path / "tales.jsonl"), "--licence", "tales=CC0-1.0", "--out", at["corpus"],
         "--set", "heldout.share=0.1"],
        ["tokenizer", "train", "--corpus", at["corpus"], "--vocab-size", "600", "--out", at["tokenizer"]],
        ["corpus", "tokenize", at["corpus"], "--tokenizer", at["tokenizer"], "--out", at["shards"]],
        ["train", f"{run}:pretrain", "--shards", at["shards"], "--out", at["pre"]],
        ["tune", "sft", f"{run}:sft", "--model", f"{at['pre']}/model", "--dialogues", str(tmp_path / "talks.jsonl"),
         "--out", at["sft"]],
        ["tune", "ship", f"{at['sft']}/model", "--out", at["shipped"]],
        ["verify", at["shipped"]],
    ]  # fmt: skip
    for stage in stages:
        assert main(stage) == 0, f"`creuset {' '.join(stage)}` failed: {capsys.readouterr().err}"

    report = json.loads((tmp_path / "corpus/report.json").read_text())
    text = json.dumps(report)
    assert "tales.jsonl:41" in text, "the broken line is not named"
    kinds = [m["kind"] for m in ancestors(tmp_path / "shipped")]
    assert kinds[0] == "model" and {"shards", "corpus", "tokenizer"} <= set(kinds)
    assert "CC0-1.0" in json.dumps(ancestors(tmp_path / "shipped")), "the licence is not in the chain"

    whole, streamed = asked(tmp_path / "shipped")
    assert whole["choices"][0]["finish_reason"] in ("stop", "length")
    assert whole["choices"][0]["message"]["content"] == streamed, "streamed and whole replies differ"
    assert whole["usage"]["completion_tokens"] > 0

    weights = tmp_path / "shipped/model.q.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    assert main(["verify", at["shipped"]]) == 1
    assert "model.q.safetensors has sha256" in capsys.readouterr().out
    assert read_manifest(tmp_path / "shipped")["kind"] == "model"


def asked(model: Path) -> tuple[dict[str, object], str]:
    """One question to a real server in its own process, whole and streamed, greedily."""
    server = subprocess.Popen(
        [sys.executable, "-m", "creuset", "serve", "--model", str(model), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, f"the server did not say where it is: {line!r}"
        with httpx.Client(base_url=found[0], timeout=60) as client:
            for _ in range(600):
                if client.get("/health").status_code == 200:
                    break
                time.sleep(0.1)
            name = client.get("/v1/models").json()["data"][0]["id"]
            body = {"model": name, "messages": [{"role": "user", "content": "Where does the dog live?"}],
                    "max_tokens": 24, "temperature": 0}  # fmt: skip
            whole = client.post("/v1/chat/completions", json=body).json()
            lines = client.post("/v1/chat/completions", json=body | {"stream": True}).text.split("\n\n")
        chunks = [json.loads(part.removeprefix("data: ")) for part in lines if part.startswith("data: {")]
        pieces = [c["delta"].get("content") or "" for chunk in chunks for c in chunk["choices"]]
        return whole, "".join(pieces)
    finally:
        server.terminate()
        server.wait(10)
        if server.stdout:
            server.stdout.close()
