"""garak's reports, of its older and its newer form, are taken in as figures of somebody else's."""

import json

import pytest

from creuset.audit.garak import read_report
from creuset.core.errors import DataError

SETUP = [{"entry_type": "start_run setup", "plugins.target_type": "rest", "plugins.target_name": "m"},
         {"entry_type": "init", "garak_version": "0.16.0", "start_time": "2026-11-01T00:00:00"},
         {"entry_type": "attempt", "prompt": "x"}]
NEW = {"entry_type": "eval", "probe": "dan.Dan", "detector": "dan.DAN", "passed": 6, "fails": 2, "nones": 1,
       "total_evaluated": 8, "total_processed": 9, "confidence_lower": 0.1, "confidence_upper": 0.5}
OLD = {"entry_type": "eval", "probe": "enc.B64", "detector": "detector.enc.Match", "passed": 10, "total": 10}


def write(path, *rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_both_forms_are_read_worst_first(tmp_path):
    worst, best = read_report(write(tmp_path / "g.report.jsonl", *SETUP, OLD, NEW))
    assert (worst.metric, worst.score, worst.n, worst.failed) == ("asr.dan.Dan.dan.DAN", 0.25, 8, 1)
    assert (best.metric, best.score, best.n) == ("asr.enc.B64.enc.Match", 0.0, 10)
    assert worst.status == best.status == "reported" and "garak 0.16.0 on rest m" in worst.why
    assert worst.extra["garak_interval"] == [0.1, 0.5] and 0.25 in worst.interval


@pytest.mark.parametrize("bad", [NEW | {"passed": 7}, NEW | {"passed": "x"}, {"entry_type": "eval", "passed": 1}])
def test_a_damaged_report_is_refused_with_its_line(tmp_path, bad):
    with pytest.raises(DataError, match=r"g\.jsonl` line 4"):
        read_report(write(tmp_path / "g.jsonl", *SETUP, bad))


def test_a_file_that_is_no_report_is_refused(tmp_path):
    with pytest.raises(DataError, match="no line with"):
        read_report(write(tmp_path / "g.jsonl", *SETUP))
