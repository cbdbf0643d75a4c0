"""The loss page: what a run's events say, as plots. Regenerated whole each time; no script in it."""

from pathlib import Path
from typing import Any

from creuset.core.jsonl import kept
from creuset.core.log import duration
from creuset.report import chart as plot


def read_events(path: Path) -> list[dict[str, Any]]:
    """Events of a run; a last line cut by a kill is left out."""
    return kept(path)


def write_page(folder: Path, name: str) -> Path:
    """Write `folder/loss.html` from `folder/events.jsonl`."""
    events = read_events(folder / "events.jsonl")
    steps = [e for e in events if e["event"] == "step"]
    scores = [e for e in events if e["event"] == "evaluate"]
    body = []
    if steps:
        last = steps[-1]
        body.append(
            f'<p class="soft">step {last["step"]} of {last["steps"]}, {plot.short(last["seen"])} tokens, '
            f"{plot.short(last['tokens_per_s'])} tokens/s, MFU {percent(last['mfu'])} (of the peak of matrix "
            f"products, measured at the start), {duration(last['seconds_left'])} left at this rate</p>"
        )
    body.append("<h2>Training loss</h2>")
    body.append(
        plot.lines(
            {
                "each step": [(e["seen"], e["loss"]) for e in steps],
                "smoothed": smooth([(e["seen"], e["loss"]) for e in steps]),
            },
            x="tokens",
            y="nats per token",
        )
    )
    sources = sorted({s for e in scores for s in e["bits_per_byte"]})
    body.append("<h2>Held-out bits per byte</h2>")
    body.append(
        plot.lines(
            {s: [(e["seen"], e["bits_per_byte"][s]) for e in scores if s in e["bits_per_byte"]] for s in sources},
            x="tokens",
            y="bits per byte",
        )
    )
    body.append("<h2>Expert load</h2>")
    body.append(
        plot.lines(
            {
                "busiest expert": [(e["seen"], e["busiest"]) for e in steps],
                "balance": [(e["seen"], e["balance"]) for e in steps],
            },
            x="tokens",
            y="share over the even share (1 is even)",
        )
    )
    body.append("<h2>Speed, gradient norm, learning rate</h2>")
    body.append(plot.lines({"": [(e["seen"], e["tokens_per_s"]) for e in steps]}, x="tokens", y="tokens/s", zero=True))
    body.append(plot.lines({"": [(e["seen"], e["norm"]) for e in steps]}, x="tokens", y="gradient norm", zero=True))
    body.append(
        plot.lines({"": [(e["seen"], e["scale"]) for e in steps]}, x="tokens", y="share of the peak rate", zero=True)
    )
    if scores:
        body.append("<h2>Last evaluation</h2>")
        body.append(
            plot.table(["source", "bits per byte"], [(s, f"{b:.3f}") for s, b in scores[-1]["bits_per_byte"].items()])
        )
    page = folder / "loss.html"
    page.write_text(plot.page(f"creuset train: {name}", "".join(body)))
    return page


def percent(share: float | None) -> str:
    """`0.312` -> `31 %`; what is not known is called so."""
    return "unknown" if share is None else f"{100 * share:.0f} %"


def smooth(points: list[tuple[float, float]], *, keep: float = 0.95) -> list[tuple[float, float]]:
    """Exponential mean, corrected for its start."""
    out, mean = [], 0.0
    for i, (x, y) in enumerate(points):
        mean = keep * mean + (1 - keep) * y
        out.append((x, mean / (1 - keep ** (i + 1))))
    return out
