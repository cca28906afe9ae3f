"""Ranking candidates of one prompt with a pairwise reward model.

A comparison asks in both orders and averages, which removes the model's liking for a side. Candidates are ranked by
their expected number of wins, the sum of P(beats the other). `round_robin` plays every pair and is the yardstick;
`finals` plays two fifths of them and foretells the rest from strengths (Bradley-Terry on the log-odds): everyone meets
two neighbours in a ring, so that no opponent is everybody's measure; then the three that lead, of whom two will be
chosen, meet everybody else one after the other, the best opponents first, as far as comparisons go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rm.context import Frames

LEADERS = 3
SHARE, AT_LEAST = 0.4, 44
"""Comparisons of `finals`: a share of round robin's, but not fewer than these."""
_CERTAIN = 1e-6
_PRIOR = 0.02
Pairs = Sequence[tuple[int, int]]


class Comparer(Protocol):
    """A reward model with prompt, task and dimension fixed."""

    def __call__(self, references: Sequence[Frames], candidates: Sequence[Frames]) -> NDArray[np.float32]:
        """P(candidate i beats reference i) [N]."""
        ...


@dataclass(frozen=True)
class Standing:
    """A candidate's place (1 = best), expected wins over all others, and number of opponents met."""

    index: int
    rank: int
    wins: float
    comparisons: int


def compare(comparer: Comparer, frames: Sequence[Frames], pairs: Pairs) -> tuple[NDArray[np.float64],
                                                                                 NDArray[np.float64]]:
    """P(i beats j) [N] of pairs (i, j) over both orders, and half the disagreement between the orders [N]."""
    first, second = [frames[i] for i, _ in pairs], [frames[j] for _, j in pairs]
    answers = comparer([*second, *first], [*first, *second]).astype(np.float64)
    asked_first, asked_second = answers[:len(pairs)], 1.0 - answers[len(pairs):]
    return (asked_first + asked_second) / 2.0, np.abs(asked_first - asked_second) / 2.0


def round_robin(comparer: Comparer, frames: Sequence[Frames]) -> list[Standing]:
    """All against all; best first. Ties go to the earlier candidate."""
    beats = _unplayed(len(frames))
    _play(comparer, frames, list(combinations(range(len(frames)), 2)), beats)
    return _ranked(beats)


def finals(comparer: Comparer, frames: Sequence[Frames]) -> list[Standing]:
    """By `SHARE` of round robin's comparisons; best first. Up to nine candidates it is a round robin."""
    count = len(frames)
    most = max(AT_LEAST, int(SHARE * count * (count - 1) / 2))
    if count * (count - 1) // 2 <= most:
        return round_robin(comparer, frames)
    beats = _unplayed(count)
    _play(comparer, frames, [(i, (i + 1) % count) for i in range(count)], beats)
    met: list[int] = []
    for _ in range(LEADERS):
        order = _order(_wins(beats))
        leader = next(index for index in order if index not in met)
        left = most - _played(beats)
        _play(comparer, frames, [(leader, other) for other in order if _unmet(beats, leader, other)][:left], beats)
        met.append(leader)
    return _ranked(beats)


def _unplayed(count: int) -> NDArray[np.float64]:
    """P(row beats column) [N, N], NaN where the two have not met."""
    return np.full((count, count), np.nan)


def _unmet(beats: NDArray[np.float64], i: int, j: int) -> bool:
    return i != j and bool(np.isnan(beats[i, j]))


def _played(beats: NDArray[np.float64]) -> int:
    return int(np.isfinite(beats).sum()) // 2


def _play(comparer: Comparer, frames: Sequence[Frames], pairs: Pairs, beats: NDArray[np.float64]) -> None:
    """Fill in both cells of each pair that has not met."""
    new = [(i, j) for i, j in pairs if _unmet(beats, i, j)]
    if not new:
        return
    values, _ = compare(comparer, frames, new)
    for (i, j), value in zip(new, values, strict=True):
        beats[i, j], beats[j, i] = value, 1.0 - value


def _strengths(beats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strengths [N] whose differences are the log-odds of the matches played, by least squares with a weak prior."""
    count = len(beats)
    winners, losers = np.nonzero(np.triu(np.isfinite(beats), 1))
    design = np.zeros((len(winners), count))
    design[np.arange(len(winners)), winners], design[np.arange(len(winners)), losers] = 1.0, -1.0
    odds = special.logit(np.clip(beats[winners, losers], _CERTAIN, 1.0 - _CERTAIN))
    found: NDArray[np.float64] = np.linalg.solve(design.T @ design + _PRIOR * np.eye(count), design.T @ odds)
    return found


def _wins(beats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected wins [N] over everybody else: as played, else as strengths foretell."""
    strengths = _strengths(beats)
    expected = np.where(np.isfinite(beats), beats, special.expit(strengths[:, None] - strengths[None]))
    np.fill_diagonal(expected, 0.0)
    wins: NDArray[np.float64] = expected.sum(1)
    return wins


def _order(wins: NDArray[np.float64]) -> list[int]:
    """Indices, most wins first; ties go to the earlier."""
    return [int(index) for index in np.argsort(-wins, kind="stable")]


def _ranked(beats: NDArray[np.float64]) -> list[Standing]:
    wins, met = _wins(beats), np.isfinite(beats).sum(1)
    return [Standing(index, place, float(wins[index]), int(met[index]))
            for place, index in enumerate(_order(wins), start=1)]


METHODS = {"round_robin": round_robin, "finals": finals}
