"""What stands between a route and the gate: a request of a client is let in as it is; one of our own errands says more.

An errand is a request that the server makes for somebody: a line of a batch. It has a tier, is charged under a name of
its own, so that a line that was begun twice is charged once, and may only ask what it would cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from creuset.core.errors import RequestError
from creuset.server.protect.place import refuse_unlawful
from creuset.server.tenants.gate import NOTHING_HELD, Gate, Hold, refuse_model
from creuset.types.served import ServedBy
from creuset.types.tenants import Caller


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a request reads, what it can write at most, and what that costs, in millionths of a currency."""

    input: int
    output: int
    least: int = 0  # where nothing is written
    most: int = 0
    currency: str = ""


@dataclass(slots=True)
class Errand:
    """`charge_as`: the name under which the ledger charges it once. `prepaid`: it was charged already. `dry`: it goes
    as far as the gate, leaves its `estimate`, and is not carried out."""

    tier: str = "default"
    charge_as: str = ""
    prepaid: bool = False
    dry: bool = False
    estimate: CostEstimate | None = None


class DryRun(RequestError):
    """A request that was to say what it would cost has come to the gate. Its errand has the estimate."""

    code = "dry_run"


class Asking(Protocol):
    """What is known of a request: `middleware.RequestContext`."""

    id: str
    who: Caller | None
    errand: Errand | None
    served: ServedBy
    facts: dict[str, Any]


def refuse_dry(gate: Gate, asking: Asking, names: Sequence[str], prompt_tokens: int, output: int) -> None:
    """DryRun for a request that only asks what it would cost."""
    errand = asking.errand
    if errand is None or not errand.dry:
        return
    if asking.who is not None:
        refuse_model(asking.who, names)
    least, most, currency = gate.would_cost(names, prompt_tokens, output, errand.tier)
    errand.estimate = CostEstimate(prompt_tokens, output, least, most, currency)
    raise DryRun("this request was to be estimated only")


async def admission(
    gate: Gate, asking: Asking, names: Sequence[str], *, prompt_tokens: int, max_tokens: int, choices: int = 1,
    kind: str = "completions",
) -> Hold:  # fmt: skip
    """A hold for a request. Raises what `Gate.admit` raises, NoLawfulTarget, and DryRun."""
    errand = asking.errand
    refuse_unlawful(asking.who, asking.served.place)
    refuse_dry(gate, asking, names, prompt_tokens, max_tokens * choices)
    if errand is None:
        return await gate.admit(
            asking.who, names, request=asking.id, prompt_tokens=prompt_tokens, max_tokens=max_tokens, choices=choices,
            kind=kind, served=asking.served,
        )  # fmt: skip
    if errand.prepaid:
        if asking.who is not None:
            refuse_model(asking.who, names)
        return NOTHING_HELD
    return await gate.admit(
        asking.who, names, request=asking.id, prompt_tokens=prompt_tokens, max_tokens=max_tokens, choices=choices,
        kind=kind, served=msgspec.structs.replace(asking.served, tier=errand.tier), charge_as=errand.charge_as,
    )  # fmt: skip
