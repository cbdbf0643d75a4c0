"""The planner against runs that others published: what chose its constants is kept apart from what judges them."""

import importlib.util
import statistics
from pathlib import Path

import pytest

from creuset.model.count import forward_flops, parameters
from creuset.plan.facts import constants, public_runs
from creuset.plan.trust import config_of_run, measured_runs, median_error, verdicts

STATED = {  # billions of parameters, in all and active, as their makers state them
    "deepseek-v3": (671, 37), "llama-3.1-405b": (405, 405), "qwen1.5-moe-a2.7b": (14.3, 2.7),
    "olmoe-1b-7b": (6.9, 1.3), "olmo-2-13b": (13.7, 13.7), "mixtral-8x7b": (46.7, 12.9),
    "llama-3.1-8b": (8.03, 8.03), "llama-3.1-70b": (70.6, 70.6), "qwen3-30b-a3b": (30.5, 3.3),
    "qwen3-235b-a22b": (235, 22), "gpt-oss-120b": (117, 5.7), "olmo-3-7b": (7.3, 7.3), "olmo-3-32b": (32.2, 32.2),
    "smollm3-3b": (3.08, 3.08),
}  # fmt: skip


def test_every_public_run_has_its_published_counts():
    assert set(public_runs()) == set(STATED)
    for name, (total, active) in STATED.items():
        found = parameters(config_of_run(name))
        assert found.total == pytest.approx(total * 1e9, rel=0.01), name
        assert found.active == pytest.approx(active * 1e9, rel=0.02), name


def test_flops_are_within_2_percent_of_the_published_ones():
    # 3.8e25 for Llama-3.1-405B on 15.6e12 tokens (arXiv:2407.21783, section 3.2.1), by 6 x parameters x tokens.
    assert 6 * parameters(config_of_run("llama-3.1-405b")).active * 15.6e12 == pytest.approx(3.8e25, rel=0.02)
    # Megatron Bridge states TFLOP/s beside tokens/s: 744 and 14,451 for Llama-3-8B, 719 and 1,602 for 70B.
    for name, rate, tflops in (("llama-3.1-8b", 14_451, 744), ("llama-3.1-70b", 1602, 719)):
        assert 3 * forward_flops(config_of_run(name), context=8192) * rate == pytest.approx(tflops * 1e12, rel=0.02)


def test_runs_that_chose_the_constants_are_not_those_that_judge_them():
    runs = measured_runs()
    held = [run for run in runs if run.use == "held out"]
    assert len({run.name for run in runs}) == len(runs) and all(run.source for run in runs)
    assert len(held) >= 4
    assert min(run.gpus for run in held) <= 64 and max(run.gpus for run in held) == 16_384
    kinds = {config_of_run(run.shape).is_moe for run in held}
    assert kinds == {True, False}


def test_half_of_the_held_out_runs_are_planned_within_10_percent():
    found = verdicts()
    assert median_error(found, "held out") < 0.10
    unseen = [abs(one.error) for one in found if one.run.unseen]
    assert len(unseen) == 8 and statistics.median(unseen) < 0.10
    whole = {one.run.name: one.error for one in found if one.run.gpu_hours is not None}
    assert abs(whole["DeepSeek-V3, whole run"]) < 0.10 and abs(whole["Llama-3.1-405B, whole run"]) < 0.10


def test_the_constants_are_those_that_the_fit_finds():
    file = Path(__file__).parents[2] / "validation" / "fit_planner.py"
    spec = importlib.util.spec_from_file_location("fit_planner", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fitted = module.fit()
    for name in module.BOUNDS:
        assert getattr(fitted, name) == pytest.approx(getattr(constants(), name), rel=0.05), name
