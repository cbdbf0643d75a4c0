"""Two systems measured and one as published, as artifacts and a file that names them."""

import json

import pytest

from creuset.benchmarks.service.portability import PROBES, Portability, Tried
from creuset.benchmarks.service.speed import Call, summarise
from creuset.benchmarks.service.speed import keep as keep_speed
from creuset.cli import main
from creuset.core.artifact import new_artifact
from creuset.core.stats import Interval
from creuset.types.measure import Measure
from creuset.types.usage import Load

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
    probes = tuple(
        Tried(id, "refused" if id == "embeddings" else "untried" if id == "stop" else "right", "said")
        for id, _ in PROBES
    )
    Portability(url="u", model="m", date="2026-01-04", right=18, tried=19, probes=probes).keep(tmp_path / "p0")
    (tmp_path / "c.toml").write_text(f"""
title = "A & B"
remark = {{ en = "Only toys <b>", fr = "Des jouets" }}
[volume]
requests = 1000
input_tokens = 100
output_tokens = 50
[[system]]
name = "One <i>"
evaluations = ["e0"]
audits = ["a0"]
speed = "s0"
portability = "p0"
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
