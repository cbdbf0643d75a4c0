"""Levels: how often training read a document, curves over them, and that only what was read is called a member."""

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from creuset.benchmarks.privacy import canaries, extraction, membership
from creuset.benchmarks.privacy.membership import Scores
from creuset.benchmarks.training_data import lineage
from creuset.core.artifact import new_artifact
from creuset.core.stats import spearman
from creuset.data.build.canaries import NAME, CanaryPlan, plant
from creuset.data.shards import passages
from creuset.data.shards.files import Shards
from creuset.governance.audit import curves
from creuset.report.html import render
from creuset.testing import tiny_shards, tiny_tokenizer
from tests.lazy import lazily

if TYPE_CHECKING:
    from scipy import stats as scipy_stats
else:
    scipy_stats = lazily("scipy.stats")

TREE = Path(__file__).parents[2]
RUN = {"steps": 10, "tokens_per_step": 100, "context": 8}


def manifest(kind="model", parent="s", **settings):
    return {"kind": kind, "parents": [{"sha256": parent}], "settings": RUN | settings}


def test_a_source_was_read_as_often_as_its_share_of_the_runs_says():
    sizes = {"a": 100, "b": 400, "c": 4}
    runs = [manifest(mix={"a": 1, "b": 3}), manifest(mix={"a": 1}, prose=0.2), manifest(parent="other", mix={"b": 1})]
    assert lineage._sum(runs, "s", sizes) == pytest.approx({"a": 2.5 + 2.0, "b": 1.875, "c": 0.0})
    assert lineage._sum([manifest(mix={})], "s", sizes) == pytest.approx({"a": 2.0, "b": 2.0, "c": 0.0})
    assert lineage._sum([manifest("dialogues", mix={}), manifest(parent="x")], "s", sizes) is None
    quantised = {"kind": "model", "parents": [{"sha256": "s"}], "settings": {"bits": 8}}
    assert lineage._sum([quantised], "s", sizes) is None


def test_the_lineage_of_a_model_says_how_often_its_shards_were_read(tmp_path):
    shards = tiny_shards(tmp_path / "shards")
    assert lineage.times_read(shards, tmp_path) is None
    run = RUN | {"mix": {"en": 1.0}}
    with new_artifact(tmp_path / "model", kind="model", parents=[shards], settings=run) as folder:
        tiny_tokenizer().save(folder)
    with new_artifact(tmp_path / "small", kind="model", parents=[tmp_path / "model"], settings={"bits": 8}) as folder:
        tiny_tokenizer().save(folder)
    size = Shards.open(shards).sources["en"].train.tokens
    for model in ("model", "small"):
        assert lineage.times_read(shards, tmp_path / model) == pytest.approx({"en": 1000 / size, "fr": 0.0})


def test_members_are_drawn_once_and_know_their_copies_and_readings(tmp_path):
    long = [" ".join(f"w{i * 7 + j} the cat sat" for j in range(20)) for i in range(6)]
    shards = tiny_shards(tmp_path / "shards", {"en": [*long[:2], *long[2:5] * 3, long[5]]})
    size = Shards.open(shards).sources["en"].train.tokens
    run = RUN | {"steps": 2, "tokens_per_step": size, "mix": {}}
    with new_artifact(tmp_path / "model", kind="model", parents=[shards], settings=run) as folder:
        tiny_tokenizer().save(folder)
    drawn = membership.draw(shards, tmp_path / "model", documents=50, seed=1)
    assert drawn.parent and len(drawn.documents) == 4  # two held out, as many members
    assert len({d.ids.tobytes() for d in drawn.documents if d.split == "train"}) == 2
    assert [r for d, r in zip(drawn.documents, drawn.read, strict=True) if d.split == "heldout"] == [0.0, 0.0]
    every = passages.draw_documents(Shards.open(shards), "en", "train", count=99, min_tokens=64, max_tokens=9, seed=2,
                                    distinct=True)  # fmt: skip
    assert sorted(d.copies for d in every) == [1, 1, 1, 3, 3, 3] and all(len(d.ids) == 9 for d in every)
    for document, times in zip(drawn.documents, drawn.read, strict=True):
        if document.split == "train":
            assert times == pytest.approx(2 * document.copies)


