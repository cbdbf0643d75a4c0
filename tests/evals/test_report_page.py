"""The report of an evaluation: everything is on the page, nothing on it runs but what is ours."""

import csv
import json
import re

import pytest

from creuset.cli.eval_report import report
from creuset.core.errors import ArtifactError, ConfigError, DataError
from creuset.evals.paired import compare_runs
from creuset.evals.paired_page import write_comparison
from creuset.evals.report import page, results_csv, write_report
from creuset.report.html import render
from creuset.report.page import embed
from creuset.report.samples import samples_browser
from creuset.report.table import axis, number
from creuset.types.measure import read_results
from tests.evals.left_run import HOSTILE, leave, row
from tests.web.conftest import browser, chromium  # noqa: F401


def rows(count=5):
    made = [row(i, float(i % 2)) for i in range(count)]
    made[2] |= {"extracted": False, "answer": None}
    made[4] |= {"failed": True, "outcomes": [{"kind": "failure", "reason": "timeout", "detail": "after 60 s"}]}
    return made


def test_the_page_and_the_table_are_written_beside_the_folder(tmp_path, capsys):
    run = leave(tmp_path / "run", {"demo": rows()})
    assert report(run, None) == 0
    said = capsys.readouterr().out.split()
    assert [p.rsplit("/", 1)[1] for p in said] == ["run-report.html", "run-report.csv"]
    with (tmp_path / "run-report.csv").open(newline="") as stream:
        (line,) = csv.DictReader(stream)
    found = json.loads((run / "results.json").read_text())["results"][0]
    assert (line["task"], float(line["score"]), float(line["low"])) == ("demo", found["score"], found["interval"][0])


def test_a_table_runs_no_formula():
    line = results_csv([{"task": "=cmd()", "metric": "acc", "score": -0.5}]).splitlines()[1]
    assert line.startswith("'=cmd(),acc,-0.5,")


def test_there_is_nothing_from_outside_and_a_policy_against_it(tmp_path):
    text = page(read_results(leave(tmp_path / "run", {"demo": rows()}), samples=True))
    outside = [u for u in re.findall(r"https?://[^\s\"'<]+", text) if not u.startswith("http://127.0.0.1:1/v1")]
    assert not outside
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text).group(1)
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert not re.search(r"<[^>]+\s(style|on\w+)=", text.split("<body>")[1].split("<script>")[0])


def test_no_string_ends_a_block_of_json():
    said = embed("x", {"a": HOSTILE})
    inside = said[said.index(">") + 1 : said.rindex("</script>")]
    assert "<" not in inside and json.loads(inside) == {"a": HOSTILE}


def test_what_is_broken_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"it has no results\.json"):
        read_results(tmp_path, samples=True)
    run = leave(tmp_path / "run", {"demo": rows()})
    with pytest.raises(ConfigError, match=r"x\.txt` is not a name of a page"):
        write_report(run, tmp_path / "x.txt")
    (run / "demo.jsonl").write_text('{"id": "a"}\n{"id":')
    with pytest.raises(DataError, match=r"demo\.jsonl` line 2 is not JSON"):
        read_results(run, samples=True)


def test_questions_of_harmful_tasks_are_hidden_unless_asked_for():
    harmful = {"demo": [{"id": "h", "correct": 1.0, "hidden": True, "prompt": "SECRET", "answer": "SECRET"}]}
    unpacked = [_rows(render(samples_browser(harmful, harmful=flag))) for flag in (False, True)]
    assert "SECRET" not in unpacked[0] and "SECRET" in unpacked[1]


def _rows(html):
    import base64
    import gzip

    packed = re.search(r'id="rows-demo">([^<]+)<', html).group(1)
    return gzip.decompress(base64.b64decode(packed)).decode()


def test_axes_have_the_ends_of_their_unit():
    assert axis([{"score": 0.3, "unit": "share"}]) == (0.0, 1.0)
    assert axis([{"score": 0.3, "interval": [-0.1, 0.4], "unit": "share"}]) == (-1.0, 1.0)
    assert axis([{"score": 51.0, "unit": "percent"}]) == (0.0, 100.0)
    assert axis([{"score": 4.0, "unit": "s"}, {"score": 12.0, "unit": "s"}]) == (0.0, 12.0)
    assert axis([{"score": None}]) is None
    assert [number(v) for v in (0.12345, 14042, 1e-6, 0, 0.0)] == ["0.123", "14\u202f042", "1e-06", "0", "0.000"]


@pytest.fixture
def shown(tmp_path, browser):  # noqa: F811
    """Opens a page file; it complained of nothing and asked nobody."""
    opened = []

    def show(file, **size):
        tab = browser.page("about:blank", **size)
        tab.call("Page.navigate", url=file.as_uri())
        tab.wait("document.readyState === 'complete' && $('#detail')?.children.length > 0", "the samples")
        opened.append((tab, file.as_uri()))
        return tab

    yield show
    for tab, url in opened:
        assert tab.complaints == [] and [u for u in tab.requests if not u.startswith(url)] == []
        tab.close()


