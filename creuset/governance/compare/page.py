"""One HTML page of a scorecard, readable without its script.

The table is written here; the script (static/rank.js, page.js, choices.js) adds the reader's weights and volume, the
plots and the details of a cell.
"""

from collections.abc import Iterator
from pathlib import Path

from creuset.core.sentences import say, sentence
from creuset.governance.compare.card import EVIDENCE, GROUPS, WEIGHED, Cell, Row, Scorecard
from creuset.governance.compare.rank import DRAWS, LEAST_KNOWN, best, weighable
from creuset.report.blocks import Block, Bullets, Para, Section, Span, Widget, line
from creuset.report.language import Text, fixed
from creuset.report.markup import Markup, el, inner
from creuset.report.page import embed
from creuset.report.page import page as whole_page

STATIC = Path(__file__).parent / "static"
SCRIPTS = tuple(STATIC / f"{name}.js" for name in ("rank", "page", "choices"))
KINDS = (
    ("measured", sentence("compare.measured"), sentence("compare.by_this_tool_on_this_system")),
    ("estimated", sentence("compare.estimated"), sentence("compare.reckoned_from_other_figures")),
    ("reported", sentence("compare.reported"), sentence("compare.a_figure_published_by_others")),
    ("declared", sentence("compare.declared"), sentence("compare.a_practice_by_its_source")),
    ("unknown", sentence("compare.unknown"), sentence("compare.never_a_zero_unless_you_say")),
)


def number(value: float, unit: str, lang: str) -> str:
    """`0.8731` share -> `87.3 %`; seconds below one in ms; money with two decimals; French with comma and spaces."""
    if unit in ("share", "percent"):
        text = f"{fixed(value, 1, percent=unit == 'share')} %"
    elif unit == "s":
        text = f"{1000 * value:,.0f} ms" if value < 1 else f"{value:,.2f} s"
    elif unit in ("USD", "EUR", "GBP", "CNY"):
        text = f"{value:,.2f}"
    elif unit in ("ratio", "bits", "nats"):
        text = fixed(value, 3)
    else:
        text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text if lang == "en" else text.translate({ord(","): "\u202f", ord("."): ","})


def render(card: Scorecard) -> str:
    """The whole page."""
    kinds = tuple(line(Span(said, tone=kind), Span(why, tone="soft")) for kind, said, why in KINDS)
    blocks: list[Block] = [
        Para(line(f"{card.made} · ", _size(card)), "soft"),
        *([Para(line(card.remark), "note")] if card.remark else []),
        Bullets(kinds, "legend"),
        *_ranking(card),
        _table(card),
        Section(sentence("compare.how_it_is_reckoned"), (Bullets(tuple(line(rule) for rule in RULES)),)),
        Section(
            sentence("compare.what_this_was_made_from"),
            (Bullets(tuple(line(source) for source in card.sources), "soft"),),
        ),
        Widget(
            inner(
                (
                    el(
                        "aside",
                        el("button", sentence("compare.close"), id="close", type="button"),
                        el("div", id="facts"),
                        id="detail",
                        hidden=True,
                        aria_live="polite",
                    ),
                    embed("card", card.as_json()),
                )
            )
        ),
    ]
    return whole_page(card.title, blocks, scripts=SCRIPTS, styles=[STATIC / "page.css"], kind="scorecard")


def _size(card: Scorecard) -> str:
    unknown = sum(c.kind == "unknown" for r in card.rows for c in r.cells)
    cells = sum(len(r.cells) for r in card.rows)
    return sentence("compare.size", systems=len(card.systems), rows=len(card.rows), unknown=unknown, cells=cells)


AMOUNTS = (
    ("requests", sentence("compare.requests_a_month"), 1),
    ("input_tokens", sentence("compare.tokens_in_each"), 1),
    ("output_tokens", sentence("compare.tokens_out_each"), 1),
    ("cached_share", sentence("compare.of_the_input_from_a_cache"), 100),
    ("batch_share", sentence("compare.of_the_requests_as_a_batch"), 100),
)  # fmt: skip
MISSING = (  # the first is the page's own choice: the unknown stays open
    ("interval", sentence("compare.kept_open_from_worst_to_best")),
    ("worst", sentence("compare.counted_as_the_worst")),
    ("ignore", sentence("compare.left_out_of_the_total")),
)


def _choices(card: Scorecard, used: set[str]) -> Markup:
    """What the reader chooses: weights, what the unknown counts, and a volume."""
    sliders = [
        el(
            "label",
            el("i", cls=f"mark g{i}"),
            el("span", sentence(f"compare.group_{g}")),
            el("input", type="range", name=g, min=0, max=10, step=1, disabled=g not in used),
            el("output"),
            cls="weight" if g in used else "weight empty",
        )
        for i, g in enumerate(WEIGHED)
    ]
    missing = [
        el("label", el("input", type="radio", name="missing", value=value, checked=value == "interval"), " ", said)
        for value, said in MISSING
    ]
    shared = el(
        "label", el("input", type="checkbox", id="shared"), " ", sentence("compare.only_rows_known_for_every_system")
    )
    amounts = (
        [
            el(
                "label",
                el(
                    "input",
                    type="number",
                    data_volume=name,
                    min=0,
                    max=100 if by == 100 else None,
                    step="any",
                    value=f"{card.volume[name] * by:g}",
                ),
                el("span", said),
            )
            for name, said, by in AMOUNTS
        ]
        if card.volume
        else []
    )
    return el(
        "div",
        sliders,
        el("p", el("button", sentence("compare.equal_weights"), id="equal", type="button")),
        el("fieldset", el("legend", sentence("compare.what_is_unknown_is")), missing, shared, cls="lines"),
        el("fieldset", el("legend", sentence("compare.your_volume")), amounts, cls="amounts"),
        cls="panel",
    )


