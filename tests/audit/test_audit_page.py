"""The audit's page: every requirement and every reason is on it, no grade is, and nothing on it runs but ours."""

import re

import pytest

from creuset.core.stats import Interval
from creuset.governance.audit.articles import article
from creuset.governance.audit.how_to_read import COMPARED, GROUPS, how_to_read
from creuset.governance.audit.how_to_read import PARTS as READ
from creuset.governance.audit.items import PARTS, REQUIREMENTS
from creuset.governance.audit.page import page, write_page
from creuset.governance.audit.page_part import SHOWN, part_blocks
from creuset.governance.audit.run import Result, item_rows
from creuset.report.html import render
from creuset.report.language import words_of
from creuset.types.measure import Measure
from tests.evals.left_run import HOSTILE
from tests.web.conftest import browser, chromium  # noqa: F401


def block(task, rows):
    return render(part_blocks(task, rows))


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
    text = page(document()).replace("\u00a0", " ").replace("\u202f", " ")  # French signs keep to their word
    for item in document()["items"]:
        for lang in ("en", "fr"):
            for words in (item["title"], item["asks"], item["hint"]):
                assert words[lang].replace("'", "&#x27;") in text
        assert all(article.replace("'", "&#x27;") in text for article in item["articles"])
    assert "it needs the weights" in text and "its maker says so" in text and "no flag" in text
    assert "non vérifiable de l&#x27;extérieur" in text and "[-0.100, 0.600]" in text


def finding(metric, **fields):
    return {"task": "counterfactual_fr", "metric": metric, "unit": "nats", "better": "zero", "score": -0.2, "n": 432,
            "interval": [-0.3, -0.1], "p_holm": 0.0004, "detected": True, "smallest_detectable": 0.15,
            "adjusted": -0.25, "adjusted_interval": [-0.4, -0.1], **fields}  # fmt: skip


def test_what_was_detected_is_said_and_what_could_have_been():
    text = block("counterfactual_fr", [
        finding("logit_gap.origin.maghrebi"),
        finding("logit_gap.origin.turkish", adjusted_interval=[-0.4, 0.1], score=0.2),
        finding("logit_gap.gender.female", detected=False, p_holm=0.4),
        finding("decision_gap.gender.female", detected=False, score=0.0, smallest_detectable=None, interval=None),
    ])  # fmt: skip
    table = text.split('<table class="findings">')[1].split("</table>")[0]
    first, second, third, last = table.split("</td></tr>")[:4]
    assert "Maghrebi - French names" in first and "prénoms maghrébins - français" in first and "&lt; 0.001" in first
    assert "detected" in first and "lower for the former" in first and "no longer clear" not in first
    assert "higher for the former" in second and "no longer clear of 0 at equal frequency" in second
    assert "not detected" in third and "a true gap of 0.150 would have been, with probability 80 %" in third
    assert "un écart réel de 0.150 l&#x27;aurait été" in third and "0.400" in third
    assert "nothing to test: all answers agree" in last and "share of yes" in last


def test_many_figures_are_folded_and_a_reason_is_said_once():
    rows = [finding(f"acc{'' if i < 2 else '.'}{i}") for i in range(SHOWN + 1)]
    for row in rows:
        del row["detected"]
    text = block("bbq", rows)
    shown, folded = text.split("<details>")
    assert "acc0" in shown and "acc1" in shown
    assert f"{SHOWN - 1} more figures" in folded and "acc.<wbr>12" in folded and "acc0" not in folded
    assert "<details>" not in block("bbq", rows[:SHOWN])
    none = {"task": "bbq", "score": None, "status": "not_applicable", "why": "no answer <b>"}
    text = block("bbq", [{**none, "metric": f"s.{i}"} for i in range(3)])
    assert text.count("no answer &lt;b&gt;") == 1 and "(3 figures)" in text and "(3 chiffres)" in text
    assert "figures)" not in block("bbq", [{**none, "metric": "s"}])


