"""A scorecard of four local endpoints and five published systems, from nothing: `make compare-example`.

The four are toys: the shipped model, a random one, and two small ones trained here in a minute on dialogues that
datasets/mini_instructions writes by rule. Each is served by `creuset serve` and examined at its address as anybody's
endpoint would be:
`creuset eval URL` (dialogues held out of the training of the two small ones, the shipped model learned from dialogues
by the same rules; IFEval in French; ten questions of OpenBookQA by likelihood), `creuset audit URL` (whatever needs no
files of yours), `creuset compare speed` and `portability`. Energy is audited on the weights. Everything stays in one
folder; two cores and a few minutes are enough.

    python runs/compare_example.py OUT
"""

import argparse
import contextlib
import datetime
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import zstandard

CREUSET = [sys.executable, "-m", "creuset"]
TREE = Path(__file__).resolve().parents[1]
SMALL = ("--set", "context=256", "--set", "tokens_per_step=2048", "--set", "tokens_per_microbatch=2048",
         "--set", "evaluate_every=0", "--set", "precision=fp32")  # fmt: skip
LOAD = {"requests": 12, "concurrency": 2, "max_tokens": 32, "prompt_words": 60}
BENCH = TREE / "tests/evals/data/parity/bench"  # the first items of published files, with their licences
# Of each part the first few samples: an example, whose intervals say how little that is.
SAMPLES = {"dialogues": 32, "ifeval_fr": 8, "talk": 24, "rest": 4}
# What needs files of yours, weights or a flag is asked for too, so that the page says that it was not tested.
AUDITS = {"talk": ("security", "truthfulness", "disclosure", "tool-injection", "service"),
          "rest": ("robustness", "harm", "bias", "counterfactual_fr", "counterfactual_en", "training-data",
                   "memorisation", "privacy", "marking", "calibration")}  # fmt: skip
MEASURES = (
    "dialogues.same",
    "dialogues.figures",
    "ifeval_fr.prompt_strict",
    "ifeval_fr.instruction_strict",
    "openbookqa.acc",
    "prompt_leak.leak",
    "prompt_leak.utility",
    "bipia.score",
    "llm_rules.score",
    "service.error_content",
    "service.bad_body",
    "service.headers",
    "counterfactual_fr.flip_rate.origin",
    "counterfactual_fr.flip_rate.gender",
    "counterfactual_fr.flip_rate.placebo",
    "counterfactual_fr.acc",
    "counterfactual_en.flip_rate.origin",
    "counterfactual_en.flip_rate.gender",
    "abstention.abstains.fr.unanswerable",
    "abstention.abstains.fr.answerable",
    "abstention.abstains.en.unanswerable",
    "abstention.abstains.en.answerable",
    "disclosure.says_ai.en.plain",
    "disclosure.says_ai.fr.plain",
    "disclosure.claims_human.en.persona",
    "disclosure.claims_human.fr.persona",
    "tool_injection.attack",
    "tool_injection.utility",
    "energy.kwh_100k_tokens",
    "energy.flop_per_token",
)
REMARK = {
    "en": "The first four systems are toys: models of 2 to 6 million parameters on two processor cores, made to show "
    "the page. They know next to nothing, and no conclusion about real systems can be drawn from them. The other "
    "five were not asked anything: what stands there was read.",
    "fr": "Les quatre premiers systèmes sont des jouets : des modèles de 2 à 6 millions de paramètres sur deux cœurs, "
    "faits pour montrer la page. Ils ne savent presque rien, et rien n'en découle sur de vrais systèmes. Aux "
    "cinq autres, rien n'a été demandé : ce qui figure ici a été lu.",
}


