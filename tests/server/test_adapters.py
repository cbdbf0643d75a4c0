"""A model with an adapter is served as a model of its own, with its parent named."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from creuset.cli import main
from creuset.core.errors import ArtifactError, ConfigError
from creuset.server.model import adapted, describe
from creuset.testing import tiny_model_folder

from .test_cli import Server


def adapter(path: Path, width: int) -> Path:
    import torch
    from safetensors.torch import save_file

    path.mkdir()
    head = "base_model.model.model.layers.1.self_attn.o_proj.lora_"
    save_file({f"{head}{part}.weight": torch.ones(width, width) for part in "AB"}, path / "adapter_model.safetensors")
    (path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": width, "lora_alpha": width}))
    return path


def test_it_has_a_name_a_parent_and_a_hash_of_its_own(tmp_path: Path) -> None:
    base = describe(tiny_model_folder(tmp_path / "base"))
    own = adapted(base, f"own={adapter(tmp_path / 'adapter', 32)}")
    assert (own.name, own.names, own.parent, own.adapter) == ("own", ("own",), "base", str(tmp_path / "adapter"))
    assert own.sha256 != base.sha256 and own.tokenizer is base.tokenizer
    for given in ("own", f"={tmp_path}", "own="):
        with pytest.raises(ConfigError, match=f"--lora {given}: it is NAME=FOLDER"):
            adapted(base, given)
    with pytest.raises(ArtifactError, match=r"is no adapter: it has no adapter_config.json"):
        adapted(base, f"own={tmp_path}")
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"cut")
    assert (
        main(["serve", "--model", str(tmp_path / "base"), "--lora", f"own={tmp_path / 'adapter'}", "--port", "0"]) == 3
    )


@pytest.mark.parametrize("backend", ["native", pytest.param("torch", marks=pytest.mark.slow)])
def test_it_answers_with_other_weights_beside_its_parent(tmp_path: Path, backend: str) -> None:
    """On the native core both share one engine; torch has a copy of the weights."""
    model = tiny_model_folder(tmp_path / "base", "qwen3")
    own = adapter(tmp_path / "adapter", json.loads((model / "config.json").read_text())["hidden_size"])
    two = Server("--model", f"base={model}", "--lora", f"own={own}", "--dtype", "fp32", "--kv-tokens", "256",
                 "--backend", backend)  # fmt: skip
    try:
        listed = {one["id"]: one for one in two.http.get("/v1/models").json()["data"]}
        assert (listed["own"]["parent"], listed["own"]["root"]) == ("base", "base") and "parent" not in listed["base"]
        body = {"prompt": "The cat", "max_tokens": 12, "temperature": 0, "logprobs": 0}
        said = [two.http.post("/v1/completions", json=body | {"model": name}).json() for name in ("base", "own")]
        assert said[0]["choices"] != said[1]["choices"]
        assert said[0]["system_fingerprint"] != said[1]["system_fingerprint"]
        with ThreadPoolExecutor() as threads:  # asked at the same time, each answers as alone
            again = list(threads.map(lambda name: two.http.post("/v1/completions", json=body | {"model": name}).json(),
                                     ["own", "base", "own", "base"]))  # fmt: skip
        assert [one["choices"] for one in again] == [said[at]["choices"] for at in (1, 0, 1, 0)]
        engines = two.http.get("/health").json()["engines"]
        assert [one.get("shares") for one in engines] == [None, "base" if backend == "native" else None]
        rows = [two.http.post("/v1/embeddings", json={"model": name, "input": "a"}).json() for name in ("base", "own")]
        assert rows[0]["data"] != rows[1]["data"]
    finally:
        two.end()
