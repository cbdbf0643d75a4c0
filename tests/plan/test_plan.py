import json

import pytest

from creuset.cli import main
from creuset.cli.plan import amount
from creuset.core.errors import ConfigError
from creuset.model.config import SIZES, named
from creuset.model.count import forward_flops, parameters
from creuset.plan.estimate import PlanRequest, batch_for, estimate
from creuset.plan.facts import gpu, public_runs, thresholds
from creuset.plan.layout import Layout

SPLIT = Layout(data=2048, expert=8, shard="full", recompute="selective")


def plus(**more):
    ask = PlanRequest(
        **{"layout": SPLIT, "tokens": 20e12, "context": 4096, "gpu": gpu("h800"), "gpus": 2048, "price": 2.0, **more}
    )
    return estimate(named("plus"), ask)


def test_hours_energy_and_cost_follow_from_flops():
    found = plus(mfu=0.5)
    flops = 3 * forward_flops(named("plus"), context=4096) * 20e12
    assert found.flops == pytest.approx(flops) and found.flops_rule == 6 * parameters(named("plus")).active * 20e12
    assert found.gpu_hours == pytest.approx(flops / (0.5 * 989.4e12) / 3600)
    assert found.wall_days == pytest.approx(found.gpu_hours / 2048 / 24)
    assert found.usd == pytest.approx(2 * found.gpu_hours)
    assert found.mwh == pytest.approx(found.gpu_hours * 700 / 1e6)
    assert plus(pue=1.2).mwh == pytest.approx(1.2 * plus().mwh) and plus(price=None).price == 2.0
    assert plus(grid=56.0).tonnes_co2 == pytest.approx(plus().mwh * 0.056)


def test_weights_and_cache_to_serve():
    found, total = plus(), parameters(named("plus")).total
    assert found.weight_bytes["bf16"] == 2 * total and found.weight_bytes["4-bit"] < found.weight_bytes["8-bit"]
    assert plus(streams=3).kv_bytes == 3 * 4096 * found.kv_bytes_per_token


def test_without_a_share_of_the_peak_the_time_is_predicted():
    found = plus()
    steps = 20e12 / (found.batch * 4096)
    goodput = found.losses.goodput
    assert found.gpu_hours == pytest.approx(steps * found.chosen.time.seconds * 2048 / 3600 / goodput)
    assert found.mfu == pytest.approx(found.flops / (found.gpu_hours * 3600 * 989.4e12)) and 0.2 < found.mfu < 0.6
    assert found.memory_gib_per_gpu <= 80


def test_a_machine_that_is_too_small_says_what_it_needs():
    with pytest.raises(ConfigError, match="no layout fits 8 h800 of 80 GiB: the smallest needs"):
        plus(gpus=8, layout=None)


def test_both_lines_of_law_are_drawn():
    lines, as_of = thresholds()
    assert [line.flops for line in lines] == [1e23, 1e25] and as_of and all(line.source for line in lines)
    assert plus().crossed == [lines[0].name]
    assert plus(tokens=1e10, batch=2048).crossed == [] and plus(tokens=1e15).crossed == [line.name for line in lines]


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
        "not used to choose the constants",
        "rated power",
    ):
        assert words in page


