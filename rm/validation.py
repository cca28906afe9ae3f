"""How well a model agrees with held-out consensus, while it trains: soft cross-entropy and accuracy in both orders."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rm.bradley_terry import TIE_MARGIN
from rm.context import Example
from rm.families.family import Family
from rm.families.layout import Batch
from rm.loader import PairExamples, extra
from warehouse.shards.order import epoch_order


class Validator:
    """A fixed part of a split, at most `limit` samples chosen by hash, encoded once.

    A model that is taught with negatives is chosen by them too: `negatives` is their share, as in training (None: as in
    the split). They count in the loss, not in the accuracy.
    """

    def __init__(self, family: Family, examples: PairExamples, limit: int, negatives: float | None = None,
                 batch: int = 64) -> None:
        order, tagged = epoch_order(len(examples), 0, 0), examples.negatives
        chosen, spoiled = order[~tagged[order]][:limit], order[tagged[order]]
        share = (tagged.mean() if len(tagged) else 0.0) if negatives is None else negatives
        places = sorted([*chosen.tolist(), *spoiled[:extra(len(chosen), float(share))].tolist()])
        pairs = [(examples[index], not tagged[index]) for index in places]
        pairs.sort(key=lambda each: family.length(each[0][0].parts))
        self._voted = torch.tensor([voted for _, voted in pairs], dtype=torch.bool)
        asked = [Example(example.parts, target=example.target) for pair, _ in pairs for example in pair]
        self._form = examples.asking.form
        self._batches = [family.encode(asked[start:start + batch]) for start in range(0, len(asked), batch)]

    def __call__(self, read: Callable[[Batch], Tensor]) -> tuple[float, float, int]:
        """(mean soft cross-entropy, accuracy where the consensus is no tie, number of such questions).

        `read` gives the form's scores [B] of a batch.
        """
        scores = [read(batch).cpu() for batch in self._batches]
        targets = [batch.targets for batch in self._batches]
        if not scores:
            return float("nan"), float("nan"), 0
        z = torch.from_numpy(self._form.both_orders(torch.cat(scores).numpy()))
        b_wins = torch.cat(targets)[0 if self._form.asks_pairs else 1::2]
        wanted = torch.stack([b_wins, 1 - b_wins], dim=1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z, wanted)
        decided = ((wanted - 0.5).abs() > TIE_MARGIN) & self._voted[:, None]
        right = ((z > 0) == (wanted > 0.5))[decided].numpy()
        return float(loss), float(np.mean(right)) if len(right) else float("nan"), len(right)
