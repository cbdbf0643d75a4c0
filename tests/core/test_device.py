"""Precision is measured where it would be computed."""

import pytest
import torch

from creuset.core import device
from creuset.core.errors import ConfigError

CPU = torch.device("cpu")


@pytest.mark.parametrize(("native", "bf16", "fp32", "chosen"), [
    (True, 8e11, 2e11, torch.bfloat16),     # matrix units
    (True, 1.2e11, 2.4e11, torch.float32),  # dot products without tiles: native, and half as fast
    (True, 2.2e11, 2.0e11, torch.float32),  # within the noise: fp32
    (False, 9e11, 1e11, torch.float32),     # emulated is not even measured
])
def test_auto_is_bf16_only_where_it_is_clearly_faster(monkeypatch, native, bf16, fp32, chosen):
    measured = []

    def peak(_device, dtype, *, size):
        measured.append(size)
        return bf16 if dtype == torch.bfloat16 else fp32

    monkeypatch.setattr(device, "has_bf16", lambda _: native)
    monkeypatch.setattr(device, "matmul_peak", peak)
    device.bf16_pays.cache_clear()
    try:
        assert device.precision("auto", CPU) == chosen
        assert device.precision("auto", CPU) == chosen
        assert len(measured) == (2 if native else 0), "measured once a process"
    finally:
        device.bf16_pays.cache_clear()


def test_what_is_named_is_taken_and_what_is_unknown_is_refused():
    assert device.precision("bf16", CPU) == torch.bfloat16 and device.precision("fp32", CPU) == torch.float32
    with pytest.raises(ConfigError, match="`fp8` is not a precision"):
        device.precision("fp8", CPU)


def test_the_peak_is_a_rate_that_a_machine_can_have():
    assert 1e8 < device.matmul_peak(CPU, torch.float32, size=128, repeat=2) < 1e15
