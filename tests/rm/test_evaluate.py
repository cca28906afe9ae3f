from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rm import evaluate
from rm.answers import Answers
from rm.measures import compared, flip_rate
from rm.statistics import bootstrap_mean, calibration_error, paired_bootstrap, reliability, wilson
from tests.rm.conftest import Place
from tests.rm.servers import rewards, served
from warehouse.errors import ConfigError


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


def test_somebody_elses_scorer_is_evaluated_beside_ours(trained: tuple[Place, str]) -> None:
    """Over HTTP, by what UniRL's reward service speaks: it knows brightness, which is all that these voters like."""
    place, model_id = trained
    with served(rewards) as url:
        options = {"url": url, "reward": "hpsv3", "metric": "mu"}
        config = evaluate.EvaluateConfig(scorer="rm.scorers.service:RewardService", scorer_options=options,
                                         dataset="bright", version=1, tasks=("t2i",), against=model_id)
        found = evaluate.run(config, place.warehouse).outputs
        assert found["accuracy"]["test"]["value"] == 1.0 and found["flip_rate"] == 0.0
        back = evaluate.EvaluateConfig(model_id=model_id, dataset="bright", version=1, tasks=("t2i",),
                                       against="rm.scorers.service:RewardService", against_options=options)
        assert evaluate.run(back, place.warehouse).outputs["difference"]["test"]["value"] == pytest.approx(
            -found["difference"]["test"]["value"])
    with pytest.raises(ConfigError, match="one scorer"):
        evaluate.run(evaluate.EvaluateConfig(dataset="bright", version=1), place.warehouse)


def answered(predicted: np.ndarray, wanted: np.ndarray, prompts: tuple[str, ...], ties: float = 0.0) -> Answers:
    n, named = len(prompts), {name: ("x",) * len(prompts) for name in ("dimensions", "tasks", "sources")}
    return Answers(predicted, wanted, np.full(n, ties), np.full(n, np.nan), np.zeros((n, 4)), **named, prompts=prompts)


def test_flip_rate_counts_what_changes_its_mind() -> None:
    predicted = np.array([[0.9, 0.1], [0.9, 0.8], [0.2, 0.3], [0.4, 0.6]])
    answers = answered(predicted, predicted, ("p",) * 4)
    assert flip_rate(answers) == 0.5


def test_comparison_counts_prompts_and_sees_a_difference() -> None:
    wanted = np.tile([[0.9, 0.1]], (200, 1))
    wanted[::10] = 0.5
    rng = np.random.default_rng(0)
    prompts = tuple(f"p{index // 4}" for index in range(200))

    def answers(share: float) -> Answers:
        right = rng.random(200) < share
        return answered(np.where(right[:, None], wanted, 1 - wanted), wanted, prompts)

    good, same = answers(0.9), answers(0.6)
    found = compared(good, same)
    assert found.n == 50 and found.ci_low > 0.1 and found.value == pytest.approx(0.3, abs=0.1)
    assert compared(good, good).value == 0.0


def test_reliability_bins_agree_with_the_calibration_error() -> None:
    rng = np.random.default_rng(1)
    predicted, wanted = rng.random(500), rng.random(500)
    bins = reliability(predicted, wanted)
    assert sum(each.n for each in bins) == 500 and all(each.low <= each.predicted <= each.high for each in bins)
    error = sum(each.n * abs(each.predicted - each.wanted) for each in bins) / 500
    assert error == pytest.approx(calibration_error(predicted, wanted))
    assert [each.n for each in reliability([1.0, 1.0], [1, 0])] == [2] and reliability([], []) == []


def test_the_page_holds_every_part(trained: tuple[Place, str], tmp_path: Path) -> None:
    place, model_id = trained
    file = tmp_path / "pages" / "evaluation.html"
    config = evaluate.EvaluateConfig(model_id=model_id, dataset="bright", version=1, against=str(place.base), page=file)
    found = evaluate.run(config, place.warehouse).outputs
    assert found["difference"]["test"]["n"] > 0 and found["reliability"] and found["levels"] > 10
    text = file.read_text()
    for part in ("test/margin=unanimous", "ood/task=t2i", "ood/source=test", "test/order=2", "reliability plot",
                 "Against the other", "test, ties counted", "sharpness"):
        assert part in text
    assert "<script" not in text and "http" not in text and "nan %" not in text
    assert json.loads(file.with_suffix(".json").read_text())["accuracy"] == found["accuracy"]
    file.unlink()
    assert not evaluate.run(config, place.warehouse).changed and file.read_text() == text
