"""What alignment asks of a reward model: P(yes) that a sample beats its prompt's reference.

A goal is a prompt with the reference to beat (best-of-N of the starting policy, references.py). Samplers make all
frames; a reward model is shown `max_frames` of them, the same ones that are read from stored clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from rm.context import Frames


@dataclass(frozen=True, eq=False)
class Goal:
    """A prompt and its references, best first."""

    prompt_id: str
    prompt: str
    references: tuple[Frames, ...]


class Differentiable(Protocol):
    """The part of a reward model that alignment uses."""

    def reward(self, prompts: Sequence[str], references: Sequence[Frames], candidates: Tensor, task: str,
               dimension: str) -> Tensor:
        """P(yes) [B] of candidates [B, T, H, W, 3] in [0, 1], differentiable in them."""
        ...


class ReferenceReward:
    """A frozen reward model for one task and dimension; rewards are the verdict token's, in [0, 1]."""

    def __init__(self, model: Differentiable, task: str, dimension: str, max_frames: int) -> None:
        self._model, self._task, self._dimension, self._max_frames = model, task, dimension, max_frames

    def __call__(self, goals: Sequence[Goal], pixels: Tensor, reference: int = 0) -> Tensor:
        """P(yes) [B] that row i beats reference number `reference` (modulo how many there are) of goal i."""
        frames = pixels.shape[1]
        if frames > self._max_frames:
            shown = np.linspace(0, frames - 1, self._max_frames).round().astype(int)
            pixels = pixels[:, shown]
        references = [goal.references[reference % len(goal.references)] for goal in goals]
        return self._model.reward([goal.prompt for goal in goals], references, pixels, self._task, self._dimension)
