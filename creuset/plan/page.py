"""The plan as a page with plots, in both languages."""

from dataclasses import asdict

from creuset.core.sentences import sentence
from creuset.model.config import ModelConfig
from creuset.model.count import parameters
from creuset.plan.estimate import PlanEstimate, PlanRequest, at
from creuset.plan.facts import thresholds
from creuset.plan.memory import GIB
from creuset.plan.report import short
from creuset.plan.trust import verdicts
from creuset.report.blocks import Block, Chart, Column, Grid, GridCell, Para, Section, Span, line
from creuset.report.chart import Bar, Series, bars, plot
from creuset.report.page import page as whole_page

OTHER_SIZES = (0.25, 0.5, 1, 2, 4)
PARTS = {  # of a GPU's memory
    "weights": "plan.weights", "gradients": "plan.gradients", "optimizer": "plan.optimizer",
    "activations": "plan.activations", "buffers": "plan.buffers", "margin": "plan.margin",
}  # fmt: skip
SPENT = {  # of a step's time
    "products": "plan.products", "attention": "plan.attention", "elementwise": "plan.elementwise",
    "launches": "plan.launches", "recompute": "plan.recompute", "bubble": "plan.bubble", "optimizer": "plan.optimizer",
    "waited": "plan.waited", "stack": "plan.stack",
}  # fmt: skip


def page(name: str, note: str, config: ModelConfig, ask: PlanRequest, found: PlanEstimate) -> str:
    title = sentence("plan.title", name=name)
    head = sentence(
        "plan.summary", hours=f"{found.gpu_hours:,.4g}", gpus=f"{ask.gpus:,}", gpu=ask.gpu.name,
        days=f"{found.wall_days:,.4g}", usd=f"{found.usd:,.4g}", mwh=f"{found.mwh:,.4g}",
    )  # fmt: skip
    blocks: list[Block] = [Para(line(head)), *([Para(line(Span(note, said=True)), "soft")] if note else [])]
    blocks += [_what(config, ask, found), _memory(ask, found), _time(found), _sent(found), *_layouts(found)]
    blocks += [*_sizes(config, ask), *_offers(found), _law(found), _trust()]
    return whole_page(title, blocks, kind="plan")


def _number(said: str) -> Span:
    return Span(said, name=True)


def _grid(head: tuple[str, ...], rows: list[tuple[object, ...]], numbers: int) -> Grid:
    """A table whose last `numbers` columns are numbers."""
    titles = tuple(Column(sentence(key), kind="n" if n >= len(head) - numbers else "") for n, key in enumerate(head))
    return Grid(titles, tuple(tuple(_cell(cell) for cell in row) for row in rows))


def _cell(value: object) -> Span | GridCell:
    if isinstance(value, float | int) and not isinstance(value, bool):
        return GridCell(_number(f"{value:,.4g}"), float(value))
    return value if isinstance(value, Span) else Span(str(value))


def _what(config: ModelConfig, ask: PlanRequest, found: PlanEstimate) -> Section:
    count = parameters(config)
    rows: list[tuple[object, ...]] = [
        (Span(sentence("plan.parameters")), _number(short(count.total))),
        (Span(sentence("plan.active")), _number(short(count.active))),
        (Span(sentence("plan.tokens")), _number(short(ask.tokens))),
        (Span(sentence("plan.batch", context=f"{ask.context:,}")), _number(f"{found.batch:,}")),
        (Span(sentence("plan.flops")), _number(f"{found.flops:.3g}")),
        (Span(sentence("plan.flops_rule")), _number(f"{found.flops_rule:.3g}")),
        (Span(sentence("plan.mfu")), _number(f"{100 * found.mfu:.3g} %")),
        (Span(sentence("plan.goodput")), _number(f"{100 * found.losses.goodput:.3g} %")),
    ]
    if found.tonnes_co2 is not None:
        rows.append((Span(sentence("plan.co2", grid=f"{ask.grid:g}")), _number(f"{found.tonnes_co2:,.4g}")))
    notes: list[Block] = [Para(line(sentence("plan.energy_rule", pue=f"{ask.pue:g}")), "soft")]
    if ask.price is None:
        notes.append(Para(line(sentence("plan.price_assumed", price=f"{found.price:g}")), "soft"))
    return Section(sentence("plan.what"), (_grid(("plan.figure", "plan.value"), rows, 1), *notes))


