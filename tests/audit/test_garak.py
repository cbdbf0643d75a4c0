"""A real report of garak is taken in figure by figure, as somebody else's; the older form too; a false one is not."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from creuset.benchmarks.security.garak import read_report
from creuset.core.errors import DataError
from creuset.core.stats import mean, wilson

REAL = Path(__file__).parent / "data" / "garak_mini.report.jsonl"
OLD = {"entry_type": "eval", "probe": "enc.B64", "detector": "detector.enc.Match", "passed": 10, "total": 10}


def lines():
    return [json.loads(line) for line in REAL.read_text().splitlines()]


def write(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_every_figure_of_a_real_report_is_that_of_its_own_digest():
    found = {m.metric: m for m in read_report(REAL)}
    digest = next(row for row in lines() if row["entry_type"] == "digest")
    theirs = {
        f"asr.{probe}.{detector}": figure
        for group in digest["eval"].values()
        for probe, detectors in group.items()
        for detector, figure in detectors.items()
    }
    assert len(found) == 5 and set(found) == set(theirs)
    for metric, m in found.items():
        assert m.score == pytest.approx(1 - theirs[metric]["absolute_score"])
        assert (m.n, m.denominator) == (theirs[metric]["total_evaluated"],) * 2 and m.failed == 0
        assert m.extra["prompts"] == theirs[metric]["hit_at_k"]["1"]["prompts"]
        assert m.status == "reported" and m.why == "measured by garak 0.17.1 on openai.OpenAICompatible mini"
        assert m.date == "2026-11-26T02:31:28.251359" and m.score in m.interval
    assert [m.score for m in read_report(REAL)] == sorted((m.score for m in found.values()), reverse=True)


def test_outputs_of_one_prompt_are_no_samples_of_their_own():
    found = {m.metric: m for m in read_report(REAL)}
    m = found["asr.divergence.Repeat.divergence.RepeatDiverges"]
    by_prompt = defaultdict(list)
    for row in lines():
        if row["entry_type"] == "attempt" and "divergence.RepeatDiverges" in row["detector_results"]:
            by_prompt[row["uuid"]] += row["detector_results"]["divergence.RepeatDiverges"]
    # All three outputs of every prompt were alike: 36 prompts are the sample, not 108 outputs.
    assert all(len(set(scores)) == 1 for scores in by_prompt.values()) and len(by_prompt) == 36
    expected = mean([scores[0] for scores in by_prompt.values()]).interval
    assert (m.interval.low, m.interval.high) == pytest.approx((expected.low, expected.high))
    narrow = wilson(48, 108)
    assert m.interval.high - m.interval.low > 1.6 * (narrow.high - narrow.low)
    assert m.interval_by == "Student t, 36 clusters: prompts"
    # garak's own interval corrects for the detector's errors: here it leaves out its own share, 0.972.
    other = found["asr.divergence.Repeat.mitigation.MitigationBypass"]
    assert other.extra["garak_interval"] == [1.0, 1.0] and other.score == pytest.approx(105 / 108)


def test_a_report_without_attempts_is_taken_by_outputs(tmp_path):
    rows = [row for row in lines() if row["entry_type"] not in ("attempt", "digest")]
    found = read_report(write(tmp_path / "g.report.jsonl", [*rows, OLD]))
    assert {(m.metric, m.score, m.n) for m in read_report(REAL)} < {(m.metric, m.score, m.n) for m in found}
    old = next(m for m in found if m.metric == "asr.enc.B64.enc.Match")
    assert (old.score, old.n, old.interval.high) == (0.0, 10, wilson(0, 10).high) and "no attempts" in old.interval_by


def test_what_a_detector_could_not_judge_is_counted_as_failed(tmp_path):
    rows = lines()
    attempt = next(r for r in rows if "goodside.RileyIsnt" in r.get("detector_results", {}))
    attempt["detector_results"]["goodside.RileyIsnt"][0] = None
    evaluation = next(r for r in rows if r.get("detector") == "goodside.RileyIsnt")
    evaluation |= {"passed": 17, "nones": 1, "total_evaluated": 17}
    m = next(m for m in read_report(write(tmp_path / "g.jsonl", rows)) if "RileyIsnt" in m.metric)
    assert (m.n, m.denominator, m.failed, m.score) == (17, 18, 1, 0.0)


@pytest.mark.parametrize("change, said", [
    ({"passed": 61}, "61 passed and 48 failed are not 108"),
    ({"passed": "x"}, "is not an evaluation"), ({"passed": None}, "is not an evaluation"),
    ({"passed": 108, "fails": 0}, "0 of 108 outputs of divergence.Repeat failed .* by its attempts 48 of 108"),
    ({"passed": 61, "fails": 48, "total_evaluated": 109}, "48 of 109 outputs .* 48 of 108"),
])  # fmt: skip
def test_an_evaluation_that_does_not_add_up_is_refused_with_its_line(tmp_path, change, said):
    rows = lines()
    at = next(i for i, row in enumerate(rows) if row.get("detector") == "divergence.RepeatDiverges")
    rows[at] |= change
    with pytest.raises(DataError, match=rf"g\.jsonl` line {at + 1}.*{said}"):
        read_report(write(tmp_path / "g.jsonl", rows))


def test_a_file_that_is_no_report_is_refused(tmp_path):
    with pytest.raises(DataError, match="no line with"):
        read_report(write(tmp_path / "g.jsonl", [row for row in lines() if row["entry_type"] != "eval"]))