INTRO = sentence("compare.nobody_else_can_weigh_these_for")
OVER = sentence("compare.weightings", draws=DRAWS)


def _ranking(card: Scorecard) -> list[Block]:
    used = {r.group for r in card.rows if weighable(r)}
    options = [
        el(
            "option",
            say("en", f"compare.group_{g}"),
            value=g,
            data_en=say("en", f"compare.group_{g}"),
            data_fr=say("fr", f"compare.group_{g}"),
            data_names="text",
        )
        for g in WEIGHED
        if g in used
    ]
    boxes = [
        el("label", el("input", type="checkbox", name="system", value=i, checked=True), " ", s.name)
        for i, s in enumerate(card.systems)
    ]
    plots = (
        el("div", cls="panel", id="ranking"),
        el("h2", sentence("compare.whatever_the_weights_who_is_first")),
        el("p", OVER, cls="soft"),
        el("div", cls="panel", id="firsts"),
        el("h2", sentence("compare.how_much_does_one_weight_decide")),
        el(
            "p",
            el("label", sentence("compare.weight_that_moves"), ": ", el("select", options, id="plot")),
            cls="control",
        ),
        el("div", cls="panel", id="sensitivity"),
    )
    without = el("noscript", el("p", sentence("compare.weights_and_plots_need_javascript_the")))
    chosen = el("div", _choices(card, used), el("div", plots), cls="two")
    return [
        Section(
            sentence("compare.your_weights"),
            (Para(line(INTRO), "soft"), Widget(inner((without, el("div", boxes, cls="choices"), chosen)))),
        )
    ]


GREEN = sentence("compare.green_the_best_of_its_row")


def _table(card: Scorecard) -> Section:
    head = [el("th", s.name, el("small", s.provider), scope="col", data_c=i) for i, s in enumerate(card.systems)]
    table = el("table", el("thead", el("tr", el("th", scope="col"), head)), el("tbody", _lines(card)), id="table")
    return Section(sentence("compare.scorecard"), (Para(line(GREEN), "soft"), Widget(el("div", table, cls="wide"))))


def _lines(card: Scorecard) -> Iterator[Markup]:
    first = True
    for at, group in enumerate(GROUPS):
        said = sentence(f"compare.group_{group}")
        rows = [(index, row) for index, row in enumerate(card.rows) if row.group == group]
        if not rows:
            continue
        if group in EVIDENCE:  # the script folds it; without one, all is there
            words: object = el("button", said, type="button", data_group=group, aria_expanded="true")
        else:
            words = el("i", cls=f"mark g{at}"), said
        yield el("tr", el("th", el("span", words), scope="colgroup", colspan=len(card.systems) + 1), cls="group")
        for index, row in rows:
            yield _row(index, row, first)
            first = False


def _row(index: int, row: Row, first: bool) -> Markup:
    marks = best(row.scale, row.cells) if row.scale and not row.why_unranked else [False] * len(row.cells)
    cells = [
        el(
            "td",
            _cell(c, row),
            cls=f"{c.kind} best" if marks[i] else c.kind,
            data_r=index,
            data_c=i,
            tabindex=0 if first and i == 0 else -1,
        )
        for i, c in enumerate(row.cells)
    ]
    unit = (" ", el("small", row.unit)) if row.unit in NAMED_UNITS else None
    why = (el("br"), el("small", row.why_unranked)) if row.why_unranked else None
    label = el("th", row.label, unit, why, scope="row")
    return el("tr", label, cells, cls="" if weighable(row) else "unranked", data_of=row.group)


NAMED_UNITS = ("tokens/s", "kWh", "FLOP", "nats", "rating")


def _cell(cell: Cell, row: Row) -> Markup:
    if cell.words:
        return inner(cell.words)  # a probe's value is for programs: people read the word
    assert cell.value is not None
    said = inner(Text(number(cell.value, row.unit, "en"), number(cell.value, row.unit, "fr")))
    if cell.low is None or cell.high is None:
        return said
    ends = [f"[{number(cell.low, row.unit, lang)} – {number(cell.high, row.unit, lang)}]" for lang in ("en", "fr")]
    return inner((said, el("small", Text(*ends))))


RULES = (
    sentence("compare.least_known", share=f"{100 * LEAST_KNOWN:.0f}"),
    sentence("compare.makers_own_pages"),
    sentence("compare.a_share_counts_as_itself_its"),
    sentence("compare.a_groups_weight_is_shared_equally"),
    sentence("compare.half_the_width_of_a_totals"),
    sentence("compare.a_month_is_list_price_times"),
    sentence("compare.measured_and_published_scores_are_never"),
)
