"""Our statistics against scipy, statsmodels, scikit-learn, fairlearn, and against what they are said to do."""

import itertools
import math

import numpy as np
import pytest

from creuset.core import stats
from creuset.core.stats.special import beta_cdf, beta_quantile, binomial_cdf, normal_cdf, t_cdf, t_quantile
from tests.lazy import lazily

scipy_stats = lazily("scipy.stats")


@pytest.mark.parametrize("df", [1, 2, 7.5, 30, 1000, 1e6])
@pytest.mark.parametrize("t", [-40.0, -2.3, -0.1, 0.0, 0.7, 1.96, 8.0])
def test_students_t_is_scipys(df, t):
    assert t_cdf(t, df) == pytest.approx(scipy_stats.t.cdf(t, df), rel=1e-9, abs=1e-14)
    for p in (0.005, 0.3, 0.5, 0.975, 0.9999):
        assert t_quantile(p, df) == pytest.approx(scipy_stats.t.ppf(p, df), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1, 9), (80, 3), (400, 600), (20_000, 12_000)])
def test_the_beta_distribution_is_scipys(a, b):
    for x in (0.0, 1e-6, 0.02, 0.4, 0.625, 0.97, 1.0):
        assert beta_cdf(x, a, b) == pytest.approx(scipy_stats.beta.cdf(x, a, b), rel=1e-8, abs=1e-13)
    for p in (0.025, 0.5, 0.975):
        assert beta_quantile(p, a, b) == pytest.approx(scipy_stats.beta.ppf(p, a, b), rel=1e-8)


def test_normal_and_binomial_tails_are_scipys():
    assert normal_cdf(-5.5) == pytest.approx(scipy_stats.norm.cdf(-5.5))
    for k, n in [(-1, 5), (0, 5), (3, 5), (5, 5), (41, 100), (4900, 10_000)]:
        assert binomial_cdf(k, n) == pytest.approx(scipy_stats.binom.cdf(k, n, 0.5), rel=1e-8)


@pytest.mark.parametrize(("right", "n"), [(0, 20), (1, 20), (13, 20), (20, 20), (500, 12_032)])
def test_intervals_of_shares_are_those_of_statsmodels(right, n):
    proportion_confint = pytest.importorskip("statsmodels.stats.proportion").proportion_confint
    for ours, method in ((stats.wilson, "wilson"), (stats.clopper_pearson, "beta")):
        found, (low, high) = ours(right, n), proportion_confint(right, n, method=method)
        assert (found.low, found.high) == pytest.approx((np.nan_to_num(low), high if right < n else 1.0), abs=1e-10)


def test_a_clustered_interval_is_that_of_a_regression_on_a_constant():
    sm = pytest.importorskip("statsmodels.api")
    draw = np.random.default_rng(4)
    clusters = draw.integers(0, 23, 300)
    values = draw.normal(size=23)[clusters] + draw.normal(size=300)
    labels = [f"template {c}" for c in clusters]
    found = stats.mean(values, labels)
    fit = sm.OLS(values, np.ones(300)).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    assert (found.value, found.se) == pytest.approx((fit.params[0], fit.bse[0]))
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(fit.conf_int()[0]))
    assert found.clusters == 23 and found.by == "Student t, 23 clusters"


def test_without_clusters_it_is_the_usual_t_interval():
    values = np.random.default_rng(5).normal(size=17)
    found = stats.mean(values)
    low, high = scipy_stats.t.interval(0.95, 16, values.mean(), scipy_stats.sem(values))
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert stats.mean(values, [""] * 17) == found  # no label is no cluster


def test_clusters_that_agree_count_once():
    once, tenfold = [1, 0, 1, 1, 0, 1, 0, 0], np.repeat([1, 0, 1, 1, 0, 1, 0, 0], 10)
    names = np.repeat(list("abcdefgh"), 10).tolist()
    assert stats.mean(tenfold, names).se == pytest.approx(stats.mean(once).se)
    assert stats.mean(tenfold).se < 0.4 * stats.mean(once).se