@pytest.mark.parametrize("name", SIZES)
def test_every_named_size_can_be_planned_for_machines_to_read(name, capsys):
    assert main(["plan", name, "--tokens", "1B", "--context", "1024", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["parameters"] == parameters(named(name)).total and said["price_is_assumed"]
    assert said["note"] == SIZES[name].note


def test_a_recipe_brings_its_tokens_and_context(capsys):
    assert main(["plan", "nano:pretrain", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["tokens"] == 200 * 4096 and said["context"] == 512


@pytest.mark.parametrize("name", public_runs())
def test_a_public_run_is_planned_by_its_name(name, capsys):
    run = public_runs()[name]
    assert main(["plan", name.upper() if name == "olmoe-1b-7b" else name, "--json", "--context", "4096"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert run.source in said["note"] and ("an assumption" in said["note"]) == (run.tokens is None)
    assert said["tokens"] == (run.tokens or 20 * said["active_parameters"])
    assert said["gpu"]["name"] == (run.gpu or "h100") and (run.gpus is None or said["gpus"] == run.gpus)


def test_what_is_asked_goes_before_what_was_published(capsys):
    asked = ["--tokens", "1T", "--gpu", "h200", "--gpus", "16", "--context", "64"]
    assert main(["plan", "olmo-2-13b", "--json", *asked]) == 0
    ask = json.loads(capsys.readouterr().out)
    assert (ask["tokens"], ask["gpu"]["name"], ask["gpus"], ask["context"]) == (1e12, "h200", 16, 64)


def test_a_name_that_is_nearly_a_public_runs_is_answered_with_it(capsys):
    assert main(["plan", "deepseekv3"]) == 2
    assert "did you mean `deepseek-v3`?" in capsys.readouterr().err


def test_a_config_json_is_named_itself(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps(public_runs()["mixtral-8x7b"].config))
    assert main(["plan", str(tmp_path / "config.json"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["shape"] == tmp_path.name and said["parameters"] == pytest.approx(46.7e9, rel=0.01)


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
    assert json.loads(capsys.readouterr().out)["parameters"] == pytest.approx(30.5e9, rel=0.005)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["plus", "--cluster", "2048"], "`2048` is not a cluster"),
        (["plus", "--cluster", "8xh100", "--gpus", "8"], "leave --gpus and --gpu out"),
        (["mini", "--layout", "date=8"], "`date` is not a part of a layout"),
        (["mini", "--layout", "data=x"], "`data` of a layout must be a number, got `x`"),
        (["mini", "--layout", "data=8,shard=some"], "must be none, optimizer, full, got `some`"),
        (["mini", "--layout", "data=4"], "the layout has 4 GPUs, the cluster 8"),
        (["mini", "--layout", "data=8", "--batch", "12"], "a batch of 12 sequences is no multiple of 8 data ranks"),
        (["mini", "--country", "XX"], "`XX` is not a country"),
        (["mini", "--gpu", "a100", "--fp8"], "a100 has no products in 8 bits"),
        (["mini", "--prices", "nowhere.toml"], "the price file `nowhere.toml` cannot be read"),
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


def test_the_json_has_what_programs_ask_for(capsys):
    assert main(["plan", "max", "--cluster", "2048xH800", "--tokens", "20T", "--context", "4096", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    names = "parameters active_parameters flops gpu_hours wall_days usd mwh memory_gib_per_gpu"
    for name in names.split():
        assert isinstance(said[name], int | float) and said[name] > 0, name
    assert said["usd"] == pytest.approx(2 * said["gpu_hours"]) and said["memory_gib_per_gpu"] <= 80
    assert said["layouts"][0]["layout"] == said["layout"] and said["left_out"]
    assert sum(said["memory"].values()) == pytest.approx(said["memory_gib_per_gpu"])


def test_offers_of_a_price_file_are_compared(tmp_path, capsys):
    file = tmp_path / "prices.toml"
    rows = [("Dear", "h100", 3.0, 8192), ("Cheap", "h100", 1.5, 8), ("Other", "h200", 1.0, 8192)]
    text = '[[offer]]\nprovider = "{}"\ngpu = "{}"\nusd = {}\ngpus = {}\n'
    file.write_text("".join(text.format(*row) for row in rows))
    assert main(["plan", "llama-3.1-8b", "--gpus", "64", "--prices", str(file), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(one["provider"], one["enough"]) for one in said["offers"]] == [("Dear", True), ("Cheap", False)]
    assert said["offers"][0]["usd_in_all"] == pytest.approx(3 * said["gpu_hours"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no [[offer]]"),
        ('[[offer]]\ngpu = "h100"\nusd = 1', "offer 1 of"),
        ('[[offer]]\nprovider = "A"\ngpu = "h100"\nusd = "1"', "`usd` must be a float, got '1'"),
        ('[[offer]]\nprovider = "A"\ngpu = "h100"\nusd = -1', "must not be negative, got -1"),
        ('[[offer]]\nprovider = "A"\ngpu = "h10"\nusd = 1', "`h10` is not a GPU"),
        ('[[offer]]\nprovider = "A"\ngpu = "h100"\nusd = 1\nprice = 2', "`price` is not a field of an offer"),
        ("[[offer", "is not TOML"),
    ],
)
def test_a_wrong_price_file_is_refused_by_row_and_field(text, words, tmp_path, capsys):
    file = tmp_path / "prices.toml"
    file.write_text(text)
    assert main(["plan", "mini", "--prices", str(file)]) == 2
    assert words in capsys.readouterr().err


def test_the_batch_can_be_split_over_the_gpus():
    assert batch_for(1.2e9, 2048, 8) * 2048 == pytest.approx(2**19, rel=0.5)
    for gpus in (8, 384, 1000, 2048):
        assert batch_for(15e12, 8192, gpus) % (gpus // (gpus & -gpus)) == 0
    assert batch_for(15e12, 8192, 64) * 8192 == pytest.approx(19.4e6, rel=0.5)


def test_the_page_speaks_both_languages(tmp_path, capsys):
    file = tmp_path / "plan.html"
    assert main(["plan", "olmo-3-7b", "--country", "FR", "--page", str(file)]) == 0
    page = file.read_text()
    for words in ("Memory of the fullest GPU", "M\u00e9moire du GPU le plus rempli", "tonnes of CO2 at 56 g", "FSDP"):
        assert words in page
    assert "http:" not in page.replace("http://www.w3.org", "") and "https:" not in page and "<svg" in page
