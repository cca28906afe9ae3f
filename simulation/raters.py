"""How one simulated rater answers: utilities of both sides in, a label and the seconds it took out.

A careful rater sees the difference of the utilities through noise, which is larger where the two are close and on
items that are hard for everybody, and grows with fatigue over a session, leans a little to one side, and says tie where
little is left; about a single item they say pass or fail, each by a limit of their own. A spammer
clicks at random and fast. A copier is told what somebody else said (annotators.py knows whom).

All chance is a hash of names, so that an answer depends on the rater, the pair and the dimension alone: not on what
else was asked, in which order, or in which process.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from statistics import NormalDist

from warehouse.hashing import content_id

_NORMAL = NormalDist()
_HARD_WITHIN = 0.08
_BOTH_BAD_BELOW = 0.45


@dataclass(frozen=True)
class Rater:
    """One rater; noise, lean and tie width in units of utility (whole range 1)."""

    name: str
    taste: str
    behaviour: str
    noise: float
    lean_left: float
    tie_width: float
    fatigue: float


def draws(*parts: str | int) -> tuple[float, float, float, float]:
    """Four independent numbers in (0, 1) that depend on the parts alone."""
    digest = hashlib.sha256(content_id(*parts).encode()).digest()
    a, b, c, d = ((int.from_bytes(digest[i : i + 8], "big") + 0.5) / 2**64 for i in (0, 8, 16, 24))
    return a, b, c, d


def make_rater(population: str, index: int, seed: int, taste: str, behaviour: str, noise: float) -> Rater:
    """The rater number `index` of a population; careful ones differ in noise by a third or so."""
    a, b, c, d = draws("rater", population, seed, index)
    return Rater(
        name=f"{population}-{seed}-{index:02d}",
        taste=taste,
        behaviour=behaviour,
        noise=noise * math.exp(0.35 * _NORMAL.inv_cdf(a)),
        lean_left=0.012 * _NORMAL.inv_cdf(b),
        tie_width=0.015 + 0.025 * c,
        fatigue=0.5 * d,
    )


def difficulty(item: str, spread: float) -> float:
    """By what an item multiplies everybody's noise: log-normal over items, 1 for all where `spread` is 0."""
    return math.exp(spread * _NORMAL.inv_cdf(draws("difficulty", item)[0])) if spread else 1.0


def answer(
    rater: Rater, pair_id: str, dimension: str, left: float, right: float, hardness: float = 1.0
) -> tuple[str, float]:
    """Label as shown and seconds taken, for the utilities of both sides; `hardness` multiplies the noise."""
    error, pace, session, guess = draws("answer", rater.name, pair_id, dimension)
    if rater.behaviour == "spammer":
        return _click(guess), 0.6 + 1.2 * pace
    gap = left - right
    closeness = math.exp(-abs(gap) / _HARD_WITHIN)
    noise = hardness * rater.noise * (1.0 + 0.6 * closeness) * (1.0 + rater.fatigue * session)
    seen = gap + rater.lean_left + noise * _NORMAL.inv_cdf(error)
    seconds = (2.5 + 4.0 * closeness) * math.exp(0.4 * _NORMAL.inv_cdf(pace))
    if abs(seen) < rater.tie_width:
        return ("both_bad" if max(left, right) < _BOTH_BAD_BELOW else "tie"), seconds
    return ("left" if seen > 0 else "right"), seconds


def inspect(rater: Rater, item: str, dimension: str, value: float, limit: float, hardness: float = 1.0
            ) -> tuple[str, float]:
    """pass or fail and seconds taken for one item's utility; a rater's limit is theirs by about their noise."""
    error, pace, session, guess = draws("inspect", rater.name, item, dimension)
    if rater.behaviour == "spammer":
        return ("pass" if guess < 0.5 else "fail"), 0.4 + 0.8 * pace
    own = limit + rater.noise * _NORMAL.inv_cdf(draws("limit", rater.name, dimension)[0])
    noise = hardness * rater.noise * (1.0 + rater.fatigue * session)
    seconds = (1.5 + 2.0 * math.exp(-abs(value - own) / _HARD_WITHIN)) * math.exp(0.4 * _NORMAL.inv_cdf(pace))
    return ("pass" if value + noise * _NORMAL.inv_cdf(error) >= own else "fail"), seconds


def _click(guess: float) -> str:
    return "left" if guess < 0.46 else "right" if guess < 0.92 else "tie"
