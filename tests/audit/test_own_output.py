"""What the model says and what that takes: the watermark by length and attack, leaks, energy."""

import asyncio
import json
import math
import random

import pytest

from creuset.audit import energy, own, pii_leak, watermark_check
from creuset.audit.items import PARTS, REQUIREMENTS
from creuset.audit.part import Room
from creuset.audit.run import measure_of
from creuset.audit.watermark_check import Said
from creuset.core.errors import DataError
from creuset.engine.watermark import Watermark, new_watermark
from creuset.model.count import decode_flops
from creuset.testing import tiny_config, tiny_model_folder, tiny_shards


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
    found = asyncio.run(next(p for p in own.ITEMS if p.name == part).check(
        Room(subject=None, model=home / "model", work=home, given=given, **room)  # type: ignore[arg-type]
    ))
    assert [measure_of(json.loads(json.dumps(m.row()))) for m in found.measures] == found.measures
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


def test_the_cost_is_the_ratio_of_perplexities_of_the_same_prompts():
    plain, marked = [Said([1], [2.0]), Said([1], [3.0])], [Said([1], [2.1]), Said([1], [3.3])]
    row = watermark_check.cost(marked, plain, watermark_check.Facts(Watermark(key=bytes(32)), 1))
    assert row.score == pytest.approx(math.exp(0.2)) and row.interval is not None
    assert row.interval.low < row.score < row.interval.high
    assert row.extra["perplexity_unmarked"] == pytest.approx(math.exp(2.5))


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
    assert used.score > 0 and used.extra["tokens"] == 160 and used.extra["method"] and used.score in used.interval
    assert used.extra["counter"] or "estimate" in used.caveat
    assert found["gco2e_100k_tokens"].score == pytest.approx(50 * used.score)
    flops = found["flop_per_token"]
    assert flops.score == decode_flops(tiny_config(vocab_size=512, context=512), context=flops.extra["context"])
    assert found["training.kwh"].status == "not_tested" and "record" in found["training.kwh"].why


def test_joules_become_kilowatt_hours_and_nothing_is_assumed_of_the_grid():
    config = tiny_config()
    rounds = [energy.Spent(joules, 1.0, 1000, 20, True, "a counter") for joules in (36.0, 36.0, 72.0)]
    rows = {m.metric: m for m in energy.generation_measures(rounds, config, None)}
    assert rows["kwh_100k_tokens"].score == pytest.approx(48 / 3.6e6 * 100)
    assert rows["kwh_100k_tokens"].caveat == "" and rows["gco2e_100k_tokens"].status == "not_tested"
    record = {"stage": "sft", "tokens": 1000, "flops": {"formula": 5e9}, "energy": {"kwh": 2.0, "measured": False,
              "method": "10 W"}}  # fmt: skip
    rows = {m.metric: m for m in energy.training_measures(record, config, energy.Grid(100.0, "x", 2026))}
    assert rows["training.kwh"].score == 2.0 and rows["training.gco2e"].score == 200.0
    assert rows["training.flop"].extra["flop_per_token"] == 5e6 and "last stage (sft)" in rows["training.kwh"].caveat
    assert energy.training_measures({}, config, None)[0].status == "not_tested"


@pytest.mark.parametrize("text", ["", "grams_per_kwh = 50", "grams_per_kwh = -1\nsource = 'x'\nyear = 2026", "= x"])
def test_a_grid_factor_without_a_source_is_refused(tmp_path, text):
    (tmp_path / "grid.toml").write_text(text)
    with pytest.raises(DataError, match="grid"):
        energy.read_grid(tmp_path / "grid.toml")


def test_every_part_of_ours_belongs_to_a_requirement_and_needs_the_weights():
    assert {p.row for p in own.ITEMS} == {"7", "8", "9", "11", "14"} <= set(REQUIREMENTS)
    assert all(p.needs == {"weights"} for p in own.ITEMS) and all(part in PARTS for part in own.ITEMS)
