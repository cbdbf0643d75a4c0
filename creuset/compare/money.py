"""What a stated volume costs: list price x tokens, or hours of one's own machine at the measured rate. Pure.

Cost of an endpoint = requests x (input tokens x input price + output tokens x output price). No cache, batch or
volume discount is taken off. Cost of one's own machine = output tokens / measured tokens per second / 3600 x price of
an hour: reading prompts and standing idle are not in it, so it is a lower bound, and the cell says so.
"""

from creuset.compare.ask import Hourly, Volume


def by_tokens(volume: Volume, input_per_million: float, output_per_million: float) -> float:
    """Currency units a month."""
    each = volume.input_tokens * input_per_million + volume.output_tokens * output_per_million
    return volume.requests * each / 1e6


def by_hours(volume: Volume, hourly: Hourly, tokens_per_second: float) -> float:
    """Currency units a month at the measured rate of all streams together."""
    return volume.requests * volume.output_tokens / tokens_per_second / 3600 * hourly.value
