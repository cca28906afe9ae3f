"""The training loop: AdamW with warm-up and cosine decay, validation with early stop, checkpoints that resume exactly.

Full training or low-rank adapters (Hu et al., arXiv 2106.09685) through peft; adapters are merged at the end. In
several processes each takes its share of every batch, and the run equals that of one process up to rounding; the
weights are whole in each, or sharded over all (sharding.py).
Left out on purpose: files of checkpoints (checkpoint.py), rows and folders of models (train.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rm.checkpoint import Checkpoint, load_checkpoint, newest, save_checkpoint
from rm.families.family import Family, PictureFeatures
from rm.features import FeatureCache
from rm.forms import Form
from rm.losses import Totals, Weights, totals, training_loss
from rm.processes import Processes
from rm.sharding import as_sharded, load_optimiser, optimiser_state, shard, whole
from rm.trackers import Tracker
from rm.validation import Validator
from warehouse.errors import TrainingError

Curve = list[tuple[int, str, float]]
Progress = Callable[[int, int, str], None]
_ADAPTED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Schedule:
    """Numbers of the loop; `patience` counts validations without a better loss, 0 = never stop early.

    `ema` is the decay of the average of the weights, reached over the first steps; 0 keeps none.
    """

    steps: int
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    weights: Weights
    validate_every: int
    patience: int
    accumulate: int = 1
    precision: str = "float32"
    ema: float = 0.0

    def decay(self, step: int) -> float:
        """Share of the old average that step 1 .. steps keeps; small at first, when the start counts for nothing."""
        return min(self.ema, (1 + step) / (10 + step))

    def rate(self, step: int) -> float:
        """Learning rate of step 1 .. steps: linear warm-up, then cosine to a tenth."""
        if step <= self.warmup_steps:
            return self.learning_rate * step / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


@dataclass
class Progressing:
    """What changes while training, apart from weights and optimiser; plain values only."""

    step: int = 0
    curve: Curve = field(default_factory=list)
    best_step: int = 0
    best_loss: float = math.inf
    best_accuracy: float = math.nan
    waited: int = 0


def add_adapters(model: Any, rank: int) -> Any:
    """Low-rank adapters on the language model's projections; returns peft's wrapper, the model is changed in place."""
    from peft import LoraConfig, get_peft_model

    pattern = rf".*language_model.*\.({'|'.join(_ADAPTED)})"
    return get_peft_model(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=pattern))


class _Loss(nn.Module):
    """The loss as a module, so that gradients are averaged and sharded weights gathered around it."""

    def __init__(self, family: Family, model: Any, form: Form, schedule: Schedule) -> None:
        super().__init__()
        self.model = model
        self._family, self._form, self._schedule = family, form, schedule

    def forward(self, batch: Any, over: Totals | None, features: list[PictureFeatures] | None) -> Tensor:
        """The loss of a batch, or without `over` the form's scores [B] of it."""
        if over is None:
            return self._form.read(self._family, self.model, self._family.verdict_states(self.model, batch, features))
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self._schedule.precision == "bf16"):
            return training_loss(self._family, self.model, self._form, batch, self._schedule.weights, over, features)


