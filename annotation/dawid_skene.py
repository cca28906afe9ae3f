"""Dawid and Skene (1979): each rater has a confusion matrix, each pair a hidden label; estimated by EM.

Starts from label shares and iterates M and E steps in log space until the likelihood of the votes stands still.
Confusion matrices may be smoothed by pseudo-votes towards what all raters together do with a label: with few votes a
rater, the plain estimate is sure of too much. Smoothing 0 is the method as published (and as crowd-kit has it).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy import sparse

from annotation.ballots import Floats, Ints

_TINY = 1e-10


@dataclass(frozen=True, eq=False)
class DawidSkene:
    """`posterior` [N, K] of each pair's label, `confusion` [R, K, K] (true label, given label), `prior` [K]."""

    posterior: Floats
    confusion: Floats
    prior: Floats
    iterations: int

    def reliability(self) -> Floats:
        """Chance of each rater [R] to give the true label, over labels as frequent as they are."""
        correct: Floats = np.einsum("rkk,k->r", self.confusion, self.prior)
        return correct


def _confusion(counts: Floats, smoothing: float) -> Floats:
    """Shares of the labels given [R, K true, K given] from their expected numbers."""
    if smoothing:
        crowd = counts.sum(axis=0) + _TINY
        counts = counts + smoothing * crowd / crowd.sum(axis=1, keepdims=True)
    total = counts.sum(axis=2, keepdims=True)
    # A rater who never met a label says nothing about it.
    shares: Floats = np.divide(counts, total, out=np.full(counts.shape, 1.0 / counts.shape[2]), where=total > 0)
    return shares


def dawid_skene(
    pair: Ints,
    rater: Ints,
    label: Ints,
    shape: tuple[int, int, int],
    *,
    smoothing: float = 0.0,
    iterations: int = 100,
    tolerance: float = 1e-5,
) -> DawidSkene:
    """EM over votes [V] each; `shape` is (pairs, raters, labels). Ties are a label like any other.

    Stops where the log likelihood a vote grows by less than `tolerance`. A label that nobody gave is nobody's truth:
    left in, it would slowly soak up what the others do not explain. Pairs without votes get the prior.
    """
    used = np.unique(label)
    if len(used) == 0:
        nothing = np.full((shape[0], shape[2]), 1.0 / shape[2])
        even = np.full(shape[2], 1.0 / shape[2])
        return DawidSkene(nothing, np.full((shape[1], shape[2], shape[2]), 1.0 / shape[2]), even, 0)
    found = _fit(pair, rater, np.searchsorted(used, label), (shape[0], shape[1], len(used)), smoothing, iterations,
                 tolerance)
    posterior = np.zeros((shape[0], shape[2]))
    confusion = np.zeros((shape[1], shape[2], shape[2]))
    prior = np.zeros(shape[2])
    posterior[:, used], confusion[:, used[:, None], used], prior[used] = found.posterior, found.confusion, found.prior
    return DawidSkene(posterior, confusion, prior, found.iterations)


def _fit(
    pair: Ints, rater: Ints, label: Ints, shape: tuple[int, int, int], smoothing: float, iterations: int,
    tolerance: float,
) -> DawidSkene:
    """EM where every label was given by somebody."""
    pairs, raters, labels = shape
    # Who said what of which pair: both steps are products with this matrix [N, R K], once over the votes each.
    said = sparse.csr_matrix((np.ones(len(pair)), (pair, rater * labels + label)), shape=(pairs, raters * labels))
    counts = np.bincount(pair * labels + label, minlength=pairs * labels).reshape(pairs, labels).astype(np.float64)
    total = counts.sum(axis=1, keepdims=True)
    posterior: Floats = np.divide(counts, total, out=np.full(counts.shape, 1.0 / labels), where=total > 0)
    judged = (total[:, 0] > 0).astype(np.float64)
    previous, done = -np.inf, 0
    while True:
        prior: Floats = judged @ posterior / judged.sum()
        expected = (said.T @ posterior).reshape(raters, labels, labels).transpose(0, 2, 1)
        confusion = _confusion(expected, smoothing)
        chance = np.log(confusion + _TINY).transpose(0, 2, 1).reshape(raters * labels, labels)
        joint = said @ chance
        joint += np.log(prior + _TINY)
        posterior, likelihood = _expect(joint)
        likelihood /= len(pair)
        done += 1
        if likelihood - previous < tolerance or done >= iterations:
            return DawidSkene(posterior, confusion, prior, done)
        previous = likelihood


def _expect(joint: Floats) -> tuple[Floats, float]:
    """Posterior of each pair and log likelihood; overwrites the log chance of its votes under each label [N, K]."""
    # Column by column: NumPy takes four times as long over rows of a few numbers.
    highest = reduce(np.maximum, joint.T)
    joint -= highest[:, None]
    np.exp(joint, out=joint)
    scale = reduce(np.add, joint.T)
    joint /= scale[:, None]
    return joint, float((highest + np.log(scale)).sum())
