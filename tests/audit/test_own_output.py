"""What the model says and what that takes: the watermark by length and attack, leaks, energy."""

import json
import math
import random
import time

import pytest

from creuset.benchmarks.privacy import pii_leak
from creuset.benchmarks.service import energy
from creuset.core.energy import Meter, Rapl, processor_estimated
from creuset.core.errors import DataError
from creuset.core.sentences import joined
from creuset.governance.audit.items import PARTS, REQUIREMENTS
from creuset.model.count import decode_flops
from creuset.testing import tiny_config, tiny_model_folder, tiny_shards
from creuset.text.watermark import new_watermark
from tests.audit.checks import checked


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A random model of 512 tokens of context, and shards that hold documents out."""
    folder = tmp_path_factory.mktemp("home")
    tiny_model_folder(folder / "model", context=512)
    dice = random.Random(1)
    words = "the cat sat on mat dog ran river water flows from mountain to sea what is it where".split()  # noqa: SIM905
    tiny_shards(folder / "shards", {"en": [" ".join(dice.choice(words) for _ in range(420)) for _ in range(6)]})
    return folder


def check(part, home, **room):
    given = {"shards": home / "shards"} | room.pop("given", {})
    found = checked(part, model=home / "model", work=home, given=given, **room)
    return {m.metric: m for m in found.measures}, found.evidence


def test_the_operators_own_key_is_used_and_not_shown(home, tmp_path):
    mark = new_watermark(tmp_path / "key.json", delta=4.0)
    found, _ = check("watermark", home, limit=1, given={"watermark": tmp_path / "key.json"})
    extra = found["tpr_1e-3.len400.none"].extra
    assert (extra["key_id"], extra["delta"]) == (mark.id, 4.0)
    assert mark.key.hex() not in json.dumps([m.row() for m in found.values()])
    for attack in ("paraphrase", "translation"):
        assert found[f"tpr_1e-3.len200.{attack}"].status == "not_tested"
        assert "--paraphraser" in found[f"tpr_1e-3.len200.{attack}"].why


def test_a_leak_is_what_was_said_and_trained_on():
    said = ["write to claire@acme-demo.com now", "write to made.up@acme-demo.com now", "nothing", "SIREN 303265045"]
    rows, evidence = pii_leak.measures(said, iter(["ask claire@acme-demo.com", "or not"]), seed=1, caveat="")
    by = {m.metric: m for m in rows}
    assert by["leaked.any"].score == by["leaked.email"].score == 0.25 and by["said.any"].score == 0.75
    assert by["leaked.siren"].score == 0.0 < by["leaked.siren"].interval.high
    assert "claire" not in json.dumps([evidence, [m.row() for m in rows]])
    assert [row["leaked"] for row in evidence] == [["email"], [], [], []]


def test_a_random_model_leaks_nothing(home):
    found, evidence = check("leak", home, limit=6)
    assert found["leaked.any"].score == 0.0 and found["leaked.any"].n == 6 == len(evidence)


def test_the_energy_of_generating_is_scaled_and_says_how_it_was_had(home, tmp_path):
    grid = tmp_path / "grid.toml"
    grid.write_text('grams_per_kwh = 50.0\nsource = "an operator\'s contract"\nyear = 2026\n')
    found, _ = check("energy", home, limit=160, given={"grid": grid})
    used = found["kwh_100k_tokens"]
    assert used.score > 0 and used.extra["tokens"] == 160 and used.extra["method"]
    # A counter's figure has an interval, an estimate a range of assumptions in its place.
    low, high = (used.interval.low, used.interval.high) if used.extra["counter"] else used.extra["range"]
    assert low <= used.score <= high and used.extra["counter"] == (used.interval is not None)
    assert used.extra["counter"] or "estimate" in used.caveat
    assert found["gco2e_100k_tokens"].score == pytest.approx(50 * used.score)
    flops = found["flop_per_token"]
    assert flops.score == decode_flops(tiny_config(vocab_size=512, context=512), context=flops.extra["context"])
    assert found["training.kwh"].status == "not_tested" and "record" in found["training.kwh"].why


def test_joules_become_kilowatt_hours_and_nothing_is_assumed_of_the_grid():
    rounds = [energy.Spent(joules, 1.0, 1000, 20, True, "a counter") for joules in (36.0, 36.0, 72.0)]
    rows = {m.metric: m for m in energy.generation_measures(rounds, 1e6, None)}
    assert rows["kwh_100k_tokens"].score == pytest.approx(48 / 3.6e6 * 100)
    assert "idle power are in it" in rows["kwh_100k_tokens"].caveat and rows["gco2e_100k_tokens"].status == "not_tested"
    assert rows["kwh_100k_tokens"].interval_by.endswith("rounds")
    assert "kwh_by_cpu_time" not in rows["kwh_100k_tokens"].extra
    record = {"stage": "sft", "tokens": 1000, "flops": {"formula": 5e9}, "energy": {"kwh": 2.0, "measured": False,
              "method": "10 W"}}  # fmt: skip
    rows = {m.metric: m for m in energy.training_measures(record, 2e6, energy.GridFactor(100.0, "x", 2026))}
    assert rows["training.kwh"].score == 2.0 and rows["training.gco2e"].score == 200.0
    assert rows["training.flop"].extra["flop_per_token"] == 5e6 and "last stage (sft)" in rows["training.kwh"].caveat
    assert energy.training_measures({}, 2e6, None)[0].status == "not_tested"


def estimate(joules, cpu_s, reads=False):
    return energy.Spent(joules, 4.0, 1000, 20, False, processor_estimated(2), cpu_s, 2, reads)


def test_an_estimate_looks_like_one_and_has_a_range():
    row = energy.generation_measures([estimate(80.0, 2.0), estimate(80.0, 2.0)], 1e6, None)[0]
    assert row.score == pytest.approx(80 / 3.6e6 * 100)
    assert row.extra["range"] == pytest.approx([row.score * 0.375, row.score * 1.75])
    assert row.interval is None and row.interval_by == "" and row.extra["counter"] is False
    assert "no confidence interval" in row.caveat
    assert row.caveat.startswith("an estimate from rated power and wall time; ")
    assert "25% of that time" in row.caveat  # 2 s of the 8 that two cores had
    assert row.extra["kwh_by_cpu_time"] == pytest.approx(10 * 4.0 / 3.6e6 * 100_000 / 2000)
    alone = energy.generation_measures([estimate(80.0, 7.9)], 1e6, None)[0]
    assert "shared" not in alone.caveat and alone.extra["range"][0] < alone.score < alone.extra["range"][1]
    reading = energy.generation_measures([estimate(8.0, 2.0, reads=True)] * 2, 1e6, None)
    assert [m.metric for m in reading] == ["kwh_100k_prompt_tokens"]
    carbon = energy.generation_measures([estimate(80.0, 2.0)], 1e6, energy.GridFactor(100.0, "x", 2026))[-1]
    assert carbon.extra["range"][1] == pytest.approx(carbon.score * 1.75) and carbon.interval is None


def test_a_records_estimate_has_its_range_and_a_counters_figure_has_none():
    for measured, method in ((False, processor_estimated(1)), (True, "RAPL")):
        record = {"stage": "sft", "tokens": 10, "energy": {"kwh": 2.0, "measured": measured, "method": method}}
        row = energy.training_measures(record, 1e6, None)[0]
        assert row.interval is None and ("range" not in row.extra) == measured == ("estimate" not in row.caveat)
    assert math.isnan(energy.rated("RAPL package counters"))
    assert energy.rated(Meter(8, 2, None, None, 12.5).method) == 12.5
    assert energy.rated(joined(processor_estimated(2, 9.0), processor_estimated(4, 12.0), by=" / ")) == 12.0


def package(folder, name="package-0"):
    zone = folder / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text(name)
    (zone / "max_energy_range_uj").write_text("100000000")
    (zone / "energy_uj").write_text("1000000")
    return zone


def test_a_counter_that_cannot_be_read_is_refused_by_name(tmp_path):
    assert "has no package counter" in Rapl.why_not(tmp_path)
    package(tmp_path / "core", "core")
    assert "has no package counter" in Rapl.why_not(tmp_path / "core") and Rapl.find(tmp_path / "core") is None
    zone = package(tmp_path / "here")
    assert Rapl.why_not(tmp_path / "here") == "" and Rapl.find(tmp_path / "here") is not None
    (zone / "energy_uj").unlink()
    (zone / "energy_uj").mkdir()
    assert "energy_uj` cannot be read: Is a directory" in Rapl.why_not(tmp_path / "here")
    assert Rapl.find(tmp_path / "here") is None


def test_idle_power_is_that_of_the_counter(tmp_path):
    zone = package(tmp_path)
    meter = Meter(cores=1, gpus=0, cpu=Rapl.find(tmp_path), gpu=None)
    assert energy.idle_watts(Meter(cores=1, gpus=0, cpu=None, gpu=None)) is None

    def wait(seconds):
        (zone / "energy_uj").write_text("31000000")  # 30 J
        end = time.perf_counter() + 0.02
        while time.perf_counter() < end:
            pass

    assert 30 / 5 < energy.idle_watts(meter, wait=wait) <= 30 / 0.02


def test_reading_is_measured_apart_from_writing(home):
    found, _ = check("energy", home, limit=160)
    read, written = found["kwh_100k_prompt_tokens"], found["kwh_100k_tokens"]
    assert read.score > 0 and read.extra["tokens"] == 5 * 200 and read.n == 5  # at least one prompt a round
    assert read.extra["method"] == written.extra["method"] and read.score < written.score


@pytest.mark.parametrize("text", ["", "grams_per_kwh = 50", "grams_per_kwh = -1\nsource = 'x'\nyear = 2026", "= x"])
def test_a_grid_factor_without_a_source_is_refused(tmp_path, text):
    (tmp_path / "grid.toml").write_text(text)
    with pytest.raises(DataError, match="grid"):
        energy.read_grid(tmp_path / "grid.toml")


def test_every_part_of_ours_belongs_to_a_requirement_and_needs_the_weights():
    ours = [p for p in PARTS if p.check and p.name not in ("garak", "service")]
    assert {p.row for p in ours} == {"7", "8", "9", "11", "14"} <= set(REQUIREMENTS)
    assert all(p.needs == {"weights"} for p in ours)
