"""When is a pair voted on enough? When its consensus is certain, its votes are used up, or the budget is.

Certainty is the posterior of the likeliest label under Dawid-Skene, so that agreement of good raters counts for more
than agreement of careless ones. Where no label has more than half of a pair's votes it is at most one half: with few
votes, reliabilities are too little known to settle an even split by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from annotation.ballots import Ballots, Floats, Ints
from annotation.dawid_skene import dawid_skene
from warehouse.records import LABELS


class StoppingRules(BaseModel):
    """Stop a pair at `certainty` or at `max_votes`; `budget_votes` is for all pairs together, 0 for no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    certainty: float = Field(default=0.9, gt=0.25, le=1.0)
    max_votes: int = Field(default=5, ge=1)
    budget_votes: int = Field(default=0, ge=0)


@dataclass(frozen=True, eq=False)
class Verdict:
    """Indices of pairs: `more` need another vote (least certain first), `disputed` had all theirs in vain."""

    more: Ints
    disputed: Ints
    certainty: Floats


def certainty(posterior: Floats, counts: Ints) -> Floats:
    """Of each pair [N], from the posterior and the number of votes of each label, [N, K] both."""
    split = 2 * counts.max(axis=1) <= counts.sum(axis=1)
    best: Floats = posterior.max(axis=1)
    return np.where(split, np.minimum(best, 0.5), best)


def certainty_of(votes: Ballots) -> Floats:
    """Certainty of each pair under Dawid-Skene, [N]."""
    shape = (len(votes.pairs), len(votes.raters), len(LABELS))
    found = dawid_skene(votes.pair, votes.rater, votes.label, shape, smoothing=1.0)
    return certainty(found.posterior, votes.counts())


def judge(certain: Floats, votes: Ints, rules: StoppingRules, spent: int) -> Verdict:
    """What to do with pairs [N] of which `certain` [N] and number of `votes` [N] are known, `spent` votes so far."""
    doubtful = certain < rules.certainty
    order = np.argsort(certain, kind="stable")
    more = order[(doubtful & (votes < rules.max_votes))[order]]
    if rules.budget_votes:
        more = more[: max(rules.budget_votes - spent, 0)]
    return Verdict(more, order[(doubtful & (votes >= rules.max_votes))[order]], certain)
