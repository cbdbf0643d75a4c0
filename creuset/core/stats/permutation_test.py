"""Groups of names that were dealt to situations: is the difference between two groups more than that of names?

Names are what was dealt at random, so names are the units: what a model makes of one name says little about a group.
`contrast` estimates every name's effect beside every prompt's (least squares), compares the groups of names, and asks
twice whether the gap is chance: names shuffled between the two groups, and situations as clusters. Pure functions of
numbers. No torch.

Shapes: N names    P prompts    K confounders
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from creuset.core.stats import Interval, mean, smallest_difference
from creuset.core.stats.special import t_cdf, t_quantile

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Name = tuple[str, str, str]  # stratum, group, name
SHUFFLES = 4999
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class NamedAnswer:
    """One decision: about a name of a group, in a prompt of a situation. Names are compared within their stratum."""

    name: str
    group: str
    stratum: str
    prompt: str
    situation: str
    value: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """Second group minus first. `p` is the larger of the two tests'; without spread or with too few it is 1."""

    value: float
    interval: Interval | None  # 95 %, clustered by names and by situations at once
    se: float
    df: float
    names: int  # in the two groups
    situations: int
    p_names: float  # names shuffled between the groups, within strata
    p_situations: float  # Student t of the situations' gaps

    @property
    def p(self) -> float:
        return max(self.p_names, self.p_situations)

    def detectable(self, tests: int = 1) -> float | None:
        """The smallest true gap found with probability 80 %, at Holm's strictest step of that many tests."""
        if not 0.0 < self.se < math.inf:
            return None
        return smallest_difference(self.se, alpha=ALPHA / max(1, tests), df=self.df)


def name_effects(answers: Sequence[NamedAnswer]) -> dict[Name, float]:
    """{(stratum, group, name): effect}, what is left of a name's answers once each prompt's level is taken out.

    Least squares of name + prompt, so that a name dealt to hard files is not taken for a disliked one. Where names and
    prompts do not hang together (a handful of samples) the solution of the smallest norm is taken.
    """
    names = list(dict.fromkeys((a.stratum, a.group, a.name) for a in answers))
    prompts = list(dict.fromkeys(a.prompt for a in answers))
    at_name = {name: i for i, name in enumerate(names)}
    at_prompt = {prompt: i for i, prompt in enumerate(prompts)}
    i = np.asarray([at_name[a.stratum, a.group, a.name] for a in answers])
    j = np.asarray([at_prompt[a.prompt] for a in answers])
    y = np.asarray([a.value for a in answers])
    met_NP = np.zeros((len(names), len(prompts)))
    np.add.at(met_NP, (i, j), 1.0)
    each_P = met_NP.sum(0)
    means_P = np.bincount(j, y, len(prompts)) / each_P
    # Prompts are eliminated first: what is left is a system of names alone, of one redundant equation.
    left_NN = np.diag(met_NP.sum(1)) - (met_NP / each_P) @ met_NP.T
    right_N = np.bincount(i, y, len(names)) - met_NP @ means_P
    effects_N = np.linalg.lstsq(left_NN, right_N, rcond=None)[0]
    return {name: float(effects_N[k]) for name, k in at_name.items()}


def contrast(
    answers: Sequence[NamedAnswer],
    first: str,
    second: str,
    *,
    effects: dict[Name, float] | None = None,
    shuffles: int = SHUFFLES,
    seed: int = 17,
) -> Contrast | None:
    """Gap between two groups, averaged over the strata that have both; None where no stratum has two names of each.

    The error is that of names (Welch's, stratum by stratum) and that of situations together, less what both count
    twice; never below either.
    """
    effects = name_effects(answers) if effects is None else effects
    strata = []
    for stratum in dict.fromkeys(a.stratum for a in answers):
        a, b = (np.asarray([v for (s, g, _), v in effects.items() if (s, g) == (stratum, group)])
                for group in (first, second))  # fmt: skip
        if len(a) > 1 and len(b) > 1:
            strata.append((a, b))
    if not strata:
        return None
    value = float(np.mean([b.mean() - a.mean() for a, b in strata]))
    value = value if abs(value) > 1e-12 else 0.0  # what rounding leaves of nothing
    variance = sum(float(x.var(ddof=1)) / len(x) for pair in strata for x in pair) / len(strata) ** 2
    names = sum(len(a) + len(b) for a, b in strata)
    gaps = _gaps(answers, first, second)
    by_situation = mean([gap for gap, _ in gaps], [situation for _, situation in gaps])
    alone = mean([gap for gap, _ in gaps])
    known = [v for v in (variance, by_situation.se**2) if math.isfinite(v)]
    both = variance + by_situation.se**2 - alone.se**2 if len(gaps) > 1 else math.inf
    se = math.sqrt(max([*known, both if math.isfinite(both) else 0.0]))
    df = min(float(names - 2 * len(strata)), by_situation.df or 1.0)
    half = t_quantile(1 - ALPHA / 2, df) * se
    return Contrast(
        value=value, interval=Interval(value - half, value + half) if se else None, se=se, df=df, names=names,
        situations=by_situation.clusters, p_names=_shuffled(strata, value, shuffles, seed),
        p_situations=_student(by_situation.value, by_situation.se, by_situation.df),
    )  # fmt: skip


