"""Do raters fall into two camps with different tastes? Then pairs that divide them are flagged, not averaged away.

The rule, for one dimension: raters that agree more than raters on average do, on the pairs they share, belong
together; the leading eigenvector of that excess (divided by its standard error) gives two camps by sign. Camps found
on half of the pairs count only where, on the other half, agreement within EACH camp passes agreement between them by
three standard errors. Noise does not repeat on the other half; spammers are no camp, since they do not agree among
themselves. A pair is split where the majorities of the two camps are opposite.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse

from annotation.ballots import TIE, Ballots, Flags, Floats, Ints

_FEWEST_RATERS = 6


def _agreements(votes: Ballots, mask: Flags) -> tuple[Floats, Floats]:
    """Sum of agreement (+1) and disagreement (-1) and number of shared pairs for each two raters, [R, R] each."""
    shape = (len(votes.raters), len(votes.pairs))
    sign = np.where(votes.label == 0, 1.0, -1.0)[mask]
    place = (votes.rater[mask], votes.pair[mask])
    given = sparse.csr_matrix((sign, place), shape=shape)
    there = sparse.csr_matrix((np.ones(len(sign)), place), shape=shape)
    total, shared = (given @ given.T).toarray(), (there @ there.T).toarray()
    np.fill_diagonal(total, 0.0)
    np.fill_diagonal(shared, 0.0)
    return total, shared


def _divide(total: Floats, shared: Floats) -> Flags:
    """Two camps by the sign of the leading eigenvector, [R] bool."""
    usual = total.sum() / max(shared.sum(), 1.0)
    excess = (total - usual * shared) / np.sqrt(np.maximum(shared, 1.0))
    last = len(total) - 1
    _, vector = linalg.eigh(excess, subset_by_index=[last, last])
    camp: Flags = vector[:, 0] > 0
    return camp


def _holds(camp: Flags, total: Floats, shared: Floats) -> bool:
    """True where both camps agree within themselves more than with each other, by three standard errors."""
    between = np.ix_(camp, ~camp)
    apart, n_apart = total[between].sum(), shared[between].sum()
    for side in (camp, ~camp):
        within = np.ix_(side, side)
        n = shared[within].sum() / 2
        if n == 0 or n_apart == 0:
            return False
        gap = total[within].sum() / 2 / n - apart / n_apart
        if gap < 3.0 * np.sqrt(1.0 / n + 1.0 / n_apart):
            return False
    return True


def camps(votes: Ballots) -> Ints:
    """The camp of each rater, [R]: all 0 where there is one population, else 0 for the larger camp and 1."""
    one = np.zeros(len(votes.raters), np.int64)
    decided = votes.label < TIE
    if len(votes.raters) < _FEWEST_RATERS:
        return one
    half = votes.pair % 2 == 0
    found = _divide(*_agreements(votes, decided & half))
    if not _holds(found, *_agreements(votes, decided & ~half)):
        return one
    camp = _divide(*_agreements(votes, decided))
    return (camp if camp.sum() * 2 <= len(camp) else ~camp).astype(np.int64)


def split_pairs(votes: Ballots, camp: Ints) -> Flags:
    """True for pairs [N] whose two camps have opposite majorities."""
    sign = np.select([votes.label == 0, votes.label == 1], [1.0, -1.0], 0.0)
    size = len(votes.pairs)
    margin = [np.bincount(votes.pair, weights=sign * (camp[votes.rater] == side), minlength=size) for side in (0, 1)]
    divided: Flags = margin[0] * margin[1] < 0
    return divided
