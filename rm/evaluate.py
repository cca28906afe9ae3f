"""Stage `evaluate-reward-model`: how well a model agrees with the consensus of a dataset version's splits.

Every sample is asked in both orders (answers.py); expected calibration error is against soft labels. With `against`,
a second model answers the same questions and the difference is tested; with `page`, all of it becomes one HTML file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from rm.answers import Answers, accuracy, ask, compared, flip_rate, joined, one_annotator, slices
from rm.evaluation_page import page
from rm.reward_model import RewardModel, load_reward_model
from rm.statistics import calibration_error, reliability
from rm.train import dataset_hash
from warehouse import Warehouse
from warehouse.hashing import content_id
from warehouse.records import Row
from warehouse.shards import open_split
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage


class EvaluateConfig(StageConfig):
    """A model and the splits of a version to judge it on; `limit` samples a split, 0 = all.

    `dimensions` are asked about; empty takes those that the model was trained on (all for a model that was not).
    `against` is a second model, `page` where to write the HTML page.
    """

    model_id: str
    dataset: str
    version: int
    splits: tuple[str, ...] = ("test", "ood")
    dimensions: tuple[str, ...] = ()
    limit: int = Field(default=0, ge=0)
    against: str = ""
    page: Path | None = None


def run(config: EvaluateConfig, warehouse: Warehouse) -> Receipt:
    """Outputs accuracy {split: interval}, flip_rate, ece, spread, levels; rows in evaluations, slices included."""
    inputs = {"model": config.model_id, "dataset": dataset_hash(warehouse, config.dataset, config.version)}

    def body(recorder: Recorder) -> None:
        model = load_reward_model(warehouse, config.model_id)
        dimensions = config.dimensions or _learned(model)
        answers = _asked(warehouse, config, model, dimensions)
        recorder.count("read", sum(len(item.predicted) for item in answers.values()))
        parts = {name: value for split, item in answers.items() for name, value in slices(split, item).items()}
        warehouse.merge("evaluations", [_row(config, name, value) for name, value in parts.items()],
                        run_id=recorder.run_id)
        found = {"accuracy": {split: accuracy(item) for split, item in answers.items()},
                 **_overall(list(answers.values()))}
        if config.against:
            other = _asked(warehouse, config, load_reward_model(warehouse, config.against), dimensions)
            found["difference"] = {split: compared(answers[split], other[split]).as_json() for split in answers}
        for name, value in found.items():
            recorder.output(name, value)
        if config.page:
            config.page.parent.mkdir(parents=True, exist_ok=True)
            config.page.write_text(page(_title(config, model), parts, found), encoding="utf-8")

    return run_stage("evaluate-reward-model", config, warehouse, inputs, body)


def _learned(model: RewardModel) -> tuple[str, ...]:
    """Dimensions that the model was trained on; empty for a pretrained one."""
    return tuple(sorted({dimension for templates in model.card.instructions.values() for dimension in templates}))


def _asked(warehouse: Warehouse, config: EvaluateConfig, model: RewardModel, dimensions: tuple[str, ...]
           ) -> dict[str, Answers]:
    splits = {name: open_split(warehouse.root, config.dataset, config.version, name, dimensions=dimensions)
              for name in config.splits}
    return {name: ask(model, split, config.limit) for name, split in splits.items()}


def _title(config: EvaluateConfig, model: RewardModel) -> str:
    beside = f" against {config.against}" if config.against else ""
    return f"{model.card.name or config.model_id}{beside} on {config.dataset}@{config.version}"


def _overall(answers: list[Answers]) -> dict[str, Any]:
    everything = joined(answers)
    predicted, wanted = everything.predicted.ravel(), everything.wanted.ravel()
    if not len(predicted):
        return {"flip_rate": None, "ece": None, "spread": None, "levels": 0, "one_annotator": None, "reliability": []}
    return {"flip_rate": flip_rate(everything), "ece": calibration_error(predicted, wanted),
            "spread": float(predicted.std()), "levels": len(np.unique(predicted.round(4))),
            "one_annotator": one_annotator(everything),
            "reliability": [vars(each) for each in reliability(predicted, wanted)]}


def _row(config: EvaluateConfig, name: str, value: dict[str, Any]) -> Row:
    dataset = f"{config.dataset}@{config.version}"
    return {"evaluation_id": content_id("evaluation", config.model_id, dataset, config.limit, name),
            "model_id": config.model_id, "dataset": dataset, "slice": name, "metric": "accuracy", **value}