def _memory(ask: PlanRequest, found: PlanEstimate) -> Section:
    parts = [
        Bar(sentence(PARTS[part]), size / GIB, f"{size / GIB:,.3g}")
        for part, size in asdict(found.chosen.memory).items()
    ]
    unit = sentence("plan.memory_unit", gib=f"{ask.gpu.memory_gib:g}")
    return Section(sentence("plan.memory"), (Chart(bars(parts, unit, top=ask.gpu.memory_gib)),))


def _time(found: PlanEstimate) -> Section:
    t = found.chosen.time
    shares = [(key, 100 * getattr(t, name) / t.seconds) for name, key in SPENT.items()]
    drawn = [Bar(sentence(key), share, f"{share:.1f}") for key, share in shares if share > 0]
    return Section(
        sentence("plan.time"), (Chart(bars(drawn, sentence("plan.time_unit", seconds=f"{t.seconds:,.3g}"))),)
    )


def _sent(found: PlanEstimate) -> Section:
    rows: list[tuple[object, ...]] = [
        (Span(sentence(f"plan.axis {one.axis}")), Span(sentence(f"plan.link {one.link}")), one.bytes / 1e9, one.seconds,
         one.waited) for one in found.chosen.time.traffic
    ]  # fmt: skip
    head = ("plan.axis", "plan.link", "plan.size", "plan.seconds", "plan.seconds_waited")
    return Section(sentence("plan.sent"), (_grid(head, rows, 3),) if rows else (Para(line("0")),))


def _layouts(found: PlanEstimate) -> list[Section]:
    if found.found is None:
        return []
    rows: list[tuple[object, ...]] = [
        (_number(one.layout.words()), one.time.seconds, one.memory.total / GIB) for one in found.found.ranked[:10]
    ]
    left = sentence("plan.left_out", count=f"{found.found.refused.total():,}")
    table = _grid(("plan.layout", "plan.step_seconds", "plan.gib"), rows, 2)
    return [Section(sentence("plan.layouts"), (table, Para(line(left), "soft")))]


def _sizes(config: ModelConfig, ask: PlanRequest) -> list[Section]:
    """The run on fewer and on more GPUs."""
    found = [(n, at(config, ask, n)) for n in dict.fromkeys(max(1, int(ask.gpus * part)) for part in OTHER_SIZES)]
    rows: list[tuple[object, ...]] = [(n, one.wall_days, one.gpu_hours) for n, one in found if one is not None]
    if len(rows) < 2:
        return []
    points = [(float(n), one.wall_days) for n, one in found if one is not None]
    drawn = plot([Series(name="", points=points)], x=sentence("plan.gpus"), y=sentence("plan.days"), low=0.0)
    return [
        Section(sentence("plan.more_gpus"), (Chart(drawn), _grid(("plan.gpus", "plan.days", "plan.hours"), rows, 3)))
    ]


def _offers(found: PlanEstimate) -> list[Section]:
    if not found.offered:
        return []
    rows: list[tuple[object, ...]] = [
        (Span(one.offer.provider, said=True), Span(one.offer.country or "", said=True),
         Span(sentence("plan.yes" if one.enough else "plan.no")), one.offer.usd, one.usd) for one in found.offered
    ]  # fmt: skip
    return [
        Section(
            sentence("plan.offers"),
            (_grid(("plan.provider", "plan.country", "plan.enough", "plan.usd_hour", "plan.usd"), rows, 2),),
        )
    ]


def _law(found: PlanEstimate) -> Section:
    rows: list[tuple[object, ...]] = [
        (Span(one.name, said=True), _number(f"{one.flops:.0e} FLOP"),
         Span(sentence("plan.above" if found.flops_rule > one.flops else "plan.below"))) for one in thresholds()[0]
    ]  # fmt: skip
    return Section(sentence("plan.law"), (_grid(("plan.law", "plan.threshold", "plan.side"), rows, 0),))


def _trust() -> Section:
    rows: list[tuple[object, ...]] = [
        (_number(one.run.name), _number("last" if one.run.unseen else one.run.use),
         GridCell(_number(f"{100 * one.error:+.1f} %"), one.error)) for one in verdicts()
    ]  # fmt: skip
    table = Grid(
        (Column(sentence("plan.run")), Column(sentence("plan.use")), Column(sentence("plan.error"), kind="n")),
        tuple(tuple(cell if isinstance(cell, Span | GridCell) else Span(str(cell)) for cell in row) for row in rows),
    )
    return Section(sentence("plan.trust"), (Para(line(sentence("plan.trust_note")), "soft"), table))
