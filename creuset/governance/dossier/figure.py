"""A figure is a value and where it was read; what is computed says how, so that it can be computed again.

Reading order: `RecordPlace` (a place in a record), `Figure`, `OPERATIONS` (all the arithmetic there is), `pointed`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from creuset.core.errors import DataError
from creuset.core.sentences import sentence
from creuset.model.config import ModelConfig
from creuset.model.count import decode_flops, forward_flops, kv_bytes, parameters
from creuset.model.formats.hf_config import from_hf

INFERENCE_TOKENS = 100_000  # the task of the form's "benchmarked computation for inference"
HOURS_IN_MONTH = 24 * 365.25 / 12


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """A place in a record: RFC 6901 pointer; "" is the whole of it."""

    record: str
    pointer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    key: str  # "flops.total": the name by which forms call it
    number: int  # F12: the same in all documents of a dossier
    value: Any
    sources: tuple[RecordPlace, ...]
    operation: str = "read"
    style: str = "auto"

    @property
    def anchor(self) -> str:
        return f"F{self.number}"


def pointer(*steps: str | int) -> str:
    return "".join("/" + str(s).replace("~", "~0").replace("/", "~1") for s in steps)


def pointed(body: Any, at: str) -> Any:
    """What the pointer `at` points to in `body`; KeyError where there is nothing."""
    value = body
    for step in at.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(name)] if isinstance(value, list) else value[name]
        except (IndexError, ValueError, TypeError, KeyError) as error:
            raise KeyError(at) from error
    return value


def compute(operation: str, values: list[Any]) -> Any:
    if operation not in OPERATIONS:
        raise DataError(f"`{operation}` is not an operation on figures", hint=f"there are {', '.join(OPERATIONS)}")
    return OPERATIONS[operation](*values)


def _shape(config: Mapping[str, Any]) -> ModelConfig:
    return from_hf(dict(config))


def _band(value: float, bands: Sequence[tuple[float, str]]) -> str:
    return next(name for limit, name in bands if value <= limit)


def size_band(config: Mapping[str, Any]) -> str:
    """Bands of the Model Documentation Form for national authorities and downstream providers."""
    bands = [
        (5e8, "1–500M"),
        (5e9, "500M–5B"),
        (1.5e10, "5–15B"),
        (5e10, "15–50B"),
        (1e11, "50–100B"),
        (5e11, "100–500B"),
        (1e12, "500B–1T"),
        (math.inf, ">1T"),
    ]
    return _band(parameters(_shape(config)).total, bands)


def data_band(*tokens: int) -> str:
    """Bands of the public summary of training content for text."""
    return _band(
        sum(tokens),
        [
            (1e9 - 1, sentence("dossier.under_1_billion")),
            (1e13, sentence("dossier.to_10_trillion")),
            (math.inf, sentence("dossier.over_10_trillion")),
        ],
    )


def time_band(*hours: float) -> str:
    """Months, in the form's bands."""
    return _band(sum(hours) / HOURS_IN_MONTH, [(1, "<1"), (3, "1–3"), (6, "3–6"), (math.inf, ">6")])


def inference(config: Mapping[str, Any]) -> int:
    shape = _shape(config)
    return INFERENCE_TOKENS * decode_flops(shape, context=shape.context)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "read": lambda value: value,
    "sum": lambda *values: sum(values),
    "count": lambda value: len(value),
    "share": lambda *values: sum(values[:-1]) / values[-1],  # of the last
    "one_less_share": lambda part, whole: 1 - part / whole,
    "exponent": lambda *values: math.floor(math.log10(sum(values))) if sum(values) > 0 else None,
    "first_share": lambda part, *values: part / sum(values),  # of all the others
    "rest": lambda part: 1 - part,
    "share_of_part": lambda part, one, *values: part * one / sum(values),  # of all the others, and that of a part
    "carbon": lambda *values: sum(values[:-1]) * values[-1] / 1e3,  # kWh and g CO2e a kWh -> kg CO2e
    "mega": lambda *values: sum(values) / 1e3,  # kWh -> MWh
    "days": lambda *hours: sum(hours) / 24,
    "rows": lambda *lists: sum(map(len, lists)),
    "measured": lambda *lists: sum(row.get("status", "measured") == "measured" for rows in lists for row in rows),
    "all": lambda *values: all(values),
    "first": lambda *values: min(values),
    "last": lambda *values: max(values),
    "parameters_total": lambda config: parameters(_shape(config)).total,
    "parameters_active": lambda config: parameters(_shape(config)).active,
    "size_band": size_band,
    "time_band": time_band,
    "data_band": data_band,
    "kv_bytes": lambda config: kv_bytes(_shape(config)),
    "forward_flops": lambda config: forward_flops(_shape(config), context=_shape(config).context),
    "inference_100k": inference,
    "six_n_d": lambda config, *tokens: 6.0 * parameters(_shape(config)).active * sum(tokens),
}
