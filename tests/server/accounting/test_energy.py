"""Energy of completions: what all used together is what the machine used while any ran; never nothing."""

import random
from pathlib import Path

import pytest

from creuset.core.energy import WATTS_PER_CORE, WATTS_PER_CORE_RANGE, Meter
from creuset.server.accounting.energy import EnergyBook

from ..conftest import NAME, start


class Counting:
    method = "a counter of the test"

    def __init__(self) -> None:
        self.total = 5.0  # a counter begins anywhere

    def joules(self) -> float:
        return self.total


def test_what_completions_used_adds_up_to_what_the_machine_used_while_any_ran() -> None:
    draw, counter, now = random.Random(12), Counting(), [0.0]
    book = EnergyBook(Meter(cores=4, gpus=0, cpu=counter, gpu=None), clock=lambda: now[0])
    running: list[str] = []
    used, told = 0.0, 0.0
    for at in range(400):
        now[0] += 1
        step = draw.uniform(0.0, 3.0)
        counter.total += step
        used += step if running else 0.0
        if running and draw.random() < 0.5:
            use = book.ended(running.pop(draw.randrange(len(running))))
            assert use is not None and use.measured and use.low == use.joules == use.high
            told += use.joules
        else:
            running.append(f"r{at}:0")
            book.accepted([running[-1]])
    for id in running:
        told += book.ended(id).joules  # type: ignore[union-attr]
    assert told == pytest.approx(used, rel=1e-9)
    assert book.ended("r0:0") is None, "a completion is told once"


def test_without_a_counter_it_is_an_estimate_with_its_interval() -> None:
    now = [0.0]
    book = EnergyBook(Meter(cores=8, gpus=0, cpu=None, gpu=None), clock=lambda: now[0])
    book.accepted(["a:0", "a:1"])
    now[0] = 3.0
    first, second = book.ended("a:0"), book.ended("a:1")
    assert first is not None and second is not None
    assert first.joules + second.joules == pytest.approx(8 * WATTS_PER_CORE * 3)
    whole = book.of("a")
    assert whole is not None and not whole.measured and book.of("a") is None
    low, high = WATTS_PER_CORE_RANGE
    assert (whole.low, whole.high) == (pytest.approx(8 * low * 3), pytest.approx(8 * high * 3))
    assert whole.header == b"joules=240, low=90, high=420, method=estimated"


def test_a_reply_tells_its_energy(folder: Path) -> None:
    server = start(folder)
    body = {"model": NAME, "messages": [{"role": "user", "content": "slowly 3"}], "n": 2}
    told = server.own.post("/v1/chat/completions", json=body).headers["x-creuset-energy"]
    parts = dict(part.split("=") for part in told.split(", "))
    assert 0 < float(parts["low"]) <= float(parts["joules"]) <= float(parts["high"]) and parts["method"]
    assert "x-creuset-energy" not in server.own.get("/v1/models").headers
    with server.own.stream("POST", "/v1/chat/completions", json=body | {"stream": True}) as stream:
        stream.read()
    lines = [line for line in server.logged('"joules"', times=2).splitlines() if "chat/completions" in line]
    assert len(lines) == 2 and all('"joules": 0.0,' not in line for line in lines)
    assert server.metric(f'creuset_energy_joules_total{{model="{NAME}"}}') > 0
    server.close()
