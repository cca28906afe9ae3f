"""Majority vote: the share of each label among a pair's votes."""

from __future__ import annotations

import numpy as np

from annotation.ballots import Floats, Ints


def majority(counts: Ints) -> Floats:
    """Label shares [N, K] of vote counts [N, K]; a pair without votes gets NaN."""
    total = counts.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    return shares
