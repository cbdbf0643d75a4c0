"""The loss page: what a run's events say, as plots. Written anew each time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from creuset.core.jsonl import kept
from creuset.core.log import duration
from creuset.report.blocks import Block, Chart, Grid, Para, Section, Span, line
from creuset.report.chart import Series, plot, short
from creuset.report.language import Text
from creuset.report.page import page

TOKENS = Text("tokens", "jetons")


def read_events(path: Path) -> list[dict[str, Any]]:
    """Events of a run; a last line cut by a kill is left out."""
    return kept(path)


def write_page(folder: Path, name: str) -> Path:
    """Write `folder/loss.html` from `folder/events.jsonl`."""
    events = read_events(folder / "events.jsonl")
    steps = [e for e in events if e["event"] == "step"]
    scores = [e for e in events if e["event"] == "evaluate"]

    def over(*series: tuple[str, Callable[[dict[str, Any]], float]], y: Text, low: float | None = None) -> Chart:
        drawn = [Series(name=name, points=[(e["seen"], of(e)) for e in steps]) for name, of in series]
        return Chart(plot(drawn, x=TOKENS, y=y, low=low))

    losses = [(e["seen"], e["loss"]) for e in steps]
    sources = sorted({s for e in scores for s in e["bits_per_byte"]})
    bits = [
        Series(name=s, points=[(e["seen"], e["bits_per_byte"][s]) for e in scores if s in e["bits_per_byte"]])
        for s in sources
    ]
    blocks: list[Block] = [
        *([_progress(steps[-1])] if steps else []),
        Section(
            Text("Training loss", "Perte d'entraînement"),
            (
                Chart(
                    plot(
                        [Series(name="each step", points=losses), Series(name="smoothed", points=smooth(losses))],
                        x=TOKENS,
                        y=Text("nats per token", "nats par jeton"),
                    )
                ),
            ),
        ),
        Section(
            Text("Held-out bits per byte", "Bits par octet, textes mis de côté"),
            (Chart(plot(bits, x=TOKENS, y=Text("bits per byte", "bits par octet"))),),
        ),
        Section(
            Text("Expert load", "Charge des experts"),
            (
                over(
                    ("busiest expert", lambda e: e["busiest"]),
                    ("balance", lambda e: e["balance"]),
                    y=Text("share over the even share (1 is even)", "part sur la part égale (1 : égale)"),
                ),
            ),
        ),
        Section(
            Text("Speed, gradient norm, learning rate", "Vitesse, norme du gradient, taux d'apprentissage"),
            (
                over(("", lambda e: e["tokens_per_s"]), y=Text("tokens/s", "jetons/s"), low=0.0),
                over(("", lambda e: e["norm"]), y=Text("gradient norm", "norme du gradient"), low=0.0),
                over(("", lambda e: e["scale"]), y=Text("share of the peak rate", "part du taux maximal"), low=0.0),
            ),
        ),
    ]
    if scores:
        rows = tuple((Span(s, name=True), f"{b:.3f}") for s, b in scores[-1]["bits_per_byte"].items())
        head = ("source", Text("bits per byte", "bits par octet"))
        blocks.append(Section(Text("Last evaluation", "Dernière évaluation"), (Grid(head, rows),)))
    file = folder / "loss.html"
    file.write_text(page(f"creuset train: {name}", blocks), encoding="utf-8")
    return file


def _progress(last: dict[str, Any]) -> Para:
    seen, speed, left = short(last["seen"]), short(last["tokens_per_s"]), duration(last["seconds_left"])
    step, steps, mfu = last["step"], last["steps"], percent(last["mfu"])
    mfu_fr = "inconnu" if last["mfu"] is None else mfu
    return Para(
        line(
            Text(
                f"step {step} of {steps}, {seen} tokens, {speed} tokens/s, MFU {mfu} (of the peak of matrix products, "
                f"measured at the start), {left} left at this rate",
                f"étape {step} sur {steps}, {seen} jetons, {speed} jetons/s, MFU {mfu_fr} (du maximum de produits de "
                f"matrices, mesuré au départ), encore {left} à ce rythme",
            )
        ),
        "soft",
    )


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
