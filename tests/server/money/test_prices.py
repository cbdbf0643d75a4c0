"""Prices: whole numbers, tiers, brackets; the cost of a request against its definition in fractions."""

from fractions import Fraction
from math import ceil, floor
from pathlib import Path

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from creuset.core.errors import DataError
from creuset.server.tenants.money.prices import PriceBook, as_money, parse_money, read_prices, shipped_prices
from creuset.types.usage import TokenUsage

OWN = """
[[price]]
id = "house"
names = ["mini"]
input = 0.15
output = 0.6
cached_input = 0.015
cache_write = 0.1875
reasoning = 0.9
batch_input = 0.075
batch_output = 0.3
priority = { input = 0.3, output = 1.2 }
flex = { input = 0.1, output = 0.4 }
brackets = [{ above = 1000, input = 0.3, output = 1.2 }, { above = 5000, input = 0.45, output = 1.8 }]
currency = "EUR"
since = "2026-01-01"
source = "ourselves"
name = "mini"
provider = "us"
"""


@pytest.fixture
def own(tmp_path: Path):
    (tmp_path / "prices.toml").write_text(OWN)
    return read_prices(tmp_path / "prices.toml")[0]


@seed(12)
@settings(max_examples=80, deadline=None)
@given(data=st.data(), tier=st.sampled_from(["default", "batch", "priority", "flex"]))
def test_cost_is_usage_times_price_rounded_once(data, tier):
    prices = shipped_prices()
    price = data.draw(st.sampled_from(prices))
    read, written = data.draw(st.integers(0, 200_000)), data.draw(st.integers(0, 9_000))
    cached = data.draw(st.integers(0, read))
    write = data.draw(st.integers(0, read - cached))
    thought = data.draw(st.integers(0, written))
    usage = TokenUsage(input=read, output=written, cached=cached, cache_write=write, reasoning=thought)
    rates = price.rates(tier, read)
    parts = {
        "input": (read - cached - write, rates.input), "cached input": (cached, rates.cached_input),
        "cache write": (write, rates.cache_write), "output": (written - thought, rates.output),
        "reasoning": (thought, rates.reasoning),
    }  # fmt: skip
    exact = sum(Fraction(count * rate, 10**6) for count, rate in parts.values())
    lines = price.lines(usage, tier)
    assert price.cost(usage, tier) == floor(exact + Fraction(1, 2))
    assert {item: count for item, count, _ in lines} == {item: count for item, (count, _) in parts.items() if count}
    for item, count, amount in lines:
        assert abs(amount - Fraction(count * parts[item][1], 10**6)) <= 1
    most = price.most(read, written, tier)
    assert price.cost(usage, tier) <= most and most >= ceil(exact)


def test_tiers_and_brackets(own):
    assert own.currency == "EUR" and own.version.startswith("house@2026-01-01#")
    million = TokenUsage(input=1000, output=10**6)
    assert [own.cost(million, tier) for tier in ("default", "batch", "priority", "flex")] == [
        150 + 600_000, 75 + 300_000, 300 + 1_200_000, 100 + 400_000,
    ]  # fmt: skip
    # One bracket, by the whole input, prices the whole request: also its output.
    outputs = [own.rates("default", tokens).output for tokens in (1000, 1001, 5000, 5001)]
    assert outputs == [600_000, 1_200_000, 1_200_000, 1_800_000]
    assert own.cost(TokenUsage(input=2000, cached=2000), "batch") == 150, "a batch has no discount for the cache on top"


def test_the_list_prices_of_early_2025_are_there_with_sources():
    book = PriceBook()
    million = TokenUsage(input=10**6, output=10**6)
    told = {"qwen-max-2025-01-25": "8.00", "qwen-plus": "1.60", "qwen-turbo": "0.25", "gpt-4o": "12.50",
            "claude-3-5-sonnet-20241022": "18.00", "deepseek-chat": "1.37"}  # fmt: skip
    for name, total in told.items():
        price = book.find([name], "2025-05-01")
        assert as_money(price.cost(million, "default"), price.currency) == f"{total} USD", name
        assert price.source and price.since
    assert book.find(["deepseek-chat"], "2025-10-01").cost(million, "default") == 2_240_000, "the newer of two"
    assert book.find(["qwen-max"], "2025-01-01").cost(million, "default") == 40_000_000, "before it was lowered"
    write = TokenUsage(input=10**6, cache_write=10**6)
    assert book.find(["claude-3-5-sonnet-latest"], "2026-01-01").cost(write, "default") == 3_750_000
    assert book.find(["nobody"], "2026-01-01") is None


def test_an_administrators_price_stands_before_the_list(own):
    import msgspec

    mine = msgspec.structs.replace(own, names=("gpt-4o",))
    assert PriceBook([mine]).find(["gpt-4o"], "2026-05-01") is mine
    assert PriceBook([mine]).find(["gpt-4o"], "2025-12-31").currency == "USD", "it has not begun"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("input = 0.1500001", "0.1500001 has more than six digits"),
        ("input = -1", "must be a price"),
        ("priority = { input = 1 }", "has input, output"),
        ("brackets = [{ above = 9, input = 1, output = 1 }, { above = 3, input = 1, output = 1 }]", "rising `above`"),
    ],
)
def test_a_price_that_cannot_be_is_refused_by_name(tmp_path, line, words):
    name = line.split(" ")[0]
    text = "\n".join(line if row.startswith(f"{name} ") else row for row in OWN.split("\n"))
    (tmp_path / "prices.toml").write_text(text)
    with pytest.raises(DataError, match=words):
        read_prices(tmp_path / "prices.toml")


def test_money_is_read_and_written_exactly():
    assert parse_money("12.5") == 12_500_000 and as_money(12_500_000, "EUR") == "12.50 EUR"
    assert as_money(-7, "USD") == "-0.000007 USD"
    for text in ("1.2345678", "-1", "x", "NaN", "inf"):
        with pytest.raises(ValueError):
            parse_money(text)


def test_a_batch_costs_half_where_a_price_has_no_column_for_it():
    price = next(one for one in shipped_prices() if "batch" not in one.tiers)
    usage = TokenUsage(input=10**6, output=10**6, cached=10**5)
    assert 0 <= 2 * price.cost(usage, "batch") - price.cost(usage, "default") <= 4, "a half of each rate, rounded up"
    assert price.least(10**6, "batch") <= price.cost(TokenUsage(input=10**6), "batch")
