"""Bradley-Terry with ties (Davidson 1970), rater reliability (Crowd-BT: Chen et al. 2013) and lean, penalised.

With d = strength(a) - strength(b), the chances of a, b and a tie are proportional to exp(d / 2), exp(-d / 2) and nu.
A rater of reliability eta answers so, and with chance 1 - eta as if d were -d: 1/2 is a coin, 0 somebody who turns
every answer round. Whatever a rater sees, their lean is added to d where a stood left and taken off where b did (the
order effect of Davidson and Beaver 1977, one for each rater); chances are given without it, as for nobody's side.

Fitted by EM: strengths are the mode given the reliabilities, then each reliability is the expected share of straight
answers over what is still open about d (a normal around the mode, by Gauss-Hermite quadrature). Maximising over both
at once fails with a few votes a pair: strengths bend to every single vote, and all raters look perfect.

Strengths and leans have normal priors around 0 and reliabilities a beta prior, so that a candidate that always won and
a rater with three votes get finite values. Both-bad counts as a tie. Candidates are compared within their prompt;
prompts that share no candidate are linked by the raters alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from annotation.ballots import BOTH_BAD, TIE, A, B, Flags, Floats, Ints

# Pseudo-votes of the beta prior of a reliability: this many straight answers and this many turned round.
_STRAIGHT, _TURNED = 6.0, 1.0
# A rater one standard deviation out chooses the left one of two equals in 62 of 100 cases.
_LEAN_SD = 0.5
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_ROUNDS, _STILL = 25, 2e-3
# Steps of the strengths between two looks at the reliabilities, and at the end.
_SOME, _ALL = 20, 2000


@dataclass(frozen=True, eq=False)
class BradleyTerry:
    """`strength` [C], `reliability` [R] and its mean by votes, `lean` to the left [R], log nu (-inf without ties)."""

    strength: Floats
    reliability: Floats
    mean_reliability: float
    lean: Floats
    log_nu: float

    def chances(self, first: Ints, second: Ints) -> Floats:
        """P(a), P(b), P(tie) that one more rater of these says so, side by side or not, [N, 3]."""
        gap = self.strength[first] - self.strength[second]
        ahead, tied, _ = _davidson(gap, float(np.exp(self.log_nu)))
        lead = (2.0 * self.mean_reliability - 1.0) * ahead
        chances: Floats = np.stack([(1.0 - tied + lead) / 2, (1.0 - tied - lead) / 2, tied], axis=1)
        return chances


@dataclass(frozen=True, eq=False)
class _Votes:
    """Votes [V]: candidates, couple of them, rater, `sign` 1 for a and -1 for b, `tied`, `left` as in Ballots."""

    first: Ints
    second: Ints
    couple: Ints
    rater: Ints
    sign: Floats
    tied: Flags
    left: Floats
    candidates: int
    raters: int
    strength_sd: float

    def start(self) -> Floats:
        """Strengths [C], leans [R] and log nu, before anything is known."""
        return np.concatenate([np.zeros(self.candidates + self.raters), [-1.0]])

    def nu(self, values: Floats) -> float:
        return float(np.exp(values[-1])) if self.tied.any() else 0.0

    def gap_and_push(self, values: Floats) -> tuple[Floats, Floats]:
        lean = values[self.candidates : -1]
        return values[self.first] - values[self.second], lean[self.rater] * self.left

    def said(self, gap: Floats, nu: float) -> tuple[Floats, Floats, Floats]:
        """P(the label given) [V], and P(a) - P(b), P(tie), for the differences `gap` [V] as the raters saw them."""
        ahead, tied, top = _davidson(gap, nu)
        chance: Floats = np.where(self.tied, tied, np.where(self.sign * gap >= 0, top, 1.0 - tied - top))
        return chance, ahead, tied


def _davidson(gap: Floats, nu: float) -> tuple[Floats, Floats, Floats]:
    """P(a) - P(b), P(tie) and P(the stronger one), [V] each; one exponential a vote."""
    half = np.exp(-np.abs(gap) / 2)
    less = half * half
    total = 1.0 + less + nu * half
    return np.sign(gap) * (1.0 - less) / total, nu * half / total, 1.0 / total


def _loss(values: Floats, votes: _Votes, eta: Floats) -> tuple[float, Floats]:
    """Negative log posterior of strengths, leans and log nu given eta [V]; and its gradient."""
    gap, push = votes.gap_and_push(values)
    nu = votes.nu(values)
    straight, straight_ahead, straight_tied = votes.said(gap + push, nu)
    turned, turned_ahead, turned_tied = votes.said(push - gap, nu)
    said = np.maximum(eta * straight + (1.0 - eta) * turned, 1e-300)
    share = eta * straight / said
    # d log P(given) / d gap is (sign - P(a) + P(b)) / 2, and / d log nu is [tie] - P(tie).
    pull = share * (straight_ahead - votes.sign) / 2
    back = (1.0 - share) * (turned_ahead - votes.sign) / 2
    gradient = np.zeros_like(values)
    forth, size = pull - back, votes.candidates
    gradient[:size] = np.bincount(votes.first, forth, size) - np.bincount(votes.second, forth, size)
    gradient[size:-1] = np.bincount(votes.rater, (pull + back) * votes.left, votes.raters)
    gradient[-1] = (share * straight_tied + (1.0 - share) * turned_tied - votes.tied).sum() if nu else 0.0
    strength, lean = values[:size], values[size:-1]
    gradient[:size] += strength / votes.strength_sd**2
    gradient[size:-1] += lean / _LEAN_SD**2
    prior = 0.5 * float((strength**2).sum()) / votes.strength_sd**2 + 0.5 * float((lean**2).sum()) / _LEAN_SD**2
    return prior - float(np.log(said).sum()), gradient


def _scale(votes: _Votes) -> Floats:
    """One step of each value, about its standard error: strengths rest on few votes, leans and nu on many."""
    met = np.bincount(votes.first, minlength=votes.candidates) + np.bincount(votes.second, minlength=votes.candidates)
    sided = np.bincount(votes.rater, weights=votes.left**2, minlength=votes.raters)
    tied = np.array([1.0 + votes.tied.sum()])
    known = np.concatenate([1.0 / votes.strength_sd**2 + met / 8, 1.0 / _LEAN_SD**2 + sided / 8, tied])
    scale: Floats = 1.0 / np.sqrt(known)
    return scale


def _fitted(start: Floats, votes: _Votes, eta: Floats, scale: Floats, tolerance: float, steps: int) -> Floats:
    def loss(steps_taken: Floats) -> tuple[float, Floats]:
        value, gradient = _loss(steps_taken * scale, votes, eta)
        return value, gradient * scale

    options = {"maxiter": steps, "maxfun": 2 * steps, "ftol": tolerance, "gtol": 1e-6, "maxcor": 20}
    values: Floats = minimize(loss, start / scale, method="L-BFGS-B", jac=True, options=options).x * scale
    return values


def _reliability(values: Floats, votes: _Votes, eta: Floats) -> Floats:
    """Expected share of straight answers of each rater [R], with the beta prior's pseudo-votes."""
    gap, push = votes.gap_and_push(values)
    nu = votes.nu(values)
    ahead, tied, _ = _davidson(gap + push, nu)
    # Fisher information of each vote about its gap, and of all votes on the same couple together.
    told = (1.0 - tied - ahead**2) / 4 * (2 * eta - 1) ** 2
    open_sd = 1.0 / np.sqrt(0.5 / votes.strength_sd**2 + np.bincount(votes.couple, weights=told)[votes.couple])
    kept = np.zeros(len(gap))
    for node, weight in zip(_NODES, _WEIGHTS / _WEIGHTS.sum(), strict=True):
        possible = gap + node * open_sd
        straight = eta * votes.said(possible + push, nu)[0]
        kept += weight * straight / (straight + (1.0 - eta) * votes.said(push - possible, nu)[0])
    decided = ~votes.tied
    hits = np.bincount(votes.rater[decided], weights=kept[decided], minlength=votes.raters)
    asked = np.bincount(votes.rater[decided], minlength=votes.raters)
    reliability: Floats = (hits + _STRAIGHT) / (asked + _STRAIGHT + _TURNED)
    return reliability


