"""Pixels -> flattened patches, equal to transformers' Qwen2VLImageProcessorPil and differentiable.

Both paths give float32 rows of (channel, frame, patch row, patch column), in merge-window order. Pictures whose
sides are whole multiples of the window and whose area is within limits are not resized.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from warehouse.errors import InvalidInputError


@dataclass(frozen=True)
class PatchGeometry:
    """Patch side and merge window in patches, temporal copies, normalisation, and the area limits in pixels."""

    patch_px: int
    merge: int
    copies: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    min_pixels: int
    max_pixels: int

    @property
    def window_px(self) -> int:
        return self.patch_px * self.merge

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Patch rows and columns of a picture that needs no resizing."""
        return height // self.patch_px, width // self.patch_px

    def tokens(self, height: int, width: int) -> int:
        """Language-model tokens of such a picture."""
        rows, columns = self.grid(height, width)
        return rows * columns // self.merge**2


@lru_cache(maxsize=4096)
def fitted_size(height: int, width: int, geometry: PatchGeometry) -> tuple[int, int]:
    """Height and width in whole windows within the area limits, by transformers' rule; raises InvalidInputError."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    try:
        new_height, new_width = smart_resize(height, width, factor=geometry.window_px, min_pixels=geometry.min_pixels,
                                             max_pixels=geometry.max_pixels)
    except ValueError as error:
        raise InvalidInputError(f"a picture of {height} x {width} px cannot be shown: {error}") from error
    return int(new_height), int(new_width)


def resized(pixels: Any, size: tuple[int, int]) -> Any:
    """[frames, H, W, 3] resized (bicubic) to height and width; unchanged where it has them already.

    A uint8 array goes through Pillow; a float tensor keeps its gradient and stays within a few 8-bit steps of Pillow.
    """
    if size == tuple(pixels.shape[1:3]):
        return pixels
    if isinstance(pixels, Tensor):
        scaled = F.interpolate(pixels.permute(0, 3, 1, 2), size, mode="bicubic", antialias=True)
        return scaled.permute(0, 2, 3, 1).clamp(0.0, 1.0)
    return np.stack([np.asarray(Image.fromarray(frame).resize(size[::-1], Image.Resampling.BICUBIC))
                     for frame in pixels])


def patchify(pixels: Tensor, geometry: PatchGeometry) -> Tensor:
    """Float [N, frames, H, W, 3] in [0, 1] -> [N * patches, 3 * copies * patch^2]; keeps the gradient.

    A patch spans `copies` frames: those of a moment, or one picture that often.
    """
    count, frames, height, width, _ = pixels.shape
    if height % geometry.window_px or width % geometry.window_px:
        raise InvalidInputError(f"{height} x {width} is no whole number of {geometry.window_px} px windows")
    mean = torch.tensor(geometry.mean, device=pixels.device)
    std = torch.tensor(geometry.std, device=pixels.device)
    rows, columns = geometry.grid(height, width)
    m, p = geometry.merge, geometry.patch_px
    x = ((pixels - mean) / std).view(count, frames, rows // m, m, p, columns // m, m, p, 3)
    x = x.permute(0, 2, 5, 3, 6, 8, 1, 4, 7)
    x = x.expand(*x.shape[:6], geometry.copies, p, p)
    return x.reshape(count * rows * columns, 3 * geometry.copies * p * p)


def to_unit(pictures: Sequence[Any]) -> Tensor:
    """Pictures of one size, uint8 arrays or float tensors in [0, 1], as one float tensor [N, frames, H, W, 3]."""
    if any(isinstance(picture, Tensor) for picture in pictures):
        return torch.stack([_unit(picture) for picture in pictures])
    return torch.from_numpy(np.stack(pictures)).float() / 255.0


def _unit(picture: Any) -> Tensor:
    return picture.float() if isinstance(picture, Tensor) else torch.from_numpy(picture.copy()).float() / 255.0
