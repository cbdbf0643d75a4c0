"""Where a request may be answered: what a project demands of the country, the operator and the law of a target.

A target of which nobody said where it runs does not meet any demand.
"""

from collections.abc import Iterable

from creuset.core.errors import Forbidden
from creuset.types.served import Jurisdiction
from creuset.types.tenants import Caller, Demand


class NoLawfulTarget(Forbidden):
    code = "no_lawful_target"


def unlawful(who: Caller | None, place: Jurisdiction) -> str:
    """Why `who` may not be answered at `place`; empty: they may."""
    for demand in () if who is None else who.policy.demands:
        if words := _unmet(demand, place):
            return words
    return ""


def refuse_unlawful(who: Caller | None, place: Jurisdiction) -> None:
    """Raises NoLawfulTarget, before anything of the request is sent there."""
    if words := unlawful(who, place):
        raise NoLawfulTarget(words, param="model", hint="an officer sets this: creuset privacy rules")


def _unmet(demand: Demand, place: Jurisdiction) -> str:
    asked: tuple[tuple[str, tuple[str, ...] | None, tuple[str, ...]], ...] = (
        ("country", demand.countries, (place.country,) if place.country else ()),
        ("operator", demand.operators, (place.operator,) if place.operator else ()),
        ("law", demand.laws, place.law),
    )  # fmt: skip
    for name, allowed, found in asked:
        if allowed is not None and (not found or not set(_plain(found)) <= set(_plain(allowed))):
            said = ", ".join(found) if found else "not stated"
            return (
                f"this project is answered only where the {name} is {' or '.join(allowed)}; of this model it is {said}"
            )
    return ""


def _plain(values: Iterable[str]) -> list[str]:
    return [value.casefold() for value in values]