def bradley_terry(
    first: Ints,
    second: Ints,
    rater: Ints,
    label: Ints,
    shape: tuple[int, int],
    *,
    left: Ints | None = None,
    rate_raters: bool = True,
    strength_sd: float = 2.5,
) -> BradleyTerry:
    """Fit votes [V] on candidates `first` (a) and `second` (b); `shape` is (candidates, raters).

    `left` (as in Ballots; None: no side is known) lets raters lean. `rate_raters=False` is plain Bradley-Terry with
    ties; a very large `strength_sd` its maximum likelihood, which exists only where every candidate both won and lost
    (Ford 1957). No votes give strengths 0.
    """
    candidates, raters = shape
    _, couple = np.unique(first * max(candidates, 1) + second, return_inverse=True)
    sign = np.select([label == A, label == B], [1.0, -1.0], 0.0)
    side = np.zeros(len(label)) if left is None else left.astype(np.float64)
    votes = _Votes(first, second, couple, rater, sign, (label == TIE) | (label == BOTH_BAD), side, candidates, raters,
                   strength_sd)
    values, scale = votes.start(), _scale(votes)
    reliability: Floats = np.full(raters, 0.9 if rate_raters else 1.0)
    for _ in range(_ROUNDS if rate_raters and len(rater) else 0):
        values = _fitted(values, votes, reliability[rater], scale, 1e-8, _SOME)
        previous, reliability = reliability, _reliability(values, votes, reliability[rater])
        if np.abs(reliability - previous).max() < _STILL:
            break
    values = _fitted(values, votes, reliability[rater], scale, 1e-12, _ALL)
    mean = float(reliability[rater].mean()) if len(rater) else 1.0
    log_nu = float(values[-1]) if votes.tied.any() else -np.inf
    return BradleyTerry(values[:candidates], reliability, mean, values[candidates:-1], log_nu)
