"""What training minimises: soft-label cross-entropy of the verdict, and cross-entropy of the rationale's tokens.

The target of the verdict is the consensus P(candidate beats reference), ties counted as halves, over {yes, no} only:
votes are shares, not truths. With hard labels this is OneReward's Eq. 3 (arXiv 2508.21066) on log-odds.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rm.families.layout import Batch
from rm.families.qwen3_vl import Qwen3VL


def verdict_loss(log_odds: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of -t log P(yes) - (1 - t) log P(no) over log_odds [B], targets [B] in [0, 1], weights [B]."""
    losses = F.binary_cross_entropy_with_logits(log_odds, targets, reduction="none")
    return (losses * weights).sum() / weights.sum()


def rationale_loss(model: Any, states: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy over the answer's tokens after the verdict; states [B, L, width]. 0 where there are none."""
    labels = batch.labels.to(states.device)[:, 1:].clone()
    labels[torch.arange(len(labels)), batch.verdict_index.to(labels.device).clamp_max(labels.shape[1] - 1)] = -100
    told = labels >= 0
    if not bool(told.any()):
        return states.new_zeros(())
    return F.cross_entropy(model.lm_head(states[:, :-1][told]).float(), labels[told])


def training_loss(family: Qwen3VL, model: Any, batch: Batch, rationale_weight: float) -> tuple[Tensor, Tensor]:
    """(verdict loss + weight x rationale loss, log-odds [B]) of a batch whose examples all have targets."""
    states = family.hidden(model, batch)
    chosen = states[torch.arange(len(states)), batch.verdict_index.to(states.device)]
    log_odds = family.verdict.log_odds(model.lm_head(chosen))
    loss = verdict_loss(log_odds, batch.targets.to(states.device), batch.weights.to(states.device))
    if rationale_weight:
        loss = loss + rationale_weight * rationale_loss(model, states, batch)
    return loss, log_odds
