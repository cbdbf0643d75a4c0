"""Stop strings: the answer ends before the first of them, and not a letter of it leaks.

Text that could still become a stop string is held back until it is decided. Stop strings may
begin and end anywhere: in the middle of a token, or over several of them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StopCheck:
    text: str  # may go out now
    match: str | None = None  # the stop string that ended the answer


class StopMatcher:
    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held = ""

    @property
    def held(self) -> str:
        return self._held

    def push(self, text: str) -> StopCheck:
        """Add `text` and tell what may go out. Where two stop strings match, the earlier in the text wins, then
        the earlier in the list."""
        text = self._held + text
        found = [(at, rank) for rank, stop in enumerate(self._stops) if (at := text.find(stop)) >= 0]
        if found:
            at, rank = min(found)
            self._held = ""
            return StopCheck(text[:at], self._stops[rank])
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return StopCheck(text[: len(text) - keep])

    def finish(self) -> str:
        """What was held back, when the answer ends for another reason."""
        text, self._held = self._held, ""
        return text


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `stop`."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0
