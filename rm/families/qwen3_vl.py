"""Qwen3-VL: no system turn, and image features that enter the first layers of the language model too (deep stack)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rm.families.family import PictureFeatures
from rm.families.layout import Batch
from rm.families.qwen_vl import QwenVL

__all__ = ["Batch", "PictureFeatures", "Qwen3VL"]


class Qwen3VL(QwenVL):
    """One Qwen3-VL checkpoint."""

    model_type = "qwen3_vl"

    def _embed(self, model: Any, ids: Tensor, shown: Sequence[PictureFeatures]) -> dict[str, Any]:
        """As everywhere, with the deep-stack arguments."""
        inputs = super()._embed(model, ids, shown)
        if not shown:
            return inputs
        deep = [torch.cat(layer) for layer in zip(*(f.deep for f in shown), strict=True)]
        return inputs | {"visual_pos_masks": ids == self.picture.feature, "deepstack_visual_embeds": deep or None}
