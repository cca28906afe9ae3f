"""Do raters fall into two camps with different tastes? Then pairs that divide them are flagged, not averaged away.

The rule, for one dimension: raters that agree more than raters on average do, on the pairs they share, belong
together; the leading eigenvector of that excess (divided by its standard error) gives two camps by sign. Camps found
on half of the pairs count only where, on the other half, agreement within EACH camp passes agreement between them by
three standard errors. Noise does not repeat on the other half; spammers are no camp, since they do not agree among
themselves. A pair is split where the majorities of the two camps are opposite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh

from annotation.ballots import TIE, A, Ballots, Flags, Floats, Ints

_FEWEST_RATERS = 6


@dataclass(frozen=True, eq=False)
class _Couples:
    """E couples of raters that share pairs: `total` is agreements minus disagreements, `shared` the pairs, [E] each."""

    one: Ints
    other: Ints
    total: Floats
    shared: Floats
    raters: int

    def mean(self, chosen: Flags) -> tuple[float, float]:
        """Mean agreement in [-1, 1] over the pairs that the couples `chosen` share, and their number."""
        n = float(self.shared[chosen].sum())
        return float(self.total[chosen].sum()) / max(n, 1.0), n


def _couples(votes: Ballots, mask: Flags) -> _Couples:
    """Of the votes of `mask`; costs what raters share, not the square of their number."""
    shape = (len(votes.raters), len(votes.pairs))
    place = (votes.rater[mask], votes.pair[mask])
    given = sparse.csr_matrix((np.where(votes.label == A, 1.0, -1.0)[mask], place), shape=shape)
    there = sparse.csr_matrix((np.ones(mask.sum()), place), shape=shape)
    shared = sparse.triu(there @ there.T, 1, format="coo")
    agreed = (given @ given.T).tocsr()
    total = np.asarray(agreed[shared.row, shared.col]).ravel() if shared.nnz else np.zeros(0)
    return _Couples(shared.row.astype(np.int64), shared.col.astype(np.int64), total, shared.data, shape[0])


def _divide(couples: _Couples) -> Flags:
    """Two camps by the sign of the leading eigenvector, [R] bool."""
    usual, _ = couples.mean(np.ones(len(couples.one), np.bool_))
    excess = (couples.total - usual * couples.shared) / np.sqrt(couples.shared)
    if not np.any(np.abs(excess) > 1e-9):
        # Everybody agrees alike: there is nothing to divide, and a matrix of zeros has no eigenvector to start from.
        return np.zeros(couples.raters, np.bool_)
    shape = (couples.raters, couples.raters)
    upper = sparse.csr_matrix((excess, (couples.one, couples.other)), shape=shape)
    start = np.random.default_rng(0).normal(size=couples.raters)
    _, vector = eigsh(upper + upper.T, k=1, which="LA", v0=start)
    camp: Flags = vector[:, 0] > 0
    return camp


def _holds(camp: Flags, couples: _Couples) -> bool:
    """True where both camps agree within themselves more than with each other, by three standard errors."""
    one, other = camp[couples.one], camp[couples.other]
    apart, n_apart = couples.mean(one != other)
    for side in (one & other, ~one & ~other):
        within, n = couples.mean(side)
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
    first, second = _couples(votes, decided & half), _couples(votes, decided & ~half)
    if len(first.one) == 0 or not _holds(_divide(first), second):
        return one
    camp = _divide(_couples(votes, decided))
    return (camp if camp.sum() * 2 <= len(camp) else ~camp).astype(np.int64)


def split_pairs(votes: Ballots, camp: Ints) -> Flags:
    """True for pairs [N] whose two camps have opposite majorities."""
    sign = np.select([votes.label == 0, votes.label == 1], [1.0, -1.0], 0.0)
    size = len(votes.pairs)
    margin = [np.bincount(votes.pair, weights=sign * (camp[votes.rater] == side), minlength=size) for side in (0, 1)]
    divided: Flags = margin[0] * margin[1] < 0
    return divided
