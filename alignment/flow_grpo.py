"""Flow-GRPO (arXiv 2505.05470): policy gradient on the random steps of a rectified flow, relative to a group.

The rollout takes SDE steps first (sampling.py) and is judged at its end; each taken step is an action with a Gaussian
density. Advantage = (reward - mean of its group) / standard deviation of the whole batch, as in the released
configurations: a group in which all samples are alike then says little. Loss per step, averaged over rows and steps:

    max(-A ratio, -A clip(ratio, 1 - c, 1 + c)) + kl * |mean - base mean|^2 / (2 sd^2)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from alignment.policy import Policy
from alignment.sampling import Transition, log_prob, sde, sde_mean
from alignment.update import Reward, Rollout, Update, apply_gradients, other_seed

_EPSILON = 1e-4


@dataclass(frozen=True)
class FlowGrpo:
    """Settings: sampler `steps`, how many of them random, their share of fresh noise, and the update."""

    steps: int
    sde_steps: int
    fresh: float
    inner_steps: int
    clip: float
    kl: float

    def update(self, policy: Policy, reward: Reward, rollout: Rollout, optimizer: torch.optim.Optimizer) -> Update:
        """Sample, judge, and take `inner_steps` optimizer steps on the same samples."""
        rows = rollout.rows
        condition = policy.condition([goal.prompt for goal in rows])
        fresh_seeds = [other_seed(seed, "fresh noise") for seed in rollout.seeds]
        with torch.no_grad():
            x_0, taken = sde(policy, policy.noise(rollout.seeds), condition, self.steps, self.sde_steps, self.fresh,
                             fresh_seeds)
            rewards = reward(rows, policy.decode(x_0), rollout.reference).float()
        advantage = advantages(rewards, rollout.group)
        scalars: dict[str, float] = {}
        for _ in range(self.inner_steps):
            scalars = self._inner(policy, condition, taken, advantage)
            scalars["gradient"] = apply_gradients(policy.parameters(), optimizer)
        return Update(rewards.cpu().numpy(), scalars)

    def _inner(self, policy: Policy, condition: Any, taken: list[Transition], advantage: Tensor) -> dict[str, float]:
        """Accumulate the gradient over the transitions, one backward pass each."""
        totals = {"loss": 0.0, "kl": 0.0, "ratio_error": 0.0, "clipped": 0.0}
        for step in taken:
            mean = sde_mean(step.x_t, policy.velocity(step.x_t, step.t, condition), step.t, step.s, self.fresh)
            ratio = (log_prob(step.x_s, mean, step.s, self.fresh) - step.log_prob).exp()
            loss = clipped_loss(ratio, advantage, self.clip)
            if self.kl > 0.0:
                distance = self._distance(policy, condition, step, mean)
                loss = loss + self.kl * distance
                totals["kl"] += float(distance.detach()) / len(taken)
            (loss / len(taken)).backward()  # type: ignore[no-untyped-call]
            off = (ratio.detach() - 1.0).abs()
            totals["loss"] += float(loss.detach()) / len(taken)
            totals["ratio_error"] = max(totals["ratio_error"], float(off.max()))
            totals["clipped"] += float((off > self.clip).float().mean()) / len(taken)
        return totals

    def _distance(self, policy: Policy, condition: Any, step: Transition, mean: Tensor) -> Tensor:
        """KL divergence of the step from the base policy's, averaged over rows and components."""
        with torch.no_grad(), policy.base():
            base = sde_mean(step.x_t, policy.velocity(step.x_t, step.t, condition), step.t, step.s, self.fresh)
        return (mean - base).square().mean() / (2.0 * (self.fresh * step.s) ** 2)


def advantages(rewards: Tensor, group: int) -> Tensor:
    """[B] from rewards [B] of B / group groups; all zero where every reward is the same."""
    grouped = rewards.view(-1, group)
    return ((grouped - grouped.mean(1, keepdim=True)) / (rewards.std(unbiased=False) + _EPSILON)).view(-1)


def clipped_loss(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """PPO's clipped surrogate (arXiv 1707.06347, Eq. 7) to be minimised, mean over [B]."""
    return torch.maximum(-advantage * ratio, -advantage * ratio.clamp(1.0 - clip, 1.0 + clip)).mean()
