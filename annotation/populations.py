"""Do raters fall into two camps with different tastes? Then pairs that divide them are flagged, not averaged away.

The rule, for one dimension: raters that agree more than raters on average do, on the pairs they share, belong
together; the leading eigenvector of that excess (divided by its standard error) gives two camps by sign. Camps found
on half of the pairs count only where, on the other half, agreement within EACH camp passes agreement between them by
three standard errors. Noise does not repeat on the other half; spammers are no camp, since they do not agree among
themselves. A pair is split where the majorities of the two camps are opposite.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh

from annotation.ballots import TIE, Ballots, Flags, Ints
from annotation.couples import Couples, couples

_FEWEST_RATERS = 6


def _mean(met: Couples, chosen: Flags) -> tuple[float, float]:
    """Mean agreement in [-1, 1] over the pairs that the couples `chosen` share, and their number."""
    n = float(met.shared[chosen].sum())
    return float(_total(met)[chosen].sum()) / max(n, 1.0), n


def _total(met: Couples) -> Ints:
    """Agreements minus disagreements of each couple."""
    return 2 * met.alike - met.shared


def _divide(met: Couples, raters: int) -> Flags:
    """Two camps by the sign of the leading eigenvector, [R] bool."""
    usual, _ = _mean(met, np.ones(len(met.one), np.bool_))
    excess = (_total(met) - usual * met.shared) / np.sqrt(met.shared)
    if not np.any(np.abs(excess) > 1e-9):
        # Everybody agrees alike: there is nothing to divide, and a matrix of zeros has no eigenvector to start from.
        return np.zeros(raters, np.bool_)
    upper = sparse.csr_matrix((excess, (met.one, met.other)), shape=(raters, raters))
    start = np.random.default_rng(0).normal(size=raters)
    _, vector = eigsh(upper + upper.T, k=1, which="LA", v0=start)
    camp: Flags = vector[:, 0] > 0
    return camp


def _holds(camp: Flags, met: Couples) -> bool:
    """True where both camps agree within themselves more than with each other, by three standard errors."""
    one, other = camp[met.one], camp[met.other]
    apart, n_apart = _mean(met, one != other)
    for side in (one & other, ~one & ~other):
        within, n = _mean(met, side)
        if n == 0 or n_apart == 0 or within - apart < 3.0 * np.sqrt(1.0 / n + 1.0 / n_apart):
            return False
    return True


def camps(votes: Ballots) -> Ints:
    """The camp of each rater, [R]: all 0 where there is one population, else 0 for the larger camp and 1."""
    one = np.zeros(len(votes.raters), np.int64)
    decided = votes.label < TIE
    if len(votes.raters) < _FEWEST_RATERS:
        return one
    half = votes.pair % 2 == 0
    first, second = couples(votes, decided & half), couples(votes, decided & ~half)
    if len(first.one) == 0 or not _holds(_divide(first, len(one)), second):
        return one
    camp = _divide(couples(votes, decided), len(one))
    return (camp if camp.sum() * 2 <= len(camp) else ~camp).astype(np.int64)


def split_pairs(votes: Ballots, camp: Ints) -> Flags:
    """True for pairs [N] whose two camps have opposite majorities."""
    sign = np.select([votes.label == 0, votes.label == 1], [1.0, -1.0], 0.0)
    size = len(votes.pairs)
    margin = [np.bincount(votes.pair, weights=sign * (camp[votes.rater] == side), minlength=size) for side in (0, 1)]
    divided: Flags = margin[0] * margin[1] < 0
    return divided