def _student(value: float, se: float, df: float) -> float:
    """Two-sided p; without a standard error nothing is shown."""
    return 2 * t_cdf(-abs(value) / se, df) if 0.0 < se < math.inf and df > 0 else 1.0


def _gaps(answers: Sequence[NamedAnswer], first: str, second: str) -> list[tuple[float, str]]:
    """(gap, situation) of each prompt and stratum that has answers of both groups."""
    cells: dict[tuple[str, str, str], tuple[list[float], list[float]]] = {}
    for a in answers:
        if a.group in (first, second):
            cells.setdefault((a.prompt, a.stratum, a.situation), ([], []))[a.group == second].append(a.value)
    return [(float(np.mean(b) - np.mean(a)), at) for (_, _, at), (a, b) in cells.items() if a and b]


def _shuffled(strata: Sequence[tuple[Floats, Floats]], value: float, shuffles: int, seed: int) -> float:
    """p that names dealt anew to the two groups, within each stratum, differ as much: (1 + as large) / (1 + all)."""
    draw = np.random.default_rng(seed)
    found = np.zeros(shuffles)
    for a, b in strata:
        pool = draw.permuted(np.tile(np.concatenate([a, b]), (shuffles, 1)), axis=1)
        found += (pool[:, len(a) :].mean(1) - pool[:, : len(a)].mean(1)) / len(strata)
    slack = 1e-12 * max(1.0, abs(value))
    return (1 + int((np.abs(found) >= abs(value) - slack).sum())) / (1 + shuffles)


def adjusted(
    effects: dict[Name, float], facts: dict[Name, Sequence[float]], first: str, second: str
) -> tuple[float, Interval] | None:
    """The gap at equal `facts` of the names (frequency, length, age), by least squares over names, with its interval.

    None where the facts leave nothing to tell the groups apart by: too few names, or facts that are the group.
    """
    keys = [key for key in effects if key[1] in (first, second)]
    if not keys:
        return None
    strata = sorted({key[0] for key in keys})
    x = np.asarray([
        [float(key[1] == second), *(float(key[0] == s) for s in strata), *facts[key]] for key in keys
    ])  # fmt: skip
    x[:, 1 + len(strata) :] -= x[:, 1 + len(strata) :].mean(0)
    y = np.asarray([effects[key] for key in keys])
    if len(keys) < x.shape[1] + 3 or np.linalg.matrix_rank(x) < x.shape[1]:
        return None
    solved = np.linalg.solve(x.T @ x, x.T @ y)
    rest, df = y - x @ solved, len(keys) - x.shape[1]
    se = math.sqrt(float(rest @ rest) / df * float(np.linalg.inv(x.T @ x)[0, 0]))
    half = t_quantile(1 - ALPHA / 2, df) * se
    return float(solved[0]), Interval(float(solved[0]) - half, float(solved[0]) + half)


def spread_by_chance(
    said: Floats, asked: Floats, groups: Labels, strata: Labels, *, shuffles: int = 1999, seed: int = 17
) -> tuple[float, float]:
    """(mean spread, p): largest minus smallest share of yes among groups when names are shuffled between them.

    `said`, `asked`: (N, levels) counts of yes and of decisions of each name; of several levels the largest spread is
    taken, as equalized odds does. A spread of several groups is never 0 by chance: this is what it is then.
    """
    draw = np.random.default_rng(seed)

    def spreads(labels_SN: Labels) -> Floats:
        masks = [(labels_SN == group).astype(np.float64) for group in np.unique(groups)]
        yes, n = (np.stack([mask @ counts for mask in masks]) for counts in (said, asked))  # (groups, S, levels)
        found = np.full(len(labels_SN), math.nan)
        whole = n.all(axis=(0, 2))
        found[whole] = np.ptp(yes[:, whole] / n[:, whole], axis=0).max(axis=1)
        return found

    dealt_SN = np.tile(groups, (shuffles, 1))
    for stratum in np.unique(strata):
        place = np.flatnonzero(strata == stratum)
        dealt_SN[:, place] = draw.permuted(dealt_SN[:, place], axis=1)
    found, drawn = float(spreads(groups[None])[0]), spreads(dealt_SN)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn) or not math.isfinite(found):
        return math.nan, 1.0
    return float(drawn.mean()), (1 + int((drawn >= found - 1e-12).sum())) / (1 + len(drawn))
