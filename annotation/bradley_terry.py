"""Bradley-Terry with ties (Davidson 1970) and rater reliability (Crowd-BT: Chen et al. 2013), penalised likelihood.

With d = strength(a) - strength(b), the chances of a, b and a tie are proportional to exp(d / 2), exp(-d / 2) and nu.
A rater of reliability eta answers so, and with chance 1 - eta says the opposite: 1/2 is a coin, 0 somebody who turns
every answer round.

Fitted by EM: strengths are the mode given the reliabilities, then each reliability is the expected share of straight
answers over what is still open about d (a normal around the mode, by Gauss-Hermite quadrature). Maximising over both
at once fails with a few votes a pair: strengths bend to every single vote, and all raters look perfect.

Strengths have a normal prior around 0 and reliabilities a beta prior, so that a candidate that always won and a rater
with three votes get finite values. Both-bad counts as a tie. Candidates are compared within their prompt; prompts
that share no candidate are linked by the raters alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from annotation.ballots import BOTH_BAD, TIE, Floats, Ints

# Pseudo-votes of the beta prior of a reliability: this many straight answers and this many turned round.
_STRAIGHT, _TURNED = 6.0, 1.0
_OPPOSITE = np.array([1, 0, 2])
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_ROUNDS, _STILL = 25, 2e-3


@dataclass(frozen=True, eq=False)
class BradleyTerry:
    """`strength` [C], `reliability` [R], their mean by votes, and log nu (-inf where nobody ever said tie)."""

    strength: Floats
    reliability: Floats
    mean_reliability: float
    log_nu: float

    def chances(self, first: Ints, second: Ints) -> Floats:
        """P(a), P(b), P(tie) that one more rater of these says so, [N, 3]."""
        straight = _davidson(self.strength[first] - self.strength[second], self.log_nu)
        mixed: Floats = self.mean_reliability * straight + (1 - self.mean_reliability) * straight[:, _OPPOSITE]
        return mixed


@dataclass(frozen=True, eq=False)
class _Votes:
    """Votes [V]: candidates a and b, rater, and the label with both-bad as a tie."""

    first: Ints
    second: Ints
    rater: Ints
    given: Ints
    ties: bool


def _davidson(gap: Floats, log_nu: float) -> Floats:
    logits = np.stack([gap / 2, -gap / 2, np.full(gap.shape, log_nu)], axis=-1)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return shares


def _loss(values: Floats, votes: _Votes, eta: Floats, strength_sd: float) -> tuple[float, Floats]:
    """Negative log posterior of strengths [C] and, where there are ties, log nu, given eta [V]; and its gradient."""
    candidates = len(values) - votes.ties
    strength, log_nu = values[:candidates], float(values[-1]) if votes.ties else -np.inf
    chance = _davidson(strength[votes.first] - strength[votes.second], log_nu)
    rows, turned = np.arange(len(votes.given)), _OPPOSITE[votes.given]
    straight, opposite = eta * chance[rows, votes.given], (1.0 - eta) * chance[rows, turned]
    said = np.maximum(straight + opposite, 1e-300)
    loss = -float(np.log(said).sum()) + 0.5 * float((strength**2).sum()) / strength_sd**2
    # d chance[k] / d logit[j] = chance[k] (1[k = j] - chance[j]), for the label given and its opposite.
    expected = np.zeros_like(chance)
    expected[rows, votes.given] = straight / said
    expected[rows, turned] += opposite / said
    slope = chance - expected
    pull = 0.5 * (slope[:, 0] - slope[:, 1])
    gradient = np.zeros_like(values)
    ahead = np.bincount(votes.first, weights=pull, minlength=candidates)
    gradient[:candidates] = ahead - np.bincount(votes.second, weights=pull, minlength=candidates)
    gradient[:candidates] += strength / strength_sd**2
    if votes.ties:
        gradient[-1] = slope[:, 2].sum()
    return loss, gradient


def _strengths(start: Floats, votes: _Votes, eta: Floats, strength_sd: float, tolerance: float) -> Floats:
    options = {"maxiter": 2000, "maxfun": 4000, "ftol": tolerance, "gtol": 1e-6}
    found = minimize(_loss, start, (votes, eta, strength_sd), method="L-BFGS-B", jac=True, options=options)
    values: Floats = found.x
    return values


def _reliability(values: Floats, votes: _Votes, eta: Floats, strength_sd: float, raters: int) -> Floats:
    """Expected share of straight answers of each rater [R], with the beta prior's pseudo-votes."""
    candidates = len(values) - votes.ties
    log_nu = float(values[-1]) if votes.ties else -np.inf
    gap = values[votes.first] - values[votes.second]
    chance = _davidson(gap, log_nu)
    # Fisher information of each vote about its gap, and of all votes on the same couple together.
    told = (chance[:, 0] + chance[:, 1] - (chance[:, 0] - chance[:, 1]) ** 2) / 4 * (2 * eta - 1) ** 2
    _, couple = np.unique(votes.first * candidates + votes.second, return_inverse=True)
    open_sd = 1.0 / np.sqrt(0.5 / strength_sd**2 + np.bincount(couple, weights=told)[couple])
    possible = _davidson(gap[:, None] + open_sd[:, None] * _NODES, log_nu)
    rows = np.arange(len(gap))
    straight, opposite = possible[rows, :, votes.given], possible[rows, :, _OPPOSITE[votes.given]]
    share = eta[:, None] * straight / (eta[:, None] * straight + (1.0 - eta[:, None]) * opposite)
    decided = votes.given < 2
    kept = (share @ _WEIGHTS / _WEIGHTS.sum())[decided]
    hits = np.bincount(votes.rater[decided], weights=kept, minlength=raters)
    asked = np.bincount(votes.rater[decided], minlength=raters)
    reliability: Floats = (hits + _STRAIGHT) / (asked + _STRAIGHT + _TURNED)
    return reliability


def bradley_terry(
    first: Ints,
    second: Ints,
    rater: Ints,
    label: Ints,
    shape: tuple[int, int],
    *,
    rate_raters: bool = True,
    strength_sd: float = 2.5,
) -> BradleyTerry:
    """Fit votes [V] on candidates `first` (a) and `second` (b); `shape` is (candidates, raters).

    `rate_raters=False` is plain Bradley-Terry with ties; a very large `strength_sd` its maximum likelihood, which
    exists only where every candidate both won and lost (Ford 1957). No votes give strengths 0.
    """
    candidates, raters = shape
    given = np.where((label == TIE) | (label == BOTH_BAD), 2, label)
    ties = bool((given == 2).any())
    votes = _Votes(first, second, rater, given, ties)
    values = np.concatenate([np.zeros(candidates), np.full(int(ties), -1.0)])
    reliability: Floats = np.full(raters, 0.9 if rate_raters else 1.0)
    for _ in range(_ROUNDS if rate_raters and len(rater) else 0):
        values = _strengths(values, votes, reliability[rater], strength_sd, 1e-8)
        previous = reliability
        reliability = _reliability(values, votes, reliability[rater], strength_sd, raters)
        if np.abs(reliability - previous).max() < _STILL:
            break
    values = _strengths(values, votes, reliability[rater], strength_sd, 1e-12)
    mean = float(reliability[rater].mean()) if len(rater) else 1.0
    return BradleyTerry(values[:candidates], reliability, mean, float(values[-1]) if ties else -np.inf)
