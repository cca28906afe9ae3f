"""ReFL as RewardDance uses it (arXiv 2509.08826; ImageReward, 2304.05977; OneReward, 2508.21066, Eq. 5).

The frozen reward model is differentiated into the generator: the first steps of the flow run without gradient, the
last `gradient_steps` with it, the sample is decoded and judged, and

    loss = mean max(0, ceiling - P(yes)) + kl * mean |v - v base|^2

so that a sample that wins clearly enough pulls no further. The second term, over the steps that have a gradient, is
our addition: the paper names no limit on drift, and small reward models need one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from alignment.policy import Policy
from alignment.sampling import euler_step
from alignment.update import Reward, Rollout, Update, apply_gradients


@dataclass(frozen=True)
class Refl:
    """Settings: sampler `steps`, how many of the last ones have a gradient, the ceiling, the weight of the KL."""

    steps: int
    gradient_steps: int
    ceiling: float
    kl: float

    def update(self, policy: Policy, reward: Reward, rollout: Rollout, optimizer: torch.optim.Optimizer) -> Update:
        """Sample with a gradient at the end, judge, one optimizer step."""
        rows = rollout.rows
        x_0, drift = self._sample(policy, policy.noise(rollout.seeds), [goal.prompt for goal in rows])
        rewards = reward(rows, policy.decode(x_0), rollout.reference).float()
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
