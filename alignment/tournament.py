"""Ranking candidates of one prompt with a pairwise reward model.

A comparison asks in both orders and averages, which removes the model's liking for a side. Candidates are ranked by
their expected number of wins, the sum of P(beats the other). `round_robin` plays every pair and is the yardstick;
`finals` lets everyone play a few anchors first and only the best few every pair among themselves: for 16 candidates at
most 35 comparisons instead of 120.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rm.context import Frames

ANCHORS = 2
FINALISTS = 4
Pairs = Sequence[tuple[int, int]]


class Comparer(Protocol):
    """A reward model with prompt, task and dimension fixed."""

    def __call__(self, references: Sequence[Frames], candidates: Sequence[Frames]) -> NDArray[np.float32]:
        """P(candidate i beats reference i) [N]."""
        ...


@dataclass(frozen=True)
class Standing:
    """A candidate's place (1 = best), expected wins, and number of opponents met."""

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
    wins, met = _play(comparer, frames, list(combinations(range(len(frames)), 2)))
    order = sorted(range(len(frames)), key=lambda index: (-wins[index], index))
    return _standings(order, wins, met)


def finals(comparer: Comparer, frames: Sequence[Frames]) -> list[Standing]:
    """Everyone against the first ANCHORS, then the best FINALISTS all against all; best first.

    Finalists stand before the rest, ordered by all they have played; up to FINALISTS + 1 candidates it is a round
    robin.
    """
    count = len(frames)
    if count <= FINALISTS + 1:
        return round_robin(comparer, frames)
    opening = [pair for pair in combinations(range(count), 2) if pair[0] < ANCHORS]
    wins, met = _play(comparer, frames, opening)
    share = wins / met
    best = sorted(sorted(range(count), key=lambda index: (-share[index], index))[:FINALISTS])
    played = set(opening)
    last_wins, last_met = _play(comparer, frames, [pair for pair in combinations(best, 2) if pair not in played])
    wins, met = wins + last_wins, met + last_met
    share = wins / met
    order = sorted(range(count), key=lambda index: (index not in best, -share[index], index))
    return _standings(order, wins, met)


def _play(comparer: Comparer, frames: Sequence[Frames], pairs: Pairs) -> tuple[NDArray[np.float64],
                                                                              NDArray[np.float64]]:
    """Expected wins and opponents met of every candidate."""
    wins, met = np.zeros(len(frames)), np.zeros(len(frames))
    if not pairs:
        return wins, met
    beaten, _ = compare(comparer, frames, pairs)
    for (i, j), p in zip(pairs, beaten, strict=True):
        wins[i] += p
        wins[j] += 1.0 - p
        met[[i, j]] += 1
    return wins, met


def _standings(order: Sequence[int], wins: NDArray[np.float64], met: NDArray[np.float64]) -> list[Standing]:
    return [Standing(index, place, float(wins[index]), int(met[index])) for place, index in enumerate(order, start=1)]


METHODS = {"round_robin": round_robin, "finals": finals}
