"""Checkpoints of an unfinished training: one folder per step, written whole or not at all.

    step-00000050/  learning.safetensors  weights that learn, as they stand
                    best.safetensors      the same weights at the best validation so far
                    average.safetensors   their moving average; empty where none is kept
                    state.pt              optimiser, loader, random state, curve; tensors and plain values only
                    about.json            dataset version, code version, config, parent

Nothing is ever unpickled: weights are safetensors, state.pt is read with weights_only. A folder gets its name by one
rename after everything in it has reached the disk; older ones are removed after that.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from warehouse.errors import CorruptDataError

_STEP = "step-"
_WEIGHTS = ("learning", "best", "average")


@dataclass(frozen=True)
class Checkpoint:
    """What a training goes on from."""

    learning: dict[str, Tensor]
    best: dict[str, Tensor]
    average: dict[str, Tensor]
    state: dict[str, Any]


def newest(folder: Path) -> Path | None:
    """The last whole checkpoint of a run's folder."""
    found = sorted(folder.glob(f"{_STEP}*"))
    return found[-1] if found else None


def save_checkpoint(folder: Path, step: int, checkpoint: Checkpoint, about: Mapping[str, Any]) -> None:
    """Write the checkpoint of a step and forget the older ones."""
    part, target = folder / f".part-{step:08d}", folder / f"{_STEP}{step:08d}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_file(_apart(checkpoint.learning), part / "learning.safetensors")
    save_file(_apart(checkpoint.best), part / "best.safetensors")
    save_file(_apart(checkpoint.average), part / "average.safetensors")
    torch.save(checkpoint.state, part / "state.pt")
    (part / "about.json").write_text(json.dumps({**about, "step": step}, indent=2) + "\n", encoding="utf-8")
    sync(part)
    older = list(folder.glob(f"{_STEP}*"))
    os.replace(part, target)
    for path in older:
        shutil.rmtree(path)


def load_checkpoint(path: Path, device: Any) -> Checkpoint:
    """Read one back; raises CorruptDataError that names the folder."""
    try:
        weights = [load_file(path / f"{name}.safetensors", device=str(device)) for name in _WEIGHTS]
        state = torch.load(path / "state.pt", map_location=device, weights_only=True)
    except Exception as error:
        raise CorruptDataError(f"not a checkpoint: {error}", where=str(path),
                               hint="remove the folder to start the training again") from error
    learning, best, average = weights
    return Checkpoint(learning, best, average, state)


def _apart(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().contiguous() for name, value in weights.items()}


def sync(folder: Path) -> None:
    """Wait until every file of a folder has reached the disk."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
