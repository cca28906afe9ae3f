"""The committed weights: each card's 20-step trace can be trained again, and they load and are what they say."""

from __future__ import annotations

import json

import pytest
import torch

from simulation.pretrain.models import MODELS
from simulation.pretrain.run import TRACE_STEPS, WEIGHTS, trace


def test_all_models_are_committed() -> None:
    assert {folder.name for folder in WEIGHTS.iterdir() if (folder / "card.json").is_file()} == set(MODELS)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_trace_is_trained_again(name: str) -> None:
    torch.set_num_threads(1)
    card = json.loads((WEIGHTS / name / "card.json").read_text(encoding="utf-8"))
    assert len(card["trace"]) == TRACE_STEPS
    assert trace(MODELS[name]()) == pytest.approx(card["trace"], abs=1e-3)


def test_all_weights_stay_within_forty_megabytes() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*.safetensors")) <= 40e6
