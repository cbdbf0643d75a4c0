"""What a month costs, reckoned by hand; and what a price file or an operator must say."""

import pytest

from creuset.governance.compare.money import Hours, Operator, Tokens, Volume, gaps, month

VOLUME = Volume(requests=100_000, input_tokens=800, output_tokens=250)
LIST = Tokens(currency="USD", input=1.6, output=6.4, cached_input=0.64, batch_input=0.8, batch_output=3.2)


def asked(**more):
    return Volume(requests=100_000, input_tokens=800, output_tokens=250, **more)


@pytest.mark.parametrize(("volume", "price"), [
    # 80 M tokens in, 25 M out: 128 + 160
    (asked(), 288.0),
    # half of the input from a cache: 40 x 1.6 + 40 x 0.64 + 160
    (asked(cached_share=0.5), 249.6),
    # everything as a batch, without the cache's discount: 80 x 0.8 + 25 x 3.2
    (asked(cached_share=0.5, batch_share=1.0), 144.0),
    # a quarter as a batch: 0.75 x 249.6 + 0.25 x 144
    (asked(cached_share=0.5, batch_share=0.25), 223.2),
    (Volume(requests=0), 0.0),
])  # fmt: skip
def test_a_month_by_tokens(volume, price):
    assert month(volume, LIST) == pytest.approx(price)


def test_the_volume_that_is_assumed_is_the_one_that_the_guide_states():
    assert Volume() == asked() and (Volume().cached_share, Volume().batch_share) == (0, 0)


def test_without_a_discount_on_the_list_the_full_price_counts():
    plain = Tokens(currency="USD", input=2.5, output=10.0)
    for volume in (asked(), asked(cached_share=0.9), asked(batch_share=0.9), asked(cached_share=0.3, batch_share=0.3)):
        assert month(volume, plain) == pytest.approx(80 * 2.5 + 25 * 10)
    assert gaps(plain) == ["cached_input", "batch"] and gaps(LIST) == []
    half = Tokens(currency="USD", input=2.5, output=10.0, cached_input=1.25, batch_input=1.0)
    assert gaps(half) == ["batch"], "a batch has two prices"


def test_a_month_by_hours():
    # 25 M tokens at 250 a second are 100,000 s, 27.78 busy hours
    assert month(VOLUME, Hours(currency="EUR", hour=2.0, tokens_per_second=250.0)) == pytest.approx(100_000 / 3600 * 2)


def test_a_busy_hour_carries_the_idle_ones():
    owner = {"currency": "EUR", "source": "s", "date": "d"}
    # 8,760 over a year is 1 an hour; busy half of the time, 2 a busy hour; 0.5 kW at 0.2 is 0.1
    half = Operator(hardware=8760, years=1, watts=500, kwh=0.2, utilisation=0.5, **owner)
    assert half.busy_hour == pytest.approx(2.1)
    # 17,520 over 4 years is 0.5 an hour, with 4,380 of upkeep 1; always busy
    assert Operator(hardware=17520, years=4, watts=0, kwh=0.2, utilisation=1, upkeep=4380, **owner).busy_hour == 1.0
    for wrong in ({"years": 0}, {"utilisation": 0}, {"utilisation": 1.5}):
        with pytest.raises(ValueError, match="utilisation is from 0"):
            Operator(**({"hardware": 1, "years": 1, "watts": 1, "kwh": 1, "utilisation": 1} | wrong), **owner)


@pytest.mark.parametrize("share", ["cached_share", "batch_share"])
def test_a_share_is_a_share(share):
    Volume(**{share: 1.0})
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"{share} is"):
            Volume(**{share: wrong})
