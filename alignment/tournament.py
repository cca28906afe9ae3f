"""Ranking candidates of one prompt with a pairwise reward model.

A comparison asks in both orders and averages, which removes the model's liking for a side. Candidates are ranked by
their expected number of wins, the sum of P(beats the other). `round_robin` plays every pair and is the yardstick;
`finals` lets everyone play a few anchors first and only the best few every pair among themselves: for 16 candidates at
most 44 comparisons instead of 120.
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

ANCHORS = 2
FINALISTS = 6
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
    everyone = range(len(frames))
    beats = _unplayed(len(frames))
    _play(comparer, frames, list(combinations(everyone, 2)), beats)
    return _ranked(beats, everyone, everyone, 1)


def finals(comparer: Comparer, frames: Sequence[Frames]) -> list[Standing]:
    """Everyone against the first ANCHORS, then the best FINALISTS all against all; best first.

    Finalists stand before the rest and count their wins over each other only, the rest those over the anchors. Up to
    FINALISTS + 1 candidates it is a round robin.
    """
    count = len(frames)
    if count <= FINALISTS + 1:
        return round_robin(comparer, frames)
    beats = _unplayed(count)
    _play(comparer, frames, [pair for pair in combinations(range(count), 2) if pair[0] < ANCHORS], beats)
    opening = _strengths(beats)
    order = sorted(range(count), key=lambda index: (-opening[index], index))
    best, rest = sorted(order[:FINALISTS]), order[FINALISTS:]
    _play(comparer, frames, [pair for pair in combinations(best, 2) if np.isnan(beats[pair])], beats)
    return _ranked(beats, best, best, 1) + _ranked(beats, rest, range(ANCHORS), FINALISTS + 1)


def _unplayed(count: int) -> NDArray[np.float64]:
    """P(row beats column) [N, N], NaN where the two have not met."""
    return np.full((count, count), np.nan)


def _play(comparer: Comparer, frames: Sequence[Frames], pairs: Pairs, beats: NDArray[np.float64]) -> None:
    """Fill in both cells of each pair."""
    if not pairs:
        return
    values, _ = compare(comparer, frames, pairs)
    for (i, j), value in zip(pairs, values, strict=True):
        beats[i, j], beats[j, i] = value, 1.0 - value


def _strengths(beats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds scale of everyone [N] from the matches with anchors: an anchor that met stronger ones loses nothing."""
    certain = 1e-6
    odds = special.logit(np.clip(beats[:, :ANCHORS], certain, 1.0 - certain))
    np.fill_diagonal(odds, 0.0)
    anchors = odds[:ANCHORS].mean(axis=1)
    strengths: NDArray[np.float64] = (odds + anchors).mean(axis=1)
    strengths[:ANCHORS] = anchors
    return strengths


def _ranked(beats: NDArray[np.float64], members: Sequence[int], opponents: Sequence[int], first: int) -> list[Standing]:
    """Members by their mean result against those of `opponents` they met, from place `first` on."""
    met = {i: [j for j in opponents if not np.isnan(beats[i, j])] for i in members}
    wins = {i: float(beats[i, met[i]].sum()) for i in members}
    order = sorted(members, key=lambda i: (-wins[i] / len(met[i]), i))
    return [Standing(i, place, wins[i], len(met[i])) for place, i in enumerate(order, start=first)]


METHODS = {"round_robin": round_robin, "finals": finals}
