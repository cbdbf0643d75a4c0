"""From the reader's file to the folder: rows, kinds of cells, refusals, what ships of others."""

import csv
import json
import re

import pytest

from creuset.benchmarks.service.portability import PROBES
from creuset.cli import main
from creuset.core.artifact import read_manifest
from creuset.core.errors import ArtifactError, ConfigError, DataError
from creuset.governance.compare.ask import book, criteria, read
from creuset.governance.compare.card import GROUPS, KINDS
from creuset.governance.compare.evidence import coverage_rows
from creuset.governance.compare.gather import declared_rows, measured_rows, scale_of
from creuset.governance.compare.page import STATIC, number
from creuset.report.page import policy
from creuset.types.measure import Measure
from tests.compare.shelf import acc, built, results, shelf  # noqa: F401


def test_rows_hold_what_artifacts_files_and_declarations_say(shelf):  # noqa: F811
    card = built(shelf)
    rows = {r["id"]: r for r in card["rows"]}
    kinds = {id: [c["kind"] for c in r["cells"]] for id, r in rows.items()}
    assert kinds["quiz.acc chat"] == ["measured", "measured", "unknown"]
    assert kinds["leak.rate"] == ["measured", "unknown", "unknown"] and rows["leak.rate"]["group"] == "security"
    assert rows["leak.rate"]["cells"][1]["note"] == "needs weights"
    assert "quiz.acc_norm chat" not in rows, "only the first measure of a task is a row"
    assert kinds["published.mmlu"] == ["unknown", "unknown", "reported"]
    assert kinds["weights"] == ["declared"] * 3 and kinds["licence"] == ["declared", "unknown", "unknown"]
    assert rows["weights"]["scale"] == "points" and rows["licence"]["scale"] == ""
    assert rows["speed.first_p50_s"]["cells"][1]["value"] == 0.4
    assert rows["quiz.acc chat"]["cells"][1]["note"] == "2 calls failed"
    month = rows["price.month.USD"]["cells"]
    assert [c["kind"] for c in month] == ["estimated", "unknown", "estimated"], "list x volume is reckoned"
    assert month[0]["value"] == pytest.approx(1000 * 50 / 11 / 3600 * 3.6) and "busy hours" in month[0]["note"]
    assert month[2]["value"] == pytest.approx(1000 * (100 * 2.5 + 50 * 10) / 1e6)
    assert "a batch is listed" in month[2]["note"] and "of cached input" not in month[2]["note"]
    assert [o and o["currency"] for o in card["offers"]] == ["USD", None, "USD"]
    assert rows["price.cached_input.USD"]["cells"][2]["value"] == 1.25 and "price.batch_input.USD" not in rows
    assert rows["price.input.USD"]["cells"][2]["kind"] == "reported"
    assert [r["group"] for r in card["rows"]] == sorted((r["group"] for r in card["rows"]), key=list(GROUPS).index)


def test_what_was_tried_of_the_api_is_evidence_behind_one_share(shelf):  # noqa: F811
    rows = {r["id"]: r for r in built(shelf)["rows"]}
    right = rows["api.right"]
    assert right["group"] == "competition" and right["cells"][0]["value"] == pytest.approx(18 / 19)
    assert "embeddings (refused)" in right["cells"][0]["note"] and "embeddings (refusé)" in right["cells"][0]["note_fr"]
    assert [c["kind"] for c in right["cells"]] == ["measured", "unknown", "unknown"]
    assert rows["api.stop"]["cells"][0]["kind"] == "unknown", "what could not be tried is no failure"
    assert (rows["api.chat"]["cells"][0]["value"], rows["api.embeddings"]["cells"][0]["value"]) == (1.0, 0.0)
    assert sum(r["group"] == "api" for r in rows.values()) == len(PROBES)
    lines = (shelf / "out/scorecard.csv").read_text().splitlines()
    assert all(line.endswith(",no") for line in lines if line.startswith("api,")), "evidence is never weighed"


