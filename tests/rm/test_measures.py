"""Ties, ceilings and nuisances of a model's answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rm.answers import Answers, ceiling, joined
from rm.measures import (
    accuracy_with_ties,
    annotator_ceiling,
    labels,
    nuisance_correlations,
    slices,
    tie_threshold,
)


def answers(odds: list[float], p_b: list[float], ties: list[float], **changes: Any) -> Answers:
    """Answers whose log-odds that b wins are `odds` in both orders."""
    p, wanted = 1 / (1 + np.exp(-np.array(odds))), np.array(p_b)
    n = len(odds)
    held: dict[str, Any] = {
        "predicted": np.stack([p, 1 - p], 1), "wanted": np.stack([wanted, 1 - wanted], 1), "ties": np.array(ties),
        "ceilings": np.full(n, np.nan), "leads": np.zeros((n, 4)), "dimensions": ("overall",) * n,
        "tasks": ("t2i",) * n,
        "sources": tuple("xy"[i % 2] for i in range(n)), "prompts": tuple(map(str, range(n)))}
    return Answers(**(held | changes))


def test_labels_are_the_largest_share() -> None:
    found = answers([0.0] * 5, [0.9, 0.1, 0.5, 0.5, 0.65], [0.0, 0.1, 0.0, 0.8, 0.5])
    assert labels(found).tolist() == [1, 0, 2, 2, 2]


def test_the_threshold_for_ties_is_the_best_one() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, 60)
    tied = rng.random(60) < np.where(np.abs(odds) < 1, 0.8, 0.1)
    found = answers(odds.tolist(), np.where(tied, 0.5, np.where(odds + rng.normal(0, 1, 60) > 0, 0.9, 0.1)).tolist(),
                    tied.astype(float).tolist())
    chosen = tie_threshold(found)
    tried = [accuracy_with_ties(found, t)["value"] for t in (*np.linspace(0, 8, 2001), chosen)]
    assert chosen is not None and 0.3 < chosen < 2 and tried[-1] == max(tried) > tried[0]
    item = accuracy_with_ties(found, chosen)
    assert item["n"] == 60 and item["ci_low"] < item["value"] < item["ci_high"]


def test_thresholds_at_the_ends() -> None:
    assert tie_threshold(answers([1.0, -1.0], [0.9, 0.1], [0.0, 0.0])) == 0.0
    everything = answers([1.0, -2.0], [0.5, 0.5], [1.0, 1.0])
    assert accuracy_with_ties(everything, tie_threshold(everything))["value"] == 1.0
    nothing = everything.rows(np.zeros(2, bool))
    assert tie_threshold(nothing) is None and accuracy_with_ties(nothing, None)["n"] == 0


@pytest.mark.parametrize("votes, wanted", [((3, 0), 1.0), ((2, 1), 2 / 3 * 0.5), ((1, 1), 0.0), ((4, 1), 0.8)])
def test_a_vote_is_compared_with_the_others_only(votes: tuple[int, int], wanted: float) -> None:
    assert ceiling({"n_a": votes[0], "n_b": votes[1]}) == pytest.approx(wanted)
    assert ceiling({"n_a": votes[1], "n_b": votes[0]}) == pytest.approx(wanted)


def test_ceilings_leave_out_what_has_one_vote() -> None:
    assert np.isnan(ceiling({"n_a": 1, "n_b": 0}))
    found = answers([1.0] * 3, [0.9] * 3, [0.0] * 3, ceilings=np.array([1.0, np.nan, 0.5]))
    assert annotator_ceiling(found) == 0.75
    assert annotator_ceiling(found.rows(np.array([False, True, False]))) is None


def test_nuisances_that_decide_are_seen() -> None:
    odds = [3.0, 2.0, -1.0, -2.0, 0.5]
    leads = np.zeros((5, 4))
    leads[:, 2] = odds
    found = nuisance_correlations(answers(odds, [0.9] * 5, [0.0] * 5, leads=leads))
    assert found == pytest.approx({"brightness": 0.0, "saturation": 0.0, "sharpness": 1.0, "file_size": 0.0})


def test_parts_by_source_and_joining() -> None:
    found = answers([1.0, 1.0, -1.0, 1.0], [0.9, 0.2, 0.1, 0.5], [0.0] * 4)
    parts = slices("test", joined([found, found]))
    assert (parts["test"]["n"], parts["test/source=x"]["value"], parts["test/source=y"]["value"]) == (6, 1.0, 0.0)
    assert parts["test/order=1"]["n"] == 6 and parts["test/margin=close"]["n"] == 0
