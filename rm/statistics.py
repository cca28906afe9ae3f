"""Intervals for shares and for paired differences, and calibration error; numpy only.

Wilson score interval (Wilson 1927; Brown, Cai & DasGupta 2001, Eq. 4), percentile bootstrap over whole groups (Efron &
Tibshirani 1993, ch. 13: pairs of one prompt are not independent), expected calibration error (Naeini et al. 2015)
against soft labels.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from warehouse.errors import InvalidInputError


@dataclass(frozen=True)
class Estimate:
    """A value from n observations with its confidence interval; NaN where n = 0."""

    value: float
    n: int
    ci_low: float
    ci_high: float

    def as_json(self) -> dict[str, float | int | None]:
        """Plain values; what is not a number becomes None, which JSON can hold."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


NOTHING = Estimate(float("nan"), 0, float("nan"), float("nan"))


def wilson(successes: float, n: int, confidence: float = 0.95) -> Estimate:
    """Share of successes; half successes count. Raises InvalidInputError where they exceed n."""
    if not 0 <= successes <= n:
        raise InvalidInputError(f"{successes} successes of {n}")
    if n == 0:
        return NOTHING
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, spread = successes / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * np.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # At 0 and at n the bound is 0 and 1 exactly; rounding must not leave [0, 1].
    low, high = (0.0 if successes == 0 else middle - half), (1.0 if successes == n else middle + half)
    return Estimate(share, n, float(low), float(high))


def bootstrap_mean(values: ArrayLike, groups: Sequence[Hashable], confidence: float = 0.95, resamples: int = 2000,
                   seed: int = 0) -> Estimate:
    """Mean of values [N] with an interval from resampling whole groups; n counts the groups."""
    found = np.asarray(values, np.float64)
    if len(found) != len(groups):
        raise InvalidInputError(f"{len(found)} values, {len(groups)} groups")
    if not len(found):
        return NOTHING
    places: dict[Hashable, int] = {}
    member = [places.setdefault(group, len(places)) for group in groups]
    sums, sizes = np.bincount(member, found), np.bincount(member).astype(np.float64)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=resamples)
    means = (drawn @ sums) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(found.mean()), len(sums), float(low), float(high))


def paired_bootstrap(before: ArrayLike, after: ArrayLike, groups: Sequence[Hashable], confidence: float = 0.95,
                     resamples: int = 2000, seed: int = 0) -> Estimate:
    """Mean of `after` - `before` over the same observations, resampling whole groups (prompts)."""
    return bootstrap_mean(np.asarray(after, np.float64) - np.asarray(before, np.float64), groups, confidence,
                          resamples, seed)


def bootstrap_seeds(values: ArrayLike, groups: Sequence[Hashable], confidence: float = 0.95, resamples: int = 2000,
                    seed: int = 0) -> Estimate:
    """Mean of values [S, N] of S seeds on the same N observations; whole seeds and whole groups are resampled.

    With few seeds the interval is still too narrow for another seed: show the seeds beside it. n counts observations.
    """
    found = np.atleast_2d(np.asarray(values, np.float64))
    if found.shape[1] != len(groups):
        raise InvalidInputError(f"{found.shape[1]} values, {len(groups)} groups")
    if not found.size:
        return NOTHING
    places: dict[Hashable, int] = {}
    member = [places.setdefault(group, len(places)) for group in groups]
    sums = np.stack([np.bincount(member, row) for row in found])
    sizes = np.bincount(member).astype(np.float64)
    rng = np.random.default_rng(seed)
    seeds = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=resamples) / len(sums)
    drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=resamples)
    means = np.einsum("rs,sg,rg->r", seeds, sums, drawn) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(found.mean()), found.shape[1], float(low), float(high))


def calibration_error(predicted: ArrayLike, wanted: ArrayLike, bins: int = 10) -> float:
    """Mean over equal-width bins, weighted by size, of |mean predicted - mean wanted|; NaN for nothing.

    `wanted` [N] may be soft (consensus shares). A prediction of 1 belongs to the last bin.
    """
    p, target = np.asarray(predicted, np.float64), np.asarray(wanted, np.float64)
    if not len(p):
        return float("nan")
    place = np.minimum((p * bins).astype(int), bins - 1)
    gaps = np.abs(np.bincount(place, p, bins) - np.bincount(place, target, bins))
    return float(gaps.sum() / len(p))


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions between `low` and `high`: their mean, that of what was wanted, and their number."""

    low: float
    high: float
    predicted: float
    wanted: float
    n: int


def reliability(predicted: ArrayLike, wanted: ArrayLike, bins: int = 10) -> list[ReliabilityBin]:
    """The bins of `calibration_error` that hold anything, lowest first."""
    p, target = np.asarray(predicted, np.float64), np.asarray(wanted, np.float64)
    place = np.minimum((p * bins).astype(int), bins - 1)
    return [ReliabilityBin(index / bins, (index + 1) / bins, float(p[place == index].mean()),
                           float(target[place == index].mean()), int((place == index).sum()))
            for index in range(bins) if (place == index).any()]


def rank_correlation(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rho with mid-ranks for ties; 0 where one side does not vary."""
    from scipy.stats import rankdata

    ranks = [rankdata(np.asarray(side, np.float64)) for side in (x, y)]
    if len(ranks[0]) < 2 or any(side.std() == 0 for side in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])