def test_a_share_never_claims_certainty():
    assert stats.share([1] * 12).interval == stats.wilson(12, 12)
    assert stats.share([1] * 12, list("aaaabbbbcccc")).interval == stats.wilson(3, 3)
    assert stats.share([1, 0, 1, 1], ["a"] * 4).interval == stats.Interval(0.0, 1.0)
    graded = stats.share([1.0, 0.5, 1.0, 1.0])
    assert graded.by == "Student t" and graded.interval.high == 1.0
    with pytest.raises(ValueError, match="from 0 to 1"):
        stats.share([0.2, 1.2])


def test_the_bootstrap_of_a_mean_agrees_with_its_formula_and_clusters_widen_it():
    draw = np.random.default_rng(6)
    clusters = np.repeat(np.arange(40), 5)
    values = draw.normal(size=40)[clusters] + 0.3 * draw.normal(size=200)
    plain = stats.bootstrap(lambda i: float(values[i].mean()), 200)
    grouped = stats.bootstrap(lambda i: float(values[i].mean()), 200, clusters=clusters.tolist())
    assert plain is not None and grouped is not None
    for found, formula in ((plain, stats.mean(values)), (grouped, stats.mean(values, clusters.tolist()))):
        width = formula.interval.high - formula.interval.low
        assert found.low == pytest.approx(formula.interval.low, abs=0.1 * width)
        assert found.high == pytest.approx(formula.interval.high, abs=0.1 * width)
    assert grouped.high - grouped.low > 1.5 * (plain.high - plain.low)


def test_the_bootstrap_keeps_strata_and_whole_clusters():
    strata = ["amb"] * 30 + ["dis"] * 10
    seen: list[np.ndarray] = []
    stats.bootstrap(lambda i: seen.append(i) or 0.0, 40, strata=strata, resamples=50)
    assert all((np.asarray(i) < 30).sum() == 30 and len(i) == 40 for i in seen)
    seen.clear()
    clusters = [f"q{i // 3}" for i in range(12)]
    stats.bootstrap(lambda i: seen.append(i) or 0.0, 12, clusters=clusters, resamples=50)
    assert all((np.bincount(i // 3) == 3 * np.bincount(i[::3] // 3)).all() for i in seen)
    with pytest.raises(ValueError, match="two strata"):
        stats.bootstrap(lambda i: 0.0, 2, clusters=["a", "a"], strata=["x", "y"])


def test_a_bootstrap_that_is_mostly_undefined_has_no_interval():
    assert stats.bootstrap(lambda i: math.nan if (i == 0).any() else 1.0, 3) is None
    found = stats.bootstrap(lambda i: float(i.mean()) if (i == 0).any() else math.nan, 3)
    assert found is not None and found.low < found.high


@pytest.mark.parametrize(("b", "c"), [(0, 0), (3, 0), (0, 6), (12, 25), (41, 40), (900, 1_100)])
def test_mcnemar_is_that_of_statsmodels(b, c):
    mcnemar = pytest.importorskip("statsmodels.stats.contingency_tables").mcnemar
    assert stats.mcnemar(b, c) == pytest.approx(mcnemar([[50, b], [c, 60]], exact=True).pvalue, rel=1e-8)


def test_flips_are_counted_both_ways():
    assert stats.flips([1, 1, 1, 0, 0], [1, 0, 0, 1, 0]) == (2, 1)
    with pytest.raises(ValueError, match="0 and 1 only"):
        stats.flips([0.5], [1.0])
    with pytest.raises(ValueError, match="one length"):
        stats.flips([1], [1, 0])


def test_paired_differences_are_those_of_a_paired_t_test():
    draw = np.random.default_rng(7)
    a = (draw.random(200) < 0.6).astype(float)
    b = np.where(draw.random(200) < 0.8, a, draw.random(200) < 0.9).astype(float)
    found = stats.paired_difference(a, b)
    low, high = scipy_stats.ttest_rel(b, a).confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    drawn = stats.paired_bootstrap(a, b)
    assert (drawn.low, drawn.high) == pytest.approx((low, high), abs=0.015)


def test_holm_is_that_of_statsmodels():
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
    ps = [0.04, 0.001, 0.03, 0.9, 0.011, 0.03]
    assert stats.holm(ps) == pytest.approx(multipletests(ps, method="holm")[1].tolist())
    assert stats.holm([]) == []


@pytest.mark.parametrize("margin", [0.01, 0.05, 0.2])
def test_equivalence_is_that_of_statsmodels(margin):
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    draw = np.random.default_rng(8)
    a = draw.normal(size=150)
    b = a + draw.normal(0.02, 0.3, 150)
    p = weightstats.ttost_paired(b, a, -margin, margin)[0]
    found = stats.equivalence(stats.paired_difference(a, b), margin)
    assert found.p == pytest.approx(p) and found.equivalent == (p < 0.05)


def test_equal_pairs_are_equivalent_only_when_there_are_enough_of_them():
    few, many = ([1.0] * 20, [1.0] * 200)
    assert not stats.equivalence(stats.paired_difference(few, few), 0.05).equivalent
    assert stats.equivalence(stats.paired_difference(many, many), 0.05).equivalent
    assert not stats.equivalence(stats.paired_difference([1.0], [1.0]), 0.05).equivalent
    with pytest.raises(ValueError, match="above 0"):
        stats.equivalence(stats.paired_difference(many, many), 0.0)


def test_the_smallest_difference_is_found_as_often_as_it_says():
    power = pytest.importorskip("statsmodels.stats.power").NormalIndPower()
    effect = power.solve_power(nobs1=300, power=0.8, alpha=0.05, ratio=0)
    assert stats.smallest_difference(1 / math.sqrt(300)) == pytest.approx(effect, rel=1e-4)
    assert stats.fewest_flips() == 6 and stats.fewest_flips(0.01) == 8


@pytest.mark.parametrize(("n", "right", "k"), [(10, 3, 1), (10, 3, 5), (10, 0, 4), (5, 5, 2), (6, 4, 3)])
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one(n, right, k):
    draws = list(itertools.combinations([i < right for i in range(n)], k))
    assert stats.pass_at_k(n, right, k) == pytest.approx(sum(map(any, draws)) / len(draws))


@pytest.fixture
def scored():
    draw = np.random.default_rng(9)
    labels = (draw.random(400) < 0.3).astype(int)
    return np.round(draw.normal(labels * 0.8, 1.0), 1), labels  # rounded: ties


def test_the_auroc_is_that_of_scikit_learn_and_delong_is_its_definition(scored):
    metrics = pytest.importorskip("sklearn.metrics")
    scores, labels = scored
    found = stats.auroc(scores, labels)
    assert found.value == pytest.approx(metrics.roc_auc_score(labels, scores))
    positive, negative = scores[labels == 1], scores[labels == 0]
    wins = (positive[:, None] > negative).astype(float) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(1).var(ddof=1) / len(positive) + wins.mean(0).var(ddof=1) / len(negative)
    assert found.se == pytest.approx(math.sqrt(variance)) and found.value in found.interval
    with pytest.raises(ValueError, match="both classes"):
        stats.auroc([0.1, 0.2], [1, 1])
    with pytest.raises(ValueError, match="score 1 of 3 is not a number"):
        stats.auroc([0.1, math.nan, 0.3], [1, 0, 1])


@pytest.mark.parametrize(("m", "n"), [(3, 3), (1, 1), (2, 40), (300, 300)])
def test_classes_that_are_wholly_apart_leave_room_for_what_few_samples_can_show(m, n):
    """The limit solves Newcombe's equation, written out again, and shrinks as samples grow."""
    found = stats.auroc([*range(m), *range(1000, 1000 + n)], [0] * m + [1] * n)
    assert (found.value, found.interval.high) == (1.0, 1.0)
    low, big = found.interval.low, (m + n) / 2
    if m > 1 and n > 1:
        variance = low * (1 - low) * (1 + (big - 1) * ((1 - low) / (2 - low) + low / (1 + low))) / (m * n)
        assert 1.0 - low == pytest.approx(1.959964 * math.sqrt(variance), rel=1e-5)
    assert low < 1.0 - 0.1 / math.sqrt(m * n)
    turned = stats.auroc([*range(m), *range(1000, 1000 + n)], [1] * m + [0] * n)
    assert (turned.value, turned.interval.low) == (0.0, 0.0) and turned.interval.high == pytest.approx(1 - low)


def test_equal_improvements_are_judged_by_their_number():
    found = stats.paired_difference([0.5] * 6, [0.6] * 6)
    theirs = scipy_stats.binomtest(6, 6).pvalue
    assert stats.difference_p(found) == pytest.approx(theirs) == 0.03125
    assert stats.difference_p(stats.paired_difference([0.5] * 6, [0.5] * 6)) == 1.0
    assert stats.difference_p(stats.paired_difference([0.5], [0.6])) == 1.0


@pytest.mark.parametrize("fpr", [0.0, 0.01, 0.1, 1.0])
def test_the_rate_at_a_rate_is_the_best_point_of_scikit_learns_curve(scored, fpr):
    metrics = pytest.importorskip("sklearn.metrics")
    scores, labels = scored
    fprs, tprs, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    assert stats.tpr_at_fpr(scores, labels, fpr) == pytest.approx(tprs[fprs <= fpr + 1e-12].max())


def test_mann_whitney_is_scipys(scored):
    scores, labels = scored
    a, b = scores[labels == 1], scores[labels == 0]
    found, theirs = stats.mann_whitney(a, b), scipy_stats.mannwhitneyu(a, b, method="asymptotic")
    assert (found.u, found.p) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert found.effect == pytest.approx(stats.auroc(scores, labels).value)
    assert stats.mann_whitney([1, 1], [1, 1, 1]).p == 1.0
    few = [1.0, 2.0, 2.0, 5.0, 6.0, 7.0, 8.0, 9.0], [2.0, 3.0, 4.0, 4.0, 5.0, 9.0, 11.0, 12.0, 13.0]
    assert stats.mann_whitney(*few).p == pytest.approx(scipy_stats.mannwhitneyu(*few, method="asymptotic").pvalue)


def test_calibration_is_its_definition_and_brier_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(10)
    p = np.concatenate([draw.random(300), [0.0, 0.1, 1.0]])
    y = (draw.random(303) < p**2).astype(int)
    total = 0.0
    for b in range(10):
        inside = [i for i in range(303) if b / 10 < p[i] <= (b + 1) / 10 or (b == 0 and p[i] == 0)]
        total += abs(sum(y[i] - p[i] for i in inside)) / 303
    assert stats.ece(p, y) == pytest.approx(total)
    assert sum(b.n for b in stats.reliability(p, y)) == 303
    edges = stats.reliability([0.0, 0.1, 0.15, 0.2, 1.0], [0, 1, 1, 1, 1])  # (low, high]: 0.1 is in the first bin
    assert [(b.n, b.correct) for b in edges] == [(2, 0.5), (2, 1.0), (1, 1.0)]
    assert stats.brier(p, y) == pytest.approx(metrics.brier_score_loss(y, p))
    with pytest.raises(ValueError, match="between 0 and 1"):
        stats.ece([1.5], [1])


def test_parity_and_odds_are_fairlearns():
    fairness = pytest.importorskip("fairlearn.metrics")
    draw = np.random.default_rng(11)
    groups = draw.choice(["f", "m", "x"], 500)
    gold = draw.integers(0, 2, 500)
    said = (draw.random(500) < 0.3 + 0.2 * gold + 0.1 * (groups == "m")).astype(int)
    assert stats.demographic_parity_difference(said, groups.tolist()) == pytest.approx(
        fairness.demographic_parity_difference(gold, said, sensitive_features=groups)
    )
    assert stats.equalized_odds_difference(gold, said, groups.tolist()) == pytest.approx(
        fairness.equalized_odds_difference(gold, said, sensitive_features=groups)
    )


def test_a_group_without_cases_has_no_rate():
    assert math.isnan(stats.equalized_odds_difference([1, 1, 0], [1, 1, 0], ["a", "b", "a"]))
    gold = [1, 0, 1, 0, 0, 0, 0, 0]
    assert math.isnan(stats.equalized_odds_difference(gold, gold, list("aaaabbbb"))), "b has no positive case"
    assert math.isnan(stats.equalized_odds_difference([], [], []))


def test_agreement_is_scikit_learns_and_krippendorffs_example():
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(12)
    a = draw.integers(0, 3, 100)
    b = np.where(draw.random(100) < 0.7, a, draw.integers(0, 3, 100))
    assert stats.cohen_kappa(a.tolist(), b.tolist()) == pytest.approx(metrics.cohen_kappa_score(a, b))
    assert math.isnan(stats.cohen_kappa(["x"] * 4, ["x"] * 4))
    # Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), example C: four observers, twelve units.
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    assert stats.krippendorff_alpha(list(zip(*observers, strict=True))) == pytest.approx(0.743, abs=5e-4)
