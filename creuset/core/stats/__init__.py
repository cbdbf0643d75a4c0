"""Statistics of scores: pure functions of numbers, all to be imported from here. No torch.

Every score this package prints comes with its n and a 95 % interval from here.

    a share of 0 and 1         share(correct, clusters)    Wilson, or clustered Student t; -> Estimate
                               wilson(right, n)   clopper_pearson(right, n)   the latter for rare events
    a mean of means            nested_share(values, paths, clusters)   LiveBench: of tasks, of categories
    a mean                     mean(values, clusters)      Miller 2024; Student t with clusters - 1 degrees of freedom
    anything else              bootstrap(statistic, n, clusters=, strata=)    BBQ bias, ECE ...; -> Interval or None
    a ratio of sums            bootstrap_ratio(parts, wholes)   mean_of_ratios(groups)
    two models, same samples   flips(a, b)   mcnemar(only_a, only_b)   paired_difference(a, b, clusters)
                               paired_bootstrap(a, b, clusters)   difference_p(d)   holm(ps)
                               equivalence(difference, margin)   smallest_difference(se)   fewest_flips()
    ranking                    auroc(scores, labels) by DeLong   tpr_at_fpr(scores, labels, fpr)   mann_whitney(a, b)
                               spearman(x, y)
    calibration                ece(confidence, correct)   reliability(...) -> bins   brier(confidence, correct)
    groups                     rates(predicted, groups)   demographic_parity_difference(predicted, groups)
                               equalized_odds_difference(gold, predicted, groups)
    agreement                  cohen_kappa(a, b)   krippendorff_alpha(ratings)
    code                       pass_at_k(n, right, k)
"""

from creuset.core.stats.interval import (
    RESAMPLES,
    Z95,
    Estimate,
    Interval,
    bootstrap,
    bootstrap_ratio,
    clopper_pearson,
    mean,
    mean_of_ratios,
    nested_share,
    resampled_ratios,
    share,
    wilson,
)
from creuset.core.stats.paired import (
    Equivalence,
    difference_p,
    equivalence,
    fewest_flips,
    flips,
    holm,
    mcnemar,
    paired_bootstrap,
    paired_difference,
    smallest_difference,
)
from creuset.core.stats.scores import (
    Bin,
    RankTest,
    auroc,
    brier,
    cohen_kappa,
    demographic_parity_difference,
    ece,
    equalized_odds_difference,
    krippendorff_alpha,
    mann_whitney,
    pass_at_k,
    rates,
    reliability,
    spearman,
    tpr_at_fpr,
)

__all__ = [
    "RESAMPLES",
    "Z95",
    "Bin",
    "Equivalence",
    "Estimate",
    "Interval",
    "RankTest",
    "auroc",
    "bootstrap",
    "bootstrap_ratio",
    "brier",
    "clopper_pearson",
    "cohen_kappa",
    "demographic_parity_difference",
    "difference_p",
    "ece",
    "equalized_odds_difference",
    "equivalence",
    "fewest_flips",
    "flips",
    "holm",
    "krippendorff_alpha",
    "mann_whitney",
    "mcnemar",
    "mean",
    "mean_of_ratios",
    "nested_share",
    "paired_bootstrap",
    "paired_difference",
    "pass_at_k",
    "rates",
    "reliability",
    "resampled_ratios",
    "share",
    "smallest_difference",
    "spearman",
    "tpr_at_fpr",
    "wilson",
]
