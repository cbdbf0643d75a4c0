"""Whole training steps with the native library's passes against the same steps with torch's operators."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from creuset.core.errors import ConfigError
from creuset.model import fused
from creuset.testing import tiny_config
from creuset.train.settings import Optim, Pretrain
from creuset.train.step import StepReport
from tests.train.test_step import ROWS, ours, settings

pytestmark = pytest.mark.skipif(not fused.available(), reason="the native library was not built")


def wide(**changes: Any) -> Pretrain:
    """Heads of 32, which all native passes take."""
    model = replace(tiny_config(), hidden=64, heads=4, kv_heads=2, head_dim=32, expert_ffn=48)
    adam = Optim(lr=2e-3, matrix_lr=5e-3, matrices="adamw", eps=1e-3, warmup_steps=2)
    return replace(settings(model=model, optim=adam), **changes)


def taken(micro: int = ROWS, **changes: Any) -> tuple[dict[str, Tensor], list[StepReport]]:
    state, reports = ours(wide(**changes), micro=micro)
    assert state.fused == (changes.get("kernels") != "torch")
    return state.optimizer.masters, reports


def far(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    """The largest difference of a matrix, over its size."""
    return max(float((found[n] - wanted[n]).norm() / wanted[n].norm()) for n in wanted)


@pytest.mark.parametrize(("precision", "bound"), [("fp32", 2e-5), ("bf16", 1e-2)])
def test_steps_are_those_of_torch(precision: str, bound: float) -> None:
    masters, reports = taken(precision=precision, expert_kernel="padded")
    wanted, said = taken(precision=precision, expert_kernel="padded", kernels="torch")
    assert 0 < far(masters, wanted) < bound, "not two ways, or not one result"
    for mine, theirs in zip(reports, said, strict=True):
        assert mine.loss == pytest.approx(theirs.loss, rel=bound)
        assert mine.parts == pytest.approx(theirs.parts, rel=10 * bound)


def test_an_update_depends_neither_on_the_micro_batches_nor_on_recomputing() -> None:
    whole, _ = taken()
    assert far(taken(micro=1)[0], whole) < 2e-5
    again, _ = taken(checkpoint_activations=True)
    assert all(torch.equal(again[name], whole[name]) for name in whole)


def test_what_is_asked_for_and_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREUSET_NATIVE", "0")
    assert not ours(wide())[0].fused
    with pytest.raises(ConfigError, match="kernels is native, and the native library is not here"):
        taken(kernels="native")


def test_evaluation_is_computed_as_everywhere_else() -> None:
    """Without gradients the model is the definition that `creuset eval` runs."""
    from creuset.model.attention import Packed

    state, _ = ours(wide())
    tokens, positions = torch.arange(40), torch.arange(40)
    with torch.no_grad():
        found = state.model(tokens, positions, Packed([40], fused=True))
        state.model.use_fused(False)
        assert torch.equal(found, state.model(tokens, positions, Packed([40])))
