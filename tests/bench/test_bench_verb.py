"""`creuset bench`: what it times, what it counts, and what it refuses."""

import json
from pathlib import Path

import pytest

from creuset.cli import main
from creuset.cli.speed.bandwidth import met_weights, read_rate, step_bytes, weight_bytes
from creuset.cli.speed.bench import counts
from creuset.cli.speed.loads import TimedRequests
from creuset.core.errors import EngineError
from creuset.core.native.library import FILE
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.model.count import matmul_weights, parameters
from creuset.model.formats.weights import save_model
from creuset.testing import tiny_config, tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "tiny"
    save_model(tiny_model(tiny_config(vocab_size=512)), path, dtype="fp32")
    tiny_tokenizer().save(path)
    return path


def test_one_document_says_rates_bandwidth_memory_and_kernels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--prompt", "32,64", "--tokens", "8", "--streams", "1,3", "--repeat", "1", "--dtype", "fp32"]
    assert main(["bench", str(folder), *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["decode"]) == ["1", "3"] and list(found["prefill"]) == ["32", "64"]
    assert all(rate > 0 for name in ("decode", "prefill", "first_token_ms") for rate in found[name].values())
    for n, time in found["first_token_ms"].items():
        assert time == pytest.approx(int(n) / found["prefill"][n] * 1000, abs=0.006)  # it has two decimals
    share, measured = found["bandwidth"]["share"], found["bandwidth"]["measured_gb_s"]
    assert measured > 0.1 and 0 < share["1"] < 1
    weights = parameters(tiny_config(vocab_size=512)).total
    assert found["memory"]["weights"] >= weights and found["memory"]["peak"] > found["memory"]["weights"]
    assert found["choices"]["backend"] and found["choices"]["threads"] >= 1
    assert main(["bench", str(folder), *words]) == 0
    page = capsys.readouterr().out
    assert "3 streams" in page and "prompt of 64" in page and found["choices"]["backend"] in page


@pytest.mark.skipif(not FILE.is_file(), reason="there is no native library: apt-get install g++")
def test_weights_are_rounded_before_and_the_backend_is_the_one_that_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--prompt", "16", "--tokens", "4", "--streams", "1", "--repeat", "1", "--json"]
    for options, backend, kind in (
        (["--quant", "q4"], "native", "q4"),
        (["--quant", "q8", "--backend", "native"], "native", "q8"),
        (["--backend", "torch"], "torch", None),
    ):
        assert main(["bench", str(folder), *words, *options]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["choices"]["backend"] == backend
        assert found["quant"] == kind == (found["choices"]["dtype"] if kind else None)
    for options, said in (
        (["--quant", "q8", "--backend", "torch"], "weights are rounded to q8 by the native core only"),
        (["--quant", "q8", "--dtype", "fp32"], "name one of the two"),
    ):
        assert main(["bench", str(folder), *words, *options]) == 2
        assert said in capsys.readouterr().err


def test_what_does_not_fit_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(folder), "--prompt", "256", "--dtype", "fp32"]) == 2
    assert "a prompt of 256 tokens and an answer do not fit into 256 tokens" in capsys.readouterr().err
    assert main(["bench", str(folder), "--depth", "200", "--dtype", "fp32"]) == 2
    assert "`--depth` 200 and `--tokens` 64 are more than the context of 256 tokens" in capsys.readouterr().err
    assert main(["bench", str(folder / "nothing")]) == 3
    with pytest.raises(SystemExit):
        main(["bench", str(folder), "--streams", "1,x"])
    assert "`x` is not a whole number" in capsys.readouterr().err
    assert counts("8, 1,8") == [8, 1]


def test_prompts_are_distinct_and_the_clock_runs_while_all_write(folder: Path) -> None:
    settings = EngineSettings(dtype="fp32", prefix_cache=False, max_running=2)
    engine = Engine.load(folder, settings=settings)
    load = TimedRequests(engine, seed=0)
    asked = [tuple(load.request(16, 4).prompt) for _ in range(20)]
    assert len(set(asked)) == 20 and all(0 <= id < 512 for prompt in asked for id in prompt)
    assert load.decode(2, 8, prompt=4) > 0 and load.prefill(40) > 0
    with pytest.raises(EngineError, match="4 streams of 4 tokens were never written at the same time"):
        load.decode(4, 4, prompt=4)  # two run at once
    stats = engine.stats()
    assert stats["finished_error_total"] == 0 and stats["completion_tokens_total"] == 2 * 8 + 1 + 4 * 4


def test_bytes_of_a_step_are_those_that_its_tokens_meet(folder: Path) -> None:
    config = tiny_config(vocab_size=512)  # 4 experts, 2 a token, in two layers
    expert = 3 * config.hidden * config.expert_ffn
    assert met_weights(config, 1) == matmul_weights(config)
    # A second token misses each of 4 experts with 1/2, as the first does: 3 are met on average.
    assert met_weights(config, 2) == pytest.approx(matmul_weights(config) + 2 * expert)
    assert met_weights(config, 1000) == pytest.approx(matmul_weights(config) + 2 * 2 * expert)
    dense = tiny_config("qwen3", vocab_size=512)
    assert met_weights(dense, 1) == met_weights(dense, 8) == matmul_weights(dense)
    engine = Engine.load(folder, settings=EngineSettings(dtype="fp32", kv_tokens=256))
    bytes_a_weight = weight_bytes(engine) / parameters(config).total
    keys = 2 * 2 * config.kv_heads * config.head_dim  # of one token, both layers
    bytes_a_value = engine.choices["kv_cache"]["bytes"] / engine.choices["kv_cache"]["tokens"] / keys
    expected = met_weights(config, 2) * bytes_a_weight + 2 * 100 * keys * bytes_a_value
    assert step_bytes(engine, 2, 100) == pytest.approx(expected)


def test_memory_is_read_by_kernels_and_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    from creuset.cli.speed import bandwidth

    monkeypatch.setattr(bandwidth, "BLOCK", 2**22)
    assert read_rate(1) > 1e8
    monkeypatch.setenv("CREUSET_NATIVE", "0")
    assert read_rate(1) > 1e8
