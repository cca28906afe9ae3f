"""The training loop: AdamW with warm-up and cosine decay, validation with early stop, checkpoints that resume exactly.

A checkpoint holds weights that learn, optimiser, torch's random state, the loader's place, the curve so far and the
best weights; it is written under a temporary name and renamed. Left out on purpose: rows and folders (train.py).
Full training or low-rank adapters (Hu et al., arXiv 2106.09685) through peft; adapters are merged at the end.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rm.families.qwen3_vl import Qwen3VL
from rm.losses import training_loss
from rm.validation import Validator
from warehouse.errors import TrainingError

Curve = list[tuple[int, str, float]]
Progress = Callable[[int, int, str], None]
_ADAPTED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Schedule:
    """Numbers of the loop; `patience` counts validations without a better loss, 0 = never stop early."""

    steps: int
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    rationale_weight: float
    validate_every: int
    patience: int

    def rate(self, step: int) -> float:
        """Learning rate of step 1 .. steps: linear warm-up, then cosine to a tenth."""
        if step <= self.warmup_steps:
            return self.learning_rate * step / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


@dataclass
class Progressing:
    """What changes while training, apart from weights and optimiser."""

    step: int = 0
    curve: Curve = field(default_factory=list)
    best_step: int = 0
    best_loss: float = math.inf
    best_accuracy: float = math.nan
    waited: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)


def add_adapters(model: Any, rank: int) -> Any:
    """Low-rank adapters on the language model's projections; returns peft's wrapper, the model is changed in place."""
    from peft import LoraConfig, get_peft_model

    pattern = rf".*language_model.*\.({'|'.join(_ADAPTED)})"
    return get_peft_model(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=pattern))


class Training:
    """One run over a loader, resumable from `checkpoint`; `model` learns in place."""

    def __init__(self, family: Qwen3VL, model: Any, schedule: Schedule, loader: Any, validator: Validator,
                 checkpoint: Path) -> None:
        self.family, self.model, self.schedule = family, model, schedule
        self.loader, self.validator, self.checkpoint = loader, validator, checkpoint
        self.learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimiser = torch.optim.AdamW(self.learning.values(), lr=schedule.learning_rate,
                                           weight_decay=schedule.weight_decay, betas=(0.9, 0.99))
        self.at = Progressing()

    def run(self, progress: Progress) -> Progressing:
        """Train to the last step or until validation stops it; the best weights are in the model afterwards."""
        if self.checkpoint.is_file():
            self._resume()
        else:
            self._validate()
        batches = iter(self.loader)
        self.model.train()
        while self.at.step < self.schedule.steps and not self._waited_long():
            self._step(next(batches))
            progress(self.at.step, self.schedule.steps, f"loss {self.at.curve[-1][2]:.3f}")
            if self.at.step % self.schedule.validate_every == 0 or self.at.step == self.schedule.steps:
                self._validate()
                self._save()
        self._put(self.at.best)
        self.model.eval()
        return self.at

    def _waited_long(self) -> bool:
        return 0 < self.schedule.patience <= self.at.waited

    def _step(self, batch: Any) -> None:
        self.at.step += 1
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate(self.at.step)
        loss, _ = training_loss(self.family, self.model, batch, self.schedule.rationale_weight)
        if not bool(torch.isfinite(loss)):
            raise TrainingError(f"the loss is {loss.item()} at step {self.at.step}", where=str(self.checkpoint),
                                hint="the last checkpoint is kept; lower learning_rate")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.learning.values(), 1.0)
        self.optimiser.step()
        self.at.curve.append((self.at.step, "train/loss", loss.item()))

    def _validate(self) -> None:
        self.model.eval()
        loss, accuracy, n = self.validator(self.model)
        self.model.train()
        if n:
            self.at.curve += [(self.at.step, "validation/loss", loss), (self.at.step, "validation/accuracy", accuracy)]
        if n and loss >= self.at.best_loss:
            self.at.waited += 1
            return
        # Without a validation split the last weights are the best known.
        self.at.best_step, self.at.best_loss, self.at.best_accuracy, self.at.waited = self.at.step, loss, accuracy, 0
        self.at.best = {name: p.detach().clone() for name, p in self.learning.items()}

    def _put(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.learning.items():
                parameter.copy_(values[name])

    def _save(self) -> None:
        state = {"at": vars(self.at), "now": {name: p.detach() for name, p in self.learning.items()},
                 "optimiser": self.optimiser.state_dict(), "loader": self.loader.state_dict(),
                 "random": torch.get_rng_state(), "samples": self._fingerprints()}
        part = self.checkpoint.with_suffix(".part")
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self.checkpoint)

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.model.device, weights_only=True)
        if state["samples"] != self._fingerprints():
            raise TrainingError("the checkpoint was trained on other samples", where=str(self.checkpoint),
                                hint="remove it to start again")
        self.at = Progressing(**state["at"])
        self._put(state["now"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.loader.load_state_dict(state["loader"])
        torch.set_rng_state(state["random"].cpu())

    def _fingerprints(self) -> list[str]:
        return [part.fingerprint() for part in self.loader.dataset.parts]
