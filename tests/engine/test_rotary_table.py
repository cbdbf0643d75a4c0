"""The engine's rotations: equal to the definition at every position, however the table grew."""

import pytest
import torch

from creuset.engine.backend.torch.norm import fused_norm
from creuset.engine.backend.torch.rotary import BLOCK, GROWTH, RotaryTable
from creuset.model.layers.norm import RMSNorm
from creuset.model.rope import Rotary
from creuset.model.rope_scaling import RopeScaling
from creuset.testing import tiny_config

LONGROPE = RopeScaling(
    kind="longrope", original_context=64, short_factor=(1.0,) * 4, long_factor=(2.0,) * 4, attention_factor=1.5
)


def table(**changes):
    rotary = Rotary(tiny_config("phi3", context=100_000, **changes))
    return rotary, RotaryTable(rotary, dtype=torch.float32, device="cpu")


@pytest.mark.parametrize("changes", [{}, {"rope_scaling": LONGROPE}, {"rotary_dim": 4}])
def test_rotations_are_those_of_the_definition_and_do_not_depend_on_how_the_table_grew(changes):
    rotary, grown = table(**changes)
    positions = torch.tensor([0, 63, 64, 511, 512, BLOCK * GROWTH - 1, BLOCK * GROWTH, 9000])
    for length in (10, BLOCK * GROWTH + 1, 9001):
        grown.turns(torch.tensor([length - 1]), [(1, length)])
    at_once = table(**changes)[1].turns(positions, [(len(positions), 9001)])
    found = grown.turns(positions, [(len(positions), 9001)])
    for one, other, wanted in zip(found, at_once, rotary.turns(positions, [(8, 9001)], torch.float32), strict=True):
        for a, b, c in zip(one, other, wanted, strict=True):
            assert torch.equal(a, b)
            torch.testing.assert_close(a, c, rtol=0, atol=1e-6)


def test_each_token_is_turned_by_the_rule_of_its_own_sequence():
    rotary, made = table(rope_scaling=LONGROPE)
    positions = torch.tensor([3, 4, 3, 4])
    (turn,) = made.turns(positions, [(2, 64), (2, 65)])
    assert not torch.equal(turn.cos_T1D[:2], turn.cos_T1D[2:])
    (short,), (long,) = (rotary.turns(positions[:2], [(2, length)], torch.float32) for length in (64, 65))
    assert torch.allclose(turn.cos_T1D[:2], short.cos_T1D) and torch.allclose(turn.cos_T1D[2:], long.cos_T1D)


@pytest.mark.parametrize("engine", [False, True])
def test_a_norm_stored_minus_one_keeps_its_small_weights_in_bf16(engine):
    """1 + 0.001 is 1 in bf16: the sum is to be made in fp32, as Gemma's definition does."""
    norm = RMSNorm(64, 1e-6, offset=1.0)
    weight = torch.linspace(-0.003, 0.003, 64)
    with torch.no_grad():
        norm.weight.copy_(weight)
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    norm = norm.to(torch.bfloat16)
    unit = x.float() * (x.float().square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    wanted = (unit * (1 + norm.weight.float())).to(torch.bfloat16)
    found = (fused_norm(norm) if engine else norm)(x)
    assert found.dtype == torch.bfloat16
    assert (found != wanted).float().mean() < 0.01  # a rounding at the edge
