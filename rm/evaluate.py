"""Stage `evaluate-reward-model`: how well a model agrees with the consensus of a dataset version's splits.

Every sample is asked in both orders. Accuracy counts questions whose consensus is no tie, with Wilson intervals; flip
rate is the share of pairs whose two orders name different winners; expected calibration error is against soft labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rm.examples import both_orders
from rm.loader import FrameCache
from rm.reward_model import RewardModel, load_reward_model, sigmoid
from rm.statistics import calibration_error, wilson
from rm.train import dataset_hash
from rm.validation import TIE_MARGIN
from warehouse import Warehouse
from warehouse.hashing import content_id
from warehouse.records import Row
from warehouse.shards import open_split
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_BLOCK = 256


class EvaluateConfig(StageConfig):
    """A model and the splits of a version to judge it on; `limit` samples a split, 0 = all."""

    model_id: str
    dataset: str
    version: int
    splits: tuple[str, ...] = ("test", "ood")
    limit: int = Field(default=0, ge=0)


@dataclass(frozen=True, eq=False)
class Answers:
    """P(image 2 wins) and the wanted one, [N, 2] for both orders of N samples, and what each is about."""

    predicted: NDArray[np.float64]
    wanted: NDArray[np.float64]
    dimensions: tuple[str, ...]
    tasks: tuple[str, ...]

    def rows(self, chosen: NDArray[np.bool_]) -> Answers:
        """The samples where `chosen` [N] holds."""
        index = np.flatnonzero(chosen)
        return Answers(self.predicted[index], self.wanted[index], tuple(self.dimensions[i] for i in index),
                       tuple(self.tasks[i] for i in index))


def ask(warehouse: Warehouse, model: RewardModel, config: EvaluateConfig, split: str) -> Answers:
    """Both orders of every sample of a split."""
    dataset = open_split(warehouse.root, config.dataset, config.version, split)
    count = min(len(dataset), config.limit or len(dataset))
    decode = FrameCache(model.card.max_frames)
    predicted, wanted = np.zeros((count, 2)), np.zeros((count, 2))
    dimensions, tasks = [], []
    for start in range(0, count, _BLOCK):
        samples = [dataset[index] for index in range(start, min(start + _BLOCK, count))]
        examples = [example for sample in samples for example in both_orders(sample, decode, "")]
        span = slice(start, start + len(samples))
        predicted[span] = sigmoid(model.log_odds(examples)).reshape(-1, 2)
        wanted[span] = np.array([example.target for example in examples]).reshape(-1, 2)
        dimensions += [str(sample.facts["dimension"]) for sample in samples]
        tasks += [str(sample.facts["task"]) for sample in samples]
    return Answers(predicted, wanted, tuple(dimensions), tuple(tasks))


def accuracy(answers: Answers) -> dict[str, Any]:
    """Share of decided questions answered as the consensus, {value, n, ci_low, ci_high}; n counts pairs.

    The two orders of a pair are not independent: each pair counts once, half where only one order is right.
    """
    decided = np.abs(answers.wanted[:, 0] - 0.5) > TIE_MARGIN
    right = (answers.predicted > 0.5) == (answers.wanted > 0.5)
    return wilson(float(right[decided].mean(axis=1).sum()), int(decided.sum())).as_json()


def flip_rate(answers: Answers) -> float | None:
    """Share of pairs whose two orders disagree about the winner; None for nothing."""
    if not len(answers.predicted):
        return None
    return float(np.mean((answers.predicted[:, 0] > 0.5) == (answers.predicted[:, 1] > 0.5)))


def slices(split: str, answers: Answers) -> dict[str, dict[str, Any]]:
    """Accuracy of a split as a whole, by dimension, by task, and by order (image 1 = a first)."""
    found = {split: accuracy(answers)}
    for kind, names in (("dimension", answers.dimensions), ("task", answers.tasks)):
        for name in sorted(set(names)):
            found[f"{split}/{kind}={name}"] = accuracy(answers.rows(np.array(names) == name))
    for order in (0, 1):
        decided = np.abs(answers.wanted[:, order] - 0.5) > TIE_MARGIN
        right = ((answers.predicted > 0.5) == (answers.wanted > 0.5))[decided, order]
        found[f"{split}/order={order + 1}"] = wilson(float(right.sum()), len(right)).as_json()
    return found


def run(config: EvaluateConfig, warehouse: Warehouse) -> Receipt:
    """Outputs accuracy {split: interval}, flip_rate, ece, spread, levels; rows in evaluations, slices included."""
    inputs = {"model": config.model_id, "dataset": dataset_hash(warehouse, config.dataset, config.version)}

    def body(recorder: Recorder) -> None:
        model = load_reward_model(warehouse, config.model_id)
        answers = {split: ask(warehouse, model, config, split) for split in config.splits}
        recorder.count("read", sum(len(item.predicted) for item in answers.values()))
        rows = [row for split, item in answers.items() for name, value in slices(split, item).items()
                for row in [_row(config, recorder.run_id, name, value)]]
        warehouse.merge("evaluations", rows, run_id=recorder.run_id)
        recorder.output("accuracy", {split: accuracy(item) for split, item in answers.items()})
        for name, value in _overall(list(answers.values())).items():
            recorder.output(name, value)

    return run_stage("evaluate-reward-model", config, warehouse, inputs, body)


def _overall(answers: Sequence[Answers]) -> dict[str, Any]:
    everything = Answers(np.concatenate([item.predicted for item in answers]),
                         np.concatenate([item.wanted for item in answers]), (), ())
    predicted = everything.predicted.ravel()
    if not len(predicted):
        return {"flip_rate": None, "ece": None, "spread": None, "levels": 0}
    return {"flip_rate": flip_rate(everything), "ece": calibration_error(predicted, everything.wanted.ravel()),
            "spread": float(predicted.std()), "levels": len(np.unique(predicted.round(4)))}


def _row(config: EvaluateConfig, run_id: str, name: str, value: dict[str, Any]) -> Row:
    return {"evaluation_id": content_id("evaluation", run_id, name), "model_id": config.model_id,
            "dataset": f"{config.dataset}@{config.version}", "slice": name, "metric": "accuracy", **value}