def test_what_the_audit_could_test_is_counted_by_status(shelf):  # noqa: F811
    parts_ = [
        {"name": "leak", "status": "measured", "why": "", "counts": {"measured": 2, "not_tested": 1}},
        {"name": "bipia", "status": "not_tested", "why": "no data", "counts": {"not_tested": 1}},
    ]
    items = [
        {"row": "3", "title": {"en": "Attacks", "fr": "Attaques"}, "status": "measured", "parts": parts_},
        {
            "row": "20",
            "title": {"en": "Systemic", "fr": "Systémique"},
            "status": "not_tested",
            "parts": [],
            "untested": "declared not tested",
        },
    ]
    (shelf / "a0/items.json").write_text(json.dumps(items))
    rows = {r["id"]: r["cells"] for r in built(shelf)["rows"] if r["group"] == "coverage"}
    assert list(rows) == ["coverage.3", "coverage.20"]
    assert rows["coverage.3"][0]["words"] == {"en": "2 measured, 2 not tested", "fr": "2 mesurés, 2 non testés"}
    assert rows["coverage.3"][0]["note"] == "bipia: no data" and rows["coverage.3"][1]["kind"] == "unknown"
    assert rows["coverage.20"][0]["words"]["en"] == "not tested"
    assert rows["coverage.20"][0]["note"] == "declared not tested"
    (shelf / "a0/items.json").write_text("[{}]")
    with pytest.raises(ArtifactError, match="not what an audit leaves"):
        coverage_rows([[shelf / "a0"]])


def test_an_estimate_never_looks_measured(shelf):  # noqa: F811
    kwh = {"task": "energy", "metric": "kwh_100k_tokens", "unit": "kWh", "better": "lower", "requirement": "14"}
    flop = {"task": "arithmetic", "metric": "flop_per_token", "unit": "FLOP", "better": "lower", "requirement": "14"}
    rated = Measure(score=0.2, caveat="from rated power", extra={"counter": False, "method": "65 W x time"}, **kwh)
    results(shelf / "g0", "audit", [rated, Measure(score=1e9, **flop)])
    results(shelf / "g1", "audit", [Measure(score=0.1, extra={"counter": True, "method": "RAPL"}, **kwh)])
    text = (shelf / "c.toml").read_text()
    for at in (0, 1):
        text = text.replace(f'audits = ["a{at}"]', f'audits = ["a{at}", "g{at}"]')
    (shelf / "c.toml").write_text(text)
    rows = {r["id"]: r for r in built(shelf)["rows"]}
    cells = rows["energy.kwh_100k_tokens"]["cells"]
    assert [c["kind"] for c in cells] == ["estimated", "measured", "unknown"]
    assert cells[0]["note"] == "from rated power; 65 W x time"
    assert rows["arithmetic.flop_per_token"]["cells"][0]["kind"] == "estimated"
    page, style = (shelf / "out/index.html").read_text(), (STATIC / "page.css").read_text()
    marks = [re.search(rf'\.{kind}::before {{ content: "(.)', style)[1] for kind in KINDS]
    assert len(set(marks)) == len(KINDS), "each kind has a mark of its own: colour is not needed"
    assert all(f'<span class="{kind}">' in page for kind in KINDS), "and stands in the legend"


def test_measured_and_published_scores_share_no_row(shelf):  # noqa: F811
    for row in built(shelf)["rows"]:
        kinds = {c["kind"] for c in row["cells"]} - {"unknown"}
        assert row["group"] == "price" or len(kinds) <= 1, row["id"]


def test_every_cell_that_is_not_ours_says_where_it_is_from(shelf):  # noqa: F811
    for row in built(shelf)["rows"]:
        for cell in row["cells"]:
            assert cell["kind"] == "unknown" or cell["source"], row["id"]
            assert cell["kind"] not in ("reported", "declared") or cell["date"], row["id"]


def test_the_folder_is_an_artifact_of_what_was_read_and_the_table_is_whole(shelf):  # noqa: F811
    card = built(shelf)
    assert main(["verify", str(shelf / "out")]) == 0
    assert {p["name"] for p in read_manifest(shelf / "out")["parents"]} == {"e0", "e1", "a0", "a1", "s0", "s1", "p0"}
    with (shelf / "out/scorecard.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 3 * len(card["rows"])
    assert main(["compare", "run", str(shelf / "c.toml"), "--out", str(shelf / "out")]) == 2


def test_different_prompts_are_shown_and_not_weighed(shelf):  # noqa: F811
    results(shelf / "e2", "evaluation", [acc(0.1, prompt_sha256="another")])
    file = shelf / "c.toml"
    file.write_text(file.read_text().replace('["e1"]', '["e2"]'))
    row = next(r for r in measured_rows(read(file)) if r.id == "quiz.acc chat")
    assert row.why_unranked == "not weighed: the systems were asked different prompts"
    assert [c.value for c in row.cells] == [0.8, 0.1, None]


def test_measures_can_be_named(shelf):  # noqa: F811
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
    ("requests = 1000", "cached_share = 1.5", "cached_share is 1.5, not a share"),
    ('portability = "p0"', 'portability = "s0"', "not what `creuset compare portability` leaves"),
    ("hourly = { value = 3.6,", "operator = { hardware = 9,", "operator has no `years`"),
    (', fr = "Des jouets" }', " }", "not a table of `en` and `fr`"),
    ('"e1"', '"a1"', "is of kind audit, not evaluation"),
])  # fmt: skip
def test_what_cannot_be_is_refused_by_name(shelf, capsys, old, new, said):  # noqa: F811
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


