"""The page kit: one description of a page gives HTML, Markdown and PDF that say the same, and words stay words."""

import html
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pypdf import PdfReader

from creuset.report import chart, markdown, pdf
from creuset.report import page as module
from creuset.report.blocks import (
    Bullets,
    Chart,
    Column,
    Details,
    FactList,
    Grid,
    GridCell,
    Para,
    Pre,
    Section,
    Span,
    line,
    plain,
    spans,
    spoken,
)
from creuset.report.html import render
from creuset.report.language import Text
from creuset.report.markup import Markup, el, inner
from creuset.report.page import page, policy
from tests.evals.left_run import HOSTILE


def blocks(word):
    """One block of each kind, whose words are `word` and a number that names the place."""
    return [
        Para(line(f"{word} 1 ", Span(f"{word} 2", strong=True), Span(f"{word} 3", code=True))),
        FactList(((f"{word} 4", f"{word} 5"),)),
        Bullets((line(f"{word} 6"), line(Span(f"{word} 7", tone="soft")))),
        Pre(f"{word} 8"),
        Details(f"{word} 9", (Para(line(f"{word} 10")),)),
        Chart(chart.bars([chart.Bar("x", 1, "1")], ""), f"{word} 11"),
        Section(f"{word} 12", (
            Grid((f"{word} 13", "n"), ((f"{word} 14", GridCell("15", 15.0)),), caption=f"{word} 16"),
        ), level=3, id="here", marks=(("S", f"{word} 17"),)),
    ]  # fmt: skip


class Reader(HTMLParser):
    """Elements with their attributes, and the text outside of style and script."""

    def __init__(self, text):
        super().__init__()
        self.found, self.said, self.inside = [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.said += data


@pytest.mark.parametrize("word", ["mot", HOSTILE, "a & b < c > d", "**x** `y` | z", "漢"])
def test_every_block_says_its_words_in_html_and_they_stay_words(word):
    read = Reader(page(word, blocks(word), alone=True))
    assert {tag for tag, _ in read.found} == {tag for tag, _ in Reader(page("w", blocks("w"), alone=True)).found}
    assert not [a for _, attributes in read.found for a in attributes if a.startswith("on") or a == "style"]
    for n in (*range(1, 15), 16):
        assert f"{word} {n}" in read.said, n
    assert [a["title"] for _, a in read.found if "title" in a] == [f"{word} 17"]


@pytest.mark.parametrize("word", ["mot", "a & b < c > d", '"\\ #[x]$y$'])
def test_paper_says_the_same_as_the_screen(word):
    said = markdown.render(word, blocks(word), "en")
    read = re.sub(r"\\(.)", r"\1", said)
    paper = "".join(p.extract_text() for p in PdfReader(io.BytesIO(pdf.render(word, blocks(word), "en"))).pages)
    for n in (*range(1, 15), 16, 17):
        assert f"{word} {n}".replace("\\", "") in read.replace("\\", ""), n
        assert re.sub(r"\s", "", f"{word} {n}") in re.sub(r"\s", "", paper), n


def test_a_page_speaks_both_languages_or_one():
    words = Text("said: one", "dit : un")
    both = page(words, [Para(line(words))], lang="fr")
    assert '<html lang="fr" data-lang="fr"' in both and "<title>dit\u00a0: un</title>" in both
    assert '<span class="en" lang="en">said: one</span><span class="fr" lang="fr">dit\u00a0: un</span>' in both
    one = page(words, [Para(line(words))], lang="fr", alone=True)
    assert "said" not in Reader(one).said and not [a for _, a in Reader(one).found if "data-speak" in a]
    with pytest.raises(ValueError, match="a page speaks en or fr, not de"):
        page(words, [], lang="de")


def test_french_is_set_as_it_is_printed_but_not_names_and_code():
    assert spoken("« a » : b ; c ?", "fr") == "«\u00a0a\u00a0»\u00a0: b\u202f; c\u202f?"
    for look in ({"code": True}, {"name": True}, {"said": True}, {"anchor": "F1"}):
        assert "\u00a0" not in render([Para((Span("a : b", **look),))], "fr")
    prose = [Para((Span("a : b"),))]
    assert "a\u00a0: b" in render(prose, "fr") and "\u00a0" not in render(prose, "en")


def test_only_our_own_style_and_script_may_run():
    text = page("t", [])
    style, script = (re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1] for tag in ("style", "script"))
    assert policy(style, script) in text and "unsafe" not in policy(style, script)
    assert policy(style, script + " ") not in text
    assert re.search(r"<link|<img|url\(|@import|https?://(?!www\.w3\.org)", text) is None


def test_elements_escape_what_they_did_not_make():
    made = el("a", "<b>", Text("x<", "y<"), [1, None, el("i", "&")], cls="", href='"<>', hidden=False, open=True)
    assert made == (
        '<a href="&quot;&lt;&gt;" open>&lt;b&gt;<span class="en" lang="en">x&lt;</span>'
        '<span class="fr" lang="fr">y&lt;</span>1<i>&amp;</i></a>'
    )
    assert inner(Text("same", "same")) == "same" and isinstance(inner(["<"]), Markup) and inner(["<"]) == "&lt;"
    label = el("b", title=Text('e"', "f"))
    assert html.unescape(label) == '<b title="e"" data-en="e"" data-fr="f" data-names="title"></b>'


