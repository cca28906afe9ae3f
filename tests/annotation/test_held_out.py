"""Each consensus foretells raters it has not seen; on real workers agreement and order are those of other tools."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest

from annotation import held_out
from annotation.agreement import alpha
from annotation.ballots import ballots
from annotation.held_out import HeldOutConfig, log_losses
from benchmarks.real_raters import order, rated, score_counts
from tests.annotation.world import crowd, store_votes, vote
from warehouse import Warehouse
from warehouse.errors import ConfigError


def test_a_consensus_that_knows_its_raters_foretells_better() -> None:
    rows = crowd(np.random.default_rng(0), 300, [0.95] * 5 + [0.5, 0.5], each=4, ties=0.05)
    losses = log_losses(ballots(rows), folds=7)
    assert losses["bradley_terry"].loss < losses["majority"].loss < losses["labels"].loss
    assert losses["dawid_skene"].loss < losses["labels"].loss
    assert all(loss.low <= loss.loss <= loss.high and loss.raters == 7 for loss in losses.values())
    assert len({loss.votes for loss in losses.values()}) == 1


def test_the_labels_loss_by_hand() -> None:
    """One rater left out at a time; the other's votes are 3 a of 4, each label with one more: shares 4/7, 2/7, 1/7."""
    rows = [vote(f"p{index}", rater, "b" if index == 3 else "a") for index in range(4) for rater in ("x", "y")]
    loss = log_losses(ballots(rows), folds=2)["labels"]
    assert loss.loss == pytest.approx(-(3 * np.log(4 / 7) + np.log(2 / 7)) / 4, abs=1e-6) and loss.votes == 8


def test_nothing_to_foretell() -> None:
    assert log_losses(ballots([])) == {}
    assert log_losses(ballots([vote("p", "x", "a")])) == {}
    assert log_losses(ballots([vote("p", "x", "a"), vote("q", "y", "a")])) == {}


def test_the_stage(warehouse: Warehouse) -> None:
    with pytest.raises(ConfigError, match="no votes"):
        held_out.run(HeldOutConfig(), warehouse)
    store_votes(warehouse, crowd(np.random.default_rng(1), 60, [0.9] * 4))
    config = HeldOutConfig(vote_sources=("imported",))
    out = held_out.run(config, warehouse).outputs
    assert set(out["loss"]["overall"]) == set(held_out.METHODS) and out["camps"] == {"overall": 1}
    assert out["best"]["overall"] != "labels" and not held_out.run(config, warehouse).changed


def test_five_real_workers() -> None:
    """Alpha as the krippendorff package has it; the order of the five models is that of their mean scores."""
    rows = rated(20)
    counts = score_counts(rows)
    for level in ("nominal", "ordinal", "interval"):
        expected = krippendorff.alpha(value_counts=counts, value_domain=[1, 2, 3, 4, 5], level_of_measurement=level)
        assert alpha(counts, level, range(1, 6)) == pytest.approx(expected, abs=1e-9)
    strength, mean = order(rows)
    assert sorted(strength, key=lambda name: strength[name]) == sorted(mean, key=lambda name: mean[name])
