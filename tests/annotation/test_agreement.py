from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.agreement import Level, alpha, alpha_interval, raw_agreement


def _counts(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, np.int64).reshape(-1, 4)


tables = st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=1, max_size=15)


@settings(max_examples=200)
@given(tables)
def test_alpha_is_that_of_the_krippendorff_package(rows: list[list[int]]) -> None:
    counts = _counts(rows)
    pairable = counts[counts.sum(axis=1) > 1]
    if (pairable.sum(axis=0) > 0).sum() < 2:
        assert alpha(counts) is None and alpha_interval(counts) is None
        return
    expected = krippendorff.alpha(value_counts=pairable, level_of_measurement="nominal")
    assert alpha(counts) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=100)
@given(tables, st.sampled_from(["ordinal", "interval"]))
def test_levels_are_those_of_the_krippendorff_package(rows: list[list[int]], level: Level) -> None:
    counts = _counts(rows)
    pairable = counts[counts.sum(axis=1) > 1]
    if (pairable.sum(axis=0) > 0).sum() < 2:
        assert alpha(counts, level) is None
        return
    values = [1.0, 2.0, 4.0, 8.0]
    expected = krippendorff.alpha(value_counts=pairable, value_domain=values, level_of_measurement=level)
    assert alpha(counts, level, values) == pytest.approx(expected, abs=1e-9)


def test_patterns_too_large_for_one_number() -> None:
    counts = _counts([[200_000, 50_000, 3, 70_000], [0, 90_000, 80_000, 1], [200_000, 50_000, 3, 70_000]])
    assert alpha(counts) == pytest.approx(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def test_raw_agreement_by_hand() -> None:
    """One couple of three agrees on the first pair, all three on the second; a single vote says nothing."""
    assert raw_agreement(_counts([[2, 1, 0, 0], [0, 3, 0, 0], [1, 0, 0, 0]])) == pytest.approx((1 / 3 + 1) / 2)
    assert raw_agreement(_counts([[1, 0, 0, 0]])) is None


def test_extremes() -> None:
    assert alpha(_counts([[3, 0, 0, 0], [0, 3, 0, 0]])) == 1.0
    assert alpha(np.zeros((0, 4), np.int64)) is None
    assert alpha(_counts([[1, 0, 0, 0], [0, 1, 0, 0]])) is None


def test_the_interval_covers_the_truth_of_many_draws() -> None:
    """95 % intervals from 60 pairs hold the alpha of 40,000 pairs of the same raters about that often."""
    rng = np.random.default_rng(0)

    def draw(pairs: int) -> np.ndarray:
        share = np.where(rng.random((pairs, 1)) < 0.5, [[0.7, 0.2, 0.1, 0.0]], [[0.2, 0.7, 0.1, 0.0]])
        return np.stack([rng.multinomial(3, row) for row in share])

    truth = alpha(draw(40_000))
    held = 0
    for seed in range(60):
        interval = alpha_interval(draw(60), seed)
        assert interval is not None and truth is not None
        held += interval[0] <= truth <= interval[1]
    assert held >= 51


def test_the_interval_is_the_same_every_time() -> None:
    counts = _counts([[2, 1, 0, 0], [0, 3, 0, 0], [1, 1, 1, 0]] * 5)
    assert alpha_interval(counts, 3) == alpha_interval(counts, 3) != alpha_interval(counts, 4)
