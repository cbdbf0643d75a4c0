import json

import pytest

from creuset.cli import main
from creuset.cli.plan import amount
from creuset.core.errors import ConfigError
from creuset.model.config import SIZES, named
from creuset.model.count import forward_flops, parameters
from creuset.plan.estimate import PlanRequest, against_published, estimate
from creuset.plan.facts import gpu, public_runs, published, thresholds
from creuset.plan.workload import deepseek_v3, llama_405b, of_config


def test_the_reference_shapes_have_their_published_counts():
    assert deepseek_v3().total == pytest.approx(671e9, rel=0.001)
    assert deepseek_v3().active == pytest.approx(37e9, rel=0.02)
    assert llama_405b().total == pytest.approx(405e9, rel=0.005)


@pytest.mark.parametrize("run", published(), ids=lambda r: r.name)
def test_the_planner_is_within_10_percent_of_published_hours(run):
    found = against_published(run)
    assert abs(found["difference"]) < 0.10
    # And so is the rule of thumb, at the 35 % that both runs reached by it.
    assert abs(found["difference_by_rule_at_35_percent"]) < 0.05
    assert 0.34 < found["mfu_it_reached"] < 0.40


def plus(**more):
    ask = PlanRequest(**{"tokens": 20e12, "context": 4096, "gpu": gpu("h800"), "gpus": 2048, "price": 2.0, **more})
    return estimate(of_config(named("plus")), ask)


def test_hours_energy_and_cost_follow_from_flops():
    found = plus(mfu=0.5)
    flops = 3 * forward_flops(named("plus"), context=4096) * 20e12
    assert found.flops == pytest.approx(flops) and found.flops_rule == 6 * parameters(named("plus")).active * 20e12
    assert found.gpu_hours == pytest.approx(flops / (0.5 * 989.4e12) / 3600)
    assert found.days == pytest.approx(found.gpu_hours / 2048 / 24) and found.cost == pytest.approx(2 * found.gpu_hours)
    assert found.mwh == pytest.approx(found.gpu_hours * 700 / 1e6)
    assert plus(pue=1.2).mwh == pytest.approx(1.2 * plus().mwh) and plus(price=None).cost is None


def test_memory_is_sixteen_bytes_a_parameter_and_what_sequences_need():
    found, total = plus(), parameters(named("plus")).total
    assert sum(found.training_bytes.values()) == 16 * total
    assert found.training_gib_per_gpu * 2**30 == pytest.approx(16 * total / 2048 + found.activation_bytes)
    assert found.fits and not plus(gpus=8).fits
    assert found.weight_bytes["bf16"] == 2 * total and found.weight_bytes["4-bit"] < found.weight_bytes["8-bit"]
    assert plus(streams=3).kv_bytes == 3 * 4096 * found.kv_bytes_per_token


def test_both_lines_of_law_are_drawn():
    lines, as_of = thresholds()
    assert [line.flops for line in lines] == [1e23, 1e25] and as_of and all(line.source for line in lines)
    assert plus().crossed == [lines[0].name]
    assert plus(tokens=1e6).crossed == [] and plus(tokens=1e15).crossed == [line.name for line in lines]


def test_the_page_says_what_is_assumed(capsys):
    assert main(["plan", "max", "--tokens", "20T", "--gpus", "2048", "--gpu", "h800", "--price", "2"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    for words in (
        "Alibaba never published",
        "271.3 G total",
        "36.92 G active",
        "1e+23",
        "1e+25",
        "as of 2026",
        "DeepSeek-V3",
        "Llama-3.1-405B",
        "rated power",
    ):
        assert words in page


@pytest.mark.parametrize("name", SIZES)
def test_every_named_size_can_be_planned_for_machines_to_read(name, capsys):
    assert main(["plan", name, "--tokens", "1B", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["parameters"]["total"] == parameters(named(name)).total and said["estimate"]["cost"] is None
    assert said["note"] == SIZES[name].note


def test_a_recipe_brings_its_tokens_and_context(capsys):
    assert main(["plan", "nano:pretrain", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ask"]["tokens"] == 200 * 4096 and said["ask"]["context"] == 512


PUBLIC = {  # billions of parameters, in all and active, as their makers state them
    "deepseek-v3": (671, 37), "llama-3.1-405b": (405, 405), "qwen1.5-moe-a2.7b": (14.3, 2.7),
    "olmoe-1b-7b": (6.9, 1.3), "olmo-2-13b": (13.7, 13.7), "mixtral-8x7b": (46.7, 12.9),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_run_is_planned_by_its_name(name, capsys):
    assert main(["plan", name.upper() if name == "olmoe-1b-7b" else name, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    total, active = PUBLIC[name]
    assert said["parameters"]["total"] == pytest.approx(total * 1e9, rel=0.01)
    assert said["parameters"]["active"] == pytest.approx(active * 1e9, rel=0.02)
    run = public_runs()[name]
    assert run.source in said["note"] and ("an assumption" in said["note"]) == (run.tokens is None)
    assert said["ask"]["tokens"] == (run.tokens or 20 * said["parameters"]["active"])
    assert said["ask"]["gpu"]["name"] == (run.gpu or "h100") and said["ask"]["gpus"] == (run.gpus or 8)


def test_every_public_run_is_named_above():
    assert set(public_runs()) == set(PUBLIC)


def test_what_is_asked_goes_before_what_was_published(capsys):
    asked = ["--tokens", "1T", "--gpu", "h200", "--gpus", "4", "--context", "64"]
    assert main(["plan", "olmo-2-13b", "--json", *asked]) == 0
    ask = json.loads(capsys.readouterr().out)["ask"]
    assert (ask["tokens"], ask["gpu"]["name"], ask["gpus"], ask["context"]) == (1e12, "h200", 4, 64)


def test_a_name_that_is_nearly_a_public_runs_is_answered_with_it(capsys):
    assert main(["plan", "deepseekv3"]) == 2
    assert "did you mean `deepseek-v3`?" in capsys.readouterr().err


def test_a_config_json_is_named_itself(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps(public_runs()["mixtral-8x7b"].config))
    assert main(["plan", str(tmp_path / "config.json"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["shape"] == tmp_path.name and said["parameters"]["total"] == pytest.approx(46.7e9, rel=0.01)


def test_a_hugging_face_folder_is_read_from_its_config(tmp_path, capsys):
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "architectures": ["Qwen3MoeForCausalLM"],
                "model_type": "qwen3_moe",
                "vocab_size": 151936,
                "hidden_size": 2048,
                "num_hidden_layers": 48,
                "num_attention_heads": 32,
                "num_key_value_heads": 4,
                "head_dim": 128,
                "intermediate_size": 6144,
                "num_experts": 128,
                "num_experts_per_tok": 8,
                "moe_intermediate_size": 768,
                "norm_topk_prob": True,
                "decoder_sparse_step": 1,
                "mlp_only_layers": [],
                "tie_word_embeddings": False,
                "rms_norm_eps": 1e-6,
                "rope_theta": 1000000.0,
                "max_position_embeddings": 40960,
                "hidden_act": "silu",
                "attention_bias": False,
            }
        )
    )
    assert main(["plan", str(tmp_path), "--tokens", "36T", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"]["total"] == pytest.approx(30.5e9, rel=0.005)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["plus", "--gpu", "h10"], "`h10` is not a GPU"),
        (["pluss"], "did you mean `plus`?"),
        (["plus", "--tokens", "lots"], "`lots` is not a number of tokens"),
        (["mini:sft"], "no model shape"),
    ],
)
def test_a_bad_question_is_refused_with_exit_2(argv, words, capsys):
    assert main(["plan", *argv]) == 2
    assert words in capsys.readouterr().err


def test_amounts_are_read_as_people_write_them():
    assert [amount(t) for t in ("20T", "1.5B", "300M", "4k", "3e9", "12")] == [20e12, 1.5e9, 3e8, 4e3, 3e9, 12]
    for text in ("", "T", "-3B", "inf", "nan"):
        with pytest.raises(ConfigError):
            amount(text)