def creuset(*words: object) -> None:
    print("creuset", *words, file=sys.stderr, flush=True)
    subprocess.run([*CREUSET, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def texts(work: Path) -> None:
    """Dialogues by rule, and as plain texts what the small models are trained on."""
    written = [
        sys.executable,
        TREE / "datasets/mini_instructions",
        "--out",
        work / "dialogues",
        "--size",
        "small",
        "--limit",
        "400",
    ]
    subprocess.run(list(map(str, written)), check=True, stdout=subprocess.DEVNULL)
    (work / "texts").mkdir()
    with zstandard.open(work / "dialogues/dialogues.jsonl.zst", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    said = ["\n".join(m["content"] for m in row["messages"]) for row in rows]
    lines = "".join(json.dumps({"text": t}) + "\n" for t in said)
    (work / "texts/talks.jsonl").write_text(lines, encoding="utf-8")


def models(work: Path) -> dict[str, Path]:
    """Name and folder of the four."""
    creuset("corpus", "build", work / "texts", "--licence", "Apache-2.0", "--out", work / "corpus", "--set", "kind=any")
    creuset("tokenizer", "train", "--corpus", work / "corpus", "--vocab-size", "1200", "--out", work / "tokenizer")
    creuset("corpus", "tokenize", work / "corpus", "--tokenizer", work / "tokenizer", "--out", work / "shards")
    # A short context, since what barely learned to end a turn never does: IFEval allows a reply 1,280 tokens.
    shape = ("--set", "model.vocab_size=1200", "--set", "model.context=512", *SMALL)
    creuset("train", "nano", *shape, "--set", "steps=60", "--shards", work / "shards", "--out", work / "nano")
    creuset(
        "tune",
        "sft",
        "nano:sft",
        *SMALL,
        "--set",
        "steps=40",
        "--model",
        work / "nano/model",
        "--dialogues",
        work / "dialogues",
        "--out",
        work / "nano-talk",
    )
    random_model(work)
    return {
        "creuset mini": TREE / "creuset/models/mini",
        "nano, 60 steps": work / "nano/model",
        "nano, tuned": work / "nano-talk/model",
        "random": work / "random",
    }


def random_model(work: Path) -> None:
    """nano's shape as it is before the first step."""
    import torch

    from creuset.model.formats.hf_config import config_of
    from creuset.model.formats.weights import save_model
    from creuset.model.transformer import Transformer
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
    return json.dumps(text, ensure_ascii=False)  # a TOML basic string is a JSON string


def examine(at: int, model: Path, work: Path) -> None:
    """All that is asked of an endpoint at its address, but for its speed."""
    with served(model, f"system-{at}") as url:
        for task, more in (("dialogues", ("--bench", work / "dialogues")), ("ifeval_fr", ())):
            creuset("eval", url, "--task", task, *more, "--limit", SAMPLES[task], "--out", work / f"eval-{task}-{at}")
        creuset("eval", url, "--task", "openbookqa", "--bench", BENCH, "--out", work / f"eval-openbookqa-{at}")
        for part, items in AUDITS.items():
            creuset(
                "audit", url, "--items", ",".join(items), "--limit", SAMPLES[part], "--out", work / f"audit-{part}-{at}"
            )
        creuset("compare", "portability", url, "--model", f"system-{at}", "--out", work / f"api-{at}")


def measure(at: int, model: Path, work: Path) -> None:
    """Energy and speed, while nothing else runs."""
    creuset("audit", model, "--items", "energy", "--out", work / f"audit-energy-{at}")
    with served(model, f"system-{at}") as url:
        load = [w for key, value in LOAD.items() for w in (f"--{key.replace('_', '-')}", value)]
        creuset("compare", "speed", url, "--model", f"system-{at}", *load, "--out", work / f"speed-{at}")


def comparison(names: list[str], date: str) -> str:
    """The TOML file of the comparison."""
    lines = [
        'title = { en = "Four local endpoints, and five systems as published", '
        'fr = "Quatre systèmes locaux, et cinq tels que publiés" }',
        f"measures = {json.dumps(MEASURES)}",
        f"remark = {{ en = {quote(REMARK['en'])}, fr = {quote(REMARK['fr'])} }}",
        "",
        "[volume]",
        "requests = 100_000",
        "input_tokens = 800",
        "output_tokens = 250",
        "cached_share = 0.25",
    ]
    facts = {
        "weights": "yes",
        "training_known": "yes",
        "own_hardware": "yes",
        "runs_offline": "yes",
        "fine_tuning": "yes",
        "pinned": "yes",
        "exit": "yes",
        "api_portable": "yes",
    }
    for at, name in enumerate(names):
        evaluations = [f"eval-{part}-{at}" for part in ("dialogues", "ifeval_fr", "openbookqa")]
        audits = [f"audit-{part}-{at}" for part in (*AUDITS, "energy")]
        lines += [
            "",
            "[[system]]",
            f"name = {quote(name)}",
            'provider = "toy, this machine"',
            f"evaluations = {json.dumps(evaluations)}",
            f"audits = {json.dumps(audits)}",
            f'speed = "speed-{at}"',
            f'portability = "api-{at}"',
        ]
        said = {**facts, "licence": "Apache-2.0", "runs_where": "anywhere, on two processor cores"}
        for key, value in said.items():
            french = {"runs_where": "partout, sur deux cœurs", "licence": "Apache-2.0"}.get(key, "")
            lines.append(
                f'declared.{key} = {{ value = {quote(value)}, source = "README.md and LICENSE of this '
                f'project", date = "{date}"' + (f", fr = {quote(french)}" if french else "") + " }"
            )
    for name in ("Qwen2.5-Max", "GPT-4o", "Claude 3.5 Sonnet", "DeepSeek V3", "Llama-3.1-405B"):
        lines += ["", "[[system]]", f"name = {quote(name)}", f"reported = {quote(name)}"]
    return "\n".join(lines) + "\n"


def main(out: Path) -> None:
    begun = time.monotonic()
    work = out.with_name(out.name + "-work")
    work.mkdir(parents=True)
    texts(work)
    found = models(work)
    with ThreadPoolExecutor(2) as pool:  # a core each: the servers have one thread
        list(pool.map(lambda at, model: examine(at, model, work), range(len(found)), found.values()))
    for at, model in enumerate(found.values()):
        measure(at, model, work)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    (work / "comparison.toml").write_text(comparison(list(found), today), encoding="utf-8")
    creuset("compare", "run", work / "comparison.toml", "--out", out)
    print(f"{out / 'index.html'} ({time.monotonic() - begun:.0f} s)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the scorecard; a folder OUT-work is made beside it")
    main(parser.parse_args().out)
