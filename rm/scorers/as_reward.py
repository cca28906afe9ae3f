"""Any scorer in the place of a loaded reward model in alignment: rewards without a gradient, for Flow-GRPO."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rm.context import Frames
from rm.reward_model import PairItem, RewardModel, sampled
from rm.scorers import Scorer
from warehouse.errors import ConfigError, InvalidInputError


class AsReward:
    """`reward` as a RewardModel has it; raises ConfigError where a gradient is wanted."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def reward(self, prompts: Sequence[str], references: Sequence[Frames], candidates: Tensor, task: str,
               dimension: str) -> Tensor:
        """P(candidate beats reference) [B] of candidates [B, T, H, W, 3] in [0, 1].

        Candidates are shown at the times of their references. Raises InvalidInputError for other numbers of frames.
        """
        if candidates.requires_grad and torch.is_grad_enabled():
            raise ConfigError("this reward has no gradient", hint="use flow_grpo, or a loaded model for refl")
        items = [PairItem(prompt, reference, _beside(reference, pixels), task, dimension)
                 for prompt, reference, pixels in zip(prompts, references, candidates.detach().cpu(), strict=True)]
        return torch.from_numpy(self._scorer.score_pairs(items)).to(candidates.device)


def rewarding(scorer: Scorer) -> RewardModel | AsReward:
    """What alignment asks: a model of ours as it is, with its gradient, anybody else's without."""
    return scorer if isinstance(scorer, RewardModel) else AsReward(scorer)


def _beside(reference: Frames, pixels: Tensor) -> Frames:
    """The candidate's frames [T, H, W, 3] as uint8, at the times of its reference."""
    count = len(reference.times_s)
    shown = sampled(Frames((pixels.clamp(0, 1) * 255).round().byte().numpy(), tuple(range(len(pixels)))), count)
    if len(shown.times_s) != count:
        raise InvalidInputError(f"candidate of {len(pixels)} frames, reference of {count}")
    return Frames(shown.pixels, reference.times_s)