def test_a_damaged_artifact_is_named(shelf):  # noqa: F811
    (shelf / "e1/results.json").write_text('{"results": [{"score": 1}]}')
    with pytest.raises(DataError, match=r"results.json`: result 1 has no task"):
        measured_rows(read(shelf / "c.toml"))


def test_numbers_are_written_in_both_languages():
    assert number(0.8731, "share", "en") == "87.3 %" and number(0.8731, "share", "fr") == "87,3 %"
    assert number(1234.5, "USD", "en") == "1,234.50" and number(1234.5, "USD", "fr") == "1\u202f234,50"
    assert number(0.0321, "s", "en") == "32 ms" and number(2.5, "s", "fr") == "2,50 s"


def test_what_ships_of_others_has_a_source_for_everything():
    words, known = criteria()
    assert {c.group for c in known} <= set(GROUPS) and set(words) == {"yes", "partly", "no"}
    assert len(book()["system"]) == 5
    for bench in book()["benchmark"]:
        assert bench["source"] in book()["source"] and set(bench["scores"]) <= set(book()["system"])
        assert "Qwen2.5-Max" not in bench["scores"] or bench["source"] == "livebench", "its own tables are images"
    used = {b["source"] for b in book()["benchmark"]}
    for about in book()["system"].values():
        for id, fact in about["declared"].items():
            source = book()["source"][fact["source"]]
            used.add(fact["source"])
            assert id in {c.id for c in known} and source["title"] and source["url"]
            assert fact["value"] in (*words, "unknown") or fact["fr"], "an answer of its own has its French"
            assert bool(fact.get("note")) == bool(fact.get("note_fr")), id
            assert bool(source.get("grade")) == bool(source.get("grade_fr"))
    assert used == set(book()["source"]), "no source stands there for nothing"


def test_looking_and_finding_no_answer_is_unknown_and_says_so(tmp_path):
    systems = "".join(f'[[system]]\nname = "{n}"\nreported = "{n}"\n' for n in ("DeepSeek V3", "GPT-4o"))
    (tmp_path / "c.toml").write_text(systems)
    rows = {r.id: r for r in declared_rows(read(tmp_path / "c.toml").systems)}
    ours, theirs = rows["training_on_inputs"].cells
    assert (ours.kind, ours.value, theirs.value) == ("unknown", None, 1.0)
    assert "neither yes nor no" in ours.note.en and "a third party's reading" in ours.note.en
    assert "ni oui ni non" in ours.note.fr
    assert ours.source.endswith("deepseek-api-data-training-policy/") and theirs.date == book()["read"]


@pytest.mark.parametrize(("unit", "better", "scale"), [
    ("share", "higher", "share"), ("share of trials passed", "higher", "share"), ("share", "lower", "share_low"),
    ("kWh", "lower", "low"), ("percent", "higher", "percent"), ("nats", "zero", "zero"), ("percent", "fifty", "fifty"),
    ("tokens/s", "higher", "high"), ("nats", "", ""),
])  # fmt: skip
def test_a_unit_and_a_direction_make_a_scale(unit, better, scale):
    assert scale_of({"task": "t", "unit": unit, "better": better}) == scale


def test_the_page_loads_nothing_and_runs_only_its_own_script(shelf):  # noqa: F811
    built(shelf)
    page = (shelf / "out/index.html").read_text()
    assert "One &lt;i&gt;" in page and "One <i>" not in page
    style, script = re.search(r"<style>(.*?)</style>", page, re.S)[1], re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(script) == 1 and policy(style, script[0]) in page and "unsafe" not in policy(style, script[0])
    assert not re.search(r'(src|href)=|style="| on\w+="', page.split('id="card"')[0])
