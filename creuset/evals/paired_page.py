"""The comparison of two evaluations as one HTML page: differences with their intervals, and the samples that flipped.
No torch here."""

from pathlib import Path

from creuset.core.sentences import sentence
from creuset.evals.paired import SAYS, PairedComparison, TaskPair
from creuset.report.blocks import Block, Column, FactList, Grid, GridCell, Para, Said, Span, line
from creuset.report.page import page as whole_page
from creuset.report.samples import FILTERS, SCRIPTS, STYLES, samples_browser
from creuset.report.table import bar, figure, number, scale

_FILTERS = (
    FILTERS[0],
    ("flips", sentence("evals.flipped")),
    ("only_a", sentence("evals.only_a_right")),
    ("only_b", sentence("evals.only_b_right")),
    ("neither", sentence("evals.neither_right")),
)


def write_comparison(found: PairedComparison, path: Path, *, lang: str = "en") -> None:
    """Write the page of the comparison to the file `path`."""
    path.write_text(page(found, lang=lang), encoding="utf-8", errors="replace")


def page(found: PairedComparison, *, lang: str = "en") -> str:
    """The page, which opens in `lang`."""
    names = (str(found.a["name"]), str(found.b["name"]))
    facts = tuple(
        (
            side,
            line(
                str(one["name"]),
                " ",
                Span(f"{one.get('url') or ''} {str(one.get('sha256') or '')[:16]}", tone="soft mono"),
            ),
        )
        for side, one in (("A", found.a), ("B", found.b))
    )
    margin = number(found.margin)
    said = sentence("evals.b_minus_a_on_the_same", margin=margin)
    refused = [
        Para(line(sentence("evals.not_compared"), f": {task}: {why}"), "note") for task, why in found.refused.items()
    ]
    words = {"name_a": names[0], "name_b": names[1]}
    blocks: list[Block] = [
        FactList(facts),
        Para(line(said), "soft"),
        _table(found),
        *refused,
        *samples_browser(found.rows, filters=_FILTERS, words=words),
    ]
    title = sentence("evals.and_compared", names=names[0], names2=names[1])
    return whole_page(title, blocks, lang=lang, scripts=SCRIPTS, styles=STYLES)


def _table(found: PairedComparison) -> Grid:
    reach = max(abs(v) for t in found.tasks for v in (t.interval.low, t.interval.high, t.difference, 1.5 * t.margin))
    ends = (-reach, reach)
    head = (
        Column(sentence("evals.task"), "name", sort=True),
        Column("A", "n m", sort=True),
        Column("B", "n m", sort=True),
        Column("B - A", "n score", sort=True),
        Column("B - A", "bar", title_line=scale(ends, "B - A")),
        Column(sentence("evals.verdict"), "verdict", sort=True),
        Column("n", "n m", sort=True),
        Column(sentence("evals.flips_a_b"), "n m", sort=True),
        Column("p", "n m", sort=True),
        Column("Holm", "n m", sort=True),
        Column(sentence("evals.shows_from"), "n m", sort=True),
    )
    return Grid(head, tuple(_line(t, ends) for t in found.tasks), kind="pairs")


def _line(t: TaskPair, ends: tuple[float, float]) -> tuple[Said | GridCell, ...]:
    row = {"score": t.difference, "interval": [t.interval.low, t.interval.high], "better": "zero"}
    kind = {"b_better": "good", "a_better": "bad"}.get(t.verdict, "soft")
    return (
        Span(t.task, name=True),
        figure(t.a),
        figure(t.b),
        GridCell(f"{t.difference:+.3f}", t.difference),
        bar(row, ends),
        Span(SAYS[t.verdict], tone=kind),
        figure(t.n),
        sentence("evals.graded") if t.only_a is None else f"{t.only_a} / {t.only_b}",
        GridCell(f"{t.p:.4f}", t.p),
        GridCell(f"{t.holm:.4f}", t.holm),
        "" if t.smallest is None else figure(t.smallest),
    )
