"""Bradley-Terry with ties (Davidson 1970) and rater reliability (Crowd-BT: Chen et al. 2013), penalised likelihood.

With d = strength(a) - strength(b), the chances of a, b and a tie are proportional to exp(d / 2), exp(-d / 2) and nu.
A rater of reliability eta answers so, and with chance 1 - eta says the opposite: 1/2 is a coin, 0 somebody who turns
every answer round. eta is bounded on purpose: a rater's free discrimination, fitted together with one strength per
candidate, runs away and bends the strengths to that rater.

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
    first: Ints
    second: Ints
    rater: Ints
    given: Ints
    sizes: tuple[int, int]
    rate_raters: bool
    ties: bool


_OPPOSITE = np.array([1, 0, 2])


def _davidson(gap: Floats, log_nu: float) -> Floats:
    logits = np.stack([gap / 2, -gap / 2, np.full(len(gap), log_nu)], axis=1)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _split(values: Floats, votes: _Votes) -> tuple[Floats, Floats, float]:
    """Strengths [C], reliabilities [R] and log nu of a parameter vector, whose middle part is their log odds."""
    candidates, raters = votes.sizes
    reliability: Floats = np.ones(raters)
    if votes.rate_raters:
        reliability = 1.0 / (1.0 + np.exp(-values[candidates : candidates + raters]))
    return values[:candidates], reliability, float(values[-1]) if votes.ties else -np.inf


def _loss(values: Floats, votes: _Votes, strength_sd: float) -> tuple[float, Floats]:
    """Negative log posterior and its gradient."""
    candidates, raters = votes.sizes
    strength, reliability, log_nu = _split(values, votes)
    chance = _davidson(strength[votes.first] - strength[votes.second], log_nu)
    rows, eta = np.arange(len(votes.given)), reliability[votes.rater]
    straight, opposite = chance[rows, votes.given], chance[rows, _OPPOSITE[votes.given]]
    said = np.maximum(eta * straight + (1.0 - eta) * opposite, 1e-300)
    loss = -float(np.log(said).sum()) + 0.5 * float((strength**2).sum()) / strength_sd**2
    # d chance[k] / d logit[j] = chance[k] (1[k = j] - chance[j]), for the label given and its opposite.
    slope = np.zeros_like(chance)
    slope[rows, votes.given] = eta * straight
    slope[rows, _OPPOSITE[votes.given]] += (1.0 - eta) * opposite
    slope = chance - slope / said[:, None]
    pull = 0.5 * (slope[:, 0] - slope[:, 1])
    gradient = np.zeros_like(values)
    ahead = np.bincount(votes.first, weights=pull, minlength=candidates)
    gradient[:candidates] = ahead - np.bincount(votes.second, weights=pull, minlength=candidates)
    gradient[:candidates] += strength / strength_sd**2
    if votes.rate_raters:
        loss -= float((_STRAIGHT * np.log(reliability) + _TURNED * np.log1p(-reliability)).sum())
        each = np.bincount(votes.rater, weights=(opposite - straight) / said, minlength=raters)
        prior = (_STRAIGHT + _TURNED) * reliability - _STRAIGHT
        gradient[candidates : candidates + raters] = each * reliability * (1.0 - reliability) + prior
    if votes.ties:
        gradient[-1] = slope[:, 2].sum()
    return loss, gradient


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
    votes = _Votes(first, second, rater, given, shape, rate_raters, ties)
    start = np.concatenate([np.zeros(candidates), np.full(raters, 2.0), np.full(int(ties), -1.0)])
    found = minimize(
        _loss,
        start,
        args=(votes, strength_sd),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-12, "gtol": 1e-6},
    )
    strength, reliability, log_nu = _split(found.x, votes)
    mean = float(reliability[rater].mean()) if len(rater) else 1.0
    return BradleyTerry(strength, reliability, mean, log_nu)
