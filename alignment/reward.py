"""What alignment asks of a reward model: P(yes) that a sample beats its prompt's reference.

A goal is a prompt with the references to beat (best-of-N of the starting policy, references.py). References hold the
frames that the reward model is shown; of a sample it takes the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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

    def __init__(self, model: Differentiable, task: str, dimension: str) -> None:
        self._model, self._task, self._dimension = model, task, dimension

    def __call__(self, goals: Sequence[Goal], pixels: Tensor, reference: int = 0) -> Tensor:
        """P(yes) [B] that row i beats reference number `reference` (modulo how many there are) of goal i."""
        references = [goal.references[reference % len(goal.references)] for goal in goals]
        return self._model.reward([goal.prompt for goal in goals], references, pixels, self._task, self._dimension)
