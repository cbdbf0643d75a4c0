"""The PDF's own layout: nothing is lost, nothing is wider than its place, and what can be followed leads somewhere."""

import io
import random
import re
from collections import Counter

import pytest
from pypdf import PdfReader

from creuset.report.blocks import Block, Grid, Para, Section, Span
from creuset.report.pdf import STYLES, WIDTH, _widths, render
from creuset.report.pdf_text import Style, broken, drawable, width_of


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text.replace("\u00a0", ""))


def spans(seed: int) -> list[Span]:
    draw = random.Random(seed)
    alphabet = "abcdefghijklmnopqrstuvwxyzéàçœ0123456789.,;()≥×"
    words = ["".join(draw.choices(alphabet, k=draw.choice((1, 3, 5, 9, 14, 90)))) for _ in range(40)]
    found = []
    while words:
        count = draw.randint(1, 6)
        text, words = " ".join(words[:count]), words[count:]
        found.append(Span(text + draw.choice(("", " ")), code=draw.random() < 0.2, strong=draw.random() < 0.2))
    return found


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("width", [30.0, 90.0, 450.0])
def test_lines_hold_all_words_in_order_and_none_is_too_wide(seed, width):
    given = spans(seed)
    lines = broken(given, Style(), width)
    said = "".join(run.text for line in lines for run in line)
    assert squeezed(said) == squeezed("".join(s.text for s in given))
    for line in lines:
        end = 0.0
        for run in line:
            assert run.x >= end - 1e-6, "runs overlap"
            assert run.width == pytest.approx(width_of(run.text, run.face, run.size), rel=1e-6)
            end = run.x + run.width
        assert end <= width + 1e-6 or len("".join(r.text for r in line)) == 1


def test_lines_are_as_full_as_they_can_be_and_end_at_spaces_only():
    text = "aaa bbb ccc (ddd) eee"
    room = width_of("aaa bbb ccc", "Body", 9)
    lines = ["".join(r.text for r in line) for line in broken([Span(text)], Style(), room + 0.01)]
    assert lines == ["aaa bbb ccc", "(ddd) eee"]
    parts = [Span("aaa bbb ("), Span("ccc", strong=True), Span(") ddd")]
    glued = broken(parts, Style(), width_of("aaa bbb", "Body", 9) + 1)
    assert ["".join(r.text for r in line) for line in glued] == ["aaa bbb", "(ccc)", "ddd"]


def test_what_the_fonts_lack_is_written_as_its_code():
    assert drawable("漢 é\u202f%") == "U+6F22 é\u00a0%"


def grid(rows: int) -> Grid:
    cells = tuple(((Span(f"name{n}", name=True),), (Span(f"{n},5", anchor="F1"),), (Span("mot " * (n % 40)),))
                  for n in range(rows))  # fmt: skip
    return Grid(("name", "valeur", "mots"), cells, caption="Une légende")


def page(rows: int) -> list[Block]:
    note = Para((Span("voir "), Span("le champ", jump="one")))
    field = Section("Un champ", (grid(rows), note), level=3, id="one", marks=(("XI 1", "XI 1"),))
    places = Grid(("place", "chiffres"), (((Span("R1"),), (Span("F1", mark="F1"),)),))
    return [Para((Span("Tête."),), "note"), Section("Partie", (field,)), Section("Enregistrements", (places,))]


def made(rows: int) -> PdfReader:
    return PdfReader(io.BytesIO(render("Titre du document", page(rows), "fr")))


@pytest.mark.parametrize("rows", [1, 60, 200])
def test_every_word_is_on_a_page_with_its_number_and_the_head_of_its_table(rows):
    reader = made(rows)
    texts = [p.extract_text() for p in reader.pages]
    said = squeezed("".join(texts))
    for n in range(rows):
        assert f"name{n}" in said and f"{n},5" in said
    assert said.count("mot") - said.count("mots") == sum(n % 40 for n in range(rows))
    for number, text in enumerate(texts, 1):
        assert "Titre du document" in text and re.search(rf"(?m)^{number}$", text.replace(" ", "\n")), number
    with_rows = [t for t in texts if re.search(r"name\d", t)]
    assert all("valeur" in t for t in with_rows) and (rows < 60 or len(with_rows) > 1)


def test_a_row_longer_than_a_page_is_cut_not_lost():
    long = Grid(("a", "b"), (((Span("x"),), (Span(" ".join(f"w{n}" for n in range(3000))),)),))
    reader = PdfReader(io.BytesIO(render("T", [Section("S", (long,))], "en")))
    said = squeezed("".join(p.extract_text() for p in reader.pages))
    assert all(f"w{n}" in said for n in range(0, 3000, 7)) and "w2999" in said


def test_title_language_bookmarks_and_links():
    reader = made(60)
    root = reader.trailer["/Root"]
    assert reader.metadata.title == "Titre du document" and root["/Lang"] == "fr"
    assert bool(root["/ViewerPreferences"]["/DisplayDocTitle"]) is True
    assert [o.title for o in reader.outline] == ["Partie", "Enregistrements"]
    goals = Counter()
    for sheet in reader.pages:
        for link in sheet.get("/Annots", []):
            goal, _, _, top, _ = link.get_object()["/Dest"]
            goals[reader.get_page_number(goal.get_object()), round(float(top))] += 1
    (place, to_figure), (field, to_field) = goals.most_common()
    assert (to_figure, to_field) == (60, 1) and field[0] == 0 and place[0] == len(reader.pages) - 1


def test_columns_fill_the_width_and_hold_their_longest_word():
    for rows in (1, 30):
        widths = _widths(grid(rows), WIDTH, "fr")
        assert sum(widths) == pytest.approx(WIDTH)
        assert widths[0] >= width_of(f"name{rows - 1}", "Body", STYLES["cell"].size) + 6
    assert grid(3).numeric(1) and not grid(3).numeric(0)
