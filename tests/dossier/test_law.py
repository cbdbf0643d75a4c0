"""The planner and the documents must not disagree about the law, and a page says what holds on its day."""

import re
import tomllib
from pathlib import Path

import pytest

from creuset.governance.dossier.build import build
from creuset.governance.dossier.form import forms

PACKAGE = Path(__file__).parents[2] / "creuset"
LAW = tomllib.loads((PACKAGE / "governance" / "dossier" / "law.toml").read_text(encoding="utf-8"))


def test_the_planner_and_the_documents_have_the_same_thresholds() -> None:
    facts = tomllib.loads((PACKAGE / "plan" / "facts.toml").read_text(encoding="utf-8"))
    said = {row["value"] for row in LAW["threshold"] if row["unit"] == "FLOP"}
    assert said == {line["flops"] for line in facts["thresholds"]["line"]}


def test_every_provision_has_a_source_and_says_whether_it_was_read() -> None:
    rows = [*LAW["threshold"], *LAW["provision"]]
    known = {row["id"] for row in rows}
    assert len(known) == len(rows)
    assert all(row["basis"] in ("primary", "secondary", "confirm") for row in rows)
    assert all(row["source"]["en"] and row["source"]["fr"] for row in rows)
    assert all(sum(key in row for key in ("value", "applies", "until", "published")) <= 1 for row in rows)
    assert {name for form in forms().values() for name in form.law} <= known


STATES = {
    "2026-11-26": {
        "articles 53 and 55 (duties": "in application since 2 August 2025",
        "Powers of the Commission": "in application since 2 August 2026",
        "Models placed on the market before 2 August 2025": "time given ends on 2 August 2027: it runs",
        "article 50 (transparency)": "in application since 2 August 2026",
        "article 50(2) (marking": "time given ends on 2 December 2026: it runs",
        "of Annex III": "applies from 2 December 2027: not yet",
        "of Annex I (": "applies from 2 August 2028: not yet",
        "Digital Omnibus on AI": "in application since 27 July 2026",
    },
    "2026-12-02": {"article 50(2) (marking": "time given ends on 2 December 2026: it runs"},
    "2026-12-03": {"article 50(2) (marking": "time given ended on 2 December 2026"},
    "2027-12-02": {"of Annex III": "in application since 2 December 2027",
                   "Models placed on the market before 2 August 2025": "time given ended on 2 August 2027"},
}  # fmt: skip


@pytest.mark.parametrize("day", STATES)
def test_a_page_says_which_provisions_hold_on_its_day(root, given, tmp_path, day) -> None:
    names = ["annex-xi", "annex-iv", "article-50-notice"]
    build(root / "base", tmp_path / "out", langs=["en"], forms=names, day=day, formats=["html"])
    rows = {}
    for name in (*names[:2], "article-50-notice-annex"):
        page = (tmp_path / f"out/en/{name}.html").read_text(encoding="utf-8")
        assert "law as of 30 November 2026" in page
        law = page[page.index("<h2>Law and thresholds</h2>") :]
        for row in re.findall(r"<tr>(.*?)</tr>", law[: law.index("</table>")], re.DOTALL):
            cells = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)]
            rows |= {cells[0]: cells[1]} if cells else {}
    for words, state in STATES[day].items():
        assert [said for provision, said in rows.items() if words in provision] == [state], words
