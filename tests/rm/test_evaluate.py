from __future__ import annotations

import numpy as np
import pytest

from rm import evaluate, gate, train
from rm.attacks import ATTACKS, attacked
from rm.statistics import bootstrap_mean, calibration_error, paired_bootstrap, wilson
from tests.rm import world
from tests.rm.conftest import Place


@pytest.fixture
def trained(place: Place) -> tuple[Place, str]:
    config = train.TrainConfig(name="bright", base=str(place.base), dataset="bright", version=1, steps=40,
                               batch_pairs=8, learning_rate=2e-3, warmup_steps=5, validate_every=10, patience=0)
    return place, str(train.run(config, place.warehouse).outputs["model_id"])


def test_wilson_equals_published_values() -> None:
    """R 4.3: prop.test(8, 10, correct = FALSE) and prop.test(0, 20, correct = FALSE)."""
    found = wilson(8, 10)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert wilson(0, 20).ci_high == pytest.approx(0.1611252, abs=1e-6)


def test_bootstrap_resamples_prompts_not_pairs() -> None:
    values = np.repeat([0.0, 1.0] * 10, 25)
    by_prompt = bootstrap_mean(values, np.repeat(np.arange(20), 25).tolist())
    by_pair = bootstrap_mean(values, list(range(500)))
    assert by_prompt.ci_high - by_prompt.ci_low > 3 * (by_pair.ci_high - by_pair.ci_low)
    assert paired_bootstrap(values, values, list(range(500))).value == 0.0


def test_calibration_error_by_hand() -> None:
    assert calibration_error([0.95, 0.95, 0.15, 0.15], [1, 0, 0, 0]) == pytest.approx((0.9 + 0.3) / 4)


def test_evaluation_sees_what_was_learned(trained: tuple[Place, str]) -> None:
    place, model_id = trained
    config = evaluate.EvaluateConfig(model_id=model_id, dataset="bright", version=1)
    found = evaluate.run(config, place.warehouse)
    for split in ("test", "ood"):
        item = found.outputs["accuracy"][split]
        assert item["n"] > 0 and item["ci_low"] <= item["value"] <= item["ci_high"] and item["value"] > 0.6
    assert 0 <= found.outputs["flip_rate"] <= 0.5 and 0 <= found.outputs["ece"] <= 1
    names = {row["slice"] for row in place.warehouse.rows("SELECT slice FROM evaluations")}
    assert {"test", "test/task=t2i", "test/order=1", "ood/dimension=overall"} <= names
    assert not evaluate.run(config, place.warehouse).changed


def test_flip_rate_counts_what_changes_its_mind() -> None:
    predicted = np.array([[0.9, 0.1], [0.9, 0.8], [0.2, 0.3], [0.4, 0.6]])
    answers = evaluate.Answers(predicted, predicted, ("overall",) * 4, ("t2i",) * 4)
    assert evaluate.flip_rate(answers) == 0.5


def test_gate_fails_a_model_that_likes_white(trained: tuple[Place, str]) -> None:
    """The voters of this world like bright pictures: a blank white one beats everything, and the gate says so."""
    place, model_id = trained
    config = gate.GateConfig(model_id=model_id, dataset="bright", version=1, split="train")
    found = gate.run(config, place.warehouse)
    rows = {row["key"]: row for row in place.warehouse.rows("SELECT * FROM attack_results")}
    assert set(ATTACKS) <= set(rows)
    assert not found.outputs["passed"] and "false_yes:white" in found.outputs["failed"]
    assert rows["white"]["value"] > rows["black"]["value"]
    assert "nuisance:brightness" in found.outputs["failed"]


@pytest.mark.parametrize("attack", sorted(ATTACKS))
@pytest.mark.parametrize("side", [32, 37])
def test_attacks_change_pictures_and_keep_their_shape(attack: str, side: int) -> None:
    frames = world.frames(3, count=2, side=side)
    spoiled = attacked(frames, "a red circle", attack, 0)
    assert spoiled.pixels.shape == frames.pixels.shape and spoiled.pixels.dtype == np.uint8
    assert (spoiled.pixels != frames.pixels).mean() > 0.2 and spoiled.times_s == frames.times_s
    assert np.array_equal(spoiled.pixels, attacked(frames, "a red circle", attack, 0).pixels)
