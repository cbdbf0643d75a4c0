"""Tiny real things for tests: no mocks of our own code. Imported by tests only."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from creuset.model.config import ModelConfig
    from creuset.model.families import Family
    from creuset.model.transformer import Transformer
    from creuset.text.tokenizer import Tokenizer

TINY_TEXTS = (
    "The cat sat on the mat. The dog ran to the river, and the cat ran after the dog.",
    "A river is a large stream of water. Water flows from the mountain to the sea.",
    "What is a river? It is water that flows. What is the capital of France? It is Paris.",
    "Le chat est sur la table. La rivière coule vers la mer. Où est l'école ? Elle est là-bas.",
    "There are 12 months in a year, 7 days in a week and 24 hours in a day.",
)


@cache
def tiny_tokenizer(vocab_size: int = 512) -> "Tokenizer":
    """A real byte-level BPE with all control tokens, learned from a few sentences in milliseconds."""
    from creuset.text.tokenizer import train

    return train(TINY_TEXTS * 4, vocab_size=vocab_size)


def tiny_corpus(
    path: Path, sources: Mapping[str, Sequence[str]], *, heldout: Mapping[str, Sequence[str]] | None = None
) -> Path:
    """A corpus artifact of the given texts, as `creuset corpus build` would leave it."""
    import zstandard

    from creuset.core.artifact import new_artifact

    with new_artifact(path, kind="corpus") as folder:
        for split, parts in (("docs", sources), ("heldout", heldout or {})):
            (folder / split).mkdir()
            for name, texts in parts.items():
                rows = [{"id": f"{name}/{i}", "text": t, "source": name, "lang": "en"} for i, t in enumerate(texts)]
                lines = "".join(json.dumps(row) + "\n" for row in rows)
                (folder / split / f"{name}.jsonl.zst").write_bytes(zstandard.compress(lines.encode()))
        (folder / "ledger.json").write_text(json.dumps([{"name": name, "licence": "CC0-1.0"} for name in sources]))
    return path


def tiny_shards(path: Path, sources: Mapping[str, Sequence[str]] | None = None, *, vocab_size: int = 512) -> Path:
    """A shards artifact (its corpus and tokenizer beside it) of `sources`, or of two small ones."""
    from creuset.core.artifact import new_artifact
    from creuset.data.shards.tokenize import tokenize

    sources = sources or {"en": TINY_TEXTS[:3] * 20, "fr": TINY_TEXTS[3:4] * 20}
    heldout = {name: texts[:2] for name, texts in sources.items()}
    corpus = tiny_corpus(path.with_name(path.name + "-corpus"), sources, heldout=heldout)
    words = path.with_name(path.name + "-tokenizer")
    with new_artifact(words, kind="tokenizer", parents=[corpus]) as folder:
        tiny_tokenizer(vocab_size).save(folder)
    tokenize(corpus, words, path)
    return path


def tiny_config(family: "Family" = "qwen3_moe", *, vocab_size: int = 512, **changes: Any) -> "ModelConfig":
    """Two layers of the family's shape; MoE families have 4 experts, 2 a token."""
    from creuset.model.config import LatentShape, ModelConfig
    from creuset.model.families import FAMILIES

    shape: dict[str, Any] = {
        "family": family, "vocab_size": vocab_size, "hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2,
        "head_dim": 8, "context": 256,
    }  # fmt: skip
    traits = FAMILIES[family].traits
    if traits.moe:
        shape |= {"experts": 4, "experts_per_token": 2, "expert_ffn": 32}
    else:
        shape |= {"ffn": 64}
    if traits.shared_expert != "none":
        shape |= {"shared_ffn": 32}
    if traits.latent:
        latent = LatentShape(q_rank=12, kv_rank=16, nope=12, rope=8, value=10)
        shape |= {"latent": latent, "kv_heads": 4, "query_scale": 20**-0.5, "ffn": 48, "dense_layers": (0,)}
    if family == "deepseek_v2":
        shape |= {"norm_topk": False}
    if traits.router_score == "sigmoid":
        shape |= {"expert_groups": 2, "groups_per_token": 1, "router_scale": 2.5}
    if family == "glm4_moe":
        shape |= {"ffn": 48, "dense_layers": (0,), "rotary_dim": 4}
    if traits.clamped_experts:
        shape |= {"attention_bias": True, "swiglu_limit": 7.0}
    if FAMILIES[family].pattern:
        shape |= {"window": 16, "window_layers": (0,)}
    return ModelConfig(**(shape | changes))


def tiny_model(config: "ModelConfig | None" = None, *, seed: int = 0) -> "Transformer":
    """A random model with weights large enough that its logits differ."""
    from dataclasses import replace

    import torch

    from creuset.model.transformer import Transformer

    config = config or tiny_config()
    model = Transformer(replace(config, init_std=0.2))
    model.init_weights(torch.Generator().manual_seed(seed))
    model.config = config
    return model.eval()


def tiny_model_folder(path: "Path", family: "Family" = "qwen3_moe", *, seed: int = 0, **changes: Any) -> "Path":
    """`path`, filled with a tiny random model and `tiny_tokenizer`, as a Hugging Face folder."""
    from creuset.model.formats.weights import save_model

    tokenizer = tiny_tokenizer()
    config = tiny_config(family, vocab_size=tokenizer.vocab_size, **changes)
    save_model(tiny_model(config, seed=seed), path, dtype="fp32")
    tokenizer.save(path)
    return path


