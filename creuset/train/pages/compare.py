"""Several runs side by side: a table, the settings in which they differ, and their losses on one plot."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.errors import ArtifactError
from creuset.core.sentences import sentence
from creuset.report.blocks import Block, Chart, Grid, Section, Span
from creuset.report.chart import Series, plot
from creuset.report.page import page
from creuset.train import folder
from creuset.train.pages.report import TOKENS, read_events, smooth

MEASURED = 20  # last steps whose loss and speed are averaged


@dataclass(frozen=True, slots=True)
class RunSummary:
    name: str  # of its folder
    finished: bool
    steps: int
    tokens: int
    loss: float | None  # nats a token, mean of the last steps
    bits_per_byte: float | None  # of the last evaluation, mean of the sources
    tokens_per_s: float | None  # mean of the last steps
    hours: float  # of the steps that were done
    settings: dict[str, Any]
    events: list[dict[str, Any]]


def summaries(folders: Sequence[Path]) -> list[RunSummary]:
    """ArtifactError: a folder is not that of a run."""
    return [_summary(path, name) for path, name in zip(folders, _names(folders), strict=True)]


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path, or all of it where two would be called the same."""
    short = [path.resolve().name for path in folders]
    return [name if short.count(name) == 1 else str(path) for name, path in zip(short, folders, strict=True)]


def _summary(path: Path, name: str) -> RunSummary:
    run = folder.read(path)
    if run is None:
        raise ArtifactError(f"`{path}` is not the folder of a run: it has no {folder.FILE}")
    events = read_events(path / "events.jsonl") if (path / "events.jsonl").is_file() else []
    steps = [e for e in events if e["event"] == "step"]
    scores = [e["bits_per_byte"] for e in events if e["event"] == "evaluate" and e["bits_per_byte"]]
    last = steps[-MEASURED:]
    seconds = sum(e["tokens"] / e["tokens_per_s"] for e in steps if e["tokens_per_s"])
    return RunSummary(
        name=name,
        finished=folder.finished(path),
        steps=steps[-1]["step"] if steps else 0,
        tokens=steps[-1]["seen"] if steps else 0,
        loss=sum(e["loss"] for e in last) / len(last) if last else None,
        bits_per_byte=sum(scores[-1].values()) / len(scores[-1]) if scores else None,
        tokens_per_s=sum(e["tokens_per_s"] for e in last) / len(last) if last else None,
        hours=seconds / 3600,
        settings=flat(run.settings),
        events=events,
    )


def flat(settings: dict[str, Any], path: str = "") -> dict[str, Any]:
    """`{"optim": {"lr": 1}}` -> `{"optim.lr": 1}`."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        here = f"{path}.{name}" if path else name
        found |= flat(value, here) if isinstance(value, dict) else {here: value}
    return found


def differences(runs: Sequence[RunSummary]) -> dict[str, list[Any]]:
    """Setting -> its value in each run, for those that are not the same in all."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    values = {name: [run.settings.get(name) for run in runs] for name in names if name != "name"}
    return {name: each for name, each in values.items() if any(value != each[0] for value in each)}


def write_comparison(runs: Sequence[RunSummary], file: Path) -> None:
    keys = ("train.run", "train.state", "train.step", "train.tokens", "train.loss", "train.mean_bits", "train.tokens_s",
            "train.hours")  # fmt: skip
    rows = tuple(_row(run) for run in runs)
    over_tokens = [Series(name=run.name, points=smooth(_losses(run, "seen"))) for run in runs]
    over_time = [Series(name=run.name, points=smooth(_losses(run, "hours"))) for run in runs]
    nats = sentence("train.nats_per_token")
    blocks: list[Block] = [
        Grid(tuple(sentence(key) for key in keys), rows),
        Section(sentence("train.over_tokens"), (Chart(plot(over_tokens, x=TOKENS, y=nats)),)),
        Section(sentence("train.over_time"), (Chart(plot(over_time, x=sentence("train.hours"), y=nats)),)),
    ]
    if different := differences(runs):
        values = tuple(
            (Span(name, code=True), *(Span(str(value), name=True) for value in each))
            for name, each in different.items()
        )
        table = Grid((sentence("train.setting"), *(run.name for run in runs)), values)
        blocks.append(Section(sentence("train.differs"), (table,)))
    file.write_text(page(sentence("train.compared"), blocks), encoding="utf-8")


def _row(run: RunSummary) -> tuple[Span, ...]:
    measured = (number(run.loss), number(run.bits_per_byte), number(run.tokens_per_s), f"{run.hours:.3g}")
    said = (f"{run.steps:,}", f"{run.tokens:,}", *measured)
    state = sentence("train.is_finished" if run.finished else "train.is_not_finished")
    return Span(run.name, name=True), Span(state), *(Span(one, name=True) for one in said)


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"


def _losses(run: RunSummary, over: str) -> list[tuple[float, float]]:
    hours, found = 0.0, []
    for event in run.events:
        if event["event"] == "step":
            hours += event["tokens"] / event["tokens_per_s"] / 3600 if event["tokens_per_s"] else 0.0
            found.append((float(event["seen"]) if over == "seen" else hours, event["loss"]))
    return found
