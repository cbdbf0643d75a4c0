"""The PDF's own layout: nothing is lost, nothing is wider than its place, and what can be followed leads somewhere."""

import io
import re
from collections import Counter

import pytest
from pypdf import PdfReader

from creuset.report.blocks import Block, Grid, Para, Section, Span, plain
from creuset.report.pdf import drawable, glyphs, render


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text.replace("\u00a0", "").replace("\u202f", ""))


@pytest.mark.parametrize("look", [{}, {"strong": True}, {"code": True}])
def test_the_fonts_draw_every_character_that_is_said_to_be_drawn(look):
    """The file is refused (PDF/UA) where a font lacks one."""
    every = "".join(map(chr, sorted(glyphs())))
    said = squeezed(
        "".join(
            p.extract_text() for p in PdfReader(io.BytesIO(render("T", [Para((Span(every, **look),))], "en"))).pages
        )
    )
    assert all(c in said for c in "Aé≥×⁻⁹œЖ✓")


def test_what_the_fonts_lack_is_written_as_its_code():
    assert drawable("漢 é\u202f%") == "U+6F22 é\u202f%"
    assert "U+6F22" in PdfReader(io.BytesIO(render("漢", [], "en"))).pages[0].extract_text()


def test_words_are_never_read_as_the_layouts_own_language():
    strange = '#import "x" $x^2$ *b* _i_ `c` @ref <lab> \\ // no /* no */ "q" [c] {d} = h'
    blocks = [Para(plain(strange)), Grid((strange,), (((Span(strange),),),))]
    reader = PdfReader(io.BytesIO(render(strange, blocks, "en")))
    assert squeezed(reader.pages[0].extract_text()).count(squeezed(strange.replace("`", ""))) >= 1
    assert squeezed(reader.pages[0].extract_text()).count(squeezed('#import"x"$x^2$')) >= 3


def test_the_same_blocks_give_the_same_bytes():
    assert render("T", page(60), "fr") == render("T", page(60), "fr")


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
            goal = link.get_object()["/Dest"]
            goal, _, _, top, _ = reader.named_destinations[goal].dest_array if isinstance(goal, str) else goal
            goals[reader.get_page_number(goal.get_object()), round(float(top))] += 1
    (place, to_figure), (field, to_field) = goals.most_common()
    assert (to_figure, to_field) == (60, 1) and field[0] == 0 and place[0] == len(reader.pages) - 1