def made(source, member, value, read):
    names = ("loss", "zlib", "blind", *(f"{f}_{k}" for f in ("mink", "minkpp") for k in membership.SWEEP))
    return Scores(source, member, 0, 64, dict.fromkeys(names, value), read)


def test_what_training_did_not_read_is_no_member_in_the_figures():
    dice = np.random.default_rng(3)
    found = []
    for source, read, shift in (("twice", 2.0, 5.0), ("often", 40.0, 9.0), ("unread", 0.1, 0.0)):
        found += [made(source, True, dice.normal(shift), read) for _ in range(30)]
        found += [made(source, False, dice.normal(), 0.0) for _ in range(30)]
    rows = {m.metric: m for m in membership.measures(found, parent=True, seed=1)}
    main = rows["auroc.loss"]
    assert (main.better, rows["auroc.blind"].better) == ("lower", "")  # `blind` says nothing of the model
    assert main.score > 0.99 and main.n == 120 and main.extra["sources"] == ["often", "twice"]
    assert rows["auroc.loss.read_2-3"].n == 60 == rows["auroc.loss.read_32+"].n
    assert 0.5 in rows["auroc.loss.read_0-1"].interval and "less than all" in rows["auroc.loss.read_0-1"].caveat
    assert rows["tpr_1pct.zlib.read_32+"].extra["read"] == "32+" and "auroc.loss.read_1" not in rows
    control = rows["auroc.loss.read_0"]
    assert (control.n, control.extra["members"]) == (90, 45) and 0.5 in control.interval
    mixed = [*found, *(made("twice", True, dice.normal(5.0), 0.75) for _ in range(30))]
    again = {m.metric: m for m in membership.measures(mixed, parent=True, seed=1)}
    assert again["auroc.loss"].n == 120  # of one source, those that were read and not the others
    assert again["auroc.loss.read_0-1"].n == 120 and again["auroc.loss.read_0-1"].extra["members"] == 60
    alone = membership.measures([s for s in found if s.source == "twice"], parent=True, seed=1)
    assert not [m for m in alone if "read_" in m.metric]  # one level is all there is
    nobody = membership.measures([s for s in found if s.source == "unread"], parent=True, seed=1)
    assert nobody[0].status == "not_testable" and "not known" in nobody[0].why
    unknown = [made("x", i % 2 == 0, float(i), math.nan if i % 2 == 0 else 0.0) for i in range(40)]
    assert [m.n for m in membership.measures(unknown, parent=False, seed=1)] == [40] * 9
    assert {row["read"] for row in membership.evidence(unknown)} == {None, 0.0}


def test_the_rank_correlation_is_that_of_scipy():
    draw = np.random.default_rng(5)
    for _ in range(5):
        x, y = draw.integers(0, 6, 40), draw.normal(size=40).round(1)
        assert spearman(x, y) == pytest.approx(scipy_stats.spearmanr(x, y).statistic)
    assert spearman([1, 2, 3], [9, 20, 21]) == 1.0 and math.isnan(spearman([1, 1], [1, 2]))
    with pytest.raises(ValueError, match="got 2 and 3"):
        spearman([1, 2], [1, 2, 3])


def exposed(pairs):
    return [(n, canaries.Exposure(bits, 10_000, "exact rank", 0.0)) for n, bits in pairs]


def test_more_copies_and_more_bits_are_a_trend_and_two_levels_are_none():
    pairs = [(n, n + 0.1 * i) for n in (0, 1, 4) for i in range(4)]
    found = exposed([*pairs, (200, 13.2)])
    rows = {m.metric: m for m in canaries.exposure_measures(found, seed=1, caveat="c")}
    trend = rows["exposure.spearman"]
    assert trend.score > 0.9 and trend.score in trend.interval and trend.caveat == "c"
    assert trend.extra["levels"] == [0, 1, 4, 200] and "exposure.rep128+" in rows
    two = canaries.exposure_measures(exposed([(0, 1.0), (4, 3.0)]), seed=1, caveat="")
    assert "exposure.spearman" not in {m.metric for m in two}


