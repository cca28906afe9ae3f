"""Stage `train-reward-model`: a dataset version and a base checkpoint -> a reward model with its card and curves.

The model id follows from config, base weights and dataset hash, so an interrupted run finds its own checkpoint and goes
on exactly; a finished folder is not trained again. Rows come last: models, then metrics (run_key = model id).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from rm.examples import ANSWER
from rm.families import load_family
from rm.loader import BatchPlan, FrameCache, PairExamples, training_loader
from rm.model_folder import (
    DEFAULT_MAX_FRAMES,
    ModelCard,
    find_model,
    models_folder,
    read_card,
    save_model,
    weights_digest,
)
from rm.training import Curve, Progress, Schedule, Training, add_adapters
from rm.validation import Validator
from warehouse import Warehouse
from warehouse.errors import NotFoundError
from warehouse.hashing import canonical_json, content_id
from warehouse.shards import open_split
from warehouse.stage import Receipt, Recorder, StageConfig, code_version, run_stage

_CURVE_FILE = "curve.json"


class TrainConfig(StageConfig):
    """`base` is a model id or a checkpoint folder; empty `tasks` and `dimensions` take all; `lora_rank` 0 trains all.

    A step takes `batch_pairs` samples in both orders. Validation sees at most `validation_samples` samples.
    """

    name: str
    base: str = Field(json_schema_extra={"place": True})
    dataset: str
    version: int
    tasks: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    steps: int = Field(default=300, ge=1)
    batch_pairs: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_steps: int = Field(default=20, ge=0)
    rationale_weight: float = Field(default=0.1, ge=0)
    answer: str = ANSWER
    lora_rank: int = Field(default=0, ge=0)
    validate_every: int = Field(default=50, ge=1)
    validation_samples: int = Field(default=256, ge=0)
    patience: int = Field(default=3, ge=0)
    max_frames: int = Field(default=DEFAULT_MAX_FRAMES, ge=1)
    max_pixels: int | None = None
    seed: int = 0
    device: str = Field(default="cpu", json_schema_extra={"place": True})

    def schedule(self) -> Schedule:
        """The numbers that the loop needs."""
        return Schedule(self.steps, self.learning_rate, self.weight_decay, self.warmup_steps, self.rationale_weight,
                        self.validate_every, self.patience)


def dataset_hash(warehouse: Warehouse, name: str, version: int) -> str:
    """Content hash of a version; raises NotFoundError."""
    rows = warehouse.rows("SELECT hash FROM dataset_versions WHERE name = ? AND version = ?", [name, version])
    if not rows:
        raise NotFoundError(f"no dataset {name}@{version}", hint="see: rewarddance dataset list")
    return str(rows[0]["hash"])


def run(config: TrainConfig, warehouse: Warehouse) -> Receipt:
    """Train, or go on, or find the finished model."""
    base = find_model(warehouse, config.base)
    inputs = {"base": weights_digest(base), "dataset": dataset_hash(warehouse, config.dataset, config.version)}
    model_id = content_id("reward model", canonical_json(config.identity()), canonical_json(inputs))

    def body(recorder: Recorder) -> None:
        target = models_folder(warehouse) / model_id
        if not target.is_dir():
            card = ModelCard(model_id=model_id, name=config.name, base_id=read_card(base).model_id,
                             dataset=config.dataset, version=config.version, dataset_hash=inputs["dataset"],
                             instructions=_instructions(config, warehouse), max_frames=config.max_frames)
            _train(config, warehouse.root, base, card, target, recorder.progress)
        _record(config, warehouse, target, recorder)

    return run_stage("train-reward-model", config, warehouse, inputs, body)


def _tasks(config: TrainConfig, instructions: dict[str, dict[str, str]]) -> list[str]:
    return sorted(task for task in instructions if not config.tasks or task in config.tasks)


def _instructions(config: TrainConfig, warehouse: Warehouse) -> dict[str, dict[str, str]]:
    """{task: {dimension: template}} that the version's samples are asked with."""
    rows = warehouse.rows(
        "SELECT DISTINCT s.task, s.dimension, i.template FROM samples s JOIN instructions i "
        "ON i.instruction_id = s.instruction_id WHERE s.name = ? AND s.version = ? ORDER BY ALL",
        [config.dataset, config.version])
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if not config.dimensions or row["dimension"] in config.dimensions:
            found.setdefault(row["task"], {})[row["dimension"]] = row["template"]
    return {task: found[task] for task in _tasks(config, found)}


def _train(config: TrainConfig, root: Path, base: Path, card: ModelCard, target: Path, progress: Progress) -> None:
    torch.manual_seed(config.seed)
    family = load_family(base, config.max_pixels)
    model = family.load_model(base).to(config.device)
    wrapped = add_adapters(model, config.lora_rank) if config.lora_rank else None
    decode = FrameCache(config.max_frames)

    def split(name: str) -> PairExamples:
        parts = [open_split(root, config.dataset, config.version, name, seed=config.seed, tasks=[task],
                            dimensions=config.dimensions) for task in card.instructions]
        return PairExamples(parts, decode, family.end, config.answer)

    train = split("train")
    loader = training_loader(train, BatchPlan(train, config.batch_pairs, config.seed), family)
    unfinished = target.with_name(f".unfinished-{card.model_id}")
    validator = Validator(family, split("validation"), config.validation_samples)
    loop = Training(family, model, config.schedule(), loader, validator, unfinished / "checkpoint.pt")
    at = loop.run(progress)
    metrics = {"best_step": float(at.best_step), "last_step": float(at.step), "validation_loss": at.best_loss,
               "validation_accuracy": at.best_accuracy}
    card.metrics = {name: value for name, value in metrics.items() if value == value}
    save_model(wrapped.merge_and_unload() if wrapped else model, base, card,
               {_CURVE_FILE: json.dumps(at.curve) + "\n"}, target)
    shutil.rmtree(unfinished, ignore_errors=True)


def _record(config: TrainConfig, warehouse: Warehouse, target: Path, recorder: Recorder) -> None:
    card = read_card(target)
    curve: Curve = json.loads((target / _CURVE_FILE).read_text(encoding="utf-8"))
    warehouse.merge("models", [_row(config, card, target)], run_id=recorder.run_id)
    recorder.count("metrics", warehouse.merge("metrics", [
        {"run_key": card.model_id, "step": step, "name": name, "value": value} for step, name, value in curve
    ], run_id=recorder.run_id))
    recorder.count("steps", int(card.metrics["last_step"]))
    recorder.output("model_id", card.model_id)
    recorder.output("path", str(target.relative_to(warehouse.root)))
    recorder.output("best_step", int(card.metrics["best_step"]))
    recorder.output("validation_accuracy", card.metrics.get("validation_accuracy"))


def _row(config: TrainConfig, card: ModelCard, target: Path) -> dict[str, Any]:
    return {
        "model_id": card.model_id, "kind": "reward_model", "name": card.name, "uri": f"models/{card.model_id}",
        "parent_id": card.base_id, "dataset_name": card.dataset, "dataset_version": card.version,
        "dataset_hash": card.dataset_hash, "config_json": canonical_json(config.identity()),
        "metrics_json": canonical_json(card.metrics), "code_version": code_version(), "sha256": weights_digest(target),
    }
