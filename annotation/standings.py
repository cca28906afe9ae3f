"""How candidates stand before the next pairs are chosen: strength on a log-odds scale, with its variance.

From votes: Bradley-Terry over everything voted on so far. From rewards: the mean log-odds with which a reward model
lets the candidate beat the references of its prompt; the variance is that of the mean, so that a model that gives
different answers about a candidate, or an ensemble that disagrees, leaves it in doubt. Where the model judged a couple
itself (rm/pair_rewards.py, rm/ensemble.py), its word about the couple comes before the two candidates' standings. A
candidate that nobody has met has strength 0 and the prior's variance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from annotation.ballots import Floats, ballots_of
from annotation.bradley_terry import bradley_terry
from annotation.election import LABEL_CODE, SIDE_CODE
from warehouse import Warehouse
from warehouse.hashing import canonical_json, content_id

Couple = tuple[str, str]
_PRIOR_SD = 2.5
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_VOTES = f"""
SELECT v.pair_id, v.annotator_id, {LABEL_CODE} AS label, {SIDE_CODE} AS "left", 0.0 AS time_s, v.seconds,
  false AS gold, r.candidate_a, r.candidate_b
FROM votes v JOIN pairs r USING (pair_id)
WHERE r.task = ? AND v.dimension = ? AND v.candidate_id IS NULL AND NOT coalesce(v.deleted, false)
ORDER BY v.pair_id, v.annotator_id, v.vote_id
"""
_MET = """
SELECT DISTINCT r.candidate_a, r.candidate_b FROM votes v JOIN pairs r USING (pair_id)
WHERE r.task = ? AND v.dimension = ? AND NOT coalesce(v.deleted, false)
"""
_ODDS = "ln(greatest(w.value, 1e-6) / greatest(1 - w.value, 1e-6))"
_MINE = "w.model_id = ? AND c.task = ? AND coalesce(w.dimension, ?) = ?"
_REWARDS = f"""
SELECT candidate_id, avg(odds) AS strength,
  (coalesce(var_samp(odds), ?) + avg(coalesce(doubt, 0))) / count(*) AS variance
FROM (SELECT w.candidate_id, {_ODDS} AS odds, power(coalesce(w.uncertainty, 0), 2) AS doubt
      FROM rewards w JOIN candidates c USING (candidate_id) WHERE {_MINE})
GROUP BY 1 ORDER BY 1
"""
# A couple judged in both directions counts once, as the mean of the two.
_COUPLES = f"""
SELECT least(w.candidate_id, w.reference_id) AS x, greatest(w.candidate_id, w.reference_id) AS y,
  avg(CASE WHEN w.candidate_id < w.reference_id THEN {_ODDS} ELSE -{_ODDS} END) AS strength,
  avg(power(coalesce(w.uncertainty, 0), 2)) AS variance
FROM rewards w JOIN candidates c USING (candidate_id) WHERE {_MINE} AND w.reference_id IS NOT NULL
GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Standing:
    """Strength in log-odds, and its variance."""

    strength: float = 0.0
    variance: float = _PRIOR_SD**2


@dataclass(frozen=True)
class Standings:
    """Standing of each candidate that was met, and the couples (smaller id first) that were voted on.

    `between` is the lead of a couple's first over its second, where it was judged itself.
    """

    of: Mapping[str, Standing]
    met: frozenset[Couple]
    between: Mapping[Couple, Standing] = field(default_factory=dict)

    def get(self, candidate: str) -> Standing:
        """The prior for a candidate that nobody has met."""
        return self.of.get(candidate, Standing())

    def lead(self, x: str, y: str) -> Standing:
        """Of x over y; x is the smaller id."""
        found = self.between.get((x, y))
        if found is not None:
            return found
        one, other = self.get(x), self.get(y)
        return Standing(one.strength - other.strength, one.variance + other.variance)

    def digest(self) -> str:
        """The same for the same standings, to six digits."""
        told = [[name, round(at.strength, 6), round(at.variance, 6)] for name, at in sorted(self.of.items())]
        apart = [[*couple, round(at.strength, 6), round(at.variance, 6)] for couple, at in sorted(self.between.items())]
        return content_id("standings", canonical_json([told, sorted(self.met), apart]))

    def doubt(self, x: str, y: str) -> float:
        """Entropy in bits of "x beats y", the standings' variance averaged over (MacKay 1992)."""
        lead = self.lead(x, y)
        p = 1.0 / (1.0 + math.exp(-lead.strength / math.sqrt(1.0 + math.pi / 8.0 * lead.variance)))
        p = min(max(p, 1e-9), 1 - 1e-9)
        return -p * math.log2(p) - (1 - p) * math.log2(1 - p)

    def information(self, x: str, y: str) -> float:
        """Bits that a vote on the couple is expected to tell about the lead, 0 where it is known exactly.

        Entropy of the answer less its mean entropy were the lead known (Houlsby et al. 2011, Eq. 2), by Gauss-Hermite
        quadrature: a couple of equals that will always divide people is in doubt and tells nothing.
        """
        lead = self.lead(x, y)
        p = 1.0 / (1.0 + np.exp(-(lead.strength + math.sqrt(lead.variance) * _NODES)))
        return max(float(_entropy(p @ _WEIGHTS) - _entropy(p) @ _WEIGHTS), 0.0)


def _entropy(p: Floats) -> Floats:
    """Bits of a chance, of 0 and 1 none."""
    inner = np.clip(p, 1e-12, 1 - 1e-12)
    bits: Floats = -inner * np.log2(inner) - (1 - inner) * np.log2(1 - inner)
    return bits


def from_votes(warehouse: Warehouse, task: str, dimension: str) -> Standings:
    """By Bradley-Terry; a vote between equals tells a quarter of a nat about their gap."""
    table = warehouse.table(_VOTES, [task, dimension])
    if table.num_rows == 0:
        return Standings({}, frozenset())
    votes = ballots_of(table)
    first, second = votes.first[votes.pair], votes.second[votes.pair]
    size = len(votes.candidates)
    fit = bradley_terry(first, second, votes.rater, votes.label, (size, len(votes.raters)), left=votes.left,
                        strength_sd=_PRIOR_SD)
    met = np.bincount(first, minlength=size) + np.bincount(second, minlength=size)
    variance = 1.0 / (1.0 / _PRIOR_SD**2 + met / 4.0)
    figures = zip(votes.candidates.to_pylist(), fit.strength, variance, strict=True)
    of = {name: Standing(float(strength), float(spread)) for name, strength, spread in figures}
    return Standings(of, _met(warehouse, task, dimension))


def from_rewards(warehouse: Warehouse, task: str, dimension: str, model_id: str) -> Standings:
    """By a reward model's rows of `rewards`; couples voted on are those of the votes."""
    mine = [model_id, task, dimension, dimension]
    rows = warehouse.rows(_REWARDS, [_PRIOR_SD**2, *mine])
    couples = warehouse.rows(_COUPLES, mine)
    return Standings(
        {row["candidate_id"]: Standing(row["strength"], row["variance"]) for row in rows},
        _met(warehouse, task, dimension),
        {(row["x"], row["y"]): Standing(row["strength"], row["variance"]) for row in couples},
    )


def _met(warehouse: Warehouse, task: str, dimension: str) -> frozenset[Couple]:
    return frozenset((row["candidate_a"], row["candidate_b"]) for row in warehouse.rows(_MET, [task, dimension]))
