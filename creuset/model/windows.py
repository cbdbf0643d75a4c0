"""How a long document is cut to fit a context. Pure arithmetic."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """Inputs are `ids[start:end]`; of their next tokens, those of inputs from `scored` on are scored here."""

    start: int
    scored: int
    end: int


def windows(targets: int, *, context: int, overlap: int = 0) -> list[Window]:
    """Cut a sequence with `targets` next tokens so that each is scored exactly once.

    A window reads at most `context` tokens, of which the first `overlap` (none in the first window) are only
    context. With overlap 0, the first token of a window is scored with nothing but its predecessor before it, so
    bits per byte of long documents come out a little high; training scores itself in the same way.
    """
    assert 0 <= overlap < context, f"overlap {overlap} must be below context {context}"
    found = [Window(0, 0, min(context, targets))]
    while (done := found[-1].end) < targets:
        start = done - overlap
        found.append(Window(start, done, min(start + context, targets)))
    return found