def test_a_table_sorts_opens_and_jumps():
    grid = Grid((Column("a", sort=True), "b"), (("x", GridCell("1", 1.5)), ("y", "2")), more=((Para(line("m")),),) * 2,
                anchors=("R1", "R2"), status=("s", "t"))  # fmt: skip
    text = render([grid])
    assert text.count("<tbody data-status=") == 2 and 'data-value="1.5"' in text and text.count('class="open"') == 2
    assert text.count('<tr class="more" hidden>') == 2 and '<tr id="R1">' in text and "data-sort" in text
    assert 'class="n"' in text and grid.numeric(1) and not grid.numeric(0)
    assert [s.text for s in spans([grid])] == ["x", "1", "y", "2", "m", "m"]
    head = render([Grid(("a", "b"), (("group",), ("x", "y")))])
    assert '<tr class="group"><th scope="colgroup" colspan="2">group</th></tr>' in head


def test_what_stands_between_backticks_is_code_and_an_odd_one_is_a_character():
    assert plain("a `b` c") == (Span("a "), Span("b", code=True), Span(" c")) and plain("it`s") == (Span("it`s"),)


# -- charts -----------------------------------------------------------------------------------------------------------


def test_a_plot_leaves_out_what_is_not_finite_and_says_when_there_is_nothing():
    nan = float("nan")
    drawn = chart.plot([chart.Series(points=[(0, 1), (1, nan), (2, 3), (nan, 4)])], x="x", y="y")
    assert len(re.search(r'points="([^"]*)"', drawn)[1].split()) == 2 and "nan" not in drawn
    assert "Nothing to plot" in chart.plot([chart.Series(points=[(0, nan)])], x="x", y="y")


def test_a_plot_is_to_scale():
    points = [(0.0, 0.0), (5.0, 5.0), (10.0, 10.0)]
    drawn = chart.plot([chart.Series(points=points)], x="x", y="y", low=0, high=10)
    at = [tuple(map(float, p.split(","))) for p in re.search(r'points="([^"]*)"', drawn)[1].split()]
    assert at[1][0] == pytest.approx((at[0][0] + at[2][0]) / 2) and at[1][1] == pytest.approx((at[0][1] + at[2][1]) / 2)
    assert at[0][0] < at[2][0] and at[0][1] > at[2][1], "up is more"


def test_bars_are_as_long_as_what_they_count_and_hang_where_they_start():
    rows = [chart.Bar("a", 10, "10"), chart.Bar("b", 4, "4", start=6), chart.Bar(HOSTILE, 0, "0")]
    drawn = chart.bars(rows, "n")
    found = [(float(x), float(w)) for x, w in re.findall(r'<rect[^>]* x="([\d.]+)"[^>]* width="([\d.]+)"', drawn)]
    (x, whole), (hung, part), (_, least) = found
    assert part == pytest.approx(0.4 * whole) and hung - x == pytest.approx(0.6 * whole) and least == 1.0
    assert "<img" not in drawn and "None." in chart.bars([], "n")


def test_a_drawing_alone_is_one_file_in_one_language():
    drawn = chart.plot([chart.Series(points=[(0, 1), (1, 2)])], x=Text("across", "abscisse"), y="y")
    alone = chart.alone(drawn, "fr")
    assert alone.count("xmlns=") == 1 and ".en{display:none}" in alone and chart.alone(Markup()) == ""


@pytest.mark.parametrize(("low", "high", "marks"), [
    (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 7, [0, 2, 4, 6]), (3, 3, [3]), (-1, 1, [-1, -0.5, 0, 0.5, 1]),
])  # fmt: skip
def test_ticks_are_round_numbers_within(low, high, marks):
    assert chart.ticks(low, high) == pytest.approx(marks)


def test_long_lines_are_thinned_and_keep_their_end():
    points = [(float(i), 0.0) for i in range(1000)]
    thin = chart.thin(points, 100)
    assert len(thin) == 101 and thin[0] == points[0] and thin[-1] == points[-1]
    assert chart.thin(points[:9], 10) == points[:9]
    assert [chart.short(v) for v in (1234567, 0.0123, 2e12, 999)] == ["1.23M", "0.0123", "2T", "999"]


def test_there_is_one_page_shell_and_one_writer_of_svg():
    package = Path(module.__file__).parents[1]
    marks = ("<html", "<!doctype", "<style", "<svg", 'el("svg"')
    writers: dict[str, set[str]] = {mark: set() for mark in marks}
    for file in package.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        for mark, found in writers.items():
            if mark in text:
                found.add(file.relative_to(package).as_posix())
    assert {mark: found for mark, found in writers.items() if found} == {
        "<!doctype": {"report/page.py"},
        'el("svg"': {"report/chart.py"},
    }