def test_a_hostile_reply_is_inert_wherever_it_stands(tmp_path, shown):
    bad = row(0, 0.0, id=HOSTILE, cluster=HOSTILE, prompt=HOSTILE, answer=HOSTILE, gold=HOSTILE, note=HOSTILE)
    bad["outcomes"][0] |= {"text": HOSTILE, "warnings": [HOSTILE], "reasoning": HOSTILE, "model": HOSTILE}
    chat = row(1, 1.0, prompt=[{"role": HOSTILE, "content": HOSTILE}], choices=[HOSTILE, "b"])
    failed = row(2, 0.0, failed=True, outcomes=[{"kind": "failure", "reason": HOSTILE, "detail": HOSTILE}])
    harm = {"caveat": HOSTILE, "extractor": HOSTILE, "licence": HOSTILE}
    run = leave(tmp_path / "a", {"demo": [bad, chat, failed]}, name=HOSTILE, **harm)
    write_report(run, tmp_path / "a.html")
    tab = shown(tmp_path / "a.html")
    for index in range(3):
        tab.js("$('#list').focus()")
        assert tab.js(f"$('#item-{index}').getAttribute('aria-selected')") == "true"
        assert "onerror" in tab.text("#detail")
        tab.press("ArrowDown")
    assert tab.js("window.hacked") is None and tab.count("img") == 0 and "onerror" in tab.text("h1")
    write_comparison(compare_runs(run, run), tmp_path / "c.html")
    assert shown(tmp_path / "c.html").js("[window.hacked ?? 0, $$('img').length]") == [0, 0]


def test_samples_are_found_by_filter_word_and_key(tmp_path, shown):
    write_report(leave(tmp_path / "run", {"demo": rows(), "other": [row(9, 1.0)]}), tmp_path / "r.html")
    tab = shown(tmp_path / "r.html")
    counts = {}
    for name in ("all", "wrong", "right", "failed", "unextracted"):
        tab.click(f"[data-filter={name}]")
        counts[name] = tab.js("$('#list .room').clientHeight / 44")
    assert counts == {"all": 5, "wrong": 3, "right": 2, "failed": 1, "unextracted": 1}
    tab.click("[data-filter=failed]")
    assert "timeout" in tab.text("#detail") and "after 60 s" in tab.text("#detail")
    tab.click("[data-filter=all]")
    tab.js("document.activeElement.blur()")
    tab.press("/")
    tab.type("Question 3")
    tab.wait("$('#list .room').clientHeight === 44", "one sample found")
    assert "I say A, 3" in tab.text("#detail") and tab.text("#detail mark") == "A"
    tab.press("Escape")
    assert tab.js("document.activeElement.id") == "list"
    tab.js("location.hash = '#other/demo/9'")
    tab.wait("$('#task').value === 'other' && $('#detail').innerText.includes('demo/9')", "a link to a sample")


def test_thousands_of_samples_leave_few_elements(tmp_path, shown):
    many = [row(i, float(i % 3 == 0)) for i in range(6000)]
    write_report(leave(tmp_path / "run", {"demo": many}), tmp_path / "r.html")
    tab = shown(tmp_path / "r.html")
    assert tab.count(".item") < 60 and tab.js("document.querySelectorAll('*').length") < 500
    tab.js("$('#list').focus()")
    tab.press("End")
    tab.wait("$('#detail').innerText.includes('demo/5999')", "the last sample")
    assert tab.count(".item") < 60


def test_rows_sort_and_open_and_the_page_speaks_french_at_400_pixels(tmp_path, shown):
    tasks = {"alpha": [row(i, 1.0) for i in range(4)], "beta": [row(i, 0.0) for i in range(4)], "gamma": rows()}
    write_report(leave(tmp_path / "run", tasks), tmp_path / "r.html")
    tab = shown(tmp_path / "r.html")
    tasks_shown = "$$('.measures tbody').map(b => b.rows[0].cells[0].textContent)"
    tab.click(".measures th.score button")
    assert tab.js(tasks_shown) == ["beta", "gamma", "alpha"]
    tab.click(".measures th.score button")
    assert tab.js(tasks_shown) == ["alpha", "gamma", "beta"]
    tab.click(".measures .open")
    assert "d" * 64 in tab.text(".measures tr.more:not([hidden])")
    tab.click("[data-speak=fr]")
    assert tab.text("h1") == "Évaluation de demo model" and tab.js("document.documentElement.lang") == "fr"
    assert tab.js("$('#seek').placeholder") == "chercher"
    tab.size(400, 800)
    assert tab.js("document.documentElement.scrollWidth <= innerWidth")
    tab.prefer(color_scheme="dark")
    before = tab.js("getComputedStyle(document.body).backgroundColor")
    tab.click("[data-light]")
    assert tab.js("getComputedStyle(document.body).backgroundColor") != before


def test_a_page_has_at_most_so_many_samples_of_a_task_evenly_spread(monkeypatch):
    from creuset.report import samples as module

    assert list(module.spread(range(10), 4)) == [0, 2, 5, 7] and module.spread("abc", 3) == "abc"
    monkeypatch.setattr(module, "MOST", 4)
    text = render(module.samples_browser({"big": [row(i, 1.0) for i in range(10)], "small": [row(0, 1.0)]}))
    assert "big (4)" in text and "big: 4 / 10." in text and "small: " not in text
    assert "evenly spread" in text and "également répartie" in text
    assert "evenly spread" not in render(module.samples_browser({"small": [row(0, 1.0)] * 4}))
