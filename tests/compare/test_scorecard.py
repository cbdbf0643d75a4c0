"""From the reader's file to the folder: rows, kinds of cells, refusals, the page in a browser."""

import csv
import json
import re

import pytest

from creuset.cli import main
from creuset.compare.ask import Hourly, Load, Volume, criteria, read, reported
from creuset.compare.card import GROUPS, Cell, Row, Text
from creuset.compare.gather import measured_rows
from creuset.compare.money import by_hours, by_tokens
from creuset.compare.page import number, policy
from creuset.compare.rank import standings
from creuset.compare.run import keep_speed
from creuset.compare.speed import Call, summarise
from creuset.core.artifact import new_artifact, read_manifest
from creuset.core.errors import ArtifactError, ConfigError
from creuset.evals.measure import Measure
from creuset.evals.stats import Interval
from tests.compare.scorecard_picture import open_page, serve
from tests.web.conftest import browser, chromium  # noqa: F401

FACT = '{ value = "%s", source = "https://x.example/<b>", date = "2026-01-02" }'


def results(path, kind, measures):
    with new_artifact(path, kind=kind) as folder:
        (folder / "results.json").write_text(json.dumps({"results": [m.row() for m in measures]}))


def acc(score, **more):
    fields = {"task": "quiz", "metric": "acc", "n": 100, "denominator": 100, "form": "chat", "date": "2026-01-01",
              "prompt_sha256": "p", "interval": Interval(score - 0.1, score + 0.1)}  # fmt: skip
    return Measure(score=score, **(fields | more))


@pytest.fixture
def shelf(tmp_path):
    """Two systems measured, one as published."""
    leak = {"task": "leak", "metric": "rate", "better": "lower", "requirement": "3"}
    results(tmp_path / "e0", "evaluation", [acc(0.8), acc(0.7, metric="acc_norm")])
    results(tmp_path / "e1", "evaluation", [acc(0.75, failed=2), acc(0.9, task="other", prompt_sha256="q")])
    results(tmp_path / "a0", "audit", [Measure(score=0.25, **leak)])
    results(tmp_path / "a1", "audit", [Measure(status="not_testable", why="needs weights", **leak)])
    for at, first in enumerate((0.1, 0.4)):
        calls = [Call(first_s=first, whole_s=1, stream_s=0.5, tokens=11, by_usage=True)] * 4
        speed = summarise(calls, 4.0, url="u", model="m", load=Load(), date="2026-01-03")
        keep_speed(tmp_path / f"s{at}", speed, calls)
    (tmp_path / "c.toml").write_text(f"""
title = "A & B"
[volume]
requests = 1000
input_tokens = 100
output_tokens = 50
[[system]]
name = "One <i>"
evaluations = ["e0"]
audits = ["a0"]
speed = "s0"
hourly = {{ value = 3.6, currency = "USD", source = "invoice", date = "2026-01-01" }}
declared.weights = {FACT % "yes"}
declared.licence = {FACT % "Apache-2.0"}
[[system]]
name = "Two"
evaluations = ["e1"]
audits = ["a1"]
speed = "s1"
declared.weights = {FACT % "no"}
[[system]]
name = "Three"
reported = "GPT-4o"
""")
    return tmp_path


def built(shelf):
    assert main(["compare", "run", str(shelf / "c.toml"), "--out", str(shelf / "out")]) == 0
    return json.loads((shelf / "out/scorecard.json").read_text())


