"""Measuring a policy on fixed goals with fixed noise, so that what differs before and after is the policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from alignment.policy import Policy
from alignment.reward import Goal
from alignment.sampling import euler
from alignment.update import Reward
from warehouse.hashing import content_id

NOISES = 2


class Gold(Protocol):
    """A true score where a simulation knows one; only written down."""

    def score(self, prompt: str, frames: NDArray[np.uint8]) -> float:
        """Score of uint8 [T, H, W, 3]."""
        ...


class HeldOut:
    """`NOISES` samples of each goal against its best reference; `start` [B, T, H, W, 3] are the first ones made."""

    def __init__(self, goals: Sequence[Goal], reward: Reward, seed: int, gold: Gold | None = None,
                 second: Reward | None = None) -> None:
        self._rows = [goal for goal in goals for _ in range(NOISES)]
        self._seeds = [int(content_id("held-out noise", goal.prompt_id, index % NOISES, seed)[:8], 16)
                       for index, goal in enumerate(self._rows)]
        self._reward, self._gold, self._second = reward, gold, second
        self._start: torch.Tensor | None = None

    @torch.no_grad()
    def measure(self, policy: Policy) -> dict[str, float]:
        """Proxy, drift from the base policy's samples, diversity within a prompt; a second judge and gold if known."""
        pixels = self._sample(policy)
        if self._start is None:
            with policy.base():
                self._start = self._sample(policy)
        grouped = pixels.view(-1, NOISES, *pixels.shape[1:])
        values = {"proxy": float(self._reward(self._rows, pixels, 0).mean()),
                  "drift": float((pixels - self._start).square().mean().sqrt()),
                  "diversity": float((grouped[:, 0] - grouped[:, 1]).square().mean().sqrt())}
        if self._second is not None:
            values["second"] = float(self._second(self._rows, pixels, 0).mean())
        if self._gold is not None:
            frames = (pixels * 255.0).round().to(torch.uint8).cpu().numpy()
            scores = [self._gold.score(goal.prompt, item) for goal, item in zip(self._rows, frames, strict=True)]
            values["gold"] = float(np.mean(scores))
        return values

    def _sample(self, policy: Policy) -> torch.Tensor:
        condition = policy.condition([goal.prompt for goal in self._rows])
        return policy.decode(euler(policy, policy.noise(self._seeds), condition, policy.steps))
