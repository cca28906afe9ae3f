"""How candidates stand before the next pairs are chosen: strength on a log-odds scale, with its variance.

From votes: Bradley-Terry over everything voted on so far. From rewards: the mean log-odds with which a reward model
lets the candidate beat the references of its prompt; the variance is that of the mean, so that a model that gives
different answers about a candidate, or an ensemble that disagrees, leaves it in doubt. A candidate that nobody has met
has strength 0 and the prior's variance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from annotation.ballots import ballots
from annotation.bradley_terry import bradley_terry
from warehouse import Warehouse
from warehouse.hashing import canonical_json, content_id

Couple = tuple[str, str]
_PRIOR_SD = 2.5
_VOTES = """
SELECT v.vote_id, v.pair_id, v.annotator_id, v.dimension, v.label, v.left_side, v.updated_at, v.seconds,
  false AS gold, r.candidate_a, r.candidate_b
FROM votes v JOIN pairs r USING (pair_id) WHERE r.task = ? AND v.dimension = ? AND NOT coalesce(v.deleted, false)
"""
_REWARDS = """
SELECT candidate_id, avg(odds) AS strength,
  (coalesce(var_samp(odds), ?) + avg(coalesce(doubt, 0))) / count(*) AS variance
FROM (SELECT w.candidate_id, ln(greatest(w.value, 1e-6) / greatest(1 - w.value, 1e-6)) AS odds,
        power(coalesce(w.uncertainty, 0), 2) AS doubt
      FROM rewards w JOIN candidates c USING (candidate_id)
      WHERE w.model_id = ? AND c.task = ? AND coalesce(w.dimension, ?) = ?)
GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class Standing:
    """Strength in log-odds, and its variance."""

    strength: float = 0.0
    variance: float = _PRIOR_SD**2


@dataclass(frozen=True)
class Standings:
    """Standing of each candidate that was met, and the couples (smaller id first) that were voted on."""

    of: Mapping[str, Standing]
    met: frozenset[Couple]

    def get(self, candidate: str) -> Standing:
        """The prior for a candidate that nobody has met."""
        return self.of.get(candidate, Standing())

    def digest(self) -> str:
        """The same for the same standings, to six digits."""
        told = [[name, round(at.strength, 6), round(at.variance, 6)] for name, at in sorted(self.of.items())]
        return content_id("standings", canonical_json([told, sorted(self.met)]))

    def doubt(self, x: str, y: str) -> float:
        """Entropy in bits of "x beats y", the standings' variance averaged over (MacKay 1992)."""
        one, other = self.get(x), self.get(y)
        spread = np.sqrt(1.0 + np.pi / 8.0 * (one.variance + other.variance))
        p = 1.0 / (1.0 + np.exp(-(one.strength - other.strength) / spread))
        p = float(np.clip(p, 1e-9, 1 - 1e-9))
        return float(-p * np.log2(p) - (1 - p) * np.log2(1 - p))


def from_votes(warehouse: Warehouse, task: str, dimension: str) -> Standings:
    """By Bradley-Terry; a vote between equals tells a quarter of a nat about their gap."""
    rows = warehouse.rows(_VOTES, [task, dimension])
    if not rows:
        return Standings({}, frozenset())
    votes = ballots(rows)
    first, second = votes.first[votes.pair], votes.second[votes.pair]
    size = len(votes.candidates)
    fit = bradley_terry(first, second, votes.rater, votes.label, (size, len(votes.raters)), strength_sd=_PRIOR_SD)
    met = np.bincount(first, minlength=size) + np.bincount(second, minlength=size)
    variance = 1.0 / (1.0 / _PRIOR_SD**2 + met / 4.0)
    figures = zip(votes.candidates, fit.strength, variance, strict=True)
    of = {name: Standing(float(strength), float(spread)) for name, strength, spread in figures}
    return Standings(of, frozenset((row["candidate_a"], row["candidate_b"]) for row in rows))


def from_rewards(warehouse: Warehouse, task: str, dimension: str, model_id: str) -> Standings:
    """By a reward model's rows of `rewards`; couples voted on are those of the votes."""
    rows = warehouse.rows(_REWARDS, [_PRIOR_SD**2, model_id, task, dimension, dimension])
    of = {row["candidate_id"]: Standing(row["strength"], row["variance"]) for row in rows}
    voted = warehouse.rows(_VOTES, [task, dimension])
    return Standings(of, frozenset((row["candidate_a"], row["candidate_b"]) for row in voted))