def test_rows_hold_what_artifacts_files_and_declarations_say(shelf):
    card = built(shelf)
    rows = {r["id"]: r for r in card["rows"]}
    kinds = {id: [c["kind"] for c in r["cells"]] for id, r in rows.items()}
    assert kinds["quiz.acc chat"] == ["measured", "measured", "unknown"]
    assert kinds["leak.rate"] == ["measured", "unknown", "unknown"] and rows["leak.rate"]["group"] == "security"
    assert rows["leak.rate"]["cells"][1]["note"] == "needs weights"
    assert "quiz.acc_norm chat" not in rows, "only the first measure of a task is a row"
    assert kinds["published.mmlu"] == ["unknown", "unknown", "reported"]
    assert kinds["weights"] == ["declared", "declared", "unknown"] and rows["licence"]["scale"] == ""
    assert rows["speed.first_p50_s"]["cells"][1]["value"] == 0.4
    assert rows["quiz.acc chat"]["cells"][1]["note"] == "2 calls failed"
    month = rows["price.month.USD"]["cells"]
    assert month[0]["value"] == pytest.approx(1000 * 50 / 11 / 3600 * 3.6) and month[0]["kind"] == "declared"
    assert month[2]["value"] == pytest.approx(1000 * (100 * 2.5 + 50 * 10) / 1e6) and month[2]["kind"] == "reported"
    assert [r["group"] for r in card["rows"]] == sorted((r["group"] for r in card["rows"]), key=list(GROUPS).index)


def test_measured_and_published_scores_share_no_row(shelf):
    for row in built(shelf)["rows"]:
        kinds = {c["kind"] for c in row["cells"]} - {"unknown"}
        assert row["group"] == "price" or len(kinds) <= 1, row["id"]


def test_every_cell_that_is_not_ours_says_where_it_is_from(shelf):
    for row in built(shelf)["rows"]:
        for cell in row["cells"]:
            assert cell["kind"] == "unknown" or cell["source"], row["id"]
            assert cell["kind"] not in ("reported", "declared") or cell["date"], row["id"]


