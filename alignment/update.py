"""What both algorithms share: a batch of goals with seeds, one optimizer step, and what a step reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alignment.reward import Goal
from warehouse.errors import TrainingError
from warehouse.hashing import content_id

Reward = Callable[[Sequence[Goal], Tensor, int], Tensor]
_LARGEST_NORM = 1.0


@dataclass(frozen=True, eq=False)
class Rollout:
    """Rows of one step: `group` samples of each goal, one after the other; `reference` says which one to beat."""

    goals: tuple[Goal, ...]
    group: int
    seeds: tuple[int, ...]
    reference: int

    @property
    def rows(self) -> list[Goal]:
        return [goal for goal in self.goals for _ in range(self.group)]


@dataclass(frozen=True, eq=False)
class Update:
    """Rewards [B] of the samples before the update, and scalars for the log."""

    rewards: NDArray[np.float32]
    scalars: dict[str, float]


def draw_rollout(goals: Sequence[Goal], prompts: int, group: int, seed: int, step: int) -> Rollout:
    """Goals, noise seeds and the reference of one step; everything follows from (seed, step)."""
    rng = np.random.default_rng((seed, step))
    chosen = rng.choice(len(goals), size=min(prompts, len(goals)), replace=False)
    seeds = tuple(int(value) for value in rng.integers(2**31, size=len(chosen) * group))
    most = max(len(goal.references) for goal in goals)
    return Rollout(tuple(goals[index] for index in chosen), group, seeds, int(rng.integers(most)))


def other_seed(seed: int, purpose: str) -> int:
    """A second seed that shares nothing with the first."""
    return int(content_id(purpose, seed)[:8], 16) & 0x7FFFFFFF


def apply_gradients(parameters: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer) -> float:
    """Clip to norm 1, step, clear; returns the norm before clipping. Raises TrainingError where it is not finite."""
    norm = float(nn.utils.clip_grad_norm_(parameters, _LARGEST_NORM))
    if not np.isfinite(norm):
        raise TrainingError("the gradient is not finite", hint="lower learning_rate; the last checkpoint is kept")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm
