"""The planner's arithmetic against definitions written here."""

import dataclasses
import math

import pytest

from creuset.core.errors import ConfigError
from creuset.model.config import ModelConfig, named
from creuset.model.count import attention_flops, forward_flops, parameters
from creuset.plan.facts import constants, gpu
from creuset.plan.layout import Layout, candidates, why_not
from creuset.plan.memory import GIB, memory, parameters_on
from creuset.plan.search import best, search
from creuset.plan.step import step
from creuset.plan.wall import goodput, losses

DENSE = ModelConfig(
    family="qwen3", vocab_size=32_000, hidden=4096, layers=32, heads=32, kv_heads=8, head_dim=128, ffn=14_336,
    tie_embeddings=False,
)  # fmt: skip
MOE = named("plus")
# A machine that reaches its data sheet, reads and sends in no time, and starts kernels at once.
IDEAL = dataclasses.replace(
    constants(), products=1.0, experts=1.0, attention=1.0, launch=0.0, launch_moe=0.0, memory=1e9, network=1e9
)


@pytest.mark.parametrize("config", [DENSE, MOE], ids=["dense", "moe"])
def test_on_an_ideal_machine_a_step_takes_its_flops_over_the_peak(config):
    machine, batch, context = gpu("h100"), 8, 2048
    taken = step(config, Layout(micro_batch=2), machine, IDEAL, batch=batch, context=context)
    scores = attention_flops(config, [context]) * batch
    products = forward_flops(config, context=context) * batch * context - scores
    # Backward, products cost twice as much, and attention 2.5 times (its scores are made again).
    wanted = (3 * products + 3.5 * scores) / machine.bf16
    assert taken.seconds == pytest.approx(wanted, rel=0.01)
    assert taken.bubble == taken.waited == taken.recompute == 0


def test_the_bubble_is_that_of_1f1b_and_smaller_with_virtual_parts():
    machine = gpu("h100")
    one = {"batch": 16, "context": 2048}
    taken = step(DENSE, Layout(pipeline=4), machine, IDEAL, **one)
    work = taken.seconds - taken.bubble
    # 16 micro-batches and 4 stages: 3 / 16 of the work, but for the head, which only the last stage has.
    assert taken.bubble / work == pytest.approx(3 / 16, rel=0.05)
    interleaved = step(DENSE, Layout(pipeline=4, virtual=4), machine, IDEAL, **one)
    assert interleaved.bubble == pytest.approx(taken.bubble / 4, rel=1e-6)


def test_blocks_recomputed_cost_one_forward_pass_more():
    machine = gpu("h100")
    plain = step(DENSE, Layout(), machine, IDEAL, batch=1, context=2048)
    again = step(DENSE, Layout(recompute="full"), machine, IDEAL, batch=1, context=2048)
    forward = forward_flops(DENSE, context=2048) * 2048 - 2 * 2048 * DENSE.hidden * DENSE.vocab_size
    assert again.seconds - plain.seconds == pytest.approx(forward / machine.bf16, rel=0.01)


def test_tensor_ranks_send_nine_times_a_blocks_stream():
    taken = step(DENSE, Layout(tensor=4), gpu("h100"), constants(), batch=2, context=4096)
    (sent,) = taken.traffic
    assert (sent.axis, sent.link) == ("tensor", "node")
    assert sent.bytes == pytest.approx(2 * 32 * 9 * 2 * 4096 * 4096 * 3 / 4)
    assert 0 < sent.waited <= sent.seconds


def test_data_ranks_gather_weights_and_scatter_gradients():
    x = Layout(data=16, shard="full")
    (sent,) = step(DENSE, x, gpu("h100"), constants(), batch=32, context=4096).traffic
    weights = parameters(DENSE).total
    assert sent.bytes == pytest.approx(2 * weights * 15 / 16 * (2 + 2 + 2))
    (once,) = step(DENSE, Layout(data=16), gpu("h100"), constants(), batch=32, context=4096).traffic
    assert once.bytes == pytest.approx(weights * 15 / 16 * (4 + 2))  # once a step, gradients in fp32


@pytest.mark.parametrize(
    "layout", [Layout(), Layout(tensor=4), Layout(pipeline=2, tensor=2), Layout(data=8, expert=8), Layout(data=4)]
)
def test_each_parameter_is_somewhere_once(layout):
    count = parameters(MOE)
    dense, experts = parameters_on(MOE, layout)
    ranks = layout.expert if layout.expert > 1 else layout.tensor
    assert experts * layout.pipeline * ranks == pytest.approx(count.experts)
    rest = count.total - count.experts
    held = dense * layout.tensor * layout.pipeline
    ends = (
        (layout.pipeline - 2) * count.embedding if layout.pipeline > 1 else 0
    )  # the fullest stage has one of both ends
    assert held == pytest.approx(rest + ends, rel=1e-9)


def test_training_state_is_eighteen_bytes_a_parameter_over_the_ranks_that_share_it():
    total = parameters(DENSE).total
    alone = memory(DENSE, Layout(), context=128, gpu_gib=80)
    assert alone.weights + alone.gradients + alone.optimizer == pytest.approx(18 * total)
    zero = memory(DENSE, Layout(data=8), context=128, gpu_gib=80)
    assert (zero.weights, zero.optimizer) == (pytest.approx(2 * total), pytest.approx(12 * total / 8))
    full = memory(DENSE, Layout(data=8, shard="full"), context=128, gpu_gib=80)
    assert full.weights + full.gradients + full.optimizer == pytest.approx(18 * total / 8)
    some = memory(DENSE, Layout(data=8, shard="full", shard_ranks=2), context=128, gpu_gib=80)
    assert some.weights == pytest.approx(2 * total / 2)


def test_activations_grow_with_tokens_and_shrink_with_what_is_recomputed():
    def kept(**more):
        return memory(DENSE, Layout(**more), context=4096, gpu_gib=80).activations

    assert kept(micro_batch=2) == pytest.approx(2 * kept(), rel=1e-9)
    assert kept(recompute="full") < kept(recompute="selective") < kept()
    assert kept(pipeline=4) == pytest.approx(kept(), rel=0.2)  # a quarter of the blocks, four micro-batches of them


def test_checkpoints_are_written_as_young_says():
    lost = losses(16_384)
    between = 16_384 * 54 * 24 / 466 / 16_384  # hours
    assert lost.hours_between == pytest.approx(between) and between == pytest.approx(2.781, rel=1e-3)
    assert lost.checkpoint_minutes == pytest.approx(math.sqrt(2 * 30 * between * 3600) / 60)
    assert 0.80 < lost.goodput < 0.95  # "higher than 90 % effective training time" was published
    assert goodput(8) > 0.99 > goodput(100_000)


def test_the_search_finds_what_trying_all_layouts_finds():
    machine, k = gpu("h100"), constants()
    one = {"gpus": 16, "batch": 32, "context": 2048}
    found = search(DENSE, machine, **one, fp8=False, k=k)
    tried = [
        step(DENSE, x, machine, k, batch=32, context=2048).seconds
        for x in candidates(DENSE, gpus=16, node=8, batch=32, context=2048)
        if why_not(DENSE, x, batch=32, context=2048) is None
        and memory(DENSE, x, context=2048, gpu_gib=80).total <= 80 * GIB
    ]
    assert [one.time.seconds for one in found.ranked] == sorted(tried)
    assert all(one.layout.gpus == 16 and one.memory.total <= 80 * GIB for one in found.ranked)


def test_what_cannot_be_split_is_refused_with_its_reason():
    said = {
        "32 heads": Layout(tensor=64),
        "32 layers are fewer": Layout(pipeline=64),
        "experts can not be split": Layout(expert=2),
        "no multiple of 3 data ranks": Layout(data=3),
        "interleaved": Layout(pipeline=16, virtual=2, data=2),
    }
    for words, layout in said.items():
        assert words in str(why_not(DENSE, layout, batch=16, context=4096))
    with pytest.raises(ConfigError, match="smallest needs"):
        best(named("plus"), gpu("h100"), gpus=8, batch=64, context=4096, fp8=False, k=constants())
    with pytest.raises(ConfigError, match="`data` of a layout must be at least 1, got 0"):
        Layout(data=0)
