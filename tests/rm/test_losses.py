from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rm.context import Example, pairwise
from rm.families import load_family
from rm.families.family import Family
from rm.forms import FORMS
from rm.losses import Weights, rationale_loss, totals, training_loss
from tests.rm import world

PAIRWISE = FORMS["pairwise"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Family, Any]:
    folder: Path = world.checkpoint(tmp_path_factory.mktemp("losses") / "base")
    family = load_family(folder)
    return family, family.load_model(folder).eval()


def _example(seed: int, answer: str | None, target: float) -> Example:
    return pairwise(world.TEMPLATE, "a red circle", world.frames(seed), world.frames(seed + 100), target, answer)


def test_soft_targets_by_hand() -> None:
    odds, target = math.log(3.0), 2 / 3
    wanted = -(target * math.log(0.75) + (1 - target) * math.log(0.25))
    assert float(PAIRWISE.losses(torch.tensor([odds]), torch.tensor([target]))) == pytest.approx(wanted)
    # A tie is served best by even odds, whatever the sign of the error.
    losses = PAIRWISE.losses(torch.tensor([-1.0, 0.0, 1.0]), torch.full((3,), 0.5)).tolist()
    assert losses[1] == pytest.approx(math.log(2)) and losses[0] == pytest.approx(losses[2]) and losses[0] > losses[1]


def test_weights_choose_the_examples(loaded: tuple[Family, Any]) -> None:
    family, model = loaded
    pair = [_example(1, None, 1.0), _example(2, None, 0.0)]
    batch = family.encode([replace(pair[0], weight=3.0), replace(pair[1], weight=0.0)])
    with torch.no_grad():
        weighted = float(training_loss(family, model, PAIRWISE, batch, Weights(), totals(batch)))
        alone = family.encode(pair[:1])
        assert weighted == pytest.approx(float(training_loss(family, model, PAIRWISE, alone, Weights(), totals(alone))))


def test_rationale_loss_equals_transformers(loaded: tuple[Family, Any]) -> None:
    """The labels of transformers' own loss, with the verdict masked, give the same number."""
    family, model = loaded
    batch = family.encode([_example(1, "yes warmer and larger<|im_end|>", 1.0), _example(2, None, 0.0),
                           _example(3, "no cleaner<|im_end|>", 0.0)])
    with torch.no_grad():
        states = family.hidden(model, batch)
        labels = batch.labels.clone()
        labels[torch.arange(3), (batch.verdict_index + 1).clamp_max(labels.shape[1] - 1)] = -100
        theirs = model.loss_function(model.lm_head(states), labels, model.config.text_config.vocab_size)
        tokens = int(totals(batch).tokens)
        assert float(rationale_loss(model, states, batch)) / tokens == pytest.approx(float(theirs), rel=1e-5)
    assert (labels >= 0).sum() == tokens == 4 + 2


def test_without_rationales_there_is_no_rationale_loss(loaded: tuple[Family, Any]) -> None:
    family, model = loaded
    batch = family.encode([_example(1, None, 1.0), _example(2, "yes", 0.0)])
    with torch.no_grad():
        states = family.hidden(model, batch)
        assert float(rationale_loss(model, states, batch)) == 0.0
        losses = [float(training_loss(family, model, PAIRWISE, batch, Weights(1.0, weight), totals(batch)))
                  for weight in (0.0, 5.0)]
        assert losses[0] == losses[1]


def test_answers_do_not_move_the_verdict(loaded: tuple[Family, Any]) -> None:
    family, model = loaded
    batches = [family.encode([_example(1, answer, 0.7)]) for answer in (None, "no cooler<|im_end|>")]
    with torch.no_grad():
        losses = [float(training_loss(family, model, PAIRWISE, batch, Weights(), totals(batch))) for batch in batches]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
