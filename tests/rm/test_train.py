from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rm import train
from rm.model_folder import weights_digest
from rm.reward_model import load_reward_model
from tests.rm.conftest import Place
from warehouse.errors import NotFoundError
from warehouse.stage import Receipt

CHILD = """
import json, sys, torch
from rm import train
from warehouse import open_warehouse
torch.set_num_threads(1)
with open_warehouse(sys.argv[1]) as warehouse:
    train.run(train.TrainConfig(**json.loads(sys.argv[2])), warehouse)
"""


def config(place: Place, **changes: object) -> train.TrainConfig:
    values = {"name": "bright", "base": str(place.base), "dataset": "bright", "version": 1, "steps": 30,
              "batch_pairs": 8, "learning_rate": 2e-3, "warmup_steps": 5, "validate_every": 5, "patience": 0}
    return train.TrainConfig(**(values | changes))


def curve(place: Place, receipt: Receipt) -> list[tuple[int, str, float]]:
    rows = place.warehouse.rows("SELECT step, name, value FROM metrics WHERE run_key = ? ORDER BY step, name",
                                [receipt.outputs["model_id"]])
    return [(row["step"], row["name"], row["value"]) for row in rows]


def test_training_learns_what_voters_like(place: Place) -> None:
    receipt = train.run(config(place), place.warehouse)
    losses = [value for _, name, value in curve(place, receipt) if name == "validation/loss"]
    assert min(losses) < losses[0] - 0.05
    assert receipt.outputs["validation_accuracy"] > 0.8 and receipt.outputs["best_step"] > 0
    assert not train.run(config(place), place.warehouse).changed
    row = place.warehouse.rows("SELECT * FROM models")[0]
    folder = place.warehouse.root / row["uri"]
    assert row["kind"] == "reward_model" and row["sha256"] == weights_digest(folder)
    card = json.loads((folder / "rm.json").read_text())
    assert card["dataset"] == "bright" and card["instructions"]["t2v"]["overall"].startswith("overall quality")
    assert load_reward_model(place.warehouse, receipt.outputs["model_id"]).model_id == receipt.outputs["model_id"]


def test_kill_and_same_command_continue_bit_for_bit(place: Place, tmp_path: Path, template_root: Path) -> None:
    undisturbed = train.run(config(place), place.warehouse)
    other = tmp_path / "other"
    subprocess.run(["cp", "-r", str(template_root / "warehouse"), str(other)], check=True)
    options = config(place).model_dump_json()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(other), options], env=environment)
    models = other / "models"
    deadline = time.monotonic() + 120
    while not list(models.glob(".unfinished-*/checkpoint.pt")):
        assert child.poll() is None and time.monotonic() < deadline, "no checkpoint before the end"
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not list(models.glob("[!.]*")), "killed too late to say anything"
    from warehouse import open_warehouse

    with open_warehouse(str(other)) as warehouse:
        resumed = train.run(config(place), warehouse)
        assert resumed.outputs == undisturbed.outputs
        assert curve(Place(warehouse, place.base), resumed) == curve(place, undisturbed)
        paths = [root / "models" / resumed.outputs["model_id"] for root in (warehouse.root, place.warehouse.root)]
        assert weights_digest(paths[0]) == weights_digest(paths[1])
    assert not list(models.glob(".*"))


def test_adapters_train_little_and_are_merged(place: Place) -> None:
    receipt = train.run(config(place, lora_rank=4, steps=10, learning_rate=5e-3), place.warehouse)
    folder = place.warehouse.root / receipt.outputs["path"]
    assert not list(folder.glob("adapter*"))
    losses = [value for _, name, value in curve(place, receipt) if name == "validation/loss"]
    assert min(losses) < losses[0]
    load_reward_model(place.warehouse, receipt.outputs["model_id"])


def test_early_stop_keeps_the_best(place: Place) -> None:
    receipt = train.run(config(place, learning_rate=0.3, warmup_steps=0, steps=40, validate_every=2, patience=2),
                        place.warehouse)
    assert receipt.counts["steps"] < 40
    losses = {step: value for step, name, value in curve(place, receipt) if name == "validation/loss"}
    assert receipt.outputs["best_step"] == min(losses, key=lambda step: losses[step])


def test_unknown_names(place: Place) -> None:
    with pytest.raises(NotFoundError, match="no dataset"):
        train.run(config(place, version=7), place.warehouse)
    with pytest.raises(NotFoundError, match="no model"):
        train.run(config(place, base="nowhere"), place.warehouse)
