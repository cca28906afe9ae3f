"""What cannot be used is refused by an error that names it and says what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rm import evaluate, train
from rm.checkpoint import Checkpoint, save_checkpoint
from rm.families import load_family
from rm.model_folder import CARD_FILE, ModelCard
from rm.processes import there
from rm.reward_model import frames_of, load_reward_model
from rm.verdict import find_verdict
from tests.rm import world
from tests.rm.conftest import Place
from warehouse.errors import ConfigError, CorruptDataError, InvalidInputError, MediaError, TrainingError


def changed(base: Path, folder: Path, **changes: torch.Tensor | None) -> Path:
    """A copy whose weights of these endings are replaced, or taken away."""
    shutil.copytree(base, folder)
    weights = load_file(folder / "model.safetensors")
    for ending, value in changes.items():
        name = next(name for name in weights if name.endswith(ending.replace("__", ".")))
        weights.pop(name)
        if value is not None:
            weights[name] = value
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.checkpoint(tmp_path_factory.mktemp("bad") / "base")


def test_broken_weights_are_named(base: Path, tmp_path: Path) -> None:
    shape = (48,)
    for name, value, message in (("nan", torch.full(shape, float("nan")), "not finite"), ("gone", None, "missing"),
                                 ("other", torch.zeros(7), "do not fit")):
        folder = changed(base, tmp_path / name, language_model__norm__weight=value)
        with pytest.raises(CorruptDataError, match=message):
            load_reward_model(tmp_path, str(folder))


def test_a_checkpoint_of_another_family(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(base, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(ConfigError, match="no family for model type 'bert'"):
        load_family(folder)


def test_a_regressive_model_without_its_head(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "m")
    (tmp_path / "m" / CARD_FILE).write_text(ModelCard(model_id="m", form="regressive").model_dump_json())
    with pytest.raises(CorruptDataError, match="without its head"):
        load_reward_model(tmp_path, str(tmp_path / "m"))


def test_a_gpu_that_is_not_there(base: Path, place: Place) -> None:
    assert there("cpu") == "cpu"
    with pytest.raises(ConfigError, match=r"no device 'cuda:99' here: \d+ GPUs"):
        load_reward_model(base.parent, str(base), "cuda:99")
    with pytest.raises(ConfigError, match="no device 'cuda:99'"):
        train.run(train.TrainConfig(name="gpu", base=str(place.base), dataset="bright", version=1, device="cuda:99"),
                  place.warehouse)


def test_pictures_that_are_none() -> None:
    for data in (b"", b"no picture at all", world.CONFIGS.joinpath("simulation.yaml").read_bytes()):
        with pytest.raises(MediaError):
            frames_of(data)


def test_splits_and_dimensions_without_samples(place: Place) -> None:
    for changes in ({"dimensions": ("motion_quality",)}, {"tasks": ("edit",)}):
        with pytest.raises(InvalidInputError, match="no sample in test, ood of"):
            evaluate.run(evaluate.EvaluateConfig(model_id=str(place.base), dataset="bright", version=1, **changes),
                         place.warehouse)
        with pytest.raises(InvalidInputError, match="no samples to train on"):
            train.run(train.TrainConfig(name="x", base=str(place.base), dataset="bright", version=1, **changes),
                      place.warehouse)


def test_a_checkpoint_of_another_model_is_not_gone_on_with(place: Place) -> None:
    config = train.TrainConfig(name="other", base=str(place.base), dataset="bright", version=1, steps=2, batch_pairs=4,
                               validation_samples=2)
    state = {"samples": [], "at": {}}
    with pytest.raises(TrainingError, match="loss is"):
        train.run(config.model_copy(update={"learning_rate": 1e30, "warmup_steps": 0, "name": "stop here"}),
                  place.warehouse)
    for folder in (place.warehouse.root / "models").glob(".unfinished-*"):
        save_checkpoint(folder, 1, Checkpoint({"w": torch.zeros(1)}, {}, {}, state), {})
        with pytest.raises(TrainingError, match="of another model"):
            train.run(config.model_copy(update={"learning_rate": 1e30, "warmup_steps": 0, "name": "stop here"}),
                      place.warehouse)
        shutil.rmtree(folder)


class Words:
    """A tokenizer of whole words; `shared` are one token."""

    unk_token_id = 0

    def __init__(self, shared: tuple[str, ...], known: tuple[str, ...] = ("yes", "no")) -> None:
        self._shared, self._known = shared, known

    def __call__(self, text: str, add_special_tokens: bool) -> Words:
        word = text.strip().lower()
        self.input_ids = [9] if word in self._shared else [1 + self._known.index(word)] if word in self._known else [0]
        return self


def test_ambiguous_verdicts_are_refused() -> None:
    assert find_verdict(Words(())).yes == (1,)
    with pytest.raises(ConfigError, match="share a token"):
        find_verdict(Words(("yes", "no")))
    with pytest.raises(ConfigError, match="not a single token"):
        find_verdict(Words((), ("yes",)))


def test_scores_are_numbers(base: Path) -> None:
    model = load_reward_model(base.parent, str(base))
    assert np.isfinite(model.score_pairs([])).all()
