"""Ranking by pairwise comparisons, with judges whose strengths are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from alignment.tournament import compare, finals, round_robin
from rm.context import Frames


class Judge:
    """P(candidate beats reference) = sigmoid(strength difference + a liking for the second image)."""

    def __init__(self, liking: float = 0.0, noise: float = 0.0) -> None:
        self.liking, self.noise, self.asked = liking, noise, 0
        self._rng = np.random.default_rng(0)

    def __call__(self, references: Sequence[Frames], candidates: Sequence[Frames]) -> NDArray[np.float32]:
        self.asked += len(candidates)
        strength = [[float(item.pixels[0, 0, 0, 0]) for item in side] for side in (candidates, references)]
        odds = np.subtract(*strength) + self.liking + self._rng.normal(0, self.noise, len(candidates))
        return (1.0 / (1.0 + np.exp(-odds))).astype(np.float32)


def _frames(strengths: Sequence[float]) -> list[Frames]:
    return [Frames(np.full((1, 1, 1, 3), value, np.float32)) for value in strengths]


@settings(max_examples=40, deadline=None)
@given(st.permutations(list(range(12))), st.floats(-3, 3))
def test_both_methods_find_the_best_whatever_the_liking_for_a_side(order: list[int], liking: float) -> None:
    frames = _frames(order)
    for method in (round_robin, finals):
        standings = method(Judge(liking), frames)
        assert [item.rank for item in standings] == list(range(1, 13))
        assert [order[item.index] for item in standings[:4]] == [11, 10, 9, 8]


def test_round_robin_counts_expected_wins() -> None:
    frames = _frames([0.0, 1.0, 3.0])
    standings = {item.index: item for item in round_robin(Judge(), frames)}
    def wins(a: float, b: float) -> float:
        return float(1 / (1 + np.exp(b - a)))
    assert standings[2].wins == pytest.approx(wins(3, 0) + wins(3, 1), abs=1e-6)
    assert sum(item.wins for item in standings.values()) == pytest.approx(3.0)
    assert {item.comparisons for item in standings.values()} == {2}


def test_finals_ask_far_less_and_agree_with_the_yardstick() -> None:
    rng = np.random.default_rng(1)
    agreed, cheap, full = 0, Judge(noise=0.5), Judge(noise=0.5)
    for _ in range(100):
        frames = _frames(rng.normal(0, 2, 16).tolist())
        best = {item.index for item in round_robin(full, frames)[:2]}
        agreed += {item.index for item in finals(cheap, frames)[:2]} == best
        sure = [[item.index for item in method(Judge(), frames)[:2]] for method in (round_robin, finals)]
        assert sure[0] == sure[1]
    assert full.asked == 100 * 240 and cheap.asked == 100 * 2 * 48
    assert agreed >= 75


def test_ties_go_to_the_earlier_and_everyone_is_ranked_once() -> None:
    standings = finals(Judge(), _frames([1.0] * 7))
    assert sorted(item.index for item in standings) == list(range(7))
    assert standings[0].index == 0 and len({item.rank for item in standings}) == 7


@pytest.mark.parametrize(("count", "asked"), [(1, 0), (2, 1), (9, 36), (10, 30), (16, 48), (40, 40 + 3 * 36)])
def test_comparisons_are_counted_and_bounded(count: int, asked: int) -> None:
    judge = Judge()
    standings = finals(judge, _frames(np.random.default_rng(count).permutation(count).tolist()))
    assert judge.asked // 2 <= max(44, 0.2 * count * (count - 1)) and abs(judge.asked // 2 - asked) <= 9
    assert sum(item.comparisons for item in standings) == judge.asked


def test_disagreement_between_the_orders_is_reported() -> None:
    frames = _frames([0.0, 0.0])
    value, disagreement = compare(Judge(liking=2.0), frames, [(0, 1)])
    assert value[0] == pytest.approx(0.5) and disagreement[0] == pytest.approx(1 / (1 + np.exp(-2)) - 0.5, abs=1e-6)
