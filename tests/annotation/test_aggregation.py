"""Majority, Dawid-Skene and Bradley-Terry against crowd-kit and choix, and on planted raters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import choix
import numpy as np
import pandas as pd
import pytest
from crowdkit.aggregation import DawidSkene, MajorityVote
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.ballots import Ballots, ballots
from annotation.bradley_terry import BradleyTerry, bradley_terry
from annotation.dawid_skene import dawid_skene
from annotation.majority import majority
from annotation.merging import Merged, Method, merge_votes
from tests.annotation.world import crowd, turned, vote
from warehouse.records import LABELS, Row

# crowd-kit calls what pandas has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:The (inplace|copy) keyword")
DATA = Path(__file__).parent / "data"
SKILLS = [0.9, 0.85, 0.8, 0.8, 0.75, 0.7, 0.65, 0.5]
METHODS: tuple[Method, ...] = ("majority", "dawid_skene", "bradley_terry")


def _figures(merged: Merged) -> tuple[np.ndarray, ...]:
    return merged.p_a, merged.p_tie, merged.reliability, merged.lean


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame([{"task": row["pair_id"], "worker": row["annotator_id"], "label": row["label"]}
                         for row in rows])


def _aligned(frame: pd.DataFrame, votes: Ballots) -> np.ndarray:
    return frame.reindex(index=votes.pairs.to_pylist(), columns=list(LABELS)).fillna(0.0).to_numpy()


def test_majority_is_that_of_crowd_kit() -> None:
    rows = crowd(np.random.default_rng(0), 200, SKILLS)
    expected = MajorityVote().fit(_frame(rows)).probas_
    votes = ballots(rows)
    assert majority(votes.counts()) == pytest.approx(_aligned(expected, votes), abs=1e-12)
    assert np.isnan(majority(np.zeros((1, 4), np.int64))).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_dawid_skene_is_that_of_crowd_kit(seed: int) -> None:
    rows = crowd(np.random.default_rng(seed), 300, SKILLS)
    votes = ballots(rows)
    # Never stopping early: crowd-kit's bound falls once at the start, and it stops there.
    ours = dawid_skene(votes.pair, votes.rater, votes.label, (300, 8, 4), iterations=15, tolerance=-1.0)
    expected = DawidSkene(n_iter=15, tol=-1e9).fit(_frame(rows)).probas_
    assert ours.posterior == pytest.approx(_aligned(expected, votes), abs=1e-6)


def test_dawid_skene_beats_majority_with_unequal_raters() -> None:
    rows = crowd(np.random.default_rng(2), 1000, [0.95, 0.95, 0.5, 0.5, 0.5, 0.45], ties=0.0)
    votes = ballots(rows)
    truth = np.arange(1000) < 500
    right = {method: float(((merge_votes(votes, method).p_a > 0.5) == truth).mean()) for method in METHODS}
    assert right["dawid_skene"] > right["majority"] + 0.1
    assert right["bradley_terry"] > right["majority"] + 0.1


def _plain(data: list[list[int]], items: int) -> BradleyTerry:
    """Every comparison as a vote of one rater that the first one wins, with next to no prior."""
    winner, loser = np.array(data, np.int64).T
    zero = np.zeros(len(data), np.int64)
    return bradley_terry(winner, loser, zero, zero, (items, 1), rate_raters=False, strength_sd=1e4)


@pytest.mark.parametrize("name", ["testcase-pairwise-1", "testcase-pairwise-2"])
def test_strengths_are_choix_golden_values(name: str) -> None:
    case = json.loads((DATA / f"{name}.json").read_text())
    found = _plain(case["data"], case["n_items"]).strength
    assert found - found.mean() == pytest.approx(case["ml_est"], abs=1e-4)


def test_strengths_with_a_prior_are_those_of_choix() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=12)
    data = [(int(i), int(j)) if rng.random() < 1 / (1 + np.exp(truth[j] - truth[i])) else (int(j), int(i))
            for i, j in (rng.choice(12, 2, replace=False) for _ in range(150))]
    # choix subtracts penalty * sum of squares, a normal prior of variance 1 / (2 penalty).
    expected = choix.opt_pairwise(12, data, alpha=0.125)
    winner, loser = np.array(data, np.int64).T
    zero = np.zeros(len(data), np.int64)
    ours = bradley_terry(winner, loser, zero, zero, (12, 1), rate_raters=False, strength_sd=2.0)
    assert ours.strength == pytest.approx(expected, abs=1e-4)


def test_ties_of_one_pair_have_a_closed_form() -> None:
    """With no prior and one pair, Davidson's chances are the shares of the votes."""
    label = np.array([0] * 6 + [1] * 3 + [2] * 2 + [3], np.int64)
    zero = np.zeros(12, np.int64)
    fit = bradley_terry(zero, zero + 1, zero, label, (2, 1), rate_raters=False, strength_sd=1e4)
    assert fit.chances(zero[:1], zero[:1] + 1)[0] == pytest.approx([0.5, 0.25, 0.25], abs=1e-4)


