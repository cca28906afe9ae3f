"""Krippendorff's alpha for nominal, ordinal and interval labels, with a bootstrap interval over the things judged.

alpha = 1 - observed / expected disagreement, from the coincidence matrix of all votes that share a pair (or an item);
disagreements are weighed by the squared difference of the level of measurement (Krippendorff 2011, "Computing
Krippendorff's Alpha-Reliability"). The interval resamples whole pairs, since votes on one pair belong together; pairs
with the same counts are drawn together, so that a million votes cost no more than their few dozen patterns. None
stands for what is not defined: no pair with two votes, or one label everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from annotation.ballots import Floats, Ints

Level = Literal["nominal", "ordinal", "interval"]


def _distinct(counts: Ints) -> tuple[Floats, Ints]:
    """The distinct rows [M, K] in order, and how many there are of each [M]."""
    sizes = counts.max(axis=0, initial=0) + 1
    if sizes.astype(np.float64).prod() > 2**62:
        rows, weight = np.unique(counts, axis=0, return_counts=True)
        return rows.astype(np.float64), weight
    # One number a row sorts twenty times as fast as the row does.
    numbers, weight = np.unique(np.ravel_multi_index(tuple(counts.T), tuple(sizes)), return_counts=True)
    return np.stack(np.unravel_index(numbers, tuple(sizes)), axis=1).astype(np.float64), weight


def _patterns(counts: Ints) -> tuple[Floats, Floats]:
    """Coincidences [M, K, K] of each distinct row of counts with two votes or more, and how many rows have it [M]."""
    rows, weight = _distinct(counts[counts.sum(axis=1) > 1])
    products = rows[:, :, None] * rows[:, None, :]
    labels = np.arange(counts.shape[1])
    products[:, labels, labels] -= rows
    coincidences: Floats = products / np.maximum(rows.sum(axis=1) - 1.0, 1.0)[:, None, None]
    return coincidences, weight.astype(np.float64)


def _differences(totals: Floats, level: Level, values: Floats) -> Floats:
    """Squared difference of each two labels [B, K, K], from the labels' totals [B, K]; zero on the diagonal."""
    size = totals.shape[1]
    if level == "nominal":
        return np.broadcast_to(1.0 - np.eye(size), (len(totals), size, size))
    # Ordinal: half of both labels' votes and all votes between them; interval: the distance of the values.
    place = np.cumsum(totals, axis=1) - totals / 2 if level == "ordinal" else np.broadcast_to(values, totals.shape)
    difference: Floats = (place[:, :, None] - place[:, None, :]) ** 2
    return difference


def _alphas(matrices: Floats, level: Level, values: Floats) -> Floats:
    """alpha of coincidence matrices [B, K, K]; NaN where the expected disagreement is zero."""
    totals = matrices.sum(axis=2)
    difference = _differences(totals, level, values)
    observed = (matrices * difference).sum(axis=(1, 2))
    expected = (totals[:, :, None] * totals[:, None, :] * difference).sum(axis=(1, 2))
    n = totals.sum(axis=1)
    ratio = np.divide((n - 1.0) * observed, expected, out=np.full(len(n), np.nan), where=expected > 0)
    alphas: Floats = 1.0 - ratio
    return alphas


def _values(counts: Ints, values: Sequence[float] | None) -> Floats:
    return np.array(range(counts.shape[1]) if values is None else values, np.float64)


def alpha(counts: Ints, level: Level = "nominal", values: Sequence[float] | None = None) -> float | None:
    """Alpha of label counts [N, K]; None where undefined.

    Labels stand in order for `ordinal`; `values` [K] are those of `interval`, 0, 1, 2 … where not given.
    """
    coincidences, weight = _patterns(counts)
    matrix = np.tensordot(weight, coincidences, 1)[None].astype(np.float64)
    value = float(_alphas(matrix, level, _values(counts, values))[0])
    return None if np.isnan(value) else value


def alpha_interval(
    counts: Ints,
    seed: int = 0,
    resamples: int = 400,
    confidence: float = 0.95,
    level: Level = "nominal",
    values: Sequence[float] | None = None,
) -> tuple[float, float] | None:
    """Percentile bootstrap over pairs; resamples without any disagreement to expect are left out."""
    if alpha(counts, level, values) is None:
        return None
    coincidences, weight = _patterns(counts)
    drawn = np.random.default_rng(seed).multinomial(int(weight.sum()), weight / weight.sum(), resamples)
    matrices = np.tensordot(drawn, coincidences, 1).astype(np.float64)
    alphas = _alphas(matrices, level, _values(counts, values))
    low, high = np.nanquantile(alphas, [(1.0 - confidence) / 2, (1.0 + confidence) / 2])
    return float(low), float(high)


def raw_agreement(counts: Ints) -> float | None:
    """Share of agreeing couples of votes on the same pair, each pair with two votes or more counting once."""
    n = counts.sum(axis=1)
    pairable = counts[n > 1].astype(np.float64)
    if len(pairable) == 0:
        return None
    total = n[n > 1]
    return float(((pairable * (pairable - 1)).sum(axis=1) / (total * (total - 1))).mean())
