"""Stage `evaluate-reward-model`: how well a model agrees with the consensus of a dataset version's splits.

Every sample is asked in both orders (answers.py), what is read off is in measures.py. With `against`, a second model
answers the same questions and the difference is tested. With `page`, all of it becomes one HTML file and one of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from rm.answers import Answers, ask, joined
from rm.evaluation_page import page
from rm.measures import (
    accuracy,
    accuracy_with_ties,
    annotator_ceiling,
    compared,
    flip_rate,
    nuisance_correlations,
    slices,
    tie_threshold,
)
from rm.reward_model import RewardModel
from rm.scorers import Scorer
from rm.scorers.named import named_scorer
from rm.statistics import calibration_error, reliability
from rm.train import dataset_hash
from warehouse import Warehouse
from warehouse.errors import InvalidInputError
from warehouse.hashing import canonical_json, content_id
from warehouse.records import Row
from warehouse.shards import ShardDataset, open_split
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_NUMBERS = ("flip_rate", "ece", "spread", "levels", "annotator_ceiling", "tie_threshold")


class EvaluateConfig(StageConfig):
    """A model and the splits of a version to judge it on; `limit` samples a split, 0 = all; empty `tasks` take all.

    Instead of a model of ours `scorer` may name somebody else's (rm/scorers), with its options; so may `against`, as
    `module:Class` with `against_options`. `dimensions` are asked about; empty takes those that the model was trained on
    (all for a model that was not). `tie_split` is where the threshold for ties is chosen, `against` a second model,
    `page` where to write the HTML page, with the same in JSON beside it.
    """

    model_id: str = ""
    scorer: str = ""
    scorer_options: dict[str, Any] = Field(default_factory=dict)
    dataset: str
    version: int
    splits: tuple[str, ...] = Field(default=("test", "ood"), min_length=1)
    tasks: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    tie_split: str = "validation"
    limit: int = Field(default=0, ge=0)
    against: str = ""
    against_options: dict[str, Any] = Field(default_factory=dict)
    page: Path | None = Field(default=None, json_schema_extra={"place": True})


def run(config: EvaluateConfig, warehouse: Warehouse) -> Receipt:
    """Outputs: accuracy and accuracy_with_ties {split: interval}, parts, and numbers over all; rows in evaluations.

    Raises InvalidInputError where no split has a sample to ask.
    """
    model = named_scorer(warehouse, config.model_id, config.scorer, config.scorer_options)
    inputs = {"model": model.model_id, "dataset": dataset_hash(warehouse, config.dataset, config.version)}

    def body(recorder: Recorder) -> None:
        asked = config.model_copy(update={"dimensions": config.dimensions or _learned(model)})
        answers = _asked(warehouse, asked, model, config.splits)
        recorder.count("read", sum(len(item.predicted) for item in answers.values()))
        found = _found(answers, _tie_threshold(warehouse, asked, model))
        if config.against:
            theirs = ("", config.against) if ":" in config.against else (config.against, "")
            other = _asked(warehouse, asked, named_scorer(warehouse, *theirs, config.against_options), config.splits)
            found["difference"] = {split: compared(answers[split], other[split]).as_json() for split in answers}
        rows = [_row(config, model.model_id, *row) for row in _measured(found)]
        warehouse.merge("evaluations", rows, run_id=recorder.run_id)
        recorder.output("title", _title(config, model))
        for name, value in found.items():
            recorder.output(name, value)

    receipt = run_stage("evaluate-reward-model", config, warehouse, inputs, body)
    if config.page:
        _write(config.page, receipt.outputs)
    return receipt


def _learned(model: Scorer) -> tuple[str, ...]:
    """Dimensions that the model was trained on; empty for a pretrained one and for somebody else's."""
    if not isinstance(model, RewardModel):
        return ()
    return tuple(sorted({dimension for templates in model.card.instructions.values() for dimension in templates}))


def _write(path: Path, outputs: Mapping[str, Any]) -> None:
    # A stored receipt has its keys in order: the first run writes the same page.
    found = json.loads(canonical_json(dict(outputs)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(str(found["title"]), found), encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _split(warehouse: Warehouse, config: EvaluateConfig, split: str) -> ShardDataset:
    return open_split(warehouse.root, config.dataset, config.version, split, tasks=config.tasks,
                      dimensions=config.dimensions)


def _asked(warehouse: Warehouse, config: EvaluateConfig, model: Scorer,
           splits: tuple[str, ...]) -> dict[str, Answers]:
    opened = {split: _split(warehouse, config, split) for split in splits}
    if not any(len(dataset) for dataset in opened.values()):
        kept = ", ".join((*config.tasks, *config.dimensions))
        raise InvalidInputError(f"no sample in {', '.join(splits)}{f' of {kept}' if kept else ''}",
                                where=f"{config.dataset}@{config.version}",
                                hint="see what it has: rewarddance dataset show")
    return {split: ask(model, dataset, config.limit) for split, dataset in opened.items()}


def _tie_threshold(warehouse: Warehouse, config: EvaluateConfig, model: Scorer) -> float | None:
    """Chosen on another split, so that it is no merit of the splits that are judged; None where that one is empty."""
    return tie_threshold(ask(model, _split(warehouse, config, config.tie_split), config.limit))


def _title(config: EvaluateConfig, model: Scorer) -> str:
    beside = f" against {config.against}" if config.against else ""
    name = model.card.name if isinstance(model, RewardModel) else ""
    return f"{name or config.model_id or model.model_id}{beside} on {config.dataset}@{config.version}"


def _found(answers: Mapping[str, Answers], threshold: float | None) -> dict[str, Any]:
    everything = joined(list(answers.values()))
    predicted, wanted = everything.predicted.ravel(), everything.wanted.ravel()
    return {"accuracy": {split: accuracy(item) for split, item in answers.items()},
            "accuracy_with_ties": {split: accuracy_with_ties(item, threshold) for split, item in answers.items()},
            "tie_threshold": threshold, "flip_rate": flip_rate(everything),
            "ece": calibration_error(predicted, wanted), "spread": float(predicted.std()),
            "levels": len(np.unique(predicted.round(4))), "annotator_ceiling": annotator_ceiling(everything),
            "nuisances": nuisance_correlations(everything),
            "reliability": [vars(each) for each in reliability(predicted, wanted)],
            "parts": {name: value for split, item in answers.items() for name, value in slices(split, item).items()}}


def _measured(found: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(slice, metric, value and interval) of all that was found."""
    rows = [(part, "accuracy", value) for part, value in found["parts"].items()]
    rows += [(split, "accuracy_with_ties", value) for split, value in found["accuracy_with_ties"].items()]
    n = sum(value["n"] for value in found["accuracy"].values())
    alone = {**{name: found[name] for name in _NUMBERS},
             **{f"nuisance_{name}": value for name, value in found["nuisances"].items()}}
    return rows + [("all", name, {"value": value, "n": n, "ci_low": None, "ci_high": None})
                   for name, value in alone.items() if value is not None]


def _row(config: EvaluateConfig, model_id: str, part: str, metric: str, value: dict[str, Any]) -> Row:
    dataset = f"{config.dataset}@{config.version}"
    # What is said over all splits depends on which they are; a split's own numbers do not.
    asked = (*config.tasks, *config.dimensions, *(config.splits if part == "all" else ()))
    return {"evaluation_id": content_id("evaluation", model_id, dataset, config.limit, *asked, part, metric),
            "model_id": model_id, "dataset": dataset, "slice": part, "metric": metric, **value}