def test_the_folder_is_an_artifact_of_what_was_read_and_the_table_is_whole(shelf):
    card = built(shelf)
    assert main(["verify", str(shelf / "out")]) == 0
    assert {p["name"] for p in read_manifest(shelf / "out")["parents"]} == {"e0", "e1", "a0", "a1", "s0", "s1"}
    with (shelf / "out/scorecard.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 3 * len(card["rows"])
    assert main(["compare", "run", str(shelf / "c.toml"), "--out", str(shelf / "out")]) == 2


def test_different_prompts_are_shown_and_not_weighed(shelf):
    results(shelf / "e2", "evaluation", [acc(0.1, prompt_sha256="another")])
    file = shelf / "c.toml"
    file.write_text(file.read_text().replace('["e1"]', '["e2"]'))
    row = next(r for r in measured_rows(read(file)) if r.id == "quiz.acc chat")
    assert row.why_unranked == "not weighed: the systems were asked different prompts"
    assert [c.value for c in row.cells] == [0.8, 0.1, None]


def test_measures_can_be_named(shelf):
    file = shelf / "c.toml"
    file.write_text('measures = ["quiz.acc_norm"]\n' + file.read_text())
    assert [r.id for r in measured_rows(read(file))] == ["quiz.acc_norm chat"]
    file.write_text(file.read_text().replace("quiz.acc_norm", "quiz.f1"))
    with pytest.raises(ConfigError, match=r"no artifact has the measure `quiz\.f1`"):
        measured_rows(read(file))


@pytest.mark.parametrize(("old", "new", "said"), [
    ('name = "Two"', 'name = "Three"', "names a system twice"),
    ('"e1"', '"nowhere"', "`nowhere` is not a folder"),
    ("declared.weights", "declared.wieghts", "no `wieghts`"),
    ('reported = "GPT-4o"', 'reported = "GPT-5"', "nothing published is known of `GPT-5`"),
    ("requests = 1000", 'requests = "many"', "volume.requests is 'many'"),
    (', date = "2026-01-02"', "", "has no `date`"),
    ('audits = ["a1"]', 'audit = ["a1"]', "no `audit`"),
    ("[volume]", "[volum]", "no `volum`"),
    ('reported = "GPT-4o"', 'price = "gpt-9"', "knows no `gpt-9`"),
    ('"e1"', '"a1"', "is of kind audit, not evaluation"),
])  # fmt: skip
def test_what_cannot_be_is_refused_by_name(shelf, capsys, old, new, said):
    file = shelf / "c.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    assert main(["compare", "run", str(file), "--out", str(shelf / "out")]) in (2, 3)
    assert said in capsys.readouterr().err and not (shelf / "out").exists()


def test_one_system_is_no_comparison_and_no_toml_is_no_file(tmp_path):
    (tmp_path / "c.toml").write_text('[[system]]\nname = "A"\n')
    with pytest.raises(ConfigError, match="at least two"):
        read(tmp_path / "c.toml")
    (tmp_path / "d.toml").write_text("=")
    assert main(["compare", "run", str(tmp_path / "d.toml"), "--out", str(tmp_path / "o")]) == 3


def test_a_damaged_artifact_is_named(shelf):
    (shelf / "e1/results.json").write_text('{"results": [{"score": 1}]}')
    with pytest.raises(ArtifactError, match="not what an evaluation leaves"):
        measured_rows(read(shelf / "c.toml"))


def test_costs_by_hand():
    volume = Volume(requests=100_000, input_tokens=800, output_tokens=250)
    assert by_tokens(volume, 1.6, 6.4) == pytest.approx(288.0)
    assert by_hours(volume, Hourly(2.0, "EUR", "s", "d"), 250.0) == pytest.approx(100_000 / 3600 * 2)


def test_numbers_are_written_in_both_languages():
    assert number(0.8731, "share", "en") == "87.3 %" and number(0.8731, "share", "fr") == "87,3 %"
    assert number(1234.5, "USD", "en") == "1,234.50" and number(1234.5, "USD", "fr") == "1\u202f234,50"
    assert number(0.0321, "s", "en") == "32 ms" and number(2.5, "s", "fr") == "2,50 s"


def test_published_facts_have_sources_and_name_nobodys_unread_scores():
    book = reported()
    words, known = criteria()
    assert {c.group for c in known} <= set(GROUPS) and set(words) == {"yes", "partly", "no"}
    for bench in book["benchmark"]:
        assert bench["source"] in book["source"] and set(bench["scores"]) <= set(book["system"])
        assert "Qwen2.5-Max" not in bench["scores"], "its tables are images: no figure of them was read as text"
    assert len(book["system"]) == 5


def test_the_page_loads_nothing_and_runs_only_its_own_script(shelf):
    built(shelf)
    page = (shelf / "out/index.html").read_text()
    assert "One &lt;i&gt;" in page and "One <i>" not in page
    style, script = re.search(r"<style>(.*?)</style>", page, re.S)[1], re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(script) == 1 and policy(style, script[0]) in page and "unsafe" not in policy(style, script[0])
    assert not re.search(r'(src|href)=|style="| on\w+="', page.split('id="card"')[0])


def test_the_reader_weighs_in_the_browser_as_python_does(shelf, browser):  # noqa: F811
    card = built(shelf)
    server, url = serve(shelf / "out")
    try:
        page = open_page(browser, url, width=1200)
        totals = page.js("standings(state.weights).map(s => [s.total, s.coverage, s.low, s.high])")
        rows = [Row(**{**r, "label": Text("", ""), "cells": tuple(
            Cell(**{**c, "words": None}) for c in r["cells"])}) for r in card["rows"]]
        weights = page.js("state.weights")
        for said, known in zip(totals, standings(rows, weights), strict=True):
            assert said == pytest.approx([known.total, known.coverage, known.low, known.high])
        assert page.js("document.documentElement.lang") == "en"
        page.js("document.querySelector('#lang').click()")
        assert "Vos poids" in page.text("main") and "Your weights" not in page.text("main")
        page.js("set('speed', 0)")
        assert "speed:0" in page.js("location.hash")
        page.js("document.querySelector('#table td').focus()")
        for key in ("ArrowDown", "Enter"):
            page.press(key)
        assert page.js("!document.querySelector('#detail').hidden")
        page.press("Escape")
        page.size(390, 844)
        assert page.js("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out of a narrow window"
        assert [r for r in page.requests if not r.startswith(url.rpartition("/")[0])] == [] and page.complaints == []
        page.close()
    finally:
        server.shutdown()
        server.server_close()
