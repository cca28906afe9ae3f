"""Stage `train-reward-model`: a dataset version and a base checkpoint -> a reward model with its card and curves.

The model id follows from config, base weights and dataset hash, so an interrupted run finds its own checkpoint and goes
on exactly; a finished folder is not trained again. Rows come last: models, then metrics (run_key = model id).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rm.forms import find_form
from rm.model_folder import ModelCard, find_model, models_folder, read_card, weights_digest
from rm.run_training import CURVE_FILE, TrainingJob, start
from rm.training import Curve
from rm.training_config import TrainConfig
from warehouse import Warehouse
from warehouse.errors import NotFoundError
from warehouse.hashing import canonical_json, content_id
from warehouse.stage import Receipt, Recorder, code_version, run_stage

__all__ = ["TrainConfig", "dataset_hash", "run"]


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
                             form=config.form, dataset=config.dataset, version=config.version,
                             dataset_hash=inputs["dataset"],
                             instructions=_instructions(config, warehouse), max_frames=config.max_frames,
                             rationale=config.rationale if config.form == "pairwise" else "none",
                             reason_tokens=config.reason_tokens, references=config.references,
                             code_version=code_version(), config=config.identity())
            start(TrainingJob(config=config, root=warehouse.root, base=base, card=card, target=target),
                  recorder.progress)
        _record(warehouse, target, recorder)

    return run_stage("train-reward-model", config, warehouse, inputs, body)


def _tasks(config: TrainConfig, instructions: dict[str, dict[str, str]]) -> list[str]:
    return sorted(task for task in instructions if not config.tasks or task in config.tasks)


def _instructions(config: TrainConfig, warehouse: Warehouse) -> dict[str, dict[str, str]]:
    """{task: {dimension: template}} that the version's samples are asked with; raises NotFoundError for none."""
    own = "i.instruction_id = s.instruction_id"
    other = "i.task = s.task AND i.dimension = s.dimension AND i.form = ? AND i.version = ?"
    form = find_form(config.form)
    chosen: list[Any] = [] if form.asks_pairs else [form.instruction_form, config.instruction_version]
    rows = warehouse.rows(
        f"SELECT DISTINCT s.task, s.dimension, i.template FROM samples s JOIN instructions i ON "
        f"{own if form.asks_pairs else other} WHERE s.name = ? AND s.version = ? ORDER BY ALL",
        [*chosen, config.dataset, config.version])
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if not config.dimensions or row["dimension"] in config.dimensions:
            found.setdefault(row["task"], {})[row["dimension"]] = row["template"]
    if not found and not form.asks_pairs:
        raise NotFoundError(f"no pointwise instructions of version {config.instruction_version} for this dataset",
                            hint="write them with rm.instructions, and set instruction_version")
    return {task: found[task] for task in _tasks(config, found)}


def _record(warehouse: Warehouse, target: Path, recorder: Recorder) -> None:
    card = read_card(target)
    curve: Curve = json.loads((target / CURVE_FILE).read_text(encoding="utf-8"))
    warehouse.merge("models", [_row(card, target)], run_id=recorder.run_id)
    recorder.count("metrics", warehouse.merge("metrics", [
        {"run_key": card.model_id, "step": step, "name": name, "value": value} for step, name, value in curve
    ], run_id=recorder.run_id))
    recorder.count("steps", int(card.metrics["last_step"]))
    recorder.output("model_id", card.model_id)
    recorder.output("path", str(target.relative_to(warehouse.root)))
    recorder.output("best_step", int(card.metrics["best_step"]))
    recorder.output("validation_accuracy", card.metrics.get("validation_accuracy"))


def _row(card: ModelCard, target: Path) -> dict[str, Any]:
    return {
        "model_id": card.model_id, "kind": "reward_model", "name": card.name, "uri": f"models/{card.model_id}",
        "parent_id": card.base_id, "dataset_name": card.dataset, "dataset_version": card.version,
        "dataset_hash": card.dataset_hash, "config_json": canonical_json(card.config),
        "metrics_json": canonical_json(card.metrics), "code_version": card.code_version,
        "sha256": weights_digest(target),
    }
