"""One training loop for every committed model: resumable, seeded, with a card and a 20-step trace.

State goes to a checkpoint every `CHECKPOINT_STEPS`; the same command goes on where it stopped. Each step's data come
from a generator seeded by (model seed, step), so a resumed run sees what an undisturbed one would have seen. A recipe
may have a second cycle: the average of the first's weights learns on with a new optimiser (warm restart, Loshchilov &
Hutter, arXiv 1608.03983).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
CHECKPOINT_STEPS = 200
TRACE_STEPS = 20


@dataclass(frozen=True)
class Recipe:
    """What to train: `build` makes the module, `loss(model, step)` draws that step's data and returns its loss."""

    name: str
    seed: int
    steps: int
    learning_rate: float
    warmup_steps: int
    build: Callable[[], nn.Module]
    loss: Callable[[nn.Module, int], Tensor]
    average: float = 0.0
    half: bool = False
    """Train under bfloat16 autocast: the products of a wide model cost half as much. Its trace stays in float32."""
    second_cycle: int = 0
    """Steps of the second cycle, at a third of the learning rate."""

    @property
    def last(self) -> int:
        """Steps of both cycles."""
        return self.steps + self.second_cycle


def _rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then cosine to a twentieth, in each cycle."""
    first = step < recipe.steps
    at, steps = (step, recipe.steps) if first else (step - recipe.steps, recipe.second_cycle)
    peak = recipe.learning_rate if first else recipe.learning_rate / 3
    if at < recipe.warmup_steps:
        return peak * (at + 1) / recipe.warmup_steps
    share = (at - recipe.warmup_steps) / max(1, steps - recipe.warmup_steps)
    return peak * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)


def _step(model: nn.Module, optimizer: torch.optim.AdamW, recipe: Recipe, step: int, half: bool = False) -> float:
    for group in optimizer.param_groups:
        group["lr"] = _rate(recipe, step)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        loss = recipe.loss(model, step)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def trace(recipe: Recipe, steps: int = TRACE_STEPS) -> list[float]:
    """Losses of the first steps from a fresh start, on one CPU thread in float32."""
    torch.manual_seed(recipe.seed)
    model = recipe.build()
    optimizer = _optimizer(model, recipe)
    return [_step(model, optimizer, recipe, step) for step in range(steps)]


def _save_state(path: Path, state: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def train(recipe: Recipe, state_folder: Path, log: Callable[[str], None] = print) -> tuple[nn.Module, dict[str, Any]]:
    """Train to the last step, resuming where a checkpoint exists; returns the (averaged) model and card entries."""
    torch.manual_seed(recipe.seed)
    model = recipe.build()
    averaged = {name: value.detach().clone() for name, value in model.state_dict().items()}
    optimizer = _optimizer(model, recipe)
    state_folder.mkdir(parents=True, exist_ok=True)
    path = state_folder / f"{recipe.name}.pt"
    first, seconds = 0, 0.0
    if path.exists():
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        averaged, first, seconds = state["averaged"], state["step"], state["seconds"]
    losses: list[float] = []
    started = time.perf_counter()
    for step in range(first, recipe.last):
        if step == recipe.steps:
            model.load_state_dict(averaged)
            optimizer = _optimizer(model, recipe)
        losses.append(_step(model, optimizer, recipe, step, recipe.half))
        _update_average(averaged, model, min(recipe.average, (1 + step) / (10 + step)))
        if (step + 1) % CHECKPOINT_STEPS == 0 or step + 1 == recipe.last:
            total = seconds + time.perf_counter() - started
            _save_state(
                path,
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "averaged": averaged,
                    "step": step + 1,
                    "seconds": total,
                },
            )
            log(
                f"{recipe.name} step {step + 1}/{recipe.last} loss {sum(losses) / len(losses):.4f} "
                f"{total / 60:.1f} min"
            )
            losses = []
    model.load_state_dict(averaged)
    total = seconds + time.perf_counter() - started
    return model, {
        "name": recipe.name,
        "seed": recipe.seed,
        "steps": recipe.last,
        "minutes": round(total / 60, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "device": f"cpu, {torch.get_num_threads()} thread, {'bfloat16 autocast' if recipe.half else 'float32'}",
    }


def _update_average(averaged: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                averaged[name].lerp_(value, 1.0 - decay)
            else:
                averaged[name].copy_(value)
