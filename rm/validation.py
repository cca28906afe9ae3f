"""How well a model agrees with held-out consensus, while it trains: soft cross-entropy and accuracy in both orders."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rm.context import Example
from rm.families.qwen3_vl import Qwen3VL
from rm.loader import PairExamples
from warehouse.shards.order import epoch_order

TIE_MARGIN = 0.05


class Validator:
    """A fixed part of a split, at most `limit` samples chosen by hash, encoded once."""

    def __init__(self, family: Qwen3VL, examples: PairExamples, limit: int, batch: int = 64) -> None:
        chosen = sorted(epoch_order(len(examples), 0, 0)[:limit].tolist())
        asked = [_without_answer(example) for index in chosen for example in examples[index]]
        asked.sort(key=lambda example: family.length(example.parts))
        self._family = family
        self._batches = [family.encode(asked[start:start + batch]) for start in range(0, len(asked), batch)]

    def __call__(self, model: Any) -> tuple[float, float, int]:
        """(mean soft cross-entropy, accuracy where the consensus is no tie, number of such questions)."""
        odds, targets = [], []
        with torch.no_grad():
            for batch in self._batches:
                odds.append(self._family.verdict.log_odds(self._family.verdict_logits(model, batch)).cpu())
                targets.append(batch.targets)
        if not odds:
            return float("nan"), float("nan"), 0
        z, wanted = torch.cat(odds), torch.cat(targets)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z, wanted)
        decided = (wanted - 0.5).abs() > TIE_MARGIN
        right = ((z > 0) == (wanted > 0.5))[decided].numpy()
        return float(loss), float(np.mean(right)) if len(right) else float("nan"), len(right)


def _without_answer(example: Example) -> Example:
    return Example(example.parts, target=example.target, weight=example.weight)
