from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rm import evaluate, instructions, train
from rm.context import Frames
from rm.forms import FORMS, find_form
from rm.model_folder import HEAD_FILE
from rm.reward_model import PairItem, RewardModel, load_reward_model
from tests.rm import world
from tests.rm.conftest import Place
from warehouse.errors import ConfigError, NotFoundError

POINTWISE = ("pointwise", "regressive")


@pytest.fixture(scope="module", params=POINTWISE)
def trained(request: pytest.FixtureRequest, place: Place) -> tuple[str, RewardModel]:
    instructions.run(instructions.InstructionConfig(file=world.CONFIGS / "simulation_pointwise.yaml"), place.warehouse)
    config = train.TrainConfig(name=request.param, base=str(place.base), dataset="bright", version=1, steps=40,
                               form=request.param, instruction_version=1, batch_pairs=8, learning_rate=2e-3,
                               warmup_steps=5, validate_every=10, patience=0)
    receipt = train.run(config, place.warehouse)
    assert receipt.outputs["validation_accuracy"] > 0.8
    return str(receipt.outputs["model_id"]), load_reward_model(place.warehouse, str(receipt.outputs["model_id"]))


def test_losses_by_hand() -> None:
    z, target = torch.tensor([1.0, -0.5]), torch.tensor([0.8, 0.2])
    bt = -(0.8 * math.log(1 / (1 + math.exp(-1.5))) + 0.2 * math.log(1 / (1 + math.exp(1.5))))
    assert FORMS["regressive"].losses(z, target).tolist() == pytest.approx([bt, bt])
    said = torch.nn.functional.binary_cross_entropy_with_logits(z, target, reduction="none")
    assert FORMS["pointwise"].losses(z, target).tolist() == pytest.approx((bt + 0.1 * said).tolist())


@pytest.mark.parametrize("form", POINTWISE)
def test_a_tie_pulls_two_rewards_together(form: str) -> None:
    z = torch.tensor([2.0, -1.0], requires_grad=True)
    FORMS[form].losses(z, torch.tensor([0.5, 0.5])).sum().backward()
    assert z.grad is not None and z.grad[0] > 0 > z.grad[1]
    even = torch.zeros(2, requires_grad=True)
    FORMS[form].losses(even, torch.tensor([0.5, 0.5])).sum().backward()
    assert even.grad is not None and even.grad.tolist() == [0.0, 0.0]


def test_every_form_answers_the_same_question() -> None:
    scores = np.array([1.0, 3.0, 0.0, -2.0], np.float32)
    assert FORMS["pairwise"].both_orders(scores).tolist() == [[1.0, 3.0], [0.0, -2.0]]
    assert FORMS["pointwise"].both_orders(scores).tolist() == [[2.0, -2.0], [-2.0, 2.0]]
    assert FORMS["pointwise"].answered(scores).tolist() == [2.0, -2.0]
    with pytest.raises(ConfigError, match="listwise"):
        find_form("listwise")


def test_a_pointwise_model_learns_and_never_flips(trained: tuple[str, RewardModel], place: Place) -> None:
    model_id, model = trained
    config = evaluate.EvaluateConfig(model_id=model_id, dataset="bright", version=1)
    found = evaluate.run(config, place.warehouse).outputs
    assert found["accuracy"]["ood"]["value"] > 0.6 and found["flip_rate"] == 0.0
    folder = place.warehouse.root / "models" / model_id
    assert (folder / HEAD_FILE).is_file() == (model.card.form == "regressive")


def test_all_ways_to_ask_agree(trained: tuple[str, RewardModel]) -> None:
    _, model = trained
    reference, pixels = world.frames(1), torch.rand(3, 1, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    pixels = (pixels * 255).round() / 255
    candidates = [Frames((each.numpy() * 255).round().astype(np.uint8)) for each in pixels]
    plain = model.score_pairs([PairItem("a red circle", reference, c, "t2i", "overall") for c in candidates])
    group = model.score_group("a red circle", [reference], candidates, "t2i", "overall")
    assert group[0] == pytest.approx(plain, abs=1e-4)
    moving = pixels.clone().requires_grad_()
    rewards = model.reward(["a red circle"] * 3, [reference] * 3, moving, "t2i", "overall")
    assert rewards.detach().numpy() == pytest.approx(plain, abs=1e-4)
    rewards.sum().backward()
    assert moving.grad is not None and all(float(each.abs().sum()) > 0 for each in moving.grad)
    back = model.score_pairs([PairItem("a red circle", c, reference, "t2i", "overall") for c in candidates])
    assert plain + back == pytest.approx(np.ones(3), abs=1e-5)


def test_missing_words_are_named(place: Place, tmp_path: Path) -> None:
    options: dict[str, Any] = {"name": "x", "base": str(place.base), "dataset": "bright", "version": 1}
    with pytest.raises(NotFoundError, match="no pointwise instructions of version 9"):
        train.run(train.TrainConfig(**options, form="pointwise", instruction_version=9), place.warehouse)


def test_pointwise_words_show_one_picture(tmp_path: Path) -> None:
    file = tmp_path / "i.yaml"
    file.write_text("version: 1\nform: pointwise\ntemplates: {t2i: {overall: '{prompt} {image_1} {image_2}'}}\n")
    with pytest.raises(ConfigError, match="pointwise template has each slot once"):
        instructions.read_instructions(file)