def test_reliabilities_find_coins_and_those_who_turn_answers_round() -> None:
    rows = crowd(np.random.default_rng(4), 600, [0.9, 0.9, 0.9, 0.85, 0.5, 0.1], ties=0.0)
    votes = ballots(rows)
    reliability = merge_votes(votes, "bradley_terry").reliability
    assert reliability[:4].min() > 0.8 and 0.35 < reliability[4] < 0.65 and reliability[5] < 0.25


def test_a_candidate_that_always_won_has_a_finite_strength() -> None:
    votes = ballots([vote("p", f"r{k}", "a") for k in range(3)])
    merged = merge_votes(votes, "bradley_terry")
    assert 0.7 < merged.p_a[0] < 0.99 and merged.p_tie[0] == 0.0


def test_a_lean_is_found_and_taken_off() -> None:
    """Two of six raters take the left one unseen in two of five cases; both take it on a pair of their own."""
    rng = np.random.default_rng(5)
    rows = crowd(rng, 400, [0.85] * 6, ties=0.0)
    for row in rows:
        if row["annotator_id"] in ("r00", "r01") and rng.random() < 0.4:
            row["label"] = row["left_side"]
    rows += [vote("q", f"r0{k}", "a", left_side="a") for k in (0, 1)]
    merged = merge_votes(ballots(rows), "bradley_terry")
    assert merged.lean[:2].min() > 0.8 and np.abs(merged.lean[2:]).max() < 0.4
    no_side = merge_votes(ballots([row | {"left_side": None} for row in rows]), "bradley_terry")
    assert (no_side.lean == 0).all() and 0.5 < merged.p_a[-1] < no_side.p_a[-1] - 0.02


def test_no_votes_at_all() -> None:
    votes = ballots([])
    for method in METHODS:
        assert all(len(figures) == 0 for figures in _figures(merge_votes(votes, method)))


@st.composite
def elections(draw: st.DrawFn) -> list[Row]:
    """Up to 25 votes on up to 6 pairs of up to 4 shared candidates by up to 4 raters."""
    cells = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=25, unique=True))
    couples = [("c0", "c1"), ("c0", "c2"), ("c1", "c2"), ("c0", "c3"), ("c1", "c3"), ("c2", "c3")]
    return [vote(f"p{pair}", f"r{rater}", draw(st.sampled_from(LABELS)), couples[pair]) for pair, rater in cells]


@settings(max_examples=60, deadline=None)
@given(elections(), st.randoms())
def test_the_order_of_votes_changes_nothing(rows, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = rows[:]
    random.shuffle(shuffled)
    for method in METHODS:
        one, other = (_figures(merge_votes(ballots(votes), method)) for votes in (rows, shuffled))
        assert all(np.array_equal(x, y, equal_nan=True) for x, y in zip(one, other, strict=True))


@settings(max_examples=60, deadline=None)
@given(elections())
def test_exchanging_a_and_b_turns_the_chance_round(rows: list[Row]) -> None:
    for method in METHODS:
        found, swapped = merge_votes(ballots(rows), method), merge_votes(ballots(turned(rows)), method)
        assert ((found.p_a >= 0) & (found.p_a <= 1) & (found.p_tie >= 0) & (found.p_tie <= 1)).all()
        assert swapped.p_a == pytest.approx(1.0 - found.p_a, abs=2e-3)
        assert swapped.p_tie == pytest.approx(found.p_tie, abs=2e-3)
        assert swapped.lean == pytest.approx(found.lean, abs=2e-3, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(elections(), st.permutations(range(4)))
def test_renaming_raters_changes_nothing(rows: list[Row], order: list[int]) -> None:
    """Also their order by name, in which they are summed up."""
    renamed = [row | {"annotator_id": f"x{order[int(row['annotator_id'][1:])]}"} for row in rows]
    for method in METHODS:
        found, again = merge_votes(ballots(rows), method), merge_votes(ballots(renamed), method)
        assert again.p_a == pytest.approx(found.p_a, abs=2e-3)
        assert again.p_tie == pytest.approx(found.p_tie, abs=2e-3)
