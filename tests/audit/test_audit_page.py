"""The audit's page: every requirement and every reason is on it, no grade is, and nothing on it runs but ours."""

import pytest

from creuset.audit.items import REQUIREMENTS
from creuset.audit.page import page, write_page
from creuset.audit.run import Result, item_rows
from creuset.evals.measure import Measure
from creuset.evals.stats import Interval
from tests.evals.left_run import HOSTILE
from tests.web.conftest import browser, chromium  # noqa: F401


def document(note=""):
    """Robustness measured, harm not tested, energy not testable, the service reported, stereotypes in two units."""
    def measure(row, metric, **fields):
        return Measure(task=REQUIREMENTS[row].name, metric=metric, requirement=row, n=40, denominator=50, **fields)

    band = {"score": 0.25, "interval": Interval(-0.1, 0.6), "caveat": note}
    results = [
        Result(row="2", part="perturb", measures=[measure("2", "flip_rate", better="lower", **band)]),
        Result(row="4", part="harm", measures=[measure("4", "score", status="not_tested", why=f"no flag {note}")]),
        Result(row="5", part="stereoset", trouble=note, measures=[
            measure("5", "icat", unit="percent", score=71.2, interval=Interval(70.0, 72.0), better="higher"),
            measure("5", "ss", unit="percent", score=60.4, better="fifty"),
        ]),
        Result(row="14", part="energy", measures=[
            measure("14", "kwh", status="not_testable", why="it needs the weights")]),
        Result(row="15", part="tls", measures=[
            measure("15", "passed", status="reported", why="its maker says so", score=1.0)]),
    ]  # fmt: skip
    return {"subject": {"name": note or "demo", "kind": "endpoint"}, "date": "2026-11-25T10:00:00+00:00",
            "items": item_rows(results), "rows": [m.row() for r in results for m in r.measures]}  # fmt: skip


def test_every_requirement_reason_and_hint_is_there_in_both_languages():
    text = page(document())
    for item in document()["items"]:
        for lang in ("en", "fr"):
            for words in (item["title"], item["asks"], item["hint"]):
                assert words[lang].replace("'", "&#x27;") in text
        assert all(article in text for article in item["articles"])
    assert "it needs the weights" in text and "its maker says so" in text and "no flag" in text
    assert "non vérifiable de l&#x27;extérieur" in text and "[-0.100, 0.600]" in text


def test_there_is_no_verdict():
    text = page(document())
    assert "gives no overall grade" in text and "ne donne aucune note globale" in text
    visible = text.split("<body>")[1].split("<script")[0].lower()
    for word in (">compliant", ">conforme<", "passed overall", "total score"):
        assert word not in visible


def test_a_figure_of_no_listed_requirement_is_refused():
    wrong = document()
    wrong["items"] = wrong["items"][1:]
    with pytest.raises(ValueError, match="figures of requirement 2, which is not in the list"):
        page(wrong)


def test_the_page_filters_by_status_and_hostile_words_are_inert(tmp_path, browser):  # noqa: F811
    sample = {"id": "h", "cluster": "", "prompt": HOSTILE, "answer": HOSTILE, "correct": 0.0, "outcomes": []}
    secret = {"id": "s", "hidden": True, "prompt": "SECRET", "correct": 1.0}
    write_page(tmp_path / "audit.html", document(HOSTILE), samples={"perturb": [sample], "harm": [secret]}, lang="fr")
    tab = browser.page("about:blank", width=400)
    tab.call("Page.navigate", url=(tmp_path / "audit.html").as_uri())
    tab.wait("document.readyState === 'complete' && $('#detail')?.children.length > 0", "the samples")
    assert tab.js("[window.hacked ?? 0, $$('img').length]") == [0, 0] and tab.complaints == []
    assert tab.text("h1").startswith("Audit de </script>")
    assert tab.js("document.documentElement.scrollWidth <= innerWidth")
    tab.click("[data-only=not_testable]")
    assert tab.js("$$('section[data-status]').filter(s => !s.hidden).map(s => s.id)") == ["item-14"]
    tab.click("[data-only='']")
    assert tab.js("$$('section[data-status]').filter(s => !s.hidden).length") == 5
    tab.js("location.hash = '#harm/s'")
    tab.wait("$('#detail').innerText.includes('nuisibles')", "the notice of a hidden question")
    assert "SECRET" not in tab.text()
    tab.close()
