"""Which device is taken, and when the speed of its matrix products is known."""

import pytest
import torch

from creuset.core import device
from creuset.core.errors import ConfigError

CPU = torch.device("cpu")


def test_what_is_named_is_taken_and_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.pick("auto") == device.pick("cpu") == CPU
    with pytest.raises(ConfigError, match="`tpu` is not a device; choose cpu, cuda or auto"):
        device.pick("tpu")
    with pytest.raises(ConfigError, match="`cuda:1` was asked for and this machine has no usable GPU"):
        device.pick("cuda:1")


def test_rates_are_those_that_a_machine_can_have() -> None:
    rates = device.matmul_rates(CPU, torch.float32, size=128, repeat=4)
    assert len(rates) == 4 and all(1e7 < rate < 1e15 for rate in rates)


@pytest.mark.parametrize(("rates", "peak"), [
    ([100.0, 99.0, 98.0, 50.0, 20.0], 100.0),  # disturbed now and then: the best three agree
    ([100.0, 90.0, 80.0, 70.0], None),  # never quiet
    ([100.0, 99.0], None),
    ([], None),
])  # fmt: skip
def test_a_peak_is_known_only_when_its_best_repeats_agree(rates: list[float], peak: float | None) -> None:
    assert device.agreed_peak(rates) == peak