class ScriptedEngine:
    """An engine that says what the prompt tells it to, with real tokens, stop strings and the real events.

    The last user message (or the whole raw prompt) is the script: `say TEXT`; `slowly N` (N times " la", 20 ms
    each); `wait S` (S seconds before the first token); `salt`
    (says the request's); `fail` (ends in an error); anything else is greeted.
    A text is embedded, unless it has "no row" in it.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self._tokenizer = tokenizer
        self._open: dict[str, Any] = {}
        self._cancelled: list[str] = []

    @property
    def busy(self) -> bool:
        return bool(self._open)

    def add(self, request: Any) -> None:
        from creuset.core.errors import RequestError
        from creuset.engine.answer.stop import StopMatcher
        from creuset.text.stream import Detokenizer

        text = self._tokenizer.decode(request.prompt)
        script = text.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        verb, _, rest = script.partition(" ")
        if verb == "refuse":
            raise RequestError("the script refuses", param="script")
        said = {
            "say": rest, "slowly": " la" * int(rest or 0) if verb == "slowly" else "", "wait": "waited",
            "salt": f"<{request.salt}>",
        }.get(verb, "Hello from the script.")  # fmt: skip
        end = [] if request.sampling.ignore_eos else [self._tokenizer.im_end]
        self._open[request.id] = {
            "request": request,
            "left": self._tokenizer.encode(said) + end,
            "text": Detokenizer(self._tokenizer),
            "stop": StopMatcher(request.sampling.stop),
            "wait_s": float(rest) if verb == "wait" else 0.0,
            "pace_s": 0.02 if verb == "slowly" else 0.0,
            "fails": verb == "fail",
            "done": 0,
            "told": [],  # of an answer that is told at its end
        }

    def cancel(self, id: str) -> None:
        if id in self._open:
            self._cancelled.append(id)

    def stats(self) -> dict[str, float]:
        return {"running": float(len(self._open))}

    def step(self) -> list[Any]:
        import time

        events = [self._end(id, "cancelled") for id in self._cancelled if id in self._open]
        self._cancelled.clear()
        pauses = [job.pop("wait_s", 0.0) or job["pace_s"] for job in self._open.values()]
        time.sleep(max(pauses, default=0.0))
        for id, job in list(self._open.items()):
            event = self._advance(id)
            if not job["request"].whole:
                events.append(event)
            elif event.finish is None:
                job["told"].append(event)
            else:
                events.append(_gathered(job["told"], event))
        return events

    def _end(self, id: str, finish: str, **facts: Any) -> Any:
        from creuset.types.generation import Event

        job = self._open.pop(id)
        read = len(job["request"].prompt)
        return Event(id=id, finish=finish, prompt_tokens=read, completion_tokens=job["done"], **facts)  # type: ignore[arg-type]

    def _advance(self, id: str) -> Any:
        from creuset.types.generation import Event

        job = self._open[id]
        request, sampling = job["request"], job["request"].sampling
        facts: dict[str, Any] = {}
        if sampling.prompt_logprobs is not None and not job["done"]:
            later = request.prompt[1:]
            facts["prompt_logprobs"] = (None, *(self._logprob(t, sampling.prompt_logprobs) for t in later))
        if job["fails"]:
            return self._end(id, "error", error="the script fails")
        if sampling.max_tokens == 0:
            if request.embeds and "no row" not in self._tokenizer.decode(request.prompt):
                facts["embedding"] = _row(request.prompt)
            return self._end(id, "length", **facts)
        token = job["left"].pop(0) if job["left"] else self._tokenizer.encode(" la")[0]
        job["done"] += 1
        if token == self._tokenizer.im_end:
            return self._end(id, "stop", text=job["stop"].finish() + job["text"].finish(), stop_token=token, **facts)
        verdict = job["stop"].push(job["text"].push(token))
        facts |= {"text": verdict.text, "tokens": (token,)}
        if sampling.logprobs is not None:
            facts["logprobs"] = (self._logprob(token, sampling.logprobs),)
        if verdict.match is not None:
            return self._end(id, "stop", stop_match=verdict.match, **facts)
        if job["done"] >= sampling.max_tokens:
            facts["text"] += job["stop"].finish() + job["text"].finish()
            return self._end(id, "length", **facts)
        return Event(id=id, prompt_tokens=len(request.prompt), completion_tokens=job["done"], **facts)

    def _logprob(self, token: int, top: int) -> Any:
        from creuset.types.generation import TokenLogprob

        others = [((token + i) % self._tokenizer.vocab_size, -0.5 - i) for i in range(top)]
        return TokenLogprob(token, -0.5, tuple(others))


def _gathered(before: list[Any], last: Any) -> Any:
    """One event that tells what `before` and `last` tell."""
    from msgspec.structs import replace

    every = [*before, last]
    logprobs = tuple(one for event in every for one in event.logprobs or ()) or None
    told = next((event.prompt_logprobs for event in every if event.prompt_logprobs), None)
    tokens = tuple(one for event in every for one in event.tokens)
    return replace(
        last, text="".join(event.text for event in every), tokens=tokens, logprobs=logprobs, prompt_logprobs=told
    )


def _row(prompt: Sequence[int]) -> bytes:
    """An embedding of the tiny model's width that depends on the prompt alone."""
    import math
    import struct

    width = 32
    numbers = [1.0 + sum(prompt[at::width]) % 97 for at in range(width)]
    length = math.hypot(*numbers)
    return struct.pack(f"<{width}f", *(number / length for number in numbers))


def scripted_worker(fd: int) -> None:
    """The engine process, with a script in the place of a model: `python -m creuset.testing FD`."""
    from creuset.server.engines.worker import child, listen, run

    link = child(fd)
    run(ScriptedEngine(tiny_tokenizer()), link, listen(link), {"window": 4096})


if __name__ == "__main__":
    import sys

    scripted_worker(int(sys.argv[1]))
