"""The loss page: what a run's events say, as plots. Written anew each time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from creuset.core.jsonl import kept
from creuset.core.log import duration
from creuset.core.sentences import Sentence, sentence
from creuset.report.blocks import Block, Chart, Grid, Para, Section, Span, line
from creuset.report.chart import Series, plot, short
from creuset.report.page import page

TOKENS = sentence("train.tokens")


def read_events(path: Path) -> list[dict[str, Any]]:
    """Events of a run; a last line cut by a kill is left out."""
    return kept(path)


def write_page(folder: Path, name: str) -> Path:
    """Write `folder/loss.html` from `folder/events.jsonl`."""
    events = read_events(folder / "events.jsonl")
    steps = [e for e in events if e["event"] == "step"]
    scores = [e for e in events if e["event"] == "evaluate"]

    def over(*series: tuple[str, Callable[[dict[str, Any]], float]], y: Sentence, low: float | None = None) -> Chart:
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
            sentence("train.training_loss"),
            (
                Chart(
                    plot(
                        [
                            Series(name=sentence("train.each_step"), points=losses),
                            Series(name=sentence("train.smoothed"), points=smooth(losses)),
                        ],
                        x=TOKENS,
                        y=sentence("train.nats_per_token"),
                    )
                ),
            ),
        ),
        Section(
            sentence("train.held_out_bits_per_byte"), (Chart(plot(bits, x=TOKENS, y=sentence("train.bits_per_byte"))),)
        ),
        Section(
            sentence("train.expert_load"),
            (
                over(
                    (sentence("train.busiest_expert"), lambda e: e["busiest"]),
                    (sentence("train.balance"), lambda e: e["balance"]),
                    y=sentence("train.share_over_the_even_share"),
                ),
            ),
        ),
        Section(
            sentence("train.speed_gradient_norm_learning_rate"),
            (
                over(("", lambda e: e["tokens_per_s"]), y=sentence("train.tokens_s"), low=0.0),
                over(("", lambda e: e["norm"]), y=sentence("train.gradient_norm"), low=0.0),
                over(("", lambda e: e["scale"]), y=sentence("train.share_of_the_peak_rate"), low=0.0),
            ),
        ),
    ]
    if any(e.get("parts") for e in steps):
        parts = sorted({part for e in steps for part in e.get("parts", {})})
        drawn = [
            Series(name=part, points=[(e["seen"], e["parts"][part]) for e in steps if part in e.get("parts", {})])
            for part in parts
        ]
        chart = Chart(plot(drawn, x=TOKENS, y=sentence("train.gradient_norm"), low=0.0))
        blocks.append(Section(sentence("train.norms_by_part"), (chart, *_spikes(events))))
    if written := [e for e in events if e["event"] == "samples"]:
        blocks.append(_samples(written[-1]))
    if scores:
        rows = tuple((Span(s, name=True), f"{b:.3f}") for s, b in scores[-1]["bits_per_byte"].items())
        head = (sentence("train.source"), sentence("train.bits_per_byte"))
        blocks.append(Section(sentence("train.last_evaluation"), (Grid(head, rows),)))
    file = folder / "loss.html"
    file.write_text(page(f"creuset train: {name}", blocks), encoding="utf-8")
    return file


def _spikes(events: list[dict[str, Any]]) -> list[Block]:
    """The steps whose gradients were far larger than usual, and where they were so."""
    spikes = [e for e in events if e["event"] == "spike"]
    if not spikes:
        return []
    rows = tuple(
        (Span(f"{e['step']:,}", name=True), Span(f"{e['norm']:.3g}", name=True), Span(f"{e['times']:.1f}", name=True),
         Span(", ".join(f"{name} {100 * share:.0f} %" for name, share in e["largest"]), code=True))
        for e in spikes[-20:]
    )  # fmt: skip
    keys = ("train.step", "train.gradient_norm", "train.times_usual", "train.largest_tensors")
    head = tuple(sentence(key) for key in keys)
    return [Para(line(sentence("train.spikes", count=len(spikes))), "soft"), Grid(head, rows)]


def _samples(event: dict[str, Any]) -> Section:
    rows = tuple((Span(one["prompt"], said=True), Span(one["text"], said=True)) for one in event["samples"])
    head = (sentence("train.prompt"), sentence("train.goes_on"))
    return Section(sentence("train.samples", step=event["step"]), (Grid(head, rows),))


def _progress(last: dict[str, Any]) -> Para:
    seen, speed, left = short(last["seen"]), short(last["tokens_per_s"]), duration(last["seconds_left"])
    step, steps = last["step"], last["steps"]
    mfu = sentence("train.unknown") if last["mfu"] is None else percent(last["mfu"])
    return Para(
        line(sentence("train.progress", step=step, steps=steps, seen=seen, speed=speed, mfu=mfu, left=left)), "soft"
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
