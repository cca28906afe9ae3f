"""InternVL in transformers' own form (InternVL3-hf and later): every picture as one square tile, positions in a line.

Real checkpoints may also cut a large picture into up to 12 tiles; a comparison shows many pictures, so that each gets
one tile, as transformers does for the frames of a video. Pictures are stretched to the square, as it does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rm.families.family import Family, PictureFeatures, PictureTokens
from rm.families.pixels import to_unit
from warehouse.errors import ConfigError

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class InternVL(Family):
    """One InternVL checkpoint."""

    model_type = "internvl"
    label = "Frame{number} ({time_s:.1f} s): "  # as in InternVL's own videos, with the time added
    after_picture = "\n"

    def __init__(self, path: str | Path, config: Any, max_pixels: int | None = None) -> None:
        super().__init__(path, config, max_pixels)
        file = Path(path) / "preprocessor_config.json"
        stored = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        self._side = int(np.atleast_1d(config.vision_config.image_size)[0])
        self._mean, self._std = (torch.tensor(stored.get(key, default))
                                 for key, default in (("image_mean", _MEAN), ("image_std", _STD)))
        if max_pixels and max_pixels < self._side**2:
            raise ConfigError(f"InternVL shows every picture at {self._side} x {self._side} px",
                              hint="leave max_pixels empty")

    def _picture_tokens(self) -> PictureTokens:
        start, end = (int(self.tokenizer.convert_tokens_to_ids(token)) for token in ("<img>", "</img>"))
        return PictureTokens(start, self.config.image_token_id, end)

    def vision_parameters(self, model: Any) -> list[Any]:
        """Parameters of the vision tower and of its projector."""
        return [*model.model.vision_tower.parameters(), *model.model.multi_modal_projector.parameters()]

    def fitted_size(self, height: int, width: int) -> tuple[int, int]:
        """Always the square that the vision tower was made for."""
        return self._side, self._side

    def places(self, height: int, width: int) -> NDArray[np.int64]:
        """One position per token."""
        return np.tile(np.arange(self._feature_count()), (3, 1))

    def _feature_count(self) -> int:
        patch = int(np.atleast_1d(self.config.vision_config.patch_size)[0])
        return int((self._side // patch * self.config.downsample_ratio) ** 2)

    def facts(self) -> dict[str, Any]:
        """With the square and its normalisation."""
        return super().facts() | {"side": self._side, "tokens": self._feature_count(), "mean": self._mean.tolist(),
                                  "std": self._std.tolist()}

    def _positions(self, position_ids: Tensor) -> Tensor:
        return position_ids[0]

    def image_features(self, model: Any, pictures: Sequence[Any]) -> list[PictureFeatures]:
        """Features of each picture, all through the vision tower together."""
        if not pictures:
            return []
        unit = to_unit(pictures).squeeze(1).to(model.device)
        pixels = (unit - self._mean.to(model.device)) / self._std.to(model.device)
        features = model.model.get_image_features(pixels.permute(0, 3, 1, 2), return_dict=True).pooler_output
        return [PictureFeatures(each) for each in features]
