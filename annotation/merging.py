"""Votes of one dimension -> for each pair the chance that a beats b, by one of the consensus methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from annotation.ballots import BOTH_BAD, TIE, A, Ballots, Floats
from annotation.bradley_terry import bradley_terry
from annotation.dawid_skene import dawid_skene
from annotation.majority import majority
from warehouse.records import LABELS

Method = Literal["majority", "dawid_skene", "bradley_terry"]


@dataclass(frozen=True, eq=False)
class Merged:
    """`p_a` and `p_tie` [N], both in [0, 1]; ties and both-bad are half of them in `p_a`.

    `reliability` and `lean` to the left (log-odds) are [R], NaN where the method has none.
    """

    p_a: Floats
    p_tie: Floats
    reliability: Floats
    lean: Floats


def merge_votes(votes: Ballots, method: Method) -> Merged:
    """The consensus of every pair; swapping a and b of all pairs turns `p_a` into 1 - `p_a`."""
    nothing = np.full(len(votes.raters), np.nan)
    if method == "bradley_terry":
        first, second = votes.first[votes.pair], votes.second[votes.pair]
        sizes = (len(votes.candidates), len(votes.raters))
        fit = bradley_terry(first, second, votes.rater, votes.label, sizes, left=votes.left)
        chances = fit.chances(votes.first, votes.second)
        return Merged(chances[:, 0] + chances[:, 2] / 2, chances[:, 2], fit.reliability, fit.lean)
    if method == "dawid_skene":
        shape = (len(votes.pairs), len(votes.raters), len(LABELS))
        found = dawid_skene(votes.pair, votes.rater, votes.label, shape, smoothing=1.0)
        shares, reliability = found.posterior, found.reliability()
    else:
        shares, reliability = majority(votes.counts()), nothing
    tie = shares[:, TIE] + shares[:, BOTH_BAD]
    # Shares add up to one but for their last bit.
    return Merged(np.clip(shares[:, A] + tie / 2, 0.0, 1.0), np.clip(tie, 0.0, 1.0), reliability, nothing)