def test_passages_of_text_that_was_hardly_read_say_so():
    rows = extraction.extraction_measures({"1": {50: [False]}, "2-3": {50: [True]}}, seed=1, caveat="c",
                                            read={"1": 0.31, "2-3": 1.0})  # fmt: skip
    assert "read about 31% of the text" in rows[0].caveat and rows[1].caveat == "c"


def row(task, metric, score, **more):
    return {"task": task, "metric": metric, "score": score, "interval": [score - 0.1, score + 0.1], **more}


def test_a_curve_shows_every_level_line_and_point_and_needs_two_levels():
    points = {"points": [[1, 1.0], [1, 2.0]], "by_chance": 1.44}
    rows = [row("canaries", f"exposure.rep{n}", 1.0 + n, repetitions=str(n), **points) for n in (0, 1, 4)]
    rows += [row("extraction", f"extractable.{b}.k{k}", 0.5, occurrences=b, prefix=k) for b in ("1", "held-out")
             for k in (50, 200)]  # fmt: skip
    drawn = render(curves.curves(rows))
    assert drawn.count("<figure") == 2 and drawn.count('r="3.5"') == 7 and drawn.count('r="2"') == 6
    assert "held-out" in drawn and drawn.count("<polyline") == 3 and drawn.count('class="mark"') == 1
    alone = curves.curve_file(curves.CURVES[0], rows)
    assert alone.startswith("<svg") and alone.count("xmlns=") == 1 and "<figure" not in alone
    assert "times in the" in alone and ".fr{display:none}" in alone
    assert curves.curve_file(curves.CURVES[0], rows[:1]) == ""
    assert curves.curves(rows[:1]) == [] == curves.curves([{"task": "canaries", "metric": "exposure.rep0"}])
    strange = [row("extraction", "extractable.x", 0.5, occurrences=level, prefix=1) for level in ("<script>", "b")]
    assert "<script" not in render(curves.curves(strange))


def test_no_canary_is_held_out_and_the_twin_is_planted_as_planned(tmp_path):
    """What runs/canaries.sh rests on: the corpus keeps copies, and each page on one side of the split."""
    from creuset.cli import main

    plant(CanaryPlan(repetitions=(0, 1, 4), per_level=2, sentences=2, seed=3), tmp_path / "canaries")
    pages = [" ".join(f"page{i} word{j} of the text" for j in range(20)) for i in range(12)]
    texts = tmp_path / "texts"
    texts.mkdir()
    rows = [{"text": text, "page": f"page {i}"} for i, text in enumerate(pages) for _ in range(1 + i % 3)]
    (texts / "members.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (texts / "ledger.toml").write_text(
        '[[source]]\nname = "members"\nlicence = "CC0-1.0"\nkind = "any"\ngroup = "page"\nnear_dedup = false\n'
    )
    assert main(["corpus", "build", str(texts / "members.jsonl"), str(tmp_path / "canaries/source"), "--ledger",
                 str(texts / "ledger.toml"), "--ledger", str(tmp_path / "canaries/ledger.toml"), "--set",
                 "dedup.exact=false", "--set", "dedup.near=false", "--set", "heldout.share=0.5", "--out",
                 str(tmp_path / "corpus")]) == 0  # fmt: skip
    report = json.loads((tmp_path / "corpus/report.json").read_text())["sources"]
    assert (report[NAME]["kept"]["documents"], report[NAME]["heldout"]["documents"]) == (20, 0)
    kept, held = (
        {line for line in _texts(tmp_path / "corpus" / part / "members.jsonl.zst")} for part in ("docs", "heldout")
    )
    assert kept and held and not kept & held
    assert report["members"]["kept"]["documents"] + report["members"]["heldout"]["documents"] == len(rows)


def _texts(file):
    from creuset.data.build.parts import read_lines

    return [json.loads(line)["text"] for line in read_lines(file)]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_script_says_what_it_needs():
    bare = subprocess.run(["bash", str(TREE / "runs/canaries.sh")], capture_output=True, text=True, timeout=20)
    assert bare.returncode and "corpus artifact" in bare.stderr
    from creuset.core.config import recipe

    assert recipe("mini:twin").model == recipe("mini").model and recipe("mini:twin").mix == {}
