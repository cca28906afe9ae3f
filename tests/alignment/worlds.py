"""Small stand-ins with known truth: a Gaussian whose flow is known exactly, and rewards read from pixels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alignment.reward import Goal
from rm.context import Frames
from simulation.flow import FlowConfig, FlowTransformer
from simulation.policy import SimulatedPolicy, save_generator

PROMPTS = ("a red circle", "two blue squares", "three green crosses", "a yellow triangle", "two black circles",
           "a purple cross", "a blue triangle above a red square", "a large green circle", "a small red cross")


class GaussianPolicy:
    """Data N(mean, sd^2) in every component: E[x_0 | x_t], and so the velocity, is known in closed form."""

    name, task, media_kind, revision, steps = "gaussian", "t2i", "image", "0", 10
    frame_times_s: tuple[float, ...] = (0.0,)
    params: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, mean: float, sd: float, values: int = 4) -> None:
        self.mean, self.sd, self.values = mean, sd, values

    def times(self, steps: int) -> list[float]:
        return [1.0 - index / steps for index in range(steps + 1)]

    def noise(self, seeds: Sequence[int]) -> Tensor:
        return torch.stack([torch.randn(self.values, generator=torch.Generator().manual_seed(seed)) for seed in seeds])

    def condition(self, prompts: Sequence[str]) -> Any:
        return len(prompts)

    def velocity(self, x_t: Tensor, t: float, condition: Any) -> Tensor:
        variance = ((1 - t) * self.sd) ** 2 + t**2
        x_0 = self.mean + (1 - t) * self.sd**2 / variance * (x_t - (1 - t) * self.mean)
        return (x_t - x_0) / t

    def decode(self, x_0: Tensor) -> Tensor:
        return x_0

    def add_lora(self, rank: int, seed: int) -> None:
        raise NotImplementedError

    def parameters(self) -> list[torch.nn.Parameter]:
        return []

    def base(self) -> AbstractContextManager[None]:
        return nullcontext()

    def save(self, folder: Path, about: Any) -> str:
        raise NotImplementedError

    def load(self, folder: Path) -> None:
        raise NotImplementedError


def redness(pixels: Tensor) -> Tensor:
    """Mean red minus mean of green and blue [B], of [B, T, H, W, 3]."""
    means = pixels.flatten(1, -2).mean(1)
    return means[:, 0] - means[:, 1:].mean(1)


class RednessReward:
    """A reward model whose truth is known: P(yes) = sigmoid(20 (redness of candidate - redness of reference))."""

    def __init__(self) -> None:
        self.calls = 0

    def reward(self, prompts: Sequence[str], references: Sequence[Frames], candidates: Tensor, task: str,
               dimension: str) -> Tensor:
        self.calls += 1
        shown = torch.stack([torch.as_tensor(np.asarray(item.pixels)).float() / 255.0 for item in references])
        return torch.sigmoid(20.0 * (redness(candidates) - redness(shown)))


def tiny_policy(folder: Path, frames: int = 1, width: int = 32) -> SimulatedPolicy:
    """A network with random weights that still depends on noise and prompt."""
    torch.manual_seed(3)
    config = FlowConfig(frames=frames, patch_frames=min(frames, 4), width=width, layers=2)
    module = FlowTransformer(config)
    with torch.no_grad():
        module.write.weight.mul_(3.0)
    save_generator(module, folder)
    return SimulatedPolicy(folder, steps=4, guidance=1.0)


def goals(policy: SimulatedPolicy, count: int = len(PROMPTS)) -> list[Goal]:
    """Goals whose references are samples of the policy itself."""
    made = []
    for index, prompt in enumerate(PROMPTS[:count]):
        frames = policy._pixels([prompt], [1000 + index])[0]
        made.append(Goal(f"prompt{index}", prompt, (Frames(frames, policy.frame_times_s),)))
    return made
