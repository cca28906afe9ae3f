"""What scorers of other programs share: pictures as base64, and rewards of single pictures as answers about pairs."""

from __future__ import annotations

import base64
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from rm.context import Frames
from rm.reward_model import PairItem, Scores
from warehouse.errors import BackendError, InvalidInputError
from warehouse.media.encode import encode_png

Asked = tuple[str, Frames]


def png_base64(frames: Frames) -> list[str]:
    """Each frame as PNG in base64; of a float tensor in [0, 1], its 8 bits."""
    pixels: Any = frames.pixels
    if not isinstance(pixels, np.ndarray):
        pixels = (pixels.detach().cpu().clamp(0, 1).numpy() * 255).round().astype(np.uint8)
    return [base64.b64encode(encode_png(picture)).decode() for picture in pixels]


class PictureRewards(ABC):
    """A reward for each picture by itself; a pair becomes P(candidate beats reference) by Bradley-Terry.

    One unit of reward is log-odds 1 / `temperature`.
    """

    max_frames = 1

    def __init__(self, temperature: float) -> None:
        if not temperature > 0:
            raise InvalidInputError(f"temperature must be positive, got {temperature}")
        self.temperature = temperature

    @abstractmethod
    def rewards(self, asked: Sequence[Asked]) -> list[float]:
        """The reward of each (prompt, picture); raises BackendError for the first that has none."""

    def score_pairs(self, items: Sequence[PairItem], batch: int = 64) -> Scores:
        """P(candidate beats reference) [N], in the order given; raises BackendError where a reward is no number."""
        found: list[float] = []
        for start in range(0, len(items), batch):
            asked = [(item.prompt, _picture(frames)) for item in items[start:start + batch]
                     for frames in (item.reference, item.candidate)]
            values = self.rewards(asked)
            for (prompt, _), value in zip(asked, values, strict=True):
                if not math.isfinite(value):
                    raise BackendError(f"the reward is {value}", where=prompt[:80])
            found += values
        pairs = np.array(found, np.float64).reshape(-1, 2)
        leads = (pairs[:, 1] - pairs[:, 0]) / self.temperature
        return (0.5 * (1.0 + np.tanh(leads / 2.0))).astype(np.float32)


def _picture(frames: Frames) -> Frames:
    if len(frames.times_s) > 1:
        raise InvalidInputError("this scorer judges pictures, not clips")
    return frames
