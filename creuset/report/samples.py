"""The part of a page in which samples are looked at: a list, a search, filters, and one sample whole. No torch here.

The rows come packed in the page; assets/browse.js unpacks those of the chosen task and draws what is in sight.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from creuset.core.sentences import sentence
from creuset.report.blocks import Para, Span, Widget, Words, line
from creuset.report.html import render
from creuset.report.language import LANGS, words_of
from creuset.report.markup import Markup, el, inner
from creuset.report.page import ASSETS, embed, embed_packed
from creuset.report.table import number

Row = Mapping[str, Any]
SCRIPTS = (ASSETS / "browse.js",)
STYLES = (ASSETS / "browse.css",)
MOST = 20_000  # samples of a task in a page: more would make it slow to open
HIDDEN = ("prompt", "prompts", "choices", "pairs", "outcomes", "answer", "gold", "text")
_WORDS = {
    "prompt": sentence("report.asked"), "reply": sentence("report.reply"),
    "reasoning": sentence("report.reasoning"),
    "answer": sentence("report.answer_taken"), "gold": sentence("report.right_answer"),
    "verdict": sentence("report.verdict"), "right": sentence("report.right_2"), "wrong": sentence("report.wrong"),
    "failed": sentence("report.call_failed"), "nothing": sentence("report.no_answer_found_2"),
    "none": sentence("report.not_scored"), "choices": sentence("report.choices"),
    "continuation": sentence("report.continuation"),
    "tokens": sentence("report.tokens"), "attempts": sentence("report.attempts"), "empty": sentence("report.empty"),
    "hidden": sentence("report.hidden"), "text": sentence("report.text"),
    "unpacking": sentence("report.unpacking"),
    "hidden_why": sentence("report.the_questions_of_this_task_are"),
    "none_here": sentence("report.no_sample_is_like_that"),
}  # fmt: skip
SPREAD = sentence("report.for_pages_to_open_some_tasks")
KEYS = sentence("report.keys_to_search_j_and_k")
TITLE = sentence("report.samples")
FILTERS = (
    ("all", sentence("report.all")), ("wrong", sentence("report.wrong")), ("right", sentence("report.right")),
    ("failed", sentence("report.failed")),
    ("unextracted", sentence("report.no_answer_found")),
)  # fmt: skip


def samples_browser(
    samples: Mapping[str, Sequence[Row]],
    *,
    harmful: bool = False,
    filters: Sequence[tuple[str, Words]] = FILTERS,
    words: Mapping[str, Words] | None = None,
) -> list[Widget]:
    """The browser, for a page with SCRIPTS and STYLES; nothing where there are no samples.

    Of a task with more than MOST samples the page has that many, evenly spread; the files of samples have all.
    """
    if not samples:
        return []
    counts = {name: len(rows) for name, rows in samples.items()}
    samples = {name: spread(rows, MOST) for name, rows in samples.items()}
    cut = ", ".join(f"{n}: {number(MOST)} / {number(count)}" for n, count in counts.items() if count > MOST)
    options = [el("option", f"{name} ({number(len(rows))})", value=name) for name, rows in samples.items()]
    pressed = [
        el("button", said, type="button", data_filter=name, aria_pressed="false" if i else "true")
        for i, (name, said) in enumerate(filters)
    ]
    said = {name: [words_of(text, lang) for lang in LANGS] for name, text in {**_WORDS, **(words or {})}.items()}
    return [
        Widget(
            inner(
                (
                    el(
                        "section",
                        el("h2", TITLE),
                        el("p", KEYS, cls="soft"),
                        render([Para(line(SPREAD, Span(f" {cut}.")), "note")]) if cut else None,
                        el(
                            "div",
                            el("select", options, id="task", aria_label=sentence("report.task")),
                            pressed,
                            el("input", id="seek", type="search", placeholder=sentence("report.search")),
                            el("span", id="count", cls="soft", role="status"),
                            cls="tools",
                        ),
                        el(
                            "div",
                            el("div", el("div", cls="room"), id="list", tabindex=0, role="listbox", aria_label=TITLE),
                            el("div", id="detail", tabindex=0, role="region", aria_label=sentence("report.one_sample")),
                            cls="split",
                        ),
                        el("noscript", sentence("report.samples_need_javascript")),
                        id="browse",
                    ),
                    embed("words", said),
                    Markup(
                        "".join(
                            embed_packed(f"rows-{name}", [_shown(row, harmful=harmful) for row in rows])
                            for name, rows in samples.items()
                        )
                    ),
                )
            )
        )
    ]


def spread(rows: Sequence[Row], most: int) -> Sequence[Row]:
    """At most `most` of the rows, in their order, at even distances: every kind of sample keeps its share."""
    return rows if len(rows) <= most else [rows[i * len(rows) // most] for i in range(most)]


def _shown(row: Row, *, harmful: bool) -> Row:
    if row.get("hidden") and not harmful:
        return {k: v for k, v in row.items() if k not in HIDDEN}
    asked = any(k in row for k in ("prompt", "prompts", "pairs"))
    return {k: v for k, v in row.items() if k != "hidden"} if asked else row
