"""Numbers out of their range are refused by name, value and range, wherever they are set."""

import math
from dataclasses import dataclass

import pytest

from creuset.cli import main
from creuset.cli.numbers import integer, number
from creuset.core.config import check_ranges, within


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("[0, 1]", (0, 0.5, 1), (-0.01, 1.01, math.nan, math.inf)),
        ("(0, 1)", (0.01, 0.99), (0, 1)),
        ("[1, inf)", (1, 1e300), (0.99, math.inf, math.nan)),
        ("(-inf, 2]", (-1e300, 2), (2.01, -math.inf)),
    ],
)
def test_an_interval_holds_what_its_brackets_say(
    interval: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    assert all(within(value, interval) for value in inside)
    assert not any(within(value, interval) for value in outside)


@dataclass
class Knobs:
    speed: float | None
    cores: int = 1


def test_the_first_field_out_of_its_range_is_named() -> None:
    ranges = {"speed": "(0, 2]", "cores": "[1, inf)"}
    check_ranges(Knobs(speed=None), ranges)
    with pytest.raises(ValueError, match=r"^speed must be above 0 and at most 2, got 3$"):
        check_ranges(Knobs(speed=3, cores=0), ranges)
    with pytest.raises(ValueError, match=r"^cores must be at least 1, got 0$"):
        check_ranges(Knobs(speed=1, cores=0), ranges)


def test_arguments_are_parsed_into_their_range() -> None:
    assert integer("[1, 9]")("7") == 7 and number("(0, 1)")("0.5") == 0.5


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("plan mini --price -3", "argument --price: must be at least 0, got -3"),
        ("plan mini --price nan", "argument --price: must be a finite number, got nan"),
        ("plan mini --price inf", "argument --price: must be a finite number, got inf"),
        ("plan mini --pue -1", "argument --pue: must be at least 1, got -1"),
        ("plan mini --pue nan", "argument --pue: must be a finite number, got nan"),
        ("plan mini --gpus 1.5", "argument --gpus: `1.5` is not a whole number"),
        ("plan mini --mfu 2", "argument --mfu: must be above 0 and at most 1, got 2"),
        ("plan plus --context -1", "argument --context: must be at least 1, got -1"),
        ("train nano --threads 0 --dry-run", "argument --threads: must be at least 1 and at most 1024, got 0"),
        ("train nano --set optim.clip_norm=-1 --dry-run", "clip_norm must be at least 0, got -1.0"),
        ("train nano --set optim.beta1=1.5 --dry-run", "beta1 must be at least 0 and below 1, got 1.5"),
        ("train nano --set optim.eps=0 --dry-run", "eps must be above 0, got 0.0"),
        ("train nano --set mix=en:0 --dry-run", "mix must have weights above 0, got 0.0 for en"),
        ("eval mini --task piqa --limit 0", "argument --limit: must be at least 1, got 0"),
        ("eval mini --task piqa --concurrency 0", "argument --concurrency: must be at least 1 and at most 1024, got 0"),
        ("audit mini --limit -1", "argument --limit: must be at least 1, got -1"),
        ("compare speed http://127.0.0.1:9/v1 --requests 0", "argument --requests: must be at least 1, got 0"),
        ("audit mini --limit 0", "argument --limit: must be at least 1, got 0"),
        ("compare speed http://127.0.0.1:9/v1 --timeout 0", "argument --timeout: must be above 0, got 0"),
    ],
)
def test_every_command_refuses_by_name_and_range(command: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(command.split())
    except SystemExit as ended:
        code = ended.code
    assert code == 2 and words in capsys.readouterr().err