class Training:
    """One run over a loader, resumable from the checkpoints of `folder`; `model` learns in place."""

    def __init__(self, family: Family, model: Any, schedule: Schedule, loader: Any, validator: Validator, folder: Path,
                 about: Mapping[str, Any], processes: Processes, trackers: Sequence[Tracker] = ()) -> None:
        self.model, self.schedule, self.processes, self.trackers = model, schedule, processes, trackers
        self.loader, self.validator, self.folder, self.about = loader, validator, folder, about
        self._module = _Loss(family, model, loader.dataset.asking.form, schedule)
        if processes.sharded:
            shard(self._module, model, family)
        self.learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimiser = torch.optim.AdamW(self.learning.values(), lr=schedule.learning_rate,
                                           weight_decay=schedule.weight_decay, betas=(0.9, 0.99))
        moving = any(parameter.requires_grad for parameter in family.vision_parameters(model))
        self.features = None if moving else FeatureCache(family, model, alone=True)
        self.loss = processes.wrapped(self._module)
        self.at, self.best = Progressing(), self._weights()
        self.average = self._weights() if schedule.ema else {}
        self._last_loss = math.nan

    def run(self, progress: Progress) -> Progressing:
        """Train to the last step or until validation stops it; the best weights are in the model afterwards."""
        found = newest(self.folder)
        if found:
            self._resume(found)
        else:
            self._validate()
        batches, clock, first = iter(self.loader), time.perf_counter(), self.at.step
        self.model.train()
        while self.at.step < self.schedule.steps and not self._waited_long():
            self._step(batches)
            progress(self.at.step, self.schedule.steps, self._said(self.at.step - first, time.perf_counter() - clock))
            if self.at.step % self.schedule.validate_every == 0 or self.at.step == self.schedule.steps:
                self._validate()
                self._save()
        self._put(self.best)
        self.model.eval()
        return self.at

    def _said(self, steps: int, seconds: float) -> str:
        """What the progress bar shows: loss, accuracy of the last validation, samples a second."""
        pairs = steps * self.schedule.accumulate * self.loader.batch_sampler.pairs
        seen = [value for _, name, value in reversed(self.at.curve) if name == "validation/accuracy"][:1]
        accuracy = f", accuracy {seen[0]:.3f}" if seen else ""
        return f"loss {self._last_loss:.3f}{accuracy}, {pairs / seconds:.1f} samples/s"

    def _waited_long(self) -> bool:
        return 0 < self.schedule.patience <= self.at.waited

    def _step(self, batches: Any) -> None:
        self.at.step += 1
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate(self.at.step)
        self.optimiser.zero_grad(set_to_none=True)
        loss = sum(self._learn_from(next(batches)) for _ in range(self.schedule.accumulate))
        if not math.isfinite(loss):
            raise self._lost("loss", loss)
        nn.utils.clip_grad_norm_(self.learning.values(), 1.0)
        self.optimiser.step()
        self._keep_average()
        self._last_loss = loss
        self._put_down("train/loss", loss)

    def _put_down(self, name: str, value: float) -> None:
        self.at.curve.append((self.at.step, name, value))
        for tracker in self.trackers:
            tracker(self.at.step, name, value)

    def _keep_average(self) -> None:
        decay = self.schedule.decay(self.at.step)
        with torch.no_grad():
            for name, kept in self.average.items():
                kept.lerp_(self.learning[name], 1.0 - decay)

    def _lost(self, name: str, value: float) -> TrainingError:
        return TrainingError(f"the {name} is {value} at step {self.at.step}", where=str(self.folder),
                             hint="the last checkpoint is kept; lower learning_rate")

    def _learn_from(self, batch: Any) -> float:
        """Add one batch's gradient; its loss over all processes."""
        own, device = totals(batch), self.model.device
        over = Totals(*(self.processes.total(value.to(device)) for value in (own.weight, own.tokens)))
        loss = self.loss(batch, over, self.features(batch) if self.features else None) / self.schedule.accumulate
        # Gradients are averaged over processes, while the parts of the loss must add up.
        (loss * self.processes.world).backward()
        return float(self.processes.total(loss))

    def _validate(self) -> None:
        """In the first process only, which tells the others what to do next; in all where each holds but a part."""
        if self.processes.first or self.processes.sharded:
            self.model.eval()
            with self._averaged(), torch.no_grad():
                loss, accuracy, n = self.validator(lambda batch: self._module(
                    batch, None, self.features(batch) if self.features else None))
            self.model.train()
            self._note(loss, accuracy, n)
        self.at = self.processes.agreed(self.at)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The average of the weights in the model, where one is kept."""
        now = self._weights() if self.average else {}
        self._put(self.average)
        yield
        self._put(now)

    def _note(self, loss: float, accuracy: float, n: int) -> None:
        if n and not math.isfinite(loss):
            raise self._lost("validation loss", loss)
        if n:
            self._put_down("validation/loss", loss)
            self._put_down("validation/accuracy", accuracy)
        if n and loss >= self.at.best_loss:
            self.at.waited += 1
            return
        # Without a validation split the last weights are the best known.
        self.at.best_step, self.at.best_loss, self.at.best_accuracy, self.at.waited = self.at.step, loss, accuracy, 0
        self.best = {name: kept.clone() for name, kept in self.average.items()} or self._weights()

    def _weights(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.learning.items()}

    def _cut(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: as_sharded(value, self.learning[name]) for name, value in values.items()}

    def _put(self, values: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, value in values.items():
                self.learning[name].copy_(value)

    def _save(self) -> None:
        if not (self.processes.first or self.processes.sharded):
            return
        state = {"at": vars(self.at), "optimiser": optimiser_state(self.optimiser), "loader": self.loader.state_dict(),
                 "random": torch.get_rng_state(), "samples": self._fingerprints()}
        found = Checkpoint(whole(self.learning), whole(self.best), whole(self.average), state)
        if self.processes.first:
            save_checkpoint(self.folder, self.at.step, found, self.about)

    def _resume(self, path: Path) -> None:
        found = load_checkpoint(path, self.model.device)
        if found.learning.keys() != self.learning.keys():
            raise TrainingError("the checkpoint is of another model", where=str(path), hint="remove it to start again")
        if found.state["samples"] != self._fingerprints():
            raise TrainingError("the checkpoint was trained on other samples", where=str(path),
                                hint="remove it to start again")
        self.at, self.best, self.average = Progressing(**found.state["at"]), self._cut(found.best), self._cut(
            found.average)
        self._put(self._cut(found.learning))
        load_optimiser(self.optimiser, found.state["optimiser"])
        self.loader.load_state_dict(found.state["loader"])
        torch.set_rng_state(found.state["random"].cpu())

    def _fingerprints(self) -> list[str]:
        return [part.fingerprint() for part in self.loader.dataset.parts]
