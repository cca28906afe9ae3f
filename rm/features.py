"""Image features of a frozen vision tower, computed once per distinct picture and kept up to a limit.

For scoring within one call, and for training where only the language model learns.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch

from rm.context import PictureKey
from rm.families.family import Family, PictureFeatures
from rm.families.layout import Batch

CACHE_BYTES = 512 * 1024 * 1024


class FeatureCache:
    """Features by picture key; what was used longest ago goes first once `limit_bytes` are passed.

    `alone` computes each picture by itself: matrix products of another size differ in their last bits, and a resumed
    run, whose cache starts empty, must see the same features as an undisturbed one.
    """

    def __init__(self, family: Family, model: Any, alone: bool = False, limit_bytes: int = CACHE_BYTES) -> None:
        self._family, self._model, self._alone = family, model, alone
        self._limit, self._size = limit_bytes, 0
        self._held: OrderedDict[PictureKey, PictureFeatures] = OrderedDict()
        self.computed = 0

    def __call__(self, batch: Batch) -> list[PictureFeatures]:
        """Features of the batch's pictures, in their order, without gradient."""
        missing = [index for index, key in enumerate(batch.keys) if key not in self._held]
        chunks = [[index] for index in missing] if self._alone else [missing]
        with torch.no_grad():
            found = [features for chunk in chunks for features in self._family.image_features(
                self._model, [batch.pictures[index] for index in chunk])]
        self.computed += len(missing)
        new = {batch.keys[index]: features.kept() for index, features in zip(missing, found, strict=True)}
        shown = [new[key] if key in new else self._held[key] for key in batch.keys]
        self._keep(dict(zip(batch.keys, shown, strict=True)), new)
        return shown

    def _keep(self, used: dict[PictureKey, PictureFeatures], new: dict[PictureKey, PictureFeatures]) -> None:
        self._held |= new
        self._size += sum(features.nbytes for features in new.values())
        for key in used:
            self._held.move_to_end(key)
        while self._size > self._limit and self._held:
            self._size -= self._held.popitem(last=False)[1].nbytes
