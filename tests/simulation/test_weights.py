"""The committed weights: the beginning of each trace is trained again; two cycles of training go on exactly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from simulation.pretrain import run
from simulation.pretrain.models import MODELS
from simulation.pretrain.run import TRACE_STEPS, WEIGHTS, Recipe, trace, train

_AGAIN = 8


def test_all_models_are_committed() -> None:
    assert {folder.name for folder in WEIGHTS.iterdir() if (folder / "card.json").is_file()} == set(MODELS)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_trace_is_trained_again(name: str) -> None:
    torch.set_num_threads(1)
    card = json.loads((WEIGHTS / name / "card.json").read_text(encoding="utf-8"))
    assert len(card["trace"]) == TRACE_STEPS
    assert trace(MODELS[name](), _AGAIN) == pytest.approx(card["trace"][:_AGAIN], abs=1e-3)


def _line(stop: int = 0) -> Recipe:
    """A straight line learned from six steps and four of a second cycle; it is killed at step `stop`."""
    def loss(model: nn.Module, step: int) -> Tensor:
        if stop and step == stop:
            raise KeyboardInterrupt
        x = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
        found: Tensor = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
        return found

    return Recipe("line", 0, 6, 0.1, 2, lambda: nn.Linear(3, 1), loss, average=0.9, second_cycle=4)


@pytest.mark.parametrize("stop", [3, 6, 7, 9])
def test_a_stopped_training_goes_on_exactly(stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "CHECKPOINT_STEPS", 2)
    whole, card = train(_line(), tmp_path / "whole", log=lambda line: None)
    with pytest.raises(KeyboardInterrupt):
        train(_line(stop), tmp_path / "stopped", log=lambda line: None)
    again, _ = train(_line(), tmp_path / "stopped", log=lambda line: None)
    assert card["steps"] == 10
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())


def test_the_second_cycle_starts_from_the_average_with_a_new_optimiser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                                        ) -> None:
    monkeypatch.setattr(run, "CHECKPOINT_STEPS", 2)
    with pytest.raises(KeyboardInterrupt):
        train(_line(stop=6), tmp_path, log=lambda line: None)
    state = torch.load(tmp_path / "line.pt", weights_only=True)
    model = nn.Linear(3, 1)
    model.load_state_dict(state["averaged"])
    optimiser = run._optimizer(model, _line())
    for step in (6, 7):
        run._step(model, optimiser, _line(), step)
    with pytest.raises(KeyboardInterrupt):
        train(_line(stop=8), tmp_path, log=lambda line: None)
    learned = torch.load(tmp_path / "line.pt", weights_only=True)["model"]
    assert all(torch.equal(value, learned[name]) for name, value in model.state_dict().items())
    assert [run._rate(_line(), step) for step in (5, 6, 7)] == pytest.approx([0.0189, 0.1 / 6, 0.1 / 3], abs=1e-4)


def test_all_weights_stay_within_forty_megabytes() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*.safetensors")) <= 40e6
