"""Krippendorff's alpha for nominal labels, with a bootstrap interval over pairs.

alpha = 1 - observed / expected disagreement, from the coincidence matrix of all votes that share a pair
(Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"). The interval resamples whole pairs, since votes on
one pair belong together. None stands for what is not defined: no pair with two votes, or one label everywhere.
"""

from __future__ import annotations

import numpy as np

from annotation.ballots import Floats, Ints


def _coincidences(counts: Ints) -> Floats:
    """Each pair's contribution to the coincidence matrix, [N, K * K]; pairs with fewer than two votes contribute 0."""
    votes = counts.sum(axis=1)
    pairable = counts[votes > 1].astype(np.float64)
    products = pairable[:, :, None] * pairable[:, None, :]
    labels = np.arange(counts.shape[1])
    products[:, labels, labels] -= pairable
    weighted = products / (votes[votes > 1] - 1.0)[:, None, None]
    flat: Floats = weighted.reshape(len(pairable), counts.shape[1] ** 2)
    return flat


def _alphas(matrices: Floats) -> Floats:
    """alpha of coincidence matrices [B, K, K]; NaN where the expected disagreement is zero."""
    totals = matrices.sum(axis=2)
    n = totals.sum(axis=1)
    observed = n - np.trace(matrices, axis1=1, axis2=2)
    expected = n**2 - (totals**2).sum(axis=1)
    ratio = np.divide((n - 1.0) * observed, expected, out=np.full(len(n), np.nan), where=expected > 0)
    values: Floats = 1.0 - ratio
    return values


def alpha(counts: Ints) -> float | None:
    """Alpha of label counts [N, K]; None where undefined."""
    flat = _coincidences(counts)
    value = float(_alphas(flat.sum(axis=0).reshape(1, counts.shape[1], counts.shape[1]))[0])
    return None if np.isnan(value) else value


def alpha_interval(
    counts: Ints, seed: int = 0, resamples: int = 400, level: float = 0.95
) -> tuple[float, float] | None:
    """Percentile bootstrap over pairs; resamples without any disagreement to expect are left out."""
    flat = _coincidences(counts)
    if len(flat) == 0 or alpha(counts) is None:
        return None
    rng, labels = np.random.default_rng(seed), counts.shape[1]
    share = np.full(len(flat), 1.0 / len(flat))
    sums = np.stack([rng.multinomial(len(flat), share) @ flat for _ in range(resamples)])
    values = _alphas(sums.reshape(resamples, labels, labels))
    low, high = np.nanquantile(values, [(1.0 - level) / 2, (1.0 + level) / 2])
    return float(low), float(high)
