"""ReFL as RewardDance uses it (arXiv 2509.08826; ImageReward, 2304.05977; OneReward, 2508.21066, Eq. 5).

The frozen reward model is differentiated into the generator: the first steps of the flow run without gradient, the
last `gradient_steps` with it, the sample is decoded and judged, and

    loss = mean max(0, ceiling - P(yes)) + kl * mean |v - v base|^2

so that a sample that wins clearly enough pulls no further. Two additions are ours, because small reward models are
easily fooled: the second term, over the steps that have a gradient, and `shift_px`: before it is judged, each sample
moves by up to so many pixels, so that no pattern pays that hangs on the reward model's grid of patches (transformation
robustness: Olah et al., Feature Visualization, 2017, doi 10.23915/distill.00007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from alignment.policy import Policy
from alignment.sampling import euler_step
from alignment.update import Reward, Rollout, Update, apply_gradients


def shifted(pixels: Tensor, most_px: int, seeds: Sequence[int]) -> Tensor:
    """Pixels [B, T, H, W, 3], each row moved by at most `most_px` both ways, its edge repeated; its seed says where."""
    if most_px == 0:
        return pixels
    height, width = pixels.shape[2:4]
    rows = []
    for row, seed in zip(pixels, seeds, strict=True):
        down, right = np.random.default_rng((seed, 1)).integers(-most_px, most_px + 1, 2)
        y = (torch.arange(height, device=row.device) - int(down)).clamp(0, height - 1)
        x = (torch.arange(width, device=row.device) - int(right)).clamp(0, width - 1)
        rows.append(row[:, y][:, :, x])
    return torch.stack(rows)


@dataclass(frozen=True)
class Refl:
    """Settings: sampler `steps`, how many of the last have a gradient, the ceiling, the weight of the KL, the shift."""

    steps: int
    gradient_steps: int
    ceiling: float
    kl: float
    shift_px: int = 0

    def update(self, policy: Policy, reward: Reward, rollout: Rollout, optimizer: torch.optim.Optimizer) -> Update:
        """Sample with a gradient at the end, judge, one optimizer step."""
        rows = rollout.rows
        x_0, drift = self._sample(policy, policy.noise(rollout.seeds), [goal.prompt for goal in rows])
        shown = shifted(policy.decode(x_0), self.shift_px, rollout.seeds)
        rewards = reward(rows, shown, rollout.reference).float()
        loss = (self.ceiling - rewards).clamp_min(0.0).mean() + self.kl * drift
        loss.backward()  # type: ignore[no-untyped-call]
        scalars = {"loss": float(loss.detach()), "kl": float(drift.detach()),
                   "at_ceiling": float((rewards >= self.ceiling).float().mean())}
        scalars["gradient"] = apply_gradients(policy.parameters(), optimizer)
        return Update(rewards.detach().cpu().numpy(), scalars)

    def _sample(self, policy: Policy, x: Tensor, prompts: list[str]) -> tuple[Tensor, Tensor]:
        """Latents at t = 0, and the mean squared distance of the velocities from the base policy's."""
        condition = policy.condition(prompts)
        drift = x.new_zeros(())
        for index, (t, s) in enumerate(pairwise(policy.times(self.steps))):
            with_gradient = index >= self.steps - self.gradient_steps
            with torch.set_grad_enabled(with_gradient):
                v = policy.velocity(x, t, condition)
            if with_gradient and self.kl > 0.0:
                with torch.no_grad(), policy.base():
                    base = policy.velocity(x, t, condition)
                drift = drift + (v - base).square().mean() / self.gradient_steps
            x = euler_step(x, v, t, s)
        return x, drift
