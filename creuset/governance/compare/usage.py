"""Rows of speed and of price: what was measured under the stated load, and what the stated volume would cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from creuset.core.errors import ConfigError
from creuset.evals.prices import Price, Prices
from creuset.governance.compare.ask import Asked
from creuset.governance.compare.card import Cell, Row, Scale, unknown
from creuset.governance.compare.money import Hours, Tokens, Volume, gaps, month
from creuset.report.language import Text

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


SPREADS = {"first_p50_s": "first_spread_s", "whole_p50_s": "whole_spread_s", "stream_p50": "stream_spread"}


def _speed_cell(speed: Mapping[str, Any] | None, key: str) -> Cell:
    if speed is None:
        return unknown("not measured", "non mesuré")
    value = speed["failed"] / speed["calls"] if key == "failed_share" else speed[key]
    if value is None:
        return unknown("no reply to measure", "aucune réponse à mesurer")
    load, low, high = speed["load"], None, None
    note = (
        f"{load['requests']} requests after {speed.get('warm_up', 1)} to warm up, {load['concurrency']} at a time, "
        f"up to {load['max_tokens']} tokens each; mean {speed['tokens_mean']:.0f} tokens out, "
        f"{speed['prompt_tokens_mean']:.0f} in, counted by {speed['tokens_by']}; {speed['failed']} failed"
    )
    by = "l'usage" if speed["tokens_by"] == "usage" else "les morceaux"
    french = (
        f"{load['requests']} requêtes après {speed.get('warm_up', 1)} de mise en route, {load['concurrency']} à la "
        f"fois, jusqu'à {load['max_tokens']} jetons chacune ; en moyenne {speed['tokens_mean']:.0f} jetons en sortie, "
        f"{speed['prompt_tokens_mean']:.0f} en entrée, comptés par {by} ; {speed['failed']} en échec"
    )
    if found := speed.get(SPREADS.get(key, "")):
        low, high, quarter, three = found
        note += f"; half of them from {quarter:.4g} to {three:.4g}"
        french += f" ; la moitié de {quarter:.4g} à {three:.4g}"
    return Cell(kind="measured", value=float(value), low=low, high=high, n=speed["calls"] - speed["failed"],
                source=speed["url"], date=speed["date"], note=note, note_fr=french)


def price_rows(
    systems: Sequence[Asked], speeds: Speeds, volume: Volume, prices: Prices
) -> tuple[list[Row], list[Tokens | Hours | None]]:
    """List prices and the month's cost, a row for each currency; and what each system is paid by.

    ConfigError where a system's price is not known.
    """
    listed = [_listed(s, prices) for s in systems]
    offers = [_offer(*each) for each in zip(systems, listed, speeds, strict=True)]
    rows = []
    for currency in sorted({p.currency for p in listed if p}):
        for key, en, fr in PRICES:
            cells = tuple(_list_price(p, key, currency) for p in listed)
            if all(c.value is None for c in cells):
                continue
            # Shown, not weighed: the month's cost holds them already.
            rows.append(Row(
                id=f"price.{key}.{currency}", group="price", scale="", unit=currency, cells=cells,
                label=Text(f"{en}, {currency} per million tokens", f"{fr}, {currency} par million de jetons"),
            ))
    currencies = {o.currency for o in offers if o} | {
        p.currency for s, listing in zip(systems, listed, strict=True)
        if listing is None and (p := s.operator or s.hourly)
    }
    for currency in sorted(currencies):
        rows.append(Row(
            id=f"price.month.{currency}", group="price", scale="low", unit=currency,
            label=Text(f"A month of the stated volume, {currency}", f"Un mois du volume indiqué, {currency}"),
            cells=tuple(_cost(*each, volume, currency) for each in zip(systems, listed, offers, strict=True)),
        ))
    return rows, offers


PRICES = (
    ("input", "Input", "Entrée"), ("cached_input", "Input from a cache", "Entrée relue d'un cache"),
    ("output", "Output", "Sortie"), ("batch_input", "Input, batch", "Entrée, par lot"),
    ("batch_output", "Output, batch", "Sortie, par lot"),
)


def _list_price(price: Price | None, key: str, currency: str) -> Cell:
    value = getattr(price, key) if price and price.currency == currency else None
    if price is None or value is None:
        return unknown("no list price", "pas de prix affiché")
    return _reported(float(value), price)


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


def _offer(system: Asked, price: Price | None, speed: Mapping[str, Any] | None) -> Tokens | Hours | None:
    if price is not None:
        return Tokens(currency=price.currency, input=price.input, output=price.output, cached_input=price.cached_input,
                      batch_input=price.batch_input, batch_output=price.batch_output)
    paid = system.operator or system.hourly
    if paid is None or speed is None or not speed["together"]:
        return None
    hour = system.operator.busy_hour if system.operator else system.hourly.value if system.hourly else 0.0
    return Hours(currency=paid.currency, hour=hour, tokens_per_second=speed["together"])


LACKS = {"cached_input": ("no price of cached input is listed: the full one counts",
                          "aucun prix d'entrée en cache n'est affiché : le plein tarif compte"),
         "batch": ("no price of a batch is listed: the full one counts",
                   "aucun prix par lot n'est affiché : le plein tarif compte")}  # fmt: skip


def _cost(
    system: Asked, price: Price | None, offer: Tokens | Hours | None, volume: Volume, currency: str
) -> Cell:
    """What money.py reckons, as an estimate that says from what; unknown where nobody stated a price."""
    paid = system.operator or system.hourly
    if offer is None:
        if paid is not None and paid.currency == currency:
            return unknown("its speed was not measured", "vitesse non mesurée")
        return unknown("no price known", "prix inconnu")
    if offer.currency != currency:
        return unknown("no price known", "prix inconnu")
    value = month(volume, offer)
    if isinstance(offer, Tokens):
        assert price is not None
        said = [LACKS[g] for g in gaps(offer)]
        note = ["list price x the stated volume", *(s[0] for s in said), price.note]
        french = ["prix affiché x volume indiqué", *(s[1] for s in said), price.note]
        return Cell(kind="estimated", value=value, source=price.source or "a price file that does not say",
                    date=price.since or "no date given", note="; ".join(filter(None, note)),
                    note_fr=" ; ".join(filter(None, french)))
    assert paid is not None
    hours = value / offer.hour if offer.hour else 0.0
    return Cell(
        kind="estimated", value=value, source=paid.source, date=paid.date,
        note=f"{hours:,.0f} busy hours at the measured rate x {offer.hour:.4g} {currency} each, as its operator "
             "states: a lower bound, without reading prompts",
        note_fr=f"{hours:,.0f} heures de travail au débit mesuré x {offer.hour:.4g} {currency}, dit son exploitant : "
                "minorant, sans la lecture des consignes",
    )