def test_a_distance_between_groups_has_no_direction():
    row = {
        "task": "recommend",
        "metric": "jaccard.snsr.race",
        "score": 0.5,
        "interval": [0.4, 0.6],
        "p_holm": 0.004,
        "detected": True,
        "groups": {"a white": 0.4, "a black": 0.9, "a yellow": 0.7},
    }
    for detected, words in ((True, "detected</span>"), (False, "not detected</span>")):
        text = block("recommend", [row | {"detected": detected}])
        assert words in text and "former" not in text and "all answers agree" not in text
        found = text.partition('class="findings"')[2].partition("</table>")[0]
        assert "a white 0.4" in found and "a black 0.9" in found and "a yellow" not in found


def test_the_words_for_readers_are_in_both_languages_and_belong_to_parts():
    names = [part.name for part in PARTS]
    for name, text in READ.items():
        assert any(part.startswith(name) for part in names) or name == "harm", name
        assert 80 < len(text.en) < 620 and 80 < len(text.fr) < 720 and text.en != text.fr
    assert [name for name in names if not how_to_read(name)] == []
    assert how_to_read("counterfactual_en_chat") == READ["counterfactual"] and how_to_read("unheard_of") is None
    assert all(text.en != text.fr for text in (*GROUPS.values(), *COMPARED.values()))


def test_a_part_of_the_samples_is_said_to_be_one():
    assert "Only the first 400 samples" in page(document() | {"limit": 400})
    assert "Only the first" not in page(document())


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
    assert tab.js("$$('section[data-status]').filter(s => !s.hidden).length") == len(REQUIREMENTS)
    tab.js("location.hash = '#harm/s'")
    tab.wait("$('#detail').innerText.includes('nuisibles')", "the notice of a hidden question")
    assert "SECRET" not in tab.text()
    tab.close()


def test_a_requirement_is_in_part_until_all_its_parts_ran():
    def parts(*statuses):
        scored = ("measured", "reported")
        made = [
            Measure(task=f"t{n}", metric="m", requirement="3", status=s, why="so", score=0.5 if s in scored else None)
            for n, s in enumerate(statuses)
        ]
        return next(i for i in item_rows([Result(row="3", part=m.task, measures=[m]) for m in made]) if i["row"] == "3")

    assert parts("measured", "not_tested")["status"] == parts("reported", "not_testable")["status"] == "partly"
    assert parts("measured", "measured")["status"] == parts("measured", "not_applicable")["status"] == "measured"
    assert parts("not_testable", "not_tested")["status"] == "not_testable"
    none = {i["row"]: i for i in item_rows([])}
    assert list(none) == list(REQUIREMENTS) and {i["status"] for i in none.values()} == {"not_tested"}


def test_the_page_counts_the_parts_that_ran_and_measured_is_not_green():
    whole = document()
    part = {"name": "more", "status": "not_tested", "counts": {"not_tested": 1}, "why": "x"}
    next(i for i in whole["items"] if i["row"] == "2")["parts"].append(part)
    text = page(whole)
    assert "1 of 2" in text and "1 sur 2" in text and "0 of 0" in text
    style = text.split("<style>")[1].split("</style>")[0]
    assert ".tag.measured { color: var(--ink) }" in style


def test_articles_that_bind_high_risk_systems_only_say_so_and_discrimination_has_its_own_law():
    for item in REQUIREMENTS.values():
        for name in item.articles:
            said = words_of(article(name), "en")
            bound = name.startswith("AI Act Annex IV") or re.match(r"AI Act (9|10|13|14|15)\b", name)
            assert said.startswith(name) and ("(binds high-risk systems only)" in said) == bool(bound), name
    assert words_of(article("AI Act 15(1)"), "fr") == (
        "Règlement IA, article 15(1) (n'oblige que les systèmes à haut risque)"
    )
    assert words_of(article("Charter 21"), "en") == "Charter 21 (to be confirmed)"
    assert words_of(article("AI Act 5(1)(i)"), "en").endswith("from 2 December 2026; its point is to be confirmed)")
    assert words_of(article("GDPR 5(1)(d)"), "fr") == "RGPD, article 5(1)(d)"
    decisions = {"Charter 21", "Directive 2000/43/EC", "Directive 2000/78/EC", "Code du travail L1132-1",
                 "Code pénal 225-1", "GDPR 22"}  # fmt: skip
    assert decisions <= set(REQUIREMENTS["6"].articles) and "GDPR 5(1)(d)" in REQUIREMENTS["12"].articles
    assert not any("10(5)" in name for item in REQUIREMENTS.values() for name in item.articles)
