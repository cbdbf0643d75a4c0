"""Rows of speed and of price: what was measured under the stated load, and what the stated volume would cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from creuset.compare.ask import Asked, Volume
from creuset.compare.card import Cell, Row, Scale, Text, unknown
from creuset.compare.money import by_hours, by_tokens
from creuset.core.errors import ConfigError
from creuset.evals.prices import Price, Prices

Speeds = Sequence[Mapping[str, Any] | None]     # a speed.json for each system, or nothing

SPEED_ROWS: tuple[tuple[str, Text, Scale, str], ...] = (
    ("first_p50_s", Text("Time to first token, median", "Premier jeton, médiane"), "low", "s"),
    ("first_p95_s", Text("Time to first token, 95 % within", "Premier jeton, 95 % en moins de"), "low", "s"),
    ("stream_p50", Text("Tokens a second in one reply, median", "Jetons par seconde d'une réponse, médiane"), "high",
     "tokens/s"),
    ("together", Text("Tokens a second, all replies together", "Jetons par seconde, toutes réponses"), "high",
     "tokens/s"),
    ("whole_p50_s", Text("Whole reply, median", "Réponse entière, médiane"), "", "s"),
    ("whole_p95_s", Text("Whole reply, 95 % within", "Réponse entière, 95 % en moins de"), "", "s"),
    ("failed_share", Text("Requests that failed", "Requêtes en échec"), "share_low", "share"),
)


def speed_rows(speeds: Speeds) -> list[Row]:
    """Empty where nothing was measured. Systems asked under different loads are shown and not weighed."""
    some = [s for s in speeds if s is not None]
    if not some:
        return []
    loads = {tuple(sorted(s["load"].items())) for s in some}
    why = "not weighed: the systems were asked under different loads" if len(loads) > 1 else ""
    return [
        Row(id=f"speed.{key}", group="speed", label=label, scale=scale, unit=unit, why_unranked=why,
            cells=tuple(_speed_cell(s, key) for s in speeds))
        for key, label, scale, unit in SPEED_ROWS
    ]  # fmt: skip


def _speed_cell(speed: Mapping[str, Any] | None, key: str) -> Cell:
    if speed is None:
        return unknown("not measured", "non mesuré")
    value = speed["failed"] / speed["calls"] if key == "failed_share" else speed[key]
    if value is None:
        return unknown("no reply to measure", "aucune réponse à mesurer")
    load = speed["load"]
    note = (
        f"{load['requests']} requests, {load['concurrency']} at a time, up to {load['max_tokens']} tokens each; "
        f"mean {speed['tokens_mean']:.0f} tokens out, {speed['prompt_tokens_mean']:.0f} in, counted by "
        f"{speed['tokens_by']}; {speed['failed']} failed"
    )
    return Cell(kind="measured", value=float(value), n=speed["calls"] - speed["failed"], source=speed["url"],
                date=speed["date"], note=note)


def price_rows(systems: Sequence[Asked], speeds: Speeds, volume: Volume, prices: Prices) -> list[Row]:
    """List prices and the month's cost, a row for each currency. ConfigError where a system's price is not known."""
    listed = [_listed(s, prices) for s in systems]
    rows = []
    for currency in sorted({p.currency for p in listed if p}):
        for key, label in (
            ("input", Text(f"Input, {currency} per million tokens", f"Entrée, {currency} par million de jetons")),
            ("output", Text(f"Output, {currency} per million tokens", f"Sortie, {currency} par million de jetons")),
        ):
            cells = tuple(
                _reported(getattr(p, key), p) if p and p.currency == currency
                else unknown("no list price", "pas de prix affiché")
                for p in listed
            )
            # Shown, not weighed: the month's cost holds both already.
            rows.append(Row(id=f"price.{key}.{currency}", group="price", label=label, scale="", unit=currency,
                            cells=cells))
    currencies = {p.currency for p in listed if p} | {s.hourly.currency for s in systems if s.hourly}
    for currency in sorted(currencies):
        rows.append(Row(
            id=f"price.month.{currency}", group="price", scale="low", unit=currency,
            label=Text(f"A month of the stated volume, {currency}", f"Un mois du volume indiqué, {currency}"),
            cells=tuple(_cost(*each, volume, currency) for each in zip(systems, listed, speeds, strict=True)),
        ))
    return rows


def _listed(system: Asked, prices: Prices) -> Price | None:
    if not system.price:
        return None
    if (price := prices.find(system.price)) is None:
        raise ConfigError(f"system `{system.name}`: the price file knows no `{system.price}`",
                          hint=f"it knows {', '.join(p.id for p in prices.prices)}")
    return price


def _reported(value: float, price: Price, note: str = "") -> Cell:
    said = "; ".join(n for n in (note, price.note, f"source: {price.grade}" if price.grade else "") if n)
    return Cell(kind="reported", value=value, source=price.source or "a price file that does not say",
                date=price.since or "no date given", note=said)


def _cost(
    system: Asked, price: Price | None, speed: Mapping[str, Any] | None, volume: Volume, currency: str
) -> Cell:
    if price and price.currency == currency:
        value = by_tokens(volume, price.input, price.output)
        return _reported(value, price, "list price x the stated volume; no discount is taken off")
    if system.hourly and system.hourly.currency == currency:
        if speed is None or not speed["together"]:
            return unknown("its speed was not measured", "vitesse non mesurée")
        value = by_hours(volume, system.hourly, speed["together"])
        hours = value / system.hourly.value if system.hourly.value else 0.0
        return Cell(kind="declared", value=value, source=system.hourly.source, date=system.hourly.date,
                    note=f"{hours:,.0f} machine hours at the measured rate x {system.hourly.value} {currency} an hour: "
                         "a lower bound, without reading prompts and standing idle")
    return unknown("no price known", "prix inconnu")
