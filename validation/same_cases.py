"""The kept commands of `same_results.py`: each case runs some in one checkout and returns what must stay equal."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from same_material import write_benchmarks, write_dialogues, write_documents
from same_serve import replies
from same_side import Failed, Side

TRAIN = {
    "precision": "fp32", "steps": "6", "tokens_per_step": "1024", "tokens_per_microbatch": "512", "context": "128",
    "save_every": "3",
}  # fmt: skip


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
