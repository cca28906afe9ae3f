"""What training minimises: the form's loss of the verdict, and cross-entropy of the rationale's tokens.

The target of the verdict is the consensus P(candidate beats reference), ties counted as halves, over {yes, no} only:
votes are shares, not truths. With hard labels this is OneReward's Eq. 3 (arXiv 2508.21066) on log-odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rm.bradley_terry import Ties
from rm.families.family import Family, PictureFeatures
from rm.families.layout import Batch
from rm.forms import Form


@dataclass(frozen=True)
class Totals:
    """Denominators of a batch over all processes: sum of the verdicts' weights, and tokens of rationales."""

    weight: Tensor
    tokens: Tensor


def totals(batch: Batch) -> Totals:
    """Denominators of one process's batch."""
    return Totals(batch.weights.sum(), (_rationale_labels(batch) >= 0).sum())


def _rationale_labels(batch: Batch) -> Tensor:
    """Token ids [B, L - 1] that positions 0 .. L - 2 should predict; -100 outside rationales, and at the verdict."""
    labels = batch.labels[:, 1:].clone()
    labels[torch.arange(len(labels)), batch.verdict_index.clamp_max(labels.shape[1] - 1)] = -100
    return labels


def rationale_loss(model: Any, states: Tensor, batch: Batch) -> Tensor:
    """Summed cross-entropy over the answer's tokens but the verdict; states [B, L, width]. 0 where there are none."""
    labels = _rationale_labels(batch).to(states.device)
    told = labels >= 0
    if not bool(told.any()):
        return states.new_zeros(())
    return F.cross_entropy(model.lm_head(states[:, :-1][told]).float(), labels[told], reduction="sum")


@dataclass(frozen=True)
class Weights:
    """What each part of the answer counts, and how the pointwise forms treat ties."""

    verdict: float = 1.0
    rationale: float = 0.0
    ties: Ties = "soft"


def training_loss(family: Family, model: Any, form: Form, batch: Batch, weights: Weights, over: Totals,
                  features: Sequence[PictureFeatures] | None = None) -> Tensor:
    """Weighted mean loss of the form + weighted mean rationale loss of a batch whose examples all have targets.

    Means are taken over `over`, so that the losses of all processes add up to that of the whole batch. `features` of
    its pictures where the vision tower is frozen; None computes them, with gradient.
    """
    states = family.hidden(model, batch, features)
    chosen = states[torch.arange(len(states)), batch.verdict_index.to(states.device)]
    device = states.device
    losses = form.losses(form.read(family, model, chosen), batch.targets.to(device), batch.ties.to(device),
                         weights.ties)
    loss = weights.verdict * (losses * batch.weights.to(device)).sum() / over.weight.clamp_min(1e-6)
    if weights.rationale:
        loss = loss + weights.rationale * rationale_loss(model, states, batch) / over.tokens.clamp_min(1)
    return loss
