"""Memorisation and membership: by the definitions, and on a model that learned by heart and one that read nothing."""

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from creuset.benchmarks.privacy import canaries, membership
from creuset.benchmarks.training_data.lineage import open_for
from creuset.cli import main
from creuset.core.artifact import read_manifest, verify
from creuset.core.errors import ArtifactError, ConfigError
from creuset.core.stats import Interval
from creuset.data.build.canaries import SECRETS, SOURCE, CanaryPlan, documents, invent, read_canaries
from creuset.data.shards import passages
from creuset.data.shards.files import Shards
from creuset.evals.clients import scoring
from creuset.model.attention import Packed
from creuset.testing import tiny_config, tiny_model, tiny_tokenizer
from tests.audit.checks import checked
from tests.audit.overfit import PLAN, overfit
from tests.lazy import lazily

if TYPE_CHECKING:
    from scipy import stats
else:
    stats = lazily("scipy.stats")


def check(part, model, *, limit=None, **given):
    folder = overfit()
    found = checked(
        part,
        model=folder / model,
        work=folder,
        limit=limit,
        given={name: folder / path for name, path in given.items()},
    )
    return {m.metric: m for m in found.measures}, found.evidence


def test_the_scores_are_those_of_their_papers():
    draw = np.random.default_rng(1)
    logs = np.log(draw.dirichlet(np.full(50, 0.3), size=40))
    picked = draw.integers(0, 50, 40)
    own_logs = logs[np.arange(40), picked]
    mu = (np.exp(logs) * logs).sum(1)
    sigma = np.sqrt((np.exp(logs) * logs**2).sum(1) - mu**2)
    found = membership.scores(own_logs, mu, sigma, b"la la la " * 20)
    assert found["loss"] == pytest.approx(own_logs.mean())
    assert found["mink_20"] == pytest.approx(np.mean(sorted(own_logs)[:8]))
    assert found["minkpp_5"] == pytest.approx(np.mean(sorted((own_logs - mu) / sigma)[:2]))
    assert found["zlib"] * -found["blind"] == pytest.approx(found["loss"]) and -found["blind"] < 60
    assert membership.lowest_mean(np.array([3.0, -1.0]), 5) == -1.0


def test_the_weights_say_what_the_definition_says():
    model = tiny_model(tiny_config(vocab_size=512))
    rows = [np.array([5, 9, 300, 7]), np.array([8, 8, 1]), np.array([100, 200, 300, 400])]
    with torch.inference_mode():
        for ids, one in zip(rows, scoring.surprises(model, rows, tokens_per_batch=5), strict=True):
            tokens = torch.from_numpy(ids[:-1])
            hidden = model(tokens, torch.arange(len(tokens)), Packed([len(tokens)]))
            logs = model.logits(hidden).log_softmax(-1).double()
            p = logs.exp()
            mean = (p * logs).sum(-1)
            assert one.logprob == pytest.approx(logs[range(len(tokens)), ids[1:]].numpy(), abs=1e-4)
            assert one.mean == pytest.approx(mean.numpy(), abs=1e-4)
            assert one.spread == pytest.approx(((p * (logs - mean[:, None]) ** 2).sum(-1)).sqrt().numpy(), abs=1e-4)


@pytest.mark.parametrize(
    ("family", "shape"),
    [
        ("qwen3_moe", {}), ("mistral", {"window": 2, "window_layers": (0, 1)}),
        ("gpt_oss", {"window": 2, "window_layers": (0,)}),
        ("gemma2", {"window": 2, "window_layers": (0,), "attention_cap": 5.0}), ("deepseek_v3", {}),
    ],
)  # fmt: skip
def test_a_shared_beginning_is_read_once_and_changes_nothing(family, shape):
    model = tiny_model(tiny_config(family, vocab_size=512, **shape))
    rows = [np.array([7, 8, a, b]) for a in (1, 2, 3) for b in (4, 5)] + [np.array([7, 8, 9, 1, 2])]
    found = scoring.sequence_logprobs(model, rows)
    whole = [s.logprob[1:].sum() for s in scoring.surprises(model, rows)]  # behind what all share: 7 8
    assert found == pytest.approx(np.array(whole), abs=1e-4)


def test_exposure_is_exact_where_all_candidates_are_ranked():
    values = -np.arange(16.0)
    for rank, bits in ((1, 4.0), (2, 3.0), (16, 0.0)):
        found = canaries.exposure(values[rank - 1], values, 16)
        assert found.bits == pytest.approx(bits) and found.method == "exact rank"
    assert canaries.exposure(0.0, np.zeros(16), 16).bits == 4.0  # ties are not above it


def test_the_fit_is_a_skew_normal_distribution():
    sample = stats.skewnorm.rvs(4, loc=-30, scale=5, size=4000, random_state=2)
    found = canaries.exposure(-20.0, sample, 10**9)
    assert found.bits == pytest.approx(-math.log2(stats.skewnorm.sf(-20, 4, loc=-30, scale=5)), abs=0.3)
    assert found.misfit < 0.03 and "skew-normal fit of 4000" in found.method
    assert canaries.exposure(1000.0, sample, 10**9).bits == pytest.approx(math.log2(10**9))
    assert canaries.exposure(0.0, np.r_[np.zeros(50), np.full(50, -90.0)], 10**9).misfit > 0.2  # said, not hidden


