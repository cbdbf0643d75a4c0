"""Rows of speed and of price: what was measured under the stated load, and what the stated volume would cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from creuset.core.errors import ConfigError
from creuset.core.sentences import joined, sentence
from creuset.evals.prices import Price, Prices
from creuset.governance.compare.ask import AskedSystem
from creuset.governance.compare.card import Cell, Row, Scale, unknown
from creuset.governance.compare.money import Hours, Tokens, Volume, gaps, month

Speeds = Sequence[Mapping[str, Any] | None]  # a speed.json for each system, or nothing

SPEED_ROWS: tuple[tuple[str, str, Scale, str], ...] = (
    ("first_p50_s", sentence("compare.time_to_first_token_median"), "low", "s"),
    ("first_p95_s", sentence("compare.time_to_first_token_95_within"), "low", "s"),
    ("stream_p50", sentence("compare.tokens_a_second_in_one_reply"), "high", "tokens/s"),
    ("together", sentence("compare.tokens_a_second_all_replies_together"), "high", "tokens/s"),
    ("whole_p50_s", sentence("compare.whole_reply_median"), "", "s"),
    ("whole_p95_s", sentence("compare.whole_reply_95_within"), "", "s"),
    ("failed_share", sentence("compare.requests_that_failed"), "share_low", "share"),
)


def speed_rows(speeds: Speeds) -> list[Row]:
    """Empty where nothing was measured. Systems asked under different loads are shown and not weighed."""
    some = [s for s in speeds if s is not None]
    if not some:
        return []
    loads = {tuple(sorted(s["load"].items())) for s in some}
    why = sentence("compare.different_loads") if len(loads) > 1 else ""
    return [
        Row(id=f"speed.{key}", group="speed", label=label, scale=scale, unit=unit, why_unranked=why,
            cells=tuple(_speed_cell(s, key) for s in speeds))
        for key, label, scale, unit in SPEED_ROWS
    ]  # fmt: skip


SPREADS = {"first_p50_s": "first_spread_s", "whole_p50_s": "whole_spread_s", "stream_p50": "stream_spread"}


def _speed_cell(speed: Mapping[str, Any] | None, key: str) -> Cell:
    if speed is None:
        return unknown(sentence("compare.not_measured"))
    value = speed["failed"] / speed["calls"] if key == "failed_share" else speed[key]
    if value is None:
        return unknown(sentence("compare.no_reply"))
    load, low, high = speed["load"], None, None
    note = sentence(
        "compare.load",
        requests=load["requests"],
        warm_up=speed.get("warm_up", 1),
        concurrency=load["concurrency"],
        max_tokens=load["max_tokens"],
        tokens=speed["tokens_mean"],
        prompt_tokens=speed["prompt_tokens_mean"],
        by=sentence(f"compare.by_{speed['tokens_by']}"),
        failed=speed["failed"],
    )
    if found := speed.get(SPREADS.get(key, "")):
        low, high, quarter, three = found
        note = sentence("compare.load_and_half", load=note, quarter=quarter, three=three)
    return Cell(
        kind="measured",
        value=float(value),
        low=low,
        high=high,
        n=speed["calls"] - speed["failed"],
        source=speed["url"],
        date=speed["date"],
        note=note,
    )


def price_rows(
    systems: Sequence[AskedSystem], speeds: Speeds, volume: Volume, prices: Prices
) -> tuple[list[Row], list[Tokens | Hours | None]]:
    """List prices and the month's cost, a row for each currency; and what each system is paid by.

    ConfigError where a system's price is not known.
    """
    listed = [_listed(s, prices) for s in systems]
    offers = [_offer(*each) for each in zip(systems, listed, speeds, strict=True)]
    rows = []
    for currency in sorted({p.currency for p in listed if p}):
        for key in PRICES:
            cells = tuple(_list_price(p, key, currency) for p in listed)
            if all(c.value is None for c in cells):
                continue
            # Shown, not weighed: the month's cost holds them already.
            rows.append(
                Row(
                    id=f"price.{key}.{currency}",
                    group="price",
                    scale="",
                    unit=currency,
                    cells=cells,
                    label=sentence("compare.price", what=sentence(f"compare.price_{key}"), currency=currency),
                )
            )
    currencies = {o.currency for o in offers if o} | {
        p.currency
        for s, listing in zip(systems, listed, strict=True)
        if listing is None and (p := s.operator or s.hourly)
    }
    for currency in sorted(currencies):
        rows.append(
            Row(
                id=f"price.month.{currency}",
                group="price",
                scale="low",
                unit=currency,
                label=sentence("compare.a_month_of_the_stated_volume", currency=currency),
                cells=tuple(_cost(*each, volume, currency) for each in zip(systems, listed, offers, strict=True)),
            )
        )
    return rows, offers


PRICES = ("input", "cached_input", "output", "batch_input", "batch_output")


def _list_price(price: Price | None, key: str, currency: str) -> Cell:
    value = getattr(price, key) if price and price.currency == currency else None
    if price is None or value is None:
        return unknown(sentence("compare.no_list_price"))
    return _reported(float(value), price)


def _listed(system: AskedSystem, prices: Prices) -> Price | None:
    if not system.price:
        return None
    if (price := prices.find(system.price)) is None:
        raise ConfigError(
            f"system `{system.name}`: the price file knows no `{system.price}`",
            hint=f"it knows {', '.join(p.id for p in prices.prices)}",
        )
    return price


def _reported(value: float, price: Price, note: str = "") -> Cell:
    said = "; ".join(n for n in (note, price.note, f"source: {price.grade}" if price.grade else "") if n)
    return Cell(
        kind="reported",
        value=value,
        source=price.source or "a price file that does not say",
        date=price.since or "no date given",
        note=said,
    )


def _offer(system: AskedSystem, price: Price | None, speed: Mapping[str, Any] | None) -> Tokens | Hours | None:
    if price is not None:
        return Tokens(
            currency=price.currency,
            input=price.input,
            output=price.output,
            cached_input=price.cached_input,
            batch_input=price.batch_input,
            batch_output=price.batch_output,
        )
    paid = system.operator or system.hourly
    if paid is None or speed is None or not speed["together"]:
        return None
    hour = system.operator.busy_hour if system.operator else system.hourly.value if system.hourly else 0.0
    return Hours(currency=paid.currency, hour=hour, tokens_per_second=speed["together"])


def _cost(
    system: AskedSystem, price: Price | None, offer: Tokens | Hours | None, volume: Volume, currency: str
) -> Cell:
    """What money.py reckons, as an estimate that says from what; unknown where nobody stated a price."""
    paid = system.operator or system.hourly
    if offer is None:
        if paid is not None and paid.currency == currency:
            return unknown(sentence("compare.no_speed"))
        return unknown(sentence("compare.no_price"))
    if offer.currency != currency:
        return unknown(sentence("compare.no_price"))
    value = month(volume, offer)
    if isinstance(offer, Tokens):
        assert price is not None
        lacks = [sentence(f"compare.no_{gap}") for gap in gaps(offer)]
        note = joined(sentence("compare.list_price_x_volume"), *lacks, price.note)
        return Cell(
            kind="estimated",
            value=value,
            source=price.source or "a price file that does not say",
            date=price.since or "no date given",
            note=note,
        )
    assert paid is not None
    hours = value / offer.hour if offer.hour else 0.0
    return Cell(
        kind="estimated",
        value=value,
        source=paid.source,
        date=paid.date,
        note=sentence("compare.busy_hours", hours=hours, hour=offer.hour, currency=currency),
    )
