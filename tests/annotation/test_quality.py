"""Planted raters are flagged, honest ones are not; two tastes are told from spam."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from annotation.ballots import ballots
from annotation.populations import camps, split_pairs
from annotation.quality import QualityRules, excluded, rate, wilson
from tests.annotation.world import START, crowd, vote
from warehouse.records import Row

RULES = QualityRules()
HONEST = [0.95, 0.9, 0.9, 0.9, 0.9, 0.85, 0.85, 0.85, 0.8, 0.8]


def _rate(rows: list[Row], gold: dict[str, int] | None = None):  # type: ignore[no-untyped-def]
    votes = ballots(rows)
    return rate(votes, np.zeros(len(votes), np.int64), gold or {}, RULES)


def test_coins_are_spammers_and_honest_raters_are_not() -> None:
    for seed in range(3):
        found = _rate(crowd(np.random.default_rng(seed), 800, [*HONEST, 0.5, 0.5]))
        flagged = {name for name, rating in found.items() if rating.flags}
        assert flagged == {"r10", "r11"}
        assert excluded(found, RULES) == (["r10", "r11"], False)


def test_known_answers_alone_find_a_spammer() -> None:
    """Raters who never share a pair with anybody can still be measured."""
    rng = np.random.default_rng(0)
    rows = [vote(f"p{index:03d}", f"r{index % 6}", "a" if index % 6 else "ab"[int(rng.integers(2))])
            for index in range(240)]
    found = _rate(rows, {f"p{index:03d}": 0 for index in range(240)})
    assert {name for name, rating in found.items() if "spammer" in rating.flags} == {"r0"}
    assert found["r1"].gold_accuracy == 1.0 and found["r1"].gold_votes == 40 and found["r1"].agreement is None


def test_too_many_bad_raters_are_no_bad_raters() -> None:
    rows = crowd(np.random.default_rng(1), 300, HONEST)
    wrong = {row["pair_id"]: 3 for row in rows}
    found = _rate(rows, wrong)
    assert all("spammer" in rating.flags for rating in found.values())
    assert excluded(found, RULES) == ([], True)
    assert excluded({}, RULES) == ([], False)


def test_the_later_of_two_equal_raters_is_the_copier() -> None:
    rows = crowd(np.random.default_rng(2), 600, HONEST)
    later = START + timedelta(days=1)
    copied = [row | {"annotator_id": "r99", "vote_id": f"{row['vote_id']}-copy", "updated_at": later}
              for row in rows if row["annotator_id"] == "r04"]
    found = _rate(rows + copied)
    assert {name for name, rating in found.items() if "copier" in rating.flags} == {"r99"}


def test_two_very_good_raters_do_not_copy() -> None:
    found = _rate(crowd(np.random.default_rng(3), 600, [0.99, 0.99, *HONEST], ties=0.0))
    assert not any("copier" in rating.flags for rating in found.values())


def test_leaning_and_hurried_raters() -> None:
    rows = crowd(np.random.default_rng(4), 500, HONEST)
    for row in rows:
        if row["annotator_id"] == "r00":
            row["label"] = row["left_side"]
        if row["annotator_id"] == "r01":
            row["seconds"] = 0.5
    found = _rate(rows)
    assert "left_bias" in found["r00"].flags and found["r00"].left_share == 1.0
    assert found["r01"].flags == ("fast",) and found["r01"].median_seconds == 0.5


def test_nothing_to_measure_is_none() -> None:
    found = _rate([vote("p", "r", "tie", seconds=None, left_side=None)])["r"]
    figures = (found.gold_accuracy, found.agreement, found.left_share, found.median_seconds)
    assert figures == (None, None, None, None) and found.flags == ()


def test_wilson_is_the_published_interval() -> None:
    """Wilson (1927) for 8 of 10; the values are statsmodels' (0.14, proportion_confint, method wilson)."""
    low, high = wilson(np.array([8.0, 0.0]), np.array([10.0, 0.0]))
    assert (low[0], high[0]) == pytest.approx((0.490162, 0.943318), abs=1e-4)
    assert (low[1], high[1]) == (0.0, 1.0)


def _two_tastes(seed: int, raters: int, minority: int, spammers: int = 0) -> list[Row]:
    """Everybody agrees on two pairs of three; on the third the minority takes the other side."""
    rng, rows = np.random.default_rng(seed), []
    for index in range(900):
        for k in rng.choice(raters, 3, replace=False):
            other = index % 3 == 0 and k < minority
            right = rng.random() < (0.5 if k >= raters - spammers else 0.85)
            rows.append(vote(f"p{index:04d}", f"r{k:02d}", "b" if other == right else "a"))
    return rows


def test_a_minority_with_its_own_taste_is_a_camp() -> None:
    votes = ballots(_two_tastes(0, 20, 7))
    camp = camps(votes)
    assert camp.tolist() == [1] * 7 + [0] * 13
    split = split_pairs(votes, camp)
    divided = np.array([int(name[1:]) % 3 == 0 for name in votes.pairs.to_pylist()])
    assert split[divided].mean() > 2 * split[~divided].mean() and split[divided].mean() > 0.4


@pytest.mark.parametrize("seed", range(4))
def test_one_taste_and_spam_are_no_camps(seed: int) -> None:
    for rows in (_two_tastes(seed, 20, 0), _two_tastes(seed, 20, 0, spammers=4)):
        votes = ballots(rows)
        assert not camps(votes).any() and not split_pairs(votes, camps(votes)).any()


def test_raters_who_agree_in_everything_are_one_population() -> None:
    """Nothing is left to divide: the excess of agreement is zero for every couple."""
    votes = ballots([vote(f"p{pair}", f"r{rater}", "a") for pair in range(8) for rater in range(7)])
    assert camps(votes).tolist() == [0] * 7


def test_a_minority_is_not_taken_for_spammers() -> None:
    rows = _two_tastes(5, 20, 6)
    votes = ballots(rows)
    found = rate(votes, camps(votes)[votes.rater], {name: 0 for name in votes.pairs.to_pylist()}, RULES)
    assert not any("spammer" in rating.flags for rating in found.values())