def test_a_repeated_canary_is_exposed_and_an_absent_one_is_not():
    found, evidence = check("canaries", "model", shards="shards", canaries="canaries")
    assert found["exposure.rep4-7"].score > 5 > 4 > found["exposure.rep0"].score
    assert found["exposure.rep4-7"].extra["most_possible"] == pytest.approx(math.log2(100))
    assert found["person.continued.rep4-7"].score == 1.0 and found["person.continued.rep0"].score == 0.0
    assert [count for count, _ in found["exposure.rep4-7"].extra["points"]] == [4, 4]
    assert {row["planted"] for row in evidence} == {0, 4} == {row["planned"] for row in evidence}
    secrets = {c.secret for c in read_canaries(overfit() / "canaries") if c.kind == "person"}
    assert not any(secret in json.dumps(evidence) for secret in secrets)
    assert "not among the model's recorded ancestors" in found["exposure.rep4-7"].caveat


def test_a_passage_learned_by_heart_comes_back_and_a_held_out_one_does_not():
    found, evidence = check("extraction", "model", shards="shards")
    assert found["extractable.4-7.k200"].score == 1.0  # with less of a prefix this small model is lost
    assert all(found[f"extractable.held-out.k{k}"].score == 0.0 for k in (50, 100, 200))
    never = found["extractable.8-15.k50"]
    assert never.status == "not_applicable" and "8-15 times" in never.why
    assert {row["occurrences"] for row in evidence} == {0, 7}


def test_members_are_told_from_a_model_that_learned_them_and_not_from_one_that_did_not():
    learned, _ = check("membership", "model", shards="shards")
    fresh, evidence = check("membership", "fresh", shards="shards")
    for name in ("loss", "zlib", "mink_20", "minkpp_20"):
        assert learned[f"auroc.{name}"].score > 0.9
    assert learned["tpr_1pct.loss"].score > 0.9 < learned["tpr_1pct.minkpp_20"].score
    assert 0.5 in fresh["auroc.loss"].interval and 0.5 in fresh["auroc.minkpp_20"].interval
    assert 0.5 in learned["auroc.blind"].interval
    assert learned["auroc.loss"].extra["members"] == learned["auroc.loss"].extra["non_members"]
    assert {"5", "60"} <= set(learned["auroc.mink_20"].extra["sweep"])
    assert all(not isinstance(value, str) or len(value) < 40 for row in evidence for value in row.values())  # no text


def test_windows_are_chosen_by_what_they_say_and_counted_wherever_they_are(monkeypatch):
    shards = Shards.open(overfit() / "shards")
    whole = passages.sampled_windows(shards, "train", size=10, one_in=3)
    monkeypatch.setattr(passages, "CHUNK", 64)
    parts = passages.sampled_windows(shards, "train", size=10, one_in=3)
    assert all((a == b).all() for a, b in zip(whole[:2], parts[:2], strict=True)) and len(whole[0]) > 300
    counts = dict(zip(*np.unique(whole[0], return_counts=True), strict=True))
    number = whole[2].index("repeated")
    tokens = np.asarray(shards.tokens("repeated", "train"), dtype=np.int64)
    inside = [
        h for h, (source, at) in zip(whole[0], whole[1], strict=True) if source == number and at + 10 < len(tokens) // 7
    ]
    assert inside and {int(counts[h]) for h in inside} == {7}


def test_canaries_are_nobodys_documents():
    shards = Shards.open(overfit() / "shards")
    wanted = {"count": 9, "min_tokens": 1, "max_tokens": 9, "seed": 1}
    assert passages.draw_documents(shards, "canaries", "train", **wanted) == []
    assert len(passages.draw_documents(shards, "prose", "train", **wanted)) == 9


def test_another_models_shards_are_refused(tmp_path):
    tiny_tokenizer(600).save(tmp_path)
    with pytest.raises(ConfigError, match="was cut by another tokenizer"):
        open_for(overfit() / "shards", tmp_path)


def test_canaries_are_planted_as_planned_and_secrets_stay_apart(tmp_path, capsys):
    out = tmp_path / "canaries"
    assert main(["corpus", "canaries", "--out", str(out), "--set", "repetitions=0,1,3", "--set", "per_level=2"]) == 0
    assert "12 canaries in 16 documents" in capsys.readouterr().out
    known = read_canaries(out)
    texts = [json.loads(line)["text"] for line in (out / SOURCE).read_text().splitlines()]
    assert len(texts) == 16 == len(set(texts))  # none is an exact duplicate of another
    for canary in known:
        said = canary.before + canary.secret
        assert sum(text.startswith(said) for text in texts) == canary.repetitions
    manifest = json.dumps(read_manifest(out))
    assert not any(c.secret in manifest for c in known if c.kind == "person") and not verify(out)
    assert all(c.secret.endswith(".example") for c in known if c.kind == "person")
    assert invent(CanaryPlan(seed=3)) == invent(CanaryPlan(seed=3)) != invent(CanaryPlan(seed=4))
    assert len(documents(invent(PLAN), PLAN)) == 16
    (out / SECRETS).write_text("[{}]")
    with pytest.raises(ArtifactError, match=r"secrets\.json"):
        read_canaries(out)
    with pytest.raises(ArtifactError, match="is a shards artifact, not canaries"):
        read_canaries(overfit() / "shards")


@pytest.mark.parametrize(
    ("change", "words"),
    [({"repetitions": (1, 1)}, "different numbers"), ({"digits": 1}, "digits"), ({"per_level": 0}, "must be positive")],
)
def test_a_plan_that_cannot_be_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        CanaryPlan(**change)


def test_intervals_stay_within_what_can_be():
    exposures = [(1, canaries.Exposure(bits, 100, "exact rank", 0.0)) for bits in (0.1, 6.6)]
    row = canaries.exposure_measures(exposures, seed=1, caveat="")[0]
    assert row.interval == Interval(0.0, math.log2(100))
