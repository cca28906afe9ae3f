"""What Qwen2.5-VL and Qwen3-VL share: pictures at their own shape in merge windows, and positions by row and column.

Their patches span two frames, so that a clip is read two frames at a time, as in their own videos: half the tokens, and
what moves is seen in the patch itself.

Positions follow `get_rope_index` of transformers (a test compares them).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rm.families.family import Family, PictureFeatures, PictureTokens
from rm.families.pixels import PatchGeometry, fitted_size, patchify, to_unit

_HALF = (0.5, 0.5, 0.5)


class QwenVL(Family):
    """Everything but the chat's frame and the deep stack."""

    mean: tuple[float, ...] = _HALF
    std: tuple[float, ...] = _HALF

    def __init__(self, path: str | Path, config: Any, max_pixels: int | None = None) -> None:
        super().__init__(path, config, max_pixels)
        self.geometry = self._geometry(Path(path), config.vision_config, max_pixels)
        self.moment_frames = self.geometry.copies

    def _picture_tokens(self) -> PictureTokens:
        c = self.config
        return PictureTokens(c.vision_start_token_id, c.image_token_id, c.vision_end_token_id)

    def vision_parameters(self, model: Any) -> list[Any]:
        """Parameters of the vision tower, its mergers included."""
        return list(model.model.visual.parameters())

    def fitted_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width in whole windows within the area limits."""
        return fitted_size(height, width, self.geometry)

    def places(self, height: int, width: int) -> NDArray[np.int64]:
        """All windows at one time, by row and column."""
        rows, columns = (side // self.geometry.merge for side in self.geometry.grid(height, width))
        return np.stack([np.zeros(rows * columns, np.int64), np.repeat(np.arange(rows), columns),
                         np.tile(np.arange(columns), rows)])

    def image_features(self, model: Any, pictures: Sequence[Any]) -> list[PictureFeatures]:
        """Features of each picture; pictures of one size go through the vision tower together."""
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, picture in enumerate(pictures):
            by_size.setdefault(tuple(picture.shape[:3]), []).append(index)
        found: list[Any] = [None] * len(pictures)
        for (_, height, width), members in by_size.items():
            values = patchify(to_unit([pictures[i] for i in members]).to(model.device), self.geometry)
            grid = torch.tensor([[1, *self.geometry.grid(height, width)]] * len(members), device=model.device)
            out = model.model.visual(values, grid)
            tokens = self.geometry.tokens(height, width)
            merged = out.pooler_output.split(tokens)
            deep = [layer.split(tokens) for layer in getattr(out, "deepstack_features", None) or ()]
            for slot, index in enumerate(members):
                found[index] = PictureFeatures(merged[slot], tuple(layer[slot] for layer in deep))
        return found

    def facts(self) -> dict[str, Any]:
        """With the numbers of patches."""
        return super().facts() | asdict(self.geometry)

    def _geometry(self, path: Path, vision: Any, max_pixels: int | None) -> PatchGeometry:
        """Numbers of preprocessor_config.json where there is one, else the family's defaults."""
        file = path / "preprocessor_config.json"
        stored = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        size = stored.get("size", {})
        least, most = size.get("shortest_edge"), size.get("longest_edge")
        window = int(vision.patch_size) * int(vision.spatial_merge_size)
        return PatchGeometry(
            int(vision.patch_size), int(vision.spatial_merge_size), int(vision.temporal_patch_size),
            tuple(stored.get("image_mean", self.mean)), tuple(stored.get("image_std", self.std)),
            min_pixels=int(least or stored.get("min_pixels", window * window)),
            max_pixels=max_pixels or int(most or stored.get("max_pixels", 768 * window * window)))
